//! The real Docker Engine, on a throw-away host.

use std::path::Path;
use std::time::{Duration, Instant};

use pontoon_testkit::{Background, Host};

use crate::groups::Groups;

/// Debian's, whatever else is called so.
pub const CLIENT: &str =
    "DOCKER_HOST=unix:///run/docker.sock DOCKER_CONFIG=/run/docker/client /usr/bin/docker";

/// The engine, with all it writes to in memory.
///
/// Source for its options: dockerd(8).
const ENGINE: &str = "dockerd --config-file /run/docker/config.json --data-root /run/docker/data \
    --exec-root /run/docker/exec --pidfile /run/docker/pid --host unix:///run/docker.sock --group root \
    --storage-driver vfs";

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
    engine: Option<Background>,
    groups: Groups,
}

impl Docker {
    /// Starts it, with an image.
    ///
    /// # Panics
    ///
    /// Where it cannot run.
    #[track_caller]
    pub fn start(host: &Host) -> Self {
        for tool in ["dockerd", "containerd", "runc", "iptables", "tar"] {
            host.need(tool);
        }
        host.sh("mkdir -p /run/docker /etc/docker");
        ["/etc/docker", "/opt"]
            .iter()
            .for_each(|folder| drop(host.sh(&format!("mount -t tmpfs tmpfs {folder}"))));
        host.sh("echo '{}' > /run/docker/config.json");
        let mut docker = Self { host: host.clone(), engine: None, groups: Groups::of(host) };
        docker.begin();
        host.sh(&IMAGE.replace("CLIENT", CLIENT));
        docker
    }

    #[track_caller]
    fn begin(&mut self) {
        let engine = self.host.background(&format!("exec {} {ENGINE}", self.groups.enter()));
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
