//! Containers of other engines: connected as ours are, and connected anew when their engine starts them anew.

mod docker;
mod podman;
mod runtime;

use pontoon_e2e::Pontoon;

/// A network, past the rules of an engine that drops what it does not know.
#[track_caller]
fn network(pontoon: &Pontoon<'_>, words: &str) {
    let made = pontoon.attempt(&format!("network create {words}"));
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    pontoon.run("firewall integrate");
}
