//! A real packet, sent from where it is asked for and followed by nftables' own trace in every namespace on the way.
//!
//! What is put into the kernel for it goes with this process, however it ends: the tables belong to a socket
//! (`NFT_TABLE_F_OWNER`), and the kernel removes them when that is closed. Nobody else's table is touched.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use pontoon_explain::packet::Ports;
use pontoon_explain::path::{Explanation, Flow, From, Question, Way};
use pontoon_explain::probe::{Answer, Context, Event, Kind, Mark, Step, compare, stitch};
use pontoon_kernel::conntrack;
use pontoon_kernel::error::KernelError;
use pontoon_kernel::netns::{Netns as OpenNetns, NetnsError};
use pontoon_kernel::nftables::{self, ApplyError};
use pontoon_kernel::probe::{Carrier, Probe, Reply, Trouble};
use pontoon_kernel::random;
use pontoon_kernel::signal::Signals;
use pontoon_kernel::socket::{Protocol, Socket};
use pontoon_kernel::trace::TraceSocket;
use pontoon_model::Diagnose;
use pontoon_model::observed::snapshot::{Namespace, Snapshot};
use pontoon_model::op::Netns;
use pontoon_netlink::conntrack::Tuple;
use pontoon_nft::syntax::{Command, Family, protocol};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;

use crate::snapshot;

pub use pontoon_explain::probe::{
    Answer as ProbeAnswer, Hit, HopMark, Probed, Step as ProbeStep, StepVerdict,
};

/// When it is sent, after the first time: a packet may be lost where links have just come up.
const AGAIN: [Duration; 2] = [Duration::from_millis(700), Duration::from_millis(1700)];
/// How long an answer is waited for: the kernel gives up looking for a neighbour after three seconds.
const LONGEST: Duration = Duration::from_millis(3500);
/// How long for what else is told once it is decided.
const GRACE: Duration = Duration::from_millis(60);
/// How long for an answer once a rule was seen to drop the packet.
const DROPPED: Duration = Duration::from_millis(300);

/// Signals that end a command.
const SIGHUP: i32 = 1;
const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;

/// Why nothing could be sent and followed.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Whoever is to send it is not on this machine.
    #[error("nothing can be sent from {0}, which is not on this machine")]
    NotHere(IpAddr),
    /// A namespace is gone, or another one is there now.
    #[error("`{0}` is not there any more")]
    Gone(String),
    /// A namespace cannot be entered.
    #[error("could not get into `{place}`")]
    Enter {
        /// Its name.
        place: String,
        /// Why not.
        #[source]
        source: NetnsError,
    },
    /// The kernel does not let packets be followed.
    #[error("packets cannot be followed in `{place}`")]
    Follow {
        /// The namespace.
        place: String,
        /// Why not.
        #[source]
        source: ApplyError,
    },
    /// The kernel refused something else.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// There is no socket to send from.
    #[error("could not open a socket to send from in `{place}`")]
    Socket {
        /// The namespace.
        place: String,
        /// Why not.
        #[source]
        errno: Errno,
    },
    /// Waiting failed.
    #[error("could not wait for an answer")]
    Wait(#[source] Errno),
    /// A signal came.
    #[error("interrupted: everything that was made for the packet is gone")]
    Interrupted(i32),
}

impl Diagnose for ProbeError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotHere(_) => "probe-not-here",
            Self::Gone(_) => "probe-gone",
            Self::Enter { source, .. } => source.code(),
            Self::Follow { source, .. } => source.code(),
            Self::Kernel(error) => error.code(),
            Self::Socket { .. } => "probe-socket",
            Self::Wait(_) => "probe-wait",
            Self::Interrupted(_) => "probe-interrupted",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NotHere(_) => Some(
                "leave --probe out, or name a container or a namespace as FROM: `netns:NAME`, `pid:N`"
                    .to_owned(),
            ),
            Self::Gone(_) => Some("ask again".to_owned()),
            Self::Enter { source, .. } => source.hint(),
            Self::Follow { source, .. } => source.hint(),
            Self::Kernel(error) => error.hint(),
            Self::Socket { errno: Errno::PERM | Errno::ACCESS, .. } => {
                Some("this takes CAP_NET_RAW: be root, or try it in `pontoon lab`".to_owned())
            }
            Self::Socket { .. } | Self::Wait(_) | Self::Interrupted(_) => None,
        }
    }
}

/// A namespace in which the packet is followed.
struct Watched {
    place: usize,
    opened: OpenNetns,
    /// The tables are this socket's.
    owner: Socket,
    traces: TraceSocket,
    tables: Vec<Command>,
}

/// What came back, and when.
struct Came {
    answer: Answer,
    after: Option<Duration>,
    sent: u32,
}

