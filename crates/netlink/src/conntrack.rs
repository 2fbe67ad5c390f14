//! Connection tracking: what the kernel remembers of each flow, and what its answers are to look like.
//!
//! Source: `include/uapi/linux/netfilter/nfnetlink_conntrack.h`, `net/netfilter/nf_conntrack_netlink.c`; conntrack(8).

use std::net::IpAddr;

use crate::Family;
use crate::wire::{Attr, Attrs, Batch, Body, NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL};

const NFNL_SUBSYS_CTNETLINK: u16 = 1 << 8;
/// `IPCTNL_MSG_CT_NEW` of ctnetlink: an entry to add, and an entry in an answer.
pub const CT_NEW: u16 = NFNL_SUBSYS_CTNETLINK;
/// `IPCTNL_MSG_CT_GET` of ctnetlink.
pub const CT_GET: u16 = NFNL_SUBSYS_CTNETLINK | 1;
/// `IPCTNL_MSG_CT_DELETE` of ctnetlink.
pub const CT_DELETE: u16 = NFNL_SUBSYS_CTNETLINK | 2;

/// `IPS_SEEN_REPLY`: packets have come back.
pub const IPS_SEEN_REPLY: u32 = 1 << 1;
/// `IPS_CONFIRMED`: the first packet has left the host; every entry in the kernel's table has it.
pub const IPS_CONFIRMED: u32 = 1 << 3;
/// `IPS_SRC_NAT`: the source is rewritten.
pub const IPS_SRC_NAT: u32 = 1 << 4;
/// `IPS_DST_NAT`: the destination is rewritten.
pub const IPS_DST_NAT: u32 = 1 << 5;

const CTA_TUPLE_ORIG: u16 = 1;
const CTA_TUPLE_REPLY: u16 = 2;
const CTA_STATUS: u16 = 3;
const CTA_TIMEOUT: u16 = 7;
const CTA_COUNTERS_ORIG: u16 = 9;
const CTA_COUNTERS_REPLY: u16 = 10;
const CTA_ID: u16 = 12;
const CTA_ZONE: u16 = 18;
const CTA_FILTER: u16 = 25;

const CTA_TUPLE_IP: u16 = 1;
const CTA_TUPLE_PROTO: u16 = 2;
const CTA_TUPLE_ZONE: u16 = 3;

const CTA_PROTO_NUM: u16 = 1;
const CTA_PROTO_SRC_PORT: u16 = 2;
const CTA_PROTO_DST_PORT: u16 = 3;

const CTA_COUNTERS_PACKETS: u16 = 1;
const CTA_COUNTERS_BYTES: u16 = 2;

const CTA_FILTER_ORIG_FLAGS: u16 = 1;

const HEADER_LEN: usize = 4;

/// Writes a `struct nfgenmsg`: the family, `NFNETLINK_V0`, no resource.
fn header(body: &mut Body<'_>, family: Family) {
    body.raw(&[family.number(), 0, 0, 0]);
}

/// The types of source and destination address in `CTA_TUPLE_IP`.
const fn address_attributes(family: Family) -> [u16; 2] {
    match family {
        Family::V4 => [1, 2],
        Family::V6 => [3, 4],
    }
}

/// The ports of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ports {
    /// Of the sender.
    pub source: u16,
    /// Of the receiver.
    pub destination: u16,
}

/// What the packets of a flow have in common that go one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tuple {
    /// The sender's address.
    pub source: IpAddr,
    /// The receiver's address, of the same family.
    pub destination: IpAddr,
    /// The protocol's number in the IP header.
    pub protocol: u8,
    /// The ports, where the protocol has them.
    pub ports: Option<Ports>,
    /// The zone, where it is this direction's only.
    pub zone: Option<u16>,
}

impl Tuple {
    /// Packets of `protocol` from `source` to `destination`, addresses of the same family.
    pub fn new(protocol: u8, source: (IpAddr, u16), destination: (IpAddr, u16)) -> Self {
        let ports = Ports { source: source.1, destination: destination.1 };
        Self { source: source.0, destination: destination.0, protocol, ports: Some(ports), zone: None }
    }

    /// The address family.
    pub fn family(&self) -> Family {
        Family::of(self.source)
    }

