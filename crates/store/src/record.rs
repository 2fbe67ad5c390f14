//! Records: JSON in a column.

use rusqlite::{Connection, OptionalExtension as _, Params, Row};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::StoreError;

/// The JSON of a record.
pub(crate) fn json<T: Serialize>(kind: &'static str, id: &str, record: &T) -> Result<String, StoreError> {
    serde_json::to_string(record).map_err(|source| StoreError::Unwritable { kind, id: id.to_owned(), source })
}

/// The records that a query for `id, json` finds.
pub(crate) fn many<T: DeserializeOwned>(
    connection: &Connection,
    kind: &'static str,
    query: &str,
    params: impl Params,
) -> Result<Vec<T>, StoreError> {
    let failed = || StoreError::statement(reading(kind));
    let mut statement = connection.prepare_cached(query).map_err(failed())?;
    let rows = statement.query_map(params, columns).map_err(failed())?;
    rows.map(|row| {
        let (id, json) = row.map_err(failed())?;
        parse(kind, &id, &json)
    })
    .collect()
}

/// The record that a query for `id, json` finds first.
pub(crate) fn one<T: DeserializeOwned>(
    connection: &Connection,
    kind: &'static str,
    query: &str,
    params: impl Params,
) -> Result<Option<T>, StoreError> {
    let failed = || StoreError::statement(reading(kind));
    let mut statement = connection.prepare_cached(query).map_err(failed())?;
    let row = statement.query_row(params, columns).optional().map_err(failed())?;
    row.map(|(id, json)| parse(kind, &id, &json)).transpose()
}

/// The bounds of the ids that begin with `prefix`: `g` comes after every hexadecimal digit.
pub(crate) fn id_bounds(prefix: &str) -> [String; 2] {
    [prefix.to_owned(), format!("{prefix}g")]
}

/// The record whose JSON this is.
pub(crate) fn parse<T: DeserializeOwned>(kind: &'static str, id: &str, json: &str) -> Result<T, StoreError> {
    serde_json::from_str(json).map_err(|source| StoreError::Record { kind, id: id.to_owned(), source })
}

fn columns(row: &Row<'_>) -> rusqlite::Result<(String, String)> {
    Ok((row.get(0)?, row.get(1)?))
}

fn reading(kind: &'static str) -> &'static str {
    match kind {
        "network" => "read networks",
        "container" => "read containers",
        "endpoint" => "read endpoints",
        "cable" => "read cables",
        _ => "read records",
    }
}
