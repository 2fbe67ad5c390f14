//! Random histories: what several people do to several networks and containers, in any order.

use std::time::Duration;

use pontoon_model::impairment::Loss;
use pontoon_model::op::{Netns, NetnsPlace};
use pontoon_model::route::StaticRoute;
use pontoon_model::sandbox::NetnsId;
use pontoon_model::{Impairment, Network};
use pontoon_plan::Plan;
use proptest::prelude::*;

use crate::host::Host;
use crate::world::{Joining, Plug, Wanted, World, nth, publication};

const NETWORKS: [&str; 3] = ["blue", "green", "red"];
/// Somebody else's namespaces: by name, process and path.
const KNOWN: [&str; 3] = ["lab", "pid-7", "box"];
/// Containers of ours.
const OURS: [&str; 2] = ["web", "db"];
/// Ports that are published; none meets another, and two lead to the same port of the container.
const PORTS: [&str; 6] =
    ["8080:80", "8088:80", "127.0.0.1:81:81", "0.0.0.0:53:53/udp", "[::1]:82:82", "9000-9300:9000-9300"];

/// What somebody does. What is not possible at the time is passed over.
#[derive(Debug, Clone)]
pub(crate) enum Action {
    Create(usize, Shape),
    Remove(usize),
    Start(usize, Vec<(usize, i64)>),
    End(usize),
    Connect {
        container: usize,
        network: usize,
        gw_priority: i64,
        reused: bool,
        sysctl: bool,
        /// The place of a port in the list.
        port: Option<usize>,
        antispoof: Option<bool>,
    },
    Publish(usize, usize),
    Unpublish(usize),
    /// What leaves a container on a network: a rate, a delay, a loss.
    Impair(usize, usize, [bool; 3]),
    /// A route by a router on a network, or none any more.
    Route(usize, usize, bool),
    Disconnect {
        container: usize,
        network: usize,
    },
    Lay {
        ends: [usize; 2],
        addressed: bool,
        mtu: Option<u32>,
    },
    Unlay(usize),
    /// One more bridge of a network, by its number.
    Widen(usize, u32),
    /// A network moves to other subnets: both, or that of one family.
    Renumber(usize, [bool; 2], u8),
}

/// A network's families and options.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    families: (bool, bool),
    internal: bool,
    modes: [usize; 2],
    /// icc, masquerade, SNAT, a bridge name, inhibit_ipv4
    flags: [bool; 5],
    mtu: Option<u32>,
}

/// The books and the host that they are about.
#[derive(Debug, Clone)]
pub(crate) struct Stage {
    pub(crate) world: World,
    pub(crate) host: Host,
    made: u32,
}

