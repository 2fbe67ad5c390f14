//! A transaction: the methods that read and write are with their kinds (`network`, `sandbox`, …).

use std::cell::RefCell;

use rusqlite::{Connection, ErrorCode, Params};

use crate::StoreError;
use crate::definitions::Definition;

/// One transaction of the store: a change by [`Store::transaction`](crate::Store::transaction), or a look at one
/// moment's state by [`Store::read`](crate::Store::read), where every method that writes fails.
#[derive(Debug)]
pub struct Tx<'connection> {
    connection: &'connection Connection,
    /// Changes of definitions that go with this one; none when reading.
    definitions: Option<RefCell<Vec<Definition>>>,
}

impl<'connection> Tx<'connection> {
    pub(crate) fn writing(connection: &'connection Connection) -> Self {
        Self { connection, definitions: Some(RefCell::default()) }
    }

    pub(crate) fn reading(connection: &'connection Connection) -> Self {
        Self { connection, definitions: None }
    }

    pub(crate) fn into_definitions(self) -> Vec<Definition> {
        self.definitions.map(RefCell::into_inner).unwrap_or_default()
    }

    /// For reading.
    pub(crate) fn connection(&self) -> &Connection {
        self.connection
    }

    /// For writing.
    pub(crate) fn writer(&self, action: &'static str) -> Result<&Connection, StoreError> {
        if self.definitions.is_none() {
            return Err(StoreError::ReadOnly { action });
        }
        Ok(self.connection)
    }

    /// Runs a statement that changes something; says how many rows it changed.
    pub(crate) fn write(
        &self,
        action: &'static str,
        sql: &str,
        params: impl Params,
    ) -> Result<usize, StoreError> {
        let changed =
            self.writer(action)?.prepare_cached(sql).and_then(|mut statement| statement.execute(params));
        changed.map_err(StoreError::statement(action))
    }

    /// Notes a change of a definition, to be made when the transaction succeeds.
    pub(crate) fn define(&self, definition: Definition) {
        if let Some(definitions) = &self.definitions {
            definitions.borrow_mut().push(definition);
        }
    }
}

/// Names what two records would share when a write failed because it must be unique.
pub(crate) fn unique<'a>(
    kind: &'static str,
    id: &'a str,
    shared: &'static str,
) -> impl FnOnce(StoreError) -> StoreError + use<'a> {
    move |error| match &error {
        StoreError::Statement { source, .. }
            if source.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) =>
        {
            StoreError::Duplicate { kind, id: id.to_owned(), shared }
        }
        _ => error,
    }
}
