//! The kernel's answers.

use pontoon_netlink::wire::{Attrs, Message};

use super::attribute::{
    GEN_ID, SUBSYSTEM, chain as chain_attribute, element as element_attribute, msg, rule as rule_attribute,
    set as set_attribute, table as table_attribute,
};
use super::element::{RawElement, read as read_element};
use super::encode::hook_number;
use super::expression::{find, read_list};
use super::{set as set_wire, user_data};
use crate::syntax::{Base, Chain, ChainKind, Family, Hook, Policy, Rule, Set, Statement, TableRef};
use crate::vm::decompile;

/// One message of an answer, or of an event: both have the same form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A table.
    Table(TableEntry),
    /// A chain.
    Chain(ChainEntry),
    /// A rule.
    Rule(RuleEntry),
    /// A set.
    Set(SetEntry),
    /// Some elements of a set; there may be more in the next message.
    Elements(ElementsEntry),
    /// The ruleset's generation id.
    Generation(u32),
}

/// A table that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableEntry {
    /// Family and name.
    pub table: TableRef,
    /// The number that the kernel gave it.
    pub handle: u64,
    /// A remark.
    pub comment: Option<String>,
    /// `NFT_TABLE_F_…`: 1 dormant, 2 owned by a process.
    pub flags: u32,
}

/// A chain that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainEntry {
    /// In which table.
    pub table: TableRef,
    /// The number that the kernel gave it.
    pub handle: u64,
    /// The chain.
    pub chain: Chain,
}

/// A rule that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleEntry {
    /// In which table.
    pub table: TableRef,
    /// In which chain.
    pub chain: String,
    /// The number that the kernel gave it.
    pub handle: u64,
    /// The rule. Sets of its own have the kernel's name here: `@__set0`.
    pub rule: Rule,
}

/// A set that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetEntry {
    /// In which table.
    pub table: TableRef,
    /// The number that the kernel gave it.
    pub handle: u64,
    /// The set.
    pub set: Set,
    /// Whether it belongs to a rule.
    pub anonymous: bool,
}

/// Elements that are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ElementsEntry {
    /// In which table.
    pub table: TableRef,
    /// Of which set.
    pub set: String,
    /// As the kernel has them: [`crate::ruleset::elements_of`] makes elements of them.
    pub elements: Vec<RawElement>,
}

impl Answer {
    /// Reads a message; `None` if it is not one of these or lacks what it must have.
    pub fn read(message: &Message<'_>) -> Option<Self> {
        /// Length of `struct nfgenmsg`.
        const GENERIC_LEN: usize = 4;
        if message.kind >> 8 != SUBSYSTEM {
            return None;
        }
        let family = Family::from_number(*message.payload.first()?);
        let attrs = Attrs::new(message.payload.get(GENERIC_LEN..)?);
        match message.kind & 0xff {
            msg::NEWTABLE => read_table(family?, attrs).map(Self::Table),
            msg::NEWCHAIN => read_chain(family?, attrs).map(Self::Chain),
            msg::NEWRULE => read_rule(family?, attrs).map(Self::Rule),
            msg::NEWSET => read_set(family?, attrs).map(Self::Set),
            msg::NEWSETELEM => read_elements(family?, attrs).map(Self::Elements),
            msg::NEWGEN => find(attrs, GEN_ID)?.u32_be().map(Self::Generation),
            _ => None,
        }
    }
}

fn text(attrs: &Attrs<'_>, kind: u16) -> Option<String> {
    find(attrs.clone(), kind)?.str().map(str::to_owned)
}

fn handle(attrs: &Attrs<'_>, kind: u16) -> u64 {
    find(attrs.clone(), kind).and_then(|attr| attr.u64_be()).unwrap_or(0)
}

fn comment(attrs: &Attrs<'_>, kind: u16) -> Option<String> {
    user_data::read_comment(find(attrs.clone(), kind)?.value)
}

fn read_table(family: Family, attrs: Attrs<'_>) -> Option<TableEntry> {
    Some(TableEntry {
        table: TableRef { family, name: text(&attrs, table_attribute::NAME)? },
        handle: handle(&attrs, table_attribute::HANDLE),
        comment: comment(&attrs, table_attribute::USERDATA),
        flags: find(attrs, table_attribute::FLAGS).and_then(|attr| attr.u32_be()).unwrap_or(0),
    })
}

