//! Two faults at once: both are told, and mended one after the other.

use pontoon_testkit::{Host, sandboxed};

use super::{Pontoon, codes, doctor, finds, is_healthy, list, out, shown, to_web, web_and_db};

const DROPS: &str = "nft 'add table inet theirs; add chain inet theirs forward { type filter hook forward priority 0; policy drop; }'";

/// Both are found; mended by `fix`, packets pass.
#[track_caller]
fn both(
    host: &Host,
    pontoon: &Pontoon<'_>,
    inject: [&str; 2],
    expected: [&str; 2],
    fix: &str,
    passes: impl Fn() -> bool,
) {
    is_healthy(pontoon);
    assert!(passes());
    inject.iter().for_each(|command| drop(host.sh(command)));
    assert!(!passes());
    let report = finds(pontoon, expected[0]);
    assert!(codes(&report).iter().any(|code| code == expected[1]), "not {}\n{}", expected[1], shown(pontoon));
    let before = shown(pontoon);
    let (report, _) = doctor(pontoon, &format!("{fix} --yes"));
    assert!(list(&report, "treated").len() >= 2, "{before}\n{report:#}");
    assert!((0..5).any(|_| passes()), "{before}\n{report:#}");
    is_healthy(pontoon);
}

sandboxed! {
    fn a_switch_and_a_firewall(host: Host) {
        let pontoon = web_and_db(&host);
        both(
            &host,
            &pontoon,
            ["sysctl -w net.ipv4.ip_forward=0", DROPS],
            ["forwarding-off", "firewall-drop"],
            "--fix --fix=firewall-drop@host",
            || out(&host),
        );
    }

    fn what_is_ours_is_mended_and_the_rest_stays(host: Host) {
        let pontoon = web_and_db(&host);
        host.sh(DROPS);
        host.sh("nft flush chain inet pontoon postrouting");
        let rules = host.sh("nft list table inet theirs");
        let report = finds(&pontoon, "rules-changed");
        let heads: Vec<_> = list(&report, "findings").iter().map(|one| one["code"].clone()).collect();
        assert_eq!(heads, ["firewall-drop", "rules-changed"], "{}", shown(&pontoon));
        let (report, exit) = doctor(&pontoon, "--fix --yes");
        assert!(exit == 1 && list(&report, "treated").iter().all(|one| one["outcome"] == "fixed"), "{report:#}");
        assert!(codes(&report) == ["firewall-drop"], "{}", shown(&pontoon));
        assert_eq!(host.sh("nft list table inet theirs"), rules);
        let (report, exit) = doctor(&pontoon, "--fix=firewall-drop --yes");
        assert!(exit == 0 && out(&host), "{report:#}");
    }

    fn a_route_and_a_neighbour(host: Host) {
        let pontoon = web_and_db(&host);
        both(
            &host,
            &pontoon,
            [
                "ip -n db route delete default",
                "ip -n db neighbour replace 10.5.0.2 lladdr 02:00:00:00:00:99 dev eth0 nud permanent",
            ],
            ["no-route", "neighbour-wrong"],
            "--fix",
            || host.pings("db", "198.51.100.10") && to_web(&host),
        );
    }

    fn a_bridge_and_a_vpn(host: Host) {
        let pontoon = web_and_db(&host);
        both(
            &host,
            &pontoon,
            [
                "ip address flush dev blue0",
                "ip link add wg0 type veth peer wg1; ip link set wg0 up; ip link set wg1 up; ip route add 10.5.0.0/25 dev wg0",
            ],
            ["bridge-without-address", "subnet-overlap"],
            "--fix --fix=route-elsewhere --fix=subnet-overlap",
            || out(&host),
        );
    }

    fn a_link_and_the_masquerade(host: Host) {
        let pontoon = web_and_db(&host);
        both(
            &host,
            &pontoon,
            ["ip -n web link set eth0 down", "nft flush set inet pontoon masquerade4"],
            ["link-down", "rules-changed"],
            "--fix",
            || out(&host),
        );
    }
}
