//! What is encoded here, against the kernel and nft(8) in throw-away namespaces.

mod sandbox;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use pontoon_nft::syntax::{
    AddressRange, ArpField, Base, Chain, ChainKind, Command, CounterValue, CtField, DataType, Element,
    Elements, EtherField, Family, FibAddress, FibResult, Hook, IcmpxCode, Ip6Field, IpField, IpVersion, Key,
    Limit, LimitKind, LimitUnit, LogLevel, MarkSource, MarkTarget, Match, Meta, Nat, NatFlags, NatKind,
    NatTarget, Op, Operand, Policy, PortRange, PortSide, Reject, Right, Rule, Set, SetRef, Statement,
    TableRef, Transport, Value, Verdict, ether_type,
};
use pontoon_nft::wire::{Answer, Question};
use sandbox::compare::{nft_lists_the_same, nft_makes_the_same};
use sandbox::{Kernel, sandboxed};

fn table(family: Family) -> TableRef {
    TableRef::new(family, "lab")
}

fn ifname(name: &str) -> Value {
    Value::Ifname(name.to_owned())
}

fn ip(text: &str) -> Value {
    match text.parse().expect("an address") {
        IpAddr::V4(address) => Value::Ipv4(address),
        IpAddr::V6(address) => Value::Ipv6(address),
    }
}

fn prefix(text: &str, len: u8) -> Operand {
    Operand::Prefix { address: ip(text), len }
}

fn range(first: Value, last: Value) -> Operand {
    Operand::Range { first, last }
}

fn port(transport: Transport, side: PortSide) -> Key {
    Key::Port { transport, side }
}

fn constant(first: &str, last: &str, ports: Option<PortRange>) -> NatTarget {
    let addresses =
        AddressRange { first: first.parse().expect("an address"), last: last.parse().expect("an address") };
    NatTarget::Constant { addresses, ports }
}

fn nat(kind: NatKind, to: NatTarget) -> Statement {
    Statement::Nat(Nat { kind, to, flags: NatFlags::default() })
}

fn base(kind: ChainKind, hook: Hook, priority: i32) -> Option<Base> {
    Some(Base { kind, hook, priority, policy: Policy::Accept, device: None })
}

fn chain(name: &str, base: Option<Base>) -> Chain {
    Chain { name: name.to_owned(), base, comment: None }
}

/// Tables, chains, sets, maps and their elements that the rules refer to.
fn objects() -> Vec<Command> {
    let inet = table(Family::Inet);
    let mut commands = vec![
        Command::AddTable { table: inet.clone(), comment: Some("a lab's".into()) },
        Command::AddTable { table: table(Family::Ip), comment: None },
        Command::AddTable { table: table(Family::Bridge), comment: None },
        Command::AddChain { table: table(Family::Ip), chain: chain("c", None) },
        Command::AddChain {
            table: table(Family::Ip),
            chain: chain("nat", base(ChainKind::Nat, Hook::Prerouting, -100)),
        },
        Command::AddChain {
            table: table(Family::Bridge),
            chain: chain("c", base(ChainKind::Filter, Hook::Forward, -200)),
        },
    ];
    let mut leaving = base(ChainKind::Filter, Hook::Egress, 0);
    leaving.iter_mut().for_each(|base| base.device = Some("lo".into()));
    commands.extend([
        Command::AddTable { table: table(Family::Netdev), comment: None },
        Command::AddChain { table: table(Family::Netdev), chain: chain("leaving", leaving) },
    ]);
    let mut dropping = chain("fw", base(ChainKind::Filter, Hook::Forward, 5));
    dropping.comment = Some("through the host".into());
    if let Some(base) = &mut dropping.base {
        base.policy = Policy::Drop;
    }
    let chains = [
        chain("other", None),
        chain("c", None),
        dropping,
        chain("pre", base(ChainKind::Nat, Hook::Prerouting, -100)),
        chain("post", base(ChainKind::Nat, Hook::Postrouting, 100)),
        chain("raw", base(ChainKind::Filter, Hook::Prerouting, -310)),
        chain("out", base(ChainKind::Route, Hook::Output, -155)),
    ];
    commands.extend(chains.map(|chain| Command::AddChain { table: inet.clone(), chain }));
    commands.extend(sets().map(|set| Command::AddSet { table: inet.clone(), set }));
    commands.extend(elements().map(Command::AddElements));
    commands
}

