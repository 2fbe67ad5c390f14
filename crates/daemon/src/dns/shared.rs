//! What the server's thread and its callers share.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pontoon_dns::{Directory, NetworkKey, Upstreams};
use pontoon_kernel::datagram::DeviceSocket;
use pontoon_model::NetworkId;
use rustix::io::Errno;

use super::Statistics;

/// Something that the thread alone can do. It says when it is done.
#[derive(Debug)]
pub(super) enum Command {
    /// Answer what comes by these sockets.
    Open { id: NetworkId, key: NetworkKey, sockets: Sockets, done: SyncSender<Result<(), Errno>> },
    /// Close a network's sockets and its clients' connections.
    Close { id: NetworkId, done: SyncSender<()> },
    /// Ask these servers; those that the host's files name if there are none.
    Upstreams { upstreams: Option<Upstreams>, done: SyncSender<()> },
    /// The gateways of networks have changed, which are not to be asked.
    Gateways { done: SyncSender<()> },
    /// Say what happened.
    Statistics { done: SyncSender<Statistics> },
    /// End.
    Stop,
}

/// A network's sockets, one of each kind for each address.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    pub(super) datagrams: Vec<DeviceSocket>,
    pub(super) listeners: Vec<OwnedFd>,
}

#[derive(Debug)]
pub(super) struct Shared {
    directory: Mutex<Directory>,
    /// How many callers wait for the directory.
    callers: AtomicU32,
    inbox: Mutex<Vec<Command>>,
    /// An eventfd(2) that wakes the thread.
    wake: OwnedFd,
}

impl Shared {
    pub(super) fn new(wake: OwnedFd) -> Self {
        Self { directory: Mutex::default(), callers: AtomicU32::new(0), inbox: Mutex::default(), wake }
    }

    /// Changes the directory. A flood of queries does not keep a caller waiting for more than one batch.
    pub(super) fn update<R>(&self, change: impl FnOnce(&mut Directory) -> R) -> R {
        self.callers.fetch_add(1, Ordering::SeqCst);
        let mut directory = lock(&self.directory);
        self.callers.fetch_sub(1, Ordering::SeqCst);
        change(&mut directory)
    }

    /// The directory for the thread, which lets callers go first: a mutex is not fair, and the thread would have it
    /// again before a caller has woken up.
    pub(super) fn directory(&self) -> MutexGuard<'_, Directory> {
        while self.callers.load(Ordering::SeqCst) > 0 {
            std::thread::yield_now();
        }
        lock(&self.directory)
    }

    pub(super) fn send(&self, command: Command) {
        lock(&self.inbox).push(command);
        // It fails only when the thread has been woken 2^64 times without looking.
        let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
    }

    pub(super) fn take(&self) -> Vec<Command> {
        let _ = rustix::io::read(&self.wake, &mut [0; 8]);
        std::mem::take(&mut lock(&self.inbox))
    }

    pub(super) fn wake(&self) -> &OwnedFd {
        &self.wake
    }
}

/// A caller that panicked has left nothing half done that another one would have to fear.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
