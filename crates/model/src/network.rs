//! A network: what a person defined, and the kernel names that follow from it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use crate::id::NetworkId;
use crate::mac::Mac;
use crate::name::{IfName, NetworkName};
use crate::option::{BridgeOptions, GatewayMode};
use crate::subnet;

/// What carries a network's traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Driver {
    /// A Linux bridge on this host.
    Bridge,
    /// The host's own namespace: no network of its own.
    Host,
    /// Nothing but loopback.
    #[serde(rename = "null")]
    Null,
}

impl fmt::Display for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bridge => "bridge",
            Self::Host => "host",
            Self::Null => "null",
        })
    }
}

/// The addresses of one family on a network.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct AddressPool {
    /// The subnet.
    pub subnet: IpNet,
    /// The part of it that addresses are given out from; all of it when not given.
    pub range: Option<IpNet>,
    /// The gateway's address, which the bridge has unless the network's options say otherwise.
    pub gateway: IpAddr,
    /// Addresses that something else has, by a name for each.
    pub aux: BTreeMap<String, IpAddr>,
}

impl AddressPool {
    /// First and last address to give out: the usable part of the range.
    pub fn span(&self) -> (IpAddr, IpAddr) {
        let (first, last) = subnet::usable(self.subnet);
        let Some(range) = self.range else { return (first, last) };
        (first.max(range.network()), last.min(range.broadcast()))
    }

    /// Addresses that are never given out: the gateway and the auxiliary ones.
    pub fn reserved(&self) -> impl Iterator<Item = IpAddr> + '_ {
        std::iter::once(self.gateway).chain(self.aux.values().copied())
    }

    /// The gateway's address with the subnet's prefix length.
    pub fn gateway_net(&self) -> IpNet {
        self.with_prefix(self.gateway)
    }

    /// `address` with the subnet's prefix length.
    pub fn with_prefix(&self, address: IpAddr) -> IpNet {
        IpNet::new(address, self.subnet.prefix_len()).expect("the prefix length is of the same family")
    }
}

/// Where a container may ask for names, whatever its networks are: Docker's address for it.
///
/// Source: `resolverIPSandbox` in moby's daemon/libnetwork/sandbox_dns_unix.go.
pub const NAMES: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);

/// The name of the network that containers join when none is named.
pub const DEFAULT_NETWORK: &str = "bridge";

/// How many addresses in a row share one bridge. A bridge has 1,023 ports (`BR_MAX_PORTS` in the kernel's
/// net/bridge/br_private.h), and floods reach 1,000 of them: a frame for each is queued before one is taken out
/// (`net.core.netdev_max_backlog`). The rest is for cables to more bridges.
pub const SEGMENT_SIZE: u128 = 970;
/// How many bridges hang from one.
const FAN_OUT: u32 = 20;
/// How many bridges a network has at the most. Addresses further up share them.
const SEGMENTS: u128 = 256;

/// One of a network's bridges but the first, and the cable that joins it to the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Its number, from 1.
    pub number: u32,
    /// The bridge.
    pub bridge: IfName,
    /// The bridge's Ethernet address.
    pub bridge_mac: Mac,
    /// The bridge that it hangs from.
    pub parent: IfName,
    /// The cable's end on the parent.
    pub trunk: IfName,
    /// That end's Ethernet address.
    pub trunk_mac: Mac,
    /// The cable's end on the bridge.
    pub uplink: IfName,
    /// That end's Ethernet address.
    pub uplink_mac: Mac,
}

/// A network.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Network {
    /// Its id.
    pub id: NetworkId,
    /// Its name.
    pub name: NetworkName,
    /// What carries it.
    pub driver: Driver,
    /// When it was made, RFC 3339 with nanoseconds, UTC.
    pub created: String,
    /// Whether there is no way out.
    pub internal: bool,
    /// Whether others may attach containers by hand. Kept for Docker's sake: every network here lets them.
    pub attachable: bool,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Options as they were given.
    pub options: BTreeMap<String, String>,
    /// Options as they were understood.
    pub bridge: BridgeOptions,
    /// IPv4 addresses, unless there are none.
    pub v4: Option<AddressPool>,
    /// IPv6 addresses, if there are any.
    pub v6: Option<AddressPool>,
    /// Name of the bridge.
    pub bridge_name: IfName,
    /// Ethernet address of the bridge, pinned so that it does not change with its ports.
    pub bridge_mac: Mac,
    /// Whether it is one of those that are always there.
    pub builtin: bool,
}

