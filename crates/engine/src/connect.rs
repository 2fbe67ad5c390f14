//! Connecting a container to a network, and disconnecting it.

mod request;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::time::Duration;

use pontoon_kernel::route;
use pontoon_model::endpoint::{EndpointState, NameLink};
use pontoon_model::network::Driver;
use pontoon_model::op::Netns;
use pontoon_model::publish::PublishSpec;
use pontoon_model::{ContainerRef, Endpoint, EndpointId, IfName, Mac, Network, Publication, Sandbox};
use pontoon_netlink::Family;
use pontoon_netlink::route::{DumpRoutes, Route, TABLE_MAIN};
use pontoon_plan::Plan;
use pontoon_plan::endpoint::{DefaultRoutes, Detach, elect};
use pontoon_store::{PortError, Recovery, Subject, Tx};

use crate::journal::{Prepared, Preparing, random};
use crate::network::DEFAULT;
use crate::plug::Interface;
use crate::publish::{self, PortHost};
use crate::recover::{clean, concerns};
use crate::resolve::{self, Target};
use crate::{Engine, EngineError, Mode, Outcome, guard, impair};
use request::Request;

/// What `network connect` was given.
#[derive(Debug, Clone, Default)]
pub struct ConnectSpec {
    /// The IPv4 address to have.
    pub ip: Option<Ipv4Addr>,
    /// The IPv6 address to have.
    pub ip6: Option<Ipv6Addr>,
    /// Link-local addresses to have besides.
    pub link_local: Vec<IpAddr>,
    /// More names.
    pub aliases: Vec<String>,
    /// What it alone calls others.
    pub links: Vec<NameLink>,
    /// The Ethernet address to have.
    pub mac: Option<Mac>,
    /// Whose gateway becomes the default route: the highest.
    pub gw_priority: i64,
    /// The interface's name.
    pub ifname: Option<IfName>,
    /// Endpoint options.
    pub options: BTreeMap<String, String>,
    /// Ports of the container to publish.
    pub publish: Vec<PublishSpec>,
    /// Addresses that it is not to get by itself: somebody is going to ask for them.
    pub avoid: Vec<IpAddr>,
}

/// How long to wait, and how often, for the port of a container that has ended: its network goes within that time; and
/// for a network that is being made, moved or removed.
const ENDING: Duration = Duration::from_millis(10);
const PORT_WAITS: u32 = 40;

/// A network that a new container is to join, and how.
#[derive(Debug, Clone)]
pub(crate) struct Joining {
    pub(crate) network: Network,
    pub(crate) spec: ConnectSpec,
    pub(crate) id: EndpointId,
}

/// Ports that a new container is to publish.
#[derive(Debug, Clone)]
pub(crate) struct Ports<'a> {
    pub(crate) publish: &'a [PublishSpec],
    /// From where free ports of the host are taken.
    pub(crate) free: Option<RangeInclusive<u16>>,
    /// What published ports depend on.
    pub(crate) host: &'a PortHost,
}

/// A connection that was made or taken away.
#[derive(Debug, Clone)]
pub struct Connected {
    /// The network.
    pub network: Network,
    /// The container.
    pub sandbox: Sandbox,
    /// Its place on the network.
    pub endpoint: Endpoint,
    /// The ports that were published along with it.
    pub published: Vec<Publication>,
}

/// Which families of default route a namespace has from somebody else.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ForeignRoutes {
    pub(crate) v4: bool,
    pub(crate) v6: bool,
}

impl Engine {
    /// Connects a container to a network.
    ///
    /// # Errors
    ///
    /// If either is not there, they are connected, or an address or name cannot be had; if the kernel refuses, after
    /// undoing everything.
    pub fn connect(
        &mut self,
        network: &str,
        container: &ContainerRef,
        spec: &ConnectSpec,
    ) -> Result<Outcome<Connected>, EngineError> {
        let mut tries = 0;
        loop {
            match self.connect_once(network, container, spec) {
                Err(error) => self.make_way(error, &mut tries)?,
                done => return done,
            }
        }
    }

