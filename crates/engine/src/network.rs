//! Networks: define, make, restore, remove.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use pontoon_kernel::execute::{Executor, Refusal};
use pontoon_model::endpoint::EndpointState;
use pontoon_model::network::{AddressPool, Driver};
use pontoon_model::observed::AddressSpace;
use pontoon_model::op::{Op, SysctlOp};
use pontoon_model::option::{BridgeOptions, GatewayMode};
use pontoon_model::subnet::{self, Family};
use pontoon_model::{Endpoint, Netns, Network, NetworkId, NetworkName, Sandbox};
use pontoon_plan::ipam;
use pontoon_plan::network::{Others, Table, create};
use pontoon_plan::publish::Published;
use pontoon_plan::ruleset::USER_CHAINS;
use pontoon_plan::{Instance, Plan};
use pontoon_store::{Recovery, StoreError, Subject, Tx};

use crate::connect::Candidates;
use crate::error::DefinitionError;
use crate::journal::{Prepared, random};
use crate::publish::PortHost;
use crate::time::now;
use crate::{Engine, EngineError, Mode, Outcome, resolve, segment};

/// What `network create` was given.
#[derive(Debug, Clone, Default)]
pub struct NetworkSpec {
    /// Its name.
    pub name: String,
    /// The driver's name; empty means `bridge`.
    pub driver: String,
    /// Subnets, of either family.
    pub subnets: Vec<String>,
    /// Gateways.
    pub gateways: Vec<String>,
    /// Ranges to give addresses out from.
    pub ranges: Vec<String>,
    /// Addresses that something else has, by name.
    pub aux: BTreeMap<String, String>,
    /// Whether it has IPv4; yes unless said otherwise.
    pub ipv4: Option<bool>,
    /// Whether it has IPv6; no unless said otherwise.
    pub ipv6: Option<bool>,
    /// Whether there is no way out.
    pub internal: bool,
    /// Kept for Docker's sake.
    pub attachable: bool,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Options.
    pub options: BTreeMap<String, String>,
    /// Whether a subnet may overlap with what is there.
    pub allow_overlap: bool,
}

/// How long endpoints may take to go: the kernel lets go of links after about 22 ms, of held ones after 150.
const DETACHING: Duration = Duration::from_secs(2);

/// The name of the network that is used when none is named.
pub const DEFAULT: &str = "bridge";

/// The networks that are always there: `host` and `none`.
pub fn builtins() -> Vec<Network> {
    vec![builtin("host", Driver::Host), builtin("none", Driver::Null)]
}

/// A builtin's id is made of its name, so that it is the same everywhere.
fn builtin(name: &str, driver: Driver) -> Network {
    let mut bytes = [0; 32];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = name.as_bytes()[index % name.len()];
    }
    let id = NetworkId::from_bytes(bytes);
    Network {
        name: name.parse().expect("constant"),
        driver,
        created: String::from("1970-01-01T00:00:00.000000000Z"),
        internal: false,
        attachable: false,
        labels: BTreeMap::new(),
        options: BTreeMap::new(),
        bridge: BridgeOptions::default(),
        v4: None,
        v6: None,
        bridge_name: Network::default_bridge_name(&id),
        bridge_mac: Network::derived_bridge_mac(&id),
        builtin: true,
        id,
    }
}

/// A spec after everything that can be checked without looking at the host.
struct Checked {
    name: NetworkName,
    bridge: BridgeOptions,
    v4: Option<PoolSpec>,
    v6: Option<PoolSpec>,
}

/// What was said about one family's addresses.
#[derive(Default)]
pub(crate) struct PoolSpec {
    pub(crate) subnet: Option<IpNet>,
    pub(crate) gateway: Option<IpAddr>,
    pub(crate) range: Option<IpNet>,
    aux: BTreeMap<String, IpAddr>,
}

