//! Links: create, change, delete, and ask.

use pontoon_netlink::link::{
    AltName, DelLink, DumpLinks, GetLink, GetStats, Kind, Link, LinkIndex, LinkStats, NewLink, RenameLink,
    SetLink, Target,
};
use pontoon_netlink::wire::Batch;
use rustix::io::Errno;
use rustix::net::netdevice;

use crate::error::{Cause, KernelError, Operation, Verb};
use crate::socket::{Answer, Requests, Socket};

const READ: Operation = Operation::new(Verb::Read, "link");
const CHANGE: Operation = Operation::new(Verb::Change, "link");

impl Requests {
    /// Create a link. With [`NewLink::echo`], [`created`] finds its index in the answer.
    pub fn new_link(&mut self, link: &NewLink<'_>) -> usize {
        let kind = match link.kind {
            Kind::Veth(_) => "veth pair",
            Kind::Bridge(_) => "bridge",
            Kind::Dummy => "dummy link",
            Kind::Macvlan { .. } => "macvlan link",
            Kind::Ipvlan { .. } => "ipvlan link",
            Kind::Vlan { .. } => "vlan link",
        };
        let object = match &link.kind {
            Kind::Veth(peer) => format!("{} (peer {})", link.name, peer.name),
            _ => link.name.to_owned(),
        };
        self.push(Operation::new(Verb::Create, kind), object, |batch| link.encode(batch))
    }

    /// Change a link.
    pub fn set_link(&mut self, link: &SetLink<'_>) -> usize {
        self.push(CHANGE, link.link.to_string(), |batch| link.encode(batch))
    }

    /// Rename a link.
    pub fn rename_link(&mut self, link: &RenameLink<'_>) -> usize {
        self.push(CHANGE, format!("#{} to {}", link.index, link.name), |batch| link.encode(batch))
    }

    /// Add an alternative name.
    pub fn add_alt_name(&mut self, name: &AltName<'_>) -> usize {
        let object = format!("{} of {}", name.name, name.link);
        self.push(Operation::new(Verb::Create, "alternative name"), object, |batch| name.encode_add(batch))
    }

    /// Remove an alternative name.
    pub fn delete_alt_name(&mut self, name: &AltName<'_>) -> usize {
        let object = format!("{} of {}", name.name, name.link);
        self.push(Operation::new(Verb::Delete, "alternative name"), object, |batch| name.encode_delete(batch))
    }

    /// Delete a link or a group of links.
    pub fn delete_link(&mut self, what: &DelLink<'_>) -> usize {
        let (kind, object) = match what {
            DelLink::One(target) => ("link", target.to_string()),
            DelLink::Group(group) => ("links of group", group.to_string()),
        };
        self.push(Operation::new(Verb::Delete, kind), object, |batch| what.encode(batch))
    }

    /// Ask for a link; [`found`] reads the answer.
    pub fn get_link<'a>(&mut self, link: impl Into<Target<'a>>) -> usize {
        let target = link.into();
        self.push(READ, target.to_string(), |batch| GetLink(target).encode(batch))
    }
}

/// The link in an answer to [`Requests::get_link`], or in that to a request with `echo`.
pub fn found(answer: &Answer) -> Option<Link> {
    answer.messages.iter().find_map(|message| Link::decode(&message.payload))
}

/// The index in an answer to [`Requests::new_link`] with `echo`.
pub fn created(answer: &Answer) -> Option<LinkIndex> {
    found(answer).map(|link| link.index)
}

/// Creates a link and returns its index. A veth pair's other end may be in another namespace; the index is of the
/// end that is named first. One request, so both ends appear or neither does.
///
/// # Errors
///
/// `EEXIST` when a name is taken: the caller decides whether that link is ours. `EPERM` without `CAP_NET_ADMIN` in
/// *both* namespaces.
pub fn create(socket: &mut Socket, link: &NewLink<'_>) -> Result<LinkIndex, KernelError> {
    let link = NewLink { echo: true, ..link.clone() };
    let answer = socket.run_one(|requests| requests.new_link(&link))?;
    created(&answer).ok_or_else(|| {
        let operation = Operation::new(Verb::Create, link.kind.name());
        socket.place(KernelError::new(operation, link.name, Cause::Malformed))
    })
}

/// Changes a link.
///
/// # Errors
///
/// `ENODEV` when there is none; `EINVAL`, `EBUSY`, `EOPNOTSUPP` with the kernel's words for a change that it refuses.
pub fn set(socket: &mut Socket, link: &SetLink<'_>) -> Result<(), KernelError> {
    socket.run_one(|requests| requests.set_link(link)).map(drop)
}

/// Renames a link.
///
/// # Errors
///
/// `EEXIST` when the name is taken, `EINVAL` when it is not a name.
pub fn rename(socket: &mut Socket, link: &RenameLink<'_>) -> Result<(), KernelError> {
    socket.run_one(|requests| requests.rename_link(link)).map(drop)
}

/// Deletes a link, or a group of links.
///
/// # Errors
///
/// `ENODEV` when there is none; `EOPNOTSUPP` for one that is not software.
pub fn delete(socket: &mut Socket, what: &DelLink<'_>) -> Result<(), KernelError> {
    socket.run_one(|requests| requests.delete_link(what)).map(drop)
}

/// The link by index or name; `None` where there is none.
///
/// The kernel finishes its pending carrier work for the link first.
///
/// # Errors
///
/// Those of [`Socket::request`].
pub fn get<'a>(socket: &mut Socket, link: impl Into<Target<'a>>) -> Result<Option<Link>, KernelError> {
    let target = link.into();
    match socket.run_one(|requests| requests.get_link(target)) {
        Ok(answer) => Ok(found(&answer)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// A link's counters; `None` where there is none.
///
/// # Errors
///
/// Those of [`Socket::request`].
pub fn stats<'a>(socket: &mut Socket, link: impl Into<Target<'a>>) -> Result<Option<LinkStats>, KernelError> {
    let target = link.into();
    let ask = |requests: &mut Requests| {
        requests.push(READ, target.to_string(), |batch| GetStats(target).encode(batch))
    };
    match socket.run_one(ask) {
        Ok(answer) => Ok(answer.messages.iter().find_map(|message| LinkStats::decode(&message.payload))),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// The index of the link called `name`; `None` where there is none.
///
/// `SIOCGIFINDEX`, netdevice(7), which takes no lock (`dev_ioctl()` in the kernel's net/core/dev_ioctl.c) and costs a
/// tenth of [`get`]. For links that should be there: asked by root for a name that is not, the kernel runs `modprobe`.
///
/// # Errors
///
/// What the kernel refuses with, other than `ENODEV`.
pub fn index_of(socket: &Socket, name: &str) -> Result<Option<LinkIndex>, KernelError> {
    match netdevice::name_to_index(socket, name) {
        Ok(index) => Ok(Some(LinkIndex(index))),
        Err(Errno::NODEV) => Ok(None),
        Err(errno) => Err(socket.place(KernelError::new(READ, name, errno))),
    }
}

/// All links, or those of a bridge or a kind. Costs 16 ms for 1,000 links, whatever is asked for.
///
/// # Errors
///
/// Those of [`Socket::dump`].
pub fn list(socket: &mut Socket, filter: &DumpLinks<'_>) -> Result<Vec<Link>, KernelError> {
    let mut batch = Batch::default();
    filter.encode(&mut batch);
    socket.dump("links", &mut batch, |message| Link::decode(message.payload))
}
