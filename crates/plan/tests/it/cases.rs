//! Scenarios, each named for what a person does: what the golden scripts show and what is replayed in a kernel.

use pontoon_model::Impairment;
use pontoon_model::impairment::{Loss, Rate};
use pontoon_model::observed::{BridgeFilter, HostSwitches};
use pontoon_model::op::{Netns, NftOp};
use pontoon_model::route::StaticRoute;
use pontoon_model::sandbox::NetnsId;
use pontoon_nft::syntax::{Command, TableRef};
use pontoon_plan::Plan;
use pontoon_plan::cable;

use crate::world::{Joining, Plug, Wanted, World};

/// The namespaces that scenarios take place in.
#[derive(Debug, Clone)]
pub(crate) struct Ground {
    /// New ones without a name, for the containers `web` and `db`.
    pub(crate) fresh: [NetnsId; 2],
    /// One that is pinned as `lab`.
    pub(crate) named: Netns,
    /// One of a process.
    pub(crate) pid: Netns,
    /// One at a path.
    pub(crate) path: Netns,
}

/// What was done, in order.
#[derive(Debug, Default)]
pub(crate) struct Story {
    pub(crate) acts: Vec<Act>,
}

/// One command of a story.
#[derive(Debug)]
pub(crate) struct Act {
    /// What a person typed; none for what was there before the story begins.
    pub(crate) typed: Option<&'static str>,
    pub(crate) plan: Plan,
}

impl Story {
    fn given(&mut self, plan: Plan) {
        self.acts.push(Act { typed: None, plan });
    }

    fn act(&mut self, typed: &'static str, plan: Plan) {
        self.acts.push(Act { typed: Some(typed), plan });
    }
}

/// A story by its name.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) tell: fn(&mut World, &Ground, &mut Story),
}

/// All of them.
pub(crate) const CASES: [Case; 62] = [
    Case { name: "network-first", tell: network_first },
    Case { name: "network-ipv4", tell: network_ipv4 },
    Case { name: "network-dual-stack", tell: network_dual_stack },
    Case { name: "network-ipv6-only", tell: network_ipv6_only },
    Case { name: "network-internal", tell: network_internal },
    Case { name: "network-isolated", tell: network_isolated },
    Case { name: "network-routed", tell: network_routed },
    Case { name: "network-nat-unprotected", tell: network_nat_unprotected },
    Case { name: "network-no-masquerade", tell: network_no_masquerade },
    Case { name: "network-no-icc", tell: network_no_icc },
    Case { name: "network-inhibit-ipv4", tell: network_inhibit_ipv4 },
    Case { name: "network-mtu", tell: network_mtu },
    Case { name: "network-snat", tell: network_snat },
    Case { name: "network-names", tell: network_names },
    Case { name: "network-router-advertisements", tell: network_router_advertisements },
    Case { name: "network-second-root", tell: network_second_root },
    Case { name: "network-second-bridge", tell: network_second_bridge },
    Case { name: "network-without-bridge-filter", tell: network_without_bridge_filter },
    Case { name: "network-flushed-rules", tell: network_flushed_rules },
    Case { name: "network-flushed-guard", tell: network_flushed_guard },
    Case { name: "network-remove", tell: network_remove },
    Case { name: "network-remove-last", tell: network_remove_last },
    Case { name: "container-ipv4", tell: container_ipv4 },
    Case { name: "container-dual-stack", tell: container_dual_stack },
    Case { name: "container-unguarded", tell: container_unguarded },
    Case { name: "container-unguarded-network", tell: container_unguarded_network },
    Case { name: "container-none", tell: container_none },
    Case { name: "container-ends", tell: container_ends },
    Case { name: "connect-second-network", tell: connect_second_network },
    Case { name: "connect-elsewhere", tell: connect_elsewhere },
    Case { name: "connect-reused-address", tell: connect_reused_address },
    Case { name: "connect-sysctls", tell: connect_sysctls },
    Case { name: "connect-guarded", tell: connect_guarded },
    Case { name: "connect-link-local", tell: connect_link_local },
    Case { name: "disconnect", tell: disconnect },
    Case { name: "disconnect-second-network", tell: disconnect_second_network },
    Case { name: "cable-containers", tell: cable_containers },
    Case { name: "cable-pid", tell: cable_pid },
    Case { name: "cable-host", tell: cable_host },
    Case { name: "cable-remove", tell: cable_remove },
    Case { name: "publish-run", tell: publish_run },
    Case { name: "publish-one-address", tell: publish_one_address },
    Case { name: "publish-loopback", tell: publish_loopback },
    Case { name: "publish-range", tell: publish_range },
    Case { name: "publish-dual-stack", tell: publish_dual_stack },
    Case { name: "publish-routed", tell: publish_routed },
    Case { name: "publish-gateway-moves", tell: publish_gateway_moves },
    Case { name: "publish-running", tell: publish_running },
    Case { name: "publish-container-ends", tell: publish_container_ends },
    Case { name: "impair-rate-and-loss", tell: impair_rate_and_loss },
    Case { name: "impair-live", tell: impair_live },
    Case { name: "impair-all-lost", tell: impair_all_lost },
    Case { name: "impair-clear", tell: impair_clear },
    Case { name: "impair-disconnect", tell: impair_disconnect },
    Case { name: "route-add", tell: route_add },
    Case { name: "route-add-ipv6", tell: route_add_ipv6 },
    Case { name: "route-remove", tell: route_remove },
    Case { name: "renumber-ipv4", tell: renumber_ipv4 },
    Case { name: "renumber-dual-stack", tell: renumber_dual_stack },
    Case { name: "renumber-second-network", tell: renumber_second_network },
    Case { name: "renumber-published", tell: renumber_published },
    Case { name: "renumber-remembered", tell: renumber_remembered },
];

