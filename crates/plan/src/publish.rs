//! Published ports: elements of the table's maps, which follow the endpoint that has the default route.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use pontoon_model::network::AddressPool;
use pontoon_model::op::{ConntrackOp, DevConf, Flow, LinkOp, LinkSettings, Netns, NftOp, RouteOp};
use pontoon_model::option::GatewayMode;
use pontoon_model::publish::Protocol;
use pontoon_model::{Endpoint, IfName, Network, Publication};
use pontoon_nft::syntax::{Command, Element, Elements, Value};

use crate::ruleset::{loopback6, name};
use crate::{Instance, Plan};

/// How many elements one command has: the kernel's attribute for them is at most 64 KiB long.
const AT_ONCE: usize = 256;

/// Where published ports of one family lead.
#[derive(Debug, Clone, Copy)]
pub struct Landing<'a> {
    /// The network whose gateway is the container's default route.
    pub network: &'a Network,
    /// Its addresses of the family.
    pub pool: &'a AddressPool,
    /// The container's address there.
    pub address: IpAddr,
    /// The bridge's port that it is behind.
    pub port: &'a IfName,
}

/// A container's published ports, and where they lead.
#[derive(Debug, Clone, Copy, Default)]
pub struct Published<'a> {
    /// The ports.
    pub ports: &'a [Publication],
    /// Where they lead for IPv4; nowhere without a way out.
    pub v4: Option<Landing<'a>>,
    /// Where they lead for IPv6.
    pub v6: Option<Landing<'a>>,
    /// What was seen of the host.
    pub host: Host<'a>,
}

/// What matters of the host for published ports.
#[derive(Debug, Clone, Copy, Default)]
pub struct Host<'a> {
    /// Its addresses, for UDP ports that are published on all of them.
    pub addresses: &'a [IpAddr],
    /// `net.bridge.bridge-nf-call-ip6tables`: then ::1 cannot lead to a container.
    pub bridge_calls_ip6tables: bool,
    /// Whether the table has to be told anew that ::1 leads to containers, or does not: somebody changed that setting
    /// since the table was made.
    pub loopback6: Option<bool>,
}

impl<'a> Published<'a> {
    /// `ports` that lead to the elected endpoint of each family.
    pub fn new(
        ports: &'a [Publication],
        v4: Option<(&'a Endpoint, &'a Network)>,
        v6: Option<(&'a Endpoint, &'a Network)>,
    ) -> Self {
        let v4 = v4.and_then(|(endpoint, network)| {
            let (pool, address) = (network.v4.as_ref()?, endpoint.v4?.into());
            Some(Landing { network, pool, address, port: &endpoint.host_ifname })
        });
        let v6 = v6.and_then(|(endpoint, network)| {
            let (pool, address) = (network.v6.as_ref()?, endpoint.v6?.into());
            Some(Landing { network, pool, address, port: &endpoint.host_ifname })
        });
        Self { ports, v4, v6, host: Host::default() }
    }

    /// Whether there are ports, and none of them leads anywhere.
    pub fn leads_nowhere(&self) -> bool {
        let taken = |landing: Landing<'_>| self.ports.iter().any(|one| landing.takes(one));
        !self.ports.is_empty() && !self.landings().any(taken)
    }

    pub(crate) fn landings(&self) -> impl Iterator<Item = Landing<'a>> + use<'a> {
        self.v4.into_iter().chain(self.v6)
    }

    /// The elements of the table's maps, by the map's name.
    fn elements(&self) -> BTreeMap<&'static str, Vec<Element>> {
        let mut elements: BTreeMap<&'static str, Vec<Element>> = BTreeMap::new();
        for landing in self.landings() {
            if landing.translates() && self.ports.iter().any(|one| landing.takes(one)) {
                let itself = || value(landing.address);
                let set = if landing.address.is_ipv4() { name::SELF4 } else { name::SELF6 };
                elements.entry(set).or_default().push(Element::new([itself(), itself()]));
            }
            for publication in self.ports {
                for (host, container) in publication.pairs() {
                    if let Some((set, element)) = landing.element(publication, host, container) {
                        elements.entry(set).or_default().push(element);
                    }
                }
            }
        }
        for account in self.accounts() {
            for set in [account.inward, account.outward] {
                elements.entry(set).or_default().push(account.element());
            }
        }
        elements
    }

    /// The landings whose ports are reached at the host's loopback address.
    fn at_loopback(&self) -> impl Iterator<Item = Landing<'a>> {
        let ports = self.ports;
        self.landings().filter(move |landing| {
            let covers = |publication: &Publication| {
                publication
                    .address_of(landing.address.is_ipv4())
                    .is_some_and(|address| address.is_unspecified() || address.is_loopback())
            };
            landing.translates() && ports.iter().any(covers)
        })
    }
}

