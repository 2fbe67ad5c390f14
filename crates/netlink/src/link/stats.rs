//! A link's counters.

use super::{HEADER_LEN, IFLA_STATS64, RTM_GETLINK, Target};
use crate::wire::{Attrs, Batch, NLM_F_ACK};

/// A request for one link with its counters; `ENODEV` where there is none.
#[derive(Debug, Clone, Copy)]
pub struct GetStats<'a>(pub Target<'a>);

impl GetStats<'_> {
    /// Appends the request.
    pub fn encode(&self, batch: &mut Batch) {
        batch.message(RTM_GETLINK, NLM_F_ACK, |body| self.0.encode(body, 0, 0));
    }
}

/// What went through a link since it was made, frame headers included.
///
/// Source: the beginning of `struct rtnl_link_stats64` in the kernel's `if_link.h`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the kernel's field of that name")]
pub struct LinkStats {
    pub rx_packets: u64,
    pub tx_packets: u64,
    pub rx_bytes: u64,
    pub tx_bytes: u64,
    pub rx_errors: u64,
    pub tx_errors: u64,
    pub rx_dropped: u64,
    pub tx_dropped: u64,
}

impl LinkStats {
    /// Reads the payload of an `RTM_NEWLINK` message; `None` where it has no counters.
    pub fn decode(payload: &[u8]) -> Option<Self> {
        let attrs = payload.get(HEADER_LEN..)?;
        let stats = Attrs::new(attrs).find(|attr| attr.kind == IFLA_STATS64)?;
        let mut words = stats.value.chunks_exact(8);
        let mut next = || Some(u64::from_ne_bytes(words.next()?.try_into().ok()?));
        Some(Self {
            rx_packets: next()?,
            tx_packets: next()?,
            rx_bytes: next()?,
            tx_bytes: next()?,
            rx_errors: next()?,
            tx_errors: next()?,
            rx_dropped: next()?,
            tx_dropped: next()?,
        })
    }

    /// The same as the other end of a cable counts it: what one receives, the other has sent.
    #[must_use]
    pub fn of_peer(self) -> Self {
        Self {
            rx_packets: self.tx_packets,
            tx_packets: self.rx_packets,
            rx_bytes: self.tx_bytes,
            tx_bytes: self.rx_bytes,
            rx_errors: self.tx_errors,
            tx_errors: self.rx_errors,
            rx_dropped: self.tx_dropped,
            tx_dropped: self.rx_dropped,
        }
    }
}
