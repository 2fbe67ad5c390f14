//! How often somebody else changed what is Pontoon's, and what came of it.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Family;

/// What the watch over the host has seen and done since the daemon started.
#[derive(Debug, Default)]
pub struct DriftCounters {
    found: AtomicU64,
    repaired: AtomicU64,
    failed: AtomicU64,
    kept: AtomicU64,
}

impl DriftCounters {
    /// Something is not as it should be.
    pub fn found(&self) {
        self.found.fetch_add(1, Ordering::Relaxed);
    }

    /// It is again as it should be.
    pub fn repaired(&self) {
        self.repaired.fetch_add(1, Ordering::Relaxed);
    }

    /// It could not be repaired.
    pub fn failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    /// It was left as it is, because somebody wants it so.
    pub fn kept(&self) {
        self.kept.fetch_add(1, Ordering::Relaxed);
    }

    /// The figures.
    pub fn families(&self) -> Vec<Family> {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let outcome = |outcome: &str| [("outcome", outcome.to_owned())];
        vec![
            Family::counter("pontoon_drift_found_total", "Changes by others to what is Pontoon's.")
                .with(load(&self.found)),
            Family::counter("pontoon_drift_handled_total", "What became of changes by others.")
                .with_labels(outcome("repaired"), load(&self.repaired))
                .with_labels(outcome("failed"), load(&self.failed))
                .with_labels(outcome("kept"), load(&self.kept)),
        ]
    }
}
