//! `pontoon network rm`

use std::process::ExitCode;

use clap::Args;
use pontoon_engine::{EngineError, Outcome};
use pontoon_plan::Plan;

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
        // One plan for all, which a dry run shows as one.
        let mut all = Outcome { value: String::new(), plan: Plan::default() };
        let removed = failure::each(&self.names, |name| match session.network_remove(name) {
            Ok(removed) => {
                all.plan.append(removed.plan);
                all.value.push_str(&format!("{name}\n"));
                Ok(())
            }
            Err(EngineError::NoNetwork { .. }) if self.force => Ok(()),
            Err(error) => Err(error.into()),
        });
        global.conclude(&session, format, &all, |names| output::print(names))?;
        removed.map(|()| ExitCode::SUCCESS)
    }
}
