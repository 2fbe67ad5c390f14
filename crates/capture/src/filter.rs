//! Which packets are wanted, in the words of pcap-filter(7).
//!
//! A filter is parsed ([`parse`]) and compiled to a program for the kernel ([`Filter::program`]). What it means is what
//! libpcap has it mean: `and` and `or` bind alike and to the left, a number or an address without words before it has those
//! of the one before it (`tcp port 80 or 443`), and ports are those of TCP, UDP and SCTP, in first fragments.

mod lex;
mod lower;
mod parse;

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use pontoon_model::Diagnose;
use pontoon_netlink::link::HwAddr;

use crate::bpf::{self, Insn};
use crate::link::Link;

pub use parse::parse;

/// A condition on packets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// Both.
    And(Box<Filter>, Box<Filter>),
    /// One of them, or both.
    Or(Box<Filter>, Box<Filter>),
    /// Not this.
    Not(Box<Filter>),
    /// One thing.
    Is(Primitive),
}

/// One thing that a packet can be or have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Primitive {
    /// It is of this protocol.
    Protocol(Protocol),
    /// It is from or to this network or address, of IP or in ARP.
    Address {
        /// Where it is looked for; everywhere where this is none.
        within: Option<Network>,
        /// On which side.
        side: Side,
        /// The network's address.
        address: IpAddr,
        /// The prefix length: 32 or 128 for one address.
        len: u8,
    },
    /// It is from or to one of these ports.
    Port {
        /// Of which protocol; of all that have ports where this is none.
        transport: Option<Transport>,
        /// On which side.
        side: Side,
        /// The ports.
        ports: RangeInclusive<u16>,
    },
    /// It is from or to this Ethernet address.
    Ethernet {
        /// On which side.
        side: Side,
        /// The address.
        mac: HwAddr,
    },
    /// It is of this Ethernet type.
    EtherType(u16),
    /// It is of IPv4 (or IPv6), and its protocol has this number.
    IpProtocol {
        /// Of IPv6.
        v6: bool,
        /// The number.
        number: u8,
    },
    /// It is for everybody on the link.
    Broadcast,
    /// It is for a group.
    Multicast(Group),
    /// It has at least so many bytes.
    AtLeast(u32),
    /// It has so many bytes at the most.
    AtMost(u32),
}

/// A protocol by its own word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are their names")]
pub enum Protocol {
    Ip,
    Ip6,
    Arp,
    Tcp,
    Udp,
    Sctp,
    Icmp,
    Icmp6,
}

/// Where addresses are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are their names")]
pub enum Network {
    Ip,
    Ip6,
    Arp,
}

/// A protocol with ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are their names")]
pub enum Transport {
    Tcp,
    Udp,
    Sctp,
}

/// A group of receivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are their names")]
pub enum Group {
    Ethernet,
    Ip,
    Ip6,
}

/// On which side something is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// At the sender.
    Source,
    /// At the receiver.
    Destination,
    /// At one of them.
    Either,
    /// At both.
    Both,
}

/// What is wrong with a filter, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// A word that is not known there.
    #[error("`{word}` is not understood in the filter `{filter}` (at its character {at})")]
    Unknown {
        /// The filter.
        filter: String,
        /// The word.
        word: String,
        /// Its first character, counted from 1.
        at: usize,
        /// Words that are written alike.
        near: Vec<String>,
    },
    /// A word that is wrong there.
    #[error("{what} in the filter `{filter}` (at its character {at})")]
    Wrong {
        /// The filter.
        filter: String,
        /// What is wrong.
        what: String,
        /// Where, counted from 1.
        at: usize,
        /// What to write instead.
        instead: Option<&'static str>,
    },
    /// More than the kernel takes.
    #[error("the filter becomes more than {} instructions, which the kernel does not take", bpf::LONGEST)]
    TooLong,
}

/// All words that filters have.
const WORDS: &str = "host, net, port, portrange, src, dst, proto, ether, ip, ip6, arp, tcp, udp, sctp, icmp, icmp6, \
                     broadcast, multicast, less, greater, and, or, not, parentheses";

impl Diagnose for FilterError {
    fn code(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "filter-unknown-word",
            Self::Wrong { .. } => "filter-wrong",
            Self::TooLong => "filter-too-long",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown { near, .. } if !near.is_empty() => {
                Some(format!("did you mean `{}`?", near.join("` or `")))
            }
            Self::Unknown { .. } => Some(format!("these words are known: {WORDS}")),
            Self::Wrong { instead, .. } => instead.map(str::to_owned),
            Self::TooLong => {
                Some("capture more, and leave the rest to the program that reads the file".to_owned())
            }
        }
    }
}

impl Filter {
    /// The program that takes the packets of such a link that are wanted, and of each its first `take` bytes.
    ///
    /// # Errors
    ///
    /// [`FilterError::TooLong`].
    pub fn program(&self, link: Link, take: u32) -> Result<Vec<Insn>, FilterError> {
        bpf::assemble(&lower::filter(self, link), take).ok_or(FilterError::TooLong)
    }
}

impl Protocol {
    fn word(self) -> &'static str {
        match self {
            Self::Ip => "ip",
            Self::Ip6 => "ip6",
            Self::Arp => "arp",
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
            Self::Icmp => "icmp",
            Self::Icmp6 => "icmp6",
        }
    }
}

impl Transport {
    fn word(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }

    fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "src",
            Self::Destination => "dst",
            Self::Either => "src or dst",
            Self::Both => "src and dst",
        })
    }
}

/// In words that mean the same to a parser.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::And(left, right) => write!(f, "({left} and {right})"),
            Self::Or(left, right) => write!(f, "({left} or {right})"),
            Self::Not(inner) => write!(f, "not {inner}"),
            Self::Is(primitive) => primitive.fmt(f),
        }
    }
}

impl fmt::Display for Primitive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protocol(protocol) => f.write_str(protocol.word()),
            Self::Address { within, side, address, len } => {
                let within = match within {
                    None => "",
                    Some(Network::Ip) => "ip ",
                    Some(Network::Ip6) => "ip6 ",
                    Some(Network::Arp) => "arp ",
                };
                write!(f, "{within}{side} net {address}/{len}")
            }
            Self::Port { transport, side, ports } => {
                let transport = transport.map_or(String::new(), |transport| format!("{} ", transport.word()));
                write!(f, "{transport}{side} portrange {}-{}", ports.start(), ports.end())
            }
            Self::Ethernet { side, mac } => write!(f, "ether {side} host {mac}"),
            Self::EtherType(number) => write!(f, "ether proto {number}"),
            Self::IpProtocol { v6, number } => write!(f, "{} proto {number}", if *v6 { "ip6" } else { "ip" }),
            Self::Broadcast => f.write_str("ether broadcast"),
            Self::Multicast(Group::Ethernet) => f.write_str("ether multicast"),
            Self::Multicast(Group::Ip) => f.write_str("ip multicast"),
            Self::Multicast(Group::Ip6) => f.write_str("ip6 multicast"),
            Self::AtLeast(len) => write!(f, "greater {len}"),
            Self::AtMost(len) => write!(f, "less {len}"),
        }
    }
}
