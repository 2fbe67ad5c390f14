//! What nftables tells of the packets that a rule has it trace (`meta nftrace set 1`).
//!
//! A message is sent for each rule that such a packet meets, to whoever listens in the packet's network namespace. What a
//! socket cannot hold is lost, and [`TraceSocket::read`] says so.
//!
//! Source: netlink(7), `enum nfnetlink_groups` in include/uapi/linux/netfilter/nfnetlink.h,
//! net/netfilter/nf_tables_trace.c.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use pontoon_netlink::wire::Messages;
use pontoon_nft::wire::Trace;
use rustix::io::{Errno, retry_on_intr};
use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};

use crate::error::{KernelError, Operation, Verb};
use crate::socket::options;

/// `NFNLGRP_NFTRACE`
const TRACES: u32 = 9;

/// What a socket holds before something is lost, with the kernel's overhead: some thousand messages.
const HELD: usize = 4 << 20;

/// A message is of some hundred bytes.
const BUFFER_LEN: usize = 16 * 1024;

/// Hears of traced packets in the namespace that it was opened in.
#[derive(Debug)]
pub struct TraceSocket {
    fd: OwnedFd,
    buffer: Vec<u8>,
}

impl TraceSocket {
    /// Begins to listen, in the network namespace that the calling thread is in now.
    ///
    /// # Errors
    ///
    /// `EPERM` without `CAP_NET_ADMIN` in the namespace.
    pub fn open() -> Result<Self, KernelError> {
        let open = || {
            let flags = SocketFlags::CLOEXEC;
            let fd = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, Some(netlink::NETFILTER))?;
            options::hold(fd.as_fd(), HELD)?;
            bind(&fd, &SocketAddrNetlink::new(0, 0))?;
            options::join(fd.as_fd(), TRACES)?;
            Ok(fd)
        };
        let failed = |errno: Errno| {
            KernelError::new(Operation::new(Verb::Open, "netlink socket"), "to hear of traced packets", errno)
        };
        Ok(Self { fd: open().map_err(failed)?, buffer: vec![0; BUFFER_LEN] })
    }

    /// What was told since the last time, in order, and whether something was lost. Does not wait.
    ///
    /// # Errors
    ///
    /// What `recv` fails with.
    pub fn read(&mut self) -> Result<(Vec<Trace>, bool), KernelError> {
        let (mut traces, mut lost) = (Vec::new(), false);
        loop {
            match retry_on_intr(|| recv(&self.fd, self.buffer.as_mut_slice(), RecvFlags::DONTWAIT)) {
                Ok((_, len)) => {
                    traces.extend(
                        Messages::new(&self.buffer[..len]).filter_map(|message| Trace::read(&message)),
                    );
                }
                Err(Errno::AGAIN) => return Ok((traces, lost)),
                Err(Errno::NOBUFS) => lost = true,
                Err(errno) => {
                    let operation = Operation::new(Verb::Read, "netlink socket");
                    return Err(KernelError::new(operation, "of traced packets", errno));
                }
            }
        }
    }
}

impl AsFd for TraceSocket {
    /// Can be read from when something was told.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