fn network_first(world: &mut World, _: &Ground, story: &mut Story) {
    let wanted = Wanted::network("blue", &["172.18.0.0/16"]);
    story.act("network create --subnet 172.18.0.0/16 blue", world.create(&wanted));
}

fn network_ipv4(world: &mut World, _: &Ground, story: &mut Story) {
    given_a_network(world, story);
    let wanted = Wanted::network("blue", &["172.18.0.0/16"]);
    story.act("network create --subnet 172.18.0.0/16 blue", world.create(&wanted));
}

fn network_dual_stack(world: &mut World, _: &Ground, story: &mut Story) {
    given_a_network(world, story);
    let wanted = Wanted::network("blue", &["172.18.0.0/16", "fd00:18::/64"]);
    let typed = "network create --ipv6 --subnet 172.18.0.0/16 --subnet fd00:18::/64 blue";
    story.act(typed, world.create(&wanted));
}

fn network_ipv6_only(world: &mut World, ground: &Ground, story: &mut Story) {
    given_a_network(world, story);
    let wanted = Wanted::network("blue", &["fd00:18::/64"]);
    story.act("network create --ipv6 --ipv4=false --subnet fd00:18::/64 blue", world.create(&wanted));
    world.know("lab", ground.named.clone());
    story.act("network connect blue netns:lab", world.connect("lab", "blue", &Joining::default()));
}

fn network_internal(world: &mut World, ground: &Ground, story: &mut Story) {
    given_a_network(world, story);
    let wanted = Wanted::network("blue", &["172.18.0.0/16", "fd00:18::/64"]).internal();
    let typed = "network create --internal --ipv6 --subnet 172.18.0.0/16 --subnet fd00:18::/64 blue";
    story.act(typed, world.create(&wanted));
    world.know("lab", ground.named.clone());
    story.act("network connect blue netns:lab", world.connect("lab", "blue", &Joining::default()));
}

fn network_isolated(world: &mut World, ground: &Ground, story: &mut Story) {
    given_a_network(world, story);
    let wanted = Wanted::network("blue", &["172.18.0.0/16", "fd00:18::/64"])
        .internal()
        .option("bridge.gateway_mode_ipv4", "isolated")
        .option("bridge.gateway_mode_ipv6", "isolated");
    let typed =
        "network create --internal -o …gateway_mode_ipv4=isolated -o …gateway_mode_ipv6=isolated … blue";
    story.act(typed, world.create(&wanted));
    world.know("lab", ground.named.clone());
    story.act("network connect blue netns:lab", world.connect("lab", "blue", &Joining::default()));
}

