//! From the wanted and the observed state to a complete plan of kernel operations.
//!
//! A plan leaves nothing to decide: every object is named, every address chosen, every step carries its reason. It
//! can be shown as commands ([`command`]), executed, kept in the journal, and undone ([`Plan::undo`]).

pub mod account;
pub mod cable;
pub mod command;
pub mod conflict;
pub mod drift;
pub mod endpoint;
pub mod guard;
pub mod guest;
pub mod impair;
pub mod instance;
pub mod ipam;
pub mod network;
pub mod publish;
pub mod renumber;
pub mod resolver;
pub mod route;
pub mod ruleset;
pub mod sandbox;
pub mod supervision;
mod undo;

pub use instance::Instance;

use pontoon_model::Step;
use pontoon_model::op::Op;

/// Whether links of this MTU have IPv6: from those that are too small, the kernel takes it away with all its settings
/// (`IPV6_MIN_MTU` and `addrconf_notify()` in net/ipv6/addrconf.c).
pub(crate) fn has_ipv6(mtu: Option<u32>) -> bool {
    mtu.is_none_or(|mtu| mtu >= 1280)
}

/// Steps in the order in which they are taken.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Plan {
    /// The steps.
    pub steps: Vec<Step>,
}

impl Plan {
    /// Adds a step at the end.
    pub fn push(&mut self, op: impl Into<Op>, why: impl Into<String>) {
        self.steps.push(Step::new(op, why));
    }

    /// Adds the steps of another plan at the end.
    pub fn append(&mut self, mut other: Self) {
        self.steps.append(&mut other.steps);
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The operations without their reasons.
    pub fn ops(&self) -> impl Iterator<Item = &Op> {
        self.steps.iter().map(|step| &step.op)
    }
}
