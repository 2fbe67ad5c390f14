//! Containers of a project that an OCI runtime makes of a bundle: wired between their making and their start.

use std::collections::BTreeMap;
use std::time::Duration;

use pontoon_compose::converge::{Found, FoundMode, Life, Member, Place, label, reference};
use pontoon_compose::project::{Networking, Runtime as Made};
use pontoon_engine::EngineError;
use pontoon_engine::report::Reader;
use pontoon_model::sandbox::Process;
use pontoon_model::{ContainerRef, Sandbox};
use pontoon_oci::{OciError, Runtime};

use crate::{ProjectError, Site};

/// What a container was made of, as the next `up` compares it with its file.
const DEFINITION: &str = "dev.pontoon.compose.definition";

/// How long a container may take to end, unless something else is said. As Docker has it.
const GRACE: Duration = Duration::from_secs(10);

/// What a container is made of.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Definition {
    bundle: std::path::PathBuf,
    program: Option<String>,
    process: Process,
}

fn failed(subject: &str) -> impl FnOnce(OciError) -> ProjectError {
    let subject = subject.to_owned();
    |error| ProjectError::of(subject)(EngineError::from(error))
}

fn runtime(made: &Made, name: &str) -> Result<Runtime, ProjectError> {
    let program = match made {
        Made::Oci { program, .. } => program.as_deref(),
        _ => None,
    };
    Runtime::find(program).map_err(failed(name))
}

/// The containers of a project that are known from their networks, and those of `members` that their runtime knows.
pub(crate) fn containers(
    reader: &Reader,
    project: &str,
    members: &[Member],
) -> Result<Vec<Found>, ProjectError> {
    let mut found = Vec::new();
    let is_of = |one: &Sandbox| one.labels.get(label::PROJECT).is_some_and(|name| name == project);
    for mut sandbox in reader.containers()?.into_iter().filter(is_of) {
        let Some(ContainerRef::Oci(name)) = sandbox.elsewhere().cloned() else { continue };
        let definition = sandbox.labels.remove(DEFINITION).and_then(|text| serde_json::from_str(&text).ok());
        let Some(Definition { bundle, program, process }) = definition else { continue };
        let made = Made::Oci { bundle, program };
        let places = reader.of_container(&sandbox)?.into_iter();
        let life = life(&runtime(&made, &name)?, &name)?;
        found.push(Found {
            service: sandbox.labels.get(label::SERVICE).cloned().unwrap_or_default(),
            number: sandbox.labels.get(label::NUMBER).and_then(|text| text.parse().ok()).unwrap_or(0),
            mode: FoundMode::Networks,
            life: life.unwrap_or(Life::Ended(0)),
            places: places
                .map(|place| Place { network: place.network.name.to_string(), endpoint: place.endpoint })
                .collect(),
            ports: sandbox.ports,
            labels: sandbox.labels,
            runtime: made,
            process,
            name,
        });
    }
    for member in members.iter().filter(|member| matches!(member.runtime, Made::Oci { .. })) {
        if !found.iter().any(|one| one.name == member.name)
            && let Some(life) = life(&runtime(&member.runtime, &member.name)?, &member.name)?
        {
            found.push(bare(member, life));
        }
    }
    Ok(found)
}

/// A container on no network: nothing is on record of it but that it is there.
fn bare(member: &Member, life: Life) -> Found {
    let wired = matches!(member.networking, Networking::Networks(_));
    Found {
        name: member.name.clone(),
        service: member.service.clone(),
        number: member.number,
        runtime: member.runtime.clone(),
        process: member.process.clone(),
        mode: FoundMode::None,
        labels: member.labels.clone(),
        // One that should be on networks was not finished.
        life: if wired { Life::Ended(0) } else { life },
        places: Vec::new(),
        ports: Vec::new(),
    }
}

fn life(runtime: &Runtime, name: &str) -> Result<Option<Life>, ProjectError> {
    let state = runtime.state(name).map_err(failed(name))?;
    Ok(state.map(|state| if state.status == "stopped" { Life::Ended(0) } else { Life::Running }))
}

/// Whether a container still runs.
pub(crate) fn runs(made: &Made, name: &str) -> Result<bool, ProjectError> {
    Ok(life(&runtime(made, name)?, name)? == Some(Life::Running))
}

/// What a runtime's container is to be known by: its process, and labels that tell what it was made of.
pub(crate) type Announcement = (u32, BTreeMap<String, String>);

/// What a container is to be known by; nothing where it is no OCI runtime's.
pub(crate) fn announcement(member: &Member) -> Result<Option<Announcement>, ProjectError> {
    let (Made::Oci { bundle, program }, name) = (&member.runtime, &member.name) else { return Ok(None) };
    let definition =
        Definition { bundle: bundle.clone(), program: program.clone(), process: member.process.clone() };
    let mut labels = member.labels.clone();
    // Nothing in it that could not be written.
    labels.insert(DEFINITION.into(), serde_json::to_string(&definition).unwrap_or_default());
    let state = runtime(&member.runtime, name)?.state(name).map_err(failed(name))?;
    Ok(state.map(|state| (state.pid, labels)))
}

/// Makes a container, has `connect` wire it, and starts it. What fails is taken back.
pub(crate) fn start(
    site: &mut Site,
    member: &Member,
    connect: impl FnOnce(&mut Site, u32, BTreeMap<String, String>) -> Result<(), ProjectError>,
) -> Result<(), ProjectError> {
    let Made::Oci { bundle, .. } = &member.runtime else { return Ok(()) };
    let (name, runtime) = (&member.name, runtime(&member.runtime, &member.name)?);
    let log = site.log_of(name)?;
    runtime.create(name, bundle, &log).map_err(failed(name))?;
    let started = announcement(member).and_then(|announced| {
        let (pid, labels) = announced.ok_or_else(|| ProjectError::NotUp(name.clone()))?;
        connect(site, pid, labels)?;
        runtime.start(name).map_err(failed(name))
    });
    if started.is_err() {
        // The first error says more than what follows from it.
        let meant = reference(&member.runtime, name.clone());
        let _ = site.with_engine(name, &mut |_| {}, |engine| engine.leave_all(&meant));
        let _ = runtime.remove(name, "KILL", Duration::ZERO);
    }
    started
}

/// Ends and removes a container.
pub(crate) fn remove(found: &Found) -> Result<(), ProjectError> {
    let signal = found.process.stop_signal.map_or_else(|| "TERM".to_owned(), |one| one.number().to_string());
    let grace = found.process.stop_grace.unwrap_or(GRACE);
    runtime(&found.runtime, &found.name)?.remove(&found.name, &signal, grace).map_err(failed(&found.name))
}
