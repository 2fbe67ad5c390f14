//! Instructions made of bytes: those that rules are made of, with anything in them.

use pontoon_nft::syntax::{
    ArpField, CounterValue, CtField, EtherField, FibAddress, FibResult, Ip6Field, IpField, IpVersion, Key,
    Limit, LimitKind, LimitUnit, LogLevel, MarkTarget, Meta, NatFlags, NatKind, PayloadBase, PortSide, SetOp,
    Transport, Verdict,
};
use pontoon_nft::vm::{CmpOp, Insn, Load, NatPart, SetName, Slot};

use crate::input::Cursor;

/// More than a rule of a person's has; the kernel allows 128.
const MOST: usize = 32;

/// The instructions that the rest of the input stands for.
pub(crate) fn insns(cursor: &mut Cursor<'_>) -> Vec<Insn> {
    let mut insns = Vec::new();
    while !cursor.is_empty() && insns.len() < MOST {
        match cursor.byte() % 4 {
            0 => insns.push(insn(cursor)),
            1 => translation(cursor, &mut insns),
            _ => comparison(cursor, &mut insns),
        }
    }
    insns
}

/// A key that is loaded, and what is done with it.
fn comparison(cursor: &mut Cursor<'_>, insns: &mut Vec<Insn>) {
    let key = key(cursor);
    let size = key.data_type().size();
    insns.push(Insn::Load { load: Load::of(key), slot: 0 });
    match cursor.byte() % 8 {
        0..3 => insns.push(Insn::Cmp { slot: 0, op: op(cursor), data: operand(cursor, size) }),
        3 => {
            let (a, b) = (operand(cursor, size), operand(cursor, size));
            let (first, last) = (a.clone().min(b.clone()), a.max(b));
            if cursor.flag() {
                insns.push(Insn::Range { slot: 0, negated: cursor.flag(), first, last });
            } else {
                insns.push(Insn::Cmp { slot: 0, op: CmpOp::Gte, data: first });
                insns.push(Insn::Cmp { slot: 0, op: CmpOp::Lte, data: last });
            }
        }
        4 => {
            let (mask, data) = (mask(cursor, size), operand(cursor, size));
            let data = data.iter().zip(&mask).map(|(byte, mask)| byte & mask).collect();
            insns.push(Insn::Bitwise { slot: 0, mask, xor: vec![0; size] });
            insns.push(Insn::Cmp { slot: 0, op: op(cursor), data });
        }
        5 => insns.push(Insn::SetMark { target: target(cursor), slot: 0 }),
        6 => {
            let key = self::key(cursor);
            insns.push(Insn::Load { load: Load::of(key), slot: (size.div_ceil(4)) as Slot });
            insns.push(lookup(cursor));
        }
        _ => {
            insns.push(lookup(cursor));
            match cursor.byte() % 3 {
                0 => insns.push(Insn::SetMark { target: target(cursor), slot: 0 }),
                1 => insns.push(nat(cursor)),
                _ => {}
            }
        }
    }
}

/// Constants, and a translation that may take them.
fn translation(cursor: &mut Cursor<'_>, insns: &mut Vec<Insn>) {
    for _ in 0..cursor.byte() % 5 {
        let len = cursor.pick(&[4, 16, 2]);
        insns.push(Insn::Immediate { slot: slot(cursor), data: cursor.bytes(len) });
    }
    let flags = flags(cursor);
    insns.push(match cursor.byte() % 4 {
        0 => Insn::Masquerade { ports: part(cursor), flags },
        1 => Insn::Redirect { ports: part(cursor), flags },
        2 => Insn::SetMark { target: target(cursor), slot: slot(cursor) },
        _ => nat(cursor),
    });
}

fn insn(cursor: &mut Cursor<'_>) -> Insn {
    match cursor.byte() {
        240.. => dynset(cursor),
        byte => plain(byte % 16, cursor),
    }
}

