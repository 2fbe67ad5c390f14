//! A host with bridges, containers on them, and a server.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use pontoon_daemon::dns::{Handle, Options, Server};
use pontoon_dns::{Member, NetworkNames, Place, Upstreams};
use pontoon_model::{IfName, NetworkId, SandboxId};
use pontoon_testkit::Host;

pub(crate) const V6: &str = "fd00:5";

/// The network number `number`: 10.5.NUMBER.0/24 and fd00:5:NUMBER::/64, on the bridge `brNUMBER`.
pub(crate) fn network(number: u8, name: &str) -> NetworkNames {
    NetworkNames {
        id: NetworkId::from_bytes([number; 32]),
        name: name.into(),
        internal: false,
        enabled: true,
        subnets: vec![
            format!("10.5.{number}.0/24").parse().unwrap(),
            format!("{V6}:{number}::/64").parse().unwrap(),
        ],
        gateways: vec![
            format!("10.5.{number}.1").parse().unwrap(),
            format!("{V6}:{number}::1").parse().unwrap(),
        ],
    }
}

pub(crate) fn place(number: u8, last: u8) -> Place {
    Place {
        network: NetworkId::from_bytes([number; 32]),
        v4: Some([10, 5, number, last].into()),
        v6: Some(format!("{V6}:{number}::{last:x}").parse().unwrap()),
        aliases: Vec::new(),
        links: Vec::new(),
    }
}

pub(crate) fn member(number: u8, name: &str, places: Vec<Place>) -> Member {
    Member {
        sandbox: SandboxId::from_bytes([number; 32]),
        name: name.into(),
        short_id: format!("{number:02x}").repeat(6),
        hostname: None,
        places,
        servers: Vec::new(),
    }
}

pub(crate) fn bridge(number: u8) -> IfName {
    format!("br{number}").parse().unwrap()
}

pub(crate) struct Stand {
    pub(crate) host: Host,
    pub(crate) server: Handle,
}

impl Stand {
    /// A host with a server that serves nothing yet and knows nobody to ask.
    pub(crate) fn new(host: Host) -> Self {
        Self::with(host, Options { resolv_conf: missing(), behind: missing(), ..Options::default() })
    }

    pub(crate) fn with(host: Host, options: Options) -> Self {
        for tool in ["ip", "dig"] {
            host.need(tool);
        }
        let server = Server::start(options).unwrap();
        Self { host, server }
    }

    /// A bridge with its network, served.
    pub(crate) fn serve(&self, network: NetworkNames) {
        let number = network.id.as_str()[..2].to_owned();
        let number = u8::from_str_radix(&number, 16).unwrap();
        self.add_bridge(number);
        let _ = self.server.serve(network, &bridge(number)).unwrap();
    }

    pub(crate) fn add_bridge(&self, number: u8) {
        self.host.sh(&format!(
            "ip link add br{number} type bridge
             ip link set br{number} up
             ip address add 10.5.{number}.1/24 dev br{number}
             ip address add {V6}:{number}::1/64 dev br{number} nodad"
        ));
    }

    /// A namespace with a cable to a bridge and the address with this last part.
    pub(crate) fn container(&self, name: &str, places: &[(u8, u8)]) {
        self.host.sh(&format!("ip netns add {name}; ip -n {name} link set lo up"));
        for (number, last) in places {
            self.host.sh(&format!(
                "ip link add {name}{number} type veth peer name eth{number} netns {name}
                 ip link set {name}{number} master br{number} up
                 ip -n {name} address add 10.5.{number}.{last}/24 dev eth{number}
                 ip -n {name} address add {V6}:{number}::{last:x}/64 dev eth{number} nodad
                 ip -n {name} link set eth{number} up
                 ip -o link show dev br{number}"
            ));
        }
        // The first packet after a link comes up may be lost.
        for (number, _) in places {
            for gateway in [format!("10.5.{number}.1"), format!("{V6}:{number}::1")] {
                self.host.wait_until("the gateway answers", || self.host.pings(name, &gateway));
            }
        }
    }

    /// What dig prints, asked in a container.
    pub(crate) fn dig(&self, place: &str, words: &str) -> String {
        self.host.sh_in(place, &format!("dig +tries=1 +time=5 {words}"))
    }

    /// The answers alone, one a line and in order.
    pub(crate) fn short(&self, place: &str, words: &str) -> Vec<String> {
        let mut lines: Vec<String> =
            self.dig(place, &format!("+short {words}")).lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }

    /// The status that dig prints, such as `NXDOMAIN`.
    pub(crate) fn status(&self, place: &str, words: &str) -> String {
        let text = self.dig(place, words);
        let status = text.split("status: ").nth(1).and_then(|rest| rest.split(',').next());
        status.unwrap_or_else(|| panic!("no status: {text}")).to_owned()
    }

    pub(crate) fn ask(&self, servers: &[SocketAddr]) {
        let upstreams = Upstreams { servers: servers.to_vec(), ..Upstreams::default() };
        self.server.set_upstreams(Some(upstreams)).unwrap();
    }
}

pub(crate) fn missing() -> PathBuf {
    "/run/testkit/missing".into()
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}
