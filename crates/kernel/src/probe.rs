//! One packet sent to see whether it is answered: an echo request, the first segment of a TCP connection, a datagram.
//!
//! Each carries a token of 8 bytes by which it is known on its way: echo requests and datagrams as their data, a TCP
//! segment its first half as its sequence number. The segment is made here and not by connect(2), which does not tell the
//! number; the kernel answers the second segment of the connection with a reset, since no socket waits for it, and so no
//! program is ever given a connection.
//!
//! Everything here is about the network namespace that the calling thread is in when the socket is opened. No call waits.
//!
//! Source: RFC 792, RFC 4443, RFC 9293; raw(7), ip(7), ipv6(7), udp(7).
#![expect(unsafe_code, reason = "errors that a socket keeps (MSG_ERRQUEUE) have no safe wrapper")]

mod errors;
mod segment;

use std::mem::MaybeUninit;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, ipproto};

pub use errors::Trouble;

use crate::echo::{V4, V6};

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    /// An echo request.
    Echo,
    /// The first segment of a TCP connection to a port.
    Tcp(u16),
    /// A datagram to a port.
    Udp(u16),
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// The answer to the echo request.
    Echo,
    /// The second segment of a connection.
    Accepted,
    /// A reset.
    Reset,
    /// A datagram.
    Datagram,
    /// An error, of ICMP or of the kernel's own.
    Trouble(Trouble),
}

/// A socket for one probe.
#[derive(Debug)]
pub struct Probe {
    fd: OwnedFd,
    /// Keeps the port of a TCP segment, so that nobody else gets it meanwhile.
    _port: Option<OwnedFd>,
    carrier: Carrier,
    token: [u8; 8],
    source: SocketAddr,
    target: IpAddr,
}

impl Probe {
    /// A socket that sends `carrier` to `target`, from `source` or from whichever address the kernel chooses.
    ///
    /// # Errors
    ///
    /// `EPERM` without `CAP_NET_RAW`; `ENETUNREACH`, `EHOSTUNREACH`, `EACCES` or `EINVAL` where no route leads there;
    /// `EADDRNOTAVAIL` where the namespace does not have `source`.
    pub fn open(
        carrier: Carrier,
        source: Option<IpAddr>,
        target: IpAddr,
        token: [u8; 8],
    ) -> Result<Self, Errno> {
        let family = if target.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let (kind, protocol, port) = match carrier {
            Carrier::Echo if target.is_ipv4() => (SocketType::RAW, ipproto::ICMP, 0),
            Carrier::Echo => (SocketType::RAW, ipproto::ICMPV6, 0),
            Carrier::Tcp(_) => (SocketType::RAW, ipproto::TCP, 0),
            Carrier::Udp(port) => (SocketType::DGRAM, ipproto::UDP, port),
        };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let fd = rustix::net::socket_with(family, kind, flags, Some(protocol))?;
        errors::keep(fd.as_fd(), target.is_ipv4())?;
        if let Some(source) = source {
            rustix::net::bind(&fd, &SocketAddr::new(source, 0))?;
        }
        rustix::net::connect(&fd, &SocketAddr::new(target, port))?;
        let mut source = local(fd.as_fd())?;
        let mut held = None;
        if let Carrier::Tcp(_) = carrier {
            let port = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
            rustix::net::bind(&port, &SocketAddr::new(source.ip(), 0))?;
            source.set_port(local(port.as_fd())?.port());
            held = Some(port);
        }
        Ok(Self { fd, _port: held, carrier, token, source, target })
    }

    /// The address and the port that it sends from; port 0 for an echo request.
    pub fn source(&self) -> SocketAddr {
        self.source
    }

    /// Sends it: once more, if it was sent before.
    ///
    /// # Errors
    ///
    /// As [`Probe::open`]; `EPERM` where a rule of the sender's own drops it.
    pub fn send(&self, attempt: u16) -> Result<(), Errno> {
        let message = match self.carrier {
            Carrier::Echo => segment::echo(self.target.is_ipv4(), attempt, self.token),
            Carrier::Tcp(port) => segment::syn(self.source, SocketAddr::new(self.target, port), self.token),
            Carrier::Udp(_) => segment::datagram(self.token),
        };
        rustix::net::send(&self.fd, &message, SendFlags::empty())?;
        Ok(())
    }

    /// The next thing that came back, if anything did that is about this probe.
    ///
    /// # Errors
    ///
    /// None that is known of, but for those of recv(2).
    pub fn receive(&self) -> Result<Option<Reply>, Errno> {
        if let Some(trouble) = errors::next(self.fd.as_fd(), |quoted| self.is_quoted(quoted))? {
            return Ok(Some(Reply::Trouble(trouble)));
        }
        let mut buffer = [MaybeUninit::<u8>::uninit(); 2048];
        loop {
            match rustix::net::recv(&self.fd, &mut buffer, RecvFlags::DONTWAIT) {
                Ok(((heard, _), _)) => {
                    if let Some(reply) = self.read(heard) {
                        return Ok(Some(reply));
                    }
                }
                Err(Errno::AGAIN) => return Ok(None),
                Err(Errno::INTR) => {}
                // What the socket keeps says more, and came first.
                Err(Errno::CONNREFUSED | Errno::HOSTUNREACH | Errno::NETUNREACH | Errno::MSGSIZE) => {
                    return errors::next(self.fd.as_fd(), |quoted| self.is_quoted(quoted))
                        .map(|found| found.map(Reply::Trouble));
                }
                Err(errno) => return Err(errno),
            }
        }
    }

    fn read(&self, heard: &[u8]) -> Option<Reply> {
        if let Carrier::Udp(_) = self.carrier {
            return Some(Reply::Datagram);
        }
        // The IPv4 header comes along; its length is in its first byte, in words.
        let header = match self.target {
            IpAddr::V4(_) => usize::from(heard.first()? & 15) * 4,
            IpAddr::V6(_) => 0,
        };
        let message = heard.get(header..)?;
        match self.carrier {
            Carrier::Echo => {
                let (_, reply) = if self.target.is_ipv4() { V4 } else { V6 };
                (message.first() == Some(&reply) && message.get(8..16) == Some(&self.token[..]))
                    .then_some(Reply::Echo)
            }
            _ => segment::answer(message, self.source.port(), self.token),
        }
    }

    /// Whether an error is about this probe, by the beginning of what it quotes.
    fn is_quoted(&self, quoted: &[u8]) -> bool {
        match self.carrier {
            Carrier::Echo => quoted.get(8..16) == Some(&self.token[..]),
            Carrier::Tcp(_) => quoted.get(4..8) == Some(&self.token[..4]),
            // The socket is connected, and has nothing else to send.
            Carrier::Udp(_) => true,
        }
    }
}

impl AsFd for Probe {
    /// Can be read from when something came back, and has an error when one did.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn local(fd: BorrowedFd<'_>) -> Result<SocketAddr, Errno> {
    let address = rustix::net::getsockname(fd)?;
    SocketAddr::try_from(address).map_err(|_| Errno::AFNOSUPPORT)
}

/// Sets an option that is a number.
fn set(fd: BorrowedFd<'_>, level: libc::c_int, option: libc::c_int, value: libc::c_int) -> Result<(), Errno> {
    // SAFETY: the descriptor is open while it is borrowed; the pointer and length are those of `value`, which the kernel
    // only reads during the call.
    let result = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            level,
            option,
            (&raw const value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(crate::datagram::last_errno()) }
}
