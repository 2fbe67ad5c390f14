//! Cables: straight from one container to another, or to the host.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use pontoon_kernel::route;
use pontoon_model::endpoint::{Cable, CableEnd};
use pontoon_model::op::Netns;
use pontoon_model::sandbox::NetnsId;
use pontoon_model::{ContainerRef, EndpointId, IfName, Mac, Sandbox, SandboxId};
use pontoon_netlink::route::{DumpRoutes, Route, TABLE_MAIN};
use pontoon_plan::endpoint::IPV6_OFF;
use pontoon_store::{Recovery, Subject, Tx};

use crate::error::DefinitionError;
use crate::interface::Home;
use crate::journal::{Prepared, Preparing, random};
use crate::recover::clean;
use crate::resolve::{self, Target};
use crate::time::now;
use crate::{Engine, EngineError, Outcome, impair};

/// One end as it was asked for.
#[derive(Debug, Clone)]
pub struct EndSpec {
    /// The container, or the host.
    pub place: Option<ContainerRef>,
    /// The interface's name; the first free `ethN` (for the host, one made from the cable's id) when not given.
    pub ifname: Option<IfName>,
    /// Addresses with their prefix lengths.
    pub addresses: Vec<IpNet>,
    /// Router for a default route through this end.
    pub gateway: Option<IpAddr>,
}

/// Where one end goes.
struct End<'a> {
    spec: &'a EndSpec,
    target: Option<Target>,
}

impl End<'_> {
    fn netns(&self) -> Netns {
        self.target.as_ref().map_or(Netns::Host, |target| target.netns.clone())
    }

    /// In a container of another engine, what IPv6 needs.
    fn sysctls(&self) -> Vec<(String, String)> {
        let v6 = self.spec.addresses.iter().any(|address| address.addr().is_ipv6());
        let elsewhere = self.target.as_ref().is_some_and(|target| target.sandbox.elsewhere().is_some());
        let needed = (v6 && elsewhere).then(|| (IPV6_OFF.to_owned(), "0".to_owned()));
        needed.into_iter().collect()
    }

    fn name(&self) -> String {
        self.target.as_ref().map_or_else(|| "the host".to_owned(), |target| target.sandbox.name.to_string())
    }
}

impl Engine {
    /// Lays a cable between two containers, or a container and the host.
    ///
    /// # Errors
    ///
    /// If one is not there, or a name is taken; if the MTU cannot be had, or is too small for an end's IPv6; if the
    /// kernel refuses, after undoing everything.
    pub fn link(
        &mut self,
        first: &EndSpec,
        second: &EndSpec,
        mtu: Option<u32>,
        labels: BTreeMap<String, String>,
    ) -> Result<Outcome<Cable>, EngineError> {
        check_mtu(mtu, [first, second])?;
        // The host's end is made first: it is the one that a plan can always name.
        let (first, second) = if second.place.is_none() { (second, first) } else { (first, second) };
        let ends = [self.cable_end(first)?, self.cable_end(second)?];
        let namespaces: Vec<NetnsId> =
            ends.iter().filter_map(|end| end.target.as_ref()).map(|target| target.sandbox.netns).collect();
        self.alone_with(&namespaces, |engine| engine.link_ends(ends, mtu, labels))
    }

