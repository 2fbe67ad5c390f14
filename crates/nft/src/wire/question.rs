//! Questions to the kernel.

use pontoon_netlink::wire::{Batch, Body, NLM_F_ACK, NLM_F_DUMP};

use super::attribute::{SUBSYSTEM, chain, element, msg, rule, set, table};
use super::element::write_one;
use crate::syntax::{Element, Family, TableRef};

/// Something to ask the kernel. Not part of a transaction; each is answered by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question<'a> {
    /// The generation id of the ruleset.
    Generation,
    /// One table. `ENOENT` if it is not there.
    Table(&'a TableRef),
    /// All tables, of a family or of all.
    Tables(Option<Family>),
    /// One chain of a table. `ENOENT` if it is not there.
    Chain(&'a TableRef, &'a str),
    /// All chains of a family's tables, or of all: the kernel does not choose by table.
    Chains(Option<Family>),
    /// All rules of a table.
    Rules(&'a TableRef),
    /// All rules of a chain.
    RulesOf(&'a TableRef, &'a str),
    /// All rules, of a family or of all.
    AllRules(Option<Family>),
    /// One set. `ENOENT` if it is not there.
    Set(&'a TableRef, &'a str),
    /// All sets of a table, rules' own sets included.
    Sets(&'a TableRef),
    /// All sets, of a family or of all.
    AllSets(Option<Family>),
    /// All elements of a set.
    Elements(&'a TableRef, &'a str),
    /// One element of a set that does not hold intervals. `ENOENT` if it is not there.
    Element(&'a TableRef, &'a str, &'a Element),
}

impl Question<'_> {
    /// Whether the answer is many messages and then `NLMSG_DONE`.
    ///
    /// The others are answered with one message and then an acknowledgement, or an error.
    pub fn is_dump(&self) -> bool {
        !matches!(
            self,
            Self::Generation | Self::Table(_) | Self::Chain(..) | Self::Set(..) | Self::Element(..)
        )
    }

    /// Appends the question to `batch`.
    pub fn write(&self, batch: &mut Batch) {
        let flags = if self.is_dump() { NLM_F_DUMP } else { NLM_F_ACK };
        batch.message(SUBSYSTEM << 8 | self.kind(), flags, |body| {
            body.raw(&[self.family().map_or(0, Family::number), 0, 0, 0]);
            self.write_attributes(body);
        });
    }

    /// The question as a batch of its own.
    pub fn to_batch(&self, seq: u32) -> Batch {
        let mut batch = Batch::new(seq);
        self.write(&mut batch);
        batch
    }

    fn kind(&self) -> u16 {
        match self {
            Self::Generation => msg::GETGEN,
            Self::Table(_) | Self::Tables(_) => msg::GETTABLE,
            Self::Chain(..) | Self::Chains(_) => msg::GETCHAIN,
            Self::Rules(_) | Self::RulesOf(..) | Self::AllRules(_) => msg::GETRULE,
            Self::Set(..) | Self::Sets(_) | Self::AllSets(_) => msg::GETSET,
            Self::Elements(..) | Self::Element(..) => msg::GETSETELEM,
        }
    }

    fn family(&self) -> Option<Family> {
        match self {
            Self::Generation => None,
            Self::Tables(family) | Self::Chains(family) | Self::AllRules(family) | Self::AllSets(family) => {
                *family
            }
            Self::Table(table)
            | Self::Chain(table, _)
            | Self::Rules(table)
            | Self::RulesOf(table, _)
            | Self::Set(table, _)
            | Self::Sets(table)
            | Self::Elements(table, _)
            | Self::Element(table, ..) => Some(table.family),
        }
    }

    fn write_attributes(&self, body: &mut Body<'_>) {
        match self {
            Self::Generation | Self::Tables(_) | Self::Chains(_) | Self::AllRules(_) | Self::AllSets(_) => {}
            Self::Table(of) => body.str(table::NAME, &of.name),
            Self::Chain(of, name) => {
                body.str(chain::TABLE, &of.name);
                body.str(chain::NAME, name);
            }
            Self::Rules(of) => body.str(rule::TABLE, &of.name),
            Self::RulesOf(of, name) => {
                body.str(rule::TABLE, &of.name);
                body.str(rule::CHAIN, name);
            }
            Self::Set(of, name) => {
                body.str(set::TABLE, &of.name);
                body.str(set::NAME, name);
            }
            Self::Sets(of) => body.str(set::TABLE, &of.name),
            Self::Elements(of, name) => {
                body.str(element::LIST_TABLE, &of.name);
                body.str(element::LIST_SET, name);
            }
            Self::Element(of, name, wanted) => {
                body.str(element::LIST_TABLE, &of.name);
                body.str(element::LIST_SET, name);
                body.nest(element::LIST_ELEMENTS, |body| write_one(body, wanted, false, false));
            }
        }
    }
}
