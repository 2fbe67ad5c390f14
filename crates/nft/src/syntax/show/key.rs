//! What a packet is asked for.

use std::fmt::{self, Display, Formatter};

use crate::syntax::{
    ArpField, CtField, EtherField, FibAddress, FibResult, Ip6Field, IpField, Key, Meta, PayloadBase,
    PortSide, Transport,
};

impl Display for Key {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Meta(meta) => meta.fmt(f),
            Self::Ip(IpField::Saddr) => f.write_str("ip saddr"),
            Self::Ip(IpField::Daddr) => f.write_str("ip daddr"),
            Self::Ip(IpField::Ttl) => f.write_str("ip ttl"),
            Self::Ip(IpField::Protocol) => f.write_str("ip protocol"),
            Self::Ip6(Ip6Field::Saddr) => f.write_str("ip6 saddr"),
            Self::Ip6(Ip6Field::Daddr) => f.write_str("ip6 daddr"),
            Self::Ip6(Ip6Field::Nexthdr) => f.write_str("ip6 nexthdr"),
            Self::Ip6(Ip6Field::Hoplimit) => f.write_str("ip6 hoplimit"),
            Self::Ether(EtherField::Saddr) => f.write_str("ether saddr"),
            Self::Ether(EtherField::Daddr) => f.write_str("ether daddr"),
            Self::Ether(EtherField::Type) => f.write_str("ether type"),
            Self::Arp(ArpField::Operation) => f.write_str("arp operation"),
            Self::Arp(ArpField::SaddrIp) => f.write_str("arp saddr ip"),
            Self::Arp(ArpField::SaddrEther) => f.write_str("arp saddr ether"),
            Self::Arp(ArpField::DaddrIp) => f.write_str("arp daddr ip"),
            Self::Arp(ArpField::DaddrEther) => f.write_str("arp daddr ether"),
            Self::Port { transport, side } => {
                f.write_str(match transport {
                    Transport::Tcp => "tcp ",
                    Transport::Udp => "udp ",
                    Transport::Sctp => "sctp ",
                    Transport::Any => "th ",
                })?;
                f.write_str(match side {
                    PortSide::Source => "sport",
                    PortSide::Destination => "dport",
                })
            }
            Self::IcmpType => f.write_str("icmp type"),
            Self::Icmpv6Type => f.write_str("icmpv6 type"),
            Self::Raw { base, offset, len } => {
                let base = match base {
                    PayloadBase::Link => "ll",
                    PayloadBase::Network => "nh",
                    PayloadBase::Transport => "th",
                };
                write!(f, "@{base},{},{}", u32::from(*offset) * 8, u32::from(*len) * 8)
            }
            Self::Ct(field) => field.fmt(f),
            Self::Fib { address, iif, result } => {
                f.write_str(match address {
                    FibAddress::Saddr => "fib saddr ",
                    FibAddress::Daddr => "fib daddr ",
                })?;
                f.write_str(if *iif { ". iif " } else { "" })?;
                f.write_str(match result {
                    FibResult::Type => "type",
                    FibResult::Oif | FibResult::Exists => "oif",
                    FibResult::Oifname => "oifname",
                })
            }
        }
    }
}

impl Display for Meta {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Iifname => "iifname",
            Self::Oifname => "oifname",
            Self::Iif => "iif",
            Self::Oif => "oif",
            Self::Iiftype => "meta iiftype",
            Self::Iifgroup => "iifgroup",
            Self::Oifgroup => "oifgroup",
            Self::L4proto => "meta l4proto",
            Self::Nfproto => "meta nfproto",
            Self::Protocol => "meta protocol",
            Self::Mark => "meta mark",
            Self::Pkttype => "meta pkttype",
        })
    }
}

impl Display for CtField {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::State => "ct state",
            Self::Status => "ct status",
            Self::Mark => "ct mark",
            Self::Direction => "ct direction",
            Self::OriginalIpSaddr => "ct original ip saddr",
            Self::OriginalIpDaddr => "ct original ip daddr",
            Self::OriginalIp6Saddr => "ct original ip6 saddr",
            Self::OriginalIp6Daddr => "ct original ip6 daddr",
            Self::OriginalProtoSrc => "ct original proto-src",
            Self::OriginalProtoDst => "ct original proto-dst",
        })
    }
}
