//! A container to make.
//!
//! Source: `POST /containers/create` of Docker's Engine API.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

/// A container to make, by default without a network: Pontoon connects it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateSpec {
    /// Its image.
    pub image: String,
    /// What runs, where not what the image says.
    pub entrypoint: Option<Vec<String>>,
    /// Its arguments, where not what the image says.
    pub command: Option<Vec<String>>,
    /// Variables added to the environment: `NAME=VALUE`.
    pub env: Vec<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Where it starts.
    pub working_dir: Option<String>,
    /// Its host name.
    pub hostname: Option<String>,
    /// Whether it has a terminal.
    pub tty: bool,
    /// `USER[:GROUP]` that it runs as.
    pub user: Option<String>,
    /// Its network: `none`, `host`, `container:NAME`.
    pub network: String,
    /// Settings of its namespaces, such as `net.ipv4.ip_unprivileged_port_start`.
    pub sysctls: BTreeMap<String, String>,
    /// How its engine finds out whether it is well, where not as the image says.
    pub health_check: Option<HealthCheck>,
    /// More lines of /etc/hosts: name and address.
    pub extra_hosts: Vec<(String, IpAddr)>,
    /// Name servers.
    pub dns: Vec<IpAddr>,
    /// Search domains.
    pub dns_search: Vec<String>,
    /// Resolver options.
    pub dns_options: Vec<String>,
    /// When the engine starts it anew.
    pub restart: Restart,
    /// The signal that asks it to end, such as `SIGQUIT`.
    pub stop_signal: Option<String>,
    /// How long it has to end, in seconds.
    pub stop_timeout: Option<u32>,
    /// Files and folders of the host that it sees.
    pub mounts: Vec<Mount>,
}

impl Default for CreateSpec {
    fn default() -> Self {
        Self {
            image: String::new(),
            entrypoint: None,
            command: None,
            env: Vec::new(),
            labels: BTreeMap::new(),
            working_dir: None,
            hostname: None,
            tty: false,
            user: None,
            network: "none".into(),
            sysctls: BTreeMap::new(),
            health_check: None,
            extra_hosts: Vec::new(),
            dns: Vec::new(),
            dns_search: Vec::new(),
            dns_options: Vec::new(),
            restart: Restart::No,
            stop_signal: None,
            stop_timeout: None,
            mounts: Vec::new(),
        }
    }
}

/// How an engine finds out whether a container is well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    /// `CMD` and a command with its arguments, or `CMD-SHELL` and a line.
    pub test: Vec<String>,
    /// Between two checks.
    pub interval: Duration,
    /// How long one may take.
    pub timeout: Duration,
    /// How long after the start failures do not count.
    pub start_period: Duration,
    /// How many failures in a row count.
    pub retries: u32,
}

impl HealthCheck {
    /// Times are nanoseconds. Podman takes no 64 bits without a sign.
    fn json(&self) -> Value {
        let nanos = |time: Duration| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
        json!({
            "Test": self.test,
            "Interval": nanos(self.interval),
            "Timeout": nanos(self.timeout),
            "StartPeriod": nanos(self.start_period),
            "Retries": self.retries,
        })
    }
}

/// When an engine starts a container anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Restart {
    /// Never.
    #[default]
    No,
    /// Whenever it ends, and when the engine starts.
    Always,
    /// As `Always`, but not after somebody stopped it.
    UnlessStopped,
    /// When it fails, so often; without an end if not given.
    OnFailure(Option<u32>),
}

/// A file or folder of the host in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// On the host.
    pub source: PathBuf,
    /// In the container.
    pub target: PathBuf,
    /// Whether it may only read it.
    pub read_only: bool,
}

impl Restart {
    fn json(self) -> Value {
        match self {
            Self::No => json!({"Name": "no"}),
            Self::Always => json!({"Name": "always"}),
            Self::UnlessStopped => json!({"Name": "unless-stopped"}),
            Self::OnFailure(most) => json!({"Name": "on-failure", "MaximumRetryCount": most.unwrap_or(0)}),
        }
    }
}

impl CreateSpec {
    /// As the API takes it. What is not given is left out: the engine's own choice.
    pub(crate) fn json(&self) -> Value {
        let mount = |mount: &Mount| json!({"Type": "bind", "Source": mount.source, "Target": mount.target, "ReadOnly": mount.read_only});
        let host = |(name, address): &(String, IpAddr)| format!("{name}:{address}");
        let mut body = json!({
            "Image": self.image,
            "Env": self.env,
            "Labels": self.labels,
            "Tty": self.tty,
            "HostConfig": {
                "NetworkMode": self.network,
                "Sysctls": self.sysctls,
                "ExtraHosts": self.extra_hosts.iter().map(host).collect::<Vec<_>>(),
                "Dns": self.dns,
                "DnsSearch": self.dns_search,
                "DnsOptions": self.dns_options,
                "RestartPolicy": self.restart.json(),
                "Mounts": self.mounts.iter().map(mount).collect::<Vec<_>>(),
            },
        });
        let given = [
            ("Entrypoint", self.entrypoint.as_ref().map(|words| json!(words))),
            ("Cmd", self.command.as_ref().map(|words| json!(words))),
            ("WorkingDir", self.working_dir.as_ref().map(|folder| json!(folder))),
            ("Hostname", self.hostname.as_ref().map(|name| json!(name))),
            ("User", self.user.as_ref().map(|user| json!(user))),
            ("StopSignal", self.stop_signal.as_ref().map(|signal| json!(signal))),
            ("Healthcheck", self.health_check.as_ref().map(HealthCheck::json)),
            ("StopTimeout", self.stop_timeout.map(|seconds| json!(seconds))),
        ];
        for (key, value) in given {
            if let Some(value) = value {
                body[key] = value;
            }
        }
        body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_given_is_the_engines_choice() {
        let body = CreateSpec { image: "nginx".into(), ..CreateSpec::default() }.json();
        assert_eq!((&body["Image"], &body["HostConfig"]["NetworkMode"]), (&json!("nginx"), &json!("none")));
        for absent in ["Entrypoint", "Cmd", "WorkingDir", "Hostname", "User", "StopSignal", "StopTimeout"] {
            assert!(body.get(absent).is_none(), "{absent}");
        }
    }

    #[test]
    fn all_that_is_given_is_passed_on() {
        let spec = CreateSpec {
            command: Some(vec!["a".into()]),
            extra_hosts: vec![("db".into(), [10, 0, 0, 1].into())],
            dns: vec![[10, 0, 0, 2].into()],
            restart: Restart::OnFailure(Some(3)),
            stop_timeout: Some(7),
            mounts: vec![Mount { source: "/a".into(), target: "/b".into(), read_only: true }],
            ..CreateSpec::default()
        };
        let body = spec.json();
        let host = &body["HostConfig"];
        assert_eq!((&body["Cmd"], &body["StopTimeout"]), (&json!(["a"]), &json!(7)));
        assert_eq!((&host["ExtraHosts"], &host["Dns"]), (&json!(["db:10.0.0.1"]), &json!(["10.0.0.2"])));
        assert_eq!(host["RestartPolicy"], json!({"Name": "on-failure", "MaximumRetryCount": 3}));
        assert_eq!(
            host["Mounts"][0],
            json!({"Type": "bind", "Source": "/a", "Target": "/b", "ReadOnly": true})
        );
    }
}