    /// Mends what stood in the way of an attachment, so that it can be tried again: a bridge that is not laid yet, a
    /// network that somebody was making or removing when he died, a default network that somebody removed just now.
    ///
    /// # Errors
    ///
    /// What stood in the way, if nothing can be done or enough was done.
    pub(crate) fn make_way(&mut self, error: EngineError, tries: &mut u32) -> Result<(), EngineError> {
        const ENOUGH: u32 = 5;
        *tries += 1;
        match error {
            EngineError::NeedsSegment(needed) => self.lay_segment(&needed.0, needed.1),
            EngineError::Port(PortError::Taken { ending: true, .. }) if *tries <= PORT_WAITS => {
                std::thread::sleep(ENDING);
                Ok(())
            }
            // Whoever makes, moves or removes it holds the writers' lock, or is about to take it.
            EngineError::Removing(_) if *tries <= PORT_WAITS && self.mode == Mode::Apply => {
                std::thread::sleep(ENDING);
                self.exclusive().map(drop)
            }
            EngineError::NeedsRules if *tries <= ENOUGH => self.bring_back_rules().map(drop),
            error if *tries > ENOUGH || self.mode == Mode::DryRun => Err(error),
            EngineError::NoNetwork { name, .. } if name == DEFAULT => Ok(()),
            error => Err(error),
        }
    }

    fn connect_once(
        &mut self,
        network: &str,
        container: &ContainerRef,
        spec: &ConnectSpec,
    ) -> Result<Outcome<Connected>, EngineError> {
        let Outcome { value: found, plan: mut before } = self.network_or_default(network)?;
        refuse_builtin(&found, "connected by hand")?;
        let mut target = self.target(container)?;
        let known = self.store.read(|tx| Candidates::of(tx, &target.sandbox))?;
        let networks = known.borrowed().into_iter().map(|(_, network)| network);
        self.check_ports(&spec.publish, networks.chain([&found]))?;
        if before.is_empty() {
            before.append(self.mend_rules()?);
        }
        let mut done = self.alone_with(&[target.sandbox.netns], |engine| {
            if engine.forget_former(&target)? {
                target = engine.target(container)?;
            }
            let families = [found.v4.is_some(), found.v6.is_some()];
            let foreign = engine.foreign_routes(&target.sandbox, &target.netns, families)?;
            engine.connect_target(&found, &mut target, foreign, spec)
        })?;
        before.append(std::mem::take(&mut done.plan));
        self.heed_firewalls([&found]);
        Ok(Outcome { value: done.value, plan: before })
    }

    /// Forgets what a former namespace with the same number had: numbers are given out again at once.
    /// Whether it had anything: then its record may be gone.
    fn forget_former(&mut self, target: &Target) -> Result<bool, EngineError> {
        if target.is_new || target.sandbox.is_ours() || self.mode == Mode::DryRun {
            return Ok(false);
        }
        let mut had = false;
        for endpoint in self.store.read(|tx| tx.endpoints_of_sandbox(&target.sandbox.id))? {
            let there = self.executor.link(&target.netns, endpoint.ifname.as_str())?;
            let same = there.and_then(|link| link.mac).is_some_and(|mac| mac.0 == endpoint.mac.octets());
            if !same && endpoint.state == EndpointState::Attached {
                self.forget_endpoint(&endpoint)?;
                had = true;
            }
        }
        Ok(had)
    }

    fn connect_target(
        &mut self,
        found: &Network,
        target: &mut Target,
        foreign: ForeignRoutes,
        spec: &ConnectSpec,
    ) -> Result<Outcome<Connected>, EngineError> {
        let instance = self.instance().clone();
        let id = EndpointId::from_bytes(random()?);
        let free = self.config.published_ports.clone();
        let had = match target.is_new {
            true => Vec::new(),
            false => self.store.read(|tx| tx.ports_of(&target.sandbox.id))?,
        };
        let udp = had.iter().map(|one| (one.protocol, one.address));
        let udp = udp.chain(spec.publish.iter().map(|spec| (spec.protocol, spec.address)));
        let host = self.port_host(udp.collect::<Vec<_>>())?;
        self.change(
            |at| {
                resolve::settle(at.tx, target)?;
                target.sandbox.ports = at.tx.ports_of(&target.sandbox.id)?;
                let request = Request {
                    instance: &instance,
                    target,
                    spec,
                    publish: &spec.publish,
                    foreign,
                    id,
                    free,
                    host: &host,
                };
                let (connected, plan) = request.prepare(at, found)?;
                let endpoint = connected.endpoint.id.clone();
                let subject = match connected.published.as_slice() {
                    [] => Subject::Endpoint(endpoint),
                    ports => {
                        let sandbox = connected.sandbox.id.clone();
                        Subject::Ports { sandbox, ports: ports.to_vec(), endpoint: Some(endpoint) }
                    }
                };
                let what = format!("connect {} to {}", connected.sandbox.name, connected.network.name);
                Ok(Prepared { value: connected, plan, subject, recovery: Recovery::Undo, what })
            },
            |tx, connected| {
                let (sandbox, endpoint) = (&connected.sandbox, &connected.endpoint);
                // A container that ended meanwhile has taken its endpoints with it.
                match tx.endpoint(&endpoint.id)?.is_some_and(|now| now.state == EndpointState::Attached) {
                    true => Ok(()),
                    false => Err(EngineError::NotRunning(sandbox.name.to_string())),
                }
            },
        )
    }

