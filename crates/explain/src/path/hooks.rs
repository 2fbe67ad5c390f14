//! The chains at a hook, of all tables, in the order of their priorities.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use pontoon_model::observed::snapshot::{Link, Namespace, RouteKind};
use pontoon_model::shell::quote;
use pontoon_nft::ruleset::{ListedChain, Table};
use pontoon_nft::syntax::{Base, ChainKind, Family, Hook, IpVersion, Priority, protocol};

use super::finding::{Code, Finding};
use super::journey::{Journey, LOCAL, UNICAST};
use super::lookup::{self, Query};
use super::{Filter, Flow, Hop, Place, Verdict, Way, fix};
use crate::packet::{Address, Connection, Interface, Packet, Traced};
use crate::truth::Truth;
use crate::walk::{Fate, Reason, Translation, Walk, walk};

/// Flags of TCP. Source: RFC 9293, section 3.1.
const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

/// A hook that a packet is at, and by which interfaces it came and goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Point<'a> {
    pub(super) hook: Hook,
    /// Whether frames on a bridge are seen, and not packets of IP.
    pub(super) bridge: bool,
    pub(super) iif: Option<&'a Link>,
    pub(super) oif: Option<&'a Link>,
    /// Ethernet addresses, where a bridge sees the packet.
    pub(super) ether: Option<([u8; 6], [u8; 6])>,
    /// What the source becomes where it is masqueraded.
    pub(super) masquerade: Option<IpAddr>,
    /// What the destination becomes where it is redirected to the host itself.
    pub(super) redirect: Option<IpAddr>,
    /// What a route lookup says of the destination: `RTN_…`.
    pub(super) destination_kind: u32,
}

/// A connection in one namespace.
#[derive(Debug, Clone, Copy)]
pub(super) struct Track {
    pub(super) namespace: usize,
    /// As its first packet came in.
    pub(super) original: Flow,
    /// As it went on.
    pub(super) translated: Flow,
    /// Whether it is decided what becomes of its source, and of its destination.
    decided: (bool, bool),
    /// Its mark; `None` where a rule may have set one.
    pub(super) mark: Option<u32>,
    /// Whether a rule kept tracking off its packets.
    pub(super) untracked: bool,
}

impl Track {
    pub(super) fn new(namespace: usize, flow: Flow) -> Self {
        Self {
            namespace,
            original: flow,
            translated: flow,
            decided: (false, false),
            mark: Some(0),
            untracked: false,
        }
    }

    fn is_source_translated(&self) -> bool {
        (self.original.source, self.original.source_port)
            != (self.translated.source, self.translated.source_port)
    }

    pub(super) fn is_destination_translated(&self) -> bool {
        (self.original.destination, self.original.destination_port)
            != (self.translated.destination, self.translated.destination_port)
    }
}

/// A chain at the hook.
struct Stop<'a> {
    table: &'a Table,
    chain: &'a ListedChain,
    base: &'a Base,
    legacy: bool,
}

impl Stop<'_> {
    /// Translation has its own place at each hook, whatever priority its chains have among each other.
    ///
    /// Source: `nf_nat_ipv4_ops` in net/netfilter/nf_nat_proto.c.
    fn turn(&self) -> (i32, i32) {
        let turn = if self.base.kind == ChainKind::Nat {
            translation_turn(self.base.hook)
        } else {
            self.base.priority
        };
        (turn, self.base.priority)
    }

    /// Whether connections are followed only after it.
    ///
    /// Source: `NF_IP_PRI_CONNTRACK` in netfilter_ipv4.h; to a rule, what is not followed yet is invalid, see
    /// `nft_ct_get_eval()` in net/netfilter/nft_ct.c.
    fn is_before_tracking(&self) -> bool {
        const CONNTRACK: i32 = -200;
        matches!(self.base.hook, Hook::Prerouting | Hook::Output | Hook::Ingress) && self.turn().0 < CONNTRACK
    }

    /// The command that lists the chain that decided.
    fn command(&self, outcome: &Walk) -> String {
        let reasons = [
            outcome.drops.first(),
            outcome.translations.first().map(|(_, reason)| reason),
            outcome.accepts.first(),
        ];
        let reason = reasons.into_iter().flatten().next();
        let chain = reason.and_then(|reason| reason.chains.last()).unwrap_or(&self.chain.chain.name);
        match self.legacy {
            true => {
                let program = if self.table.table.family == Family::Ip6 { "ip6tables" } else { "iptables" };
                format!("{program}-legacy -t {} -S {chain}", self.table.table.name)
            }
            false => format!("nft -a list chain {} {}", fix::table_words(&self.table.table), quote(chain)),
        }
    }

    /// What ends the packet's way.
    fn dropping(&self, outcome: &Walk) -> Option<Place> {
        let reason = outcome.drops.first()?;
        Some(Place {
            table: reason.table.to_string(),
            chain: reason.chains.last()?.clone(),
            handle: reason.handle,
            legacy: self.legacy,
        })
    }

    /// `inet pontoon, forward`
    fn name(&self) -> String {
        let legacy = if self.legacy { " (iptables-legacy)" } else { "" };
        format!("{}{legacy}, {}", self.table.table, self.chain.chain.name)
    }
}

