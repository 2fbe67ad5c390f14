//! How a verb fails: what is said about it, and the exit code.

use std::io;

use pontoon_model::Diagnose;
use pontoon_model::diagnose::with_causes;

use crate::output;

/// Why a verb failed.
#[derive(Debug)]
pub(crate) struct Failure {
    reports: Vec<Report>,
    code: u8,
}

#[derive(Debug)]
struct Report {
    message: String,
    hint: Option<String>,
}

/// Broken pipe: nobody reads on. As a shell tells of the signal that other programs end by: 128 + SIGPIPE.
const BROKEN_PIPE: u8 = 141;

impl Failure {
    /// A failure in words.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { reports: vec![Report { message: message.into(), hint: None }], code: 1 }
    }

    /// Several, each with its hint; one at the least.
    pub(crate) fn all<E: Diagnose>(errors: &[E]) -> Self {
        let report = |error: &E| Report { message: with_causes(error), hint: error.hint() };
        Self { reports: errors.iter().map(report).collect(), code: 1 }
    }

    /// A command line that no parser could refuse.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(message).with_code(2)
    }

    /// A failure that is told already, or is all told by its exit code.
    pub(crate) fn silent(code: u8) -> Self {
        Self { reports: Vec::new(), code }
    }

    /// An operation on `what` that the system refused.
    pub(crate) fn io(what: impl std::fmt::Display, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::silent(BROKEN_PIPE),
            _ => Self::new(format!("{what}: {error}")),
        }
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        if let Some(last) = self.reports.last_mut() {
            last.hint = Some(hint.into());
        }
        self
    }

    /// Both.
    pub(crate) fn and(mut self, mut other: Self) -> Self {
        self.reports.append(&mut other.reports);
        self
    }

    pub(crate) fn with_code(mut self, code: u8) -> Self {
        self.code = code;
        self
    }

    /// Says it all on standard error; returns the exit code.
    pub(crate) fn tell(&self) -> u8 {
        for Report { message, hint } in &self.reports {
            output::error(message);
            if let Some(hint) = hint {
                output::hint(hint);
            }
        }
        self.code
    }

    /// What is said about it, without the hints.
    pub(crate) fn words(&self) -> String {
        self.reports.iter().map(|report| report.message.as_str()).collect::<Vec<_>>().join("; ")
    }
}

impl<E: Diagnose> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { reports: vec![Report { message: with_causes(&error), hint: error.hint() }], code: 1 }
    }
}

/// Does one thing for each name, also when it fails for some; tells of all that failed.
pub(crate) fn each(
    names: &[String],
    mut act: impl FnMut(&str) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut failed: Option<Failure> = None;
    for name in names {
        let Err(mut failure) = act(name) else { continue };
        match &mut failed {
            Some(before) => before.reports.append(&mut failure.reports),
            None => failed = Some(failure),
        }
    }
    failed.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Layer(&'static str, #[source] Option<Box<Layer>>);

    #[test]
    fn causes_are_joined_and_repetitions_left_out() {
        let error = Layer(
            "could not open the door",
            Some(Box::new(Layer("the door", Some(Box::new(Layer("locked", None)))))),
        );
        assert_eq!(with_causes(&error), "could not open the door: locked");
    }

    #[test]
    fn every_name_is_tried() {
        let names = ["a", "b", "c"].map(str::to_owned);
        let mut seen = String::new();
        let failure = each(&names, |name| {
            seen.push_str(name);
            if name == "c" { Ok(()) } else { Err(Failure::new(format!("no {name}"))) }
        });
        assert_eq!((seen.as_str(), failure.expect_err("two failed").words().as_str()), ("abc", "no a; no b"));
    }
}
