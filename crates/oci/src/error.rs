//! What can go wrong with another engine, and what a person can do about it.

use std::io;
use std::path::PathBuf;

use pontoon_model::Diagnose;

use crate::Kind;

/// Why an engine could not be asked, or said no.
#[derive(Debug, thiserror::Error)]
pub enum OciError {
    /// Nobody listens where the engine would.
    #[error("{kind} does not run here: nobody listens at {}", list(.tried))]
    NoEngine {
        /// Which.
        kind: Kind,
        /// Where it was looked for.
        tried: Vec<PathBuf>,
    },
    /// The variable that says where the engine is names no Unix socket.
    #[error("{variable} is `{value}`, which is no Unix socket")]
    BadHost {
        /// Its name.
        variable: &'static str,
        /// What it says.
        value: String,
    },
    /// The socket is not for the caller.
    #[error("{kind}'s socket {} may not be used by this user", path.display())]
    Denied {
        /// Which.
        kind: Kind,
        /// The socket.
        path: PathBuf,
    },
    /// The engine does not answer.
    #[error("{kind} did not answer in time")]
    Silent {
        /// Which.
        kind: Kind,
    },
    /// The conversation broke off.
    #[error("could not talk to {kind}")]
    Broken {
        /// Which.
        kind: Kind,
        /// How.
        #[source]
        source: io::Error,
    },
    /// What it says is not understood.
    #[error("{kind}'s answer is not understood: {what}")]
    Speech {
        /// Which.
        kind: Kind,
        /// What of it.
        what: String,
    },
    /// It has no container of that name.
    #[error("{kind} has no container `{name}`")]
    NoContainer {
        /// Which.
        kind: Kind,
        /// As given.
        name: String,
        /// Names that look like it.
        near: Vec<String>,
    },
    /// It has no image of that name.
    #[error("{kind} has no image `{image}`")]
    NoImage {
        /// Which.
        kind: Kind,
        /// As given.
        image: String,
    },
    /// The container does not run.
    #[error("{kind}'s container `{name}` is not running")]
    NotRunning {
        /// Which.
        kind: Kind,
        /// Its name.
        name: String,
    },
    /// The engine says no.
    #[error("{kind} refuses: {message}")]
    Refused {
        /// Which.
        kind: Kind,
        /// HTTP's status.
        status: u16,
        /// Its words.
        message: String,
    },
    /// Without its socket an engine can only be asked about containers.
    #[error("this needs {kind}'s socket, and nobody listens at {}", list(.tried))]
    NeedsSocket {
        /// Which.
        kind: Kind,
        /// Where it was looked for.
        tried: Vec<PathBuf>,
    },
    /// No OCI runtime is there.
    #[error("no OCI runtime is there: {}", programs.join(", "))]
    NoRuntime {
        /// Which were looked for.
        programs: Vec<String>,
    },
    /// The engine's own program failed.
    #[error("`{command}` failed: {message}")]
    Command {
        /// What was run.
        command: String,
        /// What it said.
        message: String,
    },
}

impl Diagnose for OciError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoEngine { .. } => "engine-not-found",
            Self::BadHost { .. } => "engine-bad-host",
            Self::Denied { .. } => "engine-denied",
            Self::Silent { .. } => "engine-silent",
            Self::Broken { .. } => "engine-unreachable",
            Self::Speech { .. } => "engine-not-understood",
            Self::NoContainer { .. } => "no-such-container",
            Self::NoImage { .. } => "no-such-image",
            Self::NotRunning { .. } => "container-not-running",
            Self::Refused { .. } => "engine-refused",
            Self::NeedsSocket { .. } => "engine-needs-socket",
            Self::NoRuntime { .. } => "no-runtime",
            Self::Command { .. } => "engine-command-failed",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoEngine { kind: kind @ Kind::Docker, .. } => {
                Some(format!("`systemctl start docker`, or {}=unix:///PATH of its socket", kind.variable()))
            }
            Self::NoEngine { kind, .. } => Some(format!(
                "`systemctl start podman.socket`, or {}=unix:///PATH of its socket",
                kind.variable()
            )),
            Self::BadHost { .. } => {
                Some("unix:///PATH, or leave it unset: engines elsewhere have no namespaces here".into())
            }
            Self::Denied { .. } => Some("run it as root".into()),
            Self::Silent { kind } => Some(format!("`{} info` shows whether it works", kind.program())),
            Self::NoContainer { near, .. } if !near.is_empty() => {
                Some(format!("did you mean {}?", near.join(" or ")))
            }
            Self::NoContainer { kind, .. } => Some(format!("`{} ps -a` shows them", kind.program())),
            Self::NoImage { kind, image } => Some(format!("`{} pull {image}`", kind.program())),
            Self::NotRunning { kind, name } => Some(format!("`{} start {name}`", kind.program())),
            Self::NoRuntime { .. } => Some("`apt-get install crun`, or name one by its path".into()),
            Self::NeedsSocket { .. } => Some("`systemctl start podman.socket`".into()),
            Self::Broken { .. } | Self::Speech { .. } | Self::Refused { .. } | Self::Command { .. } => None,
        }
    }
}

impl OciError {
    /// Whether the engine has said that there is no such container.
    pub fn is_no_container(&self) -> bool {
        matches!(self, Self::NoContainer { .. })
    }
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" or ")
}
