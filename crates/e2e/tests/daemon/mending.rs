//! What somebody breaks while it runs is put back, told of, or left alone.

use std::time::{Duration, Instant};

use pontoon_e2e::{Pontoon, dig, eventually};
use pontoon_testkit::{Host, sandboxed};

use crate::{by_hand, runs, status};

/// The network `blue` on the bridge `blue0`, with `web` and `db`.
fn lay(host: &Host, options: &str) {
    let pontoon = Pontoon::on(host);
    let bridge = "-o com.docker.network.bridge.name=blue0";
    pontoon.run(&format!("network create --subnet 10.1.0.0/24 {bridge} {options} blue"));
    pontoon.run("run -d --name web --network blue --ip 10.1.0.2 -p 8080:80 -- sleep 100");
    pontoon.run("run -d --name db --network blue --ip 10.1.0.3 -- sleep 100");
}

/// The end of a container's cable on the host.
fn port(host: &Host, container: &str) -> String {
    let shown = host.sh("ip -d -o link show type veth");
    let line = shown.lines().find(|line| line.contains(&format!("link-netns {container} ")));
    let name = line.and_then(|line| line.split([' ', '@']).nth(1));
    name.unwrap_or_else(|| panic!("{container} has no cable: {shown}")).to_owned()
}

/// What is not as it was made, by somebody who looks and does nothing.
fn broken(pontoon: &Pontoon<'_>) -> String {
    pontoon.run("restore --dry-run")
}

fn events(pontoon: &Pontoon<'_>, filters: &str) -> Vec<String> {
    let said = pontoon.run(&format!("events --since 1h --until 0s {filters}"));
    said.lines().map(str::to_owned).collect()
}

sandboxed! {
    fn what_somebody_breaks_is_put_back_while_it_runs(host: Host) {
        let pontoon = Pontoon::on(&host);
        lay(&host, "");
        let web = port(&host, "web");
        let healthy = broken(&pontoon);
        for (damage, told) in [
            ("nft flush ruleset", "inet pontoon"),
            ("nft delete element inet pontoon masquerade4 '{ blue0 }'", "masquerade4"),
            ("ip address delete 10.1.0.1/24 dev blue0", "10.1.0.1/24"),
            ("ip link set dev WEB nomaster", "not on bridge"),
            ("ip link delete WEB", "the cable of web on blue"),
            ("ip -n web link set dev eth0 down", "is down"),
            ("sysctl -qw net.ipv4.ip_forward=0", "net.ipv4.ip_forward"),
            ("ip link delete blue0", "`blue0` of network blue is gone"),
        ] {
            let before = events(&pontoon, "--filter event=repair").len();
            host.sh(&damage.replace("WEB", &web));
            let start = Instant::now();
            while broken(&pontoon) != healthy {
                assert!(start.elapsed() < Duration::from_secs(2), "{damage}:\n{}", broken(&pontoon));
            }
            for (asks, name, address) in [("web", "db", "10.1.0.3"), ("db", "web", "10.1.0.2")] {
                eventually(&format!("{asks} finds {name} after `{damage}`"), || {
                    dig(&host, asks, &format!("@127.0.0.11 {name} A")) == address
                });
            }
            let page = host.serve("web", 80, "hello");
            assert_eq!(host.fetch("db", "10.1.0.2:80").expect(damage).text, "hello");
            assert_eq!(host.fetch("host", "127.0.0.1:8080").expect(damage).text, "hello");
            drop(page);
            let repairs = events(&pontoon, "--filter event=repair");
            assert!(repairs[before..].iter().any(|line| line.contains(told)), "{damage}: {repairs:#?}");
        }
        assert!(runs(&pontoon));
    }

    fn a_network_that_is_to_be_left_alone_is_reported(host: Host) {
        let pontoon = Pontoon::on(&host);
        lay(&host, "-o pontoon.repair=false");
        host.sh("ip address delete 10.1.0.1/24 dev blue0");
        eventually("it is told", || !events(&pontoon, "--filter event=drift").is_empty());
        let told = events(&pontoon, "--filter event=drift");
        assert!(told.len() == 1 && told[0].contains("blue") && told[0].contains("10.1.0.1"), "{told:#?}");
        assert_eq!(events(&pontoon, "--filter event=repair"), [""; 0]);
        assert!(!host.sh("ip address show dev blue0").contains("10.1.0.1"));
        // `restore` is somebody's wish, all the same.
        let left = host.sh("cat /run/pontoon/daemon.log");
        assert!(left.contains("left as it is"), "{left}");
    }

    fn with_no_repair_it_reports_and_leaves(host: Host) {
        let pontoon = Pontoon::on(&host);
        lay(&host, "");
        pontoon.run("daemon stop");
        let daemon = by_hand(&host, "--no-repair");
        assert_eq!(status(&pontoon)["repairs"], false);
        assert!(pontoon.run("daemon status").contains("reported, and not put back"));
        host.sh("nft delete element inet pontoon masquerade4 '{ blue0 }'; ip address delete 10.1.0.1/24 dev blue0");
        eventually("both are told", || events(&pontoon, "--filter event=drift").len() == 2);
        let said = daemon.output();
        assert!(said.contains("masquerade4") && said.contains("10.1.0.1"), "{said}");
        assert!(said.contains("by nft"), "and whose hand it was: {said}");
        std::thread::sleep(Duration::from_millis(700));
        assert!(!host.sh("nft list map inet pontoon masquerade4 || nft list set inet pontoon masquerade4").contains("blue0"));
        assert!(!host.sh("ip address show dev blue0").contains("10.1.0.1"));
        assert_eq!(events(&pontoon, "--filter event=drift").len(), 2, "said once");
        // A person can.
        pontoon.run("restore");
        assert!(host.sh("ip address show dev blue0").contains("10.1.0.1"));
    }
}
