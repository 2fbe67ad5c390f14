//! One process for all networks: it answers their containers' questions for names, watches the host, and repairs what
//! somebody took away. Everything but names works without it.
//!
//! The main thread talks with commands (`desk.rs`) and keeps what the server knows in step with the records (`names.rs`);
//! the server of names ([`dns`]), the watch over the host ([`watch`]) and the one over containers of other engines
//! (`engines.rs`) have threads of their own.

pub mod activation;
mod desk;
pub mod dns;
mod engines;
mod error;
mod figures;
pub mod health;
pub mod http;
mod inbox;
pub mod log;
pub mod metrics;
mod names;
pub mod notify;
mod overlaps;
pub mod privileges;
mod service;
pub mod watch;

use std::time::Duration;

pub use error::DaemonError;
pub use service::run;

/// How the daemon is to work.
#[derive(Debug, Clone)]
pub struct Options {
    /// End when nobody has needed names for that long. Never without.
    pub idle: Option<Duration>,
    /// A group that may talk to it, besides root.
    pub group: Option<u32>,
    /// Whether what somebody changed of what is ours is put back; if not, it is reported only.
    pub repair: bool,
    /// Where to serve figures and health.
    pub metrics: Option<http::Address>,
}
