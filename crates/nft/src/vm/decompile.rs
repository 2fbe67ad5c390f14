//! From instructions back to statements.

use std::borrow::Cow;

use super::compile::{check_log_prefix, check_value, compile};
use super::context::Context;
use super::insn::{CmpOp, Insn, Load, NatPart, SetName, Slot};
use crate::syntax::{
    AddressRange, ArpField, CtField, DataType, EtherField, Family, FibAddress, FibResult, IcmpxCode,
    Ip6Field, IpField, IpVersion, Key, MarkSource, MarkTarget, Match, Meta, Nat, NatFlags, NatKind,
    NatTarget, Op, Operand, PayloadBase, PortRange, PortSide, Reject, Right, Rule, SetRef, SetUpdate,
    Statement, Transport, Value, ether_type, protocol,
};

/// The statements that `insns` are, in a table of `family`, in canonical form.
///
/// What cannot be said as a statement becomes [`Statement::Unknown`]; nothing is lost.
pub fn decompile(family: Family, insns: &[Insn]) -> Vec<Statement> {
    let mut statements = Vec::new();
    let mut context = Context::new(family);
    let mut rest = insns;
    while let Some(first) = rest.first() {
        let (statement, used) = next(rest, &context).unwrap_or_else(|| (unknown(first), 1));
        if let Statement::Match(of) = &statement {
            context.learn(of);
            for key in &of.key {
                context.require(*key);
            }
        }
        statements.push(statement);
        rest = &rest[used..];
    }
    leave_out_implied(family, statements)
}

fn unknown(insn: &Insn) -> Statement {
    let (name, bytes) = crate::wire::expression_bytes(insn);
    Statement::Unknown { name, bytes }
}

/// Leaves out the matches that `compile` puts in by itself.
fn leave_out_implied(family: Family, mut statements: Vec<Statement>) -> Vec<Statement> {
    let program = |statements: &[Statement]| compile(family, &Rule::new(statements)).ok();
    // From the back: what a key needs is put in as a whole, so its last part must go first.
    for index in (0..statements.len()).rev() {
        if may_be_implied(&statements[index]) {
            let mut shorter = statements.clone();
            shorter.remove(index);
            let whole = program(&statements);
            if whole.is_some() && program(&shorter) == whole {
                statements = shorter;
            }
        }
    }
    statements
}

fn may_be_implied(statement: &Statement) -> bool {
    let Statement::Match(of) = statement else { return false };
    let key_may = matches!(
        of.key[..],
        [Key::Meta(Meta::Nfproto | Meta::L4proto | Meta::Protocol | Meta::Iiftype)
            | Key::Ether(EtherField::Type)]
    );
    key_may && of.op == Op::Eq && of.mask.is_none()
}

/// The statement at the beginning of `insns`, and how many instructions it takes.
fn next(insns: &[Insn], context: &Context) -> Option<(Statement, usize)> {
    if let Some(statement) = simple(insns.first()?, context) {
        return Some((statement, 1));
    }
    match insns {
        [Insn::Load { .. }, ..] => from_loads(insns, context),
        [Insn::Immediate { .. }, ..] => from_immediates(insns),
        [
            Insn::Random { slot: 0, of },
            Insn::ToNetworkOrder { slot: 0 },
            Insn::Cmp { slot: 0, op: CmpOp::Lt, data },
            ..,
        ] => {
            let below = u32::from_be_bytes(data.as_slice().try_into().ok()?);
            Some((Statement::Chance { of: *of, below }, 3))
        }
        _ => None,
    }
}

/// Statements that are one instruction.
fn simple(insn: &Insn, context: &Context) -> Option<Statement> {
    Some(match insn {
        Insn::Verdict(verdict) => Statement::Verdict(verdict.clone()),
        Insn::Counter(counter) => Statement::Counter(*counter),
        Insn::Masquerade { ports: None, flags } => Statement::Masquerade { flags: *flags, ports: None },
        Insn::Redirect { ports: None, flags } => Statement::Redirect { flags: *flags, ports: None },
        Insn::Reject { kind, code } => Statement::Reject(reject(*kind, *code, context)?),
        Insn::Log { prefix, level } => {
            check_log_prefix(prefix.as_deref()).ok()?;
            Statement::Log { prefix: prefix.clone(), level: *level }
        }
        Insn::Limit(limit) => Statement::Limit(*limit),
        Insn::Notrack => Statement::Notrack,
        Insn::Unknown { name, bytes } => Statement::Unknown { name: name.clone(), bytes: bytes.clone() },
        _ => return None,
    })
}

