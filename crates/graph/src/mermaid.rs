//! The graph as a flowchart of Mermaid's, which GitHub, GitLab and others draw in their pages.
//! Source: <https://mermaid.js.org/syntax/flowchart.html>.

use crate::escape::mermaid as escape;
use crate::{Graph, Namespace};

/// The graph as a flowchart.
pub fn mermaid(graph: &Graph) -> String {
    let mut lines = vec!["flowchart TB".to_owned()];
    let mut add = |line: String| lines.push(format!("    {line}"));
    let uplinks =
        if graph.uplinks.is_empty() { "no default route".to_owned() } else { graph.uplinks.join(", ") };
    add("outside([\"outside\"])".to_owned());
    add("host[[\"host\"]]".to_owned());
    add(format!("host -- {} --> outside", label([uplinks])));
    for (number, network) in graph.networks.iter().enumerate() {
        let mut words = vec![network.name.clone(), format!("bridge {}", network.bridge)];
        if network.internal {
            words.push("internal".to_owned());
        }
        words.extend(network.subnets.iter().map(|subnet| subnet.words().join(" ")));
        add(format!("n{number}{{{{{}}}}}", label(words)));
        if network.leaves() {
            add(format!("n{number} --> host"));
        }
    }
    for (number, container) in graph.containers.iter().enumerate() {
        add(format!("c{number}[{}]", label(container.heading())));
        for interface in &container.interfaces {
            let Some(network) = graph.network_at(&interface.network) else { continue };
            let mut words = vec![interface.name.clone(), interface.mac.clone()];
            words.extend(interface.addresses.iter().map(ToString::to_string));
            words.extend(interface.way_out_words());
            let (before, after) = if interface.way_out.is_empty() { ("--", "---") } else { ("==", "===") };
            add(format!("n{network} {before} {} {after} c{number}", label(words)));
        }
        match &container.namespace {
            Namespace::Own => {}
            Namespace::Host => add(format!("host -.- c{number}")),
            Namespace::Container(name) => {
                graph.container_at(name).into_iter().for_each(|other| add(format!("c{other} -.- c{number}")));
            }
        }
        for port in &container.ports {
            add(format!("host -- {} --> c{number}", label([port.to_string()])));
        }
    }
    for cable in &graph.cables {
        let [one, other] = &cable.ends;
        let words = label([one.words(), other.words()]);
        add(format!("{} -. {words} .- {}", graph.node(one), graph.node(other)));
    }
    lines.join("\n") + "\n"
}

/// A label of several lines between quotes.
fn label<I: IntoIterator<Item = S>, S: AsRef<str>>(lines: I) -> String {
    let lines: Vec<String> = lines.into_iter().map(|line| escape(line.as_ref())).collect();
    format!("\"{}\"", lines.join("<br/>"))
}
