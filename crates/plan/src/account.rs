//! Accounts of published ports: what went to a container's port and what came from it, counted by elements of sets.
//!
//! An account begins with the first packet that there is for it, which makes its element: to publish a port takes one
//! element for each family, and no account is paid for that nobody uses. Packets make accounts of published ports alone:
//! what goes in has one from the first packet of a connection that was translated to a container with published ports
//! (`begin`), what comes back where what goes in has one. So the last packets of a connection leave nothing behind when
//! its port was withdrawn, and its account with it. (Whoever translates to such a container himself makes accounts for
//! that, too. Nobody asks for them, and there is an end to the room for them: `ROOM`.)
//!
//! Nothing but packets of translated connections gets beyond the first test. Where a network is routed nothing is
//! translated: what enters it is counted where it is let in, and its answers by a chain that no other network's
//! packets meet. (So a rule in `user-forward` that accepts takes them out of the count.)

use std::net::{IpAddr, SocketAddr};

use pontoon_model::Publication;
use pontoon_model::option::GatewayMode;
use pontoon_model::publish::Protocol;
use pontoon_nft::syntax::{
    CtField, DataType, Element, Key, Match, Rule, Set, SetOp, SetUpdate, Statement, Value, Verdict,
};

use crate::publish::{Landing, Published, value};
use crate::ruleset::name;

/// `ct direction`: with the first packet, and against it.
const ORIGINAL: Value = Value::CtDir(0);
const REPLY: Value = Value::CtDir(1);

/// How many accounts of one kind there may be: the ports of an address.
const ROOM: u32 = 65_535;

/// A container's port that is published, and where it is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The container's address.
    pub address: IpAddr,
    /// The container's port.
    pub port: u16,
    /// Its protocol.
    pub protocol: Protocol,
    /// Where it is reached on the host: what goes to any of them is counted together.
    pub at: Vec<SocketAddr>,
    /// The set that counts what goes to the container.
    pub inward: &'static str,
    /// The set that counts what comes from it.
    pub outward: &'static str,
}

impl Account {
    /// Its element, of either set.
    pub fn element(&self) -> Element {
        Element::new([value(self.address), Value::Protocol(self.protocol.number()), Value::Port(self.port)])
    }
}

impl Published<'_> {
    /// The accounts of all ports that lead somewhere, in order.
    pub fn accounts(&self) -> Vec<Account> {
        let mut all: Vec<Account> = self.landings().flat_map(|one| accounts_at(one, self.ports)).collect();
        let key = |one: &Account| (one.port, one.protocol, one.address);
        all.sort_by(|left, right| (key(left), &left.at).cmp(&(key(right), &right.at)));
        all.dedup_by(|next, kept| {
            let same = key(next) == key(kept);
            if same {
                kept.at.append(&mut next.at);
            }
            same
        });
        all
    }
}

