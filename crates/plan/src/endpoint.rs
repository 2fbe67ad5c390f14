//! Attaching a sandbox to a network and detaching it, and whose gateway is the default route.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv6Net};
use pontoon_model::name::NetworkName;
use pontoon_model::network::AddressPool;
use pontoon_model::op::{
    AddressOp, DevConf, LinkOp, LinkSettings, NeighbourOp, Netns, RouteOp, SysctlOp, VethPeer,
};
use pontoon_model::{Endpoint, IfName, Mac, Network, lease};

use crate::publish::{self, Published};
use crate::{Instance, Plan, guard, has_ipv6};

/// A default route of one family: the router and the link.
pub type DefaultRoute = (IpAddr, IfName);

/// The way to where names are asked for: the source address and the link.
pub type NamesRoute = (Ipv4Addr, IfName);

/// The routes of a sandbox that its networks stand for election for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DefaultRoutes {
    /// For IPv4.
    pub v4: Option<DefaultRoute>,
    /// For IPv6.
    pub v6: Option<DefaultRoute>,
    /// For 127.0.0.11.
    pub names: Option<NamesRoute>,
}

/// Elects the default routes among a sandbox's endpoints, and the way to where names are asked for.
///
/// For each family the endpoint with the highest gateway priority wins, among equals the network whose name comes
/// first, as Docker has it; networks without a way out do not stand for election, nor those without names for that.
pub fn elect(candidates: &[(&Endpoint, &Network)]) -> DefaultRoutes {
    let route = |v4| {
        let (endpoint, network) = elected(candidates, v4)?;
        Some((way_out(network, v4)?.gateway, endpoint.ifname.clone()))
    };
    DefaultRoutes { v4: route(true), v6: route(false), names: names(candidates) }
}

/// The endpoint by which names are asked for: whichever it is, the names of all of the sandbox's networks are known.
fn names(candidates: &[(&Endpoint, &Network)]) -> Option<NamesRoute> {
    let standing = candidates.iter().filter(|(_, network)| network.has_names_at_loopback());
    let (endpoint, _) = standing.min_by_key(rank)?;
    Some((endpoint.v4?, endpoint.ifname.clone()))
}

fn rank<'a>((endpoint, network): &&(&Endpoint, &'a Network)) -> (std::cmp::Reverse<i64>, &'a NetworkName) {
    (std::cmp::Reverse(endpoint.gw_priority), &network.name)
}

/// The endpoint whose gateway becomes the default route of a family.
pub fn elected<'a>(
    candidates: &[(&'a Endpoint, &'a Network)],
    v4: bool,
) -> Option<(&'a Endpoint, &'a Network)> {
    let standing = candidates.iter().filter(|(_, network)| way_out(network, v4).is_some());
    standing.min_by_key(rank).copied()
}

fn way_out(network: &Network, v4: bool) -> Option<&AddressPool> {
    let pool = if v4 { &network.v4 } else { &network.v6 };
    pool.as_ref().filter(|pool| network.is_way_out(pool))
}

/// The switch of an interface that has no IPv6, as Docker sets it in a container that it gives no IPv6 address.
pub const IPV6_OFF: &str = "net/ipv6/conf/IFNAME/disable_ipv6";

/// Everything that an attachment depends on.
#[derive(Debug, Clone)]
pub struct Attach<'a> {
    /// Whose objects.
    pub instance: &'a Instance,
    /// The network.
    pub network: &'a Network,
    /// The endpoint, with its names and addresses chosen.
    pub endpoint: &'a Endpoint,
    /// The sandbox's name, for the reasons.
    pub sandbox: &'a str,
    /// The sandbox's namespace.
    pub netns: Netns,
    /// Whether it is the sandbox's first endpoint, so that its loopback is still down.
    pub first: bool,
    /// Default routes before and after.
    pub routes: (DefaultRoutes, DefaultRoutes),
    /// Whether neighbours may remember somebody else at one of the addresses.
    pub announce: bool,
    /// Whether names may be asked for at 127.0.0.11: not where the kernel cannot keep neighbours from 127.0.0.1 then.
    pub names: bool,
    /// Published ports before and after.
    pub published: (Published<'a>, Published<'a>),
}

