//! Many at once, killed half-way, gone without a word, not allowed: nothing is lost and nothing is left.

use std::collections::BTreeSet;
use std::process::Child;

use pontoon_e2e::{Pontoon, becomes_as_before, eventually, state};
use pontoon_testkit::{Host, sandboxed};

/// Kills a command at its first checkpoint, then at its second, and so on until it gets through; each time any next
/// command must put everything right.
fn killed_anywhere(host: &Host, pontoon: &Pontoon<'_>, command: &str, undo: &str) -> u32 {
    // Once unhurt, so that what stays for good (`/run/netns`) is there.
    pontoon.run(command);
    pontoon.run(undo);
    eventually("the links are gone", || host.sh("ip -o link show type veth").is_empty());
    let before = state(host);
    for at in 0_u32.. {
        let output = pontoon.command(command).env("PONTOON_TEST_KILL_AT", at.to_string()).output().unwrap();
        if output.status.success() {
            pontoon.run(undo);
            return at;
        }
        // Some are done when they are killed, and the next command has nothing to repair.
        let repaired = pontoon.attempt("network ls");
        assert!(
            repaired.status.success(),
            "{command} killed at {at}: {}",
            String::from_utf8_lossy(&repaired.stderr)
        );
        pontoon.attempt("ps");
        if !before.changes(&state(host)).is_empty() {
            pontoon.attempt(undo);
        }
        eprintln!("`{command}` killed at {at}:");
        becomes_as_before(host, &before);
        assert!(at < 200, "{command} never gets through");
    }
    unreachable!("the loop ends by returning")
}

