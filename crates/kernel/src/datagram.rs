//! Sockets for questions and answers: datagram sockets and listeners for one address on one device, and sockets for
//! asking somebody else.
//!
//! A socket for every address of a device would do with one instead of several. But a port that is taken on every
//! address, if only by one device, is taken for whoever wants it on an address of its own and all devices, and the other
//! way round (`inet_csk_bind_conflict()`, `udp_lib_lport_inuse()`): a name server of the host's on 127.0.0.1 could not be
//! started any more. For the same reason the address is the device's, or loopback's, and both are said.
//!
//! Everything here is about the network namespace that the calling thread is in. No call waits.
//!
//! Source: ip(7), ipv6(7), udp(7), socket(7), recvmmsg(2), sendmmsg(2).

mod batch;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use pontoon_model::publish::Protocol;
use pontoon_model::{Diagnose, IfName};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, sockopt};

use crate::port;

pub use batch::{Batch, Received};

/// Enough for a burst of some hundred questions while the server does something else.
const RECEIVE_BUFFER: usize = 512 * 1024;

/// Why a socket cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DatagramError {
    /// Somebody has the port at this address, or at every one.
    #[error("{protocol} port {port} at {address} on {device} is in use{}", by(.holders))]
    Taken {
        /// The address.
        address: IpAddr,
        /// The device.
        device: IfName,
        /// The protocol.
        protocol: Protocol,
        /// The port.
        port: u16,
        /// Who has it, as far as can be seen.
        holders: Vec<String>,
    },
    /// There is no such device.
    #[error("there is no device {device}")]
    NoDevice {
        /// The device.
        device: IfName,
    },
    /// The kernel refused.
    #[error("could not {operation} for {protocol} port {port} at {address} on {device}")]
    Call {
        /// The address.
        address: IpAddr,
        /// What failed, in the imperative.
        operation: &'static str,
        /// The device.
        device: IfName,
        /// The protocol.
        protocol: Protocol,
        /// The port.
        port: u16,
        /// What the kernel said.
        #[source]
        errno: Errno,
    },
}

fn by(holders: &[String]) -> String {
    if holders.is_empty() { String::new() } else { format!(" by {}", holders.join(", ")) }
}

impl Diagnose for DatagramError {
    fn code(&self) -> &'static str {
        match self {
            DatagramError::Taken { .. } => "port-taken",
            DatagramError::NoDevice { .. } => "no-device",
            DatagramError::Call { .. } => "datagram-call",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            DatagramError::Taken { port, protocol, .. } => Some(format!(
                "let it listen on addresses of its own and not on every one (dnsmasq: `bind-dynamic`, bind: `listen-on`); `ss -{}anp sport = :{port}` shows who has it",
                if *protocol == Protocol::Tcp { 't' } else { 'u' },
            )),
            DatagramError::NoDevice { .. } => Some("`ip link` shows those that there are".into()),
            DatagramError::Call { errno: Errno::PERM | Errno::ACCESS, .. } => {
                Some("this takes CAP_NET_BIND_SERVICE and CAP_NET_RAW: be root".into())
            }
            DatagramError::Call { .. } => None,
        }
    }
}

/// A datagram socket for one address on one device. Answers come from the address that was asked, which is its only one.
#[derive(Debug)]
pub struct DeviceSocket {
    fd: OwnedFd,
}

/// The number of a device: one that is made anew has another.
///
/// # Errors
///
/// [`DatagramError::NoDevice`]; `EMFILE`.
pub fn index_of(device: &IfName) -> Result<u32, DatagramError> {
    let address = Ipv4Addr::UNSPECIFIED.into();
    let place = Place { device, address, port: 0, protocol: Protocol::Udp };
    let flags = SocketFlags::CLOEXEC;
    let fd = rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)
        .map_err(place.failed("open a socket"))?;
    rustix::net::netdevice::name_to_index(&fd, device.as_str())
        .map_err(|errno| place.refused("find the device", errno))
}

impl DeviceSocket {
    /// Takes `port` at `address` on `device`: what comes by another device is not for this socket (`SO_BINDTODEVICE`).
    /// The address need not be there yet (`IP_FREEBIND`).
    ///
    /// The port is shared with sockets that are willing to (`SO_REUSEADDR`), such as dnsmasq's on every address; what
    /// comes by the device is for the socket that is bound to it (`compute_score()` in the kernel's net/ipv4/udp.c).
    ///
    /// # Errors
    ///
    /// [`DatagramError::Taken`] for `EADDRINUSE`; [`DatagramError::NoDevice`]; `EACCES` and `EPERM` without
    /// `CAP_NET_BIND_SERVICE`; `EAFNOSUPPORT` for IPv6 where there is none.
    pub fn open(device: &IfName, address: IpAddr, port: u16) -> Result<Self, DatagramError> {
        let place = Place { device, address, port, protocol: Protocol::Udp };
        let fd = place.bind(SocketType::DGRAM)?;
        // Beyond `net.core.rmem_max` only with CAP_NET_ADMIN in the initial user namespace.
        sockopt::set_socket_recv_buffer_size_force(&fd, RECEIVE_BUFFER)
            .or_else(|_| sockopt::set_socket_recv_buffer_size(&fd, RECEIVE_BUFFER))
            .map_err(place.failed("make room"))?;
        Ok(Self { fd })
    }