fn sets() -> [Set; 12] {
    use DataType::{EtherAddr, Ifname, InetProto, InetService, Ipv4Addr, Ipv6Addr, Mark};
    [
        Set::new("names", [Ifname]).comment("cables"),
        Set::new("nets", [Ipv4Addr]).interval(),
        Set::new("nets6", [Ipv6Addr]).interval(),
        Set::new("name_patterns", [Ifname]).interval(),
        Set::new("ports", [InetService]).interval(),
        Set::new("who", [Ifname, EtherAddr, Ipv4Addr]),
        Set::new("services", [Ipv4Addr, InetService]).interval(),
        Set::verdict_map("from", [Ifname]),
        Set::verdict_map("between", [Ifname, Ifname]),
        Set::map("published", [InetProto, InetService], [Ipv4Addr, InetService]).comment("ports"),
        Set::map("published6", [Ipv6Addr, InetProto, InetService], [Ipv6Addr, InetService]),
        Set { size: Some(100), ..Set::map("marks", [Ipv4Addr], [Mark]) },
    ]
}

fn elements() -> [Elements; 12] {
    let inet = table(Family::Inet);
    let many = (0..120_u8)
        .map(|n| Element::new([Value::Ipv4(Ipv4Addr::new(10, 9, 0, n))]).to([Value::Mark(n.into())]));
    let jump = |chain: &str| Verdict::Jump(chain.to_owned());
    let plain = |set: &str, elements: Vec<Element>| Elements::new(table(Family::Inet), set, elements);
    let interval = |set: &str, elements: Vec<Element>| Elements::of_intervals(inet.clone(), set, elements);
    [
        plain("names", vec![Element::new([ifname("lo")]), Element::new([ifname("eth0")]).comment("up")]),
        interval(
            "nets",
            vec![
                Element::new([prefix("10.0.0.0", 8)]).comment("private"),
                Element::new([prefix("11.0.0.0", 8)]),
                Element::new([range(ip("172.16.0.1"), ip("172.16.0.9"))]),
                Element::new([ip("192.168.1.1")]),
                Element::new([range(ip("250.0.0.1"), ip("255.255.255.255"))]),
            ],
        ),
        interval("nets6", vec![Element::new([prefix("fd00::", 8)]), Element::new([prefix("ff00::", 8)])]),
        interval("name_patterns", vec![Element::new([ifname("eth1")]), Element::new([ifname("pod*")])]),
        interval(
            "ports",
            vec![Element::new([Value::Port(53)]), Element::new([range(Value::Port(100), Value::Port(200))])],
        ),
        plain("who", vec![Element::new([ifname("eth0"), Value::Ether([2, 0, 0, 0, 0, 1]), ip("10.0.0.1")])]),
        interval(
            "services",
            vec![
                Element::new([prefix("10.0.0.0", 8), Value::Port(80).into()]),
                Element::new([ip("1.2.3.4").into(), range(Value::Port(100), Value::Port(200))])
                    .comment("some"),
            ],
        ),
        plain(
            "from",
            vec![
                Element::new([ifname("lo")]).verdict(Verdict::Accept),
                Element::new([ifname("eth0")]).verdict(jump("other")).comment("checked"),
            ],
        ),
        plain(
            "between",
            vec![Element::new([ifname("a"), ifname("b")]).verdict(Verdict::Goto("other".into()))],
        ),
        plain(
            "published",
            vec![
                Element::new([Value::TCP, Value::Port(80)])
                    .to([ip("10.0.0.2"), Value::Port(8080)])
                    .comment("web"),
            ],
        ),
        plain(
            "published6",
            vec![
                Element::new([ip("fd00::1"), Value::UDP, Value::Port(53)])
                    .to([ip("fd00::2"), Value::Port(5353)]),
            ],
        ),
        plain("marks", many.take(100).collect()),
    ]
}