fn reject(kind: u32, code: u8, context: &Context) -> Option<Reject> {
    match (kind, context.network()) {
        (0, Some(ether_type::IP)) if context.can_have(Key::IcmpType) => Some(Reject::Icmp(code)),
        (0, Some(ether_type::IP6)) if context.can_have(Key::Icmpv6Type) => Some(Reject::Icmpv6(code)),
        (1, _) if context.transport() == Some(protocol::TCP) => Some(Reject::TcpReset),
        (2, _) => Some(Reject::Icmpx(match code {
            0 => IcmpxCode::NoRoute,
            1 => IcmpxCode::PortUnreachable,
            2 => IcmpxCode::HostUnreachable,
            3 => IcmpxCode::AdminProhibited,
            _ => return None,
        })),
        _ => None,
    }
}

fn from_loads(insns: &[Insn], context: &Context) -> Option<(Statement, usize)> {
    let mut loads = Vec::new();
    for insn in insns {
        let Insn::Load { load, slot } = insn else { break };
        loads.push((*load, *slot));
    }
    let rest = &insns[loads.len()..];
    if let [(load, 0)] = loads[..]
        && let Some((statement, used)) = comparison(load, rest, context)
    {
        return Some((statement, used + 1));
    }
    let (statement, used) = lookup(&loads, rest, context)?;
    Some((statement, used + loads.len()))
}

/// A comparison of what `load` has put into register 0.
fn comparison(load: Load, rest: &[Insn], context: &Context) -> Option<(Statement, usize)> {
    let plain = |key, mask, op, operand| {
        Statement::Match(Match { key: vec![key], mask, op, right: Right::Operand(operand) })
    };
    match rest {
        [
            Insn::Cmp { slot: 0, op: CmpOp::Gte, data: first },
            Insn::Cmp { slot: 0, op: CmpOp::Lte, data: last },
            ..,
        ] => {
            let key = key_of(load, context)?;
            Some((plain(key, None, Op::Eq, range(key, first, last)?), 2))
        }
        [Insn::Range { slot: 0, negated, first, last }, ..] => {
            let key = key_of(load, context)?;
            let op = if *negated { Op::Ne } else { Op::Eq };
            Some((plain(key, None, op, range(key, first, last)?), 1))
        }
        [Insn::Cmp { slot: 0, op, data }, ..] => {
            let op = equality(*op)?;
            let (key, operand) = match named(load, context) {
                Some(key) => (key, Operand::Value(exact(key, &whole_name(key, data))?)),
                None => short_prefix(load, data, context).or_else(|| {
                    let key = raw(load)?;
                    Some((key, Operand::Value(exact(key, data)?)))
                })?,
            };
            Some((plain(key, None, op, operand), 1))
        }
        [Insn::Bitwise { slot: 0, mask, xor }, Insn::Cmp { slot: 0, op, data }, ..] => {
            if xor.iter().any(|byte| *byte != 0) || mask.len() != data.len() {
                return None;
            }
            let key = key_of(load, context)?;
            let op = equality(*op)?;
            let (mask, op, operand) = masked(key, mask, op, data)?;
            Some((plain(key, mask, op, operand), 2))
        }
        [Insn::SetMark { target, slot: 0 }, ..] => {
            let from = match key_of(load, context)? {
                Key::Meta(Meta::Mark) => MarkTarget::Meta,
                Key::Ct(CtField::Mark) => MarkTarget::Ct,
                _ => return None,
            };
            Some((Statement::SetMark { target: *target, source: MarkSource::Mark(from) }, 1))
        }
        _ => None,
    }
}

