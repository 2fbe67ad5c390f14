//! The firewalls of others: what of them is in the way of containers.
//!
//! To look takes time that grows with what others have. So a command that attaches something looks only where
//! something has changed since the last look, which two numbers tell; see `heed_firewalls`.

mod integrate;
mod memory;

use std::net::IpAddr;

use ipnet::IpNet;
use pontoon_explain::firewall::{Bridge, Facts, examine};
pub use pontoon_explain::firewall::{Finding, Severity};
use pontoon_explain::legacy::{self, Blob};
use pontoon_kernel::iptables::{self, Version};
use pontoon_model::Network;
use pontoon_model::network::{Driver, NAMES};
use pontoon_nft::ruleset::Ruleset;
use pontoon_nft::ruleset::Table;
use pontoon_nft::syntax::IpVersion;

pub use integrate::Integration;

use crate::observe::switch;
use crate::{Engine, EngineError, observe, segment};

/// Whether frames on a bridge meet the rules for packets of IP, below `/proc/sys`.
const BRIDGE_NETFILTER: [&str; 2] =
    ["net/bridge/bridge-nf-call-iptables", "net/bridge/bridge-nf-call-ip6tables"];

impl Engine {
    /// What there is of others that drops, or may drop, packets of our networks' containers, the worst first.
    ///
    /// # Errors
    ///
    /// Without `CAP_NET_ADMIN`; if the kernel does not tell.
    pub fn foreign_firewalls(&mut self) -> Result<Vec<Finding>, EngineError> {
        let networks = self.store.read(|tx| tx.networks())?;
        let bridges = self.bridges(&networks)?;
        Ok(examine(&self.firewall_facts(bridges)?))
    }

    /// The networks' bridges, and those that large ones have been given since.
    fn bridges<'a>(
        &self,
        networks: impl IntoIterator<Item = &'a Network>,
    ) -> Result<Vec<Bridge>, EngineError> {
        let mut bridges = Vec::new();
        for network in networks {
            let Some(first) = bridge(network) else { continue };
            let further = self.store.read(|tx| segment::laid(tx, network))?;
            let further = further.into_iter().map(|segment| segment.bridge.to_string());
            bridges.extend(further.map(|name| Bridge { name, further: true, ..first.clone() }));
            bridges.push(first);
        }
        Ok(bridges)
    }

    /// The tables of others. Ours are large, and change with each container.
    fn other_tables(&mut self) -> Result<Ruleset, EngineError> {
        let own = [self.instance().table(), self.instance().guard_table()];
        Ok(self.executor.other_tables(&own)?)
    }

    /// Reads all there is to know for [`examine`].
    fn firewall_facts(&mut self, bridges: Vec<Bridge>) -> Result<Facts, EngineError> {
        let (ruleset, legacy) = (self.other_tables()?, legacy_tables()?);
        // Where nobody else has rules, nothing is asked that takes longer the more links there are.
        let alone = ruleset.tables.is_empty() && legacy.is_empty();
        let uplinks = if alone { Vec::new() } else { observe::uplinks(self.executor.host())? };
        Ok(Facts {
            ruleset,
            own: Some(self.instance().table()),
            legacy,
            bridge_netfilter: bridge_netfilter(),
            uplinks,
            bridges,
        })
    }
}

/// The host's addresses at which a network's containers ask for names.
fn name_servers(network: &Network) -> Vec<IpAddr> {
    if !network.has_names() {
        return Vec::new();
    }
    let gateways = network.pools().filter(|pool| network.bridge_has_address(pool)).map(|pool| pool.gateway);
    let loopback = network.has_names_at_loopback().then_some(NAMES.into());
    gateways.chain(loopback).collect()
}

/// A network's bridge, as far as packets know of it.
fn bridge(network: &Network) -> Option<Bridge> {
    if network.driver != Driver::Bridge {
        return None;
    }
    let v4 = network.v4.as_ref().and_then(|pool| match pool.subnet {
        IpNet::V4(net) => Some(net),
        IpNet::V6(_) => None,
    });
    let v6 = network.v6.as_ref().and_then(|pool| match pool.subnet {
        IpNet::V6(net) => Some(net),
        IpNet::V4(_) => None,
    });
    let outside = network.pools().any(|pool| network.needs_forwarding(pool));
    Some(Bridge {
        name: network.bridge_name.to_string(),
        v4,
        v6,
        outside,
        names: name_servers(network),
        further: false,
    })
}

fn bridge_netfilter() -> (bool, bool) {
    (switch(BRIDGE_NETFILTER[0]), switch(BRIDGE_NETFILTER[1]))
}

/// The `filter` tables of iptables-legacy that are there.
fn legacy_tables() -> Result<Vec<Table>, EngineError> {
    legacy_blobs()?.iter().map(|blob| legacy::table(blob).ok_or(EngineError::LegacyTable)).collect()
}

fn legacy_blobs() -> Result<Vec<Blob>, EngineError> {
    let mut blobs = Vec::new();
    for (version, ip) in [(Version::V4, IpVersion::V4), (Version::V6, IpVersion::V6)] {
        if let Some(iptables::Table { hooks, entry, underflow, entries }) = iptables::filter(version)? {
            blobs.push(Blob { version: ip, hooks, entry, underflow, entries });
        }
    }
    Ok(blobs)
}
