//! Forgetting flows, among entries that packets have made and against `conntrack`.

use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};

use pontoon_kernel::conntrack::{forget, list};
use pontoon_kernel::execute::Executor;
use pontoon_kernel::socket::{Protocol as Part, Requests, Socket};
use pontoon_model::op::{ConntrackOp, Flow};
use pontoon_model::publish::Protocol;
use pontoon_model::{Diagnose, Step};
use pontoon_netlink::Family;
use pontoon_netlink::conntrack::{Counter, DumpEntries, Entry, IPS_DST_NAT, IPS_SEEN_REPLY, Tuple};
use pontoon_plan::command;
use pontoon_testkit::{Host, sandboxed};

const UDP: u8 = 17;

/// Addresses of the host, and rules that make the kernel track connections and lead port 8080 of two addresses to
/// "containers".
const GROUND: &str = "
    ip link set lo up
    for address in 192.0.2.1/32 192.0.2.2/32 10.0.0.2/32 10.0.0.3/32; do ip address add $address dev lo; done
    for address in 2001:db8::8 2001:db8::9 fd00::2 fd00::3; do ip address add $address/128 dev lo nodad; done
    nft -f - <<'RULES'
    table inet lab {
        chain output {
            type nat hook output priority -100
            ip daddr 192.0.2.1 udp dport 8080 dnat ip to 10.0.0.2:53
            ip6 daddr 2001:db8::8 udp dport 8080 dnat ip6 to [fd00::2]:53
        }
    }
RULES";

fn tracking(host: &Host) -> Socket {
    for tool in ["ip", "nft"] {
        host.need(tool);
    }
    host.sh(GROUND);
    // The kernel makes the routes to them a moment after the addresses.
    let local =
        || host.sh("ip -6 route show table local").lines().filter(|route| !route.contains("::1 ")).count();
    host.wait_until("IPv6 addresses are answered for", || local() == 4);
    Socket::open(Part::Netfilter).unwrap()
}

/// One datagram to each, which makes an entry; all from the same port.
fn send(to: &[&str]) {
    let to: Vec<SocketAddr> = to.iter().map(|to| to.parse().unwrap()).collect();
    let [four, six] = ["0.0.0.0:0", "[::]:0"].map(|any| UdpSocket::bind(any).unwrap());
    for to in to {
        let socket = if to.is_ipv4() { &four } else { &six };
        socket.send_to(b"?", to).unwrap();
    }
}

fn entries(socket: &mut Socket, protocol: Option<u8>) -> Vec<Entry> {
    let mut all = Vec::new();
    for family in [Family::V4, Family::V6] {
        all.extend(list(socket, &DumpEntries { family, protocol }).unwrap());
    }
    all
}

