//! Instructions as attributes.

use pontoon_netlink::wire::{Attr, Attrs, Body};

use super::attribute::{LIST_ELEM, data};
use crate::syntax::{
    CounterValue, IpVersion, Limit, LimitKind, LimitUnit, LogLevel, MarkTarget, NatFlags, NatKind, SetOp,
    Verdict,
};
use crate::vm::{CmpOp, Insn, Load, NatPart, PayloadBase, SetName, Slot};

/// How a rule's own sets are named in the transaction that makes them: a template, and an id for each.
pub(super) struct OwnSets<'a> {
    /// Name template and id, by the set's place in the program.
    pub(super) names: &'a [(&'static str, u32)],
}

/// The verdict's code. Source: `enum nft_verdicts`, `NF_DROP`, `NF_ACCEPT`.
fn verdict_code(verdict: &Verdict) -> i32 {
    match verdict {
        Verdict::Drop => 0,
        Verdict::Accept => 1,
        Verdict::Continue => -1,
        Verdict::Jump(_) => -3,
        Verdict::Goto(_) => -4,
        Verdict::Return => -5,
    }
}

/// Writes `NFTA_DATA_VERDICT`.
pub(super) fn write_verdict(body: &mut Body<'_>, verdict: &Verdict) {
    body.nest(data::VERDICT, |body| {
        body.u32_be(data::VERDICT_CODE, verdict_code(verdict) as u32);
        if let Verdict::Jump(chain) | Verdict::Goto(chain) = verdict {
            body.str(data::VERDICT_CHAIN, chain);
        }
    });
}

/// Reads what is in `NFTA_DATA_VERDICT`.
pub(super) fn read_verdict(verdict: &Attr<'_>) -> Option<Verdict> {
    let code = find(verdict.nested(), data::VERDICT_CODE)?.u32_be()? as i32;
    let chain = || find(verdict.nested(), data::VERDICT_CHAIN)?.str().map(str::to_owned);
    Some(match code {
        0 => Verdict::Drop,
        1 => Verdict::Accept,
        -1 => Verdict::Continue,
        -3 => Verdict::Jump(chain()?),
        -4 => Verdict::Goto(chain()?),
        -5 => Verdict::Return,
        _ => return None,
    })
}

/// The first attribute of a kind.
pub(super) fn find<'a>(mut attrs: Attrs<'a>, kind: u16) -> Option<Attr<'a>> {
    attrs.find(|attr| attr.kind == kind)
}

/// `NFT_REG_VERDICT`
const VERDICT_REGISTER: u32 = 0;

/// The register's number: the old name of a 128-bit register where there is one, as the kernel answers.
fn register(slot: Slot) -> u32 {
    if slot.is_multiple_of(4) { 1 + u32::from(slot) / 4 } else { 8 + u32::from(slot) }
}

fn slot(register: u32) -> Option<Slot> {
    match register {
        1..=4 => Some((register as Slot - 1) * 4),
        8..=23 => Some(register as Slot - 8),
        _ => None,
    }
}

fn write_value(body: &mut Body<'_>, kind: u16, value: &[u8]) {
    body.nest(kind, |body| body.attr(data::VALUE, value));
}

fn read_value(attr: &Attr<'_>) -> Option<Vec<u8>> {
    Some(find(attr.nested(), data::VALUE)?.value.to_vec())
}

/// Writes a list of expressions.
pub(super) fn write_list(body: &mut Body<'_>, kind: u16, insns: &[Insn], own: &OwnSets<'_>) {
    body.nest(kind, |body| {
        for insn in insns {
            body.nest(LIST_ELEM, |body| write(body, insn, own));
        }
    });
}

/// Writes `NFTA_EXPR_NAME` and `NFTA_EXPR_DATA`.
pub(super) fn write(body: &mut Body<'_>, insn: &Insn, own: &OwnSets<'_>) {
    body.str(data::EXPR_NAME, name(insn));
    body.nest(data::EXPR_DATA, |body| write_data(body, insn, own));
}

