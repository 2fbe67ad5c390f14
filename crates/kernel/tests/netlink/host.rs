//! Throw-away hosts: a test runs itself again in user, mount and network namespaces of its own.

use std::process::{Child, Command, Stdio};

use serde_json::Value;

const MARK: &str = "PONTOON_TEST_HOST";

/// Runs `body` as root of a new host without any interface but `lo`. `name` is the test's full name.
///
/// Where the host cannot be made, the test fails and says what is missing.
pub(crate) fn in_new_host(name: &str, body: impl FnOnce()) {
    if std::env::var(MARK).as_deref() == Ok(name) {
        return body();
    }
    let program = std::env::current_exe().expect("the test knows its own program");
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--net", "--mount"])
        .arg(program)
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(MARK, name)
        .output()
        .expect("the tool `unshare` (util-linux) is needed");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(
        !err.contains("unshare: unshare failed"),
        "user namespaces are needed (kernel.unprivileged_userns_clone, user.max_user_namespaces): {err}"
    );
    assert!(output.status.success(), "in its own host, {name} failed:\n{out}\n{err}");
    assert!(out.contains("1 passed"), "there is no test {name}:\n{out}");
}

/// Runs a tool and returns what it printed; fails with what it said.
pub(crate) fn tool(line: &str) -> String {
    let mut words = line.split_whitespace();
    let program = words.next().expect("a command");
    let output = Command::new(program)
        .args(words)
        .output()
        .unwrap_or_else(|error| panic!("the tool `{program}` is needed: {error}"));
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "`{line}` failed: {err}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs a tool that prints JSON.
pub(crate) fn json(line: &str) -> Value {
    let text = tool(line);
    let text = if text.trim().is_empty() { "[]" } else { &text };
    serde_json::from_str(text).unwrap_or_else(|error| panic!("`{line}` printed no JSON: {error}: {text}"))
}

/// The one object of a JSON list, without the empty objects that `ip` leaves where it filters.
pub(crate) fn only(line: &str) -> Value {
    let list = json(line);
    let mut objects =
        list.as_array().expect("a list").iter().filter(|value| **value != serde_json::json!({}));
    let first = objects.next().unwrap_or_else(|| panic!("`{line}` found nothing")).clone();
    assert_eq!(objects.next(), None, "`{line}` found several");
    first
}

/// A second network namespace, which lasts as long as this value.
pub(crate) struct OtherNamespace {
    holder: Child,
}

impl OtherNamespace {
    pub(crate) fn new() -> Self {
        let holder = Command::new("unshare")
            .args(["--net", "sleep", "600"])
            .stdout(Stdio::null())
            .spawn()
            .expect("the tool `unshare` (util-linux) is needed");
        let other = Self { holder };
        let own = std::fs::read_link("/proc/self/ns/net").expect("/proc is mounted");
        while std::fs::read_link(other.path()).is_ok_and(|link| link == own) {
            std::thread::yield_now();
        }
        other
    }

    pub(crate) fn path(&self) -> String {
        format!("/proc/{}/ns/net", self.holder.id())
    }

    pub(crate) fn file(&self) -> std::fs::File {
        std::fs::File::open(self.path()).expect("the namespace can be opened")
    }

    /// A command line that runs `line` inside.
    pub(crate) fn line(&self, line: &str) -> String {
        format!("nsenter --net={} {line}", self.path())
    }
}

impl Drop for OtherNamespace {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is gone after the wait.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
