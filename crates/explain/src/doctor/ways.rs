//! The packets that a healthy host lets through, and what is in their way.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use pontoon_model::Network;
use pontoon_model::observed::snapshot::{Namespace, Snapshot};
use pontoon_model::publish::Protocol;
use pontoon_nft::syntax::protocol;

use super::diagnosis::{Diagnosis, Evidence};
use super::{Scope, sizes};
use crate::path::segment::{peer, segment};
use crate::path::{
    Code, Explanation, Finding, From, Hop, Question, Severity, Verdict, address_of, explain, fix, names,
};

/// Somebody beyond the default route. Source: RFC 5737, RFC 3849.
const OUTSIDE: (IpAddr, IpAddr) = (
    IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 1)),
);

/// Whether a namespace's cable ends on a bridge of the host's.
pub(super) fn is_on_bridge(snapshot: &Snapshot, at: usize) -> bool {
    bridge_of(snapshot, at).is_some()
}

/// The host's bridge that a namespace is on.
fn bridge_of(snapshot: &Snapshot, at: usize) -> Option<u32> {
    snapshot.namespaces[at].links.iter().find_map(|link| {
        let (place, index) = peer(snapshot, (at, link.index))?;
        (place == 0).then(|| snapshot.namespaces[0].link(index)?.master)?
    })
}

/// Who is reached by an interface of the host.
pub(super) fn behind(snapshot: &Snapshot, index: u32) -> Vec<String> {
    let stations = segment(snapshot, (0, index)).stations;
    let others = stations.iter().map(|station| station.at.0).filter(|place| *place != 0);
    others.map(|place| snapshot.namespaces[place].name.clone()).collect()
}

/// A packet that should pass.
struct Ask {
    question: Question,
    /// Who asks and is asked, for people, as `pontoon explain` takes it.
    words: String,
    /// Who suffers if it does not pass.
    ends: Vec<String>,
}

/// What the packets of those who are looked at meet.
pub(super) fn walk(snapshot: &Snapshot, patients: &[usize], scope: &Scope) -> Vec<Diagnosis> {
    let mut asks = Vec::new();
    for v6 in [false, true] {
        patients.iter().for_each(|at| ask_out(snapshot, *at, v6, scope, &mut asks));
        ask_neighbours(snapshot, patients, v6, &mut asks);
    }
    patients.iter().for_each(|at| ask_in(snapshot, *at, &mut asks));
    let mut found = Vec::new();
    for ask in &asks {
        told(snapshot, &explain(snapshot, &ask.question), &ask.words, &ask.ends, &mut found);
    }
    for at in patients {
        let namespace = &snapshot.namespaces[*at];
        // A namespace of somebody's without a way out may be meant so.
        let asks = !namespace.endpoints.is_empty() || scope.names(&namespace.name);
        if !asks && !has_default(namespace, false) && !has_default(namespace, true) {
            continue;
        }
        if let (Some(explained), Some(server)) = (names::ask(snapshot, *at), namespace.name_servers.first()) {
            let words = format!("{} {server}:53/udp", namespace.name);
            told(snapshot, &explained, &words, std::slice::from_ref(&namespace.name), &mut found);
        }
    }
    found
}

fn told(
    snapshot: &Snapshot,
    explained: &Explanation,
    words: &str,
    ends: &[String],
    found: &mut Vec<Diagnosis>,
) {
    let outcome = match explained.verdict {
        Verdict::Reachable => "arrives, and meets this",
        Verdict::Unknown => "may not arrive",
        Verdict::Unreachable => "does not arrive",
    };
    let what = match explained.packet.destination_port.first {
        port if explained.packet.has_ports() => {
            format!("what is sent to port {port} of {}", explained.packet.destination)
        }
        _ if words.ends_with(" outside") => "a ping to the outside".to_owned(),
        _ => format!("a ping to {}", explained.packet.destination),
    };
    for finding in &explained.findings {
        if is_meant(snapshot, finding, explained) {
            continue;
        }
        let seen = format!("{what} {outcome}");
        let asked = Evidence { seen, command: Some(format!("pontoon explain {words}")) };
        let mut one = Diagnosis::met(finding, ends, asked, &snapshot.restore);
        one.evidence.splice(0..0, shown(explained, finding));
        if finding.code == Code::NobodyListens && words.starts_with("outside ") {
            // Whoever publishes a port may start what is to listen there later.
            one.severity = Severity::Note;
        }
        if finding.code == Code::MtuSmaller
            && ends.len() == 1
            && !sizes::towards(snapshot, &ends[0], explained, &mut one)
        {
            continue;
        }
        found.push(one);
    }
}

