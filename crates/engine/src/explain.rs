//! Why a packet arrives or does not: who is meant by what was typed, in a picture of the host.

use std::net::IpAddr;

use pontoon_explain::path::{self, From, Question};
use pontoon_model::observed::snapshot::Snapshot;
use pontoon_model::publish::Protocol;
use pontoon_model::{ContainerRef, Diagnose};
use pontoon_nft::syntax::protocol;

pub use pontoon_explain::path::lookup::{Lesson, teach};
pub use pontoon_explain::path::{Code, Explanation, Finding, Flow, Hop, Severity, Verdict, Way, explain};
pub use pontoon_model::observed::snapshot::SnapshotError;

use crate::report::{Reader, ReportError};

/// Somebody beyond the default route, where nobody in particular is meant. Source: RFC 5737.
pub const OUTSIDE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

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
    let wanted = match (from, to) {
        (_, Who::Address(address)) | (Who::Address(address), _) => Some(address.is_ipv6()),
        (Who::Outside, _) | (_, Who::Outside) => Some(false),
        _ => None,
    };
    let sender = match from {
        Who::Host => From::Namespace(0, None),
        Who::Outside => From::Outside(OUTSIDE),
        Who::Container(reference) => From::Namespace(place(snapshot, reference)?, None),
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
    let to = match to {
        Who::Outside => OUTSIDE,
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
        && source.is_ipv4() != to.is_ipv4()
    {
        return Err(QuestionError::Families(source, to));
    }
    let (protocol, port) = match carries {
        Carries::Echo if to.is_ipv4() => (protocol::ICMP, None),
        Carries::Echo => (protocol::ICMPV6, None),
        Carries::Port(protocol, port) => (protocol.number(), Some(port)),
    };
    Ok(Question { from: sender, to, protocol, port })
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
    let found = snapshot.namespaces[at].ports.iter().find(leads)?;
    let host = found.host + (port - found.container);
    let address = found.address.filter(|address| !address.is_unspecified());
    Some((address, Carries::Port(protocol, host)))
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
