//! A cable: a veth pair straight between two sandboxes, or a sandbox and the host.

use pontoon_model::endpoint::{Cable, CableEnd};
use pontoon_model::op::{AddressOp, LinkMark, LinkOp, LinkSettings, Netns, RouteOp, VethPeer};

use crate::endpoint::set_sysctls;
use crate::{Instance, Plan, has_ipv6};

/// The steps that lay a cable. `netns` says where its ends are, `names` whose they are.
pub fn lay(instance: &Instance, cable: &Cable, netns: [&Netns; 2], names: [&str; 2]) -> Plan {
    let mut plan = Plan::default();
    let [first, second] = &cable.ends;
    let mark = mark(instance, cable);
    let add = LinkOp::AddVeth {
        netns: netns[0].clone(),
        name: first.ifname.clone(),
        mark,
        master: None,
        peer: VethPeer { netns: netns[1].clone(), name: second.ifname.clone(), mac: second.mac },
        mtu: cable.mtu,
    };
    plan.push(add, format!("a cable from {} to {}: no bridge, no way out", names[0], names[1]));
    for ((end, netns), name) in cable.ends.iter().zip(netns).zip(names) {
        add_end(&mut plan, end, netns, name, has_ipv6(cable.mtu));
    }
    let ends = cable.ends.iter().zip(netns).map(|(end, netns)| (netns.clone(), end.ifname.clone())).collect();
    let why = "asked once, the kernel notes that both ends have carrier, and the first packet passes";
    let addresses = cable.ends.iter().zip(netns).flat_map(|(end, netns)| {
        let v6 = end.addresses.iter().map(ipnet::IpNet::addr).filter(std::net::IpAddr::is_ipv6);
        v6.map(move |address| (netns.clone(), address))
    });
    plan.push(LinkOp::Settle { names: Vec::new(), others: ends, addresses: addresses.collect() }, why);
    plan
}

/// The steps that take a cable away: deleting one end, the one with number `end` in `netns`, deletes both.
pub fn remove(instance: &Instance, cable: &Cable, end: usize, netns: &Netns, names: [&str; 2]) -> Plan {
    let mut plan = Plan::default();
    let chosen = &cable.ends[end];
    let mark = LinkMark { alias: mark(instance, cable).alias, mac: chosen.mac };
    let delete = LinkOp::Delete { netns: netns.clone(), name: chosen.ifname.clone(), mark };
    plan.push(delete, format!("the cable from {} to {} goes, both ends at once", names[0], names[1]));
    plan
}

fn mark(instance: &Instance, cable: &Cable) -> pontoon_model::op::LinkMark {
    let mut mark = instance.veth_mark(&cable.id);
    mark.mac = cable.ends[0].mac;
    mark
}

fn add_end(plan: &mut Plan, end: &CableEnd, netns: &Netns, name: &str, ipv6: bool) {
    let set = |settings| LinkOp::Set { netns: netns.clone(), name: end.ifname.clone(), settings };
    if ipv6 {
        let settings = LinkSettings { no_autoconf: true, ..LinkSettings::default() };
        plan.push(set(settings), format!("{name}: no address that the kernel makes up"));
        set_sysctls(plan, &end.sysctls, netns, &end.ifname, name);
    }
    for address in &end.addresses {
        let add = AddressOp::Add { netns: netns.clone(), link: end.ifname.clone(), address: *address };
        plan.push(add, format!("{name}'s address on the cable"));
    }
    let settings = LinkSettings { up: true, ..LinkSettings::default() };
    plan.push(set(settings), format!("{name}'s end starts to work"));
}

/// The step that makes a cable's end the way out.
pub fn default_route(netns: &Netns, link: &pontoon_model::IfName, via: std::net::IpAddr, name: &str) -> Plan {
    let mut plan = Plan::default();
    let route = RouteOp::Default { netns: netns.clone(), via, link: link.clone(), previous: None };
    plan.push(route, format!("{name}'s way out, as asked for"));
    plan
}
