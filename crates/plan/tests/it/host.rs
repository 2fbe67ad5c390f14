//! A host that is only imagined: what the kernel would say to each operation, and what is there after it.

mod link;
mod nft;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use pontoon_model::op::{FileOp, ImpairOp, Netns, NetnsOp, NetnsPlace, Op, RouteOp, SysctlOp};
use pontoon_model::route::StaticRoute;
use pontoon_model::sandbox::NetnsId;
use pontoon_model::{IfName, Step};
use pontoon_nft::syntax::Command;

pub(crate) use link::{Kind, Link};
use nft::Table;

/// A host with its namespaces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Host {
    /// By identity; the host's own has none.
    pub(crate) spaces: BTreeMap<Option<NetnsId>, Space>,
    /// What is in `/run/netns`.
    pub(crate) pins: BTreeMap<String, NetnsId>,
    pub(crate) files: BTreeMap<String, String>,
    folders: BTreeSet<String>,
    tables: BTreeMap<(String, String), Table>,
}

/// A network namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Space {
    pub(crate) links: BTreeMap<String, Link>,
    /// Router and link of the default route, by whether it is IPv4's.
    pub(crate) routes: BTreeMap<bool, (IpAddr, String)>,
    /// What nftables does where packets leave: by table, the commands that made it.
    pub(crate) leaving: BTreeMap<String, Vec<Command>>,
    /// Router and link of routes that were given.
    pub(crate) given: BTreeMap<IpNet, (IpAddr, String)>,
    /// Settings that belong to no link.
    pub(crate) sysctls: BTreeMap<String, String>,
}

/// What the kernel says no with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The namespace is not there any more.
    Gone,
    /// There is no such link.
    NoLink(String),
    /// `EEXIST`
    Exists(String),
    /// `ENOENT`
    Missing(String),
    /// `ENETDOWN`, `ENETUNREACH`, `EINVAL`
    Not(String),
}

/// What an imagined link has instead of the route that lets packets for ::1 in.
const LOCAL_ROUTE: &str = "local route to ::1";
/// The same, for 127.0.0.11 in a container.
const NAMES_ROUTE: &str = "route to 127.0.0.11";

impl Host {
    /// A host with loopback and nothing else.
    pub(crate) fn new() -> Self {
        let mut host = Self::default();
        host.spaces.insert(None, Space::new());
        host
    }

    /// Has a namespace in it, which a process or a descriptor keeps.
    pub(crate) fn hold(&mut self, netns: &Netns) {
        if let Netns::Other { place, id } = netns {
            self.spaces.insert(Some(*id), Space::new());
            if let NetnsPlace::Named(name) = place {
                self.pins.insert(name.clone(), *id);
            }
        }
    }

    /// The namespace goes, and with its links their other ends.
    pub(crate) fn drop_space(&mut self, id: NetnsId) {
        let names: Vec<String> =
            self.spaces.get(&Some(id)).into_iter().flat_map(|space| space.links.keys().cloned()).collect();
        for name in names {
            self.delete_link(Some(id), &name);
        }
        self.spaces.remove(&Some(id));
        self.pins.retain(|_, pinned| *pinned != id);
    }

    /// What an undo must leave as it was: all but the host's switches, that a loopback once brought up stays up, and
    /// that a bridge once opened to the host's loopback addresses stays so, and so does a port that gives frames back.
    pub(crate) fn essence(&self) -> Self {
        let mut essence = self.clone();
        for space in essence.spaces.values_mut() {
            space.sysctls.clear();
            if let Some(lo) = space.links.get_mut("lo") {
                lo.up = true;
            }
            for link in space.links.values_mut() {
                link.sysctls.retain(|key, _| key != "route_localnet" && key != LOCAL_ROUTE);
                link.forget_hairpin();
            }
        }
        essence
    }

    /// Takes the steps in order, up to the first that is refused.
    pub(crate) fn run(&mut self, steps: &[Step]) -> Result<(), (usize, Refusal)> {
        for (index, step) in steps.iter().enumerate() {
            self.apply(&step.op).map_err(|refusal| (index, refusal))?;
        }
        Ok(())
    }

    /// Takes all steps, whatever becomes of each, and tells what was refused for another reason than that what is to
    /// be taken away is gone with its link or namespace.
    pub(crate) fn run_all(&mut self, steps: &[Step]) -> Vec<(Step, Refusal)> {
        let refused = steps.iter().filter_map(|step| Some((step.clone(), self.apply(&step.op).err()?)));
        // Elements whose table somebody flushed come back with the table.
        let is_gone = |step: &Step, refusal: &Refusal| match (&step.op, refusal) {
            (_, Refusal::Gone | Refusal::NoLink(_)) => true,
            (Op::Nft(op), Refusal::Missing(_)) => nft::is_of_elements(op),
            _ => false,
        };
        refused.filter(|(step, refusal)| !is_gone(step, refusal)).collect()
    }

