//! Repeated `--filter key=value`.
//!
//! The values of one key are alternatives and the keys are conditions, as in Docker; labels are conditions one by one.
//! The verb lists the keys that it knows, each with the [`Kind`] of its values, and tells what an object has there.
//!
//! Sources: docker/cli's opts/opts.go (`FilterOpt.Set`) for the syntax; moby's api/types/filters/parse.go and
//! daemon/network/filter.go for what matches.

mod condition;
mod error;
mod moment;
mod subject;

use std::time::SystemTime;

use pontoon_model::diagnose::near;
use serde_json::Value;

pub use error::FilterError;
pub use subject::Subject;

use condition::Condition;

/// A key that a verb's `--filter` knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// What stands before the `=`; for [`Kind::NotLabel`] that is `label!`.
    pub name: &'static str,
    /// What stands behind it.
    pub kind: Kind,
    /// Where an object has it, as a JSON pointer (RFC 6901); empty when the verb works it out.
    pub pointer: &'static str,
}

impl Key {
    /// A key with values of `kind`, read from `pointer`.
    pub const fn new(name: &'static str, kind: Kind, pointer: &'static str) -> Self {
        Self { name, kind, pointer }
    }

    /// What `object` has for this key.
    pub fn read<'v>(&self, object: &'v Value) -> Subject<'v> {
        object.pointer(self.pointer).map_or(Subject::Absent, Subject::from_json)
    }
}

/// The values that a key takes, and what they match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text, matched as a whole: `driver=bridge`.
    Exact,
    /// One of these words, matched as a whole: `type=custom`.
    OneOf(&'static [&'static str]),
    /// `true`, `1`, `false` or `0`, once: `dangling=true`.
    Bool,
    /// A regular expression found anywhere in a name, or the name itself: `name=web`, `name=^web$`.
    ///
    /// Docker's container names start with a slash, so people write `name=^/web$`; that slash counts as the start.
    Name,
    /// The start of an id: `id=7fca4e`.
    Prefix,
    /// `KEY` or `KEY=VALUE`, all of which the object has: `label=owner=alice`.
    Label,
    /// `KEY` or `KEY=VALUE`, none of which the object has: `label!=keep`.
    ///
    /// Docker's prune spares an object only when it has all of the labels given; this spares it for any one of them.
    NotLabel,
    /// A time before which the object was made, once: `until=24h`, `until=2024-01-31T12:00:00Z`, `until=1706702400`.
    ///
    /// A time without a zone is in UTC, where Docker takes the daemon's zone.
    Until,
}

/// The filters of one command line.
#[derive(Debug, Clone, Default)]
pub struct Filters {
    wanted: Vec<(Key, Vec<Condition>)>,
}

impl Filters {
    /// Parses the values that `--filter` was given, for a verb that knows `keys`; `now` is what `until=24h` counts from.
    ///
    /// # Errors
    ///
    /// If one is not `key=value`, has an unknown key or a value that the key does not take, or contradicts another.
    pub fn parse<T: AsRef<str>>(
        keys: &[Key],
        given: impl IntoIterator<Item = T>,
        now: SystemTime,
    ) -> Result<Self, FilterError> {
        let mut filters = Self::default();
        for text in given {
            let text = text.as_ref();
            let (name, value) =
                text.split_once('=').ok_or_else(|| FilterError::NoValue { given: text.to_owned() })?;
            let (name, value) = (name.trim().to_lowercase(), value.trim());
            let key = keys.iter().find(|key| key.name == name).ok_or_else(|| unknown(&name, keys))?;
            filters.add(*key, Condition::parse(*key, value, now)?)?;
        }
        Ok(filters)
    }

    fn add(&mut self, key: Key, condition: Condition) -> Result<(), FilterError> {
        let Some((_, conditions)) = self.wanted.iter_mut().find(|(known, _)| known.name == key.name) else {
            self.wanted.push((key, vec![condition]));
            return Ok(());
        };
        if matches!(key.kind, Kind::Bool | Kind::Until) && !conditions.contains(&condition) {
            return Err(FilterError::Contradiction { key: key.name });
        }
        conditions.push(condition);
        Ok(())
    }

    /// Whether no filter was given.
    pub fn is_empty(&self) -> bool {
        self.wanted.is_empty()
    }

    /// Whether a filter with this key was given.
    pub fn has(&self, name: &str) -> bool {
        self.wanted.iter().any(|(key, _)| key.name == name)
    }

    /// Whether an object passes, of which `subject_of` tells what it has for each key that was given.
    pub fn matches<'v>(&self, subject_of: impl Fn(&Key) -> Subject<'v>) -> bool {
        self.wanted.iter().all(|(key, conditions)| {
            let subject = subject_of(key);
            match key.kind {
                Kind::Label | Kind::NotLabel => conditions.iter().all(|condition| condition.passes(&subject)),
                _ => conditions.iter().any(|condition| condition.passes(&subject)),
            }
        })
    }

    /// Whether `object` passes, with every key read from where its pointer says.
    pub fn matches_value(&self, object: &Value) -> bool {
        self.matches(|key| key.read(object))
    }
}

/// The time that a text means: an age before `now`, a date with or without a time of day and a zone, or seconds since
/// 1970. None for anything else.
pub fn parse_time(text: &str, now: SystemTime) -> Option<SystemTime> {
    moment::parse(text, now).and_then(moment::to_time)
}

fn unknown(name: &str, keys: &[Key]) -> FilterError {
    let known: Vec<&'static str> = keys.iter().map(|key| key.name).collect();
    let near = near(name, known.iter().copied()).into_iter().map(str::to_owned).collect();
    FilterError::UnknownKey { key: name.to_owned(), near, known }
}
