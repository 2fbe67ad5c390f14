//! Throw-away hosts for tests.
//!
//! A test that is written in [`sandboxed!`] runs as root in user, mount, network, host name, IPC and pid namespaces
//! of its own, made by [`pontoon_kernel::lab`]: it may do what it likes to its network, `/run` and
//! `/var/lib/pontoon`, in parallel with all others, and the machine never notices. It needs no root, where users
//! may make user namespaces.
//!
//! ```ignore
//! pontoon_testkit::sandboxed! {
//!     fn detach_leaves_no_trace(host: Host) {
//!         host.need("nft");
//!         let before = host.snapshot();
//!         // …
//!         before.assert_unchanged(&host.snapshot());
//!     }
//! }
//! ```
//!
//! With `PONTOON_TEST_HOLD=1`, a test that fails stays as it is, and the line to enter it with is printed.

mod http;
mod sandbox;
mod snapshot;
mod topology;

use std::cell::Cell;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use pontoon_kernel::netns::Netns;

pub use http::{Reply, Server, UdpServer};
pub use sandbox::run;
pub use snapshot::Snapshot;

/// Where tests find programs; `sbin` is missing from a user's PATH.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The throw-away host that a test runs in.
///
/// Where a method takes a place, it is `host`, the name of a namespace in `/run/netns`, or `pid:N`.
#[derive(Debug, Clone)]
pub struct Host {
    logs: Rc<Cell<u32>>,
}

impl Host {
    /// Only for a process that is in a sandbox.
    pub(crate) fn here() -> Host {
        fs::create_dir_all("/run/testkit").expect("/run is the sandbox's own");
        Host { logs: Rc::default() }
    }

    /// The same, for another thread of a test in a sandbox.
    ///
    /// # Panics
    ///
    /// When the process is not in one.
    pub fn shared() -> Host {
        assert!(sandbox::is_inside(), "only a test in a sandbox has a host");
        Host::here()
    }

    /// Fails the test, naming the tool, when `tool` is not installed.
    ///
    /// # Panics
    ///
    /// When it is not.
    #[track_caller]
    pub fn need(&self, tool: &str) {
        let found = PATH.split(':').any(|directory| Path::new(directory).join(tool).exists());
        assert!(found, "this test needs the program `{tool}`, which is not installed");
    }

    /// Runs a shell command on the host and returns what it printed.
    ///
    /// # Panics
    ///
    /// When the command fails; with what it wrote to standard error.
    #[track_caller]
    pub fn sh(&self, command: &str) -> String {
        self.sh_in("host", command)
    }

