//! A project's name.
//!
//! Source: the Compose Specification, "Version and name top-level elements".

use std::path::Path;

use crate::error::Fault;

/// Checks a name.
///
/// # Errors
///
/// [`Fault::ProjectName`] with the nearest that is one.
pub(crate) fn valid(name: &str) -> Result<String, Fault> {
    let near = normalised(name);
    if near == name && !name.is_empty() {
        Ok(near)
    } else {
        Err(Fault::ProjectName { name: name.to_owned(), near })
    }
}

/// The name of a project in `directory`.
///
/// # Errors
///
/// [`Fault::ProjectName`], when no letter or digit is in the directory's own name.
pub(crate) fn of_directory(directory: &Path) -> Result<String, Fault> {
    let base = directory.file_name().unwrap_or_default().to_string_lossy();
    match normalised(&base) {
        name if name.is_empty() => Err(Fault::ProjectName { name: base.into_owned(), near: name }),
        name => Ok(name),
    }
}

/// The text in lower case, without what no name has.
fn normalised(text: &str) -> String {
    let lower = text.to_lowercase();
    let kept: String = lower
        .chars()
        .filter(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-'))
        .collect();
    kept.trim_start_matches(['_', '-']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_and_made() {
        assert_eq!(valid("my-app_1").unwrap(), "my-app_1");
        for (bad, near) in [("My.App", "myapp"), ("_x", "x"), ("", ""), ("ä", "")] {
            let expected = Fault::ProjectName { name: bad.into(), near: near.into() };
            assert_eq!(valid(bad), Err(expected), "{bad}");
        }
        assert_eq!(of_directory(Path::new("/src/My App.v2")).unwrap(), "myappv2");
        assert!(of_directory(Path::new("/")).is_err());
    }
}
