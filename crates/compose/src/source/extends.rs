//! `extends`: a service over another.
//!
//! Source: the Compose Specification, "extends".

use std::path::{Path, PathBuf};

use pontoon_model::diagnose::near;

use super::{Context, Document, Reader};
use crate::error::{Circle, Fault};
use crate::merge;
use crate::path::{resolve as resolve_path, shown};
use crate::yaml::{Mark, Node};

/// Replaces each service that extends another with both as one.
pub(super) fn resolve(reader: &mut Reader<'_>, tree: &mut Node, path: &Path, context: &Context<'_>) {
    let names: Vec<String> = match tree.get("services") {
        Some(services) => services.entries().iter().map(|entry| entry.key.clone()).collect(),
        None => return,
    };
    let original = tree.clone();
    let file = File { path, tree: &original, directory: context.directory };
    for name in names {
        let Some(service) = service(&original, &name) else { continue };
        if service.get("extends").is_none() {
            continue;
        }
        let extended = extended(reader, service, &file, &mut vec![(path.to_owned(), name.clone())], context);
        let services = tree.as_map_mut().and_then(|map| map.get_mut("services")).and_then(Node::as_map_mut);
        if let Some(there) = services.and_then(|services| services.get_mut(&name)) {
            *there = extended;
        }
    }
}

/// A file that services are extended from.
struct File<'a> {
    path: &'a Path,
    tree: &'a Node,
    directory: &'a Path,
}

fn service<'a>(tree: &'a Node, name: &str) -> Option<&'a Node> {
    tree.get("services")?.as_map()?.get(name)
}

/// A service with what it extends below it. `chain` is the way here: files and services.
fn extended(
    reader: &mut Reader<'_>,
    service: &Node,
    file: &File<'_>,
    chain: &mut Vec<(PathBuf, String)>,
    context: &Context<'_>,
) -> Node {
    let mut own = service.clone();
    let extends = own.as_map_mut().and_then(|map| map.remove("extends"));
    let Some(extends) = extends.map(|entry| entry.node).filter(|node| !node.is_null()) else { return own };
    let Some(name) = extends.get("service").and_then(Node::as_text) else {
        reader.report.error(&extends.at, Fault::Lacks { place: "`extends`".into(), key: "service" });
        return own;
    };
    let base = match extends.get("file").and_then(Node::as_text) {
        Some(other) => {
            let path = resolve_path(file.directory, other);
            elsewhere(reader, &path, name, &extends.at, chain, context)
        }
        None => below(reader, file, name, &extends.at, chain, context),
    };
    let Some(mut base) = base else { return own };
    merge::merge_service(&mut base, own);
    base
}

/// The service `name` of `file`, with what that extends.
fn below(
    reader: &mut Reader<'_>,
    file: &File<'_>,
    name: &str,
    at: &Mark,
    chain: &mut Vec<(PathBuf, String)>,
    context: &Context<'_>,
) -> Option<Node> {
    let Some(base) = service(file.tree, name) else {
        let entries = file.tree.get("services").map_or(&[][..], Node::entries);
        let names = entries.iter().map(|entry| entry.key.as_str());
        let near = near(name, names).into_iter().map(str::to_owned).collect();
        let place = format!("`extends` in {}", shown(reader.working_directory, file.path));
        reader.report.error(at, Fault::NoService { service: name.to_owned(), place, near });
        return None;
    };
    let this = (file.path.to_owned(), name.to_owned());
    if chain.contains(&this) {
        circle(reader, at, chain, name);
        return None;
    }
    chain.push(this);
    let found = extended(reader, base, file, chain, context);
    chain.pop();
    Some(found)
}

/// Notes a circle, which each of its services leads into, once.
fn circle(reader: &mut Reader<'_>, at: &Mark, chain: &[(PathBuf, String)], name: &str) {
    let names = chain.iter().map(|(_, name)| name.as_str());
    let path: Vec<String> =
        names.skip_while(|first| *first != name).chain([name]).map(str::to_owned).collect();
    let known = reader.report.errors.iter().any(|error| match &error.fault {
        Fault::Circle { what: Circle::Extends, path: other } => path.iter().all(|name| other.contains(name)),
        _ => false,
    });
    if !known {
        reader.report.error(at, Fault::Circle { what: Circle::Extends, path });
    }
}

/// The service `name` of another file, with what that extends.
fn elsewhere(
    reader: &mut Reader<'_>,
    path: &Path,
    name: &str,
    at: &Mark,
    chain: &mut Vec<(PathBuf, String)>,
    context: &Context<'_>,
) -> Option<Node> {
    let before = reader.report.errors.len();
    let directory = path.parent().unwrap_or(context.directory);
    let inside = Context { directory, ..*context };
    let documents = reader.documents(path, Some(at));
    let mut tree: Option<Node> = None;
    for Document { tree: document, .. } in documents {
        let document = reader.long(document, &inside);
        match &mut tree {
            Some(tree) => merge::merge(tree, document),
            None => tree = Some(document),
        }
    }
    if reader.report.errors.len() > before {
        return None;
    }
    let Some(tree) = tree else {
        let place = format!("`extends` in {}", shown(reader.working_directory, path));
        let fault = Fault::NoService { service: name.to_owned(), place, near: Vec::new() };
        reader.report.error(at, fault);
        return None;
    };
    below(reader, &File { path, tree: &tree, directory }, name, at, chain, context)
}
