//! What `reach` says of every pair is what real packets meet.

use std::collections::BTreeMap;

use pontoon_e2e::Pontoon;
use pontoon_testkit::{Host, sandboxed};
use serde_json::Value;

/// Web on both networks, db on the internal one alone, job beside web, two that may not reach each other.
fn five<'a>(host: &'a Host) -> Pontoon<'a> {
    host.uplink();
    let pontoon = Pontoon::on(host);
    pontoon.run("network create -o pontoon.dns=false --subnet 10.5.0.0/24 blue");
    pontoon.run("network create -o pontoon.dns=false --subnet 10.6.0.0/24 --internal red");
    pontoon.run("network create -o pontoon.dns=false --subnet 10.7.0.0/24 -o com.docker.network.bridge.enable_icc=false apart");
    for words in [
        "web --network blue:ip=10.5.0.2 --network red:ip=10.6.0.2 -p 8080:80",
        "db --network red:ip=10.6.0.3",
        "job --network blue:ip=10.5.0.3",
        "one --network apart:ip=10.7.0.2",
        "two --network apart:ip=10.7.0.3",
    ] {
        pontoon.run(&format!("run -d --name {words} -- sleep 1000"));
    }
    pontoon
}

/// Verdicts by who asks, who is asked, and for what.
fn verdicts(pontoon: &Pontoon<'_>, words: &str) -> BTreeMap<(String, String, String), String> {
    let found: Value = serde_json::from_str(&pontoon.run(&format!("reach --format json {words}"))).unwrap();
    let text = |one: &Value, key: &str| one[key].as_str().unwrap().to_owned();
    let passages = found["passages"].as_array().unwrap().iter();
    passages
        .map(|one| ((text(one, "from"), text(one, "to"), text(one, "what")), text(one, "verdict")))
        .collect()
}

sandboxed! {
    fn every_pair_is_as_it_says(host: Host) {
        let pontoon = five(&host);
        let _servers = ["web", "db", "two"].map(|place| host.serve(place, 80, place));
        // Where each is asked: on the subnet of the one who asks, if it is on it.
        let addresses = BTreeMap::from([
            ("web", vec!["10.5.0.2", "10.6.0.2"]), ("db", vec!["10.6.0.3"]), ("job", vec!["10.5.0.3"]),
            ("one", vec!["10.7.0.2"]), ("two", vec!["10.7.0.3"]),
        ]);
        let found = verdicts(&pontoon, "");
        let mut seen = BTreeMap::new();
        for ((from, to, what), verdict) in &found {
            let passes = match (from.as_str(), to.as_str(), what.as_str()) {
                ("outside", "host", "ping") => host.pings("outside", "192.0.2.2"),
                (from, "outside", "ping") => host.pings(from, "198.51.100.10"),
                ("outside", "web", "80/tcp") => host.fetch("outside", "192.0.2.2:8080").is_ok(),
                // Nothing outside knows a way to their own addresses.
                ("outside", ..) | (_, "host", _) => continue,
                (from, to, what) => {
                    let near = match (from, to) {
                        ("db", "web") => "10.6.0.2",
                        _ => addresses[to][0],
                    };
                    if what == "ping" { host.pings(from, near) } else { host.fetch(from, &format!("{near}:80")).is_ok() }
                }
            };
            assert_eq!(passes, verdict == "reachable", "{from} → {to} {what}: {verdict}");
            *seen.entry(passes).or_insert(0) += 1;
        }
        assert!(seen[&true] >= 12 && seen[&false] >= 12, "{seen:?}");
        let key = |from: &str, to: &str, what: &str| (from.to_owned(), to.to_owned(), what.to_owned());
        assert_eq!(found[&key("outside", "db", "80/tcp")], "unreachable");
        assert_eq!(found[&key("outside", "job", "ping")], "unreachable");
        assert!(!found.contains_key(&key("web", "job", "80/tcp")), "nobody listens there");
    }

    fn what_changed_is_told(host: Host) {
        let pontoon = five(&host);
        let _server = host.serve("db", 80, "db");
        pontoon.run("reach --save /run/before.json");
        assert_eq!(pontoon.run("reach --against /run/before.json"), "");
        pontoon.run("network disconnect red web");
        pontoon.run("network connect --ip 10.5.0.9 blue db");
        let output = pontoon.attempt("reach --against /run/before.json web db job");
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut lines: Vec<&str> = said.lines().collect();
        lines.sort_unstable();
        // Web and db have met before.
        assert_eq!(lines, ["+ db → job ping", "+ db → outside ping", "+ job → db 80/tcp", "+ job → db ping"]);
        let later = host.serve("web", 81, "web");
        let said = pontoon.attempt("reach --against /run/before.json web job");
        assert_eq!(String::from_utf8_lossy(&said.stdout).lines().filter(|line| line.ends_with(" 81/tcp")).count(), 2);
        drop(later);
        pontoon.run("rm -f job");
        let said = pontoon.attempt("reach --against /run/before.json");
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        assert!(said.contains("- web → job ping\n") && said.contains("- job → outside ping\n"), "{said}");
    }

    fn a_picture_is_enough(host: Host) {
        let pontoon = five(&host);
        let _server = host.serve("web", 80, "web");
        let shown = pontoon.run("reach --save /run/here.json");
        assert!(shown.lines().next().unwrap().starts_with("FROM"), "{shown}");
        pontoon.run("system prune -f");
        host.sh("chmod a+r /run/here.json");
        assert_eq!(pontoon.run("reach --from /run/here.json"), shown);
        let few = verdicts(&pontoon, "--from /run/here.json web job");
        assert_eq!(few.get(&("job".into(), "web".into(), "80/tcp".into())).map(String::as_str), Some("reachable"));
        for (words, why) in [
            ("reach --from /run/here.json nobody", "`nobody` is not in this picture of a host"),
            ("reach --from /run/nothing.json", "/run/nothing.json"),
            ("reach --against /etc/passwd", "/etc/passwd: it is not what"),
            ("reach nobody", "`nobody`"),
        ] {
            let (code, said) = pontoon.fail(words);
            assert!(code == 1 && said.contains(why), "{words}: {code} {said}");
        }
    }
}
