//! The daemon's own figures: what became of questions for names.

use std::sync::{Arc, Mutex, PoisonError};

use pontoon_engine::Root;

use crate::dns::{Handle, Statistics};
use crate::health::Health;
use crate::http::{Address, HttpError, Server, routes};
use crate::metrics::{DriftCounters, Family, Registry, process, state};

/// What is wrong at the moment, in sentences.
pub(crate) type Problems = Arc<Mutex<Vec<String>>>;

/// Serves all figures, and whether all is well.
///
/// # Errors
///
/// If it cannot listen there.
pub(crate) fn serve(
    address: &Address,
    root: &Root,
    names: Arc<Handle>,
    drift: Arc<DriftCounters>,
    problems: Problems,
) -> Result<Server, HttpError> {
    let mut registry = Registry::new();
    registry.add("state", state(root.clone()));
    registry.add("process", process());
    registry.add("drift", move || Ok(drift.families()));
    registry.add("names", move || Ok(of_names(&names.statistics()?)));
    let root = root.clone();
    let health = move || {
        let wrong = problems.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let health = Health::default().with_state(&root);
        wrong.into_iter().fold(health, Health::with_problem)
    };
    Server::start(address, routes(registry, health))
}

fn of_names(told: &Statistics) -> Vec<Family> {
    let outcome = |word: &str| [("outcome", word.to_owned())];
    let answers = Family::counter("pontoon_names_answers_total", "What became of questions for names.")
        .with_labels(outcome("records"), told.records)
        .with_labels(outcome("nodata"), told.no_data)
        .with_labels(outcome("nxdomain"), told.no_name)
        .with_labels(outcome("refused"), told.refused)
        .with_labels(outcome("malformed"), told.malformed)
        .with_labels(outcome("ignored"), told.ignored)
        .with_labels(outcome("forwarded"), told.forwarded)
        .with_labels(outcome("lost"), told.lost);
    vec![
        Family::counter("pontoon_names_queries_total", "Questions for names that came.").with(told.queries),
        answers,
        Family::gauge("pontoon_names_networks", "Networks whose names are served.").with(told.networks),
        Family::gauge("pontoon_names_containers", "Containers with names.").with(told.members),
        Family::gauge("pontoon_names_streams", "Connections over which names are asked for.")
            .with(told.streams),
        Family::gauge("pontoon_names_in_flight", "Questions that wait for other servers.")
            .with(told.in_flight),
        Family::gauge("pontoon_names_cache_entries", "Answers of other servers that are kept.")
            .with(told.cache_entries),
        Family::gauge("pontoon_names_cache_bytes", "About how much memory they take.").with(told.cache_bytes),
    ]
}
