//! Routes of containers that their networks did not bring.

use pontoon_model::EndpointId;
use pontoon_model::endpoint::Plug;
use pontoon_model::route::StaticRoute;
use rusqlite::params;

use crate::{StoreError, Tx, record};

const KIND: &str = "route";

const PUT: &str = "INSERT INTO route(of, end, destination, json) VALUES(?1, ?2, ?3, ?4)
    ON CONFLICT(of, end, destination) DO UPDATE SET json = excluded.json";

impl Tx<'_> {
    /// Notes a route out of an interface, in the place of the one to the same destination.
    ///
    /// # Errors
    ///
    /// If the store cannot be written.
    pub fn route_put(&self, plug: &Plug, route: &StaticRoute) -> Result<(), StoreError> {
        let (of, to) = (plug.of.as_str(), route.to.to_string());
        let json = record::json(KIND, of, route)?;
        self.write("put a route", PUT, params![of, plug.end, to, json])?;
        Ok(())
    }

    /// Forgets a route; one that is not noted is not missed.
    ///
    /// # Errors
    ///
    /// If the store cannot be written.
    pub fn route_delete(&self, plug: &Plug, route: &StaticRoute) -> Result<(), StoreError> {
        let delete = "DELETE FROM route WHERE of = ?1 AND end = ?2 AND destination = ?3";
        let to = route.to.to_string();
        self.write("forget a route", delete, params![plug.of.as_str(), plug.end, to])?;
        Ok(())
    }

    /// Forgets the routes out of an endpoint, or both ends of a cable.
    pub(crate) fn routes_delete(&self, of: &EndpointId) -> Result<(), StoreError> {
        self.write("forget routes", "DELETE FROM route WHERE of = ?1", [of.as_str()])?;
        Ok(())
    }

    /// The routes out of an interface, in the order of their destinations as text.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub fn routes(&self, plug: &Plug) -> Result<Vec<StaticRoute>, StoreError> {
        let query = "SELECT of, json FROM route WHERE of = ?1 AND end = ?2 ORDER BY destination";
        record::many(self.connection(), KIND, query, params![plug.of.as_str(), plug.end])
    }
}
