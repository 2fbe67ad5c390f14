//! What holds of every plan, whatever was done before.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use pontoon_model::Step;
use pontoon_model::op::{FileOp, LinkOp, Netns, NetnsOp, Op};
use pontoon_nft::syntax::{Command, Elements};
use pontoon_plan::{Plan, command, publish};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::host::{Host, Kind, Link};
use crate::stage::{Action, Next, Stage, history, making, taking};
use crate::world::World;

/// Where and how a plan is cut off.
#[derive(Debug, Clone)]
struct Cut {
    at: Index,
    /// The step in which it is cut off is done in half: a link is there without its alias.
    torn: bool,
    /// That step failed, and this many after it went to the kernel together with it.
    beyond: usize,
    /// The process died, and the descriptors that it held were closed.
    died: bool,
}

fn cut() -> impl Strategy<Value = Cut> {
    (any::<Index>(), any::<bool>(), 0..4_usize, any::<bool>()).prop_map(|(at, torn, beyond, died)| Cut {
        at,
        torn,
        beyond,
        died,
    })
}

impl Cut {
    /// Takes the part of a plan that is before the cut.
    fn apply(&self, host: &mut Host, next: &Next) {
        let steps = &next.plan.steps;
        let at = self.at.index(steps.len() + 1);
        host.run(&steps[..at]).unwrap();
        match steps.get(at) {
            Some(Step { op: Op::Link(op), .. }) if self.torn => host.create(op).unwrap(),
            // What names a new link waits for the answer that it is there; the rest may go out together.
            Some(failed) if !makes_link(failed) => {
                let together = steps[at + 1..].iter().take_while(|step| !makes_link(step));
                together.take(self.beyond).for_each(|step| drop(host.apply(&step.op)));
            }
            _ => {}
        }
        if let (true, Some(fresh)) = (self.died, next.fresh) {
            let pinned = host.pins.values().any(|id| *id == fresh);
            if !pinned {
                host.drop_space(fresh);
            }
        }
    }
}

fn makes_link(step: &Step) -> bool {
    matches!(step.op, Op::Link(LinkOp::AddBridge { .. } | LinkOp::AddVeth { .. }))
}

/// The host without the namespace that was made for a plan: when its process goes, that goes as well.
fn without_fresh(mut host: Host, next: &Next) -> Host {
    next.fresh.into_iter().for_each(|fresh| host.drop_space(fresh));
    host.essence()
}

fn undo(host: &mut Host, plan: &Plan, again: Index) -> Result<(), TestCaseError> {
    let undo = plan.undo();
    let interrupted = again.index(undo.steps.len() + 1);
    prop_assert_eq!(host.run_all(&undo.steps[..interrupted]), vec![]);
    prop_assert_eq!(host.run_all(&undo.steps), vec![]);
    prop_assert_eq!(host.run_all(&undo.steps), vec![]);
    Ok(())
}

/// What the table's maps must hold for published ports: each map's keys and data.
fn port_elements(world: &World) -> BTreeMap<String, Vec<(String, String)>> {
    let mut maps: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    let published = world.containers.keys().map(|name| world.published(name));
    for command in published.flat_map(|published| publish::add(&world.instance, &published)) {
        let Command::AddElements(Elements { set, elements, .. }) = command else { panic!("{command}") };
        let texts = elements.iter().map(|one| (format!("{:?}", one.key), format!("{:?}", one.data)));
        maps.entry(set).or_default().extend(texts);
    }
    maps.values_mut().for_each(|elements| elements.sort());
    maps
}

/// What a plan makes, as somebody else may have it under the same name.
fn collisions(plan: &Plan) -> Vec<Collision> {
    plan.ops()
        .flat_map(|op| match op {
            Op::Link(LinkOp::AddBridge { name, .. }) => vec![Collision::Link(Netns::Host, name.to_string())],
            Op::Link(LinkOp::AddVeth { netns, name, peer, .. }) => vec![
                Collision::Link(netns.clone(), name.to_string()),
                Collision::Link(peer.netns.clone(), peer.name.to_string()),
            ],
            Op::Netns(NetnsOp::Add { name, .. }) => vec![Collision::Pin(name.clone())],
            Op::File(FileOp::Write { path, .. }) => vec![Collision::File(path.clone())],
            _ => Vec::new(),
        })
        .collect()
}

#[derive(Debug, Clone)]
enum Collision {
    Link(Netns, String),
    Pin(String),
    File(String),
}

