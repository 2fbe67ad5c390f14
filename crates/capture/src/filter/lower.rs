//! From a filter to conditions on numbers in a packet.
//!
//! Sources: RFC 791, 3.1; RFC 8200, 3; RFC 826; RFC 9293, 3.1; RFC 768; IEEE 802.3. What is asked of which packets is as in
//! libpcap's gencode.c: of IPv6's extension headers, only a fragment's is passed over, and only for protocols.

use std::net::IpAddr;

use super::{Filter, Group, Network, Primitive, Protocol, Side, Transport};
use crate::bpf::{Cond, Load, Relation};
use crate::link::Link;

const TYPE_IP: u16 = 0x0800;
const TYPE_ARP: u16 = 0x0806;
const TYPE_IP6: u16 = 0x86dd;
const ICMP: u8 = 1;
const ICMP6: u8 = 58;
const FRAGMENT: u8 = 44;

/// The condition that a filter is for packets of a link.
pub(super) fn filter(filter: &Filter, link: Link) -> Cond {
    let lower = |inner: &Filter| self::filter(inner, link);
    match filter {
        Filter::And(left, right) => Cond::All(vec![lower(left), lower(right)]),
        Filter::Or(left, right) => Cond::Any(vec![lower(left), lower(right)]),
        Filter::Not(inner) => lower(inner).not(),
        Filter::Is(primitive) => At(link).primitive(primitive),
    }
}

/// Packets of such a link.
#[derive(Clone, Copy)]
struct At(Link);

impl At {
    fn primitive(self, primitive: &Primitive) -> Cond {
        match primitive {
            Primitive::Protocol(protocol) => self.protocol(*protocol),
            Primitive::Address { within, side, address, len } => self.address(*within, *side, *address, *len),
            Primitive::Port { transport, side, ports } => {
                self.ports(*transport, *side, *ports.start(), *ports.end())
            }
            Primitive::Ethernet { side, mac } => self.ethernet(|| {
                let octets = mac.0;
                let high = u32::from_be_bytes([octets[0], octets[1], octets[2], octets[3]]);
                let low = u32::from(u16::from_be_bytes([octets[4], octets[5]]));
                // The lower half tells addresses apart sooner.
                let at = |offset| {
                    Cond::All(vec![
                        Cond::equal(Load::Half(offset + 4), low),
                        Cond::equal(Load::Word(offset), high),
                    ])
                };
                sides(*side, at(6), at(0))
            }),
            Primitive::EtherType(number) => self.ether_type(*number),
            Primitive::IpProtocol { v6: false, number } => self.ip_protocol(*number),
            Primitive::IpProtocol { v6: true, number } => self.ip6_protocol(*number),
            Primitive::Broadcast => self.ethernet(|| {
                Cond::All(vec![Cond::equal(Load::Word(2), u32::MAX), Cond::equal(Load::Half(0), 0xffff)])
            }),
            Primitive::Multicast(Group::Ethernet) => {
                self.ethernet(|| Cond::Is(Load::Byte(0), u32::MAX, Relation::AnyBit, 1))
            }
            Primitive::Multicast(Group::Ip) => {
                let group = Cond::Is(Load::Byte(self.0.header() + 16), u32::MAX, Relation::AtLeast, 224);
                Cond::All(vec![self.ip(), group])
            }
            Primitive::Multicast(Group::Ip6) => {
                Cond::All(vec![self.ip6(), Cond::equal(Load::Byte(self.0.header() + 24), 0xff)])
            }
            Primitive::AtLeast(len) => Cond::Is(Load::Length, u32::MAX, Relation::AtLeast, *len),
            Primitive::AtMost(len) => Cond::Is(Load::Length, u32::MAX, Relation::More, *len).not(),
        }
    }

    /// What only packets with an Ethernet header can be.
    fn ethernet(self, cond: impl FnOnce() -> Cond) -> Cond {
        match self.0 {
            Link::Ethernet => cond(),
            Link::Raw => Cond::never(),
        }
    }

    fn ether_type(self, number: u16) -> Cond {
        match (self.0, number) {
            (Link::Ethernet, number) => Cond::equal(Load::Half(12), number.into()),
            (Link::Raw, TYPE_IP) => Cond::Is(Load::Byte(0), 0xf0, Relation::Equal, 0x40),
            (Link::Raw, TYPE_IP6) => Cond::Is(Load::Byte(0), 0xf0, Relation::Equal, 0x60),
            (Link::Raw, _) => Cond::never(),
        }
    }

    fn ip(self) -> Cond {
        self.ether_type(TYPE_IP)
    }

    fn ip6(self) -> Cond {
        self.ether_type(TYPE_IP6)
    }

