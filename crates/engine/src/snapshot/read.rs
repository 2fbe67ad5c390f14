//! One namespace, from within.

use std::collections::BTreeMap;
use std::time::Duration;

use ipnet::IpNet;
use pontoon_explain::legacy::{self, Blob};
use pontoon_explain::probe::mark::is_probe;
use pontoon_kernel::error::{Cause, KernelError};
use pontoon_kernel::iptables::{self, Version};
use pontoon_kernel::socket::{Protocol as Part, Socket};
use pontoon_kernel::sysctl::Sysctl;
use pontoon_kernel::{address, link, neighbour, nftables, port, route, rule};
use pontoon_model::Mac;
use pontoon_model::observed::snapshot as seen;
use pontoon_model::op::Netns;
use pontoon_model::sandbox::NetnsId;
use pontoon_netlink::address::{Address, DumpAddresses, Scope};
use pontoon_netlink::link::{DumpLinks, HwAddr, Ipv4Conf, Ipv6Conf, Link, PortOptions};
use pontoon_netlink::neighbour::{DumpFdb, DumpNeighbours, FdbEntry, FdbTable, NTF_PROXY, Neighbour, State};
use pontoon_netlink::route::{DumpRoutes, NextHop, Route, RouteType};
use pontoon_netlink::rule::{Action, DumpRules, Rule};
use pontoon_netlink::socket_diag::InetSocket;
use pontoon_netlink::{Family, Prefix};
use pontoon_nft::ruleset::{Ruleset, Table};
use pontoon_nft::syntax::IpVersion;

use crate::EngineError;

/// Settings that decide where packets go, below `/proc/sys`.
const SETTINGS: [&str; 11] = [
    "net/ipv4/conf/all/src_valid_mark",
    "net/ipv4/ip_forward",
    "net/ipv4/conf/all/rp_filter",
    "net/ipv4/conf/all/route_localnet",
    "net/ipv4/icmp_echo_ignore_all",
    "net/ipv4/fib_multipath_hash_policy",
    "net/ipv6/conf/all/forwarding",
    "net/ipv6/conf/all/disable_ipv6",
    "net/ipv6/icmp/echo_ignore_all",
    "net/bridge/bridge-nf-call-iptables",
    "net/bridge/bridge-nf-call-ip6tables",
];

/// What is known of a namespace before it is read.
pub(super) struct Known<'a> {
    pub(super) name: &'a str,
    pub(super) netns: &'a Netns,
    pub(super) id: NetnsId,
    /// The numbers that it has for others.
    pub(super) numbers: &'a [(i32, NetnsId)],
}

/// Reads the namespace that the calling thread is in, and `socket` is of.
pub(super) fn namespace(socket: &mut Socket, known: &Known<'_>) -> Result<seen::Namespace, EngineError> {
    let mut unread = Vec::new();
    let links = link::list(socket, &DumpLinks::default())?;
    let mut rules: Vec<seen::Rule> =
        rule::list(socket, &DumpRules::default())?.into_iter().map(policy).collect();
    rules.sort_by_key(|rule| (!rule.v4, rule.priority));
    let sockets = port::listeners(&mut Socket::open(Part::SockDiag)?)?;
    Ok(seen::Namespace {
        name: known.name.to_owned(),
        netns: known.netns.clone(),
        id: known.id,
        addresses: address::list(socket, &DumpAddresses::default())?.into_iter().filter_map(own).collect(),
        rules,
        routes: route::list(socket, &DumpRoutes::default())?.into_iter().filter_map(way).collect(),
        neighbours: neighbour::list(socket, &DumpNeighbours::default())?
            .into_iter()
            .filter_map(near)
            .collect(),
        forwarding: neighbour::list_fdb(socket, &DumpFdb::default())?
            .into_iter()
            .filter_map(behind)
            .collect(),
        links: links.into_iter().map(|link| interface(link, known)).collect(),
        ruleset: ruleset(&mut unread),
        legacy: legacy(&mut unread),
        unread,
        sysctls: settings(),
        sockets: sockets.into_iter().map(|(protocol, socket)| listener(protocol, &socket)).collect(),
        name_servers: Vec::new(),
        resolver: None,
        ports: Vec::new(),
        endpoints: Vec::new(),
    })
}

