//! The parts that the short and the long form have in common: a port, a range, an address.

use std::net::{IpAddr, Ipv6Addr};
use std::ops::RangeInclusive;

use super::PublishError;

/// Parses `PORT` or `FIRST-LAST`.
///
/// # Errors
///
/// [`PublishError::Port`], [`PublishError::Missing`] or [`PublishError::Backwards`].
pub fn port_range(text: &str) -> Result<RangeInclusive<u16>, PublishError> {
    let missing = |part| PublishError::Missing { part, given: text.to_owned() };
    let (first, last) = match text.split_once('-') {
        None if text.is_empty() => return Err(missing("port")),
        None => (text, text),
        Some(("", _)) => return Err(missing("first port")),
        Some((_, "")) => return Err(missing("last port")),
        Some(both) => both,
    };
    let (first, last) = (port(first)?, port(last)?);
    if first > last {
        return Err(PublishError::Backwards { first, last });
    }
    Ok(first..=last)
}

fn port(text: &str) -> Result<u16, PublishError> {
    // The standard library takes a plus sign.
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|number| digits && *number != 0);
    number.ok_or_else(|| PublishError::Port(text.to_owned()))
}

/// How many ports a range of [`port_range`] has.
pub(super) fn count(range: &RangeInclusive<u16>) -> u16 {
    // 65535 at the most, since no port is 0.
    range.end() - range.start() + 1
}

/// An address without the brackets that it may stand in.
pub(super) fn bare(text: &str) -> &str {
    text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text)
}

/// Parses an address that ports can be published at; without brackets.
pub(super) fn address(text: &str) -> Result<IpAddr, PublishError> {
    if text.contains('%') {
        return Err(PublishError::Zone(text.to_owned()));
    }
    let address: IpAddr = text.parse().map_err(|_| PublishError::Address(text.to_owned()))?;
    match special(address) {
        Some(what) => Err(PublishError::Special(address, what)),
        None => Ok(address),
    }
}

/// What an address is that no connection to this host can have.
fn special(address: IpAddr) -> Option<&'static str> {
    match address {
        _ if address.is_multicast() => Some("multicast"),
        IpAddr::V4(v4) if v4.is_broadcast() => Some("the broadcast address"),
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => Some("an IPv4 address in IPv6's clothes"),
        // The same one may be on each interface: RFC 4007 6. bind(2) refuses it without a zone, as ipv6(7) says.
        IpAddr::V6(v6) if v6.is_unicast_link_local() => Some("link-local (fe80::/10)"),
        _ => None,
    }
}

/// The IPv6 address, without brackets, that is before up to two ports in `text`.
pub(super) fn unbracketed(text: &str) -> Option<Ipv6Addr> {
    let cuts = text.rmatch_indices(':').map(|(at, _)| at).take(2);
    let heads = std::iter::once(text).chain(cuts.map(|at| &text[..at]));
    heads.filter_map(|head| head.parse().ok()).last()
}