fn network_routed(world: &mut World, _: &Ground, story: &mut Story) {
    given_a_network(world, story);
    let wanted = Wanted::network("blue", &["172.18.0.0/16", "fd00:18::/64"])
        .option("bridge.gateway_mode_ipv4", "routed")
        .option("bridge.gateway_mode_ipv6", "routed");
    let typed = "network create -o …gateway_mode_ipv4=routed -o …gateway_mode_ipv6=routed … blue";
    story.act(typed, world.create(&wanted));
}

fn network_nat_unprotected(world: &mut World, _: &Ground, story: &mut Story) {
    given_a_network(world, story);
    let wanted =
        Wanted::network("blue", &["172.18.0.0/16"]).option("bridge.gateway_mode_ipv4", "nat-unprotected");
    story.act("network create -o …gateway_mode_ipv4=nat-unprotected … blue", world.create(&wanted));
}

fn network_no_masquerade(world: &mut World, _: &Ground, story: &mut Story) {
    given_a_network(world, story);
    let wanted = Wanted::network("blue", &["172.18.0.0/16"]).option("bridge.enable_ip_masquerade", "false");
    story.act("network create -o …enable_ip_masquerade=false … blue", world.create(&wanted));
}

fn network_no_icc(world: &mut World, ground: &Ground, story: &mut Story) {
    given_a_network(world, story);
    let wanted = Wanted::network("blue", &["172.18.0.0/16"]).option("bridge.enable_icc", "false");
    story.act("network create -o …enable_icc=false … blue", world.create(&wanted));
    world.know("lab", ground.named.clone());
    story.act("network connect blue netns:lab", world.connect("lab", "blue", &Joining::default()));
}

fn network_inhibit_ipv4(world: &mut World, ground: &Ground, story: &mut Story) {
    given_a_network(world, story);
    let wanted = Wanted::network("blue", &["172.18.0.0/16"]).option("bridge.inhibit_ipv4", "true");
    story.act("network create -o …inhibit_ipv4=true … blue", world.create(&wanted));
    world.know("lab", ground.named.clone());
    story.act("network connect blue netns:lab", world.connect("lab", "blue", &Joining::default()));
}

fn network_mtu(world: &mut World, ground: &Ground, story: &mut Story) {
    given_a_network(world, story);
    let wanted = Wanted::network("blue", &["172.18.0.0/16"]).option("driver.mtu", "1400");
    story.act("network create -o com.docker.network.driver.mtu=1400 … blue", world.create(&wanted));
    world.know("lab", ground.named.clone());
    story.act("network connect blue netns:lab", world.connect("lab", "blue", &Joining::default()));
}

fn network_snat(world: &mut World, _: &Ground, story: &mut Story) {
    given_a_network(world, story);
    let wanted = Wanted::network("blue", &["172.18.0.0/16", "fd00:18::/64"])
        .option("host_ipv4", "192.0.2.7")
        .option("host_ipv6", "2001:db8::7");
    let typed = "network create -o …host_ipv4=192.0.2.7 -o …host_ipv6=2001:db8::7 … blue";
    story.act(typed, world.create(&wanted));
}

fn network_names(world: &mut World, ground: &Ground, story: &mut Story) {
    given_a_network(world, story);
    let wanted = Wanted::network("blue", &["172.18.0.0/16"])
        .option("bridge.name", "br.blue")
        .option("container_iface_prefix", "net");
    story.act(
        "network create -o …bridge.name=br.blue -o …container_iface_prefix=net … blue",
        world.create(&wanted),
    );
    world.know("lab", ground.named.clone());
    story.act("network connect blue netns:lab", world.connect("lab", "blue", &Joining::default()));
}

/// The host has its own default route from router advertisements on `eth0`.
fn network_router_advertisements(world: &mut World, _: &Ground, story: &mut Story) {
    given_a_network(world, story);
    world.switches.ra_uplinks = vec!["eth0".into()];
    let wanted = Wanted::network("blue", &["fd00:18::/64"]);
    story.act("network create --ipv6 --ipv4=false --subnet fd00:18::/64 blue", world.create(&wanted));
}

fn network_second_root(world: &mut World, _: &Ground, story: &mut Story) {
    world.instance = pontoon_plan::Instance::with_root("/srv/other");
    world.switches.ipv4_forward = true;
    world.switches.table = false;
    let wanted = Wanted::network("blue", &["172.18.0.0/16"]).internal();
    story.act(
        "--root /srv/other network create --internal --subnet 172.18.0.0/16 blue",
        world.create(&wanted),
    );
}

