//! From one file to the next: what is changed, and that nothing else is.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;

use pontoon_compose::converge::{
    Change, Found, FoundMode, FoundNetwork, Life, Member, Place, Update, label, members, plan, stages,
};
use pontoon_compose::project::{Joined, Networking, Project, ProjectNetwork};
use pontoon_compose::{Request, load};
use pontoon_model::endpoint::{Endpoint, EndpointState};
use pontoon_model::network::{AddressPool, Driver};
use pontoon_model::option::BridgeOptions;
use pontoon_model::publish::{HostPorts, PublishSpec};
use pontoon_model::{ContainerRef, Mac, Network, NetworkId, Publication, SandboxId};
use proptest::prelude::*;

fn project(text: &str) -> Project {
    let files = BTreeMap::from([(PathBuf::from("/shop/compose.yaml"), text.to_owned())]);
    let request = Request { working_directory: "/shop".into(), ..Request::default() };
    load(&request, &files).unwrap_or_else(|errors| panic!("{errors}\n{text}"))
}

/// A host on which changes are only imagined.
#[derive(Default)]
struct Imagined {
    networks: Vec<FoundNetwork>,
    containers: Vec<Found>,
    count: u32,
    /// Containers that were started, by name.
    started: Vec<String>,
}

impl Imagined {
    fn plan(&self, project: &Project) -> Vec<Change> {
        plan(project, &members(project), &self.networks, &self.containers, &BTreeSet::new(), true)
    }

    /// Makes it what the file says, in the order in which it is done on a real one.
    fn apply(&mut self, project: &Project) -> Vec<Change> {
        let members = members(project);
        let changes = self.plan(project);
        for change in &changes {
            match change {
                Change::Update { member, updates, .. } => {
                    let giving = updates.iter().filter(|update| update.gives());
                    giving.for_each(|update| self.update(project, &members[*member], update));
                }
                Change::Recreate { member, .. } => {
                    self.containers.retain(|one| one.name != members[*member].name)
                }
                Change::Remove { name, .. } => self.containers.retain(|one| one.name != *name),
                _ => {}
            }
        }
        for change in &changes {
            match change {
                Change::CreateNetwork { key } => self.create_network(project, key),
                Change::RecreateNetwork { key, .. } => {
                    let name = &project.networks[key].name;
                    let on = |one: &Found| one.places.iter().any(|place| place.network == *name);
                    assert!(!self.containers.iter().any(on), "nobody is on {name} when it goes");
                    self.networks.retain(|one| one.network.name.as_str() != name);
                    self.create_network(project, key);
                }
                _ => {}
            }
        }
        for change in &changes {
            match change {
                Change::Create { member } | Change::Recreate { member, .. } => {
                    self.start(project, &members[*member])
                }
                Change::Update { member, updates, .. } => {
                    let taking = updates.iter().filter(|update| !update.gives());
                    taking.for_each(|update| self.update(project, &members[*member], update));
                }
                Change::RemoveNetwork { name } => {
                    let on = |one: &Found| one.places.iter().any(|place| place.network == *name);
                    assert!(!self.containers.iter().any(on), "nobody is on {name} when it goes");
                    self.networks.retain(|one| one.network.name.as_str() != name);
                }
                _ => {}
            }
        }
        changes
    }

    fn create_network(&mut self, project: &Project, key: &str) {
        self.count += 1;
        let network = network(&project.name, &project.networks[key], self.count);
        self.networks.push(FoundNetwork { network, strangers: Vec::new() });
    }

    fn start(&mut self, project: &Project, member: &Member) {
        assert!(!self.containers.iter().any(|one| one.name == member.name), "{} is there", member.name);
        let mut found = Found {
            name: member.name.clone(),
            service: member.service.clone(),
            number: member.number,
            runtime: member.runtime.clone(),
            process: member.process.clone(),
            mode: match &member.networking {
                Networking::Networks(_) => FoundMode::Networks,
                Networking::None => FoundMode::None,
                Networking::Host => FoundMode::Host,
                Networking::Service(name) | Networking::Container(ContainerRef::Ours(name)) => {
                    assert!(
                        self.containers.iter().any(|one| one.name == *name),
                        "{name} is there before {}",
                        member.name
                    );
                    FoundMode::Container(name.clone())
                }
                Networking::Container(other) => FoundMode::Container(other.to_string()),
            },
            labels: member.labels.clone(),
            life: Life::Running,
            places: Vec::new(),
            ports: member.ports.iter().map(published).collect(),
        };
        if let Networking::Networks(joined) = &member.networking {
            joined.iter().for_each(|one| self.join(project, &mut found, one));
        }
        self.check_ports(&found);
        self.started.push(member.name.clone());
        self.containers.push(found);
    }

