//! OCI runtimes', by their hooks.

use pontoon_e2e::groups::Groups;
use pontoon_e2e::{Pontoon, program};
use pontoon_testkit::{Host, sandboxed};
use serde_json::{Value, json};

use crate::network;

/// A runtime, and where its bundle is.
struct Runtime<'a> {
    host: &'a Host,
    program: &'static str,
    groups: Groups,
}

impl<'a> Runtime<'a> {
    #[track_caller]
    fn new(host: &'a Host, program: &'static str) -> Self {
        host.need(program);
        Self { host, program, groups: Groups::of(host) }
    }

    /// A bundle whose container sleeps, with the host's programs, and these hooks and annotations.
    #[track_caller]
    fn bundle(&self, arguments: &[&str], annotations: Value) {
        let folders = "for folder in bin lib lib64 sbin; do ln -sfn usr/$folder rootfs/$folder; done";
        self.host.sh(&format!(
            "mkdir -p /run/bundle/rootfs/usr; cd /run/bundle; {folders}; rm -f config.json; {} spec",
            self.program
        ));
        let spec = std::fs::read("/run/bundle/config.json").expect("it was written");
        let mut spec: Value = serde_json::from_slice(&spec).expect("it is JSON");
        spec["process"]["terminal"] = json!(false);
        spec["process"]["args"] = json!(["sleep", "1000"]);
        spec["annotations"] = annotations;
        let bind =
            json!({"destination": "/usr", "type": "bind", "source": "/usr", "options": ["rbind", "ro"]});
        spec["mounts"].as_array_mut().expect("there are mounts").push(bind);
        let hook = |arguments: &[&str]| {
            let words = [&["pontoon", "oci-hook"], arguments].concat();
            json!([{"path": program(), "args": words}])
        };
        spec["hooks"] = json!({"createRuntime": hook(arguments), "poststop": hook(&["--poststop"])});
        std::fs::write("/run/bundle/config.json", spec.to_string()).expect("/run is the sandbox's own");
    }

    fn command(&self, words: &str) -> String {
        format!("{} {} --root /run/runtime {words}", self.groups.enter(), self.program)
    }

    #[track_caller]
    fn sh(&self, words: &str) -> String {
        self.host.sh(&self.command(words)).trim().to_owned()
    }

    /// Starts the container of the bundle.
    #[track_caller]
    fn run(&self, id: &str) {
        self.sh(&format!("run --detach --bundle /run/bundle {id} </dev/null >/dev/null 2>&1"));
    }
}

#[track_caller]
fn is_connected_from_its_start_to_its_end(host: &Host, program: &'static str) {
    let (pontoon, runtime) = (Pontoon::on(host), Runtime::new(host, program));
    network(&pontoon, "--subnet 10.9.0.0/24 --ipv6 blue");
    network(&pontoon, "--subnet 10.7.0.0/24 red");
    pontoon.attempt("run -d --name own --network blue -- sleep 1000");
    let annotations = json!({"dev.pontoon.network": "red:ifname=red0  name=blue,ip=10.9.0.9,alias=store", "dev.pontoon.publish": "8080:80"});
    runtime.bundle(&[], annotations);
    runtime.run("box");
    assert!(host.pings("own", "10.9.0.9"));
    assert!(pontoon.run("exec own -- getent ahostsv4 box").starts_with("10.9.0.9"));
    assert!(pontoon.run("exec own -- getent ahostsv4 store").starts_with("10.9.0.9"));
    let inside = runtime.sh("exec box ip -o -4 address");
    assert!(
        inside.contains("red0    inet 10.7.0.2/24") && inside.contains("eth0    inet 10.9.0.9/24"),
        "{inside}"
    );
    assert!(pontoon.run("ps").contains("oci:box"));
    assert_eq!(pontoon.run("port oci:box"), "80/tcp -> 0.0.0.0:8080\n80/tcp -> [::]:8080");
    pontoon.run("link oci:box:lan0=10.8.0.1/24 own:lan0=10.8.0.2/24");
    assert!(host.pings("own", "10.8.0.1"));
    runtime.sh("delete --force box");
    assert!(!pontoon.run("ps -a").contains("oci:box"));
    assert!(!host.pings("own", "10.9.0.9"));
    assert_eq!(pontoon.run("exec own -- ip -o link").lines().count(), 2, "the cable is gone");

    // Of arguments; and what its last life left, if nobody came to tell.
    runtime.bundle(&["--network", "blue:ip=10.9.0.8"], json!({}));
    runtime.run("box");
    assert!(host.pings("own", "10.9.0.8"));
    let pid = pontoon.json("inspect oci:box")[0]["State"]["Pid"].as_u64().expect("a number");
    host.sh(&format!("kill -KILL {pid}; rm -r /run/runtime/box"));
    assert!(pontoon.run("ps -a").contains("oci:box"));
    runtime.run("box");
    assert!(host.pings("own", "10.9.0.8"));
    assert_eq!(pontoon.run("ps").matches("oci:box").count(), 1);

    // What cannot be connected does not start, and is on no network.
    runtime.bundle(&["--network", "red", "--network", "nowhere"], json!({}));
    let output = host.try_sh(&runtime.command("run --detach --bundle /run/bundle other </dev/null"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("there is no network `nowhere`") || program == "crun", "{said}");
    assert!(!pontoon.run("ps -a").contains("oci:other"));
}

sandboxed! {
    fn runc_has_its_container_connected(host: Host) {
        is_connected_from_its_start_to_its_end(&host, "runc");
    }

    fn crun_has_its_container_connected(host: Host) {
        is_connected_from_its_start_to_its_end(&host, "crun");
    }

    fn what_is_no_state_is_refused(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create blue");
        let hook = |state: &str, words: &str| {
            std::fs::write("/run/state", state).expect("/run is the sandbox's own");
            let output = host.try_sh(&format!("{} oci-hook {words} < /run/state", program().display()));
            (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
        };
        let state = |more: &str| format!(r#"{{"ociVersion":"1.0.2","id":"box","status":"creating"{more}}}"#);
        let refused = |state: &str, words: &str, wanted: &str| {
            let (code, said) = hook(state, words);
            assert!(code.is_some_and(|code| code != 0) && said.contains(wanted), "{code:?} {said}");
        };
        refused("", "--network blue", "the container's state is not understood");
        refused(&" ".repeat(2 << 20), "--network blue", "longer than");
        refused(&state(""), "--network blue", "has no process");
        refused(&state(r#","pid":1"#), "--network host", "are the runtime's");
        refused(&state(r#","pid":1"#), "--publish 80", "none is named");
        refused(&state(r#","pid":1"#), "--network blue", "the host's own network namespace");
        let annotation = r#","pid":1,"annotations":{"dev.pontoon.network":"blue:ipv4=1"}"#;
        refused(&state(annotation), "", "annotation dev.pontoon.network: there is no key `ipv4`");
        assert_eq!(hook(&state(r#","pid":1"#), ""), (Some(0), String::new()), "it names no network");
        assert_eq!(hook(&state(""), "--poststop"), (Some(0), String::new()), "it is on none");
    }
}