impl Engine {
    /// Makes a bridge network.
    ///
    /// # Errors
    ///
    /// If the definition is wrong or collides with what is there; if the kernel refuses, after undoing everything.
    pub fn network_create(&mut self, spec: &NetworkSpec) -> Result<Outcome<Network>, EngineError> {
        let checked = check(spec)?;
        let guard = self.exclusive()?;
        let made = self.create_checked(spec, checked).map(|made| self.let_through(made));
        drop(guard);
        made
    }

    fn create_checked(
        &mut self,
        spec: &NetworkSpec,
        checked: Checked,
    ) -> Result<Outcome<Network>, EngineError> {
        let space = self.address_space()?;
        let switches = self.switches(checked.v6.is_some())?;
        let (instance, blocks) = (self.instance().clone(), self.config.default_address_pools.clone());
        let id = NetworkId::from_bytes(random()?);
        self.change(
            |at| {
                let taken = names_and_subnets(at.tx)?;
                if at.tx.network_by_name(&spec.name)?.is_some()
                    || builtins().iter().any(|other| other.name == checked.name)
                {
                    return Err(EngineError::NetworkExists(spec.name.clone()));
                }
                let chooser = Chooser {
                    blocks: &blocks,
                    space: &space,
                    taken: &taken,
                    allow_overlap: spec.allow_overlap,
                };
                let network = chooser.network(&instance, spec, checked, id)?;
                // One whose bridge somebody deleted still has the name, and elements in the table under it.
                let reserved = at.tx.networks()?.iter().any(|other| other.bridge_name == network.bridge_name);
                let name = network.bridge_name.as_str();
                if reserved || at.executor.link(&Netns::Host, name)?.is_some() {
                    return Err(EngineError::BridgeTaken(network.bridge_name.into()));
                }
                at.tx.network_put(&network)?;
                // Until it is made, nobody may use it.
                at.tx.network_mark_removing(&network.id)?;
                let held = Held::of(at.tx, &network)?;
                let plan = held.with(|others| create(&instance, &network, others, &switches));
                remember_switches(at.tx, &plan)?;
                let subject = Subject::Network(network.id.clone());
                let what = format!("create network {}", network.name);
                Ok(Prepared { value: network, plan, subject, recovery: Recovery::Undo, what })
            },
            |tx, network| Ok(tx.network_clear_removing(&network.id)?),
        )
    }

    /// The network that is meant, making the default one if it is that and not there yet; with the steps that made it.
    ///
    /// # Errors
    ///
    /// If there is none, or the default one cannot be made.
    pub fn network_or_default(&mut self, name: &str) -> Result<Outcome<Network>, EngineError> {
        let found = |value| Outcome { value, plan: Plan::default() };
        match self.store.read(|tx| resolve::network(tx, name)) {
            Err(EngineError::NoNetwork { .. }) if name == DEFAULT => {
                let spec = NetworkSpec { name: DEFAULT.to_owned(), ..NetworkSpec::default() };
                match self.network_create(&spec) {
                    // Somebody else was faster.
                    Err(EngineError::NetworkExists(_)) => {
                        self.store.read(|tx| resolve::network(tx, name)).map(found)
                    }
                    made => made,
                }
            }
            network => network.map(found),
        }
    }

