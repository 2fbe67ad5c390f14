//! `pontoon network rm`

use std::process::ExitCode;

use clap::Args;

use crate::failure::{self, Failure};
use crate::global::Global;
use crate::output;
use crate::show::plan::PlanFlag;

/// Remove networks that no container is on
///
/// Prints the name of each that is removed. When one cannot be, the others are removed all the same.
#[derive(Debug, Args)]
#[command(visible_alias = "remove")]
pub(crate) struct Rm {
    /// Do not mind networks that are not there
    #[arg(long, short)]
    force: bool,
    /// Networks by name, id, or the beginning of an id
    #[arg(value_name = "NETWORK", required = true)]
    names: Vec<String>,
    #[command(flatten)]
    plan: PlanFlag,
}

impl Rm {
    pub(crate) fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        let format = global.plan_format(self.plan.format)?;
        let mut session = global.session()?;
        failure::each(&self.names, |name| match session.network_remove(name) {
            Ok(removed) => global.conclude(&mut session, format, &removed, |_| output::line(name)),
            Err(pontoon_engine::EngineError::NoNetwork { .. }) if self.force => Ok(()),
            Err(error) => Err(error.into()),
        })?;
        Ok(ExitCode::SUCCESS)
    }
}
