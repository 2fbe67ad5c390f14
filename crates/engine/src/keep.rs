//! What a keeper does as long as its container is wanted: it waits, checks on it, and starts it again.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use pontoon_kernel::netns::Netns as OpenNetns;
use pontoon_kernel::process::{
    Child, Exec, ExitStatus, SpawnError, Stdio, environment_of, exec_into, first_gone,
};
use pontoon_model::event::Action;
use pontoon_model::sandbox::{NetworkMode, ProcessId, Sandbox, Status};
use pontoon_model::supervision::{Health, RestartPolicy};
use pontoon_model::{News, SandboxId};
use pontoon_plan::supervision::{Backoff, Checkup};

use crate::connect::Connected;
use crate::furnish::Around;
use crate::run::Inside;
use crate::time::now;
use crate::{Engine, EngineError, guard};

/// How often one that waits for its next start is asked about.
const LOOK: Duration = Duration::from_millis(20);

impl Engine {
    /// Keeps a detached container whose process was just started, until it has ended for good; returns its exit code.
    pub(crate) fn keep(&mut self, id: &SandboxId, log: PathBuf, mut child: Child) -> i32 {
        let mut backoff = Backoff::default();
        loop {
            let started = Instant::now();
            let code = self.attend(id, &child);
            let pause = backoff.next(started.elapsed());
            match self.wait_to_restart(id, code, pause).and_then(|again| match again {
                true => self.start_again(id, &log),
                false => Ok(None),
            }) {
                Ok(Some(next)) => child = next,
                Ok(None) | Err(_) => return code,
            }
        }
    }

    /// Waits for the end of a process and checks on it meanwhile.
    fn attend(&mut self, id: &SandboxId, child: &Child) -> i32 {
        let check = match self.store.read(|tx| tx.bare().sandbox(id)) {
            Ok(Some(sandbox)) => sandbox.process.health_check,
            Ok(None) | Err(_) => None,
        };
        if let Some(check) = check {
            let start = Instant::now();
            let mut checkup = Checkup::new(&check);
            let report = self.root.container(id.as_str()).join("health.log");
            // What cannot be waited for is waited for below, which says why.
            while !child.process().wait_gone(checkup.due().saturating_sub(start.elapsed())).unwrap_or(true) {
                let well = check_once(child, &check.test, check.timeout, &report).unwrap_or(false);
                let before = checkup.health();
                checkup.note(well, start.elapsed());
                if checkup.health() != before {
                    self.note_health(id, checkup.health());
                }
            }
        }
        child.wait().map_or(125, ExitStatus::code)
    }

    fn note_health(&mut self, id: &SandboxId, health: Health) {
        let noted = self.store.transaction(|tx| -> Result<_, EngineError> {
            let Some(sandbox) = tx.bare().sandbox(id)? else { return Ok(None) };
            let sandbox = Sandbox { health: Some(health), ..sandbox };
            tx.sandbox_put(&sandbox)?;
            Ok(Some(News::container(Action::Health, &sandbox)))
        });
        // Seen at the next change, or not at all where nothing can be written: it goes on all the same.
        if let Ok(news) = noted {
            self.tell(news);
        }
    }