    /// Takes a network away.
    ///
    /// # Errors
    ///
    /// If there is none, it is always there, or it has endpoints.
    pub fn network_remove(&mut self, name: &str) -> Result<Outcome<Network>, EngineError> {
        let found = self.store.read(|tx| resolve::network(tx, name))?;
        if found.builtin {
            return Err(EngineError::Builtin(found.name.into(), "removed"));
        }
        let users = self.users(&found)?;
        if !users.is_empty() && self.mode == Mode::Apply {
            self.await_detaching(&found)?;
            self.forget_gone(&found)?;
        }
        let guard = self.exclusive()?;
        let instance = self.instance().clone();
        let removed = self.change(
            |at| {
                let network = resolve::network(at.tx, name)?;
                let users = user_names(at.tx, &network)?;
                if !users.is_empty() {
                    return Err(EngineError::NetworkInUse { network: network.name.into(), users });
                }
                at.tx.network_mark_removing(&network.id)?;
                let last = at
                    .tx
                    .networks()?
                    .iter()
                    .all(|other| other.id == network.id || other.driver != Driver::Bridge);
                let rules = if last { user_rules(at.executor, &instance, at.rehearsing)? } else { 0 };
                let table = match (last, rules) {
                    (false, _) => Table::Needed,
                    (true, 0) => Table::Unneeded,
                    (true, rules) => Table::Yours(rules),
                };
                if rules > 0 {
                    at.warnings.push(kept(&instance, rules));
                }
                let laid = segment::laid(at.tx, &network)?;
                let plan = pontoon_plan::network::remove(&instance, &network, &laid, table);
                let subject = Subject::Network(network.id.clone());
                let what = format!("remove network {}", network.name);
                Ok(Prepared { value: network, plan, subject, recovery: Recovery::Finish, what })
            },
            |tx, network| {
                segment::forget(tx, network)?;
                Ok(tx.network_delete(&network.id)?)
            },
        );
        drop(guard);
        removed
    }

    /// Waits, for a while, until the endpoints are gone that are on their way out: those of containers that ended
    /// just now.
    fn await_detaching(&self, network: &Network) -> Result<(), EngineError> {
        let start = Instant::now();
        let leaving = |endpoint: &Endpoint| endpoint.state == EndpointState::Detaching;
        while start.elapsed() < DETACHING
            && self.store.read(|tx| tx.endpoints_of_network(&network.id))?.iter().any(leaving)
        {
            std::thread::sleep(Duration::from_millis(4));
        }
        Ok(())
    }

    /// Notices that somebody took the table away, as `nft flush ruleset` does, and brings it back.
    ///
    /// # Errors
    ///
    /// If the kernel refuses.
    pub(crate) fn mend_rules(&mut self) -> Result<Plan, EngineError> {
        if self.has_table()? { Ok(Plan::default()) } else { self.bring_back_rules() }
    }

    /// The names of the containers on a network.
    ///
    /// # Errors
    ///
    /// If the state cannot be read.
    pub fn users(&self, network: &Network) -> Result<Vec<String>, EngineError> {
        self.store.read(|tx| user_names(tx, network))
    }
}

/// What the tables hold: if they are made anew, it is with that.
struct Held {
    networks: Vec<Network>,
    endpoints: Vec<Endpoint>,
    containers: Vec<(Sandbox, Candidates)>,
}

impl Held {
    /// All networks with a bridge but `except`, all endpoints, and all containers with published ports.
    fn of(tx: &Tx<'_>, except: &Network) -> Result<Self, EngineError> {
        let mut networks = tx.networks()?;
        networks.retain(|other| other.id != except.id && other.driver == Driver::Bridge);
        let mut containers = Vec::new();
        for sandbox in tx.sandboxes()?.into_iter().filter(|sandbox| !sandbox.ports.is_empty()) {
            let known = Candidates::of(tx, &sandbox)?;
            containers.push((sandbox, known));
        }
        Ok(Self { networks, endpoints: endpoints(tx)?, containers })
    }

