//! Labs: what they hide, how they end, who may make one.

use std::ffi::OsString;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use pontoon_kernel::lab::{self, Options};
use pontoon_kernel::process::ExitStatus;
use pontoon_model::Diagnose;
use pontoon_testkit::sandboxed;

fn shell(script: &str) -> Vec<OsString> {
    ["/bin/sh", "-ec", script].map(OsString::from).to_vec()
}

fn environment() -> Vec<(OsString, OsString)> {
    vec![("PATH".into(), "/usr/sbin:/usr/bin:/sbin:/bin".into())]
}

sandboxed! {
    fn the_exit_code_comes_through(_host: Host) {
        let run = |script: &str| lab::run_command(&Options::default(), &shell(script), &environment()).unwrap();
        assert_eq!(run("exit 7"), ExitStatus::Exited(7));
        assert_eq!(run("kill -9 $$").code(), 137);
        assert_eq!(lab::run(&Options::default(), || 3).unwrap().code(), 3);
        let missing = lab::run_command(&Options::default(), &["no-such-command".into()], &environment());
        assert_eq!(missing.unwrap_err().to_string(), "command `no-such-command` was not found");
    }

    fn it_is_a_host_of_its_own(host: Host) {
        host.sh("mkdir -p /run/mine; ip link add br9 type bridge");
        let script = "
            test $(id -u) = 0; test $(hostname) = lab; test ! -e /run/mine; test ! -e /sys/class/net/br9
            test -z \"$(ls /var/lib/pontoon)\"; touch /var/lib/pontoon/x; ping -c1 -W1 127.0.0.1 > /dev/null
            ip netns add a; ip link add br0 type bridge; nft add table inet t
            test $(ls -d /proc/[0-9]* | wc -l) -lt 8; test -d /var/lib/dpkg -o ! -e /etc/debian_version
        ";
        let status = lab::run_command(&Options::default(), &shell(script), &environment()).unwrap();
        assert!(status.success(), "{status:?}");
        assert!(!Path::new("/var/lib/pontoon/x").exists());
        assert!(host.sh("ip link").contains("br9"));
        assert!(!host.sh("ip link").contains("br0"));
    }

    fn an_unprivileged_user_may_make_one(host: Host) {
        host.need("ip");
        let script = "touch /var/lib/pontoon/x /run/x; ip netns add a
            ip link add v type veth peer name w netns a; nft add table inet t
            test $(id -u) = 0; ! touch /etc/x 2> /dev/null; exit 9";
        let outcome = lab::run(&Options::default(), || {
            become_nobody();
            match lab::run_command(&Options::default(), &shell(script), &environment()) {
                Ok(status) => status.code(),
                Err(error) => panic!("{error}: {error:?}"),
            }
        });
        assert_eq!(outcome.unwrap().code(), 9);
    }

    fn what_forbids_user_namespaces_is_named(_host: Host) {
        let outcome = lab::run(&Options::default(), || {
            fs::write("/proc/sys/user/max_user_namespaces", "0").unwrap();
            let error = lab::run(&Options::default(), || 0).unwrap_err();
            let message = "this user may not make a user namespace: user.max_user_namespaces is 0";
            assert_eq!(error.to_string(), message);
            assert!(error.hint().unwrap().contains("sysctl -w user.max_user_namespaces="));
            0
        });
        assert!(outcome.unwrap().success());
    }

    fn a_lab_dies_with_its_caller(host: Host) {
        let outer = lab::spawn(&Options::default(), || {
            let inner = shell("sleep 4711 & sleep 4711");
            lab::run_command(&Options::default(), &inner, &environment()).map_or(1, ExitStatus::code)
        });
        let outer = outer.unwrap();
        let sleepers = || host.sh("ps -e -o args").lines().filter(|line| *line == "sleep 4711").count();
        host.wait_until("the lab is there", || sleepers() == 2);
        outer.process().signal(9).unwrap();
        assert_eq!(outer.wait().unwrap().code(), 137);
        host.wait_until("nothing of it is left", || sleepers() == 0);
    }

    fn a_signal_reaches_the_command(host: Host) {
        let lab = lab::spawn(&Options::default(), || {
            let script = "trap 'exit 42' TERM; while :; do sleep 0.05; done";
            panic!("{}", Command::new("sh").args(["-c", script]).exec())
        });
        let lab = lab.unwrap();
        // The shell's trap is set when it sleeps for the first time.
        host.wait_until("the command runs", || host.sh("ps -e -o args").contains("sleep 0.05"));
        lab.process().signal(15).unwrap();
        assert_eq!(lab.wait().unwrap(), ExitStatus::Exited(42));
    }
}

/// Gives up everything that root has, where root has it: a sandbox of an unprivileged user has no other user.
fn become_nobody() {
    use rustix::fs::{Gid, Uid};
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    let one_user = fs::read_to_string("/proc/self/uid_map").unwrap().split_whitespace().last() == Some("1");
    if one_user {
        return;
    }
    let (nobody, nogroup) = (Uid::from_raw(65534), Gid::from_raw(65534));
    rustix::thread::set_thread_groups(&[]).unwrap();
    rustix::thread::set_thread_res_gid(nogroup, nogroup, nogroup).unwrap();
    rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
    // As exec would: else /proc/self stays root's.
    set_dumpable_behavior(DumpableBehavior::Dumpable).unwrap();
}
