//! What happened, told: a line in `/run/pontoon/events.log` for each event, once it is in the records.
//!
//! A change tells by what it was about ([`Subject`]): so the command that makes it, and a later one that finishes it for
//! one that was killed, say the same; and what is undone is not told of.

use std::path::Path;
use std::time::SystemTime;

use pontoon_kernel::line_log::{LineLog, LineLogError};
use pontoon_model::event::Action;
use pontoon_model::sandbox::Status;
use pontoon_model::subnet::Family;
use pontoon_model::{Endpoint, EndpointId, Network, NetworkId, News, Sandbox, SandboxId, lease};
use pontoon_store::{Recovery, StoreError, Subject, Tx};

use crate::{Engine, Mode, Root};

/// How long the log grows before it is put aside, in bytes; one older file is kept.
const LONGEST: u64 = 4 << 20;

/// Where an instance's events are written.
#[derive(Debug, Clone)]
pub struct EventLog(LineLog);

impl EventLog {
    /// That of an instance.
    pub fn of(root: &Root) -> Self {
        Self(LineLog::new(root.dirs.run.join("events.log"), LONGEST))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes down what happened, as of now, in one piece.
    ///
    /// # Errors
    ///
    /// If the file cannot be written. What happened has happened: that is for a warning.
    pub fn tell(&self, news: impl IntoIterator<Item = News>) -> Result<(), LineLogError> {
        let now = nanoseconds(SystemTime::now());
        let lines: String = news.into_iter().map(|news| news.at(now).line()).collect();
        if lines.is_empty() { Ok(()) } else { self.0.append(lines.as_bytes()) }
    }
}

fn nanoseconds(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

impl Engine {
    /// Tells what happened. What cannot be told is a warning: it has happened all the same.
    pub fn tell(&mut self, news: impl IntoIterator<Item = News>) {
        if self.mode == Mode::DryRun {
            return;
        }
        if let Err(error) = EventLog::of(&self.root).tell(news) {
            self.warn(format!(
                "what happened could not be written down for `events`: {error}: {}",
                error.source
            ));
        }
    }
}

/// What a change does that is about `subject`, with the records as they are before it ends.
pub(crate) fn of_change(tx: &Tx<'_>, subject: &Subject, recovery: Recovery) -> Result<Vec<News>, StoreError> {
    let mut told = Told { tx, news: Vec::new() };
    match (subject, recovery) {
        (Subject::Network(id), _) => told.network(id, which(recovery, Action::Create, Action::Destroy))?,
        (Subject::Cable(id), _) => told.cable(id, which(recovery, Action::Create, Action::Destroy))?,
        (Subject::Endpoint(id), Recovery::Undo) => told.connected(id)?,
        (Subject::Endpoint(id), Recovery::Finish) => told.disconnected(id)?,
        (Subject::Ports { sandbox, ports, endpoint }, _) => {
            if let Some(endpoint) = endpoint {
                told.connected(endpoint)?;
            }
            if let Some(sandbox) = tx.bare().sandbox(sandbox)? {
                let action = which(recovery, Action::Publish, Action::Unpublish);
                told.news.extend(ports.iter().map(|port| News::port(action, &sandbox, port)));
            }
        }
        (Subject::Sandbox(id), Recovery::Undo) => told.started(id)?,
        (Subject::Sandbox(id), Recovery::Finish) => told.taken_away(id)?,
        (Subject::Renumber { network, .. }, Recovery::Finish) => told.network(network, Action::Renumber)?,
        (Subject::Renumber { .. }, Recovery::Undo) | (Subject::Interface(_) | Subject::Prune, _) => {}
    }
    Ok(told.news)
}

/// A change that is undone when it is cut off makes something, one that is finished takes it away.
fn which(recovery: Recovery, made: Action, gone: Action) -> Action {
    match recovery {
        Recovery::Undo => made,
        Recovery::Finish => gone,
    }
}

struct Told<'a, 'tx> {
    tx: &'a Tx<'tx>,
    news: Vec<News>,
}

impl Told<'_, '_> {
    fn network(&mut self, id: &NetworkId, action: Action) -> Result<(), StoreError> {
        self.news.extend(self.tx.network(id)?.map(|network| News::network(action, &network)));
        Ok(())
    }

    fn cable(&mut self, id: &EndpointId, action: Action) -> Result<(), StoreError> {
        let Some(cable) = self.tx.cable(id)? else { return Ok(()) };
        let mut names = Vec::new();
        for id in cable.ends.iter().filter_map(|end| end.sandbox.as_ref()) {
            names.extend(self.tx.bare().sandbox(id)?);
        }
        let name_of = |id: &SandboxId| {
            let sandbox = names.iter().find(|sandbox| sandbox.id == *id)?;
            Some(sandbox.known_as())
        };
        self.news.push(News::cable(action, &cable, name_of));
        Ok(())
    }

    fn connected(&mut self, id: &EndpointId) -> Result<(), StoreError> {
        let Some(endpoint) = self.tx.endpoint(id)? else { return Ok(()) };
        let (network, sandbox) =
            (self.tx.network(&endpoint.network)?, self.tx.bare().sandbox(&endpoint.sandbox)?);
        if let (Some(network), Some(sandbox)) = (network, sandbox) {
            self.connection(Action::Connect, &network, &sandbox, &endpoint);
            self.news.extend(pools_low(self.tx, &network)?);
        }
        Ok(())
    }

    fn disconnected(&mut self, id: &EndpointId) -> Result<(), StoreError> {
        let Some(endpoint) = self.tx.endpoint(id)? else { return Ok(()) };
        let (network, sandbox) = (self.tx.network(&endpoint.network)?, self.tx.sandbox(&endpoint.sandbox)?);
        let (Some(network), Some(sandbox)) = (network, sandbox) else { return Ok(()) };
        // The record of somebody else's namespace goes with the last that is in it, and its ports with that.
        let last = !sandbox.is_ours()
            && self.tx.endpoints_of_sandbox(&sandbox.id)?.len() == 1
            && self.tx.cables_of_sandbox(&sandbox.id)?.is_empty();
        if last {
            self.unpublished(&sandbox);
        }
        self.connection(Action::Disconnect, &network, &sandbox, &endpoint);
        Ok(())
    }

    fn connection(&mut self, action: Action, network: &Network, sandbox: &Sandbox, endpoint: &Endpoint) {
        self.news.push(News::connection(action, network, sandbox, endpoint));
    }

    fn unpublished(&mut self, sandbox: &Sandbox) {
        let ports = sandbox.ports.iter();
        self.news.extend(ports.map(|port| News::port(Action::Unpublish, sandbox, port)));
    }

    fn started(&mut self, id: &SandboxId) -> Result<(), StoreError> {
        let Some(sandbox) = self.tx.sandbox(id)? else { return Ok(()) };
        self.news.push(News::container(Action::Create, &sandbox));
        for endpoint in self.tx.endpoints_of_sandbox(id)? {
            self.connected(&endpoint.id)?;
        }
        self.news.extend(sandbox.ports.iter().map(|port| News::port(Action::Publish, &sandbox, port)));
        self.news.push(News::container(Action::Start, &sandbox));
        Ok(())
    }

    /// A container's network was taken away; with its record, if that goes along.
    fn taken_away(&mut self, id: &SandboxId) -> Result<(), StoreError> {
        let Some(sandbox) = self.tx.sandbox(id)? else { return Ok(()) };
        self.unpublished(&sandbox);
        for endpoint in self.tx.endpoints_of_sandbox(id)? {
            if let Some(network) = self.tx.network(&endpoint.network)? {
                self.connection(Action::Disconnect, &network, &sandbox, &endpoint);
            }
        }
        for cable in self.tx.cables_of_sandbox(id)? {
            self.cable(&cable.id, Action::Destroy)?;
        }
        if sandbox.is_ours() && sandbox.process.auto_remove && sandbox.status != Status::Created {
            self.news.push(News::container(Action::Destroy, &sandbox));
        }
        Ok(())
    }
}

/// When a pool is low: nine of ten addresses are taken.
const LOW: (u128, u128) = (9, 10);

fn is_low(used: u64, capacity: u128) -> bool {
    u128::from(used) * LOW.1 >= capacity.saturating_mul(LOW.0)
}

fn low_key(network: &NetworkId, family: Family) -> String {
    let version = match family {
        Family::V4 => 4,
        Family::V6 => 6,
    };
    format!("pool-low:{network}:{version}")
}

/// The network's pools that have become low, each once until enough is free again.
fn pools_low(tx: &Tx<'_>, network: &Network) -> Result<Vec<News>, StoreError> {
    let mut news = Vec::new();
    for pool in network.pools() {
        let (family, capacity) = (Family::of(pool.subnet), lease::capacity(pool));
        let used = tx.leases_used(&network.id, family)?;
        let key = low_key(&network.id, family);
        if is_low(used, capacity) && tx.meta_get(&key)?.is_none_or(|told| told.is_empty()) {
            tx.meta_set(&key, "told")?;
            news.push(News::pool_low(network, pool, used, capacity));
        }
    }
    Ok(news)
}

/// After an address was given free: a pool that is not low any more may become so again.
pub(crate) fn pools_not_low(tx: &Tx<'_>, id: &NetworkId) -> Result<(), StoreError> {
    for family in [Family::V4, Family::V6] {
        let key = low_key(id, family);
        if tx.meta_get(&key)?.is_none_or(|told| told.is_empty()) {
            continue;
        }
        let network = tx.network(id)?;
        let pool = network.iter().flat_map(Network::pools).find(|pool| Family::of(pool.subnet) == family);
        let capacity = pool.map_or(u128::MAX, lease::capacity);
        if !is_low(tx.leases_used(id, family)?, capacity) {
            tx.meta_set(&key, "")?;
        }
    }
    Ok(())
}
