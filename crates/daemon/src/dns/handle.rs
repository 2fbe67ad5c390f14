//! What the rest of the daemon calls.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use pontoon_dns::{Member, NetworkNames, Upstreams};
use pontoon_kernel::datagram::{self, DatagramError, DeviceSocket};
use pontoon_model::{IfName, NetworkId, SandboxId};
use rustix::event::{EventfdFlags, eventfd};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::server::Loop;
use super::shared::{Command, Shared, Sockets, lock};
use super::{Options, ServeError, StartError, Statistics};

/// Where Docker's containers ask: images count on it.
const DOCKER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);

/// The running server. All calls may be made from any thread, at any time; when one has returned, queries are answered by
/// the new state. Dropping it ends the server.
#[derive(Debug)]
pub struct Handle {
    shared: Arc<Shared>,
    port: u16,
    /// The networks with sockets, and where those are.
    served: Mutex<HashMap<NetworkId, Place>>,
    thread: Option<JoinHandle<()>>,
}

/// Where a network's sockets are.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    bridge: IfName,
    /// The bridge's number: one that is made anew has another.
    index: u32,
    addresses: Vec<IpAddr>,
}

/// A network is served.
#[derive(Debug, Default)]
#[must_use]
pub struct Served {
    /// What is missing: listeners, where somebody else listens on every address. Answers that are too long for a
    /// datagram cannot be had then.
    pub without: Vec<DatagramError>,
}

pub(super) fn start(options: Options) -> Result<Handle, StartError> {
    raise_file_limit();
    let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
        .map_err(|errno| StartError::Call { operation: "open an eventfd", errno })?;
    let shared = Arc::new(Shared::new(wake));
    let port = options.port;
    let mut server = Loop::new(options, Arc::clone(&shared))?;
    let thread = std::thread::Builder::new().name("names".into()).spawn(move || server.run());
    let thread = Some(thread.map_err(StartError::Thread)?);
    Ok(Handle { shared, port, served: Mutex::default(), thread })
}

/// As far as it may be without a privilege. Where it may not, fewer questions are on their way at once.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

impl Handle {
    /// Serves a network's names on its bridge, at the gateways' addresses and at 127.0.0.11; or changes what is known of
    /// the network. A bridge that was made anew gets new sockets. A network whose names are not enabled is known, and not
    /// served.
    ///
    /// # Errors
    ///
    /// [`ServeError::Socket`] when somebody has the port at every address, when there is no such device, or without the
    /// privileges. Nothing is known of the network then.
    pub fn serve(&self, network: NetworkNames, bridge: &IfName) -> Result<Served, ServeError> {
        let mut served = lock(&self.served);
        let id = network.id.clone();
        if !network.enabled {
            self.shared.update(|directory| directory.set_network(network));
            if served.remove(&id).is_some() {
                self.close(&id)?;
            }
            self.gateways()?;
            return Ok(Served::default());
        }
        let place = Place::new(&network, bridge);
        if let Ok(place) = &place
            && served.get(&id) == Some(place)
        {
            self.shared.update(|directory| directory.set_network(network));
            self.gateways()?;
            return Ok(Served::default());
        }
        self.shared.update(|directory| directory.remove_network(&id));
        if served.remove(&id).is_some() {
            self.close(&id)?;
        }
        let name = network.name.clone();
        let failed = |source| ServeError::Socket { network: name.clone(), source };
        let place = place.map_err(failed)?;
        let (sockets, without) = place.open(self.port).map_err(failed)?;
        let key = self.shared.update(|directory| directory.set_network(network));
        let opened = self.ask(|done| Command::Open { id: id.clone(), key, sockets, done })?;
        opened.map_err(|errno| ServeError::Wait { network: name.clone(), errno })?;
        served.insert(id, place);
        self.gateways()?;
        Ok(Served { without })
    }

    /// Stops serving a network, and forgets what is known of it.
    ///
    /// # Errors
    ///
    /// [`ServeError::Stopped`].
    pub fn withdraw(&self, id: &NetworkId) -> Result<(), ServeError> {
        let mut served = lock(&self.served);
        self.shared.update(|directory| directory.remove_network(id));
        if served.remove(id).is_some() {
            self.close(id)?;
        }
        self.gateways()
    }

    /// Adds a container, or changes what it is called and where it is.
    pub fn set_member(&self, member: Member) {
        self.shared.update(|directory| directory.set_member(member));
    }

    /// Forgets a container: none of its addresses is told any more when this returns.
    pub fn remove_member(&self, sandbox: &SandboxId) {
        self.shared.update(|directory| directory.remove_member(sandbox));
    }

    /// The networks that are known, in the order of their names.
    pub fn networks(&self) -> Vec<NetworkNames> {
        let mut networks: Vec<_> =
            self.shared.update(|directory| directory.network_list().cloned().collect());
        networks.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
        networks
    }

    /// Asks these servers for other names; those that the host's files name if there are none.
    ///
    /// # Errors
    ///
    /// [`ServeError::Stopped`].
    pub fn set_upstreams(&self, upstreams: Option<Upstreams>) -> Result<(), ServeError> {
        self.ask(|done| Command::Upstreams { upstreams, done })
    }

    /// What happened until now.
    ///
    /// # Errors
    ///
    /// [`ServeError::Stopped`].
    pub fn statistics(&self) -> Result<Statistics, ServeError> {
        self.ask(|done| Command::Statistics { done })
    }

    /// Ends the server; its sockets are closed when this returns.
    pub fn stop(self) {
        drop(self);
    }

    fn close(&self, id: &NetworkId) -> Result<(), ServeError> {
        self.ask(|done| Command::Close { id: id.clone(), done })
    }

    fn gateways(&self) -> Result<(), ServeError> {
        self.ask(|done| Command::Gateways { done })
    }

    /// Has the thread do something, and waits until it has.
    fn ask<R>(
        &self,
        command: impl FnOnce(std::sync::mpsc::SyncSender<R>) -> Command,
    ) -> Result<R, ServeError> {
        let (done, answer) = sync_channel(1);
        self.shared.send(command(done));
        answer.recv().map_err(|_| ServeError::Stopped)
    }
}

impl Place {
    fn new(network: &NetworkNames, bridge: &IfName) -> Result<Self, DatagramError> {
        let mut addresses = network.gateways.clone();
        if network.subnets.iter().any(|subnet| subnet.addr().is_ipv4()) {
            addresses.push(DOCKER.into());
        }
        addresses.sort_unstable();
        addresses.dedup();
        Ok(Self { bridge: bridge.clone(), index: datagram::index_of(bridge)?, addresses })
    }

    /// The sockets, and the listeners that cannot be had.
    fn open(&self, port: u16) -> Result<(Sockets, Vec<DatagramError>), DatagramError> {
        let (mut sockets, mut without) = (Sockets::default(), Vec::new());
        for address in &self.addresses {
            sockets.datagrams.push(DeviceSocket::open(&self.bridge, *address, port)?);
            match datagram::listen(&self.bridge, *address, port) {
                Ok(listener) => sockets.listeners.push(listener),
                Err(error @ DatagramError::Taken { .. }) => without.push(error),
                Err(error) => return Err(error),
            }
        }
        Ok((sockets, without))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.send(Command::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