    fn with<T>(&self, body: impl FnOnce(&Others<'_>) -> T) -> T {
        let host = PortHost::default();
        let published: Vec<(String, Published<'_>)> = self
            .containers
            .iter()
            .map(|(sandbox, known)| (sandbox.name.to_string(), known.published(&sandbox.ports, &host)))
            .collect();
        body(&Others { networks: &self.networks, endpoints: &self.endpoints, published: &published })
    }
}

/// All endpoints that have, or may have, a port.
fn endpoints(tx: &Tx<'_>) -> Result<Vec<Endpoint>, StoreError> {
    let mut all = Vec::new();
    for network in tx.networks()? {
        all.extend(tx.endpoints_of_network(&network.id)?);
    }
    Ok(all)
}

/// How many rules the administrator has in the chains that are his.
///
/// # Errors
///
/// If the kernel does not tell. A plan to look at does not fail for that.
pub(crate) fn user_rules(
    executor: &mut Executor,
    instance: &Instance,
    rehearsing: bool,
) -> Result<usize, EngineError> {
    match executor.count_rules(&instance.table(), &USER_CHAINS) {
        Err(Refusal::Kernel(error)) if error.is_denied() && rehearsing => Ok(0),
        counted => Ok(counted?),
    }
}

/// What is said when the table stays for the administrator's rules.
pub(crate) fn kept(instance: &Instance, rules: usize) -> String {
    let table = instance.table();
    let what =
        if rules == 1 { "a rule of yours is".to_owned() } else { format!("{rules} rules of yours are") };
    let [forward, input] = USER_CHAINS;
    format!(
        "table {table} stays: {what} in {forward} and {input} (`nft delete table {table}` takes all of it away)"
    )
}

/// Remembers what the plan's switches were before, so that a prune can switch them back.
pub(crate) fn remember_switches(tx: &Tx<'_>, plan: &Plan) -> Result<(), StoreError> {
    plan.ops().try_for_each(|op| match op {
        Op::Sysctl(SysctlOp { key, previous: Some(previous), .. }) => tx.sysctl_remember(key, previous),
        _ => Ok(()),
    })
}

fn user_names(tx: &Tx<'_>, network: &Network) -> Result<Vec<String>, EngineError> {
    let mut names = Vec::new();
    for endpoint in tx.endpoints_of_network(&network.id)? {
        let sandbox = tx.sandbox(&endpoint.sandbox)?;
        names
            .push(sandbox.map_or_else(|| endpoint.sandbox.short().to_owned(), |sandbox| sandbox.name.into()));
    }
    Ok(names)
}

pub(crate) fn names_and_subnets(tx: &Tx<'_>) -> Result<Vec<(NetworkName, IpNet)>, StoreError> {
    let pairs = |network: Network| {
        let name = network.name.clone();
        network.pools().map(|pool| (name.clone(), pool.subnet)).collect::<Vec<_>>()
    };
    Ok(tx.networks()?.into_iter().flat_map(pairs).collect())
}

fn check(spec: &NetworkSpec) -> Result<Checked, EngineError> {
    let name: NetworkName = spec.name.parse()?;
    if !matches!(spec.driver.as_str(), "" | "bridge") {
        return Err(DefinitionError::Driver(spec.driver.clone()).into());
    }
    let bridge = BridgeOptions::parse(&spec.options)?;
    let isolated = [bridge.gateway_mode_v4, bridge.gateway_mode_v6].contains(&GatewayMode::Isolated);
    if isolated && !spec.internal {
        return Err(DefinitionError::IsolatedOutside.into());
    }
    let (v4, v6) = check_pools(spec)?;
    match bridge.mtu {
        Some(mtu) if v6.is_some() && mtu < 1280 => Err(DefinitionError::SmallMtu(mtu).into()),
        _ => Ok(Checked { name, bridge, v4, v6 }),
    }
}

/// Sorts subnets, gateways, ranges and auxiliary addresses to their families.
pub(crate) fn check_pools(spec: &NetworkSpec) -> Result<(Option<PoolSpec>, Option<PoolSpec>), EngineError> {
    let subnets = spec.subnets.iter().map(|text| subnet::parse(text)).collect::<Result<Vec<_>, _>>()?;
    let has_v6_subnet = subnets.iter().any(|subnet| subnet.addr().is_ipv6());
    // As Docker: an IPv6 subnet does not switch IPv6 on, and is refused below; saying nothing is not saying no.
    let wants_v4 = spec.ipv4.unwrap_or(true);
    let wants_v6 = spec.ipv6.unwrap_or(has_v6_subnet);
    let mut v4 = wants_v4.then(PoolSpec::default);
    let mut v6 = wants_v6.then(PoolSpec::default);
    if v4.is_none() && v6.is_none() {
        return Err(DefinitionError::NoFamily.into());
    }
    for subnet in &subnets {
        let (family, pool) = if subnet.addr().is_ipv4() { ("IPv4", &mut v4) } else { ("IPv6", &mut v6) };
        let pool = pool.as_mut().ok_or(DefinitionError::FamilyOff(*subnet, family))?;
        if pool.subnet.replace(*subnet).is_some() {
            let count =
                subnets.iter().filter(|other| other.addr().is_ipv4() == subnet.addr().is_ipv4()).count();
            return Err(DefinitionError::Subnets(count, family).into());
        }
    }
    let mut place = |what: &'static str, text: &str, at: IpAddr, put: &dyn Fn(&mut PoolSpec)| {
        let pool = if at.is_ipv4() { &mut v4 } else { &mut v6 };
        // Without a subnet of its own, a family's pool is picked, and nothing can be said about its inside.
        match pool.as_mut().filter(|pool| pool.subnet.is_some_and(|subnet| subnet.contains(&at))) {
            Some(pool) => {
                put(pool);
                Ok(())
            }
            None => Err(DefinitionError::Stray { what, value: text.to_owned() }),
        }
    };
    for text in &spec.gateways {
        let gateway = address("gateway", text)?;
        place("gateway", text, gateway, &|pool| pool.gateway = Some(gateway))?;
    }
    for text in &spec.ranges {
        let range = subnet::parse_range(text)?;
        place("range", text, range.addr(), &|pool| pool.range = Some(range))?;
    }
    for (name, text) in &spec.aux {
        let aux = address("auxiliary address", text)?;
        place("auxiliary address", text, aux, &|pool| {
            pool.aux.insert(name.clone(), aux);
        })?;
    }
    Ok((v4, v6))
}

fn address(what: &'static str, text: &str) -> Result<IpAddr, DefinitionError> {
    text.parse().map_err(|_| DefinitionError::NotAnAddress { what, value: text.to_owned() })
}

/// Everything that subnets are chosen by.
struct Chooser<'a> {
    blocks: &'a [pontoon_model::config::PoolBlock],
    space: &'a AddressSpace,
    taken: &'a [(NetworkName, IpNet)],
    allow_overlap: bool,
}

