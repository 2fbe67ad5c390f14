//! Ports of the host: whether one is free, and who has it.
//!
//! Everything here is about the network namespace that the calling thread is in.
//!
//! Source: ip(7), tcp(7), udp(7), ipv6(7), bind(2).

mod holder;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::os::fd::OwnedFd;

use pontoon_model::Diagnose;
use pontoon_model::publish::Protocol;
use rustix::io::Errno;
use rustix::net::sockopt::{set_ipv6_v6only, set_socket_reuseaddr};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, ipproto, socket_with};

use crate::sysctl::{Sysctl, SysctlError};

pub use holder::{Holder, holders, listeners};

/// Why a port cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    /// Somebody has it: [`holders`] says who.
    #[error("{protocol} port {port} is in use{at}", at = at(*.address))]
    Taken {
        /// The address; every one if there is none.
        address: Option<IpAddr>,
        /// The protocol.
        protocol: Protocol,
        /// The port.
        port: u16,
    },
    /// The address is not one of this host's.
    #[error("{address} is not an address of this host")]
    NotOurs {
        /// The address.
        address: IpAddr,
    },
    /// The port is for privileged processes.
    #[error("no permission to take {protocol} port {port}")]
    Denied {
        /// The protocol.
        protocol: Protocol,
        /// The port.
        port: u16,
    },
    /// It could not be tried.
    #[error("could not {operation} to try {protocol} port {port}")]
    Call {
        /// What failed, in the imperative.
        operation: &'static str,
        /// The protocol.
        protocol: Protocol,
        /// The port.
        port: u16,
        /// What the kernel said.
        #[source]
        errno: Errno,
    },
}

fn at(address: Option<IpAddr>) -> String {
    address
        .filter(|address| !address.is_unspecified())
        .map_or(String::new(), |address| format!(" at {address}"))
}

impl Diagnose for PortError {
    fn code(&self) -> &'static str {
        match self {
            PortError::Taken { .. } => "port-taken",
            PortError::NotOurs { .. } => "port-address-not-ours",
            PortError::Denied { .. } => "port-denied",
            PortError::Call { .. } => "port-call",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            PortError::Taken { protocol, port, .. } => {
                let option = match protocol {
                    Protocol::Tcp => "-tap",
                    Protocol::Udp => "-uap",
                    Protocol::Sctp => "-Sap",
                };
                Some(format!("`ss {option}n sport = :{port}` shows who has it"))
            }
            PortError::NotOurs { .. } => Some("`ip address` shows those that it has".into()),
            PortError::Denied { .. } => Some(
                "ports below net.ipv4.ip_unprivileged_port_start take CAP_NET_BIND_SERVICE: be root, or use a higher port"
                    .into(),
            ),
            PortError::Call { .. } => None,
        }
    }
}

/// Whether a port is free: [`Prober`] for one.
///
/// # Errors
///
/// As [`Prober::probe`].
pub fn probe(address: IpAddr, protocol: Protocol, port: u16) -> Result<(), PortError> {
    Prober::new(Some(address), protocol).probe(port)
}

/// Tries ports by taking them and giving them back at once: what bind(2) says is what a service would be told.
///
/// A port of TCP or SCTP is taken if a socket listens on it, or just has it, with an address in common; connections that
/// ended (`TIME_WAIT`) do not count where their service had `SO_REUSEADDR`, as services have. A port of UDP is taken if
/// any socket has it, also for a conversation of its own with somebody.
///
/// A protocol that the kernel does not have leaves all its ports free: nobody can have one. (SCTP's module is loaded by
/// the kernel when it is first asked for.) So does a kernel without IPv6 for `::`.
#[derive(Debug)]
pub struct Prober {
    address: Option<IpAddr>,
    protocol: Protocol,
    /// A socket that got no port, for the next.
    spare: Option<OwnedFd>,
    /// The address that is given to bind(2).
    bound: IpAddr,
    /// The kernel has no such sockets. It looks for a module each time that it is asked for one.
    absent: bool,
}

impl Prober {
    /// Tries ports at `address`; at every one of both families if there is none, which takes no longer.
    pub fn new(address: Option<IpAddr>, protocol: Protocol) -> Self {
        let bound = address.unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
        Self { address, protocol, spare: None, bound, absent: false }
    }

