//! The state of several namespaces as text, which two ways to the same end must agree about.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use pontoon_testkit::{Host, Snapshot};
use serde_json::Value;

/// What there is, by namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dump {
    places: BTreeMap<String, Place>,
    files: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    snapshot: Snapshot,
    /// Settings of each interface; its neighbours; its state as a bridge port.
    more: Vec<String>,
}

impl Dump {
    #[track_caller]
    pub(crate) fn of<'a>(host: &Host, places: impl Iterator<Item = &'a str>) -> Self {
        let place = |name: &str| {
            let mut more = host.netns(name).enter(interface_settings).unwrap();
            more.extend(neighbours(host.json_in(name, "ip -j neighbour")));
            more.extend(host.sh_in(name, "bridge -d link").lines().map(str::to_owned));
            // The kernel's own business, now or a moment later: a router's anycast addresses, and the groups that it
            // joins to be found at its addresses.
            let snapshot = host.snapshot_of(name);
            let snapshot = snapshot.without_lines(r#""type":"anycast""#).without_lines(r#""mac":"33:33:ff"#);
            Place { snapshot, more }
        };
        let places = places.map(|name| (name.to_owned(), place(name))).collect();
        Self { places, files: files(Path::new("/etc/netns")) }
    }

    /// Forgets the host's switches, which an undo leaves as they are.
    pub(crate) fn without_switches(mut self) -> Self {
        for place in self.places.values_mut() {
            // A router listens to all routers' group, which the forwarding database shows.
            place.snapshot = place.snapshot.clone().without("sysctls").without("fdb");
            // The kernel changes `accept_redirects` along with `ip_forward`.
            let switches = ["forwarding =", "accept_ra =", "conf/all/accept_redirects ="];
            place.more.retain(|line| switches.iter().all(|switch| !line.contains(switch)));
        }
        self
    }

    /// Fails the test when the other one is different, with what is.
    #[track_caller]
    pub(crate) fn assert_same(&self, other: &Self, what: &str) {
        let mut changes = String::new();
        for (name, place) in &self.places {
            let Some(there) = other.places.get(name) else {
                changes += &format!("{name} is missing\n");
                continue;
            };
            changes += &place.snapshot.changes(&there.snapshot);
            changes += &differences(&place.more, &there.more);
        }
        changes += &differences(&self.files, &other.files);
        let strange = other.places.keys().filter(|name| !self.places.contains_key(*name));
        changes.extend(strange.map(|name| format!("{name} is there too\n")));
        assert!(changes.is_empty(), "{what}:\n{changes}");
    }
}

fn differences(before: &[String], after: &[String]) -> String {
    let gone = before.iter().filter(|line| !after.contains(line)).map(|line| format!("  - {line}\n"));
    let new = after.iter().filter(|line| !before.contains(line)).map(|line| format!("  + {line}\n"));
    gone.chain(new).collect()
}

/// `net/ipv4/conf/IF/*` and `net/ipv6/conf/IF/*` of the calling thread's namespace.
fn interface_settings() -> Vec<String> {
    let mut lines = Vec::new();
    for family in ["ipv4", "ipv6"] {
        let conf = Path::new("/proc/sys/net").join(family).join("conf");
        for interface in fs::read_dir(conf).unwrap().flatten() {
            for setting in fs::read_dir(interface.path()).unwrap().flatten() {
                // A few cannot be read, such as stable_secret.
                let value = fs::read_to_string(setting.path()).unwrap_or_default();
                lines.push(format!("{} = {}", setting.path().display(), value.trim_end()));
            }
        }
    }
    lines.sort();
    lines
}

/// Who is where: states and times change by themselves.
fn neighbours(list: Value) -> Vec<String> {
    let entries = list.as_array().cloned().unwrap_or_default();
    let known = entries.iter().filter(|entry| entry["lladdr"].is_string());
    known.map(|entry| format!("{} {} {}", entry["dev"], entry["dst"], entry["lladdr"])).collect()
}

fn files(folder: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            lines.push(path.display().to_string());
            lines.extend(files(&path));
        } else {
            lines.push(format!("{}: {:?}", path.display(), fs::read_to_string(&path).unwrap()));
        }
    }
    lines.sort();
    lines
}
