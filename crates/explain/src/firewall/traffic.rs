//! The packets that a network needs, as a chain sees them.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use pontoon_nft::ruleset::Table;
use pontoon_nft::syntax::{Base, Family, Hook, IpVersion, protocol};
use serde::{Deserialize, Serialize};

use super::docker::docker_bridges;
use super::{Bridge, Facts};
use crate::packet::{Address, Connection, Interface, Packet, Ports};

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
    /// From a container to the host: what asks for a name.
    Names,
    /// From the host to a container: what answers that.
    NameAnswers,
}

impl Traffic {
    pub(super) fn is_about_names(self) -> bool {
        matches!(self, Self::Names | Self::NameAnswers)
    }
}

/// Whether there is nothing else.
pub(super) fn is_about_names(traffic: &[Traffic]) -> bool {
    traffic.iter().all(|traffic| traffic.is_about_names())
}

/// The packets that a chain of `table` at `base` sees, of those that a bridge's containers need.
pub(super) fn packets(facts: &Facts, table: &Table, base: &Base, bridge: &Bridge) -> Vec<(Traffic, Packet)> {
    let nets = [
        (IpVersion::V4, bridge.v4.map(IpNet::V4), facts.bridge_netfilter.0),
        (IpVersion::V6, bridge.v6.map(IpNet::V6), facts.bridge_netfilter.1),
    ];
    let family = table.table.family;
    let dockers = docker_bridges(table);
    let mut packets = Vec::new();
    for (version, net, netfilter) in nets {
        let (Some(net), true) = (net, sees(family, version)) else { continue };
        let view = View { facts, family, bridge, version, ours: Address::In(net), dockers: &dockers };
        let passes = |traffic: &Traffic| !bridge.further || *traffic == Traffic::Within;
        for traffic in view.kinds(base, netfilter).into_iter().filter(passes) {
            match traffic.is_about_names() {
                true => packets.extend(view.names(traffic).map(|packet| (traffic, packet))),
                false => packets.push((traffic, view.packet(traffic))),
            }
        }
    }
    packets
}

fn sees(family: Family, version: IpVersion) -> bool {
    match family {
        Family::Ip => version == IpVersion::V4,
        Family::Ip6 => version == IpVersion::V6,
        Family::Arp => false,
        Family::Inet | Family::Bridge | Family::Netdev => true,
    }
}

/// One bridge's packets of one version of IP, for chains of a family.
struct View<'a> {
    facts: &'a Facts,
    family: Family,
    bridge: &'a Bridge,
    version: IpVersion,
    ours: Address,
    /// Bridges behind which are Docker's containers, not the outside.
    dockers: &'a [String],
}

