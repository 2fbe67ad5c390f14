//! The routing decision: rules, tables, the longest prefix, the lowest metric.
//!
//! Source: `fib_rules_lookup()` in net/core/fib_rules.c, `fib_table_lookup()` in net/ipv4/fib_trie.c; ip-rule(8),
//! ip-route(8).

use std::cmp::Reverse;
use std::net::IpAddr;

use ipnet::IpNet;
use pontoon_model::observed::snapshot::{Namespace, NextHop, Route, RouteKind, Rule, RuleAction, Transport};

use crate::packet::Ports;
use crate::truth::Truth;

/// What a route is looked up for.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    /// Where it goes.
    pub destination: IpAddr,
    /// From where, if that is decided.
    pub source: Option<IpAddr>,
    /// Where it came in; `None` for a packet of the namespace's own.
    pub iif: Option<&'a str>,
    /// Its mark; `None` where a rule may have set one.
    pub mark: Option<u32>,
    /// Its protocol, source ports and destination ports; `None` where the question is not about one packet.
    pub transport: Option<(u8, Ports, Ports)>,
}

impl Query<'_> {
    /// How a namespace sends to an address.
    pub fn to(destination: IpAddr) -> Self {
        Self { destination, source: None, iif: None, mark: Some(0), transport: None }
    }
}

/// A rule that was asked.
#[derive(Debug, Clone)]
pub struct Asked<'a> {
    /// The rule.
    pub rule: &'a Rule,
    /// The routes of its table that the destination is in, the best first.
    pub routes: Vec<&'a Route>,
    /// Why what it says does not count: `suppressed`, `throw`, or it is not known whether it is asked.
    pub passed_over: Option<&'static str>,
}

/// What came of a lookup.
#[derive(Debug, Clone)]
pub struct Lookup<'a> {
    /// The rules that were asked, the last of which decided.
    pub asked: Vec<Asked<'a>>,
    /// The route; `None` where there is none, or a rule refuses.
    pub route: Option<&'a Route>,
    /// The rule that refuses.
    pub refused: Option<&'a Rule>,
    /// A rule of which it is not known whether it is for this packet, and that has another answer.
    pub doubt: Option<&'a Rule>,
}

/// Looks a route up, as the kernel would.
pub fn lookup<'a>(namespace: &'a Namespace, query: &Query<'_>) -> Lookup<'a> {
    let mut found = Lookup { asked: Vec::new(), route: None, refused: None, doubt: None };
    let v4 = query.destination.is_ipv4();
    let rules: Vec<&Rule> = namespace.rules.iter().filter(|rule| rule.v4 == v4).collect();
    let mut at = 0;
    while let Some(rule) = rules.get(at) {
        at += 1;
        let asks = is_for(rule, query);
        if asks == Truth::False {
            continue;
        }
        match rule.action {
            RuleAction::Table(table) => {
                let routes = matching(namespace, table, query.destination);
                let best = routes.first().copied();
                let passed_over = match best {
                    _ if asks == Truth::Unknown => Some("unknown"),
                    Some(best) if is_suppressed(rule, best) => Some("suppressed"),
                    Some(best) if best.kind == RouteKind::Throw => Some("throw"),
                    _ => None,
                };
                if asks == Truth::Unknown && best.is_some() {
                    found.doubt = Some(rule);
                }
                found.asked.push(Asked { rule, routes, passed_over });
                if let (Some(best), None) = (best, passed_over) {
                    found.route = Some(best);
                    break;
                }
            }
            RuleAction::Goto(priority) if asks == Truth::True => {
                // Only forwards: the kernel refuses other rules.
                let next = rules.iter().position(|other| other.priority >= priority);
                at = next.filter(|next| *next >= at).unwrap_or(rules.len());
            }
            RuleAction::Blackhole | RuleAction::Unreachable | RuleAction::Prohibit if asks == Truth::True => {
                found.refused = Some(rule);
                break;
            }
            RuleAction::Nop => {}
            _ => found.doubt = Some(rule),
        }
    }
    if found.doubt.is_some() && same_answer(&found) {
        found.doubt = None;
    }
    found
}

/// Whether what the doubtful rule says is what was found without it.
fn same_answer(found: &Lookup<'_>) -> bool {
    let doubtful = found.asked.iter().filter(|asked| asked.passed_over == Some("unknown"));
    let hops = |route: &Route| (route.kind, route.next_hops.clone());
    doubtful.filter_map(|asked| asked.routes.first()).all(|route| found.route.map(hops) == Some(hops(route)))
}

/// The routes of a table that an address is in, the best first.
fn matching(namespace: &Namespace, table: u32, destination: IpAddr) -> Vec<&Route> {
    let usable = |route: &&Route| route.next_hops.is_empty() || route.next_hops.iter().any(|hop| !hop.dead);
    let routes = namespace.routes.iter().filter(|route| route.table == table);
    let mut found: Vec<&Route> =
        routes.filter(|route| route.destination.contains(&destination)).filter(usable).collect();
    found.sort_by_key(|route| (Reverse(route.destination.prefix_len()), route.metric));
    found
}

