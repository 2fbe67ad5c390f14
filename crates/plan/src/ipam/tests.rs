use pontoon_model::config::Config;
use pontoon_model::observed::{HostAddress, HostRoute};
use proptest::prelude::*;

use super::*;

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn routes(list: &[&str]) -> AddressSpace {
    let route = |text: &&str| HostRoute { destination: net(text), dev: "vpn0".into(), table: 254 };
    AddressSpace { routes: list.iter().map(route).collect(), ..AddressSpace::default() }
}

fn block(base: &str, size: u8) -> PoolBlock {
    PoolBlock { base: net(base), size }
}

#[test]
fn the_first_free_subnet_is_chosen() {
    let blocks = Config::default().default_address_pools;
    let choose =
        |space: &AddressSpace| choose_subnet(Family::V4, &blocks, space, &[]).map(|net| net.to_string());
    assert_eq!(choose(&AddressSpace::default()).as_deref(), Ok("172.17.0.0/16"));
    assert_eq!(choose(&routes(&["172.16.0.0/12"])).as_deref(), Ok("192.168.0.0/20"));
    assert_eq!(choose(&routes(&["172.16.0.0/12", "192.168.0.0/17"])).as_deref(), Ok("192.168.128.0/20"));
    // A default route in halves forbids nothing.
    assert_eq!(choose(&routes(&["0.0.0.0/1", "128.0.0.0/1"])).as_deref(), Ok("172.17.0.0/16"));
    let error = choose(&routes(&["172.16.0.0/12", "192.168.0.0/16"])).unwrap_err();
    assert!(
        error.to_string().contains("172.17.0.0/16 in /16s") && error.to_string().contains("vpn0"),
        "{error}"
    );
}

#[test]
fn large_blocks_take_no_longer() {
    let space = routes(&["10.0.0.0/9", "10.128.0.0/10", "fd00::/49"]);
    let choose = |family, block| choose_subnet(family, &[block], &space, &[]).unwrap().to_string();
    assert_eq!(choose(Family::V4, block("10.0.0.0/8", 30)), "10.192.0.0/30");
    assert_eq!(choose(Family::V6, block("fd00::/48", 126)), "fd00:0:0:8000::/126");
}

#[test]
fn a_collision_names_what_is_in_the_way() {
    let networks = [("blue".parse().unwrap(), net("10.1.0.0/16"))];
    let mut space = routes(&["10.2.0.0/16"]);
    space.addresses.push(HostAddress { address: net("10.3.0.5/24"), dev: "eth0".into() });
    space.nameservers.push("10.4.0.53".parse().unwrap());
    let blocks = [block("10.0.0.0/12", 16)];
    let check = |text| check_subnet(net(text), &blocks, &space, &networks);
    assert_eq!(check("10.5.0.0/16"), Ok(()));
    for (asked, said) in [
        ("10.1.2.0/24", "network `blue` (10.1.0.0/16)"),
        ("10.2.0.0/24", "the host's route to 10.2.0.0/16 via vpn0"),
        ("10.3.0.0/16", "the host's address 10.3.0.5/24 on eth0"),
        ("10.4.0.0/24", "the host's name server 10.4.0.53"),
    ] {
        let collision = check(asked).unwrap_err();
        assert_eq!(collision.to_string(), format!("subnet {asked} overlaps with {said}"));
        assert_eq!(collision.free.len(), 3);
    }
    assert!(
        check("10.1.0.0/24").unwrap_err().hint().unwrap().starts_with("free are 10.0.0.0/24, 10.0.1.0/24")
    );
}

