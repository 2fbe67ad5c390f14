//! What can go wrong on the way to a container's process, and how the child tells its parent.

use std::cell::RefCell;
use std::ffi::OsString;
use std::fmt;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use pontoon_model::Diagnose;
use rustix::io::Errno;

use super::launch::Launch;
use crate::mount::MountError;

/// A step of the child between fork and exec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Step {
    /// Join the network namespace.
    JoinNetwork,
    /// Join the namespaces of a running process.
    Join,
    /// Make new namespaces.
    Isolate,
    /// Make a user namespace.
    UserNamespace,
    /// Set the host name.
    Hostname,
    /// Mount something.
    Mount,
    /// Make a directory the root.
    Root,
    /// Change to the working directory.
    Directory,
    /// Start a session, take a terminal.
    Session,
    /// Connect standard input, output and error.
    Stdio,
    /// Ask to die with the parent.
    ParentDeath,
    /// Find and run the command.
    Command,
}

impl Step {
    const ALL: [Step; 12] = [
        Step::JoinNetwork,
        Step::Join,
        Step::Isolate,
        Step::UserNamespace,
        Step::Hostname,
        Step::Mount,
        Step::Root,
        Step::Directory,
        Step::Session,
        Step::Stdio,
        Step::ParentDeath,
        Step::Command,
    ];
}

/// The step in the imperative, to be followed by its object.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Step::JoinNetwork => "join network namespace",
            Step::Join => "join the namespaces of",
            Step::Isolate => "make new namespaces for",
            Step::UserNamespace => "make a user namespace for",
            Step::Hostname => "set host name",
            Step::Mount => "mount",
            Step::Root => "change the root to",
            Step::Directory => "change to directory",
            Step::Session => "start a session for",
            Step::Stdio => "connect standard input and output of",
            Step::ParentDeath => "tie to its parent",
            Step::Command => "run",
        })
    }
}

/// A process could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// There is no command to run.
    #[error("no command was given")]
    NoCommand,
    /// An argument, variable or path has a NUL byte in it.
    #[error("{what} has a NUL byte in it")]
    NulByte {
        /// Which one.
        what: String,
    },
    /// The command is not on the container's PATH.
    #[error("command `{}` was not found", command.display())]
    CommandNotFound {
        /// The command as it was given.
        command: OsString,
    },
    /// The command is there, but cannot be run.
    #[error("command `{}` cannot be run", command.display())]
    CommandNotRunnable {
        /// The command as it was given.
        command: OsString,
        /// `EACCES` without execute permission; `ENOENT` when the interpreter that it names is missing.
        #[source]
        errno: Errno,
    },
    /// A step before the command failed.
    #[error("could not {step} `{object}`")]
    Step {
        /// The step.
        step: Step,
        /// On what.
        object: String,
        /// What the kernel said.
        #[source]
        errno: Errno,
    },
    /// The log file could not be opened.
    #[error("could not open log file `{path}`")]
    Log {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        errno: Errno,
    },
    /// There is no such process to join or to watch.
    #[error("there is no process with pid {pid}")]
    NoProcess {
        /// The pid.
        pid: u32,
    },
    /// A system call of the parent failed.
    #[error("could not {operation}")]
    Parent {
        /// What was tried, in the imperative.
        operation: &'static str,
        /// What the kernel said.
        #[source]
        errno: Errno,
    },
    /// The child ended without a word before it could run the command.
    #[error("the process was killed before it could run `{}`", command.display())]
    Vanished {
        /// The command as it was given.
        command: OsString,
    },
}

impl SpawnError {
    /// The exit code of a shell: 127 for a command that was not found, 126 for one that cannot be run, and
    /// 125, as `docker run` has it, when it never came to that.
    pub fn exit_code(&self) -> u8 {
        match self {
            SpawnError::CommandNotFound { .. } => 127,
            SpawnError::CommandNotRunnable { .. } => 126,
            _ => 125,
        }
    }
}

impl Diagnose for SpawnError {
    fn code(&self) -> &'static str {
        match self {
            SpawnError::NoCommand => "process-no-command",
            SpawnError::NulByte { .. } => "process-nul-byte",
            SpawnError::CommandNotFound { .. } => "process-command-not-found",
            SpawnError::CommandNotRunnable { .. } => "process-command-not-runnable",
            SpawnError::Step { .. } => "process-step",
            SpawnError::Log { .. } => "process-log",
            SpawnError::NoProcess { .. } => "process-no-process",
            SpawnError::Parent { .. } => "process-parent",
            SpawnError::Vanished { .. } => "process-vanished",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            SpawnError::CommandNotFound { .. } => {
                Some("the command is looked up on the container's PATH, in the container's root".into())
            }
            SpawnError::CommandNotRunnable { errno: Errno::NOENT, .. } => {
                Some("the interpreter or dynamic loader that it names is not in the container's root".into())
            }
            SpawnError::CommandNotRunnable { errno: Errno::ACCESS, .. } => {
                Some("is it a directory, or not executable (`chmod +x`)?".into())
            }
            SpawnError::Step {
                step: Step::Isolate | Step::JoinNetwork | Step::Join,
                errno: Errno::PERM,
                ..
            } => Some("this takes CAP_SYS_ADMIN: run as root, or in `pontoon lab`".into()),
            _ => None,
        }
    }
}

