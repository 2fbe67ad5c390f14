//! Mounts, inside a mount namespace of their own.
//!
//! Built on descriptors instead of paths, so that a symbolic link in somebody's root file system cannot send
//! a mount elsewhere, and so that a file can be bound from a place that is hidden by then.
//!
//! Sources: mount_namespaces(7), open_tree(2), move_mount(2), fsopen(2), openat2(2); Linux 5.6 or later.

use std::ffi::{CStr, CString, OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use pontoon_model::Diagnose;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags,
    UnmountFlags,
};

/// A mount that did not work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("could not {operation} `{object}`")]
pub struct MountError {
    /// What was tried, in the imperative.
    pub operation: &'static str,
    /// What it was tried on.
    pub object: String,
    /// What the kernel said.
    #[source]
    pub errno: Errno,
}

impl Diagnose for MountError {
    fn code(&self) -> &'static str {
        "mount-call"
    }
}

pub(crate) fn failed(operation: &'static str, object: impl AsRef<OsStr>) -> impl FnOnce(Errno) -> MountError {
    let object = object.as_ref().to_string_lossy().into_owned();
    move |errno| MountError { operation, object, errno }
}

/// Whether mounts that the host makes later appear in a new mount namespace. Nothing ever goes the other way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Propagation {
    /// Neither side sees the other's mounts.
    #[default]
    Private,
    /// The host's new mounts appear inside, as with `unshare --propagation slave`.
    Slave,
}

impl Propagation {
    /// Applies it to every mount of the calling process's mount namespace.
    ///
    /// # Errors
    ///
    /// `EPERM` without `CAP_SYS_ADMIN`.
    pub fn apply(self) -> Result<(), MountError> {
        let kind = match self {
            Propagation::Private => MountPropagationFlags::PRIVATE,
            Propagation::Slave => MountPropagationFlags::DOWNSTREAM,
        };
        rustix::mount::mount_change("/", kind | MountPropagationFlags::REC)
            .map_err(failed("change the propagation of mounts below", "/"))
    }
}

/// A mount that may not be attached anywhere yet. Dropping an unattached one takes it away.
#[derive(Debug)]
pub struct Tree(OwnedFd);

impl Tree {
    /// A new instance of file system `kind`, with `options` as in mount(8).
    ///
    /// # Errors
    ///
    /// `EPERM` for `proc` and `sysfs` in a user namespace when the existing one is partly covered, as in a
    /// container (`mount_too_revealing()` in the kernel's fs/namespace.c).
    pub fn new(
        kind: &'static str,
        options: &[(&str, &str)],
        attributes: MountAttrFlags,
    ) -> Result<Tree, MountError> {
        let build = || {
            let context = rustix::mount::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
            for (key, value) in options {
                match *value {
                    "" => rustix::mount::fsconfig_set_flag(context.as_fd(), *key)?,
                    value => rustix::mount::fsconfig_set_string(context.as_fd(), *key, value)?,
                }
            }
            rustix::mount::fsconfig_create(context.as_fd())?;
            rustix::mount::fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)
        };
        build().map(Tree).map_err(failed("make a file system of type", kind))
    }

    /// An empty tmpfs, without devices or set-user-id programs.
    ///
    /// # Errors
    ///
    /// `EPERM` without `CAP_SYS_ADMIN`.
    pub fn tmpfs(mode: &str) -> Result<Tree, MountError> {
        let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
        Tree::new("tmpfs", &[("mode", mode)], attributes)
    }

    /// A copy of the mount at an open file or directory, with everything mounted below it: a recursive bind.
    ///
    /// # Errors
    ///
    /// `EINVAL` when it is in another mount namespace.
    pub fn copy(of: BorrowedFd<'_>) -> rustix::io::Result<Tree> {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE
            | OpenTreeFlags::OPEN_TREE_CLOEXEC
            | OpenTreeFlags::AT_EMPTY_PATH
            | OpenTreeFlags::AT_RECURSIVE;
        rustix::mount::open_tree(of, c"", flags).map(Tree)
    }

    /// As [`Tree::copy`], of a path in the calling process's own view; links are followed.
    ///
    /// # Errors
    ///
    /// `ENOENT` when there is nothing there.
    pub fn copy_path(path: &Path) -> Result<Tree, MountError> {
        rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
            .and_then(|file| Tree::copy(file.as_fd()))
            .map_err(failed("bind", path))
    }

    /// Mounts it over an open file or directory. The descriptor of `self` stays good.
    ///
    /// # Errors
    ///
    /// `ENOTDIR` when one is a file and the other a directory.
    pub fn attach(&self, over: BorrowedFd<'_>) -> rustix::io::Result<()> {
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        rustix::mount::move_mount(self.0.as_fd(), c"", over, c"", flags)
    }

    /// Mounts it over a path in the calling process's own view; links are followed.
    ///
    /// # Errors
    ///
    /// `ENOENT` when there is nothing to mount over.
    pub fn attach_path(&self, over: &Path) -> Result<(), MountError> {
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_SYMLINKS;
        rustix::mount::move_mount(self.0.as_fd(), c"", CWD, over, flags).map_err(failed("mount over", over))
    }
}

