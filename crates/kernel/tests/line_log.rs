//! Logs that many write to and others follow.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use pontoon_kernel::line_log::{Follower, LineLog, LineLogError, Piece, Start};

/// A folder of its own, which goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("pontoon-line-log-{name}-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn log(&self) -> PathBuf {
        self.0.join("events.log")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn read(follower: &mut Follower) -> Vec<String> {
    let mut found = Vec::new();
    let take = |piece: Piece<'_>| -> Result<(), LineLogError> {
        found.push(match piece {
            Piece::Line(line) => String::from_utf8(line.to_vec()).unwrap(),
            Piece::Torn(length) => format!("torn {length}"),
            Piece::Gap => "gap".into(),
        });
        Ok(())
    };
    follower.read(take).unwrap();
    found
}

fn lines(path: &Path) -> Vec<String> {
    fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

#[test]
fn fifty_writers_lose_nothing_and_tear_nothing() {
    const WRITERS: usize = 50;
    const EACH: usize = 60;
    // Within this of each other, the writers and the reader are never two files apart.
    const AHEAD: usize = 200;
    let folder = Folder::new("writers");
    let log = LineLog::new(folder.log(), 32 * 1024);
    let mut follower = Follower::open(&folder.log(), Start::Now).unwrap();
    let (written, seen) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let mut found = Vec::new();
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (log, written, seen) = (&log, &written, &seen);
            scope.spawn(move || {
                for number in 0..EACH {
                    while written.load(Ordering::SeqCst) > seen.load(Ordering::SeqCst) + AHEAD {
                        thread::sleep(Duration::from_micros(100));
                    }
                    written.fetch_add(1, Ordering::SeqCst);
                    log.append(format!("{writer}:{number}:{}\n", "x".repeat(80)).as_bytes()).unwrap();
                }
            });
        }
        let start = Instant::now();
        while found.len() < WRITERS * EACH && start.elapsed() < Duration::from_secs(60) {
            follower.wait(Some(Duration::from_secs(1))).unwrap();
            found.extend(read(&mut follower));
            seen.store(found.len(), Ordering::SeqCst);
        }
    });
    assert!(folder.0.join("events.log.1").exists(), "it was never put aside");
    assert!(!found.iter().any(|line| line == "gap" || line.starts_with("torn")));
    let distinct: BTreeSet<&String> = found.iter().collect();
    assert_eq!((found.len(), distinct.len()), (WRITERS * EACH, WRITERS * EACH));
    for writer in 0..WRITERS {
        let own = found.iter().filter(|line| line.starts_with(&format!("{writer}:")));
        let numbers: Vec<usize> = own.map(|line| line.split(':').nth(1).unwrap().parse().unwrap()).collect();
        assert_eq!(numbers, (0..EACH).collect::<Vec<_>>(), "writer {writer}: in the order of writing");
    }
}

#[test]
fn of_the_past_what_is_kept_is_read_in_order() {
    let folder = Folder::new("past");
    let log = LineLog::new(folder.log(), 8);
    for line in ["one", "two", "three", "four", "five"] {
        log.append(format!("{line}\n").as_bytes()).unwrap();
    }
    assert_eq!(lines(&folder.0.join("events.log.1")), ["three", "four"]);
    let mut follower = Follower::open(&folder.log(), Start::Oldest).unwrap();
    assert_eq!(read(&mut follower), ["three", "four", "five"]);
    assert_eq!(read(&mut follower), [""; 0]);
    log.append(b"six\nseven\n").unwrap();
    assert_eq!(read(&mut follower), ["six", "seven"]);
    log.append(b"eight\n").unwrap();
    assert_eq!(read(&mut follower), ["eight"]);
    let mut follower = Follower::open(&folder.log(), Start::Now).unwrap();
    assert_eq!(read(&mut follower), [""; 0]);
    log.append(b"nine\n").unwrap();
    assert_eq!(read(&mut follower), ["nine"]);
}

#[test]
fn who_is_left_behind_is_told() {
    let folder = Folder::new("behind");
    let log = LineLog::new(folder.log(), 4);
    log.append(b"a\n").unwrap();
    let mut follower = Follower::open(&folder.log(), Start::Oldest).unwrap();
    assert_eq!(read(&mut follower), ["a"]);
    for line in ["b\n", "c\n", "d\n", "e\n", "f\n", "g\n"] {
        log.append(line.as_bytes()).unwrap();
    }
    // Two lines fill a file: the one that had `c` and `d` is gone.
    assert_eq!(read(&mut follower), ["b", "gap", "e", "f", "g"]);
}

