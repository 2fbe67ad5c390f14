//! A packet as far as it is known.

use std::net::IpAddr;

use ipnet::IpNet;
use pontoon_nft::syntax::{IpVersion, PortSide, Value};
use serde::Serialize;

use crate::truth::Truth;

/// The interface that a packet comes in by or goes out by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Interface {
    /// This one.
    Named(String),
    /// One of these; of any name, but for those of `not`, where none is given.
    OneOf {
        /// The names that it may have.
        names: Vec<String>,
        /// Names that it certainly does not have.
        not: Vec<String>,
    },
    /// There is none: the packet is for the host itself, or from it.
    None,
}

/// One end's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Address {
    /// One of a subnet's.
    In(IpNet),
    /// Somewhere else: an address that is routed.
    Outside,
    /// Nothing is known of it.
    Unknown,
}

/// What connection tracking says of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Connection {
    /// The first packet of a connection.
    New,
    /// The first packet of a connection to a published port.
    NewPublished,
    /// An answer in a connection that was let through.
    Answer,
    /// An answer to nothing that was seen.
    Invalid,
    /// One that a rule keeps connection tracking off.
    Untracked,
}

impl Connection {
    /// Its bit in `ct state`. Source: `NF_CT_STATE_BIT()` in nf_conntrack_common.h.
    pub fn state(self) -> u32 {
        let value = match self {
            Self::New | Self::NewPublished => Value::NEW,
            Self::Answer => Value::ESTABLISHED,
            Self::Invalid => Value::INVALID,
            // Source: `NF_CT_STATE_UNTRACKED_BIT` in nf_conntrack_common.h.
            Self::Untracked => Value::CtState(1 << 6),
        };
        match value {
            Value::CtState(bit) => bit,
            _ => 0,
        }
    }
}

/// What is known of a port: it is one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct Ports {
    /// The lowest.
    pub first: u16,
    /// The highest.
    pub last: u16,
}

impl Ports {
    /// Nothing is known of it.
    pub const ANY: Self = Self { first: 0, last: u16::MAX };
    /// One that a client uses. Source: RFC 6056, section 3.2.
    pub const CLIENT: Self = Self { first: 1024, last: u16::MAX };
    /// Where names are asked for.
    pub const NAMES: Self = Self { first: 53, last: 53 };

    /// Whether it lies between two.
    pub fn within(self, first: u16, last: u16) -> Truth {
        if first <= self.first && self.last <= last {
            Truth::True
        } else if last < self.first || self.last < first {
            Truth::False
        } else {
            Truth::Unknown
        }
    }
}

/// A packet of a protocol with ports, or an echo request or reply.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Packet {
    /// The version of IP.
    pub version: IpVersion,
    /// Where it comes in.
    pub iif: Interface,
    /// Where it goes out.
    pub oif: Interface,
    /// From whom.
    pub source: Address,
    /// To whom.
    pub destination: Address,
    /// Its number: TCP, UDP, ICMP.
    pub protocol: u8,
    /// From which port.
    pub source_port: Ports,
    /// To which port.
    pub destination_port: Ports,
    /// Of which connection.
    pub connection: Connection,
    /// What is known besides, of one that is followed.
    pub traced: Option<Traced>,
}

/// What is known of a single packet that is followed through the host, and not of all that are alike.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Traced {
    /// The numbers of the interfaces by which it comes in and goes out.
    pub links: (Option<u32>, Option<u32>),
    /// What a route lookup says of its destination: `RTN_…` of rtnetlink.h.
    pub destination_kind: u32,
    /// The type of its ICMP message.
    pub icmp: u8,
    /// Its Ethernet addresses, source first, where a bridge sees it.
    pub ether: Option<([u8; 6], [u8; 6])>,
    /// Whether its connection's source and destination are translated: not known before that is decided.
    pub translated: (Truth, Truth),
    /// Source and destination that the connection's first packet had.
    pub original: (IpAddr, IpAddr),
    /// The ports that it had.
    pub original_ports: (Ports, Ports),
    /// Its mark; `None` once a rule may have set one.
    pub mark: Option<u32>,
    /// Its connection's mark, likewise.
    pub connection_mark: Option<u32>,
    /// What a route lookup says of its source: `RTN_…`, and the interface that the way back leaves by.
    pub source_route: Option<(u32, u32)>,
    /// The flags of its TCP header.
    pub tcp_flags: u8,
}

impl Packet {
    /// What is known of one of its ports.
    pub fn port(&self, side: PortSide) -> Ports {
        match side {
            PortSide::Source => self.source_port,
            PortSide::Destination => self.destination_port,
        }
    }

    /// Whether it stays on one bridge: such packets meet rules for IP only where `bridge-nf-call-iptables` is on.
    pub fn is_bridged(&self) -> bool {
        matches!((&self.iif, &self.oif), (Interface::Named(one), Interface::Named(other)) if one == other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_compared_with_all_that_it_may_be() {
        assert_eq!(Ports::NAMES.within(53, 53), Truth::True);
        assert_eq!(Ports::NAMES.within(0, 52), Truth::False);
        assert_eq!(Ports::CLIENT.within(1024, 65535), Truth::True);
        assert_eq!(Ports::CLIENT.within(0, 1023), Truth::False);
        assert_eq!(Ports::CLIENT.within(32768, 60999), Truth::Unknown);
        assert_eq!(Ports::ANY.within(25, 25), Truth::Unknown);
    }
}
