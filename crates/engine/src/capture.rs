//! Seeing the packets of a container's interfaces, or of the host's.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::time::Instant;

use ipnet::IpNet;
use pontoon_capture::filter::Filter;
use pontoon_capture::pcapng::{Counts, Direction, Interface, Packet, Receiver};
use pontoon_capture::{Link, bpf};
use pontoon_kernel::packet::{PacketError, PacketSocket, PacketType, Packets, Seen};
use pontoon_kernel::process::Process;
use pontoon_kernel::{address, link};
use pontoon_model::endpoint::CableEnd;
use pontoon_model::op::Netns;
use pontoon_model::sandbox::{NetworkMode, Sandbox, Status};
use pontoon_model::{ContainerRef, IfName, SandboxId};
use pontoon_netlink::address::DumpAddresses;
use pontoon_netlink::link::{DumpLinks, Link as Found};
use pontoon_store::Tx;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;

use crate::{Engine, EngineError, resolve};

/// `IFF_UP` of netdevice(7).
const UP: u32 = 1;

/// What is to be captured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaptureSpec {
    /// The container; none is the host.
    pub place: Option<ContainerRef>,
    /// The interface; none is every one that is up.
    pub interface: Option<IfName>,
    /// Which packets; none is every one.
    pub filter: Option<Filter>,
    /// How many bytes of each packet.
    pub snaplen: u32,
    /// Whether also what is for other stations.
    pub promiscuous: bool,
}

/// Interfaces whose packets are seen, until this is dropped.
#[derive(Debug)]
pub struct Capture {
    taps: Vec<Tap>,
    names: Vec<(IpAddr, String)>,
    /// The container's process. A socket would keep its namespace when it has ended, and with that its interfaces.
    process: Option<Process>,
}

/// One of them.
#[derive(Debug)]
struct Tap {
    about: Interface,
    socket: PacketSocket,
    packets: Packets,
    counts: Counts,
    gone: bool,
}

/// What there was to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waited {
    /// Packets have come, or nothing has.
    Packets,
    /// The time is over.
    Over,
    /// The descriptor that was waited for as well has something.
    Interrupted,
    /// All interfaces are gone.
    Gone,
}

/// A place in words and as plans have it.
struct Place {
    /// `container web`, `the host`.
    name: String,
    sandbox: Option<Sandbox>,
    netns: Netns,
    process: Option<Process>,
}

impl Engine {
    /// Begins to capture.
    ///
    /// # Errors
    ///
    /// If the container does not run, there is no such interface, or none that can be captured; for a filter that is too
    /// long; without `CAP_NET_RAW`.
    pub fn capture(&mut self, spec: &CaptureSpec) -> Result<Capture, EngineError> {
        let place = self.capture_place(spec.place.as_ref())?;
        let socket = self.executor.socket(&place.netns)?;
        let links = link::list(socket, &DumpLinks::default())?;
        let addresses = address::list(socket, &DumpAddresses::default())?;
        let links = chosen(links, spec.interface.as_ref(), &place)?;
        let told = self.store.read(|tx| Ok::<_, EngineError>((told(tx, &place)?, names(tx)?)))?;
        let (descriptions, names) = told;
        let mut taps = Vec::new();
        for found in links {
            let on = addresses.iter().filter(|address| address.link == found.index);
            let nets = on.filter_map(|address| IpNet::new(address.local.address, address.local.len).ok());
            let about = Interface {
                description: descriptions.of(&found.name),
                mac: found.mac.filter(|mac| mac.0 != [0; 6]),
                addresses: nets.collect(),
                link: Link::Ethernet,
                name: found.name,
            };
            let opened =
                self.executor.enter(&place.netns, || PacketSocket::open(found.index.0, &about.name))?;
            let socket = match opened {
                // It went between the look and now.
                Err(PacketError::Gone { .. }) if spec.interface.is_none() => continue,
                opened => opened?,
            };
            let Some(kind) = Link::of_hardware(socket.hardware()) else {
                let unknown =
                    EngineError::UnknownHardware { interface: about.name, hardware: socket.hardware() };
                if spec.interface.is_some() {
                    return Err(unknown);
                }
                self.warn(format!("{unknown}: it is left out"));
                continue;
            };
            let program = match &spec.filter {
                Some(filter) => filter.program(kind, spec.snaplen)?,
                None => bpf::everything(spec.snaplen),
            };
            socket.start(&program, spec.promiscuous)?;
            let packets = Packets::new(spec.snaplen as usize);
            taps.push(Tap {
                about: Interface { link: kind, ..about },
                socket,
                packets,
                counts: Counts::default(),
                gone: false,
            });
        }
        match taps.is_empty() {
            true => Err(EngineError::NothingToCapture(place.name)),
            false => Ok(Capture { taps, names, process: place.process }),
        }
    }

