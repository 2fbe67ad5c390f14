//! Values with their places, and what they are read as.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use pontoon_model::Diagnose;

use crate::duration;
use crate::error::Fault;
use crate::report::Report;
use crate::schema::below;
use crate::yaml::{Mark, Node};

/// A node and what it is called: `services.web.ports`.
///
/// That each is of the kind that its place needs was checked before; what is not counts as not there.
#[derive(Debug, Clone)]
pub(super) struct At<'a> {
    pub(super) node: &'a Node,
    pub(super) place: String,
}

impl<'a> At<'a> {
    /// The value of `key`, unless it is null.
    pub(super) fn get(&self, key: &str) -> Option<At<'a>> {
        self.node.get(key).map(|node| At { node, place: below(&self.place, key) })
    }

    /// The items of a list that are not null.
    pub(super) fn items(&self) -> Vec<At<'a>> {
        let items = self.node.as_list().unwrap_or_default().iter().enumerate();
        let items = items.filter(|(_, node)| !node.is_null());
        items.map(|(number, node)| At { node, place: format!("{}[{number}]", self.place) }).collect()
    }

    /// The items of the list at `key`.
    pub(super) fn items_of(&self, key: &str) -> Vec<At<'a>> {
        self.get(key).map_or_else(Vec::new, |list| list.items())
    }

    /// Keys, where they are, and values, which may be null.
    pub(super) fn entries(&self) -> Vec<(&'a str, &'a Mark, At<'a>)> {
        let entries = self.node.entries().iter();
        let at =
            |entry: &'a crate::yaml::Entry| At { node: &entry.node, place: below(&self.place, &entry.key) };
        entries.map(|entry| (entry.key.as_str(), &entry.at, at(entry))).collect()
    }

    /// The entries of the mapping at `key`.
    pub(super) fn entries_of(&self, key: &str) -> Vec<(&'a str, &'a Mark, At<'a>)> {
        self.get(key).map_or_else(Vec::new, |map| map.entries())
    }

    pub(super) fn text(&self) -> Option<&'a str> {
        self.node.as_text()
    }

    /// The text at `key`, unless it is empty.
    pub(super) fn text_of(&self, key: &str) -> Option<&'a str> {
        self.node.get(key).and_then(Node::as_text).filter(|text| !text.is_empty())
    }

    /// The texts of a list at `key`.
    pub(super) fn texts_of(&self, key: &str) -> Vec<String> {
        self.items_of(key).iter().filter_map(At::text).map(str::to_owned).collect()
    }

    /// The texts of a mapping at `key`; null is an empty one.
    pub(super) fn pairs_of(&self, key: &str) -> BTreeMap<String, String> {
        let entries = self.entries_of(key).into_iter();
        entries.map(|(key, _, at)| (key.to_owned(), at.text().unwrap_or_default().to_owned())).collect()
    }

    /// Its name for messages.
    pub(super) fn quoted(&self) -> String {
        format!("`{}`", self.place)
    }

    /// That it is not `expected`.
    pub(super) fn is_not(&self, expected: impl Display) -> Fault {
        let given = self.text().unwrap_or_default().to_owned();
        Fault::Value { given, place: self.quoted(), expected: expected.to_string() }
    }
}

impl Report {
    /// What a text is read as, where all that can be said of another is what was expected.
    pub(super) fn value<T: FromStr>(&mut self, at: &At<'_>, expected: &str) -> Option<T> {
        let parsed = at.text()?.parse().map_err(|_| at.is_not(expected));
        self.take(&at.node.at, parsed)
    }

    /// What a text is read as by a part of Pontoon.
    pub(super) fn parsed<T: FromStr<Err: Diagnose>>(&mut self, at: &At<'_>) -> Option<T> {
        let parsed = at.text()?.parse().map_err(|error| Fault::refused(at.quoted(), &error));
        self.take(&at.node.at, parsed)
    }

    pub(super) fn boolean(&mut self, at: &At<'_>) -> Option<bool> {
        let boolean = match at.text()?.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "y" | "t" | "1" => Ok(true),
            "false" | "no" | "off" | "n" | "f" | "0" => Ok(false),
            _ => Err(at.is_not("a truth value: true or false")),
        };
        self.take(&at.node.at, boolean)
    }

    /// The truth value at `key`; false when it is not there.
    pub(super) fn flag(&mut self, at: &At<'_>, key: &str) -> bool {
        at.get(key).and_then(|at| self.boolean(&at)).unwrap_or(false)
    }

    /// The duration at `key`.
    pub(super) fn duration(&mut self, at: &At<'_>, key: &str) -> Option<Duration> {
        let at = at.get(key)?;
        let duration = duration::parse(at.text()?).ok_or_else(|| at.is_not("a duration such as 1m30s"));
        self.take(&at.node.at, duration)
    }
}