fn translation_turn(hook: Hook) -> i32 {
    if matches!(hook, Hook::Prerouting | Hook::Output) { Priority::DSTNAT } else { Priority::SRCNAT }
}

fn stops<'a>(namespace: &'a Namespace, point: &Point<'_>, v4: bool) -> Vec<Stop<'a>> {
    let device = if point.hook == Hook::Ingress { point.iif } else { point.oif };
    let sees = |table: &Table, base: &Base| match table.table.family {
        // The hook of a device, in whichever family.
        Family::Inet | Family::Netdev if matches!(point.hook, Hook::Ingress | Hook::Egress) => {
            base.device.as_deref() == device.map(|link| link.name.as_str())
        }
        Family::Inet => !point.bridge,
        Family::Ip => v4 && !point.bridge,
        Family::Ip6 => !v4 && !point.bridge,
        Family::Bridge => point.bridge,
        Family::Netdev | Family::Arp => false,
    };
    let tables = namespace.ruleset.tables.iter().map(|table| (table, false));
    let mut found: Vec<Stop<'a>> = tables
        .chain(namespace.legacy.iter().map(|table| (table, true)))
        .filter(|(table, _)| !table.dormant)
        .flat_map(|(table, legacy)| table.chains.iter().map(move |chain| (table, chain, legacy)))
        .filter_map(|(table, chain, legacy)| {
            let base = chain.chain.base.as_ref()?;
            (base.hook == point.hook && sees(table, base)).then_some(Stop { table, chain, base, legacy })
        })
        .collect();
    found.sort_by_key(Stop::turn);
    found
}

