//! Taking away what is not used, and in the end everything.

use std::collections::BTreeSet;

use pontoon_kernel::execute::carries_prefix;
use pontoon_kernel::link;
use pontoon_model::network::Driver;
use pontoon_model::op::{NftOp, SysctlOp};
use pontoon_model::{Netns, Network};
use pontoon_netlink::link::{DelLink, DumpLinks};
use pontoon_plan::{Plan, ruleset};

use crate::furnish::{MADE, NETNS_FILES};
use crate::{Engine, EngineError, Mode, Outcome};

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
        let mut gone: Vec<String> =
            networks.value.iter().map(|network| format!("network {}", network.name)).collect();
        let mut plan = networks.plan;
        if self.store.read(|tx| tx.network_by_name(crate::network::DEFAULT))?.is_some() {
            match self.network_remove(crate::network::DEFAULT) {
                Ok(removed) => {
                    gone.push(format!("network {}", crate::network::DEFAULT));
                    plan.append(removed.plan);
                }
                Err(EngineError::NetworkInUse { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        gone.extend(self.remove_leaked()?);
        let removed: BTreeSet<String> = gone.iter().cloned().collect();
        let left = self.store.read(|tx| tx.networks())?;
        let in_use = left.iter().any(|network| !removed.contains(&format!("network {}", network.name)));
        if !in_use {
            let rest = self.switch_back()?;
            gone.extend(rest.ops().filter_map(|op| match op {
                pontoon_model::Op::Sysctl(op) => {
                    Some(format!("setting {} (back to {})", op.key.replace('/', "."), op.value))
                }
                _ => None,
            }));
            plan.append(rest);
        }
        Ok(Outcome { value: gone, plan })
    }

    /// Links with our mark that no record knows.
    fn remove_leaked(&mut self) -> Result<Vec<String>, EngineError> {
        let prefix = self.instance().mark_prefix();
        let known = self.store.read(|tx| -> Result<BTreeSet<String>, EngineError> {
            let mut known = BTreeSet::new();
            for network in tx.networks()? {
                known.extend(
                    tx.endpoints_of_network(&network.id)?
                        .into_iter()
                        .map(|endpoint| endpoint.host_ifname.to_string()),
                );
                known.insert(network.bridge_name.to_string());
            }
            known.extend(
                tx.cables()?.into_iter().flat_map(|cable| cable.ends).map(|end| end.ifname.to_string()),
            );
            Ok(known)
        })?;
        let links = link::list(self.executor.host(), &DumpLinks::default())?;
        let mut gone = Vec::new();
        for leaked in
            links.into_iter().filter(|link| carries_prefix(link, &prefix) && !known.contains(&link.name))
        {
            if self.mode == Mode::Apply {
                match link::delete(self.executor.host(), &DelLink::One(leaked.index.into())) {
                    Err(error) if !error.is_not_found() => return Err(error.into()),
                    _ => {}
                }
            }
            gone.push(format!("link {}", leaked.name));
        }
        Ok(gone)
    }

    /// Takes the table away and sets the host's switches back to what they were.
    fn switch_back(&mut self) -> Result<Plan, EngineError> {
        let mut plan = Plan::default();
        let table = self.instance().table();
        if self.executor.has_table(&table)? {
            let commands = ruleset::remove_table(self.instance());
            plan.push(NftOp { commands }, "no network is left that needs rules");
        }
        for (key, value) in self.store.read(|tx| tx.sysctls())? {
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
            tx.sysctls()?.iter().try_for_each(|(key, _)| tx.sysctl_forget(key))
        })?;
        Ok(plan)
    }
}
