//! What `explain` says is what real packets meet; what it proposes, done as it is, lets them through.

mod firewalls;
mod nat;
mod overlapping;
mod picture;
mod routing;
mod segments;
mod sockets;

use pontoon_e2e::{Pontoon, program};
use pontoon_testkit::{Host, sandboxed};
use serde_json::Value;

/// What is explained, and the exit code.
#[track_caller]
fn explained(pontoon: &Pontoon<'_>, words: &str) -> (Value, i32) {
    let output = pontoon.attempt(&format!("explain --format json {words}"));
    let said = String::from_utf8_lossy(&output.stderr);
    let found = serde_json::from_slice(&output.stdout);
    (found.unwrap_or_else(|error| panic!("{words}: {error}\n{said}")), output.status.code().unwrap())
}

fn codes(explained: &Value) -> Vec<&str> {
    let findings = explained["findings"].as_array().unwrap().iter();
    findings.map(|finding| finding["code"].as_str().unwrap()).collect()
}

/// As a person sees it.
fn shown(pontoon: &Pontoon<'_>, words: &str) -> String {
    String::from_utf8_lossy(&pontoon.attempt(&format!("explain -v {words}")).stdout).into_owned()
}

#[track_caller]
fn is_reachable(pontoon: &Pontoon<'_>, words: &str) {
    let (found, code) = explained(pontoon, words);
    assert!(
        code == 0 && found["verdict"] == "reachable" && codes(&found).is_empty(),
        "{words}: {code}\n{}",
        shown(pontoon, words)
    );
}

/// It is not reachable, by this of all codes, and the commands that are proposed.
#[track_caller]
fn blocked(pontoon: &Pontoon<'_>, words: &str, code: &str) -> Vec<String> {
    let (found, exit) = explained(pontoon, words);
    assert!(
        exit == 1 && found["verdict"] == "unreachable" && codes(&found).contains(&code),
        "{words}: {exit}, not {code}\n{}",
        shown(pontoon, words)
    );
    let blocks =
        found["findings"].as_array().unwrap().iter().filter(|finding| finding["severity"] == "blocks");
    let mut commands: Vec<String> = Vec::new();
    for command in blocks.flat_map(|finding| finding["fix"].as_array().unwrap()) {
        let command = command.as_str().unwrap().to_owned();
        if !commands.contains(&command) {
            commands.push(command);
        }
    }
    commands
}

/// Runs what was proposed, as it is.
#[track_caller]
fn run_all(host: &Host, commands: &[String]) {
    let program = program();
    let folder = program.parent().unwrap().display();
    for command in commands {
        host.sh(&format!("PATH=\"{folder}:$PATH\"; {command}"));
    }
}

/// Who is asked about, and how real packets tell.
struct Way<'a> {
    host: &'a Host,
    pontoon: &'a Pontoon<'a>,
    /// What `explain` is asked.
    words: &'a str,
    /// Whether a real packet passes.
    passes: &'a dyn Fn() -> bool,
}

impl Way<'_> {
    /// Packets pass; after `inject` they do not and `explain` says why; after what it proposes they do.
    #[track_caller]
    fn mends(&self, inject: &str, codes: &[&str]) {
        let Way { host, pontoon, words, passes } = self;
        assert!(passes(), "before `{inject}`: real packets do not pass");
        is_reachable(pontoon, words);
        host.sh(inject);
        assert!(!passes(), "after `{inject}`: real packets pass");
        let before = shown(pontoon, words);
        let mut commands = Vec::new();
        for code in codes {
            commands = blocked(pontoon, words, code);
        }
        assert!(!commands.is_empty(), "{codes:?}: nothing is proposed\n{before}");
        run_all(host, &commands);
        assert!((0..5).any(|_| passes()), "after {commands:#?} real packets do not pass\n{before}");
        is_reachable(pontoon, words);
    }
}

/// Web to a server outside.
#[track_caller]
fn out(inject: &'static str, codes: &'static [&'static str]) -> impl Fn(Host) {
    move |host| {
        let pontoon = Pontoon::with_web_and_db(&host);
        let passes = || host.pings("web", "198.51.100.10");
        Way { host: &host, pontoon: &pontoon, words: "web 198.51.100.10", passes: &passes }
            .mends(inject, codes);
    }
}

/// Db to web, on one bridge.
#[track_caller]
fn within(inject: &'static str, codes: &'static [&'static str]) -> impl Fn(Host) {
    move |host| {
        let pontoon = Pontoon::with_web_and_db(&host);
        let passes = || host.pings("db", "10.5.0.2");
        Way { host: &host, pontoon: &pontoon, words: "db web", passes: &passes }.mends(inject, codes);
    }
}

/// The host to web.
#[track_caller]
fn into(inject: &'static str, codes: &'static [&'static str]) -> impl Fn(Host) {
    move |host| {
        let pontoon = Pontoon::with_web_and_db(&host);
        let passes = || host.pings("host", "10.5.0.2");
        Way { host: &host, pontoon: &pontoon, words: "host web", passes: &passes }.mends(inject, codes);
    }
}

/// A fixed name for web's port on the bridge, in a shell command.
const PORT: &str =
    "port=$(ip -o link show master blue0 | grep 'link-netns web' | grep -o 'veth[0-9a-f]*' | head -1);";

sandboxed! {
    fn what_works_is_said_to_work(host: Host) {
        let pontoon = Pontoon::with_web_and_db(&host);
        let _server = host.serve("web", 80, "web");
        let _outside = host.serve("outside", 443, "outside");
        assert!(host.pings("web", "10.5.0.3"));
        is_reachable(&pontoon, "web db");
        assert_eq!(host.fetch("db", "10.5.0.2:80").unwrap().text, "web");
        is_reachable(&pontoon, "db web:80");
        assert!(host.pings("web", "198.51.100.10"));
        is_reachable(&pontoon, "web 198.51.100.10");
        is_reachable(&pontoon, "web outside");
        assert_eq!(host.fetch("web", "198.51.100.10:443").unwrap().text, "outside");
        is_reachable(&pontoon, "web 198.51.100.10:443");
        assert!(host.pings("host", "10.5.0.2") && host.pings("web", "10.5.0.1"));
        is_reachable(&pontoon, "host web:80");
        is_reachable(&pontoon, "web host");
        assert_eq!(host.fetch("outside", "192.0.2.2:8080").unwrap().text, "web");
        is_reachable(&pontoon, "198.51.100.10 192.0.2.2:8080");
        is_reachable(&pontoon, "outside web:80");
        assert_eq!(host.fetch("host", "127.0.0.1:8080").unwrap().text, "web");
        is_reachable(&pontoon, "host 127.0.0.1:8080");
        assert_eq!(host.fetch("db", "10.5.0.1:8080").unwrap().text, "web");
        is_reachable(&pontoon, "db 10.5.0.1:8080");
        assert_eq!(host.fetch("web", "10.5.0.1:8080").unwrap().text, "web");
        is_reachable(&pontoon, "web 10.5.0.1:8080");
        // And what does not, not.
        assert!(host.fetch("db", "10.5.0.2:81").is_err());
        blocked(&pontoon, "db web:81", "nobody-listens");
        assert!(!host.pings("outside", "10.5.0.2"));
        blocked(&pontoon, "198.51.100.10 10.5.0.2", "no-route");
    }
}
