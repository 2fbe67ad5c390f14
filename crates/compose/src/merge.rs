//! Files over one another.
//!
//! Source: the Compose Specification, "Merge".

use crate::yaml::{Data, Entry, Merging, Node};

/// How lists come together.
enum Rule {
    /// The later replaces the earlier.
    Replace,
    /// The later's items follow the earlier's, but for those that are the same.
    Append,
    /// As [`Rule::Append`], and items that have the same key come together as one.
    Unique(fn(&Node) -> Option<String>),
}

/// The rule for a place; its parts are matched from the top, `*` is any.
const RULES: &[(&[&str], Rule)] = &[
    (&["services", "*", "command"], Rule::Replace),
    (&["services", "*", "entrypoint"], Rule::Replace),
    (&["services", "*", "healthcheck", "test"], Rule::Replace),
    (&["services", "*", "ports"], Rule::Unique(port)),
    (&["services", "*", "env_file"], Rule::Unique(|node| named(node, &["path"]))),
    (&["services", "*", "extra_hosts"], Rule::Append),
    (&["services", "*", "volumes"], Rule::Unique(mount)),
    (&["services", "*", "devices"], Rule::Unique(mount)),
    (&["services", "*", "configs"], Rule::Unique(|node| named(node, &["target", "source"]))),
    (&["services", "*", "secrets"], Rule::Unique(|node| named(node, &["target", "source"]))),
    (&["networks", "*", "ipam", "config"], Rule::Unique(|node| named(node, &["subnet"]))),
];

fn rule(place: &[String]) -> &'static Rule {
    let fits = |pattern: &[&str]| {
        pattern.len() == place.len()
            && pattern.iter().zip(place).all(|(part, key)| *part == "*" || part == key)
    };
    RULES.iter().find(|(pattern, _)| fits(pattern)).map_or(&Rule::Append, |(_, rule)| rule)
}

/// Lays `over` on `base`. Both are in the long forms of the crate's `canonical`.
pub(crate) fn merge(base: &mut Node, over: Node) {
    lay(base, over, &mut Vec::new());
}

/// Lays a service on the one that it extends.
pub(crate) fn merge_service(base: &mut Node, over: Node) {
    lay(base, over, &mut vec!["services".into(), "*".into()]);
}

fn lay(base: &mut Node, over: Node, place: &mut Vec<String>) {
    // An environment variable without a value is one: it comes from outside.
    let null_counts = place.iter().any(|key| key == "environment");
    if over.merging != Merging::Usual || base.merging == Merging::Reset || base.is_null() {
        *base = over;
        return;
    }
    match (&mut base.data, over.data) {
        (_, Data::Null) if !null_counts => {}
        (Data::Map(map), Data::Map(from)) => {
            for Entry { key, at, node } in from.0 {
                place.push(key);
                let key = place.last().cloned().unwrap_or_default();
                match map.get_mut(&key) {
                    Some(there) => lay(there, node, place),
                    None => map.0.push(Entry { key, at, node }),
                }
                place.pop();
            }
        }
        (Data::List(items), Data::List(from)) => match rule(place) {
            Rule::Replace => *items = from,
            Rule::Append => append(items, from, |_| None, place),
            Rule::Unique(key) => append(items, from, key, place),
        },
        (_, data) => {
            base.data = data;
            base.at = over.at;
        }
    }
}

fn append(
    items: &mut Vec<Node>,
    from: Vec<Node>,
    key: impl Fn(&Node) -> Option<String>,
    place: &mut Vec<String>,
) {
    for node in from {
        let this = key(&node);
        let of_key = |item: &Node| this.is_some() && key(item) == this;
        match items.iter().position(|item| of_key(item) || item.same(&node)) {
            Some(there) if this.is_some() => lay(&mut items[there], node, place),
            Some(_) => {}
            None => items.push(node),
        }
    }
}

/// Takes away what `!reset` marks, once all files are merged.
pub(crate) fn settle(node: &mut Node) {
    node.merging = Merging::Usual;
    match &mut node.data {
        Data::Map(map) => {
            map.0.retain(|entry| entry.node.merging != Merging::Reset);
            map.0.iter_mut().for_each(|entry| settle(&mut entry.node));
        }
        Data::List(items) => {
            items.retain(|item| item.merging != Merging::Reset);
            items.iter_mut().for_each(settle);
        }
        Data::Null | Data::Scalar { .. } => {}
    }
}

/// The first of these keys that a mapping has, or a text itself.
fn named(node: &Node, keys: &[&str]) -> Option<String> {
    let of_map = || keys.iter().find_map(|key| node.get(key)?.as_text());
    node.as_text().or_else(of_map).map(str::to_owned)
}

/// A port in the long form: its address, ports and protocol.
fn port(node: &Node) -> Option<String> {
    node.as_map()?;
    let part = |key: &str| node.get(key).and_then(Node::as_text).unwrap_or_default();
    Some(["host_ip", "published", "target", "protocol"].map(part).join("|"))
}

