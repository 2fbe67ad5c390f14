//! It comes with the first container that needs it, and goes with the last.

use std::time::{Duration, Instant};

use pontoon_e2e::{Pontoon, dig, eventually};
use pontoon_testkit::sandboxed;

use crate::{runs, status};

sandboxed! {
    fn it_ends_when_nobody_has_needed_it_for_ten_seconds(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create blue");
        pontoon.run("run -d --name web --network blue -- sleep 100");
        let pid = status(&pontoon)["pid"].clone();
        pontoon.run("rm -f web");
        let start = Instant::now();
        std::thread::sleep(Duration::from_secs(8));
        let alive = || host.try_sh(&format!("kill -0 {pid}")).status.success();
        assert!(alive(), "the next container may come at once");
        host.wait_until("it ends", || !alive());
        assert!(start.elapsed() > Duration::from_secs(9), "{:?}", start.elapsed());
        assert!(!std::path::Path::new("/run/pontoon/daemon.sock").exists());
    }

    fn prune_ends_it_at_once_and_only_when_nobody_needs_it(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create blue");
        pontoon.run("run -d --name web --network blue -- sleep 100");
        pontoon.run("system prune -f");
        assert_ne!(dig(&host, "web", "@127.0.0.11 web A"), "", "somebody needs it");
        pontoon.run("rm -f web");
        pontoon.run("system prune -f");
        assert!(!runs(&pontoon));
    }

    fn a_lab_has_names(host: Host) {
        let pontoon = Pontoon::on(&host);
        let said = pontoon.run("lab -- sh -c 'pontoon network create blue >/dev/null && \
            pontoon run -d --name web --network blue -- sleep 100 >/dev/null && \
            pontoon run --rm --network blue -- getent hosts web && pontoon daemon status'");
        assert!(said.contains("web") && said.contains("names: 1 container on 1 network"), "{said}");
        assert!(!runs(&pontoon), "the lab's daemon is the lab's");
        assert_eq!(host.sh("pgrep -fc '[d]aemon --on-demand' || true").trim(), "0", "and ends with it");
    }

    fn a_hundred_containers_and_a_thousand_names(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create --subnet 10.1.0.0/16 blue");
        let run = |number: usize| pontoon.start(&format!("run -d --name c{number} --network blue -- sleep 100"));
        for tens in 0..10 {
            let started: Vec<_> = (0..10).map(|one| run(10 * tens + one)).collect();
            for child in started {
                let output = child.wait_with_output().unwrap();
                assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
            }
        }
        host.sh("for i in $(seq 90); do ip netns add n$i; done");
        let aliases = |number: usize| (1..10).map(|one| format!(" --alias a{}", 10 * number + one)).collect::<String>();
        for number in 1..=90 {
            pontoon.run(&format!("network connect --ip 10.1.7.{number} {} blue netns:n{number}", aliases(number)));
        }
        assert_eq!(status(&pontoon)["containers"], 190);
        for (name, address) in [("a11", "10.1.7.1"), ("a459", "10.1.7.45"), ("a909", "10.1.7.90")] {
            assert_eq!(dig(&host, "c0", &format!("@127.0.0.11 {name} A")), address);
            assert_eq!(dig(&host, "c99", &format!("@127.0.0.11 {name} A")), address);
        }
        assert_eq!(dig(&host, "c0", "@127.0.0.11 c99 A"), pontoon.address("blue", "c99"));
        // All of it is there again at once.
        crate::kill(&host, &pontoon);
        pontoon.run("run --rm --network blue -- getent hosts a909 c99");
        eventually("all have names", || status(&pontoon)["containers"] == 190);
    }
}
