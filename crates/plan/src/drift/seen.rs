//! What was seen of the host, as far as it was looked at.

use std::collections::BTreeMap;

use ipnet::IpNet;
use pontoon_model::observed::BridgeFilter;
use pontoon_model::op::{DevConf, Netns};
use pontoon_nft::ruleset::Table;

use super::Place;

/// What was seen.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// Links that were looked at; `None` where there is no link of the name.
    pub links: BTreeMap<Place, Option<SeenLink>>,
    /// The ways out of namespaces that were looked at.
    pub ways: BTreeMap<Netns, SeenWays>,
    /// The tables, if they were looked at.
    pub rules: Option<SeenRules>,
    /// Switches of the host that were looked at: path below `/proc/sys`, and value.
    pub switches: BTreeMap<String, String>,
}

/// The ways out of a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SeenWays {
    /// Whether there is a default route for IPv4.
    pub v4: bool,
    /// Whether there is one for IPv6.
    pub v6: bool,
    /// Whether packets for 127.0.0.11 leave by a link.
    pub names: bool,
    /// Where routes of the main table lead to.
    pub destinations: Vec<IpNet>,
}

/// Both tables.
#[derive(Debug, Clone, Default)]
pub struct SeenRules {
    /// That of the networks.
    pub table: Option<Table>,
    /// That of the guards.
    pub guard: Option<Table>,
    /// Whether there can be the latter.
    pub bridge_filter: BridgeFilter,
}

/// A link.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SeenLink {
    /// Its index.
    pub index: u32,
    /// Its alias.
    pub alias: Option<String>,
    /// Its Ethernet address.
    pub mac: Option<[u8; 6]>,
    /// Whether it is set up.
    pub up: bool,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// Index of the bridge that it is a port of.
    pub master: Option<u32>,
    /// Whether it makes IPv6 addresses of its own; unknown without IPv6.
    pub autoconf: Option<bool>,
    /// Whether a bridge's options are those that it was made with; nothing where it is no bridge.
    pub as_made: Option<bool>,
    /// A port's options; nothing where it is none.
    pub port: Option<SeenPort>,
    /// Its settings, as far as they are known.
    pub conf: Vec<(DevConf, bool)>,
    /// Its addresses, if they were asked for.
    pub addresses: Option<Vec<IpNet>>,
    /// The routes that lead through it, if they were asked for.
    pub routes: Option<SeenRoutes>,
    /// What impairs it, if that was asked for.
    pub impaired: Option<SeenImpairment>,
}

/// What impairs a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SeenImpairment {
    /// The number of the queueing discipline that somebody put there.
    pub root: Option<u16>,
    /// Whether our table about it is there.
    pub table: bool,
}

/// A bridge port's options.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SeenPort {
    /// Whether it is isolated.
    pub isolated: bool,
    /// Whether it gives frames back to where they came from.
    pub hairpin: bool,
    /// Whether it learns and floods as a new port does.
    pub plain: bool,
}

/// Routes through a link.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SeenRoutes {
    /// Destinations of those in the main table.
    pub subnets: Vec<IpNet>,
    /// Whether there is one for ::1 in the local table.
    pub loopback: bool,
}
