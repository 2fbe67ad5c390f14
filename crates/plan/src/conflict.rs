//! What came over the subnet of a network that is there: a VPN's routes, addresses and name servers.
//!
//! Where a packet goes is decided by the first table that has a route, in the order of the rules (ip-rule(8)), and in
//! one table by the longest prefix (ip-route(8)). So what matters of somebody else's route is whether it is asked for
//! before ours, and whether it is finer than ours: a wider one in the same table takes nothing from our containers.
//!
//! Default routes, and the halves of one that OpenVPN makes, hold everything and are no conflict.

mod rules;
mod way;

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use pontoon_model::config::PoolBlock;
use pontoon_model::network::AddressPool;
use pontoon_model::observed::{AddressSpace, HostAddress, HostRoute, HostRule};
use pontoon_model::subnet::overlap;
use pontoon_model::{IfName, Network, NetworkName};
use serde::Serialize;

use crate::ipam::{self, Obstacle};
use rules::Turn;

/// `RT_TABLE_MAIN`: where the kernel puts the route that a bridge's address makes.
pub(crate) const MAIN: u32 = 254;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Containers are not reached.
    Breaks,
    /// It may be so, or become so with the next container.
    Doubtful,
    /// Our containers lose nothing: what is behind the VPN may be out of this host's reach.
    Note,
}

/// A container that cannot be reached any more.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Affected {
    /// Its name.
    pub container: String,
    /// Its address on the network.
    pub address: IpAddr,
}

/// Something of somebody else's that overlaps with a network's subnet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Conflict {
    /// A stable identifier: `route-inside`, `route-equal`, `route-around`, `route-before`, `route-behind`,
    /// `address-inside`, `nameserver-inside`.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// The network.
    pub network: NetworkName,
    /// Its subnet.
    pub subnet: IpNet,
    /// What overlaps with it: `the host's route to 10.8.0.0/24 via tun0`.
    pub with: String,
    /// In one sentence.
    pub sentence: String,
    /// The containers that are not reached.
    pub affected: Vec<Affected>,
    /// The first way out, as commands: routes that are finer. None where there is no finer one.
    pub finer: Vec<String>,
    /// The second way out: the network moves.
    pub renumber: String,
}

impl Conflict {
    /// What tells it from others, and is the same as long as it lasts.
    pub fn key(&self) -> (&'static str, &str, &str) {
        (self.code, self.network.as_str(), self.with.as_str())
    }

    /// What a person can do: both ways out.
    pub fn hint(&self) -> String {
        let renumber = format!("move the network: `{}`", self.renumber);
        match self.finer.as_slice() {
            [] => renumber,
            [only] => format!("`{only}`, or {renumber}"),
            [first, second] => format!("`{first}` and `{second}`, or {renumber}"),
            [first, rest @ ..] => format!(
                "`{first}` and {} more (`pontoon network inspect {}` has them all), or {renumber}",
                rest.len(),
                self.network
            ),
        }
    }
}

/// A network of ours and who is on it.
#[derive(Debug, Clone)]
pub struct Ours {
    /// The network.
    pub network: Network,
    /// Its bridges: its own, and those of its segments.
    pub bridges: Vec<IfName>,
    /// Its containers by name, with each address.
    pub members: Vec<(String, IpAddr)>,
}

/// What was seen of the host.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// Routes of all tables, addresses, name servers.
    pub space: &'a AddressSpace,
    /// In which order the tables are asked.
    pub rules: &'a [HostRule],
    /// Where free subnets come from.
    pub blocks: &'a [PoolBlock],
}

