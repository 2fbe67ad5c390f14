//! Commands as one transaction.

use std::ops::Range;

use pontoon_netlink::wire::{Batch, Body, NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL};

use super::attribute::{
    BATCH_BEGIN, BATCH_END, BATCH_GENID, SUBSYSTEM, chain as chain_attribute, element as element_attribute,
    msg, rule as rule_attribute, set as set_attribute, table as table_attribute,
};
use super::element::write_one;
use super::expression::{OwnSets, write_list};
use super::{set as set_wire, user_data};
use crate::syntax::{Base, Chain, Command, Element, Elements, Family, Hook, Policy, Rule, Set, TableRef};
use crate::vm::{AnonymousSet, CompileError, check_comment, check_element_part, compile};

/// How a transaction is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Asks for an answer to each message. Without it, only errors are answered.
    pub acks: bool,
    /// Refuses the transaction (`ERESTART`) unless the ruleset is still the one with this generation id.
    pub generation: Option<u32>,
}

impl Default for Options {
    fn default() -> Self {
        Self { acks: true, generation: None }
    }
}

/// A command that cannot be told to the kernel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot encode `{command}`")]
pub struct EncodeError {
    /// The command, in nft's syntax.
    pub command: String,
    /// Its place among the commands.
    pub index: usize,
    /// What is wrong with it.
    #[source]
    pub source: Box<CompileError>,
}

/// A transaction: all of its commands take effect, or none.
#[derive(Debug, Clone)]
pub struct Transaction {
    batch: Batch,
    /// For each message between the batch's first and last, which command it belongs to.
    commands: Vec<usize>,
    acks: bool,
}

impl Transaction {
    /// The messages, to be sent in one system call.
    pub fn batch(&self) -> &Batch {
        &self.batch
    }

    /// The bytes of the messages.
    pub fn bytes(&self) -> &[u8] {
        self.batch.bytes()
    }

    /// How many answers a transaction without errors gets.
    pub fn acks(&self) -> usize {
        if self.acks { self.commands.len() } else { 0 }
    }

    /// The sequence numbers of the messages that belong to commands.
    ///
    /// An error about the whole batch carries the number before the first of them.
    pub fn sequence_numbers(&self) -> Range<u32> {
        let first = self.batch.first_seq().wrapping_add(1);
        first..first.wrapping_add(self.commands.len() as u32)
    }

    /// The place among the commands of the one that the answer with sequence number `seq` is about.
    pub fn command_of(&self, seq: u32) -> Option<usize> {
        let message = seq.wrapping_sub(self.batch.first_seq()).checked_sub(1)?;
        self.commands.get(message as usize).copied()
    }
}

/// Writes `commands` as one transaction whose first message has the sequence number `first_seq`, and asks for an answer
/// to each.
///
/// # Errors
///
/// [`EncodeError`] with the first command that cannot be told to the kernel.
pub fn encode(commands: &[Command], first_seq: u32) -> Result<Transaction, EncodeError> {
    encode_with(commands, first_seq, Options::default())
}

/// Like [`encode`], with a choice of how it is sent.
///
/// # Errors
///
/// [`EncodeError`] with the first command that cannot be told to the kernel.
pub fn encode_with(
    commands: &[Command],
    first_seq: u32,
    options: Options,
) -> Result<Transaction, EncodeError> {
    let mut writer = Writer {
        batch: Batch::new(first_seq),
        commands: Vec::new(),
        ack: if options.acks { NLM_F_ACK } else { 0 },
        next_set_id: 1,
    };
    writer.batch.message(BATCH_BEGIN, 0, |body| {
        body.raw(&[0, 0, 0, SUBSYSTEM as u8]);
        if let Some(generation) = options.generation {
            body.u32_be(BATCH_GENID, generation);
        }
    });
    for (index, command) in commands.iter().enumerate() {
        writer.command(index, command).map_err(|source| EncodeError {
            command: command.to_string(),
            index,
            source: Box::new(source),
        })?;
    }
    writer.batch.message(BATCH_END, 0, |body| body.raw(&[0, 0, 0, SUBSYSTEM as u8]));
    Ok(Transaction { batch: writer.batch, commands: writer.commands, acks: options.acks })
}

/// `NFT_TABLE_F_OWNER`
const OWNED: u32 = 2;

struct Writer {
    batch: Batch,
    commands: Vec<usize>,
    ack: u16,
    next_set_id: u32,
}

