//! Opening a database: its folder, its format, and how long SQLite waits.

use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::thread;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::StoreError;
use crate::schema;

/// What is different between the two databases.
pub(crate) struct Kind {
    /// SQLite's `synchronous`: <https://www.sqlite.org/pragma.html#pragma_synchronous>.
    pub(crate) synchronous: &'static str,
    /// The tables.
    pub(crate) schema: &'static str,
    /// Their format.
    pub(crate) format: i64,
}

/// Runtime state: the file system does not survive a power failure, so there is nothing to sync.
pub(crate) const RUNTIME: Kind =
    Kind { synchronous: "OFF", schema: schema::RUNTIME, format: schema::RUNTIME_FORMAT };

/// Definitions: on disk before the command says that it is done.
pub(crate) const DEFINITIONS: Kind =
    Kind { synchronous: "FULL", schema: schema::DEFINITIONS, format: schema::DEFINITIONS_FORMAT };

/// Opens a database that is there and set up; none otherwise.
pub(crate) fn open(path: &Path, kind: &Kind) -> Result<Option<Connection>, StoreError> {
    let mut connection = match open_existing(path) {
        // Made by another process between the attempt and the look: it is there now.
        Err(error) if is_missing(&error) && path.exists() => {
            open_existing(path).map_err(StoreError::open(path))?
        }
        Err(error) if is_missing(&error) => return Ok(None),
        opened => opened.map_err(StoreError::open(path))?,
    };
    tune(&mut connection, kind).map_err(StoreError::open(path))?;
    Ok((format(&connection, path, kind)? != 0).then_some(connection))
}

fn open_existing(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags)
}

/// SQLite says the same of a file that is not there and of one that may not be opened.
fn is_missing(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::CannotOpen)
}

/// Opens a database and makes it first if it is not there. `fill` is part of the making: others see both or neither.
///
/// Whoever calls this holds the lock.
pub(crate) fn create(
    path: &Path,
    kind: &Kind,
    fill: impl FnOnce(&Connection) -> Result<(), StoreError>,
) -> Result<Connection, StoreError> {
    let failed = || StoreError::open(path);
    // SQLite would let everybody read what it makes; the files beside it get the mode of this one. Why it cannot be made,
    // SQLite says.
    let _ = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
    let mut connection = Connection::open(path).map_err(failed())?;
    tune(&mut connection, kind).map_err(failed())?;
    if format(&connection, path, kind)? != 0 {
        return Ok(connection);
    }
    connection.pragma_update(None, "journal_mode", "WAL").map_err(failed())?;
    connection.execute_batch("BEGIN IMMEDIATE").map_err(failed())?;
    connection.execute_batch(kind.schema).map_err(failed())?;
    fill(&connection)?;
    connection.pragma_update(None, "user_version", kind.format).map_err(failed())?;
    connection.execute_batch("COMMIT").map_err(failed())?;
    Ok(connection)
}

/// Makes a folder that only its owner can look into, unless it is there.
pub(crate) fn create_folder(path: &Path) -> Result<(), StoreError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| StoreError::Folder { path: path.to_owned(), source })
}

fn tune(connection: &mut Connection, kind: &Kind) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(64);
    // Otherwise SQLite prepares statements anew when their bindings change: a third of what an attach takes here.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.busy_handler(Some(wait_a_little))?;
    connection.pragma_update(None, "synchronous", kind.synchronous)
}

/// Waits in SQLite's own short conflicts: another process recovers the log, or is the last to close it. Writers do
/// not meet here, as they hold the lock.
fn wait_a_little(tries: i32) -> bool {
    const LONGEST: i32 = 20_000;
    thread::sleep(Duration::from_micros(if tries < 100 { 20 } else { 500 }));
    tries < LONGEST
}

fn format(connection: &Connection, path: &Path, kind: &Kind) -> Result<i64, StoreError> {
    let found =
        connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(StoreError::open(path))?;
    let (path, known) = (|| path.to_owned(), kind.format);
    match found {
        // Not set up yet.
        0 => Ok(found),
        _ if found > known => Err(StoreError::Newer { path: path(), found, known }),
        _ if found < known => Err(StoreError::Older { path: path(), found, known }),
        _ => Ok(found),
    }
}
