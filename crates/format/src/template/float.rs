//! Fractions as Go's `strconv.FormatFloat` prints them.

/// More digits than this never say more about an `f64`.
const MAX_PRECISION: usize = 1100;

/// `%v`: the shortest digits, with an exponent below -4 and from 6 on.
pub(super) fn shortest(float: f64) -> String {
    general(float, None)
}

/// As `encoding/json` writes it: an exponent only below 1e-6 and from 1e21 on.
pub(super) fn json(float: f64) -> String {
    let magnitude = float.abs();
    if special(float).is_some() {
        return "null".into();
    }
    if magnitude == 0.0 || (1e-6..1e21).contains(&magnitude) {
        return format!("{float}");
    }
    let text = format!("{float:e}");
    let (mantissa, exponent) = split(&text);
    format!("{mantissa}e{exponent:+}")
}

/// `%g`: `precision` digits in all, or as few as tell the number.
pub(super) fn general(float: f64, precision: Option<usize>) -> String {
    if let Some(special) = special(float) {
        return special.into();
    }
    let digits = precision.map(|digits| digits.clamp(1, MAX_PRECISION));
    let scientific = match digits {
        None => format!("{float:e}"),
        Some(digits) => format!("{float:.*e}", digits - 1),
    };
    let (mantissa, exponent) = split(&scientific);
    let limit = digits.map_or(6, |digits| i32::try_from(digits).unwrap_or(i32::MAX));
    if exponent < -4 || exponent >= limit {
        return with_exponent(without_trailing_zeros(mantissa), exponent);
    }
    match digits {
        None => format!("{float}"),
        Some(digits) => {
            let decimals =
                usize::try_from(i64::try_from(digits).unwrap_or(0) - 1 - i64::from(exponent)).unwrap_or(0);
            without_trailing_zeros(&format!("{float:.decimals$}")).into()
        }
    }
}

/// `%f`: a point and `precision` decimals.
pub(super) fn fixed(float: f64, precision: usize) -> String {
    special(float).map_or_else(|| format!("{float:.*}", precision.min(MAX_PRECISION)), str::to_owned)
}

/// `%e`: a power of ten with at least two digits.
pub(super) fn scientific(float: f64, precision: usize) -> String {
    if let Some(special) = special(float) {
        return special.into();
    }
    let text = format!("{float:.*e}", precision.min(MAX_PRECISION));
    let (mantissa, exponent) = split(&text);
    with_exponent(mantissa, exponent)
}

fn special(float: f64) -> Option<&'static str> {
    match float {
        _ if float.is_nan() => Some("NaN"),
        f64::INFINITY => Some("+Inf"),
        f64::NEG_INFINITY => Some("-Inf"),
        _ => None,
    }
}

/// Cuts Rust's `1.5e-7` into mantissa and exponent.
fn split(scientific: &str) -> (&str, i32) {
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    (mantissa, exponent.parse().unwrap_or(0))
}

fn with_exponent(mantissa: &str, exponent: i32) -> String {
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs())
}

fn without_trailing_zeros(number: &str) -> &str {
    if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number }
}
