//! Bringing a project up, and making a running one what its file says now.

use std::collections::{BTreeSet, VecDeque};

use pontoon_compose::converge::{
    self, Change, Difference, Found, FoundNetwork, FoundWires, Life, Member, Wire, label,
};
use pontoon_compose::project::{Project, ProjectNetwork};
use pontoon_engine::EngineError;
use pontoon_engine::error::CONTAINER_EXISTS;
use pontoon_model::network::DEFAULT_NETWORK;

use crate::carry::Carrier;
use crate::{Progress, ProjectError, Sign, Site, Tell, found, wait};

/// How a project is brought up.
#[derive(Debug, Clone, Default)]
pub struct UpOptions {
    /// The services that are asked for, with those that they depend on; all if it is empty.
    pub services: Vec<String>,
    /// Whether those that they depend on are left as they are.
    pub no_dependencies: bool,
    /// Whether containers of services that the file does not have any more are taken away.
    pub remove_orphans: bool,
    /// Whether containers are made anew though nothing changed.
    pub force_recreate: bool,
    /// Whether it is waited until those that are checked are healthy.
    pub wait: bool,
}

/// What [`up`] would do.
#[derive(Debug, Clone)]
pub struct Planned {
    /// The containers that are wanted.
    pub members: Vec<Member>,
    /// What is done to networks and containers.
    pub changes: Vec<Change>,
    /// What is done between and on their interfaces then.
    pub wires: Vec<Wire>,
}

/// What [`up`] would do.
///
/// # Errors
///
/// As [`up`], before anything is changed.
pub fn changes(site: &Site, project: &Project, options: &UpOptions) -> Result<Planned, ProjectError> {
    let seen = Seen::of(site, project)?;
    let changes = seen.changes(project, options)?;
    let chosen = chosen(project, options)?;
    let is_kept = |member: &Member| {
        let kept = |change: &Change| matches!(change, Change::Keep { member: at } if seen.members[*at].name == member.name);
        changes.iter().any(kept)
    };
    let is_meant =
        |member: &Member| is_chosen(&chosen, member) && !(is_kept(member) && has_ended(&seen.found, member));
    let left = seen.wires.after(&seen.members, &seen.found, &changes);
    let wires = converge::wires(project, &seen.members, &seen.found, &left, &is_meant);
    Ok(Planned { members: seen.members, changes, wires })
}

/// Makes of a project what its file says: what is as it should be goes on undisturbed.
///
/// What is done one after the other: ports and addresses that change hands are given free; networks are made; each
/// container is started after those that it waits for, or changed while it runs; what is not wanted any more goes.
///
/// # Errors
///
/// What could not be done, and it ends there. What was done until then stays, and the next `up` goes on.
pub fn up(
    site: &mut Site,
    project: &Project,
    options: &UpOptions,
    tell: Tell<'_>,
) -> Result<(), ProjectError> {
    const TRIES: u32 = 5;
    let _lock = site.lock(&project.name)?;
    for _ in 1..TRIES {
        match bring_up(site, project, options, tell) {
            Err(error) if came_meanwhile(site, project, &error)? => {}
            done => return done,
        }
    }
    bring_up(site, project, options, tell)
}

/// Whether a container was in the way that is the project's own: what a killed command had begun for it went on, and was
/// not on record yet when the project was looked at.
fn came_meanwhile(site: &Site, project: &Project, error: &ProjectError) -> Result<bool, ProjectError> {
    let ProjectError::Engine { subject, source } = error else { return Ok(false) };
    let exists = match &**source {
        EngineError::ContainerExists(_) => true,
        EngineError::Keeper(failure) => failure.code == CONTAINER_EXISTS,
        _ => false,
    };
    let own = found::ours(&site.reader()?, &project.name)?;
    Ok(exists && own.iter().any(|sandbox| sandbox.name.as_str() == subject))
}