/// An instruction's name and attributes, for keeping it as it is.
pub(crate) fn expression_bytes(insn: &Insn) -> (String, Vec<u8>) {
    let mut bytes = Vec::new();
    write_data(&mut Body::on(&mut bytes), insn, &OwnSets { names: &[] });
    (name(insn).to_owned(), bytes)
}

fn name(insn: &Insn) -> &str {
    match insn {
        Insn::Load { load: Load::Meta(_), .. }
        | Insn::SetMark { target: MarkTarget::Meta, .. }
        | Insn::SetTrace { .. } => "meta",
        Insn::Load { load: Load::Ct { .. }, .. } | Insn::SetMark { target: MarkTarget::Ct, .. } => "ct",
        Insn::Load { load: Load::Payload { .. }, .. } => "payload",
        Insn::Load { load: Load::Fib { .. }, .. } => "fib",
        Insn::Bitwise { .. } => "bitwise",
        Insn::Cmp { .. } => "cmp",
        Insn::Range { .. } => "range",
        Insn::Lookup { .. } | Insn::LookupVerdict { .. } | Insn::LookupData { .. } => "lookup",
        Insn::Dynset { .. } => "dynset",
        Insn::Immediate { .. } | Insn::Verdict(_) => "immediate",
        Insn::Counter(_) => "counter",
        Insn::Nat { .. } => "nat",
        Insn::Masquerade { .. } => "masq",
        Insn::Redirect { .. } => "redir",
        Insn::Reject { .. } => "reject",
        Insn::Log { .. } => "log",
        Insn::Limit(_) => "limit",
        Insn::Random { .. } => "numgen",
        Insn::ToNetworkOrder { .. } => "byteorder",
        Insn::Notrack => "notrack",
        Insn::Unknown { name, .. } => name,
    }
}

fn write_data(body: &mut Body<'_>, insn: &Insn, own: &OwnSets<'_>) {
    match insn {
        Insn::Load { load, slot } => write_load(body, *load, *slot),
        Insn::Bitwise { slot, mask, xor } => {
            body.u32_be(1, register(*slot));
            body.u32_be(2, register(*slot));
            body.u32_be(3, mask.len() as u32);
            write_value(body, 4, mask);
            write_value(body, 5, xor);
        }
        Insn::Cmp { slot, op, data } => {
            body.u32_be(1, register(*slot));
            body.u32_be(2, cmp_number(*op));
            write_value(body, 3, data);
        }
        Insn::Range { slot, negated, first, last } => {
            body.u32_be(1, register(*slot));
            body.u32_be(2, u32::from(*negated));
            write_value(body, 3, first);
            write_value(body, 4, last);
        }
        Insn::Lookup { set, slot, negated } => {
            write_lookup(body, set, *slot, None, own);
            if *negated {
                body.u32_be(5, 1);
            }
        }
        Insn::LookupVerdict { map, slot } => write_lookup(body, map, *slot, Some(VERDICT_REGISTER), own),
        Insn::LookupData { map, slot, into } => write_lookup(body, map, *slot, Some(register(*into)), own),
        Insn::Dynset { op, set, slot, timeout, counter } => {
            body.str(dynset::SET_NAME, set);
            body.u32_be(dynset::OP, op_number(*op));
            body.u32_be(dynset::SREG_KEY, register(*slot));
            if let Some(timeout) = timeout {
                body.u64_be(dynset::TIMEOUT, *timeout);
            }
            if let Some(counter) = counter {
                body.nest(dynset::EXPR, |body| write(body, &Insn::Counter(*counter), own));
            }
        }
        Insn::Immediate { slot, data } => {
            body.u32_be(1, register(*slot));
            write_value(body, 2, data);
        }
        Insn::Verdict(verdict) => {
            body.u32_be(1, VERDICT_REGISTER);
            body.nest(2, |body| write_verdict(body, verdict));
        }
        Insn::Counter(counter) => {
            body.u64_be(1, counter.bytes);
            body.u64_be(2, counter.packets);
        }
        Insn::SetMark { target, slot } => write_set_mark(body, *target, *slot),
        Insn::Nat { kind, version, addresses, ports, flags } => {
            body.u32_be(1, u32::from(*kind == NatKind::Dnat));
            body.u32_be(2, if *version == IpVersion::V4 { 2 } else { 10 });
            write_part(body, *addresses, 3, 4);
            write_part(body, *ports, 5, 6);
            write_flags(body, 7, *flags, ports.is_some());
        }
        Insn::Masquerade { ports, flags } => {
            write_flags(body, 1, *flags, ports.is_some());
            write_part(body, *ports, 2, 3);
        }
        Insn::Redirect { ports, flags } => {
            write_part(body, *ports, 1, 2);
            write_flags(body, 3, *flags, ports.is_some());
        }
        Insn::Reject { kind, code } => {
            body.u32_be(1, *kind);
            body.u8(2, *code);
        }
        Insn::Log { prefix, level } => {
            if let Some(prefix) = prefix {
                body.str(2, prefix);
            }
            if let Some(level) = level {
                body.u32_be(5, level_number(*level));
            }
        }
        Insn::Limit(limit) => write_limit(body, limit),
        Insn::Random { slot, of } => {
            body.u32_be(1, register(*slot));
            body.u32_be(2, *of);
            body.u32_be(3, RANDOM);
            body.u32_be(4, 0);
        }
        Insn::ToNetworkOrder { slot } => {
            body.u32_be(1, register(*slot));
            body.u32_be(2, register(*slot));
            body.u32_be(3, TO_NETWORK);
            body.u32_be(4, NUMBER_LEN);
            body.u32_be(5, NUMBER_LEN);
        }
        Insn::Notrack => {}
        Insn::SetTrace { slot } => {
            body.u32_be(2, TRACE);
            body.u32_be(3, register(*slot));
        }
        Insn::Unknown { bytes, .. } => body.raw(bytes),
    }
}

