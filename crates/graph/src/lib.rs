//! Containers, networks, cables and published ports as one graph, and its pictures: a tree of text, SVG, Mermaid, dot
//! and JSON. What it is made from is somebody else's business; what is drawn of it follows from the graph alone.

mod dot;
mod escape;
mod mermaid;
mod narrow;
mod svg;
mod text;

use std::net::IpAddr;

use ipnet::IpNet;
use serde::Serialize;

pub use dot::dot;
pub use mermaid::mermaid;
pub use svg::svg;
pub use text::text;

/// What there is on a host. The order of everything in it is the order that it is drawn in.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Graph {
    /// The host's interfaces with a default route.
    pub uplinks: Vec<String>,
    /// The networks that are bridges.
    pub networks: Vec<Network>,
    /// Containers, and namespaces of others.
    pub containers: Vec<Container>,
    /// Cables.
    pub cables: Vec<Cable>,
}

/// A network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Network {
    /// Its id.
    #[serde(rename = "ID")]
    pub id: String,
    /// Its name, which no other has.
    pub name: String,
    /// The bridge on the host.
    pub bridge: String,
    /// Whether there is no way out on purpose.
    pub internal: bool,
    /// Its subnets.
    pub subnets: Vec<Subnet>,
}

/// The addresses of one family on a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Subnet {
    /// The subnet.
    pub subnet: IpNet,
    /// The gateway's address, where there is a gateway: the host or something else.
    pub gateway: Option<IpAddr>,
    /// How packets leave.
    pub way_out: WayOut,
}

/// How packets leave a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum WayOut {
    /// With the host's address.
    Masquerade,
    /// With the container's own address.
    Routed,
    /// They do not.
    None,
}

impl WayOut {
    /// In a person's words.
    fn words(self) -> &'static str {
        match self {
            Self::Masquerade => "masquerade",
            Self::Routed => "routed",
            Self::None => "no way out",
        }
    }
}

/// A container, or a namespace of somebody else's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Container {
    /// Its id.
    #[serde(rename = "ID")]
    pub id: String,
    /// Its name, which no other has.
    pub name: String,
    /// How others' containers are pointed at: `pid:1234`, `netns:blue`.
    pub foreign: Option<String>,
    /// Docker's word for how far its life has come.
    pub status: String,
    /// Whose namespace it is in.
    pub namespace: Namespace,
    /// Its interfaces on networks.
    pub interfaces: Vec<Interface>,
    /// Its published ports.
    pub ports: Vec<Port>,
}

/// Whose namespace a container is in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Namespace {
    /// One of its own.
    Own,
    /// The host's.
    Host,
    /// That of the container with this name.
    Container(String),
}

/// An interface on a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Interface {
    /// Its name in the container.
    pub name: String,
    /// The network, by name.
    pub network: String,
    /// Its Ethernet address.
    #[serde(rename = "MAC")]
    pub mac: String,
    /// The other end, on the bridge.
    pub host_end: String,
    /// Its addresses.
    pub addresses: Vec<IpNet>,
    /// The families whose default route goes by it.
    pub way_out: Vec<Family>,
}

/// A family of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

impl Family {
    /// That of an address.
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::Ipv4 } else { Self::Ipv6 }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Ipv4 => "IPv4",
            Self::Ipv6 => "IPv6",
        }
    }
}

/// Ports of the host, one after another, that lead to as many of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Port {
    /// The host's address, or the unspecified one for all of a family.
    pub address: IpAddr,
    /// The first port of the host.
    pub host: u16,
    /// The first port of the container.
    pub container: u16,
    /// How many, at least one; neither range goes beyond 65535.
    pub count: u16,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
}

/// A veth pair straight between two containers, or a container and the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Cable {
    /// Its id.
    #[serde(rename = "ID")]
    pub id: String,
    /// Both ends.
    pub ends: [CableEnd; 2],
    /// MTU in bytes, where one was asked for.
    #[serde(rename = "MTU")]
    pub mtu: Option<u32>,
}

/// One end of a cable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CableEnd {
    /// The container by name; none is the host.
    pub container: Option<String>,
    /// The interface.
    pub interface: String,
    /// Its Ethernet address.
    #[serde(rename = "MAC")]
    pub mac: String,
    /// Its addresses.
    pub addresses: Vec<IpNet>,
}

