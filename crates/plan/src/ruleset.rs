//! The nftables table: chains that never change; networks and published ports are elements of their maps.
//!
//! However many networks there are, a forwarded packet meets at most three lookups; however many ports are published,
//! the first packet of a connection to the host meets at most two, and the others of a translated one meet one alone,
//! which counts them ([`account`]). The administrator's own rules have their place in `user-forward` and
//! `user-input`, which are met before those of ours that decide. Nothing here depends on `br_netfilter`: traffic inside
//! one bridge is let through (or not) by its pair of interface names, which is what the packet carries when
//! `bridge-nf-call-iptables` is on, and never gets here when it is off.

pub mod example;
pub mod page;
pub mod reason;

use std::net::{Ipv4Addr, Ipv6Addr};

use pontoon_model::network::{AddressPool, NAMES};
use pontoon_model::option::GatewayMode;
use pontoon_model::{IfName, Network};
use pontoon_nft::syntax::{
    Base, Chain, ChainKind, Command, CtField, DataType, Element, Elements, FibAddress, FibResult, Hook,
    Ip6Field, IpField, IpVersion, Key, Match, Meta, Nat, NatFlags, NatKind, NatTarget, Operand, Policy,
    PortSide, Priority, Rule, Set, Statement, Transport, Value, Verdict, protocol,
};

use crate::{Instance, account};

/// The port that names are asked for at. Source: RFC 1035, 4.2.
const NAMES_PORT: u16 = 53;
/// 127.0.0.0/8
pub(crate) const LOOPBACK_NET: Operand =
    Operand::Prefix { address: Value::Ipv4(Ipv4Addr::new(127, 0, 0, 0)), len: 8 };

/// Names of the table's sets and maps.
pub(crate) mod name {
    pub(crate) const BRIDGES: &str = "bridges";
    pub(crate) const WITHIN: &str = "within";
    pub(crate) const FROM: &str = "from";
    pub(crate) const TO4: &str = "to4";
    pub(crate) const TO6: &str = "to6";
    pub(crate) const MASQUERADE4: &str = "masquerade4";
    pub(crate) const MASQUERADE6: &str = "masquerade6";
    pub(crate) const SNAT4: &str = "snat4";
    pub(crate) const SNAT6: &str = "snat6";
    pub(crate) const FORWARD: &str = "forward";
    pub(crate) const POSTROUTING: &str = "postrouting";
    pub(crate) const ENTER_NAT: &str = "enter_nat";
    pub(crate) const ENTER_ROUTED: &str = "enter_routed";
    pub(crate) const ENTER_OPEN: &str = "enter_open";
    pub(crate) const APART: &str = "apart";
    pub(crate) const HAIRPIN: &str = "hairpin";
    pub(crate) const LOOPBACK6: &str = "loopback6";
    pub(crate) const SELF4: &str = "self4";
    pub(crate) const SELF6: &str = "self6";
    pub(crate) const AT4: &str = "at4";
    pub(crate) const AT6: &str = "at6";
    pub(crate) const ANY4: &str = "any4";
    pub(crate) const ANY6: &str = "any6";
    pub(crate) const OPEN4: &str = "open4";
    pub(crate) const OPEN6: &str = "open6";
    pub(crate) const PUBLISHED: &str = "published";
    pub(crate) const PREROUTING: &str = "prerouting";
    pub(crate) const OUTPUT: &str = "output";
    pub(crate) const INPUT: &str = "input";
    pub(crate) const LOOPBACK: &str = "loopback";
    pub(crate) const TO_LOOPBACK: &str = "to_loopback";
    pub(crate) const USER_FORWARD: &str = "user-forward";
    pub(crate) const USER_INPUT: &str = "user-input";
    pub(crate) const ACCOUNT: &str = "account";
    pub(crate) const KNOWN: &str = "known";
    pub(crate) const FROM_HOST: &str = "from_host";
    pub(crate) const SERVED: &str = "served";
    pub(crate) const SERVED4: &str = "served4";
    pub(crate) const SERVED6: &str = "served6";
    pub(crate) const ANSWERED: &str = "answered";
    pub(crate) const ANSWERED4: &str = "answered4";
    pub(crate) const ANSWERED6: &str = "answered6";
    pub(crate) const LEAVE_ROUTED: &str = "leave_routed";
}

