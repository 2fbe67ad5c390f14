//! The firewalls of others, as they really are: the rulesets in `captured` were read back from the kernel after ufw
//! 0.36.2, firewalld 1.3.3, iptables-nft 1.8.9 and iptables-legacy 1.8.9 had made them, by
//! `cargo run -p pontoon-kernel --example ruleset`. Docker's are those that dockerd 20.10 makes, typed in.

use pontoon_explain::firewall::{
    Bridge, DOCKER_USER, Facts, Finding, Owner, Place, Severity, Traffic, docker_bridges, examine, places,
};
use pontoon_explain::legacy::{self, Blob};
use pontoon_explain::walk::Fate;
use pontoon_nft::ruleset::{ListedChain, ListedRule, Ruleset, Table};
use pontoon_nft::syntax::{
    Base, Chain, ChainKind, Element, Family, Hook, Key, Match, Op, Operand, Policy, PortSide, Right, Rule,
    Set, Statement, TableRef, Transport, Value, Verdict,
};

const DOCKER: &str = include_str!("captured/docker.json");
const LEGACY: &str = include_str!("captured/docker-legacy.json");
const UFW: &str = include_str!("captured/ufw.json");
const FIREWALLD: &str = include_str!("captured/firewalld.json");
const INTEGRATED: &str = include_str!("captured/firewalld-integrated.json");

fn bridge(name: &str) -> Bridge {
    let v4 = Some("172.18.0.0/16".parse().unwrap());
    Bridge { name: name.into(), v4, v6: None, outside: true, names: Vec::new(), further: false }
}

fn facts(ruleset: &str) -> Facts {
    let ruleset = serde_json::from_str(ruleset).expect("a captured ruleset");
    Facts { ruleset, uplinks: vec!["eth0".into()], bridges: vec![bridge("pt-0123")], ..Facts::default() }
}

fn blocking(facts: &Facts) -> Vec<Finding> {
    let mut found = examine(facts);
    found.retain(|finding| finding.severity == Severity::Blocks);
    found
}

/// The only chain that blocks.
#[track_caller]
fn one(facts: &Facts) -> Finding {
    let mut found = blocking(facts);
    assert_eq!(found.len(), 1, "{found:#?}");
    found.remove(0)
}

#[test]
fn docker_drops_by_its_policy() {
    let found = one(&facts(DOCKER));
    assert_eq!((found.code, found.owner, found.fate), ("firewall-forward", Owner::Docker, Fate::Drops));
    assert_eq!(found.traffic, [Traffic::Out, Traffic::Answers, Traffic::Published]);
    assert_eq!(
        found.fix,
        [
            "iptables -I DOCKER-USER -i pt-0123 -j ACCEPT",
            "iptables -I DOCKER-USER -i pt-0123 -o br-+ -j RETURN",
            "iptables -I DOCKER-USER -i pt-0123 -o docker0 -j RETURN",
            "iptables -I DOCKER-USER -o pt-0123 -j ACCEPT",
        ]
    );
    assert_eq!(
        found.sentence,
        "Docker drops everything between containers and the outside on pt-0123 (table ip filter, chain FORWARD: \
         policy drop)"
    );
}

#[test]
fn what_is_on_dockers_own_bridge_passes() {
    let mut facts = facts(DOCKER);
    facts.bridges = vec![bridge("docker0")];
    facts.bridge_netfilter = (true, true);
    assert_eq!(blocking(&facts), []);
    assert_eq!(examine(&facts)[0].traffic, [Traffic::Published]);
}

#[test]
fn frames_between_containers_meet_the_same_chain() {
    let mut facts = facts(DOCKER);
    facts.bridges[0].outside = false;
    assert!(blocking(&facts).is_empty(), "nothing of an internal network is forwarded");
    facts.bridge_netfilter = (true, false);
    let found = one(&facts);
    assert_eq!((found.code, found.traffic.as_slice()), ("firewall-within", &[Traffic::Within][..]));
    facts.bridges[0].outside = true;
    assert_eq!(one(&facts).traffic.len(), 4, "one chain is one finding");
}

