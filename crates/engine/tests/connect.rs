//! Connecting namespaces to networks, in throw-away hosts.

use pontoon_engine::connect::ConnectSpec;
use pontoon_engine::network::NetworkSpec;
use pontoon_engine::{Engine, Mode, Root};
use pontoon_model::ContainerRef;
use pontoon_testkit::sandboxed;

fn engine() -> Engine {
    Engine::open(Root::host(), Mode::Apply).expect("the engine opens")
}

fn network(name: &str) -> NetworkSpec {
    NetworkSpec { name: name.into(), ..NetworkSpec::default() }
}

fn netns(name: &str) -> ContainerRef {
    ContainerRef::NetnsName(name.into())
}

sandboxed! {
    fn two_namespaces_of_others_talk_over_a_network_and_no_trace_is_left(host: Host) {
        host.need("ip");
        host.sh("ip netns add a && ip netns add b");
        let before = host.snapshot().without("/run/pontoon");
        let mut engine = engine();
        engine.network_create(&network("blue")).unwrap();
        let a = engine.connect("blue", &netns("a"), &ConnectSpec::default()).unwrap().value.endpoint;
        let b = engine.connect("blue", &netns("b"), &ConnectSpec::default()).unwrap().value.endpoint;
        assert!(host.pings("a", &b.v4.unwrap().to_string()));
        assert!(host.pings("host", &a.v4.unwrap().to_string()));
        engine.disconnect("blue", &netns("a")).unwrap();
        engine.disconnect("blue", &netns("b")).unwrap();
        engine.network_remove("blue").unwrap();
        engine.system_prune().unwrap();
        assert!(engine.warnings.is_empty(), "{:?}", engine.warnings);
        before.assert_unchanged(&host.snapshot().without("/run/pontoon"));
    }
}

sandboxed! {
    fn a_namespace_reaches_the_outside_under_the_hosts_address(host: Host) {
        host.uplink();
        host.sh("ip netns add a");
        let server = host.serve("outside", 80, "hello");
        let mut engine = engine();
        engine.network_create(&NetworkSpec { ipv6: Some(true), ..network("blue") }).unwrap();
        engine.connect("blue", &netns("a"), &ConnectSpec::default()).unwrap();
        let reply = host.fetch("a", "198.51.100.10:80").unwrap();
        assert_eq!((reply.text.trim(), reply.seen_from.ip().to_string().as_str()), ("hello", "192.0.2.2"));
        let reply = host.fetch("a", "[2001:db8:2::10]:80").unwrap();
        assert_eq!((reply.text.trim(), reply.seen_from.ip().to_string().as_str()), ("hello", "2001:db8:1::2"));
        drop(server);
    }
}

sandboxed! {
    fn a_network_does_not_end_with_a_bridges_ports(host: Host) {
        host.sh("ip netns add a && ip netns add b && ip netns add c && ip netns add d");
        let mut engine = engine();
        let apart = [("com.docker.network.bridge.enable_icc".to_owned(), "false".to_owned())].into();
        for (name, subnet, options) in [("blue", "10.8.0.0/16", Default::default()), ("apart", "10.9.0.0/16", apart)] {
            let subnets = vec![subnet.to_owned()];
            engine.network_create(&NetworkSpec { subnets, options, ..network(name) }).unwrap();
            let prefix = &subnet[..5];
            // Addresses far apart are on different bridges: the first, the second, and one that hangs from the second.
            let place = |last: &str| format!("{prefix}{last}").parse().ok();
            for (netns_name, ip) in [("a", place("0.2")), ("b", place("4.0")), ("c", place("90.1"))] {
                engine.connect(name, &netns(netns_name), &ConnectSpec { ip, ..ConnectSpec::default() }).unwrap();
            }
            let reached = name == "blue";
            for (from, to) in [("a", "4.0"), ("a", "90.1"), ("b", "0.2"), ("b", "90.1"), ("c", "0.2")] {
                assert_eq!(host.pings(from, &format!("{prefix}{to}")), reached, "{name}: {from} to {to}");
            }
            for from in ["a", "b", "c"] {
                assert!(host.pings(from, &format!("{prefix}0.1")), "{name}: {from} to the gateway");
                engine.disconnect(name, &netns(from)).unwrap();
            }
            engine.network_remove(name).unwrap();
        }
        engine.system_prune().unwrap();
        host.sh("for n in a b c d; do ip netns delete $n; done");
        assert_eq!(host.sh("ip -o link show type bridge; ip -o link show type veth; nft list ruleset"), "");
    }
}