/// What others have within or around the subnets of our networks, the worst first.
///
/// Networks whose bridge has no address are left out: the host has no route to their containers that could be taken.
pub fn conflicts(ours: &[Ours], seen: &Seen<'_>) -> Vec<Conflict> {
    let bridges: Vec<&str> = ours.iter().flat_map(|one| &one.bridges).map(|bridge| bridge.as_str()).collect();
    let subnets: Vec<(NetworkName, IpNet)> = ours
        .iter()
        .flat_map(|one| one.network.pools().map(|pool| (one.network.name.clone(), pool.subnet)))
        .collect();
    let mut found = Vec::new();
    for one in ours {
        for pool in one.network.pools().filter(|pool| one.network.bridge_has_address(pool)) {
            let look = Look { one, pool, seen, bridges: &bridges, subnets: &subnets };
            found.extend(look.routes());
            found.extend(look.addresses());
            found.extend(look.nameservers());
        }
    }
    found.sort_by(|left, right| (left.severity, left.key()).cmp(&(right.severity, right.key())));
    found
}

/// One subnet of a network.
struct Look<'a> {
    one: &'a Ours,
    pool: &'a AddressPool,
    seen: &'a Seen<'a>,
    /// All bridges of ours.
    bridges: &'a [&'a str],
    /// All subnets of ours.
    subnets: &'a [(NetworkName, IpNet)],
}

/// What was found, before it is told.
struct Found {
    code: &'static str,
    severity: Severity,
    obstacle: Obstacle,
    /// What comes of it: the rest of the sentence.
    effect: String,
    affected: Vec<Affected>,
    finer: Vec<String>,
}

