//! Detached containers: a fork of the command stays behind and keeps them.

use pontoon_kernel::process::{Message, SpawnError, Staying, Stdio};
use pontoon_model::diagnose::with_causes;
use pontoon_model::{Diagnose, SandboxId};

use crate::furnish::create_log;
use crate::run::RunSpec;
use crate::{Engine, EngineError, Mode, Root};

/// Runs a container and returns its id once its process runs.
///
/// # Errors
///
/// As [`run_foreground`](crate::run::run_foreground).
pub fn run_detached(root: Root, spec: &RunSpec) -> Result<Started, EngineError> {
    Starting::begin(root, spec)?.finish()
}

/// A container that is being started by the process that will keep it.
#[derive(Debug)]
pub struct Starting(Staying);

impl Starting {
    /// Begins to run a container; several may be on their way at once.
    ///
    /// # Errors
    ///
    /// If no process can be forked.
    pub fn begin(root: Root, spec: &RunSpec) -> Result<Self, EngineError> {
        Ok(Self(Staying::begin(|said| keep(root, spec, said))?))
    }

    /// Waits until its process runs.
    ///
    /// # Errors
    ///
    /// As [`run_foreground`](crate::run::run_foreground).
    pub fn finish(self) -> Result<Started, EngineError> {
        understand(&self.0.said()?)
    }
}

fn understand(said: &[u8]) -> Result<Started, EngineError> {
    let heard: Result<Result<Started, StartFailure>, _> = serde_json::from_slice(said);
    match heard {
        Ok(Ok(started)) => Ok(started),
        Ok(Err(failure)) => Err(EngineError::Keeper(failure)),
        Err(_) => Err(EngineError::Keeper(StartFailure {
            message: "the process that looks after the container ended without a word".into(),
            code: "keeper-gone".into(),
            hint: None,
            exit_code: 125,
        })),
    }
}

/// A container that runs detached.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct Started {
    /// Its id.
    pub id: SandboxId,
    /// What went differently.
    pub warnings: Vec<String>,
}

/// Why a detached container could not be started, as its keeper tells it.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct StartFailure {
    /// The error and its causes.
    pub message: String,
    /// Its code.
    pub code: String,
    /// Its hint.
    pub hint: Option<String>,
    /// The exit code that tells of it.
    pub exit_code: i32,
}

impl StartFailure {
    fn of(error: &EngineError) -> Self {
        let message = with_causes(error);
        Self { message, code: error.code().to_owned(), hint: error.hint(), exit_code: exit_code(error) }
    }
}

/// The exit code for an error, as Docker has them: 127 and 126 about the command, 125 about us.
pub fn exit_code(error: &EngineError) -> i32 {
    match error {
        EngineError::Spawn(SpawnError::CommandNotFound { .. }) => 127,
        EngineError::Spawn(SpawnError::CommandNotRunnable { .. }) => 126,
        EngineError::Keeper(failure) => failure.exit_code,
        _ => 125,
    }
}

/// What the keeper of a detached container does with its life.
fn keep(root: Root, spec: &RunSpec, said: Message) -> i32 {
    let started = Engine::open(root, Mode::Apply).and_then(|mut engine| {
        let mut ready = engine.set_up(spec)?;
        match create_log(&engine.root, &ready.sandbox.id) {
            Ok(log) => {
                let child = engine.start(&mut ready, spec, Stdio::Log(log.clone()))?;
                Ok((engine, child, ready.sandbox.id, log))
            }
            Err(error) => {
                engine.abandon(&mut ready)?;
                Err(error)
            }
        }
    });
    let (mut engine, child, id, log) = match started {
        Ok(started) => started,
        Err(error) => {
            let failure: Result<Started, StartFailure> = Err(StartFailure::of(&error));
            said.send(&serde_json::to_vec(&failure).unwrap_or_default());
            return 1;
        }
    };
    let warnings = std::mem::take(&mut engine.warnings);
    let answer: Result<Started, StartFailure> = Ok(Started { id: id.clone(), warnings });
    said.send(&serde_json::to_vec(&answer).unwrap_or_default());
    let code = engine.keep(&id, log, child);
    i32::from(engine.end(&id, code).is_err())
}
