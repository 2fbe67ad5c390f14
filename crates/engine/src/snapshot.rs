//! The host as it is, read for `explain`: by dumps, for nobody waits for a packet meanwhile.

mod read;

use std::collections::VecDeque;
use std::path::Path;

use pontoon_kernel::execute::Refusal;
use pontoon_kernel::netns::{self, Netns as OpenNetns};
use pontoon_kernel::nsid;
use pontoon_kernel::socket::{Protocol, Socket};
use pontoon_model::observed::snapshot::{Namespace, Snapshot, VERSION};
use pontoon_model::op::{Netns, NetnsPlace};
use pontoon_model::resolv_conf::ResolvConf;
use pontoon_model::sandbox::{NetnsId, Sandbox, Status};
use pontoon_model::{ContainerRef, Endpoint, Publication};

use crate::report::{Reader, ReportError};
use crate::{EngineError, elsewhere, observe, resolve};

/// How many namespaces are read beside those that somebody named.
const MOST: usize = 200;

const RESOLV_CONF: &str = "/etc/resolv.conf";

/// A namespace that can be read.
struct Candidate {
    name: String,
    netns: Netns,
    opened: OpenNetns,
    /// Files that may say whom its programs ask for names: the first that is there does.
    resolvers: Vec<String>,
    ports: Vec<Publication>,
    endpoints: Vec<Endpoint>,
}

/// The host, the namespaces that are `named`, and those that the veth pairs of any of them lead to; with what the
/// namespaces that are named are called there. `restore` is the command that puts back what is ours.
///
/// # Errors
///
/// If one that is named is not there, or the kernel does not tell: to enter a namespace takes `CAP_SYS_ADMIN`.
pub fn take(
    reader: &Reader,
    named: &[ContainerRef],
    restore: &str,
) -> Result<(Snapshot, Vec<String>), ReportError> {
    gather(reader, named, restore, false)
}

/// The same with all containers and namespaces that are on one of our networks.
///
/// # Errors
///
/// Those of [`take`].
pub fn everything(
    reader: &Reader,
    named: &[ContainerRef],
    restore: &str,
) -> Result<(Snapshot, Vec<String>), ReportError> {
    gather(reader, named, restore, true)
}

/// Whether the namespace of a record is still there, and the same.
pub(crate) fn is_there(sandbox: &Sandbox) -> bool {
    open(&resolve::place(sandbox)).is_ok_and(|opened| opened.id() == sandbox.netns)
}

fn gather(
    reader: &Reader,
    named: &[ContainerRef],
    restore: &str,
    all: bool,
) -> Result<(Snapshot, Vec<String>), ReportError> {
    let mut candidates = candidates(reader)?;
    let (mut queue, mut names) = (VecDeque::from([0]), Vec::new());
    for reference in named {
        let at = find(reader, &mut candidates, reference)?;
        names.push(candidates[at].name.clone());
        queue.push_back(at);
    }
    if all {
        queue.extend((0..candidates.len()).filter(|at| !candidates[*at].endpoints.is_empty()));
    }
    let most = MOST + queue.len();
    let mut read: Vec<(usize, Namespace)> = Vec::new();
    while let Some(at) = queue.pop_front() {
        if read.iter().any(|(known, _)| *known == at) || read.len() > most {
            continue;
        }
        let namespace = namespace(&candidates, at)?;
        let peers = namespace.links.iter().filter_map(|link| link.peer?.netns);
        queue.extend(peers.filter_map(|id| candidates.iter().position(|one| one.opened.id() == id)));
        read.push((at, namespace));
    }
    let namespaces = read.into_iter().map(|(_, namespace)| namespace).collect();
    Ok((
        Snapshot {
            version: VERSION,
            namespaces,
            networks: reader.networks()?,
            upstream: observe::resolv_confs().1.unwrap_or_default().nameservers,
            restore: restore.to_owned(),
        },
        names,
    ))
}

/// The host, the containers that run, and what has a name in `/run/netns`: each namespace once.
fn candidates(reader: &Reader) -> Result<Vec<Candidate>, ReportError> {
    let host = OpenNetns::current().map_err(EngineError::from)?;
    let mut found = vec![Candidate {
        name: "host".to_owned(),
        netns: Netns::Host,
        opened: host,
        resolvers: vec![RESOLV_CONF.to_owned()],
        ports: Vec::new(),
        endpoints: Vec::new(),
    }];
    for sandbox in reader.containers()? {
        if matches!(sandbox.status, Status::Exited(_)) {
            continue;
        }
        let place = resolve::place(&sandbox);
        // One that has just ended is not there any more.
        let Ok(opened) = open(&place) else { continue };
        if opened.id() == sandbox.netns && !is_known(&found, opened.id()) {
            found.push(container(reader, &sandbox, place, opened)?);
        }
    }
    for name in netns::pinned_names().map_err(EngineError::from)? {
        let place = NetnsPlace::Named(name.clone());
        // A name may stand for nothing, or for what an interrupted `ip netns add` left.
        let Ok(opened) = open(&place) else { continue };
        if !is_known(&found, opened.id()) {
            found.push(stranger(name, place, opened));
        }
    }
    Ok(found)
}

