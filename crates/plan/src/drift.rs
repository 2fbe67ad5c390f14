//! What somebody changed of what is ours, and the steps that put it back.
//!
//! What should be there is read from the plans that made it (`drift/wanted.rs`): whatever an attachment comes to, its repair
//! follows. What is there comes from the engine ([`Observed`]), which looks at as much as it has reason to; nothing is
//! said of what was not looked at. What somebody is just making or taking away ([`Busy`]) is left alone, and so is what
//! is not ours: links without our mark, tables, chains and sets that we did not make, elements with a comment.

mod busy;
mod fight;
mod links;
mod rules;
mod seen;
mod switches;
mod wanted;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use pontoon_model::endpoint::Cable;
use pontoon_model::network::Segment;
use pontoon_model::op::Netns;
use pontoon_model::sandbox::NetnsId;
use pontoon_model::{Endpoint, IfName, Network, NetworkName};

use crate::endpoint::DefaultRoutes;
use crate::publish::Published;
use crate::{Instance, Plan};

pub use busy::Busy;
pub use fight::Fights;
pub use seen::{Observed, SeenImpairment, SeenLink, SeenPort, SeenRoutes, SeenRules, SeenWays};
pub use wanted::{HostNow, Wanted};

/// A link: in which namespace, and its name.
pub type Place = (Netns, IfName);

/// What kind of change it is. Its name is stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// A table of ours is gone.
    RulesGone,
    /// A set or map is gone.
    SetGone,
    /// A set or map was made anew as another one.
    SetChanged,
    /// A chain is gone.
    ChainGone,
    /// A chain's rules, hook or policy are not those that we made.
    ChainChanged,
    /// Elements are gone.
    ElementGone,
    /// Elements lead elsewhere.
    ElementChanged,
    /// Elements are there that belong to nobody.
    ElementStray,
    /// A network's bridge is gone.
    BridgeGone,
    /// A veth pair is gone.
    CableGone,
    /// One end of a veth pair was renamed or moved.
    InterfaceLost,
    /// Somebody else's link has the name of one of ours.
    NameTaken,
    /// A link's alias or Ethernet address was changed.
    MarkChanged,
    /// A link's MTU was changed.
    MtuChanged,
    /// A bridge's options were changed: spanning tree, forward delay, snooping, learning of link-local groups.
    BridgeChanged,
    /// A link makes IPv6 addresses of its own.
    AutoconfOn,
    /// A setting of a link's was switched off: `forwarding`, `route_localnet`.
    LinkSwitchOff,
    /// A port is not on its bridge.
    PortOff,
    /// A port's options were changed: isolation, hairpin, learning, flooding.
    PortChanged,
    /// An address is gone.
    AddressGone,
    /// A link is down.
    LinkDown,
    /// A route is gone: to a network's subnet, for ::1, or one that a container was given.
    RouteGone,
    /// A container's default route is gone.
    DefaultRouteGone,
    /// What impairs an interface is gone.
    ImpairmentGone,
    /// A switch of the host was switched off: forwarding, `accept_ra`.
    SwitchOff,
}

impl Code {
    /// All of them.
    pub const ALL: [Self; 25] = [
        Self::RulesGone,
        Self::SetGone,
        Self::SetChanged,
        Self::ChainGone,
        Self::ChainChanged,
        Self::ElementGone,
        Self::ElementChanged,
        Self::ElementStray,
        Self::BridgeGone,
        Self::CableGone,
        Self::InterfaceLost,
        Self::NameTaken,
        Self::MarkChanged,
        Self::MtuChanged,
        Self::BridgeChanged,
        Self::AutoconfOn,
        Self::LinkSwitchOff,
        Self::PortOff,
        Self::PortChanged,
        Self::AddressGone,
        Self::LinkDown,
        Self::RouteGone,
        Self::DefaultRouteGone,
        Self::ImpairmentGone,
        Self::SwitchOff,
    ];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RulesGone => "rules-gone",
            Self::SetGone => "set-gone",
            Self::SetChanged => "set-changed",
            Self::ChainGone => "chain-gone",
            Self::ChainChanged => "chain-changed",
            Self::ElementGone => "element-gone",
            Self::ElementChanged => "element-changed",
            Self::ElementStray => "element-stray",
            Self::BridgeGone => "bridge-gone",
            Self::CableGone => "cable-gone",
            Self::InterfaceLost => "interface-lost",
            Self::NameTaken => "name-taken",
            Self::MarkChanged => "mark-changed",
            Self::MtuChanged => "mtu-changed",
            Self::BridgeChanged => "bridge-changed",
            Self::AutoconfOn => "autoconf-on",
            Self::LinkSwitchOff => "link-switch-off",
            Self::PortOff => "port-off",
            Self::PortChanged => "port-changed",
            Self::AddressGone => "address-gone",
            Self::LinkDown => "link-down",
            Self::RouteGone => "route-gone",
            Self::DefaultRouteGone => "default-route-gone",
            Self::ImpairmentGone => "impairment-gone",
            Self::SwitchOff => "switch-off",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who changed something, as the kernel knows him.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hand {
    /// The program's name, of at most 15 bytes.
    pub name: String,
    /// Its process's number, or that of the thread.
    pub pid: u32,
}

impl fmt::Display for Hand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (process {})", self.name, self.pid)
    }
}

