//! The configuration file, `/etc/pontoon/config.toml`.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use ipnet::IpNet;

use crate::publish::{PublishError, port_range};
use crate::subnet;
use crate::{Diagnose, subnet::SubnetError};

/// A block of addresses that networks without a subnet of their own take theirs from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PoolBlock {
    /// The block.
    pub base: IpNet,
    /// Prefix length of each subnet cut from it.
    pub size: u8,
}

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Config {
    /// Blocks for networks without a subnet, in the order of use.
    pub default_address_pools: Vec<PoolBlock>,
    /// Path of a Docker `daemon.json` whose `default-address-pools` is used when this file has none.
    pub docker_daemon_json: Option<String>,
    /// Where free host ports are taken from; see [`free_ranges`](crate::publish::free_ranges) for what else.
    pub published_ports: Option<RangeInclusive<u16>>,
    /// How names are asked for that are no container's.
    pub names: NamesConfig,
}

/// How names are asked for that are no container's.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct NamesConfig {
    /// Domains with servers of their own.
    pub domains: BTreeMap<String, Vec<SocketAddr>>,
    /// Whether letters of questions have cases by chance, which answers must have too ("0x20").
    pub mixed_case: bool,
}

/// Why a configuration is refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// Not TOML, or not the keys and types that there are.
    #[error("{0}")]
    Toml(String),
    /// Not JSON, or not the types that Docker has.
    #[error("{0}")]
    Json(String),
    /// A pool's base is not a subnet.
    #[error("default address pool `{base}` is not usable")]
    Base {
        /// As written.
        base: String,
        /// What is wrong with it.
        #[source]
        source: SubnetError,
    },
    /// A pool's size does not fit its base.
    #[error("default address pool {base} cannot be cut into /{size} subnets")]
    Size {
        /// The base.
        base: IpNet,
        /// As written.
        size: u8,
    },
    /// A domain's server is none.
    #[error("server `{server}` of domain `{domain}` is not an address")]
    Server {
        /// The domain.
        domain: String,
        /// As written.
        server: String,
    },
    /// A domain without a server.
    #[error("domain `{0}` has no server")]
    NoServer(String),
    /// What free host ports are to be taken from is no range of ports.
    #[error("published-ports `{given}` is not usable")]
    Ports {
        /// As written.
        given: String,
        /// What is wrong with it.
        #[source]
        source: PublishError,
    },
}

impl Diagnose for ConfigError {
    fn code(&self) -> &'static str {
        match self {
            Self::Toml(_) | Self::Json(_) => "bad-config",
            Self::Base { .. } | Self::Size { .. } => "bad-address-pool",
            Self::Ports { .. } => "bad-published-ports",
            Self::Server { .. } | Self::NoServer(_) => "bad-domain-server",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Toml(_) | Self::Json(_) => None,
            Self::Server { .. } | Self::NoServer(_) => Some(
                "for example: domains = { \"corp.example\" = [\"10.0.0.53\", \"[fd00::53]:5353\"] }".into(),
            ),
            Self::Base { source, .. } => source.hint(),
            Self::Ports { .. } => Some("use a range of ports such as \"61000-65535\"".into()),
            Self::Size { base, .. } => {
                let smallest = base.max_prefix_len() - 1;
                Some(format!("the size is a prefix length from {} to {smallest}", base.prefix_len()))
            }
        }
    }
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct File {
    #[serde(default)]
    default_address_pools: Vec<RawPool>,
    docker_daemon_json: Option<String>,
    published_ports: Option<String>,
    #[serde(default)]
    names: RawNames,
}

#[derive(Default, serde::Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
struct RawNames {
    domains: BTreeMap<String, Vec<String>>,
    mixed_case: bool,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPool {
    base: String,
    size: u8,
}

#[derive(serde::Deserialize)]
struct DaemonJson {
    #[serde(default, rename = "default-address-pools")]
    default_address_pools: Vec<RawPool>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            default_address_pools: docker_pools(),
            docker_daemon_json: None,
            published_ports: None,
            names: NamesConfig::default(),
        }
    }
}

impl Config {
    /// Reads the text of `config.toml`. What it does not say is as in [`Config::default`].
    ///
    /// # Errors
    ///
    /// With line and column if it is not TOML or has an unknown key; if a pool or a range of ports is not one.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let file: File = toml::from_str(text).map_err(|error| ConfigError::Toml(error.to_string()))?;
        let mut config = Self { docker_daemon_json: file.docker_daemon_json, ..Self::default() };
        if !file.default_address_pools.is_empty() {
            config.default_address_pools = pools(file.default_address_pools)?;
        }
        config.published_ports = file.published_ports.map(ports).transpose()?;
        config.names = names(file.names)?;
        Ok(config)
    }

    /// Reads the `default-address-pools` of a Docker `daemon.json`; empty when it has none.
    ///
    /// # Errors
    ///
    /// If it is not JSON, or a pool is not one.
    pub fn parse_daemon_json(text: &str) -> Result<Vec<PoolBlock>, ConfigError> {
        let file: DaemonJson =
            serde_json::from_str(text).map_err(|error| ConfigError::Json(error.to_string()))?;
        pools(file.default_address_pools)
    }
}