fn write_load(body: &mut Body<'_>, load: Load, slot: Slot) {
    match load {
        Load::Meta(key) => {
            body.u32_be(2, key);
            body.u32_be(1, register(slot));
        }
        Load::Ct { key, direction } => {
            body.u32_be(2, key);
            body.u32_be(1, register(slot));
            if let Some(direction) = direction {
                body.u8(3, direction);
            }
        }
        Load::Payload { base, offset, len } => {
            body.u32_be(1, register(slot));
            body.u32_be(2, base_number(base));
            body.u32_be(3, offset);
            body.u32_be(4, len);
        }
        Load::Fib { result, flags } => {
            body.u32_be(3, flags);
            body.u32_be(2, result);
            body.u32_be(1, register(slot));
        }
    }
}

/// `NFT_META_NFTRACE`
const TRACE: u32 = 12;

fn write_set_mark(body: &mut Body<'_>, target: MarkTarget, slot: Slot) {
    /// `NFT_META_MARK` and `NFT_CT_MARK`
    const MARK: u32 = 3;
    body.u32_be(2, MARK);
    match target {
        MarkTarget::Meta => body.u32_be(3, register(slot)),
        MarkTarget::Ct => body.u32_be(4, register(slot)),
    }
}

fn write_lookup(body: &mut Body<'_>, set: &SetName, slot: Slot, into: Option<u32>, own: &OwnSets<'_>) {
    match set {
        SetName::Named(name) => body.str(1, name),
        SetName::Anonymous(index) => {
            let (template, id) = own.names.get(*index).copied().unwrap_or(("__set%d", 0));
            body.str(1, template);
            body.u32_be(4, id);
        }
    }
    body.u32_be(2, register(slot));
    if let Some(into) = into {
        body.u32_be(3, into);
    }
}

fn write_part(body: &mut Body<'_>, part: Option<NatPart>, min: u16, max: u16) {
    if let Some(part) = part {
        body.u32_be(min, register(part.min));
        if part.max != part.min {
            body.u32_be(max, register(part.max));
        }
    }
}

