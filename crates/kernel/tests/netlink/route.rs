//! Routes and rules against `ip route` and `ip rule`.

use std::net::IpAddr;

use pontoon_kernel::socket::Requests;
use pontoon_kernel::{address, route, rule};
use pontoon_netlink::address::Address;
use pontoon_netlink::link::LinkIndex;
use pontoon_netlink::route::{DumpRoutes, GetRoute, NextHop, Route, RouteType, TABLE_LOCAL};
use pontoon_netlink::rule::{Action, DumpRules, Mark, Rule};
use pontoon_netlink::{Family, PROTOCOL, Prefix};
use serde_json::json;

use crate::host::{in_new_host, json, only, tool};
use crate::{ethernet, route_socket};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn prefix(text: &str, len: u8) -> Prefix {
    Prefix::new(ip(text), len)
}

/// A socket and a link with 10.0.0.2/24 and fd00::2/64.
fn connected() -> (pontoon_kernel::socket::Socket, LinkIndex) {
    let mut socket = route_socket();
    let link = ethernet(&mut socket, "eth0");
    tool("ip link set lo up");
    address::add(&mut socket, "eth0", &Address::new(link, prefix("10.0.0.2", 24))).unwrap();
    address::add(&mut socket, "eth0", &Address::new(link, prefix("fd00::2", 64))).unwrap();
    (socket, link)
}

#[test]
fn routes_arrive_and_go() {
    in_new_host("route::routes_arrive_and_go", || {
        let (mut socket, link) = connected();
        let four = Route {
            metric: Some(50),
            preferred_source: Some(ip("10.0.0.2")),
            mtu: Some(1300),
            ..Route::via(Prefix::all(Family::V4), ip("10.0.0.1"))
        };
        let six = Route { metric: Some(60), ..Route::via(Prefix::all(Family::V6), ip("fd00::1")) };
        let direct = Route::on(prefix("10.5.0.0", 16), link);
        let onlink = Route::new(prefix("10.6.0.0", 16), NextHop::onlink(ip("192.0.2.1"), link));
        let elsewhere = Route { table: 70_000, ..Route::via(prefix("10.7.0.0", 16), ip("10.0.0.1")) };
        let hole = Route::refusing(prefix("10.8.0.0", 16), RouteType::Blackhole);
        let wall = Route::refusing(prefix("fd08::", 16), RouteType::Unreachable);
        let mixed = Route::new(
            prefix("10.9.0.0", 16),
            NextHop { gateway: Some(ip("fd00::9")), link: Some(link), ..NextHop::default() },
        );
        let all = [&four, &six, &direct, &onlink, &elsewhere, &hole, &wall, &mixed];
        let mut requests = Requests::new();
        for route in all {
            requests.add_route(route);
        }
        socket.run(&mut requests).unwrap();

        let shown = only("ip -j route show default");
        assert_eq!((&shown["gateway"], &shown["dev"]), (&json!("10.0.0.1"), &json!("eth0")));
        assert_eq!((&shown["metric"], &shown["prefsrc"]), (&json!(50), &json!("10.0.0.2")));
        assert_eq!(shown["protocol"], PROTOCOL.to_string());
        assert_eq!(shown["metrics"][0]["mtu"], 1300);
        assert_eq!(only("ip -j -6 route show default")["gateway"], "fd00::1");
        assert_eq!(only("ip -j route show 10.5.0.0/16")["scope"], "link");
        assert_eq!(only("ip -j route show 10.6.0.0/16")["flags"], json!(["onlink"]));
        assert_eq!(only("ip -j route show table 70000")["dst"], "10.7.0.0/16");
        assert_eq!(only("ip -j route show 10.8.0.0/16")["type"], "blackhole");
        assert_eq!(only("ip -j -6 route show fd08::/16")["type"], "unreachable");
        assert_eq!(only("ip -j route show 10.9.0.0/16")["via"]["host"], "fd00::9");

        let filter = DumpRoutes { protocol: Some(PROTOCOL), ..DumpRoutes::default() };
        let seen = route::list(&mut socket, &filter).unwrap();
        assert_eq!(seen.len(), all.len(), "{seen:#?}");
        for route in all {
            let found = seen.iter().find(|found| found.destination == route.destination).unwrap();
            assert_eq!((found.table, found.kind, found.mtu), (route.table, route.kind, route.mtu));
            assert_eq!(found.preferred_source, route.preferred_source);
            let gateway = |route: &Route| route.next_hops.first().and_then(|hop| hop.gateway);
            assert_eq!(gateway(found), gateway(route));
        }
        for route in all {
            route::delete(&mut socket, route).unwrap();
        }
        assert_eq!(route::list(&mut socket, &filter).unwrap(), []);
        let error = route::delete(&mut socket, &elsewhere).unwrap_err();
        assert!(error.is_not_found());
        assert!(
            error.to_string().starts_with("could not delete route 10.7.0.0/16 via 10.0.0.1 in table 70000")
        );
    });
}

