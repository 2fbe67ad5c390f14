//! What was traced, put together and laid beside what was said.

use std::collections::BTreeMap;

use pontoon_explain::packet::Ports;
use pontoon_explain::path::{Explanation, Filter, Flow, Hop, Place, Verdict, Way};
use pontoon_explain::probe::{
    Answer, Context, Event, HopMark, Kind, Mark, Probed, Step, StepVerdict, compare, stitch,
};
use pontoon_model::observed::snapshot::{Link, Namespace, Snapshot, VERSION};
use pontoon_model::op::{Netns, NetnsPlace};
use pontoon_model::sandbox::NetnsId;
use pontoon_nft::ruleset::{ListedChain, ListedRule, Ruleset, Table};
use pontoon_nft::syntax::{
    Base, Chain, ChainKind, Family, Hook, Key, Match, Policy, Rule, TableRef, Value, Verdict as Decided,
};
use pontoon_nft::wire::{Trace, TraceBy};

const TOKEN: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];
const MARK: Mark = Mark { v4: true, protocol: 1, token: TOKEN, source_port: 0 };

fn namespace(name: &str, number: u64, links: &[&str]) -> Namespace {
    let id = NetnsId { dev: 4, ino: number };
    let link = |(index, name): (usize, &&str)| Link {
        index: index as u32 + 1,
        name: (*name).to_owned(),
        kind: Some("veth".to_owned()),
        ..Link::default()
    };
    Namespace {
        name: name.to_owned(),
        netns: match name {
            "host" => Netns::Host,
            name => Netns::Other { place: NetnsPlace::Named(name.to_owned()), id },
        },
        id,
        links: links.iter().enumerate().map(link).collect(),
        addresses: Vec::new(),
        rules: Vec::new(),
        routes: Vec::new(),
        neighbours: Vec::new(),
        forwarding: Vec::new(),
        ruleset: Ruleset::default(),
        legacy: Vec::new(),
        unread: Vec::new(),
        sysctls: BTreeMap::new(),
        sockets: Vec::new(),
        name_servers: Vec::new(),
        resolver: None,
        ports: Vec::new(),
        endpoints: Vec::new(),
    }
}

/// Web behind a host, whose table `ip fw` drops pings in a chain at forward.
fn snapshot() -> Snapshot {
    let mut host = namespace("host", 1, &["lo", "blue0", "eth0"]);
    let base = Base {
        kind: ChainKind::Filter,
        hook: Hook::Forward,
        priority: 5,
        policy: Policy::Accept,
        device: None,
    };
    let chain = Chain { name: "guard".to_owned(), base: Some(base), comment: None };
    let rule = Rule::new([Match::is(Key::L4PROTO, Value::Protocol(1)), Decided::Drop.into()]);
    host.ruleset.tables.push(Table {
        table: TableRef::new(Family::Ip, "fw"),
        handle: 1,
        comment: None,
        dormant: false,
        sets: Vec::new(),
        chains: vec![ListedChain { handle: 2, chain, rules: vec![ListedRule { handle: 7, rule }] }],
    });
    Snapshot {
        version: VERSION,
        namespaces: vec![host, namespace("web", 2, &["lo", "eth0"])],
        networks: Vec::new(),
        upstream: Vec::new(),
        restore: "pontoon restore".to_owned(),
    }
}

/// An echo request of the probe's, or of somebody else's.
fn headers(hops_left: u8, token: [u8; 8]) -> (Vec<u8>, Vec<u8>) {
    let mut network = vec![0x45, 0, 0, 36, 0, 1, 0, 0, hops_left, 1, 0, 0];
    network.extend([10, 5, 0, 2, 198, 51, 100, 10]);
    (network, [&[8, 0, 0, 0, 1, 2, 0, 1][..], &token].concat())
}

