//! nftables: transactions, and what is there.
//!
//! Source: `net/netfilter/nfnetlink.c`, `net/netfilter/nf_tables_api.c` in the kernel.

use std::fmt;

use pontoon_model::Diagnose;
use pontoon_netlink::wire::{Ack, Batch, Message};
use pontoon_nft::ruleset::{Ruleset, Table};
use pontoon_nft::syntax::{
    Base, Chain, ChainKind, Command, CounterValue, Element, Family, Hook, Policy, TableRef,
};
use pontoon_nft::wire::{Answer, EncodeError, Options, Question, SetEntry, Transaction, encode_with};
use rustix::io::Errno;

use crate::error::{Cause, KernelError, Operation, Verb};
use crate::socket::Socket;

/// How often a ruleset that changes while it is read is read again.
const ATTEMPTS: u32 = 16;

/// A transaction that did not take effect: no part of it did.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// A command cannot be told to the kernel.
    #[error("nftables transaction not sent")]
    Encode(#[from] EncodeError),
    /// The kernel refused it.
    #[error("{}", Listed(.0))]
    Refused(Vec<RefusedCommand>),
    /// The exchange failed.
    #[error(transparent)]
    Kernel(#[from] KernelError),
}

/// A command that the kernel refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedCommand {
    /// Its place in the transaction; `None` where the kernel refused the transaction as a whole.
    pub index: Option<usize>,
    /// Why, with the command.
    pub error: KernelError,
}

struct Listed<'a>(&'a [RefusedCommand]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for refused in self.0 {
            write!(f, "{separator}{}", refused.error)?;
            separator = "; ";
        }
        Ok(())
    }
}

impl Diagnose for ApplyError {
    fn code(&self) -> &'static str {
        match self {
            Self::Encode(_) => "nft-not-encodable",
            Self::Refused(refused) => refused.first().map_or("kernel-refused", |first| first.error.code()),
            Self::Kernel(error) => error.code(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Encode(_) => None,
            Self::Refused(refused) => refused.iter().find_map(|refused| refused.error.hint()),
            Self::Kernel(error) => error.hint(),
        }
    }
}

impl ApplyError {
    /// Whether something that the transaction names was not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused(refused) if refused.iter().all(|refused| refused.error.is_not_found()))
    }

    /// Whether something that the transaction was to create was there already.
    pub fn is_exists(&self) -> bool {
        matches!(self, Self::Refused(refused) if refused.iter().all(|refused| refused.error.is_exists()))
    }

    /// Whether the ruleset was not of the generation that [`apply_at`] was given.
    pub fn is_stale(&self) -> bool {
        // `ERESTART`, which programs otherwise never see and rustix does not name.
        const ERESTART: i32 = 85;
        let stale =
            |refused: &RefusedCommand| refused.error.errno() == Some(Errno::from_raw_os_error(ERESTART));
        matches!(self, Self::Refused(refused) if refused.iter().any(stale))
    }
}

/// Carries out `commands` as one transaction: all of them, or none.
///
/// # Errors
///
/// Every command that the kernel refused, with its place: `ENOENT` where something that it names is not there,
/// `EEXIST` where something is. `EMSGSIZE` for a transaction that is longer than the send buffer may be (an
/// unprivileged socket's is `net.core.wmem_max`).
pub fn apply(socket: &mut Socket, commands: &[Command]) -> Result<(), ApplyError> {
    apply_with(socket, commands, None)
}

/// Like [`apply`], if the ruleset is still of `generation`.
///
/// # Errors
///
/// [`ApplyError::is_stale`] where it is not; those of [`apply`].
pub fn apply_at(socket: &mut Socket, commands: &[Command], generation: u32) -> Result<(), ApplyError> {
    apply_with(socket, commands, Some(generation))
}

fn apply_with(socket: &mut Socket, commands: &[Command], generation: Option<u32>) -> Result<(), ApplyError> {
    if commands.is_empty() {
        return Ok(());
    }
    // The kernel answers refusals without being asked, and success is that there are none.
    let transaction = encode_with(commands, socket.next_seq(), Options { acks: false, generation })?;
    let refused = socket.transaction(transaction.batch()).map_err(|cause| {
        let operation = Operation::new(Verb::Send, "nftables transaction");
        socket.place(KernelError::new(operation, format!("of {} commands", commands.len()), cause))
    })?;
    if refused.is_empty() {
        return Ok(());
    }
    let refused = refused.iter().map(|ack| refused_command(socket, commands, &transaction, ack));
    Err(ApplyError::Refused(refused.collect()))
}

