//! Who reaches whom: what each could ask of each other, asked of a picture of the host.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use pontoon_explain::path::{Verdict, explain};
use pontoon_model::ContainerRef;
use pontoon_model::observed::snapshot::{Namespace, Snapshot};
use serde::Serialize;

use crate::explain::{Carries, QuestionError, Who, question};

/// One way from one to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Passage {
    /// Who asks.
    pub from: String,
    /// Who is asked.
    pub to: String,
    /// `ping`, or a port such as `80/tcp`.
    pub what: String,
    /// Whether it arrives and is answered.
    pub verdict: Verdict,
}

/// All ways between some.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reach {
    /// Who was asked about, in order: containers, `host`, `outside`.
    pub names: Vec<String>,
    /// Each way, by who asks, then by who is asked.
    pub passages: Vec<Passage>,
}

/// What another picture has otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Who asks.
    pub from: String,
    /// Who is asked.
    pub to: String,
    /// `ping`, or a port.
    pub what: String,
    /// Whether it passed before; `None` if there was no such thing to ask for.
    pub before: Option<Verdict>,
    /// Whether it passes now.
    pub now: Option<Verdict>,
}

impl Reach {
    /// The ways between containers, the host and the outside: by ping, and to each port where somebody listens. `wanted`
    /// are names of the picture; if there are none, all that are on networks by record.
    ///
    /// # Errors
    ///
    /// If one that is wanted is not in the picture.
    pub fn of(snapshot: &Snapshot, wanted: &[String]) -> Result<Self, QuestionError> {
        let mut ends = chosen(snapshot, wanted)?;
        ends.extend([End { who: Who::Host, at: Some(0) }, End { who: Who::Outside, at: None }]);
        let asked: Vec<Vec<Asked>> = ends.iter().map(|end| asked_of(snapshot, end)).collect();
        let mut passages = Vec::new();
        for from in &ends {
            for (to, asked) in ends.iter().zip(&asked).filter(|(to, _)| to.who != from.who) {
                for asked in asked {
                    let verdict = verdict(snapshot, from, to, asked);
                    let what = asked.to_string();
                    passages.push(Passage { from: from.name(), to: to.name(), what, verdict });
                }
            }
        }
        Ok(Self { names: ends.iter().map(End::name).collect(), passages })
    }

    /// What is otherwise than it was before: ways that appeared, went, or can no longer be told.
    pub fn since(&self, before: &Self) -> Vec<Change> {
        let (was, is) = (before.verdicts(), self.verdicts());
        let mut seen = BTreeSet::new();
        let mut changes = Vec::new();
        for key in before.passages.iter().chain(&self.passages).map(Passage::key) {
            let (before, now) = (was.get(&key).copied(), is.get(&key).copied());
            // Where nobody listens and nobody did, nothing passes either way.
            let differs = before.unwrap_or(Verdict::Unreachable) != now.unwrap_or(Verdict::Unreachable);
            if differs && seen.insert(key) {
                let [from, to, what] = key.map(str::to_owned);
                changes.push(Change { from, to, what, before, now });
            }
        }
        changes
    }

    fn verdicts(&self) -> BTreeMap<[&str; 3], Verdict> {
        self.passages.iter().map(|passage| (passage.key(), passage.verdict)).collect()
    }
}

impl Passage {
    fn key(&self) -> [&str; 3] {
        [&self.from, &self.to, &self.what]
    }
}

/// Somebody who asks or is asked.
struct End {
    who: Who,
    /// The namespace, if it was read.
    at: Option<usize>,
}

impl End {
    fn name(&self) -> String {
        match &self.who {
            Who::Host => "host".to_owned(),
            Who::Outside => "outside".to_owned(),
            Who::Container(reference) => reference.to_string(),
            Who::Address(address) => address.to_string(),
            Who::Name(name) => name.clone(),
        }
    }
}

/// What is asked for; at an address of its own where a program listens at that alone.
struct Asked {
    carries: Carries,
    address: Option<std::net::IpAddr>,
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.carries {
            Carries::Echo => f.write_str("ping"),
            Carries::Port(protocol, port) => write!(f, "{port}/{protocol}"),
        }
    }
}

fn chosen(snapshot: &Snapshot, wanted: &[String]) -> Result<Vec<End>, QuestionError> {
    let end = |at: usize, name: &str| {
        let reference: ContainerRef = name.parse().map_err(|_| QuestionError::NotThere(name.to_owned()))?;
        Ok(End { who: Who::Container(reference), at: Some(at) })
    };
    if wanted.is_empty() {
        let recorded = snapshot.namespaces.iter().enumerate().skip(1);
        let recorded = recorded.filter(|(_, namespace)| !namespace.endpoints.is_empty());
        return recorded.map(|(at, namespace)| end(at, &namespace.name)).collect();
    }
    let mut unique = BTreeSet::new();
    let wanted = wanted.iter().filter(|name| unique.insert(name.as_str()));
    wanted
        .map(|name| {
            let at = snapshot.by_name(name).ok_or_else(|| QuestionError::NotThere(name.clone()))?;
            end(at, name)
        })
        .collect()
}

fn asked_of(snapshot: &Snapshot, to: &End) -> Vec<Asked> {
    let ping = Asked { carries: Carries::Echo, address: None };
    let ports = to.at.map_or_else(Vec::new, |at| ports_of(&snapshot.namespaces[at]));
    std::iter::once(ping).chain(ports).collect()
}

/// The ports where somebody listens for more than the namespace itself, each once.
fn ports_of(namespace: &Namespace) -> Vec<Asked> {
    let mut listeners: Vec<_> =
        namespace.sockets.iter().filter(|listener| !listener.address.is_loopback()).collect();
    // One that listens at all addresses goes before one that does at its own.
    listeners.sort_by_key(|listener| {
        (listener.protocol, listener.port, !listener.address.is_unspecified(), listener.address)
    });
    listeners.dedup_by_key(|listener| (listener.protocol, listener.port));
    let asked = |listener: &&pontoon_model::observed::snapshot::Listener| Asked {
        carries: Carries::Port(listener.protocol, listener.port),
        address: Some(listener.address).filter(|address| !address.is_unspecified()),
    };
    listeners.iter().map(asked).collect()
}

fn verdict(snapshot: &Snapshot, from: &End, to: &End, asked: &Asked) -> Verdict {
    // The outside asks for what is published, whatever the container's own address.
    let to = match asked.address.filter(|_| from.who != Who::Outside) {
        Some(address) => &Who::Address(address),
        None => &to.who,
    };
    // Where one has no address that the other could ask or be asked at, there is no way.
    let question = question(snapshot, &from.who, to, asked.carries);
    question.map_or(Verdict::Unreachable, |question| explain(snapshot, &question).verdict)
}
