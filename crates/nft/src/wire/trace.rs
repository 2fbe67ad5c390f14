//! What the kernel tells of a traced packet: each rule that it meets, and what came of it.

use pontoon_netlink::wire::{Attrs, Message};

use super::attribute::{SUBSYSTEM, msg, trace as attribute};
use super::expression::{find, read_verdict};
use crate::syntax::{Family, TableRef, Verdict};

/// A message of the group `NFNLGRP_NFTRACE`.
///
/// A packet's headers come with the first message of each base chain that it meets, and not again. Its number stays the
/// same within a base chain; it is made of where the packet lies in memory and of what it is, so it may change between
/// hooks, and another packet may get it later.
///
/// Source: `nft_trace_notify()`, `nft_trace_init()` in the kernel's net/netfilter/nf_tables_trace.c.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// The packet's number.
    pub id: u32,
    /// The table.
    pub table: TableRef,
    /// The chain.
    pub chain: String,
    /// What decided.
    pub by: TraceBy,
    /// What was decided; `None` where the kernel gave a verdict that has no word in nft's syntax, such as a queue's.
    pub verdict: Option<Verdict>,
    /// The index of the interface by which it came in.
    pub iif: Option<u32>,
    /// The index of the interface by which it is to leave.
    pub oif: Option<u32>,
    /// The beginning of its network header: 40 bytes of it at the most, none but in a base chain's first message.
    pub network: Vec<u8>,
    /// The beginning of its transport header, with what follows: 20 bytes at the most.
    pub transport: Vec<u8>,
}

/// What decided about a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TraceBy {
    /// A rule, by its number.
    Rule(u64),
    /// No rule of a chain decided: it came to its end.
    End,
    /// The base chain's policy.
    Policy,
}

impl Trace {
    /// Reads a message; `None` if it is of another kind.
    pub fn read(message: &Message<'_>) -> Option<Self> {
        /// Length of `struct nfgenmsg`.
        const GENERIC_LEN: usize = 4;
        if message.kind != (SUBSYSTEM << 8 | msg::TRACE) {
            return None;
        }
        let family = Family::from_number(*message.payload.first()?)?;
        let attrs = Attrs::new(message.payload.get(GENERIC_LEN..)?);
        let get = |kind| find(attrs.clone(), kind);
        let number = |kind| get(kind).and_then(|attr| attr.u32_be());
        let bytes = |kind| get(kind).map(|attr| attr.value.to_vec()).unwrap_or_default();
        let by = match number(attribute::TYPE)? {
            // The end of a chain's rules is told as a rule without a number.
            attribute::BY_RULE => match get(attribute::RULE_HANDLE) {
                Some(attr) => TraceBy::Rule(attr.u64_be()?),
                None => TraceBy::End,
            },
            attribute::BY_RETURN => TraceBy::End,
            attribute::BY_POLICY => TraceBy::Policy,
            _ => return None,
        };
        let verdict = match by {
            TraceBy::Policy => match number(attribute::POLICY)? {
                0 => Some(Verdict::Drop),
                _ => Some(Verdict::Accept),
            },
            _ => get(attribute::VERDICT).and_then(|attr| read_verdict(&attr)),
        };
        Some(Self {
            id: number(attribute::ID)?,
            table: TableRef::new(family, get(attribute::TABLE)?.str()?),
            chain: get(attribute::CHAIN)?.str()?.to_owned(),
            by,
            verdict,
            iif: number(attribute::IIF),
            oif: number(attribute::OIF),
            network: bytes(attribute::NETWORK_HEADER),
            transport: bytes(attribute::TRANSPORT_HEADER),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Linux 6.18 told of an echo request to 127.0.0.1: by a rule, with headers; by the same chain's policy, without;
    /// by the end of a chain without rules, with headers.
    const RULE: &[u8] = b"\x01\0\0\0\x08\0\x0f\0\0\0\0\x02\x08\0\x04\0\0\0\0\x03\x08\0\x06\0\xea\x45\x84\x28\x11\0\x02\0output-first\0\0\0\0\x1b\0\x01\0pontoon_probe_4e3df756\0\0\x0c\0\x03\0\0\0\0\0\0\0\0\x0a\x0c\0\x05\0\x08\0\x01\0\xff\xff\xff\xff\x08\0\x0c\0\0\0\0\x01\x06\0\x0d\0\x03\x04\0\0\x18\0\x08\0\x45\0\0\x24\xdf\x38\x40\0\x40\x01\x5d\x9e\x7f\0\0\x01\x7f\0\0\x01\x14\0\x09\0\x08\0\x83\x87\x36\x54\0\x01\x36\x54\x49\x60\x88\x88\x35\xe6";
    const POLICY: &[u8] = b"\x01\0\0\0\x08\0\x0f\0\0\0\0\x02\x08\0\x04\0\0\0\0\x01\x08\0\x06\0\xea\x45\x84\x28\x11\0\x02\0output-first\0\0\0\0\x1b\0\x01\0pontoon_probe_4e3df756\0\0\x08\0\x10\0\0\0\0\x01";
    const END: &[u8] = b"\x01\0\0\0\x08\0\x0f\0\0\0\0\x02\x08\0\x04\0\0\0\0\x03\x08\0\x06\0\xea\x45\x84\x28\x10\0\x02\0output-last\0\x1b\0\x01\0pontoon_probe_4e3df756\0\0\x0c\0\x05\0\x08\0\x01\0\xff\xff\xff\xff\x08\0\x0c\0\0\0\0\x01\x18\0\x08\0\x45\0\0\x24\xdf\x38\x40\0\x40\x01\x5d\x9e\x7f\0\0\x01\x7f\0\0\x01";

    fn read(payload: &[u8]) -> Option<Trace> {
        Trace::read(&Message { kind: 2577, flags: 0, seq: 0, payload })
    }

    #[test]
    fn a_rule_comes_with_the_packets_headers() {
        let trace = read(RULE).unwrap();
        assert_eq!(trace.table, TableRef::new(Family::Inet, "pontoon_probe_4e3df756"));
        assert_eq!((trace.chain.as_str(), trace.id), ("output-first", 0xea45_8428));
        assert_eq!((trace.by, trace.verdict), (TraceBy::Rule(10), Some(Verdict::Continue)));
        assert_eq!((trace.iif, trace.oif), (None, Some(1)));
        assert_eq!((trace.network.len(), trace.transport.len()), (20, 16));
        assert_eq!(&trace.network[12..], [127, 0, 0, 1, 127, 0, 0, 1]);
        assert_eq!(trace.transport[0], 8);
    }

    #[test]
    fn a_policy_and_an_end_are_told_from_rules() {
        let policy = read(POLICY).unwrap();
        assert_eq!((policy.by, policy.verdict), (TraceBy::Policy, Some(Verdict::Accept)));
        assert!(policy.network.is_empty());
        let end = read(END).unwrap();
        assert_eq!((end.by, end.verdict), (TraceBy::End, Some(Verdict::Continue)));
        assert_eq!(end.network.len(), 20);
    }

    #[test]
    fn what_is_cut_off_or_of_another_kind_is_none() {
        assert_eq!(read(&RULE[..30]), None);
        assert_eq!(read(&[]), None);
        assert_eq!(Trace::read(&Message { kind: 2576, flags: 0, seq: 0, payload: RULE }), None);
    }
}
