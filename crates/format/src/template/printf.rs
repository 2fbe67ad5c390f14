//! `printf`, as Go's `fmt.Sprintf` does it.
//!
//! Source: the documentation of Go's `fmt`. A verb that does not fit its value prints `%!d(string=web)`, as in Go.

use std::iter::Peekable;
use std::str::Chars;

use super::error::Fault;
use super::float;
use super::text::check_length;
use super::value::{Val, sorted};

/// The widest field and the longest precision, as in Go's `tooLarge()`.
const MAX_WIDTH: usize = 1_000_000;

/// One `%…` of a format.
#[derive(Debug, Clone, Default)]
struct Directive {
    minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: Option<usize>,
    precision: Option<usize>,
    verb: char,
}

/// Formats `arguments` by `format`. A list or map that grows too long is left where it is, and then refused.
///
/// # Errors
///
/// If the text grows beyond what a template may make.
pub(super) fn sprintf(format: &str, arguments: &[Val<'_>]) -> Result<String, Fault> {
    let mut printer =
        Printer { rest: format.chars().peekable(), arguments, next: 0, reordered: false, out: String::new() };
    while let Some(letter) = printer.rest.next() {
        match letter {
            '%' => printer.directive(),
            _ => printer.out.push(letter),
        }
        check_length(printer.out.len())?;
    }
    printer.extra();
    check_length(printer.out.len())?;
    Ok(printer.out)
}

struct Printer<'a, 'v> {
    rest: Peekable<Chars<'a>>,
    arguments: &'a [Val<'v>],
    next: usize,
    /// Whether an argument was named by `[n]`, which makes left-over arguments no mistake.
    reordered: bool,
    out: String,
}

impl Printer<'_, '_> {
    fn directive(&mut self) {
        let mut directive = self.flags();
        self.argument_index();
        directive.width = self.size("WIDTH", &mut directive.minus);
        if self.rest.next_if_eq(&'.').is_some() {
            self.argument_index();
            directive.precision = Some(self.size("PREC", &mut false).unwrap_or(0));
        }
        self.argument_index();
        let Some(verb) = self.rest.next() else { return self.out.push_str("%!(NOVERB)") };
        directive.verb = verb;
        if verb == '%' {
            return self.out.push('%');
        }
        match self.arguments.get(self.next) {
            Some(value) => directive.value(value, &mut self.out),
            None => self.out.push_str(&format!("%!{verb}(MISSING)")),
        }
        self.next = self.next.saturating_add(1);
    }

    fn flags(&mut self) -> Directive {
        let mut directive = Directive::default();
        while let Some(flag) = self.rest.next_if(|next| matches!(next, '-' | '+' | '#' | ' ' | '0')) {
            match flag {
                '-' => directive.minus = true,
                '+' => directive.plus = true,
                '#' => directive.sharp = true,
                ' ' => directive.space = true,
                _ => directive.zero = true,
            }
        }
        directive
    }

    /// Takes `[n]`, which names the next argument.
    fn argument_index(&mut self) {
        if self.rest.next_if_eq(&'[').is_none() {
            return;
        }
        self.reordered = true;
        let index = self.digits();
        let closed = self.rest.next_if_eq(&']').is_some();
        self.next = index.filter(|_| closed).and_then(|index| index.checked_sub(1)).unwrap_or(usize::MAX);
    }

    /// Takes a width or a precision: digits, or `*` for the next argument; a negative one sets `left`.
    fn size(&mut self, what: &str, left: &mut bool) -> Option<usize> {
        if self.rest.next_if_eq(&'*').is_none() {
            return self.digits();
        }
        let given = self.arguments.get(self.next);
        self.next = self.next.saturating_add(1);
        match given {
            Some(Val::Int(int)) if int.unsigned_abs() <= MAX_WIDTH as u128 => {
                *left |= *int < 0;
                Some(usize::try_from(int.unsigned_abs()).unwrap_or(0))
            }
            _ => {
                self.out.push_str(&format!("%!(BAD{what})"));
                None
            }
        }
    }

    fn digits(&mut self) -> Option<usize> {
        let mut number = None;
        while let Some(digit) = self.rest.next_if(char::is_ascii_digit) {
            let digit = digit.to_digit(10).unwrap_or(0) as usize;
            number = Some((number.unwrap_or(0) * 10 + digit).min(MAX_WIDTH));
        }
        number
    }

    /// Arguments that no verb took.
    fn extra(&mut self) {
        if self.reordered || self.next >= self.arguments.len() {
            return;
        }
        self.out.push_str("%!(EXTRA ");
        for (index, value) in self.arguments[self.next..].iter().enumerate() {
            self.out.push_str(if index == 0 { "" } else { ", " });
            self.out.push_str(value.go_type());
            if !matches!(value, Val::Absent | Val::Nil) {
                self.out.push('=');
                value.print_inner(&mut self.out);
            }
        }
        self.out.push(')');
    }
}

impl Directive {
    fn value(&self, value: &Val<'_>, out: &mut String) {
        match (self.verb, value) {
            ('T', _) => self.pad(value.go_type(), out),
            ('v', Val::Absent | Val::Nil) => self.pad("<nil>", out),
            (verb, Val::Absent | Val::Nil) => out.push_str(&format!("%!{verb}(<nil>)")),
            (_, Val::Array(_) | Val::List(_)) => self.list(value, out),
            (_, Val::Map(map, _)) => {
                out.push_str("map[");
                for (index, (key, value)) in sorted(map).into_iter().enumerate() {
                    if check_length(out.len()).is_err() {
                        break;
                    }
                    out.push_str(if index == 0 { "" } else { " " });
                    self.value(&Val::Text(key.into()), out);
                    out.push(':');
                    self.inner(&Val::from_json(value, false), out);
                }
                out.push(']');
            }
            _ => match self.scalar(value) {
                Some(text) => self.pad(&text, out),
                None => bad_verb(self.verb, value, out),
            },
        }
    }

