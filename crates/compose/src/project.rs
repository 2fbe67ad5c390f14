//! What a compose file says, read and checked: nothing in it refers to something that is not there.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use pontoon_model::endpoint::NameLink;
use pontoon_model::publish::{ExposedPorts, PublishSpec};
use pontoon_model::sandbox::HostEntry;
use pontoon_model::{ContainerRef, IfName, Mac};
use serde::Serialize;

use crate::error::Warning;

/// A project: the networks and services that go up and down together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Project {
    /// Its name: `[a-z0-9][a-z0-9_-]*`.
    pub name: String,
    /// The directory that relative paths started from.
    pub directory: PathBuf,
    /// The networks that an active service joins, by their keys in the file.
    pub networks: BTreeMap<String, ProjectNetwork>,
    /// The active services: each after those that it depends on, else in the order of the file.
    pub services: Vec<Service>,
    /// Services that none of the active profiles starts, in the order of the file.
    pub inactive: Vec<String>,
    /// Cables between services, or a service and the host.
    pub cables: Vec<Cable>,
    /// What is to be reached from where.
    pub expectations: Vec<Expectation>,
    /// What is in the files and is not done, and variables that are not set.
    pub warnings: Vec<Warning>,
}

/// A network of a project.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProjectNetwork {
    /// Its name in the file.
    pub key: String,
    /// Its real name: `PROJECT_KEY`, or what `name:` says.
    pub name: String,
    /// Whether it is to be there already, and stays.
    pub external: bool,
    /// What carries it; the default (`bridge`) when not said.
    pub driver: Option<String>,
    /// Options of the driver, as `network create --opt` takes them.
    pub options: BTreeMap<String, String>,
    /// Its subnets; none when they are to be chosen.
    pub pools: Vec<Pool>,
    /// Whether it has no way out.
    pub internal: bool,
    /// Whether others may join it. All may, with Pontoon.
    pub attachable: bool,
    /// Whether it has IPv4 addresses; the default (yes) when not said.
    pub ipv4: Option<bool>,
    /// Whether it has IPv6 addresses; the default (no) when not said.
    pub ipv6: Option<bool>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

/// A subnet of a network.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pool {
    /// The subnet.
    pub subnet: IpNet,
    /// The part that addresses are given out from.
    pub range: Option<IpNet>,
    /// The gateway's address.
    pub gateway: Option<IpAddr>,
    /// Addresses that something else has, by a name for each.
    pub aux: BTreeMap<String, IpAddr>,
}

/// A service: a container, or several alike.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// The name of its one container; `PROJECT-SERVICE-N` when not said.
    pub container_name: Option<String>,
    /// How many containers.
    pub scale: u32,
    /// What makes the containers.
    pub runtime: Runtime,
    /// Replaces the image's entry point; for a process, comes before the command. An empty list takes it away.
    pub entrypoint: Option<Vec<String>>,
    /// Replaces the image's command; for a process, what is run. An empty list takes it away.
    pub command: Option<Vec<String>>,
    /// Variables: of `env_file`, then of `environment`.
    pub environment: BTreeMap<String, String>,
    /// Where the process starts.
    pub working_dir: Option<PathBuf>,
    /// `USER[:GROUP]`, names or numbers.
    pub user: Option<String>,
    /// Whether the process has a terminal.
    pub tty: bool,
    /// Whether standard input stays open.
    pub stdin_open: bool,
    /// Its host name.
    pub hostname: Option<String>,
    /// Its domain name.
    pub domainname: Option<String>,
    /// What network it has.
    pub networking: Networking,
    /// Published ports.
    pub ports: Vec<PublishSpec>,
    /// Ports that it is said to listen on.
    pub expose: Vec<ExposedPorts>,
    /// More lines for /etc/hosts: name and address.
    pub extra_hosts: Vec<(String, HostEntry)>,
    /// Name servers.
    pub dns: Vec<IpAddr>,
    /// Search domains.
    pub dns_search: Vec<String>,
    /// Resolver options, as resolv.conf(5) has them.
    pub dns_options: Vec<String>,
    /// Kernel parameters of its namespaces: `net.ipv4.ip_forward` to `1`.
    pub sysctls: BTreeMap<String, String>,
    /// More names for services that it depends on, for this service alone.
    pub links: Vec<Link>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Active services that are started before it, by name: those of `depends_on`, `links`, `network_mode` and
    /// `volumes_from`.
    pub depends_on: Vec<Dependency>,
    /// How it is found out whether it works; none when it is switched off or not said.
    pub healthcheck: Option<HealthCheck>,
    /// What happens when the process ends.
    pub restart: Restart,
    /// The signal that asks it to end: a name with or without `SIG`, or a number.
    pub stop_signal: Option<String>,
    /// How long it has to end before it is killed.
    #[serde(serialize_with = "crate::duration::optional")]
    pub stop_grace: Option<Duration>,
    /// More routes in its namespace.
    pub routes: Vec<Route>,
    /// What is made worse on its interfaces.
    pub impair: Vec<Impairment>,
    /// The profiles that start it; always active when empty.
    pub profiles: Vec<String>,
}

