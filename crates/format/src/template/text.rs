//! What the functions do to text.

use super::error::Fault;
use super::eval::MAX_MIB;
use super::value::Val;

/// The most elements that `split` makes.
const MAX_PARTS: usize = 1 << 18;

/// Refuses a text of `length` bytes when that is more than a template may make.
pub(super) fn check_length(length: usize) -> Result<(), Fault> {
    if length > MAX_MIB << 20 { Err(Fault::TooMuchText(MAX_MIB)) } else { Ok(()) }
}

/// `fmt.Sprint`: a space between two values of which neither is a string.
pub(super) fn print(values: &[Val<'_>]) -> Result<String, Fault> {
    let mut out = String::new();
    let mut after_text = true;
    for value in values {
        let is_text = matches!(value, Val::Text(_));
        out.push_str(if is_text || after_text { "" } else { " " });
        value.print_inner(&mut out);
        check_length(out.len())?;
        after_text = is_text;
    }
    Ok(out)
}

/// `fmt.Sprintln`: a space between all values, and a line break.
pub(super) fn println(values: &[Val<'_>]) -> Result<String, Fault> {
    Ok(join(values, " ")? + "\n")
}

/// `strings.Title`: the first letter of each word in upper case.
pub(super) fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut in_word = false;
    for letter in text.chars() {
        if in_word {
            out.push(letter);
        } else {
            out.extend(letter.to_uppercase());
        }
        in_word =
            letter.is_alphanumeric() || letter == '_' || (!letter.is_ascii() && !letter.is_whitespace());
    }
    out
}

/// `strings.Split`; an empty separator splits into characters.
pub(super) fn split(text: &str, separator: &str) -> Result<Vec<String>, Fault> {
    let parts: Vec<String> = if separator.is_empty() {
        text.chars().take(MAX_PARTS + 1).map(String::from).collect()
    } else {
        text.split(separator).take(MAX_PARTS + 1).map(str::to_owned).collect()
    };
    if parts.len() > MAX_PARTS { Err(Fault::TooMuchText(MAX_MIB)) } else { Ok(parts) }
}

/// `strings.Join` of values as they print.
pub(super) fn join(items: &[Val<'_>], separator: &str) -> Result<String, Fault> {
    let mut out = String::new();
    for (index, item) in items.iter().enumerate() {
        out.push_str(if index == 0 { "" } else { separator });
        item.print_inner(&mut out);
        check_length(out.len())?;
    }
    Ok(out)
}

/// Spaces before and after a text; an empty text stays empty.
///
/// Source: `padWithSpace()` in docker/cli's templates/templates.go.
pub(super) fn pad(text: &str, before: i128, after: i128) -> Result<String, Fault> {
    if text.is_empty() {
        return Ok(String::new());
    }
    Ok([spaces(before)?, text.to_owned(), spaces(after)?].concat())
}

fn spaces(count: i128) -> Result<String, Fault> {
    let limit = MAX_MIB << 20;
    let count = usize::try_from(count).map_err(|_| Fault::OutOfRange { index: count, length: limit })?;
    check_length(count)?;
    Ok(" ".repeat(count))
}

/// The first `length` characters.
pub(super) fn truncate(text: &str, length: i128) -> Result<String, Fault> {
    let fault = Fault::OutOfRange { index: length, length: text.len() };
    let length = if length < 0 { return Err(fault) } else { usize::try_from(length).unwrap_or(usize::MAX) };
    Ok(text.chars().take(length).collect())
}

/// The bytes from `start` to `end`, which both lie within the text.
pub(super) fn slice(text: &str, start: usize, end: usize) -> Result<String, Fault> {
    match [start, end].into_iter().find(|bound| !text.is_char_boundary(*bound)) {
        Some(inside) => Err(Fault::InsideCharacter(inside)),
        None => Ok(text[start..end].to_owned()),
    }
}
