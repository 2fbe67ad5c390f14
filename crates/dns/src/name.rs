//! Names from text, as they are in the directory and on the wire.

/// The labels of a name in text, each behind its length, in the case that it has; `None` for what DNS cannot say: a label
/// that is empty or longer than 63 bytes, or a name of more than 254.
pub(crate) fn wire(text: &str) -> Option<Vec<u8>> {
    let mut name = Vec::with_capacity(text.len() + 1);
    for label in text.strip_suffix('.').unwrap_or(text).split('.') {
        if label.is_empty() || label.len() > 63 {
            return None;
        }
        name.push(label.len() as u8);
        name.extend(label.as_bytes());
    }
    (name.len() <= 254).then_some(name)
}

/// The same in lower case, as names are looked up.
pub(crate) fn key(text: &str) -> Option<Box<[u8]>> {
    let mut name = wire(text)?;
    // Lengths are below 64 and no letters.
    name.make_ascii_lowercase();
    Some(name.into_boxed_slice())
}

/// What is left of `name` when `suffix` is taken off its end, at a label: `web.blue` without `blue` is `web`.
pub(crate) fn strip_suffix<'a>(name: &'a [u8], suffix: &[u8]) -> Option<&'a [u8]> {
    let rest = name.strip_suffix(suffix)?;
    let mut at = 0;
    while at < rest.len() {
        at += 1 + usize::from(rest[at]);
    }
    (at == rest.len() && !suffix.is_empty() && !rest.is_empty()).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_becomes_labels() {
        assert_eq!(wire("Web.blue").unwrap(), b"\x03Web\x04blue");
        assert_eq!(&*key("Web.blue.").unwrap(), b"\x03web\x04blue");
        for bad in ["", ".", "a..b", ".a", &"x".repeat(64), &"x.".repeat(128)] {
            assert_eq!(wire(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_suffix_ends_at_a_label() {
        assert_eq!(strip_suffix(b"\x03web\x04blue", b"\x04blue"), Some(&b"\x03web"[..]));
        assert_eq!(strip_suffix(b"\x04blue", b"\x04blue"), None);
        // The bytes are there, but as part of a longer label.
        assert_eq!(strip_suffix(b"\x09web\x04blue", b"\x04blue"), None);
    }
}
