//! Cables whose ends let packets of different sizes through.

use pontoon_model::observed::snapshot::{Route, RouteKind, Snapshot};

use super::diagnosis::{Diagnosis, Remedy};
use super::remedy::spelled;
use crate::path::segment::{link, peer};
use crate::path::{Code, Explanation};

/// What a container sends that a link on the way out does not take: its default route is to say how much that is, and its
/// interface stays as large as its neighbours'. Returns whether the route does not say so yet.
pub(super) fn towards(
    snapshot: &Snapshot,
    sender: &str,
    explained: &Explanation,
    found: &mut Diagnosis,
) -> bool {
    let Some(namespace) = snapshot.by_name(sender).map(|at| &snapshot.namespaces[at]) else { return true };
    let from = namespace.has_address(explained.packet.source);
    let proposed =
        found.fix.first().and_then(|remedy| remedy.command.rsplit(' ').next()?.parse::<u32>().ok());
    let v6 = explained.packet.destination.is_ipv6();
    let mut routes = namespace.routes.iter().filter(|route| {
        route.destination.prefix_len() == 0
            && route.destination.addr().is_ipv6() == v6
            && route.kind == RouteKind::Unicast
            && route.next_hops.first().is_some_and(|hop| hop.gateway.is_some())
    });
    let (Some(mtu), Some(route), true) = (proposed, routes.next(), from) else { return true };
    if route.mtu.is_some_and(|known| known <= mtu) {
        return false;
    }
    let better = spelled(namespace, &Route { mtu: Some(mtu), ..route.clone() });
    let family = if v6 { "-6 " } else { "" };
    found.fix = vec![Remedy::run(namespace.ip(&format!("{family}route replace {better}")))];
    true
}

/// Both ends of a cable have one MTU, or what is larger than the smaller one vanishes without a word: nobody on a link
/// says that a frame is too large.
///
/// Source: `is_skb_forwardable()` and `br_dev_queue_push_xmit()` in the kernel.
pub(super) fn find(snapshot: &Snapshot, patients: &[usize]) -> Vec<Diagnosis> {
    let mut found = Vec::new();
    for at in patients {
        let namespace = &snapshot.namespaces[*at];
        for near in &namespace.links {
            let Some(far) = peer(snapshot, (*at, near.index)) else { continue };
            // A cable between two who are looked at is told of once.
            if patients.contains(&far.0) && far.0 <= *at {
                continue;
            }
            let Some(other) = link(snapshot, far) else { continue };
            if near.mtu == other.mtu {
                continue;
            }
            let there = &snapshot.namespaces[far.0];
            let sentence = format!(
                "{} in {} takes packets of {} bytes and {} in {}, the other end of the cable, of {}: larger ones vanish",
                near.name, namespace.name, near.mtu, other.name, there.name, other.mtu
            );
            let (place, small, to) = match near.mtu < other.mtu {
                true => (namespace, near, other.mtu),
                false => (there, other, near.mtu),
            };
            let affected = [namespace, there].into_iter().filter(|one| !one.is_host());
            found.push(
                Diagnosis::new(Code::MtuDiffers, &place.name, sentence)
                    .seen(format!("mtu {}", small.mtu), place.ip(&format!("link show dev {}", small.word())))
                    .affects(affected.map(|one| one.name.clone()))
                    .fix(Remedy::run(place.ip(&format!("link set dev {} mtu {to}", small.word())))),
            );
        }
    }
    found
}
