//! A log of lines that many processes write to and others follow, without a daemon between them.
//!
//! A line is one `write` with `O_APPEND`, which the kernel does as a whole: lines of several writers never mix. When the
//! file is long enough it becomes `NAME.1`, and the next writer begins a new one. Writers share a lock on the file from
//! before they look whether it still has its name until they have written; who renames it has that lock alone. So
//! nothing is written to a file any more that has lost its name, and who has read that to its end has missed nothing.
//!
//! Sources: write(2), "O_APPEND"; flock(2); inotify(7).

mod append;
mod follow;

use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use pontoon_model::Diagnose;

pub use append::LineLog;
pub use follow::{Follower, Piece, Start};

/// Why the log cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[error("could not {operation} {}", path.display())]
pub struct LineLogError {
    /// What was tried, in the imperative.
    pub operation: &'static str,
    /// With which file.
    pub path: PathBuf,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

impl Diagnose for LineLogError {
    fn code(&self) -> &'static str {
        "line-log"
    }

    fn hint(&self) -> Option<String> {
        match self.source.kind() {
            ErrorKind::PermissionDenied => Some("run it as root, or with a --root that is yours".into()),
            ErrorKind::StorageFull => Some(format!("make room where {} is", self.path.display())),
            _ => None,
        }
    }
}

/// A file, whatever it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    fn of(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }

    fn of_file(file: &File) -> io::Result<Self> {
        Ok(Self::of(&file.metadata()?))
    }

    /// The file that has this name now.
    fn at(path: &Path) -> io::Result<Option<Self>> {
        match path.symlink_metadata() {
            Ok(metadata) => Ok(Some(Self::of(&metadata))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// What a log is called once it is long enough.
fn older(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".1");
    name.into()
}
