//! Containers after their start: look at them, enter them, end them.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use pontoon_kernel::process::{
    Exec, ExitStatus, Foreground, Process as Running, Stdio, environment_of, exec_into,
};
use pontoon_model::event::Action;
use pontoon_model::sandbox::{ProcessId, Sandbox, Status};
use pontoon_model::supervision::StopSignal;
use pontoon_model::{News, SandboxId};
use pontoon_store::StoreError;

use crate::recover::forget_sandbox;
use crate::{Engine, EngineError, resolve};

/// How long a keeper may take to tidy up after its container.
const TIDYING: Duration = Duration::from_secs(5);

/// How long a container may take to end, unless something else is said.
const GRACE: Duration = Duration::from_secs(10);

/// The exit code of a container whose end nobody saw: most likely a signal that cannot be caught (128 + 9).
const UNSEEN: i32 = 137;

/// What `exec` was given.
#[derive(Debug, Clone)]
pub struct ExecSpec {
    /// The command and its arguments.
    pub argv: Vec<String>,
    /// Variables added to the environment.
    pub env: Vec<String>,
    /// Where it starts.
    pub workdir: Option<PathBuf>,
    /// Whether it gets a terminal of its own.
    pub tty: bool,
}

impl Engine {
    /// A container of ours.
    ///
    /// # Errors
    ///
    /// If there is none, or it is a namespace of somebody else's.
    pub fn container(&self, name: &str) -> Result<Sandbox, EngineError> {
        let sandbox = self.store.read(|tx| resolve::container(tx, name))?;
        match (sandbox.is_ours(), sandbox.elsewhere()) {
            (true, _) => Ok(sandbox),
            (false, Some(reference)) => Err(EngineError::OtherEngine(reference.clone())),
            (false, None) => Err(EngineError::NoContainer { name: name.to_owned(), near: Vec::new() }),
        }
    }

    /// Runs a command in a running container, in the foreground.
    ///
    /// # Errors
    ///
    /// If the container does not run, or the command cannot be started.
    pub fn exec(&mut self, name: &str, spec: &ExecSpec) -> Result<ExitStatus, EngineError> {
        let sandbox = self.container(name)?;
        let running = running(&sandbox)?.ok_or_else(|| EngineError::NotRunning(name.to_owned()))?;
        let mut environment = environment_of(&running)?;
        for (name, value) in spec.env.iter().filter_map(|given| given.split_once('=')) {
            environment.retain(|(other, _)| other != name);
            environment.push((name.into(), value.into()));
        }
        let pty = EngineError::open_terminal(spec.tty)?;
        let foreground = Foreground::prepare()?;
        let child = exec_into(&Exec {
            target: &running,
            command: spec.argv.iter().map(OsString::from).collect(),
            environment,
            directory: spec.workdir.clone(),
            stdio: pty.as_ref().map_or(Stdio::Inherit, |pty| Stdio::Terminal(pty.user())),
            die_with_parent: false,
            session: false,
        })?;
        Ok(match pty {
            Some(pty) => foreground.wait_on_terminal(&child, pty)?,
            None => foreground.wait(&child)?,
        })
    }

    /// Ends a container's process: first by asking (with its stop signal, else `SIGTERM`), and by force after `grace`,
    /// or what the container asks for, or ten seconds. Its network goes with it.
    ///
    /// # Errors
    ///
    /// If there is no such container or it cannot be ended.
    pub fn stop(&mut self, name: &str, grace: Option<Duration>) -> Result<Sandbox, EngineError> {
        let sandbox = self.container(name)?;
        let grace = grace.or(sandbox.process.stop_grace).unwrap_or(GRACE);
        self.end_process(&sandbox, Some(grace))?;
        Ok(sandbox)
    }

    /// As [`Engine::stop`], for several at once: all are asked before the first is waited for. Says what came of each.
    pub fn stop_all(
        &mut self,
        sandboxes: &[Sandbox],
        grace: Option<Duration>,
    ) -> Vec<Result<(), EngineError>> {
        let asked: Vec<_> = sandboxes.iter().map(|sandbox| self.ask_to_end(sandbox, true)).collect();
        let start = Instant::now();
        let mut came = Vec::new();
        for (sandbox, asked) in sandboxes.iter().zip(asked) {
            let grace = grace.or(sandbox.process.stop_grace).unwrap_or(GRACE);
            came.push(asked.and_then(|running| match running {
                Some(running) => {
                    make_end(&running, grace.saturating_sub(start.elapsed()))?;
                    self.await_end(&sandbox.id)
                }
                None => self.await_end(&sandbox.id),
            }));
        }
        came
    }

