//! What should be there, read from the plans that made it.

use std::collections::BTreeMap;

use ipnet::IpNet;
use pontoon_model::observed::{BridgeFilter, HostSwitches};
use pontoon_model::op::{
    AddressOp, ConntrackOp, DevConf, ImpairOp, LinkMark, LinkOp, NeighbourOp, Netns, NftOp, Op, RouteOp,
    SysctlOp,
};
use pontoon_model::{IfName, Network, NetworkName, Step};
use pontoon_nft::syntax::{Command, Elements};

use super::busy::{link_of, names};
use super::{Code, Desired, Drift, Place};
use crate::endpoint::{Attach, attach};
use crate::network::Others;
use crate::publish::{self, Published};
use crate::{Plan, cable, guard, network, ruleset};

/// What plans depend on of the host as it is.
#[derive(Debug, Clone, Default)]
pub struct HostNow {
    /// Interfaces that ignore router advertisements once the host forwards, if nothing is done about it.
    pub ra_uplinks: Vec<String>,
    /// `net.bridge.bridge-nf-call-ip6tables`
    pub bridge_calls_ip6tables: bool,
}

/// Everything that should be there.
#[derive(Debug)]
pub struct Wanted<'a> {
    pub(super) desired: &'a Desired<'a>,
    pub(super) host: HostNow,
    /// Links in the order in which they are made.
    pub(super) links: Vec<WantedLink>,
    by_place: BTreeMap<Place, usize>,
    /// All steps about links, and whose they are.
    steps: Vec<Step>,
    /// Elements of the tables.
    pub(super) elements: Vec<(Owner, Elements)>,
    /// Flows that are to be forgotten when elements come back, and whose they are.
    pub(super) flows: Vec<(Owner, Step)>,
    pub(super) switches: Vec<WantedSwitch>,
}

/// Whose something is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Owner {
    pub(super) network: Option<NetworkName>,
    pub(super) container: Option<String>,
    /// Whether it is to stay as somebody changed it.
    pub(super) kept: bool,
}

impl Owner {
    /// In words.
    pub(super) fn name(&self) -> String {
        match (&self.container, &self.network) {
            (Some(container), Some(network)) => format!("{container} on {network}"),
            (Some(container), None) => container.clone(),
            (None, Some(network)) => format!("network {network}"),
            (None, None) => "all networks".to_owned(),
        }
    }

    /// What was found of something of its own.
    pub(super) fn drift(&self, code: Code, object: String, found: String, plan: Plan) -> Drift {
        Drift {
            code,
            object,
            found,
            network: self.network.clone(),
            container: self.container.clone(),
            by: None,
            kept: self.kept,
            plan,
        }
    }
}

/// What a link is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// A bridge.
    Bridge,
    /// The marked end of a veth pair, and where the other is.
    First(Place),
    /// The other end.
    Second(Place),
    /// A loopback link.
    Loopback,
}

/// A link as it should be.
#[derive(Debug)]
pub(super) struct WantedLink {
    pub(super) place: Place,
    pub(super) owner: Owner,
    pub(super) kind: Kind,
    pub(super) mark: Option<LinkMark>,
    pub(super) mtu: Option<u32>,
    pub(super) master: Option<IfName>,
    pub(super) no_autoconf: bool,
    pub(super) isolated: bool,
    pub(super) hairpin: bool,
    pub(super) up: bool,
    pub(super) conf: Vec<DevConf>,
    pub(super) addresses: Vec<IpNet>,
    /// Places of the steps that are about it.
    steps: Vec<usize>,
}

/// A switch of the host.
#[derive(Debug)]
pub(super) struct WantedSwitch {
    pub(super) key: String,
    pub(super) value: String,
    pub(super) why: String,
    pub(super) owner: Owner,
}

impl<'a> Wanted<'a> {
    /// What should be there of what is desired.
    pub fn of(desired: &'a Desired<'a>, host: HostNow) -> Self {
        let mut wanted = Self {
            desired,
            host: host.clone(),
            links: Vec::new(),
            by_place: BTreeMap::new(),
            steps: Vec::new(),
            elements: Vec::new(),
            flows: Vec::new(),
            switches: Vec::new(),
        };
        wanted.fill(&host);
        wanted
    }

    /// What should be in the tables of what is desired, and nothing else: a tenth of the work where there is much.
    pub fn of_rules(desired: &'a Desired<'a>, host: HostNow) -> Self {
        let nothing = Desired {
            networks: &[],
            segments: &[],
            endpoints: &[],
            cables: &[],
            more: &[],
            ..desired.clone()
        };
        let mut wanted = Wanted::of(&nothing, host).with(desired);
        let instance = desired.instance;
        if !desired.networks.is_empty() && !wanted.host.bridge_calls_ip6tables {
            wanted.elements.push((Owner::default(), ruleset::loopback6(instance)));
        }
        for one in desired.networks {
            wanted.take_commands(&of_network(one), &ruleset::add_network(instance, one));
        }
        for attached in desired.endpoints.iter().filter(|attached| attached.endpoint.guarded) {
            let owner =
                Owner { container: Some(attached.sandbox.to_owned()), ..of_network(attached.network) };
            wanted
                .take(&owner, guard::attach(instance, attached.network, attached.endpoint, attached.sandbox));
        }
        wanted
    }

