//! Expectations: `x-pontoon.expect`, of the file and of services.

use std::time::Duration;

use super::value::At;
use super::{Placed, Reader};
use crate::error::Fault;
use crate::project::{Expectation, Probe, Target, TargetHost};

/// How long an answer may take when that is not said.
const WITHIN: Duration = Duration::from_secs(5);
/// What a target looks like.
const TARGET: &str = "what can be reached: HOST, HOST:PORT, HOST:PORT/udp or HOST/icmp";

impl Reader<'_> {
    /// What the file says, then what the services say, in the order of the file.
    pub(super) fn expectations(&mut self, services: &[Placed<'_>]) -> Vec<Expectation> {
        let mut all = Vec::new();
        let ours = self.section("x-pontoon");
        for (from, mark, at) in ours.iter().flat_map(|ours| ours.entries_of("expect")) {
            match self.need(from, &at.quoted()) {
                Ok(()) => self.expect(from, &at, &mut all),
                Err(Fault::Inactive { .. }) => {}
                Err(fault) => self.report.error(mark, fault),
            }
        }
        for placed in services {
            if let Some(at) = placed.at.get("x-pontoon").and_then(|ours| ours.get("expect")) {
                self.expect(&placed.service.name, &at, &mut all);
            }
        }
        all
    }

    fn expect(&mut self, from: &str, at: &At<'_>, all: &mut Vec<Expectation>) {
        let within = self.report.duration(at, "within").unwrap_or(WITHIN);
        for (key, allowed) in [("reach", true), ("deny", false)] {
            let targets = at.get(key).map_or_else(Vec::new, |at| match at.text() {
                Some(_) => vec![at],
                None => at.items(),
            });
            for target in targets {
                if let Some(to) = self.target(from, &target) {
                    all.push(Expectation { from: from.to_owned(), to, allowed, within });
                }
            }
        }
    }

    /// A target; none with a warning when it is a service that is not active.
    fn target(&mut self, from: &str, at: &At<'_>) -> Option<Target> {
        let target = target(at.text()?).ok_or_else(|| at.is_not(TARGET));
        let mut target = self.report.take(&at.node.at, target)?;
        if let TargetHost::Name(name) = &target.host {
            match self.need(name, "an expectation") {
                Ok(()) => target.host = TargetHost::Service(name.clone()),
                Err(Fault::Inactive { .. }) => {
                    let why = format!("service `{name}` is not active");
                    self.report.not_done(&at.node.at, "expect", from, &why);
                    return None;
                }
                // A name that the service looks up.
                Err(_) => {}
            }
        }
        Some(target)
    }
}

/// `HOST[:PORT][/tcp|udp|icmp]`; an IPv6 address with a port stands in brackets. Without a port it is ICMP, and with one
/// TCP, unless it says otherwise.
fn target(text: &str) -> Option<Target> {
    let (place, protocol) = match text.split_once('/') {
        Some((place, "tcp")) => (place, Some(Probe::Tcp)),
        Some((place, "udp")) => (place, Some(Probe::Udp)),
        Some((place, "icmp")) => (place, Some(Probe::Icmp)),
        Some(_) => return None,
        None => (text, None),
    };
    let (host, port) = host_and_port(place)?;
    let port = match port {
        Some(port) => Some(port.parse().ok().filter(|port: &u16| *port != 0 && !text.contains('+'))?),
        None => None,
    };
    let protocol = protocol.unwrap_or(if port.is_some() { Probe::Tcp } else { Probe::Icmp });
    ((protocol == Probe::Icmp) == port.is_none()).then_some(Target { host, port, protocol })
}

fn host_and_port(text: &str) -> Option<(TargetHost, Option<&str>)> {
    if let Ok(address) = text.parse() {
        return Some((TargetHost::Address(address), None));
    }
    if let Some(rest) = text.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        let port = if port.is_empty() { None } else { Some(port.strip_prefix(':')?) };
        return Some((TargetHost::Address(address.parse().ok()?), port));
    }
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    let part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if host.is_empty() || !host.bytes().all(part) {
        return None;
    }
    let host = host.parse().map_or_else(|_| TargetHost::Name(host.to_owned()), TargetHost::Address);
    Some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_hosts_with_ports_or_without() {
        for (text, host, port, protocol) in [
            ("db:5432", "db", Some(5432), Probe::Tcp),
            ("db:53/udp", "db", Some(53), Probe::Udp),
            ("db", "db", None, Probe::Icmp),
            ("db/icmp", "db", None, Probe::Icmp),
            ("1.1.1.1", "1.1.1.1", None, Probe::Icmp),
            ("1.1.1.1:443/tcp", "1.1.1.1", Some(443), Probe::Tcp),
            ("fd00::1", "fd00::1", None, Probe::Icmp),
            ("[fd00::1]:80", "fd00::1", Some(80), Probe::Tcp),
            ("example.com:443", "example.com", Some(443), Probe::Tcp),
        ] {
            let found = target(text).unwrap_or_else(|| panic!("{text}"));
            let name = match &found.host {
                TargetHost::Address(address) => address.to_string(),
                TargetHost::Name(name) | TargetHost::Service(name) => name.clone(),
            };
            assert_eq!((name.as_str(), found.port, found.protocol), (host, port, protocol), "{text}");
        }
        for bad in
            ["", ":80", "db:", "db:0", "db:+1", "db:x", "db/tcp", "db:1/icmp", "db:1/sctp", "a b", "[x]:1"]
        {
            assert_eq!(target(bad), None, "{bad}");
        }
    }
}
