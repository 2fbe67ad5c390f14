//! Services that Docker, Podman or an OCI runtime make, on the networks of the file beside processes of the host.

use pontoon_e2e::docker::{CLIENT, Docker};
use pontoon_e2e::groups::Groups;
use pontoon_e2e::podman::Podman;
use pontoon_e2e::{Pontoon, eventually};
use pontoon_testkit::{Host, sandboxed};
use serde_json::{Value, json};

use crate::{change, changed, file, up};

/// What an engine's container and a process do together; `box` is the engine's.
const SHOP: &str = "
services:
  box:
    image: image:whole
    command: [sleep, infinity]
    stop_signal: SIGKILL
    networks: { back: { ipv4_address: 10.60.0.10, aliases: [store] } }
    ports: ['8080:80']
    x-pontoon: { runtime: RUNTIME }
  web: { command: SERVE 'I am web.', networks: [back], depends_on: [box] }
networks:
  back: { ipam: { config: [ { subnet: 10.60.0.0/24 } ] } }
x-pontoon:
  links: ['box:lan0=10.9.0.1/30 web:lan0=10.9.0.2/30']
  expect: { web: { reach: [box, 10.9.0.1] } }
";

/// A system that needs no folder of the host's: a busybox with the libraries that it is linked to.
const PACK: &str = "
    mkdir -p /run/whole/bin && cd /run/whole && cp /bin/busybox bin && ln -sf busybox bin/sleep
    ldd bin/busybox | grep -o '/[^ ]*' | while read -r library; do
        mkdir -p .${library%/*} && cp -L $library .$library
    done
    tar -c .";

/// Brings it up past the rules of an engine that drops what it does not know; what was changed.
#[track_caller]
fn first_up(pontoon: &Pontoon<'_>) -> Vec<String> {
    let output = pontoon.attempt("up -d");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    pontoon.attempt("firewall integrate");
    changed(&String::from_utf8_lossy(&output.stdout))
}

/// Nothing is changed, and nothing is to be.
#[track_caller]
fn is_as_wanted(pontoon: &Pontoon<'_>) {
    assert_eq!(changed(&up(pontoon)), Vec::<String>::new());
    let planned = pontoon.run("up --dry-run");
    assert!(planned.contains("There is nothing to do"), "{planned}");
}

/// `kind:shop-box-1` is up: named, published, wired; it changes while it runs, and goes away. `id` is its engine's.
#[track_caller]
fn is_a_service_like_others(host: &Host, pontoon: &Pontoon<'_>, kind: &str, id: &dyn Fn() -> String) {
    let told = first_up(pontoon);
    assert_eq!(told.len(), 4, "{told:?}");
    assert!(told.contains(&"+ shop-box-1: 10.60.0.10".to_owned()), "{told:?}");
    let before = id();
    let container = format!("{kind}:shop-box-1");
    let pid = pontoon.json(&format!("inspect {container}"))[0]["State"]["Pid"].as_u64().expect("it runs");
    let place = format!("pid:{pid}");
    let _server = host.serve(&place, 80, "I am the box.");
    assert_eq!(host.fetch("shop-web-1", "10.60.0.10:80").expect("it is reached").text, "I am the box.");
    assert_eq!(host.fetch("host", "127.0.0.1:8080").expect("it is published").text, "I am the box.");
    assert!(host.pings("shop-web-1", "10.9.0.1") && host.pings(&place, "10.9.0.2"));
    assert!(pontoon.run("exec shop-web-1 -- getent ahostsv4 store").starts_with("10.60.0.10"));
    let listed = pontoon.run("compose ps --format '{{.Names}} {{.State}}'");
    assert!(
        listed.contains(&format!("{container} running")) && listed.contains("shop-web-1 running"),
        "{listed}"
    );
    pontoon.run("test");
    is_as_wanted(pontoon);

    let told = change(pontoon, &[("10.60.0.10", "10.60.0.77"), ("8080:80", "8081:80")]);
    assert_eq!(
        told,
        ["~ shop-box-1: ipv4_address 10.60.0.10 → 10.60.0.77, ports 8080->80/tcp → 8081:80/tcp"]
    );
    assert_eq!(host.fetch("shop-web-1", "10.60.0.77:80").expect("it is reached").text, "I am the box.");
    assert_eq!(host.fetch("host", "127.0.0.1:8081").expect("it is published").text, "I am the box.");
    assert_eq!(id(), before, "it goes on running");
    let told = change(pontoon, &[("10.60.0.", "10.66.0.")]);
    assert_eq!(told[0], "~ network shop_back: 10.66.0.0/24, subnet 10.60.0.0/24 → 10.66.0.0/24");
    assert!(host.pings(&place, "10.9.0.2") && host.pings("shop-web-1", "10.66.0.77"));
    assert_eq!(host.fetch("host", "127.0.0.1:8081").expect("it is published").text, "I am the box.");
    assert_eq!(id(), before, "it goes on running");
    is_as_wanted(pontoon);
}

/// An OCI runtime makes a service of a bundle, whose container sleeps and has the host's programs.
#[track_caller]
fn is_made_by(host: &Host, program: &str) {
    host.need(program);
    let (groups, pontoon) = (Groups::of(host), Pontoon::on(host));
    // What is called so is the runtime where it has control groups.
    let real = host.sh(&format!("command -v {program}"));
    let called = format!("#!/bin/sh\nexec {} {} --root /run/runtime \"$@\"\n", groups.enter(), real.trim());
    host.sh("mount -t tmpfs tmpfs /usr/local/sbin");
    std::fs::write(format!("/usr/local/sbin/{program}"), called).expect("it is the sandbox's own");
    host.sh(&format!("chmod +x /usr/local/sbin/{program}"));
    let folders = "for folder in bin lib lib64 sbin; do ln -s usr/$folder rootfs/$folder; done";
    host.sh(&format!("mkdir -p /run/bundle/rootfs/usr; cd /run/bundle; {folders}; {} spec", real.trim()));
    let spec = std::fs::read("/run/bundle/config.json").expect("it was written");
    let mut spec: Value = serde_json::from_slice(&spec).expect("it is JSON");
    spec["process"]["terminal"] = json!(false);
    spec["process"]["args"] = json!(["sleep", "1000"]);
    let bind = json!({"destination": "/usr", "type": "bind", "source": "/usr", "options": ["rbind", "ro"]});
    spec["mounts"].as_array_mut().expect("there are mounts").push(bind);
    std::fs::write("/run/bundle/config.json", spec.to_string()).expect("/run is the sandbox's own");
    let bundle = format!("x-pontoon: {{ runtime: {program}, bundle: /run/bundle }}");
    let text = SHOP.replace("x-pontoon: { runtime: RUNTIME }", &bundle);
    file(&text.replace("    image: image:whole\n    command: [sleep, infinity]\n", ""));
    let id = || host.sh(&format!("/usr/local/sbin/{program} state shop-box-1 | grep '\"pid\"'"));
    is_a_service_like_others(host, &pontoon, "oci", &id);
    is_taken_down(&pontoon);
    assert!(!host.try_sh("ls /run/runtime/*").status.success(), "the runtime knows none any more");
}

/// It goes away.
#[track_caller]
fn is_taken_down(pontoon: &Pontoon<'_>) {
    assert_eq!(pontoon.run("down").lines().count(), 3);
    assert_eq!(pontoon.run("ps -a -q"), "");
    assert_eq!(pontoon.run("network ls -q --filter type=custom"), "");
}

sandboxed! {
    fn docker_makes_a_service(host: Host) {
        let docker = Docker::start(&host);
        let pontoon = Pontoon::on(&host);
        file(&SHOP.replace("RUNTIME", "docker"));
        let id = || docker.sh("inspect --format '{{.Id}} {{.State.Pid}}' shop-box-1");
        host.sh(&format!("{PACK} | {CLIENT} import - image:whole"));
        is_a_service_like_others(&host, &pontoon, "docker", &id);
        // Started anew by Docker, it is connected as it was.
        let first = id();
        docker.sh("restart --time 0 shop-box-1");
        eventually("it is connected", || host.pings("shop-web-1", "10.66.0.77"));
        assert_ne!(id(), first);
        is_as_wanted(&pontoon);
        // Another command is another container.
        let told = change(&pontoon, &[("[sleep, infinity]", "[sleep, '1000']")]);
        assert!(told[0].contains("shop-box-1: 10.66.0.77, command sleep infinity → sleep 1000"), "{told:?}");
        assert!(host.pings("shop-web-1", "10.9.0.1"), "{told:?}");
        // Removed behind our back, it comes again.
        docker.sh("rm --force shop-box-1");
        let told = changed(&String::from_utf8_lossy(&pontoon.attempt("up -d").stdout));
        assert!(told.contains(&"+ shop-box-1: 10.66.0.77".to_owned()), "{told:?}");
        is_taken_down(&pontoon);
        assert_eq!(docker.sh("ps --all --quiet"), "");
        // What cannot be made is said, and taken back.
        file(&SHOP.replace("RUNTIME", "docker").replace("image: image:whole", "image: nowhere/nothing"));
        let said = crate::refused(&pontoon, "up -d");
        assert!(said.contains("shop-box-1") && said.contains("nowhere/nothing"), "{said}");
        pontoon.run("down");
        assert_eq!(docker.sh("ps --all --quiet"), "");
    }

    fn podman_makes_a_service(host: Host) {
        let mut podman = Podman::new(&host);
        podman.serve();
        let pontoon = Pontoon::on(&host);
        file(&SHOP.replace("RUNTIME", "podman"));
        host.sh(&format!("{PACK} > /run/whole.tar"));
        podman.sh("import --quiet /run/whole.tar image:whole");
        let id = || podman.sh("inspect --format '{{.Id}} {{.State.Pid}}' shop-box-1");
        is_a_service_like_others(&host, &pontoon, "podman", &id);
        is_taken_down(&pontoon);
        assert_eq!(podman.sh("ps --all --quiet"), "");
    }

    fn crun_makes_a_service(host: Host) {
        is_made_by(&host, "crun");
    }

    fn runc_makes_a_service(host: Host) {
        is_made_by(&host, "runc");
    }
}
