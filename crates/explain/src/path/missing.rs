//! Why there is no way, or nobody at the end of it; and where the way would go on if that were mended.

use std::net::IpAddr;

use ipnet::IpNet;
use pontoon_model::observed::snapshot::{Link, Namespace, Route, RouteKind, RuleAction};

use super::finding::{Code, Finding};
use super::fix;
use super::hooks::Point;
use super::journey::{Journey, Next};
use super::lookup::{self, Lookup};
use super::segment::{At, Segment, Station, link, peer, segment};
use super::{Flow, Way};

impl Journey<'_> {
    /// The interface of a namespace behind which an address is, without a router between.
    pub(super) fn is_attached(&self, at: usize, address: IpAddr) -> Option<u32> {
        let snapshot = self.snapshot;
        // No link of the namespace leads to somebody who was not read.
        snapshot.owners(address).find(|owner| *owner != at)?;
        let has = |station: &Station| {
            let (place, number) = station.at;
            place != at && snapshot.namespaces[place].addresses_of(number).any(|net| net.addr() == address)
        };
        let outer = snapshot.namespaces[at].links.iter().filter(|link| link.master.is_none());
        let mut leads = outer.filter(|link| segment(snapshot, (at, link.index)).stations.iter().any(has));
        let near = leads.next()?.index;
        // A cable that is off its bridge leads there as the bridge ought to.
        let bridge =
            peer(snapshot, (at, near)).and_then(|end| self.loose_port(end)).map(|(_, bridge)| bridge);
        Some(bridge.unwrap_or(near))
    }

    /// Whether a route leads away from where the destination is; if so, where it ought to lead.
    pub(super) fn led_elsewhere(&mut self, at: usize, next: Next, flow: Flow, route: &Route) -> Option<Next> {
        let snapshot = self.snapshot;
        let namespace = &snapshot.namespaces[at];
        let right = self.is_attached(at, flow.destination)?;
        if right == next.link {
            return None;
        }
        let known = segment(snapshot, (at, next.link));
        let mut stations = known.stations.iter().map(|station| station.at);
        if stations.any(|(place, number)| {
            snapshot.namespaces[place].addresses_of(number).any(|net| net.addr() == flow.destination)
        }) {
            return None;
        }
        let (wrong, name) = (namespace.link_name(next.link), namespace.link_name(right));
        let subnet = subnet_of(namespace, right, flow.destination);
        let finding = match subnet {
            None => self.unaddressed(at, right, flow.destination),
            Some(_) if subnet_of(namespace, next.link, flow.destination).is_some() && !next.gateway => {
                let sentence = format!(
                    "{name} and {wrong} have one subnet, and {} is sought on {wrong}",
                    flow.destination
                );
                Finding::new(Code::SubnetTwice, &namespace.name, sentence)
                    .fix(namespace.ip(&finer(flow.destination, &name)))
                    .advice("better give one of them another subnet (`pontoon network renumber`)")
            }
            Some(subnet) => {
                let sentence = format!(
                    "the route {} takes what is for {} away from {name}, where it is",
                    lookup::shown(namespace, route),
                    flow.destination
                );
                Finding::new(Code::RouteElsewhere, &namespace.name, sentence)
                    .fix(self.finer_way(at, route, flow, subnet, &name))
                    .advice("or move the network to a free subnet: `pontoon network ls` names one, `network renumber` does it")
            }
        };
        self.find(finding);
        Some(Next { link: right, to: flow.destination, gateway: false, ..next })
    }

    /// What leads to the destination in spite of a route that is finer, or asked earlier.
    fn finer_way(&self, at: usize, route: &Route, flow: Flow, subnet: IpNet, name: &str) -> String {
        let namespace = &self.snapshot.namespaces[at];
        let main = 254;
        if route.table == main {
            return namespace.ip(&finer(flow.destination, name));
        }
        let asks = |rule: &&pontoon_model::observed::snapshot::Rule| {
            rule.v4 == flow.destination.is_ipv4() && rule.action == RuleAction::Table(route.table)
        };
        let priority = namespace.rules.iter().find(asks).map_or(1, |rule| rule.priority.saturating_sub(1));
        namespace.ip(&format!("rule add to {} lookup main priority {priority}", subnet.trunc()))
    }

    /// A bridge that lost its address.
    fn unaddressed(&self, at: usize, bridge: u32, near: IpAddr) -> Finding {
        let namespace = &self.snapshot.namespaces[at];
        let name = namespace.link_name(bridge);
        let sentence = format!(
            "{name} in {} has no address on the subnet of {near}, and so no route to it",
            namespace.name
        );
        let finding = Finding::new(Code::BridgeWithoutAddress, &namespace.name, sentence);
        match self.gateway_of(bridge, at, near) {
            Some(address) => finding.fix(namespace.ip(&format!("address add {address} dev {name}"))),
            None => finding.advice("give it one"),
        }
    }

    /// The address that a bridge ought to have: by the network's record, or by what containers take for their router.
    fn gateway_of(&self, bridge: u32, at: usize, near: IpAddr) -> Option<IpNet> {
        let snapshot = self.snapshot;
        let namespace = &snapshot.namespaces[at];
        let network = fix::network_by_bridge(snapshot, &namespace.link_name(bridge));
        let pool = network.and_then(|network| network.pools().find(|pool| pool.subnet.contains(&near)));
        if let Some(pool) = pool {
            return IpNet::new(pool.gateway, pool.subnet.prefix_len()).ok();
        }
        let around = segment(snapshot, (at, bridge));
        let mut stations = around.stations.iter();
        stations.find_map(|station| {
            let (other, number) = (&snapshot.namespaces[station.at.0], station.at.1);
            let subnet = subnet_of(other, number, near)?;
            let router = other.routes.iter().filter(|route| route.destination.prefix_len() == 0);
            let gateway = router.flat_map(|route| &route.next_hops).filter_map(|hop| hop.gateway);
            let gateway = gateway.into_iter().find(|gateway| subnet.contains(gateway))?;
            IpNet::new(gateway, subnet.prefix_len()).ok()
        })
    }

    /// No route, or one that refuses; where the packet would go if that were mended.
    pub(super) fn without_route(
        &mut self,
        at: usize,
        flow: Flow,
        found: &Lookup<'_>,
        iif: Option<&Link>,
    ) -> Option<Next> {
        let snapshot = self.snapshot;
        let namespace = &snapshot.namespaces[at];
        let (place, to) = (&namespace.name, flow.destination);
        if let Some(right) =
            self.is_attached(at, to).filter(|right| subnet_of(namespace, *right, to).is_none())
        {
            let finding = self.unaddressed(at, right, to);
            self.find(finding);
            return Some(Next::direct(right, to));
        }
        let beyond =
            self.unmasked().filter(|one| self.way == Way::Back && one.at.0 != at && one.flow.source == to);
        if let Some(unmasked) = beyond {
            let finding = self.no_way_back(unmasked.at, unmasked.flow);
            self.find(finding);
            self.back_at = Some(unmasked.at);
            return None;
        }
        let refuses = found.route.map(|route| (route.kind, lookup::shown(namespace, route)));
        let refuses = refuses.or(found.refused.map(|rule| (RouteKind::Prohibit, lookup::rule_shown(rule))));
        if let Some((_, what)) = refuses {
            let sentence = format!("{place} refuses to send to {to}: {what}");
            let finding = Finding::new(Code::RouteRefuses, place, sentence);
            let command = found.route.map(|route| {
                namespace.ip(&format!(
                    "route delete {} table {}",
                    lookup::shown(namespace, route),
                    lookup::table_name(route.table)
                ))
            });
            self.find(match command {
                Some(command) => {
                    finding.fix(command).advice("somebody may want it so: a VPN's kill switch, say")
                }
                None => finding.advice("somebody may want it so: `ip rule` lists it"),
            });
            return next_best(found, to);
        }
        self.find_down(at);
        let finding = Finding::new(Code::NoRoute, place, format!("{place} has no route to {to}"));
        let Some((gateway, out)) = self.router_for(at, to, iif) else {
            let gone = self.gone_interface(at);
            self.find(
                gone.unwrap_or_else(|| {
                    finding.advice("connect it to a network with a way out, or add a route")
                }),
            );
            return None;
        };
        let name = namespace.link_name(out);
        self.find(finding.fix(namespace.ip(&format!("route add default via {gateway} dev {name}"))));
        Some(Next { gateway: true, ..Next::direct(out, gateway) })
    }

    /// Interfaces with addresses that are down: their routes are gone.
    fn find_down(&mut self, at: usize) {
        let namespace = &self.snapshot.namespaces[at];
        let down = namespace
            .links
            .iter()
            .filter(|link| !link.up && namespace.addresses_of(link.index).next().is_some());
        let down: Vec<u32> = down.map(|link| link.index).collect();
        down.into_iter().for_each(|index| self.check_link((at, index)));
    }

    /// A neighbour that forwards, by the interface that leads to it: on a network with a way out, if there is one.
    /// Not by the interface that the packet came in by.
    fn router_for(&self, at: usize, to: IpAddr, iif: Option<&Link>) -> Option<(IpAddr, u32)> {
        let snapshot = self.snapshot;
        let namespace = &snapshot.namespaces[at];
        let mut found: Vec<(bool, IpAddr, u32)> = Vec::new();
        for link in namespace
            .links
            .iter()
            .filter(|link| link.master.is_none() && link.name != "lo")
            .filter(|link| iif.is_none_or(|iif| iif.index != link.index))
        {
            let own: Vec<IpNet> = namespace
                .addresses_of(link.index)
                .filter(|net| net.addr().is_ipv4() == to.is_ipv4())
                .collect();
            for station in segment(snapshot, (at, link.index)).stations {
                let (place, number) = station.at;
                let other = &snapshot.namespaces[place];
                let there = other.addresses_of(number).map(|net| net.addr());
                let near: Vec<IpAddr> =
                    there.filter(|address| own.iter().any(|net| net.contains(address))).collect();
                let routes = other.is_host() || other.link(number).is_some_and(|link| link.forwarding);
                let internal = fix::network_by_bridge(snapshot, &other.link_name(number))
                    .is_some_and(|net| net.internal);
                if routes && place != at {
                    found.extend(near.into_iter().map(|address| (internal, address, link.index)));
                }
            }
        }
        found.sort_by_key(|(internal, ..)| *internal);
        found.first().filter(|(internal, ..)| !internal).map(|(_, address, link)| (*address, *link))
    }

    /// A container that sends what is for elsewhere into an internal network, though it is on one with a way out.
    pub(super) fn internal_way_out(&self, point: &Point<'_>, flow: Flow) -> Option<Finding> {
        let snapshot = self.snapshot;
        let origin = self.origin.0.filter(|_| self.way == Way::There)?;
        let network =
            fix::network_by_bridge(snapshot, &point.iif?.name).filter(|network| network.internal)?;
        fix::network_of(snapshot, flow.destination).is_none().then_some(())?;
        let namespace = &snapshot.namespaces[origin];
        let (gateway, out) = self.router_for(origin, flow.destination, None)?;
        let sentence = format!(
            "the default route of {} leads into {}, which is internal and has no way out",
            namespace.name, network.name
        );
        let command = format!("route replace default via {gateway} dev {}", namespace.link_name(out));
        Some(Finding::new(Code::DefaultRouteInternal, &namespace.name, sentence).fix(namespace.ip(&command)))
    }

    /// An interface that a container ought to have, by record, and has not.
    fn gone_interface(&self, at: usize) -> Option<Finding> {
        let namespace = &self.snapshot.namespaces[at];
        let gone =
            namespace.endpoints.iter().find(|one| namespace.link_named(one.ifname.as_str()).is_none())?;
        let sentence = format!("{} of {} is gone", gone.ifname, namespace.name);
        let finding = Finding::new(Code::InterfaceGone, &namespace.name, sentence);
        let moved = self.snapshot.namespaces.iter().find_map(|other| {
            let link = other.links.iter().find(|link| link.mac == Some(gone.mac))?;
            Some((other, link))
        });
        Some(match moved {
            None => finding.fix(self.snapshot.restore.clone()),
            Some((other, link)) => finding
                .fix(other.ip(&format!("link delete dev {}", link.word())))
                .fix(self.snapshot.restore.clone())
                .advice(format!("it is in {} now, as {}", other.name, link.name)),
        })
    }

    /// Nobody on the link has the address. Says why, and who would get the packet if that were mended.
    pub(super) fn missing(&mut self, at: At, next: Next, around: &Segment, flow: Flow) -> Option<At> {
        let snapshot = self.snapshot;
        let namespace = &snapshot.namespaces[at.0];
        let own_port = self.find_loose_port(at).is_some();
        let owner = snapshot.namespaces.iter().enumerate().find_map(|(place, other)| {
            let address =
                other.addresses.iter().find(|one| one.address.addr() == next.to && place != at.0)?;
            Some((place, address.link))
        });
        if let Some(owner) = owner {
            let other_port = self.find_loose_port(owner).is_some();
            self.check_link(owner);
            if !own_port && !other_port {
                self.find_apart(at, next, owner);
            }
            return Some(owner);
        }
        if own_port && next.gateway {
            return self.bridge_around(around, next.to);
        }
        if let Some(finding) = self.unaddressed_interface(next.to) {
            self.block("neighbour", finding);
            return None;
        }
        if next.gateway {
            return self.missing_gateway(at, next, around);
        }
        if own_port {
            return None;
        }
        let sentence =
            format!("nobody on {} of {} has {}", namespace.link_name(at.1), namespace.name, next.to);
        let was_published =
            self.track(at.0).is_some_and(|track| track.original.destination != flow.destination);
        let finding = Finding::new(Code::NeighbourMissing, &namespace.name, sentence);
        self.block("neighbour", if was_published {
            finding.advice("the published port leads to a container that is gone: `pontoon unpublish`, or publish it anew")
        } else {
            finding.advice("whoever had it is gone, or has another address now")
        });
        None
    }

    fn bridge_around(&self, around: &Segment, near: IpAddr) -> Option<At> {
        let is_bridge =
            |at: &At| link(self.snapshot, *at).is_some_and(|link| link.kind.as_deref() == Some("bridge"));
        let has = |at: &At| self.snapshot.namespaces[at.0].has_address(near);
        around.stations.iter().map(|station| station.at).find(|at| is_bridge(at) || has(at))
    }

    /// The far end of a cable, where it ought to be a bridge's port and is not, with the bridge; `end` is the near one.
    fn loose_port(&self, end: At) -> Option<(At, u32)> {
        let snapshot = self.snapshot;
        let far = peer(snapshot, end)?;
        let (namespace, port) = (&snapshot.namespaces[far.0], link(snapshot, far)?);
        if port.master.is_some() || namespace.addresses_of(far.1).next().is_some() || far.0 == end.0 {
            return None;
        }
        let own: Vec<IpNet> = snapshot.namespaces[end.0].addresses_of(end.1).collect();
        let bridge = self.bridge_for(far.0, &own, end)?;
        Some((far, namespace.link_named(&bridge)?.index))
    }

    /// Says so of such an end; returns the bridge.
    fn find_loose_port(&mut self, end: At) -> Option<At> {
        let (far, bridge) = self.loose_port(end)?;
        let namespace = &self.snapshot.namespaces[far.0];
        let (port, name) = (namespace.link_name(far.1), namespace.link_name(bridge));
        let sentence = format!("{port} in {} is not a port of {name} any more", namespace.name);
        let command = namespace.ip(&format!("link set dev {port} master {name}"));
        self.block("bridge", Finding::new(Code::PortWithoutBridge, &namespace.name, sentence).fix(command));
        Some((far.0, bridge))
    }

    /// The bridge that the cable of an interface with these addresses ought to be on: by record, or by its subnet.
    fn bridge_for(&self, place: usize, own: &[IpNet], end: At) -> Option<String> {
        let snapshot = self.snapshot;
        let namespace = &snapshot.namespaces[place];
        let name = link(snapshot, end).map(|link| link.name.as_str());
        let recorded =
            snapshot.namespaces[end.0].endpoints.iter().find(|one| Some(one.ifname.as_str()) == name);
        let network = recorded.and_then(|one| snapshot.networks.iter().find(|net| net.id == one.network));
        if let Some(network) = network {
            return Some(network.bridge_name.to_string());
        }
        let bridges = namespace.links.iter().filter(|link| link.kind.as_deref() == Some("bridge"));
        let mut near = bridges.filter(|bridge| {
            namespace.addresses_of(bridge.index).any(|net| own.iter().any(|own| own.contains(&net.addr())))
        });
        near.next().map(|bridge| bridge.name.clone())
    }

    /// Somebody has the address, but is not on this link.
    fn find_apart(&mut self, at: At, next: Next, owner: At) {
        let snapshot = self.snapshot;
        let (namespace, other) = (&snapshot.namespaces[at.0], &snapshot.namespaces[owner.0]);
        let far = peer(snapshot, owner).and_then(|far| link(snapshot, far).map(|link| (far, link)));
        let behind = far.and_then(|(far, link)| Some((far.0, link.master?)));
        let name = namespace.link_name(at.1);
        let place = &namespace.name;
        let finding = match behind {
            Some(bridge) if bridge.0 == at.0 => {
                let right = namespace.link_name(bridge.1);
                let sentence = format!(
                    "{} is sought on {name}, but {} is on {right}: two have one subnet",
                    next.to, other.name
                );
                Finding::new(Code::SubnetTwice, place, sentence)
                    .fix(namespace.ip(&finer(next.to, &right)))
                    .advice("better give one of them another subnet (`pontoon network renumber`)")
            }
            _ => {
                let sentence =
                    format!("{} is sought on {name} of {place}, and {} is not on that", next.to, other.name);
                Finding::new(Code::NeighbourMissing, place, sentence)
                    .advice("they are on different networks with one subnet, or a cable is missing")
            }
        };
        self.block("neighbour", finding);
    }

    /// Whose address it was to be, by record: its interface is gone, or has lost it.
    fn unaddressed_interface(&self, address: IpAddr) -> Option<Finding> {
        let snapshot = self.snapshot;
        let has = |endpoint: &&pontoon_model::Endpoint| endpoint.addresses().any(|own| own == address);
        let (at, endpoint) = snapshot
            .namespaces
            .iter()
            .enumerate()
            .find_map(|(at, namespace)| Some((at, namespace.endpoints.iter().find(has)?)))?;
        let namespace = &snapshot.namespaces[at];
        let Some(link) = namespace.link_named(endpoint.ifname.as_str()) else {
            return self.gone_interface(at);
        };
        let network = snapshot.networks.iter().find(|network| network.id == endpoint.network)?;
        let len = network.pools().find(|pool| pool.subnet.contains(&address))?.subnet.prefix_len();
        let sentence = format!("{} of {} has lost its address {address}", link.name, namespace.name);
        let command = namespace.ip(&format!("address add {address}/{len} dev {}", link.word()));
        Some(Finding::new(Code::AddressMissing, &namespace.name, sentence).fix(command))
    }

    /// Nobody has the router's address: the bridge has lost it, or the route has the wrong one.
    fn missing_gateway(&mut self, at: At, next: Next, around: &Segment) -> Option<At> {
        let snapshot = self.snapshot;
        let namespace = &snapshot.namespaces[at.0];
        let bare = around.stations.iter().map(|station| station.at).find(|(place, number)| {
            let is_bridge =
                link(snapshot, (*place, *number)).is_some_and(|link| link.kind.as_deref() == Some("bridge"));
            is_bridge && subnet_of(&snapshot.namespaces[*place], *number, next.to).is_none()
        });
        let own = subnet_of(namespace, at.1, next.to);
        if let (Some(bridge), Some(subnet)) = (bare, own) {
            let there = &snapshot.namespaces[bridge.0];
            let name = there.link_name(bridge.1);
            let sentence = format!("{name} in {} has lost the router's address {}", there.name, next.to);
            let command = there.ip(&format!("address add {}/{} dev {name}", next.to, subnet.prefix_len()));
            self.block(
                "neighbour",
                Finding::new(Code::BridgeWithoutAddress, &there.name, sentence).fix(command),
            );
            return Some(bridge);
        }
        let sentence = format!(
            "{} sends to the router {}, and nobody on {} has that address",
            namespace.name,
            next.to,
            namespace.link_name(at.1)
        );
        let finding = Finding::new(Code::GatewayMissing, &namespace.name, sentence);
        let Some((gateway, out)) = self.router_for(at.0, next.to, None) else {
            self.block(
                "neighbour",
                finding.advice("the route needs the address of somebody who is there and forwards"),
            );
            return None;
        };
        let name = namespace.link_name(out);
        self.block(
            "neighbour",
            finding.fix(namespace.ip(&format!("route replace default via {gateway} dev {name}"))),
        );
        let stations = segment(snapshot, (at.0, out)).stations;
        stations.into_iter().map(|station| station.at).find(|(place, number)| {
            snapshot.namespaces[*place].addresses_of(*number).any(|net| net.addr() == gateway)
        })
    }

    /// The bridge that a cable ought to be on, which leads to a router by chance.
    pub(super) fn check_port(&mut self, station: &Station, to: IpAddr) -> Option<At> {
        let snapshot = self.snapshot;
        let direct = snapshot.namespaces[station.at.0].addresses_of(station.at.1).any(|net| net.addr() == to);
        match peer(snapshot, station.at) {
            Some(near) if !direct => self.find_loose_port(near),
            _ => None,
        }
    }
}

impl Next {
    /// To somebody on a link.
    fn direct(link: u32, to: IpAddr) -> Self {
        Self { local: false, link, to, gateway: false }
    }
}

/// Where a packet would go without the route that refuses.
fn next_best(found: &Lookup<'_>, to: IpAddr) -> Option<Next> {
    let mut routes = found.asked.iter().flat_map(|asked| &asked.routes);
    let hop =
        routes.find(|route| route.kind == RouteKind::Unicast).and_then(|route| lookup::next_hop(route))?;
    Some(Next {
        local: false,
        link: hop.link?,
        to: hop.gateway.unwrap_or(to),
        gateway: hop.gateway.is_some(),
    })
}

/// The subnet of an interface that an address is in.
fn subnet_of(namespace: &Namespace, link: u32, address: IpAddr) -> Option<IpNet> {
    namespace.addresses_of(link).find(|net| net.contains(&address))
}

/// The finest route there is.
fn finer(address: IpAddr, link: &str) -> String {
    format!("route add {} dev {link}", IpNet::from(address))
}
