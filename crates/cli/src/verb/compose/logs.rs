//! `pontoon compose logs`, and what `pontoon up` shows in the foreground

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use anstyle::AnsiColor;
use clap::Args;
use pontoon_compose::converge::label;
use pontoon_engine::report::container::Life;
use pontoon_kernel::signal::Signals;
use pontoon_model::Sandbox;
use pontoon_model::sandbox::Status;

use crate::failure::Failure;
use crate::global::Global;
use crate::parse::project::ProjectFlags;
use crate::show::log::{Tail, open, skip_to_last, tail};

/// Show what the services of a compose file have written
#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// Go on until all have ended
    #[arg(long, short)]
    follow: bool,
    /// Show only the last N lines of each
    #[arg(long = "tail", short = 'n', value_name = "N", default_value = "all", value_parser = tail)]
    tail: Tail,
    /// Leave the name before each line out
    #[arg(long)]
    no_log_prefix: bool,
    /// Services; all when none is named
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
}

/// How often what they write is looked for.
const PATIENCE: Duration = Duration::from_millis(30);

/// One after the other, so that neighbours are told apart.
const COLOURS: [AnsiColor; 6] = [
    AnsiColor::Cyan,
    AnsiColor::Yellow,
    AnsiColor::Green,
    AnsiColor::Magenta,
    AnsiColor::Blue,
    AnsiColor::BrightCyan,
];

impl Logs {
    pub(crate) fn run(self, global: &Global, project: &ProjectFlags) -> Result<ExitCode, Failure> {
        let name = project.name()?;
        let mut streams = streams(global, &name, &self.services, !self.no_log_prefix)?;
        if let Tail::Lines(lines) = self.tail {
            for stream in &mut streams {
                skip_to_last(&mut stream.file, lines)
                    .map_err(|error| Failure::io(format!("could not show {}", stream.container), &error))?;
            }
        }
        loop {
            // Looked at before they are copied: what they write until they end is in the files then.
            let over = !self.follow || all_ended(global, &streams)?;
            show(&mut streams, over)?;
            if over {
                return Ok(ExitCode::SUCCESS);
            }
            std::thread::sleep(PATIENCE);
        }
    }
}

/// Shows what services write from now on until all have ended; whether somebody interrupted it instead.
pub(crate) fn attend(global: &Global, project: &str, services: &[String]) -> Result<bool, Failure> {
    const INT: i32 = 2;
    const TERM: i32 = 15;
    let signals = Signals::block([INT, TERM])
        .map_err(|error| Failure::io("could not wait for signals", &error.into()))?;
    let mut streams = streams(global, project, services, true)?;
    loop {
        let over = all_ended(global, &streams)?;
        show(&mut streams, over)?;
        let interrupted = signals
            .next()
            .map_err(|error| Failure::io("could not wait for signals", &error.into()))?
            .is_some();
        if over || interrupted {
            return Ok(interrupted);
        }
        std::thread::sleep(PATIENCE);
    }
}

/// What one container writes.
struct Stream {
    container: String,
    prefix: String,
    file: File,
    /// Of a line that has no end yet.
    begun: Vec<u8>,
}

fn streams(
    global: &Global,
    project: &str,
    services: &[String],
    prefixed: bool,
) -> Result<Vec<Stream>, Failure> {
    let instance = global.instance()?;
    let mut meant = pontoon_project::ours(&global.reader()?, project)?;
    if !services.is_empty() {
        let is = |one: &Sandbox| one.labels.get(label::SERVICE).is_some_and(|name| services.contains(name));
        meant.retain(is);
    }
    let label = |one: &Sandbox| {
        let part = |key| one.labels.get(key).map_or("", String::as_str);
        format!("{}-{}", part(label::SERVICE), part(label::NUMBER))
    };
    let width = meant.iter().map(|one| label(one).len()).max().unwrap_or(0);
    let mut streams = Vec::new();
    for (place, one) in meant.iter().enumerate() {
        let style = COLOURS[place % COLOURS.len()].on_default();
        let prefix = match prefixed {
            true => format!("{style}{:width$} |{style:#} ", label(one)),
            false => String::new(),
        };
        let path = instance.container(one.id.as_str()).join("output.log");
        let container = one.name.to_string();
        let file = open(&path, &container)?;
        streams.push(Stream { container, prefix, file, begun: Vec::new() });
    }
    Ok(streams)
}

/// Copies what is new; at the end also lines that have no end.
fn show(streams: &mut [Stream], over: bool) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    for stream in streams {
        let copied = stream.copy(&mut out, over);
        copied.map_err(|error| Failure::io(format!("could not show {}", stream.container), &error))?;
    }
    out.flush().map_err(|error| Failure::io("could not write the output", &error))
}

impl Stream {
    fn copy(&mut self, out: &mut impl io::Write, over: bool) -> io::Result<()> {
        self.file.read_to_end(&mut self.begun)?;
        let whole = match self.begun.iter().rposition(|byte| *byte == b'\n') {
            Some(last) => last + 1,
            None => 0,
        };
        for line in self.begun[..whole].split_inclusive(|byte| *byte == b'\n') {
            out.write_all(self.prefix.as_bytes())?;
            out.write_all(line)?;
        }
        self.begun.drain(..whole);
        if over && !self.begun.is_empty() {
            out.write_all(self.prefix.as_bytes())?;
            out.write_all(&self.begun)?;
            out.write_all(b"\n")?;
            self.begun.clear();
        }
        Ok(())
    }
}

fn all_ended(global: &Global, streams: &[Stream]) -> Result<bool, Failure> {
    let reader = pontoon_engine::report::Reader::open(&global.instance()?)?;
    for stream in streams {
        let Ok(sandbox) = reader.container(&stream.container) else { continue };
        let ended = matches!(sandbox.status, Status::Exited(_)) || Life::of(&sandbox)? == Life::Dead;
        if !ended {
            return Ok(false);
        }
    }
    Ok(true)
}
