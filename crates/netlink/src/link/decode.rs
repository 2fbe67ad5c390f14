//! What the kernel says about a link.

use super::set::{IFLA_INET_CONF, IFLA_INET6_ADDR_GEN_MODE, IFLA_INET6_CONF};
use super::{
    AddrGenMode, BridgeOptions, HEADER_LEN, HwAddr, IFF_LOWER_UP, IFF_RUNNING, IFF_UP, IFLA_ADDRESS,
    IFLA_AF_SPEC, IFLA_ALT_IFNAME, IFLA_CARRIER, IFLA_GROUP, IFLA_IFALIAS, IFLA_IFNAME, IFLA_INFO_DATA,
    IFLA_INFO_KIND, IFLA_INFO_SLAVE_DATA, IFLA_INFO_SLAVE_KIND, IFLA_LINK, IFLA_LINK_NETNSID, IFLA_LINKINFO,
    IFLA_MASTER, IFLA_MTU, IFLA_NUM_RX_QUEUES, IFLA_NUM_TX_QUEUES, IFLA_OPERSTATE, IFLA_PROP_LIST, Ipv4Conf,
    Ipv6Conf, LinkIndex, PortOptions,
};
use crate::ip::{AF_INET, AF_INET6};
use crate::wire::{Attr, Attrs};

/// A link as the kernel described it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Link {
    /// Index in its namespace.
    pub index: LinkIndex,
    /// Name.
    pub name: String,
    /// `IFF_…` flags of netdevice(7).
    pub flags: u32,
    /// The kernel's name of the kind (`veth`, `bridge`); `None` for hardware and `lo`.
    pub kind: Option<String>,
    /// Largest packet in bytes.
    pub mtu: u32,
    /// Hardware address, where it has one of six bytes.
    pub mac: Option<HwAddr>,
    /// The bridge that it is a port of.
    pub master: Option<LinkIndex>,
    /// The peer of a veth, or the parent of a macvlan, ipvlan or vlan: an index in `link_netnsid`'s namespace.
    pub link: Option<LinkIndex>,
    /// The id, in this namespace, of the namespace that `link` is in; `None`: this one.
    pub link_netnsid: Option<i32>,
    /// Alias.
    pub alias: Option<String>,
    /// Alternative names.
    pub alt_names: Vec<String>,
    /// Operational state.
    pub operstate: OperState,
    /// Whether there is carrier, which a link that is down does not tell.
    pub carrier: Option<bool>,
    /// Link group.
    pub group: u32,
    /// Transmit queues.
    pub tx_queues: u32,
    /// Receive queues.
    pub rx_queues: u32,
    /// How it makes its IPv6 link-local address; `None` without IPv6.
    pub addr_gen_mode: Option<AddrGenMode>,
    /// Options, where it is a bridge.
    pub bridge: Option<BridgeOptions>,
    /// Options, where it is a bridge's port.
    pub port: Option<PortOptions>,
    ipv4_conf: Vec<u32>,
    ipv6_conf: Vec<u32>,
}

/// Operational state of RFC 2863, as `IFLA_OPERSTATE` has it (Documentation/networking/operstates.rst).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OperState {
    /// The driver does not tell: works where the link is up.
    #[default]
    Unknown,
    /// Some part is missing.
    NotPresent,
    /// No carrier, or set down.
    Down,
    /// The link below is down.
    LowerLayerDown,
    /// In a test mode.
    Testing,
    /// Carrier, but something must be agreed first.
    Dormant,
    /// Can carry packets.
    Up,
}

impl OperState {
    fn from_number(number: u8) -> Self {
        match number {
            1 => Self::NotPresent,
            2 => Self::Down,
            3 => Self::LowerLayerDown,
            4 => Self::Testing,
            5 => Self::Dormant,
            6 => Self::Up,
            _ => Self::Unknown,
        }
    }
}

impl Link {
    /// Reads the payload of an `RTM_NEWLINK` or `RTM_DELLINK` message; `None` if it is too short for one.
    pub fn decode(payload: &[u8]) -> Option<Self> {
        let header = payload.get(..HEADER_LEN)?;
        let mut link = Self {
            index: LinkIndex(u32::from_ne_bytes(header[4..8].try_into().ok()?)),
            flags: u32::from_ne_bytes(header[8..12].try_into().ok()?),
            ..Self::default()
        };
        for attr in Attrs::new(&payload[HEADER_LEN..]) {
            link.take(&attr);
        }
        Some(link)
    }

