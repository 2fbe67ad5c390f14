//! Rulesets: what the kernel's answers say together, listed as `nft list ruleset` does.

use std::fmt::{self, Display, Formatter, Write};

use serde::{Deserialize, Serialize};

use crate::syntax::{
    Chain, Command, DataType, Detail, Element, MarkSource, NatTarget, Right, Rule, Set, SetRef, Shown,
    Statement, TableRef, element_sort_key, show_base, show_element, show_set_type,
};
use crate::wire::{Answer, RawElement, decode_elements};

/// All tables, or some.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ruleset {
    /// In the kernel's order.
    pub tables: Vec<Table>,
}

/// A table with what is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Family and name.
    pub table: TableRef,
    /// The number that the kernel gave it.
    pub handle: u64,
    /// A remark.
    pub comment: Option<String>,
    /// Whether it is switched off.
    pub dormant: bool,
    /// Its named sets and maps.
    pub sets: Vec<ListedSet>,
    /// Its chains.
    pub chains: Vec<ListedChain>,
}

/// A set with its elements.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedSet {
    /// The number that the kernel gave it.
    pub handle: u64,
    /// The set.
    pub set: Set,
    /// Its elements, in nft's order.
    pub elements: Vec<Element>,
}

/// A chain with its rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedChain {
    /// The number that the kernel gave it.
    pub handle: u64,
    /// The chain.
    pub chain: Chain,
    /// Its rules in order.
    pub rules: Vec<ListedRule>,
}

/// A rule with its number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedRule {
    /// The number that the kernel gave it.
    pub handle: u64,
    /// The rule.
    pub rule: Rule,
}

/// The elements of `set` that the kernel's elements are, in the order in which nft lists them.
///
/// `raw` must be all of a set's elements if it holds intervals: an interval's end is an element of its own.
pub fn elements_of(set: &Set, raw: &[RawElement]) -> Vec<Element> {
    decode_elements(set, raw)
}

impl Ruleset {
    /// What `answers` say together, in any order: tables, chains, rules, sets and their elements.
    ///
    /// Sets that belong to a rule are put into it. What is in a table that is not among the answers is left out.
    pub fn from_answers(answers: impl IntoIterator<Item = Answer>) -> Self {
        let mut parts = Parts::default();
        for answer in answers {
            parts.add(answer);
        }
        parts.assemble()
    }

    /// The table `name`, if it is there.
    pub fn table(&self, name: &TableRef) -> Option<&Table> {
        self.tables.iter().find(|table| table.table == *name)
    }
}

impl Table {
    /// The table that `commands` make where there is nothing, as the kernel would tell it, but for the numbers.
    ///
    /// Only what adds is understood, and elements of sets without intervals; other commands change nothing.
    pub fn made_by(commands: &[Command]) -> Option<Self> {
        let mut made: Option<Self> = None;
        for command in commands {
            match (command, &mut made) {
                (Command::AddTable { table, comment } | Command::CreateTable { table, comment }, None) => {
                    let (table, comment) = (table.clone(), comment.clone());
                    made = Some(Self {
                        table,
                        handle: 0,
                        comment,
                        dormant: false,
                        sets: Vec::new(),
                        chains: Vec::new(),
                    });
                }
                (command, Some(table)) => table.add(command),
                _ => {}
            }
        }
        made
    }

    fn add(&mut self, command: &Command) {
        match command {
            Command::AddSet { set, .. } => {
                self.sets.push(ListedSet { handle: 0, set: set.clone(), elements: Vec::new() });
            }
            Command::AddChain { chain, .. } => {
                self.chains.push(ListedChain { handle: 0, chain: chain.clone(), rules: Vec::new() });
            }
            Command::AddRule { chain, rule, .. } => {
                let chain = self.chains.iter_mut().find(|listed| listed.chain.name == *chain);
                let rule = ListedRule { handle: 0, rule: rule.clone() };
                chain.into_iter().for_each(|chain| chain.rules.push(rule.clone()));
            }
            Command::AddElements(added) => {
                let Some(set) = self.sets.iter_mut().find(|listed| listed.set.name == added.set) else {
                    return;
                };
                for element in &added.elements {
                    if !set.elements.contains(element) {
                        set.elements.push(element.clone());
                    }
                }
                set.elements.sort_by_cached_key(element_sort_key);
            }
            _ => {}
        }
    }

