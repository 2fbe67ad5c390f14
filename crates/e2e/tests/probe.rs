//! What a real packet meets: said as it is, beside what was said before; and nothing is left of it.

use pontoon_e2e::{Pontoon, eventually, program};
use pontoon_testkit::{Host, sandboxed};
use serde_json::Value;

/// What was found, and the exit code.
#[track_caller]
fn probed(pontoon: &Pontoon<'_>, words: &str) -> (Value, i32) {
    let output = pontoon.attempt(&format!("explain --probe --format json {words}"));
    let said = String::from_utf8_lossy(&output.stderr);
    let found = serde_json::from_slice(&output.stdout);
    (found.unwrap_or_else(|error| panic!("{words}: {error}\n{said}")), output.status.code().unwrap())
}

fn shown(pontoon: &Pontoon<'_>, words: &str) -> String {
    String::from_utf8_lossy(&pontoon.attempt(&format!("explain --probe -v {words}")).stdout).into_owned()
}

/// Whatever was found: that it is as was said, and the exit code.
#[track_caller]
fn agrees(pontoon: &Pontoon<'_>, words: &str, code: i32) -> Value {
    let (found, exit) = probed(pontoon, words);
    let probe = &found["probe"];
    assert!(
        exit == code && probe["disagreements"] == serde_json::json!([]),
        "{words}: {exit}, {probe:#}\n{}",
        shown(pontoon, words)
    );
    found
}

/// All rules of all namespaces with their numbers; not what packets leave in sets.
fn rules(host: &Host) -> String {
    let places = ["host", "web", "db", "router", "outside"];
    places
        .iter()
        .map(|place| host.sh_in(place, "nft -a -s -t list ruleset"))
        .collect::<Vec<_>>()
        .join("\n----\n")
}

#[track_caller]
fn nothing_is_left(host: &Host, before: &str) {
    eventually("the tables of probes are gone", || rules(host) == before);
}

