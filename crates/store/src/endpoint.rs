//! Endpoints.

use pontoon_model::{Endpoint, EndpointId, NetworkId, SandboxId};
use rusqlite::params;

use crate::{StoreError, Tx, record, tx};

const KIND: &str = "endpoint";

const PUT: &str = "INSERT INTO endpoint(id, network, sandbox, json) VALUES(?1, ?2, ?3, ?4)
    ON CONFLICT(id) DO UPDATE SET network = excluded.network, sandbox = excluded.sandbox, json = excluded.json";

impl Tx<'_> {
    /// Adds or replaces an endpoint.
    ///
    /// # Errors
    ///
    /// [`StoreError::Duplicate`] if the sandbox has another endpoint on the network.
    pub fn endpoint_put(&self, endpoint: &Endpoint) -> Result<(), StoreError> {
        let id = endpoint.id.as_str();
        let json = record::json(KIND, id, endpoint)?;
        let columns = params![id, endpoint.network.as_str(), endpoint.sandbox.as_str(), json];
        self.write("put an endpoint", PUT, columns).map_err(tx::unique(KIND, id, "container and network"))?;
        Ok(())
    }

    /// Removes an endpoint, with its impairment and routes; one that is not there is not missed. Its leases stay: see
    /// [`Tx::lease_free_all`].
    ///
    /// # Errors
    ///
    /// If the store cannot be written.
    pub fn endpoint_delete(&self, id: &EndpointId) -> Result<(), StoreError> {
        self.impairments_delete(id)?;
        self.routes_delete(id)?;
        self.write("delete an endpoint", "DELETE FROM endpoint WHERE id = ?1", [id.as_str()])?;
        Ok(())
    }

    /// The endpoint with this id.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub fn endpoint(&self, id: &EndpointId) -> Result<Option<Endpoint>, StoreError> {
        record::one(self.connection(), KIND, "SELECT id, json FROM endpoint WHERE id = ?1", [id.as_str()])
    }

    /// The endpoints on a network, by id.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub fn endpoints_of_network(&self, network: &NetworkId) -> Result<Vec<Endpoint>, StoreError> {
        let query = "SELECT id, json FROM endpoint WHERE network = ?1 ORDER BY id";
        record::many(self.connection(), KIND, query, [network.as_str()])
    }

    /// The endpoints of a sandbox, by id.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub fn endpoints_of_sandbox(&self, sandbox: &SandboxId) -> Result<Vec<Endpoint>, StoreError> {
        let query = "SELECT id, json FROM endpoint WHERE sandbox = ?1 ORDER BY id";
        record::many(self.connection(), KIND, query, [sandbox.as_str()])
    }

    /// The endpoint of a sandbox on a network.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub fn endpoint_on(
        &self,
        network: &NetworkId,
        sandbox: &SandboxId,
    ) -> Result<Option<Endpoint>, StoreError> {
        let query = "SELECT id, json FROM endpoint WHERE sandbox = ?1 AND network = ?2";
        record::one(self.connection(), KIND, query, [sandbox.as_str(), network.as_str()])
    }

    /// How many endpoints a network has.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub fn endpoint_count(&self, network: &NetworkId) -> Result<u64, StoreError> {
        let counted: rusqlite::Result<i64> = self
            .connection()
            .prepare_cached("SELECT count(*) FROM endpoint WHERE network = ?1")
            .and_then(|mut statement| statement.query_row([network.as_str()], |row| row.get(0)));
        counted.map(i64::unsigned_abs).map_err(StoreError::statement("count endpoints"))
    }
}
