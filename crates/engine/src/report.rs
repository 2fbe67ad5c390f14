//! What there is, for those who ask: read without changing anything, and told in the shapes of Docker's API.

pub mod container;
mod graph;
pub mod network;
pub mod port;
pub mod stats;
pub mod tally;

use std::io::{self, ErrorKind};
use std::path::PathBuf;

use pontoon_kernel::port::Holder;
use pontoon_model::endpoint::Cable;
use pontoon_model::network::Driver;
use pontoon_model::sandbox::{Origin, Status};
use pontoon_model::{ContainerRef, Diagnose, Endpoint, Network, Sandbox};
use pontoon_store::{Store, StoreError, Tx};

use crate::{EngineError, Root, network as networks, publish, resolve};

/// The state of an instance, for reading. Makes nothing, repairs nothing and needs no privilege but to read it.
#[derive(Debug)]
pub struct Reader {
    store: Option<Store>,
    /// The networks that are defined, where nothing has run since the boot.
    defined: Vec<Network>,
}

/// Why there is nothing to tell.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The state may not be read.
    #[error("could not read {}", path.display())]
    Unreadable {
        /// The database.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// What was asked for is not there, or the state is damaged.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The state is damaged.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Diagnose for ReportError {
    fn code(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "state-unreadable",
            Self::Engine(error) => error.code(),
            Self::Store(error) => error.code(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Unreadable { .. } => Some("run it as root, or with a --root that is yours".into()),
            Self::Engine(error) => error.hint(),
            Self::Store(error) => error.hint(),
        }
    }
}

/// A container's place on a network, with both.
#[derive(Debug, Clone)]
pub struct Place {
    /// The place.
    pub endpoint: Endpoint,
    /// The network.
    pub network: Network,
    /// The container.
    pub sandbox: Sandbox,
}

