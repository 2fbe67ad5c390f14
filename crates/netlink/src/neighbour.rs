//! Neighbours: which hardware address an IP address has on a link, and which bridge port a hardware address is behind.
//!
//! Source: `include/uapi/linux/neighbour.h`, `net/core/neighbour.c`, `net/bridge/br_fdb.c`; ip-neighbour(8), bridge(8).

mod fdb;

use std::net::IpAddr;

use crate::Family;
use crate::ip::AF_UNSPEC;
use crate::link::{HwAddr, LinkIndex};
use crate::wire::{Attrs, Batch, Body, NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REPLACE};

pub use fdb::{DumpFdb, FdbEntry, FdbTable, GetFdb};

/// `RTM_NEWNEIGH`.
pub const RTM_NEWNEIGH: u16 = 28;
/// `RTM_DELNEIGH`.
pub const RTM_DELNEIGH: u16 = 29;
/// `RTM_GETNEIGH`.
pub const RTM_GETNEIGH: u16 = 30;

/// `NTF_SELF`: the entry of a link's own table.
pub const NTF_SELF: u8 = 1 << 1;
/// `NTF_MASTER`: the entry of the table of the bridge that the link is a port of.
pub const NTF_MASTER: u8 = 1 << 2;
/// `NTF_PROXY`: this host answers for the address.
pub const NTF_PROXY: u8 = 1 << 3;
/// `NTF_EXT_LEARNED`: a control plane knows it; it does not age.
pub const NTF_EXT_LEARNED: u8 = 1 << 4;
/// `NTF_STICKY`: a bridge entry that does not roam to another port.
pub const NTF_STICKY: u8 = 1 << 6;
/// `NTF_ROUTER`: the IPv6 neighbour is a router.
pub const NTF_ROUTER: u8 = 1 << 7;

const NDA_DST: u16 = 1;
const NDA_LLADDR: u16 = 2;
const NDA_VLAN: u16 = 5;
const NDA_IFINDEX: u16 = 8;
const NDA_MASTER: u16 = 9;

const HEADER_LEN: usize = 12;

/// How sure the kernel is of a neighbour: `NUD_…` of `neighbour.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Not yet asked for.
    None,
    /// Asked for, no answer yet.
    Incomplete,
    /// Heard of lately.
    Reachable,
    /// Not heard of lately: used, and then asked for again.
    Stale,
    /// Used since it went stale; soon to be asked for.
    Delay,
    /// Being asked for again.
    Probe,
    /// Did not answer.
    Failed,
    /// Needs no resolution.
    NoArp,
    /// Stays until it is deleted.
    Permanent,
    /// A combination without a name.
    Other(u16),
}

impl State {
    pub(crate) fn from_number(number: u16) -> Self {
        match number {
            0x00 => Self::None,
            0x01 => Self::Incomplete,
            0x02 => Self::Reachable,
            0x04 => Self::Stale,
            0x08 => Self::Delay,
            0x10 => Self::Probe,
            0x20 => Self::Failed,
            0x40 => Self::NoArp,
            0x80 => Self::Permanent,
            other => Self::Other(other),
        }
    }

    pub(crate) fn number(self) -> u16 {
        match self {
            Self::None => 0x00,
            Self::Incomplete => 0x01,
            Self::Reachable => 0x02,
            Self::Stale => 0x04,
            Self::Delay => 0x08,
            Self::Probe => 0x10,
            Self::Failed => 0x20,
            Self::NoArp => 0x40,
            Self::Permanent => 0x80,
            Self::Other(other) => other,
        }
    }
}

/// Writes a `struct ndmsg`.
fn header(body: &mut Body<'_>, family: u8, link: u32, state: State, flags: u8) {
    let mut bytes = [0; HEADER_LEN];
    bytes[0] = family;
    bytes[4..8].copy_from_slice(&link.to_ne_bytes());
    bytes[8..10].copy_from_slice(&state.number().to_ne_bytes());
    bytes[10] = flags;
    body.raw(&bytes);
}

