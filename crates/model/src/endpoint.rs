//! Endpoints: the places where a sandbox is attached, and cables between two sandboxes.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::IpNet;

use crate::id::{EndpointId, NetworkId, SandboxId};
use crate::mac::Mac;
use crate::name::IfName;

/// How far an endpoint's life has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum EndpointState {
    /// Its addresses are taken. As long as the journal has an entry about it, its kernel objects are being made; from
    /// then on, the first packet passes.
    Attached,
    /// Its kernel objects are being taken away.
    Detaching,
}

/// A sandbox's place on a network.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Endpoint {
    /// Its id.
    pub id: EndpointId,
    /// The network.
    pub network: NetworkId,
    /// The sandbox.
    pub sandbox: SandboxId,
    /// The interface in the sandbox.
    pub ifname: IfName,
    /// The other end, on the bridge.
    pub host_ifname: IfName,
    /// The interface's Ethernet address.
    pub mac: Mac,
    /// Its IPv4 address.
    pub v4: Option<Ipv4Addr>,
    /// Its IPv6 address.
    pub v6: Option<Ipv6Addr>,
    /// Link-local addresses that it has besides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub link_local: Vec<IpAddr>,
    /// Whose gateway becomes the default route: the highest.
    pub gw_priority: i64,
    /// More names that it answers to.
    pub aliases: Vec<String>,
    /// What it alone calls others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<NameLink>,
    /// Whether it may send with its own addresses alone.
    #[serde(default)]
    pub guarded: bool,
    /// Settings of the interface: keys with `IFNAME` in its place, and values.
    #[serde(default)]
    pub sysctls: Vec<(String, String)>,
    /// When it was made, RFC 3339, UTC.
    pub created: String,
    /// How far its life has come.
    pub state: EndpointState,
}

/// A name that one container alone has for others: `--link NAME[:ALIAS]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct NameLink {
    /// A name on the network, whoever has it.
    pub name: String,
    /// What it is called besides.
    pub alias: String,
}

impl FromStr for NameLink {
    type Err = LinkError;

    /// `NAME:ALIAS`, or `NAME` for both.
    fn from_str(text: &str) -> Result<Self, LinkError> {
        let (name, alias) = text.split_once(':').unwrap_or((text, text));
        match name.is_empty() || alias.is_empty() || alias.contains(':') {
            true => Err(LinkError(text.to_owned())),
            false => Ok(Self { name: name.to_owned(), alias: alias.to_owned() }),
        }
    }
}

impl fmt::Display for NameLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, self.alias)
    }
}

/// A text is no [`NameLink`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not NAME or NAME:ALIAS")]
pub struct LinkError(String);

impl Endpoint {
    /// Its addresses, IPv4 first.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.v4.map(IpAddr::V4).into_iter().chain(self.v6.map(IpAddr::V6))
    }

    /// The host end's name for an endpoint with `id`.
    pub fn derived_host_ifname(id: &EndpointId) -> IfName {
        format!("veth{}", &id.as_str()[..11]).parse().expect("15 bytes of hexadecimal are an interface name")
    }
}

/// An interface by what it is an end of: an endpoint, whose end in the sandbox is meant, or a cable.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Plug {
    /// The endpoint or cable.
    pub of: EndpointId,
    /// Which of a cable's ends; 0 for an endpoint.
    pub end: u8,
}

impl Plug {
    /// An endpoint's interface.
    pub fn endpoint(id: EndpointId) -> Self {
        Self { of: id, end: 0 }
    }

    /// An end of a cable: 0 or 1.
    pub fn cable(id: EndpointId, end: usize) -> Self {
        Self { of: id, end: u8::from(end != 0) }
    }
}

/// One end of a cable.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct CableEnd {
    /// The sandbox, or the host.
    pub sandbox: Option<SandboxId>,
    /// The interface.
    pub ifname: IfName,
    /// Its Ethernet address.
    pub mac: Mac,
    /// Its addresses with their prefix lengths.
    pub addresses: Vec<IpNet>,
    /// Settings of the interface: keys with `IFNAME` in its place, and values.
    #[serde(default)]
    pub sysctls: Vec<(String, String)>,
}

/// A veth pair straight between two sandboxes, or a sandbox and the host.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Cable {
    /// Its id.
    pub id: EndpointId,
    /// Both ends.
    pub ends: [CableEnd; 2],
    /// MTU in bytes; the kernel's default when not given.
    pub mtu: Option<u32>,
    /// Labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// When it was made, RFC 3339, UTC.
    pub created: String,
}
