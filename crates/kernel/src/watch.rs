//! What happens to the host's network, as it happens: the kernel tells it to whoever listens.
//!
//! Two sockets that are in the kernel's multicast groups, behind one descriptor that can be waited for. Nothing is asked
//! for, so a host on which nothing happens costs nothing. What a socket cannot hold is lost, which is an event of its own
//! ([`Event::Missed`]): then everything is to be looked at again.
//!
//! Source: netlink(7), rtnetlink(7), `enum rtnetlink_groups` in include/uapi/linux/rtnetlink.h, `enum nfnetlink_groups`
//! in include/uapi/linux/netfilter/nfnetlink.h.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use pontoon_netlink::address::{Address, RTM_DELADDR, RTM_NEWADDR};
use pontoon_netlink::link::Notice as LinkNotice;
use pontoon_netlink::netconf::{Netconf, RTM_NEWNETCONF};
use pontoon_netlink::route::{RTM_DELROUTE, RTM_NEWROUTE, Route};
use pontoon_netlink::rule::{RTM_DELRULE, RTM_NEWRULE};
use pontoon_netlink::wire::{Message, Messages};
use pontoon_nft::syntax::TableRef;
use pontoon_nft::wire::Notice as RulesNotice;
use rustix::event::epoll;
use rustix::io::{Errno, retry_on_intr};
use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};

use crate::error::{KernelError, Operation, Verb};
use crate::socket::options;

/// `RTNLGRP_…`: links; addresses, routes, rules and settings of IPv4 and of IPv6.
const GROUPS: [u32; 9] = [1, 5, 9, 7, 11, 8, 19, 24, 25];
/// `NFNLGRP_NFTABLES`
const RULES: u32 = 7;

/// What a socket holds before something is lost, counted with the kernel's overhead: what a thousand links say that are
/// made at once. It is only taken while it is needed.
const HELD: usize = 32 << 20;
/// The longest datagram: a link with all its attributes is under 4 KiB, of a transaction as many messages come together
/// as fit 8 KiB or one that is longer (`nft_commit_notify()`).
const BUFFER_LEN: usize = 128 * 1024;

/// Who changed something, as the kernel knows him.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hand {
    /// The thread's name, of at most 15 bytes.
    pub name: String,
    /// Its number, in the pid namespace of the host.
    pub pid: u32,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// More happened than could be held: nothing is known of what was in between.
    Missed,
    /// Of a link or a bridge's port.
    Link(LinkNotice),
    /// A link has an address.
    Address(Address),
    /// A link has an address no longer.
    AddressGone(Address),
    /// There is a route, or it was changed.
    Route(Route),
    /// A route is gone.
    RouteGone(Route),
    /// A policy-routing rule is there or gone.
    RoutingRules,
    /// A setting of a link or of the whole host was changed.
    Conf(Netconf),
    /// A transaction of nf_tables took effect.
    Rules {
        /// The ruleset's new generation.
        generation: u32,
        /// The tables that it touched.
        tables: BTreeSet<TableRef>,
        /// Whether it took anything away.
        removed: bool,
        /// Who sent it.
        by: Hand,
    },
}

/// A watch over the namespace that it was opened in.
#[derive(Debug)]
pub struct Watch {
    /// Both sockets, to wait for.
    both: OwnedFd,
    links: OwnedFd,
    rules: OwnedFd,
    buffer: Vec<u8>,
    /// Of the transaction whose end has not come yet.
    touched: BTreeSet<TableRef>,
    removed: bool,
}

