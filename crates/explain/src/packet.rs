//! A packet as far as it is known.

use ipnet::IpNet;
use pontoon_nft::syntax::{IpVersion, Value};

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
}

impl Connection {
    /// Its bit in `ct state`. Source: `NF_CT_STATE_BIT()` in nf_conntrack_common.h.
    pub fn state(self) -> u32 {
        let value = match self {
            Self::New | Self::NewPublished => Value::NEW,
            Self::Answer => Value::ESTABLISHED,
        };
        match value {
            Value::CtState(bit) => bit,
            _ => 0,
        }
    }
}

/// A packet: of TCP, from a port to a port that nothing is known of.
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
    /// Of which connection.
    pub connection: Connection,
}

impl Packet {
    /// Whether it stays on one bridge: such packets meet rules for IP only where `bridge-nf-call-iptables` is on.
    pub fn is_bridged(&self) -> bool {
        matches!((&self.iif, &self.oif), (Interface::Named(one), Interface::Named(other)) if one == other)
    }
}
