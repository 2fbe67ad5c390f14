//! Laws of what is said about queries for names, whatever rules somebody has.

use pontoon_explain::firewall::{Bridge, Facts, Severity, examine};
use pontoon_nft::ruleset::{ListedChain, ListedRule, Ruleset, Table};
use pontoon_nft::syntax::{
    Base, Chain, ChainKind, Family, Hook, Key, Match, Op, Operand, Policy, PortSide, Right, Rule, Statement,
    TableRef, Transport, Value, Verdict,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

const HOOKS: [Hook; 4] = [Hook::Input, Hook::Prerouting, Hook::Output, Hook::Postrouting];

fn compare(key: Key, op: Op, operand: impl Into<Operand>) -> Statement {
    Statement::Match(Match { key: vec![key], mask: None, op, right: Right::Operand(operand.into()) })
}

prop_compose! {
    fn matching()(
        kind in 0..6,
        negated in any::<bool>(),
        name in select(vec!["lo", "eth0", "pt-0123", "pt-*", "br*"]),
        port in select(vec![22_u16, 53, 67, 1024, 40000]),
        net in select(vec![([172, 16, 0, 0], 12), ([127, 0, 0, 0], 8), ([172, 18, 0, 1], 32), ([10, 0, 0, 0], 8)]),
        transport in select(vec![Transport::Tcp, Transport::Udp, Transport::Any]),
        side in select(vec![PortSide::Source, PortSide::Destination]),
    ) -> Statement {
        let op = if negated { Op::Ne } else { Op::Eq };
        let net = Operand::Prefix { address: Value::Ipv4(net.0.into()), len: net.1 };
        let range = Operand::Range { first: Value::Port(port), last: Value::Port(port.saturating_add(1000)) };
        match kind {
            0 => compare(Key::IIFNAME, op, Value::Ifname(name.into())),
            1 => compare(Key::OIFNAME, op, Value::Ifname(name.into())),
            2 => compare(Key::Port { transport, side }, op, range),
            3 => compare(if negated { Key::IP_SADDR } else { Key::IP_DADDR }, op, net),
            4 => Match::is(Key::CT_STATE, if negated { Value::NEW } else { Value::ESTABLISHED_RELATED }),
            // What nobody knows of a packet.
            _ => compare(Key::MARK, op, Value::Mark(7)),
        }
    }
}

prop_compose! {
    fn rule()(
        matches in vec(matching(), 0..4),
        verdict in select(vec![Verdict::Accept, Verdict::Drop, Verdict::Return, Verdict::Jump("side".into())]),
    ) -> Rule {
        Rule::new(matches.into_iter().chain([verdict.into()]).collect::<Vec<_>>())
    }
}

fn listed(rules: Vec<Rule>) -> Vec<ListedRule> {
    rules.into_iter().zip(1..).map(|(rule, handle)| ListedRule { handle, rule }).collect()
}

/// One network with names, and a table of somebody's with a chain at a hook and one that it may jump to.
fn facts(hook: Hook, policy: Policy, rules: Vec<Rule>, side: Vec<Rule>) -> Facts {
    let base = Base { kind: ChainKind::Filter, hook, priority: 0, policy, device: None };
    let chain = |name: &str, base, rules| {
        let chain = Chain { name: name.into(), base, comment: None };
        ListedChain { handle: 1, chain, rules: listed(rules) }
    };
    let chains = vec![chain("base", Some(base), rules), chain("side", None, side)];
    let table = TableRef::new(Family::Inet, "office");
    let table = Table { table, handle: 1, comment: None, dormant: false, sets: Vec::new(), chains };
    let bridge = Bridge {
        name: "pt-0123".into(),
        v4: Some("172.18.0.0/16".parse().unwrap()),
        v6: Some("fd00::/64".parse().unwrap()),
        outside: true,
        names: ["172.18.0.1", "127.0.0.11", "fd00::1"].map(|text| text.parse().unwrap()).into(),
        further: false,
    };
    Facts { ruleset: Ruleset { tables: vec![table] }, bridges: vec![bridge], ..Facts::default() }
}

fn scenario() -> impl Strategy<Value = (Hook, Policy, Vec<Rule>, Vec<Rule>)> {
    let policy = select(vec![Policy::Accept, Policy::Drop]);
    // The second chain jumps nowhere but to itself, which the kernel would refuse and a walk must survive.
    (select(HOOKS.to_vec()), policy, vec(rule(), 0..6), vec(rule(), 0..4))
}

/// Whether anything is said to be in the way of names.
fn is_blocked(facts: &Facts) -> bool {
    examine(facts).iter().any(|found| found.code == "firewall-names" && found.severity == Severity::Blocks)
}

proptest! {
    /// What `firewall integrate` puts at the top of a chain lets names through, whatever comes after.
    #[test]
    fn names_pass_by_our_rules((hook, policy, mut rules, side) in scenario()) {
        let (way, port) = match hook {
            Hook::Input | Hook::Prerouting => (Key::IIFNAME, PortSide::Destination),
            _ => (Key::OIFNAME, PortSide::Source),
        };
        for transport in [Transport::Udp, Transport::Tcp] {
            let on = Match::is(way, Value::Ifname("pt-*".into()));
            let to = Match::is(Key::Port { transport, side: port }, Value::Port(53));
            rules.insert(0, Rule::new([on, to, Verdict::Accept.into()]));
        }
        prop_assert!(!is_blocked(&facts(hook, policy, rules, side)));
    }

    /// A chain that drops all there is, is said to.
    #[test]
    fn a_chain_that_drops_everything_blocks((hook, policy, mut rules, side) in scenario()) {
        rules.insert(0, Rule::new([Verdict::Drop.into()]));
        let facts = facts(hook, policy, rules, side);
        prop_assert!(is_blocked(&facts));
        let found = examine(&facts);
        prop_assert!(found.iter().any(|found| found.code == "firewall-names" && !found.fix.is_empty()));
    }

    /// A chain without a drop is in nobody's way.
    #[test]
    fn a_chain_that_drops_nothing_is_not_in_the_way((hook, _, mut rules, mut side) in scenario()) {
        let drops = |rule: &Rule| rule.statements.contains(&Statement::Verdict(Verdict::Drop));
        rules.retain(|rule| !drops(rule));
        side.retain(|rule| !drops(rule));
        prop_assert!(examine(&facts(hook, Policy::Accept, rules, side)).is_empty());
    }
}
