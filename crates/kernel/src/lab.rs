//! A throw-away host: a command or a function in user, mount, network, host name, IPC and pid namespaces of
//! its own, where it is root. Nothing of the machine's network is in reach, and nothing stays when it ends.
//!
//! Three processes stand between the caller and the body:
//!
//! 1. the *keeper*, the caller's child, makes the namespaces and is killed when the caller ends;
//! 2. the *init*, first in the pid namespace, sets the host up, reaps orphans, and is killed when the keeper
//!    ends: the kernel then kills everything in the pid namespace (pid_namespaces(7));
//! 3. the *body*.
//!
//! Each waits for the next, passes signals on and ends with its exit code.
//!
//! The directories that Pontoon writes to are in memory: `/run`, and by default `/var/lib/pontoon`. The
//! latter may not exist and an unprivileged user may not make it, so then `/var/lib` is mirrored in memory
//! ([`crate::mount::mirror`]): other directories there are the host's as before, and nothing is left behind on
//! the disk. So programs in a lab use their default paths. All other files are the host's, with the rights
//! that the caller has on them.
//!
//! A caller with `CAP_SETUID` and `CAP_SETGID` keeps all users and groups; any other user is root alone, and
//! everybody else's files belong to nobody: user_namespaces(7).
#![expect(unsafe_code, reason = "the interface ioctls that bring `lo` up have no safe wrapper")]

use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};

use pontoon_model::Diagnose;
use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions};
use rustix::thread::{CapabilitySet, UnshareFlags};

use crate::capability::{self, UserNamespaceObstacle};
use crate::mount::{Missing, MountError, Propagation, Tree, View, mirror};
use crate::process::{Child, ExitStatus, Foreground, SpawnError, Step};
use crate::process::{Failure, Launch, Lifeline, Reporter, failure, fork, fresh_sysfs, proc_tree, start};

/// How a lab is furnished.
#[derive(Debug, Clone)]
pub struct Options {
    /// Its host name.
    pub hostname: String,
    /// Directories that are empty and in memory in the lab, beside `/run`. They need not exist.
    pub private: Vec<PathBuf>,
    /// Directories that can be written to in the lab, their present entries being the host's.
    pub mirrored: Vec<PathBuf>,
    /// Whether `lo` is up, as on any host.
    pub loopback: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            hostname: "lab".into(),
            // Both are written to when containers start.
            private: vec!["/var/lib/pontoon".into(), "/etc/netns".into()],
            mirrored: Vec::new(),
            loopback: true,
        }
    }
}

/// A lab could not be entered.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// The kernel does not let this user make a user namespace.
    #[error("this user may not make a user namespace{}", forbidden_by(obstacles))]
    UserNamespace {
        /// The settings that forbid it, as far as they can be read.
        obstacles: Vec<UserNamespaceObstacle>,
        /// `EPERM`, `EACCES`, `ENOSPC` or `EUSERS`.
        #[source]
        errno: Errno,
    },
    /// A process of the lab could not be started or waited for.
    #[error(transparent)]
    Process(#[from] SpawnError),
}

fn forbidden_by(obstacles: &[UserNamespaceObstacle]) -> String {
    match obstacles.first() {
        None => String::new(),
        Some(UserNamespaceObstacle::UnprivilegedClone) => ": kernel.unprivileged_userns_clone is 0".into(),
        Some(UserNamespaceObstacle::Limit) => ": user.max_user_namespaces is 0".into(),
        Some(UserNamespaceObstacle::AppArmor) => ": kernel.apparmor_restrict_unprivileged_userns is 1".into(),
    }
}

impl Diagnose for LabError {
    fn code(&self) -> &'static str {
        match self {
            LabError::UserNamespace { .. } => "lab-user-namespace",
            LabError::Process(error) => error.code(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            LabError::UserNamespace { obstacles, .. } if !obstacles.is_empty() => {
                let remedies: Vec<_> = obstacles.iter().map(|o| o.remedy()).collect();
                Some(format!("as root: `sysctl -w {}`; or run the lab as root", remedies.join(" ")))
            }
            LabError::UserNamespace { errno: Errno::NOSPC | Errno::USERS, .. } => {
                Some("user.max_user_namespaces, or the nesting limit of 32, is reached".into())
            }
            LabError::UserNamespace { .. } => Some(
                "a container's seccomp filter or a security module may forbid it: \
                 `--security-opt seccomp=unconfined` in Docker"
                    .into(),
            ),
            LabError::Process(SpawnError::Step { step: Step::Mount, object, errno: Errno::PERM })
                if object == "proc" =>
            {
                Some(
                    "a container that hides parts of /proc does not allow a new one: see `systempaths`"
                        .into(),
                )
            }
            LabError::Process(error) => error.hint(),
        }
    }
}

