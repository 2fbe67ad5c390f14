//! Publishing ports of containers, and withdrawing them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use pontoon_kernel::address;
use pontoon_kernel::execute::Refusal;
use pontoon_kernel::port::{self, Holder, PortError, Prober};
use pontoon_model::publish::{HostPorts, Protocol, PublishSpec, free_ports, merge};
use pontoon_model::sandbox::Status;
use pontoon_model::{ContainerRef, Endpoint, Network, Publication, Sandbox};
use pontoon_netlink::address::DumpAddresses;
use pontoon_netlink::socket_diag::State;
use pontoon_plan::Plan;
use pontoon_plan::publish::{Host, Published, change};
use pontoon_plan::ruleset::loopback6;
use pontoon_store::{Recovery, Subject, Tx};

use crate::connect::Candidates;
use crate::journal::{Prepared, Preparing};
use crate::observe::bridge_calls_ip6tables;
use crate::recover::clean;
use crate::resolve::{self, Target};
use crate::{Engine, EngineError, Mode, Outcome};

/// Where the search for a free port of the host goes on: the one that was given out last.
const LAST_GIVEN: &str = "last-given-port";

/// A container whose published ports were changed.
#[derive(Debug, Clone)]
pub struct PortsChanged {
    /// The container, without its ports.
    pub sandbox: Sandbox,
    /// Those that were added or withdrawn.
    pub ports: Vec<Publication>,
}

/// Ports of the host to withdraw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Withdraw {
    /// On this address alone; wherever they are published otherwise.
    pub address: Option<IpAddr>,
    /// Their protocol.
    pub protocol: Protocol,
    /// The first.
    pub first: u16,
    /// The last.
    pub last: u16,
}

impl Withdraw {
    fn covers(&self, one: &Publication) -> bool {
        let address = self.address.is_none() || self.address == one.address;
        address && self.protocol == one.protocol && (self.first..=self.last).contains(&one.host)
    }
}

impl std::fmt::Display for Withdraw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.address {
            None => {}
            Some(IpAddr::V4(address)) => write!(f, "{address}:")?,
            Some(IpAddr::V6(address)) => write!(f, "[{address}]:")?,
        }
        match self.first == self.last {
            true => write!(f, "{}/{}", self.first, self.protocol),
            false => write!(f, "{}-{}/{}", self.first, self.last, self.protocol),
        }
    }
}

impl Engine {
    /// Publishes ports of a container that runs.
    ///
    /// # Errors
    ///
    /// If there is no such container, or somebody has one of the host's ports.
    pub fn publish(
        &mut self,
        container: &ContainerRef,
        specs: &[PublishSpec],
    ) -> Result<Outcome<PortsChanged>, EngineError> {
        let mut target = self.target(container)?;
        if target.is_new {
            return Err(EngineError::NotOnANetwork(container.to_string()));
        }
        let networks = self.store.read(|tx| Candidates::of(tx, &target.sandbox))?;
        self.check_ports(specs, networks.borrowed().into_iter().map(|(_, network)| network))?;
        self.mend_rules()?;
        let instance = self.instance().clone();
        let host = self.port_host(specs.iter().map(|spec| (spec.protocol, spec.address)))?;
        self.alone_with(&[target.sandbox.netns], |engine| {
            let configured = engine.config.published_ports.clone();
            engine.change(
                |at| {
                    resolve::settle(at.tx, &mut target)?;
                    let known = Candidates::of(at.tx, &target.sandbox)?;
                    let ports = choose(at, &target.sandbox, specs, &known, configured)?;
                    let before = at.tx.ports_beside(&target.sandbox.id, &ports)?;
                    let after = sorted(&before, &ports);
                    let (old, new) = (known.published(&before, &host), known.published(&after, &host));
                    if new.leads_nowhere() {
                        at.warnings.push(waiting(&target.sandbox));
                    }
                    let mut plan = Plan::default();
                    change(&mut plan, &instance, target.sandbox.name.as_str(), &old, &new);
                    let what = format!("publish ports of {}", target.sandbox.name);
                    Ok(prepared(&target.sandbox, ports, plan, Recovery::Undo, what))
                },
                |tx, changed| {
                    let ended = |now: Sandbox| matches!(now.status, Status::Exited(_));
                    match tx.bare().sandbox(&changed.sandbox.id)?.is_none_or(ended) {
                        true => Err(EngineError::NotRunning(changed.sandbox.name.to_string())),
                        false => Ok(()),
                    }
                },
            )
        })
    }