/// An IP neighbour: to add, replace or delete, and as the kernel tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbour {
    /// The link that it is on.
    pub link: LinkIndex,
    /// Its IP address.
    pub address: IpAddr,
    /// Its hardware address, if known.
    pub mac: Option<HwAddr>,
    /// How sure the kernel is.
    pub state: State,
    /// `NTF_…` flags.
    pub flags: u8,
}

impl Neighbour {
    /// A permanent entry: `address` has `mac` on `link`.
    pub fn permanent(link: LinkIndex, address: IpAddr, mac: HwAddr) -> Self {
        Self { link, address, mac: Some(mac), state: State::Permanent, flags: 0 }
    }

    /// This host answers for `address` on `link` (proxy ARP, proxy NDP for one address).
    pub fn proxy(link: LinkIndex, address: IpAddr) -> Self {
        Self { link, address, mac: None, state: State::Permanent, flags: NTF_PROXY }
    }

    /// Appends the request to add it: `EEXIST` where the link has an entry for the address.
    pub fn encode_add(&self, batch: &mut Batch) {
        batch.message(RTM_NEWNEIGH, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, |body| self.encode(body));
    }

    /// Appends the request to add it or to change the entry that is there.
    pub fn encode_replace(&self, batch: &mut Batch) {
        batch.message(RTM_NEWNEIGH, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, |body| self.encode(body));
    }

    /// Appends the request to delete it (link, address and `NTF_PROXY` count): `ENOENT` where there is none.
    pub fn encode_delete(&self, batch: &mut Batch) {
        batch.message(RTM_DELNEIGH, NLM_F_ACK, |body| {
            header(body, Family::of(self.address).number(), self.link.0, State::None, self.flags & NTF_PROXY);
            body.ip(NDA_DST, self.address);
        });
    }

    /// Appends a question for the entry of `address` on `link`: `ENOENT` where there is none.
    pub fn encode_get(link: LinkIndex, address: IpAddr, batch: &mut Batch) {
        batch.message(RTM_GETNEIGH, NLM_F_ACK, |body| {
            header(body, Family::of(address).number(), link.0, State::None, 0);
            body.ip(NDA_DST, address);
        });
    }

    fn encode(&self, body: &mut Body<'_>) {
        header(body, Family::of(self.address).number(), self.link.0, self.state, self.flags);
        body.ip(NDA_DST, self.address);
        if let Some(mac) = self.mac {
            body.attr(NDA_LLADDR, &mac.0);
        }
    }

    /// Reads the payload of an `RTM_NEWNEIGH` or `RTM_DELNEIGH` message; `None` if it is not an IP neighbour.
    pub fn decode(payload: &[u8]) -> Option<Self> {
        let header = payload.get(..HEADER_LEN)?;
        let family = Family::from_number(header[0])?;
        let (mut address, mut mac) = (None, None);
        for attr in Attrs::new(&payload[HEADER_LEN..]) {
            match attr.kind {
                NDA_DST => address = attr.ip(),
                NDA_LLADDR => mac = HwAddr::decode(attr.value),
                _ => {}
            }
        }
        Some(Self {
            link: LinkIndex(u32::from_ne_bytes(header[4..8].try_into().ok()?)),
            address: address.filter(|address| Family::of(*address) == family)?,
            mac,
            state: State::from_number(u16::from_ne_bytes([header[8], header[9]])),
            flags: header[10],
        })
    }
}

/// A request for all IP neighbours, or those of a family or link.
#[derive(Debug, Clone, Copy, Default)]
pub struct DumpNeighbours {
    /// Only this family.
    pub family: Option<Family>,
    /// Only this link's.
    pub link: Option<LinkIndex>,
    /// The addresses that this host answers for instead.
    pub proxy: bool,
}

impl DumpNeighbours {
    /// Appends the request.
    pub fn encode(&self, batch: &mut Batch) {
        batch.message(RTM_GETNEIGH, NLM_F_DUMP, |body| {
            let family = self.family.map_or(AF_UNSPEC, Family::number);
            header(body, family, 0, State::None, if self.proxy { NTF_PROXY } else { 0 });
            if let Some(link) = self.link {
                body.u32(NDA_IFINDEX, link.0);
            }
        });
    }
}
