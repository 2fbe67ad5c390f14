//! Locks between processes: a whole file, and single bytes of a file.
//!
//! Both kinds belong to the *open file description*, so they go when the last descriptor of it is closed,
//! however the process ends; a forked process that has not run another program yet still holds them.
//!
//! Sources: flock(2); fcntl(2), "Open file description locks".
#![expect(unsafe_code, reason = "fcntl(F_OFD_SETLK) has no safe wrapper")]

use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use pontoon_model::Diagnose;
use rustix::fs::FlockOperation;
use rustix::io::Errno;

/// A lock could not be asked for. That somebody else has it is not an error.
#[derive(Debug, thiserror::Error)]
#[error("could not {operation} `{path}`")]
pub struct LockError {
    /// What was tried, in the imperative.
    pub operation: &'static str,
    /// The lock file.
    pub path: PathBuf,
    /// What the kernel said.
    #[source]
    pub errno: Errno,
}

impl Diagnose for LockError {
    fn code(&self) -> &'static str {
        "lock-call"
    }

    fn hint(&self) -> Option<String> {
        match self.errno {
            Errno::ACCESS | Errno::PERM | Errno::ROFS => {
                Some("run as root, or choose a directory of your own with `--root`".into())
            }
            _ => None,
        }
    }
}

/// The exclusive lock of a whole file, held until it is dropped.
#[derive(Debug)]
pub struct FileLock {
    _file: File,
}

impl FileLock {
    /// Waits for the exclusive lock on `path`, which is created when it is not there.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened or locked; a signal does not end the wait.
    pub fn acquire(path: &Path) -> Result<FileLock, LockError> {
        let file = open(path)?;
        flock_exclusive(file.as_fd()).map_err(|errno| LockError {
            operation: "lock",
            path: path.into(),
            errno,
        })?;
        Ok(FileLock { _file: file })
    }

    /// Takes the exclusive lock on `path` if nobody has it.
    ///
    /// # Errors
    ///
    /// As [`FileLock::acquire`].
    pub fn try_acquire(path: &Path) -> Result<Option<FileLock>, LockError> {
        let file = open(path)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(FileLock { _file: file })),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(errno) => Err(LockError { operation: "lock", path: path.into(), errno }),
        }
    }
}

/// The exclusive lock of a whole file that is this process's alone: one that it forks does not have it.
///
/// Source: fcntl(2), "Advisory record locking".
#[derive(Debug)]
pub struct ProcessLock {
    _file: File,
}

impl ProcessLock {
    /// Takes the lock on `path`, which is created when it is not there, if no other process has it. It is held until
    /// this is dropped or the process ends. To be taken once in a process.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened; `ENOLCK` on a file system without locks.
    pub fn try_acquire(path: &Path) -> Result<Option<ProcessLock>, LockError> {
        let file = open(path)?;
        match rustix::fs::fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(ProcessLock { _file: file })),
            Err(Errno::AGAIN | Errno::ACCESS) => Ok(None),
            Err(errno) => Err(LockError { operation: "lock", path: path.into(), errno }),
        }
    }
}

/// A file of which live processes hold one byte each, so that another can tell who is still alive.
///
/// The bytes need not exist. Bytes that were taken through the same `ByteLocks` do not exclude each other,
/// so open it once per owner.
#[derive(Debug)]
pub struct ByteLocks {
    file: File,
    path: PathBuf,
}

impl ByteLocks {
    /// Opens the lock file, creating it when it is not there.
    ///
    /// # Errors
    ///
    /// When it cannot be opened for writing.
    pub fn open(path: &Path) -> Result<ByteLocks, LockError> {
        Ok(ByteLocks { file: open(path)?, path: path.into() })
    }

    /// Takes byte `offset` if nobody has it; it is held until [`ByteLocks::release`] or the drop of `self`.
    ///
    /// # Errors
    ///
    /// `EINVAL` when `offset` does not fit in an `off_t`; `ENOLCK` on a file system without locks.
    pub fn try_lock(&self, offset: u64) -> Result<bool, LockError> {
        match self.fcntl(libc::F_OFD_SETLK, libc::F_WRLCK, offset) {
            Ok(_) => Ok(true),
            Err(Errno::AGAIN | Errno::ACCESS) => Ok(false),
            Err(errno) => Err(self.failed("lock a byte of", errno)),
        }
    }

    /// Takes byte `offset`, and waits for it as long as somebody else has it.
    ///
    /// # Errors
    ///
    /// As [`ByteLocks::try_lock`]; `EDEADLK` never, since the kernel does not look for cycles among these locks.
    pub fn lock(&self, offset: u64) -> Result<(), LockError> {
        loop {
            match self.fcntl(libc::F_OFD_SETLKW, libc::F_WRLCK, offset) {
                Err(Errno::INTR) => {}
                done => return done.map(drop).map_err(|errno| self.failed("lock a byte of", errno)),
            }
        }
    }

    /// Gives byte `offset` back.
    ///
    /// # Errors
    ///
    /// As [`ByteLocks::try_lock`].
    pub fn release(&self, offset: u64) -> Result<(), LockError> {
        self.fcntl(libc::F_OFD_SETLK, libc::F_UNLCK, offset)
            .map(drop)
            .map_err(|errno| self.failed("unlock a byte of", errno))
    }

    /// Whether somebody else holds byte `offset`, without taking it.
    ///
    /// # Errors
    ///
    /// As [`ByteLocks::try_lock`].
    pub fn is_held(&self, offset: u64) -> Result<bool, LockError> {
        self.fcntl(libc::F_OFD_GETLK, libc::F_WRLCK, offset)
            .map(|kind| kind != libc::F_UNLCK)
            .map_err(|errno| self.failed("query a lock of", errno))
    }

    fn failed(&self, operation: &'static str, errno: Errno) -> LockError {
        LockError { operation, path: self.path.clone(), errno }
    }

    /// Asks for or about one byte; returns the kind of lock that the kernel answered with.
    fn fcntl(&self, command: libc::c_int, kind: libc::c_int, offset: u64) -> Result<libc::c_int, Errno> {
        let start = libc::off_t::try_from(offset).map_err(|_| Errno::INVAL)?;
        // SAFETY: `flock` is plain data for which all zeroes is valid; OFD locks want `l_pid` zero.
        let mut lock: libc::flock = unsafe { std::mem::zeroed() };
        lock.l_type = kind as libc::c_short;
        lock.l_whence = libc::SEEK_SET as libc::c_short;
        lock.l_start = start;
        lock.l_len = 1;
        // SAFETY: the descriptor is open and the argument points to a `flock` that outlives the call.
        if unsafe { libc::fcntl(self.file.as_raw_fd(), command, &raw mut lock) } < 0 {
            let error = std::io::Error::last_os_error();
            return Err(error.raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error));
        }
        Ok(lock.l_type.into())
    }
}

/// Waits for the exclusive lock of an open file, through signals.
pub(crate) fn flock_exclusive(file: BorrowedFd<'_>) -> rustix::io::Result<()> {
    rustix::io::retry_on_intr(|| rustix::fs::flock(file, FlockOperation::LockExclusive))
}

fn open(path: &Path) -> Result<File, LockError> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path).map_err(
        |error| LockError {
            operation: "open",
            path: path.into(),
            errno: error.raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error),
        },
    )
}