/// Says which command an answer refuses.
fn refused_command(
    socket: &Socket,
    commands: &[Command],
    transaction: &Transaction,
    ack: &Ack,
) -> RefusedCommand {
    let index = transaction.command_of(ack.seq);
    let object = index
        .and_then(|index| commands.get(index))
        .map_or_else(|| format!("of {} commands", commands.len()), |command| format!("with `{command}`"));
    let operation = Operation::new(Verb::Commit, "nftables transaction");
    RefusedCommand { index, error: socket.place(KernelError::new(operation, object, Cause::from_ack(ack))) }
}

/// One table; `None` where it is not there.
///
/// # Errors
///
/// The kernel's refusal, and those of [`Socket::request`].
pub fn table(socket: &mut Socket, table: &TableRef) -> Result<Option<Answer>, KernelError> {
    ask(socket, "nftables table", &table.name, &Question::Table(table))
}

/// Whether a table is there.
///
/// # Errors
///
/// Those of [`table`].
pub fn table_exists(socket: &mut Socket, name: &TableRef) -> Result<bool, KernelError> {
    Ok(table(socket, name)?.is_some())
}

/// Whether the kernel has nftables for bridges (`CONFIG_NF_TABLES_BRIDGE`): tries a chain in `table`, which must not be
/// there, and takes it away in the same transaction.
///
/// # Errors
///
/// Those of [`apply`], but for what the kernel says to a chain of a type that it does not have: `ENOENT`
/// (`nft_chain_parse_hook()` in net/netfilter/nf_tables_api.c), or `EOPNOTSUPP`.
pub fn can_filter_bridges(socket: &mut Socket, table: &TableRef) -> Result<bool, ApplyError> {
    let base = Base {
        kind: ChainKind::Filter,
        hook: Hook::Prerouting,
        priority: 0,
        policy: Policy::Accept,
        device: None,
    };
    let chain = Chain { name: "probe".to_owned(), base: Some(base), comment: None };
    let commands = [
        Command::CreateTable { table: table.clone(), comment: None },
        Command::AddChain { table: table.clone(), chain },
        Command::DeleteTable { table: table.clone() },
    ];
    let missing = |refused: &RefusedCommand| {
        refused.error.is_not_found() || refused.error.errno() == Some(Errno::OPNOTSUPP)
    };
    match apply(socket, &commands) {
        Err(ApplyError::Refused(refused)) if refused.iter().all(missing) => Ok(false),
        done => done.map(|()| true),
    }
}

/// Whether a set without intervals has an element.
///
/// # Errors
///
/// The kernel's refusal, and those of [`Socket::request`]. A set that is not there has no elements.
pub fn has_element(
    socket: &mut Socket,
    table: &TableRef,
    set: &str,
    element: &Element,
) -> Result<bool, KernelError> {
    let found = ask(socket, "nftables element of set", set, &Question::Element(table, set, element))?;
    Ok(found.is_some())
}

/// What an element of a set without intervals has counted; `None` where it is not there or does not count.
///
/// # Errors
///
/// Those of [`has_element`].
pub fn counter(
    socket: &mut Socket,
    table: &TableRef,
    set: &str,
    element: &Element,
) -> Result<Option<CounterValue>, KernelError> {
    match ask(socket, "nftables element of set", set, &Question::Element(table, set, element))? {
        Some(Answer::Elements(found)) => Ok(found.elements.first().and_then(|one| one.counter)),
        _ => Ok(None),
    }
}

/// The ruleset's generation: a number that every transaction raises by one.
///
/// # Errors
///
/// The kernel's refusal, and those of [`Socket::request`].
pub fn generation(socket: &mut Socket) -> Result<u32, KernelError> {
    match ask(socket, "nftables", "generation", &Question::Generation)? {
        Some(Answer::Generation(generation)) => Ok(generation),
        _ => {
            let operation = Operation::new(Verb::Read, "nftables");
            Err(socket.place(KernelError::new(operation, "generation", Cause::Malformed)))
        }
    }
}