sandboxed! {
    fn a_network_killed_in_the_making_leaves_nothing(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create first");
        assert!(killed_anywhere(&host, &pontoon, "network create --ipv6 blue", "network rm blue") > 5);
        assert_eq!(pontoon.run("network ls -q --filter type=custom").lines().count(), 1);
    }

    fn a_connection_killed_in_the_making_leaves_nothing(host: Host) {
        host.sh("ip netns add theirs; ip -n theirs link set lo up");
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create --ipv6 --subnet 10.5.0.0/30 blue");
        let passed = killed_anywhere(&host, &pontoon, "network connect blue netns:theirs", "network disconnect blue netns:theirs");
        assert!(passed > 8, "{passed}");
        // The network's only address was never lost.
        pontoon.run("network connect blue netns:theirs");
    }

    fn a_disconnection_killed_half_way_is_finished(host: Host) {
        host.sh("ip netns add theirs; ip -n theirs link set lo up");
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create --ipv6 blue");
        pontoon.run("network connect blue netns:theirs");
        pontoon.run("network disconnect blue netns:theirs");
        let before = state(&host);
        for at in 0..20 {
            pontoon.run("network connect blue netns:theirs");
            let output = pontoon.command("network disconnect blue netns:theirs").env("PONTOON_TEST_KILL_AT", at.to_string()).output().unwrap();
            pontoon.attempt("network ls");
            before.assert_unchanged(&state(&host));
            if output.status.success() {
                assert!(at > 3, "{at}");
                return;
            }
        }
        panic!("it never gets through");
    }

    fn a_container_killed_in_the_making_leaves_nothing(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create blue");
        pontoon.run("network create red");
        let run = "run --rm --name web --network blue --network red -- true";
        assert!(killed_anywhere(&host, &pontoon, run, "ps -a") > 8);
        assert_eq!(pontoon.run("ps -a -q"), "");
        pontoon.run("network rm blue red");
    }

    fn a_killed_keeper_is_noticed(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create blue");
        pontoon.run("run -d --name web --network blue -- sleep 100");
        let pid = pontoon.run("inspect --format '{{.State.Pid}}' web");
        let keeper = host.sh(&format!("cut -d' ' -f4 /proc/{pid}/stat"));
        host.sh(&format!("kill -9 {}", keeper.trim()));
        assert!(host.pings("host", &pontoon.address("blue", "web")), "the container runs on");
        host.sh(&format!("kill -9 {pid}"));
        eventually("it is seen to have ended", || String::from_utf8_lossy(&pontoon.attempt("ps -a").stdout).contains("Exited"));
        eventually("its network is gone", || host.sh("ip -o link show type veth").is_empty());
        pontoon.run("rm web");
        pontoon.run("network rm blue");
    }

    fn fifty_at_once_all_get_an_address_of_their_own(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create --ipv6 blue");
        host.sh("for i in $(seq 50); do ip netns add n$i; done");
        let start = |number: u32| pontoon.start(&format!("network connect blue netns:n{number}"));
        let children: Vec<Child> = (1..=50).map(start).collect();
        for child in children {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        let inspected = pontoon.json("network inspect blue");
        let members = inspected[0]["Containers"].as_object().unwrap();
        for key in ["IPv4Address", "IPv6Address", "MacAddress"] {
            let different: BTreeSet<&str> = members.values().map(|member| member[key].as_str().unwrap()).collect();
            assert_eq!(different.len(), 50, "{key}");
        }
        for number in [1, 25, 50] {
            assert!(host.pings(&format!("n{number}"), "172.17.0.1"));
        }
    }

    fn thirty_containers_at_once(host: Host) {
        let pontoon = Pontoon::on(&host);
        let children: Vec<Child> = (0..30).map(|number| pontoon.start(&format!("run --rm --name c{number} -- true"))).collect();
        for child in children {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        eventually("all is tidied up", || pontoon.run("ps -a -q").is_empty() && host.sh("ip -o link show type veth").is_empty());
    }

    fn what_is_gone_already_does_not_hinder_a_disconnect(host: Host) {
        let pontoon = Pontoon::on(&host);
        // The namespace.
        pontoon.run("network create -o com.docker.network.bridge.name=blue0 --ipv6 blue");
        host.sh("ip netns add a && ip netns add b && ip netns add c");
        for name in ["a", "b", "c"] {
            pontoon.run(&format!("network connect blue netns:{name}"));
        }
        host.sh("ip netns delete a");
        eventually("its link is gone", || host.sh("ip -o link show type veth").lines().count() == 2);
        pontoon.run("network disconnect blue netns:a");
        // The link.
        host.sh("ip -n b link delete eth0");
        pontoon.run("network disconnect blue netns:b");
        // The bridge.
        host.sh("ip link delete blue0");
        pontoon.run("network disconnect blue netns:c");
        pontoon.run("network rm blue");
        assert_eq!(host.sh("ip -o link show type veth; ip -o link show type bridge"), "");
    }

    fn endpoints_of_namespaces_that_vanished_do_not_hold_a_network(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create blue");
        host.sh("ip netns add a");
        pontoon.run("network connect blue netns:a");
        host.sh("ip netns delete a");
        eventually("its link is gone", || host.sh("ip -o link show type veth").is_empty());
        let output = pontoon.attempt("network rm blue");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn a_dry_run_changes_nothing_and_says_what_it_would_do(host: Host) {
        host.sh("ip netns add a");
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create blue");
        pontoon.run("run -d --name web --network blue -- sleep 100");
        let before = host.snapshot().without("/run/pontoon");
        for (command, shown) in [
            ("network create --subnet 10.44.0.0/24 red", "ip link add"),
            ("network connect blue netns:a", "ip -n a link set dev eth0 up"),
            ("network disconnect blue web", "ip link delete dev veth"),
            ("network prune -f", ""),
            ("run --name db --network blue -- true", "ip netns add db"),
            ("link web netns:a", "type veth peer name"),
            ("system prune -f", ""),
        ] {
            let said = pontoon.run(&format!("{command} --dry-run").replace(" -- true --dry-run", " --dry-run -- true"));
            assert!(said.contains(shown), "{command}:\n{said}");
            before.assert_unchanged(&state(&host));
        }
        let steps = pontoon.json("network connect --dry-run --format json blue netns:a");
        assert!(!steps.as_array().or_else(|| steps["steps"].as_array()).unwrap().is_empty(), "{steps:#}");
        assert_eq!(pontoon.run("network ls -q --filter name=red"), "");
    }

    fn errors_name_the_thing_and_say_what_to_do(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create blue");
        for (command, named) in [
            ("network create blue", "`blue`"),
            ("network create -blue", "-b"),
            ("network create 'a b'", "`a b`"),
            ("network create --subnet 10.0.0.1/8 red", "did you mean 10.0.0.0/8?"),
            ("network create --subnet 10.0.0.0/33 red", "`10.0.0.0/33`"),
            ("network create --subnet 10.0.0.0/24 --gateway 10.1.0.1 red", "10.1.0.1"),
            ("network create --subnet 10.0.0.0/24 --subnet 10.1.0.0/24 red", "2 IPv4 subnets"),
            ("network create --ipv4=false red", "IPv4 or IPv6"),
            ("network create -o com.docker.network.bridge.enable_ic=1 red", "com.docker.network.bridge.enable_icc"),
            ("network create -o com.docker.network.driver.mtu=12 red", "`12`"),
            ("network create -d overlay red", "overlay"),
            ("network create -o com.docker.network.bridge.name=lo red", "`lo`"),
            ("network rm bleu", "did you mean blue?"),
            ("network inspect bleu", "`bleu`"),
            ("network connect blue nobody", "`nobody`"),
            ("network connect blue pid:999999", "999999"),
            ("network connect blue netns:nobody", "nobody"),
            ("network connect blue netns:/etc/passwd", "/etc/passwd"),
            ("network connect blue docker:web", "/var/run/docker.sock"),
            ("network connect host nobody", "host"),
            ("exec nobody -- true", "`nobody`"),
            ("network ls --filter colour=red", "colour"),
            ("network ls --format {{.Nmae}}", "Nmae"),
        ] {
            let (code, said) = pontoon.fail(command);
            assert!((1..=125).contains(&code) && said.starts_with("error: ") && said.contains(named), "{command}: {code}\n{said}");
        }
        assert_eq!(pontoon.run("network ls -q --filter type=custom").lines().count(), 1);
    }

    fn without_privileges_the_missing_one_is_named(host: Host) {
        host.need("setpriv");
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create blue");
        let program = pontoon_e2e::program();
        let drop_all = format!("setpriv --inh-caps=-all --bounding-set=-all --ambient-caps=-all --no-new-privs {}", program.display());
        let output = host.try_sh(&format!("{drop_all} network create red"));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && said.contains("CAP_NET_ADMIN") && said.contains("pontoon lab"), "{said}");
        assert!(host.try_sh(&format!("{drop_all} network ls")).status.success());
    }

    fn the_first_packet_passes(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create --ipv6 blue");
        for number in 0..10 {
            host.sh(&format!("ip netns add n{number}"));
            pontoon.run(&format!("network connect blue netns:n{number}"));
            let (v4, v6) = (pontoon.address("blue", &format!("netns-n{number}")), pontoon.address6("blue", &format!("netns-n{number}")));
            host.sh(&format!("ping -c 1 -W 0.5 -q {v4} && ping -c 1 -W 0.5 -q {v6}"));
            host.sh_in(&format!("n{number}"), "ping -c 1 -W 0.5 -q 172.17.0.1");
        }
    }

    fn a_new_holder_of_an_address_is_announced(host: Host) {
        host.sh("ip netns add a && ip netns add b && ip netns add c");
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create --ipv6 --subnet 10.6.0.0/24 --subnet fd06::/64 blue");
        pontoon.run("network connect blue netns:a");
        pontoon.run("network connect --ip 10.6.0.9 --ip6 fd06::9 --mac-address 02:00:00:00:00:01 blue netns:b");
        assert!(host.pings("a", "10.6.0.9") && host.pings("a", "fd06::9"));
        pontoon.run("network disconnect blue netns:b");
        pontoon.run("network connect --ip 10.6.0.9 --ip6 fd06::9 --mac-address 02:00:00:00:00:02 blue netns:c");
        // Nobody asked again: the neighbours were told.
        for address in ["10.6.0.9", "fd06::9"] {
            eventually("the neighbour knows the new holder", || host.sh(&format!("ip -n a neighbour show {address}")).contains("02:00:00:00:00:02"));
        }
    }
}
