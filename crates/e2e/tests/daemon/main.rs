//! The daemon as a process: it dies, is started again, puts back what somebody breaks, is asked by anybody, and ends.

mod activation;
mod asked;
mod dying;
mod figures;
mod lifetime;
mod mending;

use pontoon_e2e::{Pontoon, eventually, program};
use pontoon_testkit::{Background, Host};
use serde_json::Value;

/// How the daemon is.
#[track_caller]
fn status(pontoon: &Pontoon<'_>) -> Value {
    pontoon.json("daemon status --format json")
}

fn runs(pontoon: &Pontoon<'_>) -> bool {
    pontoon.attempt("daemon status").status.success()
}

/// Kills it as nothing can prevent, and waits until it is gone.
#[track_caller]
fn kill(host: &Host, pontoon: &Pontoon<'_>) {
    host.sh(&format!("kill -9 {}", status(pontoon)["pid"]));
    eventually("the daemon is gone", || !runs(pontoon));
}

/// Starts it as a person does, and waits until it is there.
#[track_caller]
fn by_hand(host: &Host, words: &str) -> Background {
    let daemon = host.background(&format!("exec {} daemon {words}", program().display()));
    daemon.wait_for("have names");
    daemon
}

/// The host's rules with their numbers, but for what is counted.
fn rules(host: &Host) -> String {
    host.sh("nft -a list ruleset | sed 's/packets [0-9]* bytes [0-9]*//g'")
}
