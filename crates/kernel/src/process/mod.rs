//! A container's process: start it, watch it, run another one beside it.
//!
//! No program is run on the way: the child of a fork makes its own mount and host name namespaces, joins its
//! network namespace, mounts what it needs and becomes the command. What fails in the child is reported to the
//! parent over a pipe that a successful exec closes, so that [`spawn`] returns only when the command runs, or
//! with the step that failed.
//!
//! The program has one thread when it calls [`spawn`] or [`exec_into`]: see `process/fork.rs`.

mod error;
mod exec;
mod foreground;
pub(crate) mod fork;
mod handle;
mod inside;
mod keeper;
mod launch;
mod root;
mod service;

use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::event::{PollFd, PollFlags};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pipe::PipeFlags;
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, WaitStatus};
use rustix::thread::UnshareFlags;

pub use error::{SpawnError, Step};
pub use exec::{Exec, exec_into};
pub use foreground::Foreground;
pub use handle::{Process, environment_of, first_gone, running_here};
pub use inside::Inquiry;
pub use keeper::{Message, Staying, kill_self, stay_behind};
pub use service::start_service;

use crate::mount::Propagation;
use crate::netns::Netns;
pub(crate) use error::{Failure, Reporter, failure};
pub(crate) use launch::Launch;
pub(crate) use root::{fresh_sysfs, proc_tree};

use error::parent;

/// A process to start in namespaces of its own.
#[derive(Debug)]
pub struct Spec<'a> {
    /// The command and its arguments; looked up on the PATH of `environment`, in the new root.
    pub command: Vec<OsString>,
    /// The whole environment.
    pub environment: Vec<(OsString, OsString)>,
    /// The working directory in the new root; without one, `/` in a `root` and the caller's otherwise.
    pub directory: Option<PathBuf>,
    /// The network namespace to run in; without one, the caller's.
    pub netns: Option<&'a Netns>,
    /// The host name, in a UTS namespace of its own; without one, the caller's.
    pub hostname: Option<String>,
    /// Whether the process is the first of a new pid namespace, with a `/proc` of its own.
    ///
    /// As the first it gets no default action for signals, and orphans in the namespace are its to reap:
    /// pid_namespaces(7).
    pub pid_namespace: bool,
    /// Whether mounts that the host makes later appear inside.
    pub propagation: Propagation,
    /// Files of its own in `/etc`.
    pub files: Files,
    /// Whether `/sys` is to show the network namespace that it runs in.
    pub fresh_sysfs: bool,
    /// The directory to have as `/`; without one, the host's root.
    pub root: Option<PathBuf>,
    /// Standard input, output and error.
    pub stdio: Stdio<'a>,
    /// Whether it leads a session of its own, out of reach of the caller's terminal.
    pub session: bool,
    /// Whether it is killed when the thread that started it ends.
    pub die_with_parent: bool,
}

impl Spec<'_> {
    /// A command in the caller's namespaces, with the caller's environment.
    pub fn new(command: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        Spec {
            command: command.into_iter().map(Into::into).collect(),
            environment: std::env::vars_os().collect(),
            directory: None,
            netns: None,
            hostname: None,
            pid_namespace: false,
            propagation: Propagation::default(),
            files: Files::default(),
            fresh_sysfs: false,
            root: None,
            stdio: Stdio::Inherit,
            session: false,
            die_with_parent: false,
        }
    }

    /// The namespaces that the child makes for itself; the pid namespace is made before it is born.
    fn namespaces(&self) -> UnshareFlags {
        let mut flags = UnshareFlags::empty();
        let mounts = self.root.is_some() || self.fresh_sysfs || self.pid_namespace || !self.files.is_empty();
        flags.set(UnshareFlags::NEWNS, mounts);
        flags.set(UnshareFlags::NEWUTS, self.hostname.is_some());
        flags
    }
}