impl Network {
    /// The pools that there are, IPv4 first.
    pub fn pools(&self) -> impl Iterator<Item = &AddressPool> {
        self.v4.iter().chain(self.v6.iter())
    }

    /// The gateway mode for the family of `pool`.
    pub fn gateway_mode(&self, pool: &AddressPool) -> GatewayMode {
        match pool.subnet {
            IpNet::V4(_) => self.bridge.gateway_mode_v4,
            IpNet::V6(_) => self.bridge.gateway_mode_v6,
        }
    }

    /// Whether the bridge has the pool's gateway address.
    pub fn bridge_has_address(&self, pool: &AddressPool) -> bool {
        let inhibited = matches!(pool.subnet, IpNet::V4(_)) && self.bridge.inhibit_ipv4;
        !inhibited && self.gateway_mode(pool) != GatewayMode::Isolated
    }

    /// Whether containers get a default route through the pool's gateway.
    pub fn is_way_out(&self, pool: &AddressPool) -> bool {
        !self.internal && self.gateway_mode(pool) != GatewayMode::Isolated
    }

    /// Whether its containers find each other by name. As in Docker, those of the default network do not.
    pub fn has_names(&self) -> bool {
        self.driver == Driver::Bridge && self.bridge.dns && self.name.as_str() != DEFAULT_NETWORK
    }

    /// Whether its containers can ask for names at 127.0.0.11: packets to there are IPv4.
    pub fn has_names_at_loopback(&self) -> bool {
        self.has_names() && self.v4.is_some()
    }

    /// Whether the host must forward packets of the family of `pool` for this network.
    pub fn needs_forwarding(&self, pool: &AddressPool) -> bool {
        self.is_way_out(pool) && self.bridge_has_address(pool)
    }

    /// The number of the segment that an endpoint with this address belongs to. Addresses are given out in a row, so
    /// that a segment is full before the next begins, and nobody has to count.
    pub fn segment_number(&self, address: IpAddr) -> u32 {
        let pool = self.pools().find(|pool| pool.subnet.contains(&address));
        let offset = pool.map_or(0, |pool| {
            subnet::to_number(address).saturating_sub(subnet::to_number(pool.subnet.network()))
        });
        u32::try_from(offset / SEGMENT_SIZE % SEGMENTS).unwrap_or(0)
    }

    /// The number of the segment that segment `number` hangs from.
    pub fn segment_parent(number: u32) -> u32 {
        number.saturating_sub(1) / FAN_OUT
    }

    /// The bridge of segment `number`; segment 0 is the network's own.
    pub fn segment_bridge(&self, number: u32) -> IfName {
        if number == 0 { self.bridge_name.clone() } else { self.segment_name('x', number) }
    }

    /// What all bridges but the first are called; `*` stands for what follows.
    pub fn further_bridges(&self) -> String {
        format!("pt{}x*", &self.id.as_str()[..9])
    }

    /// The names of segment `number`, from 1.
    pub fn segment(&self, number: u32) -> Segment {
        Segment {
            number,
            bridge: self.segment_bridge(number),
            bridge_mac: self.segment_mac(0x12, number),
            parent: self.segment_bridge(Self::segment_parent(number)),
            trunk: self.segment_name('t', number),
            trunk_mac: self.segment_mac(0x16, number),
            uplink: self.segment_name('u', number),
            uplink_mac: self.segment_mac(0x1a, number),
        }
    }

    fn segment_name(&self, kind: char, number: u32) -> IfName {
        format!("pt{}{kind}{number:x}", &self.id.as_str()[..9])
            .parse()
            .expect("15 bytes of hexadecimal at the most")
    }

    fn segment_mac(&self, kind: u8, number: u32) -> Mac {
        let byte =
            |index: usize| u8::from_str_radix(&self.id.as_str()[2 * index..2 * index + 2], 16).unwrap_or(0);
        Mac::local([kind, byte(6), byte(7), byte(8), byte(9), number as u8])
    }

    /// The bridge's name for a network with `id` that did not ask for one.
    pub fn default_bridge_name(id: &NetworkId) -> IfName {
        format!("pt-{}", id.short()).parse().expect("15 bytes of hexadecimal are an interface name")
    }

    /// The bridge's Ethernet address: local, and as random as the id.
    pub fn derived_bridge_mac(id: &NetworkId) -> Mac {
        let byte = |index: usize| u8::from_str_radix(&id.as_str()[2 * index..2 * index + 2], 16).unwrap_or(0);
        // Not from the first byte: containers' addresses begin with 02 and that one.
        Mac::local([0x06, byte(6), byte(7), byte(8), byte(9), byte(10)])
    }
}
