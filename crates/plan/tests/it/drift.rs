//! What somebody changes is found and put back, on a host that is only imagined.

use std::collections::BTreeMap;

use pontoon_model::observed::BridgeFilter;
use pontoon_model::op::Netns;
use pontoon_model::sandbox::NetnsId;
use pontoon_model::{Impairment, Network};
use pontoon_plan::drift::{
    Attached, Busy, Code, Desired, Drift, HostNow, Laid, Observed, SeenImpairment, SeenLink, SeenRules,
    SeenWays, Wanted, find,
};
use pontoon_plan::endpoint::{DefaultRoutes, elect};
use pontoon_plan::impair::{self, Impair};
use pontoon_plan::publish::Published;
use pontoon_plan::{Plan, route};
use proptest::prelude::*;

use crate::host::{Host, Kind, Link};
use crate::stage::{Stage, history};
use crate::world::World;

/// What somebody does; numbers choose among what there is.
#[derive(Debug, Clone)]
enum Damage {
    Rules(usize, usize),
    Link(usize, usize),
    DeleteLink(usize),
    Switch(usize),
    Routes(usize),
}

impl Damage {
    fn apply(&self, host: &mut Host) {
        match self {
            Self::Rules(which, what) => host.damage_rules(*which, *what),
            Self::Link(which, what) => {
                let places = places(host);
                if places.is_empty() {
                    return;
                }
                let (id, name) = &places[which % places.len()];
                let space = host.spaces.get_mut(id).unwrap();
                space.links.get_mut(name).unwrap().damage(*what);
                // With the link, the way out by it is gone.
                if !space.links[name].up {
                    space.routes.retain(|_, (_, link)| link != name);
                    space.given.retain(|_, (_, link)| link != name);
                }
            }
            Self::DeleteLink(which) => delete_link(host, *which),
            Self::Switch(which) => {
                let sysctls = &mut host.spaces.get_mut(&None).unwrap().sysctls;
                let (which, count) = (*which, sysctls.len().max(1));
                sysctls.values_mut().nth(which % count).into_iter().for_each(|value| *value = "0".into());
            }
            Self::Routes(which) => {
                let count = host.spaces.len();
                let space = host.spaces.values_mut().nth(which % count).unwrap();
                space.routes.clear();
                space.given.clear();
                space.leaving.clear();
            }
        }
    }
}

/// All links but loopback and somebody else's.
fn places(host: &Host) -> Vec<(Option<NetnsId>, String)> {
    let of = |(id, space): (&Option<NetnsId>, &crate::host::Space)| {
        let (id, names) = (*id, space.links.keys().filter(|name| !["lo", THEIRS].contains(&name.as_str())));
        names.map(|name| (id, name.clone())).collect::<Vec<_>>()
    };
    host.spaces.iter().flat_map(of).collect()
}

fn delete_link(host: &mut Host, which: usize) {
    let places = places(host);
    if !places.is_empty() {
        let (id, name) = &places[which % places.len()];
        host.delete_link(*id, name);
    }
}

const THEIRS: &str = "theirs0";

fn damage() -> impl Strategy<Value = Damage> {
    let number = 0..1000_usize;
    prop_oneof![
        (number.clone(), number.clone()).prop_map(|(which, what)| Damage::Rules(which, what)),
        (number.clone(), number.clone()).prop_map(|(which, what)| Damage::Link(which, what)),
        number.clone().prop_map(Damage::DeleteLink),
        number.clone().prop_map(Damage::Switch),
        number.prop_map(Damage::Routes),
    ]
}

