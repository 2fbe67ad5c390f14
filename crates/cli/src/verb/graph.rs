//! `pontoon graph`

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use pontoon_graph::{Graph as Picture, dot, mermaid, svg, text};

use crate::failure::{self, Failure};
use crate::global::Global;
use crate::output;

/// Draw containers, networks, cables, published ports and ways out
///
/// What the records say, with the interfaces by which the host has its default route. Containers that are named are
/// shown with their networks, networks that are named with their containers; both come with the containers at the other
/// ends of their cables. An interface that is its container's way out has the default route.
#[derive(Debug, Args)]
pub(crate) struct Graph {
    /// How to draw it
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    /// Draw only this network and who is on it; may be repeated
    #[arg(long, value_name = "NETWORK")]
    network: Vec<String>,
    /// Draw only these containers: by name, id, the beginning of an id, or as they were connected (`netns:theirs`)
    #[arg(value_name = "NAME")]
    containers: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A tree
    Text,
    /// A picture, for browsers
    Svg,
    /// A flowchart for Markdown, as GitHub and GitLab draw it
    Mermaid,
    /// For Graphviz
    Dot,
    /// For programs
    Json,
}

impl Graph {
    pub(crate) fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        let reader = global.reader()?;
        let (mut networks, mut containers) = (Vec::new(), Vec::new());
        failure::each(&self.network, |name| {
            networks.push(reader.network(name)?.name.to_string());
            Ok(())
        })?;
        failure::each(&self.containers, |name| {
            containers.push(reader.known(&name.parse()?)?.name.to_string());
            Ok(())
        })?;
        self.draw(&reader.graph()?.narrowed(&networks, &containers))?;
        Ok(ExitCode::SUCCESS)
    }

    fn draw(&self, graph: &Picture) -> Result<(), Failure> {
        match self.format {
            Format::Text => output::coloured(&text(graph)),
            Format::Svg => output::print(&svg(graph)),
            Format::Mermaid => output::print(&mermaid(graph)),
            Format::Dot => output::print(&dot(graph)),
            Format::Json => output::print(&graph.json()),
        }
    }
}
