//! Times of one thing that was done many times.

use std::time::{Duration, Instant};

/// Times, the shortest first; never none.
#[derive(Debug, Clone)]
pub(crate) struct Samples(Vec<Duration>);

impl Samples {
    /// # Panics
    ///
    /// If there are none: nothing was measured then, which is a mistake of the measurement.
    pub(crate) fn new(mut times: Vec<Duration>) -> Self {
        assert!(!times.is_empty(), "something was measured");
        times.sort_unstable();
        Self(times)
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The one in the middle; of two in the middle, the longer.
    pub(crate) fn median(&self) -> Duration {
        self.0[self.0.len() / 2]
    }

    /// The time that 99 of 100 did not exceed (nearest rank): of fewer than 100, the longest.
    pub(crate) fn p99(&self) -> Duration {
        self.0[(self.0.len() * 99).div_ceil(100) - 1]
    }

    /// The longest.
    pub(crate) fn worst(&self) -> Duration {
        self.0[self.0.len() - 1]
    }

    /// How many were shorter than `limit`.
    pub(crate) fn under(&self, limit: Duration) -> usize {
        self.0.partition_point(|time| *time < limit)
    }
}

/// How long `work` took, and what came of it.
pub(crate) fn timed<T, E>(work: impl FnOnce() -> Result<T, E>) -> Result<(Duration, T), E> {
    let start = Instant::now();
    let value = work()?;
    Ok((start.elapsed(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn up_to(count: u64) -> Samples {
        Samples::new((1..=count).rev().map(Duration::from_millis).collect())
    }

    #[test]
    fn ranks_are_those_of_the_sorted_times() {
        let hundred = up_to(100);
        assert_eq!(hundred.count(), 100);
        assert_eq!(hundred.median(), Duration::from_millis(51));
        assert_eq!(hundred.p99(), Duration::from_millis(99));
        assert_eq!(hundred.worst(), Duration::from_millis(100));
        assert_eq!(hundred.under(Duration::from_millis(5)), 4);
    }

    #[test]
    fn few_samples_have_ranks_too() {
        assert_eq!(up_to(1).median(), Duration::from_millis(1));
        assert_eq!(up_to(1).p99(), Duration::from_millis(1));
        assert_eq!(up_to(10).p99(), Duration::from_millis(10));
    }
}
