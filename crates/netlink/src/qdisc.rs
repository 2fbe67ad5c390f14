//! Queueing disciplines: what a link does with packets before it sends them.
//!
//! Source: `include/uapi/linux/pkt_sched.h`, `net/sched/sch_api.c`, `sch_tbf.c`, `sch_netem.c`; tc(8), tc-tbf(8),
//! tc-netem(8).

use std::time::Duration;

use crate::link::LinkIndex;
use crate::wire::{Attrs, Batch, Body, NLM_F_ACK, NLM_F_CREATE, NLM_F_ECHO, NLM_F_REPLACE};

/// `RTM_NEWQDISC`.
pub const RTM_NEWQDISC: u16 = 36;
/// `RTM_DELQDISC`.
pub const RTM_DELQDISC: u16 = 37;
/// `RTM_GETQDISC`.
pub const RTM_GETQDISC: u16 = 38;

const TCA_KIND: u16 = 1;
const TCA_OPTIONS: u16 = 2;

const TCA_TBF_PARMS: u16 = 1;
const TCA_TBF_RATE64: u16 = 4;
const TCA_TBF_BURST: u16 = 6;

/// `TC_H_ROOT`
const ROOT: u32 = u32::MAX;
/// `TC_LINKLAYER_ETHERNET`: the kernel reckons with the rate itself and needs no table of it.
const LINKLAYER_ETHERNET: u8 = 1;
/// Length of `struct tcmsg` in bytes.
const HEADER_LEN: usize = 20;
/// Nanoseconds of the packet scheduler's tick: `PSCHED_SHIFT` in the kernel's include/net/pkt_sched.h.
const TICK: u128 = 64;

/// The longest time that a queueing discipline can be told, which is a number of ticks: 274.877906880 s.
pub const LONGEST: Duration = Duration::from_nanos(u32::MAX as u64 * TICK as u64);

/// The major number of a queueing discipline; `7074:` as tc(8) writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle(pub u16);

impl Handle {
    fn number(self) -> u32 {
        u32::from(self.0) << 16
    }
}

/// Where a queueing discipline sits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parent {
    /// At the link: it gets every packet that is sent.
    Root,
    /// In the only class of another: `7074:1`.
    Inside(Handle),
}

impl Parent {
    fn number(self) -> u32 {
        match self {
            Self::Root => ROOT,
            Self::Inside(handle) => handle.number() | 1,
        }
    }
}

/// What a queueing discipline does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discipline {
    /// `tbf`: a token bucket.
    Tbf {
        /// Bytes a second.
        rate: u64,
        /// How many bytes may be sent at once.
        burst: u32,
        /// How many bytes may wait.
        limit: u32,
    },
    /// `netem`: packets wait for a while.
    Netem {
        /// How long; [`LONGEST`] at the most.
        delay: Duration,
        /// How much longer or shorter at random.
        jitter: Duration,
        /// How many packets may wait.
        limit: u32,
    },
}

impl Discipline {
    /// The kernel's name for it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Tbf { .. } => "tbf",
            Self::Netem { .. } => "netem",
        }
    }

    fn encode(&self, body: &mut Body<'_>) {
        match *self {
            Self::Tbf { rate, burst, limit } => body.nest(TCA_OPTIONS, |body| {
                body.attr(TCA_TBF_PARMS, &tbf_parameters(rate, burst, limit));
                if u32::try_from(rate).is_err() {
                    body.attr(TCA_TBF_RATE64, &rate.to_ne_bytes());
                }
                body.u32(TCA_TBF_BURST, burst);
            }),
            // A `struct tc_netem_qopt`, behind which attributes could stand.
            Self::Netem { delay, jitter, limit } => {
                let words = [ticks(delay), limit, 0, 0, 0, ticks(jitter)];
                body.attr(TCA_OPTIONS, &words.map(u32::to_ne_bytes).concat());
            }
        }
    }
}

