//! Beside the real Docker Engine, which runs on the throw-away host.

use std::path::Path;
use std::time::{Duration, Instant};

use pontoon_e2e::{Pontoon, eventually};
use pontoon_testkit::{Background, Host, sandboxed};

use crate::{outside, reaches, warned};

/// Debian's, whatever else is called so.
const CLIENT: &str = "DOCKER_HOST=unix:///run/docker.sock DOCKER_CONFIG=/run/docker/client /usr/bin/docker";

/// Control groups of its own, as a host has them: in a group that is new, below whose root it sees nothing else. Its
/// processes are in a group below, as the kernel wants it where groups are given controllers (cgroups(7)).
const GROUPS: &str = "
    echo 0 > GROUP/cgroup.procs
    exec unshare --mount --cgroup sh -ec '
        mount -t cgroup2 cgroup2 /sys/fs/cgroup
        mkdir /sys/fs/cgroup/init
        echo 0 > /sys/fs/cgroup/init/cgroup.procs
        echo laid
        exec sleep infinity'
";

/// The engine, with all it writes to in memory.
///
/// Source for its options: dockerd(8).
const ENGINE: &str = "
    echo 0 > /sys/fs/cgroup/init/cgroup.procs
    exec dockerd --config-file /run/docker/config.json --data-root /run/docker/data --exec-root /run/docker/exec \
        --pidfile /run/docker/pid --host unix:///run/docker.sock --group root --storage-driver vfs
";

/// All that one of its containers has are links into the host's `/usr`, which is mounted in each.
const IMAGE: &str = "
    mkdir -p /run/docker/image/usr
    cd /run/docker/image
    for folder in bin lib lib64 sbin; do ln -s usr/$folder $folder; done
    tar -c . | CLIENT import - image
";

/// dockerd, its containers and its control groups, until this is dropped.
struct Docker {
    host: Host,
    group: String,
    keeper: Background,
    engine: Option<Background>,
}

impl Docker {
    #[track_caller]
    fn start(host: &Host) -> Self {
        for tool in ["dockerd", "containerd", "runc", "iptables", "unshare", "nsenter", "findmnt", "tar"] {
            host.need(tool);
        }
        let users = host.sh("cat /proc/self/uid_map");
        assert!(
            users.split_whitespace().nth(2).is_some_and(|count| count != "1"),
            "this test needs root: dockerd keeps control groups and files of several users, and the sandbox of a \
             user without privileges has neither"
        );
        host.sh("mkdir -p /run/docker /etc/docker");
        ["/etc/docker", "/opt"]
            .iter()
            .for_each(|folder| drop(host.sh(&format!("mount -t tmpfs tmpfs {folder}"))));
        host.sh("echo '{}' > /run/docker/config.json");
        let tree = host.sh("findmnt -n -t cgroup2 -o TARGET | head -n 1");
        assert!(!tree.is_empty(), "this test needs control groups of version 2, which are mounted nowhere");
        let group = host.sh(&format!("mktemp -d {}/pontoon-test.XXXXXX", tree.trim())).trim().to_owned();
        let keeper = host.background(&GROUPS.replace("GROUP", &group));
        let mut docker = Self { host: host.clone(), group, keeper, engine: None };
        docker.keeper.wait_for("laid");
        docker.begin();
        host.sh(&IMAGE.replace("CLIENT", CLIENT));
        docker
    }

