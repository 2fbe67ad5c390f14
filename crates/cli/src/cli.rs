//! The command line as a whole.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::failure::Failure;
use crate::global::Global;
use crate::verb;

/// What every exit code means.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    failed; what was begun is undone
  2    the command line was wrong; `explain`: it cannot be told; `doctor`: only doubts and notes
  125  `run` or `exec`: the container could not be set up or entered
  126  `run` or `exec`: the command is there but cannot be run
  127  `run` or `exec`: there is no such command
  For `run` in the foreground, `exec` and `lab -- COMMAND`, the command's own otherwise (128 + the signal's number \
if a signal ended it).";

/// Container networking you can see through.
///
/// Networks, containers and cables from Linux primitives: namespaces, veth pairs, bridges, routes and nftables. The
/// words are Docker's where Docker has them.
///
/// Every command that changes networks takes --dry-run, which shows the `ip`, `bridge`, `nft` and `sysctl` commands that do the
/// same, each with its reason, and changes nothing. `pontoon lab` is a throw-away host to try things on.
#[derive(Debug, Parser)]
#[command(
    name = "pontoon",
    version,
    after_long_help = EXIT_CODES,
    disable_help_subcommand = true,
    max_term_width = 100,
    arg_required_else_help = true
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// Everything that can be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    #[command(subcommand)]
    Network(verb::network::Network),
    Run(Box<verb::run::Run>),
    Exec(verb::exec::Exec),
    Ps(verb::ps::Ps),
    Inspect(verb::inspect::Inspect),
    Logs(verb::logs::Logs),
    Stop(verb::stop::Stop),
    Rm(verb::rm::Rm),
    Publish(verb::publish::Publish),
    Unpublish(verb::unpublish::Unpublish),
    Port(verb::port::Port),
    Stats(verb::stats::Stats),
    Events(verb::events::Events),
    Up(verb::up::Up),
    Down(verb::down::Down),
    Compose(verb::compose::Compose),
    Test(verb::test::Test),
    Link(verb::link::Link),
    Unlink(verb::unlink::Unlink),
    Impair(Box<verb::impair::Impair>),
    Explain(verb::explain::Explain),
    Reach(verb::reach::Reach),
    Route(verb::route::Route),
    Doctor(verb::doctor::Doctor),
    Firewall(verb::firewall::Firewall),
    Graph(verb::graph::Graph),
    Capture(verb::capture::Capture),
    Lab(verb::lab::Lab),
    #[command(subcommand)]
    System(verb::system::System),
    Restore(verb::restore::Restore),
    OciHook(verb::oci_hook::OciHook),
    Daemon(verb::daemon::Daemon),
    Completion(verb::completion::Completion),
    Help(verb::help::Help),
    #[command(hide = true)]
    LabServe(verb::lab::serve::Serve),
    #[command(hide = true)]
    LabFetch(verb::lab::fetch::Fetch),
}

impl Verb {
    pub(crate) fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        match self {
            Self::Network(verb) => verb.run(global),
            Self::Run(verb) => verb.run(global),
            Self::Exec(verb) => verb.run(global),
            Self::Ps(verb) => verb.run(global),
            Self::Inspect(verb) => verb.run(global),
            Self::Logs(verb) => verb.run(global),
            Self::Stop(verb) => verb.run(global),
            Self::Rm(verb) => verb.run(global),
            Self::Publish(verb) => verb.run(global),
            Self::Unpublish(verb) => verb.run(global),
            Self::Port(verb) => verb.run(global),
            Self::Stats(verb) => verb.run(global),
            Self::Events(verb) => verb.run(global),
            Self::Up(verb) => verb.run(global),
            Self::Down(verb) => verb.run(global),
            Self::Compose(verb) => verb.run(global),
            Self::Test(verb) => verb.run(global),
            Self::Link(verb) => verb.run(global),
            Self::Unlink(verb) => verb.run(global),
            Self::Impair(verb) => verb.run(global),
            Self::Explain(verb) => verb.run(global),
            Self::Reach(verb) => verb.run(global),
            Self::Route(verb) => verb.run(global),
            Self::Doctor(verb) => verb.run(global),
            Self::Firewall(verb) => verb.run(global),
            Self::Graph(verb) => verb.run(global),
            Self::Capture(verb) => verb.run(global),
            Self::Lab(verb) => verb.run(global),
            Self::System(verb) => verb.run(global),
            Self::Restore(verb) => verb.run(global),
            Self::OciHook(verb) => verb.run(global),
            Self::Daemon(verb) => verb.run(global),
            Self::Completion(verb) => verb.run(global),
            Self::Help(verb) => verb.run(global),
            Self::LabServe(verb) => verb.run(),
            Self::LabFetch(verb) => verb.run(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_flags_may_stand_before_and_after_the_verb() {
        for line in [
            "pontoon --root /r --dry-run -v network rm a",
            "pontoon network --root /r --dry-run -v rm a",
            "pontoon network rm a --root /r --dry-run -v",
        ] {
            let cli = Cli::try_parse_from(line.split(' ')).expect(line);
            assert!(cli.global.dry_run && cli.global.verbose, "{line}");
            assert_eq!(cli.global.root.as_deref(), Some(std::path::Path::new("/r")), "{line}");
        }
    }

    /// The command line of a unit in `dist`.
    fn unit(text: &str) -> Result<Cli, clap::Error> {
        let line = text.lines().find_map(|line| line.strip_prefix("ExecStart=/usr/local/bin/"));
        Cli::try_parse_from(line.expect("a service starts the program").split_whitespace())
    }

    #[test]
    fn units_say_what_the_program_understands() {
        let cli = unit(include_str!("../../../dist/pontoon-restore.service")).expect("it is understood");
        assert!(matches!(cli.verb, Verb::Restore(_)) && !cli.global.dry_run);
    }

    #[test]
    fn the_daemons_unit_says_what_the_program_understands() {
        unit(include_str!("../../../dist/pontoon-daemon.service")).expect("it is understood");
    }
}
