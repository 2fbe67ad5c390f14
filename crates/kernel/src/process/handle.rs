//! A process that somebody else started, held by a pidfd so that its pid cannot come to mean another.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal};
use rustix::time::Timespec;

use super::error::{SpawnError, parent};
use crate::netns::Netns;

/// An open process: pidfd_open(2).
#[derive(Debug)]
pub struct Process {
    pid: Pid,
    pidfd: OwnedFd,
}

impl Process {
    pub(super) fn new(pid: Pid, pidfd: OwnedFd) -> Process {
        Process { pid, pidfd }
    }

    /// Opens the process that has this pid now.
    ///
    /// # Errors
    ///
    /// [`SpawnError::NoProcess`] when there is none.
    pub fn open(pid: u32) -> Result<Process, SpawnError> {
        let raw = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(SpawnError::NoProcess { pid })?;
        match rustix::process::pidfd_open(raw, PidfdFlags::empty()) {
            Ok(pidfd) => Ok(Process { pid: raw, pidfd }),
            Err(Errno::SRCH | Errno::INVAL) => Err(SpawnError::NoProcess { pid }),
            Err(errno) => Err(parent("open a pidfd")(errno)),
        }
    }

    /// Opens the process with this pid, if it is the one that started then: a pid that is read back from a
    /// file may mean another process by now.
    ///
    /// # Errors
    ///
    /// As [`Process::open`].
    pub fn open_started(pid: u32, start: u64) -> Result<Option<Process>, SpawnError> {
        match Process::open(pid) {
            Ok(process) if process.start_time() == Some(start) => Ok(Some(process)),
            Ok(_) | Err(SpawnError::NoProcess { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Its pid, as the caller's pid namespace numbers it.
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    pub(super) fn raw_pid(&self) -> Pid {
        self.pid
    }

    /// When it started, in clock ticks since boot: with the pid, it names the process for good. `None` when
    /// it is gone.
    ///
    /// Source: proc_pid_stat(5), field 22.
    pub fn start_time(&self) -> Option<u64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).ok()?;
        // The second field is the command in parentheses and may hold anything.
        let (_, fields) = stat.rsplit_once(')')?;
        let start = fields.split_whitespace().nth(19)?.parse().ok()?;
        self.is_alive().then_some(start)
    }

    /// Whether it still runs; a zombie does not.
    pub fn is_alive(&self) -> bool {
        !self.wait_gone(Duration::ZERO).unwrap_or(false)
    }

    /// Sends a signal by number.
    ///
    /// # Errors
    ///
    /// [`SpawnError::NoProcess`] when it has ended; `EPERM` when it is somebody else's.
    pub fn signal(&self, signal: i32) -> Result<(), SpawnError> {
        let signal = Signal::from_named_raw(signal).ok_or(Errno::INVAL).map_err(parent("send a signal"))?;
        match rustix::process::pidfd_send_signal(&self.pidfd, signal) {
            Ok(()) => Ok(()),
            Err(Errno::SRCH) => Err(SpawnError::NoProcess { pid: self.pid() }),
            Err(errno) => Err(parent("send a signal")(errno)),
        }
    }

    /// Waits until it has ended, for `timeout` at most; says whether it has.
    ///
    /// # Errors
    ///
    /// When poll(2) fails; a signal does not end the wait.
    pub fn wait_gone(&self, timeout: Duration) -> Result<bool, SpawnError> {
        Ok(first_gone(&[self], timeout)?.is_some())
    }
}

/// Waits until one of them has ended, for `timeout` at most, and says which by its place.
///
/// # Errors
///
/// As [`Process::wait_gone`].
pub fn first_gone(processes: &[&Process], timeout: Duration) -> Result<Option<usize>, SpawnError> {
    let timeout = timespec(timeout);
    rustix::io::retry_on_intr(|| {
        let mut watched: Vec<PollFd<'_>> =
            processes.iter().map(|process| PollFd::new(&process.pidfd, PollFlags::IN)).collect();
        rustix::event::poll(&mut watched, Some(&timeout))?;
        Ok(watched.iter().position(|one| !one.revents().is_empty()))
    })
    .map_err(parent("wait for the process"))
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: duration.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}

impl AsFd for Process {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

/// The environment that a process was started with: proc_pid_environ(5).
///
/// # Errors
///
/// [`SpawnError::NoProcess`]; `EACCES` when it is somebody else's.
pub fn environment_of(process: &Process) -> Result<Vec<(OsString, OsString)>, SpawnError> {
    let bytes = fs::read(format!("/proc/{}/environ", process.pid())).map_err(|error| {
        match error.raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error) {
            Errno::NOENT | Errno::SRCH => SpawnError::NoProcess { pid: process.pid() },
            errno => parent("read the environment of the process")(errno),
        }
    })?;
    let variables = bytes.split(|byte| *byte == 0).filter_map(|variable| {
        let at = variable.iter().position(|byte| *byte == b'=')?;
        let text = |bytes| OsStr::from_bytes(bytes).to_owned();
        Some((text(&variable[..at]), text(&variable[at + 1..])))
    });
    Ok(variables.collect())
}

/// The processes called `program` that are in the caller's network namespace: those that look after it.
///
/// A process is called what `/proc/PID/comm` says, its program's or script's file name; see proc_pid_comm(5).
pub fn running_here(program: &str) -> Vec<Process> {
    let Ok(here) = Netns::current() else { return Vec::new() };
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| {
            let name = fs::read_to_string(format!("/proc/{pid}/comm"));
            name.is_ok_and(|name| name.trim_end() == program)
        })
        .filter(|pid| Netns::of_pid(*pid).is_ok_and(|netns| netns.id() == here.id()))
        .filter_map(|pid| Process::open(pid).ok())
        .collect()
}
