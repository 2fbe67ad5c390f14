//! Listening, and one thread for each connection, a few at a time.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use pontoon_model::Diagnose;
use rustix::event::{PollFd, PollFlags, poll};

use super::{Address, LONGEST, Method, Refusal, Request, Response, parse};

/// How many are answered at a time.
const AT_A_TIME: usize = 8;
/// How long a request may take to come, and its answer to go.
const PATIENCE: Duration = Duration::from_secs(5);
/// What a thread that answers may use as its stack, in bytes.
const STACK: usize = 256 * 1024;

/// Why the server does not run.
#[derive(Debug, thiserror::Error)]
#[error("could not listen at {address}")]
pub struct HttpError {
    /// Where.
    pub address: Address,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

impl Diagnose for HttpError {
    fn code(&self) -> &'static str {
        "metrics-listen"
    }

    fn hint(&self) -> Option<String> {
        match self.source.kind() {
            ErrorKind::AddrInUse => Some("another program listens there: choose another place".into()),
            ErrorKind::AddrNotAvailable => Some("the host has no such address".into()),
            ErrorKind::PermissionDenied => Some("run it as root, or choose a place of your own".into()),
            ErrorKind::NotFound => Some("make the folder of the socket first".into()),
            _ => None,
        }
    }
}

/// A server that runs until it is dropped.
#[derive(Debug)]
pub struct Server {
    address: Address,
    /// Closed, it ends the thread.
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

type Answer = dyn Fn(&Request) -> Response + Send + Sync;

enum Listener {
    Unix(UnixListener),
    Tcp(TcpListener),
}

/// A connection of either kind.
enum Connection {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Server {
    /// Listens at `address` from when this returns. A Unix socket that nobody listens at any more is replaced; the new
    /// one is for its owner and group (0660).
    ///
    /// # Errors
    ///
    /// If it cannot listen there.
    pub fn start(
        address: &Address,
        answer: impl Fn(&Request) -> Response + Send + Sync + 'static,
    ) -> Result<Self, HttpError> {
        let failed = |source| HttpError { address: address.clone(), source };
        let listener = Listener::open(address).map_err(failed)?;
        let address = listener.address(address);
        let (stop, stopped) = UnixStream::pair().map_err(failed)?;
        let answer: Arc<Answer> = Arc::new(answer);
        let thread = Builder::new()
            .name("http".into())
            .stack_size(STACK)
            .spawn(move || listener.serve(&stopped, &answer))
            .map_err(failed)?;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens: with the port that it got, if it asked for any.
    pub fn address(&self) -> &Address {
        &self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // One that panicked has ended too.
            let _ = thread.join();
        }
        if let Address::Unix(path) = &self.address {
            let _ = fs::remove_file(path);
        }
    }
}

impl Listener {
    fn open(address: &Address) -> io::Result<Self> {
        match address {
            Address::Unix(path) => {
                remove_stale(path)?;
                let listener = UnixListener::bind(path)?;
                fs::set_permissions(path, fs::Permissions::from_mode(0o660))?;
                listener.set_nonblocking(true)?;
                Ok(Self::Unix(listener))
            }
            Address::Tcp(address) => {
                let listener = TcpListener::bind(address)?;
                listener.set_nonblocking(true)?;
                Ok(Self::Tcp(listener))
            }
        }
    }

    fn address(&self, asked: &Address) -> Address {
        match self {
            Self::Tcp(listener) => listener.local_addr().map_or_else(|_| asked.clone(), Address::Tcp),
            Self::Unix(_) => asked.clone(),
        }
    }

    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Unix(listener) => listener.as_fd(),
            Self::Tcp(listener) => listener.as_fd(),
        }
    }

    fn accept(&self) -> io::Result<Connection> {
        match self {
            Self::Unix(listener) => listener.accept().map(|(stream, _)| Connection::Unix(stream)),
            Self::Tcp(listener) => listener.accept().map(|(stream, _)| Connection::Tcp(stream)),
        }
    }

    fn serve(&self, stopped: &UnixStream, answer: &Arc<Answer>) {
        let busy = Arc::new(AtomicUsize::new(0));
        loop {
            let wanted = PollFlags::IN;
            let mut waits = [PollFd::from_borrowed_fd(self.as_fd(), wanted), PollFd::new(stopped, wanted)];
            if poll(&mut waits, None).is_err() {
                // A signal; anything else would have shown itself when they were opened.
                continue;
            }
            if !waits[1].revents().is_empty() {
                return;
            }
            match self.accept() {
                Ok(connection) => hand_over(connection, &busy, answer),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(error) => {
                    // No descriptor is left, most likely: that passes, and is not to be asked about without end.
                    tracing::warn!("a connection could not be taken: {error}");
                    std::thread::sleep(Duration::from_millis(100));
                }
            }
        }
    }
}

