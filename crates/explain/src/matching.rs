//! Whether a packet is what a match asks for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use pontoon_nft::ruleset::Table;
use pontoon_nft::syntax::{
    CtField, Element, EtherField, FibAddress, FibResult, Ip6Field, IpField, IpVersion, Key, Match, Meta, Op,
    Operand, PayloadBase, Right, SetRef, Transport, Value, ether_type, nf_proto, protocol,
};

use crate::packet::{Address, Connection, Interface, Packet, Ports, Traced};
use crate::truth::Truth;

/// Whether the packet is what `of` asks for. `table` has the sets that it names.
pub fn matches(packet: &Packet, table: &Table, of: &Match) -> Truth {
    // A key that the packet does not have ends the rule, also where the match is negated.
    if of.key.iter().any(|key| !has(packet, *key)) {
        return Truth::False;
    }
    let negate = of.op == Op::Ne;
    match (&of.key[..], &of.right) {
        ([key], Right::Operand(operand)) => compare(packet, *key, of, operand).negated(negate),
        (key, Right::Set(set)) => match elements(packet, table, set) {
            // Addresses come and go in it, and may be any.
            None => Truth::Unknown,
            Some(elements) => {
                Truth::any(elements.iter().map(|element| is_element(packet, key, element))).negated(negate)
            }
        },
        _ => Truth::Unknown,
    }
}

/// The elements of a set. Where packets or timers change it they tell what is in it now, for the packet that is followed
/// now, but not for others.
pub fn elements<'a>(packet: &Packet, table: &'a Table, set: &'a SetRef) -> Option<&'a [Element]> {
    match set {
        SetRef::Inline(elements) => Some(elements),
        SetRef::Named(name) => {
            let listed = table.set(name)?;
            let changing = listed.set.dynamic || listed.set.timeout;
            (!changing || packet.traced.is_some()).then_some(&listed.elements)
        }
    }
}

/// Whether the packet's `key` is the element's.
pub fn is_element(packet: &Packet, key: &[Key], element: &Element) -> Truth {
    if key.len() != element.key.len() || key.iter().any(|part| !has(packet, *part)) {
        return Truth::False;
    }
    Truth::all(key.iter().zip(&element.key).map(|(key, operand)| equals(packet, *key, operand)))
}

fn compare(packet: &Packet, key: Key, of: &Match, operand: &Operand) -> Truth {
    match (of.op, &of.mask, operand) {
        (_, Some(mask), Operand::Value(value)) => masked(packet, key, mask, value),
        (Op::Any, None, Operand::Value(value)) => any_bit(packet, key, value),
        (_, None, operand) => equals(packet, key, operand),
        _ => Truth::Unknown,
    }
}

/// Whether the packet has what `key` reads.
fn has(packet: &Packet, key: Key) -> bool {
    match key {
        Key::Ip(_) | Key::Ct(CtField::OriginalIpSaddr | CtField::OriginalIpDaddr) => {
            packet.version == IpVersion::V4
        }
        Key::Ip6(_) | Key::Ct(CtField::OriginalIp6Saddr | CtField::OriginalIp6Daddr) => {
            packet.version == IpVersion::V6
        }
        Key::Port { transport, .. } => match transport {
            Transport::Tcp => packet.protocol == protocol::TCP,
            Transport::Udp => packet.protocol == protocol::UDP,
            Transport::Sctp => packet.protocol == protocol::SCTP,
            Transport::Any => true,
        },
        Key::Arp(_) => false,
        Key::IcmpType => packet.protocol == protocol::ICMP,
        Key::Icmpv6Type => packet.protocol == protocol::ICMPV6,
        // Without an interface, its name is empty and its number 0. Source: `nft_meta_get_eval_ifname()` in
        // net/netfilter/nft_meta.c.
        Key::Meta(Meta::Iifgroup | Meta::Iiftype) => packet.iif != Interface::None,
        Key::Meta(Meta::Oifgroup) => packet.oif != Interface::None,
        Key::Meta(_) | Key::Ether(_) | Key::Ct(_) | Key::Fib { .. } | Key::Raw { .. } => true,
    }
}

