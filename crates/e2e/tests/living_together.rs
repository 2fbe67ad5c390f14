//! With others on the host, and with other commands at the same time.

use std::process::Child;

use pontoon_e2e::{Pontoon, eventually};
use pontoon_testkit::sandboxed;

sandboxed! {
    fn a_prune_leaves_every_bridge_of_a_large_network(host: Host) {
        host.sh("ip netns add near && ip netns add far");
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create --subnet 10.8.0.0/16 large");
        pontoon.run("network connect large netns:near");
        pontoon.run("network connect --ip 10.8.100.1 large netns:far");
        pontoon.run("system prune -f");
        assert!(host.pings("near", "10.8.100.1"));
        pontoon.run("network disconnect large netns:far");
        pontoon.run("network connect --ip 10.8.100.2 large netns:far");
        pontoon.run("network disconnect large netns:far");
        pontoon.run("network disconnect large netns:near");
        pontoon.run("network rm large");
        assert_eq!(host.sh("ip -o link show type bridge; ip -o link show type veth"), "");
    }

    fn containers_start_while_everything_unused_is_pruned(host: Host) {
        let pontoon = Pontoon::on(&host);
        for round in 0..15 {
            let starting = pontoon.start(&format!("run -d --name c{round} -- sleep 100"));
            let pruning = pontoon.start("system prune -f");
            for child in [starting, pruning] {
                let output = child.wait_with_output().unwrap();
                assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            }
            let address = pontoon.address("bridge", &format!("c{round}"));
            assert!(host.pings("host", &address));
            assert_eq!(host.sh("sysctl -n net.ipv4.ip_forward").trim(), "1");
            assert!(host.sh("nft list table inet pontoon").contains("masquerade"));
            pontoon.run(&format!("rm -f c{round}"));
        }
    }

    fn two_commands_connect_one_new_namespace(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create --subnet 10.1.0.0/24 aaa");
        pontoon.run("network create --subnet 10.2.0.0/24 bbb");
        for round in 0..10 {
            host.sh("ip netns add theirs");
            let children: Vec<Child> = ["aaa", "bbb"].map(|network| pontoon.start(&format!("network connect {network} netns:theirs"))).into();
            for child in children {
                let output = child.wait_with_output().unwrap();
                assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            }
            let way_out = host.sh("ip -n theirs route show default");
            assert!(way_out.contains("via 10.1.0.1"), "round {round}: {way_out}");
            pontoon.run("network disconnect aaa netns:theirs");
            pontoon.run("network disconnect bbb netns:theirs");
            host.sh("ip netns delete theirs");
        }
    }

    fn a_default_route_of_others_stays(host: Host) {
        host.sh("ip netns add theirs && ip link add up0 type veth peer name up1 netns theirs");
        host.sh("ip -n theirs address add 10.250.0.2/24 dev up1 && ip -n theirs link set up1 up && ip link set up0 up");
        host.sh("ip -n theirs route add default via 10.250.0.1");
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create blue");
        pontoon.run("network create red");
        let theirs = || host.sh("ip -n theirs route show default").trim().to_owned();
        let before = theirs();
        let output = pontoon.attempt("network connect blue netns:theirs");
        assert!(String::from_utf8_lossy(&output.stderr).contains("default route of its own"));
        pontoon.run("network connect red netns:theirs");
        assert_eq!(theirs(), before);
        let (code, said) = pontoon.fail("link --gateway-b 10.0.0.1 host=10.0.0.1/30 netns:theirs=10.0.0.2/30");
        assert!(code == 1 && said.contains("already has a default route"), "{said}");
        for network in ["blue", "red"] {
            pontoon.run(&format!("network disconnect {network} netns:theirs"));
            assert_eq!(theirs(), before);
        }
    }

    fn rules_that_were_flushed_come_back(host: Host) {
        host.uplink();
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create --subnet 10.1.0.0/24 one");
        pontoon.run("network create --subnet 10.2.0.0/24 two");
        pontoon.run("run -d --name web --network one -- sleep 100");
        // It would put back at once what somebody changes.
        pontoon.run("daemon stop");
        for mend in ["restore", "network create three"] {
            host.sh("nft flush ruleset");
            assert!(!host.pings("web", "198.51.100.10"), "without masquerade, no answer comes back");
            pontoon.run(mend);
            assert!(host.pings("web", "198.51.100.10"), "{mend}");
        }
    }

    fn somebody_elses_bridge_is_not_taken_for_ours(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create -o com.docker.network.bridge.name=shared0 blue");
        pontoon.run("network create red");
        // A reboot, after which somebody else is faster.
        host.sh("ip link delete shared0; nft flush ruleset; rm -rf /run/pontoon; ip link add shared0 type bridge");
        let output = pontoon.attempt("restore");
        assert!(String::from_utf8_lossy(&output.stderr).contains("`shared0`"));
        assert_eq!(host.sh("ip -o -4 address show dev shared0"), "");
        pontoon.attempt("network rm blue");
        assert!(host.try_sh("ip link show dev shared0").status.success());
    }

    fn a_namespace_with_the_number_of_a_former_one_is_another(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create blue");
        for round in 0..10 {
            host.sh("ip netns add theirs");
            pontoon.run("network connect blue netns:theirs");
            host.sh("ip netns delete theirs");
            eventually("its link is gone", || host.sh("ip -o link show type veth").is_empty());
            // The kernel likes to give the number out again.
            host.sh("ip netns add theirs");
            pontoon.run("network connect blue netns:theirs");
            assert!(host.pings("theirs", "172.17.0.1"), "round {round}");
            pontoon.run("network disconnect blue netns:theirs");
            host.sh("ip netns delete theirs");
        }
        // Nor is a container that has ended.
        pontoon.run("run --name done -- true");
        eventually("it is tidied up after", || host.sh("ip netns list").is_empty());
        for round in 0..5 {
            host.sh(&format!("ip netns add n{round}"));
            pontoon.run(&format!("network connect blue netns:n{round}"));
        }
        pontoon.run("rm done");
    }

    fn a_lost_cable_is_forgotten(host: Host) {
        host.sh("ip netns add theirs");
        let pontoon = Pontoon::on(&host);
        pontoon.run("link host:cable0=10.0.0.1/30 netns:theirs=10.0.0.2/30");
        host.sh("ip netns delete theirs");
        eventually("the host's end is gone too", || !host.try_sh("ip link show dev cable0").status.success());
        pontoon.run("unlink host netns:theirs");
        host.sh("ip netns add theirs");
        pontoon.run("link host:cable0=10.0.0.1/30 netns:theirs=10.0.0.2/30");
        assert!(host.pings("theirs", "10.0.0.1"));
    }

    fn a_shared_namespace_outlives_its_first_container(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("run -d --name first -- sleep 100");
        pontoon.run("run -d --name second --network container:first -- sleep 100");
        pontoon.run("stop -t 0 first");
        assert_eq!(pontoon.run("run --rm --network container:second -- ls /sys/class/net"), "lo");
        pontoon.run("rm -f second first");
    }

    fn a_process_is_not_left_behind_when_its_start_is_cut_off(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create blue");
        for at in 0..40 {
            let output = pontoon.command("run -d --name web --network blue -- sleep 4321").env("PONTOON_TEST_KILL_AT", at.to_string()).output().unwrap();
            if output.status.success() {
                break;
            }
            pontoon.attempt("ps");
            eventually("the process is gone", || !host.try_sh("pgrep -x sleep").status.success());
            assert_eq!(pontoon.run("ps -a -q"), "", "killed at {at}");
        }
    }
}
