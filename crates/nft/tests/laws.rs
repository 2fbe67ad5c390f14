//! Laws that hold without a kernel.

use std::net::{Ipv4Addr, Ipv6Addr};

use pontoon_netlink::wire::{Message, Messages};
use pontoon_nft::ruleset::Ruleset;
use pontoon_nft::syntax::{
    Chain, Command, CounterValue, CtField, DataType, Element, Elements, Family, Ip6Field, Key, Match, Meta,
    Operand, PayloadBase, PortSide, Rule, Set, SetOp, SetUpdate, Statement, TableRef, Transport, Value,
    Verdict, shell_command,
};
use pontoon_nft::vm::{compile, decompile};
use pontoon_nft::wire::{Answer, encode};
use proptest::collection::vec;
use proptest::prelude::*;

fn name() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9_]{0,14}"
}

fn comment() -> impl Strategy<Value = Option<String>> {
    proptest::option::of("[ -!#-~]{1,60}")
}

fn table() -> impl Strategy<Value = TableRef> {
    name().prop_map(|name| TableRef::new(Family::Inet, name))
}

fn key_and_value() -> impl Strategy<Value = (Key, Operand)> {
    let value = |key: Key, value: Value| (key, Operand::Value(value));
    let sport = |transport| Key::Port { transport, side: PortSide::Source };
    prop_oneof![
        name().prop_map(move |name| value(Key::IIFNAME, Value::Ifname(name))),
        name().prop_map(move |name| value(Key::OIFNAME, Value::Ifname(name + "*"))).prop_filter(
            "at most 15 bytes",
            |(_, operand)| matches!(operand, Operand::Value(Value::Ifname(n)) if n.len() < 17)
        ),
        any::<u32>().prop_map(move |mark| value(Key::MARK, Value::Mark(mark))),
        any::<u32>().prop_map(move |mark| value(Key::Ct(CtField::Mark), Value::Mark(mark))),
        any::<u32>().prop_map(move |group| value(Key::Meta(Meta::Iifgroup), Value::DevGroup(group))),
        any::<u32>().prop_map(move |a| value(Key::IP_SADDR, Value::Ipv4(Ipv4Addr::from(a)))),
        any::<u128>().prop_map(move |a| value(Key::IP6_DADDR, Value::Ipv6(Ipv6Addr::from(a)))),
        (any::<u32>(), 1..32_u8).prop_map(|(bits, len)| {
            let network = bits & (u32::MAX << (32 - len));
            (Key::IP_DADDR, Operand::Prefix { address: Value::Ipv4(network.into()), len })
        }),
        (any::<u16>(), any::<u16>()).prop_map(|(a, b)| {
            let (first, last) = (Value::Port(a.min(b)), Value::Port(a.max(b)));
            (Key::TCP_DPORT, Operand::Range { first, last })
        }),
        any::<u16>().prop_map(move |port| value(sport(Transport::Udp), Value::Port(port))),
        any::<u8>().prop_map(move |kind| value(Key::IcmpType, Value::IcmpType(kind))),
        any::<[u8; 6]>().prop_map(move |mac| value(Key::ETHER_SADDR, Value::Ether(mac))),
        any::<u8>().prop_map(move |hops| value(Key::Ip6(Ip6Field::Hoplimit), Value::Byte(hops))),
        raw().prop_flat_map(move |key| {
            let len = key.data_type().size();
            vec(any::<u8>(), len..=len).prop_map(move |bytes| value(key, Value::Other(bytes)))
        }),
    ]
}

fn raw() -> impl Strategy<Value = Key> {
    const BASES: [PayloadBase; 3] = [PayloadBase::Link, PayloadBase::Network, PayloadBase::Transport];
    (proptest::sample::select(&BASES[..]), 0..300_u16, 1..=16_u8).prop_map(|(base, offset, len)| Key::Raw {
        base,
        offset,
        len,
    })
}

fn update() -> impl Strategy<Value = SetUpdate> {
    const OPS: [SetOp; 3] = [SetOp::Add, SetOp::Update, SetOp::Delete];
    let counter = any::<(u64, u64)>().prop_map(|(packets, bytes)| CounterValue { packets, bytes });
    let keys = prop_oneof![Just(Key::IP_SADDR), Just(Key::L4PROTO), Just(Key::TH_SPORT), raw()];
    (
        proptest::sample::select(&OPS[..]),
        name(),
        vec(keys, 1..4),
        proptest::option::of(1..1_000_000_u64),
        proptest::option::of(counter),
    )
        .prop_map(|(op, set, key, timeout, counter)| SetUpdate { op, set, key, timeout, counter })
}

