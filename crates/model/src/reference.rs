//! How a person points at a container.

use std::fmt;
use std::str::FromStr;

use crate::{Diagnose, SandboxName};

/// A container as the command line names it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum ContainerRef {
    /// A container of ours by name, id, or the beginning of an id.
    Ours(String),
    /// The network namespace of a process.
    Pid(u32),
    /// A namespace pinned at `/run/netns/NAME`, as `ip netns` makes them.
    NetnsName(String),
    /// A namespace by the path of its file.
    NetnsPath(String),
    /// A container of Docker's.
    Docker(String),
    /// A container of Podman's.
    Podman(String),
    /// A container of an OCI runtime that told `pontoon oci-hook` of it, by its id.
    Oci(String),
}

impl ContainerRef {
    /// What a container of another engine is called there.
    pub fn name_elsewhere(&self) -> Option<&str> {
        match self {
            Self::Docker(name) | Self::Podman(name) | Self::Oci(name) => Some(name),
            Self::Ours(_) | Self::Pid(_) | Self::NetnsName(_) | Self::NetnsPath(_) => None,
        }
    }
}

/// Why a text does not point at a container.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RefError {
    /// What follows `pid:` is not a process id.
    #[error("`{0}` is not a process id: a whole number from 1 to 4194304")]
    Pid(String),
    /// What follows `netns:` is not a name or an absolute path.
    #[error("`{0}` is not a namespace: a name as `ip netns` has it, or an absolute path")]
    Netns(String),
    /// An unknown scheme, or a text that cannot be a name.
    #[error(
        "`{0}` is not a container: NAME, pid:N, netns:NAME, netns:/PATH, docker:NAME, podman:NAME or oci:ID"
    )]
    Syntax(String),
}

impl Diagnose for RefError {
    fn code(&self) -> &'static str {
        "bad-container-reference"
    }
}

impl FromStr for ContainerRef {
    type Err = RefError;

    fn from_str(text: &str) -> Result<Self, RefError> {
        let Some((scheme, rest)) = text.split_once(':') else {
            let name: Result<SandboxName, _> = text.parse();
            return name.map(|name| Self::Ours(name.into())).map_err(|_| RefError::Syntax(text.to_owned()));
        };
        match scheme {
            // PID_MAX_LIMIT in include/linux/threads.h is 4 Mi on 64-bit machines.
            "pid" => match rest.parse() {
                Ok(pid @ 1..=4_194_304) => Ok(Self::Pid(pid)),
                _ => Err(RefError::Pid(rest.to_owned())),
            },
            "netns" if rest.starts_with('/') && !rest.contains('\0') => Ok(Self::NetnsPath(rest.to_owned())),
            "netns" if valid_netns_name(rest) => Ok(Self::NetnsName(rest.to_owned())),
            "netns" => Err(RefError::Netns(rest.to_owned())),
            "docker" if !rest.is_empty() => Ok(Self::Docker(rest.to_owned())),
            "podman" if !rest.is_empty() => Ok(Self::Podman(rest.to_owned())),
            "oci" if !rest.is_empty() => Ok(Self::Oci(rest.to_owned())),
            _ => Err(RefError::Syntax(text.to_owned())),
        }
    }
}

/// Whether `name` can be a file in `/run/netns`.
pub fn valid_netns_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= 255 && name != "." && name != ".." && !name.contains(['/', '\0', '\n'])
}

impl fmt::Display for ContainerRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ours(name) => f.write_str(name),
            Self::Pid(pid) => write!(f, "pid:{pid}"),
            Self::NetnsName(name) | Self::NetnsPath(name) => write!(f, "netns:{name}"),
            Self::Docker(name) => write!(f, "docker:{name}"),
            Self::Podman(name) => write!(f, "podman:{name}"),
            Self::Oci(id) => write!(f, "oci:{id}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_parse_and_print_alike() {
        for text in
            ["web", "pid:1", "netns:blue", "netns:/proc/1/ns/net", "docker:web", "podman:web", "oci:web"]
        {
            assert_eq!(text.parse::<ContainerRef>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "pid:",
            "pid:0",
            "pid:-1",
            "pid:x",
            "pid:99999999",
            "netns:",
            "netns:a/b",
            "netns:..",
            "lxc:web",
            "a b",
            ":",
            "docker:",
        ] {
            assert!(text.parse::<ContainerRef>().is_err(), "{text}");
        }
    }
}
