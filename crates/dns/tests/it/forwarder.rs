//! A forwarder among servers that answer, lie, cut, fail, and say nothing, in whatever order.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType;
use pontoon_dns::forwarder::{CacheLimits, ExchangeId, Options};
use pontoon_dns::wire::Transport;
use pontoon_dns::{Action, Directory, Forwarder, NetworkKey, NetworkNames, Query, Upstreams};
use pontoon_model::NetworkId;
use proptest::prelude::*;

use crate::message::{addresses, answer, checked, query};

/// What no honest server says.
const LIE: Ipv4Addr = Ipv4Addr::new(6, 6, 6, 6);

#[derive(Debug, Clone, Copy)]
enum Reply {
    Honest,
    NoName,
    Failure,
    Cut,
    WrongId,
    WrongName,
    WrongServer,
    Garbage,
    Long,
    Unreachable,
}

#[derive(Debug, Clone)]
enum Event {
    Query {
        name: u8,
        tcp: bool,
        edns: Option<u16>,
        network: bool,
    },
    /// To one of the exchanges that there were, whether it is over or not.
    Reply {
        exchange: prop::sample::Index,
        reply: Reply,
    },
    Wait(u16),
    Change,
}

fn event() -> impl Strategy<Value = Event> {
    use Reply::{Cut, Failure, Garbage, Honest, Long, NoName, Unreachable, WrongId, WrongName, WrongServer};
    let reply = prop::sample::select(vec![
        Honest,
        Honest,
        Honest,
        NoName,
        Failure,
        Cut,
        WrongId,
        WrongName,
        WrongServer,
        Garbage,
        Long,
        Unreachable,
    ]);
    prop_oneof![
        4 => (0u8..6, any::<bool>(), prop::option::of(400u16..2000), any::<bool>())
            .prop_map(|(name, tcp, edns, network)| Event::Query { name, tcp, edns, network }),
        6 => (any::<prop::sample::Index>(), reply).prop_map(|(exchange, reply)| Event::Reply { exchange, reply }),
        2 => (0u16..1500).prop_map(Event::Wait),
        1 => Just(Event::Change),
    ]
}

struct Sent {
    id: ExchangeId,
    server: SocketAddr,
    stream: bool,
    message: Vec<u8>,
}

struct World {
    forwarder: Forwarder<u32>,
    now: Duration,
    sent: Vec<Sent>,
    open: BTreeSet<ExchangeId>,
    waiting: BTreeMap<u32, (Vec<u8>, Transport, Duration)>,
    answered: u32,
    next: u32,
}

fn networks() -> [NetworkKey; 2] {
    let mut directory = Directory::default();
    [1, 2].map(|number| {
        directory.set_network(NetworkNames {
            id: NetworkId::from_bytes([number; 32]),
            name: "blue".into(),
            internal: false,
            enabled: true,
            subnets: Vec::new(),
            gateways: Vec::new(),
        })
    })
}

fn address_of(name: u8) -> Ipv4Addr {
    Ipv4Addr::new(198, 51, 100, name)
}

fn servers(count: u8) -> Upstreams {
    let server = |last: u8| SocketAddr::new([192, 0, 2, last + 1].into(), 53);
    Upstreams { servers: (0..count).map(server).collect(), ..Upstreams::default() }
}

fn options(mixed_case: bool) -> Options {
    let cache = CacheLimits { entries: 4, bytes: 4096 };
    Options { cache, in_flight: 8, in_flight_per_network: 5, mixed_case, ..Options::default() }
}

impl World {
    fn new(count: u8, mixed_case: bool) -> Self {
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        // xorshift64: by chance enough for a test, and the same each time.
        let random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let mut forwarder = Forwarder::new(options(mixed_case), random);
        forwarder.set_upstreams(&servers(count));
        let (sent, open, waiting) = (Vec::new(), BTreeSet::new(), BTreeMap::new());
        Self { forwarder, now: Duration::ZERO, sent, open, waiting, answered: 0, next: 0 }
    }

    fn ask(&mut self, name: u8, transport: Transport, edns: Option<u16>, network: NetworkKey) {
        self.next += 1;
        let name =
            if self.next.is_multiple_of(2) { format!("n{name}.example") } else { format!("N{name}.Example") };
        let message = query(self.next as u16 ^ 0x5555, &name, RecordType::A, edns);
        let parsed = Query::parse(&message).unwrap();
        self.waiting.insert(self.next, (message.clone(), transport, self.now));
        self.forwarder.query(self.now, self.next, network, transport, &parsed, None);
        self.act();
    }

