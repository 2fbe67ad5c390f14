//! Errors that a socket keeps: what ICMP said of a packet, and by whom.
//!
//! Source: ip(7) and ipv6(7), `IP_RECVERR`; recvmsg(2), `MSG_ERRQUEUE`; include/uapi/linux/errqueue.h.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Errno;

use super::set;
use crate::datagram::last_errno;

/// An error about a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trouble {
    /// What it means to a program.
    pub errno: Errno,
    /// Who says so; `None` where it is the kernel's own.
    pub from: Option<IpAddr>,
    /// ICMP's type and code, where it is a message of ICMP.
    pub icmp: Option<(u8, u8)>,
}

/// Has a socket keep errors.
pub(super) fn keep(fd: BorrowedFd<'_>, v4: bool) -> Result<(), Errno> {
    match v4 {
        true => set(fd, libc::IPPROTO_IP, libc::IP_RECVERR, 1),
        false => set(fd, libc::IPPROTO_IPV6, libc::IPV6_RECVERR, 1),
    }
}

/// Room for control messages: `struct sock_extended_err` and an address, with a header.
const CONTROL: usize = 64;

/// The next error about a packet that `is_ours` by its beginning after the IP header.
pub(super) fn next(fd: BorrowedFd<'_>, is_ours: impl Fn(&[u8]) -> bool) -> Result<Option<Trouble>, Errno> {
    loop {
        let mut quoted = [0_u8; 64];
        let mut control = [0_u64; CONTROL];
        let mut vector = libc::iovec { iov_base: quoted.as_mut_ptr().cast(), iov_len: quoted.len() };
        // SAFETY: all zeroes are a valid header, without name, data or control messages.
        let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
        header.msg_iov = &raw mut vector;
        header.msg_iovlen = 1;
        header.msg_control = control.as_mut_ptr().cast();
        header.msg_controllen = size_of_val(&control) as _;
        // SAFETY: the descriptor is open while it is borrowed; the header points to a vector and a buffer on this stack, with
        // their lengths, which stay for the call.
        let len = unsafe {
            libc::recvmsg(fd.as_raw_fd(), &raw mut header, libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT)
        };
        if len < 0 {
            match last_errno() {
                Errno::AGAIN => return Ok(None),
                Errno::INTR => continue,
                errno => return Err(errno),
            }
        }
        // SAFETY: the kernel has filled in the header, and what it points to is where it was.
        let trouble = unsafe { read(&header) };
        let quoted = &quoted[..(len as usize).min(quoted.len())];
        if let Some(trouble) = trouble.filter(|trouble| trouble.icmp.is_none() || is_ours(quoted)) {
            return Ok(Some(trouble));
        }
    }
}

/// Reads the control messages of an error.
///
/// # Safety
///
/// `header` is one that recvmsg(2) has filled in, with its buffer for control messages where it was.
unsafe fn read(header: &libc::msghdr) -> Option<Trouble> {
    // SAFETY: the caller's.
    let mut message = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !message.is_null() {
        // SAFETY: a control message that the kernel wrote, in a buffer that is aligned for it.
        let (level, kind, data) =
            unsafe { ((*message).cmsg_level, (*message).cmsg_type, libc::CMSG_DATA(message)) };
        if matches!(
            (level, kind),
            (libc::IPPROTO_IP, libc::IP_RECVERR) | (libc::IPPROTO_IPV6, libc::IPV6_RECVERR)
        ) {
            // SAFETY: such a message has a `sock_extended_err`, and the offender's address after it, which the buffer has
            // room for; any bytes are valid for it.
            let (error, offender) = unsafe {
                let error = data.cast::<libc::sock_extended_err>();
                (error.read_unaligned(), error.add(1).cast::<u8>())
            };
            let icmp = matches!(error.ee_origin, libc::SO_EE_ORIGIN_ICMP | libc::SO_EE_ORIGIN_ICMP6);
            return Some(Trouble {
                errno: Errno::from_raw_os_error(error.ee_errno.cast_signed()),
                // SAFETY: as above: the address is there where the error is ICMP's.
                from: if icmp { unsafe { address(offender) } } else { None },
                icmp: icmp.then_some((error.ee_type, error.ee_code)),
            });
        }
        // SAFETY: the caller's.
        message = unsafe { libc::CMSG_NXTHDR(header, message) };
    }
    None
}

/// # Safety
///
/// `at` points to an address of a socket.
unsafe fn address(at: *const u8) -> Option<IpAddr> {
    // SAFETY: every address begins with its family.
    match i32::from(unsafe { at.cast::<libc::sa_family_t>().read_unaligned() }) {
        libc::AF_INET => {
            // SAFETY: it is one of IPv4.
            let found = unsafe { at.cast::<libc::sockaddr_in>().read_unaligned() };
            Some(Ipv4Addr::from(found.sin_addr.s_addr.to_ne_bytes()).into())
        }
        libc::AF_INET6 => {
            // SAFETY: it is one of IPv6.
            let found = unsafe { at.cast::<libc::sockaddr_in6>().read_unaligned() };
            Some(Ipv6Addr::from(found.sin6_addr.s6_addr).into())
        }
        _ => None,
    }
}
