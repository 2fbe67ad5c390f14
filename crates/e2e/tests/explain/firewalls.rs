//! Everybody's rules, wherever they are.

use pontoon_e2e::Pontoon;
use pontoon_testkit::sandboxed;

use super::{Way, blocked, explained, is_reachable, out, shown, within};

sandboxed! {
    fn a_policy_of_drop_gets_the_accept_that_is_missing(host: Host) {
        out(
            "nft 'add table inet theirs; add chain inet theirs forward { type filter hook forward priority 0; policy drop; }'",
            &["firewall-drop"],
        )(host);
    }

    fn a_rule_is_quoted_by_table_chain_and_handle(host: Host) {
        let pontoon = Pontoon::with_web_and_db(&host);
        host.sh("nft 'add table ip theirs; add chain ip theirs forward { type filter hook forward priority 0; };
            add chain ip theirs bad; add rule ip theirs forward ip saddr 10.5.0.0/24 jump bad;
            add rule ip theirs bad icmp type echo-request counter drop'");
        let (found, _) = explained(&pontoon, "web 198.51.100.10");
        let sentence = found["findings"][0]["sentence"].as_str().unwrap();
        let handle = host.sh("nft -a list chain ip theirs bad").lines().find_map(|line| {
            Some(line.split_once("drop # handle ")?.1.trim().to_owned())
        });
        let quoted = format!("table ip theirs, chain bad, handle {}: icmp type echo-request counter", handle.unwrap());
        assert!(sentence.contains(&quoted), "{sentence}");
    }

    fn iptables_legacy_is_seen_though_nft_does_not_list_it(host: Host) {
        host.need("iptables-legacy");
        out("iptables-legacy -P FORWARD DROP", &["firewall-drop"])(host);
    }

    fn frames_on_a_bridge_meet_rules_for_ip_where_it_calls_iptables(host: Host) {
        let pontoon = Pontoon::with_web_and_db(&host);
        host.sh("sysctl -w net.bridge.bridge-nf-call-iptables=1");
        let passes = || host.pings("db", "10.5.0.2");
        let way = Way { host: &host, pontoon: &pontoon, words: "db web", passes: &passes };
        let drop = "nft 'add table inet theirs; add chain inet theirs forward { type filter hook forward priority 0; policy drop; }'";
        way.mends(drop, &["firewall-drop"]);
        // The same without the switch needs no rule.
        host.sh("sysctl -w net.bridge.bridge-nf-call-iptables=0; nft flush chain inet theirs forward");
        assert!(passes());
        is_reachable(&pontoon, "db web");
    }

    fn rules_for_frames_are_seen(host: Host) {
        within(
            "nft 'add table bridge theirs; add chain bridge theirs forward { type filter hook forward priority 0; };
                  add rule bridge theirs forward ip protocol icmp drop'",
            &["firewall-drop"],
        )(host);
    }

    fn rules_in_the_container_itself_are_seen(host: Host) {
        within(
            "ip netns exec web nft 'add table inet own;
                add chain inet own input { type filter hook input priority 0; policy drop; }'",
            &["firewall-drop"],
        )(host);
    }

    fn a_rule_for_the_answer_is_found_on_the_way_back(host: Host) {
        let pontoon = Pontoon::with_web_and_db(&host);
        let passes = || host.pings("web", "198.51.100.10");
        let way = Way { host: &host, pontoon: &pontoon, words: "web 198.51.100.10", passes: &passes };
        let drop = "nft 'add table inet theirs; add chain inet theirs forward { type filter hook forward priority 0; };
            add rule inet theirs forward iifname eth0 drop'";
        way.mends(drop, &["firewall-drop"]);
    }

    fn names_are_asked_for_through_the_hosts_own_firewall(host: Host) {
        host.uplink();
        let pontoon = pontoon_e2e::Pontoon::on(&host);
        pontoon.run("network create --subnet 10.5.0.0/24 -o com.docker.network.bridge.name=blue0 -o pontoon.dns=false blue");
        pontoon.run("run -d --name web --network blue:ip=10.5.0.2 -- sleep 1000");
        let _names = host.serve_udp("host", 53, "names");
        let passes = || host.ask_udp("web", "10.5.0.1:53").is_ok();
        let way = Way { host: &host, pontoon: &pontoon, words: "web 10.5.0.1:53/udp", passes: &passes };
        let drop = "nft 'add table inet theirs; add chain inet theirs input { type filter hook input priority 0; policy drop; }'";
        way.mends(drop, &["firewall-drop"]);
    }

    fn what_cannot_be_evaluated_is_not_known_and_quoted(host: Host) {
        let pontoon = Pontoon::with_web_and_db(&host);
        host.sh("nft 'add table inet theirs; add chain inet theirs forward { type filter hook forward priority 0; };
            add rule inet theirs forward ip protocol icmp limit rate over 1/hour drop'");
        let (found, code) = explained(&pontoon, "web 198.51.100.10");
        assert_eq!((code, super::codes(&found)), (2, vec!["firewall-unknown"]), "{}", shown(&pontoon, "web 198.51.100.10"));
        let sentence = found["findings"][0]["sentence"].as_str().unwrap();
        assert!(sentence.contains("limit rate over 1/hour"), "{sentence}");
    }

    fn what_an_internal_network_is_for_is_said(host: Host) {
        let pontoon = Pontoon::with_web_and_db(&host);
        pontoon.run("network create --internal --subnet 10.6.0.0/24 -o pontoon.dns=false inner");
        pontoon.run("run -d --name in --network inner:ip=10.6.0.2 -- sleep 1000");
        assert!(!host.pings("in", "10.5.0.2"));
        blocked(&pontoon, "in web", "no-route");
    }

    fn networks_do_not_reach_each_other_and_how_they_would_is_said(host: Host) {
        let pontoon = Pontoon::with_web_and_db(&host);
        pontoon.run("network create --subnet 10.6.0.0/24 -o pontoon.dns=false green");
        pontoon.run("run -d --name far --network green:ip=10.6.0.2 -- sleep 1000");
        assert!(!host.pings("far", "10.5.0.2"));
        blocked(&pontoon, "far web", "firewall-drop");
        assert!(shown(&pontoon, "far web").contains("pontoon network connect blue"), "{}", shown(&pontoon, "far web"));
    }
}
