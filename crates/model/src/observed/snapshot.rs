//! The host at one moment, as far as it decides where packets go: what `explain` walks over.
//!
//! It is what the kernel says. Records only name things: which namespace is whose, what a network's bridge is for.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use pontoon_nft::ruleset::{Ruleset, Table};
use serde::{Deserialize, Serialize};

use crate::op::Netns;
use crate::publish::Protocol;
use crate::sandbox::NetnsId;
use crate::shell::quoted;
use crate::{Endpoint, Mac, Network, Publication};

/// The version of the shape below. A file of another one is refused.
pub const VERSION: u32 = 1;

/// The host, and namespaces that packets may pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// [`VERSION`] when it was written.
    pub version: u32,
    /// The namespaces; the host's is the first.
    pub namespaces: Vec<Namespace>,
    /// Our networks, by record.
    pub networks: Vec<Network>,
    /// The name servers that are behind the host's own resolver, where it has one: on 127.0.0.53, say.
    #[serde(default)]
    pub upstream: Vec<IpAddr>,
    /// The command that puts back what is ours: `pontoon restore`, for the instance that was asked.
    pub restore: String,
}

/// A network namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespace {
    /// `host`, the container's name, or the name in `/run/netns`.
    pub name: String,
    /// How commands get into it.
    pub netns: Netns,
    /// Which one it is.
    pub id: NetnsId,
    /// Its interfaces.
    pub links: Vec<Link>,
    /// Its addresses.
    pub addresses: Vec<Address>,
    /// Its policy-routing rules, in the order in which they are asked.
    pub rules: Vec<Rule>,
    /// The routes of all its tables.
    pub routes: Vec<Route>,
    /// Whose hardware address is which.
    pub neighbours: Vec<Neighbour>,
    /// Which bridge port a hardware address is behind.
    pub forwarding: Vec<FdbEntry>,
    /// Its nftables rules.
    pub ruleset: Ruleset,
    /// Its `filter` tables of iptables-legacy.
    pub legacy: Vec<Table>,
    /// What was not read, each with the reason: rules without `CAP_NET_ADMIN`, legacy tables other than `filter`.
    pub unread: Vec<String>,
    /// Settings by their path below `/proc/sys`, such as `net/ipv4/ip_forward`.
    pub sysctls: BTreeMap<String, String>,
    /// Who waits for packets.
    pub sockets: Vec<Listener>,
    /// Whom its programs ask for names.
    pub name_servers: Vec<IpAddr>,
    /// The file that says so, as the host sees it.
    #[serde(default)]
    pub resolver: Option<String>,
    /// The ports of the host that lead to it, by record.
    pub ports: Vec<Publication>,
    /// Its places on networks, by record.
    pub endpoints: Vec<Endpoint>,
}

/// An interface.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Link {
    /// Its number in its namespace.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// The kernel's name of its kind (`veth`, `bridge`); `None` for hardware and `lo`.
    pub kind: Option<String>,
    /// Its Ethernet address.
    pub mac: Option<Mac>,
    /// The largest packet in bytes.
    pub mtu: u32,
    /// Whether it is set up.
    pub up: bool,
    /// Whether there is carrier.
    pub carrier: bool,
    /// The bridge that it is a port of.
    pub master: Option<u32>,
    /// The other end of a veth pair.
    pub peer: Option<Peer>,
    /// Settings, where it is a bridge's port.
    pub port: Option<Port>,
    /// `net.ipv4.conf.IF.forwarding`.
    pub forwarding: bool,
    /// `net.ipv4.conf.IF.rp_filter`: 0 off, 1 strict, 2 loose. The larger of this and that of `all` counts.
    pub rp_filter: u32,
    /// `net.ipv4.conf.IF.route_localnet`.
    pub route_localnet: bool,
    /// `net.ipv6.conf.IF.disable_ipv6`.
    pub disable_ipv6: bool,
    /// Whether the bridge calls iptables for IPv4 and for IPv6, whatever the sysctl says.
    pub calls_iptables: (bool, bool),
    /// Whether it is a bridge that keeps to the spanning tree protocol.
    #[serde(default)]
    pub stp: bool,
}

/// The other end of a veth pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Its number.
    pub index: u32,
    /// Its namespace; `None` where that was not found.
    pub netns: Option<NetnsId>,
}

/// A bridge port's settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// `BR_STATE_…`: 0 disabled, 1 listening, 2 learning, 3 forwarding, 4 blocking.
    pub state: u8,
    /// Whether frames to other isolated ports are dropped.
    pub isolated: bool,
    /// Whether frames may leave by the port that they came in by.
    pub hairpin: bool,
    /// Whether source addresses are learned.
    pub learning: bool,
    /// Whether frames to unknown addresses are sent out here.
    pub flood: bool,
}

