//! What somebody is working at: links and elements that steps in the journal name.

use std::collections::{BTreeSet, HashSet};

use pontoon_model::op::{AddressOp, ImpairOp, LinkOp, NeighbourOp, Netns, NftOp, Op, RouteOp, SysctlOp};
use pontoon_model::{IfName, Step};
use pontoon_nft::syntax::{Command, Elements, Operand, TableRef};

use super::Place;

/// Links and elements that are left alone.
#[derive(Debug, Clone, Default)]
pub struct Busy {
    links: BTreeSet<Place>,
    elements: HashSet<(TableRef, String, Vec<Operand>)>,
    rules: bool,
}

impl Busy {
    /// What these steps name.
    pub fn of<'a>(steps: impl IntoIterator<Item = &'a Step>) -> Self {
        let mut busy = Self::default();
        for step in steps {
            busy.links.extend(names(&step.op).into_iter().map(|(netns, name)| (netns.clone(), name.clone())));
            if let Op::Nft(NftOp { commands }) = &step.op {
                commands.iter().for_each(|command| busy.note(command));
            }
        }
        busy
    }

    fn note(&mut self, command: &Command) {
        match command {
            Command::AddElements(of) | Command::CreateElements(of) | Command::DestroyElements(of) => {
                let key = |key: &[Operand]| (of.table.clone(), of.set.clone(), key.to_vec());
                self.elements.extend(of.elements.iter().map(|element| key(&element.key)));
            }
            _ => self.rules = true,
        }
    }

    /// Whether somebody is working at a link.
    pub fn has_link(&self, place: &Place) -> bool {
        self.links.contains(place)
    }

    /// Whether somebody is working at the tables themselves.
    pub fn has_rules(&self) -> bool {
        self.rules
    }

    pub(super) fn has_element(&self, of: &Elements, key: &[Operand]) -> bool {
        !self.elements.is_empty() && self.elements.contains(&(of.table.clone(), of.set.clone(), key.to_vec()))
    }
}

/// The links that an operation is about.
pub(super) fn names(op: &Op) -> Vec<(&Netns, &IfName)> {
    match op {
        Op::Link(LinkOp::AddBridge { name, .. } | LinkOp::Vanish { name, .. }) => vec![(&Netns::Host, name)],
        Op::Link(LinkOp::AddVeth { netns, name, peer, .. }) => {
            vec![(netns, name), (&peer.netns, &peer.name)]
        }
        Op::Link(
            LinkOp::Set { netns, name, .. }
            | LinkOp::Mend { netns, name, .. }
            | LinkOp::Delete { netns, name, .. },
        ) => vec![(netns, name)],
        Op::Address(AddressOp::Add { netns, link, .. } | AddressOp::Delete { netns, link, .. })
        | Op::Route(
            RouteOp::Default { netns, link, .. }
            | RouteOp::DeleteDefault { netns, link, .. }
            | RouteOp::Names { netns, link, .. }
            | RouteOp::DeleteNames { netns, link, .. }
            | RouteOp::Static { netns, link, .. }
            | RouteOp::DeleteStatic { netns, link, .. },
        )
        | Op::Neighbour(
            NeighbourOp::Set { netns, link, .. }
            | NeighbourOp::Delete { netns, link, .. }
            | NeighbourOp::Announce { netns, link, .. },
        )
        | Op::Impair(ImpairOp::Shape { netns, link, .. } | ImpairOp::Rules { netns, link, .. }) => {
            vec![(netns, link)]
        }
        Op::Route(RouteOp::Loopback { link, .. } | RouteOp::Subnet { link, .. }) => {
            vec![(&Netns::Host, link)]
        }
        // What is only waited for is not changed.
        _ => Vec::new(),
    }
}

/// The link that a sysctl is of, by its name.
pub(super) fn link_of(op: &SysctlOp) -> Option<&str> {
    let mut parts = op.key.split('/');
    (parts.nth(2) == Some("conf")).then(|| parts.next()).flatten()
}
