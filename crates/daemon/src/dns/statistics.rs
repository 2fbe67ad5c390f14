//! What happened until now, for metrics.

use std::net::SocketAddr;

use pontoon_dns::directory::Outcome;
use pontoon_dns::forwarder::{Counters, ServerState};

/// What happened until now, and how much there is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Statistics {
    /// Networks whose queries are answered.
    pub networks: usize,
    /// Containers with names.
    pub members: usize,
    /// Queries that came, in whatever form.
    pub queries: u64,
    /// Answered here, with records.
    pub records: u64,
    /// Answered here: the name has no such record.
    pub no_data: u64,
    /// Answered here: there is no such name.
    pub no_name: u64,
    /// Refused.
    pub refused: u64,
    /// Not well formed, and answered so.
    pub malformed: u64,
    /// Passed over in silence.
    pub ignored: u64,
    /// Left to other servers; [`Statistics::forward`] says what came of them.
    pub forwarded: u64,
    /// Answers that the kernel did not take.
    pub lost: u64,
    /// Connections that there are.
    pub streams: usize,
    /// Connections that were closed at once, since there were too many.
    pub streams_refused: u64,
    /// What came of what was left to others.
    pub forward: Counters,
    /// Queries that wait for other servers.
    pub in_flight: usize,
    /// Answers of other servers that are kept.
    pub cache_entries: usize,
    /// About how much memory they take.
    pub cache_bytes: usize,
    /// The servers that are asked, in this order if all work.
    pub upstreams: Vec<Upstream>,
}

/// A server that is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upstream {
    /// Its address.
    pub server: SocketAddr,
    /// What is known of it; nothing before it was asked.
    pub state: Option<ServerState>,
}

impl Statistics {
    pub(super) fn count(&mut self, outcome: Outcome) {
        let counter = match outcome {
            Outcome::Records => &mut self.records,
            Outcome::NoData => &mut self.no_data,
            Outcome::NoName => &mut self.no_name,
            Outcome::Refused => &mut self.refused,
            Outcome::Malformed => &mut self.malformed,
        };
        *counter += 1;
    }
}