/// The accounts of the ports that lead to one place; none where nothing can get there.
pub(crate) fn accounts_at(landing: Landing<'_>, ports: &[Publication]) -> Vec<Account> {
    let v4 = landing.address.is_ipv4();
    let either = |sets: [&'static str; 2]| sets[usize::from(!v4)];
    let inward = match landing.network.gateway_mode(landing.pool) {
        GatewayMode::Nat | GatewayMode::NatUnprotected => either([name::SERVED4, name::SERVED6]),
        GatewayMode::Routed => either([name::OPEN4, name::OPEN6]),
        GatewayMode::Isolated => return Vec::new(),
    };
    let outward = either([name::ANSWERED4, name::ANSWERED6]);
    let mut all = Vec::new();
    for one in ports {
        let Some(at) = one.address_of(v4).filter(|_| landing.takes(one)) else { continue };
        all.extend(one.pairs().map(|(host, port)| Account {
            address: landing.address,
            port,
            protocol: one.protocol,
            at: vec![SocketAddr::new(at, host)],
            inward,
            outward,
        }));
    }
    all
}

/// Whether packets make the elements of a set.
pub(crate) fn begins_by_itself(set: &str) -> bool {
    [name::SERVED4, name::SERVED6, name::ANSWERED4, name::ANSWERED6].contains(&set)
}

/// The sets.
pub(crate) fn sets() -> [Set; 4] {
    use DataType::{InetProto, InetService, Ipv4Addr, Ipv6Addr};
    let (v4, v6) = ([Ipv4Addr, InetProto, InetService], [Ipv6Addr, InetProto, InetService]);
    let (to, from) = ("what went to published ports", "what came from published ports");
    [
        Set::new(name::SERVED4, v4).dynamic(ROOM).counted().comment(to),
        Set::new(name::SERVED6, v6).dynamic(ROOM).counted().comment(to),
        Set::new(name::ANSWERED4, v4).dynamic(ROOM).counted().comment(from),
        Set::new(name::ANSWERED6, v6).dynamic(ROOM).counted().comment(from),
    ]
}

/// What is forwarded pays one test, in a chain that is there anyway: a chain of its own at the hook would cost twice the
/// time of the test, and two of them four times. It comes first, so what another rule drops afterwards is counted too.
pub(crate) fn forwarded() -> Rule {
    Rule::new([translated(), jump(name::ACCOUNT)])
}

/// Answers to the host itself.
pub(crate) fn to_host() -> Rule {
    Rule::new([translated(), goes(REPLY), jump(name::ANSWERED)])
}

/// What the host itself sends.
pub(crate) fn from_host() -> Vec<Rule> {
    vec![Rule::new([translated(), goes(ORIGINAL), jump(name::SERVED)])]
}

/// Both ways of a translated connection. What is known of one that was let in saves its packets the maps.
pub(crate) fn account() -> Vec<Rule> {
    let known = Match::is(Key::Ct(CtField::State), Value::ESTABLISHED_RELATED);
    vec![
        Rule::new([goes(ORIGINAL), jump(name::SERVED)]),
        Rule::new([goes(REPLY), jump(name::ANSWERED)]),
        Rule::new([known, Statement::Verdict(Verdict::Goto(name::KNOWN.to_owned()))]),
    ]
}

/// What was let in before.
pub(crate) fn known() -> Vec<Rule> {
    vec![Rule::new([jump(name::USER_FORWARD)]), Rule::new([Statement::Verdict(Verdict::Accept)])]
}

/// The first packet of a translated connection begins what goes in, if nothing has yet: where it passed `served`, it was
/// not counted then. (A lookup of what is *not* there counts nothing.)
pub(crate) fn begin() -> [Rule; 2] {
    let begin = |daddr: Key, publishing: &str, set: &str| {
        let key = [daddr, Key::L4PROTO, Key::TH_DPORT];
        Rule::new([
            translated(),
            Match::is_in([daddr, daddr], publishing),
            Match::is_not_in(key, set),
            SetUpdate::new(SetOp::Add, set, key).into(),
        ])
    };
    [begin(Key::IP_DADDR, name::SELF4, name::SERVED4), begin(Key::IP6_DADDR, name::SELF6, name::SERVED6)]
}

/// That an element is found counts the packet.
pub(crate) fn served() -> Vec<Rule> {
    vec![Rule::new([to(Key::IP_DADDR, name::SERVED4)]), Rule::new([to(Key::IP6_DADDR, name::SERVED6)])]
}

/// What came from published ports: the first packet begins it.
pub(crate) fn answered() -> Vec<Rule> {
    let end = || Statement::Verdict(Verdict::Return);
    let known = |saddr, set| Rule::new([from(saddr, set), end()]);
    let unpublished = |saddr: Key, sets: [&str; 2]| {
        let [translated, routed] = sets.map(|set| Match::is_not_in(source(saddr), set));
        Rule::new([translated, routed, end()])
    };
    let begin = |saddr, set| Rule::new([SetUpdate::new(SetOp::Add, set, source(saddr)).into()]);
    vec![
        known(Key::IP_SADDR, name::ANSWERED4),
        known(Key::IP6_SADDR, name::ANSWERED6),
        unpublished(Key::IP_SADDR, [name::SERVED4, name::OPEN4]),
        unpublished(Key::IP6_SADDR, [name::SERVED6, name::OPEN6]),
        begin(Key::IP_SADDR, name::ANSWERED4),
        begin(Key::IP6_SADDR, name::ANSWERED6),
    ]
}

/// What enters a published port of a routed network.
pub(crate) fn enter_routed() -> [Rule; 2] {
    let accept = || Statement::Verdict(Verdict::Accept);
    [
        Rule::new([goes(ORIGINAL), to(Key::IP_DADDR, name::OPEN4), accept()]),
        Rule::new([goes(ORIGINAL), to(Key::IP6_DADDR, name::OPEN6), accept()]),
    ]
}

/// What leaves a routed network. Answers of translated connections were counted already.
pub(crate) fn leave_routed() -> Vec<Rule> {
    vec![
        Rule::new([translated(), Statement::Verdict(Verdict::Return)]),
        Rule::new([goes(REPLY), jump(name::ANSWERED)]),
    ]
}

fn translated() -> Statement {
    Match::is(Key::CT_STATUS, Value::DNAT)
}

fn goes(direction: Value) -> Statement {
    Match::is(Key::Ct(CtField::Direction), direction)
}

fn jump(chain: &str) -> Statement {
    Statement::Verdict(Verdict::Jump(chain.to_owned()))
}

fn to(address: Key, set: &str) -> Statement {
    Match::is_in([address, Key::L4PROTO, Key::TH_DPORT], set)
}

fn from(address: Key, set: &str) -> Statement {
    Match::is_in(source(address), set)
}

fn source(address: Key) -> [Key; 3] {
    [address, Key::L4PROTO, Key::TH_SPORT]
}