impl Collision {
    fn plant(&self, stage: &mut Stage, alias: Option<&str>) {
        match self {
            Self::Link(netns, name) => {
                let id = match netns {
                    Netns::Host => None,
                    Netns::Other { id, .. } => Some(*id),
                };
                let mut link = Link::new(Kind::Bridge, "02:aa:bb:cc:dd:ee".parse().unwrap());
                link.alias = alias.map(str::to_owned);
                link.up = true;
                stage.host.spaces.get_mut(&id).unwrap().links.insert(name.clone(), link);
            }
            Self::Pin(name) => {
                let id = stage.new_id();
                let place = pontoon_model::op::NetnsPlace::Named(name.clone());
                stage.host.hold(&Netns::Other { place, id });
            }
            Self::File(path) => stage.host.put_file(path),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Killed or refused at any step, also in the middle of one, the undo leaves the host as it was; so does an undo
    /// that is itself cut off and begun again.
    #[test]
    fn a_plan_cut_anywhere_is_undone(history in history(), action in making(), cut in cut(), again: Index) {
        let mut stage = Stage::after(&history);
        let Some(next) = stage.prepare(&action) else { return Ok(()) };
        let before = without_fresh(stage.host.clone(), &next);
        cut.apply(&mut stage.host, &next);
        undo(&mut stage.host, &next.plan, again)?;
        prop_assert_eq!(without_fresh(stage.host, &next), before);
    }

    /// A whole plan and its undo cancel out.
    #[test]
    fn a_plan_that_was_done_is_undone(history in history(), action in making(), again: Index) {
        let mut stage = Stage::after(&history);
        let Some(next) = stage.prepare(&action) else { return Ok(()) };
        let before = without_fresh(stage.host.clone(), &next);
        stage.host.run(&next.plan.steps).unwrap();
        undo(&mut stage.host, &next.plan, again)?;
        prop_assert_eq!(without_fresh(stage.host, &next), before);
    }

    /// Somebody else's link, namespace or file under a name that a plan wants is there after the undo as before.
    #[test]
    fn what_is_not_ours_survives_an_undo(
        history in history(), action in making(), which: Index, aliased: bool, again: Index,
    ) {
        let mut stage = Stage::after(&history);
        let Some(next) = stage.prepare(&action) else { return Ok(()) };
        let collisions = collisions(&next.plan);
        if collisions.is_empty() { return Ok(()) }
        let collision = which.get(&collisions);
        collision.plant(&mut stage, aliased.then_some("mine"));
        let before = stage.host.essence();
        let done = stage.host.run(&next.plan.steps);
        // A file that is there is left alone, and the plan goes on.
        prop_assert_eq!(done.is_ok(), matches!(collision, Collision::File(_)));
        undo(&mut stage.host, &next.plan, again)?;
        let mut after = stage.host;
        if let Some(fresh) = next.fresh {
            // Unpinned, it goes with its process.
            after.drop_space(fresh);
        }
        let mut before = before;
        next.fresh.into_iter().for_each(|fresh| before.drop_space(fresh));
        prop_assert_eq!(after.essence(), before);
    }

    /// What takes away may be cut off anywhere, and is then done once more from the beginning.
    #[test]
    fn a_removal_cut_anywhere_can_be_finished(history in history(), action in taking(), at: Index) {
        let mut stage = Stage::after(&history);
        let Some(next) = stage.prepare(&action) else { return Ok(()) };
        let mut whole = stage.host.clone();
        prop_assert_eq!(whole.run_all(&next.plan.steps), vec![]);
        let at = at.index(next.plan.steps.len() + 1);
        prop_assert_eq!(stage.host.run_all(&next.plan.steps[..at]), vec![]);
        prop_assert_eq!(stage.host.run_all(&next.plan.steps), vec![]);
        prop_assert_eq!(stage.host, whole);
    }

    /// Whatever was published, connected, disconnected and taken away, and whichever plan was cut off at the end and
    /// undone: the maps hold exactly what leads somewhere.
    #[test]
    fn the_maps_hold_the_published_ports_and_nothing_else(
        history in history(), action in making(), cut in cut(), again: Index,
    ) {
        let mut stage = Stage::after(&history);
        let wanted = port_elements(&stage.world);
        if let Some(next) = stage.prepare(&action) {
            cut.apply(&mut stage.host, &next);
            undo(&mut stage.host, &next.plan, again)?;
        }
        for map in [
            "at4", "at6", "any4", "any6", "open4", "open6", "self4", "self6", "served4", "served6", "answered4",
            "answered6",
        ] {
            let mut there = stage.host.elements(map);
            there.sort();
            prop_assert_eq!(there, wanted.get(map).cloned().unwrap_or_default(), "{}", map);
        }
    }

    /// A network that moves and comes back is as it was, with everybody on it; what follows a move may be cut off
    /// anywhere and done once more from the beginning.
    #[test]
    fn a_network_that_moves_there_and_back_is_as_it_was(
        history in history(), network in 0..3_usize, at: Index,
    ) {
        let mut stage = Stage::after(&history);
        let Some(found) = stage.world.networks.values().nth(network) else { return Ok(()) };
        let name = found.name.to_string();
        let subnets: Vec<String> = found.pools().map(|pool| pool.subnet.to_string()).collect();
        let away: Vec<&str> =
            found.pools().map(|pool| if pool.subnet.addr().is_ipv4() { "10.99.0.0/24" } else { "fd00:99::/64" }).collect();
        let back: Vec<&str> = subnets.iter().map(String::as_str).collect();
        // Routes by routers on the old subnets go with those.
        let essence = |host: &Host| {
            let mut essence = host.essence();
            let on = |via: &IpAddr| subnets.iter().any(|net| net.parse::<IpNet>().unwrap().contains(via));
            let spaces = essence.spaces.values_mut();
            spaces.for_each(|space| space.given.retain(|_, (via, _)| !on(via)));
            essence
        };
        let before = essence(&stage.host);
        let ports = port_elements(&stage.world);
        for there in [away, back] {
            let [arrive, leave] = stage.world.renumber(&name, &there, false);
            stage.host.run(&arrive.steps).unwrap();
            let mut whole = stage.host.clone();
            prop_assert_eq!(whole.run_all(&leave.steps), vec![]);
            let at = at.index(leave.steps.len() + 1);
            prop_assert_eq!(stage.host.run_all(&leave.steps[..at]), vec![]);
            prop_assert_eq!(stage.host.run_all(&leave.steps), vec![]);
            prop_assert_eq!(&stage.host, &whole);
        }
        prop_assert_eq!(essence(&stage.host), before);
        prop_assert_eq!(port_elements(&stage.world), ports);
    }

    /// Networks, containers and cables in any order: when all are taken away, the host is as it was.
    #[test]
    fn what_was_made_can_be_taken_away(history in history()) {
        let before = Stage::new().host.essence();
        let mut stage = Stage::after(&history);
        stage.clear();
        prop_assert_eq!(stage.host.essence(), before);
    }

    /// A container whose namespace went by itself is taken from its networks without a complaint, and leaves nothing.
    #[test]
    fn a_container_that_is_gone_can_be_disconnected(history in history(), which: Index) {
        let mut stage = Stage::after(&history);
        let places: Vec<Netns> = stage.world.containers.values().map(|container| container.netns.clone()).collect();
        let Netns::Other { id, .. } = which.get(&places) else { return Ok(()) };
        stage.host.drop_space(*id);
        stage.clear();
        let mut before = Stage::new().host;
        before.drop_space(*id);
        prop_assert_eq!(stage.host.essence(), before.essence());
    }

    /// Somebody flushed all rules, as a restart of nftables.service does: everything can still be taken away.
    #[test]
    fn rules_that_somebody_flushed_hinder_no_removal(history in history()) {
        let mut stage = Stage::after(&history);
        stage.host.flush_ruleset();
        stage.clear();
        prop_assert_eq!(stage.host.essence(), Stage::new().host.essence());
    }

    /// Every step says why it is there, in one line, and can be typed. (That it names only what is there when its
    /// turn comes, the imagined host sees to: it refuses all else.)
    #[test]
    fn every_step_has_a_reason_and_a_command(history in history(), action in prop_oneof![making().boxed(), taking().boxed()]) {
        let mut stage = Stage::after(&history);
        let Some(next) = stage.prepare(&action) else { return Ok(()) };
        for step in next.plan.steps.iter().chain(&next.plan.undo().steps) {
            let why = step.why.to_string();
            prop_assert!(!why.trim().is_empty() && why.lines().count() == 1, "{step:?}");
            prop_assert!(!command::commands(&step.op).is_empty(), "{step:?}");
        }
    }

    /// The journal gives back what was written.
    #[test]
    fn a_plan_survives_the_journal(history in history(), action in making()) {
        let mut stage = Stage::after(&history);
        let Some(next) = stage.prepare(&action) else { return Ok(()) };
        let text = serde_json::to_string(&next.plan).unwrap();
        prop_assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), next.plan);
    }
}

/// Laws about actions that are never possible would hold of nothing.
#[test]
fn most_actions_are_possible() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let possible = |runner: &mut TestRunner, action: &dyn Fn(&mut TestRunner) -> Action| {
        let mut stage = Stage::after(&history().new_tree(runner).unwrap().current());
        stage.prepare(&action(runner)).is_some()
    };
    let making = |runner: &mut TestRunner| making().new_tree(runner).unwrap().current();
    let taking = |runner: &mut TestRunner| taking().new_tree(runner).unwrap().current();
    let made = (0..200).filter(|_| possible(&mut runner, &making)).count();
    let taken = (0..200).filter(|_| possible(&mut runner, &taking)).count();
    assert!(made > 60 && taken > 20, "{made} and {taken} of 200");
}
