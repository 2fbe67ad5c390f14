//! A container's process: its files, its root, its end.

use std::fs;
use std::path::Path;
use std::time::Duration;

use pontoon_kernel::mount::{self, Tree, View};
use pontoon_kernel::netns::Netns;
use pontoon_kernel::process::{
    Exec, ExitStatus, FileSource, Foreground, Process, SpawnError, Spec, Stdio, exec_into, spawn,
};
use pontoon_kernel::terminal::Pty;
use pontoon_model::Diagnose;
use pontoon_testkit::sandboxed;

const LOG: &str = "/run/log";

/// A shell script whose output goes to [`LOG`].
fn script(script: &str) -> Spec<'static> {
    Spec { stdio: Stdio::Log(LOG.into()), ..Spec::new(["/bin/sh", "-ec", script]) }
}

/// Runs it to its end and returns its output.
fn output(spec: &Spec<'_>) -> String {
    let _ = fs::remove_file(LOG);
    let child = spawn(spec).unwrap();
    let status = child.wait().unwrap();
    let text = fs::read_to_string(LOG).unwrap();
    assert!(status.success(), "{status:?}: {text}\n{:?}", child.notes);
    text
}

fn contents(text: &str) -> Option<FileSource> {
    Some(FileSource::Contents(text.into()))
}

/// A root directory with nothing but a shell in it, and the libraries that it needs.
fn small_root(host: &pontoon_testkit::Host, directory: &str) {
    host.need("busybox");
    host.sh(&format!(
        "mkdir -p {directory}/bin; cp $(command -v busybox) {directory}/bin/busybox
        for name in sh cat ls hostname id sleep mount touch; do ln -s busybox {directory}/bin/$name; done
        for library in $(ldd {directory}/bin/busybox | grep -o '/[^ ]*'); do
            mkdir -p {directory}$(dirname $library); cp $library {directory}$library; done"
    ));
}

