//! Undo, derived from the plan: each step's opposite in the reverse order.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use pontoon_model::op::{
    AddressOp, FileOp, ImpairOp, LinkOp, NeighbourOp, Netns, NetnsOp, NftOp, Op, RouteOp,
};
use pontoon_model::{IfName, Step};
use pontoon_nft::syntax::Command;

use crate::{Plan, account, guest};

impl Plan {
    /// The plan that takes back what this one does, whether all of it was done or only a beginning.
    ///
    /// Every step of it is content when there is nothing to take back. What goes along with a link is left to the
    /// link. The host's switches ([`Op::Sysctl`]) stay: somebody else may count on them by now; whoever runs the
    /// plan remembers their previous values. A loopback that was brought up stays up. Flows that were forgotten
    /// ([`Op::Conntrack`]) come back by themselves; those that began meanwhile are forgotten when the rules are as they
    /// were.
    #[must_use]
    pub fn undo(&self) -> Self {
        let made = self.links_made();
        let steps = self.steps.iter().rev().filter(|step| !goes_along(&step.op, &made));
        let undone = |step: &Step| {
            let why = format!("takes back: {}", step.why);
            opposite(&step.op).map(|op| Step::new(op, why))
        };
        // Whoever reads files again does so when they are as they were.
        let (mut steps, reloads): (Vec<Step>, Vec<Step>) =
            steps.filter_map(undone).partition(|step| !guest::is_reload(&step.op));
        let flows = steps.extract_if(.., |step| matches!(step.op, Op::Conntrack(_))).collect::<Vec<_>>();
        steps.extend(flows);
        steps.extend(reloads);
        Self { steps }
    }

    fn links_made(&self) -> BTreeSet<(&Netns, &IfName)> {
        let mut made = BTreeSet::new();
        for op in self.ops() {
            match op {
                Op::Link(LinkOp::AddBridge { name, .. }) => {
                    made.insert((&Netns::Host, name));
                }
                Op::Link(LinkOp::AddVeth { netns, name, peer, .. }) => {
                    made.insert((netns, name));
                    made.insert((&peer.netns, &peer.name));
                }
                _ => {}
            }
        }
        made
    }
}

/// Whether the operation's effect goes when one of the links that the plan made goes.
fn goes_along(op: &Op, made: &BTreeSet<(&Netns, &IfName)>) -> bool {
    match op {
        Op::Address(AddressOp::Add { netns, link, .. })
        | Op::Neighbour(NeighbourOp::Set { netns, link, .. })
        | Op::Impair(ImpairOp::Shape { netns, link, .. })
        | Op::Route(
            RouteOp::Default { netns, link, previous: None, .. }
            | RouteOp::Names { netns, link, previous: None, .. }
            | RouteOp::Static { netns, link, .. },
        ) => made.contains(&(netns, link)),
        Op::Route(
            RouteOp::Default { netns, link, previous: Some((_, previous)), .. }
            | RouteOp::Names { netns, link, previous: Some((_, previous)), .. },
        ) => made.contains(&(netns, link)) && made.contains(&(netns, previous)),
        _ => false,
    }
}

