//! The watch on a throw-away host: what somebody changes is put back while he looks on, and what we do is not looked at.

use std::cell::Cell;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use pontoon_daemon::watch::{Options, Report, Watch};
use pontoon_e2e::{Pontoon, state};
use pontoon_engine::Root;
use pontoon_engine::drift::{Code, Done};
use pontoon_testkit::{Host, sandboxed};

/// How long a repair may take on a busy machine.
const BOUND: Duration = Duration::from_secs(2);

/// A watch and what it reports.
struct Watched {
    watch: Watch,
    reports: Receiver<Report>,
    slowest: Cell<Duration>,
}

impl Watched {
    #[track_caller]
    fn start(repair: bool) -> Self {
        let (sender, reports) = channel();
        let report = move |report| drop(sender.send(report));
        let watch = Watch::start(Root::host(), Options { repair }, report).unwrap();
        let watched = Self { watch, reports, slowest: Cell::default() };
        watched.wait("it is ready", |report| matches!(report, Report::Ready));
        watched
    }

    /// Waits for a report, and passes over others.
    #[track_caller]
    fn wait(&self, what: &str, wanted: impl Fn(&Report) -> bool) -> Report {
        let (start, mut others) = (Instant::now(), Vec::new());
        while let Some(left) = BOUND.checked_sub(start.elapsed()) {
            match self.reports.recv_timeout(left) {
                Ok(report) if wanted(&report) => return report,
                Ok(report) => others.push(report),
                Err(_) => break,
            }
        }
        panic!("not so within two seconds: {what}; but: {others:#?}");
    }

    /// Waits until something was repaired.
    #[track_caller]
    fn repaired(&self, what: &str, code: Code) -> Report {
        let report = self.wait(what, |report| {
            matches!(report, Report::Repair { repair, .. } if repair.drift.code == code
                && matches!(repair.done, Done::Repaired))
        });
        if let Report::Repair { took, .. } = &report {
            self.slowest.set(self.slowest.get().max(*took));
        }
        report
    }

    /// What was reported for a while.
    fn quiet(&self, time: Duration) -> Vec<Report> {
        std::thread::sleep(time);
        self.reports.try_iter().collect()
    }
}

fn host_with_network(host: &Host) -> Pontoon<'_> {
    host.uplink();
    let pontoon = Pontoon::on(host);
    let options = "--subnet 10.1.0.0/24 --subnet fd01::/64 -o com.docker.network.bridge.name=blue0";
    pontoon.run(&format!("network create -o pontoon.dns=false {options} blue"));
    pontoon.run("run -d --name web --network blue -p 8080:80 -- sleep 1000");
    pontoon.run("run -d --name db --network blue -- sleep 1000");
    pontoon
}

fn port(host: &Host, container: &str) -> String {
    let found = host.sh(&format!(
        "for link in $(ip -o link show type veth | grep -o 'veth[0-9a-f]*@' | tr -d @); do
            ip -d link show $link | grep -q 'link-netns {container} ' && echo $link; done; true"
    ));
    found.trim().to_owned()
}

