//! What `explain` says is what real packets meet; what it proposes, done as it is, lets them through.

use pontoon_e2e::{Pontoon, program};
use pontoon_testkit::{Host, sandboxed};
use serde_json::Value;

/// Web and db on a network with a way out, nobody who repairs; web's port 80 is the host's 8080.
fn web_and_db<'a>(host: &'a Host) -> Pontoon<'a> {
    host.uplink();
    let pontoon = Pontoon::on(host);
    pontoon.run("network create --subnet 10.5.0.0/24 -o com.docker.network.bridge.name=blue0 -o pontoon.dns=false blue");
    pontoon.run("run -d --name web --network blue:ip=10.5.0.2 -p 8080:80 -- sleep 1000");
    pontoon.run("run -d --name db --network blue:ip=10.5.0.3 -- sleep 1000");
    pontoon
}

/// What is explained, and the exit code.
#[track_caller]
fn explained(pontoon: &Pontoon<'_>, words: &str) -> (Value, i32) {
    let output = pontoon.attempt(&format!("explain --format json {words}"));
    let said = String::from_utf8_lossy(&output.stderr);
    let found = serde_json::from_slice(&output.stdout);
    (found.unwrap_or_else(|error| panic!("{words}: {error}\n{said}")), output.status.code().unwrap())
}

fn codes(explained: &Value) -> Vec<&str> {
    let findings = explained["findings"].as_array().unwrap().iter();
    findings.map(|finding| finding["code"].as_str().unwrap()).collect()
}

/// As a person sees it.
fn shown(pontoon: &Pontoon<'_>, words: &str) -> String {
    String::from_utf8_lossy(&pontoon.attempt(&format!("explain -v {words}")).stdout).into_owned()
}

#[track_caller]
fn is_reachable(pontoon: &Pontoon<'_>, words: &str) {
    let (found, code) = explained(pontoon, words);
    assert!(
        code == 0 && found["verdict"] == "reachable" && codes(&found).is_empty(),
        "{words}: {code}\n{}",
        shown(pontoon, words)
    );
}

/// It is not reachable, by this of all codes, and the commands that are proposed.
#[track_caller]
fn blocked(pontoon: &Pontoon<'_>, words: &str, code: &str) -> Vec<String> {
    let (found, exit) = explained(pontoon, words);
    assert!(
        exit == 1 && found["verdict"] == "unreachable" && codes(&found).contains(&code),
        "{words}: {exit}, not {code}\n{}",
        shown(pontoon, words)
    );
    let blocks =
        found["findings"].as_array().unwrap().iter().filter(|finding| finding["severity"] == "blocks");
    let mut commands: Vec<String> = Vec::new();
    for command in blocks.flat_map(|finding| finding["fix"].as_array().unwrap()) {
        let command = command.as_str().unwrap().to_owned();
        if !commands.contains(&command) {
            commands.push(command);
        }
    }
    commands
}

/// Runs what was proposed, as it is.
#[track_caller]
fn run_all(host: &Host, commands: &[String]) {
    let program = program();
    let folder = program.parent().unwrap().display();
    for command in commands {
        host.sh(&format!("PATH=\"{folder}:$PATH\"; {command}"));
    }
}

/// A fault: packets pass; after `inject` they do not and `explain` says why; after what it proposes they do.
#[track_caller]
fn mends(
    host: &Host,
    pontoon: &Pontoon<'_>,
    words: &str,
    inject: &str,
    code: &str,
    passes: impl Fn() -> bool,
) {
    assert!(passes(), "before `{inject}`: real packets do not pass");
    is_reachable(pontoon, words);
    host.sh(inject);
    assert!(!passes(), "after `{inject}`: real packets pass");
    let commands = blocked(pontoon, words, code);
    assert!(!commands.is_empty(), "{code}: nothing is proposed\n{}", shown(pontoon, words));
    let before = shown(pontoon, words);
    run_all(host, &commands);
    let again = || (0..5).any(|_| passes());
    assert!(again(), "{code}: after {commands:#?} real packets do not pass\n{before}");
    is_reachable(pontoon, words);
}

