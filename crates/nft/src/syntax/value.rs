//! Constants and their types: what keys are compared with and what sets hold.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

/// IP protocol numbers that have a place in rules. Source: IANA protocol numbers.
pub mod protocol {
    /// ICMP for IPv4.
    pub const ICMP: u8 = 1;
    /// TCP.
    pub const TCP: u8 = 6;
    /// UDP.
    pub const UDP: u8 = 17;
    /// ICMP for IPv6.
    pub const ICMPV6: u8 = 58;
    /// SCTP.
    pub const SCTP: u8 = 132;
}

/// Ethernet types. Source: `include/uapi/linux/if_ether.h`.
pub mod ether_type {
    /// IPv4.
    pub const IP: u16 = 0x0800;
    /// ARP.
    pub const ARP: u16 = 0x0806;
    /// 802.1Q VLAN tag.
    pub const VLAN: u16 = 0x8100;
    /// IPv6.
    pub const IP6: u16 = 0x86dd;
}

/// Netfilter protocol families, as `meta nfproto` has them. Source: `include/uapi/linux/netfilter.h`.
pub mod nf_proto {
    /// IPv4.
    pub const IPV4: u8 = 2;
    /// IPv6.
    pub const IPV6: u8 = 10;
}

/// `TYPE_INTEGER`, of any length.
const INTEGER: u32 = 4;

/// The type of a constant, a key or a set's part.
///
/// Source: `enum datatypes` in nft's `include/datatype.h`; the numbers are what nft stores with a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DataType {
    /// An interface's name, 16 bytes.
    Ifname,
    /// An IPv4 address.
    Ipv4Addr,
    /// An IPv6 address.
    Ipv6Addr,
    /// A MAC address.
    EtherAddr,
    /// An IP protocol number.
    InetProto,
    /// A port.
    InetService,
    /// A packet or connection mark.
    Mark,
    /// A netfilter protocol family.
    NfProto,
    /// An Ethernet type.
    EtherType,
    /// An ARP operation.
    ArpOp,
    /// An ICMP type.
    IcmpType,
    /// An ICMPv6 type.
    Icmpv6Type,
    /// Connection tracking state, a bit mask.
    CtState,
    /// Connection tracking status, a bit mask.
    CtStatus,
    /// Connection tracking direction.
    CtDir,
    /// To whom the link layer addressed a packet.
    PktType,
    /// Kind of an address, from a route lookup.
    FibAddrType,
    /// An interface's index.
    IfIndex,
    /// An interface's group.
    DevGroup,
    /// An interface's hardware type (`ARPHRD_…`).
    IfType,
    /// Yes or no, as a route lookup answers: a whole register.
    Boolean,
    /// A number of one byte, such as a hop limit.
    Byte,
    /// A type that this crate has no name for: nft's number, and how many bytes a value has.
    Other {
        /// nft's number of the type, or of the concatenation.
        id: u32,
        /// Length of a value in bytes.
        len: u32,
    },
}

impl DataType {
    /// All types with a name that a set can be declared with.
    pub const NAMED: [Self; 21] = [
        Self::Ifname,
        Self::Ipv4Addr,
        Self::Ipv6Addr,
        Self::EtherAddr,
        Self::InetProto,
        Self::InetService,
        Self::Mark,
        Self::NfProto,
        Self::EtherType,
        Self::ArpOp,
        Self::IcmpType,
        Self::Icmpv6Type,
        Self::CtState,
        Self::CtStatus,
        Self::CtDir,
        Self::PktType,
        Self::FibAddrType,
        Self::IfIndex,
        Self::DevGroup,
        Self::IfType,
        Self::Boolean,
    ];

    /// The type of `len` bytes that are one number in network byte order.
    pub const fn integer(len: u32) -> Self {
        Self::Other { id: INTEGER, len }
    }

