//! Addresses, routes and neighbours of a plan.

use std::net::IpAddr;

use ipnet::IpNet;
use pontoon_model::op::{AddressOp, NeighbourOp, RouteOp};
use pontoon_netlink::address::Address;
use pontoon_netlink::link::LinkIndex;
use pontoon_netlink::neighbour::{Neighbour, State};
use pontoon_netlink::route::{NextHop, Route};
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
        let (RouteOp::Default { netns, via, link, .. } | RouteOp::DeleteDefault { netns, via, link }) = op;
        let index = self.index_of(step, netns, link.as_str(), pending)?;
        self.turn_to(netns, pending)?;
        let route = default_route(*via, index);
        match op {
            RouteOp::Default { .. } => {
                pending.requests.replace_route(&route);
                pending.purposes.push((step, Purpose::Must));
            }
            RouteOp::DeleteDefault { .. } => {
                pending.requests.delete_route(&route);
                pending.purposes.push((step, Purpose::MayBeAbsent));
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
            NeighbourOp::Announce { .. } => {}
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
