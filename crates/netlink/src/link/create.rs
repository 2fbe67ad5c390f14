//! New links.

use std::os::fd::{AsRawFd, BorrowedFd};

use super::{
    BridgeOptions, HwAddr, IFF_UP, IFLA_ADDRESS, IFLA_GROUP, IFLA_IFNAME, IFLA_INFO_DATA, IFLA_INFO_KIND,
    IFLA_LINK, IFLA_LINKINFO, IFLA_MASTER, IFLA_MTU, IFLA_NET_NS_FD, IFLA_NUM_RX_QUEUES, IFLA_NUM_TX_QUEUES,
    LinkIndex, RTM_NEWLINK, header,
};
use crate::wire::{Batch, Body, NLM_F_ACK, NLM_F_CREATE, NLM_F_ECHO, NLM_F_EXCL};

/// A request to create a link: it fails with `EEXIST` where the name is taken.
///
/// The kernel ignores an alias, alternative names and `IFLA_AF_SPEC` here: give them with
/// [`SetLink`](super::SetLink), in the same batch and by name.
#[derive(Debug, Clone)]
pub struct NewLink<'a> {
    /// The name, at most 15 bytes.
    pub name: &'a str,
    /// What kind of link, with the kind's own options.
    pub kind: Kind<'a>,
    /// Hardware address; the kernel picks a random one otherwise.
    pub mac: Option<HwAddr>,
    /// Largest packet in bytes.
    pub mtu: Option<u32>,
    /// The bridge (or other master) that it becomes a port of.
    pub master: Option<LinkIndex>,
    /// The link below (`IFLA_LINK`), which macvlan, ipvlan and vlan need.
    pub parent: Option<LinkIndex>,
    /// The link group: a number by which many links can be deleted in one request.
    pub group: Option<u32>,
    /// Transmit and receive queues. One each makes a veth pair's creation twice as fast.
    pub queues: Option<u32>,
    /// The namespace in which it is to appear; the sender's otherwise.
    pub netns: Option<BorrowedFd<'a>>,
    /// Whether it is up from the start.
    pub up: bool,
    /// Whether the kernel sends the new link back (`NLM_F_ECHO`), with its index.
    pub echo: bool,
}

/// What kind of link to create.
#[derive(Debug, Clone)]
pub enum Kind<'a> {
    /// A bridge.
    Bridge(BridgeOptions),
    /// An interface that drops what is sent through it.
    Dummy,
    /// A cable of two ends: veth(4).
    Veth(Peer<'a>),
    /// A second hardware address on the parent; the mode is a `MACVLAN_MODE_…` value (4 is bridge).
    Macvlan {
        /// `MACVLAN_MODE_…`: 1 private, 2 vepa, 4 bridge, 8 passthru.
        mode: u32,
    },
    /// The parent's hardware address, shared by IP address.
    Ipvlan {
        /// `IPVLAN_MODE_…`: 0 L2, 1 L3, 2 L3S.
        mode: u16,
    },
    /// An 802.1Q VLAN of the parent.
    Vlan {
        /// VLAN id, 1 to 4094.
        id: u16,
    },
}

/// The other end of a veth pair.
///
/// It has no `up`: a peer that is created up fails with `ENOTCONN`, since its other end does not exist yet.
#[derive(Debug, Clone, Default)]
pub struct Peer<'a> {
    /// The name in its namespace.
    pub name: &'a str,
    /// Hardware address.
    pub mac: Option<HwAddr>,
    /// Largest packet in bytes.
    pub mtu: Option<u32>,
    /// The link group.
    pub group: Option<u32>,
    /// Transmit and receive queues.
    pub queues: Option<u32>,
    /// The namespace in which it is to appear.
    pub netns: Option<BorrowedFd<'a>>,
}

const VETH_INFO_PEER: u16 = 1;
const IFLA_MACVLAN_MODE: u16 = 1;
const IFLA_IPVLAN_MODE: u16 = 1;
const IFLA_VLAN_ID: u16 = 1;

impl<'a> NewLink<'a> {
    /// A link of `kind` called `name`, and everything else as the kernel does it.
    pub fn new(name: &'a str, kind: Kind<'a>) -> Self {
        Self {
            name,
            kind,
            mac: None,
            mtu: None,
            master: None,
            parent: None,
            group: None,
            queues: None,
            netns: None,
            up: false,
            echo: false,
        }
    }

    /// A veth pair with one queue each way at both ends.
    pub fn veth(name: &'a str, peer: Peer<'a>) -> Self {
        let queues = Some(1);
        Self { queues, ..Self::new(name, Kind::Veth(Peer { queues, ..peer })) }
    }

    /// Appends the request.
    pub fn encode(&self, batch: &mut Batch) {
        let echo = if self.echo { NLM_F_ECHO } else { 0 };
        batch.message(RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL | echo, |body| {
            let up = if self.up { IFF_UP } else { 0 };
            header(body, 0, up, up);
            self.common().encode(body);
            if let Some(master) = self.master {
                body.u32(IFLA_MASTER, master.0);
            }
            if let Some(parent) = self.parent {
                body.u32(IFLA_LINK, parent.0);
            }
            body.nest(IFLA_LINKINFO, |info| self.kind.encode(info));
        });
    }

    /// What both ends of a pair have.
    fn common(&self) -> Peer<'a> {
        let Self { name, mac, mtu, group, queues, netns, .. } = *self;
        Peer { name, mac, mtu, group, queues, netns }
    }
}

impl Peer<'_> {
    fn encode(&self, body: &mut Body<'_>) {
        body.str(IFLA_IFNAME, self.name);
        if let Some(mac) = self.mac {
            body.attr(IFLA_ADDRESS, &mac.0);
        }
        if let Some(mtu) = self.mtu {
            body.u32(IFLA_MTU, mtu);
        }
        if let Some(group) = self.group {
            body.u32(IFLA_GROUP, group);
        }
        if let Some(queues) = self.queues {
            body.u32(IFLA_NUM_TX_QUEUES, queues);
            body.u32(IFLA_NUM_RX_QUEUES, queues);
        }
        if let Some(netns) = self.netns {
            body.attr(IFLA_NET_NS_FD, &netns.as_raw_fd().to_ne_bytes());
        }
    }
}

impl Kind<'_> {
    /// The kernel's name for the kind.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Bridge(_) => "bridge",
            Self::Dummy => "dummy",
            Self::Veth(_) => "veth",
            Self::Macvlan { .. } => "macvlan",
            Self::Ipvlan { .. } => "ipvlan",
            Self::Vlan { .. } => "vlan",
        }
    }

    fn encode(&self, info: &mut Body<'_>) {
        info.str(IFLA_INFO_KIND, self.name());
        match self {
            Self::Dummy => {}
            Self::Bridge(options) => info.nest(IFLA_INFO_DATA, |data| options.encode(data)),
            Self::Veth(peer) => info.nest(IFLA_INFO_DATA, |data| {
                data.nest(VETH_INFO_PEER, |end| {
                    header(end, 0, 0, 0);
                    peer.encode(end);
                });
            }),
            Self::Macvlan { mode } => info.nest(IFLA_INFO_DATA, |data| data.u32(IFLA_MACVLAN_MODE, *mode)),
            Self::Ipvlan { mode } => info.nest(IFLA_INFO_DATA, |data| data.u16(IFLA_IPVLAN_MODE, *mode)),
            Self::Vlan { id } => info.nest(IFLA_INFO_DATA, |data| data.u16(IFLA_VLAN_ID, *id)),
        }
    }
}
