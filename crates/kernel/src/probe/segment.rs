//! The bytes of probes.

use std::net::{IpAddr, SocketAddr};

use super::Reply;
use crate::echo::{V4, V6, checksum, message};

/// Source: IANA protocol numbers.
const TCP: u8 = 6;

/// Flags of a TCP segment. Source: RFC 9293, section 3.1.
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;

/// An echo request: the identifier is of the token, the number that of the attempt.
pub(super) fn echo(v4: bool, attempt: u16, token: [u8; 8]) -> Vec<u8> {
    let (kind, _) = if v4 { V4 } else { V6 };
    let [high, low] = attempt.to_be_bytes();
    message(kind, v4, [token[0], token[1], high, low], token)
}

/// The first segment of a connection, without options but for the largest segment that is taken.
pub(super) fn syn(from: SocketAddr, to: SocketAddr, token: [u8; 8]) -> Vec<u8> {
    /// What every link of IPv4 takes: 576 bytes without headers of 40. Source: RFC 9293, section 3.7.1.
    const SEGMENT: [u8; 2] = 536_u16.to_be_bytes();
    let mut segment = Vec::with_capacity(24);
    segment.extend_from_slice(&from.port().to_be_bytes());
    segment.extend_from_slice(&to.port().to_be_bytes());
    segment.extend_from_slice(&token[..4]);
    segment.extend_from_slice(&[0; 4]);
    // Six words; a window of 64,240 bytes; no checksum yet, nothing urgent.
    segment.extend_from_slice(&[6 << 4, SYN, 0xfa, 0xf0, 0, 0, 0, 0]);
    segment.extend_from_slice(&[2, 4, SEGMENT[0], SEGMENT[1]]);
    let sum = checksum(&[pseudo_header(from.ip(), to.ip(), segment.len()), segment.clone()].concat());
    segment[16..18].copy_from_slice(&sum.to_be_bytes());
    segment
}

/// What a checksum covers besides the segment. Source: RFC 9293, section 3.1; RFC 8200, section 8.1.
fn pseudo_header(from: IpAddr, to: IpAddr, len: usize) -> Vec<u8> {
    let len = len as u32;
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let [_, _, high, low] = len.to_be_bytes();
            [&from.octets()[..], &to.octets()[..], &[0, TCP, high, low]].concat()
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            [&from.octets()[..], &to.octets()[..], &len.to_be_bytes()[..], &[0, 0, 0, TCP]].concat()
        }
        // A socket has addresses of one version.
        _ => Vec::new(),
    }
}

/// The datagram: the token, then nothing.
pub(super) fn datagram(token: [u8; 8]) -> Vec<u8> {
    [&token[..], &[0; 8][..]].concat()
}

/// What a segment is to the probe from `port` with this token.
pub(super) fn answer(segment: &[u8], port: u16, token: [u8; 8]) -> Option<Reply> {
    let header: &[u8; 20] = segment.first_chunk()?;
    let sequence = u32::from_be_bytes([token[0], token[1], token[2], token[3]]);
    let acknowledged = u32::from_be_bytes([header[8], header[9], header[10], header[11]]);
    if header[2..4] != port.to_be_bytes() || acknowledged != sequence.wrapping_add(1) {
        return None;
    }
    match header[13] & (SYN | RST | ACK) {
        flags if flags & RST != 0 => Some(Reply::Reset),
        flags if flags == SYN | ACK => Some(Reply::Accepted),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: [u8; 8] = [0xff, 0xff, 0xff, 0xff, 5, 6, 7, 8];

    #[test]
    fn the_checksum_of_a_whole_message_is_zero() {
        assert_eq!(checksum(&echo(true, 1, TOKEN)), 0);
        for (from, to) in [("10.0.0.1:40000", "10.0.0.2:80"), ("[fd00::1]:40000", "[fd00::2]:80")] {
            let (from, to): (SocketAddr, SocketAddr) = (from.parse().unwrap(), to.parse().unwrap());
            let segment = syn(from, to, TOKEN);
            assert_eq!(segment.len(), 24);
            let whole = [pseudo_header(from.ip(), to.ip(), 24), segment].concat();
            assert_eq!(checksum(&whole), 0);
        }
    }

    #[test]
    fn answers_are_told_by_port_and_acknowledgement() {
        let segment = |port: u16, acknowledged: u32, flags: u8| {
            let [high, low] = port.to_be_bytes();
            let mut segment = vec![0, 80, high, low, 0, 0, 0, 9];
            segment.extend(acknowledged.to_be_bytes());
            segment.extend([5 << 4, flags, 0, 0, 0, 0, 0, 0]);
            segment
        };
        // The number after the largest is 0.
        assert_eq!(answer(&segment(40000, 0, SYN | ACK), 40000, TOKEN), Some(Reply::Accepted));
        assert_eq!(answer(&segment(40000, 0, RST | ACK), 40000, TOKEN), Some(Reply::Reset));
        assert_eq!(answer(&segment(40001, 0, SYN | ACK), 40000, TOKEN), None);
        assert_eq!(answer(&segment(40000, 1, SYN | ACK), 40000, TOKEN), None);
        assert_eq!(answer(&segment(40000, 0, ACK), 40000, TOKEN), None);
        assert_eq!(answer(&[0; 19], 40000, TOKEN), None);
    }
}