    fn encode(&self, kind: u16, body: &mut Body<'_>) {
        let [source, destination] = address_attributes(self.family());
        body.nest(kind, |tuple| {
            tuple.nest(CTA_TUPLE_IP, |ip| {
                ip.ip(source, self.source);
                ip.ip(destination, self.destination);
            });
            tuple.nest(CTA_TUPLE_PROTO, |proto| {
                proto.u8(CTA_PROTO_NUM, self.protocol);
                if let Some(ports) = self.ports {
                    proto.u16_be(CTA_PROTO_SRC_PORT, ports.source);
                    proto.u16_be(CTA_PROTO_DST_PORT, ports.destination);
                }
            });
            if let Some(zone) = self.zone {
                tuple.u16_be(CTA_TUPLE_ZONE, zone);
            }
        });
    }

    fn decode(attr: &Attr<'_>, family: Family) -> Option<Self> {
        let (mut addresses, mut protocol, mut ports, mut zone) = (None, None, None, None);
        for attr in attr.nested() {
            match attr.kind {
                CTA_TUPLE_IP => addresses = decode_addresses(&attr, family),
                CTA_TUPLE_PROTO => (protocol, ports) = decode_protocol(&attr),
                CTA_TUPLE_ZONE => zone = attr.u16_be(),
                _ => {}
            }
        }
        let (source, destination) = addresses?;
        Some(Self { source, destination, protocol: protocol?, ports, zone })
    }
}

fn decode_addresses(attr: &Attr<'_>, family: Family) -> Option<(IpAddr, IpAddr)> {
    let [source, destination] = address_attributes(family).map(|kind| {
        let address = attr.nested().find(|attr| attr.kind == kind)?.ip()?;
        (Family::of(address) == family).then_some(address)
    });
    Some((source?, destination?))
}

fn decode_protocol(attr: &Attr<'_>) -> (Option<u8>, Option<Ports>) {
    let (mut number, mut source, mut destination) = (None, None, None);
    for attr in attr.nested() {
        match attr.kind {
            CTA_PROTO_NUM => number = attr.u8(),
            CTA_PROTO_SRC_PORT => source = attr.u16_be(),
            CTA_PROTO_DST_PORT => destination = attr.u16_be(),
            _ => {}
        }
    }
    let ports = source.zip(destination).map(|(source, destination)| Ports { source, destination });
    (number, ports)
}

/// What has passed one way, where `net.netfilter.nf_conntrack_acct` is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counter {
    /// Packets.
    pub packets: u64,
    /// Bytes, with the IP headers.
    pub bytes: u64,
}

impl Counter {
    fn encode(self, kind: u16, body: &mut Body<'_>) {
        body.nest(kind, |counter| {
            counter.u64_be(CTA_COUNTERS_PACKETS, self.packets);
            counter.u64_be(CTA_COUNTERS_BYTES, self.bytes);
        });
    }

    fn decode(attr: &Attr<'_>) -> Option<Self> {
        let number = |kind| attr.nested().find(|attr| attr.kind == kind)?.u64_be();
        Some(Self { packets: number(CTA_COUNTERS_PACKETS)?, bytes: number(CTA_COUNTERS_BYTES)? })
    }
}

/// An entry: a flow that the kernel has seen, and what it does to its packets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The first packet, as it came.
    pub orig: Tuple,
    /// The answers as they are expected, so behind a rewritten destination from there. Of the same family.
    pub reply: Tuple,
    /// The zone of both directions; none is zone 0.
    pub zone: Option<u16>,
    /// `IPS_…` bits.
    pub status: u32,
    /// Seconds until it is forgotten, unless packets come.
    pub timeout: Option<u32>,
    /// A number that tells it from a later entry with the same tuples, unless the kernel has put that into the same
    /// place in memory (`nf_ct_get_id()` in `net/netfilter/nf_conntrack_core.c`).
    pub id: u32,
    /// What has passed in the direction of the first packet.
    pub sent: Option<Counter>,
    /// What has come back.
    pub answered: Option<Counter>,
}

impl Entry {
    /// An entry to add, which the kernel forgets after `timeout` seconds.
    pub fn new(orig: Tuple, reply: Tuple, timeout: u32) -> Self {
        Self {
            orig,
            reply,
            zone: None,
            status: IPS_CONFIRMED,
            timeout: Some(timeout),
            id: 0,
            sent: None,
            answered: None,
        }
    }

