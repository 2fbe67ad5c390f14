//! The real Docker Engine, on a throw-away host.

use std::path::Path;
use std::time::{Duration, Instant};

use pontoon_testkit::{Background, Host};

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
#[derive(Debug)]
pub struct Docker {
    host: Host,
    group: String,
    keeper: Background,
    engine: Option<Background>,
}

impl Docker {
    /// Starts it, with an image.
    ///
    /// # Panics
    ///
    /// Where it cannot run.
    #[track_caller]
    pub fn start(host: &Host) -> Self {
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
    ///
    /// # Panics
    ///
    /// When it does not end or start.
    #[track_caller]
    pub fn restart(&mut self) {
        let engine = self.engine.take().expect("it runs");
        self.host.sh(&format!("kill {}", engine.pid()));
        self.host.wait_until("dockerd has ended", || !Path::new("/run/docker/pid").exists());
        drop(engine);
        self.begin();
    }

    /// Runs its client, and returns what that printed.
    ///
    /// # Panics
    ///
    /// When it fails.
    #[track_caller]
    pub fn sh(&self, words: &str) -> String {
        self.host.sh(&format!("{CLIENT} {words}")).trim().to_owned()
    }

    /// Runs a container, and returns the place to enter it and its address.
    ///
    /// # Panics
    ///
    /// When it does not start.
    #[track_caller]
    pub fn run(&self, options: &str) -> (String, String) {
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
