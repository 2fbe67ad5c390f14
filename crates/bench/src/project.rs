//! A project of many services: from nothing to all of them, again, and back.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::error::BenchError;
use crate::program;
use crate::samples::Samples;
use crate::scale::Scale;

/// What a project costs.
#[derive(Debug)]
pub(crate) struct Project {
    /// How many services it has, all on its default network.
    pub(crate) services: usize,
    /// `pontoon up -d` from nothing.
    pub(crate) up: Samples,
    /// `pontoon up -d` when all is as it should be.
    pub(crate) again: Samples,
    /// `pontoon down`.
    pub(crate) down: Samples,
}

/// Brings a project up and takes it down, in several rounds.
pub(crate) fn measure(scale: &Scale) -> Result<Project, BenchError> {
    const FOLDER: &str = "/run/project";
    let services = scale.services;
    let file = Path::new(FOLDER).join("compose.yaml");
    std::fs::create_dir_all(FOLDER).map_err(BenchError::io("make a folder"))?;
    std::fs::write(&file, text(services)).map_err(BenchError::io("write a compose file"))?;
    let pontoon = program::pontoon()?;
    let (mut up, mut again, mut down) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..scale.rounds {
        up.push(run(&pontoon, &file, &["up", "-d"])?);
        again.push(run(&pontoon, &file, &["up", "-d"])?);
        down.push(run(&pontoon, &file, &["down"])?);
    }
    Ok(Project { services, up: Samples::new(up), again: Samples::new(again), down: Samples::new(down) })
}

fn run(pontoon: &PathBuf, file: &Path, words: &[&str]) -> Result<Duration, BenchError> {
    let mut command = Command::new(pontoon);
    let (verb, options) = words.split_first().expect("a verb");
    command.arg(verb).arg("-f").arg(file).args(options).stderr(std::process::Stdio::null());
    program::run(&mut command)
}

/// Every tenth publishes a port.
fn text(services: usize) -> String {
    let mut text = "services:\n".to_owned();
    for number in 0..services {
        let ports = match number % 10 {
            0 => format!(", ports: ['{}:80']", 20_000 + number),
            _ => String::new(),
        };
        writeln!(text, "  s{number}: {{ command: [sleep, infinity]{ports} }}")
            .expect("a String takes everything");
    }
    text
}