    /// Disconnects a container from a network.
    ///
    /// A container or link that is gone already does not hinder it.
    ///
    /// # Errors
    ///
    /// If the network is not there or the container is not on it.
    pub fn disconnect(
        &mut self,
        network: &str,
        container: &ContainerRef,
    ) -> Result<Outcome<Connected>, EngineError> {
        let network = self.store.read(|tx| resolve::network(tx, network))?;
        refuse_builtin(&network, "disconnected by hand")?;
        let (sandbox, netns) = self.known_target(&network, container)?;
        self.alone_with(&[sandbox.netns], |engine| {
            engine.disconnect_target(&network, container, &sandbox, netns)
        })
    }

    fn disconnect_target(
        &mut self,
        network: &Network,
        container: &ContainerRef,
        sandbox: &Sandbox,
        netns: Option<Netns>,
    ) -> Result<Outcome<Connected>, EngineError> {
        let instance = self.instance().clone();
        let ports = self.store.read(|tx| tx.ports_of(&sandbox.id))?;
        let host = self.port_host(ports.iter().map(|one| (one.protocol, one.address)))?;
        let foreign = match &netns {
            Some(netns) => self.foreign_routes(sandbox, netns, [true, true])?,
            None => ForeignRoutes::default(),
        };
        self.change(
            |at| {
                let endpoint = at
                    .tx
                    .endpoint_on(&network.id, &sandbox.id)?
                    .ok_or_else(|| not_connected(container, network))?;
                let mut known = Candidates::of(at.tx, sandbox)?;
                let before = known.elect();
                let former = known.clone();
                known.remove(&endpoint.id);
                let mut after = known.elect();
                let ports = &at.tx.ports_of(&sandbox.id)?;
                // A default route of somebody else's is not replaced by one of ours.
                if foreign.v4 {
                    after.v4.clone_from(&before.v4);
                }
                if foreign.v6 {
                    after.v6.clone_from(&before.v6);
                }
                let detach = Detach {
                    instance: &instance,
                    network,
                    endpoint: &endpoint,
                    sandbox: sandbox.name.as_str(),
                    netns: netns.clone(),
                    routes: (before, after),
                    published: (former.published(ports, &host), known.published(ports, &host)),
                };
                let mut plan = pontoon_plan::endpoint::detach(&detach);
                if netns.is_some() {
                    let interface = Interface::of(&endpoint, network, sandbox);
                    plan.append(impair::forget(at.tx, &instance, &interface)?);
                }
                let (led, leads) = (&detach.published.0, &detach.published.1);
                if leads.leads_nowhere() && !led.leads_nowhere() {
                    at.warnings.push(publish::waiting(sandbox));
                }
                at.tx.endpoint_put(&Endpoint { state: EndpointState::Detaching, ..endpoint.clone() })?;
                let subject = Subject::Endpoint(endpoint.id.clone());
                let what = format!("disconnect {} from {}", sandbox.name, network.name);
                let value = Connected {
                    network: network.clone(),
                    sandbox: sandbox.clone(),
                    endpoint,
                    published: Vec::new(),
                };
                Ok(Prepared { value, plan, subject, recovery: Recovery::Finish, what })
            },
            |tx, connected| Ok(clean(tx, &Subject::Endpoint(connected.endpoint.id.clone()))?),
        )
    }

