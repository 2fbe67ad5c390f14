//! What the watch tells the main thread.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use rustix::event::{EventfdFlags, eventfd};

use crate::watch::Report;

/// Where reports arrive; its descriptor is readable when some have.
#[derive(Debug)]
pub(crate) struct Inbox {
    reports: Receiver<Report>,
    wake: Arc<OwnedFd>,
    sender: Sender<Report>,
}

impl Inbox {
    /// # Errors
    ///
    /// `EMFILE`
    pub(crate) fn open() -> rustix::io::Result<Self> {
        let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let (sender, reports) = channel();
        Ok(Self { reports, wake, sender })
    }

    /// Puts a report in, from any thread.
    pub(crate) fn sender(&self) -> impl FnMut(Report) + Send + 'static {
        let (sender, wake) = (self.sender.clone(), Arc::clone(&self.wake));
        move |report| {
            // With nobody left to hear, nothing is to be told.
            let _ = sender.send(report);
            let _ = rustix::io::write(&*wake, &1_u64.to_ne_bytes());
        }
    }

    /// What has arrived.
    pub(crate) fn take(&self) -> Vec<Report> {
        // It is only a sign; whether it was there is seen below.
        let _ = rustix::io::read(&*self.wake, &mut [0; 8]);
        self.reports.try_iter().collect()
    }
}

impl AsFd for Inbox {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}