    /// Withdraws published ports of a container; all of them if none is named.
    ///
    /// # Errors
    ///
    /// If there is no such container, or it has not published one of those.
    pub fn unpublish(
        &mut self,
        container: &ContainerRef,
        which: &[Withdraw],
    ) -> Result<Outcome<PortsChanged>, EngineError> {
        let mut target = self.publishing(container)?;
        let instance = self.instance().clone();
        self.alone_with(&[target.sandbox.netns], |engine| {
            engine.change(
                |at| {
                    resolve::settle(at.tx, &mut target)?;
                    let gone = meant(at.tx, &target.sandbox, which)?;
                    let after = at.tx.ports_beside(&target.sandbox.id, &gone)?;
                    let before = sorted(&after, &gone);
                    let host = PortHost::default();
                    let known = Candidates::of(at.tx, &target.sandbox)?;
                    let mut plan = Plan::default();
                    let (old, new) = (known.published(&before, &host), known.published(&after, &host));
                    change(&mut plan, &instance, target.sandbox.name.as_str(), &old, &new);
                    let what = format!("withdraw ports of {}", target.sandbox.name);
                    Ok(prepared(&target.sandbox, gone, plan, Recovery::Finish, what))
                },
                |tx, changed| Ok(clean(tx, &subject(&changed.sandbox, &changed.ports))?),
            )
        })
    }

    /// The container that a reference means, also a namespace of somebody else's that is gone.
    fn publishing(&mut self, container: &ContainerRef) -> Result<Target, EngineError> {
        let error = match self.target(container) {
            Ok(target) if !target.is_new => return Ok(target),
            Ok(_) => EngineError::NotOnANetwork(container.to_string()),
            Err(error) => error,
        };
        let meant = |sandbox: &Sandbox| !sandbox.is_ours() && sandbox.is_meant_by(container);
        let sandbox = self.store.read(|tx| tx.sandboxes())?.into_iter().find(meant).ok_or(error)?;
        Ok(Target { netns: resolve::netns(&sandbox), is_new: false, sandbox })
    }

    /// Refuses ports of the host that another program has, before anything is changed. `networks` are those that the
    /// container may be on: where one has an address for ports that name none, [`choose`] looks at those.
    ///
    /// # Errors
    ///
    /// [`EngineError::PortInUse`] with who has it; that an address is none of the host's.
    pub(crate) fn check_ports<'a>(
        &self,
        specs: &[PublishSpec],
        networks: impl IntoIterator<Item = &'a Network>,
    ) -> Result<(), EngineError> {
        let bound = networks.into_iter().any(|network| binding(network).is_some());
        let asked = specs.iter().filter(|spec| spec.address.is_some() || !bound);
        let mut wanted: BTreeMap<(Option<IpAddr>, Protocol), Vec<u16>> = BTreeMap::new();
        for spec in asked {
            let HostPorts::Exactly(first) = spec.host else { continue };
            let ports = spec.at(first).pairs().map(|(port, _)| port);
            wanted.entry((spec.address, spec.protocol)).or_default().extend(ports);
        }
        for ((address, protocol), ports) in wanted {
            match self.store.read(|tx| check(tx, address, protocol, ports)) {
                // A plan to look at need not fail for what its reader may not do.
                Err(EngineError::Probe(PortError::Denied { .. })) if self.mode == Mode::DryRun => {}
                checked => checked?,
            }
        }
        Ok(())
    }

    /// What published ports depend on, if there are any: the host's addresses, where flows to any of them are to be
    /// forgotten, and whether its bridges call ip6tables.
    pub(crate) fn port_host(
        &mut self,
        ports: impl IntoIterator<Item = (Protocol, Option<IpAddr>)>,
    ) -> Result<PortHost, EngineError> {
        let ports: Vec<(Protocol, Option<IpAddr>)> = ports.into_iter().collect();
        if ports.is_empty() {
            return Ok(PortHost::default());
        }
        let on_all = |address: Option<IpAddr>| address.is_none_or(|address| address.is_unspecified());
        let bridge_calls_ip6tables = bridge_calls_ip6tables();
        let wanted = !bridge_calls_ip6tables;
        let loopback6 = (self.knows_loopback6()? != wanted).then_some(wanted);
        let mut host = PortHost { bridge_calls_ip6tables, loopback6, ..PortHost::default() };
        if ports.iter().any(|(protocol, address)| *protocol == Protocol::Udp && on_all(*address)) {
            let found = address::list(self.executor.host(), &DumpAddresses::default())?;
            host.addresses = found.into_iter().map(|found| found.local.address).collect();
        }
        let localhost = Some(IpAddr::V6(std::net::Ipv6Addr::LOCALHOST));
        if host.bridge_calls_ip6tables && ports.iter().any(|(_, address)| *address == localhost) {
            self.warn(
                "::1 leads to no container while net.bridge.bridge-nf-call-ip6tables is 1 (127.0.0.1 does): \
                 connections there are refused",
            );
        }
        Ok(host)
    }
}