/// What is found on the imagined host.
fn found(world: &World, host: &Host, busy: &Busy) -> Vec<Drift> {
    let networks: Vec<Network> = world.networks.values().cloned().collect();
    let network = |id: &pontoon_model::NetworkId| networks.iter().find(|network| network.id == *id).unwrap();
    let container = |id: &pontoon_model::SandboxId| {
        world.containers.iter().find(|(_, container)| container.id == *id).unwrap()
    };
    let endpoints: Vec<Attached<'_>> = world
        .endpoints
        .iter()
        .map(|endpoint| {
            let (sandbox, container) = container(&endpoint.sandbox);
            let of = |one: &&pontoon_model::Endpoint| one.sandbox == endpoint.sandbox;
            let candidates: Vec<_> =
                world.endpoints.iter().filter(of).map(|one| (one, network(&one.network))).collect();
            let routes = elect(&candidates);
            let through = |(_, link): &(std::net::IpAddr, pontoon_model::IfName)| *link == endpoint.ifname;
            Attached {
                endpoint,
                network: network(&endpoint.network),
                sandbox,
                netns: container.netns.clone(),
                routes: DefaultRoutes {
                    v4: routes.v4.filter(through),
                    v6: routes.v6.filter(through),
                    names: routes.names.filter(|(_, link)| *link == endpoint.ifname),
                },
                names: true,
            }
        })
        .collect();
    let published: Vec<(String, Published<'_>)> =
        world.containers.keys().map(|name| (name.clone(), world.published(name))).collect();
    let segments: Vec<_> = world
        .segments
        .iter()
        .map(|(name, number)| {
            let network = networks.iter().find(|network| network.name.as_str() == name).unwrap();
            (network, network.segment(*number))
        })
        .collect();
    let cables: Vec<Laid<'_>> = world
        .cables
        .iter()
        .map(|cable| {
            let end = |end: usize| match &cable.ends[end].sandbox {
                Some(id) => (container(id).1.netns.clone(), container(id).0.clone()),
                None => (Netns::Host, "the host".to_owned()),
            };
            let [first, second] = [end(0), end(1)];
            Laid { cable, netns: [first.0, second.0], names: [first.1, second.1] }
        })
        .collect();
    let desired = Desired {
        instance: &world.instance,
        networks: &networks,
        segments: &segments,
        endpoints: &endpoints,
        published: &published,
        cables: &cables,
        more: &more(world),
        switched: &BTreeMap::new(),
        busy,
    };
    let wanted = Wanted::of(&desired, HostNow::default());
    let found = find(&wanted, &seen(&wanted, world, host));
    // Asked for the tables alone, it says the same of them.
    let rules = Observed { rules: seen(&wanted, world, host).rules, ..Observed::default() };
    let of_rules = find(&Wanted::of_rules(&desired, HostNow::default()), &rules);
    assert_eq!(of_rules, find(&wanted, &rules));
    found
}

/// The steps that impair all that is impaired, and give the routes that were given.
fn more(world: &World) -> Vec<Plan> {
    let of = |endpoint: &pontoon_model::Endpoint| {
        let now = world.impaired.get(&endpoint.id).copied().unwrap_or_default();
        let (name, container) = world.containers.iter().find(|(_, one)| one.id == endpoint.sandbox)?;
        let network = world.networks.values().find(|network| network.id == endpoint.network)?;
        let mut plan = impair::change(&Impair {
            instance: &world.instance,
            netns: &container.netns,
            link: &endpoint.ifname,
            mtu: network.bridge.mtu,
            whose: name,
            before: Impairment::default(),
            now,
        });
        if let Some(given) = world.given.get(&endpoint.id) {
            plan.append(route::add(&container.netns, &endpoint.ifname, *given, name));
        }
        Some(plan)
    };
    world.endpoints.iter().filter_map(of).collect()
}

fn seen(wanted: &Wanted<'_>, world: &World, host: &Host) -> Observed {
    let mut seen = Observed::default();
    for place in wanted.places() {
        let id = match &place.0 {
            Netns::Host => None,
            Netns::Other { id, .. } => Some(*id),
        };
        let space = &host.spaces[&id];
        let index =
            |name: &str| space.links.keys().position(|key| key == name).map_or(0, |place| place as u32 + 1);
        let table = impair::table(&world.instance, &place.1).name;
        let link = space.links.get(place.1.as_str()).map(|link| SeenLink {
            impaired: Some(SeenImpairment {
                root: link.shape.root_handle(),
                table: space.leaving.contains_key(&table),
            }),
            ..link.seen(index, place.1.as_str())
        });
        seen.links.insert(place.clone(), link);
        let [v4, v6] = [true, false].map(|v4| space.routes.contains_key(&v4));
        let destinations = space.given.keys().copied().collect();
        seen.ways.insert(place.0.clone(), SeenWays { v4, v6, names: space.leads_to_names(), destinations });
    }
    for key in wanted.switch_keys() {
        let value = host.spaces[&None].sysctls.get(key).cloned().unwrap_or_else(|| "0".into());
        seen.switches.insert(key.to_owned(), value);
    }
    let (table, guard) = (host.listed(&world.instance.table()), host.listed(&world.instance.guard_table()));
    let bridge_filter = if guard.is_some() { BridgeFilter::Made } else { BridgeFilter::Missing };
    seen.rules = Some(SeenRules { table, guard, bridge_filter });
    seen
}

/// A host after a history, with a link of somebody else's on it.
fn stage(history: &[crate::stage::Action]) -> Stage {
    let mut stage = Stage::after(history);
    let mut theirs = Link::new(Kind::Bridge, "02:aa:bb:cc:dd:ee".parse().unwrap());
    theirs.alias = Some("theirs".into());
    stage.host.spaces.get_mut(&None).unwrap().links.insert(THEIRS.into(), theirs);
    stage
}

fn put_back(stage: &mut Stage, drifts: &[Drift]) -> Result<(), TestCaseError> {
    for drift in drifts {
        let done = stage.host.run(&drift.plan.steps);
        prop_assert!(done.is_ok(), "{}: {done:?}\n{:#?}", drift.found, drift.plan);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Where nobody changed anything, nothing is found.
    #[test]
    fn a_healthy_host_has_no_drift(history in history()) {
        let stage = stage(&history);
        prop_assert_eq!(found(&stage.world, &stage.host, &Busy::default()), vec![]);
    }

    /// What was found is put back, and then nothing is found; what is somebody else's is as it was.
    #[test]
    fn what_is_put_back_is_found_no_more(history in history(), damages in prop::collection::vec(damage(), 1..5)) {
        let mut stage = stage(&history);
        damages.iter().for_each(|damage| damage.apply(&mut stage.host));
        let theirs = stage.host.spaces[&None].links[THEIRS].clone();
        let drifts = found(&stage.world, &stage.host, &Busy::default());
        put_back(&mut stage, &drifts)?;
        prop_assert_eq!(found(&stage.world, &stage.host, &Busy::default()), vec![], "after {:#?}", drifts);
        prop_assert_eq!(&stage.host.spaces[&None].links[THEIRS], &theirs);
    }

    /// Links that were deleted come back with all that was on them.
    #[test]
    fn deleted_links_come_back_as_they_were(history in history(), which in prop::collection::vec(0..1000_usize, 1..4)) {
        let mut stage = stage(&history);
        let before = stage.host.essence();
        which.iter().for_each(|which| delete_link(&mut stage.host, *which));
        let drifts = found(&stage.world, &stage.host, &Busy::default());
        put_back(&mut stage, &drifts)?;
        let mut after = stage.host.essence();
        // Asked for with a connection, and in no record.
        for space in after.spaces.values_mut().zip(before.spaces.values()) {
            space.0.links.values_mut().zip(space.1.links.values()).for_each(|(after, before)| after.sysctls_of(before));
        }
        prop_assert_eq!(after, before);
    }

    /// A repair that is cut off and undone leaves as much to be found as there was.
    #[test]
    fn a_repair_cut_off_can_be_begun_again(
        history in history(), damages in prop::collection::vec(damage(), 1..4), at: prop::sample::Index,
    ) {
        let mut stage = stage(&history);
        damages.iter().for_each(|damage| damage.apply(&mut stage.host));
        let drifts = found(&stage.world, &stage.host, &Busy::default());
        if drifts.is_empty() { return Ok(()) }
        let cut = at.index(drifts.len());
        put_back(&mut stage, &drifts[..cut])?;
        let plan = &drifts[cut].plan;
        let part = at.index(plan.steps.len() + 1);
        prop_assert!(stage.host.run(&plan.steps[..part]).is_ok());
        prop_assert_eq!(stage.host.run_all(&plan.undo().steps), vec![]);
        let again = found(&stage.world, &stage.host, &Busy::default());
        put_back(&mut stage, &again)?;
        prop_assert_eq!(found(&stage.world, &stage.host, &Busy::default()), vec![]);
    }

    /// What stands in the journal is left alone, whatever is wrong with it.
    #[test]
    fn what_somebody_works_at_is_left_alone(history in history(), which in 0..1000_usize) {
        let mut stage = stage(&history);
        delete_link(&mut stage.host, which);
        let drifts = found(&stage.world, &stage.host, &Busy::default());
        for drift in drifts.iter().filter(|drift| drift.code == Code::CableGone || drift.code == Code::BridgeGone) {
            let busy = Busy::of(&drift.plan.steps);
            let left = found(&stage.world, &stage.host, &busy);
            prop_assert!(left.iter().all(|other| other.object != drift.object), "{:#?}", left);
        }
    }

    /// Each step of a repair says why, and can be typed.
    #[test]
    fn every_step_has_a_reason_and_a_command(history in history(), damages in prop::collection::vec(damage(), 1..4)) {
        let mut stage = stage(&history);
        damages.iter().for_each(|damage| damage.apply(&mut stage.host));
        for drift in found(&stage.world, &stage.host, &Busy::default()) {
            prop_assert!(!drift.found.is_empty() && drift.found.lines().count() == 1);
            for step in &drift.plan.steps {
                let why = step.why.to_string();
                prop_assert!(!why.trim().is_empty() && why.lines().count() == 1, "{step:?}");
                prop_assert!(!pontoon_plan::command::commands(&step.op).is_empty(), "{step:?}");
            }
        }
    }
}

#[test]
fn every_kind_has_a_name_of_its_own() {
    let names: std::collections::BTreeSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(names.len(), Code::ALL.len());
    let page = include_str!("../../../../docs/reference/drift.md");
    for name in names {
        assert!(page.contains(&format!("`{name}`")), "docs/reference/drift.md does not explain {name}");
    }
}
