//! `include`: other projects' files, with their own directories and variables.
//!
//! Source: the Compose Specification, "Include".

use std::path::{Path, PathBuf};

use super::{Context, Reader, find};
use crate::error::{Circle, Fault};
use crate::path::{resolve as resolve_path, shown};
use crate::yaml::{Data, Entry, Map, Node};

/// The sections that an included file brings.
const SECTIONS: [&str; 6] = ["services", "networks", "volumes", "configs", "secrets", "models"];

/// Adds what the includes of a file bring.
pub(super) fn resolve(reader: &mut Reader<'_>, tree: &mut Node, context: &Context<'_>) {
    let includes = tree.as_map_mut().and_then(|map| map.remove("include"));
    let Some(includes) = includes.map(|entry| entry.node) else { return };
    for include in includes.as_list().unwrap_or_default() {
        if include.is_null() {
            continue;
        }
        if let Some(included) = one(reader, include, context) {
            bring(reader, tree, included);
        }
    }
}

/// One include, as a tree.
fn one(reader: &mut Reader<'_>, include: &Node, context: &Context<'_>) -> Option<Node> {
    let paths: Vec<PathBuf> =
        texts(include, "path").map(|path| resolve_path(context.directory, path)).collect();
    let Some(first) = paths.first() else {
        reader.report.error(&include.at, Fault::Lacks { place: "`include`".into(), key: "path" });
        return None;
    };
    if let Some(circle) = paths.iter().find(|path| context.including.contains(path)) {
        let way = context.including.iter().chain([circle]);
        let path = way.map(|path| shown(reader.working_directory, path)).collect();
        reader.report.error(&include.at, Fault::Circle { what: Circle::Includes, path });
        return None;
    }
    let directory = match include.get("project_directory").and_then(Node::as_text) {
        Some(directory) => resolve_path(context.directory, directory),
        None => first.parent().unwrap_or(context.directory).to_owned(),
    };
    let mut environment = context.environment.clone();
    if include.get("env_file").is_some() {
        for path in texts(include, "env_file") {
            let path = resolve_path(context.directory, path);
            if let Some(text) = reader.text(&path, Some(&include.at)) {
                find::add(reader, &text, &path, &mut environment);
            }
        }
    } else {
        find::add_default(reader, &directory, &mut environment);
    }
    let documents: Vec<_> = paths.iter().flat_map(|path| reader.documents(path, Some(&include.at))).collect();
    let including: Vec<PathBuf> = context.including.iter().chain(&paths).cloned().collect();
    let inside = Context { directory: &directory, environment: &environment, including: &including };
    Some(reader.merged(documents, &inside))
}

fn texts<'a>(node: &'a Node, key: &str) -> impl Iterator<Item = &'a Path> {
    let items = node.get(key).and_then(Node::as_list).unwrap_or_default();
    items.iter().filter_map(|item| item.as_text().map(Path::new))
}

/// Puts what an included tree has into the tree that includes it.
fn bring(reader: &mut Reader<'_>, tree: &mut Node, mut included: Node) {
    push_down_runtime(&mut included);
    let (Some(into), Some(from)) = (tree.as_map_mut(), included.as_map_mut()) else { return };
    for section in SECTIONS {
        let Some(Entry { at, node, .. }) = from.remove(section) else { continue };
        let there = into.entry(section, &at);
        if there.is_null() {
            there.data = Data::Map(Map::default());
        }
        let Data::Map(map) = node.data else { continue };
        for entry in map.0 {
            insert(reader, there, entry, section);
        }
    }
    if let Some(ours) = from.remove("x-pontoon") {
        let there = into.entry("x-pontoon", &ours.at);
        crate::merge::merge(there, ours.node);
    }
}

fn insert(reader: &mut Reader<'_>, section: &mut Node, entry: Entry, name: &str) {
    let Some(map) = section.as_map_mut() else { return };
    match map.get(&entry.key) {
        None => map.0.push(entry),
        Some(there) if there.same(&entry.node) => {}
        Some(there) => {
            let what = format!("{name}.{}", entry.key);
            let fault = Fault::Conflict { what, other: there.at.file.to_string() };
            reader.report.error(&entry.at, fault);
        }
    }
}

/// What a file says of the runtime is about its own services: it goes to those that say nothing.
fn push_down_runtime(tree: &mut Node) {
    let Some(map) = tree.as_map_mut() else { return };
    let ours = map.get_mut("x-pontoon").and_then(Node::as_map_mut);
    let Some(runtime) = ours.and_then(|ours| ours.remove("runtime")) else { return };
    let Some(services) = map.get_mut("services").and_then(Node::as_map_mut) else { return };
    for entry in &mut services.0 {
        let Some(service) = entry.node.as_map_mut() else { continue };
        let ours = service.entry("x-pontoon", &runtime.at);
        if ours.is_null() {
            ours.data = Data::Map(Map::default());
        }
        let Some(ours) = ours.as_map_mut() else { continue };
        let own = ours.entry(DEFAULT_RUNTIME, &runtime.at);
        if own.is_null() {
            *own = runtime.node.clone();
        }
    }
}

/// The key of a service's `x-pontoon` that holds the runtime of the file that it was included from.
pub(crate) const DEFAULT_RUNTIME: &str = "x-runtime";
