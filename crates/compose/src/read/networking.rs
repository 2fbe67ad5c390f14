//! What network a service has: `networks`, or `network_mode`.
//!
//! Source: the Compose Specification, "networks" and "network_mode" of services.

use std::net::IpAddr;

use pontoon_model::diagnose::near;
use pontoon_model::lease;
use pontoon_model::option::EndpointOptions;
use pontoon_model::{ContainerRef, Mac};

use super::network::{DEFAULT, bare};
use super::value::At;
use super::{Declared, Reader};
use crate::error::Fault;
use crate::project::{Joined, Networking, ProjectNetwork};
use crate::yaml::Mark;

impl Reader<'_> {
    pub(super) fn networking(&mut self, name: &str, at: &At<'_>) -> Networking {
        let networks = at.get("networks").filter(|networks| !networks.entries().is_empty());
        match (at.get("network_mode").filter(|mode| mode.text() != Some("")), networks) {
            (Some(mode), Some(_)) => {
                let fault = Fault::Both { place: at.quoted(), one: "networks", other: "network_mode" };
                self.report.error(&mode.node.at, fault);
                Networking::None
            }
            (Some(mode), None) => self.mode(&mode),
            (None, Some(networks)) => self.joined_networks(name, at, &networks),
            (None, None) => {
                if let Some(special) = self.special(DEFAULT) {
                    return special;
                }
                let mut joined = plain(DEFAULT);
                joined.mac = self.service_mac(at);
                Networking::Networks(vec![joined])
            }
        }
    }

    fn mode(&mut self, at: &At<'_>) -> Networking {
        let mode = at.text().unwrap_or_default();
        match mode.split_once(':') {
            Some(("service", name)) => {
                let needed = self.need(name, &at.quoted());
                self.report.take(&at.node.at, needed);
                Networking::Service(name.to_owned())
            }
            Some(("container", name)) => {
                let parsed = name.parse().map_err(|error| Fault::refused(at.quoted(), &error));
                let container: Option<ContainerRef> = self.report.take(&at.node.at, parsed);
                container.map_or(Networking::None, Networking::Container)
            }
            _ if mode == "none" => Networking::None,
            _ if mode == "host" => Networking::Host,
            Some(_) => {
                let expected = "a mode: none, host, bridge, service:NAME, container:NAME or a network's name";
                self.report.error(&at.node.at, at.is_not(expected));
                Networking::None
            }
            None => self.network_of_host(mode),
        }
    }

    /// A network that is there already, by its name; `bridge` and `default` are the default one.
    fn network_of_host(&mut self, mode: &str) -> Networking {
        let name = if mode == "default" { "bridge" } else { mode };
        // No network of the file has a colon in its key.
        let key = format!("network_mode:{name}");
        let network = ProjectNetwork { external: true, ..bare(&key, name.to_owned()) };
        self.networks.insert(key.clone(), Declared { network, at: None, used: false });
        Networking::Networks(vec![plain(&key)])
    }

    fn joined_networks(&mut self, name: &str, service: &At<'_>, networks: &At<'_>) -> Networking {
        let entries = networks.entries();
        let mut all = Vec::new();
        for (key, mark, at) in &entries {
            if self.declared_for(name, key, mark) {
                if let Some(special) = self.special(key) {
                    return self.alone(special, entries.len(), networks);
                }
                all.push(self.joined(key, at));
            }
        }
        all.sort_by(|left, right| right.priority.cmp(&left.priority).then_with(|| left.key.cmp(&right.key)));
        let mac = self.service_mac(service);
        if let Some(first) = all.first_mut() {
            first.mac = first.mac.or(mac);
        }
        Networking::Networks(all)
    }

    /// Whether a network is declared.
    fn declared_for(&mut self, service: &str, key: &str, at: &Mark) -> bool {
        if self.networks.contains_key(key) {
            return true;
        }
        let known = self.networks.iter().filter(|(_, declared)| declared.at.is_some());
        let near = near(key, known.map(|(key, _)| key.as_str())).into_iter().map(str::to_owned).collect();
        let (service, network) = (service.to_owned(), key.to_owned());
        self.report.error(at, Fault::NoNetwork { service, network, near });
        false
    }

    /// The host's own network or none, which are declared as external networks of these names.
    fn special(&self, key: &str) -> Option<Networking> {
        let network = &self.networks.get(key)?.network;
        match (network.external, network.name.as_str()) {
            (true, "host") => Some(Networking::Host),
            (true, "none") => Some(Networking::None),
            _ => None,
        }
    }

    fn alone(&mut self, special: Networking, count: usize, networks: &At<'_>) -> Networking {
        if count > 1 {
            let one = if special == Networking::Host { "the host's network" } else { "no network" };
            let fault = Fault::Both { place: networks.quoted(), one, other: "networks" };
            self.report.error(&networks.node.at, fault);
        }
        special
    }

    fn joined(&mut self, key: &str, at: &At<'_>) -> Joined {
        let whole = "a whole number";
        let options = at.pairs_of("driver_opts");
        if let (Some(at), Err(error)) = (at.get("driver_opts"), EndpointOptions::parse(&options)) {
            self.report.error(&at.node.at, Fault::refused(at.quoted(), &error));
        }
        let local = at.items_of("link_local_ips");
        Joined {
            key: key.to_owned(),
            aliases: at.texts_of("aliases"),
            ipv4: at.get("ipv4_address").and_then(|at| self.report.value(&at, "an IPv4 address")),
            ipv6: at.get("ipv6_address").and_then(|at| self.report.value(&at, "an IPv6 address")),
            mac: at.get("mac_address").and_then(|at| self.report.parsed(&at)),
            gw_priority: at.get("gw_priority").and_then(|at| self.report.value(&at, whole)).unwrap_or(0),
            priority: at.get("priority").and_then(|at| self.report.value(&at, whole)).unwrap_or(0),
            ifname: at.get("interface_name").and_then(|at| self.report.parsed(&at)),
            options,
            link_local_ips: local.iter().filter_map(|at| self.link_local(at)).collect(),
            links: Vec::new(),
        }
    }

    fn link_local(&mut self, at: &At<'_>) -> Option<IpAddr> {
        let address = self.report.value(at, "an IP address")?;
        if let Err(error) = lease::check_link_local(address) {
            self.report.error(&at.node.at, Fault::refused(at.quoted(), &error));
            return None;
        }
        Some(address)
    }

    /// The service's own `mac_address`, which is for the network that it joins first.
    fn service_mac(&mut self, at: &At<'_>) -> Option<Mac> {
        at.get("mac_address").and_then(|at| self.report.parsed(&at))
    }
}

/// A place on a network without anything said of it.
fn plain(key: &str) -> Joined {
    Joined {
        key: key.to_owned(),
        aliases: Vec::new(),
        ipv4: None,
        ipv6: None,
        mac: None,
        gw_priority: 0,
        priority: 0,
        ifname: None,
        options: std::collections::BTreeMap::new(),
        link_local_ips: Vec::new(),
        links: Vec::new(),
    }
}
