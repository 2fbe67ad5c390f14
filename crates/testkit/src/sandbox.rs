//! Running one test of a test binary in a lab of its own.

use std::fs::{self, File};
use std::io::{Read, Seek};
use std::os::unix::process::CommandExt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use pontoon_kernel::lab;
use pontoon_model::Diagnose;

use crate::Host;

/// Names the test that a process in a sandbox is to run.
const INSIDE: &str = "PONTOON_TESTKIT_INSIDE";
/// Keeps the sandbox of a test that fails.
const HOLD: &str = "PONTOON_TEST_HOLD";
/// No test takes longer, unless somebody looks at it.
const LIMIT: Duration = Duration::from_secs(180);

/// Declares tests that run in a sandbox each; see the crate's page.
#[macro_export]
macro_rules! sandboxed {
    ($($(#[$meta:meta])* fn $name:ident($host:ident: Host) $body:block)+) => {$(
        #[test]
        $(#[$meta])*
        fn $name() {
            $crate::run(concat!(module_path!(), "::", stringify!($name)), |$host: $crate::Host| $body);
        }
    )+};
}

/// Whether this process is a test's in its sandbox.
pub(crate) fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Runs `body` in a sandbox: [`sandboxed!`] expands to this. `path` is the test's, with its crate in front.
///
/// The test binary is run again inside, for this test alone, so that `body` starts in a fresh process.
///
/// # Panics
///
/// When the test fails, or its sandbox cannot be made.
pub fn run(path: &str, body: impl FnOnce(Host)) {
    if std::env::var(INSIDE).as_deref() == Ok(path) {
        return inside(body);
    }
    let (_, test) = path.split_once("::").expect("a path has a crate in front");
    let mut output = output_file();
    let binary = std::env::current_exe().expect("a test has a binary");
    // Built before the fork, so that nothing but exec is left to do after it.
    let mut command = Command::new(binary);
    command
        .args(["--exact", test, "--nocapture", "--test-threads=1", "--include-ignored"])
        .env(INSIDE, path)
        .stdout(output.try_clone().expect("a descriptor is left"))
        .stderr(output.try_clone().expect("a descriptor is left"));
    let sandbox = lab::spawn(&options(), || {
        eprintln!("could not run the test binary again: {}", command.exec());
        126
    });
    let sandbox = sandbox.unwrap_or_else(|error| {
        let hint = error.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
        panic!("no sandbox for the test: {error}{hint}")
    });
    // The keeper of the lab is in all its namespaces but that of the pids, in which its children are born.
    let pid = sandbox.pid();
    let enter = format!(
        "nsenter --target {pid} --user --mount --net --uts --ipc --pid=/proc/{pid}/ns/pid_for_children"
    );
    if std::env::var_os(HOLD).is_some() {
        eprintln!("{test}: {enter}");
    } else if !sandbox.process().wait_gone(LIMIT).expect("a child can be waited for") {
        sandbox.process().signal(9).expect("a child can be killed");
    }
    let status = sandbox.wait().expect("a child can be waited for");
    output.rewind().expect("the output is a file");
    let mut text = Vec::new();
    output.read_to_end(&mut text).expect("the output is a file");
    let text = String::from_utf8_lossy(&text);
    assert!(
        status.success() && text.contains("1 passed"),
        "{test} failed in its sandbox ({status:?}):\n{text}\n{HOLD}=1 keeps the sandbox, to be entered by `{}`",
        enter.replace(&pid.to_string(), "PID"),
    );
}

fn inside(body: impl FnOnce(Host)) {
    own_files();
    let outcome = catch_unwind(AssertUnwindSafe(|| body(Host::here())));
    let Err(panic) = outcome else { return };
    if std::env::var_os(HOLD).is_some() {
        eprintln!("the test failed; its sandbox is kept until you end it");
        loop {
            std::thread::park();
        }
    }
    resume_unwind(panic)
}

/// Puts copies in the place of the machine's files in `/etc`, so that a test that writes one does not write the
/// machine's. One that cannot be read, or let go of, is as it was: only read.
fn own_files() {
    let entries = fs::read_dir("/etc").expect("the sandbox has an /etc").filter_map(Result::ok);
    let files = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
    for path in files.map(|entry| entry.path()) {
        let (Ok(contents), Ok(found)) = (fs::read(&path), fs::metadata(&path)) else { continue };
        if rustix::mount::unmount(&path, rustix::mount::UnmountFlags::empty()).is_ok() {
            fs::write(&path, contents)
                .and_then(|()| fs::set_permissions(&path, found.permissions()))
                .unwrap_or_else(|error| panic!("a copy of {}: {error}", path.display()));
        }
    }
}

fn options() -> lab::Options {
    // What tests write in `/etc` itself stays in the sandbox; for its folders there is `Host::own`.
    lab::Options { hostname: "test".into(), mirrored: vec!["/etc".into()], ..lab::Options::default() }
}

/// A file without a name, so that a test that is killed leaves none.
fn output_file() -> File {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("pontoon-test-{}-{number}", std::process::id()));
    let file = File::options().read(true).append(true).create_new(true).open(&path);
    let file = file.expect("the temporary directory can be written to");
    fs::remove_file(&path).expect("the file was just made");
    file
}
