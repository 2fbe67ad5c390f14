//! Pairs: `KEY=VALUE`, `NAME:ADDRESS`.

use pontoon_model::sandbox::HostEntry;

/// `KEY=VALUE`.
pub(crate) fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("it must be KEY=VALUE".to_owned()),
    }
}

/// `KEY=VALUE`, or `KEY` with an empty value, as labels are.
pub(crate) fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    if key.is_empty() {
        Err("it must be KEY=VALUE".to_owned())
    } else {
        Ok((key.to_owned(), value.to_owned()))
    }
}

/// `NAME:ADDRESS` or `NAME=ADDRESS`; an IPv6 address may stand in brackets, and `host-gateway` for the host.
pub(crate) fn host_entry(text: &str) -> Result<(String, HostEntry), String> {
    let wrong = || "it must be NAME:ADDRESS".to_owned();
    let (name, address) = text.split_once(['=', ':']).ok_or_else(wrong)?;
    let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
    let address: HostEntry =
        bare.parse().map_err(|_| format!("`{address}` is neither an IP address nor `host-gateway`"))?;
    let splits = |c: char| c.is_whitespace() || c == '#';
    if name.is_empty() || name.contains(splits) { Err(wrong()) } else { Ok((name.to_owned(), address)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_split_at_the_first_sign() {
        assert_eq!(key_value("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert_eq!(label("a"), Ok(("a".into(), String::new())));
        assert_eq!(host_entry("db:host-gateway"), Ok(("db".into(), HostEntry::Gateway)));
        assert_eq!(host_entry("db:fd00::1"), Ok(("db".into(), "fd00::1".parse().unwrap())));
        assert_eq!(host_entry("db=[fd00::1]"), Ok(("db".into(), "fd00::1".parse().unwrap())));
        assert!(key_value("=b").is_err() && key_value("b").is_err() && label("=").is_err());
        for bad in ["db", "db:", ":1.2.3.4", "db:host", "a b:1.2.3.4"] {
            assert!(host_entry(bad).is_err(), "{bad}");
        }
    }
}
