//! A network that moves to other subnets, with the containers on it.
//!
//! First everything is added: the bridge's new addresses, each container's new addresses and what they need; then
//! default routes and published ports are turned to them. Up to there the old addresses work, and all of it can be
//! undone ([`Move::arrive`](Renumber::arrive)). When the records say so, the old ones are taken away
//! ([`Renumber::leave`]), which can only be finished.

mod address;

use pontoon_model::network::AddressPool;
use pontoon_model::op::{AddressOp, FileOp, LinkOp, NeighbourOp, Netns};
use pontoon_model::{Endpoint, Network};

use crate::endpoint::{DefaultRoutes, bridge_speaks_ipv6, change_routes};
use crate::publish::{self, Published};
use crate::{Instance, Plan, guard};

pub use address::{Asked, RenumberError, addresses, check_segments, pool};

/// A network before and after, and everybody on it.
#[derive(Debug, Clone, Copy)]
pub struct Renumber<'a> {
    /// Whose objects.
    pub instance: &'a Instance,
    /// The network as it is.
    pub before: &'a Network,
    /// The network as it is to be: only its pools are other ones.
    pub after: &'a Network,
    /// The containers on it.
    pub moves: &'a [Move<'a>],
}

/// A container on the network.
#[derive(Debug, Clone)]
pub struct Move<'a> {
    /// Its name, for the reasons.
    pub sandbox: &'a str,
    /// Its namespace.
    pub netns: Netns,
    /// Its place on the network as it is.
    pub before: &'a Endpoint,
    /// Its place as it is to be: only the addresses are other ones.
    pub after: &'a Endpoint,
    /// Default routes before and after.
    pub routes: (DefaultRoutes, DefaultRoutes),
    /// Published ports before and after.
    pub published: (Published<'a>, Published<'a>),
    /// Whether neighbours may remember somebody else at one of the new addresses.
    pub announce: bool,
    /// What is changed in files that have its addresses.
    pub files: &'a [FileOp],
}

/// One family's addresses of the network, before and after.
type Pools<'a> = (&'a AddressPool, &'a AddressPool);