#[test]
fn the_parts_of_a_pool_must_fit() {
    let pool = |range: Option<&str>, gateway: Option<&str>, aux: &[&str]| {
        let aux = aux
            .iter()
            .enumerate()
            .map(|(number, text)| (format!("a{number}"), text.parse().unwrap()))
            .collect();
        check_pool(net("10.1.0.0/24"), range.map(net), gateway.map(|text| text.parse().unwrap()), aux)
    };
    let gateway = |pool: Result<AddressPool, PoolError>| pool.unwrap().gateway.to_string();
    assert_eq!(gateway(pool(None, None, &[])), "10.1.0.1");
    assert_eq!(gateway(pool(Some("10.1.0.64/26"), None, &[])), "10.1.0.64");
    assert_eq!(gateway(pool(None, None, &["10.1.0.1", "10.1.0.2"])), "10.1.0.3");
    assert!(matches!(pool(Some("10.2.0.0/26"), None, &[]), Err(PoolError::Range { .. })));
    assert!(matches!(pool(None, Some("10.2.0.1"), &[]), Err(PoolError::Outside { .. })));
    assert!(matches!(pool(None, Some("10.1.0.255"), &[]), Err(PoolError::Role { .. })));
    assert!(matches!(pool(None, Some("10.1.0.9"), &["10.1.0.9"]), Err(PoolError::Twice { .. })));
    assert!(matches!(pool(Some("10.1.0.9/32"), Some("10.1.0.9"), &[]), Err(PoolError::Empty(_))));
    let two = check_pool(net("10.1.0.4/31"), None, None, BTreeMap::new()).unwrap();
    assert_eq!(two.gateway.to_string(), "10.1.0.4");
}

#[test]
fn a_unique_local_subnet_follows_from_the_id() {
    let subnet = ula_subnet(&NetworkId::from_bytes([0xab; 32]));
    assert_eq!(subnet, net("fdab:abab:abab:abab::/64"));
}

proptest! {
    /// What is chosen is within its block, free, and what trying one after the other finds.
    #[test]
    fn choosing_is_trying_one_after_the_other(
        taken in proptest::collection::vec((0_u32..=0xffff, 16_u8..=32), 0..40),
        size in 17_u8..=24,
    ) {
        let base = u32::from_be_bytes([10, 1, 0, 0]);
        let texts: Vec<String> = taken
            .iter()
            .map(|(offset, len)| IpNet::new(IpAddr::V4((base | offset).into()), *len).unwrap().trunc().to_string())
            .collect();
        let space = routes(&texts.iter().map(String::as_str).collect::<Vec<_>>());
        let block = block("10.1.0.0/16", size);
        let free = |candidate: &IpNet| !space.routes.iter().any(|route| subnet::overlap(*candidate, route.destination));
        let naive = block.base.subnets(size).unwrap().find(free);
        prop_assert_eq!(choose_subnet(Family::V4, &[block], &space, &[]).ok(), naive);
    }
}

fn ours(name: &str, subnet: &str) -> (NetworkName, IpNet) {
    (name.parse().unwrap(), net(subnet))
}

#[test]
fn default_routes_and_their_halves_are_in_nobodys_way() {
    let everywhere = routes(&["0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1", "::/0", "::/1", "8000::/1"]);
    assert_eq!(check_subnet(net("10.0.0.0/24"), &[], &everywhere, &[]), Ok(()));
    assert_eq!(check_subnet(net("fd00::/64"), &[], &everywhere, &[]), Ok(()));
    assert!(check_subnet(net("10.0.0.0/24"), &[], &routes(&["0.0.0.0/2"]), &[]).is_err());
}

#[test]
fn what_is_offered_is_of_the_same_family_and_size() {
    let taken =
        [ours("all", "172.16.0.0/12"), ours("wide", "fd12:3456:789a:1::/64"), ours("far", "2001:db8::/32")];
    let offered = |asked: &str, blocks: &[PoolBlock]| {
        check_subnet(net(asked), blocks, &AddressSpace::default(), &taken).unwrap_err().free
    };
    let docker = Config::default().default_address_pools;
    let small = [net("192.168.0.0/24"), net("192.168.1.0/24"), net("192.168.2.0/24")];
    assert_eq!(offered("172.17.0.0/24", &docker), small);
    let large = [net("10.0.0.0/16"), net("10.1.0.0/16"), net("10.2.0.0/16")];
    assert_eq!(offered("172.17.0.0/16", &[block("fd00::/8", 64)]), large);
    let near = [net("fd12:3456:789a::/64"), net("fd12:3456:789a:2::/64"), net("fd12:3456:789a:3::/64")];
    assert_eq!(offered("fd12:3456:789a:1::/64", &docker), near);
    let error = check_subnet(net("2001:db8:1::/64"), &docker, &AddressSpace::default(), &taken).unwrap_err();
    assert_eq!(error.hint().unwrap(), "--allow-overlap insists");
}