/// An address of an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// The interface.
    pub link: u32,
    /// The address with its prefix length.
    pub address: IpNet,
    /// Whether it is for this link alone.
    pub link_scope: bool,
}

/// What a policy-routing rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RuleAction {
    /// Asks this table, and the next rule if it has no route.
    Table(u32),
    /// Goes on at the rule of this priority.
    Goto(u32),
    /// Nothing.
    Nop,
    /// Drops silently.
    Blackhole,
    /// Drops with "network unreachable".
    Unreachable,
    /// Drops with "administratively prohibited".
    Prohibit,
    /// A number without a name.
    Other(u8),
}

/// A policy-routing rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Whether it is for IPv4.
    pub v4: bool,
    /// Rules are asked in ascending order.
    pub priority: u32,
    /// For packets from here alone.
    pub from: Option<IpNet>,
    /// For packets to there alone.
    pub to: Option<IpNet>,
    /// For packets that came in here alone.
    pub iif: Option<String>,
    /// For packets of sockets that are bound to this interface alone.
    pub oif: Option<String>,
    /// For packets with this mark alone: value and mask.
    pub mark: Option<(u32, u32)>,
    /// What it does.
    pub action: RuleAction,
    /// Whether it is for the packets that it would not be for.
    pub invert: bool,
    /// Routes with a prefix of this length or less do not count.
    pub suppress: Option<u32>,
    /// What it asks of the transport header.
    #[serde(default)]
    pub transport: Transport,
    /// Whether it asks for more than is known here: the type of service, the user, a tunnel, a VRF.
    #[serde(default)]
    pub asks_more: bool,
}

/// What a policy-routing rule asks of the transport header; ports are from the first to the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Transport {
    /// The protocol's number.
    pub protocol: Option<u8>,
    /// Source ports.
    pub source: Option<(u16, u16)>,
    /// Destination ports.
    pub destination: Option<(u16, u16)>,
}

/// What happens to a packet that takes a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RouteKind {
    /// It is sent on.
    Unicast,
    /// It is for this namespace.
    Local,
    /// It is for all on the link.
    Broadcast,
    /// It is for one of several hosts, this among them.
    Anycast,
    /// It is for a group.
    Multicast,
    /// It is dropped silently.
    Blackhole,
    /// It is dropped with "host unreachable".
    Unreachable,
    /// It is dropped with "administratively prohibited".
    Prohibit,
    /// The next rule is asked.
    Throw,
    /// A number without a name.
    Other(u8),
}

impl fmt::Display for RouteKind {
    /// ip(8)'s word.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unicast => "unicast",
            Self::Local => "local",
            Self::Broadcast => "broadcast",
            Self::Anycast => "anycast",
            Self::Multicast => "multicast",
            Self::Blackhole => "blackhole",
            Self::Unreachable => "unreachable",
            Self::Prohibit => "prohibit",
            Self::Throw => "throw",
            Self::Other(number) => return write!(f, "type {number}"),
        })
    }
}

/// A way out of a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextHop {
    /// The router, if it is not the destination itself.
    pub gateway: Option<IpAddr>,
    /// The interface.
    pub link: Option<u32>,
    /// The kernel does not use it: its interface is down.
    pub dead: bool,
}

/// A route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Where to.
    pub destination: IpNet,
    /// The table that it is in.
    pub table: u32,
    /// What happens to the packet.
    pub kind: RouteKind,
    /// Lower wins.
    pub metric: u32,
    /// Which address packets get that have none yet.
    pub source: Option<IpAddr>,
    /// The ways out: several where the kernel chooses for each connection.
    pub next_hops: Vec<NextHop>,
    /// MTU of the path.
    pub mtu: Option<u32>,
    /// Who made it: `RTPROT_…`.
    pub protocol: u8,
}

/// How sure the kernel is of a neighbour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NeighbourState {
    /// Asked for, no answer yet.
    Incomplete,
    /// Did not answer.
    Failed,
    /// Stays until it is deleted.
    Permanent,
    /// Answered: reachable, stale, about to be asked for again, or in need of nothing.
    Known,
}

/// A neighbour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Neighbour {
    /// The interface that it is on.
    pub link: u32,
    /// Its address.
    pub address: IpAddr,
    /// Its hardware address, if known.
    pub mac: Option<Mac>,
    /// How sure the kernel is.
    pub state: NeighbourState,
}

