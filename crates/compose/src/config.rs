//! All files of a project as one document, in the long forms.

use serde_json::{Map as Object, Value, json};

use crate::duration;
use crate::error::Warning;
use crate::project::{Cable, CableEnd, Condition, Impair, Networking, Place, Project, Runtime, Service};
use crate::source::DEFAULT_RUNTIME;
use crate::yaml::{Data, Node};

/// A document that says what all files of a project say together.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The document. Its dollar signs are doubled, so that it can be read again.
    pub document: Value,
    /// The project's warnings.
    pub warnings: Vec<Warning>,
}

impl Config {
    /// The document as YAML, the project's name first.
    pub fn yaml(&self) -> String {
        let mut text = String::new();
        if let Value::Object(map) = &self.document {
            let (name, others): (Vec<_>, Vec<_>) = map.iter().partition(|(key, _)| *key == "name");
            for (key, value) in name.into_iter().chain(others) {
                entry(&mut text, 0, key, value);
            }
        }
        text
    }

    /// The document as JSON.
    pub fn json(&self) -> String {
        format!("{:#}\n", self.document)
    }
}

/// Sections that are taken as they are.
const AS_THEY_ARE: [&str; 4] = ["volumes", "configs", "secrets", "models"];

pub(crate) fn config(tree: &Node, project: Project) -> Config {
    let mut document = Object::new();
    document.insert("name".into(), project.name.clone().into());
    document.insert("services".into(), services(tree, &project));
    document.insert("networks".into(), networks(tree, &project));
    for section in AS_THEY_ARE {
        if let Some(node) = tree.get(section) {
            document.insert(section.into(), value(node, false));
        }
    }
    for found in tree.entries().iter().filter(|found| found.key.starts_with("x-")) {
        document.insert(found.key.clone(), value(&found.node, false));
    }
    if let Some(Value::Object(ours)) = document.get_mut("x-pontoon") {
        active_expectations(ours, &project);
        if ours.contains_key("links") {
            ours.insert("links".into(), project.cables.iter().map(cable).collect());
        }
    }
    Config { document: Value::Object(document), warnings: project.warnings }
}

/// A node as JSON. A plain scalar is a number or a truth value where that is written the same way, unless `texts`.
fn value(node: &Node, texts: bool) -> Value {
    /// Keys whose values are texts, whatever they look like.
    const TEXTS: [&str; 7] =
        ["environment", "labels", "annotations", "sysctls", "driver_opts", "args", "aux_addresses"];
    match &node.data {
        Data::Null => Value::Null,
        Data::Scalar { text, plain } if *plain && !texts => number(text).unwrap_or_else(|| escaped(text)),
        Data::Scalar { text, .. } => escaped(text),
        Data::List(items) => items.iter().map(|item| value(item, texts)).collect(),
        Data::Map(map) => {
            let entries = map.0.iter();
            let below = |key: &str| texts || TEXTS.contains(&key);
            let entries = entries.map(|entry| (entry.key.clone(), value(&entry.node, below(&entry.key))));
            Value::Object(entries.collect())
        }
    }
}

/// A number or truth value that is written as `text`, and not only read as one: `1.50` is a text.
fn number(text: &str) -> Option<Value> {
    let found: Value = serde_json::from_str(text).ok()?;
    let written = found.to_string();
    (matches!(found, Value::Number(_) | Value::Bool(_)) && written == text).then_some(found)
}

/// A text whose dollar signs stand for themselves when it is read again.
fn escaped(text: &str) -> Value {
    text.replace('$', "$$").into()
}

fn object(value: Value) -> Object<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Object::new(),
    }
}

fn networks(tree: &Node, project: &Project) -> Value {
    let declared = tree.get("networks");
    // Networks that `network_mode` names are not declared.
    let of_file = project.networks.values().filter(|network| !network.key.contains(':'));
    let network = |network: &crate::project::ProjectNetwork| {
        let node = declared.and_then(|networks| networks.get(&network.key));
        let mut map = node.map_or_else(Object::new, |node| object(value(node, false)));
        map.insert("name".into(), network.name.clone().into());
        (network.key.clone(), Value::Object(map))
    };
    Value::Object(of_file.map(network).collect())
}

fn services(tree: &Node, project: &Project) -> Value {
    let nodes = tree.get("services").map_or(&[][..], Node::entries);
    let mut services = Object::new();
    for found in nodes {
        if let Some(service) = project.services.iter().find(|service| service.name == found.key) {
            services.insert(found.key.clone(), self::service(&found.node, service, project));
        }
    }
    Value::Object(services)
}

