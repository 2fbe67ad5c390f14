//! Switches of interfaces that take along what was made on them.

use pontoon_model::observed::snapshot::Snapshot;

use super::diagnosis::{Diagnosis, Remedy};
use crate::path::Code;

/// Interfaces on which IPv6 is off, though the container has an address of it: that went with it, and its routes.
pub(super) fn find(snapshot: &Snapshot, patients: &[usize]) -> Vec<Diagnosis> {
    let mut found = Vec::new();
    for namespace in patients.iter().map(|at| &snapshot.namespaces[*at]) {
        for endpoint in namespace.endpoints.iter().filter(|endpoint| endpoint.v6.is_some()) {
            let name = endpoint.ifname.as_str();
            if !namespace.link_named(name).is_some_and(|link| link.disable_ipv6) {
                continue;
            }
            let key = format!("net.ipv6.conf.{name}.disable_ipv6");
            let place = &namespace.name;
            let sentence = format!("IPv6 is off on {name} in {place}, and what was there of it is gone");
            found.push(
                Diagnosis::new(Code::Ipv6Disabled, place, sentence)
                    .seen(format!("{key} = 1"), namespace.command(&format!("sysctl {key}")))
                    .affects([place.clone()])
                    .fix(Remedy::run(namespace.command(&format!("sysctl -w {key}=0"))))
                    .advice("its addresses and routes are put back after that"),
            );
        }
    }
    found
}