fn event(place: usize, id: u32, at: (Family, &str, &str), by: TraceBy, verdict: Decided) -> Event {
    let (family, table, chain) = at;
    let trace = Trace {
        id,
        table: TableRef::new(family, table),
        chain: chain.to_owned(),
        by,
        verdict: Some(verdict),
        iif: None,
        oif: None,
        network: Vec::new(),
        transport: Vec::new(),
    };
    Event { place, attempt: 1, trace }
}

/// The same with headers: a base chain's first message.
fn first(mut event: Event, hops_left: u8, links: (Option<u32>, Option<u32>), token: [u8; 8]) -> Event {
    (event.trace.network, event.trace.transport) = headers(hops_left, token);
    (event.trace.iif, event.trace.oif) = links;
    event
}

fn ours(place: usize, id: u32, chain: &str, hops_left: u8, links: (Option<u32>, Option<u32>)) -> [Event; 2] {
    let at = (Family::Inet, "pontoon_probe_a1", chain);
    [
        first(event(place, id, at, TraceBy::End, Decided::Continue), hops_left, links, TOKEN),
        event(place, id, at, TraceBy::Policy, Decided::Accept),
    ]
}

/// The probe out of web and into the host, where rule 7 drops it.
fn dropped() -> Vec<Event> {
    let guard = (Family::Ip, "fw", "guard");
    let mut events = Vec::new();
    // The host tells first: which socket is read first is chance.
    events.extend(ours(0, 20, "prerouting-last", 64, (Some(2), None)));
    events.push(first(event(0, 21, guard, TraceBy::Rule(7), Decided::Drop), 63, (Some(2), Some(3)), TOKEN));
    events.extend(ours(1, 10, "output-last", 64, (None, Some(2))));
    events.extend(ours(1, 10, "postrouting-last", 64, (None, Some(2))));
    // Somebody else's, traced for another probe.
    events.push(first(event(0, 30, guard, TraceBy::Rule(7), Decided::Drop), 63, (Some(2), Some(3)), [9; 8]));
    events
}

fn stitched(events: &[Event]) -> Vec<Step> {
    let order = [(Way::There, "web".to_owned()), (Way::There, "host".to_owned())];
    stitch(&snapshot(), &MARK, "a1", events, &order)
}

fn hop(way: Way, place: &str, kind: &'static str, verdict: Verdict, filter: Option<Filter>) -> Hop {
    Hop {
        way,
        place: place.to_owned(),
        kind,
        text: format!("{kind} of {place}"),
        command: None,
        verdict,
        quiet: false,
        detail: Vec::new(),
        filter,
    }
}

fn forward(handle: Option<u64>) -> Hop {
    let drop = handle.map(|handle| Place {
        table: "ip fw".to_owned(),
        chain: "guard".to_owned(),
        handle: Some(handle),
        legacy: false,
    });
    let verdict = if drop.is_some() { Verdict::Unreachable } else { Verdict::Reachable };
    let filter = Filter { hook: "forward", bridge: false, drop };
    hop(Way::There, "host", "hook", verdict, Some(filter))
}

/// By way of the host to somebody outside, whose answer comes back.
fn explained(forward: Hop) -> Explanation {
    let verdict = forward.verdict;
    let good = |way, place, kind| hop(way, place, kind, Verdict::Reachable, None);
    Explanation {
        verdict,
        packet: Flow {
            source: "10.5.0.2".parse().unwrap(),
            destination: "198.51.100.10".parse().unwrap(),
            protocol: 1,
            source_port: Ports::ANY,
            destination_port: Ports::ANY,
        },
        hops: vec![
            good(Way::There, "web", "route"),
            good(Way::There, "host", "route"),
            forward,
            good(Way::There, "host", "neighbour"),
            good(Way::Back, "web", "socket"),
        ],
        findings: Vec::new(),
    }
}

fn compared(explained: &Explanation, steps: Vec<Step>, answer: Answer) -> Probed {
    let snapshot = snapshot();
    let context = Context {
        snapshot: &snapshot,
        explained,
        nobody: false,
        packet: Some(explained.packet),
        sent: 1,
        after: None,
        unwatched: Vec::new(),
    };
    compare(context, steps, answer)
}

