//! What a container's process sees of the file system: its `/etc` files, its `/sys`, or a root of its own.
//!
//! Nothing is written to the host's file system, nor to a root directory that the user gave: where something
//! to mount over is missing, its directory is covered by a mirror in memory ([`crate::mount::mirror`]), and a
//! note says so.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountAttrFlags, UnmountFlags};

use super::error::{Failure, Reporter, Step, failure};
use super::{FileSource, Files, Spec};
use crate::mount::{self, Mirror, Missing, MountError, Tree, View};

/// Character devices that every program may expect, bound from the host: a device cannot be made in a user
/// namespace.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// Links in `/dev`, as udev makes them.
const DEVICE_LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// A file to mount in `/etc`.
type EtcFile = (&'static str, Tree);

/// Mounts everything that `spec` asks for, in the calling process's own mount namespace.
pub(super) fn arrange(spec: &Spec<'_>, reporter: &Reporter) -> Result<(), Failure> {
    let files = trees(&spec.files)?;
    match &spec.root {
        Some(directory) => own_root(directory, &files, reporter),
        None => host_root(spec, &files, reporter),
    }
}

/// The sources of the `/etc` files, taken before anything is covered.
fn trees(files: &Files) -> Result<Vec<EtcFile>, Failure> {
    let mut contents = Vec::new();
    let mut trees = Vec::new();
    for (name, source) in files.entries() {
        match source {
            FileSource::Contents(bytes) => contents.push((name, bytes.as_slice())),
            FileSource::Path(path) => trees.push((name, Tree::copy_path(path)?)),
        }
    }
    let named: Vec<_> = contents.iter().map(|(name, bytes)| (etc(name), *bytes)).collect();
    let written = mount::trees_of_contents(&named)?;
    trees.extend(contents.iter().map(|(name, _)| *name).zip(written));
    Ok(trees)
}

fn host_root(spec: &Spec<'_>, files: &[EtcFile], reporter: &Reporter) -> Result<(), Failure> {
    let mut view = View::host()?;
    let wanted: Vec<_> = files.iter().map(|(name, _)| (*name, Missing::File)).collect();
    match view.provide(Path::new("/etc"), &wanted) {
        Ok(mirror) => note_mirror(mirror.as_ref(), "/etc", reporter),
        Err(error) => reporter.note(&format!("files missing in /etc could not be added: {}", error.errno)),
    }
    for (name, tree) in files {
        match view.find(&etc(name))? {
            Some(_) => view.attach(tree, &etc(name))?,
            None => reporter.note(&format!("/etc/{name} is missing on the host and was left out")),
        }
    }
    if spec.fresh_sysfs {
        let errno = fresh_sysfs(&view)?.err();
        errno.inspect(|errno| reporter.note(&format!("/sys still shows the host's links: {errno}")));
    }
    if spec.pid_namespace {
        view.attach(&proc_tree()?, Path::new("/proc"))?;
    }
    Ok(())
}

fn own_root(directory: &Path, files: &[EtcFile], reporter: &Reporter) -> Result<(), Failure> {
    let name = directory.to_string_lossy();
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let source = rustix::fs::open(directory, flags, Mode::empty()).map_err(failure(Step::Root, &*name))?;
    let tree = Tree::copy(source.as_fd()).map_err(failure(Step::Root, &*name))?;
    // pivot_root(2) wants a mount point.
    tree.attach(source.as_fd()).map_err(failure(Step::Root, &*name))?;
    let mut view = View::of(tree);
    let mut directories = vec![("proc", Missing::Directory), ("sys", Missing::Directory)];
    directories.push(("dev", Missing::Directory));
    if !files.is_empty() {
        directories.push(("etc", Missing::Directory));
        note_mirror(view.provide(Path::new("/"), &directories)?.as_ref(), &name, reporter);
        let wanted: Vec<_> = files.iter().map(|(name, _)| (*name, Missing::File)).collect();
        let mirror = view.provide(Path::new("/etc"), &wanted)?;
        note_mirror(mirror.as_ref(), &directory.join("etc").to_string_lossy(), reporter);
    } else {
        note_mirror(view.provide(Path::new("/"), &directories)?.as_ref(), &name, reporter);
    }
    match proc_tree() {
        Ok(tree) => view.attach(&tree, Path::new("/proc"))?,
        Err(error) => {
            reporter.note(&format!("/proc is the host's: {}", error.errno));
            view.attach(&Tree::copy_path(Path::new("/proc"))?, Path::new("/proc"))?;
        }
    }
    if let Err(errno) = fresh_sysfs(&view)? {
        reporter.note(&format!("/sys is the host's: {errno}"));
        view.attach(&Tree::copy_path(Path::new("/sys"))?, Path::new("/sys"))?;
    }
    devices(&view, reporter)?;
    for (name, tree) in files {
        view.attach(tree, &etc(name))?;
    }
    change_root(&view).map_err(failure(Step::Root, &*name))
}

/// Mounts a sysfs over `/sys` that shows the calling process's network namespace, and the host's cgroups
/// again below it. The inner error says that a fresh one is not permitted here.
pub(crate) fn fresh_sysfs(view: &View) -> Result<Result<(), Errno>, MountError> {
    let path = Path::new("/sys");
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let tree = match Tree::new("sysfs", &[], attributes) {
        Ok(tree) => tree,
        Err(error) => return Ok(Err(error.errno)),
    };
    let cgroups = Tree::copy_path(Path::new("/sys/fs/cgroup"));
    view.attach(&tree, path)?;
    if let Ok(cgroups) = cgroups
        && view.find(Path::new("/sys/fs/cgroup"))?.is_some()
    {
        view.attach(&cgroups, Path::new("/sys/fs/cgroup"))?;
    }
    Ok(Ok(()))
}

pub(crate) fn proc_tree() -> Result<Tree, MountError> {
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    Tree::new("proc", &[], attributes)
}

/// A small `/dev`: the usual devices, links, shared memory and, where permitted, terminals of its own.
fn devices(view: &View, reporter: &Reporter) -> Result<(), Failure> {
    let tree = Tree::tmpfs("0755")?;
    view.attach(&tree, Path::new("/dev"))?;
    let mode = Mode::from_raw_mode(0o755);
    for directory in ["pts", "shm"] {
        rustix::fs::mkdirat(&tree, directory, mode)
            .map_err(failure(Step::Mount, format!("/dev/{directory}")))?;
    }
    for (link, target) in DEVICE_LINKS {
        rustix::fs::symlinkat(target, &tree, link).map_err(failure(Step::Mount, format!("/dev/{link}")))?;
    }
    for device in DEVICES {
        let path = Path::new("/dev").join(device);
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        rustix::fs::openat(&tree, device, flags, Mode::from_raw_mode(0o666))
            .map_err(failure(Step::Mount, path.to_string_lossy()))?;
        view.attach(&Tree::copy_path(&path)?, &path)?;
    }
    view.attach(&Tree::tmpfs("1777")?, Path::new("/dev/shm"))?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    match Tree::new("devpts", &[("ptmxmode", "0666"), ("mode", "0620")], attributes) {
        Ok(terminals) => view.attach(&terminals, Path::new("/dev/pts"))?,
        Err(error) => reporter.note(&format!("/dev/pts is empty: {}", error.errno)),
    }
    Ok(())
}

/// Makes the view the root of the calling process's mount namespace: pivot_root(2), with the new and the old
/// root on one another.
fn change_root(view: &View) -> rustix::io::Result<()> {
    rustix::process::fchdir(view.root())?;
    match rustix::process::pivot_root(".", ".") {
        Ok(()) => rustix::mount::unmount(".", UnmountFlags::DETACH)?,
        // The root of the namespace cannot be left when it is the kernel's initial ramfs.
        Err(Errno::INVAL) => {
            rustix::mount::mount_move(".", "/")?;
            rustix::process::chroot(".")?;
        }
        Err(errno) => return Err(errno),
    }
    rustix::process::chdir("/")
}

fn note_mirror(mirror: Option<&Mirror>, directory: &str, reporter: &Reporter) {
    let Some(mirror) = mirror else { return };
    let list = |names: &[std::ffi::OsString]| {
        names.iter().map(|name| name.to_string_lossy()).collect::<Vec<_>>().join(", ")
    };
    let added = list(&mirror.added);
    reporter
        .note(&format!("{directory} lacks {added}: its own entries are kept in memory for this container"));
    if !mirror.skipped.is_empty() {
        reporter.note(&format!("these entries of {directory} are empty: {}", list(&mirror.skipped)));
    }
}

fn etc(name: &str) -> PathBuf {
    Path::new("/etc").join(name)
}
