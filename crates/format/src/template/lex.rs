//! Cuts a template into its text and the tokens of its actions.
//!
//! Source: the section "Text and spaces" in the documentation of Go's `text/template`.

use super::error::{Fault, Position, TemplateError};
use super::literal::{self, Number};
use crate::escape::unescape;

/// What Go takes as white space in a template.
const SPACES: [char; 4] = [' ', '\t', '\r', '\n'];

/// A stretch of a template.
#[derive(Debug)]
pub(super) enum Piece {
    Text(String),
    Action(Action),
}

/// What stands between `{{` and `}}`.
#[derive(Debug)]
pub(super) struct Action {
    /// The offset of `{{`.
    pub(super) at: usize,
    /// The offset of the end of its content.
    pub(super) end: usize,
    pub(super) tokens: Vec<Token>,
}

#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) at: usize,
    pub(super) end: usize,
    /// Whether white space stands before it: `.A .B` are two values, `.A.B` is one.
    pub(super) spaced: bool,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Dot,
    Field(String),
    Variable(String),
    Word(String),
    Number(Number),
    Text(String),
    Open,
    Close,
    Pipe,
    Declare,
    Assign,
    Comma,
}

/// Cuts `source` from byte `start` on into pieces, with trimming and the command line's escapes done and comments gone.
pub(super) fn pieces(source: &str, start: usize) -> Result<Vec<Piece>, TemplateError> {
    let mut pieces = Vec::new();
    let mut at = start;
    let mut trim_start = false;
    while let Some(found) = source[at..].find("{{") {
        let open = at + found;
        let body = open + 2;
        let trim_end = source[body..].strip_prefix('-').is_some_and(|rest| rest.starts_with(SPACES));
        push_text(&mut pieces, &source[at..open], trim_start, trim_end);
        let body = if trim_end { body + 1 } else { body };
        let close = match comment_end(source, body) {
            Some(end) => end.map_err(|fault| fault_at(source, open, fault))?,
            None => {
                let (action, close) = Lexer { source, at: body, open }.action()?;
                pieces.push(Piece::Action(action));
                close
            }
        };
        trim_start = close.trims;
        at = close.next;
    }
    push_text(&mut pieces, &source[at..], trim_start, false);
    Ok(pieces)
}

fn push_text(pieces: &mut Vec<Piece>, raw: &str, trim_start: bool, trim_end: bool) {
    let unescaped = unescape(raw);
    let mut text = &unescaped[..];
    if trim_start {
        text = text.trim_start_matches(SPACES);
    }
    if trim_end {
        text = text.trim_end_matches(SPACES);
    }
    if !text.is_empty() {
        pieces.push(Piece::Text(text.to_owned()));
    }
}

/// The end of an action: where the template goes on, and whether the spaces there go away.
struct End {
    next: usize,
    trims: bool,
}

/// Where the action's closing mark at `at` ends, if one stands there.
fn close_mark(source: &str, at: usize) -> Option<End> {
    let rest = &source[at..];
    if rest.starts_with("}}") {
        return Some(End { next: at + 2, trims: false });
    }
    let spaces = rest.len() - rest.trim_start_matches(SPACES).len();
    (spaces > 0 && rest[spaces..].starts_with("-}}")).then_some(End { next: at + spaces + 3, trims: true })
}

/// Where the comment that starts at `body` ends, if it is one.
fn comment_end(source: &str, body: usize) -> Option<Result<End, Fault>> {
    let trimmed = source[body..].trim_start_matches(SPACES);
    let start = source.len() - trimmed.len();
    let after_mark = source[..body].ends_with('-');
    if !trimmed.starts_with("/*") || (start > body && !after_mark) {
        return None;
    }
    let Some(length) = trimmed[2..].find("*/") else { return Some(Err(Fault::UnclosedComment)) };
    Some(close_mark(source, start + 2 + length + 2).ok_or(Fault::UnclosedComment))
}

fn fault_at(source: &str, offset: usize, fault: Fault) -> TemplateError {
    TemplateError { position: Position::in_source(source, offset), fault }
}

struct Lexer<'s> {
    source: &'s str,
    at: usize,
    open: usize,
}