    fn join(&mut self, project: &Project, found: &mut Found, joined: &Joined) {
        let name = &project.networks[&joined.key].name;
        let there = |one: &FoundNetwork| one.network.name.as_str() == name;
        assert!(self.networks.iter().any(there), "{name} is there before {} joins", found.name);
        let taken = |address: IpAddr| {
            let places = self.containers.iter().flat_map(|one| &one.places);
            places
                .filter(|place| place.network == *name)
                .any(|place| place.endpoint.addresses().any(|one| one == address))
        };
        if let Some(address) = joined.ipv4 {
            assert!(!taken(address.into()), "{address} is free for {}", found.name);
        }
        self.count += 1;
        let endpoint = endpoint(joined, self.count, found.places.len());
        found.places.push(Place { network: name.clone(), endpoint });
    }

    fn update(&mut self, project: &Project, member: &Member, update: &Update) {
        let at = self.containers.iter().position(|one| one.name == member.name).expect("it is there");
        let mut found = self.containers.remove(at);
        match update {
            Update::Leave(network) => found.places.retain(|place| place.network != *network),
            Update::Join(joined) => self.join(project, &mut found, joined),
            Update::Unpublish(ports) => {
                found.ports.retain(|port| !ports.iter().any(|gone| gone == port));
            }
            Update::Publish(ports) => {
                found.ports.extend(ports.iter().map(published));
                self.check_ports(&found);
            }
        }
        self.containers.insert(at, found);
    }

    fn check_ports(&self, found: &Found) {
        for port in &found.ports {
            let other = self.containers.iter().find(|one| {
                one.name != found.name && one.ports.iter().any(|theirs| theirs.host == port.host)
            });
            assert!(other.is_none(), "{port} is free for {}", found.name);
        }
    }
}

fn published(spec: &PublishSpec) -> Publication {
    match spec.host {
        HostPorts::Exactly(first) => spec.at(first),
        HostPorts::OneOf { first, .. } => spec.at(first),
        HostPorts::Free => spec.at(40000 + spec.container),
    }
}

fn network(project: &str, wanted: &ProjectNetwork, number: u32) -> Network {
    let pool = |v4: bool| {
        let given = wanted.pools.iter().find(|pool| pool.subnet.addr().is_ipv4() == v4);
        let subnet = given.map_or_else(
            || {
                if v4 { format!("10.{number}.0.0/16") } else { format!("fd00:{number}::/64") }
                    .parse()
                    .unwrap()
            },
            |pool| pool.subnet,
        );
        AddressPool {
            subnet,
            range: given.and_then(|pool| pool.range),
            gateway: given.and_then(|pool| pool.gateway).unwrap_or_else(|| subnet.hosts().next().unwrap()),
            aux: given.map(|pool| pool.aux.clone()).unwrap_or_default(),
        }
    };
    let mut labels = wanted.labels.clone();
    labels.insert(label::PROJECT.into(), project.into());
    Network {
        id: NetworkId::from_bytes([number as u8; 32]),
        name: wanted.name.parse().unwrap(),
        driver: Driver::Bridge,
        created: String::new(),
        internal: wanted.internal,
        attachable: wanted.attachable,
        labels,
        options: wanted.options.clone(),
        bridge: BridgeOptions::default(),
        v4: wanted.ipv4.unwrap_or(true).then(|| pool(true)),
        v6: wanted
            .ipv6
            .unwrap_or(wanted.pools.iter().any(|pool| pool.subnet.addr().is_ipv6()))
            .then(|| pool(false)),
        bridge_name: "br0".parse().unwrap(),
        bridge_mac: Mac::local([2, 0, 0, 0, 0, 1]),
        builtin: false,
    }
}

