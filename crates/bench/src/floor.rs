//! The least that an attach costs: the same requests, without an engine around them.

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use pontoon_kernel::link;
use pontoon_kernel::netns::Netns;
use pontoon_kernel::socket::{Protocol, Requests, Socket};
use pontoon_netlink::address::Address;
use pontoon_netlink::link::{
    AddrGenMode, BridgeOptions, DelLink, HwAddr, Ipv4Conf, Kind, LinkIndex, NewLink, Peer, PortOptions,
    SetLink,
};
use pontoon_netlink::neighbour::FdbEntry;
use pontoon_netlink::route::{NextHop, Route};
use pontoon_netlink::{Family, Prefix};

use crate::attach::Attach;
use crate::error::BenchError;

/// The parts of an attach, in their order.
pub(crate) const PARTS: [&str; 5] = [
    "open the namespace, and a socket in it",
    "create the pair, one end on the bridge",
    "host end: no address of its own, up",
    "inside: `lo` up, address, up, default route",
    "ask for the host end and the bridge",
];

/// How long each of [`PARTS`] took.
pub(crate) type Parts = [Duration; PARTS.len()];

/// What an attach may do otherwise, to find out what it costs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shape {
    /// The kernel makes IPv6 link-local addresses from Ethernet addresses, at both ends.
    pub(crate) eui64: bool,
    /// The bridge is told the container's Ethernet address.
    pub(crate) fixed_address: bool,
    /// The container's link announces its address.
    pub(crate) arp_notify: bool,
    /// Options of the port.
    pub(crate) port: PortOptions,
    /// The host end is on no bridge, and not on any network.
    pub(crate) alone: bool,
}

/// A bridge laid by hand, and a socket on the host.
#[derive(Debug)]
pub(crate) struct Floor {
    socket: Socket,
    bridge: LinkIndex,
    made: u32,
}

/// The bridge's name.
pub(crate) const BRIDGE: &str = "floor";
/// The bridge's own address, in a network that the engine does not get.
pub(crate) const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 208, 0, 1);
/// How long the network is.
pub(crate) const PREFIX_LEN: u8 = 16;
/// First two bytes of Ethernet addresses here: of local choice, and not what the engine uses.
const MAC_PREFIX: [u8; 2] = [0x06, 0xf1];

/// What the engine sets on its bridges.
pub(crate) fn bridge_options() -> BridgeOptions {
    BridgeOptions {
        stp: Some(false),
        forward_delay: Some(0),
        mcast_snooping: Some(false),
        no_linklocal_learn: Some(true),
        ..BridgeOptions::default()
    }
}

impl Floor {
    /// Lays the bridge.
    pub(crate) fn lay() -> Result<Self, BenchError> {
        let mut socket = Socket::open(Protocol::Route)?;
        let mac = HwAddr([MAC_PREFIX[0], 0, 0, 0, 0, 1]);
        let wanted = NewLink { mac: Some(mac), ..NewLink::new(BRIDGE, Kind::Bridge(bridge_options())) };
        let bridge = link::create(&mut socket, &wanted)?;
        let mut requests = Requests::new();
        requests.add_address(BRIDGE, &Address::new(bridge, Prefix::new(GATEWAY.into(), PREFIX_LEN)));
        requests.set_link(&SetLink { addr_gen_mode: Some(AddrGenMode::None), ..SetLink::new(BRIDGE) });
        requests.set_link(&SetLink::up(BRIDGE));
        socket.run(&mut requests)?;
        Ok(Self { socket, bridge, made: 0 })
    }

    /// The bridge that another process laid. `apart` keeps what several processes make apart, up to 255.
    pub(crate) fn join(apart: u8) -> Result<Self, BenchError> {
        let mut socket = Socket::open(Protocol::Route)?;
        let found = link::get(&mut socket, BRIDGE)?.ok_or(BenchError::Silent("of the bridge"))?;
        Ok(Self { socket, bridge: found.index, made: u32::from(apart) << 24 })
    }

    /// The socket on the host.
    pub(crate) fn socket(&mut self) -> &mut Socket {
        &mut self.socket
    }

    /// The raw attach, and how long each part of it took.
    pub(crate) fn attach_as(&mut self, netns: &str, shape: &Shape) -> Result<Parts, BenchError> {
        self.made = self.made.wrapping_add(1);
        let host = host_end(netns);
        let mac = self.mac();
        let address = self.address();
        let mut clock = Clock::start();
        let netns = Netns::open_name(netns)?;
        let mut inside = netns.enter(|| Socket::open(Protocol::Route))??;
        clock.lap();
        let (index, peer) = self.create(&host, mac, &netns, shape)?;
        clock.lap();
        self.raise(&host, index, mac, shape)?;
        clock.lap();
        furnish(&mut inside, peer, address, shape)?;
        clock.lap();
        self.settle(&host)?;
        clock.lap();
        Ok(clock.parts)
    }

