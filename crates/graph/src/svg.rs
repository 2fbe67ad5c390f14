//! The graph as a picture, in lanes: the outside and the host on top, networks as horizontal lines (buses), containers as
//! boxes below them, cables as lines below the boxes. Where there are many containers, there are several bands of boxes,
//! each with the buses that its containers are on; what belongs together is joined in the gutter at the left.
//!
//! Lines cross, but a dot is where two of them meet. No line goes through a text.

mod board;
mod boxes;

use std::collections::{BTreeMap, BTreeSet};

use board::{Board, text_width};
use boxes::{Card, cards};

use crate::{Graph, Network};

/// Pixels around everything.
const MARGIN: i32 = 24;
/// Pixels from one line of text to the next.
const LINE: i32 = 16;
/// Pixels between a text and what is around it.
const PAD: i32 = 10;
/// Pixels between boxes.
const GAP: i32 = 24;
/// Pixels between lines that run side by side.
const LANE: i32 = 10;
/// Pixels above the first text line's middle.
const HALF: i32 = LINE / 2;
/// Columns of a label in the gutter, at the most.
const LABEL: usize = 34;

/// The graph as an SVG document, for light and dark backgrounds.
pub fn svg(graph: &Graph) -> String {
    let plan = Layout::new(graph);
    let mut board = Board::new(plan.width);
    plan.draw(&mut board);
    board.finish("Containers and networks")
}

/// One row of boxes, with the buses above and the cables below.
struct Band {
    /// The buses that run through it, by their networks' numbers, with their heights.
    buses: BTreeMap<usize, i32>,
    /// Its containers' numbers.
    members: Vec<usize>,
    /// Where the boxes begin.
    boxes: i32,
    /// Where the lanes for cables begin.
    lanes: i32,
    /// The cables that run through it, by their numbers.
    cables: Vec<usize>,
}

/// Where everything is.
struct Layout<'a> {
    graph: &'a Graph,
    cards: Vec<Card>,
    /// The width of all boxes.
    card_width: i32,
    /// The place of each container: its band, and the left side of its box.
    places: Vec<(usize, i32)>,
    bands: Vec<Band>,
    /// Where the gutter's vertical lines are, for each network.
    trunks: Vec<i32>,
    /// Where buses end at the right.
    right: i32,
    /// The vertical lines right of everything, for cables between bands and to the host.
    margins: BTreeMap<usize, i32>,
    host: HostBar,
    width: i32,
}

/// The bar that is the host.
struct HostBar {
    top: i32,
    bottom: i32,
    lines: Vec<String>,
}

impl<'a> Layout<'a> {
    fn new(graph: &'a Graph) -> Self {
        let cards = cards(graph);
        let card_width = cards.iter().map(Card::width).max().unwrap_or(0);
        let label = graph.networks.iter().flat_map(label).map(|line| text_width(&line)).max().unwrap_or(0);
        let gutter = MARGIN + label + GAP;
        let networks = graph.networks.len() as i32;
        // Further down is further left, so that a line to the host passes the ends of the buses above.
        let trunks = (0..networks).map(|number| gutter + (networks - 1 - number) * LANE).collect();
        let left = gutter + networks * LANE + GAP;
        let (places, members) = arrange(graph, left, card_width);
        let columns = members.first().map_or(0, |first| first.len() as i32);
        let host = HostBar::new(graph);
        let least = left + 4 * GAP;
        let right = (left + columns * (card_width + GAP)).max(least).max(MARGIN + host.width());
        let mut layout = Self {
            graph,
            cards,
            card_width,
            places,
            bands: Vec::new(),
            trunks,
            right,
            margins: BTreeMap::new(),
            host,
            width: 0,
        };
        layout.stack(members);
        let further = graph
            .cables
            .iter()
            .enumerate()
            .filter(|(_, cable)| layout.is_far(cable))
            .map(|(number, _)| number);
        layout.margins =
            further.zip(0..).map(|(number, lane)| (number, right + GAP / 2 + lane * LANE)).collect();
        layout.width = right + MARGIN + layout.margins.len() as i32 * LANE;
        layout
    }

    /// Puts the bands below each other.
    fn stack(&mut self, members: Vec<Vec<usize>>) {
        let mut top = self.host.bottom + GAP;
        for (number, members) in members.into_iter().enumerate() {
            let used: BTreeSet<usize> =
                members.iter().flat_map(|&member| self.cards[member].networks()).collect();
            let mut buses = BTreeMap::new();
            for (network, about) in self.graph.networks.iter().enumerate() {
                if number == 0 {
                    buses.insert(network, top + HALF);
                    top += label(about).count() as i32 * LINE + PAD;
                } else if used.contains(&network) {
                    buses.insert(network, top + HALF);
                    top += LINE + PAD / 2;
                }
            }
            let boxes = top + PAD;
            let lanes =
                boxes + members.iter().map(|&member| self.cards[member].height()).max().unwrap_or(0) + PAD;
            let cables = self.cables_of(number);
            top = lanes + cables.len() as i32 * LANE + GAP;
            self.bands.push(Band { buses, members, boxes, lanes, cables });
        }
    }

