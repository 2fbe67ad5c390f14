//! The same messages, read and written by another implementation (`netlink-packet-route`).

use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{InfoBridge, InfoData, InfoKind, InfoVeth, LinkAttribute, LinkInfo};
use pontoon_netlink::address::{Address, IFA_F_NOPREFIXROUTE, Lifetime, Scope};
use pontoon_netlink::link::{
    AddrGenMode, BridgeOptions, HwAddr, Kind, Link, LinkIndex, NewLink, Peer, PortOptions, SetLink,
};
use pontoon_netlink::neighbour::{FdbEntry, Neighbour};
use pontoon_netlink::route::{NextHop, Route, RouteType};
use pontoon_netlink::rule::{Action, Mark, Rule};
use pontoon_netlink::wire::{Batch, Messages};
use pontoon_netlink::{Family, Prefix};

const MAC: HwAddr = HwAddr([2, 0x42, 0xac, 0x11, 0, 2]);

fn prefix(text: &str, len: u8) -> Prefix {
    Prefix::new(text.parse().unwrap(), len)
}

/// What the other implementation reads in the one message that `encode` appends.
fn theirs(encode: impl FnOnce(&mut Batch)) -> RouteNetlinkMessage {
    let mut batch = Batch::new(7);
    encode(&mut batch);
    let message =
        NetlinkMessage::<RouteNetlinkMessage>::deserialize(batch.bytes()).expect("they can read it");
    assert_eq!(message.header.sequence_number, 7);
    assert_eq!(message.header.length as usize, batch.bytes().len());
    match message.payload {
        NetlinkPayload::InnerMessage(inner) => inner,
        other => panic!("not a message of rtnetlink: {other:?}"),
    }
}

/// The payload as the other implementation writes what it has read.
fn there_and_back(encode: impl FnOnce(&mut Batch)) -> Vec<u8> {
    let mut message = NetlinkMessage::from(theirs(encode));
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    let mut messages = Messages::new(&bytes);
    let payload = messages.next().expect("we can read it").payload.to_vec();
    assert_eq!(messages.next(), None);
    payload
}

fn link_attributes(message: RouteNetlinkMessage) -> Vec<LinkAttribute> {
    match message {
        RouteNetlinkMessage::NewLink(link) => link.attributes,
        other => panic!("not a new link: {other:?}"),
    }
}

#[test]
fn a_veth_pair() {
    let peer = Peer { name: "eth0", mac: Some(MAC), mtu: Some(1400), ..Peer::default() };
    let new =
        NewLink { master: Some(LinkIndex(9)), mtu: Some(1400), up: true, ..NewLink::veth("veth1a2b", peer) };
    let message = theirs(|batch| new.encode(batch));
    let attributes = link_attributes(message);
    for wanted in [
        LinkAttribute::IfName("veth1a2b".to_owned()),
        LinkAttribute::Mtu(1400),
        LinkAttribute::Controller(9),
        LinkAttribute::NumTxQueues(1),
        LinkAttribute::NumRxQueues(1),
    ] {
        assert!(attributes.contains(&wanted), "{wanted:?} is not in {attributes:?}");
    }
    let infos = attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::LinkInfo(infos) => Some(infos),
        _ => None,
    });
    let infos = infos.unwrap();
    assert!(infos.contains(&LinkInfo::Kind(InfoKind::Veth)));
    let peer = infos.iter().find_map(|info| match info {
        LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))) => Some(peer),
        _ => None,
    });
    let peer = peer.unwrap();
    assert_eq!(
        peer.header,
        netlink_packet_route::link::LinkHeader::default(),
        "no flag, above all not `IFF_UP`"
    );
    assert_eq!(
        peer.attributes,
        [
            LinkAttribute::IfName("eth0".to_owned()),
            LinkAttribute::Address(MAC.0.to_vec()),
            LinkAttribute::Mtu(1400),
            LinkAttribute::NumTxQueues(1),
            LinkAttribute::NumRxQueues(1),
        ]
    );
}

#[test]
fn a_bridge() {
    let options = BridgeOptions {
        forward_delay: Some(0),
        ageing_time: Some(30_000),
        stp: Some(false),
        vlan_filtering: Some(true),
        mcast_snooping: Some(false),
        group_fwd_mask: Some(8),
        nf_call_iptables: Some(false),
        vlan_default_pvid: Some(0),
        priority: Some(4096),
        ..BridgeOptions::default()
    };
    let new = NewLink { mac: Some(MAC), ..NewLink::new("blue", Kind::Bridge(options.clone())) };
    let attributes = link_attributes(theirs(|batch| new.encode(batch)));
    let data: Vec<&InfoBridge> = attributes
        .iter()
        .filter_map(|attribute| match attribute {
            LinkAttribute::LinkInfo(infos) => Some(infos),
            _ => None,
        })
        .flatten()
        .filter_map(|info| match info {
            LinkInfo::Data(InfoData::Bridge(data)) => Some(data),
            _ => None,
        })
        .flatten()
        .collect();
    let text = format!("{data:?}");
    for wanted in
        ["ForwardDelay(0)", "AgeingTime(30000)", "GroupFwdMask(8)", "VlanDefaultPvid(0)", "Priority(4096)"]
    {
        assert!(text.contains(wanted), "{wanted} is not in {text}");
    }
    assert!(!text.contains("Other"), "{text}");
    let link = Link::decode(&there_and_back(|batch| new.encode(batch))).unwrap();
    assert_eq!((link.name.as_str(), link.mac), ("blue", Some(MAC)));
    assert_eq!(link.bridge, Some(options));
}

