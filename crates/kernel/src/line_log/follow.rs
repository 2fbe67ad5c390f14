//! The reading end.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;

use super::{Identity, LineLogError, older};

/// Longer lines are passed over: nobody writes them.
const LONGEST: usize = 1 << 20;
/// How much is read at a time.
const PIECE: usize = 64 * 1024;
/// How often it is looked again for a folder that is not there, and cannot be watched.
const LOOK: Duration = Duration::from_millis(100);
/// How often it is looked whether the folder that is watched is still the one. The kernel does not tell as long as a
/// file of it is open.
const CHECK: Duration = Duration::from_secs(2);

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With the oldest line that is kept.
    Oldest,
    /// With what is written from now on.
    Now,
}

/// What was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A line, without its end.
    Line(&'a [u8]),
    /// So many bytes without an end: its writer was cut short, or it is longer than any line.
    Torn(usize),
    /// More was written than is kept: lines may be missing here.
    Gap,
}

/// One who reads a log line by line, each once, while it is written and put aside.
#[derive(Debug)]
pub struct Follower {
    path: PathBuf,
    /// What is being read.
    current: Option<File>,
    /// What was read last, as long as nothing is being read.
    last: Option<Identity>,
    /// The older file, when it was looked for the last time.
    before: Option<Identity>,
    /// The beginning of a line whose end is not there yet.
    pending: Vec<u8>,
    /// Whether the line that is pending is too long to be kept.
    overlong: usize,
    watch: Option<Watch>,
}

impl Follower {
    /// Opens the log at `path`, which need not be there yet.
    ///
    /// # Errors
    ///
    /// If it is there and may not be read.
    pub fn open(path: &Path, start: Start) -> Result<Self, LineLogError> {
        let mut follower = Self {
            path: path.to_owned(),
            current: None,
            last: None,
            before: None,
            pending: Vec::new(),
            overlong: 0,
            watch: None,
        };
        follower.begin(start).map_err(|source| follower.failed("read", source))?;
        Ok(follower)
    }

    fn begin(&mut self, start: Start) -> io::Result<()> {
        // Watched before it is read: what comes in between is noticed.
        self.watch = watch(&self.path)?;
        match start {
            Start::Oldest => {
                let [older, newer] = self.both()?;
                self.current = older.or(newer);
            }
            Start::Now => {
                let [_, newer] = self.both()?;
                self.last = self.before;
                self.current = newer;
                if let Some(file) = &mut self.current {
                    file.seek(SeekFrom::End(0))?;
                }
            }
        }
        Ok(())
    }

