//! What a probe is known by, in any namespace and with any addresses.
//!
//! Neither a mark nor a trace survives the way into another namespace, and addresses and ports may be translated. What
//! stays is what no router has a reason to touch: the data of an echo request or a datagram, the sequence number of a TCP
//! segment and its acknowledgement.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use pontoon_nft::syntax::{
    Base, Chain, ChainKind, Command, Family, Hook, Key, Match, PayloadBase, Policy, Rule, Statement,
    TableRef, Value, protocol,
};

use super::stitch::Kind;

/// What all names of our tables begin with.
pub const TABLE: &str = "pontoon_probe_";

/// `NF_IP_PRI_FIRST` and `NF_IP_PRI_LAST`: before and after everybody. Source: netfilter_ipv4.h.
const FIRST: i32 = i32::MIN;
const LAST: i32 = i32::MAX;

/// Our chains: at which hook, whether before or after everybody, and whether they mark packets as to be traced.
///
/// Those that mark do it where packets enter a namespace, both before and after translation. The others have no rules:
/// that a packet comes to one tells that all before let it pass.
const CHAINS: [(Hook, bool, bool); 7] = [
    (Hook::Prerouting, true, true),
    (Hook::Prerouting, false, true),
    (Hook::Input, false, false),
    (Hook::Forward, false, false),
    (Hook::Output, true, true),
    (Hook::Output, false, false),
    (Hook::Postrouting, false, false),
];

/// What a probe is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Whether it is IPv4.
    pub v4: bool,
    /// The protocol's number: TCP's, UDP's or ICMP's.
    pub protocol: u8,
    /// What it carries: as its data, or for TCP the first half as its sequence number.
    pub token: [u8; 8],
    /// The sender's port.
    pub source_port: u16,
}

/// The beginning of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// From whom.
    pub source: IpAddr,
    /// To whom.
    pub destination: IpAddr,
    /// The protocol's number.
    pub protocol: u8,
    /// How many routers may still pass it on.
    pub hops_left: u8,
    /// The number that tells packets of IPv4 from each other; 0 for IPv6.
    pub id: u16,
    /// The first bytes of what is within.
    within: [u8; 16],
}

impl Header {
    /// Reads the beginning of an IP header and of what is in it; `None` for anything else, and for a fragment that is not
    /// the first.
    ///
    /// Source: RFC 791, section 3.1; RFC 8200, section 3.
    pub fn read(network: &[u8], transport: &[u8]) -> Option<Self> {
        let mut within = [0; 16];
        let len = transport.len().min(16);
        within[..len].copy_from_slice(&transport[..len]);
        match network.first()? >> 4 {
            4 => {
                let header: &[u8; 20] = network.first_chunk()?;
                if u16::from_be_bytes([header[6], header[7]]) & 0x1fff != 0 {
                    return None;
                }
                let address = |at: usize| {
                    Ipv4Addr::new(header[at], header[at + 1], header[at + 2], header[at + 3]).into()
                };
                Some(Self {
                    source: address(12),
                    destination: address(16),
                    protocol: header[9],
                    hops_left: header[8],
                    id: u16::from_be_bytes([header[4], header[5]]),
                    within,
                })
            }
            6 => {
                let header: &[u8; 40] = network.first_chunk()?;
                let address = |at: usize| {
                    let octets: [u8; 16] = header[at..at + 16].try_into().expect("16 of 40 bytes");
                    Ipv6Addr::from(octets).into()
                };
                Some(Self {
                    source: address(8),
                    destination: address(24),
                    protocol: header[6],
                    hops_left: header[7],
                    id: 0,
                    within,
                })
            }
            _ => None,
        }
    }

    /// The sender's and the receiver's port, where the protocol has them.
    pub fn ports(&self) -> Option<(u16, u16)> {
        let port = |at: usize| u16::from_be_bytes([self.within[at], self.within[at + 1]]);
        matches!(self.protocol, protocol::TCP | protocol::UDP).then(|| (port(0), port(2)))
    }

    fn number(&self, at: usize) -> u32 {
        u32::from_be_bytes(self.within[at..at + 4].try_into().expect("4 of 16 bytes"))
    }

    /// Whether it is an ICMP message about another packet.
    ///
    /// Source: RFC 792; RFC 4443, section 2.1.
    pub fn is_error(&self) -> bool {
        match self.protocol {
            protocol::ICMP => matches!(self.within[0], 3 | 11 | 12),
            protocol::ICMPV6 => self.within[0] < 128,
            _ => false,
        }
    }
}

impl Mark {
    /// TCP's sequence number.
    pub fn sequence(&self) -> u32 {
        u32::from_be_bytes([self.token[0], self.token[1], self.token[2], self.token[3]])
    }

    fn icmp(&self) -> u8 {
        if self.v4 { protocol::ICMP } else { protocol::ICMPV6 }
    }