    fn reply(&mut self, at: usize, reply: Reply) {
        let Sent { id, server, stream, ref message } = self.sent[at];
        let name = message[14] - b'0';
        let mut honest = answer(message, 0, Some(address_of(name)));
        let lie = answer(message, 0, Some(LIE));
        let mut from = server;
        match reply {
            Reply::Honest => {}
            Reply::NoName => honest = answer(message, 3, None),
            Reply::Failure => honest = answer(message, 2, None),
            Reply::Cut => {
                honest = answer(message, 0, None);
                honest[2] |= 2;
            }
            Reply::WrongId => {
                honest = lie;
                honest[1] ^= 1;
            }
            Reply::WrongName => {
                honest = lie;
                honest[14] ^= 1;
            }
            Reply::WrongServer => {
                honest = lie;
                from.set_port(5353);
            }
            Reply::Garbage => {
                honest = lie;
                honest.truncate(20);
            }
            Reply::Long => {
                honest = lie;
                honest.resize(2000, 0);
            }
            Reply::Unreachable => return self.told(id, stream),
        }
        if stream && from == server && !matches!(reply, Reply::Long) {
            self.forwarder.on_stream(self.now, id, Some(&honest));
        } else {
            self.forwarder.on_datagram(self.now, id, from, &honest);
        }
        self.act();
    }

    fn told(&mut self, id: ExchangeId, stream: bool) {
        if stream {
            self.forwarder.on_stream(self.now, id, None);
        } else {
            self.forwarder.on_unreachable(self.now, id);
        }
        self.act();
    }

    fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(at) = self.forwarder.poll_timeout()
            && at <= until
        {
            self.now = self.now.max(at);
            self.forwarder.on_timeout(self.now);
            self.act();
        }
        self.now = until;
    }

    fn act(&mut self) {
        while let Some(action) = self.forwarder.poll_action() {
            match action {
                Action::Send { exchange, server, message } => self.send(exchange, server, false, message),
                Action::Stream { exchange, server, message } => self.send(exchange, server, true, message),
                Action::Close { exchange } => assert!(self.open.remove(&exchange), "closed twice"),
                Action::Reply { client, message } => self.replied(client, &message),
            }
        }
    }

    fn send(&mut self, id: ExchangeId, server: SocketAddr, stream: bool, message: Vec<u8>) {
        let parsed = Message::from_vec(&message).unwrap();
        assert_eq!((parsed.queries.len(), parsed.answers.len()), (1, 0));
        assert!(parsed.metadata.recursion_desired && parsed.edns.is_some());
        assert!(self.open.insert(id), "opened twice");
        self.sent.push(Sent { id, server, stream, message });
    }

    /// An answer to a client: to its query, never a lie, and in time.
    fn replied(&mut self, client: u32, message: &[u8]) {
        let (query, transport, since) = self.waiting.remove(&client).expect("one answer to each query");
        let parsed = checked(&query, message, transport);
        let name = query[14] - b'0';
        for address in addresses(&parsed) {
            assert_eq!(address, address_of(name));
        }
        assert!(self.now - since <= options(false).deadline);
        self.answered += 1;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    /// Each query is answered once, by what a server said to it or that it failed, and in time; all sockets are closed.
    #[test]
    fn each_query_is_answered_once(
        count in 0u8..4,
        mixed_case in any::<bool>(),
        events in prop::collection::vec(event(), 1..80),
    ) {
        let networks = networks();
        let mut world = World::new(count, mixed_case);
        for event in events {
            match event {
                Event::Query { name, tcp, edns, network } => {
                    let transport = if tcp { Transport::Tcp } else { Transport::Udp };
                    world.ask(name, transport, edns, networks[usize::from(network)]);
                }
                Event::Reply { exchange, reply } if !world.sent.is_empty() => {
                    let at = exchange.index(world.sent.len());
                    world.reply(at, reply);
                }
                Event::Reply { .. } => {}
                Event::Wait(milliseconds) => world.wait(Duration::from_millis(milliseconds.into())),
                Event::Change => world.forwarder.set_upstreams(&servers(count)),
            }
            prop_assert!(world.waiting.len() <= 8);
            prop_assert_eq!(world.forwarder.in_flight(), world.waiting.len());
            let (entries, bytes) = world.forwarder.cache_size();
            prop_assert!(entries <= 4 && bytes <= 4096);
        }
        world.wait(Duration::from_secs(60));
        prop_assert!(world.waiting.is_empty() && world.open.is_empty());
        prop_assert_eq!(world.answered, world.next);
        prop_assert_eq!(world.forwarder.poll_timeout(), None);
        let counters = world.forwarder.counters();
        prop_assert_eq!(counters.queries, u64::from(world.next));
    }
}

