//! `pontoon doctor`

mod apply;
mod treat;

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use pontoon_engine::doctor::{self, Diagnosis, Named, Read, Severity};
use pontoon_model::shell::quote;
use serde::Serialize;

use crate::failure::Failure;
use crate::global::Global;
use crate::output;
use crate::show::diagnosis;
use treat::{Choice, Treated};

/// Say what is wrong with the host's networks, and mend it
///
///   pontoon doctor                        everything of Pontoon's
///   pontoon doctor web blue               what a container or a network suffers from
///   pontoon doctor docker:shop netns:x    the same for what Pontoon did not make
///   pontoon doctor --fix                  mend what is Pontoon's own
///   pontoon doctor --fix=firewall-drop    mend this, also where it is somebody else's
///
/// Looks at the host as it is: it asks for the packets that should pass (containers to each other, to their routers, to
/// the outside, to their name servers; and to published ports), compares what Pontoon made with what is there, and looks
/// for addresses and subnets that are there twice, sizes that differ, things left over. Nothing is sent or changed.
///
/// --fix shows the commands, asks, applies them one after the other and looks again; what did not help is taken back.
/// Alone it changes what Pontoon made and nothing else. What is somebody else's (their firewall, their routes, settings of
/// the whole host) is changed when it is named: --fix=CODE, or --fix=CODE@PLACE for one place.
///
/// The exit code is 0 if nothing was found, 1 if something stops packets, 2 if there are only doubts and notes. After
/// --fix it is that of what is left.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Networks, and containers as in `network connect`; everything without
    #[arg(value_name = "NETWORK|CONTAINER")]
    names: Vec<String>,
    /// Mend what is Pontoon's own; or what has this code, at this place, whoever made it
    #[arg(
        long,
        value_name = "CODE[@PLACE]",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "",
        action = clap::ArgAction::Append
    )]
    fix: Vec<Choice>,
    /// Do not ask before anything is changed
    #[arg(long, short, requires = "fix")]
    yes: bool,
    /// How it is shown
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_default_value = true)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// All of it
    Json,
}

/// What `--format json` prints.
#[derive(Debug, Serialize)]
struct Report<'a> {
    /// `healthy`, `doubtful`, `sick`.
    verdict: &'static str,
    findings: &'a [Diagnosis],
    /// Namespaces that were looked at.
    places: Vec<&'a str>,
    /// What could not be read.
    unread: &'a [String],
    treated: &'a [Treated],
}

impl Doctor {
    pub(crate) fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        let clinic = Clinic { global, names: &self.names };
        let mut read = clinic.read()?;
        let mut found = doctor::examine(&read.facts, &read.scope);
        let mut treated = Vec::new();
        if !self.fix.is_empty() {
            if self.format == Format::Text {
                output::coloured(&diagnosis::all(&found))?;
            }
            treated = treat::treat(&clinic, &self.fix, self.yes, &mut found)?;
            read = clinic.read()?;
            found = doctor::examine(&read.facts, &read.scope);
        }
        match self.format {
            Format::Text => {
                let seen = read.facts.snapshot.namespaces.len();
                if self.fix.is_empty() {
                    output::coloured(&diagnosis::all(&found))?;
                }
                read.unread.iter().for_each(|what| output::warning(&format!("not read: {what}")));
                output::coloured(&diagnosis::summary(&found, seen, &clinic.command()))?;
            }
            Format::Json => {
                let namespaces = &read.facts.snapshot.namespaces;
                let report = Report {
                    verdict: verdict(&found),
                    findings: &found,
                    places: namespaces.iter().map(|namespace| namespace.name.as_str()).collect(),
                    unread: &read.unread,
                    treated: &treated,
                };
                output::json(&report)?;
            }
        }
        Ok(ExitCode::from(match doctor::worst(&found) {
            None => 0,
            Some(Severity::Blocks) => 1,
            Some(Severity::Unknown | Severity::Note) => 2,
        }))
    }
}

fn verdict(found: &[Diagnosis]) -> &'static str {
    match doctor::worst(found) {
        None => "healthy",
        Some(Severity::Blocks) => "sick",
        Some(Severity::Unknown | Severity::Note) => "doubtful",
    }
}

/// Where the host is looked at, again and again.
struct Clinic<'a> {
    global: &'a Global,
    names: &'a [String],
}

impl Clinic<'_> {
    /// What there is to know now.
    fn read(&self) -> Result<Read, Failure> {
        let reader = self.global.reader()?;
        let named = Named { names: self.names.to_vec(), program: self.program() };
        Ok(doctor::read(&self.global.instance()?, &reader, &named)?)
    }

    /// What is wrong now.
    fn examine(&self) -> Result<Vec<Diagnosis>, Failure> {
        let read = self.read()?;
        Ok(doctor::examine(&read.facts, &read.scope))
    }

    /// The command line of this instance.
    fn program(&self) -> String {
        let root = self.global.root.as_ref();
        let root =
            root.map_or_else(String::new, |root| format!(" --root {}", quote(&root.display().to_string())));
        format!("pontoon{root}")
    }

    /// The command line that was typed, without what says how.
    fn command(&self) -> String {
        let names: String = self.names.iter().map(|name| format!(" {}", quote(name))).collect();
        format!("{} doctor{names}", self.program())
    }
}
