//! The store: opening it, and running transactions.

use std::sync::Arc;

use pontoon_model::Network;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::definitions;
use crate::lock::Lock;
use crate::network;
use crate::{Dirs, ExclusiveGuard, StoreError, Tx, connection};

/// Everything that Pontoon remembers.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    lock: Arc<Lock>,
    dirs: Dirs,
}

impl Store {
    /// Opens the store and makes what is missing: folders for root's eyes only, and tables.
    ///
    /// A runtime database that is new, as after a reboot, gets the networks that are defined.
    ///
    /// # Errors
    ///
    /// If a folder or database cannot be made or opened, or was written by a later Pontoon.
    pub fn open(dirs: &Dirs) -> Result<Self, StoreError> {
        match Self::open_existing(dirs)? {
            Some(store) => Ok(store),
            None => Self::create(dirs),
        }
    }

    /// Opens the store if there is one, and makes nothing.
    ///
    /// # Errors
    ///
    /// If a database cannot be opened, or was written by a later Pontoon.
    pub fn open_existing(dirs: &Dirs) -> Result<Option<Self>, StoreError> {
        let connection = connection::open(&dirs.runtime(), &connection::RUNTIME)?;
        Ok(connection.map(|connection| Self::with(connection, dirs)))
    }

    /// The networks that are defined, whether or not this boot knows them yet, in the order in which they were made.
    ///
    /// # Errors
    ///
    /// As [`Store::open_existing`].
    pub fn definitions(dirs: &Dirs) -> Result<Vec<Network>, StoreError> {
        definitions::all(dirs)
    }

    fn create(dirs: &Dirs) -> Result<Self, StoreError> {
        connection::create_folder(&dirs.run)?;
        let lock = Arc::new(Lock::new(dirs.lock()));
        let guard = lock.take()?;
        let connection = connection::create(&dirs.runtime(), &connection::RUNTIME, |connection| {
            definitions::all(dirs)?.iter().try_for_each(|defined| network::insert(connection, defined))?;
            let notes = definitions::notes(dirs)?;
            notes.iter().try_for_each(|(key, value)| Tx::writing(connection).meta_set(key, value))
        })?;
        drop(guard);
        Ok(Self { connection, lock, dirs: dirs.clone() })
    }

    fn with(connection: Connection, dirs: &Dirs) -> Self {
        Self { connection, lock: Arc::new(Lock::new(dirs.lock())), dirs: dirs.clone() }
    }

    /// Does `work` as one change: all of it is kept, or nothing if it fails.
    ///
    /// Waits until no other store writes. Definitions that `work` changes are on disk before the change is seen.
    ///
    /// # Errors
    ///
    /// Those of `work`, and if the change cannot be kept.
    pub fn transaction<T, E: From<StoreError>>(
        &mut self,
        work: impl FnOnce(&Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let guard = self.lock.take()?;
        let kept = self.locked_transaction(work);
        drop(guard);
        kept
    }

    fn locked_transaction<T, E: From<StoreError>>(
        &self,
        work: impl FnOnce(&Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        // Dropped without a commit, it rolls back.
        let transaction = Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)
            .map_err(StoreError::statement("begin a change"))?;
        let tx = Tx::writing(&transaction);
        let done = work(&tx)?;
        let defined = tx.into_definitions();
        if !defined.is_empty() {
            definitions::apply(&self.dirs, &defined)?;
        }
        transaction.commit().map_err(StoreError::statement("keep a change"))?;
        Ok(done)
    }

    /// Does `work`, which cannot write, on the state of one moment. Waits for nobody.
    ///
    /// # Errors
    ///
    /// Those of `work`, and if the store cannot be read.
    pub fn read<T, E: From<StoreError>>(&self, work: impl FnOnce(&Tx<'_>) -> Result<T, E>) -> Result<T, E> {
        let snapshot = Transaction::new_unchecked(&self.connection, TransactionBehavior::Deferred)
            .map_err(StoreError::statement("begin to read"))?;
        let done = work(&Tx::reading(&snapshot))?;
        // Nothing was written, so this only ends the snapshot.
        snapshot.commit().map_err(StoreError::statement("end reading"))?;
        Ok(done)
    }

    /// A number that changes with whatever anybody else writes; what this store writes itself does not change it.
    ///
    /// Source: <https://www.sqlite.org/pragma.html#pragma_data_version>.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub fn version(&self) -> Result<i64, StoreError> {
        let version = self.connection.query_row("PRAGMA data_version", [], |row| row.get(0));
        version.map_err(StoreError::statement("ask for the version"))
    }

    /// Keeps every other writer out until the guard is dropped, across transactions of this store and what is done
    /// to the kernel between them.
    ///
    /// # Errors
    ///
    /// If the lock file cannot be made or locked.
    pub fn exclusive(&mut self) -> Result<ExclusiveGuard, StoreError> {
        self.lock.take()
    }
}
