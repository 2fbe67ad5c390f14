//! `pontoon system`

mod df;
mod prune;

use std::io::{BufRead as _, IsTerminal as _};
use std::process::ExitCode;

use clap::Subcommand;

use crate::failure::Failure;
use crate::global::Global;
use crate::output;

/// See what there is in all, and take away what is not used
#[derive(Debug, Subcommand)]
pub(crate) enum System {
    Df(df::Df),
    Prune(prune::Prune),
}

impl System {
    pub(crate) fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        match self {
            Self::Df(verb) => verb.run(global),
            Self::Prune(verb) => verb.run(global),
        }
    }
}

/// Asks whether to go on. Where nobody can be asked, that is an error.
pub(crate) fn confirm(what: &str) -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::new("nobody can be asked whether to go on: standard input is not a terminal")
            .with_hint("-f goes on without asking; --dry-run shows what would be done"));
    }
    output::note(&format!("{what}\nAre you sure? [y/N] "));
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    read.map_err(|error| Failure::io("could not read the answer", &error))?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
