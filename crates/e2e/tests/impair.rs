//! What leaves an interface is slower, later or lossy, for as long as it is asked for.

use pontoon_e2e::{Pontoon, eventually};
use pontoon_testkit::{Host, Snapshot, sandboxed};

/// Web and db on a network.
fn web_and_db<'a>(host: &'a Host) -> Pontoon<'a> {
    let pontoon = Pontoon::on(host);
    pontoon.run("network create --subnet 10.5.0.0/24 blue");
    pontoon.run("run -d --name web --network blue:ip=10.5.0.2 -- sleep 1000");
    pontoon.run("run -d --name db --network blue:ip=10.5.0.3 -- sleep 1000");
    pontoon
}

fn inside(host: &Host, place: &str) -> Snapshot {
    host.snapshot_of(place).without("/run/pontoon")
}

/// How many bytes come from one container to the other in a second and a half.
fn bytes(host: &Host, from: &str, to: &str, address: &str) -> u64 {
    host.need("socat");
    let received = format!("/tmp/received-by-{to}");
    let listen = format!("socat -u TCP-LISTEN:5000,reuseaddr - | wc -c > {received}");
    let listener = host.background_in(to, &listen);
    host.wait_until("somebody listens", || !host.sh_in(to, "ss -Hltn 'sport = 5000'").is_empty());
    host.sh_in(from, &format!("timeout 1.5 socat -u OPEN:/dev/zero TCP:{address}:5000 || true"));
    let count = || std::fs::read_to_string(&received).unwrap_or_default().trim().parse().unwrap_or(0);
    host.wait_until("all of it is counted", || count() > 0);
    drop(listener);
    let counted = count();
    std::fs::remove_file(received).unwrap();
    counted
}

/// Whether the kernel can hold packets up.
fn has_netem(host: &Host) -> bool {
    host.sh("ip netns add probe; ip -n probe link set lo up");
    let added = host.try_sh("tc -n probe qdisc add dev lo root netem delay 1ms").status.success();
    host.sh("ip netns delete probe");
    added
}

