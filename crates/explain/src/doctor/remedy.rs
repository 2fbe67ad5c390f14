//! Whose things a command changes, and what takes it back.

use std::net::IpAddr;

use ipnet::IpNet;
use pontoon_model::observed::snapshot::{Link, Namespace, NeighbourState, Route, Snapshot};
use pontoon_model::op::Netns;
use pontoon_model::shell::quote;

use super::diagnosis::{Act, Diagnosis};
use crate::path::lookup;

/// `RT_TABLE_MAIN` of rtnetlink.h.
const MAIN: u32 = 254;

/// Says of each step of a fix whose things it changes, and what takes it back.
pub(super) fn complete(snapshot: &Snapshot, diagnosis: &mut Diagnosis) {
    for remedy in diagnosis.fix.iter_mut().filter(|remedy| remedy.act == Act::Run) {
        let Some(command) = Command::parse(snapshot, &remedy.command) else { continue };
        remedy.ours |= command.is_ours();
        remedy.undo = command.undo().or(remedy.undo.take());
    }
}

/// A command, taken apart.
struct Command<'a> {
    snapshot: &'a Snapshot,
    /// The namespace that it is for.
    namespace: &'a Namespace,
    words: Vec<String>,
}

impl<'a> Command<'a> {
    fn parse(snapshot: &'a Snapshot, text: &str) -> Option<Self> {
        let mut words = split(text);
        let host = snapshot.namespaces.first()?;
        let mut namespace = host;
        let leads = |prefix: &[&str]| {
            words.len() > prefix.len() && words.iter().zip(prefix).all(|(word, want)| word == want)
        };
        if leads(&["ip", "netns", "exec"]) {
            namespace = named(snapshot, &words[3])?;
            words.drain(..4);
        } else if leads(&["ip", "-n"]) {
            namespace = named(snapshot, &words[2])?;
            words.drain(1..3);
        } else if let Some(path) = words.first().filter(|word| *word == "nsenter").and(words.get(1)) {
            let path = path.strip_prefix("--net=")?;
            namespace = snapshot
                .namespaces
                .iter()
                .find(|one| matches!(&one.netns, Netns::Other { place, .. } if place.path() == path))?;
            words.drain(..2);
        }
        // `ip -6 route …` as `ip route …`.
        if words.first().is_some_and(|word| word == "ip") && words.get(1).is_some_and(|word| word == "-6") {
            words.remove(1);
        }
        Some(Self { snapshot, namespace, words })
    }

    fn word(&self, at: usize) -> &str {
        self.words.get(at).map_or("", String::as_str)
    }