/// Asks for one object; `None` for `ENOENT`.
fn ask(
    socket: &mut Socket,
    kind: &'static str,
    object: &str,
    question: &Question<'_>,
) -> Result<Option<Answer>, KernelError> {
    let answer = socket.run_one(|requests| {
        requests.push(Operation::new(Verb::Read, kind), object, |batch| question.write(batch))
    });
    match answer {
        Ok(answer) => Ok(answer.messages.iter().find_map(|message| {
            // The decoder wants a message as it comes; the sequence number does not matter to it.
            Answer::read(&Message {
                kind: message.kind,
                flags: message.flags,
                seq: 0,
                payload: &message.payload,
            })
        })),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Everything there is, of all tables or of those of a family, as of one moment.
///
/// # Errors
///
/// The kernel's refusal; `Changing` where the ruleset changed during each of 16 attempts; those of [`Socket::dump`].
pub fn ruleset(socket: &mut Socket, family: Option<Family>) -> Result<Ruleset, KernelError> {
    let lists = [
        Question::Tables(family),
        Question::Chains(family),
        Question::AllRules(family),
        Question::AllSets(family),
    ];
    at_one_moment(socket, |socket| answers(socket, &lists)).map(Ruleset::from_answers)
}

/// All tables but `own`, with what is in them. What changes meanwhile may be there or not: a table of hundreds of
/// containers changes all the time.
///
/// # Errors
///
/// The kernel's refusal; those of [`Socket::dump`].
pub fn others(socket: &mut Socket, own: &[TableRef]) -> Result<Ruleset, KernelError> {
    let mut tables = dump(socket, &Question::Tables(None))?;
    tables.retain(|answer| matches!(answer, Answer::Table(found) if !own.contains(&found.table)));
    let mut all = dump(socket, &Question::Chains(None))?;
    for answer in tables {
        if let Answer::Table(found) = &answer {
            match answers(socket, &[Question::Rules(&found.table), Question::Sets(&found.table)]) {
                Ok(inside) => all.extend(inside),
                Err(error) if error.is_not_found() => continue,
                Err(error) => return Err(error),
            }
        }
        all.push(answer);
    }
    Ok(Ruleset::from_answers(all))
}

/// One table with all that is in it; `None` where it is not there.
///
/// # Errors
///
/// Those of [`ruleset`].
pub fn list_table(socket: &mut Socket, name: &TableRef) -> Result<Option<Table>, KernelError> {
    let lists = [Question::Chains(Some(name.family)), Question::Rules(name), Question::Sets(name)];
    let all = at_one_moment(socket, |socket| {
        let Some(table) = table(socket, name)? else { return Ok(Vec::new()) };
        let mut all = vec![table];
        all.extend(answers(socket, &lists)?);
        Ok(all)
    })?;
    Ok(Ruleset::from_answers(all).tables.into_iter().find(|table| table.table == *name))
}

/// How many rules there are in these chains of a table; none where they are not there.
///
/// # Errors
///
/// The kernel's refusal; those of [`Socket::dump`].
pub fn count_rules(socket: &mut Socket, table: &TableRef, chains: &[&str]) -> Result<usize, KernelError> {
    let rules = at_one_moment(socket, |socket| dump(socket, &Question::Rules(table)))?;
    let counts =
        |answer: &&Answer| matches!(answer, Answer::Rule(rule) if chains.contains(&rule.chain.as_str()));
    Ok(rules.iter().filter(counts).count())
}

/// Reads until nothing has changed meanwhile.
fn at_one_moment(
    socket: &mut Socket,
    mut read: impl FnMut(&mut Socket) -> Result<Vec<Answer>, KernelError>,
) -> Result<Vec<Answer>, KernelError> {
    let mut before = generation(socket)?;
    for _ in 0..ATTEMPTS {
        let found = read(socket);
        let after = generation(socket)?;
        if before == after {
            return found;
        }
        before = after;
    }
    let operation = Operation::new(Verb::Read, "nftables");
    Err(socket.place(KernelError::new(operation, "ruleset", Cause::Changing { attempts: ATTEMPTS })))
}

/// The answers to `lists`, and the elements of every set among them.
fn answers(socket: &mut Socket, lists: &[Question<'_>]) -> Result<Vec<Answer>, KernelError> {
    let mut all = Vec::new();
    for list in lists {
        all.extend(dump(socket, list)?);
    }
    let sets: Vec<SetEntry> = all
        .iter()
        .filter_map(|answer| match answer {
            Answer::Set(set) => Some(set.clone()),
            _ => None,
        })
        .collect();
    for set in &sets {
        all.extend(dump(socket, &Question::Elements(&set.table, &set.set.name))?);
    }
    Ok(all)
}

fn dump(socket: &mut Socket, question: &Question<'_>) -> Result<Vec<Answer>, KernelError> {
    let mut batch = Batch::default();
    question.write(&mut batch);
    socket.dump("nftables objects", &mut batch, Answer::read)
}
