//! Containers on several networks whose default route leads through one without a way out.

use std::net::IpAddr;

use pontoon_model::Network;
use pontoon_model::observed::snapshot::{Namespace, Route, RouteKind, Snapshot};

use super::diagnosis::{Diagnosis, Remedy};
use crate::path::{Code, lookup};

/// `RT_TABLE_MAIN` of rtnetlink.h.
const MAIN: u32 = 254;

pub(super) fn find(snapshot: &Snapshot, patients: &[usize]) -> Vec<Diagnosis> {
    let one = |at: &usize| [false, true].map(|v6| misled(snapshot, &snapshot.namespaces[*at], v6));
    patients.iter().flat_map(one).flatten().collect()
}

fn misled(snapshot: &Snapshot, namespace: &Namespace, v6: bool) -> Option<Diagnosis> {
    let route = default_route(namespace, v6)?;
    let out = lookup::next_hop(route)?.link?;
    let name = namespace.link_name(out);
    let own = namespace.endpoints.iter().find(|endpoint| endpoint.ifname.as_str() == name)?;
    let taken = network(snapshot, own)?;
    if gateway(taken, v6).is_some() {
        return None;
    }
    let others = namespace.endpoints.iter().filter(|endpoint| endpoint.id != own.id);
    let ways = others.filter_map(|endpoint| Some((endpoint, gateway(network(snapshot, endpoint)?, v6)?)));
    let (best, gateway) = ways.max_by_key(|(endpoint, _)| endpoint.gw_priority)?;
    let right = network(snapshot, best)?;
    let place = &namespace.name;
    let sentence = format!(
        "the default route of {place} leads through {}, which has no way out; {} has one",
        taken.name, right.name
    );
    let family = if v6 { "-6 " } else { "" };
    let better = format!("{family}route replace default via {gateway} dev {}", best.ifname);
    let mut found = Diagnosis::new(Code::DefaultRouteInternal, place, sentence)
        .seen(lookup::shown(namespace, route), namespace.ip(&format!("{family}route show default")))
        .affects([place.clone()])
        .fix(Remedy::run(namespace.ip(&better)));
    found.networks = vec![taken.name.to_string(), right.name.to_string()];
    Some(found)
}

fn default_route(namespace: &Namespace, v6: bool) -> Option<&Route> {
    let default = namespace.routes.iter().filter(|route| {
        route.destination.prefix_len() == 0
            && route.destination.addr().is_ipv6() == v6
            && route.table == MAIN
            && route.kind == RouteKind::Unicast
    });
    default.min_by_key(|route| route.metric)
}

fn network<'a>(snapshot: &'a Snapshot, endpoint: &pontoon_model::Endpoint) -> Option<&'a Network> {
    snapshot.networks.iter().find(|network| network.id == endpoint.network)
}

/// The router of a network with a way out.
fn gateway(network: &Network, v6: bool) -> Option<IpAddr> {
    let pool = network.pools().find(|pool| pool.gateway.is_ipv6() == v6)?;
    network.is_way_out(pool).then_some(pool.gateway)
}
