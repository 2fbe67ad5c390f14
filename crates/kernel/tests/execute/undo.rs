//! Plans that are cut off, in a kernel: the undo leaves the host as it was.

use pontoon_testkit::{Host, sandboxed};

use crate::cases::{CASES, Story};
use crate::stand::{Stand, Way};
use crate::world::{Joining, Wanted, World};

/// Gives every bridge a port for a moment: the kernel makes a bridge's route to IPv6 multicast groups when it first has
/// carrier, and keeps it.
const CARRIER: &str = "
    for bridge in $(ip -o link show type bridge | cut -d: -f2); do
        ip link add v0 type veth peer name v1
        ip link set v0 addrgenmode none; ip link set v1 addrgenmode none
        ip link set v0 master $bridge up; ip link set v1 up
        until ip -6 route show table local dev $bridge | grep -q ff00::/8; do sleep 0.01; done
        ip link delete v0
    done
";

/// Cuts the story's last plan off before each of its steps and after the last, and undoes it.
fn undone_from_every_step(host: &Host, name: &str) {
    let mut stand = Stand::new(host, Way::Executor);
    let (mut world, mut story) = (World::new(), Story::default());
    let case = CASES.iter().find(|case| case.name == name).unwrap();
    (case.tell)(&mut world, &stand.ground, &mut story);
    let last = story.acts.pop().unwrap().plan;
    story.acts.iter().for_each(|act| stand.run(&act.plan));
    stand.sh(CARRIER);
    let before = stand.dump().without_switches();
    for cut in 0..=last.steps.len() {
        stand.keep_fresh();
        stand.inside(|executor| executor.run(&last.steps[..cut])).unwrap();
        stand.take_away(&last.undo().steps);
        stand.take_away(&last.undo().steps);
        before.assert_same(&stand.dump().without_switches(), &format!("{name}, cut after {cut} steps"));
    }
}

/// Cuts a move off before each of its steps and after the last, and undoes it.
fn a_move_is_undone(host: &Host) {
    let mut stand = Stand::new(host, Way::Executor);
    let mut world = World::new();
    let fresh = stand.ground.fresh[0];
    let joining = Joining { publish: vec!["8080:80", "5353:53/udp"], ..Joining::default() };
    let plans = [
        world.create(&Wanted::network("blue", &["172.18.0.0/16", "fd00:18::/64"])),
        world.start("web", fresh, &[("blue", joining)]),
    ];
    plans.iter().for_each(|plan| stand.run(plan));
    stand.sh(CARRIER);
    let before = stand.dump();
    // Nobody is greeted: what is learned of others is forgotten by itself.
    let [arrive, _] = world.renumber("blue", &["10.9.0.0/16", "fd00:9::/64"], false);
    for cut in 0..=arrive.steps.len() {
        stand.keep_fresh();
        stand.inside(|executor| executor.run(&arrive.steps[..cut])).unwrap();
        stand.take_away(&arrive.undo().steps);
        stand.take_away(&arrive.undo().steps);
        before.assert_same(&stand.dump(), &format!("cut after {cut} steps"));
    }
}

sandboxed! {
    fn a_move_is_undone_from_every_step(host: Host) {
        a_move_is_undone(&host);
    }

    fn a_new_network_is_undone_from_every_step(host: Host) {
        undone_from_every_step(&host, "network-first");
        undone_from_every_step(&host, "network-snat");
    }

    fn a_new_container_is_undone_from_every_step(host: Host) {
        undone_from_every_step(&host, "container-dual-stack");
    }

    fn a_second_connection_is_undone_from_every_step(host: Host) {
        undone_from_every_step(&host, "connect-second-network");
    }

    fn a_connection_with_an_mtu_is_undone_from_every_step(host: Host) {
        undone_from_every_step(&host, "network-mtu");
    }

    fn a_network_keeps_its_mtu_when_its_last_container_goes(host: Host) {
        let mut stand = Stand::new(&host, Way::Executor);
        let mut world = World::new();
        world.know("lab", stand.ground.named.clone());
        for (name, subnet, mtu) in [("small", "172.18.0.0/16", 1400), ("large", "172.19.0.0/16", 9000)] {
            let wanted = Wanted::network(name, &[subnet])
                .option("driver.mtu", &mtu.to_string())
                .option("bridge.name", name);
            let plan = world.create(&wanted);
            stand.run(&plan);
            let has_it = |stand: &Stand<'_>| stand.sh(&format!("ip link show {name}")).contains(&format!("mtu {mtu} "));
            assert!(has_it(&stand));
            let plan = world.connect("lab", name, &Joining::default());
            stand.run(&plan);
            assert!(has_it(&stand));
            let plan = world.disconnect("lab", name);
            stand.run(&plan);
            assert!(has_it(&stand));
        }
    }

    fn a_second_bridge_is_undone_from_every_step(host: Host) {
        undone_from_every_step(&host, "network-second-bridge");
    }

    fn a_cable_is_undone_from_every_step(host: Host) {
        undone_from_every_step(&host, "cable-host");
    }
}