#[test]
fn the_first_server_is_waited_for_once_or_twice() {
    let network = networks()[0];
    let mut world = World::new(2, false);
    let mut waited = Vec::new();
    for name in 0..6 {
        let before = world.now;
        world.ask(name, Transport::Udp, None, network);
        while !world.waiting.is_empty() {
            let second = world
                .sent
                .iter()
                .rposition(|sent| sent.server == servers(2).servers[1] && world.open.contains(&sent.id));
            match second {
                Some(at) => world.reply(at, Reply::Honest),
                None => world.wait(Duration::from_millis(10)),
            }
        }
        waited.push((world.now - before).as_millis());
    }
    assert_eq!(waited, [400, 400, 0, 0, 0, 0]);
    let states = world.forwarder.servers();
    assert_eq!(states.iter().map(|(_, state)| state.works).collect::<Vec<_>>(), [false, true]);
    // After a while a question goes to it as well, and when it answers, it is the first again.
    world.wait(Duration::from_secs(3));
    let before = world.sent.len();
    world.ask(0, Transport::Udp, None, network);
    let asked: Vec<SocketAddr> = world.sent[before..].iter().map(|sent| sent.server).collect();
    assert_eq!(asked, [servers(2).servers[1], servers(2).servers[0]]);
    world.reply(before + 1, Reply::Honest);
    assert!(world.waiting.is_empty());
    world.ask(1, Transport::Udp, None, network);
    assert_eq!(world.sent.len(), before + 3);
    assert_eq!(world.sent[before + 2].server, servers(2).servers[0]);
}

#[test]
fn equal_questions_are_joined_and_kept() {
    let network = networks()[0];
    let mut world = World::new(1, false);
    for _ in 0..4 {
        world.ask(1, Transport::Udp, None, network);
    }
    assert_eq!(world.sent.len(), 1);
    world.reply(0, Reply::Honest);
    assert_eq!((world.answered, world.waiting.len()), (4, 0));
    world.wait(Duration::from_secs(59));
    world.ask(1, Transport::Tcp, Some(1232), network);
    assert_eq!((world.answered, world.sent.len()), (5, 1));
    world.wait(Duration::from_secs(1));
    world.ask(1, Transport::Udp, None, network);
    assert_eq!((world.answered, world.sent.len()), (5, 2));
    assert_eq!(world.forwarder.counters().cached, 1);
}

#[test]
fn too_many_are_refused() {
    let networks = networks();
    let mut world = World::new(1, false);
    for name in 0..6 {
        world.ask(name, Transport::Udp, None, networks[0]);
    }
    assert_eq!((world.answered, world.forwarder.counters().overload), (1, 1));
    world.ask(0, Transport::Udp, None, networks[1]);
    assert_eq!(world.forwarder.counters().overload, 1);
}

#[test]
fn a_server_without_edns_is_asked_without() {
    let network = networks()[0];
    let mut forwarder: Forwarder<u8> = Forwarder::new(options(false), || 7);
    forwarder.set_upstreams(&servers(1));
    let message = query(9, "n1.example", RecordType::A, Some(1232));
    forwarder.query(Duration::ZERO, 1, network, Transport::Udp, &Query::parse(&message).unwrap(), None);
    let Some(Action::Send { exchange, server, message: sent }) = forwarder.poll_action() else { panic!() };
    forwarder.on_datagram(Duration::ZERO, exchange, server, &answer(&sent, 1, None));
    let Some(Action::Close { .. }) = forwarder.poll_action() else { panic!() };
    let Some(Action::Send { exchange, server, message: sent }) = forwarder.poll_action() else { panic!() };
    assert_eq!(Message::from_vec(&sent).unwrap().edns, None);
    forwarder.on_datagram(Duration::ZERO, exchange, server, &answer(&sent, 0, Some(address_of(1))));
    let Some(Action::Close { .. }) = forwarder.poll_action() else { panic!() };
    let Some(Action::Reply { message: reply, .. }) = forwarder.poll_action() else { panic!() };
    let reply = checked(&message, &reply, Transport::Udp);
    assert_eq!((reply.metadata.response_code, addresses(&reply).len()), (ResponseCode::NoError, 1));
}