fn read_chain(family: Family, attrs: Attrs<'_>) -> Option<ChainEntry> {
    Some(ChainEntry {
        table: TableRef { family, name: text(&attrs, chain_attribute::TABLE)? },
        handle: handle(&attrs, chain_attribute::HANDLE),
        chain: Chain {
            name: text(&attrs, chain_attribute::NAME)?,
            base: read_base(family, &attrs),
            comment: comment(&attrs, chain_attribute::USERDATA),
        },
    })
}

fn read_base(family: Family, attrs: &Attrs<'_>) -> Option<Base> {
    const HOOKS: [Hook; 7] = [
        Hook::Prerouting,
        Hook::Input,
        Hook::Forward,
        Hook::Output,
        Hook::Postrouting,
        Hook::Ingress,
        Hook::Egress,
    ];
    let hook = find(attrs.clone(), chain_attribute::HOOK)?;
    let number = find(hook.nested(), chain_attribute::HOOK_NUMBER)?.u32_be()?;
    let is_at_device = |hook: &Hook| matches!(hook, Hook::Ingress | Hook::Egress);
    let kind = match find(attrs.clone(), chain_attribute::TYPE)?.str()? {
        "filter" => ChainKind::Filter,
        "nat" => ChainKind::Nat,
        "route" => ChainKind::Route,
        _ => return None,
    };
    let policy = find(attrs.clone(), chain_attribute::POLICY).and_then(|attr| attr.u32_be());
    Some(Base {
        kind,
        hook: HOOKS
            .into_iter()
            .filter(|hook| family != Family::Netdev || is_at_device(hook))
            .find(|hook| hook_number(family, *hook) == number)?,
        priority: find(hook.nested(), chain_attribute::HOOK_PRIORITY)?.u32_be()? as i32,
        policy: if policy == Some(0) { Policy::Drop } else { Policy::Accept },
        device: find(hook.nested(), chain_attribute::HOOK_DEVICE)
            .and_then(|attr| attr.str().map(str::to_owned)),
    })
}

fn read_rule(family: Family, attrs: Attrs<'_>) -> Option<RuleEntry> {
    let insns =
        find(attrs.clone(), rule_attribute::EXPRESSIONS).map(|list| read_list(&list)).unwrap_or_default();
    let mut rule =
        Rule { statements: decompile(family, &insns), comment: comment(&attrs, rule_attribute::USERDATA) };
    if rule.comment.is_none() {
        take_iptables_comment(&mut rule);
    }
    Some(RuleEntry {
        table: TableRef { family, name: text(&attrs, rule_attribute::TABLE)? },
        chain: text(&attrs, rule_attribute::CHAIN)?,
        handle: handle(&attrs, rule_attribute::HANDLE),
        rule,
    })
}

/// iptables writes remarks as a match that always is so, also those that it found as nft's and saved.
///
/// Source: `struct xt_comment_info` in include/uapi/linux/netfilter/xt_comment.h; `NFTA_MATCH_…`.
fn take_iptables_comment(rule: &mut Rule) {
    let remark = |statement: &Statement| {
        let Statement::Unknown { name, bytes } = statement else { return None };
        let is_comment = name == "match" && find(Attrs::new(bytes), 1)?.str()? == "comment";
        is_comment.then(|| find(Attrs::new(bytes), 3)?.str().map(str::to_owned)).flatten()
    };
    let found = rule.statements.iter().enumerate().find_map(|(index, one)| Some((index, remark(one)?)));
    if let Some((index, text)) = found {
        rule.statements.remove(index);
        rule.comment = Some(text);
    }
}

fn read_set(family: Family, attrs: Attrs<'_>) -> Option<SetEntry> {
    let (set, anonymous) = set_wire::read(attrs.clone())?;
    Some(SetEntry {
        table: TableRef { family, name: text(&attrs, set_attribute::TABLE)? },
        handle: handle(&attrs, set_attribute::HANDLE),
        set,
        anonymous,
    })
}

fn read_elements(family: Family, attrs: Attrs<'_>) -> Option<ElementsEntry> {
    let lists = attrs.clone().filter(|attr| attr.kind == element_attribute::LIST_ELEMENTS);
    Some(ElementsEntry {
        table: TableRef { family, name: text(&attrs, element_attribute::LIST_TABLE)? },
        set: text(&attrs, element_attribute::LIST_SET)?,
        elements: lists.flat_map(|list| list.nested()).map(|element| read_element(&element)).collect(),
    })
}
