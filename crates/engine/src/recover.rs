//! Repair: what a killed command left is undone or finished by the next one.

use pontoon_model::event::{Action, Kind};
use pontoon_model::{Endpoint, News, Sandbox};
use pontoon_plan::Plan;
use pontoon_store::{JournalEntry, Recovery, StoreError, Subject, Tx};

use crate::container::running;
use crate::root::check_privileges;
use crate::{Engine, EngineError, Mode, Root, event};

/// Repairs what killed commands left and takes away the networks of containers that ended unseen, before somebody
/// looks; returns what was done, in sentences. Where the caller may not, or there is no state, nothing is done.
///
/// # Errors
///
/// If the state cannot be read or written.
pub fn tidy(root: &Root) -> Result<Vec<String>, EngineError> {
    if check_privileges().is_err() || !root.dirs.run.join("runtime.db").exists() {
        return Ok(Vec::new());
    }
    let mut engine = Engine::open(root.clone(), Mode::Apply)?;
    engine.reap()?;
    Ok(std::mem::take(&mut engine.warnings))
}

impl Engine {
    /// Undoes or finishes what processes that are gone had begun.
    ///
    /// A process holds a byte lock for each entry of its own; an entry whose lock can be had belongs to nobody.
    pub(crate) fn recover(&mut self) -> Result<(), EngineError> {
        for (id, entry) in self.store.read(|tx| tx.journal())? {
            if !self.owners.try_lock(id.unsigned_abs())? {
                continue;
            }
            let repaired = self.repair_entry(id, entry);
            self.owners.release(id.unsigned_abs())?;
            repaired?;
        }
        Ok(())
    }

    fn repair_entry(&mut self, id: i64, seen: JournalEntry) -> Result<(), EngineError> {
        // The table and its bridges are made and removed under this lock.
        let _guard = match seen.subject {
            Subject::Network(_) | Subject::Renumber { .. } | Subject::Prune => Some(self.store.exclusive()?),
            Subject::Endpoint(_)
            | Subject::Sandbox(_)
            | Subject::Cable(_)
            | Subject::Interface(_)
            | Subject::Ports { .. } => None,
        };
        // Between reading it and having its lock, its owner may have finished.
        let still = self.store.read(|tx| tx.journal())?.into_iter().any(|(other, _)| other == id);
        if !still {
            return Ok(());
        }
        self.end_unnoted(&seen)?;
        let notices = self.notices(&seen.subject);
        let plan = Plan { steps: seen.steps };
        let plan = match seen.on_recovery {
            Recovery::Undo => plan.undo(),
            Recovery::Finish => plan,
        };
        let resisting = self.executor.run_all(&plan.steps);
        let word = if seen.on_recovery == Recovery::Undo { "undone" } else { "finished" };
        match resisting.first() {
            None => {
                self.warn(format!("an interrupted command was {word}: {}", seen.what));
                self.forget(id, &seen.subject, seen.on_recovery)?;
                self.notify(notices, false);
                let repaired = News::new(Kind::Host, Action::Repair, "journal").with("name", "journal");
                self.tell([repaired.with("what", format!("{word}: {}", seen.what))]);
                Ok(())
            }
            Some(error) => {
                self.warn(format!(
                    "an interrupted command could not be {word} ({}): {}",
                    seen.what, error.source
                ));
                Ok(())
            }
        }
    }

    /// Ends the process of a container that was being started: nobody looks after it, and its network goes.
    fn end_unnoted(&self, entry: &JournalEntry) -> Result<(), EngineError> {
        const KILL: i32 = 9;
        let (Subject::Sandbox(id), Recovery::Undo) = (&entry.subject, entry.on_recovery) else {
            return Ok(());
        };
        let sandbox = self.store.read(|tx| tx.bare().sandbox(id))?;
        if let Some(process) = sandbox.as_ref().map(running).transpose()?.flatten() {
            // It may end by itself first.
            let _ = process.signal(KILL);
        }
        Ok(())
    }

    /// Removes the records of what is gone from the kernel, and the journal's entry for it. What was undone never
    /// happened; what was finished is told.
    pub(crate) fn forget(
        &mut self,
        entry: i64,
        subject: &Subject,
        recovery: Recovery,
    ) -> Result<(), EngineError> {
        let news = self.store.transaction(|tx| {
            let news = match recovery {
                Recovery::Undo => Vec::new(),
                Recovery::Finish => event::of_change(tx, subject, recovery)?,
            };
            clean(tx, subject)?;
            tx.journal_delete(entry)?;
            Ok::<_, StoreError>(news)
        })?;
        self.tell(news);
        Ok(())
    }