impl Engine {
    /// Whether the table lets ::1 lead to containers. Where rules may not be read, it is taken to be as it should.
    fn knows_loopback6(&mut self) -> Result<bool, EngineError> {
        let known = loopback6(self.instance());
        match self.executor.has_element(&known.table, &known.set, &known.elements[0]) {
            Err(Refusal::Kernel(error)) if error.is_denied() && self.mode == Mode::DryRun => {
                Ok(!bridge_calls_ip6tables())
            }
            found => Ok(found?),
        }
    }
}

/// What was seen of the host for published ports.
#[derive(Debug, Clone, Default)]
pub(crate) struct PortHost {
    addresses: Vec<IpAddr>,
    bridge_calls_ip6tables: bool,
    loopback6: Option<bool>,
}

impl PortHost {
    fn view(&self) -> Host<'_> {
        let Self { bridge_calls_ip6tables, loopback6, .. } = *self;
        Host { addresses: &self.addresses, bridge_calls_ip6tables, loopback6 }
    }
}

/// The host's address for ports that name none. All of IPv4's is what there is without the option: all of both families'.
fn binding(network: &Network) -> Option<IpAddr> {
    network.bridge.host_binding.filter(|address| !address.is_unspecified()).map(IpAddr::V4)
}

/// Refuses ports that another program has.
fn check(
    tx: &Tx<'_>,
    address: Option<IpAddr>,
    protocol: Protocol,
    ports: impl IntoIterator<Item = u16>,
) -> Result<(), EngineError> {
    for port in Prober::new(address, protocol).taken(ports)? {
        let holders = in_the_way(tx, address, protocol, port)?;
        if !holders.is_empty() {
            return Err(EngineError::PortInUse { port, protocol, holders });
        }
    }
    Ok(())
}

/// Programs whose sockets would not get what is sent to a port any more. A connection that uses the port is not in the
/// way: its packets are known to belong to it; nor is what listens on our own bridges alone, where the daemon is asked for
/// names.
fn in_the_way(
    tx: &Tx<'_>,
    address: Option<IpAddr>,
    protocol: Protocol,
    port: u16,
) -> Result<Vec<Holder>, EngineError> {
    let mut holders = port::holders(address, protocol, port)?;
    holders.retain(|holder| matches!(holder.state, State::Listen | State::Close | State::BoundInactive));
    if holders.iter().any(|holder| holder.device.is_some()) {
        let networks = tx.networks()?;
        let ours = |device: &String| networks.iter().any(|network| network.bridge_name.as_str() == device);
        holders.retain(|holder| !holder.device.as_ref().is_some_and(ours));
    }
    Ok(holders)
}

/// See [`Reader::shadowed`](crate::report::Reader::shadowed).
pub(crate) fn shadowed(tx: &Tx<'_>, sandbox: &Sandbox) -> Result<Vec<(u16, Holder)>, EngineError> {
    let mut found = Vec::new();
    for one in &sandbox.ports {
        let mut prober = Prober::new(one.address, one.protocol);
        for port in prober.taken(one.pairs().map(|(port, _)| port))? {
            let holders = in_the_way(tx, one.address, one.protocol, port)?;
            found.extend(holders.into_iter().map(|holder| (port, holder)));
        }
    }
    Ok(found)
}

/// The ports of the host for what is to be published, taken for the container.
pub(crate) fn choose(
    at: &Preparing<'_, '_>,
    sandbox: &Sandbox,
    specs: &[PublishSpec],
    known: &Candidates,
    configured: Option<std::ops::RangeInclusive<u16>>,
) -> Result<Vec<Publication>, EngineError> {
    let binding = known.elected(true).and_then(|(_, network)| binding(network));
    let tx = at.tx;
    let mut ports = Vec::new();
    let mut take = |one: Publication| -> Result<(), EngineError> {
        tx.ports_take(&one, &sandbox.id)?;
        ports.push(one);
        Ok(())
    };
    for spec in specs {
        let bound = spec.address.is_none() && binding.is_some();
        let spec = PublishSpec { address: spec.address.or(binding), ..*spec };
        match spec.host {
            HostPorts::Exactly(first) => {
                if bound {
                    let ports = spec.at(first).pairs().map(|(port, _)| port);
                    check(tx, spec.address, spec.protocol, ports)?;
                }
                take(spec.at(first))?;
            }
            HostPorts::OneOf { first, last } => {
                let none = EngineError::NoFreePort { protocol: spec.protocol, first, last };
                take(free(tx, &spec, first..=last)?.ok_or(none)?)?;
            }
            HostPorts::Free => {
                for step in 0..spec.count {
                    let one = PublishSpec { container: spec.container + step, count: 1, ..spec };
                    take(any_free(tx, &one, configured.clone())?)?;
                }
            }
        }
    }
    Ok(merge(ports))
}