fn equals(packet: &Packet, key: Key, operand: &Operand) -> Truth {
    let number = |known: u64, read: fn(&Value) -> Option<u64>| match operand {
        Operand::Value(value) => read(value).map_or(Truth::Unknown, |asked| Truth::from(asked == known)),
        Operand::Range { first, last } => match (read(first), read(last)) {
            (Some(first), Some(last)) => Truth::from((first..=last).contains(&known)),
            _ => Truth::Unknown,
        },
        Operand::Prefix { .. } => Truth::Unknown,
    };
    match key {
        Key::Meta(Meta::Iifname) => interface(&packet.iif, operand),
        Key::Meta(Meta::Oifname) => interface(&packet.oif, operand),
        Key::Meta(Meta::Iif) => index(number_of(packet, &packet.iif, |traced| traced.links.0), operand),
        Key::Meta(Meta::Oif) => index(number_of(packet, &packet.oif, |traced| traced.links.1), operand),
        Key::Meta(Meta::Nfproto) => number(u64::from(nf_proto_of(packet)), |value| match value {
            Value::NfProto(number) => Some(u64::from(*number)),
            _ => None,
        }),
        Key::Meta(Meta::Protocol) | Key::Ether(EtherField::Type) => {
            number(u64::from(ether_type_of(packet)), |value| match value {
                Value::EtherType(number) => Some(u64::from(*number)),
                _ => None,
            })
        }
        Key::Meta(Meta::L4proto) | Key::Ip(IpField::Protocol) | Key::Ip6(Ip6Field::Nexthdr) => {
            number(u64::from(packet.protocol), |value| match value {
                Value::Protocol(number) => Some(u64::from(*number)),
                _ => None,
            })
        }
        Key::Port { side, .. } => match (operand.bounds(), operand) {
            ((first, last), Operand::Value(_) | Operand::Range { .. }) => {
                port(packet.port(side), &first, &last)
            }
            _ => Truth::Unknown,
        },
        Key::Ip(IpField::Saddr) | Key::Ip6(Ip6Field::Saddr) => address(packet.source, operand),
        Key::Ip(IpField::Daddr) | Key::Ip6(Ip6Field::Daddr) => address(packet.destination, operand),
        Key::Ct(CtField::State) => number(u64::from(packet.connection.state()), |value| match value {
            Value::CtState(bits) => Some(u64::from(*bits)),
            _ => None,
        }),
        Key::Ct(CtField::Direction) => {
            number(u64::from(packet.connection == Connection::Answer), |value| match value {
                Value::CtDir(direction) => Some(u64::from(*direction)),
                _ => None,
            })
        }
        Key::Fib { address: FibAddress::Daddr, result: FibResult::Type, .. } => {
            destination_kind(packet, operand)
        }
        key => packet.traced.as_ref().map_or(Truth::Unknown, |traced| of_traced(traced, key, operand)),
    }
}

/// What is only known of a packet that is followed.
fn of_traced(traced: &Traced, key: Key, operand: &Operand) -> Truth {
    let is = |known: Value| match operand {
        Operand::Value(value) => Truth::from(*value == known),
        _ => Truth::Unknown,
    };
    let bits = |known: Option<([u8; 6], [u8; 6])>, second: bool| {
        known.map_or(Truth::Unknown, |(from, to)| is(Value::Ether(if second { to } else { from })))
    };
    let original = |ip: IpAddr| address(Address::In(IpNet::from(ip)), operand);
    match key {
        Key::IcmpType => is(Value::IcmpType(traced.icmp)),
        Key::Icmpv6Type => is(Value::Icmpv6Type(traced.icmp)),
        Key::Ether(EtherField::Saddr) => bits(traced.ether, false),
        Key::Ether(EtherField::Daddr) => bits(traced.ether, true),
        Key::Meta(Meta::Mark) => marked(traced.mark, operand),
        Key::Ct(CtField::Mark) => marked(traced.connection_mark, operand),
        Key::Fib { address: FibAddress::Saddr, result, .. } => {
            traced.source_route.map_or(Truth::Unknown, |route| source_route(traced, route, result, operand))
        }
        // It was for us, or it would not have been taken in.
        Key::Meta(Meta::Pkttype) => is(Value::PktType(0)),
        Key::Ct(CtField::OriginalIpSaddr | CtField::OriginalIp6Saddr) => original(traced.original.0),
        Key::Ct(CtField::OriginalIpDaddr | CtField::OriginalIp6Daddr) => original(traced.original.1),
        Key::Ct(CtField::OriginalProtoSrc) => {
            let (first, last) = operand.bounds();
            port(traced.original_ports.0, &first, &last)
        }
        Key::Ct(CtField::OriginalProtoDst) => {
            let (first, last) = operand.bounds();
            port(traced.original_ports.1, &first, &last)
        }
        _ => Truth::Unknown,
    }
}

