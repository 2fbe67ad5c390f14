//! Sandboxes: network namespaces with something in them, made by Pontoon or by somebody else.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::id::SandboxId;
use crate::name::SandboxName;
use crate::reference::ContainerRef;
use crate::supervision::{Health, HealthCheck, NetSysctl, RestartPolicy, StopSignal};

/// What the kernel knows a namespace by: the device and inode number of its file.
///
/// Source: namespaces(7), "The /proc/pid/ns/ directory".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct NetnsId {
    /// Device number of nsfs.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
}

impl std::fmt::Display for NetnsId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "net:[{}]", self.ino)
    }
}

/// Whose namespace a sandbox is.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Origin {
    /// Pontoon made it, for `run`.
    Run,
    /// It was there; Pontoon was pointed at it.
    Foreign(ContainerRef),
}

/// What `--network` said.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub enum NetworkMode {
    /// Networks by name; a namespace of its own.
    #[default]
    Networks,
    /// A namespace of its own with loopback alone.
    None,
    /// The host's namespace.
    Host,
    /// Another sandbox's namespace.
    Container(SandboxId),
}

/// How far a container's life has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Status {
    /// Its network is being made.
    Created,
    /// Its process runs.
    Running,
    /// Its process has ended, with this exit code (128 + signal number if a signal ended it).
    Exited(i32),
}

impl Status {
    /// Docker's word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Exited(_) => "exited",
        }
    }
}

/// What a line of /etc/hosts leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
pub enum HostEntry {
    /// An address.
    Address(std::net::IpAddr),
    /// The host, by its addresses on the container's networks. Docker's `host-gateway`.
    #[serde(with = "gateway_word")]
    Gateway,
}

/// [`HostEntry::Gateway`] as Docker has it in files.
mod gateway_word {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) const WORD: &str = "host-gateway";

    pub(super) fn serialize<S: Serializer>(serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(WORD)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            WORD => Ok(()),
            other => Err(D::Error::custom(format!("`{other}` is not an address"))),
        }
    }
}

impl std::fmt::Display for HostEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Gateway => f.write_str(gateway_word::WORD),
        }
    }
}

impl std::str::FromStr for HostEntry {
    type Err = std::net::AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == gateway_word::WORD { Ok(Self::Gateway) } else { text.parse().map(Self::Address) }
    }
}

/// What a container was asked to run, and how.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Process {
    /// The command and its arguments.
    pub argv: Vec<String>,
    /// Variables added to the environment.
    pub env: Vec<String>,
    /// Where it starts.
    pub workdir: Option<PathBuf>,
    /// Its root directory, when not the host's.
    pub rootfs: Option<PathBuf>,
    /// Its host name.
    pub hostname: String,
    /// Name servers asked for.
    pub dns: Vec<std::net::IpAddr>,
    /// Search domains asked for.
    pub dns_search: Vec<String>,
    /// Resolver options asked for.
    pub dns_options: Vec<String>,
    /// More lines for /etc/hosts: name and address.
    pub extra_hosts: Vec<(String, HostEntry)>,
    /// Whether the record goes with the process.
    pub auto_remove: bool,
    /// Whether nobody waits for it.
    pub detached: bool,
    /// Ports that it is said to listen on.
    #[serde(default)]
    pub exposed: Vec<crate::publish::ExposedPorts>,
    /// Kernel settings of its namespace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sysctls: Vec<NetSysctl>,
    /// Whether it is started again when it has ended.
    #[serde(default, skip_serializing_if = "is_default")]
    pub restart: RestartPolicy,
    /// How to find out whether it is well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check: Option<HealthCheck>,
    /// What asks it to end, where that is not [`StopSignal::TERM`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<StopSignal>,
    /// How long it may take to end once it is asked to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_grace: Option<Duration>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A process as it can be told from a later one with the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ProcessId {
    /// Process id.
    pub pid: u32,
    /// Its start in clock ticks after boot: field 22 of `/proc/PID/stat`, proc_pid_stat(5).
    pub started: u64,
}

/// A network namespace that endpoints are attached to, and the container in it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Sandbox {
    /// Its id.
    pub id: SandboxId,
    /// Its name.
    pub name: SandboxName,
    /// What it was called, once its name is free for another.
    #[serde(default)]
    pub former_name: Option<SandboxName>,
    /// Whose it is.
    pub origin: Origin,
    /// Which namespace.
    pub netns: NetnsId,
    /// Its file's name in `/run/netns`, where Pontoon pinned it there.
    pub pinned: Option<String>,
    /// What `--network` said.
    pub mode: NetworkMode,
    /// How far its life has come.
    pub status: Status,
    /// Its first process.
    pub process_id: Option<ProcessId>,
    /// The `pontoon` that looks after it.
    pub keeper: Option<ProcessId>,
    /// What runs in it.
    pub process: Process,
    /// Its published ports: not part of its record, which would be written whole for each of them.
    #[serde(skip)]
    pub ports: Vec<crate::Publication>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// When it was made, RFC 3339, UTC.
    pub created: String,
    /// When its process started, RFC 3339, UTC; empty before.
    pub started: String,
    /// When its process ended, RFC 3339, UTC; empty before.
    pub finished: String,
    /// How it was found at its last check, where it is checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
    /// How often it was started again.
    #[serde(default, skip_serializing_if = "is_default")]
    pub restarts: u32,
    /// Whether it was asked to end, and is not started again.
    #[serde(default, skip_serializing_if = "is_default")]
    pub stopping: bool,
}

impl Sandbox {
    /// What it is known as: by its name, or by the one that it had as long as it ran; as [`Sandbox::shown_as`] where it is
    /// another engine's.
    pub fn known_as(&self) -> String {
        self.elsewhere()
            .map_or_else(|| self.former_name.as_ref().unwrap_or(&self.name).to_string(), ToString::to_string)
    }

    /// What it is shown as: `docker:web` where it is another engine's, by its name otherwise.
    pub fn shown_as(&self) -> String {
        self.elsewhere().map_or_else(|| self.name.to_string(), ToString::to_string)
    }

    /// The reference to it, where it is a container of another engine.
    pub fn elsewhere(&self) -> Option<&ContainerRef> {
        match &self.origin {
            Origin::Foreign(reference) if reference.name_elsewhere().is_some() => Some(reference),
            Origin::Foreign(_) | Origin::Run => None,
        }
    }

    /// Whether `reference` was, or would be, made to it: by what it was called when it became known, or for a container of
    /// another engine by the beginning of its id.
    pub fn is_meant_by(&self, reference: &ContainerRef) -> bool {
        let begins = |text: &str| !text.is_empty() && self.id.as_str().starts_with(text);
        match (&self.origin, reference) {
            (_, ContainerRef::Ours(name)) => self.name.as_str() == name,
            (Origin::Run, _) => false,
            (Origin::Foreign(ContainerRef::Docker(name)), ContainerRef::Docker(given))
            | (Origin::Foreign(ContainerRef::Podman(name)), ContainerRef::Podman(given)) => {
                name == given || begins(given)
            }
            (Origin::Foreign(origin), _) => origin == reference,
        }
    }

    /// Whether Pontoon made it.
    pub fn is_ours(&self) -> bool {
        self.origin == Origin::Run
    }
}
