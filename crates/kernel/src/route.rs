//! Routes: add, delete, list, and ask which one a packet would take.

use pontoon_netlink::Family;
use pontoon_netlink::route::{DumpRoutes, GetRoute, Route, TABLE_MAIN};
use pontoon_netlink::wire::Batch;
use rustix::io::Errno;

use crate::error::{Cause, KernelError, Operation, Verb};
use crate::socket::{Answer, Requests, Socket};

const READ: Operation = Operation::new(Verb::Read, "route");

impl Requests {
    /// Add a route.
    pub fn add_route(&mut self, route: &Route) -> usize {
        let operation = Operation::new(Verb::Create, "route");
        self.push(operation, describe(route), |batch| route.encode_add(batch))
    }

    /// Add a route, or put it in the place of the one to that destination.
    pub fn replace_route(&mut self, route: &Route) -> usize {
        let operation = Operation::new(Verb::Replace, "route");
        self.push(operation, describe(route), |batch| route.encode_replace(batch))
    }

    /// Delete a route.
    pub fn delete_route(&mut self, route: &Route) -> usize {
        let operation = Operation::new(Verb::Delete, "route");
        self.push(operation, describe(route), |batch| route.encode_delete(batch))
    }

    /// Ask which route a packet would take; [`found`] reads the answer.
    pub fn get_route(&mut self, question: &GetRoute) -> usize {
        self.push(READ, format!("to {}", question.to), |batch| question.encode(batch))
    }
}

/// `10.1.0.0/16 via 10.0.0.1 in table 100`.
fn describe(route: &Route) -> String {
    use std::fmt::Write as _;
    let mut text = route.destination.to_string();
    if route.destination.is_all() && route.destination.family() == Family::V6 {
        text = "default (IPv6)".to_owned();
    }
    for gateway in route.next_hops.iter().filter_map(|hop| hop.gateway) {
        let _ = write!(text, " via {gateway}");
    }
    if route.table != TABLE_MAIN {
        let _ = write!(text, " in table {}", route.table);
    }
    text
}

/// The route in an answer to [`Requests::get_route`].
pub fn found(answer: &Answer) -> Option<Route> {
    answer.messages.iter().find_map(|message| Route::decode(&message.payload))
}

/// Adds a route.
///
/// # Errors
///
/// `EEXIST` where there is one to the same destination, `ENETUNREACH` where no route leads to the gateway,
/// `ENETDOWN` where the link is down.
pub fn add(socket: &mut Socket, route: &Route) -> Result<(), KernelError> {
    socket.run_one(|requests| requests.add_route(route)).map(drop)
}

/// Adds a route, or puts it in the place of the one to that destination with the same metric.
///
/// # Errors
///
/// `ENETUNREACH` where no route leads to the gateway, `ENETDOWN` where the link is down.
pub fn replace(socket: &mut Socket, route: &Route) -> Result<(), KernelError> {
    socket.run_one(|requests| requests.replace_route(route)).map(drop)
}

/// Deletes a route.
///
/// # Errors
///
/// `ESRCH` where there is none.
pub fn delete(socket: &mut Socket, route: &Route) -> Result<(), KernelError> {
    socket.run_one(|requests| requests.delete_route(route)).map(drop)
}

/// The route that a packet would take.
///
/// # Errors
///
/// `ENETUNREACH` where there is none, `EHOSTUNREACH`, `EACCES` or `EINVAL` where a route or rule refuses it.
pub fn get(socket: &mut Socket, question: &GetRoute) -> Result<Route, KernelError> {
    let answer = socket.run_one(|requests| requests.get_route(question))?;
    found(&answer)
        .ok_or_else(|| socket.place(KernelError::new(READ, format!("to {}", question.to), Cause::Malformed)))
}

/// All routes, or those of a family, table, link or maker; none where there is no such table.
///
/// Without a family, each is asked for, since the kernel does not filter otherwise.
///
/// # Errors
///
/// Those of [`Socket::dump`].
pub fn list(socket: &mut Socket, filter: &DumpRoutes) -> Result<Vec<Route>, KernelError> {
    let families = filter.family.map_or(vec![Family::V4, Family::V6], |family| vec![family]);
    let mut routes = Vec::new();
    for family in families {
        let mut batch = Batch::default();
        DumpRoutes { family: Some(family), ..*filter }.encode(&mut batch);
        match socket.dump("routes", &mut batch, |message| Route::decode(message.payload)) {
            Ok(found) => routes.extend(found),
            Err(error) if filter.table.is_some() && error.errno() == Some(Errno::NOENT) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(routes)
}
