//! What a packet meets that needs no rule: switches, the source check, links, ports, neighbours.

use std::net::IpAddr;

use pontoon_model::observed::snapshot::{Link, Namespace, NeighbourState};
use pontoon_model::{Endpoint, Mac};

use super::finding::{Code, Finding};
use super::journey::{Journey, Next};
use super::lookup::{self, Query};
use super::segment::{At, Segment, link};
use super::{Flow, fix};

/// `BR_STATE_FORWARDING`; the words for it and those before. Source: include/uapi/linux/if_bridge.h.
const FORWARDING: u8 = 3;
const STATES: [&str; 5] = ["disabled", "listening", "learning", "forwarding", "blocking"];

impl Journey<'_> {
    /// Whether a packet that came in by `iif` may be sent on.
    ///
    /// Source: `ip_forward()` in net/ipv4/ip_forward.c asks the incoming interface, `ip6_forward()` the whole namespace.
    pub(super) fn check_forwarding(&mut self, namespace: &Namespace, iif: &Link, flow: Flow) {
        let place = &namespace.name;
        let finding = match flow.destination {
            IpAddr::V4(_) if !iif.forwarding => {
                let (key, sentence) = if namespace.setting("net/ipv4/ip_forward") == Some(1) {
                    let key = format!("net/ipv4/conf/{}/forwarding", iif.word());
                    (
                        key,
                        format!(
                            "{place} forwards nothing that comes in by {}: {}",
                            iif.name, "its forwarding is 0"
                        ),
                    )
                } else {
                    (
                        "net/ipv4/ip_forward".to_owned(),
                        format!("{place} forwards no packets of IPv4: ip_forward is 0"),
                    )
                };
                let command = namespace.command(&format!("sysctl -w {key}=1"));
                Some(Finding::new(Code::ForwardingOff, place, sentence).fix(command))
            }
            IpAddr::V6(_) if namespace.setting("net/ipv6/conf/all/forwarding") != Some(1) => {
                let sentence = format!("{place} forwards no packets of IPv6: conf.all.forwarding is 0");
                let command = namespace.command("sysctl -w net.ipv6.conf.all.forwarding=1");
                Some(Finding::new(Code::ForwardingOff, place, sentence).fix(command))
            }
            _ => None,
        };
        finding.into_iter().for_each(|finding| self.block("forward", finding));
    }

    /// Whether the source may come in by an interface: `rp_filter`, and no address of the namespace's own.
    ///
    /// Source: `__fib_validate_source()` in net/ipv4/fib_frontend.c.
    pub(super) fn check_source(&mut self, at: usize, iif: &Link, flow: Flow) {
        let snapshot = self.snapshot;
        let namespace = &snapshot.namespaces[at];
        if flow.source.is_ipv6() || iif.name == "lo" || flow.source.is_loopback() {
            return;
        }
        let place = &namespace.name;
        if namespace.has_address(flow.source) {
            let sentence =
                format!("{place} has {} itself, and takes no packet from that by {}", flow.source, iif.name);
            self.block(
                "source",
                Finding::new(Code::Martian, place, sentence).advice("two have one address: give one another"),
            );
            return;
        }
        let all = namespace.setting("net/ipv4/conf/all/rp_filter").unwrap_or(0);
        let mode = all.max(i64::from(iif.rp_filter));
        if mode == 0 {
            return;
        }
        let query = Query {
            destination: flow.source,
            source: Some(flow.destination),
            iif: Some(&iif.name),
            transport: Some(flow.reversed().transport()),
            mark: if namespace.setting("net/ipv4/conf/all/src_valid_mark") == Some(1) {
                self.mark
            } else {
                Some(0)
            },
        };
        let back = lookup::lookup(namespace, &query).route;
        let leads = |route: &pontoon_model::observed::snapshot::Route| {
            route.next_hops.iter().any(|hop| hop.link == Some(iif.index))
        };
        let passes = back.is_some_and(|route| mode == 2 || leads(route));
        if passes {
            return;
        }
        let way = back.map_or_else(
            || "there is no way back to it".to_owned(),
            |route| format!("the way back to it is {}", lookup::shown(namespace, route)),
        );
        let sentence = format!("rp_filter drops what comes in by {} from {}: {way}", iif.name, flow.source);
        let key = if all > 0 {
            "net.ipv4.conf.all.rp_filter".to_owned()
        } else {
            format!("net/ipv4/conf/{}/rp_filter", iif.word())
        };
        let loose = namespace.command(&format!("sysctl -w {key}=2"));
        let finding = Finding::new(Code::RpFilter, place, sentence);
        // Where the route is what is wrong, that is said where the answer takes it.
        self.block(
            "source",
            match back {
                Some(_) if self.is_attached(at, flow.source).is_some() => finding
                    .advice("the route is what is wrong: a finer one by the right interface lets it through"),
                Some(_) => {
                    finding.fix(loose).advice("2 asks for any way back, 1 for one by the same interface")
                }
                None => finding.advice("add a route to it"),
            },
        );
    }

    /// Loopback addresses stay inside, but for `route_localnet`.
    ///
    /// Source: `ip_route_input_slow()` in net/ipv4/route.c.
    pub(super) fn check_martian(&mut self, namespace: &Namespace, iif: &Link, flow: Flow) {
        let loopback = [flow.source, flow.destination].into_iter().find(IpAddr::is_loopback);
        let Some(address) = loopback.filter(|_| iif.name != "lo") else { return };
        self.check_localnet(namespace, iif, address, "comes in by");
    }

    /// The same for what leaves, once its destination was translated.
    pub(super) fn check_loopback_leaves(&mut self, at: usize, next: Next, flow: Flow) {
        let snapshot = self.snapshot;
        let namespace = &snapshot.namespaces[at];
        let Some(out) = namespace.link(next.link) else { return };
        if flow.source.is_loopback() && out.name != "lo" {
            self.check_localnet(namespace, out, flow.source, "leaves by");
        }
    }

    fn check_localnet(&mut self, namespace: &Namespace, link: &Link, address: IpAddr, how: &str) {
        if address.is_ipv4() && is_localnet(namespace, link) {
            return;
        }
        let place = &namespace.name;
        let sentence = format!("{place} takes no packet with {address} that {how} {}", link.name);
        let finding = Finding::new(Code::Martian, place, sentence);
        self.block(
            "source",
            match address {
                IpAddr::V4(_) => {
                    let key = format!("net/ipv4/conf/{}/route_localnet", link.word());
                    finding.fix(namespace.command(&format!("sysctl -w {key}=1")))
                }
                IpAddr::V6(_) => finding.advice("::1 never leaves its namespace: ask for another address"),
            },
        );
    }

    /// Whether an interface is up.
    pub(super) fn check_link(&mut self, at: At) {
        let snapshot = self.snapshot;
        let namespace = &snapshot.namespaces[at.0];
        let Some(link) = link(snapshot, at).filter(|link| !link.up) else { return };
        let sentence = format!("{} is down in {}", link.name, namespace.name);
        let command = namespace.ip(&format!("link set dev {} up", link.word()));
        self.block("link", Finding::new(Code::LinkDown, &namespace.name, sentence).fix(command));
    }

    /// Whether a bridge passes a frame on from one port to another; `None` is the bridge's own interface.
    pub(super) fn check_bridge(
        &mut self,
        bridge: At,
        from: Option<u32>,
        to: Option<u32>,
        mac: Option<[u8; 6]>,
    ) {
        let snapshot = self.snapshot;
        let namespace = &snapshot.namespaces[bridge.0];
        let place = &namespace.name;
        let port = |number: Option<u32>| link(snapshot, (bridge.0, number?));
        let (from, to) = (port(from), port(to));
        for link in [from, to].into_iter().flatten() {
            self.check_link((bridge.0, link.index));
            let state = link.port.map_or(FORWARDING, |port| port.state);
            // Where it is down, that is what is wrong.
            if state != FORWARDING && link.up && link.carrier {
                let word = STATES.get(usize::from(state)).copied().unwrap_or("not forwarding");
                let sentence = format!("the bridge's port {} is {word}, and passes nothing on", link.name);
                let command = format!("bridge link set dev {} state {FORWARDING}", link.word());
                let owner = namespace.link_name(bridge.1);
                self.block(
                    "bridge",
                    Finding::new(Code::PortState, place, sentence)
                        .fix(namespace.ip(&format!("link set dev {owner} type bridge stp_state 0")))
                        .fix(namespace.command(&command)),
                );
            }
        }
        if let (Some(from), Some(to)) = (from, to) {
            let isolated = |link: &Link| link.port.is_some_and(|port| port.isolated);
            if isolated(from) && isolated(to) {
                let sentence = format!(
                    "the ports {} and {} are both isolated, and pass nothing to each other",
                    from.name, to.name
                );
                let command = format!("bridge link set dev {} isolated off", to.word());
                let network = fix::network_by_bridge(snapshot, &namespace.link_name(bridge.1));
                let finding =
                    Finding::new(Code::PortsIsolated, place, sentence).fix(namespace.command(&command));
                self.block(
                    "bridge",
                    match network.filter(|network| !network.bridge.icc) {
                        Some(network) => finding
                            .advice(format!("network {} was made so, with enable_icc=false", network.name)),
                        None => finding,
                    },
                );
            }
        }
        let entry = namespace.forwarding.iter().find(|entry| {
            entry.fixed
                && Some(entry.mac.octets()) == mac
                && link(snapshot, (bridge.0, entry.port)).is_some_and(|link| link.master == Some(bridge.1))
        });
        if let (Some(entry), Some(to)) = (entry, to)
            && entry.port != to.index
        {
            let name = namespace.link_name(entry.port);
            let sentence = format!(
                "the bridge is told that {} is behind {name}, but it is behind {}",
                entry.mac, to.name
            );
            let command = format!("bridge fdb delete {} dev {name} master", entry.mac);
            self.block(
                "bridge",
                Finding::new(Code::FdbWrong, place, sentence).fix(namespace.command(&command)),
            );
        }
    }

    /// Whether the namespace takes a neighbour for another.
    pub(super) fn check_neighbour(&mut self, at: At, address: IpAddr, station: At) {
        let snapshot = self.snapshot;
        let namespace = &snapshot.namespaces[at.0];
        let known = namespace.neighbours.iter().find(|one| one.link == at.1 && one.address == address);
        let right: Option<Mac> = link(snapshot, station).and_then(|link| link.mac);
        let Some((known, right)) = known.zip(right) else { return };
        if known.state != NeighbourState::Permanent || known.mac == Some(right) {
            return;
        }
        let (name, wrong) =
            (namespace.link_name(at.1), known.mac.map_or_else(|| "nobody".to_owned(), |mac| mac.to_string()));
        let sentence = format!("{} is told that {address} has {wrong}, but it has {right}", namespace.name);
        let command = namespace.ip(&format!("neighbour delete {address} dev {name}"));
        self.block("neighbour", Finding::new(Code::NeighbourWrong, &namespace.name, sentence).fix(command));
    }

    /// Two have one address.
    pub(super) fn find_twice(&mut self, at: At, address: IpAddr, one: At, other: At) {
        let snapshot = self.snapshot;
        let sentence = format!(
            "{address} is the address of {} and of {}: who answers first gets it",
            self.named(one),
            self.named(other)
        );
        let place = &snapshot.namespaces[at.0].name;
        let found = Finding::new(Code::AddressTwice, place, sentence).perhaps();
        // By record, one of them has no right to it.
        let wrong = [one, other].into_iter().find(|at| {
            let recorded = self.endpoint(*at);
            recorded.is_some_and(|endpoint| endpoint.addresses().all(|own| own != address))
        });
        let fix = wrong.and_then(|(place, number)| {
            let namespace = &snapshot.namespaces[place];
            let net = namespace.addresses_of(number).find(|net| net.addr() == address)?;
            Some(namespace.ip(&format!("address delete {net} dev {}", namespace.link_name(number))))
        });
        self.block(
            "neighbour",
            match fix {
                Some(command) => found.fix(command),
                None => found.advice("give one of them another address"),
            },
        );
    }

    /// Two on one segment have one Ethernet address, and the bridge learns that of whoever spoke last.
    pub(super) fn check_macs(&mut self, at: At, station: At, around: &Segment) {
        let snapshot = self.snapshot;
        let mac = |at: At| link(snapshot, at).and_then(|link| link.mac);
        let Some(right) = mac(station) else { return };
        let others = around.stations.iter().map(|other| other.at).chain([at]);
        let Some(other) = others.filter(|other| *other != station).find(|other| mac(*other) == Some(right))
        else {
            return;
        };
        let sentence = format!(
            "{right} is the Ethernet address of {} and of {}",
            self.named(station),
            self.named(other)
        );
        let found = Finding::new(Code::MacTwice, &snapshot.namespaces[at.0].name, sentence);
        let fix = [station, other].into_iter().find_map(|at| {
            let recorded = self.endpoint(at)?.mac;
            let namespace = &snapshot.namespaces[at.0];
            let name = namespace.link_name(at.1);
            (recorded != right).then(|| namespace.ip(&format!("link set dev {name} address {recorded}")))
        });
        let found = match fix {
            Some(command) => found.fix(command),
            None => found.advice("give one of them another: `ip link set dev IF address 02:…`"),
        };
        // The two never hear each other; others reach whoever spoke last.
        self.block("neighbour", if other == at { found } else { found.perhaps() });
    }

    /// `eth0 in web`
    fn named(&self, at: At) -> String {
        let namespace = &self.snapshot.namespaces[at.0];
        format!("{} in {}", namespace.link_name(at.1), namespace.name)
    }

    /// The record of an interface of ours.
    fn endpoint(&self, at: At) -> Option<&Endpoint> {
        let namespace = &self.snapshot.namespaces[at.0];
        let name = namespace.link(at.1)?.name.as_str();
        namespace.endpoints.iter().find(|endpoint| endpoint.ifname.as_str() == name)
    }

    /// A frame whose destination was translated on a bridge, and that would have to leave by the port that it came in by.
    ///
    /// Source: `br_nf_pre_routing_finish()` in net/bridge/br_netfilter_hooks.c, `should_deliver()` in
    /// net/bridge/br_forward.c.
    pub(super) fn check_hairpin(&mut self, bridge: At, port: u32) {
        let snapshot = self.snapshot;
        let came = self.entered.take().filter(|came| *came == (bridge, port));
        let (Some(_), Some(port)) = (came, link(snapshot, (bridge.0, port))) else { return };
        if port.port.is_none_or(|port| port.hairpin) {
            return;
        }
        let namespace = &snapshot.namespaces[bridge.0];
        let sentence = format!(
            "hairpin is off on {}, and the frame would have to leave by the port that it came in by",
            port.name
        );
        let command = namespace.command(&format!("bridge link set dev {} hairpin on", port.word()));
        self.block("bridge", Finding::new(Code::HairpinOff, &namespace.name, sentence).fix(command));
    }

    /// Whether what leaves by an interface may be as large as what the first one let through.
    ///
    /// A router tells the sender by ICMP that a packet is too large (RFC 1191); where that is filtered, large ones vanish.
    pub(super) fn check_mtu(&mut self, at: At) {
        let snapshot = self.snapshot;
        let namespace = &snapshot.namespaces[at.0];
        let Some(out) = link(snapshot, at) else { return };
        let sends = !self.snapshot.namespaces[at.0].is_host();
        let first = *self.mtu.get_or_insert_with(|| {
            self.sender = sends.then_some(at);
            out.mtu
        });
        if out.mtu >= first {
            return;
        }
        let sentence = format!(
            "{} of {} takes {} bytes at the most, and the sender's interface {first}",
            out.name, namespace.name, out.mtu
        );
        let found = Finding::new(Code::MtuSmaller, &namespace.name, sentence).note();
        let advice = "larger packets are refused by ICMP, or vanish where that is filtered: let the sender send no larger ones";
        self.find(match self.sender {
            Some(sender) => {
                let owner = &snapshot.namespaces[sender.0];
                let name = owner.link_name(sender.1);
                found.advice(advice).fix(owner.ip(&format!("link set dev {name} mtu {}", out.mtu)))
            }
            None => found.advice(advice),
        });
    }
}

/// Whether packets with loopback addresses may pass an interface.
pub(super) fn is_localnet(namespace: &Namespace, link: &Link) -> bool {
    link.route_localnet || namespace.setting("net/ipv4/conf/all/route_localnet") == Some(1)
}
