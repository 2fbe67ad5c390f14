//! Published ports: elements of the table's maps, which follow the endpoint that has the default route.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use pontoon_model::network::AddressPool;
use pontoon_model::op::{ConntrackOp, DevConf, Flow, LinkOp, LinkSettings, Netns, NftOp, RouteOp};
use pontoon_model::option::GatewayMode;
use pontoon_model::publish::Protocol;
use pontoon_model::{Endpoint, IfName, Network, Publication};
use pontoon_nft::syntax::{self, Command, Element, Value};

use crate::account::{Account, accounts_at};
use crate::ruleset::{loopback6, name};
use crate::{Instance, Plan};

/// How many elements one command has: the kernel's attribute for them is at most 64 KiB long.
const AT_ONCE: usize = 256;
/// How many publications a reason names.
const SHOWN: usize = 16;

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

    /// What this has and `other` has not, by the set's name: elements of the table's maps, or also those that packets have
    /// made for it since. It costs what is different, whatever they have in common.
    fn elements_without(&self, other: &Self, accounts: Accounts) -> Elements {
        let mut elements = Elements::new();
        let mut left = None;
        for landing in self.landings() {
            let same = other.landings().find(|one| landing.leads_alike(one));
            let (ports, had): (&[Publication], _) = match same {
                Some(_) => (left.get_or_insert_with(|| without(self.ports, other.ports)), other.ports),
                None => (self.ports, [].as_slice()),
            };
            landing.add_elements(ports, &mut elements);
            landing.add_accounts(ports, had, accounts, &mut elements);
            let had = same.is_some_and(|one| one.is_reached_by_itself(other.ports));
            if landing.is_reached_by_itself(self.ports) && !had {
                landing.add_itself(&mut elements);
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

    /// Whether ports have the same elements here as there.
    fn leads_alike(&self, other: &Landing<'_>) -> bool {
        let mode = |landing: &Landing<'_>| landing.network.gateway_mode(landing.pool);
        let alike = mode(self) == mode(other) || self.translates() && other.translates();
        self.address == other.address && alike
    }

    /// Whether the container's own packets come back to it by one of these ports.
    fn is_reached_by_itself(&self, ports: &[Publication]) -> bool {
        self.translates() && ports.iter().any(|one| self.takes(one))
    }

    fn add_itself(&self, elements: &mut Elements) {
        let set = if self.address.is_ipv4() { name::SELF4 } else { name::SELF6 };
        let itself = || value(self.address);
        elements.entry(set).or_default().push(Element::new([itself(), itself()]));
    }

    fn add_elements(&self, ports: &[Publication], elements: &mut Elements) {
        for publication in ports {
            for (host, container) in publication.pairs() {
                if let Some((set, element)) = self.element(publication, host, container) {
                    elements.entry(set).or_default().push(element);
                }
            }
        }
    }

    /// The accounts of ports but for those that lead to a port of the container to which others lead as well.
    fn add_accounts(
        &self,
        ports: &[Publication],
        others: &[Publication],
        which: Accounts,
        elements: &mut Elements,
    ) {
        if which == Accounts::LettingIn && self.translates() {
            return;
        }
        let shared = |account: &Account| {
            let leads_there = |one: &Publication| {
                let behind = account.port.checked_sub(one.container);
                one.protocol == account.protocol && behind.is_some_and(|steps| steps < one.count)
            };
            others.iter().any(|one| self.takes(one) && leads_there(one))
        };
        let mut seen = BTreeSet::new();
        for account in accounts_at(*self, ports) {
            if !shared(&account) && seen.insert((account.protocol, account.port)) {
                let sets = [account.inward, account.outward];
                let sets = if which == Accounts::All { &sets[..] } else { &sets[..1] };
                for set in sets {
                    elements.entry(*set).or_default().push(account.element());
                }
            }
        }
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

/// Which elements that count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Accounts {
    /// Those without which nothing gets to a container whose network is routed. Packets make the others.
    LettingIn,
    /// All that there may be.
    All,
}

/// Elements of the table's maps, by the map's name.
type Elements = BTreeMap<&'static str, Vec<Element>>;

/// The ports that `others` does not have, in their order; both in order, whether or not
/// [`merge`](pontoon_model::publish::merge) made ranges of them.
fn without(ports: &[Publication], others: &[Publication]) -> Vec<Publication> {
    let (mut own, mut rest) = (Vec::new(), Vec::new());
    let (mut at, mut there) = (ports.iter().peekable(), others.iter().peekable());
    while let (Some(one), Some(other)) = (at.peek(), there.peek()) {
        match one.cmp(other) {
            Ordering::Equal => drop((at.next(), there.next())),
            Ordering::Less => own.extend(at.next()),
            Ordering::Greater => rest.extend(there.next()),
        }
    }
    own.extend(at);
    rest.extend(there);
    // What is left may still be parts of each other.
    let mut taken: BTreeMap<_, BTreeSet<(u32, u32)>> = BTreeMap::new();
    for other in rest {
        taken.entry(kind(other)).or_default().insert(ends(other));
    }
    own.into_iter().flat_map(|one| parts(one, taken.get(&kind(one)))).collect()
}

/// What is left of a publication without ranges of the host's ports.
fn parts(one: &Publication, taken: Option<&BTreeSet<(u32, u32)>>) -> Vec<Publication> {
    let (mut first, end) = ends(one);
    let mut left = Vec::new();
    let mut keep = |first: u32, end: u32| {
        // Both are within the publication, whose ports are 16 bits long.
        let step = (first - u32::from(one.host)) as u16;
        let count = end.saturating_sub(first) as u16;
        if count > 0 {
            left.push(Publication { host: one.host + step, container: one.container + step, count, ..*one });
        }
    };
    // Nobody has a port twice: the ranges follow each other.
    for (start, stop) in taken.into_iter().flatten() {
        if *start < end && first < *stop {
            keep(first, (*start).max(first));
            first = (*stop).min(end);
        }
    }
    keep(first, end);
    left
}

/// The same for publications of which one may be a part of the other.
fn kind(one: &Publication) -> (Option<IpAddr>, Protocol, i32) {
    (one.address, one.protocol, i32::from(one.container) - i32::from(one.host))
}

/// The first of the host's ports, and the one behind the last.
fn ends(one: &Publication) -> (u32, u32) {
    (one.host.into(), u32::from(one.host) + u32::from(one.count))
}

/// The commands that make the table know published ports.
pub fn add(instance: &Instance, published: &Published<'_>) -> Vec<Command> {
    let elements = published.elements_without(&Published::default(), Accounts::LettingIn);
    commands(instance, elements, Command::AddElements)
}

fn commands(
    instance: &Instance,
    elements: Elements,
    command: fn(syntax::Elements) -> Command,
) -> Vec<Command> {
    let mut commands = Vec::new();
    for (set, elements) in elements {
        let mut elements = elements.into_iter().peekable();
        while elements.peek().is_some() {
            let some: Vec<Element> = elements.by_ref().take(AT_ONCE).collect();
            commands.push(command(syntax::Elements::new(instance.table(), set, some)));
        }
    }
    commands
}

/// Adds the steps that turn what the table knows of a container's ports into what it is to know: one transaction,
/// so that no connection finds neither.
///
/// Where the container stays as it is and only some ports are added or withdrawn, not all that stay need be given on both
/// sides: one on each address, and on each address one for each port of the container that those lead to as well, say
/// the same.
pub fn change(
    plan: &mut Plan,
    instance: &Instance,
    sandbox: &str,
    before: &Published<'_>,
    after: &Published<'_>,
) {
    let old = before.elements_without(after, Accounts::All);
    let new = after.elements_without(before, Accounts::LettingIn);
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
            .collect::<BTreeSet<_>>()
    };
    let (old, new) = (udp(before), udp(after));
    for (address, one) in old.difference(&new) {
        let answered = |(_, port)| Flow::AnsweredBy { protocol, address: *address, port };
        flows.extend(one.pairs().map(answered));
    }
    for (address, one) in new.difference(&old) {
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
    let text = |ports: &[Publication]| {
        let mut shown: Vec<String> = ports.iter().take(SHOWN).map(ToString::to_string).collect();
        if ports.len() > SHOWN {
            shown.push(format!("{} more", ports.len() - SHOWN));
        }
        shown.join(", ")
    };
    let networks = |published: &Published<'_>| {
        let mut names: Vec<&str> =
            published.landings().map(|landing| landing.network.name.as_str()).collect();
        names.dedup();
        names.join(" and ")
    };
    match (before.landings().next(), after.landings().next()) {
        (_, None) => format!("{sandbox}: {} published no longer", text(before.ports)),
        (None, Some(_)) => format!("{sandbox}: published: {}", text(after.ports)),
        (Some(_), Some(_)) => {
            let (gone, new) = (without(before.ports, after.ports), without(after.ports, before.ports));
            match (gone.is_empty(), new.is_empty()) {
                (_, false) => format!("{sandbox}: now published: {}", text(&new)),
                (false, true) => format!("{sandbox}: {} published no longer", text(&gone)),
                (true, true) => {
                    format!("{sandbox}: published ports lead to its address on {}", networks(after))
                }
            }
        }
    }
}

/// What lets a container reach its own published port where the bridge calls iptables: the bridge translates the
/// destination itself then, and sends the frame back to where it came from.
fn open_port(plan: &mut Plan, sandbox: &str, published: &Published<'_>, before: &Published<'_>) {
    let reached = |published: &Published<'_>| -> BTreeSet<IfName> {
        let by_itself = published.landings().filter(|landing| landing.is_reached_by_itself(published.ports));
        by_itself.map(|landing| landing.port.clone()).collect()
    };
    for name in reached(published).difference(&reached(before)) {
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use pontoon_model::op::Op;
    use pontoon_model::publish::merge;
    use proptest::prelude::*;

    use super::*;
    use crate::ruleset::example::network;

    fn publications() -> impl Strategy<Value = Vec<Publication>> {
        let one =
            (0..2u8, 0..40u16, 1..12u16, 0..3u16).prop_map(|(address, host, count, apart)| Publication {
                address: (address == 1).then_some(IpAddr::from([127, 0, 0, 1])),
                protocol: Protocol::Tcp,
                host: 8000 + host,
                container: 8000 + host + apart,
                count,
            });
        proptest::collection::vec(one, 0..8).prop_map(|all| {
            // Nobody has a port twice.
            let mut seen = BTreeSet::new();
            merge(all.iter().flat_map(singles).filter(|one| seen.insert((one.address, one.host))).collect())
        })
    }

    fn singles(one: &Publication) -> Vec<Publication> {
        let single = |(host, container)| Publication { host, container, count: 1, ..*one };
        one.pairs().map(single).collect()
    }

    /// Of the ports that stay, those that are enough for [`change`].
    fn representatives(stay: &[Publication], some: &[Publication]) -> Vec<Publication> {
        let inside: BTreeSet<u16> = some.iter().flat_map(singles).map(|one| one.container).collect();
        let (mut addresses, mut leading) = (BTreeSet::new(), BTreeSet::new());
        let mut is_needed = |one: &Publication| {
            let leads = inside.contains(&one.container) && leading.insert((one.address, one.container));
            addresses.insert(one.address) | leads
        };
        let mut found: Vec<Publication> =
            stay.iter().flat_map(singles).filter(|one| is_needed(one)).collect();
        found.sort_unstable();
        found
    }

    /// What a change does, each element by itself.
    fn done(before: &Published<'_>, after: &Published<'_>) -> BTreeSet<String> {
        let mut plan = Plan::default();
        change(&mut plan, &Instance::host(), "web", before, after);
        let mut all = BTreeSet::new();
        for step in plan.steps {
            let Op::Nft(NftOp { commands }) = step.op else {
                all.insert(format!("{:?}", step.op));
                continue;
            };
            for command in commands {
                let (word, elements) = match command {
                    Command::AddElements(elements) => ("add", elements),
                    Command::DestroyElements(elements) => ("destroy", elements),
                    other => panic!("{other:?}"),
                };
                let each = elements.elements.iter();
                all.extend(each.map(|element| format!("{word} {} {element:?}", elements.set)));
            }
        }
        all
    }

    proptest! {
        /// One of the ports that stay on each address, and one for each port of the container, say what all of them do.
        #[test]
        fn a_few_speak_for_all_that_stay(
            all in publications(), chosen in any::<u64>(), routed in any::<[bool; 2]>(), steps in 0..30u16,
        ) {
            let mut network = network("blue", 18);
            let mode = |routed: bool| if routed { GatewayMode::Routed } else { GatewayMode::Nat };
            (network.bridge.gateway_mode_v4, network.bridge.gateway_mode_v6) = (mode(routed[0]), mode(routed[1]));
            let port: IfName = "vethweb".parse().unwrap();
            let landing = |pool, address| Landing { network: &network, pool, address, port: &port };
            let v4 = network.v4.as_ref().map(|pool| landing(pool, IpAddr::from([172, 18, 0, 2])));
            let v6 = network.v6.as_ref().map(|pool| landing(pool, "fd00:18::2".parse().unwrap()));
            let lead = |ports| Published { ports, v4, v6, host: Host::default() };
            // Many lead to the same port of the container.
            let all = all.iter().flat_map(singles);
            let all: Vec<_> = all.map(|one| Publication { container: 80 + one.container % (steps + 1), ..one }).collect();
            let (some, stay): (Vec<_>, Vec<_>) =
                all.iter().enumerate().partition(|(index, _)| chosen >> (index % 64) & 1 == 1);
            let plain = |ports: Vec<(usize, &Publication)>| ports.into_iter().map(|(_, one)| *one).collect::<Vec<_>>();
            let (some, stay, all) = (merge(plain(some)), merge(plain(stay)), merge(all));
            let few = representatives(&stay, &some);
            let mut with = [few.clone(), some].concat();
            with.sort_unstable();
            prop_assert_eq!(done(&lead(&few), &lead(&with)), done(&lead(&stay), &lead(&all)));
            prop_assert_eq!(done(&lead(&with), &lead(&few)), done(&lead(&all), &lead(&stay)));
        }
    }

    proptest! {
        /// What is left of ranges is what is left of their ports.
        #[test]
        fn ranges_differ_as_their_ports_do(one in publications(), other in publications()) {
            let set = |all: &[Publication]| all.iter().flat_map(singles).collect::<BTreeSet<_>>();
            let left = without(&one, &other);
            prop_assert_eq!(set(&left), &set(&one) - &set(&other));
            prop_assert_eq!(left.iter().map(|one| usize::from(one.count)).sum::<usize>(), set(&left).len());
        }
    }
}