/// Rules for chains of the inet table, with the text that nft lists each as.
fn inet_rules() -> Vec<(&'static str, Rule, &'static str)> {
    let mut rules = matches();
    rules.extend(connection_matches());
    rules.extend(lookups());
    rules.extend(actions());
    rules.extend(translations());
    rules
}

fn accepting(statement: Statement) -> Rule {
    Rule::new([statement, Verdict::Accept.into()])
}

fn matches() -> Vec<(&'static str, Rule, &'static str)> {
    let tcp_sport = port(Transport::Tcp, PortSide::Source);
    vec![
        (
            "c",
            accepting(Match::is(Key::IIFNAME, ifname("eth0"))).comment("why"),
            "iifname \"eth0\" accept comment \"why\"",
        ),
        ("c", accepting(Match::is(Key::IIFNAME, ifname("pod*"))), "iifname \"pod*\" accept"),
        (
            "c",
            accepting(Match::is_not(Key::OIFNAME, ifname("a-name-of-15-by"))),
            "oifname != \"a-name-of-15-by\" accept",
        ),
        ("c", accepting(Match::is(Key::Meta(Meta::Iif), Value::IfIndex(1))), "iif \"lo\" accept"),
        ("c", accepting(Match::is_not(Key::Meta(Meta::Oif), Value::IfIndex(1))), "oif != \"lo\" accept"),
        ("c", accepting(Match::is(Key::L4PROTO, Value::TCP)), "meta l4proto tcp accept"),
        ("c", accepting(Match::is(Key::NFPROTO, Value::IPV6)), "meta nfproto ipv6 accept"),
        ("c", accepting(Match::is(Key::MARK, Value::Mark(16))), "meta mark 0x00000010 accept"),
        (
            "c",
            accepting(Match::masked(Key::MARK, Value::Mark(0xff), Value::Mark(16))),
            "meta mark & 0x000000ff == 0x00000010 accept",
        ),
        (
            "c",
            accepting(Match::is(Key::Meta(Meta::Protocol), Value::EtherType(ether_type::IP))),
            "meta protocol ip accept",
        ),
        (
            "c",
            accepting(Match::is(Key::Meta(Meta::Pkttype), Value::PktType(1))),
            "meta pkttype broadcast accept",
        ),
        ("c", accepting(Match::is(Key::Meta(Meta::Iifgroup), Value::DevGroup(5))), "iifgroup 5 accept"),
        ("c", accepting(Match::is(Key::Meta(Meta::Iiftype), Value::IfType(1))), "meta iiftype ether accept"),
        (
            "c",
            Rule::new([
                Match::is(Key::IP_SADDR, prefix("10.0.0.0", 8)),
                Match::is_not(Key::IP_DADDR, prefix("10.0.0.0", 12)),
            ]),
            "ip saddr 10.0.0.0/8 ip daddr != 10.0.0.0/12",
        ),
        (
            "c",
            accepting(Match::is(Key::IP_SADDR, range(ip("10.0.0.1"), ip("10.0.0.9")))),
            "ip saddr 10.0.0.1-10.0.0.9 accept",
        ),
        (
            "c",
            accepting(Match::is_not(Key::IP_SADDR, range(ip("10.0.0.1"), ip("10.0.0.9")))),
            "ip saddr != 10.0.0.1-10.0.0.9 accept",
        ),
        ("c", accepting(Match::is(Key::Ip(IpField::Protocol), Value::TCP)), "ip protocol tcp accept"),
        ("c", accepting(Match::is(Key::Ip6(Ip6Field::Nexthdr), Value::TCP)), "ip6 nexthdr tcp accept"),
        ("c", accepting(Match::is(Key::IP6_DADDR, prefix("fe80::", 10))), "ip6 daddr fe80::/10 accept"),
        ("c", accepting(Match::is(Key::IP6_DADDR, prefix("ff02::", 16))), "ip6 daddr ff02::/16 accept"),
        ("c", accepting(Match::is(Key::IP6_SADDR, ip("fd00::1"))), "ip6 saddr fd00::1 accept"),
        (
            "c",
            accepting(Match::is(Key::ETHER_SADDR, Value::Ether([0, 0x11, 0x22, 0x33, 0x44, 0x55]))),
            "ether saddr 00:11:22:33:44:55 accept",
        ),
        (
            "c",
            accepting(Match::is(Key::Ether(EtherField::Type), Value::EtherType(ether_type::VLAN))),
            "ether type 8021q accept",
        ),
        ("c", accepting(Match::is(Key::TCP_DPORT, Value::Port(80))), "tcp dport 80 accept"),
        ("c", accepting(Match::is_not(tcp_sport, Value::Port(22))), "tcp sport != 22 accept"),
        (
            "c",
            accepting(Match::is(Key::UDP_DPORT, range(Value::Port(80), Value::Port(90)))),
            "udp dport 80-90 accept",
        ),
        (
            "c",
            accepting(Match::is(port(Transport::Sctp, PortSide::Destination), Value::Port(5))),
            "sctp dport 5 accept",
        ),
        ("c", accepting(Match::is(Key::TH_DPORT, Value::Port(53))), "th dport 53 accept"),
        ("c", accepting(Match::is(Key::IcmpType, Value::IcmpType(8))), "icmp type echo-request accept"),
        (
            "c",
            accepting(Match::is(Key::Icmpv6Type, Value::Icmpv6Type(135))),
            "icmpv6 type nd-neighbor-solicit accept",
        ),
        (
            "c",
            Rule::new([Match::is(Key::UDP_DPORT, Value::Port(53)), Match::is(Key::IP_DADDR, ip("1.2.3.4"))]),
            "udp dport 53 ip daddr 1.2.3.4",
        ),
        (
            "c",
            Rule::new([Match::is(Key::NFPROTO, Value::IPV4), Match::is(Key::TCP_DPORT, Value::Port(80))]),
            "meta nfproto ipv4 tcp dport 80",
        ),
    ]
}

