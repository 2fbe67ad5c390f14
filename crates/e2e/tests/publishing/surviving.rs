//! Published ports when commands are killed half-way, come all at once, or containers end without a word.

use std::collections::BTreeSet;
use std::process::Child;

use pontoon_e2e::{Pontoon, becomes_as_before, eventually, state};
use pontoon_testkit::{Host, Snapshot, sandboxed};

use crate::published;

/// All there is to see of ports: on the host, and on record.
fn all(host: &Host, pontoon: &Pontoon<'_>) -> (Snapshot, String) {
    (state(host), on_record(pontoon))
}

fn on_record(pontoon: &Pontoon<'_>) -> String {
    let shown = pontoon.attempt("ps -a --format '{{.Names}} {{.Ports}}'");
    String::from_utf8_lossy(&shown.stdout).into_owned()
}

/// Whether all is as it was, at this very moment.
fn is_the_same(host: &Host, pontoon: &Pontoon<'_>, before: &(Snapshot, String)) -> bool {
    on_record(pontoon) == before.1 && before.0.changes(&state(host)).is_empty()
}

/// Waits until all is as it was.
#[track_caller]
fn is_as_before(host: &Host, pontoon: &Pontoon<'_>, before: &(Snapshot, String), what: &str) {
    if is_the_same(host, pontoon, before) {
        return;
    }
    eprintln!("{what}:");
    becomes_as_before(host, &before.0);
    assert_eq!(on_record(pontoon), before.1, "{what}");
}

