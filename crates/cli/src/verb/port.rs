//! `pontoon port`

use std::process::ExitCode;

use clap::Args;
use pontoon_engine::report::port::mappings;
use pontoon_model::publish::ExposedPorts;

use crate::failure::Failure;
use crate::global::Global;
use crate::output;
use crate::parse::hinted::hinted;

/// Show the published ports of a container
///
/// Says so when a program of the host listens on a published port as well: connections go to the container.
#[derive(Debug, Args)]
pub(crate) struct Port {
    /// Container
    container: String,
    /// Only this port of the container
    #[arg(value_name = "PORT[/PROTOCOL]", value_parser = hinted::<ExposedPorts>)]
    port: Option<ExposedPorts>,
}

impl Port {
    pub(crate) fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        let reader = global.reader()?;
        let sandbox = reader.container(&self.container)?;
        let places = reader.of_container(&sandbox)?;
        let asked = |port: &ExposedPorts, of: u16| port.ports().any(|port| port == of);
        let mut found = false;
        for mapping in mappings(&sandbox, &places) {
            let port = self.port.as_ref();
            if port.is_some_and(|port| port.protocol != mapping.protocol || !asked(port, mapping.container)) {
                continue;
            }
            found = true;
            match port {
                Some(_) => output::line(mapping.at)?,
                None => output::line(mapping)?,
            }
        }
        for (port, holder) in reader.shadowed(&sandbox)? {
            output::warning(&format!(
                "{holder} listens on port {port} as well; connections go to {}",
                sandbox.name
            ));
        }
        match (&self.port, found) {
            (Some(port), false) => {
                Err(Failure::new(format!("container `{}` has not published port {port}", sandbox.name)))
            }
            _ => Ok(ExitCode::SUCCESS),
        }
    }
}