#[test]
fn used_up_pools_say_by_what() {
    let blocks = [block("10.0.0.0/22", 24), block("10.1.0.0/24", 25)];
    let mut space = routes(&["10.0.0.0/22", "10.0.0.0/25", "10.0.0.128/25"]);
    space.addresses.push(HostAddress { address: net("10.1.0.9/26"), dev: "eth0".into() });
    space.nameservers.push("10.1.0.200".parse().unwrap());
    let networks = [ours("a", "10.0.0.0/26"), ours("b", "10.0.0.128/26"), ours("c", "10.0.3.0/24")];
    let error = choose_subnet(Family::V4, &blocks, &space, &networks).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no free IPv4 subnet is left in the default address pools (10.0.0.0/22 in /24s, 10.1.0.0/24 in /25s): \
         taken are 2 by networks, 2 by routes of the host, 1 by addresses of the host, 1 by name servers, \
         first of all by network `a` (10.0.0.0/26), network `b` (10.0.0.128/26), network `c` (10.0.3.0/24)"
    );
    assert!(error.hint().unwrap().contains("pontoon network prune"));
    let error = choose_subnet(Family::V6, &blocks, &space, &networks).unwrap_err();
    assert_eq!(error, SubnetChoiceError::NoBlock(Family::V6));

    let docker = Config::default().default_address_pools;
    let error =
        choose_subnet(Family::V4, &docker, &routes(&["172.16.0.0/12", "192.168.0.0/16"]), &[]).unwrap_err();
    assert!(error.to_string().contains("172.19.0.0/16 in /16s, 13 more): taken are 31 by routes"), "{error}");
    assert!(!error.hint().unwrap().contains("prune"));
}

#[test]
fn a_block_that_is_full_takes_no_longer_to_count() {
    let error =
        choose_subnet(Family::V6, &[block("fd00::/8", 126)], &routes(&["fc00::/7"]), &[]).unwrap_err();
    assert!(error.to_string().contains(&format!("taken are {} by routes", 1_u128 << 118)), "{error}");
}

