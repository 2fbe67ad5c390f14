//! Questions about routes.

use std::net::IpAddr;

use super::{
    HEADER_LEN, RT_TABLE_COMPAT, RTA_DPORT, RTA_DST, RTA_IIF, RTA_IP_PROTO, RTA_MARK, RTA_OIF, RTA_SPORT,
    RTA_SRC, RTA_TABLE, RTA_UID, RTM_GETROUTE,
};
use crate::Family;
use crate::ip::AF_UNSPEC;
use crate::link::LinkIndex;
use crate::wire::{Batch, NLM_F_ACK, NLM_F_DUMP};

/// Say which table the route was found in.
const RTM_F_LOOKUP_TABLE: u32 = 0x1000;
/// Answer with the entry of the table instead of what follows from it.
const RTM_F_FIB_MATCH: u32 = 0x2000;

/// A question: which route would this packet take? As `ip route get`.
///
/// Until a namespace has a rule of its own, its tables `local` and `main` are one to IPv4, and the answer calls it `main`
/// (`fib_trie_unmerge()` in the kernel's `net/ipv4/fib_trie.c`).
///
/// `ENETUNREACH` where there is none, `EHOSTUNREACH` or `EACCES` where a route or rule says so, `EINVAL` for a
/// blackhole.
#[derive(Debug, Clone)]
pub struct GetRoute {
    /// Where it goes.
    pub to: IpAddr,
    /// Where it comes from; together with `iif`, a packet that is routed through.
    pub from: Option<IpAddr>,
    /// The link that it came in by.
    pub iif: Option<LinkIndex>,
    /// The link that it must leave by.
    pub oif: Option<LinkIndex>,
    /// Its mark.
    pub mark: Option<u32>,
    /// Whose it is.
    pub uid: Option<u32>,
    /// IP protocol (6 TCP, 17 UDP; no other with ports), source and destination port.
    pub flow: Option<(u8, Option<u16>, Option<u16>)>,
    /// Answer with the entry of the table instead of what follows from it.
    pub fib_match: bool,
}

impl GetRoute {
    /// The route of a packet from this host to `to`.
    pub fn to(to: IpAddr) -> Self {
        Self { to, from: None, iif: None, oif: None, mark: None, uid: None, flow: None, fib_match: false }
    }

    /// Appends the question.
    pub fn encode(&self, batch: &mut Batch) {
        batch.message(RTM_GETROUTE, NLM_F_ACK, |body| {
            let family = Family::of(self.to);
            let mut header = [0; HEADER_LEN];
            header[0] = family.number();
            header[1] = family.bits();
            header[2] = self.from.map_or(0, |_| family.bits());
            // IPv6 always tells the table, and refuses the flag.
            let lookup = if family == Family::V4 { RTM_F_LOOKUP_TABLE } else { 0 };
            let flags = lookup | if self.fib_match { RTM_F_FIB_MATCH } else { 0 };
            header[8..12].copy_from_slice(&flags.to_ne_bytes());
            body.raw(&header);
            body.ip(RTA_DST, self.to);
            if let Some(from) = self.from {
                body.ip(RTA_SRC, from);
            }
            let numbers = [
                (RTA_IIF, self.iif.map(|link| link.0)),
                (RTA_OIF, self.oif.map(|link| link.0)),
                (RTA_MARK, self.mark),
                (RTA_UID, self.uid),
            ];
            for (kind, value) in numbers {
                value.into_iter().for_each(|value| body.u32(kind, value));
            }
            if let Some((protocol, source, destination)) = self.flow {
                body.u8(RTA_IP_PROTO, protocol);
                for (kind, port) in [(RTA_SPORT, source), (RTA_DPORT, destination)] {
                    port.into_iter().for_each(|port| body.attr(kind, &port.to_be_bytes()));
                }
            }
        });
    }
}

/// A request for all routes, or those of a family, table, link, or maker.
///
/// The kernel filters only on a socket with `NETLINK_GET_STRICT_CHK`, and only one family at a time: without a family
/// every route comes. A table that does not exist is `ENOENT` for IPv4 and IPv6.
#[derive(Debug, Clone, Copy, Default)]
pub struct DumpRoutes {
    /// Only this family.
    pub family: Option<Family>,
    /// Only this table.
    pub table: Option<u32>,
    /// Only routes out of this link.
    pub oif: Option<LinkIndex>,
    /// Only those made by this protocol.
    pub protocol: Option<u8>,
}

impl DumpRoutes {
    /// Appends the request.
    pub fn encode(&self, batch: &mut Batch) {
        batch.message(RTM_GETROUTE, NLM_F_DUMP, |body| {
            let mut header = [0; HEADER_LEN];
            header[0] = self.family.map_or(AF_UNSPEC, Family::number);
            header[4] = self.table.map_or(0, |table| u8::try_from(table).unwrap_or(RT_TABLE_COMPAT));
            header[5] = self.protocol.unwrap_or(0);
            body.raw(&header);
            for (kind, value) in [(RTA_TABLE, self.table), (RTA_OIF, self.oif.map(|link| link.0))] {
                value.into_iter().for_each(|value| body.u32(kind, value));
            }
        });
    }
}
