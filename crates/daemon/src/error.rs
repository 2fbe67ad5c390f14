//! Why the daemon cannot go on.

use pontoon_engine::EngineError;
use pontoon_kernel::control::ControlError;
use pontoon_model::Diagnose;
use pontoon_store::StoreError;
use rustix::io::Errno;

use crate::activation::ControlSocketError;
use crate::dns::StartError;
use crate::http::HttpError;
use crate::watch::WatchError;

/// Why the daemon cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// Another one runs.
    #[error("a daemon runs already for this instance")]
    Running,
    /// Its socket cannot be had.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The state cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The host cannot be looked after.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The server of names cannot start.
    #[error(transparent)]
    Names(#[from] StartError),
    /// What it was started with is no socket to be asked at.
    #[error(transparent)]
    Activation(#[from] ControlSocketError),
    /// The host cannot be watched.
    #[error(transparent)]
    Watch(#[from] WatchError),
    /// There is no thread for it.
    #[error("could not start a thread")]
    Thread(#[source] std::io::Error),
    /// Figures cannot be served.
    #[error(transparent)]
    Figures(#[from] HttpError),
    /// A call that it waits by.
    #[error("could not {what}")]
    Wait {
        /// In the imperative.
        what: &'static str,
        /// What the kernel said.
        #[source]
        errno: Errno,
    },
}

impl Diagnose for DaemonError {
    fn code(&self) -> &'static str {
        match self {
            Self::Running => "daemon-running",
            Self::Control(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Engine(error) => error.code(),
            Self::Names(error) => error.code(),
            Self::Activation(error) => error.code(),
            Self::Watch(_) => "watch-not-started",
            Self::Thread(_) => "daemon-thread",
            Self::Figures(error) => error.code(),
            Self::Wait { .. } => "daemon-wait",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Running => Some("`pontoon daemon status` shows it, `pontoon daemon stop` ends it".into()),
            Self::Control(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::Engine(error) => error.hint(),
            Self::Names(error) => error.hint(),
            Self::Activation(error) => error.hint(),
            Self::Figures(error) => error.hint(),
            Self::Watch(WatchError::Listen(error)) => error.hint(),
            Self::Watch(WatchError::Thread(_)) | Self::Thread(_) | Self::Wait { .. } => None,
        }
    }
}
