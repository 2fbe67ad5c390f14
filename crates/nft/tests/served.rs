//! Published ports and their accounts, as they are sent, against the kernel and nft(8).

mod sandbox;

use std::net::{Ipv4Addr, Ipv6Addr, UdpSocket};

use pontoon_nft::syntax::{
    Base, Chain, ChainKind, Command, CounterValue, CtField, DataType, Element, Elements, Family, Hook,
    IpVersion, Key, Match, Nat, NatFlags, NatKind, NatTarget, Operand, Policy, Priority, Rule, Set, SetOp,
    SetUpdate, Statement, TableRef, Value, Verdict,
};
use sandbox::compare::{nft_lists_the_same, nft_makes_the_same};
use sandbox::{Kernel, sandboxed};

const SERVED: [Key; 3] = [Key::IP_SADDR, Key::L4PROTO, Key::TH_SPORT];

fn table() -> TableRef {
    TableRef::new(Family::Inet, "pontoon")
}

fn sets() -> [Set; 9] {
    use DataType::{Ifname, InetProto, InetService, Ipv4Addr, Ipv6Addr, Mark};
    let service = [Ipv4Addr, InetProto, InetService];
    [
        Set::new("served4", service).dynamic(1000),
        Set::new("counted4", service).dynamic(1000).counted(),
        Set::new("recent", [Ipv4Addr]).dynamic(5).expiring(90_500).counted().comment("callers"),
        Set { timeout: true, ..Set::new("lasting", [Ipv6Addr, Mark]).dynamic(9) },
        Set::new("ports", service).counted(),
        Set::new("nets", [Ipv4Addr]).interval().counted(),
        Set::map("at4", service, [Ipv4Addr, InetService]).counted(),
        Set::map("any6", [InetProto, InetService], [Ipv6Addr, InetService]),
        Set::new("bridges", [Ifname]),
    ]
}

fn service(last: u8, port: u16) -> [Value; 3] {
    [Value::Ipv4(Ipv4Addr::new(1, 2, 3, last)), Value::TCP, Value::Port(port)]
}

fn elements() -> [Elements; 6] {
    let loopback = Operand::Prefix { address: Value::Ipv4([127, 0, 0, 0].into()), len: 8 };
    let to = |last| vec![Value::Ipv4(Ipv4Addr::new(10, 0, 0, last)), Value::Port(8080)];
    let of = |set: &str, elements: Vec<Element>| Elements::new(table(), set, elements);
    [
        of("counted4", vec![Element::new(service(9, 443)).counter(1, 60)]),
        of(
            "ports",
            vec![
                Element::new(service(4, 80)).counter(3, 180),
                Element::new(service(5, 80)).counter(0, 0).comment("idle"),
            ],
        ),
        // nft 1.0.6 reads values here, and sends none.
        Elements::of_intervals(table(), "nets", vec![Element::new([loopback]).counter(0, 0)]),
        of("at4", vec![Element::new(service(4, 80)).counter(3, 180).to(to(2))]),
        of(
            "any6",
            vec![
                Element::new([Value::UDP, Value::Port(53)])
                    .to([Value::Ipv6(Ipv6Addr::LOCALHOST), Value::Port(5353)]),
            ],
        ),
        of("bridges", vec![Element::new([Value::Ifname("blue".into())])]),
    ]
}

fn objects() -> Vec<Command> {
    let base =
        |kind, hook, priority| Some(Base { kind, hook, priority, policy: Policy::Accept, device: None });
    let chains = [
        ("user-forward", None),
        ("forward", base(ChainKind::Filter, Hook::Forward, Priority::FILTER)),
        ("pre", base(ChainKind::Nat, Hook::Prerouting, Priority::DSTNAT)),
        ("post", base(ChainKind::Nat, Hook::Postrouting, Priority::SRCNAT)),
    ];
    let mut commands = vec![Command::AddTable { table: table(), comment: None }];
    commands.extend(chains.map(|(name, base)| Command::AddChain {
        table: table(),
        chain: Chain { name: name.into(), base, comment: None },
    }));
    commands.extend(sets().map(|set| Command::AddSet { table: table(), set }));
    commands.extend(elements().map(Command::AddElements));
    commands
}

fn update(op: SetOp, set: &str, key: impl Into<Vec<Key>>) -> SetUpdate {
    SetUpdate::new(op, set, key)
}

/// Rules by chain, with the text that nft lists each as.
fn rules() -> Vec<(&'static str, Rule, &'static str)> {
    let mut rules = translations();
    rules.extend(matches());
    rules.extend(updates());
    rules
}

