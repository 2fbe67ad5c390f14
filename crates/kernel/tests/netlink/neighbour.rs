//! Neighbours against `ip neighbour`, forwarding entries against `bridge fdb`.

use std::net::IpAddr;

use pontoon_kernel::link::create;
use pontoon_kernel::neighbour::{delete, delete_fdb, get, get_fdb, list, list_fdb, replace, replace_fdb};
use pontoon_kernel::socket::Requests;
use pontoon_netlink::Family;
use pontoon_netlink::link::{BridgeOptions, HwAddr, Kind, NewLink};
use pontoon_netlink::neighbour::{
    DumpFdb, DumpNeighbours, FdbEntry, FdbTable, GetFdb, NTF_ROUTER, Neighbour, State,
};
use serde_json::json;

use crate::host::{in_new_host, json, only, tool};
use crate::{ethernet, route_socket};

const MAC: HwAddr = HwAddr([0x02, 0x42, 0xac, 0x11, 0x00, 0x02]);

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn neighbours_arrive_and_go() {
    in_new_host("neighbour::neighbours_arrive_and_go", || {
        let mut socket = route_socket();
        let link = create(
            &mut socket,
            &NewLink { up: true, ..NewLink::new("br0", Kind::Bridge(BridgeOptions::default())) },
        )
        .unwrap();
        let four = Neighbour::permanent(link, ip("10.0.0.9"), MAC);
        let six = Neighbour {
            flags: NTF_ROUTER,
            state: State::Stale,
            ..Neighbour::permanent(link, ip("fd00::9"), MAC)
        };
        let mut requests = Requests::new();
        requests.replace_neighbour("br0", &four);
        requests.add_neighbour("br0", &six);
        socket.run(&mut requests).unwrap();
        let shown = only("ip -j -4 neighbour show dev br0");
        assert_eq!((&shown["lladdr"], &shown["state"]), (&json!(MAC.to_string()), &json!(["PERMANENT"])));
        assert_eq!(only("ip -j neighbour show fd00::9")["state"], json!(["STALE"]));
        assert!(tool("ip neighbour show fd00::9").contains("router"));

        assert_eq!(get(&mut socket, link, four.address).unwrap(), Some(four.clone()));
        assert_eq!(get(&mut socket, link, ip("10.0.0.77")).unwrap(), None);
        let listed =
            list(&mut socket, &DumpNeighbours { link: Some(link), ..DumpNeighbours::default() }).unwrap();
        assert!(listed.contains(&four) && listed.contains(&six), "{listed:?}");
        let mut v4 =
            list(&mut socket, &DumpNeighbours { family: Some(Family::V4), ..DumpNeighbours::default() })
                .unwrap();
        // The bridge's own, for the multicast groups that it joins.
        v4.retain(|neighbour| neighbour.state != State::NoArp);
        assert_eq!(v4, std::slice::from_ref(&four));

        let reachable = Neighbour { state: State::Reachable, ..four.clone() };
        replace(&mut socket, "br0", &reachable).unwrap();
        assert_eq!(get(&mut socket, link, four.address).unwrap().unwrap().state, State::Reachable);
        delete(&mut socket, "br0", &four).unwrap();
        assert!(
            delete(&mut socket, "br0", &Neighbour { address: ip("10.0.0.77"), ..four })
                .unwrap_err()
                .is_not_found()
        );

        let proxy = Neighbour::proxy(link, ip("10.0.0.50"));
        replace(&mut socket, "br0", &proxy).unwrap();
        assert_eq!(only("ip -j neighbour show proxy")["dst"], "10.0.0.50");
        let proxies =
            list(&mut socket, &DumpNeighbours { proxy: true, ..DumpNeighbours::default() }).unwrap();
        assert_eq!(proxies.len(), 1);
        delete(&mut socket, "br0", &proxy).unwrap();
    });
}

#[test]
fn forwarding_entries_arrive_and_go() {
    in_new_host("neighbour::forwarding_entries_arrive_and_go", || {
        let mut socket = route_socket();
        let options = BridgeOptions { vlan_default_pvid: Some(0), ..BridgeOptions::default() };
        let bridge =
            create(&mut socket, &NewLink { up: true, ..NewLink::new("br0", Kind::Bridge(options)) }).unwrap();
        let (p0, p1) = (ethernet(&mut socket, "p0"), ethernet(&mut socket, "p1"));
        tool("ip link set p0 master br0");
        tool("ip link set p1 master br0");
        let entry = FdbEntry::fixed(p0, MAC);
        replace_fdb(&mut socket, "p0", &entry).unwrap();
        let find = |port: &str| {
            let shown = json(&format!("bridge -j fdb show dev {port}"));
            shown.as_array().unwrap().iter().find(|entry| entry["mac"] == MAC.to_string()).cloned()
        };
        let shown = find("p0").unwrap();
        assert_eq!((&shown["state"], &shown["master"]), (&json!("static"), &json!("br0")));

        let question = GetFdb { bridge, mac: MAC, vlan: None };
        let seen = get_fdb(&mut socket, &question).unwrap().unwrap();
        assert_eq!((seen.link, seen.state, seen.table), (p0, State::NoArp, FdbTable::Master));
        replace_fdb(&mut socket, "p1", &FdbEntry::fixed(p1, MAC)).unwrap();
        assert!(find("p0").is_none() && find("p1").is_some(), "it moves to the other port");

        let of = |entries: Vec<FdbEntry>| {
            entries.into_iter().filter(|entry| entry.mac == MAC).map(|entry| entry.link).collect::<Vec<_>>()
        };
        assert_eq!(of(list_fdb(&mut socket, &DumpFdb { bridge: Some(bridge), port: None }).unwrap()), [p1]);
        assert_eq!(of(list_fdb(&mut socket, &DumpFdb { bridge: None, port: Some(p1) }).unwrap()), [p1]);
        assert_eq!(of(list_fdb(&mut socket, &DumpFdb { bridge: None, port: Some(p0) }).unwrap()), []);
        let all = json("bridge -j fdb show").as_array().unwrap().len();
        assert_eq!(list_fdb(&mut socket, &DumpFdb::default()).unwrap().len(), all);

        delete_fdb(&mut socket, "p1", &FdbEntry::fixed(p1, MAC)).unwrap();
        let error = delete_fdb(&mut socket, "p1", &FdbEntry::fixed(p1, MAC)).unwrap_err();
        assert!(error.is_not_found(), "{error}");
        assert_eq!(
            error.to_string(),
            format!("could not delete forwarding entry {MAC} behind p1: No such file or directory (ENOENT)")
        );
        assert_eq!(get_fdb(&mut socket, &question).unwrap(), None);
    });
}
