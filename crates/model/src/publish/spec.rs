//! What `--publish` takes.

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;

use super::{Protocol, Publication, PublishError, long, part, port_range};

/// Ports to publish, as a person asks for them: `[HOST_IP:][HOST_PORT[-LAST]:]CONTAINER_PORT[-LAST][/tcp|udp|sctp]`,
/// or `published=HOST_PORT,target=CONTAINER_PORT,protocol=udp,host_ip=HOST_IP`.
///
/// Source: <https://docs.docker.com/engine/network/port-publishing/>, and `ParsePortSpec` in docker/go-connections'
/// `nat/nat.go` and `PortOpt` in docker/cli's `opts/port.go`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct PublishSpec {
    /// The host's address; every one if there is none.
    pub address: Option<IpAddr>,
    /// The protocol.
    pub protocol: Protocol,
    /// The ports of the host.
    pub host: HostPorts,
    /// The first port of the container.
    pub container: u16,
    /// How many ports of the container, at least one; none is beyond 65535.
    pub count: u16,
}

/// Which ports of the host are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostPorts {
    /// Any free one for each of the container's.
    Free,
    /// From this one on, as many as the container's.
    Exactly(u16),
    /// The one port of the container gets any free one of these.
    OneOf {
        /// The first of them.
        first: u16,
        /// The last of them, which is behind it.
        last: u16,
    },
}

impl PublishSpec {
    /// What is published when the container's ports lead from those of the host that begin with `host`.
    pub fn at(&self, host: u16) -> Publication {
        let Self { address, protocol, container, count, .. } = *self;
        Publication { address, protocol, host, container, count }
    }

    /// Puts the ranges side by side.
    pub(super) fn pair(
        address: Option<IpAddr>,
        host: Option<RangeInclusive<u16>>,
        container: &RangeInclusive<u16>,
        protocol: Protocol,
    ) -> Result<Self, PublishError> {
        let count = part::count(container);
        let host = match host {
            None => HostPorts::Free,
            Some(host) if part::count(&host) == count => HostPorts::Exactly(*host.start()),
            Some(host) if count == 1 => HostPorts::OneOf { first: *host.start(), last: *host.end() },
            Some(host) => {
                let ends = |range: &RangeInclusive<u16>| (*range.start(), *range.end());
                return Err(PublishError::Lengths { host: ends(&host), container: ends(container) });
            }
        };
        Ok(Self { address, protocol, host, container: *container.start(), count })
    }

    fn short(text: &str) -> Result<Self, PublishError> {
        let (address, host, container) = parts(text)?;
        let (container, protocol) = with_protocol(container)?;
        if container.is_empty() {
            return Err(PublishError::Missing { part: "container port", given: text.to_owned() });
        }
        let address = address.map(part::address).transpose()?;
        let host = host.filter(|host| !host.is_empty()).map(port_range).transpose()?;
        Self::pair(address, host, &port_range(container)?, protocol)
    }
}

/// Takes the protocol off the end; TCP where there is none.
pub(super) fn with_protocol(text: &str) -> Result<(&str, Protocol), PublishError> {
    match text.split_once('/') {
        None => Ok((text, Protocol::Tcp)),
        Some((_, "")) => Err(PublishError::Missing { part: "protocol", given: text.to_owned() }),
        Some((ports, protocol)) => Ok((ports, protocol.parse()?)),
    }
}

/// Address (without brackets), the host's ports and the container's, as they are written.
type Parts<'a> = (Option<&'a str>, Option<&'a str>, &'a str);

fn parts(text: &str) -> Result<Parts<'_>, PublishError> {
    let missing = || PublishError::Missing { part: "host address", given: text.to_owned() };
    if let Some(rest) = text.strip_prefix('[') {
        return match rest.split_once(']') {
            Some(("", _)) => Err(missing()),
            Some((address, ports)) => bracketed(text, address, ports),
            None => Err(PublishError::Syntax(text.to_owned())),
        };
    }
    let words: Vec<&str> = text.split(':').collect();
    match *words {
        [container] => Ok((None, None, container)),
        [host, container] => Ok((None, Some(host), container)),
        ["", _, _] => Err(missing()),
        [address, host, container] => Ok((Some(address), Some(host), container)),
        _ => Err(too_many(text)),
    }
}