impl Reader {
    /// Opens the state at `root`; where there is none, there are the networks that are always there and no containers.
    ///
    /// # Errors
    ///
    /// If there is a state that the caller may not read, or it is damaged.
    pub fn open(root: &Root) -> Result<Self, ReportError> {
        let path = root.dirs.run.join("runtime.db");
        match path.metadata() {
            Ok(_) => Ok(Self { store: Store::open_existing(&root.dirs)?, defined: Vec::new() }),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Ok(Self { store: None, defined: Store::definitions(&root.dirs)? })
            }
            Err(source) => Err(ReportError::Unreadable { path, source }),
        }
    }

    pub(crate) fn read<T: Default>(
        &self,
        work: impl FnOnce(&Tx<'_>) -> Result<T, EngineError>,
    ) -> Result<T, ReportError> {
        Ok(self.store.as_ref().map_or_else(|| Ok(T::default()), |store| store.read(work))?)
    }

    /// Programs of the host that wait on a port which a container has published: what they were to get goes to the
    /// container.
    ///
    /// # Errors
    ///
    /// If the kernel does not tell, or the state cannot be read.
    pub fn shadowed(&self, sandbox: &Sandbox) -> Result<Vec<(u16, Holder)>, ReportError> {
        self.read(|tx| publish::shadowed(tx, sandbox))
    }

    /// All networks by name, with those that are always there.
    ///
    /// # Errors
    ///
    /// If the state cannot be read.
    pub fn networks(&self) -> Result<Vec<Network>, ReportError> {
        let mut found = self.made()?;
        found.retain(|network| !network.builtin);
        found.extend(networks::builtins());
        found.sort_by(|left, right| left.name.as_str().cmp(right.name.as_str()));
        Ok(found)
    }

    /// The networks that somebody made, oldest first.
    fn made(&self) -> Result<Vec<Network>, ReportError> {
        match &self.store {
            Some(store) => Ok(store.read(|tx| tx.networks())?),
            None => Ok(self.defined.clone()),
        }
    }

    /// The network that `name` means: by name, by id, or by the beginning of an id.
    ///
    /// # Errors
    ///
    /// If there is none, or several.
    pub fn network(&self, name: &str) -> Result<Network, ReportError> {
        if let Some(store) = &self.store {
            return Ok(store.read(|tx| resolve::network(tx, name))?);
        }
        let all = self.networks()?;
        if let Some(network) = all.iter().find(|network| network.name.as_str() == name) {
            return Ok(network.clone());
        }
        let mut begins =
            all.iter().filter(|network| !name.is_empty() && network.id.as_str().starts_with(name));
        match (begins.next(), begins.next()) {
            (Some(network), None) => Ok(network.clone()),
            (Some(_), Some(_)) => Err(EngineError::AmbiguousNetwork(name.to_owned()).into()),
            (None, _) => {
                let names = all.iter().map(|network| network.name.as_str());
                let near =
                    pontoon_model::diagnose::near(name, names).into_iter().map(str::to_owned).collect();
                Err(EngineError::NoNetwork { name: name.to_owned(), near }.into())
            }
        }
    }

    /// All containers and namespaces of others, newest first. Those whose record goes with them are left out once
    /// they have ended.
    ///
    /// # Errors
    ///
    /// If the state cannot be read.
    pub fn containers(&self) -> Result<Vec<Sandbox>, ReportError> {
        let mut found = self.read(|tx| Ok(tx.sandboxes()?))?;
        found.retain(|sandbox| !(sandbox.process.auto_remove && matches!(sandbox.status, Status::Exited(_))));
        found.reverse();
        Ok(found)
    }

    /// The container that `name` means: by name, by id, or by the beginning of an id.
    ///
    /// # Errors
    ///
    /// If there is none, or several.
    pub fn container(&self, name: &str) -> Result<Sandbox, ReportError> {
        match &self.store {
            Some(store) => Ok(store.read(|tx| resolve::container(tx, name))?),
            None => Err(EngineError::NoContainer { name: name.to_owned(), near: Vec::new() }.into()),
        }
    }

    /// Who is on a network, by the age of the connection.
    ///
    /// # Errors
    ///
    /// If the state cannot be read.
    pub fn on_network(&self, network: &Network) -> Result<Vec<Place>, ReportError> {
        self.places(|tx| tx.endpoints_of_network(&network.id))
    }

    /// The container that `reference` means, as far as it is known: of others' namespaces, one that was pointed at in the
    /// same words.
    ///
    /// # Errors
    ///
    /// If there is none, or several.
    pub fn known(&self, reference: &ContainerRef) -> Result<Sandbox, ReportError> {
        if let ContainerRef::Ours(name) = reference {
            return self.container(name);
        }
        let origin = Origin::Foreign(reference.clone());
        let found = self.containers()?.into_iter().find(|sandbox| sandbox.origin == origin);
        found.ok_or_else(|| EngineError::NoContainer { name: reference.to_string(), near: Vec::new() }.into())
    }

    /// Which networks a container is on, by the age of the connection.
    ///
    /// # Errors
    ///
    /// If the state cannot be read.
    pub fn of_container(&self, sandbox: &Sandbox) -> Result<Vec<Place>, ReportError> {
        self.places(|tx| tx.endpoints_of_sandbox(&sandbox.id))
    }

    fn places(
        &self,
        find: impl FnOnce(&Tx<'_>) -> Result<Vec<Endpoint>, StoreError>,
    ) -> Result<Vec<Place>, ReportError> {
        self.read(|tx| {
            let mut found = Vec::new();
            for endpoint in find(tx)? {
                let (network, sandbox) = (tx.network(&endpoint.network)?, tx.sandbox(&endpoint.sandbox)?);
                if let (Some(network), Some(sandbox)) = (network, sandbox) {
                    found.push(Place { endpoint, network, sandbox });
                }
            }
            found.sort_by(|left, right| left.endpoint.created.cmp(&right.endpoint.created));
            Ok(found)
        })
    }

    /// How many containers are on a network.
    ///
    /// # Errors
    ///
    /// If the state cannot be read.
    pub fn user_count(&self, network: &Network) -> Result<u64, ReportError> {
        self.read(|tx| Ok(tx.endpoint_count(&network.id)?))
    }

    /// All cables.
    ///
    /// # Errors
    ///
    /// If the state cannot be read.
    pub fn cables(&self) -> Result<Vec<Cable>, ReportError> {
        self.read(|tx| Ok(tx.cables()?))
    }

    /// The kernel settings that Pontoon changed, and what they were.
    ///
    /// # Errors
    ///
    /// If the state cannot be read.
    pub fn settings(&self) -> Result<Vec<(String, String)>, ReportError> {
        self.read(|tx| Ok(tx.sysctls()?))
    }
}

/// Whether a network is one of those that Docker calls predefined: `bridge`, `host` and `none`.
pub fn is_predefined(network: &Network) -> bool {
    network.builtin || network.driver != Driver::Bridge || network.name.as_str() == networks::DEFAULT
}
