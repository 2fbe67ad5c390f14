//! Published ports as `docker port`, `docker ps` and `docker inspect` show them.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

use pontoon_model::publish::{ExposedPorts, Protocol};
use pontoon_model::{Publication, Sandbox};
use serde::Serialize;

use super::Place;

/// One published port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mapping {
    /// The container's port.
    pub container: u16,
    /// Its protocol.
    pub protocol: Protocol,
    /// Where it is reached on the host.
    pub at: SocketAddr,
}

/// `80/tcp -> 0.0.0.0:8080`
impl fmt::Display for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} -> {}", self.container, self.protocol, self.at)
    }
}

/// Each published port of a container, for each family that it has an address of.
pub fn mappings(sandbox: &Sandbox, places: &[Place]) -> Vec<Mapping> {
    let mut all = Vec::new();
    for one in by_family(sandbox, places) {
        for (host, container) in one.pairs() {
            all.extend(one.address.map(|address| Mapping {
                container,
                protocol: one.protocol,
                at: SocketAddr::new(address, host),
            }));
        }
    }
    all.sort();
    all
}

/// `0.0.0.0:8080->80/tcp, [::]:8080->80/tcp, 443/tcp`: the published ports, and those that are only exposed.
pub fn summary(sandbox: &Sandbox, places: &[Place]) -> String {
    let published = by_family(sandbox, places).into_iter().map(|one| one.to_string());
    let only = sandbox.process.exposed.iter().filter(|exposed| !is_published(sandbox, exposed));
    published.chain(only.map(ToString::to_string)).collect::<Vec<_>>().join(", ")
}

fn is_published(sandbox: &Sandbox, exposed: &ExposedPorts) -> bool {
    let leads_to = |port: u16| {
        let mut same = sandbox.ports.iter().filter(|one| one.protocol == exposed.protocol);
        same.any(|one| one.pairs().any(|(_, container)| container == port))
    };
    exposed.ports().all(leads_to)
}

/// The publications with an address of one family each.
pub(super) fn by_family(sandbox: &Sandbox, places: &[Place]) -> Vec<Publication> {
    let has = |v4: bool| {
        places.iter().flat_map(|place| place.endpoint.addresses()).any(|address| address.is_ipv4() == v4)
    };
    let families: Vec<bool> = [true, false].into_iter().filter(|v4| has(*v4)).collect();
    let of = |one: &Publication| {
        let one = *one;
        let at = families.iter().filter_map(move |v4| one.address_of(*v4));
        at.map(move |address| Publication { address: Some(address), ..one }).collect::<Vec<_>>()
    };
    sandbox.ports.iter().flat_map(of).collect()
}

/// Where a port is reached, in Docker's words.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Binding {
    host_ip: String,
    host_port: String,
}

/// `NetworkSettings.Ports`: nothing for those that are only exposed.
pub(super) fn settings(sandbox: &Sandbox, places: &[Place]) -> BTreeMap<String, Option<Vec<Binding>>> {
    let mut ports: BTreeMap<String, Option<Vec<Binding>>> =
        exposed(sandbox).map(|port| (port, None)).collect();
    for Mapping { container, protocol, at } in mappings(sandbox, places) {
        let binding = Binding { host_ip: at.ip().to_string(), host_port: at.port().to_string() };
        ports.entry(format!("{container}/{protocol}")).or_default().get_or_insert_default().push(binding);
    }
    ports
}

/// `HostConfig.PortBindings`: as it was asked for.
pub(super) fn bindings(sandbox: &Sandbox) -> BTreeMap<String, Vec<Binding>> {
    let mut ports: BTreeMap<String, Vec<Binding>> = BTreeMap::new();
    for one in &sandbox.ports {
        let host_ip = one.address.map_or_else(String::new, |address| address.to_string());
        for (host, container) in one.pairs() {
            let binding = Binding { host_ip: host_ip.clone(), host_port: host.to_string() };
            ports.entry(format!("{container}/{}", one.protocol)).or_default().push(binding);
        }
    }
    ports
}

/// `80/tcp`: the ports that the container is said to listen on, and those that are published.
pub(super) fn exposed(sandbox: &Sandbox) -> impl Iterator<Item = String> {
    let said = sandbox.process.exposed.iter();
    let said = said.flat_map(|exposed| exposed.ports().map(|port| format!("{port}/{}", exposed.protocol)));
    let published = sandbox.ports.iter();
    let published =
        published.flat_map(|one| one.pairs().map(|(_, container)| format!("{container}/{}", one.protocol)));
    said.chain(published).collect::<std::collections::BTreeSet<_>>().into_iter()
}
