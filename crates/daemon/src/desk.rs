//! Where commands come to: they say what they changed, and are answered when it is heeded.

use std::os::fd::BorrowedFd;

use pontoon_engine::notice::{Answer, Request};
use pontoon_kernel::control::{Conversation, Listener};
use std::os::fd::AsFd as _;

/// How many may talk at once; others wait in the kernel's queue.
const SEATS: usize = 256;

/// The listener and those who talk.
#[derive(Debug)]
pub(crate) struct Desk {
    listener: Listener,
    talking: Vec<Conversation>,
}

impl Desk {
    pub(crate) fn new(listener: Listener) -> Self {
        Self { listener, talking: Vec::new() }
    }

    /// Whether nobody talks.
    pub(crate) fn is_quiet(&self) -> bool {
        self.talking.is_empty()
    }

    /// What to wait for.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let listener = (self.talking.len() < SEATS).then(|| self.listener.as_fd());
        listener.into_iter().chain(self.talking.iter().map(|one| one.as_fd()))
    }

    /// Lets in who waits, and answers what was asked. Who is gone, or makes no sense, is let go.
    pub(crate) fn attend(&mut self, mut answer: impl FnMut(Request) -> Answer) {
        while self.talking.len() < SEATS {
            match self.listener.accept() {
                Ok(Some(new)) => self.talking.push(new),
                // Out of descriptors, those who talk are served first.
                Ok(None) | Err(_) => break,
            }
        }
        self.talking.retain(|one| attend_one(one, &mut answer));
    }

    pub(crate) fn close(self, keep_name: bool) {
        if !keep_name {
            // A name without a listener is taken over by the next one.
            let _ = self.listener.withdraw();
        }
    }
}

/// Whether the conversation goes on.
fn attend_one(one: &Conversation, answer: &mut impl FnMut(Request) -> Answer) -> bool {
    loop {
        let message = match one.take() {
            Ok(Some(message)) => message,
            Ok(None) => return true,
            Err(_) => return false,
        };
        let reply = match serde_json::from_slice(&message) {
            Ok(request) => answer(request),
            Err(error) => Answer { warnings: vec![format!("not understood: {error}")], ..Answer::default() },
        };
        let reply = serde_json::to_vec(&reply).expect("answers have no keys but strings");
        if one.send(&reply).is_err() {
            return false;
        }
    }
}
