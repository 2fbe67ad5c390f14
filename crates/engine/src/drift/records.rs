//! What the records say should be there, as far as it is looked at.

use std::collections::{BTreeMap, BTreeSet};

use pontoon_model::endpoint::{Cable, CableEnd, EndpointState, Plug};
use pontoon_model::network::{Driver, Segment};
use pontoon_model::op::Netns;
use pontoon_model::route::StaticRoute;
use pontoon_model::sandbox::Status;
use pontoon_model::{Endpoint, EndpointId, Impairment, Network, NetworkId, Sandbox, SandboxId};
use pontoon_plan::drift::{Attached, Busy, Laid};
use pontoon_plan::endpoint::{DefaultRoutes, elect, elected};
use pontoon_plan::impair::{self, Impair};
use pontoon_plan::publish::Published;
use pontoon_plan::{Instance, Plan, route};
use pontoon_store::{JournalEntry, Subject, Tx};

use super::{Links, Scope, Whose};
use crate::{EngineError, guard, resolve, segment};

/// What should be there.
#[derive(Debug, Default)]
pub(super) struct Records {
    /// Networks with a bridge, but for those that are being made or removed.
    pub(super) networks: Vec<Network>,
    segments: Vec<(NetworkId, Segment)>,
    endpoints: Vec<Endpoint>,
    sandboxes: BTreeMap<SandboxId, Sandbox>,
    /// By sandbox: all its endpoints, those that are not looked at too.
    attached: BTreeMap<SandboxId, Vec<Endpoint>>,
    cables: Vec<Cable>,
    /// What leaves the interfaces of those that are looked at, if it is impaired.
    impaired: BTreeMap<Plug, Impairment>,
    /// Routes that they were given.
    routes: BTreeMap<Plug, Vec<StaticRoute>>,
    pub(super) switched: BTreeMap<String, String>,
    pub(super) busy: Busy,
    /// Whether anything stands in the journal.
    pub(super) met_others: bool,
    /// Whether names can be asked for at 127.0.0.11.
    names: bool,
}

/// Whose journal entries there are.
#[derive(Debug, Default)]
struct InFlight {
    networks: BTreeSet<NetworkId>,
    endpoints: BTreeSet<EndpointId>,
    sandboxes: BTreeSet<SandboxId>,
}

impl InFlight {
    fn of(journal: &[(i64, JournalEntry)]) -> Self {
        let mut in_flight = Self::default();
        for (_, entry) in journal {
            match &entry.subject {
                Subject::Network(id) => drop(in_flight.networks.insert(id.clone())),
                Subject::Renumber { network, leases } => {
                    in_flight.networks.insert(network.clone());
                    in_flight.endpoints.extend(leases.iter().map(|(endpoint, _)| endpoint.clone()));
                }
                Subject::Endpoint(id)
                | Subject::Cable(id)
                | Subject::Interface(id)
                | Subject::Ports { endpoint: Some(id), .. } => {
                    in_flight.endpoints.insert(id.clone());
                }
                Subject::Sandbox(id) => drop(in_flight.sandboxes.insert(id.clone())),
                Subject::Ports { endpoint: None, .. } | Subject::Prune => {}
            }
        }
        in_flight
    }
}

impl Records {
    /// Reads what `scope` is about.
    pub(super) fn read(tx: &Tx<'_>, scope: &Scope) -> Result<Self, EngineError> {
        let journal = tx.journal()?;
        let in_flight = InFlight::of(&journal);
        let mut records = Self {
            busy: Busy::of(journal.iter().flat_map(|(_, entry)| &entry.steps)),
            met_others: !journal.is_empty(),
            switched: tx.sysctls()?.into_iter().collect(),
            names: guard::names_at_loopback(tx)?,
            ..Self::default()
        };
        match &scope.links {
            Links::Of(some) if !scope.rules => records.read_some(tx, some, scope)?,
            _ if scope.rules || scope.links == Links::All => records.read_all(tx)?,
            _ => records.networks = tx.networks()?,
        }
        records.leave_alone(tx, &in_flight)?;
        records.read_more(tx)?;
        Ok(records)
    }

    fn read_all(&mut self, tx: &Tx<'_>) -> Result<(), EngineError> {
        self.networks = tx.networks()?;
        self.sandboxes = tx.sandboxes()?.into_iter().map(|sandbox| (sandbox.id.clone(), sandbox)).collect();
        for network in &self.networks {
            let laid = segment::laid(tx, network)?.into_iter().rev();
            self.segments.extend(laid.map(|segment| (network.id.clone(), segment)));
            self.endpoints.extend(tx.endpoints_of_network(&network.id)?);
        }
        for endpoint in &self.endpoints {
            self.attached.entry(endpoint.sandbox.clone()).or_default().push(endpoint.clone());
        }
        self.cables = tx.cables()?;
        Ok(())
    }

