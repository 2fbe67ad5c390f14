//! Sandboxes.

use pontoon_model::sandbox::NetnsId;
use pontoon_model::{Sandbox, SandboxId};
use rusqlite::params;

use crate::{StoreError, Tx, record, tx};

const KIND: &str = "container";

const PUT: &str =
    "INSERT INTO sandbox(id, name, netns_dev, netns_ino, created, json) VALUES(?1, ?2, ?3, ?4, ?5, ?6)
    ON CONFLICT(id) DO UPDATE SET name = excluded.name, netns_dev = excluded.netns_dev,
        netns_ino = excluded.netns_ino, created = excluded.created, json = excluded.json";

impl Tx<'_> {
    /// Adds or replaces a sandbox.
    ///
    /// # Errors
    ///
    /// [`StoreError::Duplicate`] if another sandbox has the name.
    pub fn sandbox_put(&self, sandbox: &Sandbox) -> Result<(), StoreError> {
        let id = sandbox.id.as_str();
        let NetnsId { dev, ino } = sandbox.netns;
        let json = record::json(KIND, id, sandbox)?;
        let columns =
            params![id, sandbox.name.as_str(), dev.cast_signed(), ino.cast_signed(), sandbox.created, json];
        self.write("put a container", PUT, columns).map_err(tx::unique(KIND, id, "name"))?;
        Ok(())
    }

    /// Removes a sandbox; one that is not there is not missed.
    ///
    /// # Errors
    ///
    /// If the store cannot be written.
    pub fn sandbox_delete(&self, id: &SandboxId) -> Result<(), StoreError> {
        self.write("delete a container", "DELETE FROM sandbox WHERE id = ?1", [id.as_str()])?;
        Ok(())
    }

    /// The sandbox with this id.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub fn sandbox(&self, id: &SandboxId) -> Result<Option<Sandbox>, StoreError> {
        record::one(self.connection(), KIND, "SELECT id, json FROM sandbox WHERE id = ?1", [id.as_str()])
    }

    /// The sandbox with this name.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub fn sandbox_by_name(&self, name: &str) -> Result<Option<Sandbox>, StoreError> {
        record::one(self.connection(), KIND, "SELECT id, json FROM sandbox WHERE name = ?1", [name])
    }

    /// The sandbox with this namespace: the oldest, where others have joined it.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub fn sandbox_by_netns(&self, netns: NetnsId) -> Result<Option<Sandbox>, StoreError> {
        let query = "SELECT id, json FROM sandbox WHERE netns_ino = ?1 AND netns_dev = ?2 ORDER BY created, id LIMIT 1";
        record::one(self.connection(), KIND, query, [netns.ino.cast_signed(), netns.dev.cast_signed()])
    }

    /// All sandboxes, in the order in which they were made.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub fn sandboxes(&self) -> Result<Vec<Sandbox>, StoreError> {
        record::many(self.connection(), KIND, "SELECT id, json FROM sandbox ORDER BY created, id", [])
    }

    /// The sandboxes whose ids begin with `prefix`, by id.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub fn sandboxes_by_id_prefix(&self, prefix: &str) -> Result<Vec<Sandbox>, StoreError> {
        let query = "SELECT id, json FROM sandbox WHERE id >= ?1 AND id < ?2 ORDER BY id";
        record::many(self.connection(), KIND, query, record::id_bounds(prefix))
    }
}
