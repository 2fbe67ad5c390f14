//! The goals, and whether they are met.

use std::time::Duration;

use crate::figures::Figures;
use crate::level::Level;
use crate::packet::LIMIT;
use crate::report::time;
use crate::samples::Samples;
use crate::scale::AT_ONCE;

/// A goal beside what was measured.
#[derive(Debug)]
pub(crate) struct Goal {
    /// What is meant.
    pub(crate) what: String,
    /// What it may be.
    pub(crate) goal: String,
    /// What it is.
    pub(crate) measured: String,
    /// Whether that is good enough.
    pub(crate) met: bool,
}

/// How many times the floor the engine may take.
const ENGINE_FACTOR: u32 = 2;
/// How many do-nothing commands the command may take on top of the floor.
const COLD_FACTOR: u32 = 5;
/// How many do-nothing commands `pontoon --version` may take.
const VERSION_FACTOR: u32 = 3;
/// What all attaches at once may take together.
const AT_ONCE_LIMIT: Duration = Duration::from_millis(300);
/// How much memory the command may have resident, in KiB.
const MEMORY_LIMIT: u64 = 15 * 1024;

/// All goals.
pub(crate) fn all(figures: &Figures) -> Vec<Goal> {
    let levels = &figures.levels;
    let mut goals: Vec<Goal> = levels.iter().flat_map(engine).collect();
    goals.extend(levels.iter().map(cold));
    goals.push(at_once(figures));
    goals.extend(figures.packets.iter().map(|first| Goal {
        what: format!("first packet: {}", first.what),
        goal: format!("all under {}", time(LIMIT)),
        measured: format!("{} of {}", first.times.under(LIMIT), first.times.count()),
        met: first.times.under(LIMIT) == first.times.count(),
    }));
    goals.push(memory(figures.memory));
    goals.push(version(figures));
    goals
}

fn engine(level: &Level) -> [Goal; 2] {
    let [row_floor, row_engine] = &level.rows;
    let count = level.endpoints;
    [
        share(
            format!("engine in process, {count} endpoints, alone"),
            &level.floor.attach,
            &level.engine.attach,
        ),
        share(format!("engine in process, {count} endpoints, in a row"), row_floor, row_engine),
    ]
}

fn share(what: String, floor: &Samples, engine: &Samples) -> Goal {
    let (floor, engine) = (floor.median(), engine.median());
    Goal {
        what,
        goal: format!("≤ {ENGINE_FACTOR} × floor = {}", time(ENGINE_FACTOR * floor)),
        measured: format!("{} = {:.2} ×", time(engine), ratio(engine, floor)),
        met: engine <= ENGINE_FACTOR * floor,
    }
}

fn cold(level: &Level) -> Goal {
    let limit = level.floor.attach.median() + COLD_FACTOR * level.nothing.median();
    let cold = level.cold.attach.median();
    Goal {
        what: format!("cold command, {} endpoints", level.endpoints),
        goal: format!("≤ floor + {COLD_FACTOR} × `/bin/true` = {}", time(limit)),
        measured: time(cold),
        met: cold <= limit,
    }
}

fn at_once(figures: &Figures) -> Goal {
    let wall = &figures.at_once;
    Goal {
        what: format!("{AT_ONCE} cold commands at once"),
        goal: format!("all succeed, no address twice, ≤ {}", time(AT_ONCE_LIMIT)),
        measured: format!("{} (worst of {}: {})", time(wall.median()), wall.count(), time(wall.worst())),
        met: wall.median() <= AT_ONCE_LIMIT,
    }
}

fn memory(kib: u64) -> Goal {
    Goal {
        what: "resident memory of the command".into(),
        goal: format!("≤ {} MiB", MEMORY_LIMIT / 1024),
        measured: format!("{:.1} MiB", kib as f64 / 1024.0),
        met: kib <= MEMORY_LIMIT,
    }
}

fn version(figures: &Figures) -> Goal {
    let (nothing, version) = (figures.nothing.median(), figures.version.median());
    Goal {
        what: "`pontoon --version`".into(),
        goal: format!("≤ {VERSION_FACTOR} × `/bin/true` = {}", time(VERSION_FACTOR * nothing)),
        measured: format!("{} = {:.2} ×", time(version), ratio(version, nothing)),
        met: version <= VERSION_FACTOR * nothing,
    }
}

/// How many times `base` goes into `value`.
pub(crate) fn ratio(value: Duration, base: Duration) -> f64 {
    value.as_secs_f64() / base.as_secs_f64()
}