fn opposite(op: &Op) -> Option<Op> {
    match op {
        Op::Link(op) => link(op).map(Op::Link),
        Op::Address(AddressOp::Add { netns, link, address }) => {
            Some(AddressOp::Delete { netns: netns.clone(), link: link.clone(), address: *address }.into())
        }
        Op::Route(RouteOp::Default { netns, via, link, previous }) => {
            Some(route(netns, via, link, previous).into())
        }
        Op::Route(RouteOp::Names { netns, link, source, previous }) => {
            Some(names(netns, link, *source, previous).into())
        }
        Op::Route(RouteOp::Static { netns, link, route }) => {
            Some(RouteOp::DeleteStatic { netns: netns.clone(), link: link.clone(), route: *route }.into())
        }
        Op::Neighbour(NeighbourOp::Set { netns, link, address, .. }) => {
            Some(NeighbourOp::Delete { netns: netns.clone(), link: link.clone(), address: *address }.into())
        }
        Op::Impair(op) => Some(impair(op).into()),
        Op::Nft(NftOp { commands }) => nft(commands).map(Op::Nft),
        Op::Netns(NetnsOp::Add { name, id }) => Some(NetnsOp::Delete { name: name.clone(), id: *id }.into()),
        Op::File(FileOp::Write { path, contents }) => {
            Some(FileOp::Remove { path: path.clone(), mark: first_line(contents).to_owned() }.into())
        }
        Op::File(FileOp::Edit { within, path, mark, lines }) => {
            let lines = lines.iter().map(|(before, after)| (after.clone(), before.clone())).collect();
            Some(FileOp::Edit { within: *within, path: path.clone(), mark: mark.clone(), lines }.into())
        }
        Op::Guest(op) => guest::opposite(op).map(Op::Guest),
        Op::Conntrack(op) => Some(Op::Conntrack(op.clone())),
        Op::Address(AddressOp::Delete { .. })
        | Op::Route(
            RouteOp::DeleteDefault { .. }
            | RouteOp::DeleteNames { .. }
            | RouteOp::DeleteStatic { .. }
            | RouteOp::Loopback { .. }
            | RouteOp::Subnet { .. },
        )
        | Op::Neighbour(
            NeighbourOp::Delete { .. } | NeighbourOp::Greet { .. } | NeighbourOp::Announce { .. },
        )
        | Op::Sysctl(_)
        | Op::Netns(NetnsOp::Delete { .. })
        | Op::File(FileOp::Remove { .. }) => None,
    }
}

fn link(op: &LinkOp) -> Option<LinkOp> {
    match op {
        LinkOp::AddBridge { name, mark, .. } => {
            Some(LinkOp::Delete { netns: Netns::Host, name: name.clone(), mark: mark.clone() })
        }
        LinkOp::AddVeth { netns, name, mark, .. } => {
            Some(LinkOp::Delete { netns: netns.clone(), name: name.clone(), mark: mark.clone() })
        }
        LinkOp::Set { .. }
        | LinkOp::Mend { .. }
        | LinkOp::Delete { .. }
        | LinkOp::Vanish { .. }
        | LinkOp::Settle { .. } => None,
    }
}

fn route(
    netns: &Netns,
    via: &std::net::IpAddr,
    link: &IfName,
    previous: &Option<(std::net::IpAddr, IfName)>,
) -> RouteOp {
    match previous {
        Some((via, link)) => {
            RouteOp::Default { netns: netns.clone(), via: *via, link: link.clone(), previous: None }
        }
        None => RouteOp::DeleteDefault { netns: netns.clone(), via: *via, link: link.clone() },
    }
}

fn impair(op: &ImpairOp) -> ImpairOp {
    match op.clone() {
        ImpairOp::Shape { netns, link, now, before } => {
            ImpairOp::Shape { netns, link, now: before, before: now }
        }
        ImpairOp::Rules { netns, link, now, before } => {
            ImpairOp::Rules { netns, link, now: before, before: now }
        }
    }
}

fn names(netns: &Netns, link: &IfName, source: Ipv4Addr, previous: &Option<(Ipv4Addr, IfName)>) -> RouteOp {
    let netns = netns.clone();
    match previous.clone() {
        Some((source, link)) => RouteOp::Names { netns, link, source, previous: None },
        None => RouteOp::DeleteNames { netns, link: link.clone(), source },
    }
}

/// A transaction that made tables is undone by the tables' end; elements that were added are removed, and elements that
/// were removed are added, but for those that packets make.
fn nft(commands: &[Command]) -> Option<NftOp> {
    let table = |command: &Command| match command {
        Command::CreateTable { table, .. } => Some(Command::DestroyTable { table: table.clone() }),
        _ => None,
    };
    let added = |command: &Command| match command {
        Command::AddElements(elements) | Command::CreateElements(elements) => {
            Some(Command::DestroyElements(elements.clone()))
        }
        Command::DestroyElements(elements) if account::begins_by_itself(&elements.set) => None,
        Command::DestroyElements(elements) => Some(Command::AddElements(elements.clone())),
        _ => None,
    };
    let mut undone: Vec<Command> = commands.iter().rev().filter_map(table).collect();
    if undone.is_empty() {
        undone = commands.iter().rev().filter_map(added).collect();
    }
    (!undone.is_empty()).then_some(NftOp { commands: undone })
}

/// A file's mark.
pub(crate) fn first_line(contents: &str) -> &str {
    contents.lines().next().unwrap_or_default()
}
