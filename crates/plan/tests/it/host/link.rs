//! Links, and what goes along with them: addresses, neighbours, settings, routes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use pontoon_model::op::{
    AddressOp, DevConf, LinkMark, LinkMending, LinkOp, LinkSettings, NeighbourOp, Netns, Shape, VethPeer,
};
use pontoon_model::sandbox::NetnsId;
use pontoon_model::{IfName, Mac};
use pontoon_plan::drift::{SeenLink, SeenPort, SeenRoutes};

use super::{Host, Refusal, id_of};

/// What a link is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Loopback,
    Bridge,
    /// One end of a pair, and where the other is.
    Veth(Option<NetnsId>, String),
}

/// A link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) kind: Kind,
    pub(crate) mac: Mac,
    pub(crate) alias: Option<String>,
    pub(crate) up: bool,
    pub(super) sysctls: BTreeMap<String, String>,
    /// What its queueing disciplines do.
    pub(crate) shape: Shape,
    mtu: Option<u32>,
    master: Option<String>,
    isolated: bool,
    hairpin: bool,
    no_autoconf: bool,
    stp: bool,
    addresses: BTreeSet<IpNet>,
    neighbours: BTreeMap<IpAddr, Mac>,
    /// Subnets whose route somebody deleted.
    routeless: BTreeSet<IpNet>,
}

impl Link {
    /// The port as if it had never given frames back.
    pub(super) fn forget_hairpin(&mut self) {
        self.hairpin = false;
    }

    pub(crate) fn new(kind: Kind, mac: Mac) -> Self {
        Self {
            kind,
            mac,
            alias: None,
            up: false,
            sysctls: BTreeMap::new(),
            shape: Shape::default(),
            mtu: None,
            master: None,
            isolated: false,
            hairpin: false,
            no_autoconf: false,
            stp: false,
            addresses: BTreeSet::new(),
            neighbours: BTreeMap::new(),
            routeless: BTreeSet::new(),
        }
    }

    /// Somebody changes it.
    pub(crate) fn damage(&mut self, what: usize) {
        match what % 11 {
            0 => self.up = false,
            1 => self.alias = Some("mine".to_owned()),
            2 => self.alias = None,
            3 => drop(self.addresses.pop_first()),
            4 => self.master = None,
            5 => self.isolated = !self.isolated && self.master.is_some(),
            6 => self.hairpin = false,
            7 => self.stp = self.kind == Kind::Bridge,
            8 => self.shape = Shape::default(),
            9 => self.sysctls.retain(|key, _| key != "forwarding" && key != super::LOCAL_ROUTE),
            _ => self.routeless.extend(self.addresses.iter().map(IpNet::trunc)),
        }
        // A port that is none has no options of one.
        if self.master.is_none() {
            (self.isolated, self.hairpin) = (false, false);
        }
    }

    /// The link as it is seen by whoever looks; indexes are numbers of names.
    pub(crate) fn seen(&self, index: impl Fn(&str) -> u32, name: &str) -> SeenLink {
        let port = SeenPort { isolated: self.isolated, hairpin: self.hairpin, plain: true };
        let conf = [DevConf::Forwarding, DevConf::RouteLocalnet];
        let on = |conf: DevConf| self.sysctls.get(conf.name()).is_some_and(|value| value == "1");
        let subnets = self.addresses.iter().map(IpNet::trunc).filter(|net| !self.routeless.contains(net));
        SeenLink {
            index: index(name),
            alias: self.alias.clone(),
            mac: Some(self.mac.octets()),
            up: self.up,
            mtu: self.mtu.unwrap_or(1500),
            master: self.master.as_deref().map(index),
            autoconf: Some(!self.no_autoconf),
            as_made: (self.kind == Kind::Bridge).then_some(!self.stp),
            port: self.master.is_some().then_some(port),
            conf: conf.into_iter().map(|conf| (conf, on(conf))).collect(),
            addresses: Some(self.addresses.iter().copied().collect()),
            impaired: None,
            routes: Some(SeenRoutes {
                subnets: subnets.collect(),
                loopback: self.sysctls.contains_key(super::LOCAL_ROUTE),
            }),
        }
    }