/// The files of `/etc` that a container has for itself, mounted over whatever its root has there.
///
/// The root's own files stay untouched, also when they are links (`/etc/resolv.conf` often is one).
#[derive(Debug, Default)]
pub struct Files {
    /// `/etc/resolv.conf`
    pub resolv_conf: Option<FileSource>,
    /// `/etc/hosts`
    pub hosts: Option<FileSource>,
    /// `/etc/hostname`
    pub hostname: Option<FileSource>,
}

impl Files {
    fn is_empty(&self) -> bool {
        self.entries().next().is_none()
    }

    fn entries(&self) -> impl Iterator<Item = (&'static str, &FileSource)> {
        [("resolv.conf", &self.resolv_conf), ("hosts", &self.hosts), ("hostname", &self.hostname)]
            .into_iter()
            .filter_map(|(name, source)| Some((name, source.as_ref()?)))
    }
}

/// Where the contents of a file come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileSource {
    /// These bytes, in a file in memory that goes away with the container.
    Contents(Vec<u8>),
    /// This file of the host: a later write to it is seen inside, a rename over it is not.
    Path(PathBuf),
}

/// Standard input, output and error of a process.
#[derive(Debug)]
pub enum Stdio<'a> {
    /// The caller's.
    Inherit,
    /// Nothing to read, and output appended to this file of the host.
    Log(PathBuf),
    /// A terminal, which becomes the controlling one of a new session.
    Terminal(BorrowedFd<'a>),
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// It exited with this code.
    Exited(i32),
    /// This signal ended it.
    Signaled(i32),
}

impl ExitStatus {
    fn of(status: WaitStatus) -> ExitStatus {
        match status.terminating_signal() {
            Some(signal) => ExitStatus::Signaled(signal),
            None => ExitStatus::Exited(status.exit_status().unwrap_or(0)),
        }
    }

    /// As a shell has it: the exit code, or 128 and the signal's number.
    pub fn code(self) -> i32 {
        match self {
            ExitStatus::Exited(code) => code,
            ExitStatus::Signaled(signal) => 128 + signal,
        }
    }

    /// Whether it exited with 0.
    pub fn success(self) -> bool {
        self == ExitStatus::Exited(0)
    }
}

/// A process that this one started.
#[derive(Debug)]
pub struct Child {
    process: Process,
    /// What was done differently from what was asked, in sentences.
    pub notes: Vec<String>,
}

impl Child {
    /// The process as others see it.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Its pid, as the caller's pid namespace numbers it.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Kills it, and all others of the group if it leads one. To be called before it is waited for: its number is its
    /// own until then.
    pub fn kill_group(&self) {
        const KILL: i32 = 9;
        if rustix::process::kill_process_group(self.process.raw_pid(), rustix::process::Signal::KILL).is_err()
        {
            // It may have ended by now.
            let _ = self.process.signal(KILL);
        }
    }

    /// A child that was forked without a report.
    pub(crate) fn adopt(pid: Pid) -> Result<Child, SpawnError> {
        let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty()).map_err(parent("open a pidfd"))?;
        Ok(Child { process: Process::new(pid, pidfd), notes: Vec::new() })
    }

    /// Waits for the end of it. To be called once.
    ///
    /// # Errors
    ///
    /// `ECHILD` when somebody else waited for it.
    pub fn wait(&self) -> Result<ExitStatus, SpawnError> {
        let pid = Some(self.process.raw_pid());
        let status = rustix::io::retry_on_intr(|| rustix::process::waitpid(pid, WaitOptions::empty()))
            .map_err(parent("wait for the process"))?;
        let status =
            status.map(|(_, status)| status).ok_or(Errno::CHILD).map_err(parent("wait for the process"))?;
        Ok(ExitStatus::of(status))
    }
}

/// Starts a process as `spec` says, and returns once its command runs.
///
/// # Errors
///
/// [`SpawnError::CommandNotFound`] and [`SpawnError::CommandNotRunnable`] about the command;
/// [`SpawnError::Step`] for what comes before it. The child is gone then.
pub fn spawn(spec: &Spec<'_>) -> Result<Child, SpawnError> {
    spawn_noted(spec, |_| true)
}

