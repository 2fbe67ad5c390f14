//! What `pontoon stats` counts, with packets whose number and length are known.

use pontoon_e2e::{Pontoon, eventually};
use pontoon_testkit::{Host, sandboxed};
use serde_json::Value;

/// Header of IPv4 or IPv6 and of UDP.
const HEADERS: [u64; 2] = [20 + 8, 40 + 8];
const TEXT: &str = "pong";
const TRAFFIC: [&str; 4] = ["InPackets", "InBytes", "OutPackets", "OutBytes"];

/// What is known of a container.
fn stats(pontoon: &Pontoon<'_>, container: &str) -> Value {
    pontoon.json(&format!("stats --no-stream --format json {container}"))
}

/// The account of the port that is published at `at`.
fn port(pontoon: &Pontoon<'_>, container: &str, at: &str) -> [u64; 4] {
    let all = stats(pontoon, container);
    let ports = all["Ports"].as_array().unwrap();
    let one = ports.iter().find(|one| one["Published"].as_array().unwrap().iter().any(|one| one == at));
    let one = one.unwrap_or_else(|| panic!("{at} is not published: {all:#}"));
    TRAFFIC.map(|key| one[key].as_u64().unwrap())
}

/// Asks by UDP, so that one packet goes and one comes; returns what is to be counted for it.
fn ask(host: &Host, from: &str, address: &str) -> [u64; 4] {
    let reply = host.ask_udp(from, address).unwrap_or_else(|error| panic!("{from} → {address}: {error}"));
    assert_eq!(reply.text, TEXT, "{from} → {address}");
    let headers = HEADERS[usize::from(address.starts_with('['))];
    let answer = format!("{} {TEXT}", reply.seen_from).len() as u64;
    [1, headers + 1, 1, headers + answer]
}

fn add(one: [u64; 4], other: [u64; 4]) -> [u64; 4] {
    std::array::from_fn(|index| one[index] + other[index])
}

/// The elements of all sets that count.
fn elements(host: &Host) -> String {
    let sets = ["served4", "served6", "answered4", "answered6", "open4", "open6"];
    let list = |set| host.sh(&format!("nft list set inet pontoon {set}"));
    sets.map(list).join("").lines().filter(|line| line.contains("elements")).collect()
}

fn bridges_call(host: &Host, value: u8) {
    host.sh(&format!(
        "sysctl -qw net.bridge.bridge-nf-call-iptables={value} net.bridge.bridge-nf-call-ip6tables={value}"
    ));
}

