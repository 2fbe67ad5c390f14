//! `pontoon system prune`

use std::process::ExitCode;

use clap::Args;

use crate::failure::Failure;
use crate::global::Global;
use crate::output;
use crate::show::plan::PlanFlag;
use crate::verb::system::confirm;

/// Take away everything that is not used
///
/// Networks without containers (the default one too), links of Pontoon's that it does not know any more, and when no
/// network is left its rules; the host's settings are then what they were before.
#[derive(Debug, Args)]
pub(crate) struct Prune {
    /// Do not ask
    #[arg(long, short)]
    force: bool,
    #[command(flatten)]
    plan: PlanFlag,
}

impl Prune {
    pub(crate) fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        let format = global.plan_format(self.plan.format)?;
        if !self.force
            && !global.dry_run
            && !confirm("This will take away all networks, links and rules that are not used.")?
        {
            return Ok(ExitCode::SUCCESS);
        }
        let mut session = global.session()?;
        let pruned = session.system_prune()?;
        global.conclude(&session, format, &pruned, |gone| match gone.as_slice() {
            [] => Ok(()),
            gone => output::print(&format!(
                "Deleted:\n{}\n",
                gone.iter().map(|what| format!("{what}\n")).collect::<String>()
            )),
        })?;
        Ok(ExitCode::SUCCESS)
    }
}
