//! After a container's end: its network is taken away by whoever waited for it.

use std::collections::BTreeMap;

use pontoon_kernel::process::stay_behind;
use pontoon_model::endpoint::EndpointState;
use pontoon_model::event::Action;
use pontoon_model::op::LinkOp;
use pontoon_model::sandbox::{NetnsId, Sandbox, Status};
use pontoon_model::{Endpoint, News, SandboxId, Step};
use pontoon_plan::publish::{self, Published};
use pontoon_plan::{Plan, sandbox as naming};
use pontoon_store::{JournalEntry, Recovery, Subject, Tx};

use crate::connect::Candidates;
use crate::furnish::{Around, netns_files};
use crate::journal::Owned;
use crate::publish::PortHost;
use crate::recover::forget_sandbox;
use crate::time::now;
use crate::{Engine, EngineError, impair};

impl Engine {
    /// Notes that a container has ended and writes down what is left to do, as a plan in the journal that `owned`
    /// stands for. Whoever changes what is attached to it is waited for: the plan is for what is there then.
    pub(crate) fn note_ended(
        &mut self,
        id: &SandboxId,
        code: i32,
        owned: Owned,
    ) -> Result<Option<Plan>, EngineError> {
        let number = self.store.read(|tx| tx.sandbox(id))?.map_or(0, |sandbox| sandbox.netns.ino);
        if number == 0 {
            return self.note_ended_alone(id, code, owned);
        }
        self.sandboxes.lock(number)?;
        let noted = self.note_ended_alone(id, code, owned);
        self.sandboxes.release(number)?;
        noted
    }

    fn note_ended_alone(
        &mut self,
        id: &SandboxId,
        code: i32,
        owned: Owned,
    ) -> Result<Option<Plan>, EngineError> {
        let instance = self.instance().clone();
        let notices = self.notices(&Subject::Sandbox(id.clone()));
        let mut news = Vec::new();
        let planned = self.store.transaction(|tx| -> Result<_, EngineError> {
            let Some(mut sandbox) = tx.sandbox(id)? else { return Ok(None) };
            let leaving = |endpoint: &Endpoint| endpoint.state == EndpointState::Detaching;
            let under_way = tx.endpoints_of_sandbox(id)?.iter().all(leaving);
            let ran = sandbox.status == Status::Running;
            let code = match sandbox.status {
                Status::Exited(_) if under_way => return Ok(None),
                // Somebody connected it in its last moment.
                Status::Exited(code) => code,
                Status::Created | Status::Running => code,
            };
            let plan = teardown(&instance, tx, &sandbox)?;
            sandbox.status = Status::Exited(code);
            // The kernel gives the number to another namespace, which is not this container's.
            sandbox.netns = NetnsId { dev: 0, ino: 0 };
            sandbox.finished = now();
            if ran {
                news.push(News::container(Action::Die, &sandbox));
            }
            let entry = JournalEntry {
                what: format!("clean up after {}", sandbox.name),
                steps: plan.steps.clone(),
                on_recovery: Recovery::Finish,
                subject: Subject::Sandbox(id.clone()),
                created: now(),
            };
            tx.journal_put(owned.0, &entry)?;
            for endpoint in tx.endpoints_of_sandbox(id)? {
                tx.endpoint_put(&Endpoint { state: EndpointState::Detaching, ..endpoint })?;
            }
            let nothing_left =
                tx.endpoints_of_sandbox(id)?.is_empty() && tx.cables_of_sandbox(id)?.is_empty();
            if sandbox.process.auto_remove && nothing_left {
                news.push(News::container(Action::Destroy, &sandbox));
                forget_sandbox(tx, &sandbox)?
            } else {
                tx.sandbox_put(&free_name(sandbox)?)?
            }
            Ok(Some(plan))
        })?;
        self.tell(news);
        if self.store.read(|tx| tx.sandbox(id))?.is_none_or(|sandbox| sandbox.process.auto_remove) {
            // Nobody can ask for its output any more; if it stays on the disk, that harms nobody.
            let _ = std::fs::remove_dir_all(self.root.container(id.as_str()));
        }
        self.notify(notices, false);
        Ok(planned)
    }

