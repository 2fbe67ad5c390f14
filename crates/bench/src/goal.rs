//! The goals, and whether they are met.

use std::time::Duration;

use crate::connections::{Connections, FEW};
use crate::explain::Explained;
use crate::figures::{Figures, Start};
use crate::level::Level;
use crate::packet::LIMIT;
use crate::path::{Passage, Way};
use crate::ports::{Along, Attached, Crowd, OneMore};
use crate::project::Project;
use crate::report::{share, time};
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
/// How many times an attach without ports one with a hundred may take.
const ALONG_FACTOR: f64 = 1.5;
/// How many times as long one more port may take beside many than beside few.
const ONE_MORE_FACTOR: f64 = 1.2;
/// How much of the connections through few ports there must be through many.
const CONNECTIONS_SHARE: f64 = 0.9;
/// What all attaches that publish ports may take together.
const AT_ONCE_PUBLISHING_LIMIT: Duration = Duration::from_secs(1);
/// What a project of many services may take to come up, and to go.
const UP_LIMIT: Duration = Duration::from_secs(2);
const DOWN_LIMIT: Duration = Duration::from_secs(1);
/// What it may take to read a large host, and to follow a packet over it.
const READ_LIMIT: Duration = Duration::from_millis(300);
const FOLLOW_LIMIT: Duration = Duration::from_millis(20);
/// How much of the traffic by hand there must be.
const TRAFFIC_SHARE: f64 = 0.97;

/// All goals.
pub(crate) fn all(figures: &Figures) -> Vec<Goal> {
    let levels = &figures.levels;
    let mut goals: Vec<Goal> = levels.iter().flat_map(engine).collect();
    goals.extend(levels.iter().map(cold));
    goals.extend(figures.at_once.as_ref().map(at_once));
    goals.extend(figures.packets.iter().map(|first| Goal {
        what: format!("first packet: {}", first.what),
        goal: format!("all under {}", time(LIMIT)),
        measured: format!("{} of {}", first.times.under(LIMIT), first.times.count()),
        met: first.times.under(LIMIT) == first.times.count(),
    }));
    if let Some(start) = &figures.start {
        goals.extend([memory(start.memory), version(start)]);
    }
    goals.extend(along(&figures.along));
    goals.extend(one_more(&figures.one_more));
    goals.extend(figures.connections.as_ref().map(connections));
    goals.extend(at_once_publishing(figures));
    goals.extend(figures.project.iter().flat_map(project));
    goals.extend(figures.passages.iter().map(passage));
    goals.extend(figures.explained.iter().flat_map(explained));
    goals
}

fn explained(explained: &Explained) -> [Goal; 2] {
    let (containers, rules, elements) = explained.size;
    let host = format!("{containers} containers, {rules} rules, {elements} elements");
    let goal = |what: String, limit, measured: &Samples| Goal {
        what,
        goal: format!("at most {}", time(limit)),
        measured: time(measured.median()),
        met: measured.median() <= limit,
    };
    [
        goal(format!("read a host of {host}"), READ_LIMIT, &explained.read),
        goal("follow a packet over it, there and back".to_owned(), FOLLOW_LIMIT, &explained.followed),
    ]
}

fn along(all: &[Attached]) -> Vec<Goal> {
    let mut goals = Vec::new();
    let Some(without) = all.iter().find(|one| one.along == Along::Nothing) else { return goals };
    for with in all.iter().filter(|one| one.along != Along::Nothing) {
        for (how, [with_ports, _], [without, _]) in
            [("in process", &with.engine, &without.engine), ("cold", &with.cold, &without.cold)]
        {
            let what = format!("attach with {}, {how}", with.along.name());
            goals.push(factor(what, "without", ALONG_FACTOR, with_ports, without));
        }
    }
    goals
}

