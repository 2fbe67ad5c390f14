//! Which servers work.

use std::time::Duration;

/// How long a server has that nobody has heard of yet.
const UNKNOWN: Duration = Duration::from_millis(400);
/// The least and the most that a server is waited for before the next one is asked too.
const PATIENCE: (Duration, Duration) = (Duration::from_millis(150), Duration::from_millis(800));
/// How long a server that does not work is left alone; doubled each time.
const REST: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(32));
/// So many questions in a row without an answer, and a server does not work.
const SILENT: u32 = 2;

/// What is known of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerState {
    /// It is asked before those that do not work.
    pub works: bool,
    /// How long its answers take: a moving average.
    pub round_trip: Option<Duration>,
    /// Answers.
    pub answers: u64,
    /// Questions without an answer in time.
    pub timeouts: u64,
}

#[derive(Debug, Default)]
pub(super) struct Health {
    round_trip: Option<Duration>,
    answers: u64,
    timeouts: u64,
    /// Questions in a row without an answer.
    silent: u32,
    /// It does not work; when it is to be tried again, and for how long it is left alone then.
    rest: Option<(Duration, Duration)>,
    /// It does not take questions with an OPT record.
    pub(super) no_edns: bool,
}

impl Health {
    pub(super) fn works(&self) -> bool {
        self.rest.is_none()
    }

    /// How long it is waited for.
    pub(super) fn patience(&self) -> Duration {
        self.round_trip.map_or(UNKNOWN, |time| (time * 4).clamp(PATIENCE.0, PATIENCE.1))
    }

    /// It answered, after so long.
    pub(super) fn answered(&mut self, after: Duration) {
        self.answers += 1;
        self.silent = 0;
        self.rest = None;
        // RFC 6298, 2.3, with its weight of an eighth.
        self.round_trip = Some(self.round_trip.map_or(after, |time| (time * 7 + after) / 8));
    }

    /// It did not answer in time.
    pub(super) fn timed_out(&mut self, now: Duration) {
        self.timeouts += 1;
        self.silent += 1;
        if self.silent >= SILENT {
            self.lie_down(now);
        }
    }

    /// There is nobody.
    pub(super) fn refused(&mut self, now: Duration) {
        self.silent += 1;
        self.lie_down(now);
    }

    /// Whether it does not work and is to be tried again now; the next time is later then.
    pub(super) fn is_due(&mut self, now: Duration) -> bool {
        let due = self.rest.is_some_and(|(until, _)| until <= now);
        if due {
            self.lie_down(now);
        }
        due
    }

    fn lie_down(&mut self, now: Duration) {
        let rest = match self.rest {
            // Several questions may find out the same at once.
            Some((until, _)) if until > now => return,
            Some((_, rest)) => (rest * 2).min(REST.1),
            None => REST.0,
        };
        self.rest = Some((now + rest, rest));
    }

    pub(super) fn state(&self) -> ServerState {
        ServerState {
            works: self.works(),
            round_trip: self.round_trip,
            answers: self.answers,
            timeouts: self.timeouts,
        }
    }
}
