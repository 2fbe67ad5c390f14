//! What is found is told by a table: the host, and what comes of it for a network with two containers.

use proptest::prelude::*;

use pontoon_model::network::Driver;
use pontoon_model::option::BridgeOptions;
use pontoon_model::{Network, NetworkId};

use super::*;

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

/// `blue` on 10.1.0.0/16 and fd00:1::/64, with `web` at .0.2 and ::2, and `db` at .5.3.
fn blue() -> Ours {
    let id = NetworkId::from_bytes([7; 32]);
    let pool = |subnet: &str, gateway: &str| AddressPool {
        subnet: net(subnet),
        range: None,
        gateway: gateway.parse().unwrap(),
        aux: BTreeMap::new(),
    };
    let network = Network {
        name: "blue".parse().unwrap(),
        driver: Driver::Bridge,
        created: String::new(),
        internal: false,
        attachable: false,
        labels: BTreeMap::new(),
        options: BTreeMap::new(),
        bridge: BridgeOptions::default(),
        v4: Some(pool("10.1.0.0/16", "10.1.0.1")),
        v6: Some(pool("fd00:1::/64", "fd00:1::1")),
        bridge_name: "br0".parse().unwrap(),
        bridge_mac: Network::derived_bridge_mac(&id),
        builtin: false,
        id,
    };
    let members = [("web", "10.1.0.2"), ("db", "10.1.5.3"), ("web", "fd00:1::2")];
    let members = members.iter().map(|(name, at)| ((*name).to_owned(), at.parse().unwrap())).collect();
    Ours { bridges: vec![network.bridge_name.clone()], network, members }
}

fn route(to: &str, dev: &str, table: u32) -> HostRoute {
    HostRoute { destination: net(to), dev: dev.to_owned(), table }
}

/// A host with the routes that our bridge makes.
fn host(routes: &[(&str, &str, u32)]) -> AddressSpace {
    let own = [("10.1.0.0/16", "br0", MAIN), ("fd00:1::/64", "br0", MAIN)];
    let routes = own.iter().chain(routes).map(|(to, dev, table)| route(to, dev, *table)).collect();
    AddressSpace { routes, ..AddressSpace::default() }
}

fn rule(priority: u32, table: u32) -> HostRule {
    HostRule { v4: true, priority, table, to: None, conditional: false, suppressed: None }
}

/// The kernel's own rules.
fn usual() -> Vec<HostRule> {
    vec![rule(0, 255), rule(32766, MAIN), rule(32767, 253)]
}

fn find(space: &AddressSpace, rules: &[HostRule]) -> Vec<Conflict> {
    conflicts(&[blue()], &Seen { space, rules, blocks: &[] })
}

/// Code, severity and the containers concerned.
fn briefly(found: &[Conflict]) -> Vec<(&'static str, Severity, String)> {
    let names = |one: &Conflict| {
        let names: Vec<&str> = one.affected.iter().map(|one| one.container.as_str()).collect();
        names.join(" ")
    };
    found.iter().map(|one| (one.code, one.severity, names(one))).collect()
}

