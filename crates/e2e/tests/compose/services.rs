//! What services can say of their network, and how they depend on each other.

use std::collections::BTreeSet;

use pontoon_e2e::{Pontoon, becomes_as_before, dig, state};
use pontoon_testkit::sandboxed;

use crate::{change, changed, edit, fetch, file, is_as_wanted, leaves_nothing, pid, pids, serves, up};

sandboxed! {
    fn a_real_database_and_a_real_client(host: Host) {
        for tool in ["redis-server", "redis-cli", "python3", "curl"] {
            host.need(tool);
        }
        let pontoon = Pontoon::on(&host);
        let before = state(&host);
        file("
services:
  cache:
    command: [redis-server, --save, '', --bind, 0.0.0.0, --protected-mode, 'no', --dir, /run/shop]
    networks: { back: { ipv4_address: 10.60.0.10 } }
    healthcheck: { test: [CMD, redis-cli, ping], interval: 100ms, start_interval: 100ms, start_period: 10s }
  web:
    command: [python3, -m, http.server, '8000', --directory, /run/shop]
    depends_on: { cache: { condition: service_healthy } }
    healthcheck: { test: curl -s -o /run/shop/got http://127.0.0.1:8000/compose.yaml, interval: 100ms, start_interval: 100ms, start_period: 10s }
    networks: { back: { ipv4_address: 10.60.0.11 }, front: {} }
    ports: ['8080:8000']
networks:
  back: { internal: true, ipam: { config: [ { subnet: 10.60.0.0/24 } ] } }
  front:
x-pontoon: { expect: { web: { reach: ['cache:6379'] } } }
");
        pontoon.run("up --wait");
        assert_eq!(pontoon.run("exec shop-web-1 -- redis-cli -h cache set colour blue"), "OK");
        assert_eq!(pontoon.run("exec shop-web-1 -- redis-cli -h 10.60.0.10 get colour"), "blue");
        assert!(host.sh("curl -s http://127.0.0.1:8080/compose.yaml").contains("redis-server"));
        pontoon.run("test");
        is_as_wanted(&pontoon);
        let told = change(&pontoon, &[("ipv4_address: 10.60.0.10 ", "ipv4_address: 10.60.0.20 ")]);
        assert_eq!(told, ["~ shop-cache-1: ipv4_address 10.60.0.10 → 10.60.0.20"]);
        assert_eq!(pontoon.run("exec shop-web-1 -- redis-cli -h cache get colour"), "blue");
        leaves_nothing(&host, &pontoon, &before);
    }

    fn networks_of_others_none_and_the_hosts(host: Host) {
        let pontoon = Pontoon::on(&host);
        let before = state(&host);
        pontoon.run("run -d --name outsider --network none -- sleep 1000");
        file("
services:
  web: { command: SERVE 'I am web.', networks: { default: { aliases: [site] } } }
  guest: { command: [sleep, '1000'], network_mode: 'service:web', depends_on: [web] }
  alone: { command: [sleep, '1000'], network_mode: none }
  open: { command: [sleep, '1000'], network_mode: host }
  with: { command: [sleep, '1000'], network_mode: 'container:outsider' }
");
        up(&pontoon);
        serves(&host, "shop-web-1");
        assert_eq!(fetch(&pontoon, "shop-guest-1", "127.0.0.1"), "I am web.");
        let namespace = |name: &str| host.sh(&format!("readlink /proc/{}/ns/net", pid(&pontoon, name)));
        assert_eq!(namespace("shop-with-1"), namespace("outsider"));
        assert_eq!(namespace("shop-open-1"), host.sh("readlink /proc/self/ns/net"));
        assert_eq!(pontoon.run("exec shop-alone-1 -- ip -o link").lines().count(), 1);
        is_as_wanted(&pontoon);
        // With whose network it has, it is started anew; it would be in one that is gone.
        let told = change(&pontoon, &[("'I am web.'", "'I am new.'")]);
        assert_eq!(told.len(), 2, "{told:?}");
        assert_eq!(told[1], "~ shop-guest-1: web is started anew");
        serves(&host, "shop-web-1");
        assert_eq!(fetch(&pontoon, "shop-guest-1", "127.0.0.1"), "I am new.");
        is_as_wanted(&pontoon);
        let told = change(&pontoon, &[("network_mode: none", "networks: [default]")]);
        assert!(told[0].ends_with("network_mode none → networks"), "{told:?}");
        assert_eq!(fetch(&pontoon, "shop-alone-1", "site"), "I am new.");
        pontoon.run("down");
        pontoon.run("rm -f outsider");
        leaves_nothing(&host, &pontoon, &before);
    }

    fn what_a_service_says_of_its_network_is_so(host: Host) {
        let pontoon = Pontoon::on(&host);
        file("
services:
  web:
    command: SERVE 'I am web.'
    hostname: front
    dns: [192.0.2.53]
    dns_search: [example.com]
    extra_hosts: { far.example: 192.0.2.9, gate: host-gateway }
    sysctls: { net.ipv4.ip_unprivileged_port_start: 79 }
    links: ['many:crowd']
    networks:
      one: { mac_address: '02:00:00:00:00:11', interface_name: lan0, link_local_ips: [169.254.8.8] }
      two: { gw_priority: 7, interface_name: wan0 }
      shut:
  many: { command: [sleep, '1000'], networks: [one], scale: 3 }
  extra: { command: [sleep, '1000'], profiles: [more] }
networks:
  one: { enable_ipv6: true }
  two: { ipam: { config: [ { subnet: 10.62.0.0/24 } ] } }
  shut: { internal: true }
");
        up(&pontoon);
        let inside = |words: &str| pontoon.run(&format!("exec shop-web-1 -- {words}"));
        assert_eq!(inside("hostname"), "front");
        let hosts = inside("cat /etc/hosts");
        assert!(hosts.contains("192.0.2.9\tfar.example") || hosts.contains("192.0.2.9 far.example"), "{hosts}");
        assert!(hosts.contains("gate"), "{hosts}");
        assert!(inside("cat /etc/resolv.conf").contains("search example.com"));
        assert_eq!(inside("cat /proc/sys/net/ipv4/ip_unprivileged_port_start"), "79");
        assert!(inside("ip -o link show lan0").contains("02:00:00:00:00:11"));
        assert!(inside("ip route show default").contains("via 10.62.0.1 dev wan0"));
        assert!(inside("ip -6 -o address show lan0 scope global").contains("inet6"));
        assert!(!inside("ip route").contains("default via 172"), "an internal network is no way out");
        // A name of several is all of them, in turn.
        let answers: Vec<String> = (0..12).map(|_| dig(&host, "shop-web-1", "@127.0.0.11 many A")).collect();
        assert!(answers.iter().all(|answer| answer.lines().count() == 3), "{answers:?}");
        let first: BTreeSet<&str> = answers.iter().filter_map(|answer| answer.lines().next()).collect();
        assert!(first.len() > 1, "{answers:?}");
        // What it calls them is its own affair.
        assert_eq!(dig(&host, "shop-web-1", "@127.0.0.11 crowd A").lines().count(), 3);
        assert_eq!(dig(&host, "shop-many-1", "@127.0.0.11 crowd A"), "");
        assert!(inside("ip -4 -o address show lan0").contains("169.254.8.8/16"));
        is_as_wanted(&pontoon);
        assert_eq!(pids(&pontoon).len(), 4);

        let running = pids(&pontoon);
        let told = change(&pontoon, &[("scale: 3", "scale: 2")]);
        assert_eq!(told, ["- shop-many-3"]);
        let told = change(&pontoon, &[("'02:00:00:00:00:11', interface_name: lan0", "'02:00:00:00:00:12', interface_name: lan1"), ("gw_priority: 7", "gw_priority: -7")]);
        assert_eq!(told, ["~ shop-web-1: one: mac_address 02:00:00:00:00:11 → 02:00:00:00:00:12, one: interface_name lan0 → lan1, two: gw_priority 7 → -7"]);
        assert!(inside("ip route show default").contains("dev lan1"));
        is_as_wanted(&pontoon);
        assert!(pids(&pontoon).iter().all(|one| running.contains(one)));
        assert!(pontoon.run("up -d --profile more").contains("+ shop-extra-1"));
        // One that was asked for another time stays.
        is_as_wanted(&pontoon);
        assert!(pids(&pontoon).iter().any(|(name, _)| name == "shop-extra-1"));
        pontoon.run("down");
        assert_eq!(pontoon.run("ps -a -q"), "");
    }

    fn one_that_is_killed_is_started_again_where_it_was(host: Host) {
        let pontoon = Pontoon::on(&host);
        let before = state(&host);
        file("
services:
  web: { command: SERVE 'I am web.', restart: always, ports: ['8080:80'] }
  tap: { command: [sleep, '1000'], network_mode: none }
x-pontoon: { links: ['web:lan0=10.9.0.1/30 tap:lan0=10.9.0.2/30'] }
");
        up(&pontoon);
        serves(&host, "shop-web-1");
        let (address, first) = (pontoon.address("shop_default", "shop-web-1"), pid(&pontoon, "shop-web-1"));
        host.sh(&format!("kill -9 {first}"));
        host.wait_until("it runs again", || ![first.clone(), "0".into()].contains(&pid(&pontoon, "shop-web-1")));
        serves(&host, "shop-web-1");
        assert_eq!(pontoon.address("shop_default", "shop-web-1"), address);
        assert_eq!(fetch(&pontoon, "host", "127.0.0.1:8080"), "I am web.");
        assert!(host.pings("shop-tap-1", "10.9.0.1"));
        is_as_wanted(&pontoon);
        leaves_nothing(&host, &pontoon, &before);
        // One that always fails is no hindrance to what is changed or taken away.
        file("
services:
  bad: { command: ['false'], restart: always }
  web: { command: SERVE 'I am web.' }
");
        up(&pontoon);
        edit(&[("'I am web.'", "'I am new.'")]);
        assert_eq!(changed(&up(&pontoon)).len(), 1);
        pontoon.run("down");
        pontoon.run("system prune --force");
        becomes_as_before(&host, &before);
    }
}
