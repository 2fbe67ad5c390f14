//! What a filter takes is what it says: programs against a reading of the packet that knows nothing of programs.

mod packets;

use std::net::IpAddr;

use packets::{Packet, Payload, ip, packet};
use pontoon_capture::filter::{
    Filter, FilterError, Group, Network, Primitive, Protocol, Side, Transport, parse,
};
use pontoon_capture::{Link, bpf};
use pontoon_model::Diagnose as _;
use pontoon_netlink::link::HwAddr;
use proptest::prelude::*;
use proptest::sample::select;

/// Whether a packet is what a filter says, by the parts that it was made from.
fn is(filter: &Filter, packet: &Packet, link: Link) -> bool {
    match filter {
        Filter::And(left, right) => is(left, packet, link) && is(right, packet, link),
        Filter::Or(left, right) => is(left, packet, link) || is(right, packet, link),
        Filter::Not(inner) => !is(inner, packet, link),
        Filter::Is(primitive) => has(primitive, packet, link),
    }
}

fn on(side: Side, source: bool, destination: bool) -> bool {
    match side {
        Side::Source => source,
        Side::Destination => destination,
        Side::Either => source || destination,
        Side::Both => source && destination,
    }
}

fn has(primitive: &Primitive, packet: &Packet, link: Link) -> bool {
    let ethernet = link == Link::Ethernet;
    let transport = |number: u8| matches!(packet.payload, Payload::Ip { protocol, .. } if protocol == number);
    let v6 = packet.is_v6();
    let ip = matches!(packet.payload, Payload::Ip { .. });
    match primitive {
        Primitive::Protocol(Protocol::Ip) => ip && !v6,
        Primitive::Protocol(Protocol::Ip6) => ip && v6,
        Primitive::Protocol(Protocol::Arp) => matches!(packet.payload, Payload::Arp),
        Primitive::Protocol(Protocol::Tcp) => transport(6),
        Primitive::Protocol(Protocol::Udp) => transport(17),
        Primitive::Protocol(Protocol::Sctp) => transport(132),
        Primitive::Protocol(Protocol::Icmp) => transport(1) && !v6,
        Primitive::Protocol(Protocol::Icmp6) => transport(58) && v6,
        Primitive::Address { within, side, address, len } => {
            let wanted = ipnet::IpNet::new(*address, *len).unwrap();
            let matches = |address: IpAddr| wanted.contains(&address);
            let right = match (&packet.payload, within) {
                (Payload::Ip { .. }, Some(Network::Ip)) => !v6,
                (Payload::Ip { .. }, Some(Network::Ip6)) => v6,
                (Payload::Ip { .. }, None) => true,
                (Payload::Arp, None | Some(Network::Arp)) => true,
                _ => false,
            };
            right && on(*side, matches(packet.ends.0), matches(packet.ends.1))
        }
        Primitive::Port { transport: wanted, side, ports } => {
            let Payload::Ip { protocol, ports: (from, to), fragment, .. } = packet.payload else {
                return false;
            };
            let number = match wanted {
                None => [6, 17, 132].contains(&protocol),
                Some(Transport::Tcp) => protocol == 6,
                Some(Transport::Udp) => protocol == 17,
                Some(Transport::Sctp) => protocol == 132,
            };
            // As with libpcap: an extension header of IPv6 is not passed over for ports.
            let readable = if v6 { fragment.is_none() } else { fragment.unwrap_or(0) == 0 };
            number && readable && on(*side, ports.contains(&from), ports.contains(&to))
        }
        Primitive::Ethernet { side, mac } => {
            ethernet && on(*side, packet.macs.0 == mac.0, packet.macs.1 == mac.0)
        }
        Primitive::EtherType(0x0800) => ip && !v6,
        Primitive::EtherType(0x86dd) => ip && v6,
        Primitive::EtherType(0x0806) => matches!(packet.payload, Payload::Arp),
        Primitive::EtherType(number) => {
            ethernet && matches!(packet.payload, Payload::Other { kind } if kind == *number)
        }
        Primitive::IpProtocol { v6: of_v6, number } => transport(*number) && v6 == *of_v6,
        Primitive::Broadcast => ethernet && packet.macs.1 == [0xff; 6],
        Primitive::Multicast(Group::Ethernet) => ethernet && packet.macs.1[0] & 1 == 1,
        // As libpcap has it: broadcast is from 224.0.0.0 on, too.
        Primitive::Multicast(Group::Ip) => {
            ip && matches!(packet.ends.1, IpAddr::V4(address) if address.octets()[0] >= 224)
        }
        Primitive::Multicast(Group::Ip6) => {
            ip && matches!(packet.ends.1, IpAddr::V6(address) if address.octets()[0] == 0xff)
        }
        Primitive::AtLeast(len) => packet.bytes(link).len() >= *len as usize,
        Primitive::AtMost(len) => packet.bytes(link).len() <= *len as usize,
    }
}

