//! Echo requests: what ping(8) sends.
//!
//! Source: RFC 792, "Echo or Echo Reply Message"; RFC 4443, section 4; raw(7), icmp(7).

use std::mem::MaybeUninit;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, ipproto};

/// The type of a request and that of its answer. Source: RFC 792; RFC 4443, section 4.
pub(crate) const V4: (u8, u8) = (8, 0);
pub(crate) const V6: (u8, u8) = (128, 129);

/// Sends an echo request from the calling thread's namespace, and says whether the answer came within `timeout`.
///
/// # Errors
///
/// `EPERM` without `CAP_NET_RAW`; `ENETUNREACH` or `EHOSTUNREACH` when there is no way.
pub fn echo(address: IpAddr, timeout: Duration) -> Result<bool, Errno> {
    let (family, protocol, (ask, answer)) = match address {
        IpAddr::V4(_) => (AddressFamily::INET, ipproto::ICMP, V4),
        IpAddr::V6(_) => (AddressFamily::INET6, ipproto::ICMPV6, V6),
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::RAW, flags, Some(protocol))?;
    let mark = crate::random::bytes::<8>().map_err(|_| Errno::IO)?;
    let [a, b, c, d, ..] = mark;
    let message = message(ask, address.is_ipv4(), [a, b, c, d], mark);
    rustix::net::sendto(&socket, &message, SendFlags::empty(), &SocketAddr::new(address, 0))?;
    hear(&socket, address, answer, mark, timeout)
}

/// Type, code, checksum, identifier and number, and a mark that tells this one from others.
pub(crate) fn message(kind: u8, v4: bool, number: [u8; 4], mark: [u8; 8]) -> Vec<u8> {
    let mut message = vec![kind, 0, 0, 0];
    message.extend_from_slice(&number);
    message.extend_from_slice(&mark);
    if v4 {
        // For IPv6 the kernel does it: ipv6(7).
        let sum = checksum(&message);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
    }
    message
}

/// Source: RFC 1071.
pub(crate) fn checksum(message: &[u8]) -> u16 {
    let sum: u32 =
        message.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0))).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !u16::try_from((folded & 0xffff) + (folded >> 16)).unwrap_or(0)
}

fn hear(socket: &OwnedFd, from: IpAddr, kind: u8, mark: [u8; 8], timeout: Duration) -> Result<bool, Errno> {
    let end = Instant::now() + timeout;
    let mut buffer = [MaybeUninit::<u8>::uninit(); 1500];
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let left = Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() };
        let ready = rustix::io::retry_on_intr(|| {
            rustix::event::poll(&mut [PollFd::new(socket, PollFlags::IN)], Some(&left))
        })?;
        if ready == 0 {
            return Ok(false);
        }
        match rustix::net::recvfrom(socket, &mut buffer, RecvFlags::empty()) {
            Ok(((heard, _), _, sender)) => {
                let sender = sender.and_then(|sender| SocketAddr::try_from(sender).ok());
                if sender.is_some_and(|sender| sender.ip() == from)
                    && is_answer(heard, from.is_ipv4(), kind, mark)
                {
                    return Ok(true);
                }
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

fn is_answer(heard: &[u8], v4: bool, kind: u8, mark: [u8; 8]) -> bool {
    // The IPv4 header comes along; its length is in its first byte, in words.
    let header = if v4 { heard.first().map_or(0, |first| usize::from(first & 15) * 4) } else { 0 };
    let message = heard.get(header..).unwrap_or_default();
    message.first() == Some(&kind) && message.get(8..16) == Some(&mark[..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(kind: u8, v4: bool, mark: [u8; 8]) -> Vec<u8> {
        message(kind, v4, [1, 2, 3, 4], mark)
    }

    #[test]
    fn the_checksum_of_a_whole_message_is_zero() {
        let message = request(8, true, [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(checksum(&message), 0);
        assert_eq!(message.len(), 16);
    }

    #[test]
    fn answers_are_told_from_others() {
        let mark = [1, 2, 3, 4, 5, 6, 7, 8];
        let mut answer = request(0, true, mark);
        assert!(is_answer(&[&[0x45; 20][..], &answer].concat(), true, 0, mark));
        assert!(is_answer(&request(129, false, mark), false, 129, mark));
        assert!(!is_answer(&request(128, false, mark), false, 129, mark));
        answer[12] = 0;
        assert!(!is_answer(&[&[0x45; 20][..], &answer].concat(), true, 0, mark));
        assert!(!is_answer(&[0x4f], true, 0, mark));
    }
}