/// Where the flows of UDP that are known were sent to, sorted as text.
fn sent(socket: &mut Socket) -> Vec<String> {
    let to = |entry: &Entry| {
        SocketAddr::new(entry.orig.destination, entry.orig.ports.unwrap().destination).to_string()
    };
    let mut all: Vec<String> = entries(socket, Some(UDP)).iter().map(to).collect();
    all.sort();
    all
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn sent_to(address: Option<&str>, port: u16) -> Flow {
    Flow::SentTo { protocol: Protocol::Udp, address: address.map(ip), port }
}

fn answered_by(address: &str, port: u16) -> Flow {
    Flow::AnsweredBy { protocol: Protocol::Udp, address: ip(address), port }
}

sandboxed! {
    fn a_port_is_forgotten_on_every_address(host: Host) {
        let mut socket = tracking(&host);
        send(&["192.0.2.1:8080", "192.0.2.2:8080", "192.0.2.2:8081", "[2001:db8::8]:8080", "[2001:db8::9]:8080"]);
        assert_eq!(forget(&mut socket, &[sent_to(None, 8080), sent_to(None, 8080)]), Ok(4));
        assert_eq!(sent(&mut socket), ["192.0.2.2:8081"]);
    }

    fn a_port_is_forgotten_on_the_addresses_of_a_family(host: Host) {
        let mut socket = tracking(&host);
        send(&["192.0.2.1:8080", "[2001:db8::8]:8080"]);
        assert_eq!(forget(&mut socket, &[sent_to(Some("0.0.0.0"), 8080)]), Ok(1));
        assert_eq!(sent(&mut socket), ["[2001:db8::8]:8080"]);
        assert_eq!(forget(&mut socket, &[sent_to(Some("::"), 8080)]), Ok(1));
        assert_eq!(sent(&mut socket), [""; 0]);
    }

    fn a_port_is_forgotten_on_one_address(host: Host) {
        let mut socket = tracking(&host);
        send(&["192.0.2.1:8080", "192.0.2.2:8080", "[2001:db8::8]:8080", "[2001:db8::9]:8080", "192.0.2.1:81"]);
        assert_eq!(forget(&mut socket, &[sent_to(Some("192.0.2.1"), 8080)]), Ok(1));
        assert_eq!(forget(&mut socket, &[sent_to(Some("2001:db8::9"), 8080)]), Ok(1));
        assert_eq!(sent(&mut socket), ["192.0.2.1:81", "192.0.2.2:8080", "[2001:db8::8]:8080"]);
    }

    fn what_leads_to_a_container_is_forgotten(host: Host) {
        let mut socket = tracking(&host);
        let direct = ["10.0.0.2:53", "10.0.0.2:54", "10.0.0.3:53", "[fd00::2]:53", "[fd00::3]:53"];
        send(&["192.0.2.1:8080", "[2001:db8::8]:8080", "192.0.2.2:8080"]);
        send(&direct);
        let led = |entry: &Entry| entry.status & IPS_DST_NAT != 0;
        assert_eq!(entries(&mut socket, Some(UDP)).iter().filter(|entry| led(entry)).count(), 2);
        assert_eq!(forget(&mut socket, &[answered_by("10.0.0.2", 53)]), Ok(2));
        assert_eq!(forget(&mut socket, &[answered_by("fd00::2", 53)]), Ok(2));
        assert_eq!(sent(&mut socket), ["10.0.0.2:54", "10.0.0.3:53", "192.0.2.2:8080", "[fd00::3]:53"]);
    }

    fn other_protocols_are_left_alone(host: Host) {
        let mut socket = tracking(&host);
        let listener = TcpListener::bind("192.0.2.1:8080").unwrap();
        let _connection = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        send(&["192.0.2.1:8080"]);
        let protocols = |socket: &mut Socket, protocol| {
            let mut all: Vec<u8> = entries(socket, protocol).iter().map(|entry| entry.orig.protocol).collect();
            all.sort();
            all
        };
        assert_eq!(protocols(&mut socket, None), [6, UDP]);
        assert_eq!(protocols(&mut socket, Some(UDP)), [UDP], "the kernel filters");
        assert_eq!(forget(&mut socket, &[sent_to(None, 8080)]), Ok(1));
        assert_eq!(protocols(&mut socket, None), [6]);
        let tcp = Flow::SentTo { protocol: Protocol::Tcp, address: None, port: 8080 };
        let sctp = Flow::SentTo { protocol: Protocol::Sctp, address: None, port: 8080 };
        assert_eq!(forget(&mut socket, &[tcp, sctp]), Ok(1));
        assert_eq!(protocols(&mut socket, None), [0; 0]);
    }

    fn a_few_of_thousands_are_forgotten_and_all_of_them(host: Host) {
        let mut socket = tracking(&host);
        let to: Vec<String> = (10_000..12_000).map(|port| format!("192.0.2.2:{port}")).collect();
        send(&to.iter().map(String::as_str).collect::<Vec<_>>());
        let few = [sent_to(None, 10_000), sent_to(Some("192.0.2.2"), 10_999), answered_by("192.0.2.2", 11_999)];
        assert_eq!(forget(&mut socket, &few), Ok(3));
        let gone = ["10000", "10999", "11999"];
        let left = |to: &&String| !gone.iter().any(|port| to.ends_with(port));
        assert_eq!(sent(&mut socket), to.iter().filter(left).cloned().collect::<Vec<_>>());
        let all: Vec<Flow> = (10_000..12_000).map(|port| sent_to(None, port)).collect();
        assert_eq!(forget(&mut socket, &all), Ok(1_997));
        assert_eq!(sent(&mut socket), [""; 0]);
    }

    fn nothing_to_forget_is_fine(host: Host) {
        let mut socket = tracking(&host);
        assert_eq!(forget(&mut socket, &[]), Ok(0));
        assert_eq!(forget(&mut socket, &[sent_to(None, 8080), answered_by("fd00::2", 53)]), Ok(0));
    }

    fn an_entry_is_as_conntrack_shows_it(host: Host) {
        host.need("conntrack");
        let mut socket = tracking(&host);
        host.sh("sysctl -w net.netfilter.nf_conntrack_acct=1");
        let server = UdpSocket::bind("10.0.0.2:53").unwrap();
        let client = UdpSocket::bind("192.0.2.2:4000").unwrap();
        client.send_to(b"four", "192.0.2.1:8080").unwrap();
        let (_, from) = server.recv_from(&mut [0; 8]).unwrap();
        server.send_to(b"eight...", from).unwrap();
        let [entry]: [Entry; 1] = entries(&mut socket, Some(UDP)).try_into().unwrap();
        assert_eq!(entry.orig, Tuple::new(UDP, (ip("192.0.2.2"), 4000), (ip("192.0.2.1"), 8080)));
        assert_eq!(entry.reply, Tuple::new(UDP, (ip("10.0.0.2"), 53), (ip("192.0.2.2"), 4000)));
        assert_eq!(entry.status & (IPS_DST_NAT | IPS_SEEN_REPLY), IPS_DST_NAT | IPS_SEEN_REPLY);
        assert!(entry.timeout.is_some_and(|seconds| (1..=120).contains(&seconds)), "{entry:?}");
        let counter = |packets, bytes| Some(Counter { packets, bytes });
        assert_eq!((entry.sent, entry.answered), (counter(1, 32), counter(1, 36)));
        let shown = host.sh("conntrack -L -p udp -o id");
        let tuples = "src=192.0.2.2 dst=192.0.2.1 sport=4000 dport=8080 packets=1 bytes=32 \
                      src=10.0.0.2 dst=192.0.2.2 sport=53 dport=4000 packets=1 bytes=36";
        assert!(shown.contains(tuples) && shown.contains(&format!("id={}", entry.id)), "{shown}");
    }

    fn only_that_very_entry_is_deleted(host: Host) {
        let mut socket = tracking(&host);
        let (one, two) = ((ip("192.0.2.2"), 4000), (ip("192.0.2.1"), 9000));
        let new = Entry::new(Tuple::new(UDP, one, two), Tuple::new(UDP, two, one), 60);
        let mut add = Requests::new();
        add.add_connection(&new);
        socket.run(&mut add).unwrap();
        assert!(socket.run(&mut add).unwrap_err().refused[0].error.is_exists());
        let first = entries(&mut socket, Some(UDP)).remove(0);
        let mut delete = Requests::new();
        delete.delete_connection(&first);
        socket.run(&mut delete).unwrap();
        let error = socket.run(&mut delete).unwrap_err();
        assert_eq!(
            error.to_string(),
            "could not delete connection tracking entry protocol 17 from 192.0.2.2 port 4000 to 192.0.2.1 port 9000: \
             No such file or directory (ENOENT)"
        );
        socket.run(&mut add).unwrap();
        let mut second = entries(&mut socket, Some(UDP)).remove(0);
        second.id ^= 1;
        delete.clear();
        delete.delete_connection(&second);
        assert!(socket.run(&mut delete).unwrap_err().refused[0].error.is_not_found(), "it is another one");
        assert_eq!(sent(&mut socket), ["192.0.2.1:9000"]);
    }

    fn zones_of_either_kind_are_told_and_heeded(host: Host) {
        let mut socket = tracking(&host);
        let (one, two) = ((ip("fd00::2"), 4000), (ip("fd00::3"), 9000));
        let plain = Entry::new(Tuple::new(UDP, one, two), Tuple::new(UDP, two, one), 60);
        let both = Entry { zone: Some(7), ..plain.clone() };
        let first = Entry {
            orig: Tuple { zone: Some(9), ..plain.orig },
            reply: Tuple::new(UDP, two, (one.0, 4001)),
            ..plain.clone()
        };
        let mut add = Requests::new();
        for entry in [&plain, &both, &first] {
            add.add_connection(entry);
        }
        socket.run(&mut add).unwrap();
        let zones = |socket: &mut Socket| {
            let found = entries(socket, Some(UDP));
            let mut all: Vec<_> = found.iter().map(|entry| (entry.zone, entry.orig.zone)).collect();
            all.sort();
            all
        };
        assert_eq!(zones(&mut socket), [(None, None), (None, Some(9)), (Some(7), None)]);
        let only = entries(&mut socket, Some(UDP)).into_iter().find(|entry| entry.zone.is_some()).unwrap();
        let mut delete = Requests::new();
        delete.delete_connection(&only);
        socket.run(&mut delete).unwrap();
        assert_eq!(zones(&mut socket), [(None, None), (None, Some(9))]);
        assert_eq!(forget(&mut socket, &[sent_to(None, 9000)]), Ok(2));
    }

    fn the_executor_and_the_printed_commands_do_the_same(host: Host) {
        host.need("conntrack");
        let mut socket = tracking(&host);
        let to = [
            "192.0.2.1:8080",
            "192.0.2.2:8080",
            "192.0.2.2:81",
            "192.0.2.2:82",
            "[2001:db8::8]:8080",
            "[2001:db8::9]:81",
        ];
        let flows = vec![
            sent_to(Some("192.0.2.2"), 81),
            sent_to(Some("::"), 81),
            answered_by("10.0.0.2", 53),
            answered_by("fd00::2", 53),
            sent_to(None, 8080),
        ];
        let step = Step::new(ConntrackOp::Forget { flows }, "the ports lead elsewhere now");
        let mut executor = Executor::open().unwrap();
        let mut script = command::commands(&step.op);
        script.insert(0, "set -e".to_owned());
        let script = script.join("\n");
        for _ in 0..2 {
            send(&to);
            executor.run(std::slice::from_ref(&step)).unwrap();
            assert_eq!(sent(&mut socket), ["192.0.2.2:82"]);
            executor.run(std::slice::from_ref(&step)).unwrap();
            send(&to);
            host.sh(&script);
            assert_eq!(sent(&mut socket), ["192.0.2.2:82"; 2]);
            host.sh(&script);
            assert_eq!(forget(&mut socket, &[sent_to(None, 82)]), Ok(2));
        }
    }

    fn a_missing_privilege_is_told(host: Host) {
        tracking(&host);
        let none = rustix::thread::CapabilitySet::empty();
        let sets = rustix::thread::CapabilitySets { effective: none, permitted: none, inheritable: none };
        rustix::thread::set_capabilities(None, sets).unwrap();
        let mut socket = Socket::open(Part::Netfilter).unwrap();
        let error = forget(&mut socket, &[sent_to(None, 8080)]).unwrap_err();
        assert_eq!(error.code(), "kernel-denied");
        assert_eq!(
            error.to_string(),
            "could not read list of connection tracking entries: Operation not permitted (EPERM)"
        );
        assert!(error.hint().unwrap().contains("CAP_NET_ADMIN"));
    }
}