/// The command at the place on the way where something was met.
fn shown(explained: &Explanation, finding: &Finding) -> Option<Evidence> {
    let hops = &explained.hops;
    let is_rule = matches!(finding.code, Code::FirewallDrop | Code::FirewallUnknown);
    let stands = |hop: &Hop| hop.place == finding.place && hop.verdict != Verdict::Reachable;
    let last = hops
        .iter()
        .position(|hop| hop.place == finding.place && hop.text.contains(&finding.sentence))
        // Where several stand in the way, a rule is seen at a hook and everything else elsewhere.
        .or_else(|| hops.iter().position(|hop| stands(hop) && (hop.kind == "hook") == is_rule))
        .or_else(|| hops.iter().position(stands))?;
    let hop = hops[..=last].iter().rev().find(|hop| hop.place == finding.place && hop.command.is_some())?;
    Some(Evidence { seen: hop.text.clone(), command: hop.command.clone() })
}

/// Whether a finding is what somebody wanted: a network whose addresses are routed by the next router keeps them; one
/// whose bridge has no address is answered by Pontoon's name server all the same, which says by which bridge. And a host
/// without an uplink has none.
fn is_meant(snapshot: &Snapshot, finding: &Finding, explained: &Explanation) -> bool {
    let source = explained.packet.source;
    let host = &snapshot.namespaces[0];
    let v6 = explained.packet.destination.is_ipv6();
    if finding.code == Code::NoRoute && finding.place == host.name && !has_default(host, v6) {
        return true;
    }
    let Some(network) = fix::network_of(snapshot, source) else { return false };
    let mut pools = network.pools();
    match finding.code {
        Code::NoWayBack => !fix::is_masqueraded(network, source),
        Code::BridgeWithoutAddress => {
            pools.any(|pool| pool.subnet.contains(&source) && !network.bridge_has_address(pool))
        }
        _ => false,
    }
}

/// A container's networks.
fn networks<'a>(snapshot: &'a Snapshot, namespace: &'a Namespace) -> impl Iterator<Item = &'a Network> {
    let of = |id: &pontoon_model::NetworkId| snapshot.networks.iter().find(|network| network.id == *id);
    namespace.endpoints.iter().filter_map(move |endpoint| of(&endpoint.network))
}

/// Whether a namespace has addresses of this version of IP that others reach; by record, where they are gone.
fn has_version(namespace: &Namespace, v6: bool) -> bool {
    let own = namespace.addresses.iter().filter(|one| !one.link_scope).map(|one| one.address.addr());
    let recorded = namespace.endpoints.iter().flat_map(|endpoint| endpoint.addresses());
    own.chain(recorded).any(|address| address.is_ipv6() == v6 && !address.is_loopback())
}

/// Whether a namespace has a default route; those that an interface which is down took along are not there.
fn has_default(namespace: &Namespace, v6: bool) -> bool {
    let mut routes = namespace.routes.iter();
    routes.any(|route| {
        route.destination.prefix_len() == 0
            && route.destination.addr().is_ipv6() == v6
            && route
                .next_hops
                .iter()
                .any(|hop| hop.link.is_some_and(|link| namespace.link_name(link) != "lo"))
    })
}

fn echo(v6: bool) -> u8 {
    if v6 { protocol::ICMPV6 } else { protocol::ICMP }
}

fn ping(at: usize, to: IpAddr, outside: bool) -> Question {
    Question { from: From::Namespace(at, None), to, outside, protocol: echo(to.is_ipv6()), port: None }
}

/// To the routers of its networks, to the outside; and from the host to it.
fn ask_out(snapshot: &Snapshot, at: usize, v6: bool, scope: &Scope, asks: &mut Vec<Ask>) {
    let namespace = &snapshot.namespaces[at];
    if !has_version(namespace, v6) {
        return;
    }
    let name = &namespace.name;
    let ends = vec![name.clone()];
    let ours = !namespace.endpoints.is_empty();
    for network in networks(snapshot, namespace) {
        let Some(pool) = network.pools().find(|pool| pool.gateway.is_ipv6() == v6) else { continue };
        if network.bridge_has_address(pool) {
            let words = format!("{name} {}", pool.gateway);
            asks.push(Ask { question: ping(at, pool.gateway, false), words, ends: ends.clone() });
        }
    }
    for address in namespace.endpoints.iter().flat_map(|endpoint| endpoint.addresses()) {
        let network = fix::network_of(snapshot, address);
        let pool = network.and_then(|net| net.pools().find(|pool| pool.subnet.contains(&address)));
        if address.is_ipv6() == v6
            && network.zip(pool).is_some_and(|(net, pool)| net.bridge_has_address(pool))
        {
            let words = format!("host {address}");
            asks.push(Ask { question: ping(0, address, false), words, ends: ends.clone() });
        }
    }
    let way_out = networks(snapshot, namespace)
        .flat_map(|network| network.pools().map(move |pool| (network, pool)))
        .any(|(network, pool)| pool.gateway.is_ipv6() == v6 && network.is_way_out(pool));
    let wants_out = if ours { way_out } else { scope.names(name) || has_default(namespace, v6) };
    if wants_out && has_default(&snapshot.namespaces[0], v6) {
        let to = if v6 { OUTSIDE.1 } else { OUTSIDE.0 };
        asks.push(Ask { question: ping(at, to, true), words: format!("{name} outside"), ends });
    }
}