/// The commands that make the table, its maps and its chains.
pub fn table(instance: &Instance) -> Vec<Command> {
    let table = instance.table();
    let comment = format!("{}container networks; networks are elements of the maps", instance.mark_prefix());
    let mut commands = vec![Command::CreateTable { table: table.clone(), comment: Some(comment) }];
    commands.extend(
        sets().into_iter().chain(account::sets()).map(|set| Command::AddSet { table: table.clone(), set }),
    );
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

/// The element that lets published ports be reached at ::1.
pub fn loopback6(instance: &Instance) -> Elements {
    let localhost = Element::new([Value::Ipv6(Ipv6Addr::LOCALHOST)]);
    Elements::new(instance.table(), name::LOOPBACK6, [localhost])
}

/// The chains that are the administrator's.
pub const USER_CHAINS: [&str; 2] = [name::USER_FORWARD, name::USER_INPUT];

/// The commands that take the table and its companion away.
pub fn remove_table(instance: &Instance) -> Vec<Command> {
    [instance.table(), instance.guard_table()].map(|table| Command::DestroyTable { table }).into()
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
    use DataType::{Ifname, InetProto, InetService, Ipv4Addr, Ipv6Addr};
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
        Set::new(name::HAIRPIN, [Ifname, Ifname]).comment("back to the network that it came from"),
        Set::new(name::LOOPBACK6, [Ipv6Addr])
            .comment("::1, where its answers come back (bridges do not call ip6tables)"),
        Set::new(name::SELF4, [Ipv4Addr, Ipv4Addr]).comment("from a container to its own published port"),
        Set::new(name::SELF6, [Ipv6Addr, Ipv6Addr]).comment("from a container to its own published port"),
        Set::map(name::AT4, [Ipv4Addr, InetProto, InetService], [Ipv4Addr, InetService])
            .comment("ports published on one address of the host"),
        Set::map(name::AT6, [Ipv6Addr, InetProto, InetService], [Ipv6Addr, InetService])
            .comment("ports published on one address of the host"),
        Set::map(name::ANY4, [InetProto, InetService], [Ipv4Addr, InetService])
            .comment("ports published on all of the host's addresses"),
        Set::map(name::ANY6, [InetProto, InetService], [Ipv6Addr, InetService])
            .comment("ports published on all of the host's addresses"),
        Set::new(name::OPEN4, [Ipv4Addr, InetProto, InetService])
            .counted()
            .comment("published ports of containers whose network is routed"),
        Set::new(name::OPEN6, [Ipv6Addr, InetProto, InetService])
            .counted()
            .comment("published ports of containers whose network is routed"),
    ]
}

fn chains() -> Vec<(Chain, Vec<Rule>)> {
    // Chains that rules refer to come before those rules.
    vec![
        (room(name::USER_FORWARD), Vec::new()),
        (room(name::USER_INPUT), Vec::new()),
        (plain(name::APART), apart()),
        (plain(name::ENTER_NAT), enter_nat()),
        (plain(name::ENTER_ROUTED), enter_routed()),
        (plain(name::ENTER_OPEN), enter_open()),
        (plain(name::PUBLISHED), published()),
        (plain(name::SERVED), account::served()),
        (plain(name::ANSWERED), account::answered()),
        (plain(name::KNOWN), account::known()),
        (plain(name::ACCOUNT), account::account()),
        (plain(name::LEAVE_ROUTED), account::leave_routed()),
        (plain(name::TO_LOOPBACK), to_loopback()),
        (base(name::LOOPBACK, ChainKind::Filter, Hook::Prerouting, Priority::RAW), loopback()),
        (base(name::PREROUTING, ChainKind::Nat, Hook::Prerouting, Priority::DSTNAT), from_the_wire()),
        (base(name::OUTPUT, ChainKind::Nat, Hook::Output, Priority::DSTNAT), from_the_host()),
        (base(name::INPUT, ChainKind::Filter, Hook::Input, Priority::FILTER), input()),
        (base(name::FORWARD, ChainKind::Filter, Hook::Forward, Priority::FILTER), forward()),
        (base(name::POSTROUTING, ChainKind::Nat, Hook::Postrouting, Priority::SRCNAT), postrouting()),
        (base(name::FROM_HOST, ChainKind::Filter, Hook::Output, Priority::FILTER), account::from_host()),
    ]
}

/// A bridge whose containers may ask for names at 127.0.0.11, or with a port that is published at 127.0.0.1, has
/// `route_localnet`: without these rules, its containers would reach what listens there.
fn loopback() -> Vec<Rule> {
    let from_a_network = |field, verdict| {
        let from_a_network = Match::is_in([meta(Meta::Iifname)], name::BRIDGES);
        let verdict = Statement::Verdict(verdict);
        Rule::new([Match::is(Key::Ip(field), LOOPBACK_NET), from_a_network, verdict])
    };
    vec![
        from_a_network(IpField::Daddr, Verdict::Goto(name::TO_LOOPBACK.into())),
        from_a_network(IpField::Saddr, Verdict::Drop).comment("nobody else sends from there"),
    ]
}

