//! Projects of compose files on a host: what is there, bringing it up, changing what the file changed, taking it down.
//!
//! What there is to do is decided in [`pontoon_compose::converge`]; here it is done, by the engine, one change after
//! the other. Each change is a whole one in the engine's journal, so a command that is killed leaves a project from
//! which the next `up` or `down` goes on.

mod bundles;
mod carry;
mod down;
mod engines;
mod error;
mod expect;
mod files;
mod found;
mod output;
mod site;
mod up;
mod wait;
mod wire;

pub use down::{DownOptions, down, stop};
pub use error::ProjectError;
pub use expect::{Got, Tried, test};
pub use files::Disk;
pub use found::{networks, ours, standing};
pub use output::{Output, outputs};
pub use site::Site;
pub use up::{Planned, UpOptions, changes, up};

use pontoon_compose::converge::Difference;

/// Something that a person may want to see while it happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// It is begun, and may take a while.
    Doing {
        /// The service's container or the network.
        subject: String,
        /// What is done, as `starting`, or waited for.
        what: String,
    },
    /// It is done.
    Done {
        /// What kind of change it was.
        sign: Sign,
        /// The service's container or the network.
        subject: String,
        /// What is to be said of it.
        what: String,
        /// Why it changed.
        differences: Vec<Difference>,
    },
    /// Time passes.
    Tick,
    /// It went differently; a second line says what a person can do about it.
    Warning(String),
}

/// What kind of change something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// It is new.
    Added,
    /// It changed.
    Changed,
    /// It is gone.
    Removed,
    /// It is as it was.
    Kept,
}

impl Sign {
    /// As it stands before a line.
    pub fn mark(self) -> char {
        match self {
            Self::Added => '+',
            Self::Changed => '~',
            Self::Removed => '-',
            Self::Kept => '=',
        }
    }
}

/// Who is told.
pub type Tell<'a> = &'a mut dyn FnMut(Progress);
