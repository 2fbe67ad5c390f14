//! Ethernet addresses.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::{Diagnose, NetworkId};

/// A unicast 48-bit Ethernet address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mac([u8; 6]);

/// Why a text is not a usable Ethernet address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MacError {
    /// Not six bytes in hexadecimal.
    #[error("`{0}` is not a MAC address: six hexadecimal bytes such as 02:42:ac:11:00:02")]
    Syntax(String),
    /// The group bit is set, or all bytes are zero: no interface can have it.
    #[error(
        "`{0}` is not a unicast MAC address: the lowest bit of the first byte must be 0, and not all bytes"
    )]
    NotUnicast(String),
}

impl Diagnose for MacError {
    fn code(&self) -> &'static str {
        "bad-mac-address"
    }
}

impl Mac {
    /// The address made of these bytes, with the group bit cleared and the locally-administered bit set.
    pub fn local(mut bytes: [u8; 6]) -> Self {
        bytes[0] = (bytes[0] & 0xfc) | 0x02;
        Self(bytes)
    }

    /// The address that belongs to an interface with `address` on `network`.
    ///
    /// The same address has the same MAC every time, so that neighbours who remember it from an earlier holder are
    /// right. IPv4 fills the last four bytes; of IPv6 the last four bytes are mixed from all sixteen.
    pub fn derived(network: &NetworkId, address: IpAddr) -> Self {
        let salt = u8::from_str_radix(&network.as_str()[..2], 16).unwrap_or(0x42);
        let tail = match address {
            IpAddr::V4(v4) => v4.octets(),
            IpAddr::V6(v6) => fold(v6.octets()),
        };
        Self([0x02, salt, tail[0], tail[1], tail[2], tail[3]])
    }

    /// The six bytes.
    pub fn octets(self) -> [u8; 6] {
        self.0
    }
}

/// FNV-1a over the sixteen bytes (http://www.isthe.com/chongo/tech/comp/fnv/), as four.
fn fold(bytes: [u8; 16]) -> [u8; 4] {
    bytes
        .iter()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
        .to_be_bytes()
}

impl FromStr for Mac {
    type Err = MacError;

    fn from_str(text: &str) -> Result<Self, MacError> {
        let syntax = || MacError::Syntax(text.to_owned());
        let mut bytes = [0; 6];
        let mut parts = text.split([':', '-']);
        for byte in &mut bytes {
            let part = parts.next().filter(|part| part.len() == 2).ok_or_else(syntax)?;
            if !part.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return Err(syntax());
            }
            *byte = u8::from_str_radix(part, 16).map_err(|_| syntax())?;
        }
        if parts.next().is_some() {
            return Err(syntax());
        }
        if bytes[0] & 1 != 0 || bytes == [0; 6] {
            return Err(MacError::NotUnicast(text.to_owned()));
        }
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for Mac {
    type Error = MacError;

    fn try_from(text: String) -> Result<Self, MacError> {
        text.parse()
    }
}

impl From<Mac> for String {
    fn from(mac: Mac) -> String {
        mac.to_string()
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unicast_addresses_parse() {
        assert_eq!("02:42:ac:11:00:02".parse::<Mac>().unwrap().to_string(), "02:42:ac:11:00:02");
        assert_eq!("02-42-AC-11-00-02".parse::<Mac>().unwrap().to_string(), "02:42:ac:11:00:02");
        for bad in [
            "",
            "02:42:ac:11:00",
            "02:42:ac:11:00:02:03",
            "2:42:ac:11:0:2",
            "zz:42:ac:11:00:02",
            "+2:42:ac:11:00:02",
        ] {
            assert!(matches!(bad.parse::<Mac>(), Err(MacError::Syntax(_))), "{bad}");
        }
        for bad in ["01:00:5e:00:00:01", "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00"] {
            assert!(matches!(bad.parse::<Mac>(), Err(MacError::NotUnicast(_))), "{bad}");
        }
    }

    #[test]
    fn a_derived_address_tells_containers_of_one_network_apart() {
        let network = NetworkId::from_bytes([0x17; 32]);
        let mac = Mac::derived(&network, "172.18.0.2".parse().unwrap());
        assert_eq!(mac.to_string(), "02:17:ac:12:00:02");
        assert_ne!(mac, Mac::derived(&network, "172.18.0.3".parse().unwrap()));
    }
}
