//! nft(8)'s syntax, as `nft list ruleset` prints it and `nft` reads it.

use std::fmt::{self, Display, Formatter, Write};

use super::command::{Command, Elements};
use super::key::{
    ArpField, CtField, EtherField, FibAddress, FibResult, Ip6Field, IpField, Key, Meta, PayloadBase,
    PortSide, Transport,
};
use super::object::{
    Base, Chain, ChainKind, Element, ElementData, Family, Hook, Policy, Rule, Set, SetData, TableRef,
};
use super::statement::{
    AddressRange, CounterValue, IcmpxCode, IpVersion, Limit, LimitKind, LimitUnit, LogLevel, MarkSource,
    MarkTarget, Match, Nat, NatFlags, NatKind, NatTarget, Op, PortRange, Reject, Right, SetOp, SetRef,
    SetUpdate, Statement, Verdict,
};
use super::value::{DataType, Operand, Value};

/// Whether a text is to be typed or is what the kernel has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    /// A command: a counter that starts at zero need not say so.
    Command,
    /// A listing: all counters show their values.
    Listing,
}

/// A text that others chose: in a container's namespace, whoever made the rules there.
///
/// Control characters could steer the terminal or begin a line of their own, so they are shown as U+FFFD.
pub(crate) struct Shown<'a>(pub(crate) &'a str);

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0
            .chars()
            .try_for_each(|c| f.write_char(if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }))
    }
}

impl Display for Family {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inet => "inet",
            Self::Ip => "ip",
            Self::Ip6 => "ip6",
            Self::Arp => "arp",
            Self::Bridge => "bridge",
            Self::Netdev => "netdev",
        })
    }
}

impl Display for TableRef {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.family, Shown(&self.name))
    }
}

impl Display for ChainKind {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Filter => "filter",
            Self::Nat => "nat",
            Self::Route => "route",
        })
    }
}

impl Display for Hook {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prerouting => "prerouting",
            Self::Input => "input",
            Self::Forward => "forward",
            Self::Output => "output",
            Self::Postrouting => "postrouting",
            Self::Ingress => "ingress",
            Self::Egress => "egress",
        })
    }
}

impl Display for Policy {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Accept => "accept",
            Self::Drop => "drop",
        })
    }
}

/// The names of the priorities that are allowed at `hook` of `family`. Source: `std_prios` in nft's `src/rule.c`.
fn named_priorities(family: Family, hook: Hook) -> Vec<(&'static str, i32)> {
    let mut names = Vec::new();
    match family {
        Family::Inet | Family::Ip | Family::Ip6 => {
            names.extend([("raw", -300), ("mangle", -150), ("filter", 0), ("security", 50)]);
            match hook {
                Hook::Prerouting => names.push(("dstnat", -100)),
                Hook::Postrouting => names.push(("srcnat", 100)),
                _ => {}
            }
        }
        Family::Arp | Family::Netdev => names.push(("filter", 0)),
        Family::Bridge => {
            names.push(("filter", -200));
            match hook {
                Hook::Prerouting => names.push(("dstnat", -300)),
                Hook::Output => names.push(("out", 100)),
                Hook::Postrouting => names.push(("srcnat", 300)),
                _ => {}
            }
        }
    }
    names
}

fn show_priority(out: &mut dyn Write, family: Family, hook: Hook, priority: i32) -> fmt::Result {
    /// How far from a named priority nft still uses the name.
    const REACH: u32 = 10;
    let near =
        named_priorities(family, hook).into_iter().find(|(_, named)| priority.abs_diff(*named) <= REACH);
    match near {
        Some((name, named)) if named == priority => write!(out, "{name}"),
        Some((name, named)) if named < priority => write!(out, "{name} + {}", priority.abs_diff(named)),
        Some((name, named)) => write!(out, "{name} - {}", priority.abs_diff(named)),
        None => write!(out, "{priority}"),
    }
}

/// `type filter hook forward priority filter; policy accept;`
pub(crate) fn show_base(out: &mut dyn Write, family: Family, base: &Base) -> fmt::Result {
    write!(out, "type {} hook {} ", base.kind, base.hook)?;
    if let Some(device) = &base.device {
        write!(out, "device \"{}\" ", Shown(device))?;
    }
    out.write_str("priority ")?;
    show_priority(out, family, base.hook, base.priority)?;
    write!(out, "; policy {};", base.policy)
}

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

