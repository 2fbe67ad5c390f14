//! Interface addresses.
//!
//! Source: `include/uapi/linux/if_addr.h`, `net/ipv4/devinet.c`, `net/ipv6/addrconf.c`; rtnetlink(7).

use std::net::{IpAddr, Ipv4Addr};

use crate::ip::AF_UNSPEC;
use crate::link::LinkIndex;
use crate::wire::{Attrs, Batch, Body, NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REPLACE};
use crate::{Family, Prefix};

/// `RTM_NEWADDR`.
pub const RTM_NEWADDR: u16 = 20;
/// `RTM_DELADDR`.
pub const RTM_DELADDR: u16 = 21;
/// `RTM_GETADDR`.
pub const RTM_GETADDR: u16 = 22;

/// `IFA_F_NODAD`: no duplicate address detection, so that an IPv6 address works at once.
pub const IFA_F_NODAD: u32 = 0x02;
/// `IFA_F_DADFAILED`: another host has the address.
pub const IFA_F_DADFAILED: u32 = 0x08;
/// `IFA_F_DEPRECATED`: its preferred lifetime is over.
pub const IFA_F_DEPRECATED: u32 = 0x20;
/// `IFA_F_TENTATIVE`: duplicate address detection is not over.
pub const IFA_F_TENTATIVE: u32 = 0x40;
/// `IFA_F_PERMANENT`: no lifetime.
pub const IFA_F_PERMANENT: u32 = 0x80;
/// `IFA_F_NOPREFIXROUTE`: no route to the prefix comes with the address.
pub const IFA_F_NOPREFIXROUTE: u32 = 0x200;

/// A lifetime without end, in [`Lifetime`].
pub const FOREVER: u32 = u32::MAX;

const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_LABEL: u16 = 3;
const IFA_BROADCAST: u16 = 4;
const IFA_CACHEINFO: u16 = 6;
const IFA_FLAGS: u16 = 8;
const IFA_PROTO: u16 = 11;

const HEADER_LEN: usize = 8;

/// How far an address or route reaches: `RT_SCOPE_…` of `rtnetlink.h`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Anywhere.
    #[default]
    Universe,
    /// In this site.
    Site,
    /// On this link.
    Link,
    /// In this host.
    Host,
    /// Nowhere.
    Nowhere,
    /// A number without a name.
    Other(u8),
}

impl Scope {
    /// The scope whose kernel number is `number`.
    pub fn from_number(number: u8) -> Self {
        match number {
            0 => Self::Universe,
            200 => Self::Site,
            253 => Self::Link,
            254 => Self::Host,
            255 => Self::Nowhere,
            other => Self::Other(other),
        }
    }

    /// The kernel's number.
    pub fn number(self) -> u8 {
        match self {
            Self::Universe => 0,
            Self::Site => 200,
            Self::Link => 253,
            Self::Host => 254,
            Self::Nowhere => 255,
            Self::Other(other) => other,
        }
    }
}

/// How long an address lasts, in seconds; [`FOREVER`] is without end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime {
    /// For how long new connections may use it.
    pub preferred: u32,
    /// For how long it stays.
    pub valid: u32,
}

/// An address on a link: to add, replace or delete, and as the kernel tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The link.
    pub link: LinkIndex,
    /// The link's own address and the prefix length (`IFA_LOCAL`).
    pub local: Prefix,
    /// The other end's address, on a point-to-point link.
    pub peer: Option<IpAddr>,
    /// IPv4 broadcast address; none where it is not given.
    pub broadcast: Option<Ipv4Addr>,
    /// IPv4 label (`eth0:1`); the kernel puts the link's name where it is not given.
    pub label: Option<String>,
    /// How far it reaches. IPv6 has it from the address.
    pub scope: Scope,
    /// `IFA_F_…` flags.
    pub flags: u32,
    /// How long it lasts; `None` in a request is forever.
    pub lifetime: Option<Lifetime>,
    /// Who made it (`IFA_PROTO`, from Linux 5.18); [`crate::PROTOCOL`] is us.
    pub protocol: Option<u8>,
}

impl Address {
    /// `local` on `link`, forever, without broadcast address; IPv6 without duplicate address detection.
    pub fn new(link: LinkIndex, local: Prefix) -> Self {
        let flags = if local.family() == Family::V6 { IFA_F_NODAD } else { 0 };
        Self {
            link,
            local,
            peer: None,
            broadcast: None,
            label: None,
            scope: Scope::Universe,
            flags,
            lifetime: None,
            protocol: None,
        }
    }

    /// Appends the request to add it: `EEXIST` where the link has it.
    pub fn encode_add(&self, batch: &mut Batch) {
        batch.message(RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, |body| self.encode(body));
    }

    /// Appends the request to add it, or to change its flags and lifetime where the link has it.
    pub fn encode_replace(&self, batch: &mut Batch) {
        batch.message(RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, |body| self.encode(body));
    }