/// Runs a command in a lab, in the foreground, and returns how it ended.
///
/// # Errors
///
/// [`LabError::UserNamespace`] when the kernel does not allow it; [`SpawnError::CommandNotFound`] and the like
/// about the command.
pub fn run_command(
    options: &Options,
    command: &[OsString],
    environment: &[(OsString, OsString)],
) -> Result<ExitStatus, LabError> {
    let launch = Launch::new(command, environment)?;
    let foreground = Foreground::prepare()?;
    let child = enter(options, &command[0], |reporter| Err(reporter.launch(&launch)))?;
    Ok(foreground.wait(&child)?)
}

/// Runs a function in a lab, in the foreground; what it returns is the exit code.
///
/// The function runs in a forked process: what it changes in memory, the caller does not see.
///
/// # Errors
///
/// As [`run_command`], but for the command.
pub fn run(options: &Options, body: impl FnOnce() -> i32) -> Result<ExitStatus, LabError> {
    let foreground = Foreground::prepare()?;
    let child = spawn(options, body)?;
    Ok(foreground.wait(&child)?)
}

/// Starts a function in a lab and returns when it begins.
///
/// Killing the child takes everything in the lab with it; so does the end of the calling thread.
///
/// # Errors
///
/// As [`run`].
pub fn spawn(options: &Options, body: impl FnOnce() -> i32) -> Result<Child, LabError> {
    enter(options, OsStr::new("the lab's function"), |reporter| {
        reporter.launched();
        fork::unblock_signals();
        let run = std::panic::AssertUnwindSafe(body);
        fork::exit_now(std::panic::catch_unwind(run).unwrap_or(101))
    })
}

/// Starts the three processes. `body` runs in the last one and says what went wrong if it returns.
fn enter(
    options: &Options,
    name: &OsStr,
    body: impl FnOnce(&Reporter) -> Result<Infallible, Failure>,
) -> Result<Child, LabError> {
    let lifeline = this_process()?;
    let identity = Identity::of_caller();
    start(name, |reporter| {
        lifeline.tie().map_err(failure(Step::ParentDeath, "the lab"))?;
        keeper(options, &identity, reporter, body)
    })
    .map_err(|error| match error {
        SpawnError::Step { step: Step::UserNamespace, errno, .. } => {
            LabError::UserNamespace { obstacles: capability::user_namespace_obstacles(), errno }
        }
        other => LabError::Process(other),
    })
}

/// The first process: makes the namespaces, then waits for the init.
fn keeper(
    options: &Options,
    identity: &Identity,
    reporter: &Reporter,
    body: impl FnOnce(&Reporter) -> Result<Infallible, Failure>,
) -> Result<Infallible, Failure> {
    identity.enter_user_namespace().map_err(failure(Step::UserNamespace, "the lab"))?;
    let namespaces = UnshareFlags::NEWNS
        | UnshareFlags::NEWNET
        | UnshareFlags::NEWUTS
        | UnshareFlags::NEWIPC
        | UnshareFlags::NEWPID;
    fork::unshare(namespaces).map_err(failure(Step::Isolate, "the lab"))?;
    let lifeline = Lifeline::of_this_process().map_err(failure(Step::ParentDeath, "the lab"))?;
    let init = fork::fork(|| {
        let tied = lifeline.tie().map_err(failure(Step::ParentDeath, "the lab"));
        let Err(failure) = tied.and_then(|()| init(options, reporter, body));
        reporter.failure(&failure);
        SETUP_FAILED
    })
    .map_err(failure(Step::Isolate, "the lab"))?;
    outlive(init, |foreground, child| foreground.wait(child))
}

/// The second process: sets the host up, then reaps until the body ends.
fn init(
    options: &Options,
    reporter: &Reporter,
    body: impl FnOnce(&Reporter) -> Result<Infallible, Failure>,
) -> Result<Infallible, Failure> {
    furnish(options)?;
    let body = fork::fork(|| {
        let Err(failure) = body(reporter);
        reporter.failure(&failure);
        SETUP_FAILED
    })
    .map_err(failure(Step::Isolate, "the lab"))?;
    outlive(body, Foreground::wait_as_init)
}

/// The exit code of a lab that did not come about: as `docker run` has it.
const SETUP_FAILED: i32 = 125;

