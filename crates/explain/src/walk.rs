//! A packet's way through a base chain and the chains that it jumps to.

use std::collections::BTreeMap;
use std::net::IpAddr;

use pontoon_nft::ruleset::{ListedChain, ListedRule, Table};
use pontoon_nft::syntax::{
    ElementData, IpVersion, Key, MarkSource, MarkTarget, Nat, NatKind, NatTarget, Policy, Rule, SetRef,
    Statement, TableRef, Value, Verdict,
};
use serde::{Deserialize, Serialize};

use crate::extension::{Effect, Marking, effect, extension_name};
use crate::matching::{elements, is_element, matches};
use crate::packet::Packet;
use crate::truth::Truth;

/// What becomes of a packet in one base chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// It passes, whatever it is.
    Passes,
    /// It depends on what is not known of it.
    MayDrop,
    /// It is dropped, whatever it is.
    Drops,
}

/// Where a packet was dropped, or may be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The table.
    pub table: TableRef,
    /// The chains on the way, from the base chain to the one that drops.
    pub chains: Vec<String>,
    /// The rule's number; `None` for the base chain's policy.
    pub handle: Option<u64>,
    /// The rule, or `policy drop`, as nft shows it.
    pub text: String,
}

/// The outcome of a walk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walk {
    /// What becomes of it.
    pub fate: Fate,
    /// What drops it where everything unknown is taken not to be so: what no special rule is for.
    pub otherwise: Option<Reason>,
    /// All that drops it or may, each once.
    pub drops: Vec<Reason>,
    /// How its addresses are translated, or may be.
    pub translations: Vec<(Translation, Reason)>,
    /// Whether it may pass without being translated.
    pub plain: bool,
    /// What lets a packet through that is followed, or may.
    pub accepts: Vec<Reason>,
    /// The mark that it has afterwards, and its connection's; `None` where a rule may have set one.
    pub marks: (Option<u32>, Option<u32>),
    /// Whether a rule that it met keeps connection tracking off it.
    pub untracked: bool,
}

/// What a rule makes of a packet's addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Translation {
    /// The source becomes the outgoing interface's address.
    Masquerade,
    /// The source becomes this.
    Source(IpAddr, Option<u16>),
    /// The destination becomes this.
    Destination(IpAddr, Option<u16>),
    /// The destination becomes the host itself.
    Redirect(Option<u16>),
    /// One of several, or something that is not understood.
    Unclear,
}

/// Walks `packet` through a base chain of `table`.
///
/// A chain that is not at a hook, or not there, lets everything pass.
pub fn walk(packet: &Packet, table: &Table, chain: &str) -> Walk {
    let run = |unknown| {
        let mut walker = Walker {
            packet: packet.clone(),
            table,
            unknown,
            trail: Vec::new(),
            drops: Vec::new(),
            accepts: false,
            known: BTreeMap::new(),
            translations: Vec::new(),
            plain: false,
            passed: Vec::new(),
            untracked: false,
        };
        walker.base(chain);
        walker
    };
    let all = run(Truth::Unknown);
    let fate = match (all.drops.is_empty(), all.accepts) {
        (true, _) => Fate::Passes,
        (false, true) => Fate::MayDrop,
        (false, false) => Fate::Drops,
    };
    let otherwise = match fate {
        Fate::Passes => None,
        // Nothing is unknown any more, so there is one end.
        _ => run(Truth::False).drops.into_iter().next(),
    };
    let Walker { packet, drops, translations, plain, passed: accepts, untracked, .. } = all;
    let marks = packet.traced.map_or((None, None), |traced| (traced.mark, traced.connection_mark));
    Walk { fate, otherwise, drops, translations, plain, accepts, marks, untracked }
}

/// Who is left after a chain or rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Left {
    /// Somebody goes on to the next rule.
    next: bool,
    /// Somebody has left the chain by `return` or `goto`.
    returned: bool,
}

struct Walker<'a> {
    /// With the marks that rules have set so far.
    packet: Packet,
    table: &'a Table,
    /// What is taken for what is unknown.
    unknown: Truth,
    trail: Vec<String>,
    drops: Vec<Reason>,
    accepts: bool,
    /// Whether somebody comes back from a chain that was walked before.
    known: BTreeMap<String, bool>,
    translations: Vec<(Translation, Reason)>,
    /// Whether somebody passes without being translated.
    plain: bool,
    /// What lets it through; noted of packets that are followed alone.
    passed: Vec<Reason>,
    untracked: bool,
}

