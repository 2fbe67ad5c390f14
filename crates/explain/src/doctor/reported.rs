//! What others have found, told as the rest is.

use pontoon_model::observed::snapshot::Snapshot;
use pontoon_model::publish::Protocol;
use pontoon_model::shell::quote;

use super::diagnosis::{Act, Diagnosis, Remedy};
use super::{Changed, Facts, LeftOver, Overlap, Tracked, answered_by};
use crate::path::{Code, Severity};

/// What was changed of what is ours.
pub(super) fn changed(facts: &Facts) -> Vec<Diagnosis> {
    facts.changed.iter().map(|one| change(&facts.snapshot, one)).collect()
}

fn change(snapshot: &Snapshot, one: &Changed) -> Diagnosis {
    let (code, severity) = kind(one);
    let place = match one.container.as_deref() {
        Some(name) if snapshot.by_name(name).is_some() => name,
        _ => snapshot.namespaces[0].name.as_str(),
    };
    let mut found = Diagnosis::new(code, place, one.found.clone())
        .severity(severity)
        .seen(format!("not as Pontoon made it ({})", one.code), format!("{} --dry-run", snapshot.restore));
    found.networks = one.network.iter().cloned().collect();
    found = match (&one.container, &one.network) {
        (Some(name), _) => found.affects([name.clone()]),
        (None, Some(network)) => found.affects(members(snapshot, network)),
        (None, None) => found,
    };
    if one.kept {
        return found.advice("the network is to stay as it was changed: its option pontoon.repair is false");
    }
    if one.commands.is_empty() {
        return found.advice("Pontoon does nothing about it: that would touch what is somebody else's");
    }
    let act = || Act::PutBack(one.code.clone(), one.object.clone());
    found.fix = one.commands.iter().map(|command| Remedy::engine(command.clone(), act())).collect();
    found
}

/// Who is on a network.
fn members(snapshot: &Snapshot, network: &str) -> Vec<String> {
    let id = snapshot.networks.iter().find(|one| one.name.as_str() == network).map(|one| &one.id);
    let on = snapshot
        .namespaces
        .iter()
        .filter(|namespace| namespace.endpoints.iter().any(|endpoint| Some(&endpoint.network) == id));
    on.map(|namespace| namespace.name.clone()).collect()
}

/// What a change is called, and how bad it is where no packet is known to suffer from it.
fn kind(one: &Changed) -> (Code, Severity) {
    use Severity::{Blocks, Note};
    match one.code.as_str() {
        "rules-gone" | "set-gone" | "set-changed" | "chain-gone" | "chain-changed" | "element-gone"
        | "element-changed" => (Code::RulesChanged, Blocks),
        "element-stray" => (Code::RulesChanged, Note),
        "bridge-gone" => (Code::BridgeGone, Blocks),
        "cable-gone" | "interface-lost" => (Code::InterfaceGone, Blocks),
        "name-taken" => (Code::NameTaken, Blocks),
        "mark-changed" => (Code::MarkChanged, Note),
        "mtu-changed" => (Code::MtuDiffers, Blocks),
        "bridge-changed" => (Code::BridgeChanged, Note),
        "autoconf-on" => (Code::AutoconfOn, Note),
        "link-switch-off" | "switch-off" => (Code::ForwardingOff, Blocks),
        "port-off" => (Code::PortWithoutBridge, Blocks),
        "port-changed" => (Code::PortChanged, Note),
        "address-gone" if one.container.is_none() => (Code::BridgeWithoutAddress, Blocks),
        "address-gone" => (Code::AddressMissing, Blocks),
        "link-down" => (Code::LinkDown, Blocks),
        "route-gone" => (Code::RouteGone, Blocks),
        "default-route-gone" => (Code::NoRoute, Blocks),
        "impairment-gone" => (Code::ImpairmentGone, Note),
        _ => (Code::MarkChanged, Note),
    }
}

/// Whether what a packet met comes of a change: by their codes.
pub(super) fn comes_of(change: Code, met: Code) -> bool {
    use Code::{
        AddressMissing, BridgeChanged, BridgeGone, BridgeWithoutAddress, FirewallDrop, FirewallUnknown,
        GatewayMissing, InterfaceGone, LinkDown, MtuDiffers, NeighbourMissing, NoRoute, NoWayBack,
        NobodyListens, PortChanged, PortState, PortWithoutBridge, PortsIsolated, RouteElsewhere, RouteGone,
        RulesChanged,
    };
    match change {
        RulesChanged => {
            matches!(met, NoWayBack | NobodyListens | FirewallDrop | FirewallUnknown | Code::Martian)
        }
        BridgeGone => matches!(
            met,
            InterfaceGone
                | GatewayMissing
                | NeighbourMissing
                | PortWithoutBridge
                | LinkDown
                | NoRoute
                | AddressMissing
                | RouteElsewhere
                | NoWayBack
                | Code::ReplyAstray
        ),
        InterfaceGone => matches!(met, NoRoute | NeighbourMissing | AddressMissing | Code::NoSource),
        LinkDown => matches!(met, NoRoute | NeighbourMissing | PortState | GatewayMissing | RouteElsewhere),
        AddressMissing => matches!(met, Code::NoSource | NoRoute | NeighbourMissing | BridgeWithoutAddress),
        Code::Ipv6Disabled => {
            matches!(met, Code::NoSource | NoRoute | NeighbourMissing | BridgeWithoutAddress | AddressMissing)
        }
        BridgeWithoutAddress => matches!(
            met,
            Code::NoSource
                | GatewayMissing
                | RouteElsewhere
                | NoRoute
                | Code::RpFilter
                | Code::ReplyAstray
                | NeighbourMissing
        ),
        BridgeChanged => matches!(met, PortState),
        PortChanged => matches!(met, PortsIsolated | PortState),
        PortWithoutBridge => {
            matches!(
                met,
                NeighbourMissing | GatewayMissing | BridgeWithoutAddress | Code::NoSource | RouteElsewhere
            )
        }
        RouteGone => matches!(met, NoRoute | RouteElsewhere | Code::RpFilter | Code::ReplyAstray),
        MtuDiffers => matches!(met, Code::MtuSmaller),
        Code::AddressTwice => matches!(met, Code::Martian | Code::ReplyAstray),
        _ => false,
    }
}

