//! The way out that leaves a network where it is: routes that are finer than somebody else's.

use std::net::IpAddr;

use ipnet::IpNet;
use pontoon_model::IfName;

/// The command for a route to one address by the bridge.
pub(super) fn route(address: IpAddr, bridge: &IfName) -> String {
    command(IpNet::from(address), bridge)
}

/// The commands for routes to the two halves of a subnet by the bridge.
pub(super) fn halves(subnet: IpNet, bridge: &IfName) -> Vec<String> {
    // A subnet has two addresses at the least.
    let halves = subnet.subnets(subnet.prefix_len() + 1).into_iter().flatten();
    halves.map(|half| command(half, bridge)).collect()
}

/// The command for a rule that has the main table asked for a subnet before a rule with `priority`; none if that is the
/// first of all.
pub(super) fn rule(subnet: IpNet, priority: u32) -> Option<String> {
    let before = priority.checked_sub(1).filter(|before| *before > 0)?;
    Some(format!("{} rule add to {subnet} lookup main priority {before}", ip(subnet)))
}

fn command(net: IpNet, bridge: &IfName) -> String {
    format!("{} route replace {net} dev {bridge}", ip(net))
}

fn ip(net: IpNet) -> &'static str {
    if net.addr().is_ipv4() { "ip" } else { "ip -6" }
}
