//! Cables whose ends let packets of different sizes through.

use pontoon_model::observed::snapshot::Snapshot;

use super::diagnosis::{Diagnosis, Remedy};
use crate::path::Code;
use crate::path::segment::{link, peer};

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
                    .seen(format!("mtu {}", small.mtu), place.ip(&format!("link show dev {}", small.name)))
                    .affects(affected.map(|one| one.name.clone()))
                    .fix(Remedy::run(place.ip(&format!("link set dev {} mtu {to}", small.name)))),
            );
        }
    }
    found
}
