//! Subnets: which addresses of one may be given out, and whether two of them meet.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::Diagnose;

/// Why a text is not a subnet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubnetError {
    /// Not `ADDRESS/PREFIX`.
    #[error("`{0}` is not a subnet: an address and a prefix length such as 10.1.0.0/16 or fd00:1::/64")]
    Syntax(String),
    /// Bits are set behind the prefix.
    #[error("`{given}` is not a subnet: it has host bits set")]
    HostBits {
        /// What was written.
        given: String,
        /// The subnet that it lies in.
        network: IpNet,
    },
    /// The subnet holds too few addresses for a gateway and a container.
    #[error("subnet {0} is too small: a network needs a gateway and at least one container address")]
    TooSmall(IpNet),
    /// The subnet is one that hosts never have on a link.
    #[error("subnet {0} cannot be used for containers: it is {1}")]
    Special(IpNet, &'static str),
}

impl Diagnose for SubnetError {
    fn code(&self) -> &'static str {
        match self {
            Self::Syntax(_) | Self::HostBits { .. } => "bad-subnet",
            Self::TooSmall(_) => "subnet-too-small",
            Self::Special(..) => "subnet-special",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::HostBits { network, .. } => Some(format!("did you mean {network}?")),
            Self::TooSmall(IpNet::V4(_)) => Some("use /31 or larger".into()),
            Self::TooSmall(IpNet::V6(_)) => Some("use /127 or larger".into()),
            Self::Syntax(_) | Self::Special(..) => None,
        }
    }
}

/// IPv4 or IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of a subnet.
    pub fn of(net: IpNet) -> Self {
        match net {
            IpNet::V4(_) => Self::V4,
            IpNet::V6(_) => Self::V6,
        }
    }

    /// The family of an address.
    pub fn of_address(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

/// Parses a subnet that containers can live in.
///
/// # Errors
///
/// If the text is not a prefix, has host bits set, holds fewer than two usable addresses, or is one of the ranges
/// that no link can have (loopback, multicast, unspecified, IPv4-mapped).
pub fn parse(text: &str) -> Result<IpNet, SubnetError> {
    let net = parse_range(text)?;
    if let Some(what) = special(net) {
        return Err(SubnetError::Special(net, what));
    }
    if net.prefix_len() == net.max_prefix_len() {
        return Err(SubnetError::TooSmall(net));
    }
    Ok(net)
}

/// Parses a range of addresses, which may be a single one.
///
/// # Errors
///
/// If the text is not a prefix or has host bits set.
pub fn parse_range(text: &str) -> Result<IpNet, SubnetError> {
    let net: IpNet = text.parse().map_err(|_| SubnetError::Syntax(text.to_owned()))?;
    let network = net.trunc();
    if network != net {
        return Err(SubnetError::HostBits { given: text.to_owned(), network });
    }
    Ok(net)
}

fn special(net: IpNet) -> Option<&'static str> {
    let v4 = |text: &str| text.parse::<Ipv4Net>().expect("constant");
    let v6 = |text: &str| text.parse::<Ipv6Net>().expect("constant");
    let meets = |other: IpNet| overlap(net, other);
    match net {
        _ if net.prefix_len() == 0 => Some("the whole address space"),
        IpNet::V4(_) if meets(v4("127.0.0.0/8").into()) => Some("loopback (127.0.0.0/8)"),
        IpNet::V4(_) if meets(v4("224.0.0.0/3").into()) => Some("multicast or reserved (224.0.0.0/3)"),
        IpNet::V4(_) if meets(v4("0.0.0.0/8").into()) => Some("\"this network\" (0.0.0.0/8)"),
        IpNet::V6(_) if meets(v6("ff00::/8").into()) => Some("multicast (ff00::/8)"),
        IpNet::V6(_) if meets(v6("::/96").into()) => Some("loopback or unspecified (::/96)"),
        IpNet::V6(_) if meets(v6("::ffff:0:0/96").into()) => Some("IPv4-mapped (::ffff:0:0/96)"),
        IpNet::V6(_) if meets(v6("fe80::/10").into()) => Some("link-local (fe80::/10)"),
        _ => None,
    }
}

/// Whether two subnets share an address.
pub fn overlap(left: IpNet, right: IpNet) -> bool {
    match (left, right) {
        (IpNet::V4(_), IpNet::V4(_)) | (IpNet::V6(_), IpNet::V6(_)) => {
            left.contains(&right.network()) || right.contains(&left.network())
        }
        _ => false,
    }
}

