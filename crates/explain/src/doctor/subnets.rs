//! Interfaces of the host whose subnets overlap.

use pontoon_model::observed::snapshot::{Link, Namespace, Snapshot};

use super::diagnosis::Diagnosis;
use super::ways::behind;
use crate::path::Code;

/// Each two, once. Of the routes to both, the kernel takes one for all.
pub(super) fn find(snapshot: &Snapshot) -> Vec<Diagnosis> {
    let host = &snapshot.namespaces[0];
    let mut found = Vec::new();
    let outer: Vec<&Link> = host.links.iter().filter(|link| link.name != "lo" && link.up).collect();
    for (number, one) in outer.iter().enumerate() {
        for other in &outer[number + 1..] {
            found.extend(both(snapshot, host, one, other));
        }
    }
    found
}

fn both(snapshot: &Snapshot, host: &Namespace, one: &Link, other: &Link) -> Option<Diagnosis> {
    let is_bridge = |link: &Link| link.kind.as_deref() == Some("bridge");
    if !is_bridge(one) && !is_bridge(other) {
        // Two uplinks on one network are somebody's doing, and work.
        return None;
    }
    let nets = |link: &Link| {
        let own =
            host.addresses.iter().filter(move |address| address.link == link.index && !address.link_scope);
        own.map(|address| address.address.trunc()).collect::<Vec<_>>()
    };
    let others = nets(other);
    let host_route = |net: &ipnet::IpNet| net.prefix_len() == net.max_prefix_len();
    let (near, far) = nets(one).into_iter().find_map(|near| {
        let meets = |far: &&ipnet::IpNet| {
            (near.contains(&far.network()) || far.contains(&near.network()))
                && !host_route(&near)
                && !host_route(far)
        };
        others.iter().find(meets).map(|far| (near, *far))
    })?;
    let sentence = match near == far {
        true => format!("{} and {} of the host have one subnet, {near}", one.name, other.name),
        false => {
            format!("the subnets of {} and {} of the host overlap: {near} and {far}", one.name, other.name)
        }
    };
    let mut found = Diagnosis::new(Code::SubnetTwice, &host.name, sentence)
        .seen("what is for both is sent to one", format!("ip route show root {near}"))
        .affects([one, other].into_iter().flat_map(|link| behind(snapshot, link.index)));
    let ours: Vec<String> = snapshot
        .networks
        .iter()
        .filter(|net| [&one.name, &other.name].iter().any(|name| net.bridge_name.as_str() == *name))
        .map(|net| net.name.to_string())
        .collect();
    let advice = match ours.first() {
        Some(name) => format!("give one another subnet: `pontoon network renumber {name}` finds a free one"),
        None => "give one of them, and those on it, another subnet".to_owned(),
    };
    found.networks = ours;
    Some(found.advice(advice))
}