fn is_suppressed(rule: &Rule, route: &Route) -> bool {
    rule.suppress.is_some_and(|most| u32::from(route.destination.prefix_len()) <= most)
}

/// Whether a rule is for a packet.
fn is_for(rule: &Rule, query: &Query<'_>) -> Truth {
    let within = |net: Option<IpNet>, address: Option<IpAddr>| {
        net.is_none_or(|net| net.prefix_len() == 0 || address.is_some_and(|address| net.contains(&address)))
    };
    // The kernel's own packets "come in" by the loopback interface.
    let iif = query.iif.unwrap_or("lo");
    let known = within(rule.from, query.source)
        && within(rule.to, Some(query.destination))
        && rule.iif.as_ref().is_none_or(|name| name == iif)
        && rule.oif.is_none();
    let mark = match (rule.mark, query.mark) {
        (None, _) => Truth::True,
        (Some((value, mask)), Some(mark)) => Truth::from(mark & mask == value),
        (Some(_), None) => Truth::Unknown,
    };
    let more = if rule.asks_more { Truth::Unknown } else { Truth::True };
    Truth::from(known).and(mark).and(transport(rule, query)).and(more).negated(rule.invert)
}

/// Whether a packet has the protocol and the ports that a rule asks for.
fn transport(rule: &Rule, query: &Query<'_>) -> Truth {
    let asked = rule.transport;
    if asked == Transport::default() {
        return Truth::True;
    }
    let Some((protocol, source, destination)) = query.transport else { return Truth::Unknown };
    let port = |own: Ports, asked: Option<(u16, u16)>| {
        asked.map_or(Truth::True, |(first, last)| own.within(first, last))
    };
    Truth::from(asked.protocol.is_none_or(|number| number == protocol))
        .and(port(source, asked.source))
        .and(port(destination, asked.destination))
}

/// The way out of a route that is taken: the first that works. The kernel chooses among several by the connection.
pub fn next_hop(route: &Route) -> Option<NextHop> {
    let alive = route.next_hops.iter().find(|hop| !hop.dead);
    alive.or(route.next_hops.first()).copied()
}

/// Which address a packet gets that has none: what the route says, or one of the interface's, or another's.
///
/// Source: `fib_result_prefsrc()` and `inet_select_addr()` in net/ipv4; RFC 6724 for IPv6, of which what is needed is here.
pub fn source(namespace: &Namespace, route: &Route, hop: NextHop, destination: IpAddr) -> Option<IpAddr> {
    if route.kind == RouteKind::Local {
        return Some(route.source.unwrap_or(destination));
    }
    if let Some(source) = route.source {
        return Some(source);
    }
    let toward =
        hop.gateway.filter(|gateway| gateway.is_ipv4() == destination.is_ipv4()).unwrap_or(destination);
    let fits = |one: &&pontoon_model::observed::snapshot::Address| {
        one.address.addr().is_ipv4() == destination.is_ipv4() && !one.link_scope
    };
    let own: Vec<IpNet> = namespace
        .addresses
        .iter()
        .filter(|one| Some(one.link) == hop.link)
        .filter(fits)
        .map(|one| one.address)
        .collect();
    let near = own.iter().find(|net| net.contains(&toward)).or(own.first()).copied();
    let any = || {
        namespace.addresses.iter().filter(fits).map(|one| one.address).find(|net| !net.addr().is_loopback())
    };
    near.or_else(any).map(|net| net.addr())
}

/// A table's name, as ip(8) has it.
pub fn table_name(table: u32) -> String {
    match table {
        255 => "local".to_owned(),
        254 => "main".to_owned(),
        253 => "default".to_owned(),
        other => other.to_string(),
    }
}

/// A route in a line: `10.5.0.0/24 dev eth0`, `default via 10.5.0.1 dev eth0 metric 100`.
pub fn shown(namespace: &Namespace, route: &Route) -> String {
    let mut text = match route.kind {
        RouteKind::Unicast => String::new(),
        kind => format!("{kind} "),
    };
    text.push_str(&destination(route.destination));
    for hop in &route.next_hops {
        if let Some(gateway) = hop.gateway {
            text.push_str(&format!(" via {gateway}"));
        }
        if let Some(link) = hop.link {
            text.push_str(&format!(" dev {}", namespace.link_name(link)));
        }
    }
    if route.metric != 0 {
        text.push_str(&format!(" metric {}", route.metric));
    }
    text
}

/// `default`, or the prefix.
pub fn destination(net: IpNet) -> String {
    if net.prefix_len() == 0 { "default".to_owned() } else { net.to_string() }
}

