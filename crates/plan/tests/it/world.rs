//! A small engine for tests: it keeps the books that plans are made from. Ids and addresses are the same every time.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use pontoon_model::endpoint::{Cable, CableEnd, EndpointState};
use pontoon_model::network::{AddressPool, Driver, Segment};
use pontoon_model::observed::{BridgeFilter, HostSwitches};
use pontoon_model::op::{FileOp, LinkOp, NetnsPlace};
use pontoon_model::option::{ANTISPOOF, BridgeOptions, EndpointOptions};
use pontoon_model::publish::{HostPorts, PublishSpec};
use pontoon_model::route::StaticRoute;
use pontoon_model::sandbox::NetnsId;
use pontoon_model::{
    Endpoint, EndpointId, IfName, Impairment, Mac, Netns, Network, NetworkId, Publication, SandboxId, subnet,
};
use pontoon_plan::endpoint::{
    Attach, DefaultRoutes, Detach, attach, detach, elect, elected, forget_neighbours,
};
use pontoon_plan::impair::{self, Impair};
use pontoon_plan::network::Others;
use pontoon_plan::publish::{self, Published};
use pontoon_plan::renumber::Renumber;
use pontoon_plan::{Instance, Plan, cable, guard, network, renumber, resolver, route, sandbox};

/// A network as it is asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    pub(crate) name: String,
    pub(crate) v4: Option<IpNet>,
    pub(crate) v6: Option<IpNet>,
    pub(crate) internal: bool,
    pub(crate) options: BTreeMap<String, String>,
}

impl Wanted {
    /// A network with these subnets, at most one of each family.
    pub(crate) fn network(name: &str, subnets: &[&str]) -> Self {
        let subnets: Vec<IpNet> = subnets.iter().map(|text| text.parse().unwrap()).collect();
        let of = |v4: bool| subnets.iter().copied().find(|net| net.addr().is_ipv4() == v4);
        Self { name: name.into(), v4: of(true), v6: of(false), ..Self::default() }
    }

    pub(crate) fn internal(mut self) -> Self {
        self.internal = true;
        self
    }

    /// `--opt com.docker.network.KEY=VALUE`
    pub(crate) fn option(mut self, key: &str, value: &str) -> Self {
        self.options.insert(format!("com.docker.network.{key}"), value.into());
        self
    }

    /// `--opt pontoon.antispoof=false`
    pub(crate) fn unguarded(mut self) -> Self {
        self.options.insert(ANTISPOOF.into(), "false".into());
        self
    }
}

/// How a container is connected to a network.
#[derive(Debug, Clone, Default)]
pub(crate) struct Joining {
    pub(crate) gw_priority: i64,
    /// Somebody else had the address before.
    pub(crate) reused: bool,
    /// The address to have, by its place in the subnet.
    pub(crate) place: Option<u32>,
    /// `--driver-opt com.docker.network.endpoint.KEY=VALUE`
    pub(crate) options: Vec<(&'static str, &'static str)>,
    /// `--link-local-ip`
    pub(crate) link_local: Vec<IpAddr>,
    /// `--mac-address`
    pub(crate) mac: Option<Mac>,
    /// `--publish`
    pub(crate) publish: Vec<&'static str>,
    /// `--driver-opt pontoon.antispoof=…`
    pub(crate) antispoof: Option<bool>,
}

/// One end of a cable: the container, or the host, its interface and its addresses.
#[derive(Debug, Clone)]
pub(crate) struct Plug<'a> {
    pub(crate) container: Option<&'a str>,
    pub(crate) ifname: &'a str,
    pub(crate) addresses: &'a [&'a str],
}

/// A container: where its namespace is.
#[derive(Debug, Clone)]
pub(crate) struct Container {
    pub(crate) netns: Netns,
    pub(crate) id: SandboxId,
    pub(crate) ports: Vec<Publication>,
    /// Its files, if its name in `/run/netns` is ours.
    pinned: Option<sandbox::Files>,
}

