//! Which services are active.
//!
//! Source: the Compose Specification, "Profiles".

use std::collections::BTreeSet;

use pontoon_model::diagnose::near;

use super::Reader;
use super::value::At;
use crate::Request;
use crate::error::Fault;

/// Active and inactive services.
#[derive(Debug, Default)]
pub(super) struct Profiles {
    pub(super) active: BTreeSet<String>,
    /// In the order of the file.
    pub(super) inactive: Vec<String>,
}

impl Reader<'_> {
    /// Tells active services from the others.
    pub(super) fn active(&mut self, request: &Request) -> Profiles {
        let all = self.all_services();
        let listed = self.environment.get("COMPOSE_PROFILES").into_iter().flat_map(|list| list.split(','));
        let mut on: BTreeSet<String> = listed.map(|profile| profile.trim().to_owned()).collect();
        on.extend(request.profiles.iter().cloned());
        for name in &request.services {
            match all.iter().find(|(other, _)| other == name) {
                Some((_, at)) => on.extend(at.texts_of("profiles")),
                None => {
                    let fault = self.no_service(name, "the command line");
                    self.report.push(fault.at(None));
                }
            }
        }
        let is_active = |at: &At<'_>| {
            let own = at.texts_of("profiles");
            own.is_empty() || on.contains("*") || own.iter().any(|profile| on.contains(profile))
        };
        let (active, inactive): (Vec<_>, Vec<_>) = all.into_iter().partition(|(_, at)| is_active(at));
        Profiles {
            active: active.into_iter().map(|(name, _)| name.to_owned()).collect(),
            inactive: inactive.into_iter().map(|(name, _)| name.to_owned()).collect(),
        }
    }

    /// That there is no such service.
    pub(super) fn no_service(&self, name: &str, place: &str) -> Fault {
        let all = self.all_services();
        let near = near(name, all.iter().map(|(name, _)| *name)).into_iter().map(str::to_owned).collect();
        Fault::NoService { service: name.to_owned(), place: place.to_owned(), near }
    }

    /// Checks that a service is there and active.
    pub(super) fn need(&self, name: &str, place: &str) -> Result<(), Fault> {
        if self.profiles.active.contains(name) {
            return Ok(());
        }
        match self.all_services().iter().find(|(other, _)| *other == name) {
            Some((_, at)) => Err(Fault::Inactive {
                service: name.to_owned(),
                place: place.to_owned(),
                profiles: at.texts_of("profiles"),
            }),
            None => Err(self.no_service(name, place)),
        }
    }
}
