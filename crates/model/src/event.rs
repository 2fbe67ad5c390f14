//! What happened, in Docker's shape where Docker has one: a line of JSON for each event.
//!
//! Source: the `EventMessage` schema of Docker's Engine API, <https://docs.docker.com/reference/api/engine/>, and what
//! `docker events --format json` prints.

mod of;

use std::collections::BTreeMap;
use std::fmt;

use crate::Diagnose;

/// What something happened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A network.
    Network,
    /// A container, Pontoon's or somebody else's namespace.
    Container,
    /// A container's place on a network.
    Endpoint,
    /// A published port.
    Port,
    /// A cable between two containers, or a container and the host.
    Cable,
    /// Something of the host: a switch, a table, a route.
    Host,
    /// The daemon.
    Daemon,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Network, Self::Container, Self::Endpoint, Self::Port, Self::Cable, Self::Host, Self::Daemon];

    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Container => "container",
            Self::Endpoint => "endpoint",
            Self::Port => "port",
            Self::Cable => "cable",
            Self::Host => "host",
            Self::Daemon => "daemon",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// What happened to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// It was made.
    Create,
    /// It was removed.
    Destroy,
    /// A container was connected to it.
    Connect,
    /// A container was disconnected from it.
    Disconnect,
    /// A container that its engine started anew is on it as before; of a cable, that it is there as before.
    Reconnect,
    /// It has another subnet.
    Renumber,
    /// Its process runs.
    Start,
    /// Its process has ended.
    Die,
    /// Its checks say otherwise than before whether it is well.
    #[serde(rename = "health_status")]
    Health,
    /// The daemon ends.
    Stop,
    /// It leads to a container.
    Publish,
    /// It leads nowhere any more.
    Unpublish,
    /// Somebody changed or removed what is Pontoon's.
    Drift,
    /// It is again as it should be.
    Repair,
    /// Something of the host's overlaps with it.
    Conflict,
    /// Nine of ten of its addresses are taken.
    PoolLow,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::Create,
        Self::Destroy,
        Self::Connect,
        Self::Disconnect,
        Self::Reconnect,
        Self::Renumber,
        Self::Start,
        Self::Die,
        Self::Health,
        Self::Stop,
        Self::Publish,
        Self::Unpublish,
        Self::Drift,
        Self::Repair,
        Self::Conflict,
        Self::PoolLow,
    ];

    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Destroy => "destroy",
            Self::Connect => "connect",
            Self::Disconnect => "disconnect",
            Self::Reconnect => "reconnect",
            Self::Renumber => "renumber",
            Self::Start => "start",
            Self::Die => "die",
            Self::Health => "health_status",
            Self::Stop => "stop",
            Self::Publish => "publish",
            Self::Unpublish => "unpublish",
            Self::Drift => "drift",
            Self::Repair => "repair",
            Self::Conflict => "conflict",
            Self::PoolLow => "pool-low",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// Whom it happened to, and how.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Actor {
    /// Its id; for what has none, its name.
    #[serde(rename = "ID")]
    pub id: String,
    /// What else is known, by name. An object's labels are among them, as with Docker.
    #[serde(rename = "Attributes", default)]
    pub attributes: BTreeMap<String, String>,
}

/// Something that happened, before it is said when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    kind: Kind,
    action: Action,
    actor: Actor,
}

impl News {
    /// What happened to an object.
    pub fn new(kind: Kind, action: Action, id: impl Into<String>) -> Self {
        Self { kind, action, actor: Actor { id: id.into(), attributes: BTreeMap::new() } }
    }

    /// With one more attribute; the last of a name stays.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl fmt::Display) -> Self {
        self.actor.attributes.insert(key.to_owned(), value.to_string());
        self
    }

    /// With one more attribute, if there is a value.
    #[must_use]
    pub fn with_some(self, key: &str, value: Option<impl fmt::Display>) -> Self {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }

    /// With labels. Attributes of the same names that follow replace them.
    #[must_use]
    pub fn with_labels(mut self, labels: &BTreeMap<String, String>) -> Self {
        self.actor.attributes.extend(labels.iter().map(|(key, value)| (key.clone(), value.clone())));
        self
    }

    /// The event, at a time in nanoseconds since 1970 (UTC).
    pub fn at(self, nanoseconds: i64) -> Event {
        let Self { kind, action, actor } = self;
        let scope = String::from(LOCAL);
        Event { kind, action, actor, scope, time: nanoseconds.div_euclid(SECOND), time_nano: nanoseconds }
    }
}

/// The scope of everything on this host.
const LOCAL: &str = "local";
const SECOND: i64 = 1_000_000_000;

/// An event.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Event {
    /// What it happened to.
    #[serde(rename = "Type")]
    pub kind: Kind,
    /// What happened.
    #[serde(rename = "Action")]
    pub action: Action,
    /// Whom it happened to, and how.
    #[serde(rename = "Actor")]
    pub actor: Actor,
    /// `local`: of this host. Kept for Docker's sake.
    #[serde(default = "local")]
    pub scope: String,
    /// When: seconds since 1970 (UTC).
    pub time: i64,
    /// When: nanoseconds since 1970 (UTC).
    #[serde(rename = "timeNano")]
    pub time_nano: i64,
}

