//! Names that somebody else knows.

use std::fs;
use std::time::{Duration, Instant};

use pontoon_daemon::dns::{Options, Server};
use pontoon_dns::forwarder;
use pontoon_testkit::sandboxed;

use crate::stand::{Stand, member, missing, network, place};
use crate::upstream::{Manner, Upstream};

sandboxed! {
    fn others_are_asked_and_remembered(host: Host) {
        let stand = Stand::new(host);
        stand.serve(network(1, "blue"));
        stand.container("web", &[(1, 2)]);
        let upstream = Upstream::start(5, Manner::Honest);
        stand.ask(&[upstream.address]);
        assert_eq!(stand.short("web", "@10.5.1.1 example.com"), ["198.51.100.5"]);
        assert_eq!(stand.short("web", "@fd00:5:1::1 EXAMPLE.com"), ["198.51.100.5"]);
        assert_eq!(stand.short("web", "@10.5.1.1 +tcp example.com"), ["198.51.100.5"]);
        assert_eq!(upstream.asked(), 1);
        std::thread::sleep(Duration::from_millis(1100));
        let text = stand.dig("web", "@10.5.1.1 Example.com");
        assert!(text.contains("flags: qr rd ra;"), "{text}");
        let ttl = text.lines().find_map(|line| line.strip_prefix("Example.com.\t\t"));
        let ttl: u32 = ttl.and_then(|rest| rest.split('\t').next()).unwrap().parse().unwrap();
        assert!((50..60).contains(&ttl), "{text}");
        // What is not there is remembered as well.
        assert_eq!(stand.status("web", "@10.5.1.1 example.com MX"), "NOERROR");
        assert_eq!(stand.status("web", "@10.5.1.1 example.gone"), "NXDOMAIN");
        assert_eq!(stand.status("web", "@10.5.1.1 example.gone"), "NXDOMAIN");
        assert_eq!(upstream.asked(), 3);
        // Containers, and what looks like one, are nobody else's business.
        assert_eq!(stand.status("web", "@10.5.1.1 intranet"), "NXDOMAIN");
        assert_eq!(stand.status("web", "@10.5.1.1 -x 10.5.1.77"), "NXDOMAIN");
        assert_eq!(stand.status("web", "@10.5.1.1 +norecurse elsewhere.example"), "REFUSED");
        assert_eq!(upstream.asked(), 3);
        // Reverse names of others are.
        assert_eq!(stand.status("web", "@10.5.1.1 -x 192.0.2.1"), "NOERROR");
        assert_eq!(upstream.asked(), 4);
        let statistics = stand.server.statistics().unwrap();
        assert_eq!(statistics.forward.cached, 4, "{statistics:?}");
        assert!(statistics.upstreams[0].state.unwrap().works && statistics.cache_entries == 4, "{statistics:?}");
    }

    fn a_dead_server_is_not_waited_for_again(host: Host) {
        let stand = Stand::new(host);
        stand.serve(network(1, "blue"));
        stand.container("web", &[(1, 2)]);
        let (dead, good) = (Upstream::start(4, Manner::Silent), Upstream::start(5, Manner::Honest));
        stand.ask(&[dead.address, good.address]);
        let mut times = Vec::new();
        for number in 0..20 {
            let before = Instant::now();
            assert_eq!(stand.short("web", &format!("@10.5.1.1 n{number}.example")), ["198.51.100.5"]);
            times.push(before.elapsed());
        }
        assert!(times[0] < Duration::from_secs(1), "{times:?}");
        assert!(times[3..].iter().all(|time| *time < Duration::from_millis(300)), "{times:?}");
        assert!(dead.asked() <= 5, "{}", dead.asked());
        // One whose port is closed is known at once.
        stand.ask(&["127.0.0.9:53".parse().unwrap(), good.address]);
        let before = Instant::now();
        assert_eq!(stand.short("web", "@10.5.1.1 another.example"), ["198.51.100.5"]);
        assert!(before.elapsed() < Duration::from_millis(300), "{:?}", before.elapsed());
        // With nobody left, the client is told before it gives up.
        stand.ask(&[dead.address]);
        let before = Instant::now();
        assert_eq!(stand.status("web", "@10.5.1.1 last.example"), "SERVFAIL");
        assert!(before.elapsed() < Duration::from_secs(5), "{:?}", before.elapsed());
    }

    fn lies_are_passed_over(host: Host) {
        let mixed_case = forwarder::Options { mixed_case: true, ..forwarder::Options::default() };
        for forward in [forwarder::Options::default(), mixed_case] {
            let options = Options { forward, resolv_conf: missing(), behind: missing(), ..Options::default() };
            let server = Server::start(options).unwrap();
            let stand = Stand { host: host.clone(), server };
            if !forward.mixed_case {
                stand.add_bridge(1);
                stand.container("web", &[(1, 2)]);
            }
            let _ = stand.server.serve(network(1, "blue"), &crate::stand::bridge(1)).unwrap();
            let upstream = Upstream::start(if forward.mixed_case { 6 } else { 5 }, Manner::Lying);
            stand.ask(&[upstream.address]);
            for number in 0..10 {
                let found = stand.short("web", &format!("@10.5.1.1 Some-n{number}.example"));
                assert_eq!(found, [format!("198.51.100.{}", if forward.mixed_case { 6 } else { 5 })]);
            }
            let statistics = stand.server.statistics().unwrap();
            assert!(statistics.forward.discarded >= 40, "{statistics:?}");
        }
    }

    fn what_is_cut_is_asked_for_by_tcp(host: Host) {
        let stand = Stand::new(host);
        stand.serve(network(1, "blue"));
        stand.container("web", &[(1, 2)]);
        let upstream = Upstream::start(5, Manner::Long);
        stand.ask(&[upstream.address]);
        let text = stand.dig("web", "@10.5.1.1 +ignore long.example");
        assert!(text.contains("flags: qr tc rd ra; QUERY: 1, ANSWER: 0,"), "{text}");
        assert_eq!(stand.short("web", "@10.5.1.1 long.example").len(), 200);
        assert_eq!(upstream.asked(), 1);
        assert_eq!(stand.server.statistics().unwrap().forward.streams, 1);
    }

    fn a_container_without_a_way_out_is_not_helped_out(host: Host) {
        let stand = Stand::new(host);
        let mut cellar = network(1, "cellar");
        cellar.internal = true;
        stand.serve(cellar);
        stand.serve(network(2, "blue"));
        stand.container("web", &[(1, 2)]);
        stand.container("both", &[(1, 3), (2, 3)]);
        stand.server.set_member(member(1, "web", vec![place(1, 2)]));
        stand.server.set_member(member(2, "both", vec![place(1, 3), place(2, 3)]));
        let upstream = Upstream::start(5, Manner::Honest);
        stand.ask(&[upstream.address]);
        assert_eq!(stand.status("web", "@10.5.1.1 example.com"), "NXDOMAIN");
        assert_eq!(stand.short("web", "@10.5.1.1 both"), ["10.5.1.3"]);
        assert_eq!(upstream.asked(), 0);
        assert_eq!(stand.short("both", "@10.5.1.1 example.com"), ["198.51.100.5"]);
    }

    fn the_hosts_files_say_whom_to_ask(host: Host) {
        let (first, second) = (Upstream::start(5, Manner::Honest), Upstream::start(6, Manner::Honest));
        let folder = "/run/testkit/etc";
        fs::create_dir_all(folder).unwrap();
        let file = format!("{folder}/resolv.conf");
        fs::write(&file, "nameserver 127.0.0.5\n").unwrap();
        let behind = "/run/testkit/run/resolve/resolv.conf";
        let options = Options { resolv_conf: file.clone().into(), behind: behind.into(), ..Options::default() };
        let stand = Stand::with(host, options);
        stand.serve(network(1, "blue"));
        stand.container("web", &[(1, 2)]);
        let asked = |number: u8| stand.short("web", &format!("@10.5.1.1 n{number}.example")) == ["198.51.100.6"];
        assert!(!asked(0));
        // Written in place, replaced by renaming, a link, a link to another place, and the file behind it.
        fs::write(&file, "nameserver 127.0.0.6\n").unwrap();
        stand.host.wait_until("the new server is asked", || asked(1));
        fs::write(format!("{file}.new"), "nameserver 127.0.0.5\n").unwrap();
        fs::rename(format!("{file}.new"), &file).unwrap();
        stand.host.wait_until("the first is asked again", || !asked(2));
        stand.host.sh(&format!("mkdir /run/testkit/other && echo nameserver 127.0.0.6 >/run/testkit/other/servers
            ln -sf ../other/servers {file}"));
        stand.host.wait_until("the link is followed", || asked(3));
        stand.host.sh("cd /run/testkit/other && echo nameserver 127.0.0.5 >x && mv x servers");
        stand.host.wait_until("the link's target is watched", || !asked(4));
        stand.host.sh(&format!("mkdir -p /run/testkit/run/resolve && echo nameserver 127.0.0.6 >{behind}"));
        stand.host.wait_until("the file behind is found", || asked(5));
        // Our own gateway is nobody to ask.
        fs::write(behind, "nameserver 10.5.1.1\nnameserver 127.0.0.5\n").unwrap();
        stand.host.wait_until("the gateway is left out", || {
            let upstreams = stand.server.statistics().unwrap().upstreams;
            upstreams.len() == 1 && upstreams[0].server == first.address
        });
        assert!(second.asked() > 0);
    }

    /// Somebody asks for a thousand names that nobody answers; another network's queries are answered all the same.
    fn one_network_cannot_use_up_what_all_need(host: Host) {
        let stand = Stand::new(host);
        stand.serve(network(1, "blue"));
        stand.serve(network(2, "red"));
        stand.container("web", &[(1, 2)]);
        stand.container("db", &[(2, 2)]);
        let (dead, good) = (Upstream::start(4, Manner::Silent), Upstream::start(5, Manner::Honest));
        let domains = vec![pontoon_dns::upstreams::Domain { name: "dead".into(), servers: vec![dead.address] }];
        let upstreams = pontoon_dns::Upstreams { servers: vec![good.address], domains, trust_ad: false };
        stand.server.set_upstreams(Some(upstreams)).unwrap();
        let flood = "for n in $(seq 1000); do echo x$n.dead; done >/run/testkit/names
            dig +tries=1 +time=1 +short @10.5.1.1 -f /run/testkit/names >/dev/null";
        let flood = stand.host.background_in("web", flood);
        let flood2 = stand.host.background_in("web", "python3 - <<'E'
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for n in range(1000):
    name = b'y%d' % n
    s.sendto(bytes([n >> 8, n & 255, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, len(name)]) + name + b'\\4dead\\0\\0\\1\\0\\1', ('10.5.1.1', 53))
E");
        stand.host.wait_until("too many are refused", || {
            stand.server.statistics().unwrap().forward.overload > 0
        });
        for number in 0..10 {
            let before = Instant::now();
            assert_eq!(stand.short("db", &format!("@10.5.2.1 n{number}.example")), ["198.51.100.5"]);
            assert!(before.elapsed() < Duration::from_millis(500));
        }
        assert!(stand.server.statistics().unwrap().in_flight <= 257);
        drop((flood, flood2));
    }
}
