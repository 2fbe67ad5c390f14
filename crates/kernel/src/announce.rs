//! Tells the neighbours of a link that an address is here now.
//!
//! An address that moves to another container keeps working only when its neighbours forget the old link
//! layer address. For a new link and IPv4 there is nothing to do: with `arp_notify` set, the kernel sends a
//! gratuitous ARP when the link comes up (`inetdev_send_gratuitous_arp()` in net/ipv4/devinet.c). For an address
//! that a link gets later it does not, but whoever hears an ARP request learns from it who sent it (`arp_process()`
//! in net/ipv4/arp.c): so one is provoked here. For IPv6 the kernel only announces with `ndisc_notify`, so an
//! advertisement is sent here.
//!
//! Neither goes through a packet socket: closing an `AF_PACKET` socket waits for an RCU grace period, about 20 ms.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV6, UdpSocket};

use pontoon_model::Diagnose;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, ipproto};

use crate::netns::{Netns, NetnsError};

/// All nodes on the link: RFC 4291, 2.7.1.
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// An announcement could not be sent.
#[derive(Debug, thiserror::Error)]
pub enum AnnounceError {
    /// The namespace could not be entered.
    #[error(transparent)]
    Netns(#[from] NetnsError),
    /// The socket did not take it.
    #[error("could not announce {address} on link {index}")]
    Send {
        /// The address to announce.
        address: Ipv6Addr,
        /// The link's index in its namespace.
        index: u32,
        /// What the kernel said: `EADDRNOTAVAIL` while the address is missing or tentative.
        #[source]
        errno: Errno,
    },
}

impl Diagnose for AnnounceError {
    fn code(&self) -> &'static str {
        match self {
            AnnounceError::Netns(error) => error.code(),
            AnnounceError::Send { .. } => "announce-send",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            AnnounceError::Netns(error) => error.hint(),
            AnnounceError::Send { errno: Errno::ADDRNOTAVAIL, .. } => {
                Some("the address must be on the link and past duplicate address detection".into())
            }
            AnnounceError::Send { .. } => None,
        }
    }
}

/// Sends one unsolicited neighbour advertisement for `address` from link `index` inside `netns`.
///
/// Override flag set, hop limit 255, to all nodes: RFC 4861, 7.2.6.
///
/// # Errors
///
/// [`AnnounceError::Send`]: `EADDRNOTAVAIL` when the address is not usable on the link yet, `ENETDOWN` or
/// `ENETUNREACH` when the link is down, `EPERM` without `CAP_NET_RAW`.
pub fn neighbour_advertisement(
    netns: &Netns,
    index: u32,
    address: Ipv6Addr,
    mac: [u8; 6],
) -> Result<(), AnnounceError> {
    netns.enter(|| send(index, address, &advertisement(address, mac)))?.map_err(|errno| AnnounceError::Send {
        address,
        index,
        errno,
    })
}

/// Has the kernel ask, inside `netns`, everybody on the link of `from` who has `to`: by a datagram without a word to the
/// port that throws away what it gets (RFC 863). `to` must not have been spoken to before.
///
/// # Errors
///
/// What the socket said: `EADDRNOTAVAIL` when `from` is not there, `ENETUNREACH` without a route.
pub fn greet(netns: &Netns, from: Ipv4Addr, to: Ipv4Addr) -> Result<std::io::Result<()>, NetnsError> {
    const DISCARD: u16 = 9;
    netns.enter(|| UdpSocket::bind((from, 0))?.send_to(&[], (to, DISCARD)).map(drop))
}

fn send(index: u32, address: Ipv6Addr, message: &[u8]) -> rustix::io::Result<()> {
    let socket = rustix::net::socket_with(
        AddressFamily::INET6,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        Some(ipproto::ICMPV6),
    )?;
    rustix::net::sockopt::set_ipv6_multicast_hops(&socket, 255)?;
    // The scope of the destination chooses the link; the source must be an address of that link.
    rustix::net::bind(&socket, &SocketAddrV6::new(address, 0, 0, index))?;
    let to = SocketAddrV6::new(ALL_NODES, 0, 0, index);
    rustix::net::sendto(&socket, message, SendFlags::empty(), &to).map(drop)
}

/// The ICMPv6 message of RFC 4861, 4.4, with a target link-layer address option (4.6.1). The kernel fills
/// in the checksum (RFC 3542, 3.1).
fn advertisement(address: Ipv6Addr, mac: [u8; 6]) -> [u8; 32] {
    const NEIGHBOR_ADVERTISEMENT: u8 = 136;
    const OVERRIDE: u8 = 0x20;
    const TARGET_LINK_LAYER_ADDRESS: u8 = 2;
    let mut message = [0; 32];
    message[0] = NEIGHBOR_ADVERTISEMENT;
    message[4] = OVERRIDE;
    message[8..24].copy_from_slice(&address.octets());
    message[24] = TARGET_LINK_LAYER_ADDRESS;
    message[25] = 1; // in units of 8 bytes
    message[26..].copy_from_slice(&mac);
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_is_that_of_rfc_4861() {
        let message = advertisement("2001:db8::2".parse().unwrap(), [2, 0, 0, 0, 0, 9]);
        assert_eq!(message[..8], [136, 0, 0, 0, 0x20, 0, 0, 0]);
        assert_eq!(message[8..24], "2001:db8::2".parse::<Ipv6Addr>().unwrap().octets());
        assert_eq!(message[24..], [2, 1, 2, 0, 0, 0, 0, 9]);
    }
}
