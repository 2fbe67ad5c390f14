//! Options of a netlink socket.

use std::ffi::{c_int, c_void};
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Errno;
use rustix::net::sockopt;

/// Enough for the answers to a chunk of requests, or for a long dump's two pieces, with the kernel's overhead.
const RECEIVE_BUFFER: usize = 1 << 20;

/// Asks for the kernel's own words in answers, for answers without a copy of the request, and for dumps that filter.
pub(super) fn set(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    enable(fd, libc::NETLINK_EXT_ACK)?;
    enable(fd, libc::NETLINK_CAP_ACK)?;
    enable(fd, libc::NETLINK_GET_STRICT_CHK)?;
    // Beyond `net.core.rmem_max` only with CAP_NET_ADMIN in the initial user namespace.
    hold(fd, RECEIVE_BUFFER)
}

/// Lets the socket send a message of `len` bytes: the kernel refuses with `EMSGSIZE` what is longer than the buffer.
///
/// Where the buffer cannot be raised as far, what is there must do; the send then says what is wrong.
pub(super) fn make_room(fd: BorrowedFd<'_>, len: usize) -> Result<(), Errno> {
    /// What the kernel keeps for itself (`netlink_sendmsg()` takes 32 bytes).
    const MARGIN: usize = 4096;
    let len = len + MARGIN;
    if sockopt::socket_send_buffer_size(fd)? >= len {
        return Ok(());
    }
    sockopt::set_socket_send_buffer_size_force(fd, len)
        .or_else(|_| sockopt::set_socket_send_buffer_size(fd, len))
}

/// Has a socket hear what is told to a group.
pub(crate) fn join(fd: BorrowedFd<'_>, group: u32) -> Result<(), Errno> {
    assign(fd, libc::NETLINK_ADD_MEMBERSHIP, group.cast_signed())
}

/// Has a socket hold up to `len` bytes, or as many as it may, before something is lost.
pub(crate) fn hold(fd: BorrowedFd<'_>, len: usize) -> Result<(), Errno> {
    sockopt::set_socket_recv_buffer_size_force(fd, len)
        .or_else(|_| sockopt::set_socket_recv_buffer_size(fd, len))
}

/// Switches on a `NETLINK_…` option.
fn enable(fd: BorrowedFd<'_>, option: c_int) -> Result<(), Errno> {
    assign(fd, option, 1)
}

/// Sets a `NETLINK_…` option, for which rustix has no call.
#[expect(unsafe_code, reason = "setsockopt of SOL_NETLINK")]
fn assign(fd: BorrowedFd<'_>, option: c_int, value: c_int) -> Result<(), Errno> {
    // SAFETY: the descriptor is open while it is borrowed, and the pointer and length are those of `value`, which the
    // kernel only reads during the call.
    let result = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_NETLINK,
            option,
            (&raw const value).cast::<c_void>(),
            size_of::<c_int>() as libc::socklen_t,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO))
    }
}
