//! Translation and everything that rules may ask: what is said of a port is what a connection to it meets.

use pontoon_e2e::Pontoon;
use pontoon_testkit::{Host, sandboxed};

use super::{explained, shown};

/// A connection from a place to an address comes about if and only if it is said to; which of both is expected.
#[track_caller]
fn agrees(host: &Host, pontoon: &Pontoon<'_>, from: &str, to: &str, expected: bool) {
    let real = host.fetch(from, to).is_ok();
    let words = format!("{} {to}", if from == "outside" { "198.51.100.10" } else { from });
    let (found, _) = explained(pontoon, &words);
    let said = found["verdict"].as_str().unwrap();
    let right = if real { "reachable" } else { "unreachable" };
    assert!(
        real == expected && said == right,
        "{words}: it is {real}, expected {expected}\n{}",
        shown(pontoon, &words)
    );
}

const DOCKER: &str = "
    iptables{} -t nat -N DOCKER
    iptables{} -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
    iptables{} -t nat -A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
    iptables{} -t nat -A DOCKER ! -i nowhere -p tcp -m tcp --dport 9000 -m comment --comment web -j DNAT --to-destination 10.5.0.2:80
    iptables{} -t nat -A DOCKER -p tcp -m multiport --dports 9001,9010:9012 -j DNAT --to-destination 10.5.0.2:80
    iptables{} -t nat -A POSTROUTING -s 10.5.0.2/32 -d 10.5.0.2/32 -p tcp -m tcp --dport 80 -j MASQUERADE
    iptables{} -t nat -A PREROUTING -p tcp --dport 9003 -j REDIRECT --to-ports 9004
    iptables{} -t mangle -A PREROUTING -p tcp --dport 9012 -m conntrack --ctstate NEW -j MARK --set-mark 0x5
    iptables{} -A FORWARD -m mark --mark 0x5 -j REJECT
    iptables{} -A FORWARD -p tcp --syn -m conntrack --ctstate NEW --ctorigdstport 9011 -j DROP
";

fn docker(host: &Host, suffix: &str) {
    let pontoon = Pontoon::with_web_and_db(host);
    host.sh(&DOCKER.replace("{}", suffix));
    let (_web, _host) = (host.serve("web", 80, "web"), host.serve("host", 9004, "host"));
    for (port, passes) in
        [(9000, true), (9001, true), (9002, false), (9003, true), (9010, true), (9012, false)]
    {
        agrees(host, &pontoon, "outside", &format!("192.0.2.2:{port}"), passes);
    }
    for from in ["host", "db", "web"] {
        agrees(host, &pontoon, from, "192.0.2.2:9000", true);
    }
    agrees(host, &pontoon, "db", "10.5.0.1:9003", true);
    agrees(host, &pontoon, "host", "192.0.2.2:9003", false);
}

