//! `pontoon compose`

pub(crate) mod config;
pub(crate) mod logs;
pub(crate) mod ps;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::failure::Failure;
use crate::global::Global;
use crate::parse::project::ProjectFlags;

/// Look at a compose file and at what became of it
///
/// `pontoon up` and `pontoon down` change it. Which file is said before the verb: `pontoon compose -f shop.yaml ps`.
#[derive(Debug, Args)]
pub(crate) struct Compose {
    #[command(flatten)]
    project: ProjectFlags,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Config(config::Config),
    Ps(ps::Ps),
    Logs(logs::Logs),
}

impl Compose {
    pub(crate) fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        match self.verb {
            Verb::Config(verb) => verb.run(&self.project),
            Verb::Ps(verb) => verb.run(global, &self.project),
            Verb::Logs(verb) => verb.run(global, &self.project),
        }
    }
}
