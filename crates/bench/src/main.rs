//! What an attach costs, measured on a throw-away host, beside what the kernel alone takes for it.
//!
//! `cargo run --release -p pontoon-bench` needs no root and leaves nothing behind. The report goes to the standard
//! output, and into the generated part of a page with `--markdown FILE`. A figure that misses its goal is reported,
//! and is no failure.

mod attach;
mod burst;
mod connections;
mod error;
mod explain;
mod figures;
mod floor;
mod goal;
mod growth;
mod lan;
mod level;
mod machine;
mod packet;
mod path;
mod place;
mod ports;
mod program;
mod project;
mod rates;
mod report;
mod samples;
mod scale;
mod traffic;
mod worker;

use std::ffi::OsString;
use std::fs;
use std::io::{Seek as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use pontoon_kernel::lab;

use error::BenchError;
use figures::Part;
use scale::Scale;
use worker::Way;

/// Measures what an attach costs, on a throw-away host.
///
/// The `pontoon` to measure is the one beside this program, or the one that PONTOON_BIN names.
#[derive(Debug, Parser)]
struct Arguments {
    /// Few samples and few endpoints: shows that it runs.
    #[arg(long)]
    quick: bool,
    /// Put the report into this page, in place of the one that is there.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Measure this part alone, and those of further `--only`.
    #[arg(long, value_name = "PART", conflicts_with = "markdown")]
    only: Vec<Part>,
    #[command(subcommand)]
    inside: Option<Inside>,
}

/// What this program does when it runs itself again inside of the host.
#[derive(Debug, Subcommand)]
enum Inside {
    #[command(hide = true)]
    Worker { way: Way, network: String, number: u8 },
    #[command(hide = true)]
    PeakMemory {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<OsString>,
    },
    #[command(hide = true)]
    Serve { port: u16 },
    #[command(hide = true)]
    Dial { address: SocketAddr },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.inside {
        None => outside(arguments.quick, arguments.markdown.as_deref(), &arguments.only),
        Some(inside) => inside.run().map(|()| ExitCode::SUCCESS),
    };
    done.unwrap_or_else(|error| {
        error.tell();
        ExitCode::FAILURE
    })
}

impl Inside {
    fn run(self) -> Result<(), BenchError> {
        match self {
            Self::Worker { way, network, number } => worker::serve(way, &network, number),
            Self::PeakMemory { words } => program::tell_peak_memory(&words),
            Self::Serve { port } => packet::serve_once(port),
            Self::Dial { address } => packet::dial_and_tell(address),
        }
    }
}

/// Makes the host and measures in it.
fn outside(quick: bool, page: Option<&Path>, only: &[Part]) -> Result<ExitCode, BenchError> {
    program::pontoon()?;
    // Opened here: the host's file system is a little different.
    let page = page.map(Page::open).transpose()?;
    let status = lab::run(&lab::Options::default(), move || match inside(quick, page, only) {
        Ok(()) => 0,
        Err(error) => {
            error.tell();
            1
        }
    })?;
    Ok(ExitCode::from(u8::try_from(status.code()).unwrap_or(1)))
}

fn inside(quick: bool, page: Option<Page>, only: &[Part]) -> Result<(), BenchError> {
    let scale = if quick { Scale::QUICK } else { Scale::FULL };
    let report = report::write(&figures::measure(&scale, quick, only)?);
    print!("{report}");
    page.map_or(Ok(()), |page| page.put(&report))
}

/// A page with a generated part.
struct Page {
    text: String,
    file: fs::File,
}

impl Page {
    fn open(path: &Path) -> Result<Self, BenchError> {
        let mut options = fs::File::options();
        let file = options.read(true).write(true).create(true).truncate(false).open(path);
        let file = file.map_err(BenchError::io("open the page"))?;
        let text = std::io::read_to_string(&file).map_err(BenchError::io("read the page"))?;
        Ok(Self { text, file })
    }

    fn put(mut self, report: &str) -> Result<(), BenchError> {
        let text = report::put_into(&self.text, report);
        let written = self.file.set_len(0).and_then(|()| self.file.rewind());
        written.and_then(|()| self.file.write_all(text.as_bytes())).map_err(BenchError::io("write the page"))
    }
}