impl Look<'_> {
    fn is_ours(&self, dev: &str) -> bool {
        self.bridges.contains(&dev)
    }

    fn tell(&self, found: Found) -> Conflict {
        let (name, subnet) = (&self.one.network.name, self.pool.subnet);
        let with = found.obstacle.to_string();
        Conflict {
            code: found.code,
            severity: found.severity,
            network: name.clone(),
            subnet,
            sentence: format!("network `{name}` ({subnet}): {with} {}", found.effect),
            with,
            affected: found.affected,
            finer: found.finer,
            renumber: self.renumber(),
        }
    }

    fn renumber(&self) -> String {
        let name = &self.one.network.name;
        let free = ipam::free_like(self.pool.subnet, self.seen.blocks, self.seen.space, self.subnets);
        match free.first() {
            Some(free) => format!("pontoon network renumber {name} --subnet {free}"),
            None => format!("pontoon network renumber {name}"),
        }
    }

    fn routes(&self) -> Vec<Conflict> {
        let mut seen = BTreeMap::new();
        for route in &self.seen.space.routes {
            let foreign = !self.is_ours(&route.dev) && !ipam::holds_everything(route.destination);
            if foreign && overlap(route.destination, self.pool.subnet) {
                // One with several metrics is told once.
                seen.insert((route.destination, route.dev.as_str(), route.table), route);
            }
        }
        seen.into_values().map(|route| self.tell(self.route(route))).collect()
    }

    fn route(&self, route: &HostRoute) -> Found {
        let v4 = self.pool.subnet.addr().is_ipv4();
        match rules::turn(self.seen.rules, v4, route.table, self.pool.subnet) {
            Turn::Before { priority, conditional } => self.route_before(route, priority, conditional),
            Turn::Main if route.destination == self.pool.subnet => self.route_equal(route),
            Turn::Main if self.pool.subnet.contains(&route.destination) => self.route_inside(route),
            Turn::Main => self.note(
                "route-around",
                route,
                format!(
                    "is wider: ours counts, and {} behind it is out of this host's reach",
                    self.pool.subnet
                ),
            ),
            Turn::After => self.note(
                "route-behind",
                route,
                "is asked after ours, which counts: what it overlaps is out of this host's reach".to_owned(),
            ),
        }
    }

    fn note(&self, code: &'static str, route: &HostRoute, effect: String) -> Found {
        let (severity, obstacle) = (Severity::Note, obstacle(route));
        Found { code, severity, obstacle, effect, affected: Vec::new(), finer: Vec::new() }
    }

    /// A table that is asked first: however wide its route is, ours is not come to.
    fn route_before(&self, route: &HostRoute, priority: u32, conditional: bool) -> Found {
        let affected = self.members_in(route.destination);
        let certain = !conditional && (!affected.is_empty() || route.destination.contains(&self.pool.subnet));
        let whose = if conditional { "some packets" } else { "packets" };
        let effect = format!("is asked before ours, and takes {whose} for {}", some(&affected));
        let finer = way::rule(self.pool.subnet, priority).into_iter().collect();
        let severity = if certain { Severity::Breaks } else { Severity::Doubtful };
        Found { code: "route-before", severity, obstacle: obstacle(route), effect, affected, finer }
    }

    fn route_equal(&self, route: &HostRoute) -> Found {
        let subnet = self.pool.subnet;
        if self.covered_by_finer(subnet) {
            return self.note("route-equal", route, "is overruled by finer ones to the bridge".to_owned());
        }
        let finer = way::halves(subnet, &self.one.network.bridge_name);
        let (severity, effect, affected) = match self.is_shared(route) {
            true => (Severity::Doubtful, SHARED.to_owned(), Vec::new()),
            false => {
                let affected = self.members_in(subnet);
                let effect = format!("is there instead of ours, and takes packets for {}", some(&affected));
                (Severity::Breaks, effect, affected)
            }
        };
        Found { code: "route-equal", severity, obstacle: obstacle(route), effect, affected, finer }
    }

    fn route_inside(&self, route: &HostRoute) -> Found {
        let within = self.members_in(route.destination);
        let taken = |one: &Affected| self.leads_away(one.address);
        let rescued = !within.is_empty();
        let affected: Vec<Affected> = within.into_iter().filter(taken).collect();
        let (severity, effect) = match (affected.as_slice(), rescued) {
            ([], true) if self.is_shared(route) => (Severity::Doubtful, SHARED.to_owned()),
            ([], true) => {
                (Severity::Note, "is overruled by finer ones to the containers within it".to_owned())
            }
            ([], false) => {
                let effect = "takes packets for addresses that no container has yet";
                (Severity::Doubtful, effect.to_owned())
            }
            (affected, _) => (Severity::Breaks, format!("takes packets for {}", some(affected))),
        };
        let bridge = &self.one.network.bridge_name;
        let single = route.destination.prefix_len() == route.destination.max_prefix_len();
        let finer = match single {
            // Nothing is finer than that.
            true => Vec::new(),
            false => affected.iter().map(|one| way::route(one.address, bridge)).collect(),
        };
        Found { code: "route-inside", severity, obstacle: obstacle(route), effect, affected, finer }
    }

    fn addresses(&self) -> Vec<Conflict> {
        let inside = |own: &&HostAddress| {
            !self.is_ours(&own.dev)
                && !ipam::holds_everything(own.address)
                && self.pool.subnet.contains(&own.address.addr())
        };
        let found = self.seen.space.addresses.iter().filter(inside).map(|own| {
            let address = own.address.addr();
            let affected = self.members_in(IpNet::from(address));
            let (severity, effect) = match (address == self.pool.gateway, affected.as_slice()) {
                (true, _) => (Severity::Breaks, "is the network's gateway too".to_owned()),
                (false, []) => {
                    (Severity::Doubtful, "is in its subnet, and out of its containers' reach".to_owned())
                }
                (false, taken) => (Severity::Breaks, format!("keeps packets for {}", some(taken))),
            };
            let obstacle = Obstacle::Address(own.address, own.dev.clone());
            let finer = Vec::new();
            self.tell(Found { code: "address-inside", severity, obstacle, effect, affected, finer })
        });
        found.collect()
    }

    /// A name server that is a container of ours, or our own at the gateway's address, is where it should be.
    fn nameservers(&self) -> Vec<Conflict> {
        let inside = |server: &&IpAddr| {
            self.pool.subnet.contains(*server)
                && **server != self.pool.gateway
                && self.members_in(IpNet::from(**server)).is_empty()
        };
        let found = self.seen.space.nameservers.iter().filter(inside).map(|server| {
            self.tell(Found {
                code: "nameserver-inside",
                severity: Severity::Breaks,
                obstacle: Obstacle::Nameserver(*server),
                effect: "is looked for on the bridge, where nobody has that address".to_owned(),
                affected: Vec::new(),
                finer: Vec::new(),
            })
        });
        found.collect()
    }

    fn members_in(&self, net: IpNet) -> Vec<Affected> {
        let inside = self
            .one
            .members
            .iter()
            .filter(|(_, address)| net.contains(address) && self.pool.subnet.contains(address));
        let mut all: Vec<Affected> = inside
            .map(|(container, address)| Affected { container: container.clone(), address: *address })
            .collect();
        all.sort();
        all
    }

    /// Whether a route to our bridge has the same destination.
    fn is_shared(&self, route: &HostRoute) -> bool {
        let same = |one: &HostRoute| one.table == MAIN && one.destination == route.destination;
        self.seen.space.routes.iter().any(|one| same(one) && self.is_ours(&one.dev))
    }

    /// Whether the longest of the main table's routes to an address is somebody else's, and none of ours is as long.
    fn leads_away(&self, address: IpAddr) -> bool {
        let routes = self.seen.space.routes.iter();
        let there = routes.filter(|route| route.table == MAIN && route.destination.contains(&address));
        let longest = there.max_by_key(|route| (route.destination.prefix_len(), self.is_ours(&route.dev)));
        longest.is_some_and(|route| !self.is_ours(&route.dev))
    }

    /// Whether finer routes to our bridge hold all of a subnet.
    fn covered_by_finer(&self, subnet: IpNet) -> bool {
        let finer = |route: &&HostRoute| {
            route.table == MAIN
                && self.is_ours(&route.dev)
                && subnet.contains(&route.destination)
                && route.destination != subnet
        };
        let nets: Vec<IpNet> =
            self.seen.space.routes.iter().filter(finer).map(|route| route.destination).collect();
        IpNet::aggregate(&nets).contains(&subnet)
    }
}

