//! Who may send what on a bridge: the second table, in which a guarded container is a few elements of the sets.
//!
//! What comes into any bridge by any port passes the chain `prerouting`, before the bridge learns from it. A good packet
//! of a guarded port meets one lookup, of its port, Ethernet address and source address together, and is let through;
//! one of another port meets two. Only what neither lookup lets through meets the rest, which says what is wrong with
//! it: every rule that discards has a counter and a comment.
//!
//! `ether type` and not `meta protocol` tells the protocols apart, since the kernel takes a VLAN tag off before it says
//! what the protocol is, and a tagged frame is not what it seems.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use pontoon_model::op::NftOp;
use pontoon_model::{Endpoint, IfName, Network};
use pontoon_nft::syntax::{
    ArpField, Base, Chain, ChainKind, Command, CounterValue, DataType, Element, Elements, EtherField, Hook,
    Ip6Field, IpField, Key, Match, Policy, PortSide, Priority, Rule, Set, SetRef, Statement, Transport,
    Value, Verdict, ether_type, protocol,
};

use crate::endpoint::link_local;
use crate::ruleset::{LOOPBACK_NET, names_questions};
use crate::{Instance, Plan};

/// Names of the table's sets and chains.
mod name {
    pub(super) const GUARDED: &str = "guarded";
    pub(super) const MACS: &str = "macs";
    pub(super) const GUARD4: &str = "guard4";
    pub(super) const GUARD6: &str = "guard6";
    pub(super) const TARGETS: &str = "targets";
    pub(super) const PREROUTING: &str = "prerouting";
    pub(super) const IP4: &str = "from_ipv4";
    pub(super) const IP6: &str = "from_ipv6";
    pub(super) const ICMP6: &str = "from_icmpv6";
    pub(super) const NOBODY: &str = "from_nobody";
    pub(super) const ARP: &str = "from_arp";
    pub(super) const TO_LOOPBACK: &str = "to_loopback";
}

const IIFNAME: Key = Key::IIFNAME;
const MAC: Key = Key::ETHER_SADDR;

/// The commands that make the table, its sets and its chains.
pub fn table(instance: &Instance) -> Vec<Command> {
    let table = instance.guard_table();
    let comment = format!("{}who may send what; containers are elements of the sets", instance.mark_prefix());
    let mut commands = vec![Command::CreateTable { table: table.clone(), comment: Some(comment) }];
    commands.extend(sets().into_iter().map(|set| Command::AddSet { table: table.clone(), set }));
    for (name, rules) in chains() {
        let base = (name == name::PREROUTING).then_some(Base {
            kind: ChainKind::Filter,
            hook: Hook::Prerouting,
            priority: Priority::BRIDGE_FILTER,
            policy: Policy::Accept,
            device: None,
        });
        let chain = Chain { name: name.to_owned(), base, comment: None };
        commands.push(Command::AddChain { table: table.clone(), chain });
        commands.extend(rules.into_iter().map(|rule| Command::AddRule {
            table: table.clone(),
            chain: name.to_owned(),
            rule,
        }));
    }
    commands
}

/// The step that has an endpoint guarded, to be taken before its port is there; none if it is not to be.
pub fn attach(instance: &Instance, network: &Network, endpoint: &Endpoint, sandbox: &str) -> Plan {
    let mut plan = Plan::default();
    if endpoint.guarded {
        let why = format!("{sandbox} may send with its own addresses alone on {}", network.name);
        plan.push(NftOp { commands: add(instance, &[endpoint]) }, why);
    }
    plan
}

/// The step that forgets an endpoint, to be taken when its port is gone; none if it was not guarded.
pub fn detach(instance: &Instance, endpoint: &Endpoint, sandbox: &str) -> Plan {
    let mut plan = Plan::default();
    if endpoint.guarded {
        let commands = elements(instance, &[endpoint]).into_iter().map(Command::DestroyElements).collect();
        plan.push(NftOp { commands }, format!("{sandbox}'s port is gone, and need not be guarded"));
    }
    plan
}