    /// Has the settings of another one that are not our networks' own.
    pub(crate) fn sysctls_of(&mut self, other: &Self) {
        let own = |key: &String| key.contains("log_martians") || key == "arp_notify";
        self.sysctls
            .extend(other.sysctls.iter().filter(|(key, _)| own(key)).map(|(k, v)| (k.clone(), v.clone())));
    }

    pub(super) fn route_again(&mut self, address: &IpNet) {
        self.routeless.remove(&address.trunc());
    }

    /// Whether an address of the link has `address` in its subnet.
    pub(super) fn reaches(&self, address: IpAddr) -> bool {
        self.addresses.iter().any(|own| own.contains(&address) && own.addr() != address)
    }

    fn carries(&self, mark: &LinkMark) -> bool {
        self.alias.as_ref().map_or(self.mac == mark.mac, |alias| *alias == mark.alias)
    }
}

impl Host {
    pub(super) fn link(&mut self, op: &LinkOp) -> Result<(), Refusal> {
        self.create(op)?;
        match op {
            LinkOp::AddBridge { name, mark, .. } => self.mark(&Netns::Host, name, mark),
            LinkOp::AddVeth { netns, name, mark, .. } => self.mark(netns, name, mark),
            LinkOp::Set { netns, name, settings } => self.set(netns, name, settings),
            LinkOp::Mend { netns, name, mark, mending } => self.mend(netns, name, mark, mending),
            LinkOp::Delete { netns, name, mark } => self.delete(netns, name, mark),
            LinkOp::Vanish { name, mark } => self.delete(&Netns::Host, name, mark),
            LinkOp::Settle { names, others, .. } => {
                let host = names.iter().map(|name| (&Netns::Host, name));
                let others = others.iter().map(|(netns, name)| (netns, name));
                host.chain(others).try_for_each(|(netns, name)| self.found(netns, name).map(drop))
            }
        }
    }

    /// The first half of an operation that makes a link: it is there, but does not carry its alias.
    pub(crate) fn create(&mut self, op: &LinkOp) -> Result<(), Refusal> {
        match op {
            LinkOp::AddBridge { name, mark, mtu } => {
                let link = Link { mtu: *mtu, ..Link::new(Kind::Bridge, mark.mac) };
                self.insert(&Netns::Host, name, link)
            }
            LinkOp::AddVeth { netns, name, mark, master, peer, mtu } => {
                let ends = (mark.mac, *mtu, master.as_ref());
                self.create_pair(netns, name, peer, ends)
            }
            _ => Ok(()),
        }
    }

    fn create_pair(
        &mut self,
        netns: &Netns,
        name: &IfName,
        peer: &VethPeer,
        (mac, mtu, master): (Mac, Option<u32>, Option<&IfName>),
    ) -> Result<(), Refusal> {
        if let Some(master) = master {
            self.bridge(netns, master)?;
        }
        if self.space(&peer.netns)?.links.contains_key(peer.name.as_str()) {
            return Err(Refusal::Exists(peer.name.to_string()));
        }
        let here = Kind::Veth(id_of(&peer.netns), peer.name.to_string());
        let there = Kind::Veth(id_of(netns), name.to_string());
        let master = master.map(ToString::to_string);
        self.insert(netns, name, Link { mtu, master, ..Link::new(here, mac) })?;
        self.insert(&peer.netns, &peer.name, Link { mtu, ..Link::new(there, peer.mac) })
    }

    fn insert(&mut self, netns: &Netns, name: &IfName, link: Link) -> Result<(), Refusal> {
        let links = &mut self.space(netns)?.links;
        if links.contains_key(name.as_str()) {
            return Err(Refusal::Exists(name.to_string()));
        }
        links.insert(name.to_string(), link);
        Ok(())
    }

    fn found(&mut self, netns: &Netns, name: &IfName) -> Result<&mut Link, Refusal> {
        self.space(netns)?.links.get_mut(name.as_str()).ok_or_else(|| Refusal::NoLink(name.to_string()))
    }

    fn bridge(&mut self, netns: &Netns, name: &IfName) -> Result<(), Refusal> {
        let is_bridge = self.found(netns, name)?.kind == Kind::Bridge;
        is_bridge.then_some(()).ok_or_else(|| Refusal::Not(format!("{name} is not a bridge")))
    }

    fn enslave(&mut self, netns: &Netns, name: &IfName, master: &IfName) -> Result<(), Refusal> {
        self.bridge(netns, master)?;
        self.found(netns, name)?.master = Some(master.to_string());
        Ok(())
    }