sandboxed! {
    fn what_is_answered_is_said_to_be(host: Host) {
        let pontoon = Pontoon::with_web_and_db(&host);
        let _server = host.serve("web", 80, "web");
        let _datagrams = host.serve_udp("web", 53, "web");
        let before = rules(&host);
        for (words, kind) in [
            ("web db", "echo-reply"),
            ("db web:80", "accepted"),
            ("db web:53/udp", "datagram"),
            ("host web:80", "accepted"),
            ("web 198.51.100.10", "echo-reply"),
            // Through translation of the destination, of the source, and of both.
            ("198.51.100.10 192.0.2.2:8080", "accepted"),
            ("db 10.5.0.1:8080", "accepted"),
            ("host 127.0.0.1:8080", "accepted"),
        ] {
            let found = agrees(&pontoon, words, 0);
            assert_eq!(found["probe"]["answer"]["kind"], kind, "{words}");
            let seen = found["probe"]["hops"].as_array().unwrap();
            assert_eq!(seen.len(), found["hops"].as_array().unwrap().len(), "{words}");
            assert!(seen.iter().all(|mark| mark == "passed"), "{words}: {seen:?}");
            assert!(found["probe"]["steps"].as_array().unwrap().iter().all(|step| step["verdict"] == "passed"));
        }
        assert_eq!(rules(&host), before);
        assert_eq!(agrees(&pontoon, "db web:81", 1)["probe"]["answer"]["kind"], "refused");
        assert_eq!(agrees(&pontoon, "db web:54/udp", 1)["probe"]["answer"]["text"], "port unreachable");
        // Nobody is at the address that stands for all that is outside, and nobody can be expected to answer.
        let outside = agrees(&pontoon, "web outside", 2);
        assert_eq!(outside["verdict"], "reachable");
        let hidden = agrees(&pontoon, "198.51.100.10 192.0.2.2:8081", 1);
        assert_eq!(hidden["probe"]["answer"]["kind"], "refused");
        assert_eq!(rules(&host), before);
        // Connection tracking remembers none of these either: an echo is forgotten by itself.
        let connections = host.sh("cat /proc/net/nf_conntrack 2>/dev/null || true");
        assert!(!connections.contains("dport=8080"), "{connections}");
    }

    fn the_rule_that_drops_it_is_told_by_table_chain_and_handle(host: Host) {
        let pontoon = Pontoon::with_web_and_db(&host);
        host.sh(
            "nft add table ip fw; nft add chain ip fw guard '{ type filter hook forward priority 5; }'; \
             nft add chain ip fw deep; nft add rule ip fw guard ip daddr 198.51.100.0/24 jump deep; \
             nft add rule ip fw deep ip protocol icmp counter; nft add rule ip fw deep ip protocol icmp drop",
        );
        let listed = host.sh("nft -a list chain ip fw deep");
        let line = listed.lines().find(|line| line.contains("drop")).unwrap();
        let handle: u64 = line.rsplit(' ').next().unwrap().parse().unwrap();
        let found = agrees(&pontoon, "web 198.51.100.10", 1);
        let steps = found["probe"]["steps"].as_array().unwrap();
        let dropped = steps.iter().find(|step| step["verdict"] == "dropped").unwrap();
        let hit = dropped["hits"].as_array().unwrap().last().unwrap();
        assert_eq!((dropped["place"].as_str(), dropped["hook"].as_str()), (Some("host"), Some("forward")));
        assert_eq!((hit["table"].as_str(), hit["chain"].as_str()), (Some("ip fw"), Some("deep")));
        assert_eq!(hit["handle"], handle);
        assert_eq!(hit["rule"], "ip protocol icmp drop");
        let text = shown(&pontoon, "web 198.51.100.10");
        assert!(text.contains(&format!("table ip fw, chain deep, handle {handle}: ip protocol icmp drop")) ||
            text.replace("\n  ", " ").contains(&format!("handle {handle}: ip protocol icmp drop")), "{text}");
        // A policy, on the way back.
        host.sh("nft delete table ip fw; nft add table inet fw; \
            nft add chain inet fw in '{ type filter hook input priority 5; policy drop; }'; \
            nft add rule inet fw in iifname blue0 icmp type echo-request accept");
        let found = agrees(&pontoon, "host web", 1);
        let step = found["probe"]["steps"].as_array().unwrap().iter().find(|step| step["verdict"] == "dropped").unwrap();
        assert_eq!((step["way"].as_str(), step["hook"].as_str()), (Some("back"), Some("input")));
        assert_eq!(step["hits"].as_array().unwrap().last().unwrap()["handle"], Value::Null);
        // Refused by a rule in the name of the one who was asked.
        host.sh("nft delete table inet fw; nft add table inet fw; \
            nft add chain inet fw way '{ type filter hook forward priority 5; }'; \
            nft add rule inet fw way tcp dport 443 reject with tcp reset");
        let _server = host.serve("outside", 443, "outside");
        let found = agrees(&pontoon, "web 198.51.100.10:443", 1);
        assert_eq!(found["probe"]["answer"]["kind"], "refused");
        assert!(found["probe"]["sentence"].as_str().unwrap().contains("table inet fw, chain way"));
    }

    fn what_vanishes_without_a_rule_is_said_where(host: Host) {
        let pontoon = Pontoon::with_web_and_db(&host);
        // No way back: the next router does not know the network.
        host.sh("nft add table inet spoil; nft add chain inet spoil post '{ type filter hook postrouting priority 300; }'");
        host.sh_in("outside", "ip route add blackhole 192.0.2.2/32");
        let found = agrees(&pontoon, "web 198.51.100.10", 1);
        assert_eq!(found["probe"]["answer"]["kind"], "nothing");
        assert!(found["probe"]["sentence"].as_str().unwrap().contains("outside"), "{}", found["probe"]["sentence"]);
        host.sh_in("outside", "ip route del blackhole 192.0.2.2/32");
        // Nothing leaves: no route.
        host.sh_in("web", "ip route del default");
        let found = agrees(&pontoon, "web 198.51.100.10", 1);
        assert_eq!(found["probe"]["answer"]["kind"], "not-sent");
        host.sh_in("web", "ip route add default via 10.5.0.1");
        // Not passed on.
        host.sh("sysctl -qw net.ipv4.conf.blue0.forwarding=0");
        let found = agrees(&pontoon, "web 198.51.100.10", 1);
        assert_eq!(found["verdict"], "unreachable");
    }

    fn what_was_said_and_is_not_so_is_said_loudly(host: Host) {
        let pontoon = Pontoon::with_web_and_db(&host);
        // How many routers may pass packets on is nothing that is looked at.
        host.sh_in("web", "sysctl -qw net.ipv4.ip_default_ttl=1");
        let words = "web 198.51.100.10";
        let (found, exit) = probed(&pontoon, words);
        assert_eq!(found["probe"]["answer"]["text"], "too many routers on the way");
        assert_eq!((exit, found["verdict"].as_str()), (1, Some("reachable")));
        assert_eq!(found["probe"]["disagreements"].as_array().unwrap().len(), 1, "{found:#}");
        let text = shown(&pontoon, words);
        assert!(text.contains("NOT AS WAS SAID") && text.contains("--probe --save host.json"), "{text}");
    }

    fn nothing_is_left_of_one_that_is_cut_off(host: Host) {
        let pontoon = Pontoon::with_web_and_db(&host);
        let before = rules(&host);
        // Nobody has them, which takes three seconds to find out.
        for (signal, nobody) in [("INT", "10.5.0.77"), ("TERM", "10.5.0.78"), ("KILL", "10.5.0.79")] {
            let mut child = pontoon.start(&format!("explain --probe web {nobody}"));
            eventually("the packet is followed", || rules(&host).contains("pontoon_probe_"));
            host.sh(&format!("kill -{signal} {}", child.id()));
            let status = child.wait().unwrap();
            if signal == "KILL" {
                nothing_is_left(&host, &before);
            } else {
                let number = if signal == "INT" { 130 } else { 143 };
                assert_eq!(status.code(), Some(number), "{signal}");
                assert_eq!(rules(&host), before, "{signal}");
            }
        }
    }

    fn fifty_at_once_do_not_disturb_each_other(host: Host) {
        let pontoon = Pontoon::with_web_and_db(&host);
        let _server = host.serve("web", 80, "web");
        let before = rules(&host);
        let words = ["web db", "db web:80", "db web:81", "198.51.100.10 192.0.2.2:8080", "web 198.51.100.10"];
        let children: Vec<_> = (0..50)
            .map(|index| {
                let words = words[index % words.len()];
                let mut command = pontoon.command(&format!("explain --probe --format json {words}"));
                command.stdout(std::process::Stdio::piped());
                (words, command.spawn().unwrap())
            })
            .collect();
        for (words, child) in children {
            let output = child.wait_with_output().unwrap();
            let found: Value = serde_json::from_slice(&output.stdout).unwrap();
            let expected = if words.ends_with(":81") { 1 } else { 0 };
            assert_eq!(output.status.code(), Some(expected), "{words}: {found:#}");
            assert_eq!(found["probe"]["disagreements"], serde_json::json!([]), "{words}: {found:#}");
        }
        assert_eq!(rules(&host), before);
    }

    fn who_is_not_here_cannot_send(host: Host) {
        let pontoon = Pontoon::with_web_and_db(&host);
        let (code, said) = pontoon.fail("explain --probe outside web:80");
        assert_eq!(code, 2);
        assert!(said.contains("nothing can be sent from") && said.contains("hint: leave --probe out"), "{said}");
        let (_, said) = pontoon.fail("explain --probe --from /nowhere web db");
        assert!(said.contains("cannot be used with"), "{said}");
    }

    fn whoever_may_not_look_is_told_what_it_takes(host: Host) {
        let _pontoon = Pontoon::with_web_and_db(&host);
        host.need("setpriv");
        let none = "setpriv --bounding-set -all --inh-caps -all --reuid 1 --regid 1 --clear-groups";
        host.sh("chmod -R a+rX /run/pontoon /var/lib/pontoon");
        for (words, code) in [("explain web db", 2), ("explain web db --probe", 2), ("doctor", 1), ("reach", 1), ("route db --in web", 1)] {
            let said = host.try_sh(&format!("{none} {} {words}", program().display()));
            let text = String::from_utf8_lossy(&said.stderr);
            assert_eq!(said.status.code(), Some(code), "{words}: {text}");
            assert!(text.contains("CAP_SYS_ADMIN") && text.contains("hint: "), "{words}: {text}");
        }
    }
}
