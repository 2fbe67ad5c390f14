//! Making a network and taking it away.

use std::net::IpAddr;

use pontoon_model::network::{AddressPool, Segment};
use pontoon_model::observed::{BridgeFilter, HostSwitches};
use pontoon_model::op::{AddressOp, DevConf, LinkOp, LinkSettings, Netns, NftOp, SysctlOp, VethPeer};
use pontoon_model::option::GatewayMode;
use pontoon_model::{Endpoint, IfName, Network};
use pontoon_nft::syntax::Command;

use crate::publish::{self, Published};
use crate::{Instance, Plan, guard, has_ipv6, ruleset};

/// Path of the switch for forwarding IPv4, below `/proc/sys`.
pub const IPV4_FORWARD: &str = "net/ipv4/ip_forward";
/// Path of the switch for forwarding IPv6, below `/proc/sys`.
pub const IPV6_FORWARD: &str = "net/ipv6/conf/all/forwarding";

/// What has rules already: if somebody took the tables away, it gets them back.
#[derive(Debug, Clone, Copy, Default)]
pub struct Others<'a> {
    /// The networks that there are.
    pub networks: &'a [Network],
    /// The endpoints that there are.
    pub endpoints: &'a [Endpoint],
    /// The containers with published ports: their names, and where those lead.
    pub published: &'a [(String, Published<'a>)],
}

/// The steps that make a bridge network.
///
/// What a container may do is decided before the bridge is up, so that there is no moment without rules. `others` is
/// what there is besides.
pub fn create(instance: &Instance, network: &Network, others: &Others<'_>, host: &HostSwitches) -> Plan {
    let mut plan = rules(instance, others, host);
    plan.push(NftOp { commands: ruleset::add_network(instance, network) }, rules_reason(network));
    add_bridge(&mut plan, instance, network);
    for pool in network.pools().filter(|pool| network.bridge_has_address(pool)) {
        let why = format!("{}: the gateway of {}", network.name, pool.subnet);
        plan.push(address(&network.bridge_name, pool), why);
    }
    let settings = LinkSettings { up: true, ..LinkSettings::default() };
    plan.push(set(&network.bridge_name, settings), format!("{}: the bridge starts to work", network.name));
    add_forwarding(&mut plan, network, host);
    plan
}

/// The steps that give a network one more bridge, joined to the others by a cable.
///
/// A frame from a container that must not reach others may come in by the cable, but is not passed on to ports that
/// are isolated too: so the cable's end at the parent is isolated with them.
pub fn add_segment(instance: &Instance, network: &Network, segment: &Segment) -> Plan {
    let mut plan = Plan::default();
    let name = &network.name;
    let mark = |mac| instance.network_mark(network, mac);
    let bridge = LinkOp::AddBridge {
        name: segment.bridge.clone(),
        mark: mark(segment.bridge_mac),
        mtu: network.bridge.mtu,
    };
    plan.push(
        bridge,
        format!("{name}: bridge number {}, since one has 1,023 ports at the most", segment.number + 1),
    );
    let cable = LinkOp::AddVeth {
        netns: Netns::Host,
        name: segment.trunk.clone(),
        mark: mark(segment.trunk_mac),
        master: Some(segment.parent.clone()),
        peer: VethPeer { netns: Netns::Host, name: segment.uplink.clone(), mac: segment.uplink_mac },
        mtu: network.bridge.mtu,
    };
    plan.push(cable, format!("{name}: a cable joins it to the network's other bridges"));
    let no_autoconf = has_ipv6(network.bridge.mtu);
    let settings = LinkSettings { no_autoconf, up: true, ..LinkSettings::default() };
    let trunk = LinkSettings { isolated: !network.bridge.icc, ..settings.clone() };
    let uplink = LinkSettings { master: Some(segment.bridge.clone()), ..settings.clone() };
    plan.push(
        set(&segment.bridge, settings),
        format!("{name}: no address, the gateway is on the first bridge"),
    );
    plan.push(set(&segment.trunk, trunk), format!("{name}: the cable's end at {}", segment.parent));
    plan.push(set(&segment.uplink, uplink), format!("{name}: the cable's end at {}", segment.bridge));
    let names = vec![segment.trunk.clone(), segment.uplink.clone(), segment.bridge.clone()];
    plan.push(
        LinkOp::Settle { names, others: Vec::new(), addresses: Vec::new() },
        format!("{name}: frames pass from the first one on"),
    );
    plan
}