    fn link_ends(
        &mut self,
        mut ends: [End<'_>; 2],
        mtu: Option<u32>,
        labels: BTreeMap<String, String>,
    ) -> Result<Outcome<Cable>, EngineError> {
        for end in &ends {
            self.refuse_second_way_out(end)?;
        }
        let instance = self.instance().clone();
        let id = EndpointId::from_bytes(random()?);
        let macs = [instance.veth_mark(&id).mac, Mac::local(random()?)];
        self.change(
            |at| {
                let mut named: Vec<CableEnd> = Vec::new();
                for (end, mac) in ends.iter_mut().zip(macs) {
                    if let Some(target) = &mut end.target {
                        resolve::settle(at.tx, target)?;
                    }
                    let ifname = interface(at, end, &named, &id)?;
                    let sandbox = end.target.as_ref().map(|target| target.sandbox.id.clone());
                    let (addresses, sysctls) = (end.spec.addresses.clone(), end.sysctls());
                    named.push(CableEnd { sandbox, ifname, mac, addresses, sysctls });
                }
                let [first, second]: [CableEnd; 2] = named.try_into().expect("there are two ends");
                let cable = Cable { id: id.clone(), ends: [first, second], mtu, labels, created: now() };
                at.tx.cable_put(&cable)?;
                let (netns, names) = ([ends[0].netns(), ends[1].netns()], [ends[0].name(), ends[1].name()]);
                let mut plan = pontoon_plan::cable::lay(
                    &instance,
                    &cable,
                    [&netns[0], &netns[1]],
                    [&names[0], &names[1]],
                );
                for ((end, made), netns) in ends.iter().zip(&cable.ends).zip(&netns) {
                    if let Some(via) = end.spec.gateway {
                        plan.append(pontoon_plan::cable::default_route(
                            netns,
                            &made.ifname,
                            via,
                            &end.name(),
                        ));
                    }
                }
                let subject = Subject::Cable(cable.id.clone());
                let what = format!("link {} and {}", names[0], names[1]);
                Ok(Prepared { value: cable, plan, subject, recovery: Recovery::Undo, what })
            },
            |_, _| Ok(()),
        )
    }

    /// A default route that is there is not replaced: it would be gone for good when the cable is.
    fn refuse_second_way_out(&mut self, end: &End<'_>) -> Result<(), EngineError> {
        let Some(via) = end.spec.gateway else { return Ok(()) };
        let netns = end.netns();
        let filter = DumpRoutes { table: Some(TABLE_MAIN), ..DumpRoutes::default() };
        let routes = route::list(self.executor.socket(&netns)?, &filter)?;
        let same = |route: &Route| {
            route.destination.is_all() && route.destination.address.is_ipv4() == via.is_ipv4()
        };
        match routes.iter().any(same) {
            true => Err(EngineError::HasWayOut(end.name())),
            false => Ok(()),
        }
    }

    fn cable_end<'a>(&mut self, spec: &'a EndSpec) -> Result<End<'a>, EngineError> {
        let target = spec.place.as_ref().map(|place| self.target(place)).transpose()?;
        Ok(End { spec, target })
    }

    /// Takes away the cables between two containers (or a container and the host).
    ///
    /// # Errors
    ///
    /// If there is none between them.
    pub fn unlink(
        &mut self,
        first: Option<&ContainerRef>,
        second: Option<&ContainerRef>,
    ) -> Result<Vec<Outcome<Cable>>, EngineError> {
        let ids = [self.sandbox_of(first)?, self.sandbox_of(second)?];
        let swapped = [ids[1].clone(), ids[0].clone()];
        let between = |cable: &Cable| {
            let ends = [cable.ends[0].sandbox.clone(), cable.ends[1].sandbox.clone()];
            ends == ids || ends == swapped
        };
        let cables: Vec<Cable> = self.store.read(|tx| tx.cables())?.into_iter().filter(between).collect();
        if cables.is_empty() {
            let name = |place: Option<&ContainerRef>| {
                place.map_or_else(|| "the host".to_owned(), ToString::to_string)
            };
            return Err(EngineError::NoCable { first: name(first), second: name(second) });
        }
        cables.into_iter().map(|cable| self.remove_cable(cable)).collect()
    }

    /// Takes one cable away.
    ///
    /// # Errors
    ///
    /// If there is no such cable; if the kernel refuses.
    pub fn unlink_one(&mut self, id: &EndpointId) -> Result<Outcome<Cable>, EngineError> {
        let cable = self.store.read(|tx| tx.cables())?.into_iter().find(|cable| cable.id == *id);
        match cable {
            Some(cable) => self.remove_cable(cable),
            None => Err(EngineError::NoSuchCable(id.clone())),
        }
    }

    fn sandbox_of(&mut self, place: Option<&ContainerRef>) -> Result<Option<SandboxId>, EngineError> {
        let Some(place) = place else { return Ok(None) };
        match self.target(place) {
            Ok(target) if !target.is_new => Ok(Some(target.sandbox.id)),
            found => match self.store.read(|tx| former(tx, place))? {
                Some(sandbox) => Ok(Some(sandbox.id)),
                None => found.map(|target| Some(target.sandbox.id)),
            },
        }
    }

    /// Takes a cable away.
    pub(crate) fn remove_cable(&mut self, cable: Cable) -> Result<Outcome<Cable>, EngineError> {
        let instance = self.instance().clone();
        self.change(
            |at| {
                let sandboxes = sandboxes(at.tx, &cable)?;
                let first = cable.ends[0].sandbox.as_ref().and_then(|id| sandboxes.get(id));
                // The first end's namespace may no longer be found by its name; the other end is as good.
                let reached = at.executor.reach(&first.map_or(Netns::Host, resolve::netns))?;
                let (mut plan, what) = removal(&instance, &cable, usize::from(!reached), &sandboxes);
                plan.append(impair::forget_cable(at.tx, &instance, &cable)?);
                let subject = Subject::Cable(cable.id.clone());
                Ok(Prepared { value: cable, plan, subject, recovery: Recovery::Finish, what })
            },
            |tx, cable| Ok(clean(tx, &Subject::Cable(cable.id.clone()))?),
        )
    }
}

