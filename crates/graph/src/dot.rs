//! The graph in the language of Graphviz. Source: <https://graphviz.org/doc/info/lang.html>.

use std::fmt::Write as _;

use crate::escape::dot as escape;
use crate::{Container, Graph, Namespace, Network};

/// The graph for `dot -Tsvg`.
pub fn dot(graph: &Graph) -> String {
    let mut out = String::from(HEAD);
    let outside =
        if graph.uplinks.is_empty() { "no default route".to_owned() } else { graph.uplinks.join(", ") };
    add(&mut out, &format!("outside -- host [label=\"{}\"]", escape(&outside)));
    for (number, network) in graph.networks.iter().enumerate() {
        add_network(&mut out, number, network);
    }
    for (number, container) in graph.containers.iter().enumerate() {
        add_container(&mut out, graph, number, container);
    }
    for cable in &graph.cables {
        let [one, other] = cable.ends.each_ref().map(|end| (graph.node(end), escape(&end.inside())));
        let line = format!(
            "{} -- {} [style=dashed, taillabel=\"{}\", headlabel=\"{}\"]",
            one.0, other.0, one.1, other.1
        );
        add(&mut out, &line);
    }
    out.push_str("}\n");
    out
}

const HEAD: &str = "graph pontoon {
    rankdir=TB
    node [shape=box, fontname=\"monospace\", fontsize=10]
    edge [fontname=\"monospace\", fontsize=9]
    outside [shape=ellipse, style=dashed]
    host [style=bold]
";

fn add(out: &mut String, statement: &str) {
    // Writing to a text does not fail.
    let _ = writeln!(out, "    {statement}");
}

/// Lines of a label, one below the other.
fn label<I: IntoIterator<Item = S>, S: AsRef<str>>(lines: I) -> String {
    lines.into_iter().map(|line| escape(line.as_ref())).collect::<Vec<_>>().join("\\n")
}

fn add_network(out: &mut String, number: usize, network: &Network) {
    let mut lines = vec![network.name.clone(), format!("bridge {}", network.bridge)];
    if network.internal {
        lines.push("internal".to_owned());
    }
    lines.extend(network.subnets.iter().map(|subnet| subnet.words().join(" ")));
    add(
        out,
        &format!(
            "n{number} [shape=box, style=\"rounded,filled\", fillcolor=\"#dbe9f6\", label=\"{}\"]",
            label(lines)
        ),
    );
    if network.leaves() {
        add(out, &format!("host -- n{number}"));
    }
}

fn add_container(out: &mut String, graph: &Graph, number: usize, container: &Container) {
    add(out, &format!("c{number} [label=\"{}\"]", label(container.heading())));
    for interface in &container.interfaces {
        let Some(network) = graph.network_at(&interface.network) else { continue };
        let mut lines = vec![interface.name.clone(), interface.mac.clone()];
        lines.extend(interface.addresses.iter().map(ToString::to_string));
        lines.extend(interface.way_out_words());
        let bold = if interface.way_out.is_empty() { "" } else { ", style=bold" };
        add(out, &format!("n{network} -- c{number} [label=\"{}\"{bold}]", label(lines)));
    }
    match &container.namespace {
        Namespace::Own => {}
        Namespace::Host => add(out, &format!("host -- c{number} [style=dotted]")),
        Namespace::Container(name) => {
            if let Some(other) = graph.container_at(name) {
                add(out, &format!("c{other} -- c{number} [style=dotted]"));
            }
        }
    }
    for port in &container.ports {
        let text = escape(&port.to_string());
        add(
            out,
            &format!(
                "host -- c{number} [dir=forward, color=\"#b8860b\", constraint=false, label=\"{text}\"]"
            ),
        );
    }
}
