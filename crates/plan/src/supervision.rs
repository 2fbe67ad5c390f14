//! When a container is checked and started again, decided without a clock: times are given.

use std::time::Duration;

use pontoon_model::supervision::{Health, HealthCheck};

/// The checks of one start of a container. Times count from that start.
///
/// Source: Dockerfile reference, `HEALTHCHECK`.
#[derive(Debug, Clone)]
pub struct Checkup<'a> {
    check: &'a HealthCheck,
    health: Health,
    failures: u32,
    due: Duration,
}

impl<'a> Checkup<'a> {
    /// Nothing is known yet.
    pub fn new(check: &'a HealthCheck) -> Self {
        let mut checkup = Self { check, health: Health::Starting, failures: 0, due: Duration::ZERO };
        checkup.due = checkup.pause(Duration::ZERO);
        checkup
    }

    /// When the next check begins.
    pub fn due(&self) -> Duration {
        self.due
    }

    /// What the checks say.
    pub fn health(&self) -> Health {
        self.health
    }

    /// How many checks in a row failed and counted.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// A check ended at `at`, well or not.
    pub fn note(&mut self, well: bool, at: Duration) {
        if well {
            (self.health, self.failures) = (Health::Healthy, 0);
        } else if !self.is_starting(at) {
            self.failures = self.failures.saturating_add(1);
            if self.failures >= self.check.retries {
                self.health = Health::Unhealthy;
            }
        }
        self.due = at + self.pause(at);
    }

    /// Failures do not count as long as it was never well and has not had its time to start.
    fn is_starting(&self, at: Duration) -> bool {
        self.health == Health::Starting && at < self.check.start_period
    }

    fn pause(&self, at: Duration) -> Duration {
        if self.is_starting(at) { self.check.start_interval } else { self.check.interval }
    }
}

/// How long a container that has ended waits for its next start: a tenth of a second, then twice as long each time, up
/// to a minute; as at first again when it ran for ten seconds. As Docker does it.
#[derive(Debug, Clone, Default)]
pub struct Backoff {
    last: Option<Duration>,
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(60);
    const RAN_WELL: Duration = Duration::from_secs(10);

    /// The next pause, after the process ran for `ran`.
    pub fn next(&mut self, ran: Duration) -> Duration {
        let last = self.last.filter(|_| ran < Self::RAN_WELL);
        let pause = last.map_or(Self::FIRST, |last| (last * 2).min(Self::LONGEST));
        self.last = Some(pause);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn enough_failures_in_a_row_make_it_ill_and_one_success_well() {
        let check = HealthCheck { retries: 2, ..HealthCheck::shell("true") };
        let mut checkup = Checkup::new(&check);
        assert_eq!(checkup.due(), secs(30));
        checkup.note(false, secs(31));
        assert_eq!((checkup.health(), checkup.failures()), (Health::Starting, 1));
        assert_eq!(checkup.due(), secs(61));
        checkup.note(false, secs(62));
        assert_eq!(checkup.health(), Health::Unhealthy);
        checkup.note(true, secs(93));
        assert_eq!((checkup.health(), checkup.failures()), (Health::Healthy, 0));
        checkup.note(false, secs(124));
        assert_eq!(checkup.health(), Health::Healthy);
    }

    #[test]
    fn failures_do_not_count_while_it_starts() {
        let check = HealthCheck { retries: 1, start_period: secs(60), ..HealthCheck::shell("true") };
        let mut checkup = Checkup::new(&check);
        assert_eq!(checkup.due(), secs(5));
        checkup.note(false, secs(6));
        assert_eq!((checkup.health(), checkup.due()), (Health::Starting, secs(11)));
        let mut well = checkup.clone();
        well.note(true, secs(12));
        assert_eq!(well.due(), secs(42), "once well, it is checked as later");
        well.note(false, secs(43));
        assert_eq!(well.health(), Health::Unhealthy);
        checkup.note(false, secs(60));
        assert_eq!(checkup.health(), Health::Unhealthy);
    }

    #[test]
    fn pauses_grow_until_it_runs_well() {
        let mut backoff = Backoff::default();
        let pauses: Vec<u128> = (0..12).map(|_| backoff.next(secs(1)).as_millis()).collect();
        assert_eq!(pauses[..4], [100, 200, 400, 800]);
        assert_eq!(pauses[10..], [60_000, 60_000]);
        assert_eq!(backoff.next(secs(10)), Duration::from_millis(100));
    }
}
