//! What becomes of a packet, told from what was read of the host: without I/O, from one moment's picture.
//!
//! - [`packet`] is a packet as far as it is known: names of interfaces, what connection tracking says of it.
//! - [`walk`] takes it through a chain. What a rule asks for and the packet does not tell is *unknown*, and what follows
//!   from that is said: passes, drops, or may drop.
//! - [`legacy`] reads the table of iptables-legacy as if it were an nftables table, so that one walk does for both.
//! - [`path`] takes one packet through the host that was read, there and back, and says what is in its way.
//! - [`doctor`] asks for all the packets that should pass, and says what else is wrong with the host.
//! - [`probe`] tells what a real packet met, and lays it beside that.
//! - [`firewall`] finds the firewalls of others that stand in the way of containers, and names what lets them through.

pub mod doctor;
pub mod extension;
pub mod firewall;
pub mod legacy;
pub mod matching;
pub mod packet;
pub mod path;
pub mod probe;
pub mod truth;
pub mod walk;

pub use packet::{Interface, Packet};
pub use truth::Truth;
pub use walk::{Fate, Walk};
