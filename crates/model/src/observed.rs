//! What was seen of the host before a plan was made: only what the plan depends on.

pub mod snapshot;

use std::net::IpAddr;

use ipnet::IpNet;

/// A route of the host's, of any table.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct HostRoute {
    /// Where to.
    pub destination: IpNet,
    /// Through which interface.
    pub dev: String,
    /// Routing table number.
    pub table: u32,
}

/// An address of the host's.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct HostAddress {
    /// The address with its prefix length.
    pub address: IpNet,
    /// On which interface.
    pub dev: String,
}

/// A policy-routing rule of the host's: which table is asked, and for which packets.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct HostRule {
    /// Whether it is for IPv4.
    pub v4: bool,
    /// Rules are asked in ascending order.
    pub priority: u32,
    /// The table that is asked.
    pub table: u32,
    /// For packets to these addresses alone.
    pub to: Option<IpNet>,
    /// Whether it is for some packets alone, by what they are besides: their source, mark or interface.
    pub conditional: bool,
    /// Routes with a prefix of this length or less do not count.
    pub suppressed: Option<u32>,
}

/// Everything that a new subnet may collide with on the host.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct AddressSpace {
    /// Routes of all tables, without default routes.
    pub routes: Vec<HostRoute>,
    /// Addresses of all interfaces.
    pub addresses: Vec<HostAddress>,
    /// Name servers that the host asks.
    pub nameservers: Vec<IpAddr>,
}

/// Whether what comes into bridges can be filtered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BridgeFilter {
    /// Our table for it is there.
    Made,
    /// The table can be made.
    #[default]
    Missing,
    /// The kernel has no nftables for bridges (`CONFIG_NF_TABLES_BRIDGE`).
    Impossible,
}

/// Which switches of the host a network depends on, as they are.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct HostSwitches {
    /// `net.ipv4.ip_forward`.
    pub ipv4_forward: bool,
    /// `net.ipv6.conf.all.forwarding`.
    pub ipv6_forward: bool,
    /// Interfaces whose default route comes from router advertisements, and `accept_ra` is 1: once the host
    /// forwards, the kernel ignores advertisements there unless it is 2.
    pub ra_uplinks: Vec<String>,
    /// Whether our nftables table is there.
    pub table: bool,
    /// `net.bridge.bridge-nf-call-ip6tables`: bridged frames meet the rules for IPv6, and answers for ::1 are lost.
    pub bridge_calls_ip6tables: bool,
    /// Whether the one is that keeps containers from spoofing.
    #[serde(default)]
    pub bridge_filter: BridgeFilter,
}