/// Refuses an MTU that a veth pair cannot have (`ETH_MIN_MTU`, `ETH_MAX_MTU`), and one with which the kernel would take
/// IPv6 away from it (`IPV6_MIN_MTU`).
fn check_mtu(mtu: Option<u32>, ends: [&EndSpec; 2]) -> Result<(), DefinitionError> {
    let is_v6 = |end: &EndSpec| {
        let addresses = end.addresses.iter().map(IpNet::addr);
        addresses.chain(end.gateway).any(|address| address.is_ipv6())
    };
    match mtu {
        Some(mtu) if !(68..=65_535).contains(&mtu) => Err(DefinitionError::Mtu(mtu)),
        Some(mtu) if mtu < 1280 && ends.into_iter().any(is_v6) => Err(DefinitionError::SmallMtu(mtu)),
        _ => Ok(()),
    }
}

/// The steps that take a cable away by its end number `end`, and what they are about.
pub(crate) fn removal(
    instance: &pontoon_plan::Instance,
    cable: &Cable,
    end: usize,
    sandboxes: &BTreeMap<SandboxId, Sandbox>,
) -> (pontoon_plan::Plan, String) {
    let sandbox = |index: usize| cable.ends[index].sandbox.as_ref().and_then(|id| sandboxes.get(id));
    let name = |index: usize| {
        sandbox(index).map_or_else(|| "the host".to_owned(), |sandbox| sandbox.name.to_string())
    };
    let netns = |index: usize| sandbox(index).map_or(Netns::Host, resolve::netns);
    let names = [name(0), name(1)];
    let plan = pontoon_plan::cable::remove(instance, cable, end, &netns(end), [&names[0], &names[1]]);
    (plan, format!("unlink {} and {}", names[0], names[1]))
}

/// The record of a container that is gone, by what it was called.
fn former(tx: &Tx<'_>, place: &ContainerRef) -> Result<Option<Sandbox>, EngineError> {
    Ok(tx.sandboxes()?.into_iter().find(|sandbox| sandbox.is_meant_by(place)))
}

/// The containers that a cable's ends are in.
pub(crate) fn sandboxes(tx: &Tx<'_>, cable: &Cable) -> Result<BTreeMap<SandboxId, Sandbox>, EngineError> {
    let mut found = BTreeMap::new();
    for id in cable.ends.iter().filter_map(|end| end.sandbox.clone()) {
        if let Some(sandbox) = tx.sandbox(&id)? {
            found.insert(id, sandbox);
        }
    }
    Ok(found)
}

fn interface(
    at: &mut Preparing<'_, '_>,
    end: &End<'_>,
    before: &[CableEnd],
    id: &EndpointId,
) -> Result<IfName, EngineError> {
    let sandbox = end.target.as_ref().map(|target| &target.sandbox.id);
    if sandbox.is_none() && end.spec.ifname.is_none() {
        return Ok(pontoon_model::Endpoint::derived_host_ifname(id));
    }
    let endpoints = match sandbox {
        Some(id) => at.tx.endpoints_of_sandbox(id)?,
        None => Vec::new(),
    };
    let netns = end.netns();
    let (name, endpoints) = (end.name(), &endpoints);
    let home =
        Home { sandbox, name, netns: &netns, endpoints: endpoints.iter().collect(), before, imagined: false };
    home.choose(at, end.spec.ifname.clone(), "eth")
}
