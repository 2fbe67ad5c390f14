//! Attach, detach, create and remove as a library: what every front end calls, without a daemon.
//!
//! Each change is the same few moves. In one transaction the wanted records are chosen and written together with the
//! plan (`journal.rs`); then the plan is carried out; then the records are marked as done. A change that fails is
//! undone at once, one that was killed is undone or finished by the next command (`recover.rs`).

pub mod cable;
pub mod capture;
mod checkpoint;
pub mod conflict;
pub mod connect;
pub mod container;
pub mod detached;
pub mod doctor;
pub mod drift;
mod elsewhere;
pub mod error;
pub mod event;
pub mod explain;
pub mod firewall;
mod furnish;
mod guard;
pub mod impair;
mod interface;
mod journal;
mod keep;
pub mod network;
pub mod notice;
pub mod observe;
mod plug;
pub mod probe;
pub mod prune;
pub mod publish;
pub mod reach;
pub mod recover;
pub mod rejoin;
pub mod renumber;
pub mod report;
pub mod resolve;
pub mod root;
pub mod run;
mod segment;
pub mod snapshot;
pub mod static_route;
mod teardown;
mod time;

use checkpoint::Checkpoints;
use std::time::Instant;

use pontoon_kernel::execute::Executor;
use pontoon_kernel::lock::ByteLocks;
use pontoon_kernel::netns::Netns;
use pontoon_model::config::Config;
use pontoon_model::sandbox::NetnsId;
use pontoon_plan::drift::Fights;
use pontoon_plan::{Instance, Plan};
use pontoon_store::{ExclusiveGuard, Store};

pub use error::EngineError;
pub use root::Root;

/// What a command is going to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Carry out what is asked for.
    Apply,
    /// Work out what would be done and change nothing.
    DryRun,
}

/// What a changing verb did, or would do.
#[derive(Debug)]
pub struct Outcome<T> {
    /// The result.
    pub value: T,
    /// The steps.
    pub plan: Plan,
}

/// One Pontoon at work: its state, its connections to the kernel.
#[derive(Debug)]
pub struct Engine {
    root: Root,
    store: Store,
    executor: Executor,
    owners: ByteLocks,
    /// One who changes what is attached to a namespace holds the byte of its number.
    sandboxes: ByteLocks,
    config: Config,
    host: NetnsId,
    mode: Mode,
    checkpoints: Checkpoints,
    /// When the firewalls of others were last heeded.
    heeded: Option<Instant>,
    /// When it was opened.
    opened: Instant,
    /// What was put back lately, counted from then on.
    fights: Fights,
    /// A container that its OCI runtime is about to start, and its process.
    announced: Option<elsewhere::Announced>,
    /// Whether anything stood in the journal when the host was last looked at.
    met_others: bool,
    /// What went differently, in sentences for the person who gave the command; a second line is a hint.
    pub warnings: Vec<String>,
}

impl Engine {
    /// Opens the instance at `root` and repairs what an earlier command left unfinished.
    ///
    /// # Errors
    ///
    /// Without the privileges that changes need, if the state cannot be opened, or the configuration is wrong.
    pub fn open(root: Root, mode: Mode) -> Result<Self, EngineError> {
        if mode == Mode::Apply {
            root::check_privileges()?;
        }
        let config = root.config()?;
        let store = Store::open(&root.dirs)?;
        let owners = ByteLocks::open(&root.dirs.run.join("owners"))?;
        let sandboxes = ByteLocks::open(&root.dirs.run.join("sandboxes"))?;
        let mut executor = Executor::open()?;
        let checkpoints = Checkpoints::from_environment();
        if checkpoints.counted() {
            let checkpoints = checkpoints.clone();
            executor.before_each_step(Box::new(move |_| checkpoints.pass()));
        }
        let host = Netns::current()?.id();
        let warnings = Vec::new();
        let mut engine = Self {
            root,
            store,
            executor,
            owners,
            sandboxes,
            config,
            host,
            mode,
            checkpoints,
            heeded: None,
            opened: Instant::now(),
            fights: Fights::default(),
            announced: None,
            met_others: false,
            warnings,
        };
        if mode == Mode::Apply {
            engine.recover()?;
        }
        Ok(engine)
    }

    /// Where the state is, and whose marks its objects carry.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// The state, for reading.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The connections to the kernel.
    pub fn executor(&mut self) -> &mut Executor {
        &mut self.executor
    }

    fn instance(&self) -> &Instance {
        &self.root.instance
    }

    /// Takes the writers' lock, and repairs first what its last holder may have left half done.
    fn exclusive(&mut self) -> Result<ExclusiveGuard, EngineError> {
        let guard = self.store.exclusive()?;
        if self.mode == Mode::Apply {
            self.recover()?;
        }
        Ok(guard)
    }

    /// Does `body` while nobody else changes what is attached to these namespaces.
    fn alone_with<T>(
        &mut self,
        namespaces: &[NetnsId],
        body: impl FnOnce(&mut Self) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        // In one order for all, so that two who want the same two never wait for each other.
        let numbers: std::collections::BTreeSet<u64> = namespaces.iter().map(|id| id.ino).collect();
        for number in &numbers {
            self.sandboxes.lock(*number)?;
        }
        let done = body(self);
        for number in &numbers {
            self.sandboxes.release(*number)?;
        }
        // Held on to, a namespace would outlive its processes.
        namespaces.iter().for_each(|id| self.executor.release(*id));
        done
    }

    fn warn(&mut self, warning: impl Into<String>) {
        self.warnings.push(warning.into());
    }
}
