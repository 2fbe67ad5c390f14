//! Names: which container is called what on which network, what a query is answered with, and how what is not known
//! here is asked elsewhere. No I/O and no clock: messages and the time are handed in.
//!
//! A query goes this way:
//!
//! 1. [`Directory::respond`] reads it ([`Query`]), finds who asks, and writes the answer if it is about a container, or
//!    one that nobody else is to be asked for. This is the hot path: it allocates nothing.
//! 2. What is left goes to a [`Forwarder`], which answers from its cache, joins an equal question that is on its way, or
//!    says whom to ask. It is told what came back, and what the time is.
//!
//! Sources: RFC 1034 and 1035 (names and messages), 2181 (clarifications), 2308 (negative answers), 3596 (AAAA),
//! 5452 (answers that are not forged), 6761 (special names), 6891 (EDNS), 7766 (TCP), 8482 (ANY), 9210.

mod cache;
pub mod directory;
pub mod forwarder;
mod message;
mod name;
mod reverse;
pub mod upstreams;
pub mod wire;

pub use directory::{Client, Directory, Member, NetworkKey, NetworkNames, Place, Verdict};
pub use forwarder::{Action, Forwarder};
pub use upstreams::Upstreams;
pub use wire::{Query, Rcode, Transport};
