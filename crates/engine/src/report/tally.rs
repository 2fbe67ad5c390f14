//! How much of everything there is, for those who watch it over time.

use pontoon_model::network::AddressPool;
use pontoon_model::sandbox::Status;
use pontoon_model::subnet::Family;
use pontoon_model::{Network, Sandbox};

use super::{Reader, ReportError};

/// How much there is, at one moment.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// The networks that somebody made.
    pub networks: Vec<NetworkTally>,
    /// Containers of Pontoon's that do not run yet.
    pub created: u64,
    /// Those that run.
    pub running: u64,
    /// Those that have ended.
    pub exited: u64,
    /// Other people's namespaces.
    pub foreign: u64,
    /// Ports of the host that are published.
    pub published: u64,
    /// Cables.
    pub cables: usize,
    /// Changes that are begun and not finished.
    pub pending: usize,
}

/// How much there is of one network.
#[derive(Debug, Clone)]
pub struct NetworkTally {
    /// The network.
    pub network: Network,
    /// Who is on it.
    pub endpoints: u64,
    /// Its pools, and how many of their addresses are taken.
    pub pools: Vec<(AddressPool, u64)>,
}

impl Reader {
    /// Counts.
    ///
    /// # Errors
    ///
    /// If the state cannot be read.
    pub fn tally(&self) -> Result<Tally, ReportError> {
        self.read(|tx| {
            let mut tally =
                Tally { cables: tx.cables()?.len(), pending: tx.journal()?.len(), ..Tally::default() };
            for network in tx.networks()? {
                let mut pools = Vec::new();
                for pool in network.pools() {
                    pools.push((pool.clone(), tx.leases_used(&network.id, Family::of(pool.subnet))?));
                }
                let endpoints = tx.endpoint_count(&network.id)?;
                tally.networks.push(NetworkTally { network, endpoints, pools });
            }
            tx.sandboxes()?.iter().for_each(|sandbox| tally.add(sandbox));
            Ok(tally)
        })
    }
}

impl Tally {
    fn add(&mut self, sandbox: &Sandbox) {
        match sandbox.status {
            _ if !sandbox.is_ours() => self.foreign += 1,
            Status::Created => self.created += 1,
            Status::Running => self.running += 1,
            Status::Exited(_) => self.exited += 1,
        }
        self.published += sandbox.ports.iter().map(|port| u64::from(port.count)).sum::<u64>();
    }
}
