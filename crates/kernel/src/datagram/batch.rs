//! Many datagrams by one system call.

use std::ffi::{c_int, c_void};
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd};

use rustix::io::Errno;

use super::{DeviceSocket, last_errno};

/// How many datagrams a call takes or sends.
const DATAGRAMS: usize = 32;
/// The longest question that is taken whole: a name of 255 bytes, and options.
const QUESTION: usize = 1500;

/// Who sent a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// Who sent it.
    pub peer: SocketAddr,
    /// Its length; 0 for one that is to be passed over.
    pub len: usize,
}

/// Buffers for questions that came and answers that go; for any number of sockets, one after the other.
///
/// Their memory stays where it is: the kernel is given pointers into it.
pub struct Batch {
    questions: Box<[[u8; QUESTION]; DATAGRAMS]>,
    received: Vec<Received>,
    /// Answers, one behind the other.
    answers: Box<[u8]>,
    ends: Vec<usize>,
    /// For whom each answer is.
    targets: Vec<SocketAddr>,
    names: Box<[libc::sockaddr_storage; DATAGRAMS]>,
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("received", &self.received).field("targets", &self.targets).finish()
    }
}

impl Batch {
    /// How many datagrams a call takes or sends.
    pub const LEN: usize = DATAGRAMS;

    /// Buffers with room for answers of up to `longest` bytes each.
    pub fn new(longest: usize) -> Self {
        Self {
            questions: Box::new([[0; QUESTION]; DATAGRAMS]),
            received: Vec::with_capacity(DATAGRAMS),
            answers: vec![0; longest * DATAGRAMS].into_boxed_slice(),
            ends: Vec::with_capacity(DATAGRAMS),
            targets: Vec::with_capacity(DATAGRAMS),
            names: Box::new([zeroed_name(); DATAGRAMS]),
        }
    }

    /// Takes what is there, up to [`Batch::LEN`] datagrams: recvmmsg(2). What was taken before is gone then.
    ///
    /// # Errors
    ///
    /// Those of recvmmsg(2); `EAGAIN` is no error, but nothing.
    #[expect(unsafe_code, reason = "recvmmsg")]
    pub fn receive(&mut self, socket: &DeviceSocket) -> Result<&[Received], Errno> {
        self.received.clear();
        self.ends.clear();
        self.targets.clear();
        let mut vectors = [EMPTY; DATAGRAMS];
        let mut messages: [libc::mmsghdr; DATAGRAMS] = std::array::from_fn(|index| {
            vectors[index] = vector(&mut self.questions[index]);
            message(&mut self.names[index], size_of::<libc::sockaddr_storage>(), &mut vectors[index])
        });
        // SAFETY: each of the `DATAGRAMS` headers points to a name in `self.names`, and to one of `vectors`, which points
        // to a buffer in `self.questions`, with their lengths. `&mut self` keeps them for the call, `vectors` is on this
        // stack, and nothing else points there. No timeout is given.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_fd().as_raw_fd(),
                messages.as_mut_ptr(),
                DATAGRAMS as u32,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        if count < 0 {
            return match last_errno() {
                Errno::AGAIN | Errno::INTR => Ok(&self.received),
                errno => Err(errno),
            };
        }
        for (message, name) in messages.iter().zip(&*self.names).take(count as usize) {
            let whole = message.msg_hdr.msg_flags & libc::MSG_TRUNC == 0;
            // The place is kept, so that a question is found by its number.
            self.received.push(match peer(name).filter(|_| whole) {
                Some(peer) => Received { peer, len: message.msg_len as usize },
                None => Received { peer: SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0), len: 0 },
            });
        }
        Ok(&self.received)
    }

    /// The question `index` of those that were taken last, and a buffer for the answer to it.
    ///
    /// The answer is for whom it came from when [`Batch::answer`] says how long it is. No more answers are waiting to be
    /// sent than there were questions.
    pub fn exchange(&mut self, index: usize) -> (Received, &[u8], &mut [u8]) {
        let received = self.received[index];
        let begin = self.ends.last().copied().unwrap_or(0);
        let longest = self.answers.len() / DATAGRAMS;
        (received, &self.questions[index][..received.len], &mut self.answers[begin..begin + longest])
    }

    /// An answer of `len` bytes is in the buffer that [`Batch::exchange`] gave.
    pub fn answer(&mut self, target: SocketAddr, len: usize) {
        let begin = self.ends.last().copied().unwrap_or(0);
        self.ends.push(begin + len);
        self.targets.push(target);
    }

    /// Sends the answers: sendmmsg(2). Returns how many were lost, since the socket's buffer is full or the kernel refused
    /// them.
    #[expect(unsafe_code, reason = "sendmmsg")]
    pub fn send(&mut self, socket: &DeviceSocket) -> usize {
        let count = self.targets.len();
        let mut begin = 0;
        let mut vectors = [EMPTY; DATAGRAMS];
        let mut messages: [libc::mmsghdr; DATAGRAMS] = std::array::from_fn(|index| {
            let (name, place) = (&mut self.names[index], &mut vectors[index]);
            let Some(target) = self.targets.get(index) else { return message(name, 0, place) };
            let end = self.ends[index];
            *place = vector(&mut self.answers[begin..end]);
            begin = end;
            let len = write_name(name, *target);
            message(name, len, place)
        });
        let mut lost = 0;
        let mut at = 0;
        while at < count {
            // SAFETY: each of the headers from `at` to `count` points to a name in `self.names`, and to one of `vectors`,
            // which points into `self.answers`, with their lengths. `&mut self` keeps them for the call, which only reads
            // them, and writes the sent lengths into `messages`.
            let sent = unsafe {
                libc::sendmmsg(
                    socket.as_fd().as_raw_fd(),
                    messages[at..count].as_mut_ptr(),
                    (count - at) as u32,
                    libc::MSG_DONTWAIT,
                )
            };
            match sent {
                // The first one was refused; the others are still to be tried.
                ..=0 => {
                    lost += 1;
                    at += 1;
                }
                _ => at += sent as usize,
            }
        }
        self.ends.clear();
        self.targets.clear();
        lost
    }
}

