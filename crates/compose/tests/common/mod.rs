//! The cases of `tests/cases`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pontoon_compose::Request;

/// A case: where it is, what is asked for, and its files.
pub(crate) type Case = (PathBuf, Request, BTreeMap<PathBuf, String>);

/// All cases, by name.
pub(crate) fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let entries = std::fs::read_dir(&folder).expect("the folder is there");
    let mut inputs: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    inputs.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    inputs.sort();
    let read = |path: PathBuf| {
        let (request, files) = case(&std::fs::read_to_string(&path).expect("a case can be read"));
        (path, request, files)
    };
    inputs.into_iter().map(read).collect()
}

/// The request of a case, and its files.
fn case(text: &str) -> (Request, BTreeMap<PathBuf, String>) {
    let mut request = Request { working_directory: "/project".into(), ..Request::default() };
    for line in text.lines().map_while(|line| line.strip_prefix("# ")) {
        match line.split_once(' ') {
            Some(("env", assignment)) => {
                let (key, value) = assignment.split_once('=').expect("a variable");
                request.environment.insert(key.into(), value.into());
            }
            Some(("profile", profile)) => request.profiles.push(profile.into()),
            Some(("service", service)) => request.services.push(service.into()),
            _ => {}
        }
    }
    let mut files = BTreeMap::new();
    let (mut name, mut lines) = ("compose.yaml", Vec::new());
    for line in text.lines() {
        match line.strip_prefix("#### ") {
            Some(next) => {
                files.insert(Path::new("/project").join(name), lines.join("\n"));
                (name, lines) = (next, Vec::new());
            }
            None => lines.push(line),
        }
    }
    files.insert(Path::new("/project").join(name), lines.join("\n"));
    (request, files)
}
