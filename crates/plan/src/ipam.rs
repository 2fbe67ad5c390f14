//! Choosing and checking the subnets of networks, and the special addresses in them.
//!
//! A subnet must not overlap with anything that the host already knows: another network, an address, a route of any
//! table (a VPN's), a name server. Free subnets are found by jumping over what is taken, so that a block's size does
//! not matter.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv6Net};
use pontoon_model::config::PoolBlock;
use pontoon_model::network::AddressPool;
use pontoon_model::observed::AddressSpace;
use pontoon_model::subnet::{self, Family};
use pontoon_model::{Diagnose, NetworkId, NetworkName, lease};

/// How many free subnets a refusal offers.
const OFFERED: usize = 3;

/// Routes as short as this are a default route in halves, as OpenVPN's `redirect-gateway def1` makes them
/// (0.0.0.0/1 and 128.0.0.0/1): they hold everything, and forbid nothing.
const HALF_OF_ALL: u8 = 1;

/// What a subnet collides with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// A network of ours.
    Network(NetworkName, IpNet),
    /// An address of the host's.
    Address(IpNet, String),
    /// A route of the host's: destination, interface, table.
    Route(IpNet, String, u32),
    /// A name server that the host asks.
    Nameserver(IpAddr),
}

impl Obstacle {
    /// The order in which obstacles are looked at.
    fn kind(&self) -> u8 {
        match self {
            Self::Network(..) => 0,
            Self::Route(..) => 1,
            Self::Address(..) => 2,
            Self::Nameserver(_) => 3,
        }
    }

    fn net(&self) -> IpNet {
        match self {
            Self::Network(_, net) | Self::Route(net, ..) | Self::Address(net, _) => net.trunc(),
            Self::Nameserver(address) => IpNet::from(*address),
        }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// `RT_TABLE_MAIN`
        const MAIN: u32 = 254;
        match self {
            Self::Network(name, net) => write!(f, "network `{name}` ({net})"),
            Self::Address(net, dev) => write!(f, "the host's address {net} on {dev}"),
            Self::Route(net, dev, MAIN) => write!(f, "the host's route to {net} via {dev}"),
            Self::Route(net, dev, table) => write!(f, "the host's route to {net} via {dev} in table {table}"),
            Self::Nameserver(address) => write!(f, "the host's name server {address}"),
        }
    }
}

/// A subnet that was asked for overlaps with something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("subnet {subnet} overlaps with {obstacle}")]
pub struct Collision {
    /// The subnet.
    pub subnet: IpNet,
    /// What it overlaps with.
    pub obstacle: Obstacle,
    /// Subnets of the same size that are free.
    pub free: Vec<IpNet>,
}

impl Diagnose for Collision {
    fn code(&self) -> &'static str {
        "subnet-collision"
    }

    fn hint(&self) -> Option<String> {
        let insist = "--allow-overlap insists";
        Some(match self.free.as_slice() {
            [] => insist.to_owned(),
            free => {
                let free: Vec<String> = free.iter().map(IpNet::to_string).collect();
                format!("free are {}; {insist}", free.join(", "))
            }
        })
    }
}

/// The default address pools have no free subnet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubnetChoiceError {
    /// No block is of the family.
    #[error("no default address pool has {0} addresses")]
    NoBlock(Family),
    /// Every subnet of every block collides with something.
    #[error("no free {family} subnet is left in the default address pools ({}): {taken}", list(blocks))]
    Exhausted {
        /// The family.
        family: Family,
        /// Its blocks.
        blocks: Vec<PoolBlock>,
        /// What takes them up.
        taken: TakenBy,
    },
}

/// How many subnets of some blocks are not free, each counted once, for the first kind that takes it up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenBy {
    /// By networks of ours.
    pub networks: u128,
    /// By routes of the host.
    pub routes: u128,
    /// By addresses of the host.
    pub addresses: u128,
    /// By name servers.
    pub nameservers: u128,
    /// The first few of them.
    pub first: Vec<Obstacle>,
}

