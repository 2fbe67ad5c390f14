//! From what a person wrote to the network or container that is meant.

use std::path::Path;

use pontoon_kernel::netns::Netns as OpenNetns;
use pontoon_model::diagnose::near;
use pontoon_model::op::{Netns, NetnsPlace};
use pontoon_model::sandbox::{NetnsId, NetworkMode, Origin, Process, Sandbox, Status};
use pontoon_model::{ContainerRef, Network, SandboxId, SandboxName};
use pontoon_oci::Kind;
use pontoon_store::Tx;

use crate::container::running;
use crate::journal::random;
use crate::time::now;
use crate::{Engine, EngineError};

/// A namespace to work in, and the sandbox that it is.
#[derive(Debug, Clone)]
pub struct Target {
    /// The sandbox, without its published ports; a new one when the namespace was not known.
    pub sandbox: Sandbox,
    /// Whether the sandbox is new.
    pub is_new: bool,
    /// The namespace.
    pub netns: Netns,
}

/// The network that `name` means: by name, by id, or by the beginning of an id.
///
/// # Errors
///
/// If there is none, or several.
pub fn network(tx: &Tx<'_>, name: &str) -> Result<Network, EngineError> {
    if let Some(network) = tx.network_by_name(name)? {
        return Ok(network);
    }
    if let Some(builtin) =
        crate::network::builtins().into_iter().find(|network| network.name.as_str() == name)
    {
        return Ok(builtin);
    }
    let mut found = if is_id_prefix(name) { tx.networks_by_id_prefix(name)? } else { Vec::new() };
    match (found.pop(), found.is_empty()) {
        (Some(network), true) => Ok(network),
        (Some(_), false) => Err(EngineError::AmbiguousNetwork(name.to_owned())),
        (None, _) => {
            let names: Vec<String> = tx.networks()?.into_iter().map(|network| network.name.into()).collect();
            let near = near(name, names.iter().map(String::as_str)).into_iter().map(str::to_owned).collect();
            Err(EngineError::NoNetwork { name: name.to_owned(), near })
        }
    }
}

/// The container that `name` means: by name, by id, by the beginning of an id, or by the reference with which one of
/// somebody else's became known.
///
/// # Errors
///
/// If there is none, or several.
pub fn container(tx: &Tx<'_>, name: &str) -> Result<Sandbox, EngineError> {
    let sandbox = bare_container(tx, name)?;
    Ok(Sandbox { ports: tx.ports_of(&sandbox.id)?, ..sandbox })
}

/// The same without its published ports.
fn bare_container(tx: &Tx<'_>, name: &str) -> Result<Sandbox, EngineError> {
    if let Some(sandbox) = tx.bare().sandbox_by_name(name)? {
        return Ok(sandbox);
    }
    if let Some(sandbox) = meant(tx, name)? {
        return Ok(sandbox);
    }
    let mut found = if is_id_prefix(name) { tx.bare().sandboxes_by_id_prefix(name)? } else { Vec::new() };
    match (found.pop(), found.is_empty()) {
        (Some(sandbox), true) => Ok(sandbox),
        (Some(_), false) => Err(EngineError::AmbiguousContainer(name.to_owned())),
        (None, _) => {
            let names: Vec<String> = tx.bare().sandboxes()?.iter().map(Sandbox::shown_as).collect();
            let near = near(name, names.iter().map(String::as_str)).into_iter().map(str::to_owned).collect();
            Err(EngineError::NoContainer { name: name.to_owned(), near })
        }
    }
}

/// Somebody else's container by a reference such as `docker:web`.
fn meant(tx: &Tx<'_>, name: &str) -> Result<Option<Sandbox>, EngineError> {
    match name.parse() {
        Ok(ContainerRef::Ours(_)) | Err(_) => Ok(None),
        Ok(reference) => Ok(by_reference(tx, &reference)?),
    }
}

/// The record of somebody else's container, also of one that is gone, by what it was called when it became known.
pub(crate) fn by_reference(tx: &Tx<'_>, reference: &ContainerRef) -> Result<Option<Sandbox>, EngineError> {
    Ok(tx.bare().sandboxes()?.into_iter().find(|sandbox| sandbox.is_meant_by(reference)))
}

/// The record of what is in a namespace. A container of another engine whose process is gone was in a former namespace
/// with the same number: numbers are given out again at once.
pub(crate) fn by_netns(tx: &Tx<'_>, netns: NetnsId) -> Result<Option<Sandbox>, EngineError> {
    for sandbox in tx.bare().sandboxes_by_netns(netns)? {
        if sandbox.elsewhere().is_none() || running(&sandbox)?.is_some() {
            return Ok(Some(sandbox));
        }
    }
    Ok(None)
}

