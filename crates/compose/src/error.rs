//! What is wrong with compose files, and what is not done of what they say.

use std::fmt;
use std::path::PathBuf;

use pontoon_model::Diagnose;
use serde::Serialize;

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Position {
    /// The file's path as it was given.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// Something that is not as a person may think.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// Where.
    pub at: Option<Position>,
    /// What.
    pub caution: Caution,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        located(f, self.at.as_ref(), &self.caution)
    }
}

/// What a [`Warning`] is about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Caution {
    /// A variable that is used without a default and is not set.
    #[error("variable {0} is not set: an empty text is put in its place")]
    UnsetVariable(String),
    /// A key that is not done.
    #[error("`{key}` of {} is not done{}", list(.of), because(.why))]
    NotDone {
        /// The key.
        key: String,
        /// The services or networks that have it.
        of: Vec<String>,
        /// What that means; may be empty.
        why: String,
    },
    /// A key of older forms of the file.
    #[error("`{0}` means nothing any more: it can be left out")]
    Obsolete(String),
}

/// `both `web`'s and `db`'s`, or what it is when both are the same.
fn twice(first: &str, second: &str) -> String {
    if first == second {
        format!("published twice by service `{first}`")
    } else {
        format!("both `{first}`'s and `{second}`'s")
    }
}

fn because(why: &str) -> String {
    if why.is_empty() { String::new() } else { format!(": {why}") }
}

/// `web`, `web and db`, `web, db and cache`.
pub(crate) fn list(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

fn located(f: &mut fmt::Formatter<'_>, at: Option<&Position>, what: &dyn fmt::Display) -> fmt::Result {
    match at {
        Some(at) => write!(f, "{at}: {what}"),
        None => what.fmt(f),
    }
}

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComposeError {
    /// Where; `None` when it is not about a place in a file.
    pub at: Option<Position>,
    /// What.
    pub fault: Fault,
}

impl fmt::Display for ComposeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        located(f, self.at.as_ref(), &self.fault)
    }
}

impl std::error::Error for ComposeError {}

impl Diagnose for ComposeError {
    fn code(&self) -> &'static str {
        self.fault.code()
    }

    fn hint(&self) -> Option<String> {
        self.fault.hint()
    }
}

/// All that is wrong; one at the least.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComposeErrors(pub Vec<ComposeError>);

/// Each on a line of its own, with its hint below it.
impl fmt::Display for ComposeErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, error) in self.0.iter().enumerate() {
            if number > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
            if let Some(hint) = error.hint() {
                write!(f, "\nhint: {hint}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for ComposeErrors {}

/// The hints are part of what it says.
impl Diagnose for ComposeErrors {
    fn code(&self) -> &'static str {
        match self.0.as_slice() {
            [one] => one.code(),
            _ => "bad-compose-file",
        }
    }
}

impl From<ComposeError> for ComposeErrors {
    fn from(error: ComposeError) -> Self {
        Self(vec![error])
    }
}

/// What leads round in a circle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Circle {
    /// Services that wait for one another.
    Dependencies,
    /// Services that extend one another.
    Extends,
    /// Files that include one another.
    Includes,
}

impl fmt::Display for Circle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dependencies => "services wait for one another",
            Self::Extends => "services extend one another",
            Self::Includes => "files include one another",
        })
    }
}

