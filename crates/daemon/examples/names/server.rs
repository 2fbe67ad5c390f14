//! The servers: ours, and one outside that answers from memory.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use pontoon_daemon::dns::{Options, Server};
use pontoon_dns::{Member, NetworkNames, Place, Upstreams};
use pontoon_kernel::datagram::{Batch, DeviceSocket};
use pontoon_model::{NetworkId, SandboxId};

/// The address of the server outside.
pub(crate) const UPSTREAM: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 99);

/// Serves a network with so many containers, until it is killed.
pub(crate) fn serve(containers: u32) {
    let nowhere = PathBuf::from("/run/nowhere");
    let options = Options { resolv_conf: nowhere.clone(), behind: nowhere, ..Options::default() };
    let server = Server::start(options).expect("the server starts");
    let id = NetworkId::from_bytes([1; 32]);
    let network = NetworkNames {
        id: id.clone(),
        name: "blue".into(),
        internal: false,
        enabled: true,
        subnets: vec!["10.9.0.0/16".parse().expect("a subnet")],
        gateways: vec!["10.9.0.1".parse().expect("an address")],
    };
    let bridge = "br0".parse().expect("a name");
    let served = server.serve(network, &bridge).expect("the bridge is there");
    assert!(served.without.is_empty(), "{served:?}");
    for number in 0..containers {
        let mut bytes = [7; 32];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        let sandbox = SandboxId::from_bytes(bytes);
        server.set_member(Member {
            name: format!("c{number}"),
            short_id: sandbox.short().into(),
            sandbox,
            hostname: None,
            places: vec![Place {
                network: id.clone(),
                v4: Some(address(number)),
                v6: None,
                aliases: Vec::new(),
                links: Vec::new(),
            }],
            servers: Vec::new(),
        });
    }
    let servers = vec![SocketAddr::new(UPSTREAM.into(), 53)];
    server.set_upstreams(Some(Upstreams { servers, ..Upstreams::default() })).expect("the server runs");
    println!("ready");
    loop {
        std::thread::park();
    }
}

/// The address of a container.
pub(crate) fn address(number: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 9, 1, 0)) + number)
}

/// Answers every question with one address: for a minute if the name begins with `k`, else not to be kept.
pub(crate) fn upstream() {
    let socket =
        DeviceSocket::open(&"lo".parse().expect("a name"), IpAddr::V4(UPSTREAM), 53).expect("a free port");
    println!("ready");
    let mut batch = Batch::new(512);
    loop {
        let taken = batch.receive(&socket).expect("lo does not fail").len();
        for index in 0..taken {
            let (received, query, answer) = batch.exchange(index);
            let Some(name) = query.get(12..).and_then(|rest| rest.iter().position(|byte| *byte == 0)) else {
                continue;
            };
            let end = 12 + name + 5;
            answer[..end].copy_from_slice(&query[..end]);
            answer[2..12].copy_from_slice(b"\x81\x80\0\x01\0\x01\0\0\0\0");
            let ttl = if query[13] == b'k' { 60 } else { 0 };
            let record = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, ttl, 0, 4, 198, 51, 100, 7];
            answer[end..end + 16].copy_from_slice(&record);
            batch.answer(received.peer, end + 16);
        }
        batch.send(&socket);
        if taken == 0 {
            wait(&socket, 900);
        }
    }
}

/// Waits until something is there, for so many milliseconds.
fn wait(socket: &DeviceSocket, milliseconds: i64) -> bool {
    let mut waiting = [rustix::event::PollFd::new(socket, rustix::event::PollFlags::IN)];
    let timeout = rustix::event::Timespec { tv_sec: 0, tv_nsec: milliseconds * 1_000_000 };
    rustix::event::poll(&mut waiting, Some(&timeout)).is_ok_and(|ready| ready > 0)
}

/// Asks from the container's interface, 256 questions being on their way, and says how many were answered in how many
/// seconds: by batches, so that it takes less time than any server. A question that was lost is asked anew.
pub(crate) fn ask(seconds: u64, file: &str) {
    let text = std::fs::read_to_string(file).expect("the questions can be read");
    let questions: Vec<Vec<u8>> =
        text.lines().filter_map(|line| line.split(' ').next()).map(question).collect();
    let device = "eth0".parse().expect("a name");
    let socket =
        DeviceSocket::open(&device, IpAddr::V4(Ipv4Addr::new(10, 9, 1, 0)), 5300).expect("a free port");
    let server = SocketAddr::new(Ipv4Addr::new(10, 9, 0, 1).into(), 53);
    let mut next = questions.iter().cycle();
    let mut next = || next.next().expect("there are questions");
    let mut batch = Batch::new(512);
    let start = Instant::now();
    let mut answered = 0u64;
    while start.elapsed() < Duration::from_secs(seconds) {
        for _ in 0..256 {
            // What does not fit is lost, as on any network.
            let _ = socket.send(server, next());
        }
        while wait(&socket, 100) {
            let taken = batch.receive(&socket).expect("the cable does not fail").len();
            answered += taken as u64;
            for _ in 0..taken {
                let question = next();
                let (_, _, buffer) = batch.exchange(0);
                buffer[..question.len()].copy_from_slice(question);
                batch.answer(server, question.len());
            }
            batch.send(&socket);
            if start.elapsed() >= Duration::from_secs(seconds) {
                break;
            }
        }
    }
    println!("answered {answered} in {}", start.elapsed().as_secs_f64());
}

/// A query for an address of IPv4.
fn question(name: &str) -> Vec<u8> {
    let mut message = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0".to_vec();
    for label in name.split('.') {
        message.push(label.len() as u8);
        message.extend(label.as_bytes());
    }
    message.extend(b"\0\0\x01\0\x01");
    message
}