    fn list(&self, value: &Val<'_>, out: &mut String) {
        out.push('[');
        for (index, item) in value.elements().unwrap_or_default().iter().enumerate() {
            if check_length(out.len()).is_err() {
                break;
            }
            out.push_str(if index == 0 { "" } else { " " });
            self.inner(item, out);
        }
        out.push(']');
    }

    /// A value within a list or a map, where Go prints nil whatever the verb.
    fn inner(&self, value: &Val<'_>, out: &mut String) {
        match value {
            Val::Absent | Val::Nil => self.pad("<nil>", out),
            other => self.value(other, out),
        }
    }

    /// The text of a single value before it is padded, if the verb fits.
    fn scalar(&self, value: &Val<'_>) -> Option<String> {
        match value {
            Val::Bool(bool) => matches!(self.verb, 't' | 'v').then(|| bool.to_string()),
            Val::Int(int) => self.int(*int),
            Val::Float(float) => self.float(*float),
            Val::Text(text) => self.text(text),
            Val::Absent | Val::Nil | Val::Array(_) | Val::List(_) | Val::Map(..) => None,
        }
    }

    fn int(&self, int: i128) -> Option<String> {
        let magnitude = int.unsigned_abs();
        let (prefix, digits) = match self.verb {
            'v' | 'd' => ("", magnitude.to_string()),
            'b' => (if self.sharp { "0b" } else { "" }, format!("{magnitude:b}")),
            'o' => (if self.sharp { "0" } else { "" }, format!("{magnitude:o}")),
            'O' => ("0o", format!("{magnitude:o}")),
            'x' => (if self.sharp { "0x" } else { "" }, format!("{magnitude:x}")),
            'X' => (if self.sharp { "0X" } else { "" }, format!("{magnitude:X}")),
            'U' => ("U+", format!("{magnitude:04X}")),
            'c' => return Some(letter(int).to_string()),
            'q' => return Some(format!("'{}'", quoted_inside(&letter(int).to_string(), '\''))),
            _ => return None,
        };
        let sign = self.sign(int < 0);
        let least = self.precision.unwrap_or_else(|| self.zero_width(sign.len() + prefix.len()));
        let zeros = "0".repeat(least.saturating_sub(digits.len()));
        Some([sign, prefix, &zeros, &digits].concat())
    }

    fn float(&self, number: f64) -> Option<String> {
        let magnitude = number.abs();
        let text = match self.verb {
            'v' | 'g' => float::general(magnitude, self.precision),
            'G' => float::general(magnitude, self.precision).to_uppercase(),
            'f' | 'F' => float::fixed(magnitude, self.precision.unwrap_or(6)),
            'e' => float::scientific(magnitude, self.precision.unwrap_or(6)),
            'E' => float::scientific(magnitude, self.precision.unwrap_or(6)).to_uppercase(),
            _ => return None,
        };
        let sign = self.sign(number.is_sign_negative());
        let zeros = "0".repeat(self.zero_width(sign.len()).saturating_sub(text.len()));
        Some([sign, &zeros, &text].concat())
    }

    fn text(&self, whole: &str) -> Option<String> {
        let cut: String = match self.precision {
            Some(length) => whole.chars().take(length).collect(),
            None => whole.to_owned(),
        };
        match self.verb {
            'v' if !self.sharp => Some(cut),
            's' => Some(cut),
            'v' | 'q' => Some(format!("\"{}\"", quoted_inside(&cut, '"'))),
            'x' | 'X' => Some(self.hex(&cut)),
            _ => None,
        }
    }

    fn hex(&self, text: &str) -> String {
        let upper = self.verb == 'X';
        let byte = |byte: u8| if upper { format!("{byte:02X}") } else { format!("{byte:02x}") };
        let bytes: Vec<String> = text.bytes().map(byte).collect();
        bytes.join(if self.space { " " } else { "" })
    }

    fn sign(&self, negative: bool) -> &'static str {
        match (negative, self.plus, self.space) {
            (true, ..) => "-",
            (false, true, _) => "+",
            (false, false, true) => " ",
            (false, false, false) => "",
        }
    }

    /// The digits that zero padding asks for, beside `used` characters.
    fn zero_width(&self, used: usize) -> usize {
        let width = if self.zero && !self.minus { self.width.unwrap_or(0) } else { 0 };
        width.saturating_sub(used)
    }

    fn pad(&self, text: &str, out: &mut String) {
        let missing = self.width.unwrap_or(0).saturating_sub(text.chars().count());
        if self.minus {
            out.push_str(text);
        }
        out.push_str(&" ".repeat(missing));
        if !self.minus {
            out.push_str(text);
        }
    }
}

fn bad_verb(verb: char, value: &Val<'_>, out: &mut String) {
    out.push_str(&format!("%!{verb}({}=", value.go_type()));
    value.print_inner(out);
    out.push(')');
}

fn letter(int: i128) -> char {
    u32::try_from(int).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// Escapes what `strconv.Quote` escapes; characters that some terminals cannot show are left alone.
fn quoted_inside(text: &str, quote: char) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\\' => out.push_str("\\\\"),
            '\x07' => out.push_str("\\a"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x0b' => out.push_str("\\v"),
            _ if letter == quote => out.extend(['\\', quote]),
            _ if letter.is_ascii_control() => out.push_str(&format!("\\x{:02x}", u32::from(letter))),
            _ if letter.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(letter))),
            _ => out.push(letter),
        }
    }
    out
}
