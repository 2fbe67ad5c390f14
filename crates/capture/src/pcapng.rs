//! Captures as files that Wireshark and tcpdump read.
//!
//! One section: its header, an interface description for each interface, names of addresses, then packets, and what was
//! lost at the end. All of it is appended to bytes, so that it can go to a file or a pipe as it comes.
//!
//! Source: "PCAP Next Generation (pcapng) Capture File Format", draft-ietf-opsawg-pcapng; numbers in little-endian order.

use std::net::IpAddr;

use ipnet::IpNet;
use pontoon_netlink::link::HwAddr;

use crate::link::Link;

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const NAMES: u32 = 4;
const STATISTICS: u32 = 5;
const PACKET: u32 = 6;

/// The end of a list of options (3.5).
const END: u16 = 0;
/// The longest option: its length is of two bytes, and filled up to a multiple of four.
const LONGEST: usize = 0xfffc;

/// An interface (4.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// What it is.
    pub description: String,
    /// Its Ethernet address.
    pub mac: Option<HwAddr>,
    /// Its addresses.
    pub addresses: Vec<IpNet>,
    /// What its packets begin with.
    pub link: Link,
}

/// What became of a packet on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// It came by the interface.
    In,
    /// It was sent by it.
    Out,
}

/// For whom a packet is, on its link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receiver {
    /// One station.
    One,
    /// A group.
    Group,
    /// Everybody.
    All,
    /// Another station.
    Other,
}

/// A packet (4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// The place of its interface among those described.
    pub interface: u32,
    /// When it was seen, in nanoseconds after 1970.
    pub time: u64,
    /// Which way it went.
    pub direction: Direction,
    /// For whom it is, where that is known.
    pub receiver: Option<Receiver>,
    /// As much of it as was taken.
    pub data: &'a [u8],
    /// Its whole length.
    pub length: u32,
}

/// What was counted at an interface (4.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Packets that the filter let through.
    pub accepted: u64,
    /// Of these, those that were lost for want of room.
    pub dropped: u64,
    /// Those that were written.
    pub delivered: u64,
}

/// Begins a file (4.1).
pub fn section(out: &mut Vec<u8>, program: &str) {
    const SHB_OS: u16 = 3;
    const SHB_USERAPPL: u16 = 4;
    block(out, SECTION, |out| {
        out.extend(0x1a2b_3c4d_u32.to_le_bytes());
        out.extend(1_u16.to_le_bytes());
        out.extend(0_u16.to_le_bytes());
        // How long the section is, is not known.
        out.extend(u64::MAX.to_le_bytes());
        option(out, SHB_OS, b"Linux");
        option(out, SHB_USERAPPL, program.as_bytes());
        option(out, END, &[]);
    });
}

/// Describes an interface, of whose packets `snaplen` bytes are taken at the most; `filter` is as it was typed.
pub fn interface(out: &mut Vec<u8>, about: &Interface, snaplen: u32, filter: &str) {
    const IF_NAME: u16 = 2;
    const IF_DESCRIPTION: u16 = 3;
    const IF_IPV4ADDR: u16 = 4;
    const IF_IPV6ADDR: u16 = 5;
    const IF_MACADDR: u16 = 6;
    const IF_TSRESOL: u16 = 9;
    const IF_FILTER: u16 = 11;
    /// Ten to the minus ninth.
    const NANOSECONDS: [u8; 1] = [9];
    /// A filter for libpcap.
    const FOR_LIBPCAP: u8 = 0;
    block(out, INTERFACE, |out| {
        out.extend(about.link.number().to_le_bytes());
        out.extend(0_u16.to_le_bytes());
        out.extend(snaplen.to_le_bytes());
        option(out, IF_NAME, about.name.as_bytes());
        option(out, IF_DESCRIPTION, about.description.as_bytes());
        for net in &about.addresses {
            match net {
                IpNet::V4(net) => {
                    option(out, IF_IPV4ADDR, &[net.addr().octets(), net.netmask().octets()].concat())
                }
                IpNet::V6(net) => {
                    option(out, IF_IPV6ADDR, &[&net.addr().octets()[..], &[net.prefix_len()]].concat());
                }
            }
        }
        if let Some(mac) = about.mac {
            option(out, IF_MACADDR, &mac.0);
        }
        option(out, IF_TSRESOL, &NANOSECONDS);
        if !filter.is_empty() {
            option(out, IF_FILTER, &[&[FOR_LIBPCAP], filter.as_bytes()].concat());
        }
        option(out, END, &[]);
    });
}

