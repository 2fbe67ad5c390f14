//! `pontoon restore`

use std::process::ExitCode;

use clap::Args;
use pontoon_engine::drift::{Code, Done, Repair, Restored};
use pontoon_engine::rejoin::Rejoined;

use crate::failure::Failure;
use crate::global::Global;
use crate::output;
use crate::show::plan::PlanFlag;

/// Make the bridges and rules of all networks again, as after a reboot, and put back what somebody changed of them
///
/// Prints the name of each network that was not there, and everything else that was not as Pontoon made it: rules,
/// elements, links, addresses, routes, switches. What is as it should be is not touched. What was changed of a network
/// with the option pontoon.repair=false stays, and is only told. Containers of Docker and Podman that were started anew are
/// connected as they were.
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
        global.conclude(&session, format, &restored, |Restored { networks, repairs, rejoined }| {
            output::print(&networks.iter().map(|name| format!("{name}\n")).collect::<String>())?;
            if repairs.is_empty() && rejoined.is_empty() {
                return output::line("everything is as it should be");
            }
            let again = |one: &Rejoined| format!("connected as it was: {}\n", one.container);
            output::print(&rejoined.iter().map(again).collect::<String>())?;
            let rest = repairs.iter().filter(|repair| repair.drift.code != Code::BridgeGone);
            output::print(&rest.filter_map(said).collect::<String>())
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

/// What is said of something that was not as it was made; what failed is a warning.
fn said(Repair { drift, done }: &Repair) -> Option<String> {
    let found = &drift.found;
    match done {
        Done::Repaired => Some(format!("repaired: {found}\n")),
        Done::Kept => Some(format!("left as it is (pontoon.repair=false): {found}\n")),
        Done::Left | Done::Paused(_) | Done::Failed(_) => None,
    }
}
