//! Impairments of interfaces.

use pontoon_model::endpoint::Plug;
use pontoon_model::{EndpointId, Impairment};
use rusqlite::params;

use crate::{StoreError, Tx, record};

const KIND: &str = "impairment";

const PUT: &str = "INSERT INTO impairment(of, end, json) VALUES(?1, ?2, ?3)
    ON CONFLICT(of, end) DO UPDATE SET json = excluded.json";

impl Tx<'_> {
    /// Notes the impairment of an interface; one that is nothing is forgotten.
    ///
    /// # Errors
    ///
    /// If the store cannot be written.
    pub fn impairment_put(&self, plug: &Plug, impairment: &Impairment) -> Result<(), StoreError> {
        let of = plug.of.as_str();
        match impairment.is_none() {
            true => {
                let delete = "DELETE FROM impairment WHERE of = ?1 AND end = ?2";
                self.write("forget an impairment", delete, params![of, plug.end])?;
            }
            false => {
                let json = record::json(KIND, of, impairment)?;
                self.write("put an impairment", PUT, params![of, plug.end, json])?;
            }
        }
        Ok(())
    }

    /// Forgets the impairments of an endpoint, or of both ends of a cable.
    pub(crate) fn impairments_delete(&self, of: &EndpointId) -> Result<(), StoreError> {
        self.write("forget impairments", "DELETE FROM impairment WHERE of = ?1", [of.as_str()])?;
        Ok(())
    }

    /// The impairment of an interface: nothing, where nothing is noted.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub fn impairment(&self, plug: &Plug) -> Result<Impairment, StoreError> {
        let query = "SELECT of, json FROM impairment WHERE of = ?1 AND end = ?2";
        let found = record::one(self.connection(), KIND, query, params![plug.of.as_str(), plug.end])?;
        Ok(found.unwrap_or_default())
    }
}
