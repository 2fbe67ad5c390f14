//! The graph as a tree for a terminal.

use anstyle::{AnsiColor, Style};

use crate::escape::plain;
use crate::{Cable, Container, Graph, Interface, Namespace, Network, Port};

const NETWORK: Style = AnsiColor::Cyan.on_default().bold();
const CONTAINER: Style = Style::new().bold();
const GROUP: Style = Style::new().bold();
const WAY_OUT: Style = AnsiColor::Green.on_default();
const PORT: Style = AnsiColor::Yellow.on_default();
const FAINT: Style = Style::new().dimmed();
const PLAIN: Style = Style::new();

/// Columns that a line has at the most, unless one cell is longer.
const WIDTH: usize = 100;
/// Cells that are longer move only their own line.
const ALIGNED: usize = 24;

/// A part of a line.
#[derive(Clone)]
struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    fn new(style: Style, text: impl AsRef<str>) -> Self {
        Self { text: plain(text.as_ref()), style }
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }
}

/// A line, and what hangs from it.
struct Node {
    cells: Vec<Cell>,
    children: Vec<Node>,
}

/// The graph as a tree, with colours in it.
pub fn text(graph: &Graph) -> String {
    let outside = match graph.uplinks.as_slice() {
        [] => Cell::new(FAINT, "no default route"),
        uplinks => Cell::new(PLAIN, format!("way out by {}", uplinks.join(", "))),
    };
    let mut children: Vec<Node> = graph.networks.iter().map(|network| on_network(graph, network)).collect();
    children.extend(elsewhere(graph));
    children.extend(cables(&graph.cables));
    let mut out = String::new();
    write(&Node { cells: vec![Cell::new(GROUP, "host"), outside], children }, &[], ["", ""], &mut out);
    out
}

fn on_network(graph: &Graph, network: &Network) -> Node {
    let mut cells = vec![Cell::new(NETWORK, &network.name)];
    cells.extend(network.subnets.iter().map(|subnet| {
        let [subnet, rest] = subnet.words();
        Cell::new(PLAIN, format!("{subnet} ({rest})"))
    }));
    if network.internal {
        cells.push(Cell::new(PLAIN, "internal"));
    }
    cells.push(Cell::new(FAINT, format!("bridge {}", network.bridge)));
    let children = graph.containers.iter().flat_map(|container| {
        let on = container.interfaces.iter().filter(|interface| interface.network == network.name);
        on.map(move |interface| member(container, interface))
    });
    Node { cells, children: children.collect() }
}

fn member(container: &Container, interface: &Interface) -> Node {
    let addresses = interface.addresses.iter().map(|net| net.addr().to_string());
    let mut cells = vec![
        Cell::new(CONTAINER, &container.name),
        Cell::new(PLAIN, &interface.name),
        Cell::new(PLAIN, addresses.collect::<Vec<_>>().join(" ")),
        Cell::new(FAINT, &interface.mac),
    ];
    cells.extend(interface.way_out_words().map(|words| Cell::new(WAY_OUT, words)));
    cells.extend(particulars(container));
    let leads_here = |port: &&Port| container.leads_to(port) == Some(interface);
    let mut children: Vec<Node> = container.ports.iter().filter(leads_here).map(published).collect();
    if container.interfaces.first() == Some(interface) {
        children.extend(leading_nowhere(container));
    }
    Node { cells, children }
}

fn published(port: &Port) -> Node {
    Node { cells: vec![Cell::new(PORT, port.to_string())], children: Vec::new() }
}

fn leading_nowhere(container: &Container) -> impl Iterator<Item = Node> {
    let lost = container.ports.iter().filter(|port| container.leads_to(port).is_none());
    lost.map(|port| {
        let mut node = published(port);
        node.cells.push(Cell::new(FAINT, "leads nowhere: there is no way out"));
        node
    })
}

/// What is to be said of a container that is not as most are.
fn particulars(container: &Container) -> impl Iterator<Item = Cell> {
    let foreign = container.foreign.as_ref().map(|reference| Cell::new(FAINT, reference));
    let status = Some(&container.status).filter(|status| *status != "running");
    foreign.into_iter().chain(status.map(|status| Cell::new(PLAIN, status)))
}

/// The containers without an interface on a network, by where they are instead.
fn elsewhere(graph: &Graph) -> Vec<Node> {
    let mut groups: Vec<(&Namespace, Node)> = Vec::new();
    for container in graph.containers.iter().filter(|container| container.interfaces.is_empty()) {
        let mut cells = vec![Cell::new(CONTAINER, &container.name)];
        cells.extend(particulars(container));
        let child = Node { cells, children: leading_nowhere(container).collect() };
        match groups.iter_mut().find(|(namespace, _)| **namespace == container.namespace) {
            Some((_, group)) => group.children.push(child),
            None => {
                let words = container.namespace.words().unwrap_or_else(|| "on no network".to_owned());
                let group = Node { cells: vec![Cell::new(GROUP, words)], children: vec![child] };
                groups.push((&container.namespace, group));
            }
        }
    }
    groups.into_iter().map(|(_, node)| node).collect()
}

fn cables(cables: &[Cable]) -> Option<Node> {
    let line = |cable: &Cable| {
        let [one, other] = &cable.ends;
        let mut cells =
            vec![Cell::new(PLAIN, one.words()), Cell::new(FAINT, "──"), Cell::new(PLAIN, other.words())];
        cells.extend(cable.mtu.map(|mtu| Cell::new(FAINT, format!("MTU {mtu}"))));
        Node { cells, children: Vec::new() }
    };
    let children: Vec<Node> = cables.iter().map(line).collect();
    (!children.is_empty()).then(|| Node { cells: vec![Cell::new(GROUP, "cables")], children })
}

/// Writes a node and all below it. `indents` stand before its first line, and before all that follow.
fn write(node: &Node, widths: &[usize], indents: [&str; 2], out: &mut String) {
    let [first, rest] = indents;
    let below = if node.children.is_empty() { "   " } else { "│  " };
    line(&node.cells, widths, first, &format!("{rest}{below}"), out);
    let widths = columns(&node.children);
    for (place, child) in node.children.iter().enumerate() {
        let last = place + 1 == node.children.len();
        let (branch, trunk) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        write(child, &widths, [&format!("{rest}{branch}"), &format!("{rest}{trunk}")], out);
    }
}

/// How wide the columns of lines below each other are.
fn columns(nodes: &[Node]) -> Vec<usize> {
    let count = nodes.iter().map(|node| node.cells.len()).max().unwrap_or(0);
    let of = |column: usize| {
        // What stands last in its line needs no room after it.
        let cells = nodes.iter().filter(|node| node.cells.len() > column + 1).map(|node| &node.cells[column]);
        cells.map(Cell::width).filter(|width| *width <= ALIGNED).max().unwrap_or(0)
    };
    (0..count).map(of).collect()
}

/// Writes a line, and goes on in another where a cell does not fit.
fn line(cells: &[Cell], widths: &[usize], first: &str, rest: &str, out: &mut String) {
    let mut at = first.chars().count();
    out.push_str(first);
    let mut pad = 0;
    for (column, cell) in cells.iter().enumerate() {
        if column > 0 && at + pad + cell.width() > WIDTH {
            *out = format!("{}\n{rest}", out.trim_end());
            (at, pad) = (rest.chars().count(), 0);
        }
        let style = cell.style;
        out.push_str(&format!("{:pad$}{style}{}{style:#}", "", cell.text));
        at += pad + cell.width();
        pad = 2 + widths.get(column).map_or(0, |width| width.saturating_sub(cell.width()));
    }
    out.push('\n');
}
