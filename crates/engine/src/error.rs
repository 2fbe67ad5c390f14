//! What can go wrong, and what a person can do about it.

use std::io;
use std::path::PathBuf;

use pontoon_kernel::control::ControlError;
use pontoon_kernel::error::KernelError;
use pontoon_kernel::execute::{ExecuteError, Refusal};
use pontoon_kernel::lock::LockError;
use pontoon_kernel::netns::NetnsError;
use pontoon_kernel::port::Holder;
use pontoon_kernel::process::SpawnError;
use pontoon_model::ContainerRef;
use pontoon_model::config::ConfigError;
use pontoon_model::diagnose::Diagnose;
use pontoon_model::impairment::ImpairmentError;
use pontoon_model::mac::MacError;
use pontoon_model::name::NameError;
use pontoon_model::option::OptionError;
use pontoon_model::publish::Protocol;
use pontoon_model::route::{Destination, RouteError};
use pontoon_model::subnet::{Family, SubnetError};
use pontoon_plan::ipam::{Collision, PoolError, SubnetChoiceError};
use pontoon_plan::renumber::RenumberError;
use pontoon_store::{IpamError, LeaseError, StoreError};

/// The code of [`EngineError::ContainerExists`], also where the keeper of a container tells of it.
pub const CONTAINER_EXISTS: &str = "container-exists";

