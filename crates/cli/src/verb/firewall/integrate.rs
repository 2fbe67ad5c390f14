//! `pontoon firewall integrate`

use std::process::ExitCode;

use clap::Args;

use super::tell;
use crate::failure::Failure;
use crate::global::Global;
use crate::show::plan::PlanFlag;

/// Have other firewalls let through what enters or leaves Pontoon's bridges
///
/// Rules with the comment `pontoon:integration` go to the top of the chain that drops, or of DOCKER-USER where Docker
/// is; firewalld gets a zone and two policies of its own in /etc/firewalld. What containers may do is decided by
/// Pontoon's own table then. Where a chain drops what is for the host itself, only queries for names are let through:
/// port 53. Nothing of others is changed. `network create` and `restore` renew it; `firewall release` and the last
/// `system prune` take it back. Prints where something was done.
#[derive(Debug, Args)]
pub(crate) struct Integrate {
    #[command(flatten)]
    plan: PlanFlag,
}

impl Integrate {
    pub(crate) fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        let format = global.plan_format(self.plan.format)?;
        let mut session = global.session()?;
        let done = session.firewall_integrate()?;
        global.conclude(&session, format, &done, |done| tell(done, "nothing is in the way"))?;
        Ok(ExitCode::SUCCESS)
    }
}
