//! Everything about a host that an operation may change and must put back.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::Host;

/// A host's state as text, in sections. Two of the same host can be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot(BTreeMap<String, String>);

/// Timers, lifetimes, counters and whether a link has carrier: they change by themselves, or with another link. So
/// does what a bridge takes over from its first port and keeps when that is gone.
const VOLATILE: [&str; 12] = [
    "refcnt",
    "tso_max_size",
    "operstate",
    "hello_timer",
    "tcn_timer",
    "topology_change_timer",
    "gc_timer",
    "valid_life_time",
    "preferred_life_time",
    "expires",
    "used",
    "updated",
];

/// Flags that say whether a link has carrier.
const CARRIER: [&str; 4] = ["LOWER_UP", "NO-CARRIER", "linkdown", "dead"];

/// What iproute2 knows: the section's name, the command.
///
/// Of neighbours and of the FDB only what is permanent: the rest is learned and forgotten by itself.
const COMMANDS: [(&str, &str); 11] = [
    ("links", "ip -j -d link"),
    ("addresses", "ip -j address"),
    ("routes IPv4", "ip -j -4 route show table all"),
    ("routes IPv6", "ip -j -6 route show table all"),
    ("rules IPv4", "ip -j -4 rule"),
    ("rules IPv6", "ip -j -6 rule"),
    ("neighbours", "ip -j neighbour show nud permanent"),
    ("fdb", "bridge -j fdb show state permanent 2>/dev/null || bridge -j fdb"),
    ("vlans", "bridge -j vlan"),
    ("queueing disciplines", "tc -j qdisc"),
    ("next hops", "ip -j nexthop"),
];

/// Directories of kernel parameters, each read whole.
const SYSCTLS: [&str; 7] = [
    "net/ipv4/conf/all",
    "net/ipv4/conf/default",
    "net/ipv6/conf/all",
    "net/ipv6/conf/default",
    "net/ipv4",
    "net/bridge",
    "net/netfilter",
];

/// Parameters that change by themselves.
const VOLATILE_SYSCTLS: [&str; 2] = ["stable_secret", "nf_conntrack_count"];

impl Host {
    /// The state of this host: links, addresses, routes, rules, permanent neighbours, bridge FDB, queueing disciplines, nftables,
    /// kernel parameters, names of namespaces, mounts, files of `/run/pontoon` and of `/etc`.
    ///
    /// # Panics
    ///
    /// When `ip`, `bridge`, `tc` or `nft` is not installed.
    #[track_caller]
    pub fn snapshot(&self) -> Snapshot {
        self.snapshot_of("host")
    }

    /// As [`Host::snapshot`], with the network state of another place.
    ///
    /// # Panics
    ///
    /// As [`Host::snapshot`].
    #[track_caller]
    pub fn snapshot_of(&self, place: &str) -> Snapshot {
        for tool in ["ip", "bridge", "tc", "nft"] {
            self.need(tool);
        }
        let mut sections = BTreeMap::new();
        for (section, command) in COMMANDS {
            sections.insert(section.to_owned(), lines_of(self.json_in(place, command)));
        }
        sections.insert("nft".into(), self.sh_in(place, "nft --stateless list ruleset"));
        let sysctls = self.netns(place).enter(sysctls).expect("the namespace can be entered");
        sections.insert("sysctls".into(), sysctls);
        sections.insert("/run/netns".into(), tree(Path::new("/run/netns")));
        sections.insert("/run/pontoon".into(), tree(Path::new("/run/pontoon")));
        sections.insert("mounts".into(), mounts());
        for file in ["/etc/resolv.conf", "/etc/hosts", "/etc/hostname"] {
            sections.insert(file.into(), fs::read_to_string(file).unwrap_or_else(|error| error.to_string()));
        }
        Snapshot(sections)
    }
}

impl Snapshot {
    /// One section's text; empty when there is no such section.
    pub fn section(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// The same without a section that is expected to change, such as `/run/pontoon`.
    #[must_use]
    pub fn without(mut self, section: &str) -> Snapshot {
        self.0.remove(section);
        self
    }

    /// The same without the lines that have a certain text in them.
    #[must_use]
    pub fn without_lines(mut self, text: &str) -> Snapshot {
        for section in self.0.values_mut() {
            let kept = section.lines().filter(|line| !line.contains(text));
            *section = kept.map(|line| format!("{line}\n")).collect();
        }
        self
    }

    /// What is different later: lines that went with `-`, lines that came with `+`, under their section.
    pub fn changes(&self, later: &Snapshot) -> String {
        let mut changes = String::new();
        for (section, before) in &self.0 {
            let Some(after) = later.0.get(section) else { continue };
            let gone = before.lines().filter(|line| !after.lines().any(|other| other == *line));
            let new = after.lines().filter(|line| !before.lines().any(|other| other == *line));
            let gone = gone.map(|line| format!("  - {line}\n"));
            let lines: String = gone.chain(new.map(|line| format!("  + {line}\n"))).collect();
            if !lines.is_empty() {
                changes += &format!("{section}:\n{lines}");
            } else if before != after {
                changes += &format!("{section}: the same lines in another order or number\n");
            }
        }
        changes
    }

    /// Fails the test when anything is different later.
    ///
    /// # Panics
    ///
    /// With the changes, if there are any.
    #[track_caller]
    pub fn assert_unchanged(&self, later: &Snapshot) {
        let changes = self.changes(later);
        assert!(changes.is_empty(), "the host has changed:\n{changes}");
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (section, text) in &self.0 {
            writeln!(f, "## {section}\n\n{}\n", text.trim_end())?;
        }
        Ok(())
    }
}

/// One line per object of a list, sorted.
fn lines_of(list: Value) -> String {
    let Value::Array(objects) = list else { return list.to_string() };
    let mut lines: Vec<_> = objects
        .into_iter()
        .map(|mut object| {
            strip(&mut object);
            object.to_string()
        })
        // `ip -j -d` leaves empty objects for what a filter hides.
        .filter(|line| line != "{}")
        .collect();
    lines.sort();
    lines.join("\n")
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| !VOLATILE.contains(&name.as_str()));
            fields.values_mut().for_each(strip);
        }
        Value::Array(values) => {
            values.retain(|value| !value.as_str().is_some_and(|flag| CARRIER.contains(&flag)));
            values.iter_mut().for_each(strip);
        }
        _ => {}
    }
}

fn sysctls() -> String {
    let mut lines = Vec::new();
    for directory in SYSCTLS {
        // net/bridge and net/netfilter come with their modules.
        let Ok(entries) = fs::read_dir(Path::new("/proc/sys").join(directory)) else { continue };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let file = entry.file_type().is_ok_and(|kind| kind.is_file());
            if file && !VOLATILE_SYSCTLS.contains(&name.as_str()) {
                // A few cannot be read, such as route/flush.
                let value = fs::read_to_string(entry.path()).unwrap_or_default();
                lines.push(format!("{directory}/{name} = {}", value.trim_end().replace('\n', "; ")));
            }
        }
    }
    lines.sort();
    lines.join("\n")
}

fn tree(directory: &Path) -> String {
    let mut lines = Vec::new();
    collect(directory, &mut lines);
    lines.sort();
    lines.join("\n")
}

fn collect(directory: &Path, lines: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        lines.push(entry.path().display().to_string());
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect(&entry.path(), lines);
        }
    }
}

/// Where something is mounted, and what: without the numbers, which change.
fn mounts() -> String {
    let text = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let mut lines: Vec<_> =
        text.lines().map(|line| line.split(' ').take(3).collect::<Vec<_>>().join(" ")).collect();
    lines.sort();
    lines.join("\n")
}