/// What came over our subnets.
pub(super) fn overlaps(facts: &Facts) -> Vec<Diagnosis> {
    facts.overlaps.iter().map(|one| overlap(&facts.snapshot, one)).collect()
}

fn overlap(snapshot: &Snapshot, one: &Overlap) -> Diagnosis {
    let place = &snapshot.namespaces[0].name;
    let mut found = Diagnosis::new(Code::SubnetOverlap, place, one.sentence.clone())
        .severity(one.severity)
        .seen(
            format!("subnet {} of {}", one.subnet, one.network),
            format!("ip route show table all root {}", one.subnet),
        )
        .affects(one.affected.iter().cloned())
        .advice(format!("or move the network: `{}`", one.renumber));
    found.fix = one.finer.iter().map(|command| Remedy::run(command.clone())).collect();
    found.networks = vec![one.network.clone()];
    if found.fix.is_empty() {
        found.advice = Some(format!("move the network: `{}`", one.renumber));
    }
    found
}

/// What has our mark and no owner.
pub(super) fn left_over(facts: &Facts) -> Vec<Diagnosis> {
    let place = &facts.snapshot.namespaces[0].name;
    let told = |one: &LeftOver| {
        let remedy = Remedy { ours: true, ..Remedy::run(one.command.clone()) };
        Diagnosis::new(Code::LeftOver, place, one.sentence.clone())
            .severity(Severity::Note)
            .seen("no record knows it", one.shown_by.clone())
            .fix(remedy)
    };
    facts.left_over.iter().map(told).collect()
}

/// Flows of UDP that go on to somebody to whom a published port does not lead any more.
///
/// Rules that translate addresses are asked for a flow's first packet alone, and one of UDP goes on as long as packets
/// come within `nf_conntrack_udp_timeout_stream`.
pub(super) fn stale(facts: &Facts) -> Vec<Diagnosis> {
    let mut found: Vec<Diagnosis> = Vec::new();
    for flow in &facts.flows {
        let Some(one) = stale_flow(&facts.snapshot, flow) else { continue };
        match found.iter_mut().find(|known| known.sentence == one.sentence) {
            Some(known) => known.evidence.extend(one.evidence),
            None => found.push(one),
        }
    }
    found
}

fn stale_flow(snapshot: &Snapshot, flow: &Tracked) -> Option<Diagnosis> {
    let (address, port) = flow.destination;
    let host = &snapshot.namespaces[0];
    if !host.has_address(address) {
        return None;
    }
    let (namespace, publication) = snapshot.namespaces.iter().find_map(|namespace| {
        let leads = |one: &&pontoon_model::Publication| {
            one.protocol == Protocol::Udp
                && (one.host..=one.host.saturating_add(one.count - 1)).contains(&port)
                && one.address.is_none_or(|own| own.is_unspecified() || own == address)
        };
        Some((namespace, namespace.ports.iter().find(leads)?))
    })?;
    let now = publication.container + (port - publication.host);
    if flow.answered_by.1 == now && namespace.has_address(flow.answered_by.0) {
        return None;
    }
    let (old, old_port) = flow.answered_by;
    let owner = snapshot.owners(old).next().map_or_else(
        || "nobody has that address any more".to_owned(),
        |at| format!("that is {}", snapshot.namespaces[at].name),
    );
    let sentence = format!(
        "the host's UDP port {port} leads to {} now, and flows from before still go to {old}: {owner}",
        namespace.name
    );
    let shown = format!("conntrack -L -p udp --orig-port-dst {port}");
    let command =
        format!("conntrack -D -p udp --reply-src {} --reply-port-src {old_port}", quote(&old.to_string()));
    Some(
        Diagnosis::new(Code::ConnectionStale, &host.name, sentence)
            .seen(format!("from {} to {address}:{port}, answered by {old}:{old_port}", flow.source), shown)
            .affects([namespace.name.clone()])
            .fix(Remedy::engine(command, Act::Forget(answered_by(flow)))),
    )
}
