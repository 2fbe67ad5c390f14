//! What can go wrong with the store itself.

use std::io;
use std::path::{Path, PathBuf};

use pontoon_model::Diagnose;
use rusqlite::ErrorCode;

/// Why the store could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A folder is not there and cannot be made.
    #[error("could not create folder {}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The writers' lock cannot be had.
    #[error("could not lock {}", path.display())]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A database cannot be opened or set up.
    #[error("could not open {}", path.display())]
    Open {
        /// The database.
        path: PathBuf,
        /// Why not.
        #[source]
        source: rusqlite::Error,
    },
    /// A database was written by a later Pontoon.
    #[error("{} has format {found}; this Pontoon knows formats up to {known}", path.display())]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The last format that is known.
        known: i64,
    },
    /// A database was written by an earlier Pontoon.
    #[error("{} has format {found}; this Pontoon knows format {known} alone", path.display())]
    Older {
        /// The database.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The format that is known.
        known: i64,
    },
    /// A statement failed.
    #[error("could not {action} in the store")]
    Statement {
        /// What was being done, after "could not".
        action: &'static str,
        /// Why not.
        #[source]
        source: rusqlite::Error,
    },
    /// A record cannot be understood.
    #[error("{kind} {id} in the store cannot be read")]
    Record {
        /// What it is a record of.
        kind: &'static str,
        /// Which one.
        id: String,
        /// Why not.
        #[source]
        source: serde_json::Error,
    },
    /// A record cannot be written as JSON.
    #[error("{kind} {id} cannot be put into the store")]
    Unwritable {
        /// What it is a record of.
        kind: &'static str,
        /// Which one.
        id: String,
        /// Why not.
        #[source]
        source: serde_json::Error,
    },
    /// A name, or a place on a network, is another record's.
    #[error("{kind} {id} cannot be put into the store: there is another with the same {shared}")]
    Duplicate {
        /// What it is a record of.
        kind: &'static str,
        /// Which one was to be put.
        id: String,
        /// What both would have.
        shared: &'static str,
    },
    /// A write was tried while reading.
    #[error("could not {action} in the store: it is open for reading here")]
    ReadOnly {
        /// What was tried, after "could not".
        action: &'static str,
    },
}

impl StoreError {
    pub(crate) fn open(path: &Path) -> impl FnOnce(rusqlite::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Open { path, source }
    }

    pub(crate) fn statement(action: &'static str) -> impl FnOnce(rusqlite::Error) -> Self {
        move |source| Self::Statement { action, source }
    }

    fn sqlite(&self) -> Option<&rusqlite::Error> {
        match self {
            Self::Open { source, .. } | Self::Statement { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl Diagnose for StoreError {
    fn code(&self) -> &'static str {
        match self {
            Self::Folder { .. } => "store-folder",
            Self::Lock { .. } => "store-lock",
            Self::Open { .. } => "store-open",
            Self::Newer { .. } => "store-newer",
            Self::Older { .. } => "store-older",
            Self::Statement { .. } => "store-statement",
            Self::Record { .. } | Self::Unwritable { .. } => "store-record",
            Self::Duplicate { .. } => "store-duplicate",
            Self::ReadOnly { .. } => "store-read-only",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Folder { source, .. } | Self::Lock { source, .. } => io_hint(source),
            Self::Newer { path, .. } => Some(format!(
                "use the Pontoon that wrote it, or another --root; {} is not changed",
                path.display()
            )),
            Self::Older { .. } => Some(
                "end the containers with the Pontoon that wrote it, and reboot: that clears runtime.db, and networks \
                 are restored from definitions.db"
                    .into(),
            ),
            Self::Open { .. } | Self::Statement { .. } => sqlite_hint(self.sqlite()?.sqlite_error_code()?),
            Self::Record { .. } => Some("look at it with sqlite3; was it changed by hand?".into()),
            Self::Unwritable { .. } | Self::Duplicate { .. } | Self::ReadOnly { .. } => None,
        }
    }
}

fn io_hint(error: &io::Error) -> Option<String> {
    let text = match error.kind() {
        io::ErrorKind::PermissionDenied => "run as root, or with a --root that is yours",
        io::ErrorKind::ReadOnlyFilesystem => "choose a place that can be written with --root",
        io::ErrorKind::StorageFull => "make room on that file system",
        _ => return None,
    };
    Some(text.into())
}

fn sqlite_hint(code: ErrorCode) -> Option<String> {
    let text = match code {
        ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::ReadOnly => {
            "run as root, or with a --root that is yours"
        }
        ErrorCode::DiskFull => "make room on the file system of the store",
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
            "another program holds the database: end the sqlite3 that has it open"
        }
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => {
            "move the file away: networks are restored from definitions.db, and a reboot clears runtime.db"
        }
        _ => return None,
    };
    Some(text.into())
}
