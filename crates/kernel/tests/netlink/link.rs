//! Links against `ip link` and `bridge link`.

use std::os::fd::AsFd;

use pontoon_kernel::link::{create, created, delete, found, get, list, rename, set};
use pontoon_kernel::socket::Requests;
use pontoon_netlink::link::{
    AddrGenMode, AltName, BridgeOptions, DelLink, DumpLinks, HwAddr, Ipv4Conf, Kind, LinkIndex, NewLink,
    Peer, PortOptions, RenameLink, SetLink,
};
use serde_json::json;

use crate::host::{OtherNamespace, in_new_host, json, only, tool};
use crate::{bridge, ethernet, route_socket};

const MAC: HwAddr = HwAddr([0x02, 0x42, 0xac, 0x11, 0x00, 0x02]);

#[test]
fn a_veth_pair_reaches_into_another_namespace() {
    in_new_host("link::a_veth_pair_reaches_into_another_namespace", || {
        let mut socket = route_socket();
        let other = OtherNamespace::new();
        let netns = other.file();
        let blue = create(&mut socket, &bridge("blue")).unwrap();
        let peer = Peer {
            name: "eth0",
            mac: Some(MAC),
            mtu: Some(1400),
            netns: Some(netns.as_fd()),
            ..Peer::default()
        };
        let mut requests = Requests::new();
        requests.new_link(&NewLink {
            mtu: Some(1400),
            master: Some(blue),
            group: Some(77),
            echo: true,
            ..NewLink::veth("veth1a2b", peer)
        });
        requests.set_link(&SetLink {
            alias: Some("pontoon:blue"),
            addr_gen_mode: Some(AddrGenMode::None),
            ..SetLink::up("veth1a2b")
        });
        let answers = socket.run(&mut requests).unwrap();
        let index = created(&answers[0]).unwrap();

        let host = only("ip -j -d link show veth1a2b");
        assert_eq!(host["ifindex"], index.0);
        assert_eq!(host["master"], "blue");
        assert_eq!(host["mtu"], 1400);
        assert_eq!(host["group"], "77");
        assert_eq!(host["ifalias"], "pontoon:blue");
        assert_eq!(host["num_tx_queues"], 1);
        assert_eq!(host["inet6_addr_gen_mode"], "none");
        assert!(host["flags"].as_array().unwrap().contains(&json!("UP")));
        let inside = only(&other.line("ip -j -d link show eth0"));
        assert_eq!(inside["address"], MAC.to_string());
        assert_eq!(inside["mtu"], 1400);
        assert_eq!(inside["num_rx_queues"], 1);

        let link = get(&mut socket, "veth1a2b").unwrap().unwrap();
        assert_eq!(link.index, index);
        assert_eq!(link.kind.as_deref(), Some("veth"));
        assert_eq!(link.master, Some(blue));
        assert_eq!(link.alias.as_deref(), Some("pontoon:blue"));
        assert_eq!(link.link.map(|peer| peer.0.into()), inside["ifindex"].as_u64());
        assert_eq!(link.link_netnsid.map(i64::from), host["link_netnsid"].as_i64());
        assert_eq!(link.addr_gen_mode, Some(AddrGenMode::None));
        assert_eq!((link.group, link.tx_queues, link.rx_queues), (77, 1, 1));
        assert!(link.is_up() && !link.is_running(), "its other end is down");
        assert!(link.port.is_some());
    });
}

#[test]
fn a_pair_appears_whole_or_not_at_all() {
    in_new_host("link::a_pair_appears_whole_or_not_at_all", || {
        let mut socket = route_socket();
        ethernet(&mut socket, "taken");
        let peer = Peer { name: "taken", ..Peer::default() };
        let error = create(&mut socket, &NewLink::veth("veth0", peer)).unwrap_err();
        assert!(error.is_exists(), "{error}");
        assert_eq!(
            error.to_string().split(": ").next(),
            Some("could not create veth pair veth0 (peer taken)")
        );
        assert_eq!(get(&mut socket, "veth0").unwrap(), None);
    });
}