fn names(raw: RawNames) -> Result<NamesConfig, ConfigError> {
    let mut domains = BTreeMap::new();
    for (domain, servers) in raw.domains {
        let server = |text: String| {
            server(&text).ok_or_else(|| ConfigError::Server { domain: domain.clone(), server: text })
        };
        let servers: Vec<SocketAddr> = servers.into_iter().map(server).collect::<Result<_, _>>()?;
        if servers.is_empty() {
            return Err(ConfigError::NoServer(domain));
        }
        domains.insert(domain, servers);
    }
    Ok(NamesConfig { domains, mixed_case: raw.mixed_case })
}

/// `ADDRESS` or `ADDRESS:PORT`.
fn server(text: &str) -> Option<SocketAddr> {
    /// RFC 1035, 4.2.
    const PORT: u16 = 53;
    let address = text.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, PORT));
    address.or_else(|| text.parse().ok())
}

fn ports(given: String) -> Result<RangeInclusive<u16>, ConfigError> {
    port_range(&given).map_err(|source| ConfigError::Ports { given, source })
}

fn pools(raw: Vec<RawPool>) -> Result<Vec<PoolBlock>, ConfigError> {
    raw.into_iter().map(pool).collect()
}

fn pool(raw: RawPool) -> Result<PoolBlock, ConfigError> {
    let base =
        subnet::parse(&raw.base).map_err(|source| ConfigError::Base { base: raw.base.clone(), source })?;
    if raw.size < base.prefix_len() || raw.size >= base.max_prefix_len() {
        return Err(ConfigError::Size { base, size: raw.size });
    }
    Ok(PoolBlock { base, size: raw.size })
}

/// Docker's pools: 172.17.0.0/16 to 172.31.0.0/16, then 192.168.0.0/16 in /20s.
///
/// Source: `localScopeDefaultNetworks` in moby's `daemon/libnetwork/ipamutils/utils.go`.
fn docker_pools() -> Vec<PoolBlock> {
    let block = |base: &str, size| PoolBlock { base: base.parse().expect("constant"), size };
    let mut pools: Vec<PoolBlock> =
        (17..=31).map(|second| block(&format!("172.{second}.0.0/16"), 16)).collect();
    pools.push(block("192.168.0.0/16", 20));
    pools
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_means_dockers_pools() {
        let config = Config::parse("").unwrap();
        assert_eq!(config, Config::default());
        assert_eq!(config.default_address_pools.len(), 16);
    }

    #[test]
    fn pools_are_read_from_both_kinds_of_file() {
        let toml = r#"default-address-pools = [{ base = "10.99.0.0/16", size = 24 }, { base = "fd00:9::/48", size = 64 }]"#;
        let json = r#"{"bip": "x", "default-address-pools": [{"base": "10.99.0.0/16", "size": 24}, {"base": "fd00:9::/48", "size": 64}]}"#;
        assert_eq!(
            Config::parse(toml).unwrap().default_address_pools,
            Config::parse_daemon_json(json).unwrap()
        );
    }

    #[test]
    fn ports_to_publish_are_a_range() {
        let ports = |value: &str| Config::parse(&format!("published-ports = {value}"));
        assert_eq!(ports(r#""61000-65535""#).unwrap().published_ports, Some(61_000..=65_535));
        assert_eq!(ports(r#""80""#).unwrap().published_ports, Some(80..=80));
        for bad in ["", "0-80", "80-", "90-80", "80,81", "80-65536"] {
            let error = ports(&format!("\"{bad}\"")).unwrap_err();
            assert!(matches!(error, ConfigError::Ports { .. }), "{bad}: {error}");
        }
        assert!(matches!(ports("61000"), Err(ConfigError::Toml(_))));
    }

    #[test]
    fn domains_have_servers() {
        let domains =
            |text: &str| Config::parse(&format!("[names]\ndomains = {{ {text} }}\nmixed-case = true"));
        let names = domains(r#""corp.example" = ["10.0.0.53", "[fd00::53]:5353"]"#).unwrap().names;
        assert_eq!(
            names.domains["corp.example"],
            ["10.0.0.53:53", "[fd00::53]:5353"].map(|text| text.parse().unwrap())
        );
        assert!(names.mixed_case && !Config::parse("").unwrap().names.mixed_case);
        let error = domains(r#"lan = ["router"]"#).unwrap_err();
        assert_eq!(error.to_string(), "server `router` of domain `lan` is not an address");
        assert!(matches!(domains("lan = []"), Err(ConfigError::NoServer(_))));
        assert!(matches!(Config::parse("[names]\nx = 1"), Err(ConfigError::Toml(_))));
    }

    #[test]
    fn a_wrong_file_is_told_apart() {
        let error = |text: &str| Config::parse(text).unwrap_err();
        assert!(matches!(error("x = 1"), ConfigError::Toml(text) if text.contains("unknown field `x`")));
        assert!(matches!(error("= 1"), ConfigError::Toml(text) if text.contains("line 1")));
        assert!(matches!(
            error(r#"default-address-pools = [{ base = "10.0.0.1/8", size = 24 }]"#),
            ConfigError::Base { .. }
        ));
        for size in [7, 32] {
            let text = format!(r#"default-address-pools = [{{ base = "10.0.0.0/8", size = {size} }}]"#);
            assert!(matches!(error(&text), ConfigError::Size { .. }));
        }
    }
}
