//! What `doctor` finds is so, and what mends it lets real packets through; what is somebody else's stays until it is named.

use std::ops::Deref;

use pontoon_e2e::{Pontoon, program, state};
use pontoon_testkit::{Host, Server, UdpServer, sandboxed};
use serde_json::Value;

const HTTP: &str = "-p 8080:80";

/// A program under test, and those who answer on its host.
struct Setup<'a> {
    pontoon: Pontoon<'a>,
    _servers: (Option<Server>, UdpServer),
}

impl<'a> Deref for Setup<'a> {
    type Target = Pontoon<'a>;

    fn deref(&self) -> &Pontoon<'a> {
        &self.pontoon
    }
}

/// An uplink, and a name server behind it.
fn uplink(host: &Host) -> UdpServer {
    host.uplink();
    host.sh("echo nameserver 198.51.100.10 > /etc/resolv.conf");
    host.serve_udp("outside", 53, "names")
}

/// Web and db on a network with a way out, nobody who repairs; web's port 80 is the host's 8080.
fn web_and_db<'a>(host: &'a Host) -> Setup<'a> {
    let names = uplink(host);
    let pontoon = Pontoon::on(host);
    pontoon.run("network create --subnet 10.5.0.0/24 -o com.docker.network.bridge.name=blue0 -o pontoon.dns=false blue");
    pontoon.run(&format!("run -d --name web --network blue:ip=10.5.0.2 {HTTP} -- sleep 1000"));
    pontoon.run("run -d --name db --network blue:ip=10.5.0.3 -- sleep 1000");
    Setup { pontoon, _servers: (Some(host.serve("web", 80, "web")), names) }
}

/// What it says, and the exit code; with commands of ours where people have them.
#[track_caller]
fn doctor(pontoon: &Pontoon<'_>, words: &str) -> (Value, i32) {
    let folder = program().parent().unwrap().display().to_string();
    let mut command = pontoon.command(&format!("doctor --format json {words}"));
    command.env("PATH", format!("{folder}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"));
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let found = serde_json::from_slice(&output.stdout);
    (found.unwrap_or_else(|error| panic!("{words}: {error}\n{said}")), output.status.code().unwrap())
}

/// As a person sees it.
fn shown(pontoon: &Pontoon<'_>) -> String {
    String::from_utf8_lossy(&pontoon.attempt("doctor").stdout).into_owned()
}

fn list<'a>(report: &'a Value, key: &str) -> Vec<&'a Value> {
    report[key].as_array().unwrap().iter().collect()
}

/// The codes that were found, with those of what they lead to.
fn codes(report: &Value) -> Vec<String> {
    let one = |finding: &&Value| {
        let more = finding["leads_to"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["code"].as_str().unwrap().to_owned());
        more.chain([finding["code"].as_str().unwrap().to_owned()]).collect::<Vec<_>>()
    };
    list(report, "findings").iter().flat_map(one).collect()
}

#[track_caller]
fn is_healthy(pontoon: &Pontoon<'_>) {
    let (report, exit) = doctor(pontoon, "");
    // That somebody else's route is in the way no more leaves a note that it is there.
    let rest: Vec<_> = codes(&report).into_iter().filter(|code| code != "subnet-overlap").collect();
    assert!(exit != 1 && rest.is_empty(), "{exit}\n{}", shown(pontoon));
}

/// It finds this, and says that it stops packets.
#[track_caller]
fn finds(pontoon: &Pontoon<'_>, code: &str) -> Value {
    let (report, exit) = doctor(pontoon, "");
    assert!(
        exit == 1 && codes(&report).iter().any(|found| found == code),
        "{exit}, not {code}\n{}",
        shown(pontoon)
    );
    report
}

/// A fault: packets pass; after `inject` they do not and it is found; after `fix` they do, and nothing is found.
#[track_caller]
fn mends(host: &Host, pontoon: &Pontoon<'_>, inject: &str, code: &str, fix: &str, passes: impl Fn() -> bool) {
    assert!(passes(), "before `{inject}`: real packets do not pass");
    is_healthy(pontoon);
    host.sh(inject);
    assert!(!passes(), "after `{inject}`: real packets pass");
    finds(pontoon, code);
    let before = shown(pontoon);
    let (report, exit) = doctor(pontoon, &format!("{fix} --yes"));
    let outcomes: Vec<_> = list(&report, "treated").iter().map(|one| one["outcome"].clone()).collect();
    assert!(
        exit != 1 && !outcomes.is_empty() && outcomes.iter().all(|one| one == "fixed" || one == "gone"),
        "{exit}: {:#}\nbefore:\n{before}\nafter:\n{}",
        report["treated"],
        shown(pontoon)
    );
    assert!(
        (0..5).any(|_| passes()),
        "{code}: mended, and real packets do not pass\n{before}\n{:#}",
        report["treated"]
    );
    is_healthy(pontoon);
}

