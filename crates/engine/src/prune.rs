//! Taking away what is not used, and in the end everything.

use std::collections::BTreeSet;

use pontoon_kernel::execute::{Refusal, carries_prefix};
use pontoon_kernel::link;
use pontoon_model::network::Driver;
use pontoon_model::op::{NftOp, SysctlOp};
use pontoon_model::{Netns, Network};
use pontoon_netlink::link::{DelLink, DumpLinks, Link};
use pontoon_plan::{Plan, ruleset};
use pontoon_store::{Subject, Tx};

use crate::furnish::{MADE, NETNS_FILES};
use crate::network::{kept, user_rules};
use crate::{Engine, EngineError, Mode, Outcome, notice, resolve, segment};

impl Engine {
    /// Removes the networks that no container is on and that `wanted` agrees to; the default network stays.
    ///
    /// # Errors
    ///
    /// If the kernel refuses; networks that were removed before stay removed.
    pub fn network_prune(
        &mut self,
        wanted: impl Fn(&Network) -> bool,
    ) -> Result<Outcome<Vec<Network>>, EngineError> {
        self.reap()?;
        let mut pruned = Outcome { value: Vec::new(), plan: Plan::default() };
        for network in self.store.read(|tx| tx.networks())? {
            if network.name.as_str() == crate::network::DEFAULT
                || network.driver != Driver::Bridge
                || !wanted(&network)
            {
                continue;
            }
            self.forget_gone(&network)?;
            match self.network_remove(network.name.as_str()) {
                Ok(removed) => {
                    pruned.plan.append(removed.plan);
                    pruned.value.push(network);
                }
                // In use, or somebody else was faster: neither is to be pruned.
                Err(EngineError::NetworkInUse { .. } | EngineError::NoNetwork { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(pruned)
    }

    /// Removes everything that is not in use: networks (the default one too), links and rules of ours that no record
    /// knows, and when no network is left the rules and switches.
    ///
    /// # Errors
    ///
    /// If the kernel refuses.
    pub fn system_prune(&mut self) -> Result<Outcome<Vec<String>>, EngineError> {
        let networks = self.network_prune(|_| true)?;
        let mut plan = networks.plan;
        let mut removed = networks.value;
        if self.store.read(|tx| tx.network_by_name(crate::network::DEFAULT))?.is_some() {
            match self.network_remove(crate::network::DEFAULT) {
                Ok(last) => {
                    removed.push(last.value);
                    plan.append(last.plan);
                }
                // In use, or somebody else was faster.
                Err(EngineError::NetworkInUse { .. } | EngineError::NoNetwork { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let mut gone: Vec<String> =
            removed.iter().map(|network| format!("network {}", network.name)).collect();
        self.forget_lost_cables()?;
        // From here on nobody attaches anything, so that what no record knows is known to nobody.
        let guard = self.exclusive()?;
        gone.extend(self.remove_leaked()?);
        let left = self.store.read(|tx| tx.networks())?;
        // On a dry run, what would be removed is still there; by its id, since the name may be another's by now.
        let in_use = left.iter().any(|network| !removed.iter().any(|gone| gone.id == network.id));
        if !in_use {
            let rest = self.switch_back()?;
            gone.extend(rest.ops().filter_map(|op| match op {
                pontoon_model::Op::Sysctl(op) => {
                    Some(format!("setting {} (back to {})", op.key.replace('/', "."), op.value))
                }
                _ => None,
            }));
            plan.append(rest);
            let released = self.release_firewalls()?;
            gone.extend(released.value.places.into_iter().map(|place| format!("rules in {place}")));
            plan.append(released.plan);
        }
        if self.mode == Mode::Apply {
            // Where none runs, or it does not listen, nothing is to be done.
            let _ = notice::end(&self.root, &notice::Request::Rest);
        }
        drop(guard);
        Ok(Outcome { value: gone, plan })
    }

    /// Forgets cables of which no end is there any more.
    fn forget_lost_cables(&mut self) -> Result<(), EngineError> {
        for cable in self.store.read(|tx| tx.cables())? {
            let mut there = false;
            for end in &cable.ends {
                let sandbox = match &end.sandbox {
                    Some(id) => self.store.read(|tx| tx.sandbox(id))?,
                    None => None,
                };
                let netns = sandbox.as_ref().map_or(Netns::Host, resolve::netns);
                there |= match self.executor.link(&netns, end.ifname.as_str()) {
                    Ok(link) => link.and_then(|link| link.mac).is_some_and(|mac| mac.0 == end.mac.octets()),
                    Err(Refusal::Gone(_)) => false,
                    Err(error) => return Err(error.into()),
                };
            }
            if !there && self.mode == Mode::Apply {
                self.forget_lost(&Subject::Cable(cable.id.clone()))?;
            }
        }
        Ok(())
    }

    /// Removes links with our mark that no record knows.
    fn remove_leaked(&mut self) -> Result<Vec<String>, EngineError> {
        let mut gone = Vec::new();
        for (index, name) in self.leaked()? {
            if self.mode == Mode::Apply {
                match link::delete(self.executor.host(), &DelLink::One(index.into())) {
                    Err(error) if !error.is_not_found() => return Err(error.into()),
                    _ => {}
                }
            }
            gone.push(format!("link {name}"));
        }
        Ok(gone)
    }

    /// Links with our mark that no record knows, by name. What is just being made may be among them, where the caller
    /// does not hold the writers' lock.
    pub(crate) fn leaked_links(&mut self) -> Result<Vec<String>, EngineError> {
        Ok(self.leaked()?.into_iter().map(|(_, name)| name).collect())
    }

    fn leaked(&mut self) -> Result<Vec<(pontoon_netlink::link::LinkIndex, String)>, EngineError> {
        let prefix = self.instance().mark_prefix();
        // Links first: whatever is made after them is in the records that are read then.
        let links = link::list(self.executor.host(), &DumpLinks::default())?;
        let known = self.store.read(known_links)?;
        let leaked =
            links.into_iter().filter(|link| carries_prefix(link, &prefix) && !known.contains(&link.name));
        Ok(leaked.map(|link| (link.index, link.name)).collect())
    }

    /// Takes the table away and sets the host's switches back to what they were.
    fn switch_back(&mut self) -> Result<Plan, EngineError> {
        let mut plan = Plan::default();
        let instance = self.instance().clone();
        let tables = [instance.table(), instance.guard_table()];
        if self.executor.has_table(&tables[0])? || self.executor.has_table(&tables[1])? {
            match user_rules(&mut self.executor, &instance, self.mode == Mode::DryRun)? {
                0 => {
                    let commands = ruleset::remove_table(&instance);
                    plan.push(NftOp { commands }, "no network is left that needs rules");
                }
                // It may have been said with the last network.
                rules => {
                    let said = kept(&instance, rules);
                    if !self.warnings.contains(&said) {
                        self.warn(said);
                    }
                }
            }
        }
        let others = self.other_users_of_forwarding()?;
        for (key, value) in self.store.read(|tx| tx.sysctls())? {
            if let Some(other) = &others {
                self.warn(format!("{} stays as it is: {other} may count on it", key.replace('/', ".")));
                continue;
            }
            let why = format!("{key} was {value} before the first network needed it");
            plan.push(SysctlOp { netns: Netns::Host, key, value, previous: None }, why);
        }
        if self.mode == Mode::DryRun {
            return Ok(plan);
        }
        self.executor.run(&plan.steps)?;
        self.store.transaction(|tx| {
            if tx.meta_get(NETNS_FILES)?.as_deref() == Some(MADE) {
                // Somebody else's files in it keep it.
                let _ = std::fs::remove_dir(NETNS_FILES);
                tx.meta_set(NETNS_FILES, "")?;
            }
            // What was not switched back is still to be.
            let kept = others.is_some();
            tx.sysctls()?.iter().filter(|_| !kept).try_for_each(|(key, _)| tx.sysctl_forget(key))
        })?;
        Ok(plan)
    }

    /// A link that tells of somebody else whose containers need a forwarding host.
    fn other_users_of_forwarding(&mut self) -> Result<Option<String>, EngineError> {
        let own = self.instance().mark_prefix();
        let links = link::list(self.executor.host(), &DumpLinks::default())?;
        let other_pontoon = |link: &Link| carries_prefix(link, "pontoon") && !carries_prefix(link, &own);
        let engine = |link: &Link| ENGINES.iter().any(|name| link.name.starts_with(name));
        let found = links.into_iter().find(|link| other_pontoon(link) || engine(link));
        Ok(found.map(|link| format!("whoever made {}", link.name)))
    }
}

/// What the bridges of other engines are called: Docker's, Podman's, CNI's, libvirt's.
const ENGINES: [&str; 4] = ["docker", "podman", "cni", "virbr"];

/// The links that records know, by name.
fn known_links(tx: &Tx<'_>) -> Result<BTreeSet<String>, EngineError> {
    let mut known = BTreeSet::new();
    for network in tx.networks()? {
        let endpoints = tx.endpoints_of_network(&network.id)?;
        known.extend(endpoints.into_iter().map(|endpoint| endpoint.host_ifname.to_string()));
        for segment in segment::laid(tx, &network)? {
            known.extend([segment.bridge, segment.trunk, segment.uplink].map(String::from));
        }
        known.insert(network.bridge_name.into());
    }
    known.extend(tx.cables()?.into_iter().flat_map(|cable| cable.ends).map(|end| end.ifname.into()));
    Ok(known)
}