fn plain(kind: u8, cursor: &mut Cursor<'_>) -> Insn {
    match kind {
        0 => Insn::Load { load: load(cursor), slot: slot(cursor) },
        1 => Insn::Bitwise { slot: slot(cursor), mask: data(cursor), xor: data(cursor) },
        2 => Insn::Cmp { slot: slot(cursor), op: op(cursor), data: data(cursor) },
        3 => Insn::Range {
            slot: slot(cursor),
            negated: cursor.flag(),
            first: data(cursor),
            last: data(cursor),
        },
        4 => lookup(cursor),
        5 => Insn::Immediate { slot: slot(cursor), data: data(cursor) },
        6 | 7 => Insn::Verdict(verdict(cursor)),
        8 => Insn::Counter(CounterValue {
            packets: u64::from(cursor.byte()),
            bytes: u64::from_ne_bytes(cursor.array()),
        }),
        9 => Insn::SetMark { target: target(cursor), slot: slot(cursor) },
        10 => Insn::Reject { kind: u32::from(cursor.byte() % 4), code: cursor.byte() },
        11 => Insn::Log { prefix: cursor.flag().then(|| text(cursor)), level: level(cursor) },
        12 => Insn::Limit(limit(cursor)),
        13 => Insn::Notrack,
        14 => Insn::LookupVerdict { map: set(cursor), slot: slot(cursor) },
        15 => Insn::SetTrace { slot: slot(cursor) },
        _ => Insn::Unknown { name: text(cursor), bytes: data(cursor) },
    }
}

fn key(cursor: &mut Cursor<'_>) -> Key {
    let side = [PortSide::Source, PortSide::Destination];
    let kind = match cursor.byte() {
        240..248 => return cursor.pick(&[Key::Ip(IpField::Ttl), Key::Ip6(Ip6Field::Hoplimit)]),
        248.. => return raw(cursor),
        byte => byte % 10,
    };
    match kind {
        0 | 1 => Key::Meta(cursor.pick(&Meta::ALL)),
        2 => Key::Ct(cursor.pick(&CtField::ALL)),
        3 => Key::Ip(cursor.pick(&[IpField::Saddr, IpField::Daddr, IpField::Protocol])),
        4 => Key::Ip6(cursor.pick(&[Ip6Field::Saddr, Ip6Field::Daddr, Ip6Field::Nexthdr])),
        5 => Key::Ether(cursor.pick(&[EtherField::Saddr, EtherField::Daddr, EtherField::Type])),
        6 => Key::Arp(cursor.pick(&[
            ArpField::Operation,
            ArpField::SaddrIp,
            ArpField::SaddrEther,
            ArpField::DaddrIp,
            ArpField::DaddrEther,
        ])),
        7 => Key::Port {
            transport: cursor.pick(&[Transport::Tcp, Transport::Udp, Transport::Sctp, Transport::Any]),
            side: cursor.pick(&side),
        },
        8 => cursor.pick(&[Key::IcmpType, Key::Icmpv6Type]),
        _ => Key::Fib {
            address: cursor.pick(&[FibAddress::Saddr, FibAddress::Daddr]),
            iif: cursor.flag(),
            result: cursor.pick(&[FibResult::Type, FibResult::Oif, FibResult::Oifname, FibResult::Exists]),
        },
    }
}

fn raw(cursor: &mut Cursor<'_>) -> Key {
    Key::Raw {
        base: cursor.pick(&[PayloadBase::Network, PayloadBase::Transport, PayloadBase::Link]),
        offset: u16::from(cursor.byte() % 64),
        len: 1 + cursor.byte() % 64,
    }
}

fn load(cursor: &mut Cursor<'_>) -> Load {
    match cursor.byte() % 4 {
        0 => Load::Meta(u32::from(cursor.byte())),
        1 => Load::Ct { key: u32::from(cursor.byte()), direction: cursor.flag().then(|| cursor.byte()) },
        2 => Load::Payload {
            base: cursor.pick(&[PayloadBase::Network, PayloadBase::Transport, PayloadBase::Link]),
            offset: u32::from(cursor.byte() % 32),
            len: u32::from(cursor.byte() % 20),
        },
        _ => Load::Fib { result: u32::from(cursor.byte() % 5), flags: u32::from(cursor.byte()) },
    }
}

/// Bytes to compare a key of `size` bytes with: some that rules have, or any.
fn operand(cursor: &mut Cursor<'_>, size: usize) -> Vec<u8> {
    match (size, cursor.byte() % 4) {
        (1, 0..3) => vec![cursor.pick(&[2, 10, 6, 17, 132, 1, 58])],
        (2, 0..3) => cursor.pick(&[[8, 0], [0x86, 0xdd], [8, 6], [1, 0], [0, 80]]).to_vec(),
        (16, 0) => {
            let mut name = text(cursor).into_bytes();
            name.resize(16, 0);
            name
        }
        // Fewer bytes than the key has: the beginning of a name, or what nft never makes.
        (_, 1) => {
            let len = usize::from(cursor.byte()) % (size + 1);
            cursor.bytes(len)
        }
        _ => cursor.bytes(size),
    }
}

