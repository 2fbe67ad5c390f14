//! Which protocols a rule has made sure of so far, and what a key needs before it may be read.
//!
//! Source: nft's `src/proto.c` and `payload_gen_dependency()` in `src/payload.c`.

use crate::syntax::{
    EtherField, Family, Ip6Field, IpField, Key, Match, Meta, Op, Operand, Right, Transport, Value,
    ether_type, nf_proto, protocol,
};

/// What a rule knows about the packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Context {
    family: Family,
    ethernet: bool,
    network: Option<u16>,
    transport: Option<u8>,
}

impl Context {
    /// At the beginning of a rule in a table of `family`.
    pub(super) fn new(family: Family) -> Self {
        let (ethernet, network) = match family {
            Family::Inet => (false, None),
            Family::Ip => (false, Some(ether_type::IP)),
            Family::Ip6 => (false, Some(ether_type::IP6)),
            Family::Arp => (true, Some(ether_type::ARP)),
            Family::Bridge | Family::Netdev => (true, None),
        };
        Self { family, ethernet, network, transport: None }
    }

    /// The transport protocol, if the rule has made sure of it.
    pub(super) fn transport(&self) -> Option<u8> {
        self.transport
    }

    /// The Ethernet type of the network protocol, if the rule has made sure of it.
    pub(super) fn network(&self) -> Option<u16> {
        self.network
    }

    /// Whether packets of the family can have what `key` reads.
    pub(super) fn can_have(&self, key: Key) -> bool {
        let families: &[Family] = match key {
            Key::Ip(_) | Key::IcmpType => &[Family::Inet, Family::Ip, Family::Bridge, Family::Netdev],
            Key::Ip6(_) | Key::Icmpv6Type => &[Family::Inet, Family::Ip6, Family::Bridge, Family::Netdev],
            Key::Arp(_) => &[Family::Arp, Family::Bridge, Family::Netdev],
            Key::Port { .. } => &[Family::Inet, Family::Ip, Family::Ip6, Family::Bridge, Family::Netdev],
            _ => &Family::ALL,
        };
        families.contains(&self.family)
    }

    /// Learns from a match.
    pub(super) fn learn(&mut self, of: &Match) {
        let ([key], None, Op::Eq, Right::Operand(Operand::Value(value))) =
            (&of.key[..], &of.mask, of.op, &of.right)
        else {
            return;
        };
        match (key, value) {
            (Key::Meta(Meta::Nfproto), Value::NfProto(nf_proto::IPV4)) => self.network = Some(ether_type::IP),
            (Key::Meta(Meta::Nfproto), Value::NfProto(nf_proto::IPV6)) => {
                self.network = Some(ether_type::IP6)
            }
            (Key::Meta(Meta::Protocol) | Key::Ether(EtherField::Type), Value::EtherType(number)) => {
                self.network = Some(*number);
            }
            (
                Key::Meta(Meta::L4proto) | Key::Ip(IpField::Protocol) | Key::Ip6(Ip6Field::Nexthdr),
                Value::Protocol(number),
            ) => self.transport = Some(*number),
            (Key::Meta(Meta::Iiftype), Value::IfType(1)) => self.ethernet = true,
            _ => {}
        }
    }

    /// The matches that must come before `key` is read, in order; they are taken as learnt.
    pub(super) fn require(&mut self, key: Key) -> Vec<(Key, Value)> {
        let mut needs = Vec::new();
        match key {
            Key::Ip(_) => self.require_network(ether_type::IP, false, &mut needs),
            Key::Ip6(_) => self.require_network(ether_type::IP6, false, &mut needs),
            Key::Arp(_) => self.require_network(ether_type::ARP, true, &mut needs),
            Key::Ether(_) if !self.ethernet => {
                self.ethernet = true;
                needs.push((Key::Meta(Meta::Iiftype), Value::IfType(1)));
            }
            Key::Port { transport: Transport::Tcp, .. } => self.require_transport(protocol::TCP, &mut needs),
            Key::Port { transport: Transport::Udp, .. } => self.require_transport(protocol::UDP, &mut needs),
            Key::Port { transport: Transport::Sctp, .. } => {
                self.require_transport(protocol::SCTP, &mut needs)
            }
            Key::IcmpType => {
                self.require_network(ether_type::IP, true, &mut needs);
                self.require_transport(protocol::ICMP, &mut needs);
            }
            Key::Icmpv6Type => {
                self.require_network(ether_type::IP6, true, &mut needs);
                self.require_transport(protocol::ICMPV6, &mut needs);
            }
            _ => {}
        }
        needs
    }

    /// The match that must come before an ICMP (IPv4) or ICMPv6 reject.
    pub(super) fn require_ip(&mut self, number: u16) -> Vec<(Key, Value)> {
        let mut needs = Vec::new();
        self.require_network(number, true, &mut needs);
        needs
    }

    fn require_network(&mut self, number: u16, by_header: bool, needs: &mut Vec<(Key, Value)>) {
        if self.network == Some(number) {
            return;
        }
        let is_ip = number == ether_type::IP || number == ether_type::IP6;
        let by_type = (Key::Ether(EtherField::Type), Value::EtherType(number));
        match self.family {
            // Asked before, with `can_have`.
            Family::Ip | Family::Ip6 | Family::Arp => return,
            Family::Inet if self.ethernet => needs.push(by_type),
            Family::Inet if is_ip => {
                let family = if number == ether_type::IP { nf_proto::IPV4 } else { nf_proto::IPV6 };
                needs.push((Key::NFPROTO, Value::NfProto(family)));
            }
            Family::Inet => return,
            Family::Bridge | Family::Netdev if by_header => needs.push(by_type),
            Family::Bridge | Family::Netdev => {
                needs.push((Key::Meta(Meta::Protocol), Value::EtherType(number)));
            }
        }
        self.network = Some(number);
    }

    fn require_transport(&mut self, number: u8, needs: &mut Vec<(Key, Value)>) {
        if self.transport != Some(number) {
            self.transport = Some(number);
            needs.push((Key::L4PROTO, Value::Protocol(number)));
        }
    }
}
