//! Asking others: a state machine, which is told of queries, of what came back, and of the time, and says what to send.
//!
//! Each question goes out with a number and from a port that nobody can guess (RFC 5452): the port is that of a socket
//! that has no other question at the time, and is connected, so that the kernel takes nothing from anybody else. Equal
//! questions that are on their way are joined, which also leaves a forger one try instead of many.
//!
//! Of several servers, the first that works is asked first. If it does not answer within its usual time, the next one is
//! asked as well, and whoever is first counts. A server that was silent twice, or refused the port, goes to the end; from
//! time to time a question is sent to it besides, and its answer puts it back.

mod exchange;
mod health;
mod pending;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::cache::{Cache, Key};
use crate::directory::NetworkKey;
use crate::message::{Answer, Asked};
use crate::upstreams::{Routes, Upstreams};
use crate::wire::{Query, Transport};
use exchange::Exchange;
use health::Health;
use pending::{Pending, Waiter};

pub use crate::cache::CacheLimits;
pub use exchange::ExchangeId;
pub use health::ServerState;

/// What is to be done, in the order in which it is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action<T> {
    /// Send this by a socket that is connected to the server, with a port of the kernel's choice, and that no other
    /// exchange uses.
    Send {
        /// What the socket is for.
        exchange: ExchangeId,
        /// Where to.
        server: SocketAddr,
        /// What.
        message: Vec<u8>,
    },
    /// Connect to the server by TCP and send this, with its length in front.
    Stream {
        /// What the connection is for.
        exchange: ExchangeId,
        /// Where to.
        server: SocketAddr,
        /// What, without the length.
        message: Vec<u8>,
    },
    /// Close the socket or connection: nothing that comes is of interest any more.
    Close {
        /// What it was for.
        exchange: ExchangeId,
    },
    /// Answer a client.
    Reply {
        /// Whom.
        client: T,
        /// With what.
        message: Vec<u8>,
    },
}

/// What may be configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// How much of what was answered is kept.
    pub cache: CacheLimits,
    /// How many queries may wait for an answer.
    pub in_flight: usize,
    /// How many of one network.
    pub in_flight_per_network: usize,
    /// When a client is told that nobody answered. Programs ask again after five seconds (resolv.conf(5), `timeout`).
    pub deadline: Duration,
    /// Letters of questions have cases by chance, which answers must have too: "0x20", a proposal of 2008. It makes
    /// forging harder still, and there are servers that do not keep it, so it is off.
    pub mixed_case: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            cache: CacheLimits { entries: 4096, bytes: 4 << 20 },
            in_flight: 1024,
            in_flight_per_network: 256,
            deadline: Duration::from_millis(4500),
            mixed_case: false,
        }
    }
}

/// What happened until now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Queries that others were to be asked about.
    pub queries: u64,
    /// Of those, answered from the cache.
    pub cached: u64,
    /// Of those, joined with an equal one on its way.
    pub joined: u64,
    /// Of those, refused since too many were waiting.
    pub overload: u64,
    /// Questions that were answered.
    pub answered: u64,
    /// Questions that nobody answered in time, or all servers failed to.
    pub failed: u64,
    /// Messages that were sent to servers.
    pub sent: u64,
    /// Questions that went to a further server.
    pub failovers: u64,
    /// Answers that were cut and asked for again by TCP.
    pub streams: u64,
    /// Messages that were no answer to the question, and were passed over.
    pub discarded: u64,
}

/// Asks other servers on behalf of clients. `T` is what the caller knows a client by.
pub struct Forwarder<T> {
    options: Options,
    routes: Routes,
    trust_ad: bool,
    health: HashMap<SocketAddr, Health>,
    pending: HashMap<u64, Pending<T>>,
    by_key: HashMap<Arc<Key>, u64>,
    exchanges: HashMap<ExchangeId, Exchange>,
    /// When something is to be done about a question.
    timers: BTreeSet<(Duration, u64)>,
    waiting: usize,
    waiting_of: HashMap<NetworkKey, usize>,
    actions: VecDeque<Action<T>>,
    cache: Cache,
    counters: Counters,
    next: u64,
    random: Box<dyn FnMut() -> u64 + Send>,
}

impl<T> fmt::Debug for Forwarder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forwarder")
            .field("options", &self.options)
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

impl<T> Forwarder<T> {
    /// A forwarder that knows no server yet. `random` gives numbers that nobody can guess.
    pub fn new(options: Options, random: impl FnMut() -> u64 + Send + 'static) -> Self {
        Self {
            options,
            routes: Routes::default(),
            trust_ad: false,
            health: HashMap::new(),
            pending: HashMap::new(),
            by_key: HashMap::new(),
            exchanges: HashMap::new(),
            timers: BTreeSet::new(),
            waiting: 0,
            waiting_of: HashMap::new(),
            actions: VecDeque::new(),
            cache: Cache::new(options.cache),
            counters: Counters::default(),
            next: 0,
            random: Box::new(random),
        }
    }

