//! What is remembered of the host's links, so that most of what happens needs no look at anything else.
//!
//! A link that is being made gets better with each message: it is marked, put on its bridge, brought up. Only what gets
//! worse, or goes, may be somebody else's doing.

use std::collections::{BTreeSet, HashMap};

use ipnet::IpNet;
use pontoon_engine::drift::{Scope, Whose};
use pontoon_kernel::watch::Event;
use pontoon_model::EndpointId;
use pontoon_netlink::Prefix;
use pontoon_netlink::link::{AddrGenMode, BridgeOptions, Link, LinkIndex, Notice, PortOptions};
use pontoon_netlink::netconf::{Netconf, Whose as WhoseConf};
use pontoon_netlink::route::{Route, RouteType, TABLE_LOCAL, TABLE_MAIN};
use pontoon_nft::syntax::TableRef;
use pontoon_plan::Instance;

use super::NewRoute;

/// What is remembered.
#[derive(Debug)]
pub(super) struct Memory {
    tables: [TableRef; 2],
    prefix: String,
    links: HashMap<LinkIndex, Known>,
}

/// A link as it was last told of.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    name: String,
    whose: Option<Whose>,
    alias: Option<String>,
    mac: Option<[u8; 6]>,
    up: bool,
    carrier: bool,
    mtu: u32,
    master: Option<LinkIndex>,
    autoconf: bool,
    bridge: Option<BridgeOptions>,
    port: Option<PortOptions>,
}

/// What follows from an event.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) scope: Scope,
    /// An endpoint's link that is gone.
    pub(super) gone: Option<(String, EndpointId)>,
    pub(super) route: Option<NewRoute>,
}

impl From<Scope> for Heard {
    fn from(scope: Scope) -> Self {
        Self { scope, ..Self::default() }
    }
}

impl Memory {
    pub(super) fn new(instance: Instance) -> Self {
        let tables = [instance.table(), instance.guard_table()];
        Self { tables, prefix: instance.mark_prefix(), links: HashMap::new() }
    }

    /// Whether a transaction that touched these tables touched ours.
    pub(super) fn is_about_us(&self, tables: &BTreeSet<TableRef>) -> bool {
        tables.is_empty() || self.tables.iter().any(|own| tables.contains(own))
    }

    /// Takes in all links as they are.
    pub(super) fn fill(&mut self, links: Vec<Link>) {
        self.links.clear();
        // The marked end of a pair tells whose the other is.
        for link in links.iter().chain(&links) {
            let known = self.known(link);
            self.links.insert(link.index, known);
        }
    }

    /// What follows from an event, other than of rules and of what was missed.
    pub(super) fn hear(&mut self, event: Event) -> Heard {
        match event {
            Event::Link(Notice::Link(link)) => self.changed(&link).into(),
            Event::Link(Notice::Gone(link)) => self.gone(&link),
            Event::Link(Notice::Port { index, options, .. }) => self.port(index, *options).into(),
            Event::AddressGone(address) => self.of(address.link).into(),
            Event::RouteGone(route) => self.lost_route(&route).into(),
            Event::Route(route) => Heard { route: self.new_route(&route), ..Heard::default() },
            Event::Conf(conf) => self.conf(&conf).into(),
            Event::Link(Notice::PortGone { .. })
            | Event::Address(_)
            | Event::RoutingRules
            | Event::Rules { .. }
            | Event::Missed => Heard::default(),
        }
    }

    /// The links of whose link this is.
    fn of(&self, index: LinkIndex) -> Scope {
        let whose = self.links.get(&index).and_then(|known| known.whose.clone());
        whose.map(Scope::links_of).unwrap_or_default()
    }

    fn changed(&mut self, link: &Link) -> Scope {
        let mut new = self.known(link);
        let old = self.links.get(&link.index);
        let worse = old.is_some_and(|old| old.is_worse(&new));
        // Whose it was is not forgotten when its mark is taken away.
        new.whose = new.whose.or(old.and_then(|old| old.whose.clone()));
        self.links.insert(link.index, new);
        if worse { self.of(link.index) } else { Scope::default() }
    }

    fn port(&mut self, index: LinkIndex, options: PortOptions) -> Scope {
        let Some(known) = self.links.get_mut(&index) else { return Scope::default() };
        let worse = known.up && known.port.as_ref().is_some_and(|before| is_worse(before, &options));
        known.port = Some(options);
        if worse { self.of(index) } else { Scope::default() }
    }

    fn gone(&mut self, link: &Link) -> Heard {
        let scope = match self.of(link.index) {
            scope if scope.is_empty() => self.whose(link).map(Scope::links_of).unwrap_or_default(),
            scope => scope,
        };
        let whose = self.links.remove(&link.index).and_then(|known| known.whose);
        let gone = match whose {
            Some(Whose::Endpoint(endpoint)) => Some((link.name.clone(), endpoint)),
            _ => None,
        };
        Heard { scope, gone, route: None }
    }

