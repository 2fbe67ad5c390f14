//! Links in the Markdown files to other files of the repository.

use std::path::Path;
use std::process::Command;

use crate::Finding;

/// Findings about all Markdown files that are under version control.
pub(crate) fn check() -> Vec<Finding> {
    let output = Command::new("git").args(["ls-files", "*.md"]).output().expect("git runs");
    let files = String::from_utf8_lossy(&output.stdout).into_owned();
    files.lines().flat_map(|file| check_file(Path::new(file))).collect()
}

fn check_file(file: &Path) -> Vec<Finding> {
    let Ok(text) = std::fs::read_to_string(file) else {
        return vec![format!("{} cannot be read", file.display())];
    };
    let folder = file.parent().unwrap_or(Path::new(""));
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let local = targets.filter(|target| {
        !target.contains("://") && !target.starts_with('#') && !target.starts_with("mailto:")
    });
    local
        .map(|target| target.split('#').next().unwrap_or(target))
        .filter(|target| !folder.join(target).exists())
        .map(|target| format!("{} links to {target}, which is not there", file.display()))
        .collect()
}
