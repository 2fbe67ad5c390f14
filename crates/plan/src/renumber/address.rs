//! Which address becomes which: the host part stays where it can.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use pontoon_model::network::AddressPool;
use pontoon_model::subnet::{self, Family};
use pontoon_model::{Diagnose, Network, NetworkName, lease};

use crate::ipam::{PoolError, check_pool};

/// Why a network cannot move.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenumberError {
    /// The new subnet has addresses of the old one, and for a moment both are there.
    #[error("subnet {subnet} overlaps with {present}, which network `{network}` has now")]
    Overlap {
        /// The network.
        network: NetworkName,
        /// Where it is to go.
        subnet: IpNet,
        /// Where it is.
        present: IpNet,
    },
    /// A subnet of a family that the network does not have.
    #[error("network `{network}` has no {family} addresses that {subnet} could take the place of")]
    NoFamily {
        /// The network.
        network: NetworkName,
        /// The family.
        family: Family,
        /// What was given.
        subnet: IpNet,
    },
    /// Nothing to move.
    #[error("network `{0}` has no addresses")]
    NoAddresses(NetworkName),
    /// A range or auxiliary address has no place in the new subnet.
    #[error("{what} {value} of {present} has no place in {subnet}")]
    NoPlace {
        /// `range`, or the auxiliary address's name.
        what: String,
        /// What it is now.
        value: String,
        /// The present subnet.
        present: IpNet,
        /// The new one.
        subnet: IpNet,
    },
    /// Somebody else gave a container, or the host, an address that it was to get.
    #[error("{whose} has address {address} already, from somebody else")]
    Present {
        /// The container, or the host.
        whose: String,
        /// The address.
        address: IpAddr,
    },
    /// Pool parts do not fit.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// There are more containers than addresses.
    #[error("subnet {subnet} has {capacity} addresses for containers, and {containers} are on the network")]
    TooSmall {
        /// The new subnet.
        subnet: IpNet,
        /// How many addresses it has.
        capacity: u128,
        /// How many containers there are.
        containers: usize,
    },
    /// A container would have to be on another of the network's bridges.
    #[error(
        "container `{container}` cannot keep its place in {subnet}: by its address it is on bridge number {now} of the \
         network, and {address} belongs to number {then}"
    )]
    Segment {
        /// The container.
        container: String,
        /// The new subnet.
        subnet: IpNet,
        /// The address that it would have.
        address: IpAddr,
        /// The number of its bridge, from 1.
        now: u32,
        /// The number of the bridge that the address belongs to.
        then: u32,
    },
}

impl Diagnose for RenumberError {
    fn code(&self) -> &'static str {
        match self {
            Self::Overlap { .. } => "renumber-overlap",
            Self::NoFamily { .. } => "no-such-family",
            Self::NoAddresses(_) => "network-without-addresses",
            Self::NoPlace { .. } => "renumber-no-place",
            Self::Present { .. } => "address-present",
            Self::Pool(error) => error.code(),
            Self::TooSmall { .. } => "renumber-too-small",
            Self::Segment { .. } => "renumber-segment",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Overlap { .. } => Some(
                "while its containers move, both are there: give another one, or move in two steps".into(),
            ),
            Self::NoFamily { .. } | Self::NoAddresses(_) => None,
            Self::Present { .. } => Some("give another --subnet, or take the address away there".into()),
            Self::NoPlace { what, .. } if what == "range" => {
                Some("give an --ip-range, or a --subnet that is as large as the present one".into())
            }
            Self::NoPlace { .. } | Self::Segment { .. } | Self::TooSmall { .. } => {
                Some("give a --subnet that is as large as the present one".into())
            }
            Self::Pool(error) => error.hint(),
        }
    }
}

/// What was asked for the new pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// The subnet, which is free.
    pub subnet: IpNet,
    /// The gateway.
    pub gateway: Option<IpAddr>,
    /// The range.
    pub range: Option<IpNet>,
}

/// The pool that takes the place of `present`: gateway, range and auxiliary addresses keep their places in the subnet
/// unless others are given.
///
/// # Errors
///
/// If one of them cannot, or what was given does not fit.
pub fn pool(present: &AddressPool, asked: &Asked) -> Result<AddressPool, RenumberError> {
    let subnet = asked.subnet;
    let no_place = |what: &str, value: &dyn ToString| RenumberError::NoPlace {
        what: what.to_owned(),
        value: value.to_string(),
        present: present.subnet,
        subnet,
    };
    let range = match (asked.range, present.range) {
        (Some(range), _) => Some(range),
        (None, Some(range)) => {
            Some(shift_range(range, present.subnet, subnet).ok_or_else(|| no_place("range", &range))?)
        }
        (None, None) => None,
    };
    let mut aux = BTreeMap::new();
    for (name, address) in &present.aux {
        let what = format!("auxiliary address `{name}`");
        let there = shift(*address, present.subnet, subnet).ok_or_else(|| no_place(&what, address))?;
        aux.insert(name.clone(), there);
    }
    let gateway = asked.gateway.or_else(|| shift(present.gateway, present.subnet, subnet));
    Ok(check_pool(subnet, range, gateway, aux)?)
}