/// The steps that let an endpoint send with other addresses: the first to be taken before it has them, the second when
/// it has lost those of before.
pub(crate) fn readdress(
    instance: &Instance,
    before: &Endpoint,
    after: &Endpoint,
    sandbox: &str,
) -> [Plan; 2] {
    let mut plans = [Plan::default(), Plan::default()];
    if !after.guarded {
        return plans;
    }
    let (old, new) = (elements(instance, &[before]), elements(instance, &[after]));
    let only = |some: &[Elements], others: &[Elements]| {
        let known: Vec<(&str, &Element)> = others
            .iter()
            .flat_map(|one| one.elements.iter().map(|element| (one.set.as_str(), element)))
            .collect();
        let rest = some.iter().cloned().map(|mut one| {
            let set = one.set.clone();
            one.elements.retain(|element| !known.contains(&(set.as_str(), element)));
            one
        });
        rest.filter(|one| !one.elements.is_empty()).collect::<Vec<Elements>>()
    };
    let (adds, removals) = (only(&new, &old), only(&old, &new));
    if !adds.is_empty() {
        let commands = adds.into_iter().map(Command::AddElements).collect();
        plans[0].push(NftOp { commands }, format!("{sandbox} may send with its new addresses too"));
    }
    if !removals.is_empty() {
        let commands = removals.into_iter().map(Command::DestroyElements).collect();
        plans[1].push(NftOp { commands }, format!("{sandbox} may send with its new addresses alone"));
    }
    plans
}

/// The steps that have all guarded endpoints guarded again, when the table was made anew.
pub(crate) fn again(instance: &Instance, networks: &[Network], endpoints: &[Endpoint]) -> Plan {
    let mut plan = Plan::default();
    for network in networks {
        let on = |endpoint: &&Endpoint| endpoint.guarded && endpoint.network == network.id;
        let guarded: Vec<&Endpoint> = endpoints.iter().filter(on).collect();
        if !guarded.is_empty() {
            let why = format!("{}: its containers are kept from spoofing again", network.name);
            plan.push(NftOp { commands: add(instance, &guarded) }, why);
        }
    }
    plan
}

fn add(instance: &Instance, endpoints: &[&Endpoint]) -> Vec<Command> {
    elements(instance, endpoints).into_iter().map(Command::AddElements).collect()
}

/// What stands for the endpoints in the sets.
fn elements(instance: &Instance, endpoints: &[&Endpoint]) -> Vec<Elements> {
    type Part = fn(&Endpoint) -> Vec<Element>;
    let sets: [(&str, Part); 5] = [
        (name::GUARDED, |endpoint| vec![Element::new([port(endpoint)])]),
        (name::MACS, |endpoint| vec![Element::new([port(endpoint), mac(endpoint)])]),
        (name::GUARD4, |endpoint| {
            let own = |address| Element::new([port(endpoint), mac(endpoint), Value::Ipv4(address)]);
            own_ipv4(endpoint).map(own).collect()
        }),
        (name::GUARD6, |endpoint| {
            let own = |address| Element::new([port(endpoint), mac(endpoint), address]);
            own_ipv6(endpoint).into_iter().map(|address| own(Value::Ipv6(address))).collect()
        }),
        (name::TARGETS, |endpoint| {
            let own = |address: Ipv6Addr| Value::Other(address.octets().to_vec());
            own_ipv6(endpoint)
                .into_iter()
                .map(|address| Element::new([port(endpoint), own(address)]))
                .collect()
        }),
    ];
    let of = |(set, part): (&str, Part)| {
        let all: Vec<Element> = endpoints.iter().flat_map(|endpoint| part(endpoint)).collect();
        (!all.is_empty()).then(|| Elements::new(instance.guard_table(), set, all))
    };
    sets.into_iter().filter_map(of).collect()
}

/// An endpoint's IPv4 address and its link-local ones.
fn own_ipv4(endpoint: &Endpoint) -> impl Iterator<Item = Ipv4Addr> {
    endpoint.v4.into_iter().chain(endpoint.link_local.iter().filter_map(|address| match address {
        IpAddr::V4(address) => Some(*address),
        IpAddr::V6(_) => None,
    }))
}

/// An endpoint's IPv6 address and its link-local ones.
fn own_ipv6(endpoint: &Endpoint) -> Vec<Ipv6Addr> {
    let derived = endpoint.v6.map(|_| link_local(endpoint.mac).addr());
    let local = derived.into_iter().chain(endpoint.link_local.iter().copied());
    let local = local.filter_map(|address| match address {
        IpAddr::V6(address) => Some(address),
        IpAddr::V4(_) => None,
    });
    endpoint.v6.into_iter().chain(local).collect()
}