fn interface(link: Link, known: &Known<'_>) -> seen::Link {
    let v4 = |conf| link.ipv4_conf(conf).unwrap_or(0);
    let is_veth = link.kind.as_deref() == Some("veth");
    let calls = link
        .bridge
        .as_ref()
        .map(|bridge| (bridge.nf_call_iptables.unwrap_or(false), bridge.nf_call_ip6tables.unwrap_or(false)));
    let peer = link.link.filter(|_| is_veth).map(|index| seen::Peer {
        index: index.0,
        netns: match link.link_netnsid {
            None => Some(known.id),
            Some(number) => known.numbers.iter().find(|(known, _)| *known == number).map(|(_, id)| *id),
        },
    });
    seen::Link {
        index: link.index.0,
        mac: link.mac.and_then(mac),
        mtu: link.mtu,
        up: link.is_up(),
        // Loopback and tunnels tell no carrier; one that is down has none.
        carrier: link.is_up() && link.carrier.unwrap_or(true),
        master: link.master.map(|index| index.0),
        peer,
        port: link.port.as_ref().map(bridge_port),
        forwarding: v4(Ipv4Conf::Forwarding) != 0,
        rp_filter: v4(Ipv4Conf::RpFilter),
        route_localnet: v4(Ipv4Conf::RouteLocalnet) != 0,
        disable_ipv6: link.ipv6_conf(Ipv6Conf::DisableIpv6) == Some(1),
        calls_iptables: calls.unwrap_or_default(),
        stp: link.bridge.as_ref().is_some_and(|bridge| bridge.stp == Some(true)),
        kind: link.kind,
        name: link.name,
    }
}

/// What the kernel does not tell is as it is by default.
fn bridge_port(port: &PortOptions) -> seen::Port {
    seen::Port {
        state: port.state.unwrap_or(3),
        isolated: port.isolated.unwrap_or(false),
        hairpin: port.hairpin.unwrap_or(false),
        learning: port.learning.unwrap_or(true),
        flood: port.unicast_flood.unwrap_or(true),
    }
}

fn own(address: Address) -> Option<seen::Address> {
    let link_scope = address.scope == Scope::Link;
    Some(seen::Address { link: address.link.0, address: net(address.local)?, link_scope })
}

fn policy(rule: Rule) -> seen::Rule {
    seen::Rule {
        v4: rule.family == Family::V4,
        priority: rule.priority.unwrap_or(0),
        from: rule.from.and_then(net),
        to: rule.to.and_then(net),
        iif: rule.iif,
        oif: rule.oif,
        mark: rule.mark.map(|mark| (mark.value, mark.mask)),
        action: match rule.action {
            Action::Table(table) => seen::RuleAction::Table(table),
            Action::Goto(priority) => seen::RuleAction::Goto(priority),
            Action::Nop => seen::RuleAction::Nop,
            Action::Blackhole => seen::RuleAction::Blackhole,
            Action::Unreachable => seen::RuleAction::Unreachable,
            Action::Prohibit => seen::RuleAction::Prohibit,
            Action::Other(number) => seen::RuleAction::Other(number),
        },
        invert: rule.invert,
        suppress: rule.suppress_prefix_len,
        transport: seen::Transport {
            protocol: rule.transport.protocol,
            source: rule.transport.source,
            destination: rule.transport.destination,
        },
        asks_more: rule.asks_more || rule.suppress_group.is_some(),
    }
}

fn way(route: Route) -> Option<seen::Route> {
    let hop = |hop: &NextHop| seen::NextHop {
        gateway: hop.gateway,
        link: hop.link.map(|index| index.0),
        dead: hop.dead,
    };
    Some(seen::Route {
        destination: net(route.destination)?,
        table: route.table,
        kind: kind(route.kind),
        metric: route.metric.unwrap_or(0),
        source: route.preferred_source,
        next_hops: route.next_hops.iter().map(hop).collect(),
        mtu: route.mtu,
        protocol: route.protocol,
    })
}

fn kind(kind: RouteType) -> seen::RouteKind {
    match kind {
        RouteType::Unicast => seen::RouteKind::Unicast,
        RouteType::Local => seen::RouteKind::Local,
        RouteType::Broadcast => seen::RouteKind::Broadcast,
        RouteType::Anycast => seen::RouteKind::Anycast,
        RouteType::Multicast => seen::RouteKind::Multicast,
        RouteType::Blackhole => seen::RouteKind::Blackhole,
        RouteType::Unreachable => seen::RouteKind::Unreachable,
        RouteType::Prohibit => seen::RouteKind::Prohibit,
        RouteType::Throw => seen::RouteKind::Throw,
        RouteType::Other(number) => seen::RouteKind::Other(number),
    }
}

