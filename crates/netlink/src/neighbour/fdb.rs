//! Bridge forwarding entries.

use super::{
    HEADER_LEN, NDA_LLADDR, NDA_MASTER, NDA_VLAN, NTF_MASTER, NTF_SELF, RTM_DELNEIGH, RTM_GETNEIGH,
    RTM_NEWNEIGH, State, header,
};
use crate::ip::AF_BRIDGE;
use crate::link::{HwAddr, LinkIndex};
use crate::wire::{Attrs, Batch, Body, NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REPLACE};

/// Whose table an entry is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FdbTable {
    /// That of the bridge which the link is a port of: "behind this port".
    Master,
    /// The link's own: for a bridge, its own addresses; for others, which addresses they take in.
    Own,
}

/// A forwarding entry: to add, replace or delete, and as the kernel tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FdbEntry {
    /// The port, or the bridge itself.
    pub link: LinkIndex,
    /// The hardware address.
    pub mac: HwAddr,
    /// Whose table.
    pub table: FdbTable,
    /// [`State::NoArp`] (`static`: does not age), [`State::Permanent`] (the bridge's own: delivered locally),
    /// [`State::Reachable`] or [`State::Stale`] (learned).
    pub state: State,
    /// VLAN id.
    pub vlan: Option<u16>,
    /// The bridge, where the kernel tells it.
    pub master: Option<LinkIndex>,
    /// Other `NTF_…` flags.
    pub flags: u8,
}

impl FdbEntry {
    /// A static entry: `mac` is behind `port`.
    pub fn fixed(port: LinkIndex, mac: HwAddr) -> Self {
        Self {
            link: port,
            mac,
            table: FdbTable::Master,
            state: State::NoArp,
            vlan: None,
            master: None,
            flags: 0,
        }
    }

    /// Appends the request to add it: `EEXIST` where the bridge has one for the address.
    pub fn encode_add(&self, batch: &mut Batch) {
        batch.message(RTM_NEWNEIGH, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, |body| self.encode(body));
    }

    /// Appends the request to add it or to change the entry that is there, and its port.
    pub fn encode_replace(&self, batch: &mut Batch) {
        batch.message(RTM_NEWNEIGH, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, |body| self.encode(body));
    }

    /// Appends the request to delete it: `ENOENT` where there is none.
    pub fn encode_delete(&self, batch: &mut Batch) {
        batch.message(RTM_DELNEIGH, NLM_F_ACK, |body| self.encode(body));
    }

    fn encode(&self, body: &mut Body<'_>) {
        let table = match self.table {
            FdbTable::Master => NTF_MASTER,
            FdbTable::Own => NTF_SELF,
        };
        header(body, AF_BRIDGE, self.link.0, self.state, self.flags | table);
        body.attr(NDA_LLADDR, &self.mac.0);
        if let Some(vlan) = self.vlan {
            body.u16(NDA_VLAN, vlan);
        }
    }

    /// Reads the payload of an `RTM_NEWNEIGH` or `RTM_DELNEIGH` message; `None` if it is not a forwarding entry.
    pub fn decode(payload: &[u8]) -> Option<Self> {
        let header = payload.get(..HEADER_LEN)?;
        if header[0] != AF_BRIDGE {
            return None;
        }
        let (mut mac, mut vlan, mut master) = (None, None, None);
        for attr in Attrs::new(&payload[HEADER_LEN..]) {
            match attr.kind {
                NDA_LLADDR => mac = HwAddr::decode(attr.value),
                NDA_VLAN => vlan = attr.u16(),
                NDA_MASTER => master = attr.u32().map(LinkIndex),
                _ => {}
            }
        }
        let flags = header[10];
        Some(Self {
            link: LinkIndex(u32::from_ne_bytes(header[4..8].try_into().ok()?)),
            mac: mac?,
            table: if flags & NTF_SELF != 0 { FdbTable::Own } else { FdbTable::Master },
            state: State::from_number(u16::from_ne_bytes([header[8], header[9]])),
            vlan,
            master,
            flags: flags & !(NTF_SELF | NTF_MASTER),
        })
    }
}

/// A request for the entry of one address: `ENOENT` where there is none.
#[derive(Debug, Clone, Copy)]
pub struct GetFdb {
    /// The bridge.
    pub bridge: LinkIndex,
    /// The hardware address.
    pub mac: HwAddr,
    /// VLAN id.
    pub vlan: Option<u16>,
}

impl GetFdb {
    /// Appends the request.
    pub fn encode(&self, batch: &mut Batch) {
        batch.message(RTM_GETNEIGH, NLM_F_ACK, |body| {
            header(body, AF_BRIDGE, 0, State::None, 0);
            body.u32(NDA_MASTER, self.bridge.0);
            body.attr(NDA_LLADDR, &self.mac.0);
            if let Some(vlan) = self.vlan {
                body.u16(NDA_VLAN, vlan);
            }
        });
    }
}

/// A request for all forwarding entries, or those of a bridge or port.
#[derive(Debug, Clone, Copy, Default)]
pub struct DumpFdb {
    /// Only this bridge's.
    pub bridge: Option<LinkIndex>,
    /// Only this port's.
    pub port: Option<LinkIndex>,
}

impl DumpFdb {
    /// Appends the request.
    pub fn encode(&self, batch: &mut Batch) {
        batch.message(RTM_GETNEIGH, NLM_F_DUMP, |body| {
            header(body, AF_BRIDGE, self.port.map_or(0, |port| port.0), State::None, 0);
            if let Some(bridge) = self.bridge {
                body.u32(NDA_MASTER, bridge.0);
            }
        });
    }
}
