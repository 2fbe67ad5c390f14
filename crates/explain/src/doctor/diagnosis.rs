//! Something that is wrong: what was seen, who suffers from it, what is to be done.

use pontoon_model::op::Flow;
use serde::Serialize;

use crate::path::{Code, Finding, Severity};

/// What was seen, and the command that shows the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Evidence {
    /// In words.
    pub seen: String,
    /// The command.
    pub command: Option<String>,
}

/// What comes of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Consequence {
    /// Its code, where it stands alone.
    pub code: Code,
    /// In a sentence.
    pub sentence: String,
}

/// How a remedy is applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// By its command.
    Run,
    /// By the engine, which puts back what the drift detector found: its code and object.
    PutBack(String, String),
    /// By the engine, which puts back whatever is not as it was made.
    Restore,
    /// By the engine, which has the kernel forget flows.
    Forget(Flow),
}

/// A step that mends something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Remedy {
    /// The command that a person would type.
    pub command: String,
    /// The command that takes it back; `None` where that is known once it is done, or nothing is to be taken back.
    pub undo: Option<String>,
    /// Whether everything that it changes was made by Pontoon.
    pub ours: bool,
    /// How it is applied.
    #[serde(skip)]
    pub act: Act,
}

impl Remedy {
    /// A command, of which it is not known yet what takes it back.
    pub(super) fn run(command: impl Into<String>) -> Self {
        Self { command: command.into(), undo: None, ours: false, act: Act::Run }
    }

    /// Something that the engine does.
    pub(super) fn engine(command: impl Into<String>, act: Act) -> Self {
        Self { command: command.into(), undo: None, ours: true, act }
    }
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnosis {
    /// Which kind.
    pub code: Code,
    /// How bad it is: some packets do not pass; that is not known; or they do, and it is to be known all the same.
    pub severity: Severity,
    /// The namespace where it is.
    pub place: String,
    /// What is so, in a sentence.
    pub sentence: String,
    /// What was seen.
    pub evidence: Vec<Evidence>,
    /// The containers that suffer from it.
    pub affected: Vec<String>,
    /// What comes of it.
    pub leads_to: Vec<Consequence>,
    /// What mends it.
    pub fix: Vec<Remedy>,
    /// What to do where no command can, or to know besides.
    pub advice: Option<String>,
    /// The networks of ours that it is about.
    #[serde(skip)]
    pub networks: Vec<String>,
}

impl Diagnosis {
    /// One that stops packets.
    pub(super) fn new(code: Code, place: &str, sentence: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Blocks,
            place: place.to_owned(),
            sentence: sentence.into(),
            evidence: Vec::new(),
            affected: Vec::new(),
            leads_to: Vec::new(),
            fix: Vec::new(),
            advice: None,
            networks: Vec::new(),
        }
    }

    /// What one packet met, on its way between `ends`; `asked` shows it.
    pub(super) fn met(finding: &Finding, ends: &[String], asked: Evidence, restore: &str) -> Self {
        let mut found = Self::new(finding.code, &finding.place, finding.sentence.clone());
        found.severity = finding.severity;
        found.affected = ends.to_vec();
        found.evidence.push(asked);
        found.advice.clone_from(&finding.advice);
        found.fix = finding
            .fix
            .iter()
            .map(|command| match command == restore {
                true => Remedy::engine(command.clone(), Act::Restore),
                false => Remedy::run(command.clone()),
            })
            .collect();
        found
    }

    pub(super) fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    pub(super) fn seen(mut self, seen: impl Into<String>, command: impl Into<String>) -> Self {
        self.evidence.push(Evidence { seen: seen.into(), command: Some(command.into()) });
        self
    }

    pub(super) fn affects(mut self, names: impl IntoIterator<Item = String>) -> Self {
        for name in names {
            self.add_affected(name);
        }
        self
    }

    pub(super) fn add_affected(&mut self, name: String) {
        if !self.affected.contains(&name) {
            self.affected.push(name);
        }
    }

    pub(super) fn fix(mut self, remedy: Remedy) -> Self {
        self.fix.push(remedy);
        self
    }

    pub(super) fn advice(mut self, words: impl Into<String>) -> Self {
        self.advice = Some(words.into());
        self
    }

    /// Whether everything that mends it was made by Pontoon, and there is something that does.
    pub fn is_ours(&self) -> bool {
        !self.fix.is_empty() && self.fix.iter().all(|remedy| remedy.ours)
    }

    /// Whether it is the same thing, at another moment.
    pub fn is_same(&self, other: &Self) -> bool {
        (self.code, &self.place) == (other.code, &other.place)
            && (self.sentence == other.sentence
                || !self.fix.is_empty() && self.commands().eq(other.commands()))
    }

    /// The commands that mend it.
    pub fn commands(&self) -> impl Iterator<Item = &str> {
        self.fix.iter().map(|remedy| remedy.command.as_str())
    }
}