    /// The namespace that is meant. Of a container that is in another's, or the host's, it is that one.
    fn capture_place(&mut self, reference: Option<&ContainerRef>) -> Result<Place, EngineError> {
        let Some(reference) = reference else {
            return Ok(Place {
                name: "the host".to_owned(),
                sandbox: None,
                netns: Netns::Host,
                process: None,
            });
        };
        let ContainerRef::Ours(name) = reference else {
            let target = self.target(reference)?;
            let name = format!("container {}", target.sandbox.name);
            let process = match reference {
                ContainerRef::Pid(pid) => Some(Process::open(*pid)?),
                _ => running(&target.sandbox)?,
            };
            return Ok(Place { name, sandbox: Some(target.sandbox), netns: target.netns, process });
        };
        let mut sandbox = self.store.read(|tx| resolve::container(tx, name))?;
        let name = format!("container {}", sandbox.name);
        loop {
            if sandbox.is_ours() && sandbox.status != Status::Running {
                return Err(EngineError::NotRunning(sandbox.name.to_string()));
            }
            sandbox = match &sandbox.mode {
                NetworkMode::Host => {
                    return Ok(Place {
                        name,
                        sandbox: None,
                        netns: Netns::Host,
                        process: running(&sandbox)?,
                    });
                }
                NetworkMode::Container(other) => self
                    .store
                    .read(|tx| tx.bare().sandbox(other))?
                    .ok_or_else(|| EngineError::NotRunning(other.short().to_owned()))?,
                NetworkMode::Networks | NetworkMode::None => break,
            };
        }
        let netns = resolve::netns(&sandbox);
        match self.executor.reach(&netns)? {
            true => Ok(Place { name, netns, process: running(&sandbox)?, sandbox: Some(sandbox) }),
            false => Err(EngineError::NotRunning(sandbox.name.to_string())),
        }
    }
}

/// The process that a container is.
fn running(sandbox: &Sandbox) -> Result<Option<Process>, EngineError> {
    match sandbox.process_id {
        Some(id) => Ok(Process::open_started(id.pid, id.started)?),
        None => Ok(None),
    }
}

/// The interface that was named, or those that are up.
fn chosen(mut links: Vec<Found>, wanted: Option<&IfName>, place: &Place) -> Result<Vec<Found>, EngineError> {
    links.sort_by_key(|link| link.index.0);
    let Some(wanted) = wanted else {
        links.retain(|link| link.flags & UP != 0);
        return Ok(links);
    };
    let is = |link: &&Found| {
        link.name == wanted.as_str() || link.alt_names.iter().any(|name| name == wanted.as_str())
    };
    match links.iter().find(is) {
        Some(link) => Ok(vec![link.clone()]),
        None => Err(EngineError::NoLink {
            place: place.name.clone(),
            name: wanted.to_string(),
            there: links.into_iter().map(|link| link.name).collect(),
        }),
    }
}

/// What is known of the interfaces of a place.
struct Told {
    place: String,
    interfaces: BTreeMap<String, String>,
}

impl Told {
    fn of(&self, interface: &str) -> String {
        match (self.interfaces.get(interface), interface) {
            (Some(about), _) => format!("{}, {about}", self.place),
            (None, "lo") => format!("{}, loopback", self.place),
            (None, _) => self.place.clone(),
        }
    }
}

fn told(tx: &Tx<'_>, place: &Place) -> Result<Told, EngineError> {
    let mut interfaces = BTreeMap::new();
    let own: Option<&SandboxId> = place.sandbox.as_ref().map(|sandbox| &sandbox.id);
    let sandboxes: BTreeMap<SandboxId, String> =
        tx.bare().sandboxes()?.into_iter().map(|sandbox| (sandbox.id, sandbox.name.into())).collect();
    let name = |id: &SandboxId| sandboxes.get(id).map_or_else(|| id.short().to_owned(), Clone::clone);
    for network in tx.networks()? {
        for endpoint in tx.endpoints_of_network(&network.id)? {
            match own {
                None => {
                    let about = format!(
                        "{} of {}, network {}",
                        endpoint.ifname,
                        name(&endpoint.sandbox),
                        network.name
                    );
                    interfaces.insert(endpoint.host_ifname.to_string(), about);
                }
                Some(own) if endpoint.sandbox == *own => {
                    interfaces.insert(endpoint.ifname.to_string(), format!("network {}", network.name));
                }
                Some(_) => {}
            }
        }
        if own.is_none() {
            interfaces.insert(network.bridge_name.to_string(), format!("bridge of network {}", network.name));
        }
    }
    let whose = |end: &CableEnd| end.sandbox.as_ref().map_or_else(|| "the host".to_owned(), name);
    for cable in tx.cables()? {
        let [one, other] = &cable.ends;
        for (end, far) in [(one, other), (other, one)] {
            if end.sandbox.as_ref() == own {
                let about = format!("cable to {} of {}", far.ifname, whose(far));
                interfaces.insert(end.ifname.to_string(), about);
            }
        }
    }
    Ok(Told { place: place.name.clone(), interfaces })
}