fn equality(op: CmpOp) -> Option<Op> {
    match op {
        CmpOp::Eq => Some(Op::Eq),
        CmpOp::Neq => Some(Op::Ne),
        CmpOp::Lt | CmpOp::Lte | CmpOp::Gte => None,
    }
}

/// The value of `key`'s type that is exactly `data`; only a name may be shorter than its type.
fn exact(key: Key, data: &[u8]) -> Option<Value> {
    let data_type = key.data_type();
    let value = Value::from_bytes(data_type, data)?;
    check_value(&value).ok()?;
    (value.bytes() == data).then_some(value)
}

/// A name that is compared only up to its first NUL, as iptables-nft does, is the same as one compared whole.
fn whole_name(key: Key, data: &[u8]) -> Cow<'_, [u8]> {
    let size = DataType::Ifname.size();
    if key.data_type() != DataType::Ifname || !data.contains(&0) || data.len() >= size {
        return Cow::Borrowed(data);
    }
    let mut whole = data.to_vec();
    whole.resize(size, 0);
    Cow::Owned(whole)
}

fn range(key: Key, first: &[u8], last: &[u8]) -> Option<Operand> {
    let range = Operand::Range { first: exact(key, first)?, last: exact(key, last)? };
    let ordered = key.data_type().has_intervals() && key.data_type() != DataType::Ifname && first <= last;
    ordered.then_some(range)
}

/// A prefix of whole bytes, read as only these.
fn short_prefix(load: Load, data: &[u8], context: &Context) -> Option<(Key, Operand)> {
    let Load::Payload { base: PayloadBase::Network, offset, len } = load else { return None };
    if data.len() != len as usize {
        return None;
    }
    let key = network_keys()
        .into_iter()
        .filter(|key| belongs(*key, context))
        .filter(|key| matches!(key.data_type(), DataType::Ipv4Addr | DataType::Ipv6Addr))
        .find(|key| matches!(Load::of(*key), Load::Payload { offset: at, len: whole, .. } if at == offset && len < whole))?;
    let mut bytes = data.to_vec();
    bytes.resize(key.data_type().size(), 0);
    let address = Value::from_bytes(key.data_type(), &bytes)?;
    Some((key, Operand::Prefix { address, len: u8::try_from(len * 8).ok()? }))
}

/// What a comparison of masked bits says: any of the bits, a prefix, or a mask.
fn masked(key: Key, mask: &[u8], op: Op, data: &[u8]) -> Option<(Option<Value>, Op, Operand)> {
    let data_type = key.data_type();
    match data_type {
        DataType::CtState | DataType::CtStatus if op == Op::Ne && data.iter().all(|byte| *byte == 0) => {
            Some((None, Op::Any, Operand::Value(exact(key, mask)?)))
        }
        DataType::Ipv4Addr | DataType::Ipv6Addr => {
            let len = mask.iter().map(|byte| byte.leading_ones()).sum::<u32>() as u8;
            let is_prefix = mask == crate::syntax::prefix_mask(data_type.size(), len) && len > 0;
            let prefix = Operand::Prefix { address: exact(key, data)?, len };
            // Other forms of the same prefix are kept as they are, so that the instructions stay the same.
            let canonical = !(matches!(Load::of(key), Load::Payload { .. }) && len.is_multiple_of(8));
            (is_prefix && canonical && prefix.bounds().0 == data).then_some((None, op, prefix))
        }
        DataType::Ifname => None,
        _ => Some((Some(exact(key, mask)?), op, Operand::Value(exact(key, data)?))),
    }
}

/// How many registers there are.
const REGISTERS: usize = 16;