/// A service, with what was read from other files and what follows from its keys.
fn service(node: &Node, service: &Service, project: &Project) -> Value {
    let mut map = object(value(node, false));
    for key in ["env_file", "label_file", "links"] {
        map.remove(key);
    }
    let texts = |pairs: &std::collections::BTreeMap<String, String>| -> Value {
        pairs.iter().map(|(key, text)| (key.clone(), escaped(text))).collect()
    };
    let words = |words: &Option<Vec<String>>| -> Option<Value> {
        Some(words.as_ref()?.iter().map(|word| escaped(word)).collect())
    };
    let links = service.links.iter().map(|link| escaped(&format!("{}:{}", link.service, link.alias)));
    let links: Vec<Value> = links.collect();
    let filled = [
        ("command", words(&service.command)),
        ("entrypoint", words(&service.entrypoint)),
        ("environment", (!service.environment.is_empty()).then(|| texts(&service.environment))),
        ("labels", (!service.labels.is_empty()).then(|| texts(&service.labels))),
        ("depends_on", (!service.depends_on.is_empty()).then(|| depends_on(service))),
        ("links", (!links.is_empty()).then_some(Value::Array(links))),
    ];
    for (key, value) in filled {
        match value {
            Some(value) => map.insert(key.into(), value),
            None => map.remove(key),
        };
    }
    networking(&mut map, &service.networking);
    let ours = map.entry("x-pontoon").or_insert_with(|| json!({}));
    if let Value::Object(ours) = ours {
        ours.remove(DEFAULT_RUNTIME);
        ours.insert("runtime".into(), runtime(&service.runtime).into());
        if let Some(Value::Object(expect)) = ours.get_mut("expect") {
            active_targets(expect, project);
        }
    }
    Value::Object(map)
}

/// Names the default network where none is named, and the host's or none by its mode.
fn networking(map: &mut Object<String, Value>, networking: &Networking) {
    let mode = match networking {
        Networking::Networks(_) if map.contains_key("network_mode") => return,
        Networking::Networks(_) if map.get("networks").is_none_or(is_empty) => {
            map.insert("networks".into(), json!({"default": null}));
            return;
        }
        Networking::Host => "host",
        Networking::None => "none",
        Networking::Networks(_) | Networking::Service(_) | Networking::Container(_) => return,
    };
    map.remove("networks");
    map.insert("network_mode".into(), mode.into());
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.is_empty(),
        other => other.is_null(),
    }
}

fn runtime(runtime: &Runtime) -> &str {
    match runtime {
        Runtime::Process { .. } => "process",
        Runtime::Docker { .. } => "docker",
        Runtime::Podman { .. } => "podman",
        Runtime::Oci { program, .. } => program.as_deref().unwrap_or("oci"),
    }
}

fn depends_on(service: &Service) -> Value {
    let entry = |dependency: &crate::project::Dependency| {
        let condition = match dependency.condition {
            Condition::Started => "service_started",
            Condition::Healthy => "service_healthy",
            Condition::CompletedSuccessfully => "service_completed_successfully",
        };
        let (restart, required) = (dependency.restart, dependency.required);
        let value = json!({"condition": condition, "restart": restart, "required": required});
        (dependency.service.clone(), value)
    };
    Value::Object(service.depends_on.iter().map(entry).collect())
}

/// Leaves out expectations of services that are not active.
fn active_expectations(ours: &mut Object<String, Value>, project: &Project) {
    let Some(Value::Object(expect)) = ours.get_mut("expect") else { return };
    expect.retain(|from, _| !project.inactive.contains(from));
    for value in expect.values_mut() {
        if let Value::Object(expect) = value {
            active_targets(expect, project);
        }
    }
}

/// Leaves out targets that are services that are not active.
fn active_targets(expect: &mut Object<String, Value>, project: &Project) {
    let inactive = |target: &Value| {
        let host = target.as_str().and_then(|text| text.split([':', '/']).next());
        host.is_some_and(|host| project.inactive.iter().any(|name| name == host))
    };
    for key in ["reach", "deny"] {
        match expect.get_mut(key) {
            Some(Value::Array(targets)) => targets.retain(|target| !inactive(target)),
            Some(target) if inactive(target) => {
                expect.remove(key);
            }
            _ => {}
        }
    }
}

fn cable(cable: &Cable) -> Value {
    let mut map = Object::new();
    map.insert("ends".into(), cable.ends.iter().map(end).collect());
    map.extend(cable.mtu.map(|mtu| ("mtu".into(), mtu.into())));
    map.extend(cable.impair.as_ref().map(|what| ("impair".into(), impair(what))));
    Value::Object(map)
}

