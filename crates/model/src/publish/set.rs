//! Publications together: which of them meet, and which are one.

use std::net::IpAddr;

use super::Publication;

/// Whether two publications want the same port of the host: same protocol, a port in common, and an address in common.
///
/// No address means every one of both families; `0.0.0.0` every one of IPv4, `::` every one of IPv6 only.
pub fn conflict(left: &Publication, right: &Publication) -> bool {
    let ports = u32::from(left.host) < end(right) && u32::from(right.host) < end(left);
    left.protocol == right.protocol && ports && meet(left.address, right.address)
}

/// The port behind the last of the host's.
fn end(publication: &Publication) -> u32 {
    u32::from(publication.host) + u32::from(publication.count)
}

fn meet(left: Option<IpAddr>, right: Option<IpAddr>) -> bool {
    let (Some(left), Some(right)) = (left, right) else { return true };
    let all = left.is_unspecified() || right.is_unspecified();
    left == right || all && left.is_ipv4() == right.is_ipv4()
}

/// The same publications in order, those that continue each other joined to one.
///
/// Nothing is left out: what is there twice is there twice afterwards. The result does not depend on the order given.
pub fn merge(mut publications: Vec<Publication>) -> Vec<Publication> {
    publications.sort_unstable_by_key(|one| (kind(one), one.host, one.count));
    let mut merged: Vec<Publication> = Vec::with_capacity(publications.len());
    // The runs of the kind at hand that another may continue, by where they end. What ends before is passed for good.
    let (mut at_hand, mut open) = (None, Vec::new());
    for next in publications {
        if at_hand.replace(kind(&next)) != Some(kind(&next)) {
            open.clear();
        }
        open.retain(|place: &usize| end(&merged[*place]) >= u32::from(next.host));
        match open.iter().rposition(|place| end(&merged[*place]) == u32::from(next.host)) {
            Some(found) => merged[open[found]].count += next.count,
            None => {
                open.push(merged.len());
                merged.push(next);
            }
        }
    }
    merged.sort_unstable();
    merged
}

/// Alike in publications of which one can continue the other: the last is how far the two ports are apart.
fn kind(publication: &Publication) -> (Option<IpAddr>, super::Protocol, i32) {
    let apart = i32::from(publication.container) - i32::from(publication.host);
    (publication.address, publication.protocol, apart)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::publish::{Protocol, PublishSpec};

    fn publication(text: &str) -> Publication {
        let spec: PublishSpec = text.parse().unwrap();
        match spec.host {
            crate::publish::HostPorts::Exactly(first) => spec.at(first),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn two_meet_where_a_packet_could_be_for_both() {
        for (left, right, meets) in [
            ("80:80", "80:81", true),
            ("80:80", "81:80", false),
            ("80:80/tcp", "80:80/udp", false),
            ("80-90:80-90", "90:1", true),
            ("80-90:80-90", "91:1", false),
            ("65535:1", "65535:1", true),
            ("80:80", "127.0.0.1:80:80", true),
            ("80:80", "[::1]:80:80", true),
            ("0.0.0.0:80:80", "127.0.0.1:80:80", true),
            ("0.0.0.0:80:80", "[::1]:80:80", false),
            ("0.0.0.0:80:80", "[::]:80:80", false),
            ("[::]:80:80", "127.0.0.1:80:80", false),
            ("[::]:80:80", "[::1]:80:80", true),
            ("127.0.0.1:80:80", "127.0.0.2:80:80", false),
            ("127.0.0.1:80:80", "127.0.0.1:80:80", true),
        ] {
            let (left, right) = (publication(left), publication(right));
            assert_eq!(conflict(&left, &right), meets, "{left:?} {right:?}");
            assert_eq!(conflict(&right, &left), meets, "{left:?} {right:?}");
        }
    }

    #[test]
    fn what_continues_is_one() {
        let merged = |texts: &[&str]| merge(texts.iter().map(|text| publication(text)).collect());
        let list = |texts: &[&str]| texts.iter().map(|text| publication(text)).collect::<Vec<_>>();
        assert_eq!(merged(&["82:82", "80:80", "81:81"]), list(&["80-82:80-82"]));
        assert_eq!(merged(&["80:80", "81:90"]), list(&["80:80", "81:90"]));
        assert_eq!(merged(&["80:80", "81:81/udp"]), list(&["80:80", "81:81/udp"]));
        assert_eq!(merged(&["80:80", "0.0.0.0:81:81"]), list(&["80:80", "0.0.0.0:81:81"]));
        assert_eq!(merged(&["80:80", "80:90", "81:91", "81:81"]), list(&["80-81:80-81", "80-81:90-91"]));
        assert_eq!(merged(&["80:80", "80:80"]), list(&["80:80", "80:80"]));
        assert_eq!(
            merged(&["80:80", "80-81:80-81", "81:81", "82:82"]),
            list(&["80-81:80-81", "80-82:80-82"])
        );
        assert_eq!(merged(&["1-65534:1-65534", "65535:65535"]), list(&["1-65535:1-65535"]));
    }

    fn some() -> impl Strategy<Value = Vec<Publication>> {
        let address =
            proptest::sample::select(vec![None, Some(IpAddr::from([0; 4])), Some([127, 0, 0, 1].into())]);
        let protocol = proptest::sample::select(Protocol::ALL.to_vec());
        let one = (address, protocol, 65_500..=65_520_u16, 1..=4_u16, 1..=4_u16).prop_map(
            |(address, protocol, host, container, count)| Publication {
                address,
                protocol,
                host,
                container,
                count,
            },
        );
        proptest::collection::vec(one, 0..24)
    }

    fn pairs(publications: &[Publication]) -> Vec<(Option<IpAddr>, Protocol, (u16, u16))> {
        let one =
            |one: &Publication| one.pairs().map(|pair| (one.address, one.protocol, pair)).collect::<Vec<_>>();
        let mut all: Vec<_> = publications.iter().flat_map(one).collect();
        all.sort_unstable();
        all
    }

    proptest! {
        #[test]
        fn merging_keeps_every_pair_and_leaves_nothing_to_merge(some in some(), at in any::<prop::sample::Index>()) {
            let merged = merge(some.clone());
            prop_assert_eq!(pairs(&merged), pairs(&some));
            prop_assert!(merged.is_sorted());
            prop_assert_eq!(&merge(merged.clone()), &merged);
            let mut turned = some.clone();
            turned.rotate_left(if some.is_empty() { 0 } else { at.index(some.len()) });
            prop_assert_eq!(merge(turned), merged);
        }

        #[test]
        fn a_conflict_is_a_port_in_common(some in some()) {
            for (left, right) in some.iter().zip(some.iter().skip(1)) {
                let port = left.pairs().any(|(port, _)| right.pairs().any(|(other, _)| other == port));
                let family = |v4| left.address_of(v4).zip(right.address_of(v4));
                let address = [true, false].into_iter().filter_map(family).any(|(left, right)| {
                    left == right || left.is_unspecified() || right.is_unspecified()
                });
                prop_assert_eq!(conflict(left, right), port && address && left.protocol == right.protocol);
            }
        }
    }
}
