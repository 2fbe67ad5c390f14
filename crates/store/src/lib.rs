//! What Pontoon remembers: definitions, runtime state, leases and the journal, in SQLite.
//!
//! Two databases, because two kinds of state end at different times. Definitions (networks) are durable. Runtime state
//! (sandboxes, endpoints, leases, the journal) describes kernel objects, lies on tmpfs and vanishes with them at a
//! reboot. The runtime database has a copy of the definitions, so attach and detach open that one alone.
//!
//! Reads see a consistent snapshot and never wait. Writers queue for a file lock *before* they ask SQLite, whose own
//! way to wait is to sleep and try again (<https://www.sqlite.org/c3ref/busy_timeout.html>).
//!
//! A process that is killed in the middle of a transaction leaves the state before it; the next one to open the store
//! goes on from there. Nothing is synced to disk for the runtime state: a power failure takes tmpfs with it anyway.

use std::path::PathBuf;

mod cable;
mod connection;
mod definitions;
mod endpoint;
mod error;
mod held;
mod impairment;
mod journal;
mod lease;
mod lock;
mod network;
mod port;
mod record;
mod route;
mod sandbox;
mod schema;
mod setting;
mod store;
mod tx;

pub use error::StoreError;
pub use journal::{JournalEntry, Recovery, Subject};
pub use lease::{IpamError, LeaseError};
pub use lock::ExclusiveGuard;
pub use port::PortError;
pub use sandbox::Bare;
pub use store::Store;
pub use tx::Tx;

/// Where the two databases are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dirs {
    /// Durable: `definitions.db`.
    pub lib: PathBuf,
    /// On tmpfs: `runtime.db`, and `lock`, which writers hold.
    pub run: PathBuf,
}

impl Dirs {
    fn definitions(&self) -> PathBuf {
        self.lib.join("definitions.db")
    }

    fn runtime(&self) -> PathBuf {
        self.run.join("runtime.db")
    }

    fn lock(&self) -> PathBuf {
        self.run.join("lock")
    }
}
