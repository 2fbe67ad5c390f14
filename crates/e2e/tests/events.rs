//! What `pontoon events` tells of: all that happened, in order, once, and nothing that was undone.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use pontoon_e2e::{Pontoon, becomes_as_before, eventually, program, state};
use pontoon_testkit::sandboxed;
use serde_json::Value;

/// Everything that happened, as JSON.
fn all(pontoon: &Pontoon<'_>, filters: &str) -> Vec<Value> {
    let text = pontoon.run(&format!("events --since 1h --until 0s --format json {filters}"));
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// `network connect blue`, and an attribute if there is one of that name.
fn short(event: &Value, key: &str) -> String {
    let (actor, attributes) = (&event["Actor"]["ID"], &event["Actor"]["Attributes"]);
    let name = attributes["name"].as_str().or(actor.as_str()).unwrap();
    let words = [event["Type"].as_str().unwrap(), event["Action"].as_str().unwrap(), name];
    words.into_iter().chain(attributes[key].as_str()).collect::<Vec<_>>().join(" ")
}

fn shorts(events: &[Value], key: &str) -> Vec<String> {
    events.iter().map(|event| short(event, key)).collect()
}

fn attribute<'e>(event: &'e Value, key: &str) -> &'e str {
    event["Actor"]["Attributes"][key].as_str().unwrap_or_else(|| panic!("no {key}: {event:#}"))
}

