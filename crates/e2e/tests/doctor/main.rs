//! What `doctor` finds is so, and what mends it lets real packets through; what is somebody else's stays until it is named.

mod faults;
mod mending;
mod overlapping;
mod strangers;

use std::ops::Deref;

use pontoon_e2e::{Pontoon, program, state};
use pontoon_testkit::{Host, Server, UdpServer, sandboxed};
use serde_json::Value;

const HTTP: &str = "-p 8080:80";

/// A program under test, and those who answer on its host.
struct Setup<'a> {
    pontoon: Pontoon<'a>,
    _servers: (Option<Server>, UdpServer),
}

impl<'a> Deref for Setup<'a> {
    type Target = Pontoon<'a>;

    fn deref(&self) -> &Pontoon<'a> {
        &self.pontoon
    }
}

/// An uplink, and a name server behind it.
fn uplink(host: &Host) -> UdpServer {
    host.uplink();
    host.sh("echo nameserver 198.51.100.10 > /etc/resolv.conf");
    host.serve_udp("outside", 53, "names")
}

/// Web and db on a network with a way out, nobody who repairs; web's port 80 is the host's 8080.
fn web_and_db<'a>(host: &'a Host) -> Setup<'a> {
    let names = uplink(host);
    let pontoon = Pontoon::on(host);
    pontoon.run("network create --subnet 10.5.0.0/24 -o com.docker.network.bridge.name=blue0 -o pontoon.dns=false blue");
    pontoon.run(&format!("run -d --name web --network blue:ip=10.5.0.2 {HTTP} -- sleep 1000"));
    pontoon.run("run -d --name db --network blue:ip=10.5.0.3 -- sleep 1000");
    Setup { pontoon, _servers: (Some(host.serve("web", 80, "web")), names) }
}

/// What it says, and the exit code; with commands of ours where people have them.
#[track_caller]
fn doctor(pontoon: &Pontoon<'_>, words: &str) -> (Value, i32) {
    let folder = program().parent().unwrap().display().to_string();
    let mut command = pontoon.command(&format!("doctor --format json {words}"));
    command.env("PATH", format!("{folder}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"));
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let found = serde_json::from_slice(&output.stdout);
    (found.unwrap_or_else(|error| panic!("{words}: {error}\n{said}")), output.status.code().unwrap())
}

/// As a person sees it.
fn shown(pontoon: &Pontoon<'_>) -> String {
    String::from_utf8_lossy(&pontoon.attempt("doctor").stdout).into_owned()
}

fn list<'a>(report: &'a Value, key: &str) -> Vec<&'a Value> {
    report[key].as_array().unwrap().iter().collect()
}

/// The codes that were found, with those of what they lead to.
fn codes(report: &Value) -> Vec<String> {
    let one = |finding: &&Value| {
        let more = finding["leads_to"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["code"].as_str().unwrap().to_owned());
        more.chain([finding["code"].as_str().unwrap().to_owned()]).collect::<Vec<_>>()
    };
    list(report, "findings").iter().flat_map(one).collect()
}

#[track_caller]
fn is_healthy(pontoon: &Pontoon<'_>) {
    let (report, exit) = doctor(pontoon, "");
    // That somebody else's route is in the way no more leaves a note that it is there.
    let rest: Vec<_> = codes(&report).into_iter().filter(|code| code != "subnet-overlap").collect();
    assert!(exit != 1 && rest.is_empty(), "{exit}\n{}", shown(pontoon));
}

/// It finds this, and says that it stops packets.
#[track_caller]
fn finds(pontoon: &Pontoon<'_>, code: &str) -> Value {
    let (report, exit) = doctor(pontoon, "");
    assert!(
        exit == 1 && codes(&report).iter().any(|found| found == code),
        "{exit}, not {code}\n{}",
        shown(pontoon)
    );
    report
}

/// A fault: packets pass; after `inject` they do not and it is found; after `fix` they do, and nothing is found.
#[track_caller]
fn mends(host: &Host, pontoon: &Pontoon<'_>, inject: &str, code: &str, fix: &str, passes: impl Fn() -> bool) {
    assert!(passes(), "before `{inject}`: real packets do not pass");
    is_healthy(pontoon);
    host.sh(inject);
    assert!(!passes(), "after `{inject}`: real packets pass");
    finds(pontoon, code);
    let before = shown(pontoon);
    let (report, exit) = doctor(pontoon, &format!("{fix} --yes"));
    let outcomes: Vec<_> = list(&report, "treated").iter().map(|one| one["outcome"].clone()).collect();
    assert!(
        exit != 1 && !outcomes.is_empty() && outcomes.iter().all(|one| one == "fixed" || one == "gone"),
        "{exit}: {:#}\nbefore:\n{before}\nafter:\n{}",
        report["treated"],
        shown(pontoon)
    );
    assert!(
        (0..5).any(|_| passes()),
        "{code}: mended, and real packets do not pass\n{before}\n{:#}",
        report["treated"]
    );
    is_healthy(pontoon);
}

/// A fault in what is somebody else's: `--fix` alone leaves it as it is, and naming it mends it.
#[track_caller]
fn mends_by_name(host: &Host, pontoon: &Pontoon<'_>, inject: &str, code: &str, passes: impl Fn() -> bool) {
    let twice = || {
        let before = state(host);
        doctor(pontoon, "--fix --yes");
        before.assert_unchanged(&state(host));
        passes()
    };
    let calls = std::cell::Cell::new(0);
    // The second time that it is asked for is when the fault is there.
    mends(host, pontoon, inject, code, &format!("--fix={code}"), || {
        calls.set(calls.get() + 1);
        if calls.get() == 2 { twice() } else { passes() }
    });
}

fn out(host: &Host) -> bool {
    host.pings("web", "198.51.100.10")
}

fn to_web(host: &Host) -> bool {
    host.pings("db", "10.5.0.2")
}

const PORT: &str = "$(ip -j link show master blue0 | grep -o 'veth[0-9a-f]*' | head -1)";

sandboxed! {
    fn a_healthy_host_has_nothing(host: Host) {
        let _names = uplink(&host);
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create --ipv6 --subnet 10.5.0.0/24 --subnet fd05::/64 blue");
        pontoon.run("network create --internal --subnet 10.6.0.0/24 inner");
        pontoon.run("network create -o com.docker.network.bridge.enable_icc=false --subnet 10.7.0.0/24 apart");
        pontoon.run("network create -o com.docker.network.bridge.gateway_mode_ipv4=routed --subnet 10.8.0.0/24 routed");
        pontoon.run("network create -o com.docker.network.bridge.gateway_mode_ipv4=isolated --internal --subnet 10.9.0.0/24 alone");
        pontoon.run("run -d --name web --network blue -p 8080:80 -p 127.0.0.1:8081:80 -- sleep 1000");
        pontoon.run("run -d --name db --network blue --network inner -- sleep 1000");
        pontoon.run("run -d --name a --network apart --network alone -- sleep 1000");
        pontoon.run("run -d --name b --network apart --network inner -- sleep 1000");
        pontoon.run("run -d --name c --network routed -- sleep 1000");
        pontoon.run("run -d --name d --network routed --network alone -- sleep 1000");
        pontoon.run("run -d --name e --network bridge -- sleep 1000");
        pontoon.run("run -d --name f --network none -- sleep 1000");
        pontoon.run("link e:x0=10.77.0.1/24 f:x0=10.77.0.2/24");
        let _server = host.serve("web", 80, "web");
        is_healthy(&pontoon);
    }
}