/// What the addresses on networks are called.
fn names(tx: &Tx<'_>) -> Result<Vec<(IpAddr, String)>, EngineError> {
    let mut names = Vec::new();
    for sandbox in tx.bare().sandboxes()? {
        for endpoint in tx.endpoints_of_sandbox(&sandbox.id)? {
            names.extend(endpoint.addresses().map(|address| (address, sandbox.name.to_string())));
        }
    }
    Ok(names)
}

impl Capture {
    /// The interfaces, in the order of their numbers in packets.
    pub fn interfaces(&self) -> impl Iterator<Item = &Interface> {
        self.taps.iter().map(|tap| &tap.about)
    }

    /// The names of containers' addresses.
    pub fn names(&self) -> impl Iterator<Item = (IpAddr, &str)> {
        self.names.iter().map(|(address, name)| (*address, name.as_str()))
    }

    /// Waits for packets, until a moment, or until there is something to read from `interrupt`. Whichever it
    /// is, [`Capture::packets`] has what there was of packets.
    ///
    /// # Errors
    ///
    /// If the kernel does not let packets be taken.
    pub fn wait(&mut self, until: Option<Instant>, interrupt: &impl AsFd) -> Result<Waited, EngineError> {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        let taps = self.taps.iter().filter(|tap| !tap.gone).map(|tap| tap.socket.as_fd());
        let ends = self.process.iter().map(AsFd::as_fd);
        let all = std::iter::once(interrupt.as_fd()).chain(ends).chain(taps);
        let mut fds: Vec<PollFd<'_>> = all.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
        let limit =
            left.map(|left| Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() });
        match rustix::event::poll(&mut fds, limit.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(EngineError::Wait(errno.into())),
        }
        let interrupted = !fds[0].revents().is_empty();
        let ended = self.process.is_some() && !fds[1].revents().is_empty();
        let mut count = 0;
        for tap in &mut self.taps {
            count += tap.receive()?;
        }
        Ok(match () {
            () if interrupted => Waited::Interrupted,
            () if left.is_some_and(|left| left.is_zero()) => Waited::Over,
            () if count > 0 => Waited::Packets,
            () if ended || self.taps.iter().all(|tap| tap.gone) => Waited::Gone,
            () => Waited::Packets,
        })
    }

    /// The packets that have come, by their time.
    pub fn packets(&self) -> Vec<Packet<'_>> {
        let mut packets: Vec<Packet<'_>> = Vec::new();
        for (tap, number) in self.taps.iter().zip(0..) {
            packets.extend(tap.packets.iter().map(|(seen, data)| packet(number, seen, data)));
        }
        packets.sort_by_key(|packet| packet.time);
        packets
    }

    /// What the kernel counted at each interface.
    ///
    /// # Errors
    ///
    /// If it does not tell.
    pub fn counts(&mut self) -> Result<Vec<Counts>, EngineError> {
        for tap in &mut self.taps {
            let (accepted, dropped) = tap.socket.statistics()?;
            tap.counts.accepted += accepted;
            tap.counts.dropped += dropped;
        }
        Ok(self.taps.iter().map(|tap| tap.counts).collect())
    }
}

impl Tap {
    fn receive(&mut self) -> Result<usize, EngineError> {
        match self.packets.receive(&self.socket) {
            // Down, it may come up again.
            Err(PacketError::Call { errno: Errno::NETDOWN, .. }) => {
                self.gone = self.socket.is_gone()?;
                Ok(0)
            }
            taken => Ok(taken?),
        }
    }
}

fn packet(interface: u32, seen: Seen, data: &[u8]) -> Packet<'_> {
    let receiver = match seen.kind {
        PacketType::Host => Some(Receiver::One),
        PacketType::Broadcast => Some(Receiver::All),
        PacketType::Multicast => Some(Receiver::Group),
        PacketType::OtherHost => Some(Receiver::Other),
        PacketType::Outgoing => None,
    };
    let direction = if seen.kind == PacketType::Outgoing { Direction::Out } else { Direction::In };
    Packet { interface, time: seen.time, direction, receiver, data, length: seen.length }
}
