//! The networks of a file.
//!
//! Source: the Compose Specification, "Networks top-level element".

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use pontoon_model::option::BridgeOptions;
use pontoon_model::{NetworkName, subnet};

use super::value::At;
use super::{Declared, Reader};
use crate::error::Fault;
use crate::project::{Pool, ProjectNetwork};

/// The network that services join which say nothing of networks.
pub(super) const DEFAULT: &str = "default";

/// Drivers that make networks on one host.
const DRIVERS: [&str; 4] = ["bridge", "macvlan", "ipvlan", "default"];

impl Reader<'_> {
    /// The networks that the file declares, and the default one.
    pub(super) fn declared(&mut self) -> BTreeMap<String, Declared> {
        let section = self.section("networks");
        let mut networks = BTreeMap::new();
        for (key, at, node) in section.iter().flat_map(At::entries) {
            let network = self.network(key, &node);
            networks.insert(key.to_owned(), Declared { network, at: Some(at.clone()), used: false });
        }
        networks.entry(DEFAULT.to_owned()).or_insert_with(|| {
            let network = bare(DEFAULT, format!("{}_{DEFAULT}", self.name));
            Declared { network, at: None, used: false }
        });
        networks
    }

    fn network(&mut self, key: &str, at: &At<'_>) -> ProjectNetwork {
        let external = self.report.flag(at, "external");
        let name = at.text_of("name").map(str::to_owned);
        if external {
            self.only_a_name(key, at);
            return ProjectNetwork { external, ..bare(key, name.unwrap_or_else(|| key.to_owned())) };
        }
        if let Some(name) = at.get("name") {
            self.report.parsed::<NetworkName>(&name);
        }
        let name = name.unwrap_or_else(|| format!("{}_{key}", self.name));
        ProjectNetwork {
            key: key.to_owned(),
            name,
            external,
            driver: self.driver(key, at),
            options: self.options(at),
            pools: self.pools(key, at),
            internal: self.report.flag(at, "internal"),
            attachable: self.report.flag(at, "attachable"),
            ipv4: at.get("enable_ipv4").and_then(|at| self.report.boolean(&at)),
            ipv6: at.get("enable_ipv6").and_then(|at| self.report.boolean(&at)),
            labels: at.pairs_of("labels"),
        }
    }

    /// An external network is as it is.
    fn only_a_name(&mut self, network: &str, at: &At<'_>) {
        for (key, mark, node) in at.entries() {
            if !matches!(key, "external" | "name") && !key.starts_with("x-") && !node.node.is_null() {
                let fault = Fault::External { network: network.to_owned(), key: key.to_owned() };
                self.report.error(mark, fault);
            }
        }
    }

    fn driver(&mut self, key: &str, at: &At<'_>) -> Option<String> {
        let at = at.get("driver")?;
        match at.text().filter(|driver| !driver.is_empty())? {
            "host" | "none" | "null" => {
                let expected = "the driver of a network of its own: say `network_mode` in the service";
                self.report.error(&at.node.at, at.is_not(expected));
                None
            }
            "default" => None,
            driver if DRIVERS.contains(&driver) => Some(driver.to_owned()),
            driver => {
                let why = "the network is made as a bridge of this host";
                self.report.not_done(
                    &at.node.at,
                    &format!("driver: {driver}"),
                    &format!("network {key}"),
                    why,
                );
                None
            }
        }
    }

    fn options(&mut self, at: &At<'_>) -> BTreeMap<String, String> {
        let options = at.pairs_of("driver_opts");
        let bridge = matches!(at.text_of("driver"), None | Some("bridge" | "default"));
        if let (Some(at), true) = (at.get("driver_opts"), bridge)
            && let Err(error) = BridgeOptions::parse(&options)
        {
            self.report.error(&at.node.at, Fault::refused(at.quoted(), &error));
        }
        options
    }

    fn pools(&mut self, key: &str, at: &At<'_>) -> Vec<Pool> {
        let Some(ipam) = at.get("ipam") else { return Vec::new() };
        if let Some(driver) = ipam.get("driver").filter(|driver| driver.text() != Some("default")) {
            let given = format!("ipam.driver: {}", driver.text().unwrap_or_default());
            let why = "addresses are given out by Pontoon";
            self.report.not_done(&driver.node.at, &given, &format!("network {key}"), why);
        }
        if let Some(options) = ipam.get("options").filter(|options| !options.entries().is_empty()) {
            self.report.not_done(&options.node.at, "ipam.options", &format!("network {key}"), "");
        }
        let mut pools: Vec<Pool> = Vec::new();
        for at in ipam.items_of("config") {
            let Some(pool) = self.pool(&at) else { continue };
            if let Some(other) = pools.iter().find(|other| subnet::overlap(other.subnet, pool.subnet)) {
                let subnet = at.get("subnet").unwrap_or_else(|| at.clone());
                let fault = subnet.is_not(format_args!("apart from {}", other.subnet));
                self.report.error(&subnet.node.at, fault);
            }
            pools.push(pool);
        }
        pools
    }

    fn pool(&mut self, at: &At<'_>) -> Option<Pool> {
        let Some(given) = at.get("subnet") else {
            if at.entries().iter().any(|(_, _, at)| !at.node.is_null()) {
                self.report.error(&at.node.at, Fault::Lacks { place: at.quoted(), key: "subnet" });
            }
            return None;
        };
        let parsed = subnet::parse(given.text()?).map_err(|error| Fault::refused(given.quoted(), &error));
        let subnet = self.report.take(&given.node.at, parsed)?;
        let aux = at.entries_of("aux_addresses").into_iter();
        let aux = aux.filter_map(|(name, _, at)| Some((name.to_owned(), self.address_in(&at, subnet)?)));
        let aux = aux.collect();
        Some(Pool {
            subnet,
            range: at.get("ip_range").and_then(|at| self.range_in(&at, subnet)),
            gateway: at.get("gateway").and_then(|at| self.address_in(&at, subnet)),
            aux,
        })
    }

    fn range_in(&mut self, at: &At<'_>, subnet: IpNet) -> Option<IpNet> {
        let parsed = subnet::parse_range(at.text()?).map_err(|error| Fault::refused(at.quoted(), &error));
        let range = self.report.take(&at.node.at, parsed)?;
        let inside = subnet.contains(&range).then_some(range);
        self.report.take(&at.node.at, inside.ok_or_else(|| at.is_not(format_args!("a part of {subnet}"))))
    }

    fn address_in(&mut self, at: &At<'_>, subnet: IpNet) -> Option<IpAddr> {
        let address: IpAddr = self.report.value(at, "an IP address")?;
        let inside = subnet.contains(&address).then_some(address);
        self.report.take(&at.node.at, inside.ok_or_else(|| at.is_not(format_args!("an address of {subnet}"))))
    }
}

/// A network of which only the name is said.
pub(super) fn bare(key: &str, name: String) -> ProjectNetwork {
    ProjectNetwork {
        key: key.to_owned(),
        name,
        external: false,
        driver: None,
        options: BTreeMap::new(),
        pools: Vec::new(),
        internal: false,
        attachable: false,
        ipv4: None,
        ipv6: None,
        labels: BTreeMap::new(),
    }
}
