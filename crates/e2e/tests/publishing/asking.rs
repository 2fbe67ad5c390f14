//! What is shown of published ports: `ps`, `port`, `inspect`, `--dry-run`.

use pontoon_e2e::{Pontoon, state};
use pontoon_testkit::sandboxed;
use serde_json::json;

use crate::{published, seen};

sandboxed! {
    fn ports_are_shown_as_docker_shows_them(host: Host) {
        host.uplink();
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create --ipv6 blue");
        pontoon.run("run -d --name web --network blue -p 8080:80 -p 127.0.0.1:5353:53/udp -p 9000-9001:90-91 --expose 443 --expose 80 -- sleep 100");
        pontoon.run("run -d --name old -p 7070:70 -- sleep 100");
        assert_eq!(
            pontoon.run("port web"),
            "53/udp -> 127.0.0.1:5353\n80/tcp -> 0.0.0.0:8080\n80/tcp -> [::]:8080\n90/tcp -> 0.0.0.0:9000\n90/tcp -> [::]:9000\n91/tcp -> 0.0.0.0:9001\n91/tcp -> [::]:9001"
        );
        assert_eq!(pontoon.run("port web 80"), "0.0.0.0:8080\n[::]:8080");
        assert_eq!(pontoon.run("port web 53/udp"), "127.0.0.1:5353");
        assert_eq!(pontoon.run("port old"), "70/tcp -> 0.0.0.0:7070");
        let shown = pontoon.run("ps --filter name=web --format '{{.Ports}}'");
        for part in ["0.0.0.0:8080->80/tcp", "[::]:8080->80/tcp", "127.0.0.1:5353->53/udp", "0.0.0.0:9000-9001->90-91/tcp", "443/tcp"] {
            assert!(shown.split(", ").any(|one| one == part), "{part}: {shown}");
        }
        let inspected = &pontoon.json("inspect web")[0];
        assert_eq!(
            inspected["NetworkSettings"]["Ports"],
            json!({
                "443/tcp": null,
                "53/udp": [{"HostIp": "127.0.0.1", "HostPort": "5353"}],
                "80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}, {"HostIp": "::", "HostPort": "8080"}],
                "90/tcp": [{"HostIp": "0.0.0.0", "HostPort": "9000"}, {"HostIp": "::", "HostPort": "9000"}],
                "91/tcp": [{"HostIp": "0.0.0.0", "HostPort": "9001"}, {"HostIp": "::", "HostPort": "9001"}],
            })
        );
        assert_eq!(
            inspected["HostConfig"]["PortBindings"],
            json!({
                "53/udp": [{"HostIp": "127.0.0.1", "HostPort": "5353"}],
                "80/tcp": [{"HostIp": "", "HostPort": "8080"}],
                "90/tcp": [{"HostIp": "", "HostPort": "9000"}],
                "91/tcp": [{"HostIp": "", "HostPort": "9001"}],
            })
        );
        assert_eq!(inspected["Config"]["ExposedPorts"], json!({"443/tcp": {}, "53/udp": {}, "80/tcp": {}, "90/tcp": {}, "91/tcp": {}}));
        assert_eq!(pontoon.run("inspect --format '{{(index (index .NetworkSettings.Ports \"80/tcp\") 0).HostPort}}' web"), "8080");
        // One that has ended publishes nothing any more.
        pontoon.run("stop -t 0 web");
        assert_eq!(pontoon.run("port web"), "");
        assert_eq!(pontoon.run("ps -a --filter name=web --format '{{.Ports}}'"), "443/tcp, 80/tcp");
        pontoon.run("publish old 8080:80");
    }

    fn a_dry_run_publishes_nothing_and_its_script_does(host: Host) {
        host.uplink();
        host.sh("ip netns add theirs; ip -n theirs link set lo up");
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create --ipv6 blue");
        pontoon.run("network create red");
        pontoon.run("run -d --name web --network blue -p 8080:80 -- sleep 100");
        let before = (state(&host), published(&host));
        for (command, shown) in [
            ("publish --dry-run web 9090:90 5353:53/udp", "nft "),
            ("unpublish --dry-run web 8080", "nft "),
            ("unpublish --dry-run -a web", "nft "),
            ("network connect --dry-run --gw-priority 3 red web", "nft "),
            ("network connect --dry-run -p 7070:70 blue netns:theirs", "nft "),
            ("network disconnect --dry-run blue web", "nft "),
            ("run --dry-run --name db --network blue -p 5432:5432 -- true", "nft "),
            ("publish --dry-run web 80", "nft "),
        ] {
            let output = pontoon.attempt(command);
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(output.status.success() && said.contains(shown), "{command}:\n{said}\n{}", String::from_utf8_lossy(&output.stderr));
            before.0.assert_unchanged(&state(&host));
            assert_eq!(before.1, published(&host), "{command}");
        }
        assert_eq!(pontoon.run("port web").lines().count(), 2);
        // What is printed is what is done. (The daemon would take away what somebody types without the records.)
        pontoon.run("daemon stop");
        for (verb, back) in [("publish web 9090:90 5353:53/udp 127.0.0.1:6000-6010:6000-6010", "unpublish web 9090 5353/udp 6000-6010"), ("unpublish web 8080", "publish web 8080:80")] {
            let (verb_name, rest) = verb.split_once(' ').unwrap();
            let script = pontoon.run(&format!("{verb_name} --dry-run {rest}"));
            pontoon.run(verb);
            let done = (state(&host), published(&host));
            pontoon.run(back);
            std::fs::write("/run/testkit/script", script).unwrap();
            host.sh("sh -e /run/testkit/script");
            done.0.assert_unchanged(&state(&host));
            assert_eq!(done.1, published(&host), "{verb}");
            pontoon.run(verb);
            pontoon.run(back);
        }
        // What moves ports, and what makes an endpoint for them.
        let typed = |script: &str| {
            std::fs::write("/run/testkit/script", script).unwrap();
            host.sh("sh -e /run/testkit/script");
        };
        let (web, theirs) = (host.serve("web", 80, "web"), host.serve("theirs", 70, "theirs"));
        let move_there = pontoon.run("network connect --dry-run --gw-priority 3 red web");
        typed(&move_there);
        assert!(!published(&host).contains(&pontoon.address("blue", "web")), "{}", published(&host));
        seen(&host, "outside", "192.0.2.2:8080");
        typed(&pontoon.run("network connect --dry-run -p 7070:70 blue netns:theirs"));
        seen(&host, "outside", "192.0.2.2:7070");
        drop((web, theirs));
    }
}
