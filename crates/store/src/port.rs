//! Ports of the host that are published, and by whom.
//!
//! What it costs to take one does not depend on how many are taken.

use std::net::IpAddr;

use pontoon_model::publish::{Protocol, Publication, conflict};
use pontoon_model::sandbox::Status;
use pontoon_model::{Diagnose, SandboxId};
use rusqlite::{Row, params};

use crate::{StoreError, Tx};

/// Why ports cannot be published.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// Another container has published one of them.
    #[error("host port {port}/{protocol} is published by container `{container}` already")]
    Taken {
        /// The port.
        port: u16,
        /// Its protocol.
        protocol: Protocol,
        /// The name of the container, or the number of its record when that is gone.
        container: String,
        /// Whether that container has ended, so that the port is free in a moment.
        ending: bool,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Diagnose for PortError {
    fn code(&self) -> &'static str {
        match self {
            Self::Taken { .. } => "port-taken",
            Self::Store(error) => error.code(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Taken { port, protocol, container, .. } => Some(format!(
                "publish another port, leave the choice to Pontoon with `-p :PORT`, or `pontoon unpublish {container} \
                 {port}/{protocol}` first"
            )),
            Self::Store(error) => error.hint(),
        }
    }
}

/// A port that is taken.
struct Taken {
    address: Option<IpAddr>,
    port: u16,
    holder: i64,
}

impl Tx<'_> {
    /// Takes the host's ports of a publication for a sandbox that is on record.
    ///
    /// # Errors
    ///
    /// [`PortError::Taken`] if anybody, `holder` included, has published one of them on an address in common.
    pub fn ports_take(&self, publication: &Publication, holder: &SandboxId) -> Result<(), PortError> {
        if let Some(taken) = self.port_conflict(publication)? {
            let Taken { port, holder, .. } = taken;
            let (container, ending) = self.port_holder(holder)?;
            return Err(PortError::Taken { port, protocol: publication.protocol, container, ending });
        }
        let number = "SELECT number FROM sandbox WHERE id = ?1";
        let take = "INSERT INTO port(protocol, port, address, container, holder) VALUES(?1, ?2, ?3, ?4, ?5)";
        let (protocol, address) = (publication.protocol.number(), text(publication.address));
        let action = "take a port";
        let failed = || StoreError::statement(action);
        let mut of = self.writer(action)?.prepare_cached(number).map_err(failed())?;
        let number: i64 = of.query_row([holder.as_str()], |row| row.get(0)).map_err(failed())?;
        let mut statement = self.writer(action)?.prepare_cached(take).map_err(failed())?;
        for (port, container) in publication.pairs() {
            statement.execute(params![protocol, port, address, container, number]).map_err(failed())?;
        }
        Ok(())
    }

    /// Whether nobody has published any of the host's ports of a publication.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub fn ports_are_free(&self, publication: &Publication) -> Result<bool, StoreError> {
        Ok(self.port_conflict(publication)?.is_none())
    }

    /// Gives the host's ports of a publication free; those that somebody else has stay his.
    ///
    /// # Errors
    ///
    /// If the store cannot be written.
    pub fn ports_free(&self, publication: &Publication, holder: &SandboxId) -> Result<(), StoreError> {
        // By the port: a holder may have many (`+` keeps its index out of it).
        let free = "DELETE FROM port WHERE protocol = ?1 AND port BETWEEN ?2 AND ?3 AND address = ?4
            AND +holder = (SELECT number FROM sandbox WHERE id = ?5)";
        let (first, last) = ends(publication);
        let (protocol, address) = (publication.protocol.number(), text(publication.address));
        self.write("give ports free", free, params![protocol, first, last, address, holder.as_str()])?;
        Ok(())
    }

    /// Gives all ports of a sandbox free.
    ///
    /// # Errors
    ///
    /// If the store cannot be written.
    pub fn ports_free_all(&self, holder: &SandboxId) -> Result<(), StoreError> {
        let free = "DELETE FROM port WHERE holder = (SELECT number FROM sandbox WHERE id = ?1)";
        self.write("give ports free", free, [holder.as_str()])?;
        Ok(())
    }

    /// The first port that keeps a publication from being taken.
    fn port_conflict(&self, publication: &Publication) -> Result<Option<Taken>, StoreError> {
        let query = "SELECT address, port, holder FROM port WHERE protocol = ?1 AND port BETWEEN ?2 AND ?3";
        let (first, last) = ends(publication);
        let failed = || StoreError::statement("read ports");
        let mut statement = self.connection().prepare_cached(query).map_err(failed())?;
        let columns = params![publication.protocol.number(), first, last];
        let rows = statement.query_map(columns, taken).map_err(failed())?;
        for row in rows {
            let found = row.map_err(failed())?;
            let other = Publication { address: found.address, host: found.port, count: 1, ..*publication };
            if conflict(publication, &other) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The name of a container with a published port, and whether it has ended.
    fn port_holder(&self, holder: i64) -> Result<(String, bool), StoreError> {
        Ok(match self.bare().sandbox_by_number(holder)? {
            Some(sandbox) => (sandbox.name.into(), matches!(sandbox.status, Status::Exited(_))),
            None => (holder.to_string(), false),
        })
    }
}

fn ends(publication: &Publication) -> (u16, u16) {
    (publication.host, publication.host + (publication.count - 1))
}

/// Nothing for every address, as a key may not be NULL.
fn text(address: Option<IpAddr>) -> String {
    address.map_or_else(String::new, |address| address.to_string())
}

fn taken(row: &Row<'_>) -> rusqlite::Result<Taken> {
    let address: String = row.get(0)?;
    Ok(Taken { address: address.parse().ok(), port: row.get(1)?, holder: row.get(2)? })
}