sandboxed! {
    fn what_iptables_translates_and_matches(host: Host) {
        docker(&host, "");
    }

    fn what_iptables_legacy_translates_and_matches(host: Host) {
        host.need("iptables-legacy");
        docker(&host, "-legacy");
    }

    fn sets_maps_and_verdict_maps(host: Host) {
        let pontoon = Pontoon::with_web_and_db(&host);
        host.sh("nft -f - <<'END'
table inet theirs {
    set friends { type ipv4_addr; flags interval; elements = { 198.51.100.0/28, 203.0.113.7 } }
    set pairs { type ipv4_addr . inet_service; flags interval; elements = { 10.5.0.2 . 80-81, 10.5.0.3 . 90 } }
    set seen { type ipv4_addr; flags dynamic,timeout; timeout 1m; elements = { 10.5.0.3 } }
    map targets { type inet_service : ipv4_addr . inet_service; elements = { 9000 : 10.5.0.2 . 80, 9001 : 10.5.0.3 . 80 } }
    map fates { type inet_service : verdict; flags interval; elements = { 80 : jump web, 81-89 : drop, 90 : accept } }
    chain web { ip saddr @friends return; ip saddr 10.5.0.0/24 accept; drop; }
    chain pre { type nat hook prerouting priority dstnat; dnat ip to tcp dport map @targets; }
    chain forward {
        type filter hook forward priority 10; policy accept;
        ct state vmap { established : accept, related : accept, invalid : drop }
        ip daddr . tcp dport @pairs tcp dport vmap @fates
        meta l4proto tcp ip daddr 10.5.0.3 ct original proto-dst 9001 counter reject with tcp reset
        tcp flags & (syn | ack) == syn ip saddr @seen ip daddr 198.51.100.10 tcp dport { 444, 446-448 } drop
        meta iifname . meta oifname { \"blue0\" . \"eth0\" } tcp dport != { 443, 445 } drop
    }
}
END");
        let (_web, _db) = (host.serve("web", 80, "web"), host.serve("db", 80, "db"));
        let _outside: Vec<_> = [443, 444, 445, 446].map(|port| host.serve("outside", port, "outside")).into();
        agrees(&host, &pontoon, "outside", "192.0.2.2:9000", true);
        agrees(&host, &pontoon, "outside", "192.0.2.2:9001", false);
        agrees(&host, &pontoon, "outside", "192.0.2.2:9002", false);
        for (from, port, passes) in
            [("web", 443, true), ("web", 445, true), ("web", 444, false), ("web", 446, false), ("db", 443, true), ("db", 444, false)]
        {
            agrees(&host, &pontoon, from, &format!("198.51.100.10:{port}"), passes);
        }
        host.sh("nft delete element inet theirs friends '{ 198.51.100.0/28 }'");
        agrees(&host, &pontoon, "outside", "192.0.2.2:9000", false);
    }

    fn marks_routes_and_where_a_packet_came_from(host: Host) {
        let pontoon = Pontoon::with_web_and_db(&host);
        host.sh("nft -f - <<'END'
table ip theirs {
    chain raw {
        type filter hook prerouting priority raw;
        fib saddr . iif oif missing drop
        fib daddr type broadcast drop
        tcp dport 445 notrack
    }
    chain mangle {
        type filter hook prerouting priority mangle;
        tcp dport 444 meta mark set 0x7
        tcp dport 446 ct mark set 0x9
        tcp dport 447 meta mark set meta mark | 0x10
    }
    chain out { type route hook output priority mangle; tcp dport 444 meta mark set 0x7; }
    chain forward {
        type filter hook forward priority 0;
        ct mark 0x9 drop
        ct state untracked drop
        meta mark & 0xf0 == 0x20 drop
    }
}
END
        ip route add blackhole default table 7; ip rule add fwmark 7 lookup 7");
        let _outside: Vec<_> = [443, 444, 445, 446].map(|port| host.serve("outside", port, "outside")).into();
        for (port, passes) in [(443, true), (444, false), (445, false), (446, false)] {
            agrees(&host, &pontoon, "web", &format!("198.51.100.10:{port}"), passes);
        }
        agrees(&host, &pontoon, "host", "198.51.100.10:443", true);
        agrees(&host, &pontoon, "host", "198.51.100.10:444", false);
    }

    fn what_goes_by_a_device_is_seen_there(host: Host) {
        let pontoon = Pontoon::with_web_and_db(&host);
        let _outside: Vec<_> = [443, 444, 445].map(|port| host.serve("outside", port, "outside")).into();
        host.sh("nft 'add table netdev theirs;
            add chain netdev theirs in { type filter hook ingress device blue0 priority 0; };
            add rule netdev theirs in tcp dport 444 drop;
            add chain netdev theirs out { type filter hook egress device eth0 priority 0; };
            add rule netdev theirs out tcp dport 445 drop'");
        for (port, passes) in [(443, true), (444, false), (445, false)] {
            agrees(&host, &pontoon, "web", &format!("198.51.100.10:{port}"), passes);
        }
    }

    fn translations_by_hand_to_one_of_several_are_not_guessed(host: Host) {
        let pontoon = Pontoon::with_web_and_db(&host);
        host.sh("nft 'add table ip theirs; add chain ip theirs pre { type nat hook prerouting priority dstnat; };
            add rule ip theirs pre tcp dport 9000 dnat to numgen inc mod 2 map { 0 : 10.5.0.2, 1 : 10.5.0.3 }'");
        let (found, code) = explained(&pontoon, "198.51.100.10 192.0.2.2:9000");
        assert_eq!(code, 2, "{found:#}");
    }

    fn ports_of_udp_are_translated_and_answered(host: Host) {
        let pontoon = Pontoon::with_web_and_db(&host);
        pontoon.run("publish web 5353:53/udp");
        let _names = host.serve_udp("web", 53, "names");
        for (from, to) in [("outside", "192.0.2.2"), ("db", "10.5.0.1"), ("host", "127.0.0.1"), ("web", "10.5.0.1")] {
            assert!(host.ask_udp(from, &format!("{to}:5353")).is_ok(), "{from}");
            super::is_reachable(&pontoon, &format!("{} {to}:5353/udp", if from == "outside" { "198.51.100.10" } else { from }));
        }
    }

    fn ports_of_ipv6_are_published_and_masqueraded(host: Host) {
        host.uplink();
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create --ipv6 --subnet 10.5.0.0/24 --subnet fd05::/64 -o com.docker.network.bridge.name=blue0 -o pontoon.dns=false blue");
        pontoon.run("run -d --name web --network blue:ip=10.5.0.2 -p 8080:80 -- sleep 1000");
        let _server = host.serve("web", 80, "web");
        let _outside = host.serve("outside", 443, "outside");
        assert!(host.fetch("outside", "[2001:db8:1::2]:8080").is_ok());
        super::is_reachable(&pontoon, "2001:db8:2::10 [2001:db8:1::2]:8080");
        assert!(host.fetch("web", "[2001:db8:2::10]:443").is_ok());
        super::is_reachable(&pontoon, "web [2001:db8:2::10]:443");
        assert!(host.pings("web", "2001:db8:2::10"));
        super::is_reachable(&pontoon, "web 2001:db8:2::10");
        host.sh("sysctl -w net.ipv6.conf.all.forwarding=0");
        assert!(!host.pings("web", "2001:db8:2::10"));
        super::blocked(&pontoon, "web 2001:db8:2::10", "forwarding-off");
    }
}
