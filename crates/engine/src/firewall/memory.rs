//! What the last look at the firewalls of others told, and whether it is still true.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use pontoon_explain::firewall::{Bridge, Finding, Severity, examine};
use pontoon_explain::legacy::fingerprint;
use pontoon_model::Network;
use serde::{Deserialize, Serialize};

use super::{bridge, bridge_netfilter, legacy_blobs};
use crate::{Engine, EngineError, Mode};

/// The note with the last look.
const LOOK: &str = "firewall-look";

/// What tells, in some microseconds, whether anything has changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Sight {
    /// The number of nf_tables' ruleset.
    generation: u32,
    /// A hash of iptables-legacy's tables, which have no number; 0 where there are none.
    legacy: u64,
    bridge_netfilter: (bool, bool),
}

/// A look, and for each bridge that was looked at what is in its way, as warnings.
#[derive(Debug, Serialize, Deserialize)]
struct Look {
    sight: Sight,
    bridges: BTreeMap<String, Vec<String>>,
}

impl Engine {
    /// Warns of firewalls that are in the way of networks that want to get out, or to ask for names.
    ///
    /// Where nothing has changed since the last look, this takes some microseconds and reads nothing of others. What
    /// cannot be looked at is a warning too: it is no reason to fail.
    pub(crate) fn heed_firewalls<'a>(&mut self, networks: impl IntoIterator<Item = &'a Network>) {
        /// One who attaches many a second need not hear the same before each.
        const SETTLED: Duration = Duration::from_secs(1);
        if self.mode == Mode::DryRun || self.heeded.is_some_and(|at| at.elapsed() < SETTLED) {
            return;
        }
        let needs = |bridge: &Bridge| bridge.outside || !bridge.names.is_empty();
        let wanted = networks.into_iter().filter(|network| bridge(network).as_ref().is_some_and(needs));
        let wanted: Vec<&Network> = wanted.collect();
        if wanted.is_empty() {
            return;
        }
        self.heeded = Some(Instant::now());
        match self.bridges(wanted).and_then(|bridges| self.in_the_way(bridges)) {
            Ok(warnings) => {
                for warning in warnings.into_iter().take(1) {
                    if !self.warnings.contains(&warning) {
                        self.warn(warning);
                    }
                }
            }
            Err(error) => self.warn(format!("could not look at the firewalls of others: {error}")),
        }
    }

    fn in_the_way(&mut self, wanted: Vec<Bridge>) -> Result<Vec<String>, EngineError> {
        let (sight, own_changes) = self.sight()?;
        let last = self.store.read(|tx| tx.meta_get(LOOK))?;
        let last: Option<Look> = last.and_then(|text| serde_json::from_str(&text).ok());
        let mut look = match last {
            Some(last) if last.sight == sight => last,
            // What has changed is what this command has done.
            Some(Look { sight: before, bridges })
                if Sight { generation: before.generation.wrapping_add(own_changes), ..before.clone() }
                    == sight =>
            {
                self.remember(Look { sight: sight.clone(), bridges })?
            }
            _ => Look { sight, bridges: BTreeMap::new() },
        };
        if wanted.iter().any(|bridge| !look.bridges.contains_key(&bridge.name)) {
            look.bridges.extend(self.look(wanted.clone())?);
            look = self.remember(look)?;
        }
        let names = wanted.iter().map(|bridge| &bridge.name);
        Ok(names.filter_map(|name| look.bridges.remove(name)).flatten().collect())
    }

    fn sight(&mut self) -> Result<(Sight, u32), EngineError> {
        let (generation, own_changes) = self.executor.generation()?;
        let legacy = legacy_blobs()?.iter().map(fingerprint).fold(0, u64::wrapping_add);
        Ok((Sight { generation, legacy, bridge_netfilter: bridge_netfilter() }, own_changes))
    }

    fn remember(&mut self, look: Look) -> Result<Look, EngineError> {
        let text = serde_json::to_string(&look).unwrap_or_default();
        self.store.transaction(|tx| tx.meta_set(LOOK, &text))?;
        Ok(look)
    }

    /// Reads everything, and says for each bridge what is in its way.
    fn look(&mut self, wanted: Vec<Bridge>) -> Result<BTreeMap<String, Vec<String>>, EngineError> {
        let mut found: BTreeMap<String, Vec<String>> =
            wanted.iter().map(|bridge| (bridge.name.clone(), Vec::new())).collect();
        let integrated = self.is_integrated()?;
        let facts = self.firewall_facts(wanted)?;
        for finding in examine(&facts) {
            if finding.severity != Severity::Blocks {
                continue;
            }
            let warning = format!("{}\n{}", finding.sentence, hint(&finding, integrated));
            for name in &finding.bridges {
                found.entry(name.clone()).or_default().push(warning.clone());
            }
        }
        Ok(found)
    }
}

/// What a person can do about it.
fn hint(finding: &Finding, integrated: bool) -> String {
    /// As many commands as one bridge needs beside Docker.
    const FEW: usize = 4;
    let by_hand = match finding.fix.as_slice() {
        few if few.len() <= FEW => format!("by hand: {}", few.join("; ")),
        _ => "`pontoon firewall` shows how by hand".to_owned(),
    };
    match (finding.legacy, integrated) {
        (true, _) => by_hand,
        (false, true) => format!("`pontoon restore` renews what lets them through; {by_hand}"),
        (false, false) => format!("`pontoon firewall integrate` lets them through; {by_hand}"),
    }
}