    fn read_some(&mut self, tx: &Tx<'_>, some: &BTreeSet<Whose>, scope: &Scope) -> Result<(), EngineError> {
        if scope.switches {
            self.networks = tx.networks()?;
        }
        for whose in some {
            match whose {
                Whose::Network(id) => {
                    let Some(network) = tx.network(id)? else { continue };
                    self.endpoints.extend(tx.endpoints_of_network(id)?);
                    self.know(tx, network)?;
                }
                Whose::Endpoint(id) => match tx.endpoint(id)? {
                    Some(endpoint) => self.endpoints.push(endpoint),
                    None => self.cables.extend(tx.cable(id)?),
                },
            }
        }
        let mut seen = BTreeSet::new();
        self.endpoints.retain(|endpoint| seen.insert(endpoint.id.clone()));
        let of_cables =
            self.cables.iter().flat_map(|cable| &cable.ends).filter_map(|end| end.sandbox.clone());
        let ids: BTreeSet<SandboxId> =
            self.endpoints.iter().map(|endpoint| endpoint.sandbox.clone()).chain(of_cables).collect();
        for id in ids {
            let attached = tx.endpoints_of_sandbox(&id)?;
            for endpoint in &attached {
                if let Some(network) = tx.network(&endpoint.network)? {
                    self.know(tx, network)?;
                }
            }
            self.sandboxes.extend(tx.sandbox(&id)?.map(|sandbox| (id.clone(), sandbox)));
            self.attached.insert(id, attached);
        }
        Ok(())
    }

    fn know(&mut self, tx: &Tx<'_>, network: Network) -> Result<(), EngineError> {
        if self.segments.iter().all(|(id, _)| *id != network.id) {
            let laid = segment::laid(tx, &network)?.into_iter().rev();
            self.segments.extend(laid.map(|segment| (network.id.clone(), segment)));
        }
        if self.networks.iter().all(|known| known.id != network.id) {
            self.networks.push(network);
        }
        Ok(())
    }

    /// Takes out what is being made or taken away.
    fn leave_alone(&mut self, tx: &Tx<'_>, in_flight: &InFlight) -> Result<(), EngineError> {
        let mut networks = Vec::new();
        for network in std::mem::take(&mut self.networks) {
            let busy = in_flight.networks.contains(&network.id) || tx.network_is_removing(&network.id)?;
            if network.driver == Driver::Bridge && !busy {
                networks.push(network);
            }
        }
        self.networks = networks;
        let networks: BTreeSet<&NetworkId> = self.networks.iter().map(|network| &network.id).collect();
        let sandboxes = &self.sandboxes;
        let settled = |endpoint: &Endpoint| {
            let runs = |sandbox: &Sandbox| !sandbox.is_ours() || sandbox.status == Status::Running;
            endpoint.state == EndpointState::Attached
                && networks.contains(&endpoint.network)
                && !in_flight.endpoints.contains(&endpoint.id)
                && !in_flight.sandboxes.contains(&endpoint.sandbox)
                && sandboxes.get(&endpoint.sandbox).is_some_and(runs)
        };
        self.segments.retain(|(id, _)| networks.contains(id));
        self.endpoints.retain(settled);
        self.attached.values_mut().for_each(|endpoints| {
            endpoints.retain(|endpoint| endpoint.state == EndpointState::Attached);
        });
        self.cables.retain(|cable| {
            let of_busy =
                |end: &CableEnd| end.sandbox.as_ref().is_some_and(|id| in_flight.sandboxes.contains(id));
            !in_flight.endpoints.contains(&cable.id) && !cable.ends.iter().any(of_busy)
        });
        self.sandboxes.retain(|id, _| !in_flight.sandboxes.contains(id));
        Ok(())
    }

    fn read_more(&mut self, tx: &Tx<'_>) -> Result<(), EngineError> {
        let endpoints = self.endpoints.iter().map(|endpoint| Plug::endpoint(endpoint.id.clone()));
        let ends = self.cables.iter().flat_map(|cable| [0, 1].map(|end| Plug::cable(cable.id.clone(), end)));
        for plug in endpoints.chain(ends) {
            let impairment = tx.impairment(&plug)?;
            if !impairment.is_none() {
                self.impaired.insert(plug.clone(), impairment);
            }
            let routes = tx.routes(&plug)?;
            if !routes.is_empty() {
                self.routes.insert(plug, routes);
            }
        }
        Ok(())
    }

