//! Moving a network to other subnets, with the containers on it.
//!
//! The mark of a network that is being changed keeps containers from joining, the locks of all containers on it keep what
//! is attached to them as it is, and the writers' lock keeps other networks from taking the new subnets. Then there are
//! two entries in the journal, one after the other: what is added is undone if it is cut off, and the network is where
//! it was; what is taken away, when the records say that the network has moved, is finished.

use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use pontoon_kernel::address;
use pontoon_kernel::file::read_within;
use pontoon_model::endpoint::{EndpointState, Plug};
use pontoon_model::network::AddressPool;
use pontoon_model::op::FileOp;
use pontoon_model::route::{Destination, StaticRoute};
use pontoon_model::subnet::Family;
use pontoon_model::{Endpoint, EndpointId, Netns, Network, Sandbox};
use pontoon_netlink::address::DumpAddresses;
use pontoon_plan::endpoint::DefaultRoutes;
use pontoon_plan::ipam;
use pontoon_plan::renumber::{self as planning, Asked, Move, Renumber, RenumberError};
use pontoon_plan::{Instance, Plan};
use pontoon_store::{JournalEntry, Recovery, Subject};

use crate::connect::{Candidates, Connected, ForeignRoutes, refuse_builtin};
use crate::furnish::{Around, netns_files};
use crate::guard::names_at_loopback;
use crate::journal::{Owned, Prepared, Preparing};
use crate::network::{NetworkSpec, PoolSpec, check_pools, names_and_subnets};
use crate::plug::Interface;
use crate::publish::PortHost;
use crate::recover::concerns;
use crate::static_route::by_subnets;
use crate::time::now;
use crate::{Engine, EngineError, Mode, Outcome, resolve};

/// What `network renumber` was given.
#[derive(Debug, Clone, Default)]
pub struct RenumberSpec {
    /// New subnets; free ones otherwise.
    pub subnets: Vec<String>,
    /// New gateways.
    pub gateways: Vec<String>,
    /// New ranges to give addresses out from.
    pub ranges: Vec<String>,
    /// Whether a subnet may overlap with what is there.
    pub allow_overlap: bool,
}

/// A network that has moved.
#[derive(Debug, Clone)]
pub struct Renumbered {
    /// As it was.
    pub before: Network,
    /// As it is.
    pub after: Network,
    /// The containers on it, by name.
    pub containers: Vec<Readdressed>,
}

/// A container that has moved with its network.
#[derive(Debug, Clone)]
pub struct Readdressed {
    /// Its name.
    pub name: String,
    /// Its place as it was.
    pub before: Endpoint,
    /// Its place as it is.
    pub after: Endpoint,
}

impl Readdressed {
    /// The addresses that are other ones: before and after.
    pub fn addresses(&self) -> impl Iterator<Item = (IpAddr, IpAddr)> {
        self.before.addresses().zip(self.after.addresses()).filter(|(before, after)| before != after)
    }
}

/// How long others may take to end what they are doing to the network's containers.
const SETTLING: Duration = Duration::from_secs(5);

/// What is known of a container on the network before anything is written.
struct Member {
    sandbox: Sandbox,
    endpoint: Endpoint,
    netns: Netns,
    foreign: ForeignRoutes,
    host: PortHost,
}

/// What a move is prepared from.
struct Request<'a> {
    instance: &'a Instance,
    found: &'a Network,
    members: &'a [Member],
    pools: [Option<AddressPool>; 2],
}

/// What a move comes to.
struct Moving {
    value: Renumbered,
    /// What is taken away when the records have changed.
    leave: Plan,
    /// The leases that are free then.
    freed: Vec<(EndpointId, IpAddr)>,
    /// Routes that containers were given by routers on the old subnets, which lead nowhere then.
    stranded: Vec<(Plug, StaticRoute)>,
}

