//! Switches of the host.

use pontoon_model::op::{Netns, SysctlOp};

use super::wanted::{Owner, Wanted};
use super::{Code, Drift, Observed};
use crate::Plan;
use crate::network::IPV6_FORWARD;

pub(super) fn find(wanted: &Wanted<'_>, seen: &Observed, drifts: &mut Vec<Drift>) {
    let mut look = |key: &str, value: &str, why: &str, owner: &Owner| {
        let Some(there) = seen.switches.get(key).filter(|there| *there != value) else { return };
        let mut plan = Plan::default();
        let (key, previous) = (key.to_owned(), Some(there.clone()));
        let found = format!("{} is {there}, not {value}", key.replace('/', "."));
        let object = format!("switch {key}");
        plan.push(SysctlOp { netns: Netns::Host, key, value: value.to_owned(), previous }, why);
        // All containers need it, whichever comes first.
        drifts.push(Drift { container: None, ..owner.drift(Code::SwitchOff, object, found, plan) });
    };
    for switch in &wanted.switches {
        look(&switch.key, &switch.value, &switch.why, &switch.owner);
    }
    // What was changed so that the host keeps its own way out: it is needed for as long as the host forwards.
    let forwards = wanted.switches.iter().find(|switch| switch.key == IPV6_FORWARD);
    let switched = wanted.desired.switched.keys().filter(|key| key.ends_with("/accept_ra"));
    for (key, forwards) in switched.filter_map(|key| Some((key, forwards?))) {
        let planned = wanted.switches.iter().any(|switch| switch.key == *key);
        if !planned {
            let why = "a forwarding host ignores router advertisements unless this is 2";
            look(key, "2", why, &forwards.owner);
        }
    }
}
