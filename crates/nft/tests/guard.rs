//! A bridge's guard against forged addresses, as it is sent, against the kernel and nft(8).

mod sandbox;

use std::net::Ipv6Addr;

use pontoon_nft::syntax::{
    ArpField, Base, Chain, ChainKind, Command, DataType, Element, Elements, EtherField, Family, Hook,
    Ip6Field, IpField, Key, Match, Operand, PayloadBase, Policy, PortSide, Priority, Rule, Set, SetOp,
    SetUpdate, Statement, TableRef, Transport, Value, Verdict,
};
use sandbox::compare::{nft_lists_the_same, nft_makes_the_same};
use sandbox::sandboxed;

const MAC: [u8; 6] = [2, 0x42, 10, 0, 0, 2];
const TARGET: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
const SENDER: [Key; 3] = [Key::IIFNAME, Key::ETHER_SADDR, Key::IP_SADDR];
const ARP_SENDER: [Key; 3] = [Key::IIFNAME, Key::Arp(ArpField::SaddrEther), Key::Arp(ArpField::SaddrIp)];
const SENDER6: [Key; 3] = [Key::IIFNAME, Key::ETHER_SADDR, Key::IP6_SADDR];
const TARGET6: [Key; 3] = [Key::IIFNAME, Key::ETHER_SADDR, Key::ND_TARGET];

fn table() -> TableRef {
    TableRef::new(Family::Bridge, "pontoon")
}

fn cable() -> Value {
    Value::Ifname("vethc0a1".to_owned())
}

fn raw(base: PayloadBase, offset: u16, len: u8) -> Key {
    Key::Raw { base, offset, len }
}

fn sets() -> [Set; 8] {
    use DataType::{EtherAddr, Ifname, Ipv4Addr, Ipv6Addr};
    [
        Set::new("guard4", [Ifname, EtherAddr, Ipv4Addr]),
        Set::new("guard6", [Ifname, EtherAddr, Ipv6Addr]),
        Set::of_keys("target6", TARGET6).counted().comment("who may answer for what"),
        Set::new("guarded", [Ifname]),
        Set::verdict_map("guards", [Ifname]),
        Set::of_keys("raw", [raw(PayloadBase::Transport, 8, 2)]).interval(),
        Set::of_keys("seen", [Key::ETHER_SADDR, Key::IP_SADDR]).dynamic(100).expiring(60_000),
        Set {
            data: Some(pontoon_nft::syntax::SetData::Verdict),
            ..Set::of_keys("by_target", [Key::IIFNAME, Key::ND_TARGET])
        },
    ]
}

fn elements() -> [Elements; 6] {
    let target = Value::Other(TARGET.octets().to_vec());
    let other = Value::Other(Ipv6Addr::LOCALHOST.octets().to_vec());
    let mac = || Value::Ether(MAC);
    let range = Operand::Range { first: Value::Other(vec![0, 10]), last: Value::Other(vec![1, 0]) };
    let of = |set: &str, elements: Vec<Element>| Elements::new(table(), set, elements);
    [
        of("guard4", vec![Element::new([cable(), mac(), Value::Ipv4([10, 0, 0, 2].into())])]),
        of("guard6", vec![Element::new([cable(), mac(), Value::Ipv6(TARGET)])]),
        of(
            "target6",
            vec![
                Element::new([cable(), mac(), other]).counter(3, 180).comment("web"),
                Element::new([cable(), mac(), target.clone()]).counter(0, 0),
            ],
        ),
        of("guards", vec![Element::new([cable()]).verdict(Verdict::Jump("check-nd".into()))]),
        Elements::of_intervals(
            table(),
            "raw",
            vec![Element::new([Value::Other(vec![0, 1])]), Element::new([range])],
        ),
        of("by_target", vec![Element::new([cable(), target]).verdict(Verdict::Accept)]),
    ]
}

fn objects() -> Vec<Command> {
    let base = Base {
        kind: ChainKind::Filter,
        hook: Hook::Prerouting,
        priority: Priority::BRIDGE_FILTER,
        policy: Policy::Accept,
        device: None,
    };
    let mut commands = vec![
        Command::AddTable { table: table(), comment: None },
        Command::AddChain {
            table: table(),
            chain: Chain { name: "check-nd".into(), base: None, comment: None },
        },
        Command::AddChain {
            table: table(),
            chain: Chain { name: "prerouting".into(), base: Some(base), comment: None },
        },
    ];
    commands.extend(sets().map(|set| Command::AddSet { table: table(), set }));
    commands.extend(elements().map(Command::AddElements));
    commands
}

fn accepting(statements: impl IntoIterator<Item = Statement>) -> Rule {
    with(statements, Verdict::Accept)
}

fn dropping(statement: Statement) -> Rule {
    with([statement], Verdict::Drop)
}

fn with(statements: impl IntoIterator<Item = Statement>, verdict: Verdict) -> Rule {
    let mut statements: Vec<Statement> = statements.into_iter().collect();
    statements.push(verdict.into());
    Rule::new(statements)
}

fn icmpv6(kind: u8) -> Statement {
    Match::is(Key::Icmpv6Type, Value::Icmpv6Type(kind))
}