impl Landing<'_> {
    /// Whether a publication leads here: it is for this family, and where nothing is translated, so that the container's
    /// own address is reached, it is not meant for the host alone.
    pub(crate) fn takes(&self, publication: &Publication) -> bool {
        let at = publication.address_of(self.address.is_ipv4());
        at.is_some_and(|at| self.translates() || !at.is_loopback())
    }

    fn translates(&self) -> bool {
        self.network.gateway_mode(self.pool).is_nat()
    }

    /// The map, and the element that leads one port of the host to the container.
    fn element(
        &self,
        publication: &Publication,
        host: u16,
        container: u16,
    ) -> Option<(&'static str, Element)> {
        let v4 = self.address.is_ipv4();
        let at = publication.address_of(v4).filter(|_| self.takes(publication))?;
        let protocol = Value::Protocol(publication.protocol.number());
        let inside = || vec![value(self.address), Value::Port(container)];
        Some(match self.network.gateway_mode(self.pool) {
            GatewayMode::Nat | GatewayMode::NatUnprotected if at.is_unspecified() => {
                let set = if v4 { name::ANY4 } else { name::ANY6 };
                (set, Element::new([protocol, Value::Port(host)]).to(inside()))
            }
            GatewayMode::Nat | GatewayMode::NatUnprotected => {
                let set = if v4 { name::AT4 } else { name::AT6 };
                (set, Element::new([value(at), protocol, Value::Port(host)]).to(inside()))
            }
            // Its account lets it through.
            GatewayMode::Routed | GatewayMode::Isolated => return None,
        })
    }
}

/// The commands that make the table know published ports.
pub fn add(instance: &Instance, published: &Published<'_>) -> Vec<Command> {
    commands(instance, published.elements(), Command::AddElements)
}

/// The commands that make the table forget published ports.
pub fn remove(instance: &Instance, published: &Published<'_>) -> Vec<Command> {
    commands(instance, published.elements(), Command::DestroyElements)
}

fn commands(
    instance: &Instance,
    elements: BTreeMap<&'static str, Vec<Element>>,
    command: fn(Elements) -> Command,
) -> Vec<Command> {
    let mut commands = Vec::new();
    for (set, elements) in elements {
        for some in elements.chunks(AT_ONCE) {
            commands.push(command(Elements::new(instance.table(), set, some.to_vec())));
        }
    }
    commands
}

/// Adds the steps that turn what the table knows of a container's ports into what it is to know: one transaction,
/// so that no connection finds neither.
pub fn change(
    plan: &mut Plan,
    instance: &Instance,
    sandbox: &str,
    before: &Published<'_>,
    after: &Published<'_>,
) {
    let (mut old, mut new) = (before.elements(), after.elements());
    for (set, elements) in &mut old {
        if let Some(kept) = new.get_mut(set) {
            let both: Vec<Element> =
                elements.iter().filter(|element| kept.contains(element)).cloned().collect();
            elements.retain(|element| !both.contains(element));
            kept.retain(|element| !both.contains(element));
        }
    }
    let mut all = commands(instance, old, Command::DestroyElements);
    let adds = commands(instance, new, Command::AddElements);
    if !adds.is_empty() {
        open_port(plan, sandbox, after, before);
        open_loopback(plan, sandbox, after, before);
    }
    all.extend(adds);
    let at_loopback6 = after.at_loopback().any(|one| one.address.is_ipv6());
    match after.host.loopback6.filter(|_| at_loopback6 && !all.is_empty()) {
        Some(true) => all.push(Command::AddElements(loopback6(instance))),
        Some(false) => all.push(Command::DestroyElements(loopback6(instance))),
        None => {}
    }
    if all.is_empty() {
        return;
    }
    plan.push(NftOp { commands: all }, reason(sandbox, before, after));
    let flows = flows(before, after);
    if !flows.is_empty() {
        let why = format!(
            "{sandbox}: what is sent to its UDP ports meets the new rules, not what is known of earlier packets"
        );
        plan.push(ConntrackOp::Forget { flows }, why);
    }
}

