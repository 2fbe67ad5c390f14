//! Messages byte by byte, and decoders on bytes that no kernel sends.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use pontoon_netlink::address::{Address, DumpAddresses};
use pontoon_netlink::conntrack::{Counter, DumpEntries, Entry, Tuple};
use pontoon_netlink::link::{
    AltName, DelLink, DumpLinks, GetLink, GetStats, HwAddr, Ipv4Conf, Kind, Link, LinkIndex, LinkStats,
    NewLink, Peer, SetLink,
};
use pontoon_netlink::neighbour::{DumpFdb, FdbEntry, GetFdb, Neighbour};
use pontoon_netlink::qdisc::{DelQdisc, Discipline, GetQdisc, Handle, Parent, Qdisc, ReplaceQdisc};
use pontoon_netlink::route::{DumpRoutes, GetRoute, NextHop, Route};
use pontoon_netlink::rule::{Action, Mark, Rule};
use pontoon_netlink::socket_diag::{DumpSockets, InetSocket, State, States};
use pontoon_netlink::wire::{Ack, Attrs, Batch, Messages};
use pontoon_netlink::{Family, Prefix};
use proptest::prelude::*;

fn encoded(encode: impl FnOnce(&mut Batch)) -> Vec<u8> {
    let mut batch = Batch::new(1);
    encode(&mut batch);
    batch.bytes().to_vec()
}

/// Bytes from hexadecimal digits; what follows `#` in a line is a remark.
fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text
        .lines()
        .flat_map(|line| line.split('#').next().unwrap_or_default().chars())
        .filter_map(|digit| digit.to_digit(16))
        .collect();
    digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect()
}