/// `0x43`: nft writes a number of any length so.
fn show_integer(f: &mut Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let significant = digits.trim_start_matches('0');
    write!(f, "0x{}", if significant.is_empty() { "0" } else { significant })
}

type Names = &'static [(&'static str, u32)];

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

fn name_of(names: Names, number: u32) -> Option<&'static str> {
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

impl Display for Operand {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(value) => value.fmt(f),
            Self::Prefix { address, len } => write!(f, "{address}/{len}"),
            Self::Range { first, last } => write!(f, "{first}-{last}"),
        }
    }
}

impl Display for Key {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Meta(meta) => meta.fmt(f),
            Self::Ip(IpField::Saddr) => f.write_str("ip saddr"),
            Self::Ip(IpField::Daddr) => f.write_str("ip daddr"),
            Self::Ip(IpField::Ttl) => f.write_str("ip ttl"),
            Self::Ip(IpField::Protocol) => f.write_str("ip protocol"),
            Self::Ip6(Ip6Field::Saddr) => f.write_str("ip6 saddr"),
            Self::Ip6(Ip6Field::Daddr) => f.write_str("ip6 daddr"),
            Self::Ip6(Ip6Field::Nexthdr) => f.write_str("ip6 nexthdr"),
            Self::Ip6(Ip6Field::Hoplimit) => f.write_str("ip6 hoplimit"),
            Self::Ether(EtherField::Saddr) => f.write_str("ether saddr"),
            Self::Ether(EtherField::Daddr) => f.write_str("ether daddr"),
            Self::Ether(EtherField::Type) => f.write_str("ether type"),
            Self::Arp(ArpField::Operation) => f.write_str("arp operation"),
            Self::Arp(ArpField::SaddrIp) => f.write_str("arp saddr ip"),
            Self::Arp(ArpField::SaddrEther) => f.write_str("arp saddr ether"),
            Self::Arp(ArpField::DaddrIp) => f.write_str("arp daddr ip"),
            Self::Arp(ArpField::DaddrEther) => f.write_str("arp daddr ether"),
            Self::Port { transport, side } => {
                f.write_str(match transport {
                    Transport::Tcp => "tcp ",
                    Transport::Udp => "udp ",
                    Transport::Sctp => "sctp ",
                    Transport::Any => "th ",
                })?;
                f.write_str(match side {
                    PortSide::Source => "sport",
                    PortSide::Destination => "dport",
                })
            }
            Self::IcmpType => f.write_str("icmp type"),
            Self::Icmpv6Type => f.write_str("icmpv6 type"),
            Self::Raw { base, offset, len } => {
                let base = match base {
                    PayloadBase::Link => "ll",
                    PayloadBase::Network => "nh",
                    PayloadBase::Transport => "th",
                };
                write!(f, "@{base},{},{}", u32::from(*offset) * 8, u32::from(*len) * 8)
            }
            Self::Ct(field) => field.fmt(f),
            Self::Fib { address, iif, result } => {
                f.write_str(match address {
                    FibAddress::Saddr => "fib saddr ",
                    FibAddress::Daddr => "fib daddr ",
                })?;
                f.write_str(if *iif { ". iif " } else { "" })?;
                f.write_str(match result {
                    FibResult::Type => "type",
                    FibResult::Oif | FibResult::Exists => "oif",
                    FibResult::Oifname => "oifname",
                })
            }
        }
    }
}

impl Display for Meta {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Iifname => "iifname",
            Self::Oifname => "oifname",
            Self::Iif => "iif",
            Self::Oif => "oif",
            Self::Iiftype => "meta iiftype",
            Self::Iifgroup => "iifgroup",
            Self::Oifgroup => "oifgroup",
            Self::L4proto => "meta l4proto",
            Self::Nfproto => "meta nfproto",
            Self::Protocol => "meta protocol",
            Self::Mark => "meta mark",
            Self::Pkttype => "meta pkttype",
        })
    }
}

