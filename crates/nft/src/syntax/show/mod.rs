//! nft(8)'s syntax, as `nft list ruleset` prints it and `nft` reads it.

mod command;
mod element;
mod key;
mod nat;
mod object;
mod reject;
mod rule;
mod set;
mod statement;
mod value;

use std::fmt::{self, Display, Formatter, Write};

pub use command::shell_command;
pub(crate) use element::{element_sort_key, show_element};
pub(crate) use object::show_base;
pub use rule::RuleText;
pub(crate) use set::show_set_type;
pub(crate) use statement::statement_text;

/// Whether a text is to be typed or is what the kernel has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    /// A command: a counter that starts at zero need not say so.
    Command,
    /// A listing: all counters show their values.
    Listing,
}

/// A text that others chose: in a container's namespace, whoever made the rules there.
///
/// Control characters could steer the terminal or begin a line of their own, so they are shown as U+FFFD.
pub(crate) struct Shown<'a>(pub(crate) &'a str);

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0
            .chars()
            .try_for_each(|c| f.write_char(if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }))
    }
}

/// A time span as nft writes it: `1h29m59s812ms`.
fn duration(milliseconds: u64) -> String {
    let mut text = String::new();
    let mut rest = milliseconds;
    for (unit, length) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)] {
        if rest >= length {
            text.push_str(&format!("{}{unit}", rest / length));
            rest %= length;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

pub(super) fn joined<T: Display>(items: &[T], separator: &str) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(separator)
}