    fn cables_of(&self, band: usize) -> Vec<usize> {
        let here =
            |end: &crate::CableEnd| self.container(end).is_some_and(|number| self.places[number].0 == band);
        let cables = self.graph.cables.iter().enumerate();
        cables.filter(|(_, cable)| cable.ends.iter().any(here)).map(|(number, _)| number).collect()
    }

    fn container(&self, end: &crate::CableEnd) -> Option<usize> {
        end.container.as_ref().and_then(|name| self.graph.container_at(name))
    }

    /// Whether a cable leaves its band.
    fn is_far(&self, cable: &crate::Cable) -> bool {
        let [one, other] =
            cable.ends.each_ref().map(|end| self.container(end).map(|number| self.places[number].0));
        one != other
    }

    fn draw(&self, board: &mut Board) {
        self.draw_host(board);
        for (number, network) in self.graph.networks.iter().enumerate() {
            self.draw_network(board, number, network);
        }
        for (number, _) in self.graph.cables.iter().enumerate() {
            self.draw_cable(board, number);
        }
        for (number, card) in self.cards.iter().enumerate() {
            let (band, left) = self.places[number];
            card.draw(board, left, self.bands[band].boxes, self.card_width);
        }
        let bottom =
            self.bands.last().map_or(self.host.bottom, |band| band.lanes + band.cables.len() as i32 * LANE);
        board.end_at(bottom + MARGIN);
    }

    fn draw_host(&self, board: &mut Board) {
        let (left, HostBar { top, bottom, lines }) = (MARGIN, &self.host);
        board.outside(left, MARGIN, &self.graph.uplinks, *top);
        board.open("The host");
        board.rect("host", [left, *top, self.right - left, bottom - top]);
        for (number, line) in lines.iter().enumerate() {
            let class = if number == 0 { "t b" } else { "t" };
            board.text(class, left + PAD, top + PAD / 2 + number as i32 * LINE + HALF, line);
        }
        board.close();
    }

    fn draw_network(&self, board: &mut Board, number: usize, network: &Network) {
        board.open(&title(network));
        let trunk = self.trunks[number];
        let bands: Vec<&Band> = self.bands.iter().filter(|band| band.buses.contains_key(&number)).collect();
        let ys: Vec<i32> = bands.iter().map(|band| band.buses[&number]).collect();
        if let (Some(first), Some(last)) = (ys.first(), ys.last()) {
            if network.leaves() {
                board.wire(number, network.is_routed(), &[(trunk, self.host.bottom), (trunk, *first)]);
            }
            board.wire(number, false, &[(trunk, *first), (trunk, *last)]);
        }
        for (place, (band, y)) in bands.iter().zip(&ys).enumerate() {
            let drops = self.drops(band, number);
            let end = if place == 0 { self.right } else { drops.last().copied().unwrap_or(trunk) };
            board.bus(number, network.internal, [trunk, end], *y);
            board.dot(number, trunk, *y);
            for drop in drops {
                board.wire(number, false, &[(drop, *y), (drop, band.boxes)]);
                board.dot(number, drop, *y);
            }
            for (line, text) in label(network).enumerate().take(if place == 0 { usize::MAX } else { 1 }) {
                let class = if line == 0 { "t b" } else { "t f" };
                board.text(class, MARGIN, y + line as i32 * LINE, &text);
            }
        }
        board.close();
    }

    /// Where the interfaces on a network are, from the left, in a band.
    fn drops(&self, band: &Band, network: usize) -> Vec<i32> {
        let of = |&member: &usize| {
            let networks: Vec<usize> = self.cards[member].networks().collect();
            let (left, count) = (self.places[member].1, networks.len());
            let on = networks.into_iter().enumerate().filter(move |(_, on)| *on == network);
            on.map(move |(place, _)| self.spread(left, place, count)).collect::<Vec<_>>()
        };
        band.members.iter().flat_map(of).collect()
    }

    /// The `place`th of `count` points along a box.
    fn spread(&self, left: i32, place: usize, count: usize) -> i32 {
        left + self.card_width * (place as i32 + 1) / (count as i32 + 1)
    }

