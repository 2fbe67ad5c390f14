//! Commands that are killed, or come at the same time.

use std::process::{Child, Output};

use pontoon_e2e::{Pontoon, becomes_as_before, state};
use pontoon_testkit::{Host, sandboxed};

use crate::{changed, edit, fetch, file, is_as_wanted, pids, serves, up};

const SHOP: &str = "
services:
  db: { command: [sleep, '4711'], networks: { back: { ipv4_address: 10.60.0.10 } } }
  web: { command: [sleep, '4711'], depends_on: [db], ports: ['8080:80'], networks: [back, front] }
networks:
  back: { ipam: { config: [ { subnet: 10.60.0.0/24 } ] } }
  front:
x-pontoon:
  links: ['web:lan0=10.9.0.1/30 db:lan0=10.9.0.2/30']
";

/// A command that dies at its checkpoint `at`, as does the keeper of each container that it starts: each of them counts
/// its own, and so does the command again after each container.
fn killed(pontoon: &Pontoon<'_>, words: &str, at: u32) -> Output {
    pontoon.command(words).env("PONTOON_TEST_KILL_AT", at.to_string()).output().expect("it starts")
}

/// Kills a command at each of its checkpoints in turn, until it gets to its end; says how many there are. `ready` comes
/// before each time, `check` after it.
fn at_each_checkpoint(
    pontoon: &Pontoon<'_>,
    words: &str,
    mut ready: impl FnMut(u32),
    mut check: impl FnMut(u32),
) -> u32 {
    let mut at = 0;
    loop {
        ready(at);
        let output = killed(pontoon, words, at);
        check(at);
        if output.status.success() {
            return at;
        }
        at += 1;
    }
}

/// All services run, each once, and `up` has nothing to do for them.
#[track_caller]
fn runs_once(host: &Host, pontoon: &Pontoon<'_>, at: u32) {
    let output = pontoon.attempt("up -d");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "killed at {at}: {said}");
    is_as_wanted(pontoon);
    assert_eq!(host.sh("pgrep -c -x -f 'sleep 4711'").trim(), "2", "killed at {at}");
    assert!(host.pings("shop-web-1", "10.60.0.10") && host.pings("shop-web-1", "10.9.0.2"), "killed at {at}");
}

/// It goes away, perhaps with a word about what a killed keeper left.
#[track_caller]
fn taken_down(pontoon: &Pontoon<'_>, words: &str, at: u32) {
    let output = pontoon.attempt(words);
    assert!(output.status.success(), "killed at {at}: {}", String::from_utf8_lossy(&output.stderr));
}

/// What came of commands: what they printed, or why not.
fn came_of(children: Vec<Child>) -> Vec<Result<String, String>> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let outcome = |child: Child| {
        let output = child.wait_with_output().expect("it can be waited for");
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    };
    children.into_iter().map(outcome).collect()
}