impl Display for CtField {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::State => "ct state",
            Self::Status => "ct status",
            Self::Mark => "ct mark",
            Self::Direction => "ct direction",
            Self::OriginalIpSaddr => "ct original ip saddr",
            Self::OriginalIpDaddr => "ct original ip daddr",
            Self::OriginalIp6Saddr => "ct original ip6 saddr",
            Self::OriginalIp6Daddr => "ct original ip6 daddr",
            Self::OriginalProtoSrc => "ct original proto-src",
            Self::OriginalProtoDst => "ct original proto-dst",
        })
    }
}

impl Display for Verdict {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accept => f.write_str("accept"),
            Self::Drop => f.write_str("drop"),
            Self::Continue => f.write_str("continue"),
            Self::Return => f.write_str("return"),
            Self::Jump(chain) => write!(f, "jump {}", Shown(chain)),
            Self::Goto(chain) => write!(f, "goto {}", Shown(chain)),
        }
    }
}

impl Display for PortRange {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.first)?;
        if self.last == self.first { Ok(()) } else { write!(f, "-{}", self.last) }
    }
}

impl Display for LogLevel {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Emerg => "emerg",
            Self::Alert => "alert",
            Self::Crit => "crit",
            Self::Err => "err",
            Self::Warn => "warn",
            Self::Notice => "notice",
            Self::Info => "info",
            Self::Debug => "debug",
        })
    }
}

impl Display for Limit {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let unit = match self.unit {
            LimitUnit::Second => "second",
            LimitUnit::Minute => "minute",
            LimitUnit::Hour => "hour",
            LimitUnit::Day => "day",
            LimitUnit::Week => "week",
        };
        f.write_str("limit rate ")?;
        f.write_str(if self.over { "over " } else { "" })?;
        match self.kind {
            LimitKind::Packets => {
                write!(f, "{}/{unit}", self.rate)?;
                // nft's default when a rule does not say.
                if self.burst == 5 { Ok(()) } else { write!(f, " burst {} packets", self.burst) }
            }
            LimitKind::Bytes => {
                let (rate, rate_unit) = byte_unit(self.rate);
                write!(f, "{rate} {rate_unit}/{unit}")?;
                let (burst, burst_unit) = byte_unit(u64::from(self.burst));
                if burst == 0 { Ok(()) } else { write!(f, " burst {burst} {burst_unit}") }
            }
        }
    }
}

/// The largest unit that divides `bytes`.
fn byte_unit(bytes: u64) -> (u64, &'static str) {
    match bytes {
        0 => (0, "bytes"),
        _ if bytes.is_multiple_of(1 << 20) => (bytes >> 20, "mbytes"),
        _ if bytes.is_multiple_of(1 << 10) => (bytes >> 10, "kbytes"),
        _ => (bytes, "bytes"),
    }
}

fn show_nat_flags(out: &mut dyn Write, flags: NatFlags) -> fmt::Result {
    let mut names = Vec::new();
    names.extend(flags.random.then_some("random"));
    names.extend(flags.fully_random.then_some("fully-random"));
    names.extend(flags.persistent.then_some("persistent"));
    if names.is_empty() { Ok(()) } else { write!(out, " {}", names.join(",")) }
}

fn show_counter(out: &mut dyn Write, counter: CounterValue, detail: Detail) -> fmt::Result {
    out.write_str("counter")?;
    if detail == Detail::Command && counter == CounterValue::default() {
        return Ok(());
    }
    write!(out, " packets {} bytes {}", counter.packets, counter.bytes)
}