/// Where each of `present` is to be in `pool`, in their order: at the same place of the subnet where that can be had,
/// otherwise at the first free one.
///
/// # Errors
///
/// If there are not enough addresses.
pub fn addresses(from: IpNet, pool: &AddressPool, present: &[IpAddr]) -> Result<Vec<IpAddr>, RenumberError> {
    let keeps = |address: &IpAddr| {
        shift(*address, from, pool.subnet).filter(|there| lease::check_request(pool, *there).is_ok())
    };
    let kept: Vec<Option<IpAddr>> = present.iter().map(keeps).collect();
    let mut taken: BTreeSet<u128> =
        kept.iter().flatten().map(|address| subnet::to_number(*address)).collect();
    let mut next = 0;
    let mut found = Vec::with_capacity(present.len());
    for address in kept {
        let address = match address {
            Some(address) => address,
            None => {
                let known = taken.range(next..).map(|number| Ok::<u128, std::convert::Infallible>(*number));
                let Ok(free) = lease::next_unused(pool, next, known);
                let free = free.ok_or(RenumberError::TooSmall {
                    subnet: pool.subnet,
                    capacity: lease::capacity(pool),
                    containers: present.len(),
                })?;
                next = subnet::to_number(free);
                taken.insert(next);
                free
            }
        };
        found.push(address);
    }
    Ok(found)
}

/// Refuses a move that would need a container's cable on another bridge: which one it is on follows from its address.
///
/// `members` are the containers by name, with the addresses that their segment follows from, now and then.
///
/// # Errors
///
/// The first container that cannot stay on its bridge.
pub fn check_segments<'a>(
    before: &Network,
    after: &Network,
    members: impl IntoIterator<Item = (&'a str, IpAddr, IpAddr)>,
) -> Result<(), RenumberError> {
    for (container, now, then) in members {
        let numbers = (before.segment_number(now), after.segment_number(then));
        if numbers.0 != numbers.1 {
            let pool = after.pools().find(|pool| pool.subnet.contains(&then));
            return Err(RenumberError::Segment {
                container: container.to_owned(),
                subnet: pool.map_or_else(|| IpNet::from(then), |pool| pool.subnet),
                address: then,
                now: numbers.0 + 1,
                then: numbers.1 + 1,
            });
        }
    }
    Ok(())
}

/// The address at the same place of another subnet, if it has that place and an interface can have it.
fn shift(address: IpAddr, from: IpNet, to: IpNet) -> Option<IpAddr> {
    let offset = subnet::to_number(address).checked_sub(subnet::to_number(from.network()))?;
    let number = subnet::to_number(to.network()).checked_add(offset)?;
    let last = subnet::to_number(to.broadcast());
    let there = subnet::from_number(Some(number).filter(|number| *number <= last)?, to);
    lease::role_in_subnet(to, there).is_none().then_some(there)
}

