//! What a packet is asked for: the left side of a match, the parts of a lookup.

use serde::{Deserialize, Serialize};

use super::value::DataType;

/// Something to read from a packet, from its interfaces, its connection or the routing table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Key {
    /// What the kernel knows about the packet.
    Meta(Meta),
    /// A field of the IPv4 header.
    Ip(IpField),
    /// A field of the IPv6 header.
    Ip6(Ip6Field),
    /// A field of the Ethernet header.
    Ether(EtherField),
    /// A field of an ARP packet.
    Arp(ArpField),
    /// A port.
    Port {
        /// Of which protocol.
        transport: Transport,
        /// Which of the two.
        side: PortSide,
    },
    /// `icmp type`
    IcmpType,
    /// `icmpv6 type`
    Icmpv6Type,
    /// Bytes of the packet that have no name here: `@th,64,128`. Nothing is checked before they are read.
    Raw {
        /// From where the offset counts.
        base: PayloadBase,
        /// The first byte.
        offset: u16,
        /// How many bytes, 1 to 64.
        len: u8,
    },
    /// The connection that the packet belongs to.
    Ct(CtField),
    /// A route lookup.
    Fib {
        /// The address that is looked up.
        address: FibAddress,
        /// Whether the lookup is limited to the input interface (`. iif`).
        iif: bool,
        /// What is asked.
        result: FibResult,
    },
}

/// Where a packet's offset counts from. Source: `enum nft_payload_bases`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PayloadBase {
    /// The link-layer header.
    Link,
    /// The network header.
    Network,
    /// The transport header.
    Transport,
}

/// Keys of `meta`. Source: `enum nft_meta_keys`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Meta {
    /// Name of the input interface.
    Iifname,
    /// Name of the output interface.
    Oifname,
    /// Index of the input interface.
    Iif,
    /// Index of the output interface.
    Oif,
    /// Hardware type of the input interface.
    Iiftype,
    /// Group of the input interface.
    Iifgroup,
    /// Group of the output interface.
    Oifgroup,
    /// Transport protocol.
    L4proto,
    /// Netfilter family.
    Nfproto,
    /// Ethernet type.
    Protocol,
    /// Packet mark.
    Mark,
    /// To whom the link layer addressed it.
    Pkttype,
}

/// Fields of the IPv4 header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IpField {
    /// Source address.
    Saddr,
    /// Destination address.
    Daddr,
    /// How many more routers it may pass.
    Ttl,
    /// Transport protocol.
    Protocol,
}

/// Fields of the IPv6 header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ip6Field {
    /// Source address.
    Saddr,
    /// Destination address.
    Daddr,
    /// The next header's protocol.
    Nexthdr,
    /// How many more routers it may pass.
    Hoplimit,
}

/// Fields of the Ethernet header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EtherField {
    /// Source address.
    Saddr,
    /// Destination address.
    Daddr,
    /// Type of what follows.
    Type,
}

/// Fields of an ARP packet for IPv4 over Ethernet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArpField {
    /// Request or reply.
    Operation,
    /// The sender's IPv4 address.
    SaddrIp,
    /// The sender's MAC address.
    SaddrEther,
    /// The target's IPv4 address.
    DaddrIp,
    /// The target's MAC address.
    DaddrEther,
}

/// Protocols with ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
    /// Whichever it is (`th`): nothing is checked.
    Any,
}

/// Source or destination port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PortSide {
    /// `sport`
    Source,
    /// `dport`
    Destination,
}

/// Keys of `ct`. Source: `enum nft_ct_keys`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CtField {
    /// New, established, …
    State,
    /// Confirmed, translated, …
    Status,
    /// The connection's mark.
    Mark,
    /// Whether this packet goes the way of the first.
    Direction,
    /// Source that the first packet had, IPv4.
    OriginalIpSaddr,
    /// Destination that the first packet had, IPv4.
    OriginalIpDaddr,
    /// Source that the first packet had, IPv6.
    OriginalIp6Saddr,
    /// Destination that the first packet had, IPv6.
    OriginalIp6Daddr,
    /// Source port that the first packet had.
    OriginalProtoSrc,
    /// Destination port that the first packet had.
    OriginalProtoDst,
}

/// The address that a route lookup is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FibAddress {
    /// The source.
    Saddr,
    /// The destination.
    Daddr,
}

/// What a route lookup is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FibResult {
    /// The kind of the address.
    Type,
    /// Index of the interface of the route.
    Oif,
    /// Name of the interface of the route.
    Oifname,
    /// Whether there is a route (`oif exists`, `oif missing`).
    Exists,
}

