//! `pontoon reach`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use pontoon_engine::reach::{Change, Reach as Ways};
use pontoon_engine::snapshot;
use pontoon_model::ContainerRef;
use pontoon_model::observed::snapshot::Snapshot;
use serde::Serialize;

use crate::failure::Failure;
use crate::global::Global;
use crate::output;
use crate::show::matrix;
use crate::verb::explain::{load, restore, save};

/// Show who reaches whom: containers, the host and the outside, by ping and each port where somebody listens
///
///   pontoon reach                               all containers on networks
///   pontoon reach web db                        these, the host and the outside
///   pontoon reach --save before.json            … and with the host as it was, to compare with later:
///   pontoon reach --against before.json         what appeared (+), went (-), or can no longer be told (?)
///
/// Every way is walked as by `explain`, which tells why one is closed. From the outside, a container's port is asked for
/// where it is published, or at the container's own address if it is not. Nothing is sent, and nothing is changed. With
/// --against, the exit code is 1 if something is otherwise.
#[derive(Debug, Args)]
pub(crate) struct Reach {
    /// Containers as in `network connect`; all that are on networks if there is none
    #[arg(value_name = "CONTAINER")]
    containers: Vec<ContainerRef>,
    /// Keep what was read of the host in a file
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Look at what a file has, instead of this host
    #[arg(long, value_name = "FILE", conflicts_with = "save")]
    from: Option<PathBuf>,
    /// Show what is otherwise than in the host of this file
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// How it is shown
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_default_value = true)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A table of who asks by who is asked, or where that is too wide, a list
    Text,
    /// Every way with its verdict
    Json,
}

impl Reach {
    pub(crate) fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        // What cannot be read says so before the host is looked at.
        let before = self.against.as_deref().map(load).transpose()?;
        let (snapshot, names) = self.snapshot(global)?;
        if let Some(path) = &self.save {
            save(path, &snapshot)?;
        }
        let now = Ways::of(&snapshot, &names)?;
        match before {
            None => {
                self.show(&now, || matrix::ways(&now))?;
                Ok(ExitCode::SUCCESS)
            }
            Some(before) => {
                // Who was not there yet reached nobody.
                let there: Vec<String> =
                    names.iter().filter(|name| before.by_name(name).is_some()).cloned().collect();
                let changes = match names.is_empty() || !there.is_empty() {
                    true => now.since(&Ways::of(&before, &there)?),
                    false => now.since(&Ways { names: Vec::new(), passages: Vec::new() }),
                };
                self.show(&changes, || changes.iter().map(line).collect())?;
                Ok(if changes.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
            }
        }
    }

    fn show(&self, found: &impl Serialize, text: impl FnOnce() -> String) -> Result<(), Failure> {
        match self.format {
            Format::Text => output::coloured(&text()),
            Format::Json => output::json(found),
        }
    }

    /// The host, and what those who were named are called in it.
    fn snapshot(&self, global: &Global) -> Result<(Snapshot, Vec<String>), Failure> {
        if let Some(path) = &self.from {
            return Ok((load(path)?, self.containers.iter().map(ContainerRef::to_string).collect()));
        }
        let reader = global.reader()?;
        let restore = restore(global);
        Ok(match self.containers.is_empty() {
            true => snapshot::everything(&reader, &[], &restore)?,
            false => snapshot::take(&reader, &self.containers, &restore)?,
        })
    }
}

/// `+ web → db 80/tcp`
fn line(change: &Change) -> String {
    let Change { from, to, what, .. } = change;
    format!("{} {from} → {to} {what}\n", matrix::sign(change))
}
