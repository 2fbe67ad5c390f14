//! Sizes as Docker shows them.

const UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];

/// Bytes in the largest unit that leaves a digit before the point, to three digits: `1.25kB`.
///
/// Source: `HumanSizeWithPrecision()` in github.com/docker/go-units, size.go. (Which shows what rounds up to the next
/// unit as `1e+03kB`.)
pub(crate) fn human(bytes: u64) -> String {
    let (mut value, mut unit) = (bytes as f64, 0);
    // What would be 1000 when it is rounded to three digits.
    while value >= 999.5 && unit < UNITS.len() - 1 {
        value /= 1000.0;
        unit += 1;
    }
    let digits = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
    let text = format!("{value:.digits$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_as_dockers() {
        for (bytes, text) in [
            (0, "0B"),
            (1, "1B"),
            (100, "100B"),
            (999, "999B"),
            (1000, "1kB"),
            (1254, "1.25kB"),
            (12_340, "12.3kB"),
            (123_400, "123kB"),
            (999_499, "999kB"),
            (999_500, "1MB"),
            (9_999_000, "10MB"),
            (1_500_000_000, "1.5GB"),
            (u64::MAX, "18.4EB"),
        ] {
            assert_eq!(human(bytes), text);
        }
    }
}