    /// nft's number for the type.
    pub const fn id(self) -> u32 {
        match self {
            Self::NfProto => 2,
            Self::Ipv4Addr => 7,
            Self::Ipv6Addr => 8,
            Self::EtherAddr => 9,
            Self::EtherType => 10,
            Self::ArpOp => 11,
            Self::InetProto => 12,
            Self::InetService => 13,
            Self::IcmpType => 14,
            Self::Mark => 19,
            Self::IfIndex => 20,
            Self::IfType => 21,
            Self::CtState => 26,
            Self::CtDir => 27,
            Self::CtStatus => 28,
            Self::Icmpv6Type => 29,
            Self::PktType => 31,
            Self::DevGroup => 35,
            Self::FibAddrType => 38,
            Self::Boolean => 39,
            Self::Ifname => 41,
            Self::Byte => INTEGER,
            Self::Other { id, .. } => id,
        }
    }

    /// The named type with nft's number `id`.
    pub fn from_id(id: u32) -> Option<Self> {
        Self::NAMED.into_iter().find(|named| named.id() == id)
    }

    /// Length of a value in bytes, without padding.
    pub const fn size(self) -> usize {
        match self {
            Self::NfProto
            | Self::InetProto
            | Self::IcmpType
            | Self::Icmpv6Type
            | Self::CtDir
            | Self::PktType
            | Self::Byte => 1,
            Self::EtherType | Self::ArpOp | Self::InetService | Self::IfType => 2,
            Self::Ipv4Addr
            | Self::Mark
            | Self::CtState
            | Self::CtStatus
            | Self::FibAddrType
            | Self::IfIndex
            | Self::DevGroup
            | Self::Boolean => 4,
            Self::EtherAddr => 6,
            Self::Ipv6Addr | Self::Ifname => 16,
            Self::Other { len, .. } => len as usize,
        }
    }

    /// Length of a value in a concatenation, where each part is padded to four bytes.
    pub const fn padded(self) -> usize {
        (self.size() + 3) & !3
    }

    /// Whether the kernel has the value in network byte order (or as text), so that byte order is value order.
    pub const fn is_big_endian(self) -> bool {
        matches!(
            self,
            Self::Ipv4Addr
                | Self::Ipv6Addr
                | Self::EtherAddr
                | Self::EtherType
                | Self::ArpOp
                | Self::InetProto
                | Self::InetService
                | Self::IcmpType
                | Self::Icmpv6Type
                | Self::Byte
                | Self::Other { id: INTEGER, .. }
        )
    }

    /// Whether values can be put in order bytewise, which intervals need.
    pub const fn has_intervals(self) -> bool {
        self.is_big_endian() || self.size() == 1 || matches!(self, Self::Ifname)
    }

    /// The name that nft prints.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ifname => "ifname",
            Self::Ipv4Addr => "ipv4_addr",
            Self::Ipv6Addr => "ipv6_addr",
            Self::EtherAddr => "ether_addr",
            Self::InetProto => "inet_proto",
            Self::InetService => "inet_service",
            Self::Mark => "mark",
            Self::NfProto => "nf_proto",
            Self::EtherType => "ether_type",
            Self::ArpOp => "arp_op",
            Self::IcmpType => "icmp_type",
            Self::Icmpv6Type => "icmpv6_type",
            Self::CtState => "ct_state",
            Self::CtStatus => "ct_status",
            Self::CtDir => "ct_dir",
            Self::PktType => "pkt_type",
            Self::FibAddrType => "fib_addrtype",
            Self::IfIndex => "iface_index",
            Self::DevGroup => "devgroup",
            Self::IfType => "iface_type",
            Self::Boolean => "boolean",
            Self::Byte | Self::Other { .. } => "integer",
        }
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A constant.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    /// An interface's name, or all that begin so if it ends in `*`.
    Ifname(String),
    /// An IPv4 address.
    Ipv4(Ipv4Addr),
    /// An IPv6 address.
    Ipv6(Ipv6Addr),
    /// A MAC address.
    Ether([u8; 6]),
    /// An IP protocol number: [`protocol`] has some.
    Protocol(u8),
    /// A port.
    Port(u16),
    /// A mark.
    Mark(u32),
    /// A netfilter protocol family: [`nf_proto`] has both.
    NfProto(u8),
    /// An Ethernet type: [`ether_type`] has some.
    EtherType(u16),
    /// An ARP operation: 1 request, 2 reply.
    ArpOp(u16),
    /// An ICMP type.
    IcmpType(u8),
    /// An ICMPv6 type.
    Icmpv6Type(u8),
    /// Bits of connection state: see [`Value::INVALID`] and so on.
    CtState(u32),
    /// Bits of connection status: see [`Value::DNAT`] and so on.
    CtStatus(u32),
    /// 0 original, 1 reply.
    CtDir(u8),
    /// 0 host, 1 broadcast, 2 multicast, 3 other.
    PktType(u8),
    /// Kind of an address (`RTN_…`): 1 unicast, 2 local, 3 broadcast.
    FibAddrType(u32),
    /// An interface's index.
    IfIndex(u32),
    /// An interface's group.
    DevGroup(u32),
    /// An interface's hardware type: 1 is Ethernet.
    IfType(u16),
    /// Yes or no.
    Boolean(bool),
    /// A number of one byte.
    Byte(u8),
    /// Bytes of a type without a name here, such as those of [`Key::Raw`](super::Key::Raw).
    Other(Vec<u8>),
}

