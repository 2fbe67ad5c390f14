//! Published ports follow the container: to the network that has its default route, and to whoever has them next.

use std::io::{self, ErrorKind};
use std::net::UdpSocket;
use std::time::Duration;

use pontoon_e2e::{Pontoon, eventually};
use pontoon_testkit::{Host, sandboxed};

use crate::{HOST4, bridges_call, published, seen, seen_udp};

/// A client that keeps sending from one socket.
struct Client(UdpSocket);

impl Client {
    #[track_caller]
    fn of(host: &Host, place: &str, address: &str) -> Self {
        let socket = host.netns(place).enter(|| UdpSocket::bind("0.0.0.0:0")).unwrap().unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(250))).unwrap();
        socket.connect(address).unwrap();
        Self(socket)
    }

    /// What the server says, without the client's address.
    fn hears(&self) -> io::Result<String> {
        self.0.send(b"?")?;
        let mut buffer = [0; 64];
        let length = self.0.recv(&mut buffer)?;
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        Ok(text.split_once(' ').map_or(text.clone(), |(_, text)| text.to_owned()))
    }
}

/// Runs it and expects one warning that says so.
#[track_caller]
fn warned(pontoon: &Pontoon<'_>, words: &str, said: &str) {
    let output = pontoon.attempt(words);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success() && errors.contains("warning: ") && errors.contains(said),
        "{words}:\n{errors}"
    );
}

