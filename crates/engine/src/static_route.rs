//! Routes that a container is given beside those that its networks bring.

use std::net::IpAddr;

use ipnet::IpNet;
use pontoon_kernel::route;
use pontoon_model::op::Netns;
use pontoon_model::route::{Destination, StaticRoute};
use pontoon_model::subnet::Family;
use pontoon_model::{ContainerRef, IfName, Sandbox};
use pontoon_netlink::link::LinkIndex;
use pontoon_netlink::route::{DumpRoutes, Route, TABLE_MAIN};
use pontoon_store::{Recovery, Subject, Tx};

use crate::connect::Candidates;
use crate::journal::{Prepared, Preparing};
use crate::plug::{self, Interface, InterfaceRef};
use crate::report::{Reader, ReportError};
use crate::resolve::{self, Target};
use crate::{Engine, EngineError, Outcome};

/// A container's route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Routed {
    /// The container's name.
    pub container: String,
    /// The interface that it leads out of.
    pub ifname: IfName,
    /// The route.
    pub route: StaticRoute,
}

impl std::fmt::Display for Routed {
    /// `10.1.0.0/16 via 10.5.0.9 dev eth0`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} dev {}", self.route, self.ifname)
    }
}

impl Engine {
    /// Gives a container a route by a router on one of its subnets, out of the interface that is on it, or of `ifname`.
    ///
    /// # Errors
    ///
    /// If the container is not there, the router is on none of its subnets, or it has a route to the destination, be it
    /// somebody else's; if the kernel refuses.
    pub fn route_add(
        &mut self,
        container: &ContainerRef,
        to: Destination,
        via: IpAddr,
        ifname: Option<&IfName>,
    ) -> Result<Outcome<Routed>, EngineError> {
        let route = StaticRoute { to: to.by(via)?, via };
        let mut target = self.target(container)?;
        self.alone_with(&[target.sandbox.netns], |engine| {
            engine.change(
                |at| {
                    resolve::settle(at.tx, &mut target)?;
                    let interface = toward(at.tx, &target.sandbox, via, ifname)?;
                    refuse_second(at, &target, &interface, route)?;
                    let whose = target.sandbox.name.as_str();
                    let plan = pontoon_plan::route::add(&target.netns, &interface.ifname, route, whose);
                    let what = format!("give {whose} the route {route}");
                    let subject = Subject::Interface(interface.plug.of.clone());
                    Ok(Prepared { value: (interface, route), plan, subject, recovery: Recovery::Undo, what })
                },
                |tx, (interface, route)| {
                    interface.check(tx)?;
                    Ok(tx.route_put(&interface.plug, route)?)
                },
            )
        })
        .map(|done| Outcome { value: routed(&done.value.0, done.value.1), plan: done.plan })
    }

    /// Takes routes of a container away that [`Engine::route_add`] gave it: those to the destination.
    ///
    /// # Errors
    ///
    /// If the container is not there or has no such route; if the kernel refuses.
    pub fn route_remove(
        &mut self,
        container: &ContainerRef,
        to: Destination,
    ) -> Result<Vec<Outcome<Routed>>, EngineError> {
        let target = self.target(container)?;
        let meant = self.store.read(|tx| {
            let known = known(tx, &target.sandbox)?;
            let there = known.iter().map(|(_, route)| Destination::Net(route.to).to_string()).collect();
            let meant: Vec<_> = known.into_iter().filter(|(_, route)| to.is(route.to)).collect();
            match meant.is_empty() {
                true => Err(EngineError::NoStaticRoute { container: container.to_string(), to, there }),
                false => Ok(meant),
            }
        })?;
        let one = |(interface, route): (Interface, StaticRoute)| {
            self.alone_with(&[target.sandbox.netns], |engine| {
                engine.remove_route(&target.netns, &interface, route)
            })
        };
        meant.into_iter().map(one).collect()
    }

    fn remove_route(
        &mut self,
        netns: &Netns,
        interface: &Interface,
        route: StaticRoute,
    ) -> Result<Outcome<Routed>, EngineError> {
        self.change(
            |at| {
                at.tx.route_delete(&interface.plug, &route)?;
                let whose = interface.whose();
                let plan = pontoon_plan::route::remove(netns, &interface.ifname, route, &whose);
                let what = format!("take the route {route} from {whose}");
                let (subject, value) =
                    (Subject::Interface(interface.plug.of.clone()), routed(interface, route));
                Ok(Prepared { value, plan, subject, recovery: Recovery::Finish, what })
            },
            |_, _| Ok(()),
        )
    }
}

impl Reader {
    /// The routes that a container was given.
    ///
    /// # Errors
    ///
    /// If there is no such container, or the state cannot be read.
    pub fn static_routes(&self, container: &ContainerRef) -> Result<Vec<Routed>, ReportError> {
        self.read(|tx| {
            let mut found = Vec::new();
            for interface in plug::recorded(tx, &InterfaceRef::of(container.clone()))? {
                let routes = tx.routes(&interface.plug)?;
                found.extend(routes.into_iter().map(|route| routed(&interface, route)));
            }
            Ok(found)
        })
    }
}

fn routed(interface: &Interface, route: StaticRoute) -> Routed {
    Routed { container: interface.whose(), ifname: interface.ifname.clone(), route }
}

