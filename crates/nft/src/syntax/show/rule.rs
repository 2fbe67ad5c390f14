//! Rules as a whole.

use std::fmt::{self, Display, Formatter};

use super::statement::show_statement;
use super::{Detail, Shown};
use crate::syntax::{Family, Rule};

/// A rule as it is typed in a table of a family: some statements read differently in `inet`.
#[derive(Debug, Clone, Copy)]
pub struct RuleText<'a> {
    family: Family,
    rule: &'a Rule,
    detail: Detail,
}

impl Rule {
    /// The rule as a person would type it in a table of `family`.
    pub fn text(&self, family: Family) -> RuleText<'_> {
        RuleText { family, rule: self, detail: Detail::Command }
    }

    /// The rule as `nft list` prints it: counters show their values.
    pub fn listing(&self, family: Family) -> RuleText<'_> {
        RuleText { family, rule: self, detail: Detail::Listing }
    }
}

impl Display for RuleText<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (index, statement) in self.rule.statements.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { " " })?;
            show_statement(f, self.family, statement, self.detail)?;
        }
        match &self.rule.comment {
            Some(comment) => write!(f, " comment \"{}\"", Shown(comment)),
            None => Ok(()),
        }
    }
}
