//! A project that runs is made what its file says now, and what the file left alone is not touched.

use pontoon_e2e::{Pontoon, state};
use pontoon_testkit::{Host, sandboxed};

use crate::stream::Talk;
use crate::{by_hand, change, edit, fetch, file, is_as_wanted, leaves_nothing, pid, pids, serves, up};

const SHOP: &str = "
services:
  one: { command: [sleep, '1000'], networks: { still: { ipv4_address: 10.61.0.2 } } }
  two: { command: [sleep, '1000'], networks: { still: { ipv4_address: 10.61.0.3 } } }
  db:
    command: SERVE 'I am db.'
    networks: { back: { ipv4_address: 10.60.0.10, aliases: [store] } }
  web:
    command: SERVE 'I am web.'
    ports: ['8080:80']
    networks: { back: { ipv4_address: 10.60.0.11 }, front: {} }
networks:
  still: { ipam: { config: [ { subnet: 10.61.0.0/24 } ] } }
  back: { ipam: { config: [ { subnet: 10.60.0.0/24 } ] } }
  front:
";

/// The project, with two services that talk to each other all the time.
fn begin(host: &Host, pontoon: &Pontoon<'_>, text: &str) -> Talk {
    file(text);
    up(pontoon);
    ["shop-db-1", "shop-web-1"].iter().for_each(|name| serves(host, name));
    Talk::begin(host, "shop-one-1", "shop-two-1", "10.61.0.3")
}

fn web_and_db(pontoon: &Pontoon<'_>) -> [String; 2] {
    ["shop-web-1", "shop-db-1"].map(|name| pid(pontoon, name))
}