impl Key {
    /// `iifname`
    pub const IIFNAME: Self = Self::Meta(Meta::Iifname);
    /// `oifname`
    pub const OIFNAME: Self = Self::Meta(Meta::Oifname);
    /// `meta l4proto`
    pub const L4PROTO: Self = Self::Meta(Meta::L4proto);
    /// `meta nfproto`
    pub const NFPROTO: Self = Self::Meta(Meta::Nfproto);
    /// `meta mark`
    pub const MARK: Self = Self::Meta(Meta::Mark);
    /// `ip saddr`
    pub const IP_SADDR: Self = Self::Ip(IpField::Saddr);
    /// `ip daddr`
    pub const IP_DADDR: Self = Self::Ip(IpField::Daddr);
    /// `ip6 saddr`
    pub const IP6_SADDR: Self = Self::Ip6(Ip6Field::Saddr);
    /// `ip6 daddr`
    pub const IP6_DADDR: Self = Self::Ip6(Ip6Field::Daddr);
    /// `ether saddr`
    pub const ETHER_SADDR: Self = Self::Ether(EtherField::Saddr);
    /// `tcp dport`
    pub const TCP_DPORT: Self = Self::Port { transport: Transport::Tcp, side: PortSide::Destination };
    /// `udp dport`
    pub const UDP_DPORT: Self = Self::Port { transport: Transport::Udp, side: PortSide::Destination };
    /// `th sport`
    pub const TH_SPORT: Self = Self::Port { transport: Transport::Any, side: PortSide::Source };
    /// `th dport`
    pub const TH_DPORT: Self = Self::Port { transport: Transport::Any, side: PortSide::Destination };
    /// The target address of a neighbour solicitation, a neighbour advertisement or a redirect.
    ///
    /// Newer versions of nft call it `icmpv6 taddr`; nft 1.0.6 reads and lists only this form, and the newer ones read it.
    ///
    /// Source: RFC 4861, sections 4.3 to 4.5.
    pub const ND_TARGET: Self = Self::Raw { base: PayloadBase::Transport, offset: 8, len: 16 };
    /// `ct state`
    pub const CT_STATE: Self = Self::Ct(CtField::State);
    /// `ct status`
    pub const CT_STATUS: Self = Self::Ct(CtField::Status);
    /// `fib daddr type`
    pub const FIB_DADDR_TYPE: Self =
        Self::Fib { address: FibAddress::Daddr, iif: false, result: FibResult::Type };

    /// The type of what is read.
    pub const fn data_type(self) -> DataType {
        match self {
            Self::Meta(meta) => meta.data_type(),
            Self::Ip(IpField::Saddr | IpField::Daddr)
            | Self::Arp(ArpField::SaddrIp | ArpField::DaddrIp)
            | Self::Ct(CtField::OriginalIpSaddr | CtField::OriginalIpDaddr) => DataType::Ipv4Addr,
            Self::Ip6(Ip6Field::Saddr | Ip6Field::Daddr)
            | Self::Ct(CtField::OriginalIp6Saddr | CtField::OriginalIp6Daddr) => DataType::Ipv6Addr,
            Self::Ip(IpField::Protocol) | Self::Ip6(Ip6Field::Nexthdr) => DataType::InetProto,
            Self::Ip(IpField::Ttl) | Self::Ip6(Ip6Field::Hoplimit) => DataType::Byte,
            Self::Raw { len, .. } => DataType::integer(len as u32),
            Self::Ether(EtherField::Saddr | EtherField::Daddr)
            | Self::Arp(ArpField::SaddrEther | ArpField::DaddrEther) => DataType::EtherAddr,
            Self::Ether(EtherField::Type) => DataType::EtherType,
            Self::Arp(ArpField::Operation) => DataType::ArpOp,
            Self::Port { .. } | Self::Ct(CtField::OriginalProtoSrc | CtField::OriginalProtoDst) => {
                DataType::InetService
            }
            Self::IcmpType => DataType::IcmpType,
            Self::Icmpv6Type => DataType::Icmpv6Type,
            Self::Ct(CtField::State) => DataType::CtState,
            Self::Ct(CtField::Status) => DataType::CtStatus,
            Self::Ct(CtField::Mark) => DataType::Mark,
            Self::Ct(CtField::Direction) => DataType::CtDir,
            Self::Fib { result: FibResult::Type, .. } => DataType::FibAddrType,
            Self::Fib { result: FibResult::Oif, .. } => DataType::IfIndex,
            Self::Fib { result: FibResult::Oifname, .. } => DataType::Ifname,
            Self::Fib { result: FibResult::Exists, .. } => DataType::Boolean,
        }
    }
}

impl Meta {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Iifname,
        Self::Oifname,
        Self::Iif,
        Self::Oif,
        Self::Iiftype,
        Self::Iifgroup,
        Self::Oifgroup,
        Self::L4proto,
        Self::Nfproto,
        Self::Protocol,
        Self::Mark,
        Self::Pkttype,
    ];

    const fn data_type(self) -> DataType {
        match self {
            Self::Iifname | Self::Oifname => DataType::Ifname,
            Self::Iif | Self::Oif => DataType::IfIndex,
            Self::Iiftype => DataType::IfType,
            Self::Iifgroup | Self::Oifgroup => DataType::DevGroup,
            Self::L4proto => DataType::InetProto,
            Self::Nfproto => DataType::NfProto,
            Self::Protocol => DataType::EtherType,
            Self::Mark => DataType::Mark,
            Self::Pkttype => DataType::PktType,
        }
    }
}

impl CtField {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::State,
        Self::Status,
        Self::Mark,
        Self::Direction,
        Self::OriginalIpSaddr,
        Self::OriginalIpDaddr,
        Self::OriginalIp6Saddr,
        Self::OriginalIp6Daddr,
        Self::OriginalProtoSrc,
        Self::OriginalProtoDst,
    ];
}
