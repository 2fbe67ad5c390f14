//! Addresses, routes and neighbours of a plan.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use pontoon_model::network::NAMES;
use pontoon_model::op::{AddressOp, NeighbourOp, Netns as Where, RouteOp};
use pontoon_model::route::StaticRoute;
use pontoon_netlink::address::Address;
use pontoon_netlink::link::LinkIndex;
use pontoon_netlink::neighbour::{Neighbour, State};
use pontoon_netlink::route::{NextHop, PROTOCOL_KERNEL, Route, RouteType, TABLE_LOCAL};
use pontoon_netlink::{Family, Prefix};

use super::link::hardware;
use super::{Executor, Pending, Purpose, Refusal};

impl Executor {
    pub(super) fn add_address(
        &mut self,
        step: usize,
        op: &AddressOp,
        pending: &mut Pending,
    ) -> Result<(), (usize, Refusal)> {
        let (AddressOp::Add { netns, link, address } | AddressOp::Delete { netns, link, address }) = op;
        let index = self.index_of(step, netns, link.as_str(), pending)?;
        self.turn_to(netns, pending)?;
        let wanted = Address::new(index, prefix(*address));
        match op {
            AddressOp::Add { .. } => {
                pending.requests.add_address(link.as_str(), &wanted);
                pending.purposes.push((step, Purpose::Must));
            }
            AddressOp::Delete { .. } => {
                pending.requests.delete_address(link.as_str(), &wanted);
                pending.purposes.push((step, Purpose::MayBeAbsent));
            }
        }
        Ok(())
    }

    pub(super) fn add_route(
        &mut self,
        step: usize,
        op: &RouteOp,
        pending: &mut Pending,
    ) -> Result<(), (usize, Refusal)> {
        let (netns, link) = match op {
            RouteOp::Default { netns, link, .. }
            | RouteOp::DeleteDefault { netns, link, .. }
            | RouteOp::Names { netns, link, .. }
            | RouteOp::DeleteNames { netns, link, .. }
            | RouteOp::Static { netns, link, .. }
            | RouteOp::DeleteStatic { netns, link, .. } => (netns, link),
            RouteOp::Loopback { link, .. } | RouteOp::Subnet { link, .. } => (&Where::Host, link),
        };
        let index = self.index_of(step, netns, link.as_str(), pending)?;
        self.turn_to(netns, pending)?;
        match op {
            RouteOp::Default { via, .. } => {
                pending.requests.replace_route(&default_route(*via, index));
                pending.purposes.push((step, Purpose::Must));
            }
            RouteOp::DeleteDefault { via, .. } => {
                pending.requests.delete_route(&default_route(*via, index));
                pending.purposes.push((step, Purpose::MayBeAbsent));
            }
            RouteOp::Names { source, .. } => {
                pending.requests.replace_route(&names_route(*source, index));
                pending.purposes.push((step, Purpose::Must));
            }
            RouteOp::DeleteNames { source, .. } => {
                pending.requests.delete_route(&names_route(*source, index));
                pending.purposes.push((step, Purpose::MayBeAbsent));
            }
            RouteOp::Static { route, .. } => {
                pending.requests.add_route(&static_route(*route, index));
                pending.purposes.push((step, Purpose::MayBeThere));
            }
            RouteOp::DeleteStatic { route, .. } => {
                pending.requests.delete_route(&static_route(*route, index));
                pending.purposes.push((step, Purpose::MayBeAbsent));
            }
            RouteOp::Loopback { metric, .. } => {
                pending.requests.replace_route(&loopback_route(index, *metric));
                pending.purposes.push((step, Purpose::Must));
            }
            RouteOp::Subnet { address, .. } => {
                pending.requests.replace_route(&subnet_route(index, *address));
                pending.purposes.push((step, Purpose::Must));
            }
        }
        Ok(())
    }

    pub(super) fn add_neighbour(
        &mut self,
        step: usize,
        op: &NeighbourOp,
        pending: &mut Pending,
    ) -> Result<(), (usize, Refusal)> {
        match op {
            NeighbourOp::Set { netns, link, address, mac } => {
                let index = self.index_of(step, netns, link.as_str(), pending)?;
                self.turn_to(netns, pending)?;
                let known = Neighbour {
                    link: index,
                    address: *address,
                    mac: Some(hardware(*mac)),
                    state: State::Permanent,
                    flags: 0,
                };
                pending.requests.replace_neighbour(link.as_str(), &known);
                pending.purposes.push((step, Purpose::Must));
            }
            NeighbourOp::Delete { netns, link, address } => {
                let index = self.index_of(step, netns, link.as_str(), pending)?;
                self.turn_to(netns, pending)?;
                let entry = Neighbour {
                    link: index,
                    address: *address,
                    mac: None,
                    state: State::Reachable,
                    flags: 0,
                };
                pending.requests.delete_neighbour(link.as_str(), &entry);
                pending.purposes.push((step, Purpose::MayBeAbsent));
            }
            NeighbourOp::Greet { .. } | NeighbourOp::Announce { .. } => {}
        }
        Ok(())
    }
}

fn prefix(net: IpNet) -> Prefix {
    Prefix::new(net.addr(), net.prefix_len())
}

fn default_route(via: IpAddr, link: LinkIndex) -> Route {
    let hop = NextHop { gateway: Some(via), link: Some(link), ..NextHop::default() };
    Route::new(Prefix::all(Family::of(via)), hop)
}

fn static_route(route: StaticRoute, link: LinkIndex) -> Route {
    let hop = NextHop { gateway: Some(route.via), link: Some(link), ..NextHop::default() };
    Route::new(prefix(route.to), hop)
}

fn names_route(source: Ipv4Addr, link: LinkIndex) -> Route {
    let to = Prefix::new(NAMES.into(), 32);
    let hop = NextHop { link: Some(link), ..NextHop::default() };
    Route { table: TABLE_LOCAL, preferred_source: Some(source.into()), ..Route::new(to, hop) }
}

/// As the kernel makes it for an address: `fib_add_ifaddr()` in net/ipv4/fib_frontend.c, `addrconf_prefix_route()` in
/// net/ipv6/addrconf.c.
fn subnet_route(link: LinkIndex, address: IpNet) -> Route {
    /// `IP6_RT_PRIO_ADDRCONF`
    const ADDRESS_METRIC: u32 = 256;
    let subnet = prefix(address.trunc());
    let (metric, source) = match address {
        IpNet::V4(net) => (None, Some(net.addr().into())),
        IpNet::V6(_) => (Some(ADDRESS_METRIC), None),
    };
    Route { protocol: PROTOCOL_KERNEL, metric, preferred_source: source, ..Route::on(subnet, link) }
}

fn loopback_route(link: LinkIndex, metric: u32) -> Route {
    let to = Prefix::new(Ipv6Addr::LOCALHOST.into(), 128);
    let hop = NextHop { link: Some(link), ..NextHop::default() };
    Route { kind: RouteType::Local, table: TABLE_LOCAL, metric: Some(metric), ..Route::new(to, hop) }
}