impl Lexer<'_> {
    fn action(mut self) -> Result<(Action, End), TemplateError> {
        let mut tokens = Vec::new();
        loop {
            if let Some(close) = close_mark(self.source, self.at) {
                return Ok((Action { at: self.open, end: self.at, tokens }, close));
            }
            let spaced = self.skip_spaces();
            if let Some(close) = close_mark(self.source, self.at) {
                return Ok((Action { at: self.open, end: self.at, tokens }, close));
            }
            let at = self.at;
            let kind = self.token()?;
            tokens.push(Token { at, end: self.at, spaced, kind });
        }
    }

    fn skip_spaces(&mut self) -> bool {
        let rest = &self.source[self.at..];
        let spaces = rest.len() - rest.trim_start_matches(SPACES).len();
        self.at += spaces;
        spaces > 0
    }

    fn token(&mut self) -> Result<Kind, TemplateError> {
        let rest = &self.source[self.at..];
        let Some(first) = rest.chars().next() else {
            return Err(self.fault(self.open, Fault::UnclosedAction));
        };
        let second = rest[first.len_utf8()..].chars().next();
        match first {
            '"' | '\'' | '`' => self.quoted(first),
            '.' if second.is_some_and(|next| next.is_ascii_digit()) => self.number(),
            '.' => Ok(match self.word_after(1) {
                "" => Kind::Dot,
                name => Kind::Field(name.to_owned()),
            }),
            '$' => Ok(Kind::Variable(format!("${}", self.word_after(1)))),
            '+' | '-' | '0'..='9' => self.number(),
            _ if is_word(first) => Ok(Kind::Word(self.word_after(0).to_owned())),
            _ => self.mark(first, second),
        }
    }

    fn mark(&mut self, first: char, second: Option<char>) -> Result<Kind, TemplateError> {
        let kind = match (first, second) {
            ('(', _) => Kind::Open,
            (')', _) => Kind::Close,
            ('|', _) => Kind::Pipe,
            (',', _) => Kind::Comma,
            (':', Some('=')) => {
                self.at += 1;
                Kind::Declare
            }
            ('=', _) => Kind::Assign,
            _ => {
                let found = format!("{:?}", first.to_string());
                return Err(self.fault(self.at, Fault::Unexpected { found, place: "in an action" }));
            }
        };
        self.at += 1;
        Ok(kind)
    }

    /// Takes the word that starts `skip` bytes ahead.
    fn word_after(&mut self, skip: usize) -> &str {
        let start = self.at + skip;
        let rest = &self.source[start..];
        let length = rest.find(|next| !is_word(next)).unwrap_or(rest.len());
        self.at = start + length;
        &self.source[start..self.at]
    }

    fn number(&mut self) -> Result<Kind, TemplateError> {
        let rest = &self.source[self.at..];
        let mut previous = 'e';
        let length = rest
            .find(|next: char| {
                let sign = matches!(next, '+' | '-') && matches!(previous, 'e' | 'E');
                previous = next;
                !(sign || next == '.' || is_word(next))
            })
            .unwrap_or(rest.len());
        let number = literal::number(&rest[..length]).map_err(|fault| self.fault(self.at, fault))?;
        self.at += length;
        Ok(Kind::Number(number))
    }

    fn quoted(&mut self, quote: char) -> Result<Kind, TemplateError> {
        let start = self.at + 1;
        let length = quoted_length(&self.source[start..], quote)
            .ok_or_else(|| self.fault(self.at, Fault::UnclosedQuote))?;
        let inner = &self.source[start..start + length];
        let text = if quote == '`' { Ok(inner.to_owned()) } else { literal::unquote(inner) };
        let text = text.map_err(|fault| self.fault(self.at, fault))?;
        let at = self.at;
        self.at = start + length + 1;
        if quote != '\'' {
            return Ok(Kind::Text(text));
        }
        let mut letters = text.chars();
        match (letters.next(), letters.next()) {
            (Some(letter), None) => Ok(Kind::Number(Number::Int(i128::from(u32::from(letter))))),
            _ => Err(self.fault(at, Fault::BadChar)),
        }
    }

    fn fault(&self, offset: usize, fault: Fault) -> TemplateError {
        fault_at(self.source, offset, fault)
    }
}

/// The bytes up to the end quote; only a raw text may run over lines.
fn quoted_length(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, next) in text.char_indices() {
        match next {
            _ if escaped => escaped = false,
            _ if next == quote => return Some(at),
            '\\' if quote != '`' => escaped = true,
            '\n' if quote != '`' => return None,
            _ => {}
        }
    }
    None
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}