impl AsFd for Tree {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<Tree> for OwnedFd {
    fn from(tree: Tree) -> OwnedFd {
        tree.0
    }
}

/// Takes the topmost mount off `path` at once, even while it is in use.
///
/// # Errors
///
/// `EINVAL` when `path` is not a mount point, or its mount is locked (user namespaces).
pub fn detach(path: &Path) -> Result<(), MountError> {
    rustix::mount::unmount(path, UnmountFlags::DETACH).map_err(failed("unmount", path))
}

/// A directory in which paths are resolved as if it were `/`: links cannot lead out of it.
#[derive(Debug)]
pub struct View {
    root: OwnedFd,
    host: bool,
}

impl View {
    /// The calling process's own root.
    ///
    /// # Errors
    ///
    /// When `/` cannot be opened.
    pub fn host() -> Result<View, MountError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open("/", flags, Mode::empty()).map_err(failed("open", "/"))?;
        Ok(View { root, host: true })
    }

    /// The root of an attached mount.
    pub fn of(tree: Tree) -> View {
        View { root: tree.0, host: false }
    }

    /// The directory itself.
    pub fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// Opens `path` as a place to mount on; `None` when nothing is there, or a link to nothing.
    ///
    /// # Errors
    ///
    /// `ELOOP` for too many links.
    pub fn find(&self, path: &Path) -> Result<Option<OwnedFd>, MountError> {
        match crate::file::open_in_root(self.root.as_fd(), path, OFlags::PATH | OFlags::CLOEXEC) {
            Ok(file) => Ok(Some(file)),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(errno) => Err(failed("open", path)(errno)),
        }
    }

    /// Mounts `tree` over `path`.
    ///
    /// # Errors
    ///
    /// `ENOENT` when nothing is there to mount over.
    pub fn attach(&self, tree: &Tree, path: &Path) -> Result<(), MountError> {
        let over = self.find(path)?.ok_or(Errno::NOENT).map_err(failed("mount over", path))?;
        tree.attach(over.as_fd()).map_err(failed("mount over", path))
    }

    /// Sees to it that each of `names` can be mounted over in directory `parent`, without writing to the
    /// file system below: where one is missing, `parent` is covered by a [`mirror`].
    ///
    /// Returns the mirror when one had to be made.
    ///
    /// # Errors
    ///
    /// As [`mirror`]; `ENOENT` when `parent` is missing.
    pub fn provide(
        &mut self,
        parent: &Path,
        names: &[(&str, Missing)],
    ) -> Result<Option<Mirror>, MountError> {
        let mut missing = Vec::new();
        for (name, kind) in names {
            if self.find(&parent.join(name))?.is_none() {
                missing.push((OsString::from(name), *kind));
            }
        }
        if missing.is_empty() {
            return Ok(None);
        }
        let at_root = parent == Path::new("/");
        let over = self.find(parent)?.ok_or(Errno::NOENT).map_err(failed("mount over", parent))?;
        let mirror = mirror(over.as_fd(), parent, &missing)?;
        if at_root && !self.host {
            self.root =
                rustix::io::fcntl_dupfd_cloexec(&mirror.directory, 3).map_err(failed("open", parent))?;
        }
        Ok(Some(mirror))
    }
}

/// What to create where an entry is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// An empty file.
    File,
    /// An empty directory.
    Directory,
}

/// What [`mirror`] made.
#[derive(Debug)]
pub struct Mirror {
    /// The new directory.
    pub directory: Tree,
    /// What was added to it.
    pub added: Vec<OsString>,
    /// Entries that could not be bound and are empty in the mirror.
    pub skipped: Vec<OsString>,
}

