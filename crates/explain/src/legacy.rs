//! The tables of iptables-legacy, which nf_tables does not show, as nftables tables.
//!
//! Source: include/uapi/linux/netfilter_ipv4/ip_tables.h, …/netfilter_ipv6/ip6_tables.h, …/netfilter/x_tables.h.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use pontoon_netlink::wire::Body;
use pontoon_nft::ruleset::{ListedChain, ListedRule, Table};
use pontoon_nft::syntax::{
    Base, Chain, ChainKind, Family, Hook, IpVersion, Key, Match, Operand, Policy, Priority, Right, Rule,
    Statement, TableRef, Value, Verdict,
};
use serde::{Deserialize, Serialize};

/// A table as the kernel hands it out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blob {
    /// Of which version of IP.
    pub version: IpVersion,
    /// The hooks at which it has a chain: `1 << NF_INET_…`.
    pub hooks: u32,
    /// Where each hook's chain begins.
    pub entry: [u32; 5],
    /// Where each hook's policy is.
    pub underflow: [u32; 5],
    /// The rules.
    pub entries: Vec<u8>,
}

/// Names and numbers of the hooks that tables have chains at.
const HOOKS: [(usize, &str, Hook); 5] = [
    (0, "PREROUTING", Hook::Prerouting),
    (1, "INPUT", Hook::Input),
    (2, "FORWARD", Hook::Forward),
    (3, "OUTPUT", Hook::Output),
    (4, "POSTROUTING", Hook::Postrouting),
];

/// The kinds of table that there are, by name. Source: net/ipv4/netfilter/iptable_*.c.
pub const TABLES: [&str; 5] = ["raw", "mangle", "nat", "filter", "security"];

/// What a table's chain is at a hook, and when its turn comes.
fn kind(table: &str, hook: Hook) -> (ChainKind, i32) {
    match (table, hook) {
        ("raw", _) => (ChainKind::Filter, Priority::RAW),
        ("mangle", Hook::Output) => (ChainKind::Route, Priority::MANGLE),
        ("mangle", _) => (ChainKind::Filter, Priority::MANGLE),
        ("nat", Hook::Prerouting | Hook::Output) => (ChainKind::Nat, Priority::DSTNAT),
        ("nat", _) => (ChainKind::Nat, Priority::SRCNAT),
        ("security", _) => (ChainKind::Filter, Priority::SECURITY),
        _ => (ChainKind::Filter, Priority::FILTER),
    }
}

/// Where things are in `struct ipt_entry` or `struct ip6t_entry`.
struct Layout {
    address: usize,
    interfaces: usize,
    protocol: usize,
    flags: usize,
    target_offset: usize,
    size: usize,
    goto: u8,
}

const V4: Layout =
    Layout { address: 4, interfaces: 16, protocol: 80, flags: 82, target_offset: 88, size: 112, goto: 2 };
const V6: Layout =
    Layout { address: 16, interfaces: 64, protocol: 128, flags: 131, target_offset: 140, size: 168, goto: 4 };

/// `IPT_INV_…`, `IP6T_INV_…`
mod inverted {
    pub(super) const IN: u8 = 0x01;
    pub(super) const OUT: u8 = 0x02;
    pub(super) const SOURCE: u8 = 0x08;
    pub(super) const DESTINATION: u8 = 0x10;
    pub(super) const PROTOCOL: u8 = 0x40;
}

/// Length of `struct xt_entry_match` and `struct xt_entry_target` without their data.
const HEADER: usize = 32;

/// A number that changes when the table does, but not with what its rules have counted.
pub fn fingerprint(blob: &Blob) -> u64 {
    /// `struct xt_counters`, which ends a rule's fixed part.
    const COUNTERS: usize = 16;
    let mut hasher = DefaultHasher::new();
    (blob.hooks, blob.entry, blob.underflow).hash(&mut hasher);
    match entries(blob) {
        Some(entries) => entries.iter().for_each(|entry| {
            entry.bytes[..entry.layout.size - COUNTERS].hash(&mut hasher);
            entry.bytes[entry.layout.size..].hash(&mut hasher);
        }),
        None => blob.entries.hash(&mut hasher),
    }
    hasher.finish()
}

/// The table `filter`; `None` if the bytes are not one.
pub fn table(blob: &Blob) -> Option<Table> {
    table_of(blob, "filter")
}