/// What is wrong with compose files.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// None of the default names is there.
    #[error("there is no compose file in {0} or above it")]
    NoFile(PathBuf),
    /// A file that is named is not there.
    #[error("there is no file {0}")]
    Missing(PathBuf),
    /// A file could not be read.
    #[error("{path} could not be read: {reason}", path = .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// Not YAML.
    #[error("this is not YAML: {0}")]
    Yaml(String),
    /// A key that is there twice in one mapping.
    #[error("`{0}` is there twice")]
    DuplicateKey(String),
    /// More nesting, or more nodes behind aliases, than any sane file has.
    #[error("there is too much here: {0}")]
    TooMuch(&'static str),
    /// A tag that means nothing in compose files.
    #[error("tag `{0}` is not one of compose files")]
    Tag(String),
    /// `<<` with something else than a mapping.
    #[error("`<<` takes a mapping, or a list of them")]
    MergeKey,
    /// A key that is not known here.
    #[error("unknown key `{key}` in {place}")]
    UnknownKey {
        /// The key.
        key: String,
        /// Where it is.
        place: String,
        /// The known key that is written almost like it, or all of them.
        instead: String,
    },
    /// Another kind of node than is needed.
    #[error("{place} has to be {expected}, not {found}")]
    Kind {
        /// Where.
        place: String,
        /// What can stand there.
        expected: &'static str,
        /// What stands there.
        found: &'static str,
    },
    /// A text that does not say what it has to.
    #[error("`{given}` in {place} is not {expected}")]
    Value {
        /// What was written.
        given: String,
        /// Where.
        place: String,
        /// What can stand there, with an example.
        expected: String,
    },
    /// A text that the part of Pontoon that it is for does not take.
    #[error("{place}: {message}")]
    Refused {
        /// Where.
        place: String,
        /// What it says.
        message: String,
        /// Its code.
        code: &'static str,
        /// Its hint.
        hint: Option<String>,
    },
    /// A key that has to be there.
    #[error("{place} lacks `{key}`")]
    Lacks {
        /// Where.
        place: String,
        /// The key.
        key: &'static str,
    },
    /// Two keys that exclude one another.
    #[error("{place} has both `{one}` and `{other}`, which exclude one another")]
    Both {
        /// Where.
        place: String,
        /// A key.
        one: &'static str,
        /// Another.
        other: &'static str,
    },
    /// Not a project's name.
    #[error(
        "`{name}` is not a project name: lower-case letters, digits, `_` and `-`, a letter or digit first"
    )]
    ProjectName {
        /// The name.
        name: String,
        /// The nearest that is one; may be empty.
        near: String,
    },
    /// A `${…}` that does not end or has no name.
    #[error("`{text}` is not a variable: {why}")]
    VariableSyntax {
        /// What was written.
        text: String,
        /// What is wrong.
        why: &'static str,
    },
    /// `${NAME:?message}` without a value.
    #[error("variable {name} is needed{}", because(.message))]
    VariableNeeded {
        /// Its name.
        name: String,
        /// What the file says about it; may be empty.
        message: String,
    },
    /// A line of an environment file that is not an assignment.
    #[error("this is not a variable: {0}")]
    EnvLine(&'static str),
    /// Round in a circle.
    #[error("{what}: {}", .path.join(" → "))]
    Circle {
        /// What leads round.
        what: Circle,
        /// The way, with the first again at the end.
        path: Vec<String>,
    },
    /// A network that is not declared.
    #[error("service `{service}` joins network `{network}`, which is not declared")]
    NoNetwork {
        /// The service.
        service: String,
        /// The network's key.
        network: String,
        /// Declared ones that are written almost like it.
        near: Vec<String>,
    },
    /// A service that is not there.
    #[error("there is no service `{service}` for {place}")]
    NoService {
        /// The service.
        service: String,
        /// What refers to it.
        place: String,
        /// Services that are written almost like it.
        near: Vec<String>,
    },
    /// A service that no active profile starts.
    #[error("{place} needs service `{service}`, which is not active")]
    Inactive {
        /// The service.
        service: String,
        /// What refers to it.
        place: String,
        /// The profiles that start it.
        profiles: Vec<String>,
    },
    /// One name for several containers.
    #[error("service `{service}` has {scale} containers, which cannot all be named `{name}`")]
    OneName {
        /// The service.
        service: String,
        /// How many.
        scale: u32,
        /// The name.
        name: String,
    },
    /// Something that only one container can have.
    #[error("service `{service}` has {scale} containers, and {what} can only be one's")]
    OnlyOne {
        /// The service.
        service: String,
        /// How many.
        scale: u32,
        /// What.
        what: String,
    },
    /// A container name that two services have.
    #[error("services `{first}` and `{second}` both have the container name `{name}`")]
    NameTwice {
        /// A service.
        first: String,
        /// Another.
        second: String,
        /// The name.
        name: String,
    },
    /// A port of the host that two services publish at, or one twice.
    #[error("host port {port} is {}", twice(.first, .second))]
    PortTwice {
        /// The port with its address and protocol.
        port: String,
        /// Who has it first.
        first: String,
        /// Who has it too.
        second: String,
    },
    /// A service that is waited for to be healthy, and has no health check.
    #[error("{place} waits for service `{service}` to be healthy, which has no health check")]
    NoHealthCheck {
        /// The service that is waited for.
        service: String,
        /// What waits.
        place: String,
    },
    /// A fixed address that two services have.
    #[error("address {address} of network `{network}` is both `{first}`'s and `{second}`'s")]
    AddressTwice {
        /// The address.
        address: String,
        /// The network's key.
        network: String,
        /// Who has it first.
        first: String,
        /// Who has it too.
        second: String,
    },
    /// A fixed address that is in no subnet of its network.
    #[error("address {address} of service `{service}` is in no subnet of network `{network}`: {}", list(.subnets))]
    AddressOutside {
        /// The address.
        address: String,
        /// The service.
        service: String,
        /// The network's key.
        network: String,
        /// Its subnets.
        subnets: Vec<String>,
    },
    /// A fixed address on a network whose subnet is not said.
    #[error(
        "service `{service}` has the fixed address {address} on network `{network}`, which has no subnet of its own"
    )]
    NoSubnet {
        /// The address.
        address: String,
        /// The service.
        service: String,
        /// The network's key.
        network: String,
    },
    /// An external network with more than a name.
    #[error("network `{network}` is external, so `{key}` cannot be said here")]
    External {
        /// The network's key.
        network: String,
        /// The key that is too much.
        key: String,
    },
    /// A service with an image and nothing that could run it.
    #[error("service `{0}` has an image, and no runtime is said")]
    NoRuntime(String),
    /// A process without a command.
    #[error("service `{0}` has nothing to run")]
    NoCommand(String),
    /// A key that the service's runtime does not have.
    #[error("service `{service}` is {runtime}, and `{key}` is for others")]
    RuntimeKey {
        /// The service.
        service: String,
        /// Its runtime.
        runtime: &'static str,
        /// The key.
        key: &'static str,
    },
    /// The same thing with two meanings, from an included file and another.
    #[error("`{what}` is also in {other}, and differs")]
    Conflict {
        /// `services.web`.
        what: String,
        /// The other file.
        other: String,
    },
}