/// What a volume or device is in the container: `target`, or the second part of the short form.
fn mount(node: &Node) -> Option<String> {
    match node.as_text() {
        Some(text) => text.split(':').nth(1).or(Some(text)).map(str::to_owned),
        None => named(node, &["target"]),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::yaml::parse;

    fn one(text: &str) -> Node {
        parse(text, "f").unwrap_or_else(|error| panic!("{text}: {error}")).remove(0)
    }

    fn merged(base: &str, over: &str) -> Node {
        let mut base = one(base);
        merge(&mut base, one(over));
        settle(&mut base);
        base
    }

    #[test]
    fn the_rules_of_the_specification_hold() {
        for (base, over, becomes) in [
            ("{a: 1, b: 2}", "{b: 3, c: 4}", "{a: 1, b: 3, c: 4}"),
            ("{l: [1]}", "{l: [2, 1]}", "{l: [1, 2]}"),
            (
                "services: {a: {command: [x]}}",
                "services: {a: {command: [y]}}",
                "services: {a: {command: [y]}}",
            ),
            (
                "services: {a: {healthcheck: {test: [x], retries: 1}}}",
                "services: {a: {healthcheck: {test: [y]}}}",
                "services: {a: {healthcheck: {test: [y], retries: 1}}}",
            ),
            (
                "services: {a: {volumes: ['foo:/work', 'x:/y']}}",
                "services: {a: {volumes: ['bar:/work']}}",
                "services: {a: {volumes: ['bar:/work', 'x:/y']}}",
            ),
            (
                "services: {a: {ports: [{target: 80, published: 1, protocol: tcp}]}}",
                "services: {a: {ports: [{target: 80, published: 1, protocol: tcp, name: n}, {target: 81}]}}",
                "services: {a: {ports: [{target: 80, published: 1, protocol: tcp, name: n}, {target: 81}]}}",
            ),
            (
                "services: {a: {ports: [1], environment: {FOO: BAR}}}",
                "services: {a: {ports: !reset [], environment: {FOO: !reset null}}}",
                "services: {a: {environment: {}}}",
            ),
            (
                "services: {a: {ports: [1]}}",
                "services: {a: {ports: !override [2]}}",
                "services: {a: {ports: [2]}}",
            ),
            ("{a: 1}", "{a: null}", "{a: 1}"),
            (
                "services: {a: {environment: {A: x}}}",
                "services: {a: {environment: {A: null}}}",
                "services: {a: {environment: {A: null}}}",
            ),
            (
                "networks: {n: {ipam: {config: [{subnet: s, gateway: g}]}}}",
                "networks: {n: {ipam: {config: [{subnet: s, ip_range: r}, {subnet: t}]}}}",
                "networks: {n: {ipam: {config: [{subnet: s, gateway: g, ip_range: r}, {subnet: t}]}}}",
            ),
        ] {
            let found = merged(base, over);
            assert!(found.same(&one(becomes)), "{base} and {over}: {found:?}");
        }
    }

    fn any_node() -> impl Strategy<Value = String> {
        let leaf = prop_oneof!["[a-c]", "[0-9]", Just("null".to_owned())];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4)
                    .prop_map(|items| format!("[{}]", items.join(", "))),
                proptest::collection::btree_map("[a-c]", inner, 0..4).prop_map(|map| {
                    let items: Vec<String> =
                        map.iter().map(|(key, value)| format!("{key}: {value}")).collect();
                    format!("{{{}}}", items.join(", "))
                }),
            ]
        })
    }

    /// Texts below `a` to `c`, lists below `l` and `m`.
    fn any_flat() -> impl Strategy<Value = String> {
        let list = proptest::collection::vec("[0-9]", 1..5);
        let lists = proptest::collection::btree_map("[lm]", list, 0..3);
        let texts = proptest::collection::btree_map("[a-c]", "[0-9]", 0..4);
        (texts, lists).prop_map(|(texts, lists)| {
            let texts = texts.iter().map(|(key, value)| format!("{key}: {value}"));
            let lists = lists.iter().map(|(key, items)| format!("{key}: [{}]", items.join(", ")));
            format!("{{k: {{{}}}}}", texts.chain(lists).collect::<Vec<_>>().join(", "))
        })
    }

    proptest! {
        #[test]
        fn a_file_over_itself_changes_nothing(text in any_node()) {
            prop_assume!(text != "null");
            let once = merged(&text, &text);
            prop_assert!(merged(&text, &text).same(&once));
            let mut twice = once.clone();
            merge(&mut twice, one(&text));
            prop_assert!(twice.same(&once));
        }

        #[test]
        fn what_only_one_file_has_is_kept(left in any_node(), right in any_node()) {
            let found = merged(&format!("{{l: {left}}}"), &format!("{{r: {right}}}"));
            let expected = one(&format!("{{l: {left}, r: {right}}}"));
            prop_assert!(found.same(&expected));
        }

        #[test]
        fn an_override_takes_all(left in any_node(), right in any_node()) {
            let found = merged(&format!("{{k: {left}}}"), &format!("{{k: !override {right}}}"));
            let expected = one(&format!("{{k: {right}}}"));
            prop_assert!(found.same(&expected));
        }

        #[test]
        fn it_does_not_matter_which_two_are_merged_first(a in any_flat(), b in any_flat(), c in any_flat()) {
            let mut left = merged(&a, &b);
            merge(&mut left, one(&c));
            let mut right = one(&a);
            merge(&mut right, merged(&b, &c));
            prop_assert!(left.same(&right));
        }
    }
}