fn connection_matches() -> Vec<(&'static str, Rule, &'static str)> {
    let ct = Key::Ct;
    let fib = |address, iif, result| Key::Fib { address, iif, result };
    let state_is = |op, bits| {
        let right = Right::Operand(Value::CtState(bits).into());
        accepting(Match { key: vec![Key::CT_STATE], mask: None, op, right }.into())
    };
    vec![
        ("c", state_is(Op::Any, 6), "ct state established,related accept"),
        ("c", state_is(Op::Any, 8), "ct state new accept"),
        ("c", state_is(Op::Eq, 8), "ct state == new accept"),
        ("c", state_is(Op::Ne, 1), "ct state != invalid accept"),
        ("c", accepting(Match::is(Key::CT_STATUS, Value::DNAT)), "ct status dnat accept"),
        (
            "c",
            accepting(Match::masked(Key::CT_STATUS, Value::DNAT, Value::DNAT)),
            "ct status & dnat == dnat accept",
        ),
        ("c", accepting(Match::is(ct(CtField::Mark), Value::Mark(5))), "ct mark 0x00000005 accept"),
        ("c", accepting(Match::is(ct(CtField::Direction), Value::CtDir(1))), "ct direction reply accept"),
        (
            "c",
            accepting(Match::is(ct(CtField::OriginalIpDaddr), ip("1.2.3.4"))),
            "ct original ip daddr 1.2.3.4 accept",
        ),
        (
            "c",
            accepting(Match::is(ct(CtField::OriginalIp6Daddr), ip("fd00::1"))),
            "ct original ip6 daddr fd00::1 accept",
        ),
        (
            "c",
            Rule::new([
                Match::is(Key::L4PROTO, Value::TCP),
                Match::is(ct(CtField::OriginalProtoDst), Value::Port(80)),
            ]),
            "meta l4proto tcp ct original proto-dst 80",
        ),
        ("c", accepting(Match::is(Key::FIB_DADDR_TYPE, Value::LOCAL)), "fib daddr type local accept"),
        (
            "c",
            accepting(Match::is(fib(FibAddress::Daddr, true, FibResult::Type), Value::LOCAL)),
            "fib daddr . iif type local accept",
        ),
        (
            "c",
            accepting(Match::is(fib(FibAddress::Saddr, true, FibResult::Exists), Value::Boolean(false))),
            "fib saddr . iif oif missing accept",
        ),
        (
            "c",
            accepting(Match::is(fib(FibAddress::Saddr, false, FibResult::Oif), Value::IfIndex(1))),
            "fib saddr oif \"lo\" accept",
        ),
    ]
}