/// The routes that a container was given, with the interfaces that they lead out of.
fn known(tx: &Tx<'_>, sandbox: &Sandbox) -> Result<Vec<(Interface, StaticRoute)>, EngineError> {
    let mut known = Vec::new();
    for interface in plug::of(tx, Some(sandbox))? {
        let routes = tx.routes(&interface.plug)?;
        known.extend(routes.into_iter().map(|route| (interface.clone(), route)));
    }
    Ok(known)
}

/// The interface of a container that a router is reached by.
fn toward(
    tx: &Tx<'_>,
    sandbox: &Sandbox,
    via: IpAddr,
    ifname: Option<&IfName>,
) -> Result<Interface, EngineError> {
    let container = sandbox.name.to_string();
    let interfaces = plug::of(tx, Some(sandbox))?;
    if let Some(own) = interfaces.iter().flat_map(|one| &one.addresses).find(|own| own.addr() == via) {
        return Err(EngineError::RouterIsItself { container, address: own.addr() });
    }
    let wanted = |interface: &Interface| ifname.is_none_or(|name| interface.ifname == *name);
    let reaches = |interface: &Interface| interface.addresses.iter().any(|own| own.contains(&via));
    let mut found = interfaces.iter().filter(|one| wanted(one) && reaches(one));
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one.clone()),
        (Some(one), Some(other)) => {
            let interfaces = [one, other].map(|one| one.ifname.to_string()).to_vec();
            Err(EngineError::RouterOnSeveral { via, container, interfaces })
        }
        (None, _) => {
            let of = |one: &Interface| -> Vec<String> {
                one.addresses.iter().map(|own| format!("{} ({})", own.trunc(), one.ifname)).collect()
            };
            let subnets = interfaces.iter().filter(|one| wanted(one)).flat_map(of).collect();
            Err(EngineError::RouterNotOnSubnet { via, container, subnets })
        }
    }
}

/// Refuses a route to where one leads already.
fn refuse_second(
    at: &mut Preparing<'_, '_>,
    target: &Target,
    interface: &Interface,
    route: StaticRoute,
) -> Result<(), EngineError> {
    let container = target.sandbox.name.to_string();
    let family = Family::of(route.to);
    if route.to.prefix_len() == 0 {
        let elected = Candidates::of(at.tx, &target.sandbox)?;
        if let Some((_, network)) = elected.elected(family == Family::V4) {
            let network = network.name.to_string();
            return Err(EngineError::HasGateway { container, network, family });
        }
    }
    let to = Destination::Net(route.to);
    if let Some((by, there)) =
        known(at.tx, &target.sandbox)?.into_iter().find(|(_, there)| there.to == route.to)
        && (by.plug != interface.plug || there.via != route.via)
    {
        let by = format!("via {} dev {}", there.via, by.ifname);
        return Err(EngineError::RouteExists { container, to, by, ours: true });
    }
    let filter = DumpRoutes {
        table: Some(TABLE_MAIN),
        family: Some(pontoon_netlink::Family::of(route.via)),
        ..DumpRoutes::default()
    };
    let index = at.executor.link(&target.netns, interface.ifname.as_str())?.map(|link| link.index);
    let found = route::list(at.executor.socket(&target.netns)?, &filter)?;
    let same = found.iter().find(|found| net(found) == Some(route.to));
    match same {
        Some(found) if !is(found, route, index) => {
            let link = found.next_hops.first().and_then(|hop| hop.link);
            let by = described(at, &target.netns, found, link)?;
            Err(EngineError::RouteExists { container, to, by, ours: false })
        }
        _ => Ok(()),
    }
}

fn net(route: &Route) -> Option<IpNet> {
    IpNet::new(route.destination.address, route.destination.len).ok()
}

/// Whether it is what [`Engine::route_add`] makes.
fn is(found: &Route, route: StaticRoute, link: Option<LinkIndex>) -> bool {
    let [hop] = found.next_hops.as_slice() else { return false };
    found.protocol == pontoon_netlink::PROTOCOL && hop.gateway == Some(route.via) && hop.link == link
}

fn described(
    at: &mut Preparing<'_, '_>,
    netns: &Netns,
    found: &Route,
    link: Option<LinkIndex>,
) -> Result<String, EngineError> {
    let via = found.next_hops.first().and_then(|hop| hop.gateway);
    let links = pontoon_kernel::link::list(at.executor.socket(netns)?, &Default::default())?;
    let name = links.into_iter().find(|one| Some(one.index) == link).map(|one| one.name);
    let parts = [via.map(|via| format!("via {via}")), name.map(|name| format!("dev {name}"))];
    Ok(parts.into_iter().flatten().collect::<Vec<_>>().join(" "))
}

/// The routes by routers on these subnets out of an interface, which lead nowhere when it leaves them.
pub(crate) fn by_subnets(
    tx: &Tx<'_>,
    interface: &Interface,
    subnets: &[IpNet],
) -> Result<Vec<StaticRoute>, EngineError> {
    let mut routes = tx.routes(&interface.plug)?;
    routes.retain(|route| subnets.iter().any(|subnet| subnet.contains(&route.via)));
    Ok(routes)
}
