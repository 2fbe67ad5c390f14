//! The common cases of networks and published ports, for the reference: what they put into the table.

use std::collections::BTreeMap;
use std::net::IpAddr;

use pontoon_model::network::{AddressPool, Driver};
use pontoon_model::op::Op;
use pontoon_model::option::{BridgeOptions, GatewayMode};
use pontoon_model::publish::{HostPorts, PublishSpec};
use pontoon_model::{IfName, Network, NetworkId, Publication, subnet};
use pontoon_nft::ruleset::Table;
use pontoon_nft::syntax::Command;

use crate::publish::{self, Landing, Published};
use crate::{Instance, Plan, command, ruleset};

/// Networks, and perhaps a container with published ports on the first of them.
#[derive(Debug, Clone)]
pub struct Example {
    /// What it is about.
    pub title: &'static str,
    /// The commands that a person would type.
    pub typed: &'static [&'static str],
    /// What follows from them.
    pub about: &'static str,
    networks: Vec<Network>,
    ports: Vec<Publication>,
}

impl Example {
    /// The commands that make the table and what is in it.
    pub fn commands(&self) -> Vec<Command> {
        let instance = Instance::host();
        let mut commands = empty(&instance);
        for network in &self.networks {
            commands.extend(ruleset::add_network(&instance, network));
        }
        if !self.ports.is_empty() {
            commands.extend(publish::add(&instance, &self.published(&cable())));
        }
        commands
    }

    /// The table.
    pub fn table(&self) -> Table {
        Table::made_by(&self.commands()).expect("the first command makes it")
    }

    /// The table before the last thing that was done: without networks, or where ports are published without those.
    pub fn before(&self) -> Table {
        let networks = if self.ports.is_empty() { Vec::new() } else { self.networks.clone() };
        Self { networks, ports: Vec::new(), ..self.clone() }.table()
    }

    /// What publishing changes outside of the table, as commands with reasons.
    pub fn beside(&self) -> String {
        let (mut plan, port) = (Plan::default(), cable());
        if self.ports.is_empty() {
            return String::new();
        }
        publish::change(&mut plan, &Instance::host(), "web", &Published::default(), &self.published(&port));
        plan.steps.retain(|step| !matches!(step.op, Op::Nft(_) | Op::Conntrack(_)));
        command::script(&plan)
    }

    fn published<'a>(&'a self, port: &'a IfName) -> Published<'a> {
        let network = &self.networks[0];
        let landing = |pool: &'a Option<AddressPool>| {
            let pool = pool.as_ref()?;
            Some(Landing { network, pool, address: beside_gateway(pool), port })
        };
        let (v4, v6) = (landing(&network.v4), landing(&network.v6));
        Published { ports: &self.ports, v4, v6, host: publish::Host::default() }
    }
}

