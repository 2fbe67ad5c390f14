//! Links of a plan.

use std::net::IpAddr;
use std::os::fd::AsFd;
use std::time::Instant;

use pontoon_model::op::{DevConf, LinkMark, LinkMending, LinkOp, LinkSettings, Netns as Where, VethPeer};
use pontoon_model::{IfName, Mac};
use pontoon_netlink::link::{
    AddrGenMode, BridgeOptions, DelLink, HwAddr, Ipv4Conf, Kind, Link, LinkIndex, NewLink, Peer, PortOptions,
    SetLink,
};

use pontoon_netlink::route::{GetRoute, RouteType};

use super::{BECOMING_LOCAL, Executor, Pending, Purpose, Refusal, VANISHING, id_of, name_of};
use crate::link as links;
use crate::route;
use crate::socket::Requests;

impl Executor {
    pub(super) fn add_link(
        &mut self,
        step: usize,
        op: &LinkOp,
        pending: &mut Pending,
    ) -> Result<(), (usize, Refusal)> {
        match op {
            LinkOp::AddBridge { name, mark, mtu } => {
                self.turn_to(&Where::Host, pending)?;
                pending.bridge(step, name, mark);
                self.made(step, &Where::Host, name, mark, pending)?;
                pending.keep_mtu(step, name, *mtu);
                Ok(())
            }
            LinkOp::AddVeth { netns, name, mark, master, peer, mtu } => {
                let master = match master {
                    Some(master) => Some(self.index_of(step, netns, master.as_str(), pending)?),
                    None => None,
                };
                self.turn_to(netns, pending)?;
                self.veth(step, &Veth { netns, name, mark, master, peer, mtu: *mtu }, pending)
            }
            LinkOp::Set { netns, name, settings } => {
                let master = match &settings.master {
                    Some(master) => Some(self.index_of(step, netns, master.as_str(), pending)?),
                    None => None,
                };
                self.turn_to(netns, pending)?;
                pending.set(step, name, settings, master);
                Ok(())
            }
            LinkOp::Mend { .. } | LinkOp::Delete { .. } | LinkOp::Vanish { .. } | LinkOp::Settle { .. } => {
                Ok(())
            }
        }
    }

    fn veth(&mut self, step: usize, veth: &Veth<'_>, pending: &mut Pending) -> Result<(), (usize, Refusal)> {
        if !self.reach(&veth.peer.netns).map_err(|error| (step, error))? {
            return Err((step, Refusal::Gone(name_of(&veth.peer.netns))));
        }
        let inside = id_of(&veth.peer.netns).map(|id| self.inside.get(&id));
        // Without a namespace, the other end is made beside the first.
        let netns = match inside {
            Some(Some(inside)) => Some(inside.netns.as_fd()),
            Some(None) => return Err((step, Refusal::Gone(name_of(&veth.peer.netns)))),
            None => None,
        };
        let peer = Peer {
            name: veth.peer.name.as_str(),
            mac: Some(hardware(veth.peer.mac)),
            mtu: veth.mtu,
            netns,
            ..Peer::default()
        };
        let pair = NewLink {
            mac: Some(hardware(veth.mark.mac)),
            mtu: veth.mtu,
            master: veth.master,
            echo: true,
            ..NewLink::veth(veth.name.as_str(), peer)
        };
        pending.requests.new_link(&pair);
        let first = (id_of(veth.netns), veth.name.to_string());
        let second = (id_of(&veth.peer.netns), veth.peer.name.to_string());
        pending.purposes.push((step, Purpose::Veth { first, second }));
        self.made(step, veth.netns, veth.name, veth.mark, pending)
    }

    /// Marks a new link once it is known to be the new one: a batch goes on after a refusal, and would mark (and
    /// change) the link that has the name already, which the undo would then take for ours.
    fn made(
        &mut self,
        step: usize,
        netns: &Where,
        name: &IfName,
        mark: &LinkMark,
        pending: &mut Pending,
    ) -> Result<(), (usize, Refusal)> {
        self.flush(pending)?;
        self.turn_to(netns, pending)?;
        pending.mark(step, name, mark);
        Ok(())
    }

