//! What can stop a measurement. A figure never does.

use std::io;
use std::path::PathBuf;

use pontoon_engine::EngineError;
use pontoon_engine::explain::QuestionError;
use pontoon_engine::report::ReportError;
use pontoon_kernel::error::KernelError;
use pontoon_kernel::lab::LabError;
use pontoon_kernel::netns::NetnsError;
use pontoon_kernel::nftables::ApplyError;
use pontoon_kernel::process::SpawnError;
use pontoon_kernel::socket::BatchError;
use pontoon_kernel::sysctl::SysctlError;
use pontoon_model::Diagnose;
use pontoon_store::StoreError;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    /// The throw-away host could not be made.
    #[error(transparent)]
    Lab(#[from] LabError),
    /// It was made and could not be waited for.
    #[error(transparent)]
    Wait(#[from] SpawnError),
    /// The engine refused.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The host could not be read.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// Nothing could be asked of what was read.
    #[error(transparent)]
    Question(#[from] QuestionError),
    /// A packet was followed as it never goes.
    #[error("the packet's way was not what it ought to be")]
    Astray,
    /// The engine's state could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A raw request was refused.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// Raw requests that were sent together were refused.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// A namespace could not be made, opened or entered.
    #[error(transparent)]
    Netns(#[from] NetnsError),
    /// Rules of a hand-made host were refused.
    #[error(transparent)]
    Rules(#[from] ApplyError),
    /// A switch of a hand-made host could not be set.
    #[error(transparent)]
    Switch(#[from] SysctlError),
    /// A system call of the measurement itself failed.
    #[error("could not {what}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The kernel left something out of an answer.
    #[error("the kernel did not tell {0}")]
    Silent(&'static str),
    /// There is no `pontoon` to measure.
    #[error("there is no program at `{0}`")]
    NoProgram(PathBuf),
    /// A command that is measured failed.
    #[error("`{command}` ended with {status}")]
    Command {
        /// Its words.
        command: String,
        /// How it ended.
        status: String,
    },
    /// A worker process said something else than times.
    #[error("a worker said: {0}")]
    Worker(String),
    /// Two endpoints were given one address.
    #[error("{0} was given out twice")]
    Twice(String),
    /// The network has fewer endpoints than there were attaches.
    #[error("{made} of {wanted} attaches are in the state")]
    Missing {
        /// How many are there.
        made: usize,
        /// How many were asked for.
        wanted: usize,
    },
}

impl BenchError {
    /// For `map_err` of an I/O call.
    pub(crate) fn io(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what, source }
    }

    /// Prints itself, its sources, and what a person can do.
    pub(crate) fn tell(&self) {
        eprint!("error: {self}");
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            eprint!(": {cause}");
            source = cause.source();
        }
        eprintln!();
        if let Some(hint) = self.hint() {
            eprintln!("hint: {hint}");
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoProgram(_) => {
                Some("`cargo build --release --bin pontoon` makes it; PONTOON_BIN names another".into())
            }
            Self::Lab(error) => error.hint(),
            Self::Engine(error) => error.hint(),
            Self::Kernel(error) => error.hint(),
            Self::Netns(error) => error.hint(),
            _ => None,
        }
    }
}