/// From each container of a network to the next, round in a circle: so each sends and each gets something.
fn ask_neighbours(snapshot: &Snapshot, patients: &[usize], v6: bool, asks: &mut Vec<Ask>) {
    for network in snapshot.networks.iter().filter(|network| network.bridge.icc) {
        let on: Vec<(usize, IpAddr)> = patients
            .iter()
            .flat_map(|at| {
                let own = snapshot.namespaces[*at].endpoints.iter().filter(|one| one.network == network.id);
                own.flat_map(|endpoint| endpoint.addresses()).map(|address| (*at, address))
            })
            .filter(|(_, address)| address.is_ipv6() == v6)
            .collect();
        ask_round(snapshot, &on, asks);
    }
    let strangers: Vec<usize> =
        patients.iter().copied().filter(|at| snapshot.namespaces[*at].endpoints.is_empty()).collect();
    let mut bridges: Vec<u32> = strangers.iter().filter_map(|at| bridge_of(snapshot, *at)).collect();
    bridges.sort_unstable();
    bridges.dedup();
    for bridge in bridges {
        let on = strangers.iter().filter(|at| bridge_of(snapshot, **at) == Some(bridge));
        let addressed = on.filter_map(|at| Some((*at, address_of(snapshot, Some(0), *at, Some(v6))?)));
        ask_round(snapshot, &addressed.collect::<Vec<_>>(), asks);
    }
}

fn ask_round(snapshot: &Snapshot, on: &[(usize, IpAddr)], asks: &mut Vec<Ask>) {
    let next = on.iter().cycle().skip(1);
    for ((from, _), (to, address)) in on.iter().zip(next) {
        if from == to {
            continue;
        }
        let name = |at: usize| snapshot.namespaces[at].name.clone();
        asks.push(Ask {
            question: ping(*from, *address, false),
            words: format!("{} {address}", name(*from)),
            ends: vec![name(*from), name(*to)],
        });
    }
}

/// To its published ports, from the outside, or from the host where there is none.
fn ask_in(snapshot: &Snapshot, at: usize, asks: &mut Vec<Ask>) {
    let namespace = &snapshot.namespaces[at];
    let host = &snapshot.namespaces[0];
    for one in &namespace.ports {
        let kind = if one.protocol == Protocol::Udp { "/udp" } else { "" };
        let is_loopback = one.address.is_some_and(|address| address.is_loopback());
        let wanted = one.address.filter(|address| !address.is_unspecified());
        let v6 = one.address.is_some_and(|address| address.is_ipv6());
        let (from, to) = match wanted.or_else(|| uplink(host, v6)) {
            Some(address) if !is_loopback && has_default(host, v6) => {
                (From::Outside(if v6 { OUTSIDE.1 } else { OUTSIDE.0 }), address)
            }
            _ if v6 && wanted.is_none() => continue,
            _ => (From::Namespace(0, None), wanted.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))),
        };
        let asker = if matches!(from, From::Outside(_)) { "outside" } else { "host" };
        let target = if to.is_ipv6() { format!("[{to}]") } else { to.to_string() };
        asks.push(Ask {
            question: Question {
                from,
                to,
                outside: false,
                protocol: one.protocol.number(),
                port: Some(one.host),
            },
            words: format!("{asker} {target}:{}{kind}", one.host),
            ends: vec![namespace.name.clone()],
        });
    }
}

/// The host's address on the interface of its default route.
fn uplink(host: &Namespace, v6: bool) -> Option<IpAddr> {
    let default = host
        .routes
        .iter()
        .filter(|route| route.destination.prefix_len() == 0 && route.destination.addr().is_ipv6() == v6);
    let mut links = default.flat_map(|route| &route.next_hops).filter_map(|hop| hop.link);
    links.find_map(|link| {
        let own = host.addresses.iter().filter(|one| one.link == link && !one.link_scope);
        own.map(|one| one.address.addr()).find(|address| address.is_ipv6() == v6)
    })
}
