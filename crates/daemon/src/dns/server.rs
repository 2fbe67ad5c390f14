//! The loop: waits for everything at once, and gives each a share.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pontoon_dns::forwarder::Forwarder;
use pontoon_dns::wire::{TCP_PAYLOAD, UDP_PAYLOAD};
use pontoon_dns::{Action, Client, NetworkKey, Query, Transport, Upstreams, Verdict};
use pontoon_kernel::datagram::{self, Batch, DeviceSocket};
use pontoon_kernel::random;
use pontoon_model::NetworkId;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;

use super::asking::{Asking, Heard};
use super::host::HostFiles;
use super::shared::{Command, Shared, Sockets};
use super::streams::{Next, Streams};
use super::{Options, StartError, Statistics, Upstream};

/// So many events are looked at before it is asked again what has happened.
const EVENTS: usize = 64;
/// A network has so many batches of queries answered before the others have their turn.
const BATCHES: usize = 4;
/// A listener has so many connections taken at once.
const ACCEPTS: usize = 16;
/// How often connections are looked at that nothing happens on.
const TICK: Duration = Duration::from_secs(1);

/// What a descriptor is for: the lower bits of an event's number, of which the rest says which one it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Wake,
    Files,
    Datagrams(u64),
    Listener(u64),
    Stream(u64),
    Asked(u64),
}

impl Token {
    fn number(self) -> u64 {
        match self {
            Self::Wake => 0,
            Self::Files => 1,
            Self::Datagrams(number) => number << 3 | 2,
            Self::Listener(number) => number << 3 | 3,
            Self::Stream(number) => number << 3 | 4,
            Self::Asked(number) => number << 3 | 5,
        }
    }

    fn from_number(number: u64) -> Self {
        match (number & 7, number >> 3) {
            (0, _) => Self::Wake,
            (1, _) => Self::Files,
            (2, number) => Self::Datagrams(number),
            (3, number) => Self::Listener(number),
            (4, number) => Self::Stream(number),
            (_, number) => Self::Asked(number),
        }
    }
}

/// Who waits for another server's answer.
#[derive(Debug, Clone, Copy)]
enum Waiting {
    Datagram { socket: u64, peer: SocketAddr },
    Stream(u64),
}

/// A network's socket.
#[derive(Debug)]
struct Bound<S> {
    network: NetworkKey,
    socket: S,
}

#[derive(Debug)]
pub(super) struct Loop {
    shared: Arc<Shared>,
    epoll: OwnedFd,
    start: Instant,
    /// By numbers that are never used again, so that an event cannot be taken for another's.
    sockets: HashMap<u64, Bound<DeviceSocket>>,
    listeners: HashMap<u64, Bound<OwnedFd>>,
    next: u64,
    networks: HashMap<NetworkId, NetworkKey>,
    batch: Batch,
    answer: Box<[u8]>,
    streams: Streams,
    /// Listeners that are left alone for a moment, since no more descriptors can be had.
    resting: Vec<u64>,
    next_tick: Duration,
    forwarder: Forwarder<Waiting>,
    asking: Asking,
    files: HostFiles,
    /// What somebody set in place of the host's files.
    given: Option<Upstreams>,
    /// Those that are asked.
    upstreams: Upstreams,
    statistics: Statistics,
}

