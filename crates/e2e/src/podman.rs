//! The real Podman, on a throw-away host.

use std::path::Path;

use pontoon_testkit::{Background, Host};

use crate::groups::Groups;

/// Its files in memory; and what a host without systemd has instead of it. The folder for its settings is the host's own.
///
/// Source: containers-storage.conf(5), containers.conf(5), containers-policy.json(5).
const SETTINGS: &str = r#"
    mount -t tmpfs tmpfs /etc/containers
    cd /etc/containers
    echo '{"default": [{"type": "insecureAcceptAnything"}]}' > policy.json
    printf '[storage]\ndriver = "vfs"\ngraphroot = "/run/podman/root"\nrunroot = "/run/podman/run"\n' > storage.conf
    printf '[containers]\nlog_driver = "k8s-file"\n[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\nruntime = "crun"\n' > containers.conf
"#;

/// As Docker's: all that a container has are links into the host's `/usr`, which is mounted in each.
const IMAGE: &str = "
    mkdir -p /run/podman/image/usr
    cd /run/podman/image
    for folder in bin lib lib64 sbin; do ln -s usr/$folder $folder; done
    tar -c . > /run/podman/image.tar
    echo 'nameserver 127.0.0.11' > /run/podman/resolv.conf
";

/// Podman refuses `--dns` together with `--network none`.
const RESOLVER: &str = "--volume /run/podman/resolv.conf:/etc/resolv.conf:ro";

/// Podman, its containers and its control groups, until this is dropped.
#[derive(Debug)]
pub struct Podman {
    host: Host,
    service: Option<Background>,
    groups: Groups,
}

impl Podman {
    /// Lays it out, with an image; nobody listens at a socket yet.
    ///
    /// # Panics
    ///
    /// Where it cannot run.
    #[track_caller]
    pub fn new(host: &Host) -> Self {
        for tool in ["podman", "conmon", "crun", "tar"] {
            host.need(tool);
        }
        host.sh("mkdir -p /run/podman");
        host.sh(SETTINGS);
        host.sh(IMAGE);
        let podman = Self { host: host.clone(), service: None, groups: Groups::of(host) };
        podman.sh("import --quiet /run/podman/image.tar image");
        podman
    }

    /// Listens at its socket from now on.
    ///
    /// # Panics
    ///
    /// When it does not.
    #[track_caller]
    pub fn serve(&mut self) {
        let service = "podman system service --time 0 unix:///run/podman/podman.sock";
        self.service = Some(self.host.background(&format!("exec {} {service}", self.groups.enter())));
        self.host.wait_until("Podman listens", || Path::new("/run/podman/podman.sock").exists());
    }

    /// A command line of its.
    pub fn command(&self, words: &str) -> String {
        format!("{} podman {words}", self.groups.enter())
    }

    /// Runs it, and returns what that printed.
    ///
    /// # Panics
    ///
    /// When it fails.
    #[track_caller]
    pub fn sh(&self, words: &str) -> String {
        self.host.sh(&self.command(words)).trim().to_owned()
    }

    /// Runs a container that stays, with global options before `run`: what watches it holds on to the output that it gets.
    ///
    /// # Panics
    ///
    /// When it does not start.
    #[track_caller]
    pub fn detached(&self, words: &str) {
        let words = words.replacen("run ", "run --detach --stop-signal KILL --volume /usr:/usr:ro ", 1);
        let said = "</dev/null >/dev/null 2>/run/podman/said || { cat /run/podman/said >&2; exit 1; }";
        self.sh(&format!("{words} {said}"));
    }

    /// Runs a container without a network, and returns the place to enter it.
    ///
    /// # Panics
    ///
    /// When it does not start.
    #[track_caller]
    pub fn run(&self, options: &str) -> String {
        self.detached(&format!("run --network none {RESOLVER} {options} image sleep infinity"));
        let pid = self.sh("inspect --latest --format '{{.State.Pid}}'");
        format!("pid:{pid}")
    }
}
