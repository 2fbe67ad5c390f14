//! Containers of other engines: Docker and Podman are asked over their Unix sockets, OCI runtimes tell their hooks.
//!
//! The API is Docker's (<https://docs.docker.com/reference/api/engine/>), which Podman serves too. Each request has a
//! connection of its own and ends within a time, so that an engine that hangs does not hang the caller. What comes is
//! parsed in pure functions (`http.rs`, `container.rs`, `event.rs`, `log.rs`, [`hook`]).

mod client;
mod command;
mod connection;
mod container;
mod create;
mod error;
mod event;
pub mod hook;
mod http;
mod log;
mod place;
mod runtime;
mod stream;

pub use client::{Client, ExecSpec, Executed, Listed};
pub use container::{Container, Sharing};
pub use create::{CreateSpec, HealthCheck, Mount, Restart};
pub use error::OciError;
pub use event::{Event, What};
pub use log::{Piece, Source};
pub use place::Kind;
pub use runtime::Runtime;
pub use stream::{Events, Logs, Next};
