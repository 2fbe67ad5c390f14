//! `pontoon stats`

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use pontoon_engine::report::Reader;
use pontoon_engine::report::container::Life;
use pontoon_engine::report::stats::{ContainerStats, InterfaceStats, Meter, PortStats};
use pontoon_format::{ListFormat, Row};
use pontoon_model::Sandbox;
use pontoon_model::sandbox::NetworkMode;
use serde_json::json;

use crate::failure::{self, Failure};
use crate::global::Global;
use crate::output;
use crate::show::size::human;

/// Show what went through the interfaces and published ports of containers
///
/// On a terminal it is shown anew every second. For interfaces, frames are counted as the container sees them, since it
/// was connected; for published ports, IP packets since they lead to the container's present address, to the container
/// (in) and from it (out). Packets that were joined on their way count as one. Fields of templates: .Container .ID .Name
/// .NetIO, and .Networks and .Ports to range over, as --format json has them, with exact numbers.
#[derive(Debug, Args)]
pub(crate) struct Stats {
    /// Show it once
    #[arg(long)]
    no_stream: bool,
    /// Show whole ids
    #[arg(long)]
    no_trunc: bool,
    /// `table`, `table TEMPLATE`, `json`, or a Go template for each container
    #[arg(long, value_name = "FORMAT", default_value = "table", hide_default_value = true)]
    format: String,
    /// Containers by name, id, or the beginning of an id; all that run if none is given
    #[arg(value_name = "CONTAINER")]
    containers: Vec<String>,
}

const INTERFACES: &str = "{{.Container}}\t{{.Network}}\t{{.Interface}}\t{{.Rx}}\t{{.RxPackets}}\t{{.Tx}}\t{{.TxPackets}}\t{{.Dropped}}";
const INTERFACE_HEADINGS: [(&str, &str); 8] = [
    ("Container", "CONTAINER"),
    ("Network", "NETWORK"),
    ("Interface", "INTERFACE"),
    ("Rx", "RX"),
    ("RxPackets", "RX PACKETS"),
    ("Tx", "TX"),
    ("TxPackets", "TX PACKETS"),
    ("Dropped", "DROPPED"),
];

const PORTS: &str = "{{.Container}}\t{{.Published}}\t{{.In}}\t{{.InPackets}}\t{{.Out}}\t{{.OutPackets}}";
const PORT_HEADINGS: [(&str, &str); 6] = [
    ("Container", "CONTAINER"),
    ("Published", "PUBLISHED PORT"),
    ("In", "IN"),
    ("InPackets", "IN PACKETS"),
    ("Out", "OUT"),
    ("OutPackets", "OUT PACKETS"),
];

const CONTAINERS: &str = "{{.ID}}\t{{.Name}}\t{{.NetIO}}";
const CONTAINER_HEADINGS: [(&str, &str); 4] =
    [("Container", "CONTAINER"), ("ID", "CONTAINER ID"), ("Name", "NAME"), ("NetIO", "NET I/O")];

const PERIOD: Duration = Duration::from_secs(1);
const CLEAR: &str = "\x1b[2J";
const HOME: &str = "\x1b[H";
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";

/// A container that was asked about, and what the kernel says.
struct Shown {
    sandbox: Sandbox,
    stats: ContainerStats,
}

