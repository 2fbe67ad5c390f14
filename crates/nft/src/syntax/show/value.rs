//! Constants, by the names that nft has for them.

use std::fmt::{self, Display, Formatter};

use super::Shown;
use crate::syntax::{Operand, Value};

impl Display for Value {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ifname(name) => write!(f, "\"{}\"", Shown(name)),
            Self::Ipv4(address) => address.fmt(f),
            Self::Ipv6(address) => address.fmt(f),
            Self::Ether([a, b, c, d, e, last]) => {
                write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{last:02x}")
            }
            Self::Protocol(number) => show_named(f, PROTOCOLS, u32::from(*number)),
            Self::Port(port) => port.fmt(f),
            Self::Mark(mark) => write!(f, "{mark:#010x}"),
            Self::NfProto(number) => show_named(f, NF_PROTOS, u32::from(*number)),
            Self::EtherType(number) => match name_of(ETHER_TYPES, u32::from(*number)) {
                Some(name) => f.write_str(name),
                None => write!(f, "{number:#06x}"),
            },
            Self::ArpOp(number) => show_named(f, ARP_OPERATIONS, u32::from(*number)),
            Self::IcmpType(number) => show_named(f, ICMP_TYPES, u32::from(*number)),
            Self::Icmpv6Type(number) => show_named(f, ICMPV6_TYPES, u32::from(*number)),
            Self::CtState(bits) => show_bits(f, CT_STATES, *bits),
            Self::CtStatus(bits) => show_bits(f, CT_STATUSES, *bits),
            Self::CtDir(number) => show_named(f, CT_DIRECTIONS, u32::from(*number)),
            Self::PktType(number) => show_named(f, PACKET_TYPES, u32::from(*number)),
            Self::FibAddrType(number) => show_named(f, ADDRESS_TYPES, *number),
            // In every network namespace: `LOOPBACK_IFINDEX` in the kernel's include/net/flow.h.
            Self::IfIndex(1) => f.write_str("\"lo\""),
            Self::IfIndex(number) => number.fmt(f),
            Self::DevGroup(0) => f.write_str("\"default\""),
            Self::DevGroup(number) => number.fmt(f),
            Self::IfType(number) => show_named(f, HARDWARE_TYPES, u32::from(*number)),
            Self::Boolean(yes) => f.write_str(if *yes { "exists" } else { "missing" }),
            Self::Byte(number) => number.fmt(f),
            Self::Other(bytes) => show_integer(f, bytes),
        }
    }
}

impl Display for Operand {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(value) => value.fmt(f),
            Self::Prefix { address, len } => write!(f, "{address}/{len}"),
            Self::Range { first, last } => write!(f, "{first}-{last}"),
        }
    }
}

/// `0x43`: nft writes a number of any length so.
fn show_integer(f: &mut Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let significant = digits.trim_start_matches('0');
    write!(f, "0x{}", if significant.is_empty() { "0" } else { significant })
}

pub(super) type Names = &'static [(&'static str, u32)];

pub(super) fn name_of(names: Names, number: u32) -> Option<&'static str> {
    names.iter().find(|(_, named)| *named == number).map(|(name, _)| *name)
}

fn show_named(f: &mut Formatter<'_>, names: Names, number: u32) -> fmt::Result {
    match name_of(names, number) {
        Some(name) => f.write_str(name),
        None => write!(f, "{number}"),
    }
}

fn show_bits(f: &mut Formatter<'_>, names: Names, bits: u32) -> fmt::Result {
    let known = names.iter().fold(0, |all, (_, bit)| all | bit);
    if bits == 0 || bits & !known != 0 {
        return write!(f, "{bits:#x}");
    }
    let set: Vec<&str> = names.iter().filter(|(_, bit)| bits & bit != 0).map(|(name, _)| *name).collect();
    f.write_str(&set.join(","))
}

const PROTOCOLS: Names = &[
    ("icmp", 1),
    ("igmp", 2),
    ("tcp", 6),
    ("udp", 17),
    ("dccp", 33),
    ("gre", 47),
    ("esp", 50),
    ("ah", 51),
    ("ipv6-icmp", 58),
    ("sctp", 132),
    ("udplite", 136),
];
const NF_PROTOS: Names = &[("ipv4", 2), ("ipv6", 10)];
const ETHER_TYPES: Names =
    &[("ip", 0x0800), ("arp", 0x0806), ("ip6", 0x86dd), ("8021q", 0x8100), ("8021ad", 0x88a8)];
const ARP_OPERATIONS: Names = &[
    ("request", 1),
    ("reply", 2),
    ("rrequest", 3),
    ("rreply", 4),
    ("inrequest", 8),
    ("inreply", 9),
    ("nak", 10),
];
const ICMP_TYPES: Names = &[
    ("echo-reply", 0),
    ("destination-unreachable", 3),
    ("source-quench", 4),
    ("redirect", 5),
    ("echo-request", 8),
    ("router-advertisement", 9),
    ("router-solicitation", 10),
    ("time-exceeded", 11),
    ("parameter-problem", 12),
    ("timestamp-request", 13),
    ("timestamp-reply", 14),
    ("info-request", 15),
    ("info-reply", 16),
    ("address-mask-request", 17),
    ("address-mask-reply", 18),
];
const ICMPV6_TYPES: Names = &[
    ("destination-unreachable", 1),
    ("packet-too-big", 2),
    ("time-exceeded", 3),
    ("parameter-problem", 4),
    ("echo-request", 128),
    ("echo-reply", 129),
    ("mld-listener-query", 130),
    ("mld-listener-report", 131),
    ("mld-listener-done", 132),
    ("nd-router-solicit", 133),
    ("nd-router-advert", 134),
    ("nd-neighbor-solicit", 135),
    ("nd-neighbor-advert", 136),
    ("nd-redirect", 137),
    ("router-renumbering", 138),
    ("ind-neighbor-solicit", 141),
    ("ind-neighbor-advert", 142),
    ("mld2-listener-report", 143),
];
const CT_STATES: Names =
    &[("invalid", 1), ("established", 2), ("related", 4), ("new", 8), ("untracked", 0x40)];
const CT_STATUSES: Names = &[
    ("expected", 1),
    ("seen-reply", 2),
    ("assured", 4),
    ("confirmed", 8),
    ("snat", 0x10),
    ("dnat", 0x20),
    ("dying", 0x200),
];
const CT_DIRECTIONS: Names = &[("original", 0), ("reply", 1)];
const PACKET_TYPES: Names = &[("host", 0), ("broadcast", 1), ("multicast", 2), ("other", 3)];
const ADDRESS_TYPES: Names = &[
    ("unspec", 0),
    ("unicast", 1),
    ("local", 2),
    ("broadcast", 3),
    ("anycast", 4),
    ("multicast", 5),
    ("blackhole", 6),
    ("unreachable", 7),
    ("prohibit", 8),
];
const HARDWARE_TYPES: Names = &[("ether", 1), ("ppp", 512), ("ipip", 768), ("loopback", 772), ("sit", 776)];
