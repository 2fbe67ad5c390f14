//! What a person does with containers that Pontoon runs.

use std::time::Duration;

use pontoon_e2e::{Pontoon, eventually};
use pontoon_testkit::sandboxed;

sandboxed! {
    fn exit_codes_are_passed_on(host: Host) {
        let pontoon = Pontoon::on(&host);
        assert_eq!(pontoon.run("run --rm -- echo hello"), "hello");
        assert_eq!(pontoon.fail("run --rm -- sh -c 'exit 7'").0, 7);
        assert_eq!(pontoon.fail("run --rm -- sh -c 'kill -9 $$'").0, 137);
        let (code, said) = pontoon.fail("run --rm -- no-such-command");
        assert!(code == 127 && said.contains("no-such-command"), "{said}");
        assert_eq!(pontoon.fail("run --rm -- /etc").0, 126);
        assert_eq!(pontoon.fail("run --rm --network nowhere -- true").0, 125);
        assert_eq!(pontoon.fail("run --no-such-option").0, 2);
        let names = pontoon.run("ps -a -q");
        assert_eq!(names, "", "nothing is kept of containers that were to be removed or never ran");
    }

    fn signals_reach_the_process(host: Host) {
        let pontoon = Pontoon::on(&host);
        let mut child = pontoon.start("run --name web -- sh -c 'trap \"exit 42\" TERM; echo ready; while :; do sleep 0.05; done'");
        eventually("it runs", || pontoon.run("ps").contains("web"));
        std::thread::sleep(Duration::from_millis(100));
        host.sh(&format!("kill -TERM {}", child.id()));
        assert_eq!(child.wait().unwrap().code(), Some(42));
        assert!(pontoon.run("ps -a").contains("Exited (42)"));
    }

    fn a_container_has_files_and_names_of_its_own(host: Host) {
        let before = host.sh("cat /etc/resolv.conf /etc/hosts; hostname");
        let pontoon = Pontoon::on(&host);
        let options = "--name web --hostname web.example --dns 192.0.2.53 --dns-search example --dns-option ndots:2 --add-host db:10.0.0.9";
        pontoon.run(&format!("run -d {options} -e A=b -w /tmp -- sleep 100"));
        let inside = |command: &str| pontoon.run(&format!("exec web -- sh -c '{command}'"));
        let resolv = inside("cat /etc/resolv.conf");
        assert!(resolv.contains("nameserver 192.0.2.53\nsearch example\noptions ndots:2"), "{resolv}");
        let hosts = inside("cat /etc/hosts");
        assert!(hosts.contains("10.0.0.9\tdb") && hosts.contains(&format!("{}\tweb.example web", pontoon.address("bridge", "web"))), "{hosts}");
        assert_eq!(inside("hostname; pwd; echo $A"), "web.example\n/tmp\nb");
        assert_eq!(inside("ls /sys/class/net"), "eth0\nlo");
        assert_eq!(host.sh("cat /etc/resolv.conf /etc/hosts; hostname"), before);
        // As iproute2 has it.
        assert_eq!(host.sh("ip netns list").split_whitespace().next(), Some("web"));
        assert!(host.sh("ip netns exec web cat /etc/resolv.conf").contains("nameserver 192.0.2.53"));
        pontoon.run("rm -f web");
        eventually("the files are gone", || !host.try_sh("ls /etc/netns/web /run/netns/web").status.success());
        assert!(!host.try_sh("ls /etc/netns/web").status.success());
    }

    fn a_loopback_resolver_is_replaced_by_the_real_servers(host: Host) {
        host.sh("mkdir -p /run/systemd/resolve && echo 'nameserver 192.0.2.99' > /run/systemd/resolve/resolv.conf");
        host.sh("echo 'nameserver 127.0.0.53' > /run/stub.conf && mount --bind /run/stub.conf /etc/resolv.conf");
        let pontoon = Pontoon::on(&host);
        let said = pontoon.run("run --rm -- cat /etc/resolv.conf");
        assert!(said.contains("nameserver 192.0.2.99") && !said.contains("127.0.0.53"), "{said}");
    }

    fn detached_output_is_kept(host: Host) {
        let pontoon = Pontoon::on(&host);
        let id = pontoon.run("run -d --name web -- sh -c 'echo one; echo two >&2; exit 3'");
        assert_eq!(id.len(), 64);
        eventually("it has ended", || pontoon.run("ps -a").contains("Exited (3)"));
        assert_eq!(pontoon.run("logs web"), "one\ntwo");
        assert_eq!(pontoon.run("logs -n 1 web"), "two");
        assert_eq!(pontoon.run(&format!("inspect --format '{{{{.State.ExitCode}}}}' {}", &id[..8])), "3");
        pontoon.run("rm web");
        assert!(pontoon.fail("logs web").1.contains("no container `web`"));
    }

    fn the_network_goes_with_the_process(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create blue");
        pontoon.run("run -d --name web --network blue -- sleep 0.2");
        let links = || host.sh("ip -o link show type veth").lines().count();
        assert_eq!(links(), 1);
        eventually("the link is gone", || links() == 0);
        eventually("the address is free", || pontoon.json("network inspect blue")[0]["Containers"].as_object().unwrap().is_empty());
        assert_eq!(host.sh("ip netns list"), "");
        pontoon.run("network rm blue");
    }

    fn a_process_left_behind_does_not_keep_the_network(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("run --rm -- sh -c 'setsid sleep 100 >/dev/null 2>&1 & exit 0'");
        eventually("the link is gone", || host.sh("ip -o link show type veth").is_empty());
        eventually("the network is free", || pontoon.attempt("network rm bridge").status.success());
    }

    fn containers_share_a_namespace(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("run -d --name web -- sleep 100");
        let page = host.serve("web", 8080, "shared");
        let address = pontoon.address("bridge", "web");
        let seen = pontoon.run("run --rm --network container:web -- ip -4 -o address show dev eth0");
        assert!(seen.contains(&address), "{seen}");
        drop(page);
        let (code, said) = pontoon.fail("run --rm --network container:nobody -- true");
        assert!(code == 125 && said.contains("nobody"), "{said}");
    }

    fn none_and_host_are_what_they_say(host: Host) {
        let pontoon = Pontoon::on(&host);
        assert_eq!(pontoon.run("run --rm --network none -- ls /sys/class/net"), "lo");
        assert!(pontoon.run("run --rm --network none -- ip link show dev lo").contains("LOWER_UP"));
        let own = host.sh("readlink /proc/self/ns/net");
        assert_eq!(pontoon.run("run --rm --network host -- readlink /proc/self/ns/net"), own.trim());
        for builtin in ["host", "none"] {
            assert!(pontoon.run("network ls").contains(builtin));
            let (code, said) = pontoon.fail(&format!("network rm {builtin}"));
            assert!(code == 1 && said.contains("always there"), "{said}");
        }
    }

    fn a_root_of_its_own_is_left_as_it_was(host: Host) {
        host.need("busybox");
        host.sh("mkdir -p /run/root/bin && cp $(command -v busybox) /run/root/bin/ && ln -s busybox /run/root/bin/sh && ln -s busybox /run/root/bin/cat && ln -s busybox /run/root/bin/ls");
        if !host.try_sh("chroot /run/root /bin/busybox true").status.success() {
            host.sh("mkdir -p /run/root && for l in $(ldd $(command -v busybox) | grep -o '/[^ ]*'); do mkdir -p /run/root$(dirname $l); cp $l /run/root$l; done");
        }
        let before = host.sh("cd /run/root && find . | sort");
        let pontoon = Pontoon::on(&host);
        let said = pontoon.command("run --rm --name box --rootfs /run/root -- sh -c 'cat /etc/hostname; ls /'").output().unwrap();
        let text = String::from_utf8_lossy(&said.stdout).into_owned();
        assert!(said.status.success() && text.starts_with("box\n") && !text.contains("home"), "{text}{}", String::from_utf8_lossy(&said.stderr));
        assert_eq!(host.sh("cd /run/root && find . | sort"), before);
    }

    fn stop_asks_before_it_kills(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("run -d --name polite -- sh -c 'trap \"exit 5\" TERM; while :; do sleep 0.05; done'");
        pontoon.run("run -d --name deaf -- sh -c 'trap : TERM; while :; do sleep 0.05; done'");
        std::thread::sleep(Duration::from_millis(200));
        assert_eq!(pontoon.run("stop -t 1 polite deaf"), "polite\ndeaf");
        let listed = pontoon.run("ps -a");
        assert!(listed.contains("Exited (5)") && listed.contains("Exited (137)"), "{listed}");
        assert_eq!(host.sh("ip netns list"), "");
        let (code, said) = pontoon.fail("exec polite -- true");
        assert!(code != 0 && said.contains("not running"), "{said}");
    }

    fn a_name_is_one_containers_alone(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("run -d --name web -- sleep 100");
        let (code, said) = pontoon.fail("run -d --name web -- sleep 100");
        assert!(code == 125 && said.contains("`web`") && said.contains("hint: "), "{said}");
        let (code, said) = pontoon.fail("rm web");
        assert!(code == 1 && said.contains("running"), "{said}");
        pontoon.run("rm -f web");
        pontoon.run("run -d --name web -- sleep 100");
        // A namespace of that name that is somebody else's is left alone.
        host.sh("ip netns add db");
        pontoon.run("run -d --name db -- sleep 100");
        pontoon.run("rm -f web db");
        assert_eq!(host.sh("ip netns list").trim(), "db");
    }
}