/// A fault in what is somebody else's: `--fix` alone leaves it as it is, and naming it mends it.
#[track_caller]
fn mends_by_name(host: &Host, pontoon: &Pontoon<'_>, inject: &str, code: &str, passes: impl Fn() -> bool) {
    let twice = || {
        let before = state(host);
        doctor(pontoon, "--fix --yes");
        before.assert_unchanged(&state(host));
        passes()
    };
    let calls = std::cell::Cell::new(0);
    // The second time that it is asked for is when the fault is there.
    mends(host, pontoon, inject, code, &format!("--fix={code}"), || {
        calls.set(calls.get() + 1);
        if calls.get() == 2 { twice() } else { passes() }
    });
}

fn out(host: &Host) -> bool {
    host.pings("web", "198.51.100.10")
}

fn to_web(host: &Host) -> bool {
    host.pings("db", "10.5.0.2")
}

const PORT: &str = "$(ip -j link show master blue0 | grep -o 'veth[0-9a-f]*' | head -1)";

sandboxed! {
    fn a_healthy_host_has_nothing(host: Host) {
        let _names = uplink(&host);
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create --ipv6 --subnet 10.5.0.0/24 --subnet fd05::/64 blue");
        pontoon.run("network create --internal --subnet 10.6.0.0/24 inner");
        pontoon.run("network create -o com.docker.network.bridge.enable_icc=false --subnet 10.7.0.0/24 apart");
        pontoon.run("network create -o com.docker.network.bridge.gateway_mode_ipv4=routed --subnet 10.8.0.0/24 routed");
        pontoon.run("network create -o com.docker.network.bridge.gateway_mode_ipv4=isolated --internal --subnet 10.9.0.0/24 alone");
        pontoon.run("run -d --name web --network blue -p 8080:80 -p 127.0.0.1:8081:80 -- sleep 1000");
        pontoon.run("run -d --name db --network blue --network inner -- sleep 1000");
        pontoon.run("run -d --name a --network apart --network alone -- sleep 1000");
        pontoon.run("run -d --name b --network apart --network inner -- sleep 1000");
        pontoon.run("run -d --name c --network routed -- sleep 1000");
        pontoon.run("run -d --name d --network routed --network alone -- sleep 1000");
        pontoon.run("run -d --name e --network bridge -- sleep 1000");
        pontoon.run("run -d --name f --network none -- sleep 1000");
        pontoon.run("link e:x0=10.77.0.1/24 f:x0=10.77.0.2/24");
        let _server = host.serve("web", 80, "web");
        is_healthy(&pontoon);
    }
}

