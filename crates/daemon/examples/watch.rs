//! Watches the host it is run on, and prints what there is to tell: `watch [--no-repair] [ROOT]`.
//!
//! Ends when its input does.

use std::io::{self, Read as _, Write as _};

use pontoon_daemon::watch::{Options, Report, Watch};
use pontoon_engine::Root;
use pontoon_engine::drift::Done;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let repair = !arguments.iter().any(|one| one == "--no-repair");
    let root = arguments.iter().find(|one| !one.starts_with('-'));
    let root = root.map_or_else(|| Ok(Root::host()), |root| Root::at(root.as_ref()))?;
    let watch = Watch::start(root, Options { repair }, |report| {
        let line = match report {
            Report::Ready => "ready".to_owned(),
            Report::Missed => "missed".to_owned(),
            Report::Failed(error) => format!("failed: {error}"),
            Report::LinkGone { name, endpoint } => format!("link gone: {name} of {endpoint}"),
            Report::RouteAppeared(route) => format!("route: {route:?}"),
            Report::Rejoined(rejoined) => format!("connected as it was: {}", rejoined.container),
            Report::Drift(drift) => format!("drift {}: {}", drift.code, drift.found),
            Report::Repair { repair, took } => {
                let by = repair.drift.by.map_or_else(String::new, |by| format!(" by {by}"));
                let done = match repair.done {
                    Done::Repaired => format!("repaired in {took:?}"),
                    Done::Failed(error) => {
                        format!("failed: {error}: {:?}", std::error::Error::source(&error))
                    }
                    other => format!("{other:?}"),
                };
                format!("{}{by}: {} — {done}", repair.drift.code, repair.drift.found)
            }
        };
        let mut output = io::stdout().lock();
        // Whoever does not listen any more need not be told.
        let _ = writeln!(output, "{line}").and_then(|()| output.flush());
    })?;
    io::stdin().read_to_end(&mut Vec::new())?;
    watch.stop();
    Ok(())
}
