//! What is otherwise than it was, said as the file would say it.

use std::fmt;

use serde::Serialize;

/// A key of the file whose value is not what it was, or another reason in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The key, as the file has it; with a network's name before it where it is of a place on that. With neither value,
    /// a reason.
    pub key: String,
    /// What it was; empty for nothing.
    pub before: String,
    /// What it is to be.
    pub after: String,
}

impl Difference {
    /// A difference, if there is one.
    pub(super) fn between(key: &str, before: impl Into<String>, after: impl Into<String>) -> Option<Self> {
        let (before, after) = (before.into(), after.into());
        (before != after).then(|| Self { key: key.to_owned(), before, after })
    }

    /// A reason that is not in the file.
    pub(super) fn reason(text: String) -> Self {
        Self { key: text, before: String::new(), after: String::new() }
    }
}

/// `ipv4_address 10.0.0.5 → 10.0.0.6`
impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.before.is_empty() && self.after.is_empty() {
            return f.write_str(&self.key);
        }
        let shown = |text: &str| if text.is_empty() { "nothing".to_owned() } else { text.to_owned() };
        write!(f, "{} {} → {}", self.key, shown(&self.before), shown(&self.after))
    }
}

/// Several values, as one text.
pub(super) fn list<T: fmt::Display>(values: impl IntoIterator<Item = T>) -> String {
    values.into_iter().map(|value| value.to_string()).collect::<Vec<_>>().join(", ")
}
