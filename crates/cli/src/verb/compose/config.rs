//! `pontoon compose config`

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use pontoon_project::Disk;

use crate::failure::Failure;
use crate::output;
use crate::parse::project::ProjectFlags;

/// Check the files and show what they amount to: merged, with variables filled in
#[derive(Debug, Args)]
pub(crate) struct Config {
    /// Say nothing unless something is wrong
    #[arg(long, short)]
    quiet: bool,
    /// Show the names of the services alone
    #[arg(long, conflicts_with = "networks")]
    services: bool,
    /// Show the networks alone: name and subnets of each that is asked for
    #[arg(long)]
    networks: bool,
    /// How the document is shown
    #[arg(long, value_name = "FORMAT", default_value = "yaml")]
    format: Format,
}

/// A document's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// As YAML
    Yaml,
    /// As JSON
    Json,
}

impl Config {
    pub(crate) fn run(self, project: &ProjectFlags) -> Result<ExitCode, Failure> {
        let loaded = project.load(&[])?;
        if self.quiet {
            return Ok(ExitCode::SUCCESS);
        }
        if self.services {
            loaded.services.iter().try_for_each(|service| output::line(&service.name))?;
            return Ok(ExitCode::SUCCESS);
        }
        if self.networks {
            for network in loaded.networks.values() {
                let subnets: Vec<String> = network.pools.iter().map(|pool| pool.subnet.to_string()).collect();
                output::line(format!("{} {}", network.name, subnets.join(" ")).trim_end())?;
            }
            return Ok(ExitCode::SUCCESS);
        }
        let request = project.request(&[])?;
        let document = pontoon_compose::config(&request, &Disk).map_err(|errors| Failure::all(&errors.0))?;
        let text = match self.format {
            Format::Yaml => document.yaml(),
            Format::Json => document.json(),
        };
        output::print(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}
