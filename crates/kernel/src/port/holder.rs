//! Who has a port. The processes are only looked for when there is an error to tell, since that is a look at all.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::fs;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::Path;

use pontoon_model::publish::Protocol;
use pontoon_netlink::Family;
use pontoon_netlink::socket_diag::{DumpSockets, InetSocket, State, States};
use pontoon_netlink::wire::{Batch, Message};

use crate::error::KernelError;
use crate::socket::{self, Socket};

/// A process that has a port, or what is known of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The process; `None` where it cannot be seen: another user's, one in a pid namespace above, or the kernel itself.
    pub pid: Option<u32>,
    /// The process's name: proc_pid_comm(5).
    pub name: Option<String>,
    /// The user that opened the socket, as the caller's user namespace numbers users.
    pub uid: u32,
    /// The address that the socket has.
    pub address: IpAddr,
    /// The link that it is bound to: it gets nothing that comes in by another.
    pub device: Option<String>,
    /// The number of the socket's file; 0 if it has none any more.
    pub inode: u32,
    /// What the socket does.
    pub state: State,
}

/// `nginx (pid 812) at 0.0.0.0`
impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.name, self.pid) {
            _ if self.state == State::TimeWait => f.write_str("a connection that has just ended")?,
            (Some(name), Some(pid)) => write!(f, "{name} (pid {pid})")?,
            (None, Some(pid)) => write!(f, "pid {pid}")?,
            _ => write!(f, "a process of user {} that cannot be seen from here", self.uid)?,
        }
        write!(f, " at {}", self.address)?;
        self.device.as_ref().map_or(Ok(()), |device| write!(f, " on {device}"))
    }
}

/// Who has a port at `address`, or at any if there is none, in the order of their pids.
///
/// A socket that several processes share is there for each of them. For TCP and SCTP these are sockets that listen or
/// just have the port; only if there is none, its connections, which keep a port from being taken too. (A TCP socket that
/// just has the port is told since Linux 6.8.) The list is empty where the kernel does not tell: it has not got
/// `inet_diag` for the protocol.
///
/// # Errors
///
/// Those of [`Socket::open`] and [`Socket::dump`].
pub fn holders(address: Option<IpAddr>, protocol: Protocol, port: u16) -> Result<Vec<Holder>, KernelError> {
    let mut socket = Socket::open(socket::Protocol::SockDiag)?;
    let waiting = States::of(&[State::Listen, State::Close, State::BoundInactive]);
    let states = match protocol {
        Protocol::Udp => vec![States::ALL],
        Protocol::Tcp | Protocol::Sctp => vec![waiting, waiting.others()],
    };
    for states in states {
        let mut sockets = Vec::new();
        // A socket of IPv6 may have IPv4's ports as well.
        for family in [Family::V4, Family::V6] {
            let question = DumpSockets { family, protocol: protocol.number(), states, ports: port..=port };
            sockets.extend(dump(&mut socket, &question)?);
        }
        sockets.retain(|socket| has(socket, address));
        if !sockets.is_empty() {
            return Ok(with_processes(&sockets));
        }
    }
    Ok(Vec::new())
}

/// The ports of a range that sockets wait on, at whatever address; `None` where the kernel does not tell.
///
/// To ask for sockets that just have a port, too, would take ten times as long: the kernel then goes through the tables
/// of all ports and of all connections (`tcp_diag_dump()` in net/ipv4/tcp_diag.c), 0.3 ms for either family.
pub(super) fn suspects(protocol: Protocol, ports: RangeInclusive<u16>) -> Option<BTreeSet<u16>> {
    let states = match protocol {
        Protocol::Udp => States::ALL,
        Protocol::Tcp => States::of(&[State::Listen]),
        Protocol::Sctp => return None,
    };
    let mut socket = Socket::open(socket::Protocol::SockDiag).ok()?;
    let mut found = BTreeSet::new();
    for family in [Family::V4, Family::V6] {
        let question = DumpSockets { family, protocol: protocol.number(), states, ports: ports.clone() };
        let mut batch = Batch::default();
        question.encode(&mut batch);
        let port =
            |message: &Message<'_>| InetSocket::decode(message.payload).map(|found| found.local.port());
        found.extend(socket.dump("sockets", &mut batch, port).ok()?);
    }
    Some(found)
}

fn dump(socket: &mut Socket, question: &DumpSockets) -> Result<Vec<InetSocket>, KernelError> {
    let mut batch = Batch::default();
    question.encode(&mut batch);
    match socket.dump("sockets", &mut batch, |message| InetSocket::decode(message.payload)) {
        Err(error) if error.is_not_found() => Ok(Vec::new()),
        result => result,
    }
}

/// Whether `socket` is in the way of one at `address`.
fn has(socket: &InetSocket, address: Option<IpAddr>) -> bool {
    let Some(address) = address else { return true };
    let own = socket.local.ip();
    let dual = own.is_unspecified() && own.is_ipv6() && socket.v6only != Some(true);
    let own = own.to_canonical();
    let same_family = own.is_ipv4() == address.is_ipv4();
    dual || same_family && (own == address || own.is_unspecified() || address.is_unspecified())
}

