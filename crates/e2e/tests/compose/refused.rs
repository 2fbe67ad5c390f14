//! What cannot be is said, with what to do about it, and changes nothing.

use pontoon_e2e::{Pontoon, becomes_as_before, state};
use pontoon_testkit::sandboxed;

use crate::{fetch, file, is_as_wanted, refused, serves, up};

sandboxed! {
    fn what_cannot_be_brought_up_changes_nothing(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create theirs");
        pontoon.run("network rm theirs");
        let before = state(&host);
        for (text, words, expected) in [
            ("services: { web: { command: sleep 1, networks: [out] } }\nnetworks: { out: { external: true, name: away } }", "", "network `away` is external in the file (`out`) and is not there"),
            ("services: { web: { command: sleep 1 } }", "webb", "there is no service `webb` for the command line\nhint: did you mean web?"),
            ("services: { ok: { command: sleep 1 }, web: { environment: { A: b } } }", "", "service `web` has nothing to run"),
            ("services: { web: { command: sleep 1, networks: [nowhere] } }", "", "nowhere"),
            ("services: { web: { comand: sleep 1 } }", "", "comand"),
            ("services: { web: { command: sleep 1, network_mode: 'container:nobody' } }", "", "nobody"),
            ("services: { a: { command: sleep 1 }, web: { command: /nowhere/at/all } }", "", "/nowhere/at/all"),
        ] {
            file(text);
            let said = refused(&pontoon, &format!("up -d {words}"));
            assert!(said.contains(expected), "{text}: {said}");
            if !text.contains("all }") && !text.contains("nobody") {
                refused(&pontoon, &format!("up --dry-run {words}"));
                becomes_as_before(&host, &before);
            }
            pontoon.attempt("down");
        }
        becomes_as_before(&host, &before);
        std::fs::remove_file("compose.yaml").unwrap();
        for words in ["up -d", "down", "compose ps", "compose logs", "compose config", "test"] {
            assert!(refused(&pontoon, words).contains("compose.yaml"), "{words}");
        }
        file("services: { web: { command: sleep 1 } }");
        assert!(refused(&pontoon, "test").contains("the file expects nothing"));
    }

    fn a_network_of_somebody_elses_is_not_taken(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create shop_default");
        pontoon.run("run -d --name other --network shop_default -- sleep 1000");
        file("services: { web: { command: sleep 1000 } }");
        let said = refused(&pontoon, "up -d");
        assert!(said.contains("network `shop_default` is there, and not of this project"), "{said}");
        assert!(said.contains("external: true"), "{said}");
        assert_eq!(pontoon.run("down"), "");
        assert_eq!(pontoon.run("ps -q").lines().count(), 1);
        // Said to be external, it is used as it is, and stays.
        file("services: { web: { command: sleep 1000 } }\nnetworks: { default: { external: true, name: shop_default } }");
        up(&pontoon);
        assert!(host.pings("other", &pontoon.address("shop_default", "shop-web-1")));
        is_as_wanted(&pontoon);
        assert_eq!(pontoon.run("down"), "- shop-web-1");
        assert!(host.pings("host", &pontoon.address("shop_default", "other")));
    }

    fn a_container_of_somebody_elses_is_not_taken(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create blue");
        pontoon.run("run -d --name shop-web-1 --network blue -p 8080:80 -- sleep 1000");
        let own = crate::pid(&pontoon, "shop-web-1");
        file("services: { web: { command: sleep 1000 } }");
        let said = refused(&pontoon, "up -d");
        assert!(said.contains("shop-web-1"), "{said}");
        pontoon.attempt("down");
        assert_eq!(crate::pid(&pontoon, "shop-web-1"), own);
        // Nor is its port.
        file("services: { other: { command: sleep 1000, ports: ['8080:80'] } }");
        let said = refused(&pontoon, "up -d");
        assert!(said.contains("8080") && said.contains("shop-web-1"), "{said}");
        pontoon.run("down");
        assert_eq!(crate::pid(&pontoon, "shop-web-1"), own);
    }

    fn a_dependency_that_fails_stops_what_waits_for_it_and_nothing_else(host: Host) {
        let pontoon = Pontoon::on(&host);
        let text = "
services:
  still: { command: SERVE 'I am still.' }
  db: { command: [sleep, '1000'], healthcheck: { test: [CMD, test, -e, /run/well], interval: 50ms, retries: 2 } }
  web: { command: [sleep, '1000'], depends_on: { db: { condition: service_healthy } } }
";
        file(text);
        let said = refused(&pontoon, "up -d");
        assert!(said.contains("`web` waits for `shop-db-1`, which is unhealthy"), "{said}");
        assert!(said.contains("pontoon compose logs"), "{said}");
        serves(&host, "shop-still-1");
        assert_eq!(fetch(&pontoon, "host", &pontoon.address("shop_default", "shop-still-1")), "I am still.");
        assert_eq!(pontoon.run("compose ps --format '{{.Service}}'"), "still\ndb");
        host.sh("touch /run/well");
        host.wait_until("it is well", || pontoon.run("compose ps db").contains("(healthy)"));
        assert_eq!(crate::changed(&up(&pontoon)).len(), 1);
        is_as_wanted(&pontoon);
        pontoon.run("down");

        file("
services:
  job: { command: [sh, -c, 'exit 3'] }
  web: { command: [sleep, '1000'], depends_on: { job: { condition: service_completed_successfully } } }
");
        let said = refused(&pontoon, "up -d");
        assert!(said.contains("`web` waits for `shop-job-1`, which ended with 3"), "{said}");
        crate::edit(&[("exit 3", "sleep 0.2; echo done >> /run/done")]);
        up(&pontoon);
        assert_eq!(host.sh("cat /run/done"), "done\n");
        // What is done is done.
        is_as_wanted(&pontoon);
        assert_eq!(host.sh("cat /run/done"), "done\n");
        pontoon.run("up -d --force-recreate");
        assert_eq!(host.sh("cat /run/done"), "done\ndone\n");
        pontoon.run("down");
    }
}