    /// Deletes a link if it carries the mark.
    pub(super) fn delete(&mut self, netns: &Where, name: &IfName, mark: &LinkMark) -> Result<(), Refusal> {
        let Some(link) = self.link(netns, name.as_str())? else { return Ok(()) };
        if !carries(&link, mark) {
            return Ok(());
        }
        match links::delete(self.socket(netns)?, &DelLink::One(link.index.into())) {
            Err(error) if error.is_not_found() => Ok(()),
            result => Ok(result?),
        }
    }

    /// Puts back what was changed at a link; at one of somebody else's nothing.
    pub(super) fn mend(
        &mut self,
        netns: &Where,
        name: &IfName,
        mark: &LinkMark,
        mending: &LinkMending,
    ) -> Result<(), Refusal> {
        let link = self.link(netns, name.as_str())?.filter(|link| is_known_by(link, mark));
        let Some(link) = link else { return Err(Refusal::NoLink(name.to_string())) };
        let set = || SetLink::new(link.index);
        let mut requests = Requests::new();
        if mending.mark {
            // Told its address anew, a link forgets its neighbours, though it be the same (`neigh_changeaddr()`).
            let mac = Some(hardware(mark.mac)).filter(|mac| link.mac != Some(*mac));
            requests.set_link(&SetLink { mac, alias: Some(mark.alias.as_str()), ..set() });
        }
        if mending.mtu.is_some() {
            requests.set_link(&SetLink { mtu: mending.mtu, ..set() });
        }
        if mending.bridge {
            // While there is a spanning tree, the kernel takes no forward delay of 0 (`br_set_forward_delay()`).
            let bridge = BridgeOptions { stp: Some(false), ..BridgeOptions::default() };
            requests.set_link(&SetLink { bridge, ..set() });
            requests.set_link(&SetLink { bridge: bridge_options(), ..set() });
        }
        if mending.isolated.is_some() {
            let on = Some(true);
            let port = PortOptions {
                isolated: mending.isolated,
                learning: on,
                unicast_flood: on,
                mcast_flood: on,
                bcast_flood: on,
                ..PortOptions::default()
            };
            requests.set_link(&SetLink { port, ..set() });
        }
        self.socket(netns)?.run(&mut requests).map_err(crate::error::KernelError::from)?;
        Ok(())
    }

    pub(super) fn vanish(&mut self, name: &IfName, mark: &LinkMark) -> Result<(), Refusal> {
        let start = Instant::now();
        while start.elapsed() < VANISHING {
            match self.link(&Where::Host, name.as_str())? {
                Some(link) if carries(&link, mark) => std::thread::sleep(std::time::Duration::from_millis(4)),
                _ => return Ok(()),
            }
        }
        self.delete(&Where::Host, name, mark)
    }

    /// Asking for a link runs the kernel's pending carrier work for it (`rtnl_getlink()` flushes `linkwatch`).
    pub(super) fn settle(&mut self, names: &[IfName], others: &[(Where, IfName)]) -> Result<(), Refusal> {
        let mut requests = Requests::new();
        for name in names {
            requests.get_link(name.as_str());
        }
        self.host.run(&mut requests).map_err(crate::error::KernelError::from)?;
        for (place, name) in others {
            self.link(place, name.as_str())?;
        }
        Ok(())
    }
}

impl Executor {
    /// Waits, for a while, until the kernel answers for the addresses. One that it never answers for shows itself soon
    /// enough; an attachment does not fail for it.
    pub(super) fn await_local(&mut self, addresses: &[(Where, IpAddr)]) -> Result<(), Refusal> {
        for (place, address) in addresses {
            let start = Instant::now();
            loop {
                match route::get(self.socket(place)?, &GetRoute::to(*address)) {
                    Ok(found) if found.kind == RouteType::Local => break,
                    Err(error) if !error.is_unreachable() => return Err(error.into()),
                    _ if start.elapsed() > BECOMING_LOCAL => break,
                    _ => std::thread::sleep(std::time::Duration::from_micros(30)),
                }
            }
        }
        Ok(())
    }
}