#[test]
fn a_route_is_replaced() {
    in_new_host("route::a_route_is_replaced", || {
        let (mut socket, _) = connected();
        for default in [Prefix::all(Family::V4), Prefix::all(Family::V6)] {
            let v4 = default.family() == Family::V4;
            let gateway = |last: u8| ip(&if v4 { format!("10.0.0.{last}") } else { format!("fd00::{last}") });
            route::add(&mut socket, &Route::via(default, gateway(1))).unwrap();
            let error = route::add(&mut socket, &Route::via(default, gateway(9))).unwrap_err();
            assert!(error.is_exists(), "{error}");
            route::replace(&mut socket, &Route::via(default, gateway(9))).unwrap();
            let seen = route::list(
                &mut socket,
                &DumpRoutes {
                    family: Some(default.family()),
                    protocol: Some(PROTOCOL),
                    ..DumpRoutes::default()
                },
            );
            let gateways: Vec<_> = seen.unwrap().iter().map(|route| route.next_hops[0].gateway).collect();
            assert_eq!(gateways, [Some(gateway(9))]);
        }
    });
}

#[test]
fn several_next_hops() {
    in_new_host("route::several_next_hops", || {
        let (mut socket, link) = connected();
        let hop = |text: &str, weight| NextHop {
            gateway: Some(ip(text)),
            link: Some(link),
            weight,
            ..NextHop::default()
        };
        let mut four = Route::via(prefix("10.5.0.0", 16), ip("10.0.0.1"));
        four.next_hops = vec![hop("10.0.0.1", Some(3)), hop("10.0.0.7", Some(1))];
        let mut six = Route::via(prefix("fd05::", 64), ip("fd00::1"));
        six.next_hops = vec![hop("fd00::1", Some(1)), hop("fd00::7", Some(2))];
        for route in [&four, &six] {
            route::add(&mut socket, route).unwrap();
            let filter = DumpRoutes {
                protocol: Some(PROTOCOL),
                family: Some(route.destination.family()),
                ..DumpRoutes::default()
            };
            let seen = route::list(&mut socket, &filter).unwrap();
            assert_eq!(seen.len(), 1, "{seen:#?}");
            assert_eq!(seen[0].next_hops, route.next_hops);
        }
        let shown = only("ip -j route show 10.5.0.0/16");
        assert_eq!(shown["nexthops"][0]["weight"], 3);
        assert_eq!(shown["nexthops"][1]["gateway"], "10.0.0.7");
        route::delete(&mut socket, &four).unwrap();
        route::delete(&mut socket, &six).unwrap();
    });
}

#[test]
fn the_kernel_says_which_route() {
    in_new_host("route::the_kernel_says_which_route", || {
        let (mut socket, link) = connected();
        tool("ip route add 10.5.0.0/16 via 10.0.0.1");
        let found = route::get(&mut socket, &GetRoute::to(ip("10.5.6.7"))).unwrap();
        assert_eq!(found.next_hops[0].gateway, Some(ip("10.0.0.1")));
        assert_eq!(found.next_hops[0].link, Some(link));
        assert_eq!(found.preferred_source, Some(ip("10.0.0.2")));
        assert_eq!(found.table, 254);
        let entry =
            route::get(&mut socket, &GetRoute { fib_match: true, ..GetRoute::to(ip("10.5.6.7")) }).unwrap();
        assert_eq!(entry.destination, prefix("10.5.0.0", 16));
        let own = route::get(&mut socket, &GetRoute::to(ip("10.0.0.2"))).unwrap();
        assert_eq!(own.kind, RouteType::Local);
        let six =
            route::get(&mut socket, &GetRoute { oif: Some(link), ..GetRoute::to(ip("fd00::9")) }).unwrap();
        assert_eq!(six.next_hops[0].link, Some(link));

        tool("ip rule add fwmark 5 table 500");
        tool("ip route add default via 10.0.0.9 table 500");
        let flow = Some((6, Some(1000), Some(80)));
        let marked = GetRoute { mark: Some(5), uid: Some(0), flow, ..GetRoute::to(ip("10.5.6.7")) };
        let own = route::get(&mut socket, &GetRoute::to(ip("10.0.0.2"))).unwrap();
        assert_eq!(own.table, TABLE_LOCAL, "the first rule parts the tables");
        let found = route::get(&mut socket, &marked).unwrap();
        assert_eq!((found.table, found.next_hops[0].gateway), (500, Some(ip("10.0.0.9"))));
        tool("sysctl -qw net.ipv4.ip_forward=1");
        let routed =
            GetRoute { from: Some(ip("10.0.0.77")), iif: Some(link), ..GetRoute::to(ip("10.5.6.7")) };
        assert_eq!(route::get(&mut socket, &routed).unwrap().next_hops[0].gateway, Some(ip("10.0.0.1")));
        let error = route::get(&mut socket, &GetRoute::to(ip("192.0.2.1"))).unwrap_err();
        assert!(error.to_string().contains("ENETUNREACH"), "{error}");
    });
}