/// Runs commands one after the other; they may warn.
#[track_caller]
fn run_all(pontoon: &Pontoon<'_>, commands: &[&str]) {
    for command in commands {
        let output = pontoon.attempt(command);
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// Kills `command` at its first checkpoint, then at its second, and so on until it gets through; each time any next
/// command must put everything right. `undo` takes back what it did.
fn killed_anywhere(host: &Host, pontoon: &Pontoon<'_>, command: &str, undo: &[&str]) -> u32 {
    // Once unhurt, so that what stays for good is there.
    run_all(pontoon, &[command]);
    run_all(pontoon, undo);
    let before = all(host, pontoon);
    for at in 0_u32..200 {
        let output = pontoon.command(command).env("PONTOON_TEST_KILL_AT", at.to_string()).output().unwrap();
        run_all(pontoon, &["network ls", "ps"]);
        if output.status.success() {
            run_all(pontoon, undo);
            is_as_before(host, pontoon, &before, command);
            return at;
        }
        // Some are done when they are killed, all of it.
        if !is_the_same(host, pontoon, &before) {
            undo.iter().for_each(|undo| drop(pontoon.attempt(undo)));
            is_as_before(host, pontoon, &before, &format!("`{command}` killed at {at}"));
        }
    }
    panic!("{command} never gets through")
}

/// Kills `command` as above; each time the next command must finish it. `again` prepares the next try.
fn finished_anyway(host: &Host, pontoon: &Pontoon<'_>, command: &str, again: &[&str]) -> u32 {
    run_all(pontoon, &[command]);
    let done = all(host, pontoon);
    for at in 0_u32..200 {
        run_all(pontoon, again);
        let output = pontoon.command(command).env("PONTOON_TEST_KILL_AT", at.to_string()).output().unwrap();
        run_all(pontoon, &["network ls", "ps"]);
        is_as_before(host, pontoon, &done, &format!("`{command}` killed at {at}"));
        if output.status.success() {
            return at;
        }
    }
    panic!("{command} never gets through")
}

sandboxed! {
    fn a_container_with_ports_killed_in_the_making_leaves_nothing(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create --ipv6 blue");
        let run = "run -d --name web --network blue -p 8080:80 -p 5353:53/udp -p 90 -- sleep 100";
        assert!(killed_anywhere(&host, &pontoon, run, &["rm -f web"]) > 10);
        pontoon.run("run -d --name web --network blue -p 8080:80 -p 5353:53/udp -- sleep 100");
    }

    fn a_connection_with_ports_killed_in_the_making_leaves_nothing(host: Host) {
        host.sh("ip netns add theirs; ip -n theirs link set lo up");
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create --ipv6 blue");
        pontoon.run("network create --ipv6 red");
        let connect = "network connect -p 8080:80 -p 5353:53/udp blue netns:theirs";
        assert!(killed_anywhere(&host, &pontoon, connect, &["network disconnect blue netns:theirs"]) > 10);
        // And one by which the ports of the container move.
        pontoon.run("run -d --name web --network red -p 7070:80 -p 5454:53/udp -- sleep 100");
        let connect = "network connect --gw-priority 3 -p 9090:90 blue web";
        assert!(killed_anywhere(&host, &pontoon, connect, &["network disconnect blue web", "unpublish web 9090"]) > 10);
    }

    fn ports_killed_while_they_change_are_as_before_or_as_asked(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create --ipv6 blue");
        pontoon.run("network create --ipv6 red");
        pontoon.run("run -d --name web --network blue -p 7070:80 -p 5454:53/udp -- sleep 100");
        let publish = "publish web 8080:80 127.0.0.1:5353:53/udp";
        assert!(killed_anywhere(&host, &pontoon, publish, &["unpublish web 8080 5353/udp"]) > 3);
        assert!({
            pontoon.run(publish);
            finished_anyway(&host, &pontoon, "unpublish web 8080 5353/udp", &[publish])
        } > 3);
        // A disconnection by which they move.
        let connect = "network connect --gw-priority 3 red web";
        pontoon.run(connect);
        assert!(finished_anyway(&host, &pontoon, "network disconnect red web", &[connect]) > 4);
        // One by which they lead nowhere, and one with which they are forgotten.
        host.sh("ip netns add theirs; ip -n theirs link set lo up");
        let connect = "network connect -p 8080:80 -p 5353:53/udp red netns:theirs";
        pontoon.run(connect);
        assert!(finished_anyway(&host, &pontoon, "network disconnect red netns:theirs", &[connect]) > 4);
    }

    fn a_container_that_is_killed_gives_its_ports_back(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create blue");
        let run = |words: &str| pontoon.attempt(&format!("{words} --network blue -p 8080:80 -p 5353:53/udp -- sleep 100")).status.success();
        for round in 0..3 {
            eventually("the ports are free", || run(&format!("run -d --name c{round}")));
            host.sh(&format!("kill -9 {}", pontoon.run(&format!("inspect --format '{{{{.State.Pid}}}}' c{round}"))));
        }
        eventually("the ports lead nowhere", || published(&host).is_empty());
        // Its keeper too: the next look at it tidies up.
        eventually("the ports are free", || run("run -d --name web"));
        let pid = pontoon.run("inspect --format '{{.State.Pid}}' web");
        let keeper = host.sh(&format!("cut -d' ' -f4 /proc/{pid}/stat"));
        host.sh(&format!("kill -9 {} {pid}", keeper.trim()));
        let shown = || pontoon.attempt("ps -a --filter name=web --format '{{.Status}}'").stdout;
        eventually("it is seen to have ended", || String::from_utf8_lossy(&shown()).contains("Exited"));
        assert_eq!(published(&host), "");
        assert!(run("run -d --name next"));
        // Removed in the moment when it ends.
        for round in 0..10 {
            pontoon.run(&format!("run -d --name r{round} --network blue -p 7070:80 -- sleep 100"));
            pontoon.run(&format!("rm -f r{round}"));
        }
        // On no network any more.
        for round in 0..5 {
            pontoon.run(&format!("run -d --name w{round} --network blue -p 6060:80 -- sleep 100"));
            pontoon.attempt(&format!("network disconnect blue w{round}"));
            pontoon.run(&format!("{} w{round}", if round % 2 == 0 { "rm -f" } else { "stop -t 0" }));
        }
    }

    fn fifty_at_once_all_get_their_ports_and_none_twice(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create blue");
        host.sh("for i in $(seq 50); do ip netns add n$i; done");
        let start = |number: u32| pontoon.start(&format!("network connect -p {}:80 -p 81 -p 53/udp blue netns:n{number}", 8000 + number));
        let children: Vec<Child> = (1..=50).map(start).collect();
        for child in children {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        let elements = published(&host);
        let ports: BTreeSet<&str> = elements.lines().filter(|line| line.starts_with("any4")).map(|line| line.split(" : ").next().unwrap()).collect();
        assert_eq!(ports.len(), 150, "{elements}");
        let targets: BTreeSet<&str> = elements.lines().filter(|line| line.starts_with("any4")).map(|line| line.split(" : ").nth(1).unwrap()).collect();
        // For each container 80, 81 and 53.
        assert_eq!(targets.len(), 150, "{elements}");
        let children: Vec<Child> = (1..=50).map(|number| pontoon.start(&format!("network disconnect blue netns:n{number}"))).collect();
        for child in children {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        assert_eq!(published(&host), "");
        let children: Vec<Child> = (0..20).map(|number| pontoon.start(&format!("run --rm --network blue -p {}:80 -p 81 -- true", 8000 + number))).collect();
        for child in children {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        eventually("all is tidied up", || published(&host).is_empty() && pontoon.run("ps -a -q").is_empty());
        // Of those who want one port at once, one gets it.
        let children: Vec<Child> = (0..8).map(|number| pontoon.start(&format!("run -d --name c{number} --network blue -p 9090:80 -- sleep 100"))).collect();
        let got = children.into_iter().filter_map(|child| child.wait_with_output().ok()).filter(|output| output.status.success()).count();
        assert_eq!(got, 1);
        assert_eq!(published(&host).matches("any4").count(), 1);
    }
}
