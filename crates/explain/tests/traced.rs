//! What rules do with a single packet of which everything is known.

use std::net::IpAddr;

use pontoon_explain::packet::{Address, Connection, Interface, Packet, Ports, Traced};
use pontoon_explain::truth::Truth;
use pontoon_explain::walk::{Fate, Translation, Walk, walk};
use pontoon_nft::ruleset::{ListedChain, ListedRule, ListedSet, Table};
use pontoon_nft::syntax::{
    AddressRange, Base, Chain, ChainKind, CtField, DataType, Element, Family, FibAddress, FibResult, Hook,
    IpVersion, Key, MarkSource, MarkTarget, Match, Meta, Nat, NatFlags, NatKind, NatTarget, Op, PayloadBase,
    Policy, PortRange, Priority, Right, Rule, Set, Statement, TableRef, Value, Verdict, protocol,
};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// The first packet of a connection from 10.5.0.2 by blue0 to port 80 of 198.51.100.10 by eth0.
fn packet() -> Packet {
    let (from, to) = (ip("10.5.0.2"), ip("198.51.100.10"));
    let (client, server) = (Ports { first: 32768, last: 60999 }, Ports { first: 80, last: 80 });
    Packet {
        version: IpVersion::V4,
        iif: Interface::Named("blue0".into()),
        oif: Interface::Named("eth0".into()),
        source: Address::In(from.into()),
        destination: Address::In(to.into()),
        protocol: protocol::TCP,
        source_port: client,
        destination_port: server,
        connection: Connection::New,
        traced: Some(Traced {
            links: (Some(3), Some(2)),
            destination_kind: 1,
            icmp: 8,
            ether: None,
            translated: (Truth::False, Truth::False),
            original: (from, to),
            original_ports: (client, server),
            mark: Some(0),
            connection_mark: Some(0),
            source_route: Some((1, 3)),
            tcp_flags: 2,
        }),
    }
}

fn table(sets: Vec<ListedSet>, kind: ChainKind, rules: Vec<Vec<Statement>>) -> Table {
    let base =
        Base { kind, hook: Hook::Forward, priority: Priority::FILTER, policy: Policy::Accept, device: None };
    let chain = Chain { name: "forward".into(), base: Some(base), comment: None };
    let listed = |(index, statements): (usize, Vec<Statement>)| ListedRule {
        handle: index as u64 + 1,
        rule: Rule::new(statements),
    };
    let rules = rules.into_iter().enumerate().map(listed).collect();
    Table {
        table: TableRef::new(Family::Inet, "theirs"),
        handle: 1,
        comment: None,
        dormant: false,
        sets,
        chains: vec![ListedChain { handle: 1, chain, rules }],
    }
}

fn walked(rules: Vec<Vec<Statement>>) -> Walk {
    walk(&packet(), &table(Vec::new(), ChainKind::Filter, rules), "forward")
}

fn drop() -> Statement {
    Statement::Verdict(Verdict::Drop)
}

/// Whether a rule of this condition drops the packet.
fn fate(condition: Statement) -> Fate {
    walked(vec![vec![condition, drop()]]).fate
}

fn mark(target: MarkTarget, source: MarkSource) -> Statement {
    Statement::SetMark { target, source }
}

fn masked(key: Key, op: Op, mask: Option<Value>, value: Value) -> Statement {
    Statement::Match(Match { key: vec![key], mask, op, right: Right::Operand(value.into()) })
}

#[test]
fn marks_are_followed_from_rule_to_rule() {
    let is = |value| Match::is(Key::Meta(Meta::Mark), Value::Mark(value));
    let set = mark(MarkTarget::Meta, MarkSource::Value(7));
    assert_eq!(walked(vec![vec![set.clone()], vec![is(7), drop()]]).fate, Fate::Drops);
    assert_eq!(walked(vec![vec![set.clone()], vec![is(8), drop()]]).fate, Fate::Passes);
    assert_eq!(walked(vec![vec![set.clone()]]).marks, (Some(7), Some(0)));
    // To the connection and back.
    let save = mark(MarkTarget::Ct, MarkSource::Mark(MarkTarget::Meta));
    assert_eq!(walked(vec![vec![set.clone(), save]]).marks, (Some(7), Some(7)));
    // A rule that is perhaps not for it.
    let chance = Statement::Chance { of: 2, below: 1 };
    let perhaps = walked(vec![vec![chance.clone(), set], vec![is(7), drop()]]);
    assert_eq!((perhaps.fate, perhaps.marks.0), (Fate::MayDrop, None));
    // What changes nothing is known whatever the rule is for.
    let same = mark(MarkTarget::Meta, MarkSource::Value(0));
    assert_eq!(walked(vec![vec![chance, same]]).marks.0, Some(0));
}

#[test]
fn bits_of_marks_are_compared() {
    let set = mark(MarkTarget::Meta, MarkSource::Value(0x16));
    let of = |mask, value| {
        let masked = masked(Key::Meta(Meta::Mark), Op::Eq, Some(Value::Mark(mask)), Value::Mark(value));
        walked(vec![vec![set.clone()], vec![masked, drop()]]).fate
    };
    assert_eq!(of(0xf0, 0x10), Fate::Drops);
    assert_eq!(of(0xf0, 0x20), Fate::Passes);
}

