//! Impairments of a plan.

use pontoon_model::IfName;
use pontoon_model::op::{Bucket, ImpairOp, Netns as Where, Shape, Wait};
use pontoon_netlink::link::LinkIndex;
use pontoon_netlink::qdisc::{DelQdisc, Discipline, Handle, Parent, Qdisc, ReplaceQdisc};
use pontoon_nft::syntax::{Command, TableRef};
use rustix::io::Errno;

use super::{Executor, Refusal};
use crate::error::KernelError;
use crate::link as links;
use crate::nftables::{self, ApplyError};
use crate::qdisc;
use crate::socket::{Protocol, Requests, Socket};

impl Executor {
    pub(super) fn impair(&mut self, op: &ImpairOp) -> Result<(), Refusal> {
        match op {
            ImpairOp::Shape { netns, link, now, .. } => self.shape(netns, link, now),
            ImpairOp::Rules { netns, link, now, .. } => {
                let destroys = |command: &Command| matches!(command, Command::DestroyTable { .. });
                if !now.iter().all(destroys) {
                    self.index(netns, link)?;
                }
                let applied = nftables::apply(self.nft_socket_in(netns)?, now);
                applied.map_err(|error| lacking_rules(now, error))
            }
        }
    }

    /// The queueing discipline at a link, if somebody put one there: what the kernel has there by itself has no number.
    ///
    /// # Errors
    ///
    /// Where the namespace or the link is gone, or the kernel does not tell.
    pub fn qdisc(&mut self, netns: &Where, link: &IfName) -> Result<Option<Qdisc>, Refusal> {
        let index = self.index(netns, link)?;
        Ok(qdisc::at(self.socket(netns)?, link.as_str(), index)?.filter(|found| found.handle != Handle(0)))
    }

    /// Whether a table is there, in a namespace.
    ///
    /// # Errors
    ///
    /// Where the namespace is gone, or the kernel does not tell.
    pub fn has_table_in(&mut self, netns: &Where, table: &TableRef) -> Result<bool, Refusal> {
        Ok(nftables::table_exists(self.nft_socket_in(netns)?, table)?)
    }

    /// What is there is ours, or the kernel's own; or else it is left.
    fn shape(&mut self, netns: &Where, link: &IfName, now: &Shape) -> Result<(), Refusal> {
        let found = self.qdisc(netns, link)?;
        if let Some(found) = found.as_ref().filter(|found| !is_ours(found)) {
            // What is to be taken away is gone.
            return match now.root_handle() {
                None => Ok(()),
                Some(_) => Err(foreign(link, found)),
            };
        }
        let index = self.index(netns, link)?;
        let mut requests = Requests::new();
        match (now.root_handle(), found) {
            (None, None) => return Ok(()),
            (None, Some(found)) => {
                requests.delete_qdisc(link.as_str(), &DelQdisc { link: index, handle: found.handle });
            }
            (Some(handle), _) => {
                let handles = [Handle(handle), Handle(Shape::INNER_HANDLE)];
                let places = [Parent::Root, Parent::Inside(handles[0])];
                for ((discipline, handle), parent) in disciplines(now).into_iter().zip(handles).zip(places) {
                    let replace = ReplaceQdisc { link: index, parent, handle, discipline };
                    requests.replace_qdisc(link.as_str(), &replace);
                }
            }
        }
        match self.socket(netns)?.run(&mut requests) {
            Ok(_) => Ok(()),
            Err(refused) => {
                let first = refused.refused.first().map_or(0, |first| first.index);
                let kind = disciplines(now).get(first).map(Discipline::kind);
                Err(lacking(kind, refused.into()))
            }
        }
    }

    fn index(&mut self, netns: &Where, link: &IfName) -> Result<LinkIndex, Refusal> {
        let index = links::index_of(self.socket(netns)?, link.as_str())?;
        index.ok_or_else(|| Refusal::NoLink(link.to_string()))
    }

    /// The socket for nftables in a namespace.
    fn nft_socket_in(&mut self, place: &Where) -> Result<&mut Socket, Refusal> {
        if !self.reach(place)? {
            return Err(Refusal::Gone(super::name_of(place)));
        }
        let Where::Other { id, .. } = place else { return Ok(self.nft_socket()?) };
        let Some(inside) = self.inside.get_mut(id) else { return Err(Refusal::Gone(super::name_of(place))) };
        Ok(match &mut inside.nft {
            Some(socket) => socket,
            empty => empty.insert(inside.netns.enter(|| Socket::open(Protocol::Netfilter))??),
        })
    }
}

/// Whether a queueing discipline is one of ours.
pub fn is_ours(found: &Qdisc) -> bool {
    Shape::HANDLES.contains(&found.handle.0)
}

/// That a queueing discipline at a link is somebody else's.
pub fn foreign(link: &IfName, found: &Qdisc) -> Refusal {
    Refusal::ForeignQdisc { link: link.to_string(), kind: found.kind.clone(), handle: found.handle.0 }
}

fn disciplines(shape: &Shape) -> Vec<Discipline> {
    let bucket = shape.bucket.map(|Bucket { rate, burst, limit }| {
        // Bits that are no whole byte make no difference to a packet.
        Discipline::Tbf { rate: rate / 8, burst, limit }
    });
    let wait = shape.wait.map(|Wait { delay, jitter, limit }| Discipline::Netem { delay, jitter, limit });
    bucket.into_iter().chain(wait).collect()
}

/// A discipline that the kernel does not know is one whose module is not there (`tc_modify_qdisc()` and
/// `qdisc_create()` in net/sched/sch_api.c).
fn lacking(kind: Option<&'static str>, error: KernelError) -> Refusal {
    match (kind, error.errno()) {
        (Some(kind), Some(Errno::NOENT | Errno::OPNOTSUPP)) => {
            let (what, module) = match kind {
                "netem" => ("hold packets up", "sch_netem"),
                _ => ("limit a rate", "sch_tbf"),
            };
            Refusal::Lacking { what, module }
        }
        _ => error.into(),
    }
}

/// The same of what rules need: a hook where packets leave (`EOPNOTSUPP`, or `ENOENT` for the chain's type), and random
/// numbers (`ENOENT`).
fn lacking_rules(commands: &[Command], error: ApplyError) -> Refusal {
    let ApplyError::Refused(refused) = &error else { return error.into() };
    let missing =
        refused.iter().find(|refused| matches!(refused.error.errno(), Some(Errno::NOENT | Errno::OPNOTSUPP)));
    match missing.and_then(|refused| commands.get(refused.index?)) {
        Some(Command::AddChain { .. }) => {
            Refusal::Lacking { what: "drop what leaves an interface", module: "CONFIG_NETFILTER_EGRESS" }
        }
        Some(Command::AddRule { .. }) => Refusal::Lacking { what: "drop at random", module: "nft_numgen" },
        _ => error.into(),
    }
}
