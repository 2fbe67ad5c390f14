//! Taking a project down: by what carries its label, so the file need not be there.

use std::collections::BTreeMap;

use pontoon_compose::converge::{Found, members, stages};
use pontoon_compose::project::Project;

use crate::carry::{self, end};
use crate::{Progress, ProjectError, Sign, Site, Tell, found, wait};

/// How a project is taken down.
#[derive(Debug, Clone, Default)]
pub struct DownOptions {
    /// Those services alone, with their networks as they are; all if it is empty.
    pub services: Vec<String>,
}

/// Ends a project's containers, those first that depend on others, and takes its networks away.
///
/// # Errors
///
/// If something could not be ended or taken away, as a network that others are on.
pub fn down(
    site: &mut Site,
    name: &str,
    project: Option<&Project>,
    options: &DownOptions,
    tell: Tell<'_>,
) -> Result<(), ProjectError> {
    let _lock = site.lock(name)?;
    wait::until_made(site, name, tell)?;
    let reader = site.reader()?;
    let mut containers = found::containers(&reader, name, &project.map(members).unwrap_or_default())?;
    let networks = found::networks(&reader, name)?;
    drop(reader);
    if !options.services.is_empty() {
        containers.retain(|one| options.services.contains(&one.service));
    }
    for stage in in_stages(containers, project).into_iter().rev() {
        for one in &stage {
            tell(Progress::Doing { subject: one.name.clone(), what: "stopping".into() });
        }
        end(site, tell, &stage)?;
        stage.iter().for_each(|one| removed(tell, &one.name));
    }
    if options.services.is_empty() {
        for network in networks {
            let subject = format!("network {network}");
            site.with_engine(&subject, tell, |engine| engine.network_remove(&network))?;
            removed(tell, &subject);
        }
    }
    Ok(())
}

/// Ends a project's containers, those first that depend on others, and leaves all that is known of them.
///
/// # Errors
///
/// If one cannot be ended.
pub fn stop(site: &mut Site, project: &Project, services: &[String]) -> Result<(), ProjectError> {
    let mut containers = found::containers(&site.reader()?, &project.name, &members(project))?;
    if !services.is_empty() {
        containers.retain(|one| services.contains(&one.service));
    }
    let stages = in_stages(containers, Some(project));
    stages.into_iter().rev().try_for_each(|stage| carry::stop(site, &mut |_| {}, &stage))
}

fn removed(tell: Tell<'_>, subject: &str) {
    let subject = subject.to_owned();
    tell(Progress::Done { sign: Sign::Removed, subject, what: String::new(), differences: Vec::new() });
}

/// Containers by the stage of their service; those that nothing is known of depend on nobody knows what, and go first.
fn in_stages(containers: Vec<Found>, project: Option<&Project>) -> Vec<Vec<Found>> {
    let known = project.map(stages).unwrap_or_default();
    let depth: BTreeMap<&str, usize> = known
        .iter()
        .enumerate()
        .flat_map(|(depth, services)| services.iter().map(move |service| (*service, depth)))
        .collect();
    let mut staged: Vec<Vec<Found>> = Vec::new();
    staged.resize_with(known.len() + 1, Vec::new);
    for one in containers {
        let at = depth.get(one.service.as_str()).copied().unwrap_or(known.len());
        staged[at].push(one);
    }
    staged.retain(|stage| !stage.is_empty());
    staged
}
