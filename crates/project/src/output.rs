//! What a project's containers write, whoever runs them.

use std::fs::File;
use std::io::Read as _;
use std::time::Duration;

use pontoon_compose::converge::Found;
use pontoon_compose::project::Runtime;
use pontoon_engine::EngineError;
use pontoon_engine::report::Reader;
use pontoon_engine::report::container::Life;
use pontoon_model::ContainerRef;
use pontoon_model::sandbox::Status;
use pontoon_oci::{Logs, Next};

use crate::{ProjectError, Site, bundles, engines, found};

/// How long one is listened to before the next has its turn.
const TURN: Duration = Duration::from_millis(1);

/// What one container writes.
#[derive(Debug)]
pub struct Output {
    /// The container's name.
    pub name: String,
    /// Its service.
    pub service: String,
    /// Which of its service's it is.
    pub number: u32,
    runtime: Runtime,
    source: Source,
}

#[derive(Debug)]
enum Source {
    File(File),
    Engine { logs: Box<Logs>, over: bool },
}

/// What the containers of a project write, from the beginning on; of other engines' containers the last `tail` lines.
///
/// # Errors
///
/// If it was not kept, or an engine does not tell.
pub fn outputs(
    site: &Site,
    project: &str,
    services: &[String],
    tail: Option<u64>,
) -> Result<Vec<Output>, ProjectError> {
    let reader = site.reader()?;
    let mut all = found::containers(&reader, project, &[])?;
    all.retain(|one| services.is_empty() || services.contains(&one.service));
    all.into_iter().map(|one| output(site, &reader, one, tail)).collect()
}

fn output(site: &Site, reader: &Reader, one: Found, tail: Option<u64>) -> Result<Output, ProjectError> {
    let source = match engines::kind(&one.runtime) {
        Some(kind) => Source::Engine { logs: Box::new(engines::logs(kind, &one.name, tail)?), over: false },
        None => {
            let path = match &one.runtime {
                Runtime::Oci { .. } => site.log_of(&one.name)?,
                _ => site.root().container(reader.container(&one.name)?.id.as_str()).join("output.log"),
            };
            let opened = File::open(&path).map_err(|source| ProjectError::Output { path, source })?;
            Source::File(opened)
        }
    };
    let Found { name, service, number, runtime, .. } = one;
    Ok(Output { name, service, number, runtime, source })
}

impl Output {
    /// The file that it is in, where it is in one.
    pub fn file(&mut self) -> Option<&mut File> {
        match &mut self.source {
            Source::File(file) => Some(file),
            Source::Engine { .. } => None,
        }
    }

    /// Adds what is new.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or an engine does not tell.
    pub fn read(&mut self, into: &mut Vec<u8>) -> Result<(), ProjectError> {
        match &mut self.source {
            Source::File(file) => match file.read_to_end(into) {
                Ok(_) => Ok(()),
                Err(source) => Err(ProjectError::Output { path: self.name.clone().into(), source }),
            },
            Source::Engine { over: true, .. } => Ok(()),
            Source::Engine { logs, over } => loop {
                let next = logs.next(Some(TURN));
                match next.map_err(|error| ProjectError::of(&self.name)(EngineError::from(error)))? {
                    Next::One(piece) => into.extend(piece.bytes),
                    Next::Nothing => return Ok(()),
                    Next::End => {
                        *over = true;
                        return Ok(());
                    }
                }
            },
        }
    }

    /// Whether nothing more comes.
    ///
    /// # Errors
    ///
    /// If it cannot be told.
    pub fn is_over(&self, site: &Site) -> Result<bool, ProjectError> {
        if let Source::Engine { over, .. } = self.source {
            return Ok(over);
        }
        if let Runtime::Oci { .. } = self.runtime {
            return Ok(!bundles::runs(&self.runtime, &self.name)?);
        }
        let meant = ContainerRef::Ours(self.name.clone());
        let Some(sandbox) = found::record(&site.reader()?, &meant)? else { return Ok(true) };
        let life = Life::of(&sandbox).map_err(ProjectError::of(&self.name))?;
        Ok(matches!(sandbox.status, Status::Exited(_)) || life == Life::Dead)
    }
}