    /// The steps that would take a container's network away.
    ///
    /// # Errors
    ///
    /// If there is no such container.
    pub fn teardown_plan(&self, name: &str) -> Result<Plan, EngineError> {
        let sandbox = self.container(name)?;
        self.store.read(|tx| teardown(&self.root.instance, tx, &sandbox))
    }

    /// Takes a container's network away now. For a container that nobody looks after any more.
    pub(crate) fn end(&mut self, id: &SandboxId, code: i32) -> Result<(), EngineError> {
        let owned = self.own_entry()?;
        if let Some(plan) = self.note_ended(id, code, owned)? {
            self.finish(owned, &plan, id)?;
        }
        Ok(self.owners.release(owned.0.unsigned_abs())?)
    }

    pub(crate) fn finish(&mut self, owned: Owned, plan: &Plan, id: &SandboxId) -> Result<(), EngineError> {
        self.checkpoints.pass();
        if self.executor.run_all(&plan.steps).is_empty() {
            self.forget(owned.0, &Subject::Sandbox(id.clone()), Recovery::Finish)?;
        }
        Ok(())
    }
}

/// Finishes the teardown in a process that stays behind. The journal's entry is the two processes' together, since
/// the lock goes along with the fork.
pub(crate) fn finish_behind(
    engine: Engine,
    owned: Owned,
    plan: &Plan,
    id: &SandboxId,
) -> Result<(), EngineError> {
    let (root, mode) = (engine.root.clone(), engine.mode);
    let Engine { store, executor, owners, .. } = engine;
    // A database that is open must not be carried over a fork.
    drop((store, executor));
    stay_behind(|said| {
        said.send(b"");
        let done = Engine::open(root, mode).and_then(|mut engine| engine.finish(owned, plan, id));
        drop(owners);
        i32::from(done.is_err())
    })?;
    Ok(())
}

/// The steps that take a container's network away, from the records as they are.
fn teardown(instance: &pontoon_plan::Instance, tx: &Tx<'_>, sandbox: &Sandbox) -> Result<Plan, EngineError> {
    let mut plan = Plan::default();
    let (known, host) = (Candidates::of(tx, sandbox)?, PortHost::default());
    let (before, after) = (known.published(&sandbox.ports, &host), Published::default());
    publish::change(&mut plan, instance, sandbox.name.as_str(), &before, &after);
    let mut vanishing = Vec::new();
    for endpoint in tx.endpoints_of_sandbox(&sandbox.id)? {
        let Some(network) = tx.network(&endpoint.network)? else { continue };
        plan.append(pontoon_plan::endpoint::forget_neighbours(&network, &endpoint, sandbox.name.as_str()));
        let (name, mark) = (endpoint.host_ifname.clone(), instance.endpoint_mark(&endpoint));
        let why = format!("{}'s cable to {} goes with its namespace", sandbox.name, network.name);
        vanishing.push(Step::new(LinkOp::Vanish { name, mark }, why));
        vanishing.extend(pontoon_plan::guard::detach(instance, &endpoint, sandbox.name.as_str()).steps);
    }
    for cable in tx.cables_of_sandbox(&sandbox.id)? {
        let mut sandboxes = BTreeMap::new();
        for id in cable.ends.iter().filter_map(|end| end.sandbox.clone()) {
            sandboxes.extend(tx.sandbox(&id)?.map(|sandbox| (id, sandbox)));
        }
        // By the other's end: this one's namespace is about to go.
        let other = usize::from(cable.ends[0].sandbox.as_ref() == Some(&sandbox.id));
        plan.append(crate::cable::removal(instance, &cable, other, &sandboxes).0);
        plan.append(impair::forget_cable(tx, instance, &cable)?);
    }
    if let Some(pinned) = &sandbox.pinned {
        plan.append(naming::forget(pinned, sandbox.netns, &netns_files(pinned, sandbox, &Around::default())));
    }
    plan.steps.extend(vanishing);
    Ok(plan)
}

/// A container whose record goes with it gives its name free at once, for the next of that name; its own record is
/// then found by its id alone until its addresses are free.
fn free_name(mut sandbox: Sandbox) -> Result<Sandbox, EngineError> {
    if sandbox.process.auto_remove {
        let free = format!("ended-{}", sandbox.id.short()).parse()?;
        sandbox.former_name = Some(std::mem::replace(&mut sandbox.name, free));
    }
    Ok(sandbox)
}
