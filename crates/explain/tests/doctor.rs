//! What is wrong with hosts that were made by hand.

use std::collections::BTreeMap;

use pontoon_explain::doctor::{Act, Changed, Diagnosis, Facts, LeftOver, Scope, Tracked, examine};
use pontoon_explain::path::{Code, Severity};
use pontoon_model::observed::snapshot::{
    Address, Link, Namespace, Neighbour, NeighbourState, NextHop, Peer, Port, Route, RouteKind, Rule,
    RuleAction, Snapshot, Transport, VERSION,
};
use pontoon_model::op::{Netns, NetnsPlace};
use pontoon_model::publish::Protocol;
use pontoon_model::sandbox::NetnsId;
use pontoon_nft::ruleset::Ruleset;

fn namespace(name: &str, number: u64) -> Namespace {
    let id = NetnsId { dev: 4, ino: number };
    let netns = match number {
        0 => Netns::Host,
        _ => Netns::Other { place: NetnsPlace::Named(name.to_owned()), id },
    };
    let asks = |priority, table| Rule {
        v4: true,
        priority,
        from: None,
        to: None,
        iif: None,
        oif: None,
        mark: None,
        action: RuleAction::Table(table),
        invert: false,
        suppress: None,
        transport: Transport::default(),
        asks_more: false,
    };
    Namespace {
        name: name.to_owned(),
        netns,
        id,
        links: Vec::new(),
        addresses: Vec::new(),
        rules: vec![asks(0, 255), asks(32766, 254)],
        routes: Vec::new(),
        neighbours: Vec::new(),
        forwarding: Vec::new(),
        ruleset: Ruleset::default(),
        legacy: Vec::new(),
        unread: Vec::new(),
        sysctls: BTreeMap::from([("net/ipv4/ip_forward".to_owned(), "1\n".to_owned())]),
        sockets: Vec::new(),
        name_servers: Vec::new(),
        resolver: None,
        ports: Vec::new(),
        endpoints: Vec::new(),
    }
}

fn link(index: u32, name: &str, mac: &str) -> Link {
    Link {
        index,
        name: name.to_owned(),
        kind: Some("veth".to_owned()),
        mac: Some(mac.parse().unwrap()),
        mtu: 1500,
        up: true,
        carrier: true,
        forwarding: true,
        ..Link::default()
    }
}

fn route(to: &str, link: u32, via: Option<&str>, kind: RouteKind, table: u32) -> Route {
    Route {
        destination: to.parse().unwrap(),
        table,
        kind,
        metric: 0,
        source: None,
        next_hops: vec![NextHop {
            gateway: via.map(|via| via.parse().unwrap()),
            link: Some(link),
            dead: false,
        }],
        mtu: None,
        protocol: 2,
    }
}

/// Gives an interface an address, with the routes that the kernel makes of it.
fn address(namespace: &mut Namespace, link: u32, address: &str) {
    let net: ipnet::IpNet = address.parse().unwrap();
    namespace.addresses.push(Address { link, address: net, link_scope: false });
    namespace.routes.push(route(&net.trunc().to_string(), link, None, RouteKind::Unicast, 254));
    namespace.routes.push(route(&format!("{}/32", net.addr()), link, None, RouteKind::Local, 255));
}

/// A bridge of somebody's, with one and two on it, and nothing wrong.
fn bridge() -> Facts {
    let mut host = namespace("host", 0);
    host.links.push(Link { kind: Some("bridge".to_owned()), ..link(2, "br0", "06:00:00:00:00:01") });
    address(&mut host, 2, "10.1.0.1/24");
    let mut all = vec![];
    for number in [1_u32, 2] {
        let mut one = namespace(if number == 1 { "one" } else { "two" }, u64::from(number));
        let index = 10 + number;
        host.links.push(Link {
            master: Some(2),
            port: Some(Port { state: 3, isolated: false, hairpin: false, learning: true, flood: true }),
            peer: Some(Peer { index: 2, netns: Some(one.id) }),
            ..link(index, &format!("port{number}"), &format!("06:00:00:00:01:0{number}"))
        });
        one.links.push(Link {
            peer: Some(Peer { index, netns: Some(host.id) }),
            ..link(2, "eth0", &format!("02:00:00:00:00:0{number}"))
        });
        address(&mut one, 2, &format!("10.1.0.1{number}/24"));
        one.routes.push(route("0.0.0.0/0", 2, Some("10.1.0.1"), RouteKind::Unicast, 254));
        all.push(one);
    }
    let mut namespaces = vec![host];
    namespaces.append(&mut all);
    let snapshot = Snapshot {
        version: VERSION,
        namespaces,
        networks: Vec::new(),
        upstream: Vec::new(),
        restore: "pontoon restore".to_owned(),
    };
    Facts { snapshot, changed: Vec::new(), overlaps: Vec::new(), left_over: Vec::new(), flows: Vec::new() }
}

