//! Compose files, as the [Compose Specification](https://github.com/compose-spec/compose-spec) has them, read into a
//! [`Project`].
//!
//! [`load`] takes what was asked for ([`Request`]) and a way to read files ([`Files`]), and touches nothing itself.
//! [`config`] makes of the same the one document that all files together amount to.

mod canonical;
mod config;
pub mod converge;
mod duration;
mod envfile;
mod error;
mod interpolate;
mod merge;
mod name;
mod path;
pub mod project;
mod read;
mod report;
mod schema;
mod source;
mod words;
mod yaml;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use config::Config;
pub use error::{Caution, Circle, ComposeError, ComposeErrors, Fault, Position, Warning};
pub use project::Project;

/// What is to be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// Where the command was given: an absolute path.
    pub working_directory: PathBuf,
    /// The environment of the command.
    pub environment: BTreeMap<String, String>,
    /// `--file`: the files, each over those before it. `COMPOSE_FILE`, or the default names, when there are none.
    pub files: Vec<PathBuf>,
    /// `--project-name`.
    pub project_name: Option<String>,
    /// `--project-directory`; that of the first file when not said.
    pub project_directory: Option<PathBuf>,
    /// `--env-file`: instead of `.env` in the project's directory.
    pub env_files: Vec<PathBuf>,
    /// `--profile`, besides `COMPOSE_PROFILES`. `*` is all of them.
    pub profiles: Vec<String>,
    /// Services that are named on the command line: their profiles are active for them.
    pub services: Vec<String>,
}

/// A way to read files.
pub trait Files {
    /// The text of the file at `path`; `None` when there is none.
    ///
    /// # Errors
    ///
    /// What the system says, when the file is there and cannot be read.
    fn read(&self, path: &Path) -> Result<Option<String>, String>;
}

/// Files in memory, for tests.
impl Files for BTreeMap<PathBuf, String> {
    fn read(&self, path: &Path) -> Result<Option<String>, String> {
        Ok(self.get(path).cloned())
    }
}

/// Reads a project.
///
/// # Errors
///
/// All that is wrong, as far as one thing can be told apart from what follows from another.
pub fn load(request: &Request, files: &dyn Files) -> Result<Project, ComposeErrors> {
    let (sources, report) = source::gather(request, files)?;
    read::project(&sources, report, request, files)
}

/// Reads a project, and makes one document of all its files that says the same.
///
/// # Errors
///
/// As [`load`].
pub fn config(request: &Request, files: &dyn Files) -> Result<Config, ComposeErrors> {
    let (sources, report) = source::gather(request, files)?;
    let project = read::project(&sources, report, request, files)?;
    Ok(config::config(&sources.tree, project))
}
