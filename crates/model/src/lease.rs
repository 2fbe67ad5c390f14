//! Leases: which address of a pool is given out next, and which ones may be asked for.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::Diagnose;
use crate::network::AddressPool;
use crate::subnet::{self, Family};

/// Why a container cannot have the address that was asked for, whoever has it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It is not in the network's subnet.
    #[error("address {address} is not in subnet {}", pool.subnet)]
    Outside {
        /// What was asked for.
        address: IpAddr,
        /// Where it should be.
        pool: AddressPool,
    },
    /// It stands for the subnet itself.
    #[error("address {address} is {role} of subnet {}, which no container can have", pool.subnet)]
    Unusable {
        /// What was asked for.
        address: IpAddr,
        /// What it is.
        role: &'static str,
        /// Where it is.
        pool: AddressPool,
    },
    /// It is the gateway's.
    #[error("address {address} is the gateway of subnet {subnet}")]
    Gateway {
        /// What was asked for.
        address: IpAddr,
        /// The subnet.
        subnet: IpNet,
    },
    /// It is one of the network's auxiliary addresses.
    #[error("address {address} is reserved as auxiliary address `{name}`")]
    Auxiliary {
        /// What was asked for.
        address: IpAddr,
        /// The name that `--aux-address` gave it.
        name: String,
    },
    /// No interface can have it.
    #[error("address {0} is none that an interface can have")]
    NoHost(IpAddr),
    /// It is asked for besides the network's addresses, and is one of those.
    #[error("address {address} is one of subnet {subnet}, of which an interface has one")]
    OfSubnet {
        /// What was asked for.
        address: IpAddr,
        /// The subnet.
        subnet: IpNet,
    },
}

impl Diagnose for AddressError {
    fn code(&self) -> &'static str {
        match self {
            Self::Outside { .. } => "address-outside-subnet",
            Self::Unusable { .. } => "address-not-usable",
            Self::Gateway { .. } => "address-is-gateway",
            Self::Auxiliary { .. } => "address-reserved",
            Self::NoHost(_) => "address-not-usable",
            Self::OfSubnet { .. } => "address-of-subnet",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Outside { pool, .. } | Self::Unusable { pool, .. } => {
                let (first, last) = subnet::usable(pool.subnet);
                Some(format!("ask for one from {first} to {last} other than the gateway, {}", pool.gateway))
            }
            Self::NoHost(_) => Some(
                "link-local addresses are those of 169.254.0.0/16 and fe80::/64, others may do as well"
                    .into(),
            ),
            Self::OfSubnet { .. } => Some("ask for it with --ip or --ip6, or for a link-local one".into()),
            Self::Gateway { .. } => {
                Some("ask for another address, or make the network with another --gateway".into())
            }
            Self::Auxiliary { name, .. } => Some(format!(
                "`{name}` was kept free with --aux-address when the network was made: ask for another address"
            )),
        }
    }
}

/// Whether a container may ask for `address` of `pool`. It need not be in the pool's range: as with Docker, the
/// range only bounds what is given out unasked.
///
/// # Errors
///
/// If the address is outside the subnet, stands for the subnet or all of its hosts, or is reserved.
pub fn check_request(pool: &AddressPool, address: IpAddr) -> Result<(), AddressError> {
    if !pool.subnet.contains(&address) {
        return Err(AddressError::Outside { address, pool: pool.clone() });
    }
    if let Some(role) = role_in_subnet(pool.subnet, address) {
        return Err(AddressError::Unusable { address, role, pool: pool.clone() });
    }
    if address == pool.gateway {
        return Err(AddressError::Gateway { address, subnet: pool.subnet });
    }
    match pool.aux.iter().find(|(_, aux)| **aux == address) {
        Some((name, _)) => Err(AddressError::Auxiliary { address, name: name.clone() }),
        None => Ok(()),
    }
}

