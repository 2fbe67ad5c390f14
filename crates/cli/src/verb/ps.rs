//! `pontoon ps`

use std::process::ExitCode;
use std::time::SystemTime;

use clap::Args;
use pontoon_compose::converge::label;
use pontoon_engine::report::container::Life;
use pontoon_engine::report::port;
use pontoon_engine::report::{Place, Reader};
use pontoon_format::{Key, Kind, Row, Subject};
use pontoon_model::Sandbox;
use pontoon_model::sandbox::NetworkMode;
use pontoon_model::supervision::Health;
use serde_json::json;

use crate::failure::Failure;
use crate::global::Global;
use crate::show::list::{Columns, ListFlags, labels};
use crate::show::moment;

/// Show containers
///
/// Those of other engines that are connected are among them: docker:NAME, podman:NAME, oci:ID.
///
/// Filters: name=REGEX, id=START, label=KEY[=VALUE], network=NAME, exited=CODE, status=created, running, exited or
/// dead. Fields of templates: .ID .Names .Command .CreatedAt .RunningFor .Status .State .Ports .Networks .Labels, and
/// .Label "KEY".
#[derive(Debug, Args)]
pub(crate) struct Ps {
    /// Show those that have ended too
    #[arg(long, short)]
    all: bool,
    #[command(flatten)]
    list: ListFlags,
}

const KEYS: [Key; 6] = [
    Key::new("exited", Kind::Exact, ""),
    Key::new("id", Kind::Prefix, ""),
    Key::new("label", Kind::Label, ""),
    Key::new("name", Kind::Name, ""),
    Key::new("network", Kind::Exact, ""),
    Key::new("status", Kind::OneOf(&["created", "running", "exited", "dead"]), ""),
];

const COLUMNS: Columns = Columns {
    table: "{{.ID}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Networks}}\t{{.Names}}",
    headings: &[
        ("ID", "CONTAINER ID"),
        ("Command", "COMMAND"),
        ("RunningFor", "CREATED"),
        ("CreatedAt", "CREATED AT"),
        ("Status", "STATUS"),
        ("State", "STATE"),
        ("Ports", "PORTS"),
        ("Networks", "NETWORKS"),
        ("Names", "NAMES"),
        ("Labels", "LABELS"),
    ],
};

/// How much of a command is shown.
const COMMAND: usize = 20;

/// A container with all that a row shows of it.
struct Shown {
    sandbox: Sandbox,
    life: Life,
    places: Vec<Place>,
}

impl Ps {
    pub(crate) fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        let rows = rows(&global.reader()?, &self.list, self.all, |_| true)?;
        self.list.print(&COLUMNS, &rows)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The containers that are wanted and match the filters, with all that a column may show.
pub(crate) fn rows(
    reader: &Reader,
    list: &ListFlags,
    all: bool,
    wanted: impl Fn(&Sandbox) -> bool,
) -> Result<Vec<Row>, Failure> {
    let filters = list.filters(&KEYS)?;
    let is_container = |one: &Sandbox| one.is_ours() || one.elsewhere().is_some();
    let ended_too = all || filters.has("status") || filters.has("exited");
    let mut rows = Vec::new();
    for sandbox in reader.containers()?.into_iter().filter(|one| is_container(one) && wanted(one)) {
        let (life, places) = (Life::of(&sandbox)?, reader.of_container(&sandbox)?);
        let shown = Shown { sandbox, life, places };
        let lives = matches!(life, Life::Running | Life::Restarting);
        if (ended_too || lives) && filters.matches(|key| subject(key.name, &shown)) {
            rows.push(row(list, &shown, SystemTime::now()));
        }
    }
    Ok(rows)
}

fn row(list: &ListFlags, shown: &Shown, now: SystemTime) -> Row {
    let sandbox = &shown.sandbox;
    let fields = json!({
        "ID": list.id(sandbox.id.as_str()),
        "Names": sandbox.shown_as(),
        "Service": sandbox.labels.get(label::SERVICE),
        "Command": command(list, &sandbox.process.argv),
        "CreatedAt": moment::go(&sandbox.created),
        "RunningFor": moment::ago(&sandbox.created, now),
        "Status": status(shown, now),
        "State": shown.life.word(),
        "Ports": port::summary(sandbox, &shown.places),
        "Networks": networks(shown),
        "Labels": labels(&sandbox.labels),
    });
    Row::new(fields).with_labels(sandbox.labels.clone())
}

fn command(list: &ListFlags, argv: &[String]) -> String {
    let whole = argv.join(" ");
    let shown: String = match list.no_trunc || whole.chars().count() <= COMMAND {
        true => whole,
        false => whole.chars().take(COMMAND - 1).chain(['…']).collect(),
    };
    // As Go's %q shows what would break the line.
    format!("\"{}\"", shown.escape_debug())
}

fn status(shown: &Shown, now: SystemTime) -> String {
    let sandbox = &shown.sandbox;
    match shown.life {
        Life::Created => "Created".to_owned(),
        Life::Running => {
            let up = moment::rough(moment::since(&sandbox.started, now).unwrap_or_default());
            match sandbox.health {
                None => format!("Up {up}"),
                Some(Health::Starting) => format!("Up {up} (health: starting)"),
                Some(health) => format!("Up {up} ({})", health.word()),
            }
        }
        Life::Restarting => format!("Restarting {}", moment::ago(&sandbox.finished, now)),
        Life::Exited(code) => format!("Exited ({code}) {}", moment::ago(&sandbox.finished, now)),
        Life::Dead => "Dead".to_owned(),
    }
}

/// `blue=172.18.0.2`, or what it has instead.
fn networks(shown: &Shown) -> String {
    match &shown.sandbox.mode {
        NetworkMode::None => "none".to_owned(),
        NetworkMode::Host => "host".to_owned(),
        NetworkMode::Container(other) => format!("container:{}", other.short()),
        NetworkMode::Networks => {
            let place = |place: &Place| match place.endpoint.addresses().next() {
                Some(address) => format!("{}={address}", place.network.name),
                None => place.network.name.to_string(),
            };
            shown.places.iter().map(place).collect::<Vec<_>>().join(",")
        }
    }
}

fn subject<'s>(key: &str, shown: &'s Shown) -> Subject<'s> {
    let sandbox = &shown.sandbox;
    match key {
        "exited" => match shown.life {
            Life::Exited(code) => Subject::text(code.to_string()),
            _ => Subject::Absent,
        },
        "id" => Subject::text(sandbox.id.as_str()),
        "label" => Subject::labels(sandbox.labels.iter().map(|(key, value)| (key.as_str(), value.as_str()))),
        "name" => Subject::text(sandbox.shown_as()),
        "network" => {
            let names = shown
                .places
                .iter()
                .flat_map(|place| [place.network.name.as_str(), place.network.id.as_str()]);
            Subject::Texts(names.map(Into::into).collect())
        }
        "status" => Subject::text(shown.life.word()),
        _ => Subject::Absent,
    }
}
