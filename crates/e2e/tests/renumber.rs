//! A VPN comes up over a network: it is noticed, and both ways out work.

use pontoon_e2e::{Pontoon, eventually, state};
use pontoon_testkit::{Host, sandboxed};

/// The host's addresses, as `Host::uplink` gives them.
const HOST4: &str = "192.0.2.2";
const HOST6: &str = "[2001:db8:1::2]";

/// A tunnel that ends nowhere, with routes by it.
fn vpn(host: &Host, routes: &[&str]) {
    host.sh("ip link add tun0 type veth peer name far0 && ip link set tun0 up && ip link set far0 up");
    for route in routes {
        host.sh(&format!("ip route add {route} dev tun0"));
    }
}

/// What a command says on standard error, when it succeeds.
#[track_caller]
fn said(pontoon: &Pontoon<'_>, words: &str) -> String {
    let output = pontoon.attempt(words);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{words}: {said}");
    said
}

/// The networks with `web` on them, both families, and two published ports.
fn set_up(host: &Host, pontoon: &Pontoon<'_>) {
    host.uplink();
    pontoon.run("network create --ipv6 --subnet 10.44.0.0/24 --subnet fd44::/64 blue");
    pontoon.run("network create --subnet 10.55.0.0/24 red");
    pontoon.run("run -d --name web --network blue -p 8080:80 -p 5353:53/udp -- sleep 1000");
    pontoon.run("run -d --name db --network blue:ip=10.44.0.77 --network red -- sleep 1000");
}

/// Everybody is reached and reaches the outside, where the network is now.
#[track_caller]
fn all_is_well(host: &Host, pontoon: &Pontoon<'_>) {
    let servers = (host.serve("web", 80, "hello"), host.serve_udp("web", 53, "hello"));
    for place in ["outside", "host", "db", "web"] {
        for address in [HOST4, HOST6] {
            let reply = host.fetch(place, &format!("{address}:8080"));
            assert!(reply.is_ok(), "{place} does not reach {address}: {reply:?}");
        }
        let reply = host.ask_udp(place, &format!("{HOST4}:5353"));
        assert!(reply.is_ok(), "{place}: {reply:?}");
    }
    let (web, web6) = (pontoon.address("blue", "web"), pontoon.address6("blue", "web"));
    assert!(
        host.fetch("db", &format!("{web}:80")).is_ok() && host.fetch("db", &format!("[{web6}]:80")).is_ok()
    );
    for place in ["web", "db"] {
        assert!(host.pings(place, "198.51.100.10") && host.pings(place, "2001:db8:2::10"), "{place}");
        let own = [pontoon.address("blue", place), pontoon.address6("blue", place)];
        assert!(own.iter().all(|address| host.pings("host", address)), "{place} at {own:?}");
    }
    drop(servers);
}

/// A host's state but for Pontoon's own files, learned neighbours aside, and that of its containers.
fn all(host: &Host) -> Vec<pontoon_testkit::Snapshot> {
    let inside = ["web", "db"].map(|place| host.snapshot_of(place).without("/run/pontoon"));
    [vec![state(host)], inside.to_vec()].concat()
}

