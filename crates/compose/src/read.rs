//! The tree of all files, read into a [`Project`].

mod cable;
mod check;
mod dependency;
mod expectation;
mod health;
mod impairment;
mod network;
mod networking;
mod not_done;
mod port;
mod process;
mod profile;
mod route;
mod runtime;
mod service;
mod value;

use std::collections::BTreeMap;
use std::path::Path;

use crate::error::ComposeErrors;
use crate::project::{Networking, Project, ProjectNetwork, Service};
use crate::report::{Environment, Report};
use crate::source::Sources;
use crate::yaml::{Mark, Node};
use crate::{Files, Request};

use value::At;

/// What reading has at hand.
struct Reader<'a> {
    files: &'a dyn Files,
    working_directory: &'a Path,
    environment: &'a Environment,
    /// The project's name.
    name: &'a str,
    tree: &'a Node,
    report: Report,
    /// The networks of the file, and those that `network_mode` names.
    networks: BTreeMap<String, Declared>,
    profiles: profile::Profiles,
}

/// A network that services may join.
struct Declared {
    network: ProjectNetwork,
    /// Where it is declared; `None` for one that is there without being declared.
    at: Option<Mark>,
    used: bool,
}

/// A service with where it is, for messages about several services.
struct Placed<'a> {
    service: Service,
    at: At<'a>,
}

/// Reads the tree.
///
/// # Errors
///
/// All that is wrong in it, and in the files that it was made of.
pub(crate) fn project(
    sources: &Sources,
    report: Report,
    request: &Request,
    files: &dyn Files,
) -> Result<Project, ComposeErrors> {
    let Sources { tree, name, directory, environment } = sources;
    let mut reader = Reader {
        files,
        working_directory: &request.working_directory,
        environment,
        name,
        tree,
        report,
        networks: BTreeMap::new(),
        profiles: profile::Profiles::default(),
    };
    reader.networks = reader.declared();
    reader.profiles = reader.active(request);
    let mut services = reader.services();
    reader.check(&services);
    let cables = reader.cables(&services);
    let expectations = reader.expectations(&services);
    services = reader.ordered(services);
    reader.top_level();
    let Reader { report, networks, profiles, .. } = reader;
    if !report.errors.is_empty() {
        return Err(ComposeErrors(report.errors));
    }
    let used = networks.into_iter().filter(|(_, declared)| declared.used);
    Ok(Project {
        networks: used.map(|(key, declared)| (key, declared.network)).collect(),
        services: services.into_iter().map(|placed| placed.service).collect(),
        inactive: profiles.inactive,
        cables,
        expectations,
        warnings: report.warnings,
        name: name.clone(),
        directory: directory.clone(),
    })
}

impl<'a> Reader<'a> {
    /// A section of the file.
    fn section(&self, key: &str) -> Option<At<'a>> {
        self.tree.get(key).map(|node| At { node, place: key.to_owned() })
    }

    /// All services of the file, active or not.
    fn all_services(&self) -> Vec<(&'a str, At<'a>)> {
        let section = self.section("services");
        section.iter().flat_map(At::entries).map(|(key, _, at)| (key, at)).collect()
    }

    /// The active services, in the order of the file.
    fn services(&mut self) -> Vec<Placed<'a>> {
        let all = self.all_services();
        let mut services = Vec::new();
        for (name, at) in all {
            if self.profiles.active.contains(name) && at.node.as_map().is_some() {
                let service = self.service(name, &at);
                services.push(Placed { service, at });
            }
        }
        for placed in &services {
            self.use_networks(&placed.service.networking);
        }
        services
    }

    fn use_networks(&mut self, networking: &Networking) {
        let Networking::Networks(joined) = networking else { return };
        for joined in joined {
            if let Some(declared) = self.networks.get_mut(&joined.key) {
                declared.used = true;
            }
        }
    }
}
