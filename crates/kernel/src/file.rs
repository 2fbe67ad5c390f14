//! Files outside of Pontoon's own folders: written only where there is none, removed only while they are as written.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use pontoon_model::Diagnose;
use rustix::fs::{CWD, RenameFlags};

/// Why a file could not be written or removed.
#[derive(Debug, thiserror::Error)]
#[error("could not {what} {}", path.display())]
pub struct FileError {
    /// What was to be done.
    what: &'static str,
    /// With which file.
    path: PathBuf,
    /// What the system said.
    #[source]
    source: std::io::Error,
}

impl Diagnose for FileError {
    fn code(&self) -> &'static str {
        "file"
    }

    fn hint(&self) -> Option<String> {
        let denied =
            matches!(self.source.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem);
        denied.then(|| "run it as root, or try it in `pontoon lab`".to_owned())
    }
}

/// Writes a file that is not there yet, and makes its folder.
///
/// A file that is there is somebody's and stays as it is. A system that cannot be written to does without: these
/// files are for the convenience of `ip netns exec`.
///
/// # Errors
///
/// If the disk is full or broken.
pub fn write_new(path: &Path, contents: &str) -> Result<(), FileError> {
    let fail = |source| FileError { what: "write", path: path.to_owned(), source };
    let draft = draft_of(path);
    let written = path
        .parent()
        .map_or(Ok(()), fs::create_dir_all)
        .and_then(|()| fs::write(&draft, contents))
        .and_then(|()| Ok(rustix::fs::renameat_with(CWD, &draft, CWD, path, RenameFlags::NOREPLACE)?));
    if written.is_err() {
        // It is ours by its name; that it was never made is as good.
        let _ = fs::remove_file(&draft);
    }
    match written {
        Err(error) if is_optional(error.kind()) => Ok(()),
        result => result.map_err(fail),
    }
}

/// Writes a file of ours into somebody's folder: one that is there must have the same first line, which is our mark.
///
/// # Errors
///
/// `AlreadyExists` for somebody else's file of that name; if the folder cannot be written to.
pub fn write_own(path: &Path, contents: &str) -> Result<(), FileError> {
    let fail = |source| FileError { what: "write", path: path.to_owned(), source };
    let mark = contents.lines().next();
    match fs::read_to_string(path) {
        Ok(found) if found.lines().next() != mark => {
            return Err(fail(std::io::Error::new(ErrorKind::AlreadyExists, "it is somebody else's")));
        }
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(fail(error)),
    }
    let draft = draft_of(path);
    let written = path
        .parent()
        .map_or(Ok(()), fs::create_dir_all)
        .and_then(|()| fs::write(&draft, contents))
        .and_then(|()| fs::rename(&draft, path));
    if written.is_err() {
        // It is ours by its name; that it was never made is as good.
        let _ = fs::remove_file(&draft);
    }
    written.map_err(fail)
}

/// Removes a file whose first line is still `mark`, and a draft of it, from somebody's folder, which stays.
///
/// # Errors
///
/// If the file is there, is ours, and cannot be removed.
pub fn remove_guest(path: &Path, mark: &str) -> Result<(), FileError> {
    let _ = fs::remove_file(draft_of(path));
    if fs::read_to_string(path).is_ok_and(|found| found.lines().next() == Some(mark)) {
        let fail = |source| FileError { what: "remove", path: path.to_owned(), source };
        fs::remove_file(path).map_err(fail)?;
    }
    Ok(())
}

/// The name under which a file is written, so that nobody ever sees half of it.
fn draft_of(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".pontoon-draft-{name}"))
}

fn is_optional(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::AlreadyExists | ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem)
}

/// Removes a file whose first line is still `mark`, a draft of it, and its folder when that is empty then.
///
/// # Errors
///
/// If the file is there, is as it was written, and cannot be removed.
pub fn remove_own(path: &Path, mark: &str) -> Result<(), FileError> {
    let _ = fs::remove_file(draft_of(path));
    if fs::read_to_string(path).is_ok_and(|found| found.lines().next() == Some(mark)) {
        fs::remove_file(path).map_err(|source| FileError {
            what: "remove",
            path: path.to_owned(),
            source,
        })?;
    }
    if let Some(folder) = path.parent() {
        // Not empty means that somebody else has files there.
        let _ = fs::remove_dir(folder);
    }
    Ok(())
}