    fn with<'b>(self, desired: &'b Desired<'b>) -> Wanted<'b> {
        let Self { desired: _, host, links, by_place, steps, elements, flows, switches } = self;
        Wanted { desired, host, links, by_place, steps, elements, flows, switches }
    }

    /// The links that [`find`](super::find) has something to say about, if they are looked at, in the order in which they
    /// are made.
    pub fn places(&self) -> impl Iterator<Item = &Place> {
        self.links.iter().map(|link| &link.place)
    }

    /// What is desired.
    pub fn desired(&self) -> &'a Desired<'a> {
        self.desired
    }

    /// The other end of a veth pair.
    pub fn other_end(&self, place: &Place) -> Option<&Place> {
        match &self.link(place)?.kind {
            Kind::First(other) | Kind::Second(other) => Some(other),
            Kind::Bridge | Kind::Loopback => None,
        }
    }

    /// What should impair a link.
    pub fn impairments(&self, place: &Place) -> impl Iterator<Item = &ImpairOp> {
        let steps = self.link(place).into_iter().flat_map(|link| self.steps_of(&[link]));
        steps.filter_map(|step| match &step.op {
            Op::Impair(op) => Some(op),
            _ => None,
        })
    }

    /// The bridge that a link of the host should be a port of.
    pub fn master_of(&self, name: &IfName) -> Option<&IfName> {
        self.link(&(Netns::Host, name.clone()))?.master.as_ref()
    }

    /// The switches of the host that [`find`](super::find) has something to say about.
    pub fn switch_keys(&self) -> impl Iterator<Item = &str> {
        let switched = self.desired.switched.keys().filter(|key| key.ends_with("/accept_ra"));
        self.switches.iter().map(|switch| switch.key.as_str()).chain(switched.map(String::as_str))
    }

    fn fill(&mut self, now: &HostNow) {
        let desired = self.desired;
        // With the tables there, but for the switches: what the first network of a host comes to.
        let host = HostSwitches {
            ra_uplinks: now.ra_uplinks.clone(),
            table: true,
            bridge_filter: BridgeFilter::Made,
            bridge_calls_ip6tables: now.bridge_calls_ip6tables,
            ..HostSwitches::default()
        };
        let instance = desired.instance;
        if !desired.networks.is_empty() && !now.bridge_calls_ip6tables {
            self.elements.push((Owner::default(), ruleset::loopback6(instance)));
        }
        for one in desired.networks {
            self.take(&of_network(one), network::create(instance, one, &Others::default(), &host));
        }
        for (one, segment) in desired.segments {
            self.take(&of_network(one), network::add_segment(instance, one, segment));
        }
        for attached in desired.endpoints {
            let owner =
                Owner { container: Some(attached.sandbox.to_owned()), ..of_network(attached.network) };
            let plan = attach(&Attach {
                instance,
                network: attached.network,
                endpoint: attached.endpoint,
                sandbox: attached.sandbox,
                netns: attached.netns.clone(),
                first: true,
                routes: (crate::endpoint::DefaultRoutes::default(), attached.routes.clone()),
                announce: false,
                names: attached.names,
                published: (Published::default(), Published::default()),
            });
            self.take(&owner, plan);
        }
        for laid in desired.cables {
            let (netns, names) = ([&laid.netns[0], &laid.netns[1]], [&*laid.names[0], &*laid.names[1]]);
            let containers: Vec<&str> = names.into_iter().filter(|name| *name != "the host").collect();
            let owner = Owner { container: Some(containers.join(" and ")), ..Owner::default() };
            self.take(&owner, cable::lay(instance, laid.cable, netns, names));
        }
        // Of links that are known by now, whose they are is known too.
        desired.more.iter().for_each(|plan| self.take(&Owner::default(), plan.clone()));
        for (sandbox, published) in desired.published {
            let landing = published.landings().next().map(|landing| of_network(landing.network));
            let owner = Owner { container: Some(sandbox.clone()), ..landing.unwrap_or_default() };
            let host = publish::Host {
                bridge_calls_ip6tables: now.bridge_calls_ip6tables,
                loopback6: None,
                ..published.host
            };
            let (mut plan, after) = (Plan::default(), Published { host, ..*published });
            publish::change(&mut plan, instance, sandbox, &Published::default(), &after);
            self.take(&owner, plan);
        }
    }
}

fn of_network(network: &Network) -> Owner {
    Owner { network: Some(network.name.clone()), container: None, kept: !network.bridge.repair }
}

