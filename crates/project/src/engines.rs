//! Containers of a project that Docker or Podman makes: without a network, and wired from outside.

use std::net::IpAddr;
use std::time::Duration;

use pontoon_compose::converge::{Found, FoundMode, Life, Member, Place, label, reference};
use pontoon_compose::project::{Networking, Runtime};
use pontoon_engine::EngineError;
use pontoon_engine::report::Reader;
use pontoon_model::network::NAMES;
use pontoon_model::sandbox::{HostEntry, Process};
use pontoon_model::supervision::RestartPolicy;
use pontoon_model::{ContainerRef, Sandbox};
use pontoon_oci::{Client, Container, CreateSpec, HealthCheck, Kind, OciError, Restart, Sharing};

use crate::ProjectError;

/// What a container was made of, as the next `up` compares it with its file.
const DEFINITION: &str = "dev.pontoon.compose.definition";

/// The engine that makes a container, if it is not Pontoon.
pub(crate) fn kind(runtime: &Runtime) -> Option<Kind> {
    match runtime {
        Runtime::Docker { .. } => Some(Kind::Docker),
        Runtime::Podman { .. } => Some(Kind::Podman),
        Runtime::Process { .. } | Runtime::Oci { .. } => None,
    }
}

fn failed(subject: &str) -> impl FnOnce(OciError) -> ProjectError {
    let subject = subject.to_owned();
    |error| ProjectError::of(subject)(EngineError::from(error))
}

/// The engine of a kind, which has to be there.
pub(crate) fn open(kind: Kind, subject: &str) -> Result<Client, ProjectError> {
    Client::open(kind).map_err(failed(subject))
}

/// Engines that are there and may have containers of a project: none is missed that does not run.
fn present() -> Vec<Client> {
    let open = |kind| Client::open(kind).ok().filter(Client::has_socket);
    [Kind::Docker, Kind::Podman].into_iter().filter_map(open).collect()
}

/// The containers of a project that other engines have, with what made each.
pub(crate) fn containers(reader: &Reader, project: &str) -> Result<Vec<Found>, ProjectError> {
    let known = reader.containers()?;
    let mut found = Vec::new();
    for client in present() {
        let listed = client.list(Some((label::PROJECT, Some(project)))).map_err(failed(project))?;
        let name_of = |id: &str| {
            let all = client.list(None).unwrap_or_default();
            all.into_iter().find(|one| one.id == id).map_or_else(|| id.to_owned(), |one| one.name)
        };
        for one in listed.iter().filter(|one| one.labels.contains_key(DEFINITION)) {
            match client.inspect(&one.name) {
                Ok(container) => found.push(of(reader, &known, client.kind(), container, &name_of)?),
                // It was removed meanwhile.
                Err(error) if error.is_no_container() => {}
                Err(error) => return Err(failed(&one.name)(error)),
            }
        }
    }
    Ok(found)
}

fn of(
    reader: &Reader,
    known: &[Sandbox],
    kind: Kind,
    container: Container,
    name_of: &dyn Fn(&str) -> String,
) -> Result<Found, ProjectError> {
    let Container { name, pid, image, mut labels, sharing, exit_code, .. } = container;
    let definition = labels.remove(DEFINITION).unwrap_or_default();
    let definition: Definition = serde_json::from_str(&definition).unwrap_or_default();
    // Podman tells of an image by its full name.
    let image = definition.image.unwrap_or(image);
    let runtime = match kind {
        Kind::Docker => Runtime::Docker { image },
        Kind::Podman => Runtime::Podman { image },
    };
    let meant = reference(&runtime, name.clone());
    let record = known.iter().find(|sandbox| sandbox.is_meant_by(&meant));
    let places = match record {
        Some(sandbox) => reader.of_container(sandbox)?,
        None => Vec::new(),
    };
    Ok(Found {
        service: labels.get(label::SERVICE).cloned().unwrap_or_default(),
        number: labels.get(label::NUMBER).and_then(|text| text.parse().ok()).unwrap_or(0),
        mode: match sharing {
            Sharing::Host => FoundMode::Host,
            Sharing::Container(other) => FoundMode::Container(name_of(&other)),
            Sharing::Own if definition.networks => FoundMode::Networks,
            Sharing::Own | Sharing::Path(_) => FoundMode::None,
        },
        life: match pid {
            Some(_) => Life::Running,
            None => Life::Ended(i32::try_from(exit_code).unwrap_or(i32::MAX)),
        },
        ports: record.map(|sandbox| sandbox.ports.clone()).unwrap_or_default(),
        places: places
            .into_iter()
            .map(|place| Place { network: place.network.name.to_string(), endpoint: place.endpoint })
            .collect(),
        process: definition.process,
        runtime,
        name,
        labels,
    })
}

/// What a container is made of.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
struct Definition {
    process: Process,
    /// Its image, as the file names it.
    #[serde(default)]
    image: Option<String>,
    /// Whether it is on networks.
    networks: bool,
}