/// The books.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) instance: Instance,
    pub(crate) switches: HostSwitches,
    pub(crate) networks: BTreeMap<String, Network>,
    pub(crate) containers: BTreeMap<String, Container>,
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) cables: Vec<Cable>,
    /// What leaves the interfaces of endpoints.
    pub(crate) impaired: BTreeMap<EndpointId, Impairment>,
    /// Routes that endpoints were given.
    pub(crate) given: BTreeMap<EndpointId, StaticRoute>,
    /// More bridges of networks: network and number.
    pub(crate) segments: Vec<(String, u32)>,
    made: u8,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            instance: Instance::host(),
            switches: HostSwitches::default(),
            networks: BTreeMap::new(),
            containers: BTreeMap::new(),
            endpoints: Vec::new(),
            cables: Vec::new(),
            impaired: BTreeMap::new(),
            given: BTreeMap::new(),
            segments: Vec::new(),
            made: 0,
        }
    }

    /// Makes a network.
    pub(crate) fn create(&mut self, wanted: &Wanted) -> Plan {
        let id = NetworkId::from_bytes(self.next(0xb0));
        let bridge = BridgeOptions::parse(&wanted.options).unwrap();
        let pool = |subnet: IpNet| {
            let gateway = subnet::usable(subnet).0;
            AddressPool { subnet, range: None, gateway, aux: BTreeMap::new() }
        };
        let network = Network {
            name: wanted.name.parse().unwrap(),
            driver: Driver::Bridge,
            created: String::new(),
            internal: wanted.internal,
            attachable: true,
            labels: BTreeMap::new(),
            options: wanted.options.clone(),
            bridge_name: bridge.name.clone().unwrap_or_else(|| Network::default_bridge_name(&id)),
            bridge_mac: Network::derived_bridge_mac(&id),
            bridge,
            v4: wanted.v4.map(pool),
            v6: wanted.v6.map(pool),
            builtin: false,
            id,
        };
        let plan = network::create(&self.instance, &network, &Others::default(), &self.switches);
        let needs = |v4: bool| {
            network.pools().any(|pool| network.needs_forwarding(pool) && pool.subnet.addr().is_ipv4() == v4)
        };
        self.switches.ipv4_forward |= needs(true);
        self.switches.ipv6_forward |= needs(false);
        self.switches.table = true;
        self.switches.bridge_filter = BridgeFilter::Made;
        self.networks.insert(wanted.name.clone(), network);
        plan
    }

    /// Gives the networks and containers their rules back, which somebody took away.
    pub(crate) fn restore(&mut self, switches: &HostSwitches) -> Plan {
        let networks: Vec<Network> = self.networks.values().cloned().collect();
        let published: Vec<(String, Published<'_>)> =
            self.containers.keys().map(|name| (name.clone(), self.published(name))).collect();
        let others = Others { networks: &networks, endpoints: &self.endpoints, published: &published };
        network::rules(&self.instance, &others, switches)
    }

    /// Takes a network away that nothing is connected to.
    pub(crate) fn remove(&mut self, name: &str) -> Plan {
        let network = self.networks.remove(name).unwrap();
        let last = self.networks.is_empty();
        self.switches.table = !last;
        if last {
            self.switches.bridge_filter = BridgeFilter::Missing;
        }
        let of_others = |(network, _): &(String, u32)| network != name;
        let (left, gone) = std::mem::take(&mut self.segments).into_iter().partition::<Vec<_>, _>(of_others);
        self.segments = left;
        // The last one first, so that none hangs from nothing.
        let segments: Vec<Segment> = gone.iter().rev().map(|(_, number)| network.segment(*number)).collect();
        let table = if last { network::Table::Unneeded } else { network::Table::Needed };
        network::remove(&self.instance, &network, &segments, table)
    }

    /// Gives a network one more bridge.
    pub(crate) fn add_segment(&mut self, name: &str, number: u32) -> Plan {
        self.segments.push((name.into(), number));
        let network = &self.networks[name];
        network::add_segment(&self.instance, network, &network.segment(number))
    }

    /// Makes somebody else's namespace known.
    pub(crate) fn know(&mut self, name: &str, netns: Netns) {
        let id = SandboxId::from_bytes(self.next(0x50));
        self.containers.insert(name.into(), Container { netns, id, ports: Vec::new(), pinned: None });
    }

    /// Starts a container of ours with nothing but loopback.
    pub(crate) fn start_without(&mut self, name: &str, netns: NetnsId) -> Plan {
        let mut plan = self.pin(name, netns, &[]);
        plan.append(sandbox::loopback(&self.containers[name].netns, name));
        plan
    }

    /// Starts a container of ours on networks.
    pub(crate) fn start(&mut self, name: &str, netns: NetnsId, networks: &[(&str, Joining)]) -> Plan {
        let addresses: Vec<IpAddr> = networks
            .iter()
            .flat_map(|(network, _)| self.free_addresses(network).collect::<Vec<_>>())
            .collect();
        let mut plan = self.pin(name, netns, &addresses);
        for (network, joining) in networks {
            plan.append(self.connect(name, network, joining));
        }
        plan
    }

    /// Takes away what is left of a container of ours whose process has ended.
    pub(crate) fn end(&mut self, name: &str) -> Plan {
        let mut plan = self.unpublish(name);
        let mut vanishing = Plan::default();
        let container = self.containers.remove(name).unwrap();
        let (gone, left): (Vec<_>, Vec<_>) =
            self.endpoints.drain(..).partition(|endpoint| endpoint.sandbox == container.id);
        self.endpoints = left;
        for endpoint in gone {
            let network = self.networks.values().find(|network| network.id == endpoint.network).unwrap();
            plan.append(forget_neighbours(network, &endpoint, name));
            let vanish = LinkOp::Vanish {
                name: endpoint.host_ifname.clone(),
                mark: self.instance.endpoint_mark(&endpoint),
            };
            vanishing.push(vanish, format!("{name}'s cable to {} goes with its namespace", network.name));
            vanishing.append(guard::detach(&self.instance, &endpoint, name));
        }
        if let (Some(files), Netns::Other { id, .. }) = (&container.pinned, &container.netns) {
            plan.append(sandbox::forget(name, *id, files));
        }
        plan.append(vanishing);
        plan
    }

    /// Connects a container to a network.
    pub(crate) fn connect(&mut self, container: &str, network: &str, joining: &Joining) -> Plan {
        let id = EndpointId::from_bytes(self.next(0xa0));
        let given = joining.options.iter();
        let given = given.map(|(key, value)| (format!("com.docker.network.endpoint.{key}"), (*value).into()));
        let options = EndpointOptions::parse(&given.collect()).unwrap();
        let addresses: Vec<IpAddr> = match joining.place {
            Some(place) => self.networks[network].pools().map(|pool| nth(pool.subnet, place)).collect(),
            None => self.free_addresses(network).collect(),
        };
        let Container { netns, id: sandbox, pinned, .. } = self.containers[container].clone();
        let guarded =
            joining.antispoof.unwrap_or(pinned.is_some() && self.networks[network].bridge.antispoof);
        let earlier = self.clone();
        let before = self.routes(&sandbox);
        let first = !self.endpoints.iter().any(|endpoint| endpoint.sandbox == sandbox);
        let found = &self.networks[network];
        let endpoint = Endpoint {
            host_ifname: Endpoint::derived_host_ifname(&id),
            id,
            network: found.id.clone(),
            ifname: options.ifname.clone().unwrap_or_else(|| self.free_ifname(&sandbox, found)),
            sandbox: sandbox.clone(),
            mac: joining.mac.unwrap_or_else(|| Mac::derived(&found.id, addresses[0])),
            v4: addresses.iter().find_map(v4_of),
            v6: addresses.iter().find_map(v6_of),
            link_local: joining.link_local.clone(),
            links: Vec::new(),
            gw_priority: joining.gw_priority,
            aliases: Vec::new(),
            guarded,
            sysctls: options.sysctls.clone(),
            created: String::new(),
            state: EndpointState::Attached,
        };
        self.endpoints.push(endpoint.clone());
        self.note_ports(container, &joining.publish);
        attach(&Attach {
            instance: &self.instance,
            network: &self.networks[network],
            endpoint: &endpoint,
            sandbox: container,
            netns,
            first,
            routes: (before, self.routes(&sandbox)),
            announce: joining.reused,
            names: self.switches.bridge_filter != BridgeFilter::Impossible,
            published: (earlier.published(container), self.published(container)),
        })
    }

    /// Moves a network to these subnets, at most one of each family: what is added, and what is taken away then.
    pub(crate) fn renumber(&mut self, name: &str, subnets: &[&str], announce: bool) -> [Plan; 2] {
        let earlier = self.clone();
        let before = &earlier.networks[name];
        let mut after = before.clone();
        let places: Vec<usize> =
            (0..self.endpoints.len()).filter(|place| self.endpoints[*place].network == before.id).collect();
        for subnet in subnets {
            let subnet: IpNet = subnet.parse().unwrap();
            let v4 = subnet.addr().is_ipv4();
            let pool = if v4 { &mut after.v4 } else { &mut after.v6 };
            let present = pool.clone().unwrap();
            let asked = renumber::Asked { subnet, gateway: None, range: None };
            let moved = renumber::pool(&present, &asked).unwrap();
            let own = |endpoint: &Endpoint| endpoint.addresses().find(|one| one.is_ipv4() == v4).unwrap();
            let addresses: Vec<IpAddr> = places.iter().map(|place| own(&self.endpoints[*place])).collect();
            let there = renumber::addresses(present.subnet, &moved, &addresses).unwrap();
            for (place, address) in places.iter().zip(there) {
                match address {
                    IpAddr::V4(address) => self.endpoints[*place].v4 = Some(address),
                    IpAddr::V6(address) => self.endpoints[*place].v6 = Some(address),
                }
            }
            *pool = Some(moved);
        }
        self.networks.insert(name.to_owned(), after.clone());
        let mut files: Vec<Vec<FileOp>> = Vec::new();
        for place in &places {
            let (old, new) = (&earlier.endpoints[*place], &self.endpoints[*place]);
            let container =
                self.containers.values_mut().find(|container| container.id == new.sandbox).unwrap();
            files.push(container.edit(old, new));
        }
        let on = places.iter().zip(&files).map(|(place, files)| {
            let (before, after) = (&earlier.endpoints[*place], &self.endpoints[*place]);
            let found = self.containers.iter().find(|(_, container)| container.id == after.sandbox);
            let (sandbox, container) = found.unwrap();
            renumber::Move {
                sandbox,
                netns: container.netns.clone(),
                before,
                after,
                routes: (earlier.routes(&after.sandbox), self.routes(&after.sandbox)),
                published: (earlier.published(sandbox), self.published(sandbox)),
                announce,
                files,
            }
        });
        let moves: Vec<renumber::Move<'_>> = on.collect();
        let mut stranded = Vec::new();
        let plan = Renumber { instance: &self.instance, before, after: &after, moves: &moves };
        let (arrive, mut leave) = (plan.arrive(), Plan::default());
        // Routes by routers where nobody is any more go first.
        for one in &moves {
            let subnets = [&before.v4, &before.v6].map(|pool| pool.as_ref().map(|pool| pool.subnet));
            let now = [&after.v4, &after.v6].map(|pool| pool.as_ref().map(|pool| pool.subnet));
            let left = |via: &IpAddr| {
                subnets.iter().flatten().any(|net| net.contains(via) && !now.contains(&Some(*net)))
            };
            if let Some(given) = self.given.get(&one.before.id).copied().filter(|given| left(&given.via)) {
                leave.append(route::remove(&one.netns, &one.before.ifname, given, one.sandbox));
                stranded.push(one.before.id.clone());
            }
        }
        leave.append(plan.leave());
        self.given.retain(|id, _| !stranded.contains(id));
        [arrive, leave]
    }

    /// Publishes ports of a container.
    pub(crate) fn publish(&mut self, container: &str, ports: &[&'static str]) -> Plan {
        let earlier = self.clone();
        self.note_ports(container, ports);
        self.ports_changed(&earlier, container)
    }

    /// Publishes no port of a container any more.
    pub(crate) fn unpublish(&mut self, container: &str) -> Plan {
        let earlier = self.clone();
        self.containers.get_mut(container).unwrap().ports.clear();
        self.ports_changed(&earlier, container)
    }

    fn ports_changed(&self, earlier: &Self, container: &str) -> Plan {
        let mut plan = Plan::default();
        let (before, after) = (earlier.published(container), self.published(container));
        publish::change(&mut plan, &self.instance, container, &before, &after);
        plan
    }

    fn note_ports(&mut self, container: &str, ports: &[&str]) {
        let ports = ports.iter().map(|text| publication(text));
        self.containers.get_mut(container).unwrap().ports.extend(ports);
    }

    /// A container's published ports, and where they lead.
    pub(crate) fn published(&self, container: &str) -> Published<'_> {
        let Some(Container { id, ports, .. }) = self.containers.get(container) else {
            return Published::default();
        };
        let ours = self.on_networks(id);
        Published::new(ports, elected(&ours, true), elected(&ours, false))
    }

    /// A container's endpoints with their networks.
    fn on_networks(&self, sandbox: &SandboxId) -> Vec<(&Endpoint, &Network)> {
        let network =
            |endpoint: &Endpoint| self.networks.values().find(|network| network.id == endpoint.network);
        let ours = self.endpoints.iter().filter(|endpoint| endpoint.sandbox == *sandbox);
        ours.map(|endpoint| (endpoint, network(endpoint).unwrap())).collect()
    }

    /// Disconnects a container from a network.
    pub(crate) fn disconnect(&mut self, container: &str, network: &str) -> Plan {
        let Container { netns, id: sandbox, .. } = self.containers[container].clone();
        let earlier = self.clone();
        let before = self.routes(&sandbox);
        let network = &self.networks[network];
        let on = |endpoint: &Endpoint| endpoint.sandbox == sandbox && endpoint.network == network.id;
        let place = self.endpoints.iter().position(on).unwrap();
        let endpoint = self.endpoints.remove(place);
        let impaired = self.impaired.remove(&endpoint.id).unwrap_or_default();
        self.given.remove(&endpoint.id);
        let mut plan = detach(&Detach {
            instance: &self.instance,
            network,
            endpoint: &endpoint,
            sandbox: container,
            netns: Some(netns.clone()),
            routes: (before, self.routes(&sandbox)),
            published: (earlier.published(container), self.published(container)),
        });
        plan.append(impair::forget(&Impair {
            instance: &self.instance,
            netns: &netns,
            link: &endpoint.ifname,
            mtu: network.bridge.mtu,
            whose: container,
            before: impaired,
            now: Impairment::default(),
        }));
        plan
    }

    /// Gives a container a route by a router on a network.
    pub(crate) fn give_route(&mut self, container: &str, network: &str, given: StaticRoute) -> Plan {
        let (netns, endpoint) = self.place_of(container, network);
        self.given.insert(endpoint.id.clone(), given);
        route::add(&netns, &endpoint.ifname, given, container)
    }

    /// Takes it away again.
    pub(crate) fn take_route(&mut self, container: &str, network: &str) -> Plan {
        let (netns, endpoint) = self.place_of(container, network);
        let given = self.given.remove(&endpoint.id).unwrap();
        route::remove(&netns, &endpoint.ifname, given, container)
    }

    /// Where a container is, and its place on a network.
    pub(crate) fn place_of(&self, container: &str, network: &str) -> (Netns, Endpoint) {
        let Container { netns, id: sandbox, .. } = &self.containers[container];
        let network = &self.networks[network];
        let on = |one: &&Endpoint| one.sandbox == *sandbox && one.network == network.id;
        (netns.clone(), self.endpoints.iter().find(on).unwrap().clone())
    }

    /// Impairs what leaves a container on a network.
    pub(crate) fn impair(&mut self, container: &str, network: &str, now: Impairment) -> Plan {
        let (netns, endpoint) = self.place_of(container, network);
        let before = self.impaired.insert(endpoint.id.clone(), now).unwrap_or_default();
        impair::change(&Impair {
            instance: &self.instance,
            netns: &netns,
            link: &endpoint.ifname,
            mtu: self.networks[network].bridge.mtu,
            whose: container,
            before,
            now,
        })
    }

    /// Lays a cable.
    pub(crate) fn lay(&mut self, plugs: [Plug<'_>; 2], mtu: Option<u32>) -> Plan {
        let id = EndpointId::from_bytes(self.next(0xc0));
        let macs = [self.instance.veth_mark(&id).mac, Mac::local([0x0e; 6])];
        let end = |plug: &Plug<'_>, mac| CableEnd {
            sysctls: Vec::new(),
            sandbox: plug.container.map(|name| self.containers[name].id.clone()),
            ifname: plug.ifname.parse().unwrap(),
            mac,
            addresses: plug.addresses.iter().map(|text| text.parse().unwrap()).collect(),
        };
        let ends = [end(&plugs[0], macs[0]), end(&plugs[1], macs[1])];
        let netns = plugs.clone().map(|plug| self.netns(plug.container));
        let cable = Cable { id, ends, mtu, labels: BTreeMap::new(), created: String::new() };
        let names = plugs.map(|plug| plug.container.unwrap_or("the host"));
        let plan = cable::lay(&self.instance, &cable, [&netns[0], &netns[1]], names);
        self.cables.push(cable);
        plan
    }

    /// Takes a cable away, by its place in the list.
    pub(crate) fn unlay(&mut self, place: usize) -> Plan {
        let cable = self.cables.remove(place);
        let container = |end: usize| {
            let ours = |id: &SandboxId| self.containers.iter().find(|(_, container)| container.id == *id);
            cable.ends[end].sandbox.as_ref().and_then(ours)
        };
        let names = [0, 1].map(|end| container(end).map_or("the host", |(name, _)| name.as_str()));
        let first = container(0).map_or(Netns::Host, |(_, container)| container.netns.clone());
        cable::remove(&self.instance, &cable, 0, &first, names)
    }

    fn pin(&mut self, name: &str, netns: NetnsId, addresses: &[IpAddr]) -> Plan {
        let id = SandboxId::from_bytes(self.next(0x50));
        let mark = resolver::mark(name, id.short());
        let files = vec![
            (format!("/etc/netns/{name}/resolv.conf"), format!("{mark}\nnameserver 192.0.2.53\n")),
            (format!("/etc/netns/{name}/hosts"), resolver::hosts(&mark, name, name, addresses, &[], &[])),
        ];
        let place = NetnsPlace::Named(name.into());
        let plan = sandbox::name(name, netns, &files);
        let netns = Netns::Other { place, id: netns };
        let container = Container { netns, id, ports: Vec::new(), pinned: Some(files) };
        self.containers.insert(name.into(), container);
        plan
    }

    fn netns(&self, container: Option<&str>) -> Netns {
        container.map_or(Netns::Host, |name| self.containers[name].netns.clone())
    }

    /// The next free address of each family on a network.
    fn free_addresses(&self, network: &str) -> impl Iterator<Item = IpAddr> {
        let network = &self.networks[network];
        let taken: Vec<IpAddr> = self.endpoints.iter().flat_map(|endpoint| endpoint.addresses()).collect();
        let free = move |pool: &AddressPool| {
            let mut hosts = (1..).map(|number| nth(pool.subnet, number));
            hosts.find(|address| *address != pool.gateway && !taken.contains(address)).unwrap()
        };
        network.pools().map(free).collect::<Vec<_>>().into_iter()
    }

    fn free_ifname(&self, sandbox: &SandboxId, network: &Network) -> IfName {
        let names = (0..).map(|number| format!("{}{number}", network.bridge.iface_prefix).parse().unwrap());
        let cabled = |name: &IfName| {
            let ends = self.cables.iter().flat_map(|cable| &cable.ends);
            ends.into_iter().any(|end| end.sandbox.as_ref() == Some(sandbox) && end.ifname == *name)
        };
        let taken = |name: &IfName| {
            self.endpoints.iter().any(|endpoint| endpoint.sandbox == *sandbox && endpoint.ifname == *name)
        };
        names.into_iter().find(|name| !taken(name) && !cabled(name)).unwrap()
    }

    fn routes(&self, sandbox: &SandboxId) -> DefaultRoutes {
        elect(&self.on_networks(sandbox))
    }

    /// The bytes of a new id: the first tells its kind, the others count.
    fn next(&mut self, kind: u8) -> [u8; 32] {
        self.made += 1;
        let mut bytes = [self.made; 32];
        bytes[0] = kind;
        bytes
    }
}