    /// The steps that impair what is impaired, and give interfaces their routes.
    pub(super) fn more(&self, instance: &Instance) -> Vec<Plan> {
        let endpoints = self.endpoints();
        let endpoints = endpoints.iter().map(|attached| {
            let mtu = attached.network.bridge.mtu;
            let plug = Plug::endpoint(attached.endpoint.id.clone());
            (plug, &attached.netns, &attached.endpoint.ifname, mtu, attached.sandbox)
        });
        let cables = self.cables();
        let ends = cables.iter().flat_map(|laid| {
            [0, 1].map(|end| {
                let (cable, name) = (laid.cable, laid.names[end].as_str());
                let plug = Plug::cable(cable.id.clone(), end);
                (plug, &laid.netns[end], &cable.ends[end].ifname, cable.mtu, name)
            })
        });
        let made = |(plug, netns, link, mtu, whose)| {
            let (before, now) =
                (Impairment::default(), self.impaired.get(&plug).copied().unwrap_or_default());
            let mut plan = impair::change(&Impair { instance, netns, link, mtu, whose, before, now });
            for given in self.routes.get(&plug).into_iter().flatten() {
                plan.append(route::add(netns, link, *given, whose));
            }
            plan
        };
        endpoints.chain(ends).map(made).filter(|plan| !plan.is_empty()).collect()
    }

    fn network(&self, id: &NetworkId) -> Option<&Network> {
        self.networks.iter().find(|network| network.id == *id)
    }

    pub(super) fn segments(&self) -> Vec<(&Network, Segment)> {
        let of = |(id, segment): &(NetworkId, Segment)| Some((self.network(id)?, segment.clone()));
        self.segments.iter().filter_map(of).collect()
    }

    /// A sandbox's endpoints with their networks.
    fn candidates<'a>(
        &'a self,
        networks: &BTreeMap<&NetworkId, &'a Network>,
        id: &SandboxId,
    ) -> Vec<(&'a Endpoint, &'a Network)> {
        let endpoints = self.attached.get(id).into_iter().flatten();
        endpoints.filter_map(|endpoint| Some((endpoint, *networks.get(&endpoint.network)?))).collect()
    }

    fn by_id(&self) -> BTreeMap<&NetworkId, &Network> {
        self.networks.iter().map(|network| (&network.id, network)).collect()
    }

    pub(super) fn endpoints(&self) -> Vec<Attached<'_>> {
        let networks = self.by_id();
        let attached = |endpoint| {
            let endpoint: &Endpoint = endpoint;
            let (network, sandbox) =
                (*networks.get(&endpoint.network)?, self.sandboxes.get(&endpoint.sandbox)?);
            let routes = elect(&self.candidates(&networks, &sandbox.id));
            let through = |(_, link): &pontoon_plan::endpoint::DefaultRoute| *link == endpoint.ifname;
            let names = routes.names.filter(|(_, link)| self.names && *link == endpoint.ifname);
            let routes =
                DefaultRoutes { v4: routes.v4.filter(through), v6: routes.v6.filter(through), names };
            let (sandbox, netns) = (sandbox.name.as_str(), resolve::netns(sandbox));
            Some(Attached { endpoint, network, sandbox, netns, routes, names: self.names })
        };
        self.endpoints.iter().filter_map(attached).collect()
    }

    pub(super) fn published(&self) -> Vec<(String, Published<'_>)> {
        let networks = self.by_id();
        let ports = self.sandboxes.values().filter(|sandbox| !sandbox.ports.is_empty());
        let published = |sandbox| {
            let sandbox: &Sandbox = sandbox;
            let candidates = self.candidates(&networks, &sandbox.id);
            let (v4, v6) = (elected(&candidates, true), elected(&candidates, false));
            (sandbox.name.to_string(), Published::new(&sandbox.ports, v4, v6))
        };
        ports.map(published).collect()
    }

    pub(super) fn cables(&self) -> Vec<Laid<'_>> {
        let end = |end: &CableEnd| match &end.sandbox {
            None => Some((Netns::Host, "the host".to_owned())),
            Some(id) => {
                let sandbox = self.sandboxes.get(id)?;
                Some((resolve::netns(sandbox), sandbox.name.to_string()))
            }
        };
        let laid = |cable| {
            let cable: &Cable = cable;
            let [first, second] = [end(&cable.ends[0])?, end(&cable.ends[1])?];
            Some(Laid { cable, netns: [first.0, second.0], names: [first.1, second.1] })
        };
        self.cables.iter().filter_map(laid).collect()
    }
}