/// `NFTA_DYNSET_…`
mod dynset {
    pub(super) const SET_NAME: u16 = 1;
    pub(super) const OP: u16 = 3;
    pub(super) const SREG_KEY: u16 = 4;
    pub(super) const SREG_DATA: u16 = 5;
    pub(super) const TIMEOUT: u16 = 6;
    pub(super) const EXPR: u16 = 7;
    pub(super) const FLAGS: u16 = 9;
    pub(super) const EXPRESSIONS: u16 = 10;
    /// `NFT_DYNSET_F_INV`
    pub(super) const INVERTED: u32 = 1;
}

/// Source: `include/uapi/linux/netfilter/nf_nat.h`. The kernel adds `MAP_IPS` where there are addresses.
mod nat_flag {
    pub(super) const MAP_IPS: u32 = 1;
    pub(super) const PROTO_SPECIFIED: u32 = 2;
    pub(super) const PROTO_RANDOM: u32 = 4;
    pub(super) const PERSISTENT: u32 = 8;
    pub(super) const PROTO_RANDOM_FULLY: u32 = 16;
}

fn write_flags(body: &mut Body<'_>, kind: u16, flags: NatFlags, ports: bool) {
    let bit = |set: bool, bit: u32| if set { bit } else { 0 };
    let number = bit(ports, nat_flag::PROTO_SPECIFIED)
        | bit(flags.random, nat_flag::PROTO_RANDOM)
        | bit(flags.persistent, nat_flag::PERSISTENT)
        | bit(flags.fully_random, nat_flag::PROTO_RANDOM_FULLY);
    if number != 0 {
        body.u32_be(kind, number);
    }
}

fn read_flags(attr: Option<Attr<'_>>) -> Option<NatFlags> {
    let number = match attr {
        Some(attr) => attr.u32_be()?,
        None => 0,
    };
    let known = nat_flag::MAP_IPS
        | nat_flag::PROTO_SPECIFIED
        | nat_flag::PROTO_RANDOM
        | nat_flag::PERSISTENT
        | nat_flag::PROTO_RANDOM_FULLY;
    (number & !known == 0).then_some(NatFlags {
        random: number & nat_flag::PROTO_RANDOM != 0,
        fully_random: number & nat_flag::PROTO_RANDOM_FULLY != 0,
        persistent: number & nat_flag::PERSISTENT != 0,
    })
}

fn write_limit(body: &mut Body<'_>, limit: &Limit) {
    body.u64_be(1, limit.rate);
    body.u64_be(2, unit_seconds(limit.unit));
    body.u32_be(3, limit.burst);
    body.u32_be(4, u32::from(limit.kind == LimitKind::Bytes));
    body.u32_be(5, u32::from(limit.over));
}

const UNITS: [LimitUnit; 5] =
    [LimitUnit::Second, LimitUnit::Minute, LimitUnit::Hour, LimitUnit::Day, LimitUnit::Week];
const LEVELS: [LogLevel; 8] = [
    LogLevel::Emerg,
    LogLevel::Alert,
    LogLevel::Crit,
    LogLevel::Err,
    LogLevel::Warn,
    LogLevel::Notice,
    LogLevel::Info,
    LogLevel::Debug,
];
const SET_OPS: [SetOp; 3] = [SetOp::Add, SetOp::Update, SetOp::Delete];
const CMP_OPS: [CmpOp; 5] = [CmpOp::Eq, CmpOp::Neq, CmpOp::Lt, CmpOp::Lte, CmpOp::Gte];
/// `NFT_NG_RANDOM`
const RANDOM: u32 = 1;
/// `NFT_BYTEORDER_HTON`
const TO_NETWORK: u32 = 1;
/// The length of a number that changes its byte order, in bytes.
const NUMBER_LEN: u32 = 4;
const BASES: [PayloadBase; 3] = [PayloadBase::Link, PayloadBase::Network, PayloadBase::Transport];

const fn unit_seconds(unit: LimitUnit) -> u64 {
    match unit {
        LimitUnit::Second => 1,
        LimitUnit::Minute => 60,
        LimitUnit::Hour => 3_600,
        LimitUnit::Day => 86_400,
        LimitUnit::Week => 604_800,
    }
}