    /// Whether a container that ended is to be started again; if so, once its pause is over.
    fn wait_to_restart(&mut self, id: &SandboxId, code: i32, pause: Duration) -> Result<bool, EngineError> {
        let end = Instant::now() + pause;
        if !self.wants_restart(id, code)? {
            return Ok(false);
        }
        let died = self.store.transaction(|tx| -> Result<_, EngineError> {
            let Some(sandbox) = tx.bare().sandbox(id)? else { return Ok(None) };
            // As news has it, with how it ended; the record waits for its next start.
            let ended = Sandbox { status: Status::Exited(code), ..sandbox.clone() };
            tx.sandbox_put(&Sandbox { finished: now(), ..sandbox })?;
            Ok(Some(News::container(Action::Die, &ended)))
        })?;
        self.tell(died);
        while Instant::now() < end {
            std::thread::sleep(LOOK.min(pause));
            if !self.wants_restart(id, code)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn wants_restart(&self, id: &SandboxId, code: i32) -> Result<bool, EngineError> {
        let sandbox = self.store.read(|tx| tx.bare().sandbox(id))?;
        let wants = |one: Sandbox| !one.stopping && one.process.restart.restarts(code, one.restarts);
        Ok(sandbox.is_some_and(wants))
    }

    /// Starts a container's process in the namespace that it had; none if it is to end meanwhile.
    fn start_again(&mut self, id: &SandboxId, log: &std::path::Path) -> Result<Option<Child>, EngineError> {
        let Some(sandbox) = self.store.read(|tx| tx.bare().sandbox(id))? else { return Ok(None) };
        let around = self.around(&sandbox)?;
        let netns = match (&sandbox.mode, &sandbox.pinned) {
            (NetworkMode::Networks | NetworkMode::None, Some(name)) => {
                Some(OpenNetns::open_name(name)?).filter(|opened| opened.id() == sandbox.netns)
            }
            _ => None,
        };
        let own = matches!(sandbox.mode, NetworkMode::Networks | NetworkMode::None);
        if own && netns.is_none() {
            return Err(EngineError::NotRunning(sandbox.name.into()));
        }
        let inside = Inside { netns: netns.as_ref(), around: &around, tty: false };
        let stdio = Stdio::Log(log.to_owned());
        let spawned = self.spawn_in(&sandbox, &inside, stdio, |engine, pid| engine.note_restart(id, pid));
        self.warnings.clear();
        match spawned {
            Ok(child) => {
                let running = self.store.read(|tx| tx.bare().sandbox(id))?;
                self.tell(running.iter().map(|sandbox| News::container(Action::Start, sandbox)));
                Ok(Some(child))
            }
            Err(EngineError::Spawn(SpawnError::Vanished { .. })) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Notes the new process before it becomes the command, unless the container was asked to end.
    fn note_restart(&mut self, id: &SandboxId, pid: u32) -> bool {
        let Ok(process) = pontoon_kernel::process::Process::open(pid) else { return false };
        let process_id = Some(ProcessId { pid, started: process.start_time().unwrap_or(0) });
        let noted = self.store.transaction(|tx| -> Result<bool, EngineError> {
            let Some(sandbox) = tx.bare().sandbox(id)?.filter(|sandbox| !sandbox.stopping) else {
                return Ok(false);
            };
            let health = sandbox.process.health_check.as_ref().map(|_| Health::Starting);
            let restarts = sandbox.restarts.saturating_add(1);
            tx.sandbox_put(&Sandbox { process_id, health, restarts, started: now(), ..sandbox })?;
            Ok(true)
        });
        noted.unwrap_or(false)
    }

    /// What the files of a container say of its networks now.
    fn around(&self, sandbox: &Sandbox) -> Result<Around, EngineError> {
        self.store.read(|tx| {
            let mut connected = Vec::new();
            for endpoint in tx.endpoints_of_sandbox(&sandbox.id)? {
                if let Some(network) = tx.network(&endpoint.network)? {
                    let sandbox = sandbox.clone();
                    connected.push(Connected { network, sandbox, endpoint, published: Vec::new() });
                }
            }
            Ok(Around::of(&connected, guard::names_at_loopback(tx)?))
        })
    }

    /// Notes that a container is to end, so that its keeper does not start it again.
    pub(crate) fn note_stopping(&mut self, id: &SandboxId) -> Result<Option<Sandbox>, EngineError> {
        self.store.transaction(|tx| {
            let Some(sandbox) = tx.bare().sandbox(id)? else { return Ok(None) };
            if sandbox.process.restart == RestartPolicy::No {
                return Ok(Some(sandbox));
            }
            let stopping = Sandbox { stopping: true, ..sandbox };
            tx.sandbox_put(&stopping)?;
            Ok(Some(stopping))
        })
    }
}

/// Runs a check in a container; its output is kept until the next. The container's own end ends it.
fn check_once(
    child: &Child,
    test: &[String],
    timeout: Duration,
    report: &std::path::Path,
) -> Result<bool, EngineError> {
    // What the last one printed.
    let emptied = OpenOptions::new().write(true).create(true).truncate(true).open(report);
    emptied.map_err(|source| EngineError::Write { path: report.to_owned(), source })?;
    let target = child.process();
    let check = exec_into(&Exec {
        target,
        command: test.iter().map(OsString::from).collect(),
        environment: environment_of(target)?,
        directory: None,
        stdio: Stdio::Log(report.to_owned()),
        die_with_parent: true,
        session: true,
    })?;
    if first_gone(&[check.process(), target], timeout)? != Some(0) {
        check.kill_group();
    }
    Ok(check.wait()?.success())
}
