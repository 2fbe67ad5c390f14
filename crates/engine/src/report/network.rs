//! A network as `docker network inspect` shows it.
//!
//! Source: the `NetworkInspect` schema of Docker's Engine API, <https://docs.docker.com/reference/api/engine/>.

use std::collections::BTreeMap;
use std::net::IpAddr;

use pontoon_model::lease;
use pontoon_model::network::{AddressPool, Driver};
use pontoon_model::{Endpoint, Network, subnet};
use pontoon_plan::conflict::Conflict;
use serde::Serialize;

use super::Place;

/// A network, its keys in Docker's order.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct NetworkReport {
    name: String,
    id: String,
    created: String,
    scope: &'static str,
    driver: String,
    #[serde(rename = "EnableIPv4")]
    enable_ipv4: bool,
    #[serde(rename = "EnableIPv6")]
    enable_ipv6: bool,
    #[serde(rename = "IPAM")]
    ipam: Ipam,
    internal: bool,
    attachable: bool,
    ingress: bool,
    config_from: ConfigFrom,
    config_only: bool,
    containers: BTreeMap<String, Member>,
    options: BTreeMap<String, String>,
    labels: BTreeMap<String, String>,
    status: NetworkStatus,
    /// Not Docker's.
    conflicts: Vec<Conflict>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Ipam {
    driver: &'static str,
    options: BTreeMap<String, String>,
    config: Vec<PoolReport>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
struct PoolReport {
    subnet: String,
    #[serde(rename = "IPRange", skip_serializing_if = "Option::is_none")]
    ip_range: Option<String>,
    gateway: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    auxiliary_addresses: BTreeMap<String, String>,
}

/// Swarm's, and empty here.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ConfigFrom {
    network: String,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Member {
    name: String,
    #[serde(rename = "EndpointID")]
    endpoint_id: String,
    mac_address: String,
    #[serde(rename = "IPv4Address")]
    ipv4_address: String,
    #[serde(rename = "IPv6Address")]
    ipv6_address: String,
}

#[derive(Debug, Clone, Default, Serialize)]
struct NetworkStatus {
    #[serde(rename = "IPAM")]
    ipam: IpamStatus,
}

#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct IpamStatus {
    subnets: BTreeMap<String, SubnetStatus>,
}

/// How full a subnet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SubnetStatus {
    /// Addresses that are taken or that nobody can have. Saturates at 2⁶⁴ - 1.
    #[serde(rename = "IPsInUse")]
    pub in_use: u64,
    /// Addresses of the range that are left to give out unasked. Saturates at 2⁶⁴ - 1.
    #[serde(rename = "DynamicIPsAvailable")]
    pub available: u64,
}

impl NetworkReport {
    /// The report on a network and those who are on it.
    pub fn new(network: &Network, places: &[Place]) -> Self {
        let subnets = network.pools().map(|pool| (pool.subnet.to_string(), subnet_status(pool, places)));
        let status = NetworkStatus { ipam: IpamStatus { subnets: subnets.collect() } };
        Self {
            name: network.name.to_string(),
            id: network.id.to_string(),
            created: network.created.clone(),
            scope: "local",
            driver: network.driver.to_string(),
            // Docker says so of `host` and `none` as well.
            enable_ipv4: network.v4.is_some() || network.driver != Driver::Bridge,
            enable_ipv6: network.v6.is_some(),
            ipam: Ipam {
                driver: "default",
                options: BTreeMap::new(),
                config: network.pools().map(pool_report).collect(),
            },
            internal: network.internal,
            attachable: network.attachable,
            ingress: false,
            config_from: ConfigFrom::default(),
            config_only: false,
            containers: places.iter().map(|place| (place.sandbox.id.to_string(), member(place))).collect(),
            options: network.options.clone(),
            labels: network.labels.clone(),
            status,
            conflicts: Vec::new(),
        }
    }