/// Sends the packet that is asked about, and says what became of it beside what was `explained`.
///
/// With `nobody`, the address stands for nobody in particular, and no answer is expected.
///
/// # Errors
///
/// If it cannot be sent or followed; [`ProbeError::Interrupted`] after a signal. Nothing is left behind then.
pub fn probe(
    snapshot: &Snapshot,
    question: &Question,
    explained: &Explanation,
    nobody: bool,
) -> Result<Probed, ProbeError> {
    let (sender, source) = match question.from {
        From::Namespace(at, source) => (at, source),
        From::Outside(address) => return Err(ProbeError::NotHere(address)),
    };
    let signals = Signals::block([SIGINT, SIGTERM, SIGHUP]).map_err(ProbeError::Wait)?;
    let token: [u8; 8] = token(question.protocol)?;
    let carrier = match (question.protocol, question.port) {
        (protocol::TCP, Some(port)) => Carrier::Tcp(port),
        (protocol::UDP, Some(port)) => Carrier::Udp(port),
        _ => Carrier::Echo,
    };
    let name = &snapshot.namespaces[sender].name;
    let home = enter(&snapshot.namespaces[sender])?;
    let opened = home.enter(|| Probe::open(carrier, source, question.to, token));
    let opened = opened.map_err(|source| ProbeError::Enter { place: name.clone(), source })?;
    let mut context =
        Context { snapshot, explained, nobody, packet: None, sent: 0, after: None, unwatched: Vec::new() };
    let socket = match opened {
        Ok(socket) => socket,
        Err(errno) if is_no_way(errno) => {
            let text = said(&Trouble { errno, from: None, icmp: None });
            return Ok(compare(context, Vec::new(), Answer::NotSent { text }));
        }
        Err(errno) => return Err(ProbeError::Socket { place: name.clone(), errno }),
    };
    let mark = Mark {
        v4: question.to.is_ipv4(),
        protocol: question.protocol,
        token,
        source_port: socket.source().port(),
    };
    context.packet = Some(packet(question, &socket));
    let id: String = random::bytes::<4>()?.iter().map(|byte| format!("{byte:02x}")).collect();
    let places = places(snapshot, explained, sender);
    let mut watched = Vec::new();
    for place in places {
        watched.push(watch(snapshot, place, &mark, &id, &mut context.unwatched)?);
    }
    let mut events = Vec::new();
    let came = follow(&socket, &mut watched, &signals, &mut events, &mut context.unwatched, snapshot);
    drop(socket);
    let order = order(explained);
    let steps = stitch(snapshot, &mark, &id, &events, &order);
    for place in watched {
        let left = place.leave(snapshot, &steps, question.protocol);
        context.unwatched.extend(left.err().map(|error| format!("not cleaned up: {error}")));
    }
    let came = came?;
    context.sent = came.sent;
    context.after = came.after.map(|after| u64::try_from(after.as_micros()).unwrap_or(u64::MAX));
    Ok(compare(context, steps, came.answer))
}

/// What the packet is known by. For a datagram it is the beginning of a question to a name server that no name server
/// understands, and that it answers nevertheless: `QR` and the operation are 0.
///
/// Source: RFC 1035, section 4.1.1.
fn token(protocol: u8) -> Result<[u8; 8], KernelError> {
    let mut token = random::bytes::<8>()?;
    if protocol == protocol::UDP {
        (token[2], token[3]) = (1, 0);
    }
    Ok(token)
}

fn packet(question: &Question, socket: &Probe) -> Flow {
    let source = socket.source();
    let one = |port: u16| Ports { first: port, last: port };
    Flow {
        source: source.ip(),
        destination: question.to,
        protocol: question.protocol,
        source_port: if source.port() == 0 { Ports::ANY } else { one(source.port()) },
        destination_port: question.port.map_or(Ports::ANY, one),
    }
}

/// The namespace, if it is still the one that was looked at.
fn enter(namespace: &Namespace) -> Result<OpenNetns, ProbeError> {
    let opened = match &namespace.netns {
        Netns::Host => OpenNetns::current(),
        Netns::Other { place, .. } => snapshot::open(place),
    };
    let opened = opened.map_err(|source| ProbeError::Enter { place: namespace.name.clone(), source })?;
    if opened.id() == namespace.id { Ok(opened) } else { Err(ProbeError::Gone(namespace.name.clone())) }
}

/// The namespaces on the way by what was said, the sender's, and those that have the address.
fn places(snapshot: &Snapshot, explained: &Explanation, sender: usize) -> BTreeSet<usize> {
    let named = explained.hops.iter().filter_map(|hop| snapshot.by_name(&hop.place));
    let owners = snapshot.owners(explained.packet.destination);
    named.chain(owners).chain([sender, 0]).collect()
}

