//! `pontoon network inspect`

use std::process::ExitCode;

use clap::Args;
use pontoon_engine::conflict::Conflict;
use pontoon_engine::report::Reader;
use pontoon_engine::report::network::NetworkReport;
use pontoon_format::InspectFormat;

use crate::failure::{self, Failure};
use crate::global::Global;
use crate::output;
use crate::show::conflict;
use crate::show::inspect::render;

/// Show all about networks, as JSON in the shape of Docker's
///
/// With --format, a Go template for each network: `--format '{{json .IPAM.Config}}'`.
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// `json` for one line, or a Go template for each network
    #[arg(long, short, value_name = "FORMAT", default_value = "", hide_default_value = true)]
    format: String,
    /// Networks by name, id, or the beginning of an id
    #[arg(value_name = "NETWORK", required = true)]
    names: Vec<String>,
}

impl Inspect {
    pub(crate) fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        let format = InspectFormat::parse(&self.format)?;
        let reader = global.reader()?;
        let conflicts = conflict::found(global, &reader);
        let mut found = Vec::new();
        let missing = failure::each(&self.names, |name| {
            found.push(report(&reader, name, &conflicts)?);
            Ok(())
        });
        output::print(&render(&format, &found)?)?;
        missing.map(|()| ExitCode::SUCCESS)
    }
}

/// The report on the network called `name`, with what was found to overlap with it.
pub(crate) fn report(reader: &Reader, name: &str, conflicts: &[Conflict]) -> Result<NetworkReport, Failure> {
    let network = reader.network(name)?;
    let places = reader.on_network(&network)?;
    Ok(NetworkReport::new(&network, &places).with_conflicts(conflicts))
}