#[test]
fn the_ends_of_the_address_space_do_no_harm() {
    let end = block("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127", 128);
    let choose =
        |block, networks: &[_]| choose_subnet(Family::V6, &[block], &AddressSpace::default(), networks);
    let last_but_one = [ours("a", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/128")];
    assert_eq!(choose(end, &last_but_one).unwrap(), net("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128"));
    assert!(choose(end, &[ours("a", "ff00::/8")]).is_err());
    assert_eq!(choose(block("::/0", 0), &[]).unwrap(), net("::/0"));
    assert!(choose(block("::/0", 0), &[ours("a", "ff00::/8")]).is_err());
}

#[test]
fn a_unique_local_subnet_gives_way() {
    let id: NetworkId = "0123456789abcdef".repeat(4).parse().unwrap();
    let first = ula_subnet(&id);
    assert_eq!(first, net("fdcd:ef01:2345:6789::/64"));
    let empty = AddressSpace::default();
    assert_eq!(choose_ula_subnet(&id, &empty, &[]), Ok(first));
    let second = choose_ula_subnet(&id, &empty, &[ours("blue", &first.to_string())]);
    assert_eq!(second, Ok(net("fdde:f012:3456:789a::/64")));
    let error = choose_ula_subnet(&id, &routes(&["fd00::/8"]), &[]).unwrap_err();
    assert_eq!(error.subnet, first);
}

#[test]
fn a_gateway_is_refused_for_what_it_is() {
    let refusal = |subnet: &str, gateway: &str| {
        check_pool(net(subnet), None, Some(gateway.parse().unwrap()), BTreeMap::new())
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        refusal("10.1.0.0/24", "10.1.0.255"),
        "gateway 10.1.0.255 is the broadcast address of subnet 10.1.0.0/24"
    );
    assert_eq!(
        refusal("fd00::/64", "fd00::"),
        "gateway fd00:: is the routers' anycast address of subnet fd00::/64"
    );
    assert_eq!(refusal("10.1.0.0/24", "fd00::1"), "gateway fd00::1 is not within subnet 10.1.0.0/24");
}

/// Subnets in and around 10.0.0.0/22, some of them as wide as everything.
fn some_net() -> impl Strategy<Value = IpNet> {
    let length = prop_oneof![9 => 22..=32_u8, 1 => 0..=3_u8];
    (0..2048_u32, length)
        .prop_map(|(low, length)| IpNet::new(IpAddr::V4((0x0a00_0000 + low).into()), length).unwrap())
}

fn some_space() -> impl Strategy<Value = (AddressSpace, Vec<(NetworkName, IpNet)>)> {
    let nets = || prop::collection::vec(some_net(), 0..10);
    (nets(), nets(), prop::collection::vec(some_net(), 0..3), nets()).prop_map(
        |(to, own, servers, networks)| {
            let route = |to: IpNet| HostRoute { destination: to.trunc(), dev: "vpn0".into(), table: 77 };
            let space = AddressSpace {
                routes: to.into_iter().map(route).collect(),
                addresses: own
                    .into_iter()
                    .map(|address| HostAddress { address, dev: "eth0".into() })
                    .collect(),
                nameservers: servers.into_iter().map(|net| net.addr()).collect(),
            };
            let networks = networks.into_iter().filter(|net| net.prefix_len() >= 22);
            (space, networks.map(|net| ("n".parse().unwrap(), net.trunc())).collect())
        },
    )
}

/// Whether a subnet is free, as the rule is told.
fn naively_free(subnet: IpNet, space: &AddressSpace, networks: &[(NetworkName, IpNet)]) -> bool {
    let routes = space.routes.iter().map(|route| route.destination);
    let addresses = space.addresses.iter().map(|own| own.address);
    let host = routes.chain(addresses).filter(|net| net.prefix_len() > 1);
    let networks = networks.iter().map(|(_, net)| *net);
    let servers = space.nameservers.iter().map(|server| IpNet::from(*server));
    !host.chain(networks).chain(servers).any(|net| subnet::overlap(net, subnet))
}

proptest! {
    /// Whatever takes addresses up, the choice among several blocks is what a naive search finds, and when there is
    /// none every subnet is counted once.
    #[test]
    fn choosing_among_blocks_is_a_naive_search(
        (space, networks) in some_space(),
        sizes in (22..=30_u8, 23..=30_u8),
    ) {
        let blocks = [block("10.0.0.0/22", sizes.0), block("fd00::/48", 64), block("10.0.6.0/23", sizes.1)];
        let naive = [blocks[0], blocks[2]].into_iter().find_map(|block| {
            block.base.subnets(block.size).unwrap().find(|subnet| naively_free(*subnet, &space, &networks))
        });
        match choose_subnet(Family::V4, &blocks, &space, &networks) {
            Ok(chosen) => prop_assert_eq!(Some(chosen), naive),
            Err(SubnetChoiceError::Exhausted { taken, .. }) => {
                prop_assert_eq!(naive, None);
                let total = (1_u128 << (sizes.0 - 22)) + (1 << (sizes.1 - 23));
                prop_assert_eq!(taken.networks + taken.routes + taken.addresses + taken.nameservers, total);
            }
            Err(error) => prop_assert!(false, "{}", error),
        }
    }

    #[test]
    fn a_subnet_is_refused_exactly_when_it_is_not_free((space, networks) in some_space(), asked in some_net()) {
        let asked = asked.trunc();
        let checked = check_subnet(asked, &[block("10.0.0.0/22", 24)], &space, &networks);
        prop_assert_eq!(checked.is_ok(), naively_free(asked, &space, &networks));
        if let Err(Collision { obstacle, free, .. }) = checked {
            prop_assert!(subnet::overlap(obstacle.net(), asked));
            for (index, subnet) in free.iter().enumerate() {
                prop_assert_eq!(subnet.prefix_len(), asked.prefix_len());
                prop_assert!(naively_free(*subnet, &space, &networks));
                prop_assert!(!free[..index].contains(subnet));
            }
        }
    }
}
