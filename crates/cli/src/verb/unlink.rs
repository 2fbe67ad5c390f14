//! `pontoon unlink`

use std::process::ExitCode;

use clap::Args;

use crate::failure::Failure;
use crate::global::Global;
use crate::parse::cable::Place;
use crate::show::plan::PlanFlag;

/// Take away the cables between two containers, or a container and the host
#[derive(Debug, Args)]
pub(crate) struct Unlink {
    /// One end: a container as in `network connect`, or `host`
    a: Place,
    /// The other end
    b: Place,
    #[command(flatten)]
    plan: PlanFlag,
}

impl Unlink {
    pub(crate) fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        let format = global.plan_format(self.plan.format)?;
        let mut session = global.session()?;
        let mut gone = session.unlink(self.a.container(), self.b.container())?.into_iter();
        let Some(mut all) = gone.next() else { return Ok(ExitCode::SUCCESS) };
        gone.for_each(|one| all.plan.append(one.plan));
        global.conclude(&session, format, &all, |_| Ok(()))?;
        Ok(ExitCode::SUCCESS)
    }
}
