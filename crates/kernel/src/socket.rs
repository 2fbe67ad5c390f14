//! Netlink sockets: send a batch, get every answer.
//!
//! The kernel handles a netlink request inside the system call that sends it (`netlink_unicast_kernel()` in
//! `net/netlink/af_netlink.c`): when `send` returns, the answers wait in the socket. So nothing here blocks, and an
//! answer that is not there when the socket is empty will never come.
//!
//! Source: netlink(7), `net/netlink/af_netlink.c`, Documentation/userspace-api/netlink/intro.rst.

mod exchange;
pub(crate) mod options;
mod requests;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use pontoon_netlink::wire::{Ack, Batch, Message};
use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with};

use crate::error::{Cause, KernelError, Operation, Verb};
use exchange::Outcome;

pub use requests::{BatchError, Refused, Requests};

/// How often a list that changes while it is read is read again.
const DUMP_ATTEMPTS: u32 = 16;

/// The kernel sends a dump in pieces of at most 32 KiB (`netlink_recvmsg()`); a single answer is rarely over 4 KiB.
const BUFFER_LEN: usize = 64 * 1024;

/// Which part of the kernel a socket talks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// `NETLINK_ROUTE`: links, addresses, routes, rules, neighbours.
    Route,
    /// `NETLINK_NETFILTER`: nftables, conntrack.
    Netfilter,
    /// `NETLINK_SOCK_DIAG`: sockets.
    SockDiag,
}

/// A netlink socket: it stays in the network namespace that it was opened in, whichever the thread goes to.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
    protocol: Protocol,
    namespace: Option<String>,
    next_seq: u32,
    buffer: Vec<u8>,
}

/// A message that the kernel sent in answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedMessage {
    /// Message type (`RTM_…`, `NFT_MSG_…`).
    pub kind: u16,
    /// `NLM_F_…` flags.
    pub flags: u16,
    /// What follows the netlink header: what the decoders take.
    pub payload: Vec<u8>,
}

impl From<&Message<'_>> for OwnedMessage {
    fn from(message: &Message<'_>) -> Self {
        Self { kind: message.kind, flags: message.flags, payload: message.payload.to_vec() }
    }
}

/// All that the kernel answered to one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Success (errno 0, perhaps with a warning) or refusal.
    pub ack: Ack,
    /// Objects: what was asked for, or what `NLM_F_ECHO` sends back.
    pub messages: Vec<OwnedMessage>,
}

impl Socket {
    /// A socket in the network namespace that the calling thread is in now.
    ///
    /// # Errors
    ///
    /// `EPROTONOSUPPORT` where the kernel has no such protocol; `EMFILE`.
    pub fn open(protocol: Protocol) -> Result<Self, KernelError> {
        let number = match protocol {
            // `NETLINK_ROUTE` is 0, which rustix calls no protocol.
            Protocol::Route => None,
            Protocol::Netfilter => Some(netlink::NETFILTER),
            Protocol::SockDiag => Some(netlink::SOCK_DIAG),
        };
        let open = || {
            let fd = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, number)?;
            options::set(fd.as_fd())?;
            // Connected to the kernel (port id 0), the socket takes nothing from other processes.
            connect(&fd, &SocketAddrNetlink::new(0, 0))?;
            Ok::<_, rustix::io::Errno>(fd)
        };
        let fd = open().map_err(|errno| {
            KernelError::new(Operation::new(Verb::Open, "netlink socket"), protocol.name(), errno)
        })?;
        Ok(Self { fd, protocol, namespace: None, next_seq: 1, buffer: vec![0; BUFFER_LEN] })
    }

    /// Says what to call the socket's namespace in errors (`web`, `pid 4711`), where it is not the caller's own.
    pub fn in_namespace(mut self, name: impl Into<String>) -> Self {
        self.namespace = Some(name.into());
        self
    }

    /// Which part of the kernel it talks to.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Sends all of `batch` and returns an answer for each of its messages, in their order.
    ///
    /// A batch is not atomic: the kernel goes on after a refusal, which is in that answer's `ack`. The messages get
    /// sequence numbers of this socket. A batch with a dump has nothing else in it: the kernel runs one at a time.
    ///
    /// # Errors
    ///
    /// That the exchange failed, not that the kernel refused: `Overrun`, `Unanswered`, `Changing` (a dump that was
    /// interrupted in each of 16 attempts), or the errno of `send` or `recv`.
    pub fn request(&mut self, batch: &mut Batch) -> Result<Vec<Answer>, KernelError> {
        self.attempt(batch).map_err(|cause| {
            let operation = Operation::new(Verb::Send, "netlink requests");
            self.place(KernelError::new(operation, format!("to {}", self.protocol.name()), cause))
        })
    }

    fn attempt(&mut self, batch: &mut Batch) -> Result<Vec<Answer>, Cause> {
        for _ in 0..DUMP_ATTEMPTS {
            let mut messages: Vec<Vec<OwnedMessage>> = vec![Vec::new(); batch.len()];
            let outcomes =
                self.exchange(batch, &mut |index, message| messages[index].push(message.into()))?;
            if outcomes.contains(&Outcome::Interrupted) {
                if batch.len() == 1 {
                    continue;
                }
                return Err(Cause::Changing { attempts: 1 });
            }
            let answers = outcomes.into_iter().zip(messages).map(|(outcome, messages)| match outcome {
                Outcome::Done(ack) => Ok(Answer { ack, messages }),
                Outcome::Pending | Outcome::Interrupted => Err(Cause::Unanswered),
            });
            return answers.collect();
        }
        Err(Cause::Changing { attempts: DUMP_ATTEMPTS })
    }

    /// Sends the one dump in `batch`, and returns what `decode` makes of each message; what it makes nothing of is
    /// left out. `what` names the list in errors: `routes`.
    ///
    /// # Errors
    ///
    /// The kernel's refusal; `Changing` where the list was interrupted in each of 16 attempts; and those of
    /// [`Socket::request`].
    pub fn dump<T>(
        &mut self,
        what: &'static str,
        batch: &mut Batch,
        decode: impl Fn(&Message<'_>) -> Option<T>,
    ) -> Result<Vec<T>, KernelError> {
        let fail = |socket: &Self, cause| {
            socket.place(KernelError::new(Operation::new(Verb::Read, "list of"), what, cause))
        };
        for _ in 0..DUMP_ATTEMPTS {
            let mut found = Vec::new();
            let outcomes = self
                .exchange(batch, &mut |_, message| found.extend(decode(message)))
                .map_err(|cause| fail(self, cause))?;
            match outcomes.first() {
                Some(Outcome::Done(ack)) if ack.errno == 0 => return Ok(found),
                Some(Outcome::Done(ack)) => return Err(fail(self, Cause::from_ack(ack))),
                Some(Outcome::Interrupted) => {}
                Some(Outcome::Pending) | None => return Err(fail(self, Cause::Unanswered)),
            }
        }
        Err(fail(self, Cause::Changing { attempts: DUMP_ATTEMPTS }))
    }

    /// Adds this socket's namespace to an error.
    pub(crate) fn place(&self, mut error: KernelError) -> KernelError {
        error.namespace.clone_from(&self.namespace);
        error
    }
}

impl Protocol {
    fn name(self) -> &'static str {
        match self {
            Self::Route => "rtnetlink",
            Self::Netfilter => "nfnetlink",
            Self::SockDiag => "sock_diag",
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
