//! What is found wrong, and what is not done, as it is found.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Caution, ComposeError, Fault, Warning};
use crate::interpolate::Variables;
use crate::yaml::Mark;

/// Variables and their values.
pub(crate) type Environment = BTreeMap<String, String>;

/// Errors and warnings so far.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) errors: Vec<ComposeError>,
    pub(crate) warnings: Vec<Warning>,
    unset: BTreeSet<String>,
}

impl Report {
    /// Notes an error, once.
    pub(crate) fn error(&mut self, at: &Mark, fault: Fault) {
        self.push(fault.at(at));
    }

    /// Notes an error that has its place.
    pub(crate) fn push(&mut self, error: ComposeError) {
        if !self.errors.contains(&error) {
            self.errors.push(error);
        }
    }

    /// What a step made, having noted its error.
    pub(crate) fn take<T>(&mut self, at: &Mark, result: Result<T, Fault>) -> Option<T> {
        result.map_err(|fault| self.error(at, fault)).ok()
    }

    /// Notes a warning.
    pub(crate) fn warn(&mut self, at: &Mark, caution: Caution) {
        self.warnings.push(Warning { at: at.into(), caution });
    }

    /// Notes that `key` of `of` is not done, in one warning for all that have it and for the same reason.
    pub(crate) fn not_done(&mut self, at: &Mark, key: &str, of: &str, why: &str) {
        let same = self.warnings.iter_mut().find_map(|warning| match &mut warning.caution {
            Caution::NotDone { key: other, of, why: reason } if other == key && reason == why => Some(of),
            _ => None,
        });
        match same {
            Some(names) if names.iter().any(|name| name == of) => {}
            Some(names) => names.push(of.to_owned()),
            None => {
                let (key, of, why) = (key.to_owned(), vec![of.to_owned()], why.to_owned());
                self.warn(at, Caution::NotDone { key, of, why });
            }
        }
    }
}

/// Variables for a value at a place; one that is not set is warned of once.
pub(crate) struct Scope<'a> {
    pub(crate) environment: &'a Environment,
    pub(crate) report: &'a mut Report,
    pub(crate) at: &'a Mark,
}

impl Variables for Scope<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str)
    }

    fn unset(&mut self, name: &str) {
        if self.report.unset.insert(name.to_owned()) {
            self.report.warn(self.at, Caution::UnsetVariable(name.to_owned()));
        }
    }
}
