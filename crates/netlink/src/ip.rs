//! Address families and prefixes.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The address family of a request or of an answer.
///
/// Source: `include/linux/socket.h` in the kernel (`AF_…`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// `AF_INET`.
    V4,
    /// `AF_INET6`.
    V6,
}

pub(crate) const AF_UNSPEC: u8 = 0;
pub(crate) const AF_INET: u8 = 2;
pub(crate) const AF_BRIDGE: u8 = 7;
pub(crate) const AF_INET6: u8 = 10;

impl Family {
    /// The family of `address`.
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    /// The family whose kernel number is `number`.
    pub fn from_number(number: u8) -> Option<Self> {
        match number {
            AF_INET => Some(Self::V4),
            AF_INET6 => Some(Self::V6),
            _ => None,
        }
    }

    /// The kernel's number.
    pub const fn number(self) -> u8 {
        match self {
            Self::V4 => AF_INET,
            Self::V6 => AF_INET6,
        }
    }

    /// How many bits an address has.
    pub const fn bits(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }

    /// The address of zeroes: `0.0.0.0` or `::`.
    pub const fn unspecified(self) -> IpAddr {
        match self {
            Self::V4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            Self::V6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        }
    }
}

/// An address and how many of its leading bits count; the bits after them are kept as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    /// The address.
    pub address: IpAddr,
    /// Prefix length in bits, at most [`Family::bits`].
    pub len: u8,
}

impl Prefix {
    /// `address/len`.
    ///
    /// The kernel refuses a length that is too long for the family (`EINVAL`).
    pub const fn new(address: IpAddr, len: u8) -> Self {
        Self { address, len }
    }

    /// `address/32` or `address/128`.
    pub fn host(address: IpAddr) -> Self {
        Self { address, len: Family::of(address).bits() }
    }

    /// `0.0.0.0/0` or `::/0`.
    pub const fn all(family: Family) -> Self {
        Self { address: family.unspecified(), len: 0 }
    }

    /// The address family.
    pub fn family(self) -> Family {
        Family::of(self.address)
    }

    /// Whether every address is in it.
    pub const fn is_all(self) -> bool {
        self.len == 0
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_all() && self.address.is_unspecified() {
            return f.write_str("default");
        }
        write!(f, "{}/{}", self.address, self.len)
    }
}
