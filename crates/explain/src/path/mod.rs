//! One packet's way over the host that was read, there and back: which rules, routes, bridges and sockets it meets.
//!
//! - [`lookup`] is the routing decision, with the routes that lost.
//! - `segment` says who is reached from an interface without a router between.
//! - `hooks` runs the chains at a hook, of everybody's tables, in their order.
//! - `journey` is the way itself; `finding` what is in it, and what lets through.
//!
//! What stands in the way is noted, and the way goes on as if it did not, so that all of it is found at once. What
//! cannot be told from what was read is said to be unknown, and never guessed.

mod checks;
mod deliver;
mod finding;
pub(crate) mod fix;
mod hooks;
mod journey;
pub mod lookup;
mod missing;
pub mod names;
pub(crate) mod segment;
mod wire;

use std::net::IpAddr;

use pontoon_model::observed::snapshot::Snapshot;
use pontoon_nft::syntax::protocol;
use serde::Serialize;

use crate::packet::Ports;

pub(crate) use hooks::hook_name;

pub use finding::{Code, Finding, Severity};
pub use journey::explain;

/// Where a packet comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// A program in this namespace, by its place in the snapshot; from an address of it, or the one that it gets.
    Namespace(usize, Option<IpAddr>),
    /// Somebody with this address behind the host's default route.
    Outside(IpAddr),
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Who sends.
    pub from: From,
    /// To whom.
    pub to: IpAddr,
    /// Whether `to` stands for all that is beyond the host's default route: what is there is not looked at.
    pub outside: bool,
    /// TCP, UDP or ICMP: its number.
    pub protocol: u8,
    /// To which port.
    pub port: Option<u16>,
}

/// Addresses and ports of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Flow {
    /// From whom.
    pub source: IpAddr,
    /// To whom.
    pub destination: IpAddr,
    /// The protocol's number.
    pub protocol: u8,
    /// From which port.
    pub source_port: Ports,
    /// To which port.
    pub destination_port: Ports,
}

impl Flow {
    /// The answer to it.
    #[must_use]
    pub fn reversed(self) -> Self {
        Self {
            source: self.destination,
            destination: self.source,
            source_port: self.destination_port,
            destination_port: self.source_port,
            ..self
        }
    }

    /// What rules of routing may ask of its transport header.
    fn transport(self) -> (u8, Ports, Ports) {
        (self.protocol, self.source_port, self.destination_port)
    }

    /// Whether it has ports.
    pub fn has_ports(self) -> bool {
        matches!(self.protocol, protocol::TCP | protocol::UDP | protocol::SCTP)
    }
}

/// Which way a packet goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// From the one who asks.
    There,
    /// The answer.
    Back,
}

/// What came of a hop, or of all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It passes.
    Reachable,
    /// It depends on what is not known.
    Unknown,
    /// It does not.
    Unreachable,
}

/// A place on the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hop {
    /// There or back.
    pub way: Way,
    /// The namespace.
    pub place: String,
    /// What it is: `route`, `link`, `neighbour`, `bridge`, `hook`, `forward`, `source`, `socket`.
    pub kind: &'static str,
    /// What happened, in a sentence.
    pub text: String,
    /// The command that shows the same.
    pub command: Option<String>,
    /// Whether the packet passes.
    pub verdict: Verdict,
    /// Whether there is nothing to see: chains whose policy lets everything pass.
    pub quiet: bool,
    /// What was looked at besides, a line each.
    pub detail: Vec<String>,
    /// At a hook, which.
    pub filter: Option<Filter>,
}

/// A hook that a packet comes to, and the rule that ends its way there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Filter {
    /// nft's word for it.
    pub hook: &'static str,
    /// Whether it is a bridge's.
    pub bridge: bool,
    /// What drops the packet.
    pub drop: Option<Place>,
}

/// Where a rule or a policy is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The table as nft names it: `inet filter`.
    pub table: String,
    /// The chain.
    pub chain: String,
    /// The rule's number; `None` for the chain's policy.
    pub handle: Option<u64>,
    /// Whether it is iptables-legacy's.
    pub legacy: bool,
}

/// A packet's way, and what is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// Whether it arrives and is answered.
    pub verdict: Verdict,
    /// The packet as it was sent.
    pub packet: Flow,
    /// Where it went, there and back.
    pub hops: Vec<Hop>,
    /// What is in the way, in the order in which it was met.
    pub findings: Vec<Finding>,
}

impl Explanation {
    /// The commands that let it through, each once.
    pub fn fix(&self) -> Vec<&str> {
        let mut all: Vec<&str> = Vec::new();
        for command in self
            .findings
            .iter()
            .filter(|finding| finding.severity == Severity::Blocks)
            .flat_map(|finding| &finding.fix)
        {
            if !all.contains(&command.as_str()) {
                all.push(command);
            }
        }
        all
    }
}

/// The address of `to` that `from` would use: one on a subnet that both are on, or the first.
pub fn address_of(snapshot: &Snapshot, from: Option<usize>, to: usize, v6: Option<bool>) -> Option<IpAddr> {
    let fits = |address: &IpAddr| v6.is_none_or(|v6| address.is_ipv6() == v6);
    let namespace = &snapshot.namespaces[to];
    let own = namespace.addresses.iter().filter(|one| !one.link_scope).map(|one| one.address.addr());
    let useful = |address: &IpAddr| !address.is_loopback() && fits(address);
    let mut all: Vec<IpAddr> = own.filter(useful).collect();
    // By record, where its interface is gone.
    let recorded = namespace.endpoints.iter().flat_map(|endpoint| endpoint.addresses()).filter(fits);
    all.extend(recorded.filter(|address| !namespace.has_address(*address)));
    all.sort_by_key(IpAddr::is_ipv6);
    let near = |address: &&IpAddr| {
        from.is_some_and(|from| {
            let subnets = snapshot.namespaces[from].addresses.iter();
            subnets.filter(|one| one.address.prefix_len() > 0).any(|one| one.address.contains(*address))
        })
    };
    all.iter().find(near).or(all.first()).copied()
}
