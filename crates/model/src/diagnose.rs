//! What every error of Pontoon can say besides its message: a stable code, and what a person can do.

/// An error with a stable code and, where there is one, a hint.
pub trait Diagnose: std::error::Error {
    /// A stable identifier in kebab-case, for scripts and the reference.
    fn code(&self) -> &'static str;

    /// Something that a person can do about it.
    fn hint(&self) -> Option<String> {
        None
    }
}

/// The candidates that are written almost like `word`, nearest first, three at the most.
pub fn near<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut scored: Vec<(f64, &str)> = candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(score, _)| *score > 0.8)
        .collect();
    scored.sort_by(|left, right| right.0.total_cmp(&left.0).then(left.1.cmp(right.1)));
    scored.into_iter().take(3).map(|(_, candidate)| candidate).collect()
}
