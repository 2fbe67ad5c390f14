//! Single changes, done by the engine.

use std::collections::VecDeque;
use std::net::IpAddr;

use pontoon_compose::converge::{
    Change, Difference, Found, Member, Update, before, label, reference, unserved,
};
use pontoon_compose::project::{Joined, Networking, Project, ProjectNetwork, Runtime};
use pontoon_engine::connect::ConnectSpec;
use pontoon_engine::detached::Starting;
use pontoon_engine::network::NetworkSpec;
use pontoon_engine::publish::Withdraw;
use pontoon_engine::run::{Networking as Engines, RunSpec};
use pontoon_engine::{Engine, EngineError};
use pontoon_model::ContainerRef;
use pontoon_model::sandbox::Sandbox;

use crate::{Progress, ProjectError, Sign, Site, Tell, bundles, engines, found, wait};

/// Does what is to be done, one change after the other.
pub(crate) struct Carrier<'a> {
    pub(crate) site: &'a mut Site,
    pub(crate) project: &'a Project,
    pub(crate) members: &'a [Member],
    pub(crate) tell: Tell<'a>,
    /// Containers that are being started, in the order in which that was begun.
    pub(crate) starting: VecDeque<Begun<'a>>,
}

/// A container that is being started, and what is to be said when it runs.
pub(crate) struct Begun<'a> {
    member: &'a Member,
    sign: Sign,
    differences: &'a [Difference],
    starting: Starting,
}

/// How many containers are started at once: what they wait for is mostly the kernel's, which does one at a time.
const AT_ONCE: usize = 4;

impl<'a> Carrier<'a> {
    pub(crate) fn done(&mut self, sign: Sign, subject: &str, what: String, differences: &[Difference]) {
        let differences = differences.to_vec();
        (self.tell)(Progress::Done { sign, subject: subject.to_owned(), what, differences });
    }

    fn doing(&mut self, subject: &str, what: &str) {
        (self.tell)(Progress::Doing { subject: subject.to_owned(), what: what.to_owned() });
    }

    /// Does what comes before the containers: networks.
    pub(crate) fn begin(&mut self, change: &Change) -> Result<(), ProjectError> {
        match change {
            Change::CreateNetwork { key } => self.create_network(key, Sign::Added, &[]),
            Change::RecreateNetwork { key, differences } => {
                if let Some(wanted) = self.project.networks.get(key) {
                    let name = wanted.name.clone();
                    self.site.with_engine(&name, self.tell, |engine| engine.network_remove(&name))?;
                }
                self.create_network(key, Sign::Changed, differences)
            }
            _ => Ok(()),
        }
    }

    fn create_network(&mut self, key: &str, sign: Sign, why: &[Difference]) -> Result<(), ProjectError> {
        let Some(wanted) = self.project.networks.get(key) else { return Ok(()) };
        let spec = network_spec(&self.project.name, wanted);
        let subject = format!("network {}", wanted.name);
        let made = self.site.with_engine(&subject, self.tell, |engine| engine.network_create(&spec))?;
        let subnets: Vec<String> = made.value.pools().map(|pool| pool.subnet.to_string()).collect();
        self.done(sign, &subject, subnets.join(", "), why);
        Ok(())
    }

    pub(crate) fn remove_network(&mut self, name: &str) -> Result<(), ProjectError> {
        let subject = format!("network {name}");
        self.site.with_engine(&subject, self.tell, |engine| engine.network_remove(name))?;
        self.done(Sign::Removed, &subject, String::new(), &[]);
        Ok(())
    }

    /// Ends containers and forgets them; says so of those that nobody wants any more.
    pub(crate) fn remove(&mut self, gone: &[Found]) -> Result<(), ProjectError> {
        if gone.is_empty() {
            return Ok(());
        }
        gone.iter().for_each(|one| self.doing(&one.name, "stopping"));
        end(self.site, self.tell, gone)?;
        let wanted = |name: &str| self.members.iter().any(|member| member.name == name);
        let left: Vec<&Found> = gone.iter().filter(|one| !wanted(&one.name)).collect();
        for one in left {
            self.done(Sign::Removed, &one.name, String::new(), &[]);
        }
        Ok(())
    }

