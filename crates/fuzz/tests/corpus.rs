//! Each parser with a fixed number of inputs: the reduced form of what `cargo fuzz` does.

mod mutate;

use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::sync::Once;

use pontoon_fuzz::TARGETS;
use rustix::process::{Resource, Rlimit, setrlimit};

use crate::mutate::Inputs;

macro_rules! targets {
    ($($name:ident: $inputs:literal),* $(,)?) => {
        const TESTED: &[&str] = &[$(stringify!($name)),*];
        $(
            #[test]
            fn $name() {
                run(stringify!($name), pontoon_fuzz::$name, $inputs);
            }
        )*
    };
}

// Together they take a few seconds in a debug build.
targets!(
    compose: 4000,
    config_toml: 8000,
    container_ref: 8000,
    control_request: 8000,
    daemon_json: 8000,
    event_line: 8000,
    dns_answer: 8000,
    dns_query: 8000,
    filter: 8000,
    http_request: 20000,
    name: 8000,
    netlink_address: 20000,
    netlink_conntrack: 20000,
    netlink_fdb: 20000,
    netlink_link: 20000,
    netlink_neighbour: 20000,
    netlink_route: 20000,
    netlink_rule: 20000,
    netlink_socket: 20000,
    netlink_wire: 20000,
    nft_answers: 3000,
    nft_decompile: 4000,
    option: 4000,
    publish: 8000,
    resolv_conf: 8000,
    subnet: 8000,
    template: 5000,
);

fn run(name: &str, target: fn(&[u8]), inputs: usize) {
    limit_memory();
    let seeds = seeds(name);
    for input in Inputs::new(&seeds).take(inputs.max(seeds.len())) {
        if let Err(panic) = catch_unwind(|| target(&input)) {
            let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{name}"));
            std::fs::write(&file, &input).expect("the input can be kept");
            eprintln!("{name} does not hold for b\"{}\"; it is in {}", input.escape_ascii(), file.display());
            std::panic::resume_unwind(panic);
        }
    }
}

/// A parser that asks for more than this ends the test ("memory allocation of N bytes failed").
fn limit_memory() {
    const BYTES: u64 = 2 << 30;
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let limit = Rlimit { current: Some(BYTES), maximum: Some(BYTES) };
        setrlimit(Resource::As, limit).expect("a limit can be lowered");
    });
}

fn seeds(name: &str) -> Vec<Vec<u8>> {
    let folder = here("corpus").join(name);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> =
        entries.map(|entry| entry.expect("a folder can be listed").path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    files.iter().map(|file| std::fs::read(file).expect("a seed can be read")).collect()
}

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A function that is not run here, or not by cargo-fuzz, is not forgotten.
#[test]
fn every_function_is_run_in_both_forms() {
    let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(TESTED, names);
    let manifest = std::fs::read_to_string(here("../../fuzz/Cargo.toml")).expect("fuzz/Cargo.toml");
    for name in names {
        let file = here("../../fuzz/fuzz_targets").join(format!("{name}.rs"));
        let text =
            std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        assert!(
            text.contains(&format!("pontoon_fuzz::{name}(")),
            "{} calls another function",
            file.display()
        );
        assert!(manifest.contains(&format!("name = \"{name}\"")), "fuzz/Cargo.toml lacks {name}");
    }
}
