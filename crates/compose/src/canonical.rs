//! Short forms turned into long ones, so that files can be merged; relative paths made absolute.

use std::path::Path;

use pontoon_model::publish::{HostPorts, PublishSpec};

use crate::error::Fault;
use crate::path::resolve;
use crate::report::Report;
use crate::yaml::{Data, Entry, Map, Mark, Node};

/// Keys of services whose value is a mapping that can be written as a list of `KEY=VALUE`.
const PAIRS: [&str; 4] = ["environment", "labels", "annotations", "sysctls"];
/// Keys of services whose value is a list that can be written as one text.
const LISTS: [&str; 4] = ["dns", "dns_search", "tmpfs", "label_file"];

/// Turns the short forms of a file into long ones; `directory` is where its relative paths start.
pub(crate) fn file(node: &mut Node, directory: &Path, report: &mut Report) {
    let Some(map) = node.as_map_mut() else { return };
    if let Some(services) = map.get_mut("services").and_then(Node::as_map_mut) {
        for Entry { key, at, node } in &mut services.0 {
            if node.is_null() {
                node.data = Data::Map(Map::default());
            }
            valid_key(key, at, "a service's name", report);
            if let Some(service_map) = node.as_map_mut() {
                service(service_map, key, directory, report);
            }
        }
    }
    if let Some(networks) = map.get_mut("networks").and_then(Node::as_map_mut) {
        for Entry { key, at, node } in &mut networks.0 {
            if node.is_null() {
                node.data = Data::Map(Map::default());
            }
            valid_key(key, at, "a network's key", report);
            if let Some(network) = node.as_map_mut() {
                long_network(network);
            }
        }
    }
    if let Some(includes) = map.get_mut("include").and_then(list_mut) {
        includes.iter_mut().for_each(include);
    }
}

fn valid_key(key: &str, at: &Mark, what: &'static str, report: &mut Report) {
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if key.is_empty() || !key.bytes().all(valid) {
        let expected = "a name of letters, digits, `.`, `_` and `-`".into();
        report.error(at, Fault::Value { given: key.to_owned(), place: what.into(), expected });
    }
}

fn list_mut(node: &mut Node) -> Option<&mut Vec<Node>> {
    match &mut node.data {
        Data::List(items) => Some(items),
        _ => None,
    }
}

/// A mapping in place of `node`.
fn into_map(node: &mut Node, entries: Vec<Entry>) {
    node.data = Data::Map(Map(entries));
}

fn entry(key: impl Into<String>, node: Node) -> Entry {
    Entry { key: key.into(), at: node.at.clone(), node }
}

fn service(map: &mut Map, name: &str, directory: &Path, report: &mut Report) {
    for key in PAIRS {
        if let Some(node) = map.get_mut(key) {
            pairs(node, key == "labels" || key == "annotations");
        }
    }
    for key in LISTS {
        if let Some(node) = map.get_mut(key) {
            listed(node);
        }
    }
    for (key, long) in [
        ("depends_on", depends_on as fn(&mut Node)),
        ("networks", network_names),
        ("extends", extends),
        ("extra_hosts", extra_hosts),
        ("build", build),
        ("env_file", env_file),
    ] {
        if let Some(node) = map.get_mut(key) {
            long(node);
        }
    }
    if let Some(labels) =
        map.get_mut("deploy").and_then(Node::as_map_mut).and_then(|map| map.get_mut("labels"))
    {
        pairs(labels, true);
    }
    if let Some(ports) = map.get_mut("ports").and_then(list_mut) {
        for (number, node) in ports.iter_mut().enumerate() {
            port(node, &format!("`services.{name}.ports[{number}]`"), report);
        }
    }
    paths(map, directory);
}

/// Makes the paths of a service absolute.
fn paths(map: &mut Map, directory: &Path) {
    if let Some(files) = map.get_mut("env_file").and_then(list_mut) {
        for file in files {
            absolute(file.as_map_mut().and_then(|map| map.get_mut("path")), directory);
        }
    }
    if let Some(files) = map.get_mut("label_file").and_then(list_mut) {
        files.iter_mut().for_each(|file| absolute(Some(file), directory));
    }
    if let Some(ours) = map.get_mut("x-pontoon").and_then(Node::as_map_mut) {
        absolute(ours.get_mut("rootfs"), directory);
        absolute(ours.get_mut("bundle"), directory);
    }
}