/// Rules, with the text that nft lists each as.
fn rules() -> Vec<(Rule, &'static str)> {
    let udp_sport = Key::Port { transport: Transport::Udp, side: PortSide::Source };
    let hoplimit = Key::Ip6(Ip6Field::Hoplimit);
    let mut rules = vec![
        (accepting([Match::is_in(SENDER, "guard4")]), "iifname . ether saddr . ip saddr @guard4 accept"),
        (
            accepting([Match::is_in(ARP_SENDER, "guard4")]),
            "iifname . arp saddr ether . arp saddr ip @guard4 accept",
        ),
        (accepting([Match::is_in(SENDER6, "guard6")]), "iifname . ether saddr . ip6 saddr @guard6 accept"),
        (
            accepting([icmpv6(136), Match::is_in(TARGET6, "target6")]),
            "icmpv6 type nd-neighbor-advert iifname . ether saddr . @th,64,128 @target6 accept",
        ),
        (
            Rule::new([
                icmpv6(135),
                Statement::Vmap { key: vec![Key::IIFNAME, Key::ND_TARGET], map: "by_target".into() },
            ]),
            "icmpv6 type nd-neighbor-solicit iifname . @th,64,128 vmap @by_target",
        ),
        (dropping(icmpv6(134)), "icmpv6 type nd-router-advert drop"),
        (dropping(Match::is(udp_sport, Value::Port(67))), "udp sport 67 drop"),
        (dropping(Match::is_in([Key::IIFNAME], "guarded")), "iifname @guarded drop"),
        (
            Rule::new([Statement::Vmap { key: vec![Key::IIFNAME], map: "guards".into() }]),
            "iifname vmap @guards",
        ),
        (dropping(Match::is_not(hoplimit, Value::Byte(255))), "ip6 hoplimit != 255 drop"),
        (dropping(Match::is(Key::Ip6(Ip6Field::Nexthdr), Value::Protocol(58))), "ip6 nexthdr ipv6-icmp drop"),
        (dropping(Match::is(Key::Ip(IpField::Ttl), Value::Byte(1))), "ip ttl 1 drop"),
        (
            dropping(Match::is(Key::Ether(EtherField::Daddr), Value::Ether([0xff; 6]))),
            "ether daddr ff:ff:ff:ff:ff:ff drop",
        ),
        (
            Rule::new([SetUpdate::new(SetOp::Update, "seen", [Key::ETHER_SADDR, Key::IP_SADDR]).into()]),
            "update @seen { ether saddr . ip saddr }",
        ),
    ];
    rules.extend(of_bytes());
    rules
}

/// Rules about bytes that have no name.
fn of_bytes() -> Vec<(Rule, &'static str)> {
    let other = |bytes: &[u8]| Value::Other(bytes.to_vec());
    let target = other(&TARGET.octets());
    let dscp = Match::masked(raw(PayloadBase::Network, 0, 1), other(&[0xf0]), other(&[0x40]));
    let ports = Operand::Range { first: other(&[0, 5]), last: other(&[0, 7]) };
    let word = raw(PayloadBase::Transport, 8, 2);
    vec![
        (
            dropping(Match::is(Key::ND_TARGET, target.clone())),
            "@th,64,128 0xfe800000000000000000000000000001 drop",
        ),
        (
            with([icmpv6(136), Match::is(Key::ND_TARGET, target)], Verdict::Drop),
            "icmpv6 type nd-neighbor-advert @th,64,128 0xfe800000000000000000000000000001 drop",
        ),
        (
            dropping(Match::is(raw(PayloadBase::Network, 12, 4), other(&[10, 0, 0, 1]))),
            "@nh,96,32 0xa000001 drop",
        ),
        (dropping(Match::is_not(raw(PayloadBase::Link, 14, 2), other(&[0, 0]))), "@ll,112,16 != 0x0 drop"),
        (dropping(dscp), "@nh,0,8 & 0xf0 == 0x40 drop"),
        (dropping(Match::is(word, ports)), "@th,64,16 0x5-0x7 drop"),
        (dropping(Match::is_in([word], "raw")), "@th,64,16 @raw drop"),
    ]
}

fn everything() -> Vec<Command> {
    let mut commands = objects();
    commands.extend(rules().into_iter().map(|(rule, _)| Command::AddRule {
        table: table(),
        chain: "prerouting".into(),
        rule,
    }));
    commands
}

#[test]
fn a_rule_reads_as_nft_lists_it() {
    for (rule, text) in rules() {
        assert_eq!(rule.listing(Family::Bridge).to_string(), text);
    }
}

#[test]
fn nft_lists_what_was_encoded() {
    sandboxed("nft_lists_what_was_encoded", || {
        let ruleset = nft_lists_the_same(&everything());
        let listed = ruleset.table(&table()).expect("the table");
        let came_back: Vec<&Rule> =
            listed.chain("prerouting").expect("the chain").rules.iter().map(|rule| &rule.rule).collect();
        assert_eq!(came_back, rules().iter().map(|(rule, _)| rule).collect::<Vec<_>>());
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

/// The kernel looks bytes up whatever they are called, so one set can hold senders and targets. nft 1.0.6 lists such a
/// rule, and takes the target for an integer where the set has an address, so it does not read what it listed.
#[test]
fn nft_lists_what_it_does_not_read() {
    sandboxed("nft_lists_what_it_does_not_read", || {
        let rule = accepting([icmpv6(136), Match::is_in(TARGET6, "guard6")]);
        let mut commands = objects();
        commands.push(Command::AddRule { table: table(), chain: "prerouting".into(), rule: rule.clone() });
        let ruleset = nft_lists_the_same(&commands);
        let chain = ruleset.table(&table()).and_then(|table| table.chain("prerouting")).expect("the chain");
        assert_eq!(chain.rules[0].rule, rule);
    });
}
