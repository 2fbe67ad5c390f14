//! Whether anybody takes the packet where it arrives.

use std::net::IpAddr;

use pontoon_model::observed::snapshot::{Listener, Namespace};
use pontoon_model::publish::Protocol;
use pontoon_nft::syntax::protocol;

use super::finding::{Code, Finding};
use super::{Flow, Verdict};

/// What becomes of a packet that is for the namespace: a sentence, and what is wrong.
pub(super) fn deliver(namespace: &Namespace, link: u32, flow: Flow) -> (String, Verdict, Option<Finding>) {
    let (kind, name) = match flow.protocol {
        protocol::TCP => (Protocol::Tcp, "tcp"),
        protocol::UDP => (Protocol::Udp, "udp"),
        protocol::SCTP => {
            let text = "whether anybody listens on a port of SCTP is not told".to_owned();
            return (text, Verdict::Unknown, None);
        }
        _ => return echo(namespace, flow),
    };
    let port = flow.destination_port.first;
    let on_port: Vec<&Listener> =
        namespace.sockets.iter().filter(|socket| socket.protocol == kind && socket.port == port).collect();
    let takes =
        |socket: &&&Listener| hears(socket, flow.destination) && (socket.link == 0 || socket.link == link);
    if let Some(socket) = on_port.iter().find(takes) {
        return (format!("somebody listens on {}", shown(socket, name)), Verdict::Reachable, None);
    }
    let place = &namespace.name;
    let finding = match on_port.first() {
        Some(socket) if socket.address.to_canonical().is_loopback() => {
            let sentence = format!(
                "in {place}, port {port}/{name} is listened on at {} alone",
                socket.address.to_canonical()
            );
            Finding::new(Code::ListensOnLoopback, place, sentence).advice(format!(
                "have the program listen on {} or {}: only what is in {place} itself reaches its loopback address",
                unspecified(flow.destination),
                flow.destination
            ))
        }
        Some(socket) => {
            let sentence = format!(
                "in {place}, port {port}/{name} is listened on at {} and not at {}",
                socket.address.to_canonical(),
                flow.destination
            );
            Finding::new(Code::NobodyListens, place, sentence)
                .advice(format!("have the program listen on {}", unspecified(flow.destination)))
        }
        None => {
            let others: Vec<String> = namespace
                .sockets
                .iter()
                .filter(|socket| socket.protocol == kind)
                .map(|socket| shown(socket, name))
                .collect();
            let others = match others.as_slice() {
                [] => format!("nothing listens on {name} there at all"),
                some => format!("somebody listens on {}", some.join(", ")),
            };
            Finding::new(
                Code::NobodyListens,
                place,
                format!("in {place}, nobody listens on port {port}/{name}"),
            )
            .advice(format!("start the program, or ask for its port: {others}"))
        }
    };
    (finding.sentence.clone(), Verdict::Unreachable, Some(finding))
}

fn unspecified(like: IpAddr) -> &'static str {
    if like.is_ipv4() { "0.0.0.0" } else { "::" }
}

fn shown(socket: &Listener, name: &str) -> String {
    match socket.address.to_canonical() {
        IpAddr::V6(address) => format!("[{address}]:{}/{name}", socket.port),
        IpAddr::V4(address) => format!("{address}:{}/{name}", socket.port),
    }
}

/// Whether a socket takes packets to an address.
fn hears(socket: &Listener, destination: IpAddr) -> bool {
    let own = socket.address;
    if own.is_unspecified() {
        return own.is_ipv4() == destination.is_ipv4() || own.is_ipv6() && !socket.v6only;
    }
    own.to_canonical() == destination
}

/// The kernel answers echo requests, unless it is told not to.
fn echo(namespace: &Namespace, flow: Flow) -> (String, Verdict, Option<Finding>) {
    let key = if flow.destination.is_ipv4() {
        "net/ipv4/icmp_echo_ignore_all"
    } else {
        "net/ipv6/icmp/echo_ignore_all"
    };
    if namespace.setting(key).unwrap_or(0) == 0 {
        return ("the kernel answers the echo request".to_owned(), Verdict::Reachable, None);
    }
    let sentence = format!("{} is told not to answer echo requests", namespace.name);
    let command = namespace.command(&format!("sysctl -w {}=0", key.replace('/', ".")));
    let finding = Finding::new(Code::EchoIgnored, &namespace.name, sentence.clone()).fix(command);
    (sentence, Verdict::Unreachable, Some(finding))
}
