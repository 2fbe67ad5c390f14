//! Expressions that nf_tables statements do not cover: the extensions of iptables, and what only the kernel knows.

use pontoon_netlink::wire::{Attr, Attrs};

use crate::matching::status;
use crate::packet::{Interface, Packet};
use crate::truth::Truth;

/// What an expression comes to for a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The rule goes on if this is so.
    Match(Truth),
    /// The packet is dropped, with or without an answer.
    Drop,
    /// The packet's fate is somebody else's to decide.
    MayDrop,
}

/// What the expression called `name` comes to. `bytes` are its attributes.
pub fn effect(packet: &Packet, name: &str, bytes: &[u8]) -> Effect {
    match name {
        "match" => {
            Effect::Match(extension(bytes).map_or(Truth::Unknown, |(name, revision, info)| {
                iptables_match(packet, name, revision, info)
            }))
        }
        "target" => extension(bytes).map_or(Effect::MayDrop, |(name, ..)| iptables_target(name)),
        // A program in user space decides.
        "queue" => Effect::MayDrop,
        "counter" | "log" | "last" | "notrack" | "flow_offload" | "dup" | "tproxy" => {
            Effect::Match(Truth::True)
        }
        "lookup" if gives_verdict(bytes) => Effect::MayDrop,
        _ => Effect::Match(Truth::Unknown),
    }
}

/// A lookup in a map of verdicts writes to the verdict's register.
fn gives_verdict(bytes: &[u8]) -> bool {
    /// `NFTA_LOOKUP_DREG`
    const DREG: u16 = 3;
    attr(bytes, DREG).and_then(|attr| attr.u32_be()) == Some(0)
}

fn attr(bytes: &[u8], kind: u16) -> Option<Attr<'_>> {
    Attrs::new(bytes).find(|attr| attr.kind == kind)
}

/// Name, revision and private data: `NFTA_MATCH_…` and `NFTA_TARGET_…` have the same numbers.
fn extension(bytes: &[u8]) -> Option<(&str, u32, &[u8])> {
    let name = attr(bytes, 1)?.str()?;
    let revision = attr(bytes, 2).and_then(|attr| attr.u32_be()).unwrap_or(0);
    Some((name, revision, attr(bytes, 3).map_or(&[][..], |attr| attr.value)))
}

fn iptables_target(name: &str) -> Effect {
    match name {
        "REJECT" | "DROP" | "TARPIT" => Effect::Drop,
        "NFQUEUE" | "SYNPROXY" => Effect::MayDrop,
        // LOG, MARK, TCPMSS and the like: the next rule is next.
        _ => Effect::Match(Truth::True),
    }
}

fn iptables_match(packet: &Packet, name: &str, revision: u32, info: &[u8]) -> Truth {
    match name {
        "comment" => Truth::True,
        "tcp" => tcp(info),
        "conntrack" if revision >= 2 => conntrack(packet, info).unwrap_or(Truth::Unknown),
        "state" => state(packet, info),
        "addrtype" if revision == 1 => addrtype(packet, info).unwrap_or(Truth::Unknown),
        "icmp" | "icmp6" | "udp" | "sctp" | "dccp" => Truth::False,
        _ => Truth::Unknown,
    }
}

/// `struct xt_tcp`: of ports and flags nothing is known, so it matches all or nobody knows.
///
/// Source: include/uapi/linux/netfilter/xt_tcpudp.h.
fn tcp(info: &[u8]) -> Truth {
    /// All source ports, all destination ports, no option, no flags, nothing inverted.
    const ANY: [u8; 12] = [0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff, 0, 0, 0, 0];
    if info.starts_with(&ANY) { Truth::True } else { Truth::Unknown }
}

/// `struct xt_addrtype_info_v1`, of which the destination's kind is known.
///
/// Source: include/uapi/linux/netfilter/xt_addrtype.h.
fn addrtype(packet: &Packet, info: &[u8]) -> Option<Truth> {
    const INVERT_DESTINATION: u32 = 2;
    const UNICAST: u16 = 1 << 1;
    const LOCAL: u16 = 1 << 2;
    let word = |at: usize| Some(u16::from_ne_bytes(info.get(at..at + 2)?.try_into().ok()?));
    let (source, destination) = (word(0)?, word(2)?);
    let flags = u32::from_ne_bytes(info.get(4..8)?.try_into().ok()?);
    let kind = if packet.oif == Interface::None { LOCAL } else { UNICAST };
    let so = Truth::from(destination & kind != 0).negated(flags & INVERT_DESTINATION != 0);
    let destination = if destination == 0 { Truth::True } else { so };
    Some(if source == 0 { destination } else { destination.and(Truth::Unknown) })
}

/// `struct xt_state_info`. Source: include/uapi/linux/netfilter/xt_state.h.
fn state(packet: &Packet, info: &[u8]) -> Truth {
    match info.first_chunk::<4>() {
        Some(mask) => Truth::from(u32::from_ne_bytes(*mask) & packet.connection.state() != 0),
        None => Truth::Unknown,
    }
}

/// `struct xt_conntrack_mtinfo2` and `…3`, of which states are the same.
///
/// Source: include/uapi/linux/netfilter/xt_conntrack.h.
fn conntrack(packet: &Packet, info: &[u8]) -> Option<Truth> {
    /// `XT_CONNTRACK_STATE` and its alias, which says how it was typed.
    const STATE: u16 = 1;
    const STATE_ALIAS: u16 = 1 << 13;
    /// After eight addresses, two times, a protocol and four ports.
    const FLAGS: usize = 8 * 16 + 2 * 4 + 2 + 4 * 2;
    let word = |at: usize| Some(u16::from_ne_bytes(info.get(at..at + 2)?.try_into().ok()?));
    let (flags, invert, mask) = (word(FLAGS)?, word(FLAGS + 2)?, word(FLAGS + 4)?);
    if flags & STATE == 0 {
        return Some(Truth::Unknown);
    }
    let state = conntrack_state(packet, mask).negated(invert & STATE != 0);
    let alone = flags & !(STATE | STATE_ALIAS) == 0;
    Some(if alone { state } else { state.and(Truth::Unknown) })
}

/// The bits of states are those of `ct state`; beside them are two of `ct status`.
fn conntrack_state(packet: &Packet, mask: u16) -> Truth {
    const SNAT: u16 = 1 << 6;
    const DNAT: u16 = 1 << 7;
    let translated = |bit: u16, status_bit| match mask & bit {
        0 => Truth::False,
        _ => status(packet, status_bit),
    };
    Truth::from(u32::from(mask) & packet.connection.state() != 0)
        .or(translated(DNAT, 0x20))
        .or(translated(SNAT, 0x10))
}
