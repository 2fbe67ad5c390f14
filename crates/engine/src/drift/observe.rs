//! Looking at the host, as much as there is reason to.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use pontoon_kernel::execute::Refusal;
use pontoon_kernel::sysctl::Sysctl;
use pontoon_kernel::{address, link, route};
use pontoon_model::IfName;
use pontoon_model::network::NAMES;
use pontoon_model::observed::BridgeFilter;
use pontoon_model::op::{DevConf, Netns};
use pontoon_netlink::address::DumpAddresses;
use pontoon_netlink::link::{AddrGenMode, DumpLinks, Ipv4Conf, Link, LinkIndex, PortOptions};
use pontoon_netlink::route::{DumpRoutes, Route, RouteType, TABLE_LOCAL, TABLE_MAIN};
use pontoon_netlink::{Family, Prefix};
use pontoon_plan::drift::{
    Observed, SeenImpairment, SeenLink, SeenPort, SeenRoutes, SeenRules, SeenWays, Wanted,
};

use super::records::Records;
use super::{Links, Scope, Whose};
use crate::{Engine, EngineError, Mode};

impl Engine {
    /// Looks at what `scope` says, of what should be there.
    pub(super) fn see(
        &mut self,
        scope: &Scope,
        records: &Records,
        wanted: &Wanted<'_>,
    ) -> Result<Observed, EngineError> {
        let mut seen = Observed::default();
        if scope.rules && !records.networks.is_empty() {
            seen.rules = self.see_rules()?;
        }
        if scope.switches {
            for key in wanted.switch_keys() {
                // One of an interface that is gone is not there.
                let value = key.parse::<Sysctl>().and_then(|key| key.read());
                seen.switches.extend(value.ok().map(|value| (key.to_owned(), value.trim().to_owned())));
            }
        }
        match &scope.links {
            Links::None => {}
            Links::All => self.see_all_links(scope, wanted, &mut seen)?,
            Links::Of(some) => self.see_some_links(scope, some, wanted, &mut seen)?,
        }
        self.see_impairments(wanted, &mut seen)?;
        Ok(seen)
    }

    /// What impairs the links that were looked at, where something should.
    fn see_impairments(&mut self, wanted: &Wanted<'_>, seen: &mut Observed) -> Result<(), EngineError> {
        for (place, found) in &mut seen.links {
            let Some(found) = found.as_mut().filter(|_| wanted.impairments(place).next().is_some()) else {
                continue;
            };
            found.impaired = match self.see_impairment(&place.0, &place.1) {
                Ok(impaired) => Some(impaired),
                // It went in this moment, or its reader may not look.
                Err(Refusal::Gone(_) | Refusal::NoLink(_)) => None,
                Err(_) if self.mode == Mode::DryRun => None,
                Err(error) => return Err(error.into()),
            };
            self.leave(Some(&place.0));
        }
        Ok(())
    }

    fn see_impairment(&mut self, netns: &Netns, link: &IfName) -> Result<SeenImpairment, Refusal> {
        let table = pontoon_plan::impair::table(self.instance(), link);
        let root = self.executor.qdisc(netns, link)?.map(|found| found.handle.0);
        Ok(SeenImpairment { root, table: self.executor.has_table_in(netns, &table)? })
    }

    fn see_rules(&mut self) -> Result<Option<SeenRules>, EngineError> {
        let (table, guard) = (self.instance().table(), self.instance().guard_table());
        let table = match self.executor.table(&table) {
            // A plan to look at need not fail for what its reader may not see.
            Err(Refusal::Kernel(error)) if error.is_denied() && self.mode == Mode::DryRun => {
                self.warn(
                    "the host's rules may not be read without CAP_NET_ADMIN: taken to be as they should",
                );
                return Ok(None);
            }
            found => found?,
        };
        let guard = self.executor.table(&guard)?;
        let bridge_filter = match guard {
            Some(_) => BridgeFilter::Made,
            None => self.bridge_filter()?,
        };
        Ok(Some(SeenRules { table, guard, bridge_filter }))
    }

    /// One list of each kind, however many links there are.
    fn see_all_links(
        &mut self,
        scope: &Scope,
        wanted: &Wanted<'_>,
        seen: &mut Observed,
    ) -> Result<(), EngineError> {
        let socket = self.executor.host();
        let links = link::list(socket, &DumpLinks::default())?;
        let mut addresses: BTreeMap<LinkIndex, Vec<IpNet>> = BTreeMap::new();
        for found in address::list(socket, &DumpAddresses::default())? {
            addresses.entry(found.link).or_default().extend(net(found.local));
        }
        let mut routes: BTreeMap<LinkIndex, SeenRoutes> = BTreeMap::new();
        for table in [TABLE_MAIN, TABLE_LOCAL] {
            let family = (table == TABLE_LOCAL).then_some(Family::V6);
            let filter = DumpRoutes { table: Some(table), family, ..DumpRoutes::default() };
            for found in route::list(socket, &filter)? {
                for index in found.next_hops.iter().filter_map(|hop| hop.link) {
                    note_route(&found, routes.entry(index).or_default());
                }
            }
        }
        let by_name: BTreeMap<&str, &Link> = links.iter().map(|link| (link.name.as_str(), link)).collect();
        for place in wanted.places().filter(|(netns, _)| *netns == Netns::Host) {
            let found = by_name.get(place.1.as_str()).map(|link| SeenLink {
                addresses: Some(addresses.remove(&link.index).unwrap_or_default()),
                routes: Some(routes.remove(&link.index).unwrap_or_default()),
                ..seen_link(link)
            });
            seen.links.insert(place.clone(), found);
        }
        self.see_inside(wanted, seen, |_| true, scope.inside)
    }