/// What makes a service's containers.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Runtime {
    /// Pontoon: a process of the host in a network namespace.
    Process {
        /// Its root directory, when not the host's.
        rootfs: Option<PathBuf>,
    },
    /// Docker.
    Docker {
        /// The image.
        image: String,
    },
    /// Podman.
    Podman {
        /// The image.
        image: String,
    },
    /// A runtime of the OCI's Runtime Specification, on a bundle that is there.
    Oci {
        /// The bundle's directory.
        bundle: PathBuf,
        /// The program: `crun`, `runc`; any that is there when not said.
        program: Option<String>,
    },
}

/// What network a service has.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Networking {
    /// Networks of the project, in the order of connecting: by priority, the highest first, then by key.
    Networks(Vec<Joined>),
    /// Loopback alone.
    None,
    /// The host's.
    Host,
    /// That of another service's (first) container.
    Service(String),
    /// That of a container that is not of the project.
    Container(ContainerRef),
}

/// A service's place on a network.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Joined {
    /// The network's key in [`Project::networks`].
    pub key: String,
    /// More names there. The service's own is not among them.
    pub aliases: Vec<String>,
    /// A fixed IPv4 address.
    pub ipv4: Option<Ipv4Addr>,
    /// A fixed IPv6 address.
    pub ipv6: Option<Ipv6Addr>,
    /// A fixed Ethernet address.
    pub mac: Option<Mac>,
    /// Whose gateway becomes the default route: the highest.
    pub gw_priority: i64,
    /// Which is connected first: the highest.
    pub priority: i64,
    /// The interface's name.
    pub ifname: Option<IfName>,
    /// Options, as `network connect --driver-opt` takes them.
    pub options: BTreeMap<String, String>,
    /// More addresses of the interface.
    pub link_local_ips: Vec<IpAddr>,
    /// What it alone calls others there: the service's `links`, once it is a container's place.
    pub links: Vec<NameLink>,
}

/// Another name for a service.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Link {
    /// The service.
    pub service: String,
    /// The name.
    pub alias: String,
}

/// A service that has to be there first.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Dependency {
    /// The service.
    pub service: String,
    /// How far it has to have come.
    pub condition: Condition,
    /// Whether the depending one is restarted when it is.
    pub restart: bool,
    /// Whether the depending one does without it if it cannot be started.
    pub required: bool,
}

/// How far a service has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// It runs.
    Started,
    /// Its health check says that it works.
    Healthy,
    /// It has ended with code 0.
    CompletedSuccessfully,
}