/// Whether a container may have `address` besides the addresses of its network, as a link-local one: with a prefix of
/// [`link_local_net`]. It need not be link-local, as with Docker, whose documentation has others as its example.
///
/// # Errors
///
/// If it is of a kind or at a place in its prefix that no interface can have.
pub fn check_link_local(address: IpAddr) -> Result<(), AddressError> {
    let is_nobodys = match address {
        IpAddr::V4(v4) => v4.is_broadcast() || v4.octets()[0] == 0,
        IpAddr::V6(_) => false,
    };
    let special = address.is_unspecified() || address.is_loopback() || address.is_multicast() || is_nobodys;
    match special || role_in_subnet(link_local_net(address).trunc(), address).is_some() {
        true => Err(AddressError::NoHost(address)),
        false => Ok(()),
    }
}

/// A link-local address with the length of its prefix, 16 or 64.
pub fn link_local_net(address: IpAddr) -> IpNet {
    let length = if address.is_ipv4() { 16 } else { 64 };
    IpNet::new(address, length).expect("both families have prefixes of that length")
}

/// What `address` stands for in `net` when no interface can have it; see [`subnet::usable`].
pub fn role_in_subnet(net: IpNet, address: IpAddr) -> Option<&'static str> {
    let (first, last) = subnet::usable(net);
    match Family::of(net) {
        Family::V4 if address < first => Some("the network address"),
        Family::V6 if address < first => Some("the routers' anycast address"),
        _ if address > last => Some("the broadcast address"),
        _ => None,
    }
}

/// How many addresses of `pool` can be given out at the most: its span without what is reserved.
pub fn capacity(pool: &AddressPool) -> u128 {
    let (first, last) = span(pool);
    if first > last {
        return 0;
    }
    let reserved = pool.reserved().map(subnet::to_number).filter(|number| (first..=last).contains(number));
    let reserved = reserved.collect::<BTreeSet<u128>>().len();
    (last - first).saturating_add(1).saturating_sub(reserved as u128)
}

/// Whether `address` may be given out unasked: it is in the pool's span and not reserved.
pub fn may_give(pool: &AddressPool, address: IpAddr) -> bool {
    let (first, last) = pool.span();
    (first..=last).contains(&address) && pool.reserved().all(|reserved| reserved != address)
}

/// The first address of `pool` from the number `from` on that is neither reserved nor among `known`.
///
/// `known` are the numbers of addresses that have been used, ascending, none below `from`. Only as much of it is read
/// as lies in one piece before the answer, so a caller that goes on behind the answer next time pays for each address
/// once.
///
/// # Errors
///
/// Those of `known`.
pub fn next_unused<E>(
    pool: &AddressPool,
    from: u128,
    known: impl IntoIterator<Item = Result<u128, E>>,
) -> Result<Option<IpAddr>, E> {
    let (first, last) = span(pool);
    let reserved: BTreeSet<u128> = pool.reserved().map(subnet::to_number).collect();
    let mut known = known.into_iter();
    let mut next_known = known.next().transpose()?;
    let mut candidate = from.max(first);
    while candidate <= last {
        if next_known.is_some_and(|number| number < candidate) {
            next_known = known.next().transpose()?;
        } else if next_known == Some(candidate) || reserved.contains(&candidate) {
            let Some(next) = candidate.checked_add(1) else { return Ok(None) };
            candidate = next;
        } else {
            return Ok(Some(subnet::from_number(candidate, pool.subnet)));
        }
    }
    Ok(None)
}

