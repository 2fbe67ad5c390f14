//! What was traced in several namespaces, put together: what the packet met at each hook, in order.

use std::collections::BTreeMap;
use std::net::IpAddr;

use pontoon_model::observed::snapshot::{Namespace, Snapshot};
use pontoon_nft::syntax::{Family, Hook, TableRef, Verdict};
use pontoon_nft::wire::{Trace, TraceBy};
use serde::Serialize;

use super::mark::{self, Header, Mark};
use crate::packet::Ports;
use crate::path::{Flow, Way, hook_name};

/// What the kernel told in one namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The namespace, by its place in the snapshot.
    pub place: usize,
    /// After which sending of the packet: the first is 1.
    pub attempt: u32,
    /// What it told.
    pub trace: Trace,
}

/// What a packet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The one that was sent.
    Request,
    /// What was sent back.
    Answer,
    /// An ICMP message about it.
    Error,
}

impl Kind {
    /// Which way it goes.
    pub fn way(self) -> Way {
        if self == Self::Request { Way::There } else { Way::Back }
    }
}

/// A rule that decided about the packet, or went on to another chain, or a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hit {
    /// The table as nft names it: `inet filter`.
    pub table: String,
    /// The chain.
    pub chain: String,
    /// The rule's number; `None` for the chain's policy.
    pub handle: Option<u64>,
    /// The rule as nft shows it; `None` where it was not there when the host was looked at.
    pub rule: Option<String>,
    /// nft's word for what it decided.
    pub verdict: String,
}

/// What became of the packet at a hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepVerdict {
    /// All chains let it pass.
    Passed,
    /// A rule of nftables dropped it: the last of the hits.
    Dropped,
    /// It came to the hook, and was not seen to leave it: what is not nftables has it.
    Lost,
}

/// The packet at a hook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// There or back.
    pub way: Way,
    /// What it is.
    pub kind: Kind,
    /// The namespace.
    pub place: String,
    /// nft's word for the hook.
    pub hook: &'static str,
    /// Whether it is a bridge's.
    pub bridge: bool,
    /// The interface by which it came in.
    pub iif: Option<String>,
    /// The interface by which it is to leave.
    pub oif: Option<String>,
    /// As it came to the hook.
    pub packet: Flow,
    /// How many routers may still pass it on.
    pub hops_left: u8,
    /// What became of it.
    pub verdict: StepVerdict,
    /// What decided, in order: rules and policies of all tables but ours.
    pub hits: Vec<Hit>,
}

/// What belongs to one packet at one hook.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    place: usize,
    attempt: u32,
    kind: Kind,
    bridge: bool,
    hook: &'static str,
    links: (Option<u32>, Option<u32>),
}

/// Puts together what was traced. `order` has the names of the namespaces as they are passed, each way, by what was said
/// before: it decides between two that see the packet with the same number of routers left.
///
/// Where the packet was sent several times, the last time that it was seen counts.
pub fn stitch(
    snapshot: &Snapshot,
    mark: &Mark,
    id: &str,
    events: &[Event],
    order: &[(Way, String)],
) -> Vec<Step> {
    let mut stitcher = Stitcher {
        snapshot,
        mark,
        id,
        current: BTreeMap::new(),
        errors: Vec::new(),
        keys: Vec::new(),
        steps: Vec::new(),
    };
    events.iter().for_each(|event| stitcher.take(event));
    let last = stitcher.keys.iter().map(|key| key.attempt).max();
    let mut steps: Vec<Step> = stitcher
        .keys
        .iter()
        .zip(stitcher.steps)
        .filter(|(key, _)| Some(key.attempt) == last)
        .map(|(_, step)| step)
        .collect();
    let turn = |step: &Step| {
        order.iter().position(|(way, place)| (*way, place) == (step.way, &step.place)).unwrap_or(usize::MAX)
    };
    steps.sort_by_key(|step| (step.kind, u8::MAX - step.hops_left, turn(step)));
    steps
}

struct Stitcher<'a> {
    snapshot: &'a Snapshot,
    mark: &'a Mark,
    id: &'a str,
    /// The step that a packet of this number is at, in a namespace.
    current: BTreeMap<(usize, u32), usize>,
    /// ICMP messages about the probe, in a namespace: their addresses and numbers.
    errors: Vec<(usize, IpAddr, IpAddr, u16)>,
    keys: Vec<Key>,
    steps: Vec<Step>,
}

