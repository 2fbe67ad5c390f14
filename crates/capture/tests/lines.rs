//! What a person reads of packets.

mod packets;

use packets::{Packet, Payload, packet};
use pontoon_capture::Link;
use pontoon_capture::decode::line;
use proptest::prelude::*;

fn made(from: &str, to: &str, payload: Payload) -> Packet {
    Packet {
        macs: ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]),
        ends: (from.parse().unwrap(), to.parse().unwrap()),
        payload,
        rest: 0,
    }
}

fn ip(protocol: u8, ports: (u16, u16), fragment: Option<u16>) -> Payload {
    Payload::Ip { protocol, ports, fragment, options: 1 }
}

#[test]
fn lines_are_short_and_say_what_matters() {
    for (packet, expected) in [
        (
            made("10.0.0.1", "10.0.0.2", Payload::Arp),
            "ARP who has 10.0.0.2? asks 10.0.0.1 (02:00:00:00:00:01)",
        ),
        (made("10.0.0.1", "10.0.0.2", ip(6, (5000, 80), None)), "TCP 10.0.0.1:5000 → 10.0.0.2:80 [SYN ACK]"),
        (made("fd00::1", "fd00::2", ip(6, (5000, 80), None)), "TCP [fd00::1]:5000 → [fd00::2]:80 [SYN ACK]"),
        (
            made("10.0.0.1", "10.0.0.2", ip(17, (5, 6), Some(0))),
            "UDP 10.0.0.1:5 → 10.0.0.2:6, 0 bytes, first fragment",
        ),
        (made("10.0.0.1", "10.0.0.2", ip(17, (5, 6), Some(3))), "IPv4 10.0.0.1 → 10.0.0.2 fragment 7 at 24"),
        (made("fd00::1", "fd00::2", ip(17, (5, 6), Some(3))), "IPv6 fd00::1 → fd00::2 fragment 7 at 24"),
        // The first bytes are a message's type and code here.
        (
            made("10.0.0.1", "10.0.0.2", ip(1, (0x0800, 0), None)),
            "ICMP 10.0.0.1 → 10.0.0.2 echo request, id 0, seq 0",
        ),
        (made("10.0.0.1", "10.0.0.2", ip(1, (0x0303, 0), None)), "ICMP 10.0.0.1 → 10.0.0.2 port unreachable"),
        (
            made("fe80::1", "ff02::1", ip(58, (0x8600, 0), None)),
            "ICMPv6 fe80::1 → ff02::1 router advertisement",
        ),
        (made("10.0.0.1", "10.0.0.2", ip(47, (0, 0), None)), "GRE 10.0.0.1 → 10.0.0.2"),
        (
            made("10.0.0.1", "10.0.0.2", Payload::Other { kind: 0x8863 }),
            "type 0x8863 02:00:00:00:00:01 → 02:00:00:00:00:02",
        ),
    ] {
        let bytes = packet.bytes(Link::Ethernet);
        assert_eq!(line(Link::Ethernet, &bytes, bytes.len() as u32), expected);
    }
}

#[test]
fn names_and_tags_are_told() {
    let mut bytes = made("10.0.0.1", "10.0.0.2", ip(17, (5000, 53), None)).bytes(Link::Raw);
    bytes.truncate(24 + 8);
    bytes.extend(b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\0\x02db\x04blue\0\0\x1c\0\x01");
    let length = bytes.len() as u16;
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
    assert_eq!(line(Link::Raw, &bytes, 0), "DNS 10.0.0.1:5000 → 10.0.0.2:53 AAAA db.blue?");
    // An answer that there is no such name.
    bytes[34..36].copy_from_slice(&[0x81, 0x83]);
    assert_eq!(line(Link::Raw, &bytes, 0), "DNS 10.0.0.1:5000 → 10.0.0.2:53 AAAA db.blue: no such name");

    let mut tagged = made("10.0.0.1", "10.0.0.2", Payload::Arp).bytes(Link::Ethernet);
    tagged.splice(12..12, [0x81, 0x00, 0x20, 0x0c]);
    assert!(line(Link::Ethernet, &tagged, 0).starts_with("vlan 12 ARP who has"));
    assert_eq!(line(Link::Ethernet, &tagged[..20], 46), "46 bytes that are cut short");
}

proptest! {
    #[test]
    fn any_packet_has_a_line(packet in packet(), keep in 0..120_usize) {
        for link in [Link::Ethernet, Link::Raw] {
            let bytes = packet.bytes(link);
            let line = line(link, &bytes[..keep.min(bytes.len())], bytes.len() as u32);
            prop_assert!(!line.is_empty() && !line.contains(char::is_control));
        }
    }

    #[test]
    fn any_bytes_have_a_line(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for link in [Link::Ethernet, Link::Raw] {
            prop_assert!(!line(link, &bytes, 0).contains(char::is_control));
        }
    }
}