fn is_known(candidates: &[Candidate], id: NetnsId) -> bool {
    candidates.iter().any(|candidate| candidate.opened.id() == id)
}

pub(crate) fn open(place: &NetnsPlace) -> Result<OpenNetns, netns::NetnsError> {
    match place {
        NetnsPlace::Named(name) => OpenNetns::open_name(name),
        NetnsPlace::Path(path) => OpenNetns::open_path(Path::new(path)),
        NetnsPlace::Pid(pid) => OpenNetns::of_pid(*pid),
    }
}

fn container(
    reader: &Reader,
    sandbox: &Sandbox,
    place: NetnsPlace,
    opened: OpenNetns,
) -> Result<Candidate, ReportError> {
    let places = reader.of_container(sandbox)?;
    let process = sandbox.process_id.map(|process| of_process(process.pid));
    Ok(Candidate {
        name: sandbox.known_as(),
        resolvers: process.into_iter().chain(resolvers(&place)).collect(),
        netns: Netns::Other { place, id: opened.id() },
        opened,
        ports: sandbox.ports.clone(),
        endpoints: places.into_iter().map(|place| place.endpoint).collect(),
    })
}

fn stranger(name: String, place: NetnsPlace, opened: OpenNetns) -> Candidate {
    let resolvers = resolvers(&place);
    let netns = Netns::Other { place, id: opened.id() };
    Candidate { name, netns, opened, resolvers, ports: Vec::new(), endpoints: Vec::new() }
}

/// What says whom programs in a namespace ask: `ip netns exec` gives them a file of their own, or the host's.
fn resolvers(place: &NetnsPlace) -> Vec<String> {
    match place {
        NetnsPlace::Named(name) => vec![format!("/etc/netns/{name}/resolv.conf"), RESOLV_CONF.to_owned()],
        NetnsPlace::Pid(pid) => vec![of_process(*pid)],
        NetnsPlace::Path(_) => Vec::new(),
    }
}

/// A process's own `/etc/resolv.conf`.
fn of_process(pid: u32) -> String {
    format!("/proc/{pid}/root{RESOLV_CONF}")
}

/// The candidate that a reference means; one more where nobody knew of it.
fn find(
    reader: &Reader,
    candidates: &mut Vec<Candidate>,
    reference: &ContainerRef,
) -> Result<usize, ReportError> {
    let place = match reference {
        ContainerRef::Pid(pid) => NetnsPlace::Pid(*pid),
        ContainerRef::NetnsName(name) => NetnsPlace::Named(name.clone()),
        ContainerRef::NetnsPath(path) => NetnsPlace::Path(path.clone()),
        _ => match reader.known(reference) {
            Ok(known) => resolve::place(&known),
            Err(unknown) => elsewhere::unrecorded(reference)?.ok_or(unknown)?,
        },
    };
    let not_running = || EngineError::NotRunning(reference.to_string());
    let opened = match open(&place) {
        Err(error) if error.is_gone() && matches!(reference, ContainerRef::Ours(_)) => {
            return Err(not_running().into());
        }
        opened => opened.map_err(EngineError::from)?,
    };
    match candidates.iter().position(|candidate| candidate.opened.id() == opened.id()) {
        Some(at) => Ok(at),
        None => {
            candidates.push(stranger(reference.to_string(), place, opened));
            Ok(candidates.len() - 1)
        }
    }
}

/// Reads a candidate.
fn namespace(candidates: &[Candidate], at: usize) -> Result<Namespace, EngineError> {
    let candidate = &candidates[at];
    let read = candidate.opened.enter(|| -> Result<Namespace, EngineError> {
        let mut socket = Socket::open(Protocol::Route)?.in_namespace(candidate.name.clone());
        let mut numbers = Vec::new();
        for other in candidates {
            // Whose number cannot be told is nobody's peer.
            let number = nsid::number_of(&mut socket, &other.opened).ok().flatten();
            numbers.extend(number.map(|number| (number, other.opened.id())));
        }
        read::namespace(
            &mut socket,
            &read::Known {
                name: &candidate.name,
                netns: &candidate.netns,
                id: candidate.opened.id(),
                numbers: &numbers,
            },
        )
    });
    let mut namespace = read.map_err(Refusal::from)??;
    let mut files = candidate.resolvers.iter();
    if let Some((file, text)) = files.find_map(|file| Some((file, std::fs::read_to_string(file).ok()?))) {
        namespace.name_servers = ResolvConf::parse(&text).nameservers;
        namespace.resolver = Some(file.clone());
    }
    namespace.ports.clone_from(&candidate.ports);
    namespace.endpoints.clone_from(&candidate.endpoints);
    Ok(namespace)
}
