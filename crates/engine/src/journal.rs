//! Changes with a net: written down before they begin, undone when they fail.

use pontoon_plan::Plan;
use pontoon_store::{JournalEntry, Recovery, StoreError, Subject, Tx};

use crate::time::now;
use crate::{Engine, EngineError, Mode, Outcome, event};

/// What a transaction prepared: the plan, what it is about, and what the caller wants back.
pub(crate) struct Prepared<T> {
    pub(crate) value: T,
    pub(crate) plan: Plan,
    pub(crate) subject: Subject,
    pub(crate) recovery: Recovery,
    /// For the person who reads of a repair.
    pub(crate) what: String,
}

/// An entry of the journal that this process owns, and lets go of when it ends, however it ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owned(pub(crate) i64);

impl Engine {
    /// Takes a place in the journal. The byte lock on it lives as long as this process.
    pub(crate) fn own_entry(&mut self) -> Result<Owned, EngineError> {
        loop {
            let id = i64::from_ne_bytes(random()?) & i64::MAX;
            if self.owners.try_lock(id.unsigned_abs())? {
                return Ok(Owned(id));
            }
        }
    }

    /// Makes one change: `prepare` chooses and writes the records and says what is to be done, `commit` marks it as
    /// done.
    ///
    /// On a dry run nothing is kept of what `prepare` wrote.
    pub(crate) fn change<T>(
        &mut self,
        prepare: impl FnOnce(&mut Preparing<'_, '_>) -> Result<Prepared<T>, EngineError>,
        commit: impl FnOnce(&Tx<'_>, &T) -> Result<(), EngineError>,
    ) -> Result<Outcome<T>, EngineError> {
        if self.mode == Mode::DryRun {
            return self.rehearse(prepare);
        }
        let owned = self.own_entry()?;
        let prepared = self.prepare(owned, prepare);
        let done = prepared.and_then(|prepared| self.carry_out(owned, prepared, commit));
        self.owners.release(owned.0.unsigned_abs())?;
        done
    }

    /// Writes the records and the plan.
    pub(crate) fn prepare<T>(
        &mut self,
        owned: Owned,
        prepare: impl FnOnce(&mut Preparing<'_, '_>) -> Result<Prepared<T>, EngineError>,
    ) -> Result<Prepared<T>, EngineError> {
        let (store, executor, warnings) = (&mut self.store, &mut self.executor, &mut self.warnings);
        store.transaction(|tx| {
            let mut prepared = prepare(&mut Preparing { tx, executor, warnings, rehearsing: false })?;
            // Lent, not copied: many ports are many elements.
            let entry = entry(&mut prepared);
            tx.journal_put(owned.0, &entry)?;
            prepared.plan.steps = entry.steps;
            Ok(prepared)
        })
    }

    /// Carries the plan out; what fails is undone, with its records.
    pub(crate) fn carry_out<T>(
        &mut self,
        owned: Owned,
        prepared: Prepared<T>,
        commit: impl FnOnce(&Tx<'_>, &T) -> Result<(), EngineError>,
    ) -> Result<Outcome<T>, EngineError> {
        let Prepared { value, plan, subject, recovery, .. } = prepared;
        let notices = self.notices(&subject);
        if recovery == Recovery::Finish {
            // Before an address is free, nobody is told of it any more.
            self.notify(notices.clone(), false);
        }
        self.checkpoints.pass();
        let done = match recovery {
            Recovery::Undo => self.executor.run(&plan.steps),
            Recovery::Finish => self.executor.run_all(&plan.steps).into_iter().next().map_or(Ok(()), Err),
        };
        match (done, recovery) {
            (Ok(()), _) => {
                self.checkpoints.pass();
                let committed: Result<_, EngineError> = self.store.transaction(|tx| {
                    let news = event::of_change(tx, &subject, recovery)?;
                    commit(tx, &value)?;
                    tx.journal_delete(owned.0)?;
                    Ok(news)
                });
                if let (Err(_), Recovery::Undo) = (&committed, recovery) {
                    // What it was for is gone meanwhile.
                    self.take_back(owned, &plan, &subject)?;
                }
                let news = committed?;
                if recovery == Recovery::Undo {
                    self.notify(notices, true);
                }
                self.tell(news);
                self.checkpoints.pass();
                Ok(Outcome { value, plan })
            }
            (Err(error), Recovery::Undo) => {
                self.take_back(owned, &plan, &subject)?;
                Err(error.into())
            }
            // What is to go stays in the journal until it is gone.
            (Err(error), Recovery::Finish) => Err(error.into()),
        }
    }

    /// Undoes a plan of which any part was done. What resists stays in the journal for the next command.
    pub(crate) fn take_back(
        &mut self,
        owned: Owned,
        plan: &Plan,
        subject: &Subject,
    ) -> Result<(), EngineError> {
        let notices = self.notices(subject);
        let resisting = self.executor.run_all(&plan.undo().steps);
        for error in &resisting {
            self.warnings
                .push(format!("could not take everything back, and will try again: {}", error.source));
        }
        if resisting.is_empty() {
            self.forget(owned.0, subject, Recovery::Undo)?;
            self.notify(notices, false);
        }
        Ok(())
    }

    fn rehearse<T>(
        &mut self,
        prepare: impl FnOnce(&mut Preparing<'_, '_>) -> Result<Prepared<T>, EngineError>,
    ) -> Result<Outcome<T>, EngineError> {
        /// Rolls the transaction back.
        enum End<T> {
            Rehearsed(Box<Prepared<T>>),
            Failed(EngineError),
        }
        impl<T> From<StoreError> for End<T> {
            fn from(error: StoreError) -> Self {
                Self::Failed(error.into())
            }
        }
        let (store, executor, warnings) = (&mut self.store, &mut self.executor, &mut self.warnings);
        let end = store.transaction(|tx| -> Result<std::convert::Infallible, End<T>> {
            Err(match prepare(&mut Preparing { tx, executor, warnings, rehearsing: true }) {
                Ok(prepared) => End::Rehearsed(Box::new(prepared)),
                Err(error) => End::Failed(error),
            })
        });
        match end {
            Err(End::Rehearsed(prepared)) => Ok(Outcome { value: prepared.value, plan: prepared.plan }),
            Err(End::Failed(error)) => Err(error),
            Ok(never) => match never {},
        }
    }
}

/// What a change can look at and write to while it is prepared.
pub(crate) struct Preparing<'a, 'tx> {
    pub(crate) tx: &'a Tx<'tx>,
    pub(crate) executor: &'a mut pontoon_kernel::execute::Executor,
    pub(crate) warnings: &'a mut Vec<String>,
    /// Whether nothing of it is kept: a dry run.
    pub(crate) rehearsing: bool,
}

/// The journal's entry; it takes the plan's steps.
fn entry<T>(prepared: &mut Prepared<T>) -> JournalEntry {
    JournalEntry {
        what: prepared.what.clone(),
        steps: std::mem::take(&mut prepared.plan.steps),
        on_recovery: prepared.recovery,
        subject: prepared.subject.clone(),
        created: now(),
    }
}

/// Random bytes from the kernel.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], EngineError> {
    use pontoon_kernel::random;
    Ok(random::bytes()?)
}