/// Follows beside the test, from when this returns.
struct Following {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Following {
    fn start(pontoon: &Pontoon<'_>, words: &str) -> Self {
        let mut child = pontoon.command(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        eventually("it watches, from the end of what there is", || is_at_the_end(child.id()));
        Self { child, lines }
    }

    fn next(&mut self) -> String {
        self.lines.next().expect("it goes on").unwrap()
    }
}

/// Whether a process watches, and has gone to the end of the log if there is one.
fn is_at_the_end(pid: u32) -> bool {
    let (mut watches, mut position) = (false, None);
    for fd in std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten() {
        let link = std::fs::read_link(fd.path()).unwrap_or_default();
        watches |= link.to_string_lossy().contains("inotify");
        if link.ends_with("events.log") {
            let info = std::fs::read_to_string(format!("/proc/{pid}/fdinfo/{}", fd.file_name().display()));
            let first =
                info.unwrap_or_default().lines().next().and_then(|line| line[4..].trim().parse().ok());
            position = first;
        }
    }
    watches && position == std::fs::metadata("/run/pontoon/events.log").ok().map(|log| log.len())
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

sandboxed! {
    fn a_whole_session_is_told_in_order(host: Host) {
        host.sh("ip netns add theirs; ip -n theirs link set lo up");
        let pontoon = Pontoon::on(&host);
        // Without names, no daemon comes and goes.
        pontoon.run("network create -o pontoon.dns=false --subnet 10.1.0.0/24 --label tier=front blue");
        pontoon.run("run -d --name web --network blue -p 8080:80 --label app=shop -- sleep 100");
        pontoon.run("network create -o pontoon.dns=false --subnet 10.2.0.0/24 --ipv6 --subnet fd02::/64 red");
        pontoon.run("network connect --ip 10.2.0.9 red web");
        pontoon.run("publish web 53:5353/udp");
        pontoon.run("unpublish web 53/udp");
        pontoon.run("link web:lan0=10.9.0.1/30 netns:theirs:lan0=10.9.0.2/30");
        pontoon.run("unlink web netns:theirs");
        pontoon.run("network connect -p 81:81 blue netns:theirs");
        pontoon.attempt("network disconnect blue netns:theirs");
        pontoon.run("network disconnect red web");
        pontoon.run("network rm red");
        pontoon.run("rm -f web");
        pontoon.attempt("run --rm --name once --network blue -- sh -c 'exit 7'");
        eventually("its network is gone", || shorts(&all(&pontoon, ""), "").last().unwrap() == "container destroy once");
        pontoon.run("network rm blue");
        let events = all(&pontoon, "");
        assert_eq!(shorts(&events, "containerName"), [
            "network create blue",
            "container create web", "network connect blue web", "port publish web", "container start web",
            "network create red", "network connect red web",
            "port publish web", "port unpublish web",
            "cable create web:lan0,netns-theirs:lan0", "cable destroy web:lan0,netns-theirs:lan0",
            "network connect blue netns-theirs", "port publish netns-theirs",
            "port unpublish netns-theirs", "network disconnect blue netns-theirs",
            "network disconnect red web", "network destroy red",
            "container die web", "port unpublish web", "network disconnect blue web", "container destroy web",
            "container create once", "network connect blue once", "container start once",
            "container die once", "network disconnect blue once", "container destroy once",
            "network destroy blue",
        ]);
        let times: Vec<i64> = events.iter().map(|event| event["timeNano"].as_i64().unwrap()).collect();
        assert!(times.is_sorted() && times[0] / 1_000_000_000 == events[0]["time"].as_i64().unwrap());
        assert!(events.iter().all(|event| event["scope"] == "local"));
        let created = &events[0];
        for (key, value) in [("name", "blue"), ("type", "bridge"), ("subnet", "10.1.0.0/24"), ("tier", "front")] {
            assert_eq!(attribute(created, key), value);
        }
        let connected = &events[6];
        assert_eq!((attribute(connected, "ip"), attribute(connected, "interface")), ("10.2.0.9", "eth1"));
        assert!(attribute(connected, "ip6").starts_with("fd02::"), "{connected:#}");
        assert_eq!(attribute(connected, "container"), events[1]["Actor"]["ID"]);
        assert_eq!(attribute(connected, "endpoint").len(), 64);
        assert_eq!(attribute(connected, "mac").len(), 17);
        assert_eq!((attribute(&events[3], "port"), attribute(&events[7], "port")), ("8080->80/tcp", "53->5353/udp"));
        assert_eq!((attribute(&events[17], "exitCode"), attribute(&events[17], "app")), ("137", "shop"));
        assert_eq!(attribute(&events[24], "exitCode"), "7");
        // What filters leave.
        for (filters, wanted) in [
            ("--filter type=container --filter container=web", 4),
            ("--filter event=connect --filter network=blue", 3),
            ("--filter container=once", 6),
            ("--filter event=create --filter event=remove", 10),
            ("--filter label=app=shop", 4),
            ("--filter type=port --filter event=unpublish", 3),
        ] {
            assert_eq!(all(&pontoon, filters).len(), wanted, "{filters}");
        }
        let text = pontoon.run("events --since 1h --until 0s --format '{{.Type}}/{{.Action}} {{.Actor.Attributes.name}}' --filter type=network --filter event=destroy");
        assert_eq!(text, "network/destroy red\nnetwork/destroy blue");
        let text = pontoon.run("events --since 1h --until 0s");
        assert!(text.lines().all(|line| line.len() <= 100), "{text}");
        assert!(text.contains(" network   connect    red container=web ip=10.2.0.9 ip6=fd02::2\n"), "{text}");
    }

    fn what_was_not_done_is_not_told(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("--dry-run network create blue");
        assert!(!std::path::Path::new("/run/pontoon/events.log").exists());
        pontoon.run("network create -o pontoon.dns=false blue");
        pontoon.run("--dry-run network rm blue");
        pontoon.run("--dry-run run --network blue -- true");
        pontoon.fail("network create blue");
        pontoon.fail("run --network blue -p 80:80 -p 80:81 -- true");
        pontoon.fail("run --network blue -- no-such-command");
        pontoon.fail("run --rm -d --network blue -- no-such-command");
        assert_eq!(shorts(&all(&pontoon, ""), ""), ["network create blue"]);
    }

    /// Killed anywhere, a command has said all of it or nothing, or the next one says what it finished.
    fn what_a_later_command_finishes_is_told_by_it(host: Host) {
        let pontoon = Pontoon::on(&host);
        host.sh("ip netns add theirs; ip -n theirs link set lo up");
        pontoon.run("network create blue");
        for at in 0..30 {
            std::fs::remove_file("/run/pontoon/events.log").unwrap();
            let output = pontoon.command("network connect blue netns:theirs").env("PONTOON_TEST_KILL_AT", at.to_string()).output().unwrap();
            let through = output.status.success();
            pontoon.attempt("network ls");
            let there = !pontoon.json("network inspect blue")[0]["Containers"].as_object().unwrap().is_empty();
            if there {
                pontoon.command("network disconnect blue netns:theirs").env("PONTOON_TEST_KILL_AT", (at / 2).to_string()).output().unwrap();
                pontoon.attempt("network ls");
            }
            pontoon.attempt("network disconnect blue netns:theirs");
            let events = shorts(&all(&pontoon, "--filter type=network"), "");
            let wanted: &[&str] = if there { &["network connect blue", "network disconnect blue"] } else { &[] };
            assert_eq!(events, wanted, "killed at {at}");
            let repairs = all(&pontoon, "--filter event=repair");
            assert!(repairs.iter().all(|event| attribute(event, "what").contains(" netns-theirs ")), "{repairs:#?}");
            // So that there is a file to remove.
            pontoon.run("run --rm --network none -- true");
            if through {
                assert!(at > 8);
                return;
            }
        }
        panic!("it never gets through");
    }

    fn fifty_at_once_lose_no_line(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create blue");
        let names: Vec<String> = (0..50).map(|number| format!("n{number}")).collect();
        names.iter().for_each(|name| { host.sh(&format!("ip netns add {name}")); });
        let children: Vec<Child> = names.iter().map(|name| pontoon.start(&format!("network connect blue netns:{name}"))).collect();
        for child in children {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        let events = all(&pontoon, "--filter event=connect");
        let told: BTreeSet<&str> = events.iter().map(|event| attribute(event, "containerName")).collect();
        assert_eq!((events.len(), told.len()), (50, 50));
    }

    fn a_pool_that_runs_low_is_told_of_once(host: Host) {
        let pontoon = Pontoon::on(&host);
        // Thirteen addresses for containers: the twelfth is more than nine of ten.
        pontoon.run("network create --subnet 10.1.0.0/28 blue");
        let connect = |number: u32| {
            host.try_sh(&format!("ip netns add n{number}"));
            pontoon.run(&format!("network connect blue netns:n{number}"));
        };
        (0..11).for_each(connect);
        assert_eq!(all(&pontoon, "--filter event=pool-low").len(), 0);
        (11..13).for_each(connect);
        let low = all(&pontoon, "--filter event=pool-low");
        assert_eq!(shorts(&low, "used"), ["network pool-low blue 12"]);
        assert_eq!((attribute(&low[0], "capacity"), attribute(&low[0], "subnet")), ("13", "10.1.0.0/28"));
        pontoon.run("network disconnect blue netns:n12");
        connect(12);
        assert_eq!(all(&pontoon, "--filter event=pool-low").len(), 1, "it was low all the time");
        pontoon.run("network disconnect blue netns:n12");
        pontoon.run("network disconnect blue netns:n11");
        connect(11);
        assert_eq!(all(&pontoon, "--filter event=pool-low").len(), 2);
    }

    fn a_follower_reads_on_when_the_log_is_put_aside(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create before");
        let mut following = Following::start(&pontoon, "events --format '{{.Actor.Attributes.name}} {{.Action}}'");
        // One line short of 4 MiB, so that the next one fills it.
        let line = host.sh("tail -n 1 /run/pontoon/events.log");
        host.sh(&format!("yes x | head -c {} | tr '\\n' x >> /run/pontoon/events.log; echo >> /run/pontoon/events.log", (4 << 20) - 2 * line.len()));
        pontoon.run("network create one");
        pontoon.run("network create two");
        pontoon.run("network create three");
        assert!(std::path::Path::new("/run/pontoon/events.log.1").exists());
        assert_eq!([following.next(), following.next(), following.next()], ["one create", "two create", "three create"]);
        let past = pontoon.attempt("events --since 1h --until 0s --format '{{.Actor.Attributes.name}}'");
        assert_eq!(String::from_utf8_lossy(&past.stdout), "before\none\ntwo\nthree\n");
        assert!(String::from_utf8_lossy(&past.stderr).starts_with("warning: "));
    }

    fn followers_end_when_they_are_told_to(host: Host) {
        let pontoon = Pontoon::on(&host);
        // Before anything has run.
        let start = std::time::Instant::now();
        let until = host.sh("date -u -d '+1 second' +%Y-%m-%dT%H:%M:%S.%NZ");
        assert_eq!(pontoon.run(&format!("events --until {}", until.trim())), "");
        assert!(start.elapsed().as_millis() >= 500);
        pontoon.run("network create first");
        let mut following = Following::start(&pontoon, "events --filter event=create");
        pontoon.run("network create blue");
        assert!(following.next().contains(" network   create     blue subnet="));
        host.sh(&format!("kill -INT {}", following.child.id()));
        let status = following.child.wait().unwrap();
        assert!(!status.success());
        // Nobody reads on.
        let piped = format!("{} events --since 1h | true; echo ${{PIPESTATUS[0]}}", program().display());
        let mut shell = Command::new("bash").args(["-c", &piped]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        eventually("it ends with the next event at the latest", || {
            pontoon.attempt("network create other");
            pontoon.attempt("network rm other");
            shell.try_wait().unwrap().is_some()
        });
        let output = shell.wait_with_output().unwrap();
        assert_eq!((String::from_utf8_lossy(&output.stdout).trim(), output.stderr.as_slice()), ("141", &b""[..]));
    }

    fn lines_that_are_no_events_are_passed_over(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create one");
        host.sh("printf '{\"Type\":\"netw' >> /run/pontoon/events.log");
        pontoon.run("network create two");
        host.sh("echo '{\"Type\":\"planet\",\"Action\":\"create\",\"Actor\":{\"ID\":\"x\"},\"time\":1,\"timeNano\":1}' >> /run/pontoon/events.log");
        pontoon.run("network create three");
        let output = pontoon.attempt("events --since 1h --until 0s --format '{{.Actor.Attributes.name}}'");
        assert!(output.status.success());
        assert_eq!(String::from_utf8_lossy(&output.stdout), "one\ntwo\nthree\n");
        assert_eq!(String::from_utf8_lossy(&output.stderr).lines().count(), 2);
    }

    fn wrong_words_and_missing_rights_are_said(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create blue");
        for (words, expected) in [
            ("--since yesterday", "`yesterday` is not a time for --since"),
            ("--filter event=vanish", "event=vanish"),
            ("--filter event=conect", "did you mean `connect`"),
            ("--filter colour=blue", "unknown filter key `colour`"),
            ("--format 'table {{.Type}}'", "make no table"),
            ("--format '{{.Typ}}'", "did you mean `.Type`"),
        ] {
            let (code, said) = pontoon.fail(&format!("events {words}"));
            assert!(code != 0 && said.starts_with("error: ") && said.contains(expected), "{words}: {said}");
        }
        let said = host.try_sh(&format!("setpriv --bounding-set -all --inh-caps -all --reuid 1 --regid 1 --clear-groups {} events", program().display()));
        let text = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(text.starts_with("error: could not ") && text.contains("/run/pontoon/events.log") && text.contains("ermission denied") && text.contains("hint: run it as root"), "{text}");
    }

    fn events_of_instances_are_their_own(host: Host) {
        let before = state(&host);
        let (pontoon, other) = (Pontoon::on(&host), Pontoon::with_root(&host, "/run/other"));
        other.run("network create blue");
        assert_eq!(shorts(&all(&other, ""), ""), ["network create blue"]);
        assert!(all(&pontoon, "").is_empty());
        // What cannot be written down has happened all the same.
        host.sh("rm /run/other/run/events.log; mkdir /run/other/run/events.log");
        let output = other.attempt("network rm blue");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && said.starts_with("warning: what happened could not be written down"), "{said}");
        other.run("system prune -f");
        host.sh("rm -r /run/other");
        becomes_as_before(&host, &before);
    }
}