/// A free port from where those come from that nobody asked for. The search goes on where it stopped the last time:
/// what it costs does not depend on how many are taken.
fn any_free(
    tx: &Tx<'_>,
    spec: &PublishSpec,
    configured: Option<std::ops::RangeInclusive<u16>>,
) -> Result<Publication, EngineError> {
    let all: Vec<u16> = free_ports(port::local_port_range()?, configured).collect();
    let last: Option<u16> = tx.meta_get(LAST_GIVEN)?.and_then(|text| text.parse().ok());
    let start = last.and_then(|last| all.iter().position(|port| *port == last)).map_or(0, |place| place + 1);
    let found = free(tx, spec, all[start..].iter().chain(&all[..start]).copied())?;
    let (first, last) = (all.iter().min().copied().unwrap_or(0), all.iter().max().copied().unwrap_or(0));
    let found = found.ok_or(EngineError::NoFreePort { protocol: spec.protocol, first, last })?;
    tx.meta_set(LAST_GIVEN, &found.host.to_string())?;
    Ok(found)
}

/// The first of these ports that nobody has.
fn free(
    tx: &Tx<'_>,
    spec: &PublishSpec,
    ports: impl IntoIterator<Item = u16>,
) -> Result<Option<Publication>, EngineError> {
    let mut prober = Prober::new(spec.address, spec.protocol);
    for port in ports {
        let publication = spec.at(port);
        if tx.ports_are_free(&publication)? && prober.taken([port])?.is_empty() {
            return Ok(Some(publication));
        }
    }
    Ok(None)
}

/// A container's ports that are to be withdrawn.
fn meant(tx: &Tx<'_>, sandbox: &Sandbox, which: &[Withdraw]) -> Result<Vec<Publication>, EngineError> {
    if which.is_empty() {
        return Ok(tx.ports_of(&sandbox.id)?);
    }
    let mut gone = BTreeSet::new();
    for one in which {
        let mut found = tx.ports_within(&sandbox.id, one.protocol, one.first..=one.last)?;
        found.retain(|found| one.covers(found));
        if found.is_empty() {
            let (container, port) = (sandbox.name.to_string(), one.to_string());
            return Err(EngineError::NotPublished { container, port });
        }
        gone.extend(found);
    }
    Ok(merge(gone.into_iter().collect()))
}

/// All of them in order, as they are.
fn sorted(some: &[Publication], others: &[Publication]) -> Vec<Publication> {
    let mut all = [some, others].concat();
    all.sort_unstable();
    all
}

pub(crate) fn waiting(sandbox: &Sandbox) -> String {
    match sandbox.is_ours() {
        true => {
            format!(
                "the published ports of {} lead nowhere until it is on a network with a way out",
                sandbox.name
            )
        }
        // Its record goes with its last network.
        false => format!(
            "the published ports of {} lead nowhere, and are forgotten with its last network",
            sandbox.name
        ),
    }
}

fn subject(sandbox: &Sandbox, ports: &[Publication]) -> Subject {
    Subject::Ports { sandbox: sandbox.id.clone(), ports: ports.to_vec(), endpoint: None }
}

fn prepared(
    sandbox: &Sandbox,
    ports: Vec<Publication>,
    plan: Plan,
    recovery: Recovery,
    what: String,
) -> Prepared<PortsChanged> {
    let subject = subject(sandbox, &ports);
    Prepared { value: PortsChanged { sandbox: sandbox.clone(), ports }, plan, subject, recovery, what }
}

impl Candidates {
    /// The endpoint whose gateway is the default route of a family, with its network.
    pub(crate) fn elected(&self, v4: bool) -> Option<(&Endpoint, &Network)> {
        pontoon_plan::endpoint::elected(&self.borrowed(), v4)
    }

    /// Where ports lead.
    pub(crate) fn published<'a>(&'a self, ports: &'a [Publication], host: &'a PortHost) -> Published<'a> {
        Published { host: host.view(), ..Published::new(ports, self.elected(true), self.elected(false)) }
    }
}