    fn take(&mut self, attr: &Attr<'_>) {
        match attr.kind {
            IFLA_IFNAME => self.name = text(attr).unwrap_or_default(),
            IFLA_ADDRESS => self.mac = HwAddr::decode(attr.value),
            IFLA_MTU => self.mtu = attr.u32().unwrap_or_default(),
            IFLA_LINK => self.link = attr.u32().filter(|index| *index != 0).map(LinkIndex),
            IFLA_LINK_NETNSID => self.link_netnsid = attr.u32().map(u32::cast_signed),
            IFLA_MASTER => self.master = attr.u32().map(LinkIndex),
            IFLA_IFALIAS => self.alias = text(attr),
            IFLA_PROP_LIST => {
                let names = attr.nested().filter(|prop| prop.kind == IFLA_ALT_IFNAME);
                self.alt_names = names.filter_map(|prop| text(&prop)).collect();
            }
            IFLA_OPERSTATE => self.operstate = OperState::from_number(attr.u8().unwrap_or_default()),
            IFLA_CARRIER => self.carrier = attr.u8().map(|value| value != 0),
            IFLA_GROUP => self.group = attr.u32().unwrap_or_default(),
            IFLA_NUM_TX_QUEUES => self.tx_queues = attr.u32().unwrap_or_default(),
            IFLA_NUM_RX_QUEUES => self.rx_queues = attr.u32().unwrap_or_default(),
            IFLA_LINKINFO => self.take_info(attr),
            IFLA_AF_SPEC => self.take_af_spec(attr),
            _ => {}
        }
    }

    fn take_info(&mut self, info: &Attr<'_>) {
        let find = |kind| info.nested().find(|attr| attr.kind == kind);
        self.kind = find(IFLA_INFO_KIND).and_then(|attr| text(&attr));
        if self.kind.as_deref() == Some("bridge") {
            self.bridge = find(IFLA_INFO_DATA).map(|data| BridgeOptions::decode(data.nested()));
        }
        if find(IFLA_INFO_SLAVE_KIND).and_then(|attr| attr.str()) == Some("bridge") {
            self.port = find(IFLA_INFO_SLAVE_DATA).map(|data| PortOptions::decode(data.nested()));
        }
    }

    fn take_af_spec(&mut self, families: &Attr<'_>) {
        for family in families.nested() {
            for attr in family.nested() {
                match (u8::try_from(family.kind), attr.kind) {
                    (Ok(AF_INET), IFLA_INET_CONF) => self.ipv4_conf = words(attr.value),
                    (Ok(AF_INET6), IFLA_INET6_CONF) => self.ipv6_conf = words(attr.value),
                    (Ok(AF_INET6), IFLA_INET6_ADDR_GEN_MODE) => {
                        self.addr_gen_mode = attr.u8().map(AddrGenMode::from_number);
                    }
                    _ => {}
                }
            }
        }
    }

    /// Whether it is set up.
    pub fn is_up(&self) -> bool {
        self.flags & IFF_UP != 0
    }

    /// Whether a packet would pass now: up, with carrier, and operational.
    pub fn is_running(&self) -> bool {
        let needed = IFF_UP | IFF_RUNNING | IFF_LOWER_UP;
        self.flags & needed == needed
    }

    /// A setting of `net.ipv4.conf`; `None` if the kernel does not have it.
    pub fn ipv4_conf(&self, id: Ipv4Conf) -> Option<u32> {
        self.ipv4_conf.get(usize::from(id as u16).checked_sub(1)?).copied()
    }

    /// A setting of `net.ipv6.conf`; `None` if the kernel does not have it, or no IPv6.
    pub fn ipv6_conf(&self, id: Ipv6Conf) -> Option<i32> {
        self.ipv6_conf.get(usize::from(id as u16)).map(|value| value.cast_signed())
    }
}

fn text(attr: &Attr<'_>) -> Option<String> {
    attr.str().filter(|text| !text.is_empty()).map(str::to_owned)
}

fn words(value: &[u8]) -> Vec<u32> {
    value.chunks_exact(4).map(|word| u32::from_ne_bytes([word[0], word[1], word[2], word[3]])).collect()
}
