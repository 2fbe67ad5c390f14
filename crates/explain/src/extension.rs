//! Expressions that nf_tables statements do not cover: the extensions of iptables, and what only the kernel knows.

use std::net::IpAddr;

use pontoon_netlink::wire::{Attr, Attrs};
use pontoon_nft::syntax::{MarkTarget, PortSide, protocol};

use crate::matching::status;
use crate::packet::{Connection, Interface, Packet, Ports};
use crate::truth::Truth;
use crate::walk::Translation;

/// What an expression comes to for a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// The rule goes on if this is so.
    Match(Truth),
    /// The packet is dropped, with or without an answer.
    Drop,
    /// The packet's fate is somebody else's to decide.
    MayDrop,
    /// It, or its connection, gets a mark; which is not known where there is none here.
    Mark(Option<Marking>),
    /// Its addresses are translated.
    Translate(Translation),
}

/// How a mark is set: `(target & !clear) ^ value`, where the value is a constant or bits of the other mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marking {
    /// Whose mark is set.
    pub target: MarkTarget,
    /// Bits of it that are cleared first.
    pub clear: u32,
    /// The constant.
    pub value: u32,
    /// Bits of the other mark, if that is taken instead.
    pub of_other: Option<u32>,
}

/// What the expression called `name` comes to. `bytes` are its attributes.
pub fn effect(packet: &Packet, name: &str, bytes: &[u8]) -> Effect {
    match name {
        "match" => {
            Effect::Match(extension(bytes).map_or(Truth::Unknown, |(name, revision, info)| {
                iptables_match(packet, name, revision, info)
            }))
        }
        "target" => extension(bytes)
            .map_or(Effect::MayDrop, |(name, revision, info)| iptables_target(name, revision, info)),
        // A program in user space decides, or another interface gets the packet.
        "queue" | "synproxy" | "fwd" | "tproxy" => Effect::MayDrop,
        // With an address or port that is worked out.
        "nat" | "masq" | "redir" => Effect::Translate(Translation::Unclear),
        // What is set is a mark, or does not matter here.
        "meta" if attr(bytes, META_SREG).is_some() => sets_mark(bytes),
        "ct" if attr(bytes, CT_SREG).is_some() => sets_mark(bytes),
        // Values that are only worked out: what compares them comes after.
        "immediate" | "bitwise" | "byteorder" => Effect::Match(Truth::True),
        "counter" | "log" | "last" | "notrack" | "flow_offload" | "dup" => Effect::Match(Truth::True),
        "lookup" if gives_verdict(bytes) => Effect::MayDrop,
        _ => Effect::Match(Truth::Unknown),
    }
}

/// `NFTA_META_SREG` and `NFTA_CT_SREG`.
const META_SREG: u16 = 3;
const CT_SREG: u16 = 4;

fn sets_mark(bytes: &[u8]) -> Effect {
    /// `NFTA_META_KEY` and `NFTA_CT_KEY`; `NFT_META_MARK` and `NFT_CT_MARK`.
    const KEY: u16 = 2;
    const MARK: u32 = 3;
    match attr(bytes, KEY).and_then(|attr| attr.u32_be()) {
        Some(MARK) => Effect::Mark(None),
        _ => Effect::Match(Truth::True),
    }
}

/// What an extension of iptables is called: `conntrack`, `DNAT`.
pub fn extension_name(bytes: &[u8]) -> Option<&str> {
    Some(extension(bytes)?.0)
}

