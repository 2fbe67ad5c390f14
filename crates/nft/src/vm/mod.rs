//! The kernel's instructions for a rule, and the way from statements to instructions and back.
//!
//! nf_tables runs a rule as a short program over sixteen 32-bit registers. [`compile()`] adds what nft(8) adds without
//! being asked (`tcp dport` is read only after `meta l4proto tcp`), and [`decompile()`] leaves that out again.
//!
//! A rule has one *canonical* form: the one that comes out of `decompile`. It differs from what was compiled only where a
//! rule says what is implied anyway (`meta l4proto tcp tcp dport 80`).

mod compile;
mod context;
mod decompile;
mod insn;

pub use crate::syntax::PayloadBase;
pub use compile::{AnonymousSet, CompileError, Program, compile};
pub use decompile::decompile;
pub use insn::{CmpOp, Insn, Load, NatPart, SetName, Slot};

pub(crate) use compile::{check_comment, check_element_part};
pub(crate) use decompile::network_keys;