    fn lost_route(&self, route: &Route) -> Scope {
        let loopback = route.destination.address == std::net::Ipv6Addr::LOCALHOST;
        if route.table != TABLE_MAIN && !(route.table == TABLE_LOCAL && loopback) {
            return Scope::default();
        }
        let links = route.next_hops.iter().filter_map(|hop| hop.link);
        links.map(|index| self.of(index)).fold(Scope::default(), Scope::and)
    }

    fn new_route(&self, route: &Route) -> Option<NewRoute> {
        let destination = net(route.destination)?;
        let local = match destination {
            IpNet::V4(net) => net.addr().is_link_local() || net.addr().is_multicast(),
            IpNet::V6(net) => net.addr().is_unicast_link_local() || net.addr().is_multicast(),
        };
        let counts = route.kind == RouteType::Unicast && route.table != TABLE_LOCAL;
        if !counts || route.destination.is_all() || local {
            return None;
        }
        let link = route.next_hops.first().and_then(|hop| hop.link);
        let known = link.and_then(|index| self.links.get(&index));
        if known.is_some_and(|known| known.whose.is_some()) {
            return None;
        }
        let dev = known.map(|known| known.name.clone());
        Some(NewRoute { destination, table: route.table, dev, protocol: route.protocol })
    }

    fn conf(&self, conf: &Netconf) -> Scope {
        match conf.whose {
            _ if conf.forwarding != Some(false) => Scope::default(),
            WhoseConf::All => Scope::switches(),
            WhoseConf::Default => Scope::default(),
            // Ports do not forward, bridges do.
            WhoseConf::Link(index) => match self.links.get(&index).and_then(|known| known.whose.as_ref()) {
                Some(Whose::Network(_)) => self.of(index),
                _ => Scope::default(),
            },
        }
    }

    fn known(&self, link: &Link) -> Known {
        Known {
            name: link.name.clone(),
            whose: self.whose(link),
            alias: link.alias.clone(),
            mac: link.mac.map(|mac| mac.0),
            up: link.is_up(),
            carrier: link.carrier == Some(true),
            mtu: link.mtu,
            master: link.master,
            autoconf: link.addr_gen_mode.is_some_and(|mode| mode != AddrGenMode::None),
            bridge: link.bridge.clone(),
            port: link.port.clone(),
        }
    }

    fn whose(&self, link: &Link) -> Option<Whose> {
        let mark = link.alias.as_deref().and_then(|alias| alias.strip_prefix(&self.prefix));
        if let Some((kind, id)) = mark.and_then(|mark| mark.split_once(':')) {
            return match kind {
                "network" => Some(Whose::Network(id.parse().ok()?)),
                "endpoint" => Some(Whose::Endpoint(id.parse().ok()?)),
                _ => None,
            };
        }
        // The other end of a pair in one namespace carries no mark.
        let peer = link.link.filter(|_| link.link_netnsid.is_none());
        peer.and_then(|peer| self.links.get(&peer)?.whose.clone())
    }
}

impl Known {
    /// Whether something of ours may be missing in `new` that was there.
    fn is_worse(&self, new: &Self) -> bool {
        if self.whose.is_none() {
            return false;
        }
        let cut_off = matches!(self.whose, Some(Whose::Endpoint(_))) && self.carrier && !new.carrier;
        let ports = match (&self.port, &new.port) {
            (Some(before), Some(after)) => self.up && is_worse(before, after),
            _ => false,
        };
        self.up && !new.up
            || cut_off
            || self.master.is_some() && self.master != new.master
            || self.alias.is_some() && self.alias != new.alias
            || self.name != new.name
            || self.mac != new.mac
            || self.mtu != new.mtu
            || !self.autoconf && new.autoconf
            || self.up && options(&self.bridge) != options(&new.bridge)
            || ports
    }
}

/// What of a bridge's options is ours to say.
fn options(bridge: &Option<BridgeOptions>) -> Option<[Option<u32>; 4]> {
    let bridge = bridge.as_ref()?;
    let bit = |switch: Option<bool>| switch.map(u32::from);
    let switches = [bridge.stp, bridge.mcast_snooping, bridge.no_linklocal_learn].map(bit);
    Some([bridge.forward_delay, switches[0], switches[1], switches[2]])
}

fn is_worse(before: &PortOptions, after: &PortOptions) -> bool {
    let off = |before: Option<bool>, after: Option<bool>| before == Some(true) && after == Some(false);
    before.isolated != after.isolated && after.isolated.is_some()
        || off(before.hairpin, after.hairpin)
        || off(before.learning, after.learning)
        || off(before.unicast_flood, after.unicast_flood)
        || off(before.mcast_flood, after.mcast_flood)
        || off(before.bcast_flood, after.bcast_flood)
}

fn net(prefix: Prefix) -> Option<IpNet> {
    IpNet::new(prefix.address, prefix.len).ok()
}
