//! The files of a project, from the disk.

use std::io::ErrorKind;
use std::path::Path;

use pontoon_compose::Files;

/// How much of a file is read: more is no compose file.
const MOST: u64 = 16 * 1024 * 1024;

/// Files as they are on the disk.
#[derive(Debug, Clone, Copy, Default)]
pub struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> Result<Option<String>, String> {
        match path.metadata() {
            Ok(found) if found.len() > MOST => return Err(format!("it is larger than {} MiB", MOST >> 20)),
            _ => {}
        }
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }
}
