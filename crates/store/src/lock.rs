//! The lock that writers hold, so that they queue in the kernel and in order.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::StoreError;

/// An flock(2) on a file, held once for as long as somebody of this process's store wants it.
///
/// The lock belongs to the open file: the kernel drops it when the process ends in whatever way. It is also shared
/// with a child of fork(2) that keeps the file, which is why it is given back explicitly and not by closing.
#[derive(Debug)]
pub(crate) struct Lock {
    path: PathBuf,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    file: Option<File>,
    times: usize,
}

impl Lock {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, held: Mutex::default() }
    }

    /// Waits for the lock, or takes it once more.
    pub(crate) fn take(self: &Arc<Self>) -> Result<ExclusiveGuard, StoreError> {
        let mut held = self.held();
        if held.times == 0 {
            self.wait(&mut held).map_err(|source| StoreError::Lock { path: self.path.clone(), source })?;
        }
        held.times += 1;
        Ok(ExclusiveGuard { lock: Arc::clone(self) })
    }

    fn wait(&self, held: &mut Held) -> std::io::Result<()> {
        if held.file.is_none() {
            held.file = Some(
                OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&self.path)?,
            );
        }
        match &held.file {
            Some(file) => file.lock(),
            None => Ok(()),
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // Nothing that is done under the mutex can leave it half done.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The writers' lock, held until this is dropped.
///
/// The store that it came from goes on to write meanwhile; other stores, of this process or another, wait.
#[derive(Debug)]
#[must_use = "the lock is given back when this is dropped"]
pub struct ExclusiveGuard {
    lock: Arc<Lock>,
}

impl Drop for ExclusiveGuard {
    fn drop(&mut self) {
        let mut held = self.lock.held();
        held.times -= 1;
        if held.times == 0 && held.file.as_ref().is_some_and(|file| file.unlock().is_err()) {
            // Closing gives it back as well.
            held.file = None;
        }
    }
}