/// The table of this name, one of [`TABLES`]; `None` if the bytes are not one.
pub fn table_of(blob: &Blob, name: &str) -> Option<Table> {
    let entries = entries(blob)?;
    let heads = heads(blob, &entries, name);
    let mut chains: Vec<ListedChain> = Vec::new();
    for entry in &entries {
        if let Some((name, base)) = heads.get(&entry.offset) {
            let chain = Chain { name: name.clone(), base: base.clone(), comment: None };
            chains.push(ListedChain { handle: 0, chain, rules: Vec::new() });
        }
        let Some(chain) = chains.last_mut() else { continue };
        if entry.error_name().is_some() {
            continue;
        }
        let rule = entry.rule(&heads)?;
        let is_policy = HOOKS.iter().any(|(number, name, _)| {
            chain.chain.name == *name && blob.underflow[*number] as usize == entry.offset
        });
        match (is_policy, &mut chain.chain.base) {
            (true, Some(base)) => base.policy = policy(&rule),
            _ => {
                // Legacy rules are told by their place.
                let handle = chain.rules.len() as u64 + 1;
                chain.rules.push(ListedRule { handle, rule });
            }
        }
    }
    let family = if blob.version == IpVersion::V4 { Family::Ip } else { Family::Ip6 };
    let table = TableRef::new(family, name);
    Some(Table { table, handle: 0, comment: None, dormant: false, sets: Vec::new(), chains })
}

fn policy(rule: &Rule) -> Policy {
    match rule.statements.last() {
        Some(Statement::Verdict(Verdict::Drop)) => Policy::Drop,
        _ => Policy::Accept,
    }
}

/// One rule's bytes.
struct Entry<'a> {
    offset: usize,
    version: IpVersion,
    layout: &'static Layout,
    bytes: &'a [u8],
    target: usize,
}

fn entries(blob: &Blob) -> Option<Vec<Entry<'_>>> {
    let layout = if blob.version == IpVersion::V4 { &V4 } else { &V6 };
    let mut found = Vec::new();
    let mut offset = 0;
    while offset < blob.entries.len() {
        let rest = &blob.entries[offset..];
        let target = usize::from(u16_at(rest, layout.target_offset)?);
        let next = usize::from(u16_at(rest, layout.target_offset + 2)?);
        if target < layout.size || next < target + HEADER {
            return None;
        }
        let bytes = rest.get(..next)?;
        found.push(Entry { offset, version: blob.version, layout, bytes, target });
        offset += next;
    }
    Some(found)
}

type Heads = BTreeMap<usize, (String, Option<Base>)>;