    /// Takes one step, all of it or nothing.
    pub(crate) fn apply(&mut self, op: &Op) -> Result<(), Refusal> {
        match op {
            Op::Link(op) => self.link(op),
            Op::Address(op) => self.address(op),
            Op::Route(op) => self.route(op),
            Op::Neighbour(op) => self.neighbour(op),
            Op::Impair(op) => self.impair(op),
            Op::Nft(op) => self.nft(op),
            // It tracks no connections.
            Op::Conntrack(_) => Ok(()),
            Op::Sysctl(op) => self.sysctl(op),
            Op::Netns(op) => self.netns(op),
            Op::File(op) => {
                self.file(op);
                Ok(())
            }
            Op::Guest(op) => unreachable!("no network's plan has {op:?}"),
        }
    }

    /// The namespace, while it is there.
    fn space(&mut self, netns: &Netns) -> Result<&mut Space, Refusal> {
        self.spaces.get_mut(&id_of(netns)).ok_or(Refusal::Gone)
    }

    fn impair(&mut self, op: &ImpairOp) -> Result<(), Refusal> {
        match op {
            ImpairOp::Shape { netns, link, now, .. } => {
                let found = self.space(netns)?.links.get_mut(link.as_str());
                found.ok_or_else(|| Refusal::NoLink(link.to_string()))?.shape = *now;
            }
            ImpairOp::Rules { netns, link, now, .. } => {
                let space = self.space(netns)?;
                match now.as_slice() {
                    [Command::DestroyTable { table }] => drop(space.leaving.remove(&table.name)),
                    // The hook is at a link.
                    _ if !space.links.contains_key(link.as_str()) => {
                        return Err(Refusal::NoLink(link.to_string()));
                    }
                    [Command::AddTable { table, .. }, ..] => {
                        space.leaving.insert(table.name.clone(), now.clone());
                    }
                    other => unreachable!("{other:?}"),
                }
            }
        }
        Ok(())
    }

    fn route(&mut self, op: &RouteOp) -> Result<(), Refusal> {
        if let RouteOp::Names { netns, link, source, .. } | RouteOp::DeleteNames { netns, link, source } = op
        {
            return self.names_route(netns, link, *source, matches!(op, RouteOp::Names { .. }));
        }
        if let RouteOp::Static { netns, link, route } | RouteOp::DeleteStatic { netns, link, route } = op {
            return self.given_route(netns, link, *route, matches!(op, RouteOp::Static { .. }));
        }
        let (netns, via, link) = match op {
            RouteOp::Default { netns, via, link, .. } | RouteOp::DeleteDefault { netns, via, link } => {
                (netns, via, link)
            }
            RouteOp::Subnet { link, address } => {
                let link = self.space(&Netns::Host)?.links.get_mut(link.as_str());
                link.ok_or_else(|| Refusal::NoLink("the bridge".to_owned()))?.route_again(address);
                return Ok(());
            }
            RouteOp::Loopback { link, metric } => {
                let link = self.space(&Netns::Host)?.links.get_mut(link.as_str());
                let link = link.ok_or_else(|| Refusal::NoLink("the bridge".to_owned()))?;
                link.sysctls.insert(LOCAL_ROUTE.to_owned(), metric.to_string());
                return Ok(());
            }
            RouteOp::Names { .. }
            | RouteOp::DeleteNames { .. }
            | RouteOp::Static { .. }
            | RouteOp::DeleteStatic { .. } => return Ok(()),
        };
        let space = self.space(netns)?;
        let found = space.links.get(link.as_str()).ok_or_else(|| Refusal::NoLink(link.to_string()))?;
        let route = (*via, link.to_string());
        match op {
            RouteOp::Default { .. } if !found.up => return Err(Refusal::Not(format!("{link} is down"))),
            RouteOp::Default { .. } if !found.reaches(*via) => {
                return Err(Refusal::Not(format!("{via} is not on {link}")));
            }
            RouteOp::Default { .. } => {
                space.routes.insert(via.is_ipv4(), route);
            }
            RouteOp::DeleteDefault { .. }
            | RouteOp::Loopback { .. }
            | RouteOp::Names { .. }
            | RouteOp::Subnet { .. }
            | RouteOp::Static { .. }
            | RouteOp::DeleteStatic { .. }
            | RouteOp::DeleteNames { .. } => {
                if space.routes.get(&via.is_ipv4()) == Some(&route) {
                    space.routes.remove(&via.is_ipv4());
                }
            }
        }
        Ok(())
    }

