//! `pontoon test`

use std::process::ExitCode;

use clap::Args;
use pontoon_compose::Project;
use pontoon_compose::project::{Probe, Target, TargetHost};
use pontoon_format::{ListFormat, Row};
use pontoon_project::{DownOptions, Site, Tried, UpOptions, down, test, up};
use serde_json::json;

use crate::failure::Failure;
use crate::global::Global;
use crate::output;
use crate::parse::project::ProjectFlags;

/// Try what a compose file expects: what is reached from where, and what is not
///
/// The file's `x-pontoon: expect:` says it. Each attempt is made inside the container, with its names, routes and rules,
/// all at the same time; what is to be reached has until its `within`. What is denied must not arrive at all: a port that
/// nobody listens on is not kept from anybody. Exits with 0 if all is as expected, else with 1.
#[derive(Debug, Args)]
pub(crate) struct Test {
    #[command(flatten)]
    project: ProjectFlags,
    /// Bring the project up first, and take it down afterwards
    #[arg(long)]
    up: bool,
    /// `table`, `json`, or a Go template for each attempt
    #[arg(long, value_name = "FORMAT", default_value = "table", hide_default_value = true)]
    format: String,
}

const COLUMNS: &str = "{{.Result}}\t{{.From}}\t{{.To}}\t{{.Expected}}\t{{.Got}}\t{{.Time}}";

const HEADINGS: [(&str, &str); 6] = [
    ("Result", "RESULT"),
    ("From", "FROM"),
    ("To", "TO"),
    ("Expected", "EXPECTED"),
    ("Got", "GOT"),
    ("Time", "TIME"),
];

impl Test {
    pub(crate) fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        global.no_dry_run("test")?;
        // A malformed template is refused before anything is done.
        let format = ListFormat::parse(&self.format, COLUMNS)?;
        let project = self.project.load(&[])?;
        if project.expectations.is_empty() {
            return Err(Failure::new("the file expects nothing")
                .with_hint("`x-pontoon: { expect: { web: { reach: [db:5432], deny: [cache:6379] } } }`"));
        }
        let mut site = Site::new(global.instance()?);
        let tried = match self.up {
            true => up_and_down(&mut site, &project)?,
            false => test(&site, &project)?,
        };
        let rows: Vec<Row> = tried.iter().map(row).collect();
        output::print(&format.render(&HEADINGS, &rows)?)?;
        Ok(if tried.iter().all(Tried::holds) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Takes the project down again, whatever came of it.
fn up_and_down(site: &mut Site, project: &Project) -> Result<Vec<Tried>, Failure> {
    let mut tell = |progress| {
        if let pontoon_project::Progress::Warning(warning) = progress {
            output::warning(&warning);
        }
    };
    let options = UpOptions { wait: true, ..UpOptions::default() };
    let tried = up(site, project, &options, &mut tell).and_then(|()| test(site, project));
    let gone = down(site, &project.name, Some(project), &DownOptions::default(), &mut tell);
    let tried = tried?;
    gone?;
    Ok(tried)
}

fn row(tried: &Tried) -> Row {
    let expected = if tried.expectation.allowed { "reach" } else { "deny" };
    Row::new(json!({
        "Result": if tried.holds() { "ok" } else { "FAILED" },
        "From": tried.from,
        "To": target(&tried.expectation.to),
        "Expected": expected,
        "Got": tried.got.word(),
        "Time": format!("{:.1} ms", tried.took.as_secs_f64() * 1000.0),
    }))
}

fn target(target: &Target) -> String {
    let protocol = match target.protocol {
        Probe::Tcp => "tcp",
        Probe::Udp => "udp",
        Probe::Icmp => "icmp",
    };
    let host = match &target.host {
        TargetHost::Service(name) | TargetHost::Name(name) => name.clone(),
        TargetHost::Address(address) if target.port.is_some() && address.is_ipv6() => format!("[{address}]"),
        TargetHost::Address(address) => address.to_string(),
    };
    match target.port {
        Some(port) => format!("{host}:{port}/{protocol}"),
        None => format!("{host}/{protocol}"),
    }
}