/// Something that is not as we made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift {
    /// What kind of change it is.
    pub code: Code,
    /// The object: the same for the same thing each time.
    pub object: String,
    /// What was found, in a sentence that names the object.
    pub found: String,
    /// Whose it is, if a network's.
    pub network: Option<NetworkName>,
    /// Whose it is, if a container's.
    pub container: Option<String>,
    /// Who did it, where that is known.
    pub by: Option<Hand>,
    /// Whether it is to stay as it is: the network's option `pontoon.repair` is false.
    pub kept: bool,
    /// The steps that put it back; none where nothing can be done that would not touch what is somebody else's.
    pub plan: Plan,
}

impl Drift {
    /// Whether it is to be put back, and can be.
    pub fn is_repairable(&self) -> bool {
        !self.kept && !self.plan.is_empty()
    }

    /// The same thing each time.
    pub fn key(&self) -> (Code, &str) {
        (self.code, &self.object)
    }
}

/// An endpoint whose kernel objects should all be there.
#[derive(Debug, Clone)]
pub struct Attached<'a> {
    /// The endpoint.
    pub endpoint: &'a Endpoint,
    /// Its network.
    pub network: &'a Network,
    /// The container's name.
    pub sandbox: &'a str,
    /// The container's namespace.
    pub netns: Netns,
    /// Those of the container's default routes that lead through this endpoint.
    pub routes: DefaultRoutes,
    /// Whether names may be asked for at 127.0.0.11: see [`Attach::names`](crate::endpoint::Attach::names).
    pub names: bool,
}

/// A cable both ends of which should be there.
#[derive(Debug, Clone)]
pub struct Laid<'a> {
    /// The cable.
    pub cable: &'a Cable,
    /// Where its ends are.
    pub netns: [Netns; 2],
    /// Whose they are.
    pub names: [String; 2],
}

/// What should be there: everything that was made and is not just being taken away.
#[derive(Debug, Clone)]
pub struct Desired<'a> {
    /// Whose objects.
    pub instance: &'a Instance,
    /// Networks with a bridge.
    pub networks: &'a [Network],
    /// Their other bridges, those near the first one first.
    pub segments: &'a [(&'a Network, Segment)],
    /// What is attached to them.
    pub endpoints: &'a [Attached<'a>],
    /// Containers with published ports.
    pub published: &'a [(String, Published<'a>)],
    /// Cables.
    pub cables: &'a [Laid<'a>],
    /// What was asked for of their interfaces beside: impairments and routes, as the steps that make them.
    pub more: &'a [Plan],
    /// Switches of the host that were changed, and what they were before.
    pub switched: &'a BTreeMap<String, String>,
    /// What somebody is working at.
    pub busy: &'a Busy,
}

impl Plan {
    /// The namespaces but the host's that links of the plan are in.
    pub fn namespaces(&self) -> BTreeSet<NetnsId> {
        let names = self.ops().flat_map(busy::names);
        let other = |(netns, _): (&Netns, &IfName)| match netns {
            Netns::Host => None,
            Netns::Other { id, .. } => Some(*id),
        };
        names.filter_map(other).collect()
    }
}

/// Everything that was looked at and is not as it should be, in the order in which it is to be put back.
pub fn find(wanted: &Wanted<'_>, seen: &Observed) -> Vec<Drift> {
    let mut drifts = Vec::new();
    rules::find(wanted, seen, &mut drifts);
    switches::find(wanted, seen, &mut drifts);
    links::find(wanted, seen, &mut drifts);
    drifts
}
