//! The functions of a template: Go's and those that Docker adds.
//!
//! Sources: "Functions" in the documentation of Go's `text/template`; `basicFunctions` and `HeaderFunctions` in
//! docker/cli's templates/templates.go.

use std::borrow::Cow;

use super::compare;
use super::error::Fault;
use super::printf;
use super::text;
use super::value::Val;

/// Every function that a template can call.
pub(super) const NAMES: [&str; 23] = [
    "and", "eq", "ge", "gt", "index", "join", "json", "le", "len", "lower", "lt", "ne", "not", "or", "pad",
    "print", "printf", "println", "slice", "split", "title", "truncate", "upper",
];

/// The truth at which `and` and `or` stop looking at further arguments; none for other functions.
pub(super) fn short_circuit(name: &str) -> Option<bool> {
    match name {
        "and" => Some(false),
        "or" => Some(true),
        _ => None,
    }
}

/// Whether the function gives a heading back as it is.
pub(super) fn leaves_headings(name: &str) -> bool {
    matches!(name, "json" | "split" | "join" | "title" | "lower" | "upper" | "truncate")
}

/// Calls a function on arguments that are all known, and refuses a result that is too long.
pub(super) fn call<'v>(name: &str, given: &[Val<'v>]) -> Result<Val<'v>, Fault> {
    let value = compute(name, given)?;
    match &value {
        Val::Text(text) => text::check_length(text.len()).map(|()| value),
        _ => Ok(value),
    }
}

fn compute<'v>(name: &str, given: &[Val<'v>]) -> Result<Val<'v>, Fault> {
    let arguments = Arguments { function: name, given };
    match name {
        "json" => arguments.exactly(1, "1").map(|()| owned(given[0].to_json())),
        "not" => arguments.exactly(1, "1").map(|()| Val::Bool(!given[0].is_true())),
        "len" => {
            arguments.exactly(1, "1")?;
            Ok(Val::Int(given[0].length()? as i128))
        }
        "eq" | "ne" | "lt" | "le" | "gt" | "ge" => arguments.compare(),
        "index" => arguments.index(),
        "slice" => arguments.slice(),
        "print" => text::print(given).map(owned),
        "println" => text::println(given).map(owned),
        "printf" => {
            arguments.at_least(1, "at least 1")?;
            printf::sprintf(arguments.text(0)?, &given[1..]).map(owned)
        }
        "lower" => arguments.change_case(str::to_lowercase),
        "upper" => arguments.change_case(str::to_uppercase),
        "title" => arguments.change_case(text::title),
        _ => arguments.docker(),
    }
}

fn owned<'v>(text: String) -> Val<'v> {
    Val::Text(Cow::Owned(text))
}

struct Arguments<'a, 'v> {
    function: &'a str,
    given: &'a [Val<'v>],
}