sandboxed! {
    fn forwarding_is_off(host: Host) {
        let pontoon = web_and_db(&host);
        mends(&host, &pontoon, "sysctl -w net.ipv4.ip_forward=0", "forwarding-off", "--fix", || out(&host));
        mends(&host, &pontoon, "sysctl -w net.ipv4.conf.blue0.forwarding=0", "forwarding-off", "--fix", || out(&host));
    }
    fn rules_are_gone(host: Host) {
        let pontoon = web_and_db(&host);
        mends(&host, &pontoon, "nft flush chain inet pontoon postrouting", "no-way-back", "--fix", || out(&host));
        mends(&host, &pontoon, "nft flush set inet pontoon masquerade4", "no-way-back", "--fix", || out(&host));
        mends(&host, &pontoon, "nft flush ruleset", "rules-changed", "--fix", || out(&host));
    }
    fn anothers_chain_drops(host: Host) {
        let pontoon = web_and_db(&host);
        mends_by_name(&host, &pontoon, "nft 'add table inet theirs; add chain inet theirs forward { type filter hook forward priority 0; policy drop; }'", "firewall-drop", || out(&host));
    }
    fn anothers_legacy_table_drops(host: Host) {
        host.need("iptables-legacy");
        let pontoon = web_and_db(&host);
        mends_by_name(&host, &pontoon, "iptables-legacy -P FORWARD DROP", "firewall-drop", || out(&host));
    }
    fn anothers_chain_drops_on_the_bridge(host: Host) {
        let pontoon = web_and_db(&host);
        mends_by_name(&host, &pontoon, "sysctl -w net.bridge.bridge-nf-call-iptables=1; nft 'add table ip theirs; add chain ip theirs forward { type filter hook forward priority 0; }; add rule ip theirs forward iifname blue0 oifname blue0 drop'", "firewall-drop", || to_web(&host));
    }
    fn there_is_no_default_route(host: Host) {
        let pontoon = web_and_db(&host);
        mends(&host, &pontoon, "ip -n web route delete default", "no-route", "--fix", || out(&host));
    }
    fn the_router_is_nobody(host: Host) {
        let pontoon = web_and_db(&host);
        mends(&host, &pontoon, "ip -n web route replace default via 10.5.0.77 dev eth0", "gateway-missing", "--fix", || out(&host));
    }
    fn the_default_route_is_internal(host: Host) {
        let pontoon = web_and_db(&host);
        pontoon.run("network create --internal --subnet 10.6.0.0/24 -o pontoon.dns=false inner");
        pontoon.run("network connect inner web");
        mends(&host, &pontoon, "ip -n web route replace default via 10.6.0.1 dev eth1", "default-route-internal", "--fix", || out(&host));
    }
    fn the_bridge_has_no_address(host: Host) {
        let pontoon = web_and_db(&host);
        mends(&host, &pontoon, "ip address flush dev blue0", "bridge-without-address", "--fix", || out(&host));
    }
    fn a_vpn_has_a_finer_route(host: Host) {
        let pontoon = web_and_db(&host);
        mends_by_name(&host, &pontoon, "ip link add wg0 type veth peer wg1; ip link set wg0 up; ip link set wg1 up; ip route add 10.5.0.0/25 dev wg0", "route-elsewhere", || out(&host));
    }
    fn a_vpn_has_a_finer_route_and_sources_are_checked(host: Host) {
        let pontoon = web_and_db(&host);
        mends_by_name(&host, &pontoon, "ip link add wg0 type veth peer wg1; ip link set wg0 up; ip link set wg1 up; sysctl -w net.ipv4.conf.all.rp_filter=1; ip route add 10.5.0.0/25 dev wg0", "route-elsewhere", || out(&host));
    }
    fn two_bridges_have_one_subnet(host: Host) {
        let pontoon = web_and_db(&host);
        is_healthy(&pontoon);
        host.sh("ip link add br2 type bridge; ip link set br2 up; ip address add 10.5.0.1/24 dev br2");
        finds(&pontoon, "subnet-twice");
    }
    fn a_port_is_on_no_bridge(host: Host) {
        let pontoon = web_and_db(&host);
        mends(&host, &pontoon, &format!("ip link set {PORT} nomaster"), "port-without-bridge", "--fix", || to_web(&host));
    }
    fn links_are_down(host: Host) {
        let pontoon = web_and_db(&host);
        mends(&host, &pontoon, "ip -n web link set eth0 down", "link-down", "--fix", || out(&host));
        mends(&host, &pontoon, &format!("ip link set {PORT} down"), "link-down", "--fix", || to_web(&host));
        mends(&host, &pontoon, "ip link set blue0 down", "link-down", "--fix", || to_web(&host));
    }
    fn links_are_gone(host: Host) {
        let pontoon = web_and_db(&host);
        mends(&host, &pontoon, "ip -n web link delete eth0", "interface-gone", "--fix", || to_web(&host));
        mends(&host, &pontoon, "ip link delete blue0", "bridge-gone", "--fix", || to_web(&host));
    }
    fn spanning_tree_waits(host: Host) {
        let pontoon = web_and_db(&host);
        mends(&host, &pontoon, "ip link set blue0 type bridge stp_state 1 forward_delay 3000; ip link set blue0 down; ip link set blue0 up", "port-state", "--fix", || to_web(&host));
    }
    fn ports_are_isolated(host: Host) {
        let pontoon = web_and_db(&host);
        let all = "for port in $(ip -j link show master blue0 | grep -o 'veth[0-9a-f]*' | sort -u); do bridge link set dev $port isolated on; done";
        mends(&host, &pontoon, all, "ports-isolated", "--fix", || to_web(&host));
    }
    fn a_neighbour_is_wrong(host: Host) {
        let pontoon = web_and_db(&host);
        mends(&host, &pontoon, "ip -n db neighbour replace 10.5.0.2 lladdr 02:00:00:00:00:99 dev eth0 nud permanent", "neighbour-wrong", "--fix", || to_web(&host));
    }
    fn two_have_one_address(host: Host) {
        let pontoon = web_and_db(&host);
        is_healthy(&pontoon);
        host.sh("ip -n db address add 10.5.0.2/24 dev eth0");
        finds(&pontoon, "address-twice");
        let (report, _) = doctor(&pontoon, "--fix --yes");
        assert_eq!(report["treated"][0]["outcome"], "fixed", "{:#}", report);
        host.sh("ip -n db link set eth0 address $(ip netns exec web cat /sys/class/net/eth0/address)");
        finds(&pontoon, "mac-twice");
        let (report, _) = doctor(&pontoon, "--fix --yes");
        assert_eq!(report["treated"][0]["outcome"], "fixed", "{:#}", report);
    }
    fn sizes_differ(host: Host) {
        let pontoon = web_and_db(&host);
        is_healthy(&pontoon);
        host.sh(&format!("ip link set {PORT} mtu 1400"));
        finds(&pontoon, "mtu-differs");
        let (report, _) = doctor(&pontoon, "--fix --yes");
        assert_eq!(report["treated"][0]["outcome"], "fixed", "{:#}", report);
        host.sh("ip link set eth0 mtu 1400");
    }
    fn a_link_is_left_over(host: Host) {
        let pontoon = web_and_db(&host);
        host.sh("ip link add lost0 type bridge; ip link set lost0 alias \"$(cat /sys/class/net/blue0/ifalias | sed s/network:.*/endpoint:00/)\"");
        let (report, exit) = doctor(&pontoon, "");
        assert!(exit == 2 && codes(&report) == ["left-over"], "{}", shown(&pontoon));
        let (report, exit) = doctor(&pontoon, "--fix --yes");
        assert!(exit == 0 && report["treated"][0]["outcome"] == "fixed", "{report:#}");
        assert!(!host.try_sh("ip link show lost0").status.success());
    }
}