    /// The same with what came over its subnets, of all that was found.
    #[must_use]
    pub fn with_conflicts(mut self, found: &[Conflict]) -> Self {
        let own = found.iter().filter(|conflict| conflict.network.as_str() == self.name);
        self.conflicts = own.cloned().collect();
        self
    }
}

fn pool_report(pool: &AddressPool) -> PoolReport {
    PoolReport {
        subnet: pool.subnet.to_string(),
        ip_range: pool.range.map(|range| range.to_string()),
        gateway: pool.gateway.to_string(),
        auxiliary_addresses: pool
            .aux
            .iter()
            .map(|(name, address)| (name.clone(), address.to_string()))
            .collect(),
    }
}

fn member(place: &Place) -> Member {
    let (v4, v6) = (place.network.v4.as_ref(), place.network.v6.as_ref());
    Member {
        name: place.sandbox.shown_as(),
        endpoint_id: place.endpoint.id.to_string(),
        mac_address: place.endpoint.mac.to_string(),
        ipv4_address: with_prefix(v4, place.endpoint.v4.map(IpAddr::V4)),
        ipv6_address: with_prefix(v6, place.endpoint.v6.map(IpAddr::V6)),
    }
}

fn with_prefix(pool: Option<&AddressPool>, address: Option<IpAddr>) -> String {
    match (pool, address) {
        (Some(pool), Some(address)) => pool.with_prefix(address).to_string(),
        _ => String::new(),
    }
}

/// How full a pool is with these containers on its network.
pub fn subnet_status(pool: &AddressPool, places: &[Place]) -> SubnetStatus {
    let taken: Vec<IpAddr> = places.iter().filter_map(|place| address_in(pool, &place.endpoint)).collect();
    let (all, usable) = (size(pool), subnet::usable_count(pool.subnet));
    let (first, last) = subnet::usable(pool.subnet);
    let reserved = pool.reserved().filter(|address| (first..=last).contains(address)).count();
    let given_out = taken.iter().filter(|address| lease::may_give(pool, **address)).count();
    let in_use =
        all.saturating_sub(usable).saturating_add(reserved as u128).saturating_add(taken.len() as u128);
    let available = lease::capacity(pool).saturating_sub(given_out as u128);
    SubnetStatus { in_use: saturate(in_use), available: saturate(available) }
}

fn address_in(pool: &AddressPool, endpoint: &Endpoint) -> Option<IpAddr> {
    endpoint.addresses().find(|address| pool.subnet.contains(address))
}

fn size(pool: &AddressPool) -> u128 {
    let (first, last) =
        (subnet::to_number(pool.subnet.network()), subnet::to_number(pool.subnet.broadcast()));
    (last - first).saturating_add(1)
}

fn saturate(count: u128) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(subnet: &str, range: Option<&str>, gateway: &str) -> AddressPool {
        let aux = BTreeMap::from([("router".to_owned(), "10.0.0.9".parse().unwrap())]);
        let aux = if subnet.contains(':') { BTreeMap::new() } else { aux };
        let range = range.map(|range| range.parse().unwrap());
        AddressPool { subnet: subnet.parse().unwrap(), range, gateway: gateway.parse().unwrap(), aux }
    }

    #[test]
    fn addresses_that_nobody_can_have_count_as_used() {
        // Network, broadcast, gateway and the auxiliary one.
        let status = subnet_status(&pool("10.0.0.0/24", None, "10.0.0.1"), &[]);
        assert_eq!((status.in_use, status.available), (4, 252));
        let status = subnet_status(&pool("10.0.0.0/24", Some("10.0.0.16/28"), "10.0.0.1"), &[]);
        assert_eq!((status.in_use, status.available), (4, 16));
        // The routers' anycast address and the gateway.
        let status = subnet_status(&pool("fd00::/96", None, "fd00::1"), &[]);
        assert_eq!((status.in_use, status.available), (2, u64::from(u32::MAX) - 1));
        let status = subnet_status(&pool("fd00::/48", None, "fd00::1"), &[]);
        assert_eq!(status.available, u64::MAX);
    }
}