impl Attach<'_> {
    /// The bridge that the endpoint is on: the network's own, or where that is full another of its segments'.
    fn port_of(&self) -> IfName {
        let number =
            self.endpoint.addresses().next().map_or(0, |address| self.network.segment_number(address));
        self.network.segment_bridge(number)
    }
}

/// The steps that attach a sandbox to a bridge network.
pub fn attach(wanted: &Attach<'_>) -> Plan {
    let mut plan = guard::attach(wanted.instance, wanted.network, wanted.endpoint, wanted.sandbox);
    add_cable(&mut plan, wanted);
    add_inside(&mut plan, wanted);
    change_routes(&mut plan, &wanted.netns, wanted.sandbox, &wanted.routes.0, &wanted.routes.1);
    settle(&mut plan, wanted);
    add_neighbours(&mut plan, wanted);
    if let (true, Some(address)) = (wanted.announce, wanted.endpoint.v6) {
        let (link, mac) = (wanted.endpoint.ifname.clone(), wanted.endpoint.mac);
        let why = "neighbours may remember an earlier holder of the address";
        plan.push(NeighbourOp::Announce { netns: wanted.netns.clone(), link, address, mac }, why);
    }
    let (before, after) = &wanted.published;
    publish::change(&mut plan, wanted.instance, wanted.sandbox, before, after);
    plan
}

/// Has the kernel note that there is carrier. IPv6 is not ready on the container's own link either before that.
fn settle(plan: &mut Plan, wanted: &Attach<'_>) {
    let names = vec![wanted.endpoint.host_ifname.clone(), wanted.port_of()];
    let inside = wanted.endpoint.v6.map(|_| (wanted.netns.clone(), wanted.endpoint.ifname.clone()));
    let others: Vec<_> = inside.into_iter().collect();
    let which = if others.is_empty() { "both" } else { "all" };
    let why = format!("asked once, the kernel notes that {which} have carrier, and the first packet passes");
    let addresses = wanted.endpoint.v6.map(|address| (wanted.netns.clone(), address.into()));
    plan.push(LinkOp::Settle { names, others, addresses: addresses.into_iter().collect() }, why);
}

/// Everything that a detachment depends on.
#[derive(Debug, Clone)]
pub struct Detach<'a> {
    /// Whose objects.
    pub instance: &'a Instance,
    /// The network.
    pub network: &'a Network,
    /// The endpoint.
    pub endpoint: &'a Endpoint,
    /// The sandbox's name, for the reasons.
    pub sandbox: &'a str,
    /// The sandbox's namespace; none when it is gone or about to go, and its routes do not matter.
    pub netns: Option<Netns>,
    /// Default routes before and after.
    pub routes: (DefaultRoutes, DefaultRoutes),
    /// Published ports before and after.
    pub published: (Published<'a>, Published<'a>),
}

/// The steps that detach a sandbox from a bridge network.
pub fn detach(wanted: &Detach<'_>) -> Plan {
    let Detach { endpoint, network, sandbox, .. } = wanted;
    let mut plan = Plan::default();
    let (before, after) = &wanted.published;
    publish::change(&mut plan, wanted.instance, sandbox, before, after);
    plan.append(forget_neighbours(network, endpoint, sandbox));
    if let Some(netns) = &wanted.netns {
        change_routes(&mut plan, netns, sandbox, &wanted.routes.0, &wanted.routes.1);
    }
    let (name, mark) = (endpoint.host_ifname.clone(), wanted.instance.endpoint_mark(endpoint));
    let why = format!("{sandbox}'s cable to {} goes, both ends at once", network.name);
    plan.push(LinkOp::Delete { netns: Netns::Host, name, mark }, why);
    plan.append(guard::detach(wanted.instance, endpoint, sandbox));
    plan
}

/// The steps that make the host forget an endpoint's addresses.
pub fn forget_neighbours(network: &Network, endpoint: &Endpoint, sandbox: &str) -> Plan {
    let mut plan = Plan::default();
    if let Some(address) = endpoint.v6.filter(|_| bridge_speaks_ipv6(network)) {
        let link = network.bridge_name.clone();
        let why = format!("{sandbox} no longer has {address}");
        plan.push(NeighbourOp::Delete { netns: Netns::Host, link, address: address.into() }, why);
    }
    plan
}

