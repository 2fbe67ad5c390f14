//! Containers that their engine has started anew: connected as they were, in their new namespace.
//!
//! Addresses, names, ports and rules belong to the record, and stay with it as long as the container exists. What went
//! with the former namespace is the links; what they are to be is read from the records as for a repair (`drift.rs`).

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use pontoon_kernel::execute::Refusal;
use pontoon_model::diagnose::as_warning;
use pontoon_model::endpoint::{Cable, EndpointState};
use pontoon_model::event::Action;
use pontoon_model::op::{LinkOp, Netns, Op, RouteOp};
use pontoon_model::sandbox::{NetnsId, Sandbox};
use pontoon_model::{Endpoint, IfName, Mac, Network, News, SandboxId};
use pontoon_oci::{Client, Kind, OciError};
use pontoon_plan::Plan;
use pontoon_store::{Recovery, Subject};

use crate::cable::{removal, sandboxes};
use crate::connect::ForeignRoutes;
use crate::container::running;
use crate::drift::{Links, Scope, Whose};
use crate::elsewhere::{Found, kind};
use crate::journal::Prepared;
use crate::{Engine, EngineError, Mode, resolve};

/// A container that was connected as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejoined {
    /// What it is called: `docker:web`.
    pub container: String,
    /// The links of the host that are there again.
    pub links: Vec<IfName>,
}

impl Engine {
    /// Containers of other engines that are connected, and whose they are: those that may be started anew.
    ///
    /// # Errors
    ///
    /// If the state cannot be read.
    pub fn containers_elsewhere(&self) -> Result<Vec<(Sandbox, Kind)>, EngineError> {
        let found = self.store.read(|tx| tx.bare().sandboxes())?.into_iter();
        Ok(found.filter_map(|sandbox| kind(&sandbox).map(|kind| (sandbox, kind))).collect())
    }

    /// Connects all containers as they were that their engines have started anew, and forgets those that they have removed.
    /// An engine that cannot be asked is warned of.
    ///
    /// # Errors
    ///
    /// If the state cannot be read or written, or the kernel refuses.
    pub fn rejoin_all(&mut self) -> Result<Vec<Rejoined>, EngineError> {
        let all = self.containers_elsewhere()?;
        self.rejoin_some(all)
    }

    /// The same for those on a network.
    pub(crate) fn rejoin_on(&mut self, network: &Network) -> Result<(), EngineError> {
        let endpoints = self.store.read(|tx| tx.endpoints_of_network(&network.id))?;
        let ids: BTreeSet<SandboxId> = endpoints.into_iter().map(|endpoint| endpoint.sandbox).collect();
        let mut some = self.containers_elsewhere()?;
        some.retain(|(sandbox, _)| ids.contains(&sandbox.id));
        self.rejoin_some(some).map(drop)
    }

