//! From where published ports are reached, and as whom the server sees its clients.

use std::io::ErrorKind;

use pontoon_e2e::Pontoon;
use pontoon_testkit::{Host, sandboxed};

use crate::{HOST4, HOST6, bridges_call, connects, seen, seen_udp};

/// A web and a UDP server behind published ports of a dual-stack network, asked from everywhere.
fn from_everywhere(host: &Host, called: bool) {
    host.uplink();
    bridges_call(host, called);
    let pontoon = Pontoon::on(host);
    pontoon.run("network create --ipv6 blue");
    pontoon.run("network create --ipv6 red");
    pontoon.run("run -d --name web --network blue -p 8080:80 -p 5353:53/udp -- sleep 100");
    pontoon.run("run -d --name peer --network blue -- sleep 100");
    pontoon.run("run -d --name other --network red -- sleep 100");
    let (web, dns) = (host.serve("web", 80, "hello"), host.serve_udp("web", 53, "hello"));
    for (place, v4, v6) in [
        ("outside", "198.51.100.10", "2001:db8:2::10"),
        ("router", "192.0.2.1", "2001:db8:1::1"),
        ("host", HOST4, "2001:db8:1::2"),
    ] {
        assert_eq!(seen(host, place, &format!("{HOST4}:8080")), v4);
        assert_eq!(seen_udp(host, place, &format!("{HOST4}:5353")), v4);
        assert_eq!(seen(host, place, &format!("{HOST6}:8080")), v6);
        assert_eq!(seen_udp(host, place, &format!("{HOST6}:5353")), v6);
    }
    // From another network as itself; within one, answers have to come back by the host.
    let other = (pontoon.address("red", "other"), pontoon.address6("red", "other"));
    assert_eq!(seen(host, "other", &format!("{HOST4}:8080")), other.0);
    assert_eq!(seen_udp(host, "other", &format!("{HOST4}:5353")), other.0);
    assert_eq!(seen(host, "other", &format!("{HOST6}:8080")), other.1);
    assert_eq!(seen_udp(host, "other", &format!("{HOST6}:5353")), other.1);
    for place in ["peer", "web"] {
        for address in [HOST4, HOST6] {
            seen(host, place, &format!("{address}:8080"));
            seen_udp(host, place, &format!("{address}:5353"));
        }
    }
    // The host's addresses on its bridges are its own too.
    for network in ["blue", "red"] {
        let gateway = pontoon
            .run(&format!("network inspect --format '{{{{(index .IPAM.Config 0).Gateway}}}}' {network}"));
        for place in ["host", "peer", "other", "web"] {
            seen(host, place, &format!("{gateway}:8080"));
        }
    }
    seen(host, "host", "127.0.0.1:8080");
    seen(host, "host", "127.1.2.3:8080");
    seen_udp(host, "host", "127.0.0.1:5353");
    if called {
        // There an answer would be lost: it is refused, and nobody waits.
        let error = host.fetch("host", "[::1]:8080").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        assert_eq!(host.ask_udp("host", "[::1]:5353").unwrap_err().kind(), ErrorKind::ConnectionRefused);
    } else {
        seen(host, "host", "[::1]:8080");
        seen_udp(host, "host", "[::1]:5353");
    }
    // A port that is not published is not there.
    for place in ["outside", "other", "host"] {
        let error = host.fetch(place, &format!("{HOST4}:80")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{place}");
    }
    drop((web, dns));
    pontoon.run("rm -f web peer other");
    assert_eq!(crate::published(host), "");
    pontoon.run("network rm blue red");
}

sandboxed! {
    fn everybody_reaches_a_published_port(host: Host) {
        from_everywhere(&host, false);
    }

    fn everybody_reaches_a_published_port_where_bridges_call_iptables(host: Host) {
        from_everywhere(&host, true);
    }

    fn a_network_of_ipv6_alone_publishes_there_alone(host: Host) {
        host.uplink();
        let pontoon = Pontoon::on(&host);
        for called in [false, true] {
            // Looked at when the rules are made.
            bridges_call(&host, called);
            pontoon.run("network create --ipv4=false --ipv6 blue");
            pontoon.run("run -d --name web --network blue -p 8080:80 -- sleep 100");
            pontoon.run("run -d --name peer --network blue -- sleep 100");
            let web = host.serve("web", 80, "hello");
            assert_eq!(seen(&host, "outside", &format!("{HOST6}:8080")), "2001:db8:2::10");
            for place in ["host", "peer", "web"] {
                seen(&host, place, &format!("{HOST6}:8080"));
            }
            assert_eq!(host.fetch("host", "[::1]:8080").is_ok(), !called);
            assert!(!connects(&host, "outside", &format!("{HOST4}:8080")));
            assert_eq!(pontoon.run("port web"), "80/tcp -> [::]:8080");
            drop(web);
            pontoon.run("rm -f web peer");
            pontoon.run("network rm blue");
        }
    }

    fn ports_at_one_address_are_reached_there_alone(host: Host) {
        host.uplink();
        host.sh("ip address add 192.0.2.77/24 dev eth0; ip address add 2001:db8:1::77/64 dev eth0 nodad");
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create --ipv6 blue");
        pontoon.run("run -d --name one --network blue -p 192.0.2.77:8080:80 -p [2001:db8:1::77]:8080:80 -- sleep 100");
        // The same port at the host's other address, and at all of them but with another protocol.
        pontoon.run("run -d --name two --network blue -p 192.0.2.2:8080:80 -p 8080:53/udp -p 127.0.0.1:9090:80 -p 0.0.0.0:7070:80 -- sleep 100");
        let (one, two, dns) = (host.serve("one", 80, "one"), host.serve("two", 80, "two"), host.serve_udp("two", 53, "two"));
        let text = |place: &str, address: &str| host.fetch(place, address).map(|reply| reply.text).map_err(|error| error.kind());
        for place in ["outside", "router", "host", "one", "two"] {
            assert_eq!(text(place, "192.0.2.77:8080").as_deref(), Ok("one"), "{place}");
            assert_eq!(text(place, "[2001:db8:1::77]:8080").as_deref(), Ok("one"), "{place}");
            assert_eq!(text(place, "192.0.2.2:8080").as_deref(), Ok("two"), "{place}");
            assert_eq!(text(place, "192.0.2.2:7070").as_deref(), Ok("two"), "{place}");
            assert_eq!(text(place, &format!("{HOST6}:8080")), Err(ErrorKind::ConnectionRefused), "{place}");
            assert_eq!(text(place, &format!("{HOST6}:7070")), Err(ErrorKind::ConnectionRefused), "{place}");
            assert_eq!(text(place, "192.0.2.2:9090"), Err(ErrorKind::ConnectionRefused), "{place}");
            seen_udp(&host, place, "192.0.2.77:8080");
        }
        assert_eq!(text("host", "127.0.0.1:9090").as_deref(), Ok("two"));
        assert_eq!(text("host", "127.0.0.1:8080"), Err(ErrorKind::ConnectionRefused));
        drop((one, two, dns));
    }

    fn ranges_lead_one_to_one(host: Host) {
        host.uplink();
        let pontoon = Pontoon::on(&host);
        // More than one command for the kernel holds.
        pontoon.run("run -d --name web -p 20000-20999:30000-30999 -p 5000-5001:6000-6001/udp -- sleep 100");
        for (port, leads) in [(20_000, 30_000), (20_300, 30_300), (20_999, 30_999)] {
            let server = host.serve("web", leads, "hello");
            seen(&host, "outside", &format!("{HOST4}:{port}"));
            drop(server);
        }
        let server = host.serve_udp("web", 6001, "hello");
        seen_udp(&host, "outside", &format!("{HOST4}:5001"));
        drop(server);
        assert_eq!(pontoon.run("port web").lines().count(), 1002);
        assert!(pontoon.run("ps").contains("0.0.0.0:20000-20999->30000-30999/tcp"), "{}", pontoon.run("ps"));
        assert_eq!(crate::published(&host).lines().filter(|line| line.starts_with("any4")).count(), 1002);
        // Out of the middle.
        pontoon.run("unpublish web 20100-20199");
        assert_eq!(pontoon.run("port web").lines().count(), 902);
        assert!(pontoon.run("ps").contains("0.0.0.0:20200-20999->30200-30999/tcp"), "{}", pontoon.run("ps"));
        let server = host.serve("web", 30_100, "hello");
        assert_eq!(host.fetch("outside", &format!("{HOST4}:20100")).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        drop(server);
        pontoon.run("unpublish -a web");
        assert_eq!(crate::published(&host), "");
    }

    fn containers_that_are_kept_apart_reach_each_others_published_ports(host: Host) {
        host.uplink();
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create --ipv6 -o com.docker.network.bridge.enable_icc=false blue");
        pontoon.run("run -d --name web --network blue -p 8080:80 -- sleep 100");
        pontoon.run("run -d --name peer --network blue -- sleep 100");
        let web = host.serve("web", 80, "hello");
        let direct = format!("{}:80", pontoon.address("blue", "web"));
        for called in [false, true] {
            bridges_call(&host, called);
            for address in [HOST4, HOST6] {
                for place in ["outside", "host"] {
                    seen(&host, place, &format!("{address}:8080"));
                }
                // Where it calls iptables, the bridge itself sends the packet on: not between ports that are isolated.
                for place in ["web", "peer"] {
                    let reached = connects(&host, place, &format!("{address}:8080"));
                    assert_eq!(reached, !called, "{place} {address} {called}");
                }
            }
            assert!(!connects(&host, "peer", &direct));
        }
        drop(web);
    }

    fn a_network_has_an_address_for_ports_that_name_none(host: Host) {
        host.uplink();
        host.sh("ip address add 192.0.2.77/24 dev eth0");
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create --ipv6 -o com.docker.network.bridge.host_binding_ipv4=192.0.2.77 blue");
        pontoon.run("run -d --name web --network blue -p 8080:80 -p 0.0.0.0:9090:80 -- sleep 100");
        let web = host.serve("web", 80, "hello");
        assert_eq!(pontoon.run("port web"), "80/tcp -> 0.0.0.0:9090\n80/tcp -> 192.0.2.77:8080");
        seen(&host, "outside", "192.0.2.77:8080");
        seen(&host, "outside", "192.0.2.2:9090");
        for address in ["192.0.2.2:8080", "[2001:db8:1::2]:8080"] {
            assert_eq!(host.fetch("outside", address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        }
        drop(web);
        // A program at another address of the host's is not in the way.
        let program = host.background("exec socat TCP-LISTEN:7070,bind=192.0.2.2 -");
        pontoon_e2e::eventually("it listens", || host.sh("ss -ltn").contains("192.0.2.2:7070"));
        pontoon.run("publish web 7070:80");
        drop(program);
        // As Docker has it, all of them is all of both families.
        pontoon.run("network create --ipv6 -o com.docker.network.bridge.host_binding_ipv4=0.0.0.0 red");
        pontoon.run("run -d --name db --network red -p 5432:5432 -- sleep 100");
        assert_eq!(pontoon.run("port db"), "5432/tcp -> 0.0.0.0:5432\n5432/tcp -> [::]:5432");
        // One that the host has not is refused, as one that was asked for.
        pontoon.run("network create -o com.docker.network.bridge.host_binding_ipv4=203.0.113.9 grey");
        let (code, said) = pontoon.fail("run -d --name lost --network grey -p 6000:80 -- sleep 100");
        assert!(code == 125 && said.contains("203.0.113.9"), "{said}");
        assert!(!pontoon.run("ps -a").contains("lost"));
    }

    fn a_published_port_of_ipv6_loopback_warns_where_it_cannot_be_reached(host: Host) {
        let pontoon = Pontoon::on(&host);
        bridges_call(&host, true);
        pontoon.run("network create --ipv6 blue");
        let output = pontoon.attempt("run -d --name web --network blue -p [::1]:8080:80 -- sleep 100");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && said.contains("warning: ") && said.contains("bridge-nf-call-ip6tables"), "{said}");
        let web = host.serve("web", 80, "hello");
        assert_eq!(host.fetch("host", "[::1]:8080").unwrap_err().kind(), ErrorKind::ConnectionRefused);
        drop(web);
        bridges_call(&host, false);
        pontoon.run("rm -f web");
        pontoon.run("network rm blue");
        pontoon.run("network create --ipv6 blue");
        pontoon.run("run -d --name web --network blue -p [::1]:8080:80 -- sleep 100");
        let web = host.serve("web", 80, "hello");
        seen(&host, "host", "[::1]:8080");
        assert_eq!(host.fetch("host", "127.0.0.1:8080").unwrap_err().kind(), ErrorKind::ConnectionRefused);
        drop(web);
    }
}
