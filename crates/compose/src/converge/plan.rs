//! Comparing what is wanted with what is there.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Path;

use pontoon_model::endpoint::Endpoint;
use pontoon_model::option::ANTISPOOF;
use pontoon_model::publish::{HostPorts, PublishSpec};
use pontoon_model::sandbox::Process;
use pontoon_model::{ContainerRef, Network, Publication};
use serde::Serialize;

use super::difference::{Difference, list};
use super::label;
use super::member::{Member, reference};
use crate::project::{Condition, Joined, Networking, Pool, Project, ProjectNetwork, Runtime};

/// How far the life of a container that is there has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// Its process runs, or is about to run again.
    Running,
    /// It has ended.
    Ended(i32),
}

/// What network a container that is there has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FoundMode {
    /// Networks, by name.
    Networks,
    /// Loopback alone.
    None,
    /// The host's.
    Host,
    /// Another container's, by its name; empty when that is not there any more.
    Container(String),
}

/// A container's place on a network.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    /// The network's real name.
    pub network: String,
    /// The place.
    pub endpoint: Endpoint,
}

/// A container of the project that is there.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Its name.
    pub name: String,
    /// Its service.
    pub service: String,
    /// Which of its service's it is.
    pub number: u32,
    /// What made it, with what it was made of.
    pub runtime: Runtime,
    /// What was to be run in it.
    pub process: Process,
    /// What network it has.
    pub mode: FoundMode,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Whether it runs.
    pub life: Life,
    /// Its places on networks.
    pub places: Vec<Place>,
    /// What it publishes.
    pub ports: Vec<Publication>,
}

/// A network that is there and has a name or label of the project's.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundNetwork {
    /// The network.
    pub network: Network,
    /// Containers on it that are not the project's, by name.
    pub strangers: Vec<String>,
}

/// Something to do for a container that goes on running.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Update {
    /// It leaves a network, by real name.
    Leave(String),
    /// It withdraws ports.
    Unpublish(Vec<Publication>),
    /// It joins a network.
    Join(Joined),
    /// It publishes ports.
    Publish(Vec<PublishSpec>),
}

impl Update {
    /// Whether it gives something free that another container may be about to get.
    pub fn gives(&self) -> bool {
        matches!(self, Self::Leave(_) | Self::Unpublish(_))
    }
}

/// Something to do.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// A network is made.
    CreateNetwork {
        /// Its key.
        key: String,
    },
    /// A network is taken away and made anew; its containers leave it meanwhile and go on running.
    RecreateNetwork {
        /// Its key.
        key: String,
        /// Why.
        differences: Vec<Difference>,
    },
    /// A network that the file has no more, and nobody is on, is taken away.
    RemoveNetwork {
        /// Its real name.
        name: String,
    },
    /// A container is made.
    Create {
        /// Its place among [`members`](super::members).
        member: usize,
    },
    /// A container is taken away and made anew.
    Recreate {
        /// Its place among the members.
        member: usize,
        /// Why.
        differences: Vec<Difference>,
    },
    /// A container changes and goes on running.
    Update {
        /// Its place among the members.
        member: usize,
        /// Why.
        differences: Vec<Difference>,
        /// What is done.
        updates: Vec<Update>,
    },
    /// A container is as it is wanted.
    Keep {
        /// Its place among the members.
        member: usize,
    },
    /// A container that is not wanted any more is taken away.
    Remove {
        /// Its name.
        name: String,
        /// How it is referred to.
        container: ContainerRef,
    },
}

/// What there is to do, networks first, then containers in the order in which they start, then what goes.
///
/// `found` are the project's containers, with those of services that are not in the file any more; `chosen` names the
/// services that are asked for and those that they depend on, all of them if it is empty. `orphans`: whether containers
/// of services that the file does not have are taken away.
pub fn plan(
    project: &Project,
    members: &[Member],
    networks: &[FoundNetwork],
    found: &[Found],
    chosen: &BTreeSet<String>,
    orphans: bool,
) -> Vec<Change> {
    let is_chosen = |service: &str| chosen.is_empty() || chosen.contains(service);
    let (mut changes, recreated) = of_networks(project, members, networks, &is_chosen);
    let mut anew: BTreeSet<&str> = BTreeSet::new();
    for (index, member) in members.iter().enumerate().filter(|(_, member)| is_chosen(&member.service)) {
        let change = of_member(project, index, member, found, &recreated, &anew);
        if matches!(change, Change::Create { .. } | Change::Recreate { .. }) {
            anew.insert(&member.service);
        }
        changes.push(change);
    }
    let wanted: BTreeSet<&str> = members.iter().map(|member| member.name.as_str()).collect();
    let known: BTreeSet<&str> = project
        .services
        .iter()
        .map(|service| service.name.as_str())
        .chain(project.inactive.iter().map(String::as_str))
        .collect();
    for one in found.iter().filter(|one| !wanted.contains(one.name.as_str())) {
        let surplus = known.contains(one.service.as_str()) && is_chosen(&one.service);
        // One of a profile that is not active now was asked for another time.
        let surplus = surplus && !project.inactive.contains(&one.service);
        if surplus || (orphans && !known.contains(one.service.as_str())) {
            let container = reference(&one.runtime, one.name.clone());
            changes.push(Change::Remove { name: one.name.clone(), container });
        }
    }
    if chosen.is_empty() {
        changes.extend(of_networks_gone(project, networks, found, orphans));
    }
    changes
}

