//! One thing is said once.

use std::net::IpAddr;

use super::diagnosis::{Act, Consequence, Diagnosis};
use super::reported::comes_of;
use crate::path::{Code, Severity};

/// What is wrong, and what packets met: what follows from something is told with it.
pub(super) fn merge(causes: Vec<Diagnosis>, met: Vec<Diagnosis>) -> Vec<Diagnosis> {
    let mut all = causes;
    let known = all.len();
    for one in met {
        if let Some(cause) = all[..known].iter_mut().find(|cause| explains(cause, &one)) {
            follow(cause, one);
        } else if let Some(same) = all[known..].iter_mut().find(|same| is_one(same, &one)) {
            join(same, one);
        } else {
            all.push(one);
        }
    }
    filtered(&mut all);
    all
}

/// The source check drops what has another way back: the route is what is wrong.
fn filtered(all: &mut Vec<Diagnosis>) {
    let (dropped, rest): (Vec<_>, Vec<_>) =
        all.drain(..).partition(|one| one.code == Code::RpFilter && one.fix.is_empty());
    *all = rest;
    for one in dropped {
        let is_cause = |cause: &&mut Diagnosis| {
            matches!(cause.code, Code::RouteElsewhere | Code::SubnetTwice | Code::SubnetOverlap)
                && cause.place == one.place
                && one.affected.iter().any(|name| cause.affected.contains(name))
        };
        match all.iter_mut().find(is_cause) {
            Some(cause) => follow(cause, one),
            None => all.push(one),
        }
    }
}

/// Whether what a packet met comes of something that is known to be wrong.
fn explains(cause: &Diagnosis, met: &Diagnosis) -> bool {
    let put_back = cause.fix.iter().any(|remedy| matches!(remedy.act, Act::PutBack(..)));
    let restores = !met.fix.is_empty() && met.fix.iter().all(|remedy| remedy.act == Act::Restore);
    let near = cause.place == met.place
        || cause.affected.is_empty()
        || cause.affected.iter().any(|name| met.affected.contains(name) || *name == met.place);
    // What somebody else's rules do does not come of ours.
    let own = met.fix.iter().any(|remedy| remedy.act == Act::Run) || met.place != cause.place;
    let related = cause.code == met.code
        || comes_of(cause.code, met.code) && !(cause.code == Code::RulesChanged && own)
        || put_back && restores;
    let internal = cause.code == Code::DefaultRouteInternal
        && matches!(
            met.code,
            Code::FirewallDrop | Code::NoWayBack | Code::GatewayMissing | Code::NeighbourMissing
        )
        && met.fix.iter().all(|remedy| remedy.act == Act::Restore);
    let twice = cause.code == Code::SubnetTwice
        && matches!(met.code, Code::RouteElsewhere | Code::NeighbourMissing | Code::RpFilter);
    near && (related || internal || twice)
}

/// What follows from a cause makes it as bad as it is itself.
fn follow(cause: &mut Diagnosis, met: Diagnosis) {
    // A finer way than the cause knows of.
    if cause.fix.is_empty() && cause.code == met.code {
        cause.fix = met.fix;
    }
    cause.severity = cause.severity.max(met.severity);
    met.affected.into_iter().for_each(|name| cause.add_affected(name));
    if cause.code != met.code && !cause.leads_to.iter().any(|known| known.code == met.code) {
        cause.leads_to.push(Consequence { code: met.code, sentence: met.sentence });
    }
    keep_few(&mut cause.evidence, met.evidence);
}

/// Whether two packets met one thing.
fn is_one(known: &Diagnosis, one: &Diagnosis) -> bool {
    (known.code, &known.place) == (one.code, &one.place)
        && (known.sentence == one.sentence
            || !one.fix.is_empty() && known.commands().eq(one.commands())
            || is_of_many(one.code) && shape(&known.sentence) == shape(&one.sentence))
}

/// Whether it is one thing that all containers of a network suffer from, told with the address of each.
fn is_of_many(code: Code) -> bool {
    matches!(
        code,
        Code::PortsIsolated
            | Code::RouteElsewhere
            | Code::RpFilter
            | Code::NoWayBack
            | Code::BridgeWithoutAddress
            | Code::SubnetTwice
    )
}

/// The words of a sentence but for addresses, whichever of two is named first.
fn shape(sentence: &str) -> Vec<&str> {
    let words = sentence.split([' ', ',', ':']).filter(|word| word.parse::<IpAddr>().is_err());
    let mut words: Vec<&str> = words.collect();
    words.sort_unstable();
    words
}

fn join(known: &mut Diagnosis, one: Diagnosis) {
    known.severity = known.severity.max(one.severity);
    one.affected.into_iter().for_each(|name| known.add_affected(name));
    for remedy in one.fix {
        if !known.fix.iter().any(|other| other.command == remedy.command) {
            known.fix.push(remedy);
        }
    }
    keep_few(&mut known.evidence, one.evidence);
}

/// How many packets that met something are told of.
const FEW: usize = 3;

fn keep_few(known: &mut Vec<super::Evidence>, more: Vec<super::Evidence>) {
    for one in more {
        if known.len() < FEW && !known.contains(&one) {
            known.push(one);
        }
    }
}

/// What came over our subnets: told with what packets met of it, and else for itself.
pub(super) fn overlaps(all: &mut Vec<Diagnosis>, overlaps: Vec<Diagnosis>) {
    for one in overlaps {
        let shown = |met: &&mut Diagnosis| {
            matches!(met.code, Code::RouteElsewhere | Code::SubnetTwice | Code::RpFilter)
                && one.severity == Severity::Blocks
                && one.affected.iter().any(|name| met.affected.contains(name))
                || met.code == Code::SubnetTwice
                    && met.networks.iter().any(|name| one.networks.contains(name))
        };
        match all.iter_mut().find(shown) {
            Some(met) => {
                one.affected.into_iter().for_each(|name| met.add_affected(name));
                keep_few(&mut met.evidence, one.evidence);
                if met.networks.is_empty() {
                    met.networks = one.networks;
                }
                met.advice = one.advice;
            }
            None => all.push(one),
        }
    }
}