impl Watch {
    /// Begins to listen, in the network namespace that the calling thread is in now.
    ///
    /// # Errors
    ///
    /// Where the kernel gives no such socket; without `CAP_NET_ADMIN`, `EPERM` for the rules' group.
    pub fn open() -> Result<Self, KernelError> {
        let fail = |object: &'static str| {
            move |errno: Errno| KernelError::new(Operation::new(Verb::Open, "netlink socket"), object, errno)
        };
        // `NETLINK_ROUTE` is 0, which rustix calls no protocol.
        let links = listen(None, &GROUPS).map_err(fail("to hear of links and routes"))?;
        let rules = listen(Some(netlink::NETFILTER), &[RULES]).map_err(fail("to hear of rules"))?;
        let both = || {
            let both = epoll::create(epoll::CreateFlags::CLOEXEC)?;
            for (number, fd) in [&links, &rules].into_iter().enumerate() {
                epoll::add(&both, fd, epoll::EventData::new_u64(number as u64), epoll::EventFlags::IN)?;
            }
            Ok(both)
        };
        let both = both().map_err(fail("to wait for two others"))?;
        let buffer = vec![0; BUFFER_LEN];
        Ok(Self { both, links, rules, buffer, touched: BTreeSet::new(), removed: false })
    }

    /// What has happened since the last time, in order but for that of links and rules among each other. Does not wait:
    /// nothing, if nothing has happened.
    ///
    /// # Errors
    ///
    /// What `recv` fails with.
    pub fn read(&mut self) -> Result<Vec<Event>, KernelError> {
        let mut events = Vec::new();
        for rules in [false, true] {
            self.drain(rules, &mut events).map_err(|errno| {
                let operation = Operation::new(Verb::Read, "netlink socket");
                KernelError::new(operation, "of what happens", errno)
            })?;
        }
        Ok(events)
    }

    fn drain(&mut self, rules: bool, events: &mut Vec<Event>) -> Result<(), Errno> {
        /// Do not wait, and tell the length of a datagram that does not fit.
        const RECEIVE: RecvFlags = RecvFlags::DONTWAIT.union(RecvFlags::TRUNC);
        loop {
            let fd = if rules { &self.rules } else { &self.links };
            match retry_on_intr(|| recv(fd, self.buffer.as_mut_slice(), RECEIVE)) {
                Ok((_, len)) if len > self.buffer.len() => self.missed(events),
                Ok((_, len)) => self.take(rules, len, events),
                Err(Errno::AGAIN) => return Ok(()),
                // What was held before the loss comes after the news of it.
                Err(Errno::NOBUFS) => self.missed(events),
                Err(errno) => return Err(errno),
            }
        }
    }

    fn missed(&mut self, events: &mut Vec<Event>) {
        self.touched.clear();
        self.removed = false;
        events.push(Event::Missed);
    }

    fn take(&mut self, rules: bool, len: usize, events: &mut Vec<Event>) {
        for message in Messages::new(&self.buffer[..len]) {
            if !rules {
                events.extend(event(&message));
                continue;
            }
            match RulesNotice::read(&message) {
                Some(RulesNotice::Touched { table, removed }) => {
                    self.touched.insert(table);
                    self.removed |= removed;
                }
                Some(RulesNotice::Generation { id, pid, name }) => events.push(Event::Rules {
                    generation: id,
                    tables: std::mem::take(&mut self.touched),
                    removed: std::mem::take(&mut self.removed),
                    by: Hand { name, pid },
                }),
                None => {}
            }
        }
    }
}

impl AsFd for Watch {
    /// Can be read from when something has happened.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.both.as_fd()
    }
}

fn listen(protocol: Option<rustix::net::Protocol>, groups: &[u32]) -> Result<OwnedFd, Errno> {
    let fd = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol)?;
    options::hold(fd.as_fd(), HELD)?;
    bind(&fd, &SocketAddrNetlink::new(0, 0))?;
    groups.iter().try_for_each(|group| options::join(fd.as_fd(), *group))?;
    Ok(fd)
}

fn event(message: &Message<'_>) -> Option<Event> {
    match message.kind {
        RTM_NEWADDR => Address::decode(message.payload).map(Event::Address),
        RTM_DELADDR => Address::decode(message.payload).map(Event::AddressGone),
        RTM_NEWROUTE => Route::decode(message.payload).map(Event::Route),
        RTM_DELROUTE => Route::decode(message.payload).map(Event::RouteGone),
        RTM_NEWRULE | RTM_DELRULE => Some(Event::RoutingRules),
        RTM_NEWNETCONF => Netconf::decode(message.payload).map(Event::Conf),
        _ => LinkNotice::read(message).map(Event::Link),
    }
}
