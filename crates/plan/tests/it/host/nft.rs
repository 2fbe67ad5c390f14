//! The nftables ruleset: tables with their sets and chains.

use std::collections::BTreeMap;

use pontoon_model::op::NftOp;
use pontoon_nft::ruleset::{ListedChain, ListedRule, ListedSet, Table as Listed};
use pontoon_nft::syntax::{Chain, Command, Element, ElementData, Elements, Rule, Set, TableRef, Verdict};

use super::{Host, Refusal};

/// A table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    comment: Option<String>,
    /// Sets with their elements by key.
    sets: BTreeMap<String, (Set, BTreeMap<String, Element>)>,
    /// Chains with their rules.
    chains: BTreeMap<String, (Chain, Vec<Rule>)>,
}

type Tables = BTreeMap<(String, String), Table>;

impl Host {
    /// All commands or none; for those that destroy, that there is nothing to destroy is as good.
    pub(super) fn nft(&mut self, op: &NftOp) -> Result<(), Refusal> {
        let mut tables = self.tables.clone();
        for command in &op.commands {
            carry_out(&mut tables, command)?;
        }
        self.tables = tables;
        Ok(())
    }

    /// The elements of a set of the default instance's: their keys and data.
    pub(crate) fn elements(&self, set: &str) -> Vec<(String, String)> {
        let table = self.tables.get(&("inet".to_owned(), "pontoon".to_owned()));
        let set = table.and_then(|table| table.sets.get(set));
        let elements = set.into_iter().flat_map(|(_, elements)| elements);
        elements.map(|(key, element)| (key.clone(), format!("{:?}", element.data))).collect()
    }

    /// Somebody flushes the whole ruleset.
    pub(crate) fn flush_ruleset(&mut self) {
        self.tables.clear();
    }

    /// A table as the kernel lists it.
    pub(crate) fn listed(&self, name: &TableRef) -> Option<Listed> {
        let table = self.tables.get(&key(name))?;
        let rule = |rule: &Rule| ListedRule { handle: 0, rule: rule.clone() };
        let chain = |(chain, rules): &(Chain, Vec<Rule>)| ListedChain {
            handle: 0,
            chain: chain.clone(),
            rules: rules.iter().map(rule).collect(),
        };
        let set = |(set, elements): &(Set, BTreeMap<String, Element>)| ListedSet {
            handle: 0,
            set: set.clone(),
            elements: elements.values().cloned().collect(),
        };
        Some(Listed {
            table: name.clone(),
            handle: 0,
            comment: table.comment.clone(),
            dormant: false,
            sets: table.sets.values().map(set).collect(),
            chains: table.chains.values().map(chain).collect(),
        })
    }

    /// Somebody takes something out of one of the tables: all of it, a chain's rules, or every so many elements.
    pub(crate) fn damage_rules(&mut self, which: usize, what: usize) {
        let names: Vec<_> = self.tables.keys().cloned().collect();
        if names.is_empty() {
            return;
        }
        let name = &names[which % names.len()];
        let Some(table) = self.tables.get_mut(name) else { return };
        match what % 4 {
            0 => drop(self.tables.remove(name)),
            1 => {
                let chains = table.chains.len();
                if let Some((_, rules)) = table.chains.values_mut().nth(what / 4 % chains) {
                    rules.pop();
                }
            }
            2 => {
                let sets = table.sets.len();
                if let Some((_, elements)) = table.sets.values_mut().nth(what / 4 % sets) {
                    elements.clear();
                }
            }
            _ => {
                for (_, elements) in table.sets.values_mut() {
                    if let Some(first) = elements.first_entry() {
                        let mut element = first.remove();
                        element.key.reverse();
                        elements.insert(format!("{:?}", element.key), element);
                    }
                }
            }
        }
    }
}

/// Whether an operation changes elements alone.
pub(super) fn is_of_elements(op: &NftOp) -> bool {
    let elements =
        |command: &Command| matches!(command, Command::AddElements(_) | Command::DestroyElements(_));
    op.commands.iter().all(elements)
}

fn carry_out(tables: &mut Tables, command: &Command) -> Result<(), Refusal> {
    match command {
        Command::CreateTable { table, comment } => {
            if tables.contains_key(&key(table)) {
                return Err(Refusal::Exists(table.to_string()));
            }
            let (sets, chains) = (BTreeMap::new(), BTreeMap::new());
            let made = Table { comment: comment.clone(), sets, chains };
            tables.insert(key(table), made);
        }
        Command::DestroyTable { table } => {
            tables.remove(&key(table));
        }
        Command::AddSet { table, set } => {
            let sets = &mut find(tables, table)?.sets;
            sets.entry(set.name.clone()).or_insert_with(|| (set.clone(), BTreeMap::new()));
        }
        Command::AddChain { table, chain } => {
            let chains = &mut find(tables, table)?.chains;
            chains.entry(chain.name.clone()).or_insert_with(|| (chain.clone(), Vec::new()));
        }
        Command::FlushChain { table, chain } => {
            let chain = find(tables, table)?.chains.get_mut(chain);
            chain.ok_or_else(|| Refusal::Missing(table.to_string()))?.1.clear();
        }
        Command::AddRule { table, chain, rule } => {
            let chains = &mut find(tables, table)?.chains;
            let (_, rules) = chains.get_mut(chain).ok_or_else(|| Refusal::Missing(chain.clone()))?;
            rules.push(rule.clone());
        }
        Command::AddElements(elements) => add_elements(tables, elements)?,
        Command::DestroyElements(elements) => destroy_elements(tables, elements),
        other => panic!("no plan has `{other}`"),
    }
    Ok(())
}

fn add_elements(tables: &mut Tables, wanted: &Elements) -> Result<(), Refusal> {
    let table = find(tables, &wanted.table)?;
    for element in &wanted.elements {
        if let Some(ElementData::Verdict(Verdict::Goto(chain) | Verdict::Jump(chain))) = &element.data
            && !table.chains.contains_key(chain)
        {
            return Err(Refusal::Missing(chain.clone()));
        }
        let (_, set) = table.sets.get_mut(&wanted.set).ok_or_else(|| Refusal::Missing(wanted.set.clone()))?;
        let key = format!("{:?}", element.key);
        match set.get(&key) {
            Some(there) if there.data != element.data => return Err(Refusal::Exists(key)),
            _ => set.insert(key, element.clone()),
        };
    }
    Ok(())
}

fn destroy_elements(tables: &mut Tables, wanted: &Elements) {
    let table = tables.get_mut(&key(&wanted.table));
    let Some((_, set)) = table.and_then(|table| table.sets.get_mut(&wanted.set)) else { return };
    for element in &wanted.elements {
        set.remove(&format!("{:?}", element.key));
    }
}

fn find<'a>(tables: &'a mut Tables, table: &TableRef) -> Result<&'a mut Table, Refusal> {
    tables.get_mut(&key(table)).ok_or_else(|| Refusal::Missing(table.to_string()))
}

fn key(table: &TableRef) -> (String, String) {
    (table.family.to_string(), table.name.clone())
}