impl Stats {
    pub(crate) fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        // A malformed template is refused before anything is shown.
        ListFormat::parse(&self.format, CONTAINERS)?;
        let reader = global.reader()?;
        let mut meter = Meter::open(&global.instance()?)?;
        let first = self.look(&reader, &mut meter);
        if let Some(denied) = meter.denied() {
            output::warning(&format!("published ports are left out: {denied}"));
        }
        if self.no_stream || !std::io::stdout().is_terminal() {
            let (shown, failed) = first;
            output::print(&self.render(&shown)?)?;
            return failed.map(|()| ExitCode::SUCCESS);
        }
        let (mut shown, mut failed) = first;
        output::print(CLEAR)?;
        loop {
            failed?;
            let text = self.render(&shown)?.replace('\n', &format!("{CLEAR_LINE}\n"));
            output::print(&format!("{HOME}{text}{CLEAR_BELOW}"))?;
            std::thread::sleep(PERIOD);
            (shown, failed) = self.look(&reader, &mut meter);
        }
    }

    /// What there is to show, and what could not be told of.
    fn look(&self, reader: &Reader, meter: &mut Meter) -> (Vec<Shown>, Result<(), Failure>) {
        let mut shown = Vec::new();
        let done = if self.containers.is_empty() {
            all(reader, meter, &mut shown)
        } else {
            failure::each(&self.containers, |name| {
                let sandbox = reader.container(name)?;
                let stats = meter.read(reader, &sandbox)?;
                shown.push(Shown { sandbox, stats });
                Ok(())
            })
        };
        (shown, done)
    }

    fn render(&self, shown: &[Shown]) -> Result<String, Failure> {
        if !matches!(self.format.trim(), "" | "table") {
            let format = ListFormat::parse(&self.format, CONTAINERS)?;
            let rows: Vec<Row> = shown.iter().map(|one| self.container(&one.stats)).collect();
            return Ok(format.render(&CONTAINER_HEADINGS, &rows)?);
        }
        let rows: Vec<Row> = shown.iter().flat_map(interfaces).collect();
        let mut text = ListFormat::parse("table", INTERFACES)?.render(&INTERFACE_HEADINGS, &rows)?;
        let rows: Vec<Row> = shown.iter().flat_map(ports).collect();
        if !rows.is_empty() {
            text.push('\n');
            text += &ListFormat::parse("table", PORTS)?.render(&PORT_HEADINGS, &rows)?;
        }
        Ok(text)
    }

    fn container(&self, stats: &ContainerStats) -> Row {
        let id = if self.no_trunc { &stats.id } else { &stats.id[..12] };
        let sum = |of: fn(&InterfaceStats) -> u64| human(stats.networks.iter().map(of).sum());
        Row::new(json!({
            "Container": stats.name,
            "ID": id,
            "Name": stats.name,
            "NetIO": format!("{} / {}", sum(|one| one.rx_bytes), sum(|one| one.tx_bytes)),
            "Networks": stats.networks,
            "Ports": stats.ports,
        }))
    }
}

/// All that run. One that ends meanwhile is not there any more.
fn all(reader: &Reader, meter: &mut Meter, shown: &mut Vec<Shown>) -> Result<(), Failure> {
    for sandbox in reader.containers()? {
        if Life::of(&sandbox)? != Life::Running {
            continue;
        }
        match meter.read(reader, &sandbox) {
            Ok(stats) => shown.push(Shown { sandbox, stats }),
            Err(_) if Life::of(&sandbox)? != Life::Running => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn interfaces(shown: &Shown) -> Vec<Row> {
    let name = &shown.stats.name;
    if shown.stats.networks.is_empty() {
        let network = match &shown.sandbox.mode {
            NetworkMode::Host => "host".to_owned(),
            NetworkMode::Container(other) => format!("container:{}", other.short()),
            NetworkMode::None | NetworkMode::Networks => "none".to_owned(),
        };
        let none = "--";
        return vec![Row::new(json!({
            "Container": name, "Network": network, "Interface": none, "Rx": none, "RxPackets": none, "Tx": none,
            "TxPackets": none, "Dropped": none,
        }))];
    }
    let row = |one: &InterfaceStats| {
        Row::new(json!({
            "Container": name,
            "Network": one.network,
            "Interface": one.interface,
            "Rx": human(one.rx_bytes),
            "RxPackets": one.rx_packets.to_string(),
            "Tx": human(one.tx_bytes),
            "TxPackets": one.tx_packets.to_string(),
            "Dropped": (one.rx_dropped + one.tx_dropped).to_string(),
        }))
    };
    shown.stats.networks.iter().map(row).collect()
}

fn ports(shown: &Shown) -> Vec<Row> {
    let row = |one: &PortStats| {
        Row::new(json!({
            "Container": shown.stats.name,
            "Published": one.to_string(),
            "In": human(one.in_bytes),
            "InPackets": one.in_packets.to_string(),
            "Out": human(one.out_bytes),
            "OutPackets": one.out_packets.to_string(),
        }))
    };
    shown.stats.ports.iter().flatten().map(row).collect()
}