/// A time span as nft writes it: `1h29m59s812ms`.
pub(crate) fn duration(milliseconds: u64) -> String {
    let mut text = String::new();
    let mut rest = milliseconds;
    for (unit, length) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)] {
        if rest >= length {
            text.push_str(&format!("{}{unit}", rest / length));
            rest %= length;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

fn joined<T: Display>(items: &[T], separator: &str) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(separator)
}

/// `KEY [: DATA]` with everything that an element can have between.
pub(crate) fn show_element(out: &mut dyn Write, element: &Element, detail: Detail) -> fmt::Result {
    out.write_str(&joined(&element.key, " . "))?;
    if let Some(counter) = element.counter {
        out.write_char(' ')?;
        show_counter(out, counter, detail)?;
    }
    if let Some(timeout) = element.timeout {
        write!(out, " timeout {}", duration(timeout))?;
    }
    if let Some(expires) = element.expires {
        write!(out, " expires {}", duration(expires))?;
    }
    if let Some(comment) = &element.comment {
        write!(out, " comment \"{}\"", Shown(comment))?;
    }
    match &element.data {
        None => Ok(()),
        Some(ElementData::Verdict(verdict)) => write!(out, " : {verdict}"),
        Some(ElementData::Values(values)) => write!(out, " : {}", joined(values, " . ")),
    }
}

/// What nft sorts the elements of a set by that holds no intervals: the key as one little-endian number, or its
/// value if it is a single number in network byte order.
///
/// Source: `expr_msort_value()` in nft's `src/mergesort.c`.
pub(crate) fn element_sort_key(element: &Element) -> Vec<u8> {
    let mut bytes: Vec<u8> = element.key.iter().flat_map(|part| part.bounds().0).collect();
    let is_number = matches!(&element.key[..], [part] if part.data_type().is_big_endian());
    if !is_number && cfg!(target_endian = "little") {
        bytes.reverse();
    }
    bytes
}

fn show_elements(out: &mut dyn Write, elements: &[Element], detail: Detail) -> fmt::Result {
    out.write_str("{ ")?;
    for (index, element) in elements.iter().enumerate() {
        out.write_str(if index == 0 { "" } else { ", " })?;
        show_element(out, element, detail)?;
    }
    out.write_str(" }")
}

fn show_set_ref(out: &mut dyn Write, set: &SetRef, detail: Detail) -> fmt::Result {
    match set {
        SetRef::Named(name) => write!(out, "@{}", Shown(name)),
        SetRef::Inline(elements) => show_elements(out, elements, detail),
    }
}

fn show_lookup(out: &mut dyn Write, key: &[Key], word: &str, set: &SetRef, detail: Detail) -> fmt::Result {
    write!(out, "{} {word} ", joined(key, " . "))?;
    show_set_ref(out, set, detail)
}

fn show_match(out: &mut dyn Write, of: &Match, detail: Detail) -> fmt::Result {
    out.write_str(&joined(&of.key, " . "))?;
    if let Some(mask) = &of.mask {
        write!(out, " & {mask}")?;
    }
    let is_mask_type =
        matches!(of.key.first().map(|key| key.data_type()), Some(DataType::CtState | DataType::CtStatus));
    let explicit = of.mask.is_some() || (is_mask_type && matches!(of.right, Right::Operand(_)));
    out.write_str(match of.op {
        Op::Ne => " != ",
        Op::Eq if explicit => " == ",
        Op::Eq | Op::Any => " ",
    })?;
    match &of.right {
        Right::Operand(operand) => write!(out, "{operand}"),
        Right::Set(set) => show_set_ref(out, set, detail),
    }
}

fn show_nat(out: &mut dyn Write, family: Family, nat: &Nat, detail: Detail) -> fmt::Result {
    out.write_str(match nat.kind {
        NatKind::Snat => "snat",
        NatKind::Dnat => "dnat",
    })?;
    let version = match &nat.to {
        NatTarget::Constant { addresses, .. } if addresses.first.is_ipv4() => IpVersion::V4,
        NatTarget::Constant { .. } => IpVersion::V6,
        NatTarget::Map { version, .. } => *version,
    };
    if family == Family::Inet {
        out.write_str(match version {
            IpVersion::V4 => " ip",
            IpVersion::V6 => " ip6",
        })?;
    }
    out.write_str(" to ")?;
    match &nat.to {
        NatTarget::Constant { addresses, ports } => show_nat_constant(out, addresses, *ports)?,
        NatTarget::Map { key, map, .. } => show_lookup(out, key, "map", map, detail)?,
    }
    show_nat_flags(out, nat.flags)
}

fn show_nat_constant(out: &mut dyn Write, addresses: &AddressRange, ports: Option<PortRange>) -> fmt::Result {
    let brackets = ports.is_some() && addresses.first.is_ipv6();
    let one = |out: &mut dyn Write, address: std::net::IpAddr| {
        if brackets { write!(out, "[{address}]") } else { write!(out, "{address}") }
    };
    one(out, addresses.first)?;
    if addresses.last != addresses.first {
        out.write_char('-')?;
        one(out, addresses.last)?;
    }
    match ports {
        Some(ports) => write!(out, ":{ports}"),
        None => Ok(()),
    }
}

/// What a reject without words means in `family`.
fn default_reject(family: Family) -> Reject {
    match family {
        Family::Ip => Reject::Icmp(3),
        Family::Ip6 => Reject::Icmpv6(4),
        _ => Reject::Icmpx(IcmpxCode::PortUnreachable),
    }
}

fn show_reject(out: &mut dyn Write, family: Family, reject: Reject) -> fmt::Result {
    const ICMP_CODES: Names = &[
        ("net-unreachable", 0),
        ("host-unreachable", 1),
        ("prot-unreachable", 2),
        ("port-unreachable", 3),
        ("frag-needed", 4),
        ("net-prohibited", 9),
        ("host-prohibited", 10),
        ("admin-prohibited", 13),
    ];
    const ICMPV6_CODES: Names = &[
        ("no-route", 0),
        ("admin-prohibited", 1),
        ("addr-unreachable", 3),
        ("port-unreachable", 4),
        ("policy-fail", 5),
        ("reject-route", 6),
    ];
    out.write_str("reject")?;
    if reject == default_reject(family) {
        return Ok(());
    }
    let code = |out: &mut dyn Write, names, code: u8| match name_of(names, u32::from(code)) {
        Some(name) => out.write_str(name),
        None => write!(out, "{code}"),
    };
    match reject {
        Reject::TcpReset => out.write_str(" with tcp reset"),
        Reject::Icmpx(reason) => write!(out, " with icmpx {reason}"),
        Reject::Icmp(number) => {
            out.write_str(" with icmp ")?;
            code(out, ICMP_CODES, number)
        }
        Reject::Icmpv6(number) => {
            out.write_str(" with icmpv6 ")?;
            code(out, ICMPV6_CODES, number)
        }
    }
}

impl Display for IcmpxCode {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoRoute => "no-route",
            Self::PortUnreachable => "port-unreachable",
            Self::HostUnreachable => "host-unreachable",
            Self::AdminProhibited => "admin-prohibited",
        })
    }
}