fn port(endpoint: &Endpoint) -> Value {
    ifname(&endpoint.host_ifname)
}

fn mac(endpoint: &Endpoint) -> Value {
    Value::Ether(endpoint.mac.octets())
}

fn ifname(name: &IfName) -> Value {
    Value::Ifname(name.as_str().to_owned())
}

fn sets() -> Vec<Set> {
    use DataType::{EtherAddr, Ifname, Ipv4Addr, Ipv6Addr};
    vec![
        Set::new(name::GUARDED, [Ifname]).comment("ports that are guarded"),
        Set::new(name::MACS, [Ifname, EtherAddr]).comment("whose Ethernet address is whose"),
        Set::new(name::GUARD4, [Ifname, EtherAddr, Ipv4Addr]).comment("whose IPv4 address is whose"),
        Set::new(name::GUARD6, [Ifname, EtherAddr, Ipv6Addr]).comment("whose IPv6 addresses are whose"),
        // The type of bytes without a name has none either, and the elements are written as numbers.
        Set::of_keys(name::TARGETS, [IIFNAME, Key::ND_TARGET])
            .comment("the same, as neighbours speak of them"),
    ]
}

/// Chains that rules refer to come before those rules.
fn chains() -> Vec<(&'static str, Vec<Rule>)> {
    vec![
        (name::NOBODY, nobody()),
        (name::ICMP6, icmp6()),
        (name::TO_LOOPBACK, to_loopback()),
        (name::IP4, ip4()),
        (name::IP6, ip6()),
        (name::ARP, arp()),
        (name::PREROUTING, prerouting()),
    ]
}

fn prerouting() -> Vec<Rule> {
    vec![
        Rule::new([is_type(ether_type::IP), jump(name::IP4)]),
        Rule::new([is_type(ether_type::IP6), jump(name::IP6)]),
        Rule::new([Match::is_not_in([IIFNAME], name::GUARDED), accept()]),
        refuse([Match::is_not_in([IIFNAME, MAC], name::MACS)], "the Ethernet address is not its own"),
        Rule::new([is_type(ether_type::ARP), goto(name::ARP)]),
        refuse([is_type(ether_type::IP)], "the IPv4 address is not its own"),
        refuse([is_type(ether_type::IP6)], "the IPv6 address is not its own"),
        refuse([], "neither IP nor ARP, or tagged"),
    ]
}

/// Comes back with what is not let through.
fn ip4() -> Vec<Rule> {
    const DHCP_SERVER: u16 = 67;
    vec![
        Rule::new([Match::is(Key::Ip(IpField::Daddr), LOOPBACK_NET), jump(name::TO_LOOPBACK)]),
        refuse([from_port(DHCP_SERVER), guarded()], "an answer of a DHCP server"),
        Rule::new([Match::is_in([IIFNAME, MAC, Key::Ip(IpField::Saddr)], name::GUARD4), accept()]),
    ]
}

/// Containers take packets for 127.0.0.0/8 where they may ask for names at 127.0.0.11 (`route_localnet`): nothing else
/// for there is let through, by whatever port it came. No frame has such an address otherwise (RFC 1122, 3.2.1.3), so
/// that bridges of others lose nothing. Comes back with questions for names.
fn to_loopback() -> Vec<Rule> {
    let questions = names_questions().map(|[to, port]| Rule::new([to, port, Verdict::Return.into()]));
    questions.into_iter().chain([refuse([], "127.0.0.1 is each container's own")]).collect()
}

/// Comes back with what is not let through.
fn ip6() -> Vec<Rule> {
    const DHCPV6_SERVER: u16 = 547;
    vec![
        Rule::new([Match::is(Key::L4PROTO, Value::Protocol(protocol::ICMPV6)), jump(name::ICMP6)]),
        refuse([from_port(DHCPV6_SERVER), guarded()], "an answer of a DHCPv6 server"),
        Rule::new([Match::is_in([IIFNAME, MAC, Key::Ip6(Ip6Field::Saddr)], name::GUARD6), accept()]),
    ]
}

