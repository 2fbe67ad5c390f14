//! Words and where they stand.

/// A word of a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) word: &'a str,
    /// Its first character, counted from 1.
    pub(super) at: usize,
}

/// The words of a filter: what is between spaces, and parentheses, `!`, `&&` and `||` wherever they are.
pub(super) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let Some(first) = rest.chars().next() else { return found };
        let at = text[..text.len() - rest.len()].chars().count() + 1;
        let length = match first {
            '(' | ')' | '!' => 1,
            '&' if rest.starts_with("&&") => 2,
            '|' if rest.starts_with("||") => 2,
            _ => rest.find(|c: char| c.is_whitespace() || "()&|!".contains(c)).unwrap_or(rest.len()),
        };
        // A lone `&` or `|` is a word that nobody knows.
        let (word, after) = rest.split_at(length.max(first.len_utf8()));
        found.push(Token { word, at });
        rest = after;
    }
}
