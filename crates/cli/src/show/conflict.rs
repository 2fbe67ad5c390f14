//! What came over the subnets of networks, for those who look at them.

use pontoon_engine::conflict::{Conflict, Severity, conflicts};
use pontoon_engine::report::Reader;
use pontoon_model::diagnose::with_causes;

use crate::global::Global;
use crate::output;

/// What there is. Networks can be shown also where it cannot be found out.
pub(crate) fn found(global: &Global, reader: &Reader) -> Vec<Conflict> {
    let blocks = match global.instance().map(|root| root.config()) {
        Ok(Ok(config)) => config.default_address_pools,
        // Whoever makes a network is told.
        Ok(Err(_)) | Err(_) => Vec::new(),
    };
    match conflicts(reader, &blocks) {
        Ok(found) => found,
        Err(error) => {
            output::warning(&format!(
                "could not look for what overlaps with the networks: {}",
                with_causes(&error)
            ));
            Vec::new()
        }
    }
}

/// Warns of what breaks something, or may; of all else too if somebody wants to know more.
pub(crate) fn warn<'c>(conflicts: impl IntoIterator<Item = &'c Conflict>, verbose: bool) {
    for conflict in conflicts {
        match conflict.severity {
            Severity::Breaks | Severity::Doubtful => {
                output::warning(&format!("{}\n{}", conflict.sentence, conflict.hint()));
            }
            Severity::Note if verbose => output::note(&format!("note: {}\n", conflict.sentence)),
            Severity::Note => {}
        }
    }
}
