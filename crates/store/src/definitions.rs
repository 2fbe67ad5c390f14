//! `definitions.db`: the networks that outlive a reboot.

use pontoon_model::{Network, NetworkId};
use rusqlite::{Connection, params};

use crate::{Dirs, StoreError, connection, record};

/// A change of a definition that a transaction asks for.
#[derive(Debug)]
pub(crate) enum Definition {
    /// The network is defined like this from now on.
    Put(Box<Network>),
    /// The network is no longer defined.
    Delete(NetworkId),
}

/// All networks, in the order in which they were made.
pub(crate) fn all(dirs: &Dirs) -> Result<Vec<Network>, StoreError> {
    match connection::open(&dirs.definitions(), &connection::DEFINITIONS)? {
        Some(connection) => {
            record::many(&connection, "network", "SELECT id, json FROM network ORDER BY created, id", [])
        }
        None => Ok(Vec::new()),
    }
}

/// Makes changes of definitions durable, all or none. The caller holds the lock.
pub(crate) fn apply(dirs: &Dirs, changes: &[Definition]) -> Result<(), StoreError> {
    connection::create_folder(&dirs.lib)?;
    let mut connection = connection::create(&dirs.definitions(), &connection::DEFINITIONS, |_| Ok(()))?;
    let failed = || StoreError::statement("change a definition");
    let transaction = connection.transaction().map_err(failed())?;
    for change in changes {
        match change {
            Definition::Put(network) => put(&transaction, network)?,
            Definition::Delete(id) => {
                transaction.execute("DELETE FROM network WHERE id = ?1", [id.as_str()]).map_err(failed())?;
            }
        }
    }
    transaction.commit().map_err(failed())
}

/// Another network of the same name can only be left over from a `network create` that was killed between this
/// database's commit and the runtime's: the runtime database has just found the name free.
fn put(connection: &Connection, network: &Network) -> Result<(), StoreError> {
    let json = record::json("network", network.id.as_str(), network)?;
    connection
        .execute(
            "INSERT OR REPLACE INTO network(id, name, created, json) VALUES(?1, ?2, ?3, ?4)",
            params![network.id.as_str(), network.name.as_str(), network.created, json],
        )
        .map_err(StoreError::statement("write a definition"))?;
    Ok(())
}