fn mask(cursor: &mut Cursor<'_>, size: usize) -> Vec<u8> {
    if cursor.flag() {
        return cursor.bytes(size);
    }
    let ones = usize::from(cursor.byte()) % (size * 8 + 1);
    (0..size).map(|index| !(0xff_u16 >> ones.saturating_sub(index * 8).min(8)) as u8).collect()
}

fn data(cursor: &mut Cursor<'_>) -> Vec<u8> {
    let len = usize::from(cursor.byte() % 20);
    cursor.bytes(len)
}

fn text(cursor: &mut Cursor<'_>) -> String {
    let len = usize::from(cursor.byte() % 20);
    String::from_utf8_lossy(&cursor.bytes(len)).into_owned()
}

fn slot(cursor: &mut Cursor<'_>) -> Slot {
    match cursor.byte() {
        byte @ 0..128 => byte % 16,
        byte => [0, 0, 4, 8, 12, 1][usize::from(byte % 6)],
    }
}

fn op(cursor: &mut Cursor<'_>) -> CmpOp {
    cursor.pick(&[CmpOp::Eq, CmpOp::Neq, CmpOp::Lte, CmpOp::Gte])
}

fn target(cursor: &mut Cursor<'_>) -> MarkTarget {
    cursor.pick(&[MarkTarget::Meta, MarkTarget::Ct])
}

fn set(cursor: &mut Cursor<'_>) -> SetName {
    SetName::Named(cursor.pick(&["s", "__set0", "blue"]).to_owned())
}

fn dynset(cursor: &mut Cursor<'_>) -> Insn {
    Insn::Dynset {
        op: cursor.pick(&[SetOp::Add, SetOp::Update, SetOp::Delete]),
        set: text(cursor),
        slot: if cursor.byte() < 224 { 0 } else { slot(cursor) },
        timeout: cursor.flag().then(|| u64::from_ne_bytes(cursor.array())),
        counter: cursor.flag().then(|| CounterValue { packets: u64::from(cursor.byte()), bytes: 60 }),
    }
}

fn lookup(cursor: &mut Cursor<'_>) -> Insn {
    let (set, slot) = (set(cursor), if cursor.byte() < 224 { 0 } else { slot(cursor) });
    let kind = match cursor.byte() {
        192.. => return dynset(cursor),
        byte => byte % 3,
    };
    match kind {
        0 => Insn::Lookup { set, slot, negated: cursor.flag() },
        1 => Insn::LookupVerdict { map: set, slot },
        _ => Insn::LookupData { map: set, slot, into: if cursor.byte() < 224 { 0 } else { 4 } },
    }
}

fn verdict(cursor: &mut Cursor<'_>) -> Verdict {
    match cursor.byte() % 6 {
        0 => Verdict::Accept,
        1 => Verdict::Drop,
        2 => Verdict::Continue,
        3 => Verdict::Return,
        4 => Verdict::Jump(text(cursor)),
        _ => Verdict::Goto(text(cursor)),
    }
}

fn flags(cursor: &mut Cursor<'_>) -> NatFlags {
    let bits = cursor.byte();
    NatFlags { random: bits & 1 != 0, fully_random: bits & 2 != 0, persistent: bits & 4 != 0 }
}

fn part(cursor: &mut Cursor<'_>) -> Option<NatPart> {
    cursor.flag().then(|| {
        let min = slot(cursor);
        NatPart { min, max: if cursor.flag() { min } else { slot(cursor) } }
    })
}

fn nat(cursor: &mut Cursor<'_>) -> Insn {
    Insn::Nat {
        kind: cursor.pick(&[NatKind::Dnat, NatKind::Snat]),
        version: cursor.pick(&[IpVersion::V4, IpVersion::V6]),
        addresses: part(cursor),
        ports: part(cursor),
        flags: flags(cursor),
    }
}

fn level(cursor: &mut Cursor<'_>) -> Option<LogLevel> {
    cursor.pick(&[None, Some(LogLevel::Emerg), Some(LogLevel::Info), Some(LogLevel::Debug)])
}

fn limit(cursor: &mut Cursor<'_>) -> Limit {
    let units = [LimitUnit::Second, LimitUnit::Minute, LimitUnit::Hour, LimitUnit::Day, LimitUnit::Week];
    Limit {
        rate: u64::from_ne_bytes(cursor.array()),
        unit: cursor.pick(&units),
        burst: u32::from(cursor.byte()) << (cursor.byte() % 24),
        kind: cursor.pick(&[LimitKind::Packets, LimitKind::Bytes]),
        over: cursor.flag(),
    }
}
