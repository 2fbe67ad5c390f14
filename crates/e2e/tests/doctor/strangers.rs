//! What Pontoon did not make.

use pontoon_e2e::Pontoon;
use pontoon_e2e::docker::Docker;
use pontoon_testkit::{Host, sandboxed};

use super::{codes, doctor, list, shown, uplink};

/// A bridge with two namespaces, wired by hand, that reach the outside.
fn by_hand(host: &Host) {
    host.sh("
        ip link add br0 type bridge
        ip address add 10.1.0.1/24 dev br0
        ip link set br0 up
        for number in 1 2; do
            ip netns add ns$number
            ip link add port$number type veth peer name eth0 netns ns$number
            ip link set port$number master br0 up
            ip -n ns$number link set lo up
            ip -n ns$number address add 10.1.0.1$number/24 dev eth0
            ip -n ns$number link set eth0 up
            ip -n ns$number route add default via 10.1.0.1
        done
        sysctl -w net.ipv4.ip_forward=1
        nft 'add table ip mine; add chain ip mine out { type nat hook postrouting priority srcnat; }'
        nft add rule ip mine out ip saddr 10.1.0.0/24 oifname eth0 masquerade
    ");
    host.wait_until("the first packet passes", || host.pings("ns1", "10.1.0.12"));
}

#[track_caller]
fn mends(host: &Host, inject: &str, code: &str, passes: impl Fn() -> bool) {
    let _names = uplink(host);
    by_hand(host);
    let pontoon = Pontoon::on(host);
    assert!(passes());
    let (report, exit) = doctor(&pontoon, "");
    assert!(exit == 0, "{}", shown(&pontoon));
    assert!(list(&report, "places").len() >= 3, "{report:#}");
    host.sh(inject);
    assert!(!passes());
    let (report, exit) = doctor(&pontoon, "");
    assert!(exit == 1 && codes(&report).iter().any(|found| found == code), "not {code}: {}", shown(&pontoon));
    // None of it is Pontoon's own.
    let (report, _) = doctor(&pontoon, "--fix --yes");
    assert!(list(&report, "treated").is_empty() && !passes(), "{report:#}");
    let (report, exit) = doctor(&pontoon, &format!("--fix={code} --yes"));
    assert!(exit == 0 && (0..5).any(|_| passes()), "{report:#}\n{}", shown(&pontoon));
}

sandboxed! {
    fn forwarding_is_off(host: Host) {
        mends(&host, "sysctl -w net.ipv4.ip_forward=0", "forwarding-off", || host.pings("ns1", "198.51.100.10"));
    }

    fn nothing_is_masqueraded(host: Host) {
        mends(&host, "nft flush chain ip mine out", "no-way-back", || host.pings("ns1", "198.51.100.10"));
    }

    fn ports_are_isolated(host: Host) {
        mends(
            &host,
            "bridge link set dev port1 isolated on; bridge link set dev port2 isolated on",
            "ports-isolated",
            || host.pings("ns1", "10.1.0.12"),
        );
    }

    fn the_router_is_nobody(host: Host) {
        mends(
            &host,
            "ip -n ns1 route replace default via 10.1.0.99",
            "gateway-missing",
            || host.pings("ns1", "198.51.100.10"),
        );
    }

    fn a_port_leads_to_nobody(host: Host) {
        let _names = uplink(&host);
        by_hand(&host);
        let pontoon = Pontoon::on(&host);
        host.sh("nft 'add chain ip mine in { type nat hook prerouting priority dstnat; }'");
        host.sh("nft add rule ip mine in tcp dport 8080 dnat to 10.1.0.12:80");
        assert_eq!(doctor(&pontoon, "").1, 0, "{}", shown(&pontoon));
        host.sh("nft add rule ip mine in tcp dport 8081 dnat to 10.1.0.77:80");
        let (report, exit) = doctor(&pontoon, "");
        assert!(exit == 1 && codes(&report) == ["port-without-target"], "{}", shown(&pontoon));
        let (report, exit) = doctor(&pontoon, "--fix=port-without-target@host --yes");
        let rules = host.sh("nft list chain ip mine in");
        assert!(exit == 0 && rules.contains("8080") && !rules.contains("8081"), "{report:#}\n{rules}");
    }

    fn a_namespace_without_a_way_out_is_asked_about_by_name(host: Host) {
        let _names = uplink(&host);
        by_hand(&host);
        let pontoon = Pontoon::on(&host);
        host.sh("ip -n ns1 route delete default");
        assert_eq!(doctor(&pontoon, "").1, 0, "a namespace may have no way out: {}", shown(&pontoon));
        let (report, exit) = doctor(&pontoon, "netns:ns1");
        assert!(exit == 1 && codes(&report) == ["no-route"], "{report:#}");
        assert_eq!(doctor(&pontoon, "netns:ns2").1, 0);
        let (report, exit) = doctor(&pontoon, "--fix=no-route --yes netns:ns1");
        assert!(exit == 0 && host.pings("ns1", "198.51.100.10"), "{report:#}");
    }

    fn a_container_of_dockers_is_asked_about_by_its_name(host: Host) {
        let _names = uplink(&host);
        let docker = Docker::start(&host);
        let (place, _) = docker.run("--name shop");
        let pontoon = Pontoon::on(&host);
        let passes = || host.pings(&place, "198.51.100.10");
        assert!(passes());
        let (report, exit) = doctor(&pontoon, "docker:shop");
        assert!(exit == 0, "{report:#}");
        host.sh("iptables -t nat -F POSTROUTING");
        assert!(!passes());
        let (report, exit) = doctor(&pontoon, "docker:shop");
        assert!(exit == 1 && codes(&report) == ["no-way-back"], "{report:#}");
        assert_eq!(report["findings"][0]["affected"][0], "docker:shop");
        let (report, exit) = doctor(&pontoon, "--fix=no-way-back@host --yes docker:shop");
        assert!(exit == 0 && passes(), "{report:#}");
    }

    fn names_that_others_give_are_no_commands(host: Host) {
        by_hand(&host);
        let pontoon = Pontoon::on(&host);
        // Whoever is root in a container calls its interfaces what he likes.
        host.sh("ip -n ns1 link set dev eth0 down && ip -n ns1 link set dev eth0 name 'a;touch${IFS}q' && ip -n ns1 link set dev 'a;touch${IFS}q' up && ip -n ns1 link set dev 'a;touch${IFS}q' down");
        let explained = pontoon.attempt("explain netns:ns2 netns:ns1");
        let told = String::from_utf8_lossy(&explained.stdout).into_owned();
        assert!(told.contains("dev 'a;touch${IFS}q'"), "{told}");
        let program = pontoon_e2e::program();
        host.sh("mkdir -p /run/here");
        host.try_sh(&format!("cd /run/here && {} doctor --fix=link-down --yes netns:ns1 netns:ns2", program.display()));
        assert!(host.sh("ip -n ns1 -o link").contains("a;touch${IFS}q@"), "it is there");
        assert!(host.sh("ip -n ns1 -o link show dev 'a;touch${IFS}q'").contains(",UP"), "it was mended");
        assert_eq!(host.sh("ls /run/here"), "");
    }
}
