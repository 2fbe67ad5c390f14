//! `pontoon stop`

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use crate::failure::{self, Failure};
use crate::global::Global;
use crate::output;

/// End running containers: first by asking (SIGTERM, or what --stop-signal said), then by force
///
/// Returns when their networks are gone too.
#[derive(Debug, Args)]
pub(crate) struct Stop {
    /// Seconds between asking and force; as the container has it, or 10, when not given
    #[arg(long = "timeout", visible_alias = "time", short, value_name = "SECONDS")]
    timeout: Option<u32>,
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
            session.stop(name, self.timeout.map(|seconds| Duration::from_secs(seconds.into())))?;
            output::line(name)
        });
        stopped.map(|()| ExitCode::SUCCESS)
    }
}