/// Waits for the next process, holding nothing open, and ends as it ended.
fn outlive(next: Pid, wait: impl FnOnce(&Foreground, &Child) -> Result<ExitStatus, SpawnError>) -> ! {
    // Also the reporter: the caller waits for every copy of it to be closed.
    fork::close_from(3);
    let outcome = Foreground::prepare().and_then(|foreground| {
        let child = Child::adopt(next)?;
        wait(&foreground, &child)
    });
    fork::exit_now(outcome.map_or(SETUP_FAILED, ExitStatus::code))
}

/// How the caller's users and groups appear in the lab.
struct Identity {
    users: String,
    groups: String,
    privileged: bool,
}

impl Identity {
    fn of_caller() -> Identity {
        if capability::effective().contains(CapabilitySet::SETUID | CapabilitySet::SETGID) {
            let users = same_numbers("/proc/self/uid_map");
            return Identity { users, groups: same_numbers("/proc/self/gid_map"), privileged: true };
        }
        let user = rustix::process::geteuid().as_raw();
        let group = rustix::process::getegid().as_raw();
        Identity { users: format!("0 {user} 1"), groups: format!("0 {group} 1"), privileged: false }
    }

    /// Makes the user namespace and enters it as its root.
    fn enter_user_namespace(&self) -> rustix::io::Result<()> {
        if self.privileged {
            return self.enter_with_helper();
        }
        fork::unshare(UnshareFlags::NEWUSER)?;
        // Who may not change his groups outside may not drop one inside: user_namespaces(7).
        write("/proc/self/setgroups", "deny")?;
        write("/proc/self/uid_map", &self.users)?;
        write("/proc/self/gid_map", &self.groups)
    }

    /// A map of more than one's own number is written from outside: by a child that stays there.
    fn enter_with_helper(&self) -> rustix::io::Result<()> {
        let (wait, go) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        let mut go = Some(fs::File::from(go));
        let keeper = rustix::process::getpid().as_raw_nonzero();
        let helper = fork::fork(|| {
            // The helper's own copy: with it open, the helper would wait for itself.
            drop(go.take());
            let mut word = [0];
            let unshared = fs::File::from(wait).read(&mut word).is_ok_and(|length| length == 1);
            if !unshared {
                return 0;
            }
            let mapped = write(&format!("/proc/{keeper}/uid_map"), &self.users)
                .and_then(|()| write(&format!("/proc/{keeper}/gid_map"), &self.groups));
            mapped.map_or_else(Errno::raw_os_error, |()| 0)
        })?;
        let unshared = fork::unshare(UnshareFlags::NEWUSER);
        if let (Ok(()), Some(go)) = (&unshared, &mut go) {
            // A helper that is gone says so by its exit code.
            let _ = go.write_all(&[1]);
        }
        drop(go);
        let waited =
            rustix::io::retry_on_intr(|| rustix::process::waitpid(Some(helper), WaitOptions::empty()))?;
        unshared?;
        match waited.and_then(|(_, status)| status.exit_status()) {
            Some(0) => Ok(()),
            Some(errno) => Err(Errno::from_raw_os_error(errno)),
            None => Err(Errno::CHILD),
        }
    }
}

/// A map in which every number that exists here stands for itself, but for the very last one, which nobody has.
///
/// By a map of all numbers, programs believe to be in the machine's own user namespace: runc then insists on what
/// only that one's root may do (`RunningInUserNS()` in its libcontainer/userns).
fn same_numbers(map: &str) -> String {
    same_numbers_of(&fs::read_to_string(map).unwrap_or_default())
}

fn same_numbers_of(map: &str) -> String {
    let lines = map.lines().filter_map(|line| {
        let mut fields = line.split_whitespace();
        let (inside, _, count) = (fields.next()?, fields.next()?, fields.next()?);
        let count = if count == ALL_NUMBERS { FEWER_NUMBERS } else { count };
        Some(format!("{inside} {inside} {count}\n"))
    });
    lines.collect()
}

/// How many numbers the machine's own user namespace has: user_namespaces(7).
const ALL_NUMBERS: &str = "4294967295";
const FEWER_NUMBERS: &str = "4294967294";

