//! Waiting for a process in the foreground: signals are passed on, a terminal is relayed.
//!
//! The child shares the caller's session and process group, so a key such as Ctrl-C or Ctrl-Z reaches both
//! from the terminal; the shell that started the program sees one job. What came from the terminal
//! (`SI_KERNEL`) is therefore not sent to a child in the same group a second time.

use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, WaitStatus};

use super::error::{SpawnError, parent};
use super::{Child, ExitStatus};
use crate::signal::{Arrived, Signals};
use crate::terminal::{Pty, Relay};

/// The signals that are passed on to the child.
const FORWARDED: [libc::c_int; 9] = [
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGTERM,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGCONT,
    libc::SIGWINCH,
    libc::SIGALRM,
];

/// Signals held back for the child, from before it is started until this is dropped.
#[derive(Debug)]
pub struct Foreground {
    signals: Signals,
}

impl Foreground {
    /// Blocks the signals to be passed on, in the calling thread. Call it before the child is started, so that
    /// none is lost between.
    ///
    /// # Errors
    ///
    /// `EMFILE` when the process has no descriptor left.
    pub fn prepare() -> Result<Foreground, SpawnError> {
        let numbers = FORWARDED.into_iter().chain([libc::SIGCHLD]);
        Ok(Foreground { signals: Signals::block(numbers).map_err(parent("make a signalfd"))? })
    }

    /// Waits for the end of the child and passes signals on to it until then.
    ///
    /// # Errors
    ///
    /// When the wait itself fails.
    pub fn wait(&self, child: &Child) -> Result<ExitStatus, SpawnError> {
        loop {
            let mut poll = [
                PollFd::new(&self.signals, PollFlags::IN),
                PollFd::from_borrowed_fd(child.process().as_fd(), PollFlags::IN),
            ];
            rustix::io::retry_on_intr(|| rustix::event::poll(&mut poll, None)).map_err(parent("poll"))?;
            let ended = !poll[1].revents().is_empty();
            if ended {
                return child.wait();
            }
            while let Some(signal) = self.next()? {
                pass_on(&signal, child)?;
            }
        }
    }

    /// As [`Foreground::wait`], for a child on `pty`: its output goes to standard output and standard input to
    /// it. A terminal on standard input is raw until the end and is then restored.
    ///
    /// # Errors
    ///
    /// When the wait itself fails, or the terminal cannot be set up.
    pub fn wait_on_terminal(&self, child: &Child, pty: Pty) -> Result<ExitStatus, SpawnError> {
        let mut relay = Relay::start(pty).map_err(parent("set up the terminal"))?;
        loop {
            let ended = {
                let mut poll = vec![
                    PollFd::new(&self.signals, PollFlags::IN),
                    PollFd::from_borrowed_fd(child.process().as_fd(), PollFlags::IN),
                ];
                poll.extend(relay.poll());
                rustix::io::retry_on_intr(|| rustix::event::poll(&mut poll, None)).map_err(parent("poll"))?;
                !poll[1].revents().is_empty()
            };
            relay.step().map_err(parent("relay the terminal"))?;
            while let Some(signal) = self.next()? {
                match signal.number {
                    libc::SIGWINCH => relay.resize(),
                    _ => pass_on(&signal, child)?,
                }
            }
            if ended {
                relay.drain().map_err(parent("relay the terminal"))?;
                return child.wait();
            }
        }
    }

    /// As [`Foreground::wait`], for the first process of a pid namespace: other children are reaped, too.
    pub(crate) fn wait_as_init(&self, child: &Child) -> Result<ExitStatus, SpawnError> {
        loop {
            // One SIGCHLD may stand for several children.
            while let Some((pid, status)) = reap_one()? {
                if pid == child.process().raw_pid() {
                    return Ok(ExitStatus::of(status));
                }
            }
            let mut poll = [PollFd::new(&self.signals, PollFlags::IN)];
            rustix::io::retry_on_intr(|| rustix::event::poll(&mut poll, None)).map_err(parent("poll"))?;
            while let Some(signal) = self.next()? {
                if signal.number != libc::SIGCHLD {
                    pass_on(&signal, child)?;
                }
            }
        }
    }

    fn next(&self) -> Result<Option<Arrived>, SpawnError> {
        self.signals.next().map_err(parent("read a signal"))
    }
}

/// Any child that has ended, if there is one.
fn reap_one() -> Result<Option<(Pid, WaitStatus)>, SpawnError> {
    match rustix::io::retry_on_intr(|| rustix::process::wait(WaitOptions::NOHANG)) {
        Err(Errno::CHILD) => Ok(None),
        reaped => reaped.map_err(parent("wait for a process")),
    }
}

/// Sends the signal on, unless the child has it already, or sent it.
fn pass_on(signal: &Arrived, child: &Child) -> Result<(), SpawnError> {
    if signal.number == libc::SIGCHLD || signal.sender == child.pid() {
        return Ok(());
    }
    let same_group = || {
        rustix::process::getpgid(Some(child.process().raw_pid()))
            .is_ok_and(|group| group == rustix::process::getpgrp())
    };
    if signal.from_kernel && same_group() {
        return Ok(());
    }
    match child.process().signal(signal.number) {
        Ok(()) | Err(SpawnError::NoProcess { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}
