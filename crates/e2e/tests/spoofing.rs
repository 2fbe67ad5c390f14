//! What a container may say on its network, and what it may not: pretend to be somebody else.

use std::collections::BTreeSet;

use pontoon_e2e::{Pontoon, eventually};
use pontoon_testkit::{Host, sandboxed};
use serde_json::{Value, json};

/// Makes and reads frames; the kinds of frames and their names are there.
const WIRE: &str = include_str!("spoofing/wire.py");
const SCRIPT: &str = "/run/wire.py";

/// An interface's Ethernet address and its addresses.
fn who(host: &Host, place: &str, interface: &str) -> Value {
    let shown = host.json_in(place, &format!("ip -j address show dev {interface}"));
    let of = |family: &str, scope: &str| {
        let list = shown[0]["addr_info"].as_array().unwrap();
        let found = list.iter().find(|one| one["family"] == family && one["scope"] == scope);
        found.map_or(Value::Null, |one| one["local"].clone())
    };
    let mac = shown[0]["address"].clone();
    // The bridge has none of its own; any that is not the sender's will do.
    let local = match of("inet6", "link") {
        Value::Null => json!("fe80::1"),
        local => local,
    };
    json!({ "mac": mac, "v4": of("inet", "global"), "v6": of("inet6", "global"), "local": local })
}

/// What was sent from one place to another and what came in there, as kind and name.
struct Exchange {
    sent: BTreeSet<String>,
    got: BTreeSet<String>,
}

impl Exchange {
    /// Says everything that `wire.py` knows to say, as the gateway of `bridge` where somebody else's name is needed.
    fn between(host: &Host, from: &str, to: &str, bridge: &str) -> Self {
        host.need("python3");
        std::fs::write(SCRIPT, WIRE).unwrap();
        let listener = host.background_in(to, &format!("exec python3 {SCRIPT} listen"));
        listener.wait_for("listening");
        let [me, you, gateway] = [(from, "eth0"), (to, "eth0"), ("host", bridge)]
            .map(|(place, interface)| who(host, place, interface).to_string());
        let sent = host.sh_in(from, &format!("python3 {SCRIPT} send '{me}' '{you}' '{gateway}'"));
        listener.wait_for("got end");
        let got = listener.stop();
        let got = got.lines().filter_map(|line| line.strip_prefix("got ")).filter(|mark| *mark != "end");
        Self { sent: sent.lines().map(str::to_owned).collect(), got: got.map(str::to_owned).collect() }
    }

    /// All that is honest came in, and nothing that is forged.
    #[track_caller]
    fn assert_guarded(&self) {
        let honest = self.sent.iter().filter(|mark| mark.starts_with("honest")).cloned().collect();
        let lost: Vec<_> = self.got.symmetric_difference(&honest).collect();
        assert!(honest.len() > 15 && lost.is_empty(), "it should be otherwise with {lost:?}");
    }

    /// All came in.
    #[track_caller]
    fn assert_free(&self) {
        let lost: Vec<_> = self.sent.difference(&self.got).collect();
        assert!(self.sent.len() > 40 && lost.is_empty(), "did not come in: {lost:?}");
    }
}

/// `web` and `db` on `blue`, whose bridge is `blue0`.
fn web_and_db<'a>(host: &'a Host, options: &str) -> Pontoon<'a> {
    let pontoon = Pontoon::on(host);
    let name = "-o com.docker.network.bridge.name=blue0";
    pontoon.run(&format!("network create --ipv6 {name} {options} blue"));
    pontoon.run("run -d --name web --network blue -- sleep 100");
    pontoon.run("run -d --name db --network blue -- sleep 100");
    pontoon
}

/// The ports in the set of guarded ones.
fn guarded(host: &Host) -> Vec<String> {
    let listed = host.json("nft -j list set bridge pontoon guarded");
    let set = listed["nftables"].as_array().unwrap().iter().find_map(|object| object.get("set")).unwrap();
    let elements = set["elem"].as_array().cloned().unwrap_or_default();
    elements.iter().map(|element| element.as_str().unwrap().to_owned()).collect()
}

/// How many elements all the sets together have.
fn elements(host: &Host) -> usize {
    let listed = host.json("nft -j list table bridge pontoon");
    let sets = listed["nftables"].as_array().unwrap().iter().filter_map(|object| object.get("set"));
    sets.map(|set| set["elem"].as_array().map_or(0, Vec::len)).sum()
}