/// A veth pair to be made.
struct Veth<'a> {
    netns: &'a Where,
    name: &'a IfName,
    mark: &'a LinkMark,
    master: Option<LinkIndex>,
    peer: &'a VethPeer,
    mtu: Option<u32>,
}

impl Pending {
    fn bridge(&mut self, step: usize, name: &IfName, mark: &LinkMark) {
        let kind = Kind::Bridge(bridge_options());
        let link = NewLink { mac: Some(hardware(mark.mac)), ..NewLink::new(name.as_str(), kind) };
        self.requests.new_link(&link);
        self.purposes.push((step, Purpose::Must));
    }

    /// An MTU that a bridge is created with goes with its last port; one that it is given afterwards stays
    /// (`BROPT_MTU_SET_BY_USER` in the kernel's net/bridge/br_device.c).
    fn keep_mtu(&mut self, step: usize, name: &IfName, mtu: Option<u32>) {
        if mtu.is_some() {
            self.requests.set_link(&SetLink { mtu, ..SetLink::new(name.as_str()) });
            self.purposes.push((step, Purpose::Must));
        }
    }

    fn mark(&mut self, step: usize, name: &IfName, mark: &LinkMark) {
        self.requests.set_link(&SetLink { alias: Some(&mark.alias), ..SetLink::new(name.as_str()) });
        self.purposes.push((step, Purpose::Must));
    }

    /// Up goes last and alone: the kernel brings a link up before it looks at the other settings of a request.
    fn set(&mut self, step: usize, name: &IfName, settings: &LinkSettings, master: Option<LinkIndex>) {
        if master.is_some() {
            self.requests.set_link(&SetLink { master: Some(master), ..SetLink::new(name.as_str()) });
            self.purposes.push((step, Purpose::Must));
        }
        let conf: Vec<(Ipv4Conf, u32)> =
            settings.devconf.iter().map(|(conf, on)| (number(*conf), u32::from(*on))).collect();
        if settings.no_autoconf || !conf.is_empty() {
            let addr_gen_mode = settings.no_autoconf.then_some(AddrGenMode::None);
            self.requests.set_link(&SetLink {
                addr_gen_mode,
                ipv4_conf: &conf,
                ..SetLink::new(name.as_str())
            });
            self.purposes.push((step, Purpose::Must));
        }
        if settings.isolated || settings.hairpin {
            let on = |wanted: bool| wanted.then_some(true);
            let (isolated, hairpin) = (on(settings.isolated), on(settings.hairpin));
            let port = PortOptions { isolated, hairpin, ..PortOptions::default() };
            self.requests.set_link(&SetLink { port, ..SetLink::new(name.as_str()) });
            self.purposes.push((step, Purpose::Must));
        }
        if settings.up {
            self.requests.set_link(&SetLink::up(name.as_str()));
            self.purposes.push((step, Purpose::Must));
        }
    }
}

/// What bridges are made with.
fn bridge_options() -> BridgeOptions {
    BridgeOptions {
        stp: Some(false),
        forward_delay: Some(0),
        mcast_snooping: Some(false),
        no_linklocal_learn: Some(true),
        ..BridgeOptions::default()
    }
}

/// Whether a link has half of the mark at least: somebody may have changed the other.
fn is_known_by(link: &Link, mark: &LinkMark) -> bool {
    link.alias.as_deref() == Some(mark.alias.as_str()) || link.mac == Some(hardware(mark.mac))
}

/// Whether a link is the one that was marked. One whose alias is not set yet was cut off between creation and mark,
/// and its Ethernet address, which was given at the creation, tells.
pub fn carries(link: &Link, mark: &LinkMark) -> bool {
    match link.alias.as_deref() {
        Some(alias) if !alias.is_empty() => alias == mark.alias,
        _ => link.mac == Some(hardware(mark.mac)),
    }
}

pub(super) fn hardware(mac: Mac) -> HwAddr {
    HwAddr(mac.octets())
}

fn number(conf: DevConf) -> Ipv4Conf {
    match conf {
        DevConf::Forwarding => Ipv4Conf::Forwarding,
        DevConf::ArpNotify => Ipv4Conf::ArpNotify,
        DevConf::RouteLocalnet => Ipv4Conf::RouteLocalnet,
    }
}
