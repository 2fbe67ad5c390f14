//! The language: tables, chains, sets, rules and the commands that change them, as plain data.
//!
//! Names follow nft(8). Everything here is `Clone`, comparable and serialisable, and shows itself in nft's syntax.

mod command;
mod key;
mod object;
mod show;
mod statement;
mod value;

pub use command::{Command, Elements};
pub use key::{
    ArpField, CtField, EtherField, FibAddress, FibResult, Ip6Field, IpField, Key, Meta, PayloadBase,
    PortSide, Transport,
};
pub use object::{
    Base, Chain, ChainKind, Element, ElementData, Family, Hook, Policy, Priority, Rule, Set, SetData,
    TableRef,
};
pub use show::{RuleText, shell_command};
pub use statement::{
    AddressRange, CounterValue, IcmpxCode, IpVersion, Limit, LimitKind, LimitUnit, LogLevel, MarkSource,
    MarkTarget, Match, Nat, NatFlags, NatKind, NatTarget, Op, PortRange, Reject, Right, SetOp, SetRef,
    SetUpdate, Statement, Verdict,
};
pub(crate) use value::prefix_mask;
pub use value::{DataType, Operand, Value, ether_type, nf_proto, protocol};

pub(crate) use show::{
    Detail, Shown, element_sort_key, show_base, show_element, show_set_type, statement_text,
};