/// The names of the namespaces as they are passed, each way.
fn order(explained: &Explanation) -> Vec<(Way, String)> {
    let mut order: Vec<(Way, String)> = Vec::new();
    for hop in &explained.hops {
        let place = (hop.way, hop.place.clone());
        if !order.contains(&place) {
            order.push(place);
        }
    }
    order
}

/// Begins to follow the packet in a namespace.
fn watch(
    snapshot: &Snapshot,
    place: usize,
    mark: &Mark,
    id: &str,
    unwatched: &mut Vec<String>,
) -> Result<Watched, ProbeError> {
    let namespace = &snapshot.namespaces[place];
    let name = &namespace.name;
    let opened = enter(namespace)?;
    let sockets = opened.enter(|| Ok((Socket::open(Protocol::Netfilter)?, TraceSocket::open()?)));
    let sockets: Result<_, KernelError> =
        sockets.map_err(|source| ProbeError::Enter { place: name.clone(), source })?;
    let (owner, traces) = sockets.map_err(|error| error.in_namespace(name.clone()))?;
    let mut watched =
        Watched { place, opened, owner: owner.in_namespace(name.clone()), traces, tables: Vec::new() };
    let mut families = vec![Family::Inet];
    if namespace.links.iter().any(|link| link.kind.as_deref() == Some("bridge")) {
        families.push(Family::Bridge);
    }
    for family in families {
        match nftables::apply(&mut watched.owner, &mark.commands(family, id)) {
            Ok(()) => {
                let table = pontoon_explain::probe::mark::table(family, id);
                watched.tables.push(Command::DeleteTable { table });
            }
            Err(error) if family == Family::Bridge => {
                unwatched
                    .push(format!("rules for bridges in {name}: this kernel cannot trace them ({error})"));
            }
            Err(source) => return Err(ProbeError::Follow { place: name.clone(), source }),
        }
    }
    if !namespace.legacy.is_empty() {
        unwatched.push(format!("rules of iptables-legacy in {name}: no trace of nftables tells of them"));
    }
    Ok(watched)
}

impl Watched {
    /// Takes away what was made: the tables, and what connection tracking remembers of the packet.
    fn leave(mut self, snapshot: &Snapshot, steps: &[Step], protocol: u8) -> Result<(), ProbeError> {
        let name = &snapshot.namespaces[self.place].name;
        let removed = nftables::apply(&mut self.owner, &self.tables);
        let first =
            steps.iter().filter(|step| step.place == *name && step.kind == Kind::Request && !step.bridge);
        let tuples: Vec<Tuple> = first
            .filter(|step| step.packet.has_ports())
            .map(|step| {
                let Flow { source, destination, source_port, destination_port, .. } = step.packet;
                Tuple::new(protocol, (source, source_port.first), (destination, destination_port.first))
            })
            .collect();
        if !tuples.is_empty() {
            // A host without connection tracking remembers nothing.
            let forget = |socket: &mut Socket| conntrack::forget_exactly(socket, &tuples);
            let socket = self.opened.enter(|| Socket::open(Protocol::Netfilter));
            if let Ok(Ok(mut socket)) = socket {
                let _ = forget(&mut socket);
            }
        }
        removed.map_err(|source| ProbeError::Follow { place: name.clone(), source })
    }
}

/// Sends the packet, and takes in what is told until it is decided.
fn follow(
    socket: &Probe,
    watched: &mut [Watched],
    signals: &Signals,
    events: &mut Vec<Event>,
    unwatched: &mut Vec<String>,
    snapshot: &Snapshot,
) -> Result<Came, ProbeError> {
    let begin = Instant::now();
    let mut sent = 1;
    if let Err(errno) = socket.send(1) {
        let text = said(&Trouble { errno, from: None, icmp: None });
        hear(watched, sent, events, unwatched, snapshot)?;
        return Ok(Came { answer: Answer::NotSent { text }, after: None, sent: 0 });
    }
    let mut end = begin + LONGEST;
    let mut came: Option<(Answer, Duration)> = None;
    loop {
        let now = Instant::now();
        if now >= end {
            break;
        }
        let again = AGAIN.get(sent as usize - 1).filter(|_| came.is_none()).map(|after| begin + *after);
        wait(socket, watched, signals, end.min(again.unwrap_or(end)))?;
        if let Some(arrived) = signals.next().map_err(ProbeError::Wait)? {
            return Err(ProbeError::Interrupted(arrived.number));
        }
        let before = events.len();
        hear(watched, sent, events, unwatched, snapshot)?;
        while let Some(reply) = socket.receive().map_err(ProbeError::Wait)? {
            if came.is_none() {
                came = Some((answer(reply), begin.elapsed()));
                end = Instant::now() + GRACE;
            }
        }
        let is_drop = |event: &Event| event.trace.verdict == Some(pontoon_nft::syntax::Verdict::Drop);
        if came.is_none() && events[before..].iter().any(is_drop) {
            end = end.min(Instant::now() + DROPPED);
        }
        let due = again.is_some_and(|again| Instant::now() >= again);
        if due && came.is_none() && end == begin + LONGEST {
            sent += 1;
            // The first was sent: what hinders this one was said of it, or will be.
            let _ = socket.send(u16::try_from(sent).unwrap_or(u16::MAX));
        }
    }
    let waited = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(match came {
        Some((answer, after)) => Came { answer, after: Some(after), sent },
        None => Came { answer: Answer::Nothing { waited }, after: None, sent },
    })
}

