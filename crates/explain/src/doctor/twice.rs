//! Addresses that two have who are on one link.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use ipnet::IpNet;
use pontoon_model::Mac;
use pontoon_model::observed::snapshot::{Namespace, Snapshot};

use super::diagnosis::{Diagnosis, Remedy};
use crate::path::Code;
use crate::path::segment::{At, link, segment};

pub(super) fn find(snapshot: &Snapshot, patients: &[usize]) -> Vec<Diagnosis> {
    let mut found: Vec<Diagnosis> = Vec::new();
    for on in links(snapshot, patients) {
        let (mut macs, mut addresses) = (BTreeMap::new(), BTreeMap::new());
        for at in &on {
            let Some(link) = link(snapshot, *at) else { continue };
            link.mac.into_iter().for_each(|mac| add(&mut macs, mac, *at));
            let own = snapshot.namespaces[at.0].addresses.iter().filter(|one| one.link == at.1);
            own.filter(|one| !one.link_scope && !one.address.addr().is_unspecified())
                .for_each(|one| add(&mut addresses, one.address.addr(), *at));
        }
        let macs = macs.into_iter().filter_map(|(mac, ats)| mac_twice(snapshot, mac, &ats));
        let addresses = addresses.into_iter().filter_map(|(address, ats)| {
            let net = |at: At| {
                let mut own = snapshot.namespaces[at.0].addresses_of(at.1);
                own.find(|net| net.addr() == address).unwrap_or_else(|| IpNet::from(address))
            };
            address_twice(snapshot, &address, &ats, net)
        });
        for one in macs.chain(addresses) {
            if !found.iter().any(|known| known.is_same(&one)) {
                found.push(one);
            }
        }
    }
    found
}

fn add<K: Ord>(all: &mut BTreeMap<K, Vec<At>>, key: K, at: At) {
    all.entry(key).or_default().push(at);
}

/// Who is on one link with each other: behind the interfaces of those who are looked at, and on the host's bridges.
fn links(snapshot: &Snapshot, patients: &[usize]) -> BTreeSet<BTreeSet<At>> {
    let own = patients.iter().flat_map(|at| {
        let outer = snapshot.namespaces[*at].links.iter().filter(|link| link.kind.as_deref() == Some("veth"));
        outer.map(move |link| (*at, link.index))
    });
    let bridges = snapshot.namespaces[0].links.iter().filter(|link| link.kind.as_deref() == Some("bridge"));
    let all = own.chain(bridges.map(|link| (0, link.index)));
    all.map(|at| segment(snapshot, at).stations.iter().map(|station| station.at).chain([at]).collect())
        .collect()
}

/// Of two, the one that has by record what both have, and the one that has not.
fn rightful(snapshot: &Snapshot, ats: &[At], is_his: impl Fn(&Namespace, &str) -> bool) -> Option<(At, At)> {
    let [first, second, ..] = ats else { return None };
    let his = |at: &&At| {
        let namespace = &snapshot.namespaces[at.0];
        is_his(namespace, &namespace.link_name(at.1))
    };
    let right = ats.iter().find(his).unwrap_or(first);
    let wrong = ats.iter().rev().find(|at| *at != right && !his(at)).unwrap_or(second);
    Some((*right, *wrong))
}

fn mac_twice(snapshot: &Snapshot, mac: Mac, ats: &[At]) -> Option<Diagnosis> {
    let of_network = |name: &str| {
        snapshot.networks.iter().any(|net| net.bridge_name.as_str() == name && net.bridge_mac == mac)
    };
    let (right, wrong) = rightful(snapshot, ats, |namespace, name| {
        namespace.is_host() && of_network(name)
            || namespace.endpoints.iter().any(|one| one.ifname.as_str() == name && one.mac == mac)
    })?;
    let there = &snapshot.namespaces[wrong.0];
    let name = there.link_name(wrong.1);
    let free = replacement(snapshot, wrong, mac);
    let command = there.ip(&format!("link set dev {name} address {free}"));
    Some(
        twice(snapshot, Code::MacTwice, &mac, right, wrong)
            .seen(format!("{name} has {mac}"), there.ip(&format!("link show dev {name}")))
            .fix(Remedy::run(command))
            .advice("frames for one of them go to whoever sent last"),
    )
}

/// The Ethernet address of the record, or one that is as good.
fn replacement(snapshot: &Snapshot, at: At, taken: Mac) -> Mac {
    let namespace = &snapshot.namespaces[at.0];
    let name = namespace.link_name(at.1);
    let recorded = namespace.endpoints.iter().find(|one| one.ifname.as_str() == name).map(|one| one.mac);
    let bytes = taken.octets();
    let all = || snapshot.namespaces.iter().flat_map(|namespace| &namespace.links);
    let mut made = (1..=u8::MAX)
        .map(|step| Mac::local([0x0a, bytes[1], bytes[2], bytes[3], bytes[4], bytes[5].wrapping_add(step)]));
    recorded
        .filter(|mac| *mac != taken)
        .or_else(|| made.find(|mac| !all().any(|link| link.mac == Some(*mac))))
        .unwrap_or(taken)
}

fn address_twice(
    snapshot: &Snapshot,
    address: &std::net::IpAddr,
    ats: &[At],
    net: impl Fn(At) -> IpNet,
) -> Option<Diagnosis> {
    let is_gateway = |name: &str| {
        let mut networks = snapshot.networks.iter().filter(|net| net.bridge_name.as_str() == name);
        networks.any(|network| network.pools().any(|pool| pool.gateway == *address))
    };
    let (right, wrong) = rightful(snapshot, ats, |namespace, name| {
        namespace.is_host() && is_gateway(name)
            || namespace
                .endpoints
                .iter()
                .any(|one| one.ifname.as_str() == name && one.addresses().any(|own| own == *address))
    })?;
    let there = &snapshot.namespaces[wrong.0];
    let name = there.link_name(wrong.1);
    let command = there.ip(&format!("address delete {} dev {name}", net(wrong)));
    Some(
        twice(snapshot, Code::AddressTwice, address, right, wrong)
            .seen(format!("{name} has {address}"), there.ip(&format!("address show dev {name}")))
            .fix(Remedy::run(command))
            .advice("who answers first gets the packets: give one of them another address"),
    )
}

fn twice(snapshot: &Snapshot, code: Code, what: &impl Display, right: At, wrong: At) -> Diagnosis {
    let said = |at: At| {
        let namespace = &snapshot.namespaces[at.0];
        format!("{} in {}", namespace.link_name(at.1), namespace.name)
    };
    let place = &snapshot.namespaces[wrong.0].name;
    let sentence = format!("{what} is the address of {} and of {}", said(right), said(wrong));
    let names = [right, wrong].map(|at| &snapshot.namespaces[at.0]);
    let affected = names.into_iter().filter(|namespace| !namespace.is_host()).map(|one| one.name.clone());
    Diagnosis::new(code, place, sentence).affects(affected)
}