impl Journey<'_> {
    /// Takes the packet through a hook of a namespace, which may translate it.
    pub(super) fn hook(&mut self, at: usize, point: Point<'_>, flow: &mut Flow) {
        let snapshot = self.snapshot;
        let namespace = &snapshot.namespaces[at];
        let stops = stops(namespace, &point, flow.destination.is_ipv4());
        let before = *flow;
        let turn = translation_turn(point.hook);
        let answers = self.way == Way::Back && !point.bridge && self.track(at).is_some();
        let (mut lines, mut worst, mut translated) = (Vec::new(), Verdict::Reachable, false);
        let (mut deciding, mut quiet, mut dropping) = (None, true, None);
        let mut bound = answers || self.is_decided(at, point.hook);
        let mut shown = None;
        for stop in &stops {
            if answers && !translated && stop.turn().0 >= turn {
                self.translate_answer(at, point.hook, flow);
                translated = true;
            }
            let mut packet = self.packet(at, &point, *flow);
            if stop.is_before_tracking() {
                packet.connection = Connection::Invalid;
            }
            let follows = !matches!(packet.connection, Connection::Invalid | Connection::Untracked);
            if stop.base.kind == ChainKind::Nat && (bound || !follows) {
                continue;
            }
            let was = *flow;
            let outcome = walk(&packet, stop.table, &stop.chain.chain.name);
            if outcome.untracked
                && let Some(current) = self.current
            {
                self.tracks[current].untracked = true;
            }
            let remarked = self.mark != outcome.marks.0;
            self.mark = outcome.marks.0;
            self.reroute |= remarked && stop.base.kind == ChainKind::Route;
            if let Some(current) = self.current.filter(|_| !point.bridge) {
                self.tracks[current].mark = outcome.marks.1;
            }
            quiet &= !outcome.accepts.iter().any(|reason| reason.handle.is_some());
            let (verdict, line) = self.judge(at, &point, stop, &outcome, flow);
            if verdict == Verdict::Unreachable {
                dropping = dropping.or_else(|| stop.dropping(&outcome));
            }
            if verdict > worst || deciding.is_none() || was != *flow && worst == Verdict::Reachable {
                deciding = Some(line.clone());
                shown = Some(stop.command(&outcome));
            }
            if was != *flow {
                bound = true;
                // Later chains at this hook see what became of it.
                self.settle(at, point.hook, *flow);
            }
            worst = worst.max(verdict);
            lines.push(line);
        }
        if answers && !translated {
            self.translate_answer(at, point.hook, flow);
        }
        if !point.bridge {
            self.settle(at, point.hook, *flow);
        }
        if before != *flow && answers {
            shown = None;
        }
        if before != *flow {
            deciding = Some(translation_text(before, *flow));
        }
        self.note_unread(at);
        if let Some(text) = deciding {
            let quiet = quiet && worst == Verdict::Reachable && before == *flow;
            let family = if point.bridge { "bridge " } else { "" };
            let text = format!("{family}{}: {text}", hook_name(point.hook));
            let command =
                shown.map_or_else(|| namespace.command("conntrack -L"), |words| namespace.command(&words));
            self.hops.push(Hop {
                way: self.way,
                place: namespace.name.clone(),
                kind: "hook",
                text,
                command: Some(command),
                verdict: worst,
                quiet,
                detail: lines,
                filter: Some(Filter { hook: hook_name(point.hook), bridge: point.bridge, drop: dropping }),
            });
        }
    }

    /// What a chain does with the packet.
    fn judge(
        &mut self,
        at: usize,
        point: &Point<'_>,
        stop: &Stop<'_>,
        outcome: &Walk,
        flow: &mut Flow,
    ) -> (Verdict, String) {
        let name = stop.name();
        let text = |reason: &Reason| {
            let handle = reason.handle.filter(|_| !stop.legacy).map(|handle| format!(" # handle {handle}"));
            let handle = handle.unwrap_or_default();
            match reason.chains.as_slice() {
                [_, further @ ..] if !further.is_empty() => {
                    format!("{name} → {}: {}{handle}", further.join(" → "), reason.text)
                }
                _ => format!("{name}: {}{handle}", reason.text),
            }
        };
        match (outcome.fate, outcome.drops.first()) {
            (Fate::Drops, Some(reason)) => {
                let found =
                    fix::dropped(&self.scene(at, point, *flow), stop.table, stop.base, reason, stop.legacy);
                let moved = self.internal_way_out(point, *flow);
                self.find(moved.filter(|_| fix::is_ours(stop.table)).unwrap_or(found));
                return (Verdict::Unreachable, text(reason));
            }
            (Fate::MayDrop, Some(reason)) => {
                let sentence = format!("whether {} lets it through is not known: {}", name, reason.text);
                let place = self.snapshot.namespaces[at].name.clone();
                self.find(Finding::new(Code::FirewallUnknown, &place, sentence).perhaps());
                return (Verdict::Unknown, text(reason));
            }
            _ => {}
        }
        let Some((translation, reason)) = outcome.translations.first() else {
            let last = outcome.accepts.first();
            return (Verdict::Reachable, last.map_or_else(|| format!("{name}: passes"), text));
        };
        let same = outcome.translations.iter().all(|(other, _)| other == translation);
        match self.translated(point, translation, *flow).filter(|_| same && !outcome.plain) {
            Some(becomes) => {
                *flow = becomes;
                (Verdict::Reachable, text(reason))
            }
            None => {
                let sentence = format!("what {name} makes of its addresses is not known: {}", reason.text);
                let place = self.snapshot.namespaces[at].name.clone();
                self.find(Finding::new(Code::FirewallUnknown, &place, sentence).perhaps());
                self.lost.get_or_insert(self.hops.len());
                (Verdict::Unknown, text(reason))
            }
        }
    }

    /// What a translation makes of a packet; `None` where that is not known.
    fn translated(&self, point: &Point<'_>, translation: &Translation, flow: Flow) -> Option<Flow> {
        let port = |port: &Option<u16>, before| port.map_or(before, super::journey::exactly);
        Some(match translation {
            Translation::Masquerade => Flow { source: point.masquerade?, ..flow },
            Translation::Source(address, to) => {
                Flow { source: *address, source_port: port(to, flow.source_port), ..flow }
            }
            Translation::Destination(address, to) => {
                Flow { destination: *address, destination_port: port(to, flow.destination_port), ..flow }
            }
            Translation::Redirect(to) if point.hook == Hook::Prerouting => Flow {
                destination: point.redirect?,
                destination_port: port(to, flow.destination_port),
                ..flow
            },
            Translation::Redirect(to) if point.hook == Hook::Output => {
                let loopback = match flow.destination {
                    IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
                    IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
                };
                Flow { destination: loopback, destination_port: port(to, flow.destination_port), ..flow }
            }
            Translation::Redirect(_) | Translation::Unclear => return None,
        })
    }

    /// Whether the connection's source or destination was decided about at this hook before.
    fn is_decided(&self, at: usize, hook: Hook) -> bool {
        let Some(track) = self.track(at) else { return false };
        match hook {
            Hook::Prerouting | Hook::Output => track.decided.1,
            _ => track.decided.0,
        }
    }

    /// Notes what the connection became.
    fn settle(&mut self, at: usize, hook: Hook, flow: Flow) {
        if self.way == Way::Back || matches!(hook, Hook::Ingress | Hook::Egress) {
            return;
        }
        if let Some(track) = self.current.map(|at| &mut self.tracks[at]).filter(|track| track.namespace == at)
        {
            track.translated = flow;
            match hook {
                Hook::Prerouting | Hook::Output => track.decided.1 = true,
                Hook::Postrouting | Hook::Input => track.decided.0 = true,
                _ => {}
            }
        }
    }

    /// The connection that a packet belongs to in a namespace.
    pub(super) fn track(&self, at: usize) -> Option<&Track> {
        self.current.map(|at| &self.tracks[at]).filter(|track| track.namespace == at)
    }

    /// An answer's addresses become again those of the connection's other end.
    fn translate_answer(&self, at: usize, hook: Hook, flow: &mut Flow) {
        let Some(track) = self.track(at) else { return };
        let (came, asked) = (track.translated.reversed(), track.original.reversed());
        match hook {
            Hook::Prerouting | Hook::Output
                if (flow.destination, flow.destination_port) == (came.destination, came.destination_port) =>
            {
                (flow.destination, flow.destination_port) = (asked.destination, asked.destination_port);
            }
            Hook::Postrouting | Hook::Input
                if (flow.source, flow.source_port) == (came.source, came.source_port) =>
            {
                (flow.source, flow.source_port) = (asked.source, asked.source_port);
            }
            _ => {}
        }
    }

    /// The packet as rules see it.
    pub(super) fn packet(&self, at: usize, point: &Point<'_>, flow: Flow) -> Packet {
        let named =
            |link: Option<&Link>| link.map_or(Interface::None, |link| Interface::Named(link.name.clone()));
        let number = |link: Option<&Link>| link.map(|link| link.index);
        let answer = self.way == Way::Back;
        let fresh = Track::new(at, flow);
        let track = self.track(at).unwrap_or(&fresh);
        let v4 = flow.destination.is_ipv4();
        let icmp = match (v4, answer) {
            (true, false) => 8,
            (true, true) => 0,
            (false, false) => 128,
            (false, true) => 129,
        };
        let dnat = track.is_destination_translated();
        Packet {
            version: if v4 { IpVersion::V4 } else { IpVersion::V6 },
            iif: named(point.iif),
            oif: named(point.oif),
            source: Address::In(IpNet::from(flow.source)),
            destination: Address::In(IpNet::from(flow.destination)),
            protocol: flow.protocol,
            source_port: flow.source_port,
            destination_port: flow.destination_port,
            connection: self.connection(at, point, flow),
            traced: Some(Traced {
                links: (number(point.iif), number(point.oif)),
                destination_kind: point.destination_kind,
                icmp,
                ether: point.ether,
                translated: (Truth::from(track.is_source_translated()), Truth::from(dnat)),
                original: (track.original.source, track.original.destination),
                original_ports: (track.original.source_port, track.original.destination_port),
                mark: self.mark,
                connection_mark: track.mark,
                source_route: self.source_route(at, point, flow),
                tcp_flags: if answer { SYN | ACK } else { SYN },
            }),
        }
    }

    /// What a route lookup says of the source, as `fib` asks.
    fn source_route(&self, at: usize, point: &Point<'_>, flow: Flow) -> Option<(u32, u32)> {
        let namespace = &self.snapshot.namespaces[at];
        let query = Query { transport: Some(flow.reversed().transport()), ..Query::to(flow.source) };
        if point.bridge {
            return None;
        }
        let found = lookup::lookup(namespace, &query);
        let route = found.route.filter(|_| found.doubt.is_none())?;
        let kind = match route.kind {
            RouteKind::Unicast => UNICAST,
            RouteKind::Local => LOCAL,
            _ => return None,
        };
        Some((kind, lookup::next_hop(route)?.link?))
    }

    /// What the namespace's connection tracking says of the packet.
    ///
    /// Source: an answer of TCP or ICMP to nothing is invalid, one of UDP begins a connection:
    /// net/netfilter/nf_conntrack_proto_tcp.c, …_icmp.c, …_udp.c.
    fn connection(&self, at: usize, point: &Point<'_>, flow: Flow) -> Connection {
        let track = self.track(at);
        match self.way {
            _ if track.is_some_and(|track| track.untracked) => Connection::Untracked,
            Way::Back if track.is_some() || point.bridge => Connection::Answer,
            Way::Back if flow.protocol == protocol::UDP => Connection::New,
            Way::Back => Connection::Invalid,
            Way::There if track.is_some_and(Track::is_destination_translated) => Connection::NewPublished,
            Way::There => Connection::New,
        }
    }

    fn scene<'b>(&'b self, at: usize, point: &Point<'b>, flow: Flow) -> fix::Scene<'b> {
        fix::Scene { snapshot: self.snapshot, at, iif: point.iif, oif: point.oif, flow, way: self.way }
    }

    /// Says once what of a namespace's rules could not be read.
    fn note_unread(&mut self, at: usize) {
        let namespace = &self.snapshot.namespaces[at];
        for what in &namespace.unread {
            let sentence = format!("not read, and so not looked at: {what}");
            self.find(Finding::new(Code::NotRead, &namespace.name, sentence).perhaps());
        }
    }
}

