//! Times as Docker shows them.

use std::time::{Duration, SystemTime};

/// When a record's time was; none for an empty or damaged one.
pub(crate) fn parse(text: &str) -> Option<SystemTime> {
    humantime::parse_rfc3339(text).ok()
}

/// How long ago a record's time was: `2 minutes ago`.
pub(crate) fn ago(text: &str, now: SystemTime) -> String {
    since(text, now).map_or_else(|| "N/A".to_owned(), |age| format!("{} ago", rough(age)))
}

/// How long it has been since a record's time: `2 minutes`.
pub(crate) fn since(text: &str, now: SystemTime) -> Option<Duration> {
    parse(text).map(|then| now.duration_since(then).unwrap_or_default())
}

/// As Go prints a time: `2024-01-02 03:04:05.000000006 +0000 UTC`.
pub(crate) fn go(text: &str) -> String {
    let Some((date, time)) = text.trim_end_matches('Z').split_once('T') else { return text.to_owned() };
    let time = if time.contains('.') { time.trim_end_matches('0').trim_end_matches('.') } else { time };
    format!("{date} {time} +0000 UTC")
}

/// A span of time in one unit.
///
/// Source: `HumanDuration()` in github.com/docker/go-units, duration.go.
pub(crate) fn rough(span: Duration) -> String {
    let seconds = span.as_secs();
    let (minutes, hours) = (seconds / 60, (seconds + 1800) / 3600);
    match () {
        () if seconds < 1 => "Less than a second".to_owned(),
        () if seconds == 1 => "1 second".to_owned(),
        () if seconds < 60 => format!("{seconds} seconds"),
        () if minutes == 1 => "About a minute".to_owned(),
        () if minutes < 60 => format!("{minutes} minutes"),
        () if hours == 1 => "About an hour".to_owned(),
        () if hours < 48 => format!("{hours} hours"),
        () if hours < 24 * 7 * 2 => format!("{} days", hours / 24),
        () if hours < 24 * 30 * 2 => format!("{} weeks", hours / 24 / 7),
        () if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        () => format!("{} years", seconds / 3600 / 24 / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_as_dockers() {
        for (seconds, text) in [
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (119, "About a minute"),
            (3599, "59 minutes"),
            (3600, "About an hour"),
            (47 * 3600, "47 hours"),
            (48 * 3600, "2 days"),
            (14 * 86400, "2 weeks"),
            (60 * 86400, "2 months"),
            (800 * 86400, "2 years"),
        ] {
            assert_eq!(rough(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn times_read_as_gos() {
        assert_eq!(go("2024-01-02T03:04:05.120000000Z"), "2024-01-02 03:04:05.12 +0000 UTC");
        assert_eq!(go("2024-01-02T03:04:05.000000000Z"), "2024-01-02 03:04:05 +0000 UTC");
        assert_eq!(go("2024-01-02T03:04:10Z"), "2024-01-02 03:04:10 +0000 UTC");
    }
}
