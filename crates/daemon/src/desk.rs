//! Where commands come to: they say what they changed, and are answered when it is heeded.

use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::{Duration, Instant};

use pontoon_engine::notice::{Answer, Request};
use pontoon_kernel::control::{ControlError, Conversation, Listener};

/// How many may talk at once; others wait in the kernel's queue.
const SEATS: usize = 256;
/// Who says nothing for that long is let go. A command waits for half of it at the most.
const SILENCE: Duration = Duration::from_secs(10);
/// Who says nothing for that long makes room for those who wait.
const MOMENT: Duration = Duration::from_secs(1);
/// How many messages of one are taken before it is the others' turn.
const AT_ONCE: usize = 16;

/// The listener and those who talk.
#[derive(Debug)]
pub(crate) struct Desk {
    listener: Listener,
    talking: Vec<Seat>,
}

/// Somebody who talks.
#[derive(Debug)]
struct Seat {
    conversation: Conversation,
    /// When something was heard last.
    heard: Instant,
}

impl Desk {
    pub(crate) fn new(listener: Listener) -> Self {
        Self { listener, talking: Vec::new() }
    }

    /// Lets in a group besides root.
    pub(crate) fn share_with(&self, group: u32) -> Result<(), ControlError> {
        self.listener.share_with(group)
    }

    /// Whether nobody talks.
    pub(crate) fn is_quiet(&self) -> bool {
        self.talking.is_empty()
    }

    /// What to wait for.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let listener = (self.talking.len() < SEATS).then(|| self.listener.as_fd());
        listener.into_iter().chain(self.talking.iter().map(|seat| seat.conversation.as_fd()))
    }

    /// Lets in who waits, and answers what was asked. Who is gone, makes no sense, or says nothing for long, is let go.
    pub(crate) fn attend(&mut self, now: Instant, mut answer: impl FnMut(Request) -> Answer) {
        if self.talking.len() >= SEATS {
            self.talking.retain(|seat| now.duration_since(seat.heard) < MOMENT);
        }
        while self.talking.len() < SEATS {
            match self.listener.accept() {
                Ok(Some(conversation)) => self.talking.push(Seat { conversation, heard: now }),
                // Out of descriptors, those who talk are served first.
                Ok(None) | Err(_) => break,
            }
        }
        self.talking
            .retain_mut(|seat| seat.attend(now, &mut answer) && now.duration_since(seat.heard) < SILENCE);
    }

    pub(crate) fn close(self, keep_name: bool) {
        if !keep_name {
            // A name without a listener is taken over by the next one.
            let _ = self.listener.withdraw();
        }
    }
}

impl Seat {
    /// Whether the conversation goes on.
    fn attend(&mut self, now: Instant, answer: &mut impl FnMut(Request) -> Answer) -> bool {
        for _ in 0..AT_ONCE {
            let message = match self.conversation.take() {
                Ok(Some(message)) => message,
                Ok(None) => return true,
                Err(_) => return false,
            };
            self.heard = now;
            let reply = match serde_json::from_slice(&message) {
                Ok(request) => answer(request),
                Err(error) => {
                    Answer { warnings: vec![format!("not understood: {error}")], ..Answer::default() }
                }
            };
            let reply = serde_json::to_vec(&reply).expect("answers have no keys but strings");
            if self.conversation.send(&reply).is_err() {
                return false;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn desk(name: &str) -> (Desk, impl Fn() -> Conversation) {
        let path = std::env::temp_dir().join(format!("pontoon-desk-{name}-{}", std::process::id()));
        let desk = Desk::new(Listener::bind(&path).unwrap());
        (desk, move || Conversation::connect(&path).unwrap())
    }

    fn well(_: Request) -> Answer {
        Answer { warnings: vec!["well".into()], ..Answer::default() }
    }

    fn answered(one: &Conversation) -> Option<String> {
        let text = one.take().ok()??;
        serde_json::from_slice::<Answer>(&text).unwrap().warnings.pop()
    }

    #[test]
    fn who_makes_no_sense_is_told_so_and_who_is_silent_is_let_go() {
        let (mut desk, connect) = desk("sense");
        let (good, bad, silent) = (connect(), connect(), connect());
        let start = Instant::now();
        good.send(b"\"status\"").unwrap();
        bad.send(b"\"sing\"").unwrap();
        desk.attend(start, well);
        assert_eq!(answered(&good).as_deref(), Some("well"));
        assert!(answered(&bad).unwrap().starts_with("not understood: unknown variant `sing`"));
        assert_eq!(desk.talking.len(), 3);
        good.send(b"\"status\"").unwrap();
        desk.attend(start + SILENCE, well);
        assert_eq!(answered(&good).as_deref(), Some("well"));
        assert_eq!(desk.talking.len(), 1);
        assert!(silent.take().unwrap_err().is_gone());
        desk.close(false);
    }

    #[test]
    fn who_is_silent_makes_room_and_who_talks_much_leaves_time_to_others() {
        let (mut desk, connect) = desk("room");
        let silent: Vec<_> = (0..SEATS).map(|_| connect()).collect();
        let start = Instant::now();
        desk.attend(start, well);
        let (much, other) = (connect(), connect());
        (0..2 * AT_ONCE).for_each(|_| much.send(b"\"status\"").unwrap());
        other.send(b"\"status\"").unwrap();
        desk.attend(start, well);
        assert_eq!(answered(&other), None, "it is full");
        let mut asked = 0;
        desk.attend(start + MOMENT, |request| {
            asked += 1;
            well(request)
        });
        assert_eq!((asked, answered(&other).as_deref()), (AT_ONCE + 1, Some("well")));
        assert!(silent[0].take().unwrap_err().is_gone());
        desk.close(false);
    }
}
