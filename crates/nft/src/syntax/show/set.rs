//! Declarations of sets.

use super::{Shown, duration, joined};
use crate::syntax::{Set, SetData};

/// The properties of a set as nft lists them, without `flags` of the kind that nft does not print.
pub(crate) fn show_set_type(set: &Set) -> Vec<String> {
    let mut lines = Vec::new();
    let data = match &set.data {
        None => String::new(),
        Some(SetData::Verdict) => " : verdict".to_owned(),
        Some(SetData::Values(types)) => format!(" : {}", joined(types, " . ")),
    };
    lines.push(match &set.key_of {
        Some(keys) => format!("typeof {}{data}", joined(keys, " . ")),
        None => format!("type {}{data}", joined(&set.key, " . ")),
    });
    lines.extend(set.size.map(|size| format!("size {size}")));
    let mut flags = Vec::new();
    flags.extend(set.constant.then_some("constant"));
    flags.extend(set.dynamic.then_some("dynamic"));
    flags.extend(set.interval.then_some("interval"));
    // A default says as much, but nft leaves the flag out only if there is no other.
    let implied = set.default_timeout.is_some();
    flags.extend((set.timeout && !(implied && flags.is_empty())).then_some("timeout"));
    if !flags.is_empty() {
        lines.push(format!("flags {}", flags.join(",")));
    }
    lines.extend(set.counter.then(|| "counter".to_owned()));
    lines.extend(set.default_timeout.map(|timeout| format!("timeout {}", duration(timeout))));
    lines.extend(set.comment.as_ref().map(|comment| format!("comment \"{}\"", Shown(comment))));
    lines
}
