//! What a query is answered with.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use pontoon_model::NetworkId;

use super::{Declared, Directory, Entry, Listed, NetworkKey, Slot};
use crate::name::{self, strip_suffix};
use crate::reverse;
use crate::wire::{Malformed, Query, Rcode, Reply, Transport, kind};

/// How long an answer about a container may be kept: not at all, since the address may be another container's in the
/// next moment (RFC 1035, 3.2.1). dnsmasq does the same with what its host knows. Docker says 600 s, aardvark-dns 60 s.
pub const TTL: u32 = 0;

/// Names for the host, as Docker and Podman have them, with `host-gateway`'s addresses.
const HOST: [&[u8]; 3] = [
    b"\x04host\x06docker\x08internal",
    b"\x07gateway\x06docker\x08internal",
    b"\x04host\x0acontainers\x08internal",
];

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Client {
    /// The network by which the query came.
    pub network: NetworkKey,
    /// The address that it came from, in its own family (not IPv4 mapped into IPv6).
    pub source: IpAddr,
}

/// What becomes of a query.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "it is made and taken apart at once, and a box would be an allocation"
)]
pub enum Verdict<'a> {
    /// The answer is in the buffer, this long.
    Answer {
        /// Its length.
        len: usize,
        /// What it says.
        outcome: Outcome,
    },
    /// The name is nobody's here: somebody else is to be asked.
    Forward {
        /// The query.
        query: Query<'a>,
        /// The servers to ask, if not the host's: `--dns`.
        servers: Option<Arc<[SocketAddr]>>,
    },
    /// It is not to be answered at all.
    Silence,
}

/// What an answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Records.
    Records,
    /// The name exists, but has no such record.
    NoData,
    /// There is no such name.
    NoName,
    /// Not for this client, or not here.
    Refused,
    /// The query was not well formed, or asked for what nobody does here.
    Malformed,
}

/// Where a name was found.
enum Found<'a> {
    Entry(&'a Entry),
    /// It exists, without an address of the family that was asked for.
    Empty,
    Nowhere,
}

