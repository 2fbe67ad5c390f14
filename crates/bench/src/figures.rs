//! One run from beginning to end.

use std::ffi::OsString;
use std::process::Command;

use clap::ValueEnum;

use crate::attach::{Attach as _, Cold, InProcess};
use crate::burst;
use crate::connections::{self, Connections};
use crate::error::BenchError;
use crate::explain::{self, Explained};
use crate::growth::{self, Switched};
use crate::level::{Level, Site};
use crate::machine::Machine;
use crate::packet::{self, First};
use crate::path::{self, Passage};
use crate::place::Place;
use crate::ports::{self, Attached, OneMore};
use crate::program::{self, TRUE};
use crate::project::{self, Project};
use crate::samples::Samples;
use crate::scale::Scale;

/// A part of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// How long the program takes to start, and its memory
    Start,
    /// Many cold commands at once
    AtOnce,
    /// First packets
    Packets,
    /// Attaches that publish ports
    Ports,
    /// One more port beside others
    OneMore,
    /// Connections through published ports
    Connections,
    /// Streams and requests
    Traffic,
    /// A project of many services
    Project,
    /// A packet followed over a large host
    Explain,
    /// Attaches and detaches beside the number of endpoints
    Endpoints,
    /// What makes the floor grow; with the endpoints
    Growth,
}

/// What was measured: of parts that were left out, nothing.
#[derive(Debug)]
pub(crate) struct Figures {
    /// On what.
    pub(crate) machine: Machine,
    /// Whether it was the short form.
    pub(crate) quick: bool,
    /// Costs beside the number of endpoints.
    pub(crate) levels: Vec<Level>,
    /// The wall time of many cold commands at once.
    pub(crate) at_once: Option<Samples>,
    /// First packets.
    pub(crate) packets: Vec<First>,
    /// The program's start.
    pub(crate) start: Option<Start>,
    /// What makes the floor grow.
    pub(crate) growth: Vec<Switched>,
    /// Attaches with published ports and without.
    pub(crate) along: Vec<Attached>,
    /// One more port beside few and many.
    pub(crate) one_more: Vec<OneMore>,
    /// The wall time of many cold commands that publish ports, at once.
    pub(crate) at_once_publishing: Option<Samples>,
    /// Connections through published ports.
    pub(crate) connections: Option<Connections>,
    /// A project of many services.
    pub(crate) project: Option<Project>,
    /// Streams and requests.
    pub(crate) passages: Vec<Passage>,
    /// A packet followed over a large host.
    pub(crate) explained: Option<Explained>,
}

/// What it costs to start the program.
#[derive(Debug)]
pub(crate) struct Start {
    /// `pontoon --version`.
    pub(crate) version: Samples,
    /// The do-nothing command, measured in turns with it.
    pub(crate) nothing: Samples,
    /// The command's resident memory in KiB.
    pub(crate) memory: u64,
}

/// Measures `parts`, all if there are none, on the throw-away host that this process is in.
pub(crate) fn measure(scale: &Scale, quick: bool, parts: &[Part]) -> Result<Figures, BenchError> {
    let pontoon = program::pontoon()?;
    let wanted = |part: Part| parts.is_empty() || parts.contains(&part);
    let step = |part: Part, what: &str| {
        let wanted = wanted(part);
        if wanted {
            eprintln!("measuring {what}");
        }
        wanted
    };
    let mut figures = Figures {
        machine: Machine::here(),
        quick,
        levels: Vec::new(),
        at_once: None,
        packets: Vec::new(),
        start: None,
        growth: Vec::new(),
        along: Vec::new(),
        one_more: Vec::new(),
        at_once_publishing: None,
        connections: None,
        project: None,
        passages: Vec::new(),
        explained: None,
    };
    if step(Part::Start, "`pontoon --version` and memory") {
        let (version, nothing) = start_up(&pontoon, scale)?;
        figures.start = Some(Start { version, nothing, memory: memory(&pontoon)? });
    }
    if step(Part::AtOnce, "many at once") {
        figures.at_once = Some(burst::all_at_once(scale.rounds)?);
    }
    if step(Part::Packets, "first packets") {
        figures.packets = packet::measure(scale)?;
    }
    if step(Part::Ports, "attaches that publish ports") {
        figures.along = ports::attach(scale)?;
    }
    if step(Part::OneMore, "one more port") {
        figures.one_more = ports::one_more(scale)?;
    }
    if step(Part::Connections, "connections") {
        figures.connections = Some(connections::measure(scale)?);
    }
    if step(Part::Traffic, "streams and requests") {
        figures.passages = path::measure(scale)?;
    }
    if step(Part::Project, "a project of many services") {
        figures.project = Some(project::measure(scale)?);
    }
    if step(Part::Explain, "a packet over a large host") {
        figures.explained = Some(explain::measure(scale)?);
    }
    let growth = wanted(Part::Growth);
    if step(Part::Endpoints, "beside endpoints") || growth {
        levels(scale, growth, &mut figures)?;
    }
    Ok(figures)
}

fn levels(scale: &Scale, growth: bool, figures: &mut Figures) -> Result<(), BenchError> {
    let mut site = Site::new()?;
    for count in scale.endpoints {
        eprintln!("measuring with {count} endpoints");
        site.fill(*count)?;
        figures.levels.push(site.measure(scale)?);
        if *count == scale.crowd {
            figures.at_once_publishing = Some(site.at_once_publishing(scale.crowd_rounds)?);
        }
    }
    if growth {
        eprintln!("measuring what makes the floor grow");
        figures.growth = growth::measure(&mut site)?;
    }
    Ok(())
}

fn start_up(pontoon: &std::path::Path, scale: &Scale) -> Result<(Samples, Samples), BenchError> {
    let (mut version, mut nothing) = (Vec::new(), Vec::new());
    for _ in 0..scale.samples {
        version.push(program::run(Command::new(pontoon).arg("--version"))?);
        nothing.push(program::run(&mut Command::new(TRUE))?);
    }
    Ok((Samples::new(version), Samples::new(nothing)))
}

fn memory(pontoon: &std::path::Path) -> Result<u64, BenchError> {
    const NETWORK: &str = "memory";
    let place = Place::new("memory")?;
    drop(InProcess::create(NETWORK, &["10.204.0.0/16"])?);
    let container = format!("netns:{}", place.name);
    let words = [pontoon.as_os_str().to_owned()]
        .into_iter()
        .chain(["network", "connect", NETWORK, &container].map(OsString::from));
    let peak = program::peak_memory(&words.collect::<Vec<_>>())?;
    Cold::on(NETWORK)?.detach(&place.name)?;
    Ok(peak)
}
