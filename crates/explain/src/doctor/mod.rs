//! What is wrong with a host: all of it, and not only what one packet meets.
//!
//! - `ways` asks for the packets that a healthy host lets through, and takes what is in their way.
//! - `twice`, `subnets`, `sizes`, `defaults`, `targets` look at the picture itself, for what no single packet shows.
//! - `reported` tells what others have found: what was changed of what is ours, what came over our subnets, what is left
//!   over, flows that go on to where a port does not lead any more.
//! - `merge` says one thing once: what follows from another finding is told with it.
//! - `remedy` says of a command whose things it changes, and what takes it back.

mod defaults;
mod diagnosis;
mod merge;
mod remedy;
mod reported;
mod sizes;
mod subnets;
mod switches;
mod targets;
mod twice;
mod ways;

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use pontoon_model::observed::snapshot::Snapshot;
use pontoon_model::op::Flow;

pub use diagnosis::{Act, Consequence, Diagnosis, Evidence, Remedy};

use crate::path::{Code, Severity};

/// Something that was made by Pontoon and is not so any more: what the drift detector found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The drift's code: see docs/reference/drift.md.
    pub code: String,
    /// The object: the same for the same thing each time.
    pub object: String,
    /// What was found, in a sentence.
    pub found: String,
    /// Whose it is, if a network's.
    pub network: Option<String>,
    /// Whose it is, if a container's.
    pub container: Option<String>,
    /// Whether it is to stay as it is: the network's option `pontoon.repair` is false.
    pub kept: bool,
    /// What puts it back, as commands; none where that would touch what is somebody else's.
    pub commands: Vec<String>,
}

/// Something of somebody else's that overlaps with the subnet of a network of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overlap {
    /// How bad it is.
    pub severity: Severity,
    /// The network.
    pub network: String,
    /// Its subnet.
    pub subnet: IpNet,
    /// In one sentence.
    pub sentence: String,
    /// The containers that are not reached.
    pub affected: Vec<String>,
    /// Finer routes, as commands.
    pub finer: Vec<String>,
    /// The command that moves the network.
    pub renumber: String,
}

/// Something with our mark and no owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOver {
    /// What it is, in a sentence.
    pub sentence: String,
    /// The command that shows it.
    pub shown_by: String,
    /// What takes it away.
    pub command: String,
}

/// A flow that connection tracking knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tracked {
    /// Who sends.
    pub source: IpAddr,
    /// To whom, as it was sent.
    pub destination: (IpAddr, u16),
    /// Who answers: where it was led.
    pub answered_by: (IpAddr, u16),
}

/// What is known of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The host and the namespaces around it.
    pub snapshot: Snapshot,
    /// What was changed of what is ours.
    pub changed: Vec<Changed>,
    /// What came over our subnets.
    pub overlaps: Vec<Overlap>,
    /// What has our mark and no owner.
    pub left_over: Vec<LeftOver>,
    /// Flows of UDP that were led elsewhere than they were sent.
    pub flows: Vec<Tracked>,
}

/// Who is asked about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scope {
    /// Containers, as the snapshot names them.
    pub containers: BTreeSet<String>,
    /// Networks of ours.
    pub networks: BTreeSet<String>,
}

impl Scope {
    /// Whether everything is asked about.
    pub fn is_everything(&self) -> bool {
        self.containers.is_empty() && self.networks.is_empty()
    }

    /// Whether a container was named.
    fn names(&self, container: &str) -> bool {
        self.containers.contains(container)
    }

    /// Whether a diagnosis is about somebody who is asked about.
    fn has(&self, one: &Diagnosis) -> bool {
        self.is_everything()
            || one.affected.iter().any(|name| self.names(name))
            || self.names(&one.place)
            || one.networks.iter().any(|name| self.networks.contains(name))
    }
}

/// The containers that are looked at: places in the snapshot.
fn patients(snapshot: &Snapshot, scope: &Scope) -> Vec<usize> {
    let all = snapshot.namespaces.iter().enumerate().skip(1);
    let wanted = all.filter(|(at, namespace)| {
        let named = scope.names(&namespace.name);
        let on = namespace.endpoints.iter().any(|endpoint| {
            let network = snapshot.networks.iter().find(|network| network.id == endpoint.network);
            network.is_some_and(|network| scope.networks.contains(network.name.as_str()))
        });
        let any = !namespace.endpoints.is_empty() || ways::is_on_bridge(snapshot, *at);
        named || on || scope.is_everything() && any
    });
    wanted.map(|(at, _)| at).collect()
}

/// Everything that is wrong, the worst first.
pub fn examine(facts: &Facts, scope: &Scope) -> Vec<Diagnosis> {
    let snapshot = &facts.snapshot;
    let patients = patients(snapshot, scope);
    let mut causes = reported::changed(facts);
    causes.extend(switches::find(snapshot, &patients));
    causes.extend(defaults::find(snapshot, &patients));
    causes.extend(twice::find(snapshot, &patients));
    causes.extend(subnets::find(snapshot));
    if scope.is_everything() {
        causes.extend(targets::find(snapshot));
    }
    causes.extend(sizes::find(snapshot, &patients));
    causes.extend(reported::stale(facts));
    causes.extend(reported::left_over(facts));
    let met = ways::walk(snapshot, &patients, scope);
    let mut all = merge::merge(causes, met);
    merge::overlaps(&mut all, reported::overlaps(facts));
    all.retain(|one| scope.has(one));
    all.sort_by(|one, other| {
        (other.severity, one.code, &one.place, &one.sentence).cmp(&(
            one.severity,
            other.code,
            &other.place,
            &other.sentence,
        ))
    });
    all.iter_mut().for_each(|one| remedy::complete(snapshot, one));
    all
}

/// The worst that was found.
pub fn worst(found: &[Diagnosis]) -> Option<Severity> {
    found.iter().map(|one| one.severity).max()
}

/// The flows that a remedy forgets: answered by somebody to whom a port does not lead any more.
pub(crate) fn answered_by(flow: &Tracked) -> Flow {
    Flow::AnsweredBy {
        protocol: pontoon_model::publish::Protocol::Udp,
        address: flow.answered_by.0,
        port: flow.answered_by.1,
    }
}

/// A diagnosis's code by its name, for those who ask for one.
pub fn code(name: &str) -> Option<Code> {
    Code::ALL.into_iter().find(|code| code.name() == name)
}