sandboxed! {
    fn what_works_is_said_to_work(host: Host) {
        let pontoon = web_and_db(&host);
        let _server = host.serve("web", 80, "web");
        let _outside = host.serve("outside", 443, "outside");
        assert!(host.pings("web", "10.5.0.3"));
        is_reachable(&pontoon, "web db");
        assert_eq!(host.fetch("db", "10.5.0.2:80").unwrap().text, "web");
        is_reachable(&pontoon, "db web:80");
        assert!(host.pings("web", "198.51.100.10"));
        is_reachable(&pontoon, "web 198.51.100.10");
        is_reachable(&pontoon, "web outside");
        assert_eq!(host.fetch("web", "198.51.100.10:443").unwrap().text, "outside");
        is_reachable(&pontoon, "web 198.51.100.10:443");
        assert!(host.pings("host", "10.5.0.2") && host.pings("web", "10.5.0.1"));
        is_reachable(&pontoon, "host web:80");
        is_reachable(&pontoon, "web host");
        assert_eq!(host.fetch("outside", "192.0.2.2:8080").unwrap().text, "web");
        is_reachable(&pontoon, "198.51.100.10 192.0.2.2:8080");
        is_reachable(&pontoon, "outside web:80");
        assert_eq!(host.fetch("host", "127.0.0.1:8080").unwrap().text, "web");
        is_reachable(&pontoon, "host 127.0.0.1:8080");
        assert_eq!(host.fetch("db", "10.5.0.1:8080").unwrap().text, "web");
        is_reachable(&pontoon, "db 10.5.0.1:8080");
        assert_eq!(host.fetch("web", "10.5.0.1:8080").unwrap().text, "web");
        is_reachable(&pontoon, "web 10.5.0.1:8080");
        // And what does not, not.
        assert!(host.fetch("db", "10.5.0.2:81").is_err());
        blocked(&pontoon, "db web:81", "nobody-listens");
        assert!(!host.pings("outside", "10.5.0.2"));
        blocked(&pontoon, "198.51.100.10 10.5.0.2", "no-route");
    }
}

