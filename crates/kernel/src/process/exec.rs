//! A second process beside a running one, in all of its namespaces.

use std::ffi::OsString;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use rustix::thread::ThreadNameSpaceType;

use super::error::{Failure, SpawnError, Step, failure, parent};
use super::handle::Process;
use super::launch::Launch;
use super::{Child, Lifeline, Stdio, StdioPlan, fork, start};

/// A command to run in the namespaces of a running process.
#[derive(Debug)]
pub struct Exec<'a> {
    /// The process whose namespaces and root to join.
    pub target: &'a Process,
    /// The command and its arguments.
    pub command: Vec<OsString>,
    /// The whole environment; [`environment_of`](super::environment_of) has the target's.
    pub environment: Vec<(OsString, OsString)>,
    /// The working directory in the target's root; without one, the target's own.
    pub directory: Option<PathBuf>,
    /// Standard input, output and error.
    pub stdio: Stdio<'a>,
    /// Whether it is killed when the thread that started it ends.
    pub die_with_parent: bool,
    /// Whether it leads a session of its own.
    pub session: bool,
}

/// Runs a command in the user, mount, host name, IPC, cgroup, network and pid namespaces of a process, as far as
/// they differ from the caller's, and in its root directory.
///
/// # Errors
///
/// [`SpawnError::NoProcess`] when the target is gone; `EPERM` on [`Step::Join`] without `CAP_SYS_ADMIN`; else
/// as [`spawn`](super::spawn).
pub fn exec_into(exec: &Exec<'_>) -> Result<Child, SpawnError> {
    let launch = Launch::new(&exec.command, &exec.environment)?;
    let stdio = StdioPlan::new(&exec.stdio)?;
    let place = Place::of(exec.target)?;
    let birth = match &place.pid_namespace {
        Some(fd) => Some(fork::ChildPidNamespace::existing(fd).map_err(parent("join the pid namespace"))?),
        None => None,
    };
    let lifeline = Lifeline::new(exec.die_with_parent)?;
    let child = start(&exec.command[0], |reporter| {
        let prepared =
            stdio.connect(exec.session).and_then(|()| place.join(exec.target, exec.directory.as_deref()));
        let prepared = prepared.and_then(|()| match &lifeline {
            // After the change of user, which would undo it.
            Some(lifeline) => lifeline.tie().map_err(failure(Step::ParentDeath, "the process")),
            None => Ok(()),
        });
        prepared.and_then(|()| Err(reporter.launch(&launch)))
    });
    drop(birth);
    child
}

/// Where a process lives.
pub(super) struct Place {
    namespaces: ThreadNameSpaceType,
    pub(super) pid_namespace: Option<OwnedFd>,
    root: OwnedFd,
    directory: OwnedFd,
}

impl Place {
    pub(super) fn of(target: &Process) -> Result<Place, SpawnError> {
        let pid = target.pid();
        let gone = |errno| match errno {
            Errno::NOENT | Errno::SRCH => SpawnError::NoProcess { pid },
            errno => SpawnError::Step { step: Step::Join, object: format!("pid {pid}"), errno },
        };
        let open = |what: &str, flags| {
            rustix::fs::open(format!("/proc/{pid}/{what}"), flags | OFlags::CLOEXEC, Mode::empty())
                .map_err(gone)
        };
        let mut namespaces = ThreadNameSpaceType::empty();
        for (file, kind) in [
            ("user", ThreadNameSpaceType::USER),
            ("mnt", ThreadNameSpaceType::MOUNT),
            ("uts", ThreadNameSpaceType::HOST_NAME_AND_NIS_DOMAIN_NAME),
            ("ipc", ThreadNameSpaceType::INTER_PROCESS_COMMUNICATION),
            ("cgroup", ThreadNameSpaceType::CONTROL_GROUP),
            ("net", ThreadNameSpaceType::NETWORK),
        ] {
            namespaces.set(kind, differs(pid, file).map_err(gone)?);
        }
        let pid_namespace = match differs(pid, "pid").map_err(gone)? {
            true => Some(open("ns/pid", OFlags::RDONLY)?),
            false => None,
        };
        let root = open("root", OFlags::PATH | OFlags::DIRECTORY)?;
        let directory = open("cwd", OFlags::PATH | OFlags::DIRECTORY)?;
        // All of the above went by the pid; it was this process's if the process still lives.
        match target.is_alive() {
            true => Ok(Place { namespaces, pid_namespace, root, directory }),
            false => Err(SpawnError::NoProcess { pid }),
        }
    }

    /// Goes there, into `directory` or where the target is.
    pub(super) fn join(&self, target: &Process, directory: Option<&Path>) -> Result<(), Failure> {
        let object = format!("pid {}", target.pid());
        if !self.namespaces.is_empty() {
            rustix::thread::move_into_thread_name_spaces(target.as_fd(), self.namespaces)
                .map_err(failure(Step::Join, &object))?;
        }
        if self.namespaces.contains(ThreadNameSpaceType::USER) {
            become_root().map_err(failure(Step::Join, &object))?;
        }
        rustix::process::fchdir(&self.root)
            .and_then(|()| rustix::process::chroot("."))
            .map_err(failure(Step::Root, format!("that of {object}")))?;
        match directory {
            Some(directory) => rustix::process::chdir(directory)
                .map_err(failure(Step::Directory, directory.to_string_lossy())),
            None => rustix::process::fchdir(&self.directory)
                .map_err(failure(Step::Directory, format!("that of {object}"))),
        }
    }
}

/// Whether the process is in another namespace of that kind than the calling one.
fn differs(pid: u32, file: &str) -> rustix::io::Result<bool> {
    let identity = |path: String| match fs::metadata(path) {
        Ok(stat) => Ok((stat.dev(), stat.ino())),
        Err(error) => Err(error.raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error)),
    };
    match identity(format!("/proc/self/ns/{file}")) {
        Ok(own) => Ok(own != identity(format!("/proc/{pid}/ns/{file}"))?),
        // This kernel has no such namespaces.
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Becomes user 0 of the user namespace that was just joined, where the old user may have no number.
fn become_root() -> rustix::io::Result<()> {
    rustix::thread::set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT)?;
    rustix::thread::set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT)
}