fn bring_up(
    site: &mut Site,
    project: &Project,
    options: &UpOptions,
    tell: Tell<'_>,
) -> Result<(), ProjectError> {
    wait::until_made(site, &project.name, tell)?;
    let seen = Seen::of(site, project)?;
    let changes = seen.changes(project, options)?;
    orphans(&seen, project, options, tell);
    let mut carrier = Carrier { site, project, members: &seen.members, tell, starting: VecDeque::new() };
    for change in &changes {
        if let Change::Update { member, updates, .. } = change {
            carrier.give(&seen.members[*member], updates)?;
        }
    }
    let is_gone = |one: &&Found| {
        changes.iter().any(|change| match change {
            Change::Recreate { member, .. } => seen.members[*member].name == one.name,
            Change::Remove { name, .. } => *name == one.name,
            _ => false,
        })
    };
    let gone: Vec<Found> = seen.found.iter().filter(is_gone).cloned().collect();
    carrier.remove(&gone)?;
    for change in &changes {
        carrier.begin(change)?;
    }
    for change in &changes {
        start(&mut carrier, options, change)?;
    }
    carrier.finish_all()?;
    wire(&mut carrier, options)?;
    if options.wait {
        let started = changes.iter().filter_map(|change| member_of(&seen.members, change));
        wait::until_healthy(carrier.site, started, carrier.tell)?;
    }
    for change in &changes {
        if let Change::RemoveNetwork { name } = change {
            carrier.remove_network(name)?;
        }
    }
    Ok(())
}

/// Lays cables, gives routes and impairs, as far as it is not done.
fn wire(carrier: &mut Carrier<'_>, options: &UpOptions) -> Result<(), ProjectError> {
    let chosen = chosen(carrier.project, options)?;
    let reader = carrier.site.reader()?;
    let found = found::containers(&reader, &carrier.project.name, carrier.members)?;
    let there = found::wires(&reader, &found)?;
    drop(reader);
    let is_meant = |member: &Member| is_chosen(&chosen, member) && !has_ended(&found, member);
    let wires = converge::wires(carrier.project, carrier.members, &found, &there, &is_meant);
    wires.iter().try_for_each(|wire| carrier.wire(wire))
}

fn is_chosen(chosen: &BTreeSet<String>, member: &Member) -> bool {
    chosen.is_empty() || chosen.contains(&member.service)
}

fn has_ended(found: &[Found], member: &Member) -> bool {
    found.iter().any(|one| one.name == member.name && matches!(one.life, Life::Ended(_)))
}

fn member_of<'a>(members: &'a [Member], change: &Change) -> Option<&'a Member> {
    match change {
        Change::Create { member }
        | Change::Recreate { member, .. }
        | Change::Update { member, .. }
        | Change::Keep { member } => Some(&members[*member]),
        _ => None,
    }
}

/// Starts or changes a container.
fn start<'a>(carrier: &mut Carrier<'a>, options: &UpOptions, change: &'a Change) -> Result<(), ProjectError> {
    let members = carrier.members;
    match change {
        Change::Create { member } => {
            let member = &members[*member];
            begin_one(carrier, options, member, Sign::Added, &[])?;
        }
        Change::Recreate { member, differences } => {
            let member = &members[*member];
            begin_one(carrier, options, member, Sign::Changed, differences)?;
        }
        Change::Update { member, differences, updates } => {
            let member = &members[*member];
            for update in updates.iter().filter(|update| !update.gives()) {
                carrier.update(member, update)?;
            }
            carrier.done(Sign::Changed, &member.name, String::new(), differences);
        }
        Change::Keep { member } => {
            carrier.done(Sign::Kept, &members[*member].name, "as it was".into(), &[]);
        }
        Change::CreateNetwork { .. }
        | Change::RecreateNetwork { .. }
        | Change::RemoveNetwork { .. }
        | Change::Remove { .. } => {}
    }
    Ok(())
}

fn begin_one<'a>(
    carrier: &mut Carrier<'a>,
    options: &UpOptions,
    member: &'a Member,
    sign: Sign,
    differences: &'a [Difference],
) -> Result<(), ProjectError> {
    if !options.no_dependencies {
        carrier.await_dependencies(member)?;
    }
    carrier.start(member, sign, differences)
}

/// What is there, and what is wanted.
struct Seen {
    members: Vec<Member>,
    networks: Vec<FoundNetwork>,
    found: Vec<Found>,
    wires: FoundWires,
}

impl Seen {
    fn of(site: &Site, project: &Project) -> Result<Self, ProjectError> {
        let reader = site.reader()?;
        let members = converge::members(project);
        let found = found::containers(&reader, &project.name, &members)?;
        let networks = found::networks_of(&reader, project, &found)?;
        for (key, wanted) in &project.networks {
            check_owner(project, key, wanted, &networks)?;
        }
        Ok(Self { wires: found::wires(&reader, &found)?, found, members, networks })
    }