fn of_networks(
    project: &Project,
    members: &[Member],
    there: &[FoundNetwork],
    is_chosen: &impl Fn(&str) -> bool,
) -> (Vec<Change>, BTreeSet<String>) {
    let joins = |member: &Member, key: &str| match &member.networking {
        Networking::Networks(joined) => joined.iter().any(|one| one.key == key),
        _ => false,
    };
    let used = |key: &str| members.iter().any(|member| is_chosen(&member.service) && joins(member, key));
    let (mut changes, mut recreated) = (Vec::new(), BTreeSet::new());
    for (key, wanted) in project.networks.iter().filter(|(key, wanted)| !wanted.external && used(key)) {
        match there.iter().find(|one| one.network.name.as_str() == wanted.name) {
            None => changes.push(Change::CreateNetwork { key: key.clone() }),
            Some(one) => {
                let differences = network_differences(wanted, &one.network);
                if !differences.is_empty() {
                    recreated.insert(wanted.name.clone());
                    changes.push(Change::RecreateNetwork { key: key.clone(), differences });
                }
            }
        }
    }
    (changes, recreated)
}

fn of_networks_gone(
    project: &Project,
    there: &[FoundNetwork],
    found: &[Found],
    orphans: bool,
) -> Vec<Change> {
    let wanted = |name: &str| project.networks.values().any(|wanted| wanted.name == name);
    let stays = |one: &Found| !orphans && !project.services.iter().any(|service| service.name == one.service);
    let held = |name: &str| {
        found.iter().any(|one| stays(one) && one.places.iter().any(|place| place.network == name))
    };
    let gone = |one: &&FoundNetwork| {
        let name = one.network.name.as_str();
        one.network.labels.get(label::PROJECT) == Some(&project.name)
            && !wanted(name)
            && one.strangers.is_empty()
            && !held(name)
    };
    let remove = |one: &FoundNetwork| Change::RemoveNetwork { name: one.network.name.to_string() };
    there.iter().filter(gone).map(remove).collect()
}

fn network_differences(wanted: &ProjectNetwork, there: &Network) -> Vec<Difference> {
    let pairs = |map: &BTreeMap<String, String>| {
        list(map.iter().filter(|(key, _)| !label::is_ours(key)).map(|(key, value)| format!("{key}={value}")))
    };
    let yes = |on: bool| if on { "true" } else { "false" };
    let driver = wanted.driver.as_deref().unwrap_or("bridge");
    let mut all = vec![
        Difference::between("driver", there.driver.to_string(), driver),
        Difference::between("driver_opts", pairs(&there.options), pairs(&wanted.options)),
        Difference::between("labels", pairs(&there.labels), pairs(&wanted.labels)),
        Difference::between("internal", yes(there.internal), yes(wanted.internal)),
        Difference::between("attachable", yes(there.attachable), yes(wanted.attachable)),
    ];
    for (key, v4, on) in [("enable_ipv4", true, wanted.ipv4), ("enable_ipv6", false, wanted.ipv6)] {
        let has = if v4 { there.v4.is_some() } else { there.v6.is_some() };
        let given = wanted.pools.iter().any(|pool| pool.subnet.addr().is_ipv4() == v4);
        // A subnet says as much.
        let wants = on.unwrap_or(given || v4);
        all.push(Difference::between(key, yes(has), yes(wants)));
    }
    for pool in &wanted.pools {
        all.extend(pool_differences(pool, there));
    }
    all.into_iter().flatten().collect()
}

