//! ARP. Source: RFC 826.

use super::bytes::Bytes;

pub(super) fn line(arp: Bytes<'_>) -> Option<String> {
    let (sender, sender_mac, target) = (arp.ipv4(14)?, arp.mac(8)?, arp.ipv4(24)?);
    Some(match arp.half(6)? {
        1 if sender == target => format!("ARP {sender} says it is at {sender_mac}"),
        1 if sender.is_unspecified() => format!("ARP is {target} free? asks {sender_mac}"),
        1 => format!("ARP who has {target}? asks {sender} ({sender_mac})"),
        2 => format!("ARP {sender} is at {sender_mac}"),
        operation => format!("ARP operation {operation} from {sender} ({sender_mac})"),
    })
}