const EMPTY: libc::iovec = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };

fn vector(bytes: &mut [u8]) -> libc::iovec {
    libc::iovec { iov_base: bytes.as_mut_ptr().cast::<c_void>(), iov_len: bytes.len() }
}

fn message(name: &mut libc::sockaddr_storage, name_len: usize, vector: &mut libc::iovec) -> libc::mmsghdr {
    let mut header = empty_header();
    header.msg_name = (&raw mut *name).cast();
    header.msg_namelen = name_len as libc::socklen_t;
    header.msg_iov = vector;
    header.msg_iovlen = 1;
    libc::mmsghdr { msg_hdr: header, msg_len: 0 }
}

/// A header that points to nothing: with musl it has private fields.
#[expect(unsafe_code, reason = "an empty msghdr")]
fn empty_header() -> libc::msghdr {
    // SAFETY: it is made of integers and pointers alone, for which zero is a value.
    unsafe { std::mem::zeroed() }
}

#[expect(unsafe_code, reason = "an empty sockaddr_storage")]
fn zeroed_name() -> libc::sockaddr_storage {
    // SAFETY: it is made of integers alone, for which zero is a value.
    unsafe { std::mem::zeroed() }
}

/// The sender's address; `None` for a family that the socket cannot have.
#[expect(unsafe_code, reason = "reading a sockaddr_storage as what its family says")]
fn peer(name: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match c_int::from(name.ss_family) {
        libc::AF_INET6 => {
            // SAFETY: a sockaddr_storage is as large as any sockaddr and aligned for it; the family says which it is.
            let name = unsafe { &*(&raw const *name).cast::<libc::sockaddr_in6>() };
            let address = Ipv6Addr::from(name.sin6_addr.s6_addr);
            Some(SocketAddrV6::new(address, u16::from_be(name.sin6_port), 0, name.sin6_scope_id).into())
        }
        libc::AF_INET => {
            // SAFETY: as above.
            let name = unsafe { &*(&raw const *name).cast::<libc::sockaddr_in>() };
            let address = Ipv4Addr::from(u32::from_be(name.sin_addr.s_addr));
            Some(SocketAddrV4::new(address, u16::from_be(name.sin_port)).into())
        }
        _ => None,
    }
}

/// Writes an address and returns its length.
#[expect(unsafe_code, reason = "writing a sockaddr_storage as what its family says")]
fn write_name(name: &mut libc::sockaddr_storage, peer: SocketAddr) -> usize {
    match peer {
        SocketAddr::V4(peer) => {
            // SAFETY: a sockaddr_storage is as large as any sockaddr and aligned for it.
            let name = unsafe { &mut *(&raw mut *name).cast::<libc::sockaddr_in>() };
            name.sin_family = libc::AF_INET as libc::sa_family_t;
            name.sin_port = peer.port().to_be();
            name.sin_addr.s_addr = u32::from(*peer.ip()).to_be();
            size_of::<libc::sockaddr_in>()
        }
        SocketAddr::V6(peer) => {
            // SAFETY: as above.
            let name = unsafe { &mut *(&raw mut *name).cast::<libc::sockaddr_in6>() };
            name.sin6_family = libc::AF_INET6 as libc::sa_family_t;
            name.sin6_port = peer.port().to_be();
            name.sin6_flowinfo = 0;
            name.sin6_addr.s6_addr = peer.ip().octets();
            name.sin6_scope_id = peer.scope_id();
            size_of::<libc::sockaddr_in6>()
        }
    }
}