fn bracketed<'a>(text: &'a str, address: &'a str, ports: &'a str) -> Result<Parts<'a>, PublishError> {
    let Some(ports) = ports.strip_prefix(':') else {
        let part = "container port";
        let ended = ports.is_empty();
        let given = text.to_owned();
        return Err(if ended { PublishError::Missing { part, given } } else { PublishError::Syntax(given) });
    };
    match ports.split_once(':') {
        Some((host, container)) if !container.contains(':') => Ok((Some(address), Some(host), container)),
        Some(_) => Err(PublishError::Syntax(text.to_owned())),
        None => Err(PublishError::Port(format!("[{address}]"))),
    }
}

/// What is wrong where there are more than two colons and no bracket.
fn too_many(text: &str) -> PublishError {
    let ports = text.split('/').next().unwrap_or(text);
    if ports.contains('%') {
        return PublishError::Zone(text.to_owned());
    }
    match part::unbracketed(ports) {
        Some(address) => PublishError::Unbracketed(address),
        None => PublishError::Syntax(text.to_owned()),
    }
}

impl FromStr for PublishSpec {
    type Err = PublishError;

    fn from_str(text: &str) -> Result<Self, PublishError> {
        if text.contains('=') { long::parse(text) } else { Self::short(text) }
    }
}

/// The short form, with the protocol.
impl fmt::Display for PublishSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(IpAddr::V4(address)) => write!(f, "{address}:")?,
            Some(IpAddr::V6(address)) => write!(f, "[{address}]:")?,
            None => {}
        }
        match self.host {
            HostPorts::Free if self.address.is_some() => f.write_str(":")?,
            HostPorts::Free => {}
            HostPorts::Exactly(first) => write!(f, "{}:", Run(first, self.count))?,
            HostPorts::OneOf { first, last } => write!(f, "{first}-{last}:")?,
        }
        write!(f, "{}/{}", Run(self.container, self.count), self.protocol)
    }
}