#[test]
fn a_changed_link() {
    let port = PortOptions {
        hairpin: Some(true),
        learning: Some(false),
        unicast_flood: Some(false),
        mcast_flood: Some(false),
        bcast_flood: Some(false),
        neigh_suppress: Some(true),
        isolated: Some(true),
        ..PortOptions::default()
    };
    let set = SetLink {
        mtu: Some(1300),
        group: Some(5),
        alias: Some("pontoon:blue"),
        addr_gen_mode: Some(AddrGenMode::None),
        port: port.clone(),
        ..SetLink::up(LinkIndex(12))
    };
    let link = Link::decode(&there_and_back(|batch| set.encode(batch))).unwrap();
    assert_eq!((link.index, link.mtu, link.group), (LinkIndex(12), 1300, 5));
    assert!(link.is_up());
    assert_eq!(link.alias.as_deref(), Some("pontoon:blue"));
    assert_eq!(link.addr_gen_mode, Some(AddrGenMode::None));
    assert_eq!(link.port, Some(port));
}

#[test]
fn addresses() {
    let plain = Address::new(LinkIndex(3), prefix("fd00::3", 64));
    let full = Address {
        broadcast: Some("10.1.2.255".parse().unwrap()),
        label: Some("eth0:1".to_owned()),
        scope: Scope::Link,
        flags: IFA_F_NOPREFIXROUTE,
        lifetime: Some(Lifetime { preferred: 500, valid: 1000 }),
        peer: Some("10.1.2.9".parse().unwrap()),
        ..Address::new(LinkIndex(3), prefix("10.1.2.3", 24))
    };
    for address in [plain, full] {
        let seen = Address::decode(&there_and_back(|batch| address.encode_add(batch)));
        assert_eq!(seen, Some(address));
    }
}

#[test]
fn routes() {
    let hop = |text: &str, weight| NextHop {
        gateway: Some(text.parse().unwrap()),
        link: Some(LinkIndex(4)),
        weight: Some(weight),
        ..NextHop::default()
    };
    let several = Route {
        next_hops: vec![hop("10.0.0.1", 1), hop("10.0.0.2", 7)],
        ..Route::via(prefix("10.5.0.0", 16), "10.0.0.1".parse().unwrap())
    };
    let mixed =
        NextHop { gateway: Some("fd00::9".parse().unwrap()), link: Some(LinkIndex(4)), ..NextHop::default() };
    let rich = Route {
        metric: Some(50),
        mtu: Some(1300),
        preferred_source: Some("10.0.0.2".parse().unwrap()),
        table: 70_000,
        ..Route::via(Prefix::all(Family::V4), "10.0.0.1".parse().unwrap())
    };
    for route in [
        several,
        rich,
        Route::new(prefix("10.9.0.0", 16), mixed),
        Route::on(prefix("10.5.0.0", 16), LinkIndex(3)),
        Route::via(Prefix::all(Family::V6), "fd00::1".parse().unwrap()),
        Route::refusing(prefix("10.8.0.0", 16), RouteType::Blackhole),
    ] {
        let seen = Route::decode(&there_and_back(|batch| route.encode_add(batch)));
        assert_eq!(seen, Some(route));
    }
}

#[test]
fn rules() {
    let full = Rule {
        priority: Some(100),
        from: Some(prefix("10.0.0.0", 8)),
        to: Some(prefix("10.1.0.0", 16)),
        iif: Some("eth0".to_owned()),
        oif: Some("eth1".to_owned()),
        mark: Some(Mark { value: 0x10, mask: 0xff }),
        suppress_prefix_len: Some(0),
        suppress_group: Some(3),
        ..Rule::new(Family::V4, Action::Table(70_000))
    };
    let inverted = Rule { priority: Some(1), invert: true, ..Rule::new(Family::V6, Action::Unreachable) };
    let jump = Rule { priority: Some(2), ..Rule::new(Family::V4, Action::Goto(100)) };
    for rule in [full, inverted, jump] {
        let seen = Rule::decode(&there_and_back(|batch| rule.encode_add(batch)));
        assert_eq!(seen, Some(rule));
    }
}

#[test]
fn neighbours_and_forwarding_entries() {
    for text in ["10.0.0.9", "fd00::9"] {
        let neighbour = Neighbour::permanent(LinkIndex(4), text.parse().unwrap(), MAC);
        let seen = Neighbour::decode(&there_and_back(|batch| neighbour.encode_replace(batch)));
        assert_eq!(seen, Some(neighbour));
    }
    let entry = FdbEntry { vlan: Some(7), ..FdbEntry::fixed(LinkIndex(4), MAC) };
    let seen = FdbEntry::decode(&there_and_back(|batch| entry.encode_replace(batch)));
    assert_eq!(seen, Some(entry));
}