/// Says what addresses are called (4.5).
pub fn names<'a>(out: &mut Vec<u8>, names: impl IntoIterator<Item = (IpAddr, &'a str)>) {
    const RECORD_END: u16 = 0;
    const RECORD_IPV4: u16 = 1;
    const RECORD_IPV6: u16 = 2;
    block(out, NAMES, |out| {
        for (address, name) in names {
            let name = [name.as_bytes(), &[0]].concat();
            match address {
                IpAddr::V4(address) => option(out, RECORD_IPV4, &[&address.octets()[..], &name].concat()),
                IpAddr::V6(address) => option(out, RECORD_IPV6, &[&address.octets()[..], &name].concat()),
            }
        }
        option(out, RECORD_END, &[]);
    });
}

/// Adds a packet.
pub fn packet(out: &mut Vec<u8>, packet: &Packet<'_>) {
    const EPB_FLAGS: u16 = 2;
    // Bits 0 and 1: inbound or outbound. Bits 2 to 4: unicast, multicast, broadcast, promiscuous.
    let direction: u32 = match packet.direction {
        Direction::In => 0b01,
        Direction::Out => 0b10,
    };
    let receiver: u32 = match packet.receiver {
        None => 0,
        Some(Receiver::One) => 1,
        Some(Receiver::Group) => 2,
        Some(Receiver::All) => 3,
        Some(Receiver::Other) => 4,
    };
    block(out, PACKET, |out| {
        out.extend(packet.interface.to_le_bytes());
        time(out, packet.time);
        out.extend((packet.data.len() as u32).to_le_bytes());
        out.extend(packet.length.to_le_bytes());
        padded(out, packet.data);
        option(out, EPB_FLAGS, &(direction | receiver << 2).to_le_bytes());
        option(out, END, &[]);
    });
}

/// Says what was counted at an interface from `started` to `ended`, in nanoseconds after 1970.
pub fn statistics(out: &mut Vec<u8>, interface: u32, [started, ended]: [u64; 2], counts: Counts) {
    const ISB_STARTTIME: u16 = 2;
    const ISB_ENDTIME: u16 = 3;
    const ISB_FILTERACCEPT: u16 = 6;
    const ISB_OSDROP: u16 = 7;
    const ISB_USRDELIV: u16 = 8;
    block(out, STATISTICS, |out| {
        out.extend(interface.to_le_bytes());
        time(out, ended);
        for (code, at) in [(ISB_STARTTIME, started), (ISB_ENDTIME, ended)] {
            let mut bytes = Vec::new();
            time(&mut bytes, at);
            option(out, code, &bytes);
        }
        let numbers = [
            (ISB_FILTERACCEPT, counts.accepted),
            (ISB_OSDROP, counts.dropped),
            (ISB_USRDELIV, counts.delivered),
        ];
        for (code, number) in numbers {
            option(out, code, &number.to_le_bytes());
        }
        option(out, END, &[]);
    });
}

/// The upper half comes first, whatever the order of bytes.
fn time(out: &mut Vec<u8>, time: u64) {
    out.extend(((time >> 32) as u32).to_le_bytes());
    out.extend((time as u32).to_le_bytes());
}

/// A block, with its length before and behind what is in it (3.1).
fn block(out: &mut Vec<u8>, kind: u32, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend(kind.to_le_bytes());
    out.extend([0; 4]);
    body(out);
    let length = (out.len() - start + 4) as u32;
    out[start + 4..start + 8].copy_from_slice(&length.to_le_bytes());
    out.extend(length.to_le_bytes());
}

fn option(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    let value = &value[..value.len().min(LONGEST)];
    out.extend(code.to_le_bytes());
    out.extend((value.len() as u16).to_le_bytes());
    padded(out, value);
}

