//! Network namespaces: open, create, enter, and give them a name under `/run/netns`.
//!
//! A namespace is a value ([`Netns`]) with an identity ([`NetnsId`]); nothing here keeps a path or a pid
//! as the name of a namespace, since both may mean another namespace a moment later.
//!
//! Sources: network_namespaces(7), namespaces(7), setns(2), ioctl_ns(2), and `ip/ipnetns.c` of iproute2
//! for what `/run/netns` looks like.
#![expect(unsafe_code, reason = "unshare(2) and the nsfs ioctls have no safe wrapper")]

use std::fs;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use pontoon_model::Diagnose;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};
use rustix::thread::{LinkNameSpaceType, UnshareFlags};

/// Where iproute2 keeps named network namespaces (`NETNS_RUN_DIR`).
pub const NETNS_DIR: &str = "/run/netns";

/// `NSFS_MAGIC` of include/uapi/linux/magic.h.
const NSFS_MAGIC: u64 = 0x6e73_6673;
/// `NS_GET_NSTYPE`, `_IO(0xb7, 0x3)`: ioctl_ns(2).
const NS_GET_NSTYPE: libc::Ioctl = 0xb703;

pub use pontoon_model::sandbox::NetnsId;

/// What can fail about a network namespace.
#[derive(Debug, thiserror::Error)]
pub enum NetnsError {
    /// There is no process with that pid (any more).
    #[error("there is no process with pid {pid}")]
    NoProcess {
        /// The pid that was asked for.
        pid: u32,
    },
    /// The process exists, but its namespace may not be read.
    #[error("no permission to open the network namespace of pid {pid}")]
    ForbiddenProcess {
        /// The pid that was asked for.
        pid: u32,
        /// `EACCES` or `EPERM`.
        #[source]
        errno: Errno,
    },
    /// The file is there but is not a network namespace.
    #[error("`{path}` is {what}, not a network namespace")]
    NotNetns {
        /// The file that was opened.
        path: PathBuf,
        /// What it is instead.
        what: &'static str,
    },
    /// No namespace has that name.
    #[error("there is no network namespace `{path}`")]
    Missing {
        /// The file that was looked for.
        path: PathBuf,
    },
    /// Not a name that a file under `/run/netns` can have.
    #[error("`{name}` cannot name a network namespace")]
    BadName {
        /// The name that was given.
        name: String,
    },
    /// The name is in use.
    #[error("the name `{name}` is taken in {NETNS_DIR}")]
    NameTaken {
        /// The name that was to be pinned.
        name: String,
    },
    /// The name stands for something that is not the namespace it was expected to be.
    #[error("`{name}` in {NETNS_DIR} is {found}, not the expected {expected}")]
    Foreign {
        /// The name that was to be removed.
        name: String,
        /// What the name stands for.
        found: String,
        /// The namespace that it was expected to stand for.
        expected: NetnsId,
    },
    /// A system call failed.
    #[error("could not {operation} `{object}`")]
    Call {
        /// What was tried, in the imperative.
        operation: &'static str,
        /// What it was tried on.
        object: String,
        /// What the kernel said.
        #[source]
        errno: Errno,
    },
}

impl NetnsError {
    /// Whether there is no such namespace (any more).
    pub fn is_gone(&self) -> bool {
        matches!(
            self,
            NetnsError::NoProcess { .. } | NetnsError::Missing { .. } | NetnsError::NotNetns { .. }
        )
    }

    /// The errno, where a system call failed.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            NetnsError::ForbiddenProcess { errno, .. } | NetnsError::Call { errno, .. } => Some(*errno),
            _ => None,
        }
    }
}

impl Diagnose for NetnsError {
    fn code(&self) -> &'static str {
        match self {
            NetnsError::NoProcess { .. } => "netns-no-process",
            NetnsError::ForbiddenProcess { .. } => "netns-forbidden-process",
            NetnsError::NotNetns { .. } => "netns-not-a-netns",
            NetnsError::Missing { .. } => "netns-missing",
            NetnsError::BadName { .. } => "netns-bad-name",
            NetnsError::NameTaken { .. } => "netns-name-taken",
            NetnsError::Foreign { .. } => "netns-foreign",
            NetnsError::Call { .. } => "netns-call",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            NetnsError::NoProcess { .. } => Some("the process may have ended; see `ps`".into()),
            NetnsError::ForbiddenProcess { .. } => {
                Some("run as root, or in the user namespace that owns the process".into())
            }
            NetnsError::Missing { .. } => Some("`ip netns list` shows the names there are".into()),
            NetnsError::BadName { .. } => Some("use a file name: no `/`, not `.` or `..`".into()),
            NetnsError::Call { errno: Errno::PERM | Errno::ACCESS, .. } => {
                Some("this takes CAP_SYS_ADMIN: run as root, or in `pontoon lab`".into())
            }
            _ => None,
        }
    }
}

