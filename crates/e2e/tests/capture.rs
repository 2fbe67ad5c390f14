//! What `pontoon capture` sees of packets that are known, and that others read what it writes.

#[path = "../../capture/tests/packets/mod.rs"]
mod packets;

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ExitStatus};

use pontoon_capture::filter::parse;
use pontoon_capture::pcapng::{self, Direction, Interface, Packet};
use pontoon_capture::{Link, bpf};
use pontoon_e2e::{Pontoon, eventually};
use pontoon_testkit::{Host, sandboxed};
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;

/// A capture that has begun.
struct Running {
    child: Child,
    errors: BufReader<std::process::ChildStderr>,
    /// What it said that it captures on.
    on: String,
}

/// A capture that has ended.
struct Ended {
    status: ExitStatus,
    printed: String,
    said: String,
}

impl Running {
    fn begin(pontoon: &Pontoon<'_>, words: &str) -> Self {
        let mut child = pontoon.start(&format!("capture {words}"));
        let mut errors = BufReader::new(child.stderr.take().expect("it is piped"));
        let mut on = String::new();
        errors.read_line(&mut on).unwrap();
        assert!(on.starts_with("capturing on "), "{on}");
        Self { child, errors, on }
    }

    /// As Ctrl-C does it.
    fn interrupt(self, host: &Host) -> Ended {
        host.sh(&format!("kill -INT {}", self.child.id()));
        self.end()
    }

    /// Waits until it ends by itself.
    fn end(mut self) -> Ended {
        let mut said = String::new();
        self.errors.read_to_string(&mut said).unwrap();
        let output = self.child.wait_with_output().unwrap();
        Ended { status: output.status, printed: String::from_utf8_lossy(&output.stdout).into_owned(), said }
    }
}

/// What tcpdump reads in a file, a line for each packet.
fn tcpdump(host: &Host, file: &str, words: &str) -> Vec<String> {
    host.need("tcpdump");
    let text = host.sh(&format!("tcpdump -Z root -tt -n -e -r {file} {words} 2>/dev/null"));
    // It dumps what it does not know.
    text.lines().filter(|line| !line.starts_with('\t')).map(str::to_owned).collect()
}

/// Two containers, web and db, on a network.
fn pair<'a>(host: &'a Host, options: &str) -> Pontoon<'a> {
    let pontoon = Pontoon::on(host);
    pontoon.run(&format!("network create --subnet 10.1.0.0/24 {options} blue"));
    pontoon.run("run -d --name web --network blue:ip=10.1.0.2 -- sleep 100");
    pontoon.run("run -d --name db --network blue:ip=10.1.0.3 -- sleep 100");
    pontoon
}

