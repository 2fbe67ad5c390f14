//! The journal: what was begun and, as long as it stands here, not finished.

use std::net::IpAddr;

use pontoon_model::{EndpointId, NetworkId, Publication, SandboxId, Step};
use rusqlite::params;

use crate::{StoreError, Tx, record};

const KIND: &str = "journal entry";

/// What a later Pontoon does with an entry whose writer was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Recovery {
    /// Takes back whatever of the steps was done.
    Undo,
    /// Does the rest of the steps.
    Finish,
}

/// Whose change it is.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    /// A network's.
    Network(NetworkId),
    /// An endpoint's.
    Endpoint(EndpointId),
    /// A sandbox's.
    Sandbox(SandboxId),
    /// A cable's.
    Cable(EndpointId),
    /// Published ports.
    Ports {
        /// Whose.
        sandbox: SandboxId,
        /// The ports.
        ports: Vec<Publication>,
        /// The endpoint that came with them, if one did.
        endpoint: Option<EndpointId>,
    },
    /// A network's that moves to other subnets.
    Renumber {
        /// The network.
        network: NetworkId,
        /// The addresses that are to be free when the entry is gone, and whose they are.
        leases: Vec<(EndpointId, IpAddr)>,
    },
    /// That of an interface of an endpoint or cable which stays: what happens to packets there.
    Interface(EndpointId),
    /// Of whatever nobody uses.
    Prune,
}

/// A change of the host that has been begun.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct JournalEntry {
    /// What is being done, for people.
    pub what: String,
    /// All of its steps.
    pub steps: Vec<Step>,
    /// What to do with it when its writer was killed.
    pub on_recovery: Recovery,
    /// Whose change it is.
    pub subject: Subject,
    /// When it was begun, RFC 3339, UTC.
    pub created: String,
}

impl Tx<'_> {
    /// Adds or replaces an entry.
    ///
    /// # Errors
    ///
    /// If the store cannot be written.
    pub fn journal_put(&self, id: i64, entry: &JournalEntry) -> Result<(), StoreError> {
        let put =
            "INSERT INTO journal(id, json) VALUES(?1, ?2) ON CONFLICT(id) DO UPDATE SET json = excluded.json";
        self.write("write the journal", put, params![id, record::json(KIND, &id.to_string(), entry)?])?;
        Ok(())
    }

    /// Removes an entry; one that is not there is not missed.
    ///
    /// # Errors
    ///
    /// If the store cannot be written.
    pub fn journal_delete(&self, id: i64) -> Result<(), StoreError> {
        self.write("write the journal", "DELETE FROM journal WHERE id = ?1", [id])?;
        Ok(())
    }

    /// All entries and their numbers, oldest number first.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub fn journal(&self) -> Result<Vec<(i64, JournalEntry)>, StoreError> {
        let failed = || StoreError::statement("read the journal");
        let mut statement =
            self.connection().prepare_cached("SELECT id, json FROM journal ORDER BY id").map_err(failed())?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).map_err(failed())?;
        rows.map(|row| {
            let (id, json): (i64, String) = row.map_err(failed())?;
            Ok((id, record::parse(KIND, &id.to_string(), &json)?))
        })
        .collect()
    }

    /// A number that no entry has: one more than the last.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub fn journal_next(&self) -> Result<i64, StoreError> {
        let next = self
            .connection()
            .prepare_cached("SELECT coalesce(max(id), 0) + 1 FROM journal")
            .and_then(|mut statement| statement.query_row([], |row| row.get(0)));
        next.map_err(StoreError::statement("read the journal"))
    }
}