/// A lookup of what the loads have put side by side, or an element that they are.
fn lookup(loads: &[(Load, Slot)], rest: &[Insn], context: &Context) -> Option<(Statement, usize)> {
    let mut context = *context;
    let mut key = Vec::new();
    let mut expected: usize = 0;
    for (load, slot) in loads {
        let part = key_of(*load, &context)?;
        if usize::from(*slot) != expected {
            return None;
        }
        expected += part.data_type().padded() / 4;
        context.require(part);
        key.push(part);
    }
    let name = |set: &SetName| match set {
        SetName::Named(name) => Some(SetRef::Named(name.clone())),
        SetName::Anonymous(_) => None,
    };
    if expected > REGISTERS {
        return None;
    }
    match rest {
        [Insn::Dynset { op, set, slot: 0, timeout, counter }, ..] => {
            let (op, set, timeout, counter) = (*op, set.clone(), *timeout, *counter);
            Some((Statement::Update(SetUpdate { op, set, key, timeout, counter }), 1))
        }
        [Insn::Lookup { set, slot: 0, negated }, ..] => {
            let op = if *negated { Op::Ne } else { Op::Eq };
            Some((Statement::Match(Match { key, mask: None, op, right: Right::Set(name(set)?) }), 1))
        }
        [Insn::LookupVerdict { map, slot: 0 }, ..] => Some((Statement::Vmap { key, map: name(map)? }, 1)),
        [Insn::LookupData { map, slot: 0, into: 0 }, Insn::SetMark { target, slot: 0 }, ..] => Some((
            Statement::SetMark { target: *target, source: MarkSource::Map { key, map: name(map)? } },
            2,
        )),
        [
            Insn::LookupData { map, slot: 0, into: 0 },
            Insn::Nat { kind, version, addresses, ports, flags },
            ..,
        ] => {
            let one = |slot| NatPart { min: slot, max: slot };
            let port = one(if *version == IpVersion::V4 { 1 } else { 4 });
            if *addresses != Some(one(0)) || !(ports.is_none() || *ports == Some(port)) {
                return None;
            }
            let to = NatTarget::Map { version: *version, key, map: name(map)?, with_port: ports.is_some() };
            Some((Statement::Nat(Nat { kind: *kind, to, flags: *flags }), 2))
        }
        _ => None,
    }
}

/// Constants in registers, and the statement that takes them.
fn from_immediates(insns: &[Insn]) -> Option<(Statement, usize)> {
    let mut values: Vec<(Slot, &[u8])> = Vec::new();
    for insn in insns {
        let Insn::Immediate { slot, data } = insn else { break };
        values.push((*slot, data));
    }
    let used = values.len() + 1;
    let statement = match insns.get(values.len())? {
        Insn::SetMark { target, slot: 0 } => {
            let [(0, data)] = values[..] else { return None };
            let mark = u32::from_ne_bytes(data.try_into().ok()?);
            Statement::SetMark { target: *target, source: MarkSource::Value(mark) }
        }
        Insn::SetTrace { slot: 0 } if values == [(0, &[1_u8][..])] => Statement::Trace,
        Insn::Masquerade { ports: Some(part), flags } => {
            Statement::Masquerade { flags: *flags, ports: Some(only_ports(&values, *part)?) }
        }
        Insn::Redirect { ports: Some(part), flags } => {
            Statement::Redirect { flags: *flags, ports: Some(only_ports(&values, *part)?) }
        }
        Insn::Nat { kind, version, addresses: Some(addresses), ports, flags } => {
            constant_nat(&values, *kind, *version, *addresses, *ports, *flags)?
        }
        _ => return None,
    };
    Some((statement, used))
}

fn only_ports(values: &[(Slot, &[u8])], part: NatPart) -> Option<PortRange> {
    let slots: Vec<Slot> = values.iter().map(|(slot, _)| *slot).collect();
    let expected = if part.min == part.max { vec![0] } else { vec![0, 4] };
    (slots == expected && part.max == *expected.last()?).then(|| port_range(values, part)).flatten()
}

fn value_at<'a>(values: &[(Slot, &'a [u8])], slot: Slot) -> Option<&'a [u8]> {
    values.iter().find(|(at, _)| *at == slot).map(|(_, data)| *data)
}

fn port_range(values: &[(Slot, &[u8])], part: NatPart) -> Option<PortRange> {
    let port = |slot| Some(u16::from_be_bytes(value_at(values, slot)?.try_into().ok()?));
    let range = PortRange { first: port(part.min)?, last: port(part.max)? };
    ((range.first == range.last) == (part.min == part.max)).then_some(range)
}