fn lookups() -> Vec<(&'static str, Rule, &'static str)> {
    let inline = |elements: Vec<Element>| SetRef::Inline(elements);
    vec![
        ("c", accepting(Match::is_in([Key::IIFNAME], "names")), "iifname @names accept"),
        ("c", accepting(Match::is_not_in([Key::IIFNAME], "names")), "iifname != @names accept"),
        ("c", accepting(Match::is_in([Key::IIFNAME], "name_patterns")), "iifname @name_patterns accept"),
        ("c", accepting(Match::is_in([Key::IP_SADDR], "nets")), "ip saddr @nets accept"),
        ("c", accepting(Match::is_in([Key::IP6_SADDR], "nets6")), "ip6 saddr @nets6 accept"),
        (
            "c",
            accepting(Match::is_in([Key::IIFNAME, Key::ETHER_SADDR, Key::IP_SADDR], "who")),
            "iifname . ether saddr . ip saddr @who accept",
        ),
        (
            "c",
            accepting(Match::is_in([Key::IP_SADDR, Key::TCP_DPORT], "services")),
            "ip saddr . tcp dport @services accept",
        ),
        (
            "c",
            Rule::new([Statement::Vmap { key: vec![Key::IIFNAME], map: "from".into() }]),
            "iifname vmap @from",
        ),
        (
            "c",
            Rule::new([Statement::Vmap { key: vec![Key::IIFNAME, Key::OIFNAME], map: "between".into() }]),
            "iifname . oifname vmap @between",
        ),
        (
            "c",
            accepting(Match::is_in(
                [Key::IIFNAME],
                inline(vec![Element::new([ifname("a")]), Element::new([ifname("b")])]),
            )),
            "iifname { \"a\", \"b\" } accept",
        ),
        (
            "c",
            accepting(Match::is_in(
                [Key::UDP_DPORT],
                inline(vec![
                    Element::new([Value::Port(53)]),
                    Element::new([range(Value::Port(100), Value::Port(200))]),
                ]),
            )),
            "udp dport { 53, 100-200 } accept",
        ),
        (
            "c",
            Rule::new([Statement::Vmap {
                key: vec![Key::CT_STATE],
                map: inline(vec![
                    Element::new([Value::INVALID]).verdict(Verdict::Drop),
                    Element::new([Value::ESTABLISHED]).verdict(Verdict::Accept),
                ]),
            }]),
            "ct state vmap { invalid : drop, established : accept }",
        ),
    ]
}

