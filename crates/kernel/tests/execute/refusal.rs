//! What the executor refuses and how it says so, and what it leaves alone.

use std::time::{Duration, Instant};

use pontoon_model::op::{LinkMark, LinkOp, Netns, NetnsOp};
use pontoon_model::{Diagnose, Op, Step};
use pontoon_plan::Plan;
use pontoon_testkit::sandboxed;

use crate::stand::{Stand, Way};
use crate::world::{Joining, Wanted, World};

fn mark() -> LinkMark {
    LinkMark { alias: "pontoon:network:x".into(), mac: "06:00:00:00:00:01".parse().unwrap() }
}

fn delete(name: &str) -> Step {
    Step::new(LinkOp::Delete { netns: Netns::Host, name: name.parse().unwrap(), mark: mark() }, "it goes")
}

fn vanish(name: &str) -> Step {
    Step::new(LinkOp::Vanish { name: name.parse().unwrap(), mark: mark() }, "it goes with its namespace")
}

/// Where in the plan a bridge is made.
fn adds_bridge(plan: &Plan) -> usize {
    plan.ops().position(|op| matches!(op, Op::Link(LinkOp::AddBridge { .. }))).unwrap()
}

sandboxed! {
    fn a_bridge_of_somebody_else_is_neither_changed_nor_deleted(host: Host) {
        let mut stand = Stand::new(&host, Way::Executor);
        stand.sh("ip link add br-mine type bridge; ip address add 10.1.0.1/24 dev br-mine");
        let before = stand.dump();
        let mut world = World::new();
        let wanted = Wanted::network("blue", &["172.18.0.0/16"]).option("bridge.name", "br-mine");
        let plan = world.create(&wanted);
        let error = stand.inside(|executor| executor.run(&plan.steps)).unwrap_err();
        assert_eq!(error.step, adds_bridge(&plan));
        assert_eq!(error.why, plan.steps[error.step].why.to_string());
        assert_eq!(error.code(), "kernel-exists");
        assert!(error.source.to_string().contains("br-mine"), "{}", error.source);
        stand.take_away(&plan.undo().steps);
        before.assert_same(&stand.dump(), "after the undo");
    }

    fn an_interface_of_somebody_else_in_a_container_is_left_alone(host: Host) {
        let mut stand = Stand::new(&host, Way::Executor);
        let mut world = World::new();
        let plan = world.create(&Wanted::network("blue", &["172.18.0.0/16"]));
        stand.run(&plan);
        stand.sh("ip -n lab link add eth0 type bridge");
        let before = stand.dump();
        world.know("lab", stand.ground.named.clone());
        let plan = world.connect("lab", "blue", &Joining::default());
        let error = stand.inside(|executor| executor.run(&plan.steps)).unwrap_err();
        assert_eq!((error.step, error.code()), (0, "kernel-exists"));
        stand.take_away(&plan.undo().steps);
        before.assert_same(&stand.dump(), "after the undo");
    }

    fn a_step_that_is_refused_is_the_one_that_is_named(host: Host) {
        let mut stand = Stand::new(&host, Way::Executor);
        let mut world = World::new();
        let plan = world.create(&Wanted::network("blue", &["172.18.0.0/16"]));
        stand.run(&plan);
        world.know("lab", stand.ground.named.clone());
        let mut plan = world.connect("lab", "blue", &Joining::default());
        // The same once more, in the middle of a batch.
        let at = plan.ops().position(|op| matches!(op, Op::Address(_))).unwrap();
        plan.steps.insert(at + 1, plan.steps[at].clone());
        let error = stand.inside(|executor| executor.run(&plan.steps)).unwrap_err();
        assert_eq!((error.step, error.code()), (at + 1, "kernel-exists"));
        assert_eq!(error.to_string(), "could not finish: lab's address on blue");
    }

    fn a_container_that_is_gone_is_said_to_be(host: Host) {
        let mut stand = Stand::new(&host, Way::Executor);
        let mut world = World::new();
        let plan = world.create(&Wanted::network("blue", &["172.18.0.0/16"]));
        stand.run(&plan);
        world.know("lab", stand.ground.named.clone());
        stand.sh("ip netns delete lab");
        let plan = world.connect("lab", "blue", &Joining::default());
        let error = stand.inside(|executor| executor.run(&plan.steps)).unwrap_err();
        assert_eq!((error.step, error.code()), (0, "namespace-gone"));
        assert_eq!(error.source.to_string(), "the network namespace `lab` is gone");
        assert!(error.hint().is_some());
        stand.take_away(&plan.undo().steps);
    }

    fn a_network_whose_bridge_is_gone_is_said_to_be(host: Host) {
        let mut stand = Stand::new(&host, Way::Executor);
        let mut world = World::new();
        let plan = world.create(&Wanted::network("blue", &["172.18.0.0/16"]).option("bridge.name", "br0"));
        stand.run(&plan);
        stand.sh("ip link delete br0");
        world.know("lab", stand.ground.named.clone());
        let plan = world.connect("lab", "blue", &Joining::default());
        let error = stand.inside(|executor| executor.run(&plan.steps)).unwrap_err();
        assert_eq!((error.step, error.code()), (0, "link-gone"));
        assert_eq!(error.source.to_string(), "there is no link `br0`");
        // All the same, it can be disconnected and removed.
        let plan = world.disconnect("lab", "blue");
        stand.take_away(&plan.steps);
        let plan = world.remove("blue");
        stand.take_away(&plan.steps);
        assert_eq!(stand.sh("nft list ruleset"), "");
    }

    fn a_removal_does_not_mind_that_rules_were_flushed(host: Host) {
        let mut stand = Stand::new(&host, Way::Executor);
        let before = stand.dump().without_switches();
        let mut world = World::new();
        for (name, subnet) in [("blue", "172.18.0.0/16"), ("green", "172.19.0.0/16")] {
            let plan = world.create(&Wanted::network(name, &[subnet]));
            stand.run(&plan);
        }
        stand.sh("nft flush ruleset");
        for name in ["blue", "green"] {
            let plan = world.remove(name);
            stand.take_away(&plan.steps);
        }
        before.assert_same(&stand.dump().without_switches(), "after both are removed");
    }

    fn rules_of_a_set_that_is_gone_hinder_no_others(host: Host) {
        let mut stand = Stand::new(&host, Way::Executor);
        let mut world = World::new();
        for (name, subnet) in [("blue", "172.18.0.0/16"), ("green", "172.19.0.0/16")] {
            let plan = world.create(&Wanted::network(name, &[subnet]));
            stand.run(&plan);
        }
        stand.sh("nft flush chain inet pontoon postrouting; nft delete set inet pontoon masquerade4");
        let bridge = world.networks["blue"].bridge_name.to_string();
        let plan = world.remove("blue");
        stand.take_away(&plan.steps);
        assert!(!stand.sh("nft list ruleset").contains(&bridge));
    }

    fn only_a_link_with_the_mark_is_deleted(host: Host) {
        let mut stand = Stand::new(&host, Way::Executor);
        // Another alias, though the address is the same; no alias, and another address.
        stand.sh("ip link add aliased address 06:00:00:00:00:01 type bridge; ip link set aliased alias mine
            ip link add plain type bridge");
        let before = stand.dump();
        stand.take_away(&[delete("aliased"), delete("plain"), delete("absent")]);
        before.assert_same(&stand.dump(), "after the deletion");
        // Cut off before it got its alias; as it was made, but with another address since.
        stand.sh("ip link add torn address 06:00:00:00:00:01 type bridge
            ip link add ours type bridge; ip link set ours alias pontoon:network:x");
        stand.take_away(&[delete("torn"), delete("ours")]);
        before.assert_same(&stand.dump(), "after the second deletion");
    }

    fn a_link_is_awaited_that_goes_with_its_namespace(host: Host) {
        let mut stand = Stand::new(&host, Way::Executor);
        let before = stand.dump();
        stand.sh("ip netns add short; ip link add v0 type veth peer name e0 netns short
            ip link set v0 alias pontoon:network:x; ip netns delete short");
        stand.take_away(&[vanish("v0")]);
        before.assert_same(&stand.dump(), "after it has gone");
        // Something still holds the namespace: then the link is deleted.
        stand.sh("ip link add v0 type veth peer name e0 netns lab; ip link set v0 alias pontoon:network:x");
        stand.take_away(&[vanish("v0"), vanish("absent")]);
        before.assert_same(&stand.dump(), "after it was deleted");
    }

    fn a_link_of_somebody_else_is_not_awaited(host: Host) {
        let mut stand = Stand::new(&host, Way::Executor);
        stand.sh("ip link add v0 type veth peer name e0 netns lab");
        let (before, start) = (stand.dump(), Instant::now());
        stand.take_away(&[vanish("v0")]);
        assert!(start.elapsed() < Duration::from_millis(100), "{:?}", start.elapsed());
        before.assert_same(&stand.dump(), "afterwards");
    }

    fn a_name_that_somebody_else_has_taken_stays_theirs(host: Host) {
        let mut stand = Stand::new(&host, Way::Executor);
        let id = stand.new_netns();
        let before = stand.dump();
        let take = Step::new(NetnsOp::Add { name: "lab".into(), id }, "a namespace of its own");
        let error = stand.inside(|executor| executor.run(&[take])).unwrap_err();
        assert_eq!((error.step, error.code()), (0, "netns-name-taken"));
        stand.take_away(&[Step::new(NetnsOp::Delete { name: "lab".into(), id }, "takes back")]);
        before.assert_same(&stand.dump(), "after the undo");
    }
}
