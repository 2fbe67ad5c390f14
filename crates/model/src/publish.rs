//! Published ports: which of the host's lead to which of a container's.

mod error;
mod expose;
mod free;
mod long;
mod part;
mod set;
mod spec;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::diagnose::near;

pub use error::PublishError;
pub use expose::ExposedPorts;
pub use free::{free_ports, free_ranges};
pub use part::port_range;
pub use set::{conflict, merge};
pub use spec::{HostPorts, PublishSpec};

/// A protocol whose ports can be published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Tcp, Self::Udp, Self::Sctp];

    /// Its name: `tcp`, `udp` or `sctp`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }

    /// Its number in an IP header. Source: IANA, Assigned Internet Protocol Numbers.
    pub fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Protocol {
    type Err = PublishError;

    /// In upper or lower case, as Docker takes it.
    fn from_str(text: &str) -> Result<Self, PublishError> {
        let found = Self::ALL.into_iter().find(|protocol| protocol.name().eq_ignore_ascii_case(text));
        found.ok_or_else(|| {
            let near = near(&text.to_ascii_lowercase(), Self::ALL.map(Self::name)).first().copied();
            PublishError::Protocol { given: text.to_owned(), near }
        })
    }
}

/// Ports of the host, one after another, that lead to as many of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Publication {
    /// The host's address; `None` is every one, and `0.0.0.0` or `::` every one of that family.
    pub address: Option<IpAddr>,
    /// The protocol.
    pub protocol: Protocol,
    /// The first port of the host.
    pub host: u16,
    /// The first port of the container.
    pub container: u16,
    /// How many, at least one; neither range goes beyond 65535.
    pub count: u16,
}

/// As `docker ps` has it: `127.0.0.1:8000-8010->80-90/tcp`.
impl fmt::Display for Publication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            None => {}
            Some(IpAddr::V4(address)) => write!(f, "{address}:")?,
            Some(IpAddr::V6(address)) => write!(f, "[{address}]:")?,
        }
        let last = self.count - 1;
        match last {
            0 => write!(f, "{}->{}/{}", self.host, self.container, self.protocol),
            _ => write!(
                f,
                "{}-{}->{}-{}/{}",
                self.host,
                self.host + last,
                self.container,
                self.container + last,
                self.protocol
            ),
        }
    }
}

impl Publication {
    /// The pairs of ports: the host's, and the container's that it leads to.
    pub fn pairs(&self) -> impl Iterator<Item = (u16, u16)> + use<> {
        let (host, container) = (self.host, self.container);
        (0..self.count).map(move |step| (host + step, container + step))
    }

    /// The host's addresses that it is on, of the family of `v4`: none where the family is another, the unspecified
    /// address for all of them.
    pub fn address_of(&self, v4: bool) -> Option<IpAddr> {
        match self.address {
            None if v4 => Some(Ipv4Addr::UNSPECIFIED.into()),
            None => Some(Ipv6Addr::UNSPECIFIED.into()),
            Some(address) => (address.is_ipv4() == v4).then_some(address),
        }
    }
}