    /// The chain `name`, if it is there.
    pub fn chain(&self, name: &str) -> Option<&ListedChain> {
        self.chains.iter().find(|chain| chain.chain.name == name)
    }

    /// The set or map `name`, if it is there.
    pub fn set(&self, name: &str) -> Option<&ListedSet> {
        self.sets.iter().find(|set| set.set.name == name)
    }
}

#[derive(Default)]
struct Parts {
    tables: Vec<Table>,
    chains: Vec<(TableRef, ListedChain)>,
    rules: Vec<(TableRef, String, ListedRule)>,
    sets: Vec<(TableRef, ListedSet, bool)>,
    elements: Vec<(TableRef, String, Vec<RawElement>)>,
}

impl Parts {
    fn add(&mut self, answer: Answer) {
        match answer {
            Answer::Table(entry) => self.tables.push(Table {
                dormant: entry.flags & 1 != 0,
                table: entry.table,
                handle: entry.handle,
                comment: entry.comment,
                sets: Vec::new(),
                chains: Vec::new(),
            }),
            Answer::Chain(entry) => {
                let chain = ListedChain { handle: entry.handle, chain: entry.chain, rules: Vec::new() };
                self.chains.push((entry.table, chain));
            }
            Answer::Rule(entry) => {
                self.rules.push((
                    entry.table,
                    entry.chain,
                    ListedRule { handle: entry.handle, rule: entry.rule },
                ));
            }
            Answer::Set(entry) => {
                let set = ListedSet { handle: entry.handle, set: entry.set, elements: Vec::new() };
                self.sets.push((entry.table, set, entry.anonymous));
            }
            Answer::Elements(entry) => self.elements.push((entry.table, entry.set, entry.elements)),
            Answer::Generation(_) => {}
        }
    }

    fn assemble(mut self) -> Ruleset {
        let mut tables = std::mem::take(&mut self.tables);
        for table in &mut tables {
            let mut own = Vec::new();
            for (_, mut set, anonymous) in take(&mut self.sets, |(of, ..)| *of == table.table) {
                let of_set =
                    |(of, name, _): &(TableRef, String, _)| *of == table.table && *name == set.set.name;
                let raw: Vec<RawElement> = take(&mut self.elements, of_set)
                    .into_iter()
                    .flat_map(|(.., elements)| elements)
                    .collect();
                set.elements = decode_elements(&set.set, &raw);
                if anonymous { own.push(set) } else { table.sets.push(set) }
            }
            for (_, mut chain) in take(&mut self.chains, |(of, _)| *of == table.table) {
                let of_chain =
                    |(of, name, _): &(TableRef, String, _)| *of == table.table && *name == chain.chain.name;
                for (.., mut rule) in take(&mut self.rules, of_chain) {
                    put_in_own_sets(&mut rule.rule, &mut own);
                    chain.rules.push(rule);
                }
                table.chains.push(chain);
            }
        }
        Ruleset { tables }
    }
}

/// Takes the items out that are wanted, in order.
fn take<T>(items: &mut Vec<T>, wanted: impl Fn(&T) -> bool) -> Vec<T> {
    let (taken, rest) = std::mem::take(items).into_iter().partition(|item| wanted(item));
    *items = rest;
    taken
}