impl Graph {
    /// The graph as indented JSON.
    ///
    /// # Panics
    ///
    /// Never: it is made of text and numbers.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("graphs are made of text and numbers") + "\n"
    }

    fn network_at(&self, name: &str) -> Option<usize> {
        self.networks.iter().position(|network| network.name == name)
    }

    fn container_at(&self, name: &str) -> Option<usize> {
        self.containers.iter().position(|container| container.name == name)
    }

    /// What an end's container, or the host, is called in the languages for graphs.
    fn node(&self, end: &CableEnd) -> String {
        let number = end.container.as_ref().and_then(|name| self.container_at(name));
        number.map_or_else(|| "host".to_owned(), |number| format!("c{number}"))
    }

    /// The ends of cables in a container, each with the other end.
    fn cable_ends<'a>(&'a self, container: &'a str) -> impl Iterator<Item = (&'a CableEnd, &'a CableEnd)> {
        let both = self.cables.iter().flat_map(|cable| {
            let [one, other] = &cable.ends;
            [(one, other), (other, one)]
        });
        both.filter(move |(end, _)| end.container.as_deref() == Some(container))
    }
}

impl Network {
    /// Whether packets leave it, of any family.
    fn leaves(&self) -> bool {
        self.subnets.iter().any(|subnet| subnet.way_out != WayOut::None)
    }
}

impl Container {
    /// Its name, and what is to be said of it that is not so of most.
    fn heading(&self) -> Vec<String> {
        let status = Some(&self.status).filter(|status| *status != "running");
        let more = self.foreign.iter().chain(status).cloned();
        std::iter::once(self.name.clone()).chain(more).chain(self.namespace.words()).collect()
    }

    /// The interface that a port leads to: that of the way out of its family.
    fn leads_to(&self, port: &Port) -> Option<&Interface> {
        let family = Family::of(port.address);
        self.interfaces.iter().find(|interface| interface.way_out.contains(&family))
    }
}

impl Subnet {
    /// `10.0.0.0/24`, `gateway 10.0.0.1, masquerade`
    fn words(&self) -> [String; 2] {
        let gateway = self.gateway.map_or_else(String::new, |gateway| format!("gateway {gateway}, "));
        [self.subnet.to_string(), format!("{gateway}{}", self.way_out.words())]
    }
}

impl Interface {
    /// `way out`, with the family where it is that of one alone; nothing where it is none.
    fn way_out_words(&self) -> Option<String> {
        let one_family = self.addresses.iter().all(|net| Some(Family::of(net.addr())) == self.family());
        match self.way_out.as_slice() {
            [] => None,
            [family] if !one_family => Some(format!("way out for {}", family.words())),
            _ => Some("way out".to_owned()),
        }
    }

    fn family(&self) -> Option<Family> {
        self.addresses.first().map(|net| Family::of(net.addr()))
    }
}

impl CableEnd {
    /// `web:lan0`, `host:lan0`
    fn place(&self) -> String {
        format!("{}:{}", self.whose(), self.interface)
    }

    /// `web:lan0 10.0.0.1/30`
    fn words(&self) -> String {
        format!("{}:{}", self.whose(), self.inside())
    }

    /// `lan0 10.0.0.1/30`
    fn inside(&self) -> String {
        let addresses = self.addresses.iter().map(ToString::to_string);
        std::iter::once(self.interface.clone()).chain(addresses).collect::<Vec<_>>().join(" ")
    }

    fn whose(&self) -> &str {
        self.container.as_deref().unwrap_or("host")
    }
}

impl Namespace {
    /// Whose it is, where it is not the container's own.
    fn words(&self) -> Option<String> {
        match self {
            Self::Own => None,
            Self::Host => Some("in the host's namespace".to_owned()),
            Self::Container(name) => Some(format!("in {name}'s namespace")),
        }
    }
}

/// `0.0.0.0:8000-8010 → 80-90/tcp`
impl std::fmt::Display for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.address {
            IpAddr::V4(address) => write!(f, "{address}:")?,
            IpAddr::V6(address) => write!(f, "[{address}]:")?,
        }
        let range = |first: u16| match self.count {
            0 | 1 => first.to_string(),
            count => format!("{first}-{}", first.saturating_add(count - 1)),
        };
        write!(f, "{} → {}/{}", range(self.host), range(self.container), self.protocol)
    }
}
