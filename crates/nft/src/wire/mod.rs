//! nf_tables' netlink messages: transactions, questions, answers.
//!
//! - [`encode`] writes commands as one [`Transaction`].
//! - [`Question`] is what can be asked: one object or a dump of many.
//! - [`Answer::read`] reads one message of an answer.
//! - [`Notice::read`] reads one of what those are told who listen, [`Trace::read`] one of what packets are traced by.
//!
//! Source: `include/uapi/linux/netfilter/nf_tables.h`, `nfnetlink.h`.

mod answer;
mod attribute;
mod element;
mod encode;
mod expression;
mod notice;
mod question;
mod set;
mod trace;
mod typeof_key;
mod user_data;

pub use answer::{Answer, ChainEntry, ElementsEntry, RuleEntry, SetEntry, TableEntry};
pub use element::{RawData, RawElement};
pub use encode::{EncodeError, Options, Transaction, encode, encode_with};
pub use notice::Notice;
pub use question::Question;
pub use trace::{Trace, TraceBy};

pub(crate) use element::decode_elements;
pub(crate) use expression::expression_bytes;
