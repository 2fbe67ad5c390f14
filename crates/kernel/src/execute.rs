//! Carrying out plans: operations become requests, requests of one namespace go out together.
//!
//! An executor keeps a socket in every namespace that it works in. Requests are gathered until an operation needs
//! something that only their answers tell (a new link's index), is for another namespace, or is not a netlink
//! request; so an attach is four round trips.

mod guest;
mod impair;
mod link;
mod net;

pub use impair::{foreign, is_ours};
pub use link::carries;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::time::Duration;

use pontoon_model::op::{
    ConntrackOp, FileOp, LinkOp, NeighbourOp, Netns as Where, NetnsOp, NetnsPlace, NftOp, Op, SysctlOp,
};
use pontoon_model::sandbox::NetnsId;
use pontoon_model::{Diagnose, Mac, Step};
use pontoon_netlink::link::LinkIndex;
use pontoon_nft::syntax::Command;

use crate::announce;
use crate::conntrack;
use crate::error::KernelError;
use crate::file::{self, FileError};
use crate::link as links;
use crate::netns::{self, Netns, NetnsError};
use crate::nftables::{self, ApplyError};
use crate::socket::{Answer, Protocol, Requests, Socket};
use crate::sysctl::{Sysctl, SysctlError};

/// Why an operation could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// A netlink request was refused.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// An nftables transaction was refused.
    #[error(transparent)]
    Nft(#[from] ApplyError),
    /// A namespace could not be opened, entered or pinned.
    #[error(transparent)]
    Netns(#[from] NetnsError),
    /// A kernel setting could not be written.
    #[error(transparent)]
    Sysctl(#[from] SysctlError),
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The namespace that a step is for is not there any more.
    #[error("the network namespace {0} is gone")]
    Gone(String),
    /// A link that a step needs is not there.
    #[error("there is no link `{0}`")]
    NoLink(String),
    /// Somebody else has put a queueing discipline at a link.
    #[error("`{link}` has a queueing discipline of somebody else's: {kind} {handle:x}:")]
    ForeignQdisc {
        /// The link.
        link: String,
        /// Its kind.
        kind: String,
        /// Its number.
        handle: u16,
    },
    /// The kernel was built without something.
    #[error("this kernel cannot {what}: it has no {module}")]
    Lacking {
        /// What it is for.
        what: &'static str,
        /// The module's name, or that of the option that it was built without.
        module: &'static str,
    },
}

impl Diagnose for Refusal {
    fn code(&self) -> &'static str {
        match self {
            Self::Kernel(error) => error.code(),
            Self::Nft(error) => error.code(),
            Self::Netns(error) => error.code(),
            Self::Sysctl(error) => error.code(),
            Self::File(error) => error.code(),
            Self::Gone(_) => "namespace-gone",
            Self::NoLink(_) => "link-gone",
            Self::ForeignQdisc { .. } => "foreign-qdisc",
            Self::Lacking { .. } => "kernel-lacks-module",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Kernel(error) => error.hint(),
            Self::Nft(error) => error.hint(),
            Self::Netns(error) => error.hint(),
            Self::Sysctl(error) => error.hint(),
            Self::File(error) => error.hint(),
            Self::Gone(_) => {
                Some("the container may have ended; `pontoon network prune` forgets what is left".into())
            }
            Self::NoLink(_) => {
                Some("somebody deleted it: `pontoon network rm` the network and create it again".into())
            }
            Self::ForeignQdisc { link, .. } => Some(format!(
                "whoever put it there may want it: `tc qdisc delete dev {link} root` takes it away"
            )),
            Self::Lacking { module, .. } if module.starts_with("CONFIG") => {
                Some(format!("it takes a kernel that was built with {module}, Linux 5.16 or later"))
            }
            Self::Lacking { module, .. } => {
                Some(format!("`modprobe {module}` loads it, where the kernel was built with it"))
            }
        }
    }
}

/// A step that failed.
#[derive(Debug, thiserror::Error)]
#[error("could not finish: {why}")]
pub struct ExecuteError {
    /// Its place in the plan.
    pub step: usize,
    /// What it was for.
    pub why: String,
    /// What went wrong.
    #[source]
    pub source: Box<Refusal>,
}

impl Diagnose for ExecuteError {
    fn code(&self) -> &'static str {
        self.source.code()
    }

    fn hint(&self) -> Option<String> {
        self.source.hint()
    }
}

