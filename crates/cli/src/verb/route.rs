//! `pontoon route`

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use pontoon_engine::explain::{Carries, Who, place, question, teach};
use pontoon_model::ContainerRef;

use crate::failure::Failure;
use crate::global::Global;
use crate::output;
use crate::parse::target::who;
use crate::verb::explain::{Scene, scene};

/// Show which route is taken to somebody, and why the others are not
///
/// Every policy-routing rule that is asked, the routes of its table that fit, and what made one win: the longest prefix,
/// then the lowest metric. The exit code is 1 if there is no route.
#[derive(Debug, Args)]
pub(crate) struct Route {
    /// An address, a container as in `network connect`, `host`, `outside`
    #[arg(value_name = "TO", value_parser = who)]
    to: Who,
    /// Whose routes: a container's; the host's otherwise
    #[arg(long = "in", value_name = "CONTAINER")]
    container: Option<ContainerRef>,
    /// How it is shown
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_default_value = true)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A line for each rule and route
    Text,
    /// Everything that was found
    Json,
}

impl Route {
    pub(crate) fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        let from = self.container.map_or(Who::Host, Who::Container);
        let Scene { snapshot, ends } = scene(global, None, &[&from, &self.to])?;
        let at = match &ends[0] {
            Who::Container(reference) => place(&snapshot, reference)?,
            _ => 0,
        };
        let to = question(&snapshot, &ends[0], &ends[1], Carries::Echo)?.to;
        let lesson = teach(&snapshot.namespaces[at], to);
        match self.format {
            Format::Text => {
                let mut text = format!("{}\n", lesson.sentence);
                text.extend(lesson.lines.iter().map(|line| format!("  {line}\n")));
                text.push_str(&format!("$ {}\n", lesson.command));
                output::print(&text)?;
            }
            Format::Json => output::json(&lesson)?,
        }
        Ok(if lesson.found { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