fn constant_nat(
    values: &[(Slot, &[u8])],
    kind: NatKind,
    version: IpVersion,
    addresses: NatPart,
    ports: Option<NatPart>,
    flags: NatFlags,
) -> Option<Statement> {
    let address = |slot| {
        let data = value_at(values, slot)?;
        match version {
            IpVersion::V4 => Some(<[u8; 4]>::try_from(data).ok()?.into()),
            IpVersion::V6 => Some(<[u8; 16]>::try_from(data).ok()?.into()),
        }
    };
    let addresses_range = AddressRange { first: address(addresses.min)?, last: address(addresses.max)? };
    let ports_range = match ports {
        Some(part) => Some(port_range(values, part)?),
        None => None,
    };
    let to = NatTarget::Constant { addresses: addresses_range, ports: ports_range };
    let statement = Statement::Nat(Nat { kind, to, flags });
    // Other choices of registers are left as they are.
    let program = compile(Family::Inet, &Rule::new([statement.clone()])).ok()?;
    let same = program.insns.len() == values.len() + 1
        && program.insns.last() == Some(&Insn::Nat { kind, version, addresses: Some(addresses), ports, flags })
        && program.insns.iter().zip(values).all(|(insn, (slot, data))| {
            matches!(insn, Insn::Immediate { slot: at, data: constant } if at == slot && constant == data)
        });
    same.then_some(statement)
}

/// The fields of network headers.
pub(crate) fn network_keys() -> Vec<Key> {
    let mut keys = Vec::new();
    keys.extend([IpField::Saddr, IpField::Daddr, IpField::Ttl, IpField::Protocol].map(Key::Ip));
    keys.extend([Ip6Field::Saddr, Ip6Field::Daddr, Ip6Field::Nexthdr, Ip6Field::Hoplimit].map(Key::Ip6));
    keys.extend(
        [
            ArpField::Operation,
            ArpField::SaddrIp,
            ArpField::SaddrEther,
            ArpField::DaddrIp,
            ArpField::DaddrEther,
        ]
        .map(Key::Arp),
    );
    keys
}

/// All keys that a load may be, the likeliest first.
fn all_keys() -> Vec<Key> {
    let mut keys: Vec<Key> = Meta::ALL.map(Key::Meta).to_vec();
    keys.extend(CtField::ALL.map(Key::Ct));
    keys.extend([EtherField::Saddr, EtherField::Daddr, EtherField::Type].map(Key::Ether));
    keys.extend(network_keys());
    keys.extend([Key::IcmpType, Key::Icmpv6Type]);
    for transport in [Transport::Tcp, Transport::Udp, Transport::Sctp, Transport::Any] {
        keys.extend([PortSide::Source, PortSide::Destination].map(|side| Key::Port { transport, side }));
    }
    for address in [FibAddress::Saddr, FibAddress::Daddr] {
        for iif in [false, true] {
            for result in [FibResult::Type, FibResult::Oif, FibResult::Oifname, FibResult::Exists] {
                keys.push(Key::Fib { address, iif, result });
            }
        }
    }
    keys
}

/// Whether `key` can be meant: the rule has made sure of all that `compile` would put before it.
fn belongs(key: Key, context: &Context) -> bool {
    let mut context = *context;
    context.can_have(key) && context.require(key).is_empty()
}

/// The key that `load` reads: by its name if it has one here.
fn key_of(load: Load, context: &Context) -> Option<Key> {
    named(load, context).or_else(|| raw(load))
}

/// Bytes without a name, as many as registers hold.
fn raw(load: Load) -> Option<Key> {
    let Load::Payload { base, offset, len: len @ 1..=64 } = load else { return None };
    Some(Key::Raw { base, offset: u16::try_from(offset).ok()?, len: u8::try_from(len).ok()? })
}

fn named(load: Load, context: &Context) -> Option<Key> {
    all_keys().into_iter().find(|key| Load::of(*key) == load && belongs(*key, context))
}