sandboxed! {
    fn what_can_be_changed_in_a_running_container_is(host: Host) {
        let pontoon = Pontoon::on(&host);
        let before = state(&host);
        let talk = begin(&host, &pontoon, SHOP);
        let running = pids(&pontoon);

        let told = change(&pontoon, &[("10.60.0.11", "10.60.0.12")]);
        assert_eq!(told, ["~ shop-web-1: back: ipv4_address 10.60.0.11 → 10.60.0.12"]);
        assert!(host.pings("shop-db-1", "10.60.0.12") && !host.pings("shop-db-1", "10.60.0.11"));
        is_as_wanted(&pontoon);

        let told = change(&pontoon, &[("'8080:80'", "'8081:80', '127.0.0.1:8082:80'")]);
        assert_eq!(told, ["~ shop-web-1: ports 8080->80/tcp → 8081:80/tcp, 127.0.0.1:8082:80/tcp"]);
        let page = |port: u16| fetch(&pontoon, "host", &format!("127.0.0.1:{port}"));
        assert_eq!((page(8080), page(8081), page(8082)), (String::new(), "I am web.".into(), "I am web.".into()));
        is_as_wanted(&pontoon);

        let told = change(&pontoon, &[("[store]", "[store, pg.example]")]);
        assert_eq!(told, ["~ shop-db-1: aliases db, store → db, pg.example, store"]);
        assert_eq!(fetch(&pontoon, "shop-web-1", "pg.example"), "I am db.");
        let told = change(&pontoon, &[("aliases: [store, pg.example]", "aliases: [pg.example]")]);
        assert_eq!(told, ["~ shop-db-1: aliases db, pg.example, store → db, pg.example"]);
        assert_eq!(fetch(&pontoon, "shop-web-1", "store"), "");
        assert_eq!(fetch(&pontoon, "shop-web-1", "db"), "I am db.");

        let told = change(&pontoon, &[(", front: {} }", " }")]);
        assert_eq!(told, ["~ shop-web-1: networks shop_front → nothing", "- network shop_front"]);
        is_as_wanted(&pontoon);
        let told = change(&pontoon, &[("back: { ipv4_address: 10.60.0.12 }", "back: { ipv4_address: 10.60.0.12 }, front: { gw_priority: 1 }")]);
        assert_eq!(told, ["+ network shop_front: 172.17.0.0/16", "~ shop-web-1: networks nothing → shop_front"]);
        assert!(host.sh("ip -n shop-web-1 route show default").contains("via 172.17.0.1"));

        // Whose network is made anew goes on as well.
        let told = change(&pontoon, &[("10.60.0.", "10.66.0.")]);
        assert_eq!(told, [
            "~ network shop_back: 10.66.0.0/24, subnet 10.60.0.0/24 → 10.66.0.0/24",
            "~ shop-db-1: ipv4_address 10.60.0.10 → 10.66.0.10",
            "~ shop-web-1: back: ipv4_address 10.60.0.12 → 10.66.0.12",
        ]);
        assert_eq!(fetch(&pontoon, "shop-web-1", "db"), "I am db.");
        is_as_wanted(&pontoon);
        assert_eq!(pids(&pontoon), running, "all of that without starting anything anew");

        talk.was_never_interrupted();
        leaves_nothing(&host, &pontoon, &before);
    }

    fn what_cannot_is_started_anew_alone(host: Host) {
        let pontoon = Pontoon::on(&host);
        let talk = begin(&host, &pontoon, SHOP);
        let [web, db] = web_and_db(&pontoon);
        let program = pontoon_e2e::program();
        let serve = |text: &str| format!("{} lab-serve '{text}'", program.display());
        let told = change(&pontoon, &[(&serve("I am web."), &serve("I am new."))]);
        let argv = |text: &str| format!("{} lab-serve {text}", program.display());
        assert_eq!(told.len(), 1);
        assert!(told[0].ends_with(&format!("command {} → {}", argv("I am web."), argv("I am new."))), "{told:?}");
        assert!(told[0].starts_with("~ shop-web-1: 10.60.0.11, 172.17.0."), "{told:?}");
        serves(&host, "shop-web-1");
        assert_eq!(fetch(&pontoon, "shop-db-1", "web"), "I am new.");
        assert_eq!(fetch(&pontoon, "host", "127.0.0.1:8080"), "I am new.");
        assert_ne!(pid(&pontoon, "shop-web-1"), web);
        assert_eq!(pid(&pontoon, "shop-db-1"), db);

        let told = change(&pontoon, &[("ports: ['8080:80']", "ports: ['8080:80']\n    environment: { A: b }\n    depends_on: { db: { condition: service_started, restart: true } }")]);
        assert_eq!(told.len(), 1);
        assert!(told[0].contains("environment nothing → A=b"), "{told:?}");
        let told = change(&pontoon, &[("  db:\n", "  db:\n    hostname: base\n")]);
        assert!(told[0].contains("hostname shop-db-1 → base") && told[1].contains("db is started anew"), "{told:?}");

        // One that ended is started again, and no other.
        let running = pids(&pontoon);
        pontoon.run("stop shop-db-1");
        let told = crate::changed(&up(&pontoon));
        assert!(told[0].starts_with("~ shop-db-1: 10.60.0.10, it has ended with "), "{told:?}");
        assert!(told.len() == 2 && told[1].ends_with("db is started anew"), "{told:?}");
        assert_eq!(pids(&pontoon).iter().filter(|one| running.contains(one)).count(), 2);
        let told = pontoon.run("up -d --force-recreate --no-deps web");
        assert!(told.starts_with("~ shop-web-1") && told.lines().count() == 1, "{told}");
        is_as_wanted(&pontoon);

        // A service that is gone is told of, and goes when it is asked for.
        let mut text = std::fs::read_to_string("compose.yaml").unwrap();
        let (from, to) = (text.find("  web:").unwrap(), text.find("networks:\n").unwrap());
        text.replace_range(from..to, "");
        file(&text);
        let output = pontoon.attempt("up -d");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("containers of services that the file does not have: shop-web-1"), "{said}");
        let told = pontoon.run("up -d --remove-orphans");
        assert!(told.contains("- shop-web-1") && told.contains("- network shop_front"), "{told}");
        talk.was_never_interrupted();
        pontoon.run("down");
    }

    fn the_commands_that_are_shown_change_it(host: Host) {
        let pontoon = Pontoon::on(&host);
        let text = SHOP.replace("  db:\n", "  db:\n    ports: ['8081:80']\n");
        let talk = begin(&host, &pontoon, &text);
        let running = pids(&pontoon);
        for pairs in [
            &[("10.60.0.10", "X"), ("10.60.0.11", "10.60.0.10"), ("X", "10.60.0.11"), ("8080", "Y"), ("8081", "8080"), ("Y", "8081")][..],
            &[("10.60.0.", "10.66.0."), (", front: {} }", " }"), ("[store]", "[shop, store]")],
            &[("  web:\n", "  web:\n    hostname: front\n")],
        ] {
            edit(pairs);
            let script = pontoon.run("up --dry-run");
            by_hand(&host, &script);
            is_as_wanted(&pontoon);
        }
        serves(&host, "shop-web-1");
        assert_eq!(fetch(&pontoon, "shop-web-1", "shop"), "I am db.");
        assert_eq!(pids(&pontoon).iter().filter(|one| running.contains(one)).count(), 3);
        talk.was_never_interrupted();
        pontoon.run("down");
    }

    fn addresses_ports_and_names_change_hands(host: Host) {
        let pontoon = Pontoon::on(&host);
        let text = SHOP.replace("  db:\n", "  db:\n    ports: ['8081:80']\n");
        let talk = begin(&host, &pontoon, &text);
        let running = pids(&pontoon);
        let told = change(&pontoon, &[("10.60.0.10", "X"), ("10.60.0.11", "10.60.0.10"), ("X", "10.60.0.11"), ("8080", "Y"), ("8081", "8080"), ("Y", "8081")]);
        assert_eq!(told, [
            "~ shop-db-1: ipv4_address 10.60.0.10 → 10.60.0.11, ports 8081->80/tcp → 8080:80/tcp",
            "~ shop-web-1: back: ipv4_address 10.60.0.11 → 10.60.0.10, ports 8080->80/tcp → 8081:80/tcp",
        ]);
        assert_eq!(fetch(&pontoon, "shop-one-1", "10.60.0.10"), "");
        assert_eq!(fetch(&pontoon, "host", "10.60.0.10"), "I am web.");
        assert_eq!(fetch(&pontoon, "host", "127.0.0.1:8080"), "I am db.");
        assert_eq!(fetch(&pontoon, "shop-web-1", "db"), "I am db.");
        assert_eq!(pids(&pontoon), running);
        is_as_wanted(&pontoon);
        talk.was_never_interrupted();
        // What cannot be changed because of somebody else is refused before anything is.
        pontoon.run("run -d --name other --network shop_back -- sleep 1000");
        edit(&[("10.60.0.", "10.67.0."), ("8081", "8089")]);
        for words in ["up -d", "up --dry-run"] {
            let said = crate::refused(&pontoon, words);
            assert!(said.contains("network `shop_back` is to be made anew, and others are on it: other"), "{said}");
        }
        assert_eq!(pids(&pontoon), running);
        assert_eq!(fetch(&pontoon, "host", "127.0.0.1:8081"), "I am web.");
        pontoon.run("rm -f other");
        // Nor is one moved under those that are not asked for.
        let said = crate::refused(&pontoon, "up -d web");
        assert!(said.contains("others are on it: shop-db-1"), "{said}");
        up(&pontoon);
        is_as_wanted(&pontoon);
    }
}