/// Source: `enum nft_log_level`.
const fn level_number(level: LogLevel) -> u32 {
    match level {
        LogLevel::Emerg => 0,
        LogLevel::Alert => 1,
        LogLevel::Crit => 2,
        LogLevel::Err => 3,
        LogLevel::Warn => 4,
        LogLevel::Notice => 5,
        LogLevel::Info => 6,
        LogLevel::Debug => 7,
    }
}

/// Source: `enum nft_dynset_ops`.
const fn op_number(op: SetOp) -> u32 {
    match op {
        SetOp::Add => 0,
        SetOp::Update => 1,
        SetOp::Delete => 2,
    }
}

/// Source: `enum nft_cmp_ops`.
const fn cmp_number(op: CmpOp) -> u32 {
    match op {
        CmpOp::Eq => 0,
        CmpOp::Neq => 1,
        CmpOp::Lt => 2,
        CmpOp::Lte => 3,
        CmpOp::Gte => 5,
    }
}

/// Source: `enum nft_payload_bases`.
const fn base_number(base: PayloadBase) -> u32 {
    match base {
        PayloadBase::Link => 0,
        PayloadBase::Network => 1,
        PayloadBase::Transport => 2,
    }
}

/// Reads a list of expressions. What is not known is kept as [`Insn::Unknown`].
pub(super) fn read_list(list: &Attr<'_>) -> Vec<Insn> {
    list.nested().filter(|attr| attr.kind == LIST_ELEM).filter_map(|attr| read(&attr)).collect()
}

/// Reads one expression; `None` if it has no name.
pub(super) fn read(expression: &Attr<'_>) -> Option<Insn> {
    let name = find(expression.nested(), data::EXPR_NAME)?.str()?;
    let inside = find(expression.nested(), data::EXPR_DATA).map_or(&[][..], |attr| attr.value);
    Some(
        known(name, &Fields(inside))
            .unwrap_or_else(|| Insn::Unknown { name: name.to_owned(), bytes: inside.to_vec() }),
    )
}

/// The attributes of one expression.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn get(&self, kind: u16) -> Option<Attr<'a>> {
        find(Attrs::new(self.0), kind)
    }

    fn has(&self, kind: u16) -> bool {
        self.get(kind).is_some()
    }

    fn u32(&self, kind: u16) -> Option<u32> {
        self.get(kind)?.u32_be()
    }

    fn u64(&self, kind: u16) -> Option<u64> {
        self.get(kind)?.u64_be()
    }

    fn slot(&self, kind: u16) -> Option<Slot> {
        slot(self.u32(kind)?)
    }

    fn value(&self, kind: u16) -> Option<Vec<u8>> {
        read_value(&self.get(kind)?)
    }

    /// `Some(None)` if there is none; `None` if there is one that is not understood.
    fn part(&self, min: u16, max: u16) -> Option<Option<NatPart>> {
        if !self.has(min) {
            return (!self.has(max)).then_some(None);
        }
        let min = self.slot(min)?;
        let max = if self.has(max) { self.slot(max)? } else { min };
        Some(Some(NatPart { min, max }))
    }
}

fn known(name: &str, fields: &Fields<'_>) -> Option<Insn> {
    Some(match name {
        "meta" => read_meta(fields)?,
        "ct" => read_ct(fields)?,
        "payload" => Insn::Load { load: read_payload(fields)?, slot: fields.slot(1)? },
        "fib" => Insn::Load {
            load: Load::Fib { result: fields.u32(2)?, flags: fields.u32(3)? },
            slot: fields.slot(1)?,
        },
        "bitwise" => read_bitwise(fields)?,
        "cmp" => {
            let number = fields.u32(2)?;
            let op = CMP_OPS.into_iter().find(|op| cmp_number(*op) == number)?;
            Insn::Cmp { slot: fields.slot(1)?, op, data: fields.value(3)? }
        }
        "range" => Insn::Range {
            slot: fields.slot(1)?,
            negated: fields.u32(2)? == 1,
            first: fields.value(3)?,
            last: fields.value(4)?,
        },
        "lookup" => read_lookup(fields)?,
        "dynset" => read_dynset(fields)?,
        "immediate" => read_immediate(fields)?,
        "counter" => Insn::Counter(CounterValue { bytes: fields.u64(1)?, packets: fields.u64(2)? }),
        "nat" => read_nat(fields)?,
        "masq" => Insn::Masquerade { ports: fields.part(2, 3)?, flags: read_flags(fields.get(1))? },
        "redir" => Insn::Redirect { ports: fields.part(1, 2)?, flags: read_flags(fields.get(3))? },
        "reject" => {
            let code = if fields.has(2) { fields.get(2)?.u8()? } else { 0 };
            Insn::Reject { kind: fields.u32(1)?, code }
        }
        "log" => read_log(fields)?,
        "limit" => read_limit(fields)?,
        "numgen" => read_random(fields)?,
        "byteorder" => read_to_network_order(fields)?,
        "notrack" => Insn::Notrack,
        _ => return None,
    })
}

