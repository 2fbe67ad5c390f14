//! `pontoon network`

mod connect;
mod create;
mod disconnect;
pub(crate) mod inspect;
mod ls;
mod prune;
mod renumber;
mod rm;
mod route;

use std::process::ExitCode;

use clap::Subcommand;

use crate::failure::Failure;
use crate::global::Global;

/// Make, show and remove networks, and connect containers to them
#[derive(Debug, Subcommand)]
pub(crate) enum Network {
    Create(create::Create),
    Ls(ls::Ls),
    Inspect(inspect::Inspect),
    Connect(connect::Connect),
    Disconnect(disconnect::Disconnect),
    Renumber(renumber::Renumber),
    #[command(subcommand)]
    Route(route::Route),
    Rm(rm::Rm),
    Prune(prune::Prune),
}

impl Network {
    pub(crate) fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        match self {
            Self::Create(verb) => verb.run(global),
            Self::Ls(verb) => verb.run(global),
            Self::Inspect(verb) => verb.run(global),
            Self::Connect(verb) => verb.run(global),
            Self::Disconnect(verb) => verb.run(global),
            Self::Renumber(verb) => verb.run(global),
            Self::Route(verb) => verb.run(global),
            Self::Rm(verb) => verb.run(global),
            Self::Prune(verb) => verb.run(global),
        }
    }
}