fn translations() -> Vec<(&'static str, Rule, &'static str)> {
    let dnat = |version, key: &[Key], map: &str| {
        let to = NatTarget::Map { version, key: key.to_vec(), map: map.into(), with_port: true };
        Statement::Nat(Nat { kind: NatKind::Dnat, to, flags: NatFlags::default() })
    };
    let loopback = Operand::Prefix { address: Value::Ipv4([127, 0, 0, 0].into()), len: 8 };
    vec![
        (
            "pre",
            Rule::new([dnat(IpVersion::V4, &[Key::IP_DADDR, Key::L4PROTO, Key::TH_DPORT], "at4")]),
            "dnat ip to ip daddr . meta l4proto . th dport map @at4",
        ),
        (
            "pre",
            Rule::new([
                Match::is(Key::FIB_DADDR_TYPE, Value::LOCAL),
                dnat(IpVersion::V6, &[Key::L4PROTO, Key::TH_DPORT], "any6"),
            ]),
            "fib daddr type local dnat ip6 to meta l4proto . th dport map @any6",
        ),
        (
            "post",
            Rule::new([
                Match::is(Key::IP_SADDR, loopback),
                Match::is_in([Key::OIFNAME], "bridges"),
                Statement::Masquerade { flags: NatFlags::default(), ports: None },
            ]),
            "ip saddr 127.0.0.0/8 oifname @bridges masquerade",
        ),
    ]
}

fn matches() -> Vec<(&'static str, Rule, &'static str)> {
    let loopback = Operand::Prefix { address: Value::Ipv4([127, 0, 0, 0].into()), len: 8 };
    let ct = |field, value| Match::is(Key::Ct(field), value);
    vec![
        (
            "forward",
            Rule::new([Match::is(Key::CT_STATUS, Value::DNAT), Verdict::Accept.into()]),
            "ct status dnat accept",
        ),
        ("forward", Rule::new([ct(CtField::Direction, Value::CtDir(0))]), "ct direction original"),
        ("forward", Rule::new([Verdict::Jump("user-forward".into()).into()]), "jump user-forward"),
        (
            "forward",
            Rule::new([
                Match::is_not(Key::IIFNAME, Value::Ifname("lo".into())),
                Match::is(Key::IP_DADDR, loopback),
                Verdict::Drop.into(),
            ]),
            "iifname != \"lo\" ip daddr 127.0.0.0/8 drop",
        ),
        (
            "forward",
            Rule::new([
                Match::is(Key::L4PROTO, Value::UDP),
                ct(CtField::OriginalIpDaddr, Value::Ipv4([1, 2, 3, 4].into())),
                ct(CtField::OriginalProtoDst, Value::Port(53)),
            ]),
            "meta l4proto udp ct original ip daddr 1.2.3.4 ct original proto-dst 53",
        ),
    ]
}

fn updates() -> Vec<(&'static str, Rule, &'static str)> {
    let of = |update: SetUpdate| Rule::new([update.into()]);
    let lasting = [Key::IP6_SADDR, Key::MARK];
    let replies =
        [Match::is(Key::CT_STATUS, Value::DNAT), Match::is(Key::Ct(CtField::Direction), Value::CtDir(1))];
    let begun = SetUpdate {
        counter: Some(CounterValue { packets: 5, bytes: 6 }),
        ..update(SetOp::Add, "served4", SERVED)
    };
    vec![
        (
            "forward",
            Rule::new([&replies[..], &[update(SetOp::Update, "served4", SERVED).counter().into()]].concat()),
            "ct status dnat ct direction reply update @served4 { ip saddr . meta l4proto . th sport counter }",
        ),
        (
            "forward",
            of(update(SetOp::Update, "counted4", SERVED)),
            "update @counted4 { ip saddr . meta l4proto . th sport }",
        ),
        ("forward", of(begun), "add @served4 { ip saddr . meta l4proto . th sport counter }"),
        (
            "forward",
            of(update(SetOp::Add, "served4", SERVED)),
            "add @served4 { ip saddr . meta l4proto . th sport }",
        ),
        ("forward", of(update(SetOp::Delete, "recent", [Key::IP_SADDR])), "delete @recent { ip saddr }"),
        (
            "forward",
            of(update(SetOp::Update, "recent", [Key::IP_SADDR]).timeout(30_000)),
            "update @recent { ip saddr timeout 30s }",
        ),
        (
            "forward",
            of(update(SetOp::Add, "lasting", lasting).timeout(5_400_000).counter()),
            "add @lasting { ip6 saddr . meta mark timeout 1h30m counter }",
        ),
    ]
}