/// A `struct tc_tbf_qopt`: two of `struct tc_ratespec`, the second for a peak rate, which there is none of.
fn tbf_parameters(rate: u64, burst: u32, limit: u32) -> Vec<u8> {
    let mut bytes = vec![0, LINKLAYER_ETHERNET, 0, 0, 0, 0, 0, 0];
    bytes.extend(u32::try_from(rate).unwrap_or(u32::MAX).to_ne_bytes());
    bytes.extend([0; 12]);
    bytes.extend(limit.to_ne_bytes());
    // The burst as the time that it takes; the kernel prefers `TCA_TBF_BURST`. Then the peak rate's burst.
    let time = u128::from(burst) * 1_000_000_000 / u128::from(rate.max(1)) / TICK;
    bytes.extend(u32::try_from(time).unwrap_or(u32::MAX).to_ne_bytes());
    bytes.extend([0; 4]);
    bytes
}

fn ticks(time: Duration) -> u32 {
    u32::try_from(time.as_nanos() / TICK).unwrap_or(u32::MAX)
}

/// A request for a queueing discipline: it is made, changed in place if it is there with this handle, or put in the
/// place of another at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplaceQdisc {
    /// The link.
    pub link: LinkIndex,
    /// Where.
    pub parent: Parent,
    /// Its number.
    pub handle: Handle,
    /// What it does.
    pub discipline: Discipline,
}

impl ReplaceQdisc {
    /// Appends the request: `ENOENT` where the kernel has no such discipline, `EINVAL` where another kind has the handle.
    pub fn encode(&self, batch: &mut Batch) {
        batch.message(RTM_NEWQDISC, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, |body| {
            body.raw(&header(self.link, self.handle.number(), self.parent.number()));
            body.str(TCA_KIND, self.discipline.kind());
            self.discipline.encode(body);
        });
    }
}

/// A request to take the queueing discipline at a link away, with all that is in it: the kernel's own comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DelQdisc {
    /// The link.
    pub link: LinkIndex,
    /// Its number.
    pub handle: Handle,
}

impl DelQdisc {
    /// Appends the request: `ENOENT` where there is none, `EINVAL` where another one is there.
    pub fn encode(&self, batch: &mut Batch) {
        batch.message(RTM_DELQDISC, NLM_F_ACK, |body| {
            body.raw(&header(self.link, self.handle.number(), ROOT));
        });
    }
}

/// A question: which queueing discipline is at this link? There is no answer where it never was up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetQdisc {
    /// The link.
    pub link: LinkIndex,
}

impl GetQdisc {
    /// Appends the question. Without `NLM_F_ECHO` the kernel answers those who listen, and not who asks
    /// (`qdisc_get_notify()` in net/sched/sch_api.c).
    pub fn encode(&self, batch: &mut Batch) {
        batch.message(RTM_GETQDISC, NLM_F_ACK | NLM_F_ECHO, |body| body.raw(&header(self.link, 0, ROOT)));
    }
}

/// A `struct tcmsg`.
fn header(link: LinkIndex, handle: u32, parent: u32) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    header[4..8].copy_from_slice(&link.0.to_ne_bytes());
    header[8..12].copy_from_slice(&handle.to_ne_bytes());
    header[12..16].copy_from_slice(&parent.to_ne_bytes());
    header
}

/// A queueing discipline as the kernel tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Qdisc {
    /// The link.
    pub link: LinkIndex,
    /// Its number: 0 if the kernel put it there by itself.
    pub handle: Handle,
    /// Its kind.
    pub kind: String,
}

impl Qdisc {
    /// Reads the payload of an `RTM_NEWQDISC` or `RTM_DELQDISC` message.
    pub fn decode(payload: &[u8]) -> Option<Self> {
        let header = payload.get(..HEADER_LEN)?;
        let word = |at: usize| Some(u32::from_ne_bytes(header[at..at + 4].try_into().ok()?));
        let kind = Attrs::new(&payload[HEADER_LEN..]).find(|attr| attr.kind == TCA_KIND)?.str()?.to_owned();
        Some(Self { link: LinkIndex(word(4)?), handle: Handle((word(8)? >> 16) as u16), kind })
    }
}