/// Where chains begin: those of hooks where the table says so, others after an entry that has their name.
fn heads(blob: &Blob, entries: &[Entry<'_>], table: &str) -> Heads {
    let base = |hook| {
        let (kind, priority) = kind(table, hook);
        Base { kind, hook, priority, policy: Policy::Accept, device: None }
    };
    let builtin = HOOKS.iter().filter(|(number, ..)| blob.hooks & (1 << number) != 0);
    let builtin = builtin
        .map(|(number, name, hook)| (blob.entry[*number] as usize, ((*name).to_owned(), Some(base(*hook)))));
    let named = entries
        .iter()
        .zip(entries.iter().skip(1))
        .filter_map(|(entry, next)| Some((next.offset, (entry.error_name()?, None))));
    builtin.chain(named).collect()
}

impl Entry<'_> {
    /// The name that the entry before a chain has.
    fn error_name(&self) -> Option<String> {
        (text(&self.bytes[self.target + 2..self.target + 31]) == "ERROR")
            .then(|| text(&self.bytes[self.target + HEADER..]))
    }

    fn rule(&self, heads: &Heads) -> Option<Rule> {
        let mut statements = Vec::new();
        self.addresses(&mut statements)?;
        self.interfaces(&mut statements)?;
        self.protocol(&mut statements)?;
        self.extensions(&mut statements)?;
        statements.push(self.verdict(heads)?);
        Some(Rule { statements, comment: None })
    }

    fn inverted(&self, flag: u8) -> bool {
        self.bytes.get(self.layout.flags + 1).is_some_and(|flags| flags & flag != 0)
    }

    fn addresses(&self, statements: &mut Vec<Statement>) -> Option<()> {
        let len = self.layout.address;
        for (index, flag) in [(0, inverted::SOURCE), (1, inverted::DESTINATION)] {
            let address = self.bytes.get(index * len..(index + 1) * len)?;
            let mask = self.bytes.get((index + 2) * len..(index + 3) * len)?;
            let ones: u32 = mask.iter().map(|byte| byte.count_ones()).sum();
            let leading = mask
                .iter()
                .position(|byte| *byte != 0xff)
                .map_or(len as u32 * 8, |at| at as u32 * 8 + mask[at].leading_ones());
            match (ones, leading) {
                (0, _) => {}
                (ones, leading) if ones == leading => {
                    let operand = Operand::Prefix { address: address_value(address)?, len: ones as u8 };
                    statements.push(compare(self.address_key(index), operand, self.inverted(flag)));
                }
                _ => statements.push(unknown("mask")),
            }
        }
        Some(())
    }

    fn address_key(&self, index: usize) -> Key {
        match (self.version, index) {
            (IpVersion::V4, 0) => Key::IP_SADDR,
            (IpVersion::V4, _) => Key::IP_DADDR,
            (IpVersion::V6, 0) => Key::IP6_SADDR,
            (IpVersion::V6, _) => Key::IP6_DADDR,
        }
    }

    fn interfaces(&self, statements: &mut Vec<Statement>) -> Option<()> {
        const LEN: usize = 16;
        for (index, key, flag) in [(0, Key::IIFNAME, inverted::IN), (1, Key::OIFNAME, inverted::OUT)] {
            let at = self.layout.interfaces + index * LEN;
            let name = text(self.bytes.get(at..at + LEN)?);
            let mask = self.bytes.get(at + 2 * LEN..at + 3 * LEN)?;
            let compared = mask.iter().take_while(|byte| **byte != 0).count();
            if compared == 0 {
                continue;
            }
            // A whole name is compared with the zero after it.
            let pattern = if compared > name.len() { name } else { format!("{}*", name.get(..compared)?) };
            statements.push(compare(key, Value::Ifname(pattern).into(), self.inverted(flag)));
        }
        Some(())
    }

    fn protocol(&self, statements: &mut Vec<Statement>) -> Option<()> {
        let number = u16_at(self.bytes, self.layout.protocol)?;
        if let Some(number) = u8::try_from(number).ok().filter(|number| *number != 0) {
            let operand = Value::Protocol(number).into();
            statements.push(compare(Key::L4PROTO, operand, self.inverted(inverted::PROTOCOL)));
        }
        Some(())
    }

    fn extensions(&self, statements: &mut Vec<Statement>) -> Option<()> {
        let mut at = self.layout.size;
        while at < self.target {
            let size = usize::from(u16_at(self.bytes, at)?);
            if size < HEADER {
                return None;
            }
            statements.push(extension("match", self.bytes.get(at..at + size)?));
            at += size;
        }
        Some(())
    }

    fn verdict(&self, heads: &Heads) -> Option<Statement> {
        let target = self.bytes.get(self.target..)?;
        if !text(&target[2..31]).is_empty() {
            return Some(extension("target", target));
        }
        let number = i32::from_ne_bytes(target.get(HEADER..HEADER + 4)?.try_into().ok()?);
        let goes = self.bytes.get(self.layout.flags)? & self.layout.goto != 0;
        Some(match number {
            // `-NF_DROP - 1`, `-NF_ACCEPT - 1`, `-NF_QUEUE - 1`, `XT_RETURN`.
            -1 => Statement::Verdict(Verdict::Drop),
            -2 => Statement::Verdict(Verdict::Accept),
            -4 => unknown("queue"),
            -5 => Statement::Verdict(Verdict::Return),
            number => {
                let place = usize::try_from(number).ok()?;
                if place == self.offset + self.bytes.len() {
                    return Some(Statement::Verdict(Verdict::Continue));
                }
                let name = heads.get(&place)?.0.clone();
                Statement::Verdict(if goes { Verdict::Goto(name) } else { Verdict::Jump(name) })
            }
        })
    }
}

/// An extension in the form in which nf_tables carries those of iptables-nft.
fn extension(kind: &str, bytes: &[u8]) -> Statement {
    let mut attributes = Vec::new();
    let mut body = Body::on(&mut attributes);
    body.str(1, &text(&bytes[2..31]));
    body.u32_be(2, u32::from(bytes[31]));
    body.attr(3, &bytes[HEADER..]);
    Statement::Unknown { name: kind.to_owned(), bytes: attributes }
}

fn unknown(name: &str) -> Statement {
    Statement::Unknown { name: name.to_owned(), bytes: Vec::new() }
}

fn compare(key: Key, operand: Operand, negate: bool) -> Statement {
    let op = if negate { pontoon_nft::syntax::Op::Ne } else { pontoon_nft::syntax::Op::Eq };
    Statement::Match(Match { key: vec![key], mask: None, op, right: Right::Operand(operand) })
}

fn address_value(bytes: &[u8]) -> Option<Value> {
    match bytes.len() {
        4 => Some(Value::Ipv4(<[u8; 4]>::try_from(bytes).ok()?.into())),
        _ => Some(Value::Ipv6(<[u8; 16]>::try_from(bytes).ok()?.into())),
    }
}

/// A name up to its zero.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}
