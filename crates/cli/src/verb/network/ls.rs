//! `pontoon network ls`

use std::process::ExitCode;

use clap::Args;
use pontoon_engine::conflict::Conflict;
use pontoon_engine::report::{Reader, is_predefined};
use pontoon_format::{Key, Kind, Row, Subject};
use pontoon_model::Network;
use pontoon_model::network::Driver;
use serde_json::json;

use crate::failure::Failure;
use crate::global::Global;
use crate::show::list::{Columns, ListFlags, labels};
use crate::show::{conflict, moment};

/// Show networks
///
/// Filters: driver=bridge, name=REGEX, id=START, label=KEY[=VALUE], scope=local, type=custom or builtin,
/// dangling=true (no container is on it). Fields of templates: .ID .Name .Driver .Scope .IPv4 .IPv6 .Internal
/// .Labels .CreatedAt .Conflicts, and .Label "KEY".
///
/// Warns when a route, address or name server of somebody else's overlaps with a network, as when a VPN came up, with
/// the two ways out: finer routes, or moving the network. With --verbose, also of those that do its containers no harm.
#[derive(Debug, Args)]
#[command(visible_alias = "list")]
pub(crate) struct Ls {
    #[command(flatten)]
    list: ListFlags,
}

const KEYS: [Key; 7] = [
    Key::new("dangling", Kind::Bool, ""),
    Key::new("driver", Kind::Exact, ""),
    Key::new("id", Kind::Prefix, ""),
    Key::new("label", Kind::Label, ""),
    Key::new("name", Kind::Name, ""),
    Key::new("scope", Kind::OneOf(&["local", "global", "swarm"]), ""),
    Key::new("type", Kind::OneOf(&["custom", "builtin"]), ""),
];

const COLUMNS: Columns = Columns {
    table: "{{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}",
    headings: &[
        ("ID", "NETWORK ID"),
        ("Name", "NAME"),
        ("Driver", "DRIVER"),
        ("Scope", "SCOPE"),
        ("IPv4", "IPV4"),
        ("IPv6", "IPV6"),
        ("Internal", "INTERNAL"),
        ("Labels", "LABELS"),
        ("CreatedAt", "CREATED AT"),
        ("Conflicts", "CONFLICTS"),
    ],
};

impl Ls {
    pub(crate) fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        let filters = self.list.filters(&KEYS)?;
        let reader = global.reader()?;
        // Who wants ids alone is a program.
        let conflicts = if self.list.quiet { Vec::new() } else { conflict::found(global, &reader) };
        let (mut rows, mut shown) = (Vec::new(), Vec::new());
        for network in reader.networks()? {
            let dangling = filters.has("dangling") && is_dangling(&reader, &network)?;
            if filters.matches(|key| subject(key.name, &network, dangling)) {
                rows.push(self.row(&network, &conflicts));
                shown.push(network.name);
            }
        }
        self.list.print(&COLUMNS, &rows)?;
        let of_shown = conflicts.iter().filter(|conflict| shown.contains(&conflict.network));
        conflict::warn(of_shown, global.verbose);
        Ok(ExitCode::SUCCESS)
    }

    fn row(&self, network: &Network, conflicts: &[Conflict]) -> Row {
        let conflicts = conflicts.iter().filter(|conflict| conflict.network == network.name);
        let conflicts: Vec<&str> = conflicts.map(|conflict| conflict.with.as_str()).collect();
        let fields = json!({
            "ID": self.list.id(network.id.as_str()),
            "Name": network.name.as_str(),
            "Driver": network.driver.to_string(),
            "Scope": "local",
            "IPv4": (network.v4.is_some() || network.driver != Driver::Bridge).to_string(),
            "IPv6": network.v6.is_some().to_string(),
            "Internal": network.internal.to_string(),
            "Labels": labels(&network.labels),
            "CreatedAt": moment::go(&network.created),
            "Conflicts": conflicts.join("; "),
        });
        Row::new(fields).with_labels(network.labels.clone())
    }
}

/// Whether nobody needs it. The predefined networks are always needed.
fn is_dangling(reader: &Reader, network: &Network) -> Result<bool, Failure> {
    Ok(!is_predefined(network) && reader.user_count(network)? == 0)
}

fn subject<'n>(key: &str, network: &'n Network, dangling: bool) -> Subject<'n> {
    match key {
        "dangling" => Subject::Bool(dangling),
        "driver" => Subject::text(network.driver.to_string()),
        "id" => Subject::text(network.id.as_str()),
        "label" => Subject::labels(network.labels.iter().map(|(key, value)| (key.as_str(), value.as_str()))),
        "name" => Subject::text(network.name.as_str()),
        "scope" => Subject::text("local"),
        "type" => Subject::text(if is_predefined(network) { "builtin" } else { "custom" }),
        _ => Subject::Absent,
    }
}