impl TakenBy {
    fn of(blocks: &[PoolBlock], family: Family, obstacles: Vec<Obstacle>) -> Self {
        let meets =
            |obstacle: &Obstacle| blocks.iter().any(|block| subnet::overlap(block.base, obstacle.net()));
        let mut first: Vec<Obstacle> = obstacles.into_iter().filter(meets).collect();
        // Together with those before it, so that what is taken twice is counted once.
        let up_to = [0, 1, 2, 3].map(|kind| {
            let nets = first.iter().filter(|obstacle| obstacle.kind() <= kind).map(Obstacle::net);
            let taken = Taken::by(family, nets);
            blocks.iter().fold(0, |sum: u128, block| sum.saturating_add(taken.count_in(*block)))
        });
        first.truncate(OFFERED);
        Self {
            networks: up_to[0],
            routes: up_to[1] - up_to[0],
            addresses: up_to[2] - up_to[1],
            nameservers: up_to[3] - up_to[2],
            first,
        }
    }
}

impl fmt::Display for TakenBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = [
            (self.networks, "networks"),
            (self.routes, "routes of the host"),
            (self.addresses, "addresses of the host"),
            (self.nameservers, "name servers"),
        ];
        let counted = kinds.iter().filter(|(count, _)| *count > 0);
        let counted: Vec<String> = counted.map(|(count, kind)| format!("{count} by {kind}")).collect();
        let first: Vec<String> = self.first.iter().map(Obstacle::to_string).collect();
        write!(f, "taken are {}, first of all by {}", counted.join(", "), first.join(", "))
    }
}

/// Blocks as a person would say them, the first few of many.
fn list(blocks: &[PoolBlock]) -> String {
    let mut texts: Vec<String> =
        blocks.iter().take(OFFERED).map(|block| format!("{} in /{}s", block.base, block.size)).collect();
    if blocks.len() > OFFERED {
        texts.push(format!("{} more", blocks.len() - OFFERED));
    }
    texts.join(", ")
}

impl Diagnose for SubnetChoiceError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoBlock(_) => "no-address-pool",
            Self::Exhausted { .. } => "pools-exhausted",
        }
    }

    fn hint(&self) -> Option<String> {
        let prune = match self {
            Self::Exhausted { taken, .. } if taken.networks > 0 => {
                "remove networks that are not used (`pontoon network prune`), "
            }
            _ => "",
        };
        Some(format!(
            "give a --subnet, {prune}or add blocks to default-address-pools in /etc/pontoon/config.toml"
        ))
    }
}

/// Why gateway, range and auxiliary addresses do not fit a subnet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// The range is not within the subnet.
    #[error("range {range} is not within subnet {subnet}")]
    Range {
        /// The range.
        range: IpNet,
        /// The subnet.
        subnet: IpNet,
    },
    /// An address is not within the subnet.
    #[error("{what} {address} is not within subnet {subnet}")]
    Outside {
        /// `gateway`, or the auxiliary address's name.
        what: String,
        /// The address.
        address: IpAddr,
        /// The subnet.
        subnet: IpNet,
    },
    /// An address has another role in the subnet.
    #[error("{what} {address} is {role} of subnet {subnet}")]
    Role {
        /// `gateway`, or the auxiliary address's name.
        what: String,
        /// The address.
        address: IpAddr,
        /// What it stands for, as [`lease::role_in_subnet`] says it.
        role: &'static str,
        /// The subnet.
        subnet: IpNet,
    },
    /// Two things have the same address.
    #[error("{what} {address} is {other}'s address too")]
    Twice {
        /// The one.
        what: String,
        /// The address.
        address: IpAddr,
        /// The other.
        other: String,
    },
    /// Nothing is left for containers.
    #[error("no address of {0} is left for containers")]
    Empty(IpNet),
}

impl Diagnose for PoolError {
    fn code(&self) -> &'static str {
        match self {
            Self::Range { .. } => "range-outside-subnet",
            Self::Outside { .. } => "address-outside-subnet",
            Self::Role { .. } => "address-has-role",
            Self::Twice { .. } => "address-twice",
            Self::Empty(_) => "pool-empty",
        }
    }

    fn hint(&self) -> Option<String> {
        matches!(self, Self::Empty(_)).then(|| "give a larger --subnet or --ip-range".into())
    }
}