fn one_more(all: &[OneMore]) -> Vec<Goal> {
    let mut goals = Vec::new();
    let Some(few) = all.iter().find(|one| one.crowd == Crowd::Few) else { return goals };
    let base = format!("beside {FEW}");
    for many in all.iter().filter(|one| one.crowd != Crowd::Few) {
        let what = |how| format!("one more port {}, {how}", many.crowd.beside(many.many));
        goals.push(factor(what("in process"), &base, ONE_MORE_FACTOR, &many.engine[0], &few.engine[0]));
        goals.push(factor(what("cold"), &base, ONE_MORE_FACTOR, &many.cold, &few.cold));
    }
    goals
}

fn factor(what: String, base: &str, limit: f64, value: &Samples, than: &Samples) -> Goal {
    let (value, than) = (value.median(), than.median());
    Goal {
        what,
        goal: format!("≤ {limit} × {base} = {}", time(than.mul_f64(limit))),
        measured: format!("{} = {:.2} ×", time(value), ratio(value, than)),
        met: ratio(value, than) <= limit,
    }
}

fn connections(measured: &Connections) -> Goal {
    let [few, many] = &measured.pontoon;
    let share = many.over(few).median();
    Goal {
        what: format!("connections by a published port, of {}", measured.many),
        goal: format!("≥ {CONNECTIONS_SHARE} × of {FEW} = {:.0}/s", CONNECTIONS_SHARE * few.median()),
        measured: format!("{:.0}/s = {share:.2} ×", many.median()),
        met: share >= CONNECTIONS_SHARE,
    }
}

fn at_once_publishing(figures: &Figures) -> Option<Goal> {
    let wall = figures.at_once_publishing.as_ref()?;
    Some(Goal {
        what: format!("{AT_ONCE} cold commands at once that publish 3 ports each"),
        goal: format!("all succeed, no address twice, ≤ {}", time(AT_ONCE_PUBLISHING_LIMIT)),
        measured: format!("{} (worst of {}: {})", time(wall.median()), wall.count(), time(wall.worst())),
        met: wall.worst() <= AT_ONCE_PUBLISHING_LIMIT,
    })
}

fn project(measured: &Project) -> [Goal; 2] {
    [("up", &measured.up, UP_LIMIT), ("down", &measured.down, DOWN_LIMIT)].map(|(verb, times, limit)| Goal {
        what: format!("`{verb}` of {} services", measured.services),
        goal: format!("< {}", time(limit)),
        measured: format!("{} (worst of {}: {})", time(times.median()), times.count(), time(times.worst())),
        met: times.worst() < limit,
    })
}

fn passage(passage: &Passage) -> Goal {
    let own = passage.ours.over(&passage.bare).median();
    let to_least = passage.ours.over(&passage.least).median();
    let kind = if passage.requests { "requests" } else { "a stream" };
    let calling = if passage.calling { ", bridges call iptables" } else { "" };
    let beside = match passage.way {
        Way::Bridged => String::new(),
        Way::FromHost | Way::Published | Way::Hairpin => {
            format!("; {} of the fewest rules", share(to_least))
        }
    };
    Goal {
        what: format!("{kind}, {}{calling}", passage.way.name()),
        goal: format!("≥ {} of no rules", share(TRAFFIC_SHARE)),
        measured: format!("{}{beside}", share(own)),
        met: own >= TRAFFIC_SHARE,
    }
}

fn engine(level: &Level) -> [Goal; 2] {
    let [row_floor, row_engine] = &level.rows;
    let count = level.endpoints;
    [
        floors(
            format!("engine in process, {count} endpoints, alone"),
            &level.floor.attach,
            &level.engine.attach,
        ),
        floors(format!("engine in process, {count} endpoints, in a row"), row_floor, row_engine),
    ]
}

fn floors(what: String, floor: &Samples, engine: &Samples) -> Goal {
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

fn at_once(wall: &Samples) -> Goal {
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

fn version(start: &Start) -> Goal {
    let (nothing, version) = (start.nothing.median(), start.version.median());
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