fn actions() -> Vec<(&'static str, Rule, &'static str)> {
    let limit = |rate, unit, burst, kind, over| Statement::Limit(Limit { rate, unit, burst, kind, over });
    let log = |prefix: Option<&str>, level| Statement::Log { prefix: prefix.map(str::to_owned), level };
    let set = |target, source| Rule::new([Statement::SetMark { target, source }]);
    let of_marks = MarkSource::Map { key: vec![Key::IP_SADDR], map: "marks".into() };
    let counted = CounterValue { packets: 5, bytes: 7 };
    let tcp = Match::is(Key::L4PROTO, Value::TCP);
    let one = |statement: Statement| Rule::new([statement]);
    vec![
        ("c", one(Statement::Counter(CounterValue::default())), "counter packets 0 bytes 0"),
        ("c", one(Statement::Counter(counted)), "counter packets 5 bytes 7"),
        ("c", one(Verdict::Jump("other".into()).into()), "jump other"),
        ("c", one(Verdict::Goto("other".into()).into()), "goto other"),
        ("c", one(Verdict::Continue.into()), "continue"),
        ("c", one(Verdict::Return.into()), "return"),
        ("fw", one(Statement::Reject(Reject::Icmpx(IcmpxCode::PortUnreachable))), "reject"),
        (
            "fw",
            Rule::new([tcp, Statement::Reject(Reject::TcpReset)]),
            "meta l4proto tcp reject with tcp reset",
        ),
        (
            "fw",
            one(Statement::Reject(Reject::Icmpx(IcmpxCode::AdminProhibited))),
            "reject with icmpx admin-prohibited",
        ),
        ("fw", one(Statement::Reject(Reject::Icmp(10))), "reject with icmp host-prohibited"),
        ("fw", one(Statement::Reject(Reject::Icmpv6(0))), "reject with icmpv6 no-route"),
        ("c", one(log(None, None)), "log"),
        ("c", one(log(Some("dropped: "), Some(LogLevel::Debug))), "log prefix \"dropped: \" level debug"),
        ("c", one(limit(10, LimitUnit::Second, 5, LimitKind::Packets, false)), "limit rate 10/second"),
        (
            "c",
            one(limit(10, LimitUnit::Hour, 20, LimitKind::Packets, true)),
            "limit rate over 10/hour burst 20 packets",
        ),
        (
            "c",
            one(limit(10_240, LimitUnit::Second, 0, LimitKind::Bytes, false)),
            "limit rate 10 kbytes/second",
        ),
        ("c", one(Statement::Chance { of: 1000, below: 15 }), "numgen random mod 1000 < 15"),
        ("c", set(MarkTarget::Ct, MarkSource::Value(5)), "ct mark set 0x00000005"),
        ("c", set(MarkTarget::Meta, MarkSource::Value(6)), "meta mark set 0x00000006"),
        ("c", set(MarkTarget::Meta, of_marks), "meta mark set ip saddr map @marks"),
        ("c", set(MarkTarget::Ct, MarkSource::Mark(MarkTarget::Meta)), "ct mark set meta mark"),
        ("c", set(MarkTarget::Meta, MarkSource::Mark(MarkTarget::Ct)), "meta mark set ct mark"),
        ("raw", one(Statement::Notrack), "notrack"),
        ("raw", one(Statement::Trace), "meta nftrace set 1"),
    ]
}

fn translations() -> Vec<(&'static str, Rule, &'static str)> {
    let one = |statement: Statement| Rule::new([statement]);
    let after_tcp = |statement: Statement| Rule::new([Match::is(Key::L4PROTO, Value::TCP), statement]);
    let masquerade = |flags, ports| Statement::Masquerade { flags, ports };
    let none = NatFlags::default();
    let many = Some(PortRange { first: 1024, last: 2048 });
    let map = |version, key: &[Key], map: &str| NatTarget::Map {
        version,
        key: key.to_vec(),
        map: map.into(),
        with_port: true,
    };
    let published = map(IpVersion::V4, &[Key::L4PROTO, Key::TH_DPORT], "published");
    let published6 = map(IpVersion::V6, &[Key::IP6_DADDR, Key::L4PROTO, Key::TH_DPORT], "published6");
    vec![
        ("post", one(masquerade(none, None)), "masquerade"),
        ("post", one(masquerade(NatFlags { random: true, ..none }, None)), "masquerade random"),
        (
            "post",
            one(masquerade(NatFlags { fully_random: true, persistent: true, ..none }, None)),
            "masquerade fully-random,persistent",
        ),
        ("post", after_tcp(masquerade(none, many)), "meta l4proto tcp masquerade to :1024-2048"),
        ("post", one(nat(NatKind::Snat, constant("1.2.3.4", "1.2.3.4", None))), "snat ip to 1.2.3.4"),
        ("post", one(nat(NatKind::Snat, constant("1.2.3.4", "1.2.3.9", None))), "snat ip to 1.2.3.4-1.2.3.9"),
        ("pre", one(nat(NatKind::Dnat, constant("fd00::1", "fd00::1", None))), "dnat ip6 to fd00::1"),
        (
            "pre",
            after_tcp(nat(NatKind::Dnat, constant("1.2.3.4", "1.2.3.4", Some(80.into())))),
            "meta l4proto tcp dnat ip to 1.2.3.4:80",
        ),
        (
            "pre",
            after_tcp(nat(NatKind::Dnat, constant("fd00::1", "fd00::1", Some(80.into())))),
            "meta l4proto tcp dnat ip6 to [fd00::1]:80",
        ),
        ("pre", one(nat(NatKind::Dnat, published)), "dnat ip to meta l4proto . th dport map @published"),
        (
            "pre",
            one(nat(NatKind::Dnat, published6)),
            "dnat ip6 to ip6 daddr . meta l4proto . th dport map @published6",
        ),
        ("pre", one(Statement::Redirect { ports: None, flags: none }), "redirect"),
        (
            "pre",
            after_tcp(Statement::Redirect { ports: Some(80.into()), flags: none }),
            "meta l4proto tcp redirect to :80",
        ),
    ]
}

