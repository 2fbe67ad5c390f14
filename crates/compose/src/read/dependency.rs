//! What is started before what.
//!
//! Source: the Compose Specification, "depends_on", "links", "network_mode" and "volumes_from".

use std::collections::BTreeMap;

use super::value::At;
use super::{Placed, Reader};
use crate::error::{Circle, Fault};
use crate::project::{Condition, Dependency, Networking};
use crate::yaml::Mark;

impl Reader<'_> {
    /// The services that have to be there before a service: what it says, then what follows from other keys.
    pub(super) fn dependencies(
        &mut self,
        name: &str,
        at: &At<'_>,
        networking: &Networking,
    ) -> Vec<Dependency> {
        let mut all = Vec::new();
        for (service, mark, entry) in at.entries_of("depends_on") {
            all.extend(self.said(name, service, mark, &entry));
        }
        if let Networking::Service(service) = networking
            && self.profiles.active.contains(service)
        {
            add(&mut all, service, true);
        }
        for (service, restart, place) in implied(at) {
            let needed = self.need(&service, &place.quoted());
            if self.report.take(&place.node.at, needed).is_some() {
                add(&mut all, &service, restart);
            }
        }
        all
    }

    /// An entry of `depends_on`.
    fn said(&mut self, name: &str, service: &str, mark: &Mark, at: &At<'_>) -> Option<Dependency> {
        let condition = at.get("condition").and_then(|at| self.condition(&at));
        let required = at.get("required").and_then(|at| self.report.boolean(&at)).unwrap_or(true);
        let restart = self.report.flag(at, "restart");
        let condition = condition.unwrap_or(Condition::Started);
        match self.need(service, &at.quoted()) {
            Ok(()) => Some(Dependency { service: service.to_owned(), condition, restart, required }),
            Err(fault) if required => {
                self.report.error(mark, fault);
                None
            }
            Err(_) => {
                let why = format!("service `{service}` is not active, and need not be");
                self.report.not_done(mark, "depends_on", name, &why);
                None
            }
        }
    }

    fn condition(&mut self, at: &At<'_>) -> Option<Condition> {
        let condition = match at.text()? {
            "service_started" => Ok(Condition::Started),
            "service_healthy" => Ok(Condition::Healthy),
            "service_completed_successfully" => Ok(Condition::CompletedSuccessfully),
            _ => Err(
                at.is_not("a condition: service_started, service_healthy or service_completed_successfully")
            ),
        };
        self.report.take(&at.node.at, condition)
    }

    /// The services, each behind those that it depends on, else in the order of the file.
    pub(super) fn ordered<'a>(&mut self, mut services: Vec<Placed<'a>>) -> Vec<Placed<'a>> {
        let mut ordered: Vec<Placed<'a>> = Vec::with_capacity(services.len());
        while !services.is_empty() {
            let there = |dependency: &Dependency| {
                ordered.iter().any(|other| other.service.name == dependency.service)
            };
            let ready = services.iter().position(|placed| placed.service.depends_on.iter().all(there));
            let Some(ready) = ready else {
                self.circle(&services);
                break;
            };
            ordered.push(services.remove(ready));
        }
        ordered
    }

    /// Notes a circle that these services, all of which wait for another of them, have.
    fn circle(&mut self, waiting: &[Placed<'_>]) {
        let by_name: BTreeMap<&str, &Placed<'_>> =
            waiting.iter().map(|placed| (placed.service.name.as_str(), placed)).collect();
        let mut way: Vec<&str> = Vec::new();
        let mut next = waiting.first().map(|placed| placed.service.name.as_str());
        while let Some(name) = next.filter(|name| !way.contains(name)) {
            way.push(name);
            let depends_on = by_name.get(name).into_iter().flat_map(|placed| &placed.service.depends_on);
            next = depends_on
                .map(|dependency| dependency.service.as_str())
                .find(|name| by_name.contains_key(name));
        }
        let Some(last) = next else { return };
        let start = way.iter().position(|name| *name == last).unwrap_or(0);
        let path = way[start..].iter().chain([&last]).map(|name| (*name).to_owned()).collect();
        let at = &by_name[last].at.node.at;
        self.report.error(at, Fault::Circle { what: Circle::Dependencies, path });
    }
}

/// The services that follow from other keys than `depends_on` and `network_mode`; whether they bring a restart along;
/// and where they are named.
fn implied<'a>(at: &At<'a>) -> Vec<(String, bool, At<'a>)> {
    let mut all = Vec::new();
    for item in at.items_of("links") {
        let service = item.text().unwrap_or_default().split(':').next().unwrap_or_default();
        all.push((service.to_owned(), true, item));
    }
    for key in ["ipc", "pid"] {
        let Some(place) = at.get(key) else { continue };
        if let Some(service) = place.text().and_then(|text| text.strip_prefix("service:")) {
            all.push((service.to_owned(), true, place));
        }
    }
    for item in at.items_of("volumes_from") {
        let text = item.text().unwrap_or_default();
        if !text.starts_with("container:") {
            all.push((text.split(':').next().unwrap_or_default().to_owned(), false, item));
        }
    }
    all
}

/// Adds a dependency that is not said, unless there is one.
fn add(all: &mut Vec<Dependency>, service: &str, restart: bool) {
    if all.iter().all(|dependency| dependency.service != service) {
        let (service, condition) = (service.to_owned(), Condition::Started);
        all.push(Dependency { service, condition, restart, required: true });
    }
}
