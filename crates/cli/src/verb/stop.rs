//! `pontoon stop`

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use crate::failure::{self, Failure};
use crate::global::Global;
use crate::output;

/// End running containers: first by asking (SIGTERM), then by force
///
/// Returns when their networks are gone too.
#[derive(Debug, Args)]
pub(crate) struct Stop {
    /// Seconds between asking and force
    #[arg(long = "timeout", visible_alias = "time", short, value_name = "SECONDS", default_value_t = 10)]
    timeout: u32,
    /// Containers by name, id, or the beginning of an id
    #[arg(value_name = "CONTAINER", required = true)]
    names: Vec<String>,
}

impl Stop {
    pub(crate) fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        let mut session = global.session()?;
        if global.dry_run {
            return global.show_teardown(&session, &self.names);
        }
        let stopped = failure::each(&self.names, |name| {
            session.stop(name, Duration::from_secs(self.timeout.into()))?;
            output::line(name)
        });
        stopped.map(|()| ExitCode::SUCCESS)
    }
}
