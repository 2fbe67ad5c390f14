//! A container as `docker inspect` shows it.
//!
//! Source: the `ContainerInspect` schema of Docker's Engine API, <https://docs.docker.com/reference/api/engine/>.

use std::collections::BTreeMap;
use std::net::IpAddr;

use pontoon_kernel::process::Process as Running;
use pontoon_model::endpoint::NameLink;
use pontoon_model::network::AddressPool;
use pontoon_model::op::NetnsPlace;
use pontoon_model::sandbox::{NetworkMode, Origin, Status};
use pontoon_model::supervision::{HealthCheck, RestartPolicy, StopSignal};
use pontoon_model::{Endpoint, Sandbox};
use serde::Serialize;

use super::{Place, port};
use crate::{EngineError, resolve};

/// How far a container's life has come, as seen from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// Its process is not started yet.
    Created,
    /// Its process runs.
    Running,
    /// Its process has ended, and is about to be started again.
    Restarting,
    /// Its process has ended.
    Exited(i32),
    /// Its process is gone and nobody noted how it ended; the next changing command tidies up.
    Dead,
}

impl Life {
    /// What is known of a container, with a look at whether its process still runs.
    ///
    /// # Errors
    ///
    /// If the kernel does not tell.
    pub fn of(sandbox: &Sandbox) -> Result<Self, EngineError> {
        Ok(match sandbox.status {
            Status::Created => Self::Created,
            Status::Exited(code) => Self::Exited(code),
            // A namespace has no process of its own to look for.
            Status::Running if sandbox.process_id.is_none() && !sandbox.is_ours() => Self::Running,
            Status::Running if crate::container::running(sandbox)?.is_some() => Self::Running,
            Status::Running if restarts(sandbox) && is_kept(sandbox)? => Self::Restarting,
            // Whoever looks after it is about to note how it ended.
            Status::Running if is_kept(sandbox)? => Self::Running,
            Status::Running => Self::Dead,
        })
    }

    /// Docker's word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Restarting => "restarting",
            Self::Exited(_) => "exited",
            Self::Dead => "dead",
        }
    }
}

fn restarts(sandbox: &Sandbox) -> bool {
    sandbox.process.restart != RestartPolicy::No && !sandbox.stopping
}

fn is_kept(sandbox: &Sandbox) -> Result<bool, EngineError> {
    match sandbox.keeper {
        Some(id) => Ok(Running::open_started(id.pid, id.started)?.is_some()),
        None => Ok(false),
    }
}

/// A container, its keys in Docker's order.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ContainerReport {
    id: String,
    created: String,
    path: String,
    args: Vec<String>,
    state: State,
    name: String,
    restart_count: u32,
    host_config: HostConfig,
    config: Config,
    network_settings: NetworkSettings,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
