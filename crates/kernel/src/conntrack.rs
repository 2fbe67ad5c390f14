//! Connection tracking: list the kernel's entries, forget some.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use pontoon_model::op::Flow;
use pontoon_netlink::Family;
use pontoon_netlink::conntrack::{CT_NEW, DumpEntries, Entry, Tuple};
use pontoon_netlink::wire::Batch;

use crate::error::{KernelError, Operation, Verb};
use crate::socket::{Refused, Requests, Socket};

const ENTRY: &str = "connection tracking entry";

impl Requests {
    /// Add an entry.
    pub fn add_connection(&mut self, entry: &Entry) -> usize {
        self.push(Operation::new(Verb::Create, ENTRY), describe(entry), |batch| entry.encode_add(batch))
    }

    /// Delete this very entry.
    pub fn delete_connection(&mut self, entry: &Entry) -> usize {
        self.push(Operation::new(Verb::Delete, ENTRY), describe(entry), |batch| entry.encode_delete(batch))
    }
}

/// `protocol 17 from 192.0.2.9 port 40000 to 192.0.2.1 port 8080`.
fn describe(entry: &Entry) -> String {
    let tuple = &entry.orig;
    let [from, to] = match tuple.ports {
        Some(ports) => [ports.source, ports.destination].map(|port| format!(" port {port}")),
        None => [const { String::new() }; 2],
    };
    format!("protocol {} from {}{from} to {}{to}", tuple.protocol, tuple.source, tuple.destination)
}

/// The entries of a family, or of one of its protocols. `socket` is one of [`Protocol::Netfilter`].
///
/// An entry that moves within the kernel's table meanwhile may be listed twice.
///
/// [`Protocol::Netfilter`]: crate::socket::Protocol::Netfilter
///
/// # Errors
///
/// `EPERM` without `CAP_NET_ADMIN`; `EINVAL` where the kernel has no connection tracking, or does not let it be asked
/// (`CONFIG_NF_CT_NETLINK`); those of [`Socket::dump`].
pub fn list(socket: &mut Socket, filter: &DumpEntries) -> Result<Vec<Entry>, KernelError> {
    list_if(socket, filter, |_| true)
}

fn list_if(
    socket: &mut Socket,
    filter: &DumpEntries,
    wanted: impl Fn(&Entry) -> bool,
) -> Result<Vec<Entry>, KernelError> {
    let mut batch = Batch::default();
    filter.encode(&mut batch);
    socket.dump("connection tracking entries", &mut batch, |message| {
        (message.kind == CT_NEW).then(|| Entry::decode(message.payload))?.filter(&wanted)
    })
}

/// Deletes the entries of `flows`, and says how many there were. `socket` is one of [`Protocol::Netfilter`].
///
/// The kernel's table is read once for each family and protocol, whatever the number of flows; then each entry is
/// deleted by itself. Entries that come meanwhile stay: whoever changes rules does so first.
///
/// [`Protocol::Netfilter`]: crate::socket::Protocol::Netfilter
///
/// # Errors
///
/// Those of [`list`]; `EBUSY` from a kernel that lets go of no flow that it forwards past its rules (`IPS_OFFLOAD`), and
/// then all other entries are deleted. An entry that vanished meanwhile is none.
pub fn forget(socket: &mut Socket, flows: &[Flow]) -> Result<usize, KernelError> {
    let mut requests = Requests::new();
    for ((family, protocol), wanted) in by_table(flows) {
        let filter = DumpEntries { family, protocol: Some(protocol) };
        for entry in list_if(socket, &filter, |entry| wanted.has(entry, protocol))? {
            requests.delete_connection(&entry);
        }
    }
    let Err(error) = socket.run(&mut requests) else { return Ok(requests.len()) };
    let vanished = |refused: &Refused| refused.error.is_not_found();
    let gone = error.refused.iter().filter(|refused| vanished(refused)).count();
    match error.refused.into_iter().find(|refused| !vanished(refused)) {
        None => Ok(requests.len() - gone),
        Some(refused) => Err(refused.error),
    }
}

/// Deletes the entries whose first packet was one of these, and says how many there were.
///
/// # Errors
///
/// Those of [`list`]; of a refused deletion.
pub fn forget_exactly(socket: &mut Socket, first: &[Tuple]) -> Result<usize, KernelError> {
    let tables: BTreeSet<(Family, u8)> = first.iter().map(|tuple| (tuple.family(), tuple.protocol)).collect();
    let mut requests = Requests::new();
    for (family, protocol) in tables {
        let filter = DumpEntries { family, protocol: Some(protocol) };
        for entry in list_if(socket, &filter, |entry| first.contains(&entry.orig))? {
            requests.delete_connection(&entry);
        }
    }
    let count = requests.len();
    match socket.run(&mut requests) {
        Err(error) => match error.refused.into_iter().find(|refused| !refused.error.is_not_found()) {
            Some(refused) => Err(refused.error),
            None => Ok(count),
        },
        Ok(_) => Ok(count),
    }
}

/// What is wanted of the flows of one family and protocol, to be found without looking at each of them.
#[derive(Default)]
struct Wanted {
    /// Destinations of first packets; without an address any.
    sent_to: BTreeSet<(Option<IpAddr>, u16)>,
    /// Sources of answers.
    answered_by: BTreeSet<(IpAddr, u16)>,
}

impl Wanted {
    fn add(&mut self, flow: &Flow) {
        match *flow {
            Flow::SentTo { address, port, .. } => {
                self.sent_to.insert((address.filter(|address| !address.is_unspecified()), port));
            }
            Flow::AnsweredBy { address, port, .. } => {
                self.answered_by.insert((address, port));
            }
        }
    }

    fn has(&self, entry: &Entry, protocol: u8) -> bool {
        let (Some(orig), Some(reply)) = (entry.orig.ports, entry.reply.ports) else { return false };
        entry.orig.protocol == protocol
            && (self.sent_to.contains(&(None, orig.destination))
                || self.sent_to.contains(&(Some(entry.orig.destination), orig.destination))
                || self.answered_by.contains(&(entry.reply.source, reply.source)))
    }
}

/// What is wanted, by what the kernel is asked for at once.
fn by_table(flows: &[Flow]) -> BTreeMap<(Family, u8), Wanted> {
    let mut tables: BTreeMap<_, Wanted> = BTreeMap::new();
    for flow in flows {
        let (Flow::SentTo { protocol, .. } | Flow::AnsweredBy { protocol, .. }) = flow;
        for family in families(flow) {
            tables.entry((*family, protocol.number())).or_default().add(flow);
        }
    }
    tables
}

fn families(flow: &Flow) -> &'static [Family] {
    match flow {
        Flow::SentTo { address: None, .. } => &[Family::V4, Family::V6],
        Flow::SentTo { address: Some(IpAddr::V4(_)), .. }
        | Flow::AnsweredBy { address: IpAddr::V4(_), .. } => &[Family::V4],
        Flow::SentTo { address: Some(IpAddr::V6(_)), .. }
        | Flow::AnsweredBy { address: IpAddr::V6(_), .. } => &[Family::V6],
    }
}
