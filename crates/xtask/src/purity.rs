//! The pure crates reach no I/O: neither through a dependency nor through the standard library.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::Finding;

/// Crates that only compute.
const PURE: [&str; 10] = [
    "pontoon-netlink",
    "pontoon-nft",
    "pontoon-model",
    "pontoon-plan",
    "pontoon-format",
    "pontoon-explain",
    "pontoon-dns",
    "pontoon-compose",
    "pontoon-graph",
    "pontoon-capture",
];

/// Crates that touch the host, by the beginning of their names.
const IMPURE_CRATES: [&str; 14] = [
    "pontoon-kernel",
    "pontoon-store",
    "pontoon-engine",
    "libc",
    "rustix",
    "nix",
    "tokio",
    "mio",
    "async-std",
    "netlink-",
    "rtnetlink",
    "rusqlite",
    "getrandom",
    "socket2",
];

/// Paths of the standard library that touch the host or tell the time. `std::os::fd` is not among them: a descriptor's
/// number in a message is data; nor is `SystemTime`, which may be handed in, but its `now`.
const IMPURE_PATHS: [&str; 16] = [
    "std::fs",
    "std::process",
    "std::thread",
    "std::env",
    "std::io::stdin",
    "std::io::stdout",
    "std::io::stderr",
    "std::time::Instant",
    "std::os::unix",
    "std::os::linux",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "SystemTime::now",
    "Instant::now",
];

/// Findings about all pure crates.
pub(crate) fn check(metadata: &Value) -> Vec<Finding> {
    let packages = metadata["packages"].as_array().expect("metadata has packages");
    let graph = dependencies(metadata);
    let mut findings = Vec::new();
    for name in PURE {
        let Some(package) = packages.iter().find(|package| package["name"] == name) else {
            findings.push(format!("there is no crate {name}: correct the list in the xtask"));
            continue;
        };
        let names = |id: &str| {
            packages.iter().find(|package| package["id"] == id).and_then(|package| package["name"].as_str())
        };
        for reached in
            closure(&graph, package["id"].as_str().unwrap_or_default()).iter().filter_map(|id| names(id))
        {
            if IMPURE_CRATES
                .iter()
                .any(|impure| reached == *impure || (impure.ends_with('-') && reached.starts_with(impure)))
            {
                findings.push(format!("{name} is to be pure, but depends on {reached}"));
            }
        }
        let manifest = Path::new(package["manifest_path"].as_str().unwrap_or_default());
        scan(&manifest.with_file_name("src"), name, &mut findings);
    }
    findings
}

/// For each package, the packages that it is built with; tests and build scripts do not count.
fn dependencies(metadata: &Value) -> BTreeMap<String, Vec<String>> {
    let nodes = metadata["resolve"]["nodes"].as_array().expect("metadata is resolved");
    let normal = |dep: &&Value| {
        dep["dep_kinds"].as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind["kind"].is_null()))
    };
    let of = |node: &Value| {
        let deps = node["deps"].as_array().into_iter().flatten();
        deps.filter(normal).filter_map(|dep| dep["pkg"].as_str().map(str::to_owned)).collect()
    };
    nodes.iter().map(|node| (node["id"].as_str().unwrap_or_default().to_owned(), of(node))).collect()
}

fn closure(graph: &BTreeMap<String, Vec<String>>, start: &str) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut waiting = vec![start.to_owned()];
    while let Some(id) = waiting.pop() {
        for next in graph.get(&id).into_iter().flatten() {
            if reached.insert(next.clone()) {
                waiting.push(next.clone());
            }
        }
    }
    reached
}

fn scan(folder: &Path, name: &str, findings: &mut Vec<Finding>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for path in entries.map(|entry| entry.expect("folder can be listed").path()) {
        if path.is_dir() {
            scan(&path, name, findings);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("source can be read");
            for (number, line) in
                text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"))
            {
                for impure in IMPURE_PATHS.iter().filter(|impure| line.contains(*impure)) {
                    findings.push(format!(
                        "{name} is to be pure, but {}:{} has {impure}",
                        path.display(),
                        number + 1
                    ));
                }
            }
        }
    }
}
