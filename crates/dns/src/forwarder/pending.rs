//! A question that is on its way, from its first message to its answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::exchange::{Exchange, ExchangeId, Request};
use super::{Action, Forwarder, NetworkKey};
use crate::cache::Key;
use crate::message::{Answer, Asked};
use crate::wire::{Query, Transport};

/// At the most so many servers are asked.
const SERVERS: usize = 4;
/// At the most so many messages are sent for a question.
const TRIES: u32 = 12;
/// How long a connection has for an answer before the next server is asked.
const STREAM: Duration = Duration::from_millis(1500);

/// Somebody who waits.
#[derive(Debug)]
pub(super) struct Waiter<T> {
    pub(super) client: T,
    pub(super) network: NetworkKey,
    pub(super) asked: Asked,
}

#[derive(Debug)]
pub(super) struct Pending<T> {
    key: Arc<Key>,
    /// Name, type and class.
    question: Box<[u8]>,
    /// Whom to ask, in this order, and again from the beginning.
    order: Vec<SocketAddr>,
    pub(super) waiters: Vec<Waiter<T>>,
    open: Vec<ExchangeId>,
    /// Which of them is waited for before the next server is asked.
    awaited: Option<ExchangeId>,
    tries: u32,
    /// The servers that said that they cannot tell.
    failed: Vec<SocketAddr>,
    failure: Option<Answer>,
    /// When something is to be done next; in the timers too.
    at: Duration,
    deadline: Duration,
}

impl<T> Pending<T> {
    pub(super) fn new(
        key: Arc<Key>,
        query: &Query<'_>,
        order: Vec<SocketAddr>,
        waiter: Waiter<T>,
        deadline: Duration,
    ) -> Self {
        Self {
            key,
            question: query.question.into(),
            order,
            waiters: vec![waiter],
            open: Vec::new(),
            awaited: None,
            tries: 0,
            failed: Vec::new(),
            failure: None,
            at: deadline,
            deadline,
        }
    }
}

impl<T> Forwarder<T> {
    /// Servers that work go first, each kind in the order that was given.
    pub(super) fn order(&mut self, servers: &[SocketAddr]) -> Vec<SocketAddr> {
        let mut order: Vec<SocketAddr> = servers.iter().copied().take(SERVERS).collect();
        order.sort_by_key(|server| !self.health_of(*server).works());
        order
    }

    /// Sends a question for the first time.
    pub(super) fn begin(&mut self, now: Duration, number: u64) {
        let Some(pending) = self.pending.get(&number) else { return };
        let order = pending.order.clone();
        let Some(first) = order.first() else {
            self.finish(now, number, None);
            return;
        };
        if self.health_of(*first).works() {
            self.next_try(now, number);
            // The question serves to find out whether they are back; nobody waits for them.
            for server in &order[1..] {
                if self.health_of(*server).is_due(now) {
                    self.send(now, number, *server, Transport::Udp);
                }
            }
        } else {
            // None works: whoever comes back first.
            for server in &order {
                self.health_of(*server).is_due(now);
                self.send(now, number, *server, Transport::Udp);
            }
            self.wait(now, number, None, self.health[first].patience() * 2);
        }
    }

    /// Asks the next server that has not said that it cannot tell.
    fn next_try(&mut self, now: Duration, number: u64) {
        let Some(pending) = self.pending.get_mut(&number) else { return };
        let len = pending.order.len() as u32;
        let servers = (0..len).map(|ahead| pending.order[((pending.tries + ahead) % len) as usize]);
        let Some(server) = servers.into_iter().find(|server| !pending.failed.contains(server)) else {
            return self.give_up_if_alone(now, number);
        };
        if pending.tries >= TRIES {
            return self.give_up_if_alone(now, number);
        }
        let round = pending.tries / len;
        if pending.tries > 0 {
            self.counters.failovers += 1;
        }
        let id = self.send(now, number, server, Transport::Udp);
        let patience = self.health_of(server).patience() * (1 << round.min(3));
        self.wait(now, number, id, patience);
    }

    fn send(
        &mut self,
        now: Duration,
        number: u64,
        server: SocketAddr,
        transport: Transport,
    ) -> Option<ExchangeId> {
        let edns = !self.health_of(server).no_edns;
        let id = ExchangeId(self.number());
        let pending = self.pending.get_mut(&number)?;
        pending.tries += 1;
        pending.open.push(id);
        let request = Request {
            question: &pending.question,
            dnssec_ok: pending.key.dnssec_ok,
            checking_disabled: pending.key.checking_disabled,
            edns,
            want_ad: self.trust_ad,
            mixed_case: self.options.mixed_case,
        };
        let (exchange, message) = Exchange::new(number, server, transport, now, request, &mut self.random);
        self.exchanges.insert(id, exchange);
        self.counters.sent += 1;
        self.actions.push_back(match transport {
            Transport::Udp => Action::Send { exchange: id, server, message },
            Transport::Tcp => Action::Stream { exchange: id, server, message },
        });
        Some(id)
    }