impl Engine {
    /// Moves a network to other subnets, and the containers on it to addresses there.
    ///
    /// # Errors
    ///
    /// If there is no such network, a subnet cannot be had, or a container cannot keep its place; if the kernel refuses,
    /// after undoing everything.
    pub fn network_renumber(
        &mut self,
        name: &str,
        spec: &RenumberSpec,
    ) -> Result<Outcome<Renumbered>, EngineError> {
        let found = self.store.read(|tx| resolve::network(tx, name))?;
        refuse_builtin(&found, "renumbered")?;
        if self.mode == Mode::DryRun {
            return self.rehearse_move(&found, spec);
        }
        self.reap()?;
        self.forget_gone(&found)?;
        let mut mended = self.mend_rules()?;
        let owned = self.own_entry()?;
        let moved = self.close(&found, owned).and_then(|()| self.renumber_closed(&found, spec, owned));
        self.owners.release(owned.0.unsigned_abs())?;
        let mut moved = moved?;
        mended.append(moved.plan);
        moved.plan = mended;
        Ok(moved)
    }

    fn rehearse_move(
        &mut self,
        found: &Network,
        spec: &RenumberSpec,
    ) -> Result<Outcome<Renumbered>, EngineError> {
        let mut before = self.mend_rules()?;
        let (pools, members) = (self.new_pools(found, spec)?, self.members(found)?);
        let request = Request { instance: &self.instance().clone(), found, members: &members, pools };
        let planned = self.change(|at| request.prepare(at), |_, _| Ok(()))?;
        let Outcome { value: Moving { value, leave, .. }, plan } = planned;
        before.append(plan);
        before.append(leave);
        Ok(Outcome { value, plan: before })
    }

    /// The network's pools as they are to be, IPv4's first; none where one stays as it is.
    fn new_pools(
        &mut self,
        network: &Network,
        spec: &RenumberSpec,
    ) -> Result<[Option<AddressPool>; 2], EngineError> {
        let (space, taken) = (self.address_space()?, self.store.read(names_and_subnets)?);
        let asked = asked(network, spec)?;
        let all = asked.iter().all(Option::is_none);
        let blocks = &self.config.default_address_pools;
        let mut pools = [None, None];
        for (index, present) in [&network.v4, &network.v6].into_iter().enumerate() {
            let (Some(present), given) = (present, &asked[index]) else { continue };
            let given = match given {
                Some(given) => given,
                None if all => &PoolSpec::default(),
                None => continue,
            };
            let subnet = match given.subnet {
                Some(subnet) => {
                    check_apart(network, subnet)?;
                    if !spec.allow_overlap {
                        ipam::check_subnet(subnet, blocks, &space, &taken)?;
                    }
                    subnet
                }
                None => {
                    let like = ipam::free_like(present.subnet, blocks, &space, &taken).into_iter().next();
                    let family = Family::of(present.subnet);
                    match like {
                        // Made of the network's id, unless blocks are configured: as the first one was.
                        _ if family == Family::V6
                            && !blocks.iter().any(|block| Family::of(block.base) == family) =>
                        {
                            ipam::choose_ula_subnet(&network.id, &space, &taken)?
                        }
                        Some(like) => like,
                        None => ipam::choose_subnet(family, blocks, &space, &taken)?,
                    }
                }
            };
            let asked = Asked { subnet, gateway: given.gateway, range: given.range };
            pools[index] = Some(planning::pool(present, &asked)?);
        }
        match pools.iter().all(Option::is_none) {
            true => Err(RenumberError::NoAddresses(network.name.clone()).into()),
            false => Ok(pools),
        }
    }