impl<'v> Arguments<'_, 'v> {
    fn exactly(&self, count: usize, want: &'static str) -> Result<(), Fault> {
        if self.given.len() == count { Ok(()) } else { Err(self.count(want)) }
    }

    fn at_least(&self, count: usize, want: &'static str) -> Result<(), Fault> {
        if self.given.len() >= count { Ok(()) } else { Err(self.count(want)) }
    }

    fn count(&self, want: &'static str) -> Fault {
        Fault::ArgumentCount { function: self.function.to_owned(), want, got: self.given.len() }
    }

    fn text(&self, index: usize) -> Result<&str, Fault> {
        match &self.given[index] {
            Val::Text(text) => Ok(text),
            other => Err(self.wrong("a string", other)),
        }
    }

    fn int(&self, index: usize) -> Result<i128, Fault> {
        match &self.given[index] {
            Val::Int(int) => Ok(*int),
            other => Err(self.wrong("a whole number", other)),
        }
    }

    fn wrong(&self, want: &'static str, got: &Val<'_>) -> Fault {
        Fault::ArgumentType { function: self.function.to_owned(), want, kind: got.kind() }
    }

    /// An index or bound up to and including `length`.
    fn bound(&self, index: usize, length: usize) -> Result<usize, Fault> {
        let bound = self.int(index)?;
        usize::try_from(bound)
            .ok()
            .filter(|at| *at <= length)
            .ok_or(Fault::OutOfRange { index: bound, length })
    }

    fn change_case(&self, change: impl Fn(&str) -> String) -> Result<Val<'v>, Fault> {
        self.exactly(1, "1")?;
        self.text(0).map(|text| owned(change(text)))
    }

    fn compare(&self) -> Result<Val<'v>, Fault> {
        if self.function == "eq" {
            self.at_least(2, "at least 2")?;
            return compare::equals_any(&self.given[0], &self.given[1..]).map(Val::Bool);
        }
        self.exactly(2, "2")?;
        compare::holds(self.function, &self.given[0], &self.given[1]).map(Val::Bool)
    }

    fn index(&self) -> Result<Val<'v>, Fault> {
        self.at_least(1, "at least 1")?;
        let mut value = self.given[0].clone();
        for at in 1..self.given.len() {
            value = self.index_once(&value, at)?;
        }
        Ok(value)
    }

    fn index_once(&self, value: &Val<'v>, at: usize) -> Result<Val<'v>, Fault> {
        match value {
            Val::Map(map, open) => Ok(match map.get(self.text(at)?) {
                Some(found) => Val::from_json(found, false),
                None if *open => Val::Text(Cow::Borrowed("")),
                None => Val::Absent,
            }),
            Val::Text(text) => {
                self.element(at, text.len()).map(|at| Val::Int(i128::from(text.as_bytes()[at])))
            }
            Val::Array(items) => self.element(at, items.len()).map(|at| Val::from_json(&items[at], false)),
            Val::List(items) => self.element(at, items.len()).map(|at| items[at].clone()),
            other => Err(self.wrong("a list, an object or a string", other)),
        }
    }

    /// An index below `length`.
    fn element(&self, index: usize, length: usize) -> Result<usize, Fault> {
        let at = self.bound(index, length)?;
        if at < length { Ok(at) } else { Err(Fault::OutOfRange { index: at as i128, length }) }
    }

    fn slice(&self) -> Result<Val<'v>, Fault> {
        self.at_least(1, "1 to 3")?;
        if self.given.len() > 3 {
            return Err(self.count("1 to 3"));
        }
        let sliced = &self.given[0];
        if !matches!(sliced, Val::Text(_) | Val::Array(_) | Val::List(_)) {
            return Err(self.wrong("a string or a list", sliced));
        }
        let length = sliced.length()?;
        let start = if self.given.len() > 1 { self.bound(1, length)? } else { 0 };
        let end = if self.given.len() > 2 { self.bound(2, length)? } else { length };
        if start > end {
            return Err(Fault::BackwardSlice { start, end });
        }
        Ok(match sliced {
            Val::Array(items) => Val::Array(&items[start..end]),
            Val::List(items) => Val::List(items[start..end].into()),
            _ => owned(text::slice(self.text(0)?, start, end)?),
        })
    }

    /// The functions that Docker adds and that take more than one argument.
    fn docker(&self) -> Result<Val<'v>, Fault> {
        match self.function {
            "split" => {
                self.exactly(2, "2")?;
                let parts = text::split(self.text(0)?, self.text(1)?)?;
                Ok(Val::List(parts.into_iter().map(owned).collect()))
            }
            "join" => {
                self.exactly(2, "2")?;
                let items = self.given[0].elements().ok_or_else(|| self.wrong("a list", &self.given[0]))?;
                text::join(&items, self.text(1)?).map(owned)
            }
            "pad" => {
                self.exactly(3, "3")?;
                text::pad(self.text(0)?, self.int(1)?, self.int(2)?).map(owned)
            }
            "truncate" => {
                self.exactly(2, "2")?;
                text::truncate(self.text(0)?, self.int(1)?).map(owned)
            }
            unknown => Err(Fault::UndefinedFunction { name: unknown.to_owned(), near: Vec::new() }),
        }
    }
}