fn span(pool: &AddressPool) -> (u128, u128) {
    let (first, last) = pool.span();
    (subnet::to_number(first), subnet::to_number(last))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::convert::Infallible;

    use super::*;

    fn pool(subnet: &str, range: Option<&str>, gateway: &str, aux: &[(&str, &str)]) -> AddressPool {
        AddressPool {
            subnet: subnet.parse().unwrap(),
            range: range.map(|range| range.parse().unwrap()),
            gateway: gateway.parse().unwrap(),
            aux: aux
                .iter()
                .map(|(name, at)| ((*name).to_owned(), at.parse().unwrap()))
                .collect::<BTreeMap<_, _>>(),
        }
    }

    fn next(pool: &AddressPool, from: u128, known: &[&str]) -> Option<String> {
        let known = known.iter().map(|at| Ok::<_, Infallible>(subnet::to_number(at.parse().unwrap())));
        let Ok(found) = next_unused(pool, from, known);
        found.map(|address| address.to_string())
    }

    #[test]
    fn the_next_address_is_the_first_that_nobody_has_or_had() {
        let blue = pool("10.0.0.0/29", None, "10.0.0.1", &[("printer", "10.0.0.3")]);
        assert_eq!(next(&blue, 0, &[]).unwrap(), "10.0.0.2");
        assert_eq!(next(&blue, 0, &["10.0.0.2"]).unwrap(), "10.0.0.4");
        assert_eq!(next(&blue, 0, &["10.0.0.2", "10.0.0.4", "10.0.0.6"]).unwrap(), "10.0.0.5");
        assert_eq!(next(&blue, 0, &["10.0.0.2", "10.0.0.4", "10.0.0.5", "10.0.0.6"]), None);
        let narrow = pool("10.0.0.0/24", Some("10.0.0.128/31"), "10.0.0.128", &[]);
        assert_eq!(next(&narrow, 0, &[]).unwrap(), "10.0.0.129");
        assert_eq!(next(&narrow, 0, &["10.0.0.129"]), None);
        let last = pool("ffff:ffff::/127", None, "ffff:ffff::", &[]);
        assert_eq!(next(&last, 0, &["ffff:ffff::1"]), None);
    }

    #[test]
    fn capacity_leaves_out_what_is_reserved_within_the_span() {
        assert_eq!(capacity(&pool("10.0.0.0/30", None, "10.0.0.1", &[])), 1);
        assert_eq!(capacity(&pool("10.0.0.0/31", None, "10.0.0.0", &[])), 1);
        assert_eq!(
            capacity(&pool("10.0.0.0/24", Some("10.0.0.128/25"), "10.0.0.1", &[("a", "10.0.0.200")])),
            126
        );
        assert_eq!(capacity(&pool("10.0.0.0/24", Some("10.0.0.0/32"), "10.0.0.1", &[])), 0);
        assert_eq!(capacity(&pool("fd00::/64", None, "fd00::1", &[])), u128::from(u64::MAX) - 1);
    }

    #[test]
    fn a_request_is_refused_for_what_the_address_is() {
        let blue = pool("10.0.0.0/24", Some("10.0.0.128/25"), "10.0.0.1", &[("printer", "10.0.0.3")]);
        let refusal =
            |address: &str| check_request(&blue, address.parse().unwrap()).map_err(|error| error.code());
        assert_eq!(refusal("10.0.0.2"), Ok(()), "outside the range, but asked for");
        assert_eq!(refusal("10.0.1.2"), Err("address-outside-subnet"));
        assert_eq!(refusal("fd00::2"), Err("address-outside-subnet"));
        assert_eq!(refusal("10.0.0.0"), Err("address-not-usable"));
        assert_eq!(refusal("10.0.0.255"), Err("address-not-usable"));
        assert_eq!(refusal("10.0.0.1"), Err("address-is-gateway"));
        assert_eq!(refusal("10.0.0.3"), Err("address-reserved"));
        let besides = |address: &str| check_link_local(address.parse().unwrap()).is_ok();
        for good in ["169.254.8.8", "169.254.0.255", "57.123.22.11", "fe80::5", "fd00::5"] {
            assert!(besides(good), "{good}");
        }
        for bad in [
            "169.254.0.0",
            "169.254.255.255",
            "127.0.0.2",
            "0.0.0.5",
            "224.0.0.1",
            "255.255.255.255",
            "fe80::",
            "::1",
            "ff02::1",
        ] {
            assert!(!besides(bad), "{bad}");
        }
        let pair = pool("fd00::/127", None, "fd00::", &[]);
        assert_eq!(check_request(&pair, "fd00::1".parse().unwrap()), Ok(()));
        let error = check_request(&blue, "10.0.0.3".parse().unwrap()).unwrap_err();
        assert_eq!(error.to_string(), "address 10.0.0.3 is reserved as auxiliary address `printer`");
    }
}
