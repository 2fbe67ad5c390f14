//! Who does not reach what, however hard he tries.

use std::io::ErrorKind;
use std::net::UdpSocket;
use std::time::Duration;

use pontoon_e2e::Pontoon;
use pontoon_testkit::{Host, sandboxed};

use crate::{HOST4, HOST6, answers, bridges_call, connects, seen};

/// A UDP socket that tells what reaches it.
struct Ear(UdpSocket);

impl Ear {
    #[track_caller]
    fn at(host: &Host, place: &str, address: &str) -> Self {
        let socket = host.netns(place).enter(|| UdpSocket::bind(address)).unwrap().unwrap();
        socket.set_nonblocking(true).unwrap();
        Self(socket)
    }

    /// What has come up to now.
    fn heard(&self) -> Vec<String> {
        // What was sent has arrived by then: veth pairs pass packets on in microseconds.
        std::thread::sleep(Duration::from_millis(20));
        let mut heard = Vec::new();
        let mut buffer = [0; 64];
        while let Ok((length, from)) = self.0.recv_from(&mut buffer) {
            heard.push(format!("{} from {}", String::from_utf8_lossy(&buffer[..length]), from.ip()));
        }
        heard
    }
}

/// Makes a place send what is for loopback addresses to a router, and not to itself.
fn loopback_leads_out(host: &Host, place: &str, via: &str) {
    host.sh_in(place, "sysctl -qw net.ipv4.conf.all.route_localnet=1 net.ipv4.conf.all.rp_filter=0");
    host.sh_in(place, "sysctl -qw net.ipv4.conf.eth0.rp_filter=0 2>/dev/null || true");
    host.sh(&format!(
        "ip -n {place} rule add pref 10 lookup 99; ip -n {place} rule delete pref 0; ip -n {place} rule add pref 20 lookup local;
         ip -n {place} route add 127.0.0.0/8 via {via} table 99"
    ));
}

/// Makes all that leaves a place come from 127.0.0.1.
fn lies_about_its_source(host: &Host, place: &str) {
    host.sh_in(
        place,
        "nft 'table ip lie { chain out { type filter hook postrouting priority 300; ip saddr set 127.0.0.1; }; }'",
    );
}

fn tells_the_truth(host: &Host, place: &str) {
    host.sh_in(place, "nft delete table ip lie");
}

/// Counts packets for UDP port `port` as they come in, before anybody looks at them.
fn watch(host: &Host, port: u16) {
    host.sh(&format!(
        "nft 'table inet watch {{ chain in {{ type filter hook prerouting priority -400; udp dport {port} counter; }}; }}'"
    ));
}

fn arrived(host: &Host) -> bool {
    let arrived = !host.sh("nft list table inet watch").contains("packets 0");
    host.sh("nft reset counters table inet watch; nft delete table inet watch");
    arrived
}

fn send(host: &Host, place: &str, text: &str, address: &str) {
    // What the kernel says of it does not matter.
    host.try_sh_in(place, &format!("printf {text} | socat -u - UDP-SENDTO:{address}"));
}

