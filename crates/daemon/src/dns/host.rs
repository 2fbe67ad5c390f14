//! The host's files that say which servers to ask, and the watch over them: inotify(7).
//!
//! The files are replaced by renaming, and are often symbolic links, so it is directories that are watched: that of each
//! file, and that of each link's target on the way to it.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pontoon_dns::Upstreams;
use pontoon_dns::upstreams::Domain;
use pontoon_model::resolv_conf::ResolvConf;
use rustix::fs::inotify::{self, CreateFlags, Reader, WatchFlags};
use rustix::io::Errno;

/// Programs that change a file write it in several steps.
const SETTLE: Duration = Duration::from_millis(50);
/// As long as a path of links may be: `MAXSYMLINKS` in the kernel's include/linux/namei.h.
const LINKS: usize = 40;

#[derive(Debug)]
pub(super) struct HostFiles {
    inotify: OwnedFd,
    resolv_conf: PathBuf,
    behind: PathBuf,
    /// What no file says: domains with servers of their own.
    domains: Vec<Domain>,
    watches: Vec<i32>,
    /// Names of files and links on the way.
    names: BTreeSet<Vec<u8>>,
    /// When they are to be read again.
    due: Option<Duration>,
}

impl HostFiles {
    pub(super) fn new(resolv_conf: PathBuf, behind: PathBuf, domains: Vec<Domain>) -> Result<Self, Errno> {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let (watches, names) = (Vec::new(), BTreeSet::new());
        let mut files = Self { inotify, resolv_conf, behind, domains, watches, names, due: None };
        files.watch();
        Ok(files)
    }

    pub(super) fn fd(&self) -> &OwnedFd {
        &self.inotify
    }

    /// When [`HostFiles::changed`] is to be called.
    pub(super) fn due(&self) -> Option<Duration> {
        self.due
    }

    /// Something happened in a directory.
    pub(super) fn ready(&mut self, now: Duration) {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = Reader::new(&self.inotify, &mut buffer);
        while let Ok(event) = reader.next() {
            // Without a name it is about the directory itself; or events were lost.
            if event.file_name().is_none_or(|name| self.names.contains(name.to_bytes())) {
                self.due.get_or_insert(now + SETTLE);
            }
        }
    }

    /// What the files say now, if it is time to look.
    pub(super) fn changed(&mut self, now: Duration) -> Option<Upstreams> {
        self.due.filter(|due| *due <= now)?;
        self.due = None;
        // Before reading: what changes from here on is noticed.
        self.watch();
        Some(self.read())
    }

    pub(super) fn read(&self) -> Upstreams {
        let read = |path: &Path| fs::read_to_string(path).ok().map(|text| ResolvConf::parse(&text));
        let host = read(&self.resolv_conf).unwrap_or_default();
        let upstreams = Upstreams::of_host(&host, read(&self.behind).as_ref());
        Upstreams { domains: self.domains.clone(), ..upstreams }
    }

    /// Watches the directories that count now. A directory that is not there is waited for in the one above it.
    fn watch(&mut self) {
        for watch in self.watches.drain(..) {
            let _ = inotify::remove_watch(&self.inotify, watch);
        }
        self.names.clear();
        let mut directories = BTreeSet::new();
        for path in [&self.resolv_conf, &self.behind] {
            for path in links(path) {
                place(&path, &mut directories, &mut self.names);
            }
        }
        let flags = WatchFlags::CLOSE_WRITE
            | WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR;
        for directory in directories {
            self.watches.extend(inotify::add_watch(&self.inotify, &directory, flags));
        }
    }
}

/// A path and all that it is a link to.
fn links(path: &Path) -> Vec<PathBuf> {
    let mut paths = vec![path.to_owned()];
    while paths.len() < LINKS
        && let Some(path) = paths.last()
        && let Ok(target) = fs::read_link(path)
    {
        let target = path.parent().unwrap_or(Path::new("/")).join(target);
        paths.push(target);
    }
    paths
}

/// The directory of a path that is there, and the name in it to look for.
fn place(path: &Path, directories: &mut BTreeSet<PathBuf>, names: &mut BTreeSet<Vec<u8>>) {
    let mut path = path;
    while let (Some(directory), Some(name)) = (path.parent(), path.file_name()) {
        names.insert(OsStr::as_bytes(name).to_vec());
        if directory.is_dir() {
            directories.insert(directory.to_owned());
            return;
        }
        path = directory;
    }
}