sandboxed! {
    fn a_vpn_over_a_network_is_noticed_and_both_ways_out_work(host: Host) {
        let pontoon = Pontoon::on(&host);
        set_up(&host, &pontoon);
        all_is_well(&host, &pontoon);
        vpn(&host, &["10.44.0.64/26", "10.44.0.0/16", "0.0.0.0/1", "128.0.0.0/1"]);
        assert!(!host.pings("host", "10.44.0.77") && host.pings("host", "10.44.0.2"));
        // It is told once, with who is concerned; the wider one and OpenVPN's halves do no harm.
        let warned = said(&pontoon, "network ls");
        assert_eq!(warned.matches("warning: ").count(), 1, "{warned}");
        assert!(warned.contains("network `blue` (10.44.0.0/24): the host's route to 10.44.0.64/26 via tun0 takes packets for db (10.44.0.77)"), "{warned}");
        assert!(said(&pontoon, "network ls -v").contains("note: network `blue` (10.44.0.0/24): the host's route to 10.44.0.0/16 via tun0 is wider"));
        assert_eq!(said(&pontoon, "network ls --filter name=red"), "");
        let listed = String::from_utf8_lossy(&pontoon.attempt("network ls --format json --filter name=blue").stdout).into_owned();
        assert!(listed.contains(r#""Conflicts":"the host's route to 10.44.0.64/26 via tun0; "#), "{listed}");
        let inspected = pontoon.json("network inspect blue");
        let conflict = &inspected[0]["Conflicts"][0];
        assert_eq!((&conflict["Code"], &conflict["Severity"]), (&"route-inside".into(), &"breaks".into()));
        assert_eq!(pontoon.json("inspect red")[0]["Conflicts"], serde_json::json!([]));
        // The first way out, as it is printed.
        let hint = warned.lines().find_map(|line| line.strip_prefix("hint: `")).unwrap();
        let (finer, renumber) = hint.trim_end_matches('`').split_once("`, or move the network: `").unwrap();
        host.sh(finer);
        assert!(host.pings("host", "10.44.0.77"));
        assert_eq!(said(&pontoon, "network ls"), "");
        host.sh(&finer.replace("replace", "delete"));
        host.sh("ip route delete 0.0.0.0/1; ip route delete 128.0.0.0/1");
        // The second, as it is printed.
        let moved = pontoon.run(renumber.strip_prefix("pontoon ").unwrap());
        assert!(moved.contains("blue 10.44.0.0/24 → 172.17.0.0/24\n") && moved.contains("db 10.44.0.77 → 172.17.0.77\n"), "{moved}");
        assert!(!moved.contains("fd44"), "the other family stays: {moved}");
        assert_eq!(pontoon.address6("blue", "web"), "fd44::2");
        assert_eq!(said(&pontoon, "network ls"), "");
        all_is_well(&host, &pontoon);
        host.sh("ip link delete tun0");
        pontoon.run("rm -f web db");
        pontoon.run("network rm blue red");
    }

    fn a_table_that_is_asked_first_is_noticed_and_a_rule_is_the_way_out(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create --subnet 10.44.0.0/24 blue");
        pontoon.run("run -d --name web --network blue -- sleep 1000");
        vpn(&host, &["10.0.0.0/8 table 52"]);
        assert_eq!(said(&pontoon, "network ls"), "", "nobody asks that table");
        // As Tailscale does.
        host.sh("ip rule add priority 5270 lookup 52");
        assert!(!host.pings("host", "10.44.0.2"));
        let warned = said(&pontoon, "network ls");
        let rule = "ip rule add to 10.44.0.0/24 lookup main priority 5269";
        assert!(warned.contains("in table 52 is asked before ours, and takes packets for web (10.44.0.2)") && warned.contains(rule), "{warned}");
        host.sh(rule);
        assert!(host.pings("host", "10.44.0.2"));
        assert_eq!(said(&pontoon, "network ls"), "");
        // As wg-quick does: the main table first, but for its default route.
        host.sh("ip rule delete priority 5269; ip rule delete priority 5270; ip rule add priority 32764 lookup main suppress_prefixlength 0; ip rule add priority 32765 not fwmark 0xca6c lookup 52");
        assert!(host.pings("host", "10.44.0.2"));
        assert_eq!(said(&pontoon, "network ls"), "");
    }

    fn a_network_moves_with_everybody_on_it(host: Host) {
        let pontoon = Pontoon::on(&host);
        set_up(&host, &pontoon);
        host.sh("ip netns add theirs && ip netns add routed && ip -n routed link add up0 type bridge && ip -n routed address add 192.0.2.77/24 dev up0 && ip -n routed link set up0 up && ip -n routed route add default via 192.0.2.78");
        pontoon.run("network connect blue netns:theirs");
        let _ = pontoon.attempt("network connect blue netns:routed");
        let red = host.sh_in("db", "ip -4 route show dev eth1");
        let moved = pontoon.run("network renumber --subnet 10.66.0.0/16 --subnet fd66::/64 --gateway 10.66.0.254 blue");
        for line in ["blue 10.44.0.0/24 → 10.66.0.0/16", "blue fd44::/64 → fd66::/64", "web 10.44.0.2 → 10.66.0.2", "web fd44::2 → fd66::2", "db 10.44.0.77 → 10.66.0.77", "netns-theirs 10.44.0.3 → 10.66.0.3", "Connections to and from the old addresses have ended."] {
            assert!(moved.contains(line), "{line}: {moved}");
        }
        all_is_well(&host, &pontoon);
        assert!(host.pings("theirs", "10.66.0.2") && host.pings("theirs", "fd66::2"));
        for (place, route) in [("web", "default via 10.66.0.254 dev eth0"), ("theirs", "default via 10.66.0.254 dev eth0"), ("routed", "default via 192.0.2.78 dev up0")] {
            assert!(host.sh_in(place, "ip -4 route").contains(route), "{place}");
        }
        assert_eq!(host.sh_in("db", "ip -4 route show dev eth1"), red, "its other network is as it was");
        // Nothing is left of where it was.
        for place in ["host", "web", "db", "theirs", "routed"] {
            let left = host.sh_in(place, "ip address; ip -4 route show table all; ip -6 route show table all; ip neighbour show nud permanent; nft list ruleset");
            let old = left.lines().find(|line| line.contains("10.44.0.") || line.contains("fd44:"));
            assert_eq!(old, None, "{place}");
        }
        // Its own names, also in the container that runs, with what somebody added.
        assert!(pontoon.run("exec web -- cat /etc/hosts").contains("10.66.0.2\tweb\nfd66::2\tweb"));
        assert!(host.sh("cat /etc/netns/web/hosts").contains("10.66.0.2\tweb\nfd66::2\tweb"));
        // Who comes next is in the new subnet, and nobody's address is given twice.
        pontoon.run("run -d --name next --network blue -- sleep 1000");
        assert_eq!((pontoon.address("blue", "next"), pontoon.address6("blue", "next")), ("10.66.0.1".into(), "fd66::6".into()));
        assert!(host.pings("web", "10.66.0.1"));
        // It comes back; what was there once may be had again.
        pontoon.run("rm -f next");
        let back = pontoon.run("network renumber --subnet 10.44.0.0/24 --gateway 10.44.0.1 --format json blue");
        let back: serde_json::Value = serde_json::from_str(&back).unwrap();
        assert_eq!((&back["Subnets"][0]["After"], &back["Subnets"][0]["Gateway"]), (&"10.44.0.0/24".into(), &"10.44.0.1".into()));
        all_is_well(&host, &pontoon);
        pontoon.run("rm -f web db");
        pontoon.run("network disconnect blue netns:theirs");
        pontoon.run("network disconnect blue netns:routed");
        pontoon.run("network rm blue red");
    }

    fn what_is_unknown_or_in_the_way_is_refused_and_changes_nothing(host: Host) {
        let pontoon = Pontoon::on(&host);
        set_up(&host, &pontoon);
        host.sh("ip route add 10.200.0.0/16 dev eth0");
        let before = all(&host);
        for (words, named) in [
            ("network renumber nowhere", "there is no network `nowhere`"),
            ("network renumber host", "cannot be renumbered"),
            ("network renumber --subnet 10.200.1.0/24 blue", "overlaps with the host's route to 10.200.0.0/16 via eth0\nhint: free are "),
            ("network renumber --subnet 10.55.0.0/24 blue", "overlaps with network `red` (10.55.0.0/24)"),
            ("network renumber --subnet 10.44.0.0/16 --allow-overlap blue", "overlaps with 10.44.0.0/24, which network `blue` has now"),
            ("network renumber --subnet 10.66.0.0/30 blue", "has 1 addresses for containers, and 2 are on the network"),
            ("network renumber --subnet fd66::/64 red", "network `red` has no IPv6 addresses"),
            ("network renumber --subnet 10.66.0.0/24 --gateway 10.67.0.1 blue", "10.67.0.1"),
            ("network renumber --subnet 10.66.0.1/24 blue", "host bits"),
            ("network renumber --subnet 10.66.0.0/24 --ip-range 10.67.0.0/28 blue", "10.67.0.0/28"),
        ] {
            let (code, said) = pontoon.fail(words);
            assert!(code == 1 && said.starts_with("error: ") && said.contains(named), "{words}: {said}");
        }
        for (before, after) in before.iter().zip(all(&host)) {
            before.assert_unchanged(&after);
        }
        // Nobody is kept out by what was refused.
        pontoon.run("run --rm --network blue -- true");
    }

    fn a_container_behind_another_bridge_keeps_its_place_or_the_network_its_subnet(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create --subnet 10.44.0.0/20 blue");
        pontoon.run("run -d --name far --network blue:ip=10.44.9.9 -- sleep 1000");
        pontoon.run("run -d --name near --network blue -- sleep 1000");
        let (_, said) = pontoon.fail("network renumber --subnet 10.66.0.0/24 blue");
        assert!(said.contains("container `far` cannot keep its place in 10.66.0.0/24") && said.contains("as large as"), "{said}");
        pontoon.run("network renumber --subnet 10.66.0.0/20 blue");
        assert_eq!(pontoon.address("blue", "far"), "10.66.9.9");
        assert!(host.pings("near", "10.66.9.9") && host.pings("host", "10.66.9.9"));
    }

    fn killed_at_any_step_the_network_is_here_or_there(host: Host) {
        let pontoon = Pontoon::on(&host);
        set_up(&host, &pontoon);
        // Once there and back, so that what stays for good is there.
        let to = |v4: &str, v6: &str| format!("network renumber --subnet {v4} --subnet {v6} blue");
        let (there, back) = (to("10.66.0.0/24", "fd66::/64"), to("10.44.0.0/24", "fd44::/64"));
        pontoon.run(&there);
        let moved = all(&host);
        pontoon.run(&back);
        let here = all(&host);
        let (mut undone, mut finished) = (0, 0);
        for at in 0_u32.. {
            let output = pontoon.command(&there).env("PONTOON_TEST_KILL_AT", at.to_string()).output().unwrap();
            let done = output.status.success();
            let repaired = said(&pontoon, "network ls");
            let is_there = pontoon.address("blue", "web") == "10.66.0.2";
            eprintln!("killed at {at}: {is_there}, {repaired}");
            for (wanted, now) in if is_there { &moved } else { &here }.iter().zip(all(&host)) {
                wanted.assert_unchanged(&now);
            }
            assert!(is_there || finished == 0, "what was moved once is moved from there on");
            (undone, finished) = (undone + u32::from(!is_there), finished + u32::from(is_there));
            // Containers may join again, and addresses are not lost.
            pontoon.run("run --rm --network blue -- true");
            if is_there {
                pontoon.run(&back);
            }
            if done {
                break;
            }
            assert!(at < 300, "it never gets through");
        }
        eprintln!("{undone} undone, {finished} finished");
        assert!(undone > 20 && finished > 10, "{undone} and {finished}");
        all_is_well(&host, &pontoon);
    }

    fn a_move_that_fails_half_way_is_undone(host: Host) {
        let pontoon = Pontoon::on(&host);
        set_up(&host, &pontoon);
        // It would put back at once what somebody changes.
        pontoon.run("daemon stop");
        // After `db` has moved: a link that is down has no neighbours and no routes.
        host.sh_in("web", "ip link set eth0 down");
        let before = all(&host);
        let (_, said) = pontoon.fail("network renumber --subnet 10.66.0.0/24 --subnet fd66::/64 blue");
        assert!(said.contains("could not finish: web"), "{said}");
        for (before, after) in before.iter().zip(all(&host)) {
            before.assert_unchanged(&after);
        }
        assert_eq!(pontoon.address("blue", "web"), "10.44.0.2");
        // What somebody else gave a container is seen before anything is changed.
        host.sh_in("web", "ip address add 10.66.0.2/32 dev eth0");
        let before = all(&host);
        let (_, said) = pontoon.fail("network renumber --subnet 10.66.0.0/24 blue");
        assert!(said.contains("container `web` has address 10.66.0.2 already"), "{said}");
        for (before, after) in before.iter().zip(all(&host)) {
            before.assert_unchanged(&after);
        }
    }

    fn a_dry_run_shows_the_move_and_typing_it_makes_it(host: Host) {
        let pontoon = Pontoon::on(&host);
        set_up(&host, &pontoon);
        // It would put back at once what somebody changes.
        pontoon.run("daemon stop");
        let words = "network renumber --subnet 10.66.0.0/24 --subnet fd66::/64 blue";
        let hosts = || host.sh("cat /etc/netns/web/hosts") + &pontoon.run("exec web -- cat /etc/hosts");
        pontoon.run(words);
        let (made, names) = (all(&host), hosts());
        pontoon.run("network renumber --subnet 10.44.0.0/24 --subnet fd44::/64 blue");
        let before = all(&host);
        let script = pontoon.run(&format!("{words} --dry-run"));
        pontoon.json(&format!("{words} --dry-run --format json"));
        for (before, after) in before.iter().zip(all(&host)) {
            before.assert_unchanged(&after);
        }
        host.sh(&script);
        for (made, typed) in made.iter().zip(all(&host)) {
            made.assert_unchanged(&typed);
        }
        assert_eq!(hosts(), names);
    }

    fn a_network_is_where_it_moved_to_after_a_reboot(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create --subnet 10.44.0.0/24 blue");
        pontoon.run("run -d --name web --network blue -- sleep 1000");
        pontoon.run("network renumber --subnet 10.66.0.0/24 blue");
        pontoon.run("rm -f web");
        eventually("its link is gone", || host.sh("ip -o link show type veth").is_empty());
        host.sh("rm -rf /run/pontoon; nft flush ruleset; for bridge in $(ip -o link show type bridge | cut -d: -f2); do ip link delete $bridge; done");
        pontoon.run("restore");
        assert_eq!(pontoon.run("network inspect --format '{{(index .IPAM.Config 0).Subnet}}' blue"), "10.66.0.0/24");
        assert!(host.sh("ip -4 address").contains("10.66.0.1/24"));
    }

    fn who_joins_or_leaves_meanwhile_waits(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create --subnet 10.44.0.0/24 blue");
        host.sh("for i in $(seq 12); do ip netns add n$i; done");
        for number in 1..=6 {
            pontoon.run(&format!("network connect blue netns:n{number}"));
        }
        let mut children = vec![pontoon.start("network renumber --subnet 10.66.0.0/24 blue")];
        children.extend((7..=12).map(|number| pontoon.start(&format!("network connect blue netns:n{number}"))));
        children.extend((1..=2).map(|number| pontoon.start(&format!("network disconnect blue netns:n{number}"))));
        for child in children {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        for number in 3..=12 {
            let address = pontoon.address("blue", &format!("netns-n{number}"));
            assert!(address.starts_with("10.66.0.") && host.pings("host", &address), "n{number} at {address}");
            let inside = host.sh_in(&format!("n{number}"), "ip -4 -o address show dev eth0");
            assert!(inside.contains(&format!("{address}/24")) && inside.lines().count() == 1, "n{number}: {inside}");
        }
    }
}