#[test]
fn bridge_options_arrive_and_change() {
    in_new_host("link::bridge_options_arrive_and_change", || {
        let mut socket = route_socket();
        let options = BridgeOptions {
            forward_delay: Some(0),
            stp: Some(false),
            mcast_snooping: Some(false),
            ageing_time: Some(12_300),
            group_fwd_mask: Some(8),
            priority: Some(4096),
            nf_call_iptables: Some(true),
            fdb_max_learned: Some(500),
            ..BridgeOptions::default()
        };
        let new = NewLink {
            mac: Some(MAC),
            mtu: Some(9000),
            ..NewLink::new("blue", Kind::Bridge(options.clone()))
        };
        let index = create(&mut socket, &new).unwrap();
        let shown = only("ip -j -d link show blue");
        assert_eq!((&shown["address"], &shown["mtu"]), (&json!(MAC.to_string()), &json!(9000)));
        let data = &shown["linkinfo"]["info_data"];
        assert_eq!(data["forward_delay"], 0);
        assert_eq!(data["stp_state"], 0);
        assert_eq!(data["mcast_snooping"], 0);
        assert_eq!(data["ageing_time"], 12_300);
        assert_eq!(data["group_fwd_mask"], "0x8");
        assert_eq!(data["priority"], 4096);
        assert_eq!(data["nf_call_iptables"], 1);

        let seen = get(&mut socket, index).unwrap().unwrap().bridge.unwrap();
        assert_eq!(seen.ageing_time, options.ageing_time);
        assert_eq!(seen.mcast_snooping, Some(false));
        assert_eq!(seen.nf_call_iptables, Some(true));
        assert_eq!(seen.fdb_max_learned, Some(500));

        let change = BridgeOptions {
            mcast_snooping: Some(true),
            mcast_querier: Some(true),
            ..BridgeOptions::default()
        };
        set(&mut socket, &SetLink { bridge: change, ..SetLink::new("blue") }).unwrap();
        let data = only("ip -j -d link show blue")["linkinfo"]["info_data"].clone();
        assert_eq!(data["mcast_snooping"], 1);
        assert_eq!(data["mcast_querier"], 1);
        assert_eq!(data["ageing_time"], 12_300, "what is not named stays");
    });
}

#[test]
fn port_flags_arrive() {
    in_new_host("link::port_flags_arrive", || {
        let mut socket = route_socket();
        let blue = create(&mut socket, &bridge("blue")).unwrap();
        ethernet(&mut socket, "port0");
        let port = PortOptions {
            hairpin: Some(true),
            isolated: Some(true),
            learning: Some(false),
            unicast_flood: Some(false),
            mcast_flood: Some(false),
            bcast_flood: Some(false),
            neigh_suppress: Some(true),
            proxy_arp: Some(true),
            locked: Some(true),
            state: None,
        };
        let mut requests = Requests::new();
        requests.set_link(&SetLink { master: Some(Some(blue)), ..SetLink::new("port0") });
        requests.set_link(&SetLink { port: port.clone(), alias: Some("p"), ..SetLink::new("port0") });
        socket.run(&mut requests).unwrap();
        let shown = only("bridge -j -d link show dev port0");
        for on in ["hairpin", "isolated", "neigh_suppress", "locked"] {
            assert_eq!(shown[on], true, "{on}: {shown}");
        }
        for off in ["learning", "flood", "mcast_flood", "bcast_flood"] {
            assert_eq!(shown[off], false, "{off}: {shown}");
        }
        let seen = get(&mut socket, "port0").unwrap().unwrap();
        assert_eq!(seen.port.clone().map(|seen| PortOptions { state: None, ..seen }), Some(port));
        assert_eq!(seen.port.unwrap().state, Some(3), "forwarding");

        set(&mut socket, &SetLink { master: Some(None), ..SetLink::new("port0") }).unwrap();
        assert_eq!(only("ip -j link show port0").get("master"), None);
    });
}