fn found(facts: &Facts) -> Vec<Diagnosis> {
    examine(facts, &Scope::default())
}

/// The only thing that is wrong.
#[track_caller]
fn only(facts: &Facts) -> Diagnosis {
    let mut found = found(facts);
    assert_eq!(found.len(), 1, "{found:#?}");
    found.remove(0)
}

#[track_caller]
fn mended_by(one: &Diagnosis, command: &str, undo: Option<&str>) {
    let (commands, back): (Vec<_>, Vec<_>) =
        one.fix.iter().map(|remedy| (remedy.command.as_str(), remedy.undo.as_deref())).unzip();
    assert_eq!((commands, back), (vec![command], vec![undo]), "{one:#?}");
}

#[test]
fn nothing_is_wrong() {
    assert_eq!(found(&bridge()), []);
}

#[test]
fn an_isolated_port_is_not_ours_and_can_be_taken_back() {
    let mut facts = bridge();
    for link in &mut facts.snapshot.namespaces[0].links[1..] {
        link.port.as_mut().unwrap().isolated = true;
    }
    let one = only(&facts);
    assert_eq!((one.code, one.severity, one.is_ours()), (Code::PortsIsolated, Severity::Blocks, false));
    assert_eq!(one.affected, ["one", "two"]);
    let back: Vec<_> = one.fix.iter().map(|remedy| remedy.undo.as_deref()).collect();
    assert!(back.contains(&Some("bridge link set dev port2 isolated on")), "{one:#?}");
}

#[test]
fn what_is_there_twice_is_told_once() {
    let mut facts = bridge();
    facts.snapshot.namespaces[2].links[0].mac = Some("02:00:00:00:00:01".parse().unwrap());
    let one = only(&facts);
    assert_eq!((one.code, one.place.as_str()), (Code::MacTwice, "two"));
    mended_by(
        &one,
        "ip -n two link set dev eth0 address 0a:00:00:00:00:02",
        Some("ip -n two link set dev eth0 address 02:00:00:00:00:01"),
    );
    let mut facts = bridge();
    address(&mut facts.snapshot.namespaces[2], 2, "10.1.0.11/24");
    let one = only(&facts);
    assert_eq!((one.code, one.place.as_str()), (Code::AddressTwice, "two"));
    mended_by(
        &one,
        "ip -n two address delete 10.1.0.11/24 dev eth0",
        Some("ip -n two address add 10.1.0.11/24 dev eth0"),
    );
}

#[test]
fn ends_of_different_sizes_are_made_equal() {
    let mut facts = bridge();
    facts.snapshot.namespaces[0].links[1].mtu = 1400;
    let found = found(&facts);
    let one = found.iter().find(|one| one.code == Code::MtuDiffers).expect("it is found");
    mended_by(one, "ip link set dev port1 mtu 1500", Some("ip link set dev port1 mtu 1400"));
}

#[test]
fn two_bridges_with_one_subnet_are_one_finding() {
    let mut facts = bridge();
    let host = &mut facts.snapshot.namespaces[0];
    host.links.push(Link { kind: Some("bridge".to_owned()), ..link(3, "br1", "06:00:00:00:00:02") });
    address(host, 3, "10.1.0.2/16");
    let one = only(&facts);
    assert_eq!((one.code, one.affected.len()), (Code::SubnetTwice, 2), "{one:#?}");
}