pub(crate) fn parent(operation: &'static str) -> impl FnOnce(Errno) -> SpawnError {
    move |errno| SpawnError::Parent { operation, errno }
}

/// A failure in the child.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) step: Step,
    pub(crate) object: String,
    pub(crate) errno: Errno,
}

pub(crate) fn failure(step: Step, object: impl Into<String>) -> impl FnOnce(Errno) -> Failure {
    let object = object.into();
    move |errno| Failure { step, object, errno }
}

impl From<MountError> for Failure {
    fn from(error: MountError) -> Failure {
        Failure { step: Step::Mount, object: error.object, errno: error.errno }
    }
}

/// The child's end of the pipe on which it reports; closed by a successful exec.
///
/// A record is a kind (`n`ote, `f`ailure or `l`aunch), a step, an errno, a length, and text.
#[derive(Debug)]
pub(crate) struct Reporter(RefCell<Option<OwnedFd>>);

impl Reporter {
    pub(crate) fn note(&self, text: &str) {
        self.send(b'n', 0, 0, text);
    }

    pub(crate) fn failure(&self, failure: &Failure) {
        self.send(b'f', failure.step as u8, failure.errno.raw_os_error(), &failure.object);
    }

    /// Says that the command comes next, and runs it; returns only when that failed.
    pub(crate) fn launch(&self, launch: &Launch) -> Failure {
        self.send(b'l', 0, 0, "");
        launch.run()
    }

    /// Says that there is nothing more to say, where no exec does so.
    pub(crate) fn launched(&self) {
        self.send(b'l', 0, 0, "");
        self.0.take();
    }

    fn send(&self, kind: u8, step: u8, errno: i32, text: &str) {
        let text = &text.as_bytes()[..text.len().min(u16::MAX.into())];
        let mut record = vec![kind, step];
        record.extend(errno.to_ne_bytes());
        record.extend((text.len() as u16).to_ne_bytes());
        record.extend(text);
        let mut rest = &record[..];
        let pipe = self.0.borrow();
        let Some(pipe) = pipe.as_ref() else { return };
        while !rest.is_empty() {
            // The parent is gone when this fails, and nobody is left to tell.
            let Ok(written) = rustix::io::retry_on_intr(|| rustix::io::write(pipe, rest)) else { return };
            rest = &rest[written..];
        }
    }
}

/// What the child said until it ran its command or gave up.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) notes: Vec<String>,
    /// Whether it came as far as the command.
    pub(crate) launched: bool,
    pub(crate) failure: Option<Failure>,
}

/// The pipe for one child: the parent's end, the child's end.
pub(crate) fn report_pipe() -> rustix::io::Result<(OwnedFd, Reporter)> {
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    // Above 2, so that connecting the child's standard descriptors cannot close it.
    let write = rustix::io::fcntl_dupfd_cloexec(&write, 3)?;
    Ok((read, Reporter(RefCell::new(Some(write)))))
}

/// Reads until every copy of the child's end is closed.
pub(crate) fn read_report(pipe: OwnedFd) -> Report {
    let mut bytes = Vec::new();
    let mut report = Report::default();
    // A read error leaves what came before it, and an empty report of a dead child is `Vanished`.
    let _ = std::fs::File::from(pipe).read_to_end(&mut bytes);
    let mut rest = &bytes[..];
    while let Some((head, tail)) = rest.split_at_checked(8) {
        let errno = i32::from_ne_bytes([head[2], head[3], head[4], head[5]]);
        let length = u16::from_ne_bytes([head[6], head[7]]).into();
        let Some((text, next)) = tail.split_at_checked(length) else { break };
        let text = String::from_utf8_lossy(text).into_owned();
        match (head[0], Step::ALL.get(usize::from(head[1]))) {
            (b'f', Some(step)) => {
                report.failure =
                    Some(Failure { step: *step, object: text, errno: Errno::from_raw_os_error(errno) });
            }
            (b'l', _) => report.launched = true,
            _ => report.notes.push(text),
        }
        rest = next;
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_its_place_in_the_list() {
        for (place, step) in Step::ALL.iter().enumerate() {
            assert_eq!(*step as usize, place);
        }
    }

    #[test]
    fn notes_and_a_failure_arrive() {
        let (read, reporter) = report_pipe().unwrap();
        reporter.note("/sys is the host's");
        reporter.failure(&failure(Step::Directory, "/nowhere")(Errno::NOENT));
        drop(reporter);
        let report = read_report(read);
        assert_eq!(report.notes, ["/sys is the host's"]);
        let failure = report.failure.unwrap();
        assert_eq!((failure.step, failure.errno), (Step::Directory, Errno::NOENT));
        assert_eq!(failure.object, "/nowhere");
    }
}
