//! Writes the seeds that are netlink messages, in this machine's byte order: `cargo run -p pontoon-fuzz --example seeds`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use pontoon_netlink::address::{Address, FOREVER, Lifetime};
use pontoon_netlink::conntrack::{Counter, Entry, IPS_CONFIRMED, IPS_DST_NAT, Tuple};
use pontoon_netlink::link::{BridgeOptions, HwAddr, LinkIndex, PortOptions, SetLink};
use pontoon_netlink::neighbour::{FdbEntry, Neighbour};
use pontoon_netlink::route::{NextHop, Route, RouteType};
use pontoon_netlink::rule::{Action, Mark, Rule as RoutingRule};
use pontoon_netlink::wire::{Batch, Body, Messages, NLM_F_ACK_TLVS, NLM_F_CAPPED, NLMSG_ERROR};
use pontoon_netlink::{Family as IpFamily, Prefix};
use pontoon_nft::syntax::{
    Base, Chain, ChainKind, Command, CounterValue, DataType, Element, Elements, Family, Hook, Key, Limit,
    LimitKind, LimitUnit, Match, Nat, NatFlags, NatKind, NatTarget, Operand, Policy, Reject, Rule, Set,
    SetOp, SetRef, SetUpdate, Statement, TableRef, Value, Verdict,
};
use pontoon_nft::wire::encode;

const MAC: HwAddr = HwAddr([2, 0x42, 10, 0, 0, 2]);

fn main() {
    links();
    addresses();
    routes();
    rules();
    neighbours();
    sockets();
    flows();
    wire();
    rulesets();
}

fn write(target: &str, name: &str, bytes: &[u8]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    std::fs::create_dir_all(&folder).expect("the folder can be made");
    std::fs::write(folder.join(name), bytes).expect("the file can be written");
}