impl Writer {
    fn message(
        &mut self,
        index: usize,
        kind: u16,
        flags: u16,
        family: Family,
        body: impl FnOnce(&mut Body<'_>),
    ) {
        self.commands.push(index);
        self.batch.message(SUBSYSTEM << 8 | kind, flags | self.ack, |inner| {
            // `struct nfgenmsg`: family, version, resource id.
            inner.raw(&[family.number(), 0, 0, 0]);
            body(inner);
        });
    }

    fn command(&mut self, index: usize, command: &Command) -> Result<(), CompileError> {
        match command {
            Command::AddTable { table, comment } => {
                self.new_table(index, NLM_F_CREATE, table, 0, comment.as_deref())?
            }
            Command::CreateTable { table, comment } => {
                self.new_table(index, NLM_F_CREATE | NLM_F_EXCL, table, 0, comment.as_deref())?;
            }
            Command::CreateOwnedTable { table, comment } => {
                self.new_table(index, NLM_F_CREATE | NLM_F_EXCL, table, OWNED, comment.as_deref())?;
            }
            Command::DeleteTable { table } => self.named_table(index, msg::DELTABLE, table),
            Command::DestroyTable { table } => self.named_table(index, msg::DESTROYTABLE, table),
            Command::FlushTable { table } => self.delete_rules(index, table, None, None),
            Command::AddChain { table, chain } => self.new_chain(index, table, chain)?,
            Command::DeleteChain { table, chain } => self.named_chain(index, msg::DELCHAIN, table, chain),
            Command::DestroyChain { table, chain } => {
                self.named_chain(index, msg::DESTROYCHAIN, table, chain)
            }
            Command::FlushChain { table, chain } => self.delete_rules(index, table, Some(chain), None),
            Command::AddRule { table, chain, rule } => {
                self.new_rule(index, NLM_F_CREATE | NLM_F_APPEND, table, chain, rule)?;
            }
            Command::InsertRule { table, chain, rule } => {
                self.new_rule(index, NLM_F_CREATE, table, chain, rule)?
            }
            Command::DeleteRule { table, chain, handle } => {
                self.delete_rules(index, table, Some(chain), Some(*handle));
            }
            Command::AddSet { table, set } => self.new_set(index, table, set)?,
            Command::DeleteSet { table, set, .. } => {
                self.message(index, msg::DELSET, 0, table.family, |body| {
                    body.str(set_attribute::TABLE, &table.name);
                    body.str(set_attribute::NAME, set);
                })
            }
            Command::FlushSet { table, set, .. } => {
                self.message(index, msg::DELSETELEM, 0, table.family, |body| {
                    body.str(element_attribute::LIST_TABLE, &table.name);
                    body.str(element_attribute::LIST_SET, set);
                });
            }
            Command::AddElements(elements) => {
                self.elements(index, msg::NEWSETELEM, NLM_F_CREATE, elements)?
            }
            Command::CreateElements(elements) => {
                self.elements(index, msg::NEWSETELEM, NLM_F_CREATE | NLM_F_EXCL, elements)?;
            }
            Command::DeleteElements(elements) => self.elements(index, msg::DELSETELEM, 0, elements)?,
            Command::DestroyElements(elements) => self.elements(index, msg::DESTROYSETELEM, 0, elements)?,
        }
        Ok(())
    }

    fn new_table(
        &mut self,
        index: usize,
        flags: u16,
        table: &TableRef,
        table_flags: u32,
        comment: Option<&str>,
    ) -> Result<(), CompileError> {
        check_comment(comment)?;
        self.message(index, msg::NEWTABLE, flags, table.family, |body| {
            body.str(table_attribute::NAME, &table.name);
            body.u32_be(table_attribute::FLAGS, table_flags);
            if let Some(comment) = comment {
                body.attr(table_attribute::USERDATA, &user_data::comment(comment));
            }
        });
        Ok(())
    }

    fn named_table(&mut self, index: usize, kind: u16, table: &TableRef) {
        self.message(index, kind, 0, table.family, |body| body.str(table_attribute::NAME, &table.name));
    }

    fn new_chain(&mut self, index: usize, table: &TableRef, chain: &Chain) -> Result<(), CompileError> {
        check_comment(chain.comment.as_deref())?;
        self.message(index, msg::NEWCHAIN, NLM_F_CREATE, table.family, |body| {
            body.str(chain_attribute::TABLE, &table.name);
            body.str(chain_attribute::NAME, &chain.name);
            if let Some(base) = &chain.base {
                write_base(body, table.family, base);
            }
            if let Some(comment) = &chain.comment {
                body.attr(chain_attribute::USERDATA, &user_data::comment(comment));
            }
        });
        Ok(())
    }

    fn named_chain(&mut self, index: usize, kind: u16, table: &TableRef, chain: &str) {
        self.message(index, kind, 0, table.family, |body| {
            body.str(chain_attribute::TABLE, &table.name);
            body.str(chain_attribute::NAME, chain);
        });
    }

    fn new_rule(
        &mut self,
        index: usize,
        flags: u16,
        table: &TableRef,
        chain: &str,
        rule: &Rule,
    ) -> Result<(), CompileError> {
        check_comment(rule.comment.as_deref())?;
        let program = compile(table.family, rule)?;
        let names: Vec<_> = program.sets.iter().map(|set| self.own_set(index, table, set)).collect();
        self.message(index, msg::NEWRULE, flags, table.family, |body| {
            body.str(rule_attribute::TABLE, &table.name);
            body.str(rule_attribute::CHAIN, chain);
            write_list(body, rule_attribute::EXPRESSIONS, &program.insns, &OwnSets { names: &names });
            if let Some(comment) = &rule.comment {
                body.attr(rule_attribute::USERDATA, &user_data::comment(comment));
            }
        });
        Ok(())
    }

    /// Makes a rule's own set, which the kernel names by a template and the transaction by an id.
    fn own_set(&mut self, index: usize, table: &TableRef, own: &AnonymousSet) -> (&'static str, u32) {
        let template = if own.set.data.is_some() { "__map%d" } else { "__set%d" };
        let set = Set { name: template.to_owned(), size: Some(own.elements.len() as u32), ..own.set.clone() };
        // The kernel counts both ends of an interval; without a size it takes as many as there are.
        let set = if set.interval { Set { size: None, ..set } } else { set };
        let id = self.write_set(index, table, &set, set_attribute::ANONYMOUS);
        self.write_elements(
            index,
            msg::NEWSETELEM,
            NLM_F_CREATE,
            table,
            (template, Some(id)),
            set.interval,
            &own.elements,
        );
        (template, id)
    }

    fn delete_rules(&mut self, index: usize, table: &TableRef, chain: Option<&str>, handle: Option<u64>) {
        self.message(index, msg::DELRULE, 0, table.family, |body| {
            body.str(rule_attribute::TABLE, &table.name);
            if let Some(chain) = chain {
                body.str(rule_attribute::CHAIN, chain);
            }
            if let Some(handle) = handle {
                body.u64_be(rule_attribute::HANDLE, handle);
            }
        });
    }

    fn new_set(&mut self, index: usize, table: &TableRef, set: &Set) -> Result<(), CompileError> {
        check_comment(set.comment.as_deref())?;
        set_wire::check(set)?;
        self.write_set(index, table, set, 0);
        Ok(())
    }

    fn write_set(&mut self, index: usize, table: &TableRef, set: &Set, flags: u32) -> u32 {
        let id = self.next_set_id;
        self.next_set_id += 1;
        self.message(index, msg::NEWSET, NLM_F_CREATE, table.family, |body| {
            body.str(set_attribute::TABLE, &table.name);
            body.str(set_attribute::NAME, &set.name);
            body.u32_be(set_attribute::ID, id);
            set_wire::write(body, set, flags);
        });
        id
    }

    fn elements(&mut self, index: usize, kind: u16, flags: u16, of: &Elements) -> Result<(), CompileError> {
        for element in &of.elements {
            check_comment(element.comment.as_deref())?;
            element.key.iter().try_for_each(check_element_part)?;
        }
        self.write_elements(index, kind, flags, &of.table, (&of.set, None), of.interval, &of.elements);
        Ok(())
    }

    /// As many messages as it takes: the elements of one must fit into an attribute.
    #[expect(clippy::too_many_arguments, reason = "each is one attribute of the message")]
    fn write_elements(
        &mut self,
        index: usize,
        kind: u16,
        flags: u16,
        table: &TableRef,
        (set, id): (&str, Option<u32>),
        interval: bool,
        elements: &[Element],
    ) {
        /// An element takes up to about 1 KiB (key, last key, data, comment, end); an attribute holds 64 KiB.
        const PER_MESSAGE: usize = 48;
        for part in elements.chunks(PER_MESSAGE) {
            self.message(index, kind, flags, table.family, |body| {
                body.str(element_attribute::LIST_TABLE, &table.name);
                body.str(element_attribute::LIST_SET, set);
                if let Some(id) = id {
                    body.u32_be(element_attribute::LIST_SET_ID, id);
                }
                body.nest(element_attribute::LIST_ELEMENTS, |body| {
                    for element in part {
                        write_one(body, element, interval, kind == msg::NEWSETELEM);
                    }
                });
            });
        }
    }
}

/// Source: `enum nf_inet_hooks`, `enum nf_dev_hooks`, `include/uapi/linux/netfilter_arp.h`.
pub(super) fn hook_number(family: Family, hook: Hook) -> u32 {
    match (family, hook) {
        (Family::Netdev, Hook::Egress) => 1,
        (Family::Netdev, _) => 0,
        (Family::Arp, Hook::Input) => 0,
        (Family::Arp, Hook::Output) => 1,
        (_, Hook::Prerouting) => 0,
        (_, Hook::Input) => 1,
        (_, Hook::Forward) => 2,
        (_, Hook::Output) => 3,
        (_, Hook::Postrouting) => 4,
        (_, Hook::Ingress | Hook::Egress) => 5,
    }
}

fn write_base(body: &mut Body<'_>, family: Family, base: &Base) {
    body.nest(chain_attribute::HOOK, |body| {
        body.u32_be(chain_attribute::HOOK_NUMBER, hook_number(family, base.hook));
        body.u32_be(chain_attribute::HOOK_PRIORITY, base.priority as u32);
        if let Some(device) = &base.device {
            body.str(chain_attribute::HOOK_DEVICE, device);
        }
    });
    body.u32_be(
        chain_attribute::POLICY,
        match base.policy {
            Policy::Drop => 0,
            Policy::Accept => 1,
        },
    );
    body.str(chain_attribute::TYPE, &base.kind.to_string());
}
