//! One line of what is in a packet, for a person. Whatever is in it, some line comes out.
//!
//! Sources: RFC 791, 792, 826, 4443, 4861, 768, 8200, 9293, IEEE 802.1Q.

mod arp;
mod bytes;
mod dns;
mod icmp;
mod ip;

use bytes::Bytes;

use crate::link::Link;

/// What is in a packet that begins as those of `link` do; `length` is what it had on the wire.
pub fn line(link: Link, packet: &[u8], length: u32) -> String {
    let bytes = Bytes::new(packet);
    let line = match link {
        Link::Ethernet => ethernet(bytes),
        Link::Raw => ip::any(bytes),
    };
    line.unwrap_or_else(|| format!("{length} bytes that are cut short"))
}

fn ethernet(frame: Bytes<'_>) -> Option<String> {
    let mut at = 12;
    let mut tags = String::new();
    let mut kind = frame.half(at)?;
    while matches!(kind, 0x8100 | 0x88a8) {
        tags.push_str(&format!("vlan {} ", frame.half(at + 2)? & 0x0fff));
        at += 4;
        kind = frame.half(at)?;
    }
    let inside = frame.after(at + 2);
    let line = match kind {
        0x0800 => ip::v4(inside)?,
        0x86dd => ip::v6(inside)?,
        0x0806 => arp::line(inside)?,
        0x88cc => format!("LLDP from {}", frame.mac(6)?),
        // A length, not a type: IEEE 802.3.
        0..0x0600 => format!("802.3 {} → {}, {kind} bytes", frame.mac(6)?, frame.mac(0)?),
        kind => format!("type 0x{kind:04x} {} → {}", frame.mac(6)?, frame.mac(0)?),
    };
    Some(tags + &line)
}
