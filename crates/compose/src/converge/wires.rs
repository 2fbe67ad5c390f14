//! What is between and on the interfaces of containers: cables, routes, impairments.

use std::collections::{BTreeMap, BTreeSet};

use pontoon_model::endpoint::Cable as Laid;
use pontoon_model::impairment::{Impairment, Loss};
use pontoon_model::route::{Destination as To, StaticRoute};
use pontoon_model::{EndpointId, IfName};
use serde::Serialize;

use super::label;
use super::member::{Member, name_of};
use super::plan::{Change, Found, Update};
use crate::project::{Cable, CableEnd, Destination, Impair, Networking, Place, Project, Route};

/// A cable that is there.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundCable {
    /// The cable.
    pub cable: Laid,
    /// The containers' names at its ends; none is the host.
    pub names: [Option<String>; 2],
    /// By what each end is impaired.
    pub impaired: [Impairment; 2],
}

/// What is there on the interfaces of one container.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Wired {
    /// The routes that it was given, and the interfaces that they lead out of.
    pub routes: Vec<(IfName, StaticRoute)>,
    /// By what its interfaces are impaired.
    pub impaired: Vec<(IfName, Impairment)>,
}

/// All that is there of a project between and on its containers' interfaces.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FoundWires {
    /// Cables with an end in one of its containers.
    pub cables: Vec<FoundCable>,
    /// By containers' names.
    pub containers: BTreeMap<String, Wired>,
}

/// Something to do once the containers are there.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wire {
    /// A cable is taken away.
    Unlay {
        /// Its id.
        id: EndpointId,
        /// What it connects.
        ends: String,
    },
    /// A cable is laid.
    Lay {
        /// Its place in [`Project::cables`].
        cable: usize,
    },
    /// A route is taken away.
    RemoveRoute {
        /// The container's place among the members.
        member: usize,
        /// Which.
        route: StaticRoute,
    },
    /// A route is given.
    AddRoute {
        /// The container's place among the members.
        member: usize,
        /// Which.
        route: Route,
    },
    /// What leaves an interface is impaired, or is no longer.
    Impair {
        /// The container's place among the members.
        member: usize,
        /// The network that the interface is on, by its key.
        network: String,
        /// By what.
        impairment: Impairment,
    },
    /// What leaves either end of a cable is impaired, or is no longer.
    ImpairCable {
        /// Its place in [`Project::cables`].
        cable: usize,
        /// By what.
        impairment: Impairment,
    },
}

impl FoundWires {
    /// What is left of them when containers are made anew and leave networks.
    pub fn after(&self, members: &[Member], found: &[Found], changes: &[Change]) -> Self {
        let mut left = self.clone();
        for change in changes {
            match change {
                Change::Recreate { member, .. } => left.forget(&members[*member].name),
                Change::Remove { name, .. } => left.forget(name),
                Change::Update { member, updates, .. } => {
                    let name = &members[*member].name;
                    let places =
                        found.iter().find(|one| one.name == *name).map_or(&[][..], |one| &one.places);
                    let gone = places.iter().filter(|place| {
                        let leaves =
                            |update: &Update| matches!(update, Update::Leave(left) if *left == place.network);
                        updates.iter().any(leaves)
                    });
                    let gone: Vec<&IfName> = gone.map(|place| &place.endpoint.ifname).collect();
                    if let Some(wired) = left.containers.get_mut(name) {
                        wired.routes.retain(|(ifname, _)| !gone.contains(&ifname));
                        wired.impaired.retain(|(ifname, _)| !gone.contains(&ifname));
                    }
                }
                _ => {}
            }
        }
        left
    }

    fn forget(&mut self, name: &str) {
        self.containers.remove(name);
        self.cables.retain(|cable| !cable.names.iter().any(|end| end.as_deref() == Some(name)));
    }
}

/// What there is to do for the cables, routes and impairments of a project whose containers are there: first what goes,
/// then what comes. `is_meant` says which containers are asked for, and have interfaces: one that has ended has none.
pub fn wires(
    project: &Project,
    members: &[Member],
    found: &[Found],
    there: &FoundWires,
    is_meant: &dyn Fn(&Member) -> bool,
) -> Vec<Wire> {
    let mut gone = Vec::new();
    let mut come = Vec::new();
    let meant = || members.iter().enumerate().filter(|(_, member)| is_meant(member));
    let names: BTreeSet<&str> = meant().map(|(_, member)| member.name.as_str()).collect();
    of_cables(project, there, &names, &mut gone, &mut come);
    for (index, member) in meant() {
        let nothing = Wired::default();
        let wired = there.containers.get(&member.name).unwrap_or(&nothing);
        of_routes(index, member, wired, &mut gone, &mut come);
        let found = found.iter().find(|one| one.name == member.name);
        of_impairments(project, index, member, found, wired, &mut come);
    }
    gone.append(&mut come);
    gone
}