    fn starts(&self, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(at, word)| self.word(at) == *word)
    }

    /// What follows a word.
    fn after(&self, word: &str) -> Option<&str> {
        let at = self.words.iter().position(|one| one == word)?;
        self.words.get(at + 1).map(String::as_str)
    }

    /// The interface that it names.
    fn dev(&self) -> Option<&str> {
        self.after("dev").or_else(|| self.starts(&["ip", "link", "set"]).then(|| self.word(3)))
    }

    fn link(&self) -> Option<&Link> {
        self.namespace.link_named(self.dev()?)
    }

    /// Whether what it changes was made by Pontoon: an interface of one of its networks, or a setting of that.
    fn is_ours(&self) -> bool {
        let route = self.starts(&["ip", "route"]);
        match self.word(0) {
            // Where the host sends packets is the administrator's to say.
            "ip" if route && self.namespace.is_host() => false,
            "ip" | "bridge" => self.dev().is_some_and(|name| self.is_our_link(name)),
            "sysctl" => {
                self.setting().and_then(|(key, _)| link_of(&key)).is_some_and(|name| self.is_our_link(&name))
            }
            "echo" => self
                .file()
                .is_some_and(|file| !self.namespace_of(&file).is_empty() && !file.starts_with("/etc/")),
            _ => false,
        }
    }

    /// The containers of ours whose name servers a file says.
    fn namespace_of(&self, file: &str) -> Vec<&Namespace> {
        let all = self.snapshot.namespaces.iter();
        all.filter(|one| one.resolver.as_deref() == Some(file) && !one.endpoints.is_empty()).collect()
    }

    fn is_our_link(&self, name: &str) -> bool {
        if !self.namespace.is_host() {
            return self.namespace.endpoints.iter().any(|endpoint| endpoint.ifname.as_str() == name);
        }
        let bridge = self.snapshot.networks.iter().any(|network| network.bridge_name.as_str() == name);
        let mut endpoints = self.snapshot.namespaces.iter().flat_map(|namespace| &namespace.endpoints);
        bridge || endpoints.any(|endpoint| endpoint.host_ifname.as_str() == name)
    }

    /// The key and the value of a `sysctl -w`.
    fn setting(&self) -> Option<(String, &str)> {
        let (key, value) = self.after("-w")?.split_once('=')?;
        // A key with slashes may have dots in an interface's name.
        let path = if key.contains('/') { key.to_owned() } else { key.replace('.', "/") };
        Some((path, value))
    }

    /// The file of an `echo … > FILE`.
    fn file(&self) -> Option<String> {
        self.after(">").map(str::to_owned)
    }

    /// The command that takes it back, as far as that is known before.
    fn undo(&self) -> Option<String> {
        let namespace = self.namespace;
        match (self.word(0), self.word(1), self.word(2)) {
            ("sysctl", ..) => {
                let (key, _) = self.setting()?;
                let before = self.value(&key)?;
                Some(namespace.command(&format!("sysctl -w {key}={before}")))
            }
            ("ip", "link", "set") => self.undo_link(),
            ("ip", "address", "add") => {
                Some(namespace.ip(&format!("address delete {} dev {}", self.word(3), self.dev()?)))
            }
            ("ip", "address", "delete") => {
                Some(namespace.ip(&format!("address add {} dev {}", self.word(3), self.dev()?)))
            }
            ("ip", "route", _) => self.undo_route(),
            ("ip", "neighbour", "delete") => {
                let (address, link): (IpAddr, _) = (self.word(3).parse().ok()?, self.link()?);
                let known = namespace.neighbours.iter().find(|one| {
                    one.link == link.index && one.address == address && one.state == NeighbourState::Permanent
                })?;
                let rest = format!(
                    "neighbour replace {address} lladdr {} dev {} nud permanent",
                    known.mac?, link.name
                );
                Some(namespace.ip(&rest))
            }
            ("bridge", "link", "set") => self.undo_port(),
            ("bridge", "fdb", "delete") => Some(namespace.command(&format!(
                "bridge fdb add {} dev {} master static",
                self.word(3),
                self.dev()?
            ))),
            ("iptables" | "iptables-legacy" | "ip6tables" | "ip6tables-legacy", ..) => {
                let back: Vec<String> = self
                    .words
                    .iter()
                    .map(|word| if word == "-I" { "-D".to_owned() } else { quote(word) })
                    .collect();
                Some(namespace.command(&back.join(" ")))
            }
            ("nft", text, _) => {
                let table = text.strip_prefix("add table ")?.split(';').next()?;
                let known = namespace.ruleset.tables.iter().any(|one| one.table.to_string() == table);
                (!known).then(|| namespace.command(&format!("nft delete table {table}")))
            }
            _ => None,
        }
    }

    /// What a setting was.
    fn value(&self, key: &str) -> Option<String> {
        let namespace = self.namespace;
        if let Some(value) = namespace.sysctls.get(key) {
            return Some(value.trim().to_owned());
        }
        let link = namespace.link_named(&link_of(key)?)?;
        Some(match key.rsplit('/').next()? {
            "forwarding" => u32::from(link.forwarding).to_string(),
            "rp_filter" => link.rp_filter.to_string(),
            "route_localnet" => u32::from(link.route_localnet).to_string(),
            "disable_ipv6" => u32::from(link.disable_ipv6).to_string(),
            _ => return None,
        })
    }

    fn undo_link(&self) -> Option<String> {
        let link = self.link()?;
        let set = |what: String| Some(self.namespace.ip(&format!("link set dev {} {what}", link.word())));
        if self.words.last().is_some_and(|word| word == "up") {
            return set("down".to_owned());
        }
        if self.after("master").is_some() {
            return match link.master {
                None => set("nomaster".to_owned()),
                Some(before) => set(format!("master {}", self.namespace.link_name(before))),
            };
        }
        if self.after("mtu").is_some() {
            return set(format!("mtu {}", link.mtu));
        }
        if self.after("address").is_some() {
            return set(format!("address {}", link.mac?));
        }
        if self.after("stp_state").is_some() {
            return set(format!("type bridge stp_state {}", u32::from(link.stp)));
        }
        None
    }

    fn undo_port(&self) -> Option<String> {
        let link = self.link()?;
        let port = link.port?;
        let word = |on: bool| if on { "on" } else { "off" };
        let before = if self.after("isolated").is_some() {
            format!("isolated {}", word(port.isolated))
        } else if self.after("hairpin").is_some() {
            format!("hairpin {}", word(port.hairpin))
        } else if self.after("learning").is_some() {
            format!("learning {}", word(port.learning))
        } else {
            self.after("state")?;
            format!("state {}", port.state)
        };
        Some(self.namespace.command(&format!("bridge link set dev {} {before}", link.word())))
    }

    fn undo_route(&self) -> Option<String> {
        let namespace = self.namespace;
        let (verb, what) = (self.word(2), self.words.get(3..)?.join(" "));
        let to: IpNet = match self.word(3) {
            "default" => "0.0.0.0/0".parse().ok()?,
            text => text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))?,
        };
        let v6 = self.after("via").is_some_and(|via| via.contains(':')) || to.addr().is_ipv6();
        let table: u32 = match self.after("table") {
            None | Some("main") => MAIN,
            Some(text) => text.parse().ok()?,
        };
        let before = namespace.routes.iter().find(|route| {
            route.destination.prefix_len() == to.prefix_len()
                && route.destination.addr().is_ipv6() == v6
                && (to.prefix_len() == 0 || route.destination == to)
                && route.table == table
        });
        let family = if v6 { "-6 " } else { "" };
        match (verb, before) {
            ("add", _) | ("replace", None) => Some(namespace.ip(&format!("{family}route delete {what}"))),
            ("replace", Some(route)) => {
                Some(namespace.ip(&format!("{family}route replace {}", spelled(namespace, route))))
            }
            ("delete", Some(route)) => {
                Some(namespace.ip(&format!("{family}route add {}", spelled(namespace, route))))
            }
            _ => None,
        }
    }
}

