//! Docker's.

use pontoon_e2e::docker::{CLIENT, Docker};
use pontoon_e2e::{Pontoon, eventually};
use pontoon_testkit::{Host, sandboxed};

use crate::network;

/// A container without a network, whose names are asked for where Pontoon answers; and the place to enter it.
#[track_caller]
fn bare(docker: &Docker, name: &str) -> String {
    docker.run(&format!("--name {name} --network none --dns 127.0.0.11")).0
}

/// Where a name leads, as a container's own resolver tells.
#[track_caller]
fn resolved(docker: &Docker, container: &str, name: &str) -> String {
    docker
        .sh(&format!("exec {container} getent hosts {name}"))
        .split_whitespace()
        .next()
        .unwrap_or("")
        .to_owned()
}

/// A container's interfaces but `lo`, with their addresses, in order.
#[track_caller]
fn links(docker: &Docker, container: &str) -> String {
    let shown = docker.sh(&format!("exec {container} ip -o address show"));
    let words = shown
        .lines()
        .map(|line| line.split_whitespace().skip(1).step_by(2).take(2).collect::<Vec<_>>().join(" "));
    let mut found: Vec<String> = words.filter(|words| !words.starts_with("lo ")).collect();
    found.sort();
    found.join("\n")
}

/// Whether a container's own resolver knows a name.
fn resolves(host: &Host, container: &str, name: &str) -> bool {
    host.try_sh(&format!("{CLIENT} exec {container} getent hosts {name}")).status.success()
}

