//! What came over a network's subnet, such as a VPN's routes: told once, when it comes.

use std::time::{Duration, Instant};

use pontoon_engine::Root;
use pontoon_engine::conflict::{Conflict, Known, Severity, conflicts};
use pontoon_engine::report::{Reader, ReportError};
use pontoon_model::News;
use pontoon_model::diagnose::with_causes;
use pontoon_model::event::{Action, Kind};
use tracing::{debug, info, warn};

/// How long nothing must come before it is looked: a VPN brings many routes.
const QUIET: Duration = Duration::from_millis(100);

/// What is known of overlaps.
#[derive(Debug)]
pub(crate) struct Overlaps {
    root: Root,
    known: Known,
    /// Since when something has come that was not looked at.
    since: Option<Instant>,
}

impl Overlaps {
    /// To be looked at for the first time at once.
    pub(crate) fn new(root: Root) -> Self {
        Self { root, known: Known::default(), since: Some(Instant::now()) }
    }

    /// Something has come.
    pub(crate) fn something_came(&mut self) {
        self.since = Some(Instant::now());
    }

    /// How long until it is to be looked, if it is.
    pub(crate) fn due(&self) -> Option<Duration> {
        Some(QUIET.saturating_sub(self.since?.elapsed()))
    }

    /// Looks if it is time to; what is new, to be told.
    pub(crate) fn look(&mut self) -> Vec<News> {
        if self.due() != Some(Duration::ZERO) {
            return Vec::new();
        }
        self.since = None;
        let changes = match self.find() {
            Ok(found) => self.known.new_and_gone(found),
            Err(error) => {
                warn!("the host's routes could not be looked at: {}", with_causes(&error));
                return Vec::new();
            }
        };
        for gone in &changes.gone {
            info!("network {}: {} is gone", gone.network, gone.with);
        }
        for new in &changes.new {
            match new.severity {
                Severity::Breaks | Severity::Doubtful => warn!("{} ({})", new.sentence, new.hint()),
                Severity::Note => debug!("{}", new.sentence),
            }
        }
        changes.new.iter().filter(|new| new.severity != Severity::Note).map(news).collect()
    }

    fn find(&self) -> Result<Vec<Conflict>, ReportError> {
        let blocks = self.root.config().map_err(ReportError::Engine)?.default_address_pools;
        conflicts(&Reader::open(&self.root)?, &blocks)
    }
}

fn news(conflict: &Conflict) -> News {
    let network = conflict.network.as_str();
    News::new(Kind::Network, Action::Conflict, network)
        .with("name", network)
        .with("code", conflict.code)
        .with("subnet", conflict.subnet)
        .with("with", &conflict.with)
        .with("what", &conflict.sentence)
        .with("fix", conflict.hint())
}