const SHARED: &str = "is the same as ours: which of them counts is decided by their metrics";

fn obstacle(route: &HostRoute) -> Obstacle {
    Obstacle::Route(route.destination, route.dev.clone(), route.table)
}

/// The containers, the first few of many.
fn some(affected: &[Affected]) -> String {
    const SHOWN: usize = 3;
    let mut names: Vec<String> =
        affected.iter().take(SHOWN).map(|one| format!("{} ({})", one.container, one.address)).collect();
    if affected.len() > SHOWN {
        names.push(format!("{} more", affected.len() - SHOWN));
    }
    if names.is_empty() { "its addresses".to_owned() } else { names.join(", ") }
}

/// What was found before, so that each is reported once.
#[derive(Debug, Clone, Default)]
pub struct Known(BTreeMap<(String, String, String), Conflict>);

/// What came and what went since the last look.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// Found for the first time, or found to be worse or other than before.
    pub new: Vec<Conflict>,
    /// Not found any more, as they were.
    pub gone: Vec<Conflict>,
}

impl Known {
    /// Takes note of what is found now, and tells what is new and what is gone.
    pub fn new_and_gone(&mut self, findings: Vec<Conflict>) -> Changes {
        let mut changes = Changes::default();
        let mut now = BTreeMap::new();
        for finding in findings {
            let (code, network, with) = finding.key();
            let key = (code.to_owned(), network.to_owned(), with.to_owned());
            let before = self.0.remove(&key);
            let same = |before: &Conflict| {
                before.severity == finding.severity && before.affected == finding.affected
            };
            if !before.as_ref().is_some_and(same) {
                changes.new.push(finding.clone());
            }
            now.insert(key, finding);
        }
        changes.gone = std::mem::replace(&mut self.0, now).into_values().collect();
        changes
    }
}

#[cfg(test)]
mod tests;
