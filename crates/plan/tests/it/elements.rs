//! What networks and published ports put into the table, for each combination of what matters: the elements by golden
//! files, in which each list of elements stands once with the combinations that have it, and laws about all of them.
//! `UPDATE_GOLDEN=1` writes the files anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use pontoon_model::observed::BridgeFilter;
use pontoon_model::op::{DevConf, LinkOp, Netns, NetnsPlace, NftOp, Op, RouteOp};
use pontoon_model::sandbox::NetnsId;
use pontoon_nft::syntax::{Command, Element, ElementData, Elements, Family, Verdict, shell_command};
use pontoon_plan::{Plan, ruleset};

use crate::world::{Joining, Wanted, World};

/// What matters, and its values.
const AXES: [(&str, &[&str]); 5] = [
    ("gateway mode", &["nat", "nat-unprotected", "routed", "isolated"]),
    ("internal", &["no", "yes"]),
    ("icc", &["yes", "no"]),
    ("addresses", &["IPv4", "both", "IPv6"]),
    ("published on", &["all addresses", "192.0.2.2", "127.0.0.1", "2001:db8:1::2"]),
];

/// A value of each axis, by its place.
type Combination = [usize; 5];

/// One combination, carried out on paper.
struct Case {
    combination: Combination,
    network: Vec<Elements>,
    ports: Vec<Elements>,
    /// What packets may have made, and is taken away with the ports.
    accounts: Vec<Elements>,
    plan: Plan,
}

impl Case {
    fn of(combination: Combination) -> Self {
        let wanted = wanted(&combination);
        let [.., at] = value_of(&combination);
        let publish = match at {
            "192.0.2.2" => vec!["192.0.2.2:8080:80", "192.0.2.2:5300:53/udp"],
            "127.0.0.1" => vec!["127.0.0.1:8080:80", "127.0.0.1:5300:53/udp"],
            "2001:db8:1::2" => vec!["[2001:db8:1::2]:8080:80", "[2001:db8:1::2]:5300:53/udp"],
            _ => vec!["8080:80", "5300:53/udp"],
        };
        let mut world = World::new();
        world.switches.table = true;
        world.switches.bridge_filter = BridgeFilter::Made;
        let network = elements(&world.create(&wanted));
        let id = NetnsId { dev: 4, ino: 1 };
        world.know("web", Netns::Other { place: NetnsPlace::Named("web".into()), id });
        let plan = world.connect("web", "blue", &Joining { publish, ..Joining::default() });
        let ports = elements(&plan);
        // What was added is taken away, and what counted it; nothing else.
        let counts =
            |elements: &Elements| ["served", "answered"].iter().any(|set| elements.set.starts_with(set));
        let (accounts, rest) = taken(&world.disconnect("web", "blue")).into_iter().partition(counts);
        assert_eq!(rest, ports, "{}", name(&combination));
        world.create(&Wanted::network("other", &["172.19.0.0/16"]));
        assert_eq!(taken(&world.remove("blue")), network, "{}", name(&combination));
        Self { combination, network, ports, accounts, plan }
    }

    /// Value of an axis.
    fn is(&self, axis: &str, value: &str) -> bool {
        let axis = AXES.iter().position(|(name, _)| *name == axis).unwrap();
        value_of(&self.combination)[axis] == value
    }

    fn has(&self, v4: bool) -> bool {
        !self.is("addresses", if v4 { "IPv6" } else { "IPv4" })
    }

    /// The elements of a set or map.
    fn set(&self, name: &str) -> Vec<&Element> {
        let of = self.network.iter().chain(&self.ports).filter(|of| of.set == name);
        of.flat_map(|of| &of.elements).collect()
    }
}

/// The network of a combination.
fn wanted(combination: &Combination) -> Wanted {
    let [mode, internal, icc, ..] = value_of(combination);
    let subnets: &[&str] = [
        ["172.18.0.0/16"].as_slice(),
        ["172.18.0.0/16", "fd00:18::/64"].as_slice(),
        ["fd00:18::/64"].as_slice(),
    ][combination[3]];
    let mut wanted = Wanted::network("blue", subnets)
        .option("bridge.name", "blue")
        .option("bridge.gateway_mode_ipv4", mode)
        .option("bridge.gateway_mode_ipv6", mode)
        .option("bridge.enable_icc", if icc == "yes" { "true" } else { "false" });
    wanted.internal = internal == "yes";
    wanted
}

fn value_of(combination: &Combination) -> [&'static str; 5] {
    std::array::from_fn(|axis| AXES[axis].1[combination[axis]])
}

fn name(combination: &Combination) -> String {
    value_of(combination).join(", ")
}