fn read_meta(fields: &Fields<'_>) -> Option<Insn> {
    let key = fields.u32(2)?;
    if fields.has(3) {
        let slot = fields.slot(3)?;
        return match key {
            3 => Some(Insn::SetMark { target: MarkTarget::Meta, slot }),
            TRACE => Some(Insn::SetTrace { slot }),
            _ => None,
        };
    }
    Some(Insn::Load { load: Load::Meta(key), slot: fields.slot(1)? })
}

fn read_ct(fields: &Fields<'_>) -> Option<Insn> {
    let key = fields.u32(2)?;
    if fields.has(4) {
        let plain = key == 3 && !fields.has(3);
        return plain.then_some(Insn::SetMark { target: MarkTarget::Ct, slot: fields.slot(4)? });
    }
    let direction = match fields.get(3) {
        Some(attr) => Some(attr.u8()?),
        None => None,
    };
    Some(Insn::Load { load: Load::Ct { key, direction }, slot: fields.slot(1)? })
}

fn read_payload(fields: &Fields<'_>) -> Option<Load> {
    let number = fields.u32(2)?;
    let base = BASES.into_iter().find(|base| base_number(*base) == number)?;
    Some(Load::Payload { base, offset: fields.u32(3)?, len: fields.u32(4)? })
}

fn read_bitwise(fields: &Fields<'_>) -> Option<Insn> {
    // Attribute 6 is the operation; 0 (mask and xor) is what the others' absence means too.
    let is_mask = fields.u32(6).unwrap_or(0) == 0;
    let (from, slot) = (fields.slot(1)?, fields.slot(2)?);
    (is_mask && from == slot).then_some(Insn::Bitwise { slot, mask: fields.value(4)?, xor: fields.value(5)? })
}

fn read_lookup(fields: &Fields<'_>) -> Option<Insn> {
    let set = SetName::Named(fields.get(1)?.str()?.to_owned());
    let slot = fields.slot(2)?;
    let negated = match fields.get(5) {
        Some(flags) => flags.u32_be()? & 1 != 0,
        None => false,
    };
    match fields.get(3) {
        None => Some(Insn::Lookup { set, slot, negated }),
        Some(_) if negated => None,
        Some(attr) if attr.u32_be()? == VERDICT_REGISTER => Some(Insn::LookupVerdict { map: set, slot }),
        Some(_) => Some(Insn::LookupData { map: set, slot, into: fields.slot(3)? }),
    }
}

fn read_dynset(fields: &Fields<'_>) -> Option<Insn> {
    // What a map's element would map to, and going on when the set is full, have no statement here.
    if fields.has(dynset::SREG_DATA) || fields.u32(dynset::FLAGS).unwrap_or(0) & dynset::INVERTED != 0 {
        return None;
    }
    let number = fields.u32(dynset::OP)?;
    let timeout = if fields.has(dynset::TIMEOUT) { fields.u64(dynset::TIMEOUT)? } else { 0 };
    let (one, list) = (fields.get(dynset::EXPR), fields.get(dynset::EXPRESSIONS));
    let counter = match stateful(one, list).as_slice() {
        [] if one.is_none() && list.is_none() => None,
        [Insn::Counter(counter)] => Some(*counter),
        _ => return None,
    };
    Some(Insn::Dynset {
        op: SET_OPS.into_iter().find(|op| op_number(*op) == number)?,
        set: fields.get(dynset::SET_NAME)?.str()?.to_owned(),
        slot: fields.slot(dynset::SREG_KEY)?,
        timeout: Some(timeout).filter(|timeout| *timeout != 0),
        counter,
    })
}

