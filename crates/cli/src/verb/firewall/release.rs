//! `pontoon firewall release`

use std::process::ExitCode;

use clap::Args;

use super::tell;
use crate::failure::Failure;
use crate::global::Global;
use crate::show::plan::PlanFlag;

/// Take back what `firewall integrate` did
///
/// Rules and files go that carry Pontoon's mark, and nothing else. Prints where something was taken out.
#[derive(Debug, Args)]
pub(crate) struct Release {
    #[command(flatten)]
    plan: PlanFlag,
}

impl Release {
    pub(crate) fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        let format = global.plan_format(self.plan.format)?;
        let mut session = global.session()?;
        let done = session.firewall_release()?;
        global.conclude(&session, format, &done, |done| tell(done, "there is nothing to take back"))?;
        Ok(ExitCode::SUCCESS)
    }
}
