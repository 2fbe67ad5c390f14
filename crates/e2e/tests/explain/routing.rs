//! Routes, forwarding, translation: where the packet goes, and whether its answer finds back.

use pontoon_e2e::Pontoon;
use pontoon_testkit::sandboxed;

use super::{Way, into, is_reachable, out};

/// Another network whose routes a VPN's may be.
const VPN: &str = "ip netns add vpn; ip link add wg0 type veth peer name wg0 netns vpn; ip link set wg0 up;
    ip -n vpn link set wg0 up;";

sandboxed! {
    fn forwarding_that_is_off_is_switched_on(host: Host) {
        out("sysctl -w net.ipv4.ip_forward=0", &["forwarding-off"])(host);
    }

    fn forwarding_that_is_off_on_the_bridge_alone_is_switched_on_there(host: Host) {
        out("sysctl -w net.ipv4.conf.blue0.forwarding=0", &["forwarding-off"])(host);
    }

    fn a_masquerade_rule_that_is_gone_comes_back(host: Host) {
        out("nft flush chain inet pontoon postrouting", &["no-way-back"])(host);
    }

    fn a_network_that_is_not_masqueraded_any_more_is_again(host: Host) {
        out("nft flush set inet pontoon masquerade4", &["no-way-back"])(host);
    }

    fn a_default_route_that_is_gone_is_added(host: Host) {
        out("ip -n web route delete default", &["no-route"])(host);
    }

    fn a_router_that_nobody_is_is_replaced(host: Host) {
        out("ip -n web route replace default via 10.5.0.77 dev eth0", &["gateway-missing"])(host);
    }

    fn a_default_route_by_an_internal_network_is_moved(host: Host) {
        let pontoon = Pontoon::with_web_and_db(&host);
        pontoon.run("network create --internal --subnet 10.6.0.0/24 -o pontoon.dns=false inner");
        pontoon.run("network connect inner web");
        let passes = || host.pings("web", "198.51.100.10");
        let way = Way { host: &host, pontoon: &pontoon, words: "web 198.51.100.10", passes: &passes };
        way.mends("ip -n web route replace default via 10.6.0.1 dev eth1", &["default-route-internal"]);
    }

    fn a_bridge_that_lost_its_address_gets_it_back(host: Host) {
        out("ip address flush dev blue0", &["bridge-without-address"])(host);
    }

    fn the_host_misses_the_address_of_its_bridge_too(host: Host) {
        into("ip address flush dev blue0", &["bridge-without-address"])(host);
    }

    fn a_finer_route_of_a_vpn_is_outdone_by_a_finer_one(host: Host) {
        out(
            concat!(
                "ip netns add vpn; ip link add wg0 type veth peer name wg0 netns vpn; ip link set wg0 up;",
                "ip -n vpn link set wg0 up; ip route add 10.5.0.0/25 dev wg0"
            ),
            &["route-elsewhere"],
        )(host);
    }

    fn a_rule_of_a_vpn_is_outdone_by_a_rule(host: Host) {
        let pontoon = Pontoon::with_web_and_db(&host);
        let passes = || host.pings("host", "10.5.0.2");
        let way = Way { host: &host, pontoon: &pontoon, words: "host web", passes: &passes };
        let table = "ip route add 10.0.0.0/8 dev wg0 table 7; ip rule add priority 100 lookup 7";
        way.mends(&format!("{VPN} {table}"), &["route-elsewhere"]);
    }

    fn the_source_check_is_named_with_the_route_that_misleads_it(host: Host) {
        let pontoon = Pontoon::with_web_and_db(&host);
        let passes = || host.pings("web", "198.51.100.10");
        let way = Way { host: &host, pontoon: &pontoon, words: "web 198.51.100.10", passes: &passes };
        let strict = "sysctl -w net.ipv4.conf.all.rp_filter=1; ip route add 10.5.0.0/25 dev wg0";
        way.mends(&format!("{VPN} {strict}"), &["rp-filter", "route-elsewhere"]);
    }

    fn a_route_that_refuses_is_deleted(host: Host) {
        out("ip route add blackhole 198.51.100.0/24", &["route-refuses"])(host);
    }

    fn of_two_bridges_with_one_subnet_the_right_one_is_taken(host: Host) {
        into(
            "ip link add br2 type bridge; ip link set br2 up; ip address add 10.5.0.1/24 dev br2;
             ip route delete 10.5.0.0/24 dev blue0; ip route append 10.5.0.0/24 dev blue0 src 10.5.0.1",
            &["subnet-twice"],
        )(host);
    }

    fn a_small_mtu_on_the_way_is_noted_and_large_packets_pass_with_it(host: Host) {
        let pontoon = Pontoon::with_web_and_db(&host);
        host.sh("ip link set eth0 mtu 1400; ip -n router link set host mtu 1400");
        // Nobody hears that a packet was too large.
        host.sh("nft 'add table ip quiet; add chain ip quiet out { type filter hook output priority 0; }; \
                 add rule ip quiet out icmp type destination-unreachable drop'");
        let large = || host.try_sh_in("web", "ping -n -c 1 -W 1 -M do -s 1450 198.51.100.10").status.success();
        assert!(host.pings("web", "198.51.100.10") && !large());
        let (found, code) = super::explained(&pontoon, "web 198.51.100.10");
        assert_eq!((code, super::codes(&found)), (0, vec!["mtu-smaller", "mtu-smaller"]), "there and back: {found:#}");
        let findings = found["findings"].as_array().unwrap().iter();
        let fixes: Vec<String> =
            findings.map(|finding| finding["fix"][0].as_str().unwrap().to_owned()).collect();
        super::run_all(&host, &fixes);
        let fits = || host.try_sh_in("web", "ping -n -c 1 -W 1 -M dont -s 1450 198.51.100.10").status.success();
        assert!(fits(), "a datagram of that size goes in two parts");
        is_reachable(&pontoon, "web 198.51.100.10");
    }
}
