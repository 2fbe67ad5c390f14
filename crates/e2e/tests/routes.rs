//! Routes that a container is given beside those that its networks bring.

use pontoon_e2e::Pontoon;
use pontoon_testkit::{Host, Snapshot, sandboxed};

/// Web and a router on blue; the router is also on red, where db is.
fn web_router_and_db<'a>(host: &'a Host) -> Pontoon<'a> {
    let pontoon = Pontoon::on(host);
    pontoon.run("network create --internal --ipv6 --subnet 10.5.0.0/24 --subnet fd05::/64 blue");
    pontoon.run("network create --internal --ipv6 --subnet 10.6.0.0/24 --subnet fd06::/64 red");
    pontoon.run("run -d --name web --network blue:ip=10.5.0.2,ip6=fd05::2 -- sleep 1000");
    pontoon.run("run -d --name db --network red:ip=10.6.0.3,ip6=fd06::3 -- sleep 1000");
    host.sh("ip netns add router; ip -n router link set lo up");
    pontoon.run("network connect --ip 10.5.0.9 --ip6 fd05::9 blue netns:router");
    pontoon.run("network connect --ip 10.6.0.9 --ip6 fd06::9 red netns:router");
    host.sh_in("router", "sysctl -q -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
    pontoon
}

fn inside(host: &Host, place: &str) -> Snapshot {
    host.snapshot_of(place).without("/run/pontoon")
}

/// The link of the host's that a container's interface is the other end of.
fn other_end(host: &Host, place: &str, ifname: &str) -> String {
    let number = host.json_in(place, &format!("ip -j link show dev {ifname}"))[0]["link_index"].clone();
    let all = host.json("ip -j link");
    let link = all.as_array().unwrap().iter().find(|link| link["ifindex"] == number).unwrap();
    link["ifname"].as_str().unwrap().to_owned()
}