sandboxed! {
    fn a_ping_is_in_a_file_that_tcpdump_reads(host: Host) {
        let pontoon = pair(&host, "");
        let capture = Running::begin(&pontoon, "web:eth0 -w /run/ping.pcapng icmp or arp");
        assert_eq!(capture.on, "capturing on eth0 (container web, network blue)\n");
        host.sh_in("db", "ping -n -q -c 3 -i 0.01 -s 100 10.1.0.2");
        let ended = capture.interrupt(&host);
        assert!(ended.status.success() && ended.printed.is_empty(), "{} {} {}", ended.status, ended.printed, ended.said);
        assert!(ended.said.contains("eth0: ") && ended.said.contains(" 0 lost"), "{}", ended.said);
        let lines = tcpdump(&host, "/run/ping.pcapng", "icmp");
        assert_eq!(lines.len(), 6, "{lines:#?}");
        assert!(lines[0].contains("10.1.0.3 > 10.1.0.2: ICMP echo request") && lines[0].contains("length 142"), "{lines:#?}");
        assert_eq!(tcpdump(&host, "/run/ping.pcapng", "not icmp and not arp"), [""; 0]);
        let bytes = std::fs::read("/run/ping.pcapng").unwrap();
        let has = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
        assert!(has(b"eth0") && has(b"container web, network blue") && has(b"\x0a\x01\x00\x03db\0"));
        // The last block says what was lost, with its length at its end.
        let length = u32::from_le_bytes(bytes[bytes.len() - 4..].try_into().unwrap()) as usize;
        assert_eq!(bytes[bytes.len() - length..][..4], 5_u32.to_le_bytes());
    }

    fn lines_tell_what_passes_and_the_filter_chooses(host: Host) {
        let pontoon = pair(&host, "");
        let _server = host.serve_udp("web", 7000, "pong");
        let capture = Running::begin(&pontoon, "web udp port 7000 or 7001");
        assert_eq!(capture.on, "capturing on lo (container web, loopback), eth0 (container web, network blue)\n");
        assert!(host.pings("db", "10.1.0.2"));
        host.ask_udp("db", "10.1.0.2:7000").unwrap();
        host.ask_udp("web", "127.0.0.1:7000").unwrap();
        let ended = capture.interrupt(&host);
        let lines: Vec<&str> = ended.printed.lines().collect();
        assert_eq!(lines.len(), 4, "{}", ended.printed);
        assert!(lines[0].contains("Z eth0 in  UDP 10.1.0.3:") && lines[0].contains(" → 10.1.0.2:7000, 1 bytes"), "{}", lines[0]);
        assert!(lines[1].contains("Z eth0 out UDP 10.1.0.2:7000 → 10.1.0.3:"), "{}", lines[1]);
        assert!(lines[2].contains("Z lo   in  UDP 127.0.0.1:"), "loopback is seen once: {}", lines[2]);
        assert!(lines.is_sorted(), "they come by their time");
    }

    fn a_pipe_has_whole_packets_at_once_and_it_ends_by_count_and_time(host: Host) {
        let pontoon = pair(&host, "");
        let program = std::env::var("PONTOON_BIN").unwrap_or_else(|_| pontoon_e2e::program().display().to_string());
        let piped = host.background(&format!("{program} capture web -w - --snaplen 60 icmp 2>/run/said | tcpdump -Z root -l -n -e -r - 2>&1"));
        eventually("it captures", || host.sh("cat /run/said 2>/dev/null || true").contains("capturing on"));
        host.sh_in("db", "ping -n -q -c 1 -s 1000 10.1.0.2");
        piped.wait_for("ICMP echo reply");
        assert!(piped.output().contains("length 1042"), "the whole length is kept: {}", piped.output());

        let counted = Running::begin(&pontoon, "web:eth0 -c 2 icmp");
        host.sh_in("db", "ping -n -q -c 2 -i 0.01 10.1.0.2");
        let ended = counted.end();
        assert_eq!(ended.printed.lines().count(), 2, "{}", ended.printed);
        let timed = Running::begin(&pontoon, "web --duration 100ms").end();
        assert!(timed.status.success(), "{}", timed.said);
    }

    fn tags_are_put_back(host: Host) {
        host.need("python3");
        // A guarded port would not let them pass.
        let pontoon = pair(&host, "-o pontoon.antispoof=false");
        let capture = Running::begin(&pontoon, "web:eth0 -w /run/tagged.pcapng -c 2 ether proto 0x88b5");
        // The kernel takes tags out of what comes in, and tells of them beside the packet.
        let frame = "b'\\xff'*6 + b'\\x02\\0\\0\\0\\0\\7' + tag + b'\\x88\\xb5' + b'x'*50";
        host.sh_in("db", &format!("python3 -c \"\nimport socket\ns = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)\ns.bind(('eth0', 0))\nfor tag in b'\\x81\\0\\x60\\5', b'':\n  s.send({frame})\n\""));
        capture.end();
        let lines = tcpdump(&host, "/run/tagged.pcapng", "");
        assert!(lines[0].contains("vlan 5, p 3, ethertype Unknown (0x88b5)") && lines[0].contains("length 68"), "{lines:#?}");
        assert!(lines[1].contains("ethertype Unknown (0x88b5), length 64"), "{lines:#?}");
    }

    fn others_namespaces_and_the_host_can_be_captured(host: Host) {
        let pontoon = pair(&host, "");
        host.sh("ip netns add theirs");
        pontoon.run("network connect --ip 10.1.0.9 blue netns:theirs");
        pontoon.run("run -d --name debug --network container:web -- sleep 100");
        pontoon.run("link web:lan0=10.0.0.1/30 netns:theirs:lan0=10.0.0.2/30");
        let bridge = pontoon.json("graph --format json")["Networks"][0]["Bridge"].as_str().unwrap().to_owned();
        for (words, on, from, to) in [
            ("netns:theirs:eth0", "eth0 (container netns-theirs, network blue)", "db", "10.1.0.9"),
            ("netns:theirs:lan0", "lan0 (container netns-theirs, cable to lan0 of web)", "web", "10.0.0.2"),
            ("debug:eth0", "eth0 (container debug, network blue)", "db", "10.1.0.2"),
            ("host:lo", "lo (the host, loopback)", "host", "127.0.0.1"),
            (&format!("host:{bridge} --promiscuous"), &format!("{bridge} (the host, bridge of network blue)"), "db", "10.1.0.2"),
        ] {
            let capture = Running::begin(&pontoon, &format!("{words} -c 2 icmp"));
            assert_eq!(capture.on.trim_end(), format!("capturing on {on}"));
            assert!(host.pings(from, to), "{from} → {to}");
            let ended = capture.end();
            assert!(ended.printed.contains("echo request") && ended.printed.contains("echo reply"), "{words}: {}", ended.printed);
        }
    }

    fn a_capture_ends_with_its_container_and_keeps_nothing_of_it(host: Host) {
        let pontoon = pair(&host, "");
        let capture = Running::begin(&pontoon, "web");
        pontoon.run("rm -f web");
        let ended = capture.end();
        assert!(ended.status.success() && ended.said.contains("eth0: "), "{}", ended.said);
        eventually("web's interface is gone", || {
            !host.sh("ip -o link show type veth").contains("web") && host.json("ip -j link show type veth").as_array().unwrap().len() == 1
        });
    }

    fn what_is_wrong_is_told(host: Host) {
        let pontoon = pair(&host, "");
        for (words, code, says) in [
            ("capture web:eth9", 1, "there are `lo`, `eth0`"),
            ("capture web tcp and prot 80", 1, "did you mean `proto` or `port`?"),
            ("capture nobody", 1, "`nobody`"),
            ("capture web --duration soon", 2, "--duration"),
            ("capture web -w /nowhere/file", 1, "could not create /nowhere/file"),
        ] {
            let (found, said) = pontoon.fail(words);
            assert!(found == code && said.contains(says), "{words}: {found} {said}");
        }
        pontoon.run("stop web");
        assert!(pontoon.fail("capture web").1.contains("is not running"));
        // Everything but the one capability that it takes.
        host.need("setpriv");
        let program = pontoon_e2e::program();
        let output = host.try_sh(&format!("setpriv --bounding-set -net_raw {} capture db", program.display()));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains("CAP_NET_RAW"), "{said}");
    }

    /// The same packets and filters for libpcap and for us.
    fn filters_mean_what_libpcap_has_them_mean(host: Host) {
        let mut bytes = Vec::new();
        pcapng::section(&mut bytes, "test");
        let about = Interface { name: "eth0".into(), description: String::new(), mac: None, addresses: Vec::new(), link: Link::Ethernet };
        pcapng::interface(&mut bytes, &about, 262_144, "");
        let mut runner = TestRunner::deterministic();
        let mut all = Vec::new();
        for number in 0..600_u64 {
            let data = packets::packet().new_tree(&mut runner).unwrap().current().bytes(Link::Ethernet);
            let time = number * 1_000_000_000;
            let packet = Packet { interface: 0, time, direction: Direction::In, receiver: None, data: &data, length: data.len() as u32 };
            pcapng::packet(&mut bytes, &packet);
            all.push(data);
        }
        std::fs::write("/run/all.pcapng", bytes).unwrap();
        let mut hits = 0;
        for text in [
            "ip", "ip6", "arp", "tcp", "udp", "sctp", "icmp", "icmp6", "port 3", "tcp port 3 or 4", "src port 1", "udp dst port 2",
            "portrange 2-5", "tcp src portrange 0-2", "src and dst port 3", "host 10.0.0.1", "src host 10.0.0.2", "arp host 10.0.0.1",
            "ip host 10.0.0.1", "host fd00::1", "dst host ff02::1", "net 10", "src net 10.0.0.0/16", "net 10.9.0.0 mask 255.255.0.0",
            "dst net fd00::/9", "src or dst net fe80::/10", "ether host 02:00:00:00:00:01", "ether src 2:0:0:0:0:2", "ether broadcast",
            "multicast", "ip multicast", "ip6 multicast", "ether proto 0x88cc", "ip proto 47", "ip6 proto \\tcp", "less 60", "greater 70",
            "not ip", "not port 3 and udp", "ip and not (tcp or udp) or arp", "tcp or udp and ip6", "host 10.0.0.1 or 10.0.0.2 and tcp",
            "not (host 10.0.0.1 or port 3)",
        ] {
            let theirs: BTreeSet<usize> = tcpdump(&host, "/run/all.pcapng", &format!("'{text}'"))
                .iter()
                .map(|line| line.split('.').next().unwrap().parse().unwrap())
                .collect();
            let program = parse(text).unwrap().program(Link::Ethernet, 1).unwrap();
            let ours: BTreeSet<usize> =
                all.iter().enumerate().filter(|(_, data)| bpf::run(&program, data) == Some(1)).map(|(number, _)| number).collect();
            let different: Vec<_> = theirs.symmetric_difference(&ours).map(|number| &all[*number]).collect();
            assert!(different.is_empty(), "{text}: {different:02x?}");
            hits += usize::from(!ours.is_empty());
        }
        assert_eq!(hits, 43, "each filter takes some packet");
    }
}