fn end(end: &CableEnd) -> Value {
    let place = match &end.place {
        Place::Host => "host",
        Place::Service(name) => name,
    };
    let mut map = Object::from_iter([("at".to_owned(), Value::from(place))]);
    map.extend(end.ifname.as_ref().map(|name| ("interface".into(), escaped(name.as_str()))));
    if !end.addresses.is_empty() {
        let addresses = end.addresses.iter().map(|address| Value::from(address.to_string()));
        map.insert("addresses".into(), addresses.collect());
    }
    map.extend(end.gateway.map(|gateway| ("gateway".into(), gateway.to_string().into())));
    Value::Object(map)
}

fn impair(impair: &Impair) -> Value {
    let time = |time: Option<std::time::Duration>| time.map(|time| Value::from(duration::print(time)));
    let entries = [
        ("rate", impair.rate.map(|rate| format!("{rate}bit").into())),
        ("delay", time(impair.delay)),
        ("jitter", time(impair.jitter)),
        ("loss", impair.loss.map(|loss| format!("{loss}%").into())),
    ];
    let entries = entries.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
    Value::Object(entries.collect())
}

/// Writes `key: value` with what is below it.
fn entry(text: &mut String, depth: usize, key: &str, value: &Value) {
    text.push_str(&"  ".repeat(depth));
    text.push_str(&scalar(key));
    text.push(':');
    below(text, depth + 1, value);
}

/// Writes a value behind a colon, or on lines of its own.
fn below(text: &mut String, depth: usize, value: &Value) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            text.push('\n');
            map.iter().for_each(|(key, value)| entry(text, depth, key, value));
        }
        Value::Array(items) if !items.is_empty() => {
            text.push('\n');
            items.iter().for_each(|item| list_item(text, depth, item));
        }
        other => {
            text.push(' ');
            text.push_str(&leaf(other));
            text.push('\n');
        }
    }
}

/// Writes `- value`.
fn list_item(text: &mut String, depth: usize, item: &Value) {
    text.push_str(&"  ".repeat(depth));
    text.push('-');
    match item {
        Value::Object(map) if !map.is_empty() => {
            // The first key stands behind the dash, where two more blanks would bring it.
            let start = text.len();
            map.iter().for_each(|(key, value)| entry(text, depth + 1, key, value));
            text.replace_range(start..start + 2 * depth + 1, "");
        }
        other => below(text, depth + 1, other),
    }
}

fn leaf(value: &Value) -> String {
    match value {
        Value::String(text) => scalar(text),
        Value::Object(_) => "{}".into(),
        Value::Array(_) => "[]".into(),
        other => other.to_string(),
    }
}

/// A text as YAML: bare where it can only be a text, else in quotes, whose escapes are those of JSON.
fn scalar(text: &str) -> String {
    const WORDS: [&str; 9] = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    let letter = |byte: u8| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'/');
    let bare = |byte: u8| letter(byte) || byte.is_ascii_digit() || b".@+-:= ".contains(&byte);
    let is_bare = text.bytes().next().is_some_and(letter)
        && text.bytes().all(bare)
        && !text.contains(": ")
        && !text.ends_with([':', ' '])
        && !WORDS.contains(&text.to_ascii_lowercase().as_str());
    if is_bare { text.to_owned() } else { Value::from(text).to_string() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::yaml::parse;

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "\\PC{0,8}|[a-z:# -]{0,6}|true|no|~|1e3".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map("\\PC{1,4}|[a-z]{1,3}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    /// A node as what was written: [`value`] without the doubled dollar signs.
    fn read(node: &Node) -> Value {
        match &node.data {
            Data::Scalar { text, plain: false } => text.as_str().into(),
            Data::List(items) => items.iter().map(read).collect(),
            Data::Map(map) => {
                Value::Object(map.0.iter().map(|entry| (entry.key.clone(), read(&entry.node))).collect())
            }
            _ => value(node, false),
        }
    }

    proptest! {
        #[test]
        fn what_is_written_as_yaml_is_read_again(document in any_value()) {
            let document = json!({"name": "p", "k": document});
            let config = Config { document: document.clone(), warnings: Vec::new() };
            let text = config.yaml();
            prop_assert!(text.starts_with("name: p\n"));
            let nodes = parse(&text, "f").map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
            prop_assert_eq!(read(&nodes[0]), document, "{}", text);
        }
    }
}