    /// Keeps containers from joining the network, and waits until those that come or go have done so.
    fn close(&mut self, network: &Network, owned: Owned) -> Result<(), EngineError> {
        let subject = Subject::Renumber { network: network.id.clone(), leases: Vec::new() };
        let entry = JournalEntry {
            what: format!("renumber network {}", network.name),
            steps: Vec::new(),
            on_recovery: Recovery::Undo,
            subject: subject.clone(),
            created: now(),
        };
        self.store.transaction(|tx| {
            tx.network_mark_removing(&network.id)?;
            tx.journal_put(owned.0, &entry)
        })?;
        self.checkpoints.pass();
        let start = Instant::now();
        loop {
            let (endpoints, journal) = self
                .store
                .read(|tx| Ok::<_, EngineError>((tx.endpoints_of_network(&network.id)?, tx.journal()?)))?;
            let changing = |endpoint: &Endpoint| {
                endpoint.state == EndpointState::Detaching
                    || journal.iter().any(|(_, entry)| concerns(&entry.subject, endpoint))
            };
            if !endpoints.iter().any(changing) {
                return Ok(());
            }
            if start.elapsed() > SETTLING {
                self.forget(owned.0, &subject, Recovery::Undo)?;
                return Err(EngineError::Unsettled(network.name.to_string()));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Moves a network that nobody joins meanwhile. Who has changed a container waits for the writers' lock while he holds
    /// the container's: so that one comes last.
    fn renumber_closed(
        &mut self,
        found: &Network,
        spec: &RenumberSpec,
        owned: Owned,
    ) -> Result<Outcome<Renumbered>, EngineError> {
        let sandboxes = self.store.read(|tx| {
            let mut ids = Vec::new();
            for endpoint in tx.endpoints_of_network(&found.id)? {
                ids.extend(tx.sandbox(&endpoint.sandbox)?.map(|sandbox| sandbox.netns));
            }
            Ok::<_, EngineError>(ids)
        })?;
        let subject = Subject::Renumber { network: found.id.clone(), leases: Vec::new() };
        self.alone_with(&sandboxes, |engine| {
            // Without a look for what others left: this entry would be found to be this process's own, and undone.
            let guard = engine.store.exclusive()?;
            let done = match engine.prepare_move(found, spec, owned) {
                Ok(prepared) => engine.carry_out_move(owned, prepared),
                // Nothing was written but that it was to begin.
                Err(error) => engine.forget(owned.0, &subject, Recovery::Undo).and(Err(error)),
            };
            drop(guard);
            done
        })
    }

    /// What is to be done, in the journal.
    fn prepare_move(
        &mut self,
        found: &Network,
        spec: &RenumberSpec,
        owned: Owned,
    ) -> Result<Prepared<Moving>, EngineError> {
        let (pools, members) = (self.new_pools(found, spec)?, self.members(found)?);
        let instance = self.instance().clone();
        let request = Request { instance: &instance, found, members: &members, pools };
        self.prepare(owned, |at| request.prepare(at))
    }

    /// The containers on a network, and what was seen of them.
    fn members(&mut self, network: &Network) -> Result<Vec<Member>, EngineError> {
        let known = self.store.read(|tx| {
            let mut known = Vec::new();
            for endpoint in tx.endpoints_of_network(&network.id)? {
                if let Some(sandbox) = tx.sandbox(&endpoint.sandbox)? {
                    known.push((sandbox, endpoint));
                }
            }
            Ok::<_, EngineError>(known)
        })?;
        let mut members = Vec::with_capacity(known.len());
        for (sandbox, endpoint) in known {
            let netns = resolve::netns(&sandbox);
            if !self.executor.reach(&netns)? {
                return Err(EngineError::NotRunning(sandbox.name.into()));
            }
            let foreign = self.foreign_routes(&sandbox, &netns, [true, true])?;
            let host = self.port_host(sandbox.ports.iter().map(|one| (one.protocol, one.address)))?;
            members.push(Member { sandbox, endpoint, netns, foreign, host });
        }
        members.sort_by(|left, right| left.sandbox.name.as_str().cmp(right.sandbox.name.as_str()));
        Ok(members)
    }

    /// Carries out what is added, then writes the new records, then carries out what is taken away.
    fn carry_out_move(
        &mut self,
        owned: Owned,
        prepared: Prepared<Moving>,
    ) -> Result<Outcome<Renumbered>, EngineError> {
        let Prepared { value: Moving { value, leave, freed, stranded }, mut plan, subject, what, .. } =
            prepared;
        self.checkpoints.pass();
        if let Err(error) = self.executor.run(&plan.steps) {
            self.take_back(owned, &plan, &subject)?;
            return Err(error.into());
        }
        self.checkpoints.pass();
        let after = Subject::Renumber { network: value.after.id.clone(), leases: freed };
        let entry = JournalEntry {
            what,
            steps: leave.steps.clone(),
            on_recovery: Recovery::Finish,
            subject: after.clone(),
            created: now(),
        };
        let committed: Result<(), EngineError> = self.store.transaction(|tx| {
            for one in &value.containers {
                // One that ended meanwhile has taken its endpoints with it.
                let there = tx.endpoint(&one.before.id)?;
                if there.is_none_or(|now| now.state != EndpointState::Attached) {
                    return Err(EngineError::NotRunning(one.name.clone()));
                }
                tx.endpoint_put(&one.after)?;
            }
            stranded.iter().try_for_each(|(plug, route)| tx.route_delete(plug, route))?;
            tx.network_put(&value.after)?;
            Ok(tx.journal_put(owned.0, &entry)?)
        });
        if let Err(error) = committed {
            self.take_back(owned, &plan, &subject)?;
            return Err(error);
        }
        // Before an address is gone, nobody is told of it any more.
        let notices = self.notices(&after);
        self.notify(notices, false);
        self.checkpoints.pass();
        let resisting = self.executor.run_all(&leave.steps);
        for error in &resisting {
            self.warn(format!(
                "could not take all of the old addresses away, and will try again: {}",
                error.source
            ));
        }
        self.checkpoints.pass();
        if resisting.is_empty() {
            self.forget(owned.0, &after, Recovery::Finish)?;
        }
        plan.append(leave);
        Ok(Outcome { value, plan })
    }
}

/// What was given for each family, IPv4 first; nothing where nothing was.
fn asked(network: &Network, spec: &RenumberSpec) -> Result<[Option<PoolSpec>; 2], EngineError> {
    for text in &spec.subnets {
        let subnet = pontoon_model::subnet::parse(text)?;
        let has = if subnet.addr().is_ipv4() { network.v4.is_some() } else { network.v6.is_some() };
        if !has {
            let family = Family::of(subnet);
            return Err(RenumberError::NoFamily { network: network.name.clone(), family, subnet }.into());
        }
    }
    let (v4, v6) = check_pools(&NetworkSpec {
        subnets: spec.subnets.clone(),
        gateways: spec.gateways.clone(),
        ranges: spec.ranges.clone(),
        // Which there are is known; a subnet of another was refused.
        ipv4: Some(true),
        ipv6: Some(true),
        ..NetworkSpec::default()
    })?;
    let given = |pool: Option<PoolSpec>| pool.filter(|pool| pool.subnet.is_some());
    Ok([given(v4), given(v6)])
}

/// Refuses a subnet that has addresses of where the network is now.
fn check_apart(network: &Network, subnet: IpNet) -> Result<(), RenumberError> {
    let meets = |pool: &&AddressPool| pontoon_model::subnet::overlap(pool.subnet, subnet);
    match network.pools().find(meets) {
        Some(pool) => {
            Err(RenumberError::Overlap { network: network.name.clone(), subnet, present: pool.subnet })
        }
        None => Ok(()),
    }
}

impl Request<'_> {
    fn prepare(&self, at: &mut Preparing<'_, '_>) -> Result<Prepared<Moving>, EngineError> {
        let before = at
            .tx
            .network(&self.found.id)?
            .ok_or_else(|| EngineError::NoNetwork { name: self.found.name.to_string(), near: Vec::new() })?;
        let mut after = before.clone();
        let [v4, v6] = self.pools.clone();
        after.v4 = v4.or(after.v4);
        after.v6 = v6.or(after.v6);
        let moved = self.addresses(&before, &after)?;
        self.check_absent(at, &after, &moved)?;
        let mut announce = Vec::with_capacity(moved.len());
        let (mut taken, mut freed) = (Vec::new(), Vec::new());
        for (member, endpoint) in self.members.iter().zip(&moved) {
            let mut remembered = false;
            let pairs = member.endpoint.addresses().zip(endpoint.addresses());
            for (old, new) in pairs.filter(|(old, new)| old != new) {
                let last = at.tx.lease_take(&after.id, new, &endpoint.id, endpoint.mac)?;
                remembered |= last.is_some_and(|last| last != endpoint.mac);
                taken.push((endpoint.id.clone(), new));
                freed.push((endpoint.id.clone(), old));
            }
            announce.push(remembered);
        }
        let (arrive, mut leave) = self.plan(at, (&before, &after), &moved, &announce)?;
        let stranded = self.strand(at, (&before, &after), &mut leave)?;
        let containers = self.members.iter().zip(moved).map(|(member, after)| Readdressed {
            name: member.sandbox.name.to_string(),
            before: member.endpoint.clone(),
            after,
        });
        let containers = containers.collect();
        let what = format!("renumber network {}", before.name);
        let subject = Subject::Renumber { network: before.id.clone(), leases: taken };
        let value = Moving { value: Renumbered { before, after, containers }, leave, freed, stranded };
        Ok(Prepared { value, plan: arrive, subject, recovery: Recovery::Undo, what })
    }

    /// The routes by routers on the old subnets: they go before those do.
    fn strand(
        &self,
        at: &mut Preparing<'_, '_>,
        (before, after): (&Network, &Network),
        leave: &mut Plan,
    ) -> Result<Vec<(Plug, StaticRoute)>, EngineError> {
        let stays = |pool: &&AddressPool| after.pools().any(|other| other.subnet == pool.subnet);
        let old: Vec<IpNet> = before.pools().filter(|pool| !stays(pool)).map(|pool| pool.subnet).collect();
        let (mut stranded, mut plan) = (Vec::new(), Plan::default());
        for member in self.members {
            let interface = Interface::of(&member.endpoint, before, &member.sandbox);
            for route in by_subnets(at.tx, &interface, &old)? {
                let whose = member.sandbox.name.as_str();
                plan.append(pontoon_plan::route::remove(&member.netns, &interface.ifname, route, whose));
                at.warnings.push(format!(
                    "the route {route} of {whose} goes with the subnet\n\
                     `pontoon network route add {whose} {} via …` gives it another",
                    Destination::Net(route.to)
                ));
                stranded.push((interface.plug.clone(), route));
            }
        }
        plan.append(std::mem::take(leave));
        *leave = plan;
        Ok(stranded)
    }

    /// The endpoints as they are to be.
    fn addresses(&self, before: &Network, after: &Network) -> Result<Vec<Endpoint>, EngineError> {
        let mut moved: Vec<Endpoint> = self.members.iter().map(|member| member.endpoint.clone()).collect();
        for (old, new) in [(&before.v4, &after.v4), (&before.v6, &after.v6)] {
            let (Some(old), Some(new)) = (old, new) else { continue };
            if old == new {
                continue;
            }
            let of_family = |address: &IpAddr| address.is_ipv4() == old.subnet.addr().is_ipv4();
            let has: Vec<usize> = (0..moved.len())
                .filter(|index| moved[*index].addresses().any(|one| of_family(&one)))
                .collect();
            let present: Vec<IpAddr> =
                has.iter().filter_map(|index| moved[*index].addresses().find(of_family)).collect();
            let there = planning::addresses(old.subnet, new, &present)?;
            for (index, address) in has.into_iter().zip(there) {
                match address {
                    IpAddr::V4(address) => moved[index].v4 = Some(address),
                    IpAddr::V6(address) => moved[index].v6 = Some(address),
                }
            }
        }
        let members = self.members.iter().zip(&moved).filter_map(|(member, moved)| {
            let (now, then) = (member.endpoint.addresses().next()?, moved.addresses().next()?);
            Some((member.sandbox.name.as_str(), now, then))
        });
        planning::check_segments(before, after, members)?;
        Ok(moved)
    }

    /// Refuses addresses that somebody else put where they are to be: an undo could not tell them from ours.
    fn check_absent(
        &self,
        at: &mut Preparing<'_, '_>,
        after: &Network,
        moved: &[Endpoint],
    ) -> Result<(), EngineError> {
        let mut check = |whose: String, netns: &Netns, new: Vec<IpAddr>| -> Result<(), EngineError> {
            let there = address::list(at.executor.socket(netns)?, &DumpAddresses::default())?;
            let present = new.into_iter().find(|new| there.iter().any(|one| one.local.address == *new));
            present.map_or(Ok(()), |address| Err(RenumberError::Present { whose, address }.into()))
        };
        let gateways = self.pools.iter().flatten().filter(|pool| after.bridge_has_address(pool));
        check("the host".to_owned(), &Netns::Host, gateways.map(|pool| pool.gateway).collect())?;
        for (member, endpoint) in self.members.iter().zip(moved) {
            let pairs = member.endpoint.addresses().zip(endpoint.addresses());
            let new = pairs.filter(|(old, new)| old != new).map(|(_, new)| new).collect();
            check(format!("container `{}`", member.sandbox.name), &member.netns, new)?;
        }
        Ok(())
    }

    fn plan(
        &self,
        at: &mut Preparing<'_, '_>,
        (before, after): (&Network, &Network),
        moved: &[Endpoint],
        announce: &[bool],
    ) -> Result<(Plan, Plan), EngineError> {
        let mut known = Vec::with_capacity(moved.len());
        for (member, endpoint) in self.members.iter().zip(moved) {
            let now = Candidates::of(at.tx, &member.sandbox)?;
            let then = now.readdressed(after, std::slice::from_ref(endpoint));
            let files = edits(at, member, &now, &then)?;
            known.push((now, then, files));
        }
        let moves: Vec<Move<'_>> = self
            .members
            .iter()
            .zip(moved)
            .zip(&known)
            .zip(announce)
            .map(|(((member, endpoint), (now, then, files)), announce)| Move {
                sandbox: member.sandbox.name.as_str(),
                netns: member.netns.clone(),
                before: &member.endpoint,
                after: endpoint,
                routes: own_routes(member, now, then),
                published: (
                    now.published(&member.sandbox.ports, &member.host),
                    then.published(&member.sandbox.ports, &member.host),
                ),
                announce: *announce,
                files,
            })
            .collect();
        let plan = Renumber { instance: self.instance, before, after, moves: &moves };
        Ok((plan.arrive(), plan.leave()))
    }
}

/// Default routes before and after; a default route of somebody else's stays.
fn own_routes(member: &Member, now: &Candidates, then: &Candidates) -> (DefaultRoutes, DefaultRoutes) {
    let (mut before, mut after) = (now.elect(), then.elect());
    if member.foreign.v4 {
        (before.v4, after.v4) = (None, None);
    }
    if member.foreign.v6 {
        (before.v6, after.v6) = (None, None);
    }
    (before, after)
}

/// What is changed in the files in which a container's own names stand for its addresses. Of files that cannot be looked
/// at, a person is told.
fn edits(
    at: &mut Preparing<'_, '_>,
    member: &Member,
    now: &Candidates,
    then: &Candidates,
) -> Result<Vec<FileOp>, EngineError> {
    let (sandbox, mut edits) = (&member.sandbox, Vec::new());
    let Some(pinned) = &sandbox.pinned else { return Ok(edits) };
    let loopback = names_at_loopback(at.tx)?;
    let files = |known: &Candidates| {
        let place = |(endpoint, network): (&Endpoint, &Network)| Connected {
            network: network.clone(),
            sandbox: sandbox.clone(),
            endpoint: endpoint.clone(),
            published: Vec::new(),
        };
        let connected: Vec<Connected> = known.borrowed().into_iter().map(place).collect();
        netns_files(pinned, sandbox, &Around::of(&connected, loopback))
    };
    for ((path, before), (_, after)) in files(now).into_iter().zip(files(then)) {
        let differ = before.lines().zip(after.lines()).filter(|(before, after)| before != after);
        let lines: Vec<_> = differ.map(|(before, after)| (before.to_owned(), after.to_owned())).collect();
        let mark = before.lines().next().unwrap_or_default();
        let name = path.rsplit('/').next().unwrap_or_default();
        let inside = sandbox.process_id.map(|process| (Some(process), format!("/etc/{name}")));
        for (within, path) in std::iter::once((None, path.clone())).chain(inside) {
            match read_within(within, Path::new(&path)) {
                Ok(Some(text)) if text.lines().next() == Some(mark) => {
                    let there = |line: &str| text.lines().any(|other| other == line);
                    let lines: Vec<_> = lines.iter().filter(|(before, _)| there(before)).cloned().collect();
                    if !lines.is_empty() {
                        edits.push(FileOp::Edit { within, path, mark: mark.to_owned(), lines });
                    }
                }
                // Somebody else's, or not there.
                Ok(_) => {}
                Err(error) => at.warnings.push(format!(
                    "{}: {error}: it has the old addresses until the container is started again",
                    sandbox.name
                )),
            }
        }
    }
    Ok(edits)
}
