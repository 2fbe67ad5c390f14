//! The commands that a plan is shown as, typed into a shell, give the state that the executor gives.

use pontoon_model::Mac;
use pontoon_testkit::{Host, sandboxed};

use crate::cases::{CASES, Case, Story};
use crate::dump::Dump;
use crate::stand::{Stand, Way};
use crate::world::{Joining, Wanted, World};

/// The state at the end of the story.
fn end_of(host: &Host, case: &Case, way: Way) -> Dump {
    let mut stand = Stand::new(host, way);
    let (mut world, mut story) = (World::new(), Story::default());
    (case.tell)(&mut world, &stand.ground, &mut story);
    for act in &story.acts {
        // Seen when the test fails.
        println!("{way:?}: {}", act.typed.unwrap_or("what was there before"));
        stand.run(&act.plan);
    }
    stand.dump()
}

fn agree(host: &Host, case: &Case, ways: [Way; 2]) {
    let [left, right] = ways.map(|way| end_of(host, case, way));
    left.assert_same(&right, &format!("{}: {ways:?} differ", case.name));
}

fn all_agree(host: &Host, prefix: &str, ways: [Way; 2]) {
    let cases: Vec<&Case> = CASES.iter().filter(|case| case.name.starts_with(prefix)).collect();
    assert!(!cases.is_empty(), "no scenario is called {prefix}…");
    cases.into_iter().for_each(|case| agree(host, case, ways));
}

/// Every combination of options that has a meaning for the kernel, for one kind of addresses; each as a network with a
/// container on it.
fn combinations(families: &[&str]) -> Vec<Wanted> {
    let mut all = Vec::new();
    for (mode, internal) in [
        ("nat", false),
        ("nat", true),
        ("nat-unprotected", false),
        ("nat-unprotected", true),
        ("routed", false),
        ("routed", true),
        ("isolated", true),
    ] {
        for (icc, source) in
            [("true", "masquerade"), ("false", "masquerade"), ("true", "none"), ("true", "snat")]
        {
            let number = all.len();
            let subnets: Vec<String> =
                families.iter().map(|family| family.replace('N', &number.to_string())).collect();
            let subnets: Vec<&str> = subnets.iter().map(String::as_str).collect();
            let mut wanted = Wanted::network(&format!("net{number}"), &subnets)
                .option("bridge.gateway_mode_ipv4", mode)
                .option("bridge.gateway_mode_ipv6", mode)
                .option("bridge.enable_icc", icc)
                .option("bridge.enable_ip_masquerade", if source == "none" { "false" } else { "true" });
            wanted.internal = internal;
            if source == "snat" {
                wanted = wanted.option("host_ipv4", "192.0.2.7").option("host_ipv6", "2001:db8::7");
            }
            // These meet no other option on their way: a few of each are enough.
            if number % 3 == 1 {
                wanted = wanted.option("driver.mtu", ["1280", "1400", "9000"][number / 3 % 3]);
            }
            if number % 4 == 2 {
                wanted = wanted.option("bridge.inhibit_ipv4", "true");
            }
            all.push(wanted);
        }
    }
    all
}

/// All combinations on one host, with one container on all of them.
fn combined(host: &Host, families: &[&str], way: Way) -> [Dump; 2] {
    let mut stand = Stand::new(host, way);
    let mut world = World::new();
    world.know("lab", stand.ground.named.clone());
    let wanted = combinations(families);
    for (number, wanted) in wanted.iter().enumerate() {
        let plan = world.create(wanted);
        stand.run(&plan);
        let joining =
            Joining { gw_priority: (number % 5) as i64, reused: number % 2 == 0, ..Joining::default() };
        let plan = world.connect("lab", &wanted.name, &joining);
        stand.run(&plan);
    }
    let made = stand.dump();
    for wanted in wanted.iter().step_by(2) {
        let plan = world.disconnect("lab", &wanted.name);
        stand.run(&plan);
        let plan = world.remove(&wanted.name);
        stand.run(&plan);
    }
    [made, stand.dump()]
}