/// Why a command could not be carried out. Nothing was changed then, or all of it was undone.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A privilege is missing.
    #[error("this needs {missing}, which you do not have here")]
    Privilege {
        /// The capabilities.
        missing: &'static str,
    },
    /// `--root` is not a path.
    #[error("could not use {} as root", path.display())]
    Root {
        /// As given.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A configuration file cannot be read.
    #[error("could not read {}", path.display())]
    ReadConfig {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A configuration file is wrong.
    #[error("{} is wrong", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// How.
        #[source]
        source: ConfigError,
    },
    /// A folder or file of the state cannot be written.
    #[error("could not write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// No network is called so.
    #[error("there is no network `{name}`")]
    NoNetwork {
        /// As given.
        name: String,
        /// Names that look like it.
        near: Vec<String>,
    },
    /// Several networks' ids begin so.
    #[error("several networks' ids begin with `{0}`")]
    AmbiguousNetwork(String),
    /// A network is called so already.
    #[error("there is already a network `{0}`")]
    NetworkExists(String),
    /// The network is one of those that are always there.
    #[error("network `{0}` is always there and cannot be {1}")]
    Builtin(String, &'static str),
    /// The network is being removed.
    #[error("network `{0}` is being removed")]
    Removing(String),
    /// Containers on the network come or go.
    #[error("network `{0}` is being changed by another command that does not end")]
    Unsettled(String),
    /// The kernel handed out bytes that are no table.
    #[error("could not read the rules of iptables-legacy")]
    LegacyTable,
    /// The network has endpoints.
    #[error("network `{network}` is in use by {}", list(.users))]
    NetworkInUse {
        /// Its name.
        network: String,
        /// The containers on it.
        users: Vec<String>,
    },
    /// A network cannot be combined so.
    #[error("{0}")]
    Definition(#[from] DefinitionError),
    /// No container is called so.
    #[error("there is no container `{name}`")]
    NoContainer {
        /// As given.
        name: String,
        /// Names that look like it.
        near: Vec<String>,
    },
    /// Several containers' ids begin so.
    #[error("several containers' ids begin with `{0}`")]
    AmbiguousContainer(String),
    /// A container is called so already.
    #[error("there is already a container `{0}`")]
    ContainerExists(String),
    /// The bridge that the endpoint belongs to is not there yet. Never seen outside: it is laid and all begins anew.
    #[error("bridge number {} of network `{}` is not there yet", .0.1 + 1, .0.0.name)]
    NeedsSegment(Box<(pontoon_model::Network, u32)>),
    /// Rules that the endpoint needs are not there. Never seen outside: they are made and all begins anew.
    #[error("the rules that keep containers from spoofing are not there")]
    NeedsRules,
    /// An option asks for what the kernel does not have.
    #[error("`{0}` cannot be: the kernel has no nftables for bridges (CONFIG_NF_TABLES_BRIDGE)")]
    NoBridgeFilter(&'static str),
    /// The container does not run.
    #[error("container `{0}` is not running")]
    NotRunning(String),
    /// The container runs.
    #[error("container `{0}` is running")]
    Running(String),
    /// The container did not end.
    #[error("container `{0}` did not end in time")]
    StillThere(String),
    /// The container has no namespace of its own.
    #[error("container `{name}` has the network of {whose}: it cannot be {what} on its own")]
    SharedNetwork {
        /// Its name.
        name: String,
        /// Whose network.
        whose: String,
        /// What cannot be done.
        what: &'static str,
    },
    /// The namespace is the host's own.
    #[error("`{0}` is the host's own network namespace, not a container's")]
    HostNamespace(String),
    /// Another engine has no such container, or cannot be asked.
    #[error(transparent)]
    Elsewhere(#[from] pontoon_oci::OciError),
    /// The container is another engine's, which runs it.
    #[error("`{0}` is a container of another engine")]
    OtherEngine(ContainerRef),
    /// The container is on the network.
    #[error("container `{container}` is already connected to network `{network}`")]
    AlreadyConnected {
        /// The container.
        container: String,
        /// The network.
        network: String,
    },
    /// The container is not on the network.
    #[error("container `{container}` is not connected to network `{network}`")]
    NotConnected {
        /// The container.
        container: String,
        /// The network.
        network: String,
    },
    /// No cable has the id.
    #[error("there is no cable {}", .0.short())]
    NoSuchCable(pontoon_model::EndpointId),
    /// No cable connects the two.
    #[error("there is no cable between {first} and {second}")]
    NoCable {
        /// One end.
        first: String,
        /// The other.
        second: String,
    },
    /// No interface of ours is meant.
    #[error("{}", no_interface(.container, .asked.as_deref()))]
    NoInterface {
        /// The container.
        container: String,
        /// Which was asked for.
        asked: Option<String>,
        /// Those that there are.
        there: Vec<String>,
    },
    /// Several interfaces are meant.
    #[error("`{container}` has {} interfaces: {}", .interfaces.len(), .interfaces.join(", "))]
    WhichInterface {
        /// The container.
        container: String,
        /// Its interfaces.
        interfaces: Vec<String>,
    },
    /// A router that none of a container's interfaces reaches.
    #[error("{via} is on no subnet of `{container}`: {}", subnets_or_none(.subnets))]
    RouterNotOnSubnet {
        /// The router.
        via: std::net::IpAddr,
        /// The container.
        container: String,
        /// Its subnets with their interfaces.
        subnets: Vec<String>,
    },
    /// A router that several of a container's interfaces reach.
    #[error("{via} is on subnets of {} of `{container}`", .interfaces.join(" and "))]
    RouterOnSeveral {
        /// The router.
        via: std::net::IpAddr,
        /// The container.
        container: String,
        /// The interfaces.
        interfaces: Vec<String>,
    },
    /// A container as its own router.
    #[error("{address} is `{container}`'s own address: it cannot be its router")]
    RouterIsItself {
        /// The container.
        container: String,
        /// The address.
        address: std::net::IpAddr,
    },
    /// There is a route to a destination.
    #[error("`{container}` has a route to {to} already: {by}")]
    RouteExists {
        /// The container.
        container: String,
        /// The destination.
        to: Destination,
        /// The route.
        by: String,
        /// Whether it was given by us.
        ours: bool,
    },
    /// A network's gateway gives the default route.
    #[error("`{container}` has its default route for {family} by network `{network}`")]
    HasGateway {
        /// The container.
        container: String,
        /// The network.
        network: String,
        /// The family.
        family: Family,
    },
    /// A container was not given such a route.
    #[error("`{container}` was given no route to {to}")]
    NoStaticRoute {
        /// The container.
        container: String,
        /// The destination.
        to: Destination,
        /// Those that it was given.
        there: Vec<String>,
    },
    /// A route is none.
    #[error(transparent)]
    Route(#[from] RouteError),
    /// An impairment is none.
    #[error(transparent)]
    Impairment(#[from] ImpairmentError),
    /// A default route was asked for where there is one.
    #[error("{0} already has a default route")]
    HasWayOut(String),
    /// The interface name is taken in the container.
    #[error("container `{container}` already has an interface `{name}`")]
    InterfaceTaken {
        /// The container.
        container: String,
        /// The interface.
        name: String,
    },
    /// There is no interface of that name.
    #[error("{place} has no interface `{name}`")]
    NoLink {
        /// Where: `container web`, `the host`.
        place: String,
        /// The interface.
        name: String,
        /// Those that are there.
        there: Vec<String>,
    },
    /// No interface has packets that could be captured.
    #[error("{0} has no interface that is up and can be captured")]
    NothingToCapture(String),
    /// Packets of an interface begin with what is not understood.
    #[error(
        "packets of interface `{interface}` begin with what is not understood (hardware type {hardware})"
    )]
    UnknownHardware {
        /// The interface.
        interface: String,
        /// `ARPHRD_…` of include/uapi/linux/if_arp.h.
        hardware: u16,
    },
    /// It cannot be waited.
    #[error("could not wait")]
    Wait(#[source] io::Error),
    /// Packets cannot be seen.
    #[error(transparent)]
    Packet(#[from] pontoon_kernel::packet::PacketError),
    /// A filter cannot be what it was asked to be.
    #[error(transparent)]
    Filter(#[from] pontoon_capture::filter::FilterError),
    /// The bridge's name is taken on the host.
    #[error("the host already has an interface `{0}`")]
    BridgeTaken(String),
    /// An address was asked for of a family that the network has not.
    #[error("network `{network}` has no {family} subnet for address {address}")]
    NoFamily {
        /// The network.
        network: String,
        /// `IPv4` or `IPv6`.
        family: &'static str,
        /// The address.
        address: std::net::IpAddr,
    },
    /// A subnet cannot be chosen.
    #[error(transparent)]
    Choice(#[from] SubnetChoiceError),
    /// A subnet collides.
    #[error(transparent)]
    Collision(#[from] Collision),
    /// A network cannot move.
    #[error(transparent)]
    Renumber(#[from] RenumberError),
    /// Gateway, range or auxiliary addresses do not fit.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// A subnet is not one.
    #[error(transparent)]
    Subnet(#[from] SubnetError),
    /// An option is wrong.
    #[error(transparent)]
    Option(#[from] OptionError),
    /// A name is not one.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A MAC address is not one.
    #[error(transparent)]
    Mac(#[from] MacError),
    /// An address cannot be asked for.
    #[error(transparent)]
    Address(#[from] pontoon_model::lease::AddressError),
    /// No address is left.
    #[error(transparent)]
    Ipam(#[from] IpamError),
    /// An address cannot be had.
    #[error(transparent)]
    Lease(#[from] LeaseError),
    /// The state cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A lock cannot be had.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The kernel refuses.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// A namespace cannot be used.
    #[error(transparent)]
    Netns(#[from] NetnsError),
    /// The kernel refuses to tell or to let in.
    #[error(transparent)]
    Refusal(#[from] Refusal),
    /// A step failed; what was done before it was undone.
    #[error(transparent)]
    Execute(#[from] ExecuteError),
    /// A program of the host has a port that was to be published.
    #[error("host port {port}/{protocol} is in use by {}", named(.holders))]
    PortInUse {
        /// The port.
        port: u16,
        /// Its protocol.
        protocol: Protocol,
        /// Who has it.
        holders: Vec<Holder>,
    },
    /// All ports that may be given out are taken.
    #[error("no {protocol} port from {first} to {last} is free on this host")]
    NoFreePort {
        /// The protocol.
        protocol: Protocol,
        /// The first that was looked at.
        first: u16,
        /// The last.
        last: u16,
    },
    /// A port that is to be withdrawn is not published.
    #[error("container `{container}` has not published host port {port}")]
    NotPublished {
        /// The container.
        container: String,
        /// As asked for.
        port: String,
    },
    /// Ports of a namespace that is on no network of ours.
    #[error("`{0}` is on no network")]
    NotOnANetwork(String),
    /// A container without a network of its own has no ports to publish.
    #[error("with `--network {0}` there are no ports to publish")]
    NothingToPublish(&'static str),
    /// A container without a network of its own has no settings of one.
    #[error("with `--network {1}` the setting `{0}` is not the container's own")]
    NotItsOwn(String, &'static str),
    /// A port cannot be looked at.
    #[error(transparent)]
    Probe(#[from] pontoon_kernel::port::PortError),
    /// A setting of the kernel cannot be read.
    #[error(transparent)]
    Sysctl(#[from] pontoon_kernel::sysctl::SysctlError),
    /// Another container has a port.
    #[error(transparent)]
    Port(#[from] pontoon_store::PortError),
    /// There is no terminal to be had.
    #[error("could not open a terminal for the container")]
    Terminal(#[source] io::Error),
    /// A detached container could not be started.
    #[error("{}", .0.message)]
    Keeper(crate::detached::StartFailure),
    /// A process cannot be started or watched.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    /// The daemon cannot be asked.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The daemon is of another version.
    #[error("the daemon's answer is not understood")]
    DaemonSpeech {
        /// How.
        #[source]
        source: serde_json::Error,
    },
}

/// Why a network or a cable cannot be what it was asked to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DefinitionError {
    /// Neither family is wanted.
    #[error("a network needs IPv4 or IPv6")]
    NoFamily,
    /// More than one subnet of a family.
    #[error("{0} {1} subnets were given: a bridge network has one of each family")]
    Subnets(usize, &'static str),
    /// A subnet of a family that is switched off.
    #[error("subnet {0} was given, but {1} is switched off")]
    FamilyOff(ipnet::IpNet, &'static str),
    /// A gateway, range or auxiliary address that lies in no subnet.
    #[error("{what} {value} lies in none of the network's subnets")]
    Stray {
        /// `gateway`, `range` or `auxiliary address`.
        what: &'static str,
        /// As given.
        value: String,
    },
    /// A gateway or auxiliary address that is no address.
    #[error("{what} `{value}` is not an IP address")]
    NotAnAddress {
        /// `gateway` or `auxiliary address`.
        what: &'static str,
        /// As given.
        value: String,
    },
    /// Isolated gateways are for internal networks.
    #[error("gateway mode `isolated` is for internal networks")]
    IsolatedOutside,
    /// An MTU that no link can have.
    #[error("an MTU of {0} cannot be: it is 68 to 65535 bytes")]
    Mtu(u32),
    /// An MTU too small for IPv6.
    #[error("an MTU of {0} is too small for IPv6: 1280 at least (RFC 8200)")]
    SmallMtu(u32),
    /// A driver that does not exist.
    #[error("there is no driver `{0}`")]
    Driver(String),
}

impl Diagnose for DefinitionError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoFamily => "network-without-family",
            Self::Subnets(..) => "too-many-subnets",
            Self::FamilyOff(..) => "family-off",
            Self::Stray { .. } => "stray-address",
            Self::NotAnAddress { .. } => "bad-address",
            Self::IsolatedOutside => "isolated-not-internal",
            Self::Mtu(_) => "bad-mtu",
            Self::SmallMtu(_) => "mtu-too-small",
            Self::Driver(_) => "unknown-driver",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoFamily => Some("leave out --ipv4=false, or add --ipv6".into()),
            Self::Subnets(..) => Some("create a second network and connect the container to both".into()),
            Self::FamilyOff(_, "IPv6") => Some("add --ipv6".into()),
            Self::FamilyOff(..) => Some("leave out --ipv4=false".into()),
            Self::Stray { .. } => Some("give the --subnet that it lies in".into()),
            Self::IsolatedOutside => Some("add --internal, or leave the gateway mode out".into()),
            Self::Mtu(_) | Self::SmallMtu(_) | Self::NotAnAddress { .. } => None,
            Self::Driver(_) => Some(
                "`bridge` is the driver for networks of containers; `host` and `null` are the networks `host` and \
                 `none`, which are always there"
                    .into(),
            ),
        }
    }
}

impl Diagnose for EngineError {
    fn code(&self) -> &'static str {
        match self {
            Self::Privilege { .. } => "missing-privilege",
            Self::Root { .. } => "bad-root",
            Self::ReadConfig { .. } => "config-unreadable",
            Self::Config { source, .. } => source.code(),
            Self::Write { .. } => "state-unwritable",
            Self::NoNetwork { .. } => "no-such-network",
            Self::AmbiguousNetwork(_) => "ambiguous-network",
            Self::NetworkExists(_) => "network-exists",
            Self::Builtin(..) => "builtin-network",
            Self::Removing(_) => "network-removing",
            Self::Unsettled(_) => "network-unsettled",
            Self::LegacyTable => "legacy-table-unreadable",
            Self::NetworkInUse { .. } => "network-in-use",
            Self::NoContainer { .. } => "no-such-container",
            Self::AmbiguousContainer(_) => "ambiguous-container",
            Self::ContainerExists(_) => CONTAINER_EXISTS,
            Self::NeedsSegment(_) => "segment-missing",
            Self::NeedsRules => "rules-missing",
            Self::NoBridgeFilter(_) => "no-bridge-filter",
            Self::NotRunning(_) => "container-not-running",
            Self::Running(_) => "container-running",
            Self::StillThere(_) => "container-did-not-end",
            Self::SharedNetwork { .. } => "shared-network",
            Self::HostNamespace(_) => "host-namespace",
            Self::OtherEngine(_) => "other-engine",
            Self::AlreadyConnected { .. } => "already-connected",
            Self::NotConnected { .. } => "not-connected",
            Self::NoCable { .. } | Self::NoSuchCable(_) => "no-such-cable",
            Self::NoInterface { .. } => "no-such-interface",
            Self::WhichInterface { .. } => "several-interfaces",
            Self::RouterNotOnSubnet { .. } => "router-not-on-subnet",
            Self::RouterOnSeveral { .. } => "router-on-several-interfaces",
            Self::RouterIsItself { .. } => "router-is-itself",
            Self::RouteExists { .. } => "route-exists",
            Self::HasGateway { .. } => "default-route-by-network",
            Self::NoStaticRoute { .. } => "no-such-route",
            Self::HasWayOut(_) => "default-route-exists",
            Self::Terminal(_) => "no-terminal",
            Self::Keeper(_) => "container-not-started",
            Self::InterfaceTaken { .. } => "interface-taken",
            Self::NoLink { .. } => "no-such-interface",
            Self::NothingToCapture(_) => "nothing-to-capture",
            Self::UnknownHardware { .. } => "unknown-hardware",
            Self::Wait(_) => "cannot-wait",
            Self::BridgeTaken(_) => "bridge-name-taken",
            Self::PortInUse { .. } => "port-in-use",
            Self::NoFreePort { .. } => "no-free-port",
            Self::NotPublished { .. } => "not-published",
            Self::NotOnANetwork(_) => "on-no-network",
            Self::NothingToPublish(_) => "nothing-to-publish",
            Self::NotItsOwn(..) => "not-its-own-setting",
            Self::NoFamily { .. } => "no-such-family",
            Self::DaemonSpeech { .. } => "daemon-not-understood",
            other => other.inner().map_or("error", |inner| inner.code()),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Privilege { .. } => Some(
                "run it as root, or on a throw-away host where you are root: `pontoon lab -- pontoon …`"
                    .into(),
            ),
            Self::Config { source, .. } => source.hint(),
            Self::NoNetwork { near, .. } if !near.is_empty() => {
                Some(format!("did you mean {}?", near.join(" or ")))
            }
            Self::NoNetwork { .. } => Some("`pontoon network ls` shows them".into()),
            Self::Unsettled(_) => Some("try again when it has ended".into()),
            Self::NoContainer { near, .. } if !near.is_empty() => {
                Some(format!("did you mean {}?", near.join(" or ")))
            }
            Self::NoContainer { .. } => Some(
                "`pontoon ps -a` shows yours; others are pid:N, netns:NAME, docker:NAME or podman:NAME"
                    .into(),
            ),
            Self::AmbiguousNetwork(_) | Self::AmbiguousContainer(_) => {
                Some("give more digits, or the name".into())
            }
            Self::NetworkInUse { network, users } => Some(format!(
                "`pontoon network disconnect {network} {}` first",
                users.first().map_or("CONTAINER", String::as_str)
            )),
            Self::PortInUse { port, .. } => Some(format!(
                "stop that program, publish another port, or let Pontoon choose one: `-p :PORT` instead of {port}"
            )),
            Self::NoFreePort { .. } => {
                Some("withdraw some, or set `published-ports` in /etc/pontoon/config.toml".into())
            }
            Self::NotPublished { container, .. } => {
                Some(format!("`pontoon port {container}` shows those that are"))
            }
            Self::NothingToPublish("host") => {
                Some("what it listens on is reached at the host's addresses as it is: leave `-p` out".into())
            }
            Self::NothingToPublish("none") => Some("give it a network, or leave `-p` out".into()),
            Self::NothingToPublish(_) => {
                Some("publish the ports of the container whose network it is".into())
            }
            Self::NotItsOwn(..) => Some("set it where the namespace is made, or leave `--sysctl` out".into()),
            Self::NotOnANetwork(name) => {
                Some(format!("`pontoon network connect --publish … NETWORK {name}` does both at once"))
            }
            Self::ContainerExists(name) => Some(format!("`pontoon rm -f {name}`, or choose another --name")),
            Self::Running(name) => Some(format!("`pontoon stop {name}` first, or `pontoon rm -f {name}`")),
            Self::SharedNetwork { whose, .. } => Some(format!("name {whose} instead")),
            Self::HostNamespace(_) => {
                Some("a process of the host has no network of its own to connect".into())
            }
            Self::OtherEngine(reference) => Some(match reference {
                ContainerRef::Docker(_) => "`docker` does that".into(),
                ContainerRef::Podman(_) => "`podman` does that".into(),
                _ => "its runtime does that".into(),
            }),
            Self::NoInterface { there, .. } if there.is_empty() => Some(
                "connect it to a network, or lay a cable to it: interfaces of others are left alone".into(),
            ),
            Self::NoInterface { there, .. } => Some(format!("it has {}", there.join(", "))),
            Self::WhichInterface { container, interfaces } => {
                let first = interfaces.first().map_or("IF", String::as_str);
                Some(format!("name one, as in {container}:{first}, or its --network"))
            }
            Self::RouterNotOnSubnet { .. } => {
                Some("connect the container to the router's network first".into())
            }
            Self::RouterOnSeveral { interfaces, .. } => {
                Some(format!("add `dev {}`", interfaces.first().map_or("IF", String::as_str)))
            }
            Self::RouteExists { container, to, ours: true, .. } => {
                Some(format!("`pontoon network route rm {container} {to}` first"))
            }
            Self::RouteExists { to, .. } => Some(format!(
                "it is not Pontoon's: `ip route delete {to}` in the container's namespace takes it away"
            )),
            Self::HasGateway { container, .. } => Some(format!(
                "connect {container} to the network of the router with a higher priority: `pontoon network connect \
                 --gw-priority 1 NETWORK {container}` makes that network's gateway the default route"
            )),
            Self::NoStaticRoute { there, .. } if !there.is_empty() => {
                Some(format!("it was given: {}", there.join(", ")))
            }
            Self::HasWayOut(_) => {
                Some("leave the gateway out, or take the other default route away first".into())
            }
            Self::Keeper(failure) => failure.hint.clone(),
            Self::InterfaceTaken { .. } => Some("leave --ifname out, or choose another".into()),
            Self::NoLink { there, .. } => Some(format!("there are {}", list(there))),
            Self::NothingToCapture(_) => {
                Some("name an interface, and it is captured when it comes up".into())
            }
            Self::BridgeTaken(_) => {
                Some("choose another com.docker.network.bridge.name, or leave it out".into())
            }
            Self::NoFamily { family: "IPv6", .. } => Some("create the network with --ipv6".into()),
            Self::DaemonSpeech { .. } => {
                Some("it may be of another version: `pontoon daemon stop`, and it is started anew".into())
            }
            other => other.inner().and_then(Diagnose::hint),
        }
    }
}

impl EngineError {
    /// A terminal of its own for a container, if it is to have one.
    pub(crate) fn open_terminal(wanted: bool) -> Result<Option<pontoon_kernel::terminal::Pty>, Self> {
        let opened = wanted.then(pontoon_kernel::terminal::Pty::open).transpose();
        opened.map_err(|errno| Self::Terminal(errno.into()))
    }

    /// The error that this one stands for, where it is somebody else's.
    fn inner(&self) -> Option<&dyn Diagnose> {
        Some(match self {
            Self::Definition(error) => error,
            Self::Choice(error) => error,
            Self::Collision(error) => error,
            Self::Renumber(error) => error,
            Self::Pool(error) => error,
            Self::Subnet(error) => error,
            Self::Option(error) => error,
            Self::Name(error) => error,
            Self::Mac(error) => error,
            Self::Impairment(error) => error,
            Self::Route(error) => error,
            Self::Address(error) => error,
            Self::Ipam(error) => error,
            Self::Lease(error) => error,
            Self::Store(error) => error,
            Self::Lock(error) => error,
            Self::Kernel(error) => error,
            Self::Netns(error) => error,
            Self::Refusal(error) => error,
            Self::Execute(error) => error,
            Self::Spawn(error) => error,
            Self::Control(error) => error,
            Self::Probe(error) => error,
            Self::Packet(error) => error,
            Self::Filter(error) => error,
            Self::Sysctl(error) => error,
            Self::Port(error) => error,
            Self::Elsewhere(error) => error,
            _ => return None,
        })
    }
}

fn subnets_or_none(known: &[String]) -> String {
    if known.is_empty() { "it has none".to_owned() } else { known.join(", ") }
}

fn no_interface(container: &str, asked: Option<&str>) -> String {
    match asked {
        Some(asked) => format!("`{container}` has no interface {asked} that is Pontoon's"),
        None => format!("`{container}` has no interface that is Pontoon's"),
    }
}

fn named(holders: &[Holder]) -> String {
    holders.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn list(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
