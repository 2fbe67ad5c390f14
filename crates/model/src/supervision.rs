//! What becomes of a container's process when it ends or ails: restarts, health, the way it is stopped.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::Diagnose;

/// Whether a container whose process has ended is started again. Docker's `--restart`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub enum RestartPolicy {
    /// It has ended.
    #[default]
    No,
    /// It is, until it is stopped.
    Always,
    /// As [`Self::Always`]: containers do not outlive a reboot here, which is where Docker has them differ.
    UnlessStopped,
    /// It is when it failed, this many times at the most.
    OnFailure(Option<u32>),
}

impl RestartPolicy {
    /// Whether a process that ended with `code`, after `restarts` restarts, is started again.
    pub fn restarts(self, code: i32, restarts: u32) -> bool {
        match self {
            Self::No => false,
            Self::Always | Self::UnlessStopped => true,
            Self::OnFailure(most) => code != 0 && most.is_none_or(|most| restarts < most),
        }
    }

    /// Docker's word for it, without a number.
    pub fn word(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Always => "always",
            Self::UnlessStopped => "unless-stopped",
            Self::OnFailure(_) => "on-failure",
        }
    }
}

impl fmt::Display for RestartPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OnFailure(Some(most)) => write!(f, "on-failure:{most}"),
            other => f.write_str(other.word()),
        }
    }
}

/// Why a text is no restart policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a restart policy: no, always, unless-stopped, on-failure or on-failure:TIMES")]
pub struct RestartPolicyError(String);

impl Diagnose for RestartPolicyError {
    fn code(&self) -> &'static str {
        "bad-restart-policy"
    }
}

impl FromStr for RestartPolicy {
    type Err = RestartPolicyError;

    fn from_str(text: &str) -> Result<Self, RestartPolicyError> {
        match text {
            "no" | "" => Ok(Self::No),
            "always" => Ok(Self::Always),
            "unless-stopped" => Ok(Self::UnlessStopped),
            "on-failure" => Ok(Self::OnFailure(None)),
            other => {
                let most = other.strip_prefix("on-failure:").and_then(|most| most.parse().ok());
                // As with Docker, 0 is no limit.
                let limit = |most: u32| Self::OnFailure((most > 0).then_some(most));
                most.map(limit).ok_or_else(|| RestartPolicyError(text.to_owned()))
            }
        }
    }
}

/// How to find out whether a container is well. Docker's `HEALTHCHECK`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct HealthCheck {
    /// The command, run in the container: it is well when this ends with 0.
    pub test: Vec<String>,
    /// Between the end of one check and the next.
    pub interval: Duration,
    /// How long a check may take.
    pub timeout: Duration,
    /// How many checks in a row must fail until it counts as ill.
    pub retries: u32,
    /// How long after its start failures do not count.
    pub start_period: Duration,
    /// Between checks as long as it is starting.
    pub start_interval: Duration,
}

impl HealthCheck {
    /// A check with Docker's intervals.
    pub fn new(test: Vec<String>) -> Self {
        Self {
            test,
            interval: Duration::from_secs(30),
            timeout: Duration::from_secs(30),
            retries: 3,
            start_period: Duration::ZERO,
            start_interval: Duration::from_secs(5),
        }
    }

    /// A check by a line for the shell.
    pub fn shell(line: impl Into<String>) -> Self {
        Self::new(vec!["/bin/sh".into(), "-c".into(), line.into()])
    }
}

/// How a container was found at its last check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Health {
    /// It has not been found well yet.
    Starting,
    /// It is well.
    Healthy,
    /// It is not.
    Unhealthy,
}

impl Health {
    /// Docker's word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// The signal that asks a process to end. By its number, as signal(7) has it, or its name with or without `SIG`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct StopSignal(i32);

/// Names that are the same on every architecture that Linux calls generic. Source: signal(7).
const SIGNALS: [(&str, i32); 20] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("WINCH", 28),
    ("PWR", 30),
];

impl StopSignal {
    /// What is sent when nothing else is asked for.
    pub const TERM: Self = Self(15);

    /// Its number.
    pub fn number(self) -> i32 {
        self.0
    }
}

impl fmt::Display for StopSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match SIGNALS.iter().find(|(_, number)| *number == self.0) {
            Some((name, _)) => write!(f, "SIG{name}"),
            None => self.0.fmt(f),
        }
    }
}

/// Why a text is no signal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a signal: a name such as SIGTERM or QUIT, or a number from 1 to 31")]
pub struct StopSignalError(String);