sandboxed! {
    fn packets_take_the_route_and_it_is_taken_away(host: Host) {
        let pontoon = web_router_and_db(&host);
        let before = inside(&host, "web");
        assert!(!host.pings("web", "10.6.0.3"));
        assert_eq!(pontoon.run("network route add web 10.6.0.0/24 via 10.5.0.9"), "10.6.0.0/24 via 10.5.0.9 dev eth0");
        assert_eq!(pontoon.run("network route add db default via 10.6.0.9 dev eth0"), "default via 10.6.0.9 dev eth0");
        assert_eq!(pontoon.run("network route add web fd06::/64 via fd05::9"), "fd06::/64 via fd05::9 dev eth0");
        assert_eq!(pontoon.run("network route add db fd05::2 via fd06::9"), "fd05::2/128 via fd06::9 dev eth0");
        let shown = host.sh_in("web", "ip route show 10.6.0.0/24; ip -6 route show fd06::/64");
        assert!(shown.contains("10.6.0.0/24 via 10.5.0.9 dev eth0 proto 112"), "{shown}");
        assert!(shown.contains("fd06::/64 via fd05::9 dev eth0 proto 112"), "{shown}");
        assert!(host.pings("web", "10.6.0.3") && host.pings("web", "fd06::3"));
        assert_eq!(pontoon.run("network route ls web"), "10.6.0.0/24 via 10.5.0.9 dev eth0\nfd06::/64 via fd05::9 dev eth0");
        assert_eq!(pontoon.run("network route ls db"), "default via 10.6.0.9 dev eth0\nfd05::2/128 via fd06::9 dev eth0");
        // Once more is no mistake.
        pontoon.run("network route add web 10.6.0.0/24 via 10.5.0.9");
        assert_eq!(pontoon.run("network route rm web 10.6.0.0/24"), "10.6.0.0/24 via 10.5.0.9 dev eth0");
        pontoon.run("network route rm web fd06::/64");
        before.assert_unchanged(&inside(&host, "web"));
        assert_eq!(pontoon.run("network route ls web"), "");
        // One that somebody deleted is forgotten all the same.
        host.sh("ip -n db route delete default");
        pontoon.run("network route rm db default");
        assert_eq!(pontoon.run("network route ls db"), "fd05::2/128 via fd06::9 dev eth0");
    }

    fn a_route_that_cannot_be_is_refused(host: Host) {
        let pontoon = web_router_and_db(&host);
        pontoon.run("network create --subnet 10.7.0.0/24 out");
        pontoon.run("network connect out web");
        host.sh("ip -n web route add 10.8.0.0/16 via 10.5.0.9");
        pontoon.run("network route add web 10.9.0.0/16 via 10.5.0.9");
        let before = inside(&host, "web");
        for (command, named) in [
            ("add web 10.6.0.0/24 via 10.6.0.9", "10.6.0.9 is on no subnet of `web`: 10.5.0.0/24 (eth0), fd05::/64 (eth0), 10.7.0.0/24 (eth1)"),
            ("add web 10.6.0.0/24 via 10.5.0.9 dev eth1", "10.7.0.0/24 (eth1)"),
            ("add web 10.6.0.0/24 via 10.5.0.2", "own address"),
            ("add web default via 10.5.0.9", "--gw-priority"),
            ("add web 10.8.0.0/16 via 10.5.0.9", "via 10.5.0.9 dev eth0"),
            ("add web 10.5.0.0/24 via 10.7.0.1", "already: dev eth0"),
            ("add web 10.9.0.0/16 via 10.7.0.1", "`pontoon network route rm web 10.9.0.0/16`"),
            ("add web fd06::/64 via 10.5.0.9", "different families"),
            ("add web 10.6.0.1/24 via 10.5.0.9", "did you mean 10.6.0.0/24?"),
            ("add web 10.6.0.0/24 by 10.5.0.9", "via IP [dev IF]"),
            ("add nobody 10.6.0.0/24 via 10.5.0.9", "`nobody`"),
            ("rm web 10.8.0.0/16", "it was given: 10.9.0.0/16"),
            ("rm db default", "no route to default"),
            ("ls nobody", "`nobody`"),
        ] {
            let (code, said) = pontoon.fail(&format!("network route {command}"));
            assert!((1..=2).contains(&code) && said.starts_with("error: ") && said.contains(named), "{command}: {code}\n{said}");
            before.assert_unchanged(&inside(&host, "web"));
        }
        let said = pontoon.run("network route add web 10.6.0.0/24 via 10.5.0.9 --dry-run");
        assert!(said.contains("ip -n web route add 10.6.0.0/24 via 10.5.0.9 dev eth0 proto 112"), "{said}");
        before.assert_unchanged(&inside(&host, "web"));
        assert_eq!(pontoon.run("network route ls web"), "10.9.0.0/16 via 10.5.0.9 dev eth0");
    }

    fn a_route_comes_back_and_goes_with_its_link(host: Host) {
        let pontoon = web_router_and_db(&host);
        pontoon.run("network route add web 10.6.0.0/24 via 10.5.0.9");
        pontoon.run("network route add web fd06::/64 via fd05::9");
        let routes = || host.sh_in("web", "ip route; ip -6 route show fd06::/64");
        let before = routes();
        // Deleted by hand.
        host.sh("ip -n web route delete 10.6.0.0/24");
        assert_eq!(pontoon.run("restore"), "repaired: the route 10.6.0.0/24 via 10.5.0.9 of web on blue is gone");
        assert_eq!(routes(), before);
        // Gone with the link, or with its being down.
        host.sh(&format!("ip link delete {}", other_end(&host, "web", "eth0")));
        pontoon.run("restore");
        assert_eq!(routes(), before);
        host.sh("ip -n web link set dev eth0 down");
        pontoon.run("restore");
        assert_eq!(routes(), before);
        assert_eq!(pontoon.run("restore"), "everything is as it should be");
        pontoon.run("network disconnect blue web");
        pontoon.run("network connect --ip 10.5.0.2 --ip6 fd05::2 blue web");
        assert_eq!(pontoon.run("network route ls web"), "");
        assert!(!routes().contains("10.6.0.0/24"));
    }

    fn a_route_by_a_router_on_the_old_subnet_goes_when_the_network_moves(host: Host) {
        let pontoon = web_router_and_db(&host);
        pontoon.run("network route add web 10.6.0.0/24 via 10.5.0.9");
        pontoon.run("network route add web fd06::/64 via fd05::9");
        let output = pontoon.attempt("network renumber --subnet 10.55.0.0/24 blue");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains("10.6.0.0/24 via 10.5.0.9") && said.contains("network route add web 10.6.0.0/24"), "{said}");
        assert_eq!(pontoon.run("network route ls web"), "fd06::/64 via fd05::9 dev eth0");
        assert!(!host.sh_in("web", "ip route").contains("10.6.0.0/24"));
        assert_eq!(pontoon.run("restore"), "everything is as it should be");
        pontoon.run("network route add web 10.6.0.0/24 via 10.55.0.9");
        assert!(host.sh_in("web", "ip route").contains("10.6.0.0/24 via 10.55.0.9"));
    }

    fn killed_half_way_it_is_done_or_undone(host: Host) {
        let pontoon = web_router_and_db(&host);
        let (add, remove) = ("network route add web 10.6.0.0/24 via 10.5.0.9", "network route rm web 10.6.0.0/24");
        let without = inside(&host, "web");
        pontoon.run(add);
        let with = inside(&host, "web");
        pontoon.run(remove);
        for (command, before, after, back) in [(add, &without, &with, remove), (remove, &with, &without, add)] {
            if command == remove {
                pontoon.run(add);
            }
            for at in 0.. {
                let output = pontoon.command(command).env("PONTOON_TEST_KILL_AT", at.to_string()).output().unwrap();
                pontoon.attempt("network ls");
                let noted = !pontoon.run("network route ls web").is_empty();
                // What is noted is there.
                let there = if noted { &with } else { &without };
                there.assert_unchanged(&inside(&host, "web"));
                if !before.changes(&inside(&host, "web")).is_empty() {
                    after.assert_unchanged(&inside(&host, "web"));
                    pontoon.run(back);
                }
                if output.status.success() {
                    assert!(at > 2, "{command}: {at}");
                    break;
                }
            }
        }
    }
}