    fn ip_protocol(self, number: u8) -> Cond {
        Cond::All(vec![self.ip(), Cond::equal(Load::Byte(self.0.header() + 9), number.into())])
    }

    /// The next header's number, or the one after a fragment's header.
    fn ip6_protocol(self, number: u8) -> Cond {
        let header = self.0.header();
        let next = |number: u8| Cond::equal(Load::Byte(header + 6), number.into());
        let behind = Cond::equal(Load::Byte(header + 40), number.into());
        let fragment = Cond::All(vec![next(FRAGMENT), behind]);
        Cond::All(vec![self.ip6(), Cond::Any(vec![next(number), fragment])])
    }

    fn protocol(self, protocol: Protocol) -> Cond {
        let either = |transport: Transport| {
            Cond::Any(vec![self.ip6_protocol(transport.number()), self.ip_protocol(transport.number())])
        };
        match protocol {
            Protocol::Ip => self.ip(),
            Protocol::Ip6 => self.ip6(),
            Protocol::Arp => self.ether_type(TYPE_ARP),
            Protocol::Tcp => either(Transport::Tcp),
            Protocol::Udp => either(Transport::Udp),
            Protocol::Sctp => either(Transport::Sctp),
            Protocol::Icmp => self.ip_protocol(ICMP),
            Protocol::Icmp6 => self.ip6_protocol(ICMP6),
        }
    }

    fn address(self, within: Option<Network>, side: Side, address: IpAddr, len: u8) -> Cond {
        let header = self.0.header();
        match address {
            IpAddr::V6(address) => {
                let at = |offset| words(offset, &address.octets(), len);
                Cond::All(vec![self.ip6(), sides(side, at(header + 8), at(header + 24))])
            }
            IpAddr::V4(address) => {
                let at = |offset| words(offset, &address.octets(), len);
                let ip = Cond::All(vec![self.ip(), sides(side, at(header + 12), at(header + 16))]);
                let arp =
                    Cond::All(vec![self.ether_type(TYPE_ARP), sides(side, at(header + 14), at(header + 24))]);
                match within {
                    Some(Network::Arp) => arp,
                    Some(Network::Ip | Network::Ip6) => ip,
                    None => Cond::Any(vec![ip, arp]),
                }
            }
        }
    }

    fn ports(self, transport: Option<Transport>, side: Side, first: u16, last: u16) -> Cond {
        let header = self.0.header();
        let numbers: Vec<u8> = match transport {
            Some(transport) => vec![transport.number()],
            None => [Transport::Sctp, Transport::Tcp, Transport::Udp].map(Transport::number).to_vec(),
        };
        let one_of = |at| {
            Cond::Any(numbers.iter().map(|number| Cond::equal(Load::Byte(at), (*number).into())).collect())
        };
        let at = |load| within(load, first.into(), last.into());
        let six = sides(side, at(Load::Half(header + 40)), at(Load::Half(header + 42)));
        let four = sides(side, at(Load::Behind(header, 0)), at(Load::Behind(header, 2)));
        // Only a first fragment has the ports.
        let whole = Cond::Is(Load::Half(header + 6), u32::MAX, Relation::AnyBit, 0x1fff).not();
        Cond::Any(vec![
            Cond::All(vec![self.ip6(), one_of(header + 6), six]),
            Cond::All(vec![self.ip(), one_of(header + 9), whole, four]),
        ])
    }
}

fn within(load: Load, first: u32, last: u32) -> Cond {
    if first == last {
        return Cond::equal(load, first);
    }
    let more = Cond::Is(load, u32::MAX, Relation::More, last);
    Cond::All(vec![Cond::Is(load, u32::MAX, Relation::AtLeast, first), more.not()])
}

fn sides(side: Side, source: Cond, destination: Cond) -> Cond {
    match side {
        Side::Source => source,
        Side::Destination => destination,
        Side::Either => Cond::Any(vec![source, destination]),
        Side::Both => Cond::All(vec![source, destination]),
    }
}

/// The first `len` bits at `offset` are those of an address.
fn words(offset: u32, octets: &[u8], len: u8) -> Cond {
    let mut left = u32::from(len);
    let words = octets.chunks_exact(4).zip(0..).map_while(|(word, place)| {
        let bits = left.min(32);
        left -= bits;
        let mask = u32::MAX.checked_shl(32 - bits).filter(|mask| *mask != 0)?;
        let value = u32::from_be_bytes([word[0], word[1], word[2], word[3]]) & mask;
        Some(Cond::Is(Load::Word(offset + 4 * place), mask, Relation::Equal, value))
    });
    Cond::All(words.collect())
}