/// Bytes, and zeros up to a multiple of four.
fn padded(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(bytes);
    out.extend(std::iter::repeat_n(0, bytes.len().next_multiple_of(4) - bytes.len()));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks as they are in a file: kind and body. Whatever is wrong with the lengths is a panic.
    fn blocks(mut bytes: &[u8]) -> Vec<(u32, &[u8])> {
        let number = |bytes: &[u8]| u32::from_le_bytes(bytes[..4].try_into().unwrap());
        let mut found = Vec::new();
        while !bytes.is_empty() {
            let length = number(&bytes[4..]) as usize;
            assert_eq!((length % 4, number(&bytes[length - 4..]) as usize), (0, length));
            found.push((number(bytes), &bytes[8..length - 4]));
            bytes = &bytes[length..];
        }
        found
    }

    fn options(mut bytes: &[u8]) -> Vec<(u16, &[u8])> {
        let mut found = Vec::new();
        loop {
            let half = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
            let (code, length) = (half(0), usize::from(half(2)));
            found.push((code, &bytes[4..4 + length]));
            bytes = &bytes[4 + length.next_multiple_of(4)..];
            if code == END {
                assert!(bytes.is_empty(), "nothing follows the end");
                return found;
            }
        }
    }

    fn veth() -> Interface {
        Interface {
            name: "eth0".to_owned(),
            description: "container web, network blue".to_owned(),
            mac: Some(HwAddr([2, 0, 0, 0, 0, 9])),
            addresses: vec!["10.0.0.2/24".parse().unwrap(), "fd00::2/64".parse().unwrap()],
            link: Link::Ethernet,
        }
    }

    #[test]
    fn a_file_is_as_the_draft_says() {
        let mut out = Vec::new();
        section(&mut out, "pontoon");
        interface(&mut out, &veth(), 1000, "port 53");
        names(&mut out, [("10.0.0.2".parse().unwrap(), "web")]);
        let data = [7; 5];
        let one = Packet {
            interface: 0,
            time: 0x0000_0001_0000_0002,
            direction: Direction::Out,
            receiver: Some(Receiver::All),
            data: &data,
            length: 1500,
        };
        packet(&mut out, &one);
        statistics(&mut out, 0, [1, 2], Counts { accepted: 3, dropped: 2, delivered: 1 });
        let found = blocks(&out);
        assert_eq!(
            found.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(),
            [SECTION, INTERFACE, NAMES, PACKET, STATISTICS]
        );

        assert_eq!(found[0].1[..8], [0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0]);
        assert_eq!(found[1].1[..8], [1, 0, 0, 0, 0xe8, 3, 0, 0]);
        let about = options(&found[1].1[8..]);
        assert_eq!(about[0], (2, &b"eth0"[..]));
        assert_eq!(about[2], (4, &[10, 0, 0, 2, 255, 255, 255, 0][..]));
        assert_eq!((about[3].1.len(), about[3].1[16]), (17, 64));
        assert_eq!(about.last().map(|(code, _)| *code), Some(END));
        assert!(about.contains(&(9, &[9][..])) && about.contains(&(11, &b"\0port 53"[..])));

        assert_eq!(found[2].1[..12], [1, 0, 8, 0, 10, 0, 0, 2, b'w', b'e', b'b', 0]);

        let body = found[3].1;
        assert_eq!(body[4..20], [1, 0, 0, 0, 2, 0, 0, 0, 5, 0, 0, 0, 0xdc, 5, 0, 0]);
        assert_eq!(body[20..28], [7, 7, 7, 7, 7, 0, 0, 0]);
        assert_eq!(options(&body[28..])[0], (2, &[0b1110, 0, 0, 0][..]));
        assert!(options(&found[4].1[12..]).contains(&(7, &2_u64.to_le_bytes()[..])));
    }

    #[test]
    fn what_is_too_long_for_an_option_is_cut() {
        let mut out = Vec::new();
        interface(&mut out, &Interface { description: "x".repeat(70_000), ..veth() }, 0, "");
        let found = blocks(&out);
        assert_eq!(options(&found[0].1[8..])[1].1.len(), LONGEST);
    }
}