fn add_cable(plan: &mut Plan, wanted: &Attach<'_>) {
    let Attach { endpoint, network, sandbox, .. } = wanted;
    let name = endpoint.host_ifname.clone();
    let add = LinkOp::AddVeth {
        netns: Netns::Host,
        name: name.clone(),
        mark: wanted.instance.endpoint_mark(endpoint),
        master: Some(wanted.port_of()),
        peer: VethPeer { netns: wanted.netns.clone(), name: endpoint.ifname.clone(), mac: endpoint.mac },
        mtu: network.bridge.mtu,
    };
    plan.push(add, format!("{sandbox}'s cable to {}: one end on the bridge, the other inside", network.name));
    let isolated = !network.bridge.icc;
    let no_autoconf = has_ipv6(network.bridge.mtu);
    let settings = LinkSettings { no_autoconf, isolated, up: true, ..LinkSettings::default() };
    let why = match isolated {
        true => format!("{}: containers do not reach each other (enable_icc=false)", network.name),
        false => "the end on the bridge needs no address of its own".to_owned(),
    };
    plan.push(LinkOp::Set { netns: Netns::Host, name, settings }, why);
}

fn add_inside(plan: &mut Plan, wanted: &Attach<'_>) {
    let Attach { endpoint, network, sandbox, netns, .. } = wanted;
    if wanted.first {
        let settings = LinkSettings { up: true, ..LinkSettings::default() };
        let name = "lo".parse().expect("an interface name");
        plan.push(
            LinkOp::Set { netns: netns.clone(), name, settings },
            format!("{sandbox} reaches itself, at 127.0.0.1 and ::1"),
        );
    }
    let link = &endpoint.ifname;
    let mut devconf = Vec::new();
    if wanted.announce {
        // Set before the link comes up: the kernel then sends the gratuitous ARP itself.
        devconf.push((DevConf::ArpNotify, true));
    }
    let named = wanted.names && network.has_names_at_loopback();
    if named {
        devconf.push((DevConf::RouteLocalnet, true));
    }
    let no_autoconf = has_ipv6(network.bridge.mtu);
    let settings = LinkSettings { no_autoconf, devconf, ..LinkSettings::default() };
    let told = if wanted.announce { "; neighbours are told who has this one now" } else { "" };
    let asked = if named { "; answers from 127.0.0.11 may come in" } else { "" };
    if settings != LinkSettings::default() {
        plan.push(
            LinkOp::Set { netns: netns.clone(), name: link.clone(), settings },
            format!("{sandbox}: no address that the kernel makes up{told}{asked}"),
        );
    }
    if endpoint.v6.is_some() {
        plan.push(
            inside(netns, format!("net/ipv6/conf/{link}/accept_ra"), "0"),
            format!("{sandbox}: router advertisements from others on {} change nothing", network.name),
        );
    }
    set_sysctls(plan, &endpoint.sysctls, netns, link, sandbox);
    for (address, what) in addresses(endpoint, network) {
        let add = AddressOp::Add { netns: netns.clone(), link: link.clone(), address };
        plan.push(add, format!("{sandbox}'s {what} on {}", network.name));
    }
    let settings = LinkSettings { up: true, ..LinkSettings::default() };
    plan.push(
        LinkOp::Set { netns: netns.clone(), name: link.clone(), settings },
        format!("{sandbox}'s {link} starts to work"),
    );
}

/// The steps that give an interface of a sandbox its settings.
pub(crate) fn set_sysctls(
    plan: &mut Plan,
    sysctls: &[(String, String)],
    netns: &Netns,
    link: &IfName,
    sandbox: &str,
) {
    for (key, value) in sysctls {
        let why = match key.as_str() {
            IPV6_OFF => format!("{sandbox}: IPv6 works, also where its engine has switched it off"),
            _ => format!("{sandbox}: asked for with endpoint.sysctls"),
        };
        plan.push(inside(netns, key.replace("IFNAME", link.as_str()), value), why);
    }
}

/// The endpoint's addresses with their prefix lengths; with IPv6 a link-local one too, which the kernel would have
/// made from the Ethernet address, but only after duplicate detection.
fn addresses(endpoint: &Endpoint, network: &Network) -> Vec<(IpNet, &'static str)> {
    let v4 = endpoint.v4.zip(network.v4.as_ref()).map(|(address, pool)| pool.with_prefix(address.into()));
    let v6 = endpoint.v6.zip(network.v6.as_ref()).map(|(address, pool)| pool.with_prefix(address.into()));
    let local = v6.map(|_| (link_local(endpoint.mac), "link-local address"));
    let named = |address: Option<IpNet>| address.map(|address| (address, "address"));
    let asked = endpoint.link_local.iter();
    let asked = asked.map(|address| (lease::link_local_net(*address), "link-local address asked for"));
    named(v4).into_iter().chain(named(v6)).chain(local).chain(asked).collect()
}

