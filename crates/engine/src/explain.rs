//! Why a packet arrives or does not: who is meant by what was typed, in a picture of the host.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs as _};

use pontoon_explain::path::{self, Question};

pub use pontoon_explain::path::From;
use pontoon_model::observed::snapshot::Snapshot;
use pontoon_model::publish::Protocol;
use pontoon_model::{ContainerRef, Diagnose};
use pontoon_nft::syntax::protocol;

pub use pontoon_explain::path::lookup::{Lesson, teach};
pub use pontoon_explain::path::names::ask;
pub use pontoon_explain::path::{Code, Explanation, Finding, Flow, Hop, Severity, Verdict, Way, explain};
pub use pontoon_model::observed::snapshot::SnapshotError;

use crate::report::{Reader, ReportError};

/// Addresses that stand for somebody beyond the default route: nobody has them. Source: RFC 5737, RFC 3849.
const OUTSIDE: [IpAddr; 5] = [
    IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1)),
    IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 1)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0xeeee, 0, 0, 0, 0, 1)),
];

/// Who sends, or gets, a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// The host.
    Host,
    /// Somebody beyond its default route.
    Outside,
    /// A container, or a name that containers answer to.
    Container(ContainerRef),
    /// Whoever has the address.
    Address(IpAddr),
    /// A name that name servers may know.
    Name(String),
}

/// What a packet carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carries {
    /// An echo request.
    Echo,
    /// The first packet of a connection to a port, or a datagram.
    Port(Protocol, u16),
}

/// Why nothing can be explained.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuestionError {
    /// The picture does not have it.
    #[error("`{0}` is not in this picture of a host")]
    NotThere(String),
    /// It has no address.
    #[error("`{0}` has no address")]
    NoAddress(String),
    /// One end has IPv4 and the other IPv6.
    #[error("{0} and {1} are not of one version of IP")]
    Families(IpAddr, IpAddr),
}

impl Diagnose for QuestionError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotThere(_) => "explain-not-there",
            Self::NoAddress(_) => "explain-no-address",
            Self::Families(..) => "explain-families",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NotThere(_) => Some("it has the host, both ends, and whom their cables lead to".to_owned()),
            Self::NoAddress(_) => Some("connect it to a network, or name an address".to_owned()),
            Self::Families(..) => None,
        }
    }
}

/// What is asked, in terms of a picture.
///
/// # Errors
///
/// If somebody is not in it, or has no address.
pub fn question(
    snapshot: &Snapshot,
    from: &Who,
    to: &Who,
    carries: Carries,
) -> Result<Question, QuestionError> {
    let wanted = version(snapshot, from, to)?;
    let sender = match from {
        Who::Host => From::Namespace(0, None),
        Who::Outside => From::Outside(outside(snapshot, wanted)),
        Who::Container(reference) => From::Namespace(place(snapshot, reference)?, None),
        Who::Name(name) => return Err(QuestionError::NotThere(name.clone())),
        Who::Address(address) => match snapshot.owners(*address).next() {
            Some(at) => From::Namespace(at, Some(*address)),
            None => From::Outside(*address),
        },
    };
    let near = match sender {
        From::Namespace(at, _) => Some(at),
        From::Outside(_) => None,
    };
    let mut carries = carries;
    let address = match to {
        Who::Outside => outside(snapshot, wanted),
        Who::Name(name) => return Err(QuestionError::NotThere(name.clone())),
        Who::Address(address) => *address,
        Who::Host => host_address(snapshot, near, wanted)?,
        Who::Container(reference) => {
            let at = place(snapshot, reference)?;
            match published(snapshot, near, at, carries) {
                Some((address, port)) => {
                    carries = port;
                    match address {
                        Some(address) => address,
                        None => host_address(snapshot, None, wanted)?,
                    }
                }
                None => path::address_of(snapshot, near, at, wanted)
                    .ok_or_else(|| QuestionError::NoAddress(reference.to_string()))?,
            }
        }
    };
    if let From::Outside(source) | From::Namespace(_, Some(source)) = sender
        && source.is_ipv4() != address.is_ipv4()
    {
        return Err(QuestionError::Families(source, address));
    }
    let (protocol, port) = match carries {
        Carries::Echo if address.is_ipv4() => (protocol::ICMP, None),
        Carries::Echo => (protocol::ICMPV6, None),
        Carries::Port(protocol, port) => (protocol.number(), Some(port)),
    };
    Ok(Question { from: sender, to: address, outside: *to == Who::Outside, protocol, port })
}

/// Whether it is IPv6 that is asked about; `None` where both will do.
fn version(snapshot: &Snapshot, from: &Who, to: &Who) -> Result<Option<bool>, QuestionError> {
    Ok(match (from, to) {
        (_, Who::Address(address)) | (Who::Address(address), _) => Some(address.is_ipv6()),
        (Who::Outside, other) | (other, Who::Outside) => {
            let at = match other {
                Who::Container(reference) => place(snapshot, reference)?,
                _ => 0,
            };
            // IPv4 where there is any.
            Some(
                path::address_of(snapshot, None, at, Some(false)).is_none()
                    && path::address_of(snapshot, None, at, Some(true)).is_some(),
            )
        }
        _ => None,
    })
}

