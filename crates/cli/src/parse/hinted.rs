//! Values whose errors know what a person can do about them.

use std::str::FromStr;

use pontoon_model::Diagnose;

/// Parses a value; what is wrong with it is told together with its hint.
pub(crate) fn hinted<T>(text: &str) -> Result<T, String>
where
    T: FromStr,
    T::Err: Diagnose,
{
    text.parse().map_err(|error| told(&error))
}

/// An error with its hint, for a line that begins with `error: `.
pub(crate) fn told(error: &impl Diagnose) -> String {
    match error.hint() {
        Some(hint) => format!("{error}\nhint: {hint}"),
        None => error.to_string(),
    }
}
