//! Who talks to it, and in which words; and who may not.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::time::{Duration, Instant};

use pontoon_e2e::{Pontoon, dig, eventually};
use pontoon_testkit::sandboxed;

use crate::{by_hand, runs, status};

/// Says all that makes no sense to a socket that is given, then keeps 300 conversations in which nothing is said.
const NOISE: &str = r#"
import json, os, socket, sys, time
def talk():
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.settimeout(5); s.connect("/run/pontoon/daemon.sock")
    return s
def hear(s):
    try: return s.recv(1 << 17)
    except OSError: return b""
for words in [b"{", b"\xff\xfe", b"\0", b"[" * 50000, b"\"sing\"", b"{\"heed\": 7}", b"{\"heed\": [{\"member\": \"../..\"}]}",
              b"{\"heed\": [{\"container\": \"x\"}]}", b"null", b"1e999"]:
    s = talk(); s.send(words); heard = hear(s)
    print("asked", words[:20], "heard", heard[:90], flush=True)
    assert b"not understood" in heard, (words[:30], heard)
    # And sense afterwards.
    s.send(b"\"status\""); assert json.loads(hear(s))["status"]["pid"] > 0
# Whom nobody knows is no news.
s = talk(); s.send(b"{\"heed\": [{\"member\": \"" + b"a" * 64 + b"\"}]}"); assert json.loads(hear(s)) == {"warnings": []}
s = talk(); s.send(b"x" * 70000); assert hear(s) == b"", "too long"
s = talk(); s.send(b""); assert hear(s) == b"", "nothing"
# Who asks much and hears nothing.
s = talk(); s.setblocking(False)
try:
    for _ in range(100000): s.send(b"\"status\"")
except OSError as error: print("full", error, flush=True)
# At once.
many = [talk() for _ in range(300)]
print("silent", flush=True)
for one in many[-20:]: one.send(b"\"status\"")
assert all(json.loads(hear(one))["status"]["pid"] > 0 for one in many[-20:])
print("heard", flush=True)
time.sleep(100)
"#;