impl Directory {
    /// Answers a query, or says that somebody else is to be asked.
    ///
    /// `buffer` is at least [`UDP_PAYLOAD`](crate::wire::UDP_PAYLOAD) long, for TCP
    /// [`TCP_PAYLOAD`](crate::wire::TCP_PAYLOAD).
    pub fn respond<'a>(
        &self,
        client: &Client,
        message: &'a [u8],
        transport: Transport,
        buffer: &mut [u8],
    ) -> Verdict<'a> {
        let query = match Query::parse(message) {
            Ok(query) => query,
            Err(Malformed::Silent) => return Verdict::Silence,
            Err(Malformed::Header(rcode)) => {
                let len = Reply::header(message, rcode, buffer);
                return Verdict::Answer { len, outcome: Outcome::Malformed };
            }
        };
        let asker = self.asker(client);
        match self.answer(asker.as_ref(), &query, transport, buffer) {
            Some((len, outcome)) => Verdict::Answer { len, outcome },
            None => {
                let listed = asker.and_then(|asker| asker.listed);
                Verdict::Forward { query, servers: listed.and_then(|listed| listed.servers.clone()) }
            }
        }
    }

    /// The answer to a query; `None` if somebody else is to be asked.
    fn answer(
        &self,
        asker: Option<&Asker<'_>>,
        query: &Query<'_>,
        transport: Transport,
        buffer: &mut [u8],
    ) -> Option<(usize, Outcome)> {
        let reply = Reply::new(query, transport, buffer);
        let refuse =
            |rcode: Rcode, outcome: Outcome, reply: Reply<'_, '_>| Some((reply.finish(rcode), outcome));
        if query.bad_version {
            return refuse(Rcode::BadVers, Outcome::Malformed, reply);
        }
        let Some(asker) = asker else { return refuse(Rcode::Refused, Outcome::Refused, reply) };
        match query.kind {
            _ if !query.is_internet() => return refuse(Rcode::Refused, Outcome::Refused, reply),
            kind::OPT | 0 => return refuse(Rcode::FormErr, Outcome::Malformed, reply),
            kind::FIRST_META..=kind::LAST_META => return refuse(Rcode::Refused, Outcome::Refused, reply),
            _ => {}
        }
        match self.find(asker, query) {
            Found::Entry(entry) => return Some(self.addresses(entry, query, reply)),
            Found::Empty => return Some(no_data(reply)),
            Found::Nowhere => {}
        }
        self.special(asker, query, reply)
    }

    /// Who asks; `None` on a network that is not declared or has no names.
    fn asker(&self, client: &Client) -> Option<Asker<'_>> {
        let NetworkKey { index, generation } = client.network;
        let slot = self.networks.get(index as usize).filter(|slot| slot.generation == generation)?;
        let own = slot.declared.as_ref().filter(|declared| declared.names.enabled)?;
        let holder = slot.holders.get(&client.source);
        let listed = holder.and_then(|holder| self.members[*holder as usize].as_ref());
        let is_host = own.names.gateways.contains(&client.source);
        Some(Asker { index, slot, own, listed, is_host })
    }

    /// Networks that the client is on and that have names: the one by which it asks, then its others.
    fn visible<'a>(
        &'a self,
        asker: &Asker<'a>,
    ) -> impl Iterator<Item = (u32, &'a Slot, &'a Declared)> + use<'a> {
        let Asker { index, slot, own, listed, .. } = *asker;
        let others =
            listed.map_or(&[][..], |listed| &listed.networks).iter().filter(move |other| **other != index);
        let others = others.filter_map(|other| {
            let slot = &self.networks[*other as usize];
            let declared = slot.declared.as_ref().filter(|declared| declared.names.enabled)?;
            Some((*other, slot, declared))
        });
        std::iter::once((index, slot, own)).chain(others)
    }

    /// The name in the first of the client's networks that has addresses for it.
    fn find<'a>(&'a self, asker: &Asker<'a>, query: &Query<'_>) -> Found<'a> {
        let name = query.name.as_bytes();
        let mut found = Found::Nowhere;
        for (index, slot, declared) in self.visible(asker) {
            let short = strip_suffix(name, &declared.suffix);
            let said = std::iter::once(name).chain(short);
            for entry in said.filter_map(|said| slot.names.get(asker.meant(index, said))) {
                let usable = match query.kind {
                    kind::A => !entry.v4.is_empty(),
                    kind::AAAA => !entry.v6.is_empty(),
                    kind::ANY => !entry.v4.is_empty() || !entry.v6.is_empty(),
                    _ => false,
                };
                if usable {
                    return Found::Entry(entry);
                }
                found = Found::Empty;
            }
        }
        found
    }

    /// All addresses of a name, each time beginning with the next. For `ANY` one family is enough: RFC 8482, 4.1.
    fn addresses(&self, entry: &Entry, query: &Query<'_>, mut reply: Reply<'_, '_>) -> (usize, Outcome) {
        reply.authoritative();
        let v6 = query.kind == kind::AAAA || (query.kind == kind::ANY && entry.v4.is_empty());
        if v6 {
            let (late, early) = entry.v6.split_at(self.turn(entry.v6.len()));
            early.iter().chain(late).all(|(_, address)| reply.answer(kind::AAAA, TTL, &address.octets()));
        } else {
            let (late, early) = entry.v4.split_at(self.turn(entry.v4.len()));
            early.iter().chain(late).all(|(_, address)| reply.answer(kind::A, TTL, &address.octets()));
        }
        (reply.finish(Rcode::NoError), Outcome::Records)
    }

    fn turn(&self, len: usize) -> usize {
        if len < 2 {
            return 0;
        }
        self.turn.fetch_add(1, Ordering::Relaxed) as usize % len
    }

    /// Names that are nobody's in particular, and those that are not to be asked for elsewhere.
    fn special(
        &self,
        asker: &Asker<'_>,
        query: &Query<'_>,
        mut reply: Reply<'_, '_>,
    ) -> Option<(usize, Outcome)> {
        let name = query.name.as_bytes();
        if HOST.contains(&name) {
            return Some(some_addresses(&asker.own.names.gateways, query, reply));
        }
        // RFC 6761, 6.3: a resolver answers for them itself.
        if name.ends_with(b"\x09localhost")
            && (name.len() == 10 || strip_suffix(name, b"\x09localhost").is_some())
        {
            let loopback = [IpAddr::V4([127, 0, 0, 1].into()), IpAddr::V6(1u128.into())];
            return Some(some_addresses(&loopback, query, reply));
        }
        if let Some(net) = reverse::parse(name)
            && self.subnets.contain(&net)
        {
            return Some(match reverse::single(&net) {
                Some(address) => self.pointer(asker, address, query, reply),
                // Above names that exist, so it exists as well: RFC 8020, 2.
                None => no_data(reply),
            });
        }
        if is_private(query) {
            reply.authoritative();
            return Some((reply.finish(Rcode::NxDomain), Outcome::NoName));
        }
        if !self.has_way_out(asker) {
            // What is outside does not exist from here. REFUSED and SERVFAIL would be tried again and again, and the
            // search list would not be gone through.
            return Some((reply.finish(Rcode::NxDomain), Outcome::NoName));
        }
        if !query.recursion_desired() || asker.is_host {
            // Nobody is to be asked, and what others asked before is none of this client's business. The host has servers
            // of its own; one of them may be asking because it was asked by us, and so without end.
            return Some((reply.finish(Rcode::Refused), Outcome::Refused));
        }
        None
    }

    /// The name of a container at an address, if the client may know it.
    fn pointer(
        &self,
        asker: &Asker<'_>,
        address: IpAddr,
        query: &Query<'_>,
        mut reply: Reply<'_, '_>,
    ) -> (usize, Outcome) {
        let names = self.visible(asker).filter_map(|(_, slot, declared)| {
            let holder = *slot.holders.get(&address)?;
            let member = &self.members[holder as usize].as_ref()?.member;
            pointer_to(&member.name, &declared.names.name)
                .or_else(|| pointer_to(&member.short_id, &declared.names.name))
        });
        reply.authoritative();
        for mut target in names {
            if !matches!(query.kind, kind::PTR | kind::ANY) {
                return (reply.finish(Rcode::NoError), Outcome::NoData);
            }
            target.push(0);
            reply.answer(kind::PTR, TTL, &target);
        }
        match reply.answers() {
            0 => (reply.finish(Rcode::NxDomain), Outcome::NoName),
            _ => (reply.finish(Rcode::NoError), Outcome::Records),
        }
    }

    /// Whether one of the client's networks leads outside. One that nothing is known of leads nowhere.
    fn has_way_out(&self, asker: &Asker<'_>) -> bool {
        let leads_out = |declared: &Declared| !declared.names.internal;
        let others = asker.listed.map_or(&[][..], |listed| &listed.networks).iter();
        leads_out(asker.own)
            || others.filter_map(|other| self.networks[*other as usize].declared.as_ref()).any(leads_out)
    }

    /// Who is at an address of a network.
    pub fn holder(&self, network: &NetworkId, address: IpAddr) -> Option<&super::Member> {
        let index = *self.network_index.get(network)?;
        let holder = *self.networks[index as usize].holders.get(&address)?;
        self.members[holder as usize].as_ref().map(|listed| &listed.member)
    }
}