fn side() -> impl Strategy<Value = Side> {
    select(vec![Side::Source, Side::Destination, Side::Either, Side::Both])
}

fn primitive() -> impl Strategy<Value = Primitive> {
    use Protocol::{Arp, Icmp, Icmp6, Ip, Ip6, Sctp, Tcp, Udp};
    let transports = vec![None, Some(Transport::Tcp), Some(Transport::Udp), Some(Transport::Sctp)];
    let groups = vec![Group::Ethernet, Group::Ip, Group::Ip6];
    prop_oneof![
        select(vec![Ip, Ip6, Arp, Tcp, Udp, Sctp, Icmp, Icmp6]).prop_map(Primitive::Protocol),
        (any::<Index3>(), side(), ip(), any::<bool>(), 0..=128_u8).prop_map(
            |(within, side, address, whole, len)| {
                let most = if address.is_ipv4() { 32 } else { 128 };
                let len = if whole { most } else { len.min(most) };
                let address = ipnet::IpNet::new(address, len).unwrap().network();
                let within = match (within.0, address) {
                    (0, _) => None,
                    (_, IpAddr::V6(_)) => Some(Network::Ip6),
                    (1, _) => Some(Network::Ip),
                    _ => Some(Network::Arp),
                };
                Primitive::Address { within, side, address, len }
            }
        ),
        (select(transports), side(), 0..6_u16, 0..3_u16).prop_map(|(transport, side, first, more)| {
            Primitive::Port { transport, side, ports: first..=first + more }
        }),
        (side(), packets::mac()).prop_map(|(side, mac)| Primitive::Ethernet { side, mac: HwAddr(mac) }),
        select(vec![0x0800_u16, 0x0806, 0x86dd, 0x88cc]).prop_map(Primitive::EtherType),
        (any::<bool>(), select(vec![1_u8, 6, 17, 47, 58]))
            .prop_map(|(v6, number)| Primitive::IpProtocol { v6, number }),
        Just(Primitive::Broadcast),
        select(groups).prop_map(Primitive::Multicast),
        (0..120_u32).prop_map(Primitive::AtLeast),
        (0..120_u32).prop_map(Primitive::AtMost),
    ]
}

/// 0, 1 or 2.
#[derive(Debug, Clone, Copy)]
struct Index3(u8);

impl Arbitrary for Index3 {
    type Parameters = ();
    type Strategy = BoxedStrategy<Self>;

    fn arbitrary_with((): ()) -> Self::Strategy {
        (0..3_u8).prop_map(Self).boxed()
    }
}

fn filter() -> impl Strategy<Value = Filter> {
    primitive().prop_map(Filter::Is).prop_recursive(5, 40, 2, |inner| {
        let both = (inner.clone(), inner.clone());
        let boxed = |(left, right)| (Box::new(left), Box::new(right));
        prop_oneof![
            both.clone().prop_map(boxed).prop_map(|(left, right)| Filter::And(left, right)),
            both.prop_map(boxed).prop_map(|(left, right)| Filter::Or(left, right)),
            inner.prop_map(|inner| Filter::Not(Box::new(inner))),
        ]
    })
}

fn takes(filter: &Filter, link: Link, bytes: &[u8]) -> u32 {
    bpf::run(&filter.program(link, 77).unwrap(), bytes).expect("the program ends")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_program_takes_what_the_filter_says(filter in filter(), packet in packet()) {
        for link in [Link::Ethernet, Link::Raw] {
            if link == Link::Raw && !matches!(packet.payload, Payload::Ip { .. }) {
                continue;
            }
            let taken = takes(&filter, link, &packet.bytes(link));
            prop_assert_eq!(taken, if is(&filter, &packet, link) { 77 } else { 0 }, "{} {:?}", filter, packet);
        }
    }

    #[test]
    fn a_filter_is_read_as_it_is_written(filter in filter()) {
        prop_assert_eq!(parse(&filter.to_string()), Ok(filter));
    }

    #[test]
    fn any_bytes_are_taken_or_not(filter in filter(), bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        for link in [Link::Ethernet, Link::Raw] {
            prop_assert!([0, 77].contains(&takes(&filter, link, &bytes)));
        }
    }

    #[test]
    fn any_text_is_a_filter_or_an_error_that_says_where(text in "(tcp|port|host|and|or|not|src|dst|net|[(]|[)]|!|80|10\\.0\\.0\\.1|10/8| |é|\\PC){0,12}") {
        if let Err(FilterError::Unknown { at, .. } | FilterError::Wrong { at, .. }) = parse(&text) {
            prop_assert!((1..=text.chars().count() + 1).contains(&at));
        }
    }
}

