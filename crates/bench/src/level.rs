//! What an attach and a detach cost, beside how many endpoints there are.

use std::process::Command;
use std::time::Duration;

use crate::attach::{Attach, Cold, InProcess};
use crate::burst::{self, Burst, Crew};
use crate::error::BenchError;
use crate::floor::{BRIDGE, Floor, PARTS, Shape};
use crate::place::Place;
use crate::program::{self, TRUE};
use crate::samples::Samples;
use crate::scale::{ROW, Scale};
use crate::worker::Way;

/// The engine's network.
const NETWORK: &str = "bench";
/// How long the kernel gets to finish what is left of a change, before anything is measured.
const QUIET: Duration = Duration::from_millis(300);

/// What one way costs at one count.
#[derive(Debug)]
pub(crate) struct Cost {
    /// One now and then.
    pub(crate) attach: Samples,
    /// The same, of detaching.
    pub(crate) detach: Samples,
    /// Eight at once.
    pub(crate) attaches: Burst,
    /// The same, of detaching.
    pub(crate) detaches: Burst,
}

/// All costs at one count of endpoints.
#[derive(Debug)]
pub(crate) struct Level {
    /// How many there were already, on the engine's network and on the hand-made bridge each.
    pub(crate) endpoints: usize,
    /// Raw requests.
    pub(crate) floor: Cost,
    /// Each part of the raw requests.
    pub(crate) parts: Vec<Samples>,
    /// The engine in process.
    pub(crate) engine: Cost,
    /// The command.
    pub(crate) cold: Cost,
    /// Attaches without a pause: raw requests, and the engine in process.
    pub(crate) rows: [Samples; 2],
    /// The do-nothing command.
    pub(crate) nothing: Samples,
}

/// A host with the engine's network and the hand-made bridge, which grow together.
#[derive(Debug)]
pub(crate) struct Site {
    /// The hand-made bridge.
    pub(crate) floor: Floor,
    engine: InProcess,
    cold: Cold,
    /// Namespaces on the engine's network.
    filled: Vec<Place>,
    /// As many on the hand-made bridge.
    filled_by_hand: Vec<Place>,
    spare: [Place; 3],
    row: Vec<Place>,
    crews: [Crew; 3],
}

impl Site {
    /// Lays both, empty.
    pub(crate) fn new() -> Result<Self, BenchError> {
        let floor = Floor::lay()?;
        let engine = InProcess::create(NETWORK, &["10.207.0.0/16"])?;
        let cold = Cold::on(NETWORK)?;
        let spare = [Place::new("sf")?, Place::new("se")?, Place::new("sc")?];
        let row = Place::several("r", 0, ROW)?;
        let crews = [
            Crew::start(Way::Floor, BRIDGE, "wf")?,
            Crew::start(Way::Engine, NETWORK, "we")?,
            Crew::start(Way::Cold, NETWORK, "wc")?,
        ];
        Ok(Self { floor, engine, cold, filled: Vec::new(), filled_by_hand: Vec::new(), spare, row, crews })
    }

    /// The namespaces that fill the hand-made bridge.
    pub(crate) fn filled_by_hand(&self) -> &[Place] {
        &self.filled_by_hand
    }

    /// Cold commands at once that publish three ports each, beside what is attached: the wall time of each round.
    pub(crate) fn at_once_publishing(&self, rounds: usize) -> Result<Samples, BenchError> {
        std::thread::sleep(QUIET);
        burst::all_at_once_publishing(rounds, &self.engine, &self.cold)
    }

    /// Attaches until there are as many on each.
    pub(crate) fn fill(&mut self, count: usize) -> Result<(), BenchError> {
        let first = self.filled.len();
        let missing = count.saturating_sub(first);
        for place in Place::several("e", first, missing)? {
            self.engine.attach(&place.name)?;
            self.filled.push(place);
        }
        for place in Place::several("f", first, missing)? {
            self.floor.attach(&place.name)?;
            self.filled_by_hand.push(place);
        }
        std::thread::sleep(QUIET);
        Ok(())
    }

    /// Measures at the present count.
    pub(crate) fn measure(&mut self, scale: &Scale) -> Result<Level, BenchError> {
        let mut serial = Serial::default();
        for _ in 0..scale.samples {
            self.sample(&mut serial)?;
        }
        let rows = self.rows(scale.rows)?;
        let mut bursts = Vec::new();
        for crew in &mut self.crews {
            std::thread::sleep(QUIET);
            bursts.push(crew.work(scale.rounds)?);
        }
        let mut costs =
            serial.times.into_iter().zip(bursts).map(|((attach, detach), (attaches, detaches))| Cost {
                attach: Samples::new(attach),
                detach: Samples::new(detach),
                attaches,
                detaches,
            });
        let mut next = || costs.next().ok_or(BenchError::Silent("all three costs"));
        Ok(Level {
            endpoints: self.filled.len(),
            floor: next()?,
            parts: serial.parts.into_iter().map(Samples::new).collect(),
            engine: next()?,
            cold: next()?,
            rows,
            nothing: Samples::new(serial.nothing),
        })
    }

    /// Attaches in rows, by hand and by the engine in turns.
    fn rows(&mut self, rows: usize) -> Result<[Samples; 2], BenchError> {
        let mut ways: [&mut dyn Attach; 2] = [&mut self.floor, &mut self.engine];
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..rows {
            for (way, times) in ways.iter_mut().zip(&mut times) {
                for place in &self.row {
                    times.push(way.attach(&place.name)?);
                }
                for place in &self.row {
                    way.detach(&place.name)?;
                    place.reset()?;
                }
            }
        }
        Ok(times.map(Samples::new))
    }

    /// One of each, so that what disturbs one disturbs all.
    fn sample(&mut self, serial: &mut Serial) -> Result<(), BenchError> {
        let [of_floor, of_engine, of_cold] = &self.spare;
        let parts = self.floor.attach_as(&of_floor.name, &Shape::default())?;
        for (times, time) in serial.parts.iter_mut().zip(parts) {
            times.push(time);
        }
        let times = [
            (parts.iter().sum(), self.floor.detach(&of_floor.name)?),
            (self.engine.attach(&of_engine.name)?, self.engine.detach(&of_engine.name)?),
            (self.cold.attach(&of_cold.name)?, self.cold.detach(&of_cold.name)?),
        ];
        for (all, (attach, detach)) in serial.times.iter_mut().zip(times) {
            all.0.push(attach);
            all.1.push(detach);
        }
        serial.nothing.push(program::run(&mut Command::new(TRUE))?);
        self.spare.iter().try_for_each(Place::reset)
    }
}

/// Times of what is done one after the other: of floor, engine and command, attach and detach.
#[derive(Default)]
struct Serial {
    times: [(Vec<Duration>, Vec<Duration>); 3],
    parts: [Vec<Duration>; PARTS.len()],
    nothing: Vec<Duration>,
}
