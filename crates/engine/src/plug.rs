//! Interfaces that are ours, by what a person calls them: ends of networks and of cables.

use std::net::IpAddr;

use ipnet::IpNet;
use pontoon_model::endpoint::{Cable, EndpointState, Plug};
use pontoon_model::op::Netns;
use pontoon_model::{ContainerRef, Endpoint, IfName, Network, Sandbox};
use pontoon_store::{StoreError, Tx};

use crate::{Engine, EngineError, resolve};

/// What a person calls an interface: a container's, or the host's end of a cable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterfaceRef {
    /// The container, or the host. A name may also be the beginning of a cable's id: then both of its ends are meant.
    pub place: Option<ContainerRef>,
    /// The interface's name.
    pub ifname: Option<IfName>,
    /// The network that it is on.
    pub network: Option<String>,
}

/// An interface with all that is known about it.
#[derive(Debug, Clone)]
pub(crate) struct Interface {
    pub(crate) plug: Plug,
    /// Whose it is; the host's otherwise.
    pub(crate) sandbox: Option<Sandbox>,
    pub(crate) ifname: IfName,
    /// Its MTU in bytes, if it was made with one.
    pub(crate) mtu: Option<u32>,
    /// The network that it is on; none for an end of a cable.
    pub(crate) network: Option<Network>,
    /// Its addresses with their prefix lengths.
    pub(crate) addresses: Vec<IpNet>,
}

impl Interface {
    /// An endpoint's.
    pub(crate) fn of(endpoint: &Endpoint, network: &Network, sandbox: &Sandbox) -> Self {
        let with_prefix = |address: IpAddr| {
            let pool = network.pools().find(|pool| pool.subnet.addr().is_ipv4() == address.is_ipv4())?;
            Some(pool.with_prefix(address))
        };
        Self {
            plug: Plug::endpoint(endpoint.id.clone()),
            sandbox: Some(sandbox.clone()),
            ifname: endpoint.ifname.clone(),
            mtu: network.bridge.mtu,
            network: Some(network.clone()),
            addresses: endpoint.addresses().filter_map(with_prefix).collect(),
        }
    }

    /// That nobody took it away meanwhile.
    ///
    /// # Errors
    ///
    /// [`EngineError::NoInterface`] if somebody did.
    pub(crate) fn check(&self, tx: &Tx<'_>) -> Result<(), EngineError> {
        let of = &self.plug.of;
        match tx.endpoint(of)?.is_some() || tx.cable(of)?.is_some() {
            true => Ok(()),
            false => Err(EngineError::NoInterface {
                container: self.whose(),
                asked: Some(self.ifname.to_string()),
                there: Vec::new(),
            }),
        }
    }

    /// Whose it is, in words.
    pub(crate) fn whose(&self) -> String {
        self.sandbox.as_ref().map_or_else(|| "the host".to_owned(), |sandbox| sandbox.name.to_string())
    }

    pub(crate) fn netns(&self) -> Netns {
        self.sandbox.as_ref().map_or(Netns::Host, resolve::netns)
    }
}

/// The interfaces of a sandbox, or of the host, that are ours and stay, by name.
pub(crate) fn of(tx: &Tx<'_>, sandbox: Option<&Sandbox>) -> Result<Vec<Interface>, StoreError> {
    let mut found = Vec::new();
    let (endpoints, cables) = match sandbox {
        Some(sandbox) => (tx.endpoints_of_sandbox(&sandbox.id)?, tx.cables_of_sandbox(&sandbox.id)?),
        None => (Vec::new(), tx.cables()?),
    };
    for endpoint in endpoints.into_iter().filter(|endpoint| endpoint.state == EndpointState::Attached) {
        if let (Some(network), Some(sandbox)) = (tx.network(&endpoint.network)?, sandbox) {
            found.push(Interface::of(&endpoint, &network, sandbox));
        }
    }
    for cable in &cables {
        let ends = of_cable(tx, cable)?;
        let own = |end: &Interface| end.sandbox.as_ref().map(|of| &of.id) == sandbox.map(|of| &of.id);
        found.extend(ends.into_iter().filter(own));
    }
    found.sort_by(|left, right| left.ifname.as_str().cmp(right.ifname.as_str()));
    Ok(found)
}

/// Both ends of a cable.
pub(crate) fn of_cable(tx: &Tx<'_>, cable: &Cable) -> Result<Vec<Interface>, StoreError> {
    let mut found = Vec::new();
    for (number, end) in cable.ends.iter().enumerate() {
        let sandbox = match &end.sandbox {
            Some(id) => tx.bare().sandbox(id)?,
            None => None,
        };
        // A container that is gone takes its cables with it.
        if sandbox.is_some() == end.sandbox.is_some() {
            let (plug, ifname) = (Plug::cable(cable.id.clone(), number), end.ifname.clone());
            let addresses = end.addresses.clone();
            found.push(Interface { plug, sandbox, ifname, mtu: cable.mtu, network: None, addresses });
        }
    }
    Ok(found)
}