/// Writes the payload of the one message that `encode` makes.
fn payload(target: &str, name: &str, encode: impl FnOnce(&mut Batch)) {
    let mut batch = Batch::new(1);
    encode(&mut batch);
    write(target, name, Messages::new(batch.bytes()).next().expect("a message").payload);
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn links() {
    let mut bridge = SetLink::up(LinkIndex(3));
    bridge.mac = Some(MAC);
    bridge.mtu = Some(1500);
    bridge.alias = Some("pontoon");
    bridge.bridge = BridgeOptions {
        forward_delay: Some(0),
        ageing_time: Some(30_000),
        stp: Some(false),
        priority: Some(0x8000),
        vlan_filtering: Some(false),
        mcast_snooping: Some(true),
        ..BridgeOptions::default()
    };
    payload("netlink_link", "bridge", |batch| bridge.encode(batch));
    let mut port = SetLink::new("veth0");
    port.master = Some(Some(LinkIndex(3)));
    port.port =
        PortOptions { hairpin: Some(true), isolated: Some(false), state: Some(3), ..PortOptions::default() };
    payload("netlink_link", "port", |batch| port.encode(batch));
    payload("netlink_link", "answer", |batch| {
        batch.message(16, 0, |body| {
            body.raw(&[0, 0, 1, 0, 2, 0, 0, 0, 0x43, 0x10, 1, 0, 0, 0, 0, 0]);
            body.str(3, "eth0");
            body.u8(16, 6);
            body.u8(33, 1);
            body.u32(5, 7);
            body.u32(37, 0);
            body.nest(18, |info| {
                info.str(1, "veth");
                info.str(4, "bridge");
                info.nest(5, |data| data.u8(1, 3));
            });
            body.nest(26, |families| {
                families.nest(2, |inet| inet.attr(1, &[0; 33 * 4]));
                families.nest(10, |inet6| {
                    inet6.attr(2, &[1; 48 * 4]);
                    inet6.u8(8, 1);
                });
            });
            body.nest(52, |names| names.str(53, "a-longer-name-than-fits"));
        });
    });
}

fn addresses() {
    let v4 = Address {
        broadcast: Some(Ipv4Addr::new(10, 0, 0, 255)),
        label: Some("eth0:1".into()),
        lifetime: Some(Lifetime { preferred: FOREVER, valid: FOREVER }),
        protocol: Some(112),
        ..Address::new(LinkIndex(2), Prefix::new(ip("10.0.0.1"), 24))
    };
    payload("netlink_address", "v4", |batch| v4.encode_add(batch));
    let v6 = Address::new(LinkIndex(2), Prefix::new(ip("fd00::1"), 64));
    payload("netlink_address", "v6", |batch| v6.encode_add(batch));
    let peer =
        Address { peer: Some(ip("10.0.0.2")), ..Address::new(LinkIndex(9), Prefix::host(ip("10.0.0.1"))) };
    payload("netlink_address", "peer", |batch| peer.encode_add(batch));
}

fn routes() {
    let seed = |name: &str, route: &Route| payload("netlink_route", name, |batch| route.encode_add(batch));
    let all = Prefix::all(IpFamily::V4);
    seed("default", &Route::via(all, ip("10.0.0.1")));
    seed(
        "v6",
        &Route {
            metric: Some(1024),
            mtu: Some(1400),
            ..Route::on(Prefix::new(ip("fd00::"), 64), LinkIndex(2))
        },
    );
    seed("via_v6", &Route::new(all, NextHop::onlink(ip("fe80::1"), LinkIndex(2))));
    seed("blackhole", &Route::refusing(Prefix::new(ip("10.9.0.0"), 16), RouteType::Blackhole));
    let hop = |address| NextHop { weight: Some(2), ..NextHop::onlink(ip(address), LinkIndex(2)) };
    let several = Route {
        next_hops: vec![hop("10.0.0.1"), hop("10.0.0.2"), hop("fe80::1")],
        preferred_source: Some(ip("10.0.0.7")),
        table: 1000,
        ..Route::via(all, ip("10.0.0.1"))
    };
    seed("multipath", &several);
}

fn rules() {
    let marked = RoutingRule {
        priority: Some(100),
        from: Some(Prefix::new(ip("10.0.0.0"), 8)),
        to: Some(Prefix::host(ip("192.0.2.1"))),
        iif: Some("eth0".into()),
        mark: Some(Mark { value: 1, mask: 0xff }),
        invert: true,
        ..RoutingRule::new(IpFamily::V4, Action::Table(1000))
    };
    payload("netlink_rule", "table", |batch| marked.encode_add(batch));
    payload("netlink_rule", "long_priority", |batch| {
        batch.message(32, 0, |body| {
            body.raw(&[2, 0, 0, 0, 254, 0, 0, 1, 0, 0, 0, 0]);
            body.attr(6, &[100, 0, 0, 0, 0, 0, 0, 0]);
        });
    });
    let goto =
        RoutingRule { suppress_prefix_len: Some(0), ..RoutingRule::new(IpFamily::V6, Action::Goto(7)) };
    payload("netlink_rule", "goto", |batch| goto.encode_add(batch));
    let refuse = RoutingRule { oif: Some("lo".into()), ..RoutingRule::new(IpFamily::V6, Action::Prohibit) };
    payload("netlink_rule", "prohibit", |batch| refuse.encode_add(batch));
}

fn neighbours() {
    let link = LinkIndex(2);
    payload("netlink_neighbour", "v4", |batch| {
        Neighbour::permanent(link, ip("10.0.0.2"), MAC).encode_add(batch)
    });
    payload("netlink_neighbour", "v6", |batch| {
        Neighbour::permanent(link, ip("fd00::2"), MAC).encode_add(batch)
    });
    payload("netlink_neighbour", "proxy", |batch| Neighbour::proxy(link, ip("fd00::3")).encode_add(batch));
    payload("netlink_fdb", "port", |batch| FdbEntry::fixed(link, MAC).encode_add(batch));
    let own = FdbEntry {
        table: pontoon_netlink::neighbour::FdbTable::Own,
        vlan: Some(7),
        ..FdbEntry::fixed(link, MAC)
    };
    payload("netlink_fdb", "own", |batch| own.encode_add(batch));
}

fn sockets() {
    let answer = |family: u8, state: u8, address: [u8; 16], v6only: Option<u8>| {
        let mut batch = Batch::new(1);
        batch.message(20, 0, |body| {
            body.raw(&[family, state, 0, 0, 0, 80, 0, 0]);
            body.raw(&address);
            body.raw(&[0; 16]);
            for number in [2_u32, 1, 0, 0, 0, 128, 1000, 12_345] {
                body.raw(&number.to_ne_bytes());
            }
            body.u8(8, 0);
            v6only.into_iter().for_each(|only| body.u8(11, only));
        });
        Messages::new(batch.bytes()).next().expect("a message").payload.to_vec()
    };
    let v4 = |octets: [u8; 4]| std::array::from_fn(|index| octets.get(index).copied().unwrap_or(0));
    write("netlink_socket", "v4_listener", &answer(2, 10, v4([127, 0, 0, 1]), None));
    write("netlink_socket", "v6_listener", &answer(10, 10, [0; 16], Some(1)));
    write("netlink_socket", "bound", &answer(2, 13, v4([0; 4]), None));
    write("netlink_socket", "udp", &answer(10, 7, Ipv6Addr::LOCALHOST.octets(), Some(0)));
}

fn flows() {
    let client = (ip("192.0.2.9"), 40_000);
    let orig = Tuple::new(17, client, (ip("192.0.2.1"), 8080));
    let published = Entry {
        status: IPS_CONFIRMED | IPS_DST_NAT,
        id: 7,
        sent: Some(Counter { packets: 1, bytes: 60 }),
        answered: Some(Counter { packets: 0, bytes: 0 }),
        ..Entry::new(orig, Tuple::new(17, (ip("10.0.0.2"), 80), client), 30)
    };
    payload("netlink_conntrack", "published", |batch| published.encode_add(batch));
    let (one, two) = ((ip("fd00::1"), 5000), (ip("fd00::2"), 53));
    let zoned = Tuple { zone: Some(3), ..Tuple::new(6, one, two) };
    let v6 = Entry { zone: Some(9), ..Entry::new(zoned, Tuple::new(6, two, one), 120) };
    payload("netlink_conntrack", "v6", |batch| v6.encode_add(batch));
    let ping = Tuple { protocol: 1, ports: None, ..orig };
    payload("netlink_conntrack", "ping", |batch| Entry::new(ping, ping, 30).encode_add(batch));
}

fn wire() {
    let mut batch = Batch::new(7);
    Route::via(Prefix::all(IpFamily::V4), ip("10.0.0.1")).encode_add(&mut batch);
    Neighbour::permanent(LinkIndex(2), ip("10.0.0.2"), MAC).encode_add(&mut batch);
    write("netlink_wire", "two_messages", batch.bytes());
    let acknowledgement = |errno: i32, flags, inside: &dyn Fn(&mut Body<'_>)| {
        let mut batch = Batch::new(7);
        batch.message(NLMSG_ERROR, flags, |body| {
            body.raw(&(-errno).to_ne_bytes());
            body.raw(&[20, 0, 0, 0, 24, 0, 5, 6, 7, 0, 0, 0, 0, 0, 0, 0]);
            inside(body);
        });
        batch.bytes().to_vec()
    };
    write("netlink_wire", "ack", &acknowledgement(0, NLM_F_CAPPED, &|_| {}));
    write("netlink_wire", "positive", &acknowledgement(-17, NLM_F_CAPPED, &|_| {}));
    let capped = acknowledgement(17, NLM_F_CAPPED | NLM_F_ACK_TLVS, &|body| body.str(1, "File exists"));
    write("netlink_wire", "error_capped", &capped);
    let whole = acknowledgement(22, NLM_F_ACK_TLVS, &|body| {
        body.raw(&[2, 0, 0, 0]);
        body.str(1, "Invalid");
        body.u32(2, 16);
    });
    write("netlink_wire", "error_whole", &whole);
}

fn answers(name: &str, commands: &[Command]) {
    let transaction = encode(commands, 1).expect("it can be encoded");
    write("nft_answers", name, transaction.bytes());
}

fn rulesets() {
    let table = TableRef::new(Family::Inet, "lab");
    let base = Base {
        kind: ChainKind::Filter,
        hook: Hook::Forward,
        priority: 0,
        policy: Policy::Drop,
        device: None,
    };
    let rule = |statements: Vec<Statement>| Command::AddRule {
        table: table.clone(),
        chain: "c".into(),
        rule: Rule::new(statements).comment("why"),
    };
    let address = |text: &str| match ip(text) {
        IpAddr::V4(v4) => Value::Ipv4(v4),
        IpAddr::V6(v6) => Value::Ipv6(v6),
    };
    let objects = [
        Command::AddTable { table: table.clone(), comment: Some("a table".into()) },
        Command::AddChain {
            table: table.clone(),
            chain: Chain { name: "c".into(), base: Some(base), comment: None },
        },
    ];
    answers("table_and_chain", &objects);
    let bytes = encode(&objects, 1).expect("it can be encoded").bytes().to_vec();
    let place = bytes.windows(7).position(|part| part == b"a table").expect("the comment");
    let clears_the_screen = [&bytes[..place], b"a \x1b[2J\n", &bytes[place + 7..]].concat();
    write("nft_answers", "escape_sequence", &clears_the_screen);
    let unknown = DataType::Other { id: 0x4500_0000, len: 4 };
    let map = Set::map("m", [DataType::Other { id: 0x1234, len: 8 }], [unknown]);
    answers("unknown_types", &[objects[0].clone(), Command::AddSet { table: table.clone(), set: map }]);
    let with = |more: Vec<Command>| [objects.to_vec(), more].concat();
    answers(
        "rules",
        &with(vec![
            rule(vec![
                Match::is(Key::IIFNAME, Value::Ifname("eth*".into())),
                Match::is(Key::IP_SADDR, Operand::Prefix { address: address("10.0.0.0"), len: 12 }),
                Match::is(Key::TCP_DPORT, Operand::Range { first: Value::Port(80), last: Value::Port(90) }),
                Statement::Counter(CounterValue { packets: 1, bytes: 60 }),
                Verdict::Jump("c".into()).into(),
            ]),
            rule(vec![Match::is(Key::CT_STATE, Value::CtState(6)), Verdict::Accept.into()]),
            rule(vec![Match::is(Key::TCP_DPORT, Value::Port(22)), Statement::Reject(Reject::TcpReset)]),
            rule(vec![Match::is(Key::IcmpType, Value::IcmpType(8)), Statement::Reject(Reject::Icmp(3))]),
            rule(vec![Statement::Log { prefix: Some("lab: ".into()), level: None }, Verdict::Drop.into()]),
            rule(vec![Statement::Limit(Limit {
                rate: 10,
                unit: LimitUnit::Second,
                burst: 5,
                kind: LimitKind::Packets,
                over: true,
            })]),
        ]),
    );
    let nat = |to| {
        Statement::Nat(Nat {
            kind: NatKind::Dnat,
            to,
            flags: NatFlags { random: true, ..NatFlags::default() },
        })
    };
    answers(
        "nat",
        &with(vec![
            rule(vec![
                Match::is(Key::UDP_DPORT, Value::Port(53)),
                nat(NatTarget::Constant { addresses: ip("10.0.0.2").into(), ports: Some(5353.into()) }),
            ]),
            rule(vec![Statement::Masquerade { flags: NatFlags::default(), ports: None }]),
            rule(vec![Statement::Redirect { flags: NatFlags::default(), ports: Some(8080.into()) }]),
            rule(vec![Match::masked(Key::MARK, Value::Mark(0xff), Value::Mark(1)), Statement::Notrack]),
        ]),
    );
    let elements = |set: &str, interval: bool, elements: Vec<Element>| {
        let make = if interval { Elements::of_intervals } else { Elements::new };
        Command::AddElements(make(table.clone(), set, elements))
    };
    answers(
        "sets",
        &with(vec![
            Command::AddSet {
                table: table.clone(),
                set: Set::new("ports", [DataType::InetService]).interval(),
            },
            elements(
                "ports",
                true,
                vec![
                    Element::new([Value::Port(22)]).comment("ssh"),
                    Element::new([Operand::Range { first: Value::Port(80), last: Value::Port(90) }]),
                    Element::new([Operand::Range { first: Value::Port(60_000), last: Value::Port(65_535) }]),
                ],
            ),
            Command::AddSet {
                table: table.clone(),
                set: Set::map("dnat", [DataType::Ipv4Addr, DataType::InetService], [DataType::Ipv4Addr]),
            },
            elements(
                "dnat",
                false,
                vec![Element::new([address("192.0.2.1"), Value::Port(80)]).to([address("10.0.0.2")])],
            ),
            Command::AddSet {
                table: table.clone(),
                set: Set::verdict_map("links", [DataType::Ifname]).interval(),
            },
            elements(
                "links",
                true,
                vec![Element::new([Value::Ifname("veth*".into())]).verdict(Verdict::Goto("c".into()))],
            ),
        ]),
    );
    let seen = [Key::IP_SADDR, Key::ND_TARGET];
    answers(
        "dynamic",
        &with(vec![
            Command::AddSet {
                table: table.clone(),
                set: Set::of_keys("seen", seen).dynamic(100).expiring(60_000).counted(),
            },
            elements(
                "seen",
                false,
                vec![Element::new([address("10.0.0.1"), Value::Other(vec![0xfd; 16])]).counter(3, 180)],
            ),
            rule(vec![SetUpdate::new(SetOp::Update, "seen", seen).timeout(90_500).counter().into()]),
            rule(vec![Match::is(Key::ND_TARGET, Value::Other(vec![0xfd; 16])), Verdict::Drop.into()]),
        ]),
    );
    answers(
        "own_sets",
        &with(vec![
            rule(vec![
                Match::is_in(
                    [Key::TCP_DPORT],
                    SetRef::Inline(vec![Element::new([Value::Port(80)]), Element::new([Value::Port(443)])]),
                ),
                Verdict::Accept.into(),
            ]),
            rule(vec![Statement::Vmap {
                key: vec![Key::IP_SADDR],
                map: SetRef::Inline(vec![Element::new([address("10.0.0.1")]).verdict(Verdict::Drop)]),
            }]),
        ]),
    );
}