    /// The container on `network` that a reference means, also when it is gone: then there is no namespace.
    fn known_target(
        &mut self,
        network: &Network,
        container: &ContainerRef,
    ) -> Result<(Sandbox, Option<Netns>), EngineError> {
        match self.target(container) {
            Ok(target) if !target.is_new => Ok((target.sandbox, Some(target.netns))),
            Ok(_) => self.gone_target(network, container),
            Err(error) => self.gone_target(network, container).map_err(|_| error),
        }
    }

    fn gone_target(
        &self,
        network: &Network,
        container: &ContainerRef,
    ) -> Result<(Sandbox, Option<Netns>), EngineError> {
        self.store.read(|tx| {
            if let ContainerRef::Ours(name) = container {
                return Ok((resolve::container(tx, name)?, None));
            }
            for endpoint in tx.endpoints_of_network(&network.id)? {
                let sandbox = tx.sandbox(&endpoint.sandbox)?;
                if let Some(sandbox) = sandbox.filter(|sandbox| sandbox.is_meant_by(container)) {
                    return Ok((sandbox, None));
                }
            }
            Err(not_connected(container, network))
        })
    }

    /// Default routes in somebody else's namespace that are not ours: those stay. Only `families` (IPv4, IPv6) are
    /// looked at.
    pub(crate) fn foreign_routes(
        &mut self,
        sandbox: &Sandbox,
        netns: &Netns,
        families: [bool; 2],
    ) -> Result<ForeignRoutes, EngineError> {
        if sandbox.is_ours() {
            return Ok(ForeignRoutes::default());
        }
        let mut found = [false; 2];
        for (index, family) in
            [Family::V4, Family::V6].into_iter().enumerate().filter(|(index, _)| families[*index])
        {
            let filter =
                DumpRoutes { table: Some(TABLE_MAIN), family: Some(family), ..DumpRoutes::default() };
            let others =
                |route: &Route| route.destination.is_all() && route.protocol != pontoon_netlink::PROTOCOL;
            found[index] = route::list(self.executor.socket(netns)?, &filter)?.iter().any(others);
        }
        Ok(ForeignRoutes { v4: found[0], v6: found[1] })
    }
}

pub(crate) fn refuse_builtin(network: &Network, what: &'static str) -> Result<(), EngineError> {
    match network.driver {
        Driver::Bridge => Ok(()),
        Driver::Host | Driver::Null => Err(EngineError::Builtin(network.name.to_string(), what)),
    }
}

fn not_connected(container: &ContainerRef, network: &Network) -> EngineError {
    EngineError::NotConnected { container: container.to_string(), network: network.name.to_string() }
}

/// A sandbox's endpoints, with their networks: those whose gateways stand for election as its default routes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Candidates {
    standing: Vec<(Endpoint, Network)>,
    /// Whether names can be asked for at 127.0.0.11.
    names: bool,
}

impl Candidates {
    /// Those of a sandbox, without the ones that are on their way out.
    pub(crate) fn of(tx: &Tx<'_>, sandbox: &Sandbox) -> Result<Self, EngineError> {
        let mut standing = Vec::new();
        for endpoint in tx.endpoints_of_sandbox(&sandbox.id)? {
            let staying = endpoint.state == EndpointState::Attached;
            if let (true, Some(network)) = (staying, tx.network(&endpoint.network)?) {
                standing.push((endpoint, network));
            }
        }
        Ok(Self { standing, names: guard::names_at_loopback(tx)? })
    }

    fn add(&mut self, endpoint: &Endpoint, network: &Network) {
        self.standing.push((endpoint.clone(), network.clone()));
    }

    fn remove(&mut self, id: &EndpointId) {
        self.standing.retain(|(endpoint, _)| endpoint.id != *id);
    }

    pub(crate) fn borrowed(&self) -> Vec<(&Endpoint, &Network)> {
        self.standing.iter().map(|(endpoint, network)| (endpoint, network)).collect()
    }

    /// The same, with a network and the endpoints on it as they are to be.
    pub(crate) fn readdressed(&self, network: &Network, moved: &[Endpoint]) -> Self {
        let there = |(endpoint, other): &(Endpoint, Network)| match moved
            .iter()
            .find(|moved| moved.id == endpoint.id)
        {
            Some(moved) => (moved.clone(), network.clone()),
            None => (endpoint.clone(), other.clone()),
        };
        Self { standing: self.standing.iter().map(there).collect(), ..self.clone() }
    }

    pub(crate) fn elect(&self) -> DefaultRoutes {
        let elected = elect(&self.borrowed());
        DefaultRoutes { names: elected.names.filter(|_| self.names), ..elected }
    }
}

