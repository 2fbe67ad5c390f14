//! Waiting until what a service depends on has come far enough.

use std::time::{Duration, Instant};

use pontoon_compose::converge::Member;
use pontoon_compose::project::{Condition, Dependency, Runtime};
use pontoon_engine::report::container::Life;
use pontoon_model::supervision::Health;
use pontoon_oci::Kind;

use crate::{Progress, ProjectError, Site, Tell, bundles, engines, found};

/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// How long something is waited for before a person is told of it.
const SILENT: Duration = Duration::from_millis(200);

/// How long the making of a container is waited for that nobody waits for any more.
const MAKING: Duration = Duration::from_secs(10);

/// Waits for all containers of a dependency.
pub(crate) fn wait_for(
    site: &Site,
    service: &str,
    dependency: &Dependency,
    members: &[Member],
    tell: Tell<'_>,
) -> Result<(), ProjectError> {
    let of = members.iter().filter(|member| member.service == dependency.service);
    for member in of {
        match until(site, service, member, dependency.condition, tell) {
            Err(ProjectError::Dependency { dependency: name, why, .. }) if !dependency.required => {
                tell(Progress::Warning(format!("{service} starts without {name}, {why}")));
            }
            done => done?,
        }
    }
    Ok(())
}

/// Waits while containers of a project are being made: where a command was killed, what it began for one goes on.
pub(crate) fn until_made(site: &Site, project: &str, tell: Tell<'_>) -> Result<(), ProjectError> {
    let start = Instant::now();
    while start.elapsed() < MAKING {
        let mut lives = Vec::new();
        for sandbox in found::ours(&site.reader()?, project)? {
            lives.push(Life::of(&sandbox).map_err(ProjectError::of(sandbox.name.as_str()))?);
        }
        if !lives.contains(&Life::Created) {
            break;
        }
        tell(Progress::Tick);
        std::thread::sleep(LOOK);
    }
    Ok(())
}

/// Waits until those containers that are checked are well.
pub(crate) fn until_healthy<'a>(
    site: &Site,
    members: impl Iterator<Item = &'a Member>,
    tell: Tell<'_>,
) -> Result<(), ProjectError> {
    for member in members.filter(|member| member.process.health_check.is_some()) {
        until(site, "up --wait", member, Condition::Healthy, tell)?;
    }
    Ok(())
}

fn until(
    site: &Site,
    service: &str,
    member: &Member,
    condition: Condition,
    tell: Tell<'_>,
) -> Result<(), ProjectError> {
    let start = Instant::now();
    let mut told = false;
    loop {
        match look(site, member, condition)? {
            Come::FarEnough => return Ok(()),
            Come::NotYet => {}
            Come::Never(why) => {
                let (service, dependency) = (service.to_owned(), member.name.clone());
                return Err(ProjectError::Dependency { service, dependency, why });
            }
        }
        if !told && start.elapsed() > SILENT {
            told = true;
            let what = match condition {
                Condition::Started => "waits for its start",
                Condition::Healthy => "waits until it is healthy",
                Condition::CompletedSuccessfully => "waits for its end",
            };
            tell(Progress::Doing { subject: member.name.clone(), what: what.to_owned() });
        }
        tell(Progress::Tick);
        std::thread::sleep(LOOK);
    }
}

enum Come {
    FarEnough,
    NotYet,
    Never(String),
}

fn look(site: &Site, member: &Member, condition: Condition) -> Result<Come, ProjectError> {
    let (state, health) = match engines::kind(&member.runtime) {
        Some(kind) => elsewhere(kind, &member.name)?,
        None => here(site, member)?,
    };
    Ok(match (condition, state) {
        (Condition::CompletedSuccessfully, State::Ended(0)) => Come::FarEnough,
        (Condition::CompletedSuccessfully, State::Runs) => Come::NotYet,
        (Condition::CompletedSuccessfully | Condition::Healthy, State::Ended(code)) => {
            Come::Never(format!("which ended with {code}"))
        }
        (Condition::Started, _) => Come::FarEnough,
        (Condition::Healthy, State::Runs) => match health {
            Some(Health::Healthy) => Come::FarEnough,
            Some(Health::Starting) => Come::NotYet,
            Some(Health::Unhealthy) => Come::Never("which is unhealthy".into()),
            None => Come::Never("which has no health check to be waited for".into()),
        },
    })
}

/// Whether a process runs.
enum State {
    Runs,
    Ended(i64),
}

fn here(site: &Site, member: &Member) -> Result<(State, Option<Health>), ProjectError> {
    if let Runtime::Oci { .. } = member.runtime {
        let runs = bundles::runs(&member.runtime, &member.name)?;
        // How its process ended, an OCI runtime does not tell.
        return Ok((if runs { State::Runs } else { State::Ended(0) }, None));
    }
    let sandbox = site.reader()?.container(&member.name)?;
    let state = match Life::of(&sandbox).map_err(ProjectError::of(&member.name))? {
        Life::Created | Life::Running | Life::Restarting => State::Runs,
        Life::Exited(code) => State::Ended(code.into()),
        Life::Dead => State::Ended(137),
    };
    Ok((state, sandbox.health))
}

fn elsewhere(kind: Kind, name: &str) -> Result<(State, Option<Health>), ProjectError> {
    let container = engines::inspect(kind, name)?;
    let health = container.health.as_deref().map(|word| match word {
        "healthy" => Health::Healthy,
        "unhealthy" => Health::Unhealthy,
        _ => Health::Starting,
    });
    Ok((container.pid.map_or(State::Ended(container.exit_code), |_| State::Runs), health))
}
