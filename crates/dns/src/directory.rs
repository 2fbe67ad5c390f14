//! What containers are called, by network; and who may know.
//!
//! The directory is what [`Directory::set_network`] and [`Directory::set_member`] were last told, in whatever order: a
//! member may be told of before its network. An update costs what the member itself has, a look-up the number of
//! networks that the asking container is on.

mod answer;
mod subnets;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use ipnet::IpNet;
use pontoon_model::{NetworkId, SandboxId};

use crate::name;
use subnets::Subnets;

pub use answer::{Client, Outcome, TTL, Verdict};

/// A network, as far as names are concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkNames {
    /// The network.
    pub id: NetworkId,
    /// What it is called: the last part of `NAME.NETWORK`.
    pub name: String,
    /// There is no way out: containers that are on such networks alone have nothing asked elsewhere.
    pub internal: bool,
    /// Its containers have names. Without, the network still says where its containers can get to, and which addresses
    /// are not to be asked about elsewhere.
    pub enabled: bool,
    /// Its subnets: names for addresses in them are never asked for elsewhere.
    pub subnets: Vec<IpNet>,
    /// The host's addresses on it: what `host.docker.internal` is.
    pub gateways: Vec<IpAddr>,
}

/// A container, and what it is called where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The container.
    pub sandbox: SandboxId,
    /// Its name.
    pub name: String,
    /// The first twelve digits of its id.
    pub short_id: String,
    /// Its host name, which is one of its names as in Docker.
    pub hostname: Option<String>,
    /// The networks that it is on. Where a name is on several, the network by which the query came goes before the
    /// others, and those are in this order.
    pub places: Vec<Place>,
    /// The servers that it asks for other names (`--dns`); those of the host if there are none.
    pub servers: Vec<SocketAddr>,
}

/// A container's place on a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The network.
    pub network: NetworkId,
    /// Its IPv4 address there.
    pub v4: Option<Ipv4Addr>,
    /// Its IPv6 address there.
    pub v6: Option<Ipv6Addr>,
    /// Its further names there, which several containers may share.
    pub aliases: Vec<String>,
    /// Names that it alone has for others there, each with a name that they have there: nobody else is told of them.
    pub links: Vec<(String, String)>,
}

/// A network's number in one directory, as long as anything is known of the network: looking it up by its id takes
/// longer than the rest of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NetworkKey {
    index: u32,
    generation: u32,
}

/// What containers are called, by network.
#[derive(Debug, Default)]
pub struct Directory {
    networks: Vec<Slot>,
    free_networks: Vec<u32>,
    network_index: HashMap<NetworkId, u32>,
    members: Vec<Option<Listed>>,
    free_members: Vec<u32>,
    member_index: HashMap<SandboxId, u32>,
    subnets: Subnets,
    /// Counts answers with several addresses, so that each begins with the next.
    turn: AtomicU32,
}

/// A network that was declared, or that a member says it is on.
#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    id: Option<NetworkId>,
    declared: Option<Declared>,
    names: HashMap<Box<[u8]>, Entry>,
    /// Who has an address.
    holders: HashMap<IpAddr, u32>,
    /// How many members are on it.
    members: u32,
}

#[derive(Debug)]
struct Declared {
    names: NetworkNames,
    /// The network's name as it is looked up; empty if DNS cannot say it.
    suffix: Box<[u8]>,
}

/// A member with the numbers of its networks, in the order of its places.
#[derive(Debug)]
struct Listed {
    member: Member,
    networks: Vec<u32>,
    links: Vec<Linked>,
    servers: Option<Arc<[SocketAddr]>>,
}

/// A name that a member alone has for others on a network.
#[derive(Debug)]
struct Linked {
    network: u32,
    alias: Box<[u8]>,
    name: Box<[u8]>,
}

/// The addresses of a name, with who has them.
#[derive(Debug, Default)]
struct Entry {
    v4: Vec<(u32, Ipv4Addr)>,
    v6: Vec<(u32, Ipv6Addr)>,
    /// How many members have the name, with or without addresses.
    members: u32,
}

impl Directory {
    /// Declares a network, or changes what is known of it. Returns its number, which stays the same until the network is
    /// removed and no member is on it.
    pub fn set_network(&mut self, names: NetworkNames) -> NetworkKey {
        let index = self.network(&names.id);
        let slot = &mut self.networks[index as usize];
        if let Some(before) = slot.declared.take() {
            before.names.subnets.iter().for_each(|subnet| self.subnets.remove(subnet));
        }
        names.subnets.iter().for_each(|subnet| self.subnets.add(subnet));
        let suffix = name::key(&names.name).unwrap_or_default();
        slot.declared = Some(Declared { names, suffix });
        NetworkKey { index, generation: slot.generation }
    }

    /// Forgets a network. Its names are no longer told; members stay on it, should it be declared again.
    pub fn remove_network(&mut self, id: &NetworkId) {
        let Some(index) = self.network_index.get(id).copied() else { return };
        if let Some(before) = self.networks[index as usize].declared.take() {
            before.names.subnets.iter().for_each(|subnet| self.subnets.remove(subnet));
        }
        self.forget_if_unused(index);
    }

