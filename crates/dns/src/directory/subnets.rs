//! Which addresses are in a subnet of ours.

use std::collections::{BTreeMap, HashMap};

use ipnet::IpNet;

/// Subnets, found by an address in them in as many look-ups as there are lengths of prefixes.
#[derive(Debug, Default)]
pub(super) struct Subnets {
    /// How often each is there: two networks may have the same.
    counts: HashMap<IpNet, u32>,
    /// Lengths of prefixes, and how many subnets have them.
    lengths: BTreeMap<u8, u32>,
}

impl Subnets {
    pub(super) fn add(&mut self, subnet: &IpNet) {
        *self.counts.entry(subnet.trunc()).or_default() += 1;
        *self.lengths.entry(subnet.prefix_len()).or_default() += 1;
    }

    pub(super) fn remove(&mut self, subnet: &IpNet) {
        let net = subnet.trunc();
        if let Some(count) = self.counts.get_mut(&net) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&net);
            }
        }
        if let Some(count) = self.lengths.get_mut(&net.prefix_len()) {
            *count -= 1;
            if *count == 0 {
                self.lengths.remove(&net.prefix_len());
            }
        }
    }

    /// Whether all of `net` is in one of the subnets.
    pub(super) fn contain(&self, net: &IpNet) -> bool {
        let mut shorter = self.lengths.keys().filter(|len| **len <= net.prefix_len());
        shorter.any(|len| {
            IpNet::new(net.addr(), *len).is_ok_and(|wider| self.counts.contains_key(&wider.trunc()))
        })
    }
}
