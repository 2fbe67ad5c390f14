//! `pontoon daemon`

mod status;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use pontoon_daemon::Options;
use pontoon_daemon::http::Address;
use pontoon_daemon::log::{self, Level};
use pontoon_engine::notice::{self, Request};

use crate::failure::Failure;
use crate::global::Global;
use crate::output;
use crate::parse::hinted::hinted;
use status::Status;

/// Serve names to containers, watch the host, and keep its networks as they should be
///
/// Networks work without it, but for names: `run` and `network connect` start it where a network has names, and it ends
/// when no container needs it any more. Started by hand or by systemd, it makes what is defined and missing first
/// (`pontoon restore`), and stays.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Daemon {
    #[command(subcommand)]
    action: Option<Action>,
    /// End when no container has needed names for ten seconds
    #[arg(long)]
    on_demand: bool,
    /// Only report what somebody changed of Pontoon's networks, and put nothing back
    #[arg(long)]
    no_repair: bool,
    /// Serve figures for Prometheus and /healthz: unix:/PATH or ADDRESS:PORT
    #[arg(long, value_name = "ADDRESS", value_parser = hinted::<Address>)]
    metrics: Option<Address>,
    /// How much is logged on standard error: error, warn, info, debug or trace [default: info]
    #[arg(long, value_name = "LEVEL", value_parser = hinted::<Level>)]
    log_level: Option<Level>,
    /// Group that may talk to it besides root, by number
    #[arg(long, value_name = "GID")]
    group: Option<u32>,
}

/// What is asked of a daemon that runs.
#[derive(Debug, Subcommand)]
enum Action {
    Status(Status),
    /// End it; the next container that needs names starts another
    Stop,
}

/// How long a daemon that was started on demand stays when nobody needs it.
const IDLE: Duration = Duration::from_secs(10);

impl Daemon {
    pub(crate) fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        global.no_dry_run("daemon")?;
        let root = global.instance()?;
        match self.action {
            None => {
                log::init(Level::wanted(self.log_level)?);
                let options = Options {
                    idle: self.on_demand.then_some(IDLE),
                    group: self.group,
                    repair: !self.no_repair,
                    metrics: self.metrics,
                };
                pontoon_daemon::run(&root, &options)?;
            }
            Some(Action::Status(status)) => return status.run(&root),
            Some(Action::Stop) => match notice::end(&root, &Request::Stop) {
                Err(error) if notice::is_nobody(&error) => output::line("no daemon runs")?,
                answer => drop(answer?),
            },
        }
        Ok(ExitCode::SUCCESS)
    }
}