sandboxed! {
    fn nobody_on_the_wire_reaches_a_port_of_the_loopback_address(host: Host) {
        host.uplink();
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create --subnet 10.50.0.0/24 blue");
        pontoon.run("run -d --name web --network blue -p 127.0.0.1:5353:53/udp -p 6363:63/udp -- sleep 100");
        let (own, open) = (Ear::at(&host, "web", "0.0.0.0:53"), Ear::at(&host, "web", "0.0.0.0:63"));
        let program = Ear::at(&host, "host", "127.0.0.1:7777");
        loopback_leads_out(&host, "router", HOST4);
        for called in [false, true] {
            bridges_call(&host, called);
            for (port, address) in [(5353, "127.0.0.1:5353"), (7777, "127.0.0.1:7777"), (5353, "127.0.0.5:5353"), (6363, "127.0.0.1:6363")] {
                watch(&host, port);
                send(&host, "router", "straight", address);
                assert!(arrived(&host), "{address}: the attack did not get out");
            }
            lies_about_its_source(&host, "router");
            for (port, address) in [(5353, "127.0.0.1:5353"), (7777, "127.0.0.1:7777"), (5353, "192.0.2.2:5353"), (6363, "192.0.2.2:6363"), (53, "10.50.0.2:53")] {
                watch(&host, port);
                host.sh("ip -n router route replace 10.50.0.0/24 via 192.0.2.2");
                send(&host, "router", "lie", address);
                assert!(arrived(&host), "{address}: the attack did not get out");
            }
            tells_the_truth(&host, "router");
            assert_eq!(own.heard(), [""; 0]);
            assert_eq!(open.heard(), [""; 0]);
            assert_eq!(program.heard(), [""; 0]);
        }
        // While the ones that may do.
        send(&host, "host", "hello", "127.0.0.1:5353");
        assert_eq!(own.heard(), ["hello from 10.50.0.1"]);
        send(&host, "router", "hello", "192.0.2.2:6363");
        assert_eq!(open.heard(), ["hello from 192.0.2.1"]);
    }

    fn no_container_reaches_what_listens_on_the_hosts_loopback_address(host: Host) {
        host.uplink();
        let pontoon = Pontoon::on(&host);
        for called in [false, true] {
            bridges_call(&host, called);
            // Containers that may not spoof would not get so far.
            pontoon.run("network create -o pontoon.dns=false --ipv6 --subnet 10.50.0.0/24 --subnet fd50::/64 -o com.docker.network.bridge.name=blue0 -o pontoon.antispoof=false blue");
            pontoon.run("network create -o pontoon.dns=false --ipv6 --subnet 10.60.0.0/24 --subnet fd60::/64 -o pontoon.antispoof=false red");
            // What keeps such packets from the bridge is taken away, and no daemon puts it back: what keeps them from the host must do by itself.
            host.sh("nft flush chain bridge pontoon to_loopback");
            // What opens the bridge for loopback addresses.
            let warned = pontoon.attempt("run -d --name web --network blue -p 5353:53/udp -p 127.0.0.1:6363:63/udp -p [::1]:6363:63/udp -- sleep 100");
            assert!(warned.status.success());
            pontoon.run("run -d --name peer --network blue -- sleep 100");
            pontoon.run("run -d --name other --network red -p 7373:73/udp -- sleep 100");
            assert_eq!(host.sh("sysctl -n net.ipv4.conf.blue0.route_localnet").trim(), "1");
            let own = Ear::at(&host, "web", "[::]:63");
            let (program, program6) = (Ear::at(&host, "host", "127.0.0.1:7777"), Ear::at(&host, "host", "[::1]:7777"));
            let everywhere = Ear::at(&host, "host", "[::]:8888");
            for (place, gateway, gateway6) in [("peer", "10.50.0.1", "fd50::1"), ("web", "10.50.0.1", "fd50::1"), ("other", "10.60.0.1", "fd60::1")] {
                loopback_leads_out(&host, place, gateway);
                host.sh(&format!("ip -n {place} -6 rule add pref 10 lookup 99; ip -n {place} -6 rule delete pref 0; ip -n {place} -6 rule add pref 20 lookup local; ip -n {place} -6 route add ::1 via {gateway6} dev eth0 table 99"));
                for (port, address) in [(7777, "127.0.0.1:7777"), (8888, "127.0.0.1:8888"), (6363, "127.0.0.1:6363")] {
                    watch(&host, port);
                    send(&host, place, "straight", address);
                    assert!(arrived(&host), "{place} {address}: the attack did not get out");
                }
                for (port, address) in [(7777, "[::1]:7777"), (8888, "[::1]:8888"), (6363, "[::1]:6363")] {
                    watch(&host, port);
                    send(&host, place, "straight", address);
                    // Without the bridge's help, the kernel refuses it before anybody sees it.
                    assert_eq!(arrived(&host), called, "{place} {address}");
                }
                lies_about_its_source(&host, place);
                for (port, address) in [(7777, "127.0.0.1:7777"), (8888, "192.0.2.2:8888"), (8888, &format!("{gateway}:8888"))] {
                    watch(&host, port);
                    send(&host, place, "lie", address);
                    assert!(arrived(&host), "{place} {address}: the attack did not get out");
                }
                tells_the_truth(&host, place);
                assert_eq!(program.heard(), [""; 0], "{place}");
                assert_eq!(program6.heard(), [""; 0], "{place}");
                assert_eq!(own.heard(), [""; 0], "{place}");
                assert_eq!(everywhere.heard(), [""; 0], "{place}");
            }
            send(&host, "peer", "hello", "10.50.0.1:8888");
            assert_eq!(everywhere.heard(), [format!("hello from ::ffff:{}", pontoon.address("blue", "peer"))]);
            pontoon.run("rm -f web peer other");
            pontoon.run("network rm blue red");
        }
    }

    fn what_is_not_published_is_not_reached_by_routing_straight_to_it(host: Host) {
        host.uplink();
        let pontoon = Pontoon::on(&host);
        host.sh("ip -n router route add 10.50.0.0/24 via 192.0.2.2; ip -n router route add fd50::/64 via 2001:db8:1::2");
        for (mode, published, unpublished, icmp) in [("nat", false, false, false), ("nat-unprotected", true, true, true), ("routed", true, false, true)] {
            let option = "com.docker.network.bridge.gateway_mode_ip";
            pontoon.run(&format!("network create --ipv6 --subnet 10.50.0.0/24 --subnet fd50::/64 -o {option}v4={mode} -o {option}v6={mode} blue"));
            pontoon.run("network create --ipv6 --subnet 10.60.0.0/24 --subnet fd60::/64 red");
            pontoon.run("run -d --name web --network blue --ip 10.50.0.2 --ip6 fd50::2 -p 8080:80 -- sleep 100");
            pontoon.run("run -d --name peer --network blue -- sleep 100");
            pontoon.run("run -d --name other --network red -- sleep 100");
            let (open, closed) = (host.serve("web", 80, "open"), host.serve("web", 81, "closed"));
            for (address, at) in [("10.50.0.2", HOST4), ("[fd50::2]", HOST6)] {
                assert_eq!(connects(&host, "router", &format!("{address}:80")), published, "{mode} {address}");
                assert_eq!(connects(&host, "router", &format!("{address}:81")), unpublished, "{mode} {address}");
                assert_eq!(answers(&host, "router", address.trim_matches(['[', ']'])), icmp, "{mode} {address}");
                // Other networks' containers: only by what is published. Where nothing is translated, at the container itself.
                assert_eq!(connects(&host, "other", &format!("{address}:80")), mode == "routed", "{mode} {address}");
                assert!(!connects(&host, "other", &format!("{address}:81")), "{mode} {address}");
                assert!(!answers(&host, "other", address.trim_matches(['[', ']'])), "{mode} {address}");
                for place in ["peer", "host"] {
                    seen(&host, place, &format!("{address}:80"));
                    seen(&host, place, &format!("{address}:81"));
                }
                // The host's own ports lead there where addresses are translated.
                for place in ["router", "outside", "host", "other", "peer"] {
                    let reached = host.fetch(place, &format!("{at}:8080"));
                    match mode {
                        "routed" => assert_eq!(reached.unwrap_err().kind(), ErrorKind::ConnectionRefused, "{place}"),
                        _ => assert_eq!(reached.unwrap().text, "open", "{mode} {place}"),
                    }
                }
            }
            drop((open, closed));
            pontoon.run("rm -f web peer other");
            pontoon.run("network rm blue red");
        }
    }

    fn a_withdrawn_port_ends_what_was_connected_by_it_no_sooner_than_asked(host: Host) {
        host.uplink();
        let pontoon = Pontoon::on(&host);
        pontoon.run("run -d --name web -p 8080:80 -- sleep 100");
        let web = host.serve("web", 80, "hello");
        seen(&host, "outside", "192.0.2.2:8080");
        pontoon.run("unpublish web 8080");
        assert_eq!(host.fetch("outside", "192.0.2.2:8080").unwrap_err().kind(), ErrorKind::ConnectionRefused);
        pontoon.run("publish web 8080:80");
        seen(&host, "outside", "192.0.2.2:8080");
        drop(web);
    }
}