sandboxed! {
    fn zz_look(host: Host) {
        let pontoon = web_and_db(&host);
        let _server = host.serve("web", 80, "web");
        for words in ["web db", "outside web:80", "web 198.51.100.10"] {
            println!("{}\n=====", shown(&pontoon, words));
        }
        println!("{}", pontoon.run("route outside --in web"));
        println!("{}", pontoon.run("route web"));
    }
    fn f01_forwarding(host: Host) {
        let pontoon = web_and_db(&host);
        let out = || host.pings("web", "198.51.100.10");
        mends(&host, &pontoon, "web 198.51.100.10", "sysctl -w net.ipv4.ip_forward=0", "forwarding-off", out);
        mends(&host, &pontoon, "web 198.51.100.10", "sysctl -w net.ipv4.conf.blue0.forwarding=0", "forwarding-off", out);
    }
    fn f02_masq(host: Host) {
        let pontoon = web_and_db(&host);
        let out = || host.pings("web", "198.51.100.10");
        mends(&host, &pontoon, "web 198.51.100.10", "nft flush chain inet pontoon postrouting", "no-way-back", out);
        mends(&host, &pontoon, "web 198.51.100.10", "nft flush set inet pontoon masquerade4", "no-way-back", out);
    }
    fn f03_forward_drop(host: Host) {
        let pontoon = web_and_db(&host);
        let out = || host.pings("web", "198.51.100.10");
        mends(&host, &pontoon, "web 198.51.100.10", "nft 'add table inet theirs; add chain inet theirs forward { type filter hook forward priority 0; policy drop; }'", "firewall-drop", out);
    }
    fn f04_legacy(host: Host) {
        host.need("iptables-legacy");
        let pontoon = web_and_db(&host);
        let out = || host.pings("web", "198.51.100.10");
        mends(&host, &pontoon, "web 198.51.100.10", "iptables-legacy -P FORWARD DROP", "firewall-drop", out);
    }
    fn f06_no_default(host: Host) {
        let pontoon = web_and_db(&host);
        let out = || host.pings("web", "198.51.100.10");
        mends(&host, &pontoon, "web 198.51.100.10", "ip -n web route delete default", "no-route", out);
    }
    fn f07_wrong_gateway(host: Host) {
        let pontoon = web_and_db(&host);
        let out = || host.pings("web", "198.51.100.10");
        mends(&host, &pontoon, "web 198.51.100.10", "ip -n web route replace default via 10.5.0.77 dev eth0", "gateway-missing", out);
    }
    fn f09_bridge_address(host: Host) {
        let pontoon = web_and_db(&host);
        let out = || host.pings("web", "198.51.100.10");
        mends(&host, &pontoon, "web 198.51.100.10", "ip address flush dev blue0", "bridge-without-address", out);
        let into = || host.pings("host", "10.5.0.2");
        mends(&host, &pontoon, "host web", "ip address flush dev blue0", "bridge-without-address", into);
    }
    fn f10_vpn(host: Host) {
        let pontoon = web_and_db(&host);
        let out = || host.pings("web", "198.51.100.10");
        let vpn = "ip link add wg0 type dummy; ip link set wg0 up; ip route add 10.5.0.0/25 dev wg0";
        mends(&host, &pontoon, "web 198.51.100.10", vpn, "route-elsewhere", out);
    }
    fn f10_vpn_table(host: Host) {
        let pontoon = web_and_db(&host);
        let into = || host.pings("host", "10.5.0.2");
        let vpn = "ip link add wg0 type dummy; ip link set wg0 up; ip route add 10.0.0.0/8 dev wg0 table 7; ip rule add priority 100 lookup 7";
        mends(&host, &pontoon, "host web", vpn, "route-elsewhere", into);
    }
    fn f10_rp(host: Host) {
        let pontoon = web_and_db(&host);
        let out = || host.pings("web", "198.51.100.10");
        let vpn = "ip link add wg0 type dummy; ip link set wg0 up; sysctl -w net.ipv4.conf.all.rp_filter=1; ip route add 10.5.0.0/25 dev wg0";
        mends(&host, &pontoon, "web 198.51.100.10", vpn, "rp-filter", out);
    }
    fn f13_master(host: Host) {
        let pontoon = web_and_db(&host);
        let db = || host.pings("db", "10.5.0.2");
        let port = "$(ip -j link show master blue0 | grep -o 'veth[0-9a-f]*' | head -1)";
        mends(&host, &pontoon, "db web", &format!("ip link set {port} nomaster"), "port-without-bridge", db);
        let out = || host.pings("web", "198.51.100.10");
        mends(&host, &pontoon, "web 198.51.100.10", &format!("ip link set {port} nomaster"), "port-without-bridge", out);
    }
    fn f14_down(host: Host) {
        let pontoon = web_and_db(&host);
        let out = || host.pings("web", "198.51.100.10");
        mends(&host, &pontoon, "web 198.51.100.10", "ip -n web link set eth0 down", "link-down", out);
        let db = || host.pings("db", "10.5.0.2");
        mends(&host, &pontoon, "db web", "ip -n web link set eth0 down", "link-down", db);
        let port = "$(ip -j link show master blue0 | grep -o 'veth[0-9a-f]*' | head -1)";
        mends(&host, &pontoon, "db web", &format!("ip link set {port} down"), "link-down", db);
    }
    fn f14_moved(host: Host) {
        let pontoon = web_and_db(&host);
        let db = || host.pings("db", "10.5.0.2");
        mends(&host, &pontoon, "db web", "ip -n web link set eth0 netns db name eth9", "interface-gone", db);
    }
    fn f16_isolated(host: Host) {
        let pontoon = web_and_db(&host);
        let db = || host.pings("db", "10.5.0.2");
        let all = "for port in $(ip -j link show master blue0 | grep -o 'veth[0-9a-f]*' | sort -u); do bridge link set dev $port isolated on; done";
        mends(&host, &pontoon, "db web", all, "ports-isolated", db);
    }
    fn f17_neighbour(host: Host) {
        let pontoon = web_and_db(&host);
        let db = || host.pings("db", "10.5.0.2");
        mends(&host, &pontoon, "db web", "ip -n db neighbour replace 10.5.0.2 lladdr 02:00:00:00:00:99 dev eth0 nud permanent", "neighbour-wrong", db);
    }
    fn f12_subnet(host: Host) {
        let pontoon = web_and_db(&host);
        let into = || host.pings("host", "10.5.0.2");
        mends(&host, &pontoon, "host web", "ip link add br2 type bridge; ip link set br2 up; ip address add 10.5.0.1/24 dev br2; ip route delete 10.5.0.0/24 dev blue0; ip route append 10.5.0.0/24 dev blue0 src 10.5.0.1", "subnet-twice", into);
    }
    fn f20_loopback(host: Host) {
        let pontoon = web_and_db(&host);
        host.need("socat");
        let server = host.background_in("web", "exec socat TCP-LISTEN:80,bind=127.0.0.1,fork,reuseaddr SYSTEM:cat");
        host.wait_until("somebody listens", || !host.sh_in("web", "ss -Hltn 'sport = 80'").is_empty());
        let commands = blocked(&pontoon, "db web:80", "listens-on-loopback");
        assert!(commands.is_empty());
        drop(server);
        let _server = host.serve("web", 80, "web");
        is_reachable(&pontoon, "db web:80");
        assert!(host.fetch("db", "10.5.0.2:80").is_ok());
    }
}