    /// Runs a shell command in the network namespace of a place, and returns what it printed.
    ///
    /// # Panics
    ///
    /// As [`Host::sh`].
    #[track_caller]
    pub fn sh_in(&self, place: &str, command: &str) -> String {
        let output = self.try_sh_in(place, command);
        assert!(
            output.status.success(),
            "`{command}` in {place}: {}\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs a shell command on the host, whatever comes of it.
    #[track_caller]
    pub fn try_sh(&self, command: &str) -> Output {
        self.try_sh_in("host", command)
    }

    /// Runs a shell command in the network namespace of a place, whatever comes of it.
    ///
    /// # Panics
    ///
    /// When there is no shell.
    #[track_caller]
    pub fn try_sh_in(&self, place: &str, command: &str) -> Output {
        shell(place, command).stdin(Stdio::null()).output().expect("sh and nsenter are installed")
    }

    /// Runs a shell command on the host and parses what it printed as JSON.
    ///
    /// # Panics
    ///
    /// As [`Host::sh`], or when that is no JSON.
    #[track_caller]
    pub fn json(&self, command: &str) -> serde_json::Value {
        self.json_in("host", command)
    }

    /// As [`Host::json`], in the network namespace of a place.
    ///
    /// # Panics
    ///
    /// As [`Host::json`].
    #[track_caller]
    pub fn json_in(&self, place: &str, command: &str) -> serde_json::Value {
        let text = self.sh_in(place, command);
        match text.trim() {
            // What iproute2 prints for an empty list.
            "" => serde_json::Value::Array(Vec::new()),
            text => serde_json::from_str(text).unwrap_or_else(|error| panic!("`{command}`: {error}: {text}")),
        }
    }

    /// Gives the host a copy of its own of a folder that is the machine's otherwise, such as `/etc/ufw`.
    ///
    /// # Panics
    ///
    /// When the folder is not there.
    #[track_caller]
    pub fn own(&self, folder: &str) {
        let copy = format!("/run/testkit/own{}", folder.replace('/', "-"));
        self.sh(&format!("cp -a {folder} {copy} && mount --bind {copy} {folder}"));
    }

    /// Starts a shell command on the host, to be killed with all it started when the guard is dropped.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    #[track_caller]
    pub fn background(&self, command: &str) -> Background {
        self.background_in("host", command)
    }

    /// As [`Host::background`], in the network namespace of a place.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    #[track_caller]
    pub fn background_in(&self, place: &str, command: &str) -> Background {
        self.logs.set(self.logs.get() + 1);
        let log = PathBuf::from(format!("/run/testkit/{}.log", self.logs.get()));
        let output = File::create(&log).expect("/run is the sandbox's own");
        let errors = output.try_clone().expect("a descriptor is left");
        let child = shell(place, command)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .process_group(0)
            .spawn()
            .expect("sh and nsenter are installed");
        Background { child, log }
    }

    /// Captures packets with tcpdump from before this returns.
    ///
    /// tcpdump insists on a change of groups, which only a sandbox that root made allows.
    ///
    /// # Panics
    ///
    /// When tcpdump is not installed or does not start within five seconds.
    #[track_caller]
    pub fn capture(&self, place: &str, interface: &str, filter: &str) -> Background {
        self.need("tcpdump");
        let command = format!("exec tcpdump -Z root -l -n -e --immediate-mode -i {interface} '{filter}'");
        let capture = self.background_in(place, &command);
        capture.wait_for("listening on");
        capture
    }

    /// The namespace of a place.
    ///
    /// # Panics
    ///
    /// When there is none.
    #[track_caller]
    pub fn netns(&self, place: &str) -> Netns {
        let opened = match place.strip_prefix("pid:") {
            Some(pid) => Netns::of_pid(pid.parse().expect("a pid is a number")),
            None if place == "host" => Netns::current(),
            None => Netns::open_name(place),
        };
        opened.unwrap_or_else(|error| panic!("the namespace `{place}`: {error}"))
    }

    /// Whether one ping gets its answer within a second.
    #[track_caller]
    pub fn pings(&self, place: &str, address: &str) -> bool {
        self.need("ping");
        self.try_sh_in(place, &format!("ping -n -c 1 -W 1 {address}")).status.success()
    }

    /// Waits, for five seconds at most, until `condition` holds.
    ///
    /// # Panics
    ///
    /// When it does not.
    #[track_caller]
    pub fn wait_until(&self, what: &str, condition: impl FnMut() -> bool) {
        assert!(becomes_true(condition), "after five seconds it is still not so that {what}");
    }

    /// The `pontoon` program that is under test: the one that `PONTOON_BIN` names.
    ///
    /// # Panics
    ///
    /// When the variable is not set. A test of the package that builds the program passes
    /// `env!("CARGO_BIN_EXE_pontoon")` to [`Host::program`] instead.
    #[track_caller]
    pub fn pontoon(&self) -> Command {
        let program = std::env::var_os("PONTOON_BIN").expect("PONTOON_BIN names the program under test");
        self.program(Path::new(&program))
    }

    /// A program to run on this host, without the variables that would change what it does.
    pub fn program(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env("PATH", PATH).env_remove("PONTOON_ROOT").env("NO_COLOR", "1").stdin(Stdio::null());
        command
    }
}

/// A command that runs beside the test, until this is dropped.
#[derive(Debug)]
pub struct Background {
    child: Child,
    log: PathBuf,
}

impl Background {
    /// What it printed up to now, errors included.
    pub fn output(&self) -> String {
        fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// The pid of its shell, or of what the shell became by `exec`.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until its output contains `text`.
    ///
    /// # Panics
    ///
    /// When that takes more than five seconds; with the output.
    #[track_caller]
    pub fn wait_for(&self, text: &str) {
        let said = becomes_true(|| self.output().contains(text));
        assert!(said, "it did not say `{text}`:\n{}", self.output());
    }

    /// Ends it now and returns what it printed.
    pub fn stop(mut self) -> String {
        self.kill();
        self.output()
    }

    fn kill(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            // The whole group: the command may have started others.
            let group = format!("-{}", self.child.id());
            let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
            let _ = self.child.wait();
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.kill();
    }
}

fn becomes_true(mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(5);
    while Instant::now() < deadline {
        if condition() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    condition()
}

fn shell(place: &str, command: &str) -> Command {
    let mut shell = match (place, place.strip_prefix("pid:")) {
        ("host", _) => Command::new("sh"),
        (_, Some(pid)) => nsenter(format!("/proc/{pid}/ns/net")),
        (name, None) => nsenter(format!("/run/netns/{name}")),
    };
    shell.args(["-ec", command]).env("PATH", PATH).env("LC_ALL", "C").env("NO_COLOR", "1");
    shell
}

fn nsenter(namespace: String) -> Command {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net={namespace}")).arg("sh");
    command
}