impl Loop {
    pub(super) fn new(options: Options, shared: Arc<Shared>) -> Result<Self, StartError> {
        let failed = |operation| move |errno| StartError::Call { operation, errno };
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(failed("open an epoll"))?;
        let files = HostFiles::new(options.resolv_conf, options.behind, options.domains)
            .map_err(failed("watch the host's files"))?;
        let add = |fd: BorrowedFd<'_>, token: Token| {
            let data = epoll::EventData::new_u64(token.number());
            epoll::add(&epoll, fd, data, epoll::EventFlags::IN).map_err(failed("wait for events"))
        };
        add(shared.wake().as_fd(), Token::Wake)?;
        add(files.fd().as_fd(), Token::Files)?;
        let mut server = Self {
            shared,
            epoll,
            start: Instant::now(),
            sockets: HashMap::new(),
            listeners: HashMap::new(),
            next: 0,
            networks: HashMap::new(),
            batch: Batch::new(UDP_PAYLOAD),
            answer: vec![0; TCP_PAYLOAD].into_boxed_slice(),
            streams: Streams::new(options.streams, options.streams_per_client),
            resting: Vec::new(),
            next_tick: Duration::ZERO,
            forwarder: Forwarder::new(options.forward, dice()),
            asking: Asking::new(dice()),
            files,
            given: None,
            upstreams: Upstreams::default(),
            statistics: Statistics::default(),
        };
        server.choose_upstreams(None);
        Ok(server)
    }

    pub(super) fn run(&mut self) {
        let mut events = Vec::with_capacity(EVENTS);
        loop {
            let timeout = self.timeout();
            events.clear();
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), timeout.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                // Nothing that this thread does can make it fail; without it there is no way on.
                Err(errno) => panic!("epoll_wait: {errno}"),
            }
            for event in &events {
                let data = event.data;
                match Token::from_number(data.u64()) {
                    Token::Wake => {
                        if self.commands() {
                            return;
                        }
                    }
                    Token::Files => self.files.ready(self.start.elapsed()),
                    Token::Datagrams(number) => self.datagrams(number),
                    Token::Listener(number) => self.accept(number),
                    Token::Stream(number) => self.stream(number),
                    Token::Asked(number) => self.asked(number),
                }
            }
            self.time();
        }
    }

    /// How long to wait: not at all if something is due, for ever if nothing will be.
    fn timeout(&self) -> Option<Timespec> {
        let tick = (self.streams.len() > 0 || !self.resting.is_empty()).then_some(self.next_tick);
        let next = [self.forwarder.poll_timeout(), self.files.due(), tick].into_iter().flatten().min()?;
        // Rounded up, since a wait that ends too early would be one more.
        let left = next.saturating_sub(self.start.elapsed()) + Duration::from_micros(1);
        Timespec::try_from(left).ok()
    }

    /// Does what the time has come for.
    fn time(&mut self) {
        let now = self.start.elapsed();
        if let Some(found) = self.files.changed(now) {
            self.choose_upstreams(Some(found));
        }
        if self.forwarder.poll_timeout().is_some_and(|at| at <= now) {
            self.forwarder.on_timeout(now);
            self.act();
        }
        if now >= self.next_tick {
            self.next_tick = now + TICK;
            self.streams.close_idle(now);
            for number in std::mem::take(&mut self.resting) {
                if let Some(listener) = self.listeners.get(&number) {
                    // It was added, and so it can be changed.
                    let token = Token::Listener(number);
                    let _ = self.interest(listener.socket.as_fd(), token, epoll::EventFlags::IN);
                }
            }
        }
    }

    /// Carries out what callers want. Says whether to end.
    fn commands(&mut self) -> bool {
        for command in self.shared.take() {
            // Whoever does not wait for the answer any more does not need it.
            match command {
                Command::Open { id, key, sockets, done } => {
                    let opened = self.open(id.clone(), key, sockets);
                    if opened.is_err() {
                        self.close(&id);
                    }
                    let _ = done.send(opened);
                }
                Command::Close { id, done } => {
                    self.close(&id);
                    let _ = done.send(());
                }
                Command::Upstreams { upstreams, done } => {
                    self.given = upstreams;
                    self.choose_upstreams(None);
                    let _ = done.send(());
                }
                Command::Gateways { done } => {
                    self.choose_upstreams(None);
                    let _ = done.send(());
                }
                Command::Statistics { done } => {
                    let _ = done.send(self.statistics());
                }
                Command::Stop => return true,
            }
        }
        false
    }

    fn open(&mut self, id: NetworkId, network: NetworkKey, sockets: Sockets) -> Result<(), Errno> {
        self.networks.insert(id, network);
        for socket in sockets.datagrams {
            self.next += 1;
            self.add(socket.as_fd(), Token::Datagrams(self.next))?;
            self.sockets.insert(self.next, Bound { network, socket });
        }
        for socket in sockets.listeners {
            self.next += 1;
            self.add(socket.as_fd(), Token::Listener(self.next))?;
            self.listeners.insert(self.next, Bound { network, socket });
        }
        Ok(())
    }

    fn close(&mut self, id: &NetworkId) {
        let Some(network) = self.networks.remove(id) else { return };
        self.sockets.retain(|_, socket| socket.network != network);
        self.listeners.retain(|_, listener| listener.network != network);
        self.streams.close_of(network);
    }

    /// Sets whom to ask, if that has changed. `found` is what the host's files say, if it is known already.
    fn choose_upstreams(&mut self, found: Option<Upstreams>) {
        let chosen = match &self.given {
            Some(given) => given.clone(),
            None => found.unwrap_or_else(|| self.files.read()),
        };
        let chosen = {
            let directory = self.shared.directory();
            let is_gateway =
                |address| directory.network_list().any(|network| network.gateways.contains(&address));
            chosen.without(is_gateway)
        };
        if chosen != self.upstreams {
            self.forwarder.set_upstreams(&chosen);
            self.upstreams = chosen;
        }
    }

    fn statistics(&self) -> Statistics {
        let known = self.forwarder.servers();
        let state =
            |server: &SocketAddr| known.iter().find(|(known, _)| known == server).map(|(_, state)| *state);
        let of_domains = self.upstreams.domains.iter().flat_map(|domain| &domain.servers);
        let servers = self.upstreams.servers.iter().chain(of_domains);
        let (cache_entries, cache_bytes) = self.forwarder.cache_size();
        Statistics {
            networks: self.networks.len(),
            members: self.shared.directory().len(),
            streams: self.streams.len(),
            forward: self.forwarder.counters(),
            in_flight: self.forwarder.in_flight(),
            cache_entries,
            cache_bytes,
            upstreams: servers.map(|server| Upstream { server: *server, state: state(server) }).collect(),
            ..self.statistics.clone()
        }
    }

    /// Answers queries that came by a socket: the directory's under its lock, until they are sent; the others after that.
    fn datagrams(&mut self, number: u64) {
        for _ in 0..BATCHES {
            let Some(Bound { network, socket }) = self.sockets.get(&number) else { return };
            let taken = match self.batch.receive(socket) {
                Ok(received) => received.len(),
                // An ICMP error for an answer, or the bridge has gone: nothing to be done about it here.
                Err(_) => return,
            };
            let mut forward = Vec::new();
            {
                let directory = self.shared.directory();
                for index in 0..taken {
                    let (received, question, buffer) = self.batch.exchange(index);
                    let client = Client { network: *network, source: received.peer.ip() };
                    let answer = match directory.respond(&client, question, Transport::Udp, buffer) {
                        // There is no way to answer port 0.
                        Verdict::Answer { len, outcome } if received.peer.port() != 0 => Some((len, outcome)),
                        Verdict::Forward { servers, .. } if received.peer.port() != 0 => {
                            forward.push((index, servers));
                            None
                        }
                        _ => {
                            self.statistics.ignored += 1;
                            None
                        }
                    };
                    if let Some((len, outcome)) = answer {
                        self.statistics.count(outcome);
                        self.batch.answer(received.peer, len);
                    }
                }
                self.statistics.queries += taken as u64;
                self.statistics.lost += self.batch.send(socket) as u64;
            }
            let now = self.start.elapsed();
            for (index, servers) in forward {
                let (received, question, _) = self.batch.exchange(index);
                if let Ok(query) = Query::parse(question) {
                    self.statistics.forwarded += 1;
                    let waiting = Waiting::Datagram { socket: number, peer: received.peer };
                    self.forwarder.query(now, waiting, *network, Transport::Udp, &query, servers);
                }
            }
            self.act();
            if taken < Batch::LEN {
                return;
            }
        }
    }

    /// Takes connections of a network.
    fn accept(&mut self, number: u64) {
        let Some(Bound { network, socket }) = self.listeners.get(&number) else { return };
        for _ in 0..ACCEPTS {
            match datagram::accept(socket.as_fd()) {
                Ok(Some((fd, peer))) => {
                    let client = Client { network: *network, source: peer.ip() };
                    let Some(id) = self.streams.open(fd, client, self.start.elapsed()) else {
                        self.statistics.streams_refused += 1;
                        continue;
                    };
                    let added = self.streams.get(id).is_some_and(|stream| {
                        add(&self.epoll, stream.fd(), Token::Stream(id), epoll::EventFlags::IN).is_ok()
                    });
                    if !added {
                        self.streams.close(id);
                    }
                }
                Ok(None) => return,
                Err(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {
                    // The connection stays in the queue, and would be told of without end.
                    let none = epoll::EventFlags::empty();
                    let _ = self.interest(socket.as_fd(), Token::Listener(number), none);
                    self.resting.push(number);
                    return;
                }
                // That connection is no more.
                Err(_) => {}
            }
        }
    }

    /// Reads a connection's queries and answers them.
    fn stream(&mut self, id: u64) {
        let works = self.streams.get(id).is_some_and(|stream| stream.read());
        if works {
            self.answer_stream(id);
            self.act();
        } else {
            self.streams.close(id);
        }
    }

    /// Answers the whole queries that a connection has brought, and sends what there is to be sent.
    fn answer_stream(&mut self, id: u64) {
        let now = self.start.elapsed();
        let Some(stream) = self.streams.get(id) else { return };
        loop {
            let query = match stream.query(now) {
                Ok(Some(query)) => query,
                Ok(None) => break,
                Err(_) => return self.streams.close(id),
            };
            self.statistics.queries += 1;
            let directory = self.shared.directory();
            match directory.respond(&stream.client, &query, Transport::Tcp, &mut self.answer) {
                Verdict::Answer { len, outcome } => {
                    self.statistics.count(outcome);
                    stream.answer(&self.answer[..len]);
                    // Under the lock, as for datagrams; what does not fit the socket's buffer goes later.
                    stream.flush(now);
                }
                Verdict::Forward { query, servers } => {
                    drop(directory);
                    self.statistics.forwarded += 1;
                    stream.wait();
                    let network = stream.client.network;
                    self.forwarder.query(now, Waiting::Stream(id), network, Transport::Tcp, &query, servers);
                }
                Verdict::Silence => self.statistics.ignored += 1,
            }
        }
        self.settle(id);
    }

    /// Sends what a connection has to be sent, and waits for what comes next.
    fn settle(&mut self, id: u64) {
        let now = self.start.elapsed();
        let Some(stream) = self.streams.get(id) else { return };
        let next = stream.flush(now);
        let waits = match next {
            Next::Close => false,
            Next::Wait { read, write } => {
                let mut flags = epoll::EventFlags::empty();
                flags.set(epoll::EventFlags::IN, read);
                flags.set(epoll::EventFlags::OUT, write);
                let data = epoll::EventData::new_u64(Token::Stream(id).number());
                epoll::modify(&self.epoll, stream.fd(), data, flags).is_ok()
            }
        };
        if !waits {
            self.streams.close(id);
        }
    }

    /// Something came from a server that was asked.
    fn asked(&mut self, number: u64) {
        let Some((id, heard)) = self.asking.ready(number) else { return };
        let now = self.start.elapsed();
        match heard {
            Heard::Datagram(server, message) => self.forwarder.on_datagram(now, id, server, message),
            Heard::Message(message) => self.forwarder.on_stream(now, id, Some(message)),
            Heard::Unreachable => self.forwarder.on_unreachable(now, id),
            Heard::Ended => self.forwarder.on_stream(now, id, None),
            Heard::Sent => {
                if let Some(fd) = self.asking.fd(number) {
                    // It was added, and so it can be changed.
                    let _ = self.interest(fd, Token::Asked(number), epoll::EventFlags::IN);
                }
            }
        }
        self.act();
    }

    /// Does what the forwarder says.
    fn act(&mut self) {
        while let Some(action) = self.forwarder.poll_action() {
            match action {
                Action::Send { exchange, server, message } => {
                    let now = self.start.elapsed();
                    let sent = self.asking.send(now, exchange, server, &message);
                    let flags = epoll::EventFlags::IN;
                    let added = sent.and_then(|new| match new {
                        Some((number, fd)) => add(&self.epoll, fd, Token::Asked(number), flags),
                        None => Ok(()),
                    });
                    if added.is_err() {
                        self.forwarder.on_unreachable(now, exchange);
                    }
                }
                Action::Stream { exchange, server, message } => {
                    let begun = self.asking.stream(exchange, server, &message);
                    let flags = epoll::EventFlags::IN | epoll::EventFlags::OUT;
                    let added =
                        begun.and_then(|(number, fd)| add(&self.epoll, fd, Token::Asked(number), flags));
                    if added.is_err() {
                        self.forwarder.on_unreachable(self.start.elapsed(), exchange);
                    }
                }
                Action::Close { exchange } => self.asking.close(exchange),
                Action::Reply { client, message } => self.reply(client, &message),
            }
        }
    }

    /// Gives a client the answer of another server, if it is still there.
    fn reply(&mut self, client: Waiting, message: &[u8]) {
        match client {
            Waiting::Datagram { socket, peer } => {
                let sent = self.sockets.get(&socket).map(|bound| bound.socket.send(peer, message));
                if let Some(Err(_)) = sent {
                    self.statistics.lost += 1;
                }
            }
            Waiting::Stream(id) => {
                if let Some(stream) = self.streams.get(id) {
                    stream.answer_late(message);
                    // It may have been kept from reading on.
                    self.answer_stream(id);
                }
            }
        }
    }

    fn add(&self, fd: BorrowedFd<'_>, token: Token) -> Result<(), Errno> {
        add(&self.epoll, fd, token, epoll::EventFlags::IN)
    }

    fn interest(&self, fd: BorrowedFd<'_>, token: Token, flags: epoll::EventFlags) -> Result<(), Errno> {
        epoll::modify(&self.epoll, fd, epoll::EventData::new_u64(token.number()), flags)
    }
}

fn add(epoll: &OwnedFd, fd: BorrowedFd<'_>, token: Token, flags: epoll::EventFlags) -> Result<(), Errno> {
    epoll::add(epoll, fd, epoll::EventData::new_u64(token.number()), flags)
}

/// Numbers that nobody can guess: the kernel's, fetched some hundred at a time.
fn dice() -> impl FnMut() -> u64 + Send + 'static {
    const BYTES: usize = 2048;
    let mut pool = Vec::new();
    move || {
        if pool.is_empty() {
            // Without random numbers, every answer could be forged: better none.
            let bytes = random::bytes::<BYTES>().expect("the kernel gives random numbers");
            pool.extend(
                bytes.chunks_exact(8).map(|chunk| u64::from_ne_bytes(chunk.try_into().expect("8 bytes"))),
            );
        }
        pool.pop().expect("it was just filled")
    }
}