#[test]
fn a_log_may_come_and_go() {
    let folder = Folder::new("come");
    let inner = folder.0.join("run");
    let path = inner.join("events.log");
    let mut follower = Follower::open(&path, Start::Now).unwrap();
    assert_eq!(read(&mut follower), [""; 0]);
    fs::create_dir(&inner).unwrap();
    let log = LineLog::new(path.clone(), 1000);
    log.append(b"a\n").unwrap();
    assert_eq!(read(&mut follower), ["a"], "also where nothing was watched yet");
    follower.wait(Some(Duration::ZERO)).unwrap();
    fs::remove_file(&path).unwrap();
    assert_eq!(read(&mut follower), [""; 0]);
    log.append(b"longer\n").unwrap();
    assert_eq!(read(&mut follower), ["longer"]);
    fs::File::create(&path).unwrap();
    log.append(b"c\n").unwrap();
    assert_eq!(read(&mut follower), ["c"], "emptied by somebody");
    fs::remove_dir_all(&inner).unwrap();
    follower.wait(Some(Duration::from_secs(5))).unwrap();
    fs::create_dir(&inner).unwrap();
    log.append(b"d\n").unwrap();
    follower.wait(Some(Duration::from_secs(5))).unwrap();
    assert_eq!(read(&mut follower), ["d"]);
}

#[test]
fn a_wait_ends_with_what_is_written() {
    let folder = Folder::new("wait");
    let log = LineLog::new(folder.log(), 1000);
    let mut follower = Follower::open(&folder.log(), Start::Now).unwrap();
    let start = Instant::now();
    fs::write(folder.0.join("other"), "x").unwrap();
    follower.wait(Some(Duration::from_millis(50))).unwrap();
    assert!(start.elapsed() >= Duration::from_millis(50), "other files do not end it");
    let writer = thread::spawn(move || {
        thread::sleep(Duration::from_millis(50));
        log.append(b"a\n").unwrap();
    });
    follower.wait(Some(Duration::from_secs(20))).unwrap();
    assert!(start.elapsed() < Duration::from_secs(10));
    writer.join().unwrap();
    assert_eq!(read(&mut follower), ["a"]);
}

#[test]
fn half_a_line_waits_for_its_end_and_is_told_of_when_there_is_none() {
    let folder = Folder::new("torn");
    let mut follower = Follower::open(&folder.log(), Start::Oldest).unwrap();
    let mut raw = fs::File::options().append(true).create(true).open(folder.log()).unwrap();
    raw.write_all(b"one\ntw").unwrap();
    assert_eq!(read(&mut follower), ["one"]);
    raw.write_all(b"o\nthr").unwrap();
    assert_eq!(read(&mut follower), ["two"]);
    fs::rename(folder.log(), folder.0.join("events.log.1")).unwrap();
    fs::write(folder.log(), "four\n").unwrap();
    assert_eq!(read(&mut follower), ["torn 3", "four"]);
    let mut raw = fs::File::options().append(true).open(folder.log()).unwrap();
    raw.write_all(&vec![b'x'; 3 << 20]).unwrap();
    assert_eq!(read(&mut follower), [""; 0]);
    raw.write_all(b"\nfive\n").unwrap();
    assert_eq!(read(&mut follower), [&format!("torn {}", 3 << 20), "five"]);
}

#[test]
fn only_its_owner_and_group_may_read_it_and_a_link_is_not_followed() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let folder = Folder::new("mode");
    LineLog::new(folder.log(), 1000).append(b"a\n").unwrap();
    let mode = fs::metadata(folder.log()).unwrap().permissions().mode();
    assert_eq!(mode & 0o137, 0, "{mode:o}");
    fs::remove_file(folder.log()).unwrap();
    symlink(folder.0.join("elsewhere"), folder.log()).unwrap();
    assert!(LineLog::new(folder.log(), 1000).append(b"a\n").is_err());
    assert!(!folder.0.join("elsewhere").exists());
}

/// Not a limit that a busy machine keeps: a tenth of what an attach takes would be too much.
#[test]
fn a_line_costs_microseconds() {
    let folder = Folder::new("cost");
    let log = LineLog::new(folder.log(), 4 << 20);
    let line = format!("{}\n", "x".repeat(400));
    let mut best = Duration::MAX;
    for _ in 0..20 {
        let start = Instant::now();
        (0..50).for_each(|_| log.append(line.as_bytes()).unwrap());
        best = best.min(start.elapsed() / 50);
    }
    println!("{best:?}");
    assert!(best < Duration::from_micros(60), "{best:?}");
}
