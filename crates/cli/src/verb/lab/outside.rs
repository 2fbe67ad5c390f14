//! What is around the throw-away host: a router that answers for the rest of the world.

use std::net::IpAddr;

use ipnet::IpNet;
use pontoon_kernel::execute::Executor;
use pontoon_kernel::netns::Netns as OpenNetns;
use pontoon_model::op::{
    AddressOp, LinkMark, LinkOp, LinkSettings, Netns, NetnsOp, NetnsPlace, RouteOp, VethPeer,
};
use pontoon_model::{IfName, Mac};
use pontoon_plan::Plan;

use crate::failure::Failure;

/// The outside's name in `/run/netns`.
const NAME: &str = "outside";
/// The interface at both ends.
const UPLINK: &str = "eth0";

/// The host's own addresses. Documentation prefixes: RFC 5737, RFC 3849. The link-local ones are what neighbours are
/// asked from.
const HOST: [&str; 3] = ["192.0.2.2/24", "2001:db8:1::2/64", "fe80::2/64"];
/// The outside's.
const OUTSIDE: [&str; 5] =
    ["192.0.2.1/24", "198.51.100.1/32", "2001:db8:1::1/64", "2001:db8:2::1/128", "fe80::1/64"];
/// The host's way out.
const ROUTERS: [&str; 2] = ["192.0.2.1", "2001:db8:1::1"];

/// A namespace behind the host's `eth0`.
#[derive(Debug)]
pub(super) struct Outside {
    pub(super) netns: OpenNetns,
}

impl Outside {
    /// An address that can only be reached through the router.
    pub(super) const FAR: &str = "198.51.100.1";
    /// The host's address as the outside should see it.
    pub(super) const HOST: &str = "192.0.2.2";

    /// Makes it, and the host's way there.
    pub(super) fn build() -> Result<Self, Failure> {
        let netns = OpenNetns::create()?;
        let mut executor = Executor::open()?;
        executor.adopt(netns.try_clone()?)?;
        executor.run(&plan(&netns).steps)?;
        Ok(Self { netns })
    }
}

fn plan(netns: &OpenNetns) -> Plan {
    let (host, outside) =
        (Netns::Host, Netns::Other { place: NetnsPlace::Named(NAME.into()), id: netns.id() });
    let mut plan = Plan::default();
    plan.push(NetnsOp::Add { name: NAME.into(), id: netns.id() }, "the outside");
    up(&mut plan, &outside, &name("lo"));
    let uplink = name(UPLINK);
    let add = LinkOp::AddVeth {
        netns: host.clone(),
        name: uplink.clone(),
        mark: LinkMark { alias: "the way out of the lab".into(), mac: Mac::local([2, 0, 0, 0, 0, 2]) },
        master: None,
        peer: VethPeer { netns: outside.clone(), name: uplink.clone(), mac: Mac::local([2, 0, 0, 0, 0, 1]) },
        mtu: None,
    };
    plan.push(add, "the host's uplink");
    for (place, addresses) in [(&host, HOST.as_slice()), (&outside, OUTSIDE.as_slice())] {
        let settings = LinkSettings { no_autoconf: true, ..LinkSettings::default() };
        plan.push(
            LinkOp::Set { netns: place.clone(), name: uplink.clone(), settings },
            "its addresses are given",
        );
        for address in addresses {
            let address: IpNet = address.parse().expect("constant");
            plan.push(AddressOp::Add { netns: place.clone(), link: uplink.clone(), address }, "an address");
        }
        up(&mut plan, place, &uplink);
    }
    let others = vec![(host.clone(), uplink.clone()), (outside, uplink.clone())];
    plan.push(LinkOp::Settle { names: Vec::new(), others, addresses: Vec::new() }, "the first packet passes");
    for router in ROUTERS {
        let via: IpAddr = router.parse().expect("constant");
        plan.push(
            RouteOp::Default { netns: host.clone(), via, link: uplink.clone(), previous: None },
            "the way out",
        );
    }
    plan
}

fn up(plan: &mut Plan, netns: &Netns, link: &IfName) {
    let settings = LinkSettings { up: true, ..LinkSettings::default() };
    plan.push(LinkOp::Set { netns: netns.clone(), name: link.clone(), settings }, "it works");
}

fn name(text: &str) -> IfName {
    text.parse().expect("constant")
}
