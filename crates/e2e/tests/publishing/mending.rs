//! What becomes of published ports, and of the administrator's own rules, when somebody else's hands are in the ruleset.

use std::io::ErrorKind;

use pontoon_e2e::Pontoon;
use pontoon_testkit::{Host, sandboxed};

use crate::{HOST4, connects, published, seen};

/// Runs it and returns what it warns of.
#[track_caller]
fn warned(pontoon: &Pontoon<'_>, words: &str) -> String {
    let output = pontoon.attempt(words);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{words}:\n{errors}");
    errors
}

/// The administrator's rules.
fn own_rules(host: &Host) -> String {
    host.sh("nft list chain inet pontoon user-forward; nft list chain inet pontoon user-input")
}

sandboxed! {
    fn rules_that_were_flushed_come_back_with_the_published_ports(host: Host) {
        host.uplink();
        host.sh("ip netns add theirs; ip -n theirs link set lo up");
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create --ipv6 blue");
        pontoon.run("network create red");
        pontoon.run("run -d --name web --network blue -p 8080:80 -p 127.0.0.1:9000-9002:90-92 -p 53:53/udp -- sleep 100");
        pontoon.run("run -d --name other --network red -p 7070:70 -- sleep 100");
        let web = host.serve("web", 80, "hello");
        // But for what packets make.
        let listed = |host: &Host| {
            let rules = host.sh("nft --stateless list table inet pontoon");
            let lines = rules.lines().filter(|line| !line.contains(" counter }"));
            lines.map(|line| format!("{line}\n")).collect::<String>()
        };
        let (rules, ports) = (listed(&host), published(&host));
        for (mend, undo) in [
            ("run -d --name more --network blue -- sleep 100", "rm -f more"),
            ("run -d --name more --network blue -p 6000:60 -- sleep 100", "rm -f more"),
            ("network connect blue netns:theirs", "network disconnect blue netns:theirs"),
            ("publish other 6000:60", "unpublish other 6000"),
            ("network create green", "network rm green"),
            ("restore", ""),
        ] {
            host.sh("nft flush ruleset");
            assert_eq!(host.fetch("outside", "192.0.2.2:8080").unwrap_err().kind(), ErrorKind::ConnectionRefused);
            warned(&pontoon, mend);
            seen(&host, "outside", "192.0.2.2:8080");
            if !undo.is_empty() {
                pontoon.run(undo);
            }
            assert_eq!(published(&host), ports, "{mend}");
            assert_eq!(listed(&host), rules, "{mend}");
        }
        drop(web);
        // What takes away is content when it is gone already.
        host.sh("nft flush ruleset");
        pontoon.run("unpublish web 9001");
        host.sh("nft flush ruleset");
        assert!(warned(&pontoon, "network disconnect red other").contains("lead nowhere"));
        pontoon.run("unpublish other 7070");
        host.sh("nft flush ruleset");
        pontoon.run("stop -t 0 web");
        pontoon.run("rm -f other web");
        host.sh("nft flush ruleset");
        pontoon.run("network rm blue red");
        assert_eq!(host.sh("nft list ruleset"), "");
        pontoon.run("run -d --name again -p 8080:80 -p 9001:80 -p 7070:80 -- sleep 100");
        assert_eq!(published(&host).matches("any4").count(), 3);
    }

    fn the_administrators_own_rules_take_effect_and_stay(host: Host) {
        host.uplink();
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create --subnet 10.50.0.0/24 blue");
        pontoon.run("run -d --name web --network blue -p 8080:80 -p 8081:81 -- sleep 100");
        let (web, more, hosts) = (host.serve("web", 80, "hello"), host.serve("web", 81, "more"), host.serve("host", 7000, "host"));
        let far = host.serve("outside", 80, "far");
        // By the container's port, or by the host's that was asked for.
        host.sh("nft add rule inet pontoon user-forward ip saddr 198.51.100.10 tcp dport 80 drop");
        host.sh("nft add rule inet pontoon user-forward ip saddr 192.0.2.1 meta l4proto tcp ct original proto-dst 8081 drop");
        host.sh("nft add rule inet pontoon user-forward ct state new ip daddr 198.51.100.10 reject");
        host.sh("nft add rule inet pontoon user-input iifname != lo tcp dport 7000 drop");
        let rules = own_rules(&host);
        let in_effect = || {
            assert!(!connects(&host, "outside", "192.0.2.2:8080"));
            seen(&host, "outside", "192.0.2.2:8081");
            seen(&host, "router", "192.0.2.2:8080");
            assert!(!connects(&host, "router", "192.0.2.2:8081"));
            assert!(!connects(&host, "web", "198.51.100.10:80"));
            assert!(!connects(&host, "router", "192.0.2.2:7000"));
            assert!(!connects(&host, "web", "10.50.0.1:7000"));
            seen(&host, "host", "127.0.0.1:7000");
            assert_eq!(own_rules(&host), rules);
        };
        in_effect();
        pontoon.run("network create red");
        pontoon.run("run -d --name other --network red -p 9090:90 -- sleep 100");
        pontoon.run("publish other 9091:91");
        pontoon.run("unpublish other 9090");
        pontoon.run("rm -f other");
        pontoon.run("network rm red");
        pontoon.run("restore");
        in_effect();
        drop((web, more, hosts, far));
    }

    fn the_administrators_own_rules_outlive_the_last_network(host: Host) {
        host.uplink();
        let pontoon = Pontoon::on(&host);
        for remove in ["network rm blue", "network prune -f", "system prune -f"] {
            pontoon.run("network create blue");
            host.sh("nft add rule inet pontoon user-forward ip saddr 198.51.100.10 drop");
            let rules = own_rules(&host);
            let output = pontoon.attempt("network rm --dry-run blue");
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(said.contains("the table stays for yours (1)"), "{said}");
            let said = warned(&pontoon, remove);
            assert!(said.contains("a rule of yours is in user-forward and user-input"), "{remove}:\n{said}");
            assert_eq!(said.matches("stays").count(), 1, "{said}");
            assert_eq!(own_rules(&host), rules);
            assert_eq!(host.sh("nft list set inet pontoon bridges | grep -c elements || true").trim(), "0");
            // Nothing is in use, and still nothing of it goes.
            warned(&pontoon, "system prune -f");
            assert_eq!(own_rules(&host), rules);
            pontoon.run("run -d --name web -p 8080:80 -- sleep 100");
            let web = host.serve("web", 80, "hello");
            seen(&host, "router", &format!("{HOST4}:8080"));
            assert!(!connects(&host, "outside", &format!("{HOST4}:8080")));
            drop(web);
            pontoon.run("rm -f web");
            host.sh("nft flush chain inet pontoon user-forward");
            pontoon.run("system prune -f");
            assert_eq!(host.sh("nft list ruleset"), "");
        }
    }
}
