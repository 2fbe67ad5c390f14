//! What an engine goes on to tell: events, and what a container prints.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use crate::connection::{Answer, Deadline};
use crate::event::{self, Event};
use crate::log::{self, Piece, Source};
use crate::{Kind, OciError};

/// More than that without a whole event or piece is nothing that an engine sends.
const LONGEST: usize = 17 << 20;

/// What came within a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next<T> {
    /// This.
    One(T),
    /// Nothing yet.
    Nothing,
    /// The stream has ended.
    End,
}

/// A body that is read as it comes.
#[derive(Debug)]
struct Stream<T> {
    kind: Kind,
    answer: Answer,
    bytes: Vec<u8>,
    ready: VecDeque<T>,
    take: fn(&mut Vec<u8>) -> Result<Vec<T>, String>,
}

impl<T> Stream<T> {
    fn next(&mut self, patience: Option<Duration>) -> Result<Next<T>, OciError> {
        let deadline = Deadline::after(patience);
        let kind = self.kind;
        loop {
            if let Some(one) = self.ready.pop_front() {
                return Ok(Next::One(one));
            }
            match self.answer.piece(deadline) {
                Ok(piece) if piece.is_empty() => return Ok(Next::End),
                Ok(piece) => self.bytes.extend(piece),
                Err(error) if error.kind() == ErrorKind::TimedOut => return Ok(Next::Nothing),
                Err(source) => return Err(OciError::Broken { kind, source }),
            }
            let taken = (self.take)(&mut self.bytes).map_err(|what| OciError::Speech { kind, what })?;
            self.ready.extend(taken);
            if self.bytes.len() > LONGEST {
                return Err(OciError::Speech { kind, what: "a piece without end".into() });
            }
        }
    }
}

/// What happens to an engine's containers, from the moment on at which it was asked for. Its descriptor is readable when
/// something came.
#[derive(Debug)]
pub struct Events(Stream<Event>);

impl Events {
    pub(crate) fn new(kind: Kind, answer: Answer) -> Self {
        Self(Stream { kind, answer, bytes: Vec::new(), ready: VecDeque::new(), take: event::take })
    }

    /// The next one, if it comes within `patience`; without a limit if that is not given.
    ///
    /// # Errors
    ///
    /// If the conversation breaks off, or what comes is not understood.
    pub fn next(&mut self, patience: Option<Duration>) -> Result<Next<Event>, OciError> {
        self.0.next(patience)
    }
}

impl AsFd for Events {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.answer.as_fd()
    }
}

/// What a container prints.
#[derive(Debug)]
pub struct Logs(Stream<Piece>);

impl Logs {
    pub(crate) fn new(kind: Kind, answer: Answer, terminal: bool) -> Self {
        let take = if terminal { take_raw } else { log::take };
        Self(Stream { kind, answer, bytes: Vec::new(), ready: VecDeque::new(), take })
    }

    /// The next piece, if it comes within `patience`; without a limit if that is not given.
    ///
    /// # Errors
    ///
    /// If the conversation breaks off, or what comes is not understood.
    pub fn next(&mut self, patience: Option<Duration>) -> Result<Next<Piece>, OciError> {
        self.0.next(patience)
    }
}

impl AsFd for Logs {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.answer.as_fd()
    }
}

/// From a terminal all comes as it is.
fn take_raw(bytes: &mut Vec<u8>) -> Result<Vec<Piece>, String> {
    Ok(vec![Piece { source: Source::Output, bytes: std::mem::take(bytes) }])
}