fn translation_text(before: Flow, after: Flow) -> String {
    let end = |address: IpAddr, ports: crate::packet::Ports| match (
        before.has_ports(),
        ports.first == ports.last,
    ) {
        (true, true) if address.is_ipv6() => format!("[{address}]:{}", ports.first),
        (true, true) => format!("{address}:{}", ports.first),
        _ => address.to_string(),
    };
    let mut parts = Vec::new();
    if (before.source, before.source_port) != (after.source, after.source_port) {
        let (from, to) = (end(before.source, before.source_port), end(after.source, after.source_port));
        parts.push(format!("its source {from} becomes {to}"));
    }
    if (before.destination, before.destination_port) != (after.destination, after.destination_port) {
        let from = end(before.destination, before.destination_port);
        parts.push(format!(
            "its destination {from} becomes {}",
            end(after.destination, after.destination_port)
        ));
    }
    parts.join(", ")
}

/// nft's word for a hook.
pub(crate) fn hook_name(hook: Hook) -> &'static str {
    match hook {
        Hook::Prerouting => "prerouting",
        Hook::Input => "input",
        Hook::Forward => "forward",
        Hook::Output => "output",
        Hook::Postrouting => "postrouting",
        Hook::Ingress => "ingress",
        Hook::Egress => "egress",
    }
}
