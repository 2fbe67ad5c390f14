//! The boxes that are containers.

use super::board::{Board, short, text_width};
use super::{HALF, LINE, PAD};
use crate::{Container, Graph};

/// Columns of text in a box, at the most; the whole text is in its title.
const COLUMNS: usize = 40;
/// Pixels for the square before an interface.
const SWATCH: i32 = 14;

/// A line in a box.
struct Row {
    class: &'static str,
    /// The network whose colour is shown before it.
    network: Option<usize>,
    /// Whether it stands under a line with a colour.
    indented: bool,
    text: String,
}

/// A container's box.
pub(super) struct Card {
    title: String,
    rows: Vec<Row>,
}

/// The boxes of all containers.
pub(super) fn cards(graph: &Graph) -> Vec<Card> {
    graph.containers.iter().map(|container| card(graph, container)).collect()
}

fn card(graph: &Graph, container: &Container) -> Card {
    let row = |class, text| Row { class, network: None, indented: false, text };
    let mut heading = container.heading().into_iter();
    let mut rows: Vec<Row> = heading.next().map(|name| row("t b", name)).into_iter().collect();
    rows.extend(heading.map(|text| row("t f", text)));
    for interface in &container.interfaces {
        let mut texts: Vec<String> = interface.addresses.iter().map(|net| net.addr().to_string()).collect();
        if let Some(first) = texts.first_mut() {
            *first = format!("{} {first}", interface.name);
        } else {
            texts.push(interface.name.clone());
        }
        texts.extend(interface.way_out_words());
        for (number, text) in texts.into_iter().enumerate() {
            let network = graph.network_at(&interface.network).filter(|_| number == 0);
            rows.push(Row { class: if number == 0 { "t" } else { "t f" }, network, indented: true, text });
        }
    }
    for (end, other) in graph.cable_ends(&container.name) {
        let first = format!("{} ═ {}", end.interface, other.place());
        rows.push(row("t", first));
        rows.extend(end.addresses.iter().map(|net| Row { indented: true, ..row("t f", net.to_string()) }));
    }
    rows.extend(container.ports.iter().map(|port| row("p", port.to_string())));
    Card { title: title(graph, container), rows }
}

/// Everything that is known of a container, with what its box has no room for.
fn title(graph: &Graph, container: &Container) -> String {
    let mut lines = vec![container.heading().join(", ")];
    lines.extend(container.interfaces.iter().map(|interface| {
        let addresses: Vec<String> = interface.addresses.iter().map(ToString::to_string).collect();
        let words = interface.way_out_words().map_or_else(String::new, |words| format!(", {words}"));
        let (addresses, mac) = (addresses.join(" "), &interface.mac);
        format!(
            "{} on {}: {addresses} ({mac}, {}){words}",
            interface.name, interface.network, interface.host_end
        )
    }));
    lines.extend(graph.cable_ends(&container.name).map(|(end, other)| {
        let addresses: Vec<String> = end.addresses.iter().map(ToString::to_string).collect();
        format!("{} to {}: {} ({})", end.interface, other.place(), addresses.join(" "), end.mac)
    }));
    lines.extend(container.ports.iter().map(ToString::to_string));
    lines.join("\n")
}

impl Card {
    /// The networks of its interfaces, in their order.
    pub(super) fn networks(&self) -> impl Iterator<Item = usize> {
        self.rows.iter().filter_map(|row| row.network)
    }

    pub(super) fn width(&self) -> i32 {
        self.rows.iter().map(|row| text_width(&short(&row.text, COLUMNS)) + row.indent()).max().unwrap_or(0)
            + 2 * PAD
    }

    pub(super) fn height(&self) -> i32 {
        self.rows.len() as i32 * LINE + PAD
    }

    pub(super) fn draw(&self, board: &mut Board, left: i32, top: i32, width: i32) {
        board.open(&self.title);
        board.rect("card", [left, top, width, self.height()]);
        for (number, row) in self.rows.iter().enumerate() {
            let y = top + PAD / 2 + number as i32 * LINE + HALF;
            if let Some(network) = row.network {
                board.swatch(network, left + PAD, y);
            }
            board.text(row.class, left + PAD + row.indent(), y, &short(&row.text, COLUMNS));
        }
        board.close();
    }
}

impl Row {
    fn indent(&self) -> i32 {
        if self.indented { SWATCH } else { 0 }
    }
}
