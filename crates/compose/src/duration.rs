//! Durations as compose files have them: `1h5m30s20ms`.
//!
//! Source: the Compose Specification, "Specifying durations"; Go's `time.ParseDuration`.

use std::time::Duration;

use serde::Serializer;

/// Units, the longest first, with their lengths in nanoseconds.
const UNITS: [(&str, u128); 7] = [
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("µs", 1_000),
    ("ns", 1),
];

/// Reads `1h5m30s20ms`; also fractions (`1.5s`) and a bare `0`.
///
/// `None` when the text is not one, or longer than a `u64` of nanoseconds.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut total: u128 = 0;
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(number_end);
        let unit_end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let (_, length) = UNITS.into_iter().find(|(name, _)| *name == unit)?;
        total = total.checked_add(nanoseconds(number, length)?)?;
        rest = tail;
    }
    let total = u64::try_from(total).ok().filter(|_| !text.is_empty())?;
    Some(Duration::from_nanos(total))
}

/// `number` (`15`, `1.5`) times `length`.
fn nanoseconds(number: &str, length: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    // More digits than a nanosecond of an hour has do not count.
    let digits = &fraction[..fraction.len().min(14)];
    let part = if digits.is_empty() { 0 } else { digits.parse::<u128>().ok()? * length };
    let part = part / 10_u128.pow(u32::try_from(digits.len()).ok()?);
    whole.checked_mul(length)?.checked_add(part)
}

/// The duration as [`parse`] takes it, in the largest units: `1m30s`; `0s` for none.
pub(crate) fn print(duration: Duration) -> String {
    let mut rest = duration.as_nanos();
    let mut text = String::new();
    for (name, length) in UNITS.into_iter().filter(|(name, _)| *name != "µs") {
        let count = rest / length;
        rest %= length;
        if count > 0 {
            text.push_str(&format!("{count}{name}"));
        }
    }
    if text.is_empty() { "0s".into() } else { text }
}

/// Serializes as [`print()`] has it.
pub(crate) fn plain<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&print(*duration))
}

/// Serializes as [`print()`] has it, or nothing.
pub(crate) fn optional<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    match duration {
        Some(duration) => plain(duration, serializer),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_specifications_forms_are_read() {
        for (text, nanos) in [
            ("2.5s", 2_500_000_000),
            ("10s", 10_000_000_000),
            ("1m30s", 90_000_000_000),
            ("2h32m", 9_120_000_000_000),
            ("5h34m56s", 20_096_000_000_000),
            ("20ms", 20_000_000),
            ("1us", 1_000),
            ("1µs", 1_000),
            (".5s", 500_000_000),
            ("0", 0),
        ] {
            assert_eq!(parse(text), Some(Duration::from_nanos(nanos)), "{text}");
        }
        for bad in ["", "10", "s", ".s", "1d", "-1s", "1 s", "1.2.3s", "99999999999h", "1s2"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read(nanos: u64) {
            let duration = Duration::from_nanos(nanos);
            prop_assert_eq!(parse(&print(duration)), Some(duration));
        }

        #[test]
        fn no_text_is_too_strange(text in "[0-9.hmsuµ]{0,40}|\\PC{0,16}") {
            let _ = parse(&text);
        }
    }
}
