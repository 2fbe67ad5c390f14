//! Routes: to add and delete, to list, and to ask which one a packet would take.
//!
//! Source: `include/uapi/linux/rtnetlink.h`, `net/ipv4/fib_frontend.c`, `net/ipv6/route.c`; ip-route(8).

mod get;

use std::net::IpAddr;

use crate::address::Scope;
use crate::link::LinkIndex;
use crate::wire::{
    Attr, Attrs, Batch, Body, NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE,
};
use crate::{Family, Prefix};

pub use get::{DumpRoutes, GetRoute};

/// `RTM_NEWROUTE`.
pub const RTM_NEWROUTE: u16 = 24;
/// `RTM_DELROUTE`.
pub const RTM_DELROUTE: u16 = 25;
/// `RTM_GETROUTE`.
pub const RTM_GETROUTE: u16 = 26;

/// `RT_TABLE_MAIN`.
pub const TABLE_MAIN: u32 = 254;
/// `RT_TABLE_LOCAL`: the kernel's routes to this host's own addresses.
pub const TABLE_LOCAL: u32 = 255;

/// `RTPROT_KERNEL`: the kernel made the route, for an address.
pub const PROTOCOL_KERNEL: u8 = 2;
/// `RTPROT_BOOT`: what `ip route add` gives where nothing else is said.
pub const PROTOCOL_BOOT: u8 = 3;
/// `RTPROT_STATIC`: an administrator made it.
pub const PROTOCOL_STATIC: u8 = 4;

const RTA_DST: u16 = 1;
const RTA_SRC: u16 = 2;
const RTA_IIF: u16 = 3;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PRIORITY: u16 = 6;
const RTA_PREFSRC: u16 = 7;
const RTA_METRICS: u16 = 8;
const RTA_MULTIPATH: u16 = 9;
const RTA_TABLE: u16 = 15;
const RTA_MARK: u16 = 16;
const RTA_VIA: u16 = 18;
const RTA_UID: u16 = 25;
const RTA_IP_PROTO: u16 = 27;
const RTA_SPORT: u16 = 28;
const RTA_DPORT: u16 = 29;

const RTAX_MTU: u16 = 2;

const RTNH_F_DEAD: u8 = 1;
const RTNH_F_ONLINK: u8 = 4;
const RTNH_F_LINKDOWN: u8 = 16;

const RT_TABLE_COMPAT: u8 = 252;
const HEADER_LEN: usize = 12;
const NEXT_HOP_LEN: usize = 8;

/// What happens to a packet that takes a route: `RTN_…` of `rtnetlink.h`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RouteType {
    /// It is sent on.
    #[default]
    Unicast,
    /// It is for this host.
    Local,
    /// It is for this host and others on the link.
    Broadcast,
    /// It is for one of several hosts, this among them.
    Anycast,
    /// It is for a group.
    Multicast,
    /// It is dropped silently.
    Blackhole,
    /// It is dropped with "host unreachable".
    Unreachable,
    /// It is dropped with "administratively prohibited".
    Prohibit,
    /// The look-up goes on with the next rule.
    Throw,
    /// A number without a name.
    Other(u8),
}

impl RouteType {
    fn from_number(number: u8) -> Self {
        match number {
            1 => Self::Unicast,
            2 => Self::Local,
            3 => Self::Broadcast,
            4 => Self::Anycast,
            5 => Self::Multicast,
            6 => Self::Blackhole,
            7 => Self::Unreachable,
            8 => Self::Prohibit,
            9 => Self::Throw,
            other => Self::Other(other),
        }
    }

    fn number(self) -> u8 {
        match self {
            Self::Unicast => 1,
            Self::Local => 2,
            Self::Broadcast => 3,
            Self::Anycast => 4,
            Self::Multicast => 5,
            Self::Blackhole => 6,
            Self::Unreachable => 7,
            Self::Prohibit => 8,
            Self::Throw => 9,
            Self::Other(other) => other,
        }
    }
}

/// A way out of this host: a gateway, a link, or both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NextHop {
    /// The router. It may be an IPv6 address for an IPv4 route.
    pub gateway: Option<IpAddr>,
    /// The link.
    pub link: Option<LinkIndex>,
    /// Whether the gateway is taken to be on the link though no route says so.
    pub onlink: bool,
    /// Its share among several, 1 to 256 (told by the kernel only for routes with several).
    pub weight: Option<u16>,
    /// The link is down: the kernel does not use it (answers only).
    pub dead: bool,
    /// The link has no carrier (answers only).
    pub linkdown: bool,
}

