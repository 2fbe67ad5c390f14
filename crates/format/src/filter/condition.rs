//! One value of a filter, ready to be held against objects.

use std::time::SystemTime;

use pontoon_model::diagnose::near;
use regex_lite::Regex;

use super::error::FilterError;
use super::moment::{self, Nanos};
use super::subject::Subject;
use super::{Key, Kind};

#[derive(Debug, Clone)]
pub(super) enum Condition {
    Exact(String),
    Bool(bool),
    Name { whole: String, pattern: Regex },
    Prefix(String),
    Label { key: String, value: Option<String>, present: bool },
    Before(Nanos),
}

impl PartialEq for Condition {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Bool(left), Self::Bool(right)) => left == right,
            (Self::Before(left), Self::Before(right)) => left == right,
            _ => false,
        }
    }
}

impl Condition {
    pub(super) fn parse(key: Key, value: &str, now: SystemTime) -> Result<Self, FilterError> {
        match key.kind {
            Kind::Exact => Ok(Self::Exact(value.to_owned())),
            Kind::OneOf(words) => one_of(key, value, words),
            Kind::Bool => match value {
                "true" | "1" => Ok(Self::Bool(true)),
                "false" | "0" => Ok(Self::Bool(false)),
                _ => Err(bad(key, value, "`true` (or `1`) or `false` (or `0`)", &["true", "false"])),
            },
            Kind::Name => name(key, value),
            Kind::Prefix => Ok(Self::Prefix(value.to_owned())),
            Kind::Label | Kind::NotLabel => label(key, value),
            Kind::Until => moment::parse(value, now).map(Self::Before).ok_or_else(|| {
                bad(key, value, "an age like `24h`, a time like `2024-01-31T12:00:00Z`, or Unix seconds", &[])
            }),
        }
    }

    pub(super) fn passes(&self, subject: &Subject<'_>) -> bool {
        match self {
            Self::Exact(wanted) => subject.any_text(|text| text == wanted),
            Self::Bool(wanted) => subject.bool() == Some(*wanted),
            Self::Name { whole, pattern } => subject.any_text(|text| text == whole || pattern.is_match(text)),
            Self::Prefix(wanted) => subject.any_text(|text| text.starts_with(&wanted[..])),
            Self::Label { key, value, present } => {
                let found = subject.label(key);
                let has = found.is_some_and(|found| value.as_ref().is_none_or(|wanted| wanted == found));
                has == *present
            }
            Self::Before(cutoff) => subject.time().is_some_and(|time| time < *cutoff),
        }
    }
}

fn one_of(key: Key, value: &str, words: &[&str]) -> Result<Condition, FilterError> {
    if words.contains(&value) {
        return Ok(Condition::Exact(value.to_owned()));
    }
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    Err(bad(key, value, &quoted.join(" or "), words))
}

fn name(key: Key, value: &str) -> Result<Condition, FilterError> {
    let unslashed = value.strip_prefix("^/").or_else(|| value.strip_prefix('/'));
    let pattern = unslashed.map_or_else(|| value.to_owned(), |rest| format!("^{rest}"));
    match Regex::new(&pattern) {
        Ok(pattern) => Ok(Condition::Name { whole: unslashed.unwrap_or(value).to_owned(), pattern }),
        Err(error) => {
            let reason = error.to_string();
            Err(FilterError::BadPattern { key: key.name, pattern: value.to_owned(), reason })
        }
    }
}

fn label(key: Key, value: &str) -> Result<Condition, FilterError> {
    let (label, wanted) = match value.split_once('=') {
        Some((label, wanted)) => (label, Some(wanted.to_owned())),
        None => (value, None),
    };
    if label.is_empty() {
        return Err(bad(key, value, "KEY or KEY=VALUE", &[]));
    }
    Ok(Condition::Label { key: label.to_owned(), value: wanted, present: key.kind == Kind::Label })
}

fn bad(key: Key, value: &str, want: &str, words: &[&str]) -> FilterError {
    let near = near(value, words.iter().copied()).into_iter().map(str::to_owned).collect();
    FilterError::BadValue { key: key.name, value: value.to_owned(), want: want.to_owned(), near }
}
