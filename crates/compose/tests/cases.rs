//! Shapes of compose files, each with what it is read into: `cases/NAME.yaml`, and `NAME.json` or `NAME.txt`.
//!
//! A case may begin with `# env A=1`, `# profile P` or `# service S`, and hold further files, each after a line
//! `#### NAME`. The project is in `/project`. What is expected is the project without its empty and usual values, or the
//! errors; warnings stand in the project. `BLESS=1 cargo test -p pontoon-compose --test cases` writes what is read now,
//! to be looked over in the diff.

mod common;

use pontoon_compose::{Project, load};
use serde_json::Value;

/// The project without what is empty, off or as usual.
fn pruned(value: Value) -> Option<Value> {
    match value {
        Value::Null | Value::Bool(false) => None,
        Value::String(text) if text.is_empty() => None,
        Value::Array(items) if items.is_empty() => None,
        Value::Array(items) => {
            Some(items.into_iter().map(|item| pruned(item).unwrap_or(Value::Null)).collect())
        }
        Value::Object(map) => {
            let usual = [
                ("directory", "\"/project\""),
                ("gw_priority", "0"),
                ("priority", "0"),
                ("required", "true"),
                ("restart", "\"no\""),
                ("scale", "1"),
            ];
            let usual = |key: &str, value: &Value| usual.contains(&(key, value.to_string().as_str()));
            let kept = map.into_iter().filter(|(key, value)| !usual(key, value));
            let kept: serde_json::Map<_, _> =
                kept.filter_map(|(key, value)| Some((key, pruned(value)?))).collect();
            (!kept.is_empty()).then_some(Value::Object(kept))
        }
        other => Some(other),
    }
}

fn printed(project: &Project) -> String {
    let mut value = serde_json::to_value(project).expect("a project can be written");
    value["warnings"] = project.warnings.iter().map(ToString::to_string).collect();
    let value = pruned(value).unwrap_or_default();
    serde_json::to_string_pretty(&value).expect("JSON can be printed") + "\n"
}

#[test]
fn every_case_is_read_as_expected() {
    let cases = common::cases();
    assert!(cases.len() >= 50, "only {} cases", cases.len());
    let bless = std::env::var_os("BLESS").is_some();
    let mut wrong = Vec::new();
    for (input, request, files) in cases {
        let (found, kind, other) = match load(&request, &files) {
            Ok(project) => (printed(&project), "json", "txt"),
            Err(errors) => (format!("{errors}\n"), "txt", "json"),
        };
        let file = input.with_extension(kind);
        if bless {
            let _ = std::fs::remove_file(input.with_extension(other));
            std::fs::write(&file, &found).expect("what is expected can be written");
        }
        let expected = std::fs::read_to_string(&file).unwrap_or_else(|_| "(something else)".into());
        if found != expected {
            wrong.push(format!("{}\n--- expected\n{expected}--- found\n{found}", input.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