impl View<'_> {
    fn kinds(&self, base: &Base, netfilter: bool) -> Vec<Traffic> {
        let forwarded = [Traffic::Out, Traffic::Answers, Traffic::Published];
        let device = base.device.as_deref();
        match (self.family, base.hook) {
            (Family::Netdev, Hook::Ingress) if device == Some(self.bridge.name.as_str()) => {
                vec![Traffic::Out, Traffic::Names]
            }
            (Family::Netdev, Hook::Ingress) if self.facts.uplinks.iter().any(|name| device == Some(name)) => {
                vec![Traffic::Answers]
            }
            (Family::Netdev, _) => Vec::new(),
            (Family::Bridge, Hook::Forward) => vec![Traffic::Within],
            (Family::Bridge, Hook::Input | Hook::Prerouting) => vec![Traffic::Host, Traffic::Names],
            (Family::Bridge, Hook::Output) => vec![Traffic::NameAnswers],
            (Family::Bridge, _) => Vec::new(),
            (_, Hook::Input) => vec![Traffic::Host, Traffic::Names],
            (_, Hook::Prerouting) => vec![Traffic::Names],
            (_, Hook::Output | Hook::Postrouting) => vec![Traffic::NameAnswers],
            (_, Hook::Forward) => {
                let outside = forwarded.into_iter().filter(|_| self.bridge.outside);
                outside.chain(netfilter.then_some(Traffic::Within)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Those that ask for names, or answer: by UDP and TCP, at each of the host's addresses for that.
    fn names(&self, traffic: Traffic) -> impl Iterator<Item = Packet> + '_ {
        let v4 = self.version == IpVersion::V4;
        let addresses = self.bridge.names.iter().filter(move |address| address.is_ipv4() == v4);
        addresses.flat_map(move |address| {
            let host = Address::In(IpNet::from(*address));
            let plain = self.packet(traffic);
            [protocol::UDP, protocol::TCP].map(|protocol| match traffic {
                Traffic::NameAnswers => Packet {
                    protocol,
                    source: host,
                    source_port: Ports::NAMES,
                    destination_port: Ports::CLIENT,
                    ..plain.clone()
                },
                _ => Packet {
                    protocol,
                    destination: host,
                    source_port: Ports::CLIENT,
                    destination_port: Ports::NAMES,
                    ..plain.clone()
                },
            })
        })
    }

    fn packet(&self, traffic: Traffic) -> Packet {
        let name = self.bridge.name.clone();
        let inside = match self.family {
            // A chain for frames sees ports, whose names nobody knows.
            Family::Bridge => Interface::OneOf { names: Vec::new(), not: vec![name] },
            _ => Interface::Named(name),
        };
        let mut not: Vec<String> = self.facts.bridges.iter().map(|bridge| bridge.name.clone()).collect();
        not.extend(self.dockers.iter().cloned());
        let outside = Interface::OneOf { names: self.facts.uplinks.clone(), not };
        let (iif, oif) = match traffic {
            Traffic::Out => (inside, outside),
            Traffic::Answers | Traffic::Published => (outside, inside),
            Traffic::Within => (inside.clone(), inside),
            Traffic::Host | Traffic::Names => (inside, Interface::None),
            Traffic::NameAnswers => (Interface::None, inside),
        };
        let (source, destination) = match traffic {
            Traffic::Out => (self.ours, Address::Outside),
            Traffic::Answers | Traffic::Published => (Address::Outside, self.ours),
            Traffic::Within => (self.ours, self.ours),
            Traffic::Host | Traffic::Names => (self.ours, Address::Unknown),
            Traffic::NameAnswers => (Address::Unknown, self.ours),
        };
        let connection = match traffic {
            Traffic::Answers | Traffic::NameAnswers => Connection::Answer,
            Traffic::Published => Connection::NewPublished,
            Traffic::Out | Traffic::Within | Traffic::Host | Traffic::Names => Connection::New,
        };
        Packet {
            version: self.version,
            iif,
            oif,
            source,
            destination,
            protocol: protocol::TCP,
            source_port: Ports::ANY,
            destination_port: Ports::ANY,
            connection,
            traced: None,
        }
    }
}

/// The packets in words.
pub(super) fn what(traffic: &[Traffic]) -> String {
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
    if has(Traffic::Names) {
        parts.push("containers' queries for names");
    }
    if has(Traffic::NameAnswers) {
        parts.push("the answers to containers' queries for names");
    }
    parts.join(", and ")
}

/// In what the queries for names that are dropped are less than all that are `asked`: ` over TCP`, ` at 127.0.0.11`.
pub(super) fn narrower(dropped: &[Packet], asked: &[Packet]) -> String {
    let protocols = |of: &[Packet]| of.iter().map(|packet| packet.protocol).collect::<BTreeSet<_>>();
    let loopback = |of: &[Packet]| {
        of.iter().map(at_loopback).collect::<Option<Vec<_>>>().and_then(|all| all.first().copied())
    };
    let protocol = match protocols(dropped) == protocols(asked) {
        true => "",
        false if protocols(dropped).contains(&protocol::TCP) => " over TCP",
        false => " over UDP",
    };
    let at = match (loopback(dropped), loopback(asked)) {
        (Some(address), None) => format!(" at {address}"),
        _ => String::new(),
    };
    format!("{protocol}{at}")
}

/// The host's address, if it is its loopback's.
fn at_loopback(packet: &Packet) -> Option<IpAddr> {
    [packet.source, packet.destination].into_iter().find_map(|end| match end {
        Address::In(net) => Some(net.network()).filter(IpAddr::is_loopback),
        _ => None,
    })
}