/// The address that iptables' `DNAT` leads to, if the expression is one and leads to one address.
pub fn leads_to(name: &str, bytes: &[u8]) -> Option<IpAddr> {
    let (target, revision, info) = extension(bytes).filter(|_| name == "target")?;
    match iptables_target(target, revision, info) {
        Effect::Translate(Translation::Destination(address, _)) => Some(address),
        _ => None,
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

fn iptables_target(name: &str, revision: u32, info: &[u8]) -> Effect {
    let to = |of: fn(IpAddr, Option<u16>) -> Translation| {
        let range = if revision == 2 { range2(info) } else { old_range(info) };
        Effect::Translate(range.map_or(Translation::Unclear, |(address, port)| of(address, port)))
    };
    match name {
        "REJECT" | "DROP" | "TARPIT" => Effect::Drop,
        "NFQUEUE" | "SYNPROXY" => Effect::MayDrop,
        "MASQUERADE" => Effect::Translate(Translation::Masquerade),
        "DNAT" => to(Translation::Destination),
        "SNAT" => to(Translation::Source),
        "MARK" => Effect::Mark((revision == 2).then(|| set_mark(info)).flatten()),
        "CONNMARK" => Effect::Mark((revision >= 1).then(|| connection_mark(info)).flatten()),
        "REDIRECT" => Effect::Translate(redirect(info).map_or(Translation::Unclear, Translation::Redirect)),
        "NETMAP" => Effect::Translate(Translation::Unclear),
        // LOG, TCPMSS and the like: the next rule is next.
        _ => Effect::Match(Truth::True),
    }
}

/// `struct xt_mark_tginfo2`: a mark and a mask. Source: include/uapi/linux/netfilter/xt_mark.h.
fn set_mark(info: &[u8]) -> Option<Marking> {
    let (value, clear) = (native(info, 0)?, native(info, 4)?);
    Some(Marking { target: MarkTarget::Meta, clear, value, of_other: None })
}

/// `struct xt_connmark_tginfo1`: a mark, two masks and what is done. Source: net/netfilter/xt_connmark.c.
fn connection_mark(info: &[u8]) -> Option<Marking> {
    let (value, connection, packet) = (native(info, 0)?, native(info, 4)?, native(info, 8)?);
    let (target, clear, value, of_other) = match info.get(12)? {
        0 => (MarkTarget::Ct, connection, value, None),
        1 => (MarkTarget::Ct, connection, 0, Some(packet)),
        2 => (MarkTarget::Meta, packet, 0, Some(connection)),
        _ => return None,
    };
    // Bits may be shifted by revision 2.
    let shifted = info.len() >= 16 && native(info, 12)? >> 16 != 0;
    (!shifted).then_some(Marking { target, clear, value, of_other })
}

fn native(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// The port of a REDIRECT, if it is one; `struct nf_nat_ipv4_multi_range_compat` for IPv4, `nf_nat_range2` for IPv6.
fn redirect(info: &[u8]) -> Option<Option<u16>> {
    let (flags, at) = if info.len() >= 40 { (native(info, 0)?, 36) } else { (native(info, 4)?, 16) };
    Some(be_port(flags, info.get(at..at + 2)?))
}

/// `NF_NAT_RANGE_MAP_IPS` and `NF_NAT_RANGE_PROTO_SPECIFIED` of nf_nat.h.
const MAP_IPS: u32 = 1;
const PROTO_SPECIFIED: u32 = 2;

/// `struct nf_nat_range2` of nf_nat.h, if it is of one address: flags, two addresses of 16 bytes, ports.
fn range2(info: &[u8]) -> Option<(IpAddr, Option<u16>)> {
    let flags = u32::from_ne_bytes(info.get(..4)?.try_into().ok()?);
    let (first, last) = (info.get(4..20)?, info.get(20..36)?);
    if flags & MAP_IPS == 0 || first != last {
        return None;
    }
    // IPv4 has the first four bytes, and zeroes after them.
    let bytes: [u8; 16] = first.try_into().ok()?;
    let v4 = bytes[4..] == [0; 12];
    let address = if v4 { IpAddr::from([bytes[0], bytes[1], bytes[2], bytes[3]]) } else { bytes.into() };
    Some((address, be_port(flags, info.get(36..38)?)))
}

/// `struct nf_nat_ipv4_multi_range_compat` of nf_nat.h, if it is of one address.
fn old_range(info: &[u8]) -> Option<(IpAddr, Option<u16>)> {
    let flags = u32::from_ne_bytes(info.get(4..8)?.try_into().ok()?);
    let (first, last) = (info.get(8..12)?, info.get(12..16)?);
    if flags & MAP_IPS == 0 || first != last {
        return None;
    }
    let address: [u8; 4] = first.try_into().ok()?;
    Some((address.into(), be_port(flags, info.get(16..18)?)))
}

fn be_port(flags: u32, bytes: &[u8]) -> Option<u16> {
    let port = u16::from_be_bytes(bytes.try_into().ok()?);
    (flags & PROTO_SPECIFIED != 0).then_some(port)
}

fn iptables_match(packet: &Packet, name: &str, revision: u32, info: &[u8]) -> Truth {
    match name {
        "comment" => Truth::True,
        "tcp" if packet.protocol == protocol::TCP => tcp(packet, info),
        "udp" if packet.protocol == protocol::UDP => udp(packet, info),
        "multiport" if revision == 1 => multiport(packet, info).unwrap_or(Truth::Unknown),
        "conntrack" if revision >= 2 => conntrack(packet, revision, info).unwrap_or(Truth::Unknown),
        "state" => state(packet, info),
        "addrtype" if revision == 1 => addrtype(packet, info).unwrap_or(Truth::Unknown),
        "icmp" if packet.protocol == protocol::ICMP => icmp(packet, info),
        "icmp6" if packet.protocol == protocol::ICMPV6 => icmp(packet, info),
        "connmark" => {
            let own = packet.traced.as_ref().and_then(|traced| traced.connection_mark);
            own.and_then(|own| mark(own, info)).unwrap_or(Truth::Unknown)
        }
        "mark" => {
            packet.traced.as_ref().and_then(|traced| mark(traced.mark?, info)).unwrap_or(Truth::Unknown)
        }
        "icmp" | "icmp6" | "tcp" | "udp" | "sctp" | "dccp" => Truth::False,
        _ => Truth::Unknown,
    }
}

/// `struct xt_tcp`: ports, an option of which nothing is known, flags, and what is inverted.
///
/// Source: include/uapi/linux/netfilter/xt_tcpudp.h.
fn tcp(packet: &Packet, info: &[u8]) -> Truth {
    let Some([ports @ .., option, mask, flags, inverted]) = info.first_chunk::<12>() else {
        return Truth::Unknown;
    };
    /// `XT_TCP_INV_FLAGS`
    const INVERTED: u8 = 4;
    let flags = match &packet.traced {
        _ if *mask == 0 => Truth::True,
        Some(traced) => Truth::from(traced.tcp_flags & mask == *flags).negated(inverted & INVERTED != 0),
        None => Truth::Unknown,
    };
    both_ports(packet, ports, *inverted).and(flags).and(if *option == 0 {
        Truth::True
    } else {
        Truth::Unknown
    })
}

/// `struct xt_udp`
fn udp(packet: &Packet, info: &[u8]) -> Truth {
    match info.first_chunk::<9>() {
        Some([ports @ .., inverted]) => both_ports(packet, ports, *inverted),
        None => Truth::Unknown,
    }
}

/// `struct ipt_icmp` and `struct ip6t_icmp`: a type, two codes, and whether it is inverted.
fn icmp(packet: &Packet, info: &[u8]) -> Truth {
    const ANY: u8 = 0xff;
    let (Some(traced), Some([kind, first, last, inverted])) = (&packet.traced, info.first_chunk::<4>())
    else {
        return Truth::Unknown;
    };
    // An echo request or reply has the code 0.
    let is = *kind == ANY || *kind == traced.icmp && *first == 0 && *first <= *last;
    Truth::from(is).negated(*inverted & 1 != 0)
}

/// `struct xt_mark_mtinfo1`: a mark, a mask, and whether it is inverted.
fn mark(own: u32, info: &[u8]) -> Option<Truth> {
    let number = |at: usize| Some(u32::from_ne_bytes(info.get(at..at + 4)?.try_into().ok()?));
    Some(Truth::from(own & number(4)? == number(0)?).negated(*info.get(8)? != 0))
}

/// The ports with which both structures begin.
fn both_ports(packet: &Packet, bytes: &[u8], inverted: u8) -> Truth {
    /// `XT_TCP_INV_SRCPT` and `XT_UDP_INV_SRCPT`, and the same for the destination.
    const SIDES: [(usize, PortSide, u8); 2] = [(0, PortSide::Source, 1), (4, PortSide::Destination, 2)];
    Truth::all(SIDES.map(|(at, side, flag)| match (word(bytes, at), word(bytes, at + 2)) {
        (Some(first), Some(last)) => packet.port(side).within(first, last).negated(inverted & flag != 0),
        _ => Truth::Unknown,
    }))
}

/// `struct xt_multiport_v1`. Source: include/uapi/linux/netfilter/xt_multiport.h.
fn multiport(packet: &Packet, info: &[u8]) -> Option<Truth> {
    const MOST: usize = 15;
    /// After flags, a count, ports and a byte for each of them.
    const INVERT: usize = 2 + MOST * 2 + MOST;
    let sides: &[PortSide] = match info.first()? {
        0 => &[PortSide::Source],
        1 => &[PortSide::Destination],
        _ => &[PortSide::Source, PortSide::Destination],
    };
    let count = usize::from(*info.get(1)?).min(MOST);
    let mut found = Truth::False;
    let mut index = 0;
    while index < count {
        let first = word(info, 2 + index * 2)?;
        // A port with this mark begins a range, which the next one ends.
        let is_range = *info.get(2 + MOST * 2 + index)? != 0;
        index += usize::from(is_range);
        let last = word(info, 2 + index * 2)?;
        found = found.or(Truth::any(sides.iter().map(|side| packet.port(*side).within(first, last))));
        index += 1;
    }
    Some(found.negated(*info.get(INVERT)? != 0))
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

/// `struct xt_addrtype_info_v1`. The source's kind is known of a packet that is followed.
///
/// Source: include/uapi/linux/netfilter/xt_addrtype.h.
fn addrtype(packet: &Packet, info: &[u8]) -> Option<Truth> {
    const INVERT_SOURCE: u32 = 1;
    const INVERT_DESTINATION: u32 = 2;
    const UNICAST: u16 = 1 << 1;
    const LOCAL: u16 = 1 << 2;
    let (source, destination) = (word(info, 0)?, word(info, 2)?);
    let flags = u32::from_ne_bytes(info.get(4..8)?.try_into().ok()?);
    let kind = match &packet.traced {
        Some(traced) => 1_u16.checked_shl(traced.destination_kind).unwrap_or(0),
        None if packet.oif == Interface::None => LOCAL,
        None => UNICAST,
    };
    let so = Truth::from(destination & kind != 0).negated(flags & INVERT_DESTINATION != 0);
    let destination = if destination == 0 { Truth::True } else { so };
    let own = packet.traced.as_ref().and_then(|traced| traced.source_route);
    let from = match own {
        _ if source == 0 => Truth::True,
        Some((kind, _)) => Truth::from(source & 1_u16.checked_shl(kind).unwrap_or(0) != 0)
            .negated(flags & INVERT_SOURCE != 0),
        None => Truth::Unknown,
    };
    Some(destination.and(from))
}

/// `struct xt_state_info`. Source: include/uapi/linux/netfilter/xt_state.h.
fn state(packet: &Packet, info: &[u8]) -> Truth {
    match info.first_chunk::<4>() {
        Some(mask) => Truth::from(u32::from_ne_bytes(*mask) & packet.connection.state() != 0),
        None => Truth::Unknown,
    }
}

/// `struct xt_conntrack_mtinfo2` and `…3`: what the connection's first packet had, its state, its status.
///
/// Source: include/uapi/linux/netfilter/xt_conntrack.h, net/netfilter/xt_conntrack.c.
fn conntrack(packet: &Packet, revision: u32, info: &[u8]) -> Option<Truth> {
    /// `XT_CONNTRACK_STATE` and so on; the alias of the first says how it was typed.
    const STATE: u16 = 1;
    const PROTOCOL: u16 = 1 << 1;
    const SOURCE: u16 = 1 << 2;
    const DESTINATION: u16 = 1 << 3;
    const STATUS: u16 = 1 << 6;
    const SOURCE_PORT: u16 = 1 << 8;
    const DESTINATION_PORT: u16 = 1 << 9;
    const DIRECTION: u16 = 1 << 12;
    const STATE_ALIAS: u16 = 1 << 13;
    const KNOWN: [u16; 8] =
        [STATE, PROTOCOL, SOURCE, DESTINATION, STATUS, SOURCE_PORT, DESTINATION_PORT, DIRECTION];
    /// After eight addresses and two times: a protocol, four ports, the flags, the second ends of the ports.
    const NUMBER: usize = 8 * 16 + 2 * 4;
    const PORTS: usize = NUMBER + 2;
    const FLAGS: usize = PORTS + 4 * 2;
    const LAST_PORTS: usize = FLAGS + 4 * 2;
    let (flags, invert) = (word(info, FLAGS)?, word(info, FLAGS + 2)?);
    let port = |known: Ports, at: usize| match revision {
        3 => Some(known.within(word(info, PORTS + at)?, word(info, LAST_PORTS + at)?)),
        _ => Some(Truth::Unknown),
    };
    let one = |flag: u16| -> Option<Truth> {
        let traced = packet.traced.as_ref();
        Some(
            match flag {
                STATE => conntrack_state(packet, word(info, FLAGS + 4)?),
                STATUS => status(packet, u32::from(word(info, FLAGS + 6)?)),
                PROTOCOL => Truth::from(u16::from(packet.protocol) == word(info, NUMBER)?),
                DIRECTION => Truth::from(packet.connection != Connection::Answer),
                SOURCE => traced.map_or(Truth::Unknown, |traced| masked_address(info, 0, traced.original.0)),
                DESTINATION => {
                    traced.map_or(Truth::Unknown, |traced| masked_address(info, 32, traced.original.1))
                }
                SOURCE_PORT => {
                    traced.map_or(Some(Truth::Unknown), |traced| port(traced.original_ports.0, 0))?
                }
                _ => traced.map_or(Some(Truth::Unknown), |traced| port(traced.original_ports.1, 2))?,
            }
            .negated(invert & flag != 0),
        )
    };
    let asked = KNOWN.into_iter().filter(|flag| flags & flag != 0);
    let known = asked.map(one).collect::<Option<Vec<Truth>>>()?;
    let others = flags & !(KNOWN.iter().fold(STATE_ALIAS, |all, flag| all | flag)) != 0;
    Some(Truth::all(known).and(if others { Truth::Unknown } else { Truth::True }))
}

/// Whether an address is one of those that an address and a mask say, each of 16 bytes.
fn masked_address(info: &[u8], at: usize, own: IpAddr) -> Truth {
    let own = match own {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    let (Some(asked), Some(mask)) = (info.get(at..at + own.len()), info.get(at + 16..at + 16 + own.len()))
    else {
        return Truth::Unknown;
    };
    Truth::from(own.iter().zip(asked).zip(mask).all(|((own, asked), mask)| own & mask == asked & mask))
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

#[cfg(test)]
mod tests {
    use pontoon_nft::syntax::IpVersion;

    use super::*;
    use crate::packet::Address;

    fn asking(protocol: u8) -> Packet {
        Packet {
            version: IpVersion::V4,
            iif: Interface::Named("pt-0123".into()),
            oif: Interface::None,
            source: Address::Unknown,
            destination: Address::Unknown,
            protocol,
            source_port: Ports::CLIENT,
            destination_port: Ports::NAMES,
            connection: Connection::New,
            traced: None,
        }
    }

    fn bytes(ports: &[u16], rest: &[u8]) -> Vec<u8> {
        ports.iter().flat_map(|port| port.to_ne_bytes()).chain(rest.iter().copied()).collect()
    }

    #[test]
    fn ports_of_iptables_are_compared() {
        let (udp, tcp) = (asking(protocol::UDP), asking(protocol::TCP));
        let any_to_names = [0, 0xffff, 53, 53];
        let of = |packet, name, info: &[u8]| iptables_match(packet, name, 0, info);
        // With and without what pads it.
        for pad in [&[0][..], &[0, 0, 0, 0, 0, 0, 0, 0]] {
            assert_eq!(of(&udp, "udp", &bytes(&any_to_names, pad)), Truth::True);
        }
        assert_eq!(of(&udp, "udp", &bytes(&any_to_names, &[2])), Truth::False, "inverted");
        assert_eq!(of(&udp, "udp", &bytes(&[67, 67, 53, 53], &[0])), Truth::False);
        assert_eq!(of(&udp, "tcp", &bytes(&any_to_names, &[0; 4])), Truth::False);
        assert_eq!(of(&tcp, "tcp", &bytes(&any_to_names, &[0; 4])), Truth::True);
        assert_eq!(of(&tcp, "tcp", &bytes(&any_to_names, &[0, 2, 2, 0])), Truth::Unknown, "flags");
        assert_eq!(of(&tcp, "tcp", &bytes(&any_to_names, &[])), Truth::Unknown, "cut off");
    }

    #[test]
    fn many_ports_of_iptables_are_compared() {
        /// Ports, and which of them begin a range.
        fn multiport(flags: u8, ports: &[u16], ranges: &[u8], invert: u8) -> Vec<u8> {
            let fill = |mut list: Vec<u8>, len| {
                list.resize(len, 0);
                list
            };
            let mut info = vec![flags, ports.len() as u8];
            info.extend(fill(bytes(ports, &[]), 30));
            info.extend(fill(ranges.to_vec(), 15));
            info.push(invert);
            info
        }
        let of = |info: Vec<u8>| iptables_match(&asking(protocol::UDP), "multiport", 1, &info);
        assert_eq!(of(multiport(1, &[22, 53, 80], &[], 0)), Truth::True);
        assert_eq!(of(multiport(1, &[22, 80], &[], 0)), Truth::False);
        assert_eq!(of(multiport(1, &[22, 50, 60], &[0, 1, 0], 0)), Truth::True);
        assert_eq!(of(multiport(1, &[22, 50, 60], &[0, 1, 0], 1)), Truth::False);
        assert_eq!(of(multiport(0, &[53], &[], 0)), Truth::False, "the source's");
        assert_eq!(of(multiport(2, &[53], &[], 0)), Truth::True, "either");
        assert_eq!(of(multiport(1, &[50], &[1], 0)), Truth::False, "a range without an end");
    }
}