#[test]
fn devconf_is_set_without_a_file() {
    in_new_host("link::devconf_is_set_without_a_file", || {
        let mut socket = route_socket();
        let index = ethernet(&mut socket, "eth7");
        let conf = [
            (Ipv4Conf::Forwarding, 1),
            (Ipv4Conf::ArpNotify, 1),
            (Ipv4Conf::RpFilter, 2),
            (Ipv4Conf::RouteLocalnet, 1),
            (Ipv4Conf::ProxyArp, 1),
            (Ipv4Conf::SendRedirects, 0),
            (Ipv4Conf::AcceptLocal, 1),
        ];
        let change =
            SetLink { ipv4_conf: &conf, addr_gen_mode: Some(AddrGenMode::None), ..SetLink::new(index) };
        set(&mut socket, &change).unwrap();
        let files = [
            "forwarding",
            "arp_notify",
            "rp_filter",
            "route_localnet",
            "proxy_arp",
            "send_redirects",
            "accept_local",
        ];
        let link = get(&mut socket, index).unwrap().unwrap();
        for ((id, value), file) in conf.into_iter().zip(files) {
            // /proc/sys/net shows the reader's own network namespace.
            let text = std::fs::read_to_string(format!("/proc/sys/net/ipv4/conf/eth7/{file}")).unwrap();
            assert_eq!(text.trim(), value.to_string(), "{file}");
            assert_eq!(link.ipv4_conf(id), Some(value), "{file}");
        }
        let mode = std::fs::read_to_string("/proc/sys/net/ipv6/conf/eth7/addr_gen_mode").unwrap();
        assert_eq!(mode.trim(), "1");
        assert_eq!(link.ipv6_conf(pontoon_netlink::link::Ipv6Conf::AddrGenMode), Some(1));
    });
}

#[test]
fn names_come_and_go() {
    in_new_host("link::names_come_and_go", || {
        let mut socket = route_socket();
        let index = create(&mut socket, &bridge("eth7")).unwrap();
        set(&mut socket, &SetLink { up: Some(false), ..SetLink::new(index) }).unwrap();
        rename(&mut socket, &RenameLink { index, name: "eth8" }).unwrap();
        let long = AltName { link: index.into(), name: "pontoon.blue.web.a-name-longer-than-fifteen" };
        let mut requests = Requests::new();
        requests.add_alt_name(&long);
        requests.add_alt_name(&AltName { name: "short", ..long });
        socket.run(&mut requests).unwrap();
        assert_eq!(only("ip -j link show eth8")["altnames"], json!([long.name, "short"]));
        for name in ["eth8", "short", long.name] {
            let link = get(&mut socket, name).unwrap().unwrap_or_else(|| panic!("no link {name}"));
            assert_eq!((link.index, link.name.as_str()), (index, "eth8"));
            assert_eq!(link.alt_names, [long.name, "short"]);
        }
        set(&mut socket, &SetLink { mtu: Some(1300), mac: Some(MAC), ..SetLink::new(long.name) }).unwrap();
        let mut requests = Requests::new();
        requests.delete_alt_name(&long);
        requests.delete_alt_name(&AltName { name: "absent", ..long });
        let error = socket.run(&mut requests).unwrap_err();
        assert_eq!(error.refused.len(), 1);
        assert_eq!(error.refused[0].index, 1, "{error}");
        let shown = only("ip -j link show eth8");
        assert_eq!(shown["altnames"], json!(["short"]));
        assert_eq!((&shown["mtu"], &shown["address"]), (&json!(1300), &json!(MAC.to_string())));
    });
}

