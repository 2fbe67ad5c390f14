//! A process that stays behind when the command returns: it looks after a container, or tidies up.

use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};
use rustix::pipe::PipeFlags;

use super::error::{SpawnError, parent};
use super::fork;

/// What the process that stays behind tells the one that returns, once.
#[derive(Debug)]
pub struct Message(std::fs::File);

impl Message {
    /// Says it. A caller that has gone away is not missed.
    pub fn send(mut self, bytes: &[u8]) {
        let _ = self.0.write_all(bytes);
    }
}

/// Forks a process that does `body` in a session of its own, and returns what it says with its [`Message`] (nothing,
/// if it ends or drops the message without a word).
///
/// # Errors
///
/// `EAGAIN` when no more processes are allowed, `EMFILE` when no more files are.
pub fn stay_behind(body: impl FnOnce(Message) -> i32) -> Result<Vec<u8>, SpawnError> {
    Staying::begin(body)?.said()
}

/// A process that stays behind and has not said yet what it has to say.
#[derive(Debug)]
pub struct Staying(std::fs::File);

impl Staying {
    /// As [`stay_behind`], without waiting for what it says: several may be at work at once.
    ///
    /// # Errors
    ///
    /// As [`stay_behind`].
    pub fn begin(body: impl FnOnce(Message) -> i32) -> Result<Staying, SpawnError> {
        fork_behind(body).map(Staying)
    }

    /// What it says; nothing, if it ends or drops the message without a word.
    ///
    /// # Errors
    ///
    /// When the pipe cannot be read.
    pub fn said(mut self) -> Result<Vec<u8>, SpawnError> {
        let mut said = Vec::new();
        self.0.read_to_end(&mut said).map_err(|error| {
            parent("hear from the process")(
                error.raw_os_error().map_or(rustix::io::Errno::IO, rustix::io::Errno::from_raw_os_error),
            )
        })?;
        Ok(said)
    }
}

/// Forks it, and returns the end of the pipe that its message comes from.
fn fork_behind(body: impl FnOnce(Message) -> i32) -> Result<std::fs::File, SpawnError> {
    let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(parent("make a pipe"))?;
    let read = std::fs::File::from(read);
    let message = Message(std::fs::File::from(write));
    // Forked twice: the one that stays is nobody's child, so that no one need wait for it.
    let middle = fork::fork(move || {
        let kept = fork::fork(move || {
            if rustix::process::setsid().is_err() || silence().is_err() {
                return 1;
            }
            body(message)
        });
        i32::from(kept.is_err())
    })
    .map_err(parent("fork"))?;
    let reap = || rustix::process::waitpid(Some(middle), rustix::process::WaitOptions::empty());
    rustix::io::retry_on_intr(reap).map_err(parent("wait for the process"))?;
    Ok(read)
}

/// Lets go of the caller's terminal and pipes, which would otherwise not end while this process lives.
fn silence() -> rustix::io::Result<()> {
    let null: OwnedFd = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)
}

/// Ends this process as `SIGKILL` does: nothing of it runs any more.
pub fn kill_self() -> ! {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    // Only where the signal is on its way.
    fork::exit_now(137)
}
