//! What is looked at on the host before a plan is made.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use pontoon_kernel::execute::Refusal;
use pontoon_kernel::socket::Socket;
use pontoon_kernel::sysctl::Sysctl;
use pontoon_kernel::{address, link, route, rule};
use pontoon_model::observed::{AddressSpace, BridgeFilter, HostAddress, HostRoute, HostRule, HostSwitches};
use pontoon_netlink::address::DumpAddresses;
use pontoon_netlink::link::{DumpLinks, Ipv6Conf};
use pontoon_netlink::route::{DumpRoutes, RouteType};
use pontoon_netlink::rule::{Action, DumpRules, Rule};
use pontoon_netlink::{Family, Prefix};
use pontoon_plan::network::{IPV4_FORWARD, IPV6_FORWARD};
use pontoon_plan::resolver::ResolvConf;

use crate::{Engine, EngineError, Mode};

/// `RTPROT_RA`: made from a router advertisement. Source: include/uapi/linux/rtnetlink.h.
const PROTOCOL_RA: u8 = 9;

/// The file with the real servers behind systemd's local resolver.
pub(crate) const UPSTREAM: &str = "/run/systemd/resolve/resolv.conf";

impl Engine {
    /// The switches that networks depend on.
    ///
    /// # Errors
    ///
    /// If the kernel does not tell.
    pub(crate) fn switches(&mut self, with_ipv6: bool) -> Result<HostSwitches, EngineError> {
        let ipv6_forward = switch(IPV6_FORWARD);
        let ra_uplinks = if with_ipv6 && !ipv6_forward { self.ra_uplinks()? } else { Vec::new() };
        let table = self.has_table()?;
        let bridge_filter = match self.bridge_filter() {
            // As for the other table, which was said already.
            Err(EngineError::Refusal(Refusal::Kernel(error)))
                if error.is_denied() && self.mode == Mode::DryRun =>
            {
                BridgeFilter::Missing
            }
            found => found?,
        };
        Ok(HostSwitches {
            ipv4_forward: switch(IPV4_FORWARD),
            ipv6_forward,
            ra_uplinks,
            table,
            bridge_filter,
            bridge_calls_ip6tables: bridge_calls_ip6tables(),
        })
    }

    /// Whether our table of rules is there.
    ///
    /// # Errors
    ///
    /// If the kernel does not tell.
    pub(crate) fn has_table(&mut self) -> Result<bool, EngineError> {
        let table = self.instance().table();
        match self.executor.has_table(&table) {
            // Rules may be read by the privileged alone. A plan to look at need not fail for that.
            Err(Refusal::Kernel(error)) if error.is_denied() && self.mode == Mode::DryRun => {
                self.warn("the host's rules may not be read without CAP_NET_ADMIN: taken to be none of ours");
                Ok(false)
            }
            found => Ok(found?),
        }
    }

    pub(crate) fn ra_uplinks(&mut self) -> Result<Vec<String>, EngineError> {
        let filter = DumpRoutes { protocol: Some(PROTOCOL_RA), ..DumpRoutes::default() };
        let mut names = Vec::new();
        for hop in route::list(self.executor.host(), &filter)?
            .into_iter()
            .filter(|route| route.destination.is_all())
            .flat_map(|route| route.next_hops)
        {
            let Some(found) =
                hop.link.map(|index| link::get(self.executor.host(), index)).transpose()?.flatten()
            else {
                continue;
            };
            if found.ipv6_conf(Ipv6Conf::AcceptRa) == Some(1) && !names.contains(&found.name) {
                names.push(found.name);
            }
        }
        Ok(names)
    }

    /// Everything on the host that a new subnet may collide with: routes of all tables, addresses, name servers.
    ///
    /// # Errors
    ///
    /// If the kernel does not tell.
    pub(crate) fn address_space(&mut self) -> Result<AddressSpace, EngineError> {
        address_space(self.executor.host())
    }
}