    /// The number of a network that is declared.
    pub fn network_key(&self, id: &NetworkId) -> Option<NetworkKey> {
        let index = *self.network_index.get(id)?;
        let slot = &self.networks[index as usize];
        slot.declared.as_ref().map(|_| NetworkKey { index, generation: slot.generation })
    }

    /// What is known of a network.
    pub fn network_names(&self, id: &NetworkId) -> Option<&NetworkNames> {
        let index = *self.network_index.get(id)?;
        self.networks[index as usize].declared.as_ref().map(|declared| &declared.names)
    }

    /// The networks that are declared, in no order.
    pub fn network_list(&self) -> impl Iterator<Item = &NetworkNames> {
        self.networks.iter().filter_map(|slot| slot.declared.as_ref().map(|declared| &declared.names))
    }

    /// Adds a member, or puts it in the place of what was known of it.
    pub fn set_member(&mut self, member: Member) {
        self.remove_member(&member.sandbox);
        let networks: Vec<u32> = member.places.iter().map(|place| self.network(&place.network)).collect();
        let index = self.free_members.pop().unwrap_or_else(|| {
            self.members.push(None);
            (self.members.len() - 1) as u32
        });
        self.member_index.insert(member.sandbox.clone(), index);
        for (place, network) in member.places.iter().zip(&networks) {
            let slot = &mut self.networks[*network as usize];
            slot.members += 1;
            let addresses = [place.v4.map(IpAddr::V4), place.v6.map(IpAddr::V6)];
            slot.holders.extend(addresses.into_iter().flatten().map(|address| (address, index)));
            for name in names_of(&member, place) {
                let entry = slot.names.entry(name).or_default();
                entry.members += 1;
                entry.v4.extend(place.v4.map(|address| (index, address)));
                entry.v6.extend(place.v6.map(|address| (index, address)));
            }
        }
        let servers = (!member.servers.is_empty()).then(|| member.servers.as_slice().into());
        let links = links_of(&member, &networks);
        self.members[index as usize] = Some(Listed { member, networks, links, servers });
    }

    /// Forgets a member with all its names and addresses.
    pub fn remove_member(&mut self, sandbox: &SandboxId) {
        let Some(index) = self.member_index.remove(sandbox) else { return };
        let Some(Listed { member, networks, .. }) = self.members[index as usize].take() else { return };
        self.free_members.push(index);
        for (place, network) in member.places.iter().zip(&networks) {
            let slot = &mut self.networks[*network as usize];
            slot.members -= 1;
            for address in [place.v4.map(IpAddr::V4), place.v6.map(IpAddr::V6)].into_iter().flatten() {
                // By now another member may have it.
                if slot.holders.get(&address) == Some(&index) {
                    slot.holders.remove(&address);
                }
            }
            for name in names_of(&member, place) {
                let Some(entry) = slot.names.get_mut(&name) else { continue };
                entry.members -= 1;
                entry.v4.retain(|(holder, _)| *holder != index);
                entry.v6.retain(|(holder, _)| *holder != index);
                if entry.members == 0 {
                    slot.names.remove(&name);
                }
            }
            self.forget_if_unused(*network);
        }
    }

    /// The members, in no order.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().flatten().map(|listed| &listed.member)
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.member_index.len()
    }

    /// Whether there is no member.
    pub fn is_empty(&self) -> bool {
        self.member_index.is_empty()
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        let members: Vec<SandboxId> = self.member_index.keys().cloned().collect();
        members.iter().for_each(|sandbox| self.remove_member(sandbox));
        let networks: Vec<NetworkId> = self.network_index.keys().cloned().collect();
        networks.iter().for_each(|id| self.remove_network(id));
    }

    /// The number of a network, declared or not.
    fn network(&mut self, id: &NetworkId) -> u32 {
        if let Some(index) = self.network_index.get(id) {
            return *index;
        }
        let index = self.free_networks.pop().unwrap_or_else(|| {
            self.networks.push(Slot::default());
            (self.networks.len() - 1) as u32
        });
        self.networks[index as usize].id = Some(id.clone());
        self.network_index.insert(id.clone(), index);
        index
    }

    fn forget_if_unused(&mut self, index: u32) {
        let slot = &mut self.networks[index as usize];
        if slot.declared.is_none()
            && slot.members == 0
            && let Some(id) = slot.id.take()
        {
            *slot = Slot { generation: slot.generation.wrapping_add(1), ..Slot::default() };
            self.network_index.remove(&id);
            self.free_networks.push(index);
        }
    }
}

/// What a member alone calls others. What DNS cannot say is left out.
fn links_of(member: &Member, networks: &[u32]) -> Vec<Linked> {
    let places = member.places.iter().zip(networks);
    let all = places.flat_map(|(place, network)| place.links.iter().map(move |link| (*network, link)));
    let keys = all.filter_map(|(network, (alias, name))| {
        Some(Linked { network, alias: name::key(alias)?, name: name::key(name)? })
    });
    keys.collect()
}

/// A member's names at one place, each once. Those that DNS cannot say are left out.
fn names_of(member: &Member, place: &Place) -> Vec<Box<[u8]>> {
    let texts = [&member.name, &member.short_id].into_iter().chain(&member.hostname).chain(&place.aliases);
    let mut names: Vec<Box<[u8]>> = texts.filter_map(|text| name::key(text)).collect();
    names.sort_unstable();
    names.dedup();
    names
}