#[test]
fn lists_match_the_tool() {
    in_new_host("route::lists_match_the_tool", || {
        let (mut socket, link) = connected();
        tool("ip route add 10.5.0.0/16 via 10.0.0.1 table 44");
        for (family, flag) in [(Family::V4, "-4"), (Family::V6, "-6")] {
            let seen =
                route::list(&mut socket, &DumpRoutes { family: Some(family), ..DumpRoutes::default() })
                    .unwrap();
            let shown = json(&format!("ip -j {flag} route show table all"));
            assert_eq!(seen.len(), shown.as_array().unwrap().len(), "{seen:#?} {shown}");
        }
        let filter = DumpRoutes { table: Some(44), ..DumpRoutes::default() };
        assert_eq!(route::list(&mut socket, &filter).unwrap().len(), 1);
        let none = DumpRoutes { table: Some(45), ..DumpRoutes::default() };
        assert_eq!(route::list(&mut socket, &none).unwrap(), []);
        let by_link =
            DumpRoutes { oif: Some(LinkIndex::LOOPBACK), family: Some(Family::V4), ..DumpRoutes::default() };
        let on_lo = route::list(&mut socket, &by_link).unwrap();
        assert!(!on_lo.is_empty() && on_lo.iter().all(|route| route.next_hops[0].link != Some(link)));
    });
}

#[test]
fn rules_arrive_and_go() {
    in_new_host("route::rules_arrive_and_go", || {
        let mut socket = route_socket();
        let plain = Rule {
            priority: Some(100),
            from: Some(prefix("10.0.0.0", 8)),
            to: Some(prefix("10.1.0.0", 16)),
            iif: Some("eth0".to_owned()),
            mark: Some(Mark { value: 0x10, mask: 0xff }),
            ..Rule::new(Family::V4, Action::Table(70_000))
        };
        let six = Rule {
            priority: Some(101),
            oif: Some("eth9".to_owned()),
            invert: true,
            ..Rule::new(Family::V6, Action::Unreachable)
        };
        let suppress = Rule {
            priority: Some(102),
            suppress_prefix_len: Some(0),
            suppress_group: Some(3),
            ..Rule::new(Family::V4, Action::Table(254))
        };
        let jump = Rule { priority: Some(50), ..Rule::new(Family::V4, Action::Goto(102)) };
        let all = [&plain, &six, &suppress, &jump];
        let mut requests = Requests::new();
        for rule in all {
            requests.add_rule(rule);
        }
        socket.run(&mut requests).unwrap();
        let shown = only("ip -j rule show priority 100");
        assert_eq!((&shown["src"], &shown["srclen"]), (&json!("10.0.0.0"), &json!(8)));
        assert_eq!((&shown["dst"], &shown["dstlen"]), (&json!("10.1.0.0"), &json!(16)));
        assert_eq!((&shown["fwmark"], &shown["fwmask"]), (&json!("0x10"), &json!("0xff")));
        assert_eq!((&shown["table"], &shown["iif"]), (&json!("70000"), &json!("eth0")));
        assert!(tool("ip rule show priority 102").contains("suppress_prefixlength 0"));
        assert!(tool("ip -6 rule show priority 101").contains("not from all oif eth9"));
        assert_eq!(shown["protocol"], PROTOCOL.to_string());

        let seen = rule::list(&mut socket, &DumpRules::default()).unwrap();
        for rule in all {
            assert!(seen.contains(rule), "{rule:?} is not in {seen:#?}");
        }
        let error = rule::add(&mut socket, &plain).unwrap_err();
        assert!(error.is_exists(), "{error}");
        for rule in all {
            rule::delete(&mut socket, rule).unwrap();
        }
        let error = rule::delete(&mut socket, &plain).unwrap_err();
        assert!(error.is_not_found(), "{error}");
        let left = rule::list(&mut socket, &DumpRules { family: Some(Family::V4) }).unwrap();
        assert_eq!(
            left.iter().map(|rule| rule.priority).collect::<Vec<_>>(),
            [Some(0), Some(32766), Some(32767)]
        );
    });
}