fn absolute(node: Option<&mut Node>, directory: &Path) {
    if let Some(Node { data: Data::Scalar { text, .. }, .. }) = node
        && !text.is_empty()
    {
        *text = resolve(directory, &*text).display().to_string();
    }
}

/// `[A=1, B]` becomes `{A: 1, B: null}`, or `{A: 1, B: ""}` where `empty`.
fn pairs(node: &mut Node, empty: bool) {
    let Data::List(items) = &mut node.data else { return };
    let mut map = Map::default();
    for item in std::mem::take(items) {
        let Some(text) = item.as_text() else { continue };
        let (key, value) = match text.split_once('=') {
            Some((key, value)) => (key, Node::text(&item.at, value)),
            None if empty => (text, Node::text(&item.at, "")),
            None => (text, Node::null(&item.at)),
        };
        map.set(key, Node { merging: item.merging, ..value });
    }
    node.data = Data::Map(map);
}

/// `a` becomes `[a]`.
fn listed(node: &mut Node) {
    if let Data::Scalar { .. } = node.data {
        let item = Node { merging: crate::yaml::Merging::Usual, ..node.clone() };
        node.data = Data::List(vec![item]);
    }
}

fn depends_on(node: &mut Node) {
    if let Data::List(items) = &node.data {
        let long = |item: &Node| {
            let name = item.as_text()?;
            let mut value = Node::null(&item.at);
            let started = entry("condition", Node::text(&item.at, "service_started"));
            into_map(&mut value, vec![started, entry("required", Node::plain(&item.at, "true"))]);
            Some(entry(name, value))
        };
        let entries = items.iter().filter_map(long).collect();
        into_map(node, entries);
    }
}

fn network_names(node: &mut Node) {
    if let Data::List(items) = &node.data {
        let mut map = Map::default();
        for item in items {
            if let Some(name) = item.as_text() {
                map.entry(name, &item.at);
            }
        }
        node.data = Data::Map(map);
    }
}

fn extends(node: &mut Node) {
    if let Some(name) = node.as_text() {
        let service = entry("service", Node::text(&node.at, name));
        into_map(node, vec![service]);
    }
}

fn build(node: &mut Node) {
    if let Some(context) = node.as_text() {
        let context = entry("context", Node::text(&node.at, context));
        into_map(node, vec![context]);
    }
}

fn env_file(node: &mut Node) {
    listed(node);
    for item in list_mut(node).into_iter().flatten() {
        if let Some(path) = item.as_text() {
            let path = entry("path", Node::text(&item.at, path));
            into_map(item, vec![path]);
        }
    }
}

fn include(node: &mut Node) {
    if let Data::Scalar { .. } | Data::List(_) = node.data {
        let path = entry("path", node.clone());
        into_map(node, vec![path]);
    }
    if let Some(map) = node.as_map_mut() {
        for key in ["path", "env_file"] {
            if let Some(node) = map.get_mut(key) {
                listed(node);
            }
        }
    }
}

/// `{host: address}` becomes `[host=address]`, and so does `[host:address]`.
fn extra_hosts(node: &mut Node) {
    let line = |host: &str, address: &Node| {
        let text = address.as_text()?;
        Some(Node::text(&address.at, format!("{host}={text}")))
    };
    let items = match &node.data {
        Data::Map(map) => map
            .0
            .iter()
            .flat_map(|Entry { key, node, .. }| match node.as_list() {
                Some(addresses) => addresses.iter().filter_map(|address| line(key, address)).collect(),
                None => line(key, node).into_iter().collect::<Vec<_>>(),
            })
            .collect(),
        Data::List(items) => items
            .iter()
            .map(|item| match item.as_text() {
                Some(text) if !text.contains('=') => Node::text(&item.at, text.replacen(':', "=", 1)),
                _ => item.clone(),
            })
            .collect(),
        Data::Null | Data::Scalar { .. } => return,
    };
    node.data = Data::List(items);
}

