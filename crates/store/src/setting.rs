//! Kernel settings as they were before Pontoon changed them, and Pontoon's own notes.

use rusqlite::{OptionalExtension as _, params};

use crate::definitions::Definition;
use crate::{StoreError, Tx};

impl Tx<'_> {
    /// Remembers what a kernel setting was. The first value stays: later ones are Pontoon's own.
    ///
    /// # Errors
    ///
    /// If the store cannot be written.
    pub fn sysctl_remember(&self, key: &str, previous: &str) -> Result<(), StoreError> {
        let put = "INSERT INTO sysctl(key, previous) VALUES(?1, ?2) ON CONFLICT(key) DO NOTHING";
        self.write("remember a kernel setting", put, [key, previous])?;
        Ok(())
    }

    /// The kernel settings that are remembered and what they were, by key.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub fn sysctls(&self) -> Result<Vec<(String, String)>, StoreError> {
        let failed = || StoreError::statement("read kernel settings");
        let mut statement = self
            .connection()
            .prepare_cached("SELECT key, previous FROM sysctl ORDER BY key")
            .map_err(failed())?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).map_err(failed())?;
        rows.map(|row| row.map_err(failed())).collect()
    }

    /// Forgets a kernel setting; one that is not remembered is not missed.
    ///
    /// # Errors
    ///
    /// If the store cannot be written.
    pub fn sysctl_forget(&self, key: &str) -> Result<(), StoreError> {
        self.write("forget a kernel setting", "DELETE FROM sysctl WHERE key = ?1", [key])?;
        Ok(())
    }

    /// The note under `key`.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub fn meta_get(&self, key: &str) -> Result<Option<String>, StoreError> {
        let found = self
            .connection()
            .prepare_cached("SELECT value FROM meta WHERE key = ?1")
            .and_then(|mut statement| statement.query_row([key], |row| row.get(0)).optional());
        found.map_err(StoreError::statement("read a note"))
    }

    /// Writes a note under `key`.
    ///
    /// # Errors
    ///
    /// If the store cannot be written.
    pub fn meta_set(&self, key: &str, value: &str) -> Result<(), StoreError> {
        let put = "INSERT INTO meta(key, value) VALUES(?1, ?2) ON CONFLICT(key) DO UPDATE SET value = excluded.value";
        self.write("write a note", put, params![key, value])?;
        Ok(())
    }

    /// Writes a note under `key` that outlives a reboot. [`Tx::meta_get`] reads it.
    ///
    /// # Errors
    ///
    /// If the store cannot be written.
    pub fn lasting_meta_set(&self, key: &str, value: &str) -> Result<(), StoreError> {
        self.meta_set(key, value)?;
        self.define(Definition::Note(key.to_owned(), value.to_owned()));
        Ok(())
    }
}
