//! Started as systemd does it: with a socket that was there before it, and an ear for what it says.

use std::path::Path;

use pontoon_e2e::{Pontoon, dig, eventually, program};
use pontoon_testkit::{Background, Host, sandboxed};

use crate::{runs, status};

/// Listens in the daemon's place, and starts it when somebody comes; says what it is told by way of `NOTIFY_SOCKET`.
/// Source: sd_listen_fds(3), sd_notify(3).
const MANAGER: &str = r#"
import os, select, socket, sys
os.makedirs("/run/pontoon", 0o700, exist_ok=True)
listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
listener.bind("/run/pontoon/daemon.sock"); os.chmod("/run/pontoon/daemon.sock", 0o600); listener.listen()
ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); ear.bind("/run/testkit/notify")
print("listens", flush=True)
child = 0
while True:
    wanted = [ear] if child else [ear, listener]
    for ready in select.select(wanted, [], [], 0.05)[0]:
        if ready is ear: print("told", ear.recv(4096).decode().replace("\n", " "), flush=True)
        elif not child:
            child = os.fork()
            if not child:
                os.dup2(listener.fileno(), 3); os.set_inheritable(3, True)
                os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="control", NOTIFY_SOCKET="/run/testkit/notify")
                os.execv(sys.argv[1], sys.argv[1:])
            print("starts", child, flush=True)
    if child and os.waitpid(child, os.WNOHANG)[0]: print("gone", child, flush=True); child = 0
"#;

#[track_caller]
fn manager(host: &Host) -> Background {
    host.need("python3");
    let manager = host.background(&format!("exec python3 -c '{MANAGER}' {} daemon", program().display()));
    manager.wait_for("listens");
    manager
}

sandboxed! {
    fn the_first_who_needs_it_has_it_started(host: Host) {
        let pontoon = Pontoon::on(&host);
        let manager = manager(&host);
        pontoon.run("network create blue");
        pontoon.run("run -d --name web --network blue -- sleep 100");
        manager.wait_for("told READY=1 STATUS=");
        let address = pontoon.address("blue", "web");
        assert_eq!(dig(&host, "web", "@127.0.0.11 web A"), address);
        let said = status(&pontoon);
        assert_eq!((&said["on_demand"], &said["containers"]), (&false.into(), &1.into()));
        // It ends, and its place stays.
        host.sh(&format!("kill {}", said["pid"]));
        manager.wait_for("told STOPPING=1");
        manager.wait_for("gone");
        assert!(Path::new("/run/pontoon/daemon.sock").exists());
        pontoon.run("run -d --name db --network blue -- sleep 100");
        assert_eq!(dig(&host, "db", "@127.0.0.11 web A"), address);
        assert_ne!(status(&pontoon)["pid"], said["pid"]);
        // Somebody ends it by the command for that, which answers when it has ended.
        pontoon.run("daemon stop");
        eventually("it ends", || manager.output().matches("gone").count() == 2);
        assert!(Path::new("/run/pontoon/daemon.sock").exists());
    }

    fn killed_it_leaves_nobody_without_an_answer(host: Host) {
        let pontoon = Pontoon::on(&host);
        let manager = manager(&host);
        pontoon.run("network create blue");
        pontoon.run("run -d --name web --network blue -- sleep 100");
        host.sh(&format!("kill -9 {}", status(&pontoon)["pid"]));
        // Whether the end was noticed by now or not: who comes waits in the queue of the socket.
        pontoon.run("run -d --name db --network blue -- sleep 100");
        assert_eq!(dig(&host, "db", "@127.0.0.11 web A"), pontoon.address("blue", "web"));
        assert!(runs(&pontoon), "{}", manager.output());
    }

    fn what_is_no_such_socket_is_refused(host: Host) {
        let program = program();
        for (fd, complaint) in [("3</dev/null", "is no socket"), ("3<&-", "descriptor 3 was to be passed")] {
            let words = format!("export LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=control; exec {} daemon {fd}", program.display());
            let output = host.try_sh(&words);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(!output.status.success() && said.starts_with("error: "), "{fd}: {said}");
            assert!(said.contains(complaint) && said.contains("hint: "), "{fd}: {said}");
        }
    }
}