/// Maps an errno to the error that names what was tried on which object.
fn failed(operation: &'static str, object: impl ToString) -> impl FnOnce(Errno) -> NetnsError {
    let object = object.to_string();
    move |errno| NetnsError::Call { operation, object, errno }
}

/// An open network namespace. It lives at least as long as this value does.
#[derive(Debug)]
pub struct Netns {
    fd: OwnedFd,
    id: NetnsId,
}

/// What [`unpin`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unpinned {
    /// The name was there and is gone now.
    Removed,
    /// The name was not there.
    Absent,
}

impl Netns {
    /// The namespace that the calling thread is in.
    ///
    /// # Errors
    ///
    /// `ENOENT` when `/proc` is not mounted.
    pub fn current() -> Result<Netns, NetnsError> {
        // Not /proc/self: that is the namespace of the process's first thread.
        Self::open_unchecked("/proc/thread-self/ns/net")
    }

    /// The namespace of process `pid`, which may be in another user namespace.
    ///
    /// # Errors
    ///
    /// [`NetnsError::NoProcess`] when it is gone or a zombie, [`NetnsError::ForbiddenProcess`] without
    /// ptrace access to it (`PTRACE_MODE_READ_FSCREDS`, ptrace(2)).
    pub fn of_pid(pid: u32) -> Result<Netns, NetnsError> {
        let path = format!("/proc/{pid}/ns/net");
        match rustix::fs::open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
            Ok(fd) => Self::from_nsfs(fd, &path),
            Err(Errno::NOENT | Errno::SRCH) => Err(NetnsError::NoProcess { pid }),
            Err(errno @ (Errno::ACCESS | Errno::PERM)) => Err(NetnsError::ForbiddenProcess { pid, errno }),
            Err(errno) => Err(failed("open", path)(errno)),
        }
    }

    /// The namespace that is bind-mounted on `path` (or `/proc/PID/ns/net` itself).
    ///
    /// # Errors
    ///
    /// [`NetnsError::NotNetns`] for a plain file, or a namespace of another kind.
    pub fn open_path(path: &Path) -> Result<Netns, NetnsError> {
        // O_NONBLOCK: a FIFO or a device that was named by mistake must not hang.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let fd = match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Err(NetnsError::Missing { path: path.into() }),
            Err(errno) => return Err(failed("open", path.display())(errno)),
        };
        let magic = rustix::fs::fstatfs(&fd).map_err(failed("examine", path.display()))?.f_type;
        if magic as u64 != NSFS_MAGIC {
            return Err(NetnsError::NotNetns { path: path.into(), what: "an ordinary file" });
        }
        // SAFETY: NS_GET_NSTYPE takes no argument and returns an int; the descriptor is open.
        let kind = unsafe { libc::ioctl(fd.as_raw_fd(), NS_GET_NSTYPE) };
        if kind != libc::CLONE_NEWNET {
            return Err(NetnsError::NotNetns { path: path.into(), what: "a namespace of another kind" });
        }
        Self::from_nsfs(fd, &path.display().to_string())
    }

    /// The namespace called `name`, as `ip netns` calls it.
    ///
    /// # Errors
    ///
    /// [`NetnsError::BadName`], else as [`Netns::open_path`].
    pub fn open_name(name: &str) -> Result<Netns, NetnsError> {
        Self::open_path(&pin_path(name)?)
    }

    /// A new namespace without a name, with nothing in it but `lo`, which is down.
    ///
    /// The calling thread is where it was before when this returns. It goes away with this value, unless
    /// by then it is pinned or a process is in it.
    ///
    /// # Errors
    ///
    /// `EPERM` without `CAP_SYS_ADMIN`; `ENOSPC` at the limit `user.max_net_namespaces`.
    ///
    /// # Panics
    ///
    /// Never; but it aborts the process if the thread cannot go back, since from there on every change
    /// would be made to the wrong host.
    pub fn create() -> Result<Netns, NetnsError> {
        let home = Home::remember()?;
        // SAFETY: CLONE_NEWNET alone unshares neither memory nor descriptors.
        unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }
            .map_err(failed("create", "a network namespace"))?;
        let _away = home.left();
        Netns::current()
    }

    /// Which namespace it is.
    pub fn id(&self) -> NetnsId {
        self.id
    }

    /// Another handle on the same namespace.
    ///
    /// # Errors
    ///
    /// `EMFILE` when the process has no descriptor left.
    pub fn try_clone(&self) -> Result<Netns, NetnsError> {
        let fd = rustix::io::fcntl_dupfd_cloexec(&self.fd, 3).map_err(failed("open again", self.id))?;
        Ok(Netns { fd, id: self.id })
    }

    /// Whether the calling thread is in it: an attach to the host's own namespace is always a mistake.
    ///
    /// # Errors
    ///
    /// As [`Netns::current`].
    pub fn is_current(&self) -> Result<bool, NetnsError> {
        Ok(Netns::current()?.id == self.id)
    }

    /// Runs `body` with the calling thread inside the namespace, and comes back, even when `body` panics.
    ///
    /// Sockets opened inside stay inside. Files under `/proc/sys/net` are those of this namespace, but
    /// `/sys/class/net` still shows the namespace that it was mounted in.
    ///
    /// Aborts the process if the thread cannot come back.
    ///
    /// # Errors
    ///
    /// `EPERM` without `CAP_SYS_ADMIN` in both the caller's user namespace and the namespace's owner.
    pub fn enter<R>(&self, body: impl FnOnce() -> R) -> Result<R, NetnsError> {
        let home = Home::remember()?;
        self.join()?;
        let _away = home.left();
        Ok(body())
    }

    /// Moves the calling thread into the namespace for good: for a process that was forked to live there.
    ///
    /// # Errors
    ///
    /// As [`Netns::enter`].
    pub fn join(&self) -> Result<(), NetnsError> {
        rustix::thread::move_into_link_name_space(self.fd.as_fd(), Some(LinkNameSpaceType::Network))
            .map_err(failed("enter", self.id))
    }

    /// Gives the namespace the name `name`, as `ip netns attach` does, so that it outlives its processes.
    ///
    /// # Errors
    ///
    /// [`NetnsError::NameTaken`] when the name is in use, whatever for; `EPERM` without `CAP_SYS_ADMIN`.
    /// Nothing is left behind then.
    pub fn pin(&self, name: &str) -> Result<(), NetnsError> {
        let path = pin_path(name)?;
        prepare_directory()?;
        match rustix::fs::open(&path, OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC, Mode::empty()) {
            Ok(file) => drop(file),
            Err(Errno::EXIST) => return Err(NetnsError::NameTaken { name: name.into() }),
            Err(errno) => return Err(failed("create", path.display())(errno)),
        }
        let source = format!("/proc/self/fd/{}", self.fd.as_raw_fd());
        rustix::mount::mount(source.as_str(), &path, "none", MountFlags::BIND, None).map_err(|errno| {
            // The mount's error is the one to report; a file that stays is one that `unpin` takes.
            let _ = fs::remove_file(&path);
            failed("mount the namespace on", path.display())(errno)
        })
    }

    /// The user that owns the namespace's user namespace, as the caller's user namespace numbers it.
    ///
    /// # Errors
    ///
    /// `EPERM` when the owning user namespace is not in reach of the caller's.
    pub fn owner(&self) -> Result<u32, NetnsError> {
        // NS_GET_USERNS and NS_GET_OWNER_UID, `_IO(0xb7, 0x1)` and `_IO(0xb7, 0x4)`: ioctl_ns(2).
        // SAFETY: takes no argument, returns a descriptor that is ours.
        let user = unsafe { libc::ioctl(self.fd.as_raw_fd(), 0xb701) };
        if user < 0 {
            return Err(failed("find the owner of", self.id)(last_errno()));
        }
        // SAFETY: the call above returned this descriptor, and nobody else has it.
        let user = unsafe { <OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(user) };
        let mut uid: libc::uid_t = 0;
        // SAFETY: the argument is a valid pointer to a uid_t.
        if unsafe { libc::ioctl(user.as_raw_fd(), 0xb704, &raw mut uid) } < 0 {
            return Err(failed("find the owner of", self.id)(last_errno()));
        }
        Ok(uid)
    }

    fn open_unchecked(path: &str) -> Result<Netns, NetnsError> {
        let fd = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .map_err(failed("open", path))?;
        Self::from_nsfs(fd, path)
    }

    fn from_nsfs(fd: OwnedFd, path: &str) -> Result<Netns, NetnsError> {
        let stat = rustix::fs::fstat(&fd).map_err(failed("examine", path))?;
        Ok(Netns { fd, id: NetnsId { dev: stat.st_dev, ino: stat.st_ino } })
    }
}

