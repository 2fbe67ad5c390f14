//! How much is measured.

use std::time::Duration;

/// The sizes of one run.
#[derive(Debug, Clone)]
pub(crate) struct Scale {
    /// How many endpoints there are before an attach is measured.
    pub(crate) endpoints: &'static [usize],
    /// Samples of each thing at each count.
    pub(crate) samples: usize,
    /// Rows of 16, one attach after the other.
    pub(crate) rows: usize,
    /// Rounds of many at once.
    pub(crate) rounds: usize,
    /// First packets of each kind.
    pub(crate) packets: usize,
    /// First packets of each kind after `run -d`.
    pub(crate) run_packets: usize,
    /// How many ports are many.
    pub(crate) many_ports: u16,
    /// At how many endpoints cold commands at once publish ports besides.
    pub(crate) crowd: usize,
    /// Rounds of these.
    pub(crate) crowd_rounds: usize,
    /// How many services a project has.
    pub(crate) services: usize,
    /// Traffic.
    pub(crate) traffic: Traffic,
}

/// How much traffic is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Traffic {
    /// Rounds in which all sides take their turn.
    pub(crate) rounds: usize,
    /// How long a turn is.
    pub(crate) time: Duration,
}

impl Scale {
    /// What the figures in the documentation are from.
    pub(crate) const FULL: Self = Self {
        endpoints: &[0, 100, 500, 1000],
        samples: 100,
        rows: 6,
        rounds: 10,
        packets: 200,
        run_packets: 200,
        many_ports: 10_000,
        crowd: 500,
        crowd_rounds: 5,
        services: 100,
        traffic: Traffic { rounds: 15, time: Duration::from_millis(100) },
    };

    /// Shows that it runs; the figures mean little.
    pub(crate) const QUICK: Self = Self {
        endpoints: &[0, 20],
        samples: 5,
        rows: 1,
        rounds: 1,
        packets: 5,
        run_packets: 3,
        many_ports: 1_000,
        crowd: 20,
        crowd_rounds: 1,
        services: 10,
        traffic: Traffic { rounds: 3, time: Duration::from_millis(10) },
    };
}

/// Workers that attach at once.
pub(crate) const WORKERS: usize = 8;

/// How many each of them attaches in a row: a bridge with 1,000 ports has room for 23 more.
pub(crate) const IN_A_ROW: usize = 2;

/// Cold commands at once.
pub(crate) const AT_ONCE: usize = 50;

/// A row of attaches: one after the other without a pause.
pub(crate) const ROW: usize = 16;