/// Checks a subnet that was asked for.
///
/// # Errors
///
/// If it overlaps with anything: networks first, then the host's routes, addresses and name servers.
pub fn check_subnet(
    asked: IpNet,
    blocks: &[PoolBlock],
    space: &AddressSpace,
    networks: &[(NetworkName, IpNet)],
) -> Result<(), Collision> {
    let Some(obstacle) = obstacles(space, networks).find(|obstacle| subnet::overlap(asked, obstacle.net()))
    else {
        return Ok(());
    };
    let taken = Taken::of(Family::of(asked), space, networks);
    Err(Collision { subnet: asked, obstacle, free: offers(asked, blocks, &taken) })
}

/// Free subnets of the same size as `asked`, three at the most: what a collision offers.
pub fn free_like(
    asked: IpNet,
    blocks: &[PoolBlock],
    space: &AddressSpace,
    networks: &[(NetworkName, IpNet)],
) -> Vec<IpNet> {
    offers(asked, blocks, &Taken::of(Family::of(asked), space, networks))
}

/// Whether a route is a default route, or a half of one.
pub fn holds_everything(route: IpNet) -> bool {
    route.prefix_len() <= HALF_OF_ALL
}

/// Free subnets like `asked`: from the blocks and, where they have too few of that size, from private address space.
fn offers(asked: IpNet, blocks: &[PoolBlock], taken: &Taken) -> Vec<IpNet> {
    let fits =
        |base: &IpNet| Family::of(*base) == Family::of(asked) && base.prefix_len() <= asked.prefix_len();
    let bases = blocks.iter().map(|block| block.base).chain(private(asked)).filter(fits);
    let mut free: Vec<IpNet> = Vec::with_capacity(OFFERED);
    for base in bases {
        let candidates = taken.free_in(PoolBlock { base, size: asked.prefix_len() });
        // A block may lie in private space, or twice among the blocks.
        let fresh: Vec<IpNet> =
            candidates.filter(|candidate| !free.contains(candidate)).take(OFFERED - free.len()).collect();
        free.extend(fresh);
        if free.len() == OFFERED {
            break;
        }
    }
    free
}

/// Private address space to look in: that of RFC 1918 or, for a unique local subnet (RFC 4193), what is near it, since
/// the upper bits there are somebody's random number.
fn private(asked: IpNet) -> Vec<IpNet> {
    let constant = |text: &str| text.parse::<IpNet>().expect("constant");
    let unique_local = constant("fd00::/8");
    match asked {
        IpNet::V4(_) => ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"].map(constant).to_vec(),
        IpNet::V6(_) if unique_local.contains(&asked) => {
            let length = asked.prefix_len().saturating_sub(16).max(unique_local.prefix_len());
            IpNet::new(asked.network(), length).map(|near| near.trunc()).into_iter().collect()
        }
        IpNet::V6(_) => Vec::new(),
    }
}

/// The first free subnet of a family in the blocks, in their order.
///
/// # Errors
///
/// If there is none; with the blocks, and how many subnets are taken by what.
pub fn choose_subnet(
    family: Family,
    blocks: &[PoolBlock],
    space: &AddressSpace,
    networks: &[(NetworkName, IpNet)],
) -> Result<IpNet, SubnetChoiceError> {
    let blocks: Vec<PoolBlock> =
        blocks.iter().filter(|block| Family::of(block.base) == family).copied().collect();
    if blocks.is_empty() {
        return Err(SubnetChoiceError::NoBlock(family));
    }
    let taken = Taken::of(family, space, networks);
    if let Some(free) = blocks.iter().find_map(|block| taken.free_in(*block).next()) {
        return Ok(free);
    }
    let taken = TakenBy::of(&blocks, family, obstacles(space, networks).collect());
    Err(SubnetChoiceError::Exhausted { family, blocks, taken })
}

/// Where in an id its unique local subnets begin to be read, and how many digits one takes: 40 bits and 16.
const ULA_DIGITS: std::ops::Range<usize> = 12..26;