fn everything() -> Vec<Command> {
    let mut commands = objects();
    commands.extend(rules().into_iter().map(|(chain, rule, _)| Command::AddRule {
        table: table(),
        chain: chain.to_owned(),
        rule,
    }));
    commands
}

#[test]
fn a_rule_reads_as_nft_lists_it() {
    for (_, rule, text) in rules() {
        assert_eq!(rule.listing(Family::Inet).to_string(), text);
    }
}

#[test]
fn nft_lists_what_was_encoded() {
    sandboxed("nft_lists_what_was_encoded", || {
        let ruleset = nft_lists_the_same(&everything());
        let listed = ruleset.table(&table()).expect("the table");
        for name in ["pre", "post", "forward"] {
            let came_back: Vec<&Rule> =
                listed.chain(name).expect("the chain").rules.iter().map(|rule| &rule.rule).collect();
            let sent = rules();
            let sent: Vec<&Rule> =
                sent.iter().filter(|(chain, ..)| *chain == name).map(|(_, rule, _)| rule).collect();
            assert_eq!(came_back, sent);
        }
        assert_eq!(
            listed.sets.iter().map(|set| &set.set).collect::<Vec<_>>(),
            sets().iter().collect::<Vec<_>>()
        );
        for of in elements() {
            assert_eq!(listed.set(&of.set).expect("the set").elements, of.elements, "{}", of.set);
        }
    });
}

#[test]
fn nft_makes_the_same_of_our_text() {
    sandboxed("nft_makes_the_same_of_our_text", || nft_makes_the_same(&everything()));
}

/// nft 1.0.6 knows no length of `ct original proto-dst` before it knows the transport protocol, so it reads no
/// concatenation with it. It lists one.
#[test]
fn nft_lists_what_it_does_not_read() {
    sandboxed("nft_lists_what_it_does_not_read", || {
        let key = [Key::Ct(CtField::OriginalIpDaddr), Key::L4PROTO, Key::Ct(CtField::OriginalProtoDst)];
        let rule = Rule::new([Match::is_in(key, "ports")]);
        let mut commands = objects();
        commands.push(Command::AddRule { table: table(), chain: "forward".into(), rule: rule.clone() });
        let ruleset = nft_lists_the_same(&commands);
        let chain = ruleset.table(&table()).and_then(|table| table.chain("forward")).expect("the chain");
        assert_eq!(chain.rules[0].rule, rule);
    });
}

/// Packets make elements, which count and can be read and removed.
#[test]
fn packets_are_counted_by_element() {
    sandboxed("packets_are_counted_by_element", || {
        let up = std::process::Command::new("ip").args(["link", "set", "lo", "up"]).status();
        assert!(up.expect("this test needs `ip` of iproute2").success());
        let base = Base {
            kind: ChainKind::Filter,
            hook: Hook::Output,
            priority: Priority::FILTER,
            policy: Policy::Accept,
            device: None,
        };
        let chain = Chain { name: "output".into(), base: Some(base), comment: None };
        let key = [Key::IP_DADDR, Key::L4PROTO, Key::TH_DPORT];
        let rule = Rule::new([update(SetOp::Update, "served4", key).counter().into()]);
        let mut commands = objects();
        commands.push(Command::AddChain { table: table(), chain });
        commands.push(Command::AddRule { table: table(), chain: "output".into(), rule });
        let kernel = Kernel::open();
        kernel.apply(&commands);

        let receiver = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let address = receiver.local_addr().expect("an address");
        let sender = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        for _ in 0..3 {
            sender.send_to(&[0; 32], address).expect("lo is up");
        }
        let served = |kernel: &Kernel| {
            let ruleset = kernel.ruleset();
            ruleset.table(&table()).and_then(|table| table.set("served4")).expect("the set").elements.clone()
        };
        // 20 bytes of IPv4 header and 8 of UDP's with each.
        let element =
            Element::new([Value::Ipv4(Ipv4Addr::LOCALHOST), Value::UDP, Value::Port(address.port())]);
        assert_eq!(served(&kernel), [element.clone().counter(3, 180)]);
        assert_eq!(kernel.ruleset().to_string(), sandbox::nft(&["list", "ruleset"], ""));
        kernel.apply(&[Command::DeleteElements(Elements::new(table(), "served4", [element]))]);
        assert_eq!(served(&kernel), []);
    });
}