#[test]
#[cfg(target_endian = "little")]
fn a_veth_pair_byte_by_byte() {
    let peer = Peer { name: "eth0", ..Peer::default() };
    let new = NewLink { master: Some(LinkIndex(5)), echo: true, ..NewLink::veth("ve", peer) };
    let wanted = hex("
        84000000 1000 0d06 01000000 00000000          # length 132, RTM_NEWLINK, REQUEST|ACK|ECHO|EXCL|CREATE
        00 00 0000 00000000 00000000 00000000         # struct ifinfomsg
        0700 0300 766500 00                           # IFLA_IFNAME ve
        0800 1f00 01000000                            # IFLA_NUM_TX_QUEUES 1
        0800 2000 01000000                            # IFLA_NUM_RX_QUEUES 1
        0800 0a00 05000000                            # IFLA_MASTER 5
        4400 1280                                     # IFLA_LINKINFO
          0900 0100 7665746800 000000                 # IFLA_INFO_KIND veth
          3400 0280                                   # IFLA_INFO_DATA
            3000 0180                                 # VETH_INFO_PEER
              00 00 0000 00000000 00000000 00000000   # struct ifinfomsg
              0900 0300 6574683000 000000             # IFLA_IFNAME eth0
              0800 1f00 01000000                      # IFLA_NUM_TX_QUEUES 1
              0800 2000 01000000                      # IFLA_NUM_RX_QUEUES 1
    ");
    assert_eq!(encoded(|batch| new.encode(batch)), wanted);
}

#[test]
#[cfg(target_endian = "little")]
fn settings_byte_by_byte() {
    let set = SetLink { ipv4_conf: &[(Ipv4Conf::Forwarding, 1)], ..SetLink::up("e") };
    let wanted = hex("
        3c000000 1000 0500 01000000 00000000   # length 60, RTM_NEWLINK, REQUEST|ACK
        00 00 0000 00000000 01000000 01000000  # struct ifinfomsg, IFF_UP changed and set
        0600 0300 6500 0000                    # IFLA_IFNAME e
        1400 1a80                              # IFLA_AF_SPEC
          1000 0280                            # AF_INET
            0c00 0180                          # IFLA_INET_CONF
              0800 0100 01000000               # IPV4_DEVCONF_FORWARDING 1
    ");
    assert_eq!(encoded(|batch| set.encode(batch)), wanted);
}

/// As `tc qdisc replace dev va root handle 7074: tbf rate 10mbit burst 12500b limit 137500b` sends it, but for the table of
/// the rate, for kernels before 3.8, and what belongs to it (`cell_log` and `cell_align`).
#[test]
#[cfg(target_endian = "little")]
fn a_token_bucket_byte_by_byte() {
    let discipline = Discipline::Tbf { rate: 1_250_000, burst: 12_500, limit: 137_500 };
    let replace =
        ReplaceQdisc { link: LinkIndex(3), parent: Parent::Root, handle: Handle(0x7074), discipline };
    let wanted = hex("
        60000000 2400 0505 01000000 00000000            # length 96, RTM_NEWQDISC, REQUEST|ACK|REPLACE|CREATE
        00 00 0000 03000000 00007470 ffffffff 00000000  # struct tcmsg: link 3, handle 7074:, parent root
        0800 0100 74626600                            # TCA_KIND tbf
        3400 0280                                       # TCA_OPTIONS
          2800 0100                                   # TCA_TBF_PARMS
            00 01 0000 0000 0000 d0121300             # struct tc_ratespec: Ethernet, 1250000 bytes a second
            00 00 0000 0000 0000 00000000             # no peak rate
            1c190200 5a620200 00000000                # limit 137500, buffer 10 ms, mtu 0
          0800 0600 d4300000                          # TCA_TBF_BURST 12500
    ");
    assert_eq!(encoded(|batch| replace.encode(batch)), wanted);
    // More than 32 bits of bytes a second.
    let discipline = Discipline::Tbf { rate: 1 << 33, burst: 1, limit: 1 };
    let fast = encoded(|batch| ReplaceQdisc { discipline, ..replace }.encode(batch));
    assert_eq!(fast.len(), wanted.len() + 12);
    assert!(fast.ends_with(&hex("0c00 0400 0000000002000000 0800 0600 01000000")), "TCA_TBF_RATE64");
}

/// As `tc qdisc replace dev va parent 7074:1 handle 7075: netem delay 20ms 5ms limit 1000` sends it.
#[test]
#[cfg(target_endian = "little")]
fn a_delay_byte_by_byte() {
    let milliseconds = std::time::Duration::from_millis;
    let discipline = Discipline::Netem { delay: milliseconds(20), jitter: milliseconds(5), limit: 1000 };
    let parent = Parent::Inside(Handle(0x7074));
    let replace = ReplaceQdisc { link: LinkIndex(3), parent, handle: Handle(0x7075), discipline };
    let wanted = hex("
        4c000000 2400 0505 01000000 00000000            # length 76, RTM_NEWQDISC, REQUEST|ACK|REPLACE|CREATE
        00 00 0000 03000000 00007570 01007470 00000000  # struct tcmsg: link 3, handle 7075:, parent 7074:1
        0a00 0100 6e6574656d00 0000                     # TCA_KIND netem
        1c00 0200 b4c40400 e8030000 00000000 00000000 00000000 2d310100  # TCA_OPTIONS: struct tc_netem_qopt
    ");
    assert_eq!(encoded(|batch| replace.encode(batch)), wanted);
}

#[test]
#[cfg(target_endian = "little")]
fn a_queueing_discipline_is_asked_for_and_taken_away() {
    let link = LinkIndex(3);
    let delete = hex("
        24000000 2500 0500 01000000 00000000            # length 36, RTM_DELQDISC, REQUEST|ACK
        00 00 0000 03000000 00007470 ffffffff 00000000  # struct tcmsg
    ");
    assert_eq!(encoded(|batch| DelQdisc { link, handle: Handle(0x7074) }.encode(batch)), delete);
    let get = hex("
        24000000 2600 0d00 01000000 00000000            # length 36, RTM_GETQDISC, REQUEST|ACK|ECHO
        00 00 0000 03000000 00000000 ffffffff 00000000  # struct tcmsg
    ");
    assert_eq!(encoded(|batch| GetQdisc { link }.encode(batch)), get);
    let told = hex("00 00 0000 03000000 00007470 ffffffff 02000000  0800 0100 74626600");
    let known = Qdisc { link, handle: Handle(0x7074), kind: "tbf".to_owned() };
    assert_eq!(Qdisc::decode(&told), Some(known));
    assert_eq!(Qdisc::decode(&told[..20]), None);
    assert_eq!(Qdisc::decode(&told[..19]), None);
}

#[test]
#[cfg(target_endian = "little")]
fn a_question_for_sockets_byte_by_byte() {
    let states = States::of(&[State::Listen, State::BoundInactive]);
    let dump = DumpSockets { family: Family::V6, protocol: 6, states, ports: 80..=90 };
    let wanted = hex("
        5c000000 1400 0103 01000000 00000000   # length 92, SOCK_DIAG_BY_FAMILY, REQUEST|DUMP
        0a 06 00 00 00240000                   # AF_INET6, IPPROTO_TCP, states 10 and 13
        0000 0000                              # struct inet_diag_sockid
        00000000 00000000 00000000 00000000
        00000000 00000000 00000000 00000000
        00000000 00000000 00000000
        1400 0100                              # INET_DIAG_REQ_BYTECODE
          02 08 1400 00 00 5000                # S_GE, 8 on if so, else 20; port 80
          03 08 0c00 00 00 5a00                # S_LE, 8 on if so, else 12; port 90
    ");
    assert_eq!(encoded(|batch| dump.encode(batch)), wanted);
}

#[test]
#[cfg(target_endian = "little")]
fn connections_byte_by_byte() {
    let (client, host) = ((IpAddr::from([192, 0, 2, 9]), 40_000), (IpAddr::from([192, 0, 2, 1]), 8080));
    let new = Entry::new(Tuple::new(17, client, host), Tuple::new(17, host, client), 30);
    let entry = Entry { zone: Some(5), id: 7, ..new };
    let wanted = hex("
        58000000 0201 0500 01000000 00000000   # length 88, IPCTNL_MSG_CT_DELETE, REQUEST|ACK
        02 00 0000                             # struct nfgenmsg, AF_INET
        3400 0180                              # CTA_TUPLE_ORIG
          1400 0180                            # CTA_TUPLE_IP
            0800 0100 c0000209                 # CTA_IP_V4_SRC
            0800 0200 c0000201                 # CTA_IP_V4_DST
          1c00 0280                            # CTA_TUPLE_PROTO
            0500 0100 11 000000                # CTA_PROTO_NUM 17
            0600 0200 9c40 0000                # CTA_PROTO_SRC_PORT 40000
            0600 0300 1f90 0000                # CTA_PROTO_DST_PORT 8080
        0600 1200 0005 0000                    # CTA_ZONE 5
        0800 0c00 00000007                     # CTA_ID 7
    ");
    assert_eq!(encoded(|batch| entry.encode_delete(batch)), wanted);
    let dump = DumpEntries { family: Family::V6, protocol: Some(17) };
    let wanted = hex("
        30000000 0101 0103 01000000 00000000   # length 48, IPCTNL_MSG_CT_GET, REQUEST|DUMP
        0a 00 0000                             # struct nfgenmsg, AF_INET6
        1000 0180                              # CTA_TUPLE_ORIG
          0c00 0280                            # CTA_TUPLE_PROTO
            0500 0100 11 000000                # CTA_PROTO_NUM 17
        0c00 1980                              # CTA_FILTER
          0800 0100 08000000                   # CTA_FILTER_ORIG_FLAGS, the protocol's number
    ");
    assert_eq!(encoded(|batch| dump.encode(batch)), wanted);
}

#[test]
#[cfg(target_endian = "little")]
fn a_socket_is_read_byte_by_byte() {
    let answer = hex("
        0a 0a 00 00 0050 0000                  # AF_INET6, LISTEN; port 80, none
        fd000000 00000000 00000000 00000001    # fd00::1
        00000000 00000000 00000000 00000000
        02000000 01000000 00000000             # link 2, cookie
        00000000 00000000 80000000             # expires, queues
        e8030000 39300000                      # user 1000, inode 12345
        0500 0800 00 000000                    # INET_DIAG_SHUTDOWN
        0500 0b00 01 000000                    # INET_DIAG_SKV6ONLY
    ");
    let socket = InetSocket {
        state: State::Listen,
        local: "[fd00::1]:80".parse().unwrap(),
        peer: "[::]:0".parse().unwrap(),
        link: 2,
        uid: 1000,
        inode: 12_345,
        v6only: Some(true),
    };
    assert_eq!(InetSocket::decode(&answer), Some(socket));
    assert_eq!(InetSocket::decode(&answer[..71]), None);
}

#[test]
fn states_are_bits() {
    assert_eq!(States::of(&[]).others(), States::ALL);
    assert_eq!(States::of(&[State::Established, State::Close]), States(0x82));
    assert_eq!(States::of(&[State::Other(200)]), States(0));
}

#[test]
fn an_entry_of_mixed_families_is_none() {
    let (four, six) = ((IpAddr::from([192, 0, 2, 9]), 1), (IpAddr::from(Ipv6Addr::LOCALHOST), 1));
    let mixed = Entry::new(Tuple::new(17, four, four), Tuple::new(17, six, six), 30);
    assert_eq!(Entry::decode(payload(&encoded(|batch| mixed.encode_add(batch)))), None);
}

#[test]
fn a_long_name_is_an_alternative_name() {
    let name = "sixteen-letters-";
    let bytes = encoded(|batch| GetLink(name.into()).encode(batch));
    let payload = Messages::new(&bytes).next().unwrap().payload;
    let kinds: Vec<u16> = Attrs::new(&payload[16..]).map(|attr| attr.kind).collect();
    assert_eq!(kinds, [53, 29]);
}

#[test]
fn counters_are_read_in_the_kernels_order() {
    // An interface's header, and IFLA_STATS64 (23) with nine numbers.
    let mut payload = vec![0; 16];
    payload.extend([4 + 9 * 8, 0, 23, 0]);
    payload.extend((1..=9_u64).flat_map(u64::to_ne_bytes));
    let stats = LinkStats::decode(&payload).unwrap();
    let numbers = |one: LinkStats| {
        let rx = [one.rx_packets, one.rx_bytes, one.rx_errors, one.rx_dropped];
        (rx, [one.tx_packets, one.tx_bytes, one.tx_errors, one.tx_dropped])
    };
    assert_eq!(numbers(stats), ([1, 3, 5, 7], [2, 4, 6, 8]));
    assert_eq!(numbers(stats.of_peer()), ([2, 4, 6, 8], [1, 3, 5, 7]));
    assert_eq!(LinkStats::decode(&payload[..16]), None);
    let question = encoded(|batch| GetStats("web".into()).encode(batch));
    let without = encoded(|batch| GetLink("web".into()).encode(batch));
    assert!(question.len() < without.len(), "counters are what a question for a link leaves out");
}

#[test]
fn a_batch_takes_new_numbers() {
    let mut batch = Batch::new(1);
    for index in 1..=3 {
        SetLink::up(LinkIndex(index)).encode(&mut batch);
    }
    batch.renumber(u32::MAX);
    let numbers: Vec<u32> = Messages::new(batch.bytes()).map(|message| message.seq).collect();
    assert_eq!(numbers, [u32::MAX, 0, 1]);
    assert_eq!(batch.first_seq(), u32::MAX);
    batch.clear();
    assert!(batch.is_empty() && batch.bytes().is_empty());
}

/// Feeds `payload` to everything that reads one.
fn decode_all(payload: &[u8]) {
    let _ = (Link::decode(payload), Address::decode(payload), Route::decode(payload));
    let _ = (Rule::decode(payload), Neighbour::decode(payload), FdbEntry::decode(payload));
    let _ = (InetSocket::decode(payload), LinkStats::decode(payload));
    let _ = (Entry::decode(payload), Qdisc::decode(payload));
    for message in Messages::new(payload) {
        let _ = Ack::parse(&message);
        let _ = (Link::decode(message.payload), Route::decode(message.payload));
    }
}

/// One of each request, as a stock of bytes to spoil.
fn stock() -> Vec<Vec<u8>> {
    let mac = HwAddr([2, 0, 0, 0, 0, 1]);
    let four = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    let link = LinkIndex(3);
    let hop = NextHop { gateway: Some(four), link: Some(link), weight: Some(2), ..NextHop::default() };
    let mut several = Route::via(Prefix::new(four, 16), four);
    several.next_hops = vec![hop, hop];
    let set = SetLink {
        ipv4_conf: &[(Ipv4Conf::RpFilter, 2)],
        alias: Some("alias"),
        port: pontoon_netlink::link::PortOptions { isolated: Some(true), ..Default::default() },
        addr_gen_mode: Some(pontoon_netlink::link::AddrGenMode::None),
        ..SetLink::up(link)
    };
    let mark = Some(Mark { value: 1, mask: 2 });
    let tuple = Tuple { zone: Some(3), ..Tuple::new(17, (four, 40_000), (four, 53)) };
    let counter = Some(Counter { packets: 1, bytes: 60 });
    let entry = Entry { zone: Some(4), sent: counter, answered: counter, ..Entry::new(tuple, tuple, 30) };
    vec![
        encoded(|batch| NewLink::veth("a", Peer { name: "b", ..Peer::default() }).encode(batch)),
        encoded(|batch| NewLink::new("a", Kind::Bridge(Default::default())).encode(batch)),
        encoded(|batch| NewLink::new("a", Kind::Macvlan { mode: 4 }).encode(batch)),
        encoded(|batch| NewLink::new("a", Kind::Ipvlan { mode: 0 }).encode(batch)),
        encoded(|batch| NewLink::new("a", Kind::Vlan { id: 7 }).encode(batch)),
        encoded(|batch| set.encode(batch)),
        encoded(|batch| AltName { link: link.into(), name: "other" }.encode_add(batch)),
        encoded(|batch| DelLink::Group(4).encode(batch)),
        encoded(|batch| DumpLinks { master: Some(link), kind: Some("veth") }.encode(batch)),
        encoded(|batch| Address::new(link, Prefix::new(four, 24)).encode_add(batch)),
        encoded(|batch| DumpAddresses { family: Some(Family::V6), link: Some(link) }.encode(batch)),
        encoded(|batch| several.encode_replace(batch)),
        encoded(|batch| {
            GetRoute { mark: Some(1), flow: Some((6, None, Some(80))), ..GetRoute::to(four) }.encode(batch)
        }),
        encoded(|batch| DumpRoutes { table: Some(1000), ..DumpRoutes::default() }.encode(batch)),
        encoded(|batch| Rule { mark, ..Rule::new(Family::V4, Action::Table(500)) }.encode_add(batch)),
        encoded(|batch| Neighbour::permanent(link, four, mac).encode_replace(batch)),
        encoded(|batch| FdbEntry::fixed(link, mac).encode_replace(batch)),
        encoded(|batch| GetFdb { bridge: link, mac, vlan: Some(1) }.encode(batch)),
        encoded(|batch| DumpFdb { bridge: Some(link), port: None }.encode(batch)),
        encoded(|batch| entry.encode_add(batch)),
        encoded(|batch| entry.encode_delete(batch)),
        encoded(|batch| DumpEntries { family: Family::V4, protocol: Some(17) }.encode(batch)),
    ]
}

fn ip() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<u32>().prop_map(|bits| IpAddr::V4(Ipv4Addr::from(bits))),
        any::<u128>().prop_map(|bits| IpAddr::V6(Ipv6Addr::from(bits))),
    ]
}

fn prefix() -> impl Strategy<Value = Prefix> {
    (ip(), 1..=32_u8).prop_map(|(address, len)| Prefix::new(address, len))
}

fn payload(bytes: &[u8]) -> &[u8] {
    Messages::new(bytes).next().expect("a message").payload
}

proptest! {
    /// No bytes make a decoder panic.
    #[test]
    fn any_bytes_can_be_read(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        decode_all(&bytes);
    }

    /// Nor do bytes that are almost right.
    #[test]
    fn spoilt_messages_can_be_read(
        index in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let stock = stock();
        let mut bytes = index.get(&stock).clone();
        for (place, value) in changes {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        decode_all(&bytes);
        decode_all(&bytes[16..]);
        decode_all(&bytes[16..16 + cut.index(bytes.len() - 16)]);
    }

    /// What is written is read back.
    #[test]
    fn addresses_are_read_as_written(local in prefix(), link in any::<u32>(), protocol in any::<Option<u8>>()) {
        let address = Address { protocol, ..Address::new(LinkIndex(link), local) };
        prop_assert_eq!(Address::decode(payload(&encoded(|batch| address.encode_add(batch)))), Some(address));
    }

    /// What is written is read back.
    #[test]
    fn routes_are_read_as_written(
        destination in prefix(), gateway in ip(), link in 1..u32::MAX, metric in any::<Option<u32>>(),
        table in any::<u32>(), mtu in any::<Option<u32>>(), onlink in any::<bool>(),
    ) {
        let hop = NextHop { gateway: Some(gateway), link: Some(LinkIndex(link)), onlink, ..NextHop::default() };
        let flags = if onlink { 4 } else { 0 };
        let route = Route { metric, table, mtu, flags, ..Route::new(destination, hop) };
        prop_assert_eq!(Route::decode(payload(&encoded(|batch| route.encode_add(batch)))), Some(route));
    }

    /// What is written is read back.
    #[test]
    fn rules_are_read_as_written(
        from in prefix(), table in any::<u32>(), priority in any::<u32>(), invert in any::<bool>(),
        mark in any::<Option<(u32, u32)>>(), iif in "[a-z]{1,15}",
    ) {
        let rule = Rule {
            from: Some(from),
            priority: Some(priority),
            invert,
            mark: mark.map(|(value, mask)| Mark { value, mask }),
            iif: Some(iif),
            ..Rule::new(from.family(), Action::Table(table))
        };
        prop_assert_eq!(Rule::decode(payload(&encoded(|batch| rule.encode_add(batch)))), Some(rule));
    }

    /// What is written is read back.
    #[test]
    fn neighbours_are_read_as_written(address in ip(), mac in any::<[u8; 6]>(), link in any::<u32>()) {
        let neighbour = Neighbour::permanent(LinkIndex(link), address, HwAddr(mac));
        prop_assert_eq!(
            Neighbour::decode(payload(&encoded(|batch| neighbour.encode_replace(batch)))), Some(neighbour)
        );
        let entry = FdbEntry::fixed(LinkIndex(link), HwAddr(mac));
        prop_assert_eq!(FdbEntry::decode(payload(&encoded(|batch| entry.encode_replace(batch)))), Some(entry));
    }

    /// What is written is read back.
    #[test]
    fn connections_are_read_as_written(
        ports in any::<[u16; 4]>(), addresses in prop_oneof![
            any::<[Ipv4Addr; 4]>().prop_map(|all| all.map(IpAddr::V4)),
            any::<[Ipv6Addr; 4]>().prop_map(|all| all.map(IpAddr::V6)),
        ],
        protocol in any::<u8>(), zones in any::<[Option<u16>; 2]>(), id in any::<u32>(), status in any::<u32>(),
        timeout in any::<Option<u32>>(), sent in any::<Option<(u64, u64)>>(), with_ports in any::<bool>(),
    ) {
        let tuple = |at: usize| {
            let ends = [at, at + 1].map(|at| (addresses[at], ports[at]));
            Tuple { zone: zones[0], ..Tuple::new(protocol, ends[0], ends[1]) }
        };
        let (mut orig, reply) = (tuple(0), tuple(2));
        orig.ports = orig.ports.filter(|_| with_ports);
        let entry = Entry {
            zone: zones[1],
            id,
            status,
            timeout,
            sent: sent.map(|(packets, bytes)| Counter { packets, bytes }),
            ..Entry::new(orig, reply, 0)
        };
        prop_assert_eq!(Entry::decode(payload(&encoded(|batch| entry.encode_add(batch)))), Some(entry));
    }
}