/// All cases.
pub fn all() -> Vec<Example> {
    let blue = || network("blue", 18);
    let with = |change: fn(&mut Network)| {
        let mut network = blue();
        change(&mut network);
        network
    };
    vec![
        Example {
            title: "One network",
            typed: &["pontoon network create --subnet 172.18.0.0/16 blue"],
            about: "Containers reach each other and the outside; only answers come in. There is no IPv6.",
            networks: vec![with(|network| network.v6 = None)],
            ports: Vec::new(),
        },
        Example {
            title: "One network with IPv6",
            typed: &["pontoon network create --subnet 172.18.0.0/16 --subnet fd00:18::/64 blue"],
            about: "IPv6 is treated as IPv4 is. The cases below have both.",
            networks: vec![blue()],
            ports: Vec::new(),
        },
        Example {
            title: "An internal network",
            typed: &["pontoon network create --internal … blue"],
            about: "Nothing gets out or in, whatever the gateway mode. Ports that its containers publish lead nowhere.",
            networks: vec![with(|network| network.internal = true)],
            ports: Vec::new(),
        },
        Example {
            title: "A routed network",
            typed: &[
                "pontoon network create -o com.docker.network.bridge.gateway_mode_ipv4=routed -o …_ipv6=routed … blue",
            ],
            about: "Addresses stay as they are on the way out; answers and ICMP come in.",
            networks: vec![with(routed)],
            ports: Vec::new(),
        },
        Example {
            title: "Containers that do not reach each other",
            typed: &["pontoon network create -o com.docker.network.bridge.enable_icc=false … blue"],
            about: "Besides, each container's port of the bridge is isolated, which stops frames.",
            networks: vec![with(|network| network.bridge.icc = false)],
            ports: Vec::new(),
        },
        Example {
            title: "A source address of its own",
            typed: &["pontoon network create -o com.docker.network.host_ipv4=192.0.2.7 … blue"],
            about: "Instead of the outgoing interface's.",
            networks: vec![with(|network| network.bridge.host_ipv4 = Some([192, 0, 2, 7].into()))],
            ports: Vec::new(),
        },
        Example {
            title: "A port published on all addresses",
            typed: &["pontoon run -d --name web --network blue -p 8080:80 …"],
            about: "On each address of the host, those that it has now and those that it gets later, 127.0.0.1 and ::1 \
                    among them.",
            networks: vec![blue()],
            ports: ports(&["8080:80"]),
        },
        Example {
            title: "A port published on 127.0.0.1",
            typed: &["pontoon run -d --name web --network blue -p 127.0.0.1:8080:80 …"],
            about: "For the host itself alone.",
            networks: vec![blue()],
            ports: ports(&["127.0.0.1:8080:80"]),
        },
        Example {
            title: "Ports published on one address",
            typed: &[
                "pontoon run -d --name web --network blue -p 192.0.2.2:8000-8001:80-81 -p [2001:db8:1::2]:53:53/udp …",
            ],
            about: "A range is an element for each of its ports.",
            networks: vec![blue()],
            ports: ports(&["192.0.2.2:8000-8001:80-81", "[2001:db8:1::2]:53:53/udp"]),
        },
        Example {
            title: "A port published on a routed network",
            typed: &["pontoon run -d --name web --network blue -p 8080:80 …"],
            about: "The container's own port is opened, at its own address; the host's port is not used.",
            networks: vec![with(routed)],
            ports: ports(&["8080:80"]),
        },
        Example {
            title: "Two networks",
            typed: &[
                "pontoon network create --subnet 172.18.0.0/16 --subnet fd00:18::/64 blue",
                "pontoon network create --subnet 172.19.0.0/16 --subnet fd00:19::/64 green",
            ],
            about: "What comes from the one for the other meets `enter_nat`, as what comes from anywhere else does.",
            networks: vec![blue(), network("green", 19)],
            ports: Vec::new(),
        },
    ]
}

/// The table without networks.
pub(super) fn empty(instance: &Instance) -> Vec<Command> {
    let mut commands = ruleset::table(instance);
    commands.push(Command::AddElements(ruleset::loopback6(instance)));
    commands
}

fn routed(network: &mut Network) {
    network.bridge.gateway_mode_v4 = GatewayMode::Routed;
    network.bridge.gateway_mode_v6 = GatewayMode::Routed;
}

/// A network with both families, on a bridge of its own name.
pub(crate) fn network(name: &str, number: u8) -> Network {
    let id = NetworkId::from_bytes([number; 32]);
    let pool = |text: String| {
        let subnet = text.parse().expect("constant");
        let gateway = subnet::usable(subnet).0;
        Some(AddressPool { subnet, range: None, gateway, aux: BTreeMap::new() })
    };
    Network {
        name: name.parse().expect("constant"),
        driver: Driver::Bridge,
        created: String::new(),
        internal: false,
        attachable: true,
        labels: BTreeMap::new(),
        options: BTreeMap::new(),
        bridge: BridgeOptions::default(),
        v4: pool(format!("172.{number}.0.0/16")),
        v6: pool(format!("fd00:{number}::/64")),
        bridge_name: name.parse().expect("constant"),
        bridge_mac: Network::derived_bridge_mac(&id),
        builtin: false,
        id,
    }
}

/// The address behind the gateway's.
fn beside_gateway(pool: &AddressPool) -> IpAddr {
    subnet::from_number(subnet::to_number(pool.gateway) + 1, pool.subnet)
}

/// The container's end on the bridge.
fn cable() -> IfName {
    "vethweb".parse().expect("constant")
}

fn ports(texts: &[&str]) -> Vec<Publication> {
    let port = |text: &&str| {
        let spec: PublishSpec = text.parse().expect("constant");
        match spec.host {
            HostPorts::Exactly(first) => spec.at(first),
            HostPorts::Free | HostPorts::OneOf { .. } => unreachable!("all of them name the host's port"),
        }
    };
    texts.iter().map(port).collect()
}