/// As [`Engine::address_space`], for those who have a socket and no engine.
pub(crate) fn address_space(socket: &mut Socket) -> Result<AddressSpace, EngineError> {
    let routes = route::list(socket, &DumpRoutes::default())?;
    let addresses = address::list(socket, &DumpAddresses::default())?;
    let links: BTreeMap<_, String> =
        link::list(socket, &DumpLinks::default())?.into_iter().map(|link| (link.index, link.name)).collect();
    let name = |index| links.get(&index).cloned().unwrap_or_else(|| "?".to_owned());
    let routes = routes
        .into_iter()
        .filter(|route| matters(route.kind) && !route.destination.is_all())
        .filter_map(|route| {
            let dev = route.next_hops.first().and_then(|hop| hop.link).map_or_else(|| "-".to_owned(), name);
            Some(HostRoute { destination: net(route.destination)?, dev, table: route.table })
        })
        .collect();
    let addresses = addresses
        .into_iter()
        .filter_map(|address| Some(HostAddress { address: net(address.local)?, dev: name(address.link) }))
        .collect();
    Ok(AddressSpace { routes, addresses, nameservers: nameservers() })
}

/// The rules that have a table asked, of both families.
///
/// # Errors
///
/// If the kernel does not tell.
pub(crate) fn rules(socket: &mut Socket) -> Result<Vec<HostRule>, EngineError> {
    let asks = |rule: Rule| {
        let Action::Table(table) = rule.action else { return None };
        let conditions =
            rule.from.is_some() || rule.iif.is_some() || rule.oif.is_some() || rule.mark.is_some();
        Some(HostRule {
            v4: rule.family == Family::V4,
            priority: rule.priority.unwrap_or(0),
            table,
            to: rule.to.filter(|_| !rule.invert).and_then(net),
            conditional: conditions || rule.invert || rule.suppress_group.is_some(),
            suppressed: rule.suppress_prefix_len,
        })
    };
    Ok(rule::list(socket, &DumpRules::default())?.into_iter().filter_map(asks).collect())
}

/// The interfaces with a default route.
///
/// # Errors
///
/// If the kernel does not tell.
pub(crate) fn uplinks(socket: &mut Socket) -> Result<Vec<String>, EngineError> {
    let routes = route::list(socket, &DumpRoutes::default())?;
    let default = routes.into_iter().filter(|route| route.destination.is_all());
    let indexes: BTreeSet<_> = default.flat_map(|route| route.next_hops).filter_map(|hop| hop.link).collect();
    let mut names = Vec::new();
    for index in indexes {
        // The kernel has one that leads nowhere, by the loopback interface.
        names.extend(link::get(socket, index)?.map(|link| link.name).filter(|name| name != "lo"));
    }
    Ok(names)
}

/// Local, broadcast and multicast routes repeat what addresses say; one that throws leads nowhere.
fn matters(kind: RouteType) -> bool {
    use RouteType::{Anycast, Broadcast, Local, Multicast, Throw};
    !matches!(kind, Local | Broadcast | Anycast | Multicast | Throw)
}

fn net(prefix: Prefix) -> Option<IpNet> {
    IpNet::new(prefix.address, prefix.len).ok()
}

/// Whether bridged frames meet the host's rules for IPv6; not without `br_netfilter`.
pub(crate) fn bridge_calls_ip6tables() -> bool {
    switch("net/bridge/bridge-nf-call-ip6tables")
}

pub(crate) fn switch(key: &str) -> bool {
    let read = key.parse::<Sysctl>().and_then(|key| key.read());
    read.is_ok_and(|value| value.trim() == "1")
}

/// The servers that the host asks, and those behind its own resolver.
fn nameservers() -> Vec<IpAddr> {
    let (host, upstream) = resolv_confs();
    let mut servers = host.nameservers;
    servers.extend(upstream.into_iter().flat_map(|conf| conf.nameservers));
    servers.retain(|server| !server.is_loopback());
    servers
}

/// The host's resolv.conf, and the one with the real servers where there is one.
pub(crate) fn resolv_confs() -> (ResolvConf, Option<ResolvConf>) {
    let read = |path| std::fs::read_to_string(path).ok().map(|text| ResolvConf::parse(&text));
    (read("/etc/resolv.conf").unwrap_or_default(), read(UPSTREAM))
}