/// All that there can be.
static COMBINATIONS: LazyLock<Vec<Combination>> = LazyLock::new(combinations);

/// Gateway mode `isolated` is for internal networks.
fn combinations() -> Vec<Combination> {
    let mut all = vec![[0; 5]];
    for (axis, (_, values)) in AXES.iter().enumerate() {
        let with = |combination: &Combination, value: usize| {
            let mut combination = *combination;
            combination[axis] = value;
            combination
        };
        all = all.iter().flat_map(|one| (0..values.len()).map(move |value| with(one, value))).collect();
    }
    all.retain(|one| value_of(one)[0] != "isolated" || value_of(one)[1] == "yes");
    all
}

fn cases() -> Vec<Case> {
    COMBINATIONS.iter().copied().map(Case::of).collect()
}

fn nft(plan: &Plan) -> impl Iterator<Item = &Command> {
    let commands = |op| match op {
        &Op::Nft(NftOp { ref commands }) => commands.as_slice(),
        _ => &[],
    };
    plan.ops().flat_map(commands)
}

/// What a plan adds to the table; it does nothing else there.
fn elements(plan: &Plan) -> Vec<Elements> {
    let added = |command: &Command| match command {
        Command::AddElements(elements) => elements.clone(),
        other => panic!("`{other}` is not about elements"),
    };
    nft(plan).map(added).collect()
}

/// What a plan takes from the table.
fn taken(plan: &Plan) -> Vec<Elements> {
    let taken = |command: &Command| match command {
        Command::DestroyElements(elements) => elements.clone(),
        other => panic!("`{other}` is not about elements"),
    };
    nft(plan).map(taken).collect()
}

/// Each list of elements once, under the combinations that have it.
fn render(of: fn(&Case) -> &[Elements]) -> String {
    let mut having: BTreeMap<String, BTreeSet<Combination>> = BTreeMap::new();
    for case in cases() {
        let line = |elements: &Elements| {
            let command = shell_command(&Command::AddElements(elements.clone()));
            let short = command.strip_prefix("nft add element inet pontoon ").unwrap();
            format!("    {}\n", short.replace('\'', ""))
        };
        // In which order they are added makes no difference.
        let lines: BTreeSet<String> = of(&case).iter().map(line).collect();
        let text = String::from_iter(lines);
        having.entry(text).or_default().insert(case.combination);
    }
    let mut sections: Vec<(BTreeSet<Combination>, String)> =
        having.into_iter().map(|(text, all)| (all, text)).collect();
    sections.sort();
    let mut page = String::new();
    for (all, text) in sections {
        describe(&all).iter().for_each(|line| writeln!(page, "{line}").unwrap());
        writeln!(page, "{}", if text.is_empty() { "    nothing\n" } else { &text }).unwrap();
    }
    page
}

/// Combinations in words: as one line for all if they are those of some values of each axis, or else apart by the
/// axis that needs the fewest lines.
fn describe(all: &BTreeSet<Combination>) -> Vec<String> {
    let values: [BTreeSet<usize>; 5] =
        std::array::from_fn(|axis| all.iter().map(|one| one[axis]).collect::<BTreeSet<usize>>());
    let spanned = |one: &Combination| (0..AXES.len()).all(|axis| values[axis].contains(&one[axis]));
    let product: BTreeSet<Combination> = COMBINATIONS.iter().copied().filter(spanned).collect();
    if product == *all {
        let possible: Vec<Combination> = product.into_iter().collect();
        let words = (0..AXES.len()).filter_map(|axis| {
            let (name, names) = AXES[axis];
            // Those that differ in nothing else.
            let free = COMBINATIONS.iter().filter(|one| {
                let others = |other: &usize| *other != axis;
                possible.iter().any(|there| (0..AXES.len()).filter(others).all(|at| there[at] == one[at]))
            });
            let free: BTreeSet<usize> = free.map(|one| one[axis]).collect();
            let chosen: Vec<&str> = values[axis].iter().map(|value| names[*value]).collect();
            (values[axis] != free).then(|| format!("{name}: {}", chosen.join(" or ")))
        });
        let words: Vec<String> = words.collect();
        return vec![if words.is_empty() { "always".to_owned() } else { words.join("; ") }];
    }
    let apart = |axis: usize| -> Vec<String> {
        let part = |value: &usize| all.iter().filter(|one| one[axis] == *value).copied().collect();
        values[axis].iter().flat_map(|value| describe(&part(value))).collect()
    };
    let helpful = (0..AXES.len()).filter(|axis| values[*axis].len() > 1);
    helpful.map(apart).min_by_key(Vec::len).expect("one combination is a product")
}

