//! `pontoon inspect`

use std::process::ExitCode;

use clap::Args;
use pontoon_engine::EngineError;
use pontoon_engine::report::container::ContainerReport;
use pontoon_engine::report::network::NetworkReport;
use pontoon_engine::report::{Reader, ReportError};
use pontoon_format::InspectFormat;
use serde::Serialize;

use crate::failure::{self, Failure};
use crate::global::Global;
use crate::output;
use crate::show::conflict;
use crate::show::inspect::render;
use crate::verb::network::inspect::report as network_report;

/// Show all about containers or networks, as JSON in the shape of Docker's
///
/// A name is looked for among the containers first. With --format, a Go template for each:
/// `--format '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}'`.
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// `json` for one line, or a Go template for each
    #[arg(long, short, value_name = "FORMAT", default_value = "", hide_default_value = true)]
    format: String,
    /// Containers or networks by name, id, or the beginning of an id
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Found {
    Container(Box<ContainerReport>),
    Network(Box<NetworkReport>),
}

impl Inspect {
    pub(crate) fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        let format = InspectFormat::parse(&self.format)?;
        let reader = global.reader()?;
        let mut found = Vec::new();
        let missing = failure::each(&self.names, |name| {
            found.push(find(global, &reader, name)?);
            Ok(())
        });
        output::print(&render(&format, &found)?)?;
        missing.map(|()| ExitCode::SUCCESS)
    }
}

fn find(global: &Global, reader: &Reader, name: &str) -> Result<Found, Failure> {
    match reader.container(name) {
        Ok(sandbox) => {
            let places = reader.of_container(&sandbox)?;
            Ok(Found::Container(Box::new(ContainerReport::new(&sandbox, &places)?)))
        }
        Err(missing @ ReportError::Engine(EngineError::NoContainer { .. })) => match reader.network(name) {
            Ok(_) => {
                let conflicts = conflict::found(global, reader);
                Ok(Found::Network(Box::new(network_report(reader, name, &conflicts)?)))
            }
            Err(ReportError::Engine(EngineError::NoNetwork { .. })) => Err(neither(name, missing)),
            Err(error) => Err(error.into()),
        },
        Err(error) => Err(error.into()),
    }
}

fn neither(name: &str, missing: ReportError) -> Failure {
    let failure = Failure::new(format!("there is no container or network `{name}`"));
    match pontoon_model::Diagnose::hint(&missing) {
        Some(hint) => failure.with_hint(hint),
        None => failure,
    }
}
