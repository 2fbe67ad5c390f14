//! Whatever there is, is in every picture, and nothing that a name has in it breaks one.

mod common;

use anstream::adapter::strip_str;
use common::{container, interface, network, port, small};
use pontoon_graph::{Cable, CableEnd, Container, Family, Graph, Namespace, WayOut, dot, mermaid, svg, text};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

/// A container before it has a name: addresses on networks, published ports, whose namespace.
type Raw = (Vec<(Index, u8, bool)>, Vec<(u16, u16)>, u8);

prop_compose! {
    fn graph()(
        networks in 0..12_usize,
        containers in vec((vec((any::<Index>(), any::<u8>(), any::<bool>()), 0..4), vec((1..60000_u16, 1..9_u16), 0..4), 0..4_u8), 0..40),
        cables in vec((any::<Index>(), proptest::option::of(any::<Index>())), 0..12),
    ) -> Graph {
        build(networks, &containers, &cables)
    }
}

fn build(networks: usize, containers: &[Raw], cables: &[(Index, Option<Index>)]) -> Graph {
    let net = |number: usize| {
        let (subnet, gateway) = (format!("10.{number}.0.0/16"), format!("10.{number}.0.1"));
        let way_out = [WayOut::Masquerade, WayOut::Routed, WayOut::None][number % 3];
        network(
            &format!("net-{number}."),
            &format!("pt-{number}."),
            number % 3 == 2,
            &[(&subnet, &gateway, way_out)],
        )
    };
    let make = |(number, (on, ports, kind)): (usize, &Raw)| {
        let on = if networks == 0 { &[] } else { on.as_slice() };
        let interfaces = on.iter().enumerate().map(|(place, (network, host, out))| {
            let network = network.index(networks);
            let address = format!("10.{network}.{number}.{host}/16");
            let name = format!("if{number}-{place}.");
            interface(
                &name,
                &format!("net-{network}."),
                &[&address],
                if *out { &[Family::Ipv4] } else { &[] },
            )
        });
        let namespace = match kind {
            0 => Namespace::Host,
            1 => Namespace::Container("box-0.".to_owned()),
            _ => Namespace::Own,
        };
        let ports = ports.iter().map(|(first, count)| port("127.0.0.1", *first, *first, *count)).collect();
        Container { ports, namespace, ..container(&format!("box-{number}."), interfaces.collect()) }
    };
    let containers: Vec<Container> = containers.iter().enumerate().map(make).collect();
    let end = |container: Option<Index>, interface: String| CableEnd {
        container: container.map(|index| format!("box-{}.", index.index(containers.len()))),
        interface,
        mac: String::new(),
        addresses: Vec::new(),
    };
    let cable = |(number, (one, other)): (usize, &(Index, Option<Index>))| Cable {
        id: String::new(),
        ends: [end(Some(*one), format!("a{number}.")), end(*other, format!("b{number}."))],
        mtu: None,
    };
    let cables = if containers.is_empty() { &[] } else { cables };
    let cables = cables.iter().enumerate().map(cable).collect();
    Graph { uplinks: Vec::new(), networks: (0..networks).map(net).collect(), containers, cables }
}

/// All names and addresses that are to be found in a picture.
fn all(graph: &Graph) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for network in &graph.networks {
        all.extend([network.name.clone(), network.bridge.clone()]);
        all.extend(network.subnets.iter().map(|subnet| subnet.subnet.to_string()));
    }
    for container in &graph.containers {
        all.push(container.name.clone());
        all.extend(container.ports.iter().map(ToString::to_string));
        for interface in &container.interfaces {
            all.push(interface.name.clone());
            all.extend(interface.addresses.iter().map(|net| net.addr().to_string()));
        }
    }
    all.extend(graph.cables.iter().flat_map(|cable| &cable.ends).map(|end| end.interface.clone()));
    all
}