#[test]
fn groups_and_links_are_deleted() {
    in_new_host("link::groups_and_links_are_deleted", || {
        let mut socket = route_socket();
        for name in ["a", "b", "c"] {
            create(&mut socket, &NewLink { group: Some(9), ..bridge(name) }).unwrap();
        }
        ethernet(&mut socket, "d");
        set(&mut socket, &SetLink { group: Some(0), ..SetLink::new("c") }).unwrap();
        delete(&mut socket, &DelLink::Group(9)).unwrap();
        let names = |socket: &mut _| -> Vec<String> {
            list(socket, &DumpLinks::default()).unwrap().into_iter().map(|link| link.name).collect()
        };
        assert_eq!(names(&mut socket), ["lo", "c", "d"]);
        delete(&mut socket, &DelLink::One("c".into())).unwrap();
        let error = delete(&mut socket, &DelLink::One("c".into())).unwrap_err();
        assert!(error.is_not_found());
        assert_eq!(error.to_string(), "could not delete link c: No such device (ENODEV)");
        assert!(delete(&mut socket, &DelLink::Group(9)).unwrap_err().is_not_found());
        assert_eq!(names(&mut socket), ["lo", "d"]);
    });
}

#[test]
fn lists_are_filtered_by_the_kernel() {
    in_new_host("link::lists_are_filtered_by_the_kernel", || {
        let mut socket = route_socket();
        let blue = create(&mut socket, &bridge("blue")).unwrap();
        create(&mut socket, &bridge("red")).unwrap();
        for name in ["p0", "p1", "free"] {
            ethernet(&mut socket, name);
        }
        tool("ip link set p0 master blue");
        tool("ip link set p1 master blue");
        let names = |links: Vec<pontoon_netlink::link::Link>| -> Vec<String> {
            links.into_iter().map(|link| link.name).collect()
        };
        let ports = list(&mut socket, &DumpLinks { master: Some(blue), kind: None }).unwrap();
        assert_eq!(names(ports), ["p0", "p1"]);
        let bridges = list(&mut socket, &DumpLinks { master: None, kind: Some("bridge") }).unwrap();
        assert_eq!(names(bridges), ["blue", "red"]);
        let all = json("ip -j link").as_array().unwrap().len();
        assert_eq!(list(&mut socket, &DumpLinks::default()).unwrap().len(), all);
    });
}

#[test]
fn links_on_a_parent_and_in_a_namespace() {
    in_new_host("link::links_on_a_parent_and_in_a_namespace", || {
        let mut socket = route_socket();
        let other = OtherNamespace::new();
        let netns = other.file();
        let parent = Some(ethernet(&mut socket, "up0"));
        let mut requests = Requests::new();
        let kind = Kind::Macvlan { mode: 4 };
        requests.new_link(&NewLink { parent, netns: Some(netns.as_fd()), ..NewLink::new("mv0", kind) });
        socket.run(&mut requests).unwrap();
        let mode = only(&other.line("ip -j -d link show mv0"));
        assert_eq!(mode["linkinfo"]["info_kind"], "macvlan");
        assert_eq!(mode["linkinfo"]["info_data"]["mode"], "bridge");
    });
}

#[test]
fn a_link_that_was_asked_for_is_ready() {
    in_new_host("link::a_link_that_was_asked_for_is_ready", || {
        let mut socket = route_socket();
        let peer = Peer { name: "eth0", ..Peer::default() };
        let mut requests = Requests::new();
        requests.new_link(&NewLink::veth("veth0", peer));
        requests.set_link(&SetLink::up("veth0"));
        requests.set_link(&SetLink::up("eth0"));
        let get_host = requests.get_link("veth0");
        let answers = socket.run(&mut requests).unwrap();
        let link = found(&answers[get_host]).unwrap();
        assert!(link.is_running(), "{link:?}");
        assert_eq!(link.carrier, Some(true));
        assert_eq!(link.link_netnsid, None);
        let missing = get(&mut socket, LinkIndex(9999)).unwrap();
        assert_eq!(missing, None);
    });
}
