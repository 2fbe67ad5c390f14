//! `pontoon logs`

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use pontoon_engine::container::running;

use crate::failure::Failure;
use crate::global::Global;
use crate::show::log::{Tail, open, skip_to_last, tail};

/// Show what a detached container has written
#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// Go on until the container ends
    #[arg(long, short)]
    follow: bool,
    /// Show only the last N lines
    #[arg(long = "tail", short = 'n', value_name = "N", default_value = "all", value_parser = tail)]
    tail: Tail,
    /// Container by name, id, or the beginning of an id
    container: String,
}

/// How long new output may wait before it is shown.
const PATIENCE: Duration = Duration::from_millis(50);

impl Logs {
    pub(crate) fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        let sandbox = global.reader()?.container(&self.container)?;
        let path = global.instance()?.container(sandbox.id.as_str()).join("output.log");
        let mut log = open(&path, &self.container)?;
        let unreadable = |error: io::Error| Failure::io(format!("could not show {}", path.display()), &error);
        if let Tail::Lines(lines) = self.tail {
            skip_to_last(&mut log, lines).map_err(unreadable)?;
        }
        // Looked for before the copy: what it writes until it ends is in the file then.
        let mut process = if self.follow { running(&sandbox)? } else { None };
        loop {
            io::copy(&mut log, &mut io::stdout().lock())
                .and_then(|_| io::stdout().flush())
                .map_err(unreadable)?;
            match process.take() {
                None => return Ok(ExitCode::SUCCESS),
                Some(alive) if alive.wait_gone(PATIENCE)? => {}
                Some(alive) => process = Some(alive),
            }
        }
    }
}