    /// Waits until all that a container's service depends on has come far enough.
    pub(crate) fn await_dependencies(&mut self, member: &Member) -> Result<(), ProjectError> {
        if !before(self.project, &member.service).is_empty() {
            self.finish_all()?;
        }
        for dependency in before(self.project, &member.service) {
            wait::wait_for(self.site, &member.service, dependency, self.members, self.tell)?;
        }
        Ok(())
    }

    /// Starts a container, or begins to; it is said where it is when it runs.
    pub(crate) fn start(
        &mut self,
        member: &'a Member,
        sign: Sign,
        differences: &'a [Difference],
    ) -> Result<(), ProjectError> {
        self.doing(&member.name, "starting");
        match &member.runtime {
            Runtime::Process { .. } => {
                while self.starting.len() >= AT_ONCE {
                    self.finish_one()?;
                }
                let spec = self.run_spec(member)?;
                self.site.close();
                let starting = Starting::begin(self.site.root().clone(), &spec);
                let starting = starting.map_err(ProjectError::of(&member.name))?;
                self.starting.push_back(Begun { member, sign, differences, starting });
                return Ok(());
            }
            Runtime::Docker { .. } | Runtime::Podman { .. } => self.start_elsewhere(member)?,
            Runtime::Oci { .. } => self.start_bundle(member)?,
        }
        let place = self.where_it_is(member)?;
        self.done(sign, &member.name, place, differences);
        Ok(())
    }

    /// Waits until all that were begun run.
    pub(crate) fn finish_all(&mut self) -> Result<(), ProjectError> {
        while !self.starting.is_empty() {
            self.finish_one()?;
        }
        Ok(())
    }

    fn finish_one(&mut self) -> Result<(), ProjectError> {
        let Some(Begun { member, sign, differences, starting }) = self.starting.pop_front() else {
            return Ok(());
        };
        let started = starting.finish().map_err(ProjectError::of(&member.name))?;
        for warning in started.warnings {
            (self.tell)(Progress::Warning(format!("{}: {warning}", member.name)));
        }
        let place = self.where_it_is(member)?;
        self.done(sign, &member.name, place, differences);
        Ok(())
    }

    /// Another engine makes it without a network, and it is connected from outside.
    fn start_elsewhere(&mut self, member: &Member) -> Result<(), ProjectError> {
        engines::start(member, &self.gateways(member)?)?;
        let wired = self.connect_all(member, |_| ());
        if wired.is_err()
            && let Some(kind) = engines::kind(&member.runtime)
        {
            // The first error says more than what follows from it.
            let meant = reference(&member.runtime, member.name.clone());
            let _ = self.site.with_engine(&member.name, self.tell, |engine| engine.leave_all(&meant));
            let _ = engines::remove(kind, &member.name);
        }
        wired
    }

    fn start_bundle(&mut self, member: &Member) -> Result<(), ProjectError> {
        // The site is lent to the one who makes it, and comes back with each call.
        let (project, members, tell) = (self.project, self.members, &mut *self.tell);
        bundles::start(self.site, member, |site, pid, labels| {
            let starting = VecDeque::new();
            let mut carrier = Carrier { site, project, members, tell, starting };
            carrier.connect_all(member, |engine| {
                engine.announce(&member.name, pid, labels);
            })
        })
    }

    /// Connects a container of another engine to all its networks, and publishes its ports.
    fn connect_all(
        &mut self,
        member: &Member,
        prepare: impl FnOnce(&mut Engine),
    ) -> Result<(), ProjectError> {
        let Networking::Networks(joined) = &member.networking else { return Ok(()) };
        let meant = reference(&member.runtime, member.name.clone());
        let networks: Vec<(String, ConnectSpec)> =
            joined.iter().map(|one| (self.real_name(&one.key), self.connect_spec(one))).collect();
        self.site.with_engine(&member.name, self.tell, |engine| {
            prepare(engine);
            for (network, spec) in &networks {
                engine.connect(network, &meant, spec)?;
            }
            match member.ports.is_empty() {
                true => Ok(()),
                false => engine.publish(&meant, &member.ports).map(drop),
            }
        })
    }

    /// The host's addresses on a container's networks.
    fn gateways(&self, member: &Member) -> Result<Vec<IpAddr>, ProjectError> {
        let Networking::Networks(joined) = &member.networking else { return Ok(Vec::new()) };
        let reader = self.site.reader()?;
        let mut gateways = Vec::new();
        for one in joined.iter().take(1) {
            let network = reader.network(&self.real_name(&one.key))?;
            gateways.extend(network.pools().map(|pool| pool.gateway));
        }
        Ok(gateways)
    }

