//! Firewalls of others that stand in the way of containers.
//!
//! A packet that our table accepts is still dropped when another table's chain at the same hook drops it: of all chains
//! at a hook every one must accept, and a drop is final (nft(8), "base chains").

mod owner;
mod place;
mod remedy;

use std::collections::BTreeSet;

use ipnet::{Ipv4Net, Ipv6Net};
use pontoon_nft::ruleset::{ListedChain, Ruleset, Table};
use pontoon_nft::syntax::{Base, ChainKind, Family, Hook, IpVersion, TableRef};
use serde::{Deserialize, Serialize};

pub use owner::{Owner, is_iptables, owner};
pub use place::{Place, places};
pub use remedy::{DOCKER_USER, Tables};

use crate::packet::{Address, Connection, Interface, Packet};
use crate::walk::{Fate, Reason, walk};

/// A network's bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bridge {
    /// Its name.
    pub name: String,
    /// The network's IPv4 subnet, if it has one.
    pub v4: Option<Ipv4Net>,
    /// The network's IPv6 subnet, if it has one.
    pub v6: Option<Ipv6Net>,
    /// Whether its containers are to reach anything beyond it.
    pub outside: bool,
}

/// What was read of the host.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// All tables of nf_tables.
    pub ruleset: Ruleset,
    /// Our own table.
    pub own: Option<TableRef>,
    /// The `filter` tables of iptables-legacy.
    pub legacy: Vec<Table>,
    /// `net.bridge.bridge-nf-call-iptables` and `…-ip6tables`.
    pub bridge_netfilter: (bool, bool),
    /// The interfaces with a default route; none where it is not known.
    pub uplinks: Vec<String>,
    /// Our bridges.
    pub bridges: Vec<Bridge>,
}

/// Packets that a network needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Traffic {
    /// From a container to the outside.
    Out,
    /// Answers from the outside.
    Answers,
    /// From the outside to a published port.
    Published,
    /// Between containers of one network.
    Within,
    /// From a container to the host.
    Host,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// What a network needs is dropped, but for what special rules let through.
    Blocks,
    /// Some packets may be dropped, or the host is not reached: that may be what somebody wants.
    Note,
}

/// A chain that drops, or may drop, packets of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// A stable identifier: `firewall-forward`, `firewall-forward-legacy`, `firewall-within`, `firewall-input`,
    /// `firewall-input-legacy`, `firewall-device`.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What becomes of the packets.
    pub fate: Fate,
    /// Whose the chain is.
    pub owner: Owner,
    /// The table.
    pub table: TableRef,
    /// The chain at the hook.
    pub chain: String,
    /// Whether the table is iptables-legacy's.
    pub legacy: bool,
    /// Which of our bridges are concerned.
    pub bridges: Vec<String>,
    /// Which packets.
    pub traffic: Vec<Traffic>,
    /// In one sentence.
    pub sentence: String,
    /// What drops them.
    pub reasons: Vec<Reason>,
    /// What lets them through, as commands.
    pub fix: Vec<String>,
}

/// The foreign chains that drop or may drop packets that our bridges need, the worst first.
pub fn examine(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    let foreign = facts.ruleset.tables.iter().filter(|table| Some(&table.table) != facts.own.as_ref());
    let nft = foreign.map(|table| (table, Tables::Nft));
    for (table, tables) in nft.chain(facts.legacy.iter().map(|table| (table, Tables::Legacy))) {
        if table.dormant {
            continue;
        }
        for chain in &table.chains {
            if let Some(base) = &chain.chain.base {
                findings.extend(Examination { facts, table, tables, chain, base }.findings());
            }
        }
    }
    findings.sort_by_key(|finding: &Finding| finding.severity);
    findings
}

/// One base chain under examination.
struct Examination<'a> {
    facts: &'a Facts,
    table: &'a Table,
    tables: Tables,
    chain: &'a ListedChain,
    base: &'a Base,
}

/// What was found for one kind of packet.
#[derive(Default)]
struct Found {
    bridges: BTreeSet<String>,
    traffic: BTreeSet<Traffic>,
    fate: Option<Fate>,
    reasons: Vec<Reason>,
}

