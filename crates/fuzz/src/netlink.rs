//! The parsers of `pontoon-netlink`. A decoder's input is a message's payload.

use std::fmt::Debug;
use std::net::IpAddr;

use pontoon_netlink::address::Address;
use pontoon_netlink::conntrack::Entry;
use pontoon_netlink::link::{Ipv4Conf, Ipv6Conf, Link, LinkIndex, SetLink};
use pontoon_netlink::neighbour::{FdbEntry, Neighbour};
use pontoon_netlink::route::Route;
use pontoon_netlink::rule::Rule;
use pontoon_netlink::socket_diag::{InetSocket, SOCK_DIAG_BY_FAMILY};
use pontoon_netlink::wire::{Ack, Attr, Attrs, Batch, Body, Message, Messages, NLM_F_REQUEST};
use pontoon_netlink::{Family, Prefix};

use crate::input::assert_in_proportion;

/// How deep attributes are taken for attributes of attributes.
const DEPTH: usize = 4;

/// [`Messages`], [`Attrs`], [`Attr`] and [`Ack`]. The input is what one `recv` returned.
pub fn netlink_wire(data: &[u8]) {
    let messages: Vec<Message<'_>> = Messages::new(data).collect();
    let total: usize = messages.iter().map(|message| message.payload.len()).sum();
    assert!(total <= data.len(), "messages do not overlap");
    for message in &messages {
        message_comes_back(message);
        attributes_come_back(message.payload, DEPTH);
        if let Some(ack) = Ack::parse(message) {
            assert_eq!(ack.seq, message.seq);
            assert!(ack.errno >= 0, "{} is not an errno", ack.errno);
            assert_in_proportion(&ack, message.payload);
        }
    }
    attributes_come_back(data, DEPTH);
}

fn message_comes_back(message: &Message<'_>) {
    let mut batch = Batch::new(message.seq);
    batch.message(message.kind, message.flags, |body| body.raw(message.payload));
    let sent = batch.clone();
    let mut again = Messages::new(sent.bytes());
    let read = again.next().expect("there is a message");
    assert_eq!((read.kind, read.flags, read.seq), (message.kind, message.flags | NLM_F_REQUEST, message.seq));
    assert!(read.payload.starts_with(message.payload));
    assert_eq!(again.next(), None);
    batch.renumber(message.seq.wrapping_add(1));
    let renumbered = Messages::new(batch.bytes()).next().expect("there is a message");
    assert_eq!(Message { seq: message.seq, ..renumbered }, read);
}

fn attributes_come_back(bytes: &[u8], depth: usize) {
    let attributes: Vec<Attr<'_>> = Attrs::new(bytes).collect();
    let mut written = Vec::new();
    let mut body = Body::on(&mut written);
    for attribute in &attributes {
        body.attr(attribute.kind, attribute.value);
        let _ = (attribute.u8(), attribute.u16(), attribute.u32());
        let _ = (attribute.u16_be(), attribute.u32_be(), attribute.u64_be());
        let _ = (attribute.ip(), attribute.str());
        if depth > 0 {
            attributes_come_back(attribute.value, depth - 1);
        }
    }
    assert!(written.len() < bytes.len() + 4, "attributes do not overlap");
    assert_eq!(Attrs::new(&written).collect::<Vec<_>>(), attributes);
}

/// What the one message that `encode` writes is decoded to.
fn again<T>(encode: impl FnOnce(&mut Batch), decode: impl FnOnce(&[u8]) -> Option<T>) -> T {
    let mut batch = Batch::new(1);
    encode(&mut batch);
    let message = Messages::new(batch.bytes()).next().expect("there is a message");
    decode(message.payload).expect("what is encoded can be decoded")
}

#[track_caller]
fn assert_comes_back<T: Debug + PartialEq>(before: T, after: T, data: &[u8]) {
    assert_in_proportion(&before, data);
    assert_eq!(after, before);
}

/// [`Link::decode`].
pub fn netlink_link(data: &[u8]) {
    let Some(link) = Link::decode(data) else { return };
    assert_in_proportion(&link, data);
    let _ = (link.is_up(), link.is_running());
    let _ = (link.ipv4_conf(Ipv4Conf::Forwarding), link.ipv4_conf(Ipv4Conf::ArpEvictNocarrier));
    let _ = (link.ipv6_conf(Ipv6Conf::Forwarding), link.ipv6_conf(Ipv6Conf::AddrGenMode));
    // What is known of a bridge and of a port can be set on another.
    let mut request = SetLink::new(LinkIndex(7));
    request.bridge = link.bridge.clone().unwrap_or_default();
    request.port = link.port.clone().unwrap_or_default();
    let set = again(|batch| request.encode(batch), Link::decode);
    assert_eq!(set.bridge.unwrap_or_default(), request.bridge);
    assert_eq!(set.port.unwrap_or_default(), request.port);
}