    fn given_route(
        &mut self,
        netns: &Netns,
        link: &IfName,
        route: StaticRoute,
        set: bool,
    ) -> Result<(), Refusal> {
        let space = self.space(netns)?;
        let found = space.links.get(link.as_str()).ok_or_else(|| Refusal::NoLink(link.to_string()))?;
        let way = (route.via, link.to_string());
        match set {
            true if !found.up || !found.reaches(route.via) => {
                return Err(Refusal::Not(format!("{} is not on {link}", route.via)));
            }
            true => drop(space.given.entry(route.to).or_insert(way)),
            false if space.given.get(&route.to) == Some(&way) => drop(space.given.remove(&route.to)),
            false => {}
        }
        Ok(())
    }

    /// The route to 127.0.0.11: one in a namespace, which goes with its link.
    fn names_route(
        &mut self,
        netns: &Netns,
        link: &IfName,
        source: Ipv4Addr,
        set: bool,
    ) -> Result<(), Refusal> {
        let links = &mut self.space(netns)?.links;
        let found = links.get(link.as_str()).ok_or_else(|| Refusal::NoLink(link.to_string()))?;
        if set && !found.up {
            return Err(Refusal::Not(format!("{link} is down")));
        }
        for (name, there) in links.iter_mut() {
            match name.as_str() == link.as_str() {
                true if set => drop(there.sysctls.insert(NAMES_ROUTE.to_owned(), source.to_string())),
                // Set, it replaces the one by another link.
                other if set || other => drop(there.sysctls.remove(NAMES_ROUTE)),
                _ => {}
            }
        }
        Ok(())
    }

    fn sysctl(&mut self, op: &SysctlOp) -> Result<(), Refusal> {
        let space = self.space(&op.netns)?;
        match op.key.split('/').collect::<Vec<_>>()[..] {
            ["net", "ipv4" | "ipv6", "conf", link, _] if link != "all" => {
                let link = space.links.get_mut(link).ok_or_else(|| Refusal::Missing(op.key.clone()))?;
                link.sysctls.insert(op.key.clone(), op.value.clone());
            }
            _ => {
                space.sysctls.insert(op.key.clone(), op.value.clone());
            }
        }
        Ok(())
    }

    fn netns(&mut self, op: &NetnsOp) -> Result<(), Refusal> {
        match op {
            NetnsOp::Add { name, .. } if self.pins.contains_key(name) => Err(Refusal::Exists(name.clone())),
            NetnsOp::Add { id, .. } if !self.spaces.contains_key(&Some(*id)) => Err(Refusal::Gone),
            NetnsOp::Add { name, id } => {
                self.pins.insert(name.clone(), *id);
                Ok(())
            }
            NetnsOp::Delete { name, id } => {
                if self.pins.get(name) == Some(id) {
                    self.drop_space(*id);
                }
                Ok(())
            }
        }
    }

    fn file(&mut self, op: &FileOp) {
        let folder = |path: &str| path.rsplit_once('/').unwrap().0.to_owned();
        match op {
            FileOp::Write { path, contents } => {
                self.folders.insert(folder(path));
                self.files.entry(path.clone()).or_insert_with(|| contents.clone());
            }
            FileOp::Edit { within, path, mark, lines } => {
                assert!(within.is_none(), "it has no processes");
                let file = self.files.get_mut(path).filter(|text| text.lines().next() == Some(mark));
                if let Some(text) = file {
                    let replaced = |line: &str| {
                        let other = lines.iter().find(|(before, _)| before == line);
                        format!("{}\n", other.map_or(line, |(_, after)| after))
                    };
                    *text = text.lines().map(replaced).collect();
                }
            }
            FileOp::Remove { path, mark } => {
                if self.files.get(path).is_some_and(|contents| contents.lines().next() == Some(mark)) {
                    self.files.remove(path);
                }
                let folder = folder(path);
                if !self.files.keys().any(|file| file.starts_with(&format!("{folder}/"))) {
                    self.folders.remove(&folder);
                }
            }
        }
    }

    /// Somebody else's file.
    pub(crate) fn put_file(&mut self, path: &str) {
        self.folders.insert(path.rsplit_once('/').unwrap().0.to_owned());
        self.files.insert(path.to_owned(), "somebody else's\n".to_owned());
    }
}

impl Space {
    fn new() -> Self {
        let mut space = Self::default();
        space.links.insert("lo".into(), Link::new(Kind::Loopback, "02:00:00:00:00:01".parse().unwrap()));
        space
    }

    /// Whether packets for 127.0.0.11 leave by a link.
    pub(crate) fn leads_to_names(&self) -> bool {
        self.links.values().any(|link| link.sysctls.contains_key(NAMES_ROUTE))
    }
}

fn id_of(netns: &Netns) -> Option<NetnsId> {
    match netns {
        Netns::Host => None,
        Netns::Other { id, .. } => Some(*id),
    }
}
