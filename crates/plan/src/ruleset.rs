//! The nftables table: chains that never change, and networks as elements of their maps.
//!
//! However many networks there are, a forwarded packet meets at most three lookups. Nothing here depends on
//! `br_netfilter`: traffic inside one bridge is let through (or not) by its pair of interface names, which is what
//! the packet carries when `bridge-nf-call-iptables` is on, and never gets here when it is off.

use pontoon_model::network::AddressPool;
use pontoon_model::option::GatewayMode;
use pontoon_model::{IfName, Network};
use pontoon_nft::syntax::{
    Base, Chain, ChainKind, Command, DataType, Element, Elements, Hook, IpVersion, Key, Match, Meta, Nat,
    NatFlags, NatKind, NatTarget, Policy, Priority, Rule, Set, Statement, Value, Verdict, protocol,
};

use crate::Instance;

/// Names of the table's sets and maps.
mod name {
    pub(super) const BRIDGES: &str = "bridges";
    pub(super) const WITHIN: &str = "within";
    pub(super) const FROM: &str = "from";
    pub(super) const TO4: &str = "to4";
    pub(super) const TO6: &str = "to6";
    pub(super) const MASQUERADE4: &str = "masquerade4";
    pub(super) const MASQUERADE6: &str = "masquerade6";
    pub(super) const SNAT4: &str = "snat4";
    pub(super) const SNAT6: &str = "snat6";
    pub(super) const FORWARD: &str = "forward";
    pub(super) const POSTROUTING: &str = "postrouting";
    pub(super) const ENTER_NAT: &str = "enter_nat";
    pub(super) const ENTER_ROUTED: &str = "enter_routed";
    pub(super) const ENTER_OPEN: &str = "enter_open";
}

/// The commands that make the table, its maps and its chains.
pub fn table(instance: &Instance) -> Vec<Command> {
    let table = instance.table();
    let comment = format!("{}container networks; networks are elements of the maps", instance.mark_prefix());
    let mut commands = vec![Command::CreateTable { table: table.clone(), comment: Some(comment) }];
    commands.extend(sets().into_iter().map(|set| Command::AddSet { table: table.clone(), set }));
    for (chain, rules) in chains() {
        let name = chain.name.clone();
        commands.push(Command::AddChain { table: table.clone(), chain });
        commands.extend(rules.into_iter().map(|rule| Command::AddRule {
            table: table.clone(),
            chain: name.clone(),
            rule,
        }));
    }
    commands
}

/// The command that takes the table away.
pub fn remove_table(instance: &Instance) -> Vec<Command> {
    vec![Command::DestroyTable { table: instance.table() }]
}

/// The commands that make a network known to the table.
pub fn add_network(instance: &Instance, network: &Network) -> Vec<Command> {
    elements(instance, network).into_iter().map(Command::AddElements).collect()
}

/// The commands that make the table forget a network.
pub fn remove_network(instance: &Instance, network: &Network) -> Vec<Command> {
    elements(instance, network).into_iter().map(Command::DestroyElements).collect()
}

fn sets() -> Vec<Set> {
    use DataType::{Ifname, Ipv4Addr, Ipv6Addr};
    vec![
        Set::new(name::BRIDGES, [Ifname]).comment("bridges of all networks"),
        Set::verdict_map(name::WITHIN, [Ifname, Ifname]).comment("between containers of one network"),
        Set::verdict_map(name::FROM, [Ifname]).comment("from containers to anywhere else"),
        Set::verdict_map(name::TO4, [Ifname]).comment("from anywhere else to containers, IPv4"),
        Set::verdict_map(name::TO6, [Ifname]).comment("from anywhere else to containers, IPv6"),
        Set::new(name::MASQUERADE4, [Ifname]).comment("whose IPv4 sources become the host's"),
        Set::new(name::MASQUERADE6, [Ifname]).comment("whose IPv6 sources become the host's"),
        Set::map(name::SNAT4, [Ifname], [Ipv4Addr]).comment("whose IPv4 sources become this address"),
        Set::map(name::SNAT6, [Ifname], [Ipv6Addr]).comment("whose IPv6 sources become this address"),
    ]
}

fn chains() -> Vec<(Chain, Vec<Rule>)> {
    // Chains that rules refer to come before those rules.
    vec![
        (plain(name::ENTER_NAT), enter_nat()),
        (plain(name::ENTER_ROUTED), enter_routed()),
        (plain(name::ENTER_OPEN), enter_open()),
        (base(name::FORWARD, ChainKind::Filter, Hook::Forward, Priority::FILTER), forward()),
        (base(name::POSTROUTING, ChainKind::Nat, Hook::Postrouting, Priority::SRCNAT), postrouting()),
    ]
}

fn forward() -> Vec<Rule> {
    vec![
        Rule::new([vmap([meta(Meta::Iifname), meta(Meta::Oifname)], name::WITHIN)]),
        Rule::new([vmap([meta(Meta::Iifname)], name::FROM)]),
        Rule::new([family(Value::IPV4), vmap([meta(Meta::Oifname)], name::TO4)]),
        Rule::new([family(Value::IPV6), vmap([meta(Meta::Oifname)], name::TO6)]),
    ]
}

/// What may enter a network in gateway mode `nat`: answers.
fn enter_nat() -> Vec<Rule> {
    vec![answers(), refuse("unpublished")]
}

