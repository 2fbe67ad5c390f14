//! The literals of a template: numbers, quoted text and characters, as Go writes them.

use super::error::Fault;

/// A number as written: whole, or with a fraction or exponent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    Int(i128),
    Float(f64),
}

/// Reads a Go number: decimal, `0x`, `0o`, `0b` or a leading `0` for octal, `_` between digits, or a decimal fraction.
///
/// Source: "Integer literals" and "Floating-point literals" in the Go specification; hexadecimal fractions are left out.
pub(super) fn number(text: &str) -> Result<Number, Fault> {
    let bad = || Fault::BadNumber(text.to_owned());
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if !digits.starts_with(|first: char| first.is_ascii_digit() || first == '.') || digits.ends_with('_') {
        return Err(bad());
    }
    let plain: String = digits.chars().filter(|digit| *digit != '_').collect();
    let radix = radix(&plain);
    if radix == 10 && plain.contains(['.', 'e', 'E']) {
        let magnitude: f64 = plain.parse().map_err(|_| bad())?;
        return Ok(Number::Float(if negative { -magnitude } else { magnitude }));
    }
    let body = match radix {
        10 => &plain[..],
        8 if !plain.starts_with("0o") && !plain.starts_with("0O") => &plain[1..],
        _ => &plain[2..],
    };
    if body.starts_with(['+', '-']) {
        return Err(bad());
    }
    let magnitude = i128::from(u64::from_str_radix(body, radix).map_err(|_| bad())?);
    Ok(Number::Int(if negative { -magnitude } else { magnitude }))
}

fn radix(digits: &str) -> u32 {
    match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => 16,
        [b'0', b'b' | b'B', ..] => 2,
        [b'0', b'o' | b'O', ..] => 8,
        [b'0', rest @ ..] if !rest.is_empty() && rest.iter().all(u8::is_ascii_digit) => 8,
        _ => 10,
    }
}

/// Undoes the escapes between two quotes.
///
/// Source: "Rune literals" in the Go specification. `\x` and octal escapes name a character below 256 here, not a byte.
pub(super) fn unquote(inner: &str) -> Result<String, Fault> {
    let mut text = String::with_capacity(inner.len());
    let mut rest = inner.chars();
    while let Some(next) = rest.next() {
        text.push(if next == '\\' { escape(&mut rest)? } else { next });
    }
    Ok(text)
}

fn escape(rest: &mut std::str::Chars<'_>) -> Result<char, Fault> {
    let Some(letter) = rest.next() else { return Err(Fault::BadEscape(String::new())) };
    let coded = |digits: String, radix| {
        let code = u32::from_str_radix(&digits, radix).ok().and_then(char::from_u32);
        code.ok_or(Fault::BadEscape(digits))
    };
    Ok(match letter {
        'a' => '\x07',
        'b' => '\x08',
        'f' => '\x0c',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\x0b',
        '\\' | '"' | '\'' => letter,
        'x' => return coded(rest.by_ref().take(2).collect(), 16),
        'u' => return coded(rest.by_ref().take(4).collect(), 16),
        'U' => return coded(rest.by_ref().take(8).collect(), 16),
        '0'..='7' => return coded(std::iter::once(letter).chain(rest.by_ref().take(2)).collect(), 8),
        other => return Err(Fault::BadEscape(other.to_string())),
    })
}
