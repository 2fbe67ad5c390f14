//! A host with one of everything.

use pontoon_graph::{
    Cable, CableEnd, Container, Family, Graph, Interface, Namespace, Network, Port, Subnet, WayOut,
};

pub(crate) fn network(name: &str, bridge: &str, internal: bool, subnets: &[(&str, &str, WayOut)]) -> Network {
    let subnet = |(subnet, gateway, way_out): &(&str, &str, WayOut)| Subnet {
        subnet: subnet.parse().unwrap(),
        gateway: Some(gateway.parse().unwrap()),
        way_out: *way_out,
    };
    Network {
        id: format!("{name}-id"),
        name: name.to_owned(),
        bridge: bridge.to_owned(),
        internal,
        subnets: subnets.iter().map(subnet).collect(),
    }
}

pub(crate) fn interface(name: &str, network: &str, addresses: &[&str], way_out: &[Family]) -> Interface {
    Interface {
        name: name.to_owned(),
        network: network.to_owned(),
        mac: "02:90:ac:11:00:02".to_owned(),
        host_end: "vethc8de2de56b9".to_owned(),
        addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
        way_out: way_out.to_vec(),
    }
}

pub(crate) fn container(name: &str, interfaces: Vec<Interface>) -> Container {
    Container {
        id: format!("{name}-id"),
        name: name.to_owned(),
        foreign: None,
        status: "running".to_owned(),
        namespace: Namespace::Own,
        interfaces,
        ports: Vec::new(),
    }
}

fn end(container: Option<&str>, interface: &str, addresses: &[&str]) -> CableEnd {
    CableEnd {
        container: container.map(str::to_owned),
        interface: interface.to_owned(),
        mac: "d2:4e:0d:00:00:01".to_owned(),
        addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
    }
}

pub(crate) fn port(address: &str, host: u16, container: u16, count: u16) -> Port {
    Port { address: address.parse().unwrap(), host, container, count, protocol: "tcp".to_owned() }
}

pub(crate) fn small() -> Graph {
    let both = [Family::Ipv4, Family::Ipv6];
    let blue = [
        ("172.17.0.0/16", "172.17.0.1", WayOut::Masquerade),
        ("fd7c:12:5::/64", "fd7c:12:5::1", WayOut::Masquerade),
    ];
    let web = Container {
        ports: vec![port("0.0.0.0", 8080, 80, 1), port("::", 8080, 80, 1), port("0.0.0.0", 9000, 9000, 11)],
        ..container(
            "web",
            vec![
                interface("eth0", "blue", &["172.17.0.2/16", "fd7c:12:5::2/64"], &both),
                interface("eth1", "cellar", &["10.9.0.2/24"], &[]),
            ],
        )
    };
    let theirs =
        Container { foreign: Some("netns:theirs".to_owned()), ..container("netns-theirs", Vec::new()) };
    let db = Container {
        ports: vec![port("127.0.0.1", 5432, 5432, 1)],
        ..container("db", vec![interface("eth0", "cellar", &["10.9.0.3/24"], &[])])
    };
    let routed = [("10.8.0.0/24", "10.8.0.1", WayOut::Routed)];
    Graph {
        uplinks: vec!["eth0".to_owned()],
        networks: vec![
            network("blue", "pt-900788331ef4", false, &blue),
            network("cellar", "pt-1f0e33aa01bc", true, &[("10.9.0.0/24", "10.9.0.1", WayOut::None)]),
            network("nobody", "br-nobody", false, &routed),
        ],
        containers: vec![
            db,
            Container { namespace: Namespace::Container("web".to_owned()), ..container("debug", Vec::new()) },
            Container { status: "exited".to_owned(), ..container("lone", Vec::new()) },
            Container { namespace: Namespace::Host, ..container("monitor", Vec::new()) },
            theirs,
            web,
        ],
        cables: vec![
            Cable {
                id: "one".to_owned(),
                ends: [
                    end(Some("web"), "lan0", &["10.0.0.1/30"]),
                    end(Some("netns-theirs"), "lan0", &["10.0.0.2/30"]),
                ],
                mtu: Some(9000),
            },
            Cable {
                id: "two".to_owned(),
                ends: [end(Some("db"), "lan1", &[]), end(None, "vethdb", &["10.0.1.1/30", "fe80::1/64"])],
                mtu: None,
            },
        ],
    }
}
