//! One request and its answer, over a Unix socket, within a time.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use crate::http::{self, Head, Request};

/// How often a socket is tried whose queue is full.
const AGAIN: Duration = Duration::from_millis(20);
/// How much is read at once.
const PIECE: usize = 16 << 10;

/// When something has to be done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline(Option<Instant>);

impl Deadline {
    /// After so long; never, if there is no limit.
    pub(crate) fn after(limit: Option<Duration>) -> Self {
        Self(limit.map(|limit| Instant::now() + limit))
    }

    /// How long there is, if there is a limit.
    fn left(self) -> io::Result<Option<Duration>> {
        let Some(end) = self.0 else { return Ok(None) };
        match end.saturating_duration_since(Instant::now()) {
            Duration::ZERO => Err(ErrorKind::TimedOut.into()),
            left => Ok(Some(left)),
        }
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The conversation broke off; `TimedOut` when the time was over.
    Io(io::Error),
    /// It is no HTTP that is understood here.
    Speech(String),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// An answer whose body is still to be read.
#[derive(Debug)]
pub(crate) struct Answer {
    stream: UnixStream,
    /// What was read of the body along with the head.
    early: Vec<u8>,
    /// How much is still to come, where that was said.
    left: Option<u64>,
    /// HTTP's status.
    pub(crate) status: u16,
}

/// Sends a request to whoever listens at `path` and reads the head of the answer.
///
/// # Errors
///
/// `NotFound` and `ConnectionRefused` where nobody listens, `PermissionDenied`, `TimedOut`.
pub(crate) fn ask(path: &Path, request: &Request, deadline: Deadline) -> Result<Answer, Failure> {
    let mut stream = connect(path, deadline)?;
    stream.set_write_timeout(deadline.left()?)?;
    stream.write_all(&request.bytes()).map_err(timed_out)?;
    let mut bytes = Vec::new();
    loop {
        if let Some(Head { status, length, end }) = http::head(&bytes).map_err(Failure::Speech)? {
            let early = bytes.split_off(end);
            return Ok(Answer { stream, early, left: length, status });
        }
        let piece = read(&mut stream, deadline)?;
        if piece.is_empty() {
            return Err(Failure::Io(ErrorKind::UnexpectedEof.into()));
        }
        bytes.extend(piece);
    }
}

/// A listener that does not accept has a full queue at some time: to connect would wait without end.
fn connect(path: &Path, deadline: Deadline) -> io::Result<UnixStream> {
    let address = SocketAddrUnix::new(path)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    loop {
        match rustix::net::connect(&socket, &address) {
            Ok(()) => break,
            Err(Errno::AGAIN) => std::thread::sleep(deadline.left()?.map_or(AGAIN, |left| left.min(AGAIN))),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    let stream = UnixStream::from(socket);
    stream.set_nonblocking(false)?;
    Ok(stream)
}

/// The next bytes; none at the end.
fn read(stream: &mut UnixStream, deadline: Deadline) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; PIECE];
    loop {
        stream.set_read_timeout(deadline.left()?)?;
        match stream.read(&mut buffer) {
            Ok(length) => {
                buffer.truncate(length);
                return Ok(buffer);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(timed_out(error)),
        }
    }
}

/// A socket's timeout shows as `EAGAIN`. Source: socket(7), `SO_RCVTIMEO`.
fn timed_out(error: io::Error) -> io::Error {
    if error.kind() == ErrorKind::WouldBlock { ErrorKind::TimedOut.into() } else { error }
}

impl Answer {
    /// The next bytes of the body; none at its end.
    ///
    /// # Errors
    ///
    /// `TimedOut`, after which it can be tried again; `UnexpectedEof` if it is shorter than was said.
    pub(crate) fn piece(&mut self, deadline: Deadline) -> io::Result<Vec<u8>> {
        if self.left == Some(0) {
            return Ok(Vec::new());
        }
        let mut piece = match std::mem::take(&mut self.early) {
            early if !early.is_empty() => early,
            _ => read(&mut self.stream, deadline)?,
        };
        if let Some(left) = &mut self.left {
            if piece.is_empty() {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            piece.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= u64::try_from(piece.len()).expect("a piece has no more bytes than are left");
        }
        Ok(piece)
    }

    /// All of the body.
    ///
    /// # Errors
    ///
    /// As [`Answer::piece`]; `FileTooLarge` for more than `limit` bytes.
    pub(crate) fn body(mut self, limit: usize, deadline: Deadline) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let piece = self.piece(deadline)?;
            if piece.is_empty() {
                return Ok(body);
            }
            body.extend(piece);
            if body.len() > limit {
                return Err(ErrorKind::FileTooLarge.into());
            }
        }
    }
}

impl AsFd for Answer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
