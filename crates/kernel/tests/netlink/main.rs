//! What this crate tells the kernel, checked with the tools that a person would use.

mod address;
mod host;
mod link;
mod neighbour;
mod nftables;
mod route;
mod socket;

use pontoon_kernel::link::{get, set};
use pontoon_kernel::socket::{Protocol, Socket};
use pontoon_netlink::link::{BridgeOptions, Kind, LinkIndex, NewLink, SetLink};

fn route_socket() -> Socket {
    Socket::open(Protocol::Route).expect("a netlink socket opens")
}

/// A bridge without anything special, which every kernel here can make.
fn bridge(name: &str) -> NewLink<'_> {
    NewLink { up: true, ..NewLink::new(name, Kind::Bridge(BridgeOptions::default())) }
}

/// An Ethernet link that is up and has carrier, and may be a port.
fn ethernet(socket: &mut Socket, name: &str) -> LinkIndex {
    host::tool(&format!("ip link add name {name} type ifb"));
    set(socket, &SetLink::up(name)).expect("a link can be set up");
    get(socket, name).expect("a link can be asked for").expect("the link is there").index
}
