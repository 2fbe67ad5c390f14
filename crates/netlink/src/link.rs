//! Interfaces: creation, change, deletion, and what the kernel says about them.
//!
//! Source: `include/uapi/linux/if_link.h`, `if_bridge.h`, `net/core/rtnetlink.c`; rtnetlink(7).

mod bridge;
mod conf;
mod create;
mod decode;
mod get;
mod notice;
mod port;
mod set;
mod stats;

use std::fmt;

use crate::ip::AF_UNSPEC;
use crate::wire::Body;

pub use bridge::BridgeOptions;
pub use conf::{AddrGenMode, Ipv4Conf, Ipv6Conf};
pub use create::{Kind, NewLink, Peer};
pub use decode::{Link, OperState};
pub use get::{DumpLinks, GetLink};
pub use notice::Notice;
pub use port::PortOptions;
pub use set::{AltName, DelLink, RenameLink, SetLink};
pub use stats::{GetStats, LinkStats};

/// `RTM_NEWLINK`: a link is created, changed, or reported.
pub const RTM_NEWLINK: u16 = 16;
/// `RTM_DELLINK`.
pub const RTM_DELLINK: u16 = 17;
/// `RTM_GETLINK`.
pub const RTM_GETLINK: u16 = 18;
/// `RTM_NEWLINKPROP`: alternative names are added.
pub const RTM_NEWLINKPROP: u16 = 108;
/// `RTM_DELLINKPROP`: alternative names are removed.
pub const RTM_DELLINKPROP: u16 = 109;

/// `IFF_UP` of netdevice(7): the administrator wants the link to work.
pub const IFF_UP: u32 = 0x1;
/// `IFF_RUNNING`: the link can carry packets.
pub const IFF_RUNNING: u32 = 0x40;
/// `IFF_LOWER_UP`: the layer below has carrier.
pub const IFF_LOWER_UP: u32 = 0x1_0000;

const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_LINK: u16 = 5;
const IFLA_MASTER: u16 = 10;
const IFLA_PROTINFO: u16 = 12;
const IFLA_TXQLEN: u16 = 13;
const IFLA_OPERSTATE: u16 = 16;
const IFLA_LINKINFO: u16 = 18;
const IFLA_IFALIAS: u16 = 20;
const IFLA_STATS64: u16 = 23;
const IFLA_AF_SPEC: u16 = 26;
const IFLA_GROUP: u16 = 27;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_EXT_MASK: u16 = 29;
const IFLA_NUM_TX_QUEUES: u16 = 31;
const IFLA_NUM_RX_QUEUES: u16 = 32;
const IFLA_CARRIER: u16 = 33;
const IFLA_LINK_NETNSID: u16 = 37;
const IFLA_PROP_LIST: u16 = 52;
const IFLA_ALT_IFNAME: u16 = 53;

const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const IFLA_INFO_SLAVE_KIND: u16 = 4;
const IFLA_INFO_SLAVE_DATA: u16 = 5;

/// The longest name that fits `IFLA_IFNAME`; a longer one can only be an alternative name. (`IFNAMSIZ` - 1.)
const NAME_MAX: usize = 15;

/// An interface index: unique in its network namespace while the interface lives, never in a plan.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkIndex(pub u32);

impl LinkIndex {
    /// `lo`, whose index is 1 in every namespace (`LOOPBACK_IFINDEX` in the kernel's `net/net_namespace.h`).
    pub const LOOPBACK: Self = Self(1);
}

impl fmt::Display for LinkIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A 48-bit hardware address as the kernel has it, whichever bits are set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HwAddr(pub [u8; 6]);

impl fmt::Display for HwAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl HwAddr {
    pub(crate) fn decode(value: &[u8]) -> Option<Self> {
        value.try_into().ok().map(Self)
    }
}

/// Which link a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target<'a> {
    /// By index.
    Index(LinkIndex),
    /// By name or alternative name: one system call less than to ask for the index first.
    Name(&'a str),
}

impl From<LinkIndex> for Target<'_> {
    fn from(index: LinkIndex) -> Self {
        Self::Index(index)
    }
}

impl<'a> From<&'a str> for Target<'a> {
    fn from(name: &'a str) -> Self {
        Self::Name(name)
    }
}

impl fmt::Display for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Index(index) => write!(f, "#{index}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

impl Target<'_> {
    /// Writes the header with this target, and its name where it is one.
    fn encode(self, body: &mut Body<'_>, flags: u32, change: u32) {
        match self {
            Self::Index(index) => header(body, index.0, flags, change),
            Self::Name(name) => {
                header(body, 0, flags, change);
                let kind = if name.len() > NAME_MAX { IFLA_ALT_IFNAME } else { IFLA_IFNAME };
                body.str(kind, name);
            }
        }
    }
}

/// Length of `struct ifinfomsg`.
const HEADER_LEN: usize = 16;

/// Writes a `struct ifinfomsg`.
fn header(body: &mut Body<'_>, index: u32, flags: u32, change: u32) {
    let mut bytes = [0; HEADER_LEN];
    bytes[0] = AF_UNSPEC;
    bytes[4..8].copy_from_slice(&index.to_ne_bytes());
    bytes[8..12].copy_from_slice(&flags.to_ne_bytes());
    bytes[12..16].copy_from_slice(&change.to_ne_bytes());
    body.raw(&bytes);
}
