//! The way itself: from namespace to namespace, there and back.

use std::net::IpAddr;

use pontoon_model::observed::snapshot::{Link, Namespace, RouteKind, Snapshot};
use pontoon_nft::syntax::Hook;

use super::deliver::deliver;
use super::finding::{Code, Finding, Severity};
use super::hooks::{Point, Track};
use super::lookup::{self, Lookup, Query};
use super::segment::{At, link};
use super::{Explanation, Flow, From, Hop, Question, Verdict, Way, fix};
use crate::packet::Ports;

/// More namespaces than any way has, each way: it goes round in a circle.
const MOST_STEPS: usize = 24;

/// `RTN_UNICAST` and `RTN_LOCAL` of rtnetlink.h.
pub(super) const UNICAST: u32 = 1;
pub(super) const LOCAL: u32 = 2;

/// Ports that clients get. Source: `net.ipv4.ip_local_port_range`, by default.
const CLIENT: Ports = Ports { first: 32768, last: 60999 };

/// A port that is known.
pub(super) fn exactly(port: u16) -> Ports {
    Ports { first: port, last: port }
}

/// How a way ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum End {
    /// In a namespace, whose address it was for.
    Delivered(usize, Flow),
    /// It left what was read, by this interface.
    Left(At, Flow),
    /// Nobody can say how it would go on.
    Stuck,
}

/// Where a packet goes next.
#[derive(Debug, Clone, Copy)]
pub(super) struct Next {
    /// Whether it is for the namespace itself.
    pub(super) local: bool,
    pub(super) link: u32,
    /// The next one to get it: a router, or the destination.
    pub(super) to: IpAddr,
    pub(super) gateway: bool,
}

/// A packet that left its own network with the address that it had there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unmasked {
    pub(super) at: At,
    pub(super) flow: Flow,
}

/// One packet on its way.
pub(super) struct Journey<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) way: Way,
    pub(super) hops: Vec<Hop>,
    pub(super) findings: Vec<Finding>,
    pub(super) tracks: Vec<Track>,
    /// Which of them the packet belongs to where it is; none before it is followed, or where it is nobody's answer.
    pub(super) current: Option<usize>,
    pub(super) mark: Option<u32>,
    unmasked: Option<Unmasked>,
    /// The namespace that asks, and the interface by which a packet from outside comes in.
    pub(super) origin: (Option<usize>, Option<At>),
    /// How large the packets are that the first interface lets through, each way.
    pub(super) mtu: Option<u32>,
    /// The interface that the size is of; `None` for the host's own, which are not changed for one packet's sake.
    pub(super) sender: Option<At>,
    /// The bridge's port by which it came in, where the bridge itself is to get it.
    pub(super) entered: Option<(At, u32)>,
    /// Where the answer would come in if the packet had not left its network with an address that nobody knows.
    pub(super) back_at: Option<At>,
    /// Whether its destination stands for all that is beyond the host's default route.
    pub(super) outside: bool,
    /// Whether it is to be routed again, since a chain of type `route` gave it another mark.
    pub(super) reroute: bool,
    /// How many places it had passed when it was not known any more what became of its addresses.
    pub(super) lost: Option<usize>,
    /// Where it was, and how it was then.
    seen: Vec<(At, Flow)>,
}

/// Takes a packet through the snapshot, there and back.
pub fn explain(snapshot: &Snapshot, question: &Question) -> Explanation {
    let mut journey = Journey {
        snapshot,
        way: Way::There,
        hops: Vec::new(),
        findings: Vec::new(),
        tracks: Vec::new(),
        current: None,
        mark: Some(0),
        unmasked: None,
        origin: (None, None),
        mtu: None,
        sender: None,
        entered: None,
        back_at: None,
        outside: question.outside,
        reroute: false,
        lost: None,
        seen: Vec::new(),
    };
    let (sent, end) = journey.set_out(question);
    journey.come_back(sent, end);
    if let Some(after) = journey.lost {
        let doubtful = journey.hops.iter_mut().skip(after);
        doubtful
            .filter(|hop| hop.verdict == Verdict::Unreachable)
            .for_each(|hop| hop.verdict = Verdict::Unknown);
    }
    let mut verdict = match journey.findings.iter().map(|finding| finding.severity).max() {
        Some(Severity::Blocks) => Verdict::Unreachable,
        Some(Severity::Unknown) => Verdict::Unknown,
        Some(Severity::Note) | None => Verdict::Reachable,
    };
    verdict = journey.hops.iter().map(|hop| hop.verdict).fold(verdict, Verdict::max);
    Explanation { verdict, packet: sent, hops: journey.hops, findings: journey.findings }
}