/// A route as ip(8) takes it, with all that it has.
pub(super) fn spelled(namespace: &Namespace, route: &Route) -> String {
    let mut text = lookup::shown(namespace, route);
    if route.table != MAIN {
        text.push_str(&format!(" table {}", lookup::table_name(route.table)));
    }
    // `RTPROT_BOOT` is what ip(8) takes by itself.
    if route.protocol != 3 {
        text.push_str(&format!(" proto {}", route.protocol));
    }
    if let Some(source) = route.source {
        text.push_str(&format!(" src {source}"));
    }
    if let Some(mtu) = route.mtu {
        text.push_str(&format!(" mtu {mtu}"));
    }
    text
}

/// The interface whose setting a key is: `net/ipv4/conf/IF/…`.
fn link_of(key: &str) -> Option<String> {
    let parts: Vec<&str> = key.split('/').collect();
    match parts.as_slice() {
        ["net", "ipv4" | "ipv6", "conf" | "neigh", name, _] if !matches!(*name, "all" | "default") => {
            Some((*name).to_owned())
        }
        _ => None,
    }
}

fn named<'a>(snapshot: &'a Snapshot, name: &str) -> Option<&'a Namespace> {
    snapshot.namespaces.iter().find(|one| match &one.netns {
        Netns::Other { place: pontoon_model::op::NetnsPlace::Named(own), .. } => own == name,
        _ => false,
    })
}

/// The words of a command, as a shell has them.
fn split(text: &str) -> Vec<String> {
    shlex::split(text).unwrap_or_default()
}