/// Makes a container and starts it; its networks are still to come.
pub(crate) fn start(member: &Member, gateways: &[IpAddr]) -> Result<(), ProjectError> {
    let Some(kind) = kind(&member.runtime) else { return Ok(()) };
    let client = open(kind, &member.name)?;
    client.create(Some(&member.name), &spec(member, gateways)?).map_err(failed(&member.name))?;
    let started = client.start(&member.name);
    if started.is_err() {
        // The first error says more than that it could not be removed.
        let _ = client.remove(&member.name, true);
    }
    started.map_err(failed(&member.name))
}

fn spec(member: &Member, gateways: &[IpAddr]) -> Result<CreateSpec, ProjectError> {
    let process = &member.process;
    let networks = matches!(member.networking, Networking::Networks(_));
    let image = match &member.runtime {
        Runtime::Docker { image } | Runtime::Podman { image } => image.clone(),
        Runtime::Process { .. } | Runtime::Oci { .. } => String::new(),
    };
    let definition = Definition { process: process.clone(), image: Some(image.clone()), networks };
    let mut labels = member.labels.clone();
    // Nothing in it that could not be written.
    labels.insert(DEFINITION.into(), serde_json::to_string(&definition).unwrap_or_default());
    let names = networks.then_some(IpAddr::V4(NAMES));
    let host = |(name, to): &(String, HostEntry)| match to {
        HostEntry::Address(address) => vec![(name.clone(), *address)],
        HostEntry::Gateway => gateways.iter().map(|gateway| (name.clone(), *gateway)).collect(),
    };
    Ok(CreateSpec {
        image,
        entrypoint: member.entrypoint.clone(),
        command: member.command.clone(),
        env: process.env.clone(),
        labels,
        working_dir: process.workdir.as_ref().map(|path| path.display().to_string()),
        // The host's is the host's.
        hostname: (member.networking != Networking::Host).then(|| process.hostname.clone()),
        tty: member.tty,
        user: member.user.clone(),
        network: network_mode(member)?,
        extra_hosts: process.extra_hosts.iter().flat_map(host).collect(),
        dns: names.into_iter().chain(process.dns.iter().copied()).collect(),
        dns_search: process.dns_search.clone(),
        dns_options: process.dns_options.clone(),
        sysctls: process.sysctls.iter().map(|set| (set.key.replace('/', "."), set.value.clone())).collect(),
        health_check: process.health_check.as_ref().map(|check| HealthCheck {
            test: std::iter::once("CMD".to_owned()).chain(check.test.iter().cloned()).collect(),
            interval: check.interval,
            timeout: check.timeout,
            start_period: check.start_period,
            retries: check.retries,
        }),
        restart: match process.restart {
            RestartPolicy::No => Restart::No,
            RestartPolicy::Always => Restart::Always,
            RestartPolicy::UnlessStopped => Restart::UnlessStopped,
            RestartPolicy::OnFailure(most) => Restart::OnFailure(most),
        },
        stop_signal: process.stop_signal.map(|signal| signal.to_string()),
        stop_timeout: process.stop_grace.map(|grace| u32::try_from(grace.as_secs()).unwrap_or(u32::MAX)),
        mounts: Vec::new(),
    })
}

/// `none` where Pontoon connects it.
fn network_mode(member: &Member) -> Result<String, ProjectError> {
    let other = || ProjectError::ForeignNetwork {
        service: member.service.clone(),
        other: match &member.networking {
            Networking::Container(other) => other.to_string(),
            _ => String::new(),
        },
    };
    match (&member.networking, kind(&member.runtime)) {
        (Networking::Networks(_) | Networking::None, _) => Ok("none".into()),
        (Networking::Host, _) => Ok("host".into()),
        (Networking::Container(ContainerRef::Docker(name)), Some(Kind::Docker))
        | (Networking::Container(ContainerRef::Podman(name)), Some(Kind::Podman)) => {
            Ok(format!("container:{name}"))
        }
        (Networking::Container(_) | Networking::Service(_), _) => Err(other()),
    }
}

/// Asks a container to end, and makes it; says nothing of one that is not there.
pub(crate) fn stop(kind: Kind, name: &str, grace: Option<Duration>) -> Result<(), ProjectError> {
    match open(kind, name)?.stop(name, grace) {
        Err(error) if !error.is_no_container() => Err(failed(name)(error)),
        _ => Ok(()),
    }
}

/// Removes a container; says nothing of one that is not there.
pub(crate) fn remove(kind: Kind, name: &str) -> Result<(), ProjectError> {
    match open(kind, name)?.remove(name, true) {
        Err(error) if !error.is_no_container() => Err(failed(name)(error)),
        _ => Ok(()),
    }
}

/// How a container is.
pub(crate) fn inspect(kind: Kind, name: &str) -> Result<Container, ProjectError> {
    open(kind, name)?.inspect(name).map_err(failed(name))
}

/// What a container prints, and goes on to print.
pub(crate) fn logs(kind: Kind, name: &str, tail: Option<u64>) -> Result<pontoon_oci::Logs, ProjectError> {
    open(kind, name)?.logs(name, tail, true).map_err(failed(name))
}