/// So many ports from one on: `80`, `80-90`.
pub(super) struct Run(pub(super) u16, pub(super) u16);

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(first, count) = *self;
        write!(f, "{first}")?;
        if count > 1 { write!(f, "-{}", first + (count - 1)) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Diagnose;

    fn spec(text: &str) -> PublishSpec {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn error(text: &str) -> PublishError {
        text.parse::<PublishSpec>().expect_err(text)
    }

    #[test]
    fn what_a_person_writes_is_understood() {
        for (what, text, printed) in [
            ("a port of the host for one of the container", "8080:80", "8080:80/tcp"),
            ("any free port", "80", "80/tcp"),
            ("any free port, with the colon", ":80", "80/tcp"),
            ("any free port for each of several", "80-90", "80-90/tcp"),
            ("a range one to one", "8000-8010:80-90", "8000-8010:80-90/tcp"),
            ("a range to choose from", "8000-8010:80", "8000-8010:80/tcp"),
            ("a range of one port is that port", "8000-8000:80-80", "8000:80/tcp"),
            ("UDP", "53:53/udp", "53:53/udp"),
            ("a protocol in capitals", "53:53/UDP", "53:53/udp"),
            ("SCTP", "3868:3868/Sctp", "3868:3868/sctp"),
            ("one address of the host", "127.0.0.1:8080:80", "127.0.0.1:8080:80/tcp"),
            ("any free port at one address", "127.0.0.1::80", "127.0.0.1::80/tcp"),
            ("free ports at one address", "127.0.0.1::80-81/udp", "127.0.0.1::80-81/udp"),
            ("a range at one address", "127.0.0.1:9000-9001:1-2", "127.0.0.1:9000-9001:1-2/tcp"),
            ("IPv6's loopback", "[::1]:8080:80", "[::1]:8080:80/tcp"),
            ("a free port at an IPv6 address", "[2001:db8::7]::80/udp", "[2001:db8::7]::80/udp"),
            ("every IPv4 address", "0.0.0.0:80:80", "0.0.0.0:80:80/tcp"),
            ("every IPv6 address", "[::]:80:80", "[::]:80:80/tcp"),
            ("IPv4 in brackets, as Docker takes it", "[127.0.0.1]:80:80", "127.0.0.1:80:80/tcp"),
            ("all ports there are", "1-65535:1-65535", "1-65535:1-65535/tcp"),
            ("zeros in front", "0080:080", "80:80/tcp"),
            ("the long form", "published=8080,target=80,protocol=udp,host_ip=1.2.3.4", "1.2.3.4:8080:80/udp"),
            ("the long form in another order", "target=80,host_ip=::1", "[::1]::80/tcp"),
            ("the long form with brackets", "target=80,host_ip=[::1],published=80", "[::1]:80:80/tcp"),
            ("the long form with ranges", "Published=80-81,Target=90-91", "80-81:90-91/tcp"),
        ] {
            assert_eq!(spec(text).to_string(), printed, "{what}");
        }
    }

    #[test]
    fn what_a_person_gets_wrong_is_named_with_what_to_do() {
        for (what, text, says, hint) in [
            ("port 0", "0:80", "`0` is not a port", "leave the host port out"),
            ("a port too high", "65536:80", "`65536` is not a port", ""),
            ("a container port too high", "80:80-70000", "`70000` is not a port", ""),
            ("a service's name", "http:80", "`http` is not a port", ""),
            ("a sign", "+80:80", "`+80` is not a port", ""),
            ("a space", "80: 80", "` 80` is not a port", ""),
            ("a range upside down", "90-80:80-90", "90-80 runs backwards", "80-90"),
            (
                "one port for several",
                "8080:80-90",
                "host port 8080 and container ports 80-90",
                "8080-8090:80-90",
            ),
            ("ranges of two lengths", "1-2:80-82", "host ports 1-2 and", "1-3:80-82"),
            ("a range too near the end", "65535:1-2", "host port 65535 and", "any free one"),
            ("a protocol mistyped", "80/tcpp", "`tcpp` is not a protocol", "did you mean tcp?"),
            ("a protocol without ports", "80/icmp", "`icmp` is not a protocol", "tcp, udp, sctp"),
            ("two protocols", "80/tcp/udp", "`tcp/udp` is not a protocol", ""),
            ("the protocol in the middle", "80/tcp:80", "`80/tcp` is not a port", "at the end"),
            ("the protocol twice", "80/tcp:80/tcp", "`80/tcp` is not a port", "at the end"),
            ("a list", "80,443", "`80,443` is not a port", "once for each"),
            ("localhost", "localhost:80:80", "`localhost` is not an IP address", "127.0.0.1"),
            ("a host name", "web.example:80:80", "`web.example` is not an IP address", "ip address"),
            ("an address too short", "10.1:80:80", "`10.1` is not an IP address", ""),
            ("an address and one port", "127.0.0.1:80", "`127.0.0.1` is not a port", "127.0.0.1::CONTAINER"),
            ("an IPv6 address and one port", "[::1]:80", "`[::1]` is not a port", "[::1]::CONTAINER"),
            ("IPv6 without brackets", "2001:db8::7:8080:80", "2001:db8::7 has to stand", "[2001:db8::7]:"),
            ("IPv6's loopback without brackets", "::1:8080:80/udp", "::1 has to stand", "[::1]:"),
            ("IPv6 without brackets and host port", "fd00::a::80", "fd00::a has to stand", "[fd00::a]:"),
            ("IPv6 with a zone", "[fe80::1%eth0]:80:80", "`fe80::1%eth0` has a zone", ""),
            ("IPv6 with a zone, no brackets", "fe80::1%eth0:80:80", "has a zone", ""),
            ("link-local", "[fe80::1]:80:80", "it is link-local", ""),
            ("multicast", "224.0.0.1:80:80", "224.0.0.1: it is multicast", ""),
            ("IPv6 multicast", "[ff02::1]:80:80", "it is multicast", ""),
            ("broadcast", "255.255.255.255:80:80", "broadcast", ""),
            ("IPv4 as IPv6", "[::ffff:1.2.3.4]:80:80", "::ffff:1.2.3.4", "did you mean 1.2.3.4?"),
            ("nothing", "", "the container port is missing", ""),
            ("only a protocol", "/tcp", "the container port is missing", ""),
            ("no container port", "8080:", "the container port is missing in `8080:`", ""),
            ("an address alone", "[::1]", "the container port is missing", ""),
            ("no protocol after the slash", "80/", "the protocol is missing", ""),
            ("no address", "::80", "the host address is missing", ""),
            ("empty brackets", "[]:80:80", "the host address is missing", ""),
            ("no end of a range", "80-:80", "the last port is missing in `80-`", ""),
            ("no beginning of a range", "-80", "the first port is missing in `-80`", ""),
            ("too many parts", "1:2:3:4", "is not ports to publish", ""),
            ("no closing bracket", "[::1:80:80", "is not ports to publish", ""),
            ("too much behind the bracket", "[::1]:1:2:3", "is not ports to publish", ""),
            ("text behind the bracket", "[::1]x:1:2", "is not ports to publish", ""),
            (
                "a mode",
                "target=80,published=80,mode=host",
                "`mode` is for services of a swarm",
                "leave it out",
            ),
            ("a key mistyped", "taget=80", "unknown key `taget`", "did you mean target?"),
            ("a key that is none", "x=80", "unknown key `x`", "published, target"),
            ("no target", "published=80", "the target is missing", ""),
            ("a key twice", "target=80,target=81", "`target` is given twice", ""),
            ("an empty value", "target=", "the value of target is missing", ""),
            ("a key without a value", "target=80,protocol", "the value of protocol is missing", ""),
            ("a host name in the long form", "target=80,host_ip=db", "`db` is not an IP address", ""),
            ("a long form of two lengths", "target=80-81,published=1", "host port 1 and", ""),
        ] {
            let error = error(text);
            assert!(error.to_string().contains(says), "{what}: {error}");
            let hinted = error.hint().unwrap_or_default();
            assert!(hinted.contains(hint), "{what}: {hinted}");
        }
    }

    #[test]
    fn the_ports_are_side_by_side_or_to_choose_from() {
        assert_eq!(spec("80").host, HostPorts::Free);
        assert_eq!(spec("8000-8010:80-90").host, HostPorts::Exactly(8000));
        assert_eq!(spec("8000-8010:80").host, HostPorts::OneOf { first: 8000, last: 8010 });
        let published = spec("127.0.0.1:8000-8001:80-81/udp").at(9000);
        assert_eq!(published.pairs().collect::<Vec<_>>(), [(9000, 80), (9001, 81)]);
        assert_eq!((published.address, published.protocol), (spec("127.0.0.1::1").address, Protocol::Udp));
    }

    prop_compose! {
        fn any_spec()(
            address in proptest::option::of(any::<IpAddr>()),
            protocol in proptest::sample::select(Protocol::ALL.to_vec()),
            (first, last) in (1..=u16::MAX, 1..=u16::MAX),
            kind in 0..3,
            (container, count) in (1..=u16::MAX).prop_flat_map(|first| (Just(first), 1..=u16::MAX - (first - 1))),
        ) -> PublishSpec {
            let (first, last) = (first.min(last), first.max(last));
            let (host, count) = match kind {
                0 => (HostPorts::Free, count),
                1 => (HostPorts::Exactly(first), count.min(u16::MAX - (first - 1))),
                _ if first == last => (HostPorts::Exactly(first), 1),
                _ => (HostPorts::OneOf { first, last }, 1),
            };
            let address = address.filter(|address| part::address(&address.to_string()).is_ok());
            PublishSpec { address, protocol, host, container, count }
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_or_stored_comes_back(spec in any_spec()) {
            prop_assert_eq!(spec.to_string().parse(), Ok(spec));
            let json = serde_json::to_string(&spec).unwrap();
            prop_assert_eq!(serde_json::from_str::<PublishSpec>(&json).unwrap(), spec);
        }

        #[test]
        fn no_text_is_too_strange(text in "[0-9:/\\[\\]=,.%a-f-]{0,24}|\\PC{0,16}") {
            if let Err(error) = text.parse::<PublishSpec>() {
                prop_assert!(!error.to_string().is_empty() && !error.code().is_empty());
                prop_assert_ne!(error.hint(), Some(String::new()));
            }
        }
    }
}
