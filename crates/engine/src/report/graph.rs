//! All that there is as one graph: containers, their interfaces, networks, cables, published ports, the way out.

use std::collections::BTreeMap;

use ipnet::IpNet;
use pontoon_graph::{
    Cable, CableEnd, Container, Family, Graph, Interface, Namespace, Network as Node, Port, Subnet, WayOut,
};
use pontoon_kernel::socket::{Protocol, Socket};
use pontoon_model::network::{AddressPool, Driver};
use pontoon_model::sandbox::{NetworkMode, Origin};
use pontoon_model::{Endpoint, Network, Sandbox, SandboxId, endpoint};
use pontoon_plan::endpoint::elected;

use super::container::Life;
use super::{Place, Reader, ReportError, port};
use crate::{EngineError, observe};

impl Reader {
    /// The graph of what the records tell, by name; of the host itself, the interfaces with a default route.
    ///
    /// # Errors
    ///
    /// If the state cannot be read, or the kernel does not tell.
    pub fn graph(&self) -> Result<Graph, ReportError> {
        let mut sandboxes = self.containers()?;
        sandboxes.sort_by(|left, right| left.name.cmp(&right.name));
        let names: BTreeMap<SandboxId, String> =
            sandboxes.iter().map(|sandbox| (sandbox.id.clone(), sandbox.name.to_string())).collect();
        let mut containers = Vec::new();
        for sandbox in &sandboxes {
            containers.push(container(sandbox, &self.of_container(sandbox)?, &names)?);
        }
        let cables = self.cables()?.iter().filter_map(|cable| link(cable, &names)).collect();
        let bridges = self.networks()?.into_iter().filter(|network| network.driver == Driver::Bridge);
        // The default network is listed before it is made, and has no subnet then.
        let networks = bridges.filter(|network| network.pools().next().is_some());
        Ok(Graph { uplinks: uplinks()?, networks: networks.map(node).collect(), containers, cables })
    }
}

fn uplinks() -> Result<Vec<String>, EngineError> {
    let mut names = observe::uplinks(&mut Socket::open(Protocol::Route)?)?;
    names.sort();
    Ok(names)
}

fn node(network: Network) -> Node {
    Node {
        id: network.id.to_string(),
        name: network.name.to_string(),
        bridge: network.bridge_name.to_string(),
        internal: network.internal,
        subnets: network.pools().map(|pool| subnet(&network, pool)).collect(),
    }
}

fn subnet(network: &Network, pool: &AddressPool) -> Subnet {
    let masquerades = network.gateway_mode(pool).is_nat() && network.bridge.masquerade;
    let way_out = match network.is_way_out(pool) {
        false => WayOut::None,
        true if masquerades && network.bridge_has_address(pool) => WayOut::Masquerade,
        true => WayOut::Routed,
    };
    let has_gateway = network.bridge_has_address(pool) || way_out != WayOut::None;
    Subnet { subnet: pool.subnet, gateway: has_gateway.then_some(pool.gateway), way_out }
}

fn container(
    sandbox: &Sandbox,
    places: &[Place],
    names: &BTreeMap<SandboxId, String>,
) -> Result<Container, EngineError> {
    let known: Vec<(&Endpoint, &Network)> =
        places.iter().map(|place| (&place.endpoint, &place.network)).collect();
    let owns =
        |endpoint: &Endpoint, v4| elected(&known, v4).is_some_and(|(owner, _)| owner.id == endpoint.id);
    let interface = |place: &Place| Interface {
        name: place.endpoint.ifname.to_string(),
        network: place.network.name.to_string(),
        mac: place.endpoint.mac.to_string(),
        host_end: place.endpoint.host_ifname.to_string(),
        addresses: addresses(place),
        way_out: [(Family::Ipv4, true), (Family::Ipv6, false)]
            .into_iter()
            .filter(|(_, v4)| owns(&place.endpoint, *v4))
            .map(|(family, _)| family)
            .collect(),
    };
    let namespace = match &sandbox.mode {
        NetworkMode::Networks | NetworkMode::None => Namespace::Own,
        NetworkMode::Host => Namespace::Host,
        NetworkMode::Container(other) => {
            Namespace::Container(names.get(other).cloned().unwrap_or_else(|| other.short().to_owned()))
        }
    };
    Ok(Container {
        id: sandbox.id.to_string(),
        name: sandbox.name.to_string(),
        foreign: match &sandbox.origin {
            Origin::Run => None,
            Origin::Foreign(reference) => Some(reference.to_string()),
        },
        status: Life::of(sandbox)?.word().to_owned(),
        namespace,
        interfaces: places.iter().map(interface).collect(),
        ports: ports(sandbox, places),
    })
}

fn addresses(place: &Place) -> Vec<IpNet> {
    let pool = |v4: bool| if v4 { place.network.v4.as_ref() } else { place.network.v6.as_ref() };
    let with_prefix = |address: std::net::IpAddr| match pool(address.is_ipv4()) {
        Some(pool) => pool.with_prefix(address),
        None => address.into(),
    };
    place.endpoint.addresses().map(with_prefix).collect()
}

fn ports(sandbox: &Sandbox, places: &[Place]) -> Vec<Port> {
    let of = |one: pontoon_model::Publication| {
        Some(Port {
            address: one.address?,
            host: one.host,
            container: one.container,
            count: one.count,
            protocol: one.protocol.to_string(),
        })
    };
    port::by_family(sandbox, places).into_iter().filter_map(of).collect()
}

/// A cable; none where one of its containers has ended, and the cable with it.
fn link(cable: &endpoint::Cable, names: &BTreeMap<SandboxId, String>) -> Option<Cable> {
    let end = |end: &endpoint::CableEnd| {
        let container = end.sandbox.as_ref().map(|id| names.get(id).cloned());
        Some(CableEnd {
            container: match container {
                Some(name) => Some(name?),
                None => None,
            },
            interface: end.ifname.to_string(),
            mac: end.mac.to_string(),
            addresses: end.addresses.clone(),
        })
    };
    let [one, other] = &cable.ends;
    Some(Cable { id: cable.id.to_string(), ends: [end(one)?, end(other)?], mtu: cable.mtu })
}