/// Rules for other families.
fn other_rules() -> Vec<(Family, &'static str, Rule, &'static str)> {
    let mac = Value::Ether([0, 0x11, 0x22, 0x33, 0x44, 0x55]);
    let b = Family::Bridge;
    vec![
        (b, "c", accepting(Match::is(Key::IP_SADDR, ip("1.2.3.4"))), "ip saddr 1.2.3.4 accept"),
        (b, "c", accepting(Match::is(Key::TCP_DPORT, Value::Port(80))), "tcp dport 80 accept"),
        (
            b,
            "c",
            accepting(Match::is(Key::Arp(ArpField::Operation), Value::ArpOp(1))),
            "arp operation request accept",
        ),
        (
            b,
            "c",
            accepting(Match::is(Key::Arp(ArpField::SaddrIp), ip("1.2.3.4"))),
            "arp saddr ip 1.2.3.4 accept",
        ),
        (
            b,
            "c",
            accepting(Match::is(Key::Arp(ArpField::SaddrEther), mac.clone())),
            "arp saddr ether 00:11:22:33:44:55 accept",
        ),
        (b, "c", accepting(Match::is(Key::IcmpType, Value::IcmpType(8))), "icmp type echo-request accept"),
        (
            b,
            "c",
            Rule::new([Match::is(Key::ETHER_SADDR, mac.clone()), Match::is(Key::IP_SADDR, ip("1.2.3.4"))]),
            "ether saddr 00:11:22:33:44:55 ip saddr 1.2.3.4",
        ),
        (Family::Ip, "c", accepting(Match::is(Key::IP_SADDR, ip("1.2.3.4"))), "ip saddr 1.2.3.4 accept"),
        (
            Family::Ip,
            "c",
            accepting(Match::is(Key::IcmpType, Value::IcmpType(8))),
            "icmp type echo-request accept",
        ),
        (
            Family::Ip,
            "c",
            accepting(Match::is(Key::ETHER_SADDR, mac)),
            "ether saddr 00:11:22:33:44:55 accept",
        ),
        (Family::Ip, "c", Rule::new([Statement::Reject(Reject::Icmp(3))]), "reject"),
        (
            Family::Ip,
            "nat",
            Rule::new([nat(NatKind::Dnat, constant("1.2.3.4", "1.2.3.4", None))]),
            "dnat to 1.2.3.4",
        ),
    ]
}

fn everything() -> Vec<Command> {
    let mut commands = objects();
    commands.extend(inet_rules().into_iter().map(|(chain, rule, _)| Command::AddRule {
        table: table(Family::Inet),
        chain: chain.to_owned(),
        rule,
    }));
    commands.extend(other_rules().into_iter().map(|(family, chain, rule, _)| Command::AddRule {
        table: table(family),
        chain: chain.to_owned(),
        rule,
    }));
    commands
}

#[test]
fn a_rule_reads_as_nft_lists_it() {
    for (_, rule, text) in inet_rules() {
        assert_eq!(rule.listing(Family::Inet).to_string(), text);
    }
    for (family, _, rule, text) in other_rules() {
        assert_eq!(rule.listing(family).to_string(), text);
    }
}

/// What we send is what nft lists in our words, and comes back from the kernel as it was.
#[test]
fn nft_lists_what_was_encoded() {
    sandboxed("nft_lists_what_was_encoded", || {
        let ruleset = nft_lists_the_same(&everything());
        let inet = ruleset.table(&table(Family::Inet)).expect("the table");
        let mut by_chain: Vec<(&str, &Rule)> = Vec::new();
        for chain in &inet.chains {
            by_chain.extend(chain.rules.iter().map(|rule| (chain.chain.name.as_str(), &rule.rule)));
        }
        for (chain, rule, text) in inet_rules() {
            assert!(by_chain.contains(&(chain, &rule)), "`{text}` did not come back as it was");
        }
        let listed_sets: Vec<&Set> = inet.sets.iter().map(|set| &set.set).collect();
        assert_eq!(listed_sets, sets().iter().collect::<Vec<_>>());
    });
}

