//! Packets made from parts.

use std::net::IpAddr;

use pontoon_capture::Link;
use proptest::prelude::*;
use proptest::sample::select;

/// A packet by its parts.
#[derive(Debug, Clone)]
pub(crate) struct Packet {
    /// Ethernet addresses: from, to.
    pub(crate) macs: ([u8; 6], [u8; 6]),
    /// Addresses of IP or ARP: from, to.
    pub(crate) ends: (IpAddr, IpAddr),
    pub(crate) payload: Payload,
    /// Bytes at the end.
    pub(crate) rest: usize,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Payload {
    Arp,
    /// Neither IP nor ARP.
    Other {
        kind: u16,
    },
    Ip {
        protocol: u8,
        ports: (u16, u16),
        /// Where in a packet it belongs, if it is a fragment, in units of eight bytes.
        fragment: Option<u16>,
        /// Words of options in IPv4's header.
        options: u8,
    },
}

impl Packet {
    pub(crate) fn is_v6(&self) -> bool {
        self.ends.0.is_ipv6()
    }

    pub(crate) fn bytes(&self, link: Link) -> Vec<u8> {
        let mut out = Vec::new();
        let kind: u16 = match self.payload {
            Payload::Arp => 0x0806,
            Payload::Other { kind } => kind,
            Payload::Ip { .. } if self.is_v6() => 0x86dd,
            Payload::Ip { .. } => 0x0800,
        };
        if link == Link::Ethernet {
            out.extend(self.macs.1);
            out.extend(self.macs.0);
            out.extend(kind.to_be_bytes());
        }
        match (self.payload, self.ends) {
            (Payload::Ip { protocol, ports, fragment, options }, (IpAddr::V4(from), IpAddr::V4(to))) => {
                let words = 5 + options;
                let flags = fragment.map_or(0x4000, |offset| offset | 0x2000);
                out.extend([0x40 | words, 0]);
                out.extend((u16::from(words) * 4 + 20 + self.rest as u16).to_be_bytes());
                out.extend([0, 7]);
                out.extend(flags.to_be_bytes());
                out.extend([64, protocol, 0, 0]);
                out.extend(from.octets());
                out.extend(to.octets());
                out.extend(std::iter::repeat_n(1, usize::from(options) * 4));
                transport(&mut out, protocol, ports);
            }
            (Payload::Ip { protocol, ports, fragment, .. }, (IpAddr::V6(from), IpAddr::V6(to))) => {
                let header = if fragment.is_some() { 8 } else { 0 };
                out.extend([0x60, 0, 0, 0]);
                out.extend((header + 20 + self.rest as u16).to_be_bytes());
                out.extend([if fragment.is_some() { 44 } else { protocol }, 64]);
                out.extend(from.octets());
                out.extend(to.octets());
                if let Some(offset) = fragment {
                    out.extend([protocol, 0]);
                    out.extend((offset << 3 | 1).to_be_bytes());
                    out.extend([0, 0, 0, 7]);
                }
                transport(&mut out, protocol, ports);
            }
            (Payload::Arp, (IpAddr::V4(from), IpAddr::V4(to))) => {
                out.extend([0, 1, 8, 0, 6, 4, 0, 1]);
                out.extend(self.macs.0);
                out.extend(from.octets());
                out.extend([0; 6]);
                out.extend(to.octets());
            }
            _ => out.extend([0; 40]),
        }
        out.extend(std::iter::repeat_n(0, self.rest));
        out
    }
}

/// Twenty bytes that begin with ports.
fn transport(out: &mut Vec<u8>, protocol: u8, (from, to): (u16, u16)) {
    let mut header = [0; 20];
    header[..2].copy_from_slice(&from.to_be_bytes());
    header[2..4].copy_from_slice(&to.to_be_bytes());
    if protocol == 6 {
        header[12..14].copy_from_slice(&[0x50, 0x12]);
    }
    out.extend(header);
}

/// Few addresses, so that filters often meet them.
pub(crate) fn ip() -> impl Strategy<Value = IpAddr> {
    let few = [
        "10.0.0.1",
        "10.0.0.2",
        "10.9.0.1",
        "192.168.1.1",
        "224.0.0.1",
        "255.255.255.255",
        "fd00::1",
        "fd00::2",
        "fe80::1",
        "ff02::1",
    ];
    select(few.map(|text| text.parse().unwrap()).to_vec())
}

pub(crate) fn mac() -> impl Strategy<Value = [u8; 6]> {
    select(vec![
        [2, 0, 0, 0, 0, 1],
        [2, 0, 0, 0, 0, 2],
        [2, 0, 0, 9, 0, 1],
        [0xff; 6],
        [0x33, 0x33, 0, 0, 0, 1],
    ])
}

pub(crate) fn packet() -> impl Strategy<Value = Packet> {
    let ip_payload = (
        select(vec![1_u8, 6, 17, 47, 58, 132]),
        (0..8_u16, 0..8_u16),
        proptest::option::weighted(0.3, 0..3_u16),
        0..4_u8,
    );
    let ip_payload = ip_payload.prop_map(|(protocol, ports, fragment, options)| Payload::Ip {
        protocol,
        ports,
        fragment,
        options,
    });
    let payload = prop_oneof![
        6 => ip_payload,
        1 => Just(Payload::Arp),
        1 => select(vec![0x88cc_u16, 0x8863]).prop_map(|kind| Payload::Other { kind }),
    ];
    let other = |from: IpAddr, to: IpAddr| if from.is_ipv4() == to.is_ipv4() { to } else { from };
    ((mac(), mac()), (ip(), ip()), payload, 0..30_usize).prop_map(move |(macs, (from, to), payload, rest)| {
        let ends = match payload {
            // Only IPv4 has ARP.
            Payload::Arp if from.is_ipv6() => ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap()),
            _ => (from, other(from, to)),
        };
        Packet { macs, ends, payload, rest }
    })
}
