//! Why a project is not as it was wanted.

use pontoon_engine::EngineError;
use pontoon_engine::report::ReportError;
use pontoon_kernel::lock::LockError;
use pontoon_model::Diagnose;

/// Why a project could not be brought up or taken down. What was done until then stays.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// The engine could not.
    #[error("{subject}")]
    Engine {
        /// What it was about: a container or a network.
        subject: String,
        /// Why not.
        #[source]
        source: Box<EngineError>,
    },
    /// The state could not be read.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// The lock could not be asked for.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// Another command works at the project.
    #[error("another command works at project `{0}`")]
    Busy(String),
    /// An external network is not there.
    #[error("network `{name}` is external in the file (`{key}`) and is not there")]
    NoExternal {
        /// Its key in the file.
        key: String,
        /// Its name.
        name: String,
    },
    /// A network of that name is somebody else's.
    #[error("network `{name}` is there, and not of this project")]
    NotOurs {
        /// Its name.
        name: String,
    },
    /// A network is to be made anew and others are on it.
    #[error("network `{name}` is to be made anew, and others are on it: {}", strangers.join(", "))]
    Strangers {
        /// Its name.
        name: String,
        /// Who.
        strangers: Vec<String>,
    },
    /// What a container prints cannot be kept.
    #[error("could not make {}", path.display())]
    Log {
        /// The folder.
        path: std::path::PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// What a container wrote cannot be read.
    #[error("could not read what is in {}", path.display())]
    Output {
        /// The file.
        path: std::path::PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A service has no command.
    #[error("service `{0}` has nothing to run: it has neither `command` nor `entrypoint`")]
    NothingToRun(String),
    /// No such service.
    #[error("no service `{name}` in the project")]
    NoService {
        /// What was asked for.
        name: String,
        /// What it may have meant.
        near: Vec<String>,
    },
    /// A service that another waits for did not come that far.
    #[error("`{service}` waits for `{dependency}`, {why}")]
    Dependency {
        /// The service.
        service: String,
        /// What it waits for.
        dependency: String,
        /// What became of that, as `which is unhealthy`.
        why: String,
    },
    /// A container that is needed does not run.
    #[error("`{0}` does not run")]
    NotUp(String),
    /// A service's network is another container's that is none of Pontoon's.
    #[error("service `{service}`: the network of `{other}` can only be shared by that engine")]
    ForeignNetwork {
        /// The service.
        service: String,
        /// Whose network.
        other: String,
    },
}

impl ProjectError {
    pub(crate) fn of(subject: impl Into<String>) -> impl FnOnce(EngineError) -> Self {
        let subject = subject.into();
        |source| Self::Engine { subject, source: Box::new(source) }
    }
}

impl Diagnose for ProjectError {
    fn code(&self) -> &'static str {
        match self {
            Self::Engine { source, .. } => source.code(),
            Self::Report(error) => error.code(),
            Self::Lock(error) => error.code(),
            Self::Busy(_) => "project-busy",
            Self::NoExternal { .. } => "no-external-network",
            Self::NotOurs { .. } => "network-of-others",
            Self::Strangers { .. } => "network-used-by-others",
            Self::Log { .. } => "log-not-kept",
            Self::Output { .. } => "output-unreadable",
            Self::NothingToRun(_) => "nothing-to-run",
            Self::NoService { .. } => "no-such-service",
            Self::Dependency { .. } => "dependency-failed",
            Self::NotUp(_) => "not-up",
            Self::ForeignNetwork { .. } => "foreign-network",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Engine { source, .. } => source.hint(),
            Self::Report(error) => error.hint(),
            Self::Lock(error) => error.hint(),
            Self::Busy(_) => Some("wait until it has ended".into()),
            Self::NoExternal { name, .. } => {
                Some(format!("`pontoon network create {name}`, or leave `external` out"))
            }
            Self::NotOurs { .. } => {
                Some("say `external: true` to use it as it is, or give the project's another `name:`".into())
            }
            Self::Strangers { name, .. } => Some(format!(
                "`pontoon network disconnect {name} …` for each of them; of this project's, name the services too"
            )),
            Self::NothingToRun(_) => {
                Some("give it a `command:`, or an `image:` and a runtime for images".into())
            }
            Self::NoService { near, .. } if near.is_empty() => None,
            Self::NoService { near, .. } => Some(format!("did you mean `{}`?", near.join("` or `"))),
            Self::Dependency { dependency, .. } => {
                Some(format!("`pontoon compose logs {dependency}` shows what it wrote"))
            }
            Self::NotUp(_) => {
                Some("`pontoon up -d` starts the project; `pontoon test --up` does it for the test".into())
            }
            Self::ForeignNetwork { .. } | Self::Log { .. } | Self::Output { .. } => None,
        }
    }
}
