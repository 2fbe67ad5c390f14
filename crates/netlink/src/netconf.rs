//! Changes of per-interface settings: what the kernel tells those who listen when somebody writes to
//! `/proc/sys/net/ipv4/conf` or `/proc/sys/net/ipv6/conf`.
//!
//! Only a few settings are told of: of those that containers' networks depend on, forwarding and the reverse path filter.
//! Source: `include/uapi/linux/netconf.h`, `inet_netconf_notify_devconf()` in net/ipv4/devinet.c,
//! `inet6_netconf_notify_devconf()` in net/ipv6/addrconf.c.

use crate::Family;
use crate::link::LinkIndex;
use crate::wire::Attrs;

/// `RTM_NEWNETCONF`.
pub const RTM_NEWNETCONF: u16 = 80;
/// `RTM_DELNETCONF`.
pub const RTM_DELNETCONF: u16 = 81;

const NETCONFA_IFINDEX: u16 = 1;
const NETCONFA_FORWARDING: u16 = 2;
const NETCONFA_RP_FILTER: u16 = 3;

/// `NETCONFA_IFINDEX_ALL`
const ALL: i32 = -1;
/// `NETCONFA_IFINDEX_DEFAULT`
const DEFAULT: i32 = -2;

/// Length of `struct netconfmsg`, a byte, padded.
const HEADER_LEN: usize = 4;

/// Whose settings they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Whose {
    /// `conf/all`: for IPv4's and IPv6's forwarding, the switch of the whole host.
    All,
    /// `conf/default`: those of links that are made from now on.
    Default,
    /// A link's.
    Link(LinkIndex),
}

/// Settings of which one was changed, or those of a new link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Netconf {
    /// Of which protocol.
    pub family: Family,
    /// Whose.
    pub whose: Whose,
    /// `forwarding`, if it is told.
    pub forwarding: Option<bool>,
    /// `rp_filter`, if it is told: 0 off, 1 strict, 2 loose.
    pub rp_filter: Option<u32>,
}

impl Netconf {
    /// Reads the payload of an `RTM_NEWNETCONF` message; `None` if it is not of IPv4 or IPv6.
    pub fn decode(payload: &[u8]) -> Option<Self> {
        let family = Family::from_number(*payload.first()?)?;
        let (mut index, mut forwarding, mut rp_filter) = (None, None, None);
        for attr in Attrs::new(payload.get(HEADER_LEN..)?) {
            match attr.kind {
                NETCONFA_IFINDEX => index = attr.u32(),
                NETCONFA_FORWARDING => forwarding = attr.u32().map(|value| value != 0),
                NETCONFA_RP_FILTER => rp_filter = attr.u32(),
                _ => {}
            }
        }
        let index = index?;
        let whose = match index.cast_signed() {
            ALL => Whose::All,
            DEFAULT => Whose::Default,
            _ => Whose::Link(LinkIndex(index)),
        };
        Some(Self { family, whose, forwarding, rp_filter })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Body;

    fn message(family: u8, attrs: &[(u16, u32)]) -> Vec<u8> {
        let mut bytes = vec![family, 0, 0, 0];
        let mut body = Body::on(&mut bytes);
        attrs.iter().for_each(|(kind, value)| body.u32(*kind, *value));
        bytes
    }

    #[test]
    fn the_host_and_links_are_told_apart() {
        let told = Netconf::decode(&message(2, &[(1, u32::MAX), (2, 0)])).unwrap();
        assert_eq!((told.whose, told.forwarding, told.rp_filter), (Whose::All, Some(false), None));
        let told = Netconf::decode(&message(10, &[(1, u32::MAX - 1), (2, 1)])).unwrap();
        assert_eq!((told.family, told.whose), (Family::V6, Whose::Default));
        let told = Netconf::decode(&message(2, &[(1, 7), (3, 2)])).unwrap();
        assert_eq!((told.whose, told.rp_filter), (Whose::Link(LinkIndex(7)), Some(2)));
    }

    #[test]
    fn what_is_no_message_is_none() {
        assert_eq!(Netconf::decode(&[]), None);
        assert_eq!(Netconf::decode(&[2]), None);
        assert_eq!(Netconf::decode(&message(2, &[(2, 1)])), None);
        assert_eq!(Netconf::decode(&message(99, &[(1, 1)])), None);
    }
}