    fn rejoin_some(&mut self, some: Vec<(Sandbox, Kind)>) -> Result<Vec<Rejoined>, EngineError> {
        let mut clients: BTreeMap<Kind, Option<Client>> = BTreeMap::new();
        let mut rejoined = Vec::new();
        for (sandbox, kind) in some {
            if running(&sandbox)?.is_some() {
                continue;
            }
            let client = match clients.entry(kind) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(vacant) => {
                    let opened = Client::open(kind).map_err(|error| self.warn(as_warning(&error)));
                    vacant.insert(opened.ok())
                }
            };
            let Some(asked) = client else { continue };
            match self.rejoin_known(asked, &sandbox.id) {
                Err(EngineError::Elsewhere(error)) => {
                    self.warn(as_warning(&error));
                    *client = None;
                }
                done => rejoined.extend(done?),
            }
        }
        Ok(rejoined)
    }

    /// Connects one container as it was, if its engine has started it anew; forgets it, if its engine has removed it.
    ///
    /// # Errors
    ///
    /// If the engine cannot be asked, or the kernel refuses.
    pub fn rejoin_known(&mut self, client: &Client, id: &SandboxId) -> Result<Option<Rejoined>, EngineError> {
        let Some(sandbox) = self.store.read(|tx| tx.bare().sandbox(id))? else { return Ok(None) };
        let found = match client.running(id.as_str()) {
            Ok((container, pid)) => Found::of(client.kind(), container, pid),
            Err(error) => Err(error.into()),
        };
        match found {
            Ok(found) => self.rejoin(&sandbox, &found),
            Err(EngineError::Elsewhere(OciError::NotRunning { .. })) => Ok(None),
            Err(EngineError::Elsewhere(OciError::NoContainer { .. })) => {
                if self.mode == Mode::Apply {
                    self.forget_container(&sandbox)?;
                    self.warn(format!("{} was removed, and is on no network any more", sandbox.shown_as()));
                }
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Connects a container as it was, if it is not where its record says.
    pub(crate) fn rejoin(&mut self, known: &Sandbox, found: &Found) -> Result<Option<Rejoined>, EngineError> {
        let renewed = found.renew(known.clone());
        let same = (renewed.netns, renewed.process_id) == (known.netns, known.process_id);
        if same || self.mode == Mode::DryRun {
            return Ok(None);
        }
        if renewed.netns == self.host {
            return Err(EngineError::HostNamespace(found.reference.to_string()));
        }
        let namespaces: [NetnsId; 2] = [known.netns, renewed.netns];
        self.alone_with(&namespaces, |engine| engine.rejoin_alone(found, &known.id))
    }

    fn rejoin_alone(&mut self, found: &Found, id: &SandboxId) -> Result<Option<Rejoined>, EngineError> {
        let former = self.store.transaction(|tx| -> Result<_, EngineError> {
            let former = tx.bare().sandbox(id)?;
            former.iter().try_for_each(|former| tx.sandbox_put(&found.renew(former.clone())))?;
            Ok(former)
        })?;
        let Some(former) = former else { return Ok(None) };
        let done = self.rejoin_moved(found.renew(former.clone()));
        if done.is_err() {
            // Whoever looks at it next finds that it is not where its record says, and tries again.
            self.store.transaction(|tx| tx.sandbox_put(&former))?;
        }
        done
    }

    /// Makes the links of a container whose record says where it is now.
    fn rejoin_moved(&mut self, sandbox: Sandbox) -> Result<Option<Rejoined>, EngineError> {
        let (mut endpoints, mut cables) = self.store.read(|tx| -> Result<_, EngineError> {
            let mut endpoints = tx.endpoints_of_sandbox(&sandbox.id)?;
            endpoints.retain(|endpoint| endpoint.state == EndpointState::Attached);
            Ok((endpoints, tx.cables_of_sandbox(&sandbox.id)?))
        })?;
        self.clear_former(&sandbox, &endpoints, &cables)?;
        let links = endpoints.iter().map(|endpoint| &endpoint.id).chain(cables.iter().map(|cable| &cable.id));
        let links: BTreeSet<Whose> = links.cloned().map(Whose::Endpoint).collect();
        let scope = Scope { links: Links::Of(links), inside: true, ..Scope::default() };
        let plan = self.rejoining(&scope, &sandbox)?;
        if plan.is_empty() {
            return Ok(None);
        }
        let made: BTreeSet<String> = plan.ops().filter_map(mark_made).map(str::to_owned).collect();
        let instance = self.instance().clone();
        endpoints.retain(|endpoint| made.contains(&instance.veth_mark(&endpoint.id).alias));
        // One whose other end is in a container that has ended comes with that.
        cables.retain(|cable| made.contains(&instance.veth_mark(&cable.id).alias));
        let what = format!("connect {} as it was", sandbox.shown_as());
        self.change(
            |_| Ok(Prepared { value: (), plan, subject: Subject::Prune, recovery: Recovery::Undo, what }),
            |_, ()| Ok(()),
        )?;
        self.notify(self.notices(&Subject::Sandbox(sandbox.id.clone())), true);
        self.tell_rejoined(&sandbox, &endpoints, &cables)?;
        let links = endpoints.into_iter().map(|endpoint| endpoint.host_ifname).collect();
        Ok(Some(Rejoined { container: sandbox.shown_as(), links }))
    }

    /// Takes away what is left of the former namespace: its links go a moment after its last process, or stay as long as
    /// somebody holds it.
    fn clear_former(
        &mut self,
        sandbox: &Sandbox,
        endpoints: &[Endpoint],
        cables: &[Cable],
    ) -> Result<(), EngineError> {
        let (instance, netns) = (self.instance().clone(), resolve::netns(sandbox));
        let mut plan = Plan::default();
        for endpoint in endpoints {
            if !self.has_end(&netns, &endpoint.ifname, endpoint.mac)? {
                let (name, mark) = (endpoint.host_ifname.clone(), instance.veth_mark(&endpoint.id));
                plan.push(LinkOp::Vanish { name, mark }, format!("{} has another namespace", sandbox.name));
            }
        }
        for cable in cables {
            let own =
                cable.ends.iter().position(|end| end.sandbox.as_ref() == Some(&sandbox.id)).unwrap_or(0);
            let end = &cable.ends[own];
            if !self.has_end(&netns, &end.ifname, end.mac)? {
                let sandboxes = self.store.read(|tx| sandboxes(tx, cable))?;
                plan.append(removal(&instance, cable, 1 - own, &sandboxes).0);
            }
        }
        match self.executor.run_all(&plan.steps).into_iter().next() {
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }

    fn has_end(&mut self, netns: &Netns, name: &IfName, mac: Mac) -> Result<bool, EngineError> {
        match self.executor.link(netns, name.as_str()) {
            Ok(link) => Ok(link.and_then(|link| link.mac).is_some_and(|there| there.0 == mac.octets())),
            Err(Refusal::Gone(_)) => Err(EngineError::NotRunning(name.to_string())),
            Err(error) => Err(error.into()),
        }
    }

    /// The steps that make what is missing. A default route that the engine has given it stays.
    fn rejoining(&mut self, scope: &Scope, sandbox: &Sandbox) -> Result<Plan, EngineError> {
        let ForeignRoutes { v4, v6 } =
            self.foreign_routes(sandbox, &resolve::netns(sandbox), [true, true])?;
        let stays = |op: &Op| match op {
            Op::Route(RouteOp::Default { via, .. }) => via.is_ipv4() && v4 || via.is_ipv6() && v6,
            _ => false,
        };
        let mut plan = Plan::default();
        self.compare(scope)?.into_iter().for_each(|drift| plan.append(drift.plan));
        plan.steps.retain(|step| !stays(&step.op));
        Ok(plan)
    }

    fn tell_rejoined(
        &mut self,
        sandbox: &Sandbox,
        endpoints: &[Endpoint],
        cables: &[Cable],
    ) -> Result<(), EngineError> {
        let news = self.store.read(|tx| -> Result<_, EngineError> {
            let mut news = Vec::new();
            for endpoint in endpoints {
                let network = tx.network(&endpoint.network)?;
                news.extend(
                    network.map(|network| News::connection(Action::Reconnect, &network, sandbox, endpoint)),
                );
            }
            let others = tx.bare().sandboxes()?;
            let name_of = |id: &SandboxId| others.iter().find(|one| one.id == *id).map(Sandbox::known_as);
            news.extend(cables.iter().map(|cable| News::cable(Action::Reconnect, cable, name_of)));
            Ok(news)
        })?;
        self.tell(news);
        Ok(())
    }
}

/// The mark of the link that a step makes.
fn mark_made(op: &Op) -> Option<&str> {
    match op {
        Op::Link(LinkOp::AddVeth { mark, .. }) => Some(&mark.alias),
        _ => None,
    }
}
