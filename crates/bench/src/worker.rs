//! Processes that attach at once.
//!
//! A worker is this program again. It reads lines, `attach NAME…` or `detach NAME…`, does as told, one after the
//! other, and answers with the times in nanoseconds, or with what went wrong.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use clap::ValueEnum;

use crate::attach::{Attach, Cold, InProcess};
use crate::error::BenchError;
use crate::floor::Floor;
use crate::program;

/// How a worker attaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Way {
    /// Raw requests.
    Floor,
    /// The engine, opened once.
    Engine,
    /// The command, started each time.
    Cold,
}

impl Way {
    fn open(self, network: &str, number: u8) -> Result<Box<dyn Attach>, BenchError> {
        Ok(match self {
            // 0 is what the first process makes.
            Self::Floor => Box::new(Floor::join(number + 1)?),
            Self::Engine => Box::new(InProcess::on(network)?),
            Self::Cold => Box::new(Cold::on(network)?),
        })
    }
}

/// What the worker's process does until its input ends.
pub(crate) fn serve(way: Way, network: &str, number: u8) -> Result<(), BenchError> {
    let mut means = way.open(network, number)?;
    let mut output = std::io::stdout();
    for line in std::io::stdin().lines() {
        let line = line.map_err(BenchError::io("read an order"))?;
        let answer = obey(means.as_mut(), &line).unwrap_or_else(|error| format!("error: {error}"));
        writeln!(output, "{answer}").map_err(BenchError::io("answer"))?;
    }
    Ok(())
}

fn obey(means: &mut dyn Attach, line: &str) -> Result<String, BenchError> {
    let mut words = line.split(' ');
    let attach = words.next() == Some("attach");
    let times = words.map(|name| if attach { means.attach(name) } else { means.detach(name) });
    let times: Vec<String> =
        times.map(|time| time.map(|time| time.as_nanos().to_string())).collect::<Result<_, _>>()?;
    Ok(times.join(" "))
}

/// A worker's process, seen from the one that orders.
#[derive(Debug)]
pub(crate) struct Worker {
    process: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Worker {
    /// Starts one; `number` tells it from the others.
    pub(crate) fn start(way: Way, network: &str, number: u8) -> Result<Self, BenchError> {
        let name = way.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
        let mut command = Command::new(program::own()?);
        command.arg("worker").arg(name).arg(network).arg(number.to_string());
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().map_err(BenchError::io("start a worker"))?;
        let (Some(orders), Some(answers)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(BenchError::Worker("nothing: it has no pipes".into()));
        };
        Ok(Self { process, orders, answers: BufReader::new(answers) })
    }

    /// Gives an order and does not wait.
    pub(crate) fn order(&mut self, verb: &str, names: &[&str]) -> Result<(), BenchError> {
        writeln!(self.orders, "{verb} {}", names.join(" ")).map_err(BenchError::io("order a worker"))
    }

    /// Waits for the answer to an order.
    pub(crate) fn answer(&mut self) -> Result<Vec<Duration>, BenchError> {
        let mut line = String::new();
        self.answers.read_line(&mut line).map_err(BenchError::io("hear a worker"))?;
        let times = line.trim().split(' ').map(|word| word.parse().map(Duration::from_nanos));
        times.collect::<Result<_, _>>().map_err(|_| BenchError::Worker(line.trim().to_owned()))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It has nothing to lose, and would wait for another order.
        let ended = self.process.kill().and_then(|()| self.process.wait());
        if let Err(error) = ended {
            eprintln!("warning: a worker did not end: {error}");
        }
    }
}