/// The thousandth container of a network does not find room on its bridge.
fn network_second_bridge(world: &mut World, ground: &Ground, story: &mut Story) {
    let wanted = Wanted::network("blue", &["172.18.0.0/16"]).option("bridge.enable_icc", "false");
    story.given(world.create(&wanted));
    world.know("lab", ground.named.clone());
    let mut plan = world.add_segment("blue", 1);
    let joining = Joining { place: Some(1000), ..Joining::default() };
    plan.append(world.connect("lab", "blue", &joining));
    story.act("network connect --ip 172.18.3.232 blue netns:lab", plan);
}

/// The kernel has no nftables for bridges.
fn network_without_bridge_filter(world: &mut World, _: &Ground, story: &mut Story) {
    world.switches.bridge_filter = BridgeFilter::Impossible;
    let wanted = Wanted::network("blue", &["172.18.0.0/16"]);
    story.act("network create --subnet 172.18.0.0/16 blue", world.create(&wanted));
}

fn network_flushed_rules(world: &mut World, ground: &Ground, story: &mut Story) {
    given_web_and_db_on_blue(world, ground, story);
    story.given(flush(&[world.instance.table(), world.instance.guard_table()]));
    let switches = HostSwitches::default();
    story.act("restore", world.restore(&switches));
}

/// Somebody took one of the tables away and left the other.
fn network_flushed_guard(world: &mut World, ground: &Ground, story: &mut Story) {
    given_web_and_db_on_blue(world, ground, story);
    story.given(flush(&[world.instance.guard_table()]));
    let switches = HostSwitches { table: true, ..HostSwitches::default() };
    story.act("restore", world.restore(&switches));
}

fn network_remove(world: &mut World, _: &Ground, story: &mut Story) {
    given_a_network(world, story);
    story.given(world.create(&Wanted::network("blue", &["172.18.0.0/16", "fd00:18::/64"])));
    story.act("network rm blue", world.remove("blue"));
}

fn network_remove_last(world: &mut World, _: &Ground, story: &mut Story) {
    story.given(world.create(&Wanted::network("blue", &["172.18.0.0/16"])));
    story.act("network rm blue", world.remove("blue"));
}

fn container_ipv4(world: &mut World, ground: &Ground, story: &mut Story) {
    story.given(world.create(&Wanted::network("blue", &["172.18.0.0/16"])));
    let plan = world.start("web", ground.fresh[0], &[("blue", Joining::default())]);
    story.act("run --name web --network blue", plan);
}

fn container_dual_stack(world: &mut World, ground: &Ground, story: &mut Story) {
    story.given(world.create(&Wanted::network("blue", &["172.18.0.0/16", "fd00:18::/64"])));
    let plan = world.start("web", ground.fresh[0], &[("blue", Joining::default())]);
    story.act("run --name web --network blue", plan);
}

fn container_unguarded(world: &mut World, ground: &Ground, story: &mut Story) {
    story.given(world.create(&Wanted::network("blue", &["172.18.0.0/16"])));
    let joining = Joining { antispoof: Some(false), ..Joining::default() };
    let plan = world.start("web", ground.fresh[0], &[("blue", joining)]);
    story.act("run --name web --network blue:driver-opt=pontoon.antispoof=false", plan);
}

fn container_unguarded_network(world: &mut World, ground: &Ground, story: &mut Story) {
    let wanted = Wanted::network("blue", &["172.18.0.0/16"]).unguarded();
    story.act("network create -o pontoon.antispoof=false … blue", world.create(&wanted));
    let plan = world.start("web", ground.fresh[0], &[("blue", Joining::default())]);
    story.act("run --name web --network blue", plan);
}

fn container_none(world: &mut World, ground: &Ground, story: &mut Story) {
    story.act("run --name web --network none", world.start_without("web", ground.fresh[0]));
}

fn container_ends(world: &mut World, ground: &Ground, story: &mut Story) {
    story.given(world.create(&Wanted::network("blue", &["172.18.0.0/16", "fd00:18::/64"])));
    story.given(world.start("web", ground.fresh[0], &[("blue", Joining::default())]));
    story.act("stop web", world.end("web"));
}

