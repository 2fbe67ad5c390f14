//! The writing end.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;

use super::{Identity, LineLogError, older};

/// How long a writer waits for one who renames the file. That takes microseconds; a process that was stopped in the
/// middle of it must not stop all others.
const PATIENCE: Duration = Duration::from_millis(100);

/// A log to write to.
#[derive(Debug, Clone)]
pub struct LineLog {
    path: PathBuf,
    longest: u64,
}

impl LineLog {
    /// The log at `path`, whose folder is there. With `longest` bytes or more the file is put aside.
    pub fn new(path: PathBuf, longest: u64) -> Self {
        Self { path, longest }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds lines, each with its end, in one piece.
    ///
    /// # Errors
    ///
    /// If the file cannot be opened or written; if the disk is full, a part of them may have been written.
    pub fn append(&self, lines: &[u8]) -> Result<(), LineLogError> {
        let fail = |operation| move |source| LineLogError { operation, path: self.path.clone(), source };
        let file = self.open().map_err(fail("open"))?;
        let written = write_whole(&file, lines).map_err(fail("write to"))?;
        if written >= self.longest {
            self.put_aside(&file).map_err(fail("put aside"))?;
        }
        Ok(())
    }

    /// The file that has the name, with a share of its lock.
    fn open(&self) -> io::Result<File> {
        let start = Instant::now();
        loop {
            let file = OpenOptions::new()
                .append(true)
                .create(true)
                .mode(0o640)
                .custom_flags(OFlags::NOFOLLOW.bits() as i32)
                .open(&self.path)?;
            match flock(&file, FlockOperation::NonBlockingLockShared) {
                Ok(()) if Identity::at(&self.path)? == Some(Identity::of_file(&file)?) => return Ok(file),
                // It was renamed between the two.
                Ok(()) | Err(Errno::INTR) => {}
                Err(Errno::WOULDBLOCK) => std::thread::sleep(Duration::from_micros(50)),
                Err(errno) => return Err(errno.into()),
            }
            if start.elapsed() > PATIENCE {
                return Err(ErrorKind::TimedOut.into());
            }
        }
    }

    /// Gives the file its other name, unless somebody is writing to it: then a later one does.
    fn put_aside(&self, file: &File) -> io::Result<()> {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            // What was the share of the lock is let go of meanwhile, so that somebody else may have been faster.
            Ok(()) if Identity::at(&self.path)? == Some(Identity::of_file(file)?) => {
                std::fs::rename(&self.path, older(&self.path))
            }
            Ok(()) | Err(Errno::WOULDBLOCK | Errno::INTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}

/// Writes it all at once, and returns how long the file is then. Where the disk is full in the middle of a line, the line
/// is ended if that is possible, so that the next is whole.
fn write_whole(file: &File, lines: &[u8]) -> io::Result<u64> {
    let written = rustix::io::retry_on_intr(|| rustix::io::write(file, lines))?;
    if written < lines.len() {
        let _ = rustix::io::write(file, b"\n");
        return Err(ErrorKind::StorageFull.into());
    }
    Ok(rustix::fs::tell(file)?)
}