fn mode(path: &str) -> (u32, u32, u32) {
    let found = std::fs::metadata(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    (found.permissions().mode() & 0o777, found.uid(), found.gid())
}

sandboxed! {
    fn whatever_is_said_to_it_it_goes_on(host: Host) {
        host.need("python3");
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create blue");
        pontoon.run("run -d --name web --network blue -- sleep 100");
        let first = status(&pontoon)["pid"].clone();
        let noise = host.background(&format!("exec python3 -c '{NOISE}'"));
        host.wait_until("all that is said", || noise.output().contains("silent") || noise.output().contains("Error"));
        // Those who say nothing do not keep others waiting for long.
        let start = Instant::now();
        pontoon.run("run -d --name db --network blue -- sleep 100");
        assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
        noise.wait_for("heard");
        assert_eq!(dig(&host, "web", "@127.0.0.11 db A"), pontoon.address("blue", "db"));
        assert_eq!(status(&pontoon)["pid"], first);
        drop(noise);
    }

    fn nobody_but_root_and_a_group_may_talk_to_it(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create blue");
        pontoon.run("run -d --name web --network blue -- sleep 100");
        assert_eq!(mode("/run/pontoon/daemon.sock"), (0o600, 0, 0));
        assert_eq!(mode("/run/pontoon").0 & 0o077, 0, "others do not even see it");
        assert_eq!(mode("/run/pontoon/daemon.log").0, 0o600);
        pontoon.run("daemon stop");
        // Which groups there are in a test's sandbox depends on who runs it.
        let group = if host.try_sh("chgrp 12 /run/testkit").status.success() { 12 } else { 0 };
        let _daemon = by_hand(&host, &format!("--group {group}"));
        assert_eq!(mode("/run/pontoon/daemon.sock"), (0o660, 0, group));
        assert_eq!(mode("/run/pontoon"), (0o710, 0, group), "it can be reached, and not looked through");
        for file in ["runtime.db", "lock", "events.log"] {
            let (mode, _, group) = mode(&format!("/run/pontoon/{file}"));
            assert!(mode & 0o007 == 0 && (group == 0 || mode & 0o070 == 0), "{file} is root's alone: {mode:o}");
        }
        if group != 0 {
            let pontoon = pontoon_e2e::program();
            let asks = |ids: &str| {
                let output = host.try_sh(&format!("setpriv {ids} {} daemon status", pontoon.display()));
                (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
            };
            assert_eq!(asks("--reuid=1 --regid=1 --groups=12"), (true, String::new()));
            let (well, said) = asks("--reuid=1 --regid=1 --clear-groups");
            assert!(!well && said.contains("ermission denied") && said.contains("hint: the socket is for root"), "{said}");
        }
    }

    fn two_instances_have_a_daemon_each(host: Host) {
        let (one, two) = (Pontoon::on(&host), Pontoon::with_root(&host, "/run/two"));
        for (pontoon, subnet) in [(&one, "10.1.0.0/24"), (&two, "10.2.0.0/24")] {
            pontoon.run(&format!("network create --subnet {subnet} blue"));
        }
        one.run("run -d --name web --network blue --ip 10.1.0.9 -- sleep 100");
        two.run("run -d --name shop --network blue --ip 10.2.0.9 -- sleep 100");
        assert_ne!(status(&one)["pid"], status(&two)["pid"]);
        let ask = |place: &str, name: &str| dig(&host, place, &format!("@127.0.0.11 {name} A"));
        assert_eq!((ask("web", "web").as_str(), ask("shop", "shop").as_str()), ("10.1.0.9", "10.2.0.9"));
        assert_eq!((ask("web", "shop").as_str(), ask("shop", "web").as_str()), ("", ""));
        // What becomes of one does not concern the other.
        two.run("rm -f shop");
        two.run("network rm blue");
        two.run("system prune -f");
        eventually("the second ends", || !runs(&two));
        assert_eq!(ask("web", "web"), "10.1.0.9");
        assert!(runs(&one));
    }

    fn it_says_why_it_does_not_start(host: Host) {
        let pontoon = Pontoon::on(&host);
        let _daemon = by_hand(&host, "");
        let before = status(&pontoon)["pid"].clone();
        for (words, error, hint) in [
            ("daemon", "a daemon runs already for this instance", "`pontoon daemon status` shows it"),
            ("daemon --metrics 9100", "`9100` is no place to listen at", "did you mean 127.0.0.1:9100?"),
            ("daemon --metrics unix:run.sock", "`unix:run.sock` is no place", "unix:/run/pontoon/metrics.sock"),
            ("daemon --log-level loud", "`loud` is not a level of the log: error, warn", ""),
            ("daemon --group wheel", "wheel", ""),
            ("daemon --no-repair status", "cannot be used with", ""),
            ("--dry-run daemon", "--dry-run", ""),
            ("daemon sing", "sing", ""),
        ] {
            let (code, said) = pontoon.fail(words);
            assert!(said.starts_with("error: ") && said.contains(error), "{words}: {said}");
            assert!(hint.is_empty() || said.contains("hint: ") && said.contains(hint), "{words}: {said}");
            assert!([1, 2].contains(&code), "{words}: {code}");
        }
        assert_eq!(status(&pontoon)["pid"], before);
    }

    fn without_privileges_it_says_so(host: Host) {
        let program = pontoon_e2e::program();
        let none = "setpriv --bounding-set=-all --inh-caps=-all";
        let output = host.try_sh(&format!("{none} {} daemon", program.display()));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{said}");
        assert!(said.lines().any(|line| line.starts_with("error: ")), "{said}");
        assert!(said.contains("hint: ") && said.contains("root"), "{said}");
        assert!(!std::path::Path::new("/run/pontoon/daemon.sock").exists(), "nothing stays");
        if host.try_sh("setpriv --reuid=1 --regid=1 --clear-groups true").status.success() {
            let output = host.try_sh(&format!("setpriv --reuid=1 --regid=1 --clear-groups {} daemon", program.display()));
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(said.starts_with("error: ") && said.contains("hint: "), "{said}");
        }
    }
}
