//! Names for addresses: `2.0.17.172.in-addr.arpa` (RFC 1035, 3.5) and nibbles under `ip6.arpa` (RFC 3596, 2.5).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::name::strip_suffix;

const V4: &[u8] = b"\x07in-addr\x04arpa";
const V6: &[u8] = b"\x03ip6\x04arpa";

/// The addresses that a reverse name is about: one, or all that begin like it; `None` for any other name.
pub(crate) fn parse(name: &[u8]) -> Option<IpNet> {
    if let Some(labels) = strip_suffix(name, V4) {
        return v4(labels);
    }
    strip_suffix(name, V6).and_then(v6)
}

/// Labels from the left: the last byte of the address first.
fn v4(labels: &[u8]) -> Option<IpNet> {
    let mut octets = [0; 4];
    let mut count = 0;
    for label in labels_of(labels) {
        // The usual form alone: no sign, no leading zero.
        let octet: u8 = std::str::from_utf8(label).ok()?.parse().ok()?;
        let usual = label.iter().all(u8::is_ascii_digit) && (label.len() == 1 || label[0] != b'0');
        if !usual || count == 4 {
            return None;
        }
        octets.rotate_right(1);
        octets[0] = octet;
        count += 1;
    }
    let net = Ipv4Net::new(Ipv4Addr::from(octets), count * 8).ok()?;
    Some(net.into())
}

fn v6(labels: &[u8]) -> Option<IpNet> {
    let mut address: u128 = 0;
    let mut count = 0u8;
    for label in labels_of(labels) {
        let [digit] = label else { return None };
        let nibble = char::from(*digit).to_digit(16)?;
        if count == 32 {
            return None;
        }
        address = (address >> 4) | (u128::from(nibble) << 124);
        count += 1;
    }
    let net = Ipv6Net::new(Ipv6Addr::from(address), count * 4).ok()?;
    Some(net.into())
}

fn labels_of(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (len, rest) = bytes.split_first()?;
        let (label, rest) = rest.split_at_checked(usize::from(*len))?;
        bytes = rest;
        Some(label)
    })
}

/// The one address of a net that has no other.
pub(crate) fn single(net: &IpNet) -> Option<IpAddr> {
    (net.prefix_len() == net.max_prefix_len()).then(|| net.addr())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::key;

    fn parsed(text: &str) -> Option<String> {
        parse(&key(text).unwrap()).map(|net| net.to_string())
    }

    #[test]
    fn reverse_names_are_addresses() {
        assert_eq!(parsed("2.0.17.172.in-addr.arpa").as_deref(), Some("172.17.0.2/32"));
        assert_eq!(parsed("17.172.in-addr.arpa").as_deref(), Some("172.17.0.0/16"));
        let six = "2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa";
        assert_eq!(parsed(six).as_deref(), Some("2001:db8::2/128"));
        assert_eq!(parsed("8.b.d.0.1.0.0.2.ip6.arpa").as_deref(), Some("2001:db8::/32"));
        for other in [
            "in-addr.arpa",
            "x.in-addr.arpa",
            "+2.in-addr.arpa",
            "02.in-addr.arpa",
            "1.2.3.4.5.in-addr.arpa",
            "10.ip6.arpa",
            "web",
        ] {
            assert_eq!(parsed(other), None, "{other}");
        }
    }
}