/// A route: to add, replace or delete, and as the kernel tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Destination; [`Prefix::all`] for a default route.
    pub destination: Prefix,
    /// Source prefix (IPv6 only).
    pub source: Option<Prefix>,
    /// The ways out: one, several (a multipath route), or none for a blackhole.
    pub next_hops: Vec<NextHop>,
    /// Which of this host's addresses packets get by default.
    pub preferred_source: Option<IpAddr>,
    /// Lower wins. IPv6 makes 0 into 1024.
    pub metric: Option<u32>,
    /// Routing table.
    pub table: u32,
    /// How far away the destination is. IPv4 only.
    pub scope: Scope,
    /// What happens to the packet.
    pub kind: RouteType,
    /// Who made the route; [`crate::PROTOCOL`] is us.
    pub protocol: u8,
    /// MTU of the path.
    pub mtu: Option<u32>,
    /// `RTM_F_…` and `RTNH_F_…` flags (answers only).
    pub flags: u32,
}

impl Route {
    /// A unicast route of ours in the main table with one way out: scope `link` for IPv4 without gateway, as
    /// `ip route` does it, otherwise global.
    pub fn new(destination: Prefix, hop: NextHop) -> Self {
        let direct = hop.gateway.is_none() && destination.family() == Family::V4;
        Self {
            destination,
            source: None,
            next_hops: vec![hop],
            preferred_source: None,
            metric: None,
            table: TABLE_MAIN,
            scope: if direct { Scope::Link } else { Scope::Universe },
            kind: RouteType::Unicast,
            protocol: crate::PROTOCOL,
            mtu: None,
            flags: 0,
        }
    }

    /// `destination` through `gateway`, on whichever link reaches it.
    pub fn via(destination: Prefix, gateway: IpAddr) -> Self {
        Self::new(destination, NextHop { gateway: Some(gateway), ..NextHop::default() })
    }

    /// `destination` directly on `link`.
    pub fn on(destination: Prefix, link: LinkIndex) -> Self {
        Self::new(destination, NextHop { link: Some(link), ..NextHop::default() })
    }

    /// A route that drops: `kind` is blackhole, unreachable, prohibit or throw.
    pub fn refusing(destination: Prefix, kind: RouteType) -> Self {
        Self {
            next_hops: Vec::new(),
            kind,
            scope: Scope::Universe,
            ..Self::new(destination, NextHop::default())
        }
    }

    /// Appends the request to add it: `EEXIST` where there is one to the same destination with the same metric and
    /// table.
    pub fn encode_add(&self, batch: &mut Batch) {
        batch.message(RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, |body| self.encode(body));
    }

    /// Appends the request to add it, or to put it in the place of one with the same destination, metric and table.
    pub fn encode_replace(&self, batch: &mut Batch) {
        batch.message(RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, |body| self.encode(body));
    }

    /// Appends the request to add it after others like it.
    pub fn encode_append(&self, batch: &mut Batch) {
        batch.message(RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_APPEND, |body| self.encode(body));
    }

    /// Appends the request to delete the first route that has all that this one says: `ESRCH` where there is none.
    pub fn encode_delete(&self, batch: &mut Batch) {
        batch.message(RTM_DELROUTE, NLM_F_ACK, |body| self.encode(body));
    }

    fn encode(&self, body: &mut Body<'_>) {
        let hop_flags = match self.next_hops.as_slice() {
            [only] if only.onlink => RTNH_F_ONLINK,
            _ => 0,
        };
        let mut header = [0; HEADER_LEN];
        header[0] = self.destination.family().number();
        header[1] = self.destination.len;
        header[2] = self.source.map_or(0, |source| source.len);
        header[4] = u8::try_from(self.table).unwrap_or(RT_TABLE_COMPAT);
        header[5] = self.protocol;
        header[6] = self.scope.number();
        header[7] = self.kind.number();
        header[8..12].copy_from_slice(&u32::from(hop_flags).to_ne_bytes());
        body.raw(&header);
        if !self.destination.is_all() {
            body.ip(RTA_DST, self.destination.address);
        }
        if let Some(source) = self.source {
            body.ip(RTA_SRC, source.address);
        }
        body.u32(RTA_TABLE, self.table);
        if let Some(metric) = self.metric {
            body.u32(RTA_PRIORITY, metric);
        }
        if let Some(address) = self.preferred_source {
            body.ip(RTA_PREFSRC, address);
        }
        if let Some(mtu) = self.mtu {
            body.nest(RTA_METRICS, |metrics| metrics.u32(RTAX_MTU, mtu));
        }
        self.encode_hops(body);
    }

    fn encode_hops(&self, body: &mut Body<'_>) {
        let family = self.destination.family();
        match self.next_hops.as_slice() {
            [] => {}
            [only] => {
                if let Some(link) = only.link {
                    body.u32(RTA_OIF, link.0);
                }
                only.encode_gateway(family, body);
            }
            several => {
                body.nest(RTA_MULTIPATH, |hops| several.iter().for_each(|hop| hop.encode(family, hops)))
            }
        }
    }