/// What containers may send to the host's loopback addresses: questions for names.
fn to_loopback() -> Vec<Rule> {
    let questions = names_questions().map(|[to, port]| {
        Rule::new([to, port, Statement::Verdict(Verdict::Accept)]).comment("a question for names")
    });
    questions.into_iter().chain([refuse("127.0.0.1 is the host's own")]).collect()
}

/// What a question for names at 127.0.0.11 is known by, over UDP and over TCP.
pub(crate) fn names_questions() -> [[Statement; 2]; 2] {
    [Transport::Udp, Transport::Tcp].map(|transport| {
        let port = Key::Port { transport, side: PortSide::Destination };
        [Match::is(Key::Ip(IpField::Daddr), Value::Ipv4(NAMES)), Match::is(port, Value::Port(NAMES_PORT))]
    })
}

/// What comes in for a loopback address is never for a published port: the kernel refuses it, unless it were translated
/// first. (IPv6's it refuses before it gets here, but not where a bridge calls ip6tables.) The host's own packets to
/// there have been through `output`.
fn from_the_wire() -> Vec<Rule> {
    let leave = |to_loopback| Rule::new([to_loopback, Statement::Verdict(Verdict::Return)]);
    vec![
        leave(Match::is(Key::Ip(IpField::Daddr), LOOPBACK_NET)),
        leave(Match::is(Key::Ip6(Ip6Field::Daddr), Value::Ipv6(Ipv6Addr::LOCALHOST))),
        to_the_host(),
    ]
}

/// Where a bridge calls ip6tables (br_netfilter), an answer for ::1 gets its address back before the kernel looks whether
/// such a packet may come from outside, and is lost: there ::1 is better refused at once.
fn from_the_host() -> Vec<Rule> {
    let daddr = Key::Ip6(Ip6Field::Daddr);
    let to_loopback = Match::is(daddr, Value::Ipv6(Ipv6Addr::LOCALHOST));
    let lost = Match::is_not_in([daddr], name::LOOPBACK6);
    vec![Rule::new([to_loopback, lost, Statement::Verdict(Verdict::Return)]), to_the_host()]
}

/// Packets to any address of the host may be for a published port.
fn to_the_host() -> Rule {
    let local = Key::Fib { address: FibAddress::Daddr, iif: false, result: FibResult::Type };
    Rule::new([Match::is(local, Value::LOCAL), jump(name::PUBLISHED)])
}

fn published() -> Vec<Rule> {
    let to = |version, key: Vec<Key>, map: &str| {
        Statement::Nat(Nat {
            kind: NatKind::Dnat,
            to: NatTarget::Map { version, key, map: map.into(), with_port: true },
            flags: NatFlags::default(),
        })
    };
    let port = || vec![meta(Meta::L4proto), destination_port()];
    let at = |address: Key| [vec![address], port()].concat();
    vec![
        Rule::new([to(IpVersion::V4, at(Key::Ip(IpField::Daddr)), name::AT4)]),
        Rule::new([to(IpVersion::V6, at(Key::Ip6(Ip6Field::Daddr)), name::AT6)]),
        Rule::new([family(Value::IPV4), to(IpVersion::V4, port(), name::ANY4)]),
        Rule::new([family(Value::IPV6), to(IpVersion::V6, port(), name::ANY6)]),
    ]
}

fn input() -> Vec<Rule> {
    vec![account::to_host(), Rule::new([jump(name::USER_INPUT)])]
}

fn forward() -> Vec<Rule> {
    vec![
        account::forwarded(),
        Rule::new([jump(name::USER_FORWARD)]),
        Rule::new([vmap([meta(Meta::Iifname), meta(Meta::Oifname)], name::WITHIN)]),
        Rule::new([vmap([meta(Meta::Iifname)], name::FROM)]),
        Rule::new([family(Value::IPV4), vmap([meta(Meta::Oifname)], name::TO4)]),
        Rule::new([family(Value::IPV6), vmap([meta(Meta::Oifname)], name::TO6)]),
    ]
}

/// Between containers of a network that keeps them apart: what goes by a published port.
fn apart() -> Vec<Rule> {
    vec![to_published(), refuse("the network's containers do not reach each other")]
}