/// The link-local address made from an Ethernet address. Source: RFC 4291, appendix A.
pub fn link_local(mac: Mac) -> IpNet {
    let [a, b, c, d, e, f] = mac.octets().map(u16::from);
    let address = Ipv6Addr::new(0xfe80, 0, 0, 0, (a ^ 2) << 8 | b, c << 8 | 0xff, 0xfe00 | d, e << 8 | f);
    IpNet::V6(Ipv6Net::new(address, 64).expect("64 is a prefix length"))
}

pub(crate) fn bridge_speaks_ipv6(network: &Network) -> bool {
    network.v6.as_ref().is_some_and(|pool| network.bridge_has_address(pool))
}

/// IPv6's first question is a multicast that may be lost while the new port settles, and is repeated only after a
/// second: so both sides are told.
fn add_neighbours(plan: &mut Plan, wanted: &Attach<'_>) {
    let (Some(address), Some(pool)) = (wanted.endpoint.v6, &wanted.network.v6) else { return };
    if !bridge_speaks_ipv6(wanted.network) {
        return;
    }
    let (link, mac) = (wanted.endpoint.ifname.clone(), wanted.network.bridge_mac);
    let gateway = NeighbourOp::Set { netns: wanted.netns.clone(), link, address: pool.gateway, mac };
    plan.push(gateway, format!("{} need not ask for its gateway", wanted.sandbox));
    let (link, mac) = (wanted.network.bridge_name.clone(), wanted.endpoint.mac);
    let host = NeighbourOp::Set { netns: Netns::Host, link, address: address.into(), mac };
    plan.push(host, format!("the host need not ask for {}", wanted.sandbox));
}

pub(crate) fn change_routes(
    plan: &mut Plan,
    netns: &Netns,
    sandbox: &str,
    before: &DefaultRoutes,
    after: &DefaultRoutes,
) {
    for (before, after) in [(&before.v4, &after.v4), (&before.v6, &after.v6)] {
        match (before, after) {
            (before, Some((via, link))) if before != after => {
                let previous = before.clone();
                let route = RouteOp::Default {
                    netns: netns.clone(),
                    via: *via,
                    link: link.clone(),
                    previous: previous.clone(),
                };
                let instead = previous.as_ref().map(|(gateway, other)| match other == link {
                    true => format!(", no longer by {gateway}"),
                    false => format!(", no longer by {other}"),
                });
                let family = if via.is_ipv4() { "IPv4" } else { "IPv6" };
                plan.push(route, format!("{sandbox}'s way out for {family}{}", instead.unwrap_or_default()));
            }
            (Some((via, link)), None) => {
                let route = RouteOp::DeleteDefault { netns: netns.clone(), via: *via, link: link.clone() };
                let family = if via.is_ipv4() { "IPv4" } else { "IPv6" };
                plan.push(route, format!("{sandbox} has no way out for {family} any more"));
            }
            _ => {}
        }
    }
    change_names(plan, netns, sandbox, &before.names, &after.names);
}

fn change_names(
    plan: &mut Plan,
    netns: &Netns,
    sandbox: &str,
    before: &Option<NamesRoute>,
    after: &Option<NamesRoute>,
) {
    match (before, after) {
        (before, Some((source, link))) if before != after => {
            let (netns, link, previous) = (netns.clone(), link.clone(), before.clone());
            let why = format!("{sandbox} asks for names at 127.0.0.11, by {link}");
            plan.push(RouteOp::Names { netns, link, source: *source, previous }, why);
        }
        (Some((source, link)), None) => {
            let (netns, link) = (netns.clone(), link.clone());
            let why = format!("{sandbox} has no network with names any more");
            plan.push(RouteOp::DeleteNames { netns, link, source: *source }, why);
        }
        _ => {}
    }
}

fn inside(netns: &Netns, key: String, value: &str) -> SysctlOp {
    SysctlOp { netns: netns.clone(), key, value: value.to_owned(), previous: None }
}