/// Takes in what was traced.
fn hear(
    watched: &mut [Watched],
    attempt: u32,
    events: &mut Vec<Event>,
    unwatched: &mut Vec<String>,
    snapshot: &Snapshot,
) -> Result<(), ProbeError> {
    for one in watched {
        let (traces, lost) = one.traces.read()?;
        let place = one.place;
        events.extend(traces.into_iter().map(|trace| Event { place, attempt, trace }));
        if lost {
            let name = &snapshot.namespaces[place].name;
            unwatched.push(format!("some of what was traced in {name}: more was told than could be held"));
        }
    }
    Ok(())
}

/// Waits until there is something to take, or it is time.
fn wait(socket: &Probe, watched: &[Watched], signals: &Signals, until: Instant) -> Result<(), ProbeError> {
    let left = until.saturating_duration_since(Instant::now());
    let left = Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() };
    let all: Vec<BorrowedFd<'_>> = [socket.as_fd(), signals.as_fd()]
        .into_iter()
        .chain(watched.iter().map(|one| one.traces.as_fd()))
        .collect();
    let mut polled: Vec<PollFd<'_>> =
        all.iter().map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN)).collect();
    match rustix::event::poll(&mut polled, Some(&left)) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(errno) => Err(ProbeError::Wait(errno)),
    }
}

fn answer(reply: Reply) -> Answer {
    match reply {
        Reply::Echo => Answer::EchoReply,
        Reply::Accepted => Answer::Accepted,
        Reply::Reset => Answer::Refused,
        Reply::Datagram => Answer::Datagram,
        Reply::Trouble(trouble) => Answer::Error { text: said(&trouble), from: trouble.from },
    }
}

fn is_no_way(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::NETUNREACH | Errno::HOSTUNREACH | Errno::NETDOWN | Errno::INVAL | Errno::ADDRNOTAVAIL
    ) || errno == Errno::ACCESS
}

/// Source: RFC 792 and RFC 1812, section 5.2.7; RFC 4443, section 3.
fn said(trouble: &Trouble) -> String {
    let v4 = trouble.from.is_none_or(|from| from.is_ipv4());
    match (trouble.icmp, v4) {
        (Some((3, code)), true) => match code {
            0 => "network unreachable".to_owned(),
            1 => "host unreachable".to_owned(),
            2 => "protocol unreachable".to_owned(),
            3 => "port unreachable".to_owned(),
            4 => "too large, and not to be cut up".to_owned(),
            9 | 10 | 13 => "administratively prohibited".to_owned(),
            code => format!("unreachable (code {code})"),
        },
        (Some((11, _)), true) | (Some((3, _)), false) => "too many routers on the way".to_owned(),
        (Some((1, code)), false) => match code {
            0 => "no route".to_owned(),
            1 => "administratively prohibited".to_owned(),
            3 => "address unreachable".to_owned(),
            4 => "port unreachable".to_owned(),
            code => format!("unreachable (code {code})"),
        },
        (Some((2, _)), false) => "packet too big".to_owned(),
        (Some((kind, code)), _) => format!("ICMP type {kind}, code {code}"),
        (None, _) => match trouble.errno {
            Errno::NETUNREACH => "network is unreachable".to_owned(),
            Errno::HOSTUNREACH => "host is unreachable: its neighbour does not answer".to_owned(),
            Errno::ACCESS => "a route prohibits it".to_owned(),
            Errno::INVAL => "a route swallows it".to_owned(),
            Errno::PERM => "one of the sender's own rules drops it".to_owned(),
            Errno::ADDRNOTAVAIL => "the sender does not have that address".to_owned(),
            Errno::NETDOWN => "the interface is down".to_owned(),
            errno => std::io::Error::from(errno).to_string(),
        },
    }
}