fn marked(mark: Option<u32>, operand: &Operand) -> Truth {
    let Some(mark) = mark else { return Truth::Unknown };
    match operand {
        Operand::Value(Value::Mark(asked)) => Truth::from(*asked == mark),
        Operand::Range { first: Value::Mark(first), last: Value::Mark(last) } => {
            Truth::from((*first..=*last).contains(&mark))
        }
        _ => Truth::Unknown,
    }
}

/// `fib saddr …`: which kind of address the source is, and whether the way back leads by the interface that the packet
/// came in by.
///
/// Source: `nft_fib4_eval()` in net/ipv4/netfilter/nft_fib_ipv4.c, which knows ways to other hosts alone.
fn source_route(traced: &Traced, (kind, link): (u32, u32), result: FibResult, operand: &Operand) -> Truth {
    const UNICAST: u32 = 1;
    let by_this = kind == UNICAST && Some(link) == traced.links.0;
    match (result, operand) {
        (FibResult::Type, Operand::Value(Value::FibAddrType(asked))) => Truth::from(*asked == kind),
        (FibResult::Exists, Operand::Value(Value::Boolean(asked))) if by_this || kind != UNICAST => {
            Truth::from(*asked == by_this)
        }
        (FibResult::Oif, Operand::Value(Value::IfIndex(0))) if by_this => Truth::False,
        _ => Truth::Unknown,
    }
}

/// `(key & mask) == value`
fn masked(packet: &Packet, key: Key, mask: &Value, value: &Value) -> Truth {
    match (key, mask, value) {
        (Key::Ct(CtField::State), Value::CtState(mask), Value::CtState(value)) => {
            Truth::from(packet.connection.state() & mask == *value)
        }
        (Key::Meta(Meta::Mark), Value::Mark(mask), Value::Mark(value)) => {
            let own = packet.traced.as_ref().and_then(|traced| traced.mark);
            own.map_or(Truth::Unknown, |own| Truth::from(own & mask == *value))
        }
        (Key::Ct(CtField::Mark), Value::Mark(mask), Value::Mark(value)) => {
            let own = packet.traced.as_ref().and_then(|traced| traced.connection_mark);
            own.map_or(Truth::Unknown, |own| Truth::from(own & mask == *value))
        }
        (key @ Key::Raw { .. }, mask, value) => match (tcp_flags(packet, key), mask, value) {
            (Some(flags), Value::Other(mask), Value::Other(value)) if mask.len() == 1 && value.len() == 1 => {
                Truth::from(flags & mask[0] == value[0])
            }
            (Some(flags), Value::Byte(mask), Value::Byte(value)) => Truth::from(flags & mask == *value),
            _ => Truth::Unknown,
        },
        (Key::Ct(CtField::Status), Value::CtStatus(mask), Value::CtStatus(0)) => {
            status(packet, *mask).negated(true)
        }
        (Key::Ct(CtField::Status), Value::CtStatus(mask), Value::CtStatus(value)) if mask == value => {
            if mask.is_power_of_two() { status(packet, *mask) } else { Truth::Unknown }
        }
        _ => Truth::Unknown,
    }
}

/// `key & bits != 0`
fn any_bit(packet: &Packet, key: Key, bits: &Value) -> Truth {
    match (key, bits) {
        (Key::Ct(CtField::State), Value::CtState(bits)) => Truth::from(packet.connection.state() & bits != 0),
        (Key::Ct(CtField::Status), Value::CtStatus(bits)) => status(packet, *bits),
        (key @ Key::Raw { .. }, Value::Other(bits)) if bits.len() == 1 => {
            tcp_flags(packet, key).map_or(Truth::Unknown, |flags| Truth::from(flags & bits[0] != 0))
        }
        _ => Truth::Unknown,
    }
}

