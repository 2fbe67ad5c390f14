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

/// An error and its causes in one line, but for those that repeat what is said already.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !message.contains(&text) {
            message.push_str(": ");
            message.push_str(&text);
        }
        source = cause.source();
    }
    message
}

/// [`with_causes`] as a warning: what a person can do about it is in a second line.
pub fn as_warning(error: &impl Diagnose) -> String {
    let hint = error.hint().map_or_else(String::new, |hint| format!("\n{hint}"));
    format!("{}{hint}", with_causes(error))
}
