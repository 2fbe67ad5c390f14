//! Texts as they can stand in each of the pictures. Names of interfaces and namespaces may have almost any character.

/// Without what would break a line or move the cursor.
pub(crate) fn plain(text: &str) -> String {
    let show = |c: char| match c {
        // Also what changes the direction of what follows.
        c if c.is_control()
            || matches!(c, '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}') =>
        {
            c.escape_debug().to_string()
        }
        c => c.to_string(),
    };
    text.chars().map(show).collect()
}

/// For XML, in text and in attributes. Characters that XML 1.0 has not at all (2.2) are shown escaped.
pub(crate) fn xml(text: &str) -> String {
    let show = |c: char| match c {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        '"' => "&quot;".to_owned(),
        '\'' => "&#39;".to_owned(),
        '\u{fffe}' | '\u{ffff}' => c.escape_unicode().to_string(),
        c => c.to_string(),
    };
    plain(text).chars().map(show).collect()
}

/// For a text between double quotes in the dot language. Source: <https://graphviz.org/doc/info/lang.html> and, for the
/// backslash, <https://graphviz.org/docs/attr-types/escString/>.
pub(crate) fn dot(text: &str) -> String {
    plain(text).replace('\\', "\\\\").replace('"', "\\\"")
}

/// For a text between double quotes in Mermaid: what has a meaning there, or in HTML, as an entity.
/// Source: <https://mermaid.js.org/syntax/flowchart.html>, "Entity codes to escape characters".
pub(crate) fn mermaid(text: &str) -> String {
    let show = |c: char| match c {
        '"' | '#' | '&' | '<' | '>' | '`' | '\\' | ';' | '|' | '{' | '}' | '[' | ']' => {
            format!("#{};", u32::from(c))
        }
        c => c.to_string(),
    };
    plain(text).chars().map(show).collect()
}
