//! Something found out by a fork of this process inside a container: with its network, its files, its names.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::pipe::PipeFlags;
use rustix::process::{Pid, Signal, WaitOptions};

use super::error::{SpawnError, parent};
use super::exec::Place;
use super::fork;
use super::handle::Process;

/// What is found out, and by whom.
#[derive(Debug)]
pub struct Inquiry {
    answer: File,
    asker: Option<Pid>,
}

/// What the first byte of an answer says.
const FOUND: u8 = 0;

impl Inquiry {
    /// Begins to do `body` in the namespaces and the root directory of a process; what it returns is the answer.
    ///
    /// # Errors
    ///
    /// [`SpawnError::NoProcess`] when the target is gone; `EAGAIN` when no more processes are allowed.
    pub fn begin(target: &Process, body: impl FnOnce() -> Vec<u8>) -> Result<Inquiry, SpawnError> {
        let place = Place::of(target)?;
        let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(parent("make a pipe"))?;
        let asker = fork::fork(move || {
            let mut answer = File::from(write);
            let said = match place.join(target, None) {
                Ok(()) => [vec![FOUND], body()].concat(),
                // Nothing said is no answer.
                Err(_) => Vec::new(),
            };
            i32::from(answer.write_all(&said).is_err())
        })
        .map_err(parent("fork"))?;
        Ok(Inquiry { answer: File::from(read), asker: Some(asker) })
    }

    /// Waits for the answer until `end`; none if there is none by then, or the container could not be entered.
    ///
    /// # Errors
    ///
    /// When the wait itself fails.
    pub fn answer(mut self, end: Instant) -> Result<Option<Vec<u8>>, SpawnError> {
        let mut said = Vec::new();
        loop {
            if !self.wait(end.saturating_duration_since(Instant::now()))? {
                return Ok(None);
            }
            let mut piece = [0; 4096];
            match self.answer.read(&mut piece) {
                Ok(0) => break,
                Ok(count) => said.extend_from_slice(&piece[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Ok(None),
            }
        }
        Ok(said.split_first().filter(|(first, _)| **first == FOUND).map(|(_, rest)| rest.to_vec()))
    }

    fn wait(&self, timeout: Duration) -> Result<bool, SpawnError> {
        let timeout = Timespec {
            tv_sec: timeout.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        };
        let poll = || {
            let mut watched = [PollFd::from_borrowed_fd(self.answer.as_fd(), PollFlags::IN)];
            rustix::event::poll(&mut watched, Some(&timeout))
        };
        rustix::io::retry_on_intr(poll).map(|ready| ready > 0).map_err(parent("hear from the process"))
    }
}

impl Drop for Inquiry {
    fn drop(&mut self) {
        if let Some(asker) = self.asker.take() {
            // It has said all that it is asked for.
            let _ = rustix::process::kill_process(asker, Signal::KILL);
            let _ = rustix::io::retry_on_intr(|| rustix::process::waitpid(Some(asker), WaitOptions::empty()));
        }
    }
}
