//! Links, and what goes along with them: ports, addresses, routes.

use pontoon_model::op::{
    AddressOp, DevConf, ImpairOp, LinkMending, LinkOp, LinkSettings, NeighbourOp, Netns, Op, RouteOp, Shape,
};
use pontoon_model::{IfName, Step};

use super::wanted::{Kind, Wanted, WantedLink, goes_when_down};
use super::{Code, Drift, Observed, SeenLink};
use crate::Plan;
use crate::command::quote;

/// What a veth has without being told (`ETH_DATA_LEN`).
const MTU: u32 = 1500;

pub(super) fn find(wanted: &Wanted<'_>, seen: &Observed, drifts: &mut Vec<Drift>) {
    let mut routes = Vec::new();
    for link in &wanted.links {
        let Some(there) = seen.links.get(&link.place) else { continue };
        let ends = [Some(&link.place), link.other_end()];
        if ends.into_iter().flatten().any(|place| wanted.desired.busy.has_link(place)) {
            continue;
        }
        let one = One { wanted, seen, link };
        match there {
            None => drifts.extend(one.gone()),
            Some(found) if link.is(found) => {
                one.changes(found, drifts);
                one.impairments(found, drifts);
                one.routes(found, &mut routes);
            }
            // Of an end in a container nothing is known but the address: it may have another by now.
            Some(_) if matches!(link.kind, Kind::Second(_)) => {}
            Some(_) => drifts.push(one.taken()),
        }
    }
    // Routes lead through links, and come when all of those are there.
    drifts.append(&mut routes);
}

impl WantedLink {
    fn other_end(&self) -> Option<&super::Place> {
        match &self.kind {
            Kind::First(other) | Kind::Second(other) => Some(other),
            Kind::Bridge | Kind::Loopback => None,
        }
    }

    /// Whether what is there is the link that was made, though somebody changed it.
    fn is(&self, found: &SeenLink) -> bool {
        let Some(mark) = &self.mark else { return true };
        let alias = !mark.alias.is_empty() && found.alias.as_deref() == Some(mark.alias.as_str());
        alias || found.mac == Some(mark.mac.octets())
    }
}

/// One link that was looked at.
struct One<'a> {
    wanted: &'a Wanted<'a>,
    seen: &'a Observed,
    link: &'a WantedLink,
}