impl Container {
    /// What is to be changed in its files, which are noted as they are then.
    fn edit(&mut self, old: &Endpoint, new: &Endpoint) -> Vec<FileOp> {
        let mut edits = Vec::new();
        for (path, contents) in self.pinned.iter_mut().flatten().filter(|(path, _)| path.ends_with("/hosts"))
        {
            let mut lines = Vec::new();
            for (old, new) in old.addresses().zip(new.addresses()).filter(|(old, new)| old != new) {
                let (old, new) = (format!("{old}\t"), format!("{new}\t"));
                let own = contents.lines().filter(|line| line.starts_with(&old));
                lines.extend(own.map(|line| (line.to_owned(), line.replacen(&old, &new, 1))));
            }
            let mark = contents.lines().next().unwrap().to_owned();
            for (before, after) in &lines {
                *contents = contents.replace(&format!("{before}\n"), &format!("{after}\n"));
            }
            edits.push(FileOp::Edit { within: None, path: path.clone(), mark, lines });
        }
        edits
    }
}

/// What `--publish` says, with the host's port.
pub(crate) fn publication(text: &str) -> Publication {
    let spec: PublishSpec = text.parse().unwrap();
    let HostPorts::Exactly(first) = spec.host else { panic!("{text}: which host port?") };
    spec.at(first)
}

/// An address of a subnet, by its place.
pub(crate) fn nth(subnet: IpNet, number: u32) -> IpAddr {
    match subnet {
        IpNet::V4(net) => Ipv4Addr::from(u32::from(net.network()) + number).into(),
        IpNet::V6(net) => Ipv6Addr::from(u128::from(net.network()) + u128::from(number)).into(),
    }
}

fn v4_of(address: &IpAddr) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V4(address) => Some(*address),
        IpAddr::V6(_) => None,
    }
}

fn v6_of(address: &IpAddr) -> Option<Ipv6Addr> {
    match address {
        IpAddr::V6(address) => Some(*address),
        IpAddr::V4(_) => None,
    }
}