    /// Removes the records of what is gone from the kernel without anybody's doing, and tells.
    pub(crate) fn forget_lost(&mut self, subject: &Subject) -> Result<(), EngineError> {
        let news = self.store.transaction(|tx| {
            let news = event::of_change(tx, subject, Recovery::Finish)?;
            clean(tx, subject)?;
            Ok::<_, StoreError>(news)
        })?;
        self.tell(news);
        Ok(())
    }
}

/// Removes the records of what is gone from the kernel.
pub(crate) fn clean(tx: &Tx<'_>, subject: &Subject) -> Result<(), StoreError> {
    match subject {
        Subject::Network(id) => tx.network_delete(id),
        Subject::Endpoint(id) => {
            let Some(endpoint) = tx.endpoint(id)? else { return Ok(()) };
            forget_endpoint(tx, &endpoint)?;
            drop_if_unused(tx, &endpoint.sandbox)
        }
        Subject::Cable(id) => {
            let Some(cable) = tx.cable(id)? else { return Ok(()) };
            tx.cable_delete(id)?;
            let ends = cable.ends.iter().filter_map(|end| end.sandbox.as_ref());
            ends.into_iter().try_for_each(|sandbox| drop_if_unused(tx, sandbox))
        }
        Subject::Sandbox(id) => {
            for endpoint in tx.endpoints_of_sandbox(id)? {
                forget_endpoint(tx, &endpoint)?;
            }
            for cable in tx.cables_of_sandbox(id)? {
                tx.cable_delete(&cable.id)?;
                let others =
                    cable.ends.iter().filter_map(|end| end.sandbox.as_ref()).filter(|end| *end != id);
                others.into_iter().try_for_each(|other| drop_if_unused(tx, other))?;
            }
            end_sandbox(tx, id)
        }
        Subject::Ports { sandbox, ports, endpoint } => {
            ports.iter().try_for_each(|one| tx.ports_free(one, sandbox))?;
            match endpoint {
                Some(endpoint) => clean(tx, &Subject::Endpoint(endpoint.clone())),
                None => Ok(()),
            }
        }
        Subject::Renumber { network, leases } => {
            for (owner, address) in leases {
                tx.lease_free(network, *address, owner)?;
            }
            tx.pools_restart(network)?;
            tx.network_clear_removing(network)
        }
        Subject::Interface(_) | Subject::Prune => Ok(()),
    }
}

/// Removes an endpoint's record, and gives its addresses free.
fn forget_endpoint(tx: &Tx<'_>, endpoint: &Endpoint) -> Result<(), StoreError> {
    tx.lease_free_all(&endpoint.id)?;
    tx.endpoint_delete(&endpoint.id)?;
    event::pools_not_low(tx, &endpoint.network)
}

/// Whether a change is about an endpoint, which is being made or taken away then.
pub(crate) fn concerns(subject: &Subject, endpoint: &Endpoint) -> bool {
    match subject {
        Subject::Endpoint(id) | Subject::Ports { endpoint: Some(id), .. } => *id == endpoint.id,
        Subject::Sandbox(id) => *id == endpoint.sandbox,
        Subject::Network(_)
        | Subject::Cable(_)
        | Subject::Interface(_)
        | Subject::Ports { .. }
        | Subject::Renumber { .. }
        | Subject::Prune => false,
    }
}

/// Removes a container's record, and gives its published ports free.
pub(crate) fn forget_sandbox(tx: &Tx<'_>, sandbox: &Sandbox) -> Result<(), StoreError> {
    tx.sandbox_delete(&sandbox.id)
}

/// Forgets somebody else's namespace when nothing of ours is in it any more.
fn drop_if_unused(tx: &Tx<'_>, id: &pontoon_model::SandboxId) -> Result<(), StoreError> {
    let Some(sandbox) = tx.bare().sandbox(id)? else { return Ok(()) };
    let used = !tx.endpoints_of_sandbox(id)?.is_empty() || !tx.cables_of_sandbox(id)?.is_empty();
    if !sandbox.is_ours() && !used { forget_sandbox(tx, &sandbox) } else { Ok(()) }
}

/// A container whose network is gone has ended; one that never ran, or whose record goes with it, is forgotten.
fn end_sandbox(tx: &Tx<'_>, id: &pontoon_model::SandboxId) -> Result<(), StoreError> {
    use pontoon_model::sandbox::Status;
    let Some(mut sandbox) = tx.bare().sandbox(id)? else { return Ok(()) };
    match sandbox.status {
        Status::Created => forget_sandbox(tx, &sandbox),
        _ if sandbox.process.auto_remove || !sandbox.is_ours() => forget_sandbox(tx, &sandbox),
        status => {
            tx.ports_free_all(id)?;
            if status == Status::Running {
                sandbox.status = Status::Exited(137);
                sandbox.finished = crate::time::now();
                tx.sandbox_put(&sandbox)?;
            }
            Ok(())
        }
    }
}
