//! `pontoon compose ps`

use std::process::ExitCode;

use clap::Args;
use pontoon_compose::converge::label;

use crate::failure::Failure;
use crate::global::Global;
use crate::parse::project::ProjectFlags;
use crate::show::list::{Columns, ListFlags};
use crate::verb::ps::rows;

/// Show the containers of a compose file
///
/// Filters and templates are those of `pontoon ps`, with .Service besides.
#[derive(Debug, Args)]
pub(crate) struct Ps {
    /// Show those that have ended too
    #[arg(long, short)]
    all: bool,
    #[command(flatten)]
    list: ListFlags,
    /// Services; all when none is named
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
}

const COLUMNS: Columns = Columns {
    table: "{{.Names}}\t{{.Service}}\t{{.Status}}\t{{.Networks}}\t{{.Ports}}",
    headings: &[
        ("ID", "CONTAINER ID"),
        ("Names", "NAME"),
        ("Service", "SERVICE"),
        ("Command", "COMMAND"),
        ("RunningFor", "CREATED"),
        ("CreatedAt", "CREATED AT"),
        ("Status", "STATUS"),
        ("State", "STATE"),
        ("Networks", "NETWORKS"),
        ("Ports", "PORTS"),
        ("Labels", "LABELS"),
    ],
};

impl Ps {
    pub(crate) fn run(self, global: &Global, project: &ProjectFlags) -> Result<ExitCode, Failure> {
        let name = project.name()?;
        let is = |labels: &std::collections::BTreeMap<String, String>, key: &str, value: &str| {
            labels.get(key).is_some_and(|found| found == value)
        };
        let mut rows = rows(&global.reader()?, &self.list, self.all, |sandbox| {
            let asked = |service: &String| is(&sandbox.labels, label::SERVICE, service);
            is(&sandbox.labels, label::PROJECT, &name)
                && (self.services.is_empty() || self.services.iter().any(asked))
        })?;
        rows.reverse();
        self.list.print(&COLUMNS, &rows)?;
        Ok(ExitCode::SUCCESS)
    }
}