fn show_set_mark(
    out: &mut dyn Write,
    target: MarkTarget,
    source: &MarkSource,
    detail: Detail,
) -> fmt::Result {
    let name = |target| match target {
        MarkTarget::Meta => "meta mark",
        MarkTarget::Ct => "ct mark",
    };
    write!(out, "{} set ", name(target))?;
    match source {
        MarkSource::Value(mark) => write!(out, "{}", Value::Mark(*mark)),
        MarkSource::Mark(from) => out.write_str(name(*from)),
        MarkSource::Map { key, map } => show_lookup(out, key, "map", map, detail),
    }
}

/// nft shows no values here: what the elements have counted is with them.
fn show_update(out: &mut dyn Write, update: &SetUpdate, detail: Detail) -> fmt::Result {
    let verb = match update.op {
        SetOp::Add => "add",
        SetOp::Update => "update",
        SetOp::Delete => "delete",
    };
    write!(out, "{verb} @{} {{ {}", Shown(&update.set), joined(&update.key, " . "))?;
    if let Some(timeout) = update.timeout {
        write!(out, " timeout {}", duration(timeout))?;
    }
    match update.counter {
        Some(counter) if detail == Detail::Command => {
            out.write_char(' ')?;
            show_counter(out, counter, detail)?;
        }
        Some(_) => out.write_str(" counter")?,
        None => {}
    }
    out.write_str(" }")
}

