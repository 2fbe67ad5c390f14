//! `pontoon system df`

use std::process::ExitCode;

use clap::Args;
use pontoon_engine::report::Reader;
use pontoon_engine::report::container::Life;
use pontoon_format::{ListFormat, Row};
use pontoon_model::network::Driver;
use pontoon_model::{Network, Sandbox};
use serde_json::json;

use crate::failure::Failure;
use crate::global::Global;
use crate::output;

/// Show how much there is of everything, and what `system prune` would take away
///
/// With -v, everything that it would take away is named. Fields of templates: .Type .Total .Active .Reclaimable.
#[derive(Debug, Args)]
pub(crate) struct Df {
    /// `table`, `table TEMPLATE`, `json`, or a Go template for each row
    #[arg(long, value_name = "FORMAT", default_value = "table", hide_default_value = true)]
    format: String,
}

const TABLE: &str = "{{.Type}}\t{{.Total}}\t{{.Active}}\t{{.Reclaimable}}";
const HEADINGS: [(&str, &str); 4] =
    [("Type", "TYPE"), ("Total", "TOTAL"), ("Active", "IN USE"), ("Reclaimable", "UNUSED")];

/// A kind of thing, and how much there is of it.
struct Count {
    kind: &'static str,
    total: usize,
    active: usize,
    unused: Vec<String>,
}

impl Df {
    pub(crate) fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        let format = ListFormat::parse(&self.format, TABLE)?;
        let counts = counts(&global.reader()?)?;
        let rows: Vec<Row> = counts.iter().map(row).collect();
        output::print(&format.render(&HEADINGS, &rows)?)?;
        if global.verbose {
            let unused = counts.iter().flat_map(|count| count.unused.iter().map(|what| format!("{what}\n")));
            output::print(&format!(
                "\n`pontoon system prune` would take away:\n{}",
                unused.collect::<String>()
            ))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn row(count: &Count) -> Row {
    Row::new(json!({
        "Type": count.kind,
        "Total": count.total.to_string(),
        "Active": count.active.to_string(),
        "Reclaimable": count.unused.len().to_string(),
    }))
}

fn counts(reader: &Reader) -> Result<Vec<Count>, Failure> {
    let networks: Vec<Network> =
        reader.networks()?.into_iter().filter(|network| network.driver == Driver::Bridge).collect();
    let containers: Vec<Sandbox> = reader.containers()?.into_iter().filter(Sandbox::is_ours).collect();
    let (mut endpoints, mut addresses, mut unused) = (0, 0, Vec::new());
    for network in &networks {
        let places = reader.on_network(network)?;
        endpoints += places.len();
        addresses += places.iter().map(|place| place.endpoint.addresses().count()).sum::<usize>();
        if places.is_empty() {
            unused.push(format!("network {}", network.name));
        }
    }
    let mut running = 0;
    for container in &containers {
        running += usize::from(Life::of(container)? == Life::Running);
    }
    let cables = reader.cables()?.len();
    let settings = reader.settings()?;
    let left = networks.len() - unused.len();
    // They go back to what they were with the last network.
    let idle = settings
        .iter()
        .filter(|_| left == 0)
        .map(|(key, was)| format!("setting {} (back to {was})", key.replace('/', ".")));
    let idle: Vec<String> = idle.collect();
    let count = |kind, total, active, unused| Count { kind, total, active, unused };
    Ok(vec![
        count("Networks", networks.len(), left, unused),
        count("Containers", containers.len(), running, Vec::new()),
        count("Endpoints", endpoints, endpoints, Vec::new()),
        count("Addresses", addresses, addresses, Vec::new()),
        count("Cables", cables, cables, Vec::new()),
        count("Host settings", settings.len(), settings.len() - idle.len(), idle),
    ])
}
