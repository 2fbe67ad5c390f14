//! Many attaches at once.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::attach::{Cold, InProcess};
use crate::error::BenchError;
use crate::place::Place;
use crate::program;
use crate::samples::Samples;
use crate::scale::{AT_ONCE, IN_A_ROW, WORKERS};
use crate::worker::{Way, Worker};

/// What several workers did at once.
#[derive(Debug)]
pub(crate) struct Burst {
    /// How long each took.
    pub(crate) each: Samples,
    /// How many they did together in a second.
    pub(crate) per_second: f64,
}

/// Workers of one way, and the namespaces that they attach.
#[derive(Debug)]
pub(crate) struct Crew {
    workers: Vec<Worker>,
    places: Vec<Place>,
}

impl Crew {
    /// Starts them.
    pub(crate) fn start(way: Way, network: &str, prefix: &str) -> Result<Self, BenchError> {
        let numbers = 0..u8::try_from(WORKERS).unwrap_or(u8::MAX);
        let workers = numbers.map(|number| Worker::start(way, network, number)).collect::<Result<_, _>>()?;
        Ok(Self { workers, places: Place::several(prefix, 0, WORKERS * IN_A_ROW)? })
    }

    /// Has them attach and detach in turns: what the attaches cost, and what the detaches cost.
    pub(crate) fn work(&mut self, rounds: usize) -> Result<(Burst, Burst), BenchError> {
        let (mut attaches, mut detaches) = (Tally::default(), Tally::default());
        for _ in 0..rounds {
            self.order("attach", &mut attaches)?;
            self.order("detach", &mut detaches)?;
            self.places.iter().try_for_each(Place::reset)?;
        }
        Ok((attaches.burst(), detaches.burst()))
    }

    fn order(&mut self, verb: &str, tally: &mut Tally) -> Result<(), BenchError> {
        let shares: Vec<Vec<&str>> = self
            .places
            .chunks(IN_A_ROW)
            .map(|share| share.iter().map(|place| place.name.as_str()).collect())
            .collect();
        let start = Instant::now();
        for (worker, share) in self.workers.iter_mut().zip(&shares) {
            worker.order(verb, share)?;
        }
        for worker in &mut self.workers {
            tally.times.extend(worker.answer()?);
        }
        tally.wall += start.elapsed();
        Ok(())
    }
}

#[derive(Default)]
struct Tally {
    times: Vec<Duration>,
    wall: Duration,
}

impl Tally {
    fn burst(self) -> Burst {
        let per_second = self.times.len() as f64 / self.wall.as_secs_f64();
        Burst { each: Samples::new(self.times), per_second }
    }
}

/// Starts cold commands at once and waits for all of them, in several rounds: the wall time of each round.
///
/// # Errors
///
/// Where one fails, or two endpoints have one address.
pub(crate) fn all_at_once(rounds: usize) -> Result<Samples, BenchError> {
    const NETWORK: &str = "atonce";
    let engine = InProcess::create(NETWORK, &["10.205.0.0/16"])?;
    rounds_of(rounds, &engine, &Cold::on(NETWORK)?, &|_| Vec::new())
}

/// The same on a network that is there already, whatever is on it; each command publishes three ports.
///
/// # Errors
///
/// As [`all_at_once`].
pub(crate) fn all_at_once_publishing(
    rounds: usize,
    engine: &InProcess,
    cold: &Cold,
) -> Result<Samples, BenchError> {
    rounds_of(rounds, engine, cold, &|number| {
        let port = |base: usize, inside: &str| ["-p".to_owned(), format!("{}:{inside}", base + number)];
        [port(20_000, "80"), port(21_000, "443"), port(22_000, "53/udp")].concat()
    })
}

fn rounds_of(
    rounds: usize,
    engine: &InProcess,
    cold: &Cold,
    options: &dyn Fn(usize) -> Vec<String>,
) -> Result<Samples, BenchError> {
    let mut walls = Vec::new();
    let before = engine.endpoints()?.len();
    for _ in 0..rounds {
        let places = Place::several("once", 0, AT_ONCE)?;
        walls.push(start_all(cold, "connect", &places, options)?);
        check_addresses(engine, before + AT_ONCE)?;
        start_all(cold, "disconnect", &places, &|_| Vec::new())?;
    }
    Ok(Samples::new(walls))
}

fn start_all(
    cold: &Cold,
    verb: &str,
    places: &[Place],
    options: &dyn Fn(usize) -> Vec<String>,
) -> Result<Duration, BenchError> {
    let mut commands: Vec<_> = places.iter().map(|place| cold.command(verb, &place.name)).collect();
    for (number, command) in commands.iter_mut().enumerate() {
        command.args(options(number));
        command.stdin(Stdio::null()).stdout(Stdio::null());
    }
    let start = Instant::now();
    let started = commands.iter_mut().map(std::process::Command::spawn);
    let started: Vec<_> = started.collect::<Result<_, _>>().map_err(BenchError::io("start a command"))?;
    let mut ended = Vec::new();
    for mut process in started {
        ended.push(process.wait().map_err(BenchError::io("wait for a command"))?);
    }
    let wall = start.elapsed();
    match ended.iter().zip(&commands).find(|(status, _)| !status.success()) {
        Some((status, command)) => Err(program::failed(command, status.to_string())),
        None => Ok(wall),
    }
}

fn check_addresses(engine: &InProcess, wanted: usize) -> Result<(), BenchError> {
    let endpoints = engine.endpoints()?;
    if endpoints.len() != wanted {
        return Err(BenchError::Missing { made: endpoints.len(), wanted });
    }
    let mut seen: BTreeSet<IpAddr> = BTreeSet::new();
    match endpoints.iter().flat_map(pontoon_model::Endpoint::addresses).find(|address| !seen.insert(*address))
    {
        Some(address) => Err(BenchError::Twice(address.to_string())),
        None => Ok(()),
    }
}