fn is_id_prefix(text: &str) -> bool {
    !text.is_empty() && text.len() <= 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The file through which a sandbox's namespace is found.
pub fn place(sandbox: &Sandbox) -> NetnsPlace {
    match (&sandbox.pinned, &sandbox.origin) {
        (Some(name), _) => NetnsPlace::Named(name.clone()),
        (None, Origin::Foreign(ContainerRef::NetnsName(name))) => NetnsPlace::Named(name.clone()),
        (None, Origin::Foreign(ContainerRef::NetnsPath(path))) => NetnsPlace::Path(path.clone()),
        (None, Origin::Foreign(ContainerRef::Pid(pid))) => NetnsPlace::Pid(*pid),
        (None, _) => NetnsPlace::Pid(sandbox.process_id.map_or(0, |process| process.pid)),
    }
}

/// A sandbox's namespace as plans name it.
pub fn netns(sandbox: &Sandbox) -> Netns {
    Netns::Other { place: place(sandbox), id: sandbox.netns }
}

impl Engine {
    /// Opens the namespace that a reference means and finds, or makes, its sandbox's record. Writes nothing.
    ///
    /// # Errors
    ///
    /// If there is no such container, it does not run, or the namespace is the host's own.
    pub(crate) fn target(&mut self, reference: &ContainerRef) -> Result<Target, EngineError> {
        match reference {
            ContainerRef::Ours(name) => self.own_target(name),
            ContainerRef::Pid(pid) => {
                self.foreign_target(reference, OpenNetns::of_pid(*pid)?, NetnsPlace::Pid(*pid))
            }
            ContainerRef::NetnsName(name) => {
                self.foreign_target(reference, OpenNetns::open_name(name)?, NetnsPlace::Named(name.clone()))
            }
            ContainerRef::NetnsPath(path) => {
                let opened = OpenNetns::open_path(Path::new(path))?;
                self.foreign_target(reference, opened, NetnsPlace::Path(path.clone()))
            }
            ContainerRef::Docker(name) => self.engines_target(Kind::Docker, name),
            ContainerRef::Podman(name) => self.engines_target(Kind::Podman, name),
            ContainerRef::Oci(_) => self.runtimes_target(reference),
        }
    }

    fn own_target(&mut self, name: &str) -> Result<Target, EngineError> {
        let sandbox = self.store.read(|tx| bare_container(tx, name))?;
        let shared = match &sandbox.mode {
            NetworkMode::Host => Some("the host".to_owned()),
            NetworkMode::Container(other) => {
                let other = self.store.read(|tx| tx.bare().sandbox(other))?;
                Some(other.map_or_else(
                    || "another container".to_owned(),
                    |other| format!("container `{}`", other.name),
                ))
            }
            NetworkMode::Networks | NetworkMode::None => None,
        };
        if let Some(whose) = shared {
            return Err(EngineError::SharedNetwork { name: name.to_owned(), whose, what: "connected" });
        }
        if sandbox.is_ours() && sandbox.status != Status::Running {
            return Err(EngineError::NotRunning(name.to_owned()));
        }
        let netns = netns(&sandbox);
        if !self.executor.reach(&netns)? {
            return Err(EngineError::NotRunning(name.to_owned()));
        }
        Ok(Target { sandbox, is_new: false, netns })
    }

    fn foreign_target(
        &mut self,
        reference: &ContainerRef,
        opened: OpenNetns,
        place: NetnsPlace,
    ) -> Result<Target, EngineError> {
        let id = opened.id();
        if id == self.host {
            return Err(EngineError::HostNamespace(reference.to_string()));
        }
        self.executor.adopt(opened)?;
        let netns = Netns::Other { place, id };
        let known = self.store.read(|tx| by_netns(tx, id))?;
        if let Some(sandbox) = known {
            return Ok(Target { sandbox, is_new: false, netns });
        }
        let sandbox = foreign_sandbox(reference, id, SandboxId::from_bytes(random()?));
        Ok(Target { sandbox, is_new: true, netns })
    }
}

/// A record for a namespace that somebody else made. Its name tells where it was found; the namespace's number is
/// added when that name is taken.
pub(crate) fn foreign_sandbox(reference: &ContainerRef, netns: NetnsId, id: SandboxId) -> Sandbox {
    let name = match reference {
        ContainerRef::NetnsName(name) => format!("netns-{name}"),
        ContainerRef::NetnsPath(_) => format!("netns-{}", netns.ino),
        other => other.to_string().replace(':', "-"),
    };
    let clean: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "_.-".contains(c) { c } else { '-' })
        .take(48)
        .collect();
    let name: SandboxName = clean.parse().unwrap_or_else(|_| {
        format!("netns-{}", netns.ino).parse().expect("letters, digits and a dash are a name")
    });
    Sandbox {
        id,
        name,
        former_name: None,
        origin: Origin::Foreign(reference.clone()),
        netns,
        pinned: None,
        mode: NetworkMode::Networks,
        status: Status::Running,
        process_id: None,
        keeper: None,
        process: Process::default(),
        ports: Vec::new(),
        labels: std::collections::BTreeMap::new(),
        created: now(),
        started: String::new(),
        finished: String::new(),
        health: None,
        restarts: 0,
        stopping: false,
    }
}

/// Makes sure that a target's record is there, inside the transaction that will use it: a container that ended
/// meanwhile is refused; one that somebody else changed or made known meanwhile is taken as it is now, without its
/// published ports.
///
/// # Errors
///
/// If the container does not run any more, or the record cannot be written.
pub(crate) fn settle(tx: &Tx<'_>, target: &mut Target) -> Result<(), EngineError> {
    if target.sandbox.is_ours() {
        return match tx.bare().sandbox(&target.sandbox.id)? {
            Some(now) if now.status == Status::Running => {
                target.sandbox = now;
                Ok(())
            }
            _ => Err(EngineError::NotRunning(target.sandbox.name.to_string())),
        };
    }
    let known = match target.sandbox.elsewhere() {
        Some(_) => tx.bare().sandbox(&target.sandbox.id)?,
        None => None,
    };
    if let Some(known) = known.map_or_else(|| by_netns(tx, target.sandbox.netns), |known| Ok(Some(known)))? {
        target.sandbox = known;
        return Ok(());
    }
    if tx.bare().sandbox_by_name(target.sandbox.name.as_str())?.is_some() {
        let other = format!("{}-{}", target.sandbox.name, target.sandbox.netns.ino);
        target.sandbox.name = other.parse()?;
    }
    Ok(tx.sandbox_put(&target.sandbox)?)
}