fn pool_differences(wanted: &Pool, there: &Network) -> Vec<Option<Difference>> {
    let family = wanted.subnet.addr().is_ipv4();
    // A missing family is told by its switch.
    let Some(has) = there.pools().find(|pool| pool.subnet.addr().is_ipv4() == family) else {
        return Vec::new();
    };
    let text = |value: &dyn ToString| value.to_string();
    let none = String::new;
    let aux =
        |map: &BTreeMap<String, IpAddr>| list(map.iter().map(|(name, address)| format!("{name}={address}")));
    vec![
        Difference::between("subnet", text(&has.subnet), text(&wanted.subnet)),
        Difference::between(
            "ip_range",
            has.range.as_ref().map_or_else(none, |range| text(range)),
            wanted.range.as_ref().map_or_else(none, |range| text(range)),
        ),
        wanted.gateway.and_then(|gateway| Difference::between("gateway", text(&has.gateway), text(&gateway))),
        Difference::between("aux_addresses", aux(&has.aux), aux(&wanted.aux)),
    ]
}

fn of_member(
    project: &Project,
    index: usize,
    member: &Member,
    found: &[Found],
    recreated: &BTreeSet<String>,
    anew: &BTreeSet<&str>,
) -> Change {
    let Some(there) = found.iter().find(|one| one.name == member.name) else {
        return Change::Create { member: index };
    };
    let mut differences = container_differences(member, there);
    let done = there.life == Life::Ended(0) && is_job(project, &member.service);
    if let Life::Ended(code) = there.life
        && !done
    {
        differences.push(Difference::reason(format!("it has ended with {code}")));
    }
    differences.extend(started_anew(project, member, anew));
    if !differences.is_empty() {
        return Change::Recreate { member: index, differences };
    }
    if done {
        return Change::Keep { member: index };
    }
    let mut updates = Vec::new();
    if let Networking::Networks(joined) = &member.networking {
        place_changes(project, joined, there, recreated, &mut differences, &mut updates);
    }
    port_changes(project, member, there, &mut differences, &mut updates);
    match updates.is_empty() {
        true => Change::Keep { member: index },
        false => Change::Update { member: index, differences, updates },
    }
}

/// Whether others wait until a service has done its work: once it has, it is not to do it again.
fn is_job(project: &Project, service: &str) -> bool {
    let mut dependencies = project.services.iter().flat_map(|other| &other.depends_on);
    dependencies.any(|one| one.service == service && one.condition == Condition::CompletedSuccessfully)
}

/// What a container has to be started anew with: what its file says, and whose network it has.
fn started_anew(project: &Project, member: &Member, anew: &BTreeSet<&str>) -> Vec<Difference> {
    let mut with: BTreeSet<&str> = super::stages::before(project, &member.service)
        .iter()
        .filter(|one| one.restart)
        .map(|one| one.service.as_str())
        .collect();
    let service = project.services.iter().find(|one| one.name == member.service);
    if let Some(Networking::Service(other)) = service.map(|service| &service.networking) {
        with.insert(other);
    }
    let reason = |other: &&str| Difference::reason(format!("{other} is started anew"));
    with.intersection(anew).map(reason).collect()
}

/// What a running container cannot change.
fn container_differences(member: &Member, there: &Found) -> Vec<Difference> {
    let (old, new) = (&there.process, &member.process);
    let path = |path: &Option<std::path::PathBuf>| {
        path.as_deref().map_or_else(String::new, |path: &Path| path.display().to_string())
    };
    let grace = |process: &Process| process.stop_grace.map_or_else(String::new, crate::duration::print);
    let check = |process: &Process| {
        let one = process.health_check.as_ref();
        one.map_or_else(String::new, |check| {
            let times = [check.interval, check.timeout, check.start_period, check.start_interval];
            let times = list(times.map(crate::duration::print));
            format!("{} ({times}, {} times)", check.test.join(" "), check.retries)
        })
    };
    let hosts = |process: &Process| list(process.extra_hosts.iter().map(|(name, to)| format!("{name}:{to}")));
    let own = |labels: &BTreeMap<String, String>| {
        let own = labels.iter().filter(|(key, _)| !label::is_ours(key));
        list(own.map(|(key, value)| format!("{key}={value}")))
    };
    let signal = |process: &Process| process.stop_signal.map_or_else(String::new, |one| one.to_string());
    let sysctls =
        |process: &Process| list(process.sysctls.iter().map(|set| format!("{}={}", set.key, set.value)));
    let all = [
        Difference::between("runtime", runtime(&there.runtime), runtime(&member.runtime)),
        Difference::between("network_mode", mode(&there.mode), wanted_mode(&member.networking)),
        Difference::between("command", old.argv.join(" "), new.argv.join(" ")),
        environment(&old.env, &new.env),
        Difference::between("working_dir", path(&old.workdir), path(&new.workdir)),
        Difference::between("rootfs", path(&old.rootfs), path(&new.rootfs)),
        Difference::between("hostname", old.hostname.as_str(), new.hostname.as_str()),
        Difference::between("dns", list(&old.dns), list(&new.dns)),
        Difference::between("dns_search", list(&old.dns_search), list(&new.dns_search)),
        Difference::between("dns_opt", list(&old.dns_options), list(&new.dns_options)),
        Difference::between("extra_hosts", hosts(old), hosts(new)),
        Difference::between("expose", list(&old.exposed), list(&new.exposed)),
        Difference::between("sysctls", sysctls(old), sysctls(new)),
        Difference::between("restart", old.restart.to_string(), new.restart.to_string()),
        Difference::between("healthcheck", check(old), check(new)),
        Difference::between("stop_signal", signal(old), signal(new)),
        Difference::between("stop_grace_period", grace(old), grace(new)),
        Difference::between("labels", own(&there.labels), own(&member.labels)),
    ];
    all.into_iter().flatten().collect()
}

