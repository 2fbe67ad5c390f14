//! Whether an endpoint is guarded, and whether the kernel can guard any.
//!
//! A kernel without nftables for bridges is found out when the tables are made, with one warning; it is noted beside
//! the state of this boot, and endpoints are then attached unguarded, unless somebody asks for it by name.

use pontoon_model::observed::BridgeFilter;
use pontoon_model::option::{ANTISPOOF, EndpointOptions};
use pontoon_model::{Network, Sandbox};
use pontoon_plan::Instance;
use pontoon_store::{StoreError, Tx};

use crate::journal::Preparing;
use crate::{Engine, EngineError, Mode};

/// Under which key it is noted that the kernel cannot filter what comes into bridges.
const NOTE: &str = "bridge-filter";
const IMPOSSIBLE: &str = "impossible";

fn is_impossible(tx: &Tx<'_>) -> Result<bool, StoreError> {
    Ok(tx.meta_get(NOTE)?.as_deref() == Some(IMPOSSIBLE))
}

/// What the filter of the bridges does for a new endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Filtered {
    /// It may send with its own addresses alone.
    pub(crate) guarded: bool,
    /// Its own 127.0.0.1 is kept from neighbours, so that it may ask for names at 127.0.0.11.
    pub(crate) names: bool,
}

/// Whether names can be asked for at 127.0.0.11: where the bridges can be filtered.
pub(crate) fn names_at_loopback(tx: &Tx<'_>) -> Result<bool, StoreError> {
    Ok(!is_impossible(tx)?)
}

/// Whether a new endpoint of a sandbox is to be guarded: as it is asked for; else, as the network has it, for those that
/// Pontoon made. Other people's namespaces may hold routers and machines of their own.
///
/// # Errors
///
/// [`EngineError::NeedsRules`] when the table is gone; if it is asked for and cannot be.
pub(crate) fn decide(
    at: &mut Preparing<'_, '_>,
    instance: &Instance,
    sandbox: &Sandbox,
    network: &Network,
    options: &EndpointOptions,
) -> Result<Filtered, EngineError> {
    let guarded = options.antispoof.unwrap_or(sandbox.is_ours() && network.bridge.antispoof);
    let names = network.has_names_at_loopback();
    if !guarded && !names {
        return Ok(Filtered { guarded, names });
    }
    if is_impossible(at.tx)? {
        return match options.antispoof {
            Some(true) => Err(EngineError::NoBridgeFilter(ANTISPOOF)),
            Some(false) | None => Ok(Filtered { guarded: false, names: false }),
        };
    }
    if !at.rehearsing && !at.executor.has_table(&instance.guard_table())? {
        return Err(EngineError::NeedsRules);
    }
    Ok(Filtered { guarded, names })
}

impl Engine {
    /// Whether our table for what comes into bridges is there, or can be.
    ///
    /// # Errors
    ///
    /// If the kernel does not tell, or the state cannot be read or written.
    pub(crate) fn bridge_filter(&mut self) -> Result<BridgeFilter, EngineError> {
        let table = self.instance().guard_table();
        if self.executor.has_table(&table)? {
            return Ok(BridgeFilter::Made);
        }
        if self.store.read(is_impossible)? {
            return Ok(BridgeFilter::Impossible);
        }
        // Trying would be a change, if one that nobody sees.
        if self.mode == Mode::DryRun || self.executor.can_filter_bridges(&table)? {
            return Ok(BridgeFilter::Missing);
        }
        self.store.transaction(|tx| tx.meta_set(NOTE, IMPOSSIBLE))?;
        self.warn(
            "the kernel has no nftables for bridges (CONFIG_NF_TABLES_BRIDGE): containers are not kept from spoofing",
        );
        Ok(BridgeFilter::Impossible)
    }
}
