//! Docker's `--format` and `--filter`, for `network ls`, `network inspect`, `ps` and `inspect`.
//!
//! * [`Template`]: Go's `text/template`, as far as people use it with Docker, over a [`serde_json::Value`].
//! * [`ListFormat`]: what the listing verbs take: `table`, `table TEMPLATE`, `json` or a template for each row.
//! * [`InspectFormat`]: what the inspecting verbs take: nothing, `json` or a template for each object.
//! * [`Filters`]: repeated `--filter key=value`.
//!
//! ```
//! use pontoon_format::Template;
//! let network = serde_json::json!({"Name": "blue", "IPAM": {"Config": [{"Subnet": "10.0.0.0/24"}]}});
//! let template = Template::parse("{{.Name}}: {{range .IPAM.Config}}{{.Subnet}}{{end}}")?;
//! assert_eq!(template.render(&network)?, "blue: 10.0.0.0/24");
//! # Ok::<(), pontoon_format::TemplateError>(())
//! ```
//!
//! # Why an interpreter of our own
//!
//! The crate `gtmpl` 0.7.1 was weighed first, on the templates that this crate's tests hold. It is "passively
//! maintained", panics on `{{printf "%*d" 99999999999 1}}`, overflows the stack on twenty thousand `(`, iterates
//! maps in random order, runs the `{{else}}` of a `{{range}}` that had elements, prints maps as Rust debug text,
//! has no `slice`, `break` or assignment, takes only one candidate in `eq`, and reports no column. Each is something
//! that a user of a container tool meets. The subset needed here is small, so it is written out, with positions in
//! its errors and bounds on depth, steps and output.
//!
//! # Where it leaves Docker's path, on purpose
//!
//! Docker renders Go structs; this crate renders JSON. What a struct knows about its fields is told by a [`Shape`].
//!
//! * Errors give line and column, both from 1, and near names; Go gives a line, or a line and a byte offset.
//! * `\t` and `\n` outside of actions are a tab and a line break in every template, not only in those of listings.
//! * Whole numbers and fractions compare with each other, where Go refuses `eq 1 1.0`.
//! * `truncate` counts characters, where Docker cuts bytes and can leave half of one.
//! * `join` takes any list of plain values.
//! * `{{define}}`, `{{template}}` and `{{block}}` are refused.
//!
//! Sources: the documentation of Go's `text/template`, `fmt` and `text/tabwriter`; Docker's page "Format command and
//! log output"; `templates/templates.go` and `cli/command/formatter` in docker/cli. The expected texts in the tests were
//! printed by Docker 28.2.2.

mod escape;
pub mod filter;
mod heading;
mod inspect;
mod list;
mod tabwriter;
pub mod template;

pub use filter::{FilterError, Filters, Key, Kind, Subject, parse_time};
pub use inspect::InspectFormat;
pub use list::{ListFormat, Row};
pub use template::{Fault, Position, Shape, Template, TemplateError};