/// The variables that changed, without the others: there may be many.
fn environment(old: &[String], new: &[String]) -> Option<Difference> {
    let beside = |these: &[String], those: &[String]| {
        let (these, those): (BTreeSet<&String>, BTreeSet<&String>) =
            (these.iter().collect(), those.iter().collect());
        list(these.difference(&those))
    };
    Difference::between("environment", beside(old, new), beside(new, old))
}

fn runtime(runtime: &Runtime) -> String {
    match runtime {
        Runtime::Process { .. } => "process".into(),
        Runtime::Docker { image } => format!("docker {image}"),
        Runtime::Podman { image } => format!("podman {image}"),
        Runtime::Oci { bundle, program } => {
            format!("{} {}", program.as_deref().unwrap_or("oci"), bundle.display())
        }
    }
}

fn mode(mode: &FoundMode) -> String {
    match mode {
        FoundMode::Networks => "networks".into(),
        FoundMode::None => "none".into(),
        FoundMode::Host => "host".into(),
        FoundMode::Container(name) => format!("container:{name}"),
    }
}

fn wanted_mode(networking: &Networking) -> String {
    match networking {
        Networking::Networks(_) => "networks".into(),
        Networking::None => "none".into(),
        Networking::Host => "host".into(),
        Networking::Service(name) => format!("service:{name}"),
        Networking::Container(other) => match other {
            ContainerRef::Ours(name)
            | ContainerRef::Docker(name)
            | ContainerRef::Podman(name)
            | ContainerRef::Oci(name) => format!("container:{name}"),
            other => format!("container:{other}"),
        },
    }
}

fn place_changes(
    project: &Project,
    joined: &[Joined],
    there: &Found,
    recreated: &BTreeSet<String>,
    differences: &mut Vec<Difference>,
    updates: &mut Vec<Update>,
) {
    let real = |key: &str| project.networks.get(key).map_or(key, |network| network.name.as_str()).to_owned();
    let wanted: BTreeMap<String, &Joined> = joined.iter().map(|one| (real(&one.key), one)).collect();
    let mut joins = Vec::new();
    for place in &there.places {
        let Some(one) = wanted.get(&place.network) else {
            differences.extend(Difference::between("networks", place.network.as_str(), ""));
            updates.push(Update::Leave(place.network.clone()));
            continue;
        };
        let changed = place_differences(&there.name, one, &place.endpoint, joined.len() > 1);
        let anew = recreated.contains(&place.network);
        if changed.is_empty() && !anew {
            continue;
        }
        if anew && changed.is_empty() {
            differences.push(Difference::reason(format!("network {} is made anew", place.network)));
        }
        differences.extend(changed);
        updates.push(Update::Leave(place.network.clone()));
        joins.push((*one).clone());
    }
    for one in joined {
        let name = real(&one.key);
        if !there.places.iter().any(|place| place.network == name) {
            differences.extend(Difference::between("networks", "", name));
            joins.push(one.clone());
        }
    }
    updates.extend(joins.into_iter().map(Update::Join));
}