fn endpoint(joined: &Joined, number: u32, place: usize) -> Endpoint {
    let [high, low] = (number as u16).to_be_bytes();
    Endpoint {
        id: pontoon_model::EndpointId::from_bytes([number as u8; 32]),
        network: NetworkId::from_bytes([0; 32]),
        sandbox: SandboxId::from_bytes([0; 32]),
        ifname: joined.ifname.clone().unwrap_or_else(|| format!("eth{place}").parse().unwrap()),
        host_ifname: "veth0".parse().unwrap(),
        mac: joined.mac.unwrap_or_else(|| Mac::local([2, 0, 0, 1, high, low])),
        v4: Some(joined.ipv4.unwrap_or_else(|| [10, 200, high, low].into())),
        v6: joined.ipv6,
        link_local: joined.link_local_ips.clone(),
        links: joined.links.clone(),
        gw_priority: joined.gw_priority,
        aliases: joined.aliases.clone(),
        guarded: true,
        sysctls: Vec::new(),
        created: String::new(),
        state: EndpointState::Attached,
    }
}

/// What each change is about and why, a line for each that changes something.
fn told(changes: &[Change], project: &Project) -> Vec<String> {
    let members = members(project);
    let list = |differences: &[pontoon_compose::converge::Difference]| {
        differences.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    };
    let line = |change: &Change| match change {
        Change::CreateNetwork { key } => Some(format!("+ network {key}")),
        Change::RecreateNetwork { key, differences } => {
            Some(format!("~ network {key}: {}", list(differences)))
        }
        Change::RemoveNetwork { name } => Some(format!("- network {name}")),
        Change::Create { member } => Some(format!("+ {}", members[*member].name)),
        Change::Recreate { member, differences } => {
            Some(format!("! {}: {}", members[*member].name, list(differences)))
        }
        Change::Update { member, differences, .. } => {
            Some(format!("~ {}: {}", members[*member].name, list(differences)))
        }
        Change::Keep { .. } => None,
        Change::Remove { name, .. } => Some(format!("- {name}")),
    };
    changes.iter().filter_map(line).collect()
}

const SHOP: &str = "
services:
  db:
    command: serve
    networks: { back: { ipv4_address: 10.60.0.10, aliases: [database] } }
  web:
    command: serve
    depends_on: [db]
    ports: ['8080:80', '53:53/udp']
    networks: [front, back]
networks:
  front: {}
  back: { ipam: { config: [ { subnet: 10.60.0.0/24 } ] } }
";

/// What a change of the file leads to on a project that runs.
fn change(from: &str, to: &str) -> Vec<String> {
    let mut host = Imagined::default();
    host.apply(&project(from));
    let after = project(to);
    let changes = host.apply(&after);
    let left = told(&host.plan(&after), &after);
    assert_eq!(left, Vec::<String>::new(), "nothing is left to do");
    told(&changes, &after)
}

