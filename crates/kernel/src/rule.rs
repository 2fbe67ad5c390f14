//! Policy-routing rules: add, delete, list.

use pontoon_netlink::rule::{Action, DumpRules, Rule};
use pontoon_netlink::wire::Batch;

use crate::error::{KernelError, Operation, Verb};
use crate::socket::{Requests, Socket};

impl Requests {
    /// Add a rule.
    pub fn add_rule(&mut self, rule: &Rule) -> usize {
        self.push(Operation::new(Verb::Create, "routing rule"), describe(rule), |batch| {
            rule.encode_add(batch)
        })
    }

    /// Delete the first rule that has all that `rule` says.
    pub fn delete_rule(&mut self, rule: &Rule) -> usize {
        self.push(Operation::new(Verb::Delete, "routing rule"), describe(rule), |batch| {
            rule.encode_delete(batch)
        })
    }
}

/// `100: from 10.0.0.0/8 table 7`.
fn describe(rule: &Rule) -> String {
    use std::fmt::Write as _;
    let mut text = rule.priority.map_or(String::new(), |priority| format!("{priority}: "));
    match rule.from {
        Some(from) => drop(write!(text, "from {from}")),
        None => text.push_str("from all"),
    }
    if let Some(to) = rule.to {
        let _ = write!(text, " to {to}");
    }
    if let Some(mark) = rule.mark {
        let _ = write!(text, " fwmark {:#x}/{:#x}", mark.value, mark.mask);
    }
    match rule.action {
        Action::Table(table) => drop(write!(text, " table {table}")),
        Action::Goto(priority) => drop(write!(text, " goto {priority}")),
        Action::Nop => text.push_str(" nop"),
        Action::Blackhole => text.push_str(" blackhole"),
        Action::Unreachable => text.push_str(" unreachable"),
        Action::Prohibit => text.push_str(" prohibit"),
        Action::Other(other) => drop(write!(text, " action {other}")),
    }
    text
}

/// Adds a rule.
///
/// # Errors
///
/// `EEXIST` where there is one like it.
pub fn add(socket: &mut Socket, rule: &Rule) -> Result<(), KernelError> {
    socket.run_one(|requests| requests.add_rule(rule)).map(drop)
}

/// Deletes the first rule that has all that `rule` says.
///
/// # Errors
///
/// `ENOENT` where there is none.
pub fn delete(socket: &mut Socket, rule: &Rule) -> Result<(), KernelError> {
    socket.run_one(|requests| requests.delete_rule(rule)).map(drop)
}

/// All rules, or those of a family.
///
/// # Errors
///
/// Those of [`Socket::dump`].
pub fn list(socket: &mut Socket, filter: &DumpRules) -> Result<Vec<Rule>, KernelError> {
    let mut batch = Batch::default();
    filter.encode(&mut batch);
    socket.dump("routing rules", &mut batch, |message| Rule::decode(message.payload))
}
