//! What a project's file says below `x-pontoon`: cables, routes, impairments, expectations.

use pontoon_e2e::{Pontoon, becomes_as_before, state};
use pontoon_testkit::sandboxed;

use crate::{change, changed, edit, file, is_as_wanted, leaves_nothing, pids, serves, up};

const LAB: &str = "
services:
  left: { command: [sleep, '1000'], network_mode: none }
  right: { command: [sleep, '1000'], networks: [lan] }
  router:
    command: [sleep, '1000']
    sysctls: { net.ipv4.ip_forward: 1 }
    networks: { lan: { ipv4_address: 10.70.0.2, driver_opts: { pontoon.antispoof: 'false' } } }
networks:
  lan: { ipam: { config: [ { subnet: 10.70.0.0/24 } ] } }
x-pontoon:
  links:
    - { ends: ['left:up0=10.9.0.2/30', 'router:down0=10.9.0.1/30'], mtu: 9000 }
    - 'left:mgmt0=10.9.1.2/30 host:lab0=10.9.1.1/30'
";

sandboxed! {
    fn cables_are_laid_changed_and_taken_away(host: Host) {
        let pontoon = Pontoon::on(&host);
        let before = state(&host);
        file(LAB);
        let told = up(&pontoon);
        assert!(told.contains("+ cable left:up0 router:down0") && told.contains("+ cable left:mgmt0 host:lab0"), "{told}");
        let running = pids(&pontoon);
        assert!(host.pings("shop-left-1", "10.9.0.1") && host.pings("host", "10.9.1.2"));
        assert!(host.sh("ip -n shop-left-1 link show up0").contains("mtu 9000"));
        is_as_wanted(&pontoon);
        let told = change(&pontoon, &[("mtu: 9000", "mtu: 1400"), ("10.9.1.1/30", "10.9.1.1/30,fd91::1/64")]);
        assert_eq!(told[2..], ["+ cable left:up0 router:down0", "+ cable left:mgmt0 host:lab0"]);
        assert!(told.len() == 4 && told[..2].contains(&"- cable host:lab0 shop-left-1:mgmt0".to_owned()), "{told:?}");
        assert!(host.sh("ip -n shop-router-1 link show down0").contains("mtu 1400"));
        assert!(host.sh("ip address show lab0").contains("fd91::1/64"));
        is_as_wanted(&pontoon);
        let told = change(&pontoon, &[("    - 'left:mgmt0=10.9.1.2/30 host:lab0=10.9.1.1/30,fd91::1/64'\n", "")]);
        assert_eq!(told, ["- cable host:lab0 shop-left-1:mgmt0"]);
        assert!(!host.try_sh("ip link show lab0").status.success());
        // A service that is started anew has its cables again.
        let told = change(&pontoon, &[("net.ipv4.ip_forward: 1", "net.ipv4.ip_forward: 0")]);
        assert_eq!(told.len(), 2, "{told:?}");
        assert_eq!(told[1], "+ cable left:up0 router:down0");
        assert!(host.pings("shop-left-1", "10.9.0.1"));
        is_as_wanted(&pontoon);
        assert_eq!(pids(&pontoon).iter().filter(|one| running.contains(one)).count(), 2);
        leaves_nothing(&host, &pontoon, &before);
    }

    fn routes_lead_through_a_router(host: Host) {
        let pontoon = Pontoon::on(&host);
        file(&LAB.replace("networks: [lan] }", "networks: [lan], x-pontoon: { routes: ['10.9.0.0/30 via 10.70.0.2'] } }"));
        let told = up(&pontoon);
        assert!(told.contains("~ shop-right-1: route 10.9.0.0/30 via 10.70.0.2"), "{told}");
        let right = pontoon.address("shop_lan", "shop-right-1");
        host.sh(&format!("ip -n shop-left-1 route add {right} via 10.9.0.1"));
        assert!(host.pings("shop-right-1", "10.9.0.2"), "over the router, by the cable");
        is_as_wanted(&pontoon);
        let told = change(&pontoon, &[("10.9.0.0/30 via", "10.9.0.0/24 via")]);
        assert_eq!(told, ["~ shop-right-1: no route 10.9.0.0/30 via 10.70.0.2 any more", "~ shop-right-1: route 10.9.0.0/24 via 10.70.0.2"]);
        assert!(host.pings("shop-right-1", "10.9.0.2"));
        // Its network made anew, it has its route again.
        let told = change(&pontoon, &[("10.70.0.", "10.71.0.")]);
        assert_eq!(told.last().map(String::as_str), Some("~ shop-right-1: route 10.9.0.0/24 via 10.71.0.2"));
        is_as_wanted(&pontoon);
        change(&pontoon, &[(", x-pontoon: { routes: ['10.9.0.0/24 via 10.71.0.2'] }", "")]);
        assert!(!host.sh("ip -n shop-right-1 route").contains("10.9.0.0"));
        is_as_wanted(&pontoon);
        pontoon.run("down");
    }

    fn interfaces_are_impaired_and_no_longer(host: Host) {
        let pontoon = Pontoon::on(&host);
        let before = state(&host);
        file(&LAB.replace("mtu: 9000 }", "mtu: 9000, impair: { rate: 10mbit } }").replace("networks: [lan] }", "networks: [lan], x-pontoon: { impair: { loss: 100% } } }"));
        let told = up(&pontoon);
        assert!(told.contains("~ cable left:up0 router:down0: impaired by rate 10mbit") && told.contains("~ shop-right-1: impaired by loss 100%"), "{told}");
        assert!(host.sh_in("shop-left-1", "tc qdisc show dev up0").contains("rate 10Mbit"));
        assert!(host.sh_in("shop-router-1", "tc qdisc show dev down0").contains("rate 10Mbit"));
        assert!(!host.pings("shop-right-1", "10.70.0.2"), "all of it is lost");
        is_as_wanted(&pontoon);
        let told = change(&pontoon, &[("loss: 100%", "rate: 20mbit"), ("impair: { rate: 10mbit }", "impair: { rate: 30mbit }")]);
        assert_eq!(told, ["~ cable left:up0 router:down0: impaired by rate 30mbit", "~ shop-right-1: impaired by rate 20mbit"]);
        assert!(host.pings("shop-right-1", "10.70.0.2"));
        is_as_wanted(&pontoon);
        let told = change(&pontoon, &[(", impair: { rate: 30mbit }", ""), (", x-pontoon: { impair: { rate: 20mbit } }", "")]);
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(!host.sh_in("shop-left-1", "tc qdisc show dev up0").contains("rate"));
        is_as_wanted(&pontoon);
        leaves_nothing(&host, &pontoon, &before);
    }

    fn expectations_are_tried(host: Host) {
        let pontoon = Pontoon::on(&host);
        let before = state(&host);
        file("
services:
  web: { command: SERVE, networks: [front, back] }
  db: { command: SERVE, networks: [back], healthcheck: { test: FETCH http://127.0.0.1/, start_interval: 50ms, start_period: 5s } }
  out: { command: [sleep, '1000'], networks: [front] }
networks: { front: { enable_ipv6: true }, back: { internal: true, ipam: { config: [ { subnet: 10.60.0.0/24 } ] } } }
x-pontoon:
  expect:
    web: { reach: ['db:80', db, 'out'], within: 3s }
    out: { reach: ['web:80'], deny: [db, 'db:80', '10.60.0.99'] }
");
        assert!(crate::refused(&pontoon, "test").contains("does not run"));
        up(&pontoon);
        ["shop-db-1", "shop-web-1"].iter().for_each(|name| serves(&host, name));
        let tried = pontoon.run("test --format '{{.Result}} {{.From}} {{.Expected}} {{.To}} {{.Got}}'");
        assert!(tried.lines().all(|line| line.starts_with("ok ")), "{tried}");
        assert!(tried.contains("ok shop-out-1 deny db:80/tcp no such name"), "{tried}");
        // A port that nobody listens on keeps nobody away; what is not reached is told too.
        edit(&[("deny: [db,", "deny: ['web:81', db,"), ("'out'], within: 3s", "'out', 'db:81'], within: 200ms")]);
        assert_eq!(changed(&up(&pontoon)), Vec::<String>::new());
        let output = pontoon.attempt("test --format '{{.Result}} {{.From}} {{.Expected}} {{.To}} {{.Got}}'");
        assert_eq!(output.status.code(), Some(1));
        let tried = String::from_utf8_lossy(&output.stdout);
        assert!(tried.contains("FAILED shop-out-1 deny web:81/tcp refused: nobody listens"), "{tried}");
        assert!(tried.contains("FAILED shop-web-1 reach db:81/tcp refused: nobody listens"), "{tried}");
        assert_eq!(tried.matches("FAILED").count(), 2, "{tried}");
        leaves_nothing(&host, &pontoon, &before);

        // Up, tried, and down again, however it went.
        assert_eq!(pontoon.attempt("test --up").status.code(), Some(1));
        becomes_gone(&host, &pontoon, &before);
        edit(&[("deny: ['web:81', db,", "deny: [db,"), ("'out', 'db:81'], within: 200ms", "'out'], within: 3s")]);
        assert_eq!(pontoon.attempt("test --up").status.code(), Some(0));
        becomes_gone(&host, &pontoon, &before);
    }
}

#[track_caller]
fn becomes_gone(host: &pontoon_testkit::Host, pontoon: &Pontoon<'_>, before: &pontoon_testkit::Snapshot) {
    assert_eq!(pontoon.run("ps -a -q"), "");
    pontoon.run("system prune --force");
    becomes_as_before(host, before);
}