fn local() -> String {
    LOCAL.to_owned()
}

/// How long a line is at the most. Attributes, the longest first, are left out of an event that would be longer: labels
/// may be as long as a command line.
pub const LONGEST_LINE: usize = 65_536;

/// How every line begins.
const BEGINNING: &[u8] = b"{\"Type\":\"";

/// Why a line is not an event.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// It is no JSON of an event's shape.
    #[error("it is not an event")]
    Malformed(#[source] serde_json::Error),
}

impl Diagnose for EventError {
    fn code(&self) -> &'static str {
        "event-malformed"
    }
}

impl Event {
    /// Reads one line.
    ///
    /// # Errors
    ///
    /// If it is no event, or one of a kind that only a later Pontoon knows.
    pub fn parse(line: &[u8]) -> Result<Self, EventError> {
        serde_json::from_slice(line).map_err(EventError::Malformed)
    }

    /// The event that a line ends with which begins with a piece of another: where that one's writer was cut short.
    pub fn parse_last(line: &[u8]) -> Option<Self> {
        // Within an event this may stand once more, before its attributes; what follows is no event then.
        let starts = line.windows(BEGINNING.len()).enumerate().filter(|(_, window)| *window == BEGINNING);
        starts.filter_map(|(start, _)| Self::parse(&line[start..]).ok()).next()
    }

    /// The line, with its end.
    pub fn line(&self) -> String {
        let mut line = self.json();
        let mut shorter = None;
        while line.len() >= LONGEST_LINE {
            let event: &mut Self = shorter.get_or_insert_with(|| self.clone());
            let longest = event.actor.attributes.iter().max_by_key(|(key, value)| key.len() + value.len());
            let Some(longest) = longest.map(|(key, _)| key.clone()) else { break };
            event.actor.attributes.remove(&longest);
            line = event.json();
        }
        line.push('\n');
        line
    }

    fn json(&self) -> String {
        serde_json::to_string(self).expect("texts and numbers are JSON")
    }

    /// An attribute.
    pub fn attribute(&self, key: &str) -> Option<&str> {
        self.actor.attributes.get(key).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_is_as_docker_prints_it() {
        let news =
            News::new(Kind::Network, Action::Connect, "abc").with("type", "bridge").with("name", "blue");
        let line = news.with_some("ip6", None::<&str>).at(1_700_000_000_123_456_789).line();
        let expected = r#"{"Type":"network","Action":"connect","Actor":{"ID":"abc","Attributes":{"name":"blue","type":"bridge"}},"scope":"local","time":1700000000,"timeNano":1700000000123456789}"#;
        assert_eq!(line, format!("{expected}\n"));
        assert!(line.as_bytes().starts_with(BEGINNING));
    }

    #[test]
    fn words_are_those_of_the_lines() {
        for kind in Kind::ALL {
            assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{kind}\""));
        }
        for action in Action::ALL {
            assert_eq!(serde_json::to_string(&action).unwrap(), format!("\"{action}\""));
        }
    }

    #[test]
    fn what_a_later_pontoon_says_is_no_event_yet() {
        let line = r#"{"Type":"network","Action":"teleport","Actor":{"ID":"a"},"time":1,"timeNano":1}"#;
        assert_eq!(Event::parse(line.as_bytes()).unwrap_err().code(), "event-malformed");
        assert!(Event::parse(line.replace("teleport", "create").as_bytes()).is_ok());
    }

    #[test]
    fn a_label_too_long_is_left_out() {
        let news = News::new(Kind::Container, Action::Start, "abc").with("name", "web");
        let line = news.with("huge", "\n".repeat(LONGEST_LINE)).with("small", "1").at(0).line();
        let event = Event::parse(line.as_bytes()).unwrap();
        assert_eq!((event.attribute("huge"), event.attribute("small")), (None, Some("1")));
        assert_eq!(event.attribute("name"), Some("web"));
    }

    proptest! {
        /// Whatever the names and labels are, an event is one line that reads back as it was, also behind a piece of
        /// another.
        #[test]
        fn events_are_lines(
            kind in 0..Kind::ALL.len(), action in 0..Action::ALL.len(), id in ".*",
            attributes in prop::collection::btree_map("Type|.*", any::<String>(), 0..6), time: i64, cut: prop::sample::Index,
        ) {
            let news = News::new(Kind::ALL[kind], Action::ALL[action], id).with_labels(&attributes);
            let event = news.at(time);
            let line = event.line();
            prop_assert_eq!(line.find('\n'), Some(line.len() - 1));
            prop_assert_eq!(&Event::parse(line.as_bytes()).unwrap(), &event);
            let torn = [&line.as_bytes()[..cut.index(line.len() - 1)], line.as_bytes()].concat();
            prop_assert_eq!(Event::parse_last(&torn), Some(event));
        }
    }
}