fn show_statement(out: &mut dyn Write, family: Family, statement: &Statement, detail: Detail) -> fmt::Result {
    match statement {
        Statement::Match(of) => show_match(out, of, detail),
        Statement::Counter(counter) => show_counter(out, *counter, detail),
        Statement::Verdict(verdict) => write!(out, "{verdict}"),
        Statement::Vmap { key, map } => show_lookup(out, key, "vmap", map, detail),
        Statement::Masquerade { flags, ports } => {
            out.write_str("masquerade")?;
            if let Some(ports) = ports {
                write!(out, " to :{ports}")?;
            }
            show_nat_flags(out, *flags)
        }
        Statement::Nat(nat) => show_nat(out, family, nat, detail),
        Statement::Redirect { ports, flags } => {
            out.write_str("redirect")?;
            if let Some(ports) = ports {
                write!(out, " to :{ports}")?;
            }
            show_nat_flags(out, *flags)
        }
        Statement::Reject(reject) => show_reject(out, family, *reject),
        Statement::Log { prefix, level } => {
            out.write_str("log")?;
            if let Some(prefix) = prefix {
                write!(out, " prefix \"{}\"", Shown(prefix))?;
            }
            match level {
                Some(level) => write!(out, " level {level}"),
                None => Ok(()),
            }
        }
        Statement::Limit(limit) => write!(out, "{limit}"),
        Statement::SetMark { target, source } => show_set_mark(out, *target, source, detail),
        Statement::Update(update) => show_update(out, update, detail),
        Statement::Notrack => out.write_str("notrack"),
        Statement::Unknown { name, .. } => write!(out, "<{}>", Shown(name)),
    }
}

/// One statement as it stands in a rule of `family`.
pub(crate) fn statement_text(family: Family, statement: &Statement) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = show_statement(&mut text, family, statement, Detail::Command);
    text
}

/// A rule as it is typed in a table of a family: some statements read differently in `inet`.
#[derive(Debug, Clone, Copy)]
pub struct RuleText<'a> {
    family: Family,
    rule: &'a Rule,
    detail: Detail,
}

impl Rule {
    /// The rule as a person would type it in a table of `family`.
    pub fn text(&self, family: Family) -> RuleText<'_> {
        RuleText { family, rule: self, detail: Detail::Command }
    }

    /// The rule as `nft list` prints it: counters show their values.
    pub fn listing(&self, family: Family) -> RuleText<'_> {
        RuleText { family, rule: self, detail: Detail::Listing }
    }
}

impl Display for RuleText<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (index, statement) in self.rule.statements.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { " " })?;
            show_statement(f, self.family, statement, self.detail)?;
        }
        match &self.rule.comment {
            Some(comment) => write!(f, " comment \"{}\"", Shown(comment)),
            None => Ok(()),
        }
    }
}

/// The properties of a set as nft lists them, without `flags` of the kind that nft does not print.
pub(crate) fn show_set_type(set: &Set) -> Vec<String> {
    let mut lines = Vec::new();
    let data = match &set.data {
        None => String::new(),
        Some(SetData::Verdict) => " : verdict".to_owned(),
        Some(SetData::Values(types)) => format!(" : {}", joined(types, " . ")),
    };
    lines.push(match &set.key_of {
        Some(keys) => format!("typeof {}{data}", joined(keys, " . ")),
        None => format!("type {}{data}", joined(&set.key, " . ")),
    });
    lines.extend(set.size.map(|size| format!("size {size}")));
    let mut flags = Vec::new();
    flags.extend(set.constant.then_some("constant"));
    flags.extend(set.dynamic.then_some("dynamic"));
    flags.extend(set.interval.then_some("interval"));
    // A default says as much, but nft leaves the flag out only if there is no other.
    let implied = set.default_timeout.is_some();
    flags.extend((set.timeout && !(implied && flags.is_empty())).then_some("timeout"));
    if !flags.is_empty() {
        lines.push(format!("flags {}", flags.join(",")));
    }
    lines.extend(set.counter.then(|| "counter".to_owned()));
    lines.extend(set.default_timeout.map(|timeout| format!("timeout {}", duration(timeout))));
    lines.extend(set.comment.as_ref().map(|comment| format!("comment \"{}\"", Shown(comment))));
    lines
}

