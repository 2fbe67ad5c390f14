//! Somebody changes what is ours with the tools that there are, and it is put back.

use pontoon_e2e::{Pontoon, state};
use pontoon_testkit::{Host, sandboxed};

/// A network with names of its own for all, two containers on it, one with published ports, another network, and the
/// outside.
fn host_with_networks(host: &Host) -> Pontoon<'_> {
    host.uplink();
    // Otherwise ::1 leads nowhere.
    host.sh("sysctl -qw net.bridge.bridge-nf-call-ip6tables=0 2>/dev/null || true");
    let pontoon = Pontoon::on(host);
    let name = "-o com.docker.network.bridge.name";
    pontoon.run(&format!("network create --subnet 10.1.0.0/24 --subnet fd01::/64 {name}=blue0 blue"));
    pontoon.run(&format!(
        "network create --internal --subnet 10.2.0.0/24 {name}=red0 -o com.docker.network.bridge.enable_icc=false red"
    ));
    let ip = "--ip 10.1.0.5 --ip6 fd01::5";
    pontoon.run("run -d --name web --network blue:ip=10.1.0.5,ip6=fd01::5 --network red -p 8080:80 -p 53:53/udp -- sleep 1000");
    pontoon.run("run -d --name db --network blue -- sleep 1000");
    host.sh("ip netns add theirs; ip -n theirs link set lo up");
    pontoon
        .run(&format!("network connect {} blue netns:theirs", ip.replace(".5", ".7").replace("::5", "::7")));
    pontoon.run("link web:lan0=10.3.0.1/30 db:lan0=10.3.0.2/30");
    // It would put back at once what somebody changes.
    pontoon.run("daemon stop");
    pontoon
}

/// What works when all is as it should be.
#[track_caller]
fn all_works(host: &Host, pontoon: &Pontoon<'_>, after: &str) {
    let web = host.serve("web", 80, "hello");
    for address in ["127.0.0.1:8080", "[::1]:8080", "192.0.2.2:8080", "10.1.0.5:80", "[fd01::5]:80"] {
        host.fetch("host", address)
            .unwrap_or_else(|error| panic!("{after}: {address} from the host: {error}"));
    }
    host.fetch("outside", "192.0.2.2:8080").unwrap_or_else(|error| panic!("{after}: from outside: {error}"));
    host.fetch("web", "10.1.0.1:8080").unwrap_or_else(|error| panic!("{after}: itself: {error}"));
    drop(web);
    for (from, to) in [
        ("web", "198.51.100.10"),
        ("theirs", "198.51.100.10"),
        ("db", "10.1.0.5"),
        ("db", "fd01::5"),
        ("web", "10.1.0.7"),
        ("db", "10.3.0.1"),
        ("web", "10.2.0.1"),
        ("host", "fd01::7"),
    ] {
        assert!(host.pings(from, to), "{after}: {to} from {from}\n{}", pontoon.run("restore --dry-run"));
    }
}

fn port(host: &Host, container: &str) -> String {
    host.sh(&format!(
        "ip -o link show | grep -o 'veth[0-9a-f]*@' | tr -d @ | while read link; do
        ip -d link show $link | grep -q 'link-netns {container} ' && echo $link; done | head -1"
    ))
    .trim()
    .to_owned()
}