fn statement() -> impl Strategy<Value = Statement> {
    prop_oneof![
        5 => (key_and_value(), any::<bool>()).prop_map(|((key, value), negated)| {
            if negated { Match::is_not(key, value) } else { Match::is(key, value) }
        }),
        1 => name().prop_map(|set| Match::is_in([Key::IIFNAME, Key::IP_SADDR], set)),
        1 => name().prop_map(|map| Statement::Vmap { key: vec![Key::IP_SADDR, Key::TCP_DPORT], map: map.into() }),
        1 => any::<(u64, u64)>().prop_map(|(packets, bytes)| Statement::Counter(CounterValue { packets, bytes })),
        1 => name().prop_map(|chain| Verdict::Jump(chain).into()),
        1 => raw().prop_map(|key| Match::is_in([Key::IIFNAME, Key::ETHER_SADDR, key], "targets")),
        1 => update().prop_map(Statement::Update),
        1 => Just(Statement::Notrack),
        1 => Just(Statement::Trace),
        1 => any::<(u32, u32)>().prop_map(|(of, below)| Statement::Chance { of, below }),
        1 => (name(), vec(any::<[u8; 4]>(), 0..4))
            .prop_map(|(name, words)| Statement::Unknown { name: format!("x{name}"), bytes: words.concat() }),
    ]
}

fn rule() -> impl Strategy<Value = Rule> {
    (vec(statement(), 0..8), comment()).prop_map(|(statements, comment)| Rule { statements, comment })
}

fn set() -> impl Strategy<Value = Set> {
    prop_oneof![3 => typed_set(), 1 => set_of_keys()]
}

fn set_of_keys() -> impl Strategy<Value = Set> {
    let key = prop_oneof![
        proptest::sample::select(&Meta::ALL[..]).prop_map(Key::Meta),
        proptest::sample::select(&CtField::ALL[..]).prop_map(Key::Ct),
        key_and_value().prop_map(|(key, _)| key),
        raw(),
    ];
    (name(), vec(key, 1..=4), comment(), any::<bool>(), proptest::option::of(1..1_000_000_u64)).prop_map(
        |(name, keys, comment, counter, default_timeout)| Set {
            comment,
            counter,
            dynamic: true,
            timeout: default_timeout.is_some(),
            default_timeout,
            ..Set::of_keys(name, keys)
        },
    )
}

fn typed_set() -> impl Strategy<Value = Set> {
    let types = || vec(proptest::sample::select(&DataType::NAMED[..]), 1..5);
    (name(), types(), proptest::option::of(types()), comment(), proptest::option::of(1..1000_u32)).prop_map(
        |(name, key, data, comment, size)| {
            let set = match data {
                Some(data) => Set::map(name, key, data),
                None => Set::new(name, key),
            };
            Set { comment, size, ..set }
        },
    )
}

/// The messages of a transaction, as if they were an answer: both have the same attributes.
fn answers(commands: &[Command]) -> Vec<Answer> {
    let transaction = encode(commands, 7).expect("all of it can be encoded");
    Messages::new(transaction.bytes()).filter_map(|message| Answer::read(&message)).collect()
}