fn show_chain_body(out: &mut dyn Write, family: Family, chain: &Chain) -> fmt::Result {
    if chain.base.is_none() && chain.comment.is_none() {
        return Ok(());
    }
    out.write_str(" { ")?;
    if let Some(base) = &chain.base {
        show_base(out, family, base)?;
        out.write_char(' ')?;
    }
    if let Some(comment) = &chain.comment {
        write!(out, "comment \"{}\"; ", Shown(comment))?;
    }
    out.write_str("}")
}

fn show_element_command(out: &mut dyn Write, verb: &str, elements: &Elements) -> fmt::Result {
    write!(out, "{verb} element {} {} ", elements.table, Shown(&elements.set))?;
    let mut shown = elements.elements.clone();
    if verb == "delete" || verb == "destroy" {
        for element in &mut shown {
            element.data = None;
            element.comment = None;
            element.timeout = None;
            element.counter = None;
        }
    }
    // How long an element still has is nothing that can be asked for.
    shown.iter_mut().for_each(|element| element.expires = None);
    show_elements(out, &shown, Detail::Command)
}

impl Display for Command {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let new_table = |f: &mut Formatter<'_>, verb, table: &TableRef, comment: &Option<String>| {
            write!(f, "{verb} table {table}")?;
            match comment {
                Some(comment) => write!(f, " {{ comment \"{}\"; }}", Shown(comment)),
                None => Ok(()),
            }
        };
        let set_word = |map: &bool| if *map { "map" } else { "set" };
        match self {
            Self::AddTable { table, comment } => new_table(f, "add", table, comment),
            Self::CreateTable { table, comment } => new_table(f, "create", table, comment),
            Self::DeleteTable { table } => write!(f, "delete table {table}"),
            Self::DestroyTable { table } => write!(f, "destroy table {table}"),
            Self::FlushTable { table } => write!(f, "flush table {table}"),
            Self::AddChain { table, chain } => {
                write!(f, "add chain {table} {}", Shown(&chain.name))?;
                show_chain_body(f, table.family, chain)
            }
            Self::DeleteChain { table, chain } => write!(f, "delete chain {table} {}", Shown(chain)),
            Self::DestroyChain { table, chain } => write!(f, "destroy chain {table} {}", Shown(chain)),
            Self::FlushChain { table, chain } => write!(f, "flush chain {table} {}", Shown(chain)),
            Self::AddRule { table, chain, rule } => {
                write!(f, "add rule {table} {} {}", Shown(chain), rule.text(table.family))
            }
            Self::InsertRule { table, chain, rule } => {
                write!(f, "insert rule {table} {} {}", Shown(chain), rule.text(table.family))
            }
            Self::DeleteRule { table, chain, handle } => {
                write!(f, "delete rule {table} {} handle {handle}", Shown(chain))
            }
            Self::AddSet { table, set } => {
                let word = set_word(&set.data.is_some());
                write!(f, "add {word} {table} {} {{ {}; }}", Shown(&set.name), show_set_type(set).join("; "))
            }
            Self::DeleteSet { table, set, map } => {
                write!(f, "delete {} {table} {}", set_word(map), Shown(set))
            }
            Self::FlushSet { table, set, map } => write!(f, "flush {} {table} {}", set_word(map), Shown(set)),
            Self::AddElements(elements) => show_element_command(f, "add", elements),
            Self::CreateElements(elements) => show_element_command(f, "create", elements),
            Self::DeleteElements(elements) => show_element_command(f, "delete", elements),
            Self::DestroyElements(elements) => show_element_command(f, "destroy", elements),
        }
    }
}

/// The command as one line for a POSIX shell: `nft add chain inet t c '{ type …; }'`.
///
/// Words that a shell would change are quoted; everything from the first such word's brace on is one word, as people
/// write it.
pub fn shell_command(command: &Command) -> String {
    let text = command.to_string();
    // `!` stands before `=` alone, and there no shell takes it for its history.
    let is_plain = |c: char| c.is_ascii_alphanumeric() || " _-./:,@%+=!".contains(c);
    match text.find(|c| !is_plain(c)) {
        None => format!("nft {text}"),
        Some(first) => {
            let start = text[..first].rfind(' ').map_or(0, |space| space + 1);
            format!("nft {}'{}'", &text[..start], text[start..].replace('\'', "'\\''"))
        }
    }
}
