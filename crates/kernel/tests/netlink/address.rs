//! Addresses against `ip address`.

use std::net::IpAddr;

use pontoon_kernel::address::{add, delete, list};
use pontoon_kernel::socket::Requests;
use pontoon_netlink::address::{
    Address, DumpAddresses, IFA_F_NODAD, IFA_F_NOPREFIXROUTE, IFA_F_TENTATIVE, Lifetime, Scope,
};
use pontoon_netlink::link::LinkIndex;
use pontoon_netlink::{Family, PROTOCOL, Prefix};
use serde_json::json;

use crate::host::{in_new_host, only, tool};
use crate::{ethernet, route_socket};

fn prefix(address: &str, len: u8) -> Prefix {
    Prefix::new(address.parse::<IpAddr>().unwrap(), len)
}

#[test]
fn addresses_arrive_and_go() {
    in_new_host("address::addresses_arrive_and_go", || {
        let mut socket = route_socket();
        let link = ethernet(&mut socket, "eth7");
        let mut four = Address::new(link, prefix("10.1.2.3", 24));
        four.broadcast = Some("10.1.2.255".parse().unwrap());
        four.label = Some("eth7:1".to_owned());
        four.protocol = Some(PROTOCOL);
        let plain = Address::new(link, prefix("10.9.0.1", 32));
        let mut six = Address::new(link, prefix("fd00::3", 64));
        six.flags |= IFA_F_NOPREFIXROUTE;
        six.lifetime = Some(Lifetime { preferred: 500, valid: 1000 });
        let mut requests = Requests::new();
        for address in [&four, &plain, &six] {
            requests.add_address("eth7", address);
        }
        socket.run(&mut requests).unwrap();

        let shown = only("ip -j -d address show eth7");
        let info = |local: &str| {
            let all = shown["addr_info"].as_array().unwrap();
            all.iter()
                .find(|info| info["local"] == local)
                .unwrap_or_else(|| panic!("no {local}: {shown}"))
                .clone()
        };
        assert_eq!(info("10.1.2.3")["broadcast"], "10.1.2.255");
        assert_eq!(info("10.1.2.3")["label"], "eth7:1");
        assert_eq!(info("10.1.2.3")["prefixlen"], 24);
        assert_eq!(info("10.9.0.1").get("broadcast"), None);
        assert_eq!(info("fd00::3")["nodad"], true);
        assert_eq!(info("fd00::3")["noprefixroute"], true);
        assert_eq!(info("fd00::3").get("tentative"), None);
        assert_eq!(info("fd00::3")["valid_life_time"], 1000);
        assert_eq!(tool("ip -6 route show fd00::/64 dev eth7"), "");

        let seen = list(&mut socket, &DumpAddresses { family: None, link: Some(link) }).unwrap();
        let find = |local: Prefix| seen.iter().find(|address| address.local == local).unwrap();
        assert_eq!(find(four.local).broadcast, four.broadcast);
        assert_eq!(find(four.local).label, four.label);
        assert_eq!(find(four.local).protocol, Some(PROTOCOL));
        assert_eq!(find(six.local).flags & (IFA_F_NODAD | IFA_F_TENTATIVE), IFA_F_NODAD);
        assert_eq!(find(six.local).lifetime.unwrap().valid, 1000);

        let error = add(&mut socket, "eth7", &plain).unwrap_err();
        assert!(error.is_exists(), "{error}");
        delete(&mut socket, "eth7", &plain).unwrap();
        delete(&mut socket, "eth7", &six).unwrap();
        let error = delete(&mut socket, "eth7", &plain).unwrap_err();
        assert!(error.is_not_found(), "{error}");
        assert!(error.to_string().starts_with("could not delete address 10.9.0.1/32 on eth7: "), "{error}");
    });
}

#[test]
fn point_to_point_and_scope() {
    in_new_host("address::point_to_point_and_scope", || {
        let mut socket = route_socket();
        let link = ethernet(&mut socket, "eth7");
        let mut address = Address::new(link, prefix("10.0.0.1", 32));
        address.peer = Some("10.0.0.2".parse().unwrap());
        address.scope = Scope::Link;
        add(&mut socket, "eth7", &address).unwrap();
        let shown = only("ip -j -4 address show eth7")["addr_info"][0].clone();
        assert_eq!((&shown["local"], &shown["address"]), (&json!("10.0.0.1"), &json!("10.0.0.2")));
        assert_eq!(shown["scope"], "link");
        let seen = list(&mut socket, &DumpAddresses { family: Some(Family::V4), link: Some(link) }).unwrap();
        assert_eq!(seen.len(), 1);
        assert_eq!((seen[0].local, seen[0].peer, seen[0].scope), (address.local, address.peer, Scope::Link));
    });
}

#[test]
fn lists_are_by_family_and_link() {
    in_new_host("address::lists_are_by_family_and_link", || {
        let mut socket = route_socket();
        let (a, b) = (ethernet(&mut socket, "a"), ethernet(&mut socket, "b"));
        for (name, link, text) in [("a", a, "10.0.0.1"), ("b", b, "10.0.1.1"), ("b", b, "fd00::1")] {
            add(
                &mut socket,
                name,
                &Address::new(link, prefix(text, 64.min(if text.contains(':') { 64 } else { 24 }))),
            )
            .unwrap();
        }
        let mut count = |family, link| {
            let all = list(&mut socket, &DumpAddresses { family, link }).unwrap();
            all.into_iter().filter(|address| !address.local.to_string().starts_with("fe80")).count()
        };
        assert_eq!(count(None, None), 3);
        assert_eq!(count(Some(Family::V4), None), 2);
        assert_eq!(count(Some(Family::V4), Some(b)), 1);
        assert_eq!(count(Some(Family::V6), None), 1);
        let error =
            list(&mut socket, &DumpAddresses { family: None, link: Some(LinkIndex(999)) }).unwrap_err();
        assert!(error.is_not_found(), "{error}");
    });
}