sandboxed! {
    fn a_rate_limits_what_is_sent_and_changes_live(host: Host) {
        let pontoon = web_and_db(&host);
        let free = bytes(&host, "web", "db", "10.5.0.3");
        assert!(free > 20_000_000, "{free} bytes: the machine is too slow for this test");
        assert_eq!(pontoon.run("impair web --rate 8mbit"), "web:eth0 rate 8mbit");
        // A megabyte a second, and a tenth of it that waits.
        let slow = bytes(&host, "web", "db", "10.5.0.3");
        assert!((700_000..2_500_000).contains(&slow), "{slow}");
        assert!(bytes(&host, "db", "web", "10.5.0.2") > 10 * slow, "what web receives is not limited");
        let before = host.json_in("web", "tc -j qdisc show dev eth0");
        assert_eq!(pontoon.run("impair web:eth0 --rate 80mbit"), "web:eth0 rate 80mbit");
        let after = host.json_in("web", "tc -j qdisc show dev eth0");
        assert_eq!(before[0]["handle"], after[0]["handle"], "it is changed in place");
        let faster = bytes(&host, "web", "db", "10.5.0.3");
        assert!((7_000_000..25_000_000).contains(&faster), "{faster}");
        let shown = host.sh_in("web", "tc qdisc show dev eth0");
        assert!(shown.contains("tbf 7074: root") && shown.contains("rate 80Mbit burst 100000b lat 100ms"), "{shown}");
    }

    fn a_loss_of_all_drops_all_and_none_is_lost_without(host: Host) {
        let pontoon = web_and_db(&host);
        assert!(host.pings("host", "10.5.0.2"));
        assert_eq!(pontoon.run("impair web --loss 100%"), "web:eth0 loss 100%");
        let listed = host.sh_in("web", "nft --stateless list ruleset");
        let rules = "table netdev pontoon-eth0 {\n\tchain leaving {\n\t\ttype filter hook egress device \"eth0\" priority filter; policy accept;\n\t\tdrop\n\t}\n}\n";
        assert_eq!(listed, rules);
        assert!(!host.pings("host", "10.5.0.2") && !host.pings("web", "10.5.0.1"));
        // What it receives is not impaired.
        for (place, other, address) in [("db", "web", "10.5.0.2"), ("web", "db", "10.5.0.3")] {
            let mac = host.json_in(other, "ip -j link show dev eth0")[0]["address"].as_str().unwrap().to_owned();
            host.sh(&format!("ip -n {place} neighbour replace {address} lladdr {mac} dev eth0 nud permanent"));
        }
        let count = || host.json_in("web", "ip -j -s link show dev eth0")[0]["stats64"]["rx"]["packets"].as_u64().unwrap();
        let (before, sent) = (count(), 20);
        host.sh_in("db", &format!("ping -c {sent} -i 0.01 -W 0.1 -q 10.5.0.2 || true"));
        assert!(count() >= before + sent);
        // Half of it: of 400 packets, 130 to 270 come back but once in 10^11.
        assert_eq!(pontoon.run("impair web --loss 50%"), "web:eth0 loss 50%");
        let listed = host.sh_in("web", "nft --stateless list ruleset");
        assert!(listed.contains("numgen random mod 1000000 < 500000 drop"), "{listed}");
        assert_eq!(listed.matches("drop").count(), 1, "{listed}");
        let said = host.sh_in("db", "ping -c 400 -i 0.002 -W 0.2 -q 10.5.0.2");
        let received: u32 = said.split(" received").next().and_then(|text| text.rsplit(' ').next()).unwrap().parse().unwrap();
        assert!((130..270).contains(&received), "{said}");
        assert_eq!(pontoon.run("impair --clear web"), "web:eth0 nothing");
        let said = host.sh_in("db", "ping -c 100 -i 0.002 -W 1 -q 10.5.0.2");
        assert!(said.contains("100 received"), "{said}");
    }

    fn all_of_it_is_taken_away_again(host: Host) {
        let pontoon = web_and_db(&host);
        let before = inside(&host, "web");
        for what in ["--rate 10mbit", "--loss 1%", "--rate 1.5gbit --loss 0.05%"] {
            pontoon.run(&format!("impair web {what}"));
            assert!(!before.changes(&inside(&host, "web")).is_empty());
            assert_eq!(pontoon.run("impair web"), format!("web:eth0 {}", what.replace("--", "").replace("1.5gbit", "1500mbit")));
            pontoon.run("impair web --clear");
            before.assert_unchanged(&inside(&host, "web"));
        }
        // What is not named any more is taken away.
        pontoon.run("impair web --rate 10mbit --loss 1%");
        pontoon.run("impair web --loss 2%");
        assert_eq!(pontoon.run("impair web"), "web:eth0 loss 2%");
        assert!(host.sh_in("web", "tc qdisc show dev eth0").contains("noqueue"));
        pontoon.run("impair web --clear");
        before.assert_unchanged(&inside(&host, "web"));
        assert_eq!(pontoon.run("impair web --clear"), "web:eth0 nothing");
        assert_eq!(pontoon.run("impair web db"), "web:eth0 nothing\ndb:eth0 nothing");
    }

    fn a_delay_is_kept_or_said_to_be_impossible(host: Host) {
        let pontoon = web_and_db(&host);
        let before = inside(&host, "web");
        if has_netem(&host) {
            pontoon.run("impair web --delay 50ms --jitter 5ms");
            let said = host.sh_in("db", "ping -c 1 -W 1 -q 10.5.0.2");
            let time: f64 = said.split(" = ").nth(1).and_then(|text| text.split('/').next()).unwrap().parse().unwrap();
            assert!((44.0..120.0).contains(&time), "{said}");
            pontoon.run("impair web --rate 10mbit --delay 20ms --loss 1%");
            assert!(host.sh_in("web", "tc qdisc show dev eth0").contains("netem 7077: parent 7076:1"));
            pontoon.run("impair web --clear");
        } else {
            for what in ["--delay 20ms", "--rate 10mbit --delay 20ms --jitter 5ms --loss 1%"] {
                let (code, said) = pontoon.fail(&format!("impair web {what}"));
                assert!(code == 1 && said.contains("sch_netem") && said.contains("hint: "), "{said}");
                before.assert_unchanged(&inside(&host, "web"));
                assert_eq!(pontoon.run("impair web"), "web:eth0 nothing");
            }
            // What was set before stays.
            pontoon.run("impair web --rate 10mbit --loss 1%");
            let set = inside(&host, "web");
            pontoon.fail("impair web --rate 20mbit --delay 20ms");
            set.assert_unchanged(&inside(&host, "web"));
            assert_eq!(pontoon.run("impair web"), "web:eth0 rate 10mbit loss 1%");
            pontoon.run("impair web --clear");
        }
        before.assert_unchanged(&inside(&host, "web"));
    }

    fn what_is_somebody_elses_is_left(host: Host) {
        let pontoon = web_and_db(&host);
        host.sh("tc -n web qdisc add dev eth0 root handle 1: pfifo limit 100");
        host.sh_in("web", "nft add table netdev theirs");
        let before = inside(&host, "web");
        let (code, said) = pontoon.fail("impair web --rate 10mbit");
        assert!(code == 1 && said.contains("`eth0`") && said.contains("pfifo 1:"), "{said}");
        before.assert_unchanged(&inside(&host, "web"));
        pontoon.run("impair web --loss 1%");
        pontoon.run("impair web --clear");
        before.assert_unchanged(&inside(&host, "web"));
        // Put in the place of ours, it stays too.
        host.sh("tc -n web qdisc delete dev eth0 root");
        pontoon.run("impair web --rate 10mbit");
        host.sh("tc -n web qdisc replace dev eth0 root handle 1: pfifo limit 100");
        pontoon.run("impair web --clear");
        before.assert_unchanged(&inside(&host, "web"));
    }

    fn it_goes_with_the_interface(host: Host) {
        host.sh("ip netns add theirs; ip -n theirs link set lo up; ip netns add others");
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create blue");
        let before = inside(&host, "theirs");
        pontoon.run("network connect blue netns:theirs");
        pontoon.run("impair netns:theirs --rate 10mbit --loss 1%");
        pontoon.run("network disconnect blue netns:theirs");
        before.assert_unchanged(&inside(&host, "theirs"));
        pontoon.run("network connect blue netns:theirs");
        assert_eq!(pontoon.run("impair netns:theirs"), "netns-theirs:eth0 nothing");
        assert!(host.sh_in("theirs", "nft list ruleset").is_empty());
        pontoon.run("network disconnect blue netns:theirs");
        // A cable: both ends.
        pontoon.run("link netns:theirs=10.9.0.1/30 netns:others:lab0=10.9.0.2/30");
        pontoon.run("impair netns:theirs netns:others:lab0 --loss 1%");
        pontoon.run("unlink netns:theirs netns:others");
        before.assert_unchanged(&inside(&host, "theirs"));
        assert!(host.sh_in("others", "nft list ruleset").is_empty());
        // The other end of a cable stays when a container ends.
        pontoon.run("run -d --name web --network none -- sleep 1000");
        pontoon.run("link web=10.9.0.1/30 netns:theirs=10.9.0.2/30");
        pontoon.run("impair web netns:theirs --loss 1%");
        pontoon.run("rm -f web");
        eventually("the cable is gone with all that it had", || host.sh_in("theirs", "nft list ruleset; ip -o link show type veth").is_empty());
        before.assert_unchanged(&inside(&host, "theirs"));
    }

    fn a_cable_is_impaired_at_both_ends(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("run -d --name web --network none -- sleep 1000");
        pontoon.run("link web:left=10.9.0.1/30 host:lab0=10.9.0.2/30");
        let told = pontoon.run("events --since 1h --until 0s --filter type=cable --format '{{.Actor.ID}}'");
        let cable = &told.lines().next().unwrap()[..12];
        assert_eq!(pontoon.run(&format!("impair {cable} --rate 10mbit --loss 1%")), "host:lab0 rate 10mbit loss 1%\nweb:left rate 10mbit loss 1%");
        assert_eq!(pontoon.run("impair host:lab0 --loss 100%"), "host:lab0 loss 100%");
        assert_eq!(pontoon.run(&format!("impair {cable}")), "host:lab0 loss 100%\nweb:left rate 10mbit loss 1%");
        assert!(host.sh("nft list table netdev pontoon-lab0").contains("drop"));
        pontoon.run(&format!("impair {cable} --clear"));
        assert!(host.pings("host", "10.9.0.1"));
    }

    fn one_of_several_interfaces_is_named(host: Host) {
        let pontoon = web_and_db(&host);
        pontoon.run("network create red");
        pontoon.run("network connect red web");
        let (_, said) = pontoon.fail("impair web --loss 1%");
        assert!(said.contains("2 interfaces: eth0, eth1") && said.contains("web:eth0"), "{said}");
        assert_eq!(pontoon.run("impair web --network red --loss 1%"), "web:eth1 loss 1%");
        assert_eq!(pontoon.run("impair web"), "web:eth0 nothing\nweb:eth1 loss 1%");
        for (command, named) in [
            ("impair web:eth7 --loss 1%", "eth7"),
            ("impair nobody --loss 1%", "`nobody`"),
            ("impair web --network blue:eth0 --loss 1%", "`blue:eth0`"),
            ("impair web --loss 0%", "0%"),
            ("impair web --loss 5", "did you mean 5%?"),
            ("impair web --rate 10", "did you mean 10mbit?"),
            ("impair web --jitter 5ms", "--delay"),
            ("impair host --loss 1%", "`host`"),
        ] {
            let (code, said) = pontoon.fail(command);
            assert!((1..=2).contains(&code) && said.starts_with("error: ") && said.contains(named), "{command}: {code}\n{said}");
        }
    }

    fn it_comes_back_with_its_link(host: Host) {
        let pontoon = web_and_db(&host);
        pontoon.run("impair web --rate 10mbit --loss 1%");
        let set = |host: &Host| host.sh_in("web", "tc qdisc show dev eth0; nft --stateless list ruleset");
        let before = set(&host);
        let number = host.json_in("web", "ip -j link show dev eth0")[0]["link_index"].clone();
        let all = host.json("ip -j link");
        let veth = all.as_array().unwrap().iter().find(|link| link["ifindex"] == number).unwrap()["ifname"].as_str().unwrap().to_owned();
        host.sh(&format!("ip link delete {veth}"));
        pontoon.run("restore");
        assert!(host.pings("host", "10.5.0.2") || host.pings("host", "10.5.0.2"));
        assert_eq!(set(&host), before);
        // Taken away by hand, though the link stays.
        host.sh("tc -n web qdisc delete dev eth0 root");
        host.sh_in("web", "nft flush ruleset");
        let said = pontoon.run("restore");
        let repaired = "repaired: `eth0` in web on blue has its queueing discipline no longer\n\
                        repaired: `eth0` in web on blue has the rule that drops what leaves it no longer";
        assert_eq!(said, repaired);
        assert_eq!(set(&host), before);
        assert_eq!(pontoon.run("restore"), "everything is as it should be");
        // One of somebody else's stays.
        host.sh("tc -n web qdisc replace dev eth0 root handle 1: pfifo limit 100");
        let output = pontoon.attempt("restore");
        assert!(String::from_utf8_lossy(&output.stderr).contains("another queueing discipline"), "{output:?}");
        assert!(host.sh_in("web", "tc qdisc show dev eth0").contains("pfifo"));
    }

    fn killed_half_way_it_is_done_or_undone(host: Host) {
        let pontoon = web_and_db(&host);
        let before = inside(&host, "web");
        for at in 0.. {
            let output = pontoon.command("impair web --rate 10mbit --loss 1%").env("PONTOON_TEST_KILL_AT", at.to_string()).output().unwrap();
            // Any next command repairs.
            pontoon.attempt("network ls");
            match pontoon.run("impair web").as_str() {
                "web:eth0 nothing" => before.assert_unchanged(&inside(&host, "web")),
                "web:eth0 rate 10mbit loss 1%" => {
                    assert!(host.sh_in("web", "tc qdisc; nft list ruleset").contains("7074:"));
                    pontoon.run("impair web --clear");
                }
                other => panic!("killed at {at}: {other}"),
            }
            before.assert_unchanged(&inside(&host, "web"));
            if output.status.success() {
                assert!(at > 3, "{at}");
                return;
            }
        }
    }

    fn a_dry_run_shows_what_is_typed_and_changes_nothing(host: Host) {
        let pontoon = web_and_db(&host);
        let before = inside(&host, "web");
        let said = pontoon.run("impair web --rate 10mbit --delay 20ms --loss 1% --dry-run");
        for typed in [
            "tc -n web qdisc replace dev eth0 root handle 7076: tbf rate 10mbit burst 12500b limit 137500b",
            "tc -n web qdisc replace dev eth0 parent 7076:1 handle 7077: netem delay 20ms limit 2000",
            "ip netns exec web nft add rule netdev pontoon-eth0 leaving numgen random mod 1000000 '< 10000 drop'",
        ] {
            assert!(said.contains(typed), "{said}");
        }
        before.assert_unchanged(&inside(&host, "web"));
        assert_eq!(pontoon.run("impair web"), "web:eth0 nothing");
    }
}
