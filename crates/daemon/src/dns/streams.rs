//! Clients that ask by TCP: RFC 7766.

use std::collections::HashMap;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use pontoon_dns::{Client, NetworkKey};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};

/// How long a connection may be without a query: RFC 7766, 6.2.3 leaves it to the server.
const IDLE: Duration = Duration::from_secs(10);
/// The longest query that is taken.
const QUERY: usize = 4096;
/// With so much to send, nothing more is read: a client that does not take its answers is asked to first.
const OUTPUT: usize = 128 * 1024;
/// So many queries of a connection may wait for other servers.
const WAITING: u32 = 64;

/// A connection.
#[derive(Debug)]
pub(super) struct Stream {
    fd: OwnedFd,
    /// Who asks.
    pub(super) client: Client,
    input: Vec<u8>,
    output: Vec<u8>,
    sent: usize,
    last: Duration,
    /// Queries that wait for other servers.
    waiting: u32,
    /// The client sends nothing more.
    ended: bool,
}

/// All connections.
#[derive(Debug)]
pub(super) struct Streams {
    streams: HashMap<u64, Stream>,
    of_client: HashMap<IpAddr, usize>,
    limit: usize,
    limit_per_client: usize,
    next: u64,
}

/// What is to become of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Wait for queries, for room to send, for both, or for other servers alone.
    Wait { read: bool, write: bool },
    /// It is over.
    Close,
}

impl Streams {
    pub(super) fn new(limit: usize, limit_per_client: usize) -> Self {
        Self { streams: HashMap::new(), of_client: HashMap::new(), limit, limit_per_client, next: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.streams.len()
    }

    /// Takes a connection; `None` if there are too many, and it is closed.
    pub(super) fn open(&mut self, fd: OwnedFd, client: Client, now: Duration) -> Option<u64> {
        let count = self.of_client.entry(client.source).or_default();
        if self.streams.len() >= self.limit || *count >= self.limit_per_client {
            if *count == 0 {
                self.of_client.remove(&client.source);
            }
            return None;
        }
        *count += 1;
        self.next += 1;
        let (input, output) = (Vec::new(), Vec::new());
        let stream = Stream { fd, client, input, output, sent: 0, last: now, waiting: 0, ended: false };
        self.streams.insert(self.next, stream);
        Some(self.next)
    }

    pub(super) fn get(&mut self, id: u64) -> Option<&mut Stream> {
        self.streams.get_mut(&id)
    }

    pub(super) fn close(&mut self, id: u64) {
        let Some(stream) = self.streams.remove(&id) else { return };
        if let Some(count) = self.of_client.get_mut(&stream.client.source) {
            *count -= 1;
            if *count == 0 {
                self.of_client.remove(&stream.client.source);
            }
        }
    }

    /// Closes those that came by a network.
    pub(super) fn close_of(&mut self, network: NetworkKey) {
        self.close_where(|stream| stream.client.network == network);
    }

    /// Closes those that have been without a query, or without taking an answer, for too long.
    pub(super) fn close_idle(&mut self, now: Duration) {
        self.close_where(|stream| stream.waiting == 0 && now.saturating_sub(stream.last) >= IDLE);
    }

    fn close_where(&mut self, over: impl Fn(&Stream) -> bool) {
        let gone: Vec<u64> =
            self.streams.iter().filter(|(_, stream)| over(stream)).map(|(id, _)| *id).collect();
        gone.into_iter().for_each(|id| self.close(id));
    }
}

impl Stream {
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Reads what is there, up to one query's length, so that nobody else waits for long. Says whether the connection
    /// still works.
    pub(super) fn read(&mut self) -> bool {
        let mut buffer = [0; QUERY];
        match rustix::net::recv(&self.fd, &mut buffer, RecvFlags::DONTWAIT) {
            Ok((0, _)) => self.ended = true,
            Ok((len, _)) => self.input.extend(&buffer[..len]),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => return false,
        }
        true
    }

    /// The next whole query; an error if it is longer than any that is taken.
    pub(super) fn query(&mut self, now: Duration) -> Result<Option<Vec<u8>>, TooLong> {
        let Some((len, rest)) = self.input.split_first_chunk::<2>() else { return Ok(None) };
        let len = usize::from(u16::from_be_bytes(*len));
        if len > QUERY {
            return Err(TooLong);
        }
        if self.waiting >= WAITING || self.output.len() - self.sent > OUTPUT {
            return Ok(None);
        }
        let Some(query) = rest.get(..len) else { return Ok(None) };
        let query = query.to_vec();
        self.input.drain(..2 + len);
        self.last = now;
        Ok(Some(query))
    }

    /// A query waits for other servers, whose answer comes by [`Stream::answer_late`].
    pub(super) fn wait(&mut self) {
        self.waiting += 1;
    }

    pub(super) fn answer_late(&mut self, message: &[u8]) {
        self.waiting = self.waiting.saturating_sub(1);
        self.answer(message);
    }

    /// Adds an answer to what is to be sent.
    pub(super) fn answer(&mut self, message: &[u8]) {
        self.output.extend((message.len() as u16).to_be_bytes());
        self.output.extend(message);
    }

    /// Sends as much as there is room for, and says what to wait for.
    pub(super) fn flush(&mut self, now: Duration) -> Next {
        while self.sent < self.output.len() {
            match rustix::net::send(&self.fd, &self.output[self.sent..], SendFlags::NOSIGNAL) {
                Ok(len) => {
                    self.sent += len;
                    self.last = now;
                }
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(_) => return Next::Close,
            }
        }
        if self.sent == self.output.len() {
            self.output.clear();
            self.sent = 0;
        }
        let write = !self.output.is_empty();
        if self.ended && !write && self.waiting == 0 {
            return Next::Close;
        }
        let full = self.waiting >= WAITING || self.output.len() - self.sent > OUTPUT;
        Next::Wait { read: !self.ended && !full, write }
    }
}

/// A query is longer than any that is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLong;
