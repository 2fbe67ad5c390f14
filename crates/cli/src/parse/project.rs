//! Which project a verb is about: the flags that all of them have.

use std::path::PathBuf;

use clap::Args;
use pontoon_compose::{Project, Request};
use pontoon_project::Disk;

use crate::failure::Failure;
use crate::output;

/// Which files make the project.
#[derive(Debug, Args)]
#[command(next_help_heading = "Project")]
pub(crate) struct ProjectFlags {
    /// Compose file; several are merged, each over those before it. COMPOSE_FILE, or compose.yaml of this directory or
    /// one above it, when not given
    #[arg(long, short, value_name = "FILE")]
    file: Vec<PathBuf>,
    /// Name of the project, instead of the file's or its directory's
    #[arg(long, short, value_name = "NAME")]
    project_name: Option<String>,
    /// Directory that relative paths start from; that of the first file when not given
    #[arg(long, value_name = "DIR")]
    project_directory: Option<PathBuf>,
    /// File with variables for the compose files, instead of .env
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// Profile whose services are meant too; `*` is all of them
    #[arg(long, value_name = "PROFILE")]
    profile: Vec<String>,
}

impl ProjectFlags {
    /// What is to be read, for the services that were named.
    pub(crate) fn request(&self, services: &[String]) -> Result<Request, Failure> {
        let here = std::env::current_dir()
            .map_err(|error| Failure::io("could not tell the working directory", &error))?;
        Ok(Request {
            working_directory: here,
            // Names and values that are no text mean nothing to a file of text.
            environment: std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
            files: self.file.clone(),
            project_name: self.project_name.clone(),
            project_directory: self.project_directory.clone(),
            env_files: self.env_file.clone(),
            profiles: self.profile.clone(),
            services: services.to_vec(),
        })
    }

    /// The project, with what is not done of its files told.
    pub(crate) fn load(&self, services: &[String]) -> Result<Project, Failure> {
        let project = self.read(services)?;
        project.warnings.iter().for_each(|warning| output::warning(&warning.to_string()));
        Ok(project)
    }

    /// The project, without a word.
    pub(crate) fn read(&self, services: &[String]) -> Result<Project, Failure> {
        pontoon_compose::load(&self.request(services)?, &Disk).map_err(|errors| Failure::all(&errors.0))
    }

    /// The project's name, for verbs that need no more.
    pub(crate) fn name(&self) -> Result<String, Failure> {
        match self.given_name() {
            Some(name) => Ok(name.to_owned()),
            None => Ok(self.read(&[])?.name),
        }
    }

    /// The name that was given, where the files need not be there for it.
    pub(crate) fn given_name(&self) -> Option<&str> {
        self.project_name.as_deref()
    }
}