impl Value {
    /// `ct state invalid`
    pub const INVALID: Self = Self::CtState(1);
    /// `ct state established`
    pub const ESTABLISHED: Self = Self::CtState(2);
    /// `ct state established,related`
    pub const ESTABLISHED_RELATED: Self = Self::CtState(6);
    /// `ct state new`
    pub const NEW: Self = Self::CtState(8);
    /// `ct status snat`
    pub const SNAT: Self = Self::CtStatus(0x10);
    /// `ct status dnat`
    pub const DNAT: Self = Self::CtStatus(0x20);
    /// `tcp`
    pub const TCP: Self = Self::Protocol(protocol::TCP);
    /// `udp`
    pub const UDP: Self = Self::Protocol(protocol::UDP);
    /// `ipv4`, the netfilter family.
    pub const IPV4: Self = Self::NfProto(nf_proto::IPV4);
    /// `ipv6`, the netfilter family.
    pub const IPV6: Self = Self::NfProto(nf_proto::IPV6);
    /// `fib … type local`
    pub const LOCAL: Self = Self::FibAddrType(2);

    /// The type of the value.
    pub fn data_type(&self) -> DataType {
        match self {
            Self::Ifname(_) => DataType::Ifname,
            Self::Ipv4(_) => DataType::Ipv4Addr,
            Self::Ipv6(_) => DataType::Ipv6Addr,
            Self::Ether(_) => DataType::EtherAddr,
            Self::Protocol(_) => DataType::InetProto,
            Self::Port(_) => DataType::InetService,
            Self::Mark(_) => DataType::Mark,
            Self::NfProto(_) => DataType::NfProto,
            Self::EtherType(_) => DataType::EtherType,
            Self::ArpOp(_) => DataType::ArpOp,
            Self::IcmpType(_) => DataType::IcmpType,
            Self::Icmpv6Type(_) => DataType::Icmpv6Type,
            Self::CtState(_) => DataType::CtState,
            Self::CtStatus(_) => DataType::CtStatus,
            Self::CtDir(_) => DataType::CtDir,
            Self::PktType(_) => DataType::PktType,
            Self::FibAddrType(_) => DataType::FibAddrType,
            Self::IfIndex(_) => DataType::IfIndex,
            Self::DevGroup(_) => DataType::DevGroup,
            Self::IfType(_) => DataType::IfType,
            Self::Boolean(_) => DataType::Boolean,
            Self::Byte(_) => DataType::Byte,
            Self::Other(bytes) => DataType::integer(bytes.len() as u32),
        }
    }

    /// Whether the value is a name that ends in `*` and so stands for all that begin so.
    pub fn is_wildcard(&self) -> bool {
        matches!(self, Self::Ifname(name) if name.ends_with('*'))
    }

