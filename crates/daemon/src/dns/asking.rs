//! Sockets to the servers that are asked. Each serves one exchange at a time.
//!
//! A socket whose question was answered serves a few more to the same server, chosen by chance, and then goes: opening
//! and closing one takes as long as the rest of an exchange, and a port that is used for long is one that can be found
//! out (RFC 5452, 9.2).

use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use pontoon_dns::forwarder::ExchangeId;
use pontoon_kernel::datagram::{connect_datagram, connect_stream};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};

/// A datagram that is longer is no answer to what was asked; one byte more tells.
const LONGEST: usize = 4096;
/// A socket serves so many exchanges.
const USES: u32 = 16;
/// A socket is used for so long.
const AGE: Duration = Duration::from_secs(2);
/// So many sockets wait for another question.
const IDLE: usize = 64;

/// What came of looking at a socket.
#[derive(Debug)]
pub(super) enum Heard<'a> {
    /// A datagram from the server.
    Datagram(SocketAddr, &'a [u8]),
    /// A message on a connection.
    Message(&'a [u8]),
    /// Nobody is there.
    Unreachable,
    /// The connection has ended.
    Ended,
    /// The question is sent, so that only an answer is to be waited for.
    Sent,
}

pub(super) struct Asking {
    /// By numbers that are never used again.
    sockets: HashMap<u64, Open>,
    exchanges: HashMap<ExchangeId, u64>,
    /// Sockets that wait for another question.
    idle: Vec<u64>,
    next: u64,
    random: Box<dyn FnMut() -> u64 + Send>,
    buffer: Box<[u8; LONGEST]>,
}

impl std::fmt::Debug for Asking {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Asking")
            .field("exchanges", &self.exchanges)
            .field("idle", &self.idle)
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Open {
    fd: OwnedFd,
    /// What it is used for now.
    exchange: Option<ExchangeId>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Datagram { server: SocketAddr, uses: u32, born: Duration, heard: u32 },
    Stream(Stream),
}

#[derive(Debug)]
struct Stream {
    /// The question with its length in front, and how much of it is sent.
    output: Vec<u8>,
    sent: usize,
    input: Vec<u8>,
}

impl Asking {
    pub(super) fn new(random: impl FnMut() -> u64 + Send + 'static) -> Self {
        Self {
            sockets: HashMap::new(),
            exchanges: HashMap::new(),
            idle: Vec::new(),
            next: 0,
            random: Box::new(random),
            buffer: Box::new([0; LONGEST]),
        }
    }

    /// Sends a datagram. `Some` is a socket that is to be waited on for answers from now on.
    pub(super) fn send(
        &mut self,
        now: Duration,
        id: ExchangeId,
        server: SocketAddr,
        message: &[u8],
    ) -> Result<Option<(u64, BorrowedFd<'_>)>, Errno> {
        if let Some(number) = self.reuse(now, server)
            && let Some(open) = self.sockets.get_mut(&number)
        {
            open.exchange = Some(id);
            self.exchanges.insert(id, number);
            rustix::net::send(&open.fd, message, SendFlags::empty())?;
            return Ok(None);
        }
        let fd = connect_datagram(server)?;
        rustix::net::send(&fd, message, SendFlags::empty())?;
        let kind = Kind::Datagram { server, uses: 1, born: now, heard: 0 };
        Ok(Some(self.open(id, fd, kind)))
    }

    /// Begins a connection, which is to be waited on until it can be written to.
    pub(super) fn stream(
        &mut self,
        id: ExchangeId,
        server: SocketAddr,
        message: &[u8],
    ) -> Result<(u64, BorrowedFd<'_>), Errno> {
        let fd = connect_stream(server)?;
        let mut output = (message.len() as u16).to_be_bytes().to_vec();
        output.extend(message);
        Ok(self.open(id, fd, Kind::Stream(Stream { output, sent: 0, input: Vec::new() })))
    }

    fn open(&mut self, id: ExchangeId, fd: OwnedFd, kind: Kind) -> (u64, BorrowedFd<'_>) {
        self.next += 1;
        self.exchanges.insert(id, self.next);
        let open = self.sockets.entry(self.next).insert_entry(Open { fd, exchange: Some(id), kind });
        (self.next, open.into_mut().fd.as_fd())
    }

    /// A socket to the server that waits for another question, chosen by chance.
    fn reuse(&mut self, now: Duration, server: SocketAddr) -> Option<u64> {
        while !self.idle.is_empty() {
            let at = (self.random)() as usize % self.idle.len();
            let number = self.idle.swap_remove(at);
            match self.sockets.get_mut(&number).map(|open| &mut open.kind) {
                Some(Kind::Datagram { server: own, uses, born, heard })
                    if *own == server && now.saturating_sub(*born) < AGE =>
                {
                    *uses += 1;
                    *heard = 0;
                    return Some(number);
                }
                // Of another server, or too old: those that are used stay, and the others go one by one.
                _ => drop(self.sockets.remove(&number)),
            }
        }
        None
    }

    /// An exchange is over.
    pub(super) fn close(&mut self, id: ExchangeId) {
        let Some(number) = self.exchanges.remove(&id) else { return };
        match self.sockets.get_mut(&number) {
            Some(Open { exchange, kind: Kind::Datagram { uses, heard: 1, .. }, .. })
                if *uses < USES && self.idle.len() < IDLE =>
            {
                *exchange = None;
                self.idle.push(number);
            }
            // An answer may still come, or a forger is at it: neither is to meet another question.
            _ => drop(self.sockets.remove(&number)),
        }
    }

    pub(super) fn fd(&self, number: u64) -> Option<BorrowedFd<'_>> {
        self.sockets.get(&number).map(|open| open.fd.as_fd())
    }

    /// Something happened on a socket. `None` if nothing has come of it yet.
    pub(super) fn ready(&mut self, number: u64) -> Option<(ExchangeId, Heard<'_>)> {
        let Some(id) = self.sockets.get(&number)?.exchange else {
            // Nobody was asked by it: a second answer, or a forger's.
            self.idle.retain(|idle| *idle != number);
            self.sockets.remove(&number);
            return None;
        };
        let open = self.sockets.get_mut(&number)?;
        let heard = match &mut open.kind {
            Kind::Datagram { server, heard, .. } => {
                match rustix::net::recv(&open.fd, &mut self.buffer[..], RecvFlags::DONTWAIT) {
                    Ok((len, _)) => {
                        *heard += 1;
                        Heard::Datagram(*server, &self.buffer[..len])
                    }
                    Err(Errno::AGAIN | Errno::INTR) => return None,
                    Err(_) => Heard::Unreachable,
                }
            }
            Kind::Stream(stream) => stream.ready(open.fd.as_fd(), &mut self.buffer[..])?,
        };
        Some((id, heard))
    }
}

impl Stream {
    fn ready(&mut self, fd: BorrowedFd<'_>, buffer: &mut [u8]) -> Option<Heard<'_>> {
        let had_more = self.sent < self.output.len();
        while self.sent < self.output.len() {
            match rustix::net::send(fd, &self.output[self.sent..], SendFlags::NOSIGNAL) {
                Ok(len) => self.sent += len,
                Err(Errno::AGAIN | Errno::INTR) => return None,
                Err(Errno::CONNREFUSED | Errno::HOSTUNREACH | Errno::NETUNREACH | Errno::TIMEDOUT) => {
                    return Some(Heard::Unreachable);
                }
                Err(_) => return Some(Heard::Ended),
            }
        }
        while self.message().is_none() {
            match rustix::net::recv(fd, &mut *buffer, RecvFlags::DONTWAIT) {
                Ok((0, _)) => return Some(Heard::Ended),
                Ok((len, _)) => self.input.extend(&buffer[..len]),
                Err(Errno::AGAIN | Errno::INTR) => return had_more.then_some(Heard::Sent),
                Err(_) => return Some(Heard::Ended),
            }
        }
        self.message().map(Heard::Message)
    }

    fn message(&self) -> Option<&[u8]> {
        let (len, rest) = self.input.split_first_chunk::<2>()?;
        rest.get(..usize::from(u16::from_be_bytes(*len)))
    }
}