    /// Appends the request to add it: `EEXIST` where there is one with one of its tuples, `EBUSY` without
    /// [`IPS_CONFIRMED`]. The kernel gives it an identity and counts for itself.
    pub fn encode_add(&self, batch: &mut Batch) {
        batch.message(CT_NEW, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, |body| {
            header(body, self.orig.family());
            self.orig.encode(CTA_TUPLE_ORIG, body);
            self.reply.encode(CTA_TUPLE_REPLY, body);
            self.encode_identity(body);
            body.u32_be(CTA_STATUS, self.status);
            self.timeout.into_iter().for_each(|timeout| body.u32_be(CTA_TIMEOUT, timeout));
            for (kind, counter) in [(CTA_COUNTERS_ORIG, self.sent), (CTA_COUNTERS_REPLY, self.answered)] {
                counter.into_iter().for_each(|counter| counter.encode(kind, body));
            }
        });
    }

    /// Appends the request to delete this very entry: `ENOENT` where it is gone, also when there is another one with
    /// the same tuple by now.
    pub fn encode_delete(&self, batch: &mut Batch) {
        batch.message(CT_DELETE, NLM_F_ACK, |body| {
            header(body, self.orig.family());
            // Without a tuple, the kernel would delete every entry that there is (`ctnetlink_del_conntrack()`).
            self.orig.encode(CTA_TUPLE_ORIG, body);
            self.encode_identity(body);
        });
    }

    fn encode_identity(&self, body: &mut Body<'_>) {
        self.zone.into_iter().for_each(|zone| body.u16_be(CTA_ZONE, zone));
        body.u32_be(CTA_ID, self.id);
    }

    /// Reads the payload of a [`CT_NEW`] message; `None` if it is not of IPv4 or IPv6, or lacks what each entry has.
    pub fn decode(payload: &[u8]) -> Option<Self> {
        let family = Family::from_number(*payload.get(..HEADER_LEN)?.first()?)?;
        let (mut orig, mut reply, mut id) = (None, None, None);
        let (mut zone, mut status, mut timeout) = (None, None, None);
        let (mut sent, mut answered) = (None, None);
        for attr in Attrs::new(&payload[HEADER_LEN..]) {
            match attr.kind {
                CTA_TUPLE_ORIG => orig = Tuple::decode(&attr, family),
                CTA_TUPLE_REPLY => reply = Tuple::decode(&attr, family),
                CTA_ZONE => zone = attr.u16_be(),
                CTA_STATUS => status = attr.u32_be(),
                CTA_TIMEOUT => timeout = attr.u32_be(),
                CTA_ID => id = attr.u32_be(),
                CTA_COUNTERS_ORIG => sent = Counter::decode(&attr),
                CTA_COUNTERS_REPLY => answered = Counter::decode(&attr),
                _ => {}
            }
        }
        let (orig, reply, id) = (orig?, reply?, id?);
        Some(Self { orig, reply, zone, status: status.unwrap_or(0), timeout, id, sent, answered })
    }
}

/// A request for the entries of a family, or of one of its protocols, in all zones.
#[derive(Debug, Clone, Copy)]
pub struct DumpEntries {
    /// Only this family.
    pub family: Family,
    /// Only this protocol. Kernels before 5.8 pay no heed to it and answer with the whole family.
    pub protocol: Option<u8>,
}

impl DumpEntries {
    /// Appends the request.
    pub fn encode(&self, batch: &mut Batch) {
        batch.message(CT_GET, NLM_F_DUMP, |body| {
            header(body, self.family);
            self.protocol.into_iter().for_each(|protocol| encode_filter(protocol, body));
        });
    }
}

/// Has the kernel compare the protocol in the direction of the first packet.
///
/// The values to compare are in a tuple, and which of them count is told by bits. The family in the header must be
/// given, and the protocol's number before anything else of the protocol (`ctnetlink_parse_tuple_filter()`). IPv6
/// addresses cannot be filtered by: the kernel leaves out those that are equal (`ctnetlink_filter_match_tuple()`).
fn encode_filter(protocol: u8, body: &mut Body<'_>) {
    /// `CTA_FILTER_F_CTA_PROTO_NUM` in `net/netfilter/nf_internals.h`; in no public header, but what libnetfilter_conntrack
    /// sends.
    const PROTO_NUM: u32 = 1 << 3;
    body.nest(CTA_TUPLE_ORIG, |tuple| {
        tuple.nest(CTA_TUPLE_PROTO, |proto| proto.u8(CTA_PROTO_NUM, protocol));
    });
    body.nest(CTA_FILTER, |filter| filter.u32(CTA_FILTER_ORIG_FLAGS, PROTO_NUM));
}
