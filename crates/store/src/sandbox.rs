//! Sandboxes.
//!
//! A record is found without its published ports, which are rows of their own ([`Tx::bare`]); otherwise they are read
//! along with it. What is put is the record alone: ports come and go by [`Tx::ports_take`] and [`Tx::ports_free`].

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
    /// Adds or replaces a sandbox. Its published ports stay as they are.
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

    /// Removes a sandbox, and gives its ports free; one that is not there is not missed.
    ///
    /// # Errors
    ///
    /// If the store cannot be written.
    pub fn sandbox_delete(&self, id: &SandboxId) -> Result<(), StoreError> {
        self.ports_free_all(id)?;
        self.write("delete a container", "DELETE FROM sandbox WHERE id = ?1", [id.as_str()])?;
        Ok(())
    }

    /// Sandboxes without their ports: what it costs to read one does not depend on how many it has published.
    pub fn bare(&self) -> Bare<'_> {
        Bare(self)
    }

    /// The sandbox with this id.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub fn sandbox(&self, id: &SandboxId) -> Result<Option<Sandbox>, StoreError> {
        let Some(sandbox) = self.bare().sandbox(id)? else { return Ok(None) };
        Ok(Some(Sandbox { ports: self.ports_of(id)?, ..sandbox }))
    }

    /// All sandboxes, in the order in which they were made.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub fn sandboxes(&self) -> Result<Vec<Sandbox>, StoreError> {
        let mut found = self.bare().sandboxes()?;
        let mut ports = self.ports()?;
        for sandbox in &mut found {
            sandbox.ports = ports.remove(sandbox.id.as_str()).unwrap_or_default();
        }
        Ok(found)
    }
}

/// Sandboxes without their ports. See [`Tx::bare`].
#[derive(Debug, Clone, Copy)]
pub struct Bare<'a>(&'a Tx<'a>);

impl Bare<'_> {
    /// The sandbox with this id.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub fn sandbox(&self, id: &SandboxId) -> Result<Option<Sandbox>, StoreError> {
        record::one(self.0.connection(), KIND, "SELECT id, json FROM sandbox WHERE id = ?1", [id.as_str()])
    }

    /// The sandbox with this name.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub fn sandbox_by_name(&self, name: &str) -> Result<Option<Sandbox>, StoreError> {
        record::one(self.0.connection(), KIND, "SELECT id, json FROM sandbox WHERE name = ?1", [name])
    }

    /// The sandboxes with this namespace, oldest first: others may have joined the first, and a former namespace may have
    /// had the same number.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub fn sandboxes_by_netns(&self, netns: NetnsId) -> Result<Vec<Sandbox>, StoreError> {
        let query =
            "SELECT id, json FROM sandbox WHERE netns_ino = ?1 AND netns_dev = ?2 ORDER BY created, id";
        record::many(self.0.connection(), KIND, query, [netns.ino.cast_signed(), netns.dev.cast_signed()])
    }

    /// The sandbox of a port's row.
    pub(crate) fn sandbox_by_number(&self, number: i64) -> Result<Option<Sandbox>, StoreError> {
        record::one(self.0.connection(), KIND, "SELECT id, json FROM sandbox WHERE number = ?1", [number])
    }

    /// All sandboxes, in the order in which they were made.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub fn sandboxes(&self) -> Result<Vec<Sandbox>, StoreError> {
        let query = "SELECT id, json FROM sandbox ORDER BY created, id";
        record::many(self.0.connection(), KIND, query, [])
    }

    /// The sandboxes whose ids begin with `prefix`, by id.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub fn sandboxes_by_id_prefix(&self, prefix: &str) -> Result<Vec<Sandbox>, StoreError> {
        let query = "SELECT id, json FROM sandbox WHERE id >= ?1 AND id < ?2 ORDER BY id";
        record::many(self.0.connection(), KIND, query, record::id_bounds(prefix))
    }
}