/// A client as the directory knows it.
struct Asker<'a> {
    index: u32,
    slot: &'a Slot,
    own: &'a Declared,
    /// The container; `None` for an address that is nobody's, which sees its network alone.
    listed: Option<&'a Listed>,
    /// It is the host itself, at an address of the network.
    is_host: bool,
}

impl Asker<'_> {
    /// The name that is meant by what was asked for on a network: another where it alone calls somebody so.
    fn meant<'n>(&'n self, network: u32, said: &'n [u8]) -> &'n [u8] {
        let links = self.listed.map_or(&[][..], |listed| &listed.links);
        let link = links.iter().find(|link| link.network == network && *link.alias == *said);
        link.map_or(said, |link| &link.name)
    }
}

fn no_data(mut reply: Reply<'_, '_>) -> (usize, Outcome) {
    reply.authoritative();
    (reply.finish(Rcode::NoError), Outcome::NoData)
}

/// A few addresses of either family; the name exists if there is one of any.
fn some_addresses(addresses: &[IpAddr], query: &Query<'_>, mut reply: Reply<'_, '_>) -> (usize, Outcome) {
    reply.authoritative();
    for address in addresses {
        match address {
            IpAddr::V4(address) if matches!(query.kind, kind::A | kind::ANY) => {
                reply.answer(kind::A, TTL, &address.octets());
            }
            IpAddr::V6(address) if matches!(query.kind, kind::AAAA | kind::ANY) => {
                reply.answer(kind::AAAA, TTL, &address.octets());
            }
            _ => {}
        }
    }
    match (reply.answers(), addresses) {
        (0, []) => (reply.finish(Rcode::NxDomain), Outcome::NoName),
        (0, _) => (reply.finish(Rcode::NoError), Outcome::NoData),
        _ => (reply.finish(Rcode::NoError), Outcome::Records),
    }
}

/// Names that are not asked for elsewhere.
///
/// A name of one label is a container that is not there (any more), and nobody outside needs to hear of it; a host's
/// short name comes with a search domain. systemd-resolved keeps them back too; Docker sends them out unless `ndots`
/// is set. It is `NXDOMAIN`, and not empty as in Docker then, since musl goes through its search list only after that.
/// Types that top-level domains have are let through, for clients that validate. `.invalid` and `.onion` exist nowhere:
/// RFC 6761, 6.4, and RFC 7686, 2.
fn is_private(query: &Query<'_>) -> bool {
    let name = query.name.as_bytes();
    let of_domains = matches!(query.kind, kind::NS | kind::SOA | kind::DS | kind::DNSKEY);
    let single = query.name.labels().count() == 1 && !of_domains;
    single || [&b"\x07invalid"[..], b"\x05onion"].iter().any(|last| strip_suffix(name, last).is_some())
}

fn pointer_to(name: &str, network: &str) -> Option<Vec<u8>> {
    name::wire(&format!("{name}.{network}"))
}
