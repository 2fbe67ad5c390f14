//! Names of containers.

use std::net::{TcpListener, UdpSocket};
use std::time::{Duration, Instant};

use pontoon_daemon::dns::ServeError;
use pontoon_model::{Diagnose, NetworkId};
use pontoon_testkit::sandboxed;

use crate::stand::{Stand, bridge, member, network, place};

sandboxed! {
    fn containers_find_each_other(host: Host) {
        let stand = Stand::new(host);
        stand.serve(network(1, "blue"));
        stand.container("web", &[(1, 2)]);
        let mut db = place(1, 3);
        db.aliases = vec!["store".into()];
        stand.server.set_member(member(1, "web", vec![place(1, 2)]));
        stand.server.set_member(member(2, "DB", vec![db]));
        for name in ["db", "Db.", "store", "020202020202", "db.blue", "store.BLUE."] {
            assert_eq!(stand.short("web", &format!("@10.5.1.1 {name}")), ["10.5.1.3"], "{name}");
            assert_eq!(stand.short("web", &format!("@fd00:5:1::1 {name} AAAA")), ["fd00:5:1::3"], "{name}");
        }
        assert_eq!(stand.short("web", "@10.5.1.1 -x 10.5.1.3"), ["DB.blue."]);
        assert_eq!(stand.short("web", "@10.5.1.1 -x fd00:5:1::3"), ["DB.blue."]);
        assert_eq!(stand.short("web", "@10.5.1.1 +tcp db"), ["10.5.1.3"]);
        assert_eq!(stand.short("web", "@10.5.1.1 host.docker.internal"), ["10.5.1.1"]);
        for kind in ["MX", "TXT", "SVCB", "HTTPS", "CAA"] {
            assert_eq!(stand.status("web", &format!("@10.5.1.1 db {kind}")), "NOERROR", "{kind}");
        }
        assert_eq!(stand.status("web", "@10.5.1.1 nobody"), "NXDOMAIN");
        assert_eq!(stand.status("web", "@10.5.1.1 -x 10.5.1.9"), "NXDOMAIN");
        assert_eq!(stand.status("web", "@10.5.1.1 db CH TXT"), "REFUSED");
        let text = stand.dig("web", "@10.5.1.1 +qr dB");
        assert!(text.contains("flags: qr aa rd ra;") && text.contains("udp: 1232"), "{text}");
        assert!(text.contains("dB.\t\t\t0\tIN\tA\t10.5.1.3"), "{text}");
        stand.server.remove_member(&member(2, "", Vec::new()).sandbox);
        assert_eq!(stand.status("web", "@10.5.1.1 db"), "NXDOMAIN");
        let statistics = stand.server.statistics().unwrap();
        assert_eq!((statistics.networks, statistics.members), (1, 1));
        assert!(statistics.records >= 15 && statistics.no_data == 5 && statistics.refused == 1, "{statistics:?}");
    }

    /// Docker's address inside containers, as the engine sets it up: a route there, and loopback addresses on the bridge.
    fn the_address_of_docker_answers_too(host: Host) {
        let stand = Stand::new(host);
        stand.serve(network(1, "blue"));
        stand.container("web", &[(1, 2)]);
        stand.server.set_member(member(1, "web", vec![place(1, 2)]));
        stand.host.sh("sysctl -qw net.ipv4.conf.br1.route_localnet=1");
        stand.host.sh_in("web", "sysctl -qw net.ipv4.conf.eth1.route_localnet=1
            ip route add table local 127.0.0.11/32 via 10.5.1.1 dev eth1 src 10.5.1.2");
        assert_eq!(stand.short("web", "@127.0.0.11 web"), ["10.5.1.2"]);
        assert_eq!(stand.short("web", "@127.0.0.11 +tcp web"), ["10.5.1.2"]);
    }

    fn other_networks_names_are_not_told(host: Host) {
        let stand = Stand::new(host);
        stand.serve(network(1, "blue"));
        stand.serve(network(2, "red"));
        stand.container("web", &[(1, 2)]);
        stand.container("both", &[(1, 3), (2, 3)]);
        stand.container("db", &[(2, 2)]);
        stand.server.set_member(member(1, "web", vec![place(1, 2)]));
        stand.server.set_member(member(2, "both", vec![place(1, 3), place(2, 3)]));
        stand.server.set_member(member(3, "db", vec![place(2, 2)]));
        assert_eq!(stand.short("both", "@10.5.1.1 db"), ["10.5.2.2"]);
        assert_eq!(stand.short("both", "@10.5.2.1 web"), ["10.5.1.2"]);
        assert_eq!(stand.short("both", "@10.5.1.1 both"), ["10.5.1.3"]);
        assert_eq!(stand.short("both", "@10.5.1.1 both.red"), ["10.5.2.3"]);
        assert_eq!(stand.short("web", "@10.5.1.1 both"), ["10.5.1.3"]);
        for words in ["db", "db.red", "030303030303", "-x 10.5.2.2"] {
            let status = stand.status("web", &format!("@10.5.1.1 {words}"));
            // `db.red` is a name like any other, and nobody is there to be asked.
            assert!(matches!(&*status, "NXDOMAIN" | "SERVFAIL"), "{words}: {status}");
        }
        // The other bridge's address is the host's too, but asked for by this bridge, it answers for this one.
        assert_eq!(stand.status("db", "@10.5.2.1 web"), "NXDOMAIN");
    }

    fn nobody_outside_is_answered(host: Host) {
        host.uplink();
        let stand = Stand::new(host);
        stand.serve(network(1, "blue"));
        stand.server.set_member(member(1, "web", vec![place(1, 2)]));
        stand.host.sh_in("router", "ip route add 10.5.1.0/24 via 192.0.2.2");
        for address in ["192.0.2.2", "10.5.1.1"] {
            // The kernel itself says that nobody is there.
            let output = stand.host.try_sh_in("router", &format!("dig +tries=1 +time=1 @{address} web"));
            assert!(!output.status.success(), "{address}");
        }
        assert_eq!(stand.server.statistics().unwrap().queries, 0);
        // The host is told, but nobody is asked for it.
        assert_eq!(stand.short("host", "@10.5.1.1 web.blue"), ["10.5.1.2"]);
        assert_eq!(stand.status("host", "@10.5.1.1 web.example"), "REFUSED");
    }

    fn a_thousand_names(host: Host) {
        let stand = Stand::new(host);
        stand.serve(network(1, "blue"));
        stand.container("web", &[(1, 2)]);
        for number in 0..1000u16 {
            let [high, low] = number.to_be_bytes();
            let mut place = place(1, 2);
            place.v4 = Some([10, 6, high, low].into());
            place.aliases = vec!["all".into()];
            let mut member = member(0, &format!("c{number}"), vec![place]);
            let mut bytes = [7; 32];
            bytes[..2].copy_from_slice(&number.to_be_bytes());
            member.sandbox = pontoon_model::SandboxId::from_bytes(bytes);
            member.short_id = member.sandbox.short().into();
            stand.server.set_member(member);
        }
        assert_eq!(stand.short("web", "@10.5.1.1 c999"), ["10.6.3.231"]);
        // By UDP as many as fit, said to be cut; dig asks again by TCP, and has all.
        let text = stand.dig("web", "@10.5.1.1 +ignore all");
        assert!(text.contains("flags: qr aa tc rd ra; QUERY: 1, ANSWER: 75,"), "{text}");
        assert_eq!(stand.short("web", "@10.5.1.1 all").len(), 1000);
    }

    fn a_bridge_that_was_made_anew_is_served(host: Host) {
        let stand = Stand::new(host);
        stand.serve(network(1, "blue"));
        stand.server.set_member(member(1, "web", vec![place(1, 2)]));
        let _ = stand.server.serve(network(1, "blue"), &bridge(1)).unwrap();
        stand.host.sh("ip link del br1");
        stand.serve(network(1, "green"));
        stand.container("web", &[(1, 2)]);
        assert_eq!(stand.short("web", "@10.5.1.1 web.green"), ["10.5.1.2"]);
        let id = NetworkId::from_bytes([1; 32]);
        stand.server.withdraw(&id).unwrap();
        let output = stand.host.try_sh_in("web", "dig +tries=1 +time=1 @10.5.1.1 web");
        assert!(!output.status.success());
        let _ = stand.server.serve(network(1, "blue"), &bridge(1)).unwrap();
        assert_eq!(stand.short("web", "@10.5.1.1 web"), ["10.5.1.2"]);
    }

    fn whoever_has_the_port_is_named(host: Host) {
        let stand = Stand::new(host);
        stand.add_bridge(1);
        let other = UdpSocket::bind("0.0.0.0:53").unwrap();
        let error = stand.server.serve(network(1, "blue"), &bridge(1)).unwrap_err();
        let ServeError::Socket { source, .. } = &error else { panic!("{error}") };
        assert!(source.to_string().starts_with("udp port 53 at 10.5.1.1 on br1 is in use by "), "{source}");
        assert!(source.to_string().contains(&format!("(pid {})", std::process::id())), "{source}");
        assert_eq!((error.code(), error.hint().is_some()), ("port-taken", true));
        drop(other);
        // Somebody who listens on every address leaves the datagrams.
        let other = TcpListener::bind("0.0.0.0:53").unwrap();
        let without = stand.server.serve(network(1, "blue"), &bridge(1)).unwrap().without;
        assert_eq!(without.len(), 2, "{without:?}");
        assert!(without[0].to_string().contains("tcp port 53 at 10.5.1.1"), "{without:?}");
        drop(other);
        stand.server.withdraw(&network(1, "blue").id).unwrap();
        assert!(stand.server.serve(network(1, "blue"), &bridge(1)).unwrap().without.is_empty());
        // The host's own server on an address of its own is not in the way, nor are we in its.
        let _other = UdpSocket::bind("127.0.0.1:53").unwrap();
        let _other = TcpListener::bind("127.0.0.1:53").unwrap();
        stand.add_bridge(2);
        assert!(stand.server.serve(network(2, "red"), &bridge(2)).unwrap().without.is_empty());
        let error = stand.server.serve(network(3, "none"), &"nothing".parse().unwrap()).unwrap_err();
        assert_eq!(error.code(), "no-device");
    }

    /// Updates while somebody asks as fast as it can: each is in force when its call returns, and none waits for long.
    fn an_update_is_in_force_when_it_returns(host: Host) {
        let stand = Stand::new(host);
        stand.serve(network(1, "blue"));
        stand.container("web", &[(1, 2)]);
        stand.server.set_member(member(1, "web", vec![place(1, 2)]));
        let netns = stand.host.netns("web");
        let flood = std::thread::spawn(move || {
            netns.enter(|| {
                let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
                socket.connect("10.5.1.1:53").unwrap();
                let until = Instant::now() + Duration::from_secs(2);
                while Instant::now() < until {
                    let _ = socket.send(b"\0\x01\x01\0\0\x01\0\0\0\0\0\0\x03web\0\0\x01\0\x01");
                }
            }).unwrap();
        });
        let netns = stand.host.netns("web");
        let socket = netns.enter(|| UdpSocket::bind("0.0.0.0:0").unwrap()).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        let mut longest = Duration::ZERO;
        let mut answers = 0;
        for turn in 0..200u8 {
            let mut there = place(1, 3);
            there.v4 = Some([10, 5, 1, turn].into());
            let before = Instant::now();
            stand.server.set_member(member(3, "moving", vec![there]));
            longest = longest.max(before.elapsed());
            let query = [&[turn, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], b"\x06moving\0\0\x01\0\x01"].concat();
            socket.send_to(&query, "10.5.1.1:53").unwrap();
            let mut buffer = [0; 512];
            // A flood fills the socket's queue, and some are lost.
            if let Ok(len) = socket.recv(&mut buffer)
                && buffer[0] == turn
            {
                assert_eq!(buffer[len - 1], turn);
                answers += 1;
            }
        }
        flood.join().unwrap();
        assert!(answers > 20, "{answers} answers");
        assert!(longest < Duration::from_millis(50), "an update took {longest:?}");
    }
}
