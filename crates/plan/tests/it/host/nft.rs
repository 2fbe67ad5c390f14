//! The nftables ruleset: tables with their sets and chains; what is compared is text.

use std::collections::BTreeMap;

use pontoon_model::op::NftOp;
use pontoon_nft::syntax::{Command, ElementData, Elements, TableRef, Verdict};

use super::{Host, Refusal};

/// A table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Table {
    comment: Option<String>,
    /// Elements by their set: key and data.
    sets: BTreeMap<String, BTreeMap<String, String>>,
    /// Rules by their chain.
    chains: BTreeMap<String, Vec<String>>,
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
        set.into_iter().flatten().map(|(key, data)| (key.clone(), data.clone())).collect()
    }

    /// Somebody flushes the whole ruleset.
    pub(crate) fn flush_ruleset(&mut self) {
        self.tables.clear();
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
            tables.insert(key(table), Table { comment: comment.clone(), ..Table::default() });
        }
        Command::DestroyTable { table } => {
            tables.remove(&key(table));
        }
        Command::AddSet { table, set } => {
            find(tables, table)?.sets.entry(set.name.clone()).or_default();
        }
        Command::AddChain { table, chain } => {
            find(tables, table)?.chains.entry(chain.name.clone()).or_default();
        }
        Command::AddRule { table, chain, rule } => {
            let chains = &mut find(tables, table)?.chains;
            let rules = chains.get_mut(chain).ok_or_else(|| Refusal::Missing(chain.clone()))?;
            rules.push(rule.text(table.family).to_string());
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
        let set = table.sets.get_mut(&wanted.set).ok_or_else(|| Refusal::Missing(wanted.set.clone()))?;
        let (key, data) = (format!("{:?}", element.key), format!("{:?}", element.data));
        match set.get(&key) {
            Some(there) if *there != data => return Err(Refusal::Exists(key)),
            _ => set.insert(key, data),
        };
    }
    Ok(())
}

fn destroy_elements(tables: &mut Tables, wanted: &Elements) {
    let table = tables.get_mut(&key(&wanted.table));
    let Some(set) = table.and_then(|table| table.sets.get_mut(&wanted.set)) else { return };
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
