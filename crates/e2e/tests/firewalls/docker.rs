//! Beside the real Docker Engine, which runs on the throw-away host.

use pontoon_e2e::docker::Docker;
use pontoon_e2e::{Pontoon, eventually};
use pontoon_testkit::{Host, sandboxed};

use crate::{outside, reaches, warned};

/// The rules of one iptables program, without those that are ours.
fn rules(host: &Host, program: &str) -> String {
    let all = ["filter", "nat"].map(|table| host.sh(&format!("{program} -t {table} -S")));
    all.concat().lines().filter(|rule| !rule.contains("pontoon")).map(|rule| format!("{rule}\n")).collect()
}

/// Two containers of ours on a network of theirs, each of which is warned of.
#[track_caller]
fn ours(pontoon: &Pontoon<'_>) {
    let said = warned(pontoon, "network create blue");
    assert!(said.contains("Docker drops") && said.contains("chain FORWARD: policy drop"), "{said}");
    warned(pontoon, "run -d --name web --network blue -p 8081:80 -- sleep 1000");
    warned(pontoon, "run -d --name db --network blue -- sleep 1000");
}

sandboxed! {
    fn networks_are_let_through_and_its_own_containers_stay_as_they_were(host: Host) {
        let _outside = outside(&host);
        let mut docker = Docker::start(&host);
        let (theirs, their_address) = docker.run("--name theirs --publish 8080:80");
        let _theirs = [(80, "theirs"), (81, "hidden")].map(|(port, text)| host.serve(&theirs, port, text));
        let pontoon = Pontoon::on(&host);
        assert!(pontoon.run("firewall").starts_with("nothing is in the way"), "there is no network yet");
        ours(&pontoon);
        let _ours = [(80, "ours"), (81, "hidden")].map(|(port, text)| host.serve("web", port, text));
        let web = pontoon.address("blue", "web");
        assert!(their_address.starts_with("172.17.") && web.starts_with("172.18."), "{their_address} {web}");
        docker.sh("network create theirs");
        let (_, other) = docker.run("--name other --network theirs");
        assert!(other.starts_with("172.19."), "each keeps out of the other's subnets: {other}");

        let text = |place: &str, address: &str| host.fetch(place, address).map(|reply| reply.text).ok();
        assert!(!reaches(&host, "db"));
        assert_eq!(text("outside", "192.0.2.2:8081"), None);
        let found = pontoon.attempt("firewall --format json");
        let found: serde_json::Value = serde_json::from_slice(&found.stdout).expect("findings");
        assert_eq!((&found[0]["owner"], &found[0]["code"]), (&"docker".into(), &"firewall-forward".into()));

        let rules_before = rules(&host, "iptables");
        assert_eq!(pontoon.run("firewall integrate"), "DOCKER-USER of table ip filter (Docker)");
        assert!(pontoon.run("firewall").starts_with("nothing is in the way"));
        let works = || {
            assert!(reaches(&host, "db"));
            assert_eq!(text("outside", "192.0.2.2:8081").as_deref(), Some("ours"));
            assert!(host.pings("db", &web), "also where Docker's rules see what passes a bridge");
        };
        works();
        assert!(pontoon.run("exec db -- getent hosts web").starts_with(&web));
        assert_eq!(rules(&host, "iptables"), rules_before, "Docker's rules are as they were");
        assert_eq!(text("outside", "192.0.2.2:8080").as_deref(), Some("theirs"));
        // Of one another they reach what is published, and nothing else.
        assert_eq!(text("db", "192.0.2.2:8080").as_deref(), Some("theirs"));
        assert_eq!(text(&theirs, "192.0.2.2:8081").as_deref(), Some("ours"));
        for (place, address) in [("db", format!("{their_address}:81")), (theirs.as_str(), format!("{web}:81"))] {
            assert_eq!(text(place, &address), None, "{place} to {address}");
        }
        assert!(!host.pings("db", &other), "nor where the network has its own bridge");

        docker.restart();
        works();
        assert!(pontoon.run("firewall").starts_with("nothing is in the way"));
        docker.sh("rm --force other theirs");
        let (theirs, _) = docker.run("--name theirs --publish 8080:80");
        let _theirs = host.serve(&theirs, 80, "theirs again");
        assert_eq!(text("outside", "192.0.2.2:8080").as_deref(), Some("theirs again"));
        docker.sh("rm --force theirs");

        pontoon.run("firewall release");
        assert!(!reaches(&host, "db"));
        assert!(!host.sh("nft list ruleset").contains("pontoon:integration"));
        pontoon.run("rm -f web db");
        pontoon.run("network rm blue");
        pontoon.run("system prune -f");
        assert_eq!(host.sh("cat /proc/sys/net/ipv4/ip_forward").trim(), "1", "Docker needs it");
    }

    fn its_containers_can_be_on_a_network_too(host: Host) {
        let _outside = outside(&host);
        let docker = Docker::start(&host);
        let pontoon = Pontoon::on(&host);
        ours(&pontoon);
        pontoon.run("firewall integrate");
        let (theirs, _) = docker.run("--name theirs --network none");
        pontoon.run(&format!("network connect --ip 172.18.0.99 blue {theirs}"));
        assert!(reaches(&host, &theirs) && host.pings("db", "172.18.0.99"));
        docker.sh("rm --force theirs");
        // The kernel lets go of the namespace's links in a moment.
        eventually("its end is noticed", || {
            let output = pontoon.attempt("network prune -f");
            String::from_utf8_lossy(&output.stderr).contains("is gone, and no longer on network blue")
        });
        assert!(!host.pings("db", "172.18.0.99"));
    }

    fn by_iptables_legacy_it_is_told_of(host: Host) {
        let _outside = outside(&host);
        host.need("iptables-legacy");
        if !host.try_sh("iptables-legacy -L").status.success() {
            eprintln!("this kernel has no ip_tables: there is nothing that could be in the way");
            return;
        }
        host.own("/etc/alternatives");
        host.sh("for version in '' 6; do ln -sf /usr/sbin/ip${version}tables-legacy /etc/alternatives/ip${version}tables; done");
        let docker = Docker::start(&host);
        let (_, their_address) = docker.run("--name theirs");
        let pontoon = Pontoon::on(&host);
        ours(&pontoon);
        assert!(!reaches(&host, "db"));
        let before = rules(&host, "iptables-legacy");
        assert!(before.contains("-A FORWARD -j DOCKER-USER"), "{before}");
        let found = pontoon.attempt("firewall --format json");
        let found: serde_json::Value = serde_json::from_slice(&found.stdout).expect("findings");
        assert_eq!(found[0]["code"], "firewall-forward-legacy");
        for fix in found[0]["fix"].as_array().expect("commands") {
            host.sh(fix.as_str().expect("a command"));
        }
        assert!(reaches(&host, "db"));
        assert!(!host.pings("db", &their_address), "what is Docker's is Docker's to open");
    }
}