    fn mark(&mut self, netns: &Netns, name: &IfName, mark: &LinkMark) -> Result<(), Refusal> {
        self.found(netns, name)?.alias = Some(mark.alias.clone());
        Ok(())
    }

    fn set(&mut self, netns: &Netns, name: &IfName, settings: &LinkSettings) -> Result<(), Refusal> {
        if let Some(master) = &settings.master {
            self.enslave(netns, name, master)?;
        }
        let link = self.found(netns, name)?;
        if settings.isolated && link.master.is_none() {
            return Err(Refusal::Not(format!("{name} is not a bridge port")));
        }
        link.no_autoconf |= settings.no_autoconf;
        link.isolated |= settings.isolated;
        link.hairpin |= settings.hairpin;
        if settings.up && !link.up {
            // The kernel makes the routes to its subnets again.
            link.routeless.clear();
        }
        link.up |= settings.up;
        for (conf, on) in &settings.devconf {
            link.sysctls.insert(conf.name().to_owned(), u32::from(*on).to_string());
        }
        Ok(())
    }

    fn mend(
        &mut self,
        netns: &Netns,
        name: &IfName,
        mark: &LinkMark,
        mending: &LinkMending,
    ) -> Result<(), Refusal> {
        let link = self.found(netns, name)?;
        if link.mac != mark.mac && link.alias.as_ref() != Some(&mark.alias) {
            return Err(Refusal::NoLink(name.to_string()));
        }
        if mending.mark {
            if link.mac != mark.mac {
                link.neighbours.clear();
            }
            (link.mac, link.alias) = (mark.mac, Some(mark.alias.clone()));
        }
        // What it was made without, it has as the kernel's default.
        link.mtu = mending.mtu.filter(|mtu| *mtu != 1500).or(link.mtu.filter(|_| mending.mtu.is_none()));
        link.isolated = mending.isolated.unwrap_or(link.isolated);
        link.stp &= !mending.bridge;
        Ok(())
    }

    fn delete(&mut self, netns: &Netns, name: &IfName, mark: &LinkMark) -> Result<(), Refusal> {
        let ours = self.space(netns)?.links.get(name.as_str()).is_some_and(|link| link.carries(mark));
        if ours {
            self.delete_link(id_of(netns), name.as_str());
        }
        Ok(())
    }

    /// A link goes: with it the other end, its ports' master and the routes through it.
    pub(crate) fn delete_link(&mut self, id: Option<NetnsId>, name: &str) {
        let Some(space) = self.spaces.get_mut(&id) else { return };
        let Some(link) = space.links.remove(name) else { return };
        space.routes.retain(|_, (_, through)| through != name);
        space.given.retain(|_, (_, through)| through != name);
        for port in space.links.values_mut().filter(|port| port.master.as_deref() == Some(name)) {
            (port.master, port.isolated, port.hairpin) = (None, false, false);
        }
        if let Kind::Veth(other, peer) = link.kind {
            self.delete_link(other, &peer);
        }
    }

    pub(super) fn address(&mut self, op: &AddressOp) -> Result<(), Refusal> {
        match op {
            AddressOp::Add { netns, link, address } => {
                let link = self.found(netns, link)?;
                // The kernel makes the route to its subnet along with it.
                link.route_again(address);
                let new = link.addresses.insert(*address);
                new.then_some(()).ok_or_else(|| Refusal::Exists(address.to_string()))
            }
            AddressOp::Delete { netns, link, address } => {
                self.found(netns, link)?.addresses.remove(address);
                Ok(())
            }
        }
    }

    pub(super) fn neighbour(&mut self, op: &NeighbourOp) -> Result<(), Refusal> {
        match op {
            NeighbourOp::Set { netns, link, address, mac } => {
                let found = self.found(netns, link)?;
                if !found.up {
                    return Err(Refusal::Not(format!("{link} is down")));
                }
                found.neighbours.insert(*address, *mac);
            }
            NeighbourOp::Delete { netns, link, address } => {
                self.found(netns, link)?.neighbours.remove(address);
            }
            // Nobody hears it.
            NeighbourOp::Greet { netns, .. } => {
                self.space(netns)?;
            }
            NeighbourOp::Announce { netns, link, .. } => {
                self.found(netns, link)?;
            }
        }
        Ok(())
    }
}