/// UDP has no end: as long as packets come, an entry of connection tracking leads them to where the first one went.
fn flows(before: &Published<'_>, after: &Published<'_>) -> Vec<Flow> {
    let mut flows = Vec::new();
    let protocol = Protocol::Udp;
    let udp = |published: &Published<'_>| {
        let ports = published.ports.iter().filter(|one| one.protocol == protocol).copied();
        published
            .landings()
            .flat_map(|landing| ports.clone().map(move |one| (landing.address, one)))
            .collect::<Vec<_>>()
    };
    let (old, new) = (udp(before), udp(after));
    for (address, one) in old.iter().filter(|one| !new.contains(one)) {
        let answered = |(_, port)| Flow::AnsweredBy { protocol, address: *address, port };
        flows.extend(one.pairs().map(answered));
    }
    for (address, one) in new.iter().filter(|one| !old.contains(one)) {
        let at: Vec<IpAddr> = match one.address_of(address.is_ipv4()) {
            None => Vec::new(),
            Some(all) if all.is_unspecified() => after
                .host
                .addresses
                .iter()
                .filter(|host| host.is_ipv4() == address.is_ipv4())
                .copied()
                .collect(),
            Some(at) => vec![at],
        };
        for at in at {
            flows.extend(one.pairs().map(|(port, _)| Flow::SentTo { protocol, address: Some(at), port }));
        }
    }
    flows
}

fn reason(sandbox: &str, before: &Published<'_>, after: &Published<'_>) -> String {
    let text = |published: &Published<'_>| {
        let shown: Vec<String> = published.ports.iter().map(ToString::to_string).collect();
        shown.join(", ")
    };
    let networks = |published: &Published<'_>| {
        let mut names: Vec<&str> =
            published.landings().map(|landing| landing.network.name.as_str()).collect();
        names.dedup();
        names.join(" and ")
    };
    match (before.landings().next(), after.landings().next()) {
        (Some(_), Some(_)) if after.ports.is_empty() => {
            format!("{sandbox}: {} published no longer", text(before))
        }
        (_, None) => format!("{sandbox}: {} published no longer", text(before)),
        (None, Some(_)) => format!("{sandbox}: published: {}", text(after)),
        (Some(_), Some(_)) if before.ports != after.ports => {
            format!("{sandbox}: now published: {}", text(after))
        }
        (Some(_), Some(_)) => {
            format!("{sandbox}: published ports lead to its address on {}", networks(after))
        }
    }
}

/// What lets a container reach its own published port where the bridge calls iptables: the bridge translates the
/// destination itself then, and sends the frame back to where it came from.
fn open_port(plan: &mut Plan, sandbox: &str, published: &Published<'_>, before: &Published<'_>) {
    let translating = |published: &Published<'_>| {
        let ports =
            published.landings().filter(|landing| landing.translates()).map(|landing| landing.port.clone());
        if published.ports.is_empty() { BTreeSet::new() } else { ports.collect::<BTreeSet<IfName>>() }
    };
    for name in translating(published).difference(&translating(before)) {
        let settings = LinkSettings { hairpin: true, ..LinkSettings::default() };
        let why =
            format!("{sandbox} reaches its own published ports, also where bridged frames meet iptables");
        plan.push(LinkOp::Set { netns: Netns::Host, name: name.clone(), settings }, why);
    }
}

/// What makes 127.0.0.1 and ::1 lead to a container: the answers come in by the bridge for an address that the kernel
/// otherwise takes from the loopback link alone.
///
/// What was opened `before` is open.
fn open_loopback(plan: &mut Plan, sandbox: &str, published: &Published<'_>, before: &Published<'_>) {
    let same = |one: &Landing<'_>, other: &Landing<'_>| {
        one.network.id == other.network.id && one.address.is_ipv4() == other.address.is_ipv4()
    };
    let opened: Vec<Landing<'_>> = before.at_loopback().collect();
    for landing in published.at_loopback().filter(|one| !opened.iter().any(|other| same(one, other))) {
        let bridge = landing.network.bridge_name.clone();
        if landing.address.is_ipv4() {
            let devconf = vec![(DevConf::RouteLocalnet, true)];
            let settings = LinkSettings { devconf, ..LinkSettings::default() };
            let why = format!(
                "{sandbox}'s ports are reached at 127.0.0.1 too: its answers may come in by {bridge}"
            );
            plan.push(LinkOp::Set { netns: Netns::Host, name: bridge, settings }, why);
        } else if !published.host.bridge_calls_ip6tables {
            let why =
                format!("{sandbox}'s ports are reached at ::1 too: its answers may come in by {bridge}");
            plan.push(RouteOp::Loopback { link: bridge, metric: metric(landing.network) }, why);
        }
    }
}

/// A metric that no other network's route has, but by an improbable chance: from the network's id.
fn metric(network: &Network) -> u32 {
    const DIGITS: usize = 6;
    1024 + u32::from_str_radix(&network.id.as_str()[..DIGITS], 16).expect("an id is hexadecimal digits")
}

pub(crate) fn value(address: IpAddr) -> Value {
    match address {
        IpAddr::V4(address) => Value::Ipv4(address),
        IpAddr::V6(address) => Value::Ipv6(address),
    }
}