    /// `172.18.0.2`, or the addresses on several networks.
    fn where_it_is(&self, member: &Member) -> Result<String, ProjectError> {
        let reader = self.site.reader()?;
        let meant = reference(&member.runtime, member.name.clone());
        let Some(sandbox) = found::record(&reader, &meant)? else { return Ok(String::new()) };
        let places = reader.of_container(&sandbox)?;
        let addresses = places.iter().flat_map(|place| place.endpoint.addresses());
        Ok(addresses.map(|address: IpAddr| address.to_string()).collect::<Vec<_>>().join(", "))
    }

    fn run_spec(&self, member: &Member) -> Result<RunSpec, ProjectError> {
        let networking = match &member.networking {
            Networking::None => Engines::None,
            Networking::Host => Engines::Host,
            Networking::Networks(joined) => {
                let of = |one: &Joined| (self.real_name(&one.key), self.connect_spec(one));
                Engines::Networks(joined.iter().map(of).collect())
            }
            Networking::Service(name) | Networking::Container(ContainerRef::Ours(name)) => {
                Engines::Container(name.clone())
            }
            Networking::Container(other) => {
                let (service, other) = (member.service.clone(), other.to_string());
                return Err(ProjectError::ForeignNetwork { service, other });
            }
        };
        Ok(RunSpec {
            name: Some(member.name.clone()),
            networking,
            process: member.process.clone(),
            labels: member.labels.clone(),
            tty: false,
            publish: member.ports.clone(),
        })
    }

    /// A place; by itself, it gets no address that is fixed for another.
    fn connect_spec(&self, joined: &Joined) -> ConnectSpec {
        let on = self.members.iter().filter_map(|member| match &member.networking {
            Networking::Networks(places) => places.iter().find(|one| one.key == joined.key),
            _ => None,
        });
        let fixed = |one: &Joined| [one.ipv4.map(IpAddr::V4), one.ipv6.map(IpAddr::V6)];
        ConnectSpec {
            ip: joined.ipv4,
            ip6: joined.ipv6,
            link_local: joined.link_local_ips.clone(),
            aliases: joined.aliases.clone(),
            links: joined.links.clone(),
            mac: joined.mac,
            gw_priority: joined.gw_priority,
            ifname: joined.ifname.clone(),
            options: joined.options.clone(),
            publish: Vec::new(),
            avoid: on.flat_map(fixed).flatten().collect(),
        }
    }

    pub(crate) fn real_name(&self, key: &str) -> String {
        self.project.networks.get(key).map_or_else(|| key.to_owned(), |network| network.name.clone())
    }

    /// Has a container give free what another may be about to get. What it does without until it has it again, as ports
    /// that lead nowhere meanwhile, is nothing to warn of.
    pub(crate) fn give(&mut self, member: &Member, updates: &[Update]) -> Result<(), ProjectError> {
        let is_back = updates.iter().any(|update| matches!(update, Update::Join(_)));
        let mut silent = |_| {};
        let tell: Tell<'_> = if is_back { &mut silent } else { &mut *self.tell };
        let (project, members, starting) = (self.project, self.members, VecDeque::new());
        let mut carrier = Carrier { site: self.site, project, members, tell, starting };
        updates.iter().filter(|update| update.gives()).try_for_each(|update| carrier.update(member, update))
    }