/// A plan that can be taken next.
#[derive(Debug, Clone)]
pub(crate) struct Next {
    pub(crate) plan: Plan,
    /// What follows when it is done, and is finished if it is cut off.
    pub(crate) then: Plan,
    /// Whether it makes something, so that it is undone when it is cut off; what takes away is finished.
    pub(crate) makes: bool,
    /// The namespace that was made for it, which nobody keeps but the process that takes the plan.
    pub(crate) fresh: Option<NetnsId>,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let mut stage = Self { world: World::new(), host: Host::new(), made: 100 };
        let places =
            [NetnsPlace::Named("lab".into()), NetnsPlace::Pid(7), NetnsPlace::Path("/run/box/netns".into())];
        for (name, place) in KNOWN.into_iter().zip(places) {
            let netns = Netns::Other { place, id: stage.new_id() };
            stage.host.hold(&netns);
            stage.world.know(name, netns);
        }
        stage
    }

    /// A host on which all this was done.
    pub(crate) fn after(history: &[Action]) -> Self {
        let mut stage = Self::new();
        for action in history {
            stage.perform(action);
        }
        stage
    }

    fn perform(&mut self, action: &Action) {
        let Some(next) = self.prepare(action) else { return };
        let done = if next.makes {
            self.host.run(&next.plan.steps).map_err(|refused| format!("{refused:?}"))
        } else {
            let refused = self.host.run_all(&next.plan.steps);
            if refused.is_empty() { Ok(()) } else { Err(format!("{refused:?}")) }
        };
        done.unwrap_or_else(|refused| panic!("{action:?} was refused: {refused}\n{:#?}", next.plan));
        assert_eq!(self.host.run_all(&next.then.steps), vec![], "{action:?}");
    }

    /// Takes everything away again.
    pub(crate) fn clear(&mut self) {
        while !self.world.cables.is_empty() {
            self.perform(&Action::Unlay(0));
        }
        for container in 0..KNOWN.len() + OURS.len() {
            for network in 0..NETWORKS.len() {
                self.perform(&Action::Disconnect { container, network });
            }
        }
        (0..OURS.len()).for_each(|container| self.perform(&Action::End(container)));
        (0..NETWORKS.len()).for_each(|network| self.perform(&Action::Remove(network)));
    }

    /// Writes the action into the books, if it is possible now, and says what is to be done.
    pub(crate) fn prepare(&mut self, action: &Action) -> Option<Next> {
        let made = |plan| Some(Next { plan, then: Plan::default(), makes: true, fresh: None });
        let taken = |plan| Some(Next { plan, then: Plan::default(), makes: false, fresh: None });
        match action {
            Action::Create(network, shape) if !self.has_network(*network) => {
                made(self.world.create(&shape.wanted(*network)))
            }
            Action::Remove(network) if self.has_network(*network) && !self.is_used(*network) => {
                taken(self.world.remove(NETWORKS[*network]))
            }
            Action::Start(container, networks) => self.start(OURS[*container], networks),
            Action::End(container) => {
                let name = OURS[*container];
                let id = self.world.containers.get(name)?.id.clone();
                let cabled = self
                    .world
                    .cables
                    .iter()
                    .flat_map(|cable| &cable.ends)
                    .any(|end| end.sandbox.as_ref() == Some(&id));
                if cabled { None } else { taken(self.world.end(name)) }
            }
            Action::Connect { container, network, gw_priority, reused, sysctl, port, antispoof } => {
                let name = name_of(*container);
                let possible = self.world.containers.contains_key(name) && self.has_network(*network);
                if !possible || self.is_connected(name, *network) {
                    return None;
                }
                let options = sysctl.then_some(("sysctls", "net.ipv4.conf.IFNAME.log_martians=1"));
                let options = options.into_iter().collect();
                let publish = port.and_then(|port| self.free_port(port)).into_iter().collect();
                let (gw_priority, reused, antispoof) = (*gw_priority, *reused, *antispoof);
                let joining =
                    Joining { gw_priority, reused, options, antispoof, publish, ..Joining::default() };
                made(self.world.connect(name, NETWORKS[*network], &joining))
            }
            Action::Disconnect { container, network } => {
                let connected = self.is_connected(name_of(*container), *network);
                if connected {
                    taken(self.world.disconnect(name_of(*container), NETWORKS[*network]))
                } else {
                    None
                }
            }
            Action::Impair(container, network, parts) => {
                let name = name_of(*container);
                if !self.is_connected(name, *network) {
                    return None;
                }
                let [rate, delay, loss] = *parts;
                let now = Impairment {
                    rate: rate.then_some(10_000_000),
                    delay: delay.then_some(Duration::from_millis(20)),
                    jitter: None,
                    loss: loss.then_some(Loss::ALL),
                };
                made(self.world.impair(name, NETWORKS[*network], now))
            }
            Action::Route(container, network, give) => self.route(name_of(*container), *network, *give),
            Action::Publish(container, port) => {
                let name = name_of(*container);
                let port = self.world.containers.get(name).and_then(|_| self.free_port(*port))?;
                made(self.world.publish(name, &[port]))
            }
            Action::Unpublish(container) => {
                let name = name_of(*container);
                let there = self.world.containers.contains_key(name);
                if there { taken(self.world.unpublish(name)) } else { None }
            }
            Action::Lay { ends, addressed, mtu } => self.lay(*ends, *addressed, *mtu),
            Action::Unlay(place) if *place < self.world.cables.len() => taken(self.world.unlay(*place)),
            Action::Widen(network, number) if self.has_network(*network) => {
                let name = NETWORKS[*network];
                let laid =
                    |number: u32| number == 0 || self.world.segments.contains(&(name.to_owned(), number));
                let possible = !laid(*number) && laid(Network::segment_parent(*number));
                if possible { made(self.world.add_segment(name, *number)) } else { None }
            }
            Action::Renumber(network, families, to) if self.has_network(*network) => {
                let name = NETWORKS[*network];
                let found = &self.world.networks[name];
                let there = [found.v4.is_some() && families[0], found.v6.is_some() && families[1]];
                let subnets = [format!("10.1{to}{network}.0.0/24"), format!("fd00:1{to}{network}::/64")];
                let is_new = found.pools().all(|pool| !subnets.contains(&pool.subnet.to_string()));
                let chosen: Vec<&str> = there
                    .iter()
                    .zip(&subnets)
                    .filter_map(|(there, subnet)| there.then_some(subnet.as_str()))
                    .collect();
                if chosen.is_empty() || !is_new {
                    return None;
                }
                let [plan, then] = self.world.renumber(name, &chosen, *to == 1);
                Some(Next { plan, then, makes: true, fresh: None })
            }
            Action::Renumber(..)
            | Action::Create(..)
            | Action::Remove(_)
            | Action::Unlay(_)
            | Action::Widen(..) => None,
        }
    }

    fn route(&mut self, name: &str, network: usize, give: bool) -> Option<Next> {
        if !self.is_connected(name, network) {
            return None;
        }
        let on = NETWORKS[network];
        let has = self.world.given.contains_key(&self.world.place_of(name, on).1.id);
        let found = &self.world.networks[on];
        let subnet = found.v4.as_ref().or(found.v6.as_ref())?.subnet;
        let to = if subnet.addr().is_ipv4() {
            format!("10.77.{network}.0/24")
        } else {
            format!("fd77:{network}::/64")
        };
        let route = StaticRoute { to: to.parse().unwrap(), via: nth(subnet, 250) };
        let (plan, makes) = match (give, has) {
            (true, false) => (self.world.give_route(name, on, route), true),
            (false, true) => (self.world.take_route(name, on), false),
            _ => return None,
        };
        Some(Next { plan, then: Plan::default(), makes, fresh: None })
    }

    fn start(&mut self, name: &str, networks: &[(usize, i64)]) -> Option<Next> {
        if self.world.containers.contains_key(name) {
            return None;
        }
        let mut wanted: Vec<(&str, Joining)> = Vec::new();
        for (network, gw_priority) in networks {
            let is_new = wanted.iter().all(|(other, _)| *other != NETWORKS[*network]);
            if self.has_network(*network) && is_new {
                wanted
                    .push((NETWORKS[*network], Joining { gw_priority: *gw_priority, ..Joining::default() }));
            }
        }
        let id = self.new_id();
        self.host.hold(&Netns::Other { place: NetnsPlace::Pid(1), id });
        let plan = match wanted.as_slice() {
            [] => self.world.start_without(name, id),
            wanted => self.world.start(name, id, wanted),
        };
        Some(Next { plan, then: Plan::default(), makes: true, fresh: Some(id) })
    }

    fn lay(&mut self, ends: [usize; 2], addressed: bool, mtu: Option<u32>) -> Option<Next> {
        // The last number is the host; a plan always names its end first.
        let ends = if ends[1] == KNOWN.len() + OURS.len() { [ends[1], ends[0]] } else { ends };
        let names = ends.map(|end| (end < KNOWN.len() + OURS.len()).then(|| name_of(end)));
        let there = |name: &Option<&str>| name.is_none_or(|name| self.world.containers.contains_key(name));
        if names[1].is_none() || !names.iter().all(there) {
            return None;
        }
        let number = self.new_id().ino;
        let ifnames = [format!("a{number}"), format!("b{number}")];
        let addresses: [&[&str]; 2] = match addressed {
            true => [&["10.9.0.1/30", "fd00:9::1/64"], &["10.9.0.2/30"]],
            false => [&[], &[]],
        };
        let plug =
            |end: usize| Plug { container: names[end], ifname: &ifnames[end], addresses: addresses[end] };
        let plan = self.world.lay([plug(0), plug(1)], mtu);
        Some(Next { plan, then: Plan::default(), makes: true, fresh: None })
    }

    /// A port that nobody has published.
    fn free_port(&self, port: usize) -> Option<&'static str> {
        let publication = publication(PORTS[port]);
        let taken = self.world.containers.values().any(|container| container.ports.contains(&publication));
        (!taken).then_some(PORTS[port])
    }

    fn has_network(&self, network: usize) -> bool {
        self.world.networks.contains_key(NETWORKS[network])
    }

    fn is_used(&self, network: usize) -> bool {
        let id = &self.world.networks[NETWORKS[network]].id;
        self.world.endpoints.iter().any(|endpoint| endpoint.network == *id)
    }

    fn is_connected(&self, container: &str, network: usize) -> bool {
        let (Some(container), Some(network)) =
            (self.world.containers.get(container), self.world.networks.get(NETWORKS[network]))
        else {
            return false;
        };
        let on = |endpoint: &pontoon_model::Endpoint| {
            endpoint.network == network.id && endpoint.sandbox == container.id
        };
        self.world.endpoints.iter().any(on)
    }

    pub(crate) fn new_id(&mut self) -> NetnsId {
        self.made += 1;
        NetnsId { dev: 4, ino: self.made.into() }
    }
}

