//! Control groups for engines that run containers on a throw-away host.

use pontoon_testkit::{Background, Host};

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

/// Control groups, until this is dropped with all that runs in them.
#[derive(Debug)]
pub struct Groups {
    host: Host,
    group: String,
    keeper: Background,
}

impl Groups {
    /// New ones.
    ///
    /// # Panics
    ///
    /// Without root, or where there are no control groups of version 2.
    #[track_caller]
    pub fn of(host: &Host) -> Self {
        for tool in ["unshare", "nsenter", "findmnt"] {
            host.need(tool);
        }
        let users = host.sh("cat /proc/self/uid_map");
        assert!(
            users.split_whitespace().nth(2).is_some_and(|count| count != "1"),
            "this test needs root: engines keep control groups and files of several users, and the sandbox of a user \
             without privileges has neither"
        );
        let tree = host.sh("findmnt -n -t cgroup2 -o TARGET | head -n 1");
        assert!(!tree.is_empty(), "this test needs control groups of version 2, which are mounted nowhere");
        let group = host.sh(&format!("mktemp -d {}/pontoon-test.XXXXXX", tree.trim())).trim().to_owned();
        let keeper = host.background(&GROUPS.replace("GROUP", &group));
        keeper.wait_for("laid");
        Self { host: host.clone(), group, keeper }
    }

    /// The beginning of a command line whose command is to run in them.
    pub fn enter(&self) -> String {
        let pid = self.keeper.pid();
        format!(
            "nsenter --target {pid} --mount --cgroup \
             sh -ec 'echo 0 > /sys/fs/cgroup/init/cgroup.procs; exec \"$@\"' enter"
        )
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
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
