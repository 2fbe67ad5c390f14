//! Containers of other engines: found by their engine's word, known by their engine's id.
//!
//! A container that its engine starts anew has a new namespace with nothing in it. Its record stays, and it is connected
//! anew, with what it had (`rejoin.rs`): when a command is about it, when the daemon hears of it, and by `restore`.

use std::collections::BTreeMap;

use pontoon_kernel::netns::Netns as OpenNetns;
use pontoon_kernel::process::{Process as Running, SpawnError};
use pontoon_model::diagnose::{near, with_causes};
use pontoon_model::op::{LinkOp, Netns, NetnsPlace};
use pontoon_model::sandbox::{Process, ProcessId, Sandbox};
use pontoon_model::{ContainerRef, SandboxId};
use pontoon_oci::{Client, Container, Kind, OciError, Sharing};
use pontoon_plan::Plan;
use pontoon_store::{Subject, Tx};

use crate::container::running;
use crate::journal::random;
use crate::resolve::{self, Target, by_netns, by_reference, foreign_sandbox};
use crate::time::now;
use crate::{Engine, EngineError, Mode, Outcome};

/// How many containers may have each other's network in a row.
const MOST_SHARING: usize = 8;

/// A container of another engine that runs.
#[derive(Debug)]
pub(crate) struct Found {
    /// What it is called there.
    pub(crate) reference: ContainerRef,
    /// Its engine's id, where that is one of ours as well.
    id: Option<SandboxId>,
    process: ProcessId,
    netns: OpenNetns,
    hostname: String,
    labels: BTreeMap<String, String>,
    /// When it was started, RFC 3339.
    started: String,
}

/// What `kind` calls a container.
pub(crate) fn reference(kind: Kind, name: &str) -> ContainerRef {
    match kind {
        Kind::Docker => ContainerRef::Docker(name.to_owned()),
        Kind::Podman => ContainerRef::Podman(name.to_owned()),
    }
}

/// The engine that can be asked about a container.
pub(crate) fn kind(sandbox: &Sandbox) -> Option<Kind> {
    match sandbox.elsewhere() {
        Some(ContainerRef::Docker(_)) => Some(Kind::Docker),
        Some(ContainerRef::Podman(_)) => Some(Kind::Podman),
        _ => None,
    }
}

/// The container that runs under this name or id; the one whose network it has, where it has another's.
///
/// # Errors
///
/// If there is none, it does not run, or it has the host's network.
fn find(client: &Client, name: &str) -> Result<Found, EngineError> {
    let mut name = name.to_owned();
    for _ in 0..MOST_SHARING {
        let (container, pid) = client.running(&name)?;
        match container.sharing {
            Sharing::Container(other) => name = other,
            Sharing::Host => {
                let reference = reference(client.kind(), &container.name);
                return Err(EngineError::HostNamespace(reference.to_string()));
            }
            Sharing::Own | Sharing::Path(_) => return Found::of(client.kind(), container, pid),
        }
    }
    Err(EngineError::SharedNetwork { name, whose: "other containers in a row".into(), what: "connected" })
}

/// A container that its OCI runtime is about to start.
#[derive(Debug, Clone)]
pub(crate) struct Announced {
    reference: ContainerRef,
    pid: u32,
    labels: BTreeMap<String, String>,
}

impl Found {
    /// A container that its engine says to run with this process.
    pub(crate) fn of(kind: Kind, container: Container, pid: u32) -> Result<Self, EngineError> {
        let Container { id, name, hostname, labels, started, .. } = container;
        let ended = || OciError::NotRunning { kind, name: name.clone() };
        let (process, netns) = open(pid)?.ok_or_else(ended)?;
        let (reference, id) = (reference(kind, &name), id.parse().ok());
        Ok(Self { reference, id, process, netns, hostname, labels, started })
    }

