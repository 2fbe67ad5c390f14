//! `-e` and `--env-file`.

use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// All variables as `NAME=VALUE`, those of files first. A name alone is the caller's variable, if he has it.
pub(crate) fn gather(files: &[PathBuf], given: &[String]) -> Result<Vec<String>, Failure> {
    let mut all = Vec::new();
    for file in files {
        all.extend(read(file)?);
    }
    all.extend(given.iter().cloned());
    all.into_iter().filter_map(|variable| resolve(variable).transpose()).collect()
}

fn read(file: &Path) -> Result<Vec<String>, Failure> {
    let text = std::fs::read_to_string(file);
    let text = text.map_err(|error| Failure::io(format!("could not read {}", file.display()), &error))?;
    Ok(lines(&text))
}

/// One variable a line; empty lines and those that begin with `#` are left out.
fn lines(text: &str) -> Vec<String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let kept = text.lines().map(str::trim_start).filter(|line| !line.is_empty() && !line.starts_with('#'));
    kept.map(str::to_owned).collect()
}

fn resolve(variable: String) -> Result<Option<String>, Failure> {
    let name = variable.split('=').next().unwrap_or_default();
    if name.is_empty() || name.contains(char::is_whitespace) {
        return Err(Failure::usage(format!("`{variable}` is not a variable: NAME=VALUE or NAME")));
    }
    if variable.contains('=') {
        return Ok(Some(variable));
    }
    Ok(std::env::var(name).ok().map(|value| format!("{name}={value}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_a_variable_a_line() {
        assert_eq!(lines("# c\n\nA=1\n  B=x y \nHOME\n"), ["A=1", "B=x y ", "HOME"]);
    }

    #[test]
    fn a_name_alone_is_the_callers() {
        let given = ["A=1=2", "PONTOON_NO_SUCH_VARIABLE"].map(str::to_owned);
        assert_eq!(gather(&[], &given).unwrap(), ["A=1=2"]);
        assert!(gather(&[], &["=1".to_owned()]).is_err());
    }
}
