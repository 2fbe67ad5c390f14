//! Both ends of a packet's way: `host`, `outside`, an address, a container; with a port `TO:PORT[/PROTOCOL]`.

use std::net::IpAddr;

use pontoon_engine::explain::{Carries, Who};
use pontoon_model::ContainerRef;
use pontoon_model::publish::Protocol;

/// Who sends.
pub(crate) fn who(text: &str) -> Result<Who, String> {
    match text {
        "host" => return Ok(Who::Host),
        "outside" => return Ok(Who::Outside),
        _ => {}
    }
    let plain = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    if let Ok(address) = plain.parse::<IpAddr>() {
        return Ok(Who::Address(address));
    }
    text.parse::<ContainerRef>().map(Who::Container).map_err(|error| error.to_string())
}

/// Who gets it, and what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) who: Who,
    pub(crate) carries: Carries,
}

/// As [`who`], with a port.
pub(crate) fn target(text: &str) -> Result<Target, String> {
    let echo = |who| Target { who, carries: Carries::Echo };
    // Addresses of IPv6 and references have colons of their own.
    if let Ok(who) = who(text) {
        return Ok(echo(who));
    }
    let Some((name, port)) = text.rsplit_once(':') else { return who(text).map(echo) };
    let who = who(name)?;
    match port.rsplit_once('/').map_or(("", port), |split| split) {
        ("", "icmp") => return Ok(echo(who)),
        (_, "icmp") => return Err(format!("a ping has no port: `{name}`, or `{name}:icmp`")),
        _ => {}
    }
    let (number, protocol) = match port.split_once('/') {
        Some((number, protocol)) => {
            (number, protocol.parse::<Protocol>().map_err(|error| error.to_string())?)
        }
        None => (port, Protocol::Tcp),
    };
    match number.parse() {
        Ok(number) if number > 0 => Ok(Target { who, carries: Carries::Port(protocol, number) }),
        _ => Err(format!("`{port}` is not a port: 1 to 65535, and `/udp` where it is not TCP's")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_told_apart() {
        let container = |name: &str| Who::Container(name.parse().unwrap());
        let port = |protocol, number| Carries::Port(protocol, number);
        for (text, who, carries) in [
            ("host", Who::Host, Carries::Echo),
            ("outside:443", Who::Outside, port(Protocol::Tcp, 443)),
            ("web", container("web"), Carries::Echo),
            ("web:icmp", container("web"), Carries::Echo),
            ("web:53/udp", container("web"), port(Protocol::Udp, 53)),
            ("pid:12", container("pid:12"), Carries::Echo),
            ("pid:12:80", container("pid:12"), port(Protocol::Tcp, 80)),
            ("10.0.0.1:80", Who::Address("10.0.0.1".parse().unwrap()), port(Protocol::Tcp, 80)),
            ("fd00::2", Who::Address("fd00::2".parse().unwrap()), Carries::Echo),
            ("[fd00::2]:80", Who::Address("fd00::2".parse().unwrap()), port(Protocol::Tcp, 80)),
        ] {
            assert_eq!(target(text), Ok(Target { who, carries }), "{text}");
        }
        for text in ["web:0", "web:x", "web:80/tpc", "web:80/icmp", "", "a b"] {
            assert!(target(text).is_err(), "{text}");
        }
    }
}
