//! From the records to what the server answers: which networks are served, and what their containers are called.
//!
//! A network is served as long as somebody is on it. What a command says that it has changed is read again at once;
//! what a killed command did not say shows in the store's version.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;

use pontoon_dns::{Member, NetworkNames, Place};
use pontoon_engine::notice::{Notice, ServedNetwork};
use pontoon_kernel::datagram;
use pontoon_model::diagnose::as_warning;
use pontoon_model::endpoint::EndpointState;
use pontoon_model::network::Driver;
use pontoon_model::{Endpoint, EndpointId, IfName, Network, NetworkId, Sandbox, SandboxId};
use pontoon_store::{Store, StoreError, Tx};

use crate::dns::{Handle, Statistics};

/// The port of name servers. Source: RFC 1035, 4.2.
const PORT: u16 = 53;

/// What is told of containers on networks with names.
#[derive(Debug)]
pub(crate) struct Names {
    store: Store,
    server: Arc<Handle>,
    /// What the server was told of each container.
    members: HashMap<SandboxId, Member>,
    /// The networks that the server was told of, and what is wrong with those that cannot be served.
    networks: HashMap<NetworkId, Served>,
    /// Links whose end is seen before the records say so, and whose they are.
    gone: HashMap<IfName, SandboxId>,
    /// The store's version when all of it was read last.
    version: Option<i64>,
}

#[derive(Debug)]
struct Served {
    names: NetworkNames,
    bridge: IfName,
    /// How many containers are on it.
    users: usize,
    /// Why it is not served, in a sentence and a hint.
    failure: Option<String>,
    /// The server was not told of it yet, or of what it was before.
    stale: bool,
}

/// A container's records.
struct Records {
    member: Member,
    networks: Vec<Network>,
}

impl Names {
    /// Reads all that there is.
    pub(crate) fn open(store: Store, server: Arc<Handle>) -> Result<Self, StoreError> {
        let mut names = Self {
            store,
            server,
            members: HashMap::new(),
            networks: HashMap::new(),
            gone: HashMap::new(),
            version: None,
        };
        names.refresh()?;
        Ok(names)
    }

    /// Whether nobody needs names.
    pub(crate) fn is_idle(&self) -> bool {
        !self.networks.values().any(|network| network.names.enabled)
    }

    /// How many containers have names, and on how many networks.
    pub(crate) fn count(&self) -> (usize, usize) {
        let enabled = self.networks.values().filter(|network| network.names.enabled).count();
        (self.members.len(), enabled)
    }

    /// The networks with names, by name, those first that are not served.
    pub(crate) fn list(&self) -> Vec<ServedNetwork> {
        let enabled = self.networks.values().filter(|network| network.names.enabled);
        let one = |network: &Served| ServedNetwork {
            name: network.names.name.clone(),
            bridge: network.bridge.to_string(),
            containers: network.users,
            failure: network.failure.clone(),
        };
        let mut list: Vec<_> = enabled.map(one).collect();
        list.sort_by(|a, b| (a.failure.is_none(), &a.name).cmp(&(b.failure.is_none(), &b.name)));
        list
    }

    /// Other servers that are asked, and how many questions came; nothing once the server has ended.
    pub(crate) fn statistics(&self) -> Statistics {
        self.server.statistics().unwrap_or_default()
    }

    /// What cannot be served, in sentences.
    pub(crate) fn failures(&self) -> Vec<String> {
        self.networks.values().filter_map(|network| network.failure.clone()).collect()
    }

    /// Reads everything again if anything has changed since that was done last.
    pub(crate) fn refresh(&mut self) -> Result<(), StoreError> {
        let version = self.store.version()?;
        if Some(version) == self.version {
            return Ok(());
        }
        let gone = &mut self.gone;
        let (ids, all) = self.store.read(|tx| -> Result<_, StoreError> {
            let (sandboxes, mut all) = (tx.sandboxes()?, Vec::new());
            let known: HashSet<&SandboxId> = sandboxes.iter().map(|sandbox| &sandbox.id).collect();
            gone.retain(|_, owner| known.contains(owner));
            for sandbox in &sandboxes {
                all.extend(records(tx, sandbox, gone)?);
            }
            let ids: HashSet<SandboxId> =
                all.iter().map(|one: &Records| one.member.sandbox.clone()).collect();
            Ok((ids, all))
        })?;
        let vanished: Vec<SandboxId> = self.members.keys().filter(|id| !ids.contains(*id)).cloned().collect();
        vanished.iter().for_each(|id| self.forget(id));
        self.set(all);
        self.version = Some(version);
        Ok(())
    }