/// Removes a socket that nobody listens at, as one that was killed leaves it. Any other file stays.
fn remove_stale(path: &Path) -> io::Result<()> {
    let is_socket = path.symlink_metadata().is_ok_and(|found| found.file_type().is_socket());
    if is_socket && UnixStream::connect(path).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
    {
        fs::remove_file(path)?;
    }
    Ok(())
}

/// Counts itself among those that are busy, as long as it is there.
struct Slot(Arc<AtomicUsize>);

impl Slot {
    fn take(busy: &Arc<AtomicUsize>) -> Option<Self> {
        let slot = Self(Arc::clone(busy));
        (busy.fetch_add(1, Ordering::SeqCst) < AT_A_TIME).then_some(slot)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn hand_over(mut connection: Connection, busy: &Arc<AtomicUsize>, answer: &Arc<Answer>) {
    let slot = Slot::take(busy);
    let answer = Arc::clone(answer);
    if connection.begin(slot.is_some()).is_err() {
        return;
    }
    let Some(slot) = slot else {
        // It fits in the buffer of a socket that is new; where it does not, the peer sees the end alone.
        let _ = connection.write(&Refusal::Busy.response().bytes(true));
        return;
    };
    let spawned = Builder::new().name("http-answer".into()).stack_size(STACK).spawn(move || {
        let _slot = slot;
        if let Err(error) = converse(&mut connection, &*answer) {
            tracing::debug!("a connection ended early: {error}");
        }
    });
    if let Err(error) = spawned {
        tracing::warn!("no thread for an answer: {error}");
    }
}

fn converse(connection: &mut Connection, answer: &Answer) -> io::Result<()> {
    let request = receive(connection)?;
    let bytes = match &request {
        Ok(request) => answer(request).bytes(request.method == Method::Get),
        Err(refusal) => refusal.response().bytes(true),
    };
    connection.send(&bytes)
}

/// What was asked, within the time and the length that there is.
fn receive(connection: &mut Connection) -> io::Result<Result<Request, Refusal>> {
    let deadline = Instant::now() + PATIENCE;
    let mut bytes = Vec::new();
    let mut piece = [0; 2048];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(Err(Refusal::Late));
        }
        connection.wait_for_at_most(left)?;
        let room = (LONGEST + 1 - bytes.len()).min(piece.len());
        match connection.read(&mut piece[..room]) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(length) => bytes.extend_from_slice(&piece[..length]),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Ok(Err(Refusal::Late));
            }
            Err(error) => return Err(error),
        }
        match parse(&bytes) {
            Ok(None) => {}
            Ok(Some(request)) => return Ok(Ok(request)),
            Err(refusal) => return Ok(Err(refusal)),
        }
    }
}

impl Connection {
    /// Waits, where somebody waits for it, in a thread of its own; otherwise nobody waits.
    fn begin(&self, waits: bool) -> io::Result<()> {
        match self {
            Self::Unix(stream) => stream.set_nonblocking(!waits),
            Self::Tcp(stream) => stream.set_nonblocking(!waits),
        }
    }

    fn wait_for_at_most(&self, span: Duration) -> io::Result<()> {
        match self {
            Self::Unix(stream) => stream.set_read_timeout(Some(span)),
            Self::Tcp(stream) => stream.set_read_timeout(Some(span)),
        }
    }

    /// Sends everything in the time that there is, and ends. What the peer still sends is taken in, for a moment: it
    /// would make the kernel reset the connection, and the answer be lost.
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let mut sent = 0;
        while sent < bytes.len() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ErrorKind::TimedOut.into());
            }
            self.write_for_at_most(left)?;
            match self.write(&bytes[sent..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(length) => sent += length,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.end()
    }

    fn write_for_at_most(&self, span: Duration) -> io::Result<()> {
        match self {
            Self::Unix(stream) => stream.set_write_timeout(Some(span)),
            Self::Tcp(stream) => stream.set_write_timeout(Some(span)),
        }
    }

    fn end(&mut self) -> io::Result<()> {
        match self {
            Self::Unix(stream) => stream.shutdown(Shutdown::Write)?,
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write)?,
        }
        self.wait_for_at_most(Duration::from_millis(200))?;
        let mut rest = [0; 4096];
        for _ in 0..16 {
            if self.read(&mut rest).is_ok_and(|length| length > 0) {
                continue;
            }
            break;
        }
        Ok(())
    }
}

impl Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.read(buffer),
            Self::Tcp(stream) => stream.read(buffer),
        }
    }
}

impl Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.write(bytes),
            Self::Tcp(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
