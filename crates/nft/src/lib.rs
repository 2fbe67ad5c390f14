//! nftables rulesets as data: written in nft's syntax or as netlink transactions, without I/O.
//!
//! - [`syntax`] has tables, chains, sets, rules and the commands that change them. A [`syntax::Command`] shows itself
//!   as what a person would type after `nft`.
//! - [`wire`] writes commands as one nfnetlink transaction, writes the questions, and reads the kernel's answers.
//! - [`ruleset`] puts answers together and lists them as `nft list ruleset` does.
//! - [`vm`] is what lies between: the instructions that the kernel runs for a rule, and the way there and back.
//!
//! Sending and receiving is the caller's part.
//!
//! ```
//! use pontoon_nft::syntax::{Command, Family, Key, Match, Rule, Statement, TableRef, Value, Verdict};
//!
//! let rule = Rule::new([
//!     Match::is(Key::IIFNAME, Value::Ifname("eth0".into())),
//!     Match::is(Key::TCP_DPORT, Value::Port(22)),
//!     Verdict::Drop.into(),
//! ]);
//! let command = Command::AddRule { table: TableRef::new(Family::Inet, "lab"), chain: "in".into(), rule };
//! assert_eq!(command.to_string(), "add rule inet lab in iifname \"eth0\" tcp dport 22 drop");
//!
//! let transaction = pontoon_nft::wire::encode(&[command], 1).expect("names are short enough");
//! assert_eq!(transaction.acks(), 1);
//! ```
//!
//! Sources: `include/uapi/linux/netfilter/nf_tables.h` for the messages; nft(8) for the syntax; libnftnl's
//! `include/libnftnl/udata.h` for comments.

pub mod ruleset;
pub mod syntax;
pub mod vm;
pub mod wire;
