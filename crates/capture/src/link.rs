//! What a captured packet begins with.

/// The kind of an interface, by what its packets begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Link {
    /// An Ethernet header: veth, bridges, network cards, and loopback.
    Ethernet,
    /// That of IPv4 or IPv6: tunnels.
    Raw,
}

impl Link {
    /// That of an interface whose hardware is of the type `hardware`; none where packets begin in another way.
    ///
    /// Source: `ARPHRD_…` in include/uapi/linux/if_arp.h; `map_arphrd_to_dlt()` in libpcap's pcap-linux.c.
    pub fn of_hardware(hardware: u16) -> Option<Self> {
        const ETHER: u16 = 1;
        const RAWIP: u16 = 519;
        const TUNNEL: u16 = 768;
        const TUNNEL6: u16 = 769;
        const LOOPBACK: u16 = 772;
        const SIT: u16 = 776;
        const NONE: u16 = 0xfffe;
        match hardware {
            ETHER | LOOPBACK => Some(Self::Ethernet),
            RAWIP | TUNNEL | TUNNEL6 | SIT | NONE => Some(Self::Raw),
            _ => None,
        }
    }

    /// Its number in files. Source: <https://www.tcpdump.org/linktypes.html>.
    pub fn number(self) -> u16 {
        match self {
            Self::Ethernet => 1,
            Self::Raw => 101,
        }
    }

    /// Where the header of IP begins.
    pub(crate) fn header(self) -> u32 {
        match self {
            Self::Ethernet => 14,
            Self::Raw => 0,
        }
    }
}