    /// The bytes that the kernel compares, not padded. A wildcard's are those before the `*`.
    pub fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Ifname(name) => match name.strip_suffix('*') {
                Some(prefix) => prefix.as_bytes().to_vec(),
                None => {
                    let mut bytes = name.as_bytes().to_vec();
                    bytes.resize(16, 0);
                    bytes
                }
            },
            Self::Ipv4(address) => address.octets().to_vec(),
            Self::Ipv6(address) => address.octets().to_vec(),
            Self::Ether(address) => address.to_vec(),
            Self::Protocol(byte)
            | Self::NfProto(byte)
            | Self::IcmpType(byte)
            | Self::Icmpv6Type(byte)
            | Self::CtDir(byte)
            | Self::PktType(byte)
            | Self::Byte(byte) => vec![*byte],
            Self::Boolean(yes) => u32::from(*yes).to_ne_bytes().to_vec(),
            Self::Port(number) | Self::EtherType(number) | Self::ArpOp(number) => {
                number.to_be_bytes().to_vec()
            }
            Self::IfType(number) => number.to_ne_bytes().to_vec(),
            Self::Mark(number)
            | Self::CtState(number)
            | Self::CtStatus(number)
            | Self::FibAddrType(number)
            | Self::IfIndex(number)
            | Self::DevGroup(number) => number.to_ne_bytes().to_vec(),
            Self::Other(bytes) => bytes.clone(),
        }
    }

    /// The value of `data_type` that has these bytes; `None` if there is none.
    pub fn from_bytes(data_type: DataType, bytes: &[u8]) -> Option<Self> {
        let byte = || Some(*bytes.first()?);
        let be16 = || Some(u16::from_be_bytes(bytes.get(..2)?.try_into().ok()?));
        let ne16 = || Some(u16::from_ne_bytes(bytes.get(..2)?.try_into().ok()?));
        let ne32 = || Some(u32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?));
        Some(match data_type {
            DataType::Ifname => Self::Ifname(ifname(bytes)?),
            DataType::Ipv4Addr => Self::Ipv4(<[u8; 4]>::try_from(bytes.get(..4)?).ok()?.into()),
            DataType::Ipv6Addr => Self::Ipv6(<[u8; 16]>::try_from(bytes.get(..16)?).ok()?.into()),
            DataType::EtherAddr => Self::Ether(bytes.get(..6)?.try_into().ok()?),
            DataType::InetProto => Self::Protocol(byte()?),
            DataType::InetService => Self::Port(be16()?),
            DataType::Mark => Self::Mark(ne32()?),
            DataType::NfProto => Self::NfProto(byte()?),
            DataType::EtherType => Self::EtherType(be16()?),
            DataType::ArpOp => Self::ArpOp(be16()?),
            DataType::IcmpType => Self::IcmpType(byte()?),
            DataType::Icmpv6Type => Self::Icmpv6Type(byte()?),
            DataType::CtState => Self::CtState(ne32()?),
            DataType::CtStatus => Self::CtStatus(ne32()?),
            DataType::CtDir => Self::CtDir(byte()?),
            DataType::PktType => Self::PktType(byte()?),
            DataType::FibAddrType => Self::FibAddrType(ne32()?),
            DataType::IfIndex => Self::IfIndex(ne32()?),
            DataType::DevGroup => Self::DevGroup(ne32()?),
            DataType::IfType => Self::IfType(ne16()?),
            DataType::Boolean => Self::Boolean(match ne32()? {
                0 => false,
                1 => true,
                _ => return None,
            }),
            DataType::Byte => Self::Byte(byte()?),
            DataType::Other { len, .. } => Self::Other(bytes.get(..len as usize)?.to_vec()),
        })
    }
}

/// The name in 16 bytes with NULs after it, or, in fewer than 16 without a NUL, a wildcard's beginning.
fn ifname(bytes: &[u8]) -> Option<String> {
    let end = bytes.iter().position(|byte| *byte == 0);
    let name = std::str::from_utf8(&bytes[..end.unwrap_or(bytes.len())]).ok()?;
    if name.is_empty() || name.ends_with('*') || name.contains('"') || bytes.len() > 16 {
        return None;
    }
    match end {
        Some(_) if bytes.len() == 16 && bytes[name.len()..].iter().all(|byte| *byte == 0) => {
            Some(name.to_owned())
        }
        None if bytes.len() < 16 => Some(format!("{name}*")),
        _ => None,
    }
}

