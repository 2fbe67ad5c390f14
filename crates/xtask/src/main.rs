//! Checks on the workspace itself: `cargo run -p xtask -- CHECK`.
//!
//! - `purity`: the pure crates reach no I/O, no clock and no netlink socket;
//! - `licenses`: everything that is linked has a license that allows it;
//! - `links`: the Markdown files' links to files in the repository lead somewhere.

mod licenses;
mod links;
mod purity;

use std::process::{Command, ExitCode};

use serde_json::Value;

/// Something that is wrong, in a sentence.
type Finding = String;

fn main() -> ExitCode {
    let check = std::env::args().nth(1).unwrap_or_default();
    let findings = match check.as_str() {
        "purity" => purity::check(&metadata()),
        "licenses" => licenses::check(&metadata()),
        "links" => links::check(),
        _ => {
            eprintln!("usage: cargo run -p xtask -- purity|licenses|links");
            return ExitCode::from(2);
        }
    };
    for finding in &findings {
        eprintln!("error: {finding}");
    }
    if findings.is_empty() {
        println!("{check}: ok");
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// What Cargo knows of the workspace and everything that it depends on.
fn metadata() -> Value {
    let output = Command::new(env!("CARGO")).args(["metadata", "--format-version", "1", "--locked"]).output();
    let output = output.expect("cargo runs");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo prints JSON")
}