impl Shape {
    fn wanted(&self, network: usize) -> Wanted {
        let subnets = [format!("10.{network}.0.0/24"), format!("fd00:{network}::/64")];
        let (v4, v6) = self.families;
        let chosen: Vec<&str> =
            [v4 || !v6, v6].iter().zip(&subnets).filter_map(|(on, net)| on.then_some(net.as_str())).collect();
        let mut wanted = Wanted::network(NETWORKS[network], &chosen);
        wanted.internal = self.internal;
        let modes = ["nat", "routed", "nat-unprotected", if self.internal { "isolated" } else { "nat" }];
        let [icc, masquerade, snat, named, inhibit] = self.flags;
        let mut options = vec![
            ("bridge.gateway_mode_ipv4", modes[self.modes[0]].to_owned()),
            ("bridge.gateway_mode_ipv6", modes[self.modes[1]].to_owned()),
            ("bridge.enable_icc", icc.to_string()),
            ("bridge.enable_ip_masquerade", masquerade.to_string()),
            ("bridge.inhibit_ipv4", inhibit.to_string()),
        ];
        options.extend(snat.then(|| ("host_ipv4", "192.0.2.7".to_owned())));
        options.extend(named.then(|| ("bridge.name", format!("br.{network}"))));
        options.extend(self.mtu.map(|mtu| ("driver.mtu", mtu.to_string())));
        options.into_iter().fold(wanted, |wanted, (key, value)| wanted.option(key, &value))
    }
}