/// The expressions that a set, an element or a change of one has: one in an attribute, or several in a list.
pub(super) fn stateful(one: Option<Attr<'_>>, list: Option<Attr<'_>>) -> Vec<Insn> {
    let mut insns: Vec<Insn> = one.iter().filter_map(read).collect();
    insns.extend(list.iter().flat_map(read_list));
    insns
}

/// What the first counter of these has counted.
pub(super) fn counter_among(insns: &[Insn]) -> Option<CounterValue> {
    insns.iter().find_map(|insn| match insn {
        Insn::Counter(counter) => Some(*counter),
        _ => None,
    })
}

fn read_immediate(fields: &Fields<'_>) -> Option<Insn> {
    if fields.u32(1)? == VERDICT_REGISTER {
        let verdict = find(fields.get(2)?.nested(), data::VERDICT)?;
        return Some(Insn::Verdict(read_verdict(&verdict)?));
    }
    Some(Insn::Immediate { slot: fields.slot(1)?, data: fields.value(2)? })
}

fn read_nat(fields: &Fields<'_>) -> Option<Insn> {
    let kind = match fields.u32(1)? {
        0 => NatKind::Snat,
        1 => NatKind::Dnat,
        _ => return None,
    };
    let version = match fields.u32(2)? {
        2 => IpVersion::V4,
        10 => IpVersion::V6,
        _ => return None,
    };
    let flags = read_flags(fields.get(7))?;
    Some(Insn::Nat { kind, version, addresses: fields.part(3, 4)?, ports: fields.part(5, 6)?, flags })
}

fn read_log(fields: &Fields<'_>) -> Option<Insn> {
    // Group, length, queue threshold and flags have no statement here.
    if fields.has(1) || fields.has(3) || fields.has(4) || fields.u32(6).unwrap_or(0) != 0 {
        return None;
    }
    let prefix = match fields.get(2) {
        Some(attr) => Some(attr.str()?.to_owned()),
        None => None,
    };
    let level = match fields.get(5) {
        Some(attr) => Some(*LEVELS.get(attr.u32_be()? as usize)?),
        None => None,
    };
    // The kernel gives its default, which is nft's, to a rule that does not say.
    Some(Insn::Log { prefix, level: level.filter(|level| *level != LogLevel::Warn) })
}

fn read_random(fields: &Fields<'_>) -> Option<Insn> {
    // One number after the other, and what is added to them, have no statement here.
    let plain = fields.u32(3)? == RANDOM && fields.u32(4).unwrap_or(0) == 0;
    plain.then_some(Insn::Random { slot: fields.slot(1)?, of: fields.u32(2)? })
}

fn read_to_network_order(fields: &Fields<'_>) -> Option<Insn> {
    let (from, slot) = (fields.slot(1)?, fields.slot(2)?);
    let numbers = [fields.u32(4)?, fields.u32(5)?] == [NUMBER_LEN; 2];
    (from == slot && fields.u32(3)? == TO_NETWORK && numbers).then_some(Insn::ToNetworkOrder { slot })
}

fn read_limit(fields: &Fields<'_>) -> Option<Insn> {
    let seconds = fields.u64(2)?;
    let kind = match fields.u32(4).unwrap_or(0) {
        0 => LimitKind::Packets,
        1 => LimitKind::Bytes,
        _ => return None,
    };
    Some(Insn::Limit(Limit {
        rate: fields.u64(1)?,
        unit: UNITS.into_iter().find(|unit| unit_seconds(*unit) == seconds)?,
        burst: fields.u32(3)?,
        kind,
        over: fields.u32(5).unwrap_or(0) & 1 != 0,
    }))
}