impl Examination<'_> {
    fn findings(&self) -> Vec<Finding> {
        if self.base.kind == ChainKind::Nat {
            return Vec::new();
        }
        // Beside what is dropped for want of a rule, what a special rule drops is no news.
        let (mut blocked, mut within, mut partly) = (Found::default(), Found::default(), Found::default());
        for bridge in &self.facts.bridges {
            for (traffic, packet) in self.packets(bridge) {
                let walked = walk(&packet, self.table, &self.chain.chain.name);
                if walked.fate == Fate::Passes {
                    continue;
                }
                let (found, reasons) = match walked.otherwise {
                    Some(reason) if traffic == Traffic::Within => (&mut within, vec![reason]),
                    Some(reason) => (&mut blocked, vec![reason]),
                    None => (&mut partly, walked.drops),
                };
                found.bridges.insert(bridge.name.clone());
                found.traffic.insert(traffic);
                found.fate = found.fate.min(Some(walked.fate)).or(Some(walked.fate));
                for reason in reasons {
                    if !found.reasons.contains(&reason) {
                        found.reasons.push(reason);
                    }
                }
            }
        }
        // Whoever is stopped on the way out is stopped within for the same reason.
        if !blocked.bridges.is_empty()
            && within.bridges.is_subset(&blocked.bridges)
            && within.reasons == blocked.reasons
        {
            blocked.traffic.append(&mut within.traffic);
            within = Found::default();
        }
        [(blocked, true), (within, true), (partly, false)]
            .into_iter()
            .filter_map(|(found, always)| self.finding(found, always))
            .collect()
    }

    fn finding(&self, found: Found, always: bool) -> Option<Finding> {
        let fate = found.fate?;
        let owner = owner(self.table, found.reasons.first().and_then(|reason| reason.chains.last())?);
        let bridges: Vec<String> = found.bridges.into_iter().collect();
        let traffic: Vec<Traffic> = found.traffic.into_iter().collect();
        // Whoever publishes nothing does not miss it, and whoever shuts the host's own doors means to.
        let lesser = traffic == [Traffic::Host] || traffic == [Traffic::Published] || self.is_beside_ip();
        let severity = if always && !lesser { Severity::Blocks } else { Severity::Note };
        let hook = self.base.hook;
        let fix = match self.is_beside_ip() || !always {
            // Whoever drops single packets, or frames, has a reason to.
            true => Vec::new(),
            false => remedy::commands(owner, self.tables, self.table, &self.chain.chain.name, hook, &bridges),
        };
        Some(Finding {
            code: self.code(&traffic),
            severity,
            fate,
            owner,
            table: self.table.table.clone(),
            chain: self.chain.chain.name.clone(),
            legacy: self.tables == Tables::Legacy,
            sentence: self.sentence(owner, &traffic, &bridges, &found.reasons, always),
            bridges,
            traffic,
            reasons: found.reasons,
            fix,
        })
    }

    /// Whether the chain is not one for packets of IP: it sees frames, or what comes from a device.
    fn is_beside_ip(&self) -> bool {
        matches!(self.table.table.family, Family::Bridge | Family::Netdev)
    }

    fn code(&self, traffic: &[Traffic]) -> &'static str {
        match (self.base.hook, self.tables) {
            _ if self.is_beside_ip() => "firewall-device",
            (Hook::Input, Tables::Nft) => "firewall-input",
            (Hook::Input, Tables::Legacy) => "firewall-input-legacy",
            _ if traffic == [Traffic::Within] => "firewall-within",
            (_, Tables::Nft) => "firewall-forward",
            (_, Tables::Legacy) => "firewall-forward-legacy",
        }
    }

    fn sentence(
        &self,
        owner: Owner,
        traffic: &[Traffic],
        bridges: &[String],
        reasons: &[Reason],
        always: bool,
    ) -> String {
        let verb = match (owner, always) {
            (Owner::Iptables | Owner::Nft, true) => "drop",
            (_, true) => "drops",
            (_, false) => "may drop some of",
        };
        let legacy = if self.tables == Tables::Legacy { "iptables-legacy " } else { "" };
        let place = reasons.first().map_or_else(String::new, |reason| {
            let chains = reason.chains.join(" → ");
            format!(" (table {legacy}{}, chain {chains}: {})", self.table.table, reason.text)
        });
        format!("{owner} {verb} {} {}{place}", what(traffic), of(bridges))
    }

    /// The packets that the chain sees, of those that a bridge's containers need.
    fn packets(&self, bridge: &Bridge) -> Vec<(Traffic, Packet)> {
        let nets = [
            (IpVersion::V4, bridge.v4.map(ipnet::IpNet::V4), self.facts.bridge_netfilter.0),
            (IpVersion::V6, bridge.v6.map(ipnet::IpNet::V6), self.facts.bridge_netfilter.1),
        ];
        let mut packets = Vec::new();
        for (version, net, netfilter) in nets {
            let (Some(net), true) = (net, self.sees(version)) else { continue };
            let ours = Address::In(net);
            for traffic in self.kinds(bridge, netfilter) {
                packets.push((traffic, self.packet(traffic, version, bridge, ours)));
            }
        }
        packets
    }

    fn sees(&self, version: IpVersion) -> bool {
        match self.table.table.family {
            Family::Ip => version == IpVersion::V4,
            Family::Ip6 => version == IpVersion::V6,
            Family::Arp => false,
            Family::Inet | Family::Bridge | Family::Netdev => true,
        }
    }

    fn kinds(&self, bridge: &Bridge, netfilter: bool) -> Vec<Traffic> {
        let forwarded = [Traffic::Out, Traffic::Answers, Traffic::Published];
        let device = self.base.device.as_deref();
        match (self.table.table.family, self.base.hook) {
            (Family::Netdev, Hook::Ingress) if device == Some(bridge.name.as_str()) => vec![Traffic::Out],
            (Family::Netdev, Hook::Ingress) if self.facts.uplinks.iter().any(|name| device == Some(name)) => {
                vec![Traffic::Answers]
            }
            (Family::Netdev, _) => Vec::new(),
            (Family::Bridge, Hook::Forward) => vec![Traffic::Within],
            (Family::Bridge, Hook::Input | Hook::Prerouting) => vec![Traffic::Host],
            (Family::Bridge, _) => Vec::new(),
            (_, Hook::Input) => vec![Traffic::Host],
            (_, Hook::Forward) => {
                let outside = forwarded.into_iter().filter(|_| bridge.outside);
                outside.chain(netfilter.then_some(Traffic::Within)).collect()
            }
            _ => Vec::new(),
        }
    }

    fn packet(&self, traffic: Traffic, version: IpVersion, bridge: &Bridge, ours: Address) -> Packet {
        let inside = match self.table.table.family {
            // A chain for frames sees ports, whose names nobody knows.
            Family::Bridge => Interface::OneOf { names: Vec::new(), not: vec![bridge.name.clone()] },
            _ => Interface::Named(bridge.name.clone()),
        };
        let not = self.facts.bridges.iter().map(|bridge| bridge.name.clone()).collect();
        let outside = Interface::OneOf { names: self.facts.uplinks.clone(), not };
        let (iif, oif) = match traffic {
            Traffic::Out => (inside, outside),
            Traffic::Answers | Traffic::Published => (outside, inside),
            Traffic::Within => (inside.clone(), inside),
            Traffic::Host => (inside, Interface::None),
        };
        let (source, destination) = match traffic {
            Traffic::Out => (ours, Address::Outside),
            Traffic::Answers | Traffic::Published => (Address::Outside, ours),
            Traffic::Within => (ours, ours),
            Traffic::Host => (ours, Address::Unknown),
        };
        let connection = match traffic {
            Traffic::Answers => Connection::Answer,
            Traffic::Published => Connection::NewPublished,
            Traffic::Out | Traffic::Within | Traffic::Host => Connection::New,
        };
        Packet { version, iif, oif, source, destination, connection }
    }
}

/// The packets in words.
fn what(traffic: &[Traffic]) -> String {
    let has = |one: Traffic| traffic.contains(&one);
    let mut parts = Vec::new();
    match (has(Traffic::Out), has(Traffic::Answers)) {
        (true, true) => parts.push("everything between containers and the outside"),
        (true, false) => parts.push("what containers send out"),
        (false, true) => parts.push("the answers to containers"),
        (false, false) => {}
    }
    if has(Traffic::Published) && !(has(Traffic::Out) && has(Traffic::Answers)) {
        parts.push("what comes to published ports");
    }
    if has(Traffic::Within) {
        parts.push("what containers of one network send each other");
    }
    if has(Traffic::Host) {
        parts.push("what containers send to the host itself");
    }
    parts.join(", and ")
}

/// `on pontoon0`; of many, the first ones.
fn of(bridges: &[String]) -> String {
    const FEW: usize = 3;
    match bridges {
        few if few.len() <= FEW => format!("on {}", few.join(", ")),
        many => format!("on {} and {} more", many[..FEW].join(", "), many.len() - FEW),
    }
}