/// What is not as it was asked for. What was not asked for may be as it is.
fn place_differences(container: &str, wanted: &Joined, has: &Endpoint, named: bool) -> Vec<Difference> {
    let key = |key: &str| if named { format!("{}: {key}", wanted.key) } else { key.to_owned() };
    // One of another engine has its own name there as well.
    let names = |all: &[String]| list(sorted(all).into_iter().filter(|name| *name != container));
    let text = |value: Option<&dyn ToString>| value.map_or_else(String::new, |value| value.to_string());
    let asked = |name: &str, has: Option<&dyn ToString>, wanted: Option<&dyn ToString>| {
        wanted.and_then(|wanted| Difference::between(&key(name), text(has), wanted.to_string()))
    };
    let all = [
        asked("ipv4_address", has.v4.as_ref().map(|one| one as _), wanted.ipv4.as_ref().map(|one| one as _)),
        asked("ipv6_address", has.v6.as_ref().map(|one| one as _), wanted.ipv6.as_ref().map(|one| one as _)),
        Difference::between(
            &key("link_local_ips"),
            list(sorted(&has.link_local)),
            list(sorted(&wanted.link_local_ips)),
        ),
        asked("mac_address", Some(&has.mac), wanted.mac.as_ref().map(|one| one as _)),
        asked("interface_name", Some(&has.ifname), wanted.ifname.as_ref().map(|one| one as _)),
        Difference::between(&key("aliases"), names(&has.aliases), names(&wanted.aliases)),
        asked(
            "driver_opts: pontoon.antispoof",
            Some(&has.guarded),
            wanted.options.get(ANTISPOOF).map(|one| one as _),
        ),
        Difference::between(&key("links"), list(sorted(&has.links)), list(sorted(&wanted.links))),
        Difference::between(&key("gw_priority"), has.gw_priority.to_string(), wanted.gw_priority.to_string()),
    ];
    all.into_iter().flatten().collect()
}

fn sorted<T: Ord>(all: &[T]) -> BTreeSet<&T> {
    all.iter().collect()
}

fn port_changes(
    project: &Project,
    member: &Member,
    there: &Found,
    differences: &mut Vec<Difference>,
    updates: &mut Vec<Update>,
) {
    let mut left: Vec<Publication> = there.ports.iter().flat_map(single_ports).collect();
    let mut missing: Vec<PublishSpec> = Vec::new();
    for spec in &member.ports {
        match served(project, spec, &left) {
            Some(by) => left.retain(|one| !by.contains(one)),
            None => missing.push(*spec),
        }
    }
    differences.extend(Difference::between("ports", list(&left), list(&missing)));
    if forgets_ports(there, updates) {
        missing.clone_from(&member.ports);
    }
    if !left.is_empty() {
        updates.insert(0, Update::Unpublish(left));
    }
    if !missing.is_empty() {
        updates.push(Update::Publish(missing));
    }
}

/// What of ports that are wanted is not published.
pub fn unserved(project: &Project, wanted: &[PublishSpec], there: &[Publication]) -> Vec<PublishSpec> {
    let there: Vec<Publication> = there.iter().flat_map(single_ports).collect();
    wanted.iter().filter(|spec| served(project, spec, &there).is_none()).copied().collect()
}

/// Whether the ports of a container may be forgotten while it changes: those of another engine's, with its last network.
fn forgets_ports(there: &Found, updates: &[Update]) -> bool {
    let leaves = |place: &Place| {
        updates.iter().any(|update| matches!(update, Update::Leave(network) if *network == place.network))
    };
    !matches!(there.runtime, Runtime::Process { .. }) && there.places.iter().all(leaves)
}

fn single_ports(many: &Publication) -> Vec<Publication> {
    let one = |(host, container)| Publication { host, container, count: 1, ..*many };
    many.pairs().map(one).collect()
}

/// The published ports that are what was asked for; none if one of them is missing.
fn served(project: &Project, spec: &PublishSpec, there: &[Publication]) -> Option<Vec<Publication>> {
    let bound = |address: IpAddr| {
        let option = |network: &ProjectNetwork| network.options.get(HOST_BINDING).cloned();
        project.networks.values().filter_map(option).any(|bound| bound.parse() == Ok(address))
    };
    let at = |one: &Publication| match (spec.address, one.address) {
        // What names no address is bound where its network says.
        (None, Some(address)) => bound(address),
        (asked, has) => asked == has,
    };
    let port = |step: u16| {
        let fits = |one: &&Publication| {
            let host = match spec.host {
                HostPorts::Free => true,
                HostPorts::Exactly(first) => one.host == first + step,
                HostPorts::OneOf { first, last } => (first..=last).contains(&one.host),
            };
            host && one.protocol == spec.protocol && one.container == spec.container + step && at(one)
        };
        there.iter().find(fits).copied()
    };
    (0..spec.count).map(port).collect()
}

/// Where a network's ports are bound.
const HOST_BINDING: &str = "com.docker.network.bridge.host_binding_ipv4";