impl Stitcher<'_> {
    fn take(&mut self, event: &Event) {
        let packet = (event.place, event.trace.id);
        if !event.trace.network.is_empty() {
            match self.begin(event) {
                Some(at) => self.current.insert(packet, at),
                None => self.current.remove(&packet),
            };
        }
        if let Some(at) = self.current.get(&packet) {
            self.note(*at, event);
        }
    }

    /// A packet comes to a base chain: the step that this belongs to, if it is ours.
    fn begin(&mut self, event: &Event) -> Option<usize> {
        let trace = &event.trace;
        let header = Header::read(&trace.network, &trace.transport)?;
        let kind = self.kind(event, &header)?;
        let namespace = &self.snapshot.namespaces[event.place];
        let hook = hook_name(self.hook_of(namespace, trace)?);
        let bridge = trace.table.family == Family::Bridge;
        let links = (trace.iif, trace.oif);
        let key = Key { place: event.place, attempt: event.attempt, kind, bridge, hook, links };
        if let Some(at) = self.keys.iter().position(|known| *known == key) {
            return Some(at);
        }
        let named = |index: u32| namespace.link_name(index).into_owned();
        let (source_port, destination_port) =
            header.ports().map_or((Ports::ANY, Ports::ANY), |(from, to)| {
                (Ports { first: from, last: from }, Ports { first: to, last: to })
            });
        self.keys.push(key);
        self.steps.push(Step {
            way: kind.way(),
            kind,
            place: namespace.name.clone(),
            hook,
            bridge,
            iif: trace.iif.map(named),
            oif: trace.oif.map(named),
            packet: Flow {
                source: header.source,
                destination: header.destination,
                protocol: header.protocol,
                source_port,
                destination_port,
            },
            hops_left: header.hops_left,
            verdict: StepVerdict::Lost,
            hits: Vec::new(),
        });
        Some(self.steps.len() - 1)
    }

    fn kind(&mut self, event: &Event, header: &Header) -> Option<Kind> {
        let known = (event.place, header.source, header.destination, header.id);
        if let Some(kind) = self.mark.kind_of(header) {
            return Some(kind);
        }
        // That it is about the probe only our rule can see.
        if header.is_error() && self.is_ours(&event.trace.table) && matches!(event.trace.by, TraceBy::Rule(_))
        {
            self.errors.push(known);
        }
        self.errors.contains(&known).then_some(Kind::Error)
    }

    fn is_ours(&self, table: &TableRef) -> bool {
        *table == mark::table(table.family, self.id)
    }

    /// The hook of the base chain that a first message is of.
    fn hook_of(&self, namespace: &Namespace, trace: &Trace) -> Option<Hook> {
        if mark::is_probe(&trace.table) {
            return mark::chain_of(&trace.chain).map(|(hook, _)| hook);
        }
        let chain = namespace.ruleset.table(&trace.table)?.chain(&trace.chain)?;
        Some(chain.chain.base.as_ref()?.hook)
    }

    fn note(&mut self, at: usize, event: &Event) {
        let trace = &event.trace;
        let step = &mut self.steps[at];
        if mark::is_probe(&trace.table) {
            let last = mark::chain_of(&trace.chain).is_some_and(|(_, last)| last);
            if last && trace.by == TraceBy::Policy && step.verdict == StepVerdict::Lost {
                step.verdict = StepVerdict::Passed;
            }
            return;
        }
        if trace.verdict == Some(Verdict::Drop) {
            step.verdict = StepVerdict::Dropped;
        }
        let handle = match trace.by {
            TraceBy::Rule(handle) => Some(handle),
            TraceBy::Policy => None,
            TraceBy::End => return,
        };
        let verdict = trace.verdict.as_ref().map_or_else(|| "taken away".to_owned(), ToString::to_string);
        let namespace = &self.snapshot.namespaces[event.place];
        let rule = match handle {
            None => Some(format!("policy {verdict}")),
            Some(handle) => rule_text(namespace, &trace.table, &trace.chain, handle),
        };
        let hit = Hit { table: trace.table.to_string(), chain: trace.chain.clone(), handle, rule, verdict };
        if step.hits.last() != Some(&hit) {
            step.hits.push(hit);
        }
    }
}

fn rule_text(namespace: &Namespace, table: &TableRef, chain: &str, handle: u64) -> Option<String> {
    let rules = &namespace.ruleset.table(table)?.chain(chain)?.rules;
    let found = rules.iter().find(|rule| rule.handle == handle)?;
    Some(found.rule.listing(table.family).to_string())
}