    /// Sends one answer.
    ///
    /// # Errors
    ///
    /// Those of sendto(2): `EAGAIN` when the socket's buffer is full.
    pub fn send(&self, peer: SocketAddr, answer: &[u8]) -> Result<(), Errno> {
        rustix::net::sendto(&self.fd, answer, SendFlags::DONTWAIT, &peer).map(drop)
    }
}

impl AsFd for DeviceSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Listens by TCP at one address on one device, as [`DeviceSocket::open`] does for datagrams. A listener shares its port
/// with nobody.
///
/// # Errors
///
/// As [`DeviceSocket::open`].
pub fn listen(device: &IfName, address: IpAddr, port: u16) -> Result<OwnedFd, DatagramError> {
    const BACKLOG: i32 = 128;
    let place = Place { device, address, port, protocol: Protocol::Tcp };
    let fd = place.bind(SocketType::STREAM)?;
    rustix::net::listen(&fd, BACKLOG).map_err(|errno| place.refused("listen", errno))?;
    Ok(fd)
}

/// Takes the next connection of a listener, with who made it; nothing if there is none.
///
/// # Errors
///
/// `EMFILE`, and what became of a connection that was given up before it was taken (accept(2)).
pub fn accept(listener: BorrowedFd<'_>) -> Result<Option<(OwnedFd, SocketAddr)>, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    match rustix::net::acceptfrom_with(listener, flags) {
        Ok((fd, peer)) => {
            let peer = peer.and_then(|peer| SocketAddr::try_from(peer).ok());
            let peer = peer.ok_or(Errno::AFNOSUPPORT)?;
            // Without it an answer may wait for the acknowledgement of the one before.
            let _ = sockopt::set_tcp_nodelay(&fd, true);
            Ok(Some((fd, peer)))
        }
        Err(Errno::AGAIN) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// A datagram socket with a port of the kernel's choice that talks with `server` alone: what anybody else sends does not
/// get in, and an ICMP error is told (udp(7)).
///
/// # Errors
///
/// `ENETUNREACH` and the like when there is no way there; `EMFILE`; `EAFNOSUPPORT` without IPv6.
pub fn connect_datagram(server: SocketAddr) -> Result<OwnedFd, Errno> {
    let fd = open(server, SocketType::DGRAM)?;
    rustix::net::connect(&fd, &server)?;
    Ok(fd)
}

/// A connection to `server` that is being made: it can be written to when it is there, or has failed.
///
/// # Errors
///
/// As [`connect_datagram`].
pub fn connect_stream(server: SocketAddr) -> Result<OwnedFd, Errno> {
    let fd = open(server, SocketType::STREAM)?;
    match rustix::net::connect(&fd, &server) {
        Ok(()) | Err(Errno::INPROGRESS) => {}
        Err(errno) => return Err(errno),
    }
    Ok(fd)
}

fn open(server: SocketAddr, kind: SocketType) -> Result<OwnedFd, Errno> {
    let family = if server.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    rustix::net::socket_with(family, kind, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)
}

/// Where a socket is to be.
#[derive(Clone, Copy)]
struct Place<'a> {
    device: &'a IfName,
    address: IpAddr,
    port: u16,
    protocol: Protocol,
}

impl Place<'_> {
    fn bind(self, kind: SocketType) -> Result<OwnedFd, DatagramError> {
        let fd = open(SocketAddr::new(self.address, 0), kind).map_err(self.failed("open a socket"))?;
        sockopt::set_socket_reuseaddr(&fd, true).map_err(self.failed("share the port"))?;
        let free = if self.address.is_ipv4() { sockopt::set_ip_freebind } else { sockopt::set_ipv6_freebind };
        free(&fd, true).map_err(self.failed("take an address that is not there"))?;
        bind_to_device(fd.as_fd(), self.device).map_err(self.failed("bind to the device"))?;
        rustix::net::bind(&fd, &SocketAddr::new(self.address, self.port)).map_err(self.failed("bind"))?;
        Ok(fd)
    }

    fn failed(self, operation: &'static str) -> impl Fn(Errno) -> DatagramError {
        move |errno| self.refused(operation, errno)
    }

    fn refused(self, operation: &'static str, errno: Errno) -> DatagramError {
        let Self { device, address, port, protocol } = self;
        let device = device.clone();
        match errno {
            Errno::ADDRINUSE => {
                let holders = port::holders(Some(address), protocol, port).unwrap_or_default();
                let mut holders: Vec<String> = holders.iter().map(ToString::to_string).collect();
                holders.dedup();
                DatagramError::Taken { address, device, protocol, port, holders }
            }
            Errno::NODEV => DatagramError::NoDevice { device },
            errno => DatagramError::Call { operation, address, device, protocol, port, errno },
        }
    }
}

/// `SO_BINDTODEVICE`, for which rustix has no call: socket(7).
#[expect(unsafe_code, reason = "setsockopt of SO_BINDTODEVICE")]
fn bind_to_device(fd: BorrowedFd<'_>, device: &IfName) -> Result<(), Errno> {
    let name = device.as_str().as_bytes();
    // SAFETY: the descriptor is open while it is borrowed, and the pointer and length are those of `name`, which the
    // kernel only reads during the call.
    let result = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_BINDTODEVICE,
            name.as_ptr().cast(),
            name.len() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(last_errno()) }
}

pub(crate) fn last_errno() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}