    fn changes(&self, project: &Project, options: &UpOptions) -> Result<Vec<Change>, ProjectError> {
        let chosen = chosen(project, options)?;
        let mut changes = converge::plan(
            project,
            &self.members,
            &self.networks,
            &self.found,
            &chosen,
            options.remove_orphans,
        );
        for change in changes.iter_mut().filter(|_| options.force_recreate) {
            if let Change::Keep { member } | Change::Update { member, .. } = *change {
                *change = Change::Recreate { member, differences: Vec::new() };
            }
        }
        let starts = |change: &Change| match change {
            Change::Create { member } | Change::Recreate { member, .. } => Some(*member),
            _ => None,
        };
        for member in changes.iter().filter_map(starts).map(|member| &self.members[member]) {
            let needs_command = matches!(member.runtime, pontoon_compose::project::Runtime::Process { .. });
            if needs_command && member.process.argv.is_empty() {
                return Err(ProjectError::NothingToRun(member.service.clone()));
            }
        }
        for change in &changes {
            if let Change::RecreateNetwork { key, .. } = change {
                self.check_free(&project.networks[key].name, &changes)?;
            }
        }
        Ok(changes)
    }

    /// Refuses to make a network anew that containers are on which are not changed with it.
    fn check_free(&self, name: &str, changes: &[Change]) -> Result<(), ProjectError> {
        let changed = |one: &Found| {
            changes.iter().any(|change| match change {
                Change::Remove { name, .. } => *name == one.name,
                change => member_of(&self.members, change).is_some_and(|member| member.name == one.name),
            })
        };
        let there = self.networks.iter().find(|one| one.network.name.as_str() == name);
        let mut others = there.map(|there| there.strangers.clone()).unwrap_or_default();
        let is_on = |one: &&Found| one.places.iter().any(|place| place.network == name);
        let left = self.found.iter().filter(is_on).filter(|one| !changed(one));
        others.extend(left.map(|one| one.name.clone()));
        match others.is_empty() {
            true => Ok(()),
            false => Err(ProjectError::Strangers { name: name.to_owned(), strangers: others }),
        }
    }
}

/// A network with the name of one of the project's has to be its own, unless the file says that it is not.
fn check_owner(
    project: &Project,
    key: &str,
    wanted: &ProjectNetwork,
    networks: &[FoundNetwork],
) -> Result<(), ProjectError> {
    let there = networks.iter().find(|one| one.network.name.as_str() == wanted.name);
    let name = wanted.name.clone();
    match there {
        // The one that is made when it is first used.
        None if wanted.external && wanted.name == DEFAULT_NETWORK => Ok(()),
        None if wanted.external => Err(ProjectError::NoExternal { key: key.to_owned(), name }),
        Some(one) if !wanted.external && one.network.labels.get(label::PROJECT) != Some(&project.name) => {
            Err(ProjectError::NotOurs { name })
        }
        _ => Ok(()),
    }
}

/// The services that are asked for, with all that they depend on.
fn chosen(project: &Project, options: &UpOptions) -> Result<BTreeSet<String>, ProjectError> {
    let names = || project.services.iter().map(|service| service.name.as_str());
    let mut chosen: BTreeSet<String> = BTreeSet::new();
    let mut ask: Vec<String> = options.services.clone();
    while let Some(name) = ask.pop() {
        if !names().any(|known| known == name) {
            let near = pontoon_model::diagnose::near(&name, names());
            return Err(ProjectError::NoService {
                near: near.into_iter().map(str::to_owned).collect(),
                name,
            });
        }
        if !options.no_dependencies {
            let needs = converge::before(project, &name).iter().map(|one| one.service.clone());
            ask.extend(needs.filter(|need| !chosen.contains(need)));
        }
        chosen.insert(name);
    }
    Ok(chosen)
}

/// Says which containers are of services that the file does not have.
fn orphans(seen: &Seen, project: &Project, options: &UpOptions, tell: Tell<'_>) {
    let known = |service: &str| {
        project.services.iter().any(|one| one.name == service)
            || project.inactive.iter().any(|one| one == service)
    };
    let orphans: Vec<&str> =
        seen.found.iter().filter(|one| !known(&one.service)).map(|one| one.name.as_str()).collect();
    if !orphans.is_empty() && !options.remove_orphans {
        tell(Progress::Warning(format!(
            "containers of services that the file does not have: {}\n`pontoon up --remove-orphans` takes them away",
            orphans.join(", ")
        )));
    }
}
