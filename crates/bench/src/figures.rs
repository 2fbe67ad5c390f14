//! One run from beginning to end.

use std::ffi::OsString;
use std::process::Command;

use crate::attach::{Attach as _, Cold, InProcess};
use crate::burst;
use crate::connections::{self, Connections};
use crate::error::BenchError;
use crate::growth::{self, Switched};
use crate::level::{Level, Site};
use crate::machine::Machine;
use crate::packet::{self, First};
use crate::path::{self, Passage};
use crate::place::Place;
use crate::ports::{self, Attached, OneMore};
use crate::program::{self, TRUE};
use crate::samples::Samples;
use crate::scale::Scale;

/// Everything that was measured.
#[derive(Debug)]
pub(crate) struct Figures {
    /// On what.
    pub(crate) machine: Machine,
    /// Whether it was the short form.
    pub(crate) quick: bool,
    /// Costs beside the number of endpoints.
    pub(crate) levels: Vec<Level>,
    /// The wall time of many cold commands at once.
    pub(crate) at_once: Samples,
    /// First packets.
    pub(crate) packets: Vec<First>,
    /// The command's resident memory in KiB.
    pub(crate) memory: u64,
    /// `pontoon --version`.
    pub(crate) version: Samples,
    /// The do-nothing command, measured in turns with it.
    pub(crate) nothing: Samples,
    /// What makes the floor grow.
    pub(crate) growth: Vec<Switched>,
    /// Attaches with published ports and without.
    pub(crate) along: Vec<Attached>,
    /// One more port beside few and many.
    pub(crate) one_more: Vec<OneMore>,
    /// The wall time of many cold commands that publish ports, at once.
    pub(crate) at_once_publishing: Option<Samples>,
    /// Connections through published ports.
    pub(crate) connections: Connections,
    /// Streams and requests.
    pub(crate) passages: Vec<Passage>,
}

/// Measures everything, on the throw-away host that this process is in.
pub(crate) fn measure(scale: &Scale, quick: bool) -> Result<Figures, BenchError> {
    let pontoon = program::pontoon()?;
    let step = |what: &str| eprintln!("measuring {what}");
    step("`pontoon --version`");
    let (version, nothing) = start_up(&pontoon, scale)?;
    step("memory");
    let memory = memory(&pontoon)?;
    step("many at once");
    let at_once = burst::all_at_once(scale.rounds)?;
    step("first packets");
    let packets = packet::measure(scale)?;
    step("attaches that publish ports");
    let along = ports::attach(scale)?;
    step("one more port");
    let one_more = ports::one_more(scale)?;
    step("connections");
    let connections = connections::measure(scale)?;
    step("streams and requests");
    let passages = path::measure(scale)?;
    let mut site = Site::new()?;
    let mut levels = Vec::new();
    let mut at_once_publishing = None;
    for count in scale.endpoints {
        step(&format!("with {count} endpoints"));
        site.fill(*count)?;
        levels.push(site.measure(scale)?);
        if *count == scale.crowd {
            at_once_publishing = Some(site.at_once_publishing(scale.crowd_rounds)?);
        }
    }
    step("what makes the floor grow");
    let growth = growth::measure(&mut site)?;
    Ok(Figures {
        machine: Machine::here(),
        quick,
        levels,
        at_once,
        packets,
        memory,
        version,
        nothing,
        growth,
        along,
        one_more,
        at_once_publishing,
        connections,
        passages,
    })
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