/// A namespace that is worked in: its file and a socket inside.
#[derive(Debug)]
struct Inside {
    netns: Netns,
    socket: Socket,
    /// The socket for nftables there, once it was needed.
    nft: Option<Socket>,
    /// Whether it was found by its place, and can be found again.
    found: bool,
}

/// How many namespaces that were found are held at a time: each takes two descriptors, of which a process has 1,024 unless
/// it asks for more.
const HELD: usize = 128;

/// Something that is called before each step, by its number: tests stop there.
pub type BeforeStep = Box<dyn FnMut(usize)>;

/// Carries out plans. Keeps its sockets from one plan to the next.
pub struct Executor {
    host: Socket,
    nft: Option<Socket>,
    inside: BTreeMap<NetnsId, Inside>,
    /// Indexes learned in the course of one plan.
    indexes: BTreeMap<(Option<NetnsId>, String), LinkIndex>,
    before_step: Option<BeforeStep>,
    /// How many transactions of nf_tables were made.
    commits: u32,
}

impl std::fmt::Debug for Executor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Executor").field("inside", &self.inside.keys()).finish_non_exhaustive()
    }
}

/// Requests that wait to be sent, and which step each is for.
#[derive(Default)]
struct Pending {
    place: Option<Where>,
    requests: Requests,
    /// For each request: its step, and what its answer is for.
    purposes: Vec<(usize, Purpose)>,
}

/// What becomes of an answer.
#[derive(Debug, Clone)]
enum Purpose {
    /// It must be success.
    Must,
    /// An object that is not there is not missed.
    MayBeAbsent,
    /// One that is there is left as it is.
    MayBeThere,
    /// It tells the index of a veth's two ends.
    Veth { first: (Option<NetnsId>, String), second: (Option<NetnsId>, String) },
}

impl Executor {
    /// An executor for the namespace of the calling thread.
    ///
    /// # Errors
    ///
    /// Where the kernel gives no netlink socket.
    pub fn open() -> Result<Self, KernelError> {
        let host = Socket::open(Protocol::Route)?;
        let (inside, indexes) = (BTreeMap::new(), BTreeMap::new());
        Ok(Self { host, nft: None, inside, indexes, before_step: None, commits: 0 })
    }

    /// Has `hook` called before each step, which is then carried out and answered before the next begins.
    pub fn before_each_step(&mut self, hook: BeforeStep) {
        self.before_step = Some(hook);
    }

    /// The socket in the host's namespace.
    pub fn host(&mut self) -> &mut Socket {
        &mut self.host
    }

    /// Makes a namespace that is open already known, so that plans may name it.
    ///
    /// # Errors
    ///
    /// Where the namespace cannot be entered, or gives no socket.
    pub fn adopt(&mut self, netns: Netns) -> Result<(), Refusal> {
        if self.inside.contains_key(&netns.id()) {
            return Ok(());
        }
        let socket = netns.enter(|| Socket::open(Protocol::Route))??;
        self.inside.insert(netns.id(), Inside { netns, socket, nft: None, found: false });
        Ok(())
    }

    /// Makes a namespace known that can be found again, and lets go of another such one when there are many.
    fn adopt_found(&mut self, netns: Netns) -> Result<(), Refusal> {
        let id = netns.id();
        self.adopt(netns)?;
        if let Some(inside) = self.inside.get_mut(&id) {
            inside.found = true;
        }
        if self.inside.len() > HELD {
            let other = self.inside.iter().find(|(other, inside)| inside.found && **other != id);
            let other = other.map(|(other, _)| *other);
            other.into_iter().for_each(|other| self.release(other));
        }
        Ok(())
    }

    /// Lets go of a namespace, which would otherwise be kept alive.
    pub fn release(&mut self, id: NetnsId) {
        self.inside.remove(&id);
    }