/// [`Address::decode`].
pub fn netlink_address(data: &[u8]) {
    let Some(address) = Address::decode(data) else { return };
    let after = again(|batch| address.encode_add(batch), Address::decode);
    assert_comes_back(address, after, data);
}

/// [`Route::decode`].
pub fn netlink_route(data: &[u8]) {
    let Some(route) = Route::decode(data) else { return };
    let after = again(|batch| route.encode_add(batch), Route::decode);
    assert_comes_back(request_of(route), request_of(after), data);
}

/// The part of a route that a request has.
fn request_of(mut route: Route) -> Route {
    route.flags = 0;
    if route.destination.is_all() {
        route.destination = Prefix::all(route.destination.family());
    }
    let several = route.next_hops.len() > 1;
    for hop in &mut route.next_hops {
        (hop.dead, hop.linkdown) = (false, false);
        hop.weight = several.then(|| hop.weight.unwrap_or(1));
        // One of several has an index, where 0 is none.
        hop.link = hop.link.filter(|link| !several || link.0 != 0);
    }
    route
}

/// [`Rule::decode`].
pub fn netlink_rule(data: &[u8]) {
    let Some(mut rule) = Rule::decode(data) else { return };
    let after = again(|batch| rule.encode_add(batch), Rule::decode);
    // The length 0 means any address.
    rule.from = rule.from.filter(|prefix| !prefix.is_all());
    rule.to = rule.to.filter(|prefix| !prefix.is_all());
    // Read, and never asked for.
    (rule.transport, rule.asks_more) = (Default::default(), false);
    assert_comes_back(rule, after, data);
}

/// [`Neighbour::decode`].
pub fn netlink_neighbour(data: &[u8]) {
    let Some(neighbour) = Neighbour::decode(data) else { return };
    let after = again(|batch| neighbour.encode_add(batch), Neighbour::decode);
    assert_comes_back(neighbour, after, data);
}

/// [`FdbEntry::decode`].
pub fn netlink_fdb(data: &[u8]) {
    let Some(entry) = FdbEntry::decode(data) else { return };
    let after = again(|batch| entry.encode_add(batch), FdbEntry::decode);
    // Only an answer tells the bridge.
    assert_comes_back(FdbEntry { master: None, ..entry }, after, data);
}

/// [`InetSocket::decode`].
pub fn netlink_socket(data: &[u8]) {
    let Some(socket) = InetSocket::decode(data) else { return };
    let after = again(|batch| encode_socket(&socket, batch), InetSocket::decode);
    assert_comes_back(socket, after, data);
}

/// The answer as the kernel writes it: `inet_diag_msg` of `inet_diag.h`.
fn encode_socket(socket: &InetSocket, batch: &mut Batch) {
    const INET_DIAG_SKV6ONLY: u16 = 11;
    let sixteen = |address: IpAddr| match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()) << 96,
        IpAddr::V6(v6) => v6.to_bits(),
    };
    batch.message(SOCK_DIAG_BY_FAMILY, 0, |body| {
        body.raw(&[Family::of(socket.local.ip()).number(), socket.state.number(), 0, 0]);
        body.raw(&[socket.local.port().to_be_bytes(), socket.peer.port().to_be_bytes()].concat());
        body.raw(&sixteen(socket.local.ip()).to_be_bytes());
        body.raw(&sixteen(socket.peer.ip()).to_be_bytes());
        for number in [socket.link, 0, 0, 0, 0, 0, socket.uid, socket.inode] {
            body.raw(&number.to_ne_bytes());
        }
        if let Some(only) = socket.v6only {
            body.u8(INET_DIAG_SKV6ONLY, only.into());
        }
    });
}

/// [`Entry::decode`].
pub fn netlink_conntrack(data: &[u8]) {
    let Some(entry) = Entry::decode(data) else { return };
    let after = again(|batch| entry.encode_add(batch), Entry::decode);
    assert_comes_back(entry, after, data);
}
