//! ICMP for both families. Sources: RFC 792, RFC 4443, RFC 4861.

use super::bytes::Bytes;
use super::ip::Ends;

pub(super) fn v4(message: Bytes<'_>, ends: Ends) -> Option<String> {
    let (kind, code) = (message.byte(0)?, message.byte(1)?);
    let words = match (kind, code) {
        (8, _) => format!("echo request{}", number(message)?),
        (0, _) => format!("echo reply{}", number(message)?),
        (3, 0) => "network unreachable".to_owned(),
        (3, 1) => "host unreachable".to_owned(),
        (3, 3) => "port unreachable".to_owned(),
        (3, 4) => format!("packet too big, MTU {}", message.half(6)?),
        (3, 9 | 10 | 13) => "administratively prohibited".to_owned(),
        (3, code) => format!("unreachable, code {code}"),
        (5, _) => format!("redirect to {}", message.ipv4(4)?),
        (11, _) => "time to live exceeded".to_owned(),
        (kind, code) => format!("type {kind}, code {code}"),
    };
    Some(format!("ICMP {} {words}", ends.plain()))
}

pub(super) fn v6(message: Bytes<'_>, ends: Ends) -> Option<String> {
    let (kind, code) = (message.byte(0)?, message.byte(1)?);
    let words = match (kind, code) {
        (128, _) => format!("echo request{}", number(message)?),
        (129, _) => format!("echo reply{}", number(message)?),
        (1, 0) => "no route".to_owned(),
        (1, 1) => "administratively prohibited".to_owned(),
        (1, 3) => "address unreachable".to_owned(),
        (1, 4) => "port unreachable".to_owned(),
        (1, code) => format!("unreachable, code {code}"),
        (2, _) => format!("packet too big, MTU {}", message.word(4)?),
        (3, _) => "hop limit exceeded".to_owned(),
        (130, _) => "multicast listener query".to_owned(),
        (131 | 132 | 143, _) => "multicast listener report".to_owned(),
        (133, _) => "router solicitation".to_owned(),
        (134, _) => "router advertisement".to_owned(),
        (135, _) => format!("who has {}?", message.ipv6(8)?),
        (136, _) => format!("{} is here{}", message.ipv6(8)?, link_address(message)),
        (137, _) => format!("redirect to {}", message.ipv6(8)?),
        (kind, code) => format!("type {kind}, code {code}"),
    };
    Some(format!("ICMPv6 {} {words}", ends.plain()))
}

fn number(message: Bytes<'_>) -> Option<String> {
    Some(format!(", id {}, seq {}", message.half(4)?, message.half(6)?))
}

/// What the first option of a neighbour's advertisement says, if it is the address: RFC 4861, 4.6.1.
fn link_address(message: Bytes<'_>) -> String {
    let mac = message.mac(26).filter(|_| message.byte(24) == Some(2));
    mac.map_or_else(String::new, |mac| format!(" at {mac}"))
}
