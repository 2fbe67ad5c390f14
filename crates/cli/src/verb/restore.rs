//! `pontoon restore`

use std::process::ExitCode;

use clap::Args;

use crate::failure::Failure;
use crate::global::Global;
use crate::output;
use crate::show::plan::PlanFlag;

/// Make the bridges and rules of all networks again, as after a reboot
///
/// Prints the name of each network that was not there. What is there is left as it is.
#[derive(Debug, Args)]
pub(crate) struct Restore {
    #[command(flatten)]
    plan: PlanFlag,
}

impl Restore {
    pub(crate) fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        let format = global.plan_format(self.plan.format)?;
        let mut session = global.session()?;
        let restored = session.restore()?;
        global.conclude(&session, format, &restored, |names| {
            output::print(&names.iter().map(|name| format!("{name}\n")).collect::<String>())
        })?;
        Ok(ExitCode::SUCCESS)
    }
}
