//! Two programs that each put the same thing back: somebody has to stop.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Code, Drift};

/// How often the same thing is put back before it is left alone for a while.
const OFTEN: usize = 5;
/// Within what time.
const WITHIN: Duration = Duration::from_secs(10);
/// For how long it is left alone.
const PAUSE: Duration = Duration::from_secs(60);

/// What was put back lately. Time is handed in, since some moment that is the same for all calls.
#[derive(Debug, Clone, Default)]
pub struct Fights {
    lately: BTreeMap<(Code, String), Vec<Duration>>,
    paused: BTreeMap<(Code, String), Duration>,
}

impl Fights {
    /// Until when a thing is to be left alone: somebody changes it again each time that it is put back.
    pub fn paused(&mut self, drift: &Drift, now: Duration) -> Option<Duration> {
        let key = (drift.code, drift.object.clone());
        match self.paused.get(&key) {
            Some(until) if *until > now => Some(*until),
            Some(_) => {
                self.paused.remove(&key);
                None
            }
            None => None,
        }
    }

    /// Notes that a thing was put back. If that was once too often, until when it is to be left alone now.
    pub fn note(&mut self, drift: &Drift, now: Duration) -> Option<Duration> {
        self.lately.retain(|_, times| times.last().is_some_and(|last| now.saturating_sub(*last) <= WITHIN));
        let key = (drift.code, drift.object.clone());
        let times = self.lately.entry(key.clone()).or_default();
        times.retain(|time| now.saturating_sub(*time) <= WITHIN);
        times.push(now);
        if times.len() < OFTEN {
            return None;
        }
        self.lately.remove(&key);
        let until = now + PAUSE;
        self.paused.insert(key, until);
        Some(until)
    }

    /// When the first of the things that are left alone is to be looked at again.
    pub fn next(&self, now: Duration) -> Option<Duration> {
        self.paused.values().filter(|until| **until > now).min().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Plan;

    fn drift(object: &str) -> Drift {
        Drift {
            code: Code::LinkDown,
            object: object.into(),
            found: String::new(),
            network: None,
            container: None,
            by: None,
            kept: false,
            plan: Plan::default(),
        }
    }

    #[test]
    fn what_is_put_back_again_and_again_is_left_alone_for_a_while() {
        let (mut fights, one, other) = (Fights::default(), drift("a"), drift("b"));
        let at = Duration::from_secs;
        for second in 0..4 {
            assert_eq!(fights.note(&one, at(second)), None);
        }
        assert_eq!(fights.note(&other, at(4)), None);
        assert_eq!(fights.note(&one, at(4)), Some(at(64)));
        assert_eq!((fights.paused(&one, at(63)), fights.next(at(63))), (Some(at(64)), Some(at(64))));
        assert_eq!(fights.paused(&other, at(5)), None);
        assert_eq!((fights.paused(&one, at(64)), fights.next(at(64))), (None, None));
    }

    #[test]
    fn what_is_put_back_now_and_then_is_no_fight() {
        let (mut fights, one) = (Fights::default(), drift("a"));
        for time in 0..100 {
            assert_eq!(fights.note(&one, Duration::from_secs(3 * time)), None);
        }
    }
}