    /// Whether a packet is the probe, or its answer.
    pub fn kind_of(&self, header: &Header) -> Option<Kind> {
        if header.protocol != self.protocol || header.source.is_ipv4() != self.v4 {
            return None;
        }
        match self.protocol {
            protocol::TCP if header.number(4) == self.sequence() => Some(Kind::Request),
            protocol::TCP => (header.number(8) == self.sequence().wrapping_add(1)).then_some(Kind::Answer),
            protocol::UDP => {
                let (from, to) = header.ports()?;
                let has_token = header.within[8..] == self.token;
                match (has_token, to == self.source_port) {
                    (true, back) if from == self.source_port || !back => Some(Kind::Request),
                    (_, true) => Some(Kind::Answer),
                    _ => None,
                }
            }
            _ if header.within[8..] != self.token => None,
            _ if matches!(header.within[0], 8 | 128) => Some(Kind::Request),
            _ => Some(Kind::Answer),
        }
    }

    /// The table that has the kernel trace the probe, in a namespace's `family`: it belongs to the socket that makes it.
    pub fn commands(&self, family: Family, id: &str) -> Vec<Command> {
        let table = table(family, id);
        let comment = Some("a packet of `pontoon explain --probe` is followed".to_owned());
        let mut commands = vec![Command::CreateOwnedTable { table: table.clone(), comment }];
        for (hook, first, marks) in CHAINS {
            let name = chain_name(hook, first);
            let base = Base {
                kind: ChainKind::Filter,
                hook,
                priority: if first { FIRST } else { LAST },
                policy: Policy::Accept,
                device: None,
            };
            let chain = Chain { name: name.clone(), base: Some(base), comment: None };
            commands.push(Command::AddChain { table: table.clone(), chain });
            if marks {
                let rules = self.matches().into_iter().map(|mut statements| {
                    statements.push(Statement::Trace);
                    Rule::new(statements)
                });
                let add = |rule| Command::AddRule { table: table.clone(), chain: name.clone(), rule };
                commands.extend(rules.map(add));
            }
        }
        commands
    }

    /// What the probe, its answer, and errors about it are known by.
    fn matches(&self) -> Vec<Vec<Statement>> {
        let of = |number: u8, at: i32, bytes: &[u8]| {
            let key = Key::Raw { base: PayloadBase::Transport, offset: at as _, len: bytes.len() as _ };
            vec![
                Match::is(Key::L4PROTO, Value::Protocol(number)),
                Match::is(key, Value::Other(bytes.to_vec())),
            ]
        };
        // An error has a header of 8 bytes, then the header of the packet that it is about, and what follows that.
        let quoted = 8 + if self.v4 { 20 } else { 40 };
        let sequence = self.sequence();
        match self.protocol {
            protocol::TCP => vec![
                of(protocol::TCP, 4, &sequence.to_be_bytes()),
                of(protocol::TCP, 8, &sequence.wrapping_add(1).to_be_bytes()),
                of(self.icmp(), quoted + 4, &sequence.to_be_bytes()),
            ],
            protocol::UDP => vec![
                of(protocol::UDP, 8, &self.token),
                vec![
                    Match::is(Key::L4PROTO, Value::UDP),
                    Match::is(Key::TH_DPORT, Value::Port(self.source_port)),
                ],
                of(self.icmp(), quoted + 8, &self.token),
            ],
            _ => vec![of(self.protocol, 8, &self.token), of(self.protocol, quoted + 8, &self.token)],
        }
    }
}

/// Our table of this number.
pub fn table(family: Family, id: &str) -> TableRef {
    TableRef::new(family, format!("{TABLE}{id}"))
}

/// Whether a table is that of a probe, of anybody's.
pub fn is_probe(table: &TableRef) -> bool {
    table.name.starts_with(TABLE)
}

fn chain_name(hook: Hook, first: bool) -> String {
    format!("{}-{}", crate::path::hook_name(hook), if first { "first" } else { "last" })
}

