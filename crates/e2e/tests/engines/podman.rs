//! Podman's.

use pontoon_e2e::podman::Podman;
use pontoon_e2e::{Pontoon, eventually, program};
use pontoon_testkit::{Host, sandboxed};
use serde_json::json;

use crate::network;

/// A container's interfaces but `lo`, with their addresses, in order.
#[track_caller]
fn links(podman: &Podman, container: &str) -> String {
    let shown = podman.sh(&format!("exec {container} ip -o address show"));
    let words = |line: &str| line.split_whitespace().skip(1).step_by(2).take(2).collect::<Vec<_>>().join(" ");
    let mut found: Vec<String> = shown.lines().map(words).filter(|words| !words.starts_with("lo ")).collect();
    found.sort();
    found.join("\n")
}

/// Connects two containers, has one started anew, and waits until all is as it was.
#[track_caller]
fn is_connected_and_started_anew(host: &Host, podman: &Podman) {
    let pontoon = Pontoon::on(host);
    network(&pontoon, "--subnet 10.9.0.0/24 --ipv6 blue");
    let [web, db] = ["web", "db"].map(|name| podman.run(&format!("--name {name}")));
    pontoon.run("network connect blue podman:web");
    pontoon.run("network connect --ip 10.9.0.99 blue podman:db");
    pontoon.run("link podman:web:lan0=10.8.0.1/24 podman:db:lan0=10.8.0.2/24");
    assert!(host.pings(&web, "10.9.0.99") && host.pings(&db, "10.8.0.1"));
    assert!(podman.sh("exec web getent ahostsv4 db").starts_with("10.9.0.99"));
    assert!(pontoon.run("ps").contains("podman:web"));
    assert_eq!(pontoon.json("inspect podman:web")[0]["Id"], podman.sh("inspect --format '{{.Id}}' web"));
    let said = pontoon.fail("network connect blue podman:nobody").1;
    assert!(said.contains("Podman has no container `nobody`"), "{said}");

    let before = links(podman, "web");
    podman.sh("restart --time 0 web");
    host.wait_until("all is as it was", || links(podman, "web") == before);
    assert!(host.pings(&db, "10.8.0.1"));
    let resolves = || host.try_sh(&podman.command("exec db getent hosts web")).status.success();
    eventually("its name is told", resolves);
    podman.sh("rm --force --time 0 web");
    host.wait_until("its place is free", || !pontoon.run("ps -a").contains("podman:web"));
    pontoon.run("network disconnect blue podman:db");
    assert_eq!(links(podman, "db"), "");
}

sandboxed! {
    fn by_its_socket(host: Host) {
        let mut podman = Podman::new(&host);
        podman.serve();
        is_connected_and_started_anew(&host, &podman);
    }

    fn by_its_program_where_it_has_no_socket(host: Host) {
        is_connected_and_started_anew(&host, &Podman::new(&host));
    }

    fn by_a_hook(host: Host) {
        let (podman, pontoon) = (Podman::new(&host), Pontoon::on(&host));
        network(&pontoon, "--subnet 10.9.0.0/24 blue");
        host.sh("mkdir /run/hooks");
        for (file, stage, words) in [("begin", "createRuntime", vec![]), ("end", "poststop", vec!["--poststop"])] {
            let arguments = [vec!["pontoon", "oci-hook"], words].concat();
            let hook = json!({
                "version": "1.0.0",
                "hook": {"path": program(), "args": arguments},
                "when": {"annotations": {"^dev\\.pontoon\\.network$": ".+"}},
                "stages": [stage],
            });
            std::fs::write(format!("/run/hooks/{file}.json"), hook.to_string()).expect("it is the host's own");
        }
        let options = "--hooks-dir /run/hooks run --network none";
        // Podman 4 splits at commas.
        let annotation = r#"--annotation '"dev.pontoon.network=blue:ip=10.9.0.9,alias=web"'"#;
        let web = format!("--name web {annotation} image sleep infinity");
        podman.detached(&format!("{options} {web}"));
        let id = podman.sh("inspect --format '{{.Id}}' web");
        assert_eq!(links(&podman, "web"), "eth0 10.9.0.9/24");
        pontoon.attempt("run -d --name own --network blue -- sleep 1000");
        assert!(host.pings("own", "10.9.0.9"));
        assert!(pontoon.run("exec own -- getent ahostsv4 web").starts_with("10.9.0.9"));
        assert!(pontoon.run("ps --no-trunc").contains(&format!("oci:{id}")));
        podman.sh("--hooks-dir /run/hooks rm --force --time 0 web");
        eventually("it is on no network", || !pontoon.run("ps -a").contains("oci:"));
        podman.detached(&format!("{options} --name other image sleep infinity"));
        assert_eq!(links(&podman, "other"), "", "it asks for nothing");
    }
}
