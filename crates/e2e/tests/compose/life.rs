//! From nothing to a project that runs, and back.

use pontoon_e2e::{Pontoon, becomes_as_before, eventually, state};
use pontoon_testkit::sandboxed;

use crate::{by_hand, changed, fetch, file, is_as_wanted, leaves_nothing, pids, serves, up};

const SHOP: &str = "
services:
  db:
    command: SERVE 'I am db.'
    networks: { back: { ipv4_address: 10.60.0.10, aliases: [store] } }
  web:
    command: SERVE 'I am web.'
    depends_on: [db]
    ports: ['127.0.0.1:8080:80']
    networks: [front, back]
  talk:
    command: [sh, -c, 'echo one; echo two; echo three; sleep 1000']
    scale: 2
networks:
  front:
  back: { internal: true, ipam: { config: [ { subnet: 10.60.0.0/24 } ] } }
x-pontoon:
  expect:
    web: { reach: [db:80, store] }
    talk: { deny: [10.60.0.10] }
";

/// What all of a file's parts can say to the engine that makes it.
const WHOLE: &str = "
services:
  db:
    command: SERVE 'I am db.'
    healthcheck: { test: [CMD, sh, -c, 'exit $$((1 - 1))'], interval: 50ms, start_interval: 50ms, start_period: 5s, timeout: 3s, retries: 7 }
    networks: { back: { ipv4_address: 10.60.0.10, ipv6_address: 'fd60::10', aliases: [store] } }
    stop_signal: SIGINT
    stop_grace_period: 2s
  web:
    command: SERVE 'I am web.'
    depends_on: { db: { condition: service_healthy } }
    ports: ['127.0.0.1:8080:80', '9000-9001:90-91', '53:53/udp']
    networks: { front: { gw_priority: 5, mac_address: '02:00:00:00:00:11', interface_name: fr0, driver_opts: { pontoon.antispoof: 'false' } }, back: {} }
    restart: on-failure:3
    environment: { GREETING: \"it's $$HOME\", EMPTY: '', LINES: \"a\\nb\" }
    extra_hosts: { far.example: 192.0.2.9, gate: host-gateway }
    dns: [192.0.2.53]
    dns_search: [example.com]
    dns_opt: ['ndots:2']
    sysctls: { net.ipv4.ip_unprivileged_port_start: 0 }
    labels: { a.b: 'c d' }
    expose: ['1234']
    working_dir: /tmp
    hostname: shop-front
    x-pontoon: { routes: ['192.0.2.128/25 via 10.60.0.10'], impair: { network: back, rate: 20mbit } }
  alone: { command: [sleep, '1000'], network_mode: none }
  open: { command: [sleep, '1000'], network_mode: host }
  guest: { command: [sleep, '1000'], network_mode: 'service:web' }
networks:
  front: { enable_ipv6: true, labels: { x: y }, driver_opts: { com.docker.network.driver.mtu: 1400 } }
  back: { internal: true, ipam: { config: [ { subnet: 10.60.0.0/24, gateway: 10.60.0.254, ip_range: 10.60.0.128/25, aux_addresses: { r: 10.60.0.200 } }, { subnet: 'fd60::/64' } ] } }
x-pontoon:
  links:
    - 'web:lan0=10.9.0.1/30,fd09::1/64 db:lan0=10.9.0.2/30,fd09::2/64'
    - { ends: ['db:up0=10.9.1.1/30', 'host:lab0=10.9.1.2/30'], mtu: 9000, impair: { rate: 10mbit } }
";

sandboxed! {
    fn a_project_comes_up_and_goes_away(host: Host) {
        let pontoon = Pontoon::on(&host);
        let before = state(&host);
        file(SHOP);
        let told = up(&pontoon);
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!(lines[0], "+ network shop_back: 10.60.0.0/24");
        assert_eq!(lines[1], "+ network shop_default: 172.17.0.0/16");
        assert_eq!(lines[3], "+ shop-db-1: 10.60.0.10");
        assert!(lines.iter().position(|line| line.contains("web-1")) > Some(3), "after what it depends on: {told}");
        assert_eq!(lines.len(), 7, "{told}");
        ["shop-db-1", "shop-web-1"].iter().for_each(|name| serves(&host, name));
        assert_eq!(fetch(&pontoon, "shop-web-1", "store"), "I am db.");
        assert_eq!(fetch(&pontoon, "host", "127.0.0.1:8080"), "I am web.");

        let shown = pontoon.run("compose ps --format '{{.Names}} {{.Service}} {{.State}} {{.Networks}}'");
        assert!(shown.contains("shop-db-1 db running shop_back=10.60.0.10"), "{shown}");
        assert_eq!(pontoon.run("compose ps -q web db").lines().count(), 2);
        let tried = pontoon.run("test --format '{{.Result}} {{.From}} {{.To}} {{.Got}}'");
        assert_eq!(tried, "ok shop-web-1 db:80/tcp reached\nok shop-web-1 store/icmp reached\nok shop-talk-1 10.60.0.10/icmp no answer\nok shop-talk-2 10.60.0.10/icmp no answer");
        is_as_wanted(&pontoon);

        assert_eq!(pontoon.run("down --dry-run").lines().count(), 7);
        let told = pontoon.run("down");
        assert_eq!(told.lines().count(), 7, "{told}");
        assert!(told.find("shop-web-1") < told.find("shop-db-1"), "those first that depend on others: {told}");
        leaves_nothing(&host, &pontoon, &before);
        assert_eq!(pontoon.run("down"), "");
        assert_eq!(host.sh("ls /var/lib/pontoon/containers"), "");
    }

    fn what_services_write_is_shown(host: Host) {
        let pontoon = Pontoon::on(&host);
        file(SHOP);
        up(&pontoon);
        eventually("it has spoken", || pontoon.run("compose logs talk").lines().count() == 6);
        let whole = pontoon.run("compose logs talk");
        assert!(whole.starts_with("talk-1 | one\ntalk-1 | two\ntalk-1 | three\ntalk-2 | one"), "{whole}");
        assert_eq!(pontoon.run("compose logs --tail 1 talk"), "talk-1 | three\ntalk-2 | three");
        assert_eq!(pontoon.run("compose logs -n 1 --no-log-prefix talk"), "three\nthree");
        // Until all have ended.
        let follow = pontoon.start("compose logs -f talk");
        for name in ["shop-talk-1", "shop-talk-2"] {
            pontoon.run(&format!("stop {name}"));
        }
        let output = follow.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim_end(), whole);
        pontoon.run("down");
    }

    fn the_commands_that_are_shown_make_the_project(host: Host) {
        let pontoon = Pontoon::on(&host);
        let before = state(&host);
        file(WHOLE);
        let script = pontoon.run("up --dry-run");
        becomes_as_before(&host, &before);
        by_hand(&host, &script);
        assert_eq!(pids(&pontoon).len(), 5, "{script}");
        let told = changed(&up(&pontoon));
        assert_eq!(told, Vec::<String>::new(), "{script}");
        is_as_wanted(&pontoon);
        leaves_nothing(&host, &pontoon, &before);

        // As does the project by itself.
        up(&pontoon);
        is_as_wanted(&pontoon);
        leaves_nothing(&host, &pontoon, &before);
    }

    fn in_the_foreground_it_runs_until_it_is_interrupted(host: Host) {
        let pontoon = Pontoon::on(&host);
        let before = state(&host);
        file("
services:
  web: { command: [sh, -c, 'echo I am web; exec sleep 1000'] }
  deaf: { command: [sh, -c, 'trap : TERM; while :; do sleep 0.1; done'], stop_grace_period: 200ms }
");
        for signal in ["INT", "TERM"] {
            let child = pontoon.start("up");
            host.wait_until("all run", || pids(&pontoon).len() == 2);
            host.wait_until("it has spoken", || pontoon.run("compose logs web").contains("I am web"));
            std::thread::sleep(std::time::Duration::from_millis(100));
            host.sh(&format!("kill -{signal} {}", child.id()));
            let output = child.wait_with_output().unwrap();
            assert_eq!(output.status.code(), Some(130));
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(text.contains("web-1  | I am web"), "{text}");
            assert_eq!(pids(&pontoon).len(), 0);
            assert_eq!(pontoon.run("compose ps -a -q").lines().count(), 2, "they are still known");
        }
        let told = up(&pontoon);
        assert!(told.contains("it has ended with 143") && told.contains("it has ended with 137"), "{told}");
        leaves_nothing(&host, &pontoon, &before);

        // It ends by itself when all have ended.
        file("services: { job: { command: [sh, -c, 'echo done'] } }");
        let output = pontoon.start("up").wait_with_output().unwrap();
        assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("job-1 | done"));
        leaves_nothing(&host, &pontoon, &before);
    }
}
