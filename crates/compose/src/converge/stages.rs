//! Services in the order of their dependencies, those together that do not wait for each other.

use std::collections::BTreeMap;

use crate::project::{Dependency, Project};

/// What has to have come how far before a service's containers are started.
pub fn before<'a>(project: &'a Project, service: &str) -> &'a [Dependency] {
    project.services.iter().find(|one| one.name == service).map_or(&[], |service| &service.depends_on)
}

/// The services in stages: each depends on earlier stages alone.
pub fn stages(project: &Project) -> Vec<Vec<&str>> {
    let mut depth: BTreeMap<&str, usize> = BTreeMap::new();
    let mut stages: Vec<Vec<&str>> = Vec::new();
    // A project's services come after those that they depend on.
    for service in &project.services {
        let below = |one: &Dependency| depth.get(one.service.as_str()).map_or(0, |depth| depth + 1);
        let mine = service.depends_on.iter().map(below).max().unwrap_or(0);
        depth.insert(&service.name, mine);
        stages.resize_with(stages.len().max(mine + 1), Vec::new);
        stages[mine].push(&service.name);
    }
    stages
}
