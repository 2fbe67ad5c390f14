//! From an interface to the next one that takes the packet in: over cables and bridges, or out of what was read.

use std::net::IpAddr;

use pontoon_model::observed::snapshot::{NeighbourState, RouteKind};
use pontoon_nft::syntax::Hook;

use super::checks::is_localnet;
use super::finding::{Code, Finding};
use super::hooks::{Point, Track};
use super::journey::{End, Journey, LOCAL, Next, UNICAST};
use super::lookup::{self, Query};
use super::segment::{At, Crossing, Station, link, segment};
use super::{Flow, Verdict, Way};

impl Journey<'_> {
    /// Hands the packet to whoever is next on the link.
    pub(super) fn transmit(&mut self, at: At, next: Next, mut flow: Flow) -> End {
        let snapshot = self.snapshot;
        let (namespace, Some(out)) = (&snapshot.namespaces[at.0], link(snapshot, at)) else {
            return End::Stuck;
        };
        self.check_link(at);
        if next.to.is_ipv6() && out.disable_ipv6 {
            let sentence = format!("IPv6 is off on {} in {}", out.name, namespace.name);
            let command =
                namespace.command(&format!("sysctl -w net.ipv6.conf.{}.disable_ipv6=0", out.word()));
            self.block("link", Finding::new(Code::Ipv6Disabled, &namespace.name, sentence).fix(command));
        }
        let point =
            Point { hook: Hook::Egress, ..self.point(at.0, Hook::Postrouting, None, Some(out), next, flow) };
        self.hook(at.0, point, &mut flow);
        if self.way == Way::Back && Some(at) == self.origin.1 {
            return End::Left(at, flow);
        }
        let around = segment(snapshot, at);
        // Who the router is does not matter, where all that is behind it is meant.
        if self.outside && self.way == Way::There && namespace.is_host() && next.gateway {
            return self.leave(at, next, &[], flow);
        }
        let has = |station: &&Station| {
            let (place, number) = station.at;
            snapshot.namespaces[place].addresses_of(number).any(|net| net.addr() == next.to)
        };
        let answers = |station: &&Station| station.at.0 != at.0 && self.answers(station.at, next.to);
        let owners: Vec<&Station> = around.stations.iter().filter(has).collect();
        let owners =
            if owners.is_empty() { around.stations.iter().filter(answers).collect() } else { owners };
        if let [one, other, ..] = owners.as_slice() {
            self.find_twice(at, next.to, one.at, other.at);
        }
        match owners.first() {
            Some(station) => {
                self.check_macs(at, station.at, &around);
                self.cross(at, next, station, flow)
            }
            None if !around.exits.is_empty() && !self.is_misled(at, next.to) => {
                self.leave(at, next, &around.exits, flow)
            }
            None => match self.missing(at, next, &around, flow) {
                Some(to) => {
                    self.check_neighbour(at, next.to, to);
                    self.receive(to, flow)
                }
                None => End::Stuck,
            },
        }
    }

    /// Whether a namespace says on a link that an address is its own: one of any of its interfaces, or one of the
    /// loopback's where `route_localnet` is on.
    ///
    /// Source: `arp_process()` in net/ipv4/arp.c.
    fn answers(&self, at: At, address: IpAddr) -> bool {
        let namespace = &self.snapshot.namespaces[at.0];
        let query = Query::to(address);
        let is_local = || {
            let route = lookup::lookup(namespace, &query).route;
            route.is_some_and(|route| route.kind == RouteKind::Local)
        };
        let allowed = || namespace.link(at.1).is_some_and(|link| is_localnet(namespace, link));
        if address.is_loopback() { allowed() && is_local() } else { namespace.has_address(address) }
    }

    /// Whether somebody who was read has an address, and ought to be reached by this interface.
    fn is_misled(&self, at: At, to: IpAddr) -> bool {
        let is_bridge = link(self.snapshot, at).is_some_and(|link| link.kind.as_deref() == Some("bridge"));
        is_bridge && self.snapshot.owners(to).any(|owner| owner != at.0)
    }

    /// Over cables and bridges to a station.
    fn cross(&mut self, at: At, next: Next, station: &Station, mut flow: Flow) -> End {
        let snapshot = self.snapshot;
        let namespace = &snapshot.namespaces[at.0];
        let (place, number) = station.at;
        let there = &snapshot.namespaces[place];
        let mac = link(snapshot, station.at).and_then(|link| link.mac);
        let own = link(snapshot, at).and_then(|link| link.mac);
        let ether = own.zip(mac).map(|(from, to)| (from.octets(), to.octets()));
        let whom = if next.gateway { "router" } else { "neighbour" };
        let text = format!(
            "{whom} {} is {} in {}{}",
            next.to,
            there.link_name(number),
            there.name,
            mac.map_or_else(String::new, |mac| format!(" ({mac})"))
        );
        let command = namespace.ip(&format!("neighbour show {} dev {}", next.to, namespace.link_name(at.1)));
        self.hop(at.0, "neighbour", text, Some(command), Verdict::Reachable);
        self.check_neighbour(at, next.to, station.at);
        for crossing in &station.way {
            self.cross_one(crossing, ether, next, &mut flow);
        }
        let right = self.check_port(station, next.to);
        self.check_mtu(at);
        self.receive(right.unwrap_or(station.at), flow)
    }

    fn cross_one(
        &mut self,
        crossing: &Crossing,
        ether: Option<([u8; 6], [u8; 6])>,
        next: Next,
        flow: &mut Flow,
    ) {
        match *crossing {
            Crossing::Cable { from, to } => {
                self.check_link(from);
                self.check_link(to);
                // Source: `skb_scrub_packet()` in net/core/skbuff.c.
                if from.0 != to.0 {
                    self.mark = Some(0);
                }
            }
            Crossing::Bridge { bridge, from, to } => {
                self.show_bridge(bridge, from, to);
                self.check_link(bridge);
                self.check_bridge(bridge, from, to, ether.map(|(_, to)| to));
                self.bridge_hooks(bridge, from, to, ether, next, flow);
                let translated = self.track(bridge.0).is_some_and(Track::is_destination_translated);
                match (from, to) {
                    (Some(port), None) => self.entered = Some((bridge, port)),
                    (None, Some(port)) if translated && self.calls_iptables(bridge, next.to.is_ipv4()) => {
                        self.check_hairpin(bridge, port);
                    }
                    _ => {}
                }
            }
        }
    }

    fn show_bridge(&mut self, bridge: At, from: Option<u32>, to: Option<u32>) {
        let namespace = &self.snapshot.namespaces[bridge.0];
        let name = namespace.link_name(bridge.1);
        let text = match (from, to) {
            (Some(from), Some(to)) => {
                format!(
                    "{name}: in by its port {}, out by {}",
                    namespace.link_name(from),
                    namespace.link_name(to)
                )
            }
            (Some(from), None) => {
                format!("{name}: in by its port {}, for the bridge itself", namespace.link_name(from))
            }
            (None, Some(to)) => format!("{name}: out by its port {}", namespace.link_name(to)),
            (None, None) => name.to_string(),
        };
        let command = namespace.command(&format!("bridge -d link show master {name}"));
        self.hop(bridge.0, "bridge", text, Some(command), Verdict::Reachable);
    }

    /// The chains that a frame meets on a bridge, and where the bridge calls iptables, those that packets of IP meet.
    fn bridge_hooks(
        &mut self,
        bridge: At,
        from: Option<u32>,
        to: Option<u32>,
        ether: Option<([u8; 6], [u8; 6])>,
        next: Next,
        flow: &mut Flow,
    ) {
        let snapshot = self.snapshot;
        let port = |number: Option<u32>| number.and_then(|number| link(snapshot, (bridge.0, number)));
        let (iif, oif) = (port(from), port(to));
        let kind = if to.is_none() { LOCAL } else { UNICAST };
        let point = |hook, iif, oif, bridge| Point {
            hook,
            bridge,
            iif,
            oif,
            ether,
            masquerade: None,
            redirect: None,
            destination_kind: kind,
        };
        let hooks: &[Hook] = match (from, to) {
            (Some(_), Some(_)) => &[Hook::Prerouting, Hook::Forward, Hook::Postrouting],
            (Some(_), None) => &[Hook::Prerouting, Hook::Input],
            (None, _) => &[Hook::Output, Hook::Postrouting],
        };
        if iif.is_some() {
            self.hook(bridge.0, point(Hook::Ingress, iif, None, false), flow);
        }
        for hook in hooks {
            let iif = iif.filter(|_| matches!(hook, Hook::Prerouting | Hook::Forward | Hook::Input));
            let oif = oif.filter(|_| matches!(hook, Hook::Forward | Hook::Output | Hook::Postrouting));
            self.hook(bridge.0, point(*hook, iif, oif, true), flow);
        }
        if oif.is_some() {
            self.hook(bridge.0, point(Hook::Egress, None, oif, false), flow);
        }
        if from.is_some() && to.is_some() && self.calls_iptables(bridge, next.to.is_ipv4()) {
            let own = link(snapshot, bridge);
            self.begin(bridge.0, *flow);
            for hook in [Hook::Prerouting, Hook::Forward, Hook::Postrouting] {
                let iif = own.filter(|_| hook != Hook::Postrouting);
                let oif = own.filter(|_| hook != Hook::Prerouting);
                self.hook(bridge.0, point(hook, iif, oif, false), flow);
            }
        }
    }

    fn calls_iptables(&self, bridge: At, v4: bool) -> bool {
        let namespace = &self.snapshot.namespaces[bridge.0];
        let own = link(self.snapshot, bridge).map_or((false, false), |link| link.calls_iptables);
        let (key, own) = match v4 {
            true => ("net/bridge/bridge-nf-call-iptables", own.0),
            false => ("net/bridge/bridge-nf-call-ip6tables", own.1),
        };
        own || namespace.setting(key) == Some(1)
    }

    /// The packet leaves what was read.
    fn leave(&mut self, at: At, next: Next, exits: &[Station], flow: Flow) -> End {
        let namespace = &self.snapshot.namespaces[at.0];
        let name = namespace.link_name(at.1);
        let known = namespace.neighbours.iter().find(|one| one.link == at.1 && one.address == next.to);
        let command = namespace.ip(&format!("neighbour show {} dev {name}", next.to));
        let failed =
            known.is_some_and(|one| matches!(one.state, NeighbourState::Failed | NeighbourState::Incomplete));
        let whom = if next.gateway { "the router" } else { "the neighbour" };
        let text = format!("leaves by {name} to {whom} {}", next.to);
        if failed {
            let sentence = format!(
                "{} does not answer on {name}: {whom} is not there, or the address is wrong",
                next.to
            );
            self.find(Finding::new(Code::NeighbourFailed, &namespace.name, sentence).advice(
                "see whether the other end is up and has the address; what is behind it is not this host's",
            ));
        }
        let verdict = if failed { Verdict::Unreachable } else { Verdict::Reachable };
        self.hop(at.0, "neighbour", text, Some(command), verdict);
        let cable = exits.iter().find(|exit| {
            link(self.snapshot, exit.at).is_some_and(|link| link.kind.as_deref() == Some("veth"))
        });
        if let Some(cable) = cable {
            let owner = &self.snapshot.namespaces[cable.at.0];
            let sentence = format!(
                "the other end of {} in {} is in a namespace that was not found",
                owner.link_name(cable.at.1),
                owner.name
            );
            self.find(Finding::new(Code::PeerUnknown, &owner.name, sentence).perhaps());
        }
        End::Left(at, flow)
    }
}