    /// Reads the payload of an `RTM_NEWROUTE` or `RTM_DELROUTE` message; `None` if it is not of IPv4 or IPv6.
    pub fn decode(payload: &[u8]) -> Option<Self> {
        let header = payload.get(..HEADER_LEN)?;
        let family = Family::from_number(header[0])?;
        let flags = u32::from_ne_bytes(header[8..12].try_into().ok()?);
        let mut route = Self {
            destination: Prefix::new(family.unspecified(), header[1]),
            source: None,
            next_hops: Vec::new(),
            preferred_source: None,
            metric: None,
            table: u32::from(header[4]),
            scope: Scope::from_number(header[6]),
            kind: RouteType::from_number(header[7]),
            protocol: header[5],
            mtu: None,
            flags,
        };
        let mut only = NextHop::with_flags(flags as u8);
        for attr in Attrs::new(&payload[HEADER_LEN..]) {
            match attr.kind {
                RTA_SRC => route.source = attr.ip().map(|address| Prefix::new(address, header[2])),
                RTA_OIF | RTA_GATEWAY | RTA_VIA => only.take(&attr),
                _ => route.take(family, &attr),
            }
        }
        if only.link.is_some() || only.gateway.is_some() {
            route.next_hops.insert(0, only);
        }
        Some(route)
    }

    fn take(&mut self, family: Family, attr: &Attr<'_>) {
        match attr.kind {
            RTA_DST => {
                if let Some(address) = attr.ip().filter(|address| Family::of(*address) == family) {
                    self.destination.address = address;
                }
            }
            RTA_TABLE => self.table = attr.u32().unwrap_or(self.table),
            RTA_PRIORITY => self.metric = attr.u32(),
            RTA_PREFSRC => self.preferred_source = attr.ip(),
            RTA_METRICS => {
                self.mtu =
                    attr.nested().find(|metric| metric.kind == RTAX_MTU).and_then(|metric| metric.u32());
            }
            RTA_MULTIPATH => self.next_hops = decode_hops(attr.value),
            _ => {}
        }
    }
}

impl NextHop {
    /// `gateway` on `link`, taken to be there though no route says so.
    pub fn onlink(gateway: IpAddr, link: LinkIndex) -> Self {
        Self { gateway: Some(gateway), link: Some(link), onlink: true, ..Self::default() }
    }

    fn with_flags(flags: u8) -> Self {
        Self {
            onlink: flags & RTNH_F_ONLINK != 0,
            dead: flags & RTNH_F_DEAD != 0,
            linkdown: flags & RTNH_F_LINKDOWN != 0,
            ..Self::default()
        }
    }

    fn encode_gateway(&self, family: Family, body: &mut Body<'_>) {
        match self.gateway {
            None => {}
            Some(gateway) if Family::of(gateway) == family => body.ip(RTA_GATEWAY, gateway),
            Some(gateway) => body.attr(RTA_VIA, &via(gateway)),
        }
    }

    /// Writes a `struct rtnexthop` with its attributes.
    fn encode(&self, family: Family, hops: &mut Body<'_>) {
        let mut attrs = Vec::new();
        self.encode_gateway(family, &mut Body::on(&mut attrs));
        let mut header = [0; NEXT_HOP_LEN];
        // The longest gateway attribute is 24 bytes.
        header[0..2].copy_from_slice(&((NEXT_HOP_LEN + attrs.len()) as u16).to_ne_bytes());
        header[2] = if self.onlink { RTNH_F_ONLINK } else { 0 };
        header[3] = u8::try_from(self.weight.unwrap_or(1).saturating_sub(1)).unwrap_or(u8::MAX);
        header[4..8].copy_from_slice(&self.link.map_or(0, |link| link.0).to_ne_bytes());
        hops.raw(&header);
        hops.raw(&attrs);
    }

    fn take(&mut self, attr: &Attr<'_>) {
        match attr.kind {
            RTA_OIF => self.link = attr.u32().map(LinkIndex).or(self.link),
            RTA_GATEWAY => self.gateway = attr.ip(),
            RTA_VIA => {
                self.gateway = attr.value.get(2..).and_then(|value| Attr { kind: RTA_VIA, value }.ip())
            }
            _ => {}
        }
    }
}

/// A `struct rtvia`: the family in host byte order, then the address.
fn via(gateway: IpAddr) -> Vec<u8> {
    let mut bytes = u16::from(Family::of(gateway).number()).to_ne_bytes().to_vec();
    match gateway {
        IpAddr::V4(v4) => bytes.extend(v4.octets()),
        IpAddr::V6(v6) => bytes.extend(v6.octets()),
    }
    bytes
}

fn decode_hops(mut rest: &[u8]) -> Vec<NextHop> {
    let mut hops = Vec::new();
    while let Some(header) = rest.get(..NEXT_HOP_LEN) {
        let len = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        let Some(attrs) = rest.get(NEXT_HOP_LEN..len) else { break };
        let mut hop = NextHop::with_flags(header[2]);
        hop.weight = Some(u16::from(header[3]) + 1);
        hop.link = Some(LinkIndex(u32::from_ne_bytes([header[4], header[5], header[6], header[7]])));
        Attrs::new(attrs).for_each(|attr| hop.take(&attr));
        hops.push(hop);
        rest = rest.get(crate::wire::align(len)..).unwrap_or(&[]);
    }
    hops
}