/// A /64 of unique local addresses made from a network's id. It may collide: see [`choose_ula_subnet`].
///
/// Source: RFC 4193, 3.1: fd, 40 random bits, 16 bits for the subnet. The id is random.
pub fn ula_subnet(id: &NetworkId) -> IpNet {
    ula_from(&id.as_str()[ULA_DIGITS])
}

/// The first free one of the unique local subnets that can be made from a network's id.
///
/// # Errors
///
/// If there is none, which takes a route to most of fd00::/8; with what the first of them collides with.
pub fn choose_ula_subnet(
    id: &NetworkId,
    space: &AddressSpace,
    networks: &[(NetworkName, IpNet)],
) -> Result<IpNet, Collision> {
    let first = ula_subnet(id);
    let digits = &id.as_str().as_bytes()[ULA_DIGITS.start..];
    let windows = digits.windows(ULA_DIGITS.len()).filter_map(|window| std::str::from_utf8(window).ok());
    match windows.map(ula_from).find(|subnet| check_subnet(*subnet, &[], space, networks).is_ok()) {
        Some(free) => Ok(free),
        None => check_subnet(first, &[], space, networks).map(|()| first),
    }
}

fn ula_from(digits: &str) -> IpNet {
    let digits = u64::from_str_radix(digits, 16).expect("an id is made of hexadecimal digits");
    let prefix = u128::from(0xfd_u8) << 120 | u128::from(digits) << 64;
    IpNet::V6(Ipv6Net::new(prefix.into(), 64).expect("64 is a prefix length"))
}

/// The gateway of a subnet that did not name one: the first usable address of its range, or of itself, as Docker has
/// it; the lower one of a /31 or /127.
pub fn default_gateway(subnet: IpNet, range: Option<IpNet>) -> IpAddr {
    let (first, last) = subnet::usable(subnet);
    range.map_or(first, |range| first.max(range.network()).min(last))
}

/// Puts a pool together.
///
/// # Errors
///
/// If range, gateway or an auxiliary address is not within the subnet, two addresses are the same, or nothing is left.
pub fn check_pool(
    subnet: IpNet,
    range: Option<IpNet>,
    gateway: Option<IpAddr>,
    aux: BTreeMap<String, IpAddr>,
) -> Result<AddressPool, PoolError> {
    if let Some(range) = range.filter(|range| !subnet.contains(range)) {
        return Err(PoolError::Range { range, subnet });
    }
    if let Some(gateway) = gateway {
        check_inside("gateway", gateway, subnet)?;
    }
    for (name, address) in &aux {
        check_inside(&format!("auxiliary address `{name}`"), *address, subnet)?;
    }
    let gateway = gateway.unwrap_or_else(|| free_gateway(subnet, range, &aux));
    check_different(gateway, &aux)?;
    let pool = AddressPool { subnet, range, gateway, aux };
    if lease::capacity(&pool) == 0 { Err(PoolError::Empty(range.unwrap_or(subnet))) } else { Ok(pool) }
}

/// The default gateway, or the next address that no auxiliary address has.
fn free_gateway(subnet: IpNet, range: Option<IpNet>, aux: &BTreeMap<String, IpAddr>) -> IpAddr {
    let first = default_gateway(subnet, range);
    let last = subnet::to_number(subnet::usable(subnet).1);
    let start = subnet::to_number(first);
    let tries = start..=last.min(start.saturating_add(aux.len() as u128));
    let mut candidates = tries.map(|number| subnet::from_number(number, subnet));
    candidates.find(|candidate| !aux.values().any(|taken| taken == candidate)).unwrap_or(first)
}

fn check_inside(what: &str, address: IpAddr, subnet: IpNet) -> Result<(), PoolError> {
    let what = what.to_owned();
    match lease::role_in_subnet(subnet, address) {
        _ if !subnet.contains(&address) => Err(PoolError::Outside { what, address, subnet }),
        Some(role) => Err(PoolError::Role { what, address, role, subnet }),
        None => Ok(()),
    }
}

fn check_different(gateway: IpAddr, aux: &BTreeMap<String, IpAddr>) -> Result<(), PoolError> {
    let mut seen = BTreeMap::from([(gateway, "the gateway".to_owned())]);
    for (name, address) in aux {
        let what = format!("auxiliary address `{name}`");
        if let Some(other) = seen.insert(*address, what.clone()) {
            return Err(PoolError::Twice { what, address: *address, other });
        }
    }
    Ok(())
}