proptest! {
    // Failures are printed with what made them; files of them would be written beside the sources.
    #![proptest_config(ProptestConfig { failure_persistence: None, max_global_rejects: 100_000, ..ProptestConfig::default() })]

    /// What is compiled and decompiled once comes out the same ever after, and says the same to the kernel.
    #[test]
    fn the_canonical_form_is_stable(rule in rule(), family in proptest::sample::select(&Family::ALL[..])) {
        let compiled = compile(family, &rule);
        prop_assume!(compiled.is_ok());
        let program = compiled.expect("it is");
        let canonical = Rule::new(decompile(family, &program.insns));
        let again = compile(family, &canonical).expect("it can be compiled again");
        prop_assert_eq!(&again.insns, &program.insns);
        prop_assert_eq!(decompile(family, &again.insns), canonical.statements);
    }

    /// A rule in canonical form comes back from its encoding.
    #[test]
    fn a_rule_comes_back(table in table(), chain in name(), rule in rule()) {
        let program = compile(Family::Inet, &rule).expect("it can be compiled");
        let rule = Rule { statements: decompile(Family::Inet, &program.insns), comment: rule.comment };
        let command = Command::AddRule { table: table.clone(), chain: chain.clone(), rule: rule.clone() };
        let [Answer::Rule(entry)] = &answers(&[command])[..] else { return Err(TestCaseError::fail("one rule")) };
        prop_assert_eq!((&entry.table, &entry.chain, &entry.rule), (&table, &chain, &rule));
    }

    /// Tables, chains and sets come back from their encoding.
    #[test]
    fn objects_come_back(table in table(), comment in comment(), chain in name(), set in set()) {
        let chain = Chain { name: chain, base: None, comment: comment.clone() };
        let commands = [
            Command::AddTable { table: table.clone(), comment: comment.clone() },
            Command::AddChain { table: table.clone(), chain: chain.clone() },
            Command::AddSet { table: table.clone(), set: set.clone() },
        ];
        let ruleset = Ruleset::from_answers(answers(&commands));
        let listed = ruleset.table(&table).expect("the table");
        prop_assert_eq!(&listed.comment, &comment);
        prop_assert_eq!(&listed.chains[0].chain, &chain);
        prop_assert_eq!(&listed.sets[0].set, &set);
    }

    /// Counters of elements come back from their encoding, with the other things that an element has.
    #[test]
    fn counters_come_back(
        table in table(), comment in comment(), counted in any::<(u64, u64)>(), timeout in proptest::option::of(1..u64::MAX),
        address in any::<u32>(), target in any::<u128>(),
    ) {
        let set = Set::of_keys("targets", [Key::IP_SADDR, Key::ND_TARGET]).counted();
        let key = [Value::Ipv4(address.into()), Value::Other(target.to_be_bytes().to_vec())];
        let element = Element { comment, timeout, ..Element::new(key) }.counter(counted.0, counted.1);
        let commands = [
            Command::AddTable { table: table.clone(), comment: None },
            Command::AddSet { table: table.clone(), set },
            Command::AddElements(Elements::new(table, "targets", [element.clone()])),
        ];
        let ruleset = Ruleset::from_answers(answers(&commands));
        prop_assert_eq!(&ruleset.tables[0].sets[0].elements, &[element]);
    }

    /// Intervals come back from their encoding, however they touch each other.
    #[test]
    fn intervals_come_back(table in table(), cuts in proptest::collection::btree_set(any::<u16>(), 2..40)) {
        let set = Set::new("ports", [DataType::InetService]).interval();
        let cuts: Vec<u16> = cuts.into_iter().collect();
        let elements: Vec<Element> = cuts
            .windows(2)
            .map(|ends| match (ends[0], ends[1] - 1) {
                (first, last) if first == last => Element::new([Value::Port(first)]),
                (first, last) => {
                    Element::new([Operand::Range { first: Value::Port(first), last: Value::Port(last) }])
                }
            })
            .collect();
        let commands = [
            Command::AddTable { table: table.clone(), comment: None },
            Command::AddSet { table: table.clone(), set },
            Command::AddElements(Elements::of_intervals(table.clone(), "ports", elements.clone())),
        ];
        let ruleset = Ruleset::from_answers(answers(&commands));
        prop_assert_eq!(&ruleset.tables[0].sets[0].elements, &elements);
    }

    /// Commands survive JSON, show themselves on one line, and are one shell command.
    #[test]
    fn commands_survive_json(table in table(), chain in name(), rule in rule()) {
        let command = Command::InsertRule { table, chain, rule };
        let json = serde_json::to_string(&command).expect("it can be written");
        prop_assert_eq!(&serde_json::from_str::<Command>(&json).expect("it can be read"), &command);
        prop_assert!(!command.to_string().contains('\n'));
        prop_assert!(shell_command(&command).starts_with("nft insert rule "));
    }

    /// Nothing that is received makes the reader panic.
    #[test]
    fn any_bytes_can_be_read(kind in 0..40_u16, payload in vec(any::<u8>(), 0..400)) {
        let message = Message { kind: 10 << 8 | kind, flags: 0, seq: 1, payload: &payload };
        let _ = Ruleset::from_answers(Answer::read(&message)).to_string();
    }

    /// Neither does anything that is almost right.
    #[test]
    fn damaged_messages_can_be_read(
        table in table(), rule in rule(), set in set(), damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let commands = [
            Command::AddTable { table: table.clone(), comment: None },
            Command::AddChain { table: table.clone(), chain: Chain { name: "c".into(), base: None, comment: None } },
            Command::AddSet { table: table.clone(), set },
            Command::AddRule { table, chain: "c".into(), rule },
        ];
        let mut bytes = encode(&commands, 1).expect("it can be encoded").bytes().to_vec();
        for (place, byte) in damage {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        let read = Messages::new(&bytes).filter_map(|message| Answer::read(&message));
        let _ = Ruleset::from_answers(read).to_string();
    }
}

#[test]
fn a_shell_command_is_quoted_from_the_first_special_word() {
    let table = TableRef::new(Family::Inet, "lab");
    let chain = Chain { name: "c".into(), base: None, comment: Some("a lab's".into()) };
    assert_eq!(
        shell_command(&Command::AddChain { table: table.clone(), chain }),
        r#"nft add chain inet lab c '{ comment "a lab'\''s"; }'"#
    );
    assert_eq!(shell_command(&Command::DeleteTable { table }), "nft delete table inet lab");
}

/// iptables-nft compares a name with the NUL after it and no further, which is the whole name.
#[test]
fn a_name_up_to_its_nul_is_the_whole_name() {
    use pontoon_nft::vm::{CmpOp, Insn};
    let whole = Rule::new([Match::is(Key::IIFNAME, Value::Ifname("docker0".into()))]);
    let mut insns = compile(Family::Ip, &whole).unwrap().insns;
    let Some(Insn::Cmp { op: CmpOp::Eq, data, .. }) = insns.last_mut() else { panic!("{insns:?}") };
    data.truncate("docker0\0".len());
    assert_eq!(decompile(Family::Ip, &insns), whole.statements);
    let Some(Insn::Cmp { data, .. }) = insns.last_mut() else { unreachable!() };
    data.truncate("docker".len());
    let beginning = Rule::new([Match::is(Key::IIFNAME, Value::Ifname("docker*".into()))]);
    assert_eq!(decompile(Family::Ip, &insns), beginning.statements);
}