impl Walker<'_> {
    fn base(&mut self, name: &str) {
        let Some(chain) = self.table.chain(name) else {
            self.pass(None);
            return;
        };
        if !self.chain(chain) {
            return;
        }
        match chain.chain.base.as_ref().map(|base| base.policy) {
            Some(Policy::Drop) => {
                self.trail.push(name.to_owned());
                self.note_policy();
                self.trail.pop();
            }
            _ => {
                self.trail.push(name.to_owned());
                self.pass(None);
                self.trail.pop();
            }
        }
    }

    /// Somebody is let through, by a rule or by the policy.
    fn pass(&mut self, rule: Option<&ListedRule>) {
        self.accepts = true;
        self.plain = true;
        if self.packet.traced.is_some() {
            self.passed.push(self.reason(rule, "policy accept"));
        }
    }

    /// Walks a chain; says whether somebody comes back from it.
    fn chain(&mut self, chain: &ListedChain) -> bool {
        let name = &chain.chain.name;
        if let Some(known) = self.known.get(name) {
            return *known;
        }
        // The kernel refuses circles, but what was read may be from anywhere: nobody comes back from one.
        if self.trail.contains(name) {
            return false;
        }
        self.trail.push(name.clone());
        let mut back = false;
        let mut falls = true;
        for rule in &chain.rules {
            let left = self.rule(rule);
            back |= left.returned;
            if !left.next {
                falls = false;
                break;
            }
        }
        self.trail.pop();
        self.known.insert(name.clone(), back || falls);
        back || falls
    }

    fn rule(&mut self, listed: &ListedRule) -> Left {
        let mut here = Truth::True;
        for statement in &listed.rule.statements {
            let (condition, verdicts) = self.statement(statement);
            here = here.and(self.settle(condition));
            if here != Truth::False {
                self.mark(here, statement);
                self.untracked |= is_notrack(statement);
            }
            if here == Truth::False {
                return Left { next: true, returned: false };
            }
            if let Some(verdicts) = verdicts {
                // A map that does not have the key ends the rule as well.
                let (ends, returned) = self.act_all(listed, here, &verdicts);
                return Left { next: !ends, returned };
            }
        }
        Left { next: true, returned: false }
    }

    fn settle(&self, truth: Truth) -> Truth {
        if truth == Truth::Unknown { self.unknown } else { truth }
    }

    /// Under which condition a statement goes on, and the verdicts that it may give, each with its own condition.
    fn statement(&self, statement: &Statement) -> (Truth, Option<Vec<(Truth, Act)>>) {
        let always = |act| (Truth::True, Some(vec![(Truth::True, act)]));
        match statement {
            Statement::Match(of) => (matches(&self.packet, self.table, of), None),
            // A set that is full takes no more, and the rule ends there.
            Statement::Limit(_) | Statement::Chance { .. } | Statement::Update(_) => (Truth::Unknown, None),
            Statement::Verdict(verdict) => always(Act::Verdict(verdict.clone())),
            Statement::Reject(_) => always(Act::Verdict(Verdict::Drop)),
            Statement::Masquerade { .. } => always(Act::Translate(Translation::Masquerade)),
            Statement::Redirect { ports, .. } => {
                always(Act::Translate(Translation::Redirect(ports.map(|range| range.first))))
            }
            Statement::Nat(nat) => (Truth::True, Some(self.nat(nat))),
            Statement::Vmap { key, map } => (Truth::True, Some(self.vmap(key, map))),
            Statement::Unknown { name, bytes } => match effect(&self.packet, name, bytes) {
                Effect::Match(truth) => (truth, None),
                Effect::Mark(_) => (Truth::True, None),
                Effect::Drop => always(Act::Verdict(Verdict::Drop)),
                Effect::MayDrop => always(Act::Undecided),
                Effect::Translate(translation) => always(Act::Translate(translation)),
            },
            Statement::Counter(_)
            | Statement::Log { .. }
            | Statement::SetMark { .. }
            | Statement::Notrack
            | Statement::Trace => (Truth::True, None),
        }
    }

    /// Sets a mark, if the statement does; where that is not sure, the mark is not known any more.
    fn mark(&mut self, here: Truth, statement: &Statement) {
        let Some(traced) = &self.packet.traced else { return };
        let constant = |target, value| Marking { target, clear: u32::MAX, value, of_other: None };
        let marking = match statement {
            Statement::SetMark { target, source } => (
                *target,
                match source {
                    MarkSource::Value(value) => Some(constant(*target, *value)),
                    MarkSource::Mark(other) if other == target => return,
                    MarkSource::Mark(_) => Some(Marking { of_other: Some(u32::MAX), ..constant(*target, 0) }),
                    MarkSource::Map { key, map } => {
                        self.mark_of_map(key, map).map(|value| constant(*target, value))
                    }
                },
            ),
            Statement::Unknown { name, bytes } => match effect(&self.packet, name, bytes) {
                Effect::Mark(Some(marking)) => (marking.target, Some(marking)),
                Effect::Mark(None) if name == "ct" => (MarkTarget::Ct, None),
                Effect::Mark(None) => (MarkTarget::Meta, None),
                _ => return,
            },
            _ => return,
        };
        let (target, marking) = marking;
        let (own, other) = match target {
            MarkTarget::Meta => (traced.mark, traced.connection_mark),
            MarkTarget::Ct => (traced.connection_mark, traced.mark),
        };
        let set = marking.and_then(|Marking { clear, value, of_other, .. }| {
            let value = of_other.map_or(Some(value), |bits| Some(other? & bits))?;
            // Where all bits are cleared, it does not matter what they were.
            let kept = if clear == u32::MAX { 0 } else { own? & !clear };
            Some(kept ^ value)
        });
        let becomes = if here == Truth::True || set == own { set } else { None };
        if let Some(traced) = &mut self.packet.traced {
            match target {
                MarkTarget::Meta => traced.mark = becomes,
                MarkTarget::Ct => traced.connection_mark = becomes,
            }
        }
        // Chains that were walked before may let through another packet.
        self.known.clear();
    }

    fn mark_of_map(&self, key: &[Key], map: &SetRef) -> Option<u32> {
        let mut found = elements(&self.packet, self.table, map)?.iter();
        let element = found.find(|element| is_element(&self.packet, key, element) != Truth::False)?;
        match &element.data {
            Some(ElementData::Values(values)) if is_element(&self.packet, key, element) == Truth::True => {
                values
                    .first()
                    .and_then(|value| if let Value::Mark(mark) = value { Some(*mark) } else { None })
            }
            _ => None,
        }
    }

    /// The verdicts that a map may give: each element's, under the condition that the packet's key is the element's.
    fn vmap(&self, key: &[Key], map: &SetRef) -> Vec<(Truth, Act)> {
        let Some(elements) = elements(&self.packet, self.table, map) else {
            return vec![(Truth::Unknown, Act::Undecided)];
        };
        let verdict = |element: &pontoon_nft::syntax::Element| match &element.data {
            Some(ElementData::Verdict(verdict)) => Act::Verdict(verdict.clone()),
            _ => Act::Undecided,
        };
        elements.iter().map(|element| (is_element(&self.packet, key, element), verdict(element))).collect()
    }

    /// The translations that a rule may give. Where a map does not have the key, the rule ends.
    fn nat(&self, nat: &Nat) -> Vec<(Truth, Act)> {
        let of = |address: IpAddr, port| match nat.kind {
            NatKind::Snat => Translation::Source(address, port),
            NatKind::Dnat => Translation::Destination(address, port),
        };
        let fits = |address: IpAddr| address.is_ipv4() == (self.packet.version == IpVersion::V4);
        match &nat.to {
            NatTarget::Constant { addresses, .. } if !fits(addresses.first) => Vec::new(),
            NatTarget::Constant { addresses, ports } => {
                let one_port = ports.is_none_or(|range| range.first == range.last);
                // Of several ports a source gets one that is free, which changes nothing here.
                let one = addresses.first == addresses.last && (one_port || nat.kind == NatKind::Snat);
                let port = ports.filter(|_| one_port).map(|range| range.first);
                vec![(
                    Truth::True,
                    Act::Translate(if one { of(addresses.first, port) } else { Translation::Unclear }),
                )]
            }
            NatTarget::Map { key, map, .. } => {
                let Some(elements) = elements(&self.packet, self.table, map) else {
                    return vec![(Truth::Unknown, Act::Translate(Translation::Unclear))];
                };
                let translation = |element: &pontoon_nft::syntax::Element| match &element.data {
                    Some(ElementData::Values(values)) => address_and_port(values)
                        .filter(|(address, _)| fits(*address))
                        .map_or(Translation::Unclear, |(address, port)| of(address, port)),
                    _ => Translation::Unclear,
                };
                let act =
                    |element| (is_element(&self.packet, key, element), Act::Translate(translation(element)));
                elements.iter().map(act).collect()
            }
        }
    }

    /// Acts on all verdicts that are possible; says whether nobody goes on, and whether somebody returned.
    fn act_all(&mut self, rule: &ListedRule, here: Truth, verdicts: &[(Truth, Act)]) -> (bool, bool) {
        let mut returned = false;
        for (condition, act) in verdicts {
            let truth = here.and(self.settle(*condition));
            if truth == Truth::False {
                continue;
            }
            let left = self.act(rule, act);
            returned |= left.returned;
            if truth == Truth::True && !left.next {
                return (true, returned);
            }
            if truth == Truth::True {
                break;
            }
        }
        (false, returned)
    }

    fn act(&mut self, rule: &ListedRule, act: &Act) -> Left {
        let ended = Left { next: false, returned: false };
        let verdict = match act {
            Act::Verdict(verdict) => verdict,
            Act::Translate(translation) => {
                self.accepts = true;
                self.translations.push((translation.clone(), self.reason(Some(rule), "")));
                return ended;
            }
            Act::Undecided => {
                self.note_rule(rule);
                self.pass(Some(rule));
                return ended;
            }
        };
        match verdict {
            Verdict::Accept => {
                self.pass(Some(rule));
                ended
            }
            Verdict::Drop => {
                self.note_rule(rule);
                ended
            }
            Verdict::Continue => Left { next: true, returned: false },
            Verdict::Return => Left { next: false, returned: true },
            Verdict::Jump(name) => Left { next: self.called(name), returned: false },
            Verdict::Goto(name) => Left { next: false, returned: self.called(name) },
        }
    }

    fn called(&mut self, name: &str) -> bool {
        let table = self.table;
        table.chain(name).is_none_or(|chain| self.chain(chain))
    }

    fn note_rule(&mut self, listed: &ListedRule) {
        self.drops.push(self.reason(Some(listed), ""));
    }

    fn note_policy(&mut self) {
        self.drops.push(self.reason(None, "policy drop"));
    }

    /// A rule, or the policy.
    fn reason(&self, rule: Option<&ListedRule>, policy: &str) -> Reason {
        Reason {
            table: self.table.table.clone(),
            chains: self.trail.clone(),
            handle: rule.map(|rule| rule.handle),
            text: rule.map_or_else(|| policy.to_owned(), |rule| shown(self.table, &rule.rule)),
        }
    }
}