/// At which hook one of our chains is, and whether it is the last there.
pub(super) fn chain_of(name: &str) -> Option<(Hook, bool)> {
    CHAINS
        .into_iter()
        .find(|(hook, first, _)| chain_name(*hook, *first) == name)
        .map(|(hook, first, _)| (hook, !first))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: [u8; 8] = [0xde, 0xad, 0xbe, 0xef, 5, 6, 7, 8];

    fn header(protocol: u8, within: &[u8]) -> Header {
        let mut network = vec![0x45, 0, 0, 40, 0x12, 0x34, 0, 0, 63, protocol, 0, 0];
        network.extend([10, 0, 0, 1, 10, 0, 0, 2]);
        Header::read(&network, within).unwrap()
    }

    fn mark(protocol: u8) -> Mark {
        Mark { v4: true, protocol, token: TOKEN, source_port: 40000 }
    }

    #[test]
    fn headers_are_read() {
        let read = header(protocol::UDP, &[0x9c, 0x40, 0, 53]);
        assert_eq!(
            (read.source, read.destination),
            ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap())
        );
        assert_eq!((read.hops_left, read.id, read.ports()), (63, 0x1234, Some((40000, 53))));
        let mut v6 = vec![0x60, 0, 0, 0, 0, 16, 58, 64];
        v6.extend("fd00::1".parse::<Ipv6Addr>().unwrap().octets());
        v6.extend("fd00::2".parse::<Ipv6Addr>().unwrap().octets());
        let read = Header::read(&v6, &[128]).unwrap();
        assert_eq!((read.source, read.protocol, read.hops_left), ("fd00::1".parse().unwrap(), 58, 64));
        assert_eq!(Header::read(&v6[..39], &[]), None);
        assert_eq!(Header::read(&[0x45; 19], &[]), None);
        assert_eq!(Header::read(&[], &[]), None);
    }

    #[test]
    fn echoes_are_told_by_their_data() {
        let mark = mark(protocol::ICMP);
        let echo = |kind: u8, token: [u8; 8]| {
            header(protocol::ICMP, &[&[kind, 0, 1, 2, 3, 4, 5, 6][..], &token].concat())
        };
        assert_eq!(mark.kind_of(&echo(8, TOKEN)), Some(Kind::Request));
        assert_eq!(mark.kind_of(&echo(0, TOKEN)), Some(Kind::Answer));
        assert_eq!(mark.kind_of(&echo(8, [0; 8])), None);
        assert!(echo(3, TOKEN).is_error() && !echo(8, TOKEN).is_error());
        // UDP with the same bytes is not it.
        assert_eq!(mark.kind_of(&header(protocol::UDP, &[&[0; 8][..], &TOKEN].concat())), None);
    }

    #[test]
    fn segments_are_told_by_their_sequence_whatever_the_ports() {
        let mark = mark(protocol::TCP);
        let segment = |sequence: u32, acknowledged: u32| {
            let numbers = [sequence.to_be_bytes(), acknowledged.to_be_bytes()].concat();
            header(protocol::TCP, &[&[1, 2, 3, 4][..], &numbers, &[0x50, 2, 0, 0]].concat())
        };
        assert_eq!(mark.kind_of(&segment(0xdead_beef, 0)), Some(Kind::Request));
        assert_eq!(mark.kind_of(&segment(77, 0xdead_bef0)), Some(Kind::Answer));
        assert_eq!(mark.kind_of(&segment(77, 0xdead_beef)), None);
        let last = Mark { token: [0xff; 8], ..mark };
        assert_eq!(last.kind_of(&segment(1, 0)), Some(Kind::Answer), "sequence numbers wrap");
    }

    #[test]
    fn datagrams_are_told_by_data_there_and_by_port_back() {
        let mark = mark(protocol::UDP);
        let datagram = |from: u16, to: u16, data: [u8; 8]| {
            let ports = [from.to_be_bytes(), to.to_be_bytes()].concat();
            header(protocol::UDP, &[&ports[..], &[0, 16, 0, 0], &data].concat())
        };
        assert_eq!(mark.kind_of(&datagram(40000, 53, TOKEN)), Some(Kind::Request));
        assert_eq!(
            mark.kind_of(&datagram(1024, 53, TOKEN)),
            Some(Kind::Request),
            "the source was translated"
        );
        assert_eq!(mark.kind_of(&datagram(53, 40000, [1; 8])), Some(Kind::Answer));
        assert_eq!(mark.kind_of(&datagram(53, 40000, TOKEN)), Some(Kind::Answer), "an echo service");
        assert_eq!(mark.kind_of(&datagram(53, 4000, [1; 8])), None);
    }

    #[test]
    fn tables_have_a_chain_before_and_after_everybody() {
        let commands = mark(protocol::TCP).commands(Family::Inet, "a1");
        let text: Vec<String> = commands.iter().map(ToString::to_string).collect();
        assert!(text[0].starts_with("create table inet pontoon_probe_a1 { flags owner;"), "{}", text[0]);
        let traced = "add rule inet pontoon_probe_a1 prerouting-first meta l4proto tcp @th,32,32 0xdeadbeef meta nftrace set 1";
        assert!(text.iter().any(|line| line == traced), "{text:#?}");
        assert!(text.iter().any(|line| line.contains("@th,64,32 0xdeadbef0")), "{text:#?}");
        // The sequence number of a segment that an error quotes: 8 + 20 + 4 bytes.
        assert!(
            text.iter().any(|line| line.contains("meta l4proto icmp @th,256,32 0xdeadbeef")),
            "{text:#?}"
        );
        for (hook, first, _) in CHAINS {
            let name = chain_name(hook, first);
            assert!(text.iter().any(|line| line.contains(&format!(" {name} {{ type filter"))), "{name}");
            assert_eq!(chain_of(&name), Some((hook, !first)));
        }
        assert!(is_probe(&table(Family::Bridge, "a1")) && !is_probe(&TableRef::new(Family::Inet, "pontoon")));
    }
}