fn combinations_agree(host: &Host, families: &[&str]) {
    let [left, right] = [Way::Executor, Way::Shell].map(|way| combined(host, families, way));
    left[0].assert_same(&right[0], &format!("made with {families:?}"));
    left[1].assert_same(&right[1], &format!("half of it removed with {families:?}"));
}

/// A network at 10.9.0.0/24 and fd00:9::/64 with two containers, one of them with published ports and on another network
/// too: moved there, or made there.
fn moved_or_made(host: &Host, moved: bool) -> Dump {
    let mut stand = Stand::new(host, Way::Executor);
    let mut world = World::new();
    let there = ["10.9.0.0/24", "fd00:9::/64"];
    let subnets = if moved { ["172.18.0.0/24", "fd00:18::/64"] } else { there };
    let mac = |last| Some(Mac::local([2, 0, 0, 0, 0, last]));
    let mut plans = vec![
        world.create(&Wanted::network("blue", &subnets)),
        world.create(&Wanted::network("red", &["172.19.0.0/16"])),
    ];
    world.know("lab", stand.ground.named.clone());
    let lab = Joining { place: Some(200), mac: mac(2), ..Joining::default() };
    plans.push(world.connect("lab", "blue", &lab));
    let publish = vec!["8080:80", "127.0.0.1:5353:53/udp"];
    let red = Joining { mac: mac(3), ..Joining::default() };
    let blue = Joining { mac: mac(4), publish, ..Joining::default() };
    plans.push(world.start("web", stand.ground.fresh[0], &[("red", red), ("blue", blue)]));
    plans.iter().for_each(|plan| stand.run(plan));
    if moved {
        let [arrive, leave] = world.renumber("blue", &there, false);
        stand.run(&arrive);
        stand.take_away(&leave.steps);
    }
    stand.dump()
}

sandboxed! {
    fn networks_are_as_the_printed_commands_make_them(host: Host) {
        all_agree(&host, "network-", [Way::Executor, Way::Shell]);
    }

    fn containers_are_as_the_printed_commands_make_them(host: Host) {
        all_agree(&host, "container-", [Way::Executor, Way::Shell]);
    }

    fn connections_are_as_the_printed_commands_make_them(host: Host) {
        all_agree(&host, "connect-", [Way::Executor, Way::Shell]);
        all_agree(&host, "disconnect", [Way::Executor, Way::Shell]);
    }

    fn cables_are_as_the_printed_commands_make_them(host: Host) {
        all_agree(&host, "cable-", [Way::Executor, Way::Shell]);
    }

    fn published_ports_are_as_the_printed_commands_make_them(host: Host) {
        all_agree(&host, "publish-", [Way::Executor, Way::Shell]);
    }

    fn impairments_are_as_the_printed_commands_make_them(host: Host) {
        all_agree(&host, "impair-", [Way::Executor, Way::Shell]);
    }

    fn routes_are_as_the_printed_commands_make_them(host: Host) {
        all_agree(&host, "route-", [Way::Executor, Way::Shell]);
    }

    fn moved_networks_are_as_the_printed_commands_make_them(host: Host) {
        host.need("ping");
        all_agree(&host, "renumber-", [Way::Executor, Way::Shell]);
    }

    fn a_moved_network_is_as_one_that_was_made_there(host: Host) {
        let [moved, made] = [true, false].map(|moved| moved_or_made(&host, moved));
        moved.assert_same(&made, "a network that moved is not as one that was made there");
    }

    fn all_options_together_for_ipv4(host: Host) {
        combinations_agree(&host, &["10.N.0.0/24"]);
    }

    fn all_options_together_for_ipv6(host: Host) {
        combinations_agree(&host, &["fd00:N::/64"]);
    }

    fn all_options_together_for_both(host: Host) {
        combinations_agree(&host, &["10.N.0.0/24", "fd00:N::/64"]);
    }

    fn requests_together_or_one_by_one_come_to_the_same(host: Host) {
        all_agree(&host, "", [Way::Executor, Way::StepByStep]);
    }
}