#[test]
fn short_forms_mean_what_libpcap_has_them_mean() {
    for (short, long) in [
        ("tcp port 80 or 443", "tcp port 80 or tcp port 443"),
        ("host 10.0.0.1 and not port 22", "host 10.0.0.1 and (not port 22)"),
        ("icmp or arp and ip", "(icmp or arp) and ip"),
        ("not icmp and arp", "(not icmp) and arp"),
        ("src or dst port 5", "port 5"),
        ("src and dst net 10", "src and dst net 10.0.0.0/8"),
        ("src 10.0.0.1 and dst 10.0.0.2", "src host 10.0.0.1 and dst host 10.0.0.2"),
        ("10.0.0.1", "host 10.0.0.1"),
        ("net 192.168.0.0 mask 255.255.0.0", "net 192.168"),
        ("dst net fd00::/8", "dst net fd00::/8"),
        ("port http || https", "port 80 or port 443"),
        ("portrange 90-80", "portrange 80-90"),
        ("ip proto \\tcp && !port domain", "ip proto 6 and not port 53"),
        ("ether src 2:0:0:0:0:1", "ether src host 02:00:00:00:00:01"),
        ("ether proto 0x88cc or ether multicast", "ether proto 35020 or multicast"),
        ("(tcp)and(udp)", "tcp and udp"),
    ] {
        assert_eq!(parse(short), parse(long), "{short}");
        assert!(parse(short).is_ok(), "{short}");
    }
}

#[test]
fn errors_say_where_and_what_instead() {
    for (text, at, says) in [
        ("tcp and prot 80", 9, "did you mean `proto` or `port`?"),
        ("frobnicate", 1, "these words are known: host"),
        ("tcp 80", 5, "nothing says what `80` is"),
        ("tcp udp", 5, "join conditions with `and` or `or`"),
        ("host web", 6, "`web` is not an address such as 10.0.0.1"),
        ("port 70000", 6, "a port from 0 to 65535"),
        ("tcp port", 9, "a port is missing"),
        ("(tcp", 1, "a parenthesis is not closed"),
        ("tcp)", 4, "closed that is not open"),
        ("tcp host 10.0.0.1", 10, "join them: `tcp and host 10.0.0.1`"),
        ("ip6 host 10.0.0.1", 10, "of the other family"),
        ("net 10.0.0.1/8", 5, "the network is 10.0.0.0/8"),
        ("tcp[13] & 2 != 0", 1, "bytes of packets cannot be compared"),
        ("tcp and", 8, "a condition is missing"),
        ("less many", 6, "not a number of bytes"),
    ] {
        let error = parse(text).expect_err(text);
        let (FilterError::Unknown { at: found, .. } | FilterError::Wrong { at: found, .. }) = &error else {
            panic!("{text}: {error}")
        };
        let said = format!("{error} {}", error.hint().unwrap_or_default());
        assert!(*found == at && said.contains(says), "{text}: {said}");
    }
    let deep = format!("{}tcp", "not ".repeat(1000));
    assert!(parse(&deep).is_err());
}

#[test]
fn programs_may_be_long_and_not_too_long() {
    let hosts = |count: usize| {
        let all: Vec<String> = (0..count).map(|n| format!("10.0.{}.{}", n / 250, n % 250)).collect();
        parse(&format!("src host {}", all.join(" or "))).unwrap()
    };
    let many = hosts(200);
    let program = many.program(Link::Raw, 9).unwrap();
    assert!(program.len() > 300);
    let packet =
        |last: u8| [&[0x45, 0, 0, 20, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, last][..], &[0; 4]].concat();
    assert_eq!(bpf::run(&program, &packet(199)), Some(9));
    assert_eq!(bpf::run(&program, &packet(200)), Some(0));
    assert_eq!(hosts(2000).program(Link::Raw, 9), Err(FilterError::TooLong));
}