fn connect_second_network(world: &mut World, ground: &Ground, story: &mut Story) {
    given_web_on_blue_beside_green(world, ground, story);
    let joining = Joining { gw_priority: 1, ..Joining::default() };
    story.act("network connect --gw-priority 1 green web", world.connect("web", "green", &joining));
}

fn connect_elsewhere(world: &mut World, ground: &Ground, story: &mut Story) {
    story.given(world.create(&Wanted::network("blue", &["172.18.0.0/16"])));
    world.know("pid-4242", ground.pid.clone());
    world.know("box", ground.path.clone());
    story.act("network connect blue pid:4242", world.connect("pid-4242", "blue", &Joining::default()));
    let typed = "network connect blue netns:/run/box/netns";
    story.act(typed, world.connect("box", "blue", &Joining::default()));
}

fn connect_reused_address(world: &mut World, ground: &Ground, story: &mut Story) {
    story.given(world.create(&Wanted::network("blue", &["172.18.0.0/16", "fd00:18::/64"])));
    world.know("lab", ground.named.clone());
    let joining = Joining { reused: true, ..Joining::default() };
    story.act("network connect blue netns:lab", world.connect("lab", "blue", &joining));
}

fn connect_sysctls(world: &mut World, ground: &Ground, story: &mut Story) {
    story.given(world.create(&Wanted::network("blue", &["172.18.0.0/16"])));
    world.know("lab", ground.named.clone());
    let options = vec![("ifname", "lan.0"), ("sysctls", "net.ipv4.conf.IFNAME.log_martians=1")];
    let joining = Joining { options, ..Joining::default() };
    let typed = "network connect --ifname lan.0 --driver-opt …sysctls=net.ipv4.conf.IFNAME.log_martians=1 blue netns:lab";
    story.act(typed, world.connect("lab", "blue", &joining));
}

fn connect_guarded(world: &mut World, ground: &Ground, story: &mut Story) {
    story.given(world.create(&Wanted::network("blue", &["172.18.0.0/16", "fd00:18::/64"])));
    world.know("lab", ground.named.clone());
    let joining = Joining { antispoof: Some(true), ..Joining::default() };
    let typed = "network connect --driver-opt pontoon.antispoof=true blue netns:lab";
    story.act(typed, world.connect("lab", "blue", &joining));
    story.act("network disconnect blue netns:lab", world.disconnect("lab", "blue"));
}

fn connect_link_local(world: &mut World, ground: &Ground, story: &mut Story) {
    story.given(world.create(&Wanted::network("blue", &["172.18.0.0/16"])));
    world.know("lab", ground.named.clone());
    let link_local = ["169.254.8.8", "fe80::8"].map(|address| address.parse().unwrap()).to_vec();
    let joining = Joining { antispoof: Some(true), link_local, ..Joining::default() };
    let typed = "network connect --driver-opt pontoon.antispoof=true --link-local-ip 169.254.8.8 --link-local-ip fe80::8 blue netns:lab";
    story.act(typed, world.connect("lab", "blue", &joining));
    story.act("network disconnect blue netns:lab", world.disconnect("lab", "blue"));
}

fn disconnect(world: &mut World, ground: &Ground, story: &mut Story) {
    story.given(world.create(&Wanted::network("blue", &["172.18.0.0/16", "fd00:18::/64"])));
    world.know("lab", ground.named.clone());
    story.given(world.connect("lab", "blue", &Joining::default()));
    story.act("network disconnect blue netns:lab", world.disconnect("lab", "blue"));
}

fn disconnect_second_network(world: &mut World, ground: &Ground, story: &mut Story) {
    given_web_on_blue_beside_green(world, ground, story);
    let joining = Joining { gw_priority: 1, ..Joining::default() };
    story.given(world.connect("web", "green", &joining));
    story.act("network disconnect green web", world.disconnect("web", "green"));
}

fn cable_containers(world: &mut World, ground: &Ground, story: &mut Story) {
    story.given(world.start_without("web", ground.fresh[0]));
    story.given(world.start_without("db", ground.fresh[1]));
    let web = Plug { container: Some("web"), ifname: "eth0", addresses: &["10.9.0.1/30", "fd00:9::1/64"] };
    let db = Plug { container: Some("db"), ifname: "eth0", addresses: &["10.9.0.2/30", "fd00:9::2/64"] };
    let typed = "link web=10.9.0.1/30,fd00:9::1/64 db=10.9.0.2/30,fd00:9::2/64";
    story.act(typed, world.lay([web, db], Some(9000)));
}