/// What one part of a key is compared with: a value, a prefix or a range.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operand {
    /// One value, or all names with a beginning.
    Value(Value),
    /// All addresses that share the first bits: `10.0.0.0/8`.
    Prefix {
        /// The network's address.
        address: Value,
        /// How many bits count.
        len: u8,
    },
    /// From `first` to `last`, both included.
    Range {
        /// The first value.
        first: Value,
        /// The last value.
        last: Value,
    },
}

impl From<Value> for Operand {
    fn from(value: Value) -> Self {
        Self::Value(value)
    }
}

impl Operand {
    /// The type of the values.
    pub fn data_type(&self) -> DataType {
        match self {
            Self::Value(value) | Self::Prefix { address: value, .. } | Self::Range { first: value, .. } => {
                value.data_type()
            }
        }
    }

    /// Whether more than one value is meant.
    pub fn is_interval(&self) -> bool {
        match self {
            Self::Value(value) => value.is_wildcard(),
            Self::Prefix { .. } | Self::Range { .. } => true,
        }
    }

    /// The first and the last value's bytes, each of the type's full size.
    pub fn bounds(&self) -> (Vec<u8>, Vec<u8>) {
        let size = self.data_type().size();
        match self {
            Self::Value(value) => {
                let mut first = value.bytes();
                let mut last = first.clone();
                first.resize(size, 0);
                last.resize(size, if value.is_wildcard() { 0xff } else { 0 });
                (first, last)
            }
            Self::Prefix { address, len } => {
                let mask = prefix_mask(size, *len);
                let bytes = address.bytes();
                let first = bytes.iter().zip(&mask).map(|(byte, mask)| byte & mask).collect();
                let last = bytes.iter().zip(&mask).map(|(byte, mask)| byte | !mask).collect();
                (first, last)
            }
            Self::Range { first, last } => (first.bytes(), last.bytes()),
        }
    }

    /// The operand that covers exactly `first` to `last`: a value if they are equal, else a prefix if one fits.
    pub fn from_bounds(data_type: DataType, first: &[u8], last: &[u8]) -> Option<Self> {
        if data_type == DataType::Ifname && first != last {
            let len = first.iter().zip(last).take_while(|(a, b)| a == b).count();
            let rest_is_all = first[len..].iter().all(|b| *b == 0) && last[len..].iter().all(|b| *b == 0xff);
            return rest_is_all
                .then(|| Value::from_bytes(data_type, &first[..len]).map(Self::Value))
                .flatten();
        }
        let low = Value::from_bytes(data_type, first)?;
        if first == last {
            return Some(Self::Value(low));
        }
        let is_address = matches!(data_type, DataType::Ipv4Addr | DataType::Ipv6Addr);
        if let Some(len) = common_prefix(first, last).filter(|_| is_address) {
            return Some(Self::Prefix { address: low, len });
        }
        Some(Self::Range { first: low, last: Value::from_bytes(data_type, last)? })
    }
}

/// `len` one bits, then zeros, `size` bytes in all.
pub(crate) fn prefix_mask(size: usize, len: u8) -> Vec<u8> {
    (0..size)
        .map(|index| match usize::from(len).saturating_sub(index * 8) {
            bits @ 0..8 => !(0xff_u16 >> bits) as u8,
            _ => 0xff,
        })
        .collect()
}

/// The length of the prefix that is exactly `first` to `last`, if they are one's ends.
fn common_prefix(first: &[u8], last: &[u8]) -> Option<u8> {
    let bits = (first.len() * 8) as u8;
    (0..bits).find(|len| {
        let mask = prefix_mask(first.len(), *len);
        first
            .iter()
            .zip(last)
            .zip(&mask)
            .all(|((low, high), mask)| low & !mask == 0 && *high == (low | !mask))
    })
}