#[test]
fn a_wrong_neighbour_can_be_taken_back() {
    let mut facts = bridge();
    facts.snapshot.namespaces[1].neighbours.push(Neighbour {
        link: 2,
        address: "10.1.0.12".parse().unwrap(),
        mac: Some("02:00:00:00:00:99".parse().unwrap()),
        state: NeighbourState::Permanent,
    });
    let one = only(&facts);
    assert_eq!(one.code, Code::NeighbourWrong);
    mended_by(
        &one,
        "ip -n one neighbour delete 10.1.0.12 dev eth0",
        Some("ip -n one neighbour replace 10.1.0.12 lladdr 02:00:00:00:00:99 dev eth0 nud permanent"),
    );
}

#[test]
fn what_follows_from_a_change_is_told_with_it() {
    let mut facts = bridge();
    let host = &mut facts.snapshot.namespaces[0];
    host.sysctls.insert("net/ipv4/ip_forward".to_owned(), "0\n".to_owned());
    host.links.push(Link { kind: None, ..link(4, "eth0", "06:00:00:00:00:09") });
    address(host, 4, "192.0.2.2/24");
    host.routes.push(route("0.0.0.0/0", 4, Some("192.0.2.1"), RouteKind::Unicast, 254));
    host.links.iter_mut().for_each(|link| link.forwarding = false);
    facts.changed.push(Changed {
        code: "switch-off".to_owned(),
        object: "net/ipv4/ip_forward".to_owned(),
        found: "net.ipv4.ip_forward is 0, not 1".to_owned(),
        network: None,
        container: None,
        kept: false,
        commands: vec!["sysctl -w net.ipv4.ip_forward=1".to_owned()],
    });
    let all = found(&facts);
    let one = all.iter().find(|one| one.code == Code::ForwardingOff).expect("it is found");
    assert_eq!(all.iter().filter(|one| one.code == Code::ForwardingOff).count(), 1, "{all:#?}");
    assert_eq!(one.affected, ["one", "two"]);
    assert!(one.is_ours() && matches!(one.fix[0].act, Act::PutBack(..)), "{one:#?}");
    // A network that is to stay as it was changed has no fix.
    facts.changed[0].kept = true;
    let all = found(&facts);
    let kept = all.iter().find(|one| one.sentence == "net.ipv4.ip_forward is 0, not 1").expect("it is found");
    assert!(!kept.is_ours(), "{kept:#?}");
}

#[test]
fn a_flow_to_where_the_port_led_before_is_stale() {
    let mut facts = bridge();
    facts.snapshot.namespaces[1].ports.push(pontoon_model::Publication {
        address: None,
        protocol: Protocol::Udp,
        host: 5300,
        container: 53,
        count: 1,
    });
    let flow = |answered_by: &str, port| Tracked {
        source: "10.1.0.12".parse().unwrap(),
        destination: ("10.1.0.1".parse().unwrap(), 5300),
        answered_by: (answered_by.parse().unwrap(), port),
    };
    facts.flows = vec![flow("10.1.0.11", 53), flow("10.1.0.12", 53), flow("10.1.0.12", 53)];
    let all = found(&facts);
    let stale: Vec<_> = all.iter().filter(|one| one.code == Code::ConnectionStale).collect();
    assert_eq!(stale.len(), 1, "{all:#?}");
    assert!(stale[0].is_ours() && matches!(stale[0].fix[0].act, Act::Forget(_)), "{stale:#?}");
    assert_eq!(stale[0].fix[0].command, "conntrack -D -p udp --reply-src 10.1.0.12 --reply-port-src 53");
}

#[test]
fn who_is_asked_about_is_told_of_alone() {
    let mut facts = bridge();
    facts.snapshot.namespaces[0].links[1].mtu = 1400;
    facts.left_over.push(LeftOver {
        sentence: "the link x has no owner".to_owned(),
        shown_by: "ip link show x".to_owned(),
        command: "ip link delete dev x".to_owned(),
    });
    assert!(found(&facts).iter().any(|one| one.code == Code::LeftOver && one.severity == Severity::Note));
    let two = Scope { containers: ["two".to_owned()].into(), ..Scope::default() };
    assert_eq!(examine(&facts, &two), []);
    let one = Scope { containers: ["one".to_owned()].into(), ..Scope::default() };
    assert_eq!(examine(&facts, &one).len(), 1);
}