/// What may enter a network in gateway mode `nat`: answers, and what came by a published port.
fn enter_nat() -> Vec<Rule> {
    vec![answers(), to_published(), refuse("unpublished")]
}

/// What may enter a network in gateway mode `routed`: answers, published ports, and ICMP from outside.
fn enter_routed() -> Vec<Rule> {
    let l4 = |number| Match::is(meta(Meta::L4proto), Value::Protocol(number));
    let open = |address: Key, set: &str| {
        let key = [address, meta(Meta::L4proto), destination_port()];
        Rule::new([Match::is_in(key, set), Statement::Verdict(Verdict::Accept)])
    };
    let [counted4, counted6] = account::enter_routed();
    vec![
        counted4,
        counted6,
        answers(),
        open(Key::Ip(IpField::Daddr), name::OPEN4),
        open(Key::Ip6(Ip6Field::Daddr), name::OPEN6),
        from_a_network(),
        Rule::new([family(Value::IPV4), l4(protocol::ICMP), Statement::Verdict(Verdict::Accept)]),
        Rule::new([family(Value::IPV6), l4(protocol::ICMPV6), Statement::Verdict(Verdict::Accept)]),
        refuse("unpublished"),
    ]
}

/// What may enter a network in gateway mode `nat-unprotected`: all but other networks' containers.
fn enter_open() -> Vec<Rule> {
    vec![answers(), to_published(), from_a_network(), Rule::new([Statement::Verdict(Verdict::Accept)])]
}

fn answers() -> Rule {
    Rule::new([
        Match::is(Key::Ct(CtField::State), Value::ESTABLISHED_RELATED),
        Statement::Verdict(Verdict::Accept),
    ])
}

/// A destination that was translated was published: by us, or by whoever else translates on this host.
fn to_published() -> Rule {
    Rule::new([translated(), Statement::Verdict(Verdict::Accept)]).comment("a published port")
}

fn translated() -> Statement {
    Match::is(Key::Ct(CtField::Status), Value::DNAT)
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
    let enters = || Match::is_in([meta(Meta::Oifname)], name::BRIDGES);
    let hairpin = Match::is_in([meta(Meta::Iifname), meta(Meta::Oifname)], name::HAIRPIN);
    // A bridge that calls iptables (br_netfilter) sends what was translated to the container itself; where it came from
    // is then not known here but by its address.
    let to_itself =
        |saddr, daddr, set: &str| Rule::new([translated(), Match::is_in([saddr, daddr], set), masquerade()]);
    let [begin4, begin6] = account::begin();
    vec![
        begin4,
        begin6,
        // The answer must come back by the host, where the destination was translated.
        Rule::new([translated(), hairpin, masquerade()]),
        to_itself(Key::Ip(IpField::Saddr), Key::Ip(IpField::Daddr), name::SELF4),
        to_itself(Key::Ip6(Ip6Field::Saddr), Key::Ip6(Ip6Field::Daddr), name::SELF6),
        Rule::new([Match::is(Key::Ip(IpField::Saddr), LOOPBACK_NET), enters(), masquerade()]),
        Rule::new([
            Match::is(Key::Ip6(Ip6Field::Saddr), Value::Ipv6(Ipv6Addr::LOCALHOST)),
            enters(),
            masquerade(),
        ]),
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
    let within = if network.bridge.icc { Verdict::Accept } else { Verdict::Goto(name::APART.to_owned()) };
    let pair = || Element::new([bridge.clone(), bridge.clone()]);
    let mut all = vec![
        one(name::BRIDGES, key()),
        one(name::WITHIN, pair().verdict(within)),
        one(name::HAIRPIN, pair()),
    ];
    if network.internal {
        all.push(one(name::FROM, key().verdict(Verdict::Drop)));
    } else if network.pools().any(|pool| network.gateway_mode(pool) == GatewayMode::Routed) {
        all.push(one(name::FROM, key().verdict(Verdict::Jump(name::LEAVE_ROUTED.to_owned()))));
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

fn jump(chain: &str) -> Statement {
    Statement::Verdict(Verdict::Jump(chain.to_owned()))
}

fn destination_port() -> Key {
    Key::Port { transport: Transport::Any, side: PortSide::Destination }
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

/// A chain for the administrator's rules.
fn room(name: &str) -> Chain {
    Chain { comment: Some("your own rules; Pontoon never changes them".to_owned()), ..plain(name) }
}

fn base(name: &str, kind: ChainKind, hook: Hook, priority: i32) -> Chain {
    let base = Base { kind, hook, priority, policy: Policy::Accept, device: None };
    Chain { name: name.to_owned(), base: Some(base), comment: None }
}
