//! What an engine can be asked.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use pontoon_model::diagnose::near;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::connection::{Answer, Deadline, Failure, ask};
use crate::event::FILTERS;
use crate::http::Request;
use crate::log::{self, Piece};
use crate::{Container, CreateSpec, Events, Kind, Logs, OciError, command};

/// How long an engine may take for what it answers at once.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long it may take to make, start or remove a container.
const WORK: Duration = Duration::from_secs(60);
/// The longest answer, in bytes.
const LONGEST: usize = 16 << 20;
/// How much of what a command printed is kept, in bytes.
const LONGEST_OUTPUT: usize = 1 << 20;

/// An engine that can be asked.
#[derive(Debug, Clone)]
pub struct Client {
    kind: Kind,
    way: Way,
    patience: Duration,
}

/// How it is asked.
#[derive(Debug, Clone)]
enum Way {
    Socket(PathBuf),
    /// By its own program, for want of a socket in these places.
    Program(Vec<PathBuf>),
}

/// A container in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Whether it runs.
    pub running: bool,
    /// Labels.
    pub labels: std::collections::BTreeMap<String, String>,
}

/// A command to run in a container.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExecSpec {
    /// The command and its arguments.
    pub argv: Vec<String>,
    /// Variables added to the environment: `NAME=VALUE`.
    pub env: Vec<String>,
    /// `USER[:GROUP]` that it runs as, where not as the container.
    pub user: Option<String>,
    /// Where it starts, where not as the container.
    pub working_dir: Option<String>,
}

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Executed {
    /// Its exit code.
    pub code: i64,
    /// What it printed.
    pub output: Vec<Piece>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawListed {
    id: String,
    #[serde(default)]
    names: Option<Vec<String>>,
    #[serde(default)]
    state: String,
    #[serde(default)]
    labels: Option<std::collections::BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WithId {
    id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Waited {
    status_code: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ExecState {
    exit_code: Option<i64>,
}

#[derive(Deserialize)]
struct Message {
    message: String,
}

impl Client {
    /// The engine of this host, where its variable says or in its usual places. Podman does without a socket for
    /// [`Client::inspect`]: its own program is asked.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub fn open(kind: Kind) -> Result<Self, OciError> {
        let tried = kind.sockets(|name| std::env::var(name).ok())?;
        let way = match tried.iter().find(|path| path.exists()) {
            Some(path) => Way::Socket(path.clone()),
            None if kind == Kind::Podman && command::is_installed(kind) => Way::Program(tried),
            None => return Err(OciError::NoEngine { kind, tried }),
        };
        Ok(Self { kind, way, patience: PATIENCE })
    }

    /// The engine that listens at `socket`.
    pub fn at(kind: Kind, socket: impl Into<PathBuf>) -> Self {
        Self { kind, way: Way::Socket(socket.into()), patience: PATIENCE }
    }

    /// The same, which has to answer within `patience` what can be answered at once.
    #[must_use]
    pub fn within(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Which engine.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether it tells of events: by a socket, and not where its program is asked.
    pub fn has_socket(&self) -> bool {
        matches!(self.way, Way::Socket(_))
    }

    /// A container by name, id, or the beginning of an id.
    ///
    /// # Errors
    ///
    /// [`OciError::NoContainer`] if there is none.
    pub fn inspect(&self, name: &str) -> Result<Container, OciError> {
        let understood = |parsed: Result<Container, String>| parsed.map_err(|what| self.speech(what));
        let Way::Socket(_) = self.way else {
            let printed = command::inspect(self.kind, name, self.patience)?;
            return understood(Container::parse_list(&printed));
        };
        let body = self.body(&Request::new("GET", &["containers", name, "json"]), self.patience);
        understood(Container::parse(&self.about(name, body)?))
    }

    /// A container that runs, with its process.
    ///
    /// # Errors
    ///
    /// [`OciError::NotRunning`] if it does not run.
    pub fn running(&self, name: &str) -> Result<(Container, u32), OciError> {
        let found = self.inspect(name)?;
        match found.pid {
            Some(pid) => Ok((found, pid)),
            None => Err(OciError::NotRunning { kind: self.kind, name: found.name }),
        }
    }

    /// All containers that have this label, with this value if one is given; all if no label is.
    ///
    /// # Errors
    ///
    /// If the engine does not tell.
    pub fn list(&self, label: Option<(&str, Option<&str>)>) -> Result<Vec<Listed>, OciError> {
        let mut request = Request::new("GET", &["containers", "json"]).with("all", "true");
        if let Some((key, value)) = label {
            let label = value.map_or_else(|| key.to_owned(), |value| format!("{key}={value}"));
            request = request.with("filters", &json!({ "label": [label] }).to_string());
        }
        let listed = |raw: RawListed| Listed {
            id: raw.id,
            // One with a slash within is a link's, of another container.
            name: raw
                .names
                .into_iter()
                .flatten()
                .map(|name| name.trim_start_matches('/').to_owned())
                .find(|name| !name.contains('/'))
                .unwrap_or_default(),
            running: raw.state == "running",
            labels: raw.labels.unwrap_or_default(),
        };
        let found: Vec<RawListed> = self.json(&request, self.patience)?;
        Ok(found.into_iter().map(listed).collect())
    }

    /// Makes a container; returns its id.
    ///
    /// # Errors
    ///
    /// [`OciError::NoImage`] if the image is not there; [`OciError::Refused`] if the name is taken.
    pub fn create(&self, name: Option<&str>, spec: &CreateSpec) -> Result<String, OciError> {
        let mut request = Request::new("POST", &["containers", "create"]).with_json(&spec.json());
        if let Some(name) = name {
            request = request.with("name", name);
        }
        match self.json::<WithId>(&request, WORK) {
            Ok(WithId { id }) => Ok(id),
            Err(OciError::Refused { status: 404, .. }) => {
                Err(OciError::NoImage { kind: self.kind, image: spec.image.clone() })
            }
            Err(error) => Err(error),
        }
    }

    /// Starts a container; one that runs is left as it is.
    ///
    /// # Errors
    ///
    /// If it is not there or cannot be started.
    pub fn start(&self, name: &str) -> Result<(), OciError> {
        self.act(name, Request::new("POST", &["containers", name, "start"]), WORK)
    }

    /// Asks a container to end, and ends it by force after `grace`, or after its own time; one that does not run is left
    /// as it is.
    ///
    /// # Errors
    ///
    /// If it is not there or cannot be ended.
    pub fn stop(&self, name: &str, grace: Option<Duration>) -> Result<(), OciError> {
        let request = Request::new("POST", &["containers", name, "stop"]);
        match grace {
            Some(grace) => {
                self.act(name, request.with("t", &grace.as_secs().to_string()), grace.saturating_add(WORK))
            }
            // How long its own time is, only the engine knows.
            None => self.act_until(name, request, None),
        }
    }

    /// Sends a signal to a container.
    ///
    /// # Errors
    ///
    /// If it is not there or does not run.
    pub fn kill(&self, name: &str, signal: &str) -> Result<(), OciError> {
        let request = Request::new("POST", &["containers", name, "kill"]).with("signal", signal);
        self.act(name, request, self.patience).map_err(|error| match error {
            OciError::Refused { status: 409, .. } => {
                OciError::NotRunning { kind: self.kind, name: name.to_owned() }
            }
            other => other,
        })
    }

    /// Removes a container, with its anonymous volumes; with `force` also one that runs.
    ///
    /// # Errors
    ///
    /// If it is not there, or runs.
    pub fn remove(&self, name: &str, force: bool) -> Result<(), OciError> {
        let request = Request::new("DELETE", &["containers", name]).with("v", "true");
        self.act(name, request.with("force", &force.to_string()), WORK)
    }

    /// Waits until a container has ended, for `patience` at the most; without a limit if that is not given. Returns its
    /// exit code.
    ///
    /// # Errors
    ///
    /// [`OciError::Silent`] if it still runs.
    pub fn wait(&self, name: &str, patience: Option<Duration>) -> Result<i64, OciError> {
        let request = Request::new("POST", &["containers", name, "wait"]);
        let body = self.body_until(&request, Deadline::after(patience));
        let Waited { status_code } = self.understand(&self.about(name, body)?)?;
        Ok(status_code)
    }

    /// What a container prints: the last `tail` lines, or all; with `follow` also what is still to come.
    ///
    /// # Errors
    ///
    /// If it is not there.
    pub fn logs(&self, name: &str, tail: Option<u64>, follow: bool) -> Result<Logs, OciError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Inspected {
            config: Config,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Config {
            #[serde(default)]
            tty: bool,
        }
        let inspect = Request::new("GET", &["containers", name, "json"]);
        let inspected = self.about(name, self.body(&inspect, self.patience))?;
        let Inspected { config } = self.understand(&inspected)?;
        let request = Request::new("GET", &["containers", name, "logs"])
            .with("stdout", "true")
            .with("stderr", "true")
            .with("follow", &follow.to_string())
            .with("tail", &tail.map_or_else(|| "all".to_owned(), |lines| lines.to_string()));
        let answer = self.about(name, self.answer(&request, Deadline::after(Some(self.patience))))?;
        Ok(Logs::new(self.kind, answer, config.tty))
    }

    /// Runs a command in a container and waits until it has ended, for `patience` at the most.
    ///
    /// # Errors
    ///
    /// [`OciError::NotRunning`] if the container does not run; [`OciError::Silent`] if the command does not end: it goes
    /// on.
    pub fn exec(&self, name: &str, spec: &ExecSpec, patience: Duration) -> Result<Executed, OciError> {
        let deadline = Deadline::after(Some(patience));
        let body = json!({
            "Cmd": spec.argv, "Env": spec.env, "AttachStdout": true, "AttachStderr": true,
            "User": spec.user.as_deref().unwrap_or_default(),
            "WorkingDir": spec.working_dir.as_deref().unwrap_or_default(),
        });
        let request = Request::new("POST", &["containers", name, "exec"]).with_json(&body);
        let made = self.about(name, self.body_until(&request, deadline)).map_err(|error| match error {
            OciError::Refused { status: 409, .. } => {
                OciError::NotRunning { kind: self.kind, name: name.to_owned() }
            }
            other => other,
        })?;
        let WithId { id } = self.understand(&made)?;
        let start = Request::new("POST", &["exec", &id, "start"])
            .with_json(&json!({ "Detach": false, "Tty": false }));
        let mut printed = self.body_until(&start, deadline)?;
        let output = log::take(&mut printed).map_err(|what| self.speech(what))?;
        let state: ExecState = self.json(&Request::new("GET", &["exec", &id, "json"]), self.patience)?;
        let code = state.exit_code.ok_or_else(|| self.speech("a command without an exit code".into()))?;
        Ok(Executed { code, output })
    }

    /// What happens to containers from now on.
    ///
    /// # Errors
    ///
    /// If the engine does not tell.
    pub fn events(&self) -> Result<Events, OciError> {
        let request = Request::new("GET", &["events"]).with("filters", FILTERS);
        Ok(Events::new(self.kind, self.answer(&request, Deadline::after(Some(self.patience)))?))
    }
}

impl Client {
    fn act(&self, name: &str, request: Request, patience: Duration) -> Result<(), OciError> {
        self.act_until(name, request, Some(patience))
    }

    fn act_until(&self, name: &str, request: Request, patience: Option<Duration>) -> Result<(), OciError> {
        let done = self.body_until(&request, Deadline::after(patience));
        self.about(name, done).map(drop)
    }

    /// Says of a container that is not there which ones are called almost so.
    fn about<T>(&self, name: &str, result: Result<T, OciError>) -> Result<T, OciError> {
        match result {
            Err(OciError::Refused { status: 404, .. }) => {
                // Without the hint it is an answer too.
                let names: Vec<String> =
                    self.list(None).unwrap_or_default().into_iter().map(|one| one.name).collect();
                let near = near(name, names.iter().map(String::as_str));
                let near = near.into_iter().map(str::to_owned).collect();
                Err(OciError::NoContainer { kind: self.kind, name: name.to_owned(), near })
            }
            other => other,
        }
    }

    fn json<T: DeserializeOwned>(&self, request: &Request, patience: Duration) -> Result<T, OciError> {
        self.understand(&self.body(request, patience)?)
    }

    fn understand<T: DeserializeOwned>(&self, body: &[u8]) -> Result<T, OciError> {
        serde_json::from_slice(body).map_err(|error| self.speech(error.to_string()))
    }

    fn body(&self, request: &Request, patience: Duration) -> Result<Vec<u8>, OciError> {
        self.body_until(request, Deadline::after(Some(patience)))
    }

    fn body_until(&self, request: &Request, deadline: Deadline) -> Result<Vec<u8>, OciError> {
        self.answer(request, deadline)?.body(LONGEST, deadline).map_err(|source| self.broken(source))
    }

    /// An answer that is none of refusal.
    fn answer(&self, request: &Request, deadline: Deadline) -> Result<Answer, OciError> {
        let path = self.socket()?;
        let answer = ask(path, request, deadline).map_err(|failure| match failure {
            Failure::Io(source) => self.unreachable(path, source),
            Failure::Speech(what) => self.speech(what),
        })?;
        let status = answer.status;
        // 304: it is so already.
        if (200..300).contains(&status) || status == 304 {
            return Ok(answer);
        }
        let body = answer.body(LONGEST_OUTPUT, deadline).map_err(|source| self.broken(source))?;
        let message = match serde_json::from_slice::<Message>(&body) {
            Ok(Message { message }) => message,
            Err(_) => format!("status {status}"),
        };
        Err(OciError::Refused { kind: self.kind, status, message })
    }

    fn socket(&self) -> Result<&Path, OciError> {
        match &self.way {
            Way::Socket(path) => Ok(path),
            Way::Program(tried) => Err(OciError::NeedsSocket { kind: self.kind, tried: tried.clone() }),
        }
    }

    fn unreachable(&self, path: &Path, source: io::Error) -> OciError {
        let (kind, path) = (self.kind, path.to_owned());
        match source.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
                OciError::NoEngine { kind, tried: vec![path] }
            }
            ErrorKind::PermissionDenied => OciError::Denied { kind, path },
            _ => self.broken(source),
        }
    }

    fn broken(&self, source: io::Error) -> OciError {
        match source.kind() {
            ErrorKind::TimedOut => OciError::Silent { kind: self.kind },
            ErrorKind::FileTooLarge => self.speech("an answer without end".into()),
            _ => OciError::Broken { kind: self.kind, source },
        }
    }

    fn speech(&self, what: String) -> OciError {
        OciError::Speech { kind: self.kind, what }
    }
}