sandboxed! {
    fn what_goes_through_a_published_port_is_counted_once_each_way(host: Host) {
        host.uplink();
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create --ipv6 blue");
        pontoon.run("network create --ipv6 red");
        for value in [0, 1] {
            bridges_call(&host, value);
            pontoon.run("run -d --name web --network blue -p 53:5353/udp -- sleep 100");
            pontoon.run("run -d --name near --network blue -- sleep 100");
            pontoon.run("run -d --name far --network red -- sleep 100");
            let server = host.serve_udp("web", 5353, TEXT);
            let mut wanted = [[0; 4]; 2];
            for from in ["outside", "host", "near", "far", "web"] {
                for (family, address) in [(0, "192.0.2.2:53"), (1, "[2001:db8:1::2]:53")] {
                    for _ in 0..3 {
                        wanted[family] = add(wanted[family], ask(&host, from, address));
                    }
                    let at = ["0.0.0.0:53", "[::]:53"][family];
                    assert_eq!(port(&pontoon, "web", at), wanted[family], "{from}, bridge-nf-call {value}");
                }
            }
            wanted[0] = add(wanted[0], ask(&host, "host", "127.0.0.1:53"));
            assert_eq!(port(&pontoon, "web", "0.0.0.0:53"), wanted[0], "127.0.0.1, bridge-nf-call {value}");
            // What does not go by the host's port is the interface's alone.
            ask(&host, "near", &format!("{}:5353", pontoon.address("blue", "web")));
            ask(&host, "host", &format!("{}:5353", pontoon.address("blue", "web")));
            assert_eq!(port(&pontoon, "web", "0.0.0.0:53"), wanted[0], "without the host's port");
            drop(server);
            pontoon.run("rm -f web near far");
            eventually("no element is left", || elements(&host).is_empty());
        }
    }

    fn a_stream_of_known_length_is_counted(host: Host) {
        host.need("socat");
        host.uplink();
        let pontoon = Pontoon::on(&host);
        pontoon.run("run -d --name web -p 8080:80 -- sleep 100");
        let server = host.background_in("web", "exec socat TCP4-LISTEN:80,reuseaddr,fork SYSTEM:'wc -c; head -c 50000 /dev/zero'");
        eventually("the server listens", || host.sh_in("web", "cat /proc/net/tcp").contains(":0050 "));
        let got = host.sh_in("outside", "head -c 200000 /dev/zero | socat -t5 - TCP4:192.0.2.2:8080 | wc -c");
        assert_eq!(got.trim(), (50_000 + "200000\n".len()).to_string());
        let [in_packets, in_bytes, out_packets, out_bytes] = port(&pontoon, "web", "0.0.0.0:8080");
        for (packets, bytes, sent) in [(in_packets, in_bytes, 200_000), (out_packets, out_bytes, 50_007)] {
            // IPv4 and TCP with none to 40 bytes of options.
            let headers = bytes - sent;
            assert!(headers >= 40 * packets && headers <= 80 * packets, "{packets} packets, {bytes} bytes of {sent}");
        }
        drop(server);
    }

    fn interfaces_are_counted_as_the_container_sees_them(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create --subnet 10.1.0.0/24 blue");
        pontoon.run("network create --subnet 10.2.0.0/24 red");
        pontoon.run("run -d --name web --network blue -- sleep 100");
        pontoon.run("network connect red web");
        host.sh_in("web", "ping -q -c 3 -i 0.01 -s 1000 10.1.0.1 && ping -q -c 2 -i 0.01 -s 500 10.2.0.1");
        let all = stats(&pontoon, "web");
        for (place, interface, network) in [(0, "eth0", "blue"), (1, "eth1", "red")] {
            let one = &all["Networks"][place];
            assert_eq!((&one["Interface"], &one["Network"]), (&interface.into(), &network.into()));
            for (key, file) in [("RxBytes", "rx_bytes"), ("TxBytes", "tx_bytes"), ("RxPackets", "rx_packets"), ("TxPackets", "tx_packets")] {
                let inside = host.sh(&format!("ip netns exec web cat /sys/class/net/{interface}/statistics/{file}"));
                assert_eq!(one[key].as_u64(), inside.trim().parse().ok(), "{interface} {key}");
            }
        }
        assert!(all["Networks"][0]["TxBytes"].as_u64() >= Some(3 * 1042), "{all:#}");
        let table = pontoon.run("stats --no-stream");
        assert!(table.starts_with("CONTAINER ") && table.contains("eth1") && !table.contains("PUBLISHED"), "{table}");
    }

    fn an_account_goes_on_at_the_address_that_the_gateway_moves_to(host: Host) {
        host.uplink();
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create --subnet 10.1.0.0/24 blue");
        pontoon.run("network create --subnet 10.2.0.0/24 red");
        pontoon.run("run -d --name web --network blue -p 53:5353/udp -- sleep 100");
        let _server = host.serve_udp("web", 5353, TEXT);
        let first = ask(&host, "outside", "192.0.2.2:53");
        assert_eq!(port(&pontoon, "web", "0.0.0.0:53"), first);
        pontoon.run("network connect --gw-priority 1 red web");
        assert!(!elements(&host).contains("10.1.0.2"), "{}", elements(&host));
        let wanted = add(ask(&host, "outside", "192.0.2.2:53"), ask(&host, "outside", "192.0.2.2:53"));
        assert_eq!(port(&pontoon, "web", "0.0.0.0:53"), wanted);
        // Another port changes nothing of what was counted, and nor does its end.
        pontoon.run("publish web 54:5353/udp");
        assert_eq!(port(&pontoon, "web", "0.0.0.0:54"), wanted, "both are counted together");
        pontoon.run("unpublish web 53/udp");
        assert_eq!(port(&pontoon, "web", "0.0.0.0:54"), wanted);
        pontoon.run("unpublish --all web");
        assert_eq!(elements(&host), "");
    }

    /// Connections outlive a port that is withdrawn; their packets make no account.
    fn late_packets_leave_nothing(host: Host) {
        host.need("socat");
        host.uplink();
        let pontoon = Pontoon::on(&host);
        pontoon.run("run -d --name web -p 8080:80 -- sleep 100");
        let _server = host.background_in("web", "exec socat TCP4-LISTEN:80,reuseaddr EXEC:cat");
        eventually("the server listens", || host.sh_in("web", "cat /proc/net/tcp").contains(":0050 "));
        let client = host.background_in("outside", "(echo one; sleep 1; echo two; sleep 1) | socat - TCP4:192.0.2.2:8080");
        client.wait_for("one");
        pontoon.run("unpublish --all web");
        client.wait_for("two");
        assert_eq!(elements(&host), "");
    }

    fn a_routed_network_counts_what_it_lets_in(host: Host) {
        host.uplink();
        let pontoon = Pontoon::on(&host);
        host.sh("ip -n router route add 10.1.0.0/24 via 192.0.2.2; ip -n router -6 route add fd00:1::/64 via 2001:db8:1::2");
        for modes in [["routed", "routed"], ["nat", "routed"], ["routed", "nat"]] {
            let [v4, v6] = modes;
            let options = format!("-o com.docker.network.bridge.gateway_mode_ipv4={v4} -o com.docker.network.bridge.gateway_mode_ipv6={v6}");
            pontoon.run(&format!("network create --ipv6 --subnet 10.1.0.0/24 --subnet fd00:1::/64 {options} blue"));
            pontoon.run("run -d --name web --network blue -p 53:5353/udp -- sleep 100");
            let server = host.serve_udp("web", 5353, TEXT);
            let unseen = host.serve_udp("outside", 5353, TEXT);
            let address = |mode: &str, routed: &str, nat: &str| if mode == "routed" { routed.to_owned() } else { nat.to_owned() };
            let v4 = address(v4, &format!("{}:5353", pontoon.address("blue", "web")), "192.0.2.2:53");
            let v6 = address(v6, &format!("[{}]:5353", pontoon.address6("blue", "web")), "[2001:db8:1::2]:53");
            for (address, at) in [(v4, "0.0.0.0:53"), (v6, "[::]:53")] {
                let wanted = add(ask(&host, "outside", &address), ask(&host, "outside", &address));
                assert_eq!(port(&pontoon, "web", at), wanted, "{modes:?} {address}");
            }
            let before = port(&pontoon, "web", "0.0.0.0:53");
            ask(&host, "web", "198.51.100.10:5353");
            assert_eq!(port(&pontoon, "web", "0.0.0.0:53"), before, "{modes:?}: what the container asks for itself");
            drop((server, unseen));
            pontoon.run("rm -f web");
            pontoon.run("network rm blue");
        }
    }

    fn what_cannot_be_told_is_said(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("run -d --name web -p 8080:80 -p 127.0.0.1:8081:80 -- sleep 100");
        pontoon.run("run -d --name quick --network none -- true");
        eventually("it has ended", || pontoon.run("ps").lines().count() == 2);
        let (code, said) = pontoon.fail("stats --no-stream quick");
        assert!(code == 1 && said.contains("container `quick` is not running"), "{said}");
        let (code, said) = pontoon.fail("stats --no-stream wbe");
        assert!(code == 1 && said.contains("wbe"), "{said}");
        let table = pontoon.run("stats");
        assert!(table.contains("0.0.0.0:8080, 127.0.0.1:8081->80/tcp") && !table.contains("quick"), "{table}");
        pontoon.run("run -d --name alone --network none -- sleep 100");
        assert!(pontoon.run("stats alone").contains("--"));
        let ports = pontoon.run("stats --format '{{.Name}} {{.NetIO}}{{range .Ports}} {{.ContainerPort}}/{{.Protocol}} {{.InBytes}}{{end}}' web");
        assert!(ports.starts_with("web ") && ports.ends_with(" 80/tcp 0"), "{ports}");
        // Without CAP_NET_ADMIN, which the rules want.
        let command = format!("chmod -R a+rX /run/pontoon /var/lib/pontoon; setpriv --bounding-set -all --inh-caps -all --reuid 1 --regid 1 --clear-groups {} stats web", pontoon_e2e::program().display());
        let output = host.try_sh(&command);
        let (text, errors) = (String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned());
        assert!(text.contains("eth0") && !text.contains("8080") && errors.contains("published ports are left out"), "{text}{errors}");
    }
}
