//! What can be wrong with a filter.

use pontoon_model::Diagnose;

/// A `--filter` that could not be understood.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum FilterError {
    /// There is no `=`.
    #[error("filter `{given}` is not of the form key=value")]
    NoValue {
        /// What was given.
        given: String,
    },
    /// The verb does not know the key.
    #[error("unknown filter key `{key}`")]
    UnknownKey {
        /// The key.
        key: String,
        /// Keys that are written almost like it.
        near: Vec<String>,
        /// Every key that the verb knows.
        known: Vec<&'static str>,
    },
    /// The key does not take this value.
    #[error("filter `{key}={value}`: the value must be {want}")]
    BadValue {
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
        /// What it takes.
        want: String,
        /// Values that are written almost like it.
        near: Vec<String>,
    },
    /// The value is no regular expression.
    #[error("filter `{key}={pattern}` is not a regular expression: {reason}")]
    BadPattern {
        /// The key.
        key: &'static str,
        /// The expression.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A key that takes one value has two different ones.
    #[error("filter `{key}` is given with two different values")]
    Contradiction {
        /// The key.
        key: &'static str,
    },
}

impl Diagnose for FilterError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoValue { .. } => "filter-syntax",
            Self::UnknownKey { .. } => "filter-unknown-key",
            Self::BadValue { .. } | Self::BadPattern { .. } => "filter-bad-value",
            Self::Contradiction { .. } => "filter-contradiction",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoValue { given } => {
                Some(format!("write `--filter {given}=VALUE`, or `--filter name={given}`"))
            }
            Self::UnknownKey { near, .. } | Self::BadValue { near, .. } if !near.is_empty() => {
                let quoted: Vec<String> = near.iter().map(|word| format!("`{word}`")).collect();
                Some(format!("did you mean {}?", quoted.join(" or ")))
            }
            Self::UnknownKey { known, .. } => Some(format!("the keys are {}", known.join(", "))),
            Self::BadValue { .. } => None,
            Self::BadPattern { .. } => Some("put `\\` before a character that shall stand for itself".into()),
            Self::Contradiction { key } => Some(format!("give `{key}` once")),
        }
    }
}