fn pictures(graph: &Graph) -> [(&'static str, String); 4] {
    [
        ("text", strip_str(&text(graph)).to_string()),
        ("svg", svg(graph).replace("&gt;", ">")),
        ("mermaid", mermaid(graph)),
        ("dot", dot(graph)),
    ]
}

/// Whether every tag is closed in turn, and no `<`, `&` or quote is anywhere else.
fn is_well_formed(xml: &str) -> bool {
    let mut open = Vec::new();
    let mut rest = xml;
    while let Some(at) = rest.find('<') {
        let Some(end) = rest[at..].find('>') else { return false };
        let (before, tag) = (&rest[..at], &rest[at + 1..at + end]);
        if before.contains('>') || tag.matches('"').count() % 2 == 1 || tag.contains('<') {
            return false;
        }
        let name = tag.split([' ', '/']).find(|part| !part.is_empty()).unwrap_or("");
        match (tag.starts_with('/'), tag.ends_with('/')) {
            (true, _) if open.pop() != Some(name) => return false,
            (true, _) | (_, true) => {}
            _ => open.push(name),
        }
        rest = &rest[at + end + 1..];
    }
    let entities = ["amp;", "lt;", "gt;", "quot;", "#39;", "#10;"];
    let is_entity = |after: &str| entities.iter().any(|entity| after.starts_with(entity));
    open.is_empty() && xml.split('&').skip(1).all(is_entity)
}

/// Rectangles of boxes: x, y, width, height.
fn boxes(svg: &str) -> Vec<[i32; 4]> {
    let number = |line: &str, key: &str| {
        let rest = line.split(&format!(" {key}=\"")).nth(1).unwrap();
        rest.split('"').next().unwrap().parse().unwrap()
    };
    let lines = svg.lines().filter(|line| line.starts_with("<rect class=\"card\""));
    lines.map(|line| ["x", "y", "width", "height"].map(|key| number(line, key))).collect()
}

proptest! {
    #[test]
    fn every_name_is_in_every_picture(graph in graph()) {
        for (format, picture) in pictures(&graph) {
            for name in all(&graph) {
                prop_assert!(picture.contains(&name), "{name} is not in the {format}:\n{picture}");
            }
        }
        let read: serde_json::Value = serde_json::from_str(&graph.json()).unwrap();
        prop_assert_eq!(read, serde_json::to_value(&graph).unwrap());
    }

    #[test]
    fn boxes_are_apart_and_inside(graph in graph()) {
        let picture = svg(&graph);
        let boxes = boxes(&picture);
        prop_assert_eq!(boxes.len(), graph.containers.len());
        let size = |key: &str| -> i32 { picture.split(&format!(" {key}=\"")).nth(1).unwrap().split('"').next().unwrap().parse().unwrap() };
        for (place, [x, y, width, height]) in boxes.iter().enumerate() {
            prop_assert!(x + width < size("width") && y + height < size("height"), "{place} sticks out");
            for [left, top, wide, high] in &boxes[place + 1..] {
                let apart = x + width < *left || left + wide < *x || y + height < *top || top + high < *y;
                prop_assert!(apart, "two boxes lie on each other");
            }
        }
    }

    #[test]
    fn odd_names_break_nothing(odd in "(\\PC|[\"'<>&\\\\#;|{}\\[\\]\u{0}-\u{1f}\u{7f}\u{202e}]){1,15}") {
        let mut graph = small();
        graph.networks[0].bridge.clone_from(&odd);
        graph.containers[5].interfaces[0].name.clone_from(&odd);
        graph.containers[4].foreign = Some(odd.clone());
        graph.cables[0].ends[1].interface.clone_from(&odd);
        graph.uplinks = vec![odd.clone()];
        let lines = |picture: &str| picture.lines().count();
        for ((format, picture), (_, usual)) in pictures(&graph).iter().zip(pictures(&small())) {
            prop_assert!(!picture.contains(|c: char| c.is_control() && c != '\n'), "{format}");
            if *format != "text" {
                prop_assert_eq!(lines(picture), lines(&usual), "{}", format);
            }
        }
        prop_assert!(is_well_formed(&svg(&graph)), "{}", svg(&graph));
        for line in dot(&graph).lines().chain(mermaid(&graph).lines()) {
            let unescaped = line.replace("\\\\", "").replace("\\\"", "");
            prop_assert_eq!(unescaped.matches('"').count() % 2, 0, "{}", line);
        }
    }
}