fn shift_range(range: IpNet, from: IpNet, to: IpNet) -> Option<IpNet> {
    let offset = subnet::to_number(range.network()).checked_sub(subnet::to_number(from.network()))?;
    let number = subnet::to_number(to.network()).checked_add(offset)?;
    if number > subnet::to_number(to.broadcast()) {
        return None;
    }
    let there = IpNet::new(subnet::from_number(number, to), range.prefix_len()).ok()?;
    (to.contains(&there) && there == there.trunc()).then_some(there)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    fn plain(subnet: &str) -> AddressPool {
        check_pool(net(subnet), None, None, BTreeMap::new()).unwrap()
    }

    fn moved(from: &str, to: &str, present: &[&str]) -> Result<Vec<String>, RenumberError> {
        let present: Vec<IpAddr> = present.iter().map(|text| text.parse().unwrap()).collect();
        let found = addresses(net(from), &plain(to), &present)?;
        Ok(found.iter().map(IpAddr::to_string).collect())
    }

    #[test]
    fn the_place_in_the_subnet_stays_where_it_can() {
        for (from, to, present, expected) in [
            (
                "172.18.0.0/16",
                "10.9.0.0/24",
                &["172.18.0.2", "172.18.0.9"][..],
                Some(&["10.9.0.2", "10.9.0.9"][..]),
            ),
            // A place that is not there, one that is the broadcast address's: the first free ones.
            (
                "172.18.0.0/16",
                "10.9.0.0/24",
                &["172.18.7.7", "172.18.0.2", "172.18.0.255"],
                Some(&["10.9.0.3", "10.9.0.2", "10.9.0.4"]),
            ),
            ("10.1.0.0/24", "10.9.0.0/16", &["10.1.0.200"], Some(&["10.9.0.200"])),
            (
                "fd00:1::/64",
                "fd00:2::/64",
                &["fd00:1::2", "fd00:1::abcd:1"],
                Some(&["fd00:2::2", "fd00:2::abcd:1"]),
            ),
            ("fd00:1::/64", "fd00:2::/120", &["fd00:1::abcd:1"], Some(&["fd00:2::2"])),
            ("10.1.0.0/24", "10.9.0.0/30", &["10.1.0.2"], Some(&["10.9.0.2"])),
            ("10.1.0.0/24", "10.9.0.0/30", &["10.1.0.2", "10.1.0.3"], None),
        ] {
            let expected = expected.map(|list| list.iter().map(|text| (*text).to_owned()).collect());
            assert_eq!(moved(from, to, present).ok(), expected, "{from} to {to}");
        }
    }

    #[test]
    fn the_pool_keeps_its_parts_or_says_which_it_cannot() {
        let aux = BTreeMap::from([("printer".to_owned(), "172.18.0.40".parse().unwrap())]);
        let present = check_pool(
            net("172.18.0.0/16"),
            Some(net("172.18.5.0/24")),
            Some("172.18.0.254".parse().unwrap()),
            aux,
        )
        .unwrap();
        let ask = |subnet: &str| Asked { subnet: net(subnet), gateway: None, range: None };
        let there = pool(&present, &ask("10.9.0.0/16")).unwrap();
        assert_eq!(there.range, Some(net("10.9.5.0/24")));
        assert_eq!(
            (there.gateway.to_string(), there.aux["printer"].to_string()),
            ("10.9.0.254".into(), "10.9.0.40".into())
        );
        let error = pool(&present, &ask("10.9.0.0/24")).unwrap_err();
        assert_eq!(error.to_string(), "range 172.18.5.0/24 of 172.18.0.0/16 has no place in 10.9.0.0/24");
        let asked = Asked { range: Some(net("10.9.0.128/25")), ..ask("10.9.0.0/24") };
        assert_eq!(pool(&present, &asked).unwrap().gateway.to_string(), "10.9.0.254");
        let asked = Asked { range: Some(net("10.9.0.0/28")), ..ask("10.9.0.0/27") };
        assert_eq!(pool(&present, &asked).unwrap_err().code(), "renumber-no-place");
        // A gateway whose place is not there is the usual one.
        let far =
            check_pool(net("172.18.0.0/16"), None, Some("172.18.9.9".parse().unwrap()), BTreeMap::new())
                .unwrap();
        assert_eq!(pool(&far, &ask("10.9.0.0/24")).unwrap().gateway.to_string(), "10.9.0.1");
        let asked = Asked { gateway: Some("10.8.0.1".parse().unwrap()), ..ask("10.9.0.0/24") };
        assert_eq!(pool(&far, &asked).unwrap_err().code(), "address-outside-subnet");
    }

    proptest! {
        /// Everybody gets an address that may be asked for and that nobody else has, and keeps his place if the new
        /// subnet has it.
        #[test]
        fn everybody_has_a_place_of_his_own(
            places in prop::collection::btree_set(2..400_u32, 0..40), length in 22..=28_u8, gateway in 1..20_u32,
        ) {
            let from = net("172.18.0.0/16");
            let at = |base: u32, place: u32| IpAddr::V4((base + place).into());
            let present: Vec<IpAddr> = places.iter().map(|place| at(0xac12_0000, *place)).collect();
            let subnet = IpNet::new(at(0x0a09_0000, 0), length).unwrap();
            let Ok(pool) = check_pool(subnet, None, Some(at(0x0a09_0000, gateway)), BTreeMap::new()) else { return Ok(()) };
            let found = addresses(from, &pool, &present);
            if present.len() as u128 > lease::capacity(&pool) {
                let small = matches!(found, Err(RenumberError::TooSmall { .. }));
                prop_assert!(small);
                return Ok(());
            }
            let found = found.unwrap();
            prop_assert_eq!(found.iter().collect::<BTreeSet<_>>().len(), present.len());
            for (place, address) in places.iter().zip(&found) {
                prop_assert!(lease::check_request(&pool, *address).is_ok());
                let same = at(0x0a09_0000, *place);
                prop_assert!(*address == same || lease::check_request(&pool, same).is_err());
            }
        }
    }
}