    /// Whether `port` is free.
    ///
    /// # Errors
    ///
    /// [`PortError::Taken`] for `EADDRINUSE`; [`PortError::NotOurs`] for `EADDRNOTAVAIL`, also while an IPv6 address is
    /// still being looked for on the link; [`PortError::Denied`] for `EACCES`; `EMFILE` and the like.
    pub fn probe(&mut self, port: u16) -> Result<(), PortError> {
        let Some(socket) = self.socket(port)? else { return Ok(()) };
        match bind(&socket, &SocketAddr::new(self.bound, port)) {
            Ok(()) => Ok(()),
            Err(errno) => {
                self.spare = Some(socket);
                Err(self.refused(port, errno))
            }
        }
    }

    /// The ports of `ports` that are not free.
    ///
    /// Of many ports, only those are tried that a socket waits on, as the kernel tells in one answer: three system calls
    /// for each take longer. One of TCP that is merely used by a connection, or by a socket that does not listen yet, is
    /// free then.
    ///
    /// # Errors
    ///
    /// Those of [`Prober::probe`] but `Taken`, which is the answer.
    pub fn taken(&mut self, ports: impl IntoIterator<Item = u16>) -> Result<Vec<u16>, PortError> {
        const MANY: usize = 8;
        let mut ports: Vec<u16> = ports.into_iter().collect();
        if let (MANY.., Some(first), Some(last)) = (ports.len(), ports.iter().min(), ports.iter().max())
            && let Some(suspects) = holder::suspects(self.protocol, *first..=*last)
        {
            // The first tells whether the address is one that can be had.
            let first = ports[0];
            ports.retain(|port| *port == first || suspects.contains(port));
        }
        let mut taken = Vec::new();
        for port in ports {
            match self.probe(port) {
                Ok(()) => {}
                Err(PortError::Taken { port, .. }) => taken.push(port),
                Err(error) => return Err(error),
            }
        }
        Ok(taken)
    }

    /// A socket without a port; `None` where nobody can have one.
    fn socket(&mut self, port: u16) -> Result<Option<OwnedFd>, PortError> {
        if let Some(spare) = self.spare.take() {
            return Ok(Some(spare));
        }
        if self.absent {
            return Ok(None);
        }
        match self.open() {
            Ok(socket) => Ok(Some(socket)),
            Err(Errno::PROTONOSUPPORT) => self.none(),
            Err(Errno::AFNOSUPPORT) => match self.address {
                // Without IPv6, every address is every one of IPv4.
                None if self.bound.is_ipv6() => {
                    self.bound = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
                    self.socket(port)
                }
                Some(address) if !address.is_unspecified() => Err(PortError::NotOurs { address }),
                _ => self.none(),
            },
            Err(errno) => {
                Err(PortError::Call { operation: "open a socket", protocol: self.protocol, port, errno })
            }
        }
    }

    fn none(&mut self) -> Result<Option<OwnedFd>, PortError> {
        self.absent = true;
        Ok(None)
    }

    fn open(&self) -> Result<OwnedFd, Errno> {
        let family = if self.bound.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let (kind, protocol) = match self.protocol {
            Protocol::Tcp => (SocketType::STREAM, ipproto::TCP),
            Protocol::Udp => (SocketType::DGRAM, ipproto::UDP),
            Protocol::Sctp => (SocketType::STREAM, ipproto::SCTP),
        };
        let socket = socket_with(family, kind, SocketFlags::CLOEXEC, Some(protocol))?;
        if self.protocol != Protocol::Udp {
            set_socket_reuseaddr(&socket, true)?;
        }
        if self.bound.is_ipv6() {
            // The default is net.ipv6.bindv6only.
            set_ipv6_v6only(&socket, self.address.is_some())?;
        }
        Ok(socket)
    }

    fn refused(&self, port: u16, errno: Errno) -> PortError {
        let Self { address, protocol, .. } = *self;
        match (errno, address) {
            (Errno::ADDRINUSE, _) => PortError::Taken { address, protocol, port },
            (Errno::ADDRNOTAVAIL, Some(address)) => PortError::NotOurs { address },
            (Errno::ACCESS, _) => PortError::Denied { protocol, port },
            _ => PortError::Call { operation: "bind a socket", protocol, port, errno },
        }
    }
}

/// The ports that the kernel gives to outgoing connections: `net.ipv4.ip_local_port_range`, which is IPv6's too.
///
/// # Errors
///
/// Those of [`Sysctl::read`].
pub fn local_port_range() -> Result<RangeInclusive<u16>, SysctlError> {
    let key: Sysctl = "net.ipv4.ip_local_port_range".parse()?;
    let text = key.read()?;
    let mut ports = text.split_whitespace().map_while(|word| word.parse().ok());
    match (ports.next(), ports.next()) {
        (Some(first), Some(last)) => Ok(first..=last),
        _ => Err(SysctlError::Read { key, errno: Errno::BADMSG }),
    }
}
