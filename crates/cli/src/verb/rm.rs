//! `pontoon rm`

use std::process::ExitCode;

use clap::Args;
use pontoon_engine::EngineError;

use crate::failure::{self, Failure};
use crate::global::Global;
use crate::output;

/// Forget containers that have ended
#[derive(Debug, Args)]
pub(crate) struct Rm {
    /// End those that run, by force, and do not mind those that are not there
    #[arg(long, short)]
    force: bool,
    /// Containers by name, id, or the beginning of an id
    #[arg(value_name = "CONTAINER", required = true)]
    names: Vec<String>,
}

impl Rm {
    pub(crate) fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        let mut session = global.session()?;
        if global.dry_run {
            return global.show_teardown(&session, &self.names);
        }
        let removed = failure::each(&self.names, |name| match session.remove(name, self.force) {
            Ok(_) => output::line(name),
            Err(EngineError::NoContainer { .. }) if self.force => Ok(()),
            Err(error) => Err(error.into()),
        });
        removed.map(|()| ExitCode::SUCCESS)
    }
}
