//! Changes to links that exist, and their removal.

use std::os::fd::{AsRawFd, BorrowedFd};

use super::{
    AddrGenMode, BridgeOptions, HwAddr, IFF_UP, IFLA_ADDRESS, IFLA_AF_SPEC, IFLA_ALT_IFNAME, IFLA_GROUP,
    IFLA_IFALIAS, IFLA_IFNAME, IFLA_INFO_DATA, IFLA_INFO_KIND, IFLA_INFO_SLAVE_DATA, IFLA_INFO_SLAVE_KIND,
    IFLA_LINKINFO, IFLA_MASTER, IFLA_MTU, IFLA_NET_NS_FD, IFLA_PROP_LIST, IFLA_TXQLEN, Ipv4Conf, LinkIndex,
    PortOptions, RTM_DELLINK, RTM_DELLINKPROP, RTM_NEWLINK, RTM_NEWLINKPROP, Target, header,
};
use crate::ip::{AF_INET, AF_INET6};
use crate::wire::{Batch, Body, NLM_F_ACK, NLM_F_CREATE, NLM_F_ECHO, NLM_F_EXCL};

pub(super) const IFLA_INET_CONF: u16 = 1;
pub(super) const IFLA_INET6_CONF: u16 = 2;
pub(super) const IFLA_INET6_ADDR_GEN_MODE: u16 = 8;

/// A request to change a link: it fails with `ENODEV` where there is none.
///
/// The kernel works through the parts in an order of its own, and stops at the first that fails: bridge and port
/// options, then namespace, MAC, MTU, master, up or down, alias, `IFLA_AF_SPEC`. So port options cannot go with the
/// `master` that makes it a port, and what must be set *before* a link comes up goes in a message of its own.
///
/// Sent as `RTM_NEWLINK` without `NLM_F_CREATE`, which does all that `RTM_SETLINK` does and takes bridge and port
/// options too (`rtnl_changelink()` in the kernel's `net/core/rtnetlink.c`).
#[derive(Debug, Clone)]
pub struct SetLink<'a> {
    /// Which link.
    pub link: Target<'a>,
    /// Up or down.
    pub up: Option<bool>,
    /// Hardware address.
    pub mac: Option<HwAddr>,
    /// Largest packet in bytes.
    pub mtu: Option<u32>,
    /// How many packets may wait to be sent.
    pub tx_queue_len: Option<u32>,
    /// The new master: `Some(None)` takes it off its bridge.
    pub master: Option<Option<LinkIndex>>,
    /// The namespace to move it to. This waits for RCU (20 ms and more).
    pub netns: Option<BorrowedFd<'a>>,
    /// The alias, at most 255 bytes; empty: none.
    pub alias: Option<&'a str>,
    /// The link group; 0 is where every link is at first.
    pub group: Option<u32>,
    /// How it makes its IPv6 link-local address.
    pub addr_gen_mode: Option<AddrGenMode>,
    /// Settings of `net.ipv4.conf`.
    pub ipv4_conf: &'a [(Ipv4Conf, u32)],
    /// A bridge's options.
    pub bridge: BridgeOptions,
    /// A bridge port's options.
    pub port: PortOptions,
    /// Whether the kernel sends the changed link back.
    pub echo: bool,
}

impl<'a> SetLink<'a> {
    /// Nothing yet to change on `link`.
    pub fn new(link: impl Into<Target<'a>>) -> Self {
        Self {
            link: link.into(),
            up: None,
            mac: None,
            mtu: None,
            tx_queue_len: None,
            master: None,
            netns: None,
            alias: None,
            group: None,
            addr_gen_mode: None,
            ipv4_conf: &[],
            bridge: BridgeOptions::default(),
            port: PortOptions::default(),
            echo: false,
        }
    }

    /// `link` up.
    pub fn up(link: impl Into<Target<'a>>) -> Self {
        Self { up: Some(true), ..Self::new(link) }
    }

    /// Appends the request.
    pub fn encode(&self, batch: &mut Batch) {
        let echo = if self.echo { NLM_F_ECHO } else { 0 };
        batch.message(RTM_NEWLINK, NLM_F_ACK | echo, |body| {
            let change = if self.up.is_some() { IFF_UP } else { 0 };
            let flags = if self.up == Some(true) { IFF_UP } else { 0 };
            self.link.encode(body, flags, change);
            self.encode_plain(body);
            self.encode_info(body);
            self.encode_af_spec(body);
        });
    }