impl Chooser<'_> {
    fn network(
        &self,
        instance: &Instance,
        spec: &NetworkSpec,
        checked: Checked,
        id: NetworkId,
    ) -> Result<Network, EngineError> {
        let v4 = checked.v4.map(|pool| self.pool(pool, Family::V4, &id)).transpose()?;
        let v6 = checked.v6.map(|pool| self.pool(pool, Family::V6, &id)).transpose()?;
        let fixed = instance.default_bridge().filter(|_| spec.name == DEFAULT);
        let named = checked.bridge.name.clone().or_else(|| fixed.and_then(|name| name.parse().ok()));
        Ok(Network {
            name: checked.name,
            driver: Driver::Bridge,
            created: now(),
            internal: spec.internal,
            attachable: spec.attachable,
            labels: spec.labels.clone(),
            options: spec.options.clone(),
            bridge: checked.bridge,
            v4,
            v6,
            bridge_name: named.unwrap_or_else(|| Network::default_bridge_name(&id)),
            bridge_mac: Network::derived_bridge_mac(&id),
            builtin: false,
            id,
        })
    }

    fn pool(&self, spec: PoolSpec, family: Family, id: &NetworkId) -> Result<AddressPool, EngineError> {
        let subnet = match spec.subnet {
            Some(subnet) if self.allow_overlap => subnet,
            Some(subnet) => {
                ipam::check_subnet(subnet, self.blocks, self.space, self.taken)?;
                subnet
            }
            // Nobody runs out of unique local addresses: unless blocks are configured, the id makes the subnet.
            None if family == Family::V6 && !self.blocks.iter().any(|block| block.base.addr().is_ipv6()) => {
                ipam::choose_ula_subnet(id, self.space, self.taken)?
            }
            None => ipam::choose_subnet(family, self.blocks, self.space, self.taken)?,
        };
        Ok(ipam::check_pool(subnet, spec.range, spec.gateway, spec.aux)?)
    }
}