const NOTHING: Answer = Answer::Nothing { waited: 300 };

#[test]
fn steps_are_in_the_order_of_the_way_and_others_packets_are_left_out() {
    let steps = stitched(&dropped());
    let seen: Vec<_> = steps.iter().map(|step| (step.place.as_str(), step.hook, step.verdict)).collect();
    assert_eq!(
        seen,
        [
            ("web", "output", StepVerdict::Passed),
            ("web", "postrouting", StepVerdict::Passed),
            ("host", "prerouting", StepVerdict::Passed),
            ("host", "forward", StepVerdict::Dropped),
        ]
    );
    let last = &steps[3];
    assert_eq!((last.iif.as_deref(), last.oif.as_deref()), (Some("blue0"), Some("eth0")));
    assert_eq!((last.kind, last.hits.len(), last.hits[0].handle), (Kind::Request, 1, Some(7)));
    assert_eq!(last.hits[0].rule.as_deref(), Some("meta l4proto icmp drop"));
}

#[test]
fn the_last_sending_that_was_seen_counts() {
    let mut again = dropped();
    again.retain(|event| event.place == 1);
    again.iter_mut().for_each(|event| event.attempt = 2);
    let all = [dropped(), again].concat();
    assert!(stitched(&all).iter().all(|step| step.place == "web"));
}

#[test]
fn what_comes_to_a_hook_and_does_not_leave_it_is_lost() {
    let mut events = dropped();
    events.retain(|event| event.trace.chain != "guard");
    let at = (Family::Inet, "pontoon_probe_a1", "prerouting-first");
    events.retain(|event| event.place == 1);
    events.push(first(event(0, 20, at, TraceBy::Rule(2), Decided::Continue), 64, (Some(2), None), TOKEN));
    let steps = stitched(&events);
    assert_eq!(steps.last().unwrap().verdict, StepVerdict::Lost);
    let probed = compared(&explained(forward(None)), steps, NOTHING);
    assert!(probed.sentence.contains("did not leave it"), "{}", probed.sentence);
}

#[test]
fn the_rule_that_was_said_is_the_rule_that_drops() {
    let probed = compared(&explained(forward(Some(7))), stitched(&dropped()), NOTHING);
    assert_eq!((probed.verdict, probed.disagreements), (Verdict::Unreachable, Vec::new()));
    use HopMark::{Passed, Stopped, Unseen};
    assert_eq!(probed.hops, [Passed, Passed, Stopped, Unseen, Unseen]);
    assert!(
        probed.sentence.contains("table ip fw, chain guard, handle 7: meta l4proto icmp drop"),
        "{}",
        probed.sentence
    );
}

#[test]
fn another_rule_or_none_is_a_disagreement() {
    let other = compared(&explained(forward(Some(8))), stitched(&dropped()), NOTHING).disagreements;
    assert!(other.len() == 1 && other[0].contains("handle 8") && other[0].contains("handle 7"), "{other:?}");
    let passes = compared(&explained(forward(None)), stitched(&dropped()), NOTHING).disagreements;
    assert!(passes.len() == 2 && passes[0].contains("said to be reachable"), "{passes:?}");
    let answered = compared(&explained(forward(Some(7))), Vec::new(), Answer::EchoReply);
    assert_eq!(answered.verdict, Verdict::Reachable);
    assert_eq!(answered.disagreements, ["it was said not to be reachable, and it was answered"]);
}

#[test]
fn what_is_beyond_is_nobodys_fault() {
    let mut events = dropped();
    events.retain(|event| event.trace.chain != "guard");
    events.extend(ours(0, 21, "forward-last", 63, (Some(2), Some(3))));
    events.extend(ours(0, 21, "postrouting-last", 63, (Some(2), Some(3))));
    let probed = compared(&explained(forward(None)), stitched(&events), NOTHING);
    assert_eq!((probed.verdict, probed.disagreements), (Verdict::Unreachable, Vec::new()));
    assert!(probed.sentence.contains("left host by eth0"), "{}", probed.sentence);
}
