//! More routes: `x-pontoon.routes`, each `TO via ROUTER [dev INTERFACE]` or a mapping.

use super::Reader;
use super::value::At;
use crate::error::Fault;
use crate::project::{Destination, Route};

/// What a route in one line looks like.
const LINE: &str = "a route: `10.8.0.0/16 via 10.9.0.2`, `default via 10.9.0.2 dev eth1`";

impl Reader<'_> {
    pub(super) fn routes(&mut self, at: &At<'_>) -> Vec<Route> {
        let Some(ours) = at.get("x-pontoon") else { return Vec::new() };
        ours.items_of("routes").iter().filter_map(|at| self.route(at)).collect()
    }

    fn route(&mut self, at: &At<'_>) -> Option<Route> {
        if let Some(line) = at.text() {
            let route = from_line(line).ok_or_else(|| at.is_not(LINE));
            return self.report.take(&at.node.at, route);
        }
        let to = self.of_route(at, "to")?;
        let via = self.of_route(at, "via")?;
        let destination = destination(to.text()?)
            .ok_or_else(|| to.is_not("a destination: a subnet such as 10.8.0.0/16, or default"));
        let route = Route {
            to: self.report.take(&to.node.at, destination)?,
            via: self.report.value(&via, "the IP address of a router")?,
            interface: at.get("interface").and_then(|at| self.report.parsed(&at)),
        };
        let one_family = of_one_family(route).ok_or_else(|| via.is_not("of the destination's IP version"));
        self.report.take(&via.node.at, one_family)
    }

    fn of_route<'a>(&mut self, at: &At<'a>, key: &'static str) -> Option<At<'a>> {
        let value = at.get(key).ok_or_else(|| Fault::Lacks { place: at.quoted(), key });
        self.report.take(&at.node.at, value)
    }
}

fn from_line(line: &str) -> Option<Route> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (to, via, interface) = match *words {
        [to, "via", via] => (to, via, None),
        [to, "via", via, "dev", interface] => (to, via, Some(interface.parse().ok()?)),
        _ => return None,
    };
    of_one_family(Route { to: destination(to)?, via: via.parse().ok()?, interface })
}

fn destination(text: &str) -> Option<Destination> {
    match text {
        "default" => Some(Destination::Default),
        text => pontoon_model::subnet::parse_range(text).ok().map(Destination::Net),
    }
}

fn of_one_family(route: Route) -> Option<Route> {
    match route.to {
        Destination::Net(net) if net.addr().is_ipv4() != route.via.is_ipv4() => None,
        _ => Some(route),
    }
}
