//! What can be set on a bridge's port.

use crate::wire::{Attrs, Body};

/// A bridge port's options: what to set in a request, what is set in an answer.
///
/// Source: `IFLA_BRPORT_…` in `if_link.h`, `br_setport()` in the kernel's `net/bridge/br_netlink.c`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PortOptions {
    /// `BR_STATE_…`: 0 disabled, 1 listening, 2 learning, 3 forwarding, 4 blocking. Can be set without spanning tree
    /// only, and on a link that is up.
    pub state: Option<u8>,
    /// Whether frames may leave through the port that they came in by.
    pub hairpin: Option<bool>,
    /// Whether source addresses are learned.
    pub learning: Option<bool>,
    /// Whether frames to unknown addresses are sent out here.
    pub unicast_flood: Option<bool>,
    /// Whether multicast without known listeners is sent out here.
    pub mcast_flood: Option<bool>,
    /// Whether broadcast is sent out here.
    pub bcast_flood: Option<bool>,
    /// Whether the bridge answers ARP for neighbours that it knows, for this port.
    pub proxy_arp: Option<bool>,
    /// Whether ARP and NDP for known neighbours are answered instead of flooded here.
    pub neigh_suppress: Option<bool>,
    /// Whether frames to other isolated ports are dropped.
    pub isolated: Option<bool>,
    /// Whether only senders with an entry may send.
    pub locked: Option<bool>,
}

const STATE: u16 = 1;
const HAIRPIN: u16 = 4;
const LEARNING: u16 = 8;
const UNICAST_FLOOD: u16 = 9;
const PROXY_ARP: u16 = 10;
const MCAST_FLOOD: u16 = 27;
const BCAST_FLOOD: u16 = 30;
const NEIGH_SUPPRESS: u16 = 32;
const ISOLATED: u16 = 33;
const LOCKED: u16 = 39;

impl PortOptions {
    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn encode(&self, data: &mut Body<'_>) {
        let bytes = [
            (STATE, self.state),
            (HAIRPIN, self.hairpin.map(u8::from)),
            (LEARNING, self.learning.map(u8::from)),
            (UNICAST_FLOOD, self.unicast_flood.map(u8::from)),
            (MCAST_FLOOD, self.mcast_flood.map(u8::from)),
            (BCAST_FLOOD, self.bcast_flood.map(u8::from)),
            (PROXY_ARP, self.proxy_arp.map(u8::from)),
            (NEIGH_SUPPRESS, self.neigh_suppress.map(u8::from)),
            (ISOLATED, self.isolated.map(u8::from)),
            (LOCKED, self.locked.map(u8::from)),
        ];
        for (kind, value) in bytes {
            value.into_iter().for_each(|value| data.u8(kind, value));
        }
    }

    pub(super) fn decode(attrs: Attrs<'_>) -> Self {
        let mut options = Self::default();
        for attr in attrs {
            let switch = attr.u8().map(|value| value != 0);
            match attr.kind {
                STATE => options.state = attr.u8(),
                HAIRPIN => options.hairpin = switch,
                LEARNING => options.learning = switch,
                UNICAST_FLOOD => options.unicast_flood = switch,
                MCAST_FLOOD => options.mcast_flood = switch,
                BCAST_FLOOD => options.bcast_flood = switch,
                PROXY_ARP => options.proxy_arp = switch,
                NEIGH_SUPPRESS => options.neigh_suppress = switch,
                ISOLATED => options.isolated = switch,
                LOCKED => options.locked = switch,
                _ => {}
            }
        }
        options
    }
}
