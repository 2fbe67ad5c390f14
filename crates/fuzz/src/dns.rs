//! What the name server reads: queries of containers, and answers of other servers.

use std::net::{IpAddr, SocketAddr};
use std::sync::OnceLock;
use std::time::Duration;

use pontoon_dns::forwarder::{CacheLimits, Options};
use pontoon_dns::wire::UDP_PAYLOAD;
use pontoon_dns::{
    Action, Client, Directory, Forwarder, Member, NetworkNames, Place, Query, Transport, Upstreams, Verdict,
};
use pontoon_model::{NetworkId, SandboxId};

/// A network with some containers, made once.
fn directory() -> &'static (Directory, Client) {
    static DIRECTORY: OnceLock<(Directory, Client)> = OnceLock::new();
    DIRECTORY.get_or_init(fill)
}

fn fill() -> (Directory, Client) {
    let mut directory = Directory::default();
    let id = NetworkId::from_bytes([1; 32]);
    let network = directory.set_network(NetworkNames {
        id: id.clone(),
        name: "blue".into(),
        internal: false,
        enabled: true,
        subnets: vec!["10.1.0.0/24".parse().expect("a subnet"), "fd00:1::/64".parse().expect("a subnet")],
        gateways: vec![IpAddr::from([10, 1, 0, 1])],
    });
    for last in 2..60 {
        let place = Place {
            network: id.clone(),
            v4: Some([10, 1, 0, last].into()),
            v6: Some(format!("fd00:1::{last:x}").parse().expect("an address")),
            aliases: vec!["all".into()],
            links: Vec::new(),
        };
        directory.set_member(Member {
            sandbox: SandboxId::from_bytes([last; 32]),
            name: format!("c{last}"),
            short_id: format!("{last:012x}"),
            hostname: None,
            places: vec![place],
            servers: Vec::new(),
        });
    }
    (directory, Client { network, source: [10, 1, 0, 2].into() })
}

/// [`Directory::respond`]: an answer is one to the query, no longer than the client takes, and read whole by whoever reads
/// it: what it says that it has is there.
pub fn dns_query(data: &[u8]) {
    let (directory, client) = directory();
    // On a longer one, what was written too far would not be noticed.
    let mut buffer = vec![0xaa; UDP_PAYLOAD];
    match directory.respond(client, data, Transport::Udp, &mut buffer) {
        Verdict::Answer { len, .. } => {
            let answer = &buffer[..len];
            assert_eq!(answer[..2], data[..2]);
            assert!(data[2] & 0x80 == 0 && answer[2] & 0x80 != 0, "an answer to an answer");
            let questions = u16::from_be_bytes([answer[4], answer[5]]);
            if questions == 1 {
                let query = Query::parse(data).expect("its question was read");
                assert!(len <= query.room(Transport::Udp), "{len}");
                assert!(data[12..].starts_with(&answer[12..12 + question_len(answer)]));
            }
            assert_eq!(walk(answer), Some(len));
        }
        Verdict::Forward { query, .. } => assert_eq!(query.id.to_be_bytes(), data[..2]),
        Verdict::Silence => assert!(data.len() < 12 || data[2] & 0x80 != 0),
    }
}

/// [`Forwarder::on_datagram`] and what a client is given of it: one answer, that can be read whole.
pub fn dns_answer(data: &[u8]) {
    let (_, client) = directory();
    let cache = CacheLimits { entries: 4, bytes: 64 * 1024 };
    let mut forwarder: Forwarder<u8> = Forwarder::new(Options { cache, ..Options::default() }, || 0x1234);
    let server: SocketAddr = "192.0.2.1:53".parse().expect("an address");
    forwarder.set_upstreams(&Upstreams { servers: vec![server], ..Upstreams::default() });
    let query =
        b"\x56\x78\x01\0\0\x01\0\0\0\0\0\x01\x03wEb\x07example\0\0\x01\0\x01\0\0\x29\x04\xd0\0\0\0\0\0\0";
    let parsed = Query::parse(query).expect("a query");
    forwarder.query(Duration::ZERO, 1, client.network, Transport::Udp, &parsed, None);
    let mut replies = 0;
    let mut answered = false;
    let mut now = Duration::ZERO;
    loop {
        while let Some(action) = forwarder.poll_action() {
            match action {
                Action::Send { exchange, server, .. } if !answered => {
                    answered = true;
                    forwarder.on_datagram(now, exchange, server, data);
                }
                Action::Stream { exchange, .. } => forwarder.on_stream(now, exchange, Some(data)),
                Action::Reply { message, .. } => {
                    replies += 1;
                    assert_eq!(message[..2], query[..2]);
                    assert_eq!(message[12..12 + question_len(query)], query[12..12 + question_len(query)]);
                    assert!(message.len() <= UDP_PAYLOAD);
                    assert_eq!(walk(&message), Some(message.len()));
                }
                _ => {}
            }
        }
        let Some(at) = forwarder.poll_timeout() else { break };
        now = at;
        forwarder.on_timeout(now);
    }
    assert_eq!(replies, 1);
    // What is kept is given again, counted down, to somebody without EDNS.
    let plain = b"\x9a\xbc\x01\0\0\x01\0\0\0\0\0\0\x03web\x07EXAMPLE\0\0\x01\0\x01";
    let parsed = Query::parse(plain).expect("a query");
    now += Duration::from_millis(500);
    forwarder.query(now, 2, client.network, Transport::Udp, &parsed, None);
    if let Some(Action::Reply { message, .. }) = forwarder.poll_action() {
        assert!(message.len() <= 512);
        assert_eq!(walk(&message), Some(message.len()));
    }
}

fn question_len(message: &[u8]) -> usize {
    let mut at = 12;
    while message[at] != 0 {
        at += 1 + usize::from(message[at]);
    }
    at + 5 - 12
}

/// Where a message ends by its own counts.
fn walk(message: &[u8]) -> Option<usize> {
    let count = |at: usize| u16::from_be_bytes([message[at], message[at + 1]]);
    let mut at = 12;
    for _ in 0..count(4) {
        at = skip(message, at)? + 4;
    }
    for _ in 0..u32::from(count(6)) + u32::from(count(8)) + u32::from(count(10)) {
        at = skip(message, at)?;
        let len = u16::from_be_bytes([*message.get(at + 8)?, *message.get(at + 9)?]);
        at += 10 + usize::from(len);
    }
    (at <= message.len()).then_some(at)
}

fn skip(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            0xc0.. => return Some(at + 2),
            len => at += 1 + usize::from(len),
        }
    }
}
