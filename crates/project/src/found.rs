//! What is there of a project.

use std::collections::BTreeMap;

use pontoon_compose::converge::{
    Found, FoundCable, FoundMode, FoundNetwork, FoundWires, Life, Member, Place, Wired, label, members,
    reference,
};
use pontoon_compose::project::{Project, Runtime};
use pontoon_engine::EngineError;
use pontoon_engine::impair::InterfaceRef;
use pontoon_engine::report::container::Life as Seen;
use pontoon_engine::report::{Reader, ReportError};
use pontoon_model::sandbox::NetworkMode;
use pontoon_model::{ContainerRef, Sandbox, SandboxId};

use crate::{ProjectError, bundles, engines};

/// The containers of a project that Pontoon runs, by its name.
///
/// # Errors
///
/// If the state cannot be read.
pub fn ours(reader: &Reader, project: &str) -> Result<Vec<Sandbox>, ReportError> {
    let mut all = reader.containers()?;
    all.retain(|one| one.is_ours() && one.labels.get(label::PROJECT).is_some_and(|name| name == project));
    all.reverse();
    Ok(all)
}

/// All containers of a project, whoever runs them; `members` are those that its file wants, if it is there.
pub(crate) fn containers(
    reader: &Reader,
    project: &str,
    members: &[Member],
) -> Result<Vec<Found>, ProjectError> {
    let mut found = processes(reader, project)?;
    found.extend(engines::containers(reader, project)?);
    found.extend(bundles::containers(reader, project, members)?);
    Ok(found)
}

/// As [`ours`], with all that a project's file says of them.
fn processes(reader: &Reader, project: &str) -> Result<Vec<Found>, ReportError> {
    let all = reader.containers()?;
    let names: BTreeMap<&str, &str> = all.iter().map(|one| (one.id.as_str(), one.name.as_str())).collect();
    let mut found = Vec::new();
    for sandbox in ours(reader, project)? {
        let places = reader.of_container(&sandbox)?.into_iter();
        found.push(Found {
            name: sandbox.name.to_string(),
            service: sandbox.labels.get(label::SERVICE).cloned().unwrap_or_default(),
            number: sandbox.labels.get(label::NUMBER).and_then(|text| text.parse().ok()).unwrap_or(0),
            runtime: Runtime::Process { rootfs: sandbox.process.rootfs.clone() },
            mode: match &sandbox.mode {
                NetworkMode::Networks => FoundMode::Networks,
                NetworkMode::None => FoundMode::None,
                NetworkMode::Host => FoundMode::Host,
                NetworkMode::Container(id) => {
                    FoundMode::Container(names.get(id.as_str()).copied().unwrap_or_default().to_owned())
                }
            },
            life: match Seen::of(&sandbox)? {
                Seen::Created | Seen::Running | Seen::Restarting => Life::Running,
                Seen::Exited(code) => Life::Ended(code),
                Seen::Dead => Life::Ended(137),
            },
            places: places
                .map(|place| Place { network: place.network.name.to_string(), endpoint: place.endpoint })
                .collect(),
            ports: sandbox.ports.clone(),
            process: sandbox.process,
            labels: sandbox.labels,
        });
    }
    Ok(found)
}

/// The networks that carry the project's label or have the name of one of its networks.
pub(crate) fn networks_of(
    reader: &Reader,
    project: &Project,
    containers: &[Found],
) -> Result<Vec<FoundNetwork>, ReportError> {
    let mut found = Vec::new();
    for network in reader.networks()? {
        let labelled = network.labels.get(label::PROJECT) == Some(&project.name);
        let named = project.networks.values().any(|wanted| wanted.name == network.name.as_str());
        if !labelled && !named {
            continue;
        }
        let is_ours = |sandbox: &Sandbox| {
            let is = |one: &Found| sandbox.is_meant_by(&reference(&one.runtime, one.name.clone()));
            containers.iter().any(is)
        };
        let on = reader.on_network(&network)?.into_iter().filter(|place| !is_ours(&place.sandbox));
        let strangers = on.map(|place| place.sandbox.name.to_string()).collect();
        found.push(FoundNetwork { network, strangers });
    }
    Ok(found)
}

