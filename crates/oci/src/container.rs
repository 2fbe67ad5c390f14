//! A container as its engine describes it.
//!
//! Source: the `ContainerInspectResponse` schema of Docker's Engine API; podman-inspect(1) has the same keys.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A container of another engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Its id: 64 hexadecimal digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its first process, as long as it runs.
    pub pid: Option<u32>,
    /// How often its engine has started it anew because it had ended.
    pub restarts: u64,
    /// Its image as it was named.
    pub image: String,
    /// Its host name.
    pub hostname: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Whose network it has.
    pub sharing: Sharing,
    /// How its last process ended.
    pub exit_code: i64,
    /// `starting`, `healthy` or `unhealthy`, where its health is looked at.
    pub health: Option<String>,
    /// When it was last started, RFC 3339.
    pub started: String,
}

/// Whose network a container has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sharing {
    /// One of its own, whoever connects it.
    Own,
    /// The host's.
    Host,
    /// That of the container with this id or name.
    Container(String),
    /// That of a namespace with this path.
    Path(String),
}

impl Sharing {
    fn of(mode: &str) -> Self {
        match mode.split_once(':') {
            _ if mode == "host" => Self::Host,
            Some(("container", other)) => Self::Container(other.to_owned()),
            Some(("ns", path)) => Self::Path(path.to_owned()),
            _ => Self::Own,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Raw {
    id: String,
    name: String,
    state: RawState,
    #[serde(default)]
    restart_count: u64,
    #[serde(default)]
    config: RawConfig,
    #[serde(default)]
    host_config: RawHostConfig,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawState {
    running: bool,
    #[serde(default)]
    pid: u32,
    #[serde(default)]
    exit_code: i64,
    health: Option<RawHealth>,
    #[serde(default)]
    started_at: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawHealth {
    #[serde(default)]
    status: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct RawConfig {
    image: String,
    hostname: String,
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct RawHostConfig {
    network_mode: String,
}

impl Container {
    /// Reads what the API's `inspect` answers.
    ///
    /// # Errors
    ///
    /// What of it is not understood.
    pub(crate) fn parse(json: &[u8]) -> Result<Self, String> {
        serde_json::from_slice::<Raw>(json).map_err(|error| error.to_string()).and_then(Self::of)
    }

    /// Reads what `podman inspect` prints: a list.
    ///
    /// # Errors
    ///
    /// What of it is not understood.
    pub(crate) fn parse_list(json: &[u8]) -> Result<Self, String> {
        let list = serde_json::from_slice::<Vec<Raw>>(json).map_err(|error| error.to_string())?;
        list.into_iter().next().ok_or_else(|| "a list of no containers".to_owned()).and_then(Self::of)
    }

    fn of(raw: Raw) -> Result<Self, String> {
        let Raw { id, name, state, restart_count, config, host_config } = raw;
        if id.len() != 64 || !id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(format!("`{id}` is no container's id"));
        }
        let pid = (state.running && state.pid != 0).then_some(state.pid);
        Ok(Self {
            id,
            // Docker's begin with a slash.
            name: name.trim_start_matches('/').to_owned(),
            pid,
            restarts: restart_count,
            image: config.image,
            hostname: config.hostname,
            labels: config.labels.unwrap_or_default(),
            sharing: Sharing::of(&host_config.network_mode),
            exit_code: state.exit_code,
            health: state
                .health
                .map(|health| health.status)
                .filter(|health| !health.is_empty() && health != "none"),
            started: state.started_at,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn id() -> String {
        "0123456789abcdef".repeat(4)
    }

    #[test]
    fn docker_and_podman_say_the_same() {
        let docker = json!({
            "Id": id(), "Name": "/web", "RestartCount": 2,
            "State": {"Running": true, "Pid": 77, "ExitCode": 0, "StartedAt": "2026-01-02T03:04:05Z", "Health": {"Status": "healthy"}},
            "Config": {"Image": "nginx", "Hostname": "0123456789ab", "Labels": {"a": "b"}},
            "HostConfig": {"NetworkMode": "none"},
        });
        let found = Container::parse(docker.to_string().as_bytes()).unwrap();
        assert_eq!((found.name.as_str(), found.pid, found.restarts), ("web", Some(77), 2));
        assert_eq!((found.image.as_str(), found.labels["a"].as_str()), ("nginx", "b"));
        assert_eq!((found.sharing, found.health.as_deref()), (Sharing::Own, Some("healthy")));
        let podman = json!([{
            "Id": id(), "Name": "web", "State": {"Running": false, "Pid": 0, "ExitCode": 137, "Health": {"Status": ""}},
            "Config": {"Labels": null}, "HostConfig": {"NetworkMode": "slirp4netns"},
        }]);
        let found = Container::parse_list(podman.to_string().as_bytes()).unwrap();
        assert_eq!((found.name.as_str(), found.pid, found.exit_code), ("web", None, 137));
        assert_eq!((found.sharing, found.health), (Sharing::Own, None));
    }

    #[test]
    fn whose_network_it_has_is_told() {
        assert_eq!(Sharing::of("host"), Sharing::Host);
        assert_eq!(Sharing::of("container:abc"), Sharing::Container("abc".into()));
        assert_eq!(Sharing::of("ns:/run/netns/blue"), Sharing::Path("/run/netns/blue".into()));
        for own in ["", "none", "bridge", "default", "blue", "slirp4netns:mtu=1500"] {
            assert_eq!(Sharing::of(own), Sharing::Own, "{own}");
        }
    }

    #[test]
    fn what_is_no_container_is_refused() {
        let short = json!({"Id": "abc", "Name": "web", "State": {"Running": true}}).to_string();
        for bad in ["", "{}", "[]", "null", &short] {
            assert!(Container::parse(bad.as_bytes()).is_err(), "{bad}");
            assert!(Container::parse_list(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
