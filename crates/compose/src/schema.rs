//! Which keys there are, and what can stand behind them.
//!
//! Source: the Compose Specification's `schema/compose-spec.json`.

use pontoon_model::diagnose::near;

use crate::error::Fault;
use crate::report::Report;
use crate::yaml::{Data, Node};

/// What can stand somewhere. Nothing (`null`) can stand everywhere, and means that it is left out.
#[derive(Debug)]
pub(crate) enum Shape {
    /// Anything: it is not read.
    Any,
    /// A text, number or truth value.
    Text,
    /// A list.
    List(&'static Shape),
    /// A mapping with keys of the file's choice.
    Free(&'static Shape),
    /// A mapping with these keys, and any that begin with `x-`.
    Keys(&'static [(&'static str, Shape)]),
    /// The one of these that is of the node's kind.
    Either(&'static [Shape]),
}

use Shape::{Any, Either, Free, Keys, List, Text};

const TEXTS: Shape = List(&Text);
const TEXT_OR_TEXTS: Shape = Either(&[Text, TEXTS]);
/// `[A=1, B]` or `{A: 1, B: null}`.
const PAIRS: Shape = Either(&[TEXTS, Free(&Text)]);

/// A whole file.
pub(crate) const FILE: Shape = Keys(&[
    ("version", Text),
    ("name", Text),
    ("include", List(&Either(&[Text, INCLUDE]))),
    ("services", Free(&SERVICE)),
    ("networks", Free(&NETWORK)),
    ("volumes", Free(&Any)),
    ("configs", Free(&Any)),
    ("secrets", Free(&Any)),
    ("models", Free(&Any)),
    ("x-pontoon", PONTOON),
]);

const INCLUDE: Shape =
    Keys(&[("path", TEXT_OR_TEXTS), ("project_directory", Text), ("env_file", TEXT_OR_TEXTS)]);

const NETWORK: Shape = Keys(&[
    ("name", Text),
    ("driver", Text),
    ("driver_opts", Free(&Text)),
    (
        "ipam",
        Keys(&[
            ("driver", Text),
            (
                "config",
                List(&Keys(&[
                    ("subnet", Text),
                    ("ip_range", Text),
                    ("gateway", Text),
                    ("aux_addresses", Free(&Text)),
                ])),
            ),
            ("options", Free(&Text)),
        ]),
    ),
    ("external", Either(&[Text, Keys(&[("name", Text)])])),
    ("internal", Text),
    ("enable_ipv4", Text),
    ("enable_ipv6", Text),
    ("attachable", Text),
    ("labels", PAIRS),
]);

const JOINED: Shape = Keys(&[
    ("aliases", TEXTS),
    ("interface_name", Text),
    ("ipv4_address", Text),
    ("ipv6_address", Text),
    ("link_local_ips", TEXTS),
    ("mac_address", Text),
    ("driver_opts", Free(&Text)),
    ("priority", Text),
    ("gw_priority", Text),
]);

const PORT: Shape = Keys(&[
    ("name", Text),
    ("mode", Text),
    ("host_ip", Text),
    ("target", Text),
    ("published", Text),
    ("protocol", Text),
    ("app_protocol", Text),
]);

const HEALTH_CHECK: Shape = Keys(&[
    ("disable", Text),
    ("interval", Text),
    ("retries", Text),
    ("test", TEXT_OR_TEXTS),
    ("timeout", Text),
    ("start_period", Text),
    ("start_interval", Text),
]);

const DEPLOY: Shape = Keys(&[
    ("mode", Text),
    ("endpoint_mode", Text),
    ("replicas", Text),
    ("labels", PAIRS),
    ("rollback_config", Any),
    ("update_config", Any),
    ("resources", Any),
    (
        "restart_policy",
        Keys(&[("condition", Text), ("delay", Text), ("max_attempts", Text), ("window", Text)]),
    ),
    ("placement", Any),
]);

const SERVICE: Shape = Keys(&[
    ("annotations", PAIRS),
    ("attach", Text),
    ("blkio_config", Any),
    ("build", Any),
    ("cap_add", TEXTS),
    ("cap_drop", TEXTS),
    ("cgroup", Text),
    ("cgroup_parent", Text),
    ("command", TEXT_OR_TEXTS),
    ("configs", List(&Any)),
    ("container_name", Text),
    ("cpu_count", Text),
    ("cpu_percent", Text),
    ("cpu_period", Text),
    ("cpu_quota", Text),
    ("cpu_rt_period", Text),
    ("cpu_rt_runtime", Text),
    ("cpu_shares", Text),
    ("cpus", Text),
    ("cpuset", Text),
    ("credential_spec", Any),
    (
        "depends_on",
        Either(&[TEXTS, Free(&Keys(&[("condition", Text), ("restart", Text), ("required", Text)]))]),
    ),
    ("deploy", DEPLOY),
    ("develop", Any),
    ("device_cgroup_rules", TEXTS),
    ("devices", List(&Any)),
    ("dns", TEXT_OR_TEXTS),
    ("dns_opt", TEXTS),
    ("dns_search", TEXT_OR_TEXTS),
    ("domainname", Text),
    ("entrypoint", TEXT_OR_TEXTS),
    (
        "env_file",
        Either(&[
            Text,
            List(&Either(&[Text, Keys(&[("path", Text), ("required", Text), ("format", Text)])])),
        ]),
    ),
    ("environment", PAIRS),
    ("expose", TEXTS),
    ("extends", Either(&[Text, Keys(&[("service", Text), ("file", Text)])])),
    ("external_links", TEXTS),
    ("extra_hosts", Either(&[TEXTS, Free(&TEXT_OR_TEXTS)])),
    ("gpus", Any),
    ("group_add", TEXTS),
    ("healthcheck", HEALTH_CHECK),
    ("hostname", Text),
    ("image", Text),
    ("init", Text),
    ("ipc", Text),
    ("isolation", Text),
    ("label_file", TEXT_OR_TEXTS),
    ("labels", PAIRS),
    ("links", TEXTS),
    ("logging", Any),
    ("mac_address", Text),
    ("mem_limit", Text),
    ("mem_reservation", Text),
    ("mem_swappiness", Text),
    ("memswap_limit", Text),
    ("models", Any),
    ("network_mode", Text),
    ("networks", Either(&[TEXTS, Free(&JOINED)])),
    ("oom_kill_disable", Text),
    ("oom_score_adj", Text),
    ("pid", Text),
    ("pids_limit", Text),
    ("platform", Text),
    ("ports", List(&Either(&[Text, PORT]))),
    ("post_start", List(&Any)),
    ("pre_stop", List(&Any)),
    ("privileged", Text),
    ("profiles", TEXTS),
    ("provider", Any),
    ("pull_policy", Text),
    ("pull_refresh_after", Text),
    ("read_only", Text),
    ("restart", Text),
    ("runtime", Text),
    ("scale", Text),
    ("secrets", List(&Any)),
    ("security_opt", TEXTS),
    ("shm_size", Text),
    ("stdin_open", Text),
    ("stop_grace_period", Text),
    ("stop_signal", Text),
    ("storage_opt", Any),
    ("sysctls", PAIRS),
    ("tmpfs", TEXT_OR_TEXTS),
    ("tty", Text),
    ("ulimits", Any),
    ("use_api_socket", Text),
    ("user", Text),
    ("userns_mode", Text),
    ("uts", Text),
    ("volumes", List(&Any)),
    ("volumes_from", TEXTS),
    ("working_dir", Text),
    ("x-pontoon", SERVICE_PONTOON),
]);

const IMPAIR: Shape =
    Keys(&[("network", Text), ("rate", Text), ("delay", Text), ("jitter", Text), ("loss", Text)]);

const EXPECT: Shape = Keys(&[("reach", TEXT_OR_TEXTS), ("deny", TEXT_OR_TEXTS), ("within", Text)]);

const CABLE_END: Shape =
    Keys(&[("at", Text), ("interface", Text), ("addresses", TEXT_OR_TEXTS), ("gateway", Text)]);

const PONTOON: Shape = Keys(&[
    ("runtime", Text),
    (
        "links",
        List(&Either(&[
            Text,
            Keys(&[
                ("ends", List(&Either(&[Text, CABLE_END]))),
                ("mtu", Text),
                ("impair", Keys(&[("rate", Text), ("delay", Text), ("jitter", Text), ("loss", Text)])),
            ]),
        ])),
    ),
    ("expect", Free(&EXPECT)),
]);

const SERVICE_PONTOON: Shape = Keys(&[
    ("runtime", Text),
    ("rootfs", Text),
    ("bundle", Text),
    ("routes", List(&Either(&[Text, Keys(&[("to", Text), ("via", Text), ("interface", Text)])]))),
    ("impair", Either(&[IMPAIR, List(&IMPAIR)])),
    ("expect", EXPECT),
]);

/// Notes keys that are not known, and nodes of another kind than can stand there.
pub(crate) fn check(node: &Node, shape: &Shape, place: &str, report: &mut Report) {
    let fits = |shape: &&Shape| {
        matches!(
            (&node.data, shape),
            (_, Any)
                | (Data::Scalar { .. }, Text)
                | (Data::List(_), List(_))
                | (Data::Map(_), Free(_) | Keys(_))
        )
    };
    if node.is_null() {
        return;
    }
    let choices = match shape {
        Either(choices) => choices,
        one => std::slice::from_ref(one),
    };
    let Some(shape) = choices.iter().find(fits) else {
        let place = if place.is_empty() { "the file".into() } else { format!("`{place}`") };
        let fault = Fault::Kind { place, expected: expected(choices), found: node.kind() };
        return report.error(&node.at, fault);
    };
    match shape {
        List(inner) => {
            for (number, item) in node.as_list().into_iter().flatten().enumerate() {
                check(item, inner, &format!("{place}[{number}]"), report);
            }
        }
        Free(inner) => {
            for entry in node.entries() {
                check(&entry.node, inner, &below(place, &entry.key), report);
            }
        }
        Keys(known) => keys(node, known, place, report),
        Any | Text | Either(_) => {}
    }
}

/// `services.web`, or `services` in the file itself.
pub(crate) fn below(place: &str, key: &str) -> String {
    if place.is_empty() { key.to_owned() } else { format!("{place}.{key}") }
}

fn keys(node: &Node, known: &'static [(&'static str, Shape)], place: &str, report: &mut Report) {
    for entry in node.entries() {
        match known.iter().find(|(key, _)| *key == entry.key) {
            Some((_, shape)) => check(&entry.node, shape, &below(place, &entry.key), report),
            None if entry.key.starts_with("x-") => {}
            None => {
                let names = || known.iter().map(|(name, _)| *name);
                let instead = match near(&entry.key, names()).first() {
                    Some(near) => format!("did you mean `{near}`?"),
                    None if known.len() <= 12 => {
                        format!("known keys: {}", names().collect::<Vec<_>>().join(", "))
                    }
                    None => "keys that begin with `x-` are left alone".into(),
                };
                let place = if place.is_empty() { "the file".into() } else { format!("`{place}`") };
                report.error(&entry.at, Fault::UnknownKey { key: entry.key.clone(), place, instead });
            }
        }
    }
}

fn expected(choices: &[Shape]) -> &'static str {
    let text = choices.iter().any(|shape| matches!(shape, Text));
    let list = choices.iter().any(|shape| matches!(shape, List(_)));
    let map = choices.iter().any(|shape| matches!(shape, Free(_) | Keys(_)));
    match (text, list, map) {
        (true, false, false) => "a text",
        (false, true, false) => "a list",
        (false, false, true) => "a mapping",
        (true, true, false) => "a text or a list",
        (true, false, true) => "a text or a mapping",
        (false, true, true) => "a list or a mapping",
        _ => "a text, a list or a mapping",
    }
}
