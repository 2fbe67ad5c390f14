//! What a person does with published ports: who reaches them, who does not, and what becomes of them.

mod asking;
mod following;
mod kept_out;
mod mending;
mod reached;
mod refused;
mod surviving;

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use pontoon_testkit::{Host, Reply};

/// The host's addresses, as `Host::uplink` gives them.
const HOST4: &str = "192.0.2.2";
const HOST6: &str = "[2001:db8:1::2]";

/// Whether bridges call iptables and ip6tables, as `br_netfilter` has them do.
fn bridges_call(host: &Host, on: bool) {
    let value = u8::from(on);
    host.sh(&format!(
        "sysctl -qw net.bridge.bridge-nf-call-iptables={value} net.bridge.bridge-nf-call-ip6tables={value}"
    ));
}

/// Asks from a place and says who the server took the client for.
#[track_caller]
fn seen(host: &Host, place: &str, address: &str) -> String {
    answered(host.fetch(place, address), place, address)
}

/// As `seen`, with UDP.
#[track_caller]
fn seen_udp(host: &Host, place: &str, address: &str) -> String {
    answered(host.ask_udp(place, address), place, address)
}

#[track_caller]
fn answered(reply: io::Result<Reply>, place: &str, address: &str) -> String {
    match reply {
        Ok(reply) => reply.seen_from.ip().to_string(),
        Err(error) => panic!("{place} does not reach {address}: {error}"),
    }
}

/// Whether a place gets a connection to an address. For those that are to get none: it does not wait for long.
#[track_caller]
fn connects(host: &Host, place: &str, address: &str) -> bool {
    let address: SocketAddr = address.parse().expect("an address with a port");
    let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(250)).is_ok();
    host.netns(place).enter(connect).expect("the namespace can be entered")
}

/// Whether an address answers a place, without waiting for long.
fn answers(host: &Host, place: &str, address: &str) -> bool {
    host.try_sh_in(place, &format!("ping -n -c 1 -W 0.25 {address}")).status.success()
}

/// The elements of all maps and sets that published ports are in, as nft prints them.
fn published(host: &Host) -> String {
    let mut all = Vec::new();
    for set in ["at4", "at6", "any4", "any6", "open4", "open6", "self4", "self6"] {
        let kind = if set.starts_with('a') { "map" } else { "set" };
        let listed = host.sh(&format!("nft list {kind} inet pontoon {set} | tr -d '\\n\\t'"));
        let elements = listed.split_once("elements = {").and_then(|(_, rest)| rest.split_once('}'));
        if let Some((elements, _)) = elements {
            let mut elements: Vec<&str> = elements.split(',').map(str::trim).collect();
            elements.sort_unstable();
            all.extend(elements.into_iter().map(|element| format!("{set} {element}")));
        }
    }
    all.join("\n")
}
