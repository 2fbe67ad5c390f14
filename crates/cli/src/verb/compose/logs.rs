//! `pontoon compose logs`, and what `pontoon up` shows in the foreground

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use anstyle::AnsiColor;
use clap::Args;
use pontoon_kernel::signal::Signals;
use pontoon_project::{Output, Site, outputs};

use crate::failure::Failure;
use crate::global::Global;
use crate::parse::project::ProjectFlags;
use crate::show::log::{Tail, skip_to_last, tail};

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
        let (name, site) = (project.name()?, Site::new(global.instance()?));
        let mut streams = streams(&site, &name, &self.services, self.tail, !self.no_log_prefix)?;
        loop {
            // Looked at before they are copied: what they write until they end is in the files then.
            let over = !self.follow || all_over(&site, &streams)?;
            show(&mut streams, over)?;
            if over {
                return Ok(ExitCode::SUCCESS);
            }
            std::thread::sleep(PATIENCE);
        }
    }
}

/// Shows what services write until all have ended; whether somebody interrupted it instead.
pub(crate) fn attend(site: &Site, project: &str, services: &[String]) -> Result<bool, Failure> {
    const INT: i32 = 2;
    const TERM: i32 = 15;
    let deaf = |error| Failure::io("could not wait for signals", &io::Error::from(error));
    let signals = Signals::block([INT, TERM]).map_err(deaf)?;
    let mut streams = streams(site, project, services, Tail::All, true)?;
    loop {
        let over = all_over(site, &streams)?;
        show(&mut streams, over)?;
        let interrupted = signals.next().map_err(deaf)?.is_some();
        if over || interrupted {
            return Ok(interrupted);
        }
        std::thread::sleep(PATIENCE);
    }
}

/// What one container writes, line by line.
struct Stream {
    prefix: String,
    output: Output,
    /// Of a line that has no end yet.
    begun: Vec<u8>,
}

fn streams(
    site: &Site,
    project: &str,
    services: &[String],
    tail: Tail,
    prefixed: bool,
) -> Result<Vec<Stream>, Failure> {
    let lines = match tail {
        Tail::All => None,
        Tail::Lines(lines) => Some(lines),
    };
    let outputs = outputs(site, project, services, lines)?;
    let label = |one: &Output| format!("{}-{}", one.service, one.number);
    let width = outputs.iter().map(|one| label(one).len()).max().unwrap_or(0);
    let mut streams = Vec::new();
    for (place, mut output) in outputs.into_iter().enumerate() {
        let style = COLOURS[place % COLOURS.len()].on_default();
        let prefix = match prefixed {
            true => format!("{style}{:width$} |{style:#} ", label(&output)),
            false => String::new(),
        };
        if let (Some(lines), Some(file)) = (lines, output.file()) {
            skip_to_last(file, lines)
                .map_err(|error| Failure::io(format!("could not show {}", output.name), &error))?;
        }
        streams.push(Stream { prefix, output, begun: Vec::new() });
    }
    Ok(streams)
}

/// Copies what is new; at the end also lines that have no end.
fn show(streams: &mut [Stream], over: bool) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    for stream in streams {
        stream.output.read(&mut stream.begun)?;
        stream.copy(&mut out, over).map_err(|error| Failure::io("could not write the output", &error))?;
    }
    out.flush().map_err(|error| Failure::io("could not write the output", &error))
}

impl Stream {
    fn copy(&mut self, out: &mut impl io::Write, over: bool) -> io::Result<()> {
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

fn all_over(site: &Site, streams: &[Stream]) -> Result<bool, Failure> {
    for stream in streams {
        if !stream.output.is_over(site)? {
            return Ok(false);
        }
    }
    Ok(true)
}
