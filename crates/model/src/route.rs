//! Routes that a container was given beside those that its networks bring.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::Diagnose;
use crate::subnet::{SubnetError, parse_range};

/// Where a route leads to, as a person writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// Wherever no other route leads to, of the router's family.
    Default,
    /// A subnet.
    Net(IpNet),
}

impl Destination {
    /// The subnet, of the family of `via`.
    ///
    /// # Errors
    ///
    /// [`RouteError::Families`] if it is of the other one.
    pub fn by(self, via: IpAddr) -> Result<IpNet, RouteError> {
        match self {
            Self::Net(net) if net.addr().is_ipv4() != via.is_ipv4() => {
                Err(RouteError::Families { to: net, via })
            }
            Self::Net(net) => Ok(net),
            Self::Default => Ok(everywhere(via.is_ipv4())),
        }
    }

    /// Whether a subnet is meant.
    pub fn is(self, net: IpNet) -> bool {
        match self {
            Self::Default => net.prefix_len() == 0,
            Self::Net(meant) => meant == net,
        }
    }
}

fn everywhere(v4: bool) -> IpNet {
    let address = if v4 { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
    IpNet::new(address, 0).expect("0 is a prefix length")
}

impl FromStr for Destination {
    type Err = RouteError;

    /// `default`, a subnet, or one address.
    fn from_str(text: &str) -> Result<Self, RouteError> {
        match text.parse::<IpAddr>() {
            _ if text == "default" => Ok(Self::Default),
            Ok(address) => Ok(Self::Net(address.into())),
            Err(_) => Ok(Self::Net(parse_range(text)?)),
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Net(net) if net.prefix_len() > 0 => net.fmt(f),
            Self::Net(_) | Self::Default => f.write_str("default"),
        }
    }
}

/// A route by a router, out of an interface that is known from where it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StaticRoute {
    /// Where it leads to.
    pub to: IpNet,
    /// The router.
    pub via: IpAddr,
}

impl fmt::Display for StaticRoute {
    /// `10.1.0.0/16 via 10.5.0.9`, `default via 10.5.0.9`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} via {}", Destination::Net(self.to), self.via)
    }
}

/// What is wrong with a route that a person wrote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// Not a subnet.
    #[error(transparent)]
    Subnet(#[from] SubnetError),
    /// A router of the other family.
    #[error("{via} cannot be the router to {to}: they are of different families")]
    Families {
        /// The subnet.
        to: IpNet,
        /// The router.
        via: IpAddr,
    },
}

impl Diagnose for RouteError {
    fn code(&self) -> &'static str {
        match self {
            Self::Subnet(error) => error.code(),
            Self::Families { .. } => "route-of-two-families",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Subnet(error) => error.hint(),
            Self::Families { .. } => Some("name a router of the subnet's family".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_a_subnet_an_address_or_everywhere() {
        let by = |text: &str, via: &str| {
            let via = via.parse().unwrap();
            let to = text.parse::<Destination>().unwrap_or_else(|error| panic!("{text}: {error}")).by(via)?;
            Ok::<_, RouteError>(StaticRoute { to, via }.to_string())
        };
        assert_eq!(by("10.1.0.0/16", "10.5.0.9").unwrap(), "10.1.0.0/16 via 10.5.0.9");
        assert_eq!(by("10.1.0.7", "10.5.0.9").unwrap(), "10.1.0.7/32 via 10.5.0.9");
        assert_eq!(by("default", "10.5.0.9").unwrap(), "default via 10.5.0.9");
        assert_eq!(by("default", "fd00::9").unwrap(), "default via fd00::9");
        assert_eq!(by("0.0.0.0/0", "10.5.0.9").unwrap(), "default via 10.5.0.9");
        assert_eq!(by("fd01::/64", "10.5.0.9").unwrap_err().code(), "route-of-two-families");
        for bad in ["", "web", "10.1.0.0/33", "10.1.0.7/16", "10.1.0.0/16 "] {
            assert_eq!(bad.parse::<Destination>().map_err(|error| error.code()), Err("bad-subnet"), "{bad}");
        }
        assert_eq!(
            "10.1.0.7/16".parse::<Destination>().unwrap_err().hint().as_deref(),
            Some("did you mean 10.1.0.0/16?")
        );
    }
}
