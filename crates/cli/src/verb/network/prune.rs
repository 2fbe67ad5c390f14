//! `pontoon network prune`

use std::process::ExitCode;
use std::time::SystemTime;

use clap::Args;
use pontoon_format::{Filters, Key, Kind, Subject};
use pontoon_model::Network;

use crate::failure::Failure;
use crate::global::Global;
use crate::output;
use crate::show::moment;
use crate::show::plan::PlanFlag;
use crate::verb::system::confirm;

/// Remove all networks that no container is on
///
/// The default network stays. Filters: until=24h (made before), label=KEY[=VALUE], label!=KEY[=VALUE].
#[derive(Debug, Args)]
pub(crate) struct Prune {
    /// Do not ask
    #[arg(long, short)]
    force: bool,
    /// Remove only what matches; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    #[command(flatten)]
    plan: PlanFlag,
}

const KEYS: [Key; 3] = [
    Key::new("label", Kind::Label, ""),
    Key::new("label!", Kind::NotLabel, ""),
    Key::new("until", Kind::Until, ""),
];

impl Prune {
    pub(crate) fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        let format = global.plan_format(self.plan.format)?;
        let filters = Filters::parse(&KEYS, &self.filter, SystemTime::now())?;
        if !self.force
            && !global.dry_run
            && !confirm("This will remove all networks that no container is on.")?
        {
            return Ok(ExitCode::SUCCESS);
        }
        let mut session = global.session()?;
        let pruned = session.network_prune(|network| filters.matches(|key| subject(key.name, network)))?;
        global.conclude(&session, format, &pruned, |networks| match networks.as_slice() {
            [] => Ok(()),
            networks => {
                let names: String = networks.iter().map(|network| format!("{}\n", network.name)).collect();
                output::print(&format!("Deleted Networks:\n{names}\n"))
            }
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

fn subject<'n>(key: &str, network: &'n Network) -> Subject<'n> {
    match key {
        "until" => moment::parse(&network.created).map_or(Subject::Absent, Subject::Time),
        _ => Subject::labels(network.labels.iter().map(|(key, value)| (key.as_str(), value.as_str()))),
    }
}