fn edit(pairs: &[(&str, &str)]) -> Vec<String> {
    let mut text = SHOP.to_owned();
    for (from, to) in pairs {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    change(SHOP, &text)
}

#[test]
fn a_new_project_is_made_in_the_order_of_its_dependencies() {
    let mut host = Imagined::default();
    let shop = project(SHOP);
    assert_eq!(
        told(&host.apply(&shop), &shop),
        ["+ network back", "+ network front", "+ shop-db-1", "+ shop-web-1"]
    );
    assert_eq!(stages(&shop), [vec!["db"], vec!["web"]]);
    assert_eq!(host.plan(&shop), [Change::Keep { member: 0 }, Change::Keep { member: 1 }]);
}

#[test]
fn only_what_the_file_changed_is_changed() {
    for (pairs, expected) in [
        (&[("60.0.10", "60.0.11")][..], &["~ shop-db-1: ipv4_address 10.60.0.10 → 10.60.0.11"][..]),
        (&[("8080:80", "8081:80")], &["~ shop-web-1: ports 8080->80/tcp → 8081:80/tcp"]),
        (&[("'8080:80', ", "")], &["~ shop-web-1: ports 8080->80/tcp → nothing"]),
        (
            &[("aliases: [database]", "aliases: [pg, database]")],
            &["~ shop-db-1: aliases database, db → database, db, pg"],
        ),
        (
            &[("[front, back]", "[back]")],
            &["~ shop-web-1: networks shop_front → nothing", "- network shop_front"],
        ),
        (
            &[("    command: serve\n    networks: {", "    command: serve --fast\n    networks: {")],
            &["! shop-db-1: command serve → serve --fast"],
        ),
        (
            &[("60.0.0/24", "60.0.0/16")],
            &[
                "~ network back: subnet 10.60.0.0/24 → 10.60.0.0/16",
                "~ shop-db-1: network shop_back is made anew",
                "~ shop-web-1: network shop_back is made anew",
            ],
        ),
        (
            &[("[front, back]", "{ front: { gw_priority: 5 }, back: {} }")],
            &["~ shop-web-1: front: gw_priority 0 → 5"],
        ),
        (
            &[("[front, back]", "{ front: { link_local_ips: [169.254.8.8] }, back: {} }")],
            &["~ shop-web-1: front: link_local_ips nothing → 169.254.8.8"],
        ),
        (
            &[("[front, back]", "[front, back]\n    links: ['db:store']")],
            &["~ shop-web-1: back: links nothing → db:store"],
        ),
        (
            &[("  front: {}", "  front: { internal: true }")],
            &["~ network front: internal false → true", "~ shop-web-1: network shop_front is made anew"],
        ),
    ] {
        assert_eq!(edit(pairs), expected, "{pairs:?}");
    }
}

#[test]
fn a_job_that_is_done_is_not_done_again() {
    let text = |command: &str| {
        format!(
            "services:\n  job: {{ command: {command} }}\n  once: {{ command: x }}\n  web: {{ command: x, depends_on: {{ job: {{ condition: service_completed_successfully }} }} }}\n"
        )
    };
    let after = |code: i32, command: &str| {
        let mut host = Imagined::default();
        host.apply(&project(&text("x")));
        let over = |one: &&mut Found| one.service != "web";
        host.containers.iter_mut().filter(over).for_each(|one| {
            one.life = Life::Ended(code);
            one.places.clear();
        });
        told(&host.plan(&project(&text(command))), &project(&text(command)))
    };
    assert_eq!(after(0, "x"), ["! shop-once-1: it has ended with 0"]);
    assert_eq!(after(1, "x"), ["! shop-job-1: it has ended with 1", "! shop-once-1: it has ended with 1"]);
    assert_eq!(after(0, "y")[0], "! shop-job-1: command x → y");
}

#[test]
fn addresses_and_ports_change_hands() {
    let text = |one: &str, two: &str, ports: [&str; 2]| {
        format!(
            "services:\n  a: {{ command: x, ports: ['{}:80'], networks: {{ n: {{ ipv4_address: {one} }} }} }}\n  b: {{ command: x, ports: ['{}:80'], networks: {{ n: {{ ipv4_address: {two} }} }} }}\nnetworks: {{ n: {{ ipam: {{ config: [ {{ subnet: 10.9.0.0/24 }} ] }} }} }}\n",
            ports[0], ports[1]
        )
    };
    let told = change(&text("10.9.0.5", "10.9.0.6", ["1", "2"]), &text("10.9.0.6", "10.9.0.5", ["2", "1"]));
    assert_eq!(told.len(), 2, "{told:?}");
}

#[test]
fn those_whose_network_is_anothers_follow_it() {
    let text = |command: &str| {
        format!(
            "services:\n  a: {{ command: {command} }}\n  b: {{ command: x, network_mode: 'service:a' }}\n"
        )
    };
    let told = change(&text("x"), &text("y"));
    assert_eq!(told, ["! shop-a-1: command x → y", "! shop-b-1: a is started anew"]);
}

#[test]
fn dependents_restart_where_the_file_says_so() {
    let text = |command: &str| {
        format!(
            "services:\n  a: {{ command: {command} }}\n  b: {{ command: x, depends_on: {{ a: {{ condition: service_started, restart: true }} }} }}\n"
        )
    };
    assert_eq!(
        change(&text("x"), &text("y")),
        ["! shop-a-1: command x → y", "! shop-b-1: a is started anew"]
    );
}

#[test]
fn fewer_and_more_of_a_service() {
    let text = |scale: u32| format!("services:\n  a: {{ command: x, scale: {scale} }}\n");
    assert_eq!(change(&text(1), &text(3)), ["+ shop-a-2", "+ shop-a-3"]);
    assert_eq!(change(&text(3), &text(1)), ["- shop-a-2", "- shop-a-3"]);
}

#[test]
fn what_ended_is_started_anew() {
    let shop = project(SHOP);
    let mut host = Imagined::default();
    host.apply(&shop);
    host.containers[0].life = Life::Ended(1);
    assert_eq!(told(&host.plan(&shop), &shop), ["! shop-db-1: it has ended with 1"]);
}

#[test]
fn orphans_stay_unless_they_are_to_go() {
    let mut host = Imagined::default();
    host.apply(&project(SHOP));
    let fewer = project(
        "services:\n  db:\n    command: serve\n    networks: { back: { ipv4_address: 10.60.0.10, aliases: [database] } }\nnetworks: { back: { ipam: { config: [ { subnet: 10.60.0.0/24 } ] } } }\n",
    );
    let with = |orphans| {
        let changes =
            plan(&fewer, &members(&fewer), &host.networks, &host.containers, &BTreeSet::new(), orphans);
        told(&changes, &fewer)
    };
    assert_eq!(with(false), Vec::<String>::new());
    assert_eq!(with(true), ["- shop-web-1", "- network shop_front"]);
}

/// A service as it may be in one file or the next.
#[derive(Debug, Clone)]
struct Shape {
    command: u8,
    scale: u8,
    networks: Vec<(u8, Option<u8>, bool)>,
    port: Option<u8>,
    after: bool,
}

fn shape() -> impl Strategy<Value = Shape> {
    let place = (0..3_u8, proptest::option::of(10..14_u8), any::<bool>());
    (0..2_u8, 1..3_u8, proptest::collection::vec(place, 0..3), proptest::option::of(0..3_u8), any::<bool>())
        .prop_map(|(command, scale, networks, port, after)| Shape { command, scale, networks, port, after })
}

/// A file of such services; what two cannot have at once, the first has.
fn text(shapes: &[Option<Shape>], subnets: [u8; 3]) -> String {
    let (mut addresses, mut ports) = (BTreeSet::new(), BTreeSet::new());
    let mut services = String::new();
    let mut before: Option<usize> = None;
    for (number, shape) in shapes.iter().enumerate() {
        let Some(shape) = shape else { continue };
        let single = shape.scale == 1;
        services.push_str(&format!(
            "  s{number}:\n    command: run {}\n    scale: {}\n",
            shape.command, shape.scale
        ));
        if let Some(port) = shape.port.filter(|port| single && ports.insert(*port)) {
            services.push_str(&format!("    ports: ['{}:80']\n", 8000 + u16::from(port)));
        }
        if let Some(before) = before.filter(|_| shape.after) {
            services.push_str(&format!("    depends_on: [s{before}]\n"));
        }
        let mut keys = BTreeSet::new();
        let mut places = String::new();
        for (key, address, alias) in shape.networks.iter().filter(|(key, ..)| keys.insert(*key)) {
            let mut parts = Vec::new();
            if let Some(address) = address.filter(|address| single && addresses.insert((*key, *address))) {
                parts.push(format!("ipv4_address: 10.{}.{key}.{address}", subnets[usize::from(*key)]));
            }
            if *alias {
                parts.push("aliases: [other]".into());
            }
            places.push_str(&format!("      n{key}: {{ {} }}\n", parts.join(", ")));
        }
        if !places.is_empty() {
            services.push_str(&format!("    networks:\n{places}"));
        }
        before = Some(number);
    }
    if services.is_empty() {
        services.push_str("  one: { command: run }\n");
    }
    let networks: String = (0..3)
        .map(|key| {
            format!("  n{key}: {{ ipam: {{ config: [ {{ subnet: 10.{}.{key}.0/24 }} ] }} }}\n", subnets[key])
        })
        .collect();
    format!("services:\n{services}networks:\n{networks}")
}

proptest! {
    /// From any file to any other: it is as the second says, nothing is done twice, and what is in both alike is not
    /// started anew.
    #[test]
    fn any_file_becomes_any_other(
        first in proptest::collection::vec(proptest::option::of(shape()), 3),
        second in proptest::collection::vec(proptest::option::of(shape()), 3),
        subnets in (proptest::array::uniform3(1..3_u8), proptest::array::uniform3(1..3_u8)),
    ) {
        let mut host = Imagined::default();
        let (before, after) = (project(&text(&first, subnets.0)), project(&text(&second, subnets.1)));
        host.apply(&before);
        host.started.clear();
        host.apply(&after);
        prop_assert_eq!(told(&host.plan(&after), &after), Vec::<String>::new());
        let wanted = members(&after);
        prop_assert_eq!(host.containers.len(), wanted.len());
        for one in members(&before) {
            let same = wanted.iter().any(|other| other.name == one.name && other.process == one.process);
            prop_assert!(!(same && host.started.contains(&one.name)), "{} was started anew", one.name);
        }
    }
}
