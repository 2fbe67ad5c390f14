//! What an object has, for a filter to look at.

use std::borrow::Cow;
use std::time::SystemTime;

use serde_json::Value;

use super::moment::{self, Nanos};

/// What an object has for one key.
#[derive(Debug, Clone, PartialEq)]
pub enum Subject<'v> {
    /// Nothing.
    Absent,
    /// One text.
    Text(Cow<'v, str>),
    /// Several texts, any of which may match.
    Texts(Vec<Cow<'v, str>>),
    /// Yes or no.
    Bool(bool),
    /// Labels.
    Labels(Vec<(Cow<'v, str>, Cow<'v, str>)>),
    /// A time.
    Time(SystemTime),
}

impl<'v> Subject<'v> {
    /// One text.
    pub fn text(text: impl Into<Cow<'v, str>>) -> Self {
        Self::Text(text.into())
    }

    /// Labels, as keys and values.
    pub fn labels<K: Into<Cow<'v, str>>, V: Into<Cow<'v, str>>>(
        labels: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        Self::Labels(labels.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }

    pub(super) fn from_json(value: &'v Value) -> Self {
        match value {
            Value::Null => Self::Absent,
            Value::Bool(bool) => Self::Bool(*bool),
            Value::Array(items) => Self::Texts(items.iter().map(plain).collect()),
            Value::Object(map) => Self::labels(map.iter().map(|(key, value)| (key.as_str(), plain(value)))),
            Value::Number(_) | Value::String(_) => Self::Text(plain(value)),
        }
    }

    /// Whether one of its texts passes.
    pub(super) fn any_text(&self, passes: impl Fn(&str) -> bool) -> bool {
        match self {
            Self::Text(text) => passes(text),
            Self::Texts(texts) => texts.iter().any(|text| passes(text)),
            _ => false,
        }
    }

    /// Whether it holds, when it is yes or no, in JSON or as text.
    pub(super) fn bool(&self) -> Option<bool> {
        match self {
            Self::Bool(bool) => Some(*bool),
            Self::Text(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// The value of a label.
    pub(super) fn label(&self, wanted: &str) -> Option<&str> {
        match self {
            Self::Labels(labels) => {
                labels.iter().find(|(key, _)| key == wanted).map(|(_, value)| value.as_ref())
            }
            _ => None,
        }
    }

    /// The time, when it is one, or a text that tells one.
    pub(super) fn time(&self) -> Option<Nanos> {
        match self {
            Self::Time(time) => Some(moment::of_time(*time)),
            Self::Text(text) => moment::absolute(text),
            _ => None,
        }
    }
}

fn plain(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => Cow::Borrowed(text),
        other => Cow::Owned(other.to_string()),
    }
}