sandboxed! {
    fn a_healthy_host_is_left_alone(host: Host) {
        let pontoon = host_with_networks(&host);
        all_works(&host, &pontoon, "in the beginning");
        let (before, handles) = (state(&host), host.sh("nft -a list ruleset | sed 's/packets [0-9]* bytes [0-9]*//'"));
        let said = pontoon.run("restore --dry-run");
        assert!(!said.contains("ip ") && !said.contains("nft "), "{said}");
        for _ in 0..3 {
            assert_eq!(pontoon.run("restore"), "everything is as it should be");
        }
        before.assert_unchanged(&state(&host));
        assert_eq!(host.sh("nft -a list ruleset | sed 's/packets [0-9]* bytes [0-9]*//'"), handles);
    }

    fn whatever_somebody_changed_is_put_back(host: Host) {
        let pontoon = host_with_networks(&host);
        let (web, db) = (port(&host, "web"), port(&host, "db"));
        // The first packets begin the ports' accounts.
        all_works(&host, &pontoon, "in the beginning");
        let before = state(&host);
        let inside = |place: &str| host.snapshot_of(place).section("addresses").to_owned();
        let insides = [inside("web"), inside("db"), inside("theirs")];
        for (damage, said) in [
            ("nft flush ruleset", "table"),
            ("nft delete table inet pontoon", "inet pontoon"),
            ("nft delete table bridge pontoon", "bridge pontoon"),
            ("nft flush table inet pontoon", "chain"),
            ("nft flush chain inet pontoon forward", "forward"),
            ("nft insert rule inet pontoon forward drop", "not ours"),
            ("nft add chain inet pontoon forward '{ policy drop; }'", "policy"),
            ("nft flush chain inet pontoon input; nft delete chain inet pontoon input", "input"),
            ("nft flush set inet pontoon bridges", "bridges"),
            ("nft flush map inet pontoon any4", "web"),
            ("nft delete element inet pontoon masquerade4 '{ blue0 }'", "masquerade4"),
            ("nft delete element inet pontoon to4 '{ blue0 }'; nft add element inet pontoon to4 '{ blue0 : drop }'", "changed"),
            ("nft add element inet pontoon bridges '{ eth7 }'", "belongs to nobody: "),
            ("nft flush set bridge pontoon macs", "macs"),
            ("nft flush chain bridge pontoon from_arp", "from_arp"),
            ("ip link delete blue0", "`blue0` of network blue is gone"),
            ("ip link set dev blue0 down", "is down"),
            ("ip link set dev blue0 alias mine", "alias"),
            ("ip link set dev blue0 alias ''", "alias"),
            ("ip link set dev blue0 address 02:00:00:00:00:01", "02:00:00:00:00:01"),
            ("ip link set dev blue0 type bridge stp_state 1", "spanning tree"),
            ("ip link set dev blue0 type bridge mcast_snooping 1", "snooping"),
            ("ip address delete 10.1.0.1/24 dev blue0", "10.1.0.1/24"),
            ("ip address flush dev blue0", "fd01::1/64"),
            ("ip route delete 10.1.0.0/24 dev blue0", "10.1.0.0/24"),
            ("ip -6 route delete fd01::/64 dev blue0", "fd01::/64"),
            ("ip -6 route delete table local ::1 dev blue0", "::1"),
            ("sysctl -qw net.ipv4.ip_forward=0", "net.ipv4.ip_forward is 0"),
            ("sysctl -qw net.ipv6.conf.all.forwarding=0", "net.ipv6.conf.all.forwarding is 0"),
            ("sysctl -qw net.ipv4.conf.blue0.forwarding=0", "forwarding of bridge"),
            ("sysctl -qw net.ipv4.conf.blue0.route_localnet=0", "route_localnet"),
            ("ip link set dev WEB nomaster", "not on bridge"),
            ("ip link set dev WEB master red0", "not on bridge"),
            ("ip link set dev WEB down", "is down"),
            ("ip link set dev WEB mtu 1300", "MTU 1300"),
            ("bridge link set dev WEB isolated on", "isolated"),
            ("bridge link set dev WEB hairpin off", "frames back"),
            ("bridge link set dev WEB learning off flood off", "learn"),
            ("ip link delete WEB", "the cable of web on blue"),
            ("ip link delete DB", "the cable of db on blue"),
            ("ip -n web link delete lan0", "web and db"),
            ("ip -n web link set dev eth0 down", "is down"),
            ("ip -n web address flush dev eth0", "10.1.0.5/24"),
            ("ip -n web route delete default", "default route"),
            ("ip -n web -6 route delete default", "default route"),
            ("ip -n web route delete 127.0.0.11 table local", "127.0.0.11"),
            ("ip -n db link set lo down", "`lo`"),
            ("ip link delete blue0; ip link delete WEB; nft flush ruleset; sysctl -qw net.ipv4.ip_forward=0", "blue0"),
        ] {
            let damage = damage.replace("WEB", &web).replace("DB", &db);
            host.sh(&damage);
            let shown = pontoon.run("restore --dry-run");
            assert!(shown.lines().count() > 2, "{damage}:\n{shown}");
            let done = pontoon.run("restore");
            assert!(done.contains(said) || damage.contains("delete blue0") && done.starts_with("blue"), "{damage}:\n{done}");
            assert_eq!(pontoon.run("restore"), "everything is as it should be", "{damage}");
            all_works(&host, &pontoon, &damage);
            let changes = before.changes(&state(&host));
            // Whether a router's anycast address comes back with its link is the kernel's own business.
            let ignored = |line: &str| {
                line.contains("ifindex") || line.contains("anycast") || !line.starts_with("  ")
            };
            assert!(changes.lines().all(|line| ignored(line) || line.contains("\"index\"")), "{damage}:\n{changes}");
            assert_eq!([inside("web"), inside("db"), inside("theirs")].map(|text| text.lines().count()), insides.clone().map(|text| text.lines().count()), "{damage}");
        }
    }

    fn a_repair_killed_anywhere_is_done_by_the_next_one(host: Host) {
        let pontoon = host_with_networks(&host);
        let (web, before) = (port(&host, "web"), state(&host));
        let mut through = 0;
        for damage in [
            "nft flush ruleset",
            "ip link delete blue0",
            "ip link delete WEB",
            "ip link set dev WEB nomaster; ip address flush dev blue0; nft flush chain inet pontoon forward",
            "nft flush map inet pontoon any4; sysctl -qw net.ipv4.ip_forward=0; ip -n web route delete default",
        ] {
            for at in 0.. {
                host.sh(&damage.replace("WEB", &web));
                let killed = pontoon.command("restore").env("PONTOON_TEST_KILL_AT", at.to_string()).output().unwrap();
                if killed.status.success() {
                    through += at;
                    break;
                }
                let output = pontoon.attempt("restore");
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                assert!(output.status.success() && !said.contains("cannot"), "{damage} killed at {at}:\n{said}");
                assert_eq!(pontoon.run("restore"), "everything is as it should be", "{damage} killed at {at}");
                let changes = before.changes(&state(&host));
                let same =
                    |line: &str| !line.starts_with("  ") || line.contains("ifindex") || line.contains("anycast");
                assert!(changes.lines().all(same), "{damage} killed at {at}:\n{changes}");
                assert!(at < 100, "{damage}: never through");
            }
        }
        assert!(through > 30, "{through}");
        all_works(&host, &pontoon, "in the end");
    }

    fn what_is_not_ours_stays(host: Host) {
        let pontoon = host_with_networks(&host);
        // Somebody else's in our table, and on our bridge.
        host.sh("nft add table ip theirs; nft add chain inet pontoon own; nft add rule inet pontoon own accept
            nft add set inet pontoon ownset '{ type ipv4_addr; }'; nft add rule inet pontoon user-forward jump own
            nft add element inet pontoon bridges '{ eth7 comment \"mine\" }'
            ip address add 10.9.0.1/24 dev blue0; ip link add theirs0 type veth peer name theirs1; ip link set theirs0 master blue0
            ip route add 10.8.0.0/24 dev blue0");
        assert_eq!(pontoon.run("restore"), "everything is as it should be");
        let theirs = || host.sh("nft list chain inet pontoon own; nft list set inet pontoon ownset; nft list table ip theirs
            nft list chain inet pontoon user-forward; nft list set inet pontoon bridges | grep mine
            ip -o address show dev blue0 | grep -c 10.9.0.1; ip -o link show theirs0 | grep -c 'master blue0'; ip route show 10.8.0.0/24");
        let before = theirs();
        host.sh("nft flush chain inet pontoon forward; nft flush set inet pontoon hairpin; ip address delete 10.1.0.1/24 dev blue0");
        assert!(pontoon.run("restore").contains("10.1.0.1/24"));
        assert_eq!(theirs(), before);
        // Under the name of ours.
        host.sh("ip link delete red0; ip link add red0 type bridge");
        let output = pontoon.attempt("restore");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && said.contains("`red0`") && said.contains("somebody else's"), "{said}");
        assert_eq!(host.sh("ip -o -4 address show dev red0"), "");
    }
}
