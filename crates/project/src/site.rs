//! Where projects are: an instance of Pontoon, opened when something is to be changed.

use std::path::PathBuf;

use pontoon_engine::report::Reader;
use pontoon_engine::{Engine, Mode, Root};
use pontoon_kernel::lock::ProcessLock;

use crate::{Progress, ProjectError, Tell};

/// An instance. The engine is closed while containers are started: what is open must not be carried over a fork.
#[derive(Debug)]
pub struct Site {
    root: Root,
    engine: Option<Engine>,
}

impl Site {
    /// The instance at `root`.
    pub fn new(root: Root) -> Self {
        Self { root, engine: None }
    }

    pub(crate) fn root(&self) -> &Root {
        &self.root
    }

    /// The state, for reading.
    pub(crate) fn reader(&self) -> Result<Reader, ProjectError> {
        Ok(Reader::open(&self.root)?)
    }

    /// Does something with the engine; `subject` is what it is about.
    pub(crate) fn with_engine<T>(
        &mut self,
        subject: &str,
        tell: Tell<'_>,
        work: impl FnOnce(&mut Engine) -> Result<T, pontoon_engine::EngineError>,
    ) -> Result<T, ProjectError> {
        let mut engine = match self.engine.take() {
            Some(engine) => engine,
            None => Engine::open(self.root.clone(), Mode::Apply).map_err(ProjectError::of(subject))?,
        };
        let done = work(&mut engine).map_err(ProjectError::of(subject));
        engine
            .warnings
            .drain(..)
            .for_each(|warning| tell(Progress::Warning(format!("{subject}: {warning}"))));
        self.engine = Some(engine);
        done
    }

    /// The folder for what is kept of a container of an OCI runtime.
    pub(crate) fn folder_of(&self, name: &str) -> PathBuf {
        self.root.container(&format!("oci-{name}"))
    }

    /// The file for what a container of an OCI runtime prints.
    pub(crate) fn log_of(&self, name: &str) -> Result<PathBuf, ProjectError> {
        let folder = self.folder_of(name);
        std::fs::create_dir_all(&folder)
            .map_err(|source| ProjectError::Log { path: folder.clone(), source })?;
        Ok(folder.join("output.log"))
    }

    /// Closes the engine, before something is forked.
    pub(crate) fn close(&mut self) {
        self.engine = None;
    }

    /// Keeps other commands from the project until the lock is dropped, or this process ends.
    pub(crate) fn lock(&mut self, project: &str) -> Result<ProcessLock, ProjectError> {
        // It makes the folder.
        drop(Engine::open(self.root.clone(), Mode::Apply).map_err(ProjectError::of(project))?);
        let path = self.root.dirs.run.join(format!("project-{project}.lock"));
        ProcessLock::try_acquire(&path)?.ok_or_else(|| ProjectError::Busy(project.to_owned()))
    }
}