impl One<'_> {
    fn name(&self) -> &IfName {
        &self.link.place.1
    }

    /// `eth0 of web`, `bridge pt-… of network blue`
    fn what(&self) -> String {
        let (name, owner) = (self.name(), self.link.owner.name());
        match (&self.link.kind, &self.link.place.0) {
            (Kind::Bridge, _) => format!("bridge `{name}` of {owner}"),
            (Kind::First(_), Netns::Host) => format!("`{name}`, the cable of {owner},"),
            (_, Netns::Host) => format!("`{name}` of {owner}"),
            _ => format!("`{name}` in {owner}"),
        }
    }

    fn drift(&self, code: Code, object: String, found: String, plan: Plan) -> Drift {
        self.link.owner.drift(code, object, found, plan)
    }

    /// The link's name, with its namespace where that is another than the host's.
    fn object(&self) -> String {
        match &self.link.place.0 {
            Netns::Host => format!("link {}", self.name()),
            Netns::Other { id, .. } => format!("link {} in {id}", self.name()),
        }
    }

    fn set(&self, settings: LinkSettings, why: String) -> Plan {
        let mut plan = Plan::default();
        let (netns, name) = self.link.place.clone();
        plan.push(LinkOp::Set { netns, name, settings }, why);
        plan
    }

    fn mend(&self, mending: LinkMending, why: String) -> Plan {
        let mut plan = Plan::default();
        let (netns, name) = self.link.place.clone();
        if let Some(mark) = self.link.mark.clone() {
            plan.push(LinkOp::Mend { netns, name, mark, mending }, why);
        }
        plan
    }

    fn gone(&self) -> Option<Drift> {
        let there = |place| self.seen.links.get(place).is_some_and(Option::is_some);
        match &self.link.kind {
            Kind::Bridge => {
                let found = format!("{} is gone", self.what());
                Some(self.drift(Code::BridgeGone, self.object(), found, self.remake()))
            }
            // Deleted, either end takes the other along.
            Kind::First(other) if there(other) => Some(self.lost()),
            Kind::First(_) => {
                let found = format!("{} is gone", self.what());
                Some(self.drift(Code::CableGone, self.object(), found, self.remake()))
            }
            Kind::Second(first) if there(first) => Some(self.lost()),
            Kind::Second(_) | Kind::Loopback => None,
        }
    }

    fn lost(&self) -> Drift {
        let found = format!(
            "{} is not there under that name, though its other end is: somebody renamed it or moved it",
            self.what()
        );
        self.drift(Code::InterfaceLost, self.object(), found, Plan::default())
    }

    fn taken(&self) -> Drift {
        let found =
            format!("{} is gone, and somebody else's link has its name: it is left alone", self.what());
        self.drift(Code::NameTaken, self.object(), found, Plan::default())
    }

    /// The steps that make it, and all that is on it, once more.
    fn remake(&self) -> Plan {
        let mut links = vec![self.link];
        links.extend(self.link.other_end().and_then(|other| self.wanted.link(other)));
        let mut plan = Plan { steps: self.wanted.steps_of(&links).cloned().collect() };
        let mut settled = vec![self.name().clone()];
        if self.link.kind == Kind::Bridge {
            for port in self.wanted.links.iter().filter(|port| self.carries(port)) {
                let why = format!("{}: back on the bridge", port.owner.name());
                plan.append(One { link: port, ..*self }.enslave(why));
                settled.push(port.place.1.clone());
            }
        } else if let (Netns::Host, Some(master)) = (&self.link.place.0, &self.link.master) {
            settled.push(master.clone());
        }
        if self.link.place.0 == Netns::Host {
            let settle = LinkOp::Settle { names: settled, others: Vec::new(), addresses: Vec::new() };
            plan.push(
                settle,
                "asked once, the kernel notes that there is carrier, and the first packet passes",
            );
        }
        plan
    }

    /// Whether a link that is there is, or should be, a port of this bridge.
    fn carries(&self, port: &WantedLink) -> bool {
        let found = self.seen.links.get(&port.place).and_then(Option::as_ref);
        port.place.0 == Netns::Host
            && port.master.as_ref() == Some(self.name())
            && found.is_some_and(|found| port.is(found))
    }

    /// A port that is put on a bridge begins with the options of a new one.
    fn enslave(&self, why: String) -> Plan {
        let settings = LinkSettings {
            master: self.link.master.clone(),
            isolated: self.link.isolated,
            hairpin: self.link.hairpin,
            ..LinkSettings::default()
        };
        self.set(settings, why)
    }

    fn changes(&self, found: &SeenLink, drifts: &mut Vec<Drift>) {
        let link = self.link;
        let owner = link.owner.name();
        let mut add = |code, found: String, plan| drifts.push(self.drift(code, self.object(), found, plan));
        // How an interface in a container is otherwise is the container's business.
        if !matches!(link.kind, Kind::Second(_) | Kind::Loopback) {
            self.own_changes(found, &mut add);
        }
        let addresses = found.addresses.as_deref();
        for address in &link.addresses {
            if addresses.is_some_and(|there| !there.contains(address)) {
                let steps = self.steps(
                    |op| matches!(op, Op::Address(AddressOp::Add { address: one, .. }) if one == address),
                );
                let object = format!("{} on {}", address, self.object());
                let found = format!("{} has the address {address} no longer", self.what());
                drifts.push(self.drift(Code::AddressGone, object, found, steps));
            }
        }
        if link.up && !found.up {
            let why = format!("{owner}: {} works again", self.name());
            let mut plan = self.set(LinkSettings { up: true, ..LinkSettings::default() }, why);
            plan.steps.extend(self.wanted.steps_of(&[link]).filter(|step| goes_when_down(step)).cloned());
            let found = format!("{} is down", self.what());
            drifts.push(self.drift(Code::LinkDown, self.object(), found, plan));
        }
    }

    fn own_changes(&self, found: &SeenLink, add: &mut impl FnMut(Code, String, Plan)) {
        let (link, what, owner) = (self.link, self.what(), self.link.owner.name());
        let Some(mark) = &link.mark else { return };
        if found.mac != Some(mark.mac.octets()) || found.alias.as_deref() != Some(mark.alias.as_str()) {
            let changed = match found.mac == Some(mark.mac.octets()) {
                true => {
                    format!("the alias {}", found.alias.as_deref().map_or_else(|| "(none)".to_owned(), quote))
                }
                false => format!("the Ethernet address {}", found.mac.map_or_else(|| "(none)".into(), hex)),
            };
            let why = format!("{owner}: {} is known by its alias and its Ethernet address", self.name());
            let mut plan = self.mend(LinkMending { mark: true, ..LinkMending::default() }, why);
            // They went with the old address, and go with the new one.
            if found.mac != Some(mark.mac.octets()) {
                plan.append(self.steps(|op| matches!(op, Op::Neighbour(NeighbourOp::Set { .. }))));
            }
            add(Code::MarkChanged, format!("{what} has {changed}"), plan);
        }
        let mtu = link.mtu.or(matches!(link.kind, Kind::First(_)).then_some(MTU));
        if let Some(mtu) = mtu.filter(|mtu| *mtu != found.mtu) {
            let why = format!("{owner}: packets of {mtu} bytes pass");
            let plan = self.mend(LinkMending { mtu: Some(mtu), ..LinkMending::default() }, why);
            add(Code::MtuChanged, format!("{what} has the MTU {}, not {mtu}", found.mtu), plan);
        }
        if link.kind == Kind::Bridge && found.as_made == Some(false) {
            let why = format!("{owner}: ports forward at once, and nobody is kept from hearing the others");
            let plan = self.mend(LinkMending { bridge: true, ..LinkMending::default() }, why);
            let found =
                format!("{what} has other options (spanning tree, forward delay, snooping, learning)");
            add(Code::BridgeChanged, found, plan);
        }
        if link.no_autoconf && found.autoconf == Some(true) {
            let settings = LinkSettings { no_autoconf: true, ..LinkSettings::default() };
            let plan = self.set(settings, format!("{owner}: no address that the kernel makes up"));
            add(Code::AutoconfOn, format!("{what} makes IPv6 addresses of its own"), plan);
        }
        self.conf_changes(found, add);
        self.port_changes(found, add);
    }

    fn conf_changes(&self, found: &SeenLink, add: &mut impl FnMut(Code, String, Plan)) {
        let off = |conf: &&DevConf| found.conf.contains(&(**conf, false));
        let mut names: Vec<DevConf> = Vec::new();
        for conf in self.link.conf.iter().filter(off) {
            if !names.contains(conf) {
                names.push(*conf);
            }
        }
        if names.is_empty() {
            return;
        }
        let text: Vec<&str> = names.iter().map(|conf| conf.name()).collect();
        let text = text.join(" and ");
        let devconf = names.into_iter().map(|conf| (conf, true)).collect();
        let why = format!("{}: containers' packets come in by {}", self.link.owner.name(), self.name());
        let plan = self.set(LinkSettings { devconf, ..LinkSettings::default() }, why);
        add(Code::LinkSwitchOff, format!("{text} of {} is switched off", self.what()), plan);
    }

    fn port_changes(&self, found: &SeenLink, add: &mut impl FnMut(Code, String, Plan)) {
        let (link, what) = (self.link, self.what());
        let (Netns::Host, Some(bridge)) = (&link.place.0, &link.master) else { return };
        // A bridge that is gone takes its ports back when it is made.
        let Some(Some(master)) = self.seen.links.get(&(Netns::Host, bridge.clone())) else { return };
        if found.master != Some(master.index) {
            let why = format!("{}: back on the bridge", link.owner.name());
            add(Code::PortOff, format!("{what} is not on bridge {bridge}"), self.enslave(why));
            return;
        }
        let Some(port) = found.port else { return };
        if port.isolated != link.isolated || !port.plain {
            let why = match link.isolated {
                true => format!("{}: kept from the network's other containers", link.owner.name()),
                false => format!("{}: frames go to and fro as on a new port", link.owner.name()),
            };
            let plan =
                self.mend(LinkMending { isolated: Some(link.isolated), ..LinkMending::default() }, why);
            let found = match port.isolated == link.isolated {
                true => format!("{what} does not learn or flood as a new port does"),
                false if port.isolated => format!("{what} is isolated from the other ports"),
                false => format!("{what} is isolated from the other ports no longer"),
            };
            add(Code::PortChanged, found, plan);
        }
        if link.hairpin && !port.hairpin {
            let why = format!("{} reaches its own published ports", link.owner.name());
            let plan = self.set(LinkSettings { hairpin: true, ..LinkSettings::default() }, why);
            add(Code::PortChanged, format!("{what} gives no frames back to where they came from"), plan);
        }
    }

    /// Values that somebody changed are not seen: what impairs it is ours and there, or is not.
    fn impairments(&self, found: &SeenLink, drifts: &mut Vec<Drift>) {
        let Some(there) = found.impaired else { return };
        for step in self.steps(|op| matches!(op, Op::Impair(_))).steps {
            let (is_there, theirs) = match &step.op {
                Op::Impair(ImpairOp::Shape { now, .. }) => (
                    there.root == now.root_handle(),
                    there.root.is_some_and(|root| !Shape::HANDLES.contains(&root)),
                ),
                _ => (there.table, false),
            };
            if is_there {
                continue;
            }
            let (object, what) = (self.object(), self.what());
            let drift = |found, steps| {
                self.drift(
                    Code::ImpairmentGone,
                    format!("{} of {object}", kind(&step.op)),
                    found,
                    Plan { steps },
                )
            };
            drifts.push(match theirs {
                // That stays.
                true => drift(format!("{what} has another queueing discipline than ours"), Vec::new()),
                false => drift(format!("{what} has {} no longer", kind(&step.op)), vec![step.clone()]),
            });
        }
    }

    fn routes(&self, found: &SeenLink, drifts: &mut Vec<Drift>) {
        let Some(routes) = found.routes.as_ref().filter(|_| found.up && self.link.kind == Kind::Bridge)
        else {
            self.ways_out(drifts);
            return;
        };
        let has =
            |address: &ipnet::IpNet| found.addresses.as_ref().is_some_and(|there| there.contains(address));
        for address in self.link.addresses.iter().filter(|address| has(address)) {
            let subnet = address.trunc();
            if !routes.subnets.contains(&subnet) {
                let mut plan = Plan::default();
                let why = format!("{}: containers are reached by {}", self.link.owner.name(), self.name());
                plan.push(RouteOp::Subnet { link: self.name().clone(), address: *address }, why);
                let found = format!("the route to {subnet} by {} is gone", self.what());
                drifts.push(self.drift(Code::RouteGone, format!("route {subnet}"), found, plan));
            }
        }
        let plan = self.steps(|op| matches!(op, Op::Route(RouteOp::Loopback { .. })));
        if !routes.loopback && !plan.is_empty() {
            let found = format!("the route that lets answers for ::1 come in by {} is gone", self.what());
            drifts.push(self.drift(Code::RouteGone, format!("route ::1 by {}", self.name()), found, plan));
        }
    }

    fn ways_out(&self, drifts: &mut Vec<Drift>) {
        let Some(there) = self.seen.ways.get(&self.link.place.0) else { return };
        let names = self.steps(|op| matches!(op, Op::Route(RouteOp::Names { .. })));
        if !names.is_empty() && !there.names {
            let found = format!("the route of {} to 127.0.0.11 is gone", self.link.owner.name());
            let object = format!("route to 127.0.0.11 of {}", self.object());
            drifts.push(self.drift(Code::RouteGone, object, found, names));
        }
        for step in &self.steps(|op| matches!(op, Op::Route(RouteOp::Static { .. }))).steps {
            let Op::Route(RouteOp::Static { route, .. }) = &step.op else { continue };
            if !there.destinations.contains(&route.to) {
                let found = format!("the route {route} of {} is gone", self.link.owner.name());
                let object = format!("route {route} of {}", self.object());
                drifts.push(self.drift(Code::RouteGone, object, found, Plan { steps: vec![step.clone()] }));
            }
        }
        for (family, v4, there) in [("IPv4", true, there.v4), ("IPv6", false, there.v6)] {
            let mut plan =
                self.steps(|op| matches!(op, Op::Route(RouteOp::Default { via, .. }) if via.is_ipv4() == v4));
            if plan.is_empty() || there {
                continue;
            }
            if !v4 {
                let neighbours = |op: &Op| matches!(op, Op::Neighbour(NeighbourOp::Set { .. }));
                plan.append(self.steps(neighbours));
            }
            let owner = self.link.owner.name();
            let object = format!("{family} default route of {}", self.object());
            let found = format!("the default route of {owner} for {family} is gone");
            drifts.push(self.drift(Code::DefaultRouteGone, object, found, plan));
        }
    }

    /// Those of its steps that do this.
    fn steps(&self, wanted: impl Fn(&Op) -> bool) -> Plan {
        let steps = self.wanted.steps_of(&[self.link]).filter(|step: &&Step| wanted(&step.op));
        let mut plan = Plan::default();
        for step in steps {
            if !plan.steps.iter().any(|one| one.op == step.op) {
                plan.steps.push(step.clone());
            }
        }
        plan
    }
}

/// What a step impairs a link by.
fn kind(op: &Op) -> &'static str {
    match op {
        Op::Impair(ImpairOp::Shape { .. }) => "its queueing discipline",
        _ => "the rule that drops what leaves it",
    }
}

fn hex(mac: [u8; 6]) -> String {
    let parts: Vec<String> = mac.iter().map(|byte| format!("{byte:02x}")).collect();
    parts.join(":")
}