/// A lookup in lines: each rule that was asked, its routes with what made the winner win.
pub fn lines(namespace: &Namespace, found: &Lookup<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    for asked in &found.asked {
        let RuleAction::Table(table) = asked.rule.action else { continue };
        let fate = match (asked.routes.is_empty(), asked.passed_over) {
            (true, _) => ": no route, the next rule is asked",
            (_, Some("suppressed")) => ": its prefix is suppressed, the next rule is asked",
            (_, Some("throw")) => ": it throws, the next rule is asked",
            (_, Some(_)) => ": it is not known whether the rule is for this packet",
            _ => "",
        };
        lines.push(format!("{} asks table {}{fate}", rule_shown(asked.rule), table_name(table)));
        let decides = asked.passed_over.is_none();
        for (index, route) in asked.routes.iter().enumerate() {
            let why = match index {
                0 if decides => " ← taken".to_owned(),
                0 => String::new(),
                _ => format!(" ({})", why_lost(asked.routes[0], route)),
            };
            lines.push(format!("  {}{why}", shown(namespace, route)));
        }
    }
    lines.extend(found.refused.map(|rule| format!("{} refuses", rule_shown(rule))));
    lines
}

fn why_lost(winner: &Route, loser: &Route) -> String {
    let (long, short) = (winner.destination.prefix_len(), loser.destination.prefix_len());
    if long > short {
        format!("/{short} is shorter than /{long}")
    } else if loser.metric > winner.metric {
        format!("metric {} is more than {}", loser.metric, winner.metric)
    } else {
        "it stands behind one like it".to_owned()
    }
}

/// A rule in a line, as ip(8) lists it without what it does.
pub fn rule_shown(rule: &Rule) -> String {
    let mut text = format!("rule {}:{} from ", rule.priority, if rule.invert { " not" } else { "" });
    text.push_str(&rule.from.map_or_else(|| "all".to_owned(), |net| net.to_string()));
    if let Some(to) = rule.to {
        text.push_str(&format!(" to {to}"));
    }
    if let Some((value, mask)) = rule.mark {
        text.push_str(&format!(" fwmark {value:#x}"));
        if mask != u32::MAX {
            text.push_str(&format!("/{mask:#x}"));
        }
    }
    if let Some(number) = rule.transport.protocol {
        text.push_str(&format!(" ipproto {number}"));
    }
    for (word, ports) in [("sport", rule.transport.source), ("dport", rule.transport.destination)] {
        match ports {
            Some((first, last)) if first == last => text.push_str(&format!(" {word} {first}")),
            Some((first, last)) => text.push_str(&format!(" {word} {first}-{last}")),
            None => {}
        }
    }
    for (word, name) in [("iif", &rule.iif), ("oif", &rule.oif)] {
        if let Some(name) = name {
            text.push_str(&format!(" {word} {name}"));
        }
    }
    text
}

/// A lookup, told so that one learns from it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Lesson {
    /// Whether there is a way.
    pub found: bool,
    /// What came of it, in a sentence.
    pub sentence: String,
    /// Each rule that was asked, its routes, and why one won.
    pub lines: Vec<String>,
    /// The command that has the kernel say the same.
    pub command: String,
}

/// Looks up how a namespace sends to an address.
pub fn teach(namespace: &Namespace, destination: IpAddr) -> Lesson {
    let query = Query::to(destination);
    let found = lookup(namespace, &query);
    let command = namespace.ip(&format!("route get {destination}"));
    let lines = lines(namespace, &found);
    let refusing = |route: &&Route| {
        matches!(route.kind, RouteKind::Blackhole | RouteKind::Unreachable | RouteKind::Prohibit)
    };
    let place = &namespace.name;
    let sentence = match (found.route, found.refused) {
        (Some(route), _) if refusing(&route) => {
            format!("{place} refuses to send to {destination}: {}", shown(namespace, route))
        }
        (Some(route), _) => taken(namespace, route, destination),
        (None, Some(rule)) => format!("{place} refuses to send to {destination}: {}", rule_shown(rule)),
        (None, None) => format!("{place} has no route to {destination}"),
    };
    let found = found.route.is_some_and(|route| !refusing(&route));
    Lesson { found, sentence, lines, command }
}

fn taken(namespace: &Namespace, route: &Route, destination: IpAddr) -> String {
    let place = &namespace.name;
    if matches!(route.kind, RouteKind::Local | RouteKind::Anycast) {
        return format!("{destination} is an address of {place} itself");
    }
    let Some(hop) = next_hop(route) else {
        return format!("the route of {place} to {destination} leads nowhere");
    };
    let by = hop.gateway.map_or_else(String::new, |gateway| format!(" to the router {gateway}"));
    let link = hop.link.map_or("?".into(), |link| namespace.link_name(link));
    let from = source(namespace, route, hop, destination)
        .map_or_else(|| ", and has no address to send from".to_owned(), |source| format!(", from {source}"));
    format!("{place} sends what is for {destination}{by} out by {link}{from}")
}
