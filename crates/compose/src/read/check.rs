//! What can only be seen of all services together: names, ports and addresses that two of them have.

use std::collections::BTreeMap;
use std::net::IpAddr;

use pontoon_model::Publication;
use pontoon_model::publish::{HostPorts, conflict};

use super::{Declared, Placed, Reader};
use crate::error::Fault;
use crate::project::{Condition, Joined, Networking, Runtime};
use crate::yaml::Mark;

impl Reader<'_> {
    pub(super) fn check(&mut self, services: &[Placed<'_>]) {
        self.container_names(services);
        self.published_ports(services);
        self.addresses(services);
        self.health_checks(services);
    }

    fn container_names(&mut self, services: &[Placed<'_>]) {
        let mut names: BTreeMap<&str, &str> = BTreeMap::new();
        for placed in services {
            let Some(name) = &placed.service.container_name else { continue };
            if let Some(first) = names.insert(name, &placed.service.name) {
                let fault = Fault::NameTwice {
                    first: first.to_owned(),
                    second: placed.service.name.clone(),
                    name: name.clone(),
                };
                self.report.error(&placed.at.node.at, fault);
            }
        }
    }

    fn published_ports(&mut self, services: &[Placed<'_>]) {
        let mut taken: Vec<(Publication, &str)> = Vec::new();
        for placed in services {
            let name = placed.service.name.as_str();
            for port in &placed.service.ports {
                let HostPorts::Exactly(first) = port.host else { continue };
                let publication = port.at(first);
                let other = taken.iter().find(|(other, _)| conflict(other, &publication));
                if let Some((_, other)) = other {
                    let at = placed.at.get("ports").unwrap_or_else(|| placed.at.clone());
                    let fault = Fault::PortTwice {
                        port: format!("{first}/{}", port.protocol),
                        first: (*other).to_owned(),
                        second: name.to_owned(),
                    };
                    self.report.error(&at.node.at, fault);
                }
                taken.push((publication, name));
            }
        }
    }

    fn health_checks(&mut self, services: &[Placed<'_>]) {
        for placed in services {
            let healthy = |condition| condition == Condition::Healthy;
            for dependency in placed.service.depends_on.iter().filter(|other| healthy(other.condition)) {
                let other = services.iter().find(|other| other.service.name == dependency.service);
                // An image may bring a check of its own.
                let cannot = other.is_some_and(|other| {
                    other.service.healthcheck.is_none()
                        && matches!(other.service.runtime, Runtime::Process { .. } | Runtime::Oci { .. })
                });
                if cannot {
                    let place = placed.at.get("depends_on").and_then(|all| all.get(&dependency.service));
                    let at = place.unwrap_or_else(|| placed.at.clone());
                    let (service, place) = (dependency.service.clone(), at.quoted());
                    self.report.error(&at.node.at, Fault::NoHealthCheck { service, place });
                }
            }
        }
    }

    /// That fixed addresses are in subnets of their networks, and nobody else's.
    fn addresses(&mut self, services: &[Placed<'_>]) {
        let mut taken = self.reserved();
        for placed in services {
            let Networking::Networks(all) = &placed.service.networking else { continue };
            for joined in all {
                let place = placed.at.get("networks").and_then(|networks| networks.get(&joined.key));
                let at = place.unwrap_or_else(|| placed.at.clone()).node.at.clone();
                for address in fixed(joined) {
                    self.inside(&placed.service.name, joined, address, &at);
                    self.only_once(&placed.service.name, joined, address, &at, &mut taken);
                }
            }
        }
    }

    /// The addresses of gateways and of what is not of the project, by network.
    fn reserved(&self) -> BTreeMap<(String, IpAddr), String> {
        let mut taken = BTreeMap::new();
        for (key, Declared { network, .. }) in &self.networks {
            for pool in &network.pools {
                let gateway = pool.gateway.map(|address| (address, "the gateway".to_owned()));
                let aux = pool.aux.iter().map(|(name, address)| (*address, name.clone()));
                taken.extend(
                    gateway.into_iter().chain(aux).map(|(address, who)| ((key.clone(), address), who)),
                );
            }
        }
        taken
    }

    fn inside(&mut self, service: &str, joined: &Joined, address: IpAddr, at: &Mark) {
        let Some(Declared { network, .. }) = self.networks.get(&joined.key) else { return };
        let pools = network.pools.iter().filter(|pool| pool.subnet.addr().is_ipv4() == address.is_ipv4());
        let subnets: Vec<String> = pools.clone().map(|pool| pool.subnet.to_string()).collect();
        if network.external || pools.clone().any(|pool| pool.subnet.contains(&address)) {
            return;
        }
        let (service, network, address) = (service.to_owned(), joined.key.clone(), address.to_string());
        let fault = match subnets.is_empty() {
            true => Fault::NoSubnet { address, service, network },
            false => Fault::AddressOutside { address, service, network, subnets },
        };
        self.report.error(at, fault);
    }

    fn only_once(
        &mut self,
        service: &str,
        joined: &Joined,
        address: IpAddr,
        at: &Mark,
        taken: &mut BTreeMap<(String, IpAddr), String>,
    ) {
        let place = (joined.key.clone(), address);
        match taken.get(&place) {
            Some(first) => {
                let fault = Fault::AddressTwice {
                    address: address.to_string(),
                    network: joined.key.clone(),
                    first: first.clone(),
                    second: service.to_owned(),
                };
                self.report.error(at, fault);
            }
            None => {
                taken.insert(place, service.to_owned());
            }
        }
    }
}

fn fixed(joined: &Joined) -> impl Iterator<Item = IpAddr> {
    joined.ipv4.map(IpAddr::V4).into_iter().chain(joined.ipv6.map(IpAddr::V6))
}