fn near(neighbour: Neighbour) -> Option<seen::Neighbour> {
    let state = match neighbour.state {
        State::None => return None,
        State::Incomplete => seen::NeighbourState::Incomplete,
        State::Failed => seen::NeighbourState::Failed,
        State::Permanent => seen::NeighbourState::Permanent,
        _ => seen::NeighbourState::Known,
    };
    let proxied = neighbour.flags & NTF_PROXY != 0;
    let found = seen::Neighbour {
        link: neighbour.link.0,
        address: neighbour.address,
        mac: neighbour.mac.and_then(mac),
        state,
    };
    (!proxied).then_some(found)
}

fn behind(entry: FdbEntry) -> Option<seen::FdbEntry> {
    let of_bridge = entry.table == FdbTable::Master && entry.state != State::Permanent;
    let fixed = entry.state == State::NoArp;
    of_bridge.then_some(())?;
    Some(seen::FdbEntry { port: entry.link.0, mac: mac(entry.mac)?, fixed })
}

/// The rules without those of probes: they change nothing, and many probes at once change the ruleset all the time.
fn settled(socket: &mut Socket) -> Result<Ruleset, KernelError> {
    const ATTEMPTS: u32 = 20;
    let mut attempt = 1;
    loop {
        match nftables::ruleset(socket, None) {
            Err(error) if matches!(error.cause, Cause::Changing { .. }) && attempt < ATTEMPTS => {
                std::thread::sleep(Duration::from_millis(5 * u64::from(attempt)));
                attempt += 1;
            }
            read => {
                return read.map(|mut ruleset| {
                    ruleset.tables.retain(|table| !is_probe(&table.table));
                    ruleset
                });
            }
        }
    }
}

/// The namespace's rules. What may not be read is said.
fn ruleset(unread: &mut Vec<String>) -> Ruleset {
    let read = Socket::open(Part::Netfilter).and_then(|mut socket| settled(&mut socket));
    read.unwrap_or_else(|error| {
        unread.push(format!("nftables rules: {error}"));
        Ruleset::default()
    })
}

/// Its tables of iptables-legacy.
fn legacy(unread: &mut Vec<String>) -> Vec<Table> {
    let mut found = Vec::new();
    for (version, ip, program) in
        [(Version::V4, IpVersion::V4, "iptables"), (Version::V6, IpVersion::V6, "ip6tables")]
    {
        for name in iptables::tables(version) {
            match legacy_table(version, ip, &name) {
                Ok(table) => found.extend(table),
                Err(why) => unread.push(format!("{program}-legacy table {name}: {why}")),
            }
        }
    }
    found
}

fn legacy_table(version: Version, ip: IpVersion, name: &str) -> Result<Option<Table>, String> {
    if !legacy::TABLES.contains(&name) {
        return Err("what it is for is not known".to_owned());
    }
    let read = iptables::table(version, name).map_err(|error| error.to_string())?;
    let Some(iptables::Table { hooks, entry, underflow, entries }) = read else { return Ok(None) };
    let blob = Blob { version: ip, hooks, entry, underflow, entries };
    let table = legacy::table_of(&blob, name);
    table.map(Some).ok_or_else(|| "it is not understood".to_owned())
}

fn settings() -> BTreeMap<String, String> {
    let read = |key: &&str| Some(((*key).to_owned(), key.parse::<Sysctl>().ok()?.read().ok()?));
    SETTINGS.iter().filter_map(read).collect()
}

fn listener(protocol: pontoon_model::publish::Protocol, socket: &InetSocket) -> seen::Listener {
    seen::Listener {
        protocol,
        address: socket.local.ip(),
        port: socket.local.port(),
        v6only: socket.v6only == Some(true),
        link: socket.link,
    }
}

/// One that an interface can have.
fn mac(address: HwAddr) -> Option<Mac> {
    address.to_string().parse().ok()
}

fn net(prefix: Prefix) -> Option<IpNet> {
    IpNet::new(prefix.address, prefix.len).ok()
}