/// As [`spawn`], but tells `note` the process's pid before anything else is done in it. Where `note` says no, or the
/// caller dies before it has said anything, the process ends and the command is never run.
///
/// # Errors
///
/// As [`spawn`]; [`SpawnError::Vanished`] where `note` said no.
pub fn spawn_noted(spec: &Spec<'_>, note: impl FnOnce(u32) -> bool) -> Result<Child, SpawnError> {
    let launch = Launch::new(&spec.command, &spec.environment)?;
    let stdio = StdioPlan::new(&spec.stdio)?;
    let birth = match spec.pid_namespace {
        true => Some(fork::ChildPidNamespace::new().map_err(parent("make a pid namespace"))?),
        false => None,
    };
    let lifeline = Lifeline::new(spec.die_with_parent)?;
    let (waiting, gate) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(parent("make a pipe"))?;
    let gate_in_child = gate.as_raw_fd();
    let open = move |pid: Pid| {
        if note(pid.as_raw_nonzero().get().unsigned_abs()) {
            // A child that cannot be told ends, and its report says so.
            let _ = rustix::io::write(&gate, &[1]);
        }
    };
    let child = start_between(
        &spec.command[0],
        |reporter| {
            fork::close_in_child(gate_in_child);
            pass_gate(&waiting)?;
            let prepared = prepare(spec, &stdio, lifeline.as_ref(), reporter);
            prepared.and_then(|()| Err(reporter.launch(&launch)))
        },
        open,
    );
    drop(birth);
    child
}

/// Waits until the caller has noted this process. Nothing to read means that it never will.
fn pass_gate(waiting: &OwnedFd) -> Result<(), Failure> {
    let mut byte = [0];
    match rustix::io::retry_on_intr(|| rustix::io::read(waiting, &mut byte)) {
        Ok(1) => Ok(()),
        Ok(_) => fork::exit_now(125),
        Err(errno) => Err(failure(Step::Isolate, "the process")(errno)),
    }
}

fn prepare(
    spec: &Spec<'_>,
    stdio: &StdioPlan<'_>,
    lifeline: Option<&Lifeline>,
    reporter: &Reporter,
) -> Result<(), Failure> {
    if let Some(lifeline) = lifeline {
        lifeline.tie().map_err(failure(Step::ParentDeath, "the process"))?;
    }
    stdio.connect(spec.session)?;
    if let Some(netns) = spec.netns {
        let join = || {
            let kind = Some(rustix::thread::LinkNameSpaceType::Network);
            rustix::thread::move_into_link_name_space(netns.as_fd(), kind)
        };
        join().map_err(failure(Step::JoinNetwork, netns.id().to_string()))?;
    }
    let namespaces = spec.namespaces();
    fork::unshare(namespaces).map_err(failure(Step::Isolate, "the process"))?;
    if let Some(name) = &spec.hostname {
        rustix::system::sethostname(name.as_bytes()).map_err(failure(Step::Hostname, name))?;
    }
    if namespaces.contains(UnshareFlags::NEWNS) {
        spec.propagation.apply()?;
        root::arrange(spec, reporter)?;
    }
    if let Some(directory) = &spec.directory {
        let name = directory.to_string_lossy();
        rustix::process::chdir(directory).map_err(failure(Step::Directory, name))?;
    }
    Ok(())
}

/// Forks a child that does `body`, and waits for its report.
pub(crate) fn start(
    command: &OsStr,
    body: impl FnOnce(&Reporter) -> Result<Infallible, Failure>,
) -> Result<Child, SpawnError> {
    start_between(command, body, |_| ())
}