impl Journey<'_> {
    fn set_out(&mut self, question: &Question) -> (Flow, End) {
        let unspecified = match question.to {
            IpAddr::V4(_) => IpAddr::from([0_u8; 4]),
            IpAddr::V6(_) => IpAddr::from([0_u8; 16]),
        };
        let asked = Flow {
            source: unspecified,
            destination: question.to,
            protocol: question.protocol,
            source_port: if question.port.is_some() { CLIENT } else { Ports::ANY },
            destination_port: question.port.map_or(Ports::ANY, exactly),
        };
        match question.from {
            From::Namespace(at, source) => {
                self.origin.0 = Some(at);
                self.send(at, asked, source)
            }
            From::Outside(source) => {
                let flow = Flow { source, ..asked };
                let query = Query { transport: Some(flow.reversed().transport()), ..Query::to(source) };
                let host = &self.snapshot.namespaces[0];
                let hop = lookup::lookup(host, &query).route.and_then(lookup::next_hop);
                let Some(entry) = hop.and_then(|hop| hop.link) else {
                    let sentence = format!("the host has no route to {source}, and nothing comes from there");
                    self.find(Finding::new(Code::NoRoute, &host.name, sentence));
                    return (flow, End::Stuck);
                };
                self.origin.1 = Some((0, entry));
                self.hop(
                    0,
                    "link",
                    format!("{source} comes in by {}", host.link_name(entry)),
                    None,
                    Verdict::Reachable,
                );
                (flow, self.receive((0, entry), flow))
            }
        }
    }

    /// The answer's way.
    fn come_back(&mut self, sent: Flow, end: End) {
        let end = match end {
            End::Stuck => return,
            End::Delivered(at, flow) => {
                self.turn();
                let answer = flow.reversed();
                self.send(at, answer, Some(answer.source)).1
            }
            End::Left(at, flow) => {
                self.check_way_back(at, flow);
                self.turn();
                self.receive(at, flow.reversed())
            }
        };
        match end {
            End::Stuck => {}
            End::Delivered(at, flow) if Some(at) == self.origin.0 => self.match_answer(at, sent, flow),
            End::Left(at, flow) if Some(at) == self.origin.1 => self.match_answer(at.0, sent, flow),
            End::Delivered(at, flow) => {
                let place = self.snapshot.namespaces[at].name.clone();
                let sentence =
                    format!("the answer to {} ends in {place}, which did not ask", flow.destination);
                self.block("route", Finding::new(Code::ReplyAstray, &place, sentence));
            }
            End::Left(at, flow) => {
                let namespace = &self.snapshot.namespaces[at.0];
                let sentence = format!(
                    "the answer to {} leaves {} by {}, and nobody can say whether it arrives",
                    flow.destination,
                    namespace.name,
                    namespace.link_name(at.1)
                );
                let finding = Finding::new(Code::ReplyAstray, &namespace.name, sentence);
                // Somebody behind another interface than the one by which he came may well be reached by it.
                self.block("route", if self.origin.0.is_some() { finding } else { finding.perhaps() });
            }
        }
    }

    fn turn(&mut self) {
        self.way = Way::Back;
        self.seen.clear();
        self.current = None;
        self.mark = Some(0);
        self.mtu = None;
        self.entered = None;
    }

    /// An answer is one only if it comes from where the packet was sent.
    fn match_answer(&mut self, at: usize, sent: Flow, answer: Flow) {
        let expected = sent.reversed();
        let same = (answer.source, answer.source_port, answer.destination)
            == (expected.source, expected.source_port, expected.destination);
        if same {
            let (kind, text) = match self.origin.1 {
                None => ("socket", format!("the answer arrives from {}", answer.source)),
                Some((_, link)) => (
                    "link",
                    format!(
                        "the answer leaves by {} from {}",
                        self.snapshot.namespaces[at].link_name(link),
                        answer.source
                    ),
                ),
            };
            return self.hop(at, kind, text, None, Verdict::Reachable);
        }
        let place = self.snapshot.namespaces[at].name.clone();
        let sentence = format!(
            "the answer comes from {}, but {} was asked: it is not taken for an answer",
            answer.source, expected.source
        );
        self.block("socket", Finding::new(Code::ReplyUnmatched, &place, sentence));
    }

    /// A packet that a program in a namespace sends; with its source, once that is decided.
    fn send(&mut self, at: usize, mut flow: Flow, source: Option<IpAddr>) -> (Flow, End) {
        let Some(mut next) = self.route(at, flow, source, None) else {
            return (flow, self.back_at.take().map_or(End::Stuck, |at| self.receive(at, flow)));
        };
        let Some(source) = source.or_else(|| self.source_for(at, flow, next)) else {
            let place = self.snapshot.namespaces[at].name.clone();
            let sentence = format!("{place} has no address to send to {} from", flow.destination);
            self.block(
                "source",
                Finding::new(Code::NoSource, &place, sentence).advice("give the interface an address"),
            );
            return (flow, End::Stuck);
        };
        let first = flow;
        flow.source = source;
        let sent = flow;
        // Once it has its address, the way is asked for again: rules may ask from where.
        if self.leads_elsewhere(at, first, flow) {
            let Some(anew) = self.route(at, flow, Some(source), None) else {
                return (flow, self.back_at.take().map_or(End::Stuck, |at| self.receive(at, flow)));
            };
            next = anew;
        }
        self.begin(at, flow);
        let snapshot = self.snapshot;
        let oif = link(snapshot, (at, next.link));
        self.hook(at, self.point(at, Hook::Output, None, oif, next, flow), &mut flow);
        if flow.destination != sent.destination || std::mem::take(&mut self.reroute) {
            let Some(anew) = self.route(at, flow, Some(flow.source), None) else { return (sent, End::Stuck) };
            next = anew;
            self.check_loopback_leaves(at, next, flow);
        }
        (sent, self.after_routing(at, next, None, flow))
    }

    /// Whether a packet goes another way with its source than without one.
    fn leads_elsewhere(&self, at: usize, without: Flow, with: Flow) -> bool {
        let namespace = &self.snapshot.namespaces[at];
        if without.source == with.source || namespace.rules.iter().all(|rule| rule.from.is_none()) {
            return false;
        }
        let query =
            Query { mark: self.mark, transport: Some(with.transport()), ..Query::to(with.destination) };
        let before = lookup::lookup(namespace, &query);
        let after = lookup::lookup(namespace, &Query { source: Some(with.source), ..query });
        (before.route, before.refused) != (after.route, after.refused)
    }

    fn source_for(&self, at: usize, flow: Flow, next: Next) -> Option<IpAddr> {
        let namespace = &self.snapshot.namespaces[at];
        let transport = Some(flow.transport());
        let query = Query { mark: self.mark, transport, ..Query::to(flow.destination) };
        let found = lookup::lookup(namespace, &query);
        let by_route = found.route.and_then(|route| {
            let hop = lookup::next_hop(route)?;
            (next.local || hop.link == Some(next.link))
                .then(|| lookup::source(namespace, route, hop, flow.destination))?
        });
        by_route.or_else(|| {
            let own = namespace.addresses_of(next.link).map(|net| net.addr());
            own.into_iter().find(|address| address.is_ipv4() == flow.destination.is_ipv4())
        })
    }

    /// A packet that comes in by an interface.
    pub(super) fn receive(&mut self, at: At, mut flow: Flow) -> End {
        if !self.step(at, flow) {
            return End::Stuck;
        }
        let snapshot = self.snapshot;
        let (namespace, Some(iif)) = (&snapshot.namespaces[at.0], link(snapshot, at)) else {
            return End::Stuck;
        };
        let ingress = Point { hook: Hook::Ingress, ..self.entering(at.0, iif, flow) };
        self.hook(at.0, ingress, &mut flow);
        self.begin(at.0, flow);
        self.check_martian(namespace, iif, flow);
        let point = self.entering(at.0, iif, flow);
        self.hook(at.0, point, &mut flow);
        let Some(next) = self.route(at.0, flow, Some(flow.source), Some(iif)) else {
            return self.back_at.take().map_or(End::Stuck, |at| self.receive(at, flow));
        };
        self.check_source(at.0, iif, flow);
        if next.local {
            return self.take(at, flow);
        }
        self.check_forwarding(namespace, iif, flow);
        let oif = link(snapshot, (at.0, next.link));
        self.hook(at.0, self.point(at.0, Hook::Forward, Some(iif), oif, next, flow), &mut flow);
        self.after_routing(at.0, next, Some(iif), flow)
    }

    /// A packet that is for the namespace, from `iif`.
    fn take(&mut self, at: At, mut flow: Flow) -> End {
        let snapshot = self.snapshot;
        let namespace = &snapshot.namespaces[at.0];
        let next = Next { local: true, link: at.1, to: flow.destination, gateway: false };
        self.hook(at.0, self.point(at.0, Hook::Input, link(snapshot, at), None, next, flow), &mut flow);
        if self.way == Way::Back {
            return End::Delivered(at.0, flow);
        }
        let (text, verdict, finding) = deliver(namespace, at.1, flow);
        let command = flow.has_ports().then(|| namespace.command("ss -Hltunp"));
        self.hop(at.0, "socket", text, command, verdict);
        finding.into_iter().for_each(|finding| self.find(finding));
        End::Delivered(at.0, flow)
    }

    /// What leaves by an interface, or comes back by the loopback.
    fn after_routing(&mut self, at: usize, next: Next, iif: Option<&Link>, mut flow: Flow) -> End {
        let snapshot = self.snapshot;
        let namespace = &snapshot.namespaces[at];
        let loopback = namespace.link_named("lo");
        let oif = if next.local { loopback } else { link(snapshot, (at, next.link)) };
        let point = self.point(at, Hook::Postrouting, iif, oif, next, flow);
        self.hook(at, point, &mut flow);
        if next.local {
            let Some(loopback) = loopback else { return End::Stuck };
            if !loopback.up {
                let sentence = format!("lo is down in {}: nothing in it reaches itself", namespace.name);
                let up = namespace.ip("link set dev lo up");
                self.block("link", Finding::new(Code::LinkDown, &namespace.name, sentence).fix(up));
            }
            let point = self.entering(at, loopback, flow);
            self.hook(at, point, &mut flow);
            return self.take((at, loopback.index), flow);
        }
        if self.way == Way::There
            && iif.is_some()
            && !namespace.has_address(flow.source)
            && self.is_next_to(at, flow.source)
        {
            self.unmasked = Some(Unmasked { at: (at, next.link), flow });
        }
        self.transmit((at, next.link), next, flow)
    }

    /// Whether an address is on a subnet of the namespace's.
    fn is_next_to(&self, at: usize, address: IpAddr) -> bool {
        let own = self.snapshot.namespaces[at].addresses.iter();
        own.filter(|one| !one.link_scope).any(|one| one.address.contains(&address))
    }

    /// Where a packet goes, with what is wrong about that.
    fn route(&mut self, at: usize, flow: Flow, source: Option<IpAddr>, iif: Option<&Link>) -> Option<Next> {
        let snapshot = self.snapshot;
        let namespace = &snapshot.namespaces[at];
        let query = Query {
            destination: flow.destination,
            source,
            iif: iif.map(|link| link.name.as_str()),
            mark: self.mark,
            transport: Some(flow.transport()),
        };
        let found = lookup::lookup(namespace, &query);
        let command = route_command(namespace, &query);
        if let Some(rule) = found.doubt {
            let sentence = format!("whether {} is for this packet is not known", lookup::rule_shown(rule));
            self.find(Finding::new(Code::RouteUnknown, &namespace.name, sentence).perhaps());
        }
        let (text, verdict, next) = self.decide(at, flow, &found, iif);
        self.hops.push(Hop {
            way: self.way,
            place: namespace.name.clone(),
            kind: "route",
            text,
            command: Some(command),
            verdict,
            quiet: false,
            detail: lookup::lines(namespace, &found),
            filter: None,
        });
        next
    }

    fn decide(
        &mut self,
        at: usize,
        flow: Flow,
        found: &Lookup<'_>,
        iif: Option<&Link>,
    ) -> (String, Verdict, Option<Next>) {
        let snapshot = self.snapshot;
        let namespace = &snapshot.namespaces[at];
        let to = flow.destination;
        let taken = found.route.filter(|route| {
            !matches!(route.kind, RouteKind::Blackhole | RouteKind::Unreachable | RouteKind::Prohibit)
        });
        let Some(route) = taken else {
            let text = match found.route {
                Some(route) => format!("{to}: the route {} refuses", lookup::shown(namespace, route)),
                None => format!("{to}: no route"),
            };
            return (text, Verdict::Unreachable, self.without_route(at, flow, found, iif));
        };
        let shown = lookup::shown(namespace, route);
        let table = found.asked.last().map_or(0, |_| route.table);
        if matches!(route.kind, RouteKind::Local | RouteKind::Anycast) {
            let index = lookup::next_hop(route).and_then(|hop| hop.link).unwrap_or(1);
            let next = Next { local: true, link: index, to, gateway: false };
            return (format!("{to} is an address of {}", namespace.name), Verdict::Reachable, Some(next));
        }
        let Some((hop, index)) = lookup::next_hop(route).and_then(|hop| Some((hop, hop.link?))) else {
            return (format!("{to}: {shown} leads nowhere"), Verdict::Unreachable, None);
        };
        let next =
            Next { local: false, link: index, to: hop.gateway.unwrap_or(to), gateway: hop.gateway.is_some() };
        let text = match hop.gateway {
            Some(gateway) => format!(
                "{to} by the router {gateway} on {} ({}, table {})",
                namespace.link_name(index),
                lookup::destination(route.destination),
                lookup::table_name(table)
            ),
            None => format!(
                "{to} is on {} ({}, table {})",
                namespace.link_name(index),
                lookup::destination(route.destination),
                lookup::table_name(table)
            ),
        };
        match self.led_elsewhere(at, next, flow, route) {
            Some(right) => (text, Verdict::Unreachable, Some(right)),
            None => (text, Verdict::Reachable, Some(next)),
        }
    }

    /// How a hook sees the packet.
    pub(super) fn point<'b>(
        &self,
        at: usize,
        hook: Hook,
        iif: Option<&'b Link>,
        oif: Option<&'b Link>,
        next: Next,
        flow: Flow,
    ) -> Point<'b> {
        let namespace = &self.snapshot.namespaces[at];
        let own: Vec<_> = oif.map_or_else(Vec::new, |link| namespace.addresses_of(link.index).collect());
        let of_family = |net: &&ipnet::IpNet| net.addr().is_ipv4() == flow.destination.is_ipv4();
        let near = own.iter().filter(of_family).find(|net| net.contains(&next.to));
        let masquerade = near.or_else(|| own.iter().find(of_family)).map(|net| net.addr());
        let is_own = namespace.has_address(flow.destination) || flow.destination.is_loopback();
        let destination_kind = if next.local || is_own { LOCAL } else { UNICAST };
        let redirect = iif.and_then(|link| {
            let mut own = namespace.addresses_of(link.index).filter(|net| of_family(&net));
            own.next().map(|net| net.addr())
        });
        Point { hook, bridge: false, iif, oif, ether: None, masquerade, redirect, destination_kind }
    }

    /// How prerouting sees a packet.
    fn entering<'b>(&self, at: usize, iif: &'b Link, flow: Flow) -> Point<'b> {
        let next = Next { local: false, link: iif.index, to: flow.destination, gateway: false };
        self.point(at, Hook::Prerouting, Some(iif), None, next, flow)
    }

    /// Finds the connection that a packet belongs to in a namespace, or has the namespace begin to follow it.
    ///
    /// A namespace that the packet passes twice may see two connections: one that a container has with itself by its
    /// published port, say.
    pub(super) fn begin(&mut self, at: usize, flow: Flow) {
        let is = |track: &Track| match self.way {
            Way::There => track.original == flow,
            Way::Back => track.translated.reversed() == flow,
        };
        self.current = self.tracks.iter().rposition(|track| track.namespace == at && is(track));
        if self.way == Way::There && self.current.is_none() {
            self.tracks.push(Track::new(at, flow));
            self.current = Some(self.tracks.len() - 1);
        }
    }

    /// Whether a packet was not there before as it is now: it would go round for ever.
    fn step(&mut self, at: At, flow: Flow) -> bool {
        let is_new = !self.seen.contains(&(at, flow)) && self.seen.len() < MOST_STEPS;
        self.seen.push((at, flow));
        if !is_new {
            let place = self.snapshot.namespaces[at.0].name.clone();
            let sentence =
                format!("what is for {} goes round in a circle, and is here again", flow.destination);
            self.block(
                "route",
                Finding::new(Code::RoutingLoop, &place, sentence).advice("look at the routes of each hop"),
            );
        }
        is_new
    }

    pub(super) fn unmasked(&self) -> Option<Unmasked> {
        self.unmasked
    }

    /// Notes a finding as a hop of its own, once.
    pub(super) fn block(&mut self, kind: &'static str, finding: Finding) {
        let verdict = match finding.severity {
            Severity::Blocks => Verdict::Unreachable,
            Severity::Unknown => Verdict::Unknown,
            Severity::Note => Verdict::Reachable,
        };
        if !self.findings.iter().any(|known| known.is_as(&finding)) {
            let (place, text) = (finding.place.clone(), finding.sentence.clone());
            self.hops.push(Hop {
                way: self.way,
                place,
                kind,
                text,
                command: None,
                verdict,
                quiet: false,
                detail: Vec::new(),
                filter: None,
            });
        }
        self.find(finding);
    }

    /// Notes a finding, each once.
    pub(super) fn find(&mut self, finding: Finding) {
        let doubtful = self.lost.is_some() && finding.severity == Severity::Blocks;
        let finding = if doubtful { finding.perhaps() } else { finding };
        match self.findings.iter_mut().find(|known| known.is_as(&finding)) {
            Some(known) => {
                let more: Vec<String> =
                    finding.fix.into_iter().filter(|command| !known.fix.contains(command)).collect();
                known.fix.extend(more);
            }
            None => self.findings.push(finding),
        }
    }

    pub(super) fn hop(
        &mut self,
        at: usize,
        kind: &'static str,
        text: String,
        command: Option<String>,
        verdict: Verdict,
    ) {
        let place = self.snapshot.namespaces[at].name.clone();
        self.hops.push(Hop {
            way: self.way,
            place,
            kind,
            text,
            command,
            verdict,
            quiet: false,
            detail: Vec::new(),
            filter: None,
        });
    }

    /// What the one who routes the packet on needs to know of a source that is not this host's.
    fn check_way_back(&mut self, at: At, flow: Flow) {
        let namespace = &self.snapshot.namespaces[at.0];
        if namespace.has_address(flow.source) || self.origin.1.is_some() {
            return;
        }
        let near = namespace.addresses_of(at.1).any(|net| net.contains(&flow.source));
        if !near {
            let finding = self.no_way_back(at, flow);
            let certain = fix::network_of(self.snapshot, flow.source)
                .is_some_and(|network| fix::is_masqueraded(network, flow.source))
                || is_private(flow.source) && !is_private(flow.destination);
            self.block("route", if certain { finding } else { finding.perhaps() });
        }
    }

    /// The finding that an answer does not find back, since nobody beyond knows the source.
    pub(super) fn no_way_back(&self, at: At, flow: Flow) -> Finding {
        let namespace = &self.snapshot.namespaces[at.0];
        let out = namespace.link_name(at.1);
        let raw = namespace.link(at.1).map_or("", |link| &link.name);
        let sentence = format!(
            "the packet leaves {} by {out} as {}, and the next router has no way back to that",
            namespace.name, flow.source
        );
        Finding::new(Code::NoWayBack, &namespace.name, sentence)
            .fixes(fix::masquerade(self.snapshot, namespace, flow.source, raw))
            .advice("the other way is a route back to the subnet on the next router")
    }
}

/// Whether no router of the internet has a route to it. Source: RFC 1918, RFC 4193, RFC 6598.
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_private() || v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64,
        IpAddr::V6(v6) => v6.segments()[0] & 0xfe00 == 0xfc00,
    }
}

/// `ip route get`, as the kernel would be asked.
fn route_command(namespace: &Namespace, query: &Query<'_>) -> String {
    let mut rest = format!("route get {}", query.destination);
    if let (Some(source), Some(iif)) = (query.source, query.iif) {
        rest.push_str(&format!(" from {source} iif {iif}"));
    }
    namespace.ip(&rest)
}
