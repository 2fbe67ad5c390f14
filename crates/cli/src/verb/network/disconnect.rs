//! `pontoon network disconnect`

use std::process::ExitCode;

use clap::Args;
use pontoon_model::ContainerRef;

use crate::failure::Failure;
use crate::global::Global;
use crate::show::plan::PlanFlag;

/// Disconnect a container from a network
///
/// Works whether or not the container, its interface or the bridge are still there.
#[derive(Debug, Args)]
pub(crate) struct Disconnect {
    /// Accepted for Docker's sake: it always works
    #[arg(long, short)]
    force: bool,
    /// Network
    network: String,
    /// Container, as in `network connect`
    container: ContainerRef,
    #[command(flatten)]
    plan: PlanFlag,
}

impl Disconnect {
    pub(crate) fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        let format = global.plan_format(self.plan.format)?;
        let mut session = global.session()?;
        let gone = session.disconnect(&self.network, &self.container)?;
        global.conclude(&session, format, &gone, |_| Ok(()))?;
        Ok(ExitCode::SUCCESS)
    }
}