#[test]
fn what_a_route_comes_to_depends_on_its_length_and_its_turn() {
    use Severity::{Breaks, Doubtful, Note};
    let tailscale = [usual(), vec![rule(5270, 52)]].concat();
    let marked = [usual(), vec![HostRule { conditional: true, ..rule(5270, 52) }]].concat();
    let wireguard = [
        usual(),
        vec![
            HostRule { suppressed: Some(0), ..rule(32764, MAIN) },
            HostRule { conditional: true, ..rule(32765, 51820) },
        ],
    ]
    .concat();
    let freed =
        [tailscale.clone(), vec![HostRule { to: Some(net("10.1.0.0/16")), ..rule(5269, MAIN) }]].concat();
    let elsewhere = [usual(), vec![HostRule { to: Some(net("10.9.0.0/16")), ..rule(5270, 52) }]].concat();
    let none: &[(&'static str, Severity, &str)] = &[];
    for (routes, rules, expected) in [
        // In the main table.
        (&[("10.1.5.0/24", "tun0", MAIN)][..], &usual(), &[("route-inside", Breaks, "db")][..]),
        (&[("10.1.0.0/17", "tun0", MAIN)], &usual(), &[("route-inside", Breaks, "db web")]),
        (&[("10.1.9.0/24", "tun0", MAIN)], &usual(), &[("route-inside", Doubtful, "")]),
        (&[("10.1.5.3/32", "tun0", MAIN)], &usual(), &[("route-inside", Breaks, "db")]),
        (&[("10.1.0.0/16", "tun0", MAIN)], &usual(), &[("route-equal", Doubtful, "")]),
        (&[("10.0.0.0/8", "tun0", MAIN)], &usual(), &[("route-around", Note, "")]),
        (&[("10.2.0.0/16", "tun0", MAIN)], &usual(), none),
        (&[("fd00:1::/96", "tun0", MAIN)], &usual(), &[("route-inside", Breaks, "web")]),
        // What came from us, or holds everything.
        (&[("10.1.5.0/24", "br0", MAIN)], &usual(), none),
        (&[("0.0.0.0/1", "tun0", MAIN), ("128.0.0.0/1", "tun0", MAIN)], &usual(), none),
        // The way out was taken.
        (
            &[("10.1.5.0/24", "tun0", MAIN), ("10.1.5.3/32", "br0", MAIN)],
            &usual(),
            &[("route-inside", Note, "")],
        ),
        (
            &[("10.1.0.0/16", "tun0", MAIN), ("10.1.0.0/17", "br0", MAIN), ("10.1.128.0/17", "br0", MAIN)],
            &usual(),
            &[("route-equal", Note, "")],
        ),
        // In another table.
        (&[("10.0.0.0/8", "ts0", 52)], &tailscale, &[("route-before", Breaks, "db web")]),
        (&[("10.1.9.0/24", "ts0", 52)], &tailscale, &[("route-before", Doubtful, "")]),
        (&[("10.0.0.0/8", "ts0", 52)], &marked, &[("route-before", Doubtful, "db web")]),
        (&[("10.0.0.0/8", "ts0", 52)], &freed, &[("route-behind", Note, "")]),
        (&[("10.0.0.0/8", "ts0", 52)], &elsewhere, &[("route-behind", Note, "")]),
        (&[("10.1.5.0/24", "wg0", 51820)], &wireguard, &[("route-behind", Note, "")]),
        (&[("10.1.5.0/24", "vrf0", 77)], &usual(), &[("route-behind", Note, "")]),
    ] {
        let expected: Vec<_> =
            expected.iter().map(|(code, severity, names)| (*code, *severity, (*names).to_owned())).collect();
        assert_eq!(briefly(&find(&host(routes), rules)), expected, "{routes:?}");
    }
}

#[test]
fn our_route_may_have_been_replaced() {
    let mut space = host(&[("10.1.0.0/16", "tun0", MAIN)]);
    space.routes.retain(|route| route.destination != net("10.1.0.0/16") || route.dev != "br0");
    let found = find(&space, &usual());
    assert_eq!(briefly(&found), [("route-equal", Severity::Breaks, "db web".to_owned())]);
    assert_eq!(
        found[0].finer,
        ["ip route replace 10.1.0.0/17 dev br0", "ip route replace 10.1.128.0/17 dev br0"]
    );
}

#[test]
fn addresses_and_name_servers_count_where_they_are_not_ours() {
    use Severity::{Breaks, Doubtful};
    let at = |address: &str, dev: &str| HostAddress { address: net(address), dev: dev.to_owned() };
    for (address, dev, expected) in [
        ("10.1.5.3/24", "tun0", Some((Breaks, "db"))),
        ("10.1.0.1/24", "tun0", Some((Breaks, ""))),
        ("10.1.9.9/32", "tun0", Some((Doubtful, ""))),
        ("10.1.0.1/16", "br0", None),
        ("10.9.0.1/8", "eth0", None),
    ] {
        let space = AddressSpace { addresses: vec![at(address, dev)], ..host(&[]) };
        let found = briefly(&find(&space, &usual()));
        let expected = expected.map(|(severity, names)| ("address-inside", severity, names.to_owned()));
        assert_eq!(found, expected.into_iter().collect::<Vec<_>>(), "{address}");
    }
    for (server, counts) in
        [("10.1.9.9", true), ("10.1.5.3", false), ("10.1.0.1", false), ("192.0.2.1", false)]
    {
        let space = AddressSpace { nameservers: vec![server.parse().unwrap()], ..host(&[]) };
        let found = briefly(&find(&space, &usual()));
        assert_eq!(found.iter().any(|(code, ..)| *code == "nameserver-inside"), counts, "{server}");
    }
}

#[test]
fn both_ways_out_can_be_typed() {
    let found = find(&host(&[("10.1.5.0/24", "tun0", MAIN)]), &usual());
    assert_eq!(
        found[0].sentence,
        "network `blue` (10.1.0.0/16): the host's route to 10.1.5.0/24 via tun0 takes packets for db (10.1.5.3)"
    );
    assert_eq!(
        found[0].hint(),
        "`ip route replace 10.1.5.3/32 dev br0`, or move the network: `pontoon network renumber blue --subnet \
         10.0.0.0/16`"
    );
    let found = find(&host(&[("fd00:1::/96", "tun0", MAIN)]), &usual());
    assert_eq!(found[0].finer, ["ip -6 route replace fd00:1::2/128 dev br0"]);
    let rules = [usual(), vec![rule(5270, 52)]].concat();
    let found = find(&host(&[("10.0.0.0/8", "ts0", 52)]), &rules);
    assert_eq!(found[0].finer, ["ip rule add to 10.1.0.0/16 lookup main priority 5269"]);
    // Of a single address nothing is finer.
    let found = find(&host(&[("10.1.5.3/32", "tun0", MAIN)]), &usual());
    assert!(
        found[0].finer.is_empty() && found[0].hint().starts_with("move the network"),
        "{}",
        found[0].hint()
    );
}

#[test]
fn each_is_told_once_until_it_goes_or_gets_worse() {
    let (mut known, rules) = (Known::default(), usual());
    let vpn = host(&[("10.1.5.0/24", "tun0", MAIN)]);
    let codes = |found: &[Conflict]| found.iter().map(|one| one.code).collect::<Vec<_>>();
    let mut look = |space: &AddressSpace| {
        let changes = known.new_and_gone(find(space, &rules));
        (codes(&changes.new), codes(&changes.gone))
    };
    assert_eq!(look(&host(&[])), (vec![], vec![]));
    assert_eq!(look(&vpn), (vec!["route-inside"], vec![]));
    assert_eq!(look(&vpn), (vec![], vec![]));
    let freed = host(&[("10.1.5.0/24", "tun0", MAIN), ("10.1.5.3/32", "br0", MAIN)]);
    assert_eq!(look(&freed), (vec!["route-inside"], vec![]), "it is another thing now");
    assert_eq!(look(&host(&[])), (vec![], vec!["route-inside"]));
    assert_eq!(look(&vpn), (vec!["route-inside"], vec![]));
}

#[test]
fn a_finer_route_that_the_bridge_has_too_is_doubtful() {
    for devs in [["tun0", "br0"], ["br0", "tun0"]] {
        let found = find(&host(&devs.map(|dev| ("10.1.0.0/24", dev, MAIN))), &usual());
        let [one] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((one.code, one.severity, one.affected.len()), ("route-inside", Severity::Doubtful, 0));
        assert!(one.sentence.contains("metrics"), "{}", one.sentence);
    }
}

fn some_route() -> impl Strategy<Value = (IpNet, bool, u32)> {
    let destination = (0..=0x3ff_u32, 8..=32_u8).prop_map(|(bits, length)| {
        // Around 10.1.0.0/16.
        let address = 0x0a01_0000 ^ (bits & 0xff) ^ (bits >> 8 << 16);
        IpNet::new(IpAddr::V4(address.into()), length).unwrap().trunc()
    });
    (destination, any::<bool>(), prop_oneof![3 => Just(MAIN), 1 => Just(77_u32)])
}

proptest! {
    /// A container is said to be cut off by the main table's routes exactly if the longest one to it is not ours.
    #[test]
    fn who_is_cut_off_is_found_by_the_longest_prefix(routes in prop::collection::vec(some_route(), 0..6)) {
        let mut space = host(&[]);
        space.routes.extend(routes.iter().map(|(destination, ours, table)| {
            HostRoute { destination: *destination, dev: if *ours { "br0" } else { "tun0" }.into(), table: *table }
        }));
        let found = find(&space, &usual());
        for (name, address) in blue().members.iter().filter(|(_, address)| address.is_ipv4()) {
            let to = space.routes.iter().filter(|one| one.table == MAIN && one.destination.contains(address));
            let longest = to.clone().map(|one| one.destination.prefix_len()).max().unwrap();
            let mut best = to.filter(|one| one.destination.prefix_len() == longest);
            let away = best.all(|one| one.dev == "tun0");
            let told = found.iter().any(|one| one.affected.iter().any(|one| one.container == *name && one.address == *address));
            prop_assert_eq!(told, away && longest > 16, "{} at {}", name, address);
        }
    }

    /// What is found now is known afterwards, whatever was known before.
    #[test]
    fn the_known_follow_the_found(rounds in prop::collection::vec(prop::collection::vec(some_route(), 0..4), 1..5)) {
        let mut known = Known::default();
        let mut told: Vec<String> = Vec::new();
        for routes in rounds {
            let mut space = host(&[]);
            space.routes.extend(routes.into_iter().map(|(destination, _, table)| HostRoute { destination, dev: "tun0".into(), table }));
            let found = find(&space, &usual());
            let changes = known.new_and_gone(found.clone());
            told.retain(|key| !changes.gone.iter().any(|gone| format!("{:?}", gone.key()) == *key));
            for new in &changes.new {
                told.retain(|key| *key != format!("{:?}", new.key()));
                told.push(format!("{:?}", new.key()));
            }
            let mut there: Vec<String> = found.iter().map(|one| format!("{:?}", one.key())).collect();
            there.sort();
            told.sort();
            prop_assert_eq!(&told, &there);
            prop_assert!(known.new_and_gone(found).new.is_empty());
        }
    }
}
