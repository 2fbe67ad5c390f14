//! The two escapes that Docker understands in a `--format` given on a command line.

/// Puts a tab for `\t` and a line break for `\n`.
///
/// Source: `preFormat()` in docker/cli's cli/command/formatter/formatter.go.
pub(crate) fn unescape(text: &str) -> String {
    text.replace("\\t", "\t").replace("\\n", "\n")
}