sandboxed! {
    fn a_container_speaks_for_itself_and_for_nobody_else(host: Host) {
        let _pontoon = web_and_db(&host, "");
        Exchange::between(&host, "web", "db", "blue0").assert_guarded();
    }

    fn a_network_without_the_guard_lets_everything_pass(host: Host) {
        let _pontoon = web_and_db(&host, "-o pontoon.antispoof=false");
        Exchange::between(&host, "web", "db", "blue0").assert_free();
        assert_eq!(elements(&host), 0);
    }

    fn one_container_is_trusted_and_the_others_are_not(host: Host) {
        let pontoon = web_and_db(&host, "");
        pontoon.run("run -d --name router --network blue:driver-opt=pontoon.antispoof=false -- sleep 100");
        Exchange::between(&host, "router", "db", "blue0").assert_free();
        Exchange::between(&host, "web", "db", "blue0").assert_guarded();
        let place = |name: &str| pontoon.json(&format!("inspect {name}"))[0]["NetworkSettings"]["Networks"]["blue"].clone();
        assert_eq!([place("router")["Guarded"].clone(), place("web")["Guarded"].clone()], [json!(false), json!(true)]);
    }

    fn somebody_elses_namespace_is_free_unless_it_is_asked_for(host: Host) {
        let pontoon = web_and_db(&host, "");
        host.sh("ip netns add theirs");
        pontoon.run("network connect blue netns:theirs");
        Exchange::between(&host, "theirs", "db", "blue0").assert_free();
        pontoon.run("network disconnect blue netns:theirs");
        pontoon.run("network connect --driver-opt pontoon.antispoof=true blue netns:theirs");
        Exchange::between(&host, "theirs", "db", "blue0").assert_guarded();
        let (ports, all) = (guarded(&host).len(), elements(&host));
        pontoon.run("network disconnect blue netns:theirs");
        assert_eq!((guarded(&host).len(), elements(&host)), (ports - 1, all / ports * (ports - 1)));
    }

    fn a_bridge_learns_nobodys_address_from_an_impostor(host: Host) {
        let _pontoon = web_and_db(&host, "");
        std::fs::write(SCRIPT, WIRE).unwrap();
        assert!(host.pings("web", who(&host, "db", "eth0")["v4"].as_str().unwrap()));
        let mac = who(&host, "db", "eth0")["mac"].as_str().unwrap().to_owned();
        let port = || {
            let entries = host.json("bridge -j fdb show br blue0");
            let entry = entries.as_array().unwrap().iter().find(|entry| entry["mac"] == *mac).cloned();
            entry.map(|entry| entry["ifname"].clone())
        };
        let before = port();
        assert!(before.is_some());
        // To everybody, and to the groups that a bridge keeps to itself (LLDP, 802.1X), which no rule sees.
        for target in ["ff:ff:ff:ff:ff:ff", "01:80:c2:00:00:0e", "01:80:c2:00:00:03", "01:80:c2:00:00:00"] {
            host.sh_in("web", &format!("python3 {SCRIPT} raw {target}{mac}88cc{}", "00".repeat(46)));
            assert_eq!(port(), before, "{target}");
        }
    }

    fn guarded_containers_do_all_that_is_ordinary(host: Host) {
        host.uplink();
        let pontoon = web_and_db(&host, "");
        for address in [pontoon.address("blue", "db"), pontoon.address6("blue", "db")] {
            assert!(host.pings("web", &address) && host.pings("host", &address));
        }
        for address in ["198.51.100.10", "2001:db8:2::10"] {
            assert!(host.pings("web", address), "{address}");
        }
        let page = host.serve("web", 8080, "hello");
        for address in [pontoon.address("blue", "web"), format!("[{}]", pontoon.address6("blue", "web"))] {
            assert_eq!(host.fetch("db", &format!("{address}:8080")).unwrap().text.trim(), "hello");
        }
        drop(page);
        // Larger than a frame.
        let large = format!("ping -n -c 1 -W 1 -s 4000 {}", pontoon.address6("blue", "db"));
        assert!(host.try_sh_in("web", &large).status.success());
        let ports = guarded(&host);
        assert_eq!(ports.len(), 2);
        // Nothing of all this was taken for a lie.
        let rules = host.sh("nft list table bridge pontoon");
        let counters = rules.lines().filter(|line| line.contains("counter packets")).collect::<Vec<_>>();
        assert!(counters.len() > 8 && counters.iter().all(|line| line.contains("packets 0 ")), "{rules}");
    }

    fn a_container_asks_whether_its_address_is_free(host: Host) {
        let pontoon = web_and_db(&host, "");
        let (web, db) = (pontoon.address6("blue", "web"), pontoon.address6("blue", "db"));
        // Without duplicate detection it would be there at once.
        host.sh_in("web", &format!("ip address delete {web}/64 dev eth0; sysctl -qw net.ipv6.conf.eth0.dad_transmits=1; ip address add {web}/64 dev eth0"));
        assert!(host.sh_in("web", "ip -6 address show dev eth0").contains("tentative"));
        eventually("the address is its own", || !host.sh_in("web", "ip -6 address show dev eth0").contains("tentative"));
        assert!(host.pings("web", &db));
        // One who is not guarded asks for an address that is taken, and its holder says so.
        host.sh("ip netns add theirs");
        pontoon.run("network connect blue netns:theirs");
        host.sh_in("theirs", &format!("ip address add {db}/64 dev eth0"));
        eventually("it was told so", || host.sh_in("theirs", "ip -6 address show dev eth0").contains("dadfailed"));
    }

    fn containers_on_two_bridges_of_a_network_are_guarded_at_their_own(host: Host) {
        let pontoon = Pontoon::on(&host);
        let options = "--subnet 172.18.0.0/16 --ipv6 --subnet fd00:18::/64 -o com.docker.network.bridge.name=blue0";
        pontoon.run(&format!("network create {options} blue"));
        pontoon.run("run -d --name web --network blue -- sleep 100");
        pontoon.run("run -d --name db --network blue --ip 172.18.3.232 -- sleep 100");
        assert_eq!(host.json("ip -j link show type bridge").as_array().unwrap().len(), 2);
        assert!(host.pings("web", "172.18.3.232") && host.pings("db", "172.18.0.2"));
        Exchange::between(&host, "web", "db", "blue0").assert_guarded();
        Exchange::between(&host, "db", "web", "blue0").assert_guarded();
        assert_eq!(guarded(&host).len(), 2);
    }

    fn what_guarded_a_container_goes_with_it(host: Host) {
        let pontoon = web_and_db(&host, "");
        assert_eq!(guarded(&host).len(), 2);
        pontoon.run("rm -f web");
        eventually("web's elements are gone", || guarded(&host).len() == 1);
        // Its keeper is killed, then its process ends: the next command sees to the rest.
        host.sh("pkill -KILL -x pontoon");
        host.sh("pkill -x sleep");
        pontoon.attempt("rm -f db");
        eventually("db's elements are gone", || elements(&host) == 0);
        // One that ends in the foreground.
        pontoon.run("run --rm --network blue -- true");
        eventually("nothing is left", || elements(&host) == 0);
    }

    fn rules_that_somebody_flushed_come_back_with_the_containers_in_them(host: Host) {
        let pontoon = web_and_db(&host, "");
        let before = host.sh("nft --stateless list ruleset");
        for flush in ["nft flush ruleset", "nft delete table bridge pontoon", "nft delete table inet pontoon"] {
            host.sh(flush);
            pontoon.run("restore");
            let after = host.sh("nft --stateless list ruleset");
            assert_eq!(sorted(&before), sorted(&after), "{flush}");
        }
        Exchange::between(&host, "web", "db", "blue0").assert_guarded();
    }

    fn a_container_that_starts_after_somebody_flushed_the_rules_is_guarded(host: Host) {
        let pontoon = web_and_db(&host, "");
        // It would put back at once what somebody changes.
        pontoon.run("daemon stop");
        host.sh("nft flush ruleset");
        let output = pontoon.attempt("run -d --name late --network blue -- sleep 100");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && said.contains("there again"), "{said}");
        assert_eq!(guarded(&host).len(), 3);
        Exchange::between(&host, "late", "db", "blue0").assert_guarded();
    }

    fn a_kernel_that_cannot_guard_runs_containers_all_the_same(host: Host) {
        let pontoon = web_and_db(&host, "");
        // It would put back at once what somebody changes.
        pontoon.run("daemon stop");
        // What is noted when such a kernel is found out.
        let note = "INSERT OR REPLACE INTO meta (key, value) VALUES ('bridge-filter', 'impossible')";
        host.sh(&format!("nft delete table bridge pontoon
            python3 -c \"import sqlite3; d = sqlite3.connect('/run/pontoon/runtime.db'); d.execute(\\\"{note}\\\"); d.commit()\""));
        pontoon.run("run -d --name free --network blue -- sleep 100");
        assert_eq!(pontoon.json("inspect free")[0]["NetworkSettings"]["Networks"]["blue"]["Guarded"], json!(false));
        let (_, said) = pontoon.fail("run -d --network blue:driver-opt=pontoon.antispoof=true -- sleep 100");
        assert!(said.contains("CONFIG_NF_TABLES_BRIDGE"), "{said}");
        pontoon.run("restore");
        assert!(!host.sh("nft list tables").contains("bridge"));
        pontoon.run("rm -f free web db");
        pontoon.run("network rm blue");
        assert_eq!(host.sh("nft list tables"), "");
    }

    fn an_option_that_is_mistyped_is_explained(host: Host) {
        let pontoon = Pontoon::on(&host);
        let (_, said) = pontoon.fail("network create -o pontoon.anti-spoof=false blue");
        assert!(said.contains("did you mean pontoon.antispoof?"), "{said}");
        let (_, said) = pontoon.fail("network create -o pontoon.antispoof=off blue");
        assert!(said.contains("it takes true or false"), "{said}");
    }
}

/// Lines in an order that does not depend on which table was made first.
fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().map(str::trim).collect();
    lines.sort_unstable();
    lines
}