sandboxed! {
    fn an_up_killed_anywhere_is_finished_by_the_next(host: Host) {
        let pontoon = Pontoon::on(&host);
        file(SHOP);
        up(&pontoon);
        pontoon.run("down");
        let before = state(&host);
        let at = at_each_checkpoint(&pontoon, "up -d", |_| (), |at| {
            runs_once(&host, &pontoon, at);
            taken_down(&pontoon, "down", at);
            becomes_as_before(&host, &before);
        });
        assert!(at > 15, "{at}");
    }

    fn an_up_killed_among_its_containers_is_finished_by_the_next(host: Host) {
        let pontoon = Pontoon::on(&host);
        file(SHOP);
        // The networks are there, so the first to count are the keepers.
        up(&pontoon);
        let networks = pontoon.run("network ls -q");
        let ready = |at| {
            taken_down(&pontoon, "down web db", at);
            assert_eq!(pontoon.run("network ls -q"), networks);
        };
        let at = at_each_checkpoint(&pontoon, "up -d", ready, |at| runs_once(&host, &pontoon, at));
        assert!(at > 8, "{at}");
        taken_down(&pontoon, "down", at);
    }

    fn a_change_killed_anywhere_is_finished_by_the_next(host: Host) {
        let pontoon = Pontoon::on(&host);
        file(SHOP);
        up(&pontoon);
        let running = pids(&pontoon);
        let there = std::cell::Cell::new(false);
        let ready = |_| {
            // Forth and back: addresses, ports, a network, and a cable's end.
            let pairs = [("10.60.0.", "10.61.0."), ("8080:80", "8081:81"), ("[back, front]", "[front, back]")];
            let pairs = pairs.map(|(one, two)| if there.get() { (two, one) } else { (one, two) });
            edit(&pairs);
            there.set(!there.get());
        };
        let at = at_each_checkpoint(&pontoon, "up -d", ready, |at| {
            assert!(pontoon.attempt("up -d").status.success(), "killed at {at}");
            is_as_wanted(&pontoon);
            let address = if there.get() { "10.61.0.10" } else { "10.60.0.10" };
            assert!(host.pings("shop-web-1", address), "killed at {at}");
            assert_eq!(pids(&pontoon), running, "killed at {at}");
        });
        assert!(at > 15, "{at}");
        pontoon.run("down");
    }

    fn a_down_killed_anywhere_is_finished_by_the_next(host: Host) {
        let pontoon = Pontoon::on(&host);
        file(SHOP);
        up(&pontoon);
        pontoon.run("down");
        let before = state(&host);
        let at = at_each_checkpoint(&pontoon, "down", |_| drop(up(&pontoon)), |at| {
            taken_down(&pontoon, "down", at);
            becomes_as_before(&host, &before);
            assert!(!host.try_sh("pgrep -x -f 'sleep 4711'").status.success(), "killed at {at}");
        });
        assert!(at > 5, "{at}");
    }

    fn one_that_is_killed_at_any_time_is_finished_by_the_next(host: Host) {
        let pontoon = Pontoon::on(&host);
        file(SHOP);
        up(&pontoon);
        pontoon.run("down");
        let before = state(&host);
        for milliseconds in (5..150).step_by(12) {
            let after = std::time::Duration::from_millis(milliseconds);
            let mut child = pontoon.start("up -d");
            std::thread::sleep(after);
            child.kill().expect("it is ours");
            child.wait().expect("it is ours");
            runs_once(&host, &pontoon, 0);
            let mut child = pontoon.start("down");
            std::thread::sleep(after);
            child.kill().expect("it is ours");
            child.wait().expect("it is ours");
            taken_down(&pontoon, "down", 0);
            becomes_as_before(&host, &before);
        }
    }

    fn two_at_once_do_not_meet(host: Host) {
        let pontoon = Pontoon::on(&host);
        file(SHOP);
        for _ in 0..5 {
            let outcomes = came_of((0..3).map(|_| pontoon.start("up -d")).collect());
            assert!(outcomes.iter().any(Result::is_ok), "{outcomes:?}");
            for said in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
                assert!(said.contains("another command works at project `shop`") && said.contains("hint: "), "{said}");
            }
            runs_once(&host, &pontoon, 0);
            let outcomes = came_of(vec![pontoon.start("down"), pontoon.start("up -d"), pontoon.start("down")]);
            assert!(outcomes.iter().any(Result::is_ok), "{outcomes:?}");
            pontoon.run("down");
            assert_eq!(pontoon.run("ps -a -q"), "");
        }
    }

    fn a_keeper_that_is_killed_is_seen(host: Host) {
        let pontoon = Pontoon::on(&host);
        file("services: { web: { command: SERVE 'I am web.' } }");
        up(&pontoon);
        serves(&host, "shop-web-1");
        let pid = crate::pid(&pontoon, "shop-web-1");
        let keeper = host.sh(&format!("cut -d' ' -f4 /proc/{pid}/stat"));
        host.sh(&format!("kill -9 {}", keeper.trim()));
        is_as_wanted(&pontoon);
        assert_eq!(fetch(&pontoon, "host", &pontoon.address("shop_default", "shop-web-1")), "I am web.");
        host.sh(&format!("kill -9 {pid}"));
        let told = changed(&up(&pontoon));
        assert!(told.len() == 1 && told[0].contains("it has ended with 137"), "{told:?}");
        is_as_wanted(&pontoon);
        pontoon.run("down");
    }
}