    #[track_caller]
    fn begin(&mut self) {
        let enter = format!("exec nsenter --target {} --mount --cgroup", self.keeper.pid());
        let engine = self.host.background(&format!("{enter} sh -ec '{ENGINE}'"));
        let start = Instant::now();
        while !self.host.try_sh(&format!("{CLIENT} version")).status.success() {
            assert!(
                start.elapsed() < Duration::from_secs(20),
                "dockerd does not answer:\n{}",
                engine.output()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        self.engine = Some(engine);
    }

    /// Ends it as an administrator does, and starts it anew.
    #[track_caller]
    fn restart(&mut self) {
        let engine = self.engine.take().expect("it runs");
        self.host.sh(&format!("kill {}", engine.pid()));
        self.host.wait_until("dockerd has ended", || !Path::new("/run/docker/pid").exists());
        drop(engine);
        self.begin();
    }

    #[track_caller]
    fn sh(&self, words: &str) -> String {
        self.host.sh(&format!("{CLIENT} {words}")).trim().to_owned()
    }

    /// Runs a container, and returns the place to enter it and its address.
    #[track_caller]
    fn run(&self, options: &str) -> (String, String) {
        let id = self.sh(&format!(
            "run --detach --stop-signal KILL --volume /usr:/usr:ro {options} image sleep infinity"
        ));
        let format = "{{.State.Pid}} {{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
        let told = self.sh(&format!("inspect --format '{format}' {id}"));
        let (pid, address) = told.split_once(' ').unwrap_or((&told, ""));
        (format!("pid:{pid}"), address.to_owned())
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        self.engine.take();
        let group = &self.group;
        let gone = format!(
            "echo 1 > {group}/cgroup.kill
             for attempt in $(seq 100); do
                 find {group} -depth -type d -exec rmdir {{}} + 2>/dev/null || true
                 [ -e {group} ] || exit 0
                 sleep 0.02
             done
             exit 1"
        );
        if !self.host.try_sh(&gone).status.success() {
            eprintln!("{group} is left: `rmdir` takes it away");
        }
    }
}

/// The rules of one iptables program, without those that are ours.
fn rules(host: &Host, program: &str) -> String {
    let all = ["filter", "nat"].map(|table| host.sh(&format!("{program} -t {table} -S")));
    all.concat().lines().filter(|rule| !rule.contains("pontoon")).map(|rule| format!("{rule}\n")).collect()
}

/// Two containers of ours on a network of theirs, each of which is warned of.
#[track_caller]
fn ours(pontoon: &Pontoon<'_>) {
    let said = warned(pontoon, "network create blue");
    assert!(said.contains("Docker drops") && said.contains("chain FORWARD: policy drop"), "{said}");
    warned(pontoon, "run -d --name web --network blue -p 8081:80 -- sleep 1000");
    warned(pontoon, "run -d --name db --network blue -- sleep 1000");
}

sandboxed! {
    fn networks_are_let_through_and_its_own_containers_stay_as_they_were(host: Host) {
        let _outside = outside(&host);
        let mut docker = Docker::start(&host);
        let (theirs, their_address) = docker.run("--name theirs --publish 8080:80");
        let _theirs = [(80, "theirs"), (81, "hidden")].map(|(port, text)| host.serve(&theirs, port, text));
        let pontoon = Pontoon::on(&host);
        assert!(pontoon.run("firewall").starts_with("nothing is in the way"), "there is no network yet");
        ours(&pontoon);
        let _ours = [(80, "ours"), (81, "hidden")].map(|(port, text)| host.serve("web", port, text));
        let web = pontoon.address("blue", "web");
        assert!(their_address.starts_with("172.17.") && web.starts_with("172.18."), "{their_address} {web}");
        docker.sh("network create theirs");
        let (_, other) = docker.run("--name other --network theirs");
        assert!(other.starts_with("172.19."), "each keeps out of the other's subnets: {other}");

        let text = |place: &str, address: &str| host.fetch(place, address).map(|reply| reply.text).ok();
        assert!(!reaches(&host, "db"));
        assert_eq!(text("outside", "192.0.2.2:8081"), None);
        let found = pontoon.attempt("firewall --format json");
        let found: serde_json::Value = serde_json::from_slice(&found.stdout).expect("findings");
        assert_eq!((&found[0]["owner"], &found[0]["code"]), (&"docker".into(), &"firewall-forward".into()));

        let rules_before = rules(&host, "iptables");
        assert_eq!(pontoon.run("firewall integrate"), "DOCKER-USER of table ip filter (Docker)");
        assert!(pontoon.run("firewall").starts_with("nothing is in the way"));
        let works = || {
            assert!(reaches(&host, "db"));
            assert_eq!(text("outside", "192.0.2.2:8081").as_deref(), Some("ours"));
            assert!(host.pings("db", &web), "also where Docker's rules see what passes a bridge");
        };
        works();
        assert!(pontoon.run("exec db -- getent hosts web").starts_with(&web));
        assert_eq!(rules(&host, "iptables"), rules_before, "Docker's rules are as they were");
        assert_eq!(text("outside", "192.0.2.2:8080").as_deref(), Some("theirs"));
        // Of one another they reach what is published, and nothing else.
        assert_eq!(text("db", "192.0.2.2:8080").as_deref(), Some("theirs"));
        assert_eq!(text(&theirs, "192.0.2.2:8081").as_deref(), Some("ours"));
        for (place, address) in [("db", format!("{their_address}:81")), (theirs.as_str(), format!("{web}:81"))] {
            assert_eq!(text(place, &address), None, "{place} to {address}");
        }
        assert!(!host.pings("db", &other), "nor where the network has its own bridge");

        docker.restart();
        works();
        assert!(pontoon.run("firewall").starts_with("nothing is in the way"));
        docker.sh("rm --force other theirs");
        let (theirs, _) = docker.run("--name theirs --publish 8080:80");
        let _theirs = host.serve(&theirs, 80, "theirs again");
        assert_eq!(text("outside", "192.0.2.2:8080").as_deref(), Some("theirs again"));
        docker.sh("rm --force theirs");

        pontoon.run("firewall release");
        assert!(!reaches(&host, "db"));
        assert!(!host.sh("nft list ruleset").contains("pontoon:integration"));
        pontoon.run("rm -f web db");
        pontoon.run("network rm blue");
        pontoon.run("system prune -f");
        assert_eq!(host.sh("cat /proc/sys/net/ipv4/ip_forward").trim(), "1", "Docker needs it");
    }

    fn its_containers_can_be_on_a_network_too(host: Host) {
        let _outside = outside(&host);
        let docker = Docker::start(&host);
        let pontoon = Pontoon::on(&host);
        ours(&pontoon);
        pontoon.run("firewall integrate");
        let (theirs, _) = docker.run("--name theirs --network none");
        pontoon.run(&format!("network connect --ip 172.18.0.99 blue {theirs}"));
        assert!(reaches(&host, &theirs) && host.pings("db", "172.18.0.99"));
        docker.sh("rm --force theirs");
        // The kernel lets go of the namespace's links in a moment.
        eventually("its end is noticed", || {
            let output = pontoon.attempt("network prune -f");
            String::from_utf8_lossy(&output.stderr).contains("is gone, and no longer on network blue")
        });
        assert!(!host.pings("db", "172.18.0.99"));
    }

    fn by_iptables_legacy_it_is_told_of(host: Host) {
        let _outside = outside(&host);
        host.need("iptables-legacy");
        if !host.try_sh("iptables-legacy -L").status.success() {
            eprintln!("this kernel has no ip_tables: there is nothing that could be in the way");
            return;
        }
        host.own("/etc/alternatives");
        host.sh("for version in '' 6; do ln -sf /usr/sbin/ip${version}tables-legacy /etc/alternatives/ip${version}tables; done");
        let docker = Docker::start(&host);
        let (_, their_address) = docker.run("--name theirs");
        let pontoon = Pontoon::on(&host);
        ours(&pontoon);
        assert!(!reaches(&host, "db"));
        let before = rules(&host, "iptables-legacy");
        assert!(before.contains("-A FORWARD -j DOCKER-USER"), "{before}");
        let found = pontoon.attempt("firewall --format json");
        let found: serde_json::Value = serde_json::from_slice(&found.stdout).expect("findings");
        assert_eq!(found[0]["code"], "firewall-forward-legacy");
        for fix in found[0]["fix"].as_array().expect("commands") {
            host.sh(fix.as_str().expect("a command"));
        }
        assert!(reaches(&host, "db"));
        assert!(!host.pings("db", &their_address), "what is Docker's is Docker's to open");
    }
}