/// nft, given our text, gives the kernel the same objects and the same instructions, byte for byte.
#[test]
fn nft_makes_the_same_of_our_text() {
    sandboxed("nft_makes_the_same_of_our_text", || nft_makes_the_same(&everything()));
}

/// A transaction is all or nothing, and the answer says which command it was.
#[test]
fn a_failed_command_is_named_and_nothing_is_changed() {
    sandboxed("a_failed_command_is_named_and_nothing_is_changed", || {
        const ENOENT: i32 = 2;
        const EEXIST: i32 = 17;
        let kernel = Kernel::open();
        let inet = table(Family::Inet);
        let add = Command::AddTable { table: inet.clone(), comment: None };
        let bad = Command::DeleteChain { table: inet.clone(), chain: "none".into() };
        assert_eq!(kernel.try_apply(&[add.clone(), bad]), Err((1, ENOENT)));
        assert_eq!(kernel.ask(&Question::Table(&inet)).map(|answers| answers.len()), Err(ENOENT));
        kernel.apply(&[add.clone(), add.clone()]);
        assert_eq!(kernel.ask(&Question::Table(&inet)).map(|answers| answers.len()), Ok(1));
        let create = Command::CreateTable { table: inet.clone(), comment: None };
        assert_eq!(kernel.try_apply(std::slice::from_ref(&create)), Err((0, EEXIST)));
        kernel.apply(&[Command::DestroyTable { table: inet.clone() }, Command::DestroyTable { table: inet }]);
    });
}

/// Elements come and go; what is added twice is fine, what is created twice is not.
#[test]
fn elements_come_and_go() {
    sandboxed("elements_come_and_go", || {
        const ENOENT: i32 = 2;
        const EEXIST: i32 = 17;
        let kernel = Kernel::open();
        kernel.apply(&objects());
        let inet = table(Family::Inet);
        for elements in elements() {
            kernel.apply(&[Command::AddElements(elements.clone())]);
            let refused = kernel.try_apply(&[Command::CreateElements(elements.clone())]);
            assert_eq!(refused, Err((0, EEXIST)), "{}", elements.set);
            kernel.apply(&[Command::DeleteElements(elements.clone())]);
            let refused = kernel.try_apply(&[Command::DeleteElements(elements.clone())]);
            assert_eq!(refused, Err((0, ENOENT)), "{}", elements.set);
            kernel.apply(&[Command::DestroyElements(elements.clone())]);
            let ruleset = kernel.ruleset();
            let set = ruleset.table(&inet).and_then(|table| table.set(&elements.set)).expect("the set");
            assert_eq!(set.elements, [], "{}", elements.set);
            kernel.apply(&[Command::AddElements(elements)]);
        }
        let lo = Element::new([ifname("lo")]);
        assert_eq!(kernel.ask(&Question::Element(&inet, "names", &lo)).map(|answers| answers.len()), Ok(1));
        let none = Element::new([ifname("none")]);
        assert_eq!(
            kernel.ask(&Question::Element(&inet, "names", &none)).map(|answers| answers.len()),
            Err(ENOENT)
        );
        kernel.apply(&[Command::FlushSet { table: inet.clone(), set: "names".into(), map: false }]);
        assert_eq!(
            kernel.ask(&Question::Element(&inet, "names", &lo)).map(|answers| answers.len()),
            Err(ENOENT)
        );
        let generation = kernel.ask(&Question::Generation).expect("a generation");
        assert!(matches!(generation[..], [(Answer::Generation(1..), _)]));
    });
}

/// Addresses for the tests above must be written as nft writes them.
#[test]
fn addresses_read_as_they_are_written() {
    assert_eq!(Value::Ipv6(Ipv6Addr::LOCALHOST).to_string(), "::1");
}
