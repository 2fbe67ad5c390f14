//! Commands: what one transaction consists of.

use serde::{Deserialize, Serialize};

use super::object::{Chain, Element, Rule, Set, TableRef};

/// One change of the ruleset.
///
/// `add` is content with what is there already, `create` is not; `delete` wants the object to be there,
/// `destroy` does not (Linux 6.3 and later).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Makes a table if it is not there.
    AddTable {
        /// Which.
        table: TableRef,
        /// A remark, for a new table.
        comment: Option<String>,
    },
    /// Makes a table. `EEXIST` if it is there.
    CreateTable {
        /// Which.
        table: TableRef,
        /// A remark.
        comment: Option<String>,
    },
    /// Makes a table that belongs to the socket that asks for it: nobody else may change it, a flush of the ruleset leaves
    /// it alone, and the kernel removes it when the socket is closed (Linux 5.12 and later). `EEXIST` if it is there.
    CreateOwnedTable {
        /// Which.
        table: TableRef,
        /// A remark.
        comment: Option<String>,
    },
    /// Removes a table and all that is in it. `ENOENT` if it is not there.
    DeleteTable {
        /// Which.
        table: TableRef,
    },
    /// Removes a table and all that is in it, if it is there.
    DestroyTable {
        /// Which.
        table: TableRef,
    },
    /// Removes all rules of a table's chains.
    FlushTable {
        /// Which.
        table: TableRef,
    },
    /// Makes a chain if it is not there, or changes its policy.
    AddChain {
        /// In which table.
        table: TableRef,
        /// The chain.
        chain: Chain,
    },
    /// Removes a chain that nothing refers to.
    DeleteChain {
        /// In which table.
        table: TableRef,
        /// Its name.
        chain: String,
    },
    /// Removes a chain that nothing refers to, if it is there.
    DestroyChain {
        /// In which table.
        table: TableRef,
        /// Its name.
        chain: String,
    },
    /// Removes all rules of a chain.
    FlushChain {
        /// In which table.
        table: TableRef,
        /// Its name.
        chain: String,
    },
    /// Adds a rule at the end of a chain.
    AddRule {
        /// In which table.
        table: TableRef,
        /// In which chain.
        chain: String,
        /// The rule.
        rule: Rule,
    },
    /// Adds a rule at the beginning of a chain.
    InsertRule {
        /// In which table.
        table: TableRef,
        /// In which chain.
        chain: String,
        /// The rule.
        rule: Rule,
    },
    /// Removes a rule by the number that the kernel gave it.
    DeleteRule {
        /// In which table.
        table: TableRef,
        /// In which chain.
        chain: String,
        /// Its number.
        handle: u64,
    },
    /// Makes a set or map if it is not there.
    AddSet {
        /// In which table.
        table: TableRef,
        /// The set.
        set: Set,
    },
    /// Removes a set that no rule uses.
    DeleteSet {
        /// In which table.
        table: TableRef,
        /// Its name.
        set: String,
        /// Whether it is a map, which only matters for how the command reads.
        map: bool,
    },
    /// Removes all elements of a set.
    FlushSet {
        /// In which table.
        table: TableRef,
        /// Its name.
        set: String,
        /// Whether it is a map, which only matters for how the command reads.
        map: bool,
    },
    /// Adds elements; those that are there with the same data are left as they are.
    AddElements(Elements),
    /// Adds elements. `EEXIST` if one is there.
    CreateElements(Elements),
    /// Removes elements. `ENOENT` if one is not there.
    DeleteElements(Elements),
    /// Removes those of the elements that are there.
    DestroyElements(Elements),
}

/// Elements of a set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Elements {
    /// In which table.
    pub table: TableRef,
    /// Of which set.
    pub set: String,
    /// Whether the set was made with `flags interval`: the kernel has its elements in another form.
    pub interval: bool,
    /// The elements. Data is not looked at when they are removed.
    pub elements: Vec<Element>,
}

impl Elements {
    /// Elements of the set `set`, which is not an interval set.
    pub fn new(table: TableRef, set: impl Into<String>, elements: impl Into<Vec<Element>>) -> Self {
        Self { table, set: set.into(), interval: false, elements: elements.into() }
    }

    /// Elements of the interval set `set`.
    pub fn of_intervals(table: TableRef, set: impl Into<String>, elements: impl Into<Vec<Element>>) -> Self {
        Self { interval: true, ..Self::new(table, set, elements) }
    }
}
