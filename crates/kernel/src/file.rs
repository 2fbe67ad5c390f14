//! Files outside of Pontoon's own folders: written only where there is none, removed only while they are as written.

use std::fs;
use std::io::ErrorKind;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use pontoon_model::Diagnose;
use pontoon_model::sandbox::ProcessId;
use rustix::fs::{CWD, Mode, OFlags, RenameFlags, ResolveFlags};
use rustix::io::Errno;

use crate::process::Process;

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

/// What is in a file, as a process sees it: links are followed below its root directory, and never out of it. `None` where
/// there is no such process any more, or no such file.
///
/// # Errors
///
/// If it is there and cannot be read.
pub fn read_within(within: Option<ProcessId>, path: &Path) -> Result<Option<String>, FileError> {
    let fail = |source| FileError { what: "read", path: path.to_owned(), source };
    match open_within(within, path, OFlags::RDONLY) {
        Ok(file) => file.map(std::io::read_to_string).transpose().map_err(fail),
        Err(error) => Err(fail(error)),
    }
}

/// Puts other lines in the place of some of a file that begins with `mark`, in place. A file, process or line that is not
/// there is not missed.
///
/// # Errors
///
/// If the file is ours and cannot be read or written.
pub fn edit(
    within: Option<ProcessId>,
    path: &Path,
    mark: &str,
    lines: &[(String, String)],
) -> Result<(), FileError> {
    let fail = |source| FileError { what: "write", path: path.to_owned(), source };
    let Some(text) = read_within(within, path)?.filter(|text| text.lines().next() == Some(mark)) else {
        return Ok(());
    };
    let replaced = |line: &str| {
        let bare = line.strip_suffix('\n').unwrap_or(line);
        let other = lines.iter().find(|(before, _)| before == bare);
        other.map_or_else(|| line.to_owned(), |(_, after)| format!("{after}\n"))
    };
    let edited: String = text.split_inclusive('\n').map(replaced).collect();
    if edited == text {
        return Ok(());
    }
    let write = || -> std::io::Result<()> {
        let Some(mut file) = open_within(within, path, OFlags::WRONLY)? else { return Ok(()) };
        // Written over before it is cut off: who reads it meanwhile never finds it empty.
        std::io::Write::write_all(&mut file, edited.as_bytes())?;
        file.set_len(edited.len() as u64)
    };
    match write() {
        Err(error) if is_optional(error.kind()) => Ok(()),
        done => done.map_err(fail),
    }
}

/// Opens a file below a process's root directory.
fn open_within(within: Option<ProcessId>, path: &Path, flags: OFlags) -> std::io::Result<Option<fs::File>> {
    let absent = |errno| match errno {
        Errno::NOENT | Errno::NOTDIR => Ok(None),
        errno => Err(errno.into()),
    };
    let flags = flags | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let Some(id) = within else {
        return match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(file) => Ok(Some(file.into())),
            Err(errno) => absent(errno),
        };
    };
    let directory = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = match rustix::fs::open(format!("/proc/{}/root", id.pid), directory, Mode::empty()) {
        Ok(root) => root,
        Err(errno) => return absent(errno),
    };
    // Looked at once its root is open: so that is the root of this process and not of a later one with the number.
    if !Process::open_started(id.pid, id.started).is_ok_and(|process| process.is_some()) {
        return Ok(None);
    }
    match open_in_root(root.as_fd(), path, flags) {
        Ok(file) => Ok(Some(file.into())),
        Err(errno) => absent(errno),
    }
}

/// Opens `path` as it is for somebody whose root is `root`: no link and no `..` leads out of it.
///
/// # Errors
///
/// The kernel's; `EAGAIN` if the machine's mounts never stand still.
pub(crate) fn open_in_root(root: BorrowedFd<'_>, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    // Where it goes up by `..`, the kernel gives up when anybody has mounted or renamed anything meanwhile, and has the
    // caller try again: openat2(2). On a host where containers start all the time, that happens.
    const TRIES: u32 = 1_000;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let open = || rustix::fs::openat2(root, path, flags, Mode::empty(), resolve);
    let mut opened = open();
    for _ in 1..TRIES {
        if !matches!(opened, Err(Errno::AGAIN)) {
            break;
        }
        std::thread::yield_now();
        opened = open();
    }
    opened
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

#[cfg(test)]
mod tests {
    use super::*;

    fn this_process() -> ProcessId {
        let own = Process::open(std::process::id()).unwrap();
        ProcessId { pid: own.pid(), started: own.start_time().unwrap() }
    }

    /// A folder that is gone at the end.
    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("pontoon-file-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn pair(before: &str, after: &str) -> (String, String) {
        (before.to_owned(), after.to_owned())
    }

    #[test]
    fn lines_are_replaced_in_place_and_all_others_stay() {
        let folder = folder("edit");
        let path = folder.join("hosts");
        fs::write(&path, "# ours\n10.44.0.2\tweb\n10.44.0.2\tweb too\nlast").unwrap();
        let inode = |path: &Path| std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).unwrap());
        let before = inode(&path);
        let there = [pair("10.44.0.2\tweb", "10.6.0.2\tweb"), pair("nowhere", "anywhere")];
        for within in [None, Some(this_process())] {
            edit(within, &path, "# ours", &there).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), "# ours\n10.6.0.2\tweb\n10.44.0.2\tweb too\nlast");
            edit(within, &path, "# ours", &[pair("10.6.0.2\tweb", "10.44.0.2\tweb")]).unwrap();
            assert_eq!(
                fs::read_to_string(&path).unwrap(),
                "# ours\n10.44.0.2\tweb\n10.44.0.2\tweb too\nlast"
            );
        }
        assert_eq!(inode(&path), before);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_is_not_ours_or_not_there_stays_as_it_is() {
        let folder = folder("others");
        let path = folder.join("hosts");
        fs::write(&path, "# theirs\n10.44.0.2\tweb\n").unwrap();
        let lines = [pair("10.44.0.2\tweb", "10.6.0.2\tweb")];
        edit(None, &path, "# ours", &lines).unwrap();
        // Another process had this number once.
        let former = ProcessId { started: 1, ..this_process() };
        assert_eq!(read_within(Some(former), &path).unwrap(), None);
        edit(Some(former), &path, "# theirs", &lines).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "# theirs\n10.44.0.2\tweb\n");
        edit(None, &folder.join("nothing"), "# ours", &lines).unwrap();
        fs::remove_dir_all(folder).unwrap();
    }
}