/// The flags of a TCP header, if that is what a key reads.
fn tcp_flags(packet: &Packet, key: Key) -> Option<u8> {
    /// Source: RFC 9293, section 3.1.
    const FLAGS: u16 = 13;
    match key {
        Key::Raw { base: PayloadBase::Transport, offset, len }
            if offset == FLAGS && len == 1 && packet.protocol == protocol::TCP =>
        {
            packet.traced.as_ref().map(|traced| traced.tcp_flags)
        }
        _ => None,
    }
}

/// Whether the connection has one of these bits of its status: only what was done to its destination is known.
pub(crate) fn status(packet: &Packet, bits: u32) -> Truth {
    const SNAT: u32 = 0x10;
    const DNAT: u32 = 0x20;
    if let Some(traced) = &packet.traced {
        /// `IPS_EXPECTED`, `IPS_SEEN_REPLY`, `IPS_ASSURED`, `IPS_CONFIRMED`. Source: nf_conntrack_common.h.
        const SEEN_REPLY: u32 = 0x2;
        const OTHERS_OF_NEW: u32 = 0x1 | SEEN_REPLY | 0x4 | 0x8;
        let one = |bit: u32, truth: Truth| if bits & bit == 0 { Truth::False } else { truth };
        let answers = packet.connection == Connection::Answer;
        let known = SNAT | DNAT | SEEN_REPLY | if answers { 0 } else { OTHERS_OF_NEW };
        let others = if bits & !known == 0 { Truth::False } else { Truth::Unknown };
        return one(SNAT, traced.translated.0)
            .or(one(DNAT, traced.translated.1))
            .or(one(SEEN_REPLY, Truth::from(answers)))
            .or(others);
    }
    match packet.connection {
        Connection::NewPublished if bits & DNAT != 0 => Truth::True,
        Connection::New if bits == DNAT => Truth::False,
        _ => Truth::Unknown,
    }
}

fn interface(interface: &Interface, operand: &Operand) -> Truth {
    let Operand::Value(Value::Ifname(pattern)) = operand else { return Truth::Unknown };
    names(interface, pattern)
}

/// Whether the interface's name is `pattern`, which may end in `*`.
pub(crate) fn names(interface: &Interface, pattern: &str) -> Truth {
    let fits = |name: &String| match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == pattern,
    };
    match interface {
        Interface::Named(name) => Truth::from(fits(name)),
        Interface::None => Truth::False,
        _ if pattern == "*" => Truth::True,
        // Nothing is forwarded to or from the loopback interface.
        _ if pattern == "lo" => Truth::False,
        Interface::OneOf { names, not } => match names.as_slice() {
            [] if not.iter().any(|name| name == pattern) => Truth::False,
            [] => Truth::Unknown,
            names if names.iter().all(fits) => Truth::True,
            names if names.iter().any(fits) => Truth::Unknown,
            _ => Truth::False,
        },
    }
}

fn number_of(packet: &Packet, interface: &Interface, read: fn(&Traced) -> Option<u32>) -> Option<u32> {
    if *interface == Interface::None { Some(0) } else { packet.traced.as_ref().and_then(read) }
}

/// Where an interface's number is not known, it is not the loopback's: 1.
fn index(known: Option<u32>, operand: &Operand) -> Truth {
    match (known, operand) {
        (Some(known), Operand::Value(Value::IfIndex(asked))) => Truth::from(known == *asked),
        (None, Operand::Value(Value::IfIndex(1))) => Truth::False,
        _ => Truth::Unknown,
    }
}

fn nf_proto_of(packet: &Packet) -> u8 {
    match packet.version {
        IpVersion::V4 => nf_proto::IPV4,
        IpVersion::V6 => nf_proto::IPV6,
    }
}

fn ether_type_of(packet: &Packet) -> u16 {
    match packet.version {
        IpVersion::V4 => ether_type::IP,
        IpVersion::V6 => ether_type::IP6,
    }
}

fn destination_kind(packet: &Packet, operand: &Operand) -> Truth {
    /// Source: `RTN_UNICAST` in rtnetlink.h.
    const UNICAST: u32 = 1;
    let Operand::Value(Value::FibAddrType(kind)) = operand else { return Truth::Unknown };
    if let Some(traced) = &packet.traced {
        return Truth::from(traced.destination_kind == *kind);
    }
    let local = packet.oif == Interface::None;
    match Value::FibAddrType(*kind) {
        Value::LOCAL => Truth::from(local),
        _ => Truth::from(*kind == UNICAST && !local),
    }
}

