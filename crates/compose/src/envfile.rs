//! Environment files: `.env`, and those of `env_file`.
//!
//! Source: <https://docs.docker.com/compose/how-tos/environment-variables/variable-interpolation/#env-file-syntax>.

use std::rc::Rc;

use crate::error::Fault;
use crate::interpolate;
use crate::report::{Environment, Report, Scope};
use crate::yaml::Mark;

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// With quotes, comments and variables.
    Usual,
    /// Everything behind the first `=` is the value, as it stands.
    Raw,
}

/// Adds the variables of a file to `into`. `outside` comes before them where a value has variables, and gives those that
/// stand without a value; one that it lacks is left out.
pub(crate) fn read(
    text: &str,
    file: &str,
    format: Format,
    outside: &Environment,
    into: &mut Environment,
    report: &mut Report,
) {
    let mut reader = Reader { rest: text, line: 1, file: file.into() };
    while let Some(assignment) = reader.assignment(format) {
        let (at, assignment) = assignment;
        let Some((key, value)) = report.take(&at, assignment) else { continue };
        let value = match value {
            Value::Outside => outside.get(&key).cloned(),
            Value::Literal(text) => Some(text),
            Value::Variables(text) => {
                let mut known = into.clone();
                known.extend(outside.clone());
                let result = {
                    let mut scope = Scope { environment: &known, report, at: &at };
                    interpolate::substitute(&text, &mut scope)
                };
                report.take(&at, result)
            }
        };
        if let Some(value) = value {
            into.insert(key, value);
        }
    }
}

/// What is behind a key.
enum Value {
    /// Nothing, not even `=`.
    Outside,
    /// A text that stands for itself.
    Literal(String),
    /// A text whose variables are to be replaced.
    Variables(String),
}

type Assignment = Result<(String, Value), Fault>;

struct Reader<'a> {
    rest: &'a str,
    line: usize,
    file: Rc<str>,
}

impl<'a> Reader<'a> {
    /// Takes so many bytes.
    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.line += taken.matches('\n').count();
        self.rest = rest;
        taken
    }

    /// Takes what is left of the line, with its end.
    fn line(&mut self) -> &'a str {
        let end = self.rest.find('\n').map_or(self.rest.len(), |at| at + 1);
        self.take(end)
    }

    /// The next assignment and where it is; `None` at the end.
    fn assignment(&mut self, format: Format) -> Option<(Mark, Assignment)> {
        loop {
            let blank = self.rest.len() - self.rest.trim_start().len();
            self.take(blank);
            match self.rest.chars().next()? {
                '#' => {
                    self.line();
                }
                _ => break,
            }
        }
        let at = Mark { file: Rc::clone(&self.file), line: self.line, column: 1 };
        let assignment = match format {
            Format::Usual => self.usual(),
            Format::Raw => self.raw(),
        };
        Some((at, assignment))
    }

    fn raw(&mut self) -> Assignment {
        let line = self.line().trim_end_matches(['\n', '\r']);
        match line.split_once('=') {
            Some((key, value)) => Ok((name(key)?, Value::Literal(value.to_owned()))),
            None => Ok((name(line.trim_end())?, Value::Outside)),
        }
    }

    fn usual(&mut self) -> Assignment {
        let line = self.rest.split('\n').next().unwrap_or_default();
        let key_end = line.find(['=', ':']).unwrap_or(line.len());
        let key = line[..key_end].trim();
        let key = key.strip_prefix("export ").unwrap_or(key).trim_start();
        if key_end == line.len() {
            self.line();
            let key = key.split_once(" #").map_or(key, |(key, _)| key);
            return Ok((name(key.trim_end())?, Value::Outside));
        }
        let key = name(key).inspect_err(|_| {
            self.line();
        })?;
        self.take(key_end + 1);
        let blank = self.rest.len() - self.rest.trim_start_matches([' ', '\t']).len();
        self.take(blank);
        let value = match self.rest.chars().next() {
            Some(quote @ ('"' | '\'')) => self.quoted(quote)?,
            _ => Value::Variables(bare(self.line())),
        };
        Ok((key, value))
    }

    /// A value in quotes, which may have line breaks in it, and the rest of its last line.
    fn quoted(&mut self, quote: char) -> Result<Value, Fault> {
        self.take(1);
        let Some(end) = closing(self.rest, quote) else {
            self.line();
            return Err(Fault::EnvLine("its closing quote is missing"));
        };
        let inside = self.take(end);
        self.take(1);
        let tail = self.line().trim();
        if !tail.is_empty() && !tail.starts_with('#') {
            return Err(Fault::EnvLine("only a comment can follow the closing quote"));
        }
        Ok(match quote {
            '\'' => Value::Literal(inside.replace("\\'", "'")),
            _ => Value::Variables(unescaped(inside)),
        })
    }
}