/// What becomes of the table when a network goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// It stays: another network needs it.
    Needed,
    /// It stays: nobody needs it, but the administrator has so many rules in it.
    Yours(usize),
    /// It goes.
    Unneeded,
}

/// The steps that take a bridge network away. `segments` are its other bridges.
pub fn remove(instance: &Instance, network: &Network, segments: &[Segment], table: Table) -> Plan {
    let mut plan = Plan::default();
    for segment in segments {
        for (name, mac) in [(&segment.trunk, segment.trunk_mac), (&segment.bridge, segment.bridge_mac)] {
            let delete = LinkOp::Delete {
                netns: Netns::Host,
                name: name.clone(),
                mark: instance.network_mark(network, mac),
            };
            plan.push(delete, format!("{}: bridge number {} goes", network.name, segment.number + 1));
        }
    }
    let (name, mark) = (network.bridge_name.clone(), instance.bridge_mark(network));
    let why = format!("{}: the bridge goes, its addresses and routes with it", network.name);
    plan.push(LinkOp::Delete { netns: Netns::Host, name, mark }, why);
    let forget = || ruleset::remove_network(instance, network);
    let (commands, why) = match table {
        Table::Unneeded => {
            (ruleset::remove_table(instance), "no network is left that needs rules".to_owned())
        }
        Table::Needed => (forget(), format!("{}: the rules know it no longer", network.name)),
        Table::Yours(rules) => {
            let why =
                format!("{}: the rules know it no longer; the table stays for yours ({rules})", network.name);
            (forget(), why)
        }
    };
    plan.push(NftOp { commands }, why);
    plan
}

/// The steps that make those of the tables that are not there, with all that is to be in them.
pub fn rules(instance: &Instance, others: &Others<'_>, host: &HostSwitches) -> Plan {
    let mut plan = Plan::default();
    let (mut commands, mut why) = (Vec::new(), Vec::new());
    let filtered = host.bridge_filter == BridgeFilter::Missing;
    if !host.table {
        commands.extend(ruleset::table(instance));
        if !host.bridge_calls_ip6tables {
            commands.push(Command::AddElements(ruleset::loopback6(instance)));
        }
        why.push("one table for all networks: its chains never change, networks are elements of its maps");
    }
    if filtered {
        commands.extend(guard::table(instance));
        why.push("one for all ports: containers that may not spoof are elements of its sets");
    }
    if commands.is_empty() {
        return plan;
    }
    plan.push(NftOp { commands }, why.join("; "));
    for network in others.networks.iter().filter(|_| !host.table) {
        let why = format!("{}: its rules were taken away, and come back", network.name);
        plan.push(NftOp { commands: ruleset::add_network(instance, network) }, why);
    }
    for (sandbox, published) in others.published.iter().filter(|_| !host.table) {
        let commands = publish::add(instance, published);
        if !commands.is_empty() {
            let why = format!("{sandbox}: its published ports were taken away, and come back");
            plan.push(NftOp { commands }, why);
        }
    }
    if filtered {
        plan.append(guard::again(instance, others.networks, others.endpoints));
    }
    plan
}

/// What the rules come to, for each family or for both at once.
fn rules_reason(network: &Network) -> String {
    let effects: Vec<(&str, String)> =
        network.pools().map(|pool| (family(pool), effect(network, pool))).collect();
    let what = match effects.as_slice() {
        _ if network.internal => "internal, so nothing gets out or in".to_owned(),
        [(_, v4), (_, v6)] if v4 != v6 => format!("for IPv4 {v4}; for IPv6 {v6}"),
        [(_, both), _] => both.clone(),
        [(family, only)] => format!("{only}; no {}", if *family == "IPv4" { "IPv6" } else { "IPv4" }),
        _ => "no addresses, so nothing gets out or in".to_owned(),
    };
    let within = if network.bridge.icc { "" } else { "; its containers do not reach each other" };
    format!("{}: {what}{within}", network.name)
}