sandboxed! {
    fn what_somebody_changes_is_put_back_at_once(host: Host) {
        let pontoon = host_with_network(&host);
        let web = port(&host, "web");
        // The first packet begins the port's account.
        let served = host.serve("web", 80, "hello");
        host.fetch("outside", "192.0.2.2:8080").unwrap();
        drop(served);
        let before = state(&host);
        let watched = Watched::start(true);
        for (damage, code) in [
            ("nft flush ruleset", Code::RulesGone),
            ("nft delete table bridge pontoon", Code::RulesGone),
            ("nft flush chain inet pontoon forward", Code::ChainChanged),
            ("nft delete element inet pontoon any4 '{ tcp . 8080 }'", Code::ElementGone),
            ("nft add element inet pontoon bridges '{ eth7 }'", Code::ElementStray),
            ("ip link set dev blue0 down", Code::LinkDown),
            ("ip link set dev blue0 alias mine", Code::MarkChanged),
            ("ip link set dev blue0 address 02:00:00:00:00:01", Code::MarkChanged),
            ("ip link set dev blue0 type bridge stp_state 1", Code::BridgeChanged),
            ("ip address delete 10.1.0.1/24 dev blue0", Code::AddressGone),
            ("ip -6 address delete fd01::1/64 dev blue0", Code::AddressGone),
            ("ip route delete 10.1.0.0/24 dev blue0", Code::RouteGone),
            ("sysctl -qw net.ipv4.ip_forward=0", Code::SwitchOff),
            ("sysctl -qw net.ipv6.conf.all.forwarding=0", Code::SwitchOff),
            ("sysctl -qw net.ipv4.conf.blue0.forwarding=0", Code::LinkSwitchOff),
            ("ip link set dev WEB nomaster", Code::PortOff),
            ("ip link set dev WEB down", Code::LinkDown),
            ("ip link set dev WEB mtu 1300", Code::MtuChanged),
            ("bridge link set dev WEB isolated on", Code::PortChanged),
            ("ip link set dev WEB type bridge_slave learning off", Code::PortChanged),
            ("ip -n web link set dev eth0 down", Code::LinkDown),
            ("ip link delete WEB", Code::CableGone),
            ("ip link delete blue0", Code::BridgeGone),
        ] {
            let damage = damage.replace("WEB", &web);
            host.sh(&damage);
            watched.repaired(&damage, code);
            let served = host.serve("web", 80, "hello");
            host.fetch("outside", "192.0.2.2:8080").unwrap_or_else(|error| panic!("{damage}: {error}"));
            drop(served);
            // What follows from it comes after it.
            // Whether a router's anycast address comes back with its link is the kernel's own business.
            let same = |line: &str| {
                !line.starts_with("  ") || line.contains("ifindex") || line.contains("anycast")
            };
            let start = Instant::now();
            while !before.changes(&state(&host)).lines().all(same) {
                let late = start.elapsed() > BOUND;
                assert!(!late, "{damage}:\n{}", before.changes(&state(&host)));
            }
            assert!(host.pings("db", "198.51.100.10"), "{damage}");
            watched.quiet(Duration::ZERO);
        }
        println!("the slowest repair took {:?}", watched.slowest.get());
        assert_eq!(pontoon.run("restore"), "everything is as it should be");
    }

    fn it_is_said_who_did_it(host: Host) {
        host_with_network(&host);
        let watched = Watched::start(true);
        host.sh("nft flush set inet pontoon masquerade4");
        let Report::Repair { repair, .. } = watched.repaired("the set", Code::ElementGone) else { unreachable!() };
        assert_eq!(repair.drift.by.unwrap().name, "nft");
        assert_eq!(repair.drift.network.unwrap().as_str(), "blue");
    }

    fn what_our_own_commands_do_is_no_drift(host: Host) {
        let pontoon = host_with_network(&host);
        host.sh("ip netns add theirs");
        let watched = Watched::start(true);
        for _ in 0..5 {
            pontoon.run("network connect blue netns:theirs");
            pontoon.run("network disconnect blue netns:theirs");
            pontoon.run("run --rm --network blue -p 9090:90 -- true");
            pontoon.run("network create -o pontoon.dns=false -o com.docker.network.bridge.enable_icc=false red");
            pontoon.run("run --rm --network red -- true");
            pontoon.run("publish db 7070:70");
            pontoon.run("unpublish db 7070");
            host.wait_until("red is not used", || pontoon.attempt("network rm red").status.success());
        }
        let reports = watched.quiet(Duration::from_secs(1));
        assert!(reports.iter().all(|report| matches!(report, Report::LinkGone { .. })), "{reports:#?}");
        assert_eq!(reports.len(), 15);
    }

    fn a_healthy_host_is_not_touched(host: Host) {
        host_with_network(&host);
        let (before, rules) = (state(&host), host.sh("nft -a -s list ruleset"));
        for _ in 0..3 {
            let watched = Watched::start(true);
            let reports = watched.quiet(Duration::from_millis(100));
            assert!(reports.is_empty(), "{reports:#?}");
            watched.watch.stop();
        }
        before.assert_unchanged(&state(&host));
        assert_eq!(rules, host.sh("nft -a -s list ruleset"));
    }

    fn what_is_to_stay_stays_and_is_reported(host: Host) {
        let pontoon = host_with_network(&host);
        pontoon.run("network create -o pontoon.dns=false -o pontoon.repair=false -o com.docker.network.bridge.name=red0 red");
        let watched = Watched::start(true);
        host.sh("ip link set dev red0 down");
        let report = watched.wait("red is reported", |report| matches!(report, Report::Repair { .. }));
        assert!(matches!(&report, Report::Repair { repair, .. } if matches!(repair.done, Done::Kept)), "{report:?}");
        watched.watch.stop();
        assert!(pontoon.run("restore").contains("left as it is"));
        assert!(host.sh("ip link show dev red0").contains("state DOWN"));
        host.sh("ip link set dev red0 up");
        let watched = Watched::start(false);
        host.sh("nft delete table inet pontoon; ip link set dev blue0 down");
        watched.wait("rules", |report| matches!(report, Report::Drift(drift) if drift.code == Code::RulesGone));
        watched.wait("blue0", |report| matches!(report, Report::Drift(drift) if drift.code == Code::LinkDown));
        assert!(host.sh("ip link show dev blue0").contains("state DOWN"));
        assert!(!host.sh("nft list tables").contains("inet pontoon"));
    }

    fn somebody_who_changes_it_again_and_again_wins_for_a_while(host: Host) {
        host_with_network(&host);
        let watched = Watched::start(true);
        let change = host.background("while sleep 0.05; do ip link set dev blue0 alias mine; done");
        let paused = |report: &Report| {
            matches!(report, Report::Repair { repair, .. } if matches!(repair.done, Done::Paused(_)))
        };
        watched.wait("it is left alone", paused);
        change.stop();
        assert_eq!(watched.quiet(Duration::from_millis(300)).len(), 0);
        assert!(host.sh("ip link show dev blue0").contains("alias mine"));
    }

    fn a_new_route_of_somebody_elses_is_told(host: Host) {
        let pontoon = host_with_network(&host);
        let watched = Watched::start(true);
        pontoon.run("network create -o pontoon.dns=false red");
        host.sh("ip link add vpn0 type bridge; ip link set vpn0 up; ip route add 10.1.0.0/25 dev vpn0 table 7");
        let report = watched.wait("the route", |report| matches!(report, Report::RouteAppeared(_)));
        let Report::RouteAppeared(route) = report else { unreachable!() };
        assert_eq!((route.destination.to_string().as_str(), route.table), ("10.1.0.0/25", 7));
        assert_eq!(route.dev.as_deref(), Some("vpn0"));
    }

    fn a_transfer_survives_repairs_and_a_new_watch(host: Host) {
        host_with_network(&host);
        let served = host.background_in("web", "exec python3 -c '
import socket, time
server = socket.create_server((\"\", 80))
peer, _ = server.accept()
for number in range(400):
    peer.sendall(bytes(65536)); time.sleep(0.01)
peer.close()'");
        std::thread::sleep(Duration::from_millis(300));
        let fetched = host.background_in("outside", "exec python3 -c '
import socket
peer, total = socket.create_connection((\"192.0.2.2\", 8080), 5), 0
print(\"connected\", flush=True)
while data := peer.recv(1 << 20): total += len(data)
print(\"got\", total, flush=True)'");
        fetched.wait_for("connected");
        let watched = Watched::start(true);
        host.sh("nft flush set inet pontoon masquerade6; ip address delete fd01::1/64 dev blue0");
        watched.repaired("the address", Code::AddressGone);
        watched.watch.stop();
        let watched = Watched::start(true);
        let db = port(&host, "db");
        host.sh(&format!("ip link delete {db}"));
        watched.repaired("the cable", Code::CableGone);
        host.sh("nft flush ruleset");
        watched.repaired("the rules", Code::RulesGone);
        fetched.wait_for("got 26214400");
        drop(served);
    }
}
