//! Which files a project has, where it is, and its variables.

use std::path::{Path, PathBuf};

use super::Reader;
use crate::Request;
use crate::envfile::{self, Format};
use crate::error::Fault;
use crate::path::{resolve, shown};
use crate::report::Environment;

/// Names of files, the first that is there counts; with the override's.
const NAMES: [&str; 4] = ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];
const OVERRIDES: [&str; 4] = [
    "compose.override.yaml",
    "compose.override.yml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
];

/// Where a project is.
pub(super) struct Found {
    /// Its files, absolute.
    pub(super) files: Vec<PathBuf>,
    /// Where its relative paths start.
    pub(super) directory: PathBuf,
    /// Its variables: the command's before those of environment files.
    pub(super) environment: Environment,
}

/// Finds a project's files. What is wrong is in the report.
pub(super) fn find(reader: &mut Reader<'_>, request: &Request) -> Option<Found> {
    let start = &request.working_directory;
    let here = request.project_directory.as_ref().map_or(start.clone(), |path| resolve(start, path));
    let given = given_env_files(request);
    let mut environment = request.environment.clone();
    for path in &given {
        let path = resolve(start, path);
        if let Some(text) = reader.text(&path, None) {
            add(reader, &text, &path, &mut environment);
        }
    }
    if given.is_empty() {
        add_default(reader, &here, &mut environment);
    }
    let files = named_files(request, &environment).or_else(|| default_files(reader, &here));
    let Some(files) = files else {
        reader.report.push(Fault::NoFile(here).at(None));
        return None;
    };
    let files: Vec<PathBuf> = files.iter().map(|path| file_path(start, path)).collect();
    let directory = match &request.project_directory {
        Some(_) => here.clone(),
        None => files
            .first()
            .filter(|path| !is_input(path))
            .and_then(|path| path.parent())
            .unwrap_or(&here)
            .to_owned(),
    };
    if given.is_empty() && directory != here {
        add_default(reader, &directory, &mut environment);
    }
    Some(Found { files, directory, environment })
}

/// `-` is the standard input, and stays as it is.
fn file_path(start: &Path, path: &Path) -> PathBuf {
    if is_input(path) { path.to_owned() } else { resolve(start, path) }
}

fn is_input(path: &Path) -> bool {
    path == Path::new("-")
}

/// `--env-file`, or `COMPOSE_ENV_FILES`.
fn given_env_files(request: &Request) -> Vec<PathBuf> {
    let named = request.environment.get("COMPOSE_ENV_FILES").filter(|_| request.env_files.is_empty());
    let named = named.into_iter().flat_map(|list| list.split(',')).filter(|path| !path.is_empty());
    request.env_files.iter().cloned().chain(named.map(PathBuf::from)).collect()
}

/// `--file`, or `COMPOSE_FILE`.
fn named_files(request: &Request, environment: &Environment) -> Option<Vec<PathBuf>> {
    if !request.files.is_empty() {
        return Some(request.files.clone());
    }
    let list = environment.get("COMPOSE_FILE").filter(|list| !list.is_empty())?;
    let separator = environment.get("COMPOSE_PATH_SEPARATOR").filter(|text| !text.is_empty());
    Some(list.split(separator.map_or(":", String::as_str)).map(PathBuf::from).collect())
}

/// The files of the default names, in `directory` or the nearest above it that has some.
fn default_files(reader: &Reader<'_>, directory: &Path) -> Option<Vec<PathBuf>> {
    let first = |directory: &Path, names: [&str; 4]| {
        let paths = names.map(|name| directory.join(name));
        paths.into_iter().find(|path| !matches!(reader.files.read(path), Ok(None)))
    };
    directory.ancestors().find_map(|directory| {
        let main = first(directory, NAMES)?;
        Some(std::iter::once(main).chain(first(directory, OVERRIDES)).collect())
    })
}

/// Adds the variables of the `.env` in `directory`, if there is one, behind those that are known.
pub(super) fn add_default(reader: &mut Reader<'_>, directory: &Path, environment: &mut Environment) {
    let path = directory.join(".env");
    match reader.files.read(&path) {
        Ok(Some(text)) => add(reader, &text, &path, environment),
        Ok(None) => {}
        Err(reason) => reader.report.push(Fault::Unreadable { path, reason }.at(None)),
    }
}

/// Adds the variables of a file behind those that are known.
pub(super) fn add(reader: &mut Reader<'_>, text: &str, path: &Path, environment: &mut Environment) {
    let shown = shown(reader.working_directory, path);
    let mut own = Environment::new();
    envfile::read(text, &shown, Format::Usual, environment, &mut own, &mut reader.report);
    for (key, value) in own {
        environment.entry(key).or_insert(value);
    }
}