sandboxed! {
    fn an_exit_is_told_from_a_signal(_host: Host) {
        assert_eq!(spawn(&script("exit 3")).unwrap().wait().unwrap(), ExitStatus::Exited(3));
        let killed = spawn(&script("kill -TERM $$")).unwrap().wait().unwrap();
        assert_eq!((killed, killed.code()), (ExitStatus::Signaled(15), 143));
    }

    fn a_command_that_cannot_be_run_is_named(host: Host) {
        let missing = spawn(&Spec::new(["no-such-command"])).unwrap_err();
        assert_eq!(missing.to_string(), "command `no-such-command` was not found");
        assert_eq!(missing.exit_code(), 127);
        assert_eq!(spawn(&Spec::new(["/nowhere/at/all"])).unwrap_err().exit_code(), 127);
        assert_eq!(spawn(&Spec::new(["/etc/passwd"])).unwrap_err().exit_code(), 126);
        assert_eq!(spawn(&Spec::new(["/etc"])).unwrap_err().exit_code(), 126);
        host.sh("printf '#!/no/such/interpreter\\n' > /run/script; chmod +x /run/script");
        let interpreter = spawn(&Spec::new(["/run/script"])).unwrap_err();
        assert_eq!(interpreter.exit_code(), 126);
        assert!(interpreter.hint().unwrap().contains("interpreter"));
        assert!(matches!(spawn(&Spec::new([""])), Err(SpawnError::NoCommand)));
        let spec = Spec { directory: Some("/nowhere".into()), ..script("true") };
        let error = spawn(&spec).unwrap_err();
        assert_eq!(error.to_string(), "could not change to directory `/nowhere`");
        assert_eq!(error.exit_code(), 125);
    }

    fn a_script_without_a_first_line_is_the_shells(host: Host) {
        host.sh("echo 'echo ran $1' > /run/plain; chmod +x /run/plain");
        let mut spec = Spec { stdio: Stdio::Log(LOG.into()), ..Spec::new(["plain", "it"]) };
        spec.environment = vec![("PATH".into(), "/nowhere:/run".into())];
        assert_eq!(output(&spec), "ran it\n");
    }

    fn it_has_its_own_files_and_the_host_keeps_its_own(host: Host) {
        let before = host.sh("cat /etc/resolv.conf /etc/hosts; ls -l /etc; cat /proc/self/mountinfo");
        fs::write("/run/hosts", "10.0.0.2 web\n").unwrap();
        let mut spec = script("cat /etc/resolv.conf /etc/hosts; hostname; ls /sys/class/net; sleep 0.2; cat /etc/hosts");
        let netns = Netns::create().unwrap();
        spec.netns = Some(&netns);
        spec.hostname = Some("web".into());
        spec.files.resolv_conf = contents("nameserver 10.0.0.1\n");
        spec.files.hosts = Some(FileSource::Path("/run/hosts".into()));
        spec.fresh_sysfs = true;
        host.sh("ip link add br7 type bridge");
        assert_eq!(output(&spec), "nameserver 10.0.0.1\n10.0.0.2 web\nweb\nlo\n10.0.0.2 web\n");
        let after = host.sh("cat /etc/resolv.conf /etc/hosts; ls -l /etc; cat /proc/self/mountinfo");
        assert_eq!(before, after);
        assert_eq!(host.sh("hostname").trim(), "test");
    }

    fn a_link_and_a_missing_file_are_mounted_over_too(host: Host) {
        // A private /etc to make links in.
        host.sh("mkdir /run/etc; cp -dR /etc/passwd /etc/group /etc/ld.so* /run/etc/; mount --bind /run/etc /etc
            mkdir -p /run/systemd; echo 'nameserver 127.0.0.53' > /run/systemd/stub.conf
            ln -s ../run/systemd/stub.conf /etc/resolv.conf; ln -s /run/nowhere /etc/hosts");
        let mut spec = script("cat /etc/resolv.conf /etc/hosts /etc/hostname; grep -c root: /etc/passwd");
        spec.files.resolv_conf = contents("r\n");
        spec.files.hosts = contents("h\n");
        spec.files.hostname = contents("n\n");
        assert_eq!(output(&spec), "r\nh\nn\n1\n");
        assert_eq!(host.sh("cat /etc/resolv.conf").trim(), "nameserver 127.0.0.53");
        assert!(!host.try_sh("test -e /etc/hosts -o -e /etc/hostname -o -e /run/nowhere").status.success());
    }

    fn links_are_followed_while_others_mount(host: Host) {
        host.sh("mkdir -p /run/a/b /run/mounted && echo found > /run/found && ln -s ../../found /run/a/b/link");
        let ended = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !ended.load(std::sync::atomic::Ordering::Relaxed) {
                    Tree::tmpfs("0755").unwrap().attach_path(Path::new("/run/mounted")).unwrap();
                    mount::detach(Path::new("/run/mounted")).unwrap();
                }
            });
            let view = View::host().unwrap();
            let outcome = (0..5_000).try_for_each(|_| view.find(Path::new("/run/a/b/link")).map(|found| {
                assert!(found.is_some());
            }));
            ended.store(true, std::sync::atomic::Ordering::Relaxed);
            outcome.unwrap();
        });
    }

    fn a_later_change_of_a_file_is_seen_inside(host: Host) {
        fs::write("/run/hosts", "one\n").unwrap();
        let mut spec = script("cat /etc/hosts; while ! grep -q two /etc/hosts; do sleep 0.02; done; cat /etc/hosts");
        spec.files.hosts = Some(FileSource::Path("/run/hosts".into()));
        let child = spawn(&spec).unwrap();
        host.wait_until("it has read the first", || fs::read_to_string(LOG).unwrap() == "one\n");
        fs::write("/run/hosts", "two\n").unwrap();
        assert!(child.wait().unwrap().success());
        assert_eq!(fs::read_to_string(LOG).unwrap(), "one\ntwo\n");
    }

    fn a_root_of_its_own_stays_as_it_was(host: Host) {
        small_root(&host, "/run/root");
        let before = host.sh("find /run/root | sort");
        let mut spec = Spec::new(["sh", "-ec", "cat /etc/resolv.conf; hostname; ls /; ls /dev /sys/class/net; \
            echo x > /dev/null; test -d /proc/self; ls /proc/1/root/run 2>&1 | cat; touch /bin/new"]);
        spec.stdio = Stdio::Log(LOG.into());
        spec.environment = vec![("PATH".into(), "/bin".into())];
        let netns = Netns::create().unwrap();
        spec.netns = Some(&netns);
        spec.root = Some("/run/root".into());
        spec.hostname = Some("small".into());
        spec.pid_namespace = true;
        spec.files.resolv_conf = contents("nameserver 10.0.0.1\n");
        spec.files.hosts = contents("");
        let text = output(&spec);
        assert!(text.starts_with("nameserver 10.0.0.1\nsmall\nbin\ndev\netc\nlib"), "{text}");
        assert!(text.contains("urandom") && text.contains("\nlo\n"), "{text}");
        assert!(!text.contains("testkit"), "{text}");
        host.sh("rm /run/root/bin/new");
        assert_eq!(host.sh("find /run/root | sort"), before);
        assert!(!host.sh("cat /proc/self/mountinfo").contains("/run/root"));
    }

    fn a_link_in_a_root_does_not_lead_out(host: Host) {
        small_root(&host, "/run/root");
        host.sh("mkdir -p /run/root/etc /run/root/proc /run/root/dev /run/root/sys
            ln -s /run/target /run/root/etc/resolv.conf; echo host > /run/target");
        let mut spec = Spec::new(["cat", "/etc/resolv.conf"]);
        spec.stdio = Stdio::Log(LOG.into());
        spec.environment = vec![("PATH".into(), "/bin".into())];
        spec.root = Some("/run/root".into());
        spec.files.resolv_conf = contents("container\n");
        assert_eq!(output(&spec), "container\n");
        assert_eq!(fs::read_to_string("/run/target").unwrap(), "host\n");
    }

    fn a_pid_namespace_is_only_the_childs(_host: Host) {
        let before = fs::read_link("/proc/self/ns/pid_for_children").unwrap();
        let spec = Spec { pid_namespace: true, ..script("echo $$; ls -d /proc/[0-9]* | wc -l") };
        let text = output(&spec);
        assert!(text.starts_with("1\n"), "{text}");
        assert!(text.lines().nth(1).unwrap().trim().parse::<u32>().unwrap() < 5, "{text}");
        assert_eq!(fs::read_link("/proc/self/ns/pid_for_children").unwrap(), before);
    }

    fn signals_start_from_their_defaults(_host: Host) {
        let _held = Foreground::prepare().unwrap();
        let text = output(&script("grep -E '^Sig(Blk|Ign)' /proc/self/status; ls /proc/self/fd"));
        assert!(text.starts_with("SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"), "{text}");
        assert_eq!(text.lines().filter(|line| line.parse::<u32>().is_ok()).count(), 4, "{text}");
    }

    fn a_signal_to_the_caller_reaches_the_child(host: Host) {
        host.need("python3");
        let foreground = Foreground::prepare().unwrap();
        let child = spawn(&script("trap 'echo got; exit 9' USR1; echo ready; while :; do sleep 0.02; done")).unwrap();
        host.wait_until("the trap is set", || fs::read_to_string(LOG).unwrap().contains("ready"));
        // To this thread, which holds it back; the harness has another one.
        let task = fs::read_link("/proc/thread-self").unwrap();
        let task = task.file_name().unwrap().to_str().unwrap().to_owned();
        host.sh(&format!("python3 -c 'import ctypes; exit(ctypes.CDLL(None).syscall(200, {task}, 10))'"));
        assert_eq!(foreground.wait(&child).unwrap(), ExitStatus::Exited(9));
        assert_eq!(fs::read_to_string(LOG).unwrap(), "ready\ngot\n");
    }

    fn exec_is_where_the_container_is(host: Host) {
        small_root(&host, "/run/root");
        let mut spec = Spec::new(["sleep", "1000"]);
        spec.environment = vec![("PATH".into(), "/bin".into()), ("COLOUR".into(), "blue".into())];
        let netns = Netns::create().unwrap();
        spec.netns = Some(&netns);
        spec.root = Some("/run/root".into());
        spec.hostname = Some("small".into());
        spec.pid_namespace = true;
        spec.stdio = Stdio::Log("/run/other".into());
        spec.session = true;
        spec.files.hosts = contents("10.0.0.2 small\n");
        let container = spawn(&spec).unwrap();
        let target = Process::open(container.pid()).unwrap();
        let environment = pontoon_kernel::process::environment_of(&target).unwrap();
        let exec = |directory: Option<&str>, script: &str| {
            let _ = fs::remove_file(LOG);
            let child = exec_into(&Exec {
                target: &target,
                command: ["sh", "-c", script].map(Into::into).to_vec(),
                environment: environment.clone(),
                directory: directory.map(Into::into),
                stdio: Stdio::Log(LOG.into()),
                die_with_parent: true,
                session: false,
            });
            (child.unwrap().wait().unwrap().code(), fs::read_to_string(LOG).unwrap())
        };
        let (code, text) = exec(None, "hostname; pwd; cat /etc/hosts; echo $COLOUR; ls -d /proc/1; exit 4");
        assert_eq!((code, text.as_str()), (4, "small\n/\n10.0.0.2 small\nblue\n/proc/1\n"));
        assert_eq!(exec(Some("/bin"), "pwd").1, "/bin\n");
        let exec_id = exec(None, "ls -l /proc/self/ns/net").1;
        assert!(exec_id.contains(&netns.id().ino.to_string()), "{exec_id}");
        target.signal(9).unwrap();
        assert!(target.wait_gone(Duration::from_secs(5)).unwrap());
        container.wait().unwrap();
        let gone = exec_into(&Exec {
            target: &target,
            command: vec!["true".into()],
            environment: vec![],
            directory: None,
            stdio: Stdio::Inherit,
            die_with_parent: false,
            session: false,
        });
        assert!(matches!(gone, Err(SpawnError::NoProcess { .. })));
    }

    fn a_terminal_is_the_processs_own(_host: Host) {
        let foreground = Foreground::prepare().unwrap();
        let pty = Pty::open().unwrap();
        let mut spec = Spec::new(["/bin/sh", "-c", "test -t 0 && test -t 1 && tty -s && exec > /dev/tty; exit 6"]);
        spec.stdio = Stdio::Terminal(pty.user());
        let child = spawn(&spec).unwrap();
        assert_eq!(foreground.wait_on_terminal(&child, pty).unwrap(), ExitStatus::Exited(6));
    }

    fn a_start_time_tells_a_reused_pid(_host: Host) {
        let child = spawn(&Spec::new(["sleep", "1000"])).unwrap();
        let start = child.process().start_time().unwrap();
        assert!(Process::open_started(child.pid(), start).unwrap().is_some());
        assert!(Process::open_started(child.pid(), start + 1).unwrap().is_none());
        child.process().signal(15).unwrap();
        child.wait().unwrap();
        assert!(Process::open_started(child.pid(), start).unwrap().is_none());
        assert!(!Path::new(&format!("/proc/{}", child.pid())).exists());
    }
}