/// Makes a host of the new namespaces. The calling process is the first in its pid namespace.
fn furnish(options: &Options) -> Result<(), Failure> {
    Propagation::Private.apply()?;
    let name = &options.hostname;
    rustix::system::sethostname(name.as_bytes()).map_err(failure(Step::Hostname, name))?;
    proc_tree()?.attach_path(Path::new("/proc"))?;
    let mut view = View::host()?;
    // A host's own sysfs is not needed for anything but `/sys/class/net`; the old one is better than none.
    let _ = fresh_sysfs(&view)?;
    private_run()?;
    for directory in &options.mirrored {
        if let Some(over) = view.find(directory)? {
            // What is to be private and is not there is made along with it, or a second mirror would cover the first.
            let missing = missing_in(&view, directory, &options.private)?;
            mirror(over.as_fd(), directory, &missing)?;
        }
    }
    for directory in &options.private {
        private_directory(&mut view, directory)?;
    }
    if options.loopback {
        loopback_up().map_err(failure(Step::Isolate, "lo"))?;
    }
    Ok(())
}

/// An empty `/run`, but for what `/etc/resolv.conf` leads to if that is there.
fn private_run() -> Result<(), Failure> {
    let resolver = fs::canonicalize("/etc/resolv.conf").ok().filter(|path| path.starts_with("/run"));
    let contents = resolver.as_ref().and_then(|path| fs::read(path).ok());
    Tree::tmpfs("0755")?.attach_path(Path::new("/run"))?;
    let written = match (&resolver, contents) {
        (Some(path), Some(contents)) => {
            path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(path, contents))
        }
        _ => Ok(()),
    };
    written
        .and_then(|()| fs::create_dir("/run/lock"))
        .map_err(|error| failure(Step::Mount, "/run")(errno_of(&error)))
}

/// The directories of `all` that are missing right below `parent`.
fn missing_in(view: &View, parent: &Path, all: &[PathBuf]) -> Result<Vec<(OsString, Missing)>, MountError> {
    let mut missing = Vec::new();
    for directory in all.iter().filter(|directory| directory.parent() == Some(parent)) {
        if let (Some(name), None) = (directory.file_name(), view.find(directory)?) {
            missing.push((name.to_owned(), Missing::Directory));
        }
    }
    Ok(missing)
}

/// Makes `directory` an empty one in memory, whether or not it is there.
fn private_directory(view: &mut View, directory: &Path) -> Result<(), MountError> {
    if view.find(directory)?.is_none() {
        let failed = |errno| MountError {
            operation: "make a private directory at",
            object: directory.to_string_lossy().into_owned(),
            errno,
        };
        let mut parent = directory.parent().ok_or(Errno::INVAL).map_err(failed)?;
        while view.find(parent)?.is_none() {
            parent = parent.parent().ok_or(Errno::INVAL).map_err(failed)?;
        }
        let rest = directory.strip_prefix(parent).map_err(|_| failed(Errno::INVAL))?;
        let first = rest.iter().next().and_then(OsStr::to_str).ok_or(Errno::INVAL).map_err(failed)?;
        view.provide(parent, &[(first, Missing::Directory)])?;
        fs::create_dir_all(directory).map_err(|error| failed(errno_of(&error)))?;
    }
    Tree::tmpfs("0755")?.attach_path(directory)
}

/// Sets `IFF_UP` on `lo`: netdevice(7).
fn loopback_up() -> rustix::io::Result<()> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType};
    let socket =
        rustix::net::socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    // SAFETY: `ifreq` is plain data for which all zeroes is valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l' as libc::c_char;
    request.ifr_name[1] = b'o' as libc::c_char;
    // SAFETY: the name is NUL-terminated, both calls get a pointer to a whole `ifreq`, and the flags are the
    // member of the union that the first call fills in and the second one reads.
    let done = unsafe {
        libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFFLAGS, &raw mut request) == 0 && {
            request.ifr_ifru.ifru_flags |= libc::IFF_UP as libc::c_short;
            libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw mut request) == 0
        }
    };
    if done { Ok(()) } else { Err(fork::last_errno()) }
}

fn this_process() -> Result<Lifeline, SpawnError> {
    Lifeline::of_this_process().map_err(|errno| SpawnError::Parent { operation: "open a pidfd", errno })
}

fn write(path: &str, text: &str) -> rustix::io::Result<()> {
    // One write(2): the kernel takes a map in one piece.
    fs::OpenOptions::new()
        .write(true)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| errno_of(&error))
}

fn errno_of(error: &std::io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error)
}

#[cfg(test)]
mod tests {
    use super::same_numbers_of;

    #[test]
    fn a_lab_never_looks_like_the_machine_itself() {
        assert_eq!(same_numbers_of("         0          0 4294967295\n"), "0 0 4294967294\n");
        assert_eq!(same_numbers_of("0 0 4294967294\n"), "0 0 4294967294\n");
        assert_eq!(same_numbers_of("0 1000 1\n1 100000 65536\n"), "0 0 1\n1 1 65536\n");
    }
}
