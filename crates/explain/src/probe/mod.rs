//! What a real packet met, told from what the kernel traced of it, beside what was said it would meet.
//!
//! - [`mark`] is what the packet is known by, in every namespace and whatever becomes of its addresses: the rules that
//!   have the kernel trace it, and how it is told from others in what is traced.
//! - [`mod@stitch`] puts what was traced in several namespaces together: one step for each hook.
//! - [`mod@compare`] lays the steps beside the hops of an [`Explanation`](crate::path::Explanation), and says where they
//!   disagree.

pub mod compare;
pub mod mark;
pub mod stitch;

use std::net::IpAddr;

use serde::Serialize;

use crate::path::{Flow, Verdict};

pub use compare::{Context, Mark as HopMark, compare};
pub use mark::Mark;
pub use stitch::{Event, Hit, Kind, Step, StepVerdict, stitch};

/// What came back, to the one who sent it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Answer {
    /// The answer to an echo request.
    EchoReply,
    /// The second packet of a TCP connection: somebody listens.
    Accepted,
    /// A datagram.
    Datagram,
    /// TCP's reset: nobody listens, or somebody refuses in the name of the one who was asked.
    Refused,
    /// An error message of ICMP.
    Error {
        /// What it says.
        text: String,
        /// Who says so.
        from: Option<IpAddr>,
    },
    /// The kernel would not send it.
    NotSent {
        /// Why.
        text: String,
    },
    /// Nothing, for so long.
    Nothing {
        /// In milliseconds.
        waited: u64,
    },
}

impl Answer {
    /// Whether it is what was hoped for.
    pub fn is_good(&self) -> bool {
        matches!(self, Self::EchoReply | Self::Accepted | Self::Datagram)
    }
}

/// What became of a packet that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Probed {
    /// Whether it was answered: what really happened, whatever was said before.
    pub verdict: Verdict,
    /// The packet as it left the one who sent it; `None` where it did not.
    pub packet: Option<Flow>,
    /// How often it was sent.
    pub sent: u32,
    /// What came back.
    pub answer: Answer,
    /// After how many microseconds.
    pub after: Option<u64>,
    /// Where it was seen, in order.
    pub steps: Vec<Step>,
    /// Of each hop of the explanation, what was seen there.
    pub hops: Vec<HopMark>,
    /// What happened, in a sentence.
    pub sentence: String,
    /// Where it is not as was said.
    pub disagreements: Vec<String>,
    /// What could not be watched, each with the reason.
    pub unwatched: Vec<String>,
}
