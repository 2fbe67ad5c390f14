//! Links, and what goes along with them: addresses, neighbours, settings, routes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use pontoon_model::op::{AddressOp, LinkMark, LinkOp, LinkSettings, NeighbourOp, Netns, VethPeer};
use pontoon_model::sandbox::NetnsId;
use pontoon_model::{IfName, Mac};

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
    mtu: Option<u32>,
    master: Option<String>,
    isolated: bool,
    hairpin: bool,
    no_autoconf: bool,
    addresses: BTreeSet<IpNet>,
    neighbours: BTreeMap<IpAddr, Mac>,
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
            mtu: None,
            master: None,
            isolated: false,
            hairpin: false,
            no_autoconf: false,
            addresses: BTreeSet::new(),
            neighbours: BTreeMap::new(),
        }
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
            LinkOp::Delete { netns, name, mark } => self.delete(netns, name, mark),
            LinkOp::Vanish { name, mark } => self.delete(&Netns::Host, name, mark),
            LinkOp::Mend { .. } => unreachable!("nobody changes links here"),
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
        link.up |= settings.up;
        for (conf, on) in &settings.devconf {
            link.sysctls.insert(conf.name().to_owned(), u32::from(*on).to_string());
        }
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
    pub(super) fn delete_link(&mut self, id: Option<NetnsId>, name: &str) {
        let Some(space) = self.spaces.get_mut(&id) else { return };
        let Some(link) = space.links.remove(name) else { return };
        space.routes.retain(|_, (_, through)| through != name);
        for port in space.links.values_mut().filter(|port| port.master.as_deref() == Some(name)) {
            port.master = None;
        }
        if let Kind::Veth(other, peer) = link.kind {
            self.delete_link(other, &peer);
        }
    }

    pub(super) fn address(&mut self, op: &AddressOp) -> Result<(), Refusal> {
        match op {
            AddressOp::Add { netns, link, address } => {
                let new = self.found(netns, link)?.addresses.insert(*address);
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