    fn end_process(&mut self, sandbox: &Sandbox, grace: Option<Duration>) -> Result<(), EngineError> {
        if let Some(running) = self.ask_to_end(sandbox, grace.is_some())? {
            make_end(&running, grace.unwrap_or_default())?;
        }
        self.await_end(&sandbox.id)
    }

    /// Notes that a container is to end, and asks its process to if it still runs.
    fn ask_to_end(&mut self, sandbox: &Sandbox, politely: bool) -> Result<Option<Running>, EngineError> {
        // As it is on record now: it may have been started again since.
        let Some(sandbox) = self.note_stopping(&sandbox.id)? else { return Ok(None) };
        let process = running(&sandbox)?;
        if let Some(process) = process.as_ref().filter(|_| politely) {
            // It may have ended by itself meanwhile.
            let _ = process.signal(sandbox.process.stop_signal.unwrap_or(StopSignal::TERM).number());
        }
        Ok(process)
    }

    /// Waits until a container whose process has ended is tidied up after; does it if nobody else will.
    fn await_end(&mut self, id: &SandboxId) -> Result<(), EngineError> {
        let start = Instant::now();
        loop {
            let (sandbox, tidy) = self.store.read(|tx| -> Result<_, EngineError> {
                let tidy = tx.endpoints_of_sandbox(id)?.is_empty() && tx.cables_of_sandbox(id)?.is_empty();
                Ok((tx.sandbox(id)?, tidy))
            })?;
            let Some(sandbox) = sandbox else { return Ok(()) };
            let ended = matches!(sandbox.status, Status::Exited(_));
            if ended && tidy && sandbox.ports.is_empty() {
                return Ok(());
            }
            let kept = sandbox.keeper.is_some_and(is_alive);
            if !kept {
                // The keeper's last act may be a fork that still works.
                self.recover()?;
                self.end(id, UNSEEN)?;
            }
            if start.elapsed() > TIDYING {
                return Err(EngineError::StillThere(sandbox.name.into()));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Forgets a container that has ended, or with `force` ends it first.
    ///
    /// # Errors
    ///
    /// If there is none, or it runs.
    pub fn remove(&mut self, name: &str, force: bool) -> Result<Sandbox, EngineError> {
        let sandbox = self.container(name)?;
        if running(&sandbox)?.is_some() && !force {
            return Err(EngineError::Running(name.to_owned()));
        }
        self.end_process(&sandbox, None)?;
        // Whoever tidies up after it may not have come to its ports yet.
        let forgotten = self.store.transaction(|tx| {
            let now = tx.sandbox(&sandbox.id)?;
            now.iter().try_for_each(|now| forget_sandbox(tx, now))?;
            Ok::<_, StoreError>(now)
        })?;
        self.tell(forgotten.iter().map(|sandbox| News::container(Action::Destroy, sandbox)));
        // Its output can no longer be asked for; if it stays on the disk, that harms nobody.
        let _ = std::fs::remove_dir_all(self.root.container(sandbox.id.as_str()));
        Ok(sandbox)
    }

    /// Takes away the networks of containers whose process and keeper are both gone.
    ///
    /// # Errors
    ///
    /// If the state cannot be read or written.
    pub fn reap(&mut self) -> Result<(), EngineError> {
        for sandbox in self.store.read(|tx| tx.sandboxes())? {
            let alive = sandbox.keeper.is_some_and(is_alive) || running(&sandbox)?.is_some();
            let over = matches!(sandbox.status, Status::Exited(_)) || !sandbox.is_ours();
            if !alive && !over && self.mode == crate::Mode::Apply {
                self.end(&sandbox.id, UNSEEN)?;
                self.warn(format!("container {} had ended unseen; its network is taken away", sandbox.name));
            }
        }
        Ok(())
    }

    /// The file that a detached container's output is in.
    pub fn log(&self, sandbox: &Sandbox) -> PathBuf {
        self.root.container(sandbox.id.as_str()).join("output.log")
    }
}

/// A container's process, if it still runs.
///
/// # Errors
///
/// If the kernel does not tell.
pub fn running(sandbox: &Sandbox) -> Result<Option<Running>, EngineError> {
    match sandbox.process_id {
        Some(id) => Ok(Running::open_started(id.pid, id.started)?),
        None => Ok(None),
    }
}

/// Waits for a process that was asked to end, and makes it end when it does not.
fn make_end(process: &Running, grace: Duration) -> Result<(), EngineError> {
    const KILL: i32 = 9;
    if !process.wait_gone(grace)? {
        // It may have ended by itself meanwhile.
        let _ = process.signal(KILL);
        process.wait_gone(TIDYING)?;
    }
    Ok(())
}

fn is_alive(id: ProcessId) -> bool {
    Running::open_started(id.pid, id.started).is_ok_and(|process| process.is_some())
}