    fn encode_plain(&self, body: &mut Body<'_>) {
        if let Some(mac) = self.mac {
            body.attr(IFLA_ADDRESS, &mac.0);
        }
        if let Some(master) = self.master {
            body.u32(IFLA_MASTER, master.map_or(0, |index| index.0));
        }
        if let Some(netns) = self.netns {
            body.attr(IFLA_NET_NS_FD, &netns.as_raw_fd().to_ne_bytes());
        }
        if let Some(alias) = self.alias {
            body.attr(IFLA_IFALIAS, alias.as_bytes());
        }
        let numbers = [(IFLA_MTU, self.mtu), (IFLA_TXQLEN, self.tx_queue_len), (IFLA_GROUP, self.group)];
        for (kind, value) in numbers {
            value.into_iter().for_each(|value| body.u32(kind, value));
        }
    }

    fn encode_info(&self, body: &mut Body<'_>) {
        if self.bridge.is_empty() && self.port.is_empty() {
            return;
        }
        body.nest(IFLA_LINKINFO, |info| {
            if !self.bridge.is_empty() {
                info.str(IFLA_INFO_KIND, "bridge");
                info.nest(IFLA_INFO_DATA, |data| self.bridge.encode(data));
            }
            if !self.port.is_empty() {
                info.str(IFLA_INFO_SLAVE_KIND, "bridge");
                info.nest(IFLA_INFO_SLAVE_DATA, |data| self.port.encode(data));
            }
        });
    }

    fn encode_af_spec(&self, body: &mut Body<'_>) {
        if self.addr_gen_mode.is_none() && self.ipv4_conf.is_empty() {
            return;
        }
        body.nest(IFLA_AF_SPEC, |families| {
            if !self.ipv4_conf.is_empty() {
                families.nest(u16::from(AF_INET), |inet| {
                    inet.nest(IFLA_INET_CONF, |conf| {
                        self.ipv4_conf.iter().for_each(|(id, value)| conf.u32(*id as u16, *value));
                    });
                });
            }
            if let Some(mode) = self.addr_gen_mode {
                families.nest(u16::from(AF_INET6), |inet6| inet6.u8(IFLA_INET6_ADDR_GEN_MODE, mode.number()));
            }
        });
    }
}

/// A request to rename a link. It needs the index, since the one name in the message is the new one.
#[derive(Debug, Clone, Copy)]
pub struct RenameLink<'a> {
    /// Which link.
    pub index: LinkIndex,
    /// Its new name.
    pub name: &'a str,
}

impl RenameLink<'_> {
    /// Appends the request.
    pub fn encode(&self, batch: &mut Batch) {
        batch.message(RTM_NEWLINK, NLM_F_ACK, |body| {
            header(body, self.index.0, 0, 0);
            body.str(IFLA_IFNAME, self.name);
        });
    }
}

/// A request to add or remove an alternative name, of up to 127 bytes, unique among all names of the namespace.
///
/// Source: `rtnl_linkprop()` in the kernel's `net/core/rtnetlink.c`; `ALTIFNAMSIZ`.
#[derive(Debug, Clone, Copy)]
pub struct AltName<'a> {
    /// Which link.
    pub link: Target<'a>,
    /// The name.
    pub name: &'a str,
}

impl AltName<'_> {
    /// Appends the request to add it. `EEXIST` where any link has that name.
    pub fn encode_add(&self, batch: &mut Batch) {
        self.encode(batch, RTM_NEWLINKPROP, NLM_F_CREATE | NLM_F_EXCL);
    }

    /// Appends the request to remove it.
    pub fn encode_delete(&self, batch: &mut Batch) {
        self.encode(batch, RTM_DELLINKPROP, 0);
    }

    fn encode(&self, batch: &mut Batch, kind: u16, flags: u16) {
        batch.message(kind, NLM_F_ACK | flags, |body| {
            self.link.encode(body, 0, 0);
            body.nest(IFLA_PROP_LIST, |list| list.str(IFLA_ALT_IFNAME, self.name));
        });
    }
}

/// A request to delete links. It waits for RCU (20 ms and more), once per request.
#[derive(Debug, Clone, Copy)]
pub enum DelLink<'a> {
    /// One link. Of a veth pair, both ends go.
    One(Target<'a>),
    /// Every link of a group, which costs hardly more than one. Fails with `ENODEV` where the group is empty.
    Group(u32),
}

impl DelLink<'_> {
    /// Appends the request.
    pub fn encode(&self, batch: &mut Batch) {
        batch.message(RTM_DELLINK, NLM_F_ACK, |body| match self {
            Self::One(target) => target.encode(body, 0, 0),
            Self::Group(group) => {
                header(body, 0, 0, 0);
                body.u32(IFLA_GROUP, *group);
            }
        });
    }
}
