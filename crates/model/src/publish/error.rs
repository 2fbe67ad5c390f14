//! What is wrong with ports that a person wrote.

use std::net::{IpAddr, Ipv6Addr};

use super::Protocol;
use crate::Diagnose;

/// Why a text does not say which ports to publish or to expose.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// Not of the form, nor near enough to say which part is wrong.
    #[error(
        "`{0}` is not ports to publish: [HOST_IP:][HOST_PORT[-LAST]:]CONTAINER_PORT[-LAST][/tcp|udp|sctp]"
    )]
    Syntax(String),
    /// More than ports of a container.
    #[error("`{0}` is not ports to expose: PORT[-LAST][/tcp|udp|sctp]")]
    Expose(String),
    /// A part is empty.
    #[error("the {part} is missing in `{given}`")]
    Missing {
        /// Which part.
        part: &'static str,
        /// What was written.
        given: String,
    },
    /// Not a number, or not one that a port has.
    #[error("`{0}` is not a port: a whole number from 1 to 65535")]
    Port(String),
    /// A range whose end is before its beginning.
    #[error("port range {first}-{last} runs backwards")]
    Backwards {
        /// The first number.
        first: u16,
        /// The second.
        last: u16,
    },
    /// Two ranges that cannot be put side by side.
    #[error("{host} and {container} cannot lead to one another one by one", host = ports("host port", *.host), container = ports("container port", *.container))]
    Lengths {
        /// The host's first and last port.
        host: (u16, u16),
        /// The container's.
        container: (u16, u16),
    },
    /// Not a protocol with ports that can be published.
    #[error("`{given}` is not a protocol whose ports can be published")]
    Protocol {
        /// What was written.
        given: String,
        /// The protocol that is written almost like it.
        near: Option<&'static str>,
    },
    /// A host name, or nothing known, where the host's address stands.
    #[error("`{0}` is not an IP address of the host")]
    Address(String),
    /// An IPv6 address whose colons cannot be told from those between the parts.
    #[error("IPv6 address {0} has to stand in brackets")]
    Unbracketed(Ipv6Addr),
    /// An address that only means something on one interface.
    #[error("`{0}` has a zone: ports are published at an address of the whole host")]
    Zone(String),
    /// An address that no connection can go to.
    #[error("ports cannot be published at {0}: it is {1}")]
    Special(IpAddr, &'static str),
    /// A key that the long form does not have.
    #[error("unknown key `{key}` in `{given}`")]
    Key {
        /// The key.
        key: String,
        /// What was written.
        given: String,
        /// The key that is written almost like it.
        near: Option<&'static str>,
    },
    /// A key that only services of a swarm have.
    #[error("`{0}` is for services of a swarm")]
    Swarm(String),
    /// A key that is there twice.
    #[error("`{key}` is given twice in `{given}`")]
    Twice {
        /// The key.
        key: String,
        /// What was written.
        given: String,
    },
}

/// `host port 80`, `host ports 80-81`.
fn ports(what: &str, (first, last): (u16, u16)) -> String {
    if first == last { format!("{what} {first}") } else { format!("{what}s {first}-{last}") }
}

impl Diagnose for PublishError {
    fn code(&self) -> &'static str {
        match self {
            Self::Syntax(_) | Self::Missing { .. } => "bad-publish",
            Self::Expose(_) => "bad-expose",
            Self::Port(_) => "bad-port",
            Self::Backwards { .. } | Self::Lengths { .. } => "bad-port-range",
            Self::Protocol { .. } => "bad-protocol",
            Self::Address(_) | Self::Unbracketed(_) | Self::Zone(_) | Self::Special(..) => {
                "bad-publish-address"
            }
            Self::Key { .. } | Self::Swarm(_) | Self::Twice { .. } => "bad-publish-key",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Port(given) => port_hint(given),
            Self::Backwards { first, last } => Some(format!("did you mean {last}-{first}?")),
            Self::Lengths { host, container } => Some(lengths_hint(*host, *container)),
            Self::Protocol { near: Some(near), .. } | Self::Key { near: Some(near), .. } => {
                Some(format!("did you mean {near}?"))
            }
            Self::Protocol { near: None, .. } => {
                Some(format!("protocols: {}", Protocol::ALL.map(Protocol::name).join(", ")))
            }
            Self::Key { near: None, .. } => Some(format!("known keys: {}", super::long::KEYS.join(", "))),
            Self::Address(name) if name == "localhost" => Some("use 127.0.0.1 or [::1]".into()),
            Self::Address(_) => Some("use an address that the host has, as `ip address` shows them".into()),
            Self::Unbracketed(address) => Some(format!("use [{address}]:HOST_PORT:CONTAINER_PORT")),
            Self::Special(IpAddr::V6(address), _) => {
                address.to_ipv4_mapped().map(|inside| format!("did you mean {inside}?"))
            }
            Self::Expose(given) if given.contains(':') => Some("host ports belong to --publish".into()),
            Self::Swarm(_) => Some("leave it out".into()),
            _ => None,
        }
    }
}

fn port_hint(given: &str) -> Option<String> {
    if super::part::bare(given).parse::<IpAddr>().is_ok() {
        return Some(format!("for a free port at that address, use {given}::CONTAINER_PORT"));
    }
    if given.contains(',') {
        return Some("give the option once for each port or range".into());
    }
    if given.contains('/') {
        return Some("the protocol stands at the end: HOST_PORT:CONTAINER_PORT/PROTOCOL".into());
    }
    let zero = !given.is_empty() && given.bytes().all(|byte| byte == b'0');
    zero.then(|| "leave the host port out to have any free one".into())
}

fn lengths_hint(host: (u16, u16), container: (u16, u16)) -> String {
    let last = host.0.checked_add(container.1 - container.0);
    let instead = last.map(|last| format!("{}-{last}:{}-{}", host.0, container.0, container.1));
    let one = "a host range for one container port means any free one of it";
    match instead {
        Some(instead) => format!("did you mean {instead}? Or else: {one}"),
        None => one.into(),
    }
}