    fn create(
        &mut self,
        host: &str,
        mac: HwAddr,
        netns: &Netns,
        shape: &Shape,
    ) -> Result<(LinkIndex, LinkIndex), BenchError> {
        let peer = Peer { name: INSIDE, mac: Some(mac), netns: Some(netns.as_fd()), ..Peer::default() };
        let pair = NewLink {
            master: (!shape.alone).then_some(self.bridge),
            echo: true,
            ..NewLink::veth(host, peer)
        };
        let mut requests = Requests::new();
        requests.new_link(&pair);
        let answers = self.socket.run(&mut requests)?;
        let made = answers.first().and_then(link::found).ok_or(BenchError::Silent("what it made"))?;
        Ok((made.index, made.link.ok_or(BenchError::Silent("the index of the other end"))?))
    }

    fn raise(&mut self, host: &str, index: LinkIndex, mac: HwAddr, shape: &Shape) -> Result<(), BenchError> {
        let mut requests = Requests::new();
        if !shape.eui64 {
            requests.set_link(&SetLink { addr_gen_mode: Some(AddrGenMode::None), ..SetLink::new(host) });
        }
        if shape.port != PortOptions::default() {
            requests.set_link(&SetLink { port: shape.port.clone(), ..SetLink::new(host) });
        }
        if shape.fixed_address {
            requests.replace_fdb(host, &FdbEntry::fixed(index, mac));
        }
        requests.set_link(&SetLink::up(host));
        self.socket.run(&mut requests)?;
        Ok(())
    }

    fn settle(&mut self, host: &str) -> Result<(), BenchError> {
        let mut requests = Requests::new();
        requests.get_link(host);
        requests.get_link(BRIDGE);
        self.socket.run(&mut requests)?;
        Ok(())
    }

    /// Deletes the host end, and the pair with it.
    pub(crate) fn detach_raw(&mut self, netns: &str) -> Result<Duration, BenchError> {
        let host = host_end(netns);
        let start = Instant::now();
        link::delete(&mut self.socket, &DelLink::One(host.as_str().into()))?;
        Ok(start.elapsed())
    }

    fn mac(&self) -> HwAddr {
        let [a, b, c, d] = self.made.to_be_bytes();
        HwAddr([MAC_PREFIX[0], MAC_PREFIX[1], a, b, c, d])
    }

    /// Never the same twice among those that are there: addresses repeat after 65,000.
    fn address(&self) -> IpAddr {
        let [.., a, b] = self.made.wrapping_add(1).to_be_bytes();
        let [first, second, ..] = GATEWAY.octets();
        Ipv4Addr::new(first, second, a, b).into()
    }
}

impl Attach for Floor {
    fn attach(&mut self, netns: &str) -> Result<Duration, BenchError> {
        Ok(self.attach_as(netns, &Shape::default())?.iter().sum())
    }

    fn detach(&mut self, netns: &str) -> Result<Duration, BenchError> {
        self.detach_raw(netns)
    }
}

/// The interface's name inside; the engine's is `eth0`.
const INSIDE: &str = "hand0";

/// The name of the host end for a namespace, short enough for any name here.
pub(crate) fn host_end(netns: &str) -> String {
    format!("h-{netns}")
}

fn furnish(inside: &mut Socket, peer: LinkIndex, address: IpAddr, shape: &Shape) -> Result<(), BenchError> {
    let announce = [(Ipv4Conf::ArpNotify, 1)];
    let mut requests = Requests::new();
    requests.set_link(&SetLink::up("lo"));
    if !shape.eui64 || shape.arp_notify {
        requests.set_link(&SetLink {
            addr_gen_mode: (!shape.eui64).then_some(AddrGenMode::None),
            ipv4_conf: if shape.arp_notify { &announce } else { &[] },
            ..SetLink::new(INSIDE)
        });
    }
    requests.add_address(INSIDE, &Address::new(peer, Prefix::new(address, PREFIX_LEN)));
    requests.set_link(&SetLink::up(INSIDE));
    let hop = NextHop { gateway: Some(GATEWAY.into()), link: Some(peer), ..NextHop::default() };
    requests.add_route(&Route::new(Prefix::all(Family::V4), hop));
    inside.run(&mut requests)?;
    Ok(())
}

/// Takes the time of one part after the other.
struct Clock {
    last: Instant,
    next: usize,
    parts: Parts,
}

impl Clock {
    fn start() -> Self {
        Self { last: Instant::now(), next: 0, parts: Parts::default() }
    }

    fn lap(&mut self) {
        let now = Instant::now();
        self.parts[self.next] = now - self.last;
        (self.last, self.next) = (now, self.next + 1);
    }
}