/// The first and the last address of `net` that an interface can have.
///
/// IPv4 loses its first and last address (RFC 1122 3.2.1.3) but for /31 (RFC 3021) and /32; IPv6 loses the first,
/// which is the routers' anycast address (RFC 4291 2.6.1), but for /127 (RFC 6164) and /128.
pub fn usable(net: IpNet) -> (IpAddr, IpAddr) {
    let (first, last) = (to_number(net.network()), to_number(net.broadcast()));
    let single = net.max_prefix_len() - net.prefix_len() <= 1;
    match net {
        _ if single => (net.network(), net.broadcast()),
        IpNet::V4(_) => (from_number(first + 1, net), from_number(last - 1, net)),
        IpNet::V6(_) => (from_number(first + 1, net), from_number(last, net)),
    }
}

/// How many addresses [`usable`] spans; saturates at `u128::MAX`.
pub fn usable_count(net: IpNet) -> u128 {
    let (first, last) = usable(net);
    (to_number(last) - to_number(first)).saturating_add(1)
}

/// An address as a number, for arithmetic.
pub fn to_number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

/// The address with this number, of the family of `like`.
pub fn from_number(number: u128, like: IpNet) -> IpAddr {
    match like {
        IpNet::V4(_) => IpAddr::V4(Ipv4Addr::from(u32::try_from(number).unwrap_or(u32::MAX))),
        IpNet::V6(_) => IpAddr::V6(Ipv6Addr::from(number)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    #[test]
    fn subnets_that_no_container_can_live_in_are_refused() {
        assert_eq!(parse("10.1.0.0/16"), Ok(net("10.1.0.0/16")));
        assert_eq!(parse("fd00:1::/64"), Ok(net("fd00:1::/64")));
        assert_eq!(parse("10.1.0.0/31"), Ok(net("10.1.0.0/31")));
        assert!(
            matches!(parse("10.1.0.1/16"), Err(SubnetError::HostBits { network, .. }) if network == net("10.1.0.0/16"))
        );
        for bad in ["", "10.1.0.0", "10.1.0.0/33", "10.1/16", "/", "a/8", "fd00::/129"] {
            assert!(matches!(parse(bad), Err(SubnetError::Syntax(_))), "{bad}");
        }
        for bad in ["10.0.0.1/32", "fd00::1/128"] {
            assert!(matches!(parse(bad), Err(SubnetError::TooSmall(_))), "{bad}");
        }
        for bad in [
            "127.1.0.0/16",
            "224.0.0.0/24",
            "0.0.0.0/0",
            "::/0",
            "ff02::/16",
            "fe80::/64",
            "::ffff:10.0.0.0/104",
        ] {
            assert!(matches!(parse(bad), Err(SubnetError::Special(..))), "{bad}");
        }
    }

    #[test]
    fn usable_addresses_follow_the_rfcs() {
        let span = |text| {
            let (first, last) = usable(net(text));
            (first.to_string(), last.to_string(), usable_count(net(text)))
        };
        assert_eq!(span("10.0.0.0/24"), ("10.0.0.1".into(), "10.0.0.254".into(), 254));
        assert_eq!(span("10.0.0.4/30"), ("10.0.0.5".into(), "10.0.0.6".into(), 2));
        assert_eq!(span("10.0.0.4/31"), ("10.0.0.4".into(), "10.0.0.5".into(), 2));
        assert_eq!(span("10.0.0.4/32"), ("10.0.0.4".into(), "10.0.0.4".into(), 1));
        assert_eq!(span("fd00::/64").2, u128::from(u64::MAX));
        assert_eq!(span("fd00::/127").2, 2);
    }

    #[test]
    fn overlap_is_symmetric_and_families_never_meet() {
        for (left, right, meets) in [
            ("10.0.0.0/8", "10.200.0.0/24", true),
            ("10.0.0.0/24", "10.0.1.0/24", false),
            ("10.0.0.0/24", "10.0.0.0/24", true),
            ("10.0.0.0/8", "fd00::/8", false),
        ] {
            assert_eq!(overlap(net(left), net(right)), meets);
            assert_eq!(overlap(net(right), net(left)), meets);
        }
    }
}