/// Where the quote is that is not behind a backslash.
fn closing(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return Some(at),
            _ => {}
        }
    }
    None
}

/// A value without quotes: up to a comment, without white space around it.
fn bare(line: &str) -> String {
    let value = line.trim_end();
    if value.starts_with('#') {
        return String::new();
    }
    let comment = value.find(" #").into_iter().chain(value.find("\t#")).min();
    value[..comment.unwrap_or(value.len())].trim_end().to_owned()
}

/// Replaces the escapes of double quotes; `\$` becomes `$$`, which stands for itself when variables are replaced.
fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('$') => out.push_str("$$"),
            Some(same @ ('"' | '\\')) => out.push(same),
            Some(other) => out.extend(['\\', other]),
            None => out.push('\\'),
        }
    }
    out
}

fn name(text: &str) -> Result<String, Fault> {
    let part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'[' | b']');
    if text.is_empty() {
        return Err(Fault::EnvLine("its name is missing"));
    }
    if text.bytes().all(part) {
        Ok(text.to_owned())
    } else {
        Err(Fault::EnvLine("a name has letters, digits, `_`, `.` and `-`"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str, format: Format) -> (Environment, Report) {
        let outside = Environment::from([("HOME".into(), "/root".into()), ("SET".into(), "outside".into())]);
        let (mut into, mut report) = (Environment::new(), Report::default());
        read(text, ".env", format, &outside, &mut into, &mut report);
        (into, report)
    }

    #[test]
    fn values_are_read_as_docker_reads_them() {
        for (line, value) in [
            ("V=VAL", "VAL"),
            ("V = VAL ", "VAL"),
            ("V: VAL", "VAL"),
            ("export V=VAL", "VAL"),
            ("V=", ""),
            ("V=a b", "a b"),
            ("V=VAL # comment", "VAL"),
            ("V=VAL# not a comment", "VAL# not a comment"),
            ("V=# comment", ""),
            ("V=\"VAL # not a comment\"", "VAL # not a comment"),
            ("V=\"VAL\" # comment", "VAL"),
            ("V='$OTHER'", "$OTHER"),
            ("V='${OTHER}'", "${OTHER}"),
            ("V='Let\\'s go!'", "Let's go!"),
            ("V=\"{\\\"hello\\\": \\\"json\\\"}\"", "{\"hello\": \"json\"}"),
            ("V=\"some\\tvalue\"", "some\tvalue"),
            ("V='some\\tvalue'", "some\\tvalue"),
            ("V=some\\tvalue", "some\\tvalue"),
            ("V=\"a\nb\"", "a\nb"),
            ("V='a\nb'", "a\nb"),
            ("V=\"\\$HOME\"", "$HOME"),
            ("V=$HOME/x", "/root/x"),
            ("A=1\nV=${A}2", "12"),
            ("SET=inside\nV=$SET", "outside"),
            ("V=${NO:-d}", "d"),
            ("V=a=b", "a=b"),
            ("# V=0\n\n  V=1", "1"),
            ("V=1\r\n", "1"),
        ] {
            let (variables, report) = parsed(line, Format::Usual);
            assert_eq!(variables.get("V").map(String::as_str), Some(value), "{line}");
            assert!(report.errors.is_empty(), "{line}: {:?}", report.errors);
        }
    }

    #[test]
    fn a_name_alone_comes_from_outside() {
        let (variables, _) = parsed("HOME\nNONE\nexport SET # it\n", Format::Usual);
        let expected = [("HOME", "/root"), ("SET", "outside")];
        assert_eq!(variables, expected.map(|(key, value)| (key.into(), value.into())).into());
    }

    #[test]
    fn raw_values_stand_as_they_are() {
        let (variables, _) = parsed("V='a' # $b\n# c\nHOME\n", Format::Raw);
        let expected = [("HOME", "/root"), ("V", "'a' # $b")];
        assert_eq!(variables, expected.map(|(key, value)| (key.into(), value.into())).into());
    }

    #[test]
    fn what_is_no_assignment_is_said_with_its_line() {
        for (text, says) in [
            ("A=1\na b=2", ".env:2:1: this is not a variable: a name has letters"),
            ("=2", ".env:1:1: this is not a variable: its name is missing"),
            ("A='x", ".env:1:1: this is not a variable: its closing quote is missing"),
            ("A='x' y", ".env:1:1: this is not a variable: only a comment"),
            ("A=${B", ".env:1:1: `${B` is not a variable: its `}` is missing"),
        ] {
            let (_, report) = parsed(text, Format::Usual);
            assert!(report.errors[0].to_string().starts_with(says), "{text}: {}", report.errors[0]);
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(text in "[A='\"\\\\$#{}\n ]{0,60}|\\PC{0,40}") {
            parsed(&text, Format::Usual);
            parsed(&text, Format::Raw);
        }
    }
}
