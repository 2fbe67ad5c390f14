//! Listings: the flags that all of them have, and how ids and labels are shown.

use std::collections::BTreeMap;
use std::time::SystemTime;

use clap::Args;
use pontoon_format::{Filters, Key, ListFormat, Row};

use crate::failure::Failure;
use crate::output;

/// The flags of listings.
#[derive(Debug, Args)]
pub(crate) struct ListFlags {
    /// Show ids only
    #[arg(long, short)]
    pub(crate) quiet: bool,
    /// Show whole ids and commands
    #[arg(long)]
    pub(crate) no_trunc: bool,
    /// Show only what matches, such as `name=web`; may be repeated
    #[arg(long, short, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// `table`, `table TEMPLATE`, `json`, or a Go template for each row
    #[arg(long, value_name = "FORMAT", default_value = "table", hide_default_value = true)]
    format: String,
}

/// Columns and headings of one listing.
pub(crate) struct Columns {
    pub(crate) table: &'static str,
    pub(crate) headings: &'static [(&'static str, &'static str)],
}

impl ListFlags {
    /// The filters, for a verb that knows `keys`.
    pub(crate) fn filters(&self, keys: &[Key]) -> Result<Filters, Failure> {
        Ok(Filters::parse(keys, &self.filter, SystemTime::now())?)
    }

    /// Prints the rows.
    pub(crate) fn print(&self, columns: &Columns, rows: &[Row]) -> Result<(), Failure> {
        let table = matches!(self.format.trim(), "" | "table");
        let text = if self.quiet && table { "{{.ID}}" } else { &self.format };
        let format = ListFormat::parse(text, columns.table)?;
        output::print(&format.render(columns.headings, rows)?)
    }

    /// An id, short unless whole ones are wanted.
    pub(crate) fn id(&self, id: &str) -> String {
        if self.no_trunc { id.to_owned() } else { id.chars().take(12).collect() }
    }
}

/// Labels in one cell.
pub(crate) fn labels(labels: &BTreeMap<String, String>) -> String {
    labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}