impl<'a> Renumber<'a> {
    /// The pools that are other ones afterwards.
    fn pools(&self) -> impl Iterator<Item = Pools<'a>> {
        let (before, after) = (self.before, self.after);
        let pairs = [before.v4.as_ref().zip(after.v4.as_ref()), before.v6.as_ref().zip(after.v6.as_ref())];
        pairs.into_iter().flatten().filter(|(before, after)| before != after)
    }

    /// The new pool of IPv6, if that moves and the host speaks it there.
    fn moved_v6(&self) -> Option<Pools<'a>> {
        self.pools().find(|(_, after)| after.subnet.addr().is_ipv6() && bridge_speaks_ipv6(self.after))
    }

    /// The steps that make the network and its containers be at the new addresses, beside the old ones.
    pub fn arrive(&self) -> Plan {
        let mut plan = Plan::default();
        let (name, bridge) = (&self.after.name, &self.after.bridge_name);
        for (before, after) in self.pools().filter(|(_, after)| self.after.bridge_has_address(after)) {
            let add =
                AddressOp::Add { netns: Netns::Host, link: bridge.clone(), address: after.gateway_net() };
            plan.push(
                add,
                format!("{name}: the gateway of {}, beside {} for now", after.subnet, before.gateway),
            );
        }
        if let Some((_, after)) = self.moved_v6() {
            settle(&mut plan, &Netns::Host, after.gateway, format!("{name}: the host answers for it"));
        }
        for one in self.moves {
            self.add(&mut plan, one);
            change_routes(&mut plan, &one.netns, one.sandbox, &one.routes.0, &one.routes.1);
            self.announce(&mut plan, one);
            let (before, after) = &one.published;
            publish::change(&mut plan, self.instance, one.sandbox, before, after);
            for file in one.files {
                plan.push(file.clone(), format!("{}'s own names stand for its new addresses", one.sandbox));
            }
        }
        plan
    }

    /// The steps that take the old addresses away. Connections to and from them end.
    pub fn leave(&self) -> Plan {
        let mut plan = Plan::default();
        for one in self.moves {
            self.remove(&mut plan, one);
        }
        for (before, _) in self.pools().filter(|(before, _)| self.before.bridge_has_address(before)) {
            let (link, address) = (self.before.bridge_name.clone(), before.gateway_net());
            let delete = AddressOp::Delete { netns: Netns::Host, link, address };
            plan.push(delete, format!("{}: nobody is in {} any more", self.before.name, before.subnet));
        }
        plan
    }

    fn add(&self, plan: &mut Plan, one: &Move<'_>) {
        let Move { sandbox, netns, .. } = one;
        let [allowed, _] = guard::readdress(self.instance, one.before, one.after, sandbox);
        plan.append(allowed);
        for (_, after) in self.pools() {
            let Some(address) = address_in(after, one.after) else { continue };
            let link = one.after.ifname.clone();
            let address = after.with_prefix(address);
            plan.push(
                AddressOp::Add { netns: netns.clone(), link, address },
                format!("{sandbox}'s new address on {}", self.after.name),
            );
        }
        let (Some((_, after)), Some(address)) = (self.moved_v6(), one.after.v6) else { return };
        let (link, mac) = (one.after.ifname.clone(), self.after.bridge_mac);
        let gateway = NeighbourOp::Set { netns: netns.clone(), link, address: after.gateway, mac };
        plan.push(gateway, format!("{sandbox} need not ask for its gateway"));
        let (link, mac) = (self.after.bridge_name.clone(), one.after.mac);
        let host = NeighbourOp::Set { netns: Netns::Host, link, address: address.into(), mac };
        plan.push(host, format!("the host need not ask for {sandbox}"));
        settle(plan, netns, address.into(), format!("{sandbox} answers for it"));
    }

    fn announce(&self, plan: &mut Plan, one: &Move<'_>) {
        if !one.announce {
            return;
        }
        let why = "neighbours may remember an earlier holder of the address";
        for (_, after) in self.pools() {
            match (after.gateway, one.after.v4, one.after.v6) {
                (std::net::IpAddr::V4(to), Some(from), _) => {
                    plan.push(NeighbourOp::Greet { netns: one.netns.clone(), from, to }, why);
                }
                (std::net::IpAddr::V6(_), _, Some(address)) => {
                    let (link, mac) = (one.after.ifname.clone(), one.after.mac);
                    plan.push(NeighbourOp::Announce { netns: one.netns.clone(), link, address, mac }, why);
                }
                _ => {}
            }
        }
    }

    fn remove(&self, plan: &mut Plan, one: &Move<'_>) {
        let Move { sandbox, netns, .. } = one;
        if let (Some((before, _)), Some(address)) = (self.moved_v6(), one.before.v6) {
            let (link, host) = (one.before.ifname.clone(), self.before.bridge_name.clone());
            plan.push(
                NeighbourOp::Delete { netns: netns.clone(), link, address: before.gateway },
                format!("{sandbox} has another gateway"),
            );
            plan.push(
                NeighbourOp::Delete { netns: Netns::Host, link: host, address: address.into() },
                format!("{sandbox} is no longer at {address}"),
            );
        }
        for (before, _) in self.pools() {
            let Some(address) = address_in(before, one.before) else { continue };
            let (link, address) = (one.before.ifname.clone(), before.with_prefix(address));
            plan.push(
                AddressOp::Delete { netns: netns.clone(), link, address },
                format!("{sandbox} is no longer in {}", before.subnet),
            );
        }
        let [_, forbidden] = guard::readdress(self.instance, one.before, one.after, sandbox);
        plan.append(forbidden);
    }
}

fn address_in(pool: &AddressPool, endpoint: &Endpoint) -> Option<std::net::IpAddr> {
    endpoint.addresses().find(|address| address.is_ipv4() == pool.subnet.addr().is_ipv4())
}

/// Waits until an IPv6 address is answered for.
fn settle(plan: &mut Plan, netns: &Netns, address: std::net::IpAddr, why: String) {
    let (names, others) = (Vec::new(), Vec::new());
    plan.push(LinkOp::Settle { names, others, addresses: vec![(netns.clone(), address)] }, why);
}
