//! The keys that a set was declared with (`typeof ip saddr . th dport`), as nft keeps them.
//!
//! Source: `…_expr_build_udata()` in nft's `src/{meta,ct,payload,expression}.c`; numbers of kinds of expression are
//! `enum expr_types` in its `include/expression.h`, those of headers `enum proto_desc_id` and the enumerations after it
//! in `include/proto.h`. All numbers are in the host's byte order.

use super::user_data::{find, push};
use crate::syntax::{
    ArpField, CtField, EtherField, Ip6Field, IpField, Key, Meta, PayloadBase, PortSide, Transport,
};
use crate::vm::Load;

/// nft writes no more parts of a concatenation than these.
const MOST_PARTS: usize = 4;

/// `NFTNL_UDATA_SET_TYPEOF_EXPR`, and the same of a concatenation's part.
const EXPRESSION: u8 = 0;
/// `NFTNL_UDATA_SET_TYPEOF_DATA`, and the same of a concatenation's part.
const DATA: u8 = 1;

/// `EXPR_…`
mod expression {
    pub(super) const VERDICT: u32 = 1;
    pub(super) const PAYLOAD: u32 = 7;
    pub(super) const META: u32 = 9;
    pub(super) const CT: u32 = 12;
    pub(super) const CONCAT: u32 = 13;
}

/// The record of `keys`; `None` if there can be none.
pub(super) fn write_keys(keys: &[Key]) -> Option<Vec<u8>> {
    match keys {
        [] => None,
        [key] => record(*key),
        keys if keys.len() > MOST_PARTS => None,
        keys => {
            let mut parts = Vec::new();
            for (index, key) in (0..).zip(keys) {
                push(&mut parts, index, &record(*key)?);
            }
            Some(record_of(expression::CONCAT, &parts))
        }
    }
}

/// The record of a map's data that is a verdict.
pub(super) fn write_verdict() -> Vec<u8> {
    record_of(expression::VERDICT, &[])
}

/// The keys of a record, if each is known.
pub(super) fn read_keys(bytes: &[u8]) -> Option<Vec<Key>> {
    if number(bytes, EXPRESSION)? != expression::CONCAT {
        return Some(vec![read_record(bytes)?]);
    }
    let parts = find(bytes, DATA)?;
    let keys: Vec<Key> =
        (0..=u8::MAX).map_while(|index| find(parts, index)).map(read_record).collect::<Option<_>>()?;
    (2..=MOST_PARTS).contains(&keys.len()).then_some(keys)
}

fn number(bytes: &[u8], kind: u8) -> Option<u32> {
    Some(u32::from_ne_bytes(find(bytes, kind)?.try_into().ok()?))
}

fn numbers(values: &[u32]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (kind, value) in (0..).zip(values) {
        push(&mut bytes, kind, &value.to_ne_bytes());
    }
    bytes
}

fn record_of(expression: u32, data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    push(&mut bytes, EXPRESSION, &expression.to_ne_bytes());
    push(&mut bytes, DATA, data);
    bytes
}

fn record(key: Key) -> Option<Vec<u8>> {
    Some(match (key, Load::of(key)) {
        (Key::Raw { base, offset, len }, _) => {
            let bits = |bytes: u32| bytes * 8;
            let place = [base_number(base), bits(offset.into()), bits(len.into())];
            record_of(expression::PAYLOAD, &numbers(&[&[0, 0], &place[..]].concat()))
        }
        (_, Load::Meta(number)) => record_of(expression::META, &numbers(&[number])),
        (_, Load::Ct { key, direction }) => {
            // -1: no direction.
            let direction = direction.map_or(u32::MAX, u32::from);
            record_of(expression::CT, &numbers(&[key, direction]))
        }
        _ => {
            let (header, field) = header_field(key)?;
            record_of(expression::PAYLOAD, &numbers(&[header, field]))
        }
    })
}

fn read_record(bytes: &[u8]) -> Option<Key> {
    let wanted = bytes;
    let data = find(bytes, DATA)?;
    let key = match number(bytes, EXPRESSION)? {
        expression::META => Meta::ALL.map(Key::Meta).into_iter().find(|key| is(*key, wanted)),
        expression::CT => CtField::ALL.map(Key::Ct).into_iter().find(|key| is(*key, wanted)),
        expression::PAYLOAD if number(data, 0)? == 0 => read_raw(data),
        expression::PAYLOAD => header_keys().into_iter().find(|key| is(*key, wanted)),
        _ => None,
    };
    key.filter(|key| is(*key, wanted))
}

fn is(key: Key, wanted: &[u8]) -> bool {
    record(key).is_some_and(|bytes| bytes == wanted)
}

fn read_raw(data: &[u8]) -> Option<Key> {
    let base = number(data, 2)?;
    let base = BASES.into_iter().find(|known| base_number(*known) == base)?;
    let (offset, len) = (number(data, 3)? / 8, number(data, 4)? / 8);
    Some(Key::Raw { base, offset: offset.try_into().ok()?, len: len.try_into().ok()? })
}

const BASES: [PayloadBase; 3] = [PayloadBase::Link, PayloadBase::Network, PayloadBase::Transport];

/// Source: `enum proto_bases` in nft's `include/proto.h`; the kernel counts from 0.
fn base_number(base: PayloadBase) -> u32 {
    match base {
        PayloadBase::Link => 1,
        PayloadBase::Network => 2,
        PayloadBase::Transport => 3,
    }
}

/// The header's number, and the field's in it; `None` for what is not in a header.
fn header_field(key: Key) -> Option<(u32, u32)> {
    Some(match key {
        Key::IcmpType => (4, 1),
        Key::Port { transport, side } => {
            let header = match transport {
                Transport::Udp => 6,
                Transport::Tcp => 8,
                Transport::Sctp => 10,
                Transport::Any => 11,
            };
            (header, if side == PortSide::Source { 1 } else { 2 })
        }
        Key::Ip(IpField::Ttl) => (12, 8),
        Key::Ip(IpField::Protocol) => (12, 9),
        Key::Ip(IpField::Saddr) => (12, 11),
        Key::Ip(IpField::Daddr) => (12, 12),
        Key::Ip6(Ip6Field::Nexthdr) => (13, 6),
        Key::Ip6(Ip6Field::Hoplimit) => (13, 7),
        Key::Ip6(Ip6Field::Saddr) => (13, 8),
        Key::Ip6(Ip6Field::Daddr) => (13, 9),
        Key::Icmpv6Type => (14, 1),
        Key::Arp(ArpField::Operation) => (15, 5),
        Key::Arp(ArpField::SaddrEther) => (15, 6),
        Key::Arp(ArpField::SaddrIp) => (15, 7),
        Key::Arp(ArpField::DaddrEther) => (15, 8),
        Key::Arp(ArpField::DaddrIp) => (15, 9),
        Key::Ether(EtherField::Daddr) => (17, 1),
        Key::Ether(EtherField::Saddr) => (17, 2),
        Key::Ether(EtherField::Type) => (17, 3),
        Key::Meta(_) | Key::Ct(_) | Key::Fib { .. } | Key::Raw { .. } => return None,
    })
}

fn header_keys() -> Vec<Key> {
    let mut keys = vec![Key::IcmpType, Key::Icmpv6Type];
    for transport in [Transport::Tcp, Transport::Udp, Transport::Sctp, Transport::Any] {
        keys.extend([PortSide::Source, PortSide::Destination].map(|side| Key::Port { transport, side }));
    }
    keys.extend([EtherField::Saddr, EtherField::Daddr, EtherField::Type].map(Key::Ether));
    keys.extend(crate::vm::network_keys());
    keys
}
