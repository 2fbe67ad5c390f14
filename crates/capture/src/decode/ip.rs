//! IPv4 and IPv6, TCP, UDP.

use std::net::IpAddr;

use super::bytes::Bytes;
use super::{dns, icmp};

/// A packet that begins with IP's header.
pub(super) fn any(packet: Bytes<'_>) -> Option<String> {
    match packet.byte(0)? >> 4 {
        4 => v4(packet),
        6 => v6(packet),
        version => Some(format!("IP of version {version}")),
    }
}

pub(super) fn v4(packet: Bytes<'_>) -> Option<String> {
    let header = usize::from(packet.byte(0)? & 0xf) * 4;
    let (from, to) = (packet.ipv4(12)?, packet.ipv4(16)?);
    // Packets that are joined to one of more than 64 KiB have no length here.
    let length = match usize::from(packet.half(2)?) {
        0 => usize::MAX,
        length => length.saturating_sub(header),
    };
    let ends = Ends { from: from.into(), to: to.into() };
    let fragment = packet.half(6)?;
    let offset = usize::from(fragment & 0x1fff) * 8;
    if offset > 0 {
        return Some(format!("IPv4 {} fragment {} at {offset}", ends.plain(), packet.half(4)?));
    }
    let more = if fragment & 0x2000 == 0 { "" } else { ", first fragment" };
    let line = inside(packet.byte(9)?, packet.after(header).first(length), ends)?;
    Some(line + more)
}

pub(super) fn v6(packet: Bytes<'_>) -> Option<String> {
    const FRAGMENT: u8 = 44;
    let ends = Ends { from: packet.ipv6(8)?.into(), to: packet.ipv6(24)?.into() };
    let mut length = match usize::from(packet.half(4)?) {
        0 => usize::MAX,
        length => length,
    };
    let (mut next, mut at, mut more) = (packet.byte(6)?, 40, "");
    // Hop-by-hop options, routing, destination options; fragments. RFC 8200, 4.
    while matches!(next, 0 | 43 | 60 | FRAGMENT) {
        let header = if next == FRAGMENT { 8 } else { 8 + 8 * usize::from(packet.byte(at + 1)?) };
        if next == FRAGMENT {
            let fragment = packet.half(at + 2)?;
            let offset = fragment & 0xfff8;
            if offset > 0 {
                return Some(format!("IPv6 {} fragment {} at {offset}", ends.plain(), packet.word(at + 4)?));
            }
            more = if fragment & 1 == 0 { "" } else { ", first fragment" };
        }
        next = packet.byte(at)?;
        at += header;
        length = length.saturating_sub(header);
    }
    Some(inside(next, packet.after(at).first(length), ends)? + more)
}

/// From whom to whom.
#[derive(Clone, Copy)]
pub(super) struct Ends {
    from: IpAddr,
    to: IpAddr,
}

impl Ends {
    pub(super) fn plain(self) -> String {
        format!("{} → {}", self.from, self.to)
    }

    fn with_ports(self, from: u16, to: u16) -> String {
        let at = |address, port| std::net::SocketAddr::new(address, port);
        format!("{} → {}", at(self.from, from), at(self.to, to))
    }
}

fn inside(protocol: u8, bytes: Bytes<'_>, ends: Ends) -> Option<String> {
    match protocol {
        1 => icmp::v4(bytes, ends),
        6 => tcp(bytes, ends),
        17 => udp(bytes, ends),
        58 => icmp::v6(bytes, ends),
        132 => Some(format!("SCTP {}", ends.with_ports(bytes.half(0)?, bytes.half(2)?))),
        2 => Some(format!("IGMP {}", ends.plain())),
        4 | 41 => Some(format!("tunnel {}: {}", ends.plain(), any(bytes)?)),
        47 => Some(format!("GRE {}", ends.plain())),
        protocol => Some(format!("IP protocol {protocol} {}", ends.plain())),
    }
}

fn tcp(segment: Bytes<'_>, ends: Ends) -> Option<String> {
    const FLAGS: [(u8, &str); 6] =
        [(0x02, "SYN"), (0x01, "FIN"), (0x04, "RST"), (0x08, "PSH"), (0x10, "ACK"), (0x20, "URG")];
    let ends = ends.with_ports(segment.half(0)?, segment.half(2)?);
    let bits = segment.byte(13)?;
    let flags: Vec<&str> = FLAGS.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, name)| *name).collect();
    let header = usize::from(segment.byte(12)? >> 4) * 4;
    let data = segment.len().saturating_sub(header);
    let data = if data == 0 { String::new() } else { format!(", {data} bytes") };
    Some(format!("TCP {ends} [{}]{data}", flags.join(" ")))
}

fn udp(datagram: Bytes<'_>, ends: Ends) -> Option<String> {
    const NAMES: [u16; 2] = [53, 5353];
    let (from, to) = (datagram.half(0)?, datagram.half(2)?);
    let ends = ends.with_ports(from, to);
    let inside = datagram.after(8);
    if let Some(words) =
        Some(inside).filter(|_| NAMES.contains(&from) || NAMES.contains(&to)).and_then(dns::words)
    {
        return Some(format!("DNS {ends} {words}"));
    }
    Some(format!("UDP {ends}, {} bytes", usize::from(datagram.half(4)?).saturating_sub(8)))
}