/// What may enter a network in gateway mode `routed`: answers, and ICMP from outside.
fn enter_routed() -> Vec<Rule> {
    let l4 = |number| Match::is(meta(Meta::L4proto), Value::Protocol(number));
    vec![
        answers(),
        from_a_network(),
        Rule::new([family(Value::IPV4), l4(protocol::ICMP), Statement::Verdict(Verdict::Accept)]),
        Rule::new([family(Value::IPV6), l4(protocol::ICMPV6), Statement::Verdict(Verdict::Accept)]),
        refuse("unpublished"),
    ]
}

/// What may enter a network in gateway mode `nat-unprotected`: all but other networks' containers.
fn enter_open() -> Vec<Rule> {
    vec![answers(), from_a_network(), Rule::new([Statement::Verdict(Verdict::Accept)])]
}

fn answers() -> Rule {
    Rule::new([
        Match::is(Key::Ct(pontoon_nft::syntax::CtField::State), Value::ESTABLISHED_RELATED),
        Statement::Verdict(Verdict::Accept),
    ])
}

fn from_a_network() -> Rule {
    Rule::new([Match::is_in([meta(Meta::Iifname)], name::BRIDGES), Statement::Verdict(Verdict::Drop)])
        .comment("networks do not reach each other")
}

fn refuse(why: &str) -> Rule {
    Rule::new([Statement::Verdict(Verdict::Drop)]).comment(why)
}

fn postrouting() -> Vec<Rule> {
    let leaves = || Match::is_not_in([meta(Meta::Oifname)], name::BRIDGES);
    let snat = |version, map: &str| {
        Statement::Nat(Nat {
            kind: NatKind::Snat,
            to: NatTarget::Map { version, key: vec![meta(Meta::Iifname)], map: map.into(), with_port: false },
            flags: NatFlags::default(),
        })
    };
    let masquerade = || Statement::Masquerade { flags: NatFlags::default(), ports: None };
    let from = |set: &str| Match::is_in([meta(Meta::Iifname)], set);
    vec![
        Rule::new([family(Value::IPV4), leaves(), snat(IpVersion::V4, name::SNAT4)]),
        Rule::new([family(Value::IPV6), leaves(), snat(IpVersion::V6, name::SNAT6)]),
        Rule::new([family(Value::IPV4), from(name::MASQUERADE4), leaves(), masquerade()]),
        Rule::new([family(Value::IPV6), from(name::MASQUERADE6), leaves(), masquerade()]),
    ]
}

fn elements(instance: &Instance, network: &Network) -> Vec<Elements> {
    let bridge = ifname(&network.bridge_name);
    let one = |set: &str, element: Element| Elements::new(instance.table(), set, [element]);
    let key = || Element::new([bridge.clone()]);
    let within = if network.bridge.icc { Verdict::Accept } else { Verdict::Drop };
    let pair = Element::new([bridge.clone(), bridge.clone()]);
    let mut all = vec![one(name::BRIDGES, key()), one(name::WITHIN, pair.verdict(within))];
    if network.internal {
        all.push(one(name::FROM, key().verdict(Verdict::Drop)));
    }
    for pool in network.pools() {
        let is_v4 = pool.subnet.addr().is_ipv4();
        all.push(one(if is_v4 { name::TO4 } else { name::TO6 }, key().verdict(entrance(network, pool))));
        all.extend(source(network, pool).map(|(set, data)| {
            let element = key();
            one(set, data.map_or(element.clone(), |value| element.to([value])))
        }));
    }
    for (absent, set) in [(network.v4.is_none(), name::TO4), (network.v6.is_none(), name::TO6)] {
        if absent {
            all.push(one(set, key().verdict(Verdict::Drop)));
        }
    }
    all
}

/// What meets a packet from elsewhere for a container of the network.
fn entrance(network: &Network, pool: &AddressPool) -> Verdict {
    if network.internal {
        return Verdict::Drop;
    }
    match network.gateway_mode(pool) {
        GatewayMode::Nat => Verdict::Goto(name::ENTER_NAT.to_owned()),
        GatewayMode::NatUnprotected => Verdict::Goto(name::ENTER_OPEN.to_owned()),
        GatewayMode::Routed => Verdict::Goto(name::ENTER_ROUTED.to_owned()),
        GatewayMode::Isolated => Verdict::Drop,
    }
}

/// How a container's source is rewritten on the way out: the set, and for SNAT the address.
fn source(network: &Network, pool: &AddressPool) -> Option<(&'static str, Option<Value>)> {
    let rewrites = network.bridge.masquerade && network.gateway_mode(pool).is_nat() && !network.internal;
    if !rewrites {
        return None;
    }
    Some(match pool.subnet.addr().is_ipv4() {
        true => match network.bridge.host_ipv4 {
            Some(address) => (name::SNAT4, Some(Value::Ipv4(address))),
            None => (name::MASQUERADE4, None),
        },
        false => match network.bridge.host_ipv6 {
            Some(address) => (name::SNAT6, Some(Value::Ipv6(address))),
            None => (name::MASQUERADE6, None),
        },
    })
}

fn ifname(name: &IfName) -> Value {
    Value::Ifname(name.as_str().to_owned())
}

fn meta(field: Meta) -> Key {
    Key::Meta(field)
}

fn family(value: Value) -> Statement {
    Match::is(meta(Meta::Nfproto), value)
}

fn vmap(key: impl Into<Vec<Key>>, map: &str) -> Statement {
    Statement::Vmap { key: key.into(), map: map.into() }
}

fn plain(name: &str) -> Chain {
    Chain { name: name.to_owned(), base: None, comment: None }
}

fn base(name: &str, kind: ChainKind, hook: Hook, priority: i32) -> Chain {
    let base = Base { kind, hook, priority, policy: Policy::Accept, device: None };
    Chain { name: name.to_owned(), base: Some(base), comment: None }
}