fn cable_pid(world: &mut World, ground: &Ground, story: &mut Story) {
    world.know("pid-4242", ground.pid.clone());
    world.know("lab", ground.named.clone());
    let process = Plug { container: Some("pid-4242"), ifname: "left", addresses: &["10.9.0.1/30"] };
    let lab = Plug { container: Some("lab"), ifname: "right", addresses: &["10.9.0.2/30"] };
    story.act("link pid:4242:left=10.9.0.1/30 netns:lab:right=10.9.0.2/30", world.lay([process, lab], None));
}

fn cable_host(world: &mut World, ground: &Ground, story: &mut Story) {
    world.know("pid-4242", ground.pid.clone());
    let host = Plug { container: None, ifname: "uplink", addresses: &["10.9.0.1/30"] };
    let process = Plug { container: Some("pid-4242"), ifname: "eth0", addresses: &["10.9.0.2/30"] };
    let mut plan = world.lay([host, process], None);
    let link = "eth0".parse().unwrap();
    plan.append(cable::default_route(&ground.pid, &link, "10.9.0.1".parse().unwrap(), "pid-4242"));
    story.act("link host:uplink=10.9.0.1/30 pid:4242:eth0=10.9.0.2/30 with a way out", plan);
}

fn cable_remove(world: &mut World, ground: &Ground, story: &mut Story) {
    world.know("lab", ground.named.clone());
    let lab = Plug { container: Some("lab"), ifname: "eth0", addresses: &[] };
    let host = Plug { container: None, ifname: "tap", addresses: &[] };
    story.given(world.lay([host, lab], None));
    story.act("link --remove host netns:lab", world.unlay(0));
}

