//! `pontoon firewall`

mod check;
mod integrate;
mod release;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use pontoon_engine::firewall::Integration;

use crate::failure::Failure;
use crate::global::Global;
use crate::output;

/// See what other firewalls on the host drop of containers' packets, and have them let it through
///
/// Pontoon's own table decides what its networks may do. But of several firewalls on one host each must let a packet
/// through: what Docker, ufw, firewalld or an administrator's rules drop is dropped. Without a subcommand, this is
/// `firewall check`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Firewall {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    check: check::Check,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Check(check::Check),
    Integrate(integrate::Integrate),
    Release(release::Release),
}

impl Firewall {
    pub(crate) fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        match self.verb {
            None => self.check.run(global),
            Some(Verb::Check(verb)) => verb.run(global),
            Some(Verb::Integrate(verb)) => verb.run(global),
            Some(Verb::Release(verb)) => verb.run(global),
        }
    }
}

/// Prints where something was done, and what is left to do by hand.
fn tell(done: &Integration, nothing: &str) -> Result<(), Failure> {
    if done.places.is_empty() && done.by_hand.is_empty() {
        output::line(nothing)?;
    }
    output::print(&done.places.iter().map(|place| format!("{place}\n")).collect::<String>())?;
    if !done.by_hand.is_empty() {
        output::warning(&format!(
            "the tables of iptables-legacy can only be changed by its own program\nby hand: {}",
            done.by_hand.join("; ")
        ));
    }
    Ok(())
}