/// The lines of two texts side by side, as `diff -u` has them without context.
fn difference(old: &str, new: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    // Length of the longest common part of what is left.
    let mut common = vec![vec![0_usize; new.len() + 1]; old.len() + 1];
    for left in (0..old.len()).rev() {
        for right in (0..new.len()).rev() {
            common[left][right] = match old[left] == new[right] {
                true => common[left + 1][right + 1] + 1,
                false => common[left + 1][right].max(common[left][right + 1]),
            };
        }
    }
    let (mut left, mut right, mut text) = (0, 0, String::new());
    while left < old.len() || right < new.len() {
        if left < old.len() && right < new.len() && old[left] == new[right] {
            (left, right) = (left + 1, right + 1);
        } else if right == new.len() || left < old.len() && common[left + 1][right] >= common[left][right + 1]
        {
            writeln!(text, "{:>5} - {}", left + 1, old[left]).unwrap();
            left += 1;
        } else {
            writeln!(text, "{:>5} + {}", right + 1, new[right]).unwrap();
            right += 1;
        }
    }
    text
}

fn golden(file: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/elements").join(file);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, text).unwrap();
    }
    let difference = difference(&fs::read_to_string(&path).unwrap_or_default(), text);
    assert!(difference.is_empty(), "UPDATE_GOLDEN=1 accepts, in {}:\n{difference}", path.display());
}

#[test]
fn networks_put_the_same_elements_into_the_table() {
    golden("network.golden", &render(|case| &case.network));
}

#[test]
fn published_ports_put_the_same_elements_into_the_table() {
    golden("ports.golden", &render(|case| &case.ports));
}

/// Everything else about the table is the same for all; the scenario `network-first` has its text.
#[test]
fn the_chains_are_the_same_for_all() {
    let table = ruleset::table(&pontoon_plan::Instance::host());
    for combination in &*COMBINATIONS {
        let mut world = World::new();
        world.switches.bridge_filter = BridgeFilter::Made;
        let plan = world.create(&wanted(combination));
        let rest = nft(&plan).filter(|command| !matches!(command, Command::AddElements(_)));
        assert!(rest.eq(&table), "{}", name(combination));
    }
}

#[test]
fn a_difference_is_told_by_line() {
    assert_eq!(difference("a\nb\nc\n", "a\nc\nd\n"), "    2 - b\n    3 + d\n");
    assert_eq!(difference("a\n", "a\n"), "");
}

const PORT_SETS: [&str; 8] = ["at4", "at6", "any4", "any6", "open4", "open6", "self4", "self6"];

fn verdict(element: &Element) -> &Verdict {
    match &element.data {
        Some(ElementData::Verdict(verdict)) => verdict,
        other => panic!("{other:?} is no verdict"),
    }
}

fn shown(element: &Element) -> String {
    let elements =
        Elements::new(pontoon_nft::syntax::TableRef::new(Family::Inet, "x"), "x", [element.clone()]);
    shell_command(&Command::AddElements(elements))
}

#[test]
fn an_internal_network_has_no_way_in_or_out() {
    for case in cases().iter().filter(|case| case.is("internal", "yes")) {
        let what = name(&case.combination);
        assert!(case.ports.is_empty(), "{what}");
        assert_eq!(case.set("from").into_iter().map(verdict).collect::<Vec<_>>(), [&Verdict::Drop], "{what}");
        for set in ["to4", "to6"] {
            assert!(
                case.set(set).into_iter().all(|element| *verdict(element) == Verdict::Drop),
                "{what}: {set}"
            );
        }
        for set in ["masquerade4", "masquerade6", "snat4", "snat6"] {
            assert!(case.set(set).is_empty(), "{what}: {set}");
        }
    }
}

#[test]
fn every_bridge_has_one_verdict_for_each_family() {
    for case in cases() {
        for set in ["bridges", "within", "hairpin", "to4", "to6"] {
            assert_eq!(case.set(set).len(), 1, "{}: {set}", name(&case.combination));
        }
        let leaving = case.is("internal", "yes") || case.is("gateway mode", "routed");
        assert_eq!(case.set("from").len(), usize::from(leaving), "{}", name(&case.combination));
        for (v4, set) in [(true, "to4"), (false, "to6")] {
            let drops = *verdict(case.set(set)[0]) == Verdict::Drop;
            // What is not there does not come in.
            assert_eq!(
                drops,
                !case.has(v4) || case.is("internal", "yes"),
                "{}: {set}",
                name(&case.combination)
            );
        }
    }
}