impl AsFd for Netns {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Where the thread is now, and can go back to. Not `Send`: a namespace is a property of a thread.
struct Home {
    netns: Netns,
    _thread: PhantomData<*const ()>,
}

/// A thread that has left [`Home`], and goes back there when this is dropped.
struct Away(Home);

impl Home {
    fn remember() -> Result<Home, NetnsError> {
        Ok(Home { netns: Netns::current()?, _thread: PhantomData })
    }

    fn left(self) -> Away {
        Away(self)
    }
}

impl Drop for Away {
    fn drop(&mut self) {
        let home = &self.0.netns;
        if let Err(error) = home.join() {
            // Going on would configure a container as if it were the host, or the other way round.
            eprintln!("error: could not return to the network namespace {}: {error}", home.id);
            std::process::abort();
        }
    }
}

/// Takes the name `name` away, if it stands for `expected` or for a file that an interrupted
/// [`Netns::pin`] left.
///
/// The namespace itself lives on while processes or descriptors keep it.
///
/// # Errors
///
/// [`NetnsError::Foreign`] when the name stands for anything else; it is then left alone.
pub fn unpin(name: &str, expected: NetnsId) -> Result<Unpinned, NetnsError> {
    let path = pin_path(name)?;
    let stat = match rustix::fs::lstat(&path) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return Ok(Unpinned::Absent),
        Err(errno) => return Err(failed("examine", path.display())(errno)),
    };
    let found = NetnsId { dev: stat.st_dev, ino: stat.st_ino };
    if found == expected {
        rustix::mount::unmount(&path, UnmountFlags::DETACH).map_err(failed("unmount", path.display()))?;
    } else if !is_leftover(&path, &stat) {
        let found = match Netns::open_path(&path) {
            Ok(other) => other.id.to_string(),
            Err(_) => "not a network namespace".into(),
        };
        return Err(NetnsError::Foreign { name: name.into(), found, expected });
    }
    match rustix::fs::unlink(&path) {
        Ok(()) | Err(Errno::NOENT) => Ok(Unpinned::Removed),
        Err(errno) => Err(failed("remove", path.display())(errno)),
    }
}