/// A bridge's entry for a hardware address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FdbEntry {
    /// The port.
    pub port: u32,
    /// The hardware address.
    pub mac: Mac,
    /// Whether somebody wrote it: it does not follow the address to another port.
    pub fixed: bool,
}

/// A socket that waits for packets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// The protocol.
    pub protocol: Protocol,
    /// Its address; the one of zeroes where it takes packets to any.
    pub address: IpAddr,
    /// Its port.
    pub port: u16,
    /// Whether one of IPv6 leaves IPv4 alone.
    pub v6only: bool,
    /// The interface that it is bound to; 0 for none.
    pub link: u32,
}

/// Why a file is no picture of a host.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// It is not the JSON of one.
    #[error("it is not what `pontoon explain --save` writes")]
    Json(#[from] serde_json::Error),
    /// It is of another version.
    #[error("it is of version {0}, and this program reads version {VERSION}")]
    Version(u64),
    /// It has no namespace.
    #[error("there is no namespace in it")]
    Empty,
}

impl crate::Diagnose for SnapshotError {
    fn code(&self) -> &'static str {
        match self {
            Self::Json(_) => "snapshot-json",
            Self::Version(_) => "snapshot-version",
            Self::Empty => "snapshot-empty",
        }
    }

    fn hint(&self) -> Option<String> {
        Some("write it anew: `pontoon explain --save FILE FROM TO`".to_owned())
    }
}

impl Snapshot {
    /// Reads what [`Snapshot::to_json`] wrote.
    ///
    /// # Errors
    ///
    /// If it is something else, or of another version.
    pub fn from_json(text: &str) -> Result<Self, SnapshotError> {
        let value: serde_json::Value = serde_json::from_str(text)?;
        match value.get("version").and_then(serde_json::Value::as_u64) {
            Some(version) if version != u64::from(VERSION) => return Err(SnapshotError::Version(version)),
            _ => {}
        }
        let read: Self = serde_json::from_value(value)?;
        if read.namespaces.is_empty() { Err(SnapshotError::Empty) } else { Ok(read) }
    }

    /// As a file has it.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("names, numbers and texts are JSON")
    }

    /// The place of the namespace with this identity.
    pub fn by_id(&self, id: NetnsId) -> Option<usize> {
        self.namespaces.iter().position(|namespace| namespace.id == id)
    }

    /// The place of the namespace with this name.
    pub fn by_name(&self, name: &str) -> Option<usize> {
        self.namespaces.iter().position(|namespace| namespace.name == name)
    }

    /// The namespaces that have an address.
    pub fn owners(&self, address: IpAddr) -> impl Iterator<Item = usize> + '_ {
        let has = move |namespace: &Namespace| namespace.has_address(address);
        self.namespaces.iter().enumerate().filter(move |(_, namespace)| has(namespace)).map(|(at, _)| at)
    }
}

impl Link {
    /// Its name as one word of a shell.
    pub fn word(&self) -> Cow<'_, str> {
        quoted(&self.name)
    }
}

impl Namespace {
    /// The interface with this number.
    pub fn link(&self, index: u32) -> Option<&Link> {
        self.links.iter().find(|link| link.index == index)
    }

    /// The interface with this name.
    pub fn link_named(&self, name: &str) -> Option<&Link> {
        self.links.iter().find(|link| link.name == name)
    }

    /// An interface's name, for people and for commands: as one word of a shell. Whoever is root in a container gives its
    /// interfaces what names it likes.
    pub fn link_name(&self, index: u32) -> Cow<'_, str> {
        self.link(index).map_or(Cow::Borrowed("?"), Link::word)
    }

    /// The addresses of an interface.
    pub fn addresses_of(&self, link: u32) -> impl Iterator<Item = IpNet> + '_ {
        self.addresses.iter().filter(move |address| address.link == link).map(|address| address.address)
    }

    /// Whether it has this address.
    pub fn has_address(&self, address: IpAddr) -> bool {
        self.addresses.iter().any(|own| own.address.addr() == address)
    }

    /// A setting as a number; `None` where it was not read or is none.
    pub fn setting(&self, key: &str) -> Option<i64> {
        self.sysctls.get(key)?.trim().parse().ok()
    }

    /// A command of ip(8) in it.
    pub fn ip(&self, rest: &str) -> String {
        self.netns.ip(rest)
    }

    /// Any command in it.
    pub fn command(&self, command: &str) -> String {
        self.netns.command(command)
    }

    /// Whether it is the host's own.
    pub fn is_host(&self) -> bool {
        self.netns == Netns::Host
    }
}