sandboxed! {
    fn ports_move_with_the_default_route(host: Host) {
        host.uplink();
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create --subnet 10.1.0.0/24 -o com.docker.network.bridge.name=blue0 blue");
        pontoon.run("network create --subnet 10.2.0.0/24 -o com.docker.network.bridge.name=red0 red");
        pontoon.run("network create --subnet 10.3.0.0/24 --internal cellar");
        pontoon.run("run -d --name web --network blue -p 8080:80 -p 5353:53/udp -- sleep 100");
        let (web, dns) = (host.serve("web", 80, "hello"), host.serve_udp("web", 53, "hello"));
        let reached = |at: &str| {
            assert!(published(&host).contains(&format!("any4 tcp . 8080 : {at} . 80")), "{}", published(&host));
            assert_eq!(published(&host).matches("any4").count(), 2);
            for called in [false, true] {
                bridges_call(&host, called);
                assert_eq!(seen(&host, "outside", "192.0.2.2:8080"), "198.51.100.10");
                seen(&host, "host", "127.0.0.1:8080");
                seen(&host, "web", "192.0.2.2:8080");
                seen_udp(&host, "outside", "192.0.2.2:5353");
            }
        };
        reached("10.1.0.2");
        let client = Client::of(&host, "outside", "192.0.2.2:5353");
        assert_eq!(client.hears().unwrap(), "hello");
        // A network without the default route, and one without a way out, change nothing.
        pontoon.run("network connect --gw-priority -1 red web");
        pontoon.run("network connect --gw-priority 9 cellar web");
        reached("10.1.0.2");
        pontoon.run("network disconnect red web");
        pontoon.run("network connect --gw-priority 1 --ip 10.2.0.2 red web");
        reached("10.2.0.2");
        assert_eq!(client.hears().unwrap(), "hello", "UDP follows");
        pontoon.run("network disconnect red web");
        reached("10.1.0.2");
        assert_eq!(client.hears().unwrap(), "hello", "UDP follows");
        // Only the internal network is left: they wait.
        warned(&pontoon, "network disconnect blue web", "lead nowhere");
        assert_eq!(published(&host), "");
        assert_eq!(host.fetch("outside", "192.0.2.2:8080").unwrap_err().kind(), ErrorKind::ConnectionRefused);
        let (_, said) = pontoon.fail("run -d --name thief --network blue -p 8080:80 -- sleep 100");
        assert!(said.contains("`web`"), "{said}");
        // On none at all they wait too.
        pontoon.run("network disconnect cellar web");
        pontoon.run("network connect --ip 10.2.0.2 red web");
        reached("10.2.0.2");
        // A waiting container's ports go with it.
        warned(&pontoon, "network disconnect red web", "lead nowhere");
        drop((web, dns));
        pontoon.run("rm -f web");
        pontoon.run("run -d --name next --network blue -p 8080:80 -p 5353:53/udp -- sleep 100");
    }

    fn ports_of_an_internal_network_wait(host: Host) {
        host.uplink();
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create --internal cellar");
        pontoon.run("network create blue");
        warned(&pontoon, "run -d --name web --network cellar -p 8080:80 -- sleep 100", "lead nowhere");
        warned(&pontoon, "publish web 9090:80", "lead nowhere");
        assert_eq!(published(&host), "");
        assert_eq!(pontoon.run("inspect --format '{{json .HostConfig.PortBindings}}' web"), r#"{"80/tcp":[{"HostIp":"","HostPort":"8080"},{"HostIp":"","HostPort":"9090"}]}"#);
        pontoon.run("network connect blue web");
        let web = host.serve("web", 80, "hello");
        for port in [8080, 9090] {
            seen(&host, "outside", &format!("{HOST4}:{port}"));
        }
        drop(web);
        // A port of a family that the network has not leads nowhere as well.
        warned(&pontoon, "run -d --name six --network blue -p [2001:db8:1::2]:7070:80 -- sleep 100", "lead nowhere");
    }

    fn ports_of_others_namespaces_are_published(host: Host) {
        host.uplink();
        host.sh("ip netns add theirs; ip -n theirs link set lo up");
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create blue");
        pontoon.run("network create red");
        pontoon.run("network connect -p 8080:80 -p 127.0.0.1::81 blue netns:theirs");
        let (web, more) = (host.serve("theirs", 80, "hello"), host.serve("theirs", 81, "more"));
        assert_eq!(seen(&host, "outside", "192.0.2.2:8080"), "198.51.100.10");
        assert_eq!(pontoon.run("publish netns:theirs 9090:81"), "9090->81/tcp");
        seen(&host, "outside", "192.0.2.2:9090");
        seen(&host, "theirs", "192.0.2.2:9090");
        pontoon.run("unpublish netns:theirs 9090:81");
        assert_eq!(host.fetch("outside", "192.0.2.2:9090").unwrap_err().kind(), ErrorKind::ConnectionRefused);
        pontoon.run("network connect -p 7070:80 --gw-priority 5 red netns:theirs");
        seen(&host, "outside", "192.0.2.2:7070");
        let (code, said) = pontoon.fail("network connect -p 7070:80 blue netns:theirs");
        assert!(code == 1 && said.contains("already connected"), "{said}");
        let (_, said) = pontoon.fail("run -d --name web -p 7070:80 -- sleep 100");
        assert!(said.contains("`netns-theirs`"), "{said}");
        drop((web, more));
        pontoon.run("network disconnect red netns:theirs");
        warned(&pontoon, "network disconnect blue netns:theirs", "forgotten");
        assert_eq!(published(&host), "");
        pontoon.run("run -d --name web -p 7070:80 -p 8080:80 -- sleep 100");
    }

    fn ports_of_a_namespace_that_vanished_can_be_had_again(host: Host) {
        host.uplink();
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create blue");
        pontoon.run("run -d --name web --network blue -- sleep 100");
        for (name, way) in [("a", "network disconnect blue netns:a"), ("b", "unpublish netns:b 8080 5353/udp"), ("c", "unpublish -a netns-c"), ("d", "")] {
            host.sh(&format!("ip netns add {name}"));
            pontoon.run(&format!("network connect -p 8080:80 -p 5353:53/udp blue netns:{name}"));
            let links = host.sh("ip -o link show type veth").lines().count();
            host.sh(&format!("ip netns delete {name}"));
            eventually("its link is gone", || host.sh("ip -o link show type veth").lines().count() < links);
            let (_, said) = pontoon.fail("publish web 8080:80");
            assert!(said.contains(&format!("`netns-{name}`")), "{said}");
            let output = match way {
                // One that looks finds it gone.
                "" => {
                    pontoon.run("rm -f web");
                    pontoon.attempt("network rm blue")
                }
                way => pontoon.attempt(way),
            };
            assert!(output.status.success(), "{way}: {}", String::from_utf8_lossy(&output.stderr));
            match way {
                "" => {
                    pontoon.run("run -d --name next -p 8080:80 -p 5353:53/udp -- sleep 100");
                    assert_eq!(published(&host).matches("any4").count(), 2);
                }
                _ => {
                    pontoon.run("publish web 8080:80");
                    assert_eq!(published(&host).matches("8080").count(), 1);
                    pontoon.run("unpublish -a web");
                }
            }
        }
    }

    fn a_udp_client_that_never_stops_reaches_whoever_has_the_port(host: Host) {
        host.uplink();
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create --ipv6 blue");
        pontoon.run("run -d --name one --network blue -- sleep 100");
        pontoon.run("run -d --name two --network blue -- sleep 100");
        let servers = (host.serve_udp("one", 53, "one"), host.serve_udp("two", 53, "two"));
        // The same port of other machines, by the host's router and from it.
        let far = host.serve_udp("outside", 53, "far");
        let (to_far, own) = (Client::of(&host, "one", "198.51.100.10:53"), Client::of(&host, "host", "198.51.100.10:53"));
        let clients: Vec<Client> = ["outside", "router", "host", "two"].map(|place| Client::of(&host, place, "192.0.2.2:53")).into();
        let local = Client::of(&host, "host", "127.0.0.1:53");
        for client in clients.iter().chain([&local]) {
            assert!(client.hears().is_err(), "nobody is there yet");
        }
        assert_eq!((to_far.hears().unwrap(), own.hears().unwrap()), ("far".into(), "far".into()));
        let others = || host.sh("conntrack -L -p udp --orig-dst 198.51.100.10 2>/dev/null | grep -c dport=53 || true");
        assert_eq!((to_far.hears().unwrap(), own.hears().unwrap(), others().trim()), ("far".into(), "far".into(), "2"));
        for (verb, says) in [("publish one 53:53/udp", Some("one")), ("unpublish one 53/udp", None), ("publish two 53:53/udp", Some("two")), ("unpublish -a two", None), ("publish one 192.0.2.2:53:53/udp", Some("one"))] {
            pontoon.run(verb);
            for (place, client) in ["outside", "router", "host", "two"].iter().zip(&clients) {
                // A refusal to an earlier datagram may still be told.
                let heard = client.hears().or_else(|_| client.hears());
                assert_eq!(heard.as_deref().ok(), says, "{verb}: {place}");
            }
            if !verb.contains("192.0.2.2") {
                let heard = local.hears().or_else(|_| local.hears());
                assert_eq!(heard.as_deref().ok(), says, "{verb}: at 127.0.0.1");
            }
            assert_eq!(others().trim(), "2", "{verb}: flows to other machines stay");
        }
        // When the container ends, the next one has it at once.
        pontoon.run("unpublish -a one");
        pontoon.run("run -d --name three --network blue -p 53:53/udp -- sleep 100");
        let third = host.serve_udp("three", 53, "three");
        assert_eq!(clients[0].hears().or_else(|_| clients[0].hears()).unwrap(), "three");
        drop(third);
        pontoon.run("rm -f three");
        pontoon.run("run -d --name four --network blue -p 53:53/udp -- sleep 100");
        let fourth = host.serve_udp("four", 53, "four");
        assert_eq!(clients[0].hears().or_else(|_| clients[0].hears()).unwrap(), "four");
        drop((fourth, servers, far));
    }
}
