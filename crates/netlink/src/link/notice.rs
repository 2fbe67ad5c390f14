//! What those who listen are told about links.

use super::{
    HEADER_LEN, IFLA_IFNAME, IFLA_MASTER, IFLA_PROTINFO, Link, LinkIndex, PortOptions, RTM_DELLINK,
    RTM_NEWLINK,
};
use crate::wire::{Attrs, Message};

/// `AF_BRIDGE`: the message is a bridge's, about one of its ports.
const AF_BRIDGE: u8 = 7;

/// A message of the group `RTNLGRP_LINK`.
///
/// A bridge tells of its ports in the same kinds of message as links are told of, with a family of its own
/// (`br_ifinfo_notify()` in the kernel's net/bridge/br_netlink.c): there, a deletion is that of the port, and the link
/// may well stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The link is there, as it is described.
    Link(Box<Link>),
    /// The link is gone; this is how it was.
    Gone(Box<Link>),
    /// A bridge tells of a port that it has.
    Port {
        /// The link.
        index: LinkIndex,
        /// Its name.
        name: String,
        /// The bridge.
        bridge: Option<LinkIndex>,
        /// The port's options.
        options: Box<PortOptions>,
    },
    /// A bridge has a port no longer.
    PortGone {
        /// The link.
        index: LinkIndex,
        /// Its name.
        name: String,
    },
}

impl Notice {
    /// Reads a message; `None` if it is of another kind.
    pub fn read(message: &Message<'_>) -> Option<Self> {
        if !matches!(message.kind, RTM_NEWLINK | RTM_DELLINK) {
            return None;
        }
        let gone = message.kind == RTM_DELLINK;
        if *message.payload.first()? != AF_BRIDGE {
            let link = Box::new(Link::decode(message.payload)?);
            return Some(if gone { Self::Gone(link) } else { Self::Link(link) });
        }
        let header = message.payload.get(..HEADER_LEN)?;
        let index = LinkIndex(u32::from_ne_bytes(header[4..8].try_into().ok()?));
        let (mut name, mut bridge, mut options) = (String::new(), None, Box::<PortOptions>::default());
        for attr in Attrs::new(&message.payload[HEADER_LEN..]) {
            match attr.kind {
                IFLA_IFNAME => name = attr.str().unwrap_or_default().to_owned(),
                IFLA_MASTER => bridge = attr.u32().map(LinkIndex),
                IFLA_PROTINFO => *options = PortOptions::decode(attr.nested()),
                _ => {}
            }
        }
        Some(if gone { Self::PortGone { index, name } } else { Self::Port { index, name, bridge, options } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Body;

    fn message(family: u8, name: &str, isolated: u8) -> Vec<u8> {
        let mut bytes = vec![0; HEADER_LEN];
        (bytes[0], bytes[4]) = (family, 7);
        let mut body = Body::on(&mut bytes);
        body.str(IFLA_IFNAME, name);
        body.u32(IFLA_MASTER, 3);
        body.nest(IFLA_PROTINFO, |port| port.u8(33, isolated));
        bytes
    }

    fn read(kind: u16, payload: &[u8]) -> Option<Notice> {
        Notice::read(&Message { kind, flags: 0, seq: 0, payload })
    }

    #[test]
    fn a_port_that_goes_is_not_a_link_that_goes() {
        let payload = message(AF_BRIDGE, "veth1", 1);
        let (index, name) = (LinkIndex(7), "veth1".to_owned());
        assert_eq!(read(RTM_DELLINK, &payload), Some(Notice::PortGone { index, name: name.clone() }));
        let options = Box::new(PortOptions { isolated: Some(true), ..PortOptions::default() });
        let port = Notice::Port { index, name, bridge: Some(LinkIndex(3)), options };
        assert_eq!(read(RTM_NEWLINK, &payload), Some(port));
        let payload = message(0, "veth1", 1);
        assert!(matches!(read(RTM_DELLINK, &payload), Some(Notice::Gone(link)) if link.name == "veth1"));
        assert!(matches!(read(RTM_NEWLINK, &payload), Some(Notice::Link(link)) if link.index == index));
    }

    #[test]
    fn what_is_no_notice_is_none() {
        assert_eq!(read(RTM_NEWLINK, &[]), None);
        assert_eq!(read(RTM_NEWLINK, &[AF_BRIDGE, 0, 0]), None);
        assert_eq!(read(24, &message(0, "veth1", 0)), None);
    }
}