impl Wanted<'_> {
    /// The link at a place.
    pub(super) fn link(&self, place: &Place) -> Option<&WantedLink> {
        self.by_place.get(place).map(|index| &self.links[*index])
    }

    /// The steps about links, in their order.
    pub(super) fn steps_of<'s>(&'s self, links: &[&WantedLink]) -> impl Iterator<Item = &'s Step> + use<'s> {
        let mut places: Vec<usize> = links.iter().flat_map(|link| &link.steps).copied().collect();
        places.sort_unstable();
        places.dedup();
        places.into_iter().map(|index| &self.steps[index])
    }

    fn take(&mut self, owner: &Owner, plan: Plan) {
        for step in plan.steps {
            match &step.op {
                Op::Nft(NftOp { commands }) => self.take_commands(owner, commands),
                Op::Conntrack(ConntrackOp::Forget { .. }) => self.flows.push((owner.clone(), step)),
                Op::Sysctl(op) => self.take_sysctl(owner, op.clone(), step),
                _ => self.take_link(owner, step),
            }
        }
    }

    fn take_commands(&mut self, owner: &Owner, commands: &[Command]) {
        let added = |command: &Command| match command {
            Command::AddElements(elements) => Some((owner.clone(), elements.clone())),
            _ => None,
        };
        self.elements.extend(commands.iter().filter_map(added));
    }

    fn take_sysctl(&mut self, owner: &Owner, op: SysctlOp, step: Step) {
        if op.netns == Netns::Host {
            let known = self.switches.iter().any(|switch| switch.key == op.key);
            if !known {
                let why = step.why.to_string();
                let owner = owner.clone();
                self.switches.push(WantedSwitch { key: op.key, value: op.value, why, owner });
            }
            return;
        }
        // It is the link's, and comes back with the link.
        let place = link_of(&op).and_then(|name| Some((op.netns.clone(), name.parse().ok()?)));
        if let Some(index) = place.and_then(|place| self.by_place.get(&place)) {
            self.links[*index].steps.push(self.steps.len());
            self.steps.push(step);
        }
    }

    fn take_link(&mut self, owner: &Owner, step: Step) {
        let places: Vec<Place> =
            names(&step.op).into_iter().map(|(netns, name)| (netns.clone(), name.clone())).collect();
        if places.is_empty() {
            return;
        }
        let (loopback, number) = (is_loopback(&step.op), self.steps.len());
        for place in &places {
            if !self.by_place.contains_key(place) {
                if !makes(&step.op) && !loopback {
                    continue;
                }
                self.by_place.insert(place.clone(), self.links.len());
                self.links.push(WantedLink::new(place.clone(), owner.clone()));
            }
            let link = &mut self.links[self.by_place[place]];
            link.steps.push(number);
            link.take(&step.op);
        }
        self.steps.push(step);
    }
}

fn makes(op: &Op) -> bool {
    matches!(op, Op::Link(LinkOp::AddBridge { .. } | LinkOp::AddVeth { .. }))
}

fn is_loopback(op: &Op) -> bool {
    matches!(op, Op::Link(LinkOp::Set { name, .. }) if name.as_str() == "lo")
}

impl WantedLink {
    fn new(place: Place, owner: Owner) -> Self {
        Self {
            place,
            owner,
            kind: Kind::Loopback,
            mark: None,
            mtu: None,
            master: None,
            no_autoconf: false,
            isolated: false,
            hairpin: false,
            up: false,
            conf: Vec::new(),
            addresses: Vec::new(),
            steps: Vec::new(),
        }
    }

    fn take(&mut self, op: &Op) {
        match op {
            Op::Link(LinkOp::AddBridge { mark, mtu, .. }) => {
                (self.kind, self.mark, self.mtu) = (Kind::Bridge, Some(mark.clone()), *mtu);
            }
            Op::Link(LinkOp::AddVeth { netns, name, mark, master, peer, mtu }) => {
                let (first, second) = ((netns, name), (&peer.netns, &peer.name));
                self.mtu = *mtu;
                if (&self.place.0, &self.place.1) == first {
                    self.kind = Kind::First((second.0.clone(), second.1.clone()));
                    (self.mark, self.master) = (Some(mark.clone()), master.clone());
                } else {
                    self.kind = Kind::Second((first.0.clone(), first.1.clone()));
                    self.mark = Some(LinkMark { alias: String::new(), mac: peer.mac });
                }
            }
            Op::Link(LinkOp::Set { settings, .. }) => {
                self.no_autoconf |= settings.no_autoconf;
                self.isolated |= settings.isolated;
                self.hairpin |= settings.hairpin;
                self.up |= settings.up;
                self.master = settings.master.clone().or(self.master.take());
                self.conf.extend(settings.devconf.iter().filter(|(_, on)| *on).map(|(conf, _)| *conf));
            }
            Op::Address(AddressOp::Add { address, .. }) => self.addresses.push(*address),
            _ => {}
        }
    }
}

/// Whether a step is about what a link loses when it is down: neighbours, and for IPv6 routes.
pub(super) fn goes_when_down(step: &Step) -> bool {
    matches!(step.op, Op::Neighbour(NeighbourOp::Set { .. }) | Op::Route(RouteOp::Loopback { .. }))
}
