//! What is drawn with: shapes and texts as SVG elements, in a few classes of colours.
//!
//! Source: SVG 1.1, <https://www.w3.org/TR/SVG11/>.

use std::fmt::Write as _;

use crate::escape::{plain, xml};

use super::{GAP, LINE, MARGIN, PAD};

/// Columns of text: monospaced fonts are 0.6 to 0.61 em wide.
const COLUMN: f64 = 7.35;

/// Colours of networks, which can be told from white and from black (3:1 at the least).
const COLOURS: [&str; 10] = [
    "#2f7ed8", "#cf5c1e", "#2b8f55", "#ad4bc2", "#a87a00", "#d6457a", "#12889a", "#8b6f47", "#6470d8",
    "#71802a",
];

/// Colours: for light backgrounds, and for dark ones where somebody prefers them.
const STYLE: &str = "\
text{font:12px 'DejaVu Sans Mono',Menlo,Consolas,monospace;white-space:pre}
.b{font-weight:bold}.bg{fill:#fff}.t{fill:#1b1f24}.f{fill:#59636e}.p{fill:#8a5a00}
.card{fill:#f6f8fa;stroke:#8c959f}.host{fill:#eaeef2;stroke:#59636e;stroke-width:1.5}
.out{fill:none;stroke:#8c959f;stroke-dasharray:4 3}.way,.cable{fill:none;stroke:#59636e;stroke-width:1.5}
.cable{stroke-width:2}.wire{fill:none;stroke-width:1.5}.bus{fill:none;stroke-width:4;stroke-linecap:round}
@media (prefers-color-scheme:dark){.bg{fill:#14171c}.t{fill:#e6edf3}.f{fill:#9198a1}.p{fill:#e0b040}
.card{fill:#1f242b;stroke:#6e7681}.host{fill:#272d36;stroke:#9198a1}.out{stroke:#6e7681}.way,.cable{stroke:#9198a1}}
";

/// A picture that is being drawn.
pub(super) struct Board {
    body: String,
    width: i32,
    height: i32,
}

/// How wide a text is, in pixels.
pub(super) fn text_width(text: &str) -> i32 {
    // Ideographs and the like are twice as wide.
    let columns: u32 = plain(text)
        .chars()
        .map(|c| if c < '\u{1100}' || matches!(c, '\u{2000}'..='\u{2bff}') { 1 } else { 2 })
        .sum();
    (f64::from(columns) * COLUMN).ceil() as i32
}

/// A text of so many characters at the most.
pub(super) fn short(text: &str, most: usize) -> String {
    let text = plain(text);
    match text.char_indices().nth(most) {
        None => text,
        Some(_) => text.chars().take(most - 1).chain(['…']).collect(),
    }
}

fn colour(network: usize) -> &'static str {
    COLOURS[network % COLOURS.len()]
}

impl Board {
    pub(super) fn new(width: i32) -> Self {
        Self { body: String::new(), width, height: 0 }
    }

    /// Says how high the picture is.
    pub(super) fn end_at(&mut self, height: i32) {
        self.height = height;
    }

    /// The document.
    pub(super) fn finish(self, title: &str) -> String {
        let Self { body, width, height } = self;
        let title = xml(title);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" role=\"img\">\n<title>{title}</title>\n<style>{STYLE}</style>\n\
             <rect class=\"bg\" width=\"{width}\" height=\"{height}\"/>\n{body}</svg>\n"
        )
    }

    fn add(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing to a text does not fail.
        let _ = self.body.write_fmt(element);
        self.body.push('\n');
    }

    /// Begins a group that says `title` when somebody points at it.
    pub(super) fn open(&mut self, title: &str) {
        let lines: Vec<String> = title.lines().map(xml).collect();
        self.add(format_args!("<g><title>{}</title>", lines.join("&#10;")));
    }

    pub(super) fn close(&mut self) {
        self.add(format_args!("</g>"));
    }

    /// A rectangle: left, top, width, height.
    pub(super) fn rect(&mut self, class: &str, [x, y, width, height]: [i32; 4]) {
        self.add(format_args!(
            "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"4\"/>"
        ));
    }

    /// A line of text from `x` on, its middle at `y`.
    pub(super) fn text(&mut self, class: &str, x: i32, y: i32, text: &str) {
        // `dominant-baseline`, which would do it, is not understood by all that draw.
        let baseline = y + 4;
        self.add(format_args!("<text class=\"{class}\" x=\"{x}\" y=\"{baseline}\">{}</text>", xml(text)));
    }

    /// A small square in a network's colour, its middle at `y`.
    pub(super) fn swatch(&mut self, network: usize, x: i32, y: i32) {
        self.add(format_args!(
            "<rect x=\"{x}\" y=\"{}\" width=\"8\" height=\"8\" rx=\"2\" fill=\"{}\"/>",
            y - 4,
            colour(network)
        ));
    }

    /// A line that belongs to a network.
    pub(super) fn wire(&mut self, network: usize, dashed: bool, points: &[(i32, i32)]) {
        let dash = if dashed { " stroke-dasharray=\"6 4\"" } else { "" };
        let points = join(points);
        self.add(format_args!(
            "<polyline class=\"wire\" stroke=\"{}\"{dash} points=\"{points}\"/>",
            colour(network)
        ));
    }

    /// A network's bus.
    pub(super) fn bus(&mut self, network: usize, internal: bool, [from, to]: [i32; 2], y: i32) {
        let dash = if internal { " stroke-dasharray=\"10 8\"" } else { "" };
        let points = join(&[(from, y), (to, y)]);
        self.add(format_args!(
            "<polyline class=\"bus\" stroke=\"{}\"{dash} points=\"{points}\"/>",
            colour(network)
        ));
    }

    /// Where lines of a network meet.
    pub(super) fn dot(&mut self, network: usize, x: i32, y: i32) {
        self.add(format_args!("<circle cx=\"{x}\" cy=\"{y}\" r=\"4\" fill=\"{}\"/>", colour(network)));
    }

    /// A cable between containers.
    pub(super) fn cable(&mut self, points: &[(i32, i32)]) {
        self.add(format_args!("<polyline class=\"cable\" points=\"{}\"/>", join(points)));
    }

    /// The outside, with the way there from the host's top.
    pub(super) fn outside(&mut self, x: i32, y: i32, uplinks: &[String], host: i32) {
        let (width, height) = (text_width("outside") + 2 * PAD, LINE + PAD);
        let words = match uplinks {
            [] => "the host has no default route".to_owned(),
            uplinks => format!("by {}", uplinks.join(", ")),
        };
        self.open(&format!("The outside: {words}"));
        self.rect("out", [x, y, width, height]);
        self.text("t", x + PAD, y + height / 2, "outside");
        if !uplinks.is_empty() {
            let middle = x + width / 2;
            self.add(format_args!(
                "<polyline class=\"way\" points=\"{}\"/>",
                join(&[(middle, y + height), (middle, host)])
            ));
        }
        let room = usize::try_from((self.width - MARGIN - x - width - GAP) * 100 / (COLUMN * 100.0) as i32)
            .unwrap_or(0);
        self.text("t f", x + width + PAD, y + height / 2, &short(&words, room.max(2)));
        self.close();
    }
}

fn join(points: &[(i32, i32)]) -> String {
    points.iter().map(|(x, y)| format!("{x},{y}")).collect::<Vec<_>>().join(" ")
}