/// Covers a directory with a tmpfs whose entries are the directory's own, bound one by one, and `add`.
///
/// So an entry can be added without a write to the file system below and, unlike with an overlay, without
/// any right to it: also for an unprivileged user in a user namespace, to whom `/etc` belongs to nobody.
/// Existing entries are the same files as before, but cannot be renamed or removed, being mount points.
/// An entry of `add` replaces one that is there.
///
/// # Errors
///
/// `EPERM` without `CAP_SYS_ADMIN`, `EACCES` when the directory cannot be listed.
pub fn mirror(over: BorrowedFd<'_>, name: &Path, add: &[(OsString, Missing)]) -> Result<Mirror, MountError> {
    let original =
        rustix::fs::openat(over, c".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .map_err(failed("list", name))?;
    let tree = Tree::tmpfs("0755")?;
    let mut bound = Vec::new();
    for entry in rustix::fs::Dir::read_from(&original).map_err(failed("list", name))? {
        let entry = entry.map_err(failed("list", name))?;
        let file = entry.file_name();
        let special = file == c"." || file == c"..";
        if special || add.iter().any(|(added, _)| added.as_bytes() == file.to_bytes()) {
            continue;
        }
        if place(original.as_fd(), file, tree.as_fd()).map_err(failed("mirror", name))? {
            bound.push(file.to_owned());
        }
    }
    for (added, kind) in add {
        let created = match kind {
            Missing::File => create_file(tree.as_fd(), added),
            Missing::Directory => rustix::fs::mkdirat(&tree, added, Mode::from_raw_mode(0o755)),
        };
        created.map_err(failed("create", name.join(added)))?;
    }
    tree.attach(over).map_err(failed("mount over", name))?;
    // Only now: a mount cannot be attached inside one that is itself not attached (before Linux 6.15).
    let bind = |file: &CString| bind_entry(original.as_fd(), file, tree.as_fd()).is_err();
    let skipped =
        bound.into_iter().filter(bind).map(|file| OsStr::from_bytes(file.as_bytes()).into()).collect();
    Ok(Mirror { directory: tree, added: add.iter().map(|(name, _)| name.clone()).collect(), skipped })
}

/// Makes the place for one entry of a mirrored directory; says whether it is to be bound.
fn place(from: BorrowedFd<'_>, file: &CStr, to: BorrowedFd<'_>) -> rustix::io::Result<bool> {
    let stat = rustix::fs::statat(from, file, AtFlags::SYMLINK_NOFOLLOW)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Symlink => {
            let target = rustix::fs::readlinkat(from, file, Vec::new())?;
            rustix::fs::symlinkat(&target, to, file)?;
            return Ok(false);
        }
        FileType::Directory => rustix::fs::mkdirat(to, file, Mode::from_raw_mode(0o755))?,
        _ => create_file(to, file)?,
    }
    Ok(true)
}

fn bind_entry(from: BorrowedFd<'_>, file: &CStr, to: BorrowedFd<'_>) -> rustix::io::Result<()> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let source = rustix::fs::openat(from, file, flags, Mode::empty())?;
    let target = rustix::fs::openat(to, file, flags, Mode::empty())?;
    Tree::copy(source.as_fd())?.attach(target.as_fd())
}

fn create_file(directory: BorrowedFd<'_>, name: impl rustix::path::Arg) -> rustix::io::Result<()> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
    rustix::fs::openat(directory, name, flags, Mode::from_raw_mode(0o644)).map(drop)
}

/// The contents of files as bind mounts, without a file on the host: each becomes a file of one tmpfs.
///
/// The tmpfs is attached for a moment over `/sys`, which every host has, since a file can be bound only from
/// a mount that is attached (before Linux 6.15).
///
/// # Errors
///
/// `EPERM` without `CAP_SYS_ADMIN`.
pub fn trees_of_contents(files: &[(PathBuf, &[u8])]) -> Result<Vec<Tree>, MountError> {
    if files.is_empty() {
        return Ok(Vec::new());
    }
    let tmpfs = Tree::tmpfs("0755")?;
    tmpfs.attach_path(Path::new("/sys"))?;
    let trees = files
        .iter()
        .enumerate()
        .map(|(number, (path, contents))| {
            write_and_copy(tmpfs.as_fd(), number, contents).map_err(failed("write", path))
        })
        .collect();
    detach(Path::new("/sys"))?;
    trees
}

fn write_and_copy(directory: BorrowedFd<'_>, number: usize, contents: &[u8]) -> rustix::io::Result<Tree> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC;
    let file = rustix::fs::openat(directory, number.to_string(), flags, Mode::from_raw_mode(0o644))?;
    // The umask is the user's; the file is the container's.
    rustix::fs::fchmod(&file, Mode::from_raw_mode(0o644))?;
    let mut rest = contents;
    while !rest.is_empty() {
        let written = rustix::io::retry_on_intr(|| rustix::io::write(&file, rest))?;
        rest = &rest[written..];
    }
    Tree::copy(file.as_fd())
}