fn address(address: Address, operand: &Operand) -> Truth {
    // Sets may have ten thousands of these.
    if let (Address::In(net), Operand::Value(value)) = (address, operand)
        && net.prefix_len() == net.max_prefix_len()
    {
        match (net.addr(), value) {
            (IpAddr::V4(own), Value::Ipv4(asked)) => return Truth::from(own == *asked),
            (IpAddr::V6(own), Value::Ipv6(asked)) => return Truth::from(own == *asked),
            _ => {}
        }
    }
    let Some((first, last)) = bounds(operand) else { return Truth::Unknown };
    within(address, first, last)
}

fn port(port: Ports, first: &[u8], last: &[u8]) -> Truth {
    let number = |bytes: &[u8]| Some(u16::from_be_bytes(bytes.try_into().ok()?));
    match (number(first), number(last)) {
        (Some(first), Some(last)) => port.within(first, last),
        _ => Truth::Unknown,
    }
}

fn bounds(operand: &Operand) -> Option<(IpAddr, IpAddr)> {
    let (first, last) = operand.bounds();
    Some((ip(&first)?, ip(&last)?))
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => Some(IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?)),
        16 => Some(IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?)),
        _ => None,
    }
}

/// Whether an address lies between two.
pub(crate) fn within(address: Address, first: IpAddr, last: IpAddr) -> Truth {
    let everything = match (first, last) {
        (IpAddr::V4(first), IpAddr::V4(last)) => {
            first == Ipv4Addr::UNSPECIFIED && last == Ipv4Addr::BROADCAST
        }
        (IpAddr::V6(first), IpAddr::V6(last)) => {
            first == Ipv6Addr::UNSPECIFIED && last == Ipv6Addr::from([0xff; 16])
        }
        _ => return Truth::False,
    };
    match address {
        _ if everything => Truth::True,
        Address::In(net) if first <= net.network() && net.broadcast() <= last => Truth::True,
        Address::In(net) if last < net.network() || net.broadcast() < first => Truth::False,
        Address::Outside if is_never_outside(first) && is_never_outside(last) => Truth::False,
        _ => Truth::Unknown,
    }
}

/// Whether no packet is routed to or from the address, or none that is worth thinking of: loopback, link-local,
/// multicast, and IPv6 addresses that stand for IPv4's.
///
/// Source: RFC 6890, tables 1 to 26.
fn is_never_outside(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            v4.is_loopback() || v4.is_link_local() || v4.octets()[0] == 0 || v4.octets()[0] >= 224
        }
        IpAddr::V6(v6) => {
            let first = v6.segments()[0];
            first == 0 || first == 0x2002 || first & 0xffc0 == 0xfe80 || first >= 0xff00
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_of(names: &[&str]) -> Interface {
        Interface::OneOf {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            not: vec!["blue0".to_owned()],
        }
    }

    #[test]
    fn a_name_may_be_known_in_part() {
        assert_eq!(names(&one_of(&["eth0"]), "eth0"), Truth::True);
        assert_eq!(names(&one_of(&["eth0", "wg0"]), "eth*"), Truth::Unknown);
        assert_eq!(names(&one_of(&["eth0", "eth1"]), "eth*"), Truth::True);
        assert_eq!(names(&one_of(&[]), "eth0"), Truth::Unknown);
        assert_eq!(names(&one_of(&[]), "blue0"), Truth::False);
        assert_eq!(names(&Interface::Named("pt-1".into()), "pt-*"), Truth::True);
    }

    #[test]
    fn an_address_is_compared_with_a_whole_subnet() {
        let net = Address::In("172.18.0.0/16".parse().unwrap());
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(within(net, ip("172.16.0.0"), ip("172.31.255.255")), Truth::True);
        assert_eq!(within(net, ip("172.18.0.2"), ip("172.18.0.2")), Truth::Unknown);
        assert_eq!(within(net, ip("10.0.0.0"), ip("10.255.255.255")), Truth::False);
        assert_eq!(within(Address::Outside, ip("127.0.0.0"), ip("127.255.255.255")), Truth::False);
        assert_eq!(within(Address::Outside, ip("2002:a00::"), ip("2002:aff::")), Truth::False);
        assert_eq!(within(Address::Unknown, ip("0.0.0.0"), ip("255.255.255.255")), Truth::True);
    }
}