/// Replaces the kernel's names of a rule's own sets with their elements. Each set belongs to one rule, and is taken.
fn put_in_own_sets(rule: &mut Rule, own: &mut Vec<ListedSet>) {
    for statement in &mut rule.statements {
        let Some(set) = set_ref(statement) else { continue };
        let SetRef::Named(name) = &*set else { continue };
        if let Some(index) = own.iter().position(|own| own.set.name == *name) {
            *set = SetRef::Inline(own.remove(index).elements);
        }
    }
}

fn set_ref(statement: &mut Statement) -> Option<&mut SetRef> {
    match statement {
        Statement::Match(of) => match &mut of.right {
            Right::Set(set) => Some(set),
            Right::Operand(_) => None,
        },
        Statement::Vmap { map, .. } | Statement::SetMark { source: MarkSource::Map { map, .. }, .. } => {
            Some(map)
        }
        Statement::Nat(nat) => match &mut nat.to {
            NatTarget::Map { map, .. } => Some(map),
            NatTarget::Constant { .. } => None,
        },
        _ => None,
    }
}

impl Display for ListedSet {
    /// As `nft list table` prints it, within its table.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        show_set(f, self)
    }
}

impl Display for Ruleset {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.tables.iter().try_for_each(|table| table.fmt(f))
    }
}

impl Display for Table {
    /// As `nft list table` prints it.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "table {} {{", self.table)?;
        if let Some(comment) = &self.comment {
            writeln!(f, "\tcomment \"{}\"", Shown(comment))?;
        }
        if self.dormant {
            writeln!(f, "\tflags dormant")?;
        }
        let mut between = if self.dormant { "\n" } else { "" };
        for set in &self.sets {
            f.write_str(between)?;
            show_set(f, set)?;
            between = "\n";
        }
        for chain in &self.chains {
            f.write_str(between)?;
            show_chain(f, &self.table, chain)?;
            between = "\n";
        }
        f.write_str("}\n")
    }
}

fn show_chain(f: &mut Formatter<'_>, table: &TableRef, listed: &ListedChain) -> fmt::Result {
    writeln!(f, "\tchain {} {{", Shown(&listed.chain.name))?;
    if let Some(comment) = &listed.chain.comment {
        writeln!(f, "\t\tcomment \"{}\"", Shown(comment))?;
    }
    if let Some(base) = &listed.chain.base {
        f.write_str("\t\t")?;
        show_base(f, table.family, base)?;
        f.write_char('\n')?;
    }
    for rule in &listed.rules {
        writeln!(f, "\t\t{}", rule.rule.listing(table.family))?;
    }
    f.write_str("\t}\n")
}

fn show_set(f: &mut Formatter<'_>, listed: &ListedSet) -> fmt::Result {
    let word = if listed.set.data.is_some() { "map" } else { "set" };
    writeln!(f, "\t{word} {} {{", Shown(&listed.set.name))?;
    for line in show_set_type(&listed.set) {
        writeln!(f, "\t\t{line}")?;
    }
    if !listed.elements.is_empty() {
        f.write_str("\t\telements = { ")?;
        let per_line = per_line(&listed.set.key);
        for (index, element) in listed.elements.iter().enumerate() {
            if index > 0 {
                f.write_str(if index % per_line == 0 { ",\n\t\t\t     " } else { ", " })?;
            }
            show_element(f, element, Detail::Listing)?;
        }
        f.write_str(" }\n")?;
    }
    f.write_str("\t}\n")
}

/// How many elements nft puts on a line. Source: `calculate_delim()` in nft's `src/expression.c`.
fn per_line(key: &[DataType]) -> usize {
    match key {
        [
            DataType::NfProto
            | DataType::ArpOp
            | DataType::InetProto
            | DataType::InetService
            | DataType::Mark
            | DataType::IfIndex
            | DataType::CtDir,
        ] => 5,
        [one] if one.id() == DataType::Byte.id() => 5,
        [DataType::Ipv4Addr | DataType::CtState | DataType::CtStatus | DataType::PktType] => 2,
        _ => 1,
    }
}