/// The cable whose id begins so; one alone.
fn cable_by_id(tx: &Tx<'_>, prefix: &str) -> Result<Option<Cable>, StoreError> {
    /// Fewer digits are a name that was mistyped.
    const DIGITS: usize = 4;
    let is_id = prefix.len() >= DIGITS && prefix.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_id {
        return Ok(None);
    }
    let mut cables = tx.cables()?.into_iter().filter(|cable| cable.id.as_str().starts_with(prefix));
    Ok(cables.next().filter(|_| cables.next().is_none()))
}

/// Those of a container's interfaces that are meant.
pub(crate) fn chosen(
    tx: &Tx<'_>,
    found: Vec<Interface>,
    wanted: &InterfaceRef,
) -> Result<Vec<Interface>, EngineError> {
    let network = wanted.network.as_ref().map(|name| resolve::network(tx, name)).transpose()?;
    let meant = |interface: &Interface| {
        wanted.ifname.as_ref().is_none_or(|name| interface.ifname == *name)
            && network.as_ref().is_none_or(|one| interface.network.as_ref().is_some_and(|on| on.id == one.id))
    };
    let there: Vec<String> = found.iter().map(|interface| interface.ifname.to_string()).collect();
    let meant: Vec<Interface> = found.into_iter().filter(meant).collect();
    if meant.is_empty() {
        let asked = wanted.ifname.as_ref().map(ToString::to_string);
        let asked = asked.or_else(|| network.map(|network| format!("on network {}", network.name)));
        return Err(EngineError::NoInterface { container: wanted.whose(), asked, there });
    }
    Ok(meant)
}

impl InterfaceRef {
    /// A container's interface, the only one that it has.
    pub fn of(container: ContainerRef) -> Self {
        Self { place: Some(container), ifname: None, network: None }
    }

    fn whose(&self) -> String {
        self.place.as_ref().map_or_else(|| "host".to_owned(), ToString::to_string)
    }

    /// The cable that is meant, if it is one.
    fn cable(&self, tx: &Tx<'_>) -> Result<Option<Cable>, StoreError> {
        match (&self.place, &self.ifname, &self.network) {
            (Some(ContainerRef::Ours(name)), None, None) => cable_by_id(tx, name),
            _ => Ok(None),
        }
    }
}

impl Engine {
    /// The interfaces that are meant: one, or both ends of a cable. Their namespaces are open.
    ///
    /// # Errors
    ///
    /// If there is no such container or interface, or there are several and none was named.
    pub(crate) fn interfaces(&mut self, wanted: &InterfaceRef) -> Result<Vec<Interface>, EngineError> {
        let sandbox = match &wanted.place {
            None => None,
            Some(place) => match self.target(place) {
                Ok(target) => Some(target.sandbox),
                Err(error) => return self.cable_ends(wanted)?.ok_or(error),
            },
        };
        self.store.read(|tx| {
            let found = of(tx, sandbox.as_ref())?;
            let meant = chosen(tx, found, wanted)?;
            match meant.as_slice() {
                [_] => Ok(meant),
                several => {
                    let interfaces = several.iter().map(|one| one.ifname.to_string()).collect();
                    Err(EngineError::WhichInterface { container: wanted.whose(), interfaces })
                }
            }
        })
    }

    fn cable_ends(&mut self, wanted: &InterfaceRef) -> Result<Option<Vec<Interface>>, EngineError> {
        let ends = self.store.read(|tx| match wanted.cable(tx)? {
            Some(cable) => of_cable(tx, &cable).map(Some),
            None => Ok(None),
        })?;
        for end in ends.iter().flatten() {
            if !self.executor.reach(&end.netns())? {
                return Err(EngineError::NotRunning(end.whose()));
            }
        }
        Ok(ends)
    }
}

/// The interfaces that are meant, from the records alone: all of a container's where none is named.
pub(crate) fn recorded(tx: &Tx<'_>, wanted: &InterfaceRef) -> Result<Vec<Interface>, EngineError> {
    let sandbox = match &wanted.place {
        None => None,
        Some(ContainerRef::Ours(name)) => match resolve::container(tx, name) {
            Ok(sandbox) => Some(sandbox),
            Err(error) => {
                let cable = wanted.cable(tx)?.ok_or(error)?;
                return Ok(of_cable(tx, &cable)?);
            }
        },
        Some(other) => {
            let origin = pontoon_model::sandbox::Origin::Foreign(other.clone());
            let found = tx.bare().sandboxes()?.into_iter().find(|sandbox| sandbox.origin == origin);
            Some(found.ok_or_else(|| EngineError::NotOnANetwork(other.to_string()))?)
        }
    };
    let found = of(tx, sandbox.as_ref())?;
    chosen(tx, found, wanted)
}
