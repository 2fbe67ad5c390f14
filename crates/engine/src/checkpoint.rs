//! Places where a test can have the command killed, as a machine that loses power would.

use std::cell::Cell;
use std::rc::Rc;

use pontoon_kernel::process::kill_self;

/// The variable that says at which checkpoint to die; the first is 0.
const VARIABLE: &str = "PONTOON_TEST_KILL_AT";

/// Counts the checkpoints that a command passes.
#[derive(Debug, Clone)]
pub(crate) struct Checkpoints {
    left: Option<Rc<Cell<u32>>>,
}

impl Checkpoints {
    /// As the environment says; outside of tests it says nothing.
    pub(crate) fn from_environment() -> Self {
        let left = std::env::var(VARIABLE).ok().and_then(|text| text.parse().ok());
        Self { left: left.map(|left| Rc::new(Cell::new(left))) }
    }

    /// Whether a test counts.
    pub(crate) fn counted(&self) -> bool {
        self.left.is_some()
    }

    /// Passes a checkpoint, or dies at it.
    pub(crate) fn pass(&self) {
        let Some(left) = &self.left else { return };
        match left.get().checked_sub(1) {
            Some(fewer) => left.set(fewer),
            None => kill_self(),
        }
    }
}