fn name_of(container: usize) -> &'static str {
    KNOWN.iter().chain(&OURS).nth(container).unwrap()
}

fn shape() -> impl Strategy<Value = Shape> {
    let mtu = prop::option::of(1280..9000_u32);
    let flags: [BoxedStrategy<bool>; 5] = std::array::from_fn(|_| any::<bool>().boxed());
    (any::<(bool, bool)>(), prop::bool::weighted(0.3), [0..4_usize, 0..4], flags, mtu)
        .prop_map(|(families, internal, modes, flags, mtu)| Shape { families, internal, modes, flags, mtu })
}

/// What makes something.
pub(crate) fn making() -> impl Strategy<Value = Action> {
    let network = 0..NETWORKS.len();
    let container = 0..KNOWN.len() + OURS.len();
    let port = prop::option::weighted(0.3, 0..PORTS.len());
    let flags = (any::<bool>(), any::<bool>(), any::<Option<bool>>());
    let joined = (container.clone(), network.clone(), -2..3_i64, flags, port);
    prop_oneof![
        2 => (network.clone(), shape()).prop_map(|(network, shape)| Action::Create(network, shape)),
        1 => (network.clone(), prop_oneof![Just(1_u32), Just(2), Just(21)])
            .prop_map(|(network, number)| Action::Widen(network, number)),
        2 => (0..OURS.len(), prop::collection::vec((network, -2..3_i64), 0..3))
            .prop_map(|(container, networks)| Action::Start(container, networks)),
        4 => joined.prop_map(|(container, network, gw_priority, (reused, sysctl, antispoof), port)| Action::Connect {
            container, network, gw_priority, reused, sysctl, port, antispoof,
        }),
        2 => (container.clone(), 0..PORTS.len()).prop_map(|(container, port)| Action::Publish(container, port)),
        2 => (container.clone(), 0..NETWORKS.len())
            .prop_map(|(container, network)| Action::Route(container, network, true)),
        2 => (container.clone(), 0..NETWORKS.len(), any::<[bool; 3]>())
            .prop_map(|(container, network, parts)| Action::Impair(container, network, parts)),
        2 => (0..NETWORKS.len(), any::<[bool; 2]>(), 0..3_u8)
            .prop_map(|(network, families, to)| Action::Renumber(network, families, to)),
        1 => ([container.clone(), 0..KNOWN.len() + OURS.len() + 1], any::<bool>(), prop::option::of(1280..9000_u32))
            .prop_map(|(ends, addressed, mtu)| Action::Lay { ends, addressed, mtu }),
    ]
}

/// What takes something away.
pub(crate) fn taking() -> impl Strategy<Value = Action> {
    let network = 0..NETWORKS.len();
    let container = 0..KNOWN.len() + OURS.len();
    prop_oneof![
        network.clone().prop_map(Action::Remove),
        (0..OURS.len()).prop_map(Action::End),
        (container.clone(), network)
            .prop_map(|(container, network)| Action::Disconnect { container, network }),
        (container.clone(), 0..NETWORKS.len())
            .prop_map(|(container, network)| Action::Route(container, network, false)),
        container.prop_map(Action::Unpublish),
        (0..2_usize).prop_map(Action::Unlay),
    ]
}

/// What several people did, networks first so that there is something to connect to.
pub(crate) fn history() -> impl Strategy<Value = Vec<Action>> {
    let networks = prop::collection::vec(shape(), 0..NETWORKS.len() + 1);
    let networks = networks.prop_map(|shapes| {
        shapes.into_iter().enumerate().map(|(network, shape)| Action::Create(network, shape)).collect()
    });
    let rest = prop::collection::vec(prop_oneof![3 => making().boxed(), 1 => taking().boxed()], 0..14);
    (networks, rest).prop_map(|(networks, rest): (Vec<Action>, Vec<Action>)| [networks, rest].concat())
}