#[test]
fn a_further_bridge_of_a_network_has_frames_alone() {
    let mut facts = facts(DOCKER);
    facts.bridges.push(Bridge { further: true, ..bridge("pt0123x1") });
    assert_eq!(one(&facts).bridges, ["pt-0123"]);
    facts.bridge_netfilter = (true, true);
    assert_eq!(one(&facts).bridges, ["pt-0123", "pt0123x1"], "one chain is one finding");
    facts.bridges.remove(0);
    let found = one(&facts);
    assert_eq!((found.code, found.traffic.as_slice()), ("firewall-within", &[Traffic::Within][..]));
}

#[test]
fn iptables_legacy_reads_like_the_other() {
    let blob: Blob = serde_json::from_str(LEGACY).expect("a captured table");
    let table = legacy::table(&blob).expect("it can be read");
    let text = Ruleset { tables: vec![table.clone()] }.to_string();
    assert!(text.contains("oifname \"docker0\" jump DOCKER"), "{text}");
    assert!(
        text.contains("iifname \"docker0\" oifname != \"docker0\" jump DOCKER-ISOLATION-STAGE-2"),
        "{text}"
    );
    let mut facts = Facts { legacy: vec![table], ..facts(r#"{"tables":[]}"#) };
    let found = one(&facts);
    assert_eq!(
        (found.code, found.owner, found.fate),
        ("firewall-forward-legacy", Owner::Docker, Fate::Drops)
    );
    assert_eq!(found.fix[0], "iptables-legacy -I DOCKER-USER -i pt-0123 -j ACCEPT");
    facts.bridges = vec![bridge("docker0")];
    assert_eq!(examine(&facts)[0].traffic, [Traffic::Published]);
}

#[test]
fn a_legacy_table_has_a_number_that_counting_does_not_change() {
    let blob: Blob = serde_json::from_str(LEGACY).expect("a captured table");
    let changed = |at: usize| {
        let mut other = blob.clone();
        other.entries[at] ^= 1;
        legacy::fingerprint(&other) != legacy::fingerprint(&blob)
    };
    // The first rule's counters end its 112 bytes; its verdict follows the target's header.
    assert!(!changed(96) && !changed(111));
    assert!(changed(0) && changed(112 + 32));
}

#[test]
fn a_cut_legacy_table_is_refused() {
    let blob: Blob = serde_json::from_str(LEGACY).expect("a captured table");
    for len in 0..blob.entries.len() {
        let cut = Blob { entries: blob.entries[..len].to_vec(), ..blob.clone() };
        // It may end between two rules, but never panic.
        let _ = legacy::table(&cut);
    }
}

#[test]
fn ufw_drops_what_it_has_no_route_for() {
    let found = examine(&facts(UFW));
    let forward = found.iter().find(|found| found.chain == "FORWARD").expect("it drops");
    assert_eq!((forward.owner, forward.severity), (Owner::Ufw, Severity::Blocks));
    assert_eq!(forward.traffic, [Traffic::Out, Traffic::Published], "answers pass");
    assert_eq!(forward.fix, ["ufw route allow in on pt-0123", "ufw route allow out on pt-0123"]);
    let input = found.iter().find(|found| found.chain == "INPUT").expect("it drops");
    assert_eq!((input.severity, input.code), (Severity::Note, "firewall-input"));
    assert_eq!(input.fix, ["ufw allow in on pt-0123"]);
}

#[test]
fn firewalld_rejects_between_zones_and_not_within_one() {
    let mut facts = facts(FIREWALLD);
    assert!(blocking(&facts).is_empty(), "eth0 is in the default zone, as the bridge is");
    facts.uplinks = vec!["wan0".into()];
    let found = one(&facts);
    assert_eq!(found.owner, Owner::Firewalld);
    assert_eq!(found.traffic, [Traffic::Out], "firewalld lets answers and published ports through");
    assert_eq!(found.reasons[0].chains, ["filter_FORWARD", "filter_FORWARD_ZONES", "filter_FWD_public"]);
    assert!(
        found.fix.contains(&"firewall-cmd --permanent --policy=pontoon-out --add-egress-zone=ANY".to_owned())
    );
    facts.ruleset = serde_json::from_str(INTEGRATED).expect("a captured ruleset");
    assert!(blocking(&facts).is_empty());
}

#[test]
fn our_rule_at_the_top_is_enough() {
    for captured in [DOCKER, UFW] {
        let mut facts = facts(captured);
        let forward = |table: &&mut Table| table.chain("FORWARD").is_some();
        for table in facts.ruleset.tables.iter_mut().filter(forward) {
            let chain = table.chains.iter_mut().find(|chain| chain.chain.name == "FORWARD").unwrap();
            for key in [Key::IIFNAME, Key::OIFNAME] {
                let accept = [Match::is(key, Value::Ifname("pt-*".into())), Verdict::Accept.into()];
                chain.rules.insert(0, ListedRule { handle: 99, rule: Rule::new(accept) });
            }
        }
        assert_eq!(blocking(&facts), []);
    }
}

#[test]
fn what_goes_to_dockers_containers_is_left_to_docker() {
    let mut facts = facts(DOCKER);
    let named = "lan0";
    let table = &mut facts.ruleset.tables[0];
    assert_eq!(docker_bridges(table), ["br-*", "docker0"]);
    let to = Match::is(Key::OIFNAME, Value::Ifname(named.into()));
    let jump = Rule::new([to, Verdict::Jump("DOCKER".into()).into()]);
    table.chains[0].rules.push(ListedRule { handle: 97, rule: jump });
    assert_eq!(docker_bridges(table), ["br-*", "docker0", named]);
    assert_eq!(one(&facts).fix[3], "iptables -I DOCKER-USER -i pt-0123 -o lan0 -j RETURN");
    // Where nobody knows the ways out: behind those bridges is not the outside.
    facts.uplinks.clear();
    let user =
        facts.ruleset.tables[0].chains.iter_mut().find(|chain| chain.chain.name == DOCKER_USER).unwrap();
    let is = |key: Key, name: &str| Match::is(key, Value::Ifname(name.into()));
    let accept = |key: Key| Rule::new([is(key, "pt-*"), Verdict::Accept.into()]);
    let left =
        |name: &str| Rule::new([is(Key::IIFNAME, "pt-*"), is(Key::OIFNAME, name), Verdict::Return.into()]);
    let rules = [accept(Key::OIFNAME), left("br-*"), left("docker0"), left(named), accept(Key::IIFNAME)];
    user.rules.splice(0..0, rules.map(|rule| ListedRule { handle: 99, rule }));
    assert_eq!(examine(&facts), []);
}

#[test]
fn the_place_for_rules_is_dockers_own_unless_something_before_it_drops() {
    let place = |facts: &Facts| match &places(facts)[..] {
        [Place::Chain { chain, .. }] => chain.clone(),
        other => panic!("{other:?}"),
    };
    let mut facts = facts(DOCKER);
    assert_eq!(place(&facts), "DOCKER-USER");
    let forward = &mut facts.ruleset.tables[0].chains[0];
    let everything = ListedRule { handle: 98, rule: Rule::new([Verdict::Drop.into()]) };
    forward.rules.insert(0, everything);
    assert_eq!(place(&facts), "FORWARD");
    let mut facts = self::facts(FIREWALLD);
    facts.uplinks = vec!["wan0".into()];
    assert_eq!(places(&facts), [Place::Firewalld]);
}

fn by_hand(policy: Policy, rules: Vec<Rule>) -> Facts {
    let base = Base { kind: ChainKind::Filter, hook: Hook::Forward, priority: 0, policy, device: None };
    let chain = Chain { name: "forward".into(), base: Some(base), comment: None };
    let rules = rules.into_iter().zip(1..).map(|(rule, handle)| ListedRule { handle, rule }).collect();
    let chains = vec![ListedChain { handle: 1, chain, rules }];
    let table = TableRef::new(Family::Inet, "office");
    let table = Table { table, handle: 1, comment: None, dormant: false, sets: Vec::new(), chains };
    Facts { ruleset: Ruleset { tables: vec![table] }, ..facts(r#"{"tables":[]}"#) }
}

#[test]
fn a_table_by_hand_gets_a_rule_by_hand() {
    let established = [Match::is(Key::CT_STATE, Value::ESTABLISHED_RELATED), Verdict::Accept.into()];
    let found = one(&by_hand(Policy::Drop, vec![Rule::new(established)]));
    assert_eq!(
        (found.owner, found.traffic.as_slice()),
        (Owner::Nft, &[Traffic::Out, Traffic::Published][..])
    );
    assert_eq!(found.fix[0], "nft insert rule inet office forward iifname '\"pt-0123\" accept'");
}

#[test]
fn a_rule_for_a_port_is_a_note_and_not_in_the_way() {
    let smtp = [Match::is(Key::TCP_DPORT, Value::Port(25)), Verdict::Drop.into()];
    let found = examine(&by_hand(Policy::Accept, vec![Rule::new(smtp)]));
    assert_eq!((found[0].severity, found[0].fate), (Severity::Note, Fate::MayDrop));
    assert_eq!(found[0].reasons[0].text, "tcp dport 25 drop");
    assert!(found[0].fix.is_empty());
}

#[test]
fn a_rule_for_a_port_that_accepts_does_not_help_the_others() {
    let web = [Match::is(Key::TCP_DPORT, Value::Port(443)), Verdict::Accept.into()];
    let found = one(&by_hand(Policy::Drop, vec![Rule::new(web)]));
    assert_eq!(found.fate, Fate::MayDrop);
}

#[test]
fn subnets_and_sets_of_names_are_understood() {
    let net =
        pontoon_nft::syntax::Operand::Prefix { address: Value::Ipv4("172.16.0.0".parse().unwrap()), len: 12 };
    let accept = |key| Rule::new([Match::is(key, net.clone()), Verdict::Accept.into()]);
    let rules = vec![accept(Key::IP_SADDR), accept(Key::IP_DADDR)];
    assert_eq!(blocking(&by_hand(Policy::Drop, rules)), []);

    let member = |key| Rule::new([Match::is_in([key], "inside"), Verdict::Accept.into()]);
    let mut facts = by_hand(Policy::Drop, vec![member(Key::IIFNAME), member(Key::OIFNAME)]);
    let element = |name: &str| Element::new([Value::Ifname(name.into())]);
    let mut listed = |names: &[&str]| {
        let set = Set::new("inside", [pontoon_nft::syntax::DataType::Ifname]);
        let elements = names.iter().map(|name| element(name)).collect();
        facts.ruleset.tables[0].sets = vec![pontoon_nft::ruleset::ListedSet { handle: 2, set, elements }];
        blocking(&facts).len()
    };
    assert_eq!((listed(&["lan0"]), listed(&["lan0", "pt-*"])), (1, 0));
}

#[test]
fn what_jumps_in_a_circle_of_chains_ends() {
    let mut facts = by_hand(Policy::Accept, Vec::new());
    let chains = &mut facts.ruleset.tables[0].chains;
    for number in 0..40 {
        let rules = [0, 1].map(|handle| ListedRule {
            handle,
            rule: Rule::new([
                Match::is(Key::TCP_DPORT, Value::Port(1)),
                Verdict::Jump(format!("c{}", number + 1)).into(),
            ]),
        });
        let chain = Chain { name: format!("c{number}"), base: None, comment: None };
        chains.push(ListedChain { handle: 1, chain, rules: rules.into() });
    }
    chains[0].rules.push(ListedRule { handle: 1, rule: Rule::new([Verdict::Jump("c0".into()).into()]) });
    assert!(examine(&facts).is_empty(), "each chain is walked once, not two to the fortieth time");
}

/// A network whose containers ask for names.
fn named(mut facts: Facts) -> Facts {
    facts.bridges[0].names = vec!["172.18.0.1".parse().unwrap(), "127.0.0.11".parse().unwrap()];
    facts
}

/// What there is to say of names, and nothing that is a note.
fn about_names(facts: &Facts) -> Vec<Finding> {
    let mut found = blocking(facts);
    found.retain(|finding| finding.code.starts_with("firewall-names"));
    found
}

#[test]
fn ufw_lets_nobody_ask_for_names() {
    let facts = named(facts(UFW));
    let found = about_names(&facts);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!((found[0].owner, found[0].hook), (Owner::Ufw, Hook::Input));
    assert_eq!(found[0].traffic, [Traffic::Names]);
    assert_eq!(found[0].fix, ["ufw allow in on pt-0123 to any port 53"]);
    assert_eq!(
        found[0].sentence,
        "ufw drops containers' queries for names on pt-0123 (table ip filter, chain INPUT: policy drop)"
    );
    let found = blocking(&facts);
    assert_eq!(
        (found[0].code, found[1].code),
        ("firewall-forward", "firewall-names"),
        "the worse comes first"
    );
    let place = |place: &Place| matches!(place, Place::Chain { chain, .. } if chain == "INPUT");
    assert_eq!(places(&facts).iter().filter(|found| place(found)).count(), 1);
}

#[test]
fn firewalld_lets_nobody_ask_for_names_unless_the_bridge_has_our_zone() {
    let found = one(&named(facts(FIREWALLD)));
    assert_eq!((found.owner, found.code), (Owner::Firewalld, "firewall-names"));
    assert_eq!(found.reasons[0].chains, ["filter_INPUT", "filter_INPUT_ZONES", "filter_IN_public"]);
    assert_eq!(places(&named(facts(FIREWALLD))), [Place::Firewalld]);
    assert_eq!(blocking(&named(facts(INTEGRATED))), []);
}

#[test]
fn docker_does_not_ask_who_asks_for_names() {
    assert_eq!(about_names(&named(facts(DOCKER))), []);
}

#[test]
fn our_rules_for_names_at_the_top_are_enough() {
    let mut facts = named(facts(UFW));
    let input = |table: &&mut Table| table.chain("INPUT").is_some();
    for table in facts.ruleset.tables.iter_mut().filter(input) {
        let chain = table.chains.iter_mut().find(|chain| chain.chain.name == "INPUT").unwrap();
        for key in [Key::UDP_DPORT, Key::TCP_DPORT] {
            let on = Match::is(Key::IIFNAME, Value::Ifname("pt-*".into()));
            let rule = Rule::new([on, Match::is(key, Value::Port(53)), Verdict::Accept.into()]);
            chain.rules.insert(0, ListedRule { handle: 99, rule });
        }
    }
    assert_eq!(about_names(&facts), []);
    let host = examine(&facts).into_iter().find(|finding| finding.traffic == [Traffic::Host]);
    assert_eq!(host.map(|finding| finding.severity), Some(Severity::Note), "nothing else is let in");
}

fn at(hook: Hook, policy: Policy, rules: Vec<Rule>) -> Facts {
    let mut facts = named(by_hand(policy, rules));
    let base = facts.ruleset.tables[0].chains[0].chain.base.as_mut().unwrap();
    base.hook = hook;
    facts
}

fn port(transport: Transport, side: PortSide, first: u16, last: u16) -> Match {
    let right = Right::Operand(Operand::Range { first: Value::Port(first), last: Value::Port(last) });
    Match { key: vec![Key::Port { transport, side }], mask: None, op: Op::Eq, right }
}

#[test]
fn a_rule_for_names_is_enough_if_it_is_for_both_protocols() {
    let accept = |key| Rule::new([Match::is(key, Value::Port(53)), Verdict::Accept.into()]);
    let udp_only = one(&at(Hook::Input, Policy::Drop, vec![accept(Key::UDP_DPORT)]));
    assert!(
        udp_only.sentence.starts_with(
            "somebody's nftables rules drop containers' queries for names over TCP on pt-0123 (table"
        ),
        "{}",
        udp_only.sentence
    );
    assert_eq!(
        udp_only.fix,
        [
            "nft insert rule inet office forward iifname '\"pt-0123\" udp dport 53 accept'",
            "nft insert rule inet office forward iifname '\"pt-0123\" tcp dport 53 accept'",
        ]
    );
    let both = vec![accept(Key::UDP_DPORT), accept(Key::TCP_DPORT)];
    assert_eq!(blocking(&at(Hook::Input, Policy::Drop, both)), []);
    assert_eq!(blocking(&at(Hook::Input, Policy::Drop, vec![accept(Key::TH_DPORT)])), []);
}

#[test]
fn a_client_asks_from_a_port_of_clients() {
    let rule = |first| {
        let from = port(Transport::Any, PortSide::Source, first, 65535);
        let to = port(Transport::Any, PortSide::Destination, 53, 53);
        Rule::new([from.into(), to.into(), Verdict::Accept.into()])
    };
    assert_eq!(blocking(&at(Hook::Input, Policy::Drop, vec![rule(1024)])), []);
    assert_eq!(one(&at(Hook::Input, Policy::Drop, vec![rule(32768)])).fate, Fate::MayDrop);
}

/// What keeps a host's loopback addresses from its neighbours, as kubelet and many a hardening guide have it.
#[test]
fn rules_for_the_loopback_tell_its_address_apart() {
    let drop = Rule::new([
        Statement::Match(Match {
            key: vec![Key::IIFNAME],
            mask: None,
            op: Op::Ne,
            right: Right::Operand(Value::Ifname("lo".into()).into()),
        }),
        Match::is(
            Key::IP_DADDR,
            Operand::Prefix { address: Value::Ipv4("127.0.0.0".parse().unwrap()), len: 8 },
        ),
        Verdict::Drop.into(),
    ]);
    for hook in [Hook::Input, Hook::Prerouting] {
        let found = one(&at(hook, Policy::Accept, vec![drop.clone()]));
        assert!(found.sentence.contains("queries for names at 127.0.0.11 on pt-0123"), "{}", found.sentence);
        assert_eq!(found.code, "firewall-names");
    }
}

#[test]
fn what_the_host_answers_is_walked_too() {
    assert_eq!(blocking(&at(Hook::Output, Policy::Accept, Vec::new())), []);
    let found = one(&at(Hook::Output, Policy::Drop, Vec::new()));
    assert_eq!(found.traffic, [Traffic::NameAnswers]);
    assert!(found.sentence.contains("drop the answers to containers' queries for names on pt-0123"));
    assert_eq!(found.fix[0], "nft insert rule inet office forward oifname '\"pt-0123\" udp sport 53 accept'");
    let established = [Match::is(Key::CT_STATE, Value::ESTABLISHED_RELATED), Verdict::Accept.into()];
    assert_eq!(blocking(&at(Hook::Output, Policy::Drop, vec![Rule::new(established)])), []);
}

#[test]
fn networks_without_names_do_not_miss_them() {
    let mut facts = at(Hook::Input, Policy::Drop, Vec::new());
    facts.bridges[0].names.clear();
    assert_eq!(blocking(&facts), []);
    assert_eq!(examine(&facts)[0].traffic, [Traffic::Host], "which is noted");
}