fn of_cables(
    project: &Project,
    there: &FoundWires,
    meant: &BTreeSet<&str>,
    gone: &mut Vec<Wire>,
    come: &mut Vec<Wire>,
) {
    let is_ours = |one: &&FoundCable| one.cable.labels.get(label::PROJECT) == Some(&project.name);
    let mut left: Vec<&FoundCable> = there.cables.iter().filter(is_ours).collect();
    let can_be = |end: &CableEnd| match container_at(project, end) {
        None => true,
        Some(name) => meant.contains(name.as_str()),
    };
    for (index, wanted) in project.cables.iter().enumerate() {
        let impairment = wanted.impair.as_ref().map(impairment).unwrap_or_default();
        match left.iter().position(|one| is_laid(project, wanted, one)) {
            Some(at) => {
                let has = left.remove(at).impaired;
                if has != [impairment; 2] {
                    come.push(Wire::ImpairCable { cable: index, impairment });
                }
            }
            None if wanted.ends.iter().all(can_be) => {
                come.push(Wire::Lay { cable: index });
                if !impairment.is_none() {
                    come.push(Wire::ImpairCable { cable: index, impairment });
                }
            }
            None => {}
        }
    }
    gone.extend(left.into_iter().map(|one| {
        let end = |at: usize| {
            let place = one.names[at].as_deref().unwrap_or("host");
            format!("{place}:{}", one.cable.ends[at].ifname)
        };
        Wire::Unlay { id: one.cable.id.clone(), ends: format!("{} {}", end(0), end(1)) }
    }));
}

/// Whether a cable that is there is the one that is wanted; the engine may have turned it round.
pub fn is_laid(project: &Project, wanted: &Cable, there: &FoundCable) -> bool {
    let fits = |wanted: &CableEnd, at: usize| {
        let end = &there.cable.ends[at];
        let mut addresses = [wanted.addresses.clone(), end.addresses.clone()];
        addresses.iter_mut().for_each(|list| list.sort());
        container_at(project, wanted) == there.names[at]
            && wanted.ifname.as_ref().is_none_or(|ifname| *ifname == end.ifname)
            && addresses[0] == addresses[1]
    };
    let [first, second] = &wanted.ends;
    let straight = fits(first, 0) && fits(second, 1);
    wanted.mtu == there.cable.mtu && (straight || (fits(first, 1) && fits(second, 0)))
}

/// The name of the container at the end of a cable; none for the host.
pub fn container_at(project: &Project, end: &CableEnd) -> Option<String> {
    match &end.place {
        Place::Host => None,
        Place::Service(name) => {
            let service = project.services.iter().find(|service| service.name == *name);
            Some(service.map_or_else(|| name.clone(), |service| name_of(project, service, 1)))
        }
    }
}

/// A destination, as the engine takes it.
pub fn destination(to: Destination) -> To {
    match to {
        Destination::Default => To::Default,
        Destination::Net(net) => To::Net(net),
    }
}

fn of_routes(index: usize, member: &Member, wired: &Wired, gone: &mut Vec<Wire>, come: &mut Vec<Wire>) {
    let is = |wanted: &Route, (ifname, has): &(IfName, StaticRoute)| {
        let ifname = wanted.interface.as_ref().is_none_or(|wanted| wanted == ifname);
        // A router of the other family was refused when the file was read.
        ifname && wanted.via == has.via && destination(wanted.to).by(wanted.via) == Ok(has.to)
    };
    let surplus = wired.routes.iter().filter(|has| !member.routes.iter().any(|wanted| is(wanted, has)));
    gone.extend(surplus.map(|(_, route)| Wire::RemoveRoute { member: index, route: *route }));
    let missing = member.routes.iter().filter(|wanted| !wired.routes.iter().any(|has| is(wanted, has)));
    come.extend(missing.map(|route| Wire::AddRoute { member: index, route: route.clone() }));
}

fn of_impairments(
    project: &Project,
    index: usize,
    member: &Member,
    found: Option<&Found>,
    wired: &Wired,
    come: &mut Vec<Wire>,
) {
    let Networking::Networks(joined) = &member.networking else { return };
    for one in joined {
        let is_meant = |network: &Option<String>| network.as_ref().is_none_or(|key| *key == one.key);
        let wanted = member.impair.iter().rev().find(|impair| is_meant(&impair.network));
        let wanted = wanted.map(|impair| impairment(&impair.what)).unwrap_or_default();
        let real = project.networks.get(&one.key).map_or(one.key.as_str(), |network| network.name.as_str());
        let place = found.and_then(|found| found.places.iter().find(|place| place.network == real));
        let on =
            |(ifname, _): &&(IfName, Impairment)| place.is_some_and(|place| place.endpoint.ifname == *ifname);
        let has = wired.impaired.iter().find(on).map(|(_, impairment)| *impairment).unwrap_or_default();
        if has != wanted {
            come.push(Wire::Impair { member: index, network: one.key.clone(), impairment: wanted });
        }
    }
}

/// What the file says, as the engine takes it.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share between none and all of a million"
)]
fn impairment(wanted: &Impair) -> Impairment {
    let million = |percent: f64| (percent * 10_000.0).round().clamp(0.0, 1e6) as u32;
    Impairment {
        rate: wanted.rate,
        delay: wanted.delay,
        jitter: wanted.jitter,
        // None lost is no loss.
        loss: wanted.loss.and_then(|percent| Loss::of_million(million(percent)).ok()),
    }
}
