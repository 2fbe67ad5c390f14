//! Plans as a person reads them: one golden script per scenario. `UPDATE_GOLDEN=1` writes them anew.

use std::fs;
use std::path::{Path, PathBuf};

use pontoon_model::op::{Netns, NetnsPlace};
use pontoon_model::sandbox::NetnsId;
use pontoon_plan::command::script;

use crate::cases::{CASES, Case, Ground, Story};
use crate::world::World;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios")
}

/// Each command that was typed, with its script.
fn render(case: &Case) -> String {
    let (mut world, mut story) = (World::new(), Story::default());
    (case.tell)(&mut world, &imagined(), &mut story);
    let shown = story.acts.iter().filter_map(|act| Some((act.typed?, &act.plan)));
    let texts: Vec<String> =
        shown.map(|(typed, plan)| format!("$ pontoon {typed}\n\n{}", script(plan))).collect();
    texts.join("\n")
}

#[test]
fn scripts_read_as_they_did() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut changed = Vec::new();
    for case in &CASES {
        let (path, text) = (folder().join(format!("{}.golden", case.name)), render(case));
        if update {
            fs::write(&path, &text).unwrap();
        }
        let golden = fs::read_to_string(&path).unwrap_or_default();
        if let Some((line, (old, new))) = first_difference(&golden, &text) {
            changed.push(format!("{}.golden:{line}\n  - {old}\n  + {new}", case.name));
        }
    }
    assert!(changed.is_empty(), "UPDATE_GOLDEN=1 accepts:\n{}", changed.join("\n"));
}

#[test]
fn every_golden_script_has_its_scenario() {
    let known = |path: &Path| CASES.iter().any(|case| path.file_stem().is_some_and(|stem| stem == case.name));
    let stray: Vec<PathBuf> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| !known(path))
        .collect();
    assert!(stray.is_empty(), "{stray:?}");
}

fn first_difference<'a>(old: &'a str, new: &'a str) -> Option<(usize, (&'a str, &'a str))> {
    let lines = old.lines().count().max(new.lines().count());
    let at = |text: &'a str, line: usize| text.lines().nth(line).unwrap_or("(the end)");
    let differs = |line: &usize| at(old, *line) != at(new, *line);
    (0..lines).find(differs).map(|line| (line + 1, (at(old, line), at(new, line))))
}

/// Namespaces with fixed numbers, which are nobody's.
fn imagined() -> Ground {
    let id = |ino| NetnsId { dev: 4, ino };
    let other = |place, ino| Netns::Other { place, id: id(ino) };
    Ground {
        fresh: [id(4_026_532_001), id(4_026_532_002)],
        named: other(NetnsPlace::Named("lab".into()), 4_026_532_003),
        pid: other(NetnsPlace::Pid(4242), 4_026_532_004),
        path: other(NetnsPlace::Path("/run/box/netns".into()), 4_026_532_005),
    }
}