    /// The links of some, by name.
    fn see_some_links(
        &mut self,
        scope: &Scope,
        some: &BTreeSet<Whose>,
        wanted: &Wanted<'_>,
        seen: &mut Observed,
    ) -> Result<(), EngineError> {
        let mut ports: Vec<IfName> = Vec::new();
        let mut asked: BTreeSet<(Netns, IfName)> = BTreeSet::new();
        let mut bridges: BTreeSet<IfName> = BTreeSet::new();
        let desired = wanted.desired();
        for network in desired.networks.iter().filter(|one| some.contains(&Whose::Network(one.id.clone()))) {
            asked.insert((Netns::Host, network.bridge_name.clone()));
            for (_, segment) in desired.segments.iter().filter(|(of, _)| of.id == network.id) {
                let links = [&segment.bridge, &segment.trunk, &segment.uplink];
                asked.extend(links.map(|name| (Netns::Host, name.clone())));
            }
            let on = desired.endpoints.iter().filter(|one| one.network.id == network.id);
            ports.extend(on.map(|one| one.endpoint.host_ifname.clone()));
        }
        for one in desired.endpoints {
            if some.contains(&Whose::Endpoint(one.endpoint.id.clone())) {
                asked.insert((Netns::Host, one.endpoint.host_ifname.clone()));
                asked.insert((one.netns.clone(), one.endpoint.ifname.clone()));
                bridges.insert(
                    wanted.master_of(&one.endpoint.host_ifname).unwrap_or(&one.network.bridge_name).clone(),
                );
            }
        }
        for laid in desired.cables {
            let ends = laid.netns.iter().zip(&laid.cable.ends);
            asked.extend(ends.map(|(netns, end)| (netns.clone(), end.ifname.clone())));
        }
        for (netns, name) in asked.iter().filter(|(netns, _)| *netns == Netns::Host) {
            let found = self.see_link(netns, name, true)?;
            seen.links.insert((netns.clone(), name.clone()), found);
        }
        // Of a bridge that is gone, the ports are to be known; of a port, which one its bridge is.
        let gone = |(_, found): (&(Netns, IfName), &Option<SeenLink>)| found.is_none();
        let more = if seen.links.iter().any(gone) { ports } else { Vec::new() };
        for name in more.into_iter().chain(bridges) {
            let place = (Netns::Host, name);
            if let Entry::Vacant(vacant) = seen.links.entry(place) {
                let found = self.see_link(&Netns::Host, &vacant.key().1, false)?;
                vacant.insert(found);
            }
        }
        self.see_inside(wanted, seen, |place| asked.contains(place), scope.inside)
    }

    /// Looks at the ends inside. Of a link whose other end was in a namespace that is gone, nothing is said: the
    /// container has ended, and all that it had goes.
    fn see_inside(
        &mut self,
        wanted: &Wanted<'_>,
        seen: &mut Observed,
        asked: impl Fn(&(Netns, IfName)) -> bool,
        inside: bool,
    ) -> Result<(), EngineError> {
        let mut gone: BTreeSet<Netns> = BTreeSet::new();
        let mut last: Option<&Netns> = None;
        for place in wanted.places().filter(|place| place.0 != Netns::Host) {
            let first = wanted.other_end(place);
            let lost = first.is_some_and(|first| matches!(seen.links.get(first), Some(None)));
            if !(inside && asked(place) || lost) || gone.contains(&place.0) {
                continue;
            }
            if last.is_some_and(|last| *last != place.0) {
                self.leave(last);
            }
            last = Some(&place.0);
            match self.see_link(&place.0, &place.1, true) {
                Ok(found) => {
                    if !seen.ways.contains_key(&place.0) {
                        let ways = self.see_ways(&place.0)?;
                        seen.ways.insert(place.0.clone(), ways);
                    }
                    seen.links.insert(place.clone(), found);
                }
                Err(EngineError::Refusal(Refusal::Gone(_))) => drop(gone.insert(place.0.clone())),
                Err(_) if self.mode == Mode::DryRun => drop(gone.insert(place.0.clone())),
                Err(error) => return Err(error),
            }
        }
        self.leave(last);
        for place in wanted.places().filter(|place| gone.contains(&place.0)) {
            seen.links.remove(place);
            wanted.other_end(place).map(|other| seen.links.remove(other));
        }
        Ok(())
    }