    /// Appends the request to delete it: `EADDRNOTAVAIL` where the link does not have it.
    ///
    /// The kernel looks at link, address, prefix length and label. The last IPv4 address of a subnet takes its
    /// secondary ones along, unless `promote_secondaries` is set.
    pub fn encode_delete(&self, batch: &mut Batch) {
        batch.message(RTM_DELADDR, NLM_F_ACK, |body| {
            self.encode_header(body, 0);
            body.ip(IFA_LOCAL, self.local.address);
            body.ip(IFA_ADDRESS, self.peer.unwrap_or(self.local.address));
            if let Some(label) = &self.label {
                body.str(IFA_LABEL, label);
            }
        });
    }

    fn encode_header(&self, body: &mut Body<'_>, flags: u8) {
        let mut header = [0; HEADER_LEN];
        header[0] = self.local.family().number();
        header[1] = self.local.len;
        header[2] = flags;
        header[3] = self.scope.number();
        header[4..8].copy_from_slice(&self.link.0.to_ne_bytes());
        body.raw(&header);
    }

    fn encode(&self, body: &mut Body<'_>) {
        // The header has room for the low eight flags only; `IFA_FLAGS` has them all and counts.
        self.encode_header(body, self.flags as u8);
        body.ip(IFA_LOCAL, self.local.address);
        body.ip(IFA_ADDRESS, self.peer.unwrap_or(self.local.address));
        if let Some(broadcast) = self.broadcast {
            body.ip(IFA_BROADCAST, broadcast.into());
        }
        if let Some(label) = &self.label {
            body.str(IFA_LABEL, label);
        }
        if self.flags != 0 {
            body.u32(IFA_FLAGS, self.flags);
        }
        if let Some(protocol) = self.protocol {
            body.u8(IFA_PROTO, protocol);
        }
        if let Some(lifetime) = self.lifetime {
            let mut info = [0; 16];
            info[0..4].copy_from_slice(&lifetime.preferred.to_ne_bytes());
            info[4..8].copy_from_slice(&lifetime.valid.to_ne_bytes());
            body.attr(IFA_CACHEINFO, &info);
        }
    }

    /// Reads the payload of an `RTM_NEWADDR` or `RTM_DELADDR` message; `None` if it has no address of IPv4 or IPv6.
    pub fn decode(payload: &[u8]) -> Option<Self> {
        let header = payload.get(..HEADER_LEN)?;
        let family = Family::from_number(header[0])?;
        let (mut local, mut far) = (None, None);
        let link = LinkIndex(u32::from_ne_bytes(header[4..8].try_into().ok()?));
        let mut address = Self::new(link, Prefix::new(family.unspecified(), header[1]));
        address.flags = u32::from(header[2]);
        address.scope = Scope::from_number(header[3]);
        for attr in Attrs::new(&payload[HEADER_LEN..]) {
            match attr.kind {
                IFA_LOCAL => local = attr.ip(),
                IFA_ADDRESS => far = attr.ip(),
                IFA_BROADCAST => address.broadcast = <[u8; 4]>::try_from(attr.value).ok().map(Ipv4Addr::from),
                IFA_LABEL => address.label = attr.str().map(str::to_owned),
                IFA_FLAGS => address.flags = attr.u32().unwrap_or(address.flags),
                IFA_PROTO => address.protocol = attr.u8(),
                IFA_CACHEINFO => address.lifetime = decode_lifetime(attr.value),
                _ => {}
            }
        }
        // IPv6 gives `IFA_LOCAL` on point-to-point links only.
        let own = local.or(far).filter(|own| Family::of(*own) == family)?;
        address.local.address = own;
        address.peer = far.filter(|far| *far != own);
        Some(address)
    }
}

fn decode_lifetime(info: &[u8]) -> Option<Lifetime> {
    let preferred = u32::from_ne_bytes(info.get(0..4)?.try_into().ok()?);
    let valid = u32::from_ne_bytes(info.get(4..8)?.try_into().ok()?);
    Some(Lifetime { preferred, valid })
}

/// A request for all addresses, or those of a family or link.
///
/// The kernel filters by link only on a socket with `NETLINK_GET_STRICT_CHK`.
#[derive(Debug, Clone, Copy, Default)]
pub struct DumpAddresses {
    /// Only this family.
    pub family: Option<Family>,
    /// Only this link's; `ENODEV` where there is none.
    pub link: Option<LinkIndex>,
}

impl DumpAddresses {
    /// Appends the request.
    pub fn encode(&self, batch: &mut Batch) {
        batch.message(RTM_GETADDR, NLM_F_DUMP, |body| {
            let mut header = [0; HEADER_LEN];
            header[0] = self.family.map_or(AF_UNSPEC, Family::number);
            header[4..8].copy_from_slice(&self.link.map_or(0, |link| link.0).to_ne_bytes());
            body.raw(&header);
        });
    }
}
