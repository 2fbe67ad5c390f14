//! The server's half of names: sockets on the bridges, and the servers that the host asks.
//!
//! One thread waits for everything (epoll(7)); nothing in it waits for anything else. What containers are called is in a
//! [`Directory`](pontoon_dns::Directory) that it shares with the callers of [`Handle`]: an update takes the lock for
//! microseconds, and the thread holds it from looking a name up until the answer is sent. So when a call has returned, no
//! answer goes out any more that was made before it.
//!
//! - `handle`: what the rest of the daemon calls;
//! - `server`: the loop;
//! - `streams`: clients that ask by TCP;
//! - `asking`: sockets to the servers that are asked;
//! - `host`: which those are, read again when the host's files change.

mod asking;
mod error;
mod handle;
mod host;
mod server;
mod shared;
mod statistics;
mod streams;

use std::path::PathBuf;

use pontoon_dns::upstreams::Domain;

pub use error::{ServeError, StartError};
pub use handle::{Handle, Served};
pub use statistics::{Statistics, Upstream};

/// What may be configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The port to answer on.
    pub port: u16,
    /// The host's resolv.conf.
    pub resolv_conf: PathBuf,
    /// The file with the real servers, where the host's names loopback addresses alone.
    pub behind: PathBuf,
    /// Domains with servers of their own.
    pub domains: Vec<Domain>,
    /// How others are asked.
    pub forward: pontoon_dns::forwarder::Options,
    /// How many connections there may be.
    pub streams: usize,
    /// How many of one address.
    pub streams_per_client: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            port: 53,
            resolv_conf: "/etc/resolv.conf".into(),
            behind: "/run/systemd/resolve/resolv.conf".into(),
            domains: Vec::new(),
            forward: pontoon_dns::forwarder::Options::default(),
            streams: 256,
            streams_per_client: 16,
        }
    }
}

/// Starts servers.
#[derive(Debug)]
pub struct Server;

impl Server {
    /// Starts the thread. It answers nothing until [`Handle::serve`] is called, and ends when the handle is dropped.
    ///
    /// Sockets are opened in the network namespace of the threads that call, so everybody is to be in the host's. The
    /// process's limit on open files is raised as far as it may be: each question to another server takes one.
    ///
    /// # Errors
    ///
    /// When the kernel has no descriptors or threads left.
    pub fn start(options: Options) -> Result<Handle, StartError> {
        handle::start(options)
    }
}