impl Diagnose for StopSignalError {
    fn code(&self) -> &'static str {
        "bad-signal"
    }
}

impl FromStr for StopSignal {
    type Err = StopSignalError;

    fn from_str(text: &str) -> Result<Self, StopSignalError> {
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        let named = SIGNALS.iter().find(|(known, _)| *known == name).map(|(_, number)| *number);
        let number = named.or_else(|| text.parse().ok().filter(|number| (1..=31).contains(number)));
        number.map(Self).ok_or_else(|| StopSignalError(text.to_owned()))
    }
}

/// A kernel setting that belongs to a network namespace: `net.ipv4.ip_unprivileged_port_start=0`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct NetSysctl {
    /// Path below `/proc/sys`, with slashes; begins with `net/`.
    pub key: String,
    /// Its value.
    pub value: String,
}

/// Why a text is no setting of a network namespace.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetSysctlError {
    /// There is no value.
    #[error("`{0}` sets nothing: it takes KEY=VALUE")]
    NoValue(String),
    /// It is not below `net`.
    #[error("`{0}` is not a setting of the container's own: only those that begin with `net.` are")]
    NotNet(String),
    /// It cannot be a path.
    #[error("`{0}` is not the name of a setting")]
    Name(String),
}

impl Diagnose for NetSysctlError {
    fn code(&self) -> &'static str {
        "bad-sysctl"
    }
}

impl NetSysctl {
    /// A setting by its name, with dots or with slashes.
    ///
    /// # Errors
    ///
    /// If the name is not one below `net`.
    pub fn new(name: &str, value: impl Into<String>) -> Result<Self, NetSysctlError> {
        let key = if name.contains('/') { name.to_owned() } else { name.replace('.', "/") };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte);
        let good = |part: &str| !part.is_empty() && part != "." && part != ".." && part.bytes().all(plain);
        match key.split('/').collect::<Vec<_>>().as_slice() {
            parts if !parts.iter().copied().all(good) => Err(NetSysctlError::Name(name.to_owned())),
            ["net", _, ..] => Ok(Self { key, value: value.into() }),
            _ => Err(NetSysctlError::NotNet(name.to_owned())),
        }
    }
}

impl FromStr for NetSysctl {
    type Err = NetSysctlError;

    fn from_str(text: &str) -> Result<Self, NetSysctlError> {
        let (name, value) = text.split_once('=').ok_or_else(|| NetSysctlError::NoValue(text.to_owned()))?;
        Self::new(name, value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_written_as_they_are_read() {
        for text in ["no", "always", "unless-stopped", "on-failure", "on-failure:3"] {
            assert_eq!(text.parse::<RestartPolicy>().unwrap().to_string(), text);
        }
        assert_eq!("on-failure:0".parse(), Ok(RestartPolicy::OnFailure(None)));
        for text in ["never", "on-failure:", "on-failure:-1", "always:3"] {
            assert!(text.parse::<RestartPolicy>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_failure_is_what_counts_where_it_is_asked_for() {
        assert!(!RestartPolicy::No.restarts(1, 0));
        assert!(RestartPolicy::Always.restarts(0, 1000));
        let twice = RestartPolicy::OnFailure(Some(2));
        assert!(twice.restarts(1, 1) && !twice.restarts(1, 2) && !twice.restarts(0, 0));
    }

    #[test]
    fn signals_have_names_and_numbers() {
        for (text, number) in [("SIGTERM", 15), ("quit", 3), ("SigUsr1", 10), ("9", 9), ("31", 31)] {
            assert_eq!(text.parse::<StopSignal>().unwrap().number(), number);
        }
        for text in ["", "0", "32", "SIGNONE", "-1"] {
            assert!(text.parse::<StopSignal>().is_err(), "{text}");
        }
        assert_eq!(StopSignal::TERM.to_string(), "SIGTERM");
    }

    #[test]
    fn settings_are_those_of_a_network_namespace() {
        let set: NetSysctl = "net.ipv4.ip_unprivileged_port_start=0".parse().unwrap();
        assert_eq!(set.key, "net/ipv4/ip_unprivileged_port_start");
        assert_eq!(NetSysctl::new("net/ipv4/conf/eth0.1/forwarding", "1").unwrap().value, "1");
        for text in
            ["kernel.shmmax=1", "net=1", "net.ipv4", "net/../kernel/x=1", "net..x=1", "net.ipv4.a b=1"]
        {
            assert!(text.parse::<NetSysctl>().is_err(), "{text}");
        }
    }
}