    /// Other servers from now on. What was kept is forgotten: a network that is left may have had names of its own.
    /// Questions on their way stay with whom they were sent to.
    pub fn set_upstreams(&mut self, upstreams: &Upstreams) {
        self.routes = Routes::new(upstreams);
        self.trust_ad = upstreams.trust_ad;
        self.health.clear();
        self.cache.clear();
    }

    /// A client's question. Its answer is an [`Action::Reply`], exactly one, in the end.
    ///
    /// `servers` are asked in place of the configured ones.
    pub fn query(
        &mut self,
        now: Duration,
        client: T,
        network: NetworkKey,
        transport: Transport,
        query: &Query<'_>,
        servers: Option<Arc<[SocketAddr]>>,
    ) {
        self.counters.queries += 1;
        let servers = servers.unwrap_or_else(|| Arc::clone(self.routes.of(query.name.as_bytes())));
        let key = Key::new(query, servers);
        let asked = Asked::new(query, transport);
        if let Some((answer, age)) = self.cache.get(now, &key) {
            self.counters.cached += 1;
            let message = answer.write(&asked, age, self.trust_ad);
            self.actions.push_back(Action::Reply { client, message });
            return;
        }
        let of_network = self.waiting_of.get(&network).copied().unwrap_or(0);
        if self.waiting >= self.options.in_flight || of_network >= self.options.in_flight_per_network {
            self.counters.overload += 1;
            let message = Answer::failure().write(&asked, Duration::ZERO, false);
            self.actions.push_back(Action::Reply { client, message });
            return;
        }
        self.waiting += 1;
        *self.waiting_of.entry(network).or_default() += 1;
        let waiter = Waiter { client, network, asked };
        if let Some(pending) = self.by_key.get(&key).and_then(|number| self.pending.get_mut(number)) {
            self.counters.joined += 1;
            pending.waiters.push(waiter);
            return;
        }
        let number = self.number();
        let key = Arc::new(key);
        let order = self.order(&key.servers);
        self.by_key.insert(Arc::clone(&key), number);
        let deadline = now + self.options.deadline;
        self.pending.insert(number, Pending::new(key, query, order, waiter, deadline));
        self.begin(now, number);
    }

    /// What is to be done next, if there is anything.
    pub fn poll_action(&mut self) -> Option<Action<T>> {
        self.actions.pop_front()
    }

    /// When [`Forwarder::on_timeout`] is to be called, at the latest.
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// The time has come that [`Forwarder::poll_timeout`] said.
    pub fn on_timeout(&mut self, now: Duration) {
        while let Some((at, number)) = self.timers.first().copied()
            && at <= now
        {
            self.timers.pop_first();
            self.overdue(now, number);
        }
    }

    /// A datagram came on the socket of an exchange.
    pub fn on_datagram(&mut self, now: Duration, id: ExchangeId, from: SocketAddr, message: &[u8]) {
        let datagram = |exchange: &&Exchange| exchange.transport == Transport::Udp;
        let Some(exchange) = self.exchanges.get(&id).filter(datagram) else { return };
        match exchange.read(from, message) {
            Some(answer) => self.answered(now, id, answer),
            // A forger has this one try; the real answer may still come.
            None => self.counters.discarded += 1,
        }
    }

    /// The connection of an exchange has brought a message, or is not or no longer there.
    pub fn on_stream(&mut self, now: Duration, id: ExchangeId, message: Option<&[u8]>) {
        let Some(exchange) = self.exchanges.get(&id) else { return };
        match message.map(|message| exchange.read(exchange.server, message)) {
            Some(Some(answer)) => self.answered(now, id, answer),
            Some(None) => {
                self.counters.discarded += 1;
                self.lost(now, id);
            }
            None => self.lost(now, id),
        }
    }

    /// The server's host said that nobody is there, or the message could not be sent.
    pub fn on_unreachable(&mut self, now: Duration, id: ExchangeId) {
        let Some(exchange) = self.exchanges.get(&id) else { return };
        let server = exchange.server;
        self.health_of(server).refused(now);
        self.lost(now, id);
    }

    /// What happened until now.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// How many clients wait for an answer.
    pub fn in_flight(&self) -> usize {
        self.waiting
    }

    /// How many answers are kept, and about how many bytes they take.
    pub fn cache_size(&self) -> (usize, usize) {
        self.cache.size()
    }

    /// What is known of the servers that were asked, in the order of their addresses.
    pub fn servers(&self) -> Vec<(SocketAddr, ServerState)> {
        let mut servers: Vec<_> =
            self.health.iter().map(|(server, health)| (*server, health.state())).collect();
        servers.sort_by_key(|(server, _)| *server);
        servers
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn health_of(&mut self, server: SocketAddr) -> &mut Health {
        self.health.entry(server).or_default()
    }
}