struct State {
    status: &'static str,
    running: bool,
    paused: bool,
    restarting: bool,
    #[serde(rename = "OOMKilled")]
    oom_killed: bool,
    dead: bool,
    pid: u32,
    exit_code: i32,
    error: String,
    started_at: String,
    finished_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    health: Option<Checked>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Checked {
    status: &'static str,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Restart {
    name: &'static str,
    maximum_retry_count: u32,
}

/// Times in nanoseconds, as Docker has them.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Check {
    test: Vec<String>,
    interval: u64,
    timeout: u64,
    start_period: u64,
    start_interval: u64,
    retries: u32,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
struct HostConfig {
    network_mode: String,
    port_bindings: BTreeMap<String, Vec<port::Binding>>,
    restart_policy: Restart,
    auto_remove: bool,
    sysctls: BTreeMap<String, String>,
    dns: Vec<String>,
    dns_options: Vec<String>,
    dns_search: Vec<String>,
    extra_hosts: Vec<String>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    hostname: String,
    exposed_ports: BTreeMap<String, Nothing>,
    env: Vec<String>,
    cmd: Vec<String>,
    working_dir: String,
    labels: BTreeMap<String, String>,
    stop_signal: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_timeout: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    healthcheck: Option<Check>,
}

/// What Docker writes as `{}`.
#[derive(Debug, Clone, Serialize)]
struct Nothing {}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
struct NetworkSettings {
    #[serde(rename = "SandboxID")]
    sandbox_id: String,
    sandbox_key: String,
    ports: BTreeMap<String, Option<Vec<port::Binding>>>,
    networks: BTreeMap<String, EndpointReport>,
}

/// The addresses that were asked for, as far as that is known later.
#[derive(Debug, Clone, Serialize)]
struct IpamConfig {
    #[serde(rename = "LinkLocalIPs")]
    link_local_ips: Vec<IpAddr>,
}

impl IpamConfig {
    fn of(endpoint: &Endpoint) -> Option<Self> {
        let link_local_ips = endpoint.link_local.clone();
        (!link_local_ips.is_empty()).then_some(Self { link_local_ips })
    }
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
struct EndpointReport {
    #[serde(rename = "IPAMConfig")]
    ipam_config: Option<IpamConfig>,
    links: Option<Vec<String>>,
    aliases: Vec<String>,
    mac_address: String,
    driver_opts: Option<()>,
    gw_priority: i64,
    #[serde(rename = "NetworkID")]
    network_id: String,
    #[serde(rename = "EndpointID")]
    endpoint_id: String,
    gateway: String,
    #[serde(rename = "IPAddress")]
    ip_address: String,
    #[serde(rename = "IPPrefixLen")]
    ip_prefix_len: u8,
    #[serde(rename = "IPv6Gateway")]
    ipv6_gateway: String,
    #[serde(rename = "GlobalIPv6Address")]
    global_ipv6_address: String,
    #[serde(rename = "GlobalIPv6PrefixLen")]
    global_ipv6_prefix_len: u8,
    #[serde(rename = "DNSNames")]
    dns_names: Vec<String>,
    /// Not Docker's: which interface of the container it is.
    if_name: String,
    /// Not Docker's: whether it may send with its own addresses alone.
    guarded: bool,
}

/// Docker's time that never was.
const NEVER: &str = "0001-01-01T00:00:00Z";

impl ContainerReport {
    /// The report on a container and its places.
    ///
    /// # Errors
    ///
    /// If the kernel does not tell whether it runs.
    pub fn new(sandbox: &Sandbox, places: &[Place]) -> Result<Self, EngineError> {
        let process = &sandbox.process;
        let (path, args) = process
            .argv
            .split_first()
            .map_or((String::new(), Vec::new()), |(path, args)| (path.clone(), args.to_vec()));
        Ok(Self {
            id: sandbox.id.to_string(),
            created: sandbox.created.clone(),
            path,
            args,
            state: state(sandbox)?,
            name: format!("/{}", sandbox.shown_as()),
            restart_count: sandbox.restarts,
            host_config: host_config(sandbox, places),
            config: Config {
                hostname: process.hostname.clone(),
                exposed_ports: port::exposed(sandbox).map(|port| (port, Nothing {})).collect(),
                env: process.env.clone(),
                cmd: process.argv.clone(),
                working_dir: process
                    .workdir
                    .as_ref()
                    .map_or_else(String::new, |path| path.display().to_string()),
                labels: sandbox.labels.clone(),
                stop_signal: process.stop_signal.unwrap_or(StopSignal::TERM).to_string(),
                stop_timeout: process.stop_grace.map(|grace| grace.as_secs()),
                healthcheck: process.health_check.as_ref().map(check),
            },
            network_settings: network_settings(sandbox, places),
        })
    }
}

fn check(check: &HealthCheck) -> Check {
    let nanos = |duration: std::time::Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    Check {
        test: std::iter::once("CMD".to_owned()).chain(check.test.iter().cloned()).collect(),
        interval: nanos(check.interval),
        timeout: nanos(check.timeout),
        start_period: nanos(check.start_period),
        start_interval: nanos(check.start_interval),
        retries: check.retries,
    }
}

fn state(sandbox: &Sandbox) -> Result<State, EngineError> {
    let life = Life::of(sandbox)?;
    let running = life == Life::Running;
    let or_never = |time: &str| if time.is_empty() { NEVER.to_owned() } else { time.to_owned() };
    Ok(State {
        status: life.word(),
        running,
        paused: false,
        restarting: life == Life::Restarting,
        oom_killed: false,
        dead: life == Life::Dead,
        pid: sandbox.process_id.filter(|_| running).map_or(0, |id| id.pid),
        exit_code: if let Life::Exited(code) = life { code } else { 0 },
        error: String::new(),
        started_at: or_never(&sandbox.started),
        finished_at: or_never(&sandbox.finished),
        health: sandbox.health.map(|health| Checked { status: health.word() }),
    })
}

fn host_config(sandbox: &Sandbox, places: &[Place]) -> HostConfig {
    let process = &sandbox.process;
    HostConfig {
        network_mode: match &sandbox.mode {
            NetworkMode::Networks => {
                places.first().map_or_else(|| "none".to_owned(), |place| place.network.name.to_string())
            }
            NetworkMode::None => "none".to_owned(),
            NetworkMode::Host => "host".to_owned(),
            NetworkMode::Container(other) => format!("container:{other}"),
        },
        port_bindings: port::bindings(sandbox),
        restart_policy: Restart {
            name: process.restart.word(),
            maximum_retry_count: match process.restart {
                RestartPolicy::OnFailure(most) => most.unwrap_or(0),
                _ => 0,
            },
        },
        auto_remove: process.auto_remove,
        sysctls: process.sysctls.iter().map(|set| (set.key.replace('/', "."), set.value.clone())).collect(),
        dns: process.dns.iter().map(ToString::to_string).collect(),
        dns_options: process.dns_options.clone(),
        dns_search: process.dns_search.clone(),
        extra_hosts: process.extra_hosts.iter().map(|(name, address)| format!("{name}:{address}")).collect(),
    }
}

fn network_settings(sandbox: &Sandbox, places: &[Place]) -> NetworkSettings {
    let has_namespace = match &sandbox.origin {
        Origin::Run => sandbox.pinned.is_some() && !matches!(sandbox.status, Status::Exited(_)),
        Origin::Foreign(_) => true,
    };
    let key = match resolve::place(sandbox) {
        NetnsPlace::Named(name) => format!("/run/netns/{name}"),
        NetnsPlace::Path(path) => path,
        NetnsPlace::Pid(pid) => format!("/proc/{pid}/ns/net"),
    };
    NetworkSettings {
        sandbox_id: if has_namespace { sandbox.id.to_string() } else { String::new() },
        sandbox_key: if has_namespace { key } else { String::new() },
        ports: port::settings(sandbox, places),
        networks: places.iter().map(|place| (place.network.name.to_string(), endpoint(place))).collect(),
    }
}

fn endpoint(place: &Place) -> EndpointReport {
    let Place { endpoint, network, sandbox } = place;
    let gateway = |pool: Option<&AddressPool>| {
        pool.filter(|pool| network.is_way_out(pool)).map_or_else(String::new, |pool| pool.gateway.to_string())
    };
    let prefix = |pool: Option<&AddressPool>| pool.map_or(0, |pool| pool.subnet.prefix_len());
    let address = |address: Option<IpAddr>| address.map_or_else(String::new, |address| address.to_string());
    let (v4, v6) = (network.v4.as_ref(), network.v6.as_ref());
    let own = [sandbox.name.to_string(), sandbox.id.short().to_owned()];
    EndpointReport {
        ipam_config: IpamConfig::of(endpoint),
        links: (!endpoint.links.is_empty()).then(|| endpoint.links.iter().map(NameLink::to_string).collect()),
        aliases: endpoint.aliases.clone(),
        mac_address: endpoint.mac.to_string(),
        driver_opts: None,
        gw_priority: endpoint.gw_priority,
        network_id: network.id.to_string(),
        endpoint_id: endpoint.id.to_string(),
        gateway: gateway(v4),
        ip_address: address(endpoint.v4.map(IpAddr::V4)),
        ip_prefix_len: prefix(v4),
        ipv6_gateway: gateway(v6),
        global_ipv6_address: address(endpoint.v6.map(IpAddr::V6)),
        global_ipv6_prefix_len: prefix(v6),
        dns_names: own.into_iter().chain(endpoint.aliases.iter().cloned()).collect(),
        guarded: endpoint.guarded,
        if_name: endpoint.ifname.to_string(),
    }
}