/// What a map of addresses, or of addresses and ports, has for a key.
fn address_and_port(values: &[Value]) -> Option<(IpAddr, Option<u16>)> {
    let address = match values.first()? {
        Value::Ipv4(address) => IpAddr::from(*address),
        Value::Ipv6(address) => IpAddr::from(*address),
        _ => return None,
    };
    let port = values.get(1).and_then(|value| match value {
        Value::Port(port) => Some(*port),
        _ => None,
    });
    Some((address, port))
}

enum Act {
    Verdict(Verdict),
    /// Accepted, with another address.
    Translate(Translation),
    /// Accepted or dropped, by what cannot be seen from here.
    Undecided,
}

/// Whether a statement keeps connection tracking off the packet.
fn is_notrack(statement: &Statement) -> bool {
    match statement {
        Statement::Notrack => true,
        Statement::Unknown { name, .. } => name == "notrack",
        _ => false,
    }
}

/// A rule as nft shows it, with the names of iptables' extensions.
fn shown(table: &Table, rule: &Rule) -> String {
    let mut text = rule.listing(table.table.family).to_string();
    for statement in &rule.statements {
        if let Statement::Unknown { name, bytes } = statement
            && matches!(name.as_str(), "match" | "target")
            && let Some(extension) = extension_name(bytes)
        {
            text = text.replacen(&format!("<{name}>"), &format!("xt {name} \"{extension}\""), 1);
        }
    }
    text
}
