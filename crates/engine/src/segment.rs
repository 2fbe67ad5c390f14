//! More bridges for a network that has more containers than one bridge has ports.
//!
//! A segment is laid when the first address of its part of the subnet is given out, under the writers' lock, and goes
//! with the network.

use pontoon_model::Network;
use pontoon_model::network::Segment;
use pontoon_store::{Recovery, StoreError, Subject, Tx};

use crate::journal::Prepared;
use crate::{Engine, EngineError};

fn key(network: &Network) -> String {
    format!("segments:{}", network.id)
}

fn numbers(tx: &Tx<'_>, network: &Network) -> Result<Vec<u32>, StoreError> {
    let text = tx.meta_get(&key(network))?.unwrap_or_default();
    Ok(text.split_whitespace().filter_map(|number| number.parse().ok()).collect())
}

/// The segments that a network has, besides its first bridge; the last one first, so that none hangs from nothing.
pub(crate) fn laid(tx: &Tx<'_>, network: &Network) -> Result<Vec<Segment>, StoreError> {
    let mut numbers = numbers(tx, network)?;
    numbers.sort_unstable_by(|left, right| right.cmp(left));
    Ok(numbers.into_iter().map(|number| network.segment(number)).collect())
}

/// Whether an endpoint with an address of segment `number` can be attached.
pub(crate) fn is_laid(tx: &Tx<'_>, network: &Network, number: u32) -> Result<bool, StoreError> {
    Ok(number == 0 || numbers(tx, network)?.contains(&number))
}

/// Notes that a network's segments are gone.
pub(crate) fn forget(tx: &Tx<'_>, network: &Network) -> Result<(), StoreError> {
    if tx.meta_get(&key(network))?.is_some_and(|text| !text.is_empty()) {
        tx.meta_set(&key(network), "")
    } else {
        Ok(())
    }
}

impl Engine {
    /// Lays a segment of a network, and those that it hangs from.
    pub(crate) fn lay_segment(&mut self, network: &Network, number: u32) -> Result<(), EngineError> {
        let guard = self.exclusive()?;
        let laid = self.lay_chain(network, number).map(|()| self.let_segment_through());
        drop(guard);
        laid
    }

    fn lay_chain(&mut self, network: &Network, number: u32) -> Result<(), EngineError> {
        if self.store.read(|tx| is_laid(tx, network, number))? {
            return Ok(());
        }
        self.lay_chain(network, Network::segment_parent(number))?;
        let instance = self.instance().clone();
        self.change(
            |_| {
                let plan = pontoon_plan::network::add_segment(&instance, network, &network.segment(number));
                let what = format!("lay bridge number {} of network {}", number + 1, network.name);
                Ok(Prepared { value: (), plan, subject: Subject::Prune, recovery: Recovery::Undo, what })
            },
            |tx, ()| {
                let mut known = tx.meta_get(&key(network))?.unwrap_or_default();
                known.push_str(&format!(" {number}"));
                Ok(tx.meta_set(&key(network), &known)?)
            },
        )?;
        Ok(())
    }
}