fn family(pool: &AddressPool) -> &'static str {
    if pool.subnet.addr().is_ipv4() { "IPv4" } else { "IPv6" }
}

/// What happens to a packet on its way out, and which ones come in.
fn effect(network: &Network, pool: &AddressPool) -> String {
    let mode = network.gateway_mode(pool);
    let options = &network.bridge;
    let asked = match pool.subnet.addr().is_ipv4() {
        true => options.host_ipv4.map(IpAddr::from),
        false => options.host_ipv6.map(IpAddr::from),
    };
    let out = match asked {
        _ if !mode.is_nat() || !options.masquerade => "sources stay as they are on the way out".to_owned(),
        Some(address) => format!("sources become {address} on the way out"),
        None => "sources become the host's on the way out".to_owned(),
    };
    let inward = match mode {
        GatewayMode::Nat => "only answers come in",
        GatewayMode::NatUnprotected => "all but other networks' containers come in",
        GatewayMode::Routed => "answers and ICMP come in",
        GatewayMode::Isolated => "nothing comes in",
    };
    format!("{out}, {inward}")
}

fn add_bridge(plan: &mut Plan, instance: &Instance, network: &Network) {
    let name = network.bridge_name.clone();
    let add = LinkOp::AddBridge {
        name: name.clone(),
        mark: instance.bridge_mark(network),
        mtu: network.bridge.mtu,
    };
    plan.push(add, format!("{}: a bridge with an address that does not change with its ports", network.name));
    let forwards = network.pools().any(|pool| network.needs_forwarding(pool) && pool.subnet.addr().is_ipv4());
    let (mut devconf, mut why) = (Vec::new(), String::from("no address that the kernel makes up"));
    if forwards {
        devconf.push((DevConf::Forwarding, true));
        why.push_str("; packets from containers may be forwarded");
    }
    if network.has_names_at_loopback() {
        devconf.push((DevConf::RouteLocalnet, true));
        why.push_str("; containers may ask for names at 127.0.0.11");
    }
    let no_autoconf = has_ipv6(network.bridge.mtu);
    let settings = LinkSettings { no_autoconf, devconf, ..LinkSettings::default() };
    if settings != LinkSettings::default() {
        plan.push(set(&name, settings), format!("{}: {why}", network.name));
    }
}

fn add_forwarding(plan: &mut Plan, network: &Network, host: &HostSwitches) {
    let needs = |v4: bool| {
        network.pools().any(|pool| network.needs_forwarding(pool) && pool.subnet.addr().is_ipv4() == v4)
    };
    if needs(true) && !host.ipv4_forward {
        let why = format!(
            "{}: the host must pass packets on; `pontoon system prune` switches it back",
            network.name
        );
        plan.push(switch(IPV4_FORWARD.to_owned(), "1", "0"), why);
    }
    if needs(false) && !host.ipv6_forward {
        for uplink in &host.ra_uplinks {
            let why = format!(
                "{uplink} has its default route from router advertisements, which a forwarding host \
                               ignores unless this is 2; `pontoon system prune` switches it back"
            );
            plan.push(switch(format!("net/ipv6/conf/{uplink}/accept_ra"), "2", "1"), why);
        }
        let why = format!(
            "{}: the host must pass IPv6 packets on; `pontoon system prune` switches it back",
            network.name
        );
        plan.push(switch(IPV6_FORWARD.to_owned(), "1", "0"), why);
    }
}

fn switch(key: String, value: &str, previous: &str) -> SysctlOp {
    SysctlOp { netns: Netns::Host, key, value: value.to_owned(), previous: Some(previous.to_owned()) }
}

fn address(bridge: &IfName, pool: &AddressPool) -> AddressOp {
    AddressOp::Add { netns: Netns::Host, link: bridge.clone(), address: pool.gateway_net() }
}

fn set(name: &IfName, settings: LinkSettings) -> LinkOp {
    LinkOp::Set { netns: Netns::Host, name: name.clone(), settings }
}
