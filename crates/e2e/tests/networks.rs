//! What a person does with networks and containers of any runtime.

use pontoon_e2e::{Pontoon, becomes_as_before, eventually, state};
use pontoon_testkit::sandboxed;

sandboxed! {
    fn two_containers_talk_over_a_bridge(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create blue");
        pontoon.run("run -d --name web --network blue -- sleep 100");
        pontoon.run("run -d --name db --network blue -- sleep 100");
        let page = host.serve("web", 8080, "hello from web");
        let address = pontoon.address("blue", "web");
        assert_eq!(host.fetch("db", &format!("{address}:8080")).unwrap().text.trim(), "hello from web");
        assert!(host.pings("db", &address));
        drop(page);
        pontoon.run("rm -f web db");
        pontoon.run("network rm blue");
    }

    fn the_host_reaches_a_container_and_a_container_the_host(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create --ipv6 blue");
        pontoon.run("run -d --name web --network blue -- sleep 100");
        let inspected = pontoon.json("network inspect blue");
        for config in inspected[0]["IPAM"]["Config"].as_array().unwrap() {
            assert!(host.pings("web", config["Gateway"].as_str().unwrap()));
        }
        assert!(host.pings("host", &pontoon.address("blue", "web")));
        assert!(host.pings("host", &pontoon.address6("blue", "web")));
    }

    fn a_container_reaches_the_outside_under_the_hosts_address(host: Host) {
        host.uplink();
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create --ipv6 blue");
        pontoon.run("run -d --name web --network blue -- sleep 100");
        let server = host.serve("outside", 80, "outside");
        let reply = host.fetch("web", "198.51.100.10:80").unwrap();
        assert_eq!(reply.seen_from.ip().to_string(), "192.0.2.2");
        let reply = host.fetch("web", "[2001:db8:2::10]:80").unwrap();
        assert_eq!(reply.seen_from.ip().to_string(), "2001:db8:1::2");
        drop(server);
    }

    fn an_unpublished_port_is_not_reached_by_routing_straight_to_it(host: Host) {
        host.uplink();
        let pontoon = Pontoon::on(&host);
        for (mode, reached) in [("nat", false), ("nat-unprotected", true), ("routed", false)] {
            pontoon.run(&format!("network create --subnet 10.50.0.0/24 -o com.docker.network.bridge.gateway_mode_ipv4={mode} blue"));
            pontoon.run("run -d --name web --network blue -- sleep 100");
            host.sh("ip -n router route replace 10.50.0.0/24 via 192.0.2.2; ip -n outside route replace 10.50.0.0/24 via 198.51.100.1");
            let page = host.serve("web", 8080, "hello");
            assert_eq!(host.fetch("outside", "10.50.0.2:8080").is_ok(), reached, "{mode}");
            assert_eq!(host.pings("outside", "10.50.0.2"), mode != "nat", "{mode}: ICMP");
            assert!(host.pings("web", "198.51.100.10"), "{mode}: the way out");
            drop(page);
            pontoon.run("rm -f web");
            pontoon.run("network rm blue");
        }
    }

    fn a_routed_network_keeps_its_addresses(host: Host) {
        host.uplink();
        host.sh("ip -n router route add 10.50.0.0/24 via 192.0.2.2");
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create --subnet 10.50.0.0/24 -o com.docker.network.bridge.gateway_mode_ipv4=routed blue");
        pontoon.run("run -d --name web --network blue -- sleep 100");
        let server = host.serve("outside", 80, "outside");
        assert_eq!(host.fetch("web", "198.51.100.10:80").unwrap().seen_from.ip().to_string(), "10.50.0.2");
        drop(server);
    }

    fn an_snat_address_is_what_the_outside_sees(host: Host) {
        host.uplink();
        host.sh("ip address add 192.0.2.77/24 dev eth0");
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create -o com.docker.network.host_ipv4=192.0.2.77 blue");
        pontoon.run("run -d --name web --network blue -- sleep 100");
        let server = host.serve("outside", 80, "outside");
        assert_eq!(host.fetch("web", "198.51.100.10:80").unwrap().seen_from.ip().to_string(), "192.0.2.77");
        drop(server);
    }

    fn networks_do_not_reach_each_other(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create blue");
        pontoon.run("network create red");
        pontoon.run("run -d --name a --network blue -- sleep 100");
        pontoon.run("run -d --name b --network red -- sleep 100");
        assert!(!host.pings("a", &pontoon.address("red", "b")));
    }

    fn a_network_without_icc_keeps_its_containers_apart(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create -o com.docker.network.bridge.enable_icc=false blue");
        pontoon.run("run -d --name a --network blue -- sleep 100");
        pontoon.run("run -d --name b --network blue -- sleep 100");
        assert!(!host.pings("a", &pontoon.address("blue", "b")));
        assert!(host.pings("host", &pontoon.address("blue", "b")));
    }

    fn an_internal_network_has_no_way_out(host: Host) {
        host.uplink();
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create --internal --subnet 10.60.0.0/24 cellar");
        pontoon.run("run -d --name a --network cellar -- sleep 100");
        pontoon.run("run -d --name b --network cellar -- sleep 100");
        assert!(host.pings("a", &pontoon.address("cellar", "b")));
        assert_eq!(host.sh("ip -n a route show default"), "");
        // Not even by a route that somebody adds.
        host.sh("ip -n a route add default via 10.60.0.1");
        assert!(!host.pings("a", "198.51.100.10"));
    }

    fn an_isolated_bridge_has_no_host_address(host: Host) {
        let pontoon = Pontoon::on(&host);
        let option = "-o com.docker.network.bridge.gateway_mode_ipv4=isolated -o com.docker.network.bridge.name=island0";
        pontoon.run(&format!("network create --internal {option} island"));
        pontoon.run("run -d --name a --network island -- sleep 100");
        pontoon.run("run -d --name b --network island -- sleep 100");
        assert!(host.pings("a", &pontoon.address("island", "b")));
        assert_eq!(host.sh("ip -4 -o address show dev island0"), "");
        assert!(!host.pings("host", &pontoon.address("island", "b")));
    }

    fn traffic_on_one_bridge_passes_whatever_br_netfilter_says(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create blue");
        pontoon.run("run -d --name a --network blue -- sleep 100");
        pontoon.run("run -d --name b --network blue -- sleep 100");
        for value in [0, 1] {
            host.sh(&format!("sysctl -qw net.bridge.bridge-nf-call-iptables={value}"));
            assert!(host.pings("a", &pontoon.address("blue", "b")), "bridge-nf-call-iptables={value}");
        }
    }

    fn containers_of_others_are_connected_by_pid_and_by_namespace(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create --ipv6 blue");
        host.sh("ip netns add theirs");
        let process = host.background("exec unshare -n sleep 100");
        eventually("it has a namespace of its own", || {
            host.sh(&format!("readlink /proc/{}/ns/net", process.pid())) != host.sh("readlink /proc/self/ns/net")
        });
        let pid = process.pid();
        pontoon.run("network connect blue netns:theirs");
        pontoon.run(&format!("network connect blue pid:{pid}"));
        let theirs = host.sh("ip -n theirs -4 -o address show dev eth0");
        let address = theirs.split_whitespace().nth(3).unwrap().split('/').next().unwrap();
        assert!(host.pings(&format!("pid:{pid}"), address));
        host.sh("ip netns add third");
        pontoon.run("network connect --ifname lan0 blue netns:/run/netns/third");
        assert!(host.pings("third", address));
        // As the host's own they are not to be had.
        let (code, said) = pontoon.fail("network connect blue pid:1");
        assert!(code == 1 && said.contains("the host's own network namespace"), "{said}");
        for (network, container) in [("blue", "netns:theirs"), ("blue", "netns:/run/netns/third")] {
            pontoon.run(&format!("network disconnect {network} {container}"));
        }
        pontoon.run(&format!("network disconnect blue pid:{pid}"));
        pontoon.run("network rm blue");
    }

    fn a_container_on_two_networks_has_the_default_route_that_was_chosen(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create --subnet 10.1.0.0/24 aaa");
        pontoon.run("network create --subnet 10.2.0.0/24 bbb");
        pontoon.run("network create --subnet 10.3.0.0/24 --internal ccc");
        pontoon.run("run -d --name web --network bbb -- sleep 100");
        let way_out = || host.sh("ip -n web route show default").trim().to_owned();
        assert!(way_out().contains("via 10.2.0.1 dev eth0"), "{}", way_out());
        pontoon.run("network connect ccc web");
        assert!(way_out().contains("via 10.2.0.1 dev eth0"), "{}", way_out());
        // Equal priorities: the network whose name comes first.
        pontoon.run("network connect aaa web");
        assert!(way_out().contains("via 10.1.0.1 dev eth2"), "{}", way_out());
        pontoon.run("network disconnect aaa web");
        assert!(way_out().contains("via 10.2.0.1 dev eth0"), "{}", way_out());
        pontoon.run("network connect --gw-priority -1 aaa web");
        assert!(way_out().contains("via 10.2.0.1 dev eth0"), "{}", way_out());
        pontoon.run("network disconnect bbb web");
        assert!(way_out().contains("via 10.1.0.1"), "{}", way_out());
        pontoon.run("network disconnect aaa web");
        assert_eq!(way_out(), "");
    }

    fn a_subnet_that_a_vpn_uses_is_never_taken(host: Host) {
        host.sh("ip link add vpn0 type bridge && ip link set vpn0 up && ip route add 172.16.0.0/12 dev vpn0 table 100");
        host.sh("ip route add 192.168.0.0/17 dev vpn0");
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create blue");
        let subnet = pontoon.run("network inspect --format '{{(index .IPAM.Config 0).Subnet}}' blue");
        assert_eq!(subnet, "192.168.128.0/20");
        let (code, said) = pontoon.fail("network create --subnet 172.20.0.0/16 red");
        assert!(code == 1 && said.contains("172.16.0.0/12") && said.contains("vpn0"), "{said}");
        assert!(said.contains("hint: ") && said.contains("--allow-overlap"), "{said}");
        pontoon.run("network create --subnet 172.20.0.0/16 --allow-overlap red");
        let (_, said) = pontoon.fail("network create --subnet 192.168.128.0/24 green");
        assert!(said.contains("`blue`"), "{said}");
    }

    fn addresses_can_be_asked_for(host: Host) {
        let pontoon = Pontoon::on(&host);
        let options = "--subnet 10.9.0.0/24 --ip-range 10.9.0.64/26 --gateway 10.9.0.200 --aux-address nas=10.9.0.65";
        pontoon.run(&format!("network create {options} blue"));
        pontoon.run("run -d --name auto --network blue -- sleep 100");
        assert_eq!(pontoon.address("blue", "auto"), "10.9.0.64");
        pontoon.run("run -d --name next --network blue -- sleep 100");
        assert_eq!(pontoon.address("blue", "next"), "10.9.0.66", "the second of the range is taken");
        pontoon.run("run -d --name web --network blue:ip=10.9.0.10,mac=02:00:00:00:00:10 -- sleep 100");
        assert_eq!(pontoon.address("blue", "web"), "10.9.0.10");
        assert!(host.sh("ip -n web link show dev eth0").contains("02:00:00:00:00:10"));
        for (ip, why) in [("10.9.0.10", "web"), ("10.9.0.200", "gateway"), ("10.9.0.65", "nas"), ("10.9.0.0", "network"), ("10.9.0.255", "broadcast"), ("10.8.0.1", "10.9.0.0/24")] {
            let (code, said) = pontoon.fail(&format!("run -d --name no --network blue:ip={ip} -- sleep 1"));
            assert!(code == 125 && said.contains(why), "{ip}: {code} {said}");
        }
        assert!(!pontoon.run("ps -a").contains("no"), "nothing is left of what failed");
    }

    fn link_local_addresses_can_be_had_besides(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create --subnet 10.9.0.0/24 blue");
        pontoon.run("run -d --name a --network blue:link-local-ip=169.254.8.8,link-local-ip=fe80::8 -- sleep 100");
        pontoon.run("run -d --name b --network blue --link-local-ip 169.254.8.9 --link-local-ip fe80::9 -- sleep 100");
        // Guarded as they are, both may send with them.
        assert!(host.pings("b", "169.254.8.8"));
        assert!(host.pings("b", "fe80::8%eth0"));
        assert!(host.pings("b", &pontoon.address("blue", "a")));
        let inspected = pontoon.json("inspect a");
        let settings = &inspected[0]["NetworkSettings"]["Networks"]["blue"];
        assert_eq!(settings["IPAMConfig"]["LinkLocalIPs"], serde_json::json!(["169.254.8.8", "fe80::8"]));
        for (ip, why) in [("169.254.8.8", "`a`"), ("127.0.0.5", "none that"), ("10.9.0.9", "10.9.0.0/24")] {
            let (code, said) = pontoon.fail(&format!("run -d --name no --network blue:link-local-ip={ip} -- sleep 1"));
            assert!(code == 125 && said.contains(why), "{ip}: {code} {said}");
        }
        // They are put back as all addresses are.
        host.sh("ip -n a address del 169.254.8.8/16 dev eth0");
        assert!(!host.pings("b", "169.254.8.8"));
        pontoon.run("restore");
        assert!(host.pings("b", "169.254.8.8"));
    }

    fn the_whole_life_of_a_network_leaves_no_trace(host: Host) {
        let before = state(&host);
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create --ipv6 --label tier=front blue");
        pontoon.run("network create --internal red");
        pontoon.run("run -d --name web --network blue -- sleep 100");
        pontoon.run("network connect red web");
        let (code, said) = pontoon.fail("network rm blue");
        assert!(code == 1 && said.contains("`web`"), "{said}");
        pontoon.run("network disconnect red web");
        pontoon.run("stop -t 0 web");
        pontoon.run("rm web");
        assert_eq!(pontoon.run("network prune -f"), "Deleted Networks:\nblue\nred");
        pontoon.run("system prune -f");
        becomes_as_before(&host, &before);
    }

    fn an_mtu_holds_for_bridge_and_containers(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create -o com.docker.network.driver.mtu=1300 -o com.docker.network.bridge.name=thin0 blue");
        pontoon.run("run -d --name web --network blue -- sleep 100");
        assert!(host.sh("ip link show dev thin0").contains("mtu 1300"));
        assert!(host.sh("ip -n web link show dev eth0").contains("mtu 1300"));
    }

    fn a_network_of_ipv6_alone(host: Host) {
        host.uplink();
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create --ipv4=false --ipv6 blue");
        pontoon.run("run -d --name a --network blue -- sleep 100");
        pontoon.run("run -d --name b --network blue -- sleep 100");
        assert!(host.pings("a", &pontoon.address6("blue", "b")));
        assert!(host.pings("a", "2001:db8:2::10"));
        assert_eq!(host.sh("ip -n a -4 -o address show dev eth0"), "");
        assert_eq!(host.sh_in("a", "sysctl -n net.ipv6.conf.eth0.accept_ra").trim(), "0");
    }

    fn the_smallest_subnets_hold_what_they_can(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create --subnet 10.7.0.0/31 two");
        pontoon.run("network create --subnet 10.7.0.4/30 four");
        for network in ["two", "four"] {
            pontoon.run(&format!("run -d --name {network} --network {network} -- sleep 100"));
            let gateway = pontoon.run(&format!("network inspect --format '{{{{(index .IPAM.Config 0).Gateway}}}}' {network}"));
            assert!(host.pings(network, &gateway));
            let (code, said) = pontoon.fail(&format!("run -d --network {network} -- sleep 1"));
            assert!(code == 125 && said.contains("no free address") && said.contains("hint: "), "{said}");
        }
    }

    fn an_mtu_may_be_too_small_for_ipv6(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create -o com.docker.network.driver.mtu=600 blue");
        pontoon.run("run -d --name web --network blue -- sleep 100");
        assert!(host.pings("host", &pontoon.address("blue", "web")));
        assert!(host.sh("ip -n web link show dev eth0").contains("mtu 600"));
        assert_eq!(pontoon.run("restore"), "everything is as it should be");
    }

    fn a_cables_mtu_is_that_of_both_ends(host: Host) {
        host.sh("ip netns add a && ip netns add b");
        let pontoon = Pontoon::on(&host);
        let before = pontoon_e2e::state(&host);
        for (mtu, addresses, named) in [
            ("67", "", "68 to 65535"),
            ("65536", "", "68 to 65535"),
            ("1279", "=fd00::1/64", "1280"),
            ("1279", " --gateway-b fe80::1", "1280"),
        ] {
            let (code, said) = pontoon.fail(&format!("link --mtu {mtu} netns:b netns:a{addresses}"));
            assert!(code == 1 && said.contains(named), "{mtu}{addresses}: {said}");
            before.assert_unchanged(&pontoon_e2e::state(&host));
        }
        for (mtu, addresses) in [("68", "=10.0.0.1/30"), ("1280", "=fd00::1/64"), ("65535", "")] {
            pontoon.run(&format!("link --mtu {mtu} netns:a:lan0{addresses} netns:b:lan0"));
            for place in ["a", "b"] {
                let link = host.sh(&format!("ip -n {place} link show dev lan0"));
                assert!(link.contains(&format!("mtu {mtu} ")), "{link}");
            }
            pontoon.run("unlink netns:a netns:b");
        }
    }

    fn a_cable_joins_two_containers_and_nothing_else(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("run -d --name a --network none -- sleep 100");
        host.sh("ip netns add b");
        pontoon.run("link a:lan0=10.0.0.1/30 netns:b:lan1=10.0.0.2/30");
        assert!(host.pings("a", "10.0.0.2"));
        assert_eq!(host.sh("ip -n a route show default"), "");
        assert_eq!(host.sh("ip -o link show type bridge"), "");
        pontoon.run("link a=10.0.1.1/31 host:cable0=10.0.1.0/31");
        assert!(host.pings("host", "10.0.1.1"));
        pontoon.run("unlink a netns:b");
        assert!(!host.try_sh("ip -n b link show dev lan1").status.success());
        pontoon.run("rm -f a");
        eventually("the host's end goes with the container", || !host.try_sh("ip link show dev cable0").status.success());
    }

    fn ip_forwarding_is_switched_back_by_a_prune(host: Host) {
        host.sh("sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0");
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create --internal cellar");
        assert_eq!(host.sh("sysctl -n net.ipv4.ip_forward").trim(), "0", "an internal network needs none");
        assert!(pontoon.run("network create --ipv6 --dry-run blue").contains("sysctl -w net.ipv4.ip_forward=1"));
        pontoon.run("network create --ipv6 blue");
        assert_eq!(host.sh("sysctl -n net.ipv4.ip_forward").trim(), "1");
        pontoon.run("network rm blue cellar");
        assert_eq!(host.sh("sysctl -n net.ipv4.ip_forward").trim(), "1");
        pontoon.run("system prune -f");
        assert_eq!(host.sh("sysctl -n net.ipv4.ip_forward net.ipv6.conf.all.forwarding"), "0\n0\n");
    }

    fn a_bridge_forwards_although_new_interfaces_do_not(host: Host) {
        host.uplink();
        host.sh("sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.default.forwarding=0");
        let pontoon = Pontoon::on(&host);
        pontoon.run("run -d --name web -- sleep 100");
        assert!(host.pings("web", "198.51.100.10"));
    }

    fn networks_are_restored_after_a_reboot(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create --subnet 10.4.0.0/24 -o com.docker.network.bridge.name=keep0 blue");
        // What a reboot does.
        host.sh("ip link delete keep0; nft flush ruleset; rm -rf /run/pontoon");
        pontoon.run("restore");
        assert!(host.sh("ip -o address show dev keep0").contains("10.4.0.1/24"));
        pontoon.run("run -d --name web --network blue -- sleep 100");
        assert!(host.pings("web", "10.4.0.1"));
    }

    fn two_instances_never_meet(host: Host) {
        let before = state(&host);
        let (one, two) = (Pontoon::with_root(&host, "/run/one"), Pontoon::with_root(&host, "/run/two"));
        for pontoon in [&one, &two] {
            pontoon.run("run -d --name web -- sleep 100");
        }
        assert_ne!(one.address("bridge", "web"), two.address("bridge", "web"));
        one.run("rm -f web");
        // The one that switched forwarding on does not switch it off under the other.
        let pruned = one.attempt("system prune -f");
        assert!(String::from_utf8_lossy(&pruned.stderr).contains("net.ipv4.ip_forward stays as it is"));
        assert!(host.pings("host", &two.address("bridge", "web")), "the other instance goes on");
        assert_eq!(host.sh("sysctl -n net.ipv4.ip_forward").trim(), "1");
        two.run("rm -f web");
        two.run("system prune -f");
        one.run("system prune -f");
        becomes_as_before(&host, &before);
    }

    fn default_address_pools_come_from_the_configuration(host: Host) {
        host.sh("mkdir -p /etc/pontoon");
        let pontoon = Pontoon::on(&host);
        let subnet = |name: &str| {
            pontoon.run(&format!("network create {name}"));
            pontoon.run(&format!("network inspect --format '{{{{(index .IPAM.Config 0).Subnet}}}}' {name}"))
        };
        assert_eq!(subnet("before"), "172.17.0.0/16");
        host.sh(r#"echo 'default-address-pools = [{ base = "10.99.0.0/23", size = 24 }]' > /etc/pontoon/config.toml"#);
        assert_eq!((subnet("one"), subnet("two")), ("10.99.0.0/24".into(), "10.99.1.0/24".into()));
        let (code, said) = pontoon.fail("network create three");
        assert!(code == 1 && said.contains("10.99.0.0/23") && said.contains("default-address-pools"), "{said}");
        host.sh("echo 'nonsense = 1' > /etc/pontoon/config.toml");
        let (code, said) = pontoon.fail("network create four");
        assert!(code == 1 && said.contains("/etc/pontoon/config.toml") && said.contains("nonsense"), "{said}");
    }
}