impl Engine {
    /// Prepares the attachments of a new container of ours, in the order of its networks.
    pub(crate) fn prepare_attachments(
        instance: &pontoon_plan::Instance,
        at: &mut Preparing<'_, '_>,
        target: &mut Target,
        wanted: &[Joining],
        ports: &Ports<'_>,
    ) -> Result<(Vec<Connected>, Plan), EngineError> {
        let (mut made, mut plan) = (Vec::new(), Plan::default());
        for (place, Joining { network, spec, id }) in wanted.iter().enumerate() {
            let request = Request {
                instance,
                target,
                spec,
                // Once, and where all networks are known.
                publish: if place + 1 == wanted.len() { ports.publish } else { &[] },
                foreign: ForeignRoutes::default(),
                id: id.clone(),
                free: ports.free.clone(),
                host: ports.host,
            };
            let (connected, steps) = request.prepare(at, network)?;
            target.sandbox.clone_from(&connected.sandbox);
            made.push(connected);
            plan.append(steps);
        }
        Ok((made, plan))
    }

    /// Forgets an endpoint whose link is gone, and what the host remembers of its addresses.
    pub(crate) fn forget_endpoint(&mut self, endpoint: &Endpoint) -> Result<(), EngineError> {
        let mut plan = self.withdrawal(endpoint)?;
        if let Some(network) = self.store.read(|tx| tx.network(&endpoint.network))? {
            plan.append(pontoon_plan::endpoint::forget_neighbours(&network, endpoint, "somebody"));
            plan.append(pontoon_plan::guard::detach(self.instance(), endpoint, "somebody"));
        }
        for error in self.executor.run_all(&plan.steps) {
            self.warn(format!("{}: {}", error, error.source));
        }
        let subject = Subject::Endpoint(endpoint.id.clone());
        let notices = self.notices(&subject);
        self.forget_lost(&subject)?;
        self.notify(notices, false);
        Ok(())
    }

    /// The steps that keep published ports from leading to an endpoint that is gone.
    fn withdrawal(&self, endpoint: &Endpoint) -> Result<Plan, EngineError> {
        let (sandbox, before) = self.store.read(|tx| -> Result<_, EngineError> {
            let Some(sandbox) = tx.sandbox(&endpoint.sandbox)? else { return Ok(Default::default()) };
            let known = Candidates::of(tx, &sandbox)?;
            Ok((Some(sandbox), known))
        })?;
        let (mut plan, host) = (Plan::default(), PortHost::default());
        if let Some(sandbox) = sandbox {
            let mut after = before.clone();
            // Of somebody else's namespace nothing is left.
            after.standing.retain(|(other, _)| sandbox.is_ours() && other.id != endpoint.id);
            let (before, after) =
                (before.published(&sandbox.ports, &host), after.published(&sandbox.ports, &host));
            let name = sandbox.name.as_str();
            pontoon_plan::publish::change(&mut plan, self.instance(), name, &before, &after);
        }
        Ok(plan)
    }

    /// Forgets endpoints on a network whose namespace has gone without a word, as other people's do. A container that its
    /// engine has started anew is not gone, and is connected as it was.
    ///
    /// # Errors
    ///
    /// If the state cannot be written.
    pub(crate) fn forget_gone(&mut self, network: &Network) -> Result<(), EngineError> {
        self.rejoin_on(network)?;
        let (endpoints, journal) = self
            .store
            .read(|tx| Ok::<_, EngineError>((tx.endpoints_of_network(&network.id)?, tx.journal()?)))?;
        let in_flight =
            |endpoint: &Endpoint| journal.iter().any(|(_, entry)| concerns(&entry.subject, endpoint));
        for endpoint in endpoints {
            if in_flight(&endpoint) || self.mode == Mode::DryRun {
                continue;
            }
            if self.executor.link(&Netns::Host, endpoint.host_ifname.as_str())?.is_none() {
                let gone = self.store.read(|tx| tx.sandbox(&endpoint.sandbox))?;
                let name =
                    gone.map_or_else(|| endpoint.sandbox.short().to_owned(), |sandbox| sandbox.shown_as());
                self.forget_endpoint(&endpoint)?;
                self.warn(format!("{name} is gone, and no longer on network {}", network.name));
            }
        }
        Ok(())
    }
}
