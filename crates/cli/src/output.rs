//! What is printed, and in which colours: results on standard output, everything else on standard error.

use std::fmt::Display;
use std::io::Write as _;

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use crate::failure::Failure;

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default().bold();

/// Prints a result.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| Failure::io("could not write the output", &error))
}

/// Prints one line of a result.
pub(crate) fn line(text: impl Display) -> Result<(), Failure> {
    print(&format!("{text}\n"))
}

pub(crate) fn error(text: &str) {
    labelled(ERROR, "error", text);
}

pub(crate) fn hint(text: &str) {
    labelled(HINT, "hint", text);
}

/// What went differently; a second line says what a person can do about it.
pub(crate) fn warning(text: &str) {
    let (text, advice) = text.split_once('\n').unwrap_or((text, ""));
    labelled(WARNING, "warning", text);
    if !advice.is_empty() {
        hint(advice);
    }
}

/// What is told to programs, over several lines.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Failure> {
    line(serde_json::to_string_pretty(value).expect("reports are made of names, numbers and texts"))
}

/// Something said beside the result.
pub(crate) fn note(text: &str) {
    let _ = anstream::stderr().write_all(text.as_bytes());
}

fn labelled(style: Style, label: &str, text: &str) {
    // Whoever closed standard error does not want to know.
    let _ = writeln!(anstream::stderr(), "{style}{label}:{style:#} {text}");
}

/// Prints a text with colours in it, for as far as standard output takes them.
pub(crate) fn coloured(text: &str) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| Failure::io("could not write the output", &error))
}
