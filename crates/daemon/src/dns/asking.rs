//! Sockets to the servers that are asked: one for each exchange.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use pontoon_dns::forwarder::ExchangeId;
use pontoon_kernel::datagram::{connect_datagram, connect_stream};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};

/// A datagram that is longer is no answer to what was asked; one byte more tells.
const LONGEST: usize = 4096;

/// What came of looking at a socket.
#[derive(Debug)]
pub(super) enum Heard {
    /// A message.
    Message(Vec<u8>),
    /// Nobody is there.
    Unreachable,
    /// The connection has ended.
    Ended,
}

#[derive(Debug)]
pub(super) struct Asking {
    exchanges: HashMap<ExchangeId, Open>,
}

#[derive(Debug)]
enum Open {
    Datagram { fd: OwnedFd, server: SocketAddr },
    Stream(Stream),
}

#[derive(Debug)]
struct Stream {
    fd: OwnedFd,
    /// The question with its length in front, and how much of it is sent.
    output: Vec<u8>,
    sent: usize,
    input: Vec<u8>,
}

impl Asking {
    pub(super) fn new() -> Self {
        Self { exchanges: HashMap::new() }
    }

    /// Sends a datagram by a socket of its own, which is to be waited on for an answer.
    pub(super) fn send(
        &mut self,
        id: ExchangeId,
        server: SocketAddr,
        message: &[u8],
    ) -> Result<BorrowedFd<'_>, Errno> {
        let fd = connect_datagram(server)?;
        rustix::net::send(&fd, message, SendFlags::empty())?;
        let open = self.exchanges.entry(id).insert_entry(Open::Datagram { fd, server });
        Ok(open.into_mut().fd())
    }

    /// Begins a connection, which is to be waited on until it can be written to.
    pub(super) fn stream(
        &mut self,
        id: ExchangeId,
        server: SocketAddr,
        message: &[u8],
    ) -> Result<BorrowedFd<'_>, Errno> {
        let fd = connect_stream(server)?;
        let mut output = (message.len() as u16).to_be_bytes().to_vec();
        output.extend(message);
        let stream = Stream { fd, output, sent: 0, input: Vec::new() };
        let open = self.exchanges.entry(id).insert_entry(Open::Stream(stream));
        Ok(open.into_mut().fd())
    }

    pub(super) fn close(&mut self, id: ExchangeId) {
        self.exchanges.remove(&id);
    }

    /// The server that a socket is connected to, and whether it is a connection.
    pub(super) fn kind(&self, id: ExchangeId) -> Option<Option<SocketAddr>> {
        self.exchanges.get(&id).map(|open| match open {
            Open::Datagram { server, .. } => Some(*server),
            Open::Stream(_) => None,
        })
    }

    pub(super) fn fd(&self, id: ExchangeId) -> Option<BorrowedFd<'_>> {
        self.exchanges.get(&id).map(Open::fd)
    }

    /// Something happened on a socket. `None` if nothing has come of it yet.
    pub(super) fn ready(&mut self, id: ExchangeId) -> Option<Heard> {
        match self.exchanges.get_mut(&id)? {
            Open::Datagram { fd, .. } => {
                let mut buffer = [0; LONGEST];
                match rustix::net::recv(&*fd, &mut buffer, RecvFlags::DONTWAIT) {
                    Ok((len, _)) => Some(Heard::Message(buffer[..len].to_vec())),
                    Err(Errno::AGAIN | Errno::INTR) => None,
                    Err(_) => Some(Heard::Unreachable),
                }
            }
            Open::Stream(stream) => stream.ready(),
        }
    }

    /// Whether all of a connection's question is sent, so that only an answer is waited for.
    pub(super) fn is_sent(&self, id: ExchangeId) -> bool {
        match self.exchanges.get(&id) {
            Some(Open::Stream(stream)) => stream.sent == stream.output.len(),
            _ => true,
        }
    }
}

impl Open {
    fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Datagram { fd, .. } => fd.as_fd(),
            Self::Stream(stream) => stream.fd.as_fd(),
        }
    }
}

impl Stream {
    fn ready(&mut self) -> Option<Heard> {
        while self.sent < self.output.len() {
            match rustix::net::send(&self.fd, &self.output[self.sent..], SendFlags::NOSIGNAL) {
                Ok(len) => self.sent += len,
                Err(Errno::AGAIN | Errno::INTR) => return None,
                Err(Errno::CONNREFUSED | Errno::HOSTUNREACH | Errno::NETUNREACH | Errno::TIMEDOUT) => {
                    return Some(Heard::Unreachable);
                }
                Err(_) => return Some(Heard::Ended),
            }
        }
        let mut buffer = [0; LONGEST];
        loop {
            match rustix::net::recv(&self.fd, &mut buffer, RecvFlags::DONTWAIT) {
                Ok((0, _)) => return Some(Heard::Ended),
                Ok((len, _)) => self.input.extend(&buffer[..len]),
                Err(Errno::AGAIN | Errno::INTR) => return None,
                Err(_) => return Some(Heard::Ended),
            }
            let Some((len, message)) = self.input.split_first_chunk::<2>() else { continue };
            if let Some(message) = message.get(..usize::from(u16::from_be_bytes(*len))) {
                return Some(Heard::Message(message.to_vec()));
            }
        }
    }
}