impl Fault {
    /// The error at a place.
    pub(crate) fn at(self, at: impl Into<Option<Position>>) -> ComposeError {
        ComposeError { at: at.into(), fault: self }
    }

    /// What a part of Pontoon says about a text in `place`.
    pub(crate) fn refused(place: impl Into<String>, error: &impl Diagnose) -> Self {
        Self::Refused {
            place: place.into(),
            message: error.to_string(),
            code: error.code(),
            hint: error.hint(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NoFile(_) => "no-compose-file",
            Self::Missing(_) => "file-missing",
            Self::Unreadable { .. } => "file-unreadable",
            Self::Yaml(_) | Self::Tag(_) | Self::MergeKey | Self::TooMuch(_) => "bad-yaml",
            Self::DuplicateKey(_) => "duplicate-key",
            Self::UnknownKey { .. } => "unknown-key",
            Self::Kind { .. } => "bad-kind",
            Self::Value { .. } => "bad-value",
            Self::Refused { code, .. } => code,
            Self::Lacks { .. } => "key-missing",
            Self::Both { .. } => "keys-exclude",
            Self::ProjectName { .. } => "bad-project-name",
            Self::VariableSyntax { .. } => "bad-variable",
            Self::VariableNeeded { .. } => "variable-needed",
            Self::EnvLine(_) => "bad-env-file",
            Self::Circle { .. } => "circle",
            Self::NoNetwork { .. } => "undeclared-network",
            Self::NoService { .. } => "undeclared-service",
            Self::Inactive { .. } => "inactive-service",
            Self::OneName { .. } | Self::OnlyOne { .. } => "one-for-several",
            Self::NameTwice { .. } => "container-name-twice",
            Self::PortTwice { .. } => "port-twice",
            Self::NoHealthCheck { .. } => "no-health-check",
            Self::AddressTwice { .. } => "address-twice",
            Self::AddressOutside { .. } => "address-outside",
            Self::NoSubnet { .. } => "address-without-subnet",
            Self::External { .. } => "external-with-more",
            Self::NoRuntime(_) => "no-runtime",
            Self::NoCommand(_) => "no-command",
            Self::RuntimeKey { .. } => "not-of-runtime",
            Self::Conflict { .. } => "include-conflict",
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoFile(_) => "name one with --file, or call it compose.yaml".into(),
            Self::DuplicateKey(_) => "keep one of them".into(),
            Self::Tag(_) => "!reset takes away what an earlier file says, !override replaces it".into(),
            Self::UnknownKey { instead, .. } => instead.clone(),
            Self::Value { given, .. } if given.is_empty() => "is a variable not set?".into(),
            Self::Refused { hint, .. } => return hint.clone(),
            Self::ProjectName { near, .. } if !near.is_empty() => format!("did you mean {near}?"),
            Self::ProjectName { .. } => "give one with --project-name".into(),
            Self::VariableSyntax { .. } => "write $$ for a dollar sign".into(),
            Self::NoNetwork { near, network, .. } => {
                mean(near).unwrap_or_else(|| format!("declare it: `networks: {{ {network}: }}`"))
            }
            Self::NoService { near, service, .. } => {
                mean(near).unwrap_or_else(|| format!("declare it: `services: {{ {service}: … }}`"))
            }
            Self::Inactive { profiles, .. } => format!("activate it with --profile {}", profiles.join(" or ")),
            Self::OneName { .. } => "leave `container_name` out, or have one container".into(),
            Self::NoSubnet { network, .. } => {
                format!("give it one: `networks: {{ {network}: {{ ipam: {{ config: [{{ subnet: 172.30.0.0/16 }}] }} }} }}`")
            }
            Self::External { .. } => "an external network is as it was made; leave the key out".into(),
            Self::NoRuntime(_) => {
                "choose what runs images: `x-pontoon: { runtime: docker }` or `podman`, for the file or the service".into()
            }
            Self::NoHealthCheck { service, .. } => {
                format!("give `{service}` a `healthcheck` with a `test`, or wait for `service_started`")
            }
            Self::NoCommand(_) => "give it a `command`".into(),
            _ => return None,
        })
    }
}

/// `did you mean web or wab?`
pub(crate) fn mean(near: &[String]) -> Option<String> {
    (!near.is_empty()).then(|| format!("did you mean {}?", near.join(" or ")))
}