/// Web on blue, with published ports from its first moment on.
fn publish(world: &mut World, ground: &Ground, ports: &[&'static str]) -> Plan {
    let joining = Joining { publish: ports.to_vec(), ..Joining::default() };
    world.start("web", ground.fresh[0], &[("blue", joining)])
}

fn publish_run(world: &mut World, ground: &Ground, story: &mut Story) {
    story.given(world.create(&Wanted::network("blue", &["172.18.0.0/16"])));
    story.act("run --name web --network blue -p 8080:80", publish(world, ground, &["8080:80"]));
}

fn publish_one_address(world: &mut World, ground: &Ground, story: &mut Story) {
    story.given(world.create(&Wanted::network("blue", &["172.18.0.0/16"])));
    let ports = ["192.0.2.2:8080:80", "192.0.2.2:53:5353/udp"];
    let typed = "run --name web --network blue -p 192.0.2.2:8080:80 -p 192.0.2.2:53:5353/udp";
    story.act(typed, publish(world, ground, &ports));
}

fn publish_loopback(world: &mut World, ground: &Ground, story: &mut Story) {
    story.given(world.create(&Wanted::network("blue", &["172.18.0.0/16", "fd00:18::/64"])));
    let ports = ["127.0.0.1:8080:80", "[::1]:8080:80"];
    let typed = "run --name web --network blue -p 127.0.0.1:8080:80 -p [::1]:8080:80";
    story.act(typed, publish(world, ground, &ports));
}

fn publish_range(world: &mut World, ground: &Ground, story: &mut Story) {
    story.given(world.create(&Wanted::network("blue", &["172.18.0.0/16"])));
    let typed = "run --name web --network blue -p 8000-8003:80-83";
    story.act(typed, publish(world, ground, &["8000-8003:80-83"]));
}

fn publish_dual_stack(world: &mut World, ground: &Ground, story: &mut Story) {
    story.given(world.create(&Wanted::network("blue", &["172.18.0.0/16", "fd00:18::/64"])));
    story.act("run --name web --network blue -p 8080:80", publish(world, ground, &["8080:80"]));
}

fn publish_routed(world: &mut World, ground: &Ground, story: &mut Story) {
    let wanted = Wanted::network("blue", &["172.18.0.0/16", "fd00:18::/64"])
        .option("bridge.gateway_mode_ipv6", "routed");
    story.given(world.create(&wanted));
    story.act("run --name web --network blue -p 8080:80", publish(world, ground, &["8080:80"]));
}

fn publish_gateway_moves(world: &mut World, ground: &Ground, story: &mut Story) {
    given_web_on_blue_beside_green(world, ground, story);
    story.given(world.publish("web", &["8080:80"]));
    let joining = Joining { gw_priority: 1, ..Joining::default() };
    story.act("network connect --gw-priority 1 green web", world.connect("web", "green", &joining));
    story.act("network disconnect green web", world.disconnect("web", "green"));
}

fn publish_running(world: &mut World, ground: &Ground, story: &mut Story) {
    given_web_on_blue_beside_green(world, ground, story);
    story.given(world.publish("web", &["8080:80"]));
    story.act("publish web 8443:443", world.publish("web", &["8443:443"]));
    story.act("unpublish --all web", world.unpublish("web"));
}

fn publish_container_ends(world: &mut World, ground: &Ground, story: &mut Story) {
    story.given(world.create(&Wanted::network("blue", &["172.18.0.0/16"])));
    story.given(publish(world, ground, &["8080:80"]));
    story.act("stop web", world.end("web"));
}

/// A network that has the table made and forwarding switched on already.
fn given_a_network(world: &mut World, story: &mut Story) {
    story.given(world.create(&Wanted::network("bridge", &["172.17.0.0/16"])));
}

fn given_web_on_blue_beside_green(world: &mut World, ground: &Ground, story: &mut Story) {
    story.given(world.create(&Wanted::network("blue", &["172.18.0.0/16", "fd00:18::/64"])));
    story.given(world.create(&Wanted::network("green", &["172.19.0.0/16"])));
    story.given(world.start("web", ground.fresh[0], &[("blue", Joining::default())]));
}

fn given_web_and_db_on_blue(world: &mut World, ground: &Ground, story: &mut Story) {
    story.given(world.create(&Wanted::network("blue", &["172.18.0.0/16", "fd00:18::/64"])));
    for (name, fresh) in ["web", "db"].into_iter().zip(ground.fresh) {
        story.given(world.start(name, fresh, &[("blue", Joining::default())]));
    }
}

/// What leaves an interface, as it is typed after the flags.
fn impairment(rate: &str, loss: &str) -> Impairment {
    let rate = Some(rate.parse::<Rate>().unwrap().0);
    Impairment { rate, loss: Some(loss.parse().unwrap()), ..Impairment::default() }
}

fn impair_rate_and_loss(world: &mut World, ground: &Ground, story: &mut Story) {
    given_web_on_blue_beside_green(world, ground, story);
    story.act("impair web --rate 10mbit --loss 1%", world.impair("web", "blue", impairment("10mbit", "1%")));
}

fn impair_live(world: &mut World, ground: &Ground, story: &mut Story) {
    given_web_on_blue_beside_green(world, ground, story);
    story.given(world.impair("web", "blue", impairment("10mbit", "1%")));
    let now = impairment("1.5gbit", "0.05%");
    story.act("impair web --rate 1.5gbit --loss 0.05%", world.impair("web", "blue", now));
}

fn impair_all_lost(world: &mut World, ground: &Ground, story: &mut Story) {
    story.given(world.create(&Wanted::network("blue", &["172.18.0.0/16"])));
    world.know("pid-4242", ground.pid.clone());
    story.given(world.connect("pid-4242", "blue", &Joining::default()));
    let now = Impairment { loss: Some(Loss::ALL), ..Impairment::default() };
    story.act("impair pid:4242 --loss 100%", world.impair("pid-4242", "blue", now));
}

fn impair_clear(world: &mut World, ground: &Ground, story: &mut Story) {
    given_web_on_blue_beside_green(world, ground, story);
    story.given(world.impair("web", "blue", impairment("10mbit", "1%")));
    story.act("impair web --clear", world.impair("web", "blue", Impairment::default()));
}

fn impair_disconnect(world: &mut World, ground: &Ground, story: &mut Story) {
    given_web_on_blue_beside_green(world, ground, story);
    story.given(world.impair("web", "blue", impairment("10mbit", "1%")));
    story.act("network disconnect blue web", world.disconnect("web", "blue"));
}

fn given(to: &str, via: &str) -> StaticRoute {
    StaticRoute { to: to.parse().unwrap(), via: via.parse().unwrap() }
}

fn route_add(world: &mut World, ground: &Ground, story: &mut Story) {
    given_web_on_blue_beside_green(world, ground, story);
    let plan = world.give_route("web", "blue", given("10.1.0.0/16", "172.18.0.9"));
    story.act("network route add web 10.1.0.0/16 via 172.18.0.9", plan);
}

fn route_add_ipv6(world: &mut World, ground: &Ground, story: &mut Story) {
    story.given(world.create(&Wanted::network("blue", &["fd00:18::/64"]).internal()));
    world.know("pid-4242", ground.pid.clone());
    story.given(world.connect("pid-4242", "blue", &Joining::default()));
    let plan = world.give_route("pid-4242", "blue", given("::/0", "fd00:18::9"));
    story.act("network route add pid:4242 default via fd00:18::9", plan);
}

fn route_remove(world: &mut World, ground: &Ground, story: &mut Story) {
    given_web_on_blue_beside_green(world, ground, story);
    story.given(world.give_route("web", "blue", given("10.1.0.0/16", "172.18.0.9")));
    story.act("network route rm web 10.1.0.0/16", world.take_route("web", "blue"));
}

/// What somebody else does to the rules.
fn flush(tables: &[TableRef]) -> Plan {
    let mut plan = Plan::default();
    let commands = tables.iter().cloned().map(|table| Command::DestroyTable { table }).collect();
    plan.push(NftOp { commands }, "somebody takes rules away");
    plan
}

/// Moves a network in one act.
fn renumber(world: &mut World, story: &mut Story, typed: &'static str, subnets: &[&str], announce: bool) {
    let [mut plan, leave] = world.renumber("blue", subnets, announce);
    plan.append(leave);
    story.act(typed, plan);
}

fn renumber_ipv4(world: &mut World, ground: &Ground, story: &mut Story) {
    story.given(world.create(&Wanted::network("blue", &["172.18.0.0/16"])));
    story.given(world.start("web", ground.fresh[0], &[("blue", Joining::default())]));
    world.know("lab", ground.named.clone());
    story.given(world.connect("lab", "blue", &Joining { place: Some(200), ..Joining::default() }));
    renumber(world, story, "network renumber --subnet 10.9.0.0/16 blue", &["10.9.0.0/16"], false);
}

fn renumber_dual_stack(world: &mut World, ground: &Ground, story: &mut Story) {
    story.given(world.create(&Wanted::network("blue", &["172.18.0.0/16", "fd00:18::/64"])));
    story.given(world.start("web", ground.fresh[0], &[("blue", Joining::default())]));
    let typed = "network renumber --subnet 10.9.0.0/16 --subnet fd00:9::/64 blue";
    renumber(world, story, typed, &["10.9.0.0/16", "fd00:9::/64"], false);
}

fn renumber_second_network(world: &mut World, ground: &Ground, story: &mut Story) {
    given_a_network(world, story);
    story.given(world.create(&Wanted::network("blue", &["172.18.0.0/16", "fd00:18::/64"]).internal()));
    story.given(world.create(&Wanted::network("red", &["172.19.0.0/16"])));
    let on = |gw_priority| Joining { gw_priority, ..Joining::default() };
    story.given(world.start("web", ground.fresh[0], &[("red", on(1)), ("blue", on(0))]));
    renumber(world, story, "network renumber --subnet fd00:9::/64 blue", &["fd00:9::/64"], false);
}

fn renumber_published(world: &mut World, ground: &Ground, story: &mut Story) {
    story.given(world.create(&Wanted::network("blue", &["172.18.0.0/16", "fd00:18::/64"])));
    let publish = vec!["8080:80", "127.0.0.1:5353:53/udp"];
    story.given(world.start("web", ground.fresh[0], &[("blue", Joining { publish, ..Joining::default() })]));
    renumber(world, story, "network renumber --subnet 10.9.0.0/24 blue", &["10.9.0.0/24"], false);
}

fn renumber_remembered(world: &mut World, ground: &Ground, story: &mut Story) {
    story.given(world.create(&Wanted::network("blue", &["172.18.0.0/16", "fd00:18::/64"])));
    world.know("lab", ground.named.clone());
    story.given(world.connect("lab", "blue", &Joining::default()));
    let typed = "network renumber --subnet 10.9.0.0/24 --subnet fd00:9::/64 blue";
    renumber(world, story, typed, &["10.9.0.0/24", "fd00:9::/64"], true);
}