    /// A container that its runtime is about to start with this process.
    fn announced(announced: &Announced) -> Result<Self, EngineError> {
        let Announced { reference, pid, labels } = announced;
        let ended = || EngineError::NotRunning(reference.to_string());
        let (process, netns) = open(*pid)?.ok_or_else(ended)?;
        let (hostname, labels, started) = (String::new(), labels.clone(), now());
        Ok(Self { reference: reference.clone(), id: None, process, netns, hostname, labels, started })
    }

    /// Its record, if it has one.
    fn record(&self, tx: &Tx<'_>) -> Result<Option<Sandbox>, EngineError> {
        match &self.id {
            Some(id) => Ok(tx.bare().sandbox(id)?),
            // Of two runtimes each may have a container with this id.
            None => {
                Ok(tx.bare().sandboxes()?.into_iter().find(|known| {
                    known.is_meant_by(&self.reference) && known.process_id == Some(self.process)
                }))
            }
        }
    }

    /// Its record as it is to be from now on.
    pub(crate) fn renew(&self, known: Sandbox) -> Sandbox {
        let started = self.started.clone();
        Sandbox { netns: self.netns.id(), process_id: Some(self.process), started, ..known }
    }
}

/// A process, and the network namespace that it is in; `None` if it has ended.
fn open(pid: u32) -> Result<Option<(ProcessId, OpenNetns)>, EngineError> {
    let process = match Running::open(pid) {
        Ok(process) => process,
        Err(SpawnError::NoProcess { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let netns = match OpenNetns::of_pid(pid) {
        Ok(netns) => netns,
        Err(error) if error.is_gone() => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    // Read last: as long as it has a start, the number was its own all the time.
    Ok(process.start_time().map(|started| (ProcessId { pid, started }, netns)))
}

/// Where the namespace of a container of Docker's or Podman's is that nobody has recorded; `None` for other references.
pub(crate) fn unrecorded(reference: &ContainerRef) -> Result<Option<NetnsPlace>, EngineError> {
    let (kind, name) = match reference {
        ContainerRef::Docker(name) => (Kind::Docker, name),
        ContainerRef::Podman(name) => (Kind::Podman, name),
        _ => return Ok(None),
    };
    let found = find(&Client::open(kind)?, name)?;
    Ok(Some(NetnsPlace::Pid(found.process.pid)))
}

impl Engine {
    /// The target that a container of Docker's or Podman's is.
    pub(crate) fn engines_target(&mut self, kind: Kind, name: &str) -> Result<Target, EngineError> {
        let found = find(&Client::open(kind)?, name)?;
        self.found_target(found)
    }

    /// The target that a container of an OCI runtime is: one that is announced, or that was when it became known.
    pub(crate) fn runtimes_target(&mut self, reference: &ContainerRef) -> Result<Target, EngineError> {
        if let Some(announced) = self.announced.as_ref().filter(|one| one.reference == *reference) {
            let found = Found::announced(announced)?;
            return self.found_target(found);
        }
        let sandbox = self.store.read(|tx| by_reference(tx, reference))?;
        let sandbox = sandbox.map_or_else(|| Err(self.nobody(reference)), Ok)?;
        let netns = resolve::netns(&sandbox);
        if running(&sandbox)?.is_none() || !self.executor.reach(&netns)? {
            return Err(EngineError::NotRunning(reference.to_string()));
        }
        Ok(Target { sandbox, is_new: false, netns })
    }

    /// That no container is known by a reference.
    fn nobody(&self, reference: &ContainerRef) -> EngineError {
        let known = self.store.read(|tx| tx.bare().sandboxes()).unwrap_or_default();
        let names: Vec<String> = known.iter().map(Sandbox::shown_as).collect();
        let name = reference.to_string();
        let near = near(&name, names.iter().map(String::as_str)).into_iter().map(str::to_owned).collect();
        EngineError::NoContainer { name, near }
    }

    /// Makes a container known that its OCI runtime is about to start: from now on `oci:ID` means the namespace of this
    /// process. Its record gets the labels.
    pub fn announce(&mut self, id: &str, pid: u32, labels: BTreeMap<String, String>) -> ContainerRef {
        let reference = ContainerRef::Oci(id.to_owned());
        self.announced = Some(Announced { reference: reference.clone(), pid, labels });
        reference
    }

    /// Takes a container off all its networks and cables, also when it is gone. One that is on none is no failure.
    ///
    /// # Errors
    ///
    /// If the state cannot be written, or the kernel refuses.
    pub fn leave_all(&mut self, reference: &ContainerRef) -> Result<Outcome<()>, EngineError> {
        let mut left = Outcome { value: (), plan: Plan::default() };
        let (networks, cables) = self.store.read(|tx| -> Result<_, EngineError> {
            let (mut networks, mut cables) = (Vec::new(), Vec::new());
            if let Some(sandbox) = by_reference(tx, reference)? {
                for endpoint in tx.endpoints_of_sandbox(&sandbox.id)? {
                    networks.extend(tx.network(&endpoint.network)?);
                }
                cables = tx.cables_of_sandbox(&sandbox.id)?;
            }
            Ok((networks, cables))
        })?;
        for cable in cables {
            left.plan.append(self.remove_cable(cable)?.plan);
        }
        for network in networks {
            left.plan.append(self.disconnect(network.name.as_str(), reference)?.plan);
        }
        Ok(left)
    }

    fn found_target(&mut self, found: Found) -> Result<Target, EngineError> {
        let netns = found.netns.id();
        if netns == self.host {
            return Err(EngineError::HostNamespace(found.reference.to_string()));
        }
        let known = self.store.read(|tx| found.record(tx))?;
        match &known {
            Some(known) => drop(self.rejoin(known, &found)?),
            None => self.forget_replaced(&found.reference)?,
        }
        let other = match known {
            Some(_) => None,
            None => self.store.read(|tx| by_netns(tx, netns))?,
        };
        let (is_new, sandbox) = match (known, other) {
            (Some(known), _) => (false, found.renew(known)),
            (None, Some(other)) => (false, other),
            (None, None) => (true, new_sandbox(&found)?),
        };
        let place = NetnsPlace::Pid(found.process.pid);
        self.executor.adopt(found.netns)?;
        Ok(Target { sandbox, is_new, netns: Netns::Other { place, id: netns } })
    }

    /// Forgets a container that is gone whose name another has by now.
    fn forget_replaced(&mut self, reference: &ContainerRef) -> Result<(), EngineError> {
        let Some(former) = self.store.read(|tx| by_reference(tx, reference))? else { return Ok(()) };
        if running(&former)?.is_some() || self.mode == Mode::DryRun {
            return Ok(());
        }
        self.forget_container(&former)
    }

    /// Forgets a container that is gone, with all that it had.
    pub(crate) fn forget_container(&mut self, sandbox: &Sandbox) -> Result<(), EngineError> {
        let (endpoints, cables) = self.store.read(|tx| -> Result<_, EngineError> {
            Ok((tx.endpoints_of_sandbox(&sandbox.id)?, tx.cables_of_sandbox(&sandbox.id)?))
        })?;
        let mut plan = Plan::default();
        for endpoint in &endpoints {
            let mark = self.instance().veth_mark(&endpoint.id);
            plan.push(
                LinkOp::Vanish { name: endpoint.host_ifname.clone(), mark },
                format!("{} is gone", sandbox.name),
            );
        }
        for error in self.executor.run_all(&plan.steps) {
            self.warn(with_causes(&error));
        }
        endpoints.iter().try_for_each(|endpoint| self.forget_endpoint(endpoint))?;
        cables.into_iter().try_for_each(|cable| self.forget_lost(&Subject::Cable(cable.id)))
    }
}

fn new_sandbox(found: &Found) -> Result<Sandbox, EngineError> {
    let id = match &found.id {
        Some(id) => id.clone(),
        None => SandboxId::from_bytes(random()?),
    };
    let process = Process { hostname: found.hostname.clone(), ..Process::default() };
    let sandbox = foreign_sandbox(&found.reference, found.netns.id(), id);
    Ok(found.renew(Sandbox { process, labels: found.labels.clone(), ..sandbox }))
}