    /// Reads again what a command says that it has changed; says what of it cannot be served.
    pub(crate) fn heed(&mut self, notice: &Notice) -> Result<Vec<String>, StoreError> {
        let concerned: Vec<SandboxId> = match notice {
            Notice::Member(id) => vec![id.clone()],
            Notice::Network(id) => self.members_of(id)?,
        };
        concerned.iter().try_for_each(|id| self.read_again(id))?;
        let networks =
            concerned.iter().filter_map(|id| self.members.get(id)).flat_map(|member| &member.places);
        let failures: HashSet<String> =
            networks.filter_map(|place| self.networks.get(&place.network)?.failure.clone()).collect();
        Ok(failures.into_iter().collect())
    }

    /// Reads again what a command says of a container. Links that it has made again are not gone any more.
    fn read_again(&mut self, id: &SandboxId) -> Result<(), StoreError> {
        self.gone.retain(|link, owner| owner != id || !exists(link));
        self.read(id)
    }

    /// Reads one container's records again.
    fn read(&mut self, id: &SandboxId) -> Result<(), StoreError> {
        let gone = &self.gone;
        let found = self.store.read(|tx| match tx.sandbox(id)? {
            Some(sandbox) => records(tx, &sandbox, gone),
            None => Ok(None),
        })?;
        match found {
            Some(found) => self.set([found]),
            None => self.forget(id),
        }
        Ok(())
    }

    /// Those who are, or were, on a network.
    fn members_of(&self, id: &NetworkId) -> Result<Vec<SandboxId>, StoreError> {
        let endpoints = self.store.read(|tx| tx.endpoints_of_network(id))?;
        let mut concerned: HashSet<SandboxId> =
            endpoints.into_iter().map(|endpoint| endpoint.sandbox).collect();
        let on = |member: &&Member| member.places.iter().any(|place| place.network == *id);
        concerned.extend(self.members.values().filter(on).map(|member| member.sandbox.clone()));
        Ok(concerned.into_iter().collect())
    }

    /// Takes records in. Networks are served last: whoever asks there is told of all who are on it from the first answer
    /// on, and never that there is no such name.
    fn set(&mut self, all: impl IntoIterator<Item = Records>) {
        for Records { member, networks } in all {
            networks.iter().for_each(|network| self.note(network));
            self.set_member(member);
        }
        self.withdraw_unused();
        for network in self.networks.values_mut().filter(|network| network.stale) {
            network.serve(&self.server);
        }
    }

    fn note(&mut self, network: &Network) {
        let (names, bridge) = (describe(network), network.bridge_name.clone());
        match self.networks.get_mut(&network.id) {
            Some(known) if known.names == names && known.bridge == bridge => {}
            Some(known) => (known.names, known.bridge, known.stale) = (names, bridge, true),
            None => {
                let served = Served { names, bridge, users: 0, failure: None, stale: true };
                self.networks.insert(network.id.clone(), served);
            }
        }
    }

    fn set_member(&mut self, member: Member) {
        if self.members.get(&member.sandbox) == Some(&member) {
            return;
        }
        self.count_on(&member, 1);
        self.server.set_member(member.clone());
        if let Some(before) = self.members.insert(member.sandbox.clone(), member) {
            self.count_on(&before, -1);
        }
    }

    fn count_on(&mut self, member: &Member, change: isize) {
        for place in &member.places {
            if let Some(network) = self.networks.get_mut(&place.network) {
                network.users = network.users.saturating_add_signed(change);
            }
        }
    }

    fn forget(&mut self, id: &SandboxId) {
        let Some(member) = self.members.remove(id) else { return };
        self.server.remove_member(id);
        self.count_on(&member, -1);
        self.withdraw_unused();
    }

    fn withdraw_unused(&mut self) {
        let server = &self.server;
        self.networks.retain(|id, network| {
            if network.users == 0 {
                // It fails only when the server has ended, and then nothing is served.
                let _ = server.withdraw(id);
            }
            network.users > 0
        });
    }