/// The networks that carry a project's label, by name.
///
/// # Errors
///
/// If the state cannot be read.
pub fn networks(reader: &Reader, project: &str) -> Result<Vec<String>, ReportError> {
    let of = |network: &pontoon_model::Network| {
        network.labels.get(label::PROJECT).is_some_and(|name| name == project)
    };
    Ok(reader.networks()?.iter().filter(|one| of(one)).map(|one| one.name.to_string()).collect())
}

/// The names of what [`down`](crate::down()) would take away: containers, then networks. `file` is the project's, if it
/// is there.
///
/// # Errors
///
/// If the state cannot be read.
pub fn standing(
    reader: &Reader,
    project: &str,
    file: Option<&Project>,
    services: &[String],
) -> Result<(Vec<ContainerRef>, Vec<String>), ProjectError> {
    let mut found = containers(reader, project, &file.map(members).unwrap_or_default())?;
    found.retain(|one| services.is_empty() || services.contains(&one.service));
    let containers = found.into_iter().map(|one| reference(&one.runtime, one.name)).collect();
    let networks = if services.is_empty() { networks(reader, project)? } else { Vec::new() };
    Ok((containers, networks))
}

/// The record of a container, whoever runs it.
pub(crate) fn record(reader: &Reader, meant: &ContainerRef) -> Result<Option<Sandbox>, ReportError> {
    match meant {
        ContainerRef::Ours(name) => Ok(reader.container(name).ok().filter(Sandbox::is_ours)),
        // Found by what it was connected as.
        meant => Ok(reader.containers()?.into_iter().find(|sandbox| sandbox.is_meant_by(meant))),
    }
}

/// What is there between and on the interfaces of a project's containers.
pub(crate) fn wires(reader: &Reader, found: &[Found]) -> Result<FoundWires, ReportError> {
    let all = reader.containers()?;
    let mut wires = FoundWires::default();
    for one in found {
        let meant = reference(&one.runtime, one.name.clone());
        let Some(sandbox) = all.iter().find(|sandbox| sandbox.is_meant_by(&meant)) else { continue };
        // By its record: it may have ended.
        let at = ContainerRef::Ours(sandbox.name.to_string());
        let routes = or_none(reader.static_routes(&at))?;
        let routes = routes.into_iter().map(|one| (one.ifname, one.route)).collect();
        let impaired = or_none(reader.impairments(&InterfaceRef::of(at)))?;
        let impaired = impaired.into_iter().map(|one| (one.ifname, one.impairment)).collect();
        wires.containers.insert(one.name.clone(), Wired { routes, impaired });
    }
    let name = |id: &SandboxId| {
        let sandbox = all.iter().find(|sandbox| sandbox.id == *id)?;
        Some(bare_name(&sandbox.shown_as()))
    };
    for cable in reader.cables()? {
        let names = [0, 1].map(|end| cable.ends[end].sandbox.as_ref().and_then(name));
        if !names.iter().flatten().any(|name| wires.containers.contains_key(name)) {
            continue;
        }
        let at = InterfaceRef::of(ContainerRef::Ours(cable.id.to_string()));
        let impaired = or_none(reader.impairments(&at))?;
        let of = |end: usize| {
            let ifname = &cable.ends[end].ifname;
            let one = impaired.iter().find(|one| {
                one.ifname == *ifname && one.container.is_some() == cable.ends[end].sandbox.is_some()
            });
            one.map(|one| one.impairment).unwrap_or_default()
        };
        let impaired = [of(0), of(1)];
        wires.cables.push(FoundCable { cable, names, impaired });
    }
    Ok(wires)
}

/// Nothing of what has no interface, or went away meanwhile.
fn or_none<T>(read: Result<Vec<T>, ReportError>) -> Result<Vec<T>, ReportError> {
    match read {
        Err(ReportError::Engine(EngineError::NoInterface { .. } | EngineError::NoContainer { .. })) => {
            Ok(Vec::new())
        }
        read => read,
    }
}

/// Without the engine before it.
fn bare_name(shown: &str) -> String {
    shown.split_once(':').map_or(shown, |(_, name)| name).to_owned()
}