/// ICMPv6 types. Source: RFC 4861, 4; RFC 2710, 3.1; RFC 3810, 5.2.
mod icmp6_type {
    pub(super) const LISTENER_REPORT: u8 = 131;
    pub(super) const LISTENER_DONE: u8 = 132;
    pub(super) const ROUTER_ADVERTISEMENT: u8 = 134;
    pub(super) const NEIGHBOUR_SOLICITATION: u8 = 135;
    pub(super) const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
    pub(super) const REDIRECT: u8 = 137;
    pub(super) const LISTENER_REPORT_2: u8 = 143;
}

/// What neighbours say to each other. Comes back with what depends on the source address alone.
fn icmp6() -> Vec<Rule> {
    use icmp6_type::{NEIGHBOUR_ADVERTISEMENT, REDIRECT, ROUTER_ADVERTISEMENT};
    vec![
        Rule::new([Match::is_not_in([IIFNAME], name::GUARDED), accept()]),
        refuse([is_icmp6(ROUTER_ADVERTISEMENT)], "a router advertisement"),
        refuse([is_icmp6(REDIRECT)], "a redirect"),
        Rule::new([is_icmp6(NEIGHBOUR_ADVERTISEMENT), own_target(), Verdict::Return.into()]),
        refuse([is_icmp6(NEIGHBOUR_ADVERTISEMENT)], "a neighbour advertisement for somebody else"),
        Rule::new([
            Match::is(Key::Ip6(Ip6Field::Saddr), Value::Ipv6(Ipv6Addr::UNSPECIFIED)),
            goto(name::NOBODY),
        ]),
    ]
}

/// What somebody without an address says: is this address free (RFC 4862, 5.4), and which groups he listens to.
fn nobody() -> Vec<Rule> {
    use icmp6_type::{LISTENER_DONE, LISTENER_REPORT, LISTENER_REPORT_2, NEIGHBOUR_SOLICITATION};
    let own_mac = || Match::is_in([IIFNAME, MAC], name::MACS);
    let may = |kind| Rule::new([is_icmp6(kind), own_mac(), accept()]);
    vec![
        Rule::new([is_icmp6(NEIGHBOUR_SOLICITATION), own_target(), own_mac(), accept()]),
        may(LISTENER_REPORT),
        may(LISTENER_DONE),
        may(LISTENER_REPORT_2),
        refuse([], "a sender without an IPv6 address"),
    ]
}

/// The sender is who it says, or asks whether an address is free (RFC 5227, 1.1). The Ethernet address in front was
/// looked at before.
fn arp() -> Vec<Rule> {
    const REQUEST: u16 = 1;
    let mac = Key::Arp(ArpField::SaddrEther);
    let address = Key::Arp(ArpField::SaddrIp);
    vec![
        Rule::new([Match::is_in([IIFNAME, mac, address], name::GUARD4), accept()]),
        Rule::new([
            Match::is(Key::Arp(ArpField::Operation), Value::ArpOp(REQUEST)),
            Match::is(address, Value::Ipv4(Ipv4Addr::UNSPECIFIED)),
            Match::is_in([IIFNAME, mac], name::MACS),
            accept(),
        ]),
        refuse([], "ARP for somebody else"),
    ]
}

fn is_type(number: u16) -> Statement {
    Match::is(Key::Ether(EtherField::Type), Value::EtherType(number))
}

fn is_icmp6(kind: u8) -> Statement {
    Match::is(Key::Icmpv6Type, Value::Icmpv6Type(kind))
}

/// What is said is said of one of its own addresses.
fn own_target() -> Statement {
    Match::is_in([IIFNAME, Key::ND_TARGET], name::TARGETS)
}

fn from_port(number: u16) -> Statement {
    Match::is(Key::Port { transport: Transport::Udp, side: PortSide::Source }, Value::Port(number))
}

fn guarded() -> Statement {
    Match::is_in([IIFNAME], SetRef::from(name::GUARDED))
}

fn refuse(matches: impl IntoIterator<Item = Statement>, why: &str) -> Rule {
    let mut statements: Vec<Statement> = matches.into_iter().collect();
    statements.extend([Statement::Counter(CounterValue::default()), Verdict::Drop.into()]);
    Rule::new(statements).comment(why)
}

fn accept() -> Statement {
    Verdict::Accept.into()
}

fn jump(chain: &str) -> Statement {
    Verdict::Jump(chain.to_owned()).into()
}

fn goto(chain: &str) -> Statement {
    Verdict::Goto(chain.to_owned()).into()
}
