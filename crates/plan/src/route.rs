//! Routes that a container is given beside those that its networks bring.

use pontoon_model::IfName;
use pontoon_model::op::{Netns, RouteOp};
use pontoon_model::route::StaticRoute;

use crate::Plan;

/// The steps that give a container a route out of one of its interfaces.
pub fn add(netns: &Netns, link: &IfName, route: StaticRoute, whose: &str) -> Plan {
    let mut plan = Plan::default();
    let op = RouteOp::Static { netns: netns.clone(), link: link.clone(), route };
    plan.push(op, format!("{whose}: {} is reached by {}, as asked for", destination(route), route.via));
    plan
}

/// The steps that take it away.
pub fn remove(netns: &Netns, link: &IfName, route: StaticRoute, whose: &str) -> Plan {
    let mut plan = Plan::default();
    let op = RouteOp::DeleteStatic { netns: netns.clone(), link: link.clone(), route };
    plan.push(op, format!("{whose}: {} is no longer reached by {}", destination(route), route.via));
    plan
}

fn destination(route: StaticRoute) -> String {
    match route.to.prefix_len() {
        0 => "everything else".to_owned(),
        _ => route.to.to_string(),
    }
}