fn with_processes(sockets: &[InetSocket]) -> Vec<Holder> {
    let mut processes = processes_of(sockets);
    let mut holders = Vec::new();
    for socket in sockets {
        let holder = |pid, name| Holder {
            pid,
            name,
            uid: socket.uid,
            address: socket.local.ip().to_canonical(),
            device: device(socket.link),
            inode: socket.inode,
            state: socket.state,
        };
        match processes.remove(&socket.inode) {
            Some(found) => holders.extend(found.into_iter().map(|(pid, name)| holder(Some(pid), name))),
            None => holders.push(holder(None, None)),
        }
    }
    holders.sort_by_key(|holder| (holder.pid.is_none(), holder.pid, holder.inode));
    holders
}

/// A link's name, of one that is still there. Source: netdevice(7), `SIOCGIFNAME`.
fn device(index: u32) -> Option<String> {
    let index = std::num::NonZeroU32::new(index)?;
    let any =
        rustix::net::socket(rustix::net::AddressFamily::UNIX, rustix::net::SocketType::DGRAM, None).ok()?;
    rustix::net::netdevice::index_to_name(&any, index.get()).ok()
}

/// The processes that have each socket open, as far as they can be seen: pid and name.
type Processes = HashMap<u32, Vec<(u32, Option<String>)>>;

fn processes_of(sockets: &[InetSocket]) -> Processes {
    let wanted = |inode: u32| inode != 0 && sockets.iter().any(|socket| socket.inode == inode);
    let mut processes = Processes::new();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    for entry in entries {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let mut inodes: Vec<u32> =
            sockets_in(&entry.path().join("fd")).filter(|inode| wanted(*inode)).collect();
        inodes.sort_unstable();
        inodes.dedup();
        for inode in inodes {
            let name = fs::read_to_string(entry.path().join("comm")).ok();
            let name = name.map(|name| name.trim_end_matches('\n').to_owned());
            processes.entry(inode).or_default().push((pid, name));
        }
    }
    processes
}

/// The numbers of the sockets in a `/proc/PID/fd`; none where it may not be read, or has gone.
fn sockets_in(directory: &Path) -> impl Iterator<Item = u32> + use<> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| {
        let target = fs::read_link(entry.path()).ok()?;
        target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
    })
}

/// The sockets of TCP and UDP that wait for packets, in the network namespace that `socket` is of.
///
/// # Errors
///
/// Those of [`Socket::dump`].
pub fn listeners(socket: &mut Socket) -> Result<Vec<(Protocol, InetSocket)>, KernelError> {
    let mut found = Vec::new();
    // A socket of UDP that is not connected is in the state of one of TCP that is closed.
    for (protocol, state) in [(Protocol::Tcp, State::Listen), (Protocol::Udp, State::Close)] {
        for family in [Family::V4, Family::V6] {
            let states = States::of(&[state]);
            let question = DumpSockets { family, protocol: protocol.number(), states, ports: 1..=u16::MAX };
            found.extend(dump(socket, &question)?.into_iter().map(|socket| (protocol, socket)));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(local: &str, v6only: Option<bool>) -> InetSocket {
        let (local, peer) = (local.parse().unwrap(), "0.0.0.0:0".parse().unwrap());
        InetSocket { state: State::Listen, local, peer, link: 0, uid: 0, inode: 1, v6only }
    }

    #[test]
    fn a_socket_is_in_the_way_of_addresses_that_it_has() {
        for (own, v6only, address, in_the_way) in [
            ("0.0.0.0:80", None, Some("127.0.0.1"), true),
            ("127.0.0.1:80", None, Some("0.0.0.0"), true),
            ("127.0.0.1:80", None, Some("127.0.0.2"), false),
            ("127.0.0.1:80", None, Some("::"), false),
            ("127.0.0.1:80", None, None, true),
            ("[::]:80", Some(false), Some("127.0.0.1"), true),
            ("[::]:80", Some(true), Some("127.0.0.1"), false),
            ("[::]:80", Some(true), Some("::1"), true),
            ("[::1]:80", Some(false), Some("::"), true),
            ("[::ffff:127.0.0.1]:80", Some(false), Some("127.0.0.1"), true),
            ("[::ffff:127.0.0.1]:80", Some(false), Some("::"), false),
        ] {
            let address = address.map(|address| address.parse().unwrap());
            assert_eq!(has(&socket(own, v6only), address), in_the_way, "{own} {v6only:?} {address:?}");
        }
    }

    #[test]
    fn what_is_known_of_a_holder_is_told() {
        let holder = Holder {
            pid: Some(812),
            name: Some("nginx".into()),
            uid: 33,
            address: [0; 4].into(),
            device: None,
            inode: 7,
            state: State::Listen,
        };
        assert_eq!(holder.to_string(), "nginx (pid 812) at 0.0.0.0");
        let bound = Holder { device: Some("virbr0".into()), ..holder.clone() };
        assert_eq!(bound.to_string(), "nginx (pid 812) at 0.0.0.0 on virbr0");
        let unseen = Holder { pid: None, name: None, ..holder.clone() };
        assert_eq!(unseen.to_string(), "a process of user 33 that cannot be seen from here at 0.0.0.0");
        let ended = Holder { state: State::TimeWait, ..unseen };
        assert_eq!(ended.to_string(), "a connection that has just ended at 0.0.0.0");
    }
}
