//! Cables.

use pontoon_model::endpoint::Cable;
use pontoon_model::{EndpointId, SandboxId};
use rusqlite::params;

use crate::{StoreError, Tx, record};

const KIND: &str = "cable";

const PUT: &str = "INSERT INTO cable(id, a, b, json) VALUES(?1, ?2, ?3, ?4)
    ON CONFLICT(id) DO UPDATE SET a = excluded.a, b = excluded.b, json = excluded.json";

impl Tx<'_> {
    /// Adds or replaces a cable.
    ///
    /// # Errors
    ///
    /// If the store cannot be written.
    pub fn cable_put(&self, cable: &Cable) -> Result<(), StoreError> {
        let id = cable.id.as_str();
        let [a, b] = cable.ends.each_ref().map(|end| end.sandbox.as_ref().map(SandboxId::as_str));
        self.write("put a cable", PUT, params![id, a, b, record::json(KIND, id, cable)?])?;
        Ok(())
    }

    /// Removes a cable, with its ends' impairments and routes; one that is not there is not missed.
    ///
    /// # Errors
    ///
    /// If the store cannot be written.
    pub fn cable_delete(&self, id: &EndpointId) -> Result<(), StoreError> {
        self.impairments_delete(id)?;
        self.routes_delete(id)?;
        self.write("delete a cable", "DELETE FROM cable WHERE id = ?1", [id.as_str()])?;
        Ok(())
    }

    /// The cable with this id.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub fn cable(&self, id: &EndpointId) -> Result<Option<Cable>, StoreError> {
        record::one(self.connection(), KIND, "SELECT id, json FROM cable WHERE id = ?1", [id.as_str()])
    }

    /// All cables, by id.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub fn cables(&self) -> Result<Vec<Cable>, StoreError> {
        record::many(self.connection(), KIND, "SELECT id, json FROM cable ORDER BY id", [])
    }

    /// The cables that end in a sandbox, by id.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub fn cables_of_sandbox(&self, sandbox: &SandboxId) -> Result<Vec<Cable>, StoreError> {
        let query = "SELECT id, json FROM cable WHERE a = ?1 OR b = ?1 ORDER BY id";
        record::many(self.connection(), KIND, query, [sandbox.as_str()])
    }
}
