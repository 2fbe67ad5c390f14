//! From where free host ports are taken.

use std::ops::RangeInclusive;

/// The first port that is not a well-known one: `PROT_SOCK` in the kernel's include/net/sock.h.
const FIRST: u16 = 1024;

/// Where to look for free host ports, best first: what is `configured`, or else around `local`, the ports that the
/// kernel gives to outgoing connections (`net.ipv4.ip_local_port_range`).
///
/// A published port out of that range cannot be had by a connection at the moment when it is wanted. First comes what is
/// above the range, then what is below it, which [`free_ports`] takes from its end. Ports under 1024 are left alone. Only
/// if the range is all there is, it is the answer.
pub fn free_ranges(
    local: RangeInclusive<u16>,
    configured: Option<RangeInclusive<u16>>,
) -> Vec<RangeInclusive<u16>> {
    if let Some(configured) = configured {
        return vec![configured];
    }
    let above = local.end().checked_add(1).map(|first| first.max(FIRST)..=u16::MAX);
    let below = local.start().checked_sub(1).map(|last| FIRST..=last);
    let around: Vec<_> = above.into_iter().chain(below).filter(|range| !range.is_empty()).collect();
    if around.is_empty() { vec![local] } else { around }
}

/// The ports of [`free_ranges`] in the order of preference: a range below `local` from its end, all others upward.
pub fn free_ports(
    local: RangeInclusive<u16>,
    configured: Option<RangeInclusive<u16>>,
) -> impl Iterator<Item = u16> {
    let below = configured.is_none().then_some(*local.start());
    free_ranges(local, configured).into_iter().flat_map(move |range| {
        let down = below.is_some_and(|start| *range.end() < start);
        let (up, down) = if down { (None, Some(range.rev())) } else { (Some(range), None) };
        up.into_iter().flatten().chain(down.into_iter().flatten())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ports_come_from_outside_of_the_local_range() {
        for (local, ranges) in [
            (32_768..=60_999, vec![61_000..=65_535, 1024..=32_767]),
            (1024..=60_999, vec![61_000..=65_535]),
            (10_000..=65_535, vec![1024..=9_999]),
            (1024..=65_535, vec![1024..=65_535]),
            (1..=65_535, vec![1..=65_535]),
            (1..=500, vec![1024..=65_535]),
        ] {
            assert_eq!(free_ranges(local.clone(), None), ranges, "{local:?}");
            assert_eq!(free_ranges(local, Some(7..=9)), [7..=9]);
        }
    }

    #[test]
    fn those_below_are_taken_from_the_top() {
        let ports: Vec<u16> = free_ports(1027..=65_533, None).collect();
        assert_eq!(ports, [65_534, 65_535, 1026, 1025, 1024]);
        assert_eq!(free_ports(32_768..=60_999, Some(80..=82)).collect::<Vec<_>>(), [80, 81, 82]);
    }

    proptest! {
        #[test]
        fn there_are_always_some_and_rarely_local_ones(a in 0..=u16::MAX, b in 0..=u16::MAX) {
            let local = a.min(b)..=a.max(b);
            let ports: Vec<u16> = free_ports(local.clone(), None).collect();
            let outside = (FIRST..=u16::MAX).filter(|port| !local.contains(port)).count();
            prop_assert!(!ports.is_empty());
            if outside > 0 {
                prop_assert_eq!(ports.len(), outside);
                prop_assert!(ports.iter().all(|port| *port >= FIRST && !local.contains(port)));
            }
        }
    }
}
