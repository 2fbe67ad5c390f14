//! Kernel parameters under `/proc/sys`.
//!
//! `/proc/sys/net` shows the network namespace of the thread that *opens* a file there (`net_ctl_root` in
//! the kernel's net/sysctl_net.c), so reading or writing inside [`Netns::enter`](crate::netns::Netns::enter)
//! is all it takes to reach a container's; no mount of its own is needed.
//!
//! Source: sysctl(8), sysctl.d(5).

use std::fmt;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use pontoon_model::Diagnose;
use rustix::io::Errno;

/// A kernel parameter by its path below `/proc/sys`, such as `net/ipv4/conf/eth0.100/forwarding`.
///
/// Parsed as sysctl.d(5) says: the first separator decides. After a `/`, dots are part of names; after a
/// `.`, dots separate and a `/` stands for a dot, so `net.ipv4.conf.eth0/100.forwarding` is the same one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sysctl(String);

/// What can fail about a kernel parameter.
#[derive(Debug, thiserror::Error)]
pub enum SysctlError {
    /// Not a path below `/proc/sys`.
    #[error("`{key}` is not the name of a kernel parameter")]
    BadKey {
        /// What was given.
        key: String,
    },
    /// This kernel, or this interface, has no such parameter.
    #[error("there is no kernel parameter `{key}`")]
    Missing {
        /// The parameter.
        key: Sysctl,
    },
    /// The kernel does not accept the value.
    #[error("kernel parameter `{key}` does not take the value `{value}`")]
    BadValue {
        /// The parameter.
        key: Sysctl,
        /// The value.
        value: String,
        /// `EINVAL` or `ERANGE`.
        #[source]
        errno: Errno,
    },
    /// The parameter could not be read.
    #[error("could not read kernel parameter `{key}`")]
    Read {
        /// The parameter.
        key: Sysctl,
        /// What the kernel said.
        #[source]
        errno: Errno,
    },
    /// The parameter could not be written.
    #[error("could not set kernel parameter `{key}` to `{value}`")]
    Write {
        /// The parameter.
        key: Sysctl,
        /// The value.
        value: String,
        /// What the kernel said.
        #[source]
        errno: Errno,
    },
}

impl SysctlError {
    /// The errno, where a system call failed.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            SysctlError::BadKey { .. } => None,
            SysctlError::Missing { .. } => Some(Errno::NOENT),
            SysctlError::BadValue { errno, .. }
            | SysctlError::Read { errno, .. }
            | SysctlError::Write { errno, .. } => Some(*errno),
        }
    }
}

impl Diagnose for SysctlError {
    fn code(&self) -> &'static str {
        match self {
            SysctlError::BadKey { .. } => "sysctl-bad-key",
            SysctlError::Missing { .. } => "sysctl-missing",
            SysctlError::BadValue { .. } => "sysctl-bad-value",
            SysctlError::Read { .. } => "sysctl-read",
            SysctlError::Write { .. } => "sysctl-write",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            SysctlError::Missing { key } if key.0.starts_with("net/bridge/") => {
                Some("it appears with the kernel module `br_netfilter`".into())
            }
            SysctlError::Missing { key } if key.0.starts_with("net/ipv6/") => {
                Some("IPv6 may be off in this kernel (`ipv6.disable=1`)".into())
            }
            SysctlError::Write { errno: Errno::ROFS, .. } => {
                Some("/proc/sys is read-only here, as in a container that is not privileged".into())
            }
            SysctlError::Write { errno: Errno::ACCESS | Errno::PERM, .. } => {
                Some("this takes CAP_NET_ADMIN in the network namespace's own user namespace".into())
            }
            _ => None,
        }
    }
}

/// The address family that an interface's parameter belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// `net/ipv4/…`
    V4,
    /// `net/ipv6/…`
    V6,
}

impl Sysctl {
    /// `net/{ipv4,ipv6}/conf/INTERFACE/KEY`; the interface may have dots, or be `all` or `default`.
    ///
    /// # Errors
    ///
    /// [`SysctlError::BadKey`] when `interface` or `key` is empty, `.`, `..` or has a `/`.
    pub fn conf(family: Family, interface: &str, key: &str) -> Result<Sysctl, SysctlError> {
        let family = match family {
            Family::V4 => "ipv4",
            Family::V6 => "ipv6",
        };
        Self::from_parts(&["net", family, "conf", interface, key])
    }

    /// The path below `/proc/sys`, slashes between names.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The file that is read and written.
    pub fn path(&self) -> PathBuf {
        Path::new("/proc/sys").join(&self.0)
    }