#[test]
fn either_a_port_is_translated_or_it_is_opened() {
    for case in cases() {
        let opened = !case.set("open4").is_empty() || !case.set("open6").is_empty();
        let translated =
            ["at4", "at6", "any4", "any6", "self4", "self6"].iter().any(|set| !case.set(set).is_empty());
        assert!(!(opened && translated), "{}", name(&case.combination));
        assert!(!opened || case.is("gateway mode", "routed"), "{}", name(&case.combination));
        assert!(!translated || !case.is("gateway mode", "routed"), "{}", name(&case.combination));
    }
}

#[test]
fn a_port_leads_to_its_own_family_alone() {
    for case in cases() {
        let what = name(&case.combination);
        let on = |v4: bool| match () {
            () if case.is("published on", "all addresses") => true,
            () => v4 != case.is("published on", "2001:db8:1::2"),
        };
        for (v4, sets) in [(true, ["at4", "any4", "open4"]), (false, ["at6", "any6", "open6"])] {
            let count: usize = sets.iter().map(|set| case.set(set).len()).sum();
            // What is for the host alone opens nothing where the container's own address is reached.
            let for_nobody = case.is("gateway mode", "routed") && case.is("published on", "127.0.0.1");
            let leads = case.has(v4) && on(v4) && case.is("internal", "no") && !for_nobody;
            assert_eq!(count, if leads { 2 } else { 0 }, "{what}: {sets:?}");
        }
        for set in PORT_SETS {
            let inside = if set.ends_with('4') { "172.18.0.2" } else { "fd00:18::2" };
            assert!(
                case.set(set).into_iter().all(|element| shown(element).contains(inside)),
                "{what}: {set}"
            );
        }
    }
}

#[test]
fn what_counted_a_port_goes_with_it() {
    for case in cases() {
        let what = name(&case.combination);
        let count = |sets: &[&str]| sets.iter().map(|set| case.set(set).len()).sum::<usize>();
        let taken = |set: &str| {
            let of = case.accounts.iter().filter(|of| of.set == set);
            of.map(|of| of.elements.len()).sum::<usize>()
        };
        let [v4, v6] = [["at4", "any4"], ["at6", "any6"]].map(|sets| count(&sets));
        assert_eq!([taken("served4"), taken("served6")], [v4, v6], "{what}");
        let [v4, v6] = [v4 + count(&["open4"]), v6 + count(&["open6"])];
        assert_eq!([taken("answered4"), taken("answered6")], [v4, v6], "{what}");
    }
}

#[test]
fn a_port_is_on_the_address_that_was_asked_for() {
    for case in cases() {
        let what = name(&case.combination);
        let on_all = case.is("published on", "all addresses");
        assert!(on_all || case.set("any4").is_empty() && case.set("any6").is_empty(), "{what}");
        assert!(!on_all || case.set("at4").is_empty() && case.set("at6").is_empty(), "{what}");
        let [.., asked] = value_of(&case.combination);
        for element in case.set("at4").into_iter().chain(case.set("at6")) {
            assert!(shown(element).contains(&format!("{{ {asked} . ")), "{what}: {}", shown(element));
        }
        // What is opened is a container's.
        for set in ["open4", "open6"] {
            assert!(case.set(set).into_iter().all(|element| !shown(element).contains("127.0.0.1")), "{what}");
        }
    }
}

/// Without a port that is reached at the loopback address, nothing is changed that lets its answers in: but for what names
/// need, which is set along with other things.
#[test]
fn loopback_is_opened_for_what_is_reached_there() {
    for case in cases() {
        let what = name(&case.combination);
        let translated = case.is("internal", "no") && !case.is("gateway mode", "routed");
        let at_loopback =
            |v4: bool| case.is("published on", "all addresses") || v4 && case.is("published on", "127.0.0.1");
        let route_localnet = case.plan.ops().any(|op| match op {
            Op::Link(LinkOp::Set { settings, .. }) => {
                settings.devconf == [(DevConf::RouteLocalnet, true)] && !settings.no_autoconf
            }
            _ => false,
        });
        let route = case.plan.ops().any(|op| matches!(op, Op::Route(RouteOp::Loopback { .. })));
        assert_eq!(route_localnet, translated && case.has(true) && at_loopback(true), "{what}");
        assert_eq!(route, translated && case.has(false) && at_loopback(false), "{what}");
    }
}

#[test]
fn sources_are_rewritten_where_the_gateway_translates() {
    for case in cases() {
        let translates = case.is("internal", "no") && !case.is("gateway mode", "routed");
        for (v4, set) in [(true, "masquerade4"), (false, "masquerade6")] {
            let wanted = usize::from(translates && case.has(v4));
            assert_eq!(case.set(set).len(), wanted, "{}: {set}", name(&case.combination));
        }
    }
}