/// Everything that a subnet can collide with.
fn obstacles<'a>(
    space: &'a AddressSpace,
    networks: &'a [(NetworkName, IpNet)],
) -> impl Iterator<Item = Obstacle> + 'a {
    let networks = networks.iter().map(|(name, net)| Obstacle::Network(name.clone(), *net));
    let routes = space.routes.iter().filter(|route| !holds_everything(route.destination));
    let routes = routes.map(|route| Obstacle::Route(route.destination, route.dev.clone(), route.table));
    let addresses = space.addresses.iter().filter(|own| !holds_everything(own.address));
    let addresses = addresses.map(|own| Obstacle::Address(own.address, own.dev.clone()));
    networks.chain(routes).chain(addresses).chain(space.nameservers.iter().copied().map(Obstacle::Nameserver))
}

/// The taken addresses of one family as ranges in order that do not touch.
struct Taken {
    ranges: Vec<(u128, u128)>,
}

impl Taken {
    fn of(family: Family, space: &AddressSpace, networks: &[(NetworkName, IpNet)]) -> Self {
        Self::by(family, obstacles(space, networks).map(|obstacle| obstacle.net()))
    }

    fn by(family: Family, nets: impl Iterator<Item = IpNet>) -> Self {
        let mut ranges: Vec<(u128, u128)> =
            nets.filter(|net| Family::of(*net) == family).map(bounds).collect();
        ranges.sort_unstable();
        let mut merged: Vec<(u128, u128)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match merged.last_mut() {
                Some((_, end)) if first <= end.saturating_add(1) => *end = (*end).max(last),
                _ => merged.push((first, last)),
            }
        }
        Self { ranges: merged }
    }

    /// The free subnets of a block, in their order. Each costs one search, however many taken ones are before it.
    fn free_in(&self, block: PoolBlock) -> impl Iterator<Item = IpNet> + '_ {
        let (first, end) = bounds(block.base);
        let mask = host_mask(block);
        let mut next = Some(first);
        std::iter::from_fn(move || {
            loop {
                let start = next.filter(|start| *start <= end)?;
                let last = start | mask;
                match self.overlapping(start, last) {
                    Some(taken) => next = (taken | mask).checked_add(1),
                    None => {
                        next = last.checked_add(1);
                        return IpNet::new(subnet::from_number(start, block.base), block.size).ok();
                    }
                }
            }
        })
    }

    /// How many subnets of a block are not free.
    fn count_in(&self, block: PoolBlock) -> u128 {
        let (first, end) = bounds(block.base);
        let bits = host_mask(block).count_ones();
        let subnet = |number: u128| number.checked_shr(bits).unwrap_or(0);
        let mut counted = None;
        let mut count: u128 = 0;
        for (start, last) in self.ranges.iter().filter(|(start, last)| *start <= end && *last >= first) {
            let (from, to) = (subnet(*start.max(&first)), subnet(*last.min(&end)));
            // Two ranges may meet the same subnet.
            let again = u128::from(counted == Some(from));
            count = count.saturating_add((to - from).saturating_add(1 - again));
            counted = Some(to);
        }
        count
    }

    /// The end of the taken range that overlaps with these addresses, if there is one.
    fn overlapping(&self, first: u128, last: u128) -> Option<u128> {
        let index = self.ranges.partition_point(|(_, end)| *end < first);
        self.ranges.get(index).filter(|(start, _)| *start <= last).map(|(_, end)| *end)
    }
}

fn bounds(net: IpNet) -> (u128, u128) {
    (subnet::to_number(net.network()), subnet::to_number(net.broadcast()))
}

/// The bits behind the prefix of a block's subnets.
fn host_mask(block: PoolBlock) -> u128 {
    let bits = block.base.max_prefix_len().saturating_sub(block.size);
    1_u128.checked_shl(u32::from(bits)).map_or(u128::MAX, |width| width - 1)
}

#[cfg(test)]
mod tests;