/// A port in the long form, with its protocol.
fn port(node: &mut Node, place: &str, report: &mut Report) {
    let at = node.at.clone();
    if let Some(text) = node.as_text() {
        match text.parse::<PublishSpec>() {
            Ok(spec) => long_port(node, &spec),
            Err(error) => report.error(&at, Fault::refused(place, &error)),
        }
    } else if let Some(map) = node.as_map_mut() {
        let protocol = map.entry("protocol", &at);
        if protocol.is_null() {
            *protocol = Node::text(&at, "tcp");
        }
    }
}

fn long_port(node: &mut Node, spec: &PublishSpec) {
    let at = node.at.clone();
    let run =
        |first: u16, last: u16| if first == last { first.to_string() } else { format!("{first}-{last}") };
    let last = spec.count - 1;
    let published = match spec.host {
        HostPorts::Free => None,
        HostPorts::Exactly(first) => Some(run(first, first + last)),
        HostPorts::OneOf { first, last } => Some(run(first, last)),
    };
    let mut entries = Vec::new();
    entries.extend(spec.address.map(|address| entry("host_ip", Node::text(&at, address.to_string()))));
    entries.push(entry("target", Node::plain(&at, run(spec.container, spec.container + last))));
    entries.extend(published.map(|published| entry("published", Node::text(&at, published))));
    entries.push(entry("protocol", Node::text(&at, spec.protocol.name())));
    into_map(node, entries);
}

/// `external: {name: x}` becomes `external: true` and `name: x`; labels become a mapping.
fn long_network(map: &mut Map) {
    if let Some(labels) = map.get_mut("labels") {
        pairs(labels, true);
    }
    let Some(external) = map.get_mut("external") else { return };
    let Data::Map(older) = &external.data else { return };
    let name = older.get("name").cloned();
    external.data = Data::Scalar { text: "true".into(), plain: true };
    if let Some(name) = name {
        map.set("name", name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::parse;

    fn long(service: &str) -> Node {
        let mut node = parse(&format!("services: {{a: {service}}}"), "f").unwrap().remove(0);
        let mut report = Report::default();
        file(&mut node, Path::new("/p"), &mut report);
        assert!(report.errors.is_empty(), "{service}: {:?}", report.errors);
        node.get("services").and_then(|services| services.get("a")).unwrap().clone()
    }

    #[test]
    fn short_forms_become_long_ones() {
        for (short, becomes) in [
            ("{environment: [A=1, B, 'C=a=b']}", "{environment: {A: 1, B: null, C: a=b}}"),
            ("{labels: [x.y=1, z]}", "{labels: {x.y: 1, z: ''}}"),
            ("{dns: 1.1.1.1, tmpfs: /x}", "{dns: [1.1.1.1], tmpfs: [/x]}"),
            ("{depends_on: [b]}", "{depends_on: {b: {condition: service_started, required: true}}}"),
            ("{networks: [x, y]}", "{networks: {x: null, y: null}}"),
            ("{extends: b}", "{extends: {service: b}}"),
            ("{env_file: x}", "{env_file: [{path: /p/x}]}"),
            (
                "{env_file: [../x, {path: y, required: false}]}",
                "{env_file: [{path: /x}, {path: /p/y, required: false}]}",
            ),
            ("{extra_hosts: ['a:1.2.3.4', 'b=::1']}", "{extra_hosts: [a=1.2.3.4, 'b=::1']}"),
            ("{extra_hosts: {a: [1.2.3.4, '::1']}}", "{extra_hosts: [a=1.2.3.4, 'a=::1']}"),
            ("{ports: [80]}", "{ports: [{target: 80, protocol: tcp}]}"),
            (
                "{ports: ['127.0.0.1:8000-8001:80-81/udp']}",
                "{ports: [{host_ip: 127.0.0.1, target: 80-81, published: 8000-8001, protocol: udp}]}",
            ),
            ("{ports: [{target: 80}]}", "{ports: [{target: 80, protocol: tcp}]}"),
            ("{x-pontoon: {rootfs: ./r}}", "{x-pontoon: {rootfs: /p/r}}"),
        ] {
            let found = long(short);
            let expected = parse(becomes, "f").unwrap().remove(0);
            assert!(found.same(&expected), "{short}: {found:?}");
            let mut again = found.clone();
            service(again.as_map_mut().unwrap(), "a", Path::new("/p"), &mut Report::default());
            assert!(again.same(&expected), "{short}, twice: {again:?}");
        }
    }
}
