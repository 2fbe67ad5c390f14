//! `definitions.db`: what outlives a reboot, networks and a few notes.

use pontoon_model::{Network, NetworkId};
use rusqlite::{Connection, params};

use crate::{Dirs, StoreError, connection, record, schema};

/// A change of a definition that a transaction asks for.
#[derive(Debug)]
pub(crate) enum Definition {
    /// The network is defined like this from now on.
    Put(Box<Network>),
    /// The network is no longer defined.
    Delete(NetworkId),
    /// The note says this from now on.
    Note(String, String),
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

/// All notes, by key.
pub(crate) fn notes(dirs: &Dirs) -> Result<Vec<(String, String)>, StoreError> {
    let Some(connection) = connection::open(&dirs.definitions(), &connection::DEFINITIONS)? else {
        return Ok(Vec::new());
    };
    let failed = || StoreError::statement("read notes");
    make_notes(&connection)?;
    let mut statement = connection.prepare("SELECT key, value FROM note ORDER BY key").map_err(failed())?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).map_err(failed())?;
    rows.map(|row| row.map_err(failed())).collect()
}

/// A database of before there were notes is used on.
fn make_notes(connection: &Connection) -> Result<(), StoreError> {
    connection.execute_batch(schema::NOTES).map_err(StoreError::statement("make room for notes"))
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
            Definition::Note(key, value) => {
                make_notes(&transaction)?;
                let put = "INSERT OR REPLACE INTO note(key, value) VALUES(?1, ?2)";
                transaction.execute(put, [key, value]).map_err(failed())?;
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