/// How it is found out whether a service works.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HealthCheck {
    /// What is run in the container; an exit code of 0 means that it works. The image's when not said.
    pub test: Option<Test>,
    /// The time between two runs; 30 s when not said.
    #[serde(serialize_with = "crate::duration::optional")]
    pub interval: Option<Duration>,
    /// How long one may take; 30 s when not said.
    #[serde(serialize_with = "crate::duration::optional")]
    pub timeout: Option<Duration>,
    /// How many failures in a row mean that it does not work; 3 when not said.
    pub retries: Option<u32>,
    /// For how long after the start failures do not count; 0 when not said.
    #[serde(serialize_with = "crate::duration::optional")]
    pub start_period: Option<Duration>,
    /// The time between two runs within that; 5 s when not said.
    #[serde(serialize_with = "crate::duration::optional")]
    pub start_interval: Option<Duration>,
}

/// A health check's command.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Test {
    /// A program and its arguments.
    Exec(Vec<String>),
    /// A line for the container's shell.
    Shell(String),
}

/// What happens when a service's process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// Nothing.
    No,
    /// It is started again.
    Always,
    /// It is started again after a failure, so many times at the most.
    OnFailure(Option<u32>),
    /// It is started again, unless a person stopped it.
    UnlessStopped,
}

/// A route in a service's namespace.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Route {
    /// Where to.
    pub to: Destination,
    /// The next router.
    pub via: IpAddr,
    /// The interface; the one that the router is on when not said.
    pub interface: Option<IfName>,
}

/// Where a route leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Destination {
    /// Everywhere.
    Default,
    /// A subnet.
    Net(IpNet),
}

/// Something that is made worse on interfaces of a service.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Impairment {
    /// The network's key; all networks when not said.
    pub network: Option<String>,
    /// What.
    pub what: Impair,
}

/// What is made worse.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Impair {
    /// Bits a second.
    pub rate: Option<u64>,
    /// How much later packets leave.
    #[serde(serialize_with = "crate::duration::optional")]
    pub delay: Option<Duration>,
    /// By how much the delay changes, up or down.
    #[serde(serialize_with = "crate::duration::optional")]
    pub jitter: Option<Duration>,
    /// How many packets are lost, in percent: 0 to 100.
    pub loss: Option<f64>,
}

/// A veth pair between two services, or a service and the host.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cable {
    /// Both ends; one at the most is the host's.
    pub ends: [CableEnd; 2],
    /// MTU in bytes; the kernel's default when not said.
    pub mtu: Option<u32>,
    /// What is made worse, in both directions.
    pub impair: Option<Impair>,
}

/// One end of a cable.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CableEnd {
    /// Where it is.
    pub place: Place,
    /// The interface; one is chosen when not said.
    pub ifname: Option<IfName>,
    /// Its addresses with their prefix lengths.
    pub addresses: Vec<IpNet>,
    /// The router of a default route through the cable.
    pub gateway: Option<IpAddr>,
}

/// Where a cable ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// In the host's namespace.
    Host,
    /// In the (one) container of an active service.
    Service(String),
}

/// Something that is to be reached, or not.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Expectation {
    /// The service that asks.
    pub from: String,
    /// What is asked.
    pub to: Target,
    /// Whether an answer is to come.
    pub allowed: bool,
    /// How long that may take.
    #[serde(serialize_with = "crate::duration::plain")]
    pub within: Duration,
}

/// What is to be reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Target {
    /// Where it is.
    pub host: TargetHost,
    /// The port; none for ICMP.
    pub port: Option<u16>,
    /// How it is asked.
    pub protocol: Probe,
}

/// Where a [`Target`] is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TargetHost {
    /// An active service of the project.
    Service(String),
    /// An address.
    Address(IpAddr),
    /// A name that the asking service looks up.
    Name(String),
}

/// How a [`Target`] is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Probe {
    /// A TCP connection.
    Tcp,
    /// A datagram.
    Udp,
    /// An echo request.
    Icmp,
}