    /// Tries to serve what could not be: somebody may have let go of the port.
    pub(crate) fn retry(&mut self) {
        for network in self.networks.values_mut().filter(|network| network.failure.is_some()) {
            network.serve(&self.server);
        }
    }

    /// Serves a network anew whose bridge was made anew.
    pub(crate) fn bridge_appeared(&mut self, bridge: &str) {
        for network in self.networks.values_mut().filter(|network| network.bridge.as_str() == bridge) {
            network.serve(&self.server);
        }
    }

    /// Notes that an endpoint's link is gone: whose it was is told of no more. Of one without records, the command that
    /// took it away tells.
    pub(crate) fn link_gone(&mut self, link: IfName, endpoint: &EndpointId) -> Result<(), StoreError> {
        let Some(endpoint) = self.store.read(|tx| tx.endpoint(endpoint))? else { return Ok(()) };
        self.gone.insert(link, endpoint.sandbox.clone());
        self.read(&endpoint.sandbox)
    }

    /// Notes that a link is there again.
    pub(crate) fn link_came_back(&mut self, link: &IfName) -> Result<(), StoreError> {
        self.gone.remove(link).map_or(Ok(()), |owner| self.read(&owner))
    }
}

/// Whether the host has a link of that name.
pub(crate) fn exists(link: &IfName) -> bool {
    datagram::index_of(link).is_ok()
}

impl Served {
    /// Has the server serve it as it is now.
    fn serve(&mut self, server: &Handle) {
        self.failure = match server.serve(self.names.clone(), &self.bridge) {
            // Answers that are too long for a datagram cannot be had then.
            Ok(served) => served.without.first().map(as_warning),
            Err(error) => Some(as_warning(&error)),
        };
        self.stale = false;
    }
}

fn describe(network: &Network) -> NetworkNames {
    let gateways = network.pools().filter(|pool| network.bridge_has_address(pool)).map(|pool| pool.gateway);
    NetworkNames {
        id: network.id.clone(),
        name: network.name.to_string(),
        internal: network.internal,
        enabled: network.has_names(),
        subnets: network.pools().map(|pool| pool.subnet).collect(),
        gateways: gateways.collect(),
    }
}

/// A container's records, if it is on a network with names.
fn records(
    tx: &Tx<'_>,
    sandbox: &Sandbox,
    gone: &HashMap<IfName, SandboxId>,
) -> Result<Option<Records>, StoreError> {
    let mut found: Vec<(Endpoint, Network)> = Vec::new();
    for endpoint in tx.endpoints_of_sandbox(&sandbox.id)? {
        if endpoint.state != EndpointState::Attached || gone.contains_key(&endpoint.host_ifname) {
            continue;
        }
        let network = tx.network(&endpoint.network)?;
        found.extend(
            network.filter(|network| network.driver == Driver::Bridge).map(|network| (endpoint, network)),
        );
    }
    if !found.iter().any(|(_, network)| network.has_names()) {
        return Ok(None);
    }
    // As they stand for election: so the first answer is the address that is most likely reached.
    found.sort_by(|(a, on_a), (b, on_b)| {
        b.gw_priority.cmp(&a.gw_priority).then_with(|| on_a.name.cmp(&on_b.name))
    });
    let process = &sandbox.process;
    let place = |(endpoint, _): &(Endpoint, Network)| Place {
        network: endpoint.network.clone(),
        v4: endpoint.v4,
        v6: endpoint.v6,
        aliases: endpoint.aliases.clone(),
        links: endpoint.links.iter().map(|link| (link.alias.clone(), link.name.clone())).collect(),
    };
    let member = Member {
        sandbox: sandbox.id.clone(),
        name: sandbox.name.to_string(),
        short_id: sandbox.id.short().to_owned(),
        hostname: (!process.hostname.is_empty()).then(|| process.hostname.clone()),
        places: found.iter().map(place).collect(),
        servers: process.dns.iter().map(|server| SocketAddr::new(*server, PORT)).collect(),
    };
    Ok(Some(Records { member, networks: found.into_iter().map(|(_, network)| network).collect() }))
}
