//! The program as a person uses it, on throw-away hosts: see the tests.

pub mod docker;
pub mod groups;
pub mod podman;

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use pontoon_testkit::{Host, Snapshot};
use serde_json::Value;

/// The program under test on a host.
#[derive(Debug)]
pub struct Pontoon<'a> {
    host: &'a Host,
    root: Option<String>,
}

impl<'a> Pontoon<'a> {
    /// With its state in the default places.
    pub fn on(host: &'a Host) -> Self {
        Self { host, root: None }
    }

    /// With all of its state in a folder.
    pub fn with_root(host: &'a Host, root: &str) -> Self {
        Self { host, root: Some(root.to_owned()) }
    }

    /// Web and db on network blue with a way out, and nobody who repairs: 10.5.0.2 and 10.5.0.3 by bridge blue0; web's
    /// port 80 is the host's 8080.
    #[track_caller]
    pub fn with_web_and_db(host: &'a Host) -> Self {
        host.uplink();
        let pontoon = Self::on(host);
        pontoon.run("network create --subnet 10.5.0.0/24 -o com.docker.network.bridge.name=blue0 -o pontoon.dns=false blue");
        pontoon.run("run -d --name web --network blue:ip=10.5.0.2 -p 8080:80 -- sleep 1000");
        pontoon.run("run -d --name db --network blue:ip=10.5.0.3 -- sleep 1000");
        pontoon
    }

    /// The command line, not started yet. Words are split at spaces; `'…'` keeps them together.
    pub fn command(&self, words: &str) -> Command {
        let mut command = self.host.program(&program());
        command.envs(self.root.iter().map(|root| ("PONTOON_ROOT", root)));
        command.args(split(words));
        command
    }

    /// Runs it, whatever comes of it.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    #[track_caller]
    pub fn attempt(&self, words: &str) -> Output {
        self.command(words).output().expect("the program under test starts")
    }

    /// Runs it and returns what it printed, without the last line's end.
    ///
    /// # Panics
    ///
    /// When it fails, or warns.
    #[track_caller]
    pub fn run(&self, words: &str) -> String {
        let output = self.attempt(words);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "pontoon {words}: {}\n{errors}", output.status);
        assert!(errors.is_empty(), "pontoon {words} said:\n{errors}");
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// Runs it and returns the JSON that it printed.
    ///
    /// # Panics
    ///
    /// When it fails or prints something else.
    #[track_caller]
    pub fn json(&self, words: &str) -> Value {
        let text = self.run(words);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("pontoon {words}: {error}\n{text}"))
    }

    /// Runs it, expects failure, and returns the exit code and what it said.
    ///
    /// # Panics
    ///
    /// When it succeeds or is killed.
    #[track_caller]
    pub fn fail(&self, words: &str) -> (i32, String) {
        let output = self.attempt(words);
        assert!(
            !output.status.success(),
            "pontoon {words} succeeded:\n{}",
            String::from_utf8_lossy(&output.stdout)
        );
        let code =
            output.status.code().unwrap_or_else(|| panic!("pontoon {words} was killed: {}", output.status));
        (code, String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// Starts it beside the test.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    #[track_caller]
    pub fn start(&self, words: &str) -> std::process::Child {
        let mut command = self.command(words);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("the program under test starts")
    }

    /// A container's IPv4 address on a network.
    ///
    /// # Panics
    ///
    /// When it has none there.
    #[track_caller]
    pub fn address(&self, network: &str, container: &str) -> String {
        self.member(network, container, "IPv4Address")
    }

    /// A container's IPv6 address on a network.
    ///
    /// # Panics
    ///
    /// When it has none there.
    #[track_caller]
    pub fn address6(&self, network: &str, container: &str) -> String {
        self.member(network, container, "IPv6Address")
    }

    #[track_caller]
    fn member(&self, network: &str, container: &str, key: &str) -> String {
        let inspected = self.json(&format!("network inspect {network}"));
        let members = inspected[0]["Containers"].as_object().expect("networks have containers");
        let found = members.values().find(|member| member["Name"] == container);
        let found = found.unwrap_or_else(|| panic!("{container} is not on {network}: {inspected:#}"));
        let address = found[key].as_str().unwrap_or_default();
        address
            .split('/')
            .next()
            .filter(|text| !text.is_empty())
            .unwrap_or_else(|| panic!("no {key}: {found:#}"))
            .to_owned()
    }
}

/// What `dig` is told in a place, short: a line for each record of the answer; nothing where none comes.
pub fn dig(host: &Host, place: &str, words: &str) -> String {
    host.need("dig");
    let output = host.try_sh_in(place, &format!("dig +short +tries=1 +timeout=2 {words}"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // What dig says of itself begins with semicolons.
    text.lines().filter(|line| !line.starts_with(";;")).collect::<Vec<_>>().join("\n")
}

/// Waits, for three seconds at the most, until something is so.
///
/// # Panics
///
/// When it does not become so.
#[track_caller]
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(3), "{what}: not so after three seconds");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A host's state but for Pontoon's own files, once the folder for namespaces' names is set up as `ip netns` does it:
/// that stays for good, whoever did it first.
pub fn state(host: &Host) -> Snapshot {
    if !std::path::Path::new("/run/netns").exists() {
        host.sh("ip netns add probe && ip netns delete probe");
    }
    host.snapshot().without("/run/pontoon")
}

/// Waits until a host is as it was, for three seconds at the most.
///
/// # Panics
///
/// When it does not become so; with the differences.
#[track_caller]
pub fn becomes_as_before(host: &Host, before: &Snapshot) {
    let start = Instant::now();
    while !before.changes(&state(host)).is_empty() && start.elapsed() < Duration::from_secs(3) {
        std::thread::sleep(Duration::from_millis(20));
    }
    before.assert_unchanged(&state(host));
}

/// The program under test: the one that `PONTOON_BIN` names, or the one built beside the test.
///
/// # Panics
///
/// When there is none.
pub fn program() -> PathBuf {
    if let Some(named) = std::env::var_os("PONTOON_BIN") {
        return named.into();
    }
    let test = std::env::current_exe().expect("a test has a binary");
    let built = test.ancestors().nth(2).expect("it is in target/PROFILE/deps").join("pontoon");
    assert!(built.exists(), "{} is not there: build it with `cargo build --bin pontoon`", built.display());
    built
}

fn split(words: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (index, part) in words.split('\'').enumerate() {
        if index % 2 == 1 {
            found.push(part.to_owned());
        } else {
            found.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    found
}
