//! Telling the daemon what changed, before a command says that it is done: so a name resolves when `run` returns, and no
//! stale address is told after `disconnect` has.
//!
//! The daemon reads the state itself; a notice says only whose records to read again. Where a network needs names and no
//! daemon runs, it is started, with the socket that this command waits at already.

mod status;

use std::path::{Path, PathBuf};
use std::time::Duration;

use pontoon_kernel::control::{ControlError, Conversation, Listener};
use pontoon_kernel::lock::FileLock;
use pontoon_kernel::process::start_service;
use pontoon_model::diagnose::as_warning;
use pontoon_model::{NetworkId, SandboxId};
use pontoon_store::{StoreError, Subject, Tx};

pub use status::{ServedNetwork, Status, Upstream, seconds};

use crate::root::Daemon;
use crate::{Engine, EngineError, Mode, Root};

/// How long a daemon may take to answer. One that was just started reads the whole state first.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whose records have changed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Notice {
    /// A container's.
    Member(SandboxId),
    /// A network's, and those of all containers on it.
    Network(NetworkId),
}

/// What a command asks of the daemon.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Request {
    /// To read records again.
    Heed(Vec<Notice>),
    /// How it is.
    Status,
    /// To end.
    Stop,
    /// To end if it was started on demand and nobody needs it.
    Rest,
}

/// What the daemon answers.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize)]
pub struct Answer {
    /// What of the request's subject is not as it should be, in sentences; a second line is a hint.
    pub warnings: Vec<String>,
    /// That it is about to end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub resting: bool,
    /// How it is, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
}

/// The daemon's socket.
pub fn socket(root: &Root) -> PathBuf {
    root.dirs.run.join("daemon.sock")
}

/// Held by who starts the daemon, and by a daemon that is about to end.
pub fn turnstile(root: &Root) -> PathBuf {
    root.dirs.run.join("daemon.lock")
}

/// Asks the daemon something.
///
/// # Errors
///
/// [`ControlError::is_nobody`] where none runs.
pub fn ask(root: &Root, request: &Request) -> Result<Answer, EngineError> {
    say(&Conversation::connect(&socket(root))?, request)
}

fn say(conversation: &Conversation, request: &Request) -> Result<Answer, EngineError> {
    let message = serde_json::to_vec(request).expect("requests have no keys but strings");
    conversation.send(&message)?;
    let answer = conversation.receive(PATIENCE)?;
    serde_json::from_slice(&answer).map_err(|source| EngineError::DaemonSpeech { source })
}

impl Engine {
    /// Whose names a change of `subject` changes: only of containers on networks with names.
    pub(crate) fn notices(&self, subject: &Subject) -> Vec<Notice> {
        if self.mode == Mode::DryRun {
            return Vec::new();
        }
        // What cannot be read is read by the daemon in a moment, or not.
        self.store.read(|tx| notices(tx, subject)).unwrap_or_default()
    }

    /// Tells the daemon, if one runs; `needed`, one is started, but not for a network that nobody is on.
    pub(crate) fn notify(&mut self, notices: Vec<Notice>, needed: bool) {
        if notices.is_empty() || self.root.daemon == Daemon::Itself {
            return;
        }
        let needed = needed && notices.iter().any(|notice| matches!(notice, Notice::Member(_)));
        let request = Request::Heed(notices);
        let answered = match ask(&self.root, &request) {
            Err(EngineError::Control(error)) if error.is_nobody() || error.is_gone() => {
                let Daemon::Start(program) = &self.root.daemon else { return };
                if !needed {
                    return;
                }
                start(&self.root, program).and_then(|()| ask(&self.root, &request))
            }
            answered => answered,
        };
        match answered {
            Ok(answer) => self.warnings.extend(answer.warnings),
            Err(error) => self.warn(format!("names may not resolve yet: {}", as_warning(&error))),
        }
    }
}

/// Starts the daemon with a socket that can be asked at from now on, unless somebody did meanwhile.
fn start(root: &Root, program: &Path) -> Result<(), EngineError> {
    let _turn = FileLock::acquire(&turnstile(root))?;
    let path = socket(root);
    match Conversation::connect(&path) {
        Ok(_) => return Ok(()),
        Err(error) if error.is_nobody() => {}
        Err(error) => return Err(error.into()),
    }
    let listener = Listener::bind(&path)?;
    let mut arguments: Vec<std::ffi::OsString> = vec!["pontoon".into()];
    if let Some(given) = &root.given {
        arguments.extend(["--root".into(), given.clone().into_os_string()]);
    }
    arguments.extend(["daemon".into(), "--on-demand".into()]);
    let log = root.dirs.run.join("daemon.log");
    let started = start_service(program, &arguments, listener.into_fd(), &log);
    if started.is_err() {
        remove(&path);
    }
    Ok(started?)
}

fn remove(socket: &Path) {
    // Nobody listens there: the next command tries again all the same.
    let _ = std::fs::remove_file(socket);
}

fn notices(tx: &Tx<'_>, subject: &Subject) -> Result<Vec<Notice>, StoreError> {
    let sandbox = match subject {
        Subject::Endpoint(id) | Subject::Ports { endpoint: Some(id), .. } => {
            let Some(endpoint) = tx.endpoint(id)? else { return Ok(Vec::new()) };
            let named = tx.network(&endpoint.network)?.is_some_and(|network| network.has_names());
            return Ok(if named { vec![Notice::Member(endpoint.sandbox)] } else { Vec::new() });
        }
        Subject::Sandbox(id) => id,
        Subject::Network(id) | Subject::Renumber { network: id, .. } => {
            let named = tx.network(id)?.is_some_and(|network| network.has_names());
            return Ok(if named { vec![Notice::Network(id.clone())] } else { Vec::new() });
        }
        Subject::Cable(_) | Subject::Interface(_) | Subject::Ports { .. } | Subject::Prune => {
            return Ok(Vec::new());
        }
    };
    for endpoint in tx.endpoints_of_sandbox(sandbox)? {
        if tx.network(&endpoint.network)?.is_some_and(|network| network.has_names()) {
            return Ok(vec![Notice::Member(sandbox.clone())]);
        }
    }
    Ok(Vec::new())
}

/// Asks the daemon to end, and waits until it has, if it says that it will; whether it does.
///
/// # Errors
///
/// As [`ask`]; `ETIMEDOUT` if it does not end.
pub fn end(root: &Root, request: &Request) -> Result<bool, EngineError> {
    let conversation = Conversation::connect(&socket(root))?;
    if !say(&conversation, request)?.resting {
        return Ok(false);
    }
    match conversation.receive(PATIENCE) {
        Err(error) if !error.is_gone() => Err(error.into()),
        _ => Ok(true),
    }
}

/// Whether nobody listens at the daemon's socket.
pub fn is_nobody(error: &EngineError) -> bool {
    matches!(error, EngineError::Control(error) if ControlError::is_nobody(error))
}
