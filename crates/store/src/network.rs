//! Networks.

use pontoon_model::{Network, NetworkId};
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::definitions::Definition;
use crate::{StoreError, Tx, record, tx};

const KIND: &str = "network";

const PUT: &str = "INSERT INTO network(id, name, created, json) VALUES(?1, ?2, ?3, ?4)
    ON CONFLICT(id) DO UPDATE SET name = excluded.name, created = excluded.created, json = excluded.json";

/// Puts a network that is defined into a new runtime database.
pub(crate) fn insert(connection: &Connection, network: &Network) -> Result<(), StoreError> {
    Tx::writing(connection).network_put_here(network)
}

impl Tx<'_> {
    /// Adds or replaces a network. Unless it is builtin, it also becomes a durable definition.
    ///
    /// # Errors
    ///
    /// [`StoreError::Duplicate`] if another network has the name.
    pub fn network_put(&self, network: &Network) -> Result<(), StoreError> {
        self.network_put_here(network)?;
        if !network.builtin {
            self.define(Definition::Put(Box::new(network.clone())));
        }
        Ok(())
    }

    fn network_put_here(&self, network: &Network) -> Result<(), StoreError> {
        let id = network.id.as_str();
        let json = record::json(KIND, id, network)?;
        self.write("put a network", PUT, params![id, network.name.as_str(), network.created, json])
            .map_err(tx::unique(KIND, id, "name"))?;
        Ok(())
    }

    /// Removes a network, its definition, and what its address pools remember; one that is not there is not missed.
    ///
    /// # Errors
    ///
    /// If the store cannot be written.
    pub fn network_delete(&self, id: &NetworkId) -> Result<(), StoreError> {
        self.pools_delete(id)?;
        self.write("delete a network", "DELETE FROM network WHERE id = ?1", [id.as_str()])?;
        self.define(Definition::Delete(id.clone()));
        Ok(())
    }

    /// The network with this id.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub fn network(&self, id: &NetworkId) -> Result<Option<Network>, StoreError> {
        record::one(self.connection(), KIND, "SELECT id, json FROM network WHERE id = ?1", [id.as_str()])
    }

    /// The network with this name.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub fn network_by_name(&self, name: &str) -> Result<Option<Network>, StoreError> {
        record::one(self.connection(), KIND, "SELECT id, json FROM network WHERE name = ?1", [name])
    }

    /// All networks, in the order in which they were made.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub fn networks(&self) -> Result<Vec<Network>, StoreError> {
        record::many(self.connection(), KIND, "SELECT id, json FROM network ORDER BY created, id", [])
    }

    /// The networks whose ids begin with `prefix`, by id.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub fn networks_by_id_prefix(&self, prefix: &str) -> Result<Vec<Network>, StoreError> {
        let query = "SELECT id, json FROM network WHERE id >= ?1 AND id < ?2 ORDER BY id";
        record::many(self.connection(), KIND, query, record::id_bounds(prefix))
    }

    /// Marks a network as being removed, so that nothing is attached to it any more.
    ///
    /// # Errors
    ///
    /// If the store cannot be written.
    pub fn network_mark_removing(&self, id: &NetworkId) -> Result<(), StoreError> {
        let mark = "UPDATE network SET removing = 1 WHERE id = ?1";
        self.write("mark a network as being removed", mark, [id.as_str()])?;
        Ok(())
    }

    /// Takes the mark of [`Tx::network_mark_removing`] away: the removal was undone.
    ///
    /// # Errors
    ///
    /// If the store cannot be written.
    pub fn network_clear_removing(&self, id: &NetworkId) -> Result<(), StoreError> {
        let clear = "UPDATE network SET removing = 0 WHERE id = ?1";
        self.write("keep a network after all", clear, [id.as_str()])?;
        Ok(())
    }

    /// Whether a network is being removed; one that is not there is not.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub fn network_is_removing(&self, id: &NetworkId) -> Result<bool, StoreError> {
        let found = self
            .connection()
            .prepare_cached("SELECT removing FROM network WHERE id = ?1")
            .and_then(|mut statement| statement.query_row([id.as_str()], |row| row.get(0)).optional());
        found.map(Option::unwrap_or_default).map_err(StoreError::statement("read networks"))
    }
}
