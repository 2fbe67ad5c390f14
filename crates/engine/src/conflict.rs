//! What came over the subnets of networks that are there, such as a VPN's routes.
//!
//! To look takes time that grows with the host's routes: it is done where somebody asks, and when a route has come.

use pontoon_kernel::socket::{Protocol, Socket};
use pontoon_model::config::PoolBlock;
use pontoon_model::network::Driver;
pub use pontoon_plan::conflict::{Affected, Changes, Conflict, Known, Severity};
use pontoon_plan::conflict::{Ours, Seen};
use pontoon_store::Tx;

use crate::report::{Reader, ReportError};
use crate::{Engine, EngineError, observe, segment};

impl Engine {
    /// What others have within or around the subnets of our networks, the worst first. Whoever watches the host asks
    /// when a route, rule or address has come or gone, and tells what [`Known::new_and_gone`] makes of it.
    ///
    /// # Errors
    ///
    /// If the kernel does not tell, or the state cannot be read.
    pub fn conflicts(&mut self) -> Result<Vec<Conflict>, EngineError> {
        let ours = self.store.read(ours)?;
        look(self.executor.host(), &ours, &self.config.default_address_pools)
    }
}

/// The same for those who only read; `blocks` are where free subnets come from.
///
/// # Errors
///
/// If the kernel does not tell, or the state cannot be read.
pub fn conflicts(reader: &Reader, blocks: &[PoolBlock]) -> Result<Vec<Conflict>, ReportError> {
    let ours = reader.read(ours)?;
    if ours.is_empty() {
        return Ok(Vec::new());
    }
    let mut socket = Socket::open(Protocol::Route).map_err(EngineError::from)?;
    Ok(look(&mut socket, &ours, blocks)?)
}

fn look(socket: &mut Socket, ours: &[Ours], blocks: &[PoolBlock]) -> Result<Vec<Conflict>, EngineError> {
    let (space, rules) = (observe::address_space(socket)?, observe::rules(socket)?);
    Ok(pontoon_plan::conflict::conflicts(ours, &Seen { space: &space, rules: &rules, blocks }))
}

/// Our networks and who is on them.
fn ours(tx: &Tx<'_>) -> Result<Vec<Ours>, EngineError> {
    let mut all = Vec::new();
    for network in tx.networks()?.into_iter().filter(|network| network.driver == Driver::Bridge) {
        let mut members = Vec::new();
        for endpoint in tx.endpoints_of_network(&network.id)? {
            let sandbox = tx.sandbox(&endpoint.sandbox)?;
            let name =
                sandbox.map_or_else(|| endpoint.sandbox.short().to_owned(), |sandbox| sandbox.name.into());
            members.extend(endpoint.addresses().map(|address| (name.clone(), address)));
        }
        let mut bridges = vec![network.bridge_name.clone()];
        bridges.extend(segment::laid(tx, &network)?.into_iter().map(|segment| segment.bridge));
        all.push(Ours { network, bridges, members });
    }
    Ok(all)
}