    /// Lets go of a namespace: held on to, it would outlive its processes, and a thousand are more than there are
    /// descriptors.
    fn leave(&mut self, netns: Option<&Netns>) {
        if let Some(Netns::Other { id, .. }) = netns {
            self.executor.release(*id);
        }
    }

    fn see_link(
        &mut self,
        netns: &Netns,
        name: &IfName,
        deep: bool,
    ) -> Result<Option<SeenLink>, EngineError> {
        let Some(found) = self.executor.link(netns, name.as_str())? else { return Ok(None) };
        let mut seen = seen_link(&found);
        if deep {
            let socket = self.executor.socket(netns)?;
            let link = Some(found.index);
            let addresses = match address::list(socket, &DumpAddresses { link, ..DumpAddresses::default() }) {
                // It went in this moment.
                Err(error) if error.is_not_found() => return Ok(None),
                found => found?,
            };
            seen.addresses = Some(addresses.into_iter().filter_map(|found| net(found.local)).collect());
            let mut routes = SeenRoutes::default();
            let filters = [(Family::V4, TABLE_MAIN), (Family::V6, TABLE_MAIN), (Family::V6, TABLE_LOCAL)];
            for (family, table) in filters {
                let (family, table) = (Some(family), Some(table));
                let filter = DumpRoutes { family, table, oif: link, ..DumpRoutes::default() };
                match route::list(socket, &filter) {
                    Err(error) if error.is_not_found() => {}
                    found => found?.iter().for_each(|found| note_route(found, &mut routes)),
                }
            }
            seen.routes = Some(routes);
        }
        Ok(Some(seen))
    }

    fn see_ways(&mut self, netns: &Netns) -> Result<SeenWays, EngineError> {
        let mut routes = |family, table| {
            let filter = DumpRoutes { family: Some(family), table: Some(table), ..DumpRoutes::default() };
            Ok::<_, EngineError>(route::list(self.executor.socket(netns)?, &filter)?)
        };
        let [v4, v6] = [routes(Family::V4, TABLE_MAIN)?, routes(Family::V6, TABLE_MAIN)?];
        let names = |route: &Route| route.destination.address == NAMES && route.kind == RouteType::Unicast;
        Ok(SeenWays {
            v4: v4.iter().any(|route| route.destination.is_all()),
            v6: v6.iter().any(|route| route.destination.is_all()),
            destinations: v4.iter().chain(&v6).filter_map(|route| net(route.destination)).collect(),
            names: routes(Family::V4, TABLE_LOCAL)?.iter().any(names),
        })
    }
}

fn net(prefix: Prefix) -> Option<IpNet> {
    IpNet::new(prefix.address, prefix.len).ok()
}

fn note_route(route: &Route, routes: &mut SeenRoutes) {
    match (route.table, route.kind) {
        (TABLE_MAIN, RouteType::Unicast) => routes.subnets.extend(net(route.destination)),
        (TABLE_LOCAL, RouteType::Local) => {
            routes.loopback |= route.destination.address == std::net::Ipv6Addr::LOCALHOST;
        }
        _ => {}
    }
}

fn seen_link(link: &Link) -> SeenLink {
    let as_made = link.bridge.as_ref().map(|bridge| {
        bridge.stp == Some(false)
            && bridge.forward_delay == Some(0)
            && bridge.mcast_snooping == Some(false)
            && bridge.no_linklocal_learn != Some(false)
    });
    let conf =
        [(DevConf::Forwarding, Ipv4Conf::Forwarding), (DevConf::RouteLocalnet, Ipv4Conf::RouteLocalnet)];
    SeenLink {
        index: link.index.0,
        alias: link.alias.clone(),
        mac: link.mac.map(|mac| mac.0),
        up: link.is_up(),
        mtu: link.mtu,
        master: link.master.map(|master| master.0),
        autoconf: link.addr_gen_mode.map(|mode| mode != AddrGenMode::None),
        as_made,
        port: link.port.as_ref().map(seen_port),
        conf: conf
            .into_iter()
            .filter_map(|(ours, number)| Some((ours, link.ipv4_conf(number)? != 0)))
            .collect(),
        addresses: None,
        routes: None,
        impaired: None,
    }
}

fn seen_port(port: &PortOptions) -> SeenPort {
    let on = |option: Option<bool>| option != Some(false);
    let options = [port.learning, port.unicast_flood, port.mcast_flood, port.bcast_flood];
    SeenPort {
        isolated: port.isolated == Some(true),
        hairpin: port.hairpin == Some(true),
        plain: options.into_iter().all(on),
    }
}