    fn draw_cable(&self, board: &mut Board, number: usize) {
        let cable = &self.graph.cables[number];
        let [one, other] = &cable.ends;
        let mtu = cable.mtu.map_or_else(String::new, |mtu| format!(", MTU {mtu}"));
        board.open(&format!("Cable: {} to {}{mtu}", one.words(), other.words()));
        let ends: Vec<[(i32, i32); 2]> =
            cable.ends.iter().filter_map(|end| self.cable_end(number, end)).collect();
        let mut path = Vec::new();
        match (ends.as_slice(), self.margins.get(&number)) {
            ([[from, lane], [lane_too, to]], None) => path.extend([*from, *lane, *to, *lane_too]),
            ([[from, lane], [to, lane_too]], Some(margin)) => {
                path.extend([*from, *lane, (*margin, lane.1), (*margin, lane_too.1), *lane_too, *to]);
            }
            ([[from, lane]], Some(margin)) => {
                let y = (self.host.top + self.host.bottom) / 2;
                path.extend([*from, *lane, (*margin, lane.1), (*margin, y), (self.right, y)]);
            }
            _ => {}
        }
        board.cable(&path);
        board.close();
    }

    /// Where an end of a cable leaves its box, and where it comes to its lane.
    fn cable_end(&self, number: usize, end: &crate::CableEnd) -> Option<[(i32, i32); 2]> {
        let container = self.container(end)?;
        let (band, left) = self.places[container];
        let band = &self.bands[band];
        let name = &self.graph.containers[container].name;
        let ends: Vec<&crate::CableEnd> = self.graph.cable_ends(name).map(|(end, _)| end).collect();
        let place = ends.iter().position(|one| std::ptr::eq(*one, end))?;
        let lane = band.cables.iter().position(|cable| *cable == number)? as i32;
        let (x, y) = (self.spread(left, place, ends.len()), band.lanes + lane * LANE);
        Some([(x, band.boxes + self.cards[container].height()), (x, y)])
    }
}

impl HostBar {
    fn new(graph: &Graph) -> Self {
        let ends = graph.cables.iter().flat_map(|cable| {
            let [one, other] = &cable.ends;
            [(one, other), (other, one)]
        });
        let on_host = ends.filter(|(end, _)| end.container.is_none());
        let lines: Vec<String> = std::iter::once("host".to_owned())
            .chain(on_host.map(|(end, other)| format!("{} ═ {}", end.inside(), other.place())))
            .collect();
        let top = MARGIN + LINE + PAD + GAP;
        Self { top, bottom: top + lines.len() as i32 * LINE + PAD, lines }
    }

    fn width(&self) -> i32 {
        self.lines.iter().map(|line| text_width(line)).max().unwrap_or(0) + 2 * PAD
    }
}

impl Network {
    /// Whether packets leave it with their own addresses, of any family.
    fn is_routed(&self) -> bool {
        self.subnets.iter().any(|subnet| subnet.way_out == crate::WayOut::Routed)
    }
}

/// Containers that are on the same networks next to each other, in rows: where each of them is, and who is in each row.
fn arrange(graph: &Graph, left: i32, width: i32) -> (Vec<(usize, i32)>, Vec<Vec<usize>>) {
    let mut order: Vec<usize> = (0..graph.containers.len()).collect();
    let home = |&number: &usize| {
        let interfaces = &graph.containers[number].interfaces;
        let way_out = interfaces.iter().find(|interface| !interface.way_out.is_empty());
        let first = way_out.or(interfaces.first());
        first.and_then(|interface| graph.network_at(&interface.network)).unwrap_or(usize::MAX)
    };
    order.sort_by_key(home);
    // About as wide as it is high, and then some: boxes are wider than high.
    let columns = ((graph.containers.len() as f64 * 1.2).sqrt().ceil() as usize).clamp(4, 10);
    let rows: Vec<Vec<usize>> = order.chunks(columns).map(<[usize]>::to_vec).collect();
    let mut places = vec![(0, 0); graph.containers.len()];
    for (band, row) in rows.iter().enumerate() {
        for (column, &number) in row.iter().enumerate() {
            places[number] = (band, left + column as i32 * (width + GAP));
        }
    }
    // Networks are drawn also where there is nobody.
    (places, if rows.is_empty() { vec![Vec::new()] } else { rows })
}

/// What stands at the beginning of a network's bus.
fn label(network: &Network) -> impl Iterator<Item = String> {
    let name = match network.internal {
        true => format!("{} · internal", network.name),
        false => network.name.clone(),
    };
    let subnets = network.subnets.iter().flat_map(crate::Subnet::words);
    std::iter::once(name)
        .chain(subnets)
        .chain([network.bridge.clone()])
        .map(|line| board::short(&line, LABEL))
}

/// What is shown when somebody points at a network.
fn title(network: &Network) -> String {
    let mut lines = vec![format!("Network {}, bridge {}", network.name, network.bridge)];
    if network.internal {
        lines.push("internal".to_owned());
    }
    lines.extend(network.subnets.iter().map(|subnet| subnet.words().join(" ")));
    lines.join("\n")
}