#[test]
fn flags_of_tcp_are_compared() {
    let flags = Key::Raw { base: PayloadBase::Transport, offset: 13, len: 1 };
    let of = |mask: u8, value: u8| {
        fate(masked(flags, Op::Eq, Some(Value::Other(vec![mask])), Value::Other(vec![value])))
    };
    assert_eq!(of(0x17, 0x02), Fate::Drops, "syn and no other");
    assert_eq!(of(0x12, 0x12), Fate::Passes, "syn and ack");
}

#[test]
fn the_way_back_to_the_source_is_asked_for() {
    let fib = |result| Key::Fib { address: FibAddress::Saddr, iif: true, result };
    assert_eq!(fate(Match::is(fib(FibResult::Exists), Value::Boolean(false))), Fate::Passes);
    assert_eq!(fate(Match::is(fib(FibResult::Exists), Value::Boolean(true))), Fate::Drops);
    assert_eq!(fate(Match::is(fib(FibResult::Oif), Value::IfIndex(0))), Fate::Passes);
    assert_eq!(fate(Match::is(fib(FibResult::Type), Value::FibAddrType(1))), Fate::Drops);
    // The kernel knows more of other ways than is told here.
    let mut other = packet();
    other.traced.as_mut().unwrap().source_route = Some((1, 9));
    let missing = Match::is(fib(FibResult::Exists), Value::Boolean(false));
    let rules = table(Vec::new(), ChainKind::Filter, vec![vec![missing, drop()]]);
    assert_eq!(walk(&other, &rules, "forward").fate, Fate::MayDrop);
}

#[test]
fn a_packet_without_an_interface_has_one_without_a_name() {
    let mut own = packet();
    own.iif = Interface::None;
    own.traced.as_mut().unwrap().links.0 = None;
    let rules = |condition| table(Vec::new(), ChainKind::Filter, vec![vec![condition, drop()]]);
    let of = |condition| walk(&own, &rules(condition), "forward").fate;
    assert_eq!(of(Match::is_not(Key::IIFNAME, Value::Ifname("eth0".into()))), Fate::Drops);
    assert_eq!(of(Match::is(Key::IIFNAME, Value::Ifname("eth0".into()))), Fate::Passes);
    assert_eq!(of(Match::is(Key::Meta(Meta::Iif), Value::IfIndex(1))), Fate::Passes);
}

#[test]
fn sets_are_as_they_are_now() {
    let listed = |dynamic: bool| {
        let mut set = Set::new("bad", vec![DataType::Ipv4Addr]);
        set.dynamic = dynamic;
        set.timeout = dynamic;
        ListedSet { handle: 2, set, elements: vec![Element::new([Value::Ipv4([10, 5, 0, 2].into())])] }
    };
    let rule = || vec![Match::is_in(vec![Key::IP_SADDR], "bad"), drop()];
    for dynamic in [false, true] {
        let table = table(vec![listed(dynamic)], ChainKind::Filter, vec![rule()]);
        assert_eq!(walk(&packet(), &table, "forward").fate, Fate::Drops, "dynamic: {dynamic}");
    }
    // Of packets that come later it is not known.
    let later = Packet { traced: None, ..packet() };
    let table = table(vec![listed(true)], ChainKind::Filter, vec![rule()]);
    assert_eq!(walk(&later, &table, "forward").fate, Fate::MayDrop);
}

#[test]
fn the_status_of_a_first_packet_is_known() {
    let status = |bits| fate(Match::is(Key::Ct(CtField::Status), Value::CtStatus(bits)));
    assert_eq!(status(0x20), Fate::Passes, "dnat");
    assert_eq!(status(0x4 | 0x2), Fate::Passes, "assured, seen-reply");
    assert_eq!(fate(Match::is(Key::Ct(CtField::State), Value::CtState(8))), Fate::Drops, "new");
}

#[test]
fn one_of_several_targets_is_not_guessed() {
    let to = |kind, first: &str, last: &str, ports: Option<(u16, u16)>| {
        let addresses = AddressRange { first: ip(first), last: ip(last) };
        let ports = ports.map(|(first, last)| PortRange { first, last });
        let target = NatTarget::Constant { addresses, ports };
        let nat = Statement::Nat(Nat { kind, to: target, flags: NatFlags::default() });
        let found = walk(&packet(), &table(Vec::new(), ChainKind::Nat, vec![vec![nat]]), "forward");
        found.translations.into_iter().map(|(translation, _)| translation).collect::<Vec<_>>()
    };
    let (one, other) = ("10.5.0.2", "10.5.0.3");
    assert_eq!(to(NatKind::Dnat, one, one, Some((80, 80))), [Translation::Destination(ip(one), Some(80))]);
    assert_eq!(to(NatKind::Dnat, one, other, None), [Translation::Unclear]);
    assert_eq!(to(NatKind::Dnat, one, one, Some((80, 90))), [Translation::Unclear]);
    assert_eq!(to(NatKind::Snat, one, one, Some((1024, 65535))), [Translation::Source(ip(one), None)]);
}