    /// Sets when something is to be done about a question if nothing comes.
    fn wait(&mut self, now: Duration, number: u64, awaited: Option<ExchangeId>, patience: Duration) {
        let Some(pending) = self.pending.get_mut(&number) else { return };
        pending.awaited = awaited;
        self.timers.remove(&(pending.at, number));
        pending.at = (now + patience).min(pending.deadline);
        self.timers.insert((pending.at, number));
    }

    /// Nothing came in time.
    pub(super) fn overdue(&mut self, now: Duration, number: u64) {
        let Some(pending) = self.pending.get(&number) else { return };
        let awaited = pending.awaited.and_then(|id| self.exchanges.get(&id)).map(|exchange| exchange.server);
        let is_over = pending.deadline <= now;
        if let Some(server) = awaited {
            self.health_of(server).timed_out(now);
        }
        if is_over {
            self.finish(now, number, None);
        } else {
            self.next_try(now, number);
            self.wait_for_the_end(number);
        }
    }

    /// A question that nothing more is sent for is still waited on until its deadline.
    fn wait_for_the_end(&mut self, number: u64) {
        let Some(pending) = self.pending.get_mut(&number) else { return };
        if !self.timers.contains(&(pending.at, number)) {
            pending.at = pending.deadline;
            self.timers.insert((pending.at, number));
        }
    }

    /// A server answered.
    pub(super) fn answered(&mut self, now: Duration, id: ExchangeId, answer: Answer) {
        let Some(exchange) = self.close(id) else { return };
        let (number, server) = (exchange.pending, exchange.server);
        self.health_of(server).answered(now.saturating_sub(exchange.sent));
        if answer.is_truncated() && exchange.transport == Transport::Udp {
            self.counters.streams += 1;
            let id = self.send(now, number, server, Transport::Tcp);
            self.wait(now, number, id, STREAM);
        } else if answer.is_final() {
            self.finish(now, number, Some(answer));
        } else if exchange.edns && answer.is_stranger_to_edns() {
            self.health_of(server).no_edns = true;
            let id = self.send(now, number, server, exchange.transport);
            let patience = self.health_of(server).patience();
            self.wait(now, number, id, patience);
        } else {
            if let Some(pending) = self.pending.get_mut(&number) {
                pending.failed.push(server);
                pending.failure = Some(answer);
            }
            self.next_try(now, number);
        }
    }

    /// An exchange has come to nothing.
    pub(super) fn lost(&mut self, now: Duration, id: ExchangeId) {
        let Some(exchange) = self.close(id) else { return };
        if let Some(pending) = self.pending.get_mut(&exchange.pending) {
            pending.failed.push(exchange.server);
        }
        self.next_try(now, exchange.pending);
    }

    /// There is nobody left to ask: unless somebody still may answer, that is the answer.
    fn give_up_if_alone(&mut self, now: Duration, number: u64) {
        if self.pending.get(&number).is_some_and(|pending| pending.open.is_empty()) {
            self.finish(now, number, None);
        }
    }

    fn close(&mut self, id: ExchangeId) -> Option<Exchange> {
        let exchange = self.exchanges.remove(&id)?;
        if let Some(pending) = self.pending.get_mut(&exchange.pending) {
            pending.open.retain(|open| *open != id);
        }
        self.actions.push_back(Action::Close { exchange: id });
        Some(exchange)
    }

    /// Tells all who wait, and forgets the question.
    fn finish(&mut self, now: Duration, number: u64, answer: Option<Answer>) {
        let Some(pending) = self.pending.remove(&number) else { return };
        self.timers.remove(&(pending.at, number));
        self.by_key.remove(&pending.key);
        for id in pending.open {
            self.exchanges.remove(&id);
            self.actions.push_back(Action::Close { exchange: id });
        }
        match &answer {
            Some(_) => self.counters.answered += 1,
            None => self.counters.failed += 1,
        }
        let answer = answer.or(pending.failure).unwrap_or_else(Answer::failure);
        self.cache.put(now, &pending.key, &answer);
        for Waiter { client, network, asked } in pending.waiters {
            self.waiting -= 1;
            if let Some(count) = self.waiting_of.get_mut(&network) {
                *count -= 1;
                if *count == 0 {
                    self.waiting_of.remove(&network);
                }
            }
            let message = answer.write(&asked, Duration::ZERO, self.trust_ad);
            self.actions.push_back(Action::Reply { client, message });
        }
    }
}