    /// Whether the namespace at this place is still the same one; opens it if so.
    ///
    /// # Errors
    ///
    /// Where it is there and cannot be entered.
    pub fn reach(&mut self, place: &Where) -> Result<bool, Refusal> {
        let Where::Other { place, id } = place else { return Ok(true) };
        if self.inside.contains_key(id) {
            return Ok(true);
        }
        let opened = match place {
            NetnsPlace::Named(name) => Netns::open_name(name),
            NetnsPlace::Path(path) => Netns::open_path(Path::new(path)),
            NetnsPlace::Pid(pid) => Netns::of_pid(*pid),
        };
        match opened {
            Ok(netns) if netns.id() == *id => self.adopt_found(netns).map(|()| true),
            Ok(_) => Ok(false),
            Err(error) if error.is_gone() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The link called `name` in a namespace, if it is there.
    ///
    /// # Errors
    ///
    /// Where the namespace is gone or the kernel refuses to tell.
    pub fn link(
        &mut self,
        place: &Where,
        name: &str,
    ) -> Result<Option<pontoon_netlink::link::Link>, Refusal> {
        Ok(links::get(self.socket(place)?, name)?)
    }

    /// Runs `body` in a namespace.
    ///
    /// # Errors
    ///
    /// Where the namespace is gone or cannot be entered.
    pub fn enter<R>(&mut self, place: &Where, body: impl FnOnce() -> R) -> Result<R, Refusal> {
        if !self.reach(place)? {
            return Err(Refusal::Gone(name_of(place)));
        }
        match place {
            Where::Host => Ok(body()),
            Where::Other { id, .. } => Ok(self.inside[id].netns.enter(body)?),
        }
    }

    /// The socket in a namespace.
    ///
    /// # Errors
    ///
    /// Where the namespace is gone or cannot be entered.
    pub fn socket(&mut self, place: &Where) -> Result<&mut Socket, Refusal> {
        if !self.reach(place)? {
            return Err(Refusal::Gone(name_of(place)));
        }
        match place {
            Where::Host => Ok(&mut self.host),
            Where::Other { id, .. } => match self.inside.get_mut(id) {
                Some(inside) => Ok(&mut inside.socket),
                None => Err(Refusal::Gone(name_of(place))),
            },
        }
    }

    /// Carries out all steps in their order and stops at the first that fails.
    ///
    /// # Errors
    ///
    /// The step that failed. Requests that were sent together with it may have been carried out, also those after
    /// it: undo the whole plan.
    pub fn run(&mut self, steps: &[Step]) -> Result<(), ExecuteError> {
        self.indexes.clear();
        let mut pending = Pending::default();
        for (index, step) in steps.iter().enumerate() {
            if self.before_step.is_some() {
                self.flush(&mut pending).map_err(|error| blame(steps, error))?;
                if let Some(hook) = &mut self.before_step {
                    hook(index);
                }
            }
            self.step(index, &step.op, &mut pending).map_err(|error| blame(steps, error))?;
        }
        self.flush(&mut pending).map_err(|error| blame(steps, error))
    }

    /// Carries out all steps, whatever becomes of each, and tells what failed: for taking things away.
    ///
    /// Steps in a namespace that is gone are done already.
    pub fn run_all(&mut self, steps: &[Step]) -> Vec<ExecuteError> {
        let mut failed = Vec::new();
        for (index, step) in steps.iter().enumerate() {
            if let Some(hook) = &mut self.before_step {
                hook(index);
            }
            self.indexes.clear();
            let mut pending = Pending::default();
            let done = self.step(0, &step.op, &mut pending).and_then(|()| self.flush(&mut pending));
            match done {
                Ok(()) | Err((_, Refusal::Gone(_) | Refusal::NoLink(_))) => {}
                // A link that went in this moment, with its namespace, is as gone as one that went before.
                Err((_, Refusal::Kernel(error))) if is_of_link(&step.op) && error.is_not_found() => {}
                // A way out that cannot be is none, and holds up nothing else.
                Err((_, Refusal::Kernel(error))) if is_route(&step.op) && error.is_unreachable() => {}
                // Elements whose table somebody flushed come back with the table.
                Err((_, Refusal::Nft(error))) if is_of_elements(&step.op) && error.is_not_found() => {}
                Err((_, source)) => failed.push(ExecuteError {
                    step: index,
                    why: step.why.to_string(),
                    source: Box::new(source),
                }),
            }
        }
        failed
    }

    fn step(&mut self, index: usize, op: &Op, pending: &mut Pending) -> Result<(), (usize, Refusal)> {
        let at = |error: Refusal| (index, error);
        match op {
            Op::Link(
                LinkOp::Mend { .. } | LinkOp::Delete { .. } | LinkOp::Vanish { .. } | LinkOp::Settle { .. },
            ) => {}
            Op::Link(op) => return self.add_link(index, op, pending),
            Op::Address(op) => return self.add_address(index, op, pending),
            Op::Route(op) => return self.add_route(index, op, pending),
            Op::Neighbour(op @ (NeighbourOp::Set { .. } | NeighbourOp::Delete { .. })) => {
                return self.add_neighbour(index, op, pending);
            }
            _ => {}
        }
        self.flush(pending)?;
        match op {
            Op::Link(LinkOp::Mend { netns, name, mark, mending }) => {
                self.mend(netns, name, mark, mending).map_err(at)
            }
            Op::Link(LinkOp::Delete { netns, name, mark }) => self.delete(netns, name, mark).map_err(at),
            Op::Link(LinkOp::Vanish { name, mark }) => self.vanish(name, mark).map_err(at),
            Op::Link(LinkOp::Settle { names, others, addresses }) => {
                let settled = self.settle(names, others);
                settled.and_then(|()| self.await_local(addresses)).map_err(at)
            }
            Op::Neighbour(NeighbourOp::Greet { netns, from, to }) => {
                self.greet(netns, *from, *to).map_err(at)
            }
            Op::Neighbour(NeighbourOp::Announce { netns, link, address, mac }) => {
                self.announce(netns, link.as_str(), *address, *mac).map_err(at)
            }
            Op::Impair(op) => self.impair(op).map_err(at),
            Op::Nft(op) => self.nft(op).map_err(at),
            Op::Conntrack(op) => self.conntrack(op).map_err(at),
            Op::Sysctl(op) => self.sysctl(op).map_err(at),
            Op::Netns(op) => self.netns(op).map_err(at),
            Op::File(op) => file(op).map_err(at),
            Op::Guest(op) => self.guest(op).map_err(at),
            Op::Link(_) | Op::Address(_) | Op::Route(_) | Op::Neighbour(_) => Ok(()),
        }
    }

    /// Sends what waits and sorts the answers.
    fn flush(&mut self, pending: &mut Pending) -> Result<(), (usize, Refusal)> {
        let Some(place) = pending.place.take() else { return Ok(()) };
        let first = pending.purposes.first().map_or(0, |(step, _)| *step);
        let mut requests = std::mem::take(&mut pending.requests);
        let purposes = std::mem::take(&mut pending.purposes);
        let socket = self.socket(&place).map_err(|error| (first, error))?;
        match socket.run(&mut requests) {
            Ok(answers) => self.learn(&purposes, &answers),
            Err(error) => {
                for refused in error.refused {
                    let (step, purpose) = &purposes[refused.index];
                    let content = match purpose {
                        Purpose::MayBeAbsent => refused.error.is_not_found(),
                        Purpose::MayBeThere => refused.error.is_exists(),
                        Purpose::Must | Purpose::Veth { .. } => false,
                    };
                    if !content {
                        return Err((*step, refused.error.into()));
                    }
                }
            }
        }
        Ok(())
    }

    fn learn(&mut self, purposes: &[(usize, Purpose)], answers: &[Answer]) {
        for ((_, purpose), answer) in purposes.iter().zip(answers) {
            let Purpose::Veth { first, second } = purpose else { continue };
            let Some(link) = links::found(answer) else { continue };
            self.indexes.insert(first.clone(), link.index);
            if let Some(peer) = link.link {
                self.indexes.insert(second.clone(), peer);
            }
        }
    }

    /// Makes `pending` ready for a request in `place`.
    fn turn_to(&mut self, place: &Where, pending: &mut Pending) -> Result<(), (usize, Refusal)> {
        if pending.place.as_ref().is_some_and(|pending| pending != place) {
            self.flush(pending)?;
        }
        pending.place = Some(place.clone());
        Ok(())
    }

    /// A link's index, from what was learned or by asking. What waits is sent first, as it may make the link.
    fn index_of(
        &mut self,
        step: usize,
        place: &Where,
        name: &str,
        pending: &mut Pending,
    ) -> Result<LinkIndex, (usize, Refusal)> {
        let key = (id_of(place), name.to_owned());
        if let Some(index) = self.indexes.get(&key) {
            return Ok(*index);
        }
        self.flush(pending)?;
        if let Some(index) = self.indexes.get(&key) {
            return Ok(*index);
        }
        let socket = self.socket(place).map_err(|error| (step, error))?;
        let found = links::index_of(socket, name).map_err(|error| (step, error.into()))?;
        let index = found.ok_or_else(|| (step, Refusal::NoLink(name.to_owned())))?;
        self.indexes.insert(key, index);
        Ok(index)
    }

    /// `destroy element` is content without the element, but not without its set or table, which somebody may have
    /// flushed (`nf_tables_delsetelem()` in net/netfilter/nf_tables_api.c): then each command is tried by itself.
    fn nft(&mut self, op: &NftOp) -> Result<(), Refusal> {
        let socket = self.nft_socket()?;
        let destroys =
            |command: &Command| matches!(command, Command::DestroyTable { .. } | Command::DestroyElements(_));
        match nftables::apply(socket, &op.commands) {
            Err(error) if error.is_not_found() && op.commands.iter().all(destroys) => {}
            result => {
                self.commits += u32::from(result.is_ok());
                return Ok(result?);
            }
        }
        for command in &op.commands {
            match nftables::apply(socket, std::slice::from_ref(command)) {
                Err(error) if !error.is_not_found() => return Err(error.into()),
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether a table is there.
    ///
    /// # Errors
    ///
    /// Where the kernel does not tell.
    pub fn has_table(&mut self, table: &pontoon_nft::syntax::TableRef) -> Result<bool, Refusal> {
        Ok(nftables::table_exists(self.nft_socket()?, table)?)
    }

    /// A table with all that is in it; `None` where it is not there.
    ///
    /// # Errors
    ///
    /// Where the kernel does not tell.
    pub fn table(
        &mut self,
        table: &pontoon_nft::syntax::TableRef,
    ) -> Result<Option<pontoon_nft::ruleset::Table>, Refusal> {
        Ok(nftables::list_table(self.nft_socket()?, table)?)
    }

    /// Everything that there is of nf_tables but for our `own` tables.
    ///
    /// # Errors
    ///
    /// Where the kernel does not tell.
    pub fn other_tables(
        &mut self,
        own: &[pontoon_nft::syntax::TableRef],
    ) -> Result<pontoon_nft::ruleset::Ruleset, Refusal> {
        Ok(nftables::others(self.nft_socket()?, own)?)
    }

    /// The number of the ruleset, which each change of it raises, and how many of those this executor has made.
    ///
    /// # Errors
    ///
    /// Where the kernel does not tell.
    pub fn generation(&mut self) -> Result<(u32, u32), Refusal> {
        let commits = self.commits;
        Ok((nftables::generation(self.nft_socket()?)?, commits))
    }

    /// Whether the kernel can filter what comes into bridges. `table` must not be there.
    ///
    /// # Errors
    ///
    /// Where the kernel does not tell.
    pub fn can_filter_bridges(&mut self, table: &pontoon_nft::syntax::TableRef) -> Result<bool, Refusal> {
        Ok(nftables::can_filter_bridges(self.nft_socket()?, table)?)
    }

    /// Whether a set without intervals has an element.
    ///
    /// # Errors
    ///
    /// Where the kernel does not tell.
    pub fn has_element(
        &mut self,
        table: &pontoon_nft::syntax::TableRef,
        set: &str,
        element: &pontoon_nft::syntax::Element,
    ) -> Result<bool, Refusal> {
        Ok(nftables::has_element(self.nft_socket()?, table, set, element)?)
    }

    /// How many rules there are in these chains of a table; none where they are not there.
    ///
    /// # Errors
    ///
    /// Where the kernel does not tell.
    pub fn count_rules(
        &mut self,
        table: &pontoon_nft::syntax::TableRef,
        chains: &[&str],
    ) -> Result<usize, Refusal> {
        Ok(nftables::count_rules(self.nft_socket()?, table, chains)?)
    }

    /// The socket for nftables and for connection tracking.
    fn nft_socket(&mut self) -> Result<&mut Socket, KernelError> {
        Ok(match &mut self.nft {
            Some(socket) => socket,
            empty => empty.insert(Socket::open(Protocol::Netfilter)?),
        })
    }

    fn conntrack(&mut self, op: &ConntrackOp) -> Result<(), Refusal> {
        let ConntrackOp::Forget { flows } = op;
        conntrack::forget(self.nft_socket()?, flows)?;
        Ok(())
    }

    /// An announcement is a courtesy: that neighbours learn a little later is no reason to fail.
    fn announce(&mut self, place: &Where, link: &str, address: Ipv6Addr, mac: Mac) -> Result<(), Refusal> {
        let Some(found) = self.link(place, link)? else { return Ok(()) };
        if let Some(inside) = id_of(place).and_then(|id| self.inside.get(&id)) {
            let _ = announce::neighbour_advertisement(&inside.netns, found.index.0, address, mac.octets());
        }
        Ok(())
    }

    fn greet(&mut self, place: &Where, from: Ipv4Addr, to: Ipv4Addr) -> Result<(), Refusal> {
        if self.reach(place)?
            && let Some(inside) = id_of(place).and_then(|id| self.inside.get(&id))
        {
            // As for an announcement.
            let _ = announce::greet(&inside.netns, from, to)?;
        }
        Ok(())
    }

    fn sysctl(&mut self, op: &SysctlOp) -> Result<(), Refusal> {
        let key: Sysctl = op.key.parse()?;
        Ok(self.enter(&op.netns, || key.write(&op.value))??)
    }

    fn netns(&mut self, op: &NetnsOp) -> Result<(), Refusal> {
        match op {
            NetnsOp::Add { name, id } => match self.inside.get(id) {
                Some(inside) => Ok(inside.netns.pin(name)?),
                None => Err(Refusal::Gone(name.clone())),
            },
            NetnsOp::Delete { name, id } => {
                self.release(*id);
                match netns::unpin(name, *id) {
                    // Somebody else has the name by now; ours is gone.
                    Ok(_) | Err(NetnsError::Foreign { .. }) => Ok(()),
                    Err(error) => Err(error.into()),
                }
            }
        }
    }
}

/// How long an IPv6 address may take to be answered for: a work queue's turn, under a millisecond measured.
const BECOMING_LOCAL: Duration = Duration::from_millis(50);
/// How long a link may take to go with its namespace: the kernel waits for RCU, 22 ms measured.
const VANISHING: Duration = Duration::from_millis(150);

fn file(op: &FileOp) -> Result<(), Refusal> {
    match op {
        FileOp::Write { path, contents } => Ok(file::write_new(Path::new(path), contents)?),
        FileOp::Edit { within, path, mark, lines } => Ok(file::edit(*within, Path::new(path), mark, lines)?),
        FileOp::Remove { path, mark } => Ok(file::remove_own(Path::new(path), mark)?),
    }
}

fn is_of_link(op: &Op) -> bool {
    matches!(op, Op::Link(_))
}

fn is_route(op: &Op) -> bool {
    matches!(op, Op::Route(_))
}

fn is_of_elements(op: &Op) -> bool {
    let elements =
        |command: &Command| matches!(command, Command::AddElements(_) | Command::DestroyElements(_));
    matches!(op, Op::Nft(op) if op.commands.iter().all(elements))
}

fn blame(steps: &[Step], (step, source): (usize, Refusal)) -> ExecuteError {
    let why = steps.get(step).map_or_else(String::new, |step| step.why.to_string());
    ExecuteError { step, why, source: Box::new(source) }
}

fn id_of(place: &Where) -> Option<NetnsId> {
    match place {
        Where::Host => None,
        Where::Other { id, .. } => Some(*id),
    }
}

fn name_of(place: &Where) -> String {
    match place {
        Where::Host => "of the host".into(),
        Where::Other { place: NetnsPlace::Named(name), .. } => format!("`{name}`"),
        Where::Other { place: NetnsPlace::Path(path), .. } => format!("`{path}`"),
        Where::Other { place: NetnsPlace::Pid(pid), .. } => format!("of process {pid}"),
    }
}

/// Whether a link carries a mark of the instance whose marks begin with `prefix`.
pub fn carries_prefix(link: &pontoon_netlink::link::Link, prefix: &str) -> bool {
    link.alias.as_deref().is_some_and(|alias| alias.starts_with(prefix))
}