/// Forks a child that does `body`, does `between` with its pid, and waits for its report.
fn start_between(
    command: &OsStr,
    body: impl FnOnce(&Reporter) -> Result<Infallible, Failure>,
    between: impl FnOnce(Pid),
) -> Result<Child, SpawnError> {
    let (pipe, reporter) = error::report_pipe().map_err(parent("make a pipe"))?;
    // Moved: the parent's copy of the child's end is closed when this returns.
    let pid = fork::fork(move || {
        let Err(failure) = body(&reporter);
        reporter.failure(&failure);
        125
    })
    .map_err(parent("fork"))?;
    let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty());
    between(pid);
    let report = error::read_report(pipe);
    let reap = || rustix::io::retry_on_intr(|| rustix::process::waitpid(Some(pid), WaitOptions::empty()));
    if let Some(failure) = report.failure {
        reap().map_err(parent("wait for the process"))?;
        return Err(launch::explain(failure, command));
    }
    if !report.launched {
        reap().map_err(parent("wait for the process"))?;
        return Err(SpawnError::Vanished { command: command.to_owned() });
    }
    match pidfd {
        Ok(pidfd) => Ok(Child { process: Process::new(pid, pidfd), notes: report.notes }),
        Err(errno) => {
            // Not ours to leave running when nobody can watch it.
            let _ = rustix::process::kill_process(pid, Signal::KILL);
            reap().map_err(parent("wait for the process"))?;
            Err(parent("open a pidfd")(errno))
        }
    }
}

/// The files behind [`Stdio`], opened by the parent, where paths are the host's.
enum StdioPlan<'a> {
    Inherit,
    Files { input: OwnedFd, output: OwnedFd },
    Terminal(BorrowedFd<'a>),
}

impl<'a> StdioPlan<'a> {
    fn new(stdio: &Stdio<'a>) -> Result<StdioPlan<'a>, SpawnError> {
        Ok(match stdio {
            Stdio::Inherit => StdioPlan::Inherit,
            Stdio::Terminal(terminal) => StdioPlan::Terminal(*terminal),
            Stdio::Log(path) => {
                let append = OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND | OFlags::CLOEXEC;
                let output = rustix::fs::open(path, append, Mode::from_raw_mode(0o640))
                    .map_err(|errno| SpawnError::Log { path: path.clone(), errno })?;
                let input = rustix::fs::open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
                    .map_err(parent("open /dev/null"))?;
                StdioPlan::Files { input, output }
            }
        })
    }

    fn connect(&self, session: bool) -> Result<(), Failure> {
        let terminal = matches!(self, StdioPlan::Terminal(_));
        if session || terminal {
            rustix::process::setsid().map_err(failure(Step::Session, "the process"))?;
        }
        let (input, output) = match self {
            StdioPlan::Inherit => return Ok(()),
            StdioPlan::Files { input, output } => (input.as_fd(), output.as_fd()),
            StdioPlan::Terminal(terminal) => {
                rustix::process::ioctl_tiocsctty(terminal).map_err(failure(Step::Session, "its terminal"))?;
                (*terminal, *terminal)
            }
        };
        rustix::stdio::dup2_stdin(input)
            .and_then(|()| rustix::stdio::dup2_stdout(output))
            .and_then(|()| rustix::stdio::dup2_stderr(output))
            .map_err(failure(Step::Stdio, "the process"))
    }
}

/// Ties a child to the thread that started it: PR_SET_PDEATHSIG, prctl(2).
pub(crate) struct Lifeline(OwnedFd);

impl Lifeline {
    fn new(wanted: bool) -> Result<Option<Lifeline>, SpawnError> {
        if !wanted {
            return Ok(None);
        }
        Lifeline::of_this_process().map(Some).map_err(parent("open a pidfd"))
    }

    pub(crate) fn of_this_process() -> rustix::io::Result<Lifeline> {
        rustix::process::pidfd_open(rustix::process::getpid(), PidfdFlags::empty()).map(Lifeline)
    }

    /// In the child: be killed when the parent ends, also if it already has.
    pub(crate) fn tie(&self) -> rustix::io::Result<()> {
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        let mut poll = [PollFd::new(&self.0, PollFlags::IN)];
        match rustix::event::poll(&mut poll, Some(&rustix::time::Timespec::default()))? {
            0 => Ok(()),
            _ => Err(Errno::SRCH),
        }
    }
}
