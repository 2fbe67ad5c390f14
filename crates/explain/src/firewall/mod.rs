//! Firewalls of others that stand in the way of containers.
//!
//! A packet that our table accepts is still dropped when another table's chain at the same hook drops it: of all chains
//! at a hook every one must accept, and a drop is final (nft(8), "base chains").

mod docker;
mod owner;
mod place;
mod remedy;
mod traffic;

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::{Ipv4Net, Ipv6Net};
use pontoon_nft::ruleset::{ListedChain, Ruleset, Table};
use pontoon_nft::syntax::{Base, ChainKind, Family, Hook, TableRef};
use serde::{Deserialize, Serialize};

pub use docker::{DOCKER_USER, docker_bridges};
pub use owner::{Owner, is_iptables, owner};
pub use place::{Place, places};
pub use remedy::Tables;
pub use traffic::Traffic;

use crate::packet::Packet;
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
    /// The host's addresses at which its containers ask for names; none where they do not.
    pub names: Vec<IpAddr>,
    /// Whether it is one of a large network's bridges but the first: only what containers send each other passes it.
    pub further: bool,
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
    /// A stable identifier: `firewall-forward`, `firewall-forward-legacy`, `firewall-within`, `firewall-names`,
    /// `firewall-names-legacy`, `firewall-input`, `firewall-input-legacy`, `firewall-device`.
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
    /// The hook.
    pub hook: Hook,
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
    // Whoever gets nothing out misses names least.
    findings.sort_by_key(|finding: &Finding| (finding.severity, traffic::is_about_names(&finding.traffic)));
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

/// What was found for some kinds of packets.
#[derive(Default)]
struct Found {
    bridges: BTreeSet<String>,
    traffic: BTreeSet<Traffic>,
    packets: Vec<Packet>,
    fate: Option<Fate>,
    reasons: Vec<Reason>,
}

impl Found {
    fn add(&mut self, bridge: &str, traffic: Traffic, packet: Packet, fate: Fate, reasons: Vec<Reason>) {
        self.bridges.insert(bridge.to_owned());
        self.traffic.insert(traffic);
        self.packets.push(packet);
        self.fate = self.fate.min(Some(fate)).or(Some(fate));
        for reason in reasons {
            if !self.reasons.contains(&reason) {
                self.reasons.push(reason);
            }
        }
    }
}

impl Examination<'_> {
    fn findings(&self) -> Vec<Finding> {
        if self.base.kind == ChainKind::Nat {
            return Vec::new();
        }
        // Beside what is dropped for want of a rule, what a special rule drops is no news.
        let (mut blocked, mut within, mut partly) = (Found::default(), Found::default(), Found::default());
        let (mut names, mut asked) = (Found::default(), Vec::new());
        for bridge in &self.facts.bridges {
            for (traffic, packet) in traffic::packets(self.facts, self.table, self.base, bridge) {
                if traffic.is_about_names() {
                    asked.push(packet.clone());
                }
                let walked = walk(&packet, self.table, &self.chain.chain.name);
                let (found, reasons) = match (walked.fate, walked.otherwise) {
                    (Fate::Passes, _) => continue,
                    (_, Some(reason)) if traffic == Traffic::Within => (&mut within, vec![reason]),
                    (_, Some(reason)) if traffic.is_about_names() => (&mut names, vec![reason]),
                    (_, Some(reason)) => (&mut blocked, vec![reason]),
                    // What looks there whence a packet comes lets ours by.
                    (_, None) if self.is_beside_routing() => continue,
                    (_, None) => (&mut partly, walked.drops),
                };
                found.add(&bridge.name, traffic, packet, walked.fate, reasons);
            }
        }
        // Whoever is stopped on the way out is stopped within for the same reason.
        let firsts = self.facts.bridges.iter().filter(|bridge| !bridge.further);
        let mut stopped = firsts.filter(|bridge| within.bridges.contains(&bridge.name));
        if !blocked.bridges.is_empty()
            && stopped.all(|bridge| blocked.bridges.contains(&bridge.name))
            && within.reasons == blocked.reasons
        {
            blocked.traffic.append(&mut within.traffic);
            blocked.bridges.append(&mut within.bridges);
            within = Found::default();
        }
        let narrower = traffic::narrower(&names.packets, &asked);
        [(blocked, "", true), (within, "", true), (names, narrower.as_str(), true), (partly, "", false)]
            .into_iter()
            .filter_map(|(found, narrower, always)| self.finding(found, narrower, always))
            .collect()
    }

    fn finding(&self, found: Found, narrower: &str, always: bool) -> Option<Finding> {
        let fate = found.fate?;
        let owner = owner(self.table, found.reasons.first().and_then(|reason| reason.chains.last())?);
        let bridges: Vec<String> = found.bridges.into_iter().collect();
        let traffic: Vec<Traffic> = found.traffic.into_iter().collect();
        // Whoever publishes nothing does not miss it, and whoever shuts the host's own doors means to.
        let lesser = traffic == [Traffic::Host] || traffic == [Traffic::Published] || self.is_beside_ip();
        let severity = if always && !lesser { Severity::Blocks } else { Severity::Note };
        let what = format!("{}{narrower}", traffic::what(&traffic));
        let fix = match self.is_beside_ip() || !always {
            // Whoever drops single packets, or frames, has a reason to.
            true => Vec::new(),
            false => {
                let opening = remedy::Opening::of(self.base.hook, &traffic);
                remedy::commands(owner, self.tables, self.table, &self.chain.chain.name, opening, &bridges)
            }
        };
        Some(Finding {
            code: self.code(&traffic),
            severity,
            fate,
            owner,
            table: self.table.table.clone(),
            chain: self.chain.chain.name.clone(),
            hook: self.base.hook,
            legacy: self.tables == Tables::Legacy,
            sentence: self.sentence(owner, &what, &bridges, &found.reasons, always),
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

    /// Whether the chain sees packets before they are routed, or after.
    fn is_beside_routing(&self) -> bool {
        matches!(self.base.hook, Hook::Prerouting | Hook::Postrouting) && !self.is_beside_ip()
    }

    fn code(&self, traffic: &[Traffic]) -> &'static str {
        match (self.base.hook, self.tables) {
            _ if self.is_beside_ip() => "firewall-device",
            (_, Tables::Nft) if traffic::is_about_names(traffic) => "firewall-names",
            (_, Tables::Legacy) if traffic::is_about_names(traffic) => "firewall-names-legacy",
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
        what: &str,
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
        format!("{owner} {verb} {what} {}{place}", of(bridges))
    }
}

/// `on pontoon0`; of many, the first ones.
fn of(bridges: &[String]) -> String {
    const FEW: usize = 3;
    match bridges {
        few if few.len() <= FEW => format!("on {}", few.join(", ")),
        many => format!("on {} and {} more", many[..FEW].join(", "), many.len() - FEW),
    }
}
