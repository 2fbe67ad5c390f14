//! An OCI runtime's own program: crun, runc, or another with their words.
//!
//! Source: the OCI Runtime Specification, "Runtime and Lifecycle"; runc(8), crun(1).

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::command::FOLDERS;
use crate::{OciError, hook::State};

/// The programs that are looked for where none is named, the first of them first.
const PROGRAMS: [&str; 2] = ["crun", "runc"];

/// How often a container that is to end is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// A runtime.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runtime {
    program: String,
}

impl Runtime {
    /// The runtime of this name, or the first that is there.
    ///
    /// # Errors
    ///
    /// [`OciError::NoRuntime`] if there is none.
    pub fn find(program: Option<&str>) -> Result<Self, OciError> {
        let is_there = |program: &&str| {
            let path = Path::new(program);
            if path.is_absolute() {
                path.exists()
            } else {
                FOLDERS.iter().any(|folder| Path::new(folder).join(path).exists())
            }
        };
        let asked: Vec<&str> = program.map_or_else(|| PROGRAMS.to_vec(), |program| vec![program]);
        match asked.iter().copied().find(|program| is_there(program)) {
            Some(found) => Ok(Self { program: found.to_owned() }),
            None => Err(OciError::NoRuntime { programs: asked.into_iter().map(str::to_owned).collect() }),
        }
    }

    /// Makes a container of a bundle; its process waits to be started. What it prints goes to `log`.
    ///
    /// # Errors
    ///
    /// What the runtime says, as of a bundle that is none.
    pub fn create(&self, id: &str, bundle: &Path, log: &Path) -> Result<(), OciError> {
        let output = std::fs::File::options().create(true).append(true).open(log);
        let output = output.map_err(|error| self.failed("create", id, error.to_string()))?;
        let errors = output.try_clone().map_err(|error| self.failed("create", id, error.to_string()))?;
        let before = log.metadata().map_or(0, |found| found.len());
        let status = self
            .command(&["create", "--bundle"])
            .arg(bundle)
            .arg(id)
            .stdout(output)
            .stderr(errors)
            .status()
            .map_err(|error| self.failed("create", id, error.to_string()))?;
        match status.success() {
            true => Ok(()),
            false => {
                let said = std::fs::read(log).unwrap_or_default();
                let said = said.get(usize::try_from(before).unwrap_or(0)..).unwrap_or_default();
                Err(self.failed("create", id, String::from_utf8_lossy(said).trim().to_owned()))
            }
        }
    }

    /// How a container is; `None` if there is none of this id.
    ///
    /// # Errors
    ///
    /// If the runtime cannot be asked, or its answer is not understood.
    pub fn state(&self, id: &str) -> Result<Option<State>, OciError> {
        let asked = self.command(&["state", id]).output();
        let asked = asked.map_err(|error| self.failed("state", id, error.to_string()))?;
        if !asked.status.success() {
            // Both say it in words of their own, and nothing else of a container that is there.
            return Ok(None);
        }
        State::parse(&asked.stdout).map(Some).map_err(|error| self.failed("state", id, error.to_string()))
    }

    /// Starts the process of a container that was made.
    ///
    /// # Errors
    ///
    /// What the runtime says.
    pub fn start(&self, id: &str) -> Result<(), OciError> {
        self.run(&["start", id], "start", id)
    }

    /// Sends a signal to a container's process, waits until it has ended, `grace` at the most, and removes it.
    ///
    /// # Errors
    ///
    /// If it cannot be removed. One that is not there is not missed.
    pub fn remove(&self, id: &str, signal: &str, grace: Duration) -> Result<(), OciError> {
        // One that has ended takes no signal.
        let _ = self.run(&["kill", id, signal], "kill", id);
        let end = Instant::now() + grace;
        while self.state(id)?.is_some_and(|state| state.status != "stopped") && Instant::now() < end {
            std::thread::sleep(LOOK);
        }
        match self.state(id)? {
            Some(_) => self.run(&["delete", "--force", id], "delete", id),
            None => Ok(()),
        }
    }

    fn run(&self, words: &[&str], action: &'static str, id: &str) -> Result<(), OciError> {
        let done = self.command(words).output();
        let done = done.map_err(|error| self.failed(action, id, error.to_string()))?;
        match done.status.success() {
            true => Ok(()),
            false => Err(self.failed(action, id, String::from_utf8_lossy(&done.stderr).trim().to_owned())),
        }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(words).env("PATH", FOLDERS.join(":")).stdin(Stdio::null());
        command
    }

    fn failed(&self, action: &'static str, id: &str, message: String) -> OciError {
        OciError::Command { command: format!("{} {action} {id}", self.program), message }
    }
}