    /// Whether the parameter is there, in the calling thread's network namespace.
    pub fn exists(&self) -> bool {
        self.path().exists()
    }

    /// The value, without its newline, in the calling thread's network namespace.
    ///
    /// # Errors
    ///
    /// [`SysctlError::Missing`]; `EACCES` for the few that not everybody may read.
    pub fn read(&self) -> Result<String, SysctlError> {
        match fs::read(self.path()) {
            Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).trim_end_matches('\n').to_owned()),
            Err(error) => Err(match errno_of(&error) {
                Errno::NOENT => SysctlError::Missing { key: self.clone() },
                errno => SysctlError::Read { key: self.clone(), errno },
            }),
        }
    }

    /// Sets the value, in the calling thread's network namespace.
    ///
    /// # Errors
    ///
    /// [`SysctlError::Missing`], [`SysctlError::BadValue`]; `EACCES` without privilege, `EROFS` where
    /// `/proc/sys` is read-only.
    pub fn write(&self, value: &str) -> Result<(), SysctlError> {
        // One write(2): the kernel parses each write on its own.
        let written = fs::OpenOptions::new()
            .write(true)
            .open(self.path())
            .and_then(|mut file| file.write_all(value.as_bytes()));
        let Err(error) = written else { return Ok(()) };
        let (key, value) = (self.clone(), value.to_owned());
        Err(match errno_of(&error) {
            Errno::NOENT => SysctlError::Missing { key },
            errno @ (Errno::INVAL | Errno::RANGE) => SysctlError::BadValue { key, value, errno },
            errno => SysctlError::Write { key, value, errno },
        })
    }

    fn from_parts(parts: &[&str]) -> Result<Sysctl, SysctlError> {
        let bad =
            |part: &&str| part.is_empty() || *part == "." || *part == ".." || part.contains(['/', '\0']);
        if parts.iter().any(bad) {
            return Err(SysctlError::BadKey { key: parts.join("/") });
        }
        Ok(Sysctl(parts.join("/")))
    }
}

impl FromStr for Sysctl {
    type Err = SysctlError;

    fn from_str(key: &str) -> Result<Sysctl, SysctlError> {
        let slashes = match key.find(['.', '/']) {
            Some(at) if key.as_bytes()[at] == b'.' => key
                .chars()
                .map(|c| match c {
                    '.' => '/',
                    '/' => '.',
                    other => other,
                })
                .collect(),
            _ => key.to_owned(),
        };
        Self::from_parts(&slashes.split('/').collect::<Vec<_>>())
            .map_err(|_| SysctlError::BadKey { key: key.to_owned() })
    }
}

/// As sysctl(8) prints it: dots between names, and a slash where a name has a dot.
impl fmt::Display for Sysctl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            let shown = match c {
                '/' => '.',
                '.' => '/',
                other => other,
            };
            write!(f, "{shown}")?;
        }
        Ok(())
    }
}

fn errno_of(error: &std::io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_separator_decides() {
        for (given, path, shown) in [
            ("net.ipv4.ip_forward", "net/ipv4/ip_forward", "net.ipv4.ip_forward"),
            ("net/ipv4/ip_forward", "net/ipv4/ip_forward", "net.ipv4.ip_forward"),
            (
                "net/ipv4/conf/eth0.100/forwarding",
                "net/ipv4/conf/eth0.100/forwarding",
                "net.ipv4.conf.eth0/100.forwarding",
            ),
            (
                "net.ipv4.conf.eth0/100.forwarding",
                "net/ipv4/conf/eth0.100/forwarding",
                "net.ipv4.conf.eth0/100.forwarding",
            ),
        ] {
            let key: Sysctl = given.parse().unwrap();
            assert_eq!(key.as_str(), path);
            assert_eq!(key.to_string(), shown);
        }
    }

    #[test]
    fn a_key_stays_below_proc_sys() {
        for key in ["", ".", "/etc/passwd", "net/../../etc/passwd", "net//ipv4", "net.ipv4.", "a/\0"] {
            assert!(key.parse::<Sysctl>().is_err(), "{key:?} was taken");
        }
        assert!(Sysctl::conf(Family::V4, "..", "forwarding").is_err());
    }

    #[test]
    fn a_missing_parameter_is_named() {
        let error = Sysctl::conf(Family::V4, "nosuchlink", "forwarding").unwrap().read().unwrap_err();
        assert_eq!(error.to_string(), "there is no kernel parameter `net.ipv4.conf.nosuchlink.forwarding`");
    }
}