/// The names under `/run/netns`, sorted; none when the directory is not there.
///
/// # Errors
///
/// When the directory is there but cannot be read.
pub fn pinned_names() -> Result<Vec<String>, NetnsError> {
    let entries = match fs::read_dir(NETNS_DIR) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed("list", NETNS_DIR)(errno_of(&error))),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| failed("list", NETNS_DIR)(errno_of(&error)))?;
        names.extend(entry.file_name().into_string());
    }
    names.sort();
    Ok(names)
}

/// The file that stands for the namespace called `name`.
///
/// # Errors
///
/// [`NetnsError::BadName`] for an empty name, `.`, `..`, and a name with `/` or NUL in it, or one that is
/// longer than a file name can be (255 bytes).
pub fn pin_path(name: &str) -> Result<PathBuf, NetnsError> {
    let bad =
        name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) || name.len() > 255;
    if bad {
        return Err(NetnsError::BadName { name: name.into() });
    }
    Ok(Path::new(NETNS_DIR).join(name))
}

/// An empty regular file on which nothing is mounted: what a pin leaves that was killed half-way.
fn is_leftover(path: &Path, stat: &rustix::fs::Stat) -> bool {
    let nsfs = rustix::fs::statfs(path).is_ok_and(|fs| fs.f_type as u64 == NSFS_MAGIC);
    !nsfs && rustix::fs::FileType::from_raw_mode(stat.st_mode).is_file() && stat.st_size == 0
}

/// Makes `/run/netns` a shared mount, so that a name made here is seen in every mount namespace: as
/// `create_netns_dir()` and `netns_add()` of iproute2 do, with the same lock against doing it twice.
fn prepare_directory() -> Result<(), NetnsError> {
    match rustix::fs::mkdir(NETNS_DIR, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(failed("create", NETNS_DIR)(errno)),
    }
    let directory =
        rustix::fs::open(NETNS_DIR, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .map_err(failed("open", NETNS_DIR))?;
    crate::lock::flock_exclusive(directory.as_fd()).map_err(failed("lock", NETNS_DIR))?;
    if share_directory().is_err() {
        // EINVAL: not a mount point yet. A mount that must stay private (EPERM) is one we can still use.
        let flags = MountFlags::BIND | MountFlags::REC;
        if rustix::mount::mount(NETNS_DIR, NETNS_DIR, "none", flags, None).is_ok() {
            let _ = share_directory();
        }
    }
    Ok(())
}

fn share_directory() -> rustix::io::Result<()> {
    rustix::mount::mount_change(NETNS_DIR, MountPropagationFlags::SHARED | MountPropagationFlags::REC)
}

fn errno_of(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error)
}

fn last_errno() -> Errno {
    errno_of(&io::Error::last_os_error())
}
