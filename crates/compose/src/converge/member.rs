//! The containers that a project wants.

use std::collections::BTreeMap;

use pontoon_model::ContainerRef;
use pontoon_model::endpoint::NameLink;
use pontoon_model::publish::PublishSpec;
use pontoon_model::sandbox::Process;
use pontoon_model::supervision::{HealthCheck as Check, NetSysctl, RestartPolicy};

use super::label;
use crate::project::{
    HealthCheck, Impairment, Joined, Networking, Project, Restart, Route, Runtime, Service, Test,
};

/// A container that is wanted.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// Its service.
    pub service: String,
    /// Which of its service's it is, from 1.
    pub number: u32,
    /// Its name.
    pub name: String,
    /// What makes it.
    pub runtime: Runtime,
    /// What is run in it. Empty where the image says.
    pub process: Process,
    /// Replaces the image's entry point.
    pub entrypoint: Option<Vec<String>>,
    /// Replaces the image's command.
    pub command: Option<Vec<String>>,
    /// As whom it runs, where not as the image says.
    pub user: Option<String>,
    /// Whether it has a terminal.
    pub tty: bool,
    /// Its network. Aliases are complete; [`Networking::Service`] is [`Networking::Container`] here.
    pub networking: Networking,
    /// What it publishes.
    pub ports: Vec<PublishSpec>,
    /// Its labels, those of the project among them.
    pub labels: BTreeMap<String, String>,
    /// Its routes.
    pub routes: Vec<Route>,
    /// What is made worse on its interfaces.
    pub impair: Vec<Impairment>,
}

/// The containers of a project, each after those that its service depends on.
pub fn members(project: &Project) -> Vec<Member> {
    let of = |service: &Service| (1..=service.scale).map(|number| member(project, service, number)).collect();
    project.services.iter().flat_map(|service| -> Vec<Member> { of(service) }).collect()
}

/// What a service's container is called.
pub(super) fn name_of(project: &Project, service: &Service, number: u32) -> String {
    match &service.container_name {
        Some(name) => name.clone(),
        None => format!("{}-{}-{number}", project.name, service.name),
    }
}

fn member(project: &Project, service: &Service, number: u32) -> Member {
    let name = name_of(project, service, number);
    let mut labels = service.labels.clone();
    labels.extend([
        (label::PROJECT.to_owned(), project.name.clone()),
        (label::WORKING_DIR.to_owned(), project.directory.display().to_string()),
        (label::SERVICE.to_owned(), service.name.clone()),
        (label::NUMBER.to_owned(), number.to_string()),
        (label::ONE_OFF.to_owned(), "False".to_owned()),
    ]);
    Member {
        service: service.name.clone(),
        number,
        runtime: service.runtime.clone(),
        process: process(service, &name),
        entrypoint: service.entrypoint.clone(),
        command: service.command.clone(),
        user: service.user.clone(),
        tty: service.tty,
        networking: networking(project, service),
        ports: service.ports.clone(),
        labels,
        routes: service.routes.clone(),
        impair: service.impair.clone(),
        name,
    }
}

fn process(service: &Service, name: &str) -> Process {
    let rootfs = match &service.runtime {
        Runtime::Process { rootfs } => rootfs.clone(),
        Runtime::Docker { .. } | Runtime::Podman { .. } | Runtime::Oci { .. } => None,
    };
    Process {
        argv: [&service.entrypoint, &service.command].into_iter().flatten().flatten().cloned().collect(),
        env: service.environment.iter().map(|(name, value)| format!("{name}={value}")).collect(),
        workdir: service.working_dir.clone(),
        rootfs,
        hostname: service.hostname.clone().unwrap_or_else(|| name.to_owned()),
        dns: service.dns.clone(),
        dns_search: service.dns_search.clone(),
        dns_options: service.dns_options.clone(),
        extra_hosts: service.extra_hosts.clone(),
        auto_remove: false,
        detached: true,
        exposed: service.expose.clone(),
        // Others are refused when the file is read.
        sysctls: service.sysctls.iter().filter_map(|(key, value)| NetSysctl::new(key, value).ok()).collect(),
        restart: match service.restart {
            Restart::No => RestartPolicy::No,
            Restart::Always => RestartPolicy::Always,
            Restart::OnFailure(most) => RestartPolicy::OnFailure(most),
            Restart::UnlessStopped => RestartPolicy::UnlessStopped,
        },
        health_check: service.healthcheck.as_ref().and_then(check),
        // Refused when the file is read, where it is none.
        stop_signal: service.stop_signal.as_ref().and_then(|signal| signal.parse().ok()),
        stop_grace: service.stop_grace,
    }
}

/// How a container is referred to.
pub fn reference(runtime: &Runtime, name: String) -> ContainerRef {
    match runtime {
        Runtime::Process { .. } => ContainerRef::Ours(name),
        Runtime::Docker { .. } => ContainerRef::Docker(name),
        Runtime::Podman { .. } => ContainerRef::Podman(name),
        Runtime::Oci { .. } => ContainerRef::Oci(name),
    }
}

/// None where the image says what is to be run.
fn check(given: &HealthCheck) -> Option<Check> {
    let usual = match given.test.as_ref()? {
        Test::Exec(argv) => Check::new(argv.clone()),
        Test::Shell(line) => Check::shell(line),
    };
    Some(Check {
        interval: given.interval.unwrap_or(usual.interval),
        timeout: given.timeout.unwrap_or(usual.timeout),
        retries: given.retries.unwrap_or(usual.retries),
        start_period: given.start_period.unwrap_or(usual.start_period),
        start_interval: given.start_interval.unwrap_or(usual.start_interval),
        test: usual.test,
    })
}

fn networking(project: &Project, service: &Service) -> Networking {
    match &service.networking {
        Networking::Networks(joined) => {
            Networking::Networks(joined.iter().map(|one| with_names(project, service, one)).collect())
        }
        Networking::Service(other) => {
            let found = project.services.iter().find(|one| one.name == *other);
            let name = found.map_or_else(|| other.clone(), |other| name_of(project, other, 1));
            Networking::Container(
                found.map_or(ContainerRef::Ours(name.clone()), |other| reference(&other.runtime, name)),
            )
        }
        other => other.clone(),
    }
}

/// A place with all names that the container answers to there, its service's and those of the file, and with the names
/// that it has for services in its `links`.
fn with_names(project: &Project, service: &Service, joined: &Joined) -> Joined {
    let is_there = |name: &str| {
        project.services.iter().any(|other| match &other.networking {
            Networking::Networks(theirs) => {
                other.name == name && theirs.iter().any(|one| one.key == joined.key)
            }
            _ => false,
        })
    };
    let links = service.links.iter().filter(|link| link.alias != link.service && is_there(&link.service));
    let links = links.map(|link| NameLink { name: link.service.clone(), alias: link.alias.clone() });
    let mut aliases: Vec<String> = Vec::new();
    for name in std::iter::once(&service.name).chain(&joined.aliases) {
        if !aliases.contains(name) {
            aliases.push(name.clone());
        }
    }
    Joined { aliases, links: links.collect(), ..joined.clone() }
}