    /// Changes a container that runs.
    pub(crate) fn update(&mut self, member: &Member, update: &Update) -> Result<(), ProjectError> {
        let container = reference(&member.runtime, member.name.clone());
        let subject = &member.name;
        match update {
            Update::Leave(network) => {
                let left = |engine: &mut Engine| match engine.disconnect(network, &container) {
                    // Somebody was quicker.
                    Err(EngineError::NotConnected { .. }) => Ok(()),
                    done => done.map(drop),
                };
                self.site.with_engine(subject, self.tell, left)
            }
            Update::Join(joined) => {
                let (network, spec) = (self.real_name(&joined.key), self.connect_spec(joined));
                let announced = bundles::announcement(member)?;
                let join = |engine: &mut Engine| {
                    if let Some((pid, labels)) = announced {
                        engine.announce(&member.name, pid, labels);
                    }
                    engine.connect(&network, &container, &spec)
                };
                self.site.with_engine(subject, self.tell, join).map(drop)
            }
            Update::Unpublish(ports) => {
                let gone: Vec<Withdraw> = ports
                    .iter()
                    .map(|one| Withdraw {
                        address: one.address,
                        protocol: one.protocol,
                        first: one.host,
                        last: one.host + (one.count - 1),
                    })
                    .collect();
                self.site
                    .with_engine(subject, self.tell, |engine| engine.unpublish(&container, &gone))
                    .map(drop)
            }
            Update::Publish(ports) => {
                let known = found::record(&self.site.reader()?, &container)?;
                let there = known.map(|sandbox| sandbox.ports).unwrap_or_default();
                let ports = unserved(self.project, ports, &there);
                let publish = |engine: &mut Engine| match ports.is_empty() {
                    true => Ok(()),
                    false => engine.publish(&container, &ports).map(drop),
                };
                self.site.with_engine(subject, self.tell, publish)
            }
        }
    }
}

/// Ends containers, those of Pontoon's all at once, and forgets them.
pub(crate) fn end(site: &mut Site, tell: Tell<'_>, containers: &[Found]) -> Result<(), ProjectError> {
    stop(site, tell, containers)?;
    for one in containers {
        let meant = reference(&one.runtime, one.name.clone());
        match &one.runtime {
            Runtime::Process { .. } => {
                site.with_engine(&one.name, tell, |engine| match engine.remove(&one.name, true) {
                    // It was to be forgotten with its end.
                    Err(EngineError::NoContainer { .. }) => Ok(()),
                    done => done.map(drop),
                })?;
            }
            other => {
                // That its ports lead nowhere then is nothing to warn of.
                site.with_engine(&one.name, &mut |_| {}, |engine| engine.leave_all(&meant))?;
                match engines::kind(other) {
                    Some(kind) => engines::remove(kind, &one.name)?,
                    None => {
                        bundles::remove(one)?;
                        // Nobody can ask for its output any more; if it stays on the disk, that harms nobody.
                        let _ = std::fs::remove_dir_all(site.folder_of(&one.name));
                    }
                }
            }
        }
    }
    Ok(())
}

/// Ends containers and leaves what is known of them.
pub(crate) fn stop(site: &mut Site, tell: Tell<'_>, containers: &[Found]) -> Result<(), ProjectError> {
    let reader = site.reader()?;
    let mut ours = Vec::new();
    for one in containers {
        match engines::kind(&one.runtime) {
            Some(kind) => engines::stop(kind, &one.name, one.process.stop_grace)?,
            None => ours.extend(found::record(&reader, &ContainerRef::Ours(one.name.clone()))?),
        }
    }
    drop(reader);
    ours.retain(Sandbox::is_ours);
    if ours.is_empty() {
        return Ok(());
    }
    let came = site.with_engine("containers", tell, |engine| Ok(engine.stop_all(&ours, None)))?;
    for (sandbox, came) in ours.iter().zip(came) {
        came.map_err(ProjectError::of(sandbox.name.as_str()))?;
    }
    Ok(())
}

fn network_spec(project: &str, wanted: &ProjectNetwork) -> NetworkSpec {
    let texts = |text: &dyn Fn(&pontoon_compose::project::Pool) -> Option<String>| {
        wanted.pools.iter().filter_map(text).collect::<Vec<String>>()
    };
    let mut labels = wanted.labels.clone();
    labels.insert(label::PROJECT.to_owned(), project.to_owned());
    labels.insert(label::NETWORK.to_owned(), wanted.key.clone());
    NetworkSpec {
        name: wanted.name.clone(),
        driver: wanted.driver.clone().unwrap_or_default(),
        subnets: texts(&|pool| Some(pool.subnet.to_string())),
        gateways: texts(&|pool| pool.gateway.map(|gateway| gateway.to_string())),
        ranges: texts(&|pool| pool.range.map(|range| range.to_string())),
        aux: wanted
            .pools
            .iter()
            .flat_map(|pool| &pool.aux)
            .map(|(name, address)| (name.clone(), address.to_string()))
            .collect(),
        ipv4: wanted.ipv4,
        ipv6: wanted.ipv6,
        internal: wanted.internal,
        attachable: wanted.attachable,
        labels,
        options: wanted.options.clone(),
        allow_overlap: false,
    }
}
