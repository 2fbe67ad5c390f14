//! Containers that are looked after: started again, checked on, asked to end in their own way.

use std::path::Path;

use pontoon_e2e::{Pontoon, eventually};
use pontoon_testkit::sandboxed;

fn of(pontoon: &Pontoon<'_>, what: &str) -> String {
    pontoon.run(&format!("inspect --format '{{{{{what}}}}}' web")).trim().to_owned()
}

sandboxed! {
    fn one_that_ends_is_started_again_with_the_network_that_it_had(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create blue");
        pontoon.run("run -d --name web --network blue --restart always -- sleep 100");
        let (address, mac) = (pontoon.address("blue", "web"), host.sh("ip -n web -br link show eth0"));
        for round in 1..=2 {
            let pid = of(&pontoon, ".State.Pid");
            host.sh(&format!("kill -9 {pid}"));
            eventually("it runs again", || of(&pontoon, ".RestartCount") == round.to_string());
            eventually("it runs", || of(&pontoon, ".State.Status") == "running");
            assert_ne!(of(&pontoon, ".State.Pid"), pid);
        }
        assert_eq!(pontoon.address("blue", "web"), address);
        assert_eq!(host.sh("ip -n web -br link show eth0"), mac);
        assert!(host.pings("host", &address));
        assert_eq!(pontoon.run("exec web -- cat /etc/hostname").trim(), "web");
        assert!(pontoon.run("exec web -- cat /etc/hosts").contains(&address));
        pontoon.run("stop web");
        assert_eq!(of(&pontoon, ".State.Status"), "exited");
        assert_eq!(host.sh("ip -o link show type veth"), "");
        pontoon.run("rm web");
        pontoon.run("network rm blue");
    }

    fn a_failure_is_repeated_as_often_as_was_said(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("run -d --name web --restart on-failure:2 -- sh -c 'echo once >> /run/starts; exit 7'");
        eventually("it has ended", || of(&pontoon, ".State.Status") == "exited");
        assert_eq!(of(&pontoon, ".State.ExitCode"), "7");
        assert_eq!(host.sh("wc -l < /run/starts").trim(), "3");
        assert_eq!(of(&pontoon, ".HostConfig.RestartPolicy.MaximumRetryCount"), "2");
        pontoon.run("rm web");
        pontoon.run("run -d --name web --restart on-failure -- true");
        eventually("success is an end", || of(&pontoon, ".State.Status") == "exited");
        assert_eq!(of(&pontoon, ".RestartCount"), "0");
    }

    fn one_that_waits_for_its_next_start_can_be_stopped(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("run -d --name web --restart always -- false");
        // By then it waits for longer than anything here takes.
        eventually("it has failed often", || of(&pontoon, ".RestartCount").parse::<u32>().unwrap() >= 4);
        eventually("it waits", || of(&pontoon, ".State.Status") == "restarting");
        assert!(pontoon.run("ps").contains("Restarting"));
        pontoon.run("stop web");
        assert_eq!(of(&pontoon, ".State.Status"), "exited");
        pontoon.run("rm web");
        pontoon.run("run -d --name web --restart always -- false");
        pontoon.run("rm -f web");
        assert_eq!(pontoon.run("ps -a -q"), "");
        assert_eq!(host.sh("ip -o link show type veth; ls /run/netns"), "");
    }

    fn checks_say_whether_it_is_well(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run(
            "run -d --name web --health-cmd 'echo asked; test -e /run/well' --health-interval 50ms --health-retries 2 -- sleep 100",
        );
        assert!(pontoon.run("ps").contains("(health: starting)"));
        eventually("it is ill", || of(&pontoon, ".State.Health.Status") == "unhealthy");
        assert!(pontoon.run("ps").contains("(unhealthy)"));
        host.sh("touch /run/well");
        eventually("it is well", || of(&pontoon, ".State.Health.Status") == "healthy");
        let told = pontoon.run("events --since 1h --until 0s --filter event=health_status");
        let told: Vec<&str> = ["unhealthy", "health=healthy"].into_iter().filter(|word| told.contains(word)).collect();
        assert_eq!(told.len(), 2, "both were told");
        let id = of(&pontoon, ".Id");
        let report = format!("/var/lib/pontoon/containers/{id}/health.log");
        eventually("what the check prints is kept", || host.sh(&format!("cat {report}")).contains("asked"));
        // A check that hangs ends with its container, and does not hold that up.
        pontoon.run("rm -f web");
        pontoon.run("run -d --name web --health-cmd 'sleep 1000' --health-interval 10ms -- sleep 100");
        eventually("it is being checked", || host.sh("pgrep -fc '^sleep 1000' || true").trim() != "0");
        pontoon.run("stop web");
        eventually("the check is gone", || host.sh("pgrep -fc '^sleep 1000' || true").trim() == "0");
        assert!(!Path::new(&report).exists());
    }

    fn it_is_asked_to_end_in_its_own_way(host: Host) {
        let pontoon = Pontoon::on(&host);
        let script = r#"trap "echo interrupted >> /run/said; exit 3" INT; trap "" TERM; echo up >> /run/said; while :; do sleep 0.01; done"#;
        pontoon.run(&format!("run -d --name web --stop-signal SIGINT --stop-timeout 20 -- sh -c '{script}'"));
        eventually("it runs", || host.sh("cat /run/said || true").contains("up"));
        pontoon.run("stop web");
        assert!(host.sh("cat /run/said").contains("interrupted"));
        assert_eq!(of(&pontoon, ".State.ExitCode"), "3");
        assert_eq!(of(&pontoon, ".Config.StopSignal"), "SIGINT");
    }

    fn settings_are_the_containers_own(host: Host) {
        let pontoon = Pontoon::on(&host);
        let before = host.sh("sysctl -n net.ipv4.ip_unprivileged_port_start");
        let out = pontoon.run("run --rm --sysctl net.ipv4.ip_unprivileged_port_start=77 --sysctl net.ipv4.conf.eth0.log_martians=1 -- sysctl -n net.ipv4.ip_unprivileged_port_start net.ipv4.conf.eth0.log_martians");
        assert_eq!(out.split_whitespace().collect::<Vec<_>>(), ["77", "1"]);
        assert_eq!(host.sh("sysctl -n net.ipv4.ip_unprivileged_port_start"), before);
        assert!(pontoon.run("run --dry-run --name web --sysctl net.ipv4.ip_unprivileged_port_start=77 -- true").contains("ip_unprivileged_port_start"));
        let (code, said) = pontoon.fail("run --network host --sysctl net.ipv4.ip_forward=0 -- true");
        assert_eq!(code, 125);
        assert!(said.contains("not the container's own"), "{said}");
        let (_, said) = pontoon.fail("run --sysctl net.ipv4.nosuchthing=1 -- true");
        assert!(said.contains("nosuchthing"), "{said}");
        assert_eq!(host.sh("ip -o link show type veth"), "", "undone");
    }
}
