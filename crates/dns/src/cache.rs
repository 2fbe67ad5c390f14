//! Answers of other servers, as long as they may be kept.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::message::Answer;
use crate::wire::Query;

/// What makes two questions the same: name (in lower case), type, what DNSSEC changes, and who is asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) name: Box<[u8]>,
    pub(crate) kind: u16,
    pub(crate) dnssec_ok: bool,
    pub(crate) checking_disabled: bool,
    pub(crate) servers: Arc<[SocketAddr]>,
}

impl Key {
    pub(crate) fn new(query: &Query<'_>, servers: Arc<[SocketAddr]>) -> Self {
        Self {
            name: query.name.as_bytes().into(),
            kind: query.kind,
            dnssec_ok: query.dnssec_ok(),
            checking_disabled: query.checking_disabled(),
            servers,
        }
    }
}

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheLimits {
    /// How many answers.
    pub entries: usize,
    /// How many bytes of memory, about.
    pub bytes: usize,
}

/// The least recently used answers go first when there is no room.
#[derive(Debug)]
pub(crate) struct Cache {
    limits: CacheLimits,
    entries: HashMap<Arc<Key>, Entry>,
    /// Keys by their last use.
    uses: BTreeMap<u64, Arc<Key>>,
    next_use: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    answer: Answer,
    since: Duration,
    until: Duration,
    last_use: u64,
}

impl Cache {
    pub(crate) fn new(limits: CacheLimits) -> Self {
        Self { limits, entries: HashMap::new(), uses: BTreeMap::new(), next_use: 0, bytes: 0 }
    }

    /// The answer with its age, if it may still be given.
    pub(crate) fn get(&mut self, now: Duration, key: &Key) -> Option<(&Answer, Duration)> {
        if self.entries.get(key)?.until <= now {
            self.remove(key);
            return None;
        }
        let (key, _) = self.entries.get_key_value(key)?;
        let key = Arc::clone(key);
        let entry = self.entries.get_mut(&key)?;
        self.uses.remove(&entry.last_use);
        entry.last_use = self.next_use;
        self.uses.insert(self.next_use, key);
        self.next_use += 1;
        Some((&entry.answer, now.saturating_sub(entry.since)))
    }

    /// Keeps an answer, if it may be kept at all.
    pub(crate) fn put(&mut self, now: Duration, key: &Arc<Key>, answer: &Answer) {
        self.remove(key);
        let Some(lifetime) = answer.lifetime else { return };
        let weight = weight(key, answer);
        if weight > self.limits.bytes / 4 || self.limits.entries == 0 {
            return;
        }
        while self.entries.len() >= self.limits.entries || self.bytes + weight > self.limits.bytes {
            let Some((_, oldest)) = self.uses.first_key_value() else { return };
            let oldest = Arc::clone(oldest);
            self.remove(&oldest);
        }
        self.bytes += weight;
        self.uses.insert(self.next_use, Arc::clone(key));
        let entry =
            Entry { answer: answer.clone(), since: now, until: now + lifetime, last_use: self.next_use };
        self.next_use += 1;
        self.entries.insert(Arc::clone(key), entry);
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::new(self.limits);
    }

    /// How many answers there are, and about how many bytes they take.
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.entries.len(), self.bytes)
    }

    fn remove(&mut self, key: &Key) {
        if let Some(entry) = self.entries.remove(key) {
            self.uses.remove(&entry.last_use);
            self.bytes -= weight(key, &entry.answer);
        }
    }
}

/// What the maps take for an entry besides is about as much again as the key.
fn weight(key: &Key, answer: &Answer) -> usize {
    answer.weight() + key.name.len() + size_of::<Key>() + size_of::<Entry>() + 64
}