sandboxed! {
    fn its_containers_are_connected_by_name(host: Host) {
        let docker = Docker::start(&host);
        let pontoon = Pontoon::on(&host);
        network(&pontoon, "--subnet 10.9.0.0/24 --ipv6 blue");
        let [web, db] = ["web", "db"].map(|name| bare(&docker, name));
        pontoon.run("network connect blue docker:web");
        let id = docker.sh("inspect --format '{{.Id}}' db");
        pontoon.run(&format!("network connect --ip 10.9.0.99 --alias store blue docker:{}", &id[..12]));
        pontoon.attempt("run -d --name own --network blue -- sleep 1000");

        let address = pontoon.address("blue", "docker:web");
        assert_eq!(resolved(&docker, "db", "web"), pontoon.address6("blue", "docker:web"), "IPv6 goes first");
        assert_eq!(docker.sh("exec web getent ahostsv4 store").split_whitespace().next(), Some("10.9.0.99"));
        assert!(pontoon.run("exec own -- getent ahostsv4 db").starts_with("10.9.0.99"));
        assert!(host.pings(&db, &address) && host.pings(&web, "10.9.0.99") && host.pings("own", "10.9.0.99"));

        let _server = host.serve(&web, 80, "theirs");
        pontoon.run("publish docker:web 127.0.0.1:8080:80");
        assert_eq!(host.fetch("host", "127.0.0.1:8080").expect("it is published").text, "theirs");
        assert_eq!(pontoon.run("port docker:web"), "80/tcp -> 127.0.0.1:8080");
        let shown = pontoon.run("ps --format '{{.Names}} {{.State}} {{.Networks}}'");
        assert!(shown.contains(&format!("docker:web running blue={address}")), "{shown}");
        let inspected = pontoon.json("inspect docker:web");
        assert_eq!(inspected[0]["Name"], "/docker:web");
        assert_eq!(inspected[0]["Id"], docker.sh("inspect --format '{{.Id}}' web"));
        let pid: u64 = web.strip_prefix("pid:").and_then(|pid| pid.parse().ok()).expect("a number");
        assert_eq!(inspected[0]["State"]["Pid"], pid);
        assert!(pontoon.run("stats --no-stream docker:web").contains("docker:web"));
        pontoon.run("unpublish docker:web 127.0.0.1:8080");
        assert!(host.fetch("host", "127.0.0.1:8080").is_err());

        pontoon.run("link docker:web:lan0=10.8.0.1/24,fd08::1/64 docker:db:lan0=10.8.0.2/24,fd08::2/64");
        assert!(host.pings(&web, "10.8.0.2") && host.pings(&web, "fd08::2"));
        pontoon.run("unlink docker:db docker:web");
        assert!(!host.pings(&web, "10.8.0.2"));

        pontoon.run("network disconnect blue docker:web");
        pontoon.run(&format!("network disconnect blue docker:{id}"));
        assert_eq!((links(&docker, "web"), links(&docker, "db")), (String::new(), String::new()));
        assert!(!pontoon.run("ps").contains("docker:"));
    }

    fn what_cannot_be_is_said(host: Host) {
        let pontoon = Pontoon::on(&host);
        network(&pontoon, "--subnet 10.9.0.0/24 blue");
        let fails = |container: &str| pontoon.fail(&format!("network connect blue {container}")).1;
        let said = fails("docker:web");
        assert!(said.contains("Docker does not run here: nobody listens at /var/run/docker.sock"), "{said}");
        let docker = Docker::start(&host);
        bare(&docker, "web");
        let said = fails("docker:webb");
        assert!(said.contains("Docker has no container `webb`") && said.contains("did you mean web?"), "{said}");
        docker.run("--name host --network host");
        assert!(fails("docker:host").contains("is the host's own network namespace"));
        docker.sh("stop web");
        let said = fails("docker:web");
        assert!(said.contains("`web` is not running") && said.contains("`docker start web`"), "{said}");
        docker.sh("start web");
        pontoon.run("network connect blue docker:web");
        assert!(fails("docker:web").contains("already connected"));
        let said = pontoon.fail("stop docker:web").1;
        assert!(said.contains("of another engine") && said.contains("`docker` does that"), "{said}");
        // Whose network a container has is the one that is connected.
        docker.run("--name guest --network container:web");
        assert!(fails("docker:guest").contains("already connected"));
        let said = pontoon.fail("network disconnect blue docker:nobody").1;
        assert!(said.contains("no container `nobody`"), "{said}");
    }

    fn one_that_was_started_anew_has_what_it_had(host: Host) {
        let docker = Docker::start(&host);
        let pontoon = Pontoon::on(&host);
        network(&pontoon, "--subnet 10.9.0.0/24 --ipv6 --opt pontoon.dns=false blue");
        network(&pontoon, "--subnet 10.7.0.0/24 --opt pontoon.dns=false red");
        let [_, db] = ["web", "db"].map(|name| bare(&docker, name));
        pontoon.run("network connect --publish 8080:80 blue docker:web");
        pontoon.run("network connect --ifname red0 --mac-address 02:00:00:00:00:77 red docker:web");
        pontoon.run("network connect blue docker:db");
        pontoon.run("link docker:web:lan0=10.8.0.1/24 docker:db:lan0=10.8.0.2/24");
        let (before, address) = (links(&docker, "web"), pontoon.address("blue", "docker:web"));
        assert_eq!(before.lines().count(), 5, "{before}");

        // By `restore`.
        docker.sh("restart --time 0 web");
        assert_eq!(links(&docker, "web"), "");
        let events = |text: &str| pontoon.run("events --since 1h --until 0s --format '{{.Type}} {{.Action}}'").matches(text).count();
        assert_eq!(pontoon.run("restore"), "connected as it was: docker:web");
        assert_eq!(links(&docker, "web"), before);
        assert_eq!(events("network reconnect"), 2);
        assert_eq!(events("cable reconnect"), 1);
        assert_eq!(pontoon.run("restore"), "everything is as it should be");
        let web = format!("pid:{}", docker.sh("inspect --format '{{.State.Pid}}' web"));
        assert!(host.pings(&db, &address) && host.pings(&db, "10.8.0.1"));
        assert!(docker.sh("exec web cat /sys/class/net/red0/address") == "02:00:00:00:00:77");
        {
            let _server = host.serve(&web, 80, "again");
            assert_eq!(host.fetch("host", "127.0.0.1:8080").expect("it is published").text, "again");

            // By a command that is about it, though something holds on to the former namespace.
            docker.sh("kill web");
            docker.sh("start web");
            pontoon.run("network disconnect red docker:web");
        }
        let left: Vec<&str> = before.lines().filter(|line| !line.starts_with("red0")).collect();
        let left = left.join("\n");
        assert_eq!(links(&docker, "web"), left);
        assert!(host.pings(&db, &address) && host.pings(&db, "10.8.0.1"));

        // It is not gone where its network is to be removed.
        docker.sh("restart --time 0 web");
        assert_eq!(pontoon.run("network prune --force"), "Deleted Networks:\nred");
        assert_eq!(links(&docker, "web"), left);

        // Stopped, it keeps its place; removed, it does not.
        docker.sh("stop web");
        assert_eq!(pontoon.run("restore"), "everything is as it should be");
        docker.run("--name other --network none");
        let taken = pontoon.fail(&format!("network connect --ip {address} blue docker:other")).1;
        assert!(taken.contains(&address), "{taken}");
        docker.sh("start web");
        assert_eq!(pontoon.run("restore"), "connected as it was: docker:web");
        assert_eq!(links(&docker, "web"), left);
        docker.sh("rm --force web");
        let restored = pontoon.attempt("restore");
        let said = String::from_utf8_lossy(&restored.stderr);
        assert!(said.contains("docker:web was removed, and is on no network any more"), "{said}");
        bare(&docker, "web");
        pontoon.run(&format!("network connect --ip {address} blue docker:web"));
        assert!(host.pings(&db, &address));
    }
    fn the_daemon_connects_what_is_started_anew(host: Host) {
        let mut docker = Docker::start(&host);
        let pontoon = Pontoon::on(&host);
        network(&pontoon, "--subnet 10.9.0.0/24 --ipv6 blue");
        for name in ["web", "db"] {
            bare(&docker, name);
            pontoon.run(&format!("network connect blue docker:{name}"));
        }
        pontoon.run("publish docker:web 8080:80");
        pontoon.run("link docker:web:lan0=10.8.0.1/24 docker:db:lan0=10.8.0.2/24");
        let before = ["web", "db"].map(|name| links(&docker, name));
        let as_before = || {
            eventually("all is as it was", || ["web", "db"].map(|name| links(&docker, name)) == before);
            eventually("its name is told", || resolves(&host, "db", "web"));
            let pings = |from: &str, to: &str| docker.sh(&format!("exec {from} ping -c 1 -W 2 {to}"));
            pings("db", "10.8.0.1");
            pings("db", "web");
            pings("web", "10.8.0.2");
        };
        as_before();
        for (times, how) in ["restart --time 0 web", "restart --time 0 db web", "kill web"].into_iter().enumerate() {
            docker.sh(how);
            if how.starts_with("kill") {
                eventually("its end is told", || !resolves(&host, "db", "web"));
                docker.sh("start web");
            }
            as_before();
            let told = pontoon.run("events --since 1h --until 0s --filter type=network --filter event=reconnect --filter container=docker:web");
            assert_eq!(told.lines().count(), times + 1, "{told}");
        }
        let web = format!("pid:{}", docker.sh("inspect --format '{{.State.Pid}}' web"));
        let server = host.serve(&web, 80, "again");
        assert_eq!(host.fetch("host", "127.0.0.1:8080").expect("it is published").text, "again");
        drop(server);

        // Though Docker itself was away meanwhile, and took its containers along.
        docker.restart();
        docker.sh("start web db");
        let as_before = || ["web", "db"].map(|name| links(&docker, name)) == before;
        host.wait_until("all is as it was", as_before);

        // What it removes has no place any more.
        docker.sh("rm --force web");
        eventually("its place is free", || !pontoon.run("ps -a").contains("docker:web"));
        assert!(!resolves(&host, "db", "web"));
        assert!(pontoon.run("ps").contains("docker:db"));
    }
}
