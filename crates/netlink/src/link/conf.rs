//! Per-interface IPv4 and IPv6 settings: the sysctls of `net.ipv4.conf.IF` and `net.ipv6.conf.IF`, without the files.

/// A setting of `net.ipv4.conf.IF` that a link request can set and a link answer has.
///
/// Source: `IPV4_DEVCONF_…` in the kernel's `include/uapi/linux/ip.h`; Documentation/networking/ip-sysctl.rst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
#[expect(missing_docs, reason = "each is the sysctl of that name")]
pub enum Ipv4Conf {
    Forwarding = 1,
    McForwarding = 2,
    ProxyArp = 3,
    AcceptRedirects = 4,
    SecureRedirects = 5,
    SendRedirects = 6,
    SharedMedia = 7,
    RpFilter = 8,
    AcceptSourceRoute = 9,
    LogMartians = 11,
    ArpFilter = 13,
    ArpAnnounce = 18,
    ArpIgnore = 19,
    PromoteSecondaries = 20,
    ArpAccept = 21,
    ArpNotify = 22,
    AcceptLocal = 23,
    SrcValidMark = 24,
    ProxyArpPvlan = 25,
    RouteLocalnet = 26,
    IgnoreRoutesWithLinkdown = 29,
    DropUnicastInL2Multicast = 30,
    DropGratuitousArp = 31,
    BcForwarding = 32,
    ArpEvictNocarrier = 33,
}

/// A setting of `net.ipv6.conf.IF` that a link answer has. The kernel takes them by sysctl only.
///
/// Source: `DEVCONF_…` in the kernel's `include/uapi/linux/ipv6.h`; Documentation/networking/ip-sysctl.rst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
#[expect(missing_docs, reason = "each is the sysctl of that name")]
pub enum Ipv6Conf {
    Forwarding = 0,
    HopLimit = 1,
    Mtu = 2,
    AcceptRa = 3,
    AcceptRedirects = 4,
    Autoconf = 5,
    DadTransmits = 6,
    UseTempaddr = 10,
    ProxyNdp = 22,
    OptimisticDad = 23,
    DisableIpv6 = 26,
    AcceptDad = 27,
    NdiscNotify = 29,
    KeepAddrOnDown = 42,
    AddrGenMode = 47,
}

/// How an interface makes its own IPv6 link-local address when it comes up.
///
/// Source: `enum in6_addr_gen_mode` in the kernel's `if_link.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AddrGenMode {
    /// From the hardware address.
    Eui64,
    /// None, and so no IPv6 multicast when it comes up either.
    None,
    /// From a secret that the administrator gave.
    StablePrivacy,
    /// From a random secret.
    Random,
    /// A value that this version does not know.
    Unknown(u8),
}

impl AddrGenMode {
    pub(super) fn from_number(number: u8) -> Self {
        match number {
            0 => Self::Eui64,
            1 => Self::None,
            2 => Self::StablePrivacy,
            3 => Self::Random,
            other => Self::Unknown(other),
        }
    }

    pub(super) fn number(self) -> u8 {
        match self {
            Self::Eui64 => 0,
            Self::None => 1,
            Self::StablePrivacy => 2,
            Self::Random => 3,
            Self::Unknown(number) => number,
        }
    }
}