/// Somebody beyond the host's default route: one to whom no finer route leads, if there is.
fn outside(snapshot: &Snapshot, v6: Option<bool>) -> IpAddr {
    let host = &snapshot.namespaces[0];
    let fits = |address: &&IpAddr| address.is_ipv6() == (v6 == Some(true));
    let is_finer = |address: &IpAddr| {
        let mut routes = host.routes.iter();
        routes.any(|route| route.destination.prefix_len() > 8 && route.destination.contains(address))
    };
    let mut all = OUTSIDE.iter().filter(fits);
    let first = all.clone().next().copied().unwrap_or(OUTSIDE[0]);
    all.find(|address| !is_finer(address)).copied().unwrap_or(first)
}

/// The namespace that a reference means: by its name in the picture.
pub fn place(snapshot: &Snapshot, reference: &ContainerRef) -> Result<usize, QuestionError> {
    let name = match reference {
        ContainerRef::NetnsName(name) => name.clone(),
        other => other.to_string(),
    };
    let found = snapshot.by_name(&name).or_else(|| snapshot.by_name(&reference.to_string()));
    found.ok_or_else(|| QuestionError::NotThere(reference.to_string()))
}

/// The host's address that is on a subnet of the one who asks, or by which the outside reaches it.
fn host_address(snapshot: &Snapshot, near: Option<usize>, v6: Option<bool>) -> Result<IpAddr, QuestionError> {
    let host = &snapshot.namespaces[0];
    let uplink = || {
        let default =
            host.routes.iter().filter(|route| route.destination.prefix_len() == 0 && route.table == 254);
        let mut links = default.flat_map(|route| &route.next_hops).filter_map(|hop| hop.link);
        links.find_map(|link| {
            let fits = |net: &ipnet::IpNet| v6.is_none_or(|v6| net.addr().is_ipv6() == v6);
            host.addresses_of(link).find(fits).map(|net| net.addr())
        })
    };
    let found = match near {
        Some(0) | None => uplink().or_else(|| path::address_of(snapshot, None, 0, v6)),
        Some(near) => path::address_of(snapshot, Some(near), 0, v6),
    };
    found.ok_or_else(|| QuestionError::NoAddress("host".to_owned()))
}

/// The port of the host by which the outside reaches a container's, by record.
fn published(
    snapshot: &Snapshot,
    near: Option<usize>,
    at: usize,
    carries: Carries,
) -> Option<(Option<IpAddr>, Carries)> {
    let Carries::Port(protocol, port) = carries else { return None };
    if near.is_some() {
        return None;
    }
    let leads = |one: &&pontoon_model::Publication| {
        let address = one.address.is_none_or(|address| address.is_ipv4() && !address.is_loopback());
        one.protocol == protocol
            && address
            && (one.container..=one.container.saturating_add(one.count - 1)).contains(&port)
    };
    let ports = &snapshot.namespaces[at].ports;
    // The container's port is meant, or the host's that leads to it.
    let is_host = |one: &&pontoon_model::Publication| {
        one.protocol == protocol && (one.host..=one.host.saturating_add(one.count - 1)).contains(&port)
    };
    let (found, host) = match ports.iter().find(leads) {
        Some(found) => (found, found.host + (port - found.container)),
        None => (ports.iter().find(is_host)?, port),
    };
    let address = found.address.filter(|address| !address.is_unspecified());
    Some((address, Carries::Port(protocol, host)))
}

/// What the host's own resolver says of a name: it asks its name servers, and so may take seconds.
pub fn resolve(name: &str) -> Option<IpAddr> {
    let mut found: Vec<IpAddr> = (name, 0).to_socket_addrs().ok()?.map(|address| address.ip()).collect();
    found.sort_by_key(IpAddr::is_ipv6);
    found.first().copied()
}

/// The address that a name stands for where it is no container's: an alias on one of our networks, or a line of
/// /etc/hosts; and who says so.
///
/// # Errors
///
/// If the state cannot be read.
pub fn named(reader: &Reader, name: &str) -> Result<Option<(IpAddr, String)>, ReportError> {
    for network in reader.networks()? {
        for place in reader.on_network(&network)? {
            if place.endpoint.aliases.iter().any(|alias| alias == name)
                && let Some(address) = place.endpoint.addresses().next()
            {
                let who = format!("an alias of {} on {}", place.sandbox.known_as(), network.name);
                return Ok(Some((address, who)));
            }
        }
    }
    let hosts = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    let lines = hosts.lines().filter_map(|line| line.split('#').next());
    let found = lines.filter_map(|line| {
        let mut words = line.split_whitespace();
        let address: IpAddr = words.next()?.parse().ok()?;
        words.any(|word| word == name).then_some(address)
    });
    Ok(found.into_iter().next().map(|address| (address, "/etc/hosts".to_owned())))
}