    /// Reads what is there and hands it on, in order, piece by piece.
    ///
    /// # Errors
    ///
    /// Those of `take`; if the log can no longer be read.
    pub fn read<E: From<LineLogError>>(
        &mut self,
        mut take: impl FnMut(Piece<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        loop {
            // Asked before the rest is read: nothing is added to a file that has lost its name.
            let put_aside = self.is_put_aside().map_err(|source| self.failed("look at", source))?;
            while self.fill().map_err(|source| self.failed("read", source))? {
                self.hand_on(&mut take)?;
            }
            if !put_aside {
                return Ok(());
            }
            let torn = std::mem::take(&mut self.pending).len() + std::mem::take(&mut self.overlong);
            if torn > 0 {
                take(Piece::Torn(torn))?;
            }
            let follows = self.go_on().map_err(|source| self.failed("read", source))?;
            if !follows {
                take(Piece::Gap)?;
            }
            if self.current.is_none() {
                return Ok(());
            }
        }
    }

    /// Waits until something was written, for `at_most` that long. It may return early.
    ///
    /// # Errors
    ///
    /// If the kernel cannot be asked.
    pub fn wait(&mut self, at_most: Option<Duration>) -> Result<(), LineLogError> {
        self.wait_until(at_most.map(|span| Instant::now() + span))
            .map_err(|source| self.failed("watch", source))
    }

    fn wait_until(&mut self, deadline: Option<Instant>) -> io::Result<()> {
        let name = self.path.file_name().unwrap_or_default().to_owned();
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let folder = Identity::at(folder(&self.path))?;
            let Some(Watch { fd, .. }) = self.watch.as_ref().filter(|watch| folder == Some(watch.folder))
            else {
                std::thread::sleep(left.map_or(LOOK, |left| left.min(LOOK)));
                self.watch = watch(&self.path)?;
                return Ok(());
            };
            let mut events = [PollFd::new(fd, PollFlags::IN)];
            let span = timespec(left.map_or(CHECK, |left| left.min(CHECK)));
            match poll(&mut events, Some(&span)) {
                Ok(0) => return Ok(()),
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
            match heard(fd, name.as_encoded_bytes())? {
                Heard::Log => return Ok(()),
                Heard::Other => {}
                Heard::FolderGone => {
                    self.watch = None;
                    return Ok(());
                }
            }
        }
    }

    /// Whether what is being read has lost its name, or something is there to be read at last.
    fn is_put_aside(&self) -> io::Result<bool> {
        let named = Identity::at(&self.path)?;
        match &self.current {
            Some(file) => Ok(named != Some(Identity::of_file(file)?)),
            None => Ok(named.is_some()),
        }
    }

    /// Goes on with the next file. Whether it is the one that follows.
    fn go_on(&mut self) -> io::Result<bool> {
        if let Some(file) = self.current.take() {
            self.last = Some(Identity::of_file(&file)?);
        }
        let before = self.before;
        let [older, newer] = self.both()?;
        // Where the older one is still what it was, somebody has removed the log by hand.
        let follows = self.before == self.last || self.before == before;
        self.current = if follows { newer } else { older.or(newer) };
        Ok(follows)
    }

    /// The older and the newer of the two files, at one moment.
    fn both(&mut self) -> io::Result<[Option<File>; 2]> {
        let older_path = older(&self.path);
        loop {
            let older = open(&older_path)?;
            let newer = open(&self.path)?;
            self.before = older.as_ref().map(Identity::of_file).transpose()?;
            if Identity::at(&older_path)? == self.before {
                return Ok([older, newer]);
            }
        }
    }

    /// Reads a piece. Whether there was one.
    fn fill(&mut self) -> io::Result<bool> {
        let Some(file) = &mut self.current else { return Ok(false) };
        let length = file.metadata()?.len();
        if file.stream_position()? > length {
            // Somebody has emptied it.
            file.seek(SeekFrom::Start(0))?;
            self.pending.clear();
            self.overlong = 0;
        }
        let read = file.take(PIECE as u64).read_to_end(&mut self.pending)?;
        Ok(read > 0)
    }

    fn hand_on<E>(&mut self, take: &mut impl FnMut(Piece<'_>) -> Result<(), E>) -> Result<(), E> {
        let mut start = 0;
        while let Some(length) = self.pending[start..].iter().position(|byte| *byte == b'\n') {
            let line = &self.pending[start..start + length];
            start += length + 1;
            match std::mem::take(&mut self.overlong) {
                0 if line.is_empty() => {}
                0 => take(Piece::Line(line))?,
                before => take(Piece::Torn(before + length))?,
            }
        }
        self.pending.drain(..start);
        if self.pending.len() > LONGEST || self.overlong > 0 {
            self.overlong += self.pending.len();
            self.pending.clear();
        }
        Ok(())
    }

    fn failed(&self, operation: &'static str, source: io::Error) -> LineLogError {
        LineLogError { operation, path: self.path.clone(), source }
    }
}

/// What a watch tells of.
enum Heard {
    /// The log.
    Log,
    /// Another file of the folder.
    Other,
    /// The folder was removed.
    FolderGone,
}

fn open(path: &Path) -> io::Result<Option<File>> {
    match OpenOptions::new().read(true).custom_flags(OFlags::NOFOLLOW.bits() as i32).open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The folder of the log under watch: the log itself changes.
#[derive(Debug)]
struct Watch {
    fd: OwnedFd,
    folder: Identity,
}

fn folder(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}

/// Watches the folder of the log, if it is there.
fn watch(path: &Path) -> io::Result<Option<Watch>> {
    let path = folder(path);
    let Some(folder) = Identity::at(path)? else { return Ok(None) };
    let fd = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
    let events = WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::DELETE_SELF;
    match inotify::add_watch(&fd, path, events | WatchFlags::ONLYDIR) {
        Ok(_) => Ok(Some(Watch { fd, folder })),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// Takes in what a watch has to tell.
fn heard(watch: &OwnedFd, name: &[u8]) -> io::Result<Heard> {
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut reader = inotify::Reader::new(watch, &mut buffer);
    let mut heard = Heard::Other;
    loop {
        match reader.next() {
            Ok(event) if event.events().intersects(inotify::ReadFlags::DELETE_SELF) => {
                heard = Heard::FolderGone;
            }
            // More happened than the kernel kept.
            Ok(event) if event.events().intersects(inotify::ReadFlags::QUEUE_OVERFLOW) => heard = Heard::Log,
            Ok(event) => {
                if event.file_name().is_some_and(|file| file.to_bytes() == name) {
                    heard = Heard::Log;
                }
            }
            Err(Errno::WOULDBLOCK) => return Ok(heard),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

fn timespec(span: Duration) -> Timespec {
    // The part of a nanosecond count below a second fits.
    let tv_sec = span.as_secs().try_into().unwrap_or(i64::MAX);
    Timespec { tv_sec, tv_nsec: span.subsec_nanos().into() }
}
